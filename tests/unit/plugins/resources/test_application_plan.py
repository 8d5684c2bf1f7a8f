# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What entra_application plans, from what is there and what is wanted. No request, no clock."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _added, _directory, _permissions, _time
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import Wanted
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import application_plan as application
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_plan import LOCKED
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_state import Desired, State

NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
GRAPH = "00000003-0000-0000-c000-000000000000"
FULL = "dc890d15-9560-4a4c-9b7f-a736ec74ec40"
IMAP = "5e5addcd-3e8d-4e90-baf5-964efab2b20a"
READ = "e1fe6dd8-ba31-4d61-89e7-88639da4683d"
APP_ID = "1cb8b5d2-8724-4f32-8152-a16a230b682b"

OFFERS = _permissions.offers_from(
    [
        {
            "id": "e0000000-0000-4000-8000-000000000001",
            "appId": EXCHANGE,
            "appRoles": [
                {"id": FULL, "value": "full_access_as_app", "isEnabled": True, "allowedMemberTypes": ["Application"]},
                {"id": IMAP, "value": "IMAP.AccessAsApp", "isEnabled": True, "allowedMemberTypes": ["Application"]},
            ],
        },
        {
            "id": "e0000000-0000-4000-8000-000000000002",
            "appId": GRAPH,
            "oauth2PermissionScopes": [{"id": READ, "value": "User.Read", "isEnabled": True}],
        },
    ]
)
FULL_ACCESS = {"resourceAppId": EXCHANGE, "resourceAccess": [{"id": FULL, "type": "Role"}]}
USER_READ = {"resourceAppId": GRAPH, "resourceAccess": [{"id": READ, "type": "Scope"}]}


def document(**more: t.Any) -> dict[str, t.Any]:
    return {
        "id": "0b1ec700-0000-4000-8000-000000000001",
        "appId": APP_ID,
        "displayName": "Mail2DigitalFax",
        "uniqueName": "mail2fax",
        "signInAudience": "AzureADMyOrg",
        "notes": None,
        "tags": [],
        "createdDateTime": "2026-11-01T00:00:00.1234567Z",
        "requiredResourceAccess": [FULL_ACCESS],
        "passwordCredentials": [],
        **more,
    }


def principal(**more: t.Any) -> dict[str, t.Any]:
    return {"id": "5e7b1ce0-0000-4000-8000-000000000001", "appId": APP_ID, "accountEnabled": True, **more}


LIVE = State(application=document(), service_principal=principal(), offers=OFFERS)
EMPTY = State(offers=OFFERS)
WANTED = Desired(
    unique_name="mail2fax",
    display_name="Mail2DigitalFax",
    permissions=(Wanted(EXCHANGE, ("full_access_as_app",)),),
)
ADOPTED = dataclasses.replace(WANTED, app_id=APP_ID)
GONE = State(
    deleted=document(
        deletedDateTime="2026-11-11T12:00:00Z",
        passwordCredentials=[
            {
                "keyId": "k1",
                "displayName": "first",
                "endDateTime": "2027-01-01T00:00:00Z",
                "secretText": None,
                "hint": "abc",
            },
            {
                "keyId": "k2",
                "displayName": None,
                "endDateTime": "2028-01-01T00:00:00Z",
                "secretText": None,
                "hint": "def",
            },
        ],
    ),
    deleted_service_principal={"id": "5e7b1ce0-0000-4000-8000-000000000009", "appId": APP_ID},
    offers=OFFERS,
)


def planned(current: State, desired: Desired = WANTED, **options: t.Any) -> Plan:
    return application.plan(current, dataclasses.replace(desired, **options), NOW)


def name_of(step: t.Any) -> str:
    """``create_principal`` for a step of the type CreatePrincipal."""
    return re.sub("(?<!^)(?=[A-Z])", "_", type(step).__name__).lower()


def names(plan: Plan) -> list[str]:
    return [name_of(step) for step in plan.steps]


def arguments(step: t.Any) -> dict[str, t.Any]:
    return {field.name: getattr(step, field.name) for field in dataclasses.fields(step) if field.name != "title"}


