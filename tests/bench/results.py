# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs side by side came to, row by row, and what each row may be at most."""

from __future__ import annotations

import typing as t

from tests.bench.asked import SERVICES
from tests.bench.contenders import Figures
from tests.bench.table import Row

Runs = dict[tuple[str, str, int], list[Figures]]
"""By contender, what was run (``provision``, ``audit``, ``far``), and the number of tenants."""
OWN, FLOOR = "this tree", "floor"
ASKED = {"Graph": 5.0, "Exchange": 5.0}
"""The most that a tenant with nothing to change may ask of each."""


def rows(runs: Runs, base: str, counts: tuple[int, int], audit_counts: tuple[int, int]) -> list[Row]:
    many = counts[1]

    def of(who: str, name: str, count: int, figure: str) -> list[float]:
        return [getattr(one, figure) for one in runs.get((who, name, count), ())]

    def more(who: str, name: str, between: tuple[int, int], figure: str) -> list[float]:
        """What one more takes, pair by pair."""
        pairs = zip(of(who, name, between[0], figure), of(who, name, between[1], figure), strict=True)
        return [(larger - smaller) / (between[1] - between[0]) for smaller, larger in pairs]

    def cpu(name: str, between: tuple[int, int]) -> list[list[float]]:
        return [more(who, name, between, "cpu_s") for who in (OWN, base, FLOOR)]

    own, old, empty = cpu("provision", counts)
    own_audit, old_audit, _none = cpu("audit", audit_counts)
    found = [
        Row("one more tenant, provision, s of CPU", own, old, empty, of_base=0.5, of_floor=1.3, digits=3),
        Row("one more tenant, audit, s of CPU", own_audit, old_audit, of_base=0.5, digits=3),
        Row(
            "the first tenant with Ansible's start, s of CPU",
            *(of(who, "provision", 1, "cpu_s") for who in (OWN, base, FLOOR)),
            of_base=0.7,
        ),
        Row(
            f"{many} tenants far away, all processes, MiB at the most",
            *([kib / 1024 for kib in of(who, "far", many, "all_kib")] for who in (OWN, base)),
            of_base=0.8,
            digits=0,
        ),
        Row(
            "one more tenant, the controller's memory, kB",
            *(more(who, "provision", counts, "main_kib") for who in (OWN, base, FLOOR)),
            itself=150,
            digits=0,
        ),
        Row(
            f"{many} tenants far away, s until the end",
            *(of(who, "far", many, "wall_s") for who in (OWN, base)),
            of_base=0.5,
            digits=1,
        ),
    ]
    return [*found, *_asked(runs, base, many)]


def _asked(runs: Runs, base: str, many: int) -> t.Iterator[Row]:
    titles = {"sign-in": "sign-ins", "proof": "the proof's own requests"}
    for name in SERVICES:
        each = [[one.asked[name] for one in runs[who, "provision", many]] for who in (OWN, base)]
        title = f"requests of a tenant: {titles.get(name, name)}"
        yield Row(title, *each, itself=ASKED.get(name), digits=1)
