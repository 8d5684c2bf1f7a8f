# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run does for each host, a line of JSON for each worker process: workers are forked after this was loaded."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import jinja2
from ansible.executor.process.worker import WorkerProcess
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: counts
type: notification
short_description: Count worker processes, the templates that each compiles, and what each imports
description: For the tests of this collection. The file is named by E(COUNTS_PATH).
"""

OURS = "ansible_collections.mail2fax.m365."


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "counts"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        work, generate = WorkerProcess._run, jinja2.Environment._generate
        compiled = 0

        def counted(self: Any, *given: Any, **named: Any) -> Any:
            nonlocal compiled
            compiled += 1
            return generate(self, *given, **named)

        def worked(self: Any) -> Any:
            nonlocal compiled
            compiled = 0
            before = {*sys.modules}
            # Before the result is on its way: a worker may be stopped once the run has it.
            send = self._final_q.send_task_result

            def sent(*told: Any, **named: Any) -> Any:
                own = [name for name in sys.modules if name not in before and name.startswith(OURS)]
                found = {"host": self._host.get_name(), "task": self._task.get_name(), "compiled": compiled}
                found["imported"] = own
                with open(os.environ["COUNTS_PATH"], "a", encoding="utf-8") as file:
                    file.write(json.dumps(found) + "\n")
                return send(*told, **named)

            self._final_q.send_task_result = sent
            return work(self)

        jinja2.Environment._generate = counted  # type: ignore[method-assign]
        WorkerProcess._run = worked  # type: ignore[method-assign]
