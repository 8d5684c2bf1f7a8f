# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What has to be granted and revoked so that an application may do what is declared: a pure function."""

from __future__ import annotations

import datetime as dt
import itertools
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _accesses, _added, _claim, _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._claim import Claim
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._ownership import Access, Trust
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import (
    APPLICATION,
    DELEGATED,
    Offer,
    Offers,
    Permission,
    Wanted,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import listed

BY_HAND = "by_hand"
"""The value of ``consent`` with which a person grants."""
ALL_USERS = "AllPrincipals"


@dataclass(frozen=True)
class Assignment:
    """An app role that the application holds. ``resource_id`` is the object id of the resource's service principal."""

    id: str
    resource_id: str
    role_id: str
    resource_name: str = ""


@dataclass(frozen=True)
class Grant:
    """Delegated permissions, by name, for all users (``principal_id`` None) or for one."""

    id: str
    resource_id: str
    scopes: frozenset[str]
    principal_id: str | None = None


@dataclass(frozen=True)
class State:
    """``service_principal_id`` is None when the application has no service principal in the tenant.

    ``offers`` holds the declared resources that exist here, and the others that were looked up for their names.
    """

    service_principal_id: str | None
    display_name: str | None = None
    enabled: bool = True
    assignments: tuple[Assignment, ...] = ()
    grants: tuple[Grant, ...] = ()
    offers: Offers = field(default_factory=dict)
    to_be_made: bool = False  # check mode: an earlier task would make the service principal
    access: Access | None = None
    """Who can sign in as the application; None where that was not looked at."""
    away: bool = False  # the application is registered in another tenant


@dataclass(frozen=True)
class Desired:
    app_id: str
    permissions: tuple[Wanted, ...] = ()
    exclusive: bool = False
    state: str = "present"
    extra_permissions: tuple[str, ...] | None = None
    accesses: tuple[_accesses.Access, ...] | None = None
    accepts_tenant_wide: str = ""
    consent: str = "by_operator"
    address: str = ""
    """Where a person grants what the registration asks for."""
    trust: Trust = field(default_factory=Trust)


@dataclass(frozen=True)
class Write(Step):
    """One request that grants or revokes. Each means the same when it is done twice."""

    method: t.Literal["POST", "PATCH", "DELETE"]
    path: str
    body: Json | None = None


def in_force(state: State) -> list[Json]:
    """What the application holds now, in the shape of the option, by name where the resource is known."""
    return _by_resource(_Resources(state).in_force())


# --- planning ------------------------------------------------------------------------------------------------


def plan(current: State, desired: Desired, now: dt.datetime) -> Plan:
    """Pure. Raises InvalidInput for a permission's name that the resource does not offer."""
    present = desired.state == "present"
    resources = _Resources(current)
    declared = _permissions.resolve(desired.permissions, current.offers, disabled_too=not present)
    before = resources.in_force()
    if present:
        blocked = _permissions.missing_resource(desired.permissions, current.offers)
        if blocked is None and current.service_principal_id is None and not current.to_be_made:
            blocked = _no_service_principal(desired)
        blocked = blocked or _accesses.beyond(
            desired.permissions,
            desired.extra_permissions,
            desired.accesses,
            wide_accepted=bool(desired.accepts_tenant_wide),
        )
        blocked = blocked or _claimed(current, desired, now) or _wide(before, declared, resources, desired)
        if blocked is not None:
            shown = _shown(before)
            result: Json = {"app_id": desired.app_id, "service_principal_id": current.service_principal_id}
            return Plan(before=shown, after=shown, result=result, summary=blocked.message, blocked=blocked)

    steps: list[Write] = []
    revoked: set[_Held] = set()
    wanted_roles = {(item.resource, item.id) for item in declared if item.kind == APPLICATION}
    held_roles = set()
    for assignment in current.assignments:
        key = (resources.app_id(assignment.resource_id), assignment.role_id)
        is_declared = key in wanted_roles
        held_roles.add(key)
        if (present and is_declared) or (not desired.exclusive and not is_declared):
            continue
        held = resources.role(assignment)
        revoked.add(held)
        path = f"/servicePrincipals/{assignment.resource_id}/appRoleAssignedTo/{assignment.id}"
        steps.append(Write(f"revoke {held}", "DELETE", path))
    if present:
        for item in sorted(declared):
            if item.kind == APPLICATION and (item.resource, item.id) not in held_roles:
                steps.append(_assign(current, resources.of(item.resource), item))

    delegated_steps, delegated_revoked = _plan_delegated(current, desired, declared, resources)
    steps += delegated_steps
    revoked |= delegated_revoked
    granted = {resources.declared(item) for item in declared} if present else set()
    after = (before - revoked) | granted
    foreign = {held for held in after if held not in {resources.declared(item) for item in declared}}
    warnings = []
    if present and not current.enabled:
        warnings.append("Sign-in of the application is disabled in this tenant, so nothing of this can be used.")
    beside = sorted({held.permission for held in foreign if _undoes(held, desired)}) if present else []
    if beside:
        warnings.append(
            f"The application holds {listed(beside)} in Entra, beside an application role that stands for it: the "
            "grant undoes the role's scope, and with SMTP.SendAsApp in the token Exchange asks for rights on the "
            "mailbox instead of the role. Revoke it, or set exclusive to true."
        )
    unlimited = sorted({held.permission for held in foreign if _lifts(held, desired)} - set(beside)) if present else []
    if unlimited:
        warnings.append(
            f"The application holds {listed(unlimited)}, which nobody declared and no access policy limits: with some "
            "permissions an application lifts its own limits. Revoke what nobody needs, or set exclusive to true."
        )
    if current.to_be_made and desired.app_id != ZERO_GUID:
        warnings.append(
            f"The application {desired.app_id} has no service principal yet; planned as if an earlier task made it."
        )
    if (
        present
        and desired.accepts_tenant_wide
        and desired.accesses is not None
        and any(
            (item.resource, _permissions.name_of(item, current.offers))
            in _accesses.under(desired.accesses, _accesses.WIDE)
            for item in declared
        )
    ):
        warnings.append(
            f"Nothing limits the application: it may open every mailbox of the tenant. Accepted: "
            f"{desired.accepts_tenant_wide}"
        )
    planned = Plan(
        before=_shown(before),
        after=_shown(after),
        steps=steps,
        result={
            "app_id": desired.app_id,
            "service_principal_id": current.service_principal_id or (ZERO_GUID if current.to_be_made else None),
            "granted": _by_resource(granted),
            "foreign": _by_resource(foreign),
            "revoked": _by_resource(revoked),
            "tokens_until": None,
        },
        summary=_summary(desired, granted - before, revoked, foreign),
        warnings=warnings,
        added=_added.permissions("consent", desired.app_id, _by_resource(granted - before)),
    )
    return _by_hand(planned, desired) if present and desired.consent == BY_HAND else planned


def _lifts(held: _Held, desired: Desired) -> bool:
    """Whether it is an application's own permission that no access policy limits, and that nobody named."""
    limited: t.Collection[str] = ()
    if desired.accesses is None or _accesses.under(desired.accesses, _accesses.POLICY):
        limited = _permissions.LIMITED.get((_app_id(held), APPLICATION), ())
    return (
        held.kind == APPLICATION
        and held.permission not in limited
        and held.permission not in (desired.extra_permissions or ())
    )


def _wide(
    held: t.Iterable[_Held], declared: t.Iterable[Permission], resources: _Resources, desired: Desired
) -> Blocked | None:
    """The reason to stop where a grant that nobody declared opens every mailbox: no policy stands that could limit it.

    With ``exclusive`` it is revoked instead.
    """
    if desired.accesses is None or desired.exclusive or _accesses.under(desired.accesses, _accesses.POLICY):
        return None
    wanted = {resources.declared(item) for item in declared}
    found = sorted(
        {
            one.permission
            for one in held
            if one not in wanted
            and one.kind == APPLICATION
            and one.permission not in (desired.extra_permissions or ())
            and _permissions.opens_every_mailbox(
                _permissions.WELL_KNOWN.get(one.resource, one.resource), one.permission
            )
        }
    )
    if not found:
        return None
    return Blocked(
        f"the application holds {listed(found)} in Entra, which nobody declared and nothing limits: it opens every "
        "mailbox of the tenant",
        cure="revoke it (Enterprise applications, Permissions), or set exclusive to true; if it is meant, name it word "
        "for word in extra_permissions",
        who="a Cloud Application Administrator or Privileged Role Administrator",
        details={"everything": found},
        options=("exclusive", "extra_permissions"),
    )


def _app_id(held: _Held) -> str:
    """The application id of the API, which people know by another name."""
    return _permissions.WELL_KNOWN.get(held.resource, held.resource)


def _undoes(held: _Held, desired: Desired) -> bool:
    """Whether it is a grant of what a role stands for."""
    return held.kind == APPLICATION and (_app_id(held), held.permission) in _accesses.withheld(desired.accesses or ())


def _claimed(current: State, desired: Desired, now: dt.datetime) -> Blocked | None:
    """The reason to grant nothing where somebody else can sign in as the application."""
    claim = Claim(
        desired.app_id, current.service_principal_id, current.display_name or "", current.access, current.away
    )
    return _claim.problem(claim, desired.trust, now, "these permissions")


def _by_hand(planned: Plan, desired: Desired) -> Plan:
    """Nothing is written: a person grants, and is told where, and what."""
    wanted = "; ".join(step.title for step in planned.steps)
    planned.steps, planned.added, planned.after = [], [], planned.before
    planned.result = {**planned.result, "by_hand": None}
    if wanted:
        planned.pending = (
            f"a person has to {wanted}. Where: {desired.address} (or App registrations, API permissions, Grant admin "
            "consent). What limits the application stands. Who can do it: a Privileged Role "
            "Administrator or a Global Administrator"
        )
        planned.result["by_hand"] = {"address": desired.address, "what": wanted}
        planned.summary = "waits for a person to give the consent"
    return planned


def _plan_delegated(
    current: State, desired: Desired, declared: t.Iterable[Permission], resources: _Resources
) -> tuple[list[Write], set[_Held]]:
    """One grant for all users holds every delegated permission of one resource: union, or the exact set.

    A grant that a single user gave is that user's; it is shown and never touched.
    """
    present = desired.state == "present"
    wanted: dict[str, set[str]] = {}
    for item in declared:
        if item.kind == DELEGATED:
            wanted.setdefault(item.resource, set()).add(_permissions.name_of(item, current.offers))
    steps: list[Write] = []
    revoked: set[_Held] = set()
    seen: set[str] = set()
    for grant in current.grants:
        if grant.principal_id is not None:
            continue
        app_id = resources.app_id(grant.resource_id)
        seen.add(app_id)
        names = wanted.get(app_id, set())
        if present:
            target = names if desired.exclusive else names | grant.scopes
        else:
            target = set() if desired.exclusive else set(grant.scopes) - names
        if target == grant.scopes:
            continue
        gone = {_Held(resources.name(grant.resource_id), DELEGATED, scope) for scope in grant.scopes - target}
        more = target - grant.scopes
        revoked |= gone
        words = []
        if more:
            words.append(f"grant {', '.join(sorted(more))} (delegated, for all users)")
        if gone:
            words.append(f"revoke {', '.join(sorted(held.permission for held in gone))} (delegated, for all users)")
        title = f"{' and '.join(words)} of {resources.name(grant.resource_id)}"
        path = f"/oauth2PermissionGrants/{grant.id}"
        if target:
            steps.append(Write(title, "PATCH", path, {"scope": scope_of(target)}))
        else:
            steps.append(Write(title, "DELETE", path))
    if present:
        for app_id in sorted(set(wanted) - seen):
            offer = resources.of(app_id)
            body = {
                "clientId": current.service_principal_id or ZERO_GUID,
                "consentType": ALL_USERS,
                "principalId": None,
                "resourceId": offer.object_id,
                "scope": scope_of(wanted[app_id]),
            }
            listed = ", ".join(sorted(wanted[app_id]))
            title = f"grant {listed} (delegated, for all users) of {_permissions.resource_name(app_id)}"
            steps.append(Write(title, "POST", "/oauth2PermissionGrants", body))
    return steps, revoked


def _assign(current: State, offer: Offer, item: Permission) -> Write:
    name = _permissions.name_of(item, current.offers)
    return Write(
        f"grant {name} (application) of {_permissions.resource_name(item.resource)}",
        "POST",
        f"/servicePrincipals/{offer.object_id}/appRoleAssignedTo",
        {
            "principalId": current.service_principal_id or ZERO_GUID,
            "resourceId": offer.object_id,
            "appRoleId": item.id,
        },
    )


def scope_of(names: t.Iterable[str]) -> str:
    return " ".join(sorted(names))


def _no_service_principal(desired: Desired) -> Blocked:
    return Blocked(
        f"the application {desired.app_id} has no service principal in this tenant, so nothing can be granted to it",
        cure="run entra_application first, or check app_id: it is the Application (client) ID, not an object id",
        who="an Application Administrator of the tenant",
    )


def _summary(desired: Desired, added: set[_Held], revoked: set[_Held], foreign: set[_Held]) -> str:
    parts = []
    if added:
        parts.append("granted " + ", ".join(sorted({held.permission for held in added})))
    if revoked:
        parts.append("revoked " + ", ".join(sorted({held.permission for held in revoked})))
    if not parts:
        parts.append("consent as declared" if desired.state == "present" else "nothing to revoke")
    if foreign:
        parts.append(f"{len(foreign)} not declared")
    return "; ".join(parts)


# --- shapes --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class _Held:
    """One permission in force, by names. ``principal_id`` is "" unless a single user granted it."""

    resource: str
    kind: str
    permission: str
    principal_id: str = ""

    def __str__(self) -> str:
        whose = f", by user {self.principal_id}" if self.principal_id else ""
        return f"{self.permission} ({self.kind}{whose}) of {self.resource}"


class _Resources:
    """The way from the object ids in grants to the names in which people think."""

    def __init__(self, current: State) -> None:
        self._current = current
        self._by_object_id = {offer.object_id: offer for offer in current.offers.values()}
        self._titles = {item.resource_id: item.resource_name for item in current.assignments}

    def of(self, app_id: str) -> Offer:
        return self._current.offers[app_id]

    def app_id(self, object_id: str) -> str:
        """The resource's application id; its object id where it is not known here."""
        offer = self._by_object_id.get(object_id)
        return offer.app_id if offer else object_id

    def name(self, object_id: str) -> str:
        offer = self._by_object_id.get(object_id)
        return _permissions.resource_name(offer.app_id) if offer else self._titles.get(object_id) or object_id

    def role(self, assignment: Assignment) -> _Held:
        offer = self._by_object_id.get(assignment.resource_id)
        known = offer.names.get((APPLICATION, assignment.role_id)) if offer else None
        if known is None and assignment.role_id == ZERO_GUID:
            known = "default access"
        return _Held(self.name(assignment.resource_id), APPLICATION, known or assignment.role_id)

    def declared(self, item: Permission) -> _Held:
        name = _permissions.name_of(item, self._current.offers)
        return _Held(_permissions.resource_name(item.resource), item.kind, name)

    def in_force(self) -> set[_Held]:
        held = {self.role(assignment) for assignment in self._current.assignments}
        for grant in self._current.grants:
            name = self.name(grant.resource_id)
            held |= {_Held(name, DELEGATED, scope, grant.principal_id or "") for scope in grant.scopes}
        return held


def _by_resource(held: t.Iterable[_Held]) -> list[Json]:
    """The shape of the option; permissions that single users granted stand apart, under ``users``."""
    shown: list[Json] = []
    for resource, items in itertools.groupby(sorted(held), key=lambda item: item.resource):
        entry: Json = {"resource": resource, APPLICATION: [], DELEGATED: []}
        users: dict[str, list[str]] = {}
        for item in items:
            if item.principal_id:
                users.setdefault(item.principal_id, []).append(item.permission)
            else:
                entry[item.kind].append(item.permission)
        if users:
            entry["users"] = [{"principal_id": user, DELEGATED: names} for user, names in sorted(users.items())]
        shown.append(entry)
    return shown


def _shown(held: t.Iterable[_Held]) -> Json:
    return {"granted": [str(item) for item in sorted(held)]}
