# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""RBAC for Applications: one management scope on a group, and one assignment within it for each role.

What has to be done is planned in ``application_role_plan`` and ``application_role_removal``.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import typing as t
from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils import (
    _claim,
    _names,
    _ownership,
    _permissions,
    _texts,
    _time,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    ServiceError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, NotYet, Plan, Settled
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import application_role_problems as problems
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_role_plan import (
    as_found,
    asks_for_everybodys,
    assigns,
    grants,
    plan,
    revoked_by,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_role_removal import (
    absent,
    looks_for_users,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_role_state import (
    FAIL,
    KEEP,
    REMOVE,
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
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import entra_grants, recipient_filter, token_life
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    policies_of,
    read_cmdlet,
    scope_cmdlet,
    scopes,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import (
    GRAPH,
    POINTER_PATIENCE_S,
    Assignment,
    all_assignments_cmdlet,
    assignments_cmdlet,
    assignments_of,
    everybodys,
    roles_named,
    scope_name,
    scopes_cmdlet,
    scopes_of,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.entra_grants import Held
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.limiter import EXCHANGE_ADMIN
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import pointer_of
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import read_cmdlet as pointer_cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._settle import read_back
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

CUSTOMIZED_AFTER = dt.timedelta(minutes=75)
"""How long Exchange may refuse scopes and assignments after the organization was customized."""
SHOWS_WITHIN_S = 60.0


class ApplicationRole:
    """The resource behind ``exchange_application_role``."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        self._tenant = tenant
        self._desired = _desired(task)
        self._grace: int | None = task.params["token_grace_minutes"]
        self._revoked: list[Held] = []
        self._foreseen: Json = {}
        self._added: list[Json] = []
        self._seen: set[str] = set()

    # ---- reading

    def read(self) -> State:
        desired = self._desired
        if desired.state == "absent":
            state = self._look()
            return self._with_everybodys(state) if looks_for_users(state, desired) else state
        state = self._named()
        if desired.app_id != _names.ZERO_GUID:
            state = replace(state, holder=entra_grants.read(self._tenant, desired.app_id, waits=not desired.check_mode))
        if asks_for_everybodys(state, desired) or assigns(state, desired):
            state = self._with_everybodys(state)
        if desired.app_id != _names.ZERO_GUID and state.holder is not None and grants(state, desired):
            self._desired = replace(desired, trust=_claim.signed_in(self._tenant, desired.trust))
            state = replace(state, claim=_claim.look(self._tenant, desired.app_id))
        if desired.check_mode and (going := revoked_by(plan(state, desired, self._tenant.now()))):
            self._foreseen = self._outlived(going)
        return state

    def _named(self) -> State:
        """With patience until the group has a distinguished name: one that was made a moment ago may have none."""
        seen: list[State] = []

        def named() -> bool:
            seen.append(self._look())
            return seen[-1].group is None or bool(seen[-1].dn)

        what = "Exchange to give the group a distinguished name"
        self._tenant.patiently(named, budget_s=min(SHOWS_WITHIN_S, self._tenant.patience_s), what=what)
        return seen[-1]

    def _look(self) -> State:
        """One batch."""
        desired = self._desired
        about: list[Cmdlet] = []
        if desired.app_id != _names.ZERO_GUID:
            about = [pointer_cmdlet(desired.app_id), assignments_cmdlet(desired.app_id)]
        if desired.state == "absent":
            group = [scope_cmdlet(desired.group)] if desired.group else []
            outputs = self._tenant.exchange.invoke_many([*about, scopes_cmdlet(), *group])
            told, (scoped, *named) = outputs[: len(about)], outputs[len(about) :]
            called = [Recipient.of(item) for output in named for item in output.listed()]
            groups = tuple(scopes(called, desired.group))
            return _with_application(State(groups=groups, scopes=tuple(scopes_of(scoped))), told, desired)
        asked = [
            *about,
            scopes_cmdlet(),
            scope_cmdlet(desired.group),
            _members_cmdlet(desired.group),
            read_cmdlet(),
            organization_cmdlet(),
        ]
        *told, scoped, found, members, policies, organization = self._tenant.exchange.invoke_many(asked)
        groups = tuple(scopes([Recipient.of(item) for item in found.listed()], desired.group))
        state = State(
            groups=groups,
            members=self._members(groups, members),
            scopes=tuple(scopes_of(scoped)),
            policies=tuple(policies_of(policies)),
            dehydrated=any(str(row.get("IsDehydrated")).casefold() == "true" for row in organization.objects()),
        )
        return _with_application(state, told, desired)

    def _members(self, groups: t.Sequence[Recipient], told: Output) -> tuple[Recipient, ...] | None:
        """Of the group that is meant. A name may be another's alias, so that the answer is to another question."""
        if len(groups) != 1:
            return None
        one, said = groups[0], self._desired.group.casefold()
        if told.error is not None or not (
            said in (one.alias.casefold(), one.guid, one.entra_id) or one.has_address(said)
        ):
            [told] = self._tenant.exchange.invoke_many([_members_cmdlet(one.guid)])
        return None if told.error is not None else tuple(map(Recipient.of, told.objects()))

    def _with_everybodys(self, state: State) -> State:
        [output] = self._tenant.exchange.invoke_many([all_assignments_cmdlet()])
        return replace(state, everybodys=tuple(everybodys(output)))

    # ---- planning and writing

    def plan(self, current: State) -> Plan:
        if self._desired.state == "absent":
            return absent(current, self._desired)
        planned = plan(current, self._desired, self._tenant.now())
        if self._foreseen:
            planned.result.update(self._foreseen)
            if self._foreseen["tokens_until"] > _time.iso(self._tenant.now()):
                planned.pending = _ALIVE.format(told=", ".join(map(str, revoked_by(planned))))
                planned.pending_until = max(self._foreseen["tokens_until"], planned.pending_until or "")
            else:
                planned.warnings.append(token_life.NOT_WAITED_FOR)
        # What a plan that was made anew after a lost answer no longer shows.
        self._added = self._added or (planned.added if isinstance(planned.added, list) else [])
        return planned

    def perform(self, step: RoleStep) -> None:
        exchange = self._tenant.exchange
        match step:
            case Revoke():
                self._revoke(step)
            case Customize():
                self._customize(step)
            case MakeScope():
                self._make_scope(step)
            case Refilter():
                self._written("Set-ManagementScope", step, Identity=step.name, RecipientRestrictionFilter=step.filter)
            case Assign():
                self._assign(step)
            case Enable():
                self._see_the_scope(step)
                self._written(
                    "Set-ManagementRoleAssignment",
                    step,
                    Identity=step.name,
                    CustomResourceScope=step.scope,
                    Enabled=True,
                )
            case Unassign():
                with contextlib.suppress(NotFound):
                    exchange.invoke("Remove-ManagementRoleAssignment", step.title, Identity=step.name, Confirm=False)
            case RemoveScope():
                self._remove_scope(step)
            case _:
                t.assert_never(step)

    def _revoke(self, step: Revoke) -> None:
        held = step.held
        path = f"/servicePrincipals/{held.principal_id}/appRoleAssignments/{held.id}"
        if held not in self._revoked:
            self._revoked.append(held)  # Whatever comes of it: an answer that is lost may have said that it was done.
        try:
            with contextlib.suppress(NotFound):
                self._tenant.graph.delete(path, step.title)
        except Forbidden as exc:
            self._revoked.remove(held)
            exc.cure = (
                "give the operator's application AppRoleAssignment.ReadWrite.All (Microsoft Graph) and admin consent "
                "to it, or revoke the permission by hand"
            )
            exc.who = "a Privileged Role Administrator"
            raise

    def _customize(self, step: Customize) -> None:
        try:
            self._tenant.exchange.invoke(problems.CUSTOMIZE, step.title)
        except Forbidden:
            raise
        except ServiceError as exc:
            if _texts.EXCHANGE_CUSTOMIZED not in exc.message:
                raise

    def _make_scope(self, step: MakeScope) -> None:
        try:
            self._written("New-ManagementScope", step, Name=step.name, RecipientRestrictionFilter=step.filter)
        except Conflict:
            # A lost answer's scope, which shows only now, is right; anybody else's is not.
            found = self._look().scope(step.name)
            if found is None or recipient_filter.parse(step.filter).groups != found.filter.groups:
                raise

    def _assign(self, step: Assign) -> None:
        """There is no such thing as an assignment without a scope, and none on one that does not read as it should."""
        self._see_the_scope(step)
        refusals: list[NotFound] = []

        def accepted() -> bool:
            try:
                self._written(
                    "New-ManagementRoleAssignment",
                    step,
                    Name=step.name,
                    Role=step.role,
                    App=step.app,
                    CustomResourceScope=step.scope,
                )
            except NotFound as exc:
                refusals.append(exc)
                return False
            except Conflict:
                state = self._look()
                if not any(_is_as(one, step) for one in state.assignments):
                    raise
            return True

        # The longest that Exchange was seen not to know a service principal which had been made a moment before.
        budget = POINTER_PATIENCE_S if self._tenant.patience_s else 0.0
        what = "Exchange to know the application's service principal"
        if not self._tenant.patiently(accepted, budget_s=budget, what=what):
            raise refusals[-1]

    def _see_the_scope(self, step: Assign | Enable) -> None:
        """Read the scope and the group once more, right before the first assignment on it. Raises what stands in the
        way."""
        if step.scope.casefold() in self._seen:
            return
        seen: list[State] = []

        def right() -> bool:
            seen.append(self._look())
            scope = seen[-1].scope(step.scope)
            return scope is not None and scope.holds(seen[-1].dn)

        if not self._tenant.patiently(right, budget_s=min(SHOWS_WITHIN_S, self._tenant.patience_s)):
            raise Conflict(
                f"the scope {step.scope} does not read as it was written",
                attempted=step.title,
                cure="look whether another tool changes it too, then run again in some minutes; nothing was assigned",
                who=EXCHANGE_ADMIN,
            )
        problem = problems.group(seen[-1], self._desired) or problems.strangers(seen[-1], self._desired)
        if problem is not None:
            raise problem
        self._seen.add(step.scope.casefold())

    def _written(self, cmdlet: str, step: RoleStep, **arguments: t.Any) -> None:
        """Raises NotYet where the organization is not ready, or Blocked where it never will be."""
        try:
            self._tenant.exchange.invoke(cmdlet, step.title, **arguments)
        except ServiceError as exc:
            if exc.code == _texts.EXCHANGE_DEHYDRATED:
                raise self._not_ready() from exc
            if _texts.EXCHANGE_NOT_DELEGATED in exc.message:
                role = str(step.role) if isinstance(step, Assign) else ""
                if role and self._is_delegated_to_nobody(role):
                    raise problems.not_delegated(role, exc.message) from exc
                raise self._not_ready() from exc
            raise

    def _is_delegated_to_nobody(self, role: str) -> bool:
        """Whether others may be handed on, and this role may not: then waiting does not help."""
        asked = Cmdlet("Get-ManagementRoleAssignment", {"Delegating": True}, "look who may assign the role")
        [output] = self._tenant.exchange.invoke_many([asked])
        roles = {str(row.get("Role") or "").casefold() for row in output.listed()}
        return bool(roles) and role.casefold() not in roles

    def _not_ready(self) -> NotYet:
        """What there is by now, and when to look again. A scope that was made already stays for then."""
        now = self._tenant.now()
        values: Json = {**as_found(self._look(), self._desired), **self._what_was_revoked(), "ready": False}
        why = f"Exchange takes {problems.HOW_LONG} after the organization was customized until it assigns roles"
        until = max(_time.iso(now + CUSTOMIZED_AFTER), str(values.get("tokens_until") or ""), self._awaited())
        scopes = [entry for entry in self._added if entry["kind"] == "scope" and values["scope"]]
        return NotYet(Settled(values, pending=why, pending_until=until), scopes)

    def _remove_scope(self, step: RemoveScope) -> None:
        refusals: list[ServiceError] = []

        def gone() -> bool:
            """The assignments that were removed a moment ago may still count on another server."""
            try:
                self._tenant.exchange.invoke("Remove-ManagementScope", step.title, Identity=step.name, Confirm=False)
            except (Forbidden, NotFound) as exc:
                if isinstance(exc, Forbidden):
                    raise
            except ServiceError as exc:
                refusals.append(exc)
                return False
            return True

        if not self._tenant.patiently(gone, budget_s=min(SHOWS_WITHIN_S, self._tenant.patience_s)):
            refusals[-1].cure = refusals[-1].cure or "run again in some minutes"
            raise refusals[-1]

    def settle(self, plan: Plan) -> Settled:
        seen = read_back(self._tenant, self).require("the application's role assignment")
        values: Json = {key: seen.plan.result[key] for key in ("scope", "assignments", "other_assignments")}
        values |= self._what_was_revoked()
        if not self._revoked:
            return Settled(values)
        if values["tokens_until"] <= _time.iso(self._tenant.now()):
            return Settled(values, warnings=(token_life.NOT_WAITED_FOR,))
        return Settled(
            values,
            warnings=() if values["token_lifetimes_known"] else (token_life.UNREAD,),
            pending=_ALIVE.format(told=", ".join(map(str, self._revoked))),
            pending_until=max(values["tokens_until"], self._awaited()),
        )

    def lasting(self) -> Json:
        """A revocation may have been done: until when tokens may outlive it is not forgotten."""
        if not self._revoked:
            return {}
        return token_life.told_unread(self._tenant.now(), _resources(self._revoked), self._grace)

    def _what_was_revoked(self) -> Json:
        if not self._revoked:
            return {}
        return {"revoked": entra_grants.by_resource(self._revoked), **self._outlived(self._revoked)}

    def _outlived(self, held: t.Iterable[Held]) -> Json:
        return token_life.told(self._tenant.graph, self._tenant.now(), _resources(held), self._grace)

    def _awaited(self) -> str:
        """Until when the tokens of an earlier revocation may live; "" where none is waited for."""
        return _time.iso(self._desired.tokens_until) if self._desired.tokens_until else ""


_ALIVE = "tokens that were issued with {told} may still be alive, and open what the scope keeps shut"


def _resources(held: t.Iterable[Held]) -> list[str]:
    return sorted({one.resource or GRAPH for one in held})


def _with_application(state: State, told: t.Sequence[Output], desired: Desired) -> State:
    if not told:
        return state
    pointed, assigned = told
    pointer = pointer_of(pointed, desired.app_id)
    return replace(state, pointer=pointer, assignments=tuple(assignments_of(assigned, pointer)))


def organization_cmdlet() -> Cmdlet:
    return Cmdlet("Get-OrganizationConfig", {}, "read whether the organization was ever customized")


def _members_cmdlet(group: str) -> Cmdlet:
    return Cmdlet(
        "Get-DistributionGroupMember", {"Identity": group, "ResultSize": "Unlimited"}, "read the scope group's members"
    )


def _is_as(one: Assignment, step: Assign) -> bool:
    return (one.name.casefold(), one.role.casefold(), one.scope.casefold()) == (
        step.name.casefold(),
        step.role.casefold(),
        step.scope.casefold(),
    )


def _desired(task: Task) -> Desired:
    """The options, checked. Raises InvalidInput."""
    params = task.params
    app_id = task.app_id()
    present = params["state"] == "present"
    named = roles_named(params["roles"] or [])
    if present and not named:
        raise InvalidInput("roles is empty", cure="list the roles, such as Mail.Send", options=("roles",))
    if present and not params["group"]:
        raise InvalidInput(
            "group is missing: an assignment without a scope would open every mailbox",
            cure="give the group's address, alias or id",
            options=("group",),
        )
    if (params["token_grace_minutes"] or 0) < 0:
        raise InvalidInput(
            "token_grace_minutes is negative", cure="give a number of minutes", options=("token_grace_minutes",)
        )
    said, mailboxes, own = params["scope_name"], params["mailboxes"], params["own_scopes"]
    declared = _permissions.parse(params["permissions"]) or ()
    return Desired(
        app_id=app_id,
        roles=named,
        group=_names.name(params["group"], "group", 256).strip() if params["group"] else "",
        scope_name=_names.name(said, "scope_name", recipient_filter.LONGEST_NAME).strip()
        if said
        else scope_name(app_id),
        mailboxes=None if mailboxes is None else tuple(_names.address(one, "mailboxes") for one in mailboxes),
        exclusive=params["exclusive"],
        on_other_assignments=params["on_other_assignments"],
        on_entra_grant=params["on_entra_grant"],
        customize=params["enable_organization_customization"],
        declared=frozenset(Permission(item.app_id, name) for item in declared for name in item.application),
        tokens_until=None
        if params["token_grace_minutes"] == 0
        else _names.instant_said(params["tokens_until"], "tokens_until"),
        own_scopes=None if own is None else tuple(str(name) for name in own if name),
        own_assignments=None
        if params["own_assignments"] is None
        else tuple(str(name) for name in params["own_assignments"] if name),
        keep_own=params["keep_own"],
        state=params["state"],
        trust=_ownership.trust_of(params),
        check_mode=task.check_mode,
    )


SPEC = ArgumentSpec(
    {
        "app_id": {"type": "str", "required": True},
        "roles": {"type": "list", "elements": "str", "default": []},
        "group": {"type": "str"},
        "scope_name": {"type": "str"},
        "mailboxes": {"type": "list", "elements": "str"},
        "permissions": {"type": "list", "elements": "dict", "options": _permissions.OPTIONS},
        "exclusive": {"type": "bool", "default": False},
        "on_other_assignments": {"type": "str", "default": FAIL, "choices": [FAIL, KEEP]},
        "on_entra_grant": {"type": "str", "default": FAIL, "choices": [FAIL, REMOVE]},
        "enable_organization_customization": {"type": "bool", "default": False},
        "token_grace_minutes": {"type": "int", "no_log": False},
        "tokens_until": {"type": "str", "no_log": False},
        "own_scopes": {"type": "list", "elements": "str"},
        "own_assignments": {"type": "list", "elements": "str"},
        "keep_own": {"type": "bool", "default": False},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        **_ownership.TRUST_OPTIONS,
    }
)
DOOR = Door(ApplicationRole, SPEC, takes=True)
