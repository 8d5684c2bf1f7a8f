# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a task is going to do, as data. Changed, check mode and diff all fall out of it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked

Json = dict[str, t.Any]


@dataclass(frozen=True)
class Step:
    """One change, as data. ``title`` says it to people.

    Every resource has a type of its own for each kind of step, with what that step needs as fields, and matches them
    with ``assert_never`` for the rest: a step that nobody thought of cannot fall through into a write.
    """

    title: str


@dataclass
class Plan:
    """before, after, steps and outcome of one task.

    ``before`` and ``after`` are what ``--diff`` shows; ``result`` is what the module returns beside
    ``changed`` and ``outcome``: as it is when nothing is to be done, as predicted in check mode.
    ``pending`` says what is right but not yet in force, ``pending_until`` when to look again (ISO 8601, UTC).
    ``blocked`` is a reason to stop before the first step. ``added`` is what was not there and is now: what a removal
    may take back. It is a list of ``{kind, of, id}`` (a mapping: the older shape, which the record reads as well).
    """

    before: Json = field(default_factory=dict)
    after: Json = field(default_factory=dict)
    steps: list[t.Any] = field(default_factory=list)
    """Instances of Step; a resource knows of which types."""
    result: Json = field(default_factory=dict)
    summary: str = ""
    warnings: list[str] = field(default_factory=list)
    pending: str | None = None
    pending_until: str | None = None
    blocked: Blocked | None = None
    added: Json | list[Json] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """``blocked`` before ``pending`` before ``changed`` before ``ok``."""
        if self.blocked is not None:
            return "blocked"
        if self.pending is not None:
            return "pending"
        return "changed" if self.steps else "ok"


@dataclass(frozen=True)
class Settled:
    """What reading the own writes back brought: result values that replace predictions, and what is still to come.

    ``pending`` says what is right but does not show yet, ``pending_until`` when to look again (ISO 8601, UTC).
    """

    values: Json = field(default_factory=dict)
    pending: str | None = None
    pending_until: str | None = None
    warnings: tuple[str, ...] = ()
    instead: t.Mapping[str, str] = field(default_factory=dict)
    """What was planned -> what came of it, where summary and steps name it: a deed is told as it was done."""

    def told(self, text: str) -> str:
        for planned, came in self.instead.items():
            text = text.replace(planned, came)
        return text


class NotYet(Exception):
    """A step that the service takes later. What was done before it stays, what comes after it waits for another run.

    ``settled``: all that the task returns; its ``pending`` says what is waited for. ``added``: what the steps before
    it added.
    """

    def __init__(self, settled: Settled, added: t.Sequence[Json] = ()) -> None:
        super().__init__(settled.pending)
        self.settled = settled
        self.added = list(added)


class Resource(t.Protocol):
    """One thing in a tenant: made from the tenant and the task's options, used once."""

    def read(self) -> t.Any:
        """The state as the services tell it. A failed read raises; it never stands for "absent"."""

    def plan(self, current: t.Any) -> Plan:
        """Pure: from what is and what is wanted to what has to be done."""

    def perform(self, step: t.Any) -> None:
        """Do one step of the resource's own types. AnswerLost makes the caller read and plan again instead of
        repeating the step; NotYet ends the task as pending."""

    def settle(self, plan: Plan) -> Settled | Json:
        """After the steps: read the own writes back with patience (``_settle``). A mapping stands for its values."""


@t.runtime_checkable
class Lasting(t.Protocol):
    """A resource some of whose deeds have to be known of a task that failed, too."""

    def lasting(self) -> Json:
        """Result values. Asks nothing of any service, and raises nothing."""


class ReadOnly:
    """The half of a resource that changes nothing."""

    def perform(self, step: Step) -> None:
        raise AssertionError(f"nothing here writes, so there is no step {step.title!r}")

    def settle(self, plan: Plan) -> Settled:
        return Settled()
