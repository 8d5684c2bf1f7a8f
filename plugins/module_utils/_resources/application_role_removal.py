# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Taking an application's roles back: the assignments that were made here, then their scope if nobody else uses it."""

from __future__ import annotations

from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import listed
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_role_state import (
    Desired,
    RemoveScope,
    State,
    Unassign,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import (
    Assignment,
    Scope,
    opens_mail,
    scope_name,
)


def absent(current: State, desired: Desired) -> Plan:
    plan = Plan(result=_result(current.assignments))
    going = [one for one in current.assignments if _goes(one, desired)]
    stays = [one for one in current.assignments if one not in going]
    scopes = _scopes(current, desired, going)
    plan.before = plan.after = _shown(current.assignments, scopes)
    plan.steps.extend(Unassign(f"remove the role assignment {one}", one.name) for one in going)
    left = []
    declared = current.scope(desired.scope_name)
    if desired.own_scopes is None and declared is not None and declared not in scopes:
        plan.warnings.append(
            f"The scope {declared.name} stays: it has another filter ({declared.filter.text or 'none, so everybody'}), "
            "so it was not made here."
        )
    for scope in scopes:
        gone = {one.name.casefold() for one in going}
        users = [one for one in current.users_of(scope) if one.name.casefold() not in gone]
        if users:
            left.append(scope)
            plan.warnings.append(f"The scope {scope.name} stays: it is used by {listed(users, separator='; ')}.")
        else:
            plan.steps.append(RemoveScope(f"remove the scope {scope.name}", scope.name))
    if stays:
        plan.warnings.append(
            f"Role assignments that were not made here stay: {listed(stays, separator='; ')}. Set exclusive to true to "
            "remove them as well."
        )
    plan.after = _shown(stays, left)
    plan.result = _result(stays)
    removed = [step for step in plan.steps if isinstance(step, Unassign)]
    plan.summary = "no role assignment" if not plan.steps else f"{len(removed)} of the role assignments removed"
    if len(removed) != len(plan.steps):
        plan.summary += ", scope removed"
    return plan


def _goes(one: Assignment, desired: Desired) -> bool:
    if desired.own_assignments is not None:
        return one.name.casefold() in {name.casefold() for name in desired.own_assignments}
    return desired.made(one) or (desired.exclusive and opens_mail(one.role))


def _scopes(current: State, desired: Desired, going: list[Assignment]) -> list[Scope]:
    """The scopes that were made here, so far as they are there: those that are named as ours; else those that our
    assignments are on, and the one that is declared, if it is of the group."""
    if desired.own_scopes is not None:
        names = {name.casefold() for name in desired.own_scopes}
        return [one for one in current.scopes if one.name.casefold() in names]
    on = {one.scope.casefold() for one in going if desired.made(one) and one.scope}
    return [
        one
        for one in current.scopes
        if one.name.casefold() in on
        or (one.name.casefold() == desired.scope_name.casefold() and _may_be_ours(one, current, desired))
    ]


def _may_be_ours(scope: Scope, current: State, desired: Desired) -> bool:
    """Whether the scope of the declared name, on which nothing of ours is, may be one that we made: a bare name may be
    anybody's."""
    if scope.name.casefold() == scope_name(desired.app_id).casefold():
        return True
    groups = scope.filter.groups or frozenset()
    return len(groups) == 1 if not desired.group else scope.holds(current.dn)


def looks_for_users(current: State, desired: Desired) -> bool:
    """Whether a scope would go, so that it matters who else uses it."""
    return bool(_scopes(current, desired, [one for one in current.assignments if _goes(one, desired)]))


def _shown(assignments: list[Assignment] | tuple[Assignment, ...], scopes: list[Scope]) -> Json:
    shown: Json = {}
    if scopes:
        shown["Scopes"] = sorted(one.name for one in scopes)
    if assignments:
        shown["Assignments"] = sorted(map(str, assignments))
    return shown


def _result(assignments: list[Assignment] | tuple[Assignment, ...]) -> Json:
    return {
        "scope": None,
        "assignments": [],
        "other_assignments": [one.as_dict() for one in assignments],
        "revoked": [],
        "ready": True,
    }
