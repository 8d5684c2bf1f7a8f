# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans for roles and scopes, done step by step on tenants made at random: what may never be at any instant."""

from __future__ import annotations

import random
import typing as t
from dataclasses import replace

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _time
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_role_plan import (
    asks_for_everybodys,
    plan,
    target_of,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_role_removal import absent
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_role_state import (
    Assign,
    Customize,
    Desired,
    Enable,
    MakeScope,
    Refilter,
    RemoveScope,
    Revoke,
    RoleStep,
    State,
    Unassign,
    sort,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import (
    CUSTOM,
    Assignment,
    Scope,
    assignment_name,
    free_name,
    is_our_name,
    scope_name,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.entra_grants import Held, Holder
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.recipient_filter import of_group, parse

APP, OID = "1cb8b5d2-8724-4f32-8152-a16a230b682b", "70dd4f27-6ad4-4e3b-9a1a-7e2b6b9b2d11"
GRAPH = "00000003-0000-0000-c000-000000000000"
READ, SEND, SMTP = "Application Mail.Read", "Application Mail.Send", "Application SMTP.SendAsApp"
TAIL = "OU=t,DC=a,DC=b"
DN, OTHER_DN = f"CN=fax,{TAIL}", f"CN=other,{TAIL}"
GROUP = Recipient(guid="g", type="MailUniversalSecurityGroup", address="fax@x.example", name="fax", dn=DN)
FAX = Recipient(guid="m", type="UserMailbox", address="f@x.example", addresses=frozenset({"f@x.example"}))
DESIRED = Desired(APP, (READ, SEND), "fax", "Scope", mailboxes=("f@x.example",))
CURRENT = State(Pointer(APP, OID), (GROUP,), (FAX,), holder=Holder(OID))
NOW = _time.instant("2026-11-28T03:00:00Z")
assert NOW is not None
FILTERS = (
    of_group(DN),
    of_group(OTHER_DN),
    f"(({of_group(DN)}) -or ({of_group(OTHER_DN)}))",
    of_group(DN).replace("DC=a", "DC=old"),
    "RecipientTypeDetails -eq 'UserMailbox'",
    "",
)


def scope(name: str = "Scope", text: str = FILTERS[0], exclusive: bool = False) -> Scope:
    return Scope(name, parse(text), exclusive)


def ours(
    role: str = READ, on: str = "Scope", kind: str = CUSTOM, *, enabled: bool = True, name: str = ""
) -> Assignment:
    return Assignment(name or assignment_name(APP, role), role, on, kind, enabled, (OID,))


def made(current: State, **options: t.Any):
    return plan(current, replace(DESIRED, **options), NOW)


def kinds(steps: t.Sequence[RoleStep]) -> list[str]:
    return [type(step).__name__ for step in steps]


def done(state: State, step: RoleStep) -> State:
    """The tenant after one step."""
    match step:
        case Revoke():
            held = tuple(one for one in state.holder.held if one != step.held) if state.holder else ()
            return replace(state, holder=Holder(OID, held))
        case Customize():
            return replace(state, dehydrated=False)
        case MakeScope():
            assert state.scope(step.name) is None
            return replace(state, scopes=(*state.scopes, scope(step.name, step.filter)))
        case Refilter():
            rest = [one for one in state.scopes if one.name != step.name]
            assert len(rest) == len(state.scopes) - 1
            return replace(state, scopes=(*rest, scope(step.name, step.filter)))
        case Assign():
            assert step.scope
            held = state.scope(step.scope)
            assert held is not None
            assert held.holds(DN)
            new = Assignment(step.name, step.role, step.scope, CUSTOM, assignees=(step.app,))
            assert step.name.lower() not in {one.name.lower() for one in state.everybodys or ()}
            return _with(state, [*state.assignments, new])
        case Enable():
            woken = [replace(one, enabled=True) if one.name == step.name else one for one in state.assignments]
            return _with(state, woken)
        case Unassign():
            return _with(state, [one for one in state.assignments if one.name != step.name])
        case RemoveScope():
            assert not any(one.scope.casefold() == step.name.casefold() for one in state.everybodys or ())
            return replace(state, scopes=tuple(one for one in state.scopes if one.name != step.name))


def _with(state: State, mine: t.Sequence[Assignment]) -> State:
    before = {one.name for one in state.assignments}
    theirs = [one for one in state.everybodys or () if one.name not in before]
    return replace(state, assignments=tuple(mine), everybodys=(*theirs, *mine))


def reaches(state: State, role: str) -> bool:
    """Whether the role opens the fax mailbox, by whatever assignment."""
    for one in state.assignments:
        if not one.enabled or one.role != role:
            continue
        on = next((item for item in state.scopes if one.is_on(item)), None)
        if not one.is_limited or (on is not None and (on.filter.is_empty or DN.lower() in (on.filter.groups or ()))):
            return True
    return False


def at_random(chance: random.Random) -> State:
    scopes = [scope(name, chance.choice(FILTERS), chance.random() < 0.1) for name in ("Scope", "Scope-2", "Theirs")]
    scopes = [one for one in scopes if chance.random() < 0.7]
    mine: list[Assignment] = []
    for role in (READ, SEND, SMTP):
        for name in (assignment_name(APP, role), f"by hand {role}"):
            if chance.random() < 0.4:
                on = chance.choice([*(one.name for one in scopes), ""])
                kind = CUSTOM if on else "Organization"
                mine.append(ours(role, on, kind, enabled=chance.random() < 0.8, name=name))
    theirs = [
        Assignment(f"theirs {one.name}", READ, one.name, CUSTOM, assignees=("somebody",))
        for one in scopes
        if chance.random() < 0.3
    ]
    held = (Held(GRAPH, "Mail.Read", "1", OID),) if chance.random() < 0.2 else ()
    everybodys = (*mine, *theirs)
    return replace(
        CURRENT,
        scopes=tuple(scopes),
        assignments=tuple(mine),
        everybodys=everybodys,
        holder=Holder(OID, held),
        dehydrated=chance.random() < 0.2,
    )


def test_tenants_at_random_come_to_what_is_declared_and_nothing_is_ever_too_wide_on_the_way():
    outcomes: dict[str, int] = {}
    for seed in range(3000):
        chance = random.Random(seed)
        state = at_random(chance)
        options = {
            "exclusive": chance.random() < 0.5,
            "on_other_assignments": chance.choice(["fail", "keep"]),
            "on_entra_grant": chance.choice(["fail", "remove"]),
            "customize": chance.random() < 0.5,
        }
        first = made(state, **options)
        outcomes[first.outcome] = outcomes.get(first.outcome, 0) + 1
        if first.blocked is not None:
            assert first.steps == [], seed
            continue
        theirs = {one.name: one.filter for one in state.scopes if state.is_shared(one)}
        reached = {role for role in (READ, SEND) if reaches(state, role)}
        for step in first.steps:
            state = done(state, step)
            for role in reached:
                assert reaches(state, role), (seed, step)
        assert {one.name: one.filter for one in state.scopes if one.name in theirs} == theirs, seed
        # Every declared role is there, within a scope that holds the group and nothing else.
        found = sort(state, replace(DESIRED, **options))
        assert all(found.has(role) for role in DESIRED.roles), seed
        assert not found.stale, seed
        if options["exclusive"]:
            assert not found.others, seed
        else:
            assert all(one.is_limited for one in found.others), seed
        again = made(state, **options)
        assert (again.steps, again.blocked) == ([], None), (seed, kinds(again.steps))
        gone = absent(state, replace(DESIRED, state="absent", exclusive=True))
        for step in gone.steps:
            state = done(state, step)
        assert not any(one.enabled for one in state.assignments), seed
    assert min(outcomes.get(word, 0) for word in ("ok", "changed", "blocked")) > 5, outcomes


def test_a_scope_is_made_before_what_it_limits_and_a_consent_goes_first():
    held = Holder(OID, (Held(GRAPH, "Mail.Read", "1", OID),))
    planned = made(replace(CURRENT, holder=held, dehydrated=True), on_entra_grant="remove", customize=True)
    assert kinds(planned.steps) == ["Revoke", "Customize", "MakeScope", "Assign", "Assign"]
    assert [one["kind"] for one in planned.added] == ["scope", "assignment", "assignment"]


def test_who_else_uses_a_scope_is_asked_only_where_it_would_change():
    assert not asks_for_everybodys(CURRENT, DESIRED)
    assert not asks_for_everybodys(replace(CURRENT, scopes=(scope(),)), DESIRED)
    assert asks_for_everybodys(replace(CURRENT, scopes=(scope(text=FILTERS[1]),)), DESIRED)


@pytest.mark.parametrize("text", FILTERS[1:])
def test_a_scope_with_our_assignment_alone_is_made_right(text: str):
    state = replace(CURRENT, scopes=(scope(text=text),), assignments=(ours(), ours(SEND)))
    state = replace(state, everybodys=state.assignments)
    assert kinds(made(state).steps) == ["Refilter"]
    unknown = replace(state, everybodys=None)
    assert "Refilter" not in kinds(made(unknown).steps)


def test_a_scope_that_nobody_uses_is_ours_only_if_it_speaks_of_our_group():
    for text, own in zip(FILTERS, (True, False, True, True, False, False), strict=True):
        state = replace(CURRENT, scopes=(scope(text=text),), everybodys=())
        target = target_of(state, DESIRED)
        assert isinstance(target, Blocked) != own, text


def test_an_exclusive_scope_is_none_for_applications():
    state = replace(CURRENT, scopes=(scope(exclusive=True),), everybodys=())
    told = made(state)
    assert told.blocked is not None
    assert "exclusive" in told.blocked.message


def test_names_are_short_stable_and_told_apart():
    name = assignment_name(APP, "Application MailboxSettings.ReadWrite")
    assert name == "mail2fax-1cb8b5d28724-MailboxSettings.ReadWrite"
    assert is_our_name(name.upper(), APP)
    assert not is_our_name(name, APP.replace("1", "2"))
    assert scope_name(APP) == "mail2fax-1cb8b5d28724"
    long = assignment_name(APP, f"Application {'x' * 80}")
    assert len(long) == 64
    taken = {long.lower()}
    other = free_name(long, taken)
    assert (len(other), other[-2:], other.lower() in taken) == (64, "-2", False)


@pytest.mark.parametrize(
    ("group", "word"),
    [
        (replace(GROUP, dn=""), "distinguished name"),
        (replace(GROUP, type="GroupMailbox"), "owners"),
        (replace(GROUP, type="MailUniversalDistributionGroup"), "mail-enabled security group"),
    ],
)
def test_a_group_that_cannot_be_a_scope_stops_before_anything(group: Recipient, word: str):
    told = made(replace(CURRENT, groups=(group,)))
    assert told.blocked is not None
    assert word in told.blocked.message
    assert made(replace(CURRENT, groups=(GROUP, group))).blocked is not None
    assert made(replace(CURRENT, groups=())).blocked is not None


def test_a_pointer_is_held_against_entra_and_a_group_that_could_not_be_read_lets_nobody_in():
    wrong = made(replace(CURRENT, holder=Holder(APP)))
    assert wrong.blocked is not None
    assert "leads to" in wrong.blocked.message
    assert made(replace(CURRENT, holder=None)).blocked is not None
    unread = made(replace(CURRENT, members=None))
    assert unread.blocked is not None
    assert "could not be read" in unread.blocked.message


def test_until_tokens_are_dead_a_run_is_pending_and_not_longer():
    settled = replace(CURRENT, scopes=(scope(),), assignments=(ours(), ours(SEND)))
    later = _time.instant("2026-11-28T05:00:00Z")
    assert made(settled, tokens_until=later).outcome == "pending"
    assert made(settled, tokens_until=NOW).outcome == "ok"


@pytest.mark.parametrize("on_other", ["keep", "fail"])
def test_an_assignment_on_a_scope_that_nobody_sees_counts_as_one_without(on_other: str):
    odd = ours(SEND, "Gone", name="by hand")
    planned = made(replace(CURRENT, scopes=(scope(),), assignments=(odd,)), on_other_assignments=on_other)
    assert planned.blocked is not None
    assert "whole organization" in planned.blocked.message
    limited = replace(odd, kind="AdministrativeUnit")
    kept = made(replace(CURRENT, scopes=(scope(),), assignments=(limited,)), on_other_assignments="keep")
    assert kept.blocked is None
