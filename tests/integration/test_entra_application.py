# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""entra_application and entra_application_info against an emulated tenant, over real HTTP."""

from __future__ import annotations

import typing as t

import pytest

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.harness import DOMAIN, OPERATOR, TENANT_ID, graph_as_a_person, requests_to, run, writes

NAME = "Mail2DigitalFax"
ZERO = "00000000-0000-0000-0000-000000000000"
EXCHANGE_ONLINE = "00000002-0000-0ff1-ce00-000000000000"
FULL_ACCESS = "dc890d15-9560-4a4c-9b7f-a736ec74ec40"
USER_READ = "e1fe6dd8-ba31-4d61-89e7-88639da4683d"
GRAPH_APP = "00000003-0000-0000-c000-000000000000"
PERMISSIONS = [{"resource": "exchange_online", "application": ["full_access_as_app"]}]
DECLARED = [{"resource": "exchange_online", "application": ["full_access_as_app"], "delegated": []}]
OPTIONS: dict[str, t.Any] = {"unique_name": "mail2fax", "display_name": NAME, "permissions": PERMISSIONS}


@pytest.fixture(scope="module")
def running() -> t.Iterator[Emulator]:
    with start_emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    return running.reset()


def applications(emulator: Emulator) -> list[dict[str, t.Any]]:
    """The live applications except the operator's own."""
    found = emulator.state(TENANT_ID)["applications"]
    return [item for item in found if item["appId"] != OPERATOR["client_id"]]


def the_application(emulator: Emulator) -> dict[str, t.Any]:
    found = [item for item in applications(emulator) if item["uniqueName"] == "mail2fax"]
    assert len(found) == 1
    return found[0]


def objects(emulator: Emulator) -> dict[str, t.Any]:
    """Everything in the tenant except the log of sign-ins."""
    return {name: value for name, value in emulator.state(TENANT_ID).items() if name != "signIns"}


def the_principals(emulator: Emulator, app_id: str) -> list[dict[str, t.Any]]:
    return [item for item in emulator.state(TENANT_ID)["servicePrincipals"] if item["appId"] == app_id]


def unfailed(result: dict[str, t.Any]) -> dict[str, t.Any]:
    assert not result.get("failed"), result["msg"]
    return result


def unchanged(emulator: Emulator, params: dict[str, t.Any]) -> dict[str, t.Any]:
    emulator.clear_journal()
    result = unfailed(run("entra_application", params, emulator))
    assert (result["changed"], result["outcome"]) == (False, "ok")
    assert writes(emulator) == []
    return result


# --- making one ----------------------------------------------------------------------------------------------


def test_greenfield_takes_three_requests_and_a_second_run_two_that_only_read(emulator: Emulator) -> None:
    result = unfailed(run("entra_application", OPTIONS, emulator))
    assert result["outcome"] == "changed"
    assert [row["method"] for row in requests_to(emulator)] == ["POST", "PATCH", "POST"]
    application = the_application(emulator)
    (principal,) = the_principals(emulator, application["appId"])
    assert result["app_id"] == application["appId"] == result["application"]["app_id"]
    assert result["application"]["object_id"] == application["id"] != application["appId"]
    assert result["service_principal_id"] == principal["id"]
    assert result["application"]["permissions"] == DECLARED
    assert result["application"]["created_date_time"] == application["createdDateTime"]
    assert application["signInAudience"] == "AzureADMyOrg"
    assert application["requiredResourceAccess"] == [
        {"resourceAppId": EXCHANGE_ONLINE, "resourceAccess": [{"id": FULL_ACCESS, "type": "Role"}]}
    ]
    assert "WindowsAzureActiveDirectoryIntegratedApp" in principal["tags"]

    again = unchanged(emulator, OPTIONS)
    assert len(requests_to(emulator)) == 2
    assert again["application"] == result["application"]
    assert again["service_principal_id"] == principal["id"]
    assert again["diff"]["before"] == again["diff"]["after"] == result["diff"]["after"]


