# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose an application is, and who else can sign in as it, in an emulated tenant where somebody was there first."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from tests.emulator.hosted import start_hosted
from tests.emulator.testing import Emulator, start_emulator
from tests.integration.harness import DOMAIN, OPERATOR, TENANT_ID, requests_to, run, writes
from tests.integration.test_playbooks import Site

ME = OPERATOR["client_id"]
STRANGER = "66666666-0000-4000-8000-000000000001"
SQUATTED, BINNED = "77777777-0000-4000-8000-000000000001", "77777777-0000-4000-8000-000000000002"
OLD, BY_HAND = "77777777-0000-4000-8000-000000000003", "77777777-0000-4000-8000-000000000004"
FAX, ADELE = f"fax@{DOMAIN}", f"AdeleV@{DOMAIN}"
EXCHANGE_ONLINE = "00000002-0000-0ff1-ce00-000000000000"
PERMISSIONS = [{"resource": "exchange_online", "application": ["full_access_as_app"]}]
WIDE = [{"resource": "microsoft_graph", "application": ["Directory.ReadWrite.All"]}]
SECRET = {"displayName": "DigitalFax", "keyId": "88888888-0000-4000-8000-000000000001"}
TENANT: dict[str, t.Any] = {
    "id": TENANT_ID,
    "domains": [DOMAIN],
    "operators": [
        {
            "client_id": ME,
            "client_secret": OPERATOR["client_secret"],
            "app_roles": [
                *("Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Exchange.ManageAsApp"),
                *("DelegatedPermissionGrant.ReadWrite.All", "Policy.Read.All"),
            ],
            "directory_roles": ["Exchange Administrator"],
        },
        {"client_id": STRANGER, "client_secret": "s", "app_roles": ["Application.ReadWrite.All"]},
    ],
    "token_lifetime_policies": [{"display_name": "Long", "minutes": 600, "resource": EXCHANGE_ONLINE}],
    "mailboxes": [
        {"address": FAX, "display_name": "Digital Fax"},
        {"address": ADELE, "display_name": "Adele Vance"},
    ],
    "applications": [
        {"appId": SQUATTED, "displayName": "Fax", "uniqueName": "squatted", "createdByAppId": STRANGER},
        {
            "appId": BINNED,
            "displayName": "Binned",
            "uniqueName": "binned",
            "createdByAppId": ME,
            "passwordCredentials": [SECRET],
            "deleted": True,
        },
        {"appId": OLD, "displayName": "Old", "uniqueName": "old"},
        {
            "appId": BY_HAND,
            "displayName": "By hand",
            "createdByAppId": STRANGER,
            "signInAudience": "AzureADMultipleOrgs",
        },
    ],
}


@pytest.fixture(scope="module")
def running() -> t.Iterator[Emulator]:
    with start_emulator({"tenants": [TENANT]}) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    return running.reset()


def register(emulator: Emulator, name: str = "mail2fax", **options: t.Any) -> dict[str, t.Any]:
    base = {"unique_name": name, "display_name": "Mail2DigitalFax", "permissions": PERMISSIONS, "known_key_ids": []}
    return run("entra_application", {**base, **options}, emulator)


def grant(emulator: Emulator, app_id: str, **options: t.Any) -> dict[str, t.Any]:
    base = {"app_id": app_id, "permissions": PERMISSIONS, "known_key_ids": []}
    return run("entra_admin_consent", {**base, **options}, emulator)


def granted(emulator: Emulator, app_id: str) -> list[str]:
    state = emulator.state(TENANT_ID)
    ids = {item["id"] for item in state["servicePrincipals"] if item["appId"] == app_id}
    return [item["id"] for item in state["appRoleAssignments"] if item["principalId"] in ids]


def by_a_stranger(emulator: Emulator, path: str, body: t.Any) -> dict[str, t.Any]:
    token = emulator.token(DOMAIN, STRANGER, "s")
    with emulator.session() as session:
        headers = {"Authorization": f"Bearer {token}"}
        answer = session.post(f"https://graph.microsoft.com/v1.0{path}", json=body, headers=headers, timeout=30)
    assert answer.status_code < 400, answer.text
    return t.cast("dict[str, t.Any]", answer.json()) if answer.content else {}


