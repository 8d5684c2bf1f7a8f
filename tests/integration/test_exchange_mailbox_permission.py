# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exchange_mailbox_permission: rights on the declared mailboxes, on no others, and nobody else's entry is touched."""

from __future__ import annotations

import typing as t

import pytest

from tests.emulator.testing import Emulator
from tests.integration.exchange_admin import admin, at, changes, sent
from tests.integration.harness import GRAPH, TENANT_ID, requests_to, run
from tests.integration.mail_rights import (
    APP,
    BRIEN,
    CONTROL,
    CROWDED,
    DENIED,
    FAX,
    HELP,
    NEW,
    NOBODY,
    OTHER,
    OURS_ONCE,
    SCAN,
    STRANGE,
    TELEFAX,
    TENANTS,
    WRONG,
    rights_in,
)
from tests.integration.transports import emulators, start_emulator

ZERO = "00000000-0000-0000-0000-000000000000"
BOTH, FULL = ["FullAccess", "SendAs"], ["FullAccess"]


running, quick, both, emulator = emulators(TENANTS)


def apply(emulator: Emulator, *mailboxes: str, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    emulator.clear_journal()
    params = {"app_id": APP, "mailboxes": list(mailboxes), **options}
    return run("exchange_mailbox_permission", params, emulator, check_mode)


def settled(emulator: Emulator, *mailboxes: str, **options: t.Any) -> dict[str, t.Any]:
    first = apply(emulator, *mailboxes, **options)
    assert not first.get("failed"), first
    again = apply(emulator, *mailboxes, **options)
    assert (again["changed"], again["outcome"]) == (False, "ok"), again
    assert changes(emulator) == []
    assert again["rights"] == first["rights"]
    return first


def granted(emulator: Emulator, mailbox: str, user: str = APP, right: str = "FullAccess") -> None:
    """Somebody else gives a right."""
    if right == "SendAs":
        admin(emulator, "Add-RecipientPermission", Identity=mailbox, Trustee=user, AccessRights=[right])
    else:
        admin(emulator, "Add-MailboxPermission", Identity=mailbox, User=user, AccessRights=[right])


# ---- what is declared -----------------------------------------------------------------------------------------------


def test_rights_are_given_once_and_taken_back(both: Emulator):
    result = settled(both, FAX, SCAN, BRIEN, send_as=True)
    assert result["outcome"] == "changed"
    assert rights_in(both) == dict.fromkeys((FAX, SCAN, BRIEN), BOTH)
    assert {key: result["rights"][0][key] for key in ("mailbox", "full_access", "send_as")} == {
        "mailbox": FAX,
        "full_access": True,
        "send_as": True,
    }
    assert {(one["kind"], one["id"], one["sid"]) for one in result["added"]} == {
        ("right", right, result["sid"]) for right in BOTH
    }
    assert {one["of"] for one in result["added"]} == {row["guid"] for row in result["rights"]}
    assert result["in_force_by"] > "2026"
    others = rights_in(both, OTHER)
    gone = apply(both, FAX, SCAN, BRIEN, state="absent")
    assert (gone["outcome"], rights_in(both), rights_in(both, OTHER)) == ("changed", {}, others)
    assert apply(both, FAX, SCAN, BRIEN, state="absent")["outcome"] == "ok"


def test_nothing_to_change_takes_one_request_for_seven_mailboxes(emulator: Emulator):
    boxes = [FAX, SCAN, BRIEN, *(at(f"user{number}") for number in range(4))]
    apply(emulator, *boxes, send_as=True)
    again = apply(emulator, *boxes, send_as=True)
    assert again["outcome"] == "ok"
    assert sent(emulator) == ["$batch"]
    assert requests_to(emulator, GRAPH) == []


def test_more_mailboxes_than_one_batch(emulator: Emulator):
    boxes = [at(f"user{number}") for number in range(14)]
    settled(emulator, *boxes, FAX, send_as=True)
    assert set(rights_in(emulator)) == {*boxes, FAX}
    assert sent(emulator) == ["$batch", "$batch"]


def test_only_send_as(emulator: Emulator):
    settled(emulator, FAX, full_access=False, send_as=True)
    assert rights_in(emulator) == {FAX: ["SendAs"]}


def test_a_mailbox_is_the_same_by_any_of_its_addresses(emulator: Emulator):
    apply(emulator, FAX, send_as=True)
    again = apply(emulator, TELEFAX.upper(), FAX, send_as=True)
    assert again["outcome"] == "ok"
    assert [row["mailbox"] for row in again["rights"]] == [FAX]


def test_a_mailbox_that_is_told_by_its_guid_is_found_after_a_rename(emulator: Emulator):
    guid = apply(emulator, FAX)["rights"][0]["guid"]
    gone = apply(emulator, at("called-otherwise-now"), candidates=[guid], state="absent")
    assert gone["outcome"] == "changed"
    assert rights_in(emulator) == {}


def test_check_mode_walks_on_an_empty_tenant(both: Emulator):
    planned = apply(both, FAX, check_mode=True, app_id=ZERO, send_as=True)
    assert (planned["changed"], planned["outcome"], planned["sid"]) == (True, "changed", None)
    assert planned["diff"] == {"before": {FAX: []}, "after": {FAX: BOTH}}
    assert "planned as if an earlier task made it" in planned["warnings"][0]
    assert changes(both) == []
    unknown = apply(both, FAX, check_mode=True, app_id=NEW)
    assert unknown["changed"]


def test_check_mode_shows_the_same_and_writes_nothing(emulator: Emulator):
    planned = apply(emulator, FAX, SCAN, check_mode=True, send_as=True)
    assert changes(emulator) == []
    done = apply(emulator, FAX, SCAN, send_as=True)
    for key in ("steps", "diff", "added", "rights"):
        assert planned[key] == done[key]


# ---- drift ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "cmdlet"), [("FullAccess", "Remove-MailboxPermission"), ("SendAs", "Remove-RecipientPermission")]
)
def test_a_right_that_is_missing_comes_back(both: Emulator, right: str, cmdlet: str):
    apply(both, FAX, SCAN, send_as=True)
    who = {"Trustee" if right == "SendAs" else "User": APP}
    admin(both, cmdlet, Identity=SCAN, AccessRights=[right], **who)
    mended = settled(both, FAX, SCAN, send_as=True)
    assert mended["steps"] == [f"give the application {right} on {SCAN}"]
    assert rights_in(both) == {FAX: BOTH, SCAN: BOTH}


