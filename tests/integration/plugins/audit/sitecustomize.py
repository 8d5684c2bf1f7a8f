# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On a Python's path, this notes every program that the Python starts, a line each, in the file AUDIT_PATH."""

from __future__ import annotations

import json
import os
import sys

STARTS = {"subprocess.Popen": 1, "os.posix_spawn": 1, "os.exec": 1, "os.system": 0}
"""Audit events, and which of their arguments are the program's."""


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event in STARTS:
        words = arguments[STARTS[event]]
        if isinstance(words, (list, tuple)):
            words = [os.fsdecode(word) if isinstance(word, (str, bytes, os.PathLike)) else str(word) for word in words]
        with open(os.environ["AUDIT_PATH"], "a", encoding="utf-8") as file:
            file.write(json.dumps([event, words if isinstance(words, list) else str(words)]) + "\n")


if os.environ.get("AUDIT_PATH"):
    sys.addaudithook(_note)