@pytest.mark.parametrize(
    ("name", "options", "outcome"),
    [
        ("squatted", {}, "blocked"),
        ("squatted", {"trusted_app_ids": [STRANGER]}, "changed"),
        ("squatted", {"trusted_app_ids": [SQUATTED]}, "changed"),
        ("squatted", {"app_id": SQUATTED}, "changed"),
        ("squatted", {"state": "absent"}, "blocked"),
        # Entra finds a name in any capitals; a profile's name is one that no inventory declares.
        ("Squatted", {"declared": []}, "blocked"),
        ("SQUATTED", {"declared": [], "state": "absent"}, "blocked"),
        ("Squatted", {"declared": [], "trusted_app_ids": [STRANGER]}, "changed"),
        ("OLD", {"declared": []}, "blocked"),
        ("old", {}, "blocked"),
        ("old", {"recorded_app_id": OLD}, "changed"),
        ("old", {"recorded_app_id": BY_HAND}, "blocked"),
        ("binned", {"on_deleted": "restore"}, "blocked"),
        ("binned", {"on_deleted": "restore", "known_key_ids": [SECRET["keyId"]]}, "changed"),
        ("binned", {"on_deleted": "purge"}, "changed"),
        ("mail2fax", {"permissions": WIDE, "extra_permissions": []}, "blocked"),
        ("mail2fax", {"permissions": WIDE, "extra_permissions": ["Directory.ReadWrite.All"]}, "changed"),
    ],
)
def test_who_was_there_first_is_looked_at_before_anything_is_written(
    emulator: Emulator, name: str, options: dict[str, t.Any], outcome: str
) -> None:
    result = register(emulator, name, **options)
    assert result["outcome"] == outcome, result
    assert (writes(emulator) == []) is (outcome == "blocked")


def test_a_stranger_who_comes_between_two_steps_gets_no_grant(emulator: Emulator) -> None:
    made = register(emulator)
    app, principal = made["application"]["object_id"], made["service_principal_id"]
    assert the(emulator, made["app_id"])["servicePrincipalLockConfiguration"]["isEnabled"] is True
    ways = {
        f"/applications/{app}/addPassword": {"passwordCredential": {"displayName": "x"}},
        f"/applications/{app}/federatedIdentityCredentials": {
            "name": "x",
            "issuer": "https://token.example",
            "subject": "repo:x/y",
            "audiences": ["api://AzureADTokenExchange"],
        },
        f"/applications/{app}/owners/$ref": {
            "@odata.id": f"https://graph.microsoft.com/v1.0/users/{mailbox(emulator)}"
        },
        f"/servicePrincipals/{principal}/owners/$ref": {
            "@odata.id": f"https://graph.microsoft.com/v1.0/users/{mailbox(emulator)}"
        },
    }
    for number, (path, body) in enumerate(ways.items(), 1):
        by_a_stranger(emulator, path, body)
        emulator.clear_journal()
        stopped = grant(emulator, made["app_id"])
        assert (stopped["outcome"], writes(emulator)) == ("blocked", [])
        assert len(stopped["error"]["details"]["strangers"]) == min(number, 3), "the same owner of both is one"
        again = register(emulator, display_name="Other")
        assert (again["outcome"], writes(emulator)) == ("blocked", [])
    accepted = [item["id"] for item in stopped["error"]["details"]["strangers"]]
    assert grant(emulator, made["app_id"], accept_credentials=accepted)["outcome"] == "changed"


def the(emulator: Emulator, app_id: str) -> dict[str, t.Any]:
    return next(item for item in emulator.state(TENANT_ID)["applications"] if item["appId"] == app_id)


def mailbox(emulator: Emulator) -> str:
    found = emulator.state(TENANT_ID)["mailboxes"]
    return str(next(item for item in found if item["PrimarySmtpAddress"] == ADELE)["ExternalDirectoryObjectId"])


# --- the record ----------------------------------------------------------------------------------------------


