# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What an application's roles and their scope have to become: pure planning.

There is never an assignment without a scope, and never a moment without an assignment on the way to another one: a new
scope and a new assignment come first, the old ones go after.
"""

from __future__ import annotations

import datetime as dt

from ansible_collections.mail2fax.m365.plugins.module_utils import _added, _claim, _names, _time
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import listed
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import application_role_problems as problems
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_role_state import (
    REMOVE,
    Assign,
    Customize,
    Desired,
    Enable,
    MakeScope,
    Refilter,
    Revoke,
    Sorted,
    State,
    Target,
    Unassign,
    sort,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import entra_grants, recipient_filter
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import (
    CUSTOM,
    IN_FORCE_AFTER,
    Assignment,
    Scope,
    assignment_name,
    free_name,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.entra_grants import Held
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.undoing import undoing

UNKNOWN_GROUP = "CN=known after the run"
"""Stands in check mode for the name of a group that would have been made."""


def plan(current: State, desired: Desired, now: dt.datetime) -> Plan:
    before = _shown(current)
    plan = Plan(before=before, after=before, result=as_found(current, desired))
    plan.blocked = _present(plan, current, desired, now)
    if plan.blocked is not None:
        plan.steps.clear()
        plan.after = before
        plan.added = []
        plan.result = as_found(current, desired)
        plan.summary = plan.blocked.message
    return plan


def _present(plan: Plan, current: State, desired: Desired, now: dt.datetime) -> Blocked | None:
    problem = problems.group(current, desired) or problems.pointer(current, desired)
    if problem is not None:
        return problem
    more = _undoing(current, desired)
    if more and desired.on_entra_grant != REMOVE:
        return problems.undone(more, desired)
    target = target_of(current, desired)
    if isinstance(target, Blocked):
        return target
    kinds = sort(current, desired, target.name if target.refilter else "")
    problem = problems.others(kinds, current, desired)
    if problem is not None:
        return problem
    plan.steps.extend(Revoke(f"revoke {one}", one) for one in more)
    made = _made(plan, current, desired, target, kinds)
    if _writes(plan) and current.dehydrated:
        if not desired.customize:
            return problems.never_customized(desired)
        title = "enable customization of the organization, once and for good"
        plan.steps.insert(len(more), Customize(title))
    if _grants(plan):
        problem = _right_before(current, desired, now)
        if problem is not None:
            return problem
    going = [*kinds.stale, *(kinds.others if desired.exclusive else ())]
    going += kinds.dormant if desired.exclusive else ()
    plan.steps.extend(Unassign(f"remove the role assignment {one}", one.name) for one in going)
    _tell(plan, current, desired, target, kinds, made, more, now)
    if desired.tokens_until is not None and now < desired.tokens_until:
        plan.pending = "tokens may still be alive that were issued with what an earlier run revoked"
        plan.pending_until = _time.iso(desired.tokens_until)
    return None


# ---- where ----------------------------------------------------------------------------------------------------------


def target_of(current: State, desired: Desired) -> Target | Blocked:
    """The scope for the roles that are missing: an own one is made right, anybody else's is left alone."""
    named = current.scope(desired.scope_name)
    if not current.dn or named is None:
        return _elsewhere(current, desired) or Target(desired.scope_name, make=named is None)
    if named.holds(current.dn):
        return Target(named.name)
    on_it = [one for one in current.assignments if one.is_on(named)]
    ours = [one for one in on_it if desired.made(one)]
    is_own = current.everybodys is not None and not named.exclusive and not current.is_shared(named)
    if is_own and (ours or (not on_it and _was_ours(named, current.dn))):
        return Target(named.name, refilter=True)
    if (found := _elsewhere(current, desired)) is not None:
        return found
    if ours:
        taken = {one.name.lower() for one in current.scopes}
        return Target(free_name(desired.scope_name, taken), make=True)
    return problems.name_taken(named, current, desired)


def _elsewhere(current: State, desired: Desired) -> Target | None:
    """A right scope on which the application's roles are already, whatever it is called."""
    for scope in current.scopes:
        if scope.holds(current.dn) and any(one.is_on(scope) for one in current.assignments if desired.wants(one)):
            return Target(scope.name)
    return None


def _was_ours(scope: Scope, dn: str) -> bool:
    """Whether a scope that nobody uses speaks of our group: among others, or by the name that it had on other
    servers."""
    groups = scope.filter.groups or frozenset()
    return recipient_filter.folded(dn) in groups or (
        len(groups) == 1 and any(recipient_filter.moved(one, dn) for one in groups)
    )


