# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Whether the run that started a task still goes on.

From ansible-core 2.19 on a worker has a session of its own, so whoever ends a run at a time-out or by a cancel leaves
its workers alive. A worker knows the run as its parent; a module on the same machine is told its process id with the
time at which it began, because ids are used again.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _process

VARIABLE = "M365_RUN"
"""Names the run to a module: ``<process id>:<when it began>``. Set by the action plugins alone."""

_IMPORTED_BY = os.getpid()


def worker_wanted() -> t.Callable[[], bool]:
    """For a worker: whether its parent is the one that it began with."""
    parent = os.getppid()
    # The main process imports this before it forks; one that had ended before this task began is no parent any more.
    ended = os.getpid() != _IMPORTED_BY and parent != _IMPORTED_BY and not _descends_from(_IMPORTED_BY)
    return lambda: not ended and os.getppid() == parent


def this_run() -> str:
    """What ``VARIABLE`` is to hold for a module that this worker starts; empty where it cannot be told."""
    parent = os.getppid() if os.getpid() != _IMPORTED_BY else os.getpid()
    began = _began(parent)
    return f"{parent}:{began}" if began else ""


def module_wanted(environment: t.Mapping[str, str]) -> t.Callable[[], bool]:
    """For a module: whether the run that ``environment`` names still goes on. Always yes where it names none."""
    pid, _unused, began = environment.get(VARIABLE, "").partition(":")
    if not (pid.isdecimal() and began):
        return lambda: True
    return lambda: _began(int(pid)) == began


def _began(pid: int) -> str:
    """When a process began, in ticks since the machine did; empty when there is none, or where /proc is not."""
    told = _process.fields(pid)
    return "" if not told or _process.has_ended(told) else told[_process.BEGAN]


def _descends_from(ancestor: int) -> bool:
    """Whether a process is above this one, however far: a wrapper may stand in between."""
    pid = os.getppid()
    while pid > 1:
        if pid == ancestor:
            return True
        told = _process.fields(pid)
        if not told:
            return False
        pid = int(told[_process.PARENT])
    return False
