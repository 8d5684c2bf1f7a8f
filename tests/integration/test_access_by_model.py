# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exchange_application_access_info under roles, rights and without a limit."""

from __future__ import annotations

import typing as t

import pytest

from tests.emulator.testing import Emulator
from tests.integration.app_roles import APP, BOSS, BRIEN, CONTROL, FAX, GROUP, NEW, SEND, WRITE, by_hand, tenants
from tests.integration.app_roles import apply as assign
from tests.integration.exchange_admin import admin, at, sent
from tests.integration.harness import TENANT_ID, run
from tests.integration.transports import emulators

EXPECT = {"granted": [FAX, BRIEN], "denied": [CONTROL, BOSS]}
ROLES: dict[str, t.Any] = {"scoping": ["application_role"], "roles": [WRITE, SEND]}
RIGHTS: dict[str, t.Any] = {"scoping": ["mailbox_permission"], "rights": {"full_access": True, "send_as": True}}


running, quick, both, emulator = emulators(tenants())


def ask(emulator: Emulator, **options: t.Any) -> dict[str, t.Any]:
    emulator.clear_journal()
    return run("exchange_application_access_info", {"app_id": APP, "expect": EXPECT, **options}, emulator)


def words(result: dict[str, t.Any]) -> list[str]:
    return [one["verdict"] for one in result["verdicts"]]


def test_roles(both: Emulator):
    told = ask(both, **ROLES)
    assert (told["outcome"], words(told)) == ("blocked", ["Denied"] * 4)
    assert "no role has it in its scope" in told["msg"]
    assign(both)
    told = ask(both, **ROLES)
    assert (told["outcome"], words(told)) == ("ok", ["Granted"] * 2 + ["Denied"] * 2)
    assert sent(both) == ["$batch"]
    by_hand(both)
    told = ask(both, **ROLES)
    assert (told["outcome"], words(told)) == ("blocked", ["Granted"] * 4)
    assert f"{WRITE} for the whole organization" in told["msg"]
    assert [one["scoping"] for one in told["verdicts"][0]["by"]] == ["application_role"]


def test_one_role_of_two_is_not_enough(emulator: Emulator):
    assign(emulator, roles=[SEND])
    told = ask(emulator, **ROLES)
    assert words(told)[:2] == ["Denied"] * 2
    assert "Mail.ReadWrite does not have it in its scope" in told["msg"]


def test_a_mailbox_that_left_the_group_is_out_of_scope(emulator: Emulator):
    assign(emulator)
    admin(emulator, "Remove-DistributionGroupMember", Identity=GROUP, Member=BRIEN, Confirm=False)
    assert words(ask(emulator, **ROLES)) == ["Granted", "Denied", "Denied", "Denied"]


def test_an_application_that_exchange_does_not_know(emulator: Emulator):
    told = ask(emulator, app_id=NEW, **ROLES)
    assert words(told) == ["Denied"] * 4
    assert "does not know the application" in told["msg"]


def test_rights(both: Emulator):
    for mailbox in (FAX, BRIEN):
        admin(both, "Add-MailboxPermission", Identity=mailbox, User=APP, AccessRights=["FullAccess"])
    assert words(ask(both, **RIGHTS)) == ["Denied"] * 4
    for mailbox in (FAX, BRIEN):
        admin(both, "Add-RecipientPermission", Identity=mailbox, Trustee=APP, AccessRights=["SendAs"])
    told = ask(both, **RIGHTS)
    assert (told["outcome"], words(told)) == ("ok", ["Granted"] * 2 + ["Denied"] * 2)
    admin(both, "Add-RecipientPermission", Identity=BOSS, Trustee=APP, AccessRights=["SendAs"])
    told = ask(both, **RIGHTS)
    assert (told["outcome"], words(told)[3]) == ("blocked", "Granted")
    assert "SendAs" in told["msg"]


def test_eight_mailboxes_and_one_take_one_request_where_the_sid_is_known(emulator: Emulator):
    boxes = [FAX, BRIEN, CONTROL, *(at(f"user{number}") for number in range(5))]
    for mailbox in boxes:
        admin(emulator, "Add-MailboxPermission", Identity=mailbox, User=APP, AccessRights=["FullAccess"])
        admin(emulator, "Add-RecipientPermission", Identity=mailbox, Trustee=APP, AccessRights=["SendAs"])
    [sid] = [one["Sid"] for one in emulator.state(TENANT_ID)["exchangeServicePrincipals"] if one["AppId"] == APP]
    rights = {"full_access": True, "send_as": True, "sid": sid}
    told = ask(emulator, scoping=["mailbox_permission"], rights=rights, expect={"granted": boxes, "denied": [BOSS]})
    assert (told["outcome"], sent(emulator)) == ("ok", ["$batch"])


def test_models_together(emulator: Emulator):
    assign(emulator, roles=["SMTP.SendAsApp"])
    for mailbox in (FAX, BRIEN):
        admin(emulator, "Add-MailboxPermission", Identity=mailbox, User=APP, AccessRights=["FullAccess"])
    told = ask(
        emulator,
        scoping=["mailbox_permission", "application_role"],
        roles=["SMTP.SendAsApp"],
        rights={"full_access": True},
    )
    assert (told["outcome"], words(told)) == ("ok", ["Granted"] * 2 + ["Denied"] * 2)
    assert len(told["verdicts"][0]["by"]) == 2


def test_nothing_limits(emulator: Emulator):
    told = ask(emulator, scoping=["tenant_wide"], expect={"granted": [FAX]})
    assert (told["outcome"], told["verdicts"][0]["by"][0]["reason"]) == ("ok", "nothing limits the application")
    assert ask(emulator, scoping=["tenant_wide"])["outcome"] == "blocked"


def test_a_mailbox_that_is_none_is_no_verdict(emulator: Emulator):
    assign(emulator)
    nobody = "nobody@imagicleucdev.onmicrosoft.com"
    for options in (ROLES, RIGHTS, {"scoping": ["tenant_wide"]}):
        told = ask(emulator, expect={"granted": [FAX], "denied": [nobody]}, **options)
        assert told["outcome"] == "failed", told
        assert told["error"]["details"]["unknown"] == [nobody]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"scoping": ["application_roles"]}, "did you mean application_role"),
        ({"scoping": ["application_role"]}, "roles is missing"),
        ({"scoping": ["mailbox_permission"]}, "rights is missing"),
        ({"scoping": ["application_role"], "roles": ["IMAP.AccessAsApp"]}, "not an application role"),
    ],
)
def test_what_cannot_be_asked_is_refused(emulator: Emulator, options: dict[str, t.Any], word: str):
    told = ask(emulator, **options)
    assert word in told["msg"]
    assert sent(emulator) == []
