# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the gates that a change must pass, all of them even if one fails, and close with one line of counts.

Each gate is one command. A gate passes if its command succeeds, if it left no process behind, and, where the gate is a
pytest run, if at least one test ran. The closing line counts gates and the tests of the pytest gates alike.

Gates run side by side, as many as keep the machine's cores busy, the longest first. What a gate says is kept in
``.build/reports`` and shown when it has ended; a gate that runs alone says it at once.
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import multiprocessing.connection
import os
import resource
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools import layout, process, scenarios

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
    ``cores`` is how many it keeps busy, and ``seconds`` what it takes of processor time, roughly.
    """

    name: str
    purpose: str
    command: Callable[[], list[str]]
    snapshot: bool = False
    pytest: bool = False
    own_home: bool = False
    cores: float = 1
    seconds: int = 5


@dataclass(frozen=True)
class Result:
    """What came of a gate; ``passed`` and ``failed`` count tests, and a gate without tests is one.

    ``busy`` are seconds of processor time, of all processes that the gate started.
    """

    gate: Gate
    seconds: float
    passed: int
    failed: int
    complaints: tuple[str, ...]
    busy: float = 0


@dataclass(frozen=True)
class Running:
    """A gate that runs in a process of its own, which adopts what the gate leaves behind."""

    gate: Gate
    process: multiprocessing.process.BaseProcess
    answer: multiprocessing.connection.Connection
    log: Path
    started: float


def tool(name: str) -> str:
    """Return the path of a program of the virtual environment."""
    return str(Path(PYTHON).parent / name)


def scenarios_of_others() -> list[str]:
    """Who starts ansible-playbook for each file that it looks at need not look at what waits for its turn."""
    left = scenarios.every() - {*scenarios.of_this_commit()}
    return ["--exclude", *(f"extensions/molecule/{name}" for name in sorted(left))] if left else []


def pytest(name: str, *folders: str) -> list[str]:
    present = [folder for folder in folders if (layout.ROOT / folder).exists()]
    # Runs side by side must not write one cache.
    cache = f"cache_dir={layout.BUILD / 'pytest_cache' / name}"
    words = ["-q", "-n", "2", "-o", cache, f"--junitxml={REPORTS / name}.xml"]
    return [PYTHON, "-m", "pytest", *words, *present]


GATES = (
    Gate("ruff", "Python style and common errors", lambda: [tool("ruff"), "check", "."]),
    Gate("format", "Python formatting", lambda: [tool("ruff"), "format", "--check", "."]),
    Gate("mypy", "types", lambda: [tool("mypy"), PLUGINS, *TYPED_TESTS], seconds=40),
    Gate("yamllint", "YAML style, in plugins and guides, too", lambda: [PYTHON, "tests/tools/yaml_style.py"]),
    Gate("unit", "unit tests", lambda: pytest("unit", "tests/unit"), pytest=True, cores=1.5, seconds=60),
    Gate(
        "cores",
        "unit tests on the oldest and the newest ansible-core",
        lambda: [PYTHON, "tests/tools/unit_cores.py", f"--junitxml={REPORTS / 'cores'}.xml"],
        pytest=True,
        own_home=True,
        cores=1.5,
        seconds=60,
    ),
    Gate("reuse", "licence and copyright of every file", lambda: [tool("reuse"), "lint", "--quiet"], snapshot=True),
    Gate(
        "sanity",
        "ansible-test sanity, without ignore entries",
        lambda: [PYTHON, "tests/tools/sanity.py"],
        own_home=True,
        seconds=280,
    ),
    Gate(
        "sanity-cores",
        "the same of what is shipped, on the oldest or the newest ansible-core, by the commit",
        lambda: [PYTHON, "tests/tools/sanity.py", "--others"],
        own_home=True,
        seconds=130,
    ),
    Gate(
        "ansible-lint",
        "profile production",
        lambda: [tool("ansible-lint"), *scenarios_of_others(), "--offline", "--nocolor"],
        snapshot=True,
        seconds=120,
    ),
    Gate("changelog", "changelog fragments", lambda: [tool("antsibull-changelog"), "lint"], snapshot=True),
    Gate(
        "docs",
        "documentation of modules and roles",
        lambda: [
            tool("antsibull-docs"),
            *("lint-collection-docs", "--plugin-docs", "--validate-collection-refs", "all", "."),
        ],
        snapshot=True,
        seconds=15,
    ),
    Gate(
        "site",
        "the documentation site without a warning, its pages, and what its guides tell people to type",
        lambda: [PYTHON, "tests/tools/docs.py", "--test", f"--junitxml={REPORTS / 'site'}.xml"],
        pytest=True,
        own_home=True,
        cores=1.5,
        seconds=170,
    ),
    Gate(
        "integration",
        "the whole against the tenant emulator",
        lambda: [
            *pytest("integration", "tests/fidelity", "tests/integration"),
            # What a file's tests share (emulators, whole runs) is made by one worker, once.
            *("-m", "not cores", "--dist", "loadfile"),
        ],
        pytest=True,
        cores=1.5,
        seconds=1100,
    ),
    Gate(
        "canary",
        "a tenant's life on the oldest and the newest ansible-core: the same, and no secret is anywhere",
        # One process: a life is lived once, and looked at from several sides.
        lambda: [*pytest("canary", "tests/integration/test_cores.py"), "-n", "0", "-m", "cores and not soak"],
        pytest=True,
        own_home=True,
        seconds=140,
    ),
    Gate(
        "molecule",
        "every playbook, and some roles by the commit, twice, as the emulator sees it",
        lambda: [PYTHON, "tests/tools/scenarios.py"],
        cores=1.5,
        seconds=240,
    ),
    Gate(
        "importer",
        "galaxy-importer, without a warning",
        lambda: [PYTHON, "tests/tools/importer.py"],
        own_home=True,
        # It gives ansible-lint three minutes, which must do beside other gates.
        cores=1.5,
        seconds=65,
    ),
    Gate(
        "artifact",
        "build, install in an empty place, run from there",
        lambda: [PYTHON, "tests/tools/artifact.py"],
        seconds=10,
    ),
)
QUICK = ("ruff", "format", "mypy", "yamllint", "unit")


def environment(gate: Gate) -> dict[str, str]:
    """Return this process's environment with the virtual environment first and the gate's home."""
    home = Path.home() if gate.own_home else HOME / gate.name
    home.mkdir(parents=True, exist_ok=True)
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "GIT_", "M365_"))
    }
    return inherited | {
        "PATH": f"{Path(PYTHON).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(home),
        "ANSIBLE_HOME": str(HOME / gate.name / ".ansible"),
        "ANSIBLE_PYTHON_INTERPRETER": PYTHON,
        # Whoever reads the clone after the first one need not compile it: a third of what pytest does before a test.
        "PYTHONDONTWRITEBYTECODE": "",
    }


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


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
    """Run one gate, with its output where this process's own goes, and clear away what it leaves."""
    report = REPORTS / f"{gate.name}.xml"
    report.unlink(missing_ok=True)
    surroundings = environment(gate)
    started = time.monotonic()
    complaints: list[str] = []
    try:
        if gate.snapshot:
            with layout.snapshot_of(gate.name) as copy:
                surroundings["ANSIBLE_COLLECTIONS_PATH"] = str(layout.SNAPSHOTS / gate.name)
                code = process.run(gate.command(), cwd=copy, env=surroundings)
        else:
            surroundings["ANSIBLE_COLLECTIONS_PATH"] = str(layout.live())
            code = process.run(gate.command(), cwd=layout.ROOT, env=surroundings)
        if code:
            complaints.append(f"exit code {code}")
    except (layout.LayoutError, OSError) as error:
        complaints.append(str(error))
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
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = time.monotonic() - started
    return Result(gate, seconds, passed, failed, tuple(complaints), used.ru_utime + used.ru_stime)