def test_the_record_goes_before_a_name_that_changed(emulator: Emulator) -> None:
    app_id = register(emulator)["app_id"]
    emulator.clear_journal()
    second = register(emulator, "other", recorded_app_id=app_id)
    assert (second["outcome"], writes(emulator)) == ("blocked", [])
    assert {"app_id", "unique_name", "leave_application"} == set(second["error"]["options"])
    only_a_default = register(emulator, "other", recorded_app_id=app_id, declared=[])
    assert (only_a_default["outcome"], only_a_default["app_id"]) == ("ok", app_id)
    left = register(emulator, "other", recorded_app_id=app_id, leave_application=[app_id], on_namesake="ignore")
    assert left["outcome"] == "changed"
    assert left["app_id"] != app_id
    gone = run(
        "entra_application",
        {"unique_name": "x", "declared": [], "recorded_app_id": app_id, "state": "absent"},
        emulator,
    )
    assert gone["app_id"] == app_id
    assert gone["changed"]


def test_one_answer_that_it_is_not_there_is_no_proof(emulator: Emulator) -> None:
    app_id = register(emulator)["app_id"]
    emulator.faults(
        [
            {
                "match": {"path_regex": rf".*/applications\(appId='{app_id}'\)$"},
                "times": 1,
                "effect": {
                    "status": 404,
                    "body": {"error": {"code": "Request_ResourceNotFound", "message": "Resource does not exist."}},
                },
            }
        ]
    )
    emulator.clear_journal()
    result = register(emulator, recorded_app_id=app_id)
    assert (result["outcome"], result["app_id"], writes(emulator)) == ("ok", app_id, [])


def test_a_recorded_application_that_is_gone_for_good_stops_nothing(emulator: Emulator) -> None:
    made = register(emulator)
    run("entra_application", {"app_id": made["app_id"], "state": "absent", "purge": True}, emulator)
    anew = register(emulator, "other", recorded_app_id=made["app_id"])
    assert anew["outcome"] == "changed"
    assert anew["app_id"] != made["app_id"]


def test_an_adopted_application_keeps_what_nobody_declared(emulator: Emulator) -> None:
    adopting = {"unique_name": None, "app_id": BY_HAND, "display_name": "Mail2DigitalFax", "declared": ["app_id"]}
    adopted = register(emulator, **adopting)
    assert adopted["outcome"] == "changed"
    found = the(emulator, BY_HAND)
    assert (found["displayName"], found["signInAudience"]) == ("By hand", "AzureADMultipleOrgs")
    renamed = register(emulator, **{**adopting, "declared": ["app_id", "display_name"]})
    assert {"kind": "setting", "of": BY_HAND, "id": "display_name", "before": "By hand"} in renamed["added"]
    assert the(emulator, BY_HAND)["displayName"] == "Mail2DigitalFax"


# --- what limits ---------------------------------------------------------------------------------------------


def limited(emulator: Emulator) -> tuple[str, dict[str, t.Any]]:
    """An application, a group, a policy; and what the consent has to find standing."""
    app_id = register(emulator)["app_id"]
    group = run(
        "exchange_security_group", {"name": "Scope", "alias": "scope", "members": [FAX], "owners": []}, emulator
    )
    run("exchange_application_access_policy", {"app_id": app_id, "group": "scope", "description": "d"}, emulator)
    return app_id, {"group": group["group"]["guid"], "mailboxes": [FAX]}


def test_the_limit_is_read_once_more_right_before_the_grant(emulator: Emulator) -> None:
    app_id, limits = limited(emulator)
    assert grant(emulator, app_id, limited_by=limits)["outcome"] == "changed"
    emulator.clear_journal()
    assert grant(emulator, app_id, limited_by=limits)["outcome"] == "ok"
    assert requests_to(emulator, "outlook.office365.com") == [], "nothing to grant, nothing to look at"


