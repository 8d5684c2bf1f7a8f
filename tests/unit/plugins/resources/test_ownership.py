# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose an application is, which one is meant, and who else can sign in as it. No request, no clock."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _ownership
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._ownership import Access, Identity, Trust
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import application_plan
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_state import Desired, State

NOW = dt.datetime(2026, 11, 27, 12, 0, tzinfo=dt.UTC)
APP_ID = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
OTHER = "2cb8b5d2-8724-4f32-8152-a16a230b682b"
OPERATOR, OPERATOR_ID = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-0000000000ff"
STRANGER = "66666666-0000-4000-8000-000000000001"
TRUST = Trust(operator_app_id=OPERATOR, operator_id=OPERATOR_ID, known_key_ids=frozenset())


def document(**more: t.Any) -> dict[str, t.Any]:
    base = {"id": "0b1ec700-0000-4000-8000-000000000001", "appId": APP_ID, "displayName": "Fax", "uniqueName": "fax"}
    return {**base, "signInAudience": "AzureADMyOrg", "createdByAppId": OPERATOR, **more}


def secret(key_id: str = "k1", **more: t.Any) -> dict[str, t.Any]:
    return {"keyId": key_id, "displayName": "DigitalFax", "endDateTime": "2027-01-01T00:00:00Z", **more}


def kinds(access: Access, **trust: t.Any) -> list[str]:
    found = _ownership.strangers(access, dataclasses.replace(TRUST, **trust), NOW)
    return [item.kind for item in found]


# --- the mark ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("creator", "trust", "stops"),
    [
        (OPERATOR, {}, False),
        (OPERATOR.upper(), {}, False),
        (STRANGER, {}, True),
        (None, {}, True),
        (None, {"recorded_app_id": APP_ID}, False),
        (None, {"recorded_app_id": OTHER}, True),
        (STRANGER, {"recorded_app_id": APP_ID}, True),
        (STRANGER, {"recorded_app_id": APP_ID, "recorded_creator": STRANGER}, False),
        (STRANGER, {"recorded_app_id": OTHER, "recorded_creator": STRANGER}, True),
        (STRANGER, {"trusted_app_ids": frozenset({STRANGER})}, False),
        (STRANGER, {"trusted_app_ids": frozenset({APP_ID})}, False),
        (OPERATOR, {"operator_app_id": ""}, True),
        ("", {"operator_app_id": ""}, True),
    ],
)
def test_who_created_it_decides(creator: str | None, trust: dict[str, t.Any], stops: bool) -> None:
    blocked = _ownership.foreign_holder(document(createdByAppId=creator), dataclasses.replace(TRUST, **trust))
    assert (blocked is not None) is stops
    if blocked is not None:
        assert "trusted_app_ids" in blocked.options


@pytest.mark.parametrize(
    ("claims", "app_id"),
    [
        ({"appid": OPERATOR}, OPERATOR),
        ({"appid": OPERATOR, "scp": "User.Read"}, ""),
        ({"appid": OPERATOR, "idtyp": "user"}, ""),
    ],
)
def test_a_person_signs_in_through_a_client_that_proves_nothing(claims: dict[str, str], app_id: str) -> None:
    assert TRUST.signed_in(Token("x", claims)).operator_app_id == app_id


# --- which one is meant --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identity", "stops"),
    [
        (Identity(unique_name="fax", recorded=APP_ID), False),
        (Identity(unique_name="x", recorded=APP_ID), True),
        (Identity(unique_name="x", recorded=APP_ID, declared=frozenset()), False),
        (Identity(unique_name="x", recorded=APP_ID, declared=frozenset({"display_name"})), False),
        (Identity(unique_name="x", recorded=APP_ID, declared=frozenset({"unique_name"})), True),
        (Identity(unique_name="x", recorded=APP_ID, left=frozenset({APP_ID})), False),
        (Identity(app_id=OTHER, recorded=APP_ID, declared=frozenset({"app_id"})), True),
        (Identity(app_id=APP_ID, recorded=APP_ID, declared=frozenset({"app_id"})), False),
        (Identity(unique_name="x", app_id=APP_ID, recorded=APP_ID), False),
        (Identity(unique_name="x"), False),
    ],
)
def test_what_is_said_must_not_be_another_application(identity: Identity, stops: bool) -> None:
    blocked = _ownership.identify(identity, document())
    assert (blocked is not None) is stops
    assert _ownership.identify(identity, None) is None, "what is proven gone blocks nothing"
    if blocked is not None:
        assert all(word in blocked.cure for word in ("app_id", "decommission", "leave_application"))


