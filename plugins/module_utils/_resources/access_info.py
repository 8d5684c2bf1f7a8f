# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Exchange's own verdict on an application and a list of mailboxes: what is configured, not yet what is in force."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, InvalidInput, NotFound, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import NamedStep as Step
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.access_policy import EXCHANGE_ADMIN, application
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import EVALUATION
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

GRANTED = "Granted"
DENIED = "Denied"


@dataclass(frozen=True)
class Verdict:
    """``mailbox`` as it was asked for; ``verdict`` and ``expected`` are Granted or Denied, ``expected`` or None."""

    mailbox: str
    verdict: str
    expected: str | None = None
    at: str = ""

    @property
    def as_expected(self) -> bool | None:
        return None if self.expected is None else self.verdict == self.expected

    def as_dict(self) -> Json:
        return {
            "mailbox": self.mailbox,
            "verdict": self.verdict,
            "expected": self.expected,
            "as_expected": self.as_expected,
            "at": self.at,
        }


@dataclass(frozen=True)
class Desired:
    """``expected``: every mailbox to ask about, in order, with Granted, Denied or None."""

    app_id: str
    expected: t.Mapping[str, str | None]
    wait_s: float = 0.0


def cmdlets(desired: Desired) -> list[Cmdlet]:
    return [
        Cmdlet(
            "Test-ApplicationAccessPolicy",
            {"Identity": mailbox, "AppId": desired.app_id},
            f"ask Exchange whether the application may open {mailbox}",
        )
        for mailbox in desired.expected
    ]


def verdicts(desired: Desired, outputs: t.Sequence[Output], now: dt.datetime) -> list[Verdict]:
    """From the answers to ``cmdlets``, in their order.

    Raises what was refused for another reason than the mailbox, else NotFound that lists every mailbox without a
    verdict: none of them counts as denied.
    """
    at = now.replace(microsecond=0).isoformat().replace("+00:00", "Z")
    found: list[Verdict] = []
    unknown: dict[str, ServiceError] = {}
    for (mailbox, expected), output in zip(desired.expected.items(), outputs, strict=True):
        if output.error is not None and not isinstance(output.error, NotFound):
            raise output.error
        if output.error is not None:
            unknown[mailbox] = output.error
            continue
        rows = output.objects()
        verdict = str(rows[0].get("AccessCheckResult") or "") if len(rows) == 1 else ""
        if verdict not in (GRANTED, DENIED):
            raise ServiceError(
                f"Exchange gave {verdict or 'no verdict'!r} for {mailbox}",
                attempted=f"ask Exchange whether the application may open {mailbox}",
                cure="run again; if it stays so, test the mailbox with Exchange's own PowerShell module",
            )
        found.append(Verdict(mailbox, verdict, expected, at))
    if unknown:
        first = next(iter(unknown.values()))
        raise NotFound(
            f"Exchange has no mailbox {', '.join(unknown)}",
            attempted="ask Exchange which mailboxes the application may open",
            cure="correct the addresses; only mailboxes in this tenant's Exchange Online can be tested",
            status=first.status,
            code=first.code,
            request_id=first.request_id,
            details={"unknown": list(unknown), "verdicts": [verdict.as_dict() for verdict in found]},
        )
    return found


def plan(current: t.Sequence[Verdict] | None, desired: Desired) -> Plan:
    """``current`` None: there was nothing to ask about yet."""
    if current is None:
        return Plan(
            result={"app_id": desired.app_id, "verdicts": []},
            summary="not testable before the application exists",
        )
    wrong = [verdict for verdict in current if verdict.as_expected is False]
    counts = [(word, sum(verdict.verdict == word for verdict in current)) for word in (GRANTED, DENIED)]
    plan = Plan(
        result={"app_id": desired.app_id, "verdicts": [verdict.as_dict() for verdict in current]},
        summary=", ".join(f"{count} {word}" for word, count in counts if count) or "no mailbox to ask about",
    )
    if wrong:
        listed = "; ".join(f"{one.mailbox} is {one.verdict}, expected {one.expected}" for one in wrong)
        plan.blocked = Blocked(
            f"the access policies do not say what is expected: {listed}",
            attempted=f"verify what {desired.app_id} may open",
            cure="compare the members of the scope group and the policies of the application "
            f"(exchange_security_group, exchange_application_access_policy). {EVALUATION}",
            who=EXCHANGE_ADMIN,
            details={"mismatches": [verdict.as_dict() for verdict in wrong]},
        )
    return plan


class AccessInfo:
    """The resource behind ``exchange_application_access_info``. It only reads."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        params = task.params
        self._tenant = tenant
        if params["wait"] < 0:
            raise InvalidInput("wait is negative", cure="give a number of seconds, 0 for one look")
        self._desired = Desired(application(task), _expected(params), float(params["wait"]))
        if not self._desired.expected:
            raise InvalidInput("there is no mailbox to ask about", cure="set mailboxes or expect")

    def read(self) -> list[Verdict] | None:
        if self._desired.app_id == _names.ZERO_GUID:
            return None
        last: list[list[Verdict]] = []

        def as_expected() -> bool:
            outputs = self._tenant.exchange.invoke_many(cmdlets(self._desired))
            last.append(verdicts(self._desired, outputs, self._tenant.clock.now()))
            return all(verdict.as_expected is not False for verdict in last[-1])

        self._tenant.patiently(as_expected, budget_s=self._desired.wait_s)
        return last[-1]

    def plan(self, current: list[Verdict] | None) -> Plan:
        return plan(current, self._desired)

    def perform(self, step: Step) -> None:
        raise AssertionError("nothing here writes")

    def settle(self, plan: Plan) -> Json:
        return {}


def _expected(params: t.Mapping[str, t.Any]) -> dict[str, str | None]:
    """Every mailbox once, in the order given; raises InvalidInput when one is expected both ways."""
    expect = params.get("expect") or {}
    wanted: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for option, verdict in (("granted", GRANTED), ("denied", DENIED)):
        for typed in expect.get(option) or []:
            mailbox = _names.address(typed, f"expect.{option}")
            if wanted.setdefault(mailbox.lower(), verdict) != verdict:
                raise InvalidInput(f"{mailbox} is expected granted and denied", cure="keep it in one of the two lists")
            spelled.setdefault(mailbox.lower(), mailbox)
    for typed in params.get("mailboxes") or []:
        mailbox = _names.address(typed, "mailboxes")
        spelled.setdefault(mailbox.lower(), mailbox)
    return {mailbox: wanted.get(key) for key, mailbox in spelled.items()}


SPEC = ArgumentSpec(
    {
        "app_id": {"type": "str", "required": True},
        "mailboxes": {"type": "list", "elements": "str", "default": []},
        "expect": {
            "type": "dict",
            "options": {
                "granted": {"type": "list", "elements": "str", "default": []},
                "denied": {"type": "list", "elements": "str", "default": []},
            },
        },
        "wait": {"type": "int", "default": 0},
    }
)
DOOR = Door(AccessInfo, SPEC)
