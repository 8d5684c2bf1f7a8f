# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""EWS for one application, and nobody else's entry lost: pure planning."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._door import Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.ews_access import (
    Desired,
    EwsAccess,
    EwsState,
    SetList,
    plan,
    read_cmdlet,
    state_of,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.unit.script import NOW

APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
OTHER = "2CB8B5D2-8724-4F32-8152-A16A230B682B"
THIRD = "3cb8b5d2-8724-4f32-8152-a16a230b682b"
PRESENT = Desired(APP)
ENABLE = Desired(APP, on_unset="enable")
ABSENT = Desired(APP, "absent")


def made(enabled: bool | None, listed: str | None, desired: Desired) -> Plan:
    return plan(EwsState(enabled, listed), desired, NOW)


def steps(plan: Plan) -> list[dict[str, t.Any]]:
    return [
        {"EwsAllowedAppIDs": step.listed} if isinstance(step, SetList) else {"EwsEnabled": step.enabled}
        for step in plan.steps
    ]


@pytest.mark.parametrize("desired", [PRESENT, ENABLE, ABSENT])
@pytest.mark.parametrize("odd", ["all our printers", "00000000-0000-0000-0000-00000000000g", "{1cb8b5d2"])
def test_an_entry_that_is_not_an_id_is_named_before_exchange_refuses_the_whole_list(odd: str, desired: Desired):
    listed = f"{OTHER},{odd}" + (f",{APP}" if desired is ABSENT else "")
    plan = made(True, listed, desired)
    assert plan.blocked is not None
    assert repr(odd) in plan.blocked.message
    assert OTHER in plan.blocked.cure
    assert odd not in plan.blocked.cure
    assert (plan.steps, plan.before == plan.after) == ([], True)


def test_an_odd_entry_matters_only_where_the_list_is_written():
    assert made(True, f"odd,{APP}", PRESENT).outcome == "ok"
    assert made(True, f"{{{OTHER}}}", PRESENT).outcome == "changed"


# ---- opening --------------------------------------------------------------------------------------------------------


def test_a_tenant_that_has_not_decided_is_left_alone():
    plan = made(None, None, PRESENT)
    assert plan.outcome == "ok"
    assert plan.before == plan.after
    assert plan.result["allowed"] is None
    assert any("not set" in text for text in plan.warnings)


def test_deciding_shuts_out_the_others_and_says_so():
    plan = made(None, None, ENABLE)
    assert steps(plan) == [{"EwsAllowedAppIDs": APP}, {"EwsEnabled": True}]
    assert plan.result["allowed"] is True
    assert any("only the listed" in text for text in plan.warnings)


@pytest.mark.parametrize("desired", [PRESENT, ENABLE])
def test_closed_ews_is_opened_with_the_list_first(desired: Desired):
    plan = made(False, None, desired)
    assert steps(plan) == [{"EwsAllowedAppIDs": APP}, {"EwsEnabled": True}]
    assert plan.result["in_force_by"] == "2026-11-22T12:00:00Z"
    assert plan.before == {"EwsEnabled": False, "EwsAllowedAppIDs": None}
    assert plan.after == {"EwsEnabled": True, "EwsAllowedAppIDs": APP}


def test_closed_ews_with_the_application_on_the_list_is_only_switched_on():
    plan = made(False, f"{OTHER},{APP}", PRESENT)
    assert steps(plan) == [{"EwsEnabled": True}]
    assert any(text.endswith(f"list too: {OTHER.lower()}.") for text in plan.warnings)
    assert len(made(False, APP, PRESENT).warnings) == 1


@pytest.mark.parametrize(
    ("listed", "after"),
    [
        (None, APP),
        ("", APP),
        ("  ", APP),
        (OTHER, f"{OTHER},{APP}"),
        (f" {OTHER} , {THIRD}", f" {OTHER} , {THIRD},{APP}"),
        (f"{OTHER},", f"{OTHER},{APP}"),
        (f"{OTHER}, ", f"{OTHER}, {APP}"),
    ],
)
def test_the_others_entries_survive_byte_for_byte(listed: str | None, after: str):
    plan = made(True, listed, PRESENT)
    assert steps(plan) == [{"EwsAllowedAppIDs": after}]
    assert plan.after["EwsAllowedAppIDs"] == after
    assert APP in EwsState(True, after).ids()