def updates(plan: Plan) -> dict[str, t.Any]:
    (step,) = plan.steps
    assert name_of(step) == "update"
    assert step.id == document()["id"]
    return dict(step.properties)


# --- new -----------------------------------------------------------------------------------------------------


def test_nothing_there_is_made_whole_in_one_write_and_gets_a_service_principal() -> None:
    plan = planned(EMPTY)
    create, service_principal = plan.steps
    assert name_of(create) == "create"
    assert create.properties == {
        "displayName": "Mail2DigitalFax",
        "signInAudience": "AzureADMyOrg",
        "requiredResourceAccess": [FULL_ACCESS],
        "servicePrincipalLockConfiguration": LOCKED,
    }
    assert name_of(service_principal) == "create_principal"
    assert arguments(service_principal) == {"app_id": None, "enabled": True, "anew": False}
    assert plan.before == {"application": "absent"}
    assert plan.after["permissions"] == ["exchange_online full_access_as_app (application)"]
    assert (plan.after["unique_name"], plan.after["service_principal"]) == ("mail2fax", "enabled")
    assert plan.result["app_id"] == plan.result["service_principal_id"] == ZERO_GUID
    assert plan.result["application"]["object_id"] == ZERO_GUID
    assert plan.outcome == "changed"


def test_the_audience_is_always_said() -> None:
    """Left out, the service would let personal accounts in."""
    plan = planned(EMPTY, sign_in_audience="AzureADMultipleOrgs", permissions=None)
    assert plan.steps[0].properties == {
        "displayName": "Mail2DigitalFax",
        "signInAudience": "AzureADMultipleOrgs",
        "servicePrincipalLockConfiguration": LOCKED,
    }


def test_everything_declared_goes_into_the_create() -> None:
    plan = planned(EMPTY, notes="n", tags=("b", "a", "b"), permissions=(), enabled=False)
    assert plan.steps[0].properties == {
        "displayName": "Mail2DigitalFax",
        "signInAudience": "AzureADMyOrg",
        "servicePrincipalLockConfiguration": LOCKED,
        "notes": "n",
        "tags": ["a", "b"],
    }
    assert plan.steps[1].enabled is False
    assert plan.after["service_principal"] == "disabled"


def test_no_service_principal_is_made_when_none_is_wanted() -> None:
    plan = planned(EMPTY, service_principal=False)
    assert names(plan) == ["create"]
    assert plan.result["service_principal_id"] is None
    assert plan.after["service_principal"] == "absent"


# --- as declared, and drift ----------------------------------------------------------------------------------


def test_as_declared_nothing_is_planned_and_both_sides_are_alike() -> None:
    plan = planned(LIVE)
    assert (plan.steps, plan.outcome, plan.warnings) == ([], "ok", [])
    assert plan.before == plan.after
    assert plan.result["app_id"] == APP_ID
    assert plan.result["service_principal_id"] == principal()["id"]
    assert plan.result["application"]["permissions"] == [
        {"resource": "exchange_online", "application": ["full_access_as_app"], "delegated": []}
    ]


@pytest.mark.parametrize(
    ("found", "options", "change"),
    [
        ({"displayName": "renamed"}, {}, {"displayName": "Mail2DigitalFax"}),
        ({"signInAudience": "AzureADandPersonalMicrosoftAccount"}, {}, {"signInAudience": "AzureADMyOrg"}),
        ({"requiredResourceAccess": []}, {}, {"requiredResourceAccess": [FULL_ACCESS]}),
        ({"requiredResourceAccess": [FULL_ACCESS, USER_READ]}, {}, {"requiredResourceAccess": [FULL_ACCESS]}),
        ({}, {"permissions": ()}, {"requiredResourceAccess": []}),
        ({"notes": "x"}, {"notes": "y"}, {"notes": "y"}),
        ({"notes": "x"}, {"notes": ""}, {"notes": ""}),
        ({"tags": ["b"]}, {"tags": ("a",)}, {"tags": ["a"]}),
        ({"tags": ["b"]}, {"tags": ()}, {"tags": []}),
    ],
)
def test_only_what_differs_is_written(
    found: dict[str, t.Any], options: dict[str, t.Any], change: dict[str, t.Any]
) -> None:
    plan = planned(dataclasses.replace(LIVE, application=document(**found)), **options)
    assert updates(plan) == change
    (name,) = change
    option = {
        "displayName": "display_name",
        "signInAudience": "sign_in_audience",
        "requiredResourceAccess": "permissions",
    }
    assert {key for key in plan.after if plan.after[key] != plan.before[key]} == {option.get(name, name)}
    assert option.get(name, name) in plan.summary


