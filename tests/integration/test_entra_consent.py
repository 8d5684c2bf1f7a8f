# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""entra_admin_consent against an emulated tenant, over real HTTP."""

from __future__ import annotations

import typing as t

import pytest

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.harness import OPERATOR, TENANT_ID, graph_as_a_person, requests_to, run, writes

ZERO = "00000000-0000-0000-0000-000000000000"
EXCHANGE_ONLINE = "00000002-0000-0ff1-ce00-000000000000"
GRAPH_APP = "00000003-0000-0000-c000-000000000000"
FULL_ACCESS = "dc890d15-9560-4a4c-9b7f-a736ec74ec40"
IMAP = "5e5addcd-3e8d-4e90-baf5-964efab2b20a"
GRAPH_MAIL_READ = "810c84a8-4a9e-49e6-bf7d-12d183f40d01"

EWS = [{"resource": "exchange_online", "application": ["full_access_as_app"]}]
BOTH = [*EWS, {"resource": "microsoft_graph", "delegated": ["User.Read", "Mail.Read"]}]


@pytest.fixture(scope="module")
def running() -> t.Iterator[Emulator]:
    with start_emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    running.faults([])
    return running.reset()


@pytest.fixture
def made(emulator: Emulator) -> dict[str, t.Any]:
    """An application with a service principal and no grant."""
    options = {"unique_name": "mail2fax", "display_name": "Mail2DigitalFax", "permissions": BOTH}
    result = run("entra_application", options, emulator)
    assert not result.get("failed"), result["msg"]
    emulator.clear_journal()
    return result


def unfailed(result: dict[str, t.Any]) -> dict[str, t.Any]:
    assert not result.get("failed"), result["msg"]
    return result


def resource(emulator: Emulator, app_id: str) -> str:
    """The object id of a resource's service principal."""
    (found,) = [item for item in emulator.state(TENANT_ID)["servicePrincipals"] if item["appId"] == app_id]
    return str(found["id"])


def roles(emulator: Emulator, made: dict[str, t.Any]) -> set[str]:
    found = emulator.state(TENANT_ID)["appRoleAssignments"]
    return {item["appRoleId"] for item in found if item["principalId"] == made["service_principal_id"]}


def grants(emulator: Emulator, made: dict[str, t.Any]) -> list[tuple[str | None, set[str]]]:
    """(user, scopes) of each delegated grant."""
    found = emulator.state(TENANT_ID)["oauth2PermissionGrants"]
    mine = [item for item in found if item["clientId"] == made["service_principal_id"]]
    return sorted(((item["principalId"], set(item["scope"].split())) for item in mine), key=lambda item: str(item[0]))


def assign_by_hand(emulator: Emulator, made: dict[str, t.Any], app_id: str, role: str) -> None:
    body = {
        "principalId": made["service_principal_id"],
        "resourceId": resource(emulator, app_id),
        "appRoleId": role,
    }
    graph_as_a_person(emulator, "POST", f"/servicePrincipals/{body['resourceId']}/appRoleAssignedTo", body)


def grant_by_hand(
    emulator: Emulator, made: dict[str, t.Any], scope: str, user: str | None = None, app_id: str = GRAPH_APP
) -> dict[str, t.Any]:
    body = {
        "clientId": made["service_principal_id"],
        "consentType": "Principal" if user else "AllPrincipals",
        "principalId": user,
        "resourceId": resource(emulator, app_id),
        "scope": scope,
    }
    return graph_as_a_person(emulator, "POST", "/oauth2PermissionGrants", body)


def a_user(emulator: Emulator) -> str:
    """The object id of a user of the tenant."""
    return str(emulator.state(TENANT_ID)["mailboxes"][0]["ExternalDirectoryObjectId"])


def unchanged(emulator: Emulator, params: dict[str, t.Any]) -> dict[str, t.Any]:
    emulator.clear_journal()
    result = unfailed(run("entra_admin_consent", params, emulator))
    assert (result["changed"], result["outcome"]) == (False, "ok")
    assert writes(emulator) == []
    return result


# --- granting ------------------------------------------------------------------------------------------------


