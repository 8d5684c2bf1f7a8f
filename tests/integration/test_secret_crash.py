# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed at any request, store step or disk operation costs nothing: the next run makes it whole.

The run is a forked child; it is killed (SIGKILL, by itself) just before or just after its k-th step, from wrappers
around its transport, its store and the operating system's calls. Nothing in the product knows of this.
"""

from __future__ import annotations

import os
import signal
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.emulator.testing import start_emulator
from tests.integration.secrets import FOREIGN_KEY, TENANTS, Json, Watched, WatchedStore, World
from tests.tools import layout

REPORT = layout.BUILD / "reports" / "secret-crashes.txt"
PARTS = REPORT.with_suffix("")
DISK = ("fsync", "replace", "unlink")

Gate = Callable[[str, str], None]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with start_emulator(TENANTS) as emulator:
        yield World(emulator, tmp_path_factory.mktemp("store"))


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Iterator[Callable[[str, list[str]], None]]:
    """Takes the rows of a scenario: for the table of all k, and for whoever looks at the tests' output (-s)."""

    def take(scenario: str, rows: list[str]) -> None:
        PARTS.mkdir(parents=True, exist_ok=True)
        text = "\n".join([f"{scenario}: killed at {len(rows)} places", *rows, ""])
        print(text)
        (PARTS / f"{scenario.replace(' ', '-')}.txt").write_text(text, encoding="utf-8")

    yield take
    # Workers share the tests out: whoever is last puts the whole together.
    known = [PARTS / f"{scenario.replace(' ', '-')}.txt" for scenario in (*SCENARIOS, TWICE)]
    REPORT.write_text("\n".join(part.read_text("utf-8") for part in known if part.exists()), encoding="utf-8")


def nothing(_world: World) -> None:
    """A first mint."""


def due(world: World) -> None:
    """A secret that is 340 days old."""
    world.run()
    world.pass_days(340)


def overlap_over(world: World) -> None:
    """A renewal whose overlap has passed."""
    due(world)
    world.run()
    world.pass_days(7)


def due_and_overlapping(world: World) -> None:
    """A renewal while the one before has its overlap: three must not live."""
    world.run()
    world.pass_days(340)
    world.run()
    world.pass_days(1)


def expired(world: World) -> None:
    """Nobody looked for 400 days."""
    world.run()
    world.pass_days(400)


@dataclass(frozen=True)
class Scenario:
    """``moments`` and ``disk``: the issue's own two are killed everywhere, also inside a store's write."""

    prepare: Callable[[World], None]
    params: Json = field(default_factory=dict)
    passes: tuple[str, ...] = ()
    moments: tuple[str, ...] = ("after",)
    disk: bool = False


MINT = ("store probe", "store write", "store read", "/$batch", "addPassword", "oauth2/v2.0/token")
ON_DISK = ("disk replace", "disk fsync", "disk unlink")
SCENARIOS = {
    "first mint": Scenario(nothing, {}, (*MINT, *ON_DISK), ("before", "after"), disk=True),
    "rotation": Scenario(due, {}, (*MINT, *ON_DISK), ("before", "after"), disk=True),
    "rotation of what has expired": Scenario(expired, {}, (*MINT, "removePassword")),
    "rotation within the overlap of the one before": Scenario(
        due_and_overlapping, {"rotate": "always"}, (*MINT, "removePassword")
    ),
    "retirement": Scenario(overlap_over, {}, ("removePassword", "store write")),
    "removal": Scenario(due, {"state": "absent"}, ("removePassword", "store remove")),
}
TWICE = "rotation, and the run after it as well"


def watched_run(world: World, gate: Gate, scenario: Scenario) -> Json:
    """One run whose every step passes the gate."""
    for name in DISK if scenario.disk else ():
        setattr(os, name, _gated(getattr(os, name), f"disk {name}", gate))
    return world.run(
        store=WatchedStore(world.store(), gate), transport=lambda inner: Watched(inner, gate), **scenario.params
    )


def _gated(work: Callable[..., t.Any], step: str, gate: Gate) -> Callable[..., t.Any]:
    def gated(*arguments: t.Any, **options: t.Any) -> t.Any:
        gate("before", step)
        result = work(*arguments, **options)
        gate("after", step)
        return result

    return gated


