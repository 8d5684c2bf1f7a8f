# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What can sign in as an application, until when, and how urgent that is: pure, from what Graph lists of it."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._store import instant, iso

Json = dict[str, t.Any]
OURS, RETIRING, FOREIGN = "ours", "retiring", "foreign"


@dataclass(frozen=True)
class Thresholds:
    """Days before the end from which on a credential is ``pending``, and ``blocked``; an expired one is ``blocked``."""

    pending: tuple[int, ...] = (60, 30)
    blocked: tuple[int, ...] = (14, 7)

    @classmethod
    def of(cls, given: t.Mapping[str, t.Any] | None) -> Thresholds:
        """From an inventory's variable, the usual ones where it is silent. Raises ValueError."""
        unknown = [given] if isinstance(given, str) else sorted(map(str, set(given or ()) - {"pending", "blocked"}))
        if unknown:
            raise ValueError(f"the thresholds are pending and blocked, not {', '.join(unknown)}")
        return cls(**{name: _days(name, value) for name, value in (given or {}).items() if value is not None})

    def passed(self, left: dt.timedelta) -> tuple[str, int | None]:
        """(outcome, the threshold that it lies within); expired counts as within 0 days."""
        if left <= dt.timedelta(0):
            return "blocked", 0
        within = min((days for days in (*self.pending, *self.blocked) if left <= dt.timedelta(days=days)), default=None)
        if within is None:
            return "ok", None
        return ("blocked" if any(left <= dt.timedelta(days=days) for days in self.blocked) else "pending"), within

    def worse_at(self, end: dt.datetime) -> dt.datetime:
        """When a credential that ends then will be ``blocked``."""
        return end - dt.timedelta(days=max(self.blocked, default=0))


def _days(name: str, value: t.Any) -> tuple[int, ...]:
    try:
        found = tuple(int(item) for item in ([value] if isinstance(value, (int, str)) else value))
    except (TypeError, ValueError):
        raise ValueError(f"the threshold {name} takes numbers of days, not {value!r}") from None
    if any(days < 0 for days in found):
        raise ValueError(f"the threshold {name} has a negative number of days")
    return found


def listed(application: t.Mapping[str, t.Any], secret_name: str, in_use: str | None) -> list[Json]:
    """A row for each secret and certificate of an application and of its service principal.

    ``application`` is as entra_application_info returns it. Ours are the application's secrets of ``secret_name``:
    ``in_use`` is the key id of the one in the store; without that the youngest is taken for it. The others of that
    name are ``retiring``.
    """
    rows = []
    for holder, document in (("application", application), ("service_principal", application.get("service_principal"))):
        for kind, name in (("secret", "secrets"), ("certificate", "certificates")):
            for item in (document or {}).get(name) or []:
                row: Json = {
                    "kind": kind,
                    "of": holder,
                    "display_name": item.get("display_name"),
                    "key_id": str(item.get("key_id") or "").lower(),
                    "start_date_time": item.get("start_date_time"),
                    "end_date_time": item.get("end_date_time"),
                    "whose": FOREIGN,
                }
                if item.get("thumbprint"):
                    row["thumbprint"] = item["thumbprint"]
                rows.append(row)
    _claim(rows, secret_name, in_use)
    return rows


def of_record(secret: t.Mapping[str, t.Any] | None) -> list[Json]:
    """The row of the secret that a run's document tells of, where nothing else is known."""
    if not secret or not secret.get("key_id"):
        return []
    return [
        {
            "kind": "secret",
            "of": "application",
            "display_name": secret.get("display_name"),
            "key_id": str(secret["key_id"]).lower(),
            "start_date_time": secret.get("start_date_time"),
            "end_date_time": secret.get("end_date_time"),
            "whose": OURS,
        }
    ]


