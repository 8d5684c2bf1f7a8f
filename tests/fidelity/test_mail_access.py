# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in over IMAP, POP and SMTP, and how far, as clients that nobody here wrote are told."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import time
import typing as t

import imapclient.exceptions
import pytest

from tests.emulator import clients
from tests.emulator.clients import clients_can
from tests.emulator.testing import Emulator, EmulatorError, start_emulator
from tests.fidelity.mail import (
    BARE_RIGHT,
    BOTH,
    DOMAIN,
    EXCHANGE,
    FAX,
    GRANT,
    GRAPH,
    NO_POINTER,
    NOBODY,
    NOTHING,
    OTHER,
    RIGHT,
    ROLE,
    SECRET,
    SHARED,
    TENANT,
    WRONG_POINTER,
    invoke,
    tenant,
    token,
)

OFF, POOR = f"off@{DOMAIN}", f"poor@{DOMAIN}"
NOT_CONNECTED = "User is authenticated but not connected."


@pytest.fixture(scope="module")
def running() -> t.Iterator[Emulator]:
    with start_emulator({"tenants": [tenant()]}) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    return running.reset()


def imap_says(emulator: Emulator, app: str, mailbox: str) -> str:
    """``opened``, or the refusal with the command that met it."""
    try:
        with clients.imap(emulator, token(emulator, app), mailbox) as client:
            client.select("INBOX", readonly=True)
            return "opened"
    except imaplib.IMAP4.error as refusal:
        return str(refusal)


def pop_says(emulator: Emulator, app: str, mailbox: str) -> str:
    try:
        with clients.pop(emulator, token(emulator, app), mailbox) as client:
            client.stat()
            return "opened"
    except poplib.error_proto as refusal:
        return str(refusal)


def smtp_says(emulator: Emulator, app: str, mailbox: str, sender: str | None = None) -> str:
    """``sent``, or the number and the first words of the refusal, with the command that met it."""
    sender = sender or mailbox
    try:
        with clients.smtp(emulator, token(emulator, app), mailbox) as client:
            client.sendmail(sender, [FAX], f"From: {sender}\r\nSubject: x\r\n\r\ny\r\n")
            return "sent"
    except smtplib.SMTPAuthenticationError as refusal:
        return f"AUTH {refusal.smtp_code} {_text(refusal.smtp_error)}"
    except smtplib.SMTPSenderRefused as refusal:
        return f"MAIL {refusal.smtp_code} {_text(refusal.smtp_error)}"
    except smtplib.SMTPDataError as refusal:
        return f"DATA {refusal.smtp_code} {_text(refusal.smtp_error)}"


def _text(given: bytes | str) -> str:
    return given.decode() if isinstance(given, bytes) else given


# --- the table: claim, role in scope, right ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "mailbox", "imap", "pop"),
    [
        (RIGHT, FAX, "opened", "opened"),  # claim and right
        (GRANT, FAX, NOT_CONNECTED, "-ERR Logon failure"),  # claim alone
        (RIGHT, OTHER, NOT_CONNECTED, "-ERR Logon failure"),  # the right is on another mailbox
        (BARE_RIGHT, FAX, "AUTHENTICATE failed.", "-ERR Authentication failure"),  # right alone
        (ROLE, FAX, "AUTHENTICATE failed.", "-ERR Authentication failure"),  # there is no role for IMAP
        (NO_POINTER, FAX, "AUTHENTICATE failed.", "-ERR Authentication failure"),
        (WRONG_POINTER, FAX, "AUTHENTICATE failed.", "-ERR Authentication failure"),
        (NOTHING, FAX, "AUTHENTICATE failed.", "-ERR Authentication failure"),
        (RIGHT, NOBODY, "AUTHENTICATE failed.", "-ERR Authentication failure"),
        (RIGHT, f"telefax@{DOMAIN}", "AUTHENTICATE failed.", "-ERR Authentication failure"),  # not its primary address
        (RIGHT, OFF, "AUTHENTICATE failed.", "-ERR Authentication failure"),  # switched off for the mailbox
        (RIGHT, POOR, NOT_CONNECTED, "-ERR Logon failure"),  # no licence
    ],
)
def test_imap_and_pop_want_the_permission_and_the_right(
    emulator: Emulator, app: str, mailbox: str, imap: str, pop: str
) -> None:
    assert imap in imap_says(emulator, app, mailbox)
    assert pop in pop_says(emulator, app, mailbox)


