# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""API permissions as people declare them (by name) and as Graph keeps them (by id), and the way between both.

A name means something only to the resource that offers it, so names are resolved from that resource's own
service principal in the tenant. Nothing here makes a request.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call

Json = dict[str, t.Any]

APPLICATION = "application"
DELEGATED = "delegated"
KINDS = (APPLICATION, DELEGATED)

WELL_KNOWN: t.Mapping[str, str] = {
    "exchange_online": "00000002-0000-0ff1-ce00-000000000000",
    "microsoft_graph": "00000003-0000-0000-c000-000000000000",
}
_WELL_KNOWN_NAMES = {app_id: name for name, app_id in WELL_KNOWN.items()}
_TITLES = {"exchange_online": "Office 365 Exchange Online", "microsoft_graph": "Microsoft Graph"}

SELECT = "id,appId,displayName,appRoles,oauth2PermissionScopes"
_VALUE = re.compile(r"[A-Za-z0-9_.:/!#$%&'()*+,;<=>?@\[\]^`{|}~-]{1,250}")
"""What Graph takes as a permission's value: no blanks, at most 250 characters."""

LIMITED: t.Mapping[tuple[str, str], frozenset[str]] = {
    (WELL_KNOWN["exchange_online"], APPLICATION): frozenset({"full_access_as_app"}),
    (WELL_KNOWN["microsoft_graph"], APPLICATION): frozenset(
        {
            *("Mail.Read", "Mail.ReadBasic", "Mail.ReadBasic.All", "Mail.ReadWrite", "Mail.Send"),
            *("MailboxSettings.Read", "MailboxSettings.ReadWrite", "Calendars.Read", "Calendars.ReadWrite"),
            *("Contacts.Read", "Contacts.ReadWrite"),
        }
    ),
    (WELL_KNOWN["microsoft_graph"], DELEGATED): frozenset({"User.Read"}),
}
"""What may be granted: the permissions that an application access policy limits, and the one that opens no mailbox."""

BY_RIGHT = frozenset({"IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"})
"""Exchange Online's application permissions that open no mailbox without a right of the application on it."""

_NEVER_LIMITED = ("mailboxitem", "mailboxfolder", "mailboxconfigitem", "mail-advanced", "mailtips")
"""How the names of Graph's application permissions begin that open every mailbox and that no access policy limits."""


def is_never_limited(resource: str, permission: str) -> bool:
    """Whether this application permission of ``resource`` (an application id) opens every mailbox, policies or not."""
    kind = permission.casefold().partition(".")[0]
    return resource == WELL_KNOWN["microsoft_graph"] and kind in _NEVER_LIMITED


def opens_every_mailbox(resource: str, permission: str) -> bool:
    """Whether this application permission of ``resource`` opens every mailbox where no access policy limits it."""
    return permission in LIMITED.get((resource, APPLICATION), ()) or is_never_limited(resource, permission)


OPTIONS: dict[str, t.Any] = {
    "resource": {"type": "str", "required": True},
    APPLICATION: {"type": "list", "elements": "str", "default": []},
    DELEGATED: {"type": "list", "elements": "str", "default": []},
}
"""The suboptions of ``permissions``, the same in every module that takes it."""


@dataclass(frozen=True)
class Wanted:
    """What is declared for one resource: names, each once, sorted. ``app_id`` is the resource's application id."""

    app_id: str
    application: tuple[str, ...] = ()
    delegated: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        return resource_name(self.app_id)

    def as_dict(self) -> Json:
        return {"resource": self.resource, APPLICATION: list(self.application), DELEGATED: list(self.delegated)}


@dataclass(frozen=True, order=True)
class Permission:
    """One permission by ids. ``resource`` is the resource's application id, ``kind`` one of KINDS."""

    resource: str
    kind: str
    id: str


