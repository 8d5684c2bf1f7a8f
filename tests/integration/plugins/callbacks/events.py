# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that ansible-core hands to a callback plugin, a line of JSON for each event."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: events
type: notification
short_description: Write every event as a line of JSON
description: For the tests of this collection. The file is named by E(EVENTS_PATH).
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "events"
    CALLBACK_NEEDS_ENABLED = True

    def _note(self, thing: Any, event: str) -> None:
        found = {
            "event": event,
            "host": thing._host.get_name(),
            "task": thing._task.get_name(),
            "action": thing._task.action,
            # Whatever a callback plugin could show.
            "result": plain(thing._result),
        }
        with open(os.environ["EVENTS_PATH"], "a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._note(result, "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._note(result, "failed")

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._note(result, "skipped")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._note(result, "unreachable")

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._note(result, "item ok")

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._note(result, "item failed")

    def v2_runner_on_async_ok(self, result: Any) -> None:
        self._note(result, "async ok")

    def v2_runner_on_async_failed(self, result: Any) -> None:
        self._note(result, "async failed")

    def v2_runner_retry(self, result: Any) -> None:
        self._note(result, "retry")

    def v2_on_file_diff(self, result: Any) -> None:
        self._note(result, "diff")


def plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind.__str__(value) if kind is str else kind(value)
    return str(value)
