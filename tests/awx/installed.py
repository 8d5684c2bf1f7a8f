# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""awx.awx, awxkit and ansible-builder of the tests, in a folder of their own below .build.

They come from the package index, as everything does, once for each set of pins (requirements.txt beside this file).
Where there is no index and they are not there yet, the tests that want them are skipped, and say so.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.tools import layout

PINS = Path(__file__).with_name("requirements.txt")
COLLECTION = "ansible_collections/awx/awx/"


@functools.cache
def folder() -> Path:
    """``collections`` (for ANSIBLE_COLLECTIONS_PATH) and ``python`` (for PYTHONPATH) are in it."""
    wanted = hashlib.sha256(PINS.read_bytes()).hexdigest()[:12]
    place = layout.BUILD / f"awx-{wanted}"
    with layout.alone("awx-tools"):
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            _install(place)
            (place / "complete").touch()
    return place


def collections() -> Path:
    return folder() / "collections"


def python() -> Path:
    return folder() / "python"


def _pins() -> dict[str, str]:
    lines = (line.strip() for line in PINS.read_text(encoding="utf-8").splitlines())
    return {line.split("==")[0]: line for line in lines if line and not line.startswith("#")}


def _install(place: Path) -> None:
    pins = _pins()
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "download", "--no-deps", "--dest", str(place), pins["ansible"]])
    (wheel,) = place.glob("ansible-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "collections", [name for name in archive.namelist() if name.startswith(COLLECTION)])
    wheel.unlink()
    _run([*pip, "install", "--no-deps", "--target", str(place / "python"), pins["awxkit"]])
    constraints = str(PINS.parents[1] / "constraints.txt")
    _run([*pip, "install", "-c", constraints, "--target", str(place / "python"), pins["ansible-builder"]])


def _run(command: list[str]) -> None:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        pytest.skip(f"{command[-1]} cannot be had from the package index: {answer.stderr.strip()[-300:]}")
