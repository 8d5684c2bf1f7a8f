# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task knows when the run that started it has ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _run


def test_a_module_knows_its_run_by_id_and_beginning() -> None:
    run = _run.this_run()
    assert run.startswith(f"{os.getpid()}:")
    assert _run.module_wanted({_run.VARIABLE: run})()
    assert not _run.module_wanted({_run.VARIABLE: f"{os.getpid()}:1"})()  # the id is used again
    for nothing in ("", "x:y", "12", f"{os.getpid()}:"):
        assert _run.module_wanted({_run.VARIABLE: nothing})()
    assert _run.module_wanted({})()


def test_a_run_that_ended_is_not_wanted_although_nobody_asked_for_its_status() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    run = f"{process.pid}:{_run._began(process.pid)}"
    wanted = _run.module_wanted({_run.VARIABLE: run})
    assert wanted()
    process.kill()
    deadline = time.monotonic() + 10
    while wanted() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not wanted()
    process.wait()
    assert not wanted()


def test_a_worker_is_wanted_while_its_parent_lives() -> None:
    """main (the run) -> worker (a session of its own), and main is killed."""
    reading, writing = os.pipe()
    main = os.fork()
    if main == 0:  # pragma: no cover
        _run._IMPORTED_BY = os.getpid()
        if os.fork() == 0:
            os.setsid()
            wanted = _run.worker_wanted()
            os.write(writing, b"1" if wanted() else b"0")
            deadline = time.monotonic() + 10
            while wanted() and time.monotonic() < deadline:
                time.sleep(0.01)
            # One that begins now is too late.
            os.write(writing, b"0" if not wanted() and not _run.worker_wanted()() else b"1")
            os._exit(0)
        time.sleep(60)
        os._exit(0)
    os.close(writing)
    assert os.read(reading, 1) == b"1"
    os.kill(main, 9)
    os.waitpid(main, 0)
    assert os.read(reading, 1) == b"0"
    os.close(reading)


def test_here_the_parent_is_whoever_started_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    parents: t.Iterator[int] = iter([7, 7, 7, 1])
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    wanted = _run.worker_wanted()
    assert [wanted(), wanted(), wanted()] == [True, True, False]
