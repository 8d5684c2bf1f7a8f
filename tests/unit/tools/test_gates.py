# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gates close when they should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import gates, layout


def outcome(tmp_path: Path, *, code: str, report: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run one gate, whose command is a line of Python, in a process of its own."""
    body = f"{code}; open({str(tmp_path / 'it.xml')!r}, 'w').write({report!r})" if report else code
    program = f"""
import sys
from pathlib import Path
from tests.tools import gates
gates.REPORTS = Path({str(tmp_path)!r})
gates.adopt_orphans()
gate = gates.Gate("it", "a trial", lambda: [sys.executable, "-c", {body!r}], pytest={report is not None})
result = gates.run(gate)
print(gates.summary([result]))
raise SystemExit(1 if result.failed else 0)
"""
    environment = os.environ | {"PYTHONPATH": str(layout.ROOT)}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)


def suite(**counts: int) -> str:
    words = " ".join(f'{name}="{count}"' for name, count in counts.items())
    return f"<testsuites><testsuite {words}/></testsuites>"


def test_a_command_that_succeeds_passes(tmp_path: Path) -> None:
    answer = outcome(tmp_path, code="pass")
    assert answer.returncode == 0
    assert answer.stdout.splitlines()[-1] == "1 passed, 0 failed"


def test_a_command_that_fails_does_not(tmp_path: Path) -> None:
    answer = outcome(tmp_path, code="raise SystemExit(3)")
    assert answer.returncode == 1
    assert "exit code 3" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "0 passed, 1 failed"


def test_tests_are_counted_and_skipped_ones_are_not(tmp_path: Path) -> None:
    answer = outcome(tmp_path, code="pass", report=suite(tests=9, failures=1, errors=1, skipped=3))
    assert answer.returncode == 1
    assert answer.stdout.splitlines()[-1] == "4 passed, 2 failed"


def test_a_run_without_any_test_fails(tmp_path: Path) -> None:
    answer = outcome(tmp_path, code="pass", report=suite(tests=2, failures=0, errors=0, skipped=2))
    assert answer.returncode == 1
    assert "no test ran" in answer.stdout


def test_a_report_of_an_earlier_run_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "it.xml").write_text(suite(tests=5), encoding="utf-8")
    answer = outcome(tmp_path, code="pass", report="")
    assert answer.returncode == 1
    assert "no test ran" in answer.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who was left behind")
def test_a_process_left_behind_is_named_ended_and_fails_the_gate(tmp_path: Path) -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '599'], start_new_session=True).pid, flush=True)"
    answer = outcome(tmp_path, code=code)
    pid = next(int(line) for line in answer.stdout.splitlines() if line.isdigit())
    assert answer.returncode == 1
    assert "left a process behind: sleep 599" in answer.stdout
    assert not Path(f"/proc/{pid}").exists()


def test_the_quick_gates_exist() -> None:
    assert set(gates.QUICK) < {gate.name for gate in gates.GATES}
