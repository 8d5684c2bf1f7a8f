# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What an application holds in Entra beside its roles, with what it takes to revoke it. ``undoing`` judges it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _directory, _names, _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Graph, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import EXCHANGE, GRAPH
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

Json = dict[str, t.Any]

REPLICATION_S = 60.0
_PURPOSE = "read what the application holds in Entra"
_RETIRED = ("mail.", "calendars.", "contacts.", "mailboxsettings.", "mail-advanced.")
"""Permissions of Exchange Online's own for an API that ended in March 2024."""


@dataclass(frozen=True, order=True)
class Held:
    """One application permission that was granted. ``resource``: its application id, "" where that is not known.

    ``permission``: its name, or the role's id where nobody knows that. ``id`` and ``principal_id`` take it back.
    """

    resource: str
    permission: str
    id: str = ""
    principal_id: str = ""

    @property
    def of(self) -> str:
        return _permissions.resource_name(self.resource) if self.resource else "a resource that is not known"

    def __str__(self) -> str:
        return f"{self.permission} of {self.of}"


@dataclass(frozen=True)
class Holder:
    """The application's service principal (its object id), and what it holds."""

    principal_id: str
    held: tuple[Held, ...] = ()


def calls(app_id: str) -> list[Call]:
    """The parts of one batch."""
    path = f"/servicePrincipals(appId={_names.odata(app_id)})"
    return [
        replace(_directory.service_principal_calls(app_id)[0], purpose=_PURPOSE),
        Call("GET", f"{path}/appRoleAssignments?$top=999", _PURPOSE),
        *(_permissions.read_call(resource) for resource in (EXCHANGE, GRAPH)),
    ]


def read(tenant: Tenant, app_id: str, *, waits: bool = True) -> Holder | None:
    """One batch; more while a server of the directory does not show what another made. None: no service principal."""
    seen: list[Holder | bool | None] = []

    def complete() -> bool:
        parts = tenant.graph.batch(calls(app_id), purpose=_PURPOSE)
        seen.append(_holder(tenant.graph, parts))
        return seen[-1] is not False and (seen[-1] is not None or not waits)

    tenant.patiently(complete, budget_s=min(REPLICATION_S, tenant.patience_s))
    found = seen[-1]
    if isinstance(found, bool):
        raise ServiceError(
            "Graph shows the application's service principal and not what it holds",
            attempted=_PURPOSE,
            cure="run again in some minutes",
        )
    return found


def _holder(graph: Graph, parts: t.Sequence[Part]) -> Holder | t.Literal[False] | None:
    """None: there is none. False: the answers contradict one another."""
    principal, assigned, *resources = parts
    document = principal.found()
    if document is None:
        return None
    listed = assigned.found()
    if listed is None:
        return False
    principal_id = str(document["id"]).lower()
    offers = {offer.object_id: offer for offer in _permissions.offers_from(part.found() for part in resources).values()}
    held = []
    for item in graph.rest(listed, _PURPOSE):
        role_id, resource_id = (str(item.get(key) or "").lower() for key in ("appRoleId", "resourceId"))
        offer = offers.get(resource_id)
        if offer is None and len(offers) == len(resources):
            continue  # of another service, which opens no mailbox
        name = offer.names.get((_permissions.APPLICATION, role_id)) if offer else None
        held.append(Held(offer.app_id if offer else "", name or role_id, str(item["id"]), principal_id))
    return Holder(principal_id, tuple(sorted(held)))


def is_known(one: Held) -> bool:
    """Whether anybody can tell what it is. What nobody can tell may open anything."""
    return bool(one.resource) and not _names.is_guid(one.permission)


def is_retired(one: Held) -> bool:
    """Whether it is a permission of an API that ended: dead weight, to be taken back when there is time."""
    return one.resource == EXCHANGE and one.permission.casefold().startswith(_RETIRED)


def by_resource(held: t.Iterable[Held]) -> list[Json]:
    """The shape of the option ``permissions``."""
    names: dict[str, set[str]] = {}
    for one in held:
        names.setdefault(one.of, set()).add(one.permission)
    return [{"resource": of, "application": sorted(some), "delegated": []} for of, some in sorted(names.items())]
