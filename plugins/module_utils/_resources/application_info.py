# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Everything a person asks about an application: registration, credentials' dates, owners, what it may do."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import (
    _directory,
    _names,
    _ownership,
    _permissions,
    _sign_ins,
    _time,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, Forbidden, NotFound
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._ownership import Identity
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import Offers
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, ReadOnly
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import consent
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_read import ABSENT_S
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

MOST = 50
"""More applications of one display name than this are not looked at one by one."""


@dataclass(frozen=True)
class Found:
    """One live application with what belongs to it, as Graph documents."""

    application: Json
    owners: tuple[Json, ...] = ()
    service_principal: Json | None = None
    assignments: tuple[consent.Assignment, ...] = ()
    grants: tuple[consent.Grant, ...] = ()
    federated: tuple[Json, ...] = ()
    principal_owners: tuple[Json, ...] = ()


@dataclass(frozen=True)
class State:
    live: tuple[Found, ...] = ()
    deleted: tuple[Json, ...] = ()
    offers: Offers | None = None


def describe(found: Found, offers: Offers) -> Json:
    """One application as the module returns it: no secret's value, no hint of one."""
    document, principal = found.application, found.service_principal
    state = consent.State(
        service_principal_id=principal["id"] if principal else None,
        assignments=found.assignments,
        grants=found.grants,
        offers=offers,
    )
    return {
        **_directory.describe(document, offers),
        "secrets": _directory.secrets_of(document),
        "certificates": _directory.certificates_of(document),
        "owners": _owners(found.owners),
        "federated_credentials": sorted(
            ({name: item.get(name) for name in ("id", "name", "issuer", "subject")} for item in found.federated),
            key=lambda item: str(item["name"]),
        ),
        "service_principal": None
        if principal is None
        else {
            "id": principal.get("id"),
            "display_name": principal.get("displayName"),
            "enabled": principal.get("accountEnabled") is not False,
            "created_date_time": principal.get("createdDateTime"),
            "created_by_app_id": principal.get("createdByAppId"),
            "tags": sorted(principal.get("tags") or []),
            "owners": _owners(found.principal_owners),
            # A portal shows only the application's own; those of the service principal sign in all the same.
            "secrets": _directory.secrets_of(principal),
            "certificates": _directory.certificates_of(principal),
        },
        "grants": consent.in_force(state),
    }


def _owners(documents: t.Iterable[Json]) -> list[Json]:
    return sorted(map(_directory.owner_of, documents), key=lambda owner: str(owner["display_name"]))


def describe_deleted(document: Json) -> Json:
    deleted_at = _time.instant(document.get("deletedDateTime"))
    return {
        **_directory.brief(document),
        "deleted_date_time": document.get("deletedDateTime"),
        "recoverable_until": _time.iso(deleted_at + _directory.KEPT_DELETED) if deleted_at else None,
        "secrets": _directory.secrets_of(document),
    }


def plan(current: State) -> Plan:
    """Nothing to do, ever: the plan carries what was found."""
    offers = current.offers or {}
    live = [describe(found, offers) for found in current.live]
    live.sort(key=lambda item: (str(item["created_date_time"]), str(item["app_id"])))
    deleted = sorted(
        (describe_deleted(item) for item in current.deleted), key=lambda item: str(item["deleted_date_time"])
    )
    words = f"{len(live)} application{'' if len(live) == 1 else 's'} found"
    if deleted:
        words += f", {len(deleted)} in the recycle bin"
    return Plan(result={"applications": live, "deleted": deleted}, summary=words)