def test_declaring_grants_nothing(emulator: Emulator) -> None:
    before = emulator.state(TENANT_ID)["appRoleAssignments"]
    unfailed(run("entra_application", OPTIONS, emulator))
    assert emulator.state(TENANT_ID)["appRoleAssignments"] == before


def test_check_mode_writes_nothing_and_predicts(emulator: Emulator) -> None:
    before = objects(emulator)
    result = unfailed(run("entra_application", OPTIONS, emulator, check_mode=True))
    assert result["changed"] is True
    assert (result["app_id"], result["service_principal_id"]) == (ZERO, ZERO)
    assert result["steps"] == [f"create the application '{NAME}'", f"create the service principal of '{NAME}'"]
    assert writes(emulator) == []
    assert objects(emulator) == before
    made = unfailed(run("entra_application", OPTIONS, emulator))
    assert made["diff"] == result["diff"]
    assert made["steps"] == result["steps"]


@pytest.mark.parametrize(
    "name", ["O'Reilly & Söhne", "50% $filter=1 eq 1", "faks \u200f\u05e4\u05e7\u05e1", "a/b?c#d+e"]
)
def test_any_name_arrives_as_a_literal(emulator: Emulator, name: str) -> None:
    params = {"unique_name": name, "display_name": name}
    unfailed(run("entra_application", params, emulator))
    assert [(item["uniqueName"], item["displayName"]) for item in applications(emulator)] == [(name, name)]
    unchanged(emulator, params)


def test_without_a_service_principal_none_is_made_or_mended(emulator: Emulator) -> None:
    params = {**OPTIONS, "service_principal": False}
    result = unfailed(run("entra_application", params, emulator))
    assert result["service_principal_id"] is None
    assert the_principals(emulator, result["app_id"]) == []
    unchanged(emulator, params)


# --- drift ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drift", "what"),
    [
        ({"displayName": "renamed by hand"}, "display_name"),
        ({"signInAudience": "AzureADMultipleOrgs"}, "sign_in_audience"),
        ({"requiredResourceAccess": []}, "permissions"),
        (
            {
                "requiredResourceAccess": [
                    {"resourceAppId": EXCHANGE_ONLINE, "resourceAccess": [{"id": FULL_ACCESS, "type": "Role"}]},
                    {"resourceAppId": GRAPH_APP, "resourceAccess": [{"id": USER_READ, "type": "Scope"}]},
                ]
            },
            "permissions",
        ),
        ({"notes": "by hand"}, "notes"),
        ({"tags": ["by hand"]}, "tags"),
    ],
    ids=["renamed", "multi-tenant", "permission removed", "permission added", "notes", "tags"],
)
def test_drift_of_a_property_is_mended_alone(emulator: Emulator, drift: dict[str, t.Any], what: str) -> None:
    params = {**OPTIONS, "notes": "ours", "tags": ["mail2fax"]}
    unfailed(run("entra_application", params, emulator))
    good = the_application(emulator)
    graph_as_a_person(emulator, "PATCH", f"/applications/{good['id']}", drift)
    seen = unfailed(run("entra_application", params, emulator, check_mode=True))
    assert seen["steps"] == [f"set {what} of '{NAME}'"]
    differing = {name for name in seen["diff"]["after"] if seen["diff"]["before"][name] != seen["diff"]["after"][name]}
    assert differing == {what}
    emulator.clear_journal()
    mended = unfailed(run("entra_application", params, emulator))
    assert mended["changed"]
    assert [row["method"] for row in writes(emulator)] == ["PATCH"]
    mine = the_application(emulator)
    assert {name: mine[name] for name in drift} == {name: good[name] for name in drift}
    unchanged(emulator, params)


def test_an_added_permission_of_an_undeclared_resource_is_named_in_the_diff(emulator: Emulator) -> None:
    unfailed(run("entra_application", OPTIONS, emulator))
    application = the_application(emulator)
    required = [
        *application["requiredResourceAccess"],
        {"resourceAppId": GRAPH_APP, "resourceAccess": [{"id": USER_READ, "type": "Scope"}]},
    ]
    graph_as_a_person(emulator, "PATCH", f"/applications/{application['id']}", {"requiredResourceAccess": required})
    emulator.clear_journal()
    seen = unfailed(run("entra_application", OPTIONS, emulator, check_mode=True))
    assert "microsoft_graph User.Read (delegated)" in seen["diff"]["before"]["permissions"]
    assert len(requests_to(emulator)) == 2
    kept = unchanged(emulator, {**OPTIONS, "exclusive_permissions": False})
    assert kept["application"]["permissions"][1] == {
        "resource": "microsoft_graph",
        "application": [],
        "delegated": ["User.Read"],
    }