@pytest.mark.parametrize(
    ("app", "mailbox", "sender", "said"),
    [
        (ROLE, FAX, FAX, "sent"),  # no claim, role in scope
        (ROLE, FAX, OTHER, "DATA 554 5.2.252 SendAsDenied; fax@contoso.onmicrosoft.com not allowed to send as other@"),
        (ROLE, OTHER, OTHER, "AUTH 535 5.7.3 Authentication unsuccessful ["),  # out of scope
        (NOTHING, FAX, FAX, "AUTH 535 5.7.3"),
        (RIGHT, FAX, FAX, "sent"),  # claim and right
        (RIGHT, FAX, OTHER, "DATA 554 5.2.252 SendAsDenied"),
        (RIGHT, OTHER, OTHER, "DATA 430 4.2.0 STOREDRV; mailbox logon failure"),  # claim, no right there
        (BOTH, FAX, FAX, "DATA 430 4.2.0"),  # with the claim in the token the role counts for nothing
        (BARE_RIGHT, FAX, FAX, "AUTH 535 5.7.3"),
        (WRONG_POINTER, FAX, FAX, "AUTH 535 5.7.3"),
        (NO_POINTER, FAX, FAX, "AUTH 535 5.7.3"),
        (RIGHT, NOBODY, NOBODY, "AUTH 535 5.7.3"),
        (
            RIGHT,
            OFF,
            OFF,
            "AUTH 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
        ),
        (
            RIGHT,
            SHARED,
            SHARED,
            "AUTH 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
        ),
    ],
)
def test_smtp_goes_by_the_role_or_by_the_claim_and_the_right(
    emulator: Emulator, app: str, mailbox: str, sender: str, said: str
) -> None:
    assert smtp_says(emulator, app, mailbox, sender).startswith(said)


def test_a_right_to_send_as_somebody_is_another_right(emulator: Emulator) -> None:
    invoke(emulator, "Add-RecipientPermission", Identity=OTHER, Trustee=RIGHT, AccessRights=["SendAs"], Confirm=False)
    assert smtp_says(emulator, RIGHT, FAX, OTHER) == "sent"
    assert NOT_CONNECTED in imap_says(emulator, RIGHT, OTHER)  # and it reads nothing


def test_a_denial_wins_over_a_right(emulator: Emulator) -> None:
    rights = {"Identity": FAX, "User": RIGHT, "AccessRights": ["FullAccess"]}
    invoke(emulator, "Add-MailboxPermission", **rights, Deny=True)
    assert NOT_CONNECTED in imap_says(emulator, RIGHT, FAX)


def test_rights_are_by_sid_so_a_pointer_made_anew_has_none(emulator: Emulator) -> None:
    (pointer,) = invoke(emulator, "Get-ServicePrincipal", Identity=RIGHT)
    invoke(emulator, "Remove-ServicePrincipal", Identity=RIGHT, Confirm=False)
    assert "AUTHENTICATE failed." in imap_says(emulator, RIGHT, FAX)
    invoke(emulator, "New-ServicePrincipal", AppId=RIGHT, ObjectId=pointer["ObjectId"], DisplayName="Fax")
    assert NOT_CONNECTED in imap_says(emulator, RIGHT, FAX)


def test_the_mailbox_value_wins_over_the_organization_both_ways(emulator: Emulator) -> None:
    invoke(emulator, "Set-CASMailbox", Identity=FAX, SmtpClientAuthenticationDisabled=None)
    assert "5.7.139" in smtp_says(emulator, RIGHT, FAX)
    assert "for the Tenant" in smtp_says(emulator, RIGHT, FAX)
    invoke(emulator, "Set-CASMailbox", Identity=FAX, SmtpClientAuthenticationDisabled=False)
    assert smtp_says(emulator, RIGHT, FAX) == "sent"
    invoke(emulator, "Set-CASMailbox", Identity=FAX, ImapEnabled=False)
    assert imap_says(emulator, RIGHT, FAX) == "AUTHENTICATE failed."
    assert pop_says(emulator, RIGHT, FAX) == "opened"


# --- the token --------------------------------------------------------------------------------------------------------


def test_audiences(emulator: Emulator) -> None:
    accepted = (
        EXCHANGE,
        "https://outlook.office.com",
        "https://ps.outlook.com",
        "00000002-0000-0ff1-ce00-000000000000",
    )
    for audience in accepted:
        assert clients_can(emulator, token(emulator, RIGHT, audience), FAX) == clients.ALL, audience
    assert clients_can(emulator, token(emulator, RIGHT, GRAPH), FAX) == frozenset()


