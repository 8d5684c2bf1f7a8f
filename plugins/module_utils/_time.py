# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Instants in and out, one way: aware datetimes inside, ISO 8601 in UTC to the second outside."""

from __future__ import annotations

import datetime as dt
import email.utils
import re
import typing as t

_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)(?:[.,](\d+))?(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE)


def instant(text: t.Any) -> dt.datetime | None:
    """The instant that an ISO 8601 text names; without a zone it is UTC. None when there is none.

    Graph writes seven decimals and Exchange now and then a space for the T; a date alone begins at midnight.
    """
    if isinstance(text, dt.datetime):
        return text if text.tzinfo else text.replace(tzinfo=dt.UTC)
    written = str(text or "").strip().replace(" ", "T", 1)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", written):
        written += "T00:00:00"
    found = _ISO.fullmatch(written)
    if found is None:
        return None
    whole, decimals, zone = found.groups()
    try:
        moment = dt.datetime.fromisoformat(f"{whole.upper()}{_zone(zone)}")
        return moment.replace(microsecond=int(((decimals or "") + "000000")[:6]))
    except ValueError:
        return None


def iso(moment: dt.datetime) -> str:
    """To the second, in UTC, as Graph writes it: ``2026-11-21T12:00:00Z``."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return aware.astimezone(dt.UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def http_date(text: t.Any) -> dt.datetime | None:
    """The instant of a ``Date`` or ``Retry-After`` header; None when it is none."""
    try:
        moment = email.utils.parsedate_to_datetime(str(text))
    except (TypeError, ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _zone(text: str | None) -> str:
    return "+00:00" if text in (None, "Z", "z") else str(text)