def test_a_right_on_a_further_mailbox_is_told_and_taken_off_when_told_to(both: Emulator):
    apply(both, FAX, send_as=True)
    granted(both, HELP)
    granted(both, CONTROL, right="SendAs")
    told = apply(both, FAX, send_as=True, candidates=[HELP])
    assert (told["outcome"], changes(both)) == ("ok", [])
    assert {row["mailbox"]: row["rights"] for row in told["elsewhere"]} == {HELP: FULL, CONTROL: ["SendAs"]}
    assert "that nobody declared" in told["warnings"][0]
    mended = settled(both, FAX, send_as=True, candidates=[HELP], exclusive=True)
    assert mended["outcome"] == "changed"
    assert rights_in(both) == {FAX: BOTH}
    assert rights_in(both, OTHER) == {CONTROL: BOTH}


def test_full_access_elsewhere_is_found_by_a_scan_of_all(both: Emulator):
    apply(both, FAX)
    granted(both, at("user9"))
    unseen = apply(both, FAX, exclusive=True)
    assert (unseen["outcome"], unseen["scanned"]["complete"]) == ("ok", False)
    mended = apply(both, FAX, exclusive=True, scan="all")
    assert mended["outcome"] == "changed"
    assert mended["scanned"] == {"mailboxes": 22, "complete": True}
    assert rights_in(both) == {FAX: FULL}


def test_what_a_scan_left_out_is_said(emulator: Emulator):
    apply(emulator, FAX)
    bounded = apply(emulator, FAX, exclusive=True, scan="all", scan_limit=3)
    assert bounded["scanned"] == {"mailboxes": 4, "complete": False}
    assert "FullAccess was looked for on 4 mailboxes, and the tenant has more" in bounded["warnings"][0]