def test_greenfield_takes_three_requests_and_a_second_run_one_that_only_reads(
    emulator: Emulator, made: dict[str, t.Any]
) -> None:
    params = {"app_id": made["app_id"], "permissions": BOTH}
    result = unfailed(run("entra_admin_consent", params, emulator))
    assert len(requests_to(emulator)) == 3  # read, grant, read back until every replica would show it
    assert roles(emulator, made) == {FULL_ACCESS}
    assert grants(emulator, made) == [(None, {"User.Read", "Mail.Read"})]
    assert result["granted"] == [
        {"resource": "exchange_online", "application": ["full_access_as_app"], "delegated": []},
        {"resource": "microsoft_graph", "application": [], "delegated": ["Mail.Read", "User.Read"]},
    ]
    assert (result["foreign"], result["revoked"]) == ([], [])
    assert result["service_principal_id"] == made["service_principal_id"]

    again = unchanged(emulator, params)
    assert len(requests_to(emulator)) == 1
    assert again["granted"] == result["granted"]
    assert again["diff"]["before"] == again["diff"]["after"] == result["diff"]["after"]


def test_check_mode_predicts_and_writes_nothing(emulator: Emulator, made: dict[str, t.Any]) -> None:
    params = {"app_id": made["app_id"], "permissions": BOTH}
    seen = unfailed(run("entra_admin_consent", params, emulator, check_mode=True))
    assert seen["changed"]
    assert writes(emulator) == []
    done = unfailed(run("entra_admin_consent", params, emulator))
    assert {name: seen[name] for name in ("steps", "diff", "granted", "foreign", "revoked")} == {
        name: done[name] for name in ("steps", "diff", "granted", "foreign", "revoked")
    }


def test_check_mode_before_the_application_exists_asks_only_for_the_resources(emulator: Emulator) -> None:
    emulator.clear_journal()
    result = unfailed(run("entra_admin_consent", {"app_id": ZERO, "permissions": EWS}, emulator, check_mode=True))
    assert result["changed"]
    assert result["steps"] == ["grant full_access_as_app (application) of exchange_online"]
    (batch,) = requests_to(emulator)
    parts = [row["path"] for row in emulator.journal() if row.get("batch") == batch["seq"]]
    assert len(parts) == 1
    assert ZERO not in parts[0]


def test_without_a_service_principal_it_is_blocked(emulator: Emulator) -> None:
    result = run("entra_admin_consent", {"app_id": ZERO.replace("0", "1"), "permissions": EWS}, emulator, patience=0)
    assert result["outcome"] == "blocked"
    assert "run entra_application first" in result["msg"]


def test_in_check_mode_a_missing_service_principal_is_planned_with_and_said(emulator: Emulator) -> None:
    params = {"app_id": ZERO.replace("0", "1"), "permissions": EWS}
    result = unfailed(run("entra_admin_consent", params, emulator, check_mode=True))
    assert result["changed"]
    assert "no service principal yet" in result["warnings"][0]


def test_consent_gives_the_role_its_token(emulator: Emulator, made: dict[str, t.Any]) -> None:
    unfailed(run("entra_admin_consent", {"app_id": made["app_id"], "permissions": EWS}, emulator))
    info = unfailed(run("entra_application_info", {"app_id": made["app_id"]}, emulator))
    assert info["applications"][0]["grants"] == [
        {"resource": "exchange_online", "application": ["full_access_as_app"], "delegated": []}
    ]


# --- drift ---------------------------------------------------------------------------------------------------


def test_a_removed_grant_is_given_again(emulator: Emulator, made: dict[str, t.Any]) -> None:
    params = {"app_id": made["app_id"], "permissions": BOTH}
    unfailed(run("entra_admin_consent", params, emulator))
    (mine,) = [
        item
        for item in emulator.state(TENANT_ID)["appRoleAssignments"]
        if item["principalId"] == made["service_principal_id"]
    ]
    graph_as_a_person(
        emulator, "DELETE", f"/servicePrincipals/{made['service_principal_id']}/appRoleAssignments/{mine['id']}"
    )
    emulator.clear_journal()
    result = unfailed(run("entra_admin_consent", params, emulator))
    assert result["steps"] == ["grant full_access_as_app (application) of exchange_online"]
    assert len(writes(emulator)) == 1
    assert roles(emulator, made) == {FULL_ACCESS}
    unchanged(emulator, params)