def test_a_token_that_has_run_out_or_is_none(emulator: Emulator) -> None:
    held = token(emulator, RIGHT)
    emulator.clock(seconds=3700)
    assert clients_can(emulator, held, FAX) == frozenset()
    assert clients_can(emulator, "not-a-token", FAX) == frozenset()
    assert clients_can(emulator, token(emulator, RIGHT), FAX) == clients.ALL


def test_unmodified_clients_read_and_send_for_the_one_mailbox(emulator: Emulator) -> None:
    right, role = token(emulator, RIGHT), token(emulator, ROLE)
    assert clients_can(emulator, right, FAX) == clients.ALL
    assert clients_can(emulator, role, FAX) == {"smtplib"}
    for mailbox in (OTHER, SHARED):
        assert clients_can(emulator, right, mailbox) == clients_can(emulator, role, mailbox) == frozenset()
    assert {m["mailbox"] for m in emulator.state(TENANT)["messages"]} == {FAX}


def test_mailboxes_are_watched_while_something_goes_on(emulator: Emulator) -> None:
    def newest() -> str:
        return emulator.app_token(TENANT, RIGHT)

    with clients.watched(emulator, newest, [OTHER]) as opened:
        time.sleep(0.5)
    assert opened == []
    with clients.watched(emulator, newest, [OTHER]) as opened:
        invoke(emulator, "Add-MailboxPermission", Identity=OTHER, User=RIGHT, AccessRights=["FullAccess"])
    assert f"{OTHER}: imaplib" in opened
    with pytest.raises(EmulatorError, match="there is no such"):
        emulator.app_token(TENANT, "00000000-0000-4000-8000-000000000000")


@pytest.mark.parametrize("size", [1500, 4096])
def test_long_tokens(size: int) -> None:
    with start_emulator({"tenants": [tenant(switches={"token_bytes": size})]}) as emulator:
        held = token(emulator, RIGHT)
        assert size - 8 <= len(held) <= size + 8
        assert clients_can(emulator, held, FAX) == clients.ALL


# --- later than configured --------------------------------------------------------------------------------------------


def test_roles_come_into_force_and_out_of_it_when_the_caches_know() -> None:
    with start_emulator({"tenants": [tenant()]}, profile="realistic") as emulator:
        assign = {
            "Name": "late",
            "Role": "Application SMTP.SendAsApp",
            "App": NO_POINTER,
            "CustomResourceScope": "Fax scope",
        }
        (app,) = [sp for sp in emulator.state(TENANT)["servicePrincipals"] if sp["appId"] == NOTHING]
        invoke(emulator, "New-ServicePrincipal", AppId=NOTHING, ObjectId=app["id"])
        emulator.clock(seconds=30)
        invoke(emulator, "New-ManagementRoleAssignment", **{**assign, "App": NOTHING})
        assert smtp_says(emulator, NOTHING, FAX).startswith("AUTH 535 5.7.3")
        emulator.clock(seconds=7201)
        assert smtp_says(emulator, NOTHING, FAX) == "sent"
        invoke(emulator, "Remove-ManagementRoleAssignment", Identity="late", Confirm=False)
        assert smtp_says(emulator, NOTHING, FAX) == "sent"
        emulator.clock(seconds=7201)
        assert smtp_says(emulator, NOTHING, FAX).startswith("AUTH 535 5.7.3")


def test_scopes_and_their_members_are_in_force_when_the_caches_know() -> None:
    with start_emulator({"tenants": [tenant()]}, profile="realistic") as emulator:
        joins = {"Identity": "fax-group", "Member": OTHER, "BypassSecurityGroupManagerCheck": True}
        invoke(emulator, "Add-DistributionGroupMember", **joins)
        emulator.clock(seconds=60)
        assert smtp_says(emulator, ROLE, OTHER).startswith("AUTH 535 5.7.3")
        emulator.clock(seconds=7201)
        assert smtp_says(emulator, ROLE, OTHER) == "sent"
        narrow = f"PrimarySmtpAddress -eq '{FAX}'"
        invoke(emulator, "Set-ManagementScope", Identity="Fax scope", RecipientRestrictionFilter=narrow)
        assert smtp_says(emulator, ROLE, OTHER) == "sent"
        emulator.clock(seconds=7201)
        assert smtp_says(emulator, ROLE, OTHER).startswith("AUTH 535 5.7.3")


