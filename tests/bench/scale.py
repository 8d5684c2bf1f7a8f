# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hundreds of tenants cost: each size of a fleet is provisioned, run again with nothing to change, and audited.

Every request takes a round trip of 100 ms, as to a service that is far away. Told are, for each size and run: requests,
processor time and wall time for a tenant, the largest memory of Ansible's main process and of all of its processes
together, and the emulator's share of the processor time, which is nobody's cost. At the end stands what one more
tenant costs from size to size: where that stays the same, nothing grows. The exit code tells whether the runs were
right, never how fast they were.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys
import tempfile
import threading
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.fleet import Fleet, Running, is_write, tenants
from tests.tools import process

RUNS = (
    ("provision", "mail2fax.m365.provision"),
    ("again", "mail2fax.m365.provision"),
    ("audit", "mail2fax.m365.audit"),
)
SAMPLE_S = 0.5


class WrongRun(Exception):
    """A run that failed, or that changed what was as it should be: its cost would mean nothing."""


@dataclass(frozen=True)
class Figures:
    """One run over a fleet: processor and wall time in seconds, memory in MiB."""

    name: str
    tenants: int
    requests: int
    cpu_s: float
    wall_s: float
    main_mib: float
    all_mib: float
    emulator_s: float

    def line(self) -> str:
        count = self.tenants
        share = self.emulator_s / (self.emulator_s + self.cpu_s)
        return (
            f"{count:>7}  {self.name:<10}{self.requests / count:>8.1f}{self.cpu_s / count:>9.2f}"
            f"{self.wall_s / count:>10.2f}{self.wall_s:>9.0f}{self.main_mib:>8.0f}{self.all_mib:>8.0f}{share:>9.0%}"
        )


HEAD = "TENANTS  RUN       REQUESTS  CPU s/t  WALL s/t  WALL s  MAIN MiB  ALL MiB  EMULATOR"


class Watch(threading.Thread):
    """Looks at the memory of a run until it is stopped."""

    def __init__(self, running: Running) -> None:
        super().__init__(daemon=True)
        self._running = running
        self._ended = threading.Event()
        self.main = self.all = 0.0

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self.main = max(self.main, _kib(self._running.process.pid, "status", "VmHWM") / 1024)
            # What processes share is counted once.
            together = sum(_kib(pid, "smaps_rollup", "Pss") for pid in self._running.pids())
            self.all = max(self.all, together / 1024)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _kib(pid: int, file: str, field: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
    return 0


def measured(fleet: Fleet, name: str, playbook: str, *, quiet: bool) -> Figures:
    """Run a playbook over the whole fleet. Raises WrongRun."""
    emulator = fleet.emulator
    emulator.clear_journal()
    before = emulator.worked()
    with fleet.start(playbook) as running:
        watch = Watch(running)
        watch.start()
        run = running.finish(timeout_s=24 * 3600)
        watch.stop()
    worked = emulator.worked() - before
    journal = emulator.journal()
    written = sum(map(is_write, journal))
    if run.code or (quiet and written):
        raise WrongRun(f"{name}: exit code {run.code}, {written} writing requests:\n{run.output[-4000:]}")
    asked = sum(not row.get("batch") for row in journal)
    return Figures(name, fleet.count, asked, run.cpu_s, run.wall_s, watch.main, watch.all, worked)


def of_size(count: int, forks: int, round_trip_s: float) -> list[Figures]:
    """All runs over one fleet. Raises WrongRun."""
    found = []
    with (
        tempfile.TemporaryDirectory(prefix="scale-") as folder,
        start_emulator(tenants(count)) as emulator,
    ):
        far_away(emulator, round_trip_s)
        settings = {"ANSIBLE_FORKS": str(forks), "ANSIBLE_STRATEGY": os.environ.get("ANSIBLE_STRATEGY", "linear")}
        fleet = Fleet(Path(folder), emulator, count=count, listen=False, settings=settings)
        for name, playbook in RUNS:
            found.append(measured(fleet, name, playbook, quiet=name != "provision"))
            print(found[-1].line(), flush=True)
    return found


def far_away(emulator: Emulator, round_trip_s: float) -> None:
    """Every answer comes a round trip later."""
    if round_trip_s:
        emulator.faults([{"match": {"path_regex": ""}, "times": 10**9, "effect": {"delay_s": round_trip_s}}])


def growth(found: t.Sequence[Figures]) -> list[str]:
    """What one more tenant costs, from each size to the next."""
    lines = []
    for name, _playbook in RUNS:
        rows = [one for one in found if one.name == name]
        for one, other in itertools.pairwise(rows):
            more = other.tenants - one.tenants
            cpu, wall = (other.cpu_s - one.cpu_s) / more, (other.wall_s - one.wall_s) / more
            memory = (other.main_mib - one.main_mib) * 1024 / more
            lines.append(
                f"{name:<10} from {one.tenants:>3} to {other.tenants:>3}: {cpu:.2f} s of CPU, {wall:.2f} s,"
                f" {memory:.0f} KiB in the main process"
            )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what hundreds of tenants cost, and what grows with them.")
    parser.add_argument("--tenants", default="10,100,300", help="sizes of the fleet (default: 10,100,300)")
    parser.add_argument("--forks", type=int, default=20, help="tenants at a time (default: 20)")
    parser.add_argument("--round-trip", type=float, default=0.1, help="seconds that an answer takes (default: 0.1)")
    arguments = parser.parse_args()
    counts = sorted({int(text) for text in str(arguments.tenants).split(",")})
    if not counts or counts[0] < 1 or arguments.forks < 1:
        parser.error("at least one tenant and one fork are needed")
    process.stop_cleanly()
    started = time.monotonic()
    print(f"a round trip of {arguments.round_trip:g} s, {arguments.forks} forks\n{HEAD}", flush=True)
    found: list[Figures] = []
    try:
        for count in counts:
            found += of_size(count, arguments.forks, arguments.round_trip)
    except WrongRun as error:
        print(error, file=sys.stderr)
        return 1
    print("\nOne more tenant:" if len(counts) > 1 else "")
    print("\n".join(growth(found)))
    print(f"{time.monotonic() - started:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
