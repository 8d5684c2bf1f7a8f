# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the unit tests on the oldest supported ansible-core, and on the newest one that this Python can run.

The version of the tests' own environment is the business of the gate "unit". Arguments are handed to pytest.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools import cores, layout, process


def main() -> int:
    process.stop_cleanly()
    code = 0
    for core in cores.others_here():
        interpreter = core.python()
        print(f"\n{core.name}", flush=True)
        command = [str(interpreter), "-m", "pytest", "-q", "-n", "2", "tests/unit", *sys.argv[1:]]
        tools = f"{interpreter.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        environment = os.environ | {"PATH": tools, "ANSIBLE_PYTHON_INTERPRETER": str(interpreter)}
        code = process.run(command, cwd=layout.ROOT, env=environment) or code
    return code


if __name__ == "__main__":
    sys.exit(main())
