# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Permissions by name and by id, and what people are told about names that nobody offers."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import (
    APPLICATION,
    DELEGATED,
    Offer,
    Permission,
    Wanted,
)

EXCHANGE = "00000002-0000-0ff1-ce00-000000000000"
GRAPH = "00000003-0000-0000-c000-000000000000"
OTHER = "aaaaaaaa-0000-4000-8000-00000000000a"
FULL = "dc890d15-9560-4a4c-9b7f-a736ec74ec40"
IMAP = "5e5addcd-3e8d-4e90-baf5-964efab2b20a"
OLD = "11111111-2222-4333-8444-555555555555"
USERS = "66666666-2222-4333-8444-555555555555"
EWS_DELEGATED = "3b5f3d61-589b-4a3c-a359-5dd4b5ee5bd5"
READ = "e1fe6dd8-ba31-4d61-89e7-88639da4683d"


def role(
    ident: str, value: str | None, *, enabled: bool = True, members: t.Sequence[str] = ("Application",)
) -> dict[str, t.Any]:
    return {"id": ident, "value": value, "isEnabled": enabled, "allowedMemberTypes": list(members)}


EXCHANGE_DOCUMENT = {
    "id": "0B1EC700-0000-4000-8000-000000000001",
    "appId": EXCHANGE.upper(),
    "displayName": "Office 365 Exchange Online",
    "appRoles": [
        role(FULL.upper(), "full_access_as_app"),
        role(IMAP, "IMAP.AccessAsApp", members=("User", "Application")),
        role(OLD, "Old.Role", enabled=False),
        role(USERS, "Users.Only", members=("User",)),
        role("77777777-2222-4333-8444-555555555555", None),
    ],
    "oauth2PermissionScopes": [{"id": EWS_DELEGATED, "value": "EWS.AccessAsUser.All", "isEnabled": True}],
}
GRAPH_DOCUMENT = {
    "id": "0b1ec700-0000-4000-8000-000000000002",
    "appId": GRAPH,
    "displayName": "Microsoft Graph",
    "appRoles": [],
    "oauth2PermissionScopes": [{"id": READ, "value": "User.Read", "isEnabled": True}],
}
OFFERS = _permissions.offers_from([EXCHANGE_DOCUMENT, None, GRAPH_DOCUMENT])


def wanted(*names: str, delegated: t.Sequence[str] = (), app_id: str = EXCHANGE) -> tuple[Wanted, ...]:
    return (Wanted(app_id, tuple(names), tuple(delegated)),)


# --- the option ----------------------------------------------------------------------------------------------


def test_left_out_is_not_empty() -> None:
    assert _permissions.parse(None) is None
    assert _permissions.parse([]) == ()


