# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Whose application is it, and who else can sign in as it? Facts and rules, no writes.

Anybody may register an application under any name, so a name proves nothing. What tells ours is ``createdByAppId``,
which Entra sets and nobody can change. And whoever owns an application or holds a credential of it can sign in as it or
let others do so: each of those has to be ours or declared, before the first write and again right before a grant.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _directory, _names, _time
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, InvalidInput, NotFound
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Graph, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Intent

Json = dict[str, t.Any]

MOST_SHOWN = 10
"""More things than this are counted and not named in a message."""

TRUST_OPTIONS: dict[str, t.Any] = {
    "trusted_app_ids": {"type": "list", "elements": "str"},
    "accept_credentials": {"type": "list", "elements": "str", "no_log": False},
    "known_key_ids": {"type": "list", "elements": "str", "no_log": False},
    "stored_intent": {
        "type": "dict",
        "options": {"at": {"type": "str"}, "keys": {"type": "list", "elements": "str", "no_log": False}},
    },
    "recorded_app_id": {"type": "str"},
    "recorded_created_by": {"type": "str"},
    "adopting": {"type": "bool", "default": False},
}
"""The options by which a task says what is ours, the same in every module that asks."""

IDENTITY_OPTIONS: dict[str, t.Any] = {
    "declared": {"type": "list", "elements": "str"},
    "leave_application": {"type": "list", "elements": "str"},
}
"""The options by which a task says what an inventory says itself, and which application it leaves alone."""


@dataclass(frozen=True)
class Trust:
    """What is ours or declared, all in lower case.

    ``operator_app_id`` is "" where the sign-in does not tell it, or where it tells nothing: a person signs in through a
    client that everybody uses, so what it created may be anybody's. ``accepted`` holds ids of keys and owners, names,
    ids and subjects of federated credentials, and redirect addresses. ``known_key_ids`` None: nobody said which client
    secrets of the application are ours, so they are not judged.
    """

    operator_app_id: str = ""
    operator_id: str = ""
    trusted_app_ids: frozenset[str] = frozenset()
    accepted: frozenset[str] = frozenset()
    known_key_ids: frozenset[str] | None = None
    recorded_app_id: str = ""
    recorded_creator: str = ""
    """Who created the recorded application, as the run saw it that wrote the record: perhaps another operator."""
    intent: Intent | None = None
    """A secret that a run was about to make when it was cut short: the key that it made is ours."""
    adopting: bool = False
    """The application is taken for the first time: who can sign in as it by now is told, and stops nothing."""

    @property
    def creators(self) -> frozenset[str]:
        """The app ids whose mark on an application counts."""
        return self.trusted_app_ids | ({self.operator_app_id} if self.operator_app_id else frozenset())

    def creators_of(self, document: Json) -> frozenset[str]:
        """The same for one application: of the recorded one also whom the record names."""
        recorded = str(document.get("appId") or "").lower() == self.recorded_app_id and self.recorded_creator
        return self.creators | ({self.recorded_creator} if recorded else frozenset())

    def knows_key(self, key: Json) -> bool:
        """Whether it was made here, as a record, a store, or the trace of a run that was cut short tells."""
        key_id, start = str(key.get("keyId") or "").lower(), _time.instant(key.get("startDateTime"))
        return key_id in (self.known_key_ids or ()) or (
            self.intent is not None and start is not None and self.intent.explains(key_id, start)
        )

    def accepts(self, *names: t.Any) -> bool:
        return any(str(name).lower() in self.accepted for name in names if name)

    def signed_in(self, token: Token) -> Trust:
        """The same for an operator who signed in with this token for Graph."""
        person = bool(token.claims.get("scp")) or str(token.claims.get("idtyp") or "app") != "app"
        return replace(
            self,
            operator_app_id="" if person else token.app_id.lower(),
            operator_id=str(token.claims.get("oid") or "").lower(),
        )


def said_in(params: t.Mapping[str, t.Any], prefix: str = "") -> tuple[Trust, frozenset[str] | None, frozenset[str]]:
    """What a task's options say: what is trusted, which options the inventory says itself (None: all that are given),
    and which recorded applications it leaves alone. Raises InvalidInput."""
    declared = params.get("declared")
    return (
        trust_of(params, prefix),
        None if declared is None else frozenset(declared),
        _ids(params.get("leave_application"), f"{prefix}leave_application"),
    )


