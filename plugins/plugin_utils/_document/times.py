# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Instants of a document, and how people read them."""

from __future__ import annotations

import datetime as dt
import typing as t
import zoneinfo

from ansible_collections.mail2fax.m365.plugins.module_utils._time import instant, iso

__all__ = ["instant", "iso", "now", "readable_time"]


def now() -> dt.datetime:
    """The only clock of a document."""
    return dt.datetime.now(dt.UTC)


def readable_time(value: t.Any, zone: str = "UTC", date_only: bool = False) -> str:
    """An instant as people read it: ``21 Nov 2026, 15:30 UTC``. Empty for nothing, as it is for anything else."""
    if not value:
        return ""
    moment = instant(value)
    if moment is None:
        return str(value)
    local = moment.astimezone(zoneinfo.ZoneInfo(zone) if zone != "UTC" else dt.UTC)
    date = f"{local.day} {_MONTHS[local.month - 1]} {local.year}"
    return date if date_only else f"{date}, {local:%H:%M} {local.tzname()}"


# Not by the locale of whoever runs it: the sheet is English.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
