# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start programs so that none of them outlives the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

# What a group that is asked to stop may take for it, in seconds, before it is asked less politely.
PATIENCE = ((signal.SIGINT, 15.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def stop_cleanly() -> None:
    """Let this program unwind, and so end what it started, when it is interrupted or terminated.

    A shell starts background jobs with the interrupt ignored; they must still be stoppable from outside.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _stop)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and the whole session that it leads."""
    for number, patience in PATIENCE:
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            continue


@contextmanager
def _held_back() -> Iterator[list[int]]:
    """Signals that would unwind this program are noted meanwhile; whoever asked for it raises them again."""
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    if threading.current_thread() is not threading.main_thread():
        handlers = {}
    # One that is ignored stays so: what is started inherits it.
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    try:
        for number in handlers:
            signal.signal(number, lambda number, frame: came.append(number))
        yield came
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def started(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], capture: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command in a session of its own, and end that session if the block is left by an exception.

    With ``capture``, standard output and standard error arrive together at the process's ``stdout``.
    """
    sys.stdout.flush()
    pipe = subprocess.PIPE if capture else None
    errors = subprocess.STDOUT if capture else None
    # Between its birth and the moment when it has a name here, nobody could end it.
    with _held_back() as came:
        process = subprocess.Popen(command, cwd=cwd, env=env, stdout=pipe, stderr=errors, start_new_session=True)
    with process:
        try:
            for number in came:
                signal.raise_signal(number)
            yield process
        except BaseException:
            end(process)
            raise


def run(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> int:
    """Run a command to its end and return its exit code."""
    with started(command, cwd=cwd, env=env) as process:
        return process.wait()
