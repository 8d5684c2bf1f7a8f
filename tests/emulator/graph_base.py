# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all of Graph's resources have in common: routes, permissions, errors, and how objects are listed and shown."""

from __future__ import annotations

import base64
import binascii
import copy
import json
import typing as t
import urllib.parse
import uuid
from dataclasses import dataclass, field

from . import directory, odata
from .model import Answer, Call, Document, Principal, Tenant, World, public

JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
PAGE_SIZE, LARGEST_PAGE = 100, 999
EXPANDED_AT_MOST = 20  # objects of an expanded relationship; there is no link to the rest

READ_APPS = frozenset(
    {
        *("Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy"),
        *("Directory.Read.All", "Directory.ReadWrite.All"),
    }
)
WRITE_APPS = frozenset({"Application.ReadWrite.All", "Application.ReadWrite.OwnedBy"})
READ_DIRECTORY = frozenset({"Directory.Read.All", "Directory.ReadWrite.All"})

_ROLE = directory.permissions()["directory_roles"]
_READ_EVERYTHING = frozenset(
    {
        *("Application.Read.All", "Directory.Read.All", "Organization.Read.All", "Domain.Read.All", "Policy.Read.All"),
        *("RoleManagement.Read.Directory", "User.Read.All", "Group.Read.All"),
    }
)
_WRITE_APPLICATIONS = frozenset({"Application.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All"})
_GRANT_ROLES = frozenset({"AppRoleAssignment.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All"})
# Directory roles of the caller, worth these permissions.
ROLE_PERMISSIONS: dict[str, frozenset[str]] = {
    _ROLE["Global Administrator"]: _READ_EVERYTHING | _WRITE_APPLICATIONS | _GRANT_ROLES,
    _ROLE["Global Reader"]: _READ_EVERYTHING,
    _ROLE["Application Administrator"]: _WRITE_APPLICATIONS,
    _ROLE["Cloud Application Administrator"]: _WRITE_APPLICATIONS,
    _ROLE["Privileged Role Administrator"]: _GRANT_ROLES | {"Application.Read.All", "RoleManagement.Read.Directory"},
}


class GraphError(Exception):
    """A refusal; ``key`` is its entry among the texts of Graph (or ``mail.…`` for those of a mailbox)."""

    def __init__(self, key: str, **values: t.Any) -> None:
        super().__init__(key)
        self.key, self.values = key, values


