# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the gates that a change must pass, all of them even if one fails, and close with one line of counts.

Each gate is one command. A gate passes if its command succeeds, if it left no process behind, and, where the gate is a
pytest run, if at least one test ran. The closing line counts gates and the tests of the pytest gates alike.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools import layout, process

PYTHON = sys.executable
REPORTS = layout.BUILD / "reports"
HOME = layout.BUILD / "home"
PLUGINS = f".build/{layout.COLLECTION}/plugins"
TYPED_TESTS = ("tests/emulator", "tests/tools", "tests/demo")


@dataclass(frozen=True)
class Gate:
    """One command that must succeed.

    A ``snapshot`` gate runs in a copy of the collection that holds nothing else. The others have a home below
    ``.build``, but an ``own_home`` gate makes one for itself, for which it reads the user's pip settings.
    An ``extra`` gate takes minutes, or environments of its own: it runs when it is named, or with ``--extra``.
    """

    name: str
    purpose: str
    command: Callable[[], list[str]]
    snapshot: bool = False
    pytest: bool = False
    own_home: bool = False
    extra: bool = False


@dataclass(frozen=True)
class Result:
    """What came of a gate; ``passed`` and ``failed`` count tests, and a gate without tests is one."""

    gate: Gate
    seconds: float
    passed: int
    failed: int
    complaints: tuple[str, ...]


def tool(name: str) -> str:
    """Return the path of a program of the virtual environment."""
    return str(Path(PYTHON).parent / name)


def pytest(name: str, *folders: str) -> list[str]:
    present = [folder for folder in folders if (layout.ROOT / folder).exists()]
    return [PYTHON, "-m", "pytest", "-q", "-n", "2", f"--junitxml={REPORTS / name}.xml", *present]


GATES = (
    Gate("ruff", "Python style and common errors", lambda: [tool("ruff"), "check", "."]),
    Gate("format", "Python formatting", lambda: [tool("ruff"), "format", "--check", "."]),
    Gate("mypy", "types", lambda: [tool("mypy"), PLUGINS, *TYPED_TESTS]),
    Gate("yamllint", "YAML style, in plugins and guides, too", lambda: [PYTHON, "tests/tools/yaml_style.py"]),
    Gate("unit", "unit tests", lambda: pytest("unit", "tests/unit"), pytest=True),
    Gate(
        "cores",
        "unit tests on the oldest and the newest ansible-core",
        lambda: [PYTHON, "tests/tools/unit_cores.py", f"--junitxml={REPORTS / 'cores'}.xml"],
        pytest=True,
        own_home=True,
    ),
    Gate("reuse", "licence and copyright of every file", lambda: [tool("reuse"), "lint", "--quiet"], snapshot=True),
    Gate(
        "sanity",
        "ansible-test sanity, without ignore entries",
        lambda: [PYTHON, "tests/tools/sanity.py"],
        own_home=True,
    ),
    Gate("ansible-lint", "profile production", lambda: [tool("ansible-lint"), "--offline", "--nocolor"], snapshot=True),
    Gate("changelog", "changelog fragments", lambda: [tool("antsibull-changelog"), "lint"], snapshot=True),
    Gate(
        "docs",
        "documentation of modules and roles",
        lambda: [
            tool("antsibull-docs"),
            *("lint-collection-docs", "--plugin-docs", "--validate-collection-refs", "all", "."),
        ],
        snapshot=True,
    ),
    Gate(
        "site",
        "the documentation site without a warning, its pages, and what its guides tell people to type",
        lambda: [PYTHON, "tests/tools/docs.py", "--test", f"--junitxml={REPORTS / 'site'}.xml"],
        pytest=True,
        own_home=True,
        extra=True,
    ),
    Gate(
        "integration",
        "the whole against the tenant emulator",
        lambda: [*pytest("integration", "tests/fidelity", "tests/integration"), "-m", "not cores"],
        pytest=True,
    ),
    Gate(
        "canary",
        "no secret is anywhere, on the other versions of ansible-core, too",
        lambda: [*pytest("canary", "tests/integration/test_canary.py"), "-m", "cores"],
        pytest=True,
        own_home=True,
        extra=True,
    ),
    Gate(
        "molecule",
        "every role and playbook, twice, as the emulator sees it",
        lambda: [PYTHON, "tests/tools/scenarios.py"],
        extra=True,
    ),
    Gate(
        "importer",
        "galaxy-importer, without a warning",
        lambda: [PYTHON, "tests/tools/importer.py"],
        own_home=True,
        extra=True,
    ),
    Gate("artifact", "build, install in an empty place, run from there", lambda: [PYTHON, "tests/tools/artifact.py"]),
)
QUICK = ("ruff", "format", "mypy", "yamllint", "unit")
EXTRA = tuple(gate.name for gate in GATES if gate.extra)