@pytest.mark.parametrize("listed", [APP, APP.upper(), f"{OTHER}, {APP.upper()} ,{THIRD}"])
def test_an_open_list_is_left_alone(listed: str):
    plan = made(True, listed, PRESENT)
    assert plan.steps == []
    assert plan.result["allowed"] is True
    assert "in_force_by" not in plan.result


def test_an_open_list_is_worth_no_warning_but_the_end_of_ews():
    assert len(made(True, APP, PRESENT).warnings) == 1
    assert len(made(None, None, PRESENT).warnings) == 2
    assert len(made(None, None, ENABLE).warnings) == 2


def test_empty_entries_are_nobody_s():
    assert EwsState(True, f" {APP.upper()} ,, ").ids() == [APP]


def test_an_empty_list_becomes_a_list_of_one_and_says_so():
    assert any("only this application" in text for text in made(True, None, PRESENT).warnings)
    assert not any("only this application" in text for text in made(True, OTHER, PRESENT).warnings)


def test_the_end_of_ews_is_announced():
    assert any("2027-04-01" in text and "in 131 days" in text for text in made(True, APP, PRESENT).warnings)
    late = plan(EwsState(True, APP), PRESENT, dt.datetime(2027, 4, 2, tzinfo=dt.UTC))
    assert any("which is past" in text for text in late.warnings)
    assert made(True, APP, ABSENT).warnings == []


def test_an_application_to_be_made_is_called_so():
    plan = made(False, OTHER, Desired(ZERO_GUID))
    assert plan.steps[0].title == "put the application on the EWS list"


# ---- closing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("enabled", [True, False, None])
@pytest.mark.parametrize("listed", [None, OTHER, f"{OTHER}, {THIRD},"])
def test_what_does_not_list_the_application_is_left_alone(enabled: bool | None, listed: str | None):
    assert made(enabled, listed, ABSENT).steps == []


@pytest.mark.parametrize(
    ("listed", "after"),
    [
        (f"{OTHER},{APP}", OTHER),
        (f"{APP},{OTHER}", OTHER),
        (f" {OTHER} , {APP.upper()},{THIRD} ", f" {OTHER} ,{THIRD} "),
        (f"{APP},{OTHER},{APP}", OTHER),
    ],
)
def test_only_the_own_entry_goes(listed: str, after: str):
    plan = made(True, listed, ABSENT)
    assert steps(plan) == [{"EwsAllowedAppIDs": after}]
    assert plan.result["allowed"] is False


@pytest.mark.parametrize("listed", [APP, f" {APP} ", f"{APP},", f",{APP}, "])
def test_the_last_one_switches_ews_off_first(listed: str):
    plan = made(True, listed, ABSENT)
    assert steps(plan) == [{"EwsEnabled": False}, {"EwsAllowedAppIDs": None}]
    assert plan.steps[1].title == f"take {APP} off the EWS list"


def test_the_last_one_of_a_closed_list_only_leaves():
    assert steps(made(False, APP, ABSENT)) == [{"EwsAllowedAppIDs": None}]
    assert steps(made(None, APP, ABSENT)) == [{"EwsAllowedAppIDs": None}]


@pytest.mark.parametrize(("choice", "value"), [("enabled", True), ("disabled", False), ("unset", None)])
@pytest.mark.parametrize("found", [True, False, None])
def test_what_is_left_may_be_chosen(choice: str, value: bool | None, found: bool | None):
    plan = made(found, f"{OTHER},{APP}", Desired(APP, "absent", on_absent=choice))
    assert plan.after == {"EwsEnabled": value, "EwsAllowedAppIDs": OTHER}
    assert len(plan.steps) == 1 + (value is not found)


@pytest.mark.parametrize(
    ("plan", "summary"),
    [
        (made(None, None, PRESENT), "EWS not restricted by the tenant (EwsEnabled is not set)"),
        (made(True, APP, PRESENT), "EWS open for this application"),
        (made(False, None, PRESENT), "EWS opened for this application"),
        (made(True, f"{OTHER},{APP}", ABSENT), "taken off the EWS list"),
        (made(True, OTHER, ABSENT), "not on the EWS list"),
    ],
)
def test_the_outcome_in_a_few_words(plan: Plan, summary: str):
    assert plan.summary == summary


