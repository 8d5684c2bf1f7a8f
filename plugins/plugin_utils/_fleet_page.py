# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The page of all tenants: one file of HTML, what is most urgent first, with a timeline of what ends when. Pure.

Nothing is loaded from elsewhere, everything is escaped, and the only script that a browser runs is the page's own: its
digest stands in the page's policy.
"""

from __future__ import annotations

import datetime as dt
import functools
import typing as t
from dataclasses import dataclass

import jinja2

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _fleet_report as model
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import calendar, pages, times

WORDS = {
    model.NOW: "today",
    model.SOON: "soon",
    model.UNKNOWN: "out of sight",
    model.WAITS: "waits",
    model.FINE: "fine",
    model.GONE: "removed",
}
"""Urgencies as people read them."""

BEFORE_DAYS, AFTER_DAYS = 14, 400
"""How much time the timeline shows; what ended before, or ends later, stands at its edges."""
WIDTH, LEAST, EDGE = 960, 60, 26
STACK = 18
"""So many dots stand above each other; more of them are a bar with their number."""
COLUMN, STEP = 10, 8.5


@dataclass(frozen=True)
class Dot:
    """Something that ends: where it stands, whose row it belongs to, and what a pointer tells."""

    x: float
    y: float
    urgency: str
    row: int
    told: str


@dataclass(frozen=True)
class Bar:
    """Many that end at about one time."""

    x: float
    y: float
    height: float
    urgency: str
    count: int
    told: str


@dataclass(frozen=True)
class Timeline:
    """``marks``: what a month's beginning is called, and where it stands. ``lines``: the same of single days."""

    dots: tuple[Dot, ...]
    bars: tuple[Bar, ...]
    marks: tuple[tuple[float, str], ...]
    lines: tuple[tuple[float, str, str], ...]
    told: str
    base: int
    width: int = WIDTH

    @property
    def height(self) -> int:
        return self.base + EDGE


def page(found: model.Report, zone: str = "UTC") -> str:
    """The page. ``zone`` is the IANA name of the time zone of its times; raises ValueError or ZoneInfoNotFoundError."""
    return _template().render(
        at=times.iso(found.at),
        zone=zone,
        lines=list(enumerate(found.lines)),
        counts=[(urgency, WORDS[urgency], count) for urgency in model.URGENCIES if (count := found.count(urgency))],
        words=WORDS,
        timeline=timeline(found),
        has_ews=any(line.ews for line in found.lines),
        order={urgency: number for number, urgency in enumerate(model.URGENCIES)},
    )


def timeline(found: model.Report) -> Timeline:
    """What ends when, each a dot; of what is too much for dots, a bar."""
    columns: dict[int, list[tuple[model.Expiry, int, str]]] = {}
    for row, line in enumerate(found.lines):
        for one in line.expiries:
            columns.setdefault(int(_x(one.at, found.at) // COLUMN), []).append((one, row, line.host))
    dots: list[Dot] = []
    bars: list[Bar] = []
    # No higher than what stands on it.
    tallest = min(max(map(len, columns.values()), default=0), STACK)
    base = round(max(tallest * STEP + 12, LEAST))
    for column, these in sorted(columns.items()):
        x = column * COLUMN + COLUMN / 2
        these.sort(key=lambda one: (one[0].at, one[2]))
        if len(these) > STACK:
            height = STACK * STEP
            first, last = these[0][0].at, these[-1][0].at
            span = _date(first) if _date(first) == _date(last) else f"{_date(first)} to {_date(last)}"
            bars.append(Bar(x, base - height, height, these[0][0].urgency, len(these), f"{len(these)} end {span}"))
            continue
        for number, (one, row, host) in enumerate(these):
            y = base - 5 - number * STEP
            dots.append(Dot(x, y, one.urgency, row, f"{host}: {one.what} {_ends(one)}"))
    marks, lines = tuple(_months(found.at)), tuple(_days(found))
    return Timeline(tuple(dots), tuple(bars), marks, lines, _told(found), base)


def _x(moment: dt.datetime, at: dt.datetime) -> float:
    """Where an instant stands; what is too far away at the edge of its side."""
    days = (moment - at).total_seconds() / 86400
    share = (days + BEFORE_DAYS) / (BEFORE_DAYS + AFTER_DAYS)
    return min(max(share * WIDTH, COLUMN / 2), WIDTH - COLUMN / 2)


def _months(at: dt.datetime) -> t.Iterator[tuple[float, str]]:
    first, number = (at - dt.timedelta(days=BEFORE_DAYS)).replace(day=1, hour=0, minute=0, second=0, microsecond=0), 0
    shown = False
    while True:
        year, month = divmod(first.month - 1 + number, 12)
        moment = first.replace(year=first.year + year, month=month + 1)
        if (moment - at).days > AFTER_DAYS - 12:
            return
        if (moment - at).days > -BEFORE_DAYS:
            name = _date(moment).split()
            yield _x(moment, at), name[1] + (f" {name[2]}" if moment.month == 1 or not shown else "")
            shown = True
        number += 1


def _days(found: model.Report) -> t.Iterator[tuple[float, str, str]]:
    yield _x(found.at, found.at), "today", "now"
    ends = {str(line.ews.get("ews_ends")) for line in found.lines if line.ews and line.ews.get("phase") != "done"}
    for end in sorted(ends):
        moment = times.instant(end)
        if moment and -BEFORE_DAYS <= (moment - found.at).days <= AFTER_DAYS:
            yield _x(moment, found.at), "EWS ends", "ews"


def _told(found: model.Report) -> str:
    """The timeline in a sentence, for whoever does not see it."""
    ends = [one for line in found.lines for one in line.expiries]
    counts = [
        (WORDS[urgency], sum(one.urgency == urgency for one in ends))
        for urgency in (model.NOW, model.SOON, model.WAITS)
    ]
    names = {
        WORDS[model.NOW]: "expired",
        WORDS[model.SOON]: f"end within {model.SOON_DAYS} days",
        WORDS[model.WAITS]: f"within {model.WAITS_DAYS}",
    }
    told = ", ".join(f"{count} {names[word]}" for word, count in counts)
    if not ends:
        return "No secret and no certificate is known."
    return f"{len(ends)} secrets and certificates: {told}." if len(ends) > 1 else f"1 secret or certificate: {told}."


def _ends(one: model.Expiry) -> str:
    return f"{'expired' if one.days < 0 else 'ends'} on {_date(one.at)}" + (
        f", in {one.days} days" if one.days >= 0 else ""
    )


def _date(moment: dt.datetime) -> str:
    return times.readable_time(times.iso(moment), date_only=True)


def _moment(value: dt.datetime | None, zone: str, date_only: bool = True) -> str:
    return times.readable_time(times.iso(value), zone, date_only=date_only) if value else ""


@functools.cache
def _template() -> jinja2.Template:
    return pages.template("fleet.html.j2", moment=_moment, ews=calendar.in_words, ends=_ends)
