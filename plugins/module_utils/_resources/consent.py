# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What an application may really do: its app-role assignments and the delegated grants for all users.

Every write here means the same when it is done twice, so all of them travel in one batch, in any order.
"""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _permissions, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Blocked,
    Conflict,
    Forbidden,
    InvalidInput,
    M365Error,
    NotFound,
    ServiceError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Graph, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import (
    APPLICATION,
    DELEGATED,
    Offer,
    Offers,
    Permission,
    Wanted,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import NamedStep as Step
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

ALL_USERS = "AllPrincipals"
REPLICATION_S = 60.0
"""How long a service principal may stay hidden after it was made in the same run."""


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


@dataclass(frozen=True)
class Desired:
    app_id: str
    permissions: tuple[Wanted, ...] = ()
    exclusive: bool = False
    state: str = "present"


def in_force(state: State) -> list[Json]:
    """What the application holds now, in the shape of the option, by name where the resource is known."""
    return _by_resource(_Resources(state).in_force())


# --- planning ------------------------------------------------------------------------------------------------


def plan(current: State, desired: Desired) -> Plan:
    """Pure. Raises InvalidInput for a permission's name that the resource does not offer."""
    present = desired.state == "present"
    resources = _Resources(current)
    declared = _permissions.resolve(desired.permissions, current.offers, disabled_too=not present)
    before = resources.in_force()
    if present:
        blocked = _permissions.missing_resource(desired.permissions, current.offers)
        if blocked is None and current.service_principal_id is None and not current.to_be_made:
            blocked = _no_service_principal(desired)
        if blocked is not None:
            shown = _shown(before)
            result: Json = {"app_id": desired.app_id, "service_principal_id": current.service_principal_id}
            return Plan(before=shown, after=shown, result=result, summary=blocked.message, blocked=blocked)

    steps: list[Step] = []
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
        steps.append(_step("DELETE", path, f"revoke {held}"))
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
    if current.to_be_made and desired.app_id != ZERO_GUID:
        warnings.append(
            f"The application {desired.app_id} has no service principal yet; planned as if an earlier task made it."
        )
    return Plan(
        before=_shown(before),
        after=_shown(after),
        steps=steps,
        result={
            "app_id": desired.app_id,
            "service_principal_id": current.service_principal_id or (ZERO_GUID if current.to_be_made else None),
            "granted": _by_resource(granted),
            "foreign": _by_resource(foreign),
            "revoked": _by_resource(revoked),
        },
        summary=_summary(desired, granted - before, revoked, foreign),
        warnings=warnings,
        added=_added(desired, granted - before),
    )


def _added(desired: Desired, added: set[_Held]) -> Json:
    return {"app_id": desired.app_id, "permissions": _by_resource(added)} if added else {}


def _plan_delegated(
    current: State, desired: Desired, declared: t.Iterable[Permission], resources: _Resources
) -> tuple[list[Step], set[_Held]]:
    """One grant for all users holds every delegated permission of one resource: union, or the exact set.

    A grant that a single user gave is that user's; it is shown and never touched.
    """
    present = desired.state == "present"
    wanted: dict[str, set[str]] = {}
    for item in declared:
        if item.kind == DELEGATED:
            wanted.setdefault(item.resource, set()).add(_permissions.name_of(item, current.offers))
    steps: list[Step] = []
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
            steps.append(_step("PATCH", path, title, {"scope": _scope(target)}))
        else:
            steps.append(_step("DELETE", path, title))
    if present:
        for app_id in sorted(set(wanted) - seen):
            offer = resources.of(app_id)
            body = {
                "clientId": current.service_principal_id or ZERO_GUID,
                "consentType": ALL_USERS,
                "principalId": None,
                "resourceId": offer.object_id,
                "scope": _scope(wanted[app_id]),
            }
            listed = ", ".join(sorted(wanted[app_id]))
            title = f"grant {listed} (delegated, for all users) of {_permissions.resource_name(app_id)}"
            steps.append(_step("POST", "/oauth2PermissionGrants", title, body))
    return steps, revoked


def _assign(current: State, offer: Offer, item: Permission) -> Step:
    name = _permissions.name_of(item, current.offers)
    return _step(
        "POST",
        f"/servicePrincipals/{offer.object_id}/appRoleAssignedTo",
        f"grant {name} (application) of {_permissions.resource_name(item.resource)}",
        {
            "principalId": current.service_principal_id or ZERO_GUID,
            "resourceId": offer.object_id,
            "appRoleId": item.id,
        },
    )


def _step(method: str, path: str, title: str, body: Json | None = None) -> Step:
    return Step("write", title, {"method": method, "path": path, "body": body})


def _scope(names: t.Iterable[str]) -> str:
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


# --- reading -------------------------------------------------------------------------------------------------


def grant_calls(app_id: str, select: str = "id,displayName,accountEnabled") -> list[Call]:
    """The parts of a batch that read what an application holds: service principal, app roles, delegated grants."""
    principal = f"/servicePrincipals(appId={_names.odata(app_id)})"
    return [
        Call("GET", f"{principal}?$select={select}", "read the application's service principal"),
        Call("GET", f"{principal}/appRoleAssignments?$top=999", "read the application's app roles"),
        Call("GET", f"{principal}/oauth2PermissionGrants?$top=999", "read the application's delegated grants"),
    ]


