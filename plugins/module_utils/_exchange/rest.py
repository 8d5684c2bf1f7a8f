# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The REST transport: the endpoint that Exchange's own PowerShell module calls (InvokeCommand)."""

from __future__ import annotations

import json
import typing as t
import uuid

from ansible_collections.mail2fax.m365.plugins.module_utils import _gate
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import SignIn, Token, call_as
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import Cloud
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost, Forbidden, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import (
    AT_ONCE,
    Cmdlet,
    Json,
    Output,
    error,
    explained,
    transient,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import part_head
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http, Request, Response
from ansible_collections.mail2fax.m365.plugins.module_utils._retry import retry_after

BATCH_LIMIT = AT_ONCE
PAGE_SIZE = 1000
MOST_PAGES = 1000
ON_THE_WAY = "look for something on the way that answers in the service's place"
ANCHOR = "APP:SystemMailbox{{bb558c35-97f1-4cb9-8ff7-d53741dc928c}}@{}"


class RestTransport:
    """InvokeCommand, and ``$batch`` for lists of reads."""

    def __init__(self, http: Http, sign_in: SignIn, cloud: Cloud) -> None:
        self._http = http
        self._sign_in = sign_in
        self._cloud = cloud

    def run(self, cmdlets: t.Sequence[Cmdlet]) -> list[Output]:
        if len(cmdlets) == 1 or any(not cmdlet.reads for cmdlet in cmdlets):
            return [self._one(cmdlet) for cmdlet in cmdlets]
        outputs: list[Output] = []
        for offset in range(0, len(cmdlets), BATCH_LIMIT):
            outputs.extend(self._batch(cmdlets[offset : offset + BATCH_LIMIT]))
        return outputs

    def _one(self, cmdlet: Cmdlet) -> Output:
        response = self._send(self._url(), _input(cmdlet), cmdlet, idempotent=cmdlet.reads)
        if not cmdlet.reads and _is_no_answer(response.status, response.json()):
            raise AnswerLost(
                f"Exchange's answer ({response.status}) to {cmdlet.name} is none: the work may be done",
                attempted=cmdlet.purpose,
                status=response.status,
                request_id=response.request_id,
                cure=ON_THE_WAY,
                lasting=_redirects(response.status),
            )
        output = _output(cmdlet, response.status, response.json(), response.request_id)
        return self._rest_of_pages(cmdlet, output, response.json())

    def _batch(self, cmdlets: t.Sequence[Cmdlet]) -> list[Output]:
        outputs: list[Output | None] = [None] * len(cmdlets)
        waiting = list(range(len(cmdlets)))
        attempt = 0
        purpose = "; ".join(dict.fromkeys(cmdlet.purpose for cmdlet in cmdlets))
        whole = Cmdlet("$batch", {}, purpose)
        patience = self._http.patience.begin(f"{self._cloud.exchange}, to {purpose}", purpose=purpose)
        while waiting:
            attempt += 1
            requests = [
                {
                    "id": str(index),
                    "method": "POST",
                    "url": self._url(),
                    "headers": self._part_headers(cmdlets[index]),
                    "body": _input(cmdlets[index]),
                }
                for index in waiting
            ]
            response = self._send(self._url("$batch"), {"requests": requests}, whole, idempotent=True)
            document = response.json()
            if response.status != 200 or not isinstance(document, dict):
                failed = _output(whole, response.status, document, response.request_id)
                raise failed.error or ServiceError("Exchange's answer is not one", attempted=purpose)
            responses = document.get("responses")
            items = responses if isinstance(responses, list) else []
            by_id = {str(item.get("id")): item for item in items if isinstance(item, dict)}
            again: list[int] = []
            hints: list[float] = []
            now = response.date or self._http.service_time()
            for index in waiting:
                item = by_id.get(str(index))
                if item is None:
                    problem = ServiceError(
                        "Exchange left a part of the batch unanswered",
                        attempted=cmdlets[index].purpose,
                        cure="run again",
                    )
                    outputs[index] = Output(error=problem)
                    again.append(index)
                    continue
                (status, headers), body = part_head(item), item.get("body")
                output = _output(cmdlets[index], status, body, response.request_id)
                outputs[index] = output
                none = _is_no_answer(status, body) and not _redirects(status)
                if output.error is not None and (_stumbled(output.error) or none):
                    again.append(index)
                    hints.append(retry_after(headers.get("retry-after"), now) or 0.0)
                else:
                    outputs[index] = self._rest_of_pages(cmdlets[index], output, body)
            waiting = again
            if waiting and not self._http.pause(patience, attempt, wanted=max(hints, default=0.0) or None):
                break
        return [output for output in outputs if output is not None]

    def _rest_of_pages(self, cmdlet: Cmdlet, output: Output, body: t.Any) -> Output:
        """The same body goes to each next link until there is none, or ``limit`` objects are there."""
        value, warnings = list(output.value), list(output.warnings)
        link = body.get("@odata.nextLink") if isinstance(body, dict) else None
        seen: set[str] = set()
        while link is not None and output.error is None and (cmdlet.limit is None or len(value) < cmdlet.limit):
            url = self._next_page(link, cmdlet)
            if url in seen or len(seen) == MOST_PAGES:
                raise ServiceError("Exchange's list has no end", attempted=cmdlet.purpose, cure=ON_THE_WAY)
            seen.add(url)
            response = self._send(url, _input(cmdlet), cmdlet, idempotent=True)
            page = _output(cmdlet, response.status, response.json(), response.request_id)
            value.extend(page.objects())
            body = response.json()
            link = body.get("@odata.nextLink") if isinstance(body, dict) else None
        return Output(value[: cmdlet.limit], warnings, output.error, output.request_id)

    def _next_page(self, link: t.Any, cmdlet: Cmdlet) -> str:
        """It gets our token and the cmdlet, so it has to be Exchange's own."""
        try:
            return _gate.service(link, self._cloud.exchange.__eq__).url
        except _gate.Refused as exc:
            raise ServiceError(
                f"the address of Exchange's next page {exc}", attempted=cmdlet.purpose, cure=ON_THE_WAY
            ) from None

    def _url(self, what: str = "InvokeCommand") -> str:
        tenant = self._token().tenant_id
        return f"https://{self._cloud.exchange}/adminapi/beta/{tenant}/{what}"

    def _token(self) -> Token:
        return self._sign_in.token(self._cloud.exchange_audience)

    def _part_headers(self, cmdlet: Cmdlet) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "Prefer": f"odata.maxpagesize={min(cmdlet.limit or PAGE_SIZE, PAGE_SIZE)}",
            "X-AnchorMailbox": ANCHOR.format(self._token().tenant_id),
            "X-CmdletName": cmdlet.name,
            "X-ResponseFormat": "json",
        }

    def _send(self, url: str, body: Json, cmdlet: Cmdlet, *, idempotent: bool) -> Response:
        def again(response: Response) -> bool:
            document = response.json()
            if response.status < 400:
                return idempotent and not _redirects(response.status) and _is_no_answer(response.status, document)
            kind, message = explained(document)
            plain = response.body[:500].decode("utf-8", "replace") if document is None else ""
            return transient(kind, message or plain)

        headers = self._part_headers(cmdlet)
        headers["connection-id"] = str(uuid.uuid4())
        if cmdlet.name == "$batch":
            del headers["X-CmdletName"]
            headers["Prefer"] += ";odata.continue-on-error"

        def request(token: Token) -> Request:
            return Request(
                "POST", url, {"Authorization": f"Bearer {token.value}", **headers}, json.dumps(body).encode()
            )

        return call_as(
            self._sign_in,
            self._cloud.exchange_audience,
            self._http,
            request,
            purpose=cmdlet.purpose,
            idempotent=idempotent,
            again=again,
            # Exchange allows a cmdlet 15 minutes; a slow one is not a lost one
            timeout_s=max(self._http.timeout_s, 60.0),
        )