def asks_for_everybodys(current: State, desired: Desired) -> bool:
    """Whether it matters who else uses the scope: it would change."""
    named = current.scope(desired.scope_name)
    return named is not None and bool(current.dn) and not named.holds(current.dn)


def assigns(current: State, desired: Desired) -> bool:
    """Whether an assignment would be made: its name must be nobody's."""
    made = plan(current, desired, dt.datetime.min.replace(tzinfo=dt.UTC))
    return any(isinstance(step, Assign) for step in made.steps)


def revoked_by(made: Plan) -> list[Held]:
    """What a plan takes back in Entra."""
    return [step.held for step in made.steps if isinstance(step, Revoke)]


def grants(current: State, desired: Desired) -> bool:
    """Whether the application would get into something: reason to look who can sign in as it."""
    return _grants(plan(current, desired, dt.datetime.min.replace(tzinfo=dt.UTC)))


# ---- steps ----------------------------------------------------------------------------------------------------------


def _made(plan: Plan, current: State, desired: Desired, target: Target, kinds: Sorted) -> list[Assignment]:
    """Steps for what is missing; the assignments as they will be."""
    dn = current.dn or UNKNOWN_GROUP
    text = recipient_filter.of_group(dn)
    missing = [role for role in desired.roles if not kinds.has(role)]
    asleep = [one for one in kinds.asleep if one.role.casefold() in {role.casefold() for role in missing}]
    woken = {one.role.casefold() for one in asleep}
    new = [role for role in missing if role.casefold() not in woken]
    group = current.group.label if current.group else desired.group
    if target.refilter:
        plan.steps.append(Refilter(f"limit the scope {target.name} to the members of {group}", target.name, text))
    if new and target.make:
        title = f"make the scope {target.name} of the members of {group}"
        plan.steps.append(MakeScope(title, target.name, text))
        plan.added = [_added.entry("scope", desired.app_id, target.name)]
    app = current.pointer.object_id if current.pointer else _names.ZERO_GUID
    taken = {one.name.lower() for one in (*current.assignments, *(current.everybodys or ()))}
    made: list[Assignment] = []
    for one in asleep:
        plan.steps.append(Enable(f"enable the role assignment {one}", one.name, one.scope))
        made.append(Assignment(one.name, one.role, one.scope, one.kind, assignees=one.assignees))
    for role in new:
        name = assignment_name(desired.app_id, role, taken)
        plan.steps.append(Assign(f"assign {role} within the scope {target.name}", name, role, app, target.name))
        made.append(Assignment(name, role, target.name, CUSTOM, assignees=(app,)))
        entry = _added.entry("assignment", desired.app_id, name)
        plan.added = [*plan.added, entry] if isinstance(plan.added, list) else [entry]
    return made


def _writes(plan: Plan) -> bool:
    return any(isinstance(step, (MakeScope, Refilter, Assign, Enable)) for step in plan.steps)


def _grants(plan: Plan) -> bool:
    return any(isinstance(step, (Refilter, Assign, Enable)) for step in plan.steps)


def _right_before(current: State, desired: Desired, now: dt.datetime) -> Blocked | None:
    """The look at who can sign in as the application, and at whom it is let into, right before it is."""
    if current.claim is not None:
        problem = _claim.problem(current.claim, desired.trust, now, "these roles")
        if problem is not None:
            return problem
    return problems.strangers(current, desired)


def _undoing(current: State, desired: Desired) -> list[Held]:
    """Grants in Entra that open more than the scope does."""
    held = current.holder.held if current.holder else ()
    known = [Permission(one.resource, one.permission) for one in held if entra_grants.is_known(one)]
    found = undoing(
        desired.app_id,
        known,
        desired.roles,
        policies=current.policies,
        inside=current.inside,
        mailboxes={member.guid for member in current.members or ()},
        declared=desired.declared,
    )
    more = {item.permission for item in found}
    return [one for one in held if not entra_grants.is_known(one) or Permission(one.resource, one.permission) in more]


# ---- what is told ---------------------------------------------------------------------------------------------------