@pytest.mark.parametrize(
    ("found", "options"),
    [
        ({"requiredResourceAccess": [FULL_ACCESS, USER_READ]}, {"permissions": None}),
        ({"requiredResourceAccess": [USER_READ, FULL_ACCESS]}, {"exclusive_permissions": False}),
        (
            {
                "requiredResourceAccess": [
                    {"resourceAppId": EXCHANGE.upper(), "resourceAccess": FULL_ACCESS["resourceAccess"]}
                ]
            },
            {},
        ),
        ({"notes": "by hand", "tags": ["by hand"]}, {}),
        ({"notes": None}, {"notes": ""}),
        ({"tags": ["b", "a"]}, {"tags": ("a", "b")}),
        ({"displayName": "anything"}, {"display_name": None}),
    ],
    ids=["unmanaged", "not exclusive", "case", "left out", "no notes", "order", "name not managed"],
)
def test_what_is_not_managed_or_means_the_same_is_left_alone(
    found: dict[str, t.Any], options: dict[str, t.Any]
) -> None:
    plan = planned(dataclasses.replace(LIVE, application=document(**found)), **options)
    assert plan.steps == []


def test_not_exclusive_adds_and_keeps() -> None:
    current = dataclasses.replace(LIVE, application=document(requiredResourceAccess=[USER_READ]))
    change = updates(planned(current, exclusive_permissions=False))
    assert change == {"requiredResourceAccess": [FULL_ACCESS, USER_READ]}


def test_several_differences_are_one_write() -> None:
    current = dataclasses.replace(LIVE, application=document(displayName="x", requiredResourceAccess=[]))
    plan = planned(current)
    assert set(updates(plan)) == {"displayName", "requiredResourceAccess"}
    assert plan.steps[0].title == "set display_name, permissions of 'Mail2DigitalFax'"


def test_a_missing_service_principal_is_made_and_a_deleted_one_purged_first() -> None:
    missing = dataclasses.replace(LIVE, service_principal=None)
    plan = planned(missing)
    assert names(plan) == ["create_principal"]
    assert arguments(plan.steps[0]) == {"app_id": APP_ID, "enabled": True, "anew": False}
    assert plan.result["service_principal_id"] == ZERO_GUID
    assert plan.before["service_principal"] == "absent"
    deleted = dataclasses.replace(missing, deleted_service_principal={"id": "old"})
    plan = planned(deleted)
    assert names(plan) == ["purge_principal", "create_principal"]
    assert arguments(plan.steps[0]) == {"id": "old"}
    assert planned(deleted, service_principal=False).steps == []


def test_sign_in_is_switched_only_when_asked() -> None:
    disabled = dataclasses.replace(LIVE, service_principal=principal(accountEnabled=False))
    plan = planned(disabled)
    assert plan.steps == []
    assert "enabled=true" in plan.warnings[0]
    plan = planned(disabled, enabled=True)
    assert [(name_of(step), arguments(step)) for step in plan.steps] == [
        ("enable_principal", {"id": principal()["id"], "enabled": True})
    ]
    assert (plan.before["service_principal"], plan.after["service_principal"]) == ("disabled", "enabled")
    assert plan.warnings == []
    assert planned(LIVE, enabled=True).steps == []
    assert planned(disabled, enabled=False).steps == []
    assert names(planned(LIVE, enabled=False)) == ["enable_principal"]
    assert planned(LIVE, enabled=False, service_principal=False).steps == []


# --- the recycle bin -----------------------------------------------------------------------------------------


