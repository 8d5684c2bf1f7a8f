# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchange's verdicts: what they mean, and what is no verdict."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._door import Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    ServiceError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Output
from ansible_collections.mail2fax.m365.plugins.module_utils._module import execute
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.access_info import (
    DENIED,
    DOOR,
    GRANTED,
    AccessInfo,
    Desired,
    State,
    Verdict,
    cmdlets,
    plan,
    verdicts,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.unit.script import NOW, Exchange, FakeClock, Script, answer, jwt

APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
FAX, LEE, ADA = "fax@contoso.com", "lee@contoso.com", "ada@contoso.com"
DESIRED = Desired(APP, {FAX: GRANTED, LEE: DENIED, ADA: None})


def said(verdict: str) -> Output:
    return Output([{"AppId": APP, "Mailbox": "x", "AccessCheckResult": verdict}])


def test_every_mailbox_is_asked_about_by_itself():
    asked = [dict(cmdlet.parameters) for cmdlet in cmdlets(DESIRED)]
    assert asked == [{"Identity": mailbox, "AppId": APP} for mailbox in (FAX, LEE, ADA)]
    assert {cmdlet.name for cmdlet in cmdlets(DESIRED)} == {"Test-ApplicationAccessPolicy"}


def test_answers_belong_to_their_mailboxes():
    found = verdicts(DESIRED, [said(GRANTED), said(GRANTED), said(DENIED)], NOW)
    assert [(one.mailbox, one.verdict, one.expected, one.as_expected) for one in found] == [
        (FAX, GRANTED, GRANTED, True),
        (LEE, GRANTED, DENIED, False),
        (ADA, DENIED, None, None),
    ]
    assert found[0].at == "2026-11-21T12:00:00Z"


def test_mailboxes_that_exchange_does_not_know_are_listed_and_are_no_verdicts():
    outputs = [Output(error=NotFound("no")), said(DENIED), Output(error=NotFound("no", request_id="r"))]
    with pytest.raises(NotFound) as raised:
        verdicts(DESIRED, outputs, NOW)
    assert raised.value.details["unknown"] == [FAX, ADA]
    assert FAX in str(raised.value)
    assert ADA in str(raised.value)
    assert [one["mailbox"] for one in raised.value.details["verdicts"]] == [LEE]


def test_another_refusal_is_raised_as_it_is():
    with pytest.raises(Forbidden):
        verdicts(DESIRED, [Output(error=NotFound("no")), Output(error=Forbidden("no")), said(DENIED)], NOW)


@pytest.mark.parametrize("output", [Output([]), Output([{}]), said("Perhaps"), Output([{}, {}])])
def test_an_answer_that_is_no_verdict_is_an_error(output: Output):
    with pytest.raises(ServiceError):
        verdicts(Desired(APP, {FAX: GRANTED}), [output], NOW)


def test_what_is_no_verdict_is_quoted():
    with pytest.raises(ServiceError, match=r"gave 'Perhaps' for fax@contoso\.com"):
        verdicts(Desired(APP, {FAX: GRANTED}), [said("Perhaps")], NOW)


def test_what_is_as_expected_is_ok():
    made = plan(State((Verdict(FAX, GRANTED, GRANTED), Verdict(LEE, DENIED, DENIED), Verdict(ADA, DENIED))), DESIRED)
    assert (made.outcome, made.summary) == ("ok", "1 Granted, 2 Denied")
    assert [one["mailbox"] for one in made.result["verdicts"]] == [FAX, LEE, ADA]
    assert plan(State((Verdict(FAX, GRANTED),)), DESIRED).summary == "1 Granted"
    assert plan(State((Verdict(FAX, DENIED),)), DESIRED).summary == "1 Denied"


@pytest.mark.parametrize("wrong", [Verdict(FAX, DENIED, GRANTED), Verdict(LEE, GRANTED, DENIED)])
def test_what_is_not_as_expected_is_blocked_with_the_list(wrong: Verdict):
    made = plan(State((Verdict(ADA, DENIED, DENIED), wrong)), DESIRED)
    assert made.blocked is not None
    assert made.outcome == "blocked"
    assert made.blocked.details["mismatches"] == [wrong.as_dict()]
    assert f"{wrong.mailbox} is {wrong.verdict}" in made.blocked.message
    assert len(made.result["verdicts"]) == 2


def test_there_is_nothing_to_test_before_the_application_exists():
    made = plan(None, DESIRED)
    assert (made.outcome, made.summary) == ("ok", "not testable before the application exists")
    assert made.result["verdicts"] == []


# ---- asking ---------------------------------------------------------------------------------------------------------

PARAMS: dict[str, t.Any] = {
    "app_id": APP,
    "mailboxes": [],
    "expect": {"granted": [FAX], "denied": [LEE]},
    "wait": 0,
    "access_token": {"exchange": jwt()},
}


def batch(*results: str) -> Exchange:
    parts = [
        {"id": str(number), "status": 200, "body": {"value": [{"AccessCheckResult": result}]}}
        for number, result in enumerate(results)
    ]
    return Exchange("POST", "/$batch", answer(200, {"responses": parts}))


def one_answer(result: str) -> Exchange:
    """To a single cmdlet, which travels without a batch."""
    return Exchange("POST", "/InvokeCommand", answer(200, {"value": [{"AccessCheckResult": result}]}))


def policies(*rows: dict[str, t.Any]) -> Exchange:
    """To the read that follows a verdict which is not as expected."""
    return Exchange("POST", "/InvokeCommand", answer(200, {"value": list(rows)}))


def ask(params: dict[str, t.Any], *exchanges: Exchange, check_mode: bool = False) -> tuple[dict[str, t.Any], FakeClock]:
    clock, script = FakeClock(), Script(exchanges)
    options = {**PARAMS, **params}
    task = Task(options, check_mode)
    result = execute(DOOR, task, lambda: Tenant(options, environment={}, transport=script, clock=clock))
    assert len(script.seen) == len(exchanges)
    return result, clock


def test_all_are_asked_in_one_batch_and_once():
    result, clock = ask({}, batch(GRANTED, DENIED))
    assert result["outcome"] == "ok"
    assert result["changed"] is False
    assert clock.sleeps == []


def test_without_waiting_a_mismatch_is_told_at_once():
    result, clock = ask({}, batch(DENIED, DENIED), policies())
    assert (result["failed"], result["outcome"]) == (True, "blocked")
    assert [one["verdict"] for one in result["verdicts"]] == [DENIED, DENIED]
    assert clock.sleeps == []


def test_who_denies_is_named():
    deny = {"AppId": "*", "AccessRight": "DenyAccess", "ScopeName": "Board", "ScopeIdentityRaw": "S-1;e"}
    theirs = {**deny, "AppId": APP.replace("1", "2"), "ScopeName": "Theirs"}
    result, _clock = ask({}, batch(DENIED, DENIED), policies(deny, theirs))
    assert "DenyAccess for every application on 'Board'" in result["error"]["cure"]
    assert "Theirs" not in result["msg"]
    result, _clock = ask({}, batch(GRANTED, GRANTED), policies(deny))
    assert "Board" not in result["error"]["cure"]


def test_with_waiting_it_is_asked_until_it_is_right():
    result, clock = ask({"wait": 30}, batch(DENIED, DENIED), batch(DENIED, DENIED), batch(GRANTED, DENIED))
    assert result["outcome"] == "ok"
    assert clock.sleeps == [0.5, 1.0]
    assert result["verdicts"][0]["at"] == "2026-11-21T12:00:01Z"


def test_waiting_ends():
    result, clock = ask(
        {"wait": 2}, batch(GRANTED, GRANTED), batch(GRANTED, GRANTED), batch(GRANTED, GRANTED), policies()
    )
    assert result["outcome"] == "blocked"
    assert clock.passed <= 2


def test_no_application_no_request():
    result, _clock = ask({"app_id": ZERO_GUID}, check_mode=True)
    assert result["outcome"] == "ok"
    assert result["verdicts"] == []


def test_mailboxes_are_asked_about_once_in_any_spelling():
    def fits(body: t.Any) -> bool:
        parts = [part["body"]["CmdletInput"]["Parameters"]["Identity"] for part in body["requests"]]
        return parts == [FAX, LEE, ADA]

    exchange = batch(GRANTED, DENIED, DENIED)
    exchange.body = fits
    result, _clock = ask({"mailboxes": [FAX.upper(), ADA, ADA]}, exchange)
    assert [one["expected"] for one in result["verdicts"]] == [GRANTED, DENIED, None]
    result, _clock = ask({"expect": {"granted": [FAX.upper(), FAX]}, "mailboxes": [FAX]}, one_answer(GRANTED))
    assert [(one["mailbox"], one["expected"]) for one in result["verdicts"]] == [(FAX.upper(), GRANTED)]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"app_id": ZERO_GUID}, "all zeros"),
        ({"app_id": "x"}, "app_id"),
        ({"mailboxes": ["fax"]}, "mailboxes"),
        ({"expect": {"granted": ["a b@contoso.com"]}}, "expect.granted"),
        ({"expect": {"granted": [FAX], "denied": [FAX.upper()]}}, "granted and denied"),
        ({"expect": None}, "no mailbox"),
        ({"wait": -1}, "wait"),
    ],
)
def test_bad_options_are_refused_without_a_request(wrong: dict[str, t.Any], text: str):
    with pytest.raises(InvalidInput) as refused:
        AccessInfo(Tenant({}), Task({**PARAMS, **wrong}))
    assert text in str(refused.value)


def test_results_are_plain_data():
    assert json.dumps(Verdict(FAX, GRANTED, GRANTED, "now").as_dict())
