# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What one task may spend on waiting and on trying again, in all, and whether its run still wants it."""

from __future__ import annotations

import datetime as dt
import time
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import NoLongerWanted

TOLD_AFTER_S = 15.0
"""How long something is waited for before it is said what it is."""
TOLD_AGAIN_S = 60.0


class Clock:
    """The real time. Tests hand in one that does not wait."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Patience:
    """One per task. ``budget_s`` bounds all its waits and failed attempts together; requests that are answered do
    not count.

    ``still_wanted`` is asked before every write, every further attempt and every wait. ``told`` is called with the
    seconds and the thing once something has been waited for ``TOLD_AFTER_S``, and each minute from then on.
    """

    def __init__(
        self,
        clock: Clock,
        budget_s: float = 180.0,
        *,
        still_wanted: t.Callable[[], bool] = lambda: True,
        told: t.Callable[[float, str], None] = lambda seconds, what: None,
    ) -> None:
        self.clock = clock
        self.budget_s = budget_s
        self.spent_s = 0.0
        self.waited: dict[str, float] = {}
        """Seconds by what they were spent on."""
        self._still_wanted = still_wanted
        self._told = told

    @property
    def left_s(self) -> float:
        return max(0.0, self.budget_s - self.spent_s)

    def wanted(self, purpose: str = "") -> None:
        """Raises NoLongerWanted when the run that started this task has ended."""
        if not self._still_wanted():
            raise NoLongerWanted(
                "the run that started this task has ended, so the task stops here as well", attempted=purpose
            )

    def begin(self, what: str, budget_s: float | None = None, *, purpose: str = "") -> Waiting:
        """One thing to wait for. A ``budget_s`` above the task's is a bound of its own, a smaller one a part of it.

        ``what`` completes "waiting for …", ``purpose`` "Could not …".
        """
        return Waiting(self, what, budget_s, purpose)


class Watch:
    """Something that takes its time and is bounded elsewhere, such as a cmdlet on a Windows host: it is only told."""

    def __init__(self, patience: Patience, what: str) -> None:
        self._patience = patience
        self._what = what
        self._began = patience.clock.monotonic()
        self._tell_at = TOLD_AFTER_S

    def look(self, what: str | None = None) -> None:
        """To be called now and then; ``what`` it is by now."""
        self._what = self._what if what is None else what
        passed = self._patience.clock.monotonic() - self._began
        if passed >= self._tell_at:
            self._tell_at = passed + TOLD_AGAIN_S
            self._patience._told(passed, self._what)


class Waiting:
    """One thing that is waited for, or tried again, until it is there or the patience has ended."""

    def __init__(self, patience: Patience, what: str, budget_s: float | None, purpose: str) -> None:
        self.what = what
        self.purpose = purpose
        self.spent_s = 0.0
        self._patience = patience
        self._budget_s = budget_s
        self._own = budget_s is not None and budget_s > patience.budget_s
        self._tell_at = TOLD_AFTER_S

    @property
    def left_s(self) -> float:
        if self._budget_s is None:
            return self._patience.left_s
        own = max(0.0, self._budget_s - self.spent_s)
        return own if self._own else min(own, self._patience.left_s)

    def pause(self, seconds: float | None, *, at_most_s: float | None = None) -> bool:
        """Wait so long; False at once if that is more than what is left, or ``seconds`` is None.

        ``at_most_s`` bounds what this thing may have taken after the pause. Raises NoLongerWanted.
        """
        if seconds is None or seconds > self.left_s:
            return False
        if at_most_s is not None and self.spent_s + seconds > at_most_s:
            return False
        self._patience.wanted(self.purpose)
        while seconds > 0:
            # A long wait is taken in pieces, so that it can be told of and given up.
            piece = min(seconds, max(self._tell_at - self.spent_s, 0.0) or TOLD_AFTER_S) if seconds > 10 else seconds
            self._patience.clock.sleep(piece)
            self.lost(piece)
            seconds -= piece
            if self.spent_s >= self._tell_at:
                self._tell_at = self.spent_s + TOLD_AGAIN_S
                self._patience._told(self.spent_s, self.what)
            self._patience.wanted(self.purpose)
        return True

    def lost(self, seconds: float) -> None:
        """Count an attempt that had no answer."""
        self.spent_s += seconds
        if not self._own:
            self._patience.spent_s += seconds
        waited = self._patience.waited
        waited[self.what] = waited.get(self.what, 0.0) + seconds
