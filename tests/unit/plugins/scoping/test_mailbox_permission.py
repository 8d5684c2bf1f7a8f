# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Model C: whose an entry is goes by SID, and the grant opens what the entries say and nothing else."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _permissions, _reach
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput, NotFound
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Output
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Grant, Permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.mailbox_permission import (
    Entry,
    MailboxPermissions,
    Rights,
    entries_of,
    grants_of,
    send_as_of,
    words,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer, pointer_of
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.tenant_wide import accepted

APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
EXCHANGE = _permissions.WELL_KNOWN["exchange_online"]
SID = "S-1-5-21-1-2-3-40001"
ROW = {"AppId": APP.upper(), "ObjectId": "0b8e0f44-0000-4000-8000-000000000001", "Sid": SID, "DisplayName": "Fax"}
POINTER = Pointer.of(ROW)
IMAP, SMTP = Permission(EXCHANGE, "IMAP.AccessAsApp"), Permission(EXCHANGE, "SMTP.SendAsApp")
FAX = {"Fax": frozenset({"m1"}), "Vip": frozenset({"m2"})}


def row(mailbox: str = "Fax", user: str = "whatever", sid: str = SID, **more: t.Any) -> dict[str, t.Any]:
    return {"Identity": mailbox, "User": user, "UserSid": sid, "AccessRights": ["FullAccess"], "Deny": False, **more}


def found(rights: t.Sequence[dict[str, t.Any]], send_as: t.Sequence[dict[str, t.Any]] = ()) -> list[Grant]:
    answers = [Output([ROW]), Output(list(send_as)), Output(list(rights))]
    return MailboxPermissions().grants(APP, [IMAP, SMTP], answers, FAX.get)


def test_a_list_of_all_pointers_is_not_one_of_ours():
    other = {**ROW, "AppId": "2cb8b5d2-8724-4f32-8152-a16a230b682b"}
    assert pointer_of(Output([other]), APP) is None
    assert pointer_of(Output([other, ROW]), APP) == POINTER
    assert pointer_of(Output(error=NotFound("none")), APP) is None


@pytest.mark.parametrize(
    "said", [["FullAccess", "ReadPermission"], "FullAccess, ReadPermission", ["FullAccess,ReadPermission"]]
)
def test_rights_come_as_a_list_or_as_one_text(said: t.Any):
    assert words(said) == {"FullAccess", "ReadPermission"}


def test_an_entry_is_ours_by_its_sid():
    mine, other, self_row = entries_of(
        [row(user="somebody"), row(user=POINTER.object_id, sid="S-1-5-21-9"), row(user="NT AUTHORITY\\SELF", sid="")]
    )
    assert [entry.is_of(POINTER) for entry in (mine, other, self_row)] == [True, False, False]
    unnamed = [entries_of([row(user=name, sid="")])[0].is_of(POINTER) for name in (SID, POINTER.object_id, "Fax", "")]
    assert unnamed == [True, True, True, False]


def test_send_as_among_the_rights_on_a_mailbox_is_not_the_one_that_sends():
    assert entries_of([row(AccessRights="FullAccess, SendAs")])[0].rights == {"FullAccess"}
    [(name, entry)] = send_as_of(
        [
            {
                "Identity": "Fax",
                "Trustee": "x",
                "TrusteeSidString": SID,
                "AccessRights": ["SendAs"],
                "AccessControlType": "Deny",
            }
        ]
    )
    assert name == "Fax"
    assert entry.deny
    assert entry.is_of(POINTER)


def test_rows_of_one_trustee_add_up_and_a_denial_wins():
    held = Rights.of(entries_of([row(), row(AccessRights=["ReadPermission"]), row(Deny="True")]))
    assert held.allowed == {"FullAccess", "ReadPermission"}
    assert held.effective == {"ReadPermission"}


def test_what_nobody_knows_any_more_is_an_orphan():
    assert Entry(SID, SID.lower(), frozenset({"FullAccess"})).is_orphan
    assert not Entry("Fax", SID.lower(), frozenset()).is_orphan


def test_a_grant_opens_what_the_entries_say():
    imap, smtp = found(
        [row(), row("Vip", sid="S-1-5-21-9")], [{"Identity": "Vip", "TrusteeSidString": SID, "AccessRights": "SendAs"}]
    )
    assert imap.only == {"m1"}
    assert smtp.only == {"m1", "m2"}
    assert set(_reach.wider_than([imap, smtp], {"m1"}).mailboxes) == {"m2"}
    assert found([row(Deny=True)])[0].only == frozenset()


def test_without_a_look_at_every_mailbox_nothing_is_known_to_be_all():
    assert not found([row()])[0].complete
    [grant] = grants_of([IMAP], {"FullAccess": frozenset({"m1"})}, scanned=True)
    assert grant.complete
    assert not _reach.wider_than([grant], {"m1"})
    assert not grants_of([IMAP], {"FullAccess": None}, scanned=True)[0].complete


def test_without_a_pointer_there_is_nothing():
    assert MailboxPermissions().grants(APP, [IMAP], [Output(error=NotFound("none")), Output()], FAX.get) == []


def test_a_mailbox_of_an_unknown_name_makes_it_incomplete():
    assert found([row("Who knows")])[0].only == frozenset()


@pytest.mark.parametrize("said", ["true", "yes, ok"])
def test_a_yes_accepts_nothing(said: str):
    with pytest.raises(InvalidInput, match="says too little"):
        accepted(said, "accept_tenant_wide")
    assert accepted(" ", "accept_tenant_wide") == ""
    assert accepted("Board decision 12", "accept_tenant_wide") == "Board decision 12"
