# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Microsoft Graph v1.0: read, write, list and batch, with typed errors and a purpose for each request."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _gate, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import SignIn, Token, call_as
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import Cloud
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    Conflict,
    Forbidden,
    NotFound,
    ServiceError,
    Throttled,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http, Request, Response
from ansible_collections.mail2fax.m365.plugins.module_utils._reads import Reads, key
from ansible_collections.mail2fax.m365.plugins.module_utils._retry import TRANSIENT, retry_after

Json = dict[str, t.Any]
BATCH_LIMIT = 20
MOST_PAGES = 1000
"""A list of a hundred thousand rows has fewer, at Graph's smallest page."""
_SILENT = frozenset({"DELETE", "removePassword", "removeKey", "$ref"})
"""What Graph answers with 204 and nothing else."""
_ACTIONS = frozenset({"$batch", "addPassword", "addKey", "restore"})
"""What it answers with 200 and a document; what makes an object, with 201."""
ON_THE_WAY = "look for something on the way that answers in the service's place"


@dataclass(frozen=True)
class Call:
    """One part of a ``$batch``. ``path`` is below the version, such as ``/applications?$top=5``."""

    method: str
    path: str
    purpose: str
    body: Json | None = field(default=None, repr=False)
    headers: t.Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """One answer of a ``$batch``: a document, or the typed error that the same request alone would raise."""

    status: int
    body: t.Any = field(default=None, repr=False)
    error: ServiceError | None = None

    def value(self) -> Json:
        """The document; raises the part's error."""
        if self.error is not None:
            raise self.error
        return self.body if isinstance(self.body, dict) else {}

    def found(self) -> Json | None:
        """The document, or None when Graph itself says that it does not exist; raises any other error."""
        return None if isinstance(self.error, NotFound) else self.value()

    def allowed(self) -> Json | None:
        """The document, or None when the operator may not read it; raises any other error."""
        return None if isinstance(self.error, Forbidden) else self.value()


