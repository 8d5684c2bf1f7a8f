# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""An app registration and its service principal: how they are read and written.

What has to be done is decided in ``application_plan``.
"""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import (
    _accesses,
    _directory,
    _names,
    _ownership,
    _permissions,
    _settle,
    _texts,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._directory import (
    APPLICATION_ADMIN,
    BRIEF,
    KEPT_DELETED,
    SELECT,
    brief,
    deleted_call,
    deleted_found,
    find_call,
    named_call,
    recycle_bin,
    service_principal_calls,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    Blocked,
    Conflict,
    InvalidInput,
    NotFound,
    ServiceError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_plan import (
    in_recycle_bin,
    plan,
    result_of,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_read import Reader
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_state import (
    AnyStep,
    Create,
    CreatePrincipal,
    Delete,
    DeletePrincipal,
    Desired,
    EnablePrincipal,
    Purge,
    PurgePrincipal,
    Restore,
    State,
    Update,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import tenant_wide
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.module_utils._time import instant as moment
from ansible_collections.mail2fax.m365.plugins.module_utils._time import iso as timestamp

__all__ = [
    "APPLICATION_ADMIN",
    "BRIEF",
    "DOOR",
    "KEPT_DELETED",
    "SELECT",
    "Desired",
    "State",
    "brief",
    "deleted_call",
    "deleted_found",
    "find_call",
    "moment",
    "named_call",
    "plan",
    "timestamp",
]

AUDIENCES = ("AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount")


class Application:
    """The resource behind ``entra_application``."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        self._tenant = tenant
        self._desired = desired_of(task.params)
        self._reader = Reader(tenant, self._desired)
        self._made: Json | None = None  # the documents of our own writes, for reads that a replica may still hide
        self._principal: Json | None = None
        self._awaited = False
        self._purged = False
        self._came_back: Plan | None = None

    def read(self) -> State:
        """As ``Reader.read``; after an own create or restore it waits until a replica shows the application."""
        state = self._reader.read(awaited=self._awaited)
        self._desired = self._reader.desired
        return state

    def plan(self, current: State) -> Plan:
        planned = plan(current, self._desired, self._tenant.now())
        if "old_secrets" in planned.result:
            self._came_back = planned
        elif self._came_back is not None:
            # Planned anew after the restore's answer was lost: what came back with it still has to be told.
            planned.result["old_secrets"] = self._came_back.result["old_secrets"]
            planned.warnings = [*self._came_back.warnings, *planned.warnings]
        return planned

    # doing

    def perform(self, step: AnyStep) -> None:
        graph = self._tenant.graph
        match step:
            case Create():
                self._create(step)
            case Update():
                self._update(step)
            case Restore():
                self._restore(step)
            case Delete():
                graph.delete(f"/applications/{step.id}", step.title)
            case Purge():
                self._purge(step.id, step.title)
                self._purged = True
            case CreatePrincipal():
                self._create_principal(step)
            case EnablePrincipal():
                graph.patch(f"/servicePrincipals/{step.id}", {"accountEnabled": step.enabled}, step.title)
            case DeletePrincipal():
                graph.delete(f"/servicePrincipals/{step.id}", step.title)
            case PurgePrincipal():
                # Deleting an application may or may not leave its service principal here: its absence is no error.
                path = f"/directory/deletedItems/{step.id}"
                self._tenant.patiently(lambda: graph.delete(path, step.title), budget_s=min(self._in_bin_s(), 20.0))
            case _:
                t.assert_never(step)

    def _create(self, step: Create) -> None:
        graph = self._tenant.graph
        path = _directory.key_of(unique_name=self._desired.unique_name)
        made: list[Json | None] = []
        refused: list[ServiceError] = []

        def accepted() -> bool:
            try:
                made.append(graph.upsert(path, step.properties, step.title))
            except ServiceError as exc:
                if not _texts.says(exc.message, _texts.GRAPH_NAME_TAKEN):
                    raise
                refused.append(exc)
            return bool(made)

        self._awaited = True
        # A deleted application that was removed for good a moment ago may still hold the unique name.
        if not self._tenant.patiently(accepted, budget_s=None if self._purged else 0.0):
            self._awaited = False
            raise self._explained(refused[-1]) from None
        self._made = made[0]
        if self._made is None:
            # It was there by then, made by a lost first try of ours or by somebody else: whose it is has to be told.
            self._made = graph.get(f"{path}?$select={SELECT}", "read the application back", patient=True)
            trust = self._desired.trust
            foreign = _ownership.foreign_holder(self._made, trust) if trust is not None else None
            if foreign is not None:
                raise foreign

    def _update(self, step: Update) -> None:
        try:
            self._tenant.graph.patch(f"/applications/{step.id}", step.properties, step.title)
        except ServiceError as exc:
            raise self._explained(exc) from None

    def _explained(self, exc: ServiceError) -> ServiceError | Blocked:
        """A unique name that is taken though nobody live has it: by a deleted application that the read missed."""
        if not _texts.says(exc.message, _texts.GRAPH_NAME_TAKEN):
            return exc
        for document in recycle_bin(self._tenant.graph):
            if self._desired.identity.has_name(document):
                return in_recycle_bin(document, self._tenant.now())
        return Conflict(
            f"the unique name {self._desired.unique_name!r} is taken by another application",
            attempted=exc.attempted,
            status=exc.status,
            code=exc.code,
            request_id=exc.request_id,
            cure="run again in a minute: somebody may just have made it; else choose another unique_name",
        )

    def _restore(self, step: Restore) -> None:
        self._awaited = True
        try:
            self._tenant.graph.post(f"/directory/deletedItems/{step.id}/restore", None, step.title)
        except NotFound:
            # Restored by a first try of ours or by somebody else, or purged: only a look can tell.
            raise AnswerLost("it left the recycle bin meanwhile", attempted=step.title, cure="run again") from None

    def _purge(self, ident: str, title: str) -> None:
        # What was deleted a moment ago may take a while to show up in the recycle bin.
        graph, path = self._tenant.graph, f"/directory/deletedItems/{ident}"
        if not self._tenant.patiently(lambda: graph.delete(path, title), budget_s=self._in_bin_s()):
            raise Conflict(
                "it is not in the recycle bin",
                attempted=title,
                cure="look into the portal under App registrations, Deleted applications, then run again",
            )

    def _in_bin_s(self) -> float:
        return min(self._tenant.patience_s, 60.0)

    def _create_principal(self, step: CreatePrincipal) -> None:
        app_id = str(step.app_id or (self._made or {})["appId"])
        body: Json = {"appId": app_id, "tags": [_directory.ENTERPRISE_APPLICATION]}
        if not step.enabled:
            body["accountEnabled"] = False
        graph = self._tenant.graph
        try:
            self._principal = graph.post("/servicePrincipals", body, step.title, patient=True)
            return
        except Conflict as exc:
            if not _texts.says(exc.message, _texts.GRAPH_SERVICE_PRINCIPAL_EXISTS):
                raise
        in_the_way: list[tuple[Json | None, Json | None]] = []

        def shows() -> bool:
            live, deleted = graph.batch(
                service_principal_calls(app_id), purpose="find the service principal in the way"
            )
            in_the_way.append((live.found(), _directory.first(deleted.value())))
            return any(in_the_way[-1])

        if not self._tenant.patiently(shows):
            raise Conflict(
                "Entra says that it exists, and shows none, neither live nor in the recycle bin",
                attempted=step.title,
                cure="run again in some minutes",
            )
        found, binned = in_the_way[-1]
        if found is not None and not step.anew:
            return  # a lost first try of ours, or somebody else's: settle() looks at it
        if found is not None:
            graph.delete(
                f"/servicePrincipals/{found['id']}", "delete the service principal that came back with old grants"
            )
        binned = found or binned or {}
        self._purge(binned["id"], "remove the old service principal from the recycle bin")
        self._principal = graph.post("/servicePrincipals", body, step.title, patient=True)

    def settle(self, plan: Plan) -> Json:
        last = plan.steps[-1] if plan.steps else None
        if self._made is not None and isinstance(last, CreatePrincipal) and self._principal is not None:
            # Both documents came with the answers to the creates: there is nothing to look up.
            return self._settled(State(application=self._made, service_principal=self._principal), plan)
        seen = _settle.read_back(self._tenant, self)
        if seen.plan.blocked is not None:
            raise seen.plan.blocked
        seen.require("the application")
        if self._desired.state == "absent":
            return {}
        return self._settled(seen.state, plan)

    def _settled(self, state: State, plan: Plan) -> Json:
        offers = state.offers
        if not offers and plan.result.get("application"):
            # Ours is new, so its permissions are the planned ones, with their names.
            values = result_of(state.application or {}, state.service_principal, {})
            values["application"]["permissions"] = plan.result["application"]["permissions"]
            return values
        return result_of(state.application or {}, state.service_principal, offers)