def test_the_record_goes_first() -> None:
    assert Identity(unique_name="x", app_id=OTHER, recorded=APP_ID).looked_up == ("appId", APP_ID)
    assert Identity(unique_name="x", recorded=APP_ID, left=frozenset({APP_ID})).looked_up == ("uniqueName", "x")


def test_options_are_checked() -> None:
    with pytest.raises(InvalidInput, match=r"application\.trusted_app_ids"):
        _ownership.said_in({"trusted_app_ids": ["nonsense"]}, "application.")
    trust, declared, left = _ownership.said_in({"recorded_app_id": APP_ID.upper(), "leave_application": [OTHER, ""]})
    assert (trust.recorded_app_id, declared, left) == (APP_ID, None, frozenset({OTHER}))


# --- who else can sign in ------------------------------------------------------------------------------------

FEDERATED = {"id": "f1", "name": "gh", "issuer": "https://token.example", "subject": "repo:x/y"}
PERSON = {"@odata.type": "#microsoft.graph.user", "id": "mallory", "userPrincipalName": "mallory@contoso.com"}


@pytest.mark.parametrize(
    ("access", "kind", "accepted"),
    [
        (Access(document(passwordCredentials=[secret()])), "client_secret", "k1"),
        (Access(document(keyCredentials=[secret()])), "certificate", "K1"),
        (Access(document(), {"passwordCredentials": [secret()]}), "client_secret", "k1"),
        (Access(document(), {"keyCredentials": [secret()]}), "certificate", "k1"),
        (Access(document(), owners=(PERSON,)), "owner", "mallory"),
        (Access(document(), {}, principal_owners=(PERSON,)), "owner", "Mallory@contoso.com"),
        (Access(document(), owners=({"id": "sp", "appId": STRANGER},)), "owner", STRANGER),
        (Access(document(), federated=(FEDERATED,)), "federation", "f1"),
        (Access(document(), federated=(FEDERATED,)), "federation", "repo:x/y"),
        (Access(document(web={"redirectUris": ["https://a.example/cb"]})), "redirect", "https://a.example/cb"),
        (Access(document(spa={"redirectUris": ["https://a.example/cb"]})), "redirect", "https://a.example/cb"),
        (Access(document(publicClient={"redirectUris": ["http://localhost"]})), "redirect", "http://localhost"),
        (Access(document(), {"replyUrls": ["https://a.example/cb"]}), "redirect", "https://a.example/cb"),
        (Access(document(), {"id": "sp", "createdByAppId": STRANGER}), "service_principal", "sp"),
    ],
)
def test_every_way_in_is_found_and_can_be_accepted(access: Access, kind: str, accepted: str) -> None:
    assert kinds(access) == [kind]
    assert kinds(access, accepted=frozenset({accepted.lower()})) == []


def test_ours_is_passed_over() -> None:
    owners = ({"id": OPERATOR_ID, "appId": OPERATOR}, {"id": "older", "appId": OTHER})
    access = Access(
        document(passwordCredentials=[secret("K9"), secret("old", endDateTime="2026-11-27T11:59:59Z")]), {}, owners
    )
    assert kinds(access, known_key_ids=frozenset({"k9"}), trusted_app_ids=frozenset({OTHER})) == []
    assert kinds(access) == ["client_secret", "owner"]


def test_whoever_made_the_service_principal_of_an_adopted_application_is_not_asked() -> None:
    assert kinds(Access(document(createdByAppId=STRANGER), {"id": "sp", "createdByAppId": STRANGER})) == []
    assert kinds(Access(document(), {"id": "sp", "createdByAppId": None})) == []


def test_where_nobody_says_which_secrets_are_ours_only_they_are_not_judged() -> None:
    both = {"passwordCredentials": [secret()], "keyCredentials": [secret("c1")]}
    assert kinds(Access(document(**both), both), known_key_ids=None) == ["certificate", "certificate", "client_secret"]


