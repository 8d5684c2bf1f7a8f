# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What an application's access policy has to become: pure planning.

An application without any policy may open every mailbox, so nothing here ever leaves one without a policy on the
way to another: what is new comes first, what is old goes after.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _added, _names, _time
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import (
    SECURITY_GROUP,
    Recipient,
    listed,
    words,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import limiter
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    DENY,
    EVALUATION,
    EVERY_APPLICATION,
    IN_FORCE_AFTER,
    RESTRICT,
    Policy,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.holding import ABSENT, Holding

EXCHANGE_ADMIN = limiter.EXCHANGE_ADMIN


@dataclass(frozen=True)
class Create(Step):
    """``arguments``: of New-ApplicationAccessPolicy."""

    arguments: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Describe(Step):
    identity: str = ""
    description: str = ""


@dataclass(frozen=True)
class Remove(Step):
    """``policy``: which one, for people."""

    identity: str = ""
    policy: str = ""


PolicyStep: t.TypeAlias = "Create | Describe | Remove"


@dataclass(frozen=True)
class State:
    """``policies``: all of the tenant; ``scopes``: whatever the option ``group`` names.

    ``holding``: what the application holds, where that decides; None where it does not, and nobody asked.
    """

    policies: tuple[Policy, ...] = ()
    scopes: tuple[Recipient, ...] = ()
    holding: Holding | None = None


@dataclass(frozen=True)
class Desired:
    """``description`` None: not managed."""

    app_id: str
    group: str
    access_right: str = RESTRICT
    description: str | None = None
    state: str = "present"
    on_other_policies: str = "fail"
    not_before: dt.datetime | None = None
    consent_revoked: bool = False
    check_mode: bool = field(default=False, compare=False)


def plan(current: State, desired: Desired, now: dt.datetime) -> Plan:
    scope = current.scopes[0] if len(current.scopes) == 1 else None
    of_app = [policy for policy in current.policies if policy.app_id in (desired.app_id, EVERY_APPLICATION)]
    hits = _hits([policy for policy in of_app if policy.app_id == desired.app_id], current, desired)
    found = hits[0] if len(hits) == 1 else None
    others = [policy for policy in of_app if policy is not found]
    before = _shown(found, scope, desired)
    plan = Plan(
        before=before,
        after=before,
        result={
            "policy": _result(found, scope, desired) if found else None,
            "other_policies": [policy.as_dict() for policy in others],
        },
    )
    if desired.state == "absent":
        _absent(plan, current, desired, found, others, now)
    else:
        _present(plan, current, desired, scope, found, others, now)
    return plan


def _present(
    plan: Plan,
    current: State,
    desired: Desired,
    scope: Recipient | None,
    found: Policy | None,
    others: list[Policy],
    now: dt.datetime,
) -> None:
    plan.blocked = _scope_problem(current, desired)
    if plan.blocked is not None:
        plan.summary = plan.blocked.message
        return
    remakes = found is not None and (found.access_right != desired.access_right or not found.is_valid)
    if found is not None and not remakes:
        wanted = Policy(
            **{**vars(found), "description": found.description if desired.description is None else desired.description}
        )
        if wanted.description != found.description:
            name = scope.display_name if scope else desired.group
            title = f"set the description of the policy on {name}"
            plan.steps.append(Describe(title, found.identity, wanted.description))
    else:
        wanted = Policy(
            identity="",
            app_id=desired.app_id,
            access_right=desired.access_right,
            scope_name=scope.display_name if scope else desired.group,
            scope_identity=scope.name if scope else desired.group,
            description=_description(found, desired),
        )
        if found is not None:
            # Exchange keeps one policy for an application and a group, so the old one goes first.
            if not _bridged(others):
                if not _needless(found, current, desired):
                    plan.blocked = _no_bridge(found, desired, current)
                    plan.summary = plan.blocked.message
                    return
                if _waits(plan, desired, now, "the policy stays as it is"):
                    plan.summary = f"policy stays as it is until {plan.pending_until}"
                    return
            plan.steps.append(_removal(found))
        plan.steps.append(
            Create(
                f"{_verb(desired.access_right)} {_who(desired)} {_group_name(scope, desired)}",
                {
                    "AccessRight": desired.access_right,
                    "AppId": desired.app_id,
                    "PolicyScopeGroupId": (scope.address or scope.guid) if scope else desired.group,
                    **({"Description": wanted.description} if wanted.description else {}),
                },
            )
        )
    if (problem := _settle_others(plan, current, desired, others, now)) is not None:
        plan.steps.clear()
        plan.blocked = problem
        plan.summary = problem.message
        return
    plan.after = _shown(wanted, scope, desired)
    if found is None:
        plan.added = [_added.entry("policy", desired.app_id, scope.guid if scope else _names.ZERO_GUID)]
    gone = {step.identity for step in plan.steps if isinstance(step, Remove)}
    plan.result["policy"] = _result(wanted, scope, desired)
    plan.result["other_policies"] = [policy.as_dict() for policy in others if policy.identity not in gone]
    if desired.access_right == DENY and not any(policy.access_right == RESTRICT for policy in others):
        plan.warnings.append("With DenyAccess alone the application may open every mailbox outside the group.")
    if any(isinstance(step, (Create, Remove)) for step in plan.steps):
        plan.result["in_force_by"] = _time.iso(now + IN_FORCE_AFTER)
    plan.summary = _summary(plan, desired, scope)


def _description(found: Policy | None, desired: Desired) -> str:
    """A policy that is made anew keeps what was said about it, unless something else is declared."""
    if desired.description is not None:
        return desired.description
    return found.description if found is not None else ""


def _bridged(others: t.Iterable[Policy]) -> bool:
    """Whether the application opens no more while its policy on the group is made anew: another valid one limits it
    meanwhile."""
    return any(policy.access_right == RESTRICT and policy.is_valid for policy in others)


def _needless(found: Policy, current: State, desired: Desired) -> bool:
    """Whether a policy that is not valid, and so may limit nothing, can go: nothing is held that a policy limits."""
    if found.is_valid:
        return False
    return current.holding is not None and limiter.removal_problem(current.holding, "", **_said(desired)) is None


def _said(desired: Desired) -> dict[str, bool]:
    return {"revoked": desired.consent_revoked, "check_mode": desired.check_mode}


def _settle_others(
    plan: Plan, current: State, desired: Desired, others: list[Policy], now: dt.datetime
) -> Blocked | None:
    """Steps that remove what contradicts, a warning for what stays, or the reason to stop."""
    contradicting = [policy for policy in others if _contradicts(policy, desired)]
    if not contradicting:
        return None
    listed = "; ".join(map(str, contradicting))
    if desired.on_other_policies == "fail":
        return Blocked(
            f"the application has other access policies: {listed}",
            attempted=f"{_verb(desired.access_right)} {_who(desired)} {_preposition(desired)}{desired.group}",
            cure=f"look at each of them, then set on_other_policies to remove or keep. {EVALUATION}",
            who=EXCHANGE_ADMIN,
            details={"policies": [policy.as_dict() for policy in contradicting], "evaluation": EVALUATION},
        )
    kept = contradicting
    if desired.on_other_policies == "remove":
        # A policy for every application is not this application's to remove.
        kept = [policy for policy in contradicting if policy.app_id == EVERY_APPLICATION]
        # What denies goes last, so that nothing opens on the way that another of them still grants.
        going = sorted(
            (policy for policy in contradicting if policy not in kept), key=lambda policy: policy.access_right == DENY
        )
        opens = desired.access_right == DENY or (kept and any(policy.access_right == DENY for policy in going))
        if opens and going:
            if (problem := _removal_problem(current, desired, going)) is not None:
                return problem
            if _waits(plan, desired, now, "the other policies stay"):
                return None
        plan.steps.extend(_removal(policy) for policy in going)
    if kept:
        plan.warnings.append(f"Other access policies count as well: {'; '.join(map(str, kept))}. {EVALUATION}.")
    return None


def _contradicts(policy: Policy, desired: Desired) -> bool:
    # A RestrictAccess policy beside a wanted DenyAccess is its usual companion; to remove it would open mailboxes.
    return desired.access_right == RESTRICT or policy.access_right == DENY


def _absent(
    plan: Plan, current: State, desired: Desired, found: Policy | None, others: list[Policy], now: dt.datetime
) -> None:
    own = [policy for policy in others if policy.app_id == desired.app_id]
    if found is None and own and len(current.scopes) > 1:
        plan.blocked = _ambiguous(current, desired)
        plan.summary = plan.blocked.message
        return
    if found is None:
        plan.summary = "no such policy"
        if own:
            plan.warnings.append(f"Other access policies of this application stay: {'; '.join(map(str, own))}.")
        return
    if found.access_right != desired.access_right:
        plan.blocked = Blocked(
            f"the application's policy on {desired.group} is {found.access_right}, not {desired.access_right}",
            attempted=f"remove the policy of {desired.app_id}",
            cure=f"set access_right to {found.access_right} if that one is to go",
            who=EXCHANGE_ADMIN,
            details={"policies": [found.as_dict()]},
        )
        plan.summary = plan.blocked.message
        return
    if _waits(plan, desired, now, "the policy stays"):
        plan.summary = f"policy stays until {plan.pending_until}"
        return
    plan.blocked = _removal_problem(current, desired, [found])
    if plan.blocked is not None:
        plan.summary = plan.blocked.message
        return
    plan.steps.append(_removal(found))
    plan.after = {}
    plan.result["policy"] = None
    plan.summary = "policy removed"


def _waits(plan: Plan, desired: Desired, now: dt.datetime, what: str) -> bool:
    """Whether tokens may be alive that were issued before a consent was revoked, and that only a policy limits."""
    if desired.not_before is None or now >= desired.not_before:
        return False
    plan.pending = f"{what} until no token can be alive that was issued before the consent was revoked"
    plan.pending_until = _time.iso(desired.not_before)
    return True


def _removal_problem(current: State, desired: Desired, going: list[Policy]) -> Blocked | None:
    """The limiter rule for the application's own policies."""
    attempted = f"remove {listed(going, separator='; ')}"
    if not limiter.needs_proof(current.policies, desired.app_id, going):
        return None
    if current.holding is None:
        return Blocked(f"it is not known what {desired.app_id} holds", attempted=attempted, cure="run again")
    return limiter.removal_problem(current.holding, attempted, **_said(desired))


def asks_for_holding(current: State, desired: Desired, now: dt.datetime) -> bool:
    """Whether what the application holds decides: without that knowledge this plan stops."""
    if desired.app_id == _names.ZERO_GUID:
        return False
    nothing = replace(current, holding=Holding(desired.app_id, ABSENT))
    return plan(current, desired, now).blocked is not None and plan(nothing, desired, now).blocked is None


def _hits(own: list[Policy], current: State, desired: Desired) -> list[Policy]:
    """The application's policies on the group that is meant. Exchange keeps at most one."""
    if len(current.scopes) == 1:
        return [policy for policy in own if policy.covers(current.scopes[0])]
    if current.scopes or desired.state != "absent":
        return []
    # The group is gone: what is left is what the policy itself remembers of its scope.
    wanted = desired.group.casefold()
    exact = [policy for policy in own if wanted in (policy.entra_id, policy.scope_identity.casefold())]
    return exact or [policy for policy in own if policy.scope_name.casefold() == wanted]


def _scope_problem(current: State, desired: Desired) -> Blocked | None:
    attempted = f"limit {desired.app_id} to a group"
    if len(current.scopes) > 1:
        return _ambiguous(current, desired)
    if not current.scopes:
        if desired.check_mode:
            return None
        return Blocked(
            f"Exchange knows no group {desired.group!r}",
            attempted=attempted,
            cure="create it with exchange_security_group, or correct the option group",
            who=EXCHANGE_ADMIN,
        )
    scope = current.scopes[0]
    if scope.type != SECURITY_GROUP:
        return Blocked(
            f"{scope.label} is a {words(scope.type)}, and the scope has to be a mail-enabled security group",
            attempted=attempted,
            cure="choose another name and let exchange_security_group create the group; no group is ever converted",
            who=EXCHANGE_ADMIN,
            details={"found": [scope.as_dict()]},
        )
    return None


def _ambiguous(current: State, desired: Desired) -> Blocked:
    listed = "; ".join(map(str, current.scopes))
    return Blocked(
        f"{desired.group!r} names {len(current.scopes)} recipients: {listed}",
        attempted=f"look for the scope of {desired.app_id}",
        cure="give the group's address or its Guid",
        details={"found": [{**scope.as_dict(), "guid": scope.guid} for scope in current.scopes]},
    )


def _no_bridge(found: Policy, desired: Desired, current: State) -> Blocked:
    holds = current.holding.as_dict() if current.holding else None
    if found.access_right == desired.access_right:
        return Blocked(
            f"Exchange says that the policy {found} is not valid, so it may limit nothing, and it cannot be made anew "
            "without a moment of no policy, in which the application could open every mailbox",
            attempted=f"limit {desired.app_id}",
            cure="revoke the application's consent (entra_admin_consent with state absent) and run again, which makes "
            "the policy anew; look first whether its group was deleted or replaced",
            who=EXCHANGE_ADMIN,
            details={"policies": [found.as_dict()], "holds": holds},
        )
    return Blocked(
        f"the application has a {found.access_right} policy on this group, and Exchange keeps one policy for an "
        f"application and a group: {desired.access_right} needs the other removed first, and without any policy the "
        "application could open every mailbox meanwhile",
        attempted=f"change {found.access_right} to {desired.access_right} for {desired.app_id}",
        cure="revoke the application's consent, remove the policy, run again and consent anew; or use another group",
        who=EXCHANGE_ADMIN,
        details={"policies": [found.as_dict()], "evaluation": EVALUATION},
    )


def _removal(policy: Policy) -> Remove:
    return Remove(f"remove the policy {policy}", policy.identity, str(policy))


def _verb(access_right: str) -> str:
    return "limit" if access_right == RESTRICT else "deny"


def _who(desired: Desired) -> str:
    return "the application" if desired.app_id == _names.ZERO_GUID else desired.app_id


def _group_name(scope: Recipient | None, desired: Desired) -> str:
    name = scope.display_name or scope.label if scope else desired.group
    return f"{_preposition(desired)}{name}"


def _preposition(desired: Desired) -> str:
    return "to " if desired.access_right == RESTRICT else ""


def _result(policy: Policy, scope: Recipient | None, desired: Desired) -> Json:
    return {
        "identity": policy.identity or None,
        "app_id": policy.app_id,
        "group": (scope.label if scope else "") or policy.scope_name or desired.group,
        "group_name": scope.display_name if scope else policy.scope_name,
        "access_right": policy.access_right,
        "description": policy.description,
        "is_valid": policy.is_valid,
    }


def _shown(policy: Policy | None, scope: Recipient | None, desired: Desired) -> Json:
    if policy is None:
        return {}
    result = _result(policy, scope, desired)
    return {
        "AppId": result["app_id"],
        "PolicyScopeGroupId": result["group"],
        "AccessRight": result["access_right"],
        "Description": result["description"],
    }


def _summary(plan: Plan, desired: Desired, scope: Recipient | None) -> str:
    what = f"{desired.access_right} on {scope.display_name if scope else desired.group}"
    created = any(isinstance(step, Create) for step in plan.steps)
    removed = sum(isinstance(step, Remove) for step in plan.steps)
    if not created and not removed:
        return f"{what}: description changed" if plan.steps else what
    said = [f"{what} created"] if created else [what]
    return ", ".join([*said, *([f"{removed} other removed"] if removed else [])])
