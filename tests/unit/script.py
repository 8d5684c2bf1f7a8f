# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for the outside world: a transport that plays a script, and a clock that does not wait."""

from __future__ import annotations

import base64
import datetime as dt
import json
import typing as t
from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils._http import Request, Response

TENANT_ID = "969d5b92-bc05-403f-b576-97201b665e65"
NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


class FakeClock:
    """Time passes only by sleeping."""

    def __init__(self, now: dt.datetime = NOW) -> None:
        self.start = now
        self.passed = 0.0
        self.sleeps: list[float] = []

    def now(self) -> dt.datetime:
        return self.start + dt.timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.passed += seconds


def answer(status: int = 200, document: t.Any = None, **headers: str) -> Response:
    """A Response; header names with underscores for dashes."""
    body = b"" if document is None else document if isinstance(document, bytes) else json.dumps(document).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def graph_error(status: int, code: str, message: str = "", **headers: str) -> Response:
    return answer(
        status, {"error": {"code": code, "message": message, "innerError": {"request-id": "rid-1"}}}, **headers
    )


@dataclass
class Exchange:
    """One expected request and what happens then: a Response, or an exception to raise."""

    method: str
    part: str
    then: Response | Exception
    body: t.Callable[[t.Any], bool] | None = None


@dataclass
class Script:
    """Plays its exchanges in order; a request that differs from the next one, or is one too many, fails the test."""

    exchanges: Sequence[Exchange]
    seen: list[Request] = field(default_factory=list)

    def send(self, request: Request, timeout_s: float) -> Response:
        assert timeout_s > 0
        index = len(self.seen)
        assert index < len(self.exchanges), f"one request too many: {request.method} {request.url}"
        expected = self.exchanges[index]
        self.seen.append(request)
        assert (request.method, expected.part in request.url) == (expected.method, True), (
            f"request {index + 1} is {request.method} {request.url}, expected {expected.method} …{expected.part}…"
        )
        if expected.body is not None:
            assert expected.body(json.loads(request.body or b"null")), f"request {index + 1} has an unexpected body"
        if isinstance(expected.then, Exception):
            raise expected.then
        return expected.then

    def finished(self) -> bool:
        return len(self.seen) == len(self.exchanges)


def jwt(**claims: t.Any) -> str:
    """A compact token with these claims and no signature worth the name."""
    parts = [{"alg": "RS256", "typ": "JWT"}, {"tid": TENANT_ID, **claims}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + ".x"