def all_items(graph: Graph, part: Part, purpose: str) -> list[Json]:
    """The items of a collection that came as a part of a batch, further pages fetched from Graph itself."""
    page = part.value()
    items = list(page.get("value") or [])
    following = str(page.get("@odata.nextLink") or "")
    if following:
        items += graph.items("/" + following.partition("/v1.0/")[2], purpose)
    return items


def assignments_from(documents: t.Iterable[Json]) -> tuple[Assignment, ...]:
    return tuple(
        Assignment(
            id=str(item["id"]),
            resource_id=str(item.get("resourceId") or "").lower(),
            role_id=str(item.get("appRoleId") or "").lower(),
            resource_name=str(item.get("resourceDisplayName") or ""),
        )
        for item in sorted(documents, key=lambda item: str(item["id"]))
    )


def grants_from(documents: t.Iterable[Json]) -> tuple[Grant, ...]:
    return tuple(
        Grant(
            id=str(item["id"]),
            resource_id=str(item.get("resourceId") or "").lower(),
            scopes=frozenset(str(item.get("scope") or "").split()),
            principal_id=None if item.get("consentType") == ALL_USERS else str(item.get("principalId") or "unknown"),
        )
        for item in sorted(documents, key=lambda item: str(item["id"]))
    )


def resource_call(object_id: str) -> Call:
    """The part of a batch that reads a resource which is known by its object id only."""
    return Call(
        "GET",
        f"/servicePrincipals/{object_id}?$select={_permissions.SELECT}",
        "read the names of permissions that are granted",
    )


# --- the resource --------------------------------------------------------------------------------------------


