# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One application access policy: an application, a group, and whether the group is what it may or may not open.

An application without any policy may open every mailbox, so nothing here ever leaves one without a policy on the
way to another: what is new comes first, what is old goes after.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, Conflict, InvalidInput, NotFound
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import NamedStep as Step
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import SECURITY_GROUP, Recipient, words
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    DENY,
    EVERY_APPLICATION,
    IN_FORCE_AFTER,
    RESTRICT,
    scope_cmdlet,
    scopes,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    EVALUATION as EVALUATION,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    Policy as Policy,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    policies_of as policies_of,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    read_cmdlet as read_cmdlet,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

LONGEST_DESCRIPTION = 1024
EXCHANGE_ADMIN = "an Exchange Administrator"


def application(task: Task) -> str:
    """The option app_id; all zeros stand for an application that check mode only pretends to have made."""
    app_id = _names.guid(task.params["app_id"], "app_id")
    if app_id == _names.ZERO_GUID and not task.check_mode:
        raise InvalidInput("app_id is all zeros", cure="give the Application (client) ID")
    return app_id


@dataclass(frozen=True)
class State:
    """``policies``: all of the tenant; ``scopes``: whatever the option ``group`` names."""

    policies: tuple[Policy, ...] = ()
    scopes: tuple[Recipient, ...] = ()


@dataclass(frozen=True)
class Desired:
    """``description`` None: not managed."""

    app_id: str
    group: str
    access_right: str = RESTRICT
    description: str | None = None
    state: str = "present"
    on_other_policies: str = "fail"
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
        _absent(plan, current, desired, found, others)
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
    if found is not None and found.access_right == desired.access_right:
        wanted = Policy(
            **{**vars(found), "description": found.description if desired.description is None else desired.description}
        )
        if wanted.description != found.description:
            name = scope.display_name if scope else desired.group
            title = f"set the description of the policy on {name}"
            plan.steps.append(Step("describe", title, {"Identity": found.identity, "Description": wanted.description}))
    else:
        wanted = Policy(
            identity="",
            app_id=desired.app_id,
            access_right=desired.access_right,
            scope_name=scope.display_name if scope else desired.group,
            scope_identity=scope.name if scope else desired.group,
            description=desired.description or "",
        )
        if found is not None:
            bridge = [policy for policy in others if policy.access_right == RESTRICT]
            if not bridge:
                plan.blocked = _no_bridge(found, desired)
                plan.summary = plan.blocked.message
                return
            plan.steps.append(_removal(found))
        plan.steps.append(
            Step(
                "create",
                f"{_verb(desired.access_right)} {_who(desired)} {_group_name(scope, desired)}",
                {
                    "AccessRight": desired.access_right,
                    "AppId": desired.app_id,
                    "PolicyScopeGroupId": (scope.address or scope.guid) if scope else desired.group,
                    **({"Description": desired.description} if desired.description else {}),
                },
            )
        )
    if (problem := _settle_others(plan, desired, others)) is not None:
        plan.steps.clear()
        plan.blocked = problem
        plan.summary = problem.message
        return
    plan.after = _shown(wanted, scope, desired)
    if found is None:
        plan.added = {"app_id": desired.app_id, "group": scope.guid if scope else _names.ZERO_GUID}
    gone = {step.arguments["Identity"] for step in plan.steps if step.name == "remove"}
    plan.result["policy"] = _result(wanted, scope, desired)
    plan.result["other_policies"] = [policy.as_dict() for policy in others if policy.identity not in gone]
    if not wanted.is_valid:
        plan.warnings.append("Exchange says that this policy is not valid; look whether its group still exists.")
    if desired.access_right == DENY and not any(policy.access_right == RESTRICT for policy in others):
        plan.warnings.append("With DenyAccess alone the application may open every mailbox outside the group.")
    if any(step.name in ("create", "remove") for step in plan.steps):
        plan.result["in_force_by"] = (now + IN_FORCE_AFTER).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    plan.summary = _summary(plan, desired, scope)


def _settle_others(plan: Plan, desired: Desired, others: list[Policy]) -> Blocked | None:
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
        plan.steps.extend(_removal(policy) for policy in contradicting if policy not in kept)
    if kept:
        plan.warnings.append(f"Other access policies count as well: {'; '.join(map(str, kept))}. {EVALUATION}.")
    return None


def _contradicts(policy: Policy, desired: Desired) -> bool:
    # A RestrictAccess policy beside a wanted DenyAccess is its usual companion; to remove it would open mailboxes.
    return desired.access_right == RESTRICT or policy.access_right == DENY