def trust_of(params: t.Mapping[str, t.Any], prefix: str = "") -> Trust:
    """From a task's options; the operator is added when a token tells. Raises InvalidInput, which names the option."""
    recorded, known = params.get("recorded_app_id"), params.get("known_key_ids")
    creator = params.get("recorded_created_by")
    intent = params.get("stored_intent") or {}
    if intent and _time.instant(intent.get("at")) is None:
        raise InvalidInput(f"{prefix}stored_intent has no time", cure="give what entra_application_secret returned")
    return Trust(
        trusted_app_ids=_ids(params.get("trusted_app_ids"), f"{prefix}trusted_app_ids"),
        accepted=frozenset(str(item).strip().lower() for item in params.get("accept_credentials") or () if item),
        known_key_ids=None if known is None else frozenset(str(item).strip().lower() for item in known if item),
        recorded_app_id=_names.guid(recorded, f"{prefix}recorded_app_id").lower() if recorded else "",
        recorded_creator=_names.guid(creator, f"{prefix}recorded_created_by").lower() if creator else "",
        adopting=bool(params.get("adopting")),
        intent=Intent(str(intent["at"]), tuple(str(key).lower() for key in intent.get("keys") or ()))
        if intent
        else None,
    )


def _ids(values: t.Sequence[str] | None, option: str) -> frozenset[str]:
    checked = frozenset(_names.guid(value, option).lower() for value in values or () if value)
    if _names.ZERO_GUID in checked:
        raise InvalidInput(
            f"{option} has an id that is all zeros, which no application has", cure="give Application (client) IDs"
        )
    return checked


# --- whose it is ---------------------------------------------------------------------------------------------


def is_ours(document: Json, trust: Trust) -> bool:
    """Whether Entra says that the operator, or an application that is trusted, created it."""
    return str(document.get("createdByAppId") or "").lower() in trust.creators_of(document)


def foreign_holder(document: Json, trust: Trust) -> Blocked | None:
    """The reason not to take an application that was found by our unique name and that nobody of ours created.

    An application from before Entra noted the creator has no mark. It is ours where our own record names it.
    """
    app_id = str(document.get("appId") or "").lower()
    creator = str(document.get("createdByAppId") or "").lower()
    if (
        creator in trust.creators_of(document)
        or app_id in trust.trusted_app_ids
        or (not creator and app_id == trust.recorded_app_id)
    ):
        return None
    if creator:
        whose = f"was created by the application {creator}, which is neither the operator's nor a trusted one"
    else:
        whose = "does not tell who created it, and no record of a run names it"
    return Blocked(
        f"the unique name {document.get('uniqueName')!r} is held by {document.get('displayName')!r} (app id {app_id}), "
        f"which {whose}: anybody can register an application under that name and keep a credential of it",
        cure=f"find out whose it is. If it is meant, set app_id to {app_id} to adopt it, or list "
        f"{creator or app_id} in trusted_app_ids; else choose another unique_name, and delete it if it is nobody's",
        who=_directory.APPLICATION_ADMIN,
        details={"application": _directory.brief(document)},
        options=("trusted_app_ids", "app_id", "unique_name"),
    )


@dataclass(frozen=True)
class Identity:
    """Which application a task means.

    ``declared`` None: every option that is given was said; else only those that it names, and the rest are defaults of
    a profile. ``left`` are recorded applications that the inventory leaves alone.
    """

    unique_name: str | None = None
    app_id: str | None = None
    recorded: str = ""
    declared: frozenset[str] | None = None
    left: frozenset[str] = frozenset()

    @property
    def from_record(self) -> str:
        """The app id that the record names, unless the inventory leaves that application; else ""."""
        return "" if self.recorded in self.left else self.recorded

    @property
    def looked_up(self) -> tuple[str, str]:
        """The key by which the application is looked up, Graph's name and its value: the record's id goes first."""
        app_id = self.from_record or self.app_id
        return ("appId", app_id) if app_id else ("uniqueName", self.unique_name or "")

    def has_name(self, document: Json) -> bool:
        """Whether the application has our unique name, in whichever capitals: Entra tells no difference."""
        has = document.get("uniqueName")
        return has is not None and self.unique_name is not None and str(has).casefold() == self.unique_name.casefold()

    def by_name(self, document: Json) -> bool:
        """Whether the application was found by our unique name alone, or has it."""
        return self.has_name(document) or self.looked_up[0] == "uniqueName"

    def says(self, option: str) -> bool:
        """Whether the inventory itself says this option."""
        given = {"unique_name": self.unique_name, "app_id": self.app_id}.get(option)
        return given is not None and (self.declared is None or option in self.declared)


