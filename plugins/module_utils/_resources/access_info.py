# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Exchange's own verdict on an application and a list of mailboxes: what is configured, not yet what is in force.

What is asked under each scoping model stands in ``access_verdicts``.
"""

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
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.access_verdicts import (
    ASKERS,
    DENIED,
    GRANTED,
    Asked,
    Said,
    Told,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import mailbox_permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    DENY,
    EVALUATION,
    EVERY_APPLICATION,
    AccessPolicies,
    Policy,
    policies_of,
    read_cmdlet,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import (
    ApplicationRoles,
    roles_named,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.limiter import EXCHANGE_ADMIN
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.mailbox_permission import MailboxPermissions
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.tenant_wide import TenantWide
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant


@dataclass(frozen=True)
class Verdict:
    """``mailbox`` as it was asked for; ``verdict`` and ``expected`` are Granted or Denied, ``expected`` or None.

    ``by``: what each scoping model says, where more than access policies were asked.
    """

    mailbox: str
    verdict: str
    expected: str | None = None
    at: str = ""
    by: tuple[Said, ...] | None = None

    @property
    def as_expected(self) -> bool | None:
        return None if self.expected is None else self.verdict == self.expected

    @property
    def told(self) -> str:
        """In words: what it is, what was expected, and which model says why."""
        why = [
            f"{one.scoping} is {one.verdict}" + (f": {one.reason}" if one.reason else "")
            for one in self.by or ()
            if one.verdict != self.expected
        ]
        said = f"{self.mailbox} is {self.verdict}, expected {self.expected}"
        return said + (f" ({listed(why, separator='; ')})" if why else "")

    def as_dict(self) -> Json:
        return {
            "mailbox": self.mailbox,
            "verdict": self.verdict,
            "expected": self.expected,
            "as_expected": self.as_expected,
            "at": self.at,
            **({} if self.by is None else {"by": [one.as_dict() for one in self.by]}),
        }


@dataclass(frozen=True)
class State:
    """``policies``: those that count for the application, read where a verdict is not as expected; None elsewhere."""

    verdicts: tuple[Verdict, ...] = ()
    policies: tuple[Policy, ...] | None = None
    request_ids: tuple[str, ...] = ()
    """Of the requests by which Exchange was asked, as far as it tells them."""

    @property
    def wrong(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.as_expected is False]


@dataclass(frozen=True)
class Desired:
    """``expected``: every mailbox to ask about, in order, with Granted, Denied or None.

    ``scoping``: the models in use, None where nobody said so: access policies, and nothing is told of models.
    """

    app_id: str
    expected: t.Mapping[str, str | None]
    wait_s: float = 0.0
    scoping: tuple[str, ...] | None = None
    roles: tuple[str, ...] = ()
    rights: frozenset[str] = frozenset()
    sid: str = ""
    one_by_one: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        return self.scoping or (AccessPolicies.name,)

    @property
    def asked(self) -> Asked:
        return Asked(self.app_id, tuple(self.expected), self.roles, self.rights, self.sid, self.one_by_one)


def cmdlets(desired: Desired) -> list[Cmdlet]:
    """One list for all models."""
    return [cmdlet for model in desired.models for cmdlet in ASKERS[model].cmdlets(desired.asked)]


def verdicts(desired: Desired, outputs: t.Sequence[Output], now: dt.datetime) -> list[Verdict]:
    """From the answers to ``cmdlets``, in their order.

    Raises what was refused for another reason than the mailbox, else NotFound that lists every mailbox without a
    verdict: none of them counts as denied.
    """
    at = _time.iso(now)
    rest = list(outputs)
    told: list[Told] = []
    for model in desired.models:
        count = len(ASKERS[model].cmdlets(desired.asked))
        told.append(ASKERS[model].told(desired.asked, rest[:count]))
        rest = rest[count:]
    found: list[Verdict] = []
    unknown: dict[str, ServiceError] = {}
    for mailbox, expected in desired.expected.items():
        said: list[Said] = []
        for answers in told:
            one = answers[mailbox]
            if isinstance(one, ServiceError):
                unknown[mailbox] = one
            else:
                said.append(one)
        if mailbox not in unknown:
            by = None if desired.scoping is None else tuple(said)
            found.append(Verdict(mailbox, _sum_up(said, expected), expected, at, by))
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


def _sum_up(said: t.Iterable[Said], expected: str | None) -> str:
    """One word for what all models say. What is neither the one nor the other is never what was expected."""
    words = {one.verdict for one in said}
    if len(words) == 1 and words <= {GRANTED, DENIED}:
        return words.pop()
    return DENIED if expected == GRANTED else GRANTED


def plan(current: State | None, desired: Desired) -> Plan:
    """``current`` None: there was nothing to ask about yet."""
    if current is None:
        return Plan(
            result={"app_id": desired.app_id, "verdicts": [], "request_ids": []},
            summary="not testable before the application exists",
        )
    said = current.verdicts
    counts = [(word, sum(verdict.verdict == word for verdict in said)) for word in (GRANTED, DENIED)]
    plan = Plan(
        result={
            "app_id": desired.app_id,
            "verdicts": [verdict.as_dict() for verdict in said],
            "request_ids": list(current.request_ids),
        },
        summary=", ".join(f"{count} {word}" for word, count in counts if count) or "no mailbox to ask about",
    )
    if current.wrong:
        plan.blocked = _mismatch(current, desired)
    return plan


_CURES = {
    AccessPolicies.name: "compare the members of the scope group and the policies (exchange_security_group, "
    "exchange_application_access_policy)",
    ApplicationRoles.name: "compare the direct members of the scope group, the scope's filter and the assignments "
    "(exchange_security_group, exchange_application_role)",
    MailboxPermissions.name: "compare the rights on the mailboxes (exchange_mailbox_permission), by SID",
    TenantWide.name: "expect no mailbox to be denied where nothing limits the application",
}
"""What to look at, by model."""


def _mismatch(current: State, desired: Desired) -> Blocked:
    wrong = current.wrong
    told = listed([one.told for one in wrong], separator="; ")
    policies = current.policies or ()
    denying = [policy for policy in policies if policy.access_right == DENY]
    cure = (
        "compare the members of the scope group and the policies of the application (exchange_security_group, "
        f"exchange_application_access_policy). {EVALUATION}"
    )
    if desired.scoping is not None:
        cure = listed([_CURES[model] for model in desired.models if model in _CURES], separator="; ")
    elif denying and any(one.verdict == DENIED for one in wrong):
        cure = (
            f"look at what denies: {listed(denying, separator='; ')}. Take the mailbox out of that policy's group, or "
            "remove the policy (on_other_policies of exchange_application_access_policy; one for every application by "
            f"hand). {EVALUATION}"
        )
    return Blocked(
        f"{'the access policies do' if desired.scoping is None else 'Exchange does'} not say what is expected: {told}",
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
        self._desired = Desired(
            task.app_id(),
            _expected(params),
            float(params["wait"]),
            scoping=_scoping(params.get("scoping")),
            roles=roles_named(params.get("roles") or ()),
            rights=frozenset(right for option, right in _RIGHTS.items() if (params.get("rights") or {}).get(option)),
            sid=str((params.get("rights") or {}).get("sid") or "").strip().lower(),
        )
        models = self._desired.models
        for model, option, said in (
            (ApplicationRoles.name, "roles", self._desired.roles),
            (MailboxPermissions.name, "rights", self._desired.rights),
        ):
            if model in models and not said:
                raise InvalidInput(f"{option} is missing", cure=f"say it with scoping {model}", options=(option,))
        if not self._desired.expected:
            raise InvalidInput("there is no mailbox to ask about", cure="set mailboxes or expect")

    def read(self) -> State | None:
        if self._desired.app_id == _names.ZERO_GUID:
            return None
        last: list[State] = []

        def as_expected() -> bool:
            last.append(self._look(self._desired))
            if last[-1].wrong and mailbox_permission.SEND_AS in self._desired.rights:
                last.append(self._look(replace(self._desired, one_by_one=True)))
            return not last[-1].wrong

        if self._tenant.patiently(as_expected, budget_s=self._desired.wait_s):
            return last[-1]
        if AccessPolicies.name not in self._desired.models:
            return last[-1]
        # Only now it matters who denies: a policy on another group, or one for every application.
        mine = (self._desired.app_id, EVERY_APPLICATION)
        try:
            [output] = self._tenant.exchange.invoke_many([read_cmdlet()])
            return replace(last[-1], policies=tuple(one for one in policies_of(output) if one.app_id in mine))
        except ServiceError:
            return last[-1]  # the verdicts are told all the same

    def _look(self, desired: Desired) -> State:
        outputs = self._tenant.exchange.invoke_many(cmdlets(desired))
        ids = tuple(sorted({output.request_id for output in outputs if output.request_id}))
        return State(tuple(verdicts(desired, outputs, self._tenant.now())), request_ids=ids)

    def plan(self, current: State | None) -> Plan:
        return plan(current, self._desired)


_RIGHTS = {"full_access": mailbox_permission.FULL_ACCESS, "send_as": mailbox_permission.SEND_AS}


def _scoping(said: t.Sequence[str] | None) -> tuple[str, ...] | None:
    """Each model once, in the order of the table; None where nothing is said. Raises InvalidInput."""
    if not said:
        return None
    for name in said:
        if name not in ASKERS:
            close = _names.nearest(name, ASKERS, 1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise InvalidInput(
                f"scoping has {name!r}, which is not a scoping model",
                cure=f"{hint}Give one of {', '.join(ASKERS)}",
                options=("scoping",),
            )
    return tuple(name for name in ASKERS if name in said)


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
        "scoping": {"type": "list", "elements": "str"},
        "roles": {"type": "list", "elements": "str", "default": []},
        "rights": {
            "type": "dict",
            "options": {
                "full_access": {"type": "bool", "default": False},
                "send_as": {"type": "bool", "default": False},
                "sid": {"type": "str"},
            },
        },
    }
)
DOOR = Door(AccessInfo, SPEC)
