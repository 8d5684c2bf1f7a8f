# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Whether a Windows management host does what the WinRM transport relies on, tried out one assumption after another.

The first half needs no tenant: it reaches the host, runs the collection's own script there, and compares what comes
back with what was sent. The second half connects to Exchange from the host and reads the same things directly.
"""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, M365Error, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange import host as _host
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.rest import RestTransport
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.winrm import unfit
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, ReadOnly
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.module_utils._version import VERSION

EVERY_BYTE = bytes(range(256)) * 1200
"""Goes to the host in several pieces; any translation on the way changes its digest."""

ECHO: tuple[t.Any, ...] = (
    "plain",
    "quotes \" ' ` and $(Get-Date) ${env:TEMP} %PATH% @{a=1} ; | & < > \\ / {0} #>",
    "\u00e4\u00f6\u00fc\u00df \u0416\u4e2d\u6587 \u202e \U0001f4e0 \u2028 \u0000 \u001b \ufeff",
    "2026-01-02T03:04:05Z",
    "/Date(1767322800000)/",
    "",
    " blanks ",
    True,
    False,
    None,
    42,
    ["one"],
    [],
    {"Add": ["one", "two"]},
)
"""Comes back as it was, or a parser on the host took it for something else."""

SAMPLES: Json = {
    "nothing": None,
    "empty_text": "",
    "text": "\"\\'\u00e4\u0441\u202e\U0001d11e\u0007\u2028",
    "yes": True,
    "number": 42,
    "enumeration": "Monday",
    "guid": "998e9d79-0000-4000-8000-00000000000a",
    "moment": "2026-01-02T03:04:05.0000000+00:00",
    "version": "3.9.2",
    "empty_list": [],
    "list_of_one": ["one"],
    "list": ["one", "two"],
    "nested": {"inner": {"deeper": False}},
}
"""What the script makes of values of each kind, as Exchange's REST endpoint would print them."""

READS = (
    Cmdlet("Get-AcceptedDomain", {"ResultSize": "Unlimited"}, "compare the accepted domains", 3),
    Cmdlet(
        "Get-Recipient",
        {"RecipientTypeDetails": ["UserMailbox"], "ResultSize": "Unlimited", "SortBy": "Name"},
        "compare mailboxes",
        3,
    ),
    Cmdlet("Get-DistributionGroup", {"ResultSize": "Unlimited", "SortBy": "Name"}, "compare groups", 3),
    Cmdlet("Get-ApplicationAccessPolicy", {}, "compare the application access policies", 3),
    Cmdlet("Get-DistributionGroup", {"Identity": "mail2fax-m365-no-such-group"}, "see how an absent group is told"),
)


@dataclass(frozen=True)
class Check:
    """One assumption, whether it holds, and what was seen."""

    what: str
    holds: bool
    found: str
    cure: str = ""

    def as_dict(self) -> Json:
        return {"check": self.what, "holds": self.holds, "found": self.found, "cure": self.cure or None}

    def line(self) -> str:
        return f"{'ok ' if self.holds else 'NOT'} {self.what}: {self.found}"


@dataclass
class State:
    host: Json = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    connect: str = "access_token"


def judge_echo(check: Json) -> list[Check]:
    """What the script sent back against what it was sent."""
    echoed = list(check.get("echo") or [])
    wrong = [
        str(number) for number, value in enumerate(ECHO) if number >= len(echoed) or not _same(echoed[number], value)
    ]
    samples = check.get("samples") or {}
    odd = [name for name, value in SAMPLES.items() if name not in samples or not _same(samples[name], value)]
    raw = (
        check.get("bytes") == len(EVERY_BYTE) and check.get("sha256") == hashlib.sha256(EVERY_BYTE).hexdigest().upper()
    )
    return [
        Check(
            "standard input arrives byte by byte",
            raw,
            f"{check.get('bytes')} of {len(EVERY_BYTE)} bytes, digest {'equal' if raw else 'different'}",
            "" if raw else _texts.HOST["script_changed"].cure,
        ),
        Check(
            "requests keep their values",
            not wrong and len(echoed) == len(ECHO),
            f"{len(ECHO) - len(wrong)} of {len(ECHO)} equal" + (f", not: {', '.join(wrong)}" if wrong else ""),
        ),
        Check(
            "objects become what Exchange's REST endpoint prints",
            not odd,
            f"{len(SAMPLES) - len(odd)} of {len(SAMPLES)} equal"
            + "".join(f"; {name} is {samples.get(name)!r}" for name in odd),
        ),
    ]


def judge_filler(check: Json, megabytes: int) -> Check:
    filler = str(check.get("filler") or "")
    whole = len(filler) == megabytes * 1024 * 1024 and not filler.strip("x")
    return Check("long answers arrive whole", whole, f"{len(filler)} characters")


def judge_host(host: Json, connect: str) -> list[Check]:
    """The host's versions and settings."""
    problems = unfit(host, connect)
    if not problems:
        return [Check("PowerShell and Exchange's module fit", True, _versions(host))]
    return [Check(_texts.HOST[problem].meaning, False, found, _texts.HOST[problem].cure) for problem, found in problems]


