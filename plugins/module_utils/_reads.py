# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What the first look of a run has read, handed on to the tasks after it, which need not ask for it again.

It stands only for "all is as it should be". A plan with anything in it is made of what is read anew, and so is all that
comes after the run's first write in the tenant: nothing is ever written, and nothing granted, by what was handed on.
"""

from __future__ import annotations

import datetime as dt
import json
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._http import Heard, ServiceClock
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Clock

FRESH_S = 120.0
"""How long an answer may be handed on."""


@dataclass(frozen=True)
class Looked:
    """When the first of the answers came, by both clocks of this machine, in which tenant, and what the services'
    clock said last."""

    tenant_id: str
    at: float
    here: dt.datetime
    heard: Heard | None = None

    def is_fresh(self, clock: Clock, service: ServiceClock) -> bool:
        """By every clock there is: one of them stands still while a machine sleeps, another may be set."""
        passed = [clock.monotonic() - self.at, (clock.now() - self.here).total_seconds()]
        if service.heard is not None and self.heard is not None:
            passed.append((service.now() - self.heard.date).total_seconds())
        return all(abs(seconds) <= FRESH_S for seconds in passed)


class Shelf(t.Protocol):
    """Where a run keeps the answers of one host. Without a place for them nothing is kept."""

    def looked(self) -> Looked | None:
        """Of what is there; None where nothing is, or where the run has written in the tenant since."""

    def answer(self, key: str) -> t.Any:
        """One answer; None where there is none."""

    def keep(self, looked: Looked, answers: t.Mapping[str, str]) -> None:
        """Each answer as JSON, in place of what was there. Nothing where the run has written in the tenant already."""

    def drop(self, tenant_id: str) -> None:
        """The run writes in this tenant ("": nobody can tell in which): nobody is handed on anything there any more."""


class Reads:
    """One task's part in it. Without a shelf, as everywhere but in our own playbooks, it has none.

    ``gives``: what it reads is handed on; ``takes``: it takes what was handed on, each answer once: who asks again
    wants to know anew.
    """

    def __init__(self, shelf: Shelf | None = None, *, gives: bool = False, takes: bool = False) -> None:
        self._shelf = shelf
        self._gives = gives and shelf is not None
        self._takes = takes and shelf is not None
        self._clock, self._service = Clock(), ServiceClock(Clock())
        self._began: tuple[float, dt.datetime] | None = None
        self._looked: Looked | None = None
        self._answers: dict[str, str] = {}
        self._taken: set[str] = set()
        self._wrote = False

    @property
    def shelf(self) -> Shelf | None:
        return self._shelf

    @property
    def gives(self) -> bool:
        """Whether it is worth while to read what only later tasks will ask for."""
        return self._gives

    @property
    def used(self) -> bool:
        """Whether the task knows anything from what was handed on."""
        return bool(self._taken)

    def by(self, clock: Clock, service: ServiceClock) -> None:
        """The clocks that count. The task that is handed on an answer is told the services' time with it."""
        self._clock, self._service = clock, service

    def known(self, keys: t.Sequence[str | None], at_once: int = 1) -> list[t.Any]:
        """What was handed on under each key; None for what has to be asked for, which is so where the key is None.

        ``at_once``: how many questions a request has room for. Where as many requests are left to be sent, they ask
        for everything: what was handed on is taken to save one, and for nothing else.
        """
        nothing: list[t.Any] = [None] * len(keys)
        if not self._takes or self._shelf is None:
            return nothing
        if self._looked is None:
            self._looked = self._shelf.looked()
        if self._looked is None or not self._looked.is_fresh(self._clock, self._service):
            self._takes = False
            return nothing
        found = [None if key is None or key in self._taken else self._shelf.answer(key) for key in keys]
        left = sum(answer is None for answer in found)
        if -(-left // at_once) == -(-len(keys) // at_once):
            return nothing
        self._taken.update(key for key, answer in zip(keys, found, strict=True) if key and answer is not None)
        if self._looked.heard is not None:
            self._service.take(self._looked.heard)
        return found

    def heard(self, key: str, answer: t.Callable[[], t.Any]) -> None:
        """``answer``: of JSON's types, an answer that is whole and no error."""
        if self._gives:
            self._began = self._began or (self._clock.monotonic(), self._clock.now())
            # As it came: who reads it may go on to work with it.
            self._answers[key] = json.dumps(answer())

    def anew(self) -> None:
        """From here on everything is asked for."""
        self._takes = False

    def wrote(self, tenant_id: t.Callable[[], str]) -> None:
        """A write is about to be sent; whatever comes of it, what was read before it says nothing any more."""
        self._takes = self._gives = False
        self._answers.clear()
        if self._shelf is not None and not self._wrote:
            self._wrote = True
            self._shelf.drop(tenant_id())

    def hand_on(self, tenant_id: t.Callable[[], str]) -> None:
        """What was read goes to the next tasks, where somebody knows in which tenant that was."""
        if self._gives and self._shelf is not None and self._began is not None and (named := tenant_id()):
            at, here = self._began
            self._shelf.keep(Looked(named, at, here, self._service.heard), self._answers)


class AtHand:
    """A shelf, and what this task itself has put on it, for more that is asked within the task."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._looked: Looked | None = None
        self._answers: dict[str, str] = {}

    def looked(self) -> Looked | None:
        # Whether the run has written in the tenant since, the shelf knows.
        return self._looked if self._looked is not None and self._shelf.looked() is not None else None

    def answer(self, key: str) -> t.Any:
        text = self._answers.get(key)
        return None if text is None else json.loads(text)

    def keep(self, looked: Looked, answers: t.Mapping[str, str]) -> None:
        self._looked, self._answers = looked, {**answers}
        self._shelf.keep(looked, answers)

    def drop(self, tenant_id: str) -> None:
        self._looked, self._answers = None, {}
        self._shelf.drop(tenant_id)


def key(*parts: t.Any) -> str:
    """One text for a request: two are the same only where everything that is asked is the same."""
    return json.dumps(parts, sort_keys=True, default=str)
