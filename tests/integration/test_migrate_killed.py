# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every path of a migration, killed before and after every request of every phase, and rolled back at each.

The fax server reads and sends every minute by the way that its sheet shows, with the token that it has; services
replicate late and caches are on; and at no instant may the application open more than was declared, tokens counted.
"""

from __future__ import annotations

import contextlib
import pathlib
import random
import typing as t

import pytest

from tests.integration.killing import Checkpoint, Life, life, provisioned
from tests.integration.moving import BACK, PATHS, Move, Stage, Stuck, shape
from tests.sample import SOAKING, sample, seed

Json = dict[str, t.Any]
RIGHTS_S = 3300


@contextlib.contextmanager
def begun(folder: pathlib.Path, name: str) -> t.Iterator[tuple[Move, Json]]:
    """A migration that has not begun, and how the tenant is by then."""
    variables, to = PATHS[name]
    # One of the two ways in which Exchange may keep what it knows of roles; what it knows of rights takes its time.
    switches = {"rbac_cache": random.Random(name + seed()).random() < 0.5, "right_in_force_s": RIGHTS_S}
    with life(folder, f"moved {name}", variables, switches=switches) as one:
        provisioned(one)
        yield Move(one, to, {}), one.state()


def gone_on(move: Move, point: Checkpoint, stages: list[Stage], *, to_the_end: bool) -> list[str]:
    """One more run from an instant: what is not as it should be."""
    one = move.life
    one.back_to(point)
    try:
        run = move.step()
        found = one.wrong()
        same = [stage for stage in stages if stage.phase == move.phase]
        if not same:
            found.append(f"it is in the phase {move.phase!r}: {run.output[-1500:]}")
        else:
            found += [f"in the phase {move.phase} not as after an undisturbed run: {how}" for how in unlike(one, same)]
        if to_the_end and move.phase != "done" and not found:
            move.wait()
            move.go_on()
            found = one.wrong()
            found += [f"at the end not as after undisturbed runs: {how}" for how in unlike(one, stages[-1:])]
    except Stuck as stuck:
        return [*one.wrong(), str(stuck)]
    return found


def unlike(one: Life, stages: list[Stage]) -> list[str]:
    """In what the tenant differs from each of these; nothing where it is as one of them."""
    now = shape(one)
    found = []
    for stage in stages:
        kinds = [kind for kind in now if now[kind] != stage.state[kind]]
        if not kinds:
            return []
        found.append("; ".join(f"{kind}: {apart(stage.state[kind], now[kind])}" for kind in kinds))
    return found[:1]


def apart(was: str, now: str) -> str:
    """Two texts from a little before where they part."""
    alike = next((at for at, (one, other) in enumerate(zip(was, now, strict=False)) if one != other), 0)
    begin = max(alike - 80, 0)
    return f"...{was[begin : begin + 500]} became ...{now[begin : begin + 500]}"


def gone_back(move: Move, point: Checkpoint, before: Json, *, keep: bool = False) -> list[str]:
    """Rolled back from an instant: what is not as it was."""
    one = move.life
    one.back_to(point)
    try:
        move.roll_back(keep=keep)
    except Stuck as stuck:
        return [*one.wrong(), str(stuck)]
    after = one.state()
    changed = [kind for kind in before if before[kind] != after[kind]]
    return one.wrong() + [f"{kind}: {before[kind]} became {after[kind]}" for kind in changed]


def gone_beside(move: Move, stage: Stage, playbook: str) -> list[str]:
    """Another playbook while a migration stands: what is not as it should be."""
    one = move.life
    one.back_to(stage.end)
    ran = one.play(playbook)
    found = one.wrong()
    if ran.code:
        found.append(ran.output[-3000:])
    if playbook != "rotate":
        found += [f"{playbook} has changed the tenant: {how}" for how in unlike(one, [stage])]
    if move.phase != stage.phase:
        found.append(f"{playbook} has made the phase {move.phase!r} of {stage.phase!r}")
    return found


@pytest.mark.parametrize("name", sample(list(PATHS), 1, of="migrate killed"))
def test_a_migration(name: str, tmp_path: pathlib.Path) -> None:
    with begun(tmp_path, name) as (move, before):
        one = move.life
        stages = move.go_on(keep=True)
        assert one.fax is not None
        one.fax.tick(wire=True)
        assert one.wrong() == []
        print(f"\n{name}: {[(stage.phase, len(stage.points)) for stage in stages]}, {one.fax.ticks} minutes")

        wrong: dict[str, list[str]] = {}
        points = [(number, point) for number, stage in enumerate(stages) for point in stage.points]
        for number, point in sample(points, 2, of=f"points of {name}"):
            wrong[f"run {number + 1}, {point.what}"] = gone_on(
                move, point, stages[number:], to_the_end=SOAKING and number % 5 == 0
            )
        ways = [stage for stage in stages if stage.phase in BACK]
        for stage in sample(ways, 1, of=f"back from {name}"):
            wrong[f"rolled back {stage.end.what}"] = gone_back(move, stage.end, before, keep=True)
            # Killed on the way back, it goes on, too.
            for point in sample(one.points, 1, of=f"points back from {name}"):
                wrong[f"rolled back {stage.end.what}, {point.what}"] = gone_back(move, point, before)
        cases = [(stage, playbook) for stage in stages[:-1] for playbook in ("provision", "audit", "rotate")]
        for stage, playbook in sample(cases, 1, of=f"beside {name}"):
            wrong[f"{playbook} {stage.end.what}"] = gone_beside(move, stage, playbook)
        wrong = {what: found for what, found in wrong.items() if found}
        for what, found in wrong.items():
            print(f"{what}:\n  " + "\n  ".join(found))
        assert list(wrong) == []
