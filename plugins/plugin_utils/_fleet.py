# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The tenants of a run in one table, the worst first, from the documents that their runs have left."""

from __future__ import annotations

import datetime as dt
import re
import typing as t
from collections import Counter
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _ended, _held, _rings
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import calendar, times, words
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.table import columns, wrap

ORDER = ("failed", "blocked", "pending", "changed", "ok", "removed", "not looked at")
"""From what a person has to see first to what nobody has to see."""

TROUBLED = 2
"""How many of ORDER, from its beginning, want another run of the same."""

MANY = 20
"""How many hosts are named in a command; more of them are better taken from a file."""

HOST_OUT_OF_REACH = "HostOutOfReach"
"""The code of an error: not the tenant, but the machine that was to run its tasks does not answer."""

NEXT_LINES = 3
"""How many lines of the table a tenant's next thing to do may take."""


@dataclass(frozen=True)
class Row:
    """One tenant. ``days`` are those that its secret has left, None where that is not known."""

    host: str
    outcome: str
    shown: str
    days: int | None
    next: str
    tenant_wide: str = ""
    """The words with which somebody accepted that nothing limits the application."""
    ews: t.Mapping[str, t.Any] | None = None
    """Its calendar, where it is on EWS."""

    @property
    def urgency(self) -> tuple[int, float, str]:
        return ORDER.index(self.outcome), float("inf") if self.days is None else self.days, self.host


def row(host: str, document: t.Any, last: t.Any = None, at: dt.datetime | None = None, *, stopped: t.Any = None) -> Row:
    """What a tenant's ``document`` comes to.

    None where the run left none: then ``last``, the document of an earlier run that a rotation has read, tells whether
    it was left out or lost, and ``stopped`` what stopped it (see _stopped).
    """
    at = at or times.now()
    if not isinstance(document, t.Mapping) or document.get("outcome") not in words.OUTCOMES:
        if isinstance(stopped, t.Mapping) and stopped.get("msg"):
            ended = str(stopped.get("outcome") if stopped.get("outcome") in ORDER else "failed")
            return Row(host, ended, ended, None, str(stopped["msg"]))
        if not isinstance(last, t.Mapping) or not last:
            return Row(
                host, "failed", "failed", None, "no result: unreachable, or stopped early, see the messages above"
            )
        if last.get("state") == "removed":
            return Row(host, "removed", "removed", None, "")
        return Row(host, "not looked at", "not looked at", _days(last, at), "")
    outcome = shown = str(document["outcome"])
    if document.get("state") == "removed" and outcome in ("ok", "changed"):
        outcome = shown = "removed"
    elif outcome == "changed" and document.get("mode") == "check":
        shown = "to change"
    return Row(
        *(host, outcome, shown, _days(document, at), _next(dict(document), at)),
        tenant_wide=str(document.get("tenant_wide") or ""),
        ews=calendar.of(document, at),
    )


def rows(hosts: t.Iterable[t.Any], variables: t.Mapping[str, t.Any]) -> list[Row]:
    """The tenants of a run of ours, from what it keeps among their variables."""
    names = [str(host) for host in hosts]
    held_up = held(names, variables)
    waiting = {*held_up.waiting} if held_up else set()
    found = []
    for host in names:
        known = variables.get(host, {})
        begun = known.get(_held.BEGUN) or {}
        # A rotation may leave a tenant out, for what its last result says.
        last = _ended.record(begun) if begun.get("playbook") == "rotate" or host in waiting else None
        last = last or known.get("handover_last")
        if host in waiting:
            found.append(not_begun(host, last))
            continue
        document, stopped = _ended.document(known), _ended.stopped(known)
        found.append(row(host, document, None if document or stopped else last, stopped=stopped))
    return found


def held(hosts: t.Sequence[str], variables: t.Any) -> _rings.Held | None:
    """The ring that held the run up; None where none did."""
    rings = _ended.compared(variables, hosts).get("rings") or {}
    return _rings.held(hosts, rings, lambda host: _ended.bad(_ended.raw(variables, host)))


def not_begun(host: str, last: t.Any = None, at: dt.datetime | None = None) -> Row:
    """A tenant that was not begun, because a ring before it came to a bad end."""
    days = _days(last, at or times.now()) if isinstance(last, t.Mapping) else None
    return Row(host, "not looked at", "not looked at", days, "waits for the ring before")


def table(
    rows: t.Iterable[Row], width: int = 90, *, held: _rings.Held | None = None, unmet: t.Sequence[str] = ()
) -> list[str]:
    """Lines no wider than ``width``, but for the last one: how many of each kind, a line per tenant, how to go on.

    ``held``: the ring that held the run up. ``unmet``: what was named, and nobody is called so.
    """
    found = sorted(rows, key=lambda one: one.urgency)
    counts = Counter(one.shown for one in found)
    counted = ", ".join(f"{count} {shown}" for shown, count in counts.items())
    lines = wrap(f"{len(found)} tenants: {counted}", width)
    lines += ["", *columns(_cells(found), width, NEXT_LINES), *_off_ews(found, width)]
    for one in found:
        if one.tenant_wide:
            lines += ["", *wrap(f"{one.host}: NOTHING limits the application. Accepted: {one.tenant_wide}", width)]
    if unmet:
        lines += [
            "",
            *wrap(f"Nobody is called {', '.join(map(repr, unmet))}, which the limit or mail2fax_hosts names.", width),
        ]
    troubled = [one.host for one in found if ORDER.index(one.outcome) < TROUBLED]
    if held:
        left = [one.host for one in found if one.host in {*held.waiting}]
        lines += ["", *wrap(f"{held.told[:1].upper()}{held.told[1:]}", width)]
        lines += wrap(
            "How to go on: mend what is bad, and run the same once more; tenants that are done change nothing.", width
        )
        lines += _again("Only what is bad or left", [*troubled, *left], len(found))
    else:
        lines += _again("Only these once more", troubled, len(found))
    return [line.rstrip() for line in lines]


