# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One answer of an evidence pack to one question of an auditor, and what all answers are made from. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

Json = dict[str, t.Any]

PROVEN, PARTLY, NOT_PROVEN, WRONG = "proven", "partly proven", "not proven", "not as declared"


@dataclass(frozen=True)
class Answer:
    """``state``: one of the four words above. ``how`` and ``at``: by what it is known, and since when (ISO 8601).
    ``files``: where the details stand."""

    key: str
    question: str
    state: str
    short: str
    proven: tuple[str, ...] = ()
    not_proven: tuple[str, ...] = ()
    how: str = ""
    at: str | None = None
    files: tuple[str, ...] = ()


def said(*sentences: str | None) -> tuple[str, ...]:
    """Those that say something."""
    return tuple(text for text in sentences if text)


def at(facts: t.Mapping[str, Json]) -> str:
    return str(facts["audit.json"]["at"])


def step(facts: t.Mapping[str, Json], key: str) -> Json:
    return next((dict(row) for row in facts["audit.json"]["steps"] if row["step"] == key), {})
