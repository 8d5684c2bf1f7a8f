# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What entra_admin_consent plans, from what is granted and what is wanted. No request."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _added, _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._ownership import Access, Trust
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import Wanted
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import consent
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.consent import Assignment, Desired, Grant, State

NOW = dt.datetime(2026, 11, 27, 12, 0, tzinfo=dt.UTC)
EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
GRAPH = "00000003-0000-0000-c000-000000000000"
FULL = "dc890d15-9560-4a4c-9b7f-a736ec74ec40"
IMAP = "5e5addcd-3e8d-4e90-baf5-964efab2b20a"
OLD = "11111111-2222-4333-8444-555555555555"
READ = "e1fe6dd8-ba31-4d61-89e7-88639da4683d"
MAIL = "570282fd-fa5c-430d-a7fd-fc8dc98a9dca"
APP_ID = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
SP = "5e7b1ce0-0000-4000-8000-000000000001"
EXCHANGE_SP = "e0000000-0000-4000-8000-000000000001"
GRAPH_SP = "e0000000-0000-4000-8000-000000000002"
OTHER_SP = "e0000000-0000-4000-8000-000000000003"


def role(ident: str, value: str, enabled: bool = True) -> dict[str, t.Any]:
    return {"id": ident, "value": value, "isEnabled": enabled, "allowedMemberTypes": ["Application"]}


OFFERS = _permissions.offers_from(
    [
        {
            "id": EXCHANGE_SP,
            "appId": EXCHANGE,
            "appRoles": [role(FULL, "full_access_as_app"), role(IMAP, "IMAP.AccessAsApp"), role(OLD, "Old", False)],
        },
        {
            "id": GRAPH_SP,
            "appId": GRAPH,
            "oauth2PermissionScopes": [
                {"id": READ, "value": "User.Read", "isEnabled": True},
                {"id": MAIL, "value": "Mail.Read", "isEnabled": True},
            ],
        },
    ]
)
HAS_FULL = Assignment("a-full", EXCHANGE_SP, FULL)
HAS_IMAP = Assignment("a-imap", EXCHANGE_SP, IMAP)
NOTHING = State(SP, offers=OFFERS)
EWS = Wanted(EXCHANGE, ("full_access_as_app",))
SCOPES = Wanted(GRAPH, (), ("Mail.Read", "User.Read"))
WANTED = Desired(APP_ID, (EWS, SCOPES))


def grant(*scopes: str, ident: str = "g", resource: str = GRAPH_SP, user: str | None = None) -> Grant:
    return Grant(ident, resource, frozenset(scopes), user)


def planned(current: State, desired: Desired = WANTED, **options: t.Any) -> Plan:
    return consent.plan(current, dataclasses.replace(desired, **options), NOW)


def having(*assignments: Assignment, grants: t.Sequence[Grant] = ()) -> State:
    return State(SP, assignments=assignments, grants=tuple(grants), offers=OFFERS)


def calls(plan: Plan) -> list[tuple[str, str, t.Any]]:
    return [(step.method, step.path, step.body) for step in plan.steps]


def entry(resource: str, application: t.Sequence[str] = (), delegated: t.Sequence[str] = ()) -> dict[str, t.Any]:
    return {"resource": resource, "application": list(application), "delegated": list(delegated)}


DECLARED = [
    entry("exchange_online", ["full_access_as_app"]),
    entry("microsoft_graph", (), ["Mail.Read", "User.Read"]),
]


# --- present -------------------------------------------------------------------------------------------------


def test_nothing_granted_takes_one_write_per_role_and_one_per_resource() -> None:
    plan = planned(NOTHING)
    assert calls(plan) == [
        (
            "POST",
            f"/servicePrincipals/{EXCHANGE_SP}/appRoleAssignedTo",
            {"principalId": SP, "resourceId": EXCHANGE_SP, "appRoleId": FULL},
        ),
        (
            "POST",
            "/oauth2PermissionGrants",
            {
                "clientId": SP,
                "consentType": "AllPrincipals",
                "principalId": None,
                "resourceId": GRAPH_SP,
                "scope": "Mail.Read User.Read",
            },
        ),
    ]
    assert plan.result["granted"] == DECLARED
    assert (plan.result["foreign"], plan.result["revoked"]) == ([], [])
    assert plan.before == {"granted": []}
    assert plan.after == {
        "granted": [
            "full_access_as_app (application) of exchange_online",
            "Mail.Read (delegated) of microsoft_graph",
            "User.Read (delegated) of microsoft_graph",
        ]
    }
    assert plan.summary == "granted Mail.Read, User.Read, full_access_as_app"
    assert (plan.warnings, plan.result["service_principal_id"]) == ([], SP)


