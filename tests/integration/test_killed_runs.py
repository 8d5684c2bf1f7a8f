# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed writes no more, whichever of its writes is under way, and one more run makes it whole.

Killed is the process group, as runners do it at a time-out or by a cancel, or the main process alone. From ansible-core
2.19 on the workers outlive both. While the request is held up by the emulator nothing else is under way, so that every
writing request after it would be one of a run that has ended.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import time
import typing as t
from dataclasses import dataclass

import pytest

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.fleet import Fleet, Place, Running, is_write, tenants
from tests.sample import sample

Json = dict[str, t.Any]
PLACE = Place(1)
HELD_UP_S = 1.5
LANES = {"worker": True, "module": False}
KILLS = ("group", "parent")
WRITES = 14
"""How many writing requests a first provision takes, at most: a case for each of them."""


def writes(emulator: Emulator) -> list[Json]:
    return [row for row in emulator.journal() if is_write(row)]


@dataclass(frozen=True)
class Moment:
    """One writing request: which it is, told so that a rule of the emulator meets it and no other."""

    match: t.Mapping[str, str]
    nth: int
    done: int
    """How many writing requests there are when it has ended; what is in one batch with it is under way as well."""

    @classmethod
    def of(cls, rows: list[Json]) -> list[Moment]:
        found: list[Moment] = []
        for row in rows:
            tail = row["path"].rpartition("/")[2]
            match = {"cmdlet": row["cmdlet"]} if row["cmdlet"] else {"host": row["host"], "method": row["method"]}
            if not row["cmdlet"] and tail.isalnum():
                match["path_regex"] = f"/{tail}$"
            same = [
                number for number, one in enumerate(rows, 1) if one["client_request_id"] == row["client_request_id"]
            ]
            found.append(cls(match, 1 + sum(one.match == match for one in found), max(same)))
        return found


@pytest.fixture(scope="module")
def emulator() -> t.Iterator[Emulator]:
    with start_emulator(tenants(1)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def moments(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> list[Moment]:
    """The writing requests of a first provision, in their order."""
    emulator.reset()
    emulator.clear_journal()
    run = Fleet(tmp_path_factory.mktemp("whole"), emulator).play("mail2fax.m365.provision")
    assert run.code == 0, run.output
    found = Moment.of(writes(emulator))
    assert len(found) <= WRITES, "there are more writes than cases: raise WRITES"
    return found


CASES = [(number, lane, kill) for number in range(WRITES) for lane in LANES for kill in KILLS]
FEW = sample([case for case in CASES if case[0] < 8], 1, of="killed runs")
"""Each takes two runs and a half, by ansible-playbook."""


def kill(running: Running, how: str) -> list[int]:
    """End the run; the processes that there were."""
    pids = running.pids()
    if how == "group":
        os.killpg(running.process.pid, signal.SIGKILL)
    else:
        os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait()
    return pids


def alive(pid: int) -> bool:
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def killed(fleet: Fleet, moment: Moment, lane: bool, how: str) -> tuple[int, int]:
    """Writing requests when it was killed, and in the end."""
    emulator = fleet.emulator
    rule = {"match": dict(moment.match), "nth": moment.nth, "effect": {"delay_s": HELD_UP_S}}
    emulator.faults([rule])
    with fleet.start("mail2fax.m365.provision", mail2fax_in_process=lane) as running:
        deadline = time.monotonic() + 180
        while emulator.fault_rules()[0]["seen"] < moment.nth:
            assert running.process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline, "the request did not come"
            time.sleep(0.02)
        pids = kill(running, how)
    before = len(writes(emulator))
    deadline = time.monotonic() + 60
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, pids)), "what belongs to the run lives on"
    # What was held up is done by now, and written into the journal at its end.
    time.sleep(0.2)
    emulator.faults([])
    return before, len(writes(emulator))


def check(fleet: Fleet, moments: list[Moment], number: int, lane: str, how: str) -> None:
    emulator = fleet.emulator
    emulator.reset()
    emulator.clear_journal()
    before, after = killed(fleet, moments[number], LANES[lane], how)
    done = moments[number].done
    assert number <= before <= after == done, f"{after - done} writing requests of a run that had ended"
    again = fleet.play("mail2fax.m365.provision")
    assert again.code == 0, again.output
    document = json.loads((fleet.folder / "handover" / f"{PLACE.host}.json").read_text(encoding="utf-8"))
    assert document["outcome"] in ("ok", "changed")
    assert {step["outcome"] for step in document["steps"]} <= {"ok", "changed", "skipped"}
    assert len(emulator.state(PLACE.id)["applicationAccessPolicies"]) == 1
    assert emulator.exposures(declared=[PLACE.fax]) == []


@pytest.mark.parametrize(("number", "lane", "how"), FEW)
def test_nothing_is_written_after_a_run_was_killed(
    tmp_path: pathlib.Path, emulator: Emulator, moments: list[Moment], number: int, lane: str, how: str
) -> None:
    check(Fleet(tmp_path, emulator), moments, number % len(moments), lane, how)


@pytest.mark.soak
@pytest.mark.parametrize(("number", "lane", "how"), CASES)
def test_nothing_is_written_whichever_write_was_under_way(
    tmp_path: pathlib.Path, emulator: Emulator, moments: list[Moment], number: int, lane: str, how: str
) -> None:
    if number >= len(moments):
        pytest.skip("a first provision has no write of this number")
    check(Fleet(tmp_path, emulator), moments, number, lane, how)