class Graph:
    """Graph for one tenant and one identity."""

    def __init__(self, http: Http, sign_in: SignIn, cloud: Cloud, reads: Reads | None = None) -> None:
        self._reads = reads or Reads()
        self._http = http
        self._sign_in = sign_in
        self._cloud = cloud
        self._base = f"https://{cloud.graph}/v1.0"

    def get(self, path: str, purpose: str, *, patient: bool = False) -> Json:
        """One document. ``patient`` also waits for an object that was made a moment ago to be replicated."""
        [known] = self._known([Call("GET", path, purpose)], 1) if not patient else [None]
        if known is not None:
            return known.value()
        return self._document(self._call("GET", path, purpose, patient=patient), purpose, "GET", path)

    def items(self, path: str, purpose: str, *, limit: int | None = None) -> list[Json]:
        """All items of a collection, page by page; at most ``limit`` when given."""
        items: list[Json] = []
        seen: set[str] = set()
        url = path
        for _page in range(MOST_PAGES):
            page = self._document(self._call("GET", url, purpose), purpose, "GET", url)
            items.extend(_rows(page, purpose))
            following = page.get("@odata.nextLink")
            if following is None or (limit is not None and len(items) >= limit):
                return items[:limit]
            url = self._next_page(following, purpose)
            if url in seen:
                raise ServiceError(
                    "Graph's next page is one that was there already", attempted=purpose, cure=ON_THE_WAY
                )
            seen.add(url)
        raise ServiceError(f"Graph's list has no end after {MOST_PAGES} pages", attempted=purpose, cure=ON_THE_WAY)

    def rest(self, page: Json, purpose: str) -> list[Json]:
        """All items of a collection whose first page came otherwise, as a part of a batch."""
        items = _rows(page, purpose)
        following = page.get("@odata.nextLink")
        return items if following is None else items + self.items(self._next_page(following, purpose), purpose)

    def upsert(self, path: str, body: Json, purpose: str) -> Json | None:
        """PATCH by an alternate key with create-if-missing: the new object, or None when one was updated."""
        headers = {"Prefer": "create-if-missing"}
        response = self._call("PATCH", path, purpose, body=body, headers=headers, idempotent=True, patient=True)
        document = self._document(response, purpose, "PATCH", path)
        return document if response.status == 201 else None

    def post(self, path: str, body: Json | None, purpose: str, *, patient: bool = False) -> Json:
        """A create or an action; ``patient`` waits for what it refers to to be replicated."""
        response = self._call("POST", path, purpose, body=body or {}, patient=patient)
        return self._document(response, purpose, "POST", path)

    def patch(self, path: str, body: Json, purpose: str, *, patient: bool = True) -> None:
        """An update; the answer has no body."""
        response = self._call("PATCH", path, purpose, body=body, idempotent=True, patient=patient)
        self._document(response, purpose, "PATCH", path)

    def delete(self, path: str, purpose: str) -> bool:
        """True when it was there, False when Graph says that it is gone already."""
        try:
            self._document(self._call("DELETE", path, purpose, idempotent=True), purpose, "DELETE", path)
        except NotFound:
            return False
        return True

    def batch(self, calls: t.Sequence[Call], *, purpose: str) -> list[Part]:
        """All ``calls`` in as few requests as possible, answers in their order.

        A throttled part is asked again alone with the others that were; an error of one part leaves the rest.
        Batches with a write are sent once: AnswerLost when the answer does not come.
        """
        parts: list[Part | None] = self._known(calls, BATCH_LIMIT)
        waiting = [index for index in range(len(calls)) if parts[index] is None]
        patience = self._http.patience.begin(f"{self._cloud.graph}, to {purpose}", purpose=purpose)
        attempt = 0
        while waiting:
            attempt += 1
            again: list[int] = []
            hints: list[float] = []
            for offset in range(0, len(waiting), BATCH_LIMIT):
                chunk = waiting[offset : offset + BATCH_LIMIT]
                for index, part, hint in self._one_batch(calls, chunk, purpose):
                    parts[index] = part
                    if part.status in TRANSIENT or (
                        part.error is not None and part.error.code == _texts.GRAPH_CONCURRENT
                    ):
                        again.append(index)
                        hints.append(hint or 0.0)
            waiting = again
            if waiting and not self._http.pause(patience, attempt, wanted=max(hints) or None):
                break
        for call, answer in zip(calls, parts, strict=True):
            self._heard(call, answer)
        return [part for part in parts if part is not None]

    def _known(self, calls: t.Sequence[Call], at_once: int) -> list[Part | None]:
        """The answers that an earlier task of the run has had."""
        keys = [_key(call.path, call.headers) if call.method == "GET" else None for call in calls]
        known = self._reads.known(keys, at_once)
        return [None if answer is None else _part(call, *answer) for call, answer in zip(calls, known, strict=True)]

    def _heard(self, call: Call, part: Part | None) -> None:
        """Whole answers are handed on, and what the operator may not read. That something is not there is looked for
        anew."""
        if call.method != "GET" or part is None or part.status not in (200, 403):
            return
        if isinstance(part.body, dict) and "@odata.nextLink" not in part.body:
            self._reads.heard(_key(call.path, call.headers), lambda: [part.status, part.body])

    def _one_batch(
        self, calls: t.Sequence[Call], chunk: t.Sequence[int], purpose: str
    ) -> t.Iterator[tuple[int, Part, float | None]]:
        requests = []
        for index in chunk:
            call = calls[index]
            request: Json = {"id": str(index), "method": call.method, "url": call.path}
            if call.body is not None:
                request["body"] = call.body
            headers = dict(call.headers)
            if call.body is not None:
                headers["Content-Type"] = "application/json"
            if headers:
                request["headers"] = headers
            requests.append(request)
        reading = all(calls[index].method == "GET" for index in chunk)
        response = self._call(
            "POST", "/$batch", purpose, body={"requests": requests}, idempotent=reading, reading=reading
        )
        answer = self._document(response, purpose, "GET" if reading else "POST", "/$batch")
        responses = answer.get("responses")
        items = responses if isinstance(responses, list) else []
        by_id = {str(item.get("id")): item for item in items if isinstance(item, dict)}
        for index in chunk:
            item = by_id.get(str(index))
            if item is None:
                raise ServiceError(
                    "Graph left a part of the batch unanswered", attempted=calls[index].purpose, cure="run again"
                )
            status, headers = part_head(item)
            body = item.get("body")
            error = None
            if status >= 400:
                error = _error(status, body, headers.get("request-id"), calls[index].purpose)
            elif not _answers(calls[index].method, calls[index].path, status, body):
                error = ServiceError(
                    f"a part of Graph's batch ends with {status}, which is not an answer to it",
                    attempted=calls[index].purpose,
                    status=status,
                    cure=ON_THE_WAY,
                )
            now = response.date or self._http.service_time()
            yield index, Part(status, body, error), retry_after(headers.get("retry-after"), now)

    def _call(
        self,
        method: str,
        path: str,
        purpose: str,
        *,
        body: Json | None = None,
        headers: t.Mapping[str, str] | None = None,
        idempotent: bool | None = None,
        patient: bool = False,
        reading: bool = False,
    ) -> Response:
        if method != "GET" and not reading:
            self._reads.wrote(lambda: self._sign_in.token(self._cloud.graph_audience).tenant_id)

        def again(response: Response) -> bool:
            problem = _error_document(response.json())
            return problem.get("code") == _texts.GRAPH_CONCURRENT or (
                patient
                and response.status in (400, 403, 404)
                and _texts.says(str(problem.get("message") or ""), _texts.GRAPH_NOT_REPLICATED)
            )

        sent = {"Accept": "application/json", **(headers or {})}
        data = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        url = path if path.startswith("https://") else self._base + path

        def request(token: Token) -> Request:
            return Request(method, url, {"Authorization": f"Bearer {token.value}", **sent}, data)

        return call_as(
            self._sign_in,
            self._cloud.graph_audience,
            self._http,
            request,
            purpose=purpose,
            idempotent=method in ("GET", "DELETE") if idempotent is None else idempotent,
            again=again,
        )

    def _document(self, response: Response, purpose: str, method: str, path: str) -> Json:
        """The document of an answer that is Graph's own; {} where it documents that there is none."""
        body = response.json()
        if response.status >= 400:
            raise _error(response.status, body, response.request_id, purpose)
        if not _answers(method, path, response.status, body):
            message = (
                f"the answer ({response.status}) is not Graph's: something on the way to {self._cloud.graph} replied"
            )
            about: dict[str, t.Any] = {"attempted": purpose, "status": response.status, "cure": ON_THE_WAY}
            if method == "GET":
                raise ServiceError(message, **about)
            raise AnswerLost(f"{message}, and whether the work was done is unknown", lasting=True, **about)
        return body if isinstance(body, dict) else {}

    def _next_page(self, link: t.Any, purpose: str) -> str:
        """A next page is fetched with our token, so it has to be Graph's own."""
        try:
            return _gate.service(link, self._cloud.graph.__eq__).url
        except _gate.Refused as exc:
            raise ServiceError(f"the address of Graph's next page {exc}", attempted=purpose, cure=ON_THE_WAY) from None


