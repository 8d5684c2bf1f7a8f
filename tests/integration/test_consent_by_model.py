# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""entra_admin_consent where rights on mailboxes limit an application, where a role stands for a permission, and where
nothing limits it."""

from __future__ import annotations

import typing as t

import pytest

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.exchange_admin import admin
from tests.integration.harness import run, writes
from tests.integration.mail_rights import APP, CONTROL, FAX, HELP, SCAN, TENANTS

IMAP = {"id": "imap", "protocol": "imap", "permissions": ["IMAP.AccessAsApp"], "scoping": "mailbox_permission"}
SMTP = {"id": "smtp", "protocol": "smtp", "permissions": ["SMTP.SendAsApp"], "scoping": "mailbox_permission"}
SMTP_ROLE = {**SMTP, "scoping": "application_role", "roles": ["Application SMTP.SendAsApp"]}
MAIL_ROLE = {"id": "mail", "protocol": "graph", "permissions": ["Mail.Read"], "scoping": "application_role"}
WIDE = {**MAIL_ROLE, "scoping": "tenant_wide"}
BOTH = [{"resource": "exchange_online", "application": ["IMAP.AccessAsApp", "SMTP.SendAsApp"]}]
ONLY_IMAP = [{"resource": "exchange_online", "application": ["IMAP.AccessAsApp"]}]
ONLY_SMTP = [{"resource": "exchange_online", "application": ["SMTP.SendAsApp"]}]
MAIL = [{"resource": "microsoft_graph", "application": ["Mail.Read"]}]
WORDS = "Board decision 12 of May"


@pytest.fixture(scope="module")
def running() -> t.Iterator[Emulator]:
    with start_emulator(TENANTS) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    return running.reset()


def rights(emulator: Emulator, *mailboxes: str, **options: t.Any) -> dict[str, t.Any]:
    """The rights are given; what the consent has to be told of them."""
    given = run("exchange_mailbox_permission", {"app_id": APP, "mailboxes": list(mailboxes), **options}, emulator)
    assert not given.get("failed"), given
    return {"mailboxes": list(mailboxes), "sid": given["sid"], "send_as": options.get("send_as", False)}


def consent(emulator: Emulator, permissions: list[t.Any], accesses: list[t.Any] | None, **options: t.Any):
    emulator.clear_journal()
    params = {"app_id": APP, "permissions": permissions, "extra_permissions": [], "patience": 1, **options}
    if accesses is not None:
        params["accesses"] = accesses
    return run("entra_admin_consent", params, emulator)


def refused(emulator: Emulator, *args: t.Any, **options: t.Any) -> dict[str, t.Any]:
    result = consent(emulator, *args, **options)
    assert (result["outcome"], result["changed"]) == ("blocked", False), result
    assert writes(emulator) == []
    return result


def exposed(emulator: Emulator, *declared: str) -> list[dict[str, t.Any]]:
    return emulator.exposures(app_id=APP, declared=declared)


# ---- rights on mailboxes --------------------------------------------------------------------------------------------


def test_rights_stand_before_the_consent_is_given(emulator: Emulator):
    limits = rights(emulator, FAX, SCAN, send_as=True)
    result = consent(emulator, BOTH, [IMAP, SMTP], limited_by=limits)
    assert result["outcome"] == "changed"
    assert result["granted"][0]["application"] == ["IMAP.AccessAsApp", "SMTP.SendAsApp"]
    assert exposed(emulator, FAX, SCAN) == []
    assert consent(emulator, BOTH, [IMAP, SMTP], limited_by=limits)["outcome"] == "ok"


def test_a_right_that_went_meanwhile(emulator: Emulator):
    limits = rights(emulator, FAX, SCAN, send_as=True)
    admin(emulator, "Remove-RecipientPermission", Identity=SCAN, Trustee=APP, AccessRights=["SendAs"])
    stopped = refused(emulator, BOTH, [IMAP, SMTP], limited_by=limits)
    assert f"still to do: give the application SendAs on {SCAN}" in stopped["msg"]
    assert stopped["error"]["who"] == "an Exchange Administrator"


@pytest.mark.parametrize("right", ["SendAs", "FullAccess"])
def test_a_right_that_came_meanwhile(emulator: Emulator, right: str):
    limits = rights(emulator, FAX, send_as=True)
    if right == "SendAs":
        admin(emulator, "Add-RecipientPermission", Identity=CONTROL, Trustee=APP, AccessRights=[right])
    else:
        admin(emulator, "Add-MailboxPermission", Identity=CONTROL, User=APP, AccessRights=[right])
    stopped = refused(emulator, BOTH, [IMAP, SMTP], limited_by={**limits, "candidates": [CONTROL]})
    assert f"{CONTROL} ({right})" in stopped["msg"]
    assert exposed(emulator, FAX) == []
    kept = consent(emulator, BOTH, [IMAP, SMTP], limited_by={**limits, "candidates": [CONTROL], "keep_rights": True})
    assert kept["outcome"] == "changed"


def test_a_pointer_made_anew_meanwhile(emulator: Emulator):
    limits = rights(emulator, FAX)
    [pointer] = admin(emulator, "Get-ServicePrincipal", Identity=APP)
    admin(emulator, "Remove-ServicePrincipal", Identity=APP)
    assert "does not know the application" in refused(emulator, ONLY_IMAP, [IMAP], limited_by=limits)["msg"]
    admin(emulator, "New-ServicePrincipal", AppId=APP, ObjectId=pointer["ObjectId"], DisplayName="x")
    assert "by now" in refused(emulator, ONLY_IMAP, [IMAP], limited_by=limits)["msg"]


def test_a_mailbox_that_is_gone(emulator: Emulator):
    limits = rights(emulator, FAX)
    stopped = refused(emulator, ONLY_IMAP, [IMAP], limited_by={**limits, "mailboxes": [FAX, "nobody@contoso.com"]})
    assert "nobody@contoso.com is not a recipient" in stopped["msg"]


def test_both_limits_are_looked_at(emulator: Emulator):
    """Rights for IMAP, and a policy for Graph, in one profile."""
    limits = {**rights(emulator, FAX), "group": "fax.scope"}
    mixed = [IMAP, {**MAIL_ROLE, "scoping": "application_access_policy"}]
    assert "scope group" in refused(emulator, [*ONLY_IMAP, *MAIL], mixed, limited_by=limits)["msg"]
    group = {"name": "Fax scope", "alias": "fax.scope", "members": [FAX], "owners": []}
    run("exchange_security_group", group, emulator)
    assert "no access policy" in refused(emulator, [*ONLY_IMAP, *MAIL], mixed, limited_by=limits)["msg"]
    run("exchange_application_access_policy", {"app_id": APP, "group": "fax.scope"}, emulator)
    admin(emulator, "Remove-MailboxPermission", Identity=FAX, User=APP, AccessRights=["FullAccess"])
    assert "FullAccess" in refused(emulator, [*ONLY_IMAP, *MAIL], mixed, limited_by=limits)["msg"]
    rights(emulator, FAX)
    assert consent(emulator, [*ONLY_IMAP, *MAIL], mixed, limited_by=limits)["outcome"] == "changed"
    assert exposed(emulator, FAX) == []


def test_a_person_is_asked_to_grant_only_where_the_rights_stand(emulator: Emulator):
    limits = rights(emulator, FAX)
    asked = consent(emulator, ONLY_IMAP, [IMAP], limited_by=limits, consent="by_hand")
    assert (asked["outcome"], "What limits the application stands" in asked["pending"]) == ("pending", True)
    admin(emulator, "Remove-MailboxPermission", Identity=FAX, User=APP, AccessRights=["FullAccess"])
    refused(emulator, ONLY_IMAP, [IMAP], limited_by=limits, consent="by_hand")


@pytest.mark.parametrize(
    ("limits", "words"),
    [({"mailboxes": [FAX]}, "neither a group nor a sid"), ({"sid": "S-1-5-21-1"}, "a sid and no mailboxes")],
)
def test_limits_that_say_nothing(emulator: Emulator, limits: dict[str, t.Any], words: str):
    assert words in consent(emulator, ONLY_IMAP, [IMAP], limited_by=limits)["msg"]


# ---- what may be granted --------------------------------------------------------------------------------------------


def test_what_a_role_stands_for_is_never_granted(emulator: Emulator):
    limits = rights(emulator, FAX)
    stopped = refused(emulator, BOTH, [IMAP, SMTP_ROLE], limited_by=limits)
    assert "SMTP.SendAsApp must not be granted in Entra" in stopped["msg"]
    made = run(
        "entra_application",
        {"app_id": APP, "permissions": BOTH, "accesses": [IMAP, SMTP_ROLE], "adopting": True},
        emulator,
    )
    assert (made["outcome"], "must not be granted" in made["msg"]) == ("blocked", True)
    assert consent(emulator, ONLY_IMAP, [IMAP, SMTP_ROLE], limited_by=limits)["outcome"] == "changed"


def test_what_was_granted_beside_a_role_is_named(emulator: Emulator):
    consent(emulator, ONLY_SMTP, None, extra_permissions=["SMTP.SendAsApp"])
    limits = rights(emulator, FAX)
    told = consent(emulator, ONLY_IMAP, [IMAP, SMTP_ROLE], limited_by=limits)
    assert "holds SMTP.SendAsApp in Entra, beside an application role" in told["warnings"][0]
    assert len(told["warnings"]) == 1
    mended = consent(emulator, ONLY_IMAP, [IMAP, SMTP_ROLE], limited_by=limits, exclusive=True)
    assert mended["revoked"][0]["application"] == ["SMTP.SendAsApp"]


def test_a_grant_that_nothing_limits_stops_the_run(emulator: Emulator):
    consent(emulator, MAIL, None)
    limits = rights(emulator, FAX)
    stopped = refused(emulator, ONLY_IMAP, [IMAP], limited_by=limits)
    assert "holds Mail.Read in Entra, which nobody declared and nothing limits" in stopped["msg"]
    meant = consent(emulator, ONLY_IMAP, [IMAP], limited_by=limits, extra_permissions=["Mail.Read"])
    assert meant["outcome"] == "changed"
    mended = consent(emulator, ONLY_IMAP, [IMAP], limited_by=limits, exclusive=True)
    assert mended["revoked"][0]["application"] == ["Mail.Read"]


@pytest.mark.parametrize("name", ["IMAP.AccessAsApp", "SMTP.SendAsApp", "Mail.Read"])
def test_what_no_access_declares_is_beyond(emulator: Emulator, name: str):
    resource = "microsoft_graph" if name.startswith("Mail") else "exchange_online"
    other = {**MAIL_ROLE, "scoping": "application_access_policy"} if name != "Mail.Read" else IMAP
    wanted = [{"resource": resource, "application": [name]}]
    stopped = refused(emulator, wanted, [other])
    assert f"no scoping model of a declared access limits {name}" in stopped["msg"]
    # Without accesses only access policies count, as before there were other models.
    if name != "Mail.Read":
        assert f"no application access policy limits {name}" in refused(emulator, wanted, None)["msg"]


def test_nothing_limits_it_only_with_words(emulator: Emulator):
    stopped = refused(emulator, MAIL, [WIDE])
    assert "nothing limits Mail.Read" in stopped["msg"]
    assert "accept_tenant_wide" in stopped["error"]["cure"]
    for short in ("true", "yes"):
        assert "says too little" in consent(emulator, MAIL, [WIDE], accept_tenant_wide=short)["msg"]
    accepted = consent(emulator, MAIL, [WIDE], accept_tenant_wide=WORDS)
    assert accepted["outcome"] == "changed"
    assert accepted["warnings"] == [
        f"Nothing limits the application: it may open every mailbox of the tenant. Accepted: {WORDS}"
    ]
    again = consent(emulator, MAIL, [WIDE], accept_tenant_wide=WORDS)
    assert (again["outcome"], again["warnings"]) == ("ok", accepted["warnings"])


def test_words_accept_nothing_but_what_an_access_says(emulator: Emulator):
    wanted = [{"resource": "microsoft_graph", "application": ["Mail.Read", "Directory.ReadWrite.All"]}]
    stopped = refused(emulator, wanted, [WIDE], accept_tenant_wide=WORDS)
    assert "Directory.ReadWrite.All" in stopped["msg"]
    assert HELP not in stopped["msg"]