class Consent:
    """The resource behind ``entra_admin_consent``."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        self._tenant = tenant
        self._check_mode = task.check_mode
        self._desired = _desired(task)
        self._steps: list[Step] = []
        self._sent = False
        self._revoked: list[Json] | None = None

    def read(self) -> State:
        """One batch; one more when something was granted on a resource that is not declared."""
        seen: list[State | None] = []

        def complete() -> bool:
            seen.append(self._look())
            return seen[-1] is not None and seen[-1].service_principal_id is not None

        # Made a moment ago in the same run, perhaps: then a replica may hide it for some seconds.
        waits = self._desired.state == "present" and not self._check_mode
        budget = min(REPLICATION_S, self._tenant.patience_s) if waits else 0.0
        if self._desired.app_id == ZERO_GUID:
            # Check mode, before the application exists: only what the resources offer can be read.
            calls = [_permissions.read_call(item.app_id) for item in self._desired.permissions]
            parts = self._tenant.graph.batch(calls, purpose="read the permissions on offer")
            return self._unborn(_permissions.offers_from(part.found() for part in parts))
        self._tenant.patiently(complete, budget_s=budget)
        state = seen[-1]
        if state is None:
            raise ServiceError(
                "Graph shows the application's service principal and not its grants",
                attempted="read the application's grants",
                cure="run again in some minutes",
            )
        if state.service_principal_id is None and self._check_mode:
            return self._unborn(state.offers)
        return state

    def _unborn(self, offers: Offers) -> State:
        return State(None, offers=offers, to_be_made=self._desired.state == "present")

    def _look(self) -> State | None:
        """What one look shows; None when it shows a service principal without its grants (two replicas)."""
        graph = self._tenant.graph
        calls = grant_calls(self._desired.app_id)
        declared = [_permissions.read_call(item.app_id) for item in self._desired.permissions]
        principal, roles, delegated, *resources = graph.batch(
            [*calls, *declared], purpose="read the application's grants"
        )
        offers = _permissions.offers_from(part.found() for part in resources)
        document = principal.found()
        if document is None:
            return State(None, offers=offers)
        if isinstance(roles.error, NotFound) or isinstance(delegated.error, NotFound):
            return None
        assignments = assignments_from(all_items(graph, roles, calls[1].purpose))
        grants = grants_from(all_items(graph, delegated, calls[2].purpose))
        known = {offer.object_id for offer in offers.values()}
        granted = {item.resource_id for item in assignments} | {item.resource_id for item in grants}
        others = sorted(granted - known)
        if others:
            parts = graph.batch(
                [resource_call(object_id) for object_id in others],
                purpose="read the names of permissions that are granted",
            )
            offers |= _permissions.offers_from(part.found() for part in parts)
        return State(
            service_principal_id=str(document["id"]).lower(),
            display_name=document.get("displayName"),
            enabled=document.get("accountEnabled") is not False,
            assignments=assignments,
            grants=grants,
            offers=offers,
        )

    def plan(self, current: State) -> Plan:
        planned = plan(current, self._desired)
        self._steps, self._sent = planned.steps, False
        # A plan that was made anew after a lost answer no longer shows what was revoked.
        if self._revoked is None:
            self._revoked = planned.result.get("revoked")
        return planned

    def perform(self, step: Step) -> None:
        """All writes go out with the first step, together; the other steps find their work done."""
        if not self._sent:
            self._sent = True
            self._write(self._steps)

    def _write(self, steps: t.Sequence[Step]) -> None:
        waiting, done = list(steps), list[str]()
        failed: list[ServiceError] = []

        def through() -> bool:
            parts = self._answers(waiting)
            again = []
            failed.clear()
            for step, part in zip(tuple(waiting), parts, strict=True):
                if part.error is not None and not self._is_done(step, part.error):
                    failed.append(part.error)
                    if _replicates(step, part.error):
                        again.append(step)
                    continue
                done.append(step.title)
            if len(again) < len(failed):
                return True
            waiting[:] = again
            return not waiting

        self._tenant.patiently(through)
        if failed:
            worst = next(
                (error for error in failed if not _texts.says(error.message, _texts.GRAPH_NOT_REPLICATED)), None
            )
            problem = worst or failed[0]
            problem.done = done
            raise _with_cure(problem)

    def _answers(self, steps: t.Sequence[Step]) -> list[Part]:
        calls = [
            Call(step.arguments["method"], step.arguments["path"], step.title, step.arguments["body"]) for step in steps
        ]
        return self._tenant.graph.batch(calls, purpose=" and ".join(step.title for step in steps))

    def _is_done(self, step: Step, error: ServiceError) -> bool:
        """Whether a refusal says that the work was done before: by a first try, or by somebody else."""
        method = step.arguments["method"]
        if method == "DELETE":
            return isinstance(error, NotFound)
        if method == "POST" and _texts.says(error.message, _texts.GRAPH_GRANT_EXISTS):
            return True
        if method == "POST" and _texts.says(error.message, _texts.GRAPH_DELEGATED_GRANT_EXISTS):
            self._join(step)
            return True
        return False

    def _join(self, step: Step) -> None:
        """The delegated grant exists by now, so its scopes have to be joined with ours."""
        graph, body = self._tenant.graph, step.arguments["body"]
        path = f"/servicePrincipals/{body['clientId']}/oauth2PermissionGrants"
        found: list[Grant] = []

        def shows() -> bool:
            try:
                grants = grants_from(graph.items(path, "read the application's delegated grants"))
            except NotFound:
                return False
            found[:] = [
                grant for grant in grants if grant.principal_id is None and grant.resource_id == body["resourceId"]
            ]
            return bool(found)

        if not self._tenant.patiently(shows):
            raise Conflict(
                "Entra says that the grant exists, and does not show it",
                attempted=step.title,
                cure="run again in some minutes",
            )
        wanted = set(body["scope"].split())
        target = wanted if self._desired.exclusive else wanted | found[0].scopes
        if target != found[0].scopes:
            graph.patch(f"/oauth2PermissionGrants/{found[0].id}", {"scope": _scope(target)}, step.title)

    def settle(self, plan: Plan) -> Json:
        values: Json = {"revoked": self._revoked or []}
        left: list[Step] = []

        def arrived() -> bool:
            left[:] = self.plan(self.read()).steps
            return not left

        if not self._tenant.patiently(arrived):
            raise Conflict(
                "Entra does not show the change yet, or somebody undid it; still to do: "
                + "; ".join(step.title for step in left),
                attempted="read the grants back",
                cure="run again in some minutes, and look whether another tool manages this application's consent too",
            )
        return values


def _replicates(step: Step, error: ServiceError) -> bool:
    """Whether a refusal only means that one of the parties has not been replicated yet."""
    return step.arguments["method"] == "POST" and _texts.says(error.message, _texts.GRAPH_NOT_REPLICATED)


def _with_cure(error: ServiceError) -> M365Error:
    if isinstance(error, Forbidden):
        error.cure = (
            "give the operator's application AppRoleAssignment.ReadWrite.All and Application.Read.All for app roles, "
            "DelegatedPermissionGrant.ReadWrite.All for delegated permissions, and admin consent to them"
        )
        error.who = "a Privileged Role Administrator"
    elif isinstance(error, NotFound):
        error.cure = error.cure or "run again: it was there when the grants were read, so somebody removed it meanwhile"
    return error


def _desired(task: Task) -> Desired:
    """The options, checked. Raises InvalidInput."""
    params = task.params
    app_id = _names.guid(params["app_id"], "app_id")
    if app_id == ZERO_GUID and not task.check_mode:
        raise InvalidInput("app_id is all zeros, which no application has", cure="give the Application (client) ID")
    permissions = _permissions.parse(params["permissions"])
    if permissions is None and not (params["state"] == "absent" and params["exclusive"]):
        raise InvalidInput(
            "permissions is missing",
            cure="list what the application shall hold; with state=absent and exclusive=true everything is revoked",
        )
    return Desired(app_id, permissions or (), params["exclusive"], params["state"])


SPEC = ArgumentSpec(
    {
        "app_id": {"type": "str", "required": True},
        "permissions": {"type": "list", "elements": "dict", "options": _permissions.OPTIONS},
        "exclusive": {"type": "bool", "default": False},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    }
)
DOOR = Door(Consent, SPEC)
