# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""When to try again: pure decisions, no clock of their own."""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass

TRANSIENT = frozenset({429, 500, 502, 503, 504})
NOT_DONE = frozenset({429, 503})  # the service says that it did not do the work, so a write may be repeated


@dataclass(frozen=True)
class RetryPolicy:
    """``budget_s`` bounds the whole call, waits included; ``cap_s`` one wait; ``floor_s`` the first one."""

    budget_s: float = 180.0
    floor_s: float = 0.5
    cap_s: float = 30.0
    attempts: int = 12

    def wait(self, attempt: int, elapsed_s: float, retry_after_s: float | None = None) -> float | None:
        """Seconds to wait before attempt ``attempt + 1`` (attempts count from 1), or None to give up.

        A ``Retry-After`` is honoured to the letter, unless it lies beyond the budget: then waiting is pointless.
        """
        if attempt >= self.attempts:
            return None
        delay = min(self.cap_s, self.floor_s * 2 ** (attempt - 1))
        if retry_after_s is not None:
            delay = max(retry_after_s, 0.0)
        return delay if elapsed_s + delay <= self.budget_s else None


def retry_after(value: str | None, now_s: float | None = None) -> float | None:
    """Seconds from a ``Retry-After`` header (delta seconds or an HTTP date); None when absent or unreadable."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return max(0.0, moment.timestamp() - (time.time() if now_s is None else now_s))