def test_scopes_are_joined_with_those_that_others_granted(emulator: Emulator, made: dict[str, t.Any]) -> None:
    grant_by_hand(emulator, made, " offline_access User.Read")
    params = {"app_id": made["app_id"], "permissions": BOTH}
    emulator.clear_journal()
    result = unfailed(run("entra_admin_consent", params, emulator))
    assert grants(emulator, made) == [(None, {"offline_access", "User.Read", "Mail.Read"})]
    assert result["foreign"] == [{"resource": "microsoft_graph", "application": [], "delegated": ["offline_access"]}]
    assert {row["method"] for row in writes(emulator)} == {"POST", "PATCH"}
    unchanged(emulator, params)


def test_foreign_grants_are_kept_and_named_or_revoked_when_exclusive(
    emulator: Emulator, made: dict[str, t.Any]
) -> None:
    user = a_user(emulator)
    assign_by_hand(emulator, made, EXCHANGE_ONLINE, IMAP)
    assign_by_hand(emulator, made, GRAPH_APP, GRAPH_MAIL_READ)
    grant_by_hand(emulator, made, "User.Read Mail.Send")
    grant_by_hand(emulator, made, "User.Read", user=user)
    params: dict[str, t.Any] = {"app_id": made["app_id"], "permissions": EWS}
    foreign = [
        {"resource": "exchange_online", "application": ["IMAP.AccessAsApp"], "delegated": []},
        {
            "resource": "microsoft_graph",
            "application": ["Mail.Read"],
            "delegated": ["Mail.Send", "User.Read"],
            "users": [{"principal_id": user, "delegated": ["User.Read"]}],
        },
    ]
    kept = unfailed(run("entra_admin_consent", params, emulator))
    assert kept["foreign"] == foreign
    assert kept["revoked"] == []
    assert roles(emulator, made) == {FULL_ACCESS, IMAP, GRAPH_MAIL_READ}
    unchanged(emulator, params)
    assert len(requests_to(emulator)) == 2  # the second for the names of what is foreign

    exact = {**params, "exclusive": True}
    seen = unfailed(run("entra_admin_consent", exact, emulator, check_mode=True))
    emulator.clear_journal()
    result = unfailed(run("entra_admin_consent", exact, emulator))
    assert result["steps"] == seen["steps"]
    assert roles(emulator, made) == {FULL_ACCESS}
    assert grants(emulator, made) == [(user, {"User.Read"})]  # a user's own grant is nobody else's
    assert result["foreign"] == [
        {
            "resource": "microsoft_graph",
            "application": [],
            "delegated": [],
            "users": [{"principal_id": user, "delegated": ["User.Read"]}],
        }
    ]
    del foreign[1]["users"]
    assert result["revoked"] == foreign
    batches = {row["batch"] for row in writes(emulator)}
    assert len(writes(emulator)) == 3
    assert len(batches) == 1
    assert None not in batches
    unchanged(emulator, exact)


# --- revoking ------------------------------------------------------------------------------------------------


def test_absent_revokes_what_is_listed_and_leaves_the_rest(emulator: Emulator, made: dict[str, t.Any]) -> None:
    unfailed(run("entra_admin_consent", {"app_id": made["app_id"], "permissions": BOTH}, emulator))
    assign_by_hand(emulator, made, EXCHANGE_ONLINE, IMAP)
    some = [*EWS, {"resource": "microsoft_graph", "delegated": ["Mail.Read"]}]
    params = {"app_id": made["app_id"], "permissions": some, "state": "absent"}
    result = unfailed(run("entra_admin_consent", params, emulator))
    assert roles(emulator, made) == {IMAP}
    assert grants(emulator, made) == [(None, {"User.Read"})]
    assert result["granted"] == []
    assert result["revoked"] == [
        {"resource": "exchange_online", "application": ["full_access_as_app"], "delegated": []},
        {"resource": "microsoft_graph", "application": [], "delegated": ["Mail.Read"]},
    ]
    assert result["foreign"] == [
        {"resource": "exchange_online", "application": ["IMAP.AccessAsApp"], "delegated": []},
        {"resource": "microsoft_graph", "application": [], "delegated": ["User.Read"]},
    ]
    unchanged(emulator, params)


