# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What an application holds, looked up by its id and by nothing else: grants that an access policy limits.

What is not there has to be proven: a server of the directory that lags behind answers "not found" as well. A read
that is refused raises, and proves nothing.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Forbidden, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Graph, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import is_limited
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

Json = dict[str, t.Any]

PRESENT, DELETED, ABSENT = "present", "deleted", "absent"
MOST_LOOKS = 4
BETWEEN_LOOKS_S = 2.0
"""How long the directory gets between the two looks that have to agree on what is not there."""

_PURPOSE = "look for what the application {app_id} holds"
_RESOURCES = tuple(_permissions.WELL_KNOWN.values())


@dataclass(frozen=True)
class Holding:
    """``grants``: the names of the application permissions it holds that an access policy limits.

    ``state``: PRESENT, DELETED (in the recycle bin, from where it may come back with them) or ABSENT (gone for good).
    """

    app_id: str
    state: str
    name: str = ""
    grants: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.name} ({self.app_id})" if self.name else self.app_id

    def as_dict(self) -> Json:
        return {"app_id": self.app_id, "state": self.state, "grants": list(self.grants)}


def read(tenant: Tenant, app_id: str) -> Holding:
    """Look, and look again before saying that there is nothing. Raises what refuses to be read."""
    seen: list[Holding] = []
    try:
        for number in range(MOST_LOOKS):
            if number:
                waiting = tenant.patience.begin("the directory to agree on what the application holds")
                waiting.pause(BETWEEN_LOOKS_S)
            found = _look(tenant.graph, app_id)
            seen += [found] if found is not None else []
            if any(one.grants for one in seen) or len(seen) == 2:
                # The most that either look found counts.
                return max(seen, key=lambda one: (len(one.grants), one.state == PRESENT, one.state == DELETED))
    except Forbidden as exc:
        exc.cure = (
            "give the operator's application the permission Application.Read.All (Microsoft Graph) and admin consent "
            "to it: what limits an application goes only when it certainly holds nothing that needs the limit"
        )
        raise
    raise ServiceError(
        f"the directory contradicts itself about the application {app_id}: it is there, and what it holds is not",
        attempted=_PURPOSE.format(app_id=app_id),
        cure="run again in some minutes",
    )


def names(graph: Graph, app_ids: t.Iterable[str]) -> dict[str, str]:
    """Display names of applications by id, as far as the tenant knows them and the operator may read them."""
    asked = [app_id for app_id in dict.fromkeys(app_ids) if _names.is_guid(app_id)]
    if not asked:
        return {}
    calls = [
        Call("GET", f"/servicePrincipals(appId={_names.odata(one)})?$select=displayName", f"read the name of {one}")
        for one in asked
    ]
    parts = graph.batch(calls, purpose="read the names of other applications")
    return {
        app_id: str(part.body["displayName"])
        for app_id, part in zip(asked, parts, strict=True)
        if part.error is None and isinstance(part.body, dict) and part.body.get("displayName")
    }


def calls(app_id: str) -> list[Call]:
    """The parts of one batch: the live ones by key and by filter, the deleted ones, and what the grants are called."""
    purpose = _PURPOSE.format(app_id=app_id)
    key = _names.odata(app_id)
    by_id = f"$filter=appId%20eq%20{key}"
    select = "$select=id,appId,displayName"
    bin_ = "/directory/deletedItems/microsoft.graph."
    return [
        Call("GET", f"/servicePrincipals(appId={key})?{select}", purpose),
        Call("GET", f"/servicePrincipals?{by_id}&{select}", purpose),
        Call("GET", f"/servicePrincipals(appId={key})/appRoleAssignments?$top=999", purpose),
        Call("GET", f"/applications(appId={key})?{select}", purpose),
        Call("GET", f"/applications?{by_id}&{select}", purpose),
        Call("GET", f"{bin_}application?{by_id}&{select}", purpose),
        Call("GET", f"{bin_}servicePrincipal?{by_id}&{select}", purpose),
        *(
            Call("GET", f"/servicePrincipals(appId={_names.odata(one)})?$select=id,appId,appRoles", purpose)
            for one in _RESOURCES
        ),
    ]


def _look(graph: Graph, app_id: str) -> Holding | None:
    """One look; None where its answers contradict one another."""
    purpose = _PURPOSE.format(app_id=app_id)
    parts = graph.batch(calls(app_id), purpose=purpose)
    principal, principals, assigned, application, applications, *rest = parts
    live = [item for item in (principal.found(), application.found()) if item]
    live += [item for part in (principals, applications) for item in _listed(part)]
    deleted = [
        item
        for part, kind in zip(rest, ("application", "servicePrincipal"), strict=False)
        for item in _in_the_bin(graph, part, kind, app_id)
    ]
    is_principal = principal.found() is not None or bool(_listed(principals))
    if is_principal and assigned.found() is None:
        return None
    grants = _grants(graph, assigned, rest[2:], purpose)
    everything = [*live, *deleted]
    name = next((str(item["displayName"]) for item in everything if item.get("displayName")), "")
    state = PRESENT if live or grants else DELETED if deleted else ABSENT
    if state == PRESENT and not grants and deleted and not is_principal:
        # The registration lives, and its deleted service principal may come back with what it held.
        state = DELETED
    return Holding(app_id, state, name, grants)


def _listed(part: Part) -> list[Json]:
    return list(part.value().get("value") or [])


def _in_the_bin(graph: Graph, part: Part, kind: str, app_id: str) -> list[Json]:
    if part.error is not None and part.status == 400:
        # A directory that does not filter its bin by this property: 30 days bound it.
        path = f"/directory/deletedItems/microsoft.graph.{kind}?$select=id,appId,displayName&$top=200"
        items = graph.items(path, "look into the recycle bin")
        return [item for item in items if str(item.get("appId") or "").lower() == app_id]
    return _listed(part)


def _grants(graph: Graph, assigned: Part, resources: t.Sequence[Part], purpose: str) -> tuple[str, ...]:
    document = assigned.found()
    if document is None:
        return ()
    assignments = graph.rest(document, purpose)
    known: dict[str, tuple[str, dict[str, str]]] = {}
    unread = False
    for resource_id, part in zip(_RESOURCES, resources, strict=True):
        found = part.found()
        if found is None:
            unread = True
            continue
        roles = {str(role.get("id")).lower(): str(role.get("value") or "") for role in found.get("appRoles") or []}
        known[str(found.get("id")).lower()] = (resource_id, roles)
    limited: set[str] = set()
    for assignment in assignments:
        role_id = str(assignment.get("appRoleId") or "").lower()
        resource = known.get(str(assignment.get("resourceId") or "").lower())
        if resource is None:
            # Another service's permission opens no mailbox; one whose service could not be told might.
            if unread:
                limited.add(f"{assignment.get('resourceDisplayName') or 'an unknown service'}: {role_id}")
            continue
        resource_id, roles = resource
        if is_limited(resource_id, roles.get(role_id)):
            limited.add(roles.get(role_id) or role_id)
    return tuple(sorted(limited))
