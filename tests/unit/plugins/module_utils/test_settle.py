# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One loop reads every resource's own writes back."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, Conflict
from ansible_collections.mail2fax.m365.plugins.module_utils._module import execute
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan, Settled, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._settle import read_back
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.unit.script import FakeClock


@dataclass(frozen=True)
class Put(Step):
    value: int = 1


class Thing:
    """Shows what was put after ``lag`` looks."""

    def __init__(self, lag: int, *, blocked: bool = False, settled: Settled | None = None) -> None:
        self.lag = lag
        self.put = False
        self.looks = 0
        self.settled = settled
        self.blocked = blocked
        self.tenant: Tenant | None = None

    def read(self) -> bool:
        self.looks += self.put
        return self.put and self.looks > self.lag

    def plan(self, current: bool) -> Plan:
        blocked = Blocked("somebody is in the way") if self.blocked and self.put else None
        return Plan(steps=[] if current else [Put("put it")], blocked=blocked)

    def perform(self, step: Put) -> None:
        self.put = True

    def settle(self, plan: Plan) -> Settled:
        assert self.tenant is not None
        seen = read_back(self.tenant, self)
        if self.settled is None:
            seen.require("the thing")
        return self.settled or Settled({"thing": seen.state})


def run(thing: Thing) -> dict[str, t.Any]:
    def opened(tenant: Tenant, task: Task) -> Thing:
        thing.tenant = tenant
        return thing

    return execute(Door(opened, ArgumentSpec({})), Task({}), lambda: Tenant({"patience": 20}, clock=FakeClock()))


def test_looks_until_nothing_is_left_to_do() -> None:
    thing = Thing(3)
    result = run(thing)
    assert (result["outcome"], result["thing"], thing.looks) == ("changed", True, 4)


def test_what_never_shows_is_a_conflict_that_says_what_is_left() -> None:
    result = run(Thing(1000))
    assert result["outcome"] == "failed"
    assert "still to do: put it" in result["msg"]


def test_what_blocks_meanwhile_is_said() -> None:
    assert "somebody is in the way" in run(Thing(1000, blocked=True))["msg"]


def test_a_resource_may_say_that_it_is_on_its_way() -> None:
    result = run(Thing(1000, settled=Settled({"a": 1}, "on its way", "2026-11-21T13:00:00Z", ("look later",))))
    assert result["outcome"] == "pending"
    assert (result["pending"], result["pending_until"]) == ("on its way", "2026-11-21T13:00:00Z")
    assert (result["a"], result["warnings"]) == (1, ["look later"])


def test_the_last_look_is_handed_on() -> None:
    thing = Thing(1000)
    seen = read_back(Tenant({"patience": 0}, clock=FakeClock()), thing)
    assert not seen.arrived
    with pytest.raises(Conflict):
        seen.require("the thing")
