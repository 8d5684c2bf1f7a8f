# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Read your own write, with patience: one loop for every resource that writes.

A write has arrived when the resource, read and planned again, finds nothing left to do. Which of the two it is when
patience ends is the resource's to say: a conflict with somebody else (``require``), or something on its way
(a ``Settled`` that is pending).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Conflict
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

S = t.TypeVar("S")


class Readable(t.Protocol[S]):
    """What can be read and planned again."""

    def read(self) -> S:
        """The state as the services tell it now."""

    def plan(self, current: S) -> Plan:
        """What is left to do."""


@dataclass(frozen=True)
class Seen(t.Generic[S]):
    """What the last look showed."""

    state: S
    plan: Plan

    @property
    def arrived(self) -> bool:
        return not self.plan.steps and self.plan.blocked is None

    @property
    def left(self) -> str:
        """What is still to do, in words; "" when nothing is."""
        if self.plan.blocked is not None:
            return self.plan.blocked.message
        return "; ".join(step.title for step in self.plan.steps)

    def require(self, thing: str) -> Seen[S]:
        """Itself if the write has arrived. Raises Conflict: ``thing`` (in the singular) is not as it was written."""
        if self.arrived:
            return self
        raise Conflict(
            f"{thing} does not read as it was written; still to do: {self.left}",
            attempted=f"read {thing} back",
            cure="look whether another tool changes it too, then run again in some minutes",
        )


def read_back(tenant: Tenant, resource: Readable[S], *, budget_s: float | None = None) -> Seen[S]:
    """Read and plan until nothing is left to do, or the patience ends. The last look, whatever it showed.

    ``budget_s``: another patience than the task's own, in seconds.
    """
    seen: list[Seen[S]] = []

    def arrived() -> bool:
        state = resource.read()
        seen.append(Seen(state, resource.plan(state)))
        return seen[-1].arrived

    tenant.patiently(arrived, budget_s=budget_s)
    return seen[-1]