def _in_its_process(gate: Gate, log: Path | None, answer: multiprocessing.connection.Connection) -> None:
    """What the process of a gate does: its output into the log, its result to the one who started it."""
    if log is not None:
        with log.open("wb") as file:
            os.dup2(file.fileno(), sys.stdout.fileno())
            os.dup2(file.fileno(), sys.stderr.fileno())
    adopt_orphans()
    try:
        result = run(gate)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    answer.send((result.seconds, result.passed, result.failed, result.complaints, result.busy))


def start(gate: Gate, *, quietly: bool) -> Running:
    """Start a gate in a process of its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    log = REPORTS / f"{gate.name}.log"
    context = multiprocessing.get_context("fork")
    answer, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_in_its_process, args=(gate, log if quietly else None, theirs), name=gate.name)
    child.start()
    theirs.close()
    return Running(gate, child, answer, log, time.monotonic())


def ended(running: Running) -> Result:
    """Collect a gate's process and return its result, which is a failure if there is none."""
    try:
        values = running.answer.recv()
    except EOFError:
        values = None
    running.process.join()
    running.answer.close()
    if values is None:
        seconds = time.monotonic() - running.started
        return Result(running.gate, seconds, 0, 1, (f"ended without a result, exit code {running.process.exitcode}",))
    return Result(running.gate, *values)