def test_closing_and_opening_gives_back_what_was():
    before = EwsState(True, f" {OTHER}, {THIRD}")
    opened = plan(before, PRESENT, NOW).after
    closed = plan(EwsState(opened["EwsEnabled"], opened["EwsAllowedAppIDs"]), ABSENT, NOW).after
    assert closed == before.as_dict()


# ---- what Exchange says ---------------------------------------------------------------------------------------------


def test_the_list_is_read_with_the_switch_that_shows_it():
    assert read_cmdlet().parameters == {"RetrieveEwsOperationAccessPolicy": True}


@pytest.mark.parametrize(
    ("configuration", "state"),
    [
        ({"EwsEnabled": None, "EwsAllowedAppIDs": None}, EwsState(None, None)),
        ({}, EwsState(None, None)),
        ({"EwsEnabled": True, "EwsAllowedAppIDs": ""}, EwsState(True, None)),
        ({"EwsEnabled": "False ", "EwsAllowedAppIDs": APP}, EwsState(False, APP)),
        ({"EwsEnabled": "true", "EwsAllowedAppIDs": APP}, EwsState(True, APP)),
        ({"EwsEnabled": "", "EwsAllowedAppIDs": [APP, OTHER]}, EwsState(None, f"{APP},{OTHER}")),
    ],
)
def test_settings_are_read_as_exchange_writes_them(configuration: dict[str, t.Any], state: EwsState):
    assert state_of(configuration) == state


@pytest.mark.parametrize(
    ("state", "allowed"),
    [
        (EwsState(None, APP), None),
        (EwsState(False, APP), False),
        (EwsState(True, None), False),
        (EwsState(True, OTHER), False),
        (EwsState(True, f"{OTHER}, {APP.upper()}"), True),
    ],
)
def test_who_may_use_ews(state: EwsState, allowed: bool | None):
    assert state.allows(APP) is allowed


PARAMS = {"app_id": APP, "state": "present", "on_unset": "keep", "on_absent": "auto"}


@pytest.mark.parametrize("app_id", ["1cb8b5d2-8724-4f32-8152-a16a230b682g", "*", ZERO_GUID])
def test_bad_ids_are_refused_without_a_request(app_id: str):
    with pytest.raises(InvalidInput):
        EwsAccess(Tenant({}), Task({**PARAMS, "app_id": app_id}))


def test_an_application_to_be_made_passes_in_check_mode():
    EwsAccess(Tenant({}), Task({**PARAMS, "app_id": ZERO_GUID}, check_mode=True))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"EwsApplicationAccessPolicy": "EnforceAllowList", "EwsAllowList": ["Outlook*"]}, "names other user agents"),
        ({"EwsApplicationAccessPolicy": "EnforceAllowList", "EwsAllowList": None}, "is empty"),
        ({"EwsApplicationAccessPolicy": "EnforceBlockList", "EwsBlockList": ["mail2fax*"]}, "keeps out mail2fax"),
    ],
)
def test_what_no_waiting_opens_is_named_and_nothing_is_promised(settings: dict[str, t.Any], said: str):
    state = state_of({"EwsEnabled": True, "EwsAllowedAppIDs": OTHER, **settings})
    made_ = plan(state, PRESENT, NOW)
    assert made_.outcome == "changed"
    assert "in_force_by" not in made_.result
    assert said in made_.result["agents"]
    assert any(said in warning and "no waiting" in warning for warning in made_.warnings)


def test_user_agents_that_may_pass_are_no_matter():
    state = state_of({"EwsApplicationAccessPolicy": "EnforceAllowList", "EwsAllowList": ["*"], "EwsEnabled": True})
    assert (state.agents, "in_force_by" in plan(state, PRESENT, NOW).result) == (None, True)


def test_an_entry_of_ours_stands_in_what_was_added():
    assert made(True, OTHER, PRESENT).added == [{"kind": "ews_entry", "of": None, "id": APP}]
    assert made(True, APP, PRESENT).added == []
    assert made(True, APP, ABSENT).added == []