@dataclass(frozen=True)
class Offer:
    """What a resource offers in this tenant. ``object_id`` is the id of its service principal.

    ``application`` and ``delegated`` map a name to its id and hold what can be asked for now; ``names`` maps
    (kind, id) to a name and also holds what was switched off since, because it may still be granted.
    """

    app_id: str
    object_id: str
    display_name: str
    application: t.Mapping[str, str] = field(default_factory=dict)
    delegated: t.Mapping[str, str] = field(default_factory=dict)
    names: t.Mapping[tuple[str, str], str] = field(default_factory=dict)

    @classmethod
    def from_document(cls, document: t.Mapping[str, t.Any]) -> Offer:
        """From a servicePrincipal document with the properties of SELECT."""
        offered: dict[str, dict[str, str]] = {APPLICATION: {}, DELEGATED: {}}
        names: dict[tuple[str, str], str] = {}
        for role in document.get("appRoles") or []:
            # A role that only users and groups can be given is none that an application could ask for.
            if "Application" not in (role.get("allowedMemberTypes") or []):
                continue
            _collect(offered[APPLICATION], names, APPLICATION, role)
        for scope in document.get("oauth2PermissionScopes") or []:
            _collect(offered[DELEGATED], names, DELEGATED, scope)
        return cls(
            app_id=str(document.get("appId") or "").lower(),
            object_id=str(document.get("id") or "").lower(),
            display_name=str(document.get("displayName") or ""),
            application=offered[APPLICATION],
            delegated=offered[DELEGATED],
            names=names,
        )

    def offered(self, kind: str) -> t.Mapping[str, str]:
        return self.application if kind == APPLICATION else self.delegated


Offers = t.Mapping[str, Offer]
"""Offers by the resource's application id."""


def _collect(
    offered: dict[str, str], names: dict[tuple[str, str], str], kind: str, entry: t.Mapping[str, t.Any]
) -> None:
    value, ident = entry.get("value"), str(entry.get("id") or "").lower()
    if not value or not ident:
        return
    names[kind, ident] = str(value)
    if entry.get("isEnabled"):
        offered[str(value)] = ident


def parse(option: t.Sequence[t.Mapping[str, t.Any]] | None, name: str = "permissions") -> tuple[Wanted, ...] | None:
    """The option in its normal form: a resource once, sorted; None stays None (not managed), [] stays empty.

    Raises InvalidInput for a resource that is neither a well-known name nor a GUID, for a name that cannot be a
    permission's, and for an entry that names none.
    """
    if option is None:
        return None
    gathered: dict[str, dict[str, set[str]]] = {}
    for entry in option:
        app_id = resource_id(str(entry.get("resource") or ""), f"{name}.resource")
        kinds = gathered.setdefault(app_id, {kind: set() for kind in KINDS})
        asked = {kind: list(entry.get(kind) or []) for kind in KINDS}
        if not any(asked.values()):
            raise InvalidInput(
                f"{name} names {resource_name(app_id)} without any permission of it",
                cure="list names under application or delegated, or leave the entry out",
            )
        for kind, values in asked.items():
            for value in values:
                if not isinstance(value, str) or _VALUE.fullmatch(value) is None:
                    raise InvalidInput(
                        f"{name} has {value!r} under {kind} of {resource_name(app_id)}, which is not a permission's "
                        "name",
                        cure="give the name as the service shows it, such as full_access_as_app or User.Read",
                    )
                kinds[kind].add(value)
    return tuple(
        Wanted(app_id, tuple(sorted(kinds[APPLICATION])), tuple(sorted(kinds[DELEGATED])))
        for app_id, kinds in sorted(gathered.items(), key=lambda item: resource_name(item[0]))
    )


def resource_id(text: str, option: str) -> str:
    """The application id behind a resource's name; a GUID stands for itself."""
    value = text.strip()
    if value in WELL_KNOWN:
        return WELL_KNOWN[value]
    if _names.is_guid(value.strip("{}")):
        return _names.guid(value, option)
    known = [*WELL_KNOWN, *_TITLES.values()]
    close = _names.nearest(value, known, 1)
    meant = next((name for name, title in _TITLES.items() if close and close[0] in (name, title)), None)
    raise InvalidInput(
        f"{option} is {text!r}, which is not a resource",
        cure=(f"did you mean {meant}? " if meant else "")
        + f"Give {' or '.join(WELL_KNOWN)}, or the application id of another API",
    )


