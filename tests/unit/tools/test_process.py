# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is started is ended, however the program that started it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tools import layout, process

# Starts a shell with a child of its own, says both ids, and waits; what becomes of them is what the tests look at.
PROGRAM = """
import os, sys
from pathlib import Path
from tests.tools import process
process.stop_cleanly()
script = 'sleep 600 & echo $$ $! >"$0.new"; mv "$0.new" "$0"; wait'
process.run(["/bin/sh", "-c", script, sys.argv[1]], cwd=Path("/"), env=os.environ)
"""

# The same, stopped in the moment in which the shell is born: it runs, and its starter does not know of it yet.
AT_BIRTH = """
import os, subprocess, time
real = subprocess.Popen
def born(*words, **more):
    child = real(*words, **more)
    while not os.path.exists(sys.argv[1]): time.sleep(0.02)
    os.kill(os.getpid(), int(sys.argv[2]))
    return child
subprocess.Popen = born
"""


def alive(pid: int) -> bool:
    """Say whether a process runs (one that has ended and waits to be collected does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: object, patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_a_stopped_program_takes_along_what_it_started(tmp_path: Path, number: signal.Signals) -> None:
    ids = tmp_path / "ids"
    environment = os.environ | {"PYTHONPATH": str(layout.ROOT)}
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(ids)], env=environment, cwd=tmp_path) as program:
        wait_for(ids.exists)
        started = [int(word) for word in ids.read_text(encoding="utf-8").split()]
        assert all(alive(pid) for pid in started)
        program.send_signal(number)
        program.wait(timeout=30)
    assert len(started) == 2
    wait_for(lambda: not any(alive(pid) for pid in started))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_one_that_is_stopped_while_it_starts_another_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    ids, program = tmp_path / "ids", PROGRAM.replace("script =", f"{AT_BIRTH}\nscript =")
    environment = os.environ | {"PYTHONPATH": str(layout.ROOT)}
    words = [sys.executable, "-c", program, str(ids), str(int(number))]
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert done.returncode != 0
    started = [int(word) for word in ids.read_text(encoding="utf-8").split()]
    assert len(started) == 2
    wait_for(lambda: not any(alive(pid) for pid in started))


def test_the_exit_code_is_the_programs() -> None:
    assert process.run([sys.executable, "-c", "raise SystemExit(7)"], cwd=layout.ROOT, env=os.environ) == 7
