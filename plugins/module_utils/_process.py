# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What the kernel tells of a process of this machine."""

from __future__ import annotations

import pathlib

STATE, PARENT, BEGAN = 0, 1, 19
"""Places among the fields: a letter, a process id, and ticks since the machine began."""


def fields(pid: int) -> list[str]:
    """Those of /proc/PID/stat after the name (proc_pid_stat(5)); none where there is no such process, or no /proc."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = stat.rpartition(")")[2].split()
    return found if len(found) > BEGAN else []


def has_ended(told: list[str]) -> bool:
    """It stays in the list until somebody asks for its exit status, and in some containers nobody does."""
    return told[STATE] in "ZX"