def desired_of(params: t.Mapping[str, t.Any]) -> Desired:
    """The options, checked. Raises InvalidInput."""
    trust, declared, left = _ownership.said_in(params)
    present = params["state"] == "present"
    desired = Desired(
        unique_name=_names.name(params["unique_name"], "unique_name", 256)
        if params["unique_name"] is not None
        else None,
        app_id=_names.guid(params["app_id"], "app_id") if params["app_id"] is not None else None,
        display_name=_names.name(params["display_name"], "display_name", 256)
        if params["display_name"] is not None
        else None,
        state=params["state"],
        permissions=_permissions.parse(params["permissions"]),
        extra_permissions=None if params["extra_permissions"] is None else tuple(params["extra_permissions"]),
        accesses=_accesses.parse(params.get("accesses"), "accesses", models=MODELS),
        accepts_tenant_wide=tenant_wide.accepted(params.get("accept_tenant_wide"), "accept_tenant_wide"),
        exclusive_permissions=params["exclusive_permissions"],
        sign_in_audience=params["sign_in_audience"],
        notes=params["notes"],
        tags=tuple(params["tags"]) if params["tags"] is not None else None,
        on_deleted=params["on_deleted"],
        on_namesake=params["on_namesake"],
        service_principal=params["service_principal"],
        enabled=params["enabled"],
        purge=params["purge"],
        release_service_principal=params["release_service_principal"],
        trust=trust,
        declared=declared,
        left=left,
    )
    if desired.app_id == ZERO_GUID:
        raise InvalidInput("app_id is all zeros, which no application has", cure="give the Application (client) ID")
    if present and desired.app_id is None and desired.display_name is None:
        raise InvalidInput(
            "display_name is missing, and a new application needs one", cure="set display_name beside unique_name"
        )
    if present and desired.app_id and desired.on_deleted == "purge":
        raise InvalidInput(
            "on_deleted=purge does not go with app_id: an app id that was removed for good cannot be had again",
            cure="set on_deleted=restore, or leave app_id out to make a new application",
        )
    if present and desired.purge:
        raise InvalidInput(
            "purge goes only with state=absent",
            cure="for a deleted application that is in the way set on_deleted=purge",
        )
    if desired.notes is not None and len(desired.notes) > 1024:
        raise InvalidInput(f"notes has {len(desired.notes)} characters; Graph takes at most 1024", cure="shorten it")
    for tag in desired.tags or ():
        _names.name(tag, "tags", 256)
    return desired