def resource_name(app_id: str) -> str:
    """The name under which people declare a resource: a well-known one, else its application id."""
    return _WELL_KNOWN_NAMES.get(app_id.lower(), app_id.lower())


def read_call(app_id: str) -> Call:
    """The part of a batch that reads what a resource offers."""
    return Call(
        "GET",
        f"/servicePrincipals(appId={_names.odata(app_id)})?$select={SELECT}",
        f"read the permissions that {_title(app_id)} offers",
    )


def missing_resource(wanted: t.Iterable[Wanted], offers: Offers) -> Blocked | None:
    """The reason to stop when the tenant has no service principal of a declared resource."""
    missing = [item for item in wanted if item.app_id not in offers]
    if not missing:
        return None
    titles = " and ".join(_title(item.app_id) for item in missing)
    if any(item.resource == "exchange_online" for item in missing):
        cure = "check that the tenant has Exchange Online (a licence with it), and that tenant is the one meant"
    else:
        cure = "check the resource's application id, or let an administrator add that application to the tenant"
    return Blocked(
        f"this tenant has no service principal of {titles}, so its permissions cannot be asked for",
        cure=cure,
        who="a Global Administrator or Cloud Application Administrator of the tenant",
        details={"missing_resources": [item.resource for item in missing]},
    )


def beyond(
    wanted: t.Iterable[Wanted],
    extra: t.Collection[str] | None,
    grantable: t.Collection[tuple[str, str]] | None = None,
) -> Blocked | None:
    """The reason to stop where a permission is declared that nothing limits, and that nobody named in words.

    ``extra`` holds names of permissions as the service shows them, word for word. None: who declares them here names
    them in words by that, so nothing is held against it. ``grantable``: the application permissions, with the
    application id of their API, that something limits; None: those that an access policy limits.
    """
    if extra is None:
        return None

    def is_limited(app_id: str, kind: str, name: str) -> bool:
        if kind == APPLICATION and grantable is not None:
            return (app_id, name) in grantable
        return name in LIMITED.get((app_id, kind), ())

    found = [
        (item, kind, name)
        for item in wanted
        for kind, names in ((APPLICATION, item.application), (DELEGATED, item.delegated))
        for name in names
        if name not in extra and not is_limited(item.app_id, kind, name)
    ]
    if not found:
        return None
    listed = "; ".join(f"{name} ({kind}) of {_title(item.app_id)}" for item, kind, name in found)
    limit = "application access policy" if grantable is None else "scoping model of a declared access"
    return Blocked(
        f"no {limit} limits {listed}: who holds it is not kept to the declared mailboxes",
        cure="take it out of the profile's permissions; if the application really has to hold it, name it word for "
        "word in extra_permissions",
        who="the tenant's security officer",
        details={
            "beyond": [{"resource": item.resource, "kind": kind, "permission": name} for item, kind, name in found]
        },
        options=("extra_permissions", "permissions"),
    )


def resolve(
    wanted: t.Iterable[Wanted], offers: Offers, *, name: str = "permissions", disabled_too: bool = False
) -> frozenset[Permission]:
    """Names to ids. A resource without an offer is passed over: ``missing_resource`` speaks of it.

    Raises one InvalidInput for all names that are not offered: each with the nearest ones, or with the word that
    it exists as the other kind. ``disabled_too`` also knows names that were switched off (to revoke them).
    """
    found: set[Permission] = set()
    problems: list[str] = []
    details: list[Json] = []
    for item in wanted:
        offer = offers.get(item.app_id)
        if offer is None:
            continue
        for kind, values in ((APPLICATION, item.application), (DELEGATED, item.delegated)):
            known = dict(offer.offered(kind))
            if disabled_too:
                known = {value: ident for (of, ident), value in offer.names.items() if of == kind} | known
            for value in values:
                ident = known.get(value)
                if ident is not None:
                    found.add(Permission(item.app_id, kind, ident))
                    continue
                why, close = _unknown(value, kind, offer)
                problems.append(f"{_title(item.app_id)} has no {kind} permission {value!r}{why}")
                details.append({"resource": item.resource, "kind": kind, "permission": value, "nearest": close})
    if problems:
        raise InvalidInput(
            "; ".join(problems), cure=f"correct {name}; names are case-sensitive", details={"unknown": details}
        )
    return frozenset(found)


