# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exchange_ews_access: one entry in a list that every write replaces whole."""

from __future__ import annotations

import typing as t

import pytest

from tests.emulator.testing import Emulator
from tests.integration.exchange_admin import APP, OTHER_APP, TENANTS, admin, changes, sent
from tests.integration.harness import TENANT_ID, run
from tests.integration.transports import TRANSPORTS, start_emulator

OTHERS = f" {OTHER_APP.upper()} ,3cb8b5d2-8724-4f32-8152-a16a230b682b"
ZERO = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module", params=TRANSPORTS)
def running(request: pytest.FixtureRequest) -> t.Iterator[Emulator]:
    with start_emulator(TENANTS, request.param) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    return running.reset()


def found(emulator: Emulator, enabled: bool | None, listed: str | None) -> None:
    admin(emulator, "Set-OrganizationConfig", EwsEnabled=enabled, EwsAllowedAppIDs=listed)


def apply(emulator: Emulator, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    emulator.clear_journal()
    return run("exchange_ews_access", {"app_id": APP, **options}, emulator, check_mode)


def settings(emulator: Emulator) -> tuple[bool | None, str | None]:
    configuration = emulator.state(TENANT_ID)["organizationConfig"]
    return configuration["EwsEnabled"], configuration["EwsAllowedAppIDs"]


def test_a_tenant_that_has_not_decided_is_left_alone(emulator: Emulator):
    result = apply(emulator)
    assert (result["outcome"], result["allowed"]) == ("ok", None)
    assert sent(emulator) == ["Get-OrganizationConfig"]
    assert settings(emulator) == (None, None)


def test_ews_is_opened_once_and_the_others_stay_to_the_byte(emulator: Emulator):
    found(emulator, False, OTHERS)
    planned = apply(emulator, check_mode=True)
    assert changes(emulator) == []
    result = apply(emulator)
    assert (result["outcome"], result["allowed"]) == ("changed", True)
    assert planned["steps"] == result["steps"]
    assert planned["diff"] == result["diff"]
    assert settings(emulator) == (True, f"{OTHERS},{APP}")
    assert apply(emulator)["outcome"] == "ok"
    assert sent(emulator) == ["Get-OrganizationConfig"]
    assert apply(emulator, state="absent")["outcome"] == "changed"
    assert settings(emulator) == (True, OTHERS)
    assert apply(emulator, state="absent")["outcome"] == "ok"


def test_drift_is_mended_one_at_a_time(emulator: Emulator):
    found(emulator, True, f"{OTHERS},{APP}")
    admin(emulator, "Set-OrganizationConfig", EwsEnabled=False)
    assert apply(emulator)["steps"] == ["set EwsEnabled to True"]
    assert settings(emulator) == (True, f"{OTHERS},{APP}")
    admin(emulator, "Set-OrganizationConfig", EwsAllowedAppIDs=OTHERS)
    assert apply(emulator)["steps"] == [f"put {APP} on the EWS list"]
    assert settings(emulator) == (True, f"{OTHERS},{APP}")


@pytest.mark.parametrize(
    ("on_absent", "left"), [("auto", (False, None)), ("unset", (None, None)), ("enabled", (True, None))]
)
def test_what_is_left_after_the_last_one(emulator: Emulator, on_absent: str, left: tuple[bool | None, str | None]):
    apply(emulator, on_unset="enable")
    assert settings(emulator) == (True, APP)
    assert apply(emulator, state="absent", on_absent=on_absent)["outcome"] == "changed"
    assert settings(emulator) == left
    assert apply(emulator, state="absent", on_absent=on_absent)["outcome"] == "ok"


@pytest.mark.parametrize("effect", ["drop_before", "drop_after"])
@pytest.mark.parametrize("nth", [1, 2])
def test_an_answer_that_is_lost_costs_nothing(emulator: Emulator, effect: str, nth: int):
    found(emulator, False, OTHERS)
    emulator.faults([{"match": {"cmdlet": "Set-OrganizationConfig"}, "nth": nth, "effect": effect}])
    result = apply(emulator)
    assert (result.get("failed"), result["changed"]) == (None, True)
    assert settings(emulator) == (True, f"{OTHERS},{APP}")


def test_an_application_to_be_made_is_planned_for(emulator: Emulator):
    found(emulator, False, None)
    assert apply(emulator, check_mode=True, app_id=ZERO)["changed"] is True
    assert apply(emulator, app_id=ZERO)["outcome"] == "failed"
    assert emulator.journal() == []


def test_a_failed_read_writes_nothing(emulator: Emulator):
    found(emulator, False, OTHERS)
    emulator.faults([{"match": {"cmdlet": "Get-OrganizationConfig"}, "times": 9, "effect": {"status": 403}}])
    for state in ("present", "absent"):
        assert apply(emulator, state=state)["outcome"] == "failed"
        assert changes(emulator) == []
