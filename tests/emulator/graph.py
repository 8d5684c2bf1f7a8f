# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft Graph: from a request to the resource that answers it, and ``$batch``."""

from __future__ import annotations

import json
import urllib.parse
import uuid
from dataclasses import dataclass, field, replace

from . import graph_applications, graph_directory, graph_lifetimes, graph_mail, graph_sign_ins, graph_units, odata
from .graph_base import JSON, ROUTES, GraphError, Request, error
from .model import Answer, Call, Document, Principal, World

__all__ = ["BatchPart", "Graph", "batch_answer", "batch_parts", "error"]

# Importing them filled ROUTES.
_MODULES = (graph_applications, graph_directory, graph_lifetimes, graph_mail, graph_sign_ins, graph_units)
_BATCH_LIMIT = 20
_DIAGNOSTIC = {
    "ServerInfo": {
        "DataCenter": "West Europe",
        "Slice": "E",
        "Ring": "5",
        "ScaleUnit": "003",
        "RoleInstance": "AM2PEPF0001C001",
    }
}


class Graph:
    """Keeps nothing of the tenants; only when each object was last written, for conflicts."""

    def __init__(self) -> None:
        self.last_writes: dict[str, float] = {}

    def handle(self, world: World, principal: Principal | None, refusal: str | None, call: Call) -> Answer:
        request_id = str(uuid.uuid4())
        try:
            answer = self._answer(world, principal, refusal, call, request_id)
        except GraphError as refused:
            answer = error(world, call, refused.key, request_id, **refused.values)
        except odata.QueryError as refused:
            answer = error(world, call, refused.key, request_id, **refused.values)
        answer.headers = {**_headers(call, request_id), **answer.headers}
        return answer

    def _answer(
        self, world: World, principal: Principal | None, refusal: str | None, call: Call, request_id: str
    ) -> Answer:
        if principal is None:
            mail = "mail." if refusal in ("expired", "invalid") and graph_mail.is_about_mail(call.path) else ""
            raise GraphError(f"{mail}token_{refusal or 'empty'}")
        tenant = world.tenants.get(principal.tenant_id)
        if tenant is None or principal.object_id not in tenant.service_principals:
            raise GraphError("identity_not_found")
        if world.dice.random() < world.profile.throttle_probability:
            throttled = error(world, call, "throttled", request_id)
            throttled.headers |= {"Retry-After": "1", "x-ms-throttle-scope": "Tenant_Application/ReadWrite"}
            return throttled
        version, segments = _path(call.path)
        own_names = {"myorganization", tenant.id.lower(), *(domain.lower() for domain in tenant.domains)}
        if segments and isinstance(segments[0], str) and segments[0].lower() in own_names:
            segments = segments[1:]
        if version is None or not segments:
            raise GraphError("unknown_segment", segment=str(segments[0]) if segments else "")
        if segments[0] == "me":
            raise GraphError("app_only_me")
        request = Request(world, tenant, principal, call, version, segments, request_id, self.last_writes)
        methods = []
        for candidate in ROUTES:
            variables = candidate.fits(segments)
            if variables is None:
                continue
            methods.append(candidate.method)
            if candidate.method == call.method:
                if candidate.allowed is not None and not request.has(*candidate.allowed):
                    raise GraphError("denied")
                return candidate.handler(request, *variables)
        if methods:
            raise GraphError("method_not_allowed")
        return _property(request)


def _property(request: Request) -> Answer:
    """One property of an object, asked for by its path. Raises GraphError."""
    *whole, name = request.segments
    unknown = GraphError("unknown_segment", segment=_text(name))
    if request.call.method != "GET" or not isinstance(name, str) or len(whole) != 2:
        raise unknown
    for candidate in ROUTES:
        variables = candidate.fits(whole)
        if variables is None or candidate.method != "GET":
            continue
        if candidate.allowed is not None and not request.has(*candidate.allowed):
            raise GraphError("denied")
        asked = replace(request, call=replace(request.call, query_string=""))
        answer = candidate.handler(asked, *variables)
        body = answer.body if isinstance(answer.body, dict) else {}
        key = next((key for key in body if key.lower() == name.lower() and not key.startswith("@")), None)
        if answer.status != 200 or key is None:
            raise unknown
        if body[key] is None:
            return Answer(204)
        context = f"{request.root}/$metadata#{_text(whole[0])}('{body.get('id')}')/{key}"
        return Answer(200, {"@odata.context": context, "value": body[key]})
    raise unknown