def test_in_the_bin_it_stops_and_says_how_long() -> None:
    plan = planned(GONE)
    assert plan.blocked is not None
    assert plan.steps == []
    text = str(plan.blocked)
    for word in ("2026-11-11", "20 days left", APP_ID, "on_deleted=restore", "on_deleted=purge", "another unique_name"):
        assert word in text
    assert plan.blocked.details["deleted"]["recoverable_until"] == "2026-12-11T12:00:00Z"
    assert plan.before == plan.after == {"application": "in the recycle bin"}


@pytest.mark.parametrize(
    ("deleted", "left"),
    [
        ("2026-10-22T12:00:01Z", "0 days left"),
        ("2026-10-23T12:00:00.0000001Z", "1 day left"),
        ("2026-10-01T00:00:00Z", "0 days left"),
        ("2026-11-21T12:00:00Z", "30 days left"),
    ],
)
def test_days_left_are_whole_ones(deleted: str, left: str) -> None:
    plan = planned(State(deleted=document(deletedDateTime=deleted), offers=OFFERS))
    assert left in str(plan.blocked)


def test_a_deletion_without_a_date_is_told_without_one() -> None:
    plan = planned(State(deleted=document(deletedDateTime=None), offers=OFFERS))
    assert plan.blocked is not None
    assert "left" not in str(plan.blocked)
    assert plan.blocked.details["deleted"]["recoverable_until"] is None


def test_restore_purges_the_old_service_principal_first_and_makes_a_new_one() -> None:
    plan = planned(GONE, on_deleted="restore", display_name="Other")
    assert names(plan) == ["purge_principal", "restore", "update", "create_principal"]
    assert arguments(plan.steps[1]) == {"id": document()["id"]}
    assert plan.steps[2].properties == {"displayName": "Other"}
    assert arguments(plan.steps[3]) == {"app_id": APP_ID, "enabled": True, "anew": True}
    assert plan.result["app_id"] == APP_ID
    assert plan.result["service_principal_id"] == ZERO_GUID
    assert [item["key_id"] for item in plan.result["old_secrets"]] == ["k2", "k1"]
    assert "first (until 2027-01-01T00:00:00Z)" in plan.warnings[0]
    assert "hint" not in repr(plan.result)
    assert "abc" not in repr(plan)
    assert plan.before == {"application": "in the recycle bin"}


def test_restore_also_removes_a_service_principal_that_outlived_its_application() -> None:
    current = dataclasses.replace(GONE, service_principal=principal(), deleted_service_principal=None)
    plan = planned(current, on_deleted="restore")
    assert names(plan) == ["delete_principal", "purge_principal", "restore", "create_principal"]
    assert {step.id for step in plan.steps[:2]} == {principal()["id"]}


def test_restore_without_secrets_warns_of_none() -> None:
    current = State(deleted=document(deletedDateTime="2026-11-11T12:00:00Z"), offers=OFFERS)
    plan = planned(current, on_deleted="restore")
    assert plan.warnings == []
    assert plan.result["old_secrets"] == []
    assert names(plan) == ["restore", "create_principal"]


def test_restore_without_a_wanted_service_principal_still_drops_the_old_one() -> None:
    assert names(planned(GONE, on_deleted="restore", service_principal=False)) == ["purge_principal", "restore"]


def test_purge_removes_both_and_makes_a_new_one() -> None:
    plan = planned(GONE, on_deleted="purge")
    assert names(plan) == ["purge_principal", "purge", "create", "create_principal"]
    assert arguments(plan.steps[1]) == {"id": document()["id"]}
    assert plan.steps[3].app_id is None
    assert plan.result["app_id"] == ZERO_GUID
    assert "old_secrets" not in plan.result
    assert "in place of a deleted one" in plan.summary


def test_a_live_application_is_not_bothered_by_the_bin() -> None:
    current = dataclasses.replace(LIVE, deleted=GONE.deleted)
    assert planned(current).steps == []


# --- whose application is it? --------------------------------------------------------------------------------