def test_many_are_counted() -> None:
    access = Access(document(passwordCredentials=[secret(f"k{number:04d}") for number in range(1200)]))
    blocked = _ownership.intruded(_ownership.strangers(access, TRUST, NOW), "'Fax'")
    assert blocked is not None
    assert "1190 more" in blocked.message
    assert len(blocked.message) < 1500


# --- in the plan ---------------------------------------------------------------------------------------------

WANTED = Desired(unique_name="fax", display_name="Fax", trust=TRUST)


def blocked_by(current: State, **options: t.Any) -> str:
    plan = application_plan.plan(current, dataclasses.replace(WANTED, **options), NOW)
    return plan.blocked.message if plan.blocked is not None else ""


def test_a_stranger_on_our_application_stops_the_task_before_it_writes() -> None:
    application = document(displayName="renamed", passwordCredentials=[secret()])
    assert "somebody else can sign in" in blocked_by(State(application, access=Access(application)))
    assert blocked_by(State(application, access=Access(application)), state="absent") == ""


def test_a_foreign_holder_of_our_name_is_neither_taken_nor_deleted_unless_it_is_adopted() -> None:
    state = State(document(createdByAppId=STRANGER), access=Access(document()))
    assert "is held by" in blocked_by(state)
    assert "is held by" in blocked_by(state, state="absent")
    assert blocked_by(state, app_id=APP_ID) == ""
    recorded = dataclasses.replace(TRUST, recorded_app_id=APP_ID)
    assert blocked_by(state, state="absent", trust=recorded) == ""


def test_what_comes_back_from_the_recycle_bin_is_looked_at_as_well() -> None:
    gone = document(deletedDateTime="2026-11-20T00:00:00Z", passwordCredentials=[secret()])
    assert "somebody else can sign in" in blocked_by(State(deleted=gone), on_deleted="restore")
    known = dataclasses.replace(TRUST, known_key_ids=frozenset({"k1"}))
    assert blocked_by(State(deleted=gone), on_deleted="restore", trust=known) == ""
    assert "is held by" in blocked_by(State(deleted={**gone, "createdByAppId": STRANGER}), on_deleted="restore")


def test_of_what_others_made_only_what_is_said_is_changed() -> None:
    theirs = document(
        createdByAppId=STRANGER, uniqueName=None, displayName="Theirs", signInAudience="AzureADMultipleOrgs"
    )
    state = State(theirs, service_principal={"id": "sp", "accountEnabled": True}, access=Access(theirs))
    adopting = dataclasses.replace(WANTED, app_id=APP_ID, tags=("x",))
    quiet = application_plan.plan(state, dataclasses.replace(adopting, declared=frozenset({"app_id"})), NOW)
    assert quiet.steps == []
    said = application_plan.plan(state, dataclasses.replace(adopting, declared=frozenset({"display_name"})), NOW)
    assert [step.properties for step in said.steps] == [{"displayName": "Fax"}]
    assert said.added == [{"kind": "setting", "of": APP_ID, "id": "display_name", "before": "Theirs"}]
    # Without a word about declarations, as a task of one's own: all options hold.
    whole = application_plan.plan(state, adopting, NOW)
    assert set(whole.steps[0].properties) == {"uniqueName", "displayName", "signInAudience", "tags"}


def test_what_a_purged_application_left_behind_goes() -> None:
    trust = dataclasses.replace(TRUST, recorded_app_id=APP_ID)
    orphan = State(service_principal={"id": "sp", "appId": APP_ID}, gone=True)
    plan = application_plan.plan(orphan, dataclasses.replace(WANTED, trust=trust, state="absent"), NOW)
    assert [type(step).__name__ for step in plan.steps] == ["DeletePrincipal"]


def test_every_option_that_is_read_can_be_given() -> None:
    given = dict.fromkeys((*_ownership.TRUST_OPTIONS, *_ownership.IDENTITY_OPTIONS))
    read: set[str] = set()

    class Watched(dict[str, t.Any]):
        def get(self, key: str, default: t.Any = None) -> t.Any:
            read.add(key)
            return super().get(key, default)

    _ownership.said_in(Watched(given))
    assert read == set(given)
