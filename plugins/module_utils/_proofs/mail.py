# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What the proofs by IMAP, POP and SMTP have in common: where the service is, patience, XOAUTH2, and what broke."""

from __future__ import annotations

import base64
import contextlib
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _redact, _texts, _tls
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import ENDPOINTS, Cloud
from ansible_collections.mail2fax.m365.plugins.module_utils._dial import Line
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost, M365Error, Unreachable
from ansible_collections.mail2fax.m365.plugins.module_utils._http import FIRST_CONTACT_S, Http
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.proof import (
    PROTOCOL_OFF_MAILBOX,
    THROTTLED,
    Opening,
)

LONGEST_REASON = 300
LONGEST_WORD = 100
NONSENSE = (ValueError, IndexError, AttributeError, TypeError)
"""What Python's own clients raise for an answer that is none."""


class Later(Exception):
    """The service asks to come back; ``seconds`` is None where it does not say when."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds


class MailProof:
    """Mailboxes of one tenant, opened with a token that the caller brings, by one of Python's own clients."""

    protocol: t.ClassVar[str]
    service: t.ClassVar[str]
    switched_off: t.ClassVar[str | None] = PROTOCOL_OFF_MAILBOX
    broken: t.ClassVar[tuple[type[BaseException], ...]] = (OSError, EOFError)
    """What the client raises when the connection broke."""

    @staticmethod
    def audience(cloud: Cloud) -> str:
        return cloud.exchange_audience

    def __init__(self, http: Http, cloud: Cloud) -> None:
        # A protocol that is added may bring its own.
        endpoint = getattr(self, "endpoint", None) or ENDPOINTS[self.protocol]
        self._http = http
        self._host = str(getattr(cloud, endpoint.host))
        self._port = endpoint.port

    def open(self, token: Token, address: str) -> Opening:
        """One attempt, patient only with a busy service. Raises Unreachable and AnswerLost."""
        return self._patiently(f"open the mailbox {address} by {self.service}", lambda: self._attempt(token, address))

    def _attempt(self, token: Token, address: str) -> Opening:
        raise NotImplementedError

    def _patiently(self, purpose: str, attempt: t.Callable[[], Opening]) -> Opening:
        """What ``attempt`` answers, which may be tried again: nothing is written by it."""
        http = self._http
        waiting = http.patience.begin(f"{self._host}:{self._port}, to {purpose}", purpose=purpose)
        count = 0
        while True:
            count += 1
            if count > 1:
                http.patience.wanted(purpose)
            problem: M365Error | None = None
            later: Later | None = None
            started = http.clock.monotonic()
            try:
                return attempt()
            except (Unreachable, AnswerLost) as exc:
                waiting.lost(http.clock.monotonic() - started)
                problem = exc
            except Later as exc:
                later = exc
            if problem is not None:
                # Where nothing was reached yet, the network here is at fault.
                first = isinstance(problem, Unreachable) and not http.dialled(self._host, self._port)
                at_most = FIRST_CONTACT_S if first else None
                if problem.lasting or not waiting.pause(http.policy.delay(count), at_most_s=at_most):  # type: ignore[attr-defined]
                    problem.attempted = problem.attempted or purpose
                    raise problem
            elif later is not None and not waiting.pause(http.policy.delay(count, later.seconds)):
                told = f" (it asks to wait {later.seconds:.0f} seconds)" if later.seconds is not None else ""
                return Opening(THROTTLED, f"{later.reason}{told}")

    @contextlib.contextmanager
    def _line(self, *, encrypted: bool = True) -> t.Iterator[Line]:
        """A connection; what breaks on it becomes AnswerLost."""
        with self._http.dial(self._host, self._port, encrypted=encrypted) as line:
            try:
                yield line
            except (M365Error, Later):
                raise
            except self.broken as exc:
                raise self._lost(line, exc) from None
            except NONSENSE as exc:
                raise AnswerLost(
                    f"what answers in the place of {self._host}:{self._port} does not speak {self.service} as Exchange "
                    f"does ({type(exc).__name__})",
                    cure="look for something on the way that answers in the service's place",
                ) from None

    def _lost(self, line: Line, exc: BaseException) -> AnswerLost:
        where = f"{self._host}:{self._port}"
        if line.out_of_time or _tls.find(exc, TimeoutError) is not None:
            return AnswerLost(f"{where} did not answer in time")
        said = reason(str(exc))
        return AnswerLost(f"{where} broke the connection off{f': {said}' if said else ''}")


def xoauth2(address: str, token: Token) -> str:
    """What proves an identity, in base64. It is a secret."""
    encoded = base64.b64encode(f"user={address}\1auth=Bearer {token.value}\1\1".encode()).decode()
    _redact.note(encoded)
    return encoded


def reason(text: str | bytes) -> str:
    """A service's words on one line, and not too many. A very long one may be what was said to it."""
    words = (text.decode("utf-8", "replace") if isinstance(text, bytes) else text).split()
    line = " ".join(word if len(word) <= LONGEST_WORD else "…" for word in words)
    return line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON - 1]}…"


def not_throttled(text: str) -> None:
    """Raises Later for words that say so."""
    told = _texts.MAIL_BACK_OFF.search(text)
    if told is not None or _texts.says(text, _texts.MAIL_THROTTLED):
        raise Later(reason(text), int(told[1]) / 1000 if told is not None else None)