def _tell(
    plan: Plan,
    current: State,
    desired: Desired,
    target: Target,
    kinds: Sorted,
    made: list[Assignment],
    undoing: list[Held],
    now: dt.datetime,
) -> None:
    corrected = current.scope(target.name) if target.refilter else None
    if corrected is not None:
        plan.warnings.append(f"The scope {corrected.name} {_found(corrected, current.dn)}. Find out who changed it.")
    nested = current.nested
    if nested:
        plan.warnings.append(
            f"A scope holds direct members only, so the application does not reach what is in {listed(nested)}: name "
            "the mailboxes themselves (on_nested_group of exchange_security_group takes the group apart)."
        )
    if kinds.others and not desired.exclusive:
        plan.warnings.append(f"Other role assignments count as well: {listed(kinds.others, separator='; ')}.")
    if kinds.dormant and not desired.exclusive:
        plan.warnings.append(f"Disabled role assignments stay: {listed(kinds.dormant, separator='; ')}.")
    retired = [one for one in (current.holder.held if current.holder else ()) if entra_grants.is_retired(one)]
    if retired:
        plan.warnings.append(f"Permissions of an API that has ended can be taken back: {listed(retired)}.")
    after = [*kinds.right, *made]
    stays = [] if desired.exclusive else [*kinds.others, *kinds.dormant]
    scope = target.name if made or target.refilter or not kinds.right else kinds.right[0].scope
    found = current.scope(scope)
    # Where it is not written, it stays in the form in which Exchange has it.
    rewritten = found is None or target.make or (target.refilter and scope == target.name)
    text = recipient_filter.of_group(current.dn or UNKNOWN_GROUP) if found is None or rewritten else found.filter.text
    plan.after = {
        "Scope": scope,
        "RecipientFilter": text,
        "Assignments": sorted(str(one) for one in (*after, *stays)),
        **({"EntraGrants": _entra(current, without=undoing)} if "EntraGrants" in plan.before else {}),
    }
    plan.result.update(
        scope=_scope_result(scope, text, current, desired),
        assignments=[one.as_dict() for one in sorted(after, key=lambda one: one.name)],
        other_assignments=[one.as_dict() for one in stays],
        revoked=entra_grants.by_resource(undoing),
    )
    if plan.steps:
        plan.result["in_force_by"] = _time.iso(now + IN_FORCE_AFTER)
    plan.summary = _summary(plan, desired, scope)


def _found(scope: Scope, dn: str) -> str:
    """What a scope held that is made right, for people."""
    groups = scope.filter.groups
    if groups is None:
        return f"had another filter ({scope.filter.text or 'none, so everybody'})"
    if any(recipient_filter.moved(one, dn) for one in groups):
        return "named the group as it was called on servers that the tenant has left, so that it held nobody"
    beside = sorted(one for one in groups if one != recipient_filter.folded(dn))
    if len(beside) < len(groups):
        return f"held the members of further groups: {listed(beside, separator='; ')}"
    return f"named another group, or this one by a former name: {listed(beside, separator='; ')}"


def _shown(current: State) -> Json:
    """What ``--diff`` shows of what is."""
    if not current.assignments and not current.holder:
        return {}
    on = [one.scope for one in current.assignments if one.kind == CUSTOM]
    scope = next((found for name in on if (found := current.scope(name)) is not None), None)
    shown: Json = {}
    if scope is not None:
        shown = {"Scope": scope.name, "RecipientFilter": scope.filter.text}
    if current.assignments:
        shown["Assignments"] = sorted(map(str, current.assignments))
    if current.holder and _entra(current):
        shown["EntraGrants"] = _entra(current)
    return shown


def _entra(current: State, without: list[Held] | None = None) -> list[str]:
    held = current.holder.held if current.holder else ()
    return sorted(str(one) for one in held if one not in (without or ()))


def as_found(current: State, desired: Desired) -> Json:
    """The module's result as things are."""
    kinds = sort(current, desired)
    named = current.scope(kinds.right[0].scope if kinds.right else desired.scope_name)
    return {
        "scope": _scope_result(named.name, named.filter.text, current, desired) if named else None,
        "assignments": [one.as_dict() for one in (*kinds.right, *kinds.stale)],
        "other_assignments": [one.as_dict() for one in (*kinds.others, *kinds.dormant, *kinds.asleep)],
        "revoked": [],
        "ready": True,
    }


def _scope_result(name: str, text: str, current: State, desired: Desired) -> Json:
    group = current.group
    holds = recipient_filter.parse(text).holds(current.dn)
    return {
        "name": name,
        "filter": text,
        "group": (group.label if group else desired.group) if holds or group is None else None,
    }


def _summary(plan: Plan, desired: Desired, scope: str) -> str:
    count = len(desired.roles)
    what = f"{count} role{'' if count == 1 else 's'} within {scope}"
    said = [
        (sum(isinstance(step, Assign) for step in plan.steps), "assigned"),
        (sum(isinstance(step, Enable) for step in plan.steps), "enabled"),
        (sum(isinstance(step, Refilter) for step in plan.steps), "scope corrected"),
        (sum(isinstance(step, Unassign) for step in plan.steps), "removed"),
        (sum(isinstance(step, Revoke) for step in plan.steps), "revoked in Entra"),
    ]
    return ", ".join([what, *(f"{number} {word}" for number, word in said if number)])
