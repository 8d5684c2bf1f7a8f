# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs on one secret at the same time: what the store names lives, whatever they do to each other."""

from __future__ import annotations

import datetime as dt
import os
import typing as t
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _lease
from ansible_collections.mail2fax.m365.plugins.module_utils._lease import Lease, this_process
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, iso
from tests.emulator.testing import start_emulator
from tests.integration.secrets import FOREIGN_KEY, TENANTS, Json, Watched, WatchedStore, World

Gate = t.Callable[[str, str], None]
AGAIN: Json = {"rotate": "always"}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with start_emulator(TENANTS) as emulator:
        yield World(emulator, tmp_path_factory.mktemp("store"))


@pytest.fixture
def world(worlds: World) -> World:
    worlds.begin()
    return worlds


def watched(world: World, gate: Gate, **params: t.Any) -> Json:
    store = WatchedStore(world.store(), gate)
    return world.run(store=store, transport=lambda inner: Watched(inner, gate), **params)


def at_step(number: int, act: t.Callable[[], t.Any]) -> Gate:
    """A gate that acts after the step of that number, counted from 1."""
    seen = 0

    def gate(when: str, _step: str) -> None:
        nonlocal seen
        seen += when == "after"
        if when == "after" and seen == number:
            act()

    return gate


def whole(world: World) -> list[str]:
    """What is wrong with the store and the application beside it."""
    entry, ours = world.entry(), world.ours()
    wrong = []
    if not world.signs_in(entry.current):
        wrong.append("what the fax server reads does not sign in")
    if entry.following is not None or not entry.known() <= {*ours}:
        wrong.append(f"the store names {entry.known()}, alive are {ours}")
    if world.foreign() != [FOREIGN_KEY]:
        wrong.append("somebody else's secret was touched")
    return wrong


@pytest.mark.parametrize("overlap", [0, pytest.param(7, marks=pytest.mark.soak)])
def test_a_run_inside_another_at_every_step(world: World, overlap: int):
    """Whatever the outer one finds afterwards: it stops, or goes on, and nothing that the store names is dead."""
    params = {**AGAIN, "overlap": overlap}
    steps: list[str] = []
    world.run()
    watched(world, lambda when, step: steps.append(step) if when == "after" else None, **params)
    assert any("addPassword" in step for step in steps)
    told = []
    for number in range(1, len(steps) + 1):
        world.begin()
        world.run()
        world.pass_days(10)
        inner: list[Json] = []
        outer = watched(world, at_step(number, lambda inner=inner: inner.append(world.run(**params))), **params)
        assert len(inner) == 1
        problems = whole(world)
        results = [result["outcome"] + ": " + result.get("msg", "") for result in (outer, *inner)]
        told += [f"{number} {steps[number - 1]}: {problems} {results}"] if problems else []
        assert "was changed by somebody else" in outer.get("msg", "") or not outer.get("failed"), outer
        # One more run puts right whatever the two left, and finds no more than two.
        again = world.run(overlap=overlap)
        assert not again.get("failed"), again
        assert {*world.ours()} == world.entry().known()
    assert not told, "\n".join(told)


class Died(BaseException):
    pass


def _die(when: str, step: str) -> None:
    if when == "after" and "addPassword" in step:
        raise Died


def test_a_secret_that_another_run_is_making_is_left_alone(world: World):
    world.run()
    with pytest.raises(Died):
        watched(world, _die, **AGAIN)
    (old, newborn) = world.ours()
    store = world.store()
    entry = store.read() or Entry()
    assert entry.intent is not None
    until = iso(world.clock.now() + dt.timedelta(minutes=20))
    store.write(replace(entry, intent=replace(entry.intent, lease=Lease("run", until, "another machine/1/1"))))
    unchanged = world.run()
    assert (unchanged["outcome"], unchanged["changed"]) == ("ok", False)
    told = world.run(**AGAIN)
    assert told["outcome"] == "blocked"
    assert f"its claim is over at {until}" in told["msg"]
    assert {*world.ours()} == {old, newborn}
    checked = world.run(check_mode=True, **AGAIN)
    assert checked["outcome"] == "blocked"
    world.pass_days(0.02)
    mended = world.run(**AGAIN)
    assert mended["outcome"] == "changed", mended
    assert newborn in mended["retired"]
    assert whole(world) == []


def test_what_another_run_has_just_made_is_what_was_asked_for(world: World):
    """Two rotate=always at once make one secret, and the one in use until now has its overlap."""
    world.run()
    old = world.ours()
    entry = world.entry()
    reader, writer = os.pipe()
    go_on, may = os.pipe()

    def gate(when: str, step: str) -> None:
        if when == "after" and "addPassword" in step:
            os.write(writer, b"made")
            os.read(go_on, 1)

    child = os.fork()
    if child == 0:
        try:
            done = watched(world, gate, **AGAIN)
            os._exit(0 if done["outcome"] == "changed" else 4)
        except BaseException:
            os._exit(3)
    os.read(reader, 4)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            os.write(may, b"x")
            assert os.waitpid(child, 0)[1] == 0

    try:
        world.clock.sleep = sleep  # type: ignore[method-assign]
        result = world.run(**AGAIN)
    finally:
        del world.clock.sleep
    assert slept
    assert (result["outcome"], result["changed"]) == ("ok", False), result
    assert result["key_id"] == world.entry().current.key_id != entry.current.key_id  # type: ignore[union-attr]
    assert {*world.ours()} == {*old, result["key_id"]}
    assert whole(world) == []


def test_a_run_that_died_on_this_machine_is_not_waited_for(world: World):
    world.run()
    child = os.fork()
    if child == 0:
        try:
            watched(
                world, lambda when, step: os._exit(9) if "addPassword" in step and when == "after" else None, **AGAIN
            )
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    intent = world.entry().intent
    assert intent is not None
    assert intent.lease is not None
    assert not intent.held(world.clock.now())
    before = world.clock.ahead
    result = world.run(**AGAIN)
    assert result["outcome"] == "changed"
    assert (world.clock.ahead - before).total_seconds() < 30
    assert whole(world) == []


def test_leases_of_processes(monkeypatch: pytest.MonkeyPatch):
    now = dt.datetime.now(dt.UTC)
    later = iso(now + dt.timedelta(minutes=5))
    machine = this_process().partition("/")[0]
    assert not Lease("r", later, this_process()).holds(now), "what this process claimed is its own"
    assert not Lease("r", later, f"{machine}/{os.getppid()}/1").holds(now), "another process had that number"
    parent = f"{machine}/{os.getppid()}/{_lease._started(os.getppid())}"
    assert Lease("r", later, parent).holds(now)
    assert not Lease("r", iso(now), parent).holds(now)
    assert Lease("r", later, "elsewhere/1/1").holds(now)
    assert Lease("r", later, f"{machine}/words/1").holds(now)
    monkeypatch.setattr(_lease, "_started", lambda _number: None)  # as on macOS
    assert Lease("r", later, f"{machine}/{os.getppid()}/-").holds(now)
    assert not Lease("r", later, f"{machine}/99999999/-").holds(now)
    assert not Lease("r", "no instant", "elsewhere/1/1").holds(now)
