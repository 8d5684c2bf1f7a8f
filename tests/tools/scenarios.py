# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the molecule scenarios, all of them or those that are named, in a folder of their own below ``.build``.

``molecule test --all`` does the same from a shell. Here nothing of an earlier run is in the way, and the emulator ends
with this program, whatever becomes of molecule.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools import layout, process

WORK = layout.BUILD / "molecule"


def end_emulator() -> None:
    """End the emulator that "destroy" did not get to; it leads a session of its own."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        pid = int(json.loads((WORK / "emulator.json").read_text(encoding="utf-8"))["pid"])
        if b"tests.emulator" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run molecule scenarios (all, if none is named).")
    parser.add_argument("names", nargs="*", metavar="SCENARIO")
    names = parser.parse_args().names
    process.stop_cleanly()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(WORK),
        "NO_COLOR": "1",
    }
    command = [str(Path(sys.executable).parent / "molecule"), "test", "--report", "--workers", "2"]
    which = [word for name in names for word in ("--scenario-name", name)] or ["--all"]
    with layout.alone("molecule"):
        shutil.rmtree(WORK, ignore_errors=True)
        try:
            return process.run([*command, "--continue-on-failure", *which], cwd=layout.ROOT, env=environment)
        finally:
            end_emulator()


if __name__ == "__main__":
    sys.exit(main())