def _absent(plan: Plan, current: State, desired: Desired, found: Policy | None, others: list[Policy]) -> None:
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
    plan.steps.append(_removal(found))
    plan.after = {}
    plan.result["policy"] = None
    plan.summary = "policy removed"


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


def _no_bridge(found: Policy, desired: Desired) -> Blocked:
    return Blocked(
        f"the application has a {found.access_right} policy on this group, and Exchange keeps one policy for an "
        f"application and a group: {desired.access_right} needs the other removed first, and without any policy the "
        "application could open every mailbox meanwhile",
        attempted=f"change {found.access_right} to {desired.access_right} for {desired.app_id}",
        cure="revoke the application's consent, remove the policy, run again and consent anew; or use another group",
        who=EXCHANGE_ADMIN,
        details={"policies": [found.as_dict()], "evaluation": EVALUATION},
    )


def _removal(policy: Policy) -> Step:
    return Step("remove", f"remove the policy {policy}", {"Identity": policy.identity})


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
    names = [step.name for step in plan.steps]
    what = f"{desired.access_right} on {scope.display_name if scope else desired.group}"
    if not names:
        return what
    if names == ["describe"]:
        return f"{what}: description changed"
    said = [f"{what} created"] if "create" in names else [what]
    removed = names.count("remove")
    return ", ".join([*said, *([f"{removed} other removed"] if removed else [])])


class AccessPolicy:
    """The resource behind ``exchange_application_access_policy``."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        params = task.params
        self._tenant = tenant
        group = str(params["group"])
        description = params.get("description")
        if description is not None:
            description = _names.name(description, "description", LONGEST_DESCRIPTION)
        self._desired = Desired(
            app_id=application(task),
            group=_names.name(group, "group", 256).strip(),
            access_right=params["access_right"],
            description=description,
            state=params["state"],
            on_other_policies=params["on_other_policies"],
            check_mode=task.check_mode,
        )

    def read(self) -> State:
        policies, found = self._tenant.exchange.invoke_many([read_cmdlet(), scope_cmdlet(self._desired.group)])
        recipients = [Recipient.of(item) for item in found.listed()]
        return State(tuple(policies_of(policies)), tuple(scopes(recipients, self._desired.group)))

    def plan(self, current: State) -> Plan:
        return plan(current, self._desired, self._tenant.clock.now())

    def perform(self, step: Step) -> None:
        if step.name == "create":
            self._create(step)
        elif step.name == "describe":
            self._tenant.exchange.invoke("Set-ApplicationAccessPolicy", step.title, **step.arguments)
        else:
            try:
                self._tenant.exchange.invoke(
                    "Remove-ApplicationAccessPolicy", step.title, Confirm=False, **step.arguments
                )
            except NotFound:
                return  # somebody else removed it meanwhile

    def _create(self, step: Step) -> None:
        refusals: list[NotFound] = []

        def accepted() -> bool:
            """A group made a moment ago may be unknown to the server that answers now."""
            try:
                self._tenant.exchange.invoke("New-ApplicationAccessPolicy", step.title, **step.arguments)
            except NotFound as exc:
                refusals.append(exc)
                return False
            except Conflict:
                if not self._already_there():
                    raise
            return True

        if not self._tenant.patiently(accepted):
            raise refusals[-1]

    def _already_there(self) -> bool:
        current = self.read()
        return any(
            policy.app_id == self._desired.app_id
            and policy.access_right == self._desired.access_right
            and any(policy.covers(scope) for scope in current.scopes)
            for policy in current.policies
        )

    def settle(self, plan: Plan) -> Json:
        last: list[Plan] = []

        def arrived() -> bool:
            last.append(self.plan(self.read()))
            return not last[-1].steps and last[-1].blocked is None

        if not self._tenant.patiently(arrived):
            still = last[-1].blocked.message if last[-1].blocked else "; ".join(step.title for step in last[-1].steps)
            raise Conflict(
                f"the policies do not read as they were written; still to do: {still}",
                attempted="read the access policies back",
                cure="look whether another tool writes them too, then run again",
            )
        return {key: last[-1].result[key] for key in ("policy", "other_policies")}


SPEC = ArgumentSpec(
    {
        "app_id": {"type": "str", "required": True},
        "group": {"type": "str", "required": True},
        "access_right": {"type": "str", "default": RESTRICT, "choices": [RESTRICT, DENY]},
        "description": {"type": "str"},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "on_other_policies": {"type": "str", "default": "fail", "choices": ["fail", "remove", "keep"]},
    }
)
DOOR = Door(AccessPolicy, SPEC)
