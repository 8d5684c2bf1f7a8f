# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the molecule scenarios in a folder of their own below ``.build``: those that are named, or this commit's.

Every commit tries every playbook; roles alone, models and the like take turns, and all are tried where SOAK is set.

``molecule test --all`` does the same from a shell. Here nothing of an earlier run is in the way, and the emulator ends
with this program, whatever becomes of molecule.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.sample import sample
from tests.tools import layout, process

SCENARIOS = layout.ROOT / "extensions/molecule"
OTHERS = 5
"""How many scenarios beside the playbooks' one commit tries."""
WORK = layout.BUILD / "molecule"
PATIENCE = 20.0  # seconds


def end_emulator(ready: Path) -> None:
    """End the emulator that wrote this file when it was ready, and wait until it is gone. It may be gone already."""
    try:
        pid = int(json.loads(ready.read_text(encoding="utf-8"))["pid"])
    except (OSError, ValueError, KeyError):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + PATIENCE
        if is_emulator(pid):
            os.kill(pid, number)
        while is_emulator(pid) and time.monotonic() < deadline:
            time.sleep(0.05)


def is_emulator(pid: int) -> bool:
    """Another process may have its number by now; and one that has ended, and was not collected yet, has no words."""
    try:
        if Path("/proc/self").exists():
            return b"tests.emulator" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ps = subprocess.run(["ps", "-p", str(pid), "-o", "args="], capture_output=True, check=False)
        return b"tests.emulator" in ps.stdout
    except OSError:
        return False


def every() -> set[str]:
    """All scenarios but "default", which begins and ends them."""
    return {path.parent.name for path in SCENARIOS.glob("*/molecule.yml")} - {"default"}


def of_this_commit() -> list[str]:
    """The scenarios that it tries."""
    playbooks = {name for name in every() if name.startswith("playbook_")}
    return [*sample(sorted(every() - playbooks), OTHERS, of="molecule"), *sorted(playbooks)]


def main() -> int:
    parser = argparse.ArgumentParser(description="Run molecule scenarios (this commit's, if none is named).")
    parser.add_argument("names", nargs="*", metavar="SCENARIO")
    parser.add_argument("--end", type=Path, metavar="FILE", help="only end the emulator that wrote this file")
    arguments = parser.parse_args()
    names = arguments.names or of_this_commit()
    process.stop_cleanly()
    if arguments.end:
        end_emulator(arguments.end)
        return 0
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(WORK),
        "NO_COLOR": "1",
    }
    command = [str(Path(sys.executable).parent / "molecule"), "test", "--report", "--workers", "2"]
    which = [word for name in names for word in ("--scenario-name", name)]
    with layout.alone("molecule"):
        shutil.rmtree(WORK, ignore_errors=True)
        try:
            return process.run([*command, "--continue-on-failure", *which], cwd=layout.ROOT, env=environment)
        finally:
            end_emulator(WORK / "emulator.json")


if __name__ == "__main__":
    sys.exit(main())