def test_as_declared_nothing_is_written() -> None:
    plan = planned(having(HAS_FULL, grants=[grant("User.Read", "Mail.Read")]))
    assert (plan.steps, plan.outcome) == ([], "ok")
    assert plan.result["granted"] == DECLARED
    assert plan.before == plan.after
    assert plan.summary == "consent as declared"


def test_a_scope_is_added_to_the_one_grant_and_others_stay() -> None:
    plan = planned(having(HAS_FULL, grants=[grant("User.Read", "offline_access")]))
    assert calls(plan) == [
        ("PATCH", "/oauth2PermissionGrants/g", {"scope": "Mail.Read User.Read offline_access"}),
    ]
    assert plan.steps[0].title == "grant Mail.Read (delegated, for all users) of microsoft_graph"
    assert plan.result["foreign"] == [entry("microsoft_graph", (), ["offline_access"])]
    assert plan.summary == "granted Mail.Read; 1 not declared"


def test_exclusive_sets_the_scopes_exactly() -> None:
    plan = planned(having(HAS_FULL, grants=[grant("User.Read", "offline_access")]), exclusive=True)
    assert calls(plan) == [("PATCH", "/oauth2PermissionGrants/g", {"scope": "Mail.Read User.Read"})]
    assert "revoke offline_access" in plan.steps[0].title
    assert plan.result["revoked"] == [entry("microsoft_graph", (), ["offline_access"])]
    assert plan.result["foreign"] == []
    assert plan.summary == "granted Mail.Read; revoked offline_access"


def test_foreign_roles_are_kept_and_shown_or_revoked_when_exclusive() -> None:
    current = having(HAS_FULL, HAS_IMAP, grants=[grant("Mail.Read", "User.Read")])
    plan = planned(current)
    assert plan.steps == []
    assert plan.result["foreign"] == [entry("exchange_online", ["IMAP.AccessAsApp"])]
    assert "holds IMAP.AccessAsApp, which nobody declared and no access policy limits" in plan.warnings[0]
    assert planned(current, extra_permissions=("IMAP.AccessAsApp",)).warnings == []
    plan = planned(current, exclusive=True)
    assert plan.warnings == []
    assert calls(plan) == [("DELETE", f"/servicePrincipals/{EXCHANGE_SP}/appRoleAssignedTo/a-imap", None)]
    assert plan.result["foreign"] == []
    assert plan.result["revoked"] == [entry("exchange_online", ["IMAP.AccessAsApp"])]
    assert len(plan.after["granted"]) == len(plan.before["granted"]) - 1


def test_exclusive_reaches_resources_that_nobody_declared() -> None:
    current = having(
        HAS_FULL,
        Assignment("a-other", OTHER_SP, IMAP, "Some API"),
        Assignment("a-default", OTHER_SP, ZERO_GUID, "Some API"),
        grants=[grant("x", "y", ident="g-other", resource=OTHER_SP), grant("Mail.Read", "User.Read")],
    )
    shown = [{"resource": "Some API", "application": [IMAP, "default access"], "delegated": ["x", "y"]}]
    assert planned(current).result["foreign"] == shown
    plan = planned(current, exclusive=True)
    assert calls(plan) == [
        ("DELETE", f"/servicePrincipals/{OTHER_SP}/appRoleAssignedTo/a-other", None),
        ("DELETE", f"/servicePrincipals/{OTHER_SP}/appRoleAssignedTo/a-default", None),
        ("DELETE", "/oauth2PermissionGrants/g-other", None),
    ]
    assert plan.result["revoked"] == shown


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_users_own_grant_is_shown_and_never_touched(exclusive: bool, state: str) -> None:
    own = grant("User.Read", user="u1", ident="g-user")
    plan = planned(having(grants=[own]), permissions=(EWS,), exclusive=exclusive, state=state)
    assert not [step for step in plan.steps if "oauth2PermissionGrants" in step.path]
    assert plan.result["foreign"] == [
        {**entry("microsoft_graph"), "users": [{"principal_id": "u1", "delegated": ["User.Read"]}]}
    ]
    assert plan.result["revoked"] == []
    assert "User.Read (delegated, by user u1) of microsoft_graph" in plan.before["granted"]