def test_permissions_of_an_empty_list_mean_none_and_left_out_they_are_not_managed(emulator: Emulator) -> None:
    unfailed(run("entra_application", OPTIONS, emulator))
    unchanged(emulator, {"unique_name": "mail2fax", "display_name": NAME})
    unfailed(run("entra_application", {**OPTIONS, "permissions": []}, emulator))
    assert the_application(emulator)["requiredResourceAccess"] == []


def test_a_deleted_service_principal_is_purged_and_made_anew_without_its_old_grants(emulator: Emulator) -> None:
    made = unfailed(run("entra_application", OPTIONS, emulator))
    consent = {"app_id": made["app_id"], "permissions": PERMISSIONS}
    unfailed(run("entra_admin_consent", consent, emulator))
    graph_as_a_person(emulator, "DELETE", f"/servicePrincipals/{made['service_principal_id']}")
    seen = unfailed(run("entra_application", OPTIONS, emulator, check_mode=True))
    assert seen["steps"] == [
        "remove the deleted service principal and its old grants from the recycle bin",
        f"create the service principal of '{NAME}'",
    ]
    mended = unfailed(run("entra_application", OPTIONS, emulator))
    assert mended["steps"] == seen["steps"]
    assert mended["service_principal_id"] not in (made["service_principal_id"], ZERO)
    state = emulator.state(TENANT_ID)
    assert not [item for item in state["appRoleAssignments"] if item["principalId"] == mended["service_principal_id"]]
    assert state["deletedItems"] == []
    unchanged(emulator, OPTIONS)


def test_a_disabled_service_principal_is_enabled_only_when_asked(emulator: Emulator) -> None:
    made = unfailed(run("entra_application", OPTIONS, emulator))
    graph_as_a_person(
        emulator, "PATCH", f"/servicePrincipals/{made['service_principal_id']}", {"accountEnabled": False}
    )
    warned = unchanged(emulator, OPTIONS)
    assert "disabled" in warned["warnings"][0]
    enabled = unfailed(run("entra_application", {**OPTIONS, "enabled": True}, emulator))
    assert enabled["diff"]["before"]["service_principal"] == "disabled"
    assert the_principals(emulator, made["app_id"])[0]["accountEnabled"] is True
    assert "warnings" not in unchanged(emulator, {**OPTIONS, "enabled": True})


# --- the recycle bin -----------------------------------------------------------------------------------------


def deleted_by_hand(emulator: Emulator) -> dict[str, t.Any]:
    """An application with a grant and a secret, deleted in the portal ten days ago."""
    made = unfailed(run("entra_application", OPTIONS, emulator))
    unfailed(run("entra_admin_consent", {"app_id": made["app_id"], "permissions": PERMISSIONS}, emulator))
    body = {"passwordCredential": {"displayName": "old"}}
    graph_as_a_person(emulator, "POST", f"/applications/{made['application']['object_id']}/addPassword", body)
    graph_as_a_person(emulator, "DELETE", f"/applications/{made['application']['object_id']}")
    emulator.clear_journal()
    return made


def test_in_the_recycle_bin_it_stops_with_days_left_and_three_ways_on(emulator: Emulator) -> None:
    made = deleted_by_hand(emulator)
    result = run("entra_application", OPTIONS, emulator)
    assert (result["failed"], result["outcome"], result["changed"]) == (True, "blocked", False)
    assert "recycle bin" in result["msg"]
    assert made["app_id"] in result["msg"]
    assert "days left" in result["msg"]
    for way in ("on_deleted=restore", "on_deleted=purge", "another unique_name"):
        assert way in result["msg"]
    assert result["error"]["details"]["deleted"]["app_id"] == made["app_id"]
    assert writes(emulator) == []