def compare(cmdlet: Cmdlet, by_host: Output, directly: Output) -> Check:
    """The same cmdlet by way of the host and directly. Values are not quoted: a report may be shown to others."""
    what = f"{cmdlet.name} gives the same by both ways"
    if by_host.error is not None or directly.error is not None:
        errors = [_error(by_host.error), _error(directly.error)]
        return Check(what, errors[0] == errors[1], " and ".join(errors))
    differences: list[str] = []
    if len(by_host.value) != len(directly.value):
        differences.append(f"{len(by_host.value)} objects instead of {len(directly.value)}")
    for mine, theirs in zip(by_host.value, directly.value, strict=False):
        differences += [f"lacks {key}" for key in theirs if key not in mine]
        differences += [
            f"{key} is {type(mine[key]).__name__} instead of {type(value).__name__}"
            if type(mine[key]) is not type(value)
            else f"{key} differs"
            for key, value in theirs.items()
            if key in mine and not _same(mine[key], value)
        ]
    unique = list(dict.fromkeys(differences))
    return Check(what, not unique, f"{len(by_host.value)} objects" + "".join(f"; {text}" for text in unique[:40]))


def plan(current: State) -> Plan:
    failed = [check for check in current.checks if not check.holds]
    report = [
        f"mail2fax.m365 {VERSION}, Windows management host",
        _versions(current.host),
        *(check.line() for check in current.checks),
    ]
    result = Plan(
        result={
            "host": current.host,
            "checks": [check.as_dict() for check in current.checks],
            "report": report,
            "ready": not failed,
        },
        summary="the host is ready" if not failed else f"{len(failed)} of {len(current.checks)} checks fail",
    )
    if failed:
        result.blocked = Blocked(
            "the management host is not ready: " + "; ".join(f"{check.what} ({check.found})" for check in failed),
            cure="; ".join(dict.fromkeys(check.cure for check in failed if check.cure))
            or "report the lines under report to the collection's authors",
            who="the host's administrator",
            details={"report": report},
        )
    return result


class WindowsHostInfo(ReadOnly):
    """The resource behind ``windows_host_info``."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        self._tenant = tenant
        self._settings = tenant.host_settings()
        self._exchange = bool(task.params["exchange"])
        self._megabytes = max(1, int(task.params["megabytes"]))
        if self._exchange:
            self._settings.check_connect()

    def read(self) -> State:
        state = State(connect=self._settings.connect)
        process = _host.Process(self._settings, self._tenant.clock)
        started = self._tenant.clock.monotonic()
        try:
            process.open()
            first = self._ask(process, {"echo": list(ECHO), "filler": 0}, EVERY_BYTE)
            took = self._tenant.clock.monotonic() - started
            second = self._ask(process, {"echo": [], "filler": self._megabytes * 1024 * 1024}, b"")
        except M365Error as exc:
            exc.attempted = exc.attempted or "check the management host"
            raise
        finally:
            gone = process.close()
        state.host = first.get("host") or {}
        state.checks = [
            Check("the host lets us in and runs the script", True, f"first answer after {took:.1f} s"),
            *judge_echo(first),
            judge_filler(second, self._megabytes),
            Check("the process ends and its shell is deleted", gone, "deleted" if gone else "not confirmed"),
            *judge_host(state.host, self._settings.connect),
        ]
        if self._exchange:
            state.checks += self._read_exchange()
        return state

    @staticmethod
    def _ask(process: _host.Process, request: Json, raw: bytes) -> Json:
        answer = process.ask([{"do": "check", "bytes": len(raw), **request}], raw=raw)[0]
        problem = answer.get("error")
        if problem is not None:
            links = problem.get("chain") or [{}]
            raise _host.not_ready("fault", f"{links[0].get('type')}: {links[0].get('message')}", "the script")
        return answer.get("check") or {}

    def _read_exchange(self) -> list[Check]:
        tenant = self._tenant
        started = tenant.clock.monotonic()
        transport = tenant.by_host()
        try:
            by_host = transport.run(READS)
        except M365Error as exc:
            return [Check("the host connects to Exchange Online", False, exc.message, exc.cure)]
        finally:
            transport.close()
        checks = [
            Check("the host connects to Exchange Online", True, f"took {tenant.clock.monotonic() - started:.1f} s")
        ]
        try:
            directly = RestTransport(tenant.http, tenant.sign_in, tenant.cloud).run(READS)
        except M365Error as exc:
            return [*checks, Check("Exchange Online can be read directly, to compare", False, exc.message, exc.cure)]
        return checks + [compare(*three) for three in zip(READS, by_host, directly, strict=True)]

    def plan(self, current: State) -> Plan:
        return plan(current)


def _versions(host: Json) -> str:
    modules = ", ".join(map(str, host.get("modules") or [])) or "none"
    framework = f", .NET Framework release {host['framework_release']}" if host.get("framework_release") else ""
    return (
        f"{host.get('operating_system')}, PowerShell {host.get('powershell')} ({host.get('language_mode')}, "
        f"{host.get('execution_policy')}){framework}, ExchangeOnlineManagement {modules}"
    )


def _same(one: t.Any, other: t.Any) -> bool:
    """Equal in type as well: True is no 1 here."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(_same(left, right) for left, right in zip(one, other, strict=True))
    return type(one) is type(other) and bool(one == other)


def _error(problem: ServiceError | None) -> str:
    return "no error" if problem is None else f"{type(problem).__name__} {problem.code or ''}".strip()


SPEC = ArgumentSpec(
    {
        "exchange": {"type": "bool", "default": False},
        "megabytes": {"type": "int", "default": 5},
    }
)
DOOR = Door(WindowsHostInfo, SPEC, windows_host=True)
