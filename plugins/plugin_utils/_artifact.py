# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a run hands to the next job of a workflow: a few words of the tenants that want something, and no secret.

It stands in clear in the job and in every later job's variables, so it is kept small.
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._fleet import ORDER, Row

Json = dict[str, t.Any]

FINE = frozenset({"changed", "ok", "removed", "not looked at"})
"""Outcomes of which a later job need not hear, tenant by tenant."""

LONGEST_TEXT = 200
LARGEST = 3500
"""Bytes of JSON."""

SAID = {"removed": "ok", "not looked at": "ok"}
"""What these rows are among the five outcomes."""


def name(job: t.Any) -> str:
    """The variable's name. Slices of a job are jobs of their own, and their artifacts are laid over each other."""
    number = str(job or "").strip()
    return f"mail2fax_run_{number}" if re.fullmatch(r"[0-9]+", number, re.ASCII) else "mail2fax_run_local"


def artifact(rows: t.Iterable[Row]) -> Json:
    """``outcome`` (the worst), ``days_left`` (the fewest), ``next`` (the most urgent thing), ``tenants`` (not ok)."""
    found = sorted(rows, key=lambda one: one.urgency)
    days = [one.days for one in found if one.days is not None]
    wanting = [one for one in found if one.outcome not in FINE]
    made: Json = {
        "outcome": min((SAID.get(one.outcome, one.outcome) for one in found), key=ORDER.index, default="ok"),
        "days_left": min(days, default=None),
        "next": next((f"{one.host}: {_cut(one.next)}" for one in found if one.next), ""),
        "tenants": {},
    }
    for one in wanting:
        entry = {"outcome": one.outcome, "days_left": one.days, "next": _cut(one.next)}
        if len(json.dumps({**made, "tenants": {**made["tenants"], one.host: entry}})) > LARGEST:
            break
        made["tenants"][one.host] = entry
    if len(made["tenants"]) < len(wanting):
        made["more"] = len(wanting) - len(made["tenants"])
    return made


def _cut(text: str) -> str:
    """One line, which nobody takes for a template."""
    line = re.sub(r"\{(?=[{%#])", "{ ", " ".join(text.split()))
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 3]}..."