@dataclass
class Request:
    world: World
    tenant: Tenant
    principal: Principal
    call: Call
    version: str  # v1.0 or beta
    segments: list[odata.Segment]
    request_id: str
    last_writes: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.query = {name.lower(): value for name, value in self.call.query.items()}
        self.permissions = set(self.principal.roles)
        for role in self.principal.wids:
            self.permissions |= ROLE_PERMISSIONS.get(role, frozenset())

    def has(self, *roles: str) -> bool:
        return not self.permissions.isdisjoint(roles)

    @property
    def root(self) -> str:
        return f"https://{self.call.host}/{self.version}"

    @property
    def eventual(self) -> bool:
        return self.call.headers.get("consistencylevel", "").lower() == "eventual"

    def prefers(self, wish: str) -> bool:
        return wish in [part.strip().lower() for part in self.call.headers.get("prefer", "").split(",")]

    def body(self) -> Document:
        if not self.call.body.strip():
            raise GraphError("body_empty")
        try:
            data = json.loads(self.call.body)
        except ValueError:
            raise GraphError("body_not_json") from None
        if not isinstance(data, dict):
            raise GraphError("body_not_json")
        return data

    def visible(self, document: Document) -> bool:
        """Whether the replica that is asked shows the object already."""
        return self.world.reached(document.get("_visible_at"))

    def newborn(self) -> float:
        return self.world.instant(self.world.profile.graph_visible_s)

    def touch(self, document: Document) -> None:
        """A write to an object: a second one shortly after the first may meet a conflict. Raises GraphError."""
        now, probability = self.world.clock.timestamp(), self.world.profile.conflict_probability
        last = self.last_writes.get(document["id"], 0.0)
        self.last_writes[document["id"]] = now
        if probability and now - last < 2.0 and self.world.dice.random() < probability:
            raise GraphError("concurrency")

        if self.world.profile.stale_read_probability:
            before = {name: copy.deepcopy(value) for name, value in document.items() if name != "_before"}
            document["_before"] = {"until": self.newborn(), "document": before}

    def as_read(self, document: Document) -> Document:
        """The object, or what it was before its last change, as the replica that is asked may have it."""
        held = document.get("_before")
        if held is None or self.call.method != "GET" or self.world.reached(held["until"]):
            return document
        stale = self.world.dice.random() < self.world.profile.stale_read_probability
        return t.cast("Document", held["document"]) if stale else document

    def may_write(self, document: Document) -> None:
        """Raises GraphError unless the caller may change this application or service principal."""
        if self.has("Application.ReadWrite.All"):
            return
        if self.has("Application.ReadWrite.OwnedBy") and self.principal.object_id in document.get("_owners", []):
            return
        raise GraphError("denied")

    # --- finding -----------------------------------------------------------------------------------------------------

    def application(self, key: odata.Segment) -> Document:
        return self._found(self.tenant.applications, key, ("appId", "uniqueName"))

    def service_principal(self, key: odata.Segment) -> Document:
        return self._found(self.tenant.service_principals, key, ("appId",))

    def _found(self, collection: dict[str, Document], key: odata.Segment, alternates: tuple[str, ...]) -> Document:
        if isinstance(key, str) or key.name.lower() == "id":
            wanted = (key if isinstance(key, str) else key.value).lower()
            if not is_guid(wanted):
                raise GraphError("invalid_id", id=wanted)
            found = collection.get(wanted)
        else:
            name = next((name for name in alternates if name.lower() == key.name.lower()), None)
            if name is None:
                raise GraphError("unknown_segment", segment=f"({key.name}='{key.value}')")
            wanted = key.value
            folded = wanted.casefold()
            found = next((d for d in collection.values() if (d[name] or "").casefold() == folded), None)
        if found is None or not self.visible(found):
            raise GraphError("not_found", id=wanted)
        return self.as_read(found)


Handler = t.Callable[..., Answer]


@dataclass(frozen=True)
class Route:
    method: str
    pattern: tuple[str, ...]
    allowed: frozenset[str] | None  # any one of these permissions; None: every valid token
    handler: Handler

    def fits(self, segments: list[odata.Segment]) -> list[odata.Segment] | None:
        """The variable segments of a path that fits, else None."""
        if len(segments) != len(self.pattern):
            return None
        variables: list[odata.Segment] = []
        for wanted, given in zip(self.pattern, segments, strict=True):
            if wanted == "{}":
                variables.append(given)
            elif isinstance(given, odata.Key) or _bare(given) != wanted.lower():
                return None
        return variables


def _bare(segment: str) -> str:
    """Actions and casts may be written with their namespace, or its alias."""
    return segment.lower().removeprefix("microsoft.").removeprefix("graph.")


ROUTES: list[Route] = []


def route(method: str, pattern: str, allowed: t.Iterable[str] | None) -> t.Callable[[Handler], Handler]:
    """Serve ``method`` on ``pattern`` (``{}`` stands for a key) to callers holding any of ``allowed``."""

    def register(handler: Handler) -> Handler:
        permissions = None if allowed is None else frozenset(allowed)
        ROUTES.append(Route(method, tuple(pattern.split("/")), permissions, handler))
        return handler

    return register


# --- errors -----------------------------------------------------------------------------------------------------------


def error(world: World, call: Call, key: str, request_id: str = "", **values: t.Any) -> Answer:
    """A refusal in Graph's envelope."""
    section, _unused, name = key.rpartition(".")
    entry = world.texts[section or "graph"][name]
    request_id = request_id or str(uuid.uuid4())
    message = entry["text"].format_map(_Blanks(values))
    inner = {
        "date": f"{world.clock.now():%Y-%m-%dT%H:%M:%S}",
        "request-id": request_id,
        "client-request-id": call.headers.get("client-request-id", request_id),
    }
    body: Document = {"code": entry["code"], "message": message, "innerError": inner}
    if "target" in entry:
        body["details"] = [{"code": "ObjectConflict", "message": message, "target": entry["target"]}]
    elif "detail" in entry:
        body["details"] = [{"code": entry["detail"], "message": message, "target": "appId"}]
    headers = {}
    if entry["status"] == 401:
        headers["WWW-Authenticate"] = (
            'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
            'client_id="00000003-0000-0000-c000-000000000000"'
        )
    return Answer(entry["status"], {"error": body}, headers)