def test_namesakes_stop_a_create_and_are_listed_oldest_first() -> None:
    young = document(id="2", appId="b", createdDateTime="2026-02-01T00:00:00Z", uniqueName=None)
    old = document(
        id="1",
        appId="a",
        createdDateTime="2025-02-01T00:00:00Z",
        owners=[
            {"@odata.type": "#microsoft.graph.user", "id": "u", "displayName": "Adele", "userPrincipalName": "a@b"}
        ],
    )
    plan = planned(State(namesakes=(young, old), offers=OFFERS))
    assert plan.blocked is not None
    found = plan.blocked.details["namesakes"]
    assert [item["app_id"] for item in found] == ["a", "b"]
    assert found[0]["owners"] == [{"id": "u", "type": "user", "display_name": "Adele", "user_principal_name": "a@b"}]
    text = str(plan.blocked)
    for word in (
        "2 other applications are",
        "app id a",
        "2025-02-01",
        "owned by Adele",
        "unique name none",
        "set app_id",
    ):
        assert word in text
    assert plan.result["app_id"] is None
    assert names(planned(State(namesakes=(young,), offers=OFFERS), on_namesake="ignore"))[0] == "create"
    assert "1 other application is" in str(planned(State(namesakes=(young,), offers=OFFERS)).blocked)


def test_namesakes_stop_a_create_after_a_purge_too() -> None:
    current = dataclasses.replace(GONE, namesakes=(document(id="2"),))
    plan = planned(current, on_deleted="purge")
    assert plan.blocked is not None
    assert plan.steps == []


def test_an_unknown_app_id_is_never_made_up() -> None:
    plan = planned(EMPTY, ADOPTED)
    assert plan.blocked is not None
    assert APP_ID in str(plan.blocked)
    assert plan.steps == []


def test_adoption_gives_the_unique_name_once() -> None:
    current = dataclasses.replace(LIVE, application=document(uniqueName=None))
    assert updates(planned(current, ADOPTED)) == {"uniqueName": "mail2fax"}
    assert planned(LIVE, ADOPTED).steps == []
    assert planned(current, ADOPTED, unique_name=None).steps == []


def test_another_unique_name_blocks_an_adoption() -> None:
    plan = planned(dataclasses.replace(LIVE, application=document(uniqueName="theirs")), ADOPTED)
    assert plan.blocked is not None
    assert "'theirs'" in str(plan.blocked)
    assert plan.result["app_id"] == APP_ID


def test_a_unique_name_of_somebody_else_blocks_an_adoption() -> None:
    holder = document(id="other", appId="other-app")
    current = dataclasses.replace(LIVE, application=document(uniqueName=None), holder=holder)
    plan = planned(current, ADOPTED)
    assert plan.blocked is not None
    assert "other-app" in str(plan.blocked)
    own = dataclasses.replace(LIVE, holder=document())
    assert planned(own, ADOPTED).blocked is None


def test_a_deleted_one_is_adopted_by_restoring_it() -> None:
    plan = planned(GONE, ADOPTED, on_deleted="restore")
    assert "restore" in names(plan)
    assert planned(GONE, ADOPTED).blocked is not None


# --- permissions that cannot be had --------------------------------------------------------------------------


def test_a_missing_resource_blocks_before_anything_is_made() -> None:
    plan = planned(State())
    assert plan.blocked is not None
    assert "Exchange Online" in str(plan.blocked)
    assert plan.steps == []


def test_an_unknown_name_is_an_error_whatever_else_is_there() -> None:
    for current in (EMPTY, LIVE, GONE):
        with pytest.raises(InvalidInput):
            planned(current, permissions=(Wanted(EXCHANGE, ("nope",)),))


# --- absent --------------------------------------------------------------------------------------------------


def test_absent_takes_the_service_principal_first() -> None:
    plan = planned(LIVE, state="absent")
    assert names(plan) == ["delete_principal", "delete"]
    assert [step.id for step in plan.steps] == [principal()["id"], document()["id"]]
    assert plan.result == {
        "application": None,
        "app_id": APP_ID,
        "service_principal_id": None,
        "recoverable_until": "2026-12-21T12:00:00Z",
    }
    assert plan.before["application"] == "present"
    assert plan.after == {"application": "in the recycle bin"}


def test_absent_asks_nothing_of_permissions() -> None:
    assert names(planned(State(application=document()), state="absent", permissions=(Wanted("x", ("y",)),))) == [
        "delete"
    ]


