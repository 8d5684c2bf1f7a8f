# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one application opens, from facts alone: what generated tenants do not have, or hardly ever."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _widening
from ansible_collections.mail2fax.m365.plugins.module_utils._delegated import Consent
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import reach_info_sum
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_state import (
    FULL_ACCESS,
    POLICIES,
    Held,
    Holder,
    RoleGroup,
    State,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import DENY, RESTRICT, Policy
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import Assignment, unit_key
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Partly, Permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer

APP, SP = "1cb8b5d2-8724-4f32-8152-a16a230b682b", "5a6541e6-12ba-53a4-a148-23226ccaf177"
EXCHANGE, GRAPH = _widening.EXCHANGE, _widening.GRAPH
READ = Permission(GRAPH, "Mail.Read")
BOXES = {f"m{number}": Recipient(f"m{number}", "UserMailbox", f"box{number}@x.y") for number in range(4)}
POINTER = Pointer(APP, SP, "s-1", "Fax", SP, SP)
NOTHING = Held(pointers=(), assignments=(), scopes=(), policies=(), role_groups=(), recipients=BOXES)


def told(*held: Permission, asked: t.Iterable[str] = (), exchange: Held = NOTHING, **about: t.Any) -> dict[str, t.Any]:
    holder = Holder(**{"app_id": APP, "object_id": SP, "display_name": "Fax", "held": held, **about})
    return reach_info_sum.application(holder, exchange, State((), exchange, "", "", asked=frozenset(asked)))


def having(**more: t.Any) -> Held:
    facts = {"pointers": (POINTER,), "assignments": (), "scopes": (), "policies": (), "role_groups": ()}
    return Held(**{**facts, "recipients": BOXES, **more})


def policy(group: str, right: str = RESTRICT, *, app_id: str = APP, is_valid: bool = True) -> Policy:
    return Policy(f"t\\{group}", app_id, right, group, group, entra_id=group, is_valid=is_valid)


def assigned(role: str, kind: str = "Organization", scope: str = "", *, enabled: bool = True) -> Assignment:
    return Assignment(role, role, scope, kind, enabled, (SP,))


def test_nothing_is_nothing():
    found = told()
    assert found["complete"]
    assert not any(found[key] for key in ("mailboxes", "everything", "everything_ways", "dormant", "powers", "missing"))


def test_what_was_asked_for_is_listed_where_everything_is_open():
    found = told(READ, asked=["m1"])
    assert found["everything"]
    assert [row["address"] for row in found["mailboxes"]] == ["box1@x.y"]
    assert [way["model"] for way in found["everything_ways"]] == ["tenant_wide"]


def test_a_denial_leaves_mailboxes_closed_and_another_way_opens_them():
    exchange = having(policies=(policy("g", DENY),), in_policies={"g": frozenset({"m1", "m2"})})
    found = told(READ, exchange=exchange, asked=["m1", "m3"])
    assert found["closed"] == ["box1@x.y", "box2@x.y"]
    assert [row["address"] for row in found["mailboxes"]] == ["box3@x.y"]
    unlimited = told(READ, Permission(GRAPH, "MailboxItem.Read.All"), exchange=exchange)
    assert unlimited["closed"] == []
    assert [way["but"] for way in unlimited["everything_ways"]] == [["box1@x.y", "box2@x.y"], []]


def test_a_denial_that_cannot_be_read_makes_no_mailbox_sure():
    exchange = having(
        policies=(policy("a"), policy("b", DENY)),
        in_policies={"a": frozenset({"m1"}), "b": None},
        labels={"b": "who is in b"},
    )
    found = told(READ, exchange=exchange)
    assert (found["mailboxes"], found["complete"], found["missing"]) == ([], False, ["who is in b"])


def test_of_a_group_of_which_a_part_is_known_that_part_is_told():
    exchange = having(policies=(policy("a"),), in_policies={"a": Partly({"m1"})})
    found = told(READ, exchange=exchange)
    assert [row["address"] for row in found["mailboxes"]] == ["box1@x.y"]
    assert not found["complete"]


def test_policies_that_cannot_be_read_matter_to_what_they_limit_alone():
    assert told(READ, exchange=having(policies=None))["missing"] == [POLICIES]
    assert not told(READ, exchange=having(policies=None))["everything"]
    assert told(Permission(GRAPH, "User.Read.All"), exchange=having(policies=None))["complete"]


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"enabled": False}, reach_info_sum.DISABLED),
        ({"object_id": ""}, reach_info_sum.NO_PRINCIPAL),
        ({"object_id": "", "seen": False}, reach_info_sum.UNSEEN),
        ({"object_id": "other"}, reach_info_sum.WRONG_POINTER),
    ],
)
def test_who_cannot_get_in_is_told_with_the_reason(about: dict[str, t.Any], why: str):
    found = told(exchange=having(assignments=(assigned("Application Mail.Read"),)), **about)
    assert not found["everything"]
    assert [(way["alive"], way["why"]) for way in found["everything_ways"]] == [(False, why)]