def test_a_stale_answer_lives_as_long_as_somebody_keeps_asking() -> None:
    with start_emulator({"tenants": [tenant(switches={"rbac_cache": True})]}) as emulator:
        assert smtp_says(emulator, ROLE, OTHER).startswith("AUTH 535")
        joins = {"Identity": "fax-group", "Member": OTHER, "BypassSecurityGroupManagerCheck": True}
        invoke(emulator, "Add-DistributionGroupMember", **joins)
        for _attempt in range(5):
            emulator.clock(seconds=1200)
            assert smtp_says(emulator, ROLE, OTHER).startswith("AUTH 535")
        emulator.clock(seconds=1801)  # half an hour of silence
        assert smtp_says(emulator, ROLE, OTHER) == "sent"


def test_rights_may_come_into_force_later() -> None:
    with start_emulator({"tenants": [tenant(switches={"right_in_force_s": 900})]}) as emulator:
        assert imap_says(emulator, RIGHT, FAX) == "opened"  # what the file says is old
        invoke(
            emulator,
            "Add-MailboxPermission",
            Identity=OTHER,
            User=RIGHT,
            AccessRights=["FullAccess"],
            AutoMapping=False,
        )
        assert NOT_CONNECTED in imap_says(emulator, RIGHT, OTHER)
        emulator.clock(seconds=901)
        assert imap_says(emulator, RIGHT, OTHER) == "opened"


# --- where services differ --------------------------------------------------------------------------------------------


def test_switches_of_the_refusals() -> None:
    switches = {
        "imap_without_right": "NO",
        "imap_off": "not_connected",
        "send_as_refused_at": "mail",
        "sign_in_by_alias": True,
    }
    with start_emulator({"tenants": [tenant(switches=switches)]}) as emulator:
        assert imap_says(emulator, GRANT, FAX) == "AUTHENTICATE failed."
        assert imap_says(emulator, RIGHT, OFF) == NOT_CONNECTED
        assert imap_says(emulator, RIGHT, f"telefax@{DOMAIN}") == "opened"
        assert smtp_says(emulator, RIGHT, FAX, OTHER).startswith(
            "MAIL 550 5.7.60 SMTP; Client does not have permissions"
        )


@pytest.mark.parametrize(("form", "state"), [("NO", "NO"), ("long", "BAD")])
def test_not_connected_has_other_forms(form: str, state: str) -> None:
    with (
        start_emulator({"tenants": [tenant(switches={"not_connected_form": form})]}) as emulator,
        clients.imap(emulator, token(emulator, GRANT), FAX) as client,
    ):
        tag = client._new_tag()  # type: ignore[attr-defined]
        client.send(tag + b" NAMESPACE\r\n")
        line = client.readline()
        assert line.startswith(tag + f" {state} {NOT_CONNECTED}".encode())
        assert (FAX.encode() in line) is (form == "long")


def test_the_second_command_ends_a_connection_that_is_not_connected(emulator: Emulator) -> None:
    with clients.imap_client(emulator, token(emulator, GRANT), FAX) as client:
        with pytest.raises(imapclient.exceptions.IMAPClientError, match="not connected"):
            client.select_folder("INBOX", readonly=True)
        assert b"BACKENDAUTHENTICATE" in client.capabilities()  # which needs no mailbox
        with pytest.raises(imapclient.exceptions.IMAPClientError, match="not connected"):
            client.namespace()
        with pytest.raises((imapclient.exceptions.IMAPClientAbortError, OSError)):
            client.namespace()
    rows = [(row["path"], row["status"]) for row in emulator.journal() if row["method"] == "IMAP"]
    assert [status for path, status in rows if path != "CAPABILITY"] == ["OK", "BAD", "BAD"]


def test_the_long_lived_states_of_other_clouds() -> None:
    """A tenant of GCC High: its own hosts and the tokens for them."""
    with start_emulator({"tenants": [tenant(cloud="gcc_high")]}) as emulator, emulator.session() as session:
        answer = session.post(
            f"https://login.microsoftonline.us/{TENANT}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": RIGHT,
                "client_secret": SECRET,
                "scope": "https://outlook.office365.us/.default",
            },
            timeout=30,
        ).json()
        assert clients_can(emulator, answer["access_token"], FAX) == clients.ALL