def _part(call: Call, status: int, body: t.Any) -> Part:
    return Part(status, body, _error(status, body, None, call.purpose) if status >= 400 else None)


def _key(path: str, headers: t.Mapping[str, str]) -> str:
    return key("graph", path, headers)


_SELECT = re.compile(r"[?&]\$select=([^&]*)")


def part_head(item: Json) -> tuple[int, dict[str, str]]:
    """Status (0 for none) and headers, with lower-case names, of a part of a batch."""
    status, told = item.get("status"), item.get("headers")
    headers = {str(name).lower(): str(value) for name, value in told.items()} if isinstance(told, dict) else {}
    return (status if isinstance(status, int) else 0), headers


def _answers(method: str, path: str, status: int, body: t.Any) -> bool:
    """Whether this is the status, and the kind of body, that Graph documents for such a request."""
    what = "DELETE" if method == "DELETE" else path.partition("?")[0].rpartition("/")[2]
    if what in _SILENT:
        return status == 204
    if method == "PATCH" and status == 204:
        return True
    statuses = (200,) if method == "GET" or what in _ACTIONS else (200, 201)
    if status not in statuses or not isinstance(body, dict) or "error" in body:
        return False
    return method != "GET" or _was_asked_for(path, body)


def _was_asked_for(path: str, body: Json) -> bool:
    """Whether a list has rows, or a document the id that it was asked for. A portal's JSON has neither."""
    if "value" in body:
        rows = body["value"]
        return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    selected = _SELECT.search(path)
    return bool(body) and (selected is None or "id" not in selected[1].split(",") or "id" in body)


def _rows(page: Json, purpose: str) -> list[Json]:
    rows = page.get("value")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ServiceError("Graph's list is not one", attempted=purpose, cure=ON_THE_WAY)
    return list(rows)


def _error_document(body: t.Any) -> Json:
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _error(status: int, body: t.Any, request_id: str | None, purpose: str) -> ServiceError:
    """The typed error of one answer; a 404 that is not Graph's own is no NotFound."""
    problem = _error_document(body)
    code = str(problem.get("code") or "") or None
    message = str(problem.get("message") or "").strip()
    inner = problem.get("innerError")
    request_id = request_id or (inner.get("request-id") if isinstance(inner, dict) else None)
    text = f"Microsoft Graph answered {status}{f' {code}' if code else ''}{f': {message}' if message else ''}"
    about: dict[str, t.Any] = {"attempted": purpose, "status": status, "code": code, "request_id": request_id}
    if not problem:
        return ServiceError(
            f"{text}, without Graph's own error document", cure="check the proxy, then run again", **about
        )
    if status == 401:
        return ServiceError(
            text, cure="sign in again; a ready token may have expired or be for another audience", **about
        )
    if status == 403:
        return _forbidden(text, code or "", about)
    if status == 404:
        return NotFound(text, **about) if code in _texts.GRAPH_ABSENT else ServiceError(text, **about)
    if status == 409:
        return Conflict(text, **about)
    if status in TRANSIENT:
        return Throttled(text, cure="run again later", **about)
    return ServiceError(text, **about)


def _forbidden(text: str, code: str, about: dict[str, t.Any]) -> Forbidden:
    """A 403 is told by its code: a quota, a licence or a policy is mended by no permission."""
    known = next((meaning for sign, meaning in _texts.GRAPH_REFUSED.items() if sign in code), None)
    if known is not None:
        return Forbidden(f"{text} ({known.meaning})", cure=known.cure, who=known.who, **about)
    cure = (
        "give the operator's application the permission for this step (README, table of permissions) and admin consent "
        "to it"
    )
    if code not in _texts.GRAPH_NO_PERMISSION:
        cure += f"; where it has it, look up {code or 'the message'}: a policy of the tenant may forbid it"
    return Forbidden(text, cure=cure, who="a Privileged Role Administrator", **about)