def test_restore_brings_back_the_app_id_and_no_grant(emulator: Emulator) -> None:
    made = deleted_by_hand(emulator)
    params = {**OPTIONS, "display_name": "New name", "on_deleted": "restore"}
    stopped = run("entra_application", {**params, "known_key_ids": []}, emulator)
    assert (stopped["outcome"], writes(emulator)) == ("blocked", [])
    (old,) = stopped["error"]["details"]["strangers"]
    params |= {"known_key_ids": [], "accept_credentials": [old["id"]]}
    seen = unfailed(run("entra_application", params, emulator, check_mode=True))
    assert writes(emulator) == []
    result = unfailed(run("entra_application", params, emulator))
    assert result["steps"] == seen["steps"]
    assert [step.split()[0] for step in seen["steps"]] == ["remove", "restore", "set", "create"]
    assert result["app_id"] == made["app_id"]
    assert result["service_principal_id"] != made["service_principal_id"]
    assert [item["display_name"] for item in result["old_secrets"]] == ["old"]
    assert "old client secrets" in result["warnings"][0]
    state = emulator.state(TENANT_ID)
    assert the_application(emulator)["displayName"] == "New name"
    assert [item["id"] for item in the_principals(emulator, made["app_id"])] == [result["service_principal_id"]]
    ours = {made["service_principal_id"], result["service_principal_id"]}
    assert not [item for item in state["appRoleAssignments"] if item["principalId"] in ours]
    assert emulator.exposures() == []  # since it was deleted, not for an instant
    unchanged(emulator, params)


def test_purge_makes_a_new_one(emulator: Emulator) -> None:
    made = deleted_by_hand(emulator)
    params = {**OPTIONS, "on_deleted": "purge"}
    seen = unfailed(run("entra_application", params, emulator, check_mode=True))
    result = unfailed(run("entra_application", params, emulator))
    assert result["steps"] == seen["steps"]
    assert result["app_id"] not in (made["app_id"], ZERO)
    assert emulator.state(TENANT_ID)["deletedItems"] == []
    unchanged(emulator, params)


# --- adoption and namesakes ----------------------------------------------------------------------------------


def made_by_hand(emulator: Emulator, **more: t.Any) -> dict[str, t.Any]:
    return graph_as_a_person(emulator, "POST", "/applications", {"displayName": NAME, **more})


def test_a_namesake_stops_the_run_and_is_listed_and_never_adopted(emulator: Emulator) -> None:
    first, second = made_by_hand(emulator), made_by_hand(emulator)
    emulator.clear_journal()
    result = run("entra_application", OPTIONS, emulator)
    assert result["outcome"] == "blocked"
    listed = result["error"]["details"]["namesakes"]
    assert {item["app_id"] for item in listed} == {first["appId"], second["appId"]}
    for item in (first, second):
        assert item["appId"] in result["msg"]
    assert all(item["owners"] for item in listed)
    assert writes(emulator) == []
    made = unfailed(run("entra_application", {**OPTIONS, "on_namesake": "ignore"}, emulator))
    assert made["app_id"] not in (first["appId"], second["appId"])
    unchanged(emulator, OPTIONS)  # ours is found by its key: namesakes are nobody's business any more


def test_adoption_by_app_id_gives_the_unique_name_and_mends_the_rest(emulator: Emulator) -> None:
    person = made_by_hand(emulator, signInAudience="AzureADMultipleOrgs")
    params = {**OPTIONS, "app_id": person["appId"].upper()}
    seen = unfailed(run("entra_application", params, emulator, check_mode=True))
    assert seen["app_id"] == person["appId"]
    emulator.clear_journal()
    result = unfailed(run("entra_application", params, emulator))
    application = the_application(emulator)
    assert application["id"] == person["id"] == result["application"]["object_id"]
    assert application["signInAudience"] == "AzureADMyOrg"
    assert result["diff"]["before"]["unique_name"] is None
    unchanged(emulator, params)
    unchanged(emulator, OPTIONS)
    only_id = unchanged(emulator, {"app_id": person["appId"]})
    assert only_id["application"]["display_name"] == NAME


