# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which grants in Entra undo the scope of a role, and which do not."""

from __future__ import annotations

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import WELL_KNOWN
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import DENY, Policy
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.undoing import SMTP_ROLE, undoing

APP, OTHER = "aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002"
GRAPH, EXCHANGE = WELL_KNOWN["microsoft_graph"], WELL_KNOWN["exchange_online"]
ROLE = "Application Mail.ReadWrite"
POLICY = Policy("policy", APP, entra_id="the group")


def told(*held: Permission, **more: object) -> list[str]:
    return [one.permission.name for one in undoing(APP, held, [ROLE], **more)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "permission",
    [
        *(Permission(GRAPH, name) for name in ("Mail.ReadWrite", "Mail.Read", "Mail.ReadBasic.All", "Calendars.Read")),
        *(Permission(GRAPH, name) for name in ("MailboxItem.Export.All", "Mail-Advanced.ReadWrite.All")),
        Permission(EXCHANGE, "full_access_as_app"),
        Permission(EXCHANGE, "an id that nobody can name"),
    ],
    ids=str,
)
def test_whatever_opens_every_mailbox_undoes_it(permission: Permission) -> None:
    (one,) = undoing(APP, [permission, permission], [ROLE])
    assert "opens every mailbox" in str(one)
    assert undoing(APP, [permission], []) == []


@pytest.mark.parametrize(
    "permission",
    [
        *(Permission(EXCHANGE, name) for name in ("IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp")),
        Permission(GRAPH, "User.Read.All"),
        Permission("another service", "Mail.Read"),
    ],
    ids=str,
)
def test_what_opens_nothing_by_itself_does_not(permission: Permission) -> None:
    assert told(permission) == []


def test_the_grant_of_smtp_takes_its_role_s_effect_away() -> None:
    (one,) = undoing(APP, [Permission(EXCHANGE, "SMTP.SendAsApp")], [SMTP_ROLE or ""])
    assert "the role does not count" in str(one)


def test_a_policy_that_limits_it_to_no_more_makes_it_harmless() -> None:
    mail = Permission(GRAPH, "Mail.Read")
    inside = {"the group": frozenset({"fax"})}.get
    assert told(mail, policies=[POLICY], inside=inside, mailboxes={"fax"}) == []
    assert told(mail, policies=[POLICY], inside=inside, mailboxes={"another"}) == ["Mail.Read"]
    # Of another application, not valid, of a group that cannot be read, or one that only denies.
    assert told(mail, policies=[Policy("policy", OTHER, entra_id="the group")], inside=inside, mailboxes={"fax"})
    assert told(mail, policies=[Policy("policy", APP, entra_id="the group", is_valid=False)], mailboxes={"fax"})
    assert told(mail, policies=[POLICY], mailboxes={"fax"}) == ["Mail.Read"]
    denies = Policy("denies", APP, access_right=DENY, entra_id="the group")
    assert told(mail, policies=[denies], inside=inside, mailboxes={"fax"}) == ["Mail.Read"]
    # No policy limits these.
    item = Permission(GRAPH, "MailboxItem.Export.All")
    assert told(item, policies=[POLICY], inside=inside, mailboxes={"fax"}) == ["MailboxItem.Export.All"]


def test_what_the_application_is_meant_to_have_is_another_model_s_business() -> None:
    mail = Permission(GRAPH, "Mail.Read")
    assert told(mail, Permission(GRAPH, "Mail.Send"), declared=[Permission(GRAPH, "mail.read")]) == ["Mail.Send"]
