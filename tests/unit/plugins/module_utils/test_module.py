# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""read -> plan -> apply: what every module has in common."""

from __future__ import annotations

import dataclasses
import typing as t
from dataclasses import dataclass, field

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import CONNECTION, NETWORK, ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    Blocked,
    Forbidden,
    InvalidInput,
    M365Error,
    ServiceError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._module import execute, perform
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import NotYet, Plan, ReadOnly, Settled, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import secret
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.unit.script import FakeClock


@dataclass(frozen=True)
class Up(Step):
    n: int = 0


@dataclass
class Counter:
    """A resource that counts up to ``wanted``; ``lost`` answers get lost after the work is done."""

    wanted: int
    value: int = 0
    lost: int = 0
    refuse: M365Error | None = None
    blocked: Blocked | None = None
    pending: str | None = None
    settled: bool = False
    reads: int = 0
    log: list[int] = field(default_factory=list)

    def read(self) -> int:
        self.reads += 1
        return self.value

    def plan(self, current: int) -> Plan:
        steps = [Up(f"up to {n}", n) for n in range(current + 1, self.wanted + 1)]
        return Plan(
            {"n": current},
            {"n": self.wanted},
            steps,
            {"n": self.wanted},
            "counted",
            ["w"],
            self.pending,
            None,
            self.blocked,
        )

    def perform(self, step: Up) -> None:
        if self.refuse is not None and step.n == self.wanted:
            raise self.refuse
        self.value = step.n
        self.log.append(self.value)
        if self.lost:
            self.lost -= 1
            raise AnswerLost("gone", attempted=step.title)

    def settle(self, plan: Plan) -> dict[str, t.Any]:
        self.settled = True
        return {"real": self.value}


def run(resource: Counter, check_mode: bool = False, clock: FakeClock | None = None) -> dict[str, t.Any]:
    door = Door(lambda _tenant, _task: resource, ArgumentSpec())
    return execute(door, Task({}, check_mode), lambda: Tenant({}, clock=clock or FakeClock()))


def test_changes_are_applied_in_order_and_settled():
    resource = Counter(wanted=2)
    result = run(resource)
    assert resource.log == [1, 2]
    assert result["changed"] is True
    assert result["outcome"] == "changed"
    assert result["real"] == 2
    assert result["steps"] == ["up to 1", "up to 2"]
    assert result["diff"] == {"before": {"n": 0}, "after": {"n": 2}}
    assert result["warnings"] == ["w"]


def test_nothing_to_do_settles_nothing():
    resource = Counter(wanted=2, value=2)
    result = run(resource)
    assert (result["changed"], result["outcome"], resource.settled) == (False, "ok", False)
    assert "steps" not in result
    assert result["n"] == 2


def test_check_mode_performs_nothing_and_predicts_the_same():
    resource = Counter(wanted=2)
    predicted = run(resource, check_mode=True)
    assert resource.log == []
    assert resource.settled is False
    done = run(Counter(wanted=2))
    assert {k: predicted[k] for k in ("changed", "diff", "steps", "n", "outcome")} == {
        k: done[k] for k in ("changed", "diff", "steps", "n", "outcome")
    }


def test_a_lost_answer_is_looked_into_before_anything_is_done_again():
    resource = Counter(wanted=2, lost=1)
    result = run(resource)
    assert resource.log == [1, 2]
    assert resource.reads == 2
    assert result["changed"] is True
    assert result["diff"]["before"] == {"n": 0}


def test_a_lost_answer_that_did_all_the_work_still_counts_as_changed():
    result = run(Counter(wanted=1, lost=1))
    assert result["changed"] is True
    assert result["outcome"] == "changed"


def test_answers_that_keep_getting_lost_end_red():
    class Stuck(Counter):
        def perform(self, step: Step) -> None:
            raise AnswerLost("gone", attempted=step.title)

    resource, clock = Stuck(wanted=1), FakeClock()
    result = run(resource, clock=clock)
    assert result["failed"] is True
    assert resource.reads > 4
    # A blip of a minute does not end it, and four minutes of nothing do.
    assert 60 < clock.passed <= 180
    assert max(clock.sleeps) <= 30


def test_a_failure_says_what_was_already_changed():
    result = run(Counter(wanted=3, refuse=ServiceError("no", attempted="up to 3", cure="ask")))
    assert result["failed"] is True
    assert result["changed"] is True
    assert result["error"]["done"] == ["up to 1", "up to 2"]
    assert "Already changed: up to 1; up to 2" in result["msg"]
    assert "What to do: ask" in result["msg"]