def test_adoption_by_app_id_alone_reads_in_one_request(emulator: Emulator) -> None:
    made = unfailed(run("entra_application", OPTIONS, emulator))
    unchanged(emulator, {"app_id": made["app_id"], "permissions": PERMISSIONS})
    assert len(requests_to(emulator)) == 1


def test_an_unknown_app_id_is_blocked_with_words(emulator: Emulator) -> None:
    result = run("entra_application", {"app_id": "1cb8b5d2-8724-4f32-8152-a16a230b682b"}, emulator)
    assert result["outcome"] == "blocked"
    for word in ("1cb8b5d2-8724-4f32-8152-a16a230b682b", "tenant", "object id"):
        assert word in result["msg"]


def test_a_unique_name_never_changes_and_never_moves(emulator: Emulator) -> None:
    ours = unfailed(run("entra_application", OPTIONS, emulator))
    other = made_by_hand(emulator)
    before = applications(emulator)
    renamed = run("entra_application", {"app_id": ours["app_id"], "unique_name": "other"}, emulator)
    taken = run("entra_application", {"app_id": other["appId"], "unique_name": "mail2fax"}, emulator)
    assert (renamed["outcome"], taken["outcome"]) == ("blocked", "blocked")
    assert "'mail2fax'" in renamed["msg"]
    assert ours["app_id"] in taken["msg"]
    assert applications(emulator) == before


def test_a_unique_name_that_lies_in_the_bin_stops_an_adoption(emulator: Emulator) -> None:
    gone = deleted_by_hand(emulator)
    other = made_by_hand(emulator)
    result = run("entra_application", {"app_id": other["appId"], "unique_name": "mail2fax"}, emulator)
    assert result["outcome"] == "blocked"
    assert gone["app_id"] in result["msg"]


# --- deleting ------------------------------------------------------------------------------------------------


def test_absent_deletes_ours_alone_and_is_content_when_it_is_gone(emulator: Emulator) -> None:
    person = made_by_hand(emulator)
    made = unfailed(run("entra_application", {**OPTIONS, "on_namesake": "ignore"}, emulator))
    params = {"unique_name": "mail2fax", "state": "absent"}
    seen = unfailed(run("entra_application", params, emulator, check_mode=True))
    assert the_application(emulator)
    result = unfailed(run("entra_application", params, emulator))
    assert result["steps"] == seen["steps"]
    assert result["app_id"] == made["app_id"]
    assert result["application"] is None
    assert result["recoverable_until"] > "2026"
    state = emulator.state(TENANT_ID)
    assert [item["appId"] for item in applications(emulator)] == [person["appId"]]
    assert the_principals(emulator, made["app_id"]) == []
    assert {item["appId"] for item in state["deletedItems"]} == {made["app_id"]}
    again = unchanged(emulator, params)
    assert again["summary"].endswith("does not exist")


def test_purge_leaves_nothing_not_even_of_an_earlier_deletion(emulator: Emulator) -> None:
    params = {"unique_name": "mail2fax", "state": "absent", "purge": True}
    unfailed(run("entra_application", OPTIONS, emulator))
    unfailed(run("entra_application", params, emulator))
    assert emulator.state(TENANT_ID)["deletedItems"] == []
    deleted_by_hand(emulator)
    assert emulator.state(TENANT_ID)["deletedItems"] != []
    unfailed(run("entra_application", params, emulator))
    assert emulator.state(TENANT_ID)["deletedItems"] == []
    unchanged(emulator, params)


