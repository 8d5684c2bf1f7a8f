# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What went wrong, for people: what was attempted, what the service answered, what to do, who can do it.

No error ever holds a request body, a token or a secret's value.
"""

from __future__ import annotations

import typing as t


class M365Error(Exception):
    """The one family of errors that leaves the layers below ``_module``.

    ``outcome`` is what the step becomes: ``failed`` (something is wrong) or ``blocked`` (a person, a role or a
    decision is needed; nothing is half done). ``done`` lists what had already been changed when it happened.
    ``options`` are the names of the module's options that are at fault, where it is known.
    """

    outcome = "failed"

    def __init__(
        self,
        message: str,
        *,
        attempted: str = "",
        cure: str = "",
        who: str = "",
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        details: t.Any = None,
        options: t.Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.attempted = attempted
        self.cure = cure
        self.who = who
        self.status = status
        self.code = code
        self.request_id = request_id
        self.details = details
        self.options = tuple(options)
        self.done: list[str] = []

    def __str__(self) -> str:
        parts = []
        if self.attempted:
            parts.append(f"Could not {self.attempted}: {_sentence(self.message)}")
        else:
            parts.append(_sentence(self.message))
        if self.done:
            parts.append(f"Already changed: {'; '.join(self.done)}.")
        if self.cure:
            parts.append(f"What to do: {_sentence(self.cure)}")
        if self.who:
            parts.append(f"Who can do it: {_sentence(self.who)}")
        if self.request_id:
            parts.append(f"Request id: {self.request_id}.")
        return " ".join(parts)

    def as_result(self) -> dict[str, t.Any]:
        """The machine-readable half: a plain dict for the module's ``error`` return value."""
        return {
            "kind": type(self).__name__,
            "attempted": self.attempted or None,
            "message": self.message,
            "status": self.status,
            "code": self.code,
            "request_id": self.request_id,
            "cure": self.cure or None,
            "who": self.who or None,
            "done": list(self.done),
            "details": self.details,
            "options": list(self.options),
        }


class InvalidInput(M365Error):
    """An option cannot be right. Raised before any request goes out."""


class MissingLibrary(M365Error):
    """A Python library that the collection needs is not installed where the task runs."""


class Blocked(M365Error):
    """Somebody has to decide or to permit something; nothing was changed by the step that says so."""

    outcome = "blocked"


class HostNotReady(Blocked):
    """The Windows management host does not let us in, or cannot run Exchange's module as it is.

    ``code`` names the problem in the table of what can be wrong with a host (``_texts.HOST``).
    """


class NoLongerWanted(M365Error):
    """The run that this task belongs to has ended: nothing more is written, tried again or waited for."""


class Unreachable(M365Error):
    """The request never reached the service: name, route, proxy or TLS. ``lasting``: no waiting will mend it."""

    def __init__(self, message: str, *, lasting: bool = False, **about: t.Any) -> None:
        super().__init__(message, **about)
        self.lasting = lasting


class AnswerLost(M365Error):
    """The request went out and no answer came back: the work may or may not have been done.

    ``lasting``: the same request would meet the same, since something on the way answers in the service's place.
    """

    def __init__(self, message: str, *, lasting: bool = False, **about: t.Any) -> None:
        super().__init__(message, **about)
        self.lasting = lasting


class SignInError(M365Error):
    """Entra refused a token. ``code`` is the AADSTS number as text, such as ``AADSTS7000222``."""


class ServiceError(M365Error):
    """Graph, Exchange or EWS answered with an error that no retry will mend.

    ``code`` is Graph's error code, or the short name of Exchange's exception type.
    """


class NotFound(ServiceError):
    """The service itself said that the thing does not exist (a proxy's 404 is not this)."""


class Forbidden(ServiceError):
    """Signed in, but the operator lacks a permission or a role. With something half done it is ``failed``."""

    outcome = "blocked"


class Conflict(ServiceError):
    """The thing exists already, or somebody else changed it meanwhile."""


class Throttled(ServiceError):
    """Still throttled or unavailable when the patience ran out. ``retry_after_s``: how long it asks to wait."""

    retry_after_s: float | None = None


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
