# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the unit tests on the oldest supported ansible-core, and on the newest one that this Python can run.

The other version is laid over the environment of the tests: a virtual environment with nothing but that ansible-core
in it, which finds everything else where the tests find it. The version of the tests' own environment is the business
of the gate "unit". Arguments are handed to pytest.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools import layout, process

OLDEST = "2.18.19"
# The newest release that runs on this Python, by the second number of its version.
NEWEST = {11: "2.19.14", 12: "2.21.5", 13: "2.21.5"}


def versions() -> list[str]:
    """Name the versions that the gate "unit" does not see."""
    wanted = [OLDEST, NEWEST[sys.version_info.minor]]
    return [version for version in dict.fromkeys(wanted) if version != importlib.metadata.version("ansible-core")]


def python(version: str) -> Path:
    """Make the environment, unless it is there, and return its interpreter."""
    folder = layout.BUILD / "cores" / f"over-{version}-py3{sys.version_info.minor}"
    stamp = folder / ".made"
    if not stamp.is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        interpreter = str(folder / "bin/python")
        answer = subprocess.run(
            [interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
        )
        pip = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, f"ansible-core=={version}"], check=True)
        # Read after the environment's own folder, so that its ansible-core wins.
        Path(answer.stdout.strip(), "tests.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        stamp.touch()
    return folder / "bin/python"


def main() -> int:
    process.stop_cleanly()
    code = 0
    with layout.alone("cores"):
        for version in versions():
            interpreter = python(version)
            tools = f"{interpreter.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
            seen = subprocess.run(
                [str(interpreter), "-c", "import ansible.release; print(ansible.release.__version__)"],
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
            if seen != version:
                print(f"cores: {version} is wanted, and {seen} is found", file=sys.stderr)
                return 1
            print(f"\nansible-core {version} on Python 3.{sys.version_info.minor}", flush=True)
            command = [str(interpreter), "-m", "pytest", "-q", "-n", "2", "tests/unit", *sys.argv[1:]]
            environment = os.environ | {"PATH": tools, "ANSIBLE_PYTHON_INTERPRETER": str(interpreter)}
            code = process.run(command, cwd=layout.ROOT, env=environment) or code
    return code


if __name__ == "__main__":
    sys.exit(main())
