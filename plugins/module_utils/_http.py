# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One HTTP session for a task: bounded time-outs, request ids, retries; transport and patience come from outside."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import traceback
import typing as t
import urllib.parse
import uuid
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _gate
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import Cloud
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    M365Error,
    MissingLibrary,
    Throttled,
    Unreachable,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Clock, Patience, Waiting
from ansible_collections.mail2fax.m365.plugins.module_utils._redact import Secrets, note_sent
from ansible_collections.mail2fax.m365.plugins.module_utils._retry import (
    NOT_DONE,
    TRANSIENT,
    RetryPolicy,
    retry_after,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._time import http_date
from ansible_collections.mail2fax.m365.plugins.module_utils._version import USER_AGENT

try:
    importlib.import_module("requests")
except ImportError:
    HAS_REQUESTS = False
    REQUESTS_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    HAS_REQUESTS = True
    REQUESTS_IMPORT_ERROR = None

if t.TYPE_CHECKING:
    from ansible_collections.mail2fax.m365.plugins.module_utils._dial import Line

FIRST_CONTACT_S = 15.0
"""How long a run that has reached nothing yet tries to: what is wrong then is the network here, and no blip."""


@dataclass(frozen=True)
class Request:
    """``body`` is bytes or None. The repr shows no header and no body: both may hold secrets."""

    method: str
    url: str
    headers: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)

    @property
    def host(self) -> str:
        """For messages and for the choice of a proxy; what may be sent to is for the gate to say."""
        try:
            return urllib.parse.urlsplit(self.url).hostname or ""
        except ValueError:
            return ""


@dataclass(frozen=True)
class Response:
    """``headers`` have lower-case names."""

    status: int
    headers: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def json(self) -> t.Any:
        """The decoded body, or None when it is empty or not JSON (a proxy's page, Exchange's NUL bytes)."""
        try:
            return json.loads(self.body) if self.body else None
        except (ValueError, RecursionError):
            return None

    @property
    def request_id(self) -> str | None:
        return self.headers.get("request-id") or self.headers.get("x-ms-request-id")

    @property
    def date(self) -> dt.datetime | None:
        """What the service's clock said when it answered."""
        return http_date(self.headers.get("date")) if "date" in self.headers else None


class Dials(t.Protocol):
    """Opens one connection to what is not HTTP. Raises Unreachable."""

    def dial(self, host: str, port: int, timeout_s: float, *, encrypted: bool = True) -> Line:
        """The connection, with TLS at once unless ``encrypted`` is False."""


class Transport(t.Protocol):
    """Sends one request. Raises Unreachable when it cannot have arrived, AnswerLost when it may have."""

    def send(self, request: Request, timeout_s: float) -> Response:
        """Return the answer, whatever its status."""


class Nobody:
    """Stands where a task is to do without the services: whatever it asks, it cannot be reached."""

    def send(self, request: Request, timeout_s: float) -> Response:
        raise Unreachable(f"nobody asks {request.host} here", lasting=True)

    def dial(self, host: str, port: int, timeout_s: float, *, encrypted: bool = True) -> Line:
        raise Unreachable(f"nobody asks {host} here", lasting=True)


def missing_library(library: str, trace: str | None) -> MissingLibrary:
    """How to install it, where: a task runs in the interpreter that the inventory names."""
    import sys

    return MissingLibrary(
        f"the Python library {library} is not installed for {sys.executable}",
        cure=f"{sys.executable} -m pip install -r requirements.txt of the collection mail2fax.m365 "
        f"(or: pip install {library}), or set ansible_python_interpreter to '{{{{ ansible_playbook_python }}}}'",
        details={"traceback": trace},
    )


@dataclass(frozen=True)
class Heard:
    """What the services' clock said, and what the two clocks of this machine said then."""

    date: dt.datetime
    at: float
    here: dt.datetime


