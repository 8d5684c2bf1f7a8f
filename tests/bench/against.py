# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This tree against an older commit of it, and against tasks that do nothing: side by side, in turns.

Everybody's tenants are provisioned once. Then each pair runs all contenders one after the other, now one of them
first and now another, and what is told are medians of the pairs' ratios: what else the machine does in a minute falls
on all of them. The exit code tells whether the runs were right, never how fast they were.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import sys
import tempfile
import time
import typing as t
from collections import defaultdict
from dataclasses import asdict

from tests.bench import where
from tests.bench.contenders import Contender, Figures, WrongRun, base, floor, this_tree, unpacked
from tests.bench.results import Runs, rows
from tests.bench.table import lines, rst
from tests.emulator.testing import start_emulator
from tests.integration.fleet import tenants
from tests.tools import layout, process

NEAR_FORKS, FAR_FORKS = 2, 10


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def sizes(text: str) -> tuple[int, int]:
    """``10,60``. Raises ValueError."""
    small, large = (int(word) for word in text.split(","))
    if not 1 <= small < large:
        raise ValueError(text)
    return small, large


def options(words: t.Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench BASE=", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("--pairs", type=int, default=7, help="how often everybody runs (default: 7)")
    parser.add_argument("--tenants", type=sizes, default=(10, 60), help="fewer,more: one more tenant is the difference")
    parser.add_argument("--audit-tenants", type=sizes, help="the same for audit (default: a fifth of --tenants)")
    parser.add_argument(
        "--far-pairs", type=int, help="how often all of it runs far away (default: as --pairs, at most 3)"
    )
    parser.add_argument(
        "--round-trip", type=float, default=0.1, help="seconds that an answer takes there (default: 0.1)"
    )
    parser.add_argument("--profiled", type=int, help="tenants under a profile (default: the fewer of --tenants)")
    found = parser.parse_args(words)
    few, many = (count // 5 for count in found.tenants)
    found.audit_tenants = found.audit_tenants or (max(1, few), max(2, many, few + 1))
    found.far_pairs = found.far_pairs or min(found.pairs, 3)
    found.profiled = found.profiled or found.tenants[0]
    if min(found.pairs, found.far_pairs, found.profiled) < 1:
        parser.error("at least one pair and one tenant are needed")
    return found


def in_turns(contenders: t.Sequence[Contender], number: int) -> list[Contender]:
    """Everybody is first, and last, as often as the others."""
    turned = list(contenders[number % len(contenders) :]) + list(contenders[: number % len(contenders)])
    return turned if number // len(contenders) % 2 == 0 else turned[::-1]


def near(everybody: t.Sequence[Contender], given: argparse.Namespace, runs: Runs) -> None:
    """What one more tenant takes, and the first one. Raises WrongRun."""
    of_ours = [one for one in everybody if one.name != "floor"]
    for number in range(given.pairs):
        for name, counts, who in (
            ("provision", (1, *given.tenants), everybody),
            ("audit", given.audit_tenants, of_ours),
        ):
            for count in dict.fromkeys(counts):
                for one in in_turns(who, number):
                    runs[one.name, name, count].append(one.run(name, count, forks=NEAR_FORKS))
        tell(f"pair {number + 1} of {given.pairs}: {said(runs, given.tenants)}")


def said(runs: Runs, counts: tuple[int, int]) -> str:
    """What a pair came to."""
    few, many = counts
    found = []
    for name in dict.fromkeys(name for name, _playbook, _count in runs):
        more = runs[name, "provision", many][-1].cpu_s - runs[name, "provision", few][-1].cpu_s
        found.append(f"{name} {more / (many - few):.2f} s")
    return ", ".join(found)


def far(of_ours: t.Sequence[Contender], given: argparse.Namespace, runs: Runs) -> None:
    """What all of them take where every answer takes its time. Raises WrongRun."""
    for one in of_ours:
        one.far_away(given.round_trip)
    for number in range(given.far_pairs):
        for one in in_turns(of_ours, number):
            runs[one.name, "far", given.tenants[1]].append(one.run("provision", given.tenants[1], forks=FAR_FORKS))
        tell(f"far away, pair {number + 1} of {given.far_pairs}")
    for one in of_ours:
        one.far_away(0)


def kept_in() -> pathlib.Path:
    folder = layout.BUILD / "bench" / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    return folder


def measure(given: argparse.Namespace, kept: pathlib.Path) -> list[str]:
    """What to print. Raises WrongRun and LayoutError."""
    runs: Runs = defaultdict(list)
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="against-")))
        most = max(given.tenants[1], given.audit_tenants[1], given.profiled)

        collections = unpacked(given.base, folder)

        def emulator() -> t.Any:
            return stack.enter_context(start_emulator(tenants(most)))

        of_ours = [this_tree(folder, emulator()), base(given.base, collections, folder, emulator())]
        everybody = [*of_ours, floor(folder, emulator())]
        for one in of_ours:
            tell(f"{one.name}: provisioning {most} tenants ...")
            one.run("provision", most, forks=2 * NEAR_FORKS, changes=True)
        near(everybody, given, runs)
        far(of_ours, given, runs)
        profiles = [
            where.profile(one, "provision", given.profiled, kept / one.name.replace(" ", "-")) for one in of_ours
        ]
    against = of_ours[1].name
    few, many = given.tenants
    head = f"from {few} to {many} tenants with nothing to change, {NEAR_FORKS} forks, {given.pairs} pairs (audit: from "
    head += f"{given.audit_tenants[0]} to {given.audit_tenants[1]}); far away: {given.round_trip * 1000:g} ms, "
    head += f"{FAR_FORKS} forks, {given.far_pairs} pairs"
    table = rows(runs, against, given.tenants, given.audit_tenants)
    (kept / "table.rst").write_text("\n".join(rst(against, table)) + "\n", encoding="utf-8")
    told = [head, *lines(against, table), ""]
    told += where.lines(profiles[0], profiles[1], against)
    keep(runs, kept)
    return told


def keep(runs: t.Mapping[tuple[str, str, int], t.Sequence[Figures]], kept: pathlib.Path) -> None:
    """Every figure of every run."""
    found = [
        {"who": who, "run": name, **asdict(one)} for (who, name, _count), figures in runs.items() for one in figures
    ]
    (kept / "figures.json").write_text(json.dumps(found, indent=1), encoding="utf-8")


def main() -> int:
    given = options()
    process.stop_cleanly()
    started = time.monotonic()
    kept = kept_in()
    try:
        told = measure(given, kept)
    except (WrongRun, layout.LayoutError) as error:
        tell(str(error))
        return 1
    told.append(f"\n{time.monotonic() - started:.0f} s in all; figures and profiles: {kept.relative_to(layout.ROOT)}")
    (kept / "table.txt").write_text("\n".join(told) + "\n", encoding="utf-8")
    print("\n".join(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