def _cells(found: t.Sequence[Row]) -> list[tuple[str, ...]]:
    """With a column for the end of EWS where a tenant is on it."""
    if not any(one.ews for one in found):
        cells = [(one.host, one.shown, _spoken(one.days), one.next) for one in found]
        return [("TENANT", "OUTCOME", "SECRET", "NEXT"), *cells]
    rows = [
        (one.host, one.shown, _spoken(one.days), calendar.in_words(one.ews) if one.ews else "-", one.next)
        for one in found
    ]
    return [("TENANT", "OUTCOME", "SECRET", "EWS", "NEXT"), *rows]


def _off_ews(found: t.Sequence[Row], width: int) -> list[str]:
    """What comes next on the way off EWS, once for all tenants that have the same before them."""
    waiting: dict[tuple[str, str], list[str]] = {}
    for one in found:
        if one.ews:
            phase = str(one.ews.get("phase") or "not begun").replace("_", " ")
            waiting.setdefault((phase, str(one.ews.get("next"))), []).append(one.host)
    lines = []
    for (phase, step), hosts in waiting.items():
        lines += ["", *wrap(f"Off EWS, {phase} ({words.some(hosts)}): {step}", width)]
    return lines


def _again(what: str, hosts: t.Sequence[str], of: int) -> list[str]:
    """The limit for ``hosts``, in a line that is not wrapped, because it is to be copied; none where it is no help."""
    if not 0 < len(hosts) < of or not all(map(nameable, hosts)):
        return []
    if len(hosts) > MANY:
        return ["", f"{what}: mail2fax.m365.fleet_report writes a file of their names"]
    return ["", f"{what}: --limit '{limit(hosts)}'"]


def limit(hosts: t.Iterable[str]) -> str:
    """What ``--limit`` takes for exactly these hosts; to be put between single quotes in a shell.

    It has no backslash, which JSON would double, no quote, and no comma but those between hosts.
    """
    patterns = [_pattern(host) for host in hosts]
    # With a comma in it, Ansible splits it at commas only, and not at blanks and colons as well.
    return ",".join(patterns) + ("," if len(patterns) == 1 and patterns[0].startswith("~") else "")


def nameable(host: str) -> bool:
    """Whether a pattern can hold the name."""
    return all(char.isprintable() or char == " " for char in host)


def _pattern(host: str) -> str:
    """A plain name as it is; any other as an expression in which nothing means anything to Ansible or a shell."""
    return host if _NAME.fullmatch(host) else f"~^{''.join(_SPELLED.get(char, char) for char in host)}$"


_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]*", re.ASCII)
_SPELLED = {
    **{char: f"[{char}]" for char in ".$*+?{}()|]"},
    # By its neighbours, which are then taken away.
    ",": "(?![-+.])[+-.]",
    "'": "(?![&(])[&-(]",
    '"': "(?![!#])[!-#]",
    "[": "(?!Z)[Z-[]",
    "^": "(?![]_])[]-_]",
    "\\": "(?![]Z[^])[Z-^]",
}


def _spoken(days: int | None) -> str:
    return "-" if days is None else "expired" if days < 0 else "1 day" if days == 1 else f"{days} days"


def _days(document: t.Mapping[str, t.Any], at: dt.datetime) -> int | None:
    secret = document.get("secret") or {}
    if document.get("mode") != "apply" and _outcome(document, "client_secret") == "changed":
        # It tells of a secret that is yet to be made.
        return None
    end = times.instant(secret.get("end_date_time"))
    return (end - at).days if end else None


LETS_IN = ("admin_consent", "application_role", "mailbox_permission")
"""The steps of a removal that take permissions away."""


def _in_force(document: t.Mapping[str, t.Any]) -> str:
    """Which permissions a removal would take away: those that are in force."""
    found = [
        f"{words.spoken(step['step'])}: {step.get('summary') or ''}"
        for step in document.get("steps") or []
        if step["step"] in LETS_IN and step["outcome"] == "changed"
    ]
    return f"in force, to be taken away: {'; '.join(found)}" if found else "no permission is in force"


def _outcome(document: t.Mapping[str, t.Any], step: str) -> str:
    return next((str(found["outcome"]) for found in document.get("steps") or [] if found["step"] == step), "skipped")


def _next(document: dict[str, t.Any], at: dt.datetime) -> str:
    """The one thing to do, or to wait for. Empty where there is neither."""
    outcome = document["outcome"]
    drift = document.get("drift") or []
    for step in document.get("steps") or []:
        if step["outcome"] in ("blocked", "failed"):
            error = step.get("error") or {}
            if error.get("code") == HOST_OUT_OF_REACH:
                return words.first_line(str(error.get("message") or ""))
            told = error.get("cure") or step.get("msg") or step.get("summary") or ""
            who = f" ({error['who']})" if error.get("cure") and error.get("who") else ""
            return f"{words.spoken(step['step'])}: {told}{who}"
    if document.get("kind") == "decommission" and document.get("mode") == "check":
        return _in_force(document)
    if drift:
        return f"differs: {', '.join(words.spoken(step) for step in drift)}"
    if outcome == "pending":
        until = document.get("pending_until")
        what = "; ".join(str(item["what"]) for item in document.get("pending") or [])
        return (f"again after {times.readable_time(until)}: " if until else "") + what
    overlap = times.instant((document.get("secret") or {}).get("previous_until"))
    if overlap and overlap > at and document.get("mode") == "apply":
        date = times.readable_time(times.iso(overlap), date_only=True)
        return f"give the fax server the new secret before {date}"
    return ""
