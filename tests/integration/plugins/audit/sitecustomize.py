# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On a Python's path, this watches what the Python does.

Every program that it starts is noted, a line each, in the file AUDIT_PATH: event, command line, environment. If
GRAVEYARD_PATH is set, every file that is removed or replaced is kept in that folder, and every path that is opened for
writing is noted in its file ``written``.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import threading

STARTS = {"subprocess.Popen": (1, 3), "os.posix_spawn": (1, 2), "os.exec": (1, 2), "os.system": (0, None)}
"""Audit events, and which of their arguments are the program's words and its environment."""

_numbers = itertools.count()
_here = threading.local()


def _note(event: str, arguments: tuple) -> None:
    if getattr(_here, "busy", False):
        return
    _here.busy = True
    try:
        if event in STARTS:
            _started(event, arguments)
        elif GRAVEYARD and event in ("os.remove", "os.rename", "open"):
            with contextlib.suppress(OSError, ValueError):
                _watched(event, arguments)
    finally:
        _here.busy = False


def _started(event: str, arguments: tuple) -> None:
    words, environment = (arguments[place] if place is not None else None for place in STARTS[event])
    if not isinstance(words, (list, tuple)):
        words = [words]
    environment = {_text(name): _text(value) for name, value in (environment or {}).items()}
    with open(os.environ["AUDIT_PATH"], "a", encoding="utf-8") as file:
        file.write(json.dumps([event, [_text(word) for word in words], environment]) + "\n")


def _watched(event: str, arguments: tuple) -> None:
    if event == "os.remove":
        _keep(_resolved(arguments[0], arguments[1]))
    elif event == "os.rename":
        _keep(_resolved(arguments[0], arguments[2]))
        _keep(_resolved(arguments[1], arguments[3]))
    elif not isinstance(arguments[0], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        path = _resolved(arguments[0], -1)
        with open(f"{GRAVEYARD}/written", "a", encoding="utf-8") as file:
            file.write(f"{path}\n")
        if arguments[2] & os.O_TRUNC:
            _keep(path)


def _keep(path: str) -> None:
    if not os.path.isfile(path):
        return
    with open(path, "rb") as source:
        content = source.read()
    with open(f"{GRAVEYARD}/{os.getpid()}-{next(_numbers)}-{os.path.basename(path)[-80:]}", "wb") as target:
        target.write(content)


def _resolved(path: object, folder: object) -> str:
    """The path of a file that may be named relative to an open folder."""
    found = os.fsdecode(path)  # type: ignore[arg-type]
    if os.path.isabs(found):
        return found
    base = os.readlink(f"/proc/self/fd/{folder}") if isinstance(folder, int) and folder >= 0 else os.getcwd()
    return os.path.join(base, found)


def _text(value: object) -> str:
    return os.fsdecode(value) if isinstance(value, (str, bytes, os.PathLike)) else str(value)


GRAVEYARD = os.environ.get("GRAVEYARD_PATH", "")
if os.environ.get("AUDIT_PATH"):
    sys.addaudithook(_note)
