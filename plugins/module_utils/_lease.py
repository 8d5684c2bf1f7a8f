# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Whose turn it is: a claim on a store, for a time, by a process that can be looked for.

A run that dies leaves its claim behind. Where the next one runs on the same machine it sees that the process is gone,
and need not wait; from another machine the end of the claim is all that can be seen.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import pathlib
import platform
import typing as t
import uuid
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _process
from ansible_collections.mail2fax.m365.plugins.module_utils._time import instant, iso


@dataclass(frozen=True)
class Lease:
    """``run`` is a name of its own for each claim, ``until`` an instant (ISO 8601, UTC), ``holder`` a process."""

    run: str
    until: str
    holder: str

    @classmethod
    def taken(cls, until: dt.datetime) -> Lease:
        """A new claim of this process."""
        return cls(uuid.uuid4().hex, iso(until), this_process())

    @classmethod
    def from_mapping(cls, mapping: t.Mapping[str, t.Any]) -> Lease:
        """Raises KeyError."""
        return cls(str(mapping["run"]), str(mapping["until"]), str(mapping["holder"]))

    def as_mapping(self) -> dict[str, t.Any]:
        return {"run": self.run, "until": self.until, "holder": self.holder}

    def holds(self, now: dt.datetime) -> bool:
        """Whether somebody else may still be at work under it. What this process claimed earlier is over."""
        end = instant(self.until)
        return end is not None and now < end and not _is_over(self.holder)


def this_process() -> str:
    """This process among all that ever were on this machine: a new one with the same number is another one."""
    return f"{_machine()}/{os.getpid()}/{_started(os.getpid()) or '-'}"


def _is_over(holder: str) -> bool:
    machine, _slash, process = holder.partition("/")
    number, _slash, started = process.partition("/")
    if machine != _machine() or not number.isdigit():
        return False
    if int(number) == os.getpid():
        return True
    now_there = _started(int(number))
    if now_there is not None:
        return now_there != started or _process.has_ended(_process.fields(int(number)))
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _machine() -> str:
    """A machine between two starts, and the part of it in which process numbers mean something (a container)."""
    told = [platform.node()]
    with contextlib.suppress(OSError):
        told.append(pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with contextlib.suppress(OSError):
        told.append(str(pathlib.Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _started(number: int) -> str | None:
    """When that process began, in the kernel's own count; None where nobody tells."""
    told = _process.fields(number)
    return told[_process.BEGAN] if told else None
