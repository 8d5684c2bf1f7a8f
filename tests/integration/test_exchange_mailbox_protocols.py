# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exchange_mailbox_protocols: the switches of these mailboxes alone, put back exactly, and never the organization's."""

from __future__ import annotations

import typing as t

import pytest

from tests.emulator.testing import Emulator
from tests.integration.exchange_admin import admin, at, changes, sent
from tests.integration.harness import TENANT_ID, run
from tests.integration.mail_rights import CONTROL, FAX, SCAN, SHUT, TELEFAX, TENANTS
from tests.integration.transports import TRANSPORTS, start_emulator

SMTP = "SmtpClientAuthenticationDisabled"


@pytest.fixture(scope="module", params=TRANSPORTS)
def running(request: pytest.FixtureRequest) -> t.Iterator[Emulator]:
    with start_emulator(TENANTS, request.param) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    return running.reset()


def apply(emulator: Emulator, *mailboxes: str, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    emulator.clear_journal()
    params = {"mailboxes": list(mailboxes), "protocols": ["imap", "smtp"], **options}
    return run("exchange_mailbox_protocols", params, emulator, check_mode)


def back(emulator: Emulator, result: dict[str, t.Any]) -> dict[str, t.Any]:
    """What a record makes of ``added``."""
    restore = [{"mailbox": one["of"], "setting": one["id"], "before": one["before"]} for one in result["added"]]
    return apply(emulator, protocols=[], restore=restore, state="absent")


def switches(emulator: Emulator, mailbox: str) -> tuple[t.Any, t.Any, t.Any]:
    [box] = [one for one in emulator.state(TENANT_ID)["casMailboxes"] if one["PrimarySmtpAddress"] == mailbox]
    return box["ImapEnabled"], box["PopEnabled"], box[SMTP]


def everything(emulator: Emulator) -> tuple[t.Any, t.Any]:
    state = emulator.state(TENANT_ID)
    return state["casMailboxes"], state["transportConfig"]


def test_what_is_shut_is_opened_for_these_alone_and_put_back(emulator: Emulator):
    before = everything(emulator)
    first = apply(emulator, SHUT, FAX)
    assert first["outcome"] == "changed"
    assert switches(emulator, SHUT) == (True, False, False)
    assert switches(emulator, FAX) == (True, True, False)
    assert switches(emulator, CONTROL) == (True, True, None)
    assert emulator.state(TENANT_ID)["transportConfig"] == before[1]
    assert first["organization"] == {"smtp_auth_disabled": True}
    assert {(one["id"], one["before"]) for one in first["added"]} == {
        ("ImapEnabled", False),
        (SMTP, True),
        (SMTP, None),
    }
    assert first["in_force_by"] > "2026"
    assert "CIPP" in first["warnings"][0]
    again = apply(emulator, SHUT, FAX)
    assert (again["outcome"], sent(emulator)) == ("ok", ["$batch"])
    assert again["mailboxes"] == first["mailboxes"]
    assert "added" not in again
    assert back(emulator, first)["outcome"] == "changed"
    assert everything(emulator) == before
    assert back(emulator, first)["outcome"] == "ok"
    assert everything(emulator) == before


def test_nothing_is_written_where_the_organization_lets_it_in(emulator: Emulator):
    admin(emulator, "Set-TransportConfig", SmtpClientAuthenticationDisabled=False)
    result = apply(emulator, FAX)
    assert (result["outcome"], changes(emulator)) == ("ok", [])
    assert result["mailboxes"][0]["smtp_auth"] is None
    assert result["mailboxes"][0]["smtp_auth_effective"] is True
    shut = apply(emulator, SHUT, protocols=["smtp"])
    assert shut["outcome"] == "changed"
    assert "while it stays off for the organization" not in shut["warnings"][0]


def test_drift_is_mended(emulator: Emulator):
    apply(emulator, FAX, SCAN)
    admin(emulator, "Set-CASMailbox", Identity=FAX, ImapEnabled=False)
    admin(emulator, "Set-CASMailbox", Identity=SCAN, SmtpClientAuthenticationDisabled=None)
    mended = apply(emulator, FAX, SCAN)
    assert mended["steps"] == [f"switch IMAP on for {FAX}", f"switch SMTP AUTH on for {SCAN}"]
    assert apply(emulator, FAX, SCAN)["outcome"] == "ok"


def test_what_somebody_changed_since_stays(emulator: Emulator):
    first = apply(emulator, FAX)
    admin(emulator, "Set-CASMailbox", Identity=FAX, SmtpClientAuthenticationDisabled=True)
    left = back(emulator, first)
    assert (left["outcome"], changes(emulator)) == ("ok", [])
    assert "Somebody else changed" in left["warnings"][0]
    assert switches(emulator, FAX)[2] is True


def test_a_mailbox_that_is_gone_has_nothing_to_put_back(emulator: Emulator):
    restore = [{"mailbox": "99999999-0000-4000-8000-000000000009", "setting": "ImapEnabled", "before": False}]
    result = apply(emulator, protocols=[], restore=restore, state="absent")
    assert result["outcome"] == "ok"
    assert "do not exist any more" in result["warnings"][0]


def test_check_mode_shows_the_same_and_writes_nothing(emulator: Emulator):
    planned = apply(emulator, SHUT, check_mode=True)
    assert changes(emulator) == []
    done = apply(emulator, SHUT)
    for key in ("steps", "diff", "added", "mailboxes"):
        assert planned[key] == done[key]


def test_a_mailbox_is_the_same_by_any_of_its_addresses(emulator: Emulator):
    result = apply(emulator, TELEFAX.upper(), FAX)
    assert [one["mailbox"] for one in result["mailboxes"]] == [FAX]
    assert changes(emulator) == ["Set-CASMailbox"]


def test_many_mailboxes_take_one_request(emulator: Emulator):
    boxes = [at(f"user{number}") for number in range(14)]
    apply(emulator, *boxes)
    assert apply(emulator, *boxes)["outcome"] == "ok"
    assert sent(emulator) == ["$batch"]


def test_who_is_no_mailbox(emulator: Emulator):
    stopped = apply(emulator, FAX, at("sales"), at("nobody"))
    assert (stopped["outcome"], changes(emulator)) == ("blocked", [])
    assert "mail-enabled security group" in stopped["msg"]
    assert "nobody" in stopped["msg"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mailboxes": []}, "mailboxes is empty"),
        ({"protocols": []}, "protocols is empty"),
        ({"mailboxes": ["fax"]}, "not a mail address"),
    ],
)
def test_options_that_cannot_be_meant(emulator: Emulator, options: dict[str, t.Any], words: str):
    params = {"mailboxes": [FAX], "protocols": ["imap"], **options}
    assert words in run("exchange_mailbox_protocols", params, emulator)["msg"]
    assert sent(emulator) == []


def test_a_refusal_tells_what_was_done(emulator: Emulator):
    refused = {"match": {"cmdlet": "Set-CASMailbox"}, "nth": 2, "effect": {"status": 403, "headers": {}, "body": ""}}
    emulator.faults([refused])
    result = apply(emulator, FAX, SCAN)
    assert result["outcome"] == "failed"
    assert result["error"]["done"] == [f"switch SMTP AUTH on for {FAX}"]
    assert len(result["added"]) == 2