def test_a_users_own_grant_does_not_stand_for_all_users() -> None:
    plan = planned(having(HAS_FULL, grants=[grant("Mail.Read", "User.Read", user="u1")]))
    assert [method for method, _path, _body in calls(plan)] == ["POST"]


def test_nothing_declared_and_exclusive_revokes_everything() -> None:
    plan = planned(having(HAS_FULL, grants=[grant("User.Read")]), permissions=(), exclusive=True)
    assert [method for method, _path, _body in calls(plan)] == ["DELETE", "DELETE"]
    assert plan.result["granted"] == []
    assert plan.after == {"granted": []}


def test_without_a_service_principal_it_is_blocked() -> None:
    plan = planned(State(None, offers=OFFERS))
    assert plan.blocked is not None
    assert "run entra_application first" in str(plan.blocked)
    assert plan.steps == []


def test_a_missing_resource_blocks() -> None:
    plan = planned(State(SP, offers={EXCHANGE: OFFERS[EXCHANGE]}))
    assert plan.blocked is not None
    assert "Microsoft Graph" in str(plan.blocked)
    assert plan.steps == []


def test_an_unknown_name_is_an_error() -> None:
    for state in ("present", "absent"):
        with pytest.raises(InvalidInput):
            planned(NOTHING, permissions=(Wanted(EXCHANGE, ("nope",)),), state=state)
    with pytest.raises(InvalidInput):
        planned(NOTHING, permissions=(Wanted(EXCHANGE, ("Old",)),))


def test_disabled_sign_in_is_warned_of() -> None:
    current = dataclasses.replace(having(HAS_FULL), enabled=False)
    assert "disabled" in planned(current).warnings[0]
    assert planned(current, state="absent").warnings == []


def test_an_application_to_be_made_is_planned_with() -> None:
    current = State(None, offers=OFFERS, to_be_made=True)
    plan = planned(current, app_id=ZERO_GUID)
    assert len(plan.steps) == 2
    assert plan.blocked is None
    assert plan.result["service_principal_id"] == ZERO_GUID
    assert plan.warnings == []
    assert APP_ID in planned(current).warnings[0]


# --- absent --------------------------------------------------------------------------------------------------


def test_absent_revokes_what_is_listed() -> None:
    current = having(HAS_FULL, HAS_IMAP, grants=[grant("Mail.Read", "User.Read", "openid")])
    plan = planned(current, permissions=(EWS, Wanted(GRAPH, (), ("Mail.Read",))), state="absent")
    assert calls(plan) == [
        ("DELETE", f"/servicePrincipals/{EXCHANGE_SP}/appRoleAssignedTo/a-full", None),
        ("PATCH", "/oauth2PermissionGrants/g", {"scope": "User.Read openid"}),
    ]
    assert plan.result["revoked"] == [
        entry("exchange_online", ["full_access_as_app"]),
        entry("microsoft_graph", (), ["Mail.Read"]),
    ]
    assert plan.result["granted"] == []
    assert plan.result["foreign"] == [
        entry("exchange_online", ["IMAP.AccessAsApp"]),
        entry("microsoft_graph", (), ["User.Read", "openid"]),
    ]


def test_the_last_scope_takes_the_grant_with_it() -> None:
    plan = planned(having(grants=[grant("Mail.Read", "User.Read")]), state="absent")
    assert calls(plan) == [("DELETE", "/oauth2PermissionGrants/g", None)]


def test_absent_and_exclusive_revokes_all() -> None:
    current = having(HAS_FULL, HAS_IMAP, grants=[grant("openid")])
    plan = planned(current, permissions=(), exclusive=True, state="absent")
    assert {method for method, _path, _body in calls(plan)} == {"DELETE"}
    assert len(plan.steps) == 3
    assert (plan.result["foreign"], plan.after) == ([], {"granted": []})


