# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A report of reach as a table for spreadsheets. Pure."""

from __future__ import annotations

import csv
import io
import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import reach_words as words
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.words import some

Json = dict[str, t.Any]
Like = t.Mapping[str, t.Any]

COLUMNS = (
    *("host", "tenant_id", "application", "app_id", "ours", "reach", "kind", "mailbox", "declared", "protocol"),
    *("permission", "model", "limited_by", "state", "detail", "seen_since"),
)


def table(document: Like) -> str:
    """The report as CSV, a row for each way, power, person and thing that could not be read. ``kind`` says which.

    A cell that a spreadsheet would take for a formula begins with an apostrophe.
    """
    target = io.StringIO()
    writer = csv.DictWriter(target, COLUMNS, restval="", lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writeheader()
    for row in _rows(document):
        writer.writerow({key: harmless(value) for key, value in row.items()})
    return target.getvalue()


def harmless(value: t.Any) -> str:
    """A cell that no spreadsheet calculates: what would begin a formula comes after an apostrophe."""
    text = "" if value is None else str(value)
    # Blanks, and characters that nobody sees, before it do not keep a spreadsheet from it.
    first = next((char for char in text if char.isprintable() and not char.isspace()), "")
    begins = text[:1] in ("\t", "\r", "\n") or first in _FORMULAE
    return f"'{text}" if begins else text


_FORMULAE = frozenset(
    "=+-@|\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)


def _but(way: Like) -> str:
    closed = [str(one) for one in way.get("but") or []]
    return f"but {some(closed)}" if closed else ""


def _rows(document: Like) -> t.Iterator[Json]:
    declared = {str(one).casefold() for one in document.get("declared") or []}
    tenant = {"host": document.get("host"), "tenant_id": (document.get("tenant") or {}).get("id")}
    own = str(document.get("application_id") or "").lower()
    for missing in document.get("missing") or []:
        yield {**tenant, "kind": "not read", "detail": missing}
    for one in document.get("applications") or []:
        common = {
            **tenant,
            "application": one.get("display_name"),
            "app_id": one.get("app_id"),
            "ours": "yes" if own and str(one.get("app_id")).lower() == own else "no",
            "reach": words.extent(one),
        }
        listed: list[tuple[str, Like]] = [("(every mailbox)", way) for way in words.widest(one)]
        if one.get("everything") and not listed:
            listed = [("(every mailbox)", {})]
        listed += [(str(row["address"]), way) for row in words.rows(one) for way in row.get("ways") or []]
        for mailbox, way in listed:
            yield {
                **common,
                "kind": "way",
                "mailbox": mailbox,
                "declared": "yes" if mailbox.casefold() in declared else "no",
                "protocol": way.get("protocol"),
                "permission": way.get("permission"),
                "model": way.get("model"),
                "limited_by": "; ".join(str(by) for by in way.get("limited_by") or []),
                "state": "alive" if words.alive(way) else "dormant",
                "detail": "; ".join(filter(None, (way.get("why"), _but(way)))),
                "seen_since": way.get("seen_since"),
            }
        for power in one.get("powers") or []:
            told = {"permission": power.get("permission"), "state": power.get("opens"), "detail": power.get("what")}
            yield {**common, **told, "kind": "power", "seen_since": power.get("seen_since")}
        for person in one.get("people") or []:
            yield {**common, "kind": "person", "detail": words.person(person), "seen_since": person.get("seen_since")}
        for missing in one.get("missing") or []:
            yield {**common, "kind": "not read", "detail": missing}
