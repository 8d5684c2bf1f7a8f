# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run at another time, beside an emulator whose clock was set forward: workers are forked after this was loaded."""

from __future__ import annotations

import datetime as dt
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: clock
type: notification
short_description: Set the collection's clocks forward
description: For the tests of this collection, by E(CLOCK_AHEAD_DAYS).
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "clock"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        from ansible_collections.mail2fax.m365.plugins.module_utils import _http
        from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import times

        ahead = dt.timedelta(days=float(os.environ["CLOCK_AHEAD_DAYS"]))

        def now(*_self: object) -> dt.datetime:
            return dt.datetime.now(dt.UTC) + ahead

        _http.Clock.now = now  # type: ignore[method-assign]
        times.now = now
