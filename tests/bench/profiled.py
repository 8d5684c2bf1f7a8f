# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook with a profile of processor time: profiled.py FOLDER and ansible-playbook's own words.

In FOLDER are left ``start.prof`` (what Ansible does until the first play begins), ``controller.prof`` (from then on),
and a ``worker-*.prof`` for each task of each host.
"""

from __future__ import annotations

import cProfile
import os
import pathlib
import sys
import time
import typing as t

FOLDER = pathlib.Path(sys.argv[1])


def clock() -> cProfile.Profile:
    # Waiting costs nothing: time of the processor, of this thread.
    return cProfile.Profile(time.thread_time)


start, controller = clock(), clock()


def main() -> int:
    from ansible.cli.playbook import main as ansible_playbook
    from ansible.executor.process.worker import WorkerProcess
    from ansible.executor.task_queue_manager import TaskQueueManager

    work, play, clean_up = WorkerProcess._run, TaskQueueManager.run, TaskQueueManager._cleanup_processes

    def begun(self: t.Any, *given: t.Any, **named: t.Any) -> t.Any:
        start.disable()
        controller.enable()
        return play(self, *given, **named)

    def worked(self: t.Any) -> t.Any:
        # The fork has taken the controller's own along.
        controller.disable()
        own = clock()
        try:
            return own.runcall(work, self)
        finally:
            own.dump_stats(FOLDER / f"worker-{os.getpid()}-{time.monotonic_ns()}.prof")

    def cleaned_up(self: t.Any) -> None:
        # Whoever is still writing its profile would be stopped.
        for worker in self._workers or ():
            if worker is not None and worker.is_alive():
                worker.join(30)
        clean_up(self)

    WorkerProcess._run = worked  # type: ignore[method-assign]
    TaskQueueManager.run = begun  # type: ignore[method-assign]
    TaskQueueManager._cleanup_processes = cleaned_up  # type: ignore[method-assign]
    try:
        return int(ansible_playbook(["ansible-playbook", *sys.argv[2:]]) or 0)
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        controller.disable()
        start.disable()
        start.dump_stats(FOLDER / "start.prof")
        controller.dump_stats(FOLDER / "controller.prof")


if __name__ == "__main__":
    start.enable()
    sys.exit(main())
