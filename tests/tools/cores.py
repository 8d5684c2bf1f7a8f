# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other versions of ansible-core, each in an environment of its own below ``.build/cores``.

Only what the Pythons at hand can run: no interpreter is fetched. An environment is made once, and is used again as long
as the pinned packages stay the same. Run as a program, this makes them all and prints where they are.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools import layout

CORES = layout.BUILD / "cores"
OLDEST = "2.18.19"
USUAL = "2.19.14"
# The newest release of ansible-core that runs on this Python, by the second number of its version.
NEWEST = {11: "2.19.14", 12: "2.21.5", 13: "2.21.5", 14: "2.21.5"}
# An ansible-core starts on these Pythons only.
PYTHONS = {OLDEST: (11, 12, 13), USUAL: (11, 12, 13), "2.21.5": (12, 13, 14)}
PROBE = "import ensurepip, ssl, sys, venv; print(sys.version_info[1], sys.executable)"


@dataclass(frozen=True)
class Core:
    """One version of ansible-core and the Python (3.x) it is to run on."""

    version: str
    minor: int
    interpreter: Path

    @property
    def name(self) -> str:
        return f"core {self.version} on Python 3.{self.minor}"

    def python(self) -> Path:
        """The environment's interpreter, beside which lies ansible-playbook. Makes the environment if need be."""
        if self.version == USUAL and self.interpreter == Path(sys.executable):
            return Path(sys.prefix) / "bin/python"
        wanted = requirements(self.version)
        folder = CORES / f"{self.version}-py3{self.minor}"
        stamp = folder / f"made-{hashlib.sha256((wanted + pins()).encode()).hexdigest()[:16]}"
        with alone(folder.name):
            if not stamp.exists():
                shutil.rmtree(folder, ignore_errors=True)
                subprocess.run([self.interpreter, "-m", "venv", folder], check=True)
                listed, constraints = folder / "requirements.txt", folder / "constraints.txt"
                listed.write_text(wanted, encoding="utf-8")
                constraints.write_text(pins(), encoding="utf-8")
                pip: list[str | Path] = [
                    folder / "bin/python",
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                ]
                subprocess.run([*pip, "-r", listed, "-c", constraints], check=True, env=without_settings())
                stamp.touch()
        return folder / "bin/python"


def requirements(version: str) -> str:
    """What is installed beside ansible-core: the users' own few packages, as pinned."""
    lines = (layout.ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return "\n".join([f"ansible-core=={version}", *(line for line in lines if line and not line.startswith("#")), ""])


def pins() -> str:
    """What these packages need in turn, as pinned, but for what the version of ansible-core decides."""
    lines = (layout.ROOT / "tests/constraints.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(("ansible-core==", "resolvelib==")))


def without_settings() -> dict[str, str]:
    """The environment for pip and for other Pythons: the user's own home, which may name a package index."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ANSIBLE_"))}
    return {**kept, "HOME": str(home())}


def home() -> Path:
    return Path(pwd.getpwuid(os.getuid()).pw_dir)


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Two tests that want the same environment make it once."""
    CORES.mkdir(parents=True, exist_ok=True)
    with (CORES / f"{name}.lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@functools.cache
def interpreters() -> dict[int, Path]:
    """The Pythons from 3.11 on that really run (a version manager's shim may not), by the second number."""
    candidates = [Path(sys.executable)]
    for minor in sorted(NEWEST):
        on_path = shutil.which(f"python3.{minor}")
        candidates += [Path(on_path)] if on_path else []
    candidates += sorted((home() / ".pyenv/versions").glob("3.*/bin/python"))
    found: dict[int, Path] = {}
    for candidate in candidates:
        try:
            answer = subprocess.run(
                [candidate, "-c", PROBE], capture_output=True, text=True, check=True, env=without_settings(), timeout=60
            )
        except (OSError, subprocess.SubprocessError):
            continue
        minor = int(answer.stdout.split(maxsplit=1)[0])
        if minor in NEWEST:
            found.setdefault(minor, candidate)
    return found


def at_hand() -> list[Core]:
    """The oldest supported version, the usual one, and the newest of which one of the Pythons is capable."""
    pythons = interpreters()
    newest = max((NEWEST[minor] for minor in pythons), key=lambda version: [int(part) for part in version.split(".")])
    found = []
    for version in dict.fromkeys((OLDEST, USUAL, newest)):
        here = sys.version_info[1]
        minors = [minor for minor in (here, *sorted(pythons)) if minor in pythons and minor in PYTHONS[version]]
        if minors:
            found.append(Core(version, minors[0], pythons[minors[0]]))
    return found


if __name__ == "__main__":
    for core in at_hand():
        print(f"{core.name}: {core.python()}")
