# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A tenant's way off Exchange Web Services: the days that are left, where its migration stands, and what comes next."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._resources.ews_access import SUNSET
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import instant, readable_time

Json = dict[str, t.Any]
Like = t.Mapping[str, t.Any]

_AGAIN = "run mail2fax.m365.migrate again"
_NEXT = {
    "prepare": f"{_AGAIN}: it makes the new way in beside the old one",
    "prove": f"{_AGAIN}: it proves the new way in",
    "hand_over": f"{_AGAIN}: it writes the sheet that tells the fax administrator what to change",
    "confirm": (
        "change the fax server's settings as the sheet tells, then run mail2fax.m365.migrate with "
        "mail2fax_migrate_confirm: true"
    ),
    "retire": f"{_AGAIN}: it takes the old way in away",
}
_BEGIN = (
    "run mail2fax.m365.migrate with mail2fax_migrate_to, once the vendor has named the successor of this connection"
)
_BACK = "run mail2fax.m365.migrate with mail2fax_migrate_rollback: true again"
_OVER = "EWS has ended: run mail2fax.m365.migrate with mail2fax_migrate_to"


def calendar(profiles: t.Iterable[Like], migration: t.Any, at: dt.datetime) -> Json | None:
    """``ews_days_left``, ``ews_ends``, ``phase`` (None while no migration has begun) and ``next``, a clause.

    ``profiles``: the wanted and the recorded one, resolved or as a record has it; None where neither has an access by
    EWS. ``migration`` is the record's.
    """
    known = [profile for profile in profiles if isinstance(profile, t.Mapping)]
    if not any(_has_ews(profile) for profile in known):
        return None
    end = next((date for profile in known if _has_ews(profile) and (date := _sunset(profile))), SUNSET)
    standing = migration if isinstance(migration, t.Mapping) else {}
    phase = standing.get("phase")
    left = (end - at.date()).days
    return {
        "ews_days_left": left,
        "ews_ends": end.isoformat(),
        "phase": str(phase) if phase else None,
        "next": _next(standing, left, at),
    }


def of(document: Like, at: dt.datetime) -> Json | None:
    """The calendar that a document has, or would have: only an audit's tells it."""
    if "calendar" in document:
        found = document["calendar"]
        return dict(found) if isinstance(found, t.Mapping) else None
    if document.get("state") in ("removing", "removed"):
        return None
    return calendar([document.get("profile") or {}], document.get("migration"), at)


def in_words(found: Like) -> str:
    """``124 days, confirm``: what a column of a table takes."""
    left = int(found["ews_days_left"])
    days = "ended" if left < 0 else "ends today" if left == 0 else "1 day" if left == 1 else f"{left} days"
    return f"{days}, {str(found['phase']).replace('_', ' ')}" if found.get("phase") else days


def _has_ews(profile: Like) -> bool:
    return any(access.get("protocol") == "ews" for access in profile.get("accesses") or [])


def _sunset(profile: Like) -> dt.date | None:
    found = instant(str((profile.get("sunset") or {}).get("date") or ""))
    return found.date() if found else None


def _next(standing: Like, left: int, at: dt.datetime) -> str:
    """What a person does next; where something is waited for, from when on, and what that is."""
    phase, until = str(standing.get("phase") or ""), standing.get("until")
    if phase not in _NEXT:
        return _OVER if left < 0 else _BEGIN
    moment = instant(until)
    after = f"after {readable_time(until)}: " if moment and moment > at else ""
    if standing.get("rolling"):
        return f"{after}{_BACK}"
    # What a person is to do is what is awaited.
    awaits = f" (it waits for {standing['awaits']})" if standing.get("awaits") and phase != "confirm" else ""
    return f"{after}{_NEXT[phase]}{awaits}"
