# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""When to try again: pure decisions, no clock of their own. How long in all is Patience's business."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._time import http_date

TRANSIENT = frozenset({429, 500, 502, 503, 504})
NOT_DONE = frozenset({429, 503})  # the service says that it did not do the work, so a write may be repeated


@dataclass(frozen=True)
class RetryPolicy:
    """``floor_s`` is the first wait, ``cap_s`` the longest without a hint; ``attempts`` bounds one call's."""

    floor_s: float = 0.5
    cap_s: float = 30.0
    attempts: int = 60

    def delay(self, attempt: int, retry_after_s: float | None = None) -> float | None:
        """Seconds to wait before attempt ``attempt + 1`` (attempts count from 1), or None to give up.

        A ``Retry-After`` is honoured to the letter, but for one that says "at once": that is no hint.
        """
        if attempt >= self.attempts:
            return None
        if retry_after_s is not None and retry_after_s >= self.floor_s:
            return retry_after_s
        return min(self.cap_s, self.floor_s * 2.0 ** min(attempt - 1, 30))


def retry_after(value: str | None, now: dt.datetime) -> float | None:
    """Seconds from a ``Retry-After`` header (delta seconds or an HTTP date); None when absent or unreadable.

    ``now`` is what the same answer's ``Date`` says: the service's clock, and not the one here, made the date.
    """
    text = (value or "").strip()
    if re.fullmatch(r"-?\d{1,9}(\.\d*)?", text):
        return max(0.0, float(text))
    moment = http_date(text) if text else None
    return None if moment is None else max(0.0, (moment - now).total_seconds())
