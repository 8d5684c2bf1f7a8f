# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What Entra shows of applications: permissions, delegated grants, directory roles, owners. Reads only.

No list is read expanded within another one: Graph ends such a list after 20 without a word. Pages of 999 are asked for,
because smaller ones leave managed identities out.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import (
    _delegated,
    _directory,
    _names,
    _permissions,
    _time,
    _widening,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._delegated import Consent
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    M365Error,
    NotFound,
    ServiceError,
    SignInError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Graph, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import Offer
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_state import (
    DELEGATED,
    DIRECTORY_ROLES,
    GRANTED,
    OWNERS,
    Holder,
    Person,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Permission

Json = dict[str, t.Any]

_PURPOSE = "read what applications may do"
_PRINCIPAL = (
    "id,appId,displayName,accountEnabled,disabledByMicrosoftStatus,servicePrincipalType,appOwnerOrganizationId,"
    "passwordCredentials,keyCredentials"
)
_EVENTUAL = {"ConsistencyLevel": "eventual"}
PER_FILTER = 15
"""How many values Graph takes in one ``in``."""
REFUSED = (ServiceError, SignInError)
"""What stands for a read that was refused."""


@dataclass
class Told:
    """What was answered and what was refused, over all reads. ``answers`` counts the former."""

    answers: int = 0
    refusals: list[M365Error] = field(default_factory=list)

    def refused(self, error: M365Error) -> None:
        self.refusals.append(error)


class Entra:
    """Reads applications, with what they hold."""

    def __init__(self, graph: Graph, told: Told, now: t.Callable[[], dt.datetime]) -> None:
        self._graph = graph
        self._told = told
        self._now = now
        self.missing: tuple[str, ...] = ()
        """What could not be read of all applications together: there may be more than were found."""

    # ---- one application

    def one(self, app_id: str) -> Holder:
        """One request, beside further pages."""
        path = f"/servicePrincipals(appId={_names.odata(app_id)})"
        calls = {
            "principal": Call("GET", f"{path}?$select={_PRINCIPAL}", _PURPOSE),
            "granted": Call("GET", f"{path}/appRoleAssignments?$top=999", _PURPOSE),
            "delegated": Call("GET", f"{path}/oauth2PermissionGrants?$top=999", _PURPOSE),
            "roles": Call("GET", f"{path}/transitiveMemberOf?$top=999", "read its directory roles"),
            "owners": Call("GET", f"{path}/owners?$top=999", "read who owns the service principal"),
            "app owners": Call(
                "GET", f"{_directory.key_of(app_id=app_id)}/owners?$top=999", "read who owns the application"
            ),
            "exchange": _permissions.read_call(_widening.EXCHANGE),
            "graph": _permissions.read_call(_widening.GRAPH),
        }
        parts = self._parts(calls)
        missing: dict[str, None] = {}
        document = self._document(parts["principal"], missing, GRANTED)
        offers = self._offers(parts)
        granted = self._list(parts["granted"], missing, GRANTED)
        consents = self._list(parts["delegated"], missing, DELEGATED)
        roles = self._list(parts["roles"], missing, DIRECTORY_ROLES)
        people = [
            *self._people(parts["owners"], missing, "owner of the service principal"),
            *self._people(parts["app owners"], missing, "owner of the application"),
        ]
        if document is None and not granted and GRANTED not in missing:
            return Holder(app_id)
        return replace(
            self._holder(document) if document is not None else Holder(app_id, seen=False),
            held=tuple(permission for row in granted if (permission := offers.held(row))),
            since=_since((offers.held(row), row) for row in granted),
            consents=tuple(consent for row in consents if (consent := offers.consent(row))),
            roles=_roles_among(roles, missing),
            people=tuple(people),
            missing=tuple(missing),
        )

    # ---- every application

    def everybody(self, app_id: str | None, pointed: t.Collection[str]) -> list[Holder]:
        """Every application that holds anything of note. As many requests as that takes, whatever else there is.

        ``app_id``: one that is told of in any case. ``pointed``: application ids that Exchange knows.
        """
        calls = {
            "exchange": _permissions.read_call(_widening.EXCHANGE),
            "graph": _permissions.read_call(_widening.GRAPH),
            **{
                name: Call(
                    "GET",
                    f"/servicePrincipals(appId={_names.odata(resource)})/appRoleAssignedTo?$top=999",
                    "read who holds permissions for mail",
                )
                for name, resource in (("of exchange", _widening.EXCHANGE), ("of graph", _widening.GRAPH))
            },
            "delegated": Call("GET", "/oauth2PermissionGrants?$top=999", "read the delegated grants"),
            "roles": Call("GET", "/roleManagement/directory/roleAssignments", "read who has directory roles"),
            "microsoft": Call(
                "GET",
                "/servicePrincipals?$filter=appOwnerOrganizationId%20eq%20f8cdef31-a31e-4b4a-93e4-5f571e91255a"
                f"&$count=true&$top=999&$select={_PRINCIPAL}",
                "read the service principals of Microsoft's own services",
                headers=_EVENTUAL,
            ),
        }
        parts = self._parts(calls)
        missing: dict[str, None] = {}
        offers = self._offers(parts)
        granted: dict[str, list[tuple[Permission, Json]]] = {}
        for name in ("of exchange", "of graph"):
            for row in self._list(parts[name], missing, GRANTED):
                permission = offers.held(row)
                if permission is not None:
                    granted.setdefault(str(row.get("principalId") or "").lower(), []).append((permission, row))
        consents: dict[str, list[Consent]] = {}
        for row in self._list(parts["delegated"], missing, DELEGATED):
            consent = offers.consent(row)
            if consent is not None and _delegated.counts(consent):
                consents.setdefault(str(row.get("clientId") or "").lower(), []).append(consent)
        refused: dict[str, None] = {}
        roles: dict[str, list[str]] = {}
        for row in self._list(parts["roles"], refused, DIRECTORY_ROLES):
            template = str(row.get("roleDefinitionId") or "").lower()
            if _widening.counts(template):
                roles.setdefault(str(row.get("principalId") or "").lower(), []).append(_widening.role_name(template))
        lost: dict[str, None] = {}
        known = {
            str(row["id"]).lower(): row
            for row in self._list(parts["microsoft"], lost, "the credentials of Microsoft's own services")
            if self._living(row)
        }
        named = sorted({*pointed, *([app_id] if app_id else [])})
        known |= self._principals({*granted, *consents, *roles} - set(known), named, missing)
        for object_id, names in self._through_groups({key: roles[key] for key in roles if key not in known}, refused):
            roles.setdefault(object_id, []).extend(names)
        known |= self._principals(set(roles) - set(known), (), missing)
        holders = [
            replace(
                self._holder(row),
                held=tuple(permission for permission, _row in granted.get(object_id, ())),
                since=_since(granted.get(object_id, ())),
                consents=tuple(consents.get(object_id, ())),
                roles=tuple(dict.fromkeys(roles.get(object_id, ()))),
                missing=tuple(missing),
            )
            for object_id, row in known.items()
        ]
        if refused:
            # Who has a role alone is not found; what those have that were found is read one by one.
            holders = self._with_roles(holders)
        seen = {one.app_id for one in holders}
        unseen = GRANTED in missing
        holders += [
            Holder(other, missing=tuple(missing) if unseen else (), seen=not unseen)
            for other in named
            if other not in seen
        ]
        self.missing = tuple({**missing, **refused, **lost})
        return holders

    def _principals(
        self, ids: t.Collection[str], app_ids: t.Collection[str], missing: dict[str, None]
    ) -> dict[str, Json]:
        calls = {}
        for key, some in (("id", sorted(ids)), ("appId", sorted(app_ids))):
            for start in range(0, len(some), PER_FILTER):
                values = ",".join(map(_names.odata, some[start : start + PER_FILTER]))
                path = f"/servicePrincipals?$filter={key}%20in%20({values})&$select={_PRINCIPAL}&$top=999"
                calls[f"{key} {start}"] = Call("GET", path, "read the applications themselves")
        found: dict[str, Json] = {}
        for part in self._parts(calls).values():
            for row in self._list(part, missing, GRANTED):
                found[str(row["id"]).lower()] = row
        return found

    def _through_groups(
        self, roles: t.Mapping[str, t.Sequence[str]], refused: dict[str, None]
    ) -> t.Iterator[tuple[str, t.Sequence[str]]]:
        """(object id of a service principal, roles) of those that are in groups which hold them.

        ``roles``: of principals that are no service principals, so people or groups.
        """
        ids = sorted(roles)
        calls = {}
        for start in range(0, len(ids), PER_FILTER):
            values = ",".join(map(_names.odata, ids[start : start + PER_FILTER]))
            path = f"/groups?$filter=id%20in%20({values})&$select=id,displayName&$top=999"
            calls[str(start)] = Call("GET", path, "read which groups have directory roles")
        groups = [
            str(row["id"]).lower()
            for part in self._parts(calls).values()
            for row in self._list(part, refused, DIRECTORY_ROLES)
        ]
        inside = self.members({one: f"/groups/{one}/transitiveMembers?$top=999&$select=id" for one in groups})
        for group, rows in inside.items():
            if rows is None:
                refused[DIRECTORY_ROLES] = None
            for row in rows or ():
                if str(row.get("@odata.type") or "").endswith("servicePrincipal"):
                    yield str(row.get("id") or "").lower(), roles[group]

    def _with_roles(self, holders: t.Sequence[Holder]) -> list[Holder]:
        calls = {
            one.object_id: Call(
                "GET", f"/servicePrincipals/{one.object_id}/transitiveMemberOf?$top=999", "read its directory roles"
            )
            for one in holders
        }
        parts = self._parts(calls)
        found = []
        for one in holders:
            missing = dict.fromkeys(one.missing)
            roles = _roles_among(self._list(parts[one.object_id], missing, DIRECTORY_ROLES), missing)
            found.append(replace(one, roles=roles, missing=tuple(missing)))
        return found

    def with_owners(self, holders: t.Sequence[Holder]) -> list[Holder]:
        """The same, with who owns each of them: two parts of a batch for each."""
        calls: dict[str, Call] = {}
        for one in holders:
            if one.object_id:
                path = f"/servicePrincipals/{one.object_id}/owners?$top=999"
                calls[f"principal {one.app_id}"] = Call("GET", path, "read who owns the service principal")
                path = f"{_directory.key_of(app_id=one.app_id)}/owners?$top=999"
                calls[f"application {one.app_id}"] = Call("GET", path, "read who owns the application")
        parts = self._parts(calls)
        found = []
        for one in holders:
            missing = dict.fromkeys(one.missing)
            people = [
                person
                for kind, what in (("principal", "service principal"), ("application", "application"))
                if f"{kind} {one.app_id}" in parts
                for person in self._people(parts[f"{kind} {one.app_id}"], missing, f"owner of the {what}")
            ]
            found.append(replace(one, people=(*one.people, *people), missing=tuple(missing)))
        return found

    # ---- members

    def members(self, paths: t.Mapping[str, str]) -> dict[str, list[Json] | None]:
        """Lists by any keys; None for one that was refused."""
        calls = {key: Call("GET", path, "read who is in what limits an application") for key, path in paths.items()}
        found: dict[str, list[Json] | None] = {}
        for key, part in self._parts(calls).items():
            refused: dict[str, None] = {}
            rows = self._list(part, refused, key)
            found[key] = None if refused or isinstance(part.error, NotFound) else rows
        return found

    # ---- one part

    def _parts(self, calls: t.Mapping[str, Call]) -> dict[str, Part]:
        if not calls:
            return {}
        try:
            answers = self._graph.batch(list(calls.values()), purpose=_PURPOSE)
        except REFUSED as exc:
            self._told.refused(exc)
            error = exc if isinstance(exc, ServiceError) else ServiceError(exc.message)
            if isinstance(error, NotFound):
                error = ServiceError(exc.message)
            return {name: Part(0, error=error) for name in calls}
        return dict(zip(calls, answers, strict=True))

    def _document(self, part: Part, missing: dict[str, None], word: str) -> Json | None:
        try:
            found = part.found()
        except REFUSED as exc:
            self._refused(exc, missing, word)
            return None
        self._told.answers += 1
        return found

    def _list(self, part: Part, missing: dict[str, None], word: str) -> list[Json]:
        """All rows, of all pages; none where the thing that has them does not exist. Of a list that ends in a refusal
        those of the first page."""
        first: Json | None = None
        try:
            first = part.found()
            rows = [] if first is None else self._graph.rest(first, _PURPOSE)
        except REFUSED as exc:
            self._refused(exc, missing, word)
            told = (first or {}).get("value")
            return [row for row in told if isinstance(row, dict)] if isinstance(told, list) else []
        self._told.answers += 1
        return rows

    def _refused(self, exc: M365Error, missing: dict[str, None], word: str) -> None:
        missing[word] = None
        self._told.refused(exc)

    def _offers(self, parts: t.Mapping[str, Part]) -> _Offers:
        refused: dict[str, None] = {}
        found = _permissions.offers_from(self._document(parts[name], refused, name) for name in ("exchange", "graph"))
        return _Offers({offer.object_id: offer for offer in found.values()}, whole=not refused)

    def _holder(self, document: Json) -> Holder:
        stopped = str(document.get("disabledByMicrosoftStatus") or "").startswith("Disabled")
        return Holder(
            str(document.get("appId") or "").lower(),
            str(document.get("id") or "").lower(),
            str(document.get("displayName") or ""),
            str(document.get("servicePrincipalType") or ""),
            str(document.get("appOwnerOrganizationId") or "").lower(),
            enabled=document.get("accountEnabled") is not False and not stopped,
            credentials=self._living(document),
        )

    def _living(self, document: Json) -> int:
        """How many credentials are on it that have not ended."""
        some = [*(document.get("passwordCredentials") or []), *(document.get("keyCredentials") or [])]
        ends = [_time.instant(one.get("endDateTime")) for one in some]
        return sum(end is None or end > self._now() for end in ends)

    def _people(self, part: Part, missing: dict[str, None], what: str) -> list[Person]:
        return [
            Person(
                str(row.get("id") or "").lower(),
                str(row.get("userPrincipalName") or row.get("displayName") or row.get("id") or ""),
                what,
            )
            for row in self._list(part, missing, OWNERS)
        ]


def _since(granted: t.Iterable[tuple[Permission | None, Json]]) -> dict[Permission, str]:
    """When each permission was granted, the first time where it was more than once."""
    found: dict[Permission, str] = {}
    for permission, row in granted:
        moment = _time.instant(row.get("createdDateTime"))
        if permission is not None and moment is not None:
            found[permission] = min(found.get(permission, _time.iso(moment)), _time.iso(moment))
    return found


def _roles_among(rows: t.Iterable[Json], missing: dict[str, None]) -> tuple[str, ...]:
    """The directory roles in a list of what an application is a member of. Of what may not be read Graph shows the id
    alone."""
    names = []
    for row in rows:
        if str(row.get("@odata.type") or "").endswith("directoryRole"):
            template = str(row.get("roleTemplateId") or "")
            if not template:
                missing[DIRECTORY_ROLES] = None
            names.append(_widening.role_name(template, str(row.get("displayName") or "")))
    return tuple(names)


@dataclass(frozen=True)
class _Offers:
    """What the two resources offer that mailboxes hang on, by the object ids of their service principals.

    ``whole``: both were read, so that another object id is another service, whose permissions open no mailbox.
    """

    by_id: t.Mapping[str, Offer]
    whole: bool

    def held(self, row: Json) -> Permission | None:
        """The permission of an assignment, by its id where nobody can name it; None for one of another service."""
        role, resource = (str(row.get(key) or "").lower() for key in ("appRoleId", "resourceId"))
        offer = self.by_id.get(resource)
        if offer is None:
            return None if self.whole else Permission("", role)
        return Permission(offer.app_id, offer.names.get((_permissions.APPLICATION, role)) or role)

    def consent(self, row: Json) -> Consent | None:
        """A delegated grant; None for one of another service."""
        offer = self.by_id.get(str(row.get("resourceId") or "").lower())
        if offer is None and self.whole:
            return None
        everybody = str(row.get("consentType") or "") != "Principal"
        user = "" if everybody else str(row.get("principalId") or "").lower()
        return Consent(offer.app_id if offer else "", tuple(str(row.get("scope") or "").split()), user)