def carried(rows: t.Iterable[Json], secret: t.Mapping[str, t.Any] | None) -> list[Json]:
    """The rows of an earlier look; ``secret`` is the one in use as the last run knew it, which may be younger."""
    known = [dict(row) for row in rows]
    ours = of_record(secret)
    if ours and ours[0]["key_id"] not in {row["key_id"] for row in known}:
        for row in known:
            if row["whose"] == OURS:
                row["whose"] = RETIRING
        known += ours
    return known


def judged(rows: t.Iterable[Json], thresholds: Thresholds, now: dt.datetime) -> list[Json]:
    """The rows with ``days_left``, ``outcome`` and ``within_days``, the first to end first."""
    found = []
    for row in rows:
        end = _end(row)
        if end is None:
            found.append({**row, "days_left": None, "outcome": "ok", "within_days": None})
            continue
        outcome, within = thresholds.passed(end - now)
        if row["whose"] == RETIRING:
            # Its successor is in use already, and a rotation removes it.
            outcome, within = "ok", None
        found.append({**row, "days_left": (end - now).days, "outcome": outcome, "within_days": within})
    return sorted(found, key=lambda row: (str(row["end_date_time"]), row["key_id"]))


def step(rows: t.Sequence[Json], thresholds: Thresholds) -> Json:
    """Outcome, summary and, where a person is needed, ``msg`` or ``pending`` with the time when it gets worse."""
    found: Json = {"outcome": "ok", "summary": _summary(rows)}
    for outcome in ("blocked", "pending"):
        met = [row for row in rows if row["outcome"] == outcome]
        if not met:
            continue
        told = "; ".join(f"{_named(row)} {_ends(row)}, {_cure(row)}" for row in met)
        found["outcome"] = outcome if found["outcome"] == "ok" else found["outcome"]
        if outcome == "blocked":
            found["msg"] = told
        else:
            found["pending"] = told
            found["pending_until"] = iso(min(thresholds.worse_at(end) for end in map(_end, met) if end))
    return found


def _claim(rows: list[Json], secret_name: str, in_use: str | None) -> None:
    named = [
        row
        for row in rows
        if (row["kind"], row["of"]) == ("secret", "application") and row["display_name"] == secret_name
    ]
    front = next((row for row in named if in_use and row["key_id"] == in_use.lower()), None)
    front = front or max(named, key=lambda row: (str(row["start_date_time"]), str(row["end_date_time"])), default=None)
    for row in named:
        row["whose"] = OURS if row is front else RETIRING


def _end(row: Json) -> dt.datetime | None:
    try:
        return instant(str(row["end_date_time"]))
    except ValueError:
        return None


def _named(row: Json) -> str:
    foreign = "the foreign " if row["whose"] == FOREIGN else "the "
    holder = " of the service principal" if row["of"] == "service_principal" else ""
    name = repr(row["display_name"]) if row["display_name"] else row.get("thumbprint") or row["key_id"]
    return f"{foreign}{row['kind']} {name}{holder}"


def _ends(row: Json) -> str:
    on = str(row["end_date_time"])[:10]
    if row["within_days"] == 0:
        return f"expired on {on}"
    return f"ends on {on}, in {row['days_left']} days"


def _cure(row: Json) -> str:
    if row["whose"] == OURS:
        return "renew it with mail2fax.m365.rotate"
    return "remove it" if row["within_days"] == 0 else "have its owner renew it, or remove it"


def _summary(rows: t.Sequence[Json]) -> str:
    if not rows:
        return "no secret and no certificate"
    counts = {kind: sum(row["kind"] == kind for row in rows) for kind in ("secret", "certificate")}
    told = " and ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items() if count)
    foreign = sum(row["whose"] == FOREIGN for row in rows)
    told += f", {foreign} foreign" if foreign else ""
    first = next((row for row in rows if row["whose"] != RETIRING and row["days_left"] is not None), None)
    if first is None:
        return told
    if first["within_days"] == 0:
        return f"{told}; {sum(row['within_days'] == 0 for row in rows)} expired"
    return f"{told}; the first ends in {first['days_left']} days"