def test_a_resource_appears_once_sorted_however_it_was_written() -> None:
    parsed = _permissions.parse(
        [
            {"resource": "microsoft_graph", "application": None, "delegated": ["User.Read"]},
            {"resource": EXCHANGE.upper(), "application": ["IMAP.AccessAsApp", "full_access_as_app"]},
            {
                "resource": " exchange_online ",
                "application": ["IMAP.AccessAsApp"],
                "delegated": ["EWS.AccessAsUser.All"],
            },
            {"resource": "{" + OTHER.upper() + "}", "delegated": ["x"]},
        ]
    )
    assert parsed == (
        Wanted(OTHER, (), ("x",)),
        Wanted(EXCHANGE, ("IMAP.AccessAsApp", "full_access_as_app"), ("EWS.AccessAsUser.All",)),
        Wanted(GRAPH, (), ("User.Read",)),
    )
    assert [item.as_dict() for item in parsed][1] == {
        "resource": "exchange_online",
        "application": ["IMAP.AccessAsApp", "full_access_as_app"],
        "delegated": ["EWS.AccessAsUser.All"],
    }


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"resource": "exchange", "application": ["x"]}, "did you mean exchange_online?"),
        ({"resource": "Microsoft Graph", "application": ["x"]}, "did you mean microsoft_graph?"),
        ({"resource": "da34aq4b-0000-4000-8000-000000000000", "application": ["x"]}, "not a resource"),
        ({"resource": "", "application": ["x"]}, "not a resource"),
        ({"resource": "exchange_online"}, "exchange_online without any permission"),
        ({"resource": "exchange_online", "application": [], "delegated": []}, "without any permission"),
        ({"resource": "exchange_online", "application": ["full access"]}, "'full access' under application"),
        ({"resource": "exchange_online", "delegated": [""]}, "'' under delegated"),
        ({"resource": "exchange_online", "delegated": [None]}, "None under delegated"),
        ({"resource": "exchange_online", "application": ["x" * 251]}, "not a permission's name"),
        ({"resource": "exchange_online", "application": ["Mail.Read Mail.Send"]}, "not a permission's name"),
    ],
)
def test_what_cannot_be_right_is_refused(option: dict[str, t.Any], says: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        _permissions.parse([option])
    assert says in str(caught.value)


def test_resource_names_go_both_ways() -> None:
    for name, app_id in _permissions.WELL_KNOWN.items():
        assert _permissions.resource_id(name, "resource") == app_id
        assert _permissions.resource_name(app_id.upper()) == name
    assert _permissions.resource_name(OTHER.upper()) == OTHER


def test_the_read_asks_for_what_offers_need() -> None:
    call = _permissions.read_call(EXCHANGE)
    assert call.path.startswith(f"/servicePrincipals(appId='{EXCHANGE}')?$select=")
    assert set(call.path.partition("$select=")[2].split(",")) == {
        "id",
        "appId",
        "displayName",
        "appRoles",
        "oauth2PermissionScopes",
    }
    assert "Office 365 Exchange Online" in call.purpose


# --- what a resource offers ----------------------------------------------------------------------------------


def test_only_enabled_roles_for_applications_are_on_offer() -> None:
    offer = OFFERS[EXCHANGE]
    assert offer.application == {"full_access_as_app": FULL, "IMAP.AccessAsApp": IMAP}
    assert offer.delegated == {"EWS.AccessAsUser.All": EWS_DELEGATED}
    assert offer.object_id == "0b1ec700-0000-4000-8000-000000000001"
    assert offer.names[APPLICATION, OLD] == "Old.Role"
    assert (APPLICATION, USERS) not in offer.names


def test_an_empty_document_offers_nothing() -> None:
    assert Offer.from_document({}).application == {}


# --- names to ids --------------------------------------------------------------------------------------------


def test_names_are_resolved_per_kind() -> None:
    found = _permissions.resolve(
        [*wanted("full_access_as_app", delegated=["EWS.AccessAsUser.All"]), Wanted(GRAPH, (), ("User.Read",))], OFFERS
    )
    assert found == {
        Permission(EXCHANGE, APPLICATION, FULL),
        Permission(EXCHANGE, DELEGATED, EWS_DELEGATED),
        Permission(GRAPH, DELEGATED, READ),
    }


def test_a_resource_without_an_offer_is_passed_over_and_named_elsewhere() -> None:
    asked = wanted("anything", app_id=OTHER)
    assert _permissions.resolve(asked, OFFERS) == frozenset()
    blocked = _permissions.missing_resource(asked, OFFERS)
    assert blocked is not None
    assert OTHER in blocked.message
    assert _permissions.missing_resource(wanted("full_access_as_app"), OFFERS) is None


def test_a_tenant_without_exchange_online_is_told_so() -> None:
    blocked = _permissions.missing_resource(wanted("full_access_as_app"), {})
    assert blocked is not None
    assert "Office 365 Exchange Online" in blocked.message
    assert "licence" in blocked.cure
    assert blocked.who
    assert blocked.details == {"missing_resources": ["exchange_online"]}


@pytest.mark.parametrize(
    ("asked", "says", "close"),
    [
        (wanted("full_acces_as_app"), "nearest: full_access_as_app", "full_access_as_app"),
        (wanted("FULL_ACCESS_AS_APP"), "nearest: full_access_as_app", "full_access_as_app"),
        (wanted("EWS.AccessAsUser.All"), "it exists as delegated permission: declare it", "IMAP.AccessAsApp"),
        (wanted("Old.Role"), "switched off", None),
        (wanted("Users.Only"), "has no application permission 'Users.Only'", None),
        (wanted(FULL), "that is an id; its name is full_access_as_app", None),
        (wanted(READ), "give its name, not an id", None),
        (wanted(delegated=["full_access_as_app"]), "it exists as application permission", None),
        (wanted("zzz"), "has no application permission 'zzz'.", None),
    ],
)
def test_unknown_names_are_refused_with_what_may_have_been_meant(
    asked: tuple[Wanted, ...], says: str, close: str | None
) -> None:
    with pytest.raises(InvalidInput) as caught:
        _permissions.resolve(asked, OFFERS)
    assert says in str(caught.value)
    assert caught.value.details["unknown"][0]["nearest"][:1] == ([close] if close else [])


def test_all_unknown_names_are_told_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        _permissions.resolve([*wanted("a", "b"), Wanted(GRAPH, (), ("c",))], OFFERS)
    assert [item["permission"] for item in caught.value.details["unknown"]] == ["a", "b", "c"]
    for name in ("'a'", "'b'", "'c'", "Microsoft Graph"):
        assert name in caught.value.message


def test_what_was_switched_off_can_still_be_revoked() -> None:
    found = _permissions.resolve(wanted("Old.Role", "full_access_as_app"), OFFERS, disabled_too=True)
    assert found == {Permission(EXCHANGE, APPLICATION, OLD), Permission(EXCHANGE, APPLICATION, FULL)}


def test_an_enabled_permission_wins_over_a_disabled_one_of_the_same_name() -> None:
    document = {"appId": OTHER, "appRoles": [role(FULL, "x"), role(OLD, "x", enabled=False)]}
    offers = _permissions.offers_from([document])
    found = _permissions.resolve(wanted("x", app_id=OTHER), offers, disabled_too=True)
    assert found == {Permission(OTHER, APPLICATION, FULL)}


# --- ids to names --------------------------------------------------------------------------------------------


def test_required_access_goes_both_ways_in_a_stable_order() -> None:
    permissions = [
        Permission(GRAPH, DELEGATED, READ),
        Permission(EXCHANGE, APPLICATION, FULL),
        Permission(EXCHANGE, APPLICATION, IMAP),
    ]
    required = _permissions.to_required_access(permissions)
    assert required == [
        {"resourceAppId": EXCHANGE, "resourceAccess": [{"id": IMAP, "type": "Role"}, {"id": FULL, "type": "Role"}]},
        {"resourceAppId": GRAPH, "resourceAccess": [{"id": READ, "type": "Scope"}]},
    ]
    assert _permissions.to_required_access(reversed(permissions)) == required
    assert _permissions.from_required_access(required) == set(permissions)


def test_required_access_is_compared_without_case_and_order() -> None:
    one = [{"resourceAppId": EXCHANGE.upper(), "resourceAccess": [{"id": FULL.upper(), "type": "Role"}]}]
    assert _permissions.from_required_access(one) == {Permission(EXCHANGE, APPLICATION, FULL)}
    assert _permissions.from_required_access(None) == frozenset()
    assert _permissions.from_required_access([{"resourceAppId": EXCHANGE, "resourceAccess": None}]) == frozenset()


def test_ids_become_the_declared_form_with_ids_where_nothing_is_known() -> None:
    permissions = [
        Permission(EXCHANGE, APPLICATION, OLD),
        Permission(EXCHANGE, APPLICATION, FULL),
        Permission(OTHER, DELEGATED, READ),
        Permission(GRAPH, DELEGATED, FULL),
    ]
    assert _permissions.declared(permissions, OFFERS) == [
        {"resource": OTHER, "application": [], "delegated": [READ]},
        {"resource": "exchange_online", "application": ["Old.Role", "full_access_as_app"], "delegated": []},
        {"resource": "microsoft_graph", "application": [], "delegated": [FULL]},
    ]
    assert _permissions.lines(permissions, OFFERS)[-1] == f"microsoft_graph {FULL} (delegated)"


def test_what_was_returned_can_be_declared_again() -> None:
    permissions = frozenset({Permission(EXCHANGE, APPLICATION, FULL), Permission(GRAPH, DELEGATED, READ)})
    parsed = _permissions.parse(_permissions.declared(permissions, OFFERS))
    assert parsed is not None
    assert _permissions.resolve(parsed, OFFERS) == permissions
