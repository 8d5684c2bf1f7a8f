# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the time goes: profiles of a run, and what they say by the part that is to blame.

A function's own time is its part's. What serves everybody (a dictionary's ``get``, a copy, a regular expression) is
shared out among those who call it. A profile makes calls dearer than they are: it tells shares, not seconds.
"""

from __future__ import annotations

import pathlib
import pstats
import subprocess
import sys
import typing as t
from collections import Counter
from dataclasses import dataclass

from tests.bench.contenders import Contender, WrongRun
from tests.bench.table import columns

PARTS = ("Ansible's tasks", "templates", "our code", "TLS and HTTP", "JSON", "imports", "fork and wait")
Function = tuple[str, int, str]
Stat = tuple[int, int, float, float, dict[Function, tuple[int, int, float, float]]]

BY_FILE = (
    ("ansible_collections/", "our code"),
    ("/ansible/_internal/_templating/", "templates"),
    ("/ansible/template/", "templates"),
    ("/jinja2/", "templates"),
    ("<template>", "templates"),
    ("<unknown>", "templates"),
    ("/ansible/_internal/_json/", "JSON"),
    ("/ansible/module_utils/_internal/_json/", "JSON"),
    ("/json/", "JSON"),
    ("importlib", "imports"),
    ("/ansible/utils/collection_loader/", "imports"),
    ("/ansible/plugins/loader.py", "imports"),
    ("/urllib3/", "TLS and HTTP"),
    ("/requests/", "TLS and HTTP"),
    ("/http/", "TLS and HTTP"),
    ("/email/", "TLS and HTTP"),
    ("/ssl.py", "TLS and HTTP"),
    ("/socket.py", "TLS and HTTP"),
    ("/multiprocessing/", "fork and wait"),
    ("strategy/__init__.py:_wait_on_pending_results", "fork and wait"),
    ("strategy/__init__.py:_process_pending_results", "fork and wait"),
    ("strategy/__init__.py:inner", "fork and wait"),
    ("task_queue_manager.py:has_dead_workers", "fork and wait"),
    ("/ansible/", "Ansible's tasks"),
)
"""The first that is in a function's file and name."""
BUILT_IN = (
    ("_ssl", "TLS and HTTP"),
    ("_socket", "TLS and HTTP"),
    ("_json", "JSON"),
    ("posix.fork", "fork and wait"),
    ("time.sleep", "fork and wait"),
    ("_imp.", "imports"),
    ("marshal", "imports"),
)


@dataclass(frozen=True)
class Profile:
    """``shares`` are seconds of a tenant as the profile has them, by part; ``calls`` those of a tenant."""

    start_s: float
    workers: Counter[str]
    controller: Counter[str]
    calls: float
    counts: dict[str, float]
    """What was done for a tenant."""


def part_of(function: Function) -> str | None:
    """The part to which a function belongs, or None where it serves everybody."""
    file, _line, name = function
    if file == "~":
        return next((part for word, part in BUILT_IN if word in name), None)
    return next((part for word, part in BY_FILE if word in f"{file}:{name}"), None)


def shares(stats: t.Mapping[Function, Stat]) -> Counter[str]:
    """Seconds by part."""
    known: dict[Function, dict[str, float]] = {}

    def blamed(function: Function, on_the_way: frozenset[Function]) -> dict[str, float]:
        """Who is to blame for a second of it: parts and their fractions."""
        part = part_of(function)
        if part is not None:
            return {part: 1.0}
        if function in known:
            return known[function]
        callers = stats[function][4] if function in stats else {}
        weights = {one: calls[3] for one, calls in callers.items() if one != function and one not in on_the_way}
        whole = sum(weights.values())
        found: Counter[str] = Counter()
        for one, weight in weights.items():
            for name, fraction in blamed(one, on_the_way | {function}).items():
                found[name] += fraction * (weight / whole if whole else 1 / len(weights))
        known[function] = dict(found) or {PARTS[0]: 1.0}
        return known[function]

    seconds: Counter[str] = Counter()
    for function, (_primitive, _calls, own, _whole, callers) in stats.items():
        if part_of(function) is not None or not callers:
            seconds[part_of(function) or PARTS[0]] += own
            continue
        # Its own time is known by caller.
        for one, (_c, _n, own_there, _w) in callers.items():
            for name, fraction in blamed(one, frozenset((function,))).items():
                seconds[name] += own_there * fraction
    return seconds


def count(stats: t.Mapping[Function, Stat], file: str, name: str) -> int:
    """How often a function was called."""
    return sum(stat[1] for (where, _line, what), stat in stats.items() if what == name and file in where)


def profile(contender: Contender, name: str, tenants: int, kept: pathlib.Path) -> Profile:
    """Run a playbook under a profile, which is kept in a folder. Raises WrongRun."""
    kept.mkdir(parents=True)
    fleet = contender.fleet(tenants, 2)
    python, *words = [str(fleet.python), str(pathlib.Path(__file__).with_name("profiled.py")), str(kept)]
    command = [python, *words, "-i", "tenants.yml", contender.playbook(name)]
    ended = subprocess.run(
        command, cwd=fleet.folder, env=fleet.environment(), capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise WrongRun(
            f"{contender.name}, {name} under a profile: exit code {ended.returncode}:\n{ended.stdout[-4000:]}"
        )
    workers = sorted(kept.glob("worker-*.prof"))
    whole = pstats.Stats(str(workers[0]))
    whole.add(*map(str, workers[1:]))
    controller, start = pstats.Stats(str(kept / "controller.prof")), pstats.Stats(str(kept / "start.prof"))
    whole.dump_stats(kept / "workers.prof")
    for path in workers:
        path.unlink()
    for stats, title in ((start, "start"), (controller, "controller"), (whole, "workers")):
        listed(stats, kept / f"{title}.txt")
    in_workers, in_controller = _stats(whole), _stats(controller)
    counts = {
        "worker processes": len(workers),
        "templates compiled": count(in_workers, "jinja2/environment.py", "_generate"),
        "templates rendered": count(in_workers, "jinja_bits.py", "new_context"),
        "TLS handshakes": count(in_workers, "~", "<method 'do_handshake' of '_ssl._SSLSocket' objects>"),
        "JSON documents read": count(in_workers, "json/decoder.py", "decode"),
    }
    return Profile(
        start.total_tt,  # type: ignore[attr-defined]
        _for_each(shares(in_workers), tenants),
        _for_each(shares(in_controller), tenants),
        (whole.total_calls + controller.total_calls) / tenants,  # type: ignore[attr-defined]
        {title: number / tenants for title, number in counts.items()},
    )


def listed(stats: pstats.Stats, path: pathlib.Path) -> None:
    """Its dearest functions, for people."""
    with path.open("w", encoding="utf-8") as file:
        stats.stream = file  # type: ignore[attr-defined]
        stats.sort_stats("tottime").print_stats(60)
        stats.sort_stats("cumulative").print_stats(120)


def _stats(stats: pstats.Stats) -> t.Mapping[Function, Stat]:
    return t.cast("t.Mapping[Function, Stat]", stats.stats)  # type: ignore[attr-defined]


def _for_each(seconds: Counter[str], tenants: int) -> Counter[str]:
    return Counter({name: value / tenants for name, value in seconds.items()})


def lines(own: Profile, base: Profile, base_name: str) -> list[str]:
    """Shares of a tenant's time in percent, this tree's and the base's beside each other, and what was counted."""
    cells = [("WHERE THE TIME GOES", "WORKERS", "CONTROLLER", f"{base_name}: WORKERS", "CONTROLLER")]
    for part in PARTS:
        row = [part]
        for one in (own, base):
            whole = sum(one.workers.values()) + sum(one.controller.values())
            row += [f"{side[part] / whole:.0%}" for side in (one.workers, one.controller)]
        cells.append(t.cast("t.Any", tuple(row)))
    counted = [("FOR EACH TENANT", "THIS TREE", base_name)]
    counted += [(name, f"{value:.1f}", f"{base.counts[name]:.1f}") for name, value in own.counts.items()]
    counted.append(("function calls, thousands", f"{own.calls / 1000:.0f}", f"{base.calls / 1000:.0f}"))
    counted.append(("Ansible's start, s of a profile, once", f"{own.start_s:.2f}", f"{base.start_s:.2f}"))
    return [*columns(cells), "", *columns(counted)]


if __name__ == "__main__":
    sys.exit("run it by: make bench BASE=<commit>")