def test_absent_and_purge_leave_nothing() -> None:
    plan = planned(LIVE, state="absent", purge=True)
    assert names(plan) == ["delete_principal", "delete", "purge_principal", "purge"]
    assert [step.id for step in plan.steps[2:]] == [principal()["id"], document()["id"]]
    assert plan.after == {"application": "absent"}
    assert "recoverable_until" not in plan.result
    assert plan.summary.endswith("deleted for good")


def test_absent_and_in_the_bin_is_content_unless_it_shall_be_purged() -> None:
    plan = planned(GONE, state="absent")
    assert (plan.steps, plan.outcome) == ([], "ok")
    assert plan.result["recoverable_until"] == "2026-12-11T12:00:00Z"
    assert plan.before == plan.after
    plan = planned(GONE, state="absent", purge=True)
    assert names(plan) == ["purge_principal", "purge"]
    assert plan.result["app_id"] == APP_ID


def test_absent_already_is_content() -> None:
    for purge in (False, True):
        plan = planned(EMPTY, state="absent", purge=purge)
        assert (plan.steps, plan.outcome) == ([], "ok")
        assert plan.result["app_id"] is None


# --- shapes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T12:00:00Z", dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)),
        ("2026-11-21T12:00:00.1234567Z", dt.datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=dt.UTC)),
        ("2026-11-21T12:00:00.5Z", dt.datetime(2026, 11, 21, 12, 0, 0, 500000, tzinfo=dt.UTC)),
        ("nonsense", None),
        ("", None),
        (None, None),
    ],
)
def test_graphs_timestamps(text: t.Any, expected: dt.datetime | None) -> None:
    assert _time.instant(text) == expected


def test_redirect_uris_of_all_platforms_are_shown() -> None:
    shown = _directory.describe(
        document(web={"redirectUris": ["https://b"]}, spa={"redirectUris": ["https://a"]}, publicClient=None), OFFERS
    )
    assert shown["redirect_uris"] == ["https://a", "https://b"]


def test_names_are_literals_in_every_address() -> None:
    name = "O'Reilly & 50%/x"
    literal = "'O%27%27Reilly%20%26%2050%25%2Fx'"
    assert _directory.find_call(unique_name=name).path.startswith(f"/applications(uniqueName={literal})?")
    for call in (_directory.deleted_call("uniqueName", name), _directory.named_call(name)):
        assert f"%20eq%20{literal}&" in call.path


# --- what others made ----------------------------------------------------------------------------------------


def test_what_an_adopted_application_lacked_is_added() -> None:
    adopting = Desired(app_id=APP_ID, permissions=(Wanted(EXCHANGE, ("full_access_as_app",)),))
    bare = document(requiredResourceAccess=[USER_READ])
    plan = planned(State(application=bare, offers=OFFERS), adopting)
    before = [{"resource": "microsoft_graph", "application": [], "delegated": ["User.Read"]}]
    assert plan.added == [
        _added.entry("service_principal", APP_ID, APP_ID),
        *_added.permissions(
            "permission", APP_ID, [{"resource": "exchange_online", "application": ["full_access_as_app"]}]
        ),
        _added.entry("setting", APP_ID, "permissions", before=before),
    ]
    assert planned(State(application=document(), service_principal=principal(), offers=OFFERS), adopting).added == []
    assert planned(State(offers=OFFERS), WANTED).added == [_added.entry("application", None, None)]


def test_released_takes_off_what_is_listed_and_no_more() -> None:
    current = State(
        application=document(requiredResourceAccess=[FULL_ACCESS, USER_READ]),
        service_principal=principal(),
        offers=OFFERS,
    )
    released = Desired(app_id=APP_ID, state="released", permissions=(Wanted(EXCHANGE, ("full_access_as_app",)),))
    plan = planned(current, released)
    assert names(plan) == ["update"]
    assert updates(plan) == {"requiredResourceAccess": [USER_READ]}
    assert not plan.added
    whole = planned(current, released, release_service_principal=True)
    assert names(whole) == ["update", "delete_principal"]
    assert whole.result["service_principal_id"] is None
    assert planned(current, released, permissions=()).steps == []
    assert planned(State(offers=OFFERS), released).steps == []