def in_child(work: Callable[[], None]) -> int:
    """Fork, work, and never come back from there; the child's wait status."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(3)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def steps_of(world: World, scenario: Scenario) -> list[str]:
    """What a whole run does, step by step: told by a child, because its wrappers must not stay here."""
    reader, writer = os.pipe()

    def work() -> None:
        def tell(when: str, step: str) -> None:
            if when == "before":
                os.write(writer, f"{step}\n".encode())

        assert not watched_run(world, tell, scenario).get("failed")

    status = in_child(work)
    os.close(writer)
    with os.fdopen(reader) as stream:
        steps = stream.read().splitlines()
    assert status == 0
    return steps


def killed_run(world: World, scenario: Scenario, victim: int, moment: str) -> None:
    """A run that dies just before or after its step ``victim``, counted from 1."""
    begun = 0
    inside: list[int] = []  # steps nest: a store's write has the disk's in it

    def gate(when: str, _step: str) -> None:
        nonlocal begun
        if when == "before":
            begun += 1
            inside.append(begun)
        number = inside[-1] if when == "before" else inside.pop()
        if (number, when) == (victim, moment):
            os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        watched_run(world, gate, scenario)

    status = in_child(work)
    assert os.WIFSIGNALED(status), f"step {victim} was never reached"
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.turn("lives of a secret")
def test_killed_anywhere(world: World, name: str, report: Callable[[str, list[str]], None]):
    scenario = SCENARIOS[name]
    world.begin()
    scenario.prepare(world)
    steps = steps_of(world, scenario)
    for wanted in scenario.passes:
        assert any(wanted in step for step in steps), f"{wanted} is out of the wrappers' sight"
    rows, broken = [], []
    for number, step in enumerate(steps, 1):
        for moment in scenario.moments:
            world.begin()
            scenario.prepare(world)
            told, problems = killed_and_run_again(world, scenario, [(number, moment)])
            rows.append(f"{number:3} {moment:6} {step:75} {told}")
            broken += [rows[-1]] if problems else []
    report(name, rows)
    assert not broken, "\n".join(broken)


@pytest.mark.slow
@pytest.mark.turn("lives of a secret")
def test_killed_twice_in_a_row(world: World, report: Callable[[str, list[str]], None]):
    """The run that mends is killed as well: what it mends is still mended by the one after it."""
    first, again = Scenario(due), Scenario(due)
    world.begin()
    due(world)
    steps = steps_of(world, first)
    rows, broken = [], []
    for part in ("addPassword", "store write"):
        number = max(index for index, step in enumerate(steps[:-1], 1) if part in step)
        world.begin()
        due(world)
        killed_run(world, first, number, "after")
        for second, step in enumerate(steps_of(world, again), 1):
            world.begin()
            due(world)
            told, problems = killed_and_run_again(world, first, [(number, "after"), (second, "after")])
            rows.append(f"{number:3} {part:12} then {second:3} {step:70} {told}")
            broken += [rows[-1]] if problems else []
    report(TWICE, rows)
    assert len(rows) > 10
    assert not broken, "\n".join(broken)


def killed_and_run_again(world: World, scenario: Scenario, kills: list[tuple[int, str]]) -> tuple[str, list[str]]:
    """(what became of it in words, what is not as it has to be)."""
    had_one = world.signs_in(world.entry().current)
    for number, moment in kills:
        killed_run(world, scenario, number, moment)
    problems = []
    left = len(world.ours())
    if had_one and scenario.params.get("state") != "absent" and not world.signs_in(world.entry().current):
        problems.append("the fax server was out")
    result = world.run(**{**scenario.params, "rotate": "if_needed"})
    problems += after_one_more_run(world, result, scenario.params)
    mended = f"{result.get('summary')} [{len(world.ours())} of ours]"
    return f"{left} of ours, then: {'; '.join(problems) or mended}", problems


def after_one_more_run(world: World, result: Json, params: Json) -> list[str]:
    """What is not as it has to be."""
    entry, ours = world.store().read(), world.ours()
    problems = [str(result["msg"])] if result.get("failed") else []
    if world.foreign() != [FOREIGN_KEY]:
        problems.append(f"foreign: {world.foreign()}")
    if params.get("state") == "absent":
        problems += [f"left: {ours}"] if ours else []
        problems += ["the store still has an entry"] if entry is not None else []
    else:
        known = entry.known() if entry is not None else set()
        problems += ["the stored value does not sign in"] if not world.signs_in(entry and entry.current) else []
        problems += [f"{len(ours)} of ours live"] if len(ours) > 2 else []
        problems += [f"unknown to the store: {set(ours) - known}"] if set(ours) - known else []
        problems += [f"gone from the tenant: {known - set(ours)}"] if known - set(ours) else []
        problems += ["the store still has a renewal"] if entry is not None and entry.following else []
    again = world.run(**{**params, "rotate": "if_needed"})
    problems += [f"another run changes: {again.get('steps')}"] if again["changed"] else []
    left = [path.name for path in world.folder.iterdir() if path.name != "secret.yml"]
    return [*problems, *([f"left in the folder: {left}"] if left else [])]
