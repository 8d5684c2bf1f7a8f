# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Exchange's own verdict on an application and a list of mailboxes: what is configured, not yet what is in force."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _time
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, InvalidInput, NotFound, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, ReadOnly
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import listed
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    DENY,
    EVALUATION,
    EVERY_APPLICATION,
    Policy,
    policies_of,
    read_cmdlet,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.limiter import EXCHANGE_ADMIN
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
class State:
    """``policies``: those that count for the application, read where a verdict is not as expected; None elsewhere."""

    verdicts: tuple[Verdict, ...] = ()
    policies: tuple[Policy, ...] | None = None

    @property
    def wrong(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.as_expected is False]


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
    at = _time.iso(now)
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


def plan(current: State | None, desired: Desired) -> Plan:
    """``current`` None: there was nothing to ask about yet."""
    if current is None:
        return Plan(
            result={"app_id": desired.app_id, "verdicts": []},
            summary="not testable before the application exists",
        )
    said = current.verdicts
    counts = [(word, sum(verdict.verdict == word for verdict in said)) for word in (GRANTED, DENIED)]
    plan = Plan(
        result={"app_id": desired.app_id, "verdicts": [verdict.as_dict() for verdict in said]},
        summary=", ".join(f"{count} {word}" for word, count in counts if count) or "no mailbox to ask about",
    )
    if current.wrong:
        plan.blocked = _mismatch(current, desired)
    return plan


def _mismatch(current: State, desired: Desired) -> Blocked:
    wrong = current.wrong
    told = listed([f"{one.mailbox} is {one.verdict}, expected {one.expected}" for one in wrong], separator="; ")
    policies = current.policies or ()
    denying = [policy for policy in policies if policy.access_right == DENY]
    cure = (
        "compare the members of the scope group and the policies of the application (exchange_security_group, "
        f"exchange_application_access_policy). {EVALUATION}"
    )
    if denying and any(one.verdict == DENIED for one in wrong):
        cure = (
            f"look at what denies: {listed(denying, separator='; ')}. Take the mailbox out of that policy's group, or "
            "remove the policy (on_other_policies of exchange_application_access_policy; one for every application by "
            f"hand). {EVALUATION}"
        )
    return Blocked(
        f"the access policies do not say what is expected: {told}",
        attempted=f"verify what {desired.app_id} may open",
        cure=cure,
        who=EXCHANGE_ADMIN,
        details={
            "mismatches": [verdict.as_dict() for verdict in wrong],
            "policies": [policy.as_dict() for policy in policies],
        },
    )


class AccessInfo(ReadOnly):
    """The resource behind ``exchange_application_access_info``. It only reads."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        params = task.params
        self._tenant = tenant
        if params["wait"] < 0:
            raise InvalidInput("wait is negative", cure="give a number of seconds, 0 for one look")
        self._desired = Desired(task.app_id(), _expected(params), float(params["wait"]))
        if not self._desired.expected:
            raise InvalidInput("there is no mailbox to ask about", cure="set mailboxes or expect")

    def read(self) -> State | None:
        if self._desired.app_id == _names.ZERO_GUID:
            return None
        last: list[State] = []

        def as_expected() -> bool:
            outputs = self._tenant.exchange.invoke_many(cmdlets(self._desired))
            last.append(State(tuple(verdicts(self._desired, outputs, self._tenant.now()))))
            return not last[-1].wrong

        if self._tenant.patiently(as_expected, budget_s=self._desired.wait_s):
            return last[-1]
        # Only now it matters who denies: a policy on another group, or one for every application.
        mine = (self._desired.app_id, EVERY_APPLICATION)
        try:
            [output] = self._tenant.exchange.invoke_many([read_cmdlet()])
            return replace(last[-1], policies=tuple(one for one in policies_of(output) if one.app_id in mine))
        except ServiceError:
            return last[-1]  # the verdicts are told all the same

    def plan(self, current: State | None) -> Plan:
        return plan(current, self._desired)


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
