# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand the built artifact to galaxy-importer, which checks it as Galaxy does, and let no warning of its pass.

The importer wants older libraries than the tests do, so it lives in an environment of its own, ``.build/importer``.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools import artifact, layout, process

PINS = layout.ROOT / "tests/importer.txt"
VENV = layout.BUILD / "importer"


def environment() -> Path:
    """Make the virtual environment, unless it was made from these very pins, and return its ``bin``."""
    stamp = VENV / f".made-from-{hashlib.sha256(PINS.read_bytes()).hexdigest()[:16]}"
    if not stamp.is_file():
        print(f"Making {VENV.relative_to(layout.ROOT)} ...", flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        # The pip of the tests' environment installs there as well as one of its own would.
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(VENV)], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(VENV / "bin/python"), "install"]
        pip += ["--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", str(PINS)], check=True)
        stamp.touch()
    return VENV / "bin"


def main() -> int:
    process.stop_cleanly()
    with layout.alone("importer"):
        tools = environment()
        with tempfile.TemporaryDirectory(prefix="importer-", dir=layout.BUILD) as scratch:
            built = artifact.build(Path(scratch, "artifact"))
            home = Path(scratch, "home")
            home.mkdir()
            kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
            settings = {"HOME": str(home), "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
            command = [str(tools / "python"), "-m", "galaxy_importer.main", str(built)]
            with process.started(command, cwd=Path(scratch), env=kept | settings, capture=True) as importer:
                said = (importer.stdout.read() if importer.stdout else b"").decode(errors="replace")
                code = importer.wait()
    print(said)
    # It ends well with warnings, too; only lines of information stand there without their level.
    loud = re.findall(r"^(?:WARNING|ERROR|CRITICAL): .*$", said, re.MULTILINE)
    finished = "Importer processing completed successfully" in said
    for line in loud:
        print(f"importer: {line}", file=sys.stderr)
    return 1 if code or loud or not finished else 0


if __name__ == "__main__":
    sys.exit(main())