def test_absent_knows_roles_that_were_switched_off_and_resources_that_are_gone() -> None:
    current = having(Assignment("a-old", EXCHANGE_SP, OLD))
    gone = Wanted("aaaaaaaa-0000-4000-8000-00000000000a", ("x",))
    plan = planned(current, permissions=(Wanted(EXCHANGE, ("Old",)), gone), state="absent")
    assert [path for _method, path, _body in calls(plan)] == [
        f"/servicePrincipals/{EXCHANGE_SP}/appRoleAssignedTo/a-old"
    ]


def test_absent_is_content_without_a_service_principal() -> None:
    plan = planned(State(None, offers=OFFERS), state="absent")
    assert (plan.steps, plan.blocked, plan.summary) == ([], None, "nothing to revoke")


# --- shapes --------------------------------------------------------------------------------------------------


def test_grants_are_read_whatever_their_blanks_and_order() -> None:
    found = consent.grants_from(
        [
            {
                "id": "2",
                "resourceId": GRAPH_SP.upper(),
                "consentType": "Principal",
                "principalId": "u",
                "scope": " b  a ",
            },
            {"id": "1", "resourceId": GRAPH_SP, "consentType": "AllPrincipals", "principalId": None, "scope": None},
        ]
    )
    assert found == (Grant("1", GRAPH_SP, frozenset()), Grant("2", GRAPH_SP, frozenset({"a", "b"}), "u"))


def test_in_force_names_what_it_can() -> None:
    state = having(HAS_FULL, Assignment("x", OTHER_SP, IMAP), grants=[grant("User.Read")])
    assert consent.in_force(state) == [
        entry(OTHER_SP, [IMAP]),
        entry("exchange_online", ["full_access_as_app"]),
        entry("microsoft_graph", (), ["User.Read"]),
    ]


def test_only_what_was_not_held_before_is_added() -> None:
    first = planned(having(HAS_FULL), permissions=(EWS, SCOPES))
    assert first.added == _added.permissions(
        "consent", APP_ID, [entry("microsoft_graph", delegated=["Mail.Read", "User.Read"])]
    )
    assert planned(having(HAS_FULL), permissions=(EWS,)).added == []
    assert planned(having(HAS_FULL), permissions=(EWS,), state="absent").added == []


# --- who else could use it -----------------------------------------------------------------------------------


def test_nothing_is_granted_while_somebody_else_can_sign_in() -> None:
    application = {"appId": APP_ID, "passwordCredentials": [{"keyId": "k1", "endDateTime": "2027-01-01T00:00:00Z"}]}
    current = dataclasses.replace(having(), access=Access(application, {}))
    plan = planned(current, permissions=(EWS,), trust=Trust(known_key_ids=frozenset()))
    assert plan.blocked is not None
    assert "client secret" in plan.blocked.message
    assert planned(current, permissions=(EWS,), trust=Trust(known_key_ids=frozenset({"k1"}))).blocked is None
    assert planned(current, permissions=(EWS,), state="absent").blocked is None


def test_an_application_of_another_tenant_is_named_first() -> None:
    current = dataclasses.replace(having(), access=Access({}, {}), away=True)
    assert "another tenant" in str(planned(current, permissions=(EWS,)).blocked)
    trusted = Trust(trusted_app_ids=frozenset({APP_ID}))
    assert planned(current, permissions=(EWS,), trust=trusted).blocked is None


def test_what_no_policy_limits_is_named_word_for_word() -> None:
    wide = Wanted(SCOPES.app_id, delegated=("Mail.Read",))
    assert planned(having(), permissions=(wide,)).blocked is None, "a task names it in words by declaring it"
    assert "extra_permissions" in str(planned(having(), permissions=(wide,), extra_permissions=()).blocked)
    assert planned(having(), permissions=(wide,), extra_permissions=("mail.read",)).blocked is not None
    assert planned(having(), permissions=(wide,), extra_permissions=("Mail.Read",)).blocked is None


def test_by_hand_nothing_is_written_and_a_person_is_told_what_to_do() -> None:
    plan = planned(having(), permissions=(EWS,), consent="by_hand", address="https://login.example/adminconsent")
    assert (plan.outcome, plan.steps, plan.added) == ("pending", [], [])
    assert plan.pending is not None
    assert "full_access_as_app" in plan.pending
    assert "https://login.example/adminconsent" in plan.pending
    done = planned(having(HAS_FULL), permissions=(EWS,), consent="by_hand")
    assert (done.outcome, done.result["by_hand"]) == ("ok", None)