def environment() -> dict[str, str]:
    """Return this process's environment with the virtual environment first and a home below ``.build``."""
    HOME.mkdir(parents=True, exist_ok=True)
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "GIT_", "M365_"))
    }
    return inherited | {
        "PATH": f"{Path(PYTHON).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(HOME),
        "ANSIBLE_HOME": str(HOME / ".ansible"),
        "ANSIBLE_PYTHON_INTERPRETER": PYTHON,
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def adopt_orphans() -> None:
    """Become the parent of every process that a gate leaves behind, so that it is seen (Linux only)."""
    if sys.platform == "linux":
        pr_set_child_subreaper = 36
        ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def left_behind() -> dict[int, str]:
    """Name the living children of this process, which has none between two gates."""
    found: dict[int, str] = {}
    if sys.platform != "linux":
        return found
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The second field is the program's name in parentheses, which may hold blanks and parentheses itself.
            state, parent = status.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:2]
            words = (status.parent / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(parent) == os.getpid() and state != "Z":
            found[int(status.parent.name)] = shlex.join(word.decode(errors="replace") for word in words if word)
    return found


def reap() -> None:
    """Collect the exit codes of adopted processes that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass


def survivors(patience: float = 3.0) -> dict[int, str]:
    """Name what a gate left behind and what does not end by itself within ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while True:
        reap()
        found = left_behind()
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def tests_of(report: Path) -> tuple[int, int]:
    """Count (passed, failed) of a pytest run's report; a skipped test is neither."""
    if not report.is_file():
        return 0, 0
    passed = failed = 0
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        bad = int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
        failed += bad
        passed += int(suite.get("tests", "0")) - bad - int(suite.get("skipped", "0"))
    return passed, failed


def run(gate: Gate) -> Result:
    """Run one gate with its output on the terminal."""
    print(f"\n=== {gate.name}: {gate.purpose}", flush=True)
    report = REPORTS / f"{gate.name}.xml"
    report.unlink(missing_ok=True)
    surroundings = environment()
    if gate.own_home:
        surroundings["HOME"] = str(Path.home())
    started = time.monotonic()
    complaints: list[str] = []
    if gate.snapshot:
        surroundings["ANSIBLE_COLLECTIONS_PATH"] = str(layout.SNAPSHOT)
        with layout.alone("snapshot"):
            code = process.run(gate.command(), cwd=layout.snapshot(), env=surroundings)
    else:
        surroundings["ANSIBLE_COLLECTIONS_PATH"] = str(layout.live())
        code = process.run(gate.command(), cwd=layout.ROOT, env=surroundings)
    if code:
        complaints.append(f"exit code {code}")
    for pid, command in survivors().items():
        complaints.append(f"left a process behind: {command}")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    passed, failed = tests_of(report) if gate.pytest else (0, 0)
    if gate.pytest and not passed + failed:
        complaints.append("no test ran")
    if complaints and not failed:
        failed = 1
    elif not gate.pytest:
        passed = 1
    return Result(gate, time.monotonic() - started, passed, failed, tuple(complaints))


def summary(results: list[Result]) -> str:
    """Return a line for each gate and the closing line."""
    lines = [""]
    for result in results:
        verdict = "failed" if result.failed else "passed"
        remarks = [f"{result.passed} passed, {result.failed} failed"] if result.gate.pytest else []
        remarks += result.complaints
        lines.append(f"{verdict}  {result.gate.name:<13}{result.seconds:7.1f} s  {'; '.join(remarks)}".rstrip())
    passed, failed = sum(result.passed for result in results), sum(result.failed for result in results)
    lines.append(f"{passed} passed, {failed} failed")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Run the gates that a change must pass.",
        epilog="\n".join(f"  {gate.name:<13} {gate.purpose}" for gate in GATES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--extra", action="store_true", help=f"only {', '.join(EXTRA)}")
    parser.add_argument(
        "names", nargs="*", metavar="GATE", help="only these (all but the extra ones, if none is named)"
    )
    arguments = parser.parse_args()
    known = [gate.name for gate in GATES]
    usual = [gate.name for gate in GATES if not gate.extra]
    wanted = arguments.names or (QUICK if arguments.quick else EXTRA if arguments.extra else usual)
    if unknown := sorted(set(wanted) - set(known)):
        parser.error(f"no such gate: {', '.join(unknown)} (there are {', '.join(known)})")
    REPORTS.mkdir(parents=True, exist_ok=True)
    process.stop_cleanly()
    adopt_orphans()
    try:
        results = [run(gate) for gate in GATES if gate.name in wanted]
    except layout.LayoutError as error:
        print(f"gates: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    print(summary(results))
    return 1 if any(result.failed for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
