# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What Exchange's pointer to a service principal has to become: pure planning."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _added, _names
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import listed
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import Assignment, is_our_name
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.limiter import EXCHANGE_ADMIN
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer

FAIL, REPLACE = "fail", "replace"


@dataclass(frozen=True)
class Create(Step):
    """``arguments``: of New-ServicePrincipal."""

    arguments: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Remove(Step):
    identity: str = ""


ServicePrincipalStep: t.TypeAlias = "Create | Remove"


@dataclass(frozen=True)
class Principal:
    """The application's service principal in Entra: its object id, and the one of its registration ("" unknown)."""

    object_id: str
    display_name: str = ""
    registration: str = ""


class Right(t.NamedTuple):
    mailbox: str
    right: str

    def __str__(self) -> str:
        return f"{self.right} on {self.mailbox}"


@dataclass(frozen=True)
class State:
    """``principal`` None: there is none, or nobody asked. ``assignments`` and ``rights`` hang on the pointer, as far as
    that matters and was looked at."""

    pointer: Pointer | None = None
    principal: Principal | None = None
    assignments: tuple[Assignment, ...] = ()
    rights: tuple[Right, ...] = ()

    @property
    def is_wrong(self) -> bool:
        """Whether the pointer leads elsewhere than to the application's service principal."""
        return (
            self.pointer is not None
            and self.principal is not None
            and self.pointer.object_id != self.principal.object_id
        )


@dataclass(frozen=True)
class Desired:
    """``object_id``: what the caller believes, "" where that is not said. ``object_id_read``: Graph said it in this
    run. ``mailboxes``: where to look for rights."""

    app_id: str
    object_id: str = ""
    object_id_read: bool = False
    display_name: str = ""
    on_wrong_pointer: str = FAIL
    state: str = "present"
    mailboxes: tuple[str, ...] = ()
    check_mode: bool = field(default=False, compare=False)


def plan(current: State, desired: Desired) -> Plan:
    before = _shown(current.pointer)
    plan = Plan(before=before, after=before, result=_result(current.pointer))
    if desired.state == "absent":
        _absent(plan, current, desired)
    else:
        _present(plan, current, desired)
    if plan.blocked is not None:
        plan.summary = plan.blocked.message
    return plan


def _present(plan: Plan, current: State, desired: Desired) -> None:
    principal, pointer = current.principal, current.pointer
    if principal is None and not desired.check_mode:
        plan.blocked = Blocked(
            f"the application {desired.app_id} has no service principal in Entra, so there is nothing to point to",
            attempted="make the application's service principal known to Exchange",
            cure="make the application first (entra_application); if it is of another tenant, consent to it here",
            who="an Application Administrator",
            options=("app_id",),
        )
        return
    plan.blocked = _belief(principal, desired)
    if plan.blocked is not None:
        return
    if pointer is not None and not current.is_wrong:
        plan.summary = "pointer is right"
        return
    if pointer is not None and principal is not None:
        if desired.on_wrong_pointer == FAIL:
            plan.blocked = _wrong(pointer, principal, current.assignments)
            return
        plan.steps.append(Remove(f"remove the pointer to {pointer.object_id}", pointer.object_id or pointer.app_id))
        plan.warnings.append(
            "Rights on mailboxes that the former pointer had stay behind, of a SID that leads to nobody "
            f"({pointer.sid.upper() or 'not told'})."
        )
        if current.assignments:
            plan.warnings.append(
                f"Its role assignments go with the former pointer: {listed(current.assignments, separator='; ')}."
            )
    object_id = principal.object_id if principal else _names.ZERO_GUID
    name = desired.display_name or (principal.display_name if principal else "")
    arguments = {"AppId": desired.app_id, "ObjectId": object_id, **({"DisplayName": name} if name else {})}
    plan.steps.append(Create("make the application's service principal known to Exchange", arguments))
    made = Pointer(desired.app_id, object_id, display_name=name, identity=object_id)
    plan.after = _shown(made)
    plan.result = _result(made)
    plan.added = [_added.entry("pointer", desired.app_id, object_id)]
    plan.summary = "pointer made" if pointer is None else "pointer replaced"


def _belief(principal: Principal | None, desired: Desired) -> Blocked | None:
    """The reason to stop where the caller believes in another object id than Entra."""
    if not desired.object_id or principal is None or desired.object_id in (principal.object_id, _names.ZERO_GUID):
        return None
    kind = "which is not the object id of the application's service principal"
    if desired.object_id == principal.registration:
        kind = "which is the object id of the registration (App registrations) and not of the enterprise application"
    return Blocked(
        f"object_id is {desired.object_id}, {kind}; that is {principal.object_id}",
        attempted="make the application's service principal known to Exchange",
        cure=f"leave object_id out, or give {principal.object_id}",
        options=("object_id",),
    )


def _wrong(pointer: Pointer, principal: Principal, assignments: t.Sequence[Assignment]) -> Blocked:
    leads = f"{pointer.object_id}, which is not the application's service principal ({principal.object_id})"
    if pointer.object_id == principal.registration:
        leads = (
            f"{pointer.object_id}, which is the object id of the registration (App registrations) and not of the "
            f"enterprise application ({principal.object_id})"
        )
    return Blocked(
        f"Exchange's service principal of the application leads to {leads}; Exchange takes any id, and nobody gets in "
        "by a wrong one",
        attempted="make the application's service principal known to Exchange",
        cure="set on_wrong_pointer to replace (mail2fax_on_wrong_pointer): the pointer is removed and made anew, with "
        "a new SID; role assignments go with the old one, and rights on mailboxes have to be given again",
        who=EXCHANGE_ADMIN,
        details={
            "service_principal": pointer.as_dict(),
            "object_id": principal.object_id,
            "assignments": [one.as_dict() for one in assignments],
        },
        options=("on_wrong_pointer",),
    )


def _absent(plan: Plan, current: State, desired: Desired) -> None:
    pointer = current.pointer
    if pointer is None:
        plan.summary = "no such pointer"
        return
    assignments, rights = list(current.assignments), list(current.rights)
    if desired.check_mode:
        # The steps before this one would have taken those back. SendAs tells a mailbox by its name only.
        assignments = [one for one in assignments if not is_our_name(one.name, desired.app_id)]
        rights = [] if desired.mailboxes else rights
    if assignments or rights:
        hanging = listed([*assignments, *rights], separator="; ")
        plan.blocked = Blocked(
            f"Exchange's service principal of the application is still in use: {hanging}",
            attempted="remove the application's service principal from Exchange",
            cure="take these back first (exchange_application_role and exchange_mailbox_permission with state absent; "
            "what others gave, by hand): without it, role assignments go unasked, and rights stay of a SID that nobody "
            "knows",
            who=EXCHANGE_ADMIN,
            details={
                "assignments": [one.as_dict() for one in assignments],
                "rights": [{"mailbox": one.mailbox, "right": one.right} for one in rights],
            },
        )
        return
    plan.steps.append(
        Remove("remove the application's service principal from Exchange", pointer.object_id or pointer.app_id)
    )
    plan.after = {}
    plan.result = _result(None)
    plan.summary = "pointer removed"


def _shown(pointer: Pointer | None) -> Json:
    if pointer is None:
        return {}
    return {"AppId": pointer.app_id, "ObjectId": pointer.object_id, "DisplayName": pointer.display_name}


def _result(pointer: Pointer | None) -> Json:
    return {
        "service_principal": pointer.as_dict() if pointer else None,
        "sid": (pointer.sid.upper() or None) if pointer else None,
        "object_id": pointer.object_id if pointer else None,
    }