def identify(identity: Identity, recorded: Json | None) -> Blocked | None:
    """Why the application that the record names is not the one that is declared; None where it is, or is proven gone.

    ``recorded`` is that application as Graph has it, live or deleted; None when it is proven gone.
    """
    if not identity.from_record or recorded is None:
        return None
    said = ""
    has = recorded.get("uniqueName")
    if identity.says("app_id") and identity.app_id != identity.from_record:
        said = f"app_id {identity.app_id}"
    elif identity.says("unique_name") and identity.app_id != identity.from_record and has != identity.unique_name:
        said = f"unique_name {identity.unique_name!r}"
    if not said:
        return None
    where = " and lies in the recycle bin" if recorded.get("deletedDateTime") else ""
    return Blocked(
        f"the record names the application {recorded.get('displayName')!r} (app id {identity.from_record}, unique name "
        f"{has!r}), which exists{where}, and {said} is declared, which is another one: the first would live on with "
        "its consent and its secret",
        cure=f"to go on with the recorded application, set app_id to {identity.from_record} and leave unique_name out; "
        "to give it up, take it back with the declarations as they were (decommission) before the change; "
        f"to leave it as it is, list {identity.from_record} in leave_application",
        who=_directory.APPLICATION_ADMIN,
        details={
            "recorded": _directory.brief(recorded),
            "declared": {"app_id": identity.app_id, "unique_name": identity.unique_name},
        },
        options=("app_id", "unique_name", "leave_application"),
    )


# --- who else can sign in ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Access:
    """What was read of who can sign in as an application, or add something that can, as Graph documents."""

    application: Json
    service_principal: Json | None = None
    owners: tuple[Json, ...] = ()
    principal_owners: tuple[Json, ...] = ()
    federated: tuple[Json, ...] = ()


@dataclass(frozen=True, order=True)
class Stranger:
    """One thing that can sign in as the application, or add something that can, and is neither ours nor declared.

    ``kind`` is ``owner``, ``client_secret``, ``certificate``, ``federation``, ``redirect``, or ``service_principal``
    for one that others made of our application; ``id`` accepts it.
    """

    kind: str
    id: str
    words: str


def strangers(access: Access, trust: Trust, now: dt.datetime) -> list[Stranger]:
    """Pure, sorted. A credential that has ended opens nothing any more and is passed over."""
    found: set[Stranger] = set()
    for holder, of in ((access.application, ""), (access.service_principal or {}, " of the service principal")):
        for kind, name, words in (
            ("client_secret", "passwordCredentials", "client secret"),
            ("certificate", "keyCredentials", "certificate"),
        ):
            if kind == "client_secret" and not of and trust.known_key_ids is None:
                continue
            for item in holder.get(name) or ():
                key_id, ends = str(item.get("keyId") or ""), _time.instant(item.get("endDateTime"))
                if (
                    (kind == "client_secret" and trust.knows_key(item))
                    or trust.accepts(key_id)
                    or (ends is not None and ends <= now)
                ):
                    continue
                shown = f"{words} {item.get('displayName') or 'without a name'!r}{of} (key id {key_id})"
                found.add(Stranger(kind, key_id, shown))
    principal = access.service_principal or {}
    creator = str(principal.get("createdByAppId") or "").lower()
    if creator not in ("", *trust.creators_of(access.application)) and is_ours(access.application, trust):
        ident = str(principal.get("id") or "")
        if not trust.accepts(ident, creator):
            words = f"service principal that the application {creator} created (object id {ident})"
            found.add(Stranger("service_principal", ident, words))
    for owner in (*access.owners, *access.principal_owners):
        if not _is_known_owner(owner, access.application, trust):
            name = owner.get("userPrincipalName") or owner.get("displayName") or "unknown"
            found.add(Stranger("owner", str(owner.get("id")), f"owner {name} (object id {owner.get('id')})"))
    for item in access.federated:
        subject = str(item.get("subject"))
        if not trust.accepts(item.get("id"), item.get("name"), subject, f"{item.get('issuer')} {subject}"):
            words = (
                f"federated credential {item.get('name')!r} for {subject} of {item.get('issuer')} (id {item.get('id')})"
            )
            found.add(Stranger("federation", str(item.get("id")), words))
    for address in _redirects(access):
        if not trust.accepts(address):
            found.add(Stranger("redirect", address, f"redirect address {address}"))
    return sorted(found)