def test_absent_and_exclusive_revokes_everything(emulator: Emulator, made: dict[str, t.Any]) -> None:
    unfailed(run("entra_admin_consent", {"app_id": made["app_id"], "permissions": BOTH}, emulator))
    assign_by_hand(emulator, made, GRAPH_APP, GRAPH_MAIL_READ)
    params = {"app_id": made["app_id"], "exclusive": True, "state": "absent"}
    unfailed(run("entra_admin_consent", params, emulator))
    assert roles(emulator, made) == set()
    assert grants(emulator, made) == []
    unchanged(emulator, params)


def test_absent_is_content_without_an_application(emulator: Emulator) -> None:
    params = {"app_id": ZERO.replace("0", "1"), "permissions": EWS, "state": "absent"}
    assert unchanged(emulator, params)["summary"] == "nothing to revoke"
    assert len(requests_to(emulator)) == 1


# --- what must not happen ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"app_id": "nonsense", "permissions": EWS}, "not a GUID"),
        ({"app_id": ZERO, "permissions": EWS}, "all zeros"),
        ({"app_id": GRAPH_APP}, "permissions is missing"),
        ({"app_id": GRAPH_APP, "state": "absent"}, "permissions is missing"),
        ({"app_id": GRAPH_APP, "permissions": [{"resource": "x", "application": ["y"]}]}, "not a resource"),
    ],
)
def test_bad_options_are_refused_before_any_request(emulator: Emulator, params: dict[str, t.Any], says: str) -> None:
    emulator.clear_journal()
    result = run("entra_admin_consent", params, emulator)
    assert (result["failed"], result["error"]["kind"]) == (True, "InvalidInput")
    assert says in result["msg"]
    assert emulator.journal() == []


def test_unknown_names_are_refused_before_anything_is_written(emulator: Emulator, made: dict[str, t.Any]) -> None:
    permissions = [{"resource": "exchange_online", "application": ["full_access_as_app", "IMAP.AcessAsApp"]}]
    result = run("entra_admin_consent", {"app_id": made["app_id"], "permissions": permissions}, emulator)
    assert result["outcome"] == "failed"
    assert "nearest: IMAP.AccessAsApp" in result["msg"]
    assert writes(emulator) == []


@pytest.mark.parametrize("effect", ["drop_before", "drop_after"])
@pytest.mark.parametrize("nth", [1, 2], ids=["read", "write"])
def test_a_lost_answer_leaves_every_grant_once(
    emulator: Emulator, made: dict[str, t.Any], effect: str, nth: int
) -> None:
    emulator.faults([{"match": {"path_regex": r".*/\$batch"}, "nth": nth, "effect": effect}])
    params = {"app_id": made["app_id"], "permissions": BOTH}
    result = unfailed(run("entra_admin_consent", params, emulator))
    assert result["changed"]
    assert roles(emulator, made) == {FULL_ACCESS}
    assert grants(emulator, made) == [(None, {"User.Read", "Mail.Read"})]
    emulator.faults([])
    unchanged(emulator, params)


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        (r".*/appRoleAssignedTo", 400, "Not a valid reference update."),
        (
            r".*/oauth2PermissionGrants$",
            404,
            "Resource 'x' does not exist or one of its queried reference-property objects are not present.",
        ),
    ],
)
def test_what_is_not_replicated_yet_is_tried_again_alone(
    emulator: Emulator, made: dict[str, t.Any], path: str, status: int, message: str
) -> None:
    code = "Request_BadRequest" if status == 400 else "Directory_ObjectNotFound"
    refusal = {"status": status, "body": {"error": {"code": code, "message": message}}}
    emulator.faults([{"match": {"path_regex": path, "method": "POST"}, "times": 2, "effect": refusal}])
    params = {"app_id": made["app_id"], "permissions": BOTH}
    result = unfailed(run("entra_admin_consent", params, emulator))
    assert result["changed"]
    assert len(writes(emulator)) == 4
    assert roles(emulator, made) == {FULL_ACCESS}
    assert grants(emulator, made) == [(None, {"User.Read", "Mail.Read"})]


