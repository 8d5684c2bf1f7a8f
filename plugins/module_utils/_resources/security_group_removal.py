# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Taking a scope group back: the whole of one that was made here, and of others' what was put into it."""

from __future__ import annotations

import datetime as dt

from ansible_collections.mail2fax.m365.plugins.module_utils import _time
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import listed, ordered
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.security_group_plan import (
    ADMIN,
    identity_problem,
    synced,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.security_group_state import (
    MARK,
    Desired,
    Group,
    Leave,
    Remove,
    Settings,
    State,
    as_result,
    judged,
    leaving,
    shown,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import limiter

RESTORABLE = frozenset(
    {
        *("DisplayName", "Alias", "PrimarySmtpAddress", "HiddenFromAddressListsEnabled"),
        *("MemberJoinRestriction", "RequireSenderAuthenticationEnabled"),
    }
)
"""What goes back to what it was by itself. Owners and members of others are listed instead: a person has to look."""


def absent(current: State, desired: Desired, now: dt.datetime) -> Plan:
    """No group, or one that others made without what was put into it. Nothing before ``not_before``."""
    before = shown(current)
    plan = Plan(before=before, after=before, result=as_result(current, desired))
    plan.result.update(members_added=[], members_removed=[], left_over=[])
    if not any(desired.identifies(one) for one in current.found):
        plan.summary = "no such group"
        return plan
    group = current.group
    problem = identity_problem(current, desired)
    if problem is None and group is not None:
        if _waits(plan, group, current, desired, now):
            return plan
        problem = _problem(group, current, desired)
    if problem is not None and desired.on_foreign_group == "keep":
        plan.warnings.append(f"The group stays: {problem.message}.")
        plan.summary = "group kept"
        if group is not None and not group.is_ours:
            _take_out(plan, current, group, desired)
        else:
            plan.result["left_over"] = [one.label for one in ordered(current.members)]
        return plan
    if problem is not None or group is None:
        plan.blocked = problem
        plan.summary = problem.message if problem else ""
        return plan
    plan.steps.append(Remove(f"remove the group {group.recipient.label}"))
    plan.after = {}
    plan.result.update(group=None, members=[], members_removed=[one.label for one in ordered(current.members)])
    plan.summary = "group removed"
    return plan


def _waits(plan: Plan, group: Group, current: State, desired: Desired, now: dt.datetime) -> bool:
    """Whether the group has to stay as it is until the tokens of before are dead, and something is to be done then."""
    if desired.not_before is None or now >= desired.not_before:
        return False
    restored, _stays = _restored(group, desired)
    if not (group.is_ours or desired.force or leaving(current, desired) or restored):
        return False
    plan.pending = (
        f"the group {group.recipient.label} stays as it is until no token can be alive that was issued before the "
        "consent was revoked"
    )
    plan.pending_until = _time.iso(desired.not_before)
    plan.summary = f"group stays until {plan.pending_until}"
    return True


def _problem(group: Group, current: State, desired: Desired) -> Blocked | None:
    """The reason why the group cannot go as a whole."""
    attempted = f"remove the group {group.recipient.label}"
    if not group.is_ours and not desired.force:
        return Blocked(
            f"the group {group.recipient.label} was not made by this collection (its description does not begin with "
            f"{MARK!r})",
            attempted=attempted,
            cure="set force to true to remove it nevertheless, or on_foreign_group to keep",
            who=ADMIN,
            options=("force", "on_foreign_group"),
        )
    users = [policy for policy in current.policies if policy.covers(group.recipient)]
    if desired.check_mode and desired.app_id:
        users = [policy for policy in users if policy.app_id != desired.app_id]
    if users:
        return Blocked(
            f"the group {group.recipient.label} is still the scope of an access policy: "
            f"{listed(users, separator='; ')}",
            attempted=attempted,
            cure="remove the policies first (exchange_application_access_policy), after the applications' consents",
            who=limiter.EXCHANGE_ADMIN,
            details={"policies": [policy.as_dict() for policy in users]},
        )
    scopes = list(current.scopes)
    if desired.check_mode and desired.app_id:
        scopes = [scope for scope in scopes if set(scope.applications) != {desired.app_id}]
    if scopes:
        return Blocked(
            f"the group {group.recipient.label} still stands in {listed(scopes, separator='; ')}: without it, that "
            "would hold nobody, and another group of its name would come into it",
            attempted=attempted,
            cure="take the roles and their scope back first (exchange_application_role with state absent; what others "
            "made, by hand)",
            who=limiter.EXCHANGE_ADMIN,
            details={"scopes": [{"name": scope.name, "applications": list(scope.applications)} for scope in scopes]},
        )
    if group.dir_synced:
        return synced(group, [attempted])
    return limiter.members_problem(judged(current, desired), attempted, current.names)


def _take_out(plan: Plan, current: State, group: Group, desired: Desired) -> None:
    """Others made the group, so of it only those go who were put into it here, and what was changed goes back."""
    name = group.recipient.label
    going = leaving(current, desired)
    judgement = judged(current, desired)
    stuck = [one for one in going if one.guid in judgement.stuck()]
    going = [one for one in going if one not in stuck]
    if stuck:
        problem = limiter.members_problem(judgement, f"take them out of the group {name}", current.names)
        plan.warnings.append(
            f"{listed([one.label for one in stuck])} stays in the group {name}: {problem.message if problem else ''}."
        )
    plan.warnings += limiter.narrowing(judgement, current.names)
    restored, stays = _restored(group, desired)
    plan.warnings += stays
    plan.steps.extend(Leave(f"remove {one.label} from the group {name}", one.guid) for one in going)
    if restored:
        plan.steps.append(Settings(f"set {', '.join(restored)} of the group {name} back to what it was", restored))
    if group.dir_synced and plan.steps:
        plan.warnings.append(f"{synced(group, [step.title for step in plan.steps])}")
        plan.steps.clear()
        plan.result["left_over"] = [one.label for one in ordered([*going, *stuck])]
        return
    plan.result["left_over"] = [one.label for one in stuck]
    if not plan.steps:
        return
    members = [one.label for one in ordered(current.members) if one not in going]
    plan.after = {**plan.before, **restored, "Members": members}
    plan.result.update(members=members, members_removed=[one.label for one in going])
    told = [f"{len(going)} of its members taken out"] if going else []
    plan.summary = ", ".join(["group kept", *told, *([f"{', '.join(restored)} set back"] if restored else [])])


def _restored(group: Group, desired: Desired) -> tuple[Json, list[str]]:
    """(the settings that go back, a text for each that does not): what somebody changed since then is theirs."""
    back: Json = {}
    stays: list[str] = []
    for setting in desired.own_settings.get(group.recipient.guid.lower(), ()):
        if setting.name in RESTORABLE:
            now = group.setting(setting.name)
            if now == setting.before:
                continue
            if setting.after is None or now == setting.after:
                back[setting.name] = setting.before
                continue
        elif setting.name == "ManagedBy" and sorted(group.managed_by) == sorted(setting.before or []):
            continue
        was = listed(setting.before) if isinstance(setting.before, list) else setting.before
        stays.append(f"{setting.name} of the group {group.recipient.label} was {was!r} before and stays as it is now.")
    return back, stays
