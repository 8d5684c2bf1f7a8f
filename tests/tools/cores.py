# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions of ansible-core that are supported, and those beside the tests' own, each in an environment of its own.

Only what the Pythons at hand can run: no interpreter is fetched. An environment is made once, below ``.build/cores``,
and is used again as long as the pinned packages stay the same. Run as a program, this makes them all and prints where
they are.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools import layout

CORES = layout.BUILD / "cores"
# What is tested, the oldest first, and the Pythons (3.x) that each starts on.
PYTHONS = {
    "2.18.19": (11, 12, 13),
    "2.19.14": (11, 12, 13),
    "2.20.10": (12, 13, 14),
    "2.21.5": (12, 13, 14),
    "2.22.0rc1": (13, 14),
}
OLDEST = next(iter(PYTHONS))
HERE = sys.version_info.minor
PROBE = "import ensurepip, ssl, sys, venv; print(sys.version_info[1], sys.executable)"


def usual() -> str:
    """The version in the tests' own environment."""
    text = (layout.ROOT / "tests/requirements.txt").read_text(encoding="utf-8")
    (version,) = re.findall(r"^ansible-core==(\S+)$", text, re.MULTILINE)
    return str(version)


USUAL = usual()


def newest(minor: int) -> str:
    """The newest version that runs on this Python."""
    return [version for version, minors in PYTHONS.items() if minor in minors][-1]


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
        """The environment's interpreter, beside which lies ansible-playbook. Makes the environment if need be.

        On the tests' own Python the version is laid over the tests' environment: nothing but that ansible-core is in
        the new one, and everything else is found where the tests find it.
        """
        over = self.interpreter == Path(sys.executable)
        if over and self.version == USUAL:
            return Path(sys.prefix) / "bin/python"
        folder = CORES / f"{'over-' if over else ''}{self.version}-py3{self.minor}"
        wanted = f"ansible-core=={self.version}\n" if over else requirements(self.version)
        python = folder / "bin/python"
        stamp = folder / f"made-{hashlib.sha256((wanted + pins()).encode()).hexdigest()[:16]}"
        with alone(folder.name):
            if not stamp.exists():
                bare = ["--without-pip"] if over else []
                subprocess.run([self.interpreter, "-m", "venv", "--clear", *bare, folder], check=True)
                listed, constraints = folder / "requirements.txt", folder / "constraints.txt"
                listed.write_text(wanted, encoding="utf-8")
                constraints.write_text(pins(), encoding="utf-8")
                # The tests' own pip installs for its own Python, and each other Python needs one that it can run.
                pip: list[str | Path] = (
                    [sys.executable, "-m", "pip", "--python", python] if over else [python, "-m", "pip"]
                )
                pip += ["install", "--quiet", "--disable-pip-version-check"]
                pip += ["--no-deps"] if over else ["-c", constraints]
                subprocess.run([*pip, "-r", listed], check=True, env=without_settings())
                if over:
                    # Read after the environment's own folder, so that its ansible-core wins.
                    (library,) = folder.glob("lib/python3*/site-packages")
                    (library / "tests.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
                seen = subprocess.run(
                    [python, "-c", "import ansible.release; print(ansible.release.__version__)"],
                    check=True,
                    capture_output=True,
                    text=True,
                    env=without_settings(),
                ).stdout.strip()
                if seen != self.version:
                    raise RuntimeError(f"ansible-core {self.version} is wanted in {folder}, and {seen} is found")
                stamp.touch()
        return python


def requirements(version: str) -> str:
    """What is installed beside ansible-core: the users' own few packages, as the tests pin them."""
    names = {re.split("[<>=]", line)[0] for line in _lines("requirements.txt")}
    pinned = [line for line in _lines("tests/requirements.txt") if line.partition("==")[0] in names]
    return "\n".join([f"ansible-core=={version}", *pinned, ""])


def _lines(file: str) -> list[str]:
    text = (layout.ROOT / file).read_text(encoding="utf-8")
    return [line.partition(" #")[0] for line in text.splitlines() if line and line[0] not in "#-"]


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
    minors = sorted({minor for several in PYTHONS.values() for minor in several})
    for minor in minors:
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
        if minor in minors:
            found.setdefault(minor, candidate)
    return found


def others_here() -> list[Core]:
    """The oldest version and the newest that the tests' own Python can run, without the tests' own version."""
    versions = dict.fromkeys((OLDEST, newest(HERE)))
    return [Core(version, HERE, Path(sys.executable)) for version in versions if version != USUAL]


def at_hand() -> list[Core]:
    """The oldest supported version, the usual one, and the newest of which one of the Pythons is capable."""
    pythons = interpreters()
    order = list(PYTHONS)
    latest = max((newest(minor) for minor in pythons), key=order.index)
    found = []
    for version in dict.fromkeys((OLDEST, USUAL, latest)):
        minors = [minor for minor in (HERE, *sorted(pythons)) if minor in pythons and minor in PYTHONS[version]]
        if minors:
            found.append(Core(version, minors[0], pythons[minors[0]]))
    return found


def on_the_newest(version: str) -> Core | None:
    """One version on the newest Python at hand that runs it; None where there is none.

    The tests' own version runs in the tests' own environment, which has been made already.
    """
    pythons = interpreters()
    if version == USUAL:
        return Core(version, HERE, Path(sys.executable))
    minors = sorted(minor for minor in PYTHONS[version] if minor in pythons)
    return Core(version, minors[-1], pythons[minors[-1]]) if minors else None


if __name__ == "__main__":
    for wanted in PYTHONS:
        chosen = on_the_newest(wanted)
        print(f"{chosen.name}: {chosen.python()}" if chosen else f"core {wanted}: not run, no Python at hand runs it")