class _Blanks(dict[str, t.Any]):
    def __missing__(self, key: str) -> str:
        return ""


# --- showing ----------------------------------------------------------------------------------------------------------

Related = t.Callable[[Request, Document], t.Iterable[Document]]


@dataclass(frozen=True)
class Kind:
    """A type of object. ``shown``: the properties that come without a $select (None: all of them)."""

    name: str
    context: str
    properties: frozenset[str]
    shown: frozenset[str] | None = None
    related: dict[str, tuple[Related, str]] = field(default_factory=dict)  # name -> objects, and the kind's name
    collapse: t.Callable[[Document, bool], Document] | None = None  # last touch; second: was it selected


KINDS: dict[str, Kind] = {}


def kind(name: str, context: str, properties: t.Iterable[str], **more: t.Any) -> Kind:
    made = Kind(name, context, frozenset(properties), **more)
    KINDS[name] = made
    return made


def _selected(request: Request, of: Kind, text: str | None) -> list[str] | None:
    """Property names in their proper spelling; None: no $select. Raises GraphError."""
    names = [name.strip() for name in (text or "").split(",") if name.strip()]
    if not names or names == ["*"]:
        return None
    spelling = {name.lower(): name for name in of.properties}
    for name in names:
        if name.lower() not in spelling and name.partition("/")[0].lower() not in spelling:
            raise GraphError("unknown_select", property=name, resource=of.name)
    return [spelling.get(name.lower()) or spelling[name.partition("/")[0].lower()] for name in names]


def show(
    request: Request, document: Document, of: Kind, select: str | None = None, expand: str | None = None
) -> Document:
    """One object as the caller sees it. Raises GraphError."""
    names = _selected(request, of, select)
    wanted: t.Iterable[str]
    if names is not None:
        wanted = names
    elif of.shown is not None:
        wanted = [name for name in document if name in of.shown]
    else:
        wanted = [name for name in document if not name.startswith("_")]
    shown = {name: _public(request, document[name]) for name in wanted if name in document}
    for key in shown.get("keyCredentials") or []:
        if names is None:  # the certificate itself is only shown to those who ask for the property
            key["key"] = None
    for expansion in odata.expansions(expand or ""):
        relation = next((name for name in of.related if name.lower() == expansion.name.lower()), None)
        if relation is None:
            raise GraphError("unknown_expand", property=expansion.name, resource=of.name)
        objects, kind_name = of.related[relation]
        inner = KINDS[kind_name]
        options = {name.lower(): value for name, value in expansion.options.items()}
        shown[relation] = [
            {**_typed(item), **show(request, item, inner, options.get("$select"))}
            for item in list(objects(request, document))[:EXPANDED_AT_MOST]
        ]
    return shown


def _typed(document: Document) -> Document:
    return {"@odata.type": document["_type"]} if "_type" in document else {}


def _public(request: Request, value: t.Any) -> t.Any:
    if isinstance(value, list):
        return [public(item) for item in value if not isinstance(item, dict) or request.visible(item)]
    return public(value)


def _check_expand(request: Request) -> None:
    if len(odata.expansions(request.query.get("$expand", ""))) > 1:
        raise GraphError("one_expand")


def entity(request: Request, document: Document, of: Kind, status: int = 200) -> Answer:
    """The answer that carries one object; a 201 also says where it is."""
    _check_expand(request)
    select = request.query.get("$select")
    names = f"({select})" if select else ""
    body = {
        "@odata.context": f"{request.root}/$metadata#{of.context}{names}/$entity",
        **_typed(document),
        **show(request, document, of, select, request.query.get("$expand")),
    }
    headers = {}
    if status == 201:
        headers["Location"] = f"{request.root}/{of.context}/{document['id']}"
    return Answer(status, body, headers)


