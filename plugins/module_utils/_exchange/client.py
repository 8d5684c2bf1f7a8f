# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Exchange cmdlets, whatever carries them: outputs, typed errors, many at once where order allows."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Conflict,
    Forbidden,
    NotFound,
    ServiceError,
    Throttled,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange import must_have
from ansible_collections.mail2fax.m365.plugins.module_utils._reads import Reads, key

Json = dict[str, t.Any]
AT_ONCE = 10
"""How many reads travel together."""


@dataclass(frozen=True)
class Cmdlet:
    """One cmdlet with its parameters. ``limit`` bounds how many objects are fetched over all pages."""

    name: str
    parameters: t.Mapping[str, t.Any]
    purpose: str
    limit: int | None = None

    def __post_init__(self) -> None:
        must_have.check(self.name, self.parameters)

    @property
    def reads(self) -> bool:
        return self.name.split("-", 1)[0] in ("Get", "Test")


@dataclass(frozen=True)
class Output:
    """What one cmdlet said: its objects without type annotations, its warnings, or the error it ended with."""

    value: list[Json] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    error: ServiceError | None = None
    request_id: str = field(default="", compare=False)
    """Of the request that carried it, in the service's words; "" where nobody tells."""

    def objects(self) -> list[Json]:
        """The objects; raises the cmdlet's error."""
        if self.error is not None:
            raise self.error
        return self.value

    def first(self) -> Json | None:
        """The one object, or None when Exchange itself says that it does not exist; raises any other error."""
        if isinstance(self.error, NotFound):
            return None
        found = self.objects()
        return found[0] if found else None

    def listed(self) -> list[Json]:
        """The objects, none when Exchange says that there are none; raises any other error."""
        return [] if isinstance(self.error, NotFound) else self.objects()

    def whole(self) -> list[Json]:
        """The same of a list that decides what is limited: raises, too, where Exchange says that it left some out."""
        if any(_texts.EXCHANGE_CUT.casefold() in warning.casefold() for warning in self.warnings):
            raise ServiceError(
                "Exchange cut its list short, so nobody can tell what is missing",
                cure="run again; if it stays so, tell the authors of mail2fax.m365 how many there are in the tenant",
            )
        return self.listed()


class Transport(t.Protocol):
    """Carries cmdlets to Exchange.

    ``run`` keeps their order and gives one Output each; an error of one leaves the others. A list with a write in
    it is carried in order, one after another. Raises AnswerLost, Unreachable, SignInError and Throttled for the
    whole list.
    """

    def run(self, cmdlets: t.Sequence[Cmdlet]) -> list[Output]:
        """Carry them, and say what came of each."""


class Exchange:
    """Cmdlets in one tenant. ``tenant_id`` tells its id where the transport knows it, "" elsewhere."""

    def __init__(
        self, transport: Transport, reads: Reads | None = None, tenant_id: t.Callable[[], str] = lambda: ""
    ) -> None:
        self._transport = transport
        self._reads = reads or Reads()
        self._tenant_id = tenant_id

    def invoke(self, name: str, purpose: str, /, limit: int | None = None, **parameters: t.Any) -> list[Json]:
        """Run one cmdlet; its objects. Raises its error."""
        return self._run([Cmdlet(name, parameters, purpose, limit)])[0].objects()

    def invoke_many(self, cmdlets: t.Sequence[Cmdlet]) -> list[Output]:
        """Run several cmdlets that do not depend on one another; an Output each, in order."""
        return self._run(cmdlets) if cmdlets else []

    def _run(self, cmdlets: t.Sequence[Cmdlet]) -> list[Output]:
        if any(not cmdlet.reads for cmdlet in cmdlets):
            self._reads.wrote(self._tenant_id)
            return self._transport.run(cmdlets)
        outputs = self._known(cmdlets)
        asked = [cmdlet for cmdlet, output in zip(cmdlets, outputs, strict=True) if output is None]
        answers = iter(self._transport.run(asked) if asked else [])
        found: list[Output] = []
        for cmdlet, output in zip(cmdlets, outputs, strict=True):
            if output is None and (output := next(answers, None)) is None:
                break  # the patience ended before all was answered
            found.append(output)
            self._heard(cmdlet, output)
        return found

    def _known(self, cmdlets: t.Sequence[Cmdlet]) -> list[Output | None]:
        """The answers that an earlier task of the run has had. What tests something is asked each time: it proves."""
        keys = [_key(cmdlet) if cmdlet.name.startswith("Get-") else None for cmdlet in cmdlets]
        known = self._reads.known(keys, AT_ONCE)
        return [None if one is None else _output(cmdlet, one) for cmdlet, one in zip(cmdlets, known, strict=True)]

    def _heard(self, cmdlet: Cmdlet, output: Output) -> None:
        """Whole answers are handed on. That there are none of a kind, Exchange may say as an error: of a whole list it
        is the answer; that one thing is not there is looked for anew."""
        error = output.error
        none = isinstance(error, NotFound) and not cmdlet.parameters
        if cmdlet.name.startswith("Get-") and (error is None or none):
            about = None if error is None else {"message": error.message, "code": error.code}
            self._reads.heard(_key(cmdlet), lambda: {"value": output.value, "warnings": output.warnings, "none": about})


