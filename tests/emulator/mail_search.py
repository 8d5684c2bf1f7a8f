# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SEARCH keys that Twisted's IMAP server answers wrongly: it compares texts with bytes, and takes days for instants."""

from __future__ import annotations

import datetime as dt
import email.utils
import typing as t

Query = list[t.Any]


class Searching:
    """Laid over Twisted's server: each method takes what it needs from the front of ``query``."""

    def search_HEADER(self, query: Query, _id: int, msg: t.Any) -> bool:
        name = _text(query.pop(0)).lower()
        return _within(query, msg, name)

    def search_SUBJECT(self, query: Query, _id: int, msg: t.Any) -> bool:
        return _within(query, msg, "subject")

    def search_FROM(self, query: Query, _id: int, msg: t.Any) -> bool:
        return _within(query, msg, "from")

    def search_TO(self, query: Query, _id: int, msg: t.Any) -> bool:
        return _within(query, msg, "to")

    def search_CC(self, query: Query, _id: int, msg: t.Any) -> bool:
        return _within(query, msg, "cc")

    def search_BCC(self, query: Query, _id: int, msg: t.Any) -> bool:
        return _within(query, msg, "bcc")

    def search_TEXT(self, query: Query, _id: int, msg: t.Any) -> bool:
        return _text(query.pop(0)).lower().encode() in msg.open().read().lower()

    def search_BODY(self, query: Query, _id: int, msg: t.Any) -> bool:
        return _text(query.pop(0)).lower().encode() in msg.getBodyFile().read().lower()

    def search_SINCE(self, query: Query, _id: int, msg: t.Any) -> bool:
        return _day(msg.getInternalDate()) >= _asked(query)

    def search_BEFORE(self, query: Query, _id: int, msg: t.Any) -> bool:
        return _day(msg.getInternalDate()) < _asked(query)

    def search_ON(self, query: Query, _id: int, msg: t.Any) -> bool:
        return _day(msg.getInternalDate()) == _asked(query)


def _within(query: Query, msg: t.Any, name: str) -> bool:
    wanted, held = _text(query.pop(0)).lower(), msg.getHeaders(False, name)
    return name in held and wanted in held[name].lower()


def _asked(query: Query) -> dt.date:
    return dt.datetime.strptime(_text(query.pop(0)), "%d-%b-%Y").replace(tzinfo=dt.UTC).date()


def _day(text: str) -> dt.date:
    return email.utils.parsedate_to_datetime(text).date()


def _text(value: t.Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