def listing(
    request: Request, documents: t.Iterable[Document], of: Kind, *, typed: bool = False, largest: int | None = None
) -> Answer:
    """One page of a collection, filtered, searched, ordered, counted and linked to the next. Raises GraphError.

    ``largest``: a page has no more, whatever is asked for.
    """
    query = request.query
    _check_expand(request)
    if "$skip" in query:
        raise GraphError("skip_unsupported")
    found: t.Iterable[Document] = map(request.as_read, filter(request.visible, documents))
    counted = query.get("$count", "").lower() == "true" and request.eventual
    if query.get("$filter"):
        test = odata.Filter(query["$filter"], _filterable(of), of.name)
        if (test.advanced or query.get("$orderby")) and not counted:
            raise GraphError("advanced_query")
        found = filter(test, found)
    if query.get("$search"):
        if not request.eventual:
            raise GraphError("search_consistency")
        found = filter(odata.search(query["$search"]), found)
    rows = list(found)
    if query.get("$orderby"):
        name, descending = odata.sort_key(query["$orderby"])
        if name not in of.properties:
            raise GraphError("unknown_select", property=name, resource=of.name)
        rows.sort(key=lambda document: odata.ordered(document.get(name)), reverse=descending)
    total = len(rows)
    size = min(_page_size(query.get("$top")), largest or LARGEST_PAGE)
    if query.get("$skiptoken"):
        rows = _after(rows, query["$skiptoken"])
    page, rest = rows[:size], rows[size:]
    select = query.get("$select")
    names = f"({select})" if select else ""
    body: Document = {"@odata.context": f"{request.root}/$metadata#{of.context}{names}"}
    if counted:
        body["@odata.count"] = total
    if rest:
        following = {**request.call.query, "$skiptoken": _token(page[-1]["id"])}
        path = f"https://{request.call.host}{request.call.path}"
        body["@odata.nextLink"] = (
            f"{path}?{urllib.parse.urlencode(following, safe='$,()', quote_via=urllib.parse.quote)}"
        )
    body["value"] = [
        {**(_typed(row) if typed else {}), **show(request, row, of, select, query.get("$expand"))} for row in page
    ]
    return Answer(200, body)


def _filterable(of: Kind) -> frozenset[str]:
    return of.properties | {"_owners"} if "owners" in of.related and of.name != "group" else of.properties


def count(request: Request, documents: t.Iterable[Document], of: Kind) -> Answer:
    """``…/$count``: a bare number as text."""
    if not request.eventual:
        raise GraphError("advanced_query")
    rows = [document for document in documents if request.visible(document)]
    if request.query.get("$filter"):
        rows = list(filter(odata.Filter(request.query["$filter"], _filterable(of), of.name), rows))
    return Answer(200, str(len(rows)).encode(), {"Content-Type": "text/plain"})


def _page_size(text: str | None) -> int:
    if text is None:
        return PAGE_SIZE
    if not text.isdigit() or not 1 <= int(text) <= LARGEST_PAGE:
        raise GraphError("top_out_of_range", value=text)
    return int(text)


def _token(last_id: str) -> str:
    return base64.urlsafe_b64encode(f"after:{last_id}".encode()).decode().rstrip("=")


def _after(rows: list[Document], token: str) -> list[Document]:
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    last = text.removeprefix("after:")
    at = next((number for number, row in enumerate(rows) if row["id"] == last), None)
    if at is None:
        raise GraphError("bad_skiptoken")
    return rows[at + 1 :]


# --- checking what is sent --------------------------------------------------------------------------------------------


def is_guid(text: t.Any) -> bool:
    if not isinstance(text, str) or len(text) != 36:
        return False
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def guid(body: Document, name: str, resource: str) -> str:
    """A required GUID of a body, in lower case. Raises GraphError."""
    value = body.get(name)
    if value is None:
        raise GraphError("required_property", property=name, resource=resource)
    if not is_guid(value):
        raise GraphError("invalid_guid", property=name, resource=resource)
    return str(value).lower()


def referenced_id(body: Document) -> str:
    """The object id of an ``@odata.id`` reference. Raises GraphError."""
    reference = body.get("@odata.id")
    if not isinstance(reference, str):
        raise GraphError("required_property", property="@odata.id", resource="Reference")
    return reference_id(reference)


def reference_id(reference: str) -> str:
    segments = odata.segments_of(urllib.parse.urlsplit(reference).path)
    last = segments[-1] if segments else ""
    identifier = last.value if isinstance(last, odata.Key) else last
    if not is_guid(identifier):
        raise GraphError("invalid_id", id=identifier)
    return identifier.lower()
