# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each service was asked for a tenant, from the emulator's journal."""

from __future__ import annotations

import typing as t
from collections import Counter, defaultdict

LOGIN, GRAPH = "login.microsoftonline.com", "graph.microsoft.com"
SERVICES = ("Graph", "Exchange", "sign-in", "proof")
Row = t.Mapping[str, t.Any]


def service(row: Row) -> str | None:
    """One of ``SERVICES``, or None for what is counted elsewhere: a part of a batch, or where to sign in."""
    if row.get("batch"):
        return None
    if row["host"] == LOGIN:
        return "sign-in" if row["path"].endswith("/token") else None
    if row["path"].lower().startswith("/ews/"):
        return "proof"
    return "Graph" if row["host"] == GRAPH else "Exchange"


def by_tenant(journal: t.Iterable[Row]) -> dict[str, Counter[str]]:
    """By tenant and service. The sign-in right before a proof is the proof's own."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    last: dict[str, str] = {}
    for row in journal:
        asked = service(row)
        if asked is None:
            continue
        tenant = str(row["tenant"])
        if asked == "proof" and last.get(tenant) == "sign-in":
            counts[tenant]["sign-in"] -= 1
            counts[tenant]["proof"] += 1
        counts[tenant][asked] += 1
        last[tenant] = asked
    return dict(counts)


def of_one(journal: t.Iterable[Row], tenants: int) -> dict[str, float]:
    """By service, the mean of the tenants."""
    whole: Counter[str] = Counter()
    for counts in by_tenant(journal).values():
        whole.update(counts)
    return {name: whole[name] / tenants for name in SERVICES}
