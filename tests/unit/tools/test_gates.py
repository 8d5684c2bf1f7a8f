# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gates close when they should, side by side as well."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
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
gate = gates.Gate("it", "a trial", lambda: [sys.executable, "-c", {body!r}], pytest={report is not None})
results = gates.run_all([gate], 1)
print(gates.summary(results))
raise SystemExit(1 if results[0].failed else 0)
"""
    environment = os.environ | {"PYTHONPATH": str(layout.ROOT)}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)


# Several gates, each with a line of Python for a command, and so many cores to be kept busy.
SEVERAL = """
import sys
from pathlib import Path
from tests.tools import gates, process
gates.REPORTS = Path.cwd()
process.stop_cleanly()
limit, *bodies = sys.argv[1:]
wanted = [
    gates.Gate(f"gate{number}", "a trial", lambda body=body: [sys.executable, "-c", body])
    for number, body in enumerate(bodies)
]
results = gates.run_all(wanted, float(limit))
print(gates.summary(results))
raise SystemExit(1 if any(result.failed for result in results) else 0)
"""
MEET = """
import time; from pathlib import Path
Path({mine!r}).touch()
deadline = time.monotonic() + 20
while not Path({other!r}).exists():
    assert time.monotonic() < deadline, "the other one never ran"
    time.sleep(0.02)
"""


def several(tmp_path: Path, limit: float, *bodies: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(layout.ROOT)}
    command = [sys.executable, "-c", SEVERAL, str(limit), *bodies]
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


def test_gates_run_side_by_side_and_say_what_they_have_to_say_one_after_the_other(tmp_path: Path) -> None:
    files = str(tmp_path / "a"), str(tmp_path / "b")
    meet = (MEET.format(mine=mine, other=other) for mine, other in itertools.permutations(files))
    speak = (f"print({word!r}); {body}\nprint({word!r})" for word, body in zip(("one", "two"), meet, strict=True))
    answer = several(tmp_path, 2, *(body.replace("; ", "\n", 1) for body in speak))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    lines = answer.stdout.splitlines()
    assert lines[-1] == "2 passed, 0 failed"
    for word in ("one", "two"):
        first = lines.index(word)
        assert lines[first + 1] == word, "nobody else spoke between"


def test_no_more_gates_run_than_keep_the_cores_busy(tmp_path: Path) -> None:
    folder = str(tmp_path / "alone")
    alone = f"import os, time; os.mkdir({folder!r}); time.sleep(0.2); os.rmdir({folder!r})"
    answer = several(tmp_path, 1.5, alone, alone, alone)
    assert answer.stdout.splitlines()[-1] == "3 passed, 0 failed"


def test_one_that_fails_does_not_keep_the_others_from_running(tmp_path: Path) -> None:
    answer = several(tmp_path, 1, "raise SystemExit(4)", "pass")
    assert answer.returncode == 1
    assert any(line.startswith("failed  gate0 ") and "exit code 4" in line for line in answer.stdout.splitlines())
    assert answer.stdout.splitlines()[-1] == "1 passed, 1 failed"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who was left behind")
def test_what_is_left_behind_is_laid_to_the_one_who_left_it(tmp_path: Path) -> None:
    leave = "import subprocess; subprocess.Popen(['sleep', '598'], start_new_session=True)"
    answer = several(tmp_path, 2, leave, "import time; time.sleep(0.3)")
    verdicts = [line for line in answer.stdout.splitlines() if line[:6] in ("passed", "failed")][-2:]
    assert verdicts[0].startswith("failed  gate0 ")
    assert "left a process behind: sleep 598" in verdicts[0]
    assert verdicts[1].startswith("passed  gate1 ")


def test_a_gate_whose_process_ends_without_a_word_fails(tmp_path: Path) -> None:
    answer = several(tmp_path, 1, "import os, signal; os.kill(os.getppid(), signal.SIGKILL)", "pass")
    assert answer.returncode == 1
    assert "ended without a result" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "1 passed, 1 failed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_stops_the_run_stops_its_gates(tmp_path: Path, number: signal.Signals) -> None:
    wait = f"import os, pathlib, time; pathlib.Path({str(tmp_path)!r}, f'{{os.getpid()}}.pid').touch(); time.sleep(597)"
    environment = os.environ | {"PYTHONPATH": str(layout.ROOT)}
    command = [sys.executable, "-c", SEVERAL, "2", wait, wait]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 20
        while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        run.send_signal(number)
        run.wait(timeout=60)
    assert len(list(tmp_path.glob("*.pid"))) == 2
    for path in tmp_path.glob("*.pid"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.stem), 0)
    assert run.returncode


def test_the_quick_gates_exist() -> None:
    assert set(gates.QUICK) < {gate.name for gate in gates.GATES}