def test_a_missing_right_is_for_a_person_unless_something_is_half_done():
    alone = run(Counter(wanted=1, refuse=Forbidden("no", who="an administrator")))
    assert (alone["outcome"], alone["failed"], alone["changed"]) == ("blocked", True, False)
    assert "an administrator" in alone["msg"]
    halfway = run(Counter(wanted=2, refuse=Forbidden("no")))
    assert (halfway["outcome"], halfway["changed"]) == ("failed", True)


def test_blocked_changes_nothing():
    resource = Counter(wanted=2, blocked=Blocked("a decision is needed", cure="decide"))
    result = run(resource)
    assert result["failed"] is True
    assert result["outcome"] == "blocked"
    assert result["changed"] is False
    assert resource.log == []
    assert result["diff"]["after"] == result["diff"]["before"]


def test_pending_is_green():
    result = run(Counter(wanted=0, pending="not in force yet"))
    assert result["outcome"] == "pending"
    assert result["pending"] == "not in force yet"
    assert "failed" not in result


def test_a_defect_is_not_dressed_up():
    class Broken(Counter):
        def read(self) -> int:
            raise KeyError("x")

    with pytest.raises(KeyError):
        run(Broken(wanted=1))


@pytest.mark.parametrize(
    "options",
    [
        {"tenant": "not a tenant"},
        {"client_id": "da34aq4b-b01f-47e4-bfac-2f9fc3f1383e"},
        {"client_secret": "1cb8b5d2-8724-4f32-8152-a16a230b682b"},
        {"timeout": -1},
    ],
)
def test_a_connection_that_cannot_be_right_is_refused(options):
    with pytest.raises(InvalidInput):
        Tenant(options)


def test_patience_looks_at_once_and_then_ever_more_rarely():
    clock = FakeClock()
    tenant = Tenant({"patience": 10}, clock=clock)
    looks: list[float] = []

    def look() -> bool:
        looks.append(clock.passed)
        return False

    assert tenant.patiently(look) is False
    assert looks == [0, 0.5, 1.5, 3.5, 7.5]
    assert Tenant({"patience": 0}, clock=clock).patiently(lambda: True) is True


def test_specs_keep_their_constraints_when_merged():
    first = CONNECTION.merge(ArgumentSpec(required_by={"y": ("z",)}))
    merged = first.merge(ArgumentSpec({"x": {"type": "str"}}, mutually_exclusive=[("x", "tenant")]))
    assert merged.kwargs()["mutually_exclusive"] == [["x", "tenant"]]
    assert merged.kwargs()["required_by"] == {"y": ("z",)}
    assert "x" not in CONNECTION.options


def test_a_blank_variable_of_the_environment_says_nothing(monkeypatch):
    for name in ("M365_TIMEOUT", "M365_CLOUD", "M365_WINRM_VALIDATE_CERTS", "M365_TENANT", "M365_PROXY"):
        monkeypatch.setenv(name, " ")
    monkeypatch.setenv("M365_PATIENCE", "7")
    checked = ArgumentSpecValidator(**CONNECTION.kwargs()).validate({})
    assert checked.error_messages == []
    options = checked.validated_parameters
    assert (options["timeout"], options["cloud"], options["winrm_validate_certs"]) == (30, "global", True)
    assert (options["tenant"], options["proxy"], options["patience"]) == (None, None, 7)


def test_a_passphrase_that_nothing_uses_is_in_nobody_s_way():
    said = {"tenant": "contoso.com", "client_id": ZERO_GUID, "client_secret": "s", "certificate_passphrase": "left"}
    checked = ArgumentSpecValidator(**CONNECTION.kwargs()).validate(said)
    assert checked.error_messages == []
    assert "client secret" in Tenant(checked.validated_parameters, clock=FakeClock()).sign_in.describe()
    del said["client_secret"]
    with pytest.raises(InvalidInput, match="certificate_passphrase is set, and certificate_path is not"):
        Tenant(said, clock=FakeClock()).sign_in.describe()


@pytest.mark.parametrize("secret", ["word\n", " word", "word\r\n", "word\t"])
def test_a_secret_with_white_space_at_its_ends_is_told_before_the_sign_in(secret):
    with pytest.raises(InvalidInput, match="white space") as caught:
        Tenant({"client_secret": secret}, clock=FakeClock())
    assert caught.value.options == ("client_secret",)
    assert "word" not in str(caught.value)