def _unknown(value: str, kind: str, offer: Offer) -> tuple[str, list[str]]:
    other = DELEGATED if kind == APPLICATION else APPLICATION
    close = _names.nearest(value, offer.offered(kind))
    hints = []
    if value in offer.offered(other):
        hints.append(f"it exists as {other} permission: declare it under {other} if that is meant")
    elif any(name == value and of == kind for (of, _id), name in offer.names.items()):
        hints.append("it exists but is switched off")
    elif len(value) == 36 and _names.is_guid(value):
        named = offer.names.get((kind, value.lower()))
        hints.append(f"that is an id; its name is {named}" if named else "give its name, not an id")
    if close:
        hints.append("nearest: " + ", ".join(close))
    return (f" ({'; '.join(hints)})" if hints else ""), close


def to_required_access(permissions: t.Iterable[Permission]) -> list[Json]:
    """Graph's ``requiredResourceAccess``, in a stable order."""
    by_resource: dict[str, list[Json]] = {}
    for item in sorted(permissions):
        access = {"id": item.id, "type": "Role" if item.kind == APPLICATION else "Scope"}
        by_resource.setdefault(item.resource, []).append(access)
    return [{"resourceAppId": app_id, "resourceAccess": access} for app_id, access in by_resource.items()]


def from_required_access(required: t.Iterable[t.Mapping[str, t.Any]] | None) -> frozenset[Permission]:
    """The set behind Graph's ``requiredResourceAccess``, whatever its order."""
    return frozenset(
        Permission(
            str(entry.get("resourceAppId") or "").lower(),
            APPLICATION if access.get("type") == "Role" else DELEGATED,
            str(access.get("id") or "").lower(),
        )
        for entry in required or []
        for access in entry.get("resourceAccess") or []
    )


def name_of(permission: Permission, offers: Offers) -> str:
    """A permission's name; its id where the resource is not known here."""
    offer = offers.get(permission.resource)
    return (offer.names.get((permission.kind, permission.id)) if offer else None) or permission.id


def declared(permissions: t.Iterable[Permission], offers: Offers) -> list[Json]:
    """Ids back to the shape of the option, sorted: ``[{resource, application: [...], delegated: [...]}]``."""
    by_resource: dict[str, dict[str, set[str]]] = {}
    for item in permissions:
        kinds = by_resource.setdefault(resource_name(item.resource), {kind: set() for kind in KINDS})
        kinds[item.kind].add(name_of(item, offers))
    return [
        {"resource": resource, **{kind: sorted(kinds[kind]) for kind in KINDS}}
        for resource, kinds in sorted(by_resource.items())
    ]


def lines(permissions: t.Iterable[Permission], offers: Offers) -> list[str]:
    """One line per permission, sorted, for diffs: ``exchange_online full_access_as_app (application)``."""
    return sorted(f"{resource_name(item.resource)} {name_of(item, offers)} ({item.kind})" for item in permissions)


def offers_from(documents: t.Iterable[t.Mapping[str, t.Any] | None]) -> dict[str, Offer]:
    """Offers by application id, from the service principals that were found."""
    found = (Offer.from_document(document) for document in documents if document)
    return {offer.app_id: offer for offer in found}


def several(names: t.Iterable[str]) -> str:
    """For people: A, B and C."""
    said = list(names)
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def _title(app_id: str) -> str:
    name = resource_name(app_id)
    return f"{_TITLES[name]} ({app_id})" if name in _TITLES else f"the API {app_id}"