class ApplicationInfo(ReadOnly):
    """The resource behind ``entra_application_info``."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        self._tenant = tenant
        params = task.params
        self._unique_name, self._app_id, self._display_name = (
            params["unique_name"],
            params["app_id"],
            params["display_name"],
        )
        self._unborn = False
        if self._app_id is not None:
            self._app_id = _names.guid(self._app_id, "app_id")
            self._unborn = task.check_mode and self._app_id == ZERO_GUID
        for name in ("unique_name", "display_name"):
            if params[name] is not None:
                _names.name(params[name], name, 256)
        trust, declared, left = _ownership.said_in(params)
        self._identity = Identity(self._unique_name, self._app_id, trust.recorded_app_id, declared, left)
        self._another: Blocked | None = None
        self._since = _names.instant_said(params.get("sign_ins_since"), "sign_ins_since")
        self._signed_in: Json | None = None

    def read(self) -> State:
        """At most four batches: applications, what belongs to them, names of permissions, and those of others."""
        if self._unborn:
            return State()
        documents, deleted = self._find()
        belongings = self._belongings(documents)
        resources = {
            item.resource
            for document in documents
            for item in _permissions.from_required_access(document.get("requiredResourceAccess"))
        }
        purpose = "read the names of permissions"
        parts = self._batch({app_id: _permissions.read_call(app_id) for app_id in sorted(resources)}, purpose)
        offers = _permissions.offers_from(part.found() for part in parts.values())
        granted = {item.resource_id for found in belongings for item in found.assignments}
        granted |= {item.resource_id for found in belongings for item in found.grants}
        granted -= {offer.object_id for offer in offers.values()}
        more = self._batch({object_id: consent.resource_call(object_id) for object_id in sorted(granted)}, purpose)
        offers |= _permissions.offers_from(part.found() for part in more.values())
        return State(tuple(belongings), tuple(deleted), offers)

    def _find(self) -> tuple[list[Json], list[Json]]:
        """The applications and the deleted ones; the one that the record names goes first, while it exists."""
        if self._display_name is None and self._identity.from_record:
            app_id, seen = self._identity.from_record, list[tuple[list[Json], list[Json]]]()

            def shows() -> bool:
                seen.append(self._look("appId", app_id, _directory.find_call(app_id=app_id)))
                return any(seen[-1])

            # One answer that it is not there is no proof.
            self._tenant.patiently(shows, budget_s=min(ABSENT_S, self._tenant.patience_s))
            if any(seen[-1]):
                self._another = _ownership.identify(self._identity, next(iter((*seen[-1][0], *seen[-1][1]))))
                return seen[-1]
        if self._display_name is not None:
            name, value = "displayName", self._display_name
            live = _directory.named_call(self._display_name, select=_directory.SELECT)
        else:
            name, value = ("appId", self._app_id) if self._app_id else ("uniqueName", self._unique_name or "")
            live = _directory.find_call(unique_name=self._unique_name, app_id=self._app_id)
        return self._look(name, value, live)

    def _look(self, name: str, value: str, live: Call) -> tuple[list[Json], list[Json]]:
        calls = {"live": live, "deleted": _directory.deleted_call(name, value)}
        parts = self._batch(calls, "look for the application")
        deleted = _directory.deleted_found(self._tenant.graph, parts["deleted"], name, value)
        if self._display_name is not None:
            return list(parts["live"].value().get("value") or [])[:MOST], deleted
        document = parts["live"].found()
        return ([document] if document else []), deleted

    def _belongings(self, documents: list[Json]) -> list[Found]:
        calls: dict[str, Call] = {}
        for document in documents:
            ident = document["id"]
            of_application = _ownership.application_calls(_directory.key_of(app_id=str(document["appId"])))
            calls |= {f"{name} {ident}": call for name, call in of_application.items()}
            of_principal = _ownership.principal_call(str(document["appId"]))
            calls |= {f"{name} {ident}": call for name, call in of_principal.items()}
            principal, roles, delegated = consent.grant_calls(str(document["appId"]), _directory.SERVICE_PRINCIPAL)
            calls |= {f"principal {ident}": principal, f"roles {ident}": roles, f"delegated {ident}": delegated}
        parts = self._batch(calls, "read what belongs to the application")
        graph, found = self._tenant.graph, []
        for document in documents:
            ident = document["id"]
            service_principal = parts[f"principal {ident}"].found()
            assigned: list[Json] = []
            granted: list[Json] = []
            if service_principal is not None:
                assigned = _directory.all_items(graph, parts[f"roles {ident}"], calls[f"roles {ident}"].purpose)
                granted = _directory.all_items(graph, parts[f"delegated {ident}"], calls[f"delegated {ident}"].purpose)

            def listed(name: str, ident: str = ident) -> tuple[Json, ...]:
                """What only helps to tell: nothing where the operator may not read it."""
                part = parts[f"{name} {ident}"]
                if isinstance(part.error, (Forbidden, NotFound)):
                    return ()
                return tuple(_directory.all_items(graph, part, calls[f"{name} {ident}"].purpose))

            found.append(
                Found(
                    application=document,
                    owners=listed("owners"),
                    federated=listed("federated"),
                    principal_owners=listed("principal_owners"),
                    service_principal=service_principal,
                    assignments=consent.assignments_from(assigned),
                    grants=consent.grants_from(granted),
                )
            )
        return found

    def _batch(self, calls: dict[str, Call], purpose: str) -> dict[str, Part]:
        return dict(zip(calls, self._tenant.graph.batch(list(calls.values()), purpose=purpose), strict=True))

    def plan(self, current: State) -> Plan:
        planned = plan(current)
        if self._since is not None and len(current.live) == 1:
            app_id = str(current.live[0].application["appId"]).lower()
            self._signed_in = self._signed_in or _sign_ins.read(self._tenant, app_id, self._since)
            planned.result["sign_ins"] = self._signed_in
        planned.blocked = self._another
        return planned


SPEC = ArgumentSpec(
    {
        "unique_name": {"type": "str"},
        "app_id": {"type": "str"},
        "display_name": {"type": "str"},
        "recorded_app_id": {"type": "str"},
        "sign_ins_since": {"type": "str"},
        **_ownership.IDENTITY_OPTIONS,
    },
    required_one_of=[["unique_name", "app_id", "display_name"]],
    mutually_exclusive=[["unique_name", "app_id", "display_name"]],
)
DOOR = Door(ApplicationInfo, SPEC, looks_up=True, takes=True)