class ServiceClock:
    """What the services' clock said last, and when that was by the monotonic one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.heard: Heard | None = None
        """None before any answer."""

    def hear(self, date: dt.datetime | None) -> None:
        if date is not None:
            self.heard = Heard(date, self._clock.monotonic(), self._clock.now())

    def take(self, heard: Heard) -> None:
        """What another task of this machine has heard, where that is the newer."""
        if self.heard is None or self.heard.at < heard.at:
            self.heard = heard

    def now(self) -> dt.datetime:
        """The clock here before any answer."""
        if self.heard is None:
            return self._clock.now()
        return self.heard.date + dt.timedelta(seconds=self._clock.monotonic() - self.heard.at)

    def off_s(self) -> float | None:
        return None if self.heard is None else (self.heard.here - self.heard.date).total_seconds()


class Http:
    """Requests with patience. One per task; every service client of the task shares it."""

    def __init__(
        self,
        transport: Transport,
        patience: Patience,
        *,
        timeout_s: float = 30.0,
        policy: RetryPolicy | None = None,
        reached: t.Callable[[], bool] = lambda: False,
        secrets: Secrets | None = None,
        cloud: Cloud | None = None,
        dialer: Dials | None = None,
        service_clock: ServiceClock | None = None,
    ) -> None:
        """``reached``: whether an earlier task of the run has had an answer; asked only when nothing is reached.

        Only hosts of ``cloud`` (of any cloud without it) are sent to.
        ``secrets`` collects the tokens and assertions that pass. ``dialer`` connects to what is not HTTP.
        """
        self.transport = transport
        self.patience = patience
        self.clock = patience.clock
        self.timeout_s = timeout_s
        self.policy = policy or RetryPolicy()
        self.secrets = Secrets() if secrets is None else secrets
        self._cloud = cloud
        self._allowed = _gate.of_cloud(cloud)
        self._reached = reached
        self._answered = False
        self._dialer = dialer
        self._dialled: set[tuple[str, int]] = set()
        self._service_clock = service_clock or ServiceClock(self.clock)

    def through(self, transport: Transport) -> Http:
        """The same patience, clock and secrets with another transport, for somebody who has reached the service."""
        return Http(
            transport,
            self.patience,
            timeout_s=self.timeout_s,
            policy=self.policy,
            reached=lambda: True,
            secrets=self.secrets,
            cloud=self._cloud,
            dialer=self._dialer,
            service_clock=self._service_clock,
        )

    def service_time(self) -> dt.datetime:
        """Now, by the clock of the service that answered last; before the first answer by the one here."""
        return self._service_clock.now()

    def clock_off_s(self) -> float | None:
        """How many seconds the clock here is ahead of the service's (negative: behind); None before any answer."""
        return self._service_clock.off_s()

    def send(self, request: Request, timeout_s: float | None = None) -> Response:
        """One request to a service, once. Everything that leaves goes through here."""
        response = self._send(request, _gate.service, self._allowed, timeout_s=timeout_s)
        self._answered = True
        self._service_clock.hear(response.date)
        return response

    def send_to_machine(self, request: Request, timeout_s: float | None = None) -> Response:
        """One request to an address of this machine, once: a managed identity's. Never by a proxy."""
        return self._send(request, _gate.machine, timeout_s=timeout_s)

    def _send(
        self, request: Request, gate: t.Callable[..., _gate.Address], *rules: t.Any, timeout_s: float | None
    ) -> Response:
        try:
            address = gate(request.url, *rules)
        except _gate.Refused as exc:
            raise Unreachable(
                f"the address {exc}, so nothing was sent to it",
                cure="look for something on the way that answers in the service's place",
                lasting=True,
            ) from None
        note_sent(request.headers, request.body)
        return self.transport.send(replace(request, url=address.url), timeout_s or self.timeout_s)

    def dial(self, host: str, port: int, *, encrypted: bool = True) -> Line:
        """A connection to a service that is not HTTP, once. Raises Unreachable."""
        try:
            _gate.mail(host, port, self._allowed)
        except _gate.Refused as exc:
            raise Unreachable(f"the address {exc}, so nothing was sent to it", lasting=True) from None
        if self._dialer is None:
            raise Unreachable("nothing but HTTP is spoken here", lasting=True)
        line = self._dialer.dial(host, port, self.timeout_s, encrypted=encrypted)
        self._dialled.add((host, port))
        return line

    def dialled(self, host: str, port: int) -> bool:
        """Whether a connection came about in this task: where none did, the network here is at fault, and no blip."""
        return (host, port) in self._dialled

    def retry_after(self, response: Response) -> float | None:
        """How many seconds the service asks to wait, by its own clock."""
        return retry_after(response.headers.get("retry-after"), response.date or self.service_time())

    def pause(
        self, waiting: Waiting, attempt: int, problem: M365Error | None = None, wanted: float | None = None
    ) -> bool:
        """Wait before the next attempt; False to give up. A run that has reached nothing yet gives up soon."""
        if isinstance(problem, (Unreachable, AnswerLost)) and problem.lasting:
            return False
        first = isinstance(problem, Unreachable) and not self._answered and not self._reached()
        return waiting.pause(self.policy.delay(attempt, wanted), at_most_s=FIRST_CONTACT_S if first else None)

    def call(
        self,
        request: Request,
        *,
        purpose: str,
        idempotent: bool,
        again: t.Callable[[Response], bool] | None = None,
        timeout_s: float | None = None,
    ) -> Response:
        """The first answer that no retry would better; the caller turns an error answer into an error.

        ``purpose`` completes "Could not …". A write (``idempotent=False``) is repeated only where the service
        says that it did not do the work; when its answer is lost, or the service failed half-way (500, 502,
        504), AnswerLost is raised: look before trying again. ``again`` names more answers worth a retry, such as
        a reference that has not been replicated yet.
        """
        waiting = self.patience.begin(f"{request.host}, to {purpose}", purpose=purpose)
        attempt = 0
        while True:
            attempt += 1
            problem: M365Error | None = None
            response: Response | None = None
            if attempt > 1 or request.method != "GET":
                self.patience.wanted(purpose)
            started = self.clock.monotonic()
            try:
                response = self.send(self._dressed(request), timeout_s)
            except (AnswerLost, Unreachable) as exc:
                waiting.lost(self.clock.monotonic() - started)
                if isinstance(exc, AnswerLost) and not idempotent:
                    raise self._about(exc, purpose) from None
                problem = exc
            if response is not None:
                transient = response.status in TRANSIENT
                if transient and not idempotent and response.status not in NOT_DONE:
                    raise AnswerLost(
                        f"{request.host} answered {response.status}; whether the work was done is unknown",
                        attempted=purpose,
                        status=response.status,
                        request_id=response.request_id,
                    )
                if not transient and not (again is not None and again(response)):
                    return response
            wanted = self.retry_after(response) if response is not None else None
            if not self.pause(waiting, attempt, problem, wanted):
                if response is None:
                    raise self._about(problem or AnswerLost("no answer came"), purpose) from None
                if response.status in TRANSIENT:
                    raise self._exhausted(request, response, purpose, attempt, wanted)
                return response

    @staticmethod
    def _dressed(request: Request) -> Request:
        headers = {"User-Agent": USER_AGENT, "client-request-id": str(uuid.uuid4()), **request.headers}
        return Request(request.method, request.url, headers, request.body)

    @staticmethod
    def _about(exc: M365Error, purpose: str) -> M365Error:
        exc.attempted = exc.attempted or purpose
        return exc

    @staticmethod
    def _exhausted(
        request: Request, response: Response, purpose: str, attempts: int, wanted: float | None
    ) -> Throttled:
        told = f"; it asks to wait {wanted:.0f} seconds" if wanted is not None else ""
        return Throttled(
            f"{request.host} still answers {response.status} after {attempts} attempts{told}",
            attempted=purpose,
            status=response.status,
            request_id=response.request_id,
            cure="run again later, or raise patience; with many tenants at once lower forks",
        )