def test_a_disabled_assignment_and_a_retired_permission_are_dormant():
    unit = (assigned("Application Mail.Send", "AdministrativeUnit", "u", enabled=False),)
    exchange = having(assignments=unit, in_roles={unit_key("u"): frozenset({"m2"})})
    found = told(Permission(EXCHANGE, "Mail.Read"), exchange=exchange)
    assert [row["address"] for row in found["dormant"]] == ["box2@x.y"]
    assert found["dormant"][0]["ways"][-1]["why"] in (reach_info_sum.NOT_ASSIGNED, reach_info_sum.RETIRED)
    assert not found["everything"]
    assert found["complete"]


@pytest.mark.parametrize(
    "name", ["Mail.Something.New", "810c84a8-4a9e-49e6-bf7d-12d183f40d01", "Tasks.New", "Mailer.X"]
)
def test_what_nobody_can_name_is_missing_and_no_everything(name: str):
    of = EXCHANGE if name == "Tasks.New" else GRAPH
    found = told(Permission(of, name))
    if name == "Mail.Something.New":
        assert found["everything"], "an access policy limits what is called so, and there is none"
    elif name == "Tasks.New":
        assert found["complete"], "that API has ended"
    else:
        assert not found["everything"]
        assert name in found["missing"][0]


def test_roles_of_administrators_are_powers_and_no_ways():
    found = told(exchange=having(assignments=(assigned("ApplicationImpersonation"), assigned("Mailbox Import Export"))))
    assert not found["everything_ways"]
    assert [one["opens"] for one in found["powers"]] == ["everything", "everything"]


def test_a_role_group_counts_for_who_may_sign_in_to_exchange():
    groups = (RoleGroup("Recipient Management", ("Mail Recipients", "Migration"), (SP,)),)
    exchange = having(role_groups=groups)
    assert told(exchange=exchange)["powers"] == []
    [power] = told(Permission(EXCHANGE, "Exchange.ManageAsApp"), exchange=exchange)["powers"]
    assert power["permission"] == "Mail Recipients (role group Recipient Management)"
    assert told(exchange=having(role_groups=None))["complete"]
    assert not told(Permission(EXCHANGE, "Exchange.ManageAsApp"), exchange=having(role_groups=None))["complete"]


def test_who_may_write_what_limits_it_may_widen_it():
    writes = [Permission(GRAPH, name) for name in ("Group.ReadWrite.All", "AdministrativeUnit.ReadWrite.All")]
    assert told(*writes)["powers"] == []
    on_unit = having(assignments=(assigned("Application Mail.Read", "AdministrativeUnit", "u"),))
    assert [one["permission"] for one in told(*writes, exchange=on_unit)["powers"]] == [
        "AdministrativeUnit.ReadWrite.All"
    ]
    team = (assigned("Application Mail.Read", "Group", "Team"),)
    on_team = having(assignments=team, in_roles={"Team": frozenset({"m1"})}, unified=frozenset({"Team"}))
    [power] = told(*writes, exchange=on_team)["powers"]
    assert (power["permission"], power["opens"]) == ("Group.ReadWrite.All", "itself")


def test_credentials_count_on_microsofts_own_services_alone():
    microsoft = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
    assert told(home=microsoft, credentials=2)["powers"][0]["opens"] == "everything"
    assert told(home=microsoft)["powers"] == told(home="other", credentials=2)["powers"] == []


def test_what_people_open_is_no_less_open():
    people = {"anna": frozenset({"m1"}), "bert": frozenset(), "carl": None}
    exchange = having(of_people=people, labels={"anna": "anna@x.y", "carl": "whose mailbox carl's is"})
    [row] = told(consents=(Consent(GRAPH, ("Mail.Read", "User.Read"), "anna"),), exchange=exchange)["mailboxes"]
    assert (row["address"], row["ways"][0]["model"]) == ("box1@x.y", "delegated")
    assert told(consents=(Consent(GRAPH, ("Mail.Read",), "bert"),), exchange=exchange)["complete"]
    assert not told(consents=(Consent(GRAPH, ("Mail.Read",), "carl"),), exchange=exchange)["complete"]
    assert not told(consents=(Consent(GRAPH, ("Mail.Read.Shared",), "anna"),), exchange=exchange)["complete"]
    assert not told(consents=(Consent("", ("Mail.Read",)),))["complete"]
    assert told(consents=(Consent("", ("Files.Read.All",)), Consent(GRAPH, ("openid",))))["complete"]
    assert told(consents=(Consent(EXCHANGE, ("EWS.AccessAsUser.All",)),))["everything"]


@pytest.mark.parametrize("permission", ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"])
def test_without_the_scan_rights_are_never_all(permission: str):
    claim = Permission(EXCHANGE, permission)
    assert told(claim)["complete"], "Exchange does not know it, so it has no right on anything"
    assert FULL_ACCESS in told(claim, exchange=having(send_as={APP: ()}))["missing"]
    assert told(claim, exchange=having(send_as={APP: ()}, scanned=True))["complete"]


def test_wider_is_what_was_not_declared():
    exchange = having(policies=(policy("a"),), in_policies={"a": frozenset({"m1", "m2"})})
    found = told(READ, Permission(GRAPH, "AppRoleAssignment.ReadWrite.All"), exchange=exchange)
    assert reach_info_sum.wider(found, {"BOX1@x.y"}) == {
        "mailboxes": ["box2@x.y"],
        "everything": False,
        "powers": ["AppRoleAssignment.ReadWrite.All"],
    }