def test_rights_that_nobody_declared_on_a_declared_mailbox(emulator: Emulator):
    apply(emulator, FAX, send_as=True)
    granted(emulator, FAX, right="ChangePermission")
    told = apply(emulator, FAX)
    assert told["outcome"] == "ok"
    assert f"{FAX} (ChangePermission, SendAs)" in told["warnings"][0]
    assert settled(emulator, FAX, exclusive=True)["outcome"] == "changed"
    assert rights_in(emulator) == {FAX: FULL}


def test_what_narrows_goes_first(emulator: Emulator):
    granted(emulator, HELP)
    apply(emulator, FAX, SCAN, candidates=[HELP], exclusive=True)
    assert changes(emulator) == ["Remove-MailboxPermission", *["Add-MailboxPermission"] * 2]


def test_rights_of_a_former_service_principal_are_told_and_only_those_of_the_record_go(both: Emulator):
    apply(both, FAX)
    for sid in (NOBODY, OURS_ONCE):
        granted(both, FAX, sid)
    told = apply(both, FAX, former_sids=[OURS_ONCE])
    assert told["outcome"] == "ok"
    assert {row["sid"]: row["ours"] for row in told["orphans"]} == {NOBODY: False, OURS_ONCE: True}
    assert "former service principal" in told["warnings"][0]
    apply(both, FAX, former_sids=[OURS_ONCE], state="absent")
    left = [row["Sid"] for row in both.state(TENANT_ID)["mailboxPermissions"] if row["Identity"] == FAX]
    assert NOBODY in left
    assert OURS_ONCE not in left


def test_without_a_pointer_the_removal_takes_what_the_record_knows(emulator: Emulator):
    sid = apply(emulator, FAX)["sid"]
    [pointer] = admin(emulator, "Get-ServicePrincipal", Identity=APP)
    admin(emulator, "Remove-ServicePrincipal", Identity=pointer["ObjectId"])
    gone = apply(emulator, FAX, state="absent", former_sids=[sid])
    assert gone["outcome"] == "changed"
    left = [row["Identity"] for row in emulator.state(TENANT_ID)["mailboxPermissions"] if row["Sid"] == sid]
    assert left == [DENIED]  # nobody here made that one


@pytest.mark.parametrize("form", ["Name", "DisplayName", "Sid", "AppId"])
def test_entries_are_matched_however_the_service_principal_is_printed(form: str):
    tenant = {**TENANTS["tenants"][0], "switches": {"trustee_form": form}}
    with start_emulator({"tenants": [tenant]}, "rest") as emulator:
        sid = settled(emulator, FAX, send_as=True)["sid"]
        # The record names the SID of today as well.
        again = settled(emulator, FAX, send_as=True, exclusive=True, former_sids=[sid])
        assert (again["outcome"], again["orphans"]) == ("ok", [])
        gone = apply(emulator, FAX, state="absent", former_sids=[sid])
        assert len(gone["steps"]) == 2
        assert rights_in(emulator) == {}


def test_a_list_of_all_service_principals_is_not_the_one_asked_for():
    tenant = {**TENANTS["tenants"][0], "switches": {"unknown_service_principal": "everything"}}
    with start_emulator({"tenants": [tenant]}, "rest") as emulator:
        stopped = apply(emulator, FAX, app_id=NEW)
        assert stopped["outcome"] == "blocked"
        assert changes(emulator) == []


# ---- what stops the task --------------------------------------------------------------------------------------------


def refused(emulator: Emulator, *mailboxes: str, **options: t.Any) -> dict[str, t.Any]:
    before = emulator.state(TENANT_ID)["mailboxPermissions"]
    stopped = apply(emulator, *mailboxes, **options)
    assert (stopped["outcome"], stopped["changed"]) == ("blocked", False), stopped
    assert changes(emulator) == []
    assert emulator.state(TENANT_ID)["mailboxPermissions"] == before
    return stopped


def test_an_application_that_exchange_does_not_know(both: Emulator):
    stopped = refused(both, FAX, app_id=NEW)
    assert "Exchange does not know the application" in stopped["msg"]
    assert "exchange_service_principal" in stopped["error"]["cure"]
    assert stopped["error"]["who"] == "an Exchange Administrator"


