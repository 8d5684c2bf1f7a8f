# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The scope group: whether the step that makes it would stop, and what it would change of a group of others."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _accesses, _recipients
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import mailboxes, scope
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import (
    EXCHANGE_ADMIN,
    LISTED,
    Finding,
    Judged,
    few,
    notes,
    refused,
    stops,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import (
    security_group_plan,
    security_group_state,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import limiter

STEP = "scope_group"


def judge(
    facts: scope.Facts,
    desired: Desired,
    found: mailboxes.Facts,
    app_id: str,
    accepted: t.Collection[str] | None,
) -> Judged:
    """By the rules of the step that makes the group; ``found`` has the mailboxes that become its members."""
    wanted, step = desired.group, scope.group_desired(facts, desired, found, app_id)
    if wanted is None or step is None:
        return Judged()
    what = f"the scope group {wanted.name or wanted.alias!r}"
    shown: Json = {
        "state": None,
        "name": wanted.name or None,
        "alias": wanted.alias,
        "address": wanted.address,
        "type": None,
        "type_in_words": None,
        "members": None,
        "foreign_members": None,
        "foreign_owners": None,
    }
    findings: list[Finding] = []
    domain = (wanted.address or "").rpartition("@")[2].lower()
    if domain and accepted is not None and domain not in accepted:
        why = f"its address {wanted.address} is in none of the tenant's domains ({few(accepted)})"
        findings.append(stops(STEP, what, why, "choose an address in one of them"))
    if facts.found is None:
        return Judged(shown, tuple(findings))
    problem = security_group_plan.identity_problem(security_group_state.State(found=facts.found), wanted)
    if problem is not None:
        findings.append(refused(STEP, what, problem, EXCHANGE_ADMIN))
        return Judged({**shown, "state": "conflict"}, tuple(findings))
    meant = facts.scope(desired)
    if meant is None:
        outlived = security_group_plan.present(scope.group_state(facts, found), step).blocked if facts.scopes else None
        findings += [refused(STEP, what, outlived, EXCHANGE_ADMIN)] if outlived is not None else []
        return Judged({**shown, "state": "absent"}, tuple(findings))
    shown.update(
        state="present",
        name=meant.display_name or meant.name,
        alias=meant.alias,
        address=meant.address,
        type=meant.type,
        type_in_words=_recipients.words(meant.type),
    )
    if facts.group is not None:
        state = scope.group_state(facts, found)
        findings += _as_the_step_would(state, step, what, shown)
        findings += _owners(state, step, wanted, found, what, shown)
    if facts.members is not None:
        findings += _strangers(facts, desired, found, what, shown)
    return Judged(shown, tuple(findings))


def _as_the_step_would(
    state: security_group_state.State, step: security_group_state.Desired, what: str, shown: Json
) -> t.Iterator[Finding]:
    """What stops the step, or is changed by it, beside undeclared members and owners, who are told one by one."""
    gentle = replace(
        step,
        on_foreign_members="keep" if step.on_foreign_members == "fail" else step.on_foreign_members,
        on_foreign_owners="keep" if step.on_foreign_owners == "fail" else step.on_foreign_owners,
    )
    plan = security_group_plan.present(state, gentle)
    shown["policies_of_others"] = plan.result.get("policies_of_others")
    if plan.blocked is not None:
        yield refused(STEP, what, plan.blocked, EXCHANGE_ADMIN)
    apart = security_group_state.nested(state) if step.on_nested_group == security_group_state.FLATTEN else []
    if apart:
        yield notes(
            STEP,
            what,
            f"it holds {few(apart)}, of whose members a scope of roles holds nobody",
            "they leave the group, and the declared mailboxes are its members themselves",
            members=[one.label for one in apart],
        )
    for said in limiter.narrowing(security_group_state.judged(state, step), state.names):
        yield notes(
            STEP,
            what,
            f"another application's access gets less: {said.rstrip('.')}",
            "ask those who look after that application, or use a group of this application's own",
        )
    group = state.group
    if group is None or group.is_ours:
        return
    changed = {
        name: {"before": group.setting(name), "after": value}
        for one in plan.steps
        if isinstance(one, security_group_state.Settings)
        for name, value in one.values.items()
    }
    if changed:
        listed = few((f"{name} from {one['before']!r} to {one['after']!r}" for name, one in changed.items()), "; ")
        yield notes(
            STEP,
            what,
            f"it was not made by this collection, and the run changes of it: {listed}",
            "choose another alias if people use this group; a decommission puts back what it was",
            settings=changed,
        )


def _owners(
    state: security_group_state.State,
    step: security_group_state.Desired,
    wanted: security_group_state.Desired,
    found: mailboxes.Facts,
    what: str,
    shown: Json,
) -> t.Iterator[Finding]:
    for address in wanted.owners or ():
        if found.recipients is not None and found.known(address) is None:
            yield stops(
                STEP,
                what,
                f"its declared owner {address} is not a recipient of this tenant",
                "correct the address, or leave it out of the owners",
                owner=address,
            )
    if wanted.owners is None:
        return
    there, unnamed = security_group_state.owners(state)
    declared = {one.guid for one in security_group_state.resolved(state, step.owners or ())}
    names = [one.display_name or one.label for one in there if one.guid not in declared] + unnamed
    shown["foreign_owners"] = names[:LISTED]
    if names:
        yield (stops if wanted.on_foreign_owners == "fail" else notes)(
            STEP,
            what,
            f"it has owners that nobody declared, who could put more into it: {few(names)}",
            {
                "fail": "declare them, or set on_foreign_owners to remove, or to keep if they are to stay",
                "remove": "they will no longer be its owners",
                "keep": "they stay its owners",
            }[wanted.on_foreign_owners],
            EXCHANGE_ADMIN,
            owners=names[:LISTED],
        )


def _strangers(
    facts: scope.Facts, desired: Desired, found: mailboxes.Facts, what: str, shown: Json
) -> t.Iterator[Finding]:
    """Members that nobody declared, those of groups inside the group as well."""
    wanted = desired.group
    members = _recipients.ordered(facts.members or ())
    shown["members"] = [member.as_dict() for member in members[:LISTED]]
    shown["members_count"] = len(members)
    if wanted is None or not desired.mailboxes or found.recipients is None:
        return
    ours = found.guids(desired.mailboxes)
    foreign = [member for member in members if member.guid not in ours]
    if wanted.on_nested_group is not None and _accesses.POLICY not in desired.models:
        # A scope does not hold who is in there, and the step speaks of the groups themselves.
        foreign = [member for member in foreign if member.type not in _recipients.GROUPS]
    shown["foreign_members"] = [member.as_dict() for member in foreign[:LISTED]]
    shown["foreign_members_count"] = len(foreign)
    if foreign:
        yield (stops if wanted.on_foreign_members == "fail" else notes)(
            STEP,
            what,
            f"it holds {len(foreign)} more than the fax mailboxes, which the application could read: {few(foreign)}",
            {
                "fail": "take them out, or set on_foreign_members to remove, or to keep if they belong there",
                "remove": "they will be taken out of the group",
                "keep": "they stay in the group",
            }[wanted.on_foreign_members],
            EXCHANGE_ADMIN,
            members=[member.label for member in foreign[:LISTED]],
        )