# --- what must not happen ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"app_id": "da34aq4b-0000-4000-8000-000000000000"}, "'q' is not a hexadecimal digit"),
        ({"app_id": ZERO}, "all zeros"),
        ({"unique_name": " ", "display_name": "x"}, "unique_name is empty"),
        ({"unique_name": "x"}, "display_name is missing"),
        ({"unique_name": "x", "display_name": "x" * 257}, "257 characters"),
        ({"unique_name": "x", "display_name": "a\nb"}, "control character"),
        ({"unique_name": "x", "display_name": "x", "notes": "n" * 1025}, "1025"),
        ({**OPTIONS, "permissions": [{"resource": "exchange", "application": ["x"]}]}, "did you mean exchange_online"),
        ({**OPTIONS, "permissions": [{"resource": "exchange_online"}]}, "without any permission"),
        ({**OPTIONS, "purge": True}, "only with state=absent"),
        ({"app_id": "1cb8b5d2-8724-4f32-8152-a16a230b682b", "on_deleted": "purge"}, "app_id"),
    ],
)
def test_bad_options_are_refused_before_any_request(emulator: Emulator, params: dict[str, t.Any], says: str) -> None:
    result = run("entra_application", params, emulator)
    assert (result["failed"], result["outcome"], result["error"]["kind"]) == (True, "failed", "InvalidInput")
    assert says in result["msg"]
    assert emulator.journal() == []


def test_unknown_permissions_are_refused_with_the_nearest_before_anything_is_written(emulator: Emulator) -> None:
    permissions = [
        {"resource": "exchange_online", "application": ["full_acces_as_app"]},
        {"resource": "microsoft_graph", "application": ["User.Read"]},
    ]
    result = run("entra_application", {**OPTIONS, "permissions": permissions}, emulator)
    assert result["outcome"] == "failed"
    assert "nearest: full_access_as_app" in result["msg"]
    assert "it exists as delegated permission" in result["msg"]
    assert writes(emulator) == []


def test_a_tenant_without_exchange_online_is_blocked_with_words() -> None:
    tenants = {
        "tenants": [
            {
                "id": TENANT_ID,
                "domains": [DOMAIN],
                "operators": [
                    {
                        "client_id": OPERATOR["client_id"],
                        "client_secret": OPERATOR["client_secret"],
                        "app_roles": ["Application.ReadWrite.All"],
                    }
                ],
            }
        ]
    }
    with start_emulator(tenants) as emulator:
        found = [item for item in emulator.state(TENANT_ID)["servicePrincipals"] if item["appId"] == EXCHANGE_ONLINE]
        for item in found:
            graph_as_a_person(emulator, "DELETE", f"/servicePrincipals/{item['id']}")
        result = run("entra_application", OPTIONS, emulator)
        assert result["outcome"] == "blocked"
        assert "Office 365 Exchange Online" in result["msg"]
        assert applications(emulator) == []


def test_a_failed_read_is_an_error_and_nothing_is_made(emulator: Emulator) -> None:
    unfailed(run("entra_application", OPTIONS, emulator))
    emulator.clear_journal()
    refusal = {"status": 403, "body": {"error": {"code": "Authorization_RequestDenied", "message": "No."}}}
    emulator.faults([{"match": {"path_regex": r".*applications\(uniqueName.*"}, "times": 99, "effect": refusal}])
    result = run("entra_application", OPTIONS, emulator)
    assert (result["failed"], result["error"]["kind"]) == (True, "Forbidden")
    assert "Could not read the application" in result["msg"]
    assert writes(emulator) == []


@pytest.mark.parametrize("effect", ["drop_before", "drop_after"])
@pytest.mark.parametrize("path", [r".*/applications\(uniqueName.*", r".*/servicePrincipals$", r".*/\$batch"])
def test_a_lost_answer_leaves_one_application_and_one_service_principal(
    emulator: Emulator, effect: str, path: str
) -> None:
    emulator.faults([{"match": {"path_regex": path}, "times": 1, "effect": effect}])
    result = unfailed(run("entra_application", OPTIONS, emulator))
    assert result["changed"]
    application = the_application(emulator)
    (principal,) = the_principals(emulator, application["appId"])
    assert (result["app_id"], result["service_principal_id"]) == (application["appId"], principal["id"])
    emulator.faults([])
    unchanged(emulator, OPTIONS)


