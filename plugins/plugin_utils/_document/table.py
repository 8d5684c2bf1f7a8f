# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A document as a table for the terminal."""

from __future__ import annotations

import re
import textwrap
import typing as t
import unicodedata

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import reach_changes, ways
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import readable_time
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.words import headline, spoken

Json = dict[str, t.Any]

MOST_CHANGES = 20
"""So many changes of reach are told in the terminal."""


def table(document: Json, width: int = 90) -> list[str]:
    """Lines no wider than ``width``: the tenant, a line per step, a line per mailbox, what is pending or left over."""
    labels = {"skipped": "-"}
    if document["mode"] != "apply":
        labels["changed"] = "drift" if document["mode"] == "audit" else "to change"
    domain = (document.get("tenant") or {}).get("domain")
    name = str(document["host"]) + (f" ({domain})" if domain and domain != document["host"] else "")
    outcome = labels.get(document["outcome"], document["outcome"])
    # What it is in capitals, but no times.
    state, *times = re.split(r"(?= until | since )", headline(document), maxsplit=1)
    lines = wrap(f"{name}: {outcome}. {state.upper()}{''.join(times)}", width)
    rows = [
        (spoken(step["step"]), labels.get(step["outcome"], step["outcome"]), step["summary"])
        for step in document["steps"]
    ]
    lines += ["", *columns([("STEP", "OUTCOME", ""), *rows], width)]
    lines += _proven(document, width)
    if document.get("tenant_wide"):
        lines += ["", *wrap(f"NOTHING limits the application to mailboxes. Accepted: {document['tenant_wide']}", width)]
    lines += _watched(document, width)
    for item in document.get("pending") or []:
        until = f" until {readable_time(item['until'])}" if item.get("until") else ""
        lines += ["", *wrap(f"Pending{until}: {item['what']}", width)]
    for leftover in document.get("leftovers") or []:
        lines += ["", *wrap(f"Left over: {leftover}", width)]
    return [line.rstrip() for line in lines]


def _proven(document: Json, width: int) -> list[str]:
    """A line for each mailbox; with several ways in a line for each of them as well. Then what was not shown."""
    wrong = " (not yet)" if document["state"] == "wait" else " (not as meant)"
    accesses = (document.get("profile") or {}).get("accesses") or []
    called = ways.labels(accesses)
    rows: list[tuple[str, ...]] = []
    several = len(called) > 1
    for row in document["mailboxes"]:
        tried = ways.proofs(row) if several else []
        for number, one in enumerate(tried or [{"verdict": row["probe"], "as_expected": row["as_expected"]}]):
            seen = spoken(str(one["verdict"] or "-")) + (wrong if one.get("as_expected") is False else "")
            first = number == 0
            cells = (row["mailbox"], row["expected"], str(row["verdict"] or "-")) if first else ("", "", "")
            way = called.get(str(one.get("access")), "-")
            rows.append((*cells, way, seen) if several else (*cells, seen))
    if not rows:
        return []
    heads = ("MAILBOX", "MEANT", "EXCHANGE SAYS")
    lines = ["", *columns([(*heads, "BY", "REALLY TRIED") if several else (*heads, "REALLY OPENED"), *rows], width)]
    for said in ways.unrefused(document, accesses):
        lines += ["", *wrap(said, width)]
    return lines


def _watched(document: Json, width: int) -> list[str]:
    """What an audit tells besides: each credential by its end, and how long EWS stay open."""
    lines: list[str] = []
    rows = [
        (
            row["display_name"] or row.get("thumbprint") or row["key_id"],
            row["kind"] + (" of the principal" if row["of"] == "service_principal" else ""),
            row["whose"],
            "" if row["days_left"] is None else "expired" if row["within_days"] == 0 else f"{row['days_left']} days",
            readable_time(row["end_date_time"], date_only=True)
            + ("" if row["outcome"] == "ok" else f": {row['outcome']}"),
        )
        for row in document.get("credentials") or []
    ]
    if rows:
        lines += ["", *columns([("CREDENTIAL", "KIND", "WHOSE", "LEFT", "ENDS"), *rows], width)]
    ews = document.get("ews")
    if ews:
        state = {True: "open for this application", False: "closed", None: "not restricted by the tenant"}[
            ews["allowed"]
        ]
        others = [entry for entry in str(ews.get("EwsAllowedAppIDs") or "").split(",") if entry.strip()]
        told = f"EWS: {state}" + (f", {len(others)} on the tenant's list" if others else "")
        if ews.get("ends_on"):
            told += f"; ends on {readable_time(ews['ends_on'], date_only=True)}, in {ews['days_left']} days"
        lines += ["", *wrap(told, width)]
    found = document.get("calendar")
    if found:
        phase = str(found["phase"] or "not begun").replace("_", " ")
        lines += ["", *wrap(f"Off EWS: {phase}. Next: {found['next']}", width)]
    lines += _reach(document.get("reach") or {}, width)
    return lines


def _reach(reach: Json, width: int) -> list[str]:
    """What else opens everything, and what has changed since the last report."""
    lines: list[str] = []
    now, could = reach.get("others_everything"), reach.get("others_mighty")
    if reach.get("all_applications"):
        told = [f"{now} can open every mailbox"] if now else []
        told += [f"{could} could bring that about"] if could else []
        lines += ["", *wrap(f"Other applications: {', '.join(told) or 'none opens everything'}", width)]
    changes = reach_changes.told(reach.get("changes") or [])
    for one in changes[:MOST_CHANGES]:
        when = f"{one['became'].capitalize()} since {readable_time(one['since'])}"
        lines += ["", *wrap(f"{when}: {one['who']} {one['what']}", width)]
    if len(changes) > MOST_CHANGES:
        lines += ["", f"And {len(changes) - MOST_CHANGES} more, which the report tells."]
    return lines


def columns(rows: t.Sequence[t.Sequence[str]], width: int, lines_each: int | None = None) -> list[str]:
    """Columns two blanks apart; the last one is wrapped, and a long first one is cut in the middle.

    ``lines_each``: what is longer than so many lines is cut.
    """
    cells = [[plain(cell) for cell in row] for row in rows]
    count = len(cells[0])
    widest = [max(_cells(row[column]) for row in cells) for column in range(count)]
    rest = sum(widest[1 : count - 1]) + 2 * (count - 1)
    widest[0] = min(widest[0], width - rest - 20)
    last = width - widest[0] - rest
    lines = []
    for row in cells:
        first = [_pad(_cut(cell, widest[column]), widest[column]) for column, cell in enumerate(row[:-1])]
        head = "  ".join(first)
        parts = wrap(row[-1], last)
        if lines_each and len(parts) > lines_each:
            parts = [*parts[: lines_each - 1], f"{parts[lines_each - 1][: last - 3].rstrip(' .,;:')}..."]
        for number, part in enumerate(parts):
            lines.append(f"{head}  {part}" if number == 0 else f"{' ' * _cells(head)}  {part}")
    return lines


def wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(plain(text), width, break_on_hyphens=False) or [""]


def _cut(text: str, width: int) -> str:
    if _cells(text) <= width:
        return text
    half = (width - 3) // 2
    return f"{text[: width - 3 - half]}...{text[len(text) - half :]}"


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _cells(text))


def _cells(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def plain(text: t.Any) -> str:
    """One line without anything that moves the cursor or turns the reading direction: such characters are spelled."""
    return "".join(
        char if char.isprintable() else " " if char in "\r\n\t" else char.encode("unicode_escape").decode()
        for char in str(text)
    )