def _input(cmdlet: Cmdlet) -> Json:
    return {
        "CmdletInput": {
            "CmdletName": cmdlet.name,
            "Parameters": {key: _parameter(value) for key, value in cmdlet.parameters.items()},
        }
    }


def _parameter(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {"@odata.type": "#Exchange.GenericHashTable", **value}
    return value


def _output(cmdlet: Cmdlet, status: int, document: t.Any, request_id: str | None) -> Output:
    about: dict[str, t.Any] = {"attempted": cmdlet.purpose, "status": status, "request_id": request_id}
    if status == 200 and isinstance(document, dict) and not isinstance(document.get("error"), dict):
        # Of a reading one no list is no answer, and never "there are none": that may mean that nothing limits.
        rows, said = document.get("value", None if cmdlet.reads else []), document.get("@adminapi.warnings") or []
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not isinstance(said, list):
            return Output(error=ServiceError("Exchange's answer is not one", cure=ON_THE_WAY, **about))
        return Output([_plain(row) for row in rows], [str(text) for text in said], request_id=request_id or "")
    if status == 204:
        return Output()
    if _redirects(status):
        message = f"what answered {status} in Exchange's place is something else on the way"
        return Output(error=ServiceError(message, cure=ON_THE_WAY, **about))
    kind, message = explained(document)
    if kind or message:
        return Output(error=error(cmdlet, kind, message, status=status, request_id=request_id))
    if status == 403:
        return Output(
            error=Forbidden(
                f"Exchange does not let the operator run {cmdlet.name}",
                cure="give the operator's service principal the Entra role Exchange Administrator and sign in anew",
                who="a Privileged Role Administrator",
                **about,
            )
        )
    if status == 401:
        return Output(
            error=Forbidden(
                "Exchange refused the operator's token",
                cure="grant the operator's application Exchange.ManageAsApp on Office 365 Exchange Online, and its "
                "service principal the Entra role Exchange Administrator; then sign in anew",
                who="a Privileged Role Administrator",
                **about,
            )
        )
    return Output(error=ServiceError(f"Exchange answered {status} without a reason", cure="check the proxy", **about))


def _plain(item: t.Any) -> t.Any:
    """An object without its type annotations (``X@odata.type``, ``X@data.type``)."""
    if isinstance(item, dict):
        return {key: _plain(value) for key, value in item.items() if not key.endswith(("@odata.type", "@data.type"))}
    return [_plain(value) for value in item] if isinstance(item, list) else item


def _is_no_answer(status: int, document: t.Any) -> bool:
    """Whether neither Exchange's result nor an error of its own came: nothing, or a page from on the way."""
    if status in (400, 401, 403, 404) or status == 204:
        return False  # a refusal, whoever says it: no waiting mends it
    return (
        status in (201, 202)
        or _redirects(status)
        or not isinstance(document, dict)
        or (status >= 500 and not any(explained(document)))
    )


def _redirects(status: int) -> bool:
    """Exchange sends nobody elsewhere: a portal on the way does."""
    return 300 <= status < 400


def _stumbled(problem: ServiceError) -> bool:
    return problem.status in (429, 502, 503, 504) or transient(problem.code or "", problem.message)