SPEC = ArgumentSpec(
    {
        "unique_name": {"type": "str"},
        "app_id": {"type": "str"},
        "display_name": {"type": "str"},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent", "released"]},
        "permissions": {"type": "list", "elements": "dict", "options": _permissions.OPTIONS},
        "exclusive_permissions": {"type": "bool", "default": True},
        "sign_in_audience": {"type": "str", "default": "AzureADMyOrg", "choices": list(AUDIENCES)},
        "notes": {"type": "str"},
        "tags": {"type": "list", "elements": "str"},
        "on_deleted": {"type": "str", "default": "fail", "choices": ["fail", "restore", "purge"]},
        "on_namesake": {"type": "str", "default": "fail", "choices": ["fail", "ignore"]},
        "service_principal": {"type": "bool", "default": True},
        "enabled": {"type": "bool"},
        "purge": {"type": "bool", "default": False},
        "release_service_principal": {"type": "bool", "default": False},
        "extra_permissions": {"type": "list", "elements": "str"},
        **_accesses.GRANT_OPTIONS,
        **_ownership.TRUST_OPTIONS,
        **_ownership.IDENTITY_OPTIONS,
    },
    required_one_of=[["unique_name", "app_id"]],
)
DOOR = Door(Application, SPEC, takes=True)