def _path(raw: str) -> tuple[str | None, list[odata.Segment]]:
    segments = odata.segments_of(raw)
    first = segments[0].lower() if segments and isinstance(segments[0], str) else ""
    return (first, segments[1:]) if first in ("v1.0", "beta") else (None, segments)


def _text(segment: odata.Segment) -> str:
    return segment if isinstance(segment, str) else segment.value


def _headers(call: Call, request_id: str) -> dict[str, str]:
    return {
        "Cache-Control": "no-cache",
        "Strict-Transport-Security": "max-age=31536000",
        "Vary": "Accept-Encoding",
        "OData-Version": "4.0",
        "request-id": request_id,
        "client-request-id": call.headers.get("client-request-id", request_id),
        "x-ms-ags-diagnostic": json.dumps(_DIAGNOSTIC, separators=(",", ":")),
        "x-ms-resource-unit": "1",
    }


# --- $batch -----------------------------------------------------------------------------------------------------------


@dataclass
class BatchPart:
    """One request of a batch: the call it makes, or the refusal it gets without being tried."""

    id: str
    call: Call | None
    refusal: Answer | None = None
    depends_on: list[str] = field(default_factory=list)


def batch_parts(world: World, call: Call) -> list[BatchPart] | Answer:
    """The parts in an order in which every one follows what it depends on, or the refusal of the whole batch."""
    try:
        given = json.loads(call.body)["requests"]
        ids = [str(part["id"]) for part in given]
        parts = [_part(world, call, part) for part in given]
    except (ValueError, KeyError, TypeError, AttributeError):
        return error(world, call, "batch_invalid")
    if call.method != "POST" or not parts:
        return error(world, call, "batch_invalid")
    if len(parts) > _BATCH_LIMIT:
        return error(world, call, "batch_too_long")
    for number, name in enumerate(ids):
        if name in ids[:number]:
            return error(world, call, "batch_duplicate_id", id=name)
    done: list[BatchPart] = []
    waiting = parts
    while waiting:
        names = {part.id for part in done}
        ready = [part for part in waiting if names.issuperset(part.depends_on)]
        if not ready:  # a circle, or a name that does not exist
            return error(world, call, "batch_invalid")
        done.extend(ready)
        waiting = [part for part in waiting if part not in ready]
    return done


def _part(world: World, call: Call, part: Document) -> BatchPart:
    url = urllib.parse.urlsplit(str(part["url"]))
    version = odata.segments_of(call.path)[0]
    own = {str(name).lower(): str(value) for name, value in (part.get("headers") or {}).items()}
    inherited = {name: value for name, value in call.headers.items() if name in ("authorization", "client-request-id")}
    body = part.get("body")
    made = replace(
        call,
        method=str(part["method"]).upper(),
        path=f"/{version}/{url.path.lstrip('/')}",
        query_string=url.query,
        headers={**inherited, **own},
        body=b"" if body is None else json.dumps(body).encode(),
    )
    result = BatchPart(str(part["id"]), made, depends_on=[str(name) for name in part.get("dependsOn") or []])
    if body is not None and "content-type" not in own:
        result.refusal = error(world, made, "batch_content_type", id=result.id)
    return result


def batch_answer(world: World, call: Call, answers: dict[str, Answer]) -> Answer:
    """The answers of the parts, in no order that a client could lean on."""
    responses = []
    for name, answer in answers.items():
        headers = dict(answer.headers)
        if answer.body is not None:
            headers.setdefault("Content-Type", JSON)
        response: Document = {"id": name, "status": answer.status, "headers": headers}
        if answer.body is not None:
            response["body"] = answer.body.decode() if isinstance(answer.body, bytes) else answer.body
        responses.append(response)
    world.dice.shuffle(responses)
    return Answer(200, {"responses": responses}, _headers(call, str(uuid.uuid4())))