def heading(gate: Gate) -> str:
    return f"\n=== {gate.name}: {gate.purpose}"


def run_all(wanted: list[Gate], limit: float) -> list[Result]:
    """Run gates side by side, as long as they keep no more than ``limit`` cores busy; in any case one of them."""
    waiting = sorted(wanted, key=lambda gate: gate.seconds, reverse=True)
    quietly = len(wanted) > 1
    running: list[Running] = []
    results: list[Result] = []
    try:
        while waiting or running:
            for gate in list(waiting):
                if not running or sum(one.gate.cores for one in running) + gate.cores <= limit:
                    waiting.remove(gate)
                    print(f"{gate.name} has begun" if quietly else heading(gate), flush=True)
                    running.append(start(gate, quietly=quietly))
            # A gate's end of the pipe is closed when its process is gone, whatever became of it.
            for connection in multiprocessing.connection.wait([one.answer for one in running]):
                (one,) = (one for one in running if one.answer is connection)
                result = ended(one)
                running.remove(one)
                results.append(result)
                if quietly:
                    print(heading(one.gate), flush=True)
                    with one.log.open("rb") as file:
                        shutil.copyfileobj(file, sys.stdout.buffer)
                    print(verdict(result), flush=True)
    finally:
        for one in running:
            one.process.terminate()
        for one in running:
            one.process.join()
    order = {gate.name: number for number, gate in enumerate(wanted)}
    return sorted(results, key=lambda result: order[result.gate.name])


def verdict(result: Result) -> str:
    """Return the line of one gate."""
    word = "failed" if result.failed else "passed"
    remarks = [f"{result.passed} passed, {result.failed} failed"] if result.gate.pytest else []
    remarks += [*result.complaints, f"processors busy for {result.busy:.0f} s"]
    return f"{word}  {result.gate.name:<13}{result.seconds:7.1f} s  {'; '.join(remarks)}"


def summary(results: list[Result], seconds: float = 0) -> str:
    """Return a line for each gate and the closing line."""
    lines = ["", *map(verdict, results), f"all of it took {seconds:.0f} s"]
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
    parser.add_argument("names", nargs="*", metavar="GATE", help="only these (all, if none is named)")
    arguments = parser.parse_args()
    known = [gate.name for gate in GATES]
    wanted = arguments.names or (QUICK if arguments.quick else known)
    if unknown := sorted(set(wanted) - set(known)):
        parser.error(f"no such gate: {', '.join(unknown)} (there are {', '.join(known)})")
    REPORTS.mkdir(parents=True, exist_ok=True)
    process.stop_cleanly()
    started = time.monotonic()
    try:
        layout.live()
        # One more than there are: a gate waits for an answer or a process now and then, and so no core does.
        results = run_all([gate for gate in GATES if gate.name in wanted], cores() + 1)
    except layout.LayoutError as error:
        print(f"gates: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    print(summary(results, time.monotonic() - started))
    return 1 if any(result.failed for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