def test_every_option_that_smells_of_a_secret_has_decided_on_no_log():
    for name, option in {**CONNECTION.options, **NETWORK.options}.items():
        if any(word in name for word in ("secret", "passphrase", "token", "password")):
            assert "no_log" in option, name


def test_the_clouds_do_not_share_service_hosts():
    for kind in ("graph", "exchange"):
        assert len({getattr(cloud, kind) for cloud in CLOUDS.values()}) == len(CLOUDS)


def test_what_was_added_is_told_also_by_a_task_that_stopped_half_way():
    class Adding(Counter):
        def plan(self, current: int) -> Plan:
            planned = super().plan(current)
            planned.added = {"from": current} if planned.steps else {}
            return planned

    assert run(Adding(wanted=2))["added"] == {"from": 0}
    assert "added" not in run(Adding(wanted=2, value=2))
    assert "added" not in run(Adding(wanted=2, blocked=Blocked("no")))
    # Planned anew after a lost answer, it is still what was missing at first.
    assert run(Adding(wanted=2, lost=1))["added"] == {"from": 0}
    assert run(Adding(wanted=2, refuse=ServiceError("no")))["added"] == {"from": 0}
    # Refused before anything was done, nothing was added.
    assert "added" not in run(Adding(wanted=1, refuse=ServiceError("no")))
    assert run(Adding(wanted=1, refuse=AnswerLost("gone")))["added"] == {"from": 0}


@pytest.mark.parametrize("red", [False, True])
def test_a_result_says_what_was_waited_for_where_it_took_long(red: bool):
    tenant = Tenant({"patience": 100}, clock=FakeClock())

    class Slow(Counter):
        def read(self) -> int:
            tenant.patiently(lambda: tenant.clock.monotonic() >= 40, what="the group to show")
            tenant.patiently(lambda: tenant.clock.monotonic() >= 45, what="nothing much")
            return super().read()

    resource = Slow(wanted=1, refuse=ServiceError("no") if red else None)
    result = execute(Door(lambda _tenant, _task: resource, ArgumentSpec()), Task({}, False), lambda: tenant)
    assert bool(result.get("failed")) is red
    (waited,) = result["waited"]
    assert waited["for"] == "the group to show"
    assert 40 <= waited["seconds"] <= 50


@dataclass
class Later(Counter):
    """A service that takes only the first ``takes`` steps for now."""

    takes: int = 0

    def perform(self, step: Up) -> None:
        if step.n > self.takes:
            settled = Settled({"real": self.value}, pending="not yet", pending_until="2026-11-28T05:00:00Z")
            raise NotYet(settled, [{"kind": "setting", "of": None, "id": str(step.n)}][: self.takes])
        super().perform(step)


@pytest.mark.parametrize("takes", [0, 1])
def test_a_step_that_comes_later_ends_the_task_as_pending_and_tells_what_was_done(takes: int):
    resource = Later(wanted=2, takes=takes)
    result = run(resource)
    assert (result["outcome"], result["changed"], resource.settled) == ("pending", bool(takes), False)
    assert (result["pending"], result["pending_until"]) == ("not yet", "2026-11-28T05:00:00Z")
    assert (result["real"], "n" in result) == (takes, False)
    assert result.get("steps", []) == ["up to 1"][:takes]
    assert result["summary"] == "not yet"
    assert ("added" in result) is bool(takes)
    assert result["diff"]["after"] == ({"n": 2} if takes else {"n": 0})
    assert not result.get("failed")


def test_what_is_sealed_is_whole_whatever_it_looks_like() -> None:
    """It is the only copy there is, and may by chance have the first letters of a token in it."""
    sealed = "Lyo+9EeyJj7Eh4YIaG1i3GsfhyTNX1cw12eOGnpAa9q3NtTKmoC+VYd31Ojqi2CEflBBDqGddj5hfkE="

    class Sealed(ReadOnly):
        def read(self) -> None:
            """Nothing."""

        def plan(self, current: None) -> Plan:
            return Plan(result={"sealed_value": sealed, "stored_in": sealed})

    door = dataclasses.replace(secret.DOOR, open=lambda _tenant, _task: Sealed())
    params = dict.fromkeys(door.argument_spec.options)
    result = perform(door, params, check_mode=False, tenant=lambda: Tenant({}))
    assert result["sealed_value"] == sealed
    assert result["stored_in"] != sealed, "elsewhere it is taken for what it looks like"
