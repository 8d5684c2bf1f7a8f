# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is exhaustive, in part: each commit chooses a sample for ``make test``; ``make soak`` takes all of it."""

from __future__ import annotations

import functools
import os
import random
import subprocess
import typing as t
from pathlib import Path

T = t.TypeVar("T")
SOAKING = bool(os.environ.get("SOAK"))
"""Whether this is ``make soak``."""


@functools.cache
def seed() -> str:
    """The commit, so that every process of a run chooses alike; the files as they are where git knows nothing."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no commit"
    return found.stdout.strip()


def sample(cases: t.Sequence[T], count: int, *, of: str = "") -> list[T]:
    """``count`` of the cases in their order, or all of them when soaking. ``of``: whose choice it is."""
    if SOAKING or count >= len(cases):
        return list(cases)
    # Chance is all that is wanted of it.
    chosen = random.Random(f"{seed()}:{of}").sample(range(len(cases)), count)
    return [cases[number] for number in sorted(chosen)]