def test_patience_ends_and_says_what_was_done(emulator: Emulator, made: dict[str, t.Any]) -> None:
    refusal = {
        "status": 400,
        "body": {"error": {"code": "Request_BadRequest", "message": "Not a valid reference update."}},
    }
    emulator.faults(
        [{"match": {"path_regex": r".*/appRoleAssignedTo", "method": "POST"}, "times": 99, "effect": refusal}]
    )
    result = run("entra_admin_consent", {"app_id": made["app_id"], "permissions": BOTH}, emulator, patience=1)
    assert (result["failed"], result["changed"]) == (True, True)
    assert "Could not grant full_access_as_app" in result["msg"]
    assert result["error"]["done"] == ["grant Mail.Read, User.Read (delegated, for all users) of microsoft_graph"]


def test_a_grant_that_others_made_at_the_same_time_is_joined(emulator: Emulator, made: dict[str, t.Any]) -> None:
    """Our read saw no delegated grant, theirs came, ours is refused as existing: both have to be there."""
    params = {"app_id": made["app_id"], "permissions": BOTH}
    grant_by_hand(emulator, made, "offline_access")
    assign_by_hand(emulator, made, EXCHANGE_ONLINE, FULL_ACCESS)
    nothing = {"status": 200, "body": {"value": []}}
    emulator.faults(
        [
            {"match": {"path_regex": r".*\)/oauth2PermissionGrants", "method": "GET"}, "times": 1, "effect": nothing},
            {"match": {"path_regex": r".*/appRoleAssignments", "method": "GET"}, "times": 1, "effect": nothing},
        ]
    )
    result = unfailed(run("entra_admin_consent", params, emulator))
    assert result["changed"]
    assert grants(emulator, made) == [(None, {"User.Read", "Mail.Read", "offline_access"})]
    assert roles(emulator, made) == {FULL_ACCESS}
    emulator.faults([])
    unchanged(emulator, params)


def test_an_operator_without_the_permission_is_told_which(emulator: Emulator, made: dict[str, t.Any]) -> None:
    refusal = {"status": 403, "body": {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient."}}}
    emulator.faults(
        [{"match": {"path_regex": r".*/appRoleAssignedTo", "method": "POST"}, "times": 99, "effect": refusal}]
    )
    result = run("entra_admin_consent", {"app_id": made["app_id"], "permissions": EWS}, emulator)
    assert (result["failed"], result["changed"], result["error"]["kind"]) == (True, False, "Forbidden")
    assert result["outcome"] == "blocked"
    assert "AppRoleAssignment.ReadWrite.All" in result["msg"]
    assert "Privileged Role Administrator" in result["msg"]


def test_a_failed_read_is_no_absence(emulator: Emulator, made: dict[str, t.Any]) -> None:
    refusal = {"status": 403, "body": {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient."}}}
    emulator.faults(
        [{"match": {"path_regex": r".*/appRoleAssignments", "method": "GET"}, "times": 99, "effect": refusal}]
    )
    result = run("entra_admin_consent", {"app_id": made["app_id"], "permissions": EWS}, emulator)
    assert result["failed"]
    assert "Could not read the application's app roles" in result["msg"]
    assert writes(emulator) == []


@pytest.mark.slow
def test_right_after_the_application_it_waits_for_the_replicas() -> None:
    with start_emulator(profile="realistic") as emulator:
        options = {"unique_name": "mail2fax", "display_name": "Mail2DigitalFax", "permissions": BOTH}
        made = unfailed(run("entra_application", options, emulator, patience=90))
        params: dict[str, t.Any] = {"app_id": made["app_id"], "permissions": BOTH}
        unfailed(run("entra_admin_consent", params, emulator, patience=90))
        assert roles(emulator, made) == {FULL_ACCESS}
        assert grants(emulator, made) == [(None, {"User.Read", "Mail.Read"})]
        # Until every replica shows them: a second grant is refused as existing, and then read back.
        unfailed(run("entra_admin_consent", params, emulator, patience=90))
        gone = {**params, "state": "absent"}
        unfailed(run("entra_admin_consent", gone, emulator, patience=90))
        assert roles(emulator, made) == set()
        assert grants(emulator, made) == []


def test_the_operators_secret_is_nowhere(emulator: Emulator, made: dict[str, t.Any]) -> None:
    result = run("entra_admin_consent", {"app_id": made["app_id"], "permissions": EWS}, emulator)
    assert OPERATOR["client_secret"] not in repr(result)