def test_a_service_principal_of_another_object_id(emulator: Emulator):
    stopped = refused(emulator, FAX, app_id=WRONG)
    assert "99999999-0000-4000-8000-000000000009" in stopped["msg"]
    assert "on_wrong_pointer" in stopped["error"]["cure"]


def test_a_stranger_who_can_sign_in_as_the_application(emulator: Emulator):
    stopped = refused(emulator, FAX, app_id=STRANGE)
    assert "somebody else can sign in" in stopped["msg"]
    assert stopped["error"]["options"] == ["accept_credentials"]
    planned = apply(emulator, FAX, app_id=STRANGE, check_mode=True)
    assert planned["outcome"] == "blocked"
    accepted = apply(emulator, FAX, app_id=STRANGE, accept_credentials=["66666666-0000-4000-8000-000000000001"])
    assert accepted["outcome"] == "changed"


def test_an_entry_that_denies_is_named(both: Emulator):
    stopped = refused(both, FAX, DENIED)
    assert f"denies the application FullAccess on {DENIED}" in stopped["msg"]
    assert "Remove-MailboxPermission" in stopped["error"]["cure"]


def test_who_is_no_mailbox(emulator: Emulator):
    stopped = refused(emulator, FAX, at("nobody"), at("onprem"), at("sales"))
    for words in ("nobody", "is not a recipient", "mail user", "mail-enabled security group"):
        assert words in stopped["msg"]
    assert [one["address"] for one in stopped["error"]["details"]["mailboxes"]] == [
        at(name) for name in ("nobody", "onprem", "sales")
    ]


def test_a_mailbox_without_room_for_an_entry(emulator: Emulator):
    crowd = [{"mailbox": CROWDED, "sid": f"S-1-5-21-9-9-9-{number}", "rights": ["FullAccess"]} for number in range(500)]
    tenant = {**TENANTS["tenants"][0], "mailbox_permissions": crowd}
    with start_emulator({"tenants": [tenant]}, "rest") as crowded:
        stopped = refused(crowded, FAX, CROWDED)
    assert "500 entries" in stopped["msg"]
    assert f"{CROWDED} has 500, 500 of them of nobody" in stopped["msg"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mailboxes": []}, "mailboxes is empty"),
        ({"mailboxes": ["fax"]}, "not a mail address"),
        ({"full_access": False}, "no right is declared"),
        ({"scan_limit": 0}, "scan_limit is below 1"),
        ({"candidates": ["who?"]}, "not a mail address"),
        ({"app_id": ZERO}, "all zeros"),
    ],
)
def test_options_that_cannot_be_meant(emulator: Emulator, options: dict[str, t.Any], words: str):
    refusal = run("exchange_mailbox_permission", {"app_id": APP, "mailboxes": [FAX], **options}, emulator)
    assert words in refusal["msg"]
    assert sent(emulator) == []


# ---- trouble on the way ---------------------------------------------------------------------------------------------


def test_an_answer_that_is_lost_is_looked_for(emulator: Emulator):
    emulator.faults([{"match": {"cmdlet": "Add-MailboxPermission"}, "nth": 1, "effect": "drop_after"}])
    result = apply(emulator, FAX, SCAN, send_as=True)
    assert result["outcome"] == "changed"
    assert rights_in(emulator) == {FAX: BOTH, SCAN: BOTH}
    assert len(result["added"]) == 4


def test_a_refusal_in_the_middle_tells_what_was_done(emulator: Emulator):
    emulator.faults(
        [
            {
                "match": {"cmdlet": "Add-RecipientPermission"},
                "times": 50,
                "effect": {"status": 403, "headers": {}, "body": ""},
            }
        ]
    )
    result = apply(emulator, FAX, send_as=True)
    assert result["outcome"] == "failed"
    assert result["error"]["done"] == [f"give the application FullAccess on {FAX}"]
    assert result["added"]
    emulator.faults([])
    assert apply(emulator, FAX, send_as=True)["outcome"] == "changed"
