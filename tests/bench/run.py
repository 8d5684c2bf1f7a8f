# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one more tenant costs when there is nothing to change, in either lane.

Many emulated tenants are provisioned once. Then the whole chain runs over them again and again, in Ansible's own
workers and, fewer times, with a process for each module. The cost of a tenant is the processor time of all that
ansible-playbook did, children included, less what a run for a single tenant takes: what Ansible needs for itself is
left out. The emulator is not counted. The exit code tells whether the runs were right, never how fast they were.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.fleet import Fleet, Run, is_write, tenants
from tests.tools import process

PLAYBOOK = "mail2fax.m365.provision"
SERVICES = {"login.microsoftonline.com": "sign-in service", "graph.microsoft.com": "Graph"}


@dataclass
class Lane:
    """What the runs through one lane came to; CPU in seconds, ``marginal`` for one more tenant, one for each run."""

    name: str
    marginal: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    sign_ins: int = 0
    tenants: int = 0

    @property
    def cost(self) -> float:
        return statistics.median(self.marginal)

    def lines(self) -> list[str]:
        """What to say of it; requests and sign-ins are those of one tenant in one run."""
        runs = len(self.marginal)
        spread = f"{min(self.marginal):.2f} to {max(self.marginal):.2f}"
        asked = ", ".join(f"{count / self.tenants:g} {name}" for name, count in sorted(self.requests.items()))
        return [
            f"{self.name:<8}{self.cost:7.2f} s of CPU for one more tenant (median of {runs}, {spread})",
            f"        {statistics.median(self.wall):7.1f} s for the whole fleet",
            f"        {self.sign_ins / self.tenants:7g} sign-ins for each tenant; requests: {asked}",
        ]


class WrongRun(Exception):
    """A run that failed, or that changed something: its cost would mean nothing."""


def unchanged(fleet: Fleet, limit: str, *, in_process: bool) -> Run:
    """Run the chain where nothing is to be done. Raises WrongRun.

    What was written is told by the services: Ansible's closing lines may have words of an encrypted file taken out.
    """
    before = len(fleet.emulator.journal())
    run = fleet.play(PLAYBOOK, "--limit", limit, mail2fax_in_process=in_process)
    written = sum(map(is_write, fleet.emulator.journal()[before:]))
    if run.code or written:
        raise WrongRun(f"exit code {run.code}, {written} writing requests:\n{run.output[-4000:]}")
    return run


def count(emulator: Emulator, lane: Lane, tenants: int) -> None:
    """Add what was asked since the journal was cleared; a batch is one request."""
    lane.tenants += tenants
    for row in emulator.journal():
        if row.get("batch"):
            continue
        service = "EWS" if row["path"].lower().startswith("/ews/") else SERVICES.get(row["host"], "Exchange")
        lane.requests[service] += 1
        lane.sign_ins += row["path"].endswith("/token")


def measure(fleet: Fleet, lane: Lane, repetitions: int, *, in_process: bool) -> None:
    """Run pairs of one tenant and of all of them."""
    for number in range(repetitions):
        alone = unchanged(fleet, "tenant01", in_process=in_process)
        fleet.emulator.clear_journal()
        all_of_them = unchanged(fleet, "all", in_process=in_process)
        count(fleet.emulator, lane, fleet.count)
        lane.marginal.append((all_of_them.cpu_s - alone.cpu_s) / (fleet.count - 1))
        lane.wall.append(all_of_them.wall_s)
        print(f"{lane.name} {number + 1}/{repetitions}: {lane.marginal[-1]:.2f} s", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what one more tenant costs when there is nothing to change.")
    parser.add_argument("--tenants", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--repetitions", type=int, default=10, help="runs in Ansible's own workers (default: 10)")
    parser.add_argument("--module-repetitions", type=int, default=2, help="runs with a process each (default: 2)")
    parser.add_argument("--forks", type=int, default=5, help="as Ansible's own (default: 5)")
    arguments = parser.parse_args()
    if arguments.tenants < 2 or arguments.repetitions < 1 or arguments.module_repetitions < 1:
        parser.error("at least two tenants and one repetition of each are needed")
    process.stop_cleanly()
    worker, module = Lane("worker"), Lane("module")
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        start_emulator(tenants(arguments.tenants)) as emulator,
    ):
        forks = {"ANSIBLE_FORKS": str(arguments.forks)}
        fleet = Fleet(Path(folder), emulator, count=arguments.tenants, listen=False, settings=forks)
        print(f"provisioning {arguments.tenants} tenants ...", file=sys.stderr, flush=True)
        first = fleet.play(PLAYBOOK)
        if first.code:
            print(first.output[-4000:], file=sys.stderr)
            return 1
        try:
            measure(fleet, worker, arguments.repetitions, in_process=True)
            measure(fleet, module, arguments.module_repetitions, in_process=False)
        except WrongRun as error:
            print(error, file=sys.stderr)
            return 1
    print(f"{arguments.tenants} tenants, nothing to change, {arguments.forks} forks")
    print("\n".join([*worker.lines(), *module.lines()]))
    if arguments.module_repetitions < arguments.repetitions:
        print(f"The module lane ran {arguments.module_repetitions} times only, because it takes so long.")
    print("Tasks that need a secret's store run in Ansible's own worker in both lanes.")
    print(f"ratio   {module.cost / worker.cost:7.1f} times the CPU with a process for each module")
    return 0


if __name__ == "__main__":
    sys.exit(main())
