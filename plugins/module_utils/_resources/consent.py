# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What an application may really do: its app-role assignments and the delegated grants for all users.

Every write here means the same when it is done twice, so all of them travel in one batch, in any order. What has to be
done is decided in ``consent_plan``.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils import (
    _accesses,
    _claim,
    _directory,
    _names,
    _ownership,
    _permissions,
    _settle,
    _texts,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._directory import all_items
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    M365Error,
    NotFound,
    ServiceError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import Offers
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, Settled
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import consent_limits
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.consent_plan import (
    ALL_USERS,
    BY_HAND,
    Assignment,
    Desired,
    Grant,
    State,
    Write,
    in_force,
    plan,
    scope_of,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import tenant_wide, token_life
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

__all__ = [
    "ALL_USERS",
    "DOOR",
    "Assignment",
    "Consent",
    "Desired",
    "Grant",
    "State",
    "assignments_from",
    "grant_calls",
    "grants_from",
    "in_force",
    "plan",
    "resource_call",
]

REPLICATION_S = 60.0
"""How long a service principal, or the policy that limits it, may stay hidden after it was made in the same run."""


# --- reading -------------------------------------------------------------------------------------------------


def grant_calls(app_id: str, select: str = "id,displayName,accountEnabled") -> list[Call]:
    """The parts of a batch that read what an application holds: service principal, app roles, delegated grants."""
    principal = f"/servicePrincipals(appId={_names.odata(app_id)})"
    return [
        Call("GET", f"{principal}?$select={select}", "read the application's service principal"),
        Call("GET", f"{principal}/appRoleAssignments?$top=999", "read the application's app roles"),
        Call("GET", f"{principal}/oauth2PermissionGrants?$top=999", "read the application's delegated grants"),
    ]


def listed_call(app_id: str) -> Call:
    """The part of a batch that looks for a service principal by a filter, which other servers answer."""
    path = f"/servicePrincipals?$filter=appId%20eq%20{_names.odata(app_id)}&$select=id,appId"
    return Call("GET", path, "look for the application's service principal again")


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
        self._steps: list[Write] = []
        self._sent = self._wrote = False
        self._limits = consent_limits.limits_of(task, self._desired.app_id)
        self._grace = task.params["token_grace_minutes"]
        self._revoked: list[Json] | None = None
        self._foreseen: Json = {}

    def read(self) -> State:
        """One batch; one more when something was granted on a resource that is not declared."""
        seen: list[State | None] = []

        def complete() -> bool:
            seen.append(self._look())
            return seen[-1] is not None and (seen[-1].service_principal_id is not None or not waits)

        token = self._tenant.sign_in.token(self._tenant.cloud.graph_audience)
        address = f"https://{self._tenant.cloud.login}/{token.tenant_id}/adminconsent?client_id={self._desired.app_id}"
        self._desired = replace(self._desired, trust=self._desired.trust.signed_in(token), address=address)
        # Made a moment ago in the same run, perhaps: then a replica may hide it for some seconds.
        waits = self._desired.state == "present" and not self._check_mode
        budget = min(REPLICATION_S, self._tenant.patience_s)
        if self._desired.app_id == ZERO_GUID:
            # Check mode, before the application exists: only what the resources offer can be read.
            calls = [_permissions.read_call(item.app_id) for item in self._desired.permissions]
            parts = self._tenant.graph.batch(calls, purpose="read the permissions on offer")
            return self._unborn(_permissions.offers_from(part.found() for part in parts))
        self._tenant.patiently(complete, budget_s=budget)
        state = seen[-1]
        if state is None:
            raise ServiceError(
                "Graph shows the application's service principal and not what belongs to it",
                attempted="read the application's grants",
                cure="run again in some minutes",
            )
        if state.service_principal_id is None and self._check_mode:
            return self._unborn(state.offers)
        if self._desired.consent == BY_HAND and not self._check_mode and self.plan(state).pending is not None:
            self._see_the_limit()  # a person is asked to grant: not before the limit stands
        if self._check_mode and (gone := _resources(plan(state, self._desired, self._tenant.now()).result)):
            self._foreseen = token_life.told(self._tenant.graph, self._tenant.now(), gone, self._grace)
        return state

    def _unborn(self, offers: Offers) -> State:
        return State(None, offers=offers, to_be_made=self._desired.state == "present")

    def _look(self) -> State | None:
        """What one look shows; None when it shows a service principal without its grants (two replicas)."""
        graph, app_id = self._tenant.graph, self._desired.app_id
        grants_of = grant_calls(app_id, _directory.SERVICE_PRINCIPAL)
        calls = dict(zip(("principal", "roles", "delegated"), grants_of, strict=True))
        if self._desired.state == "present":
            calls |= _claim.access_calls(app_id)
        else:
            # Where something is to be revoked, one answer that there is nothing is no proof.
            calls["listed"] = listed_call(app_id)
        declared = {item.app_id: _permissions.read_call(item.app_id) for item in self._desired.permissions}
        calls |= declared
        answers = graph.batch(list(calls.values()), purpose="read the application's grants")
        parts = dict(zip(calls, answers, strict=True))
        offers = _permissions.offers_from(parts[resource].found() for resource in declared)
        document = parts["principal"].found()
        if document is None:
            hidden = "listed" in parts and bool(parts["listed"].value().get("value"))
            return None if hidden else State(None, offers=offers)
        roles, delegated = parts["roles"], parts["delegated"]
        if isinstance(roles.error, NotFound) or isinstance(delegated.error, NotFound):
            return None
        claim = None
        if "application" in parts:
            claim = _claim.claim_of(self._tenant, app_id, document, calls, parts)
            if claim is None:
                return None
        assignments = assignments_from(all_items(graph, roles, calls["roles"].purpose))
        grants = grants_from(all_items(graph, delegated, calls["delegated"].purpose))
        known = {offer.object_id for offer in offers.values()}
        granted = {item.resource_id for item in assignments} | {item.resource_id for item in grants}
        others = sorted(granted - known)
        if others:
            more = graph.batch(
                [resource_call(object_id) for object_id in others],
                purpose="read the names of permissions that are granted",
            )
            offers |= _permissions.offers_from(part.found() for part in more)
        return State(
            service_principal_id=str(document["id"]).lower(),
            display_name=document.get("displayName"),
            enabled=document.get("accountEnabled") is not False,
            assignments=assignments,
            grants=grants,
            offers=offers,
            access=claim.access if claim is not None else None,
            away=claim is not None and claim.away,
        )

    def plan(self, current: State) -> Plan:
        planned = plan(current, self._desired, self._tenant.now())
        self._steps, self._sent, self._wrote = planned.steps, False, self._wrote or self._sent
        # A plan that was made anew after a lost answer no longer shows what was revoked.
        if self._revoked is None:
            self._revoked = planned.result.get("revoked")
        planned.result.update(self._foreseen)
        if self._grace == 0 and any(item["application"] for item in self._revoked or ()):
            planned.warnings.append(token_life.NOT_WAITED_FOR)
        return planned

    def perform(self, step: Write) -> None:
        """All writes go out with the first step, together; the other steps find their work done."""
        if not self._sent:
            if any(one.method != "DELETE" for one in self._steps):
                self._see_the_limit()
            self._sent = True
            self._write(self._steps)

    def _see_the_limit(self) -> None:
        consent_limits.require(self._tenant, self._limits)

    def _write(self, steps: t.Sequence[Write]) -> None:
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

    def _answers(self, steps: t.Sequence[Write]) -> list[Part]:
        calls = [Call(step.method, step.path, step.title, step.body) for step in steps]
        return self._tenant.graph.batch(calls, purpose=" and ".join(step.title for step in steps))

    def _is_done(self, step: Write, error: ServiceError) -> bool:
        """Whether a refusal says that the work was done before: by a first try, or by somebody else."""
        method = step.method
        if method == "DELETE":
            return isinstance(error, NotFound)
        if method == "POST" and _texts.says(error.message, _texts.GRAPH_GRANT_EXISTS):
            return True
        if method == "POST" and _texts.says(error.message, _texts.GRAPH_DELEGATED_GRANT_EXISTS):
            self._join(step)
            return True
        return False

    def _join(self, step: Write) -> None:
        """The delegated grant exists by now, so its scopes have to be joined with ours."""
        graph, body = self._tenant.graph, step.body or {}
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
            graph.patch(f"/oauth2PermissionGrants/{found[0].id}", {"scope": scope_of(target)}, step.title)

    def settle(self, plan: Plan) -> Settled:
        values: Json = {"revoked": self._revoked or []}
        _settle.read_back(self._tenant, self).require("the application's consent")
        if gone := _resources(values):
            values |= token_life.told(self._tenant.graph, self._tenant.now(), gone, self._grace)
        return Settled(values, warnings=() if values.get("token_lifetimes_known", True) else (token_life.UNREAD,))

    def lasting(self) -> Json:
        """A revocation may have been done: until when tokens may outlive it is not forgotten."""
        gone = _resources({"revoked": self._revoked}) if self._sent or self._wrote else []
        return token_life.told_unread(self._tenant.now(), gone, self._grace) if gone else {}


def _resources(values: t.Mapping[str, t.Any]) -> list[str]:
    """The application ids of the resources of which an application permission was revoked, or would be."""
    return [
        _permissions.resource_id(item["resource"], "resource")
        for item in values.get("revoked") or ()
        if item["application"]
    ]


def _replicates(step: Write, error: ServiceError) -> bool:
    """Whether a refusal only means that one of the parties has not been replicated yet."""
    return step.method == "POST" and _texts.says(error.message, _texts.GRAPH_NOT_REPLICATED)


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
    extra = params["extra_permissions"]
    if (params["token_grace_minutes"] or 0) < 0:
        raise InvalidInput(
            "token_grace_minutes is negative", cure="give a number of minutes", options=("token_grace_minutes",)
        )
    return Desired(
        app_id,
        permissions or (),
        params["exclusive"],
        params["state"],
        extra_permissions=None if extra is None else tuple(extra),
        accesses=_accesses.parse(params["accesses"], "accesses", models=MODELS),
        accepts_tenant_wide=tenant_wide.accepted(params["accept_tenant_wide"], "accept_tenant_wide"),
        consent=params["consent"],
        trust=_ownership.trust_of(params),
    )


SPEC = ArgumentSpec(
    {
        "app_id": {"type": "str", "required": True},
        "permissions": {"type": "list", "elements": "dict", "options": _permissions.OPTIONS},
        "exclusive": {"type": "bool", "default": False},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "consent": {"type": "str", "default": "by_operator", "choices": ["by_operator", BY_HAND]},
        "extra_permissions": {"type": "list", "elements": "str"},
        "limited_by": consent_limits.OPTION,
        "token_grace_minutes": {"type": "int", "no_log": False},
        **_accesses.GRANT_OPTIONS,
        **_ownership.TRUST_OPTIONS,
    }
)
DOOR = Door(Consent, SPEC, takes=True)
