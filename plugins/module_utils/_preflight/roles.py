# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The application roles and their scope, by the rules of the step that assigns them.

The step stops at the first thing in its way; the preflight tells all of them.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _accesses, _names, _recipients
from ansible_collections.mail2fax.m365.plugins.module_utils._accesses import Access
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import (
    application,
    ews,
    granted,
    held,
    mailboxes,
    pointer,
    scope,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Ask
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import (
    EXCHANGE_ADMIN,
    Finding,
    Judged,
    few,
    notes,
    refused,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import (
    application_role_plan,
    application_role_problems,
    application_role_state,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_role_state import (
    Customize,
    Revoke,
    Unassign,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import EVERY_APPLICATION
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import (
    assignments_of,
    everybodys,
    role_of,
    scopes_of,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.entra_grants import Held, Holder
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Permission

STEP = "application_role"
_WHAT = "the application's roles"
_TO_BE = "OU=known after the run"


@dataclass(frozen=True)
class Facts:
    """What other topics read, as far as roles need it. ``app_id``: zeros for an application that is to be made."""

    held: held.Facts
    registration: application.Facts
    granted: granted.Facts
    scope: scope.Facts
    mailboxes: mailboxes.Facts
    ews: ews.Facts
    app_id: str


def explain(facts: ews.Facts, found: held.Facts, desired: Desired, ask: Ask) -> ews.Facts:
    """Whether the organization was ever customized, where a scope has to be made and the batch had no room to ask."""
    if facts.configuration is not None or _accesses.ROLE not in desired.models or found.scopes is None:
        return facts
    names = {one.name.casefold() for one in scopes_of(found.scopes)}
    if desired.scope_name.casefold() in names:
        return facts
    return ews.take(ask.further(ews.calls()))


def judge(facts: Facts, desired: Desired, now: dt.datetime) -> tuple[Judged, bool]:
    """What stands in the way, and whether the run takes back a grant in Entra."""
    if _accesses.ROLE not in desired.models or facts.held.scopes is None or facts.held.assignments is None:
        return Judged(), False
    state, step = _state(facts, desired), _desired(facts, desired)
    findings: list[Finding] = []
    plan = application_role_plan.plan(state, step, now)
    while plan.blocked is not None:
        findings.append(refused(STEP, _WHAT, plan.blocked, EXCHANGE_ADMIN))
        further = _past(step, plan.blocked.options)
        if further is None:
            break
        step = further
        plan = application_role_plan.plan(state, step, now)
    else:
        findings += _told(plan, step, _desired(facts, desired))
    findings += _policies(facts, desired)
    shown: Json = {
        "scope": plan.result["scope"],
        # An application that is to be made has no id yet, of which the names are made.
        "assignments": [
            {**one, "name": None if facts.app_id == _names.ZERO_GUID else one["name"]}
            for one in plan.result["assignments"]
        ],
        "other_assignments": plan.result["other_assignments"],
        "dehydrated": state.dehydrated,
    }
    revokes = desired.on_entra_grant == application_role_state.REMOVE
    return Judged(shown, tuple(findings)), revokes and any(isinstance(one, Revoke) for one in plan.steps)


def _past(step: application_role_state.Desired, options: t.Collection[str]) -> application_role_state.Desired | None:
    """The same wish with what would get it past this obstacle, to see the next one; None where nothing would."""
    if "on_entra_grant" in options and step.on_entra_grant != application_role_state.REMOVE:
        return replace(step, on_entra_grant=application_role_state.REMOVE)
    if "scope_name" in options and not step.scope_name.endswith("…"):
        return replace(step, scope_name=f"{step.scope_name}…")
    if "exclusive" in options and not step.exclusive:
        return replace(step, exclusive=True)
    if "enable_organization_customization" in options and not step.customize:
        return replace(step, customize=True)
    return None


# ---- what the step would read ---------------------------------------------------------------------------------------


def _state(facts: Facts, desired: Desired) -> application_role_state.State:
    principal = pointer.principal_of(facts.registration)
    found = facts.held.pointer(facts.app_id)
    if found is not None and principal is not None and found.object_id != principal.object_id:
        # Told by the topic of its own. Whatever hangs on it lets nobody in, or goes with it.
        found = None
    group = facts.scope.scope(desired) or _group_to_be(facts, desired)
    known = granted.held(facts.granted, facts.registration.offers) or ()
    assigned, scoped = facts.held.assignments, facts.held.scopes
    if assigned is None or scoped is None:
        raise AssertionError("roles are judged only where they were read")
    return application_role_state.State(
        pointer=found,
        groups=(group,) if group is not None else (),
        members=facts.scope.direct or (),
        scopes=tuple(scopes_of(scoped)),
        assignments=tuple(assignments_of(assigned, found)),
        policies=facts.scope.policies or (),
        holder=Holder(principal.object_id, tuple(Held(one.resource, one.name) for one in known)) if principal else None,
        dehydrated=_is_true((facts.ews.configuration or {}).get("IsDehydrated")),
        everybodys=tuple(everybodys(assigned)),
    )


def _group_to_be(facts: Facts, desired: Desired) -> Recipient | None:
    """The group that the run makes, by the name that its distinguished name will begin with."""
    wanted = desired.group
    if wanted is None or facts.scope.found is None:
        return None
    if any(wanted.identifies(one) for one in facts.scope.found):
        return None  # of another kind, which the group's own topic tells
    name = wanted.name or wanted.alias
    return Recipient(
        "", _recipients.SECURITY_GROUP, display_name=name, name=name, alias=wanted.alias, dn=f"CN={name},{_TO_BE}"
    )


def _desired(facts: Facts, desired: Desired) -> application_role_state.Desired:
    accesses = desired.under(_accesses.ROLE)
    return application_role_state.Desired(
        app_id=facts.app_id,
        roles=tuple(dict.fromkeys(role for one in accesses for role in _roles_of(one))),
        group=desired.group.alias if desired.group is not None else "",
        scope_name=desired.scope_name or (desired.group.name if desired.group is not None else ""),
        exclusive=desired.exclusive_roles,
        on_other_assignments=desired.on_other_assignments,
        on_entra_grant=desired.on_entra_grant,
        customize=desired.customizes,
        declared=frozenset(
            Permission(one.resource, name)
            for one in desired.accesses or ()
            if one.scoping != _accesses.ROLE
            for name in one.permissions
        ),
        check_mode=True,
    )


def _roles_of(access: Access) -> t.Iterable[str]:
    """Each permission's role where the access names none itself. Two permissions may be one role."""
    return access.roles or filter(None, (role_of(access.resource, name) for name in access.permissions))


def _is_true(value: t.Any) -> bool:
    return value is True or str(value).strip().casefold() == "true"


# ---- what is only told ----------------------------------------------------------------------------------------------


def _told(
    plan: Plan, step: application_role_state.Desired, asked: application_role_state.Desired
) -> t.Iterator[Finding]:
    """What the run changes beside giving the roles; not what only the look past an obstacle would change."""
    revoked = [one.held for one in plan.steps if isinstance(one, Revoke)]
    if revoked and asked.on_entra_grant == application_role_state.REMOVE:
        yield notes(
            STEP,
            _WHAT,
            f"the application holds {few(revoked)} by a consent in Entra, which undoes the scope",
            "the run revokes it, and is pending until the tokens that were issued with it have ended",
            permissions=[str(one) for one in revoked],
        )
    if asked.customize and any(isinstance(one, Customize) for one in plan.steps):
        yield notes(
            STEP,
            "the organization",
            "it was never customized",
            f"this run does that ({application_role_problems.CUSTOMIZE}), once and for good; Exchange takes "
            f"{application_role_problems.HOW_LONG} for it, and the run is pending meanwhile",
        )
    gone = [one.title for one in plan.steps if isinstance(one, Unassign)]
    if gone and asked.exclusive:
        yield notes(STEP, _WHAT, f"there are others than declared: {few(gone, '; ')}", "they will be removed")
    if step == asked:
        yield from (notes(STEP, _WHAT, said[:1].lower() + said[1:].rstrip(".")) for said in plan.warnings)


def _policies(facts: Facts, desired: Desired) -> t.Iterator[Finding]:
    """An access policy beside a role: it limits grants in Entra, and no role."""
    if _accesses.POLICY in desired.models:
        return
    hers = [one for one in facts.scope.policies or () if one.app_id in (facts.app_id, EVERY_APPLICATION)]
    if hers:
        yield notes(
            STEP,
            _WHAT,
            f"access policies stand beside the roles: {few(hers, '; ')}. They limit grants in Entra, and nothing that "
            "a role opens",
            "leave them until no grant in Entra and no token issued by one is left, then remove them",
            EXCHANGE_ADMIN,
            identities=[one.identity for one in hers],
        )
