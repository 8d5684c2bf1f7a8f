# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exchange_application_access_info: Exchange's verdicts, and what is none."""

from __future__ import annotations

import typing as t

import pytest

from tests.emulator.testing import Emulator
from tests.integration.exchange_admin import ADELE, ALIAS, APP, FAX, HELP, LEE, LIDIA, NAME, TENANTS, admin, at, sent
from tests.integration.harness import run
from tests.integration.transports import TRANSPORTS, start_emulator

ZERO = "00000000-0000-0000-0000-000000000000"
EXPECT = {"granted": [FAX, HELP], "denied": [LEE]}


@pytest.fixture(scope="module", params=TRANSPORTS)
def running(request: pytest.FixtureRequest) -> t.Iterator[Emulator]:
    with start_emulator(TENANTS, request.param) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    running.reset()
    admin(running, "New-DistributionGroup", Name=NAME, Alias=ALIAS, Type="Security", Members=[FAX, HELP])
    admin(running, "New-ApplicationAccessPolicy", AppId=APP, PolicyScopeGroupId=ALIAS, AccessRight="RestrictAccess")
    running.clear_journal()
    return running


def ask(emulator: Emulator, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    emulator.clear_journal()
    return run("exchange_application_access_info", {"app_id": APP, **options}, emulator, check_mode)


def test_what_is_configured_is_told_in_one_request(emulator: Emulator):
    result = ask(emulator, expect=EXPECT, mailboxes=[ADELE])
    assert (result["outcome"], result["changed"]) == ("ok", False)
    assert [(one["mailbox"], one["verdict"], one["as_expected"]) for one in result["verdicts"]] == [
        (FAX, "Granted", True),
        (HELP, "Granted", True),
        (LEE, "Denied", True),
        (ADELE, "Denied", None),
    ]
    assert sent(emulator) == ["$batch"]


def test_one_mailbox_is_one_request(emulator: Emulator):
    assert ask(emulator, mailboxes=[FAX])["summary"] == "1 Granted"
    assert sent(emulator) == ["Test-ApplicationAccessPolicy"]


def test_check_mode_asks_as_well(emulator: Emulator):
    assert ask(emulator, check_mode=True, expect=EXPECT)["outcome"] == "ok"
    nothing = ask(emulator, check_mode=True, app_id=ZERO, expect=EXPECT)
    assert (nothing["outcome"], nothing["verdicts"]) == ("ok", [])
    assert emulator.journal() == []


def test_a_policy_that_denies_wins_and_is_told(emulator: Emulator):
    admin(emulator, "New-ApplicationAccessPolicy", AppId="*", PolicyScopeGroupId=FAX, AccessRight="DenyAccess")
    result = ask(emulator, expect=EXPECT)
    assert (result["outcome"], result["failed"]) == ("blocked", True)
    assert [one["mailbox"] for one in result["error"]["details"]["mismatches"]] == [FAX]
    assert "matching DenyAccess denies" in result["msg"]
    assert len(result["verdicts"]) == 3


def test_an_application_without_a_policy_may_open_everything(emulator: Emulator):
    result = ask(emulator, app_id="99999999-8724-4f32-8152-a16a230b682b", expect=EXPECT)
    assert [one["mailbox"] for one in result["error"]["details"]["mismatches"]] == [LEE]


def test_addresses_without_a_mailbox_are_errors_and_all_are_named(emulator: Emulator):
    wrong = [at("nobody"), at("sales"), "partner@elsewhere.example"]
    result = ask(emulator, expect={"granted": [FAX], "denied": wrong})
    assert result["outcome"] == "failed"
    assert result["error"]["details"]["unknown"] == wrong
    assert "verdicts" not in result


def test_more_mailboxes_than_a_batch_holds(emulator: Emulator):
    mailboxes = [FAX, ADELE, LEE, LIDIA, HELP, at("room1"), at("o'brien"), at("telefax")]
    mailboxes += [at(f"user{number}") for number in range(6)]
    mailboxes += [f" {mailbox.upper()} " for mailbox in mailboxes]
    result = ask(emulator, mailboxes=mailboxes)
    assert len(result["verdicts"]) == 14
    assert result["summary"] == "3 Granted, 11 Denied"
    assert [one["mailbox"] for one in result["verdicts"]] == mailboxes[:14]
    # ten to a batch of Exchange's endpoint, all of them to a request of the Windows host
    assert sent(emulator) in (["$batch", "$batch"], ["$batch"])


def test_waiting_for_what_never_comes_ends(emulator: Emulator):
    result = ask(emulator, expect={"granted": [LEE]}, wait=2)
    assert result["outcome"] == "blocked"
    assert 2 <= len(sent(emulator)) <= 4