@pytest.mark.parametrize("what", ["policy gone", "group gone", "member"])
def test_nothing_is_granted_where_the_limit_does_not_stand(emulator: Emulator, what: str) -> None:
    app_id, limits = limited(emulator)
    if what == "policy gone":
        run("exchange_application_access_policy", {"app_id": app_id, "group": "scope", "state": "absent"}, emulator)
    elif what == "group gone":
        limits["group"] = "99999999-9999-4999-8999-999999999999"
    else:
        group = {"name": "Scope", "alias": "scope", "members": [FAX, ADELE], "owners": []}
        run("exchange_security_group", {**group, "app_id": app_id}, emulator)
    result = run(
        "entra_admin_consent",
        {"app_id": app_id, "permissions": PERMISSIONS, "limited_by": limits},
        emulator,
        patience=0,
    )
    assert result["outcome"] == "blocked", result
    assert granted(emulator, app_id) == []


def test_a_person_is_asked_only_where_the_limit_stands(emulator: Emulator) -> None:
    app_id, limits = limited(emulator)
    asked = grant(emulator, app_id, limited_by=limits, consent="by_hand")
    assert (asked["outcome"], granted(emulator, app_id)) == ("pending", [])
    assert asked["by_hand"]["address"].endswith(f"/adminconsent?client_id={app_id}")
    run("exchange_application_access_policy", {"app_id": app_id, "group": "scope", "state": "absent"}, emulator)
    refused = run(
        "entra_admin_consent",
        {"app_id": app_id, "permissions": PERMISSIONS, "limited_by": limits, "consent": "by_hand"},
        emulator,
        patience=0,
    )
    assert refused["outcome"] == "blocked"


def test_a_revocation_tells_until_when_tokens_live(emulator: Emulator) -> None:
    app_id = register(emulator)["app_id"]
    grant(emulator, app_id)
    revoked = run("entra_admin_consent", {"app_id": app_id, "exclusive": True, "state": "absent"}, emulator)
    assert revoked["outcome"] == "changed"
    assert revoked["tokens_until"].endswith("Z")
    assert "'Long' says 10:00:00" in revoked["tokens_until_reason"]
    grant(emulator, app_id)
    params = {"app_id": app_id, "exclusive": True, "state": "absent", "token_grace_minutes": 0}
    at_once = run("entra_admin_consent", params, emulator)
    assert "declared" in at_once["tokens_until_reason"]
    assert any("nothing waits for tokens" in text for text in at_once["warnings"])
    again = run("entra_admin_consent", params, emulator)
    assert (again["tokens_until"], again.get("warnings") or []) == (None, [])


# --- whole runs ----------------------------------------------------------------------------------------------


@pytest.fixture
def hosted() -> t.Iterator[Emulator]:
    with start_hosted({"tenants": [TENANT]}) as emulator:
        yield emulator


def test_a_run_stops_at_whoever_was_there_first_or_came_later(tmp_path: pathlib.Path, hosted: Emulator) -> None:
    """By hand, blocked by a stranger, the same audited, accepted: four runs of the playbooks."""
    emulator = hosted
    name = {"mail2fax_application_unique_name": "squatted"}
    squatted = Site(tmp_path / "squatted", emulator, name).play("provision")
    assert squatted.code != 0
    assert squatted.record["outcome"] == "blocked"
    assert squatted.writes() == []

    site = Site(tmp_path / "ours", emulator, {"mail2fax_consent": "by_hand"})
    asked = site.play("provision")
    assert asked.code == 0, asked.output
    assert asked.record["outcome"] == "pending"
    app_id = asked.record["ids"]["application_id"]
    assert granted(emulator, app_id) == []
    assert f"adminconsent?client_id={app_id}" in json.dumps(asked.record)

    object_id = the(emulator, app_id)["id"]
    added = by_a_stranger(emulator, f"/applications/{object_id}/addPassword", {})
    site = Site(tmp_path / "ours", emulator)
    stopped = site.play("provision")
    assert stopped.code != 0
    assert (stopped.record["outcome"], stopped.writes()) == ("blocked", [])
    assert added["keyId"] in stopped.output
    assert granted(emulator, app_id) == []

    site = Site(tmp_path / "ours", emulator, {"mail2fax_accept_credentials": [added["keyId"]]})
    accepted = site.play("provision")
    assert accepted.code == 0, accepted.output
    assert len(granted(emulator, app_id)) == 1
    assert len(the(emulator, app_id)["passwordCredentials"]) == 2, "ours, and the accepted one"