def _is_known_owner(owner: Json, application: Json, trust: Trust) -> bool:
    ident, app_id = str(owner.get("id") or "").lower(), str(owner.get("appId") or "").lower()
    return (
        (bool(ident) and ident == trust.operator_id)
        or app_id in trust.creators_of(application)
        or trust.accepts(ident, app_id, owner.get("userPrincipalName"))
    )


def _redirects(access: Access) -> list[str]:
    addresses = [
        str(uri)
        for platform in ("web", "spa", "publicClient")
        for uri in (access.application.get(platform) or {}).get("redirectUris") or ()
    ]
    return sorted({*addresses, *map(str, (access.service_principal or {}).get("replyUrls") or ())})


def taken_over(found: t.Sequence[Stranger], called: str) -> str:
    """What is told of who else can sign in as an application that is adopted; empty where nobody can."""
    if not found:
        return ""
    listed = "; ".join(item.words for item in found[:MOST_SHOWN])
    more = f"; and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
    return (
        f"somebody else can sign in as {called}, or let others do so: {listed}{more}. This is taken over with the "
        "application and noted in its record; whatever comes later stops a run. Remove what nobody needs"
    )


def intruded(found: t.Sequence[Stranger], called: str) -> Blocked | None:
    """The reason to stop where somebody else can sign in as the application called so; None where nobody can."""
    if not found:
        return None
    listed = "; ".join(item.words for item in found[:MOST_SHOWN])
    more = f"; and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
    return Blocked(
        f"somebody else can sign in as {called}, or let others do so: {listed}{more}",
        cure="remove what nobody needs (App registrations and Enterprise applications in the portal), and list what is "
        "meant in accept_credentials",
        who=_directory.APPLICATION_ADMIN,
        details={"strangers": [{"kind": item.kind, "id": item.id} for item in found]},
        options=("accept_credentials",),
    )


# --- reading -------------------------------------------------------------------------------------------------


def application_calls(path: str) -> dict[str, Call]:
    """The parts of a batch that read who owns an application and who it federates with; ``path`` names it."""
    return {
        "owners": Call("GET", f"{path}/owners?$top=100", "read the application's owners"),
        "federated": Call(
            "GET", f"{path}/federatedIdentityCredentials?$top=100", "read the application's federated credentials"
        ),
    }


def principal_call(app_id: str) -> dict[str, Call]:
    """The part of a batch that reads who owns an application's service principal."""
    path = f"/servicePrincipals(appId={_names.odata(app_id)})"
    return {"principal_owners": Call("GET", f"{path}/owners?$top=100", "read the service principal's owners")}


def access_from(
    graph: Graph, application: Json, principal: Json | None, calls: t.Mapping[str, Call], parts: t.Mapping[str, Part]
) -> Access | None:
    """From the answers to ``application_calls`` and ``principal_call``. A refused read raises: it proves nothing.

    None where a replica shows the application and not what hangs on it: then another look is needed.
    """
    names = ["owners", "federated"]
    if application.get("id") and any(parts[name].status == 400 for name in names):
        # A directory that does not go on from an application's unique name does so from its object id.
        anew = application_calls(f"/applications/{application['id']}")
        again = graph.batch(list(anew.values()), purpose="read who can sign in as the application")
        calls, parts = {**calls, **anew}, {**parts, **dict(zip(anew, again, strict=True))}
    if principal is not None and "principal_owners" in parts:
        names.append("principal_owners")
    if any(isinstance(parts[name].error, NotFound) for name in names):
        return None
    found = {name: tuple(_directory.all_items(graph, parts[name], calls[name].purpose)) for name in names}
    return Access(
        application=application,
        service_principal=principal,
        owners=found["owners"],
        principal_owners=found.get("principal_owners", ()),
        federated=found["federated"],
    )
