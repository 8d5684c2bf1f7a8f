# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Rings: a run over many tenants goes on to the next of them only where the one before has come to a good end.

Pure. How many belong to a ring, and how many of them may be bad, is said once for a run. Audits and runs in check mode
write nothing, so they have none: whoever looks wants to see everybody.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _blanks

Json = dict[str, t.Any]
SIZE, MOST_BAD = "mail2fax_ring_size", "mail2fax_ring_max_bad"
BAD = ("blocked", "failed")
LOOKING = ("audit", "fleet_report", "reach", "awx", "conformance")
"""Playbooks that change no tenant."""

NOTHING: Json = {"sizes": [], "max_bad": 0}


@dataclass(frozen=True)
class Held:
    """Which ring (from 1) was not good enough: how many of its tenants were bad, and who was not begun for it."""

    number: int
    bad: int
    of: int
    allowed: int
    waiting: tuple[str, ...]

    @property
    def told(self) -> str:
        """A sentence."""
        share = f"{self.bad} of {self.of} tenants" if self.of > 1 else "the one tenant"
        return (
            f"ring {self.number} held the run up: {share} of it came to a bad end, and {self.allowed} percent may. "
            f"{len(self.waiting)} {'tenant was' if len(self.waiting) == 1 else 'tenants were'} not begun."
        )


def wrong_size(value: t.Any) -> str | None:
    """What is wrong with a size, or with a list of them; None if nothing is."""
    try:
        read = sizes(value, 100)
    except ValueError as exc:
        return f"{exc}. What to do: write it as 10, as 10%, or as a list of such that grows, [1, 10, 25%]."
    return None if read else "names no size. What to do: write it as 10, as 10%, or as a list of such, [1, 10, 25%]."


def wrong_share(value: t.Any) -> str | None:
    """What is wrong with the share that may be bad; None if nothing is."""
    try:
        share(value)
    except ValueError as exc:
        return f"{exc}. What to do: write how many percent of a ring may be blocked or failed, from 0 to 100."
    return None


def sizes(value: t.Any, count: int) -> list[int]:
    """How many hosts, of ``count``, each ring has; the last one goes on for all that are left. Raises ValueError."""
    items = _blanks.listed(value) if isinstance(value, (str, list)) else [value]
    return [_size(item, count) for item in items]


def _size(value: t.Any, count: int) -> int:
    text = str(value).strip()
    number = _blanks.whole(text.removesuffix("%").strip() if isinstance(value, str) else value)
    if number is None:
        raise ValueError(f"is {_shown(value)}, which is not a number of tenants")
    if number < 1:
        raise ValueError(f"is {_shown(value)}, and a ring has one tenant at least")
    if not text.endswith("%"):
        return number
    if number > 100:
        raise ValueError(f"is {_shown(value)}, more than all tenants")
    return max(1, count * number // 100)


def share(value: t.Any) -> int:
    """Percent. Raises ValueError."""
    text = value.strip().removesuffix("%").strip() if isinstance(value, str) else value
    number = _blanks.whole(text)
    if number is None or not 0 <= number <= 100:
        raise ValueError(f"is {_shown(value)}, which is not a percentage")
    return number


def _shown(value: t.Any) -> str:
    return repr(value) if isinstance(value, str) else "true or false" if isinstance(value, bool) else str(value)[:40]


def of_run(said: t.Sequence[t.Mapping[str, t.Any]], count: int) -> tuple[Json, str]:
    """The rings of a run whose hosts have ``said`` these variables (see ``claimed``); and what is wrong, or nothing."""
    first = dict(said[0]) if said else {}
    if any(dict(one) != first for one in said):
        return dict(NOTHING), (
            f"{SIZE} and {MOST_BAD} are the run's, and its hosts say different things. What to do: say them once for "
            "all of them, as extra variables or in the inventory's vars of all."
        )
    try:
        found = {"sizes": sizes(first[SIZE], count) if SIZE in first else [], "max_bad": share(first.get(MOST_BAD, 0))}
    except ValueError:
        # Every host complains of it for itself.
        return dict(NOTHING), ""
    return found, ""


def claimed(said: t.Mapping[str, t.Any], *, playbook: str, predicts: bool) -> Json:
    """What one host says of the rings of its run."""
    if predicts or playbook in LOOKING:
        return {}
    return {name: said[name] for name in (SIZE, MOST_BAD) if name in said}


def cut(hosts: t.Sequence[str], sizes_: t.Sequence[int]) -> list[list[str]]:
    """The hosts of each ring."""
    found: list[list[str]] = []
    rest = list(hosts)
    while rest:
        size = sizes_[min(len(found), len(sizes_) - 1)] if sizes_ else len(rest)
        found.append(rest[:size])
        rest = rest[size:]
    return found


def too_many(bad: int, of: int, allowed: int) -> bool:
    """Whether more than the allowed share is bad: with 50, one of two may be."""
    return bad * 100 > allowed * of


def held(hosts: t.Sequence[str], rings: t.Mapping[str, t.Any], bad: t.Callable[[str], bool]) -> Held | None:
    """The first ring that holds up what comes after it; None where none does, or nothing came after it."""
    sizes_, allowed = list(rings.get("sizes") or []), int(rings.get("max_bad") or 0)
    if not sizes_:
        return None
    parts = cut(hosts, sizes_)
    for number, part in enumerate(parts[:-1]):
        count = sum(map(bad, part))
        if too_many(count, len(part), allowed):
            waiting = tuple(host for later in parts[number + 1 :] for host in later)
            return Held(number + 1, count, len(part), allowed, waiting)
    return None