def _output(cmdlet: Cmdlet, known: Json) -> Output:
    about = known["none"]
    none = None if about is None else NotFound(about["message"], attempted=cmdlet.purpose, code=about["code"])
    return Output(known["value"], known["warnings"], none)


def _key(cmdlet: Cmdlet) -> str:
    return key("exchange", cmdlet.name, cmdlet.parameters, cmdlet.limit)


def error(
    cmdlet: Cmdlet, kind: str, message: str, *, status: int | None = None, request_id: str | None = None
) -> ServiceError:
    """The typed error for an exception type (short name) and its text, the same for every transport."""
    about: dict[str, t.Any] = {
        "attempted": cmdlet.purpose,
        "status": status,
        "code": kind or None,
        "request_id": request_id,
    }
    text = f"Exchange's {cmdlet.name} said{f' {kind}' if kind else ''}: {message}"
    if kind == _texts.EXCHANGE_ABSENT:
        return NotFound(text, **about)
    if _texts.EXCHANGE_ROLE_REFUSED in message:
        return Forbidden(
            text,
            cure="give the operator's service principal the Entra role Exchange Administrator (or Exchange Recipient "
            "Administrator for groups alone) and sign in anew",
            who="a Privileged Role Administrator",
            **about,
        )
    if kind in _texts.EXCHANGE_EXISTS or kind == _texts.EXCHANGE_MEMBER_EXISTS:
        return Conflict(text, **about)
    if kind in _texts.EXCHANGE_TRANSIENT or _texts.EXCHANGE_BUSY_WORDING in message:
        return Throttled(text, cure="run again later", **about)
    if _texts.EXCHANGE_POLICY_SPACE in message:
        return ServiceError(
            text,
            cure="remove policies that are not needed any more, or shorten descriptions (to one blank if need be)",
            who="an Exchange Administrator",
            **about,
        )
    if _texts.EXCHANGE_ENTRIES_FULL in message:
        return ServiceError(
            text,
            cure="remove entries of the mailbox that nobody needs, those of unknown SIDs first",
            who="an Exchange Administrator",
            **about,
        )
    if _texts.EXCHANGE_SYNCED in message:
        return ServiceError(
            text,
            cure="choose a group that is made in the cloud, or change it on premises",
            who="the on-premises directory's administrator",
            **about,
        )
    return ServiceError(text, **about)


def transient(kind: str, message: str) -> bool:
    """Whether Exchange only stumbled, whatever status it gave it."""
    return kind in _texts.EXCHANGE_TRANSIENT or _texts.EXCHANGE_BUSY_WORDING in message


def unexplained(message: str) -> bool:
    """Whether a management host passes on no error of Exchange, but an empty answer or a page from on the way."""
    return _texts.EXCHANGE_NO_REASON.match(message) is not None


def explained(document: t.Any) -> tuple[str, str]:
    """(short exception type, text) of an error document; both empty when it is none."""
    problem = document.get("error") if isinstance(document, dict) else None
    if not isinstance(problem, dict):
        return "", ""
    for detail in problem.get("details") or []:
        pieces = str(detail.get("message") or "").split("|", 2) if isinstance(detail, dict) else []
        if len(pieces) == 3:
            return pieces[1].rsplit(".", 1)[-1], pieces[2].strip()
        if pieces and pieces[0]:
            return "", pieces[0].strip()
    inner = problem.get("innererror") or problem.get("innerError") or {}
    deeper = inner.get("internalexception") or inner.get("internalException") or {} if isinstance(inner, dict) else {}
    message = (deeper.get("message") if isinstance(deeper, dict) else "") or problem.get("message") or ""
    return str(problem.get("code") or ""), str(message).strip()