@pytest.mark.parametrize("effect", ["drop_before", "drop_after"])
def test_a_lost_answer_of_a_restore_is_looked_into(emulator: Emulator, effect: str) -> None:
    made = deleted_by_hand(emulator)
    emulator.faults([{"match": {"path_regex": r".*/restore"}, "times": 1, "effect": effect}])
    params = {**OPTIONS, "on_deleted": "restore"}
    result = unfailed(run("entra_application", params, emulator))
    assert result["app_id"] == made["app_id"]
    assert result["changed"]
    assert [item["display_name"] for item in result["old_secrets"]] == ["old"]
    assert len(result["warnings"]) == 1
    emulator.faults([])
    unchanged(emulator, params)


@pytest.mark.slow
def test_in_a_realistic_tenant_every_way_ends_well() -> None:
    with start_emulator(profile="realistic") as emulator:
        made = unfailed(run("entra_application", OPTIONS, emulator, patience=60))
        unfailed(
            run("entra_admin_consent", {"app_id": made["app_id"], "permissions": PERMISSIONS}, emulator, patience=60)
        )
        renamed = {**OPTIONS, "display_name": "renamed"}
        assert unfailed(run("entra_application", renamed, emulator, patience=60))["changed"]
        emulator.clock(seconds=600)  # until then a server that lags behind may show the name of before
        assert not unfailed(run("entra_application", renamed, emulator, patience=60))["changed"]
        absent = {"unique_name": "mail2fax", "state": "absent"}
        unfailed(run("entra_application", absent, emulator, patience=60))
        restore = {**OPTIONS, "on_deleted": "restore"}
        assert unfailed(run("entra_application", restore, emulator, patience=60))["app_id"] == made["app_id"]
        unfailed(run("entra_application", {**absent, "purge": True}, emulator, patience=60))
        assert emulator.state(TENANT_ID)["deletedItems"] == []
        fresh = unfailed(run("entra_application", OPTIONS, emulator, patience=60))
        assert fresh["app_id"] != made["app_id"]


# --- the info module -----------------------------------------------------------------------------------------


def test_info_tells_everything_but_the_secret(emulator: Emulator) -> None:
    made = unfailed(run("entra_application", OPTIONS, emulator))
    unfailed(run("entra_admin_consent", {"app_id": made["app_id"], "permissions": PERMISSIONS}, emulator))
    body = {"passwordCredential": {"displayName": "DigitalFaxMailServiceSecret"}}
    secret = graph_as_a_person(emulator, "POST", f"/applications/{made['application']['object_id']}/addPassword", body)
    emulator.clear_journal()
    results = [
        unfailed(run("entra_application_info", by, emulator))
        for by in ({"unique_name": "mail2fax"}, {"app_id": made["app_id"]}, {"display_name": NAME})
    ]
    assert len(requests_to(emulator)) <= 9
    assert results[0] == results[1] == results[2]
    (found,) = results[0]["applications"]
    assert results[0]["changed"] is False
    assert {**found, **made["application"]} == found
    (listed,) = found["secrets"]
    assert (listed["key_id"], listed["display_name"]) == (secret["keyId"], "DigitalFaxMailServiceSecret")
    assert secret["secretText"] not in repr(results)
    assert secret["hint"] not in repr(found["secrets"])
    assert found["grants"] == DECLARED
    assert found["service_principal"]["id"] == made["service_principal_id"]
    assert [owner["type"] for owner in found["owners"]] == ["servicePrincipal"]


def test_info_lists_namesakes_and_the_recycle_bin(emulator: Emulator) -> None:
    first, second = made_by_hand(emulator), made_by_hand(emulator)
    graph_as_a_person(emulator, "DELETE", f"/applications/{second['id']}")
    third = made_by_hand(emulator)
    result = unfailed(run("entra_application_info", {"display_name": NAME}, emulator))
    assert [item["app_id"] for item in result["applications"]] == [first["appId"], third["appId"]]
    assert all(item["service_principal"] is None and item["grants"] == [] for item in result["applications"])
    (deleted,) = result["deleted"]
    assert deleted["app_id"] == second["appId"]
    assert deleted["recoverable_until"] > deleted["deleted_date_time"]
    nothing = unfailed(run("entra_application_info", {"unique_name": "nothing"}, emulator))
    assert (nothing["applications"], nothing["deleted"]) == ([], [])
