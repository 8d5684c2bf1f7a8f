# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent one way is there to be read every other way."""

from __future__ import annotations

import email.message
import typing as t

import exchangelib
import exchangelib.errors
import exchangelib.protocol
import exchangelib.version
import pytest

from tests.emulator import clients
from tests.emulator.testing import Emulator, start_emulator
from tests.fidelity.mail import DOMAIN, FAX, GRAPH, OTHER, RIGHT, ROLE, SCOPED, SECRET, TENANT, WIDE, tenant, token

# Given to a client that is refused: it would wrap the refusal of its question for the version.
KNOWN = exchangelib.Version(build=exchangelib.version.EXCHANGE_O365)


@pytest.fixture(scope="module")
def running() -> t.Iterator[Emulator]:
    with start_emulator({"tenants": [tenant()]}) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Emulator]:
    for name, value in running.env().items():
        monkeypatch.setenv(name, value)
    running.reset()
    yield running
    exchangelib.protocol.close_connections()
    exchangelib.protocol.CachingProtocol.clear_cache()


def account(app: str, address: str, *, version: exchangelib.Version | None = None) -> exchangelib.Account:
    credentials = exchangelib.OAuth2Credentials(
        client_id=app,
        client_secret=SECRET,
        tenant_id=TENANT,
        identity=exchangelib.Identity(primary_smtp_address=address),
    )
    return exchangelib.Account(
        primary_smtp_address=address,
        access_type=exchangelib.IMPERSONATION,
        autodiscover=False,
        config=exchangelib.Configuration(
            server="outlook.office365.com", credentials=credentials, auth_type=exchangelib.OAUTH2, version=version
        ),
    )


def by_imap(emulator: Emulator) -> list[str]:
    with clients.imap_client(emulator, token(emulator, RIGHT), FAX) as client:
        client.select_folder("INBOX", readonly=True)
        held = client.fetch(client.search(["ALL"]), ["ENVELOPE", "RFC822"])
        return [message[b"ENVELOPE"].subject.decode() for message in held.values()]


def by_pop(emulator: Emulator) -> list[str]:
    with clients.pop(emulator, token(emulator, RIGHT), FAX) as client:
        count, _size = client.stat()
        texts = [b"\r\n".join(client.retr(number + 1)[1]) for number in range(count)]
    return [email.message_from_bytes(text)["Subject"] for text in texts]


def by_graph(emulator: Emulator) -> list[str]:
    with emulator.session() as session:
        answer = session.get(
            f"{GRAPH}/v1.0/users/{FAX}/mailFolders/inbox/messages?$orderby=receivedDateTime",
            headers={"Authorization": f"Bearer {token(emulator, WIDE, GRAPH)}"},
            timeout=30,
        )
    return [one["subject"] for one in answer.json()["value"]]


def by_ews(emulator: Emulator) -> list[str]:
    return [str(item.subject) for item in account(WIDE, FAX).inbox.all()]


def in_state(emulator: Emulator) -> list[str]:
    return [m["subject"] for m in emulator.state(TENANT)["messages"] if (m["mailbox"], m["folder"]) == (FAX, "inbox")]


def send_by_smtp(emulator: Emulator, subject: str) -> None:
    with clients.smtp(emulator, token(emulator, ROLE), FAX, initial=False) as client:
        message = email.message.EmailMessage()
        message["From"], message["To"], message["Subject"] = FAX, f"fax-group@{DOMAIN}, {FAX}", subject
        message.set_content("Page 1\n.\n.. and more\n")
        message.add_attachment(b"%PDF-1.7 \x00\xff", maintype="application", subtype="pdf", filename="page.pdf")
        assert client.send_message(message) == {}


def send_by_graph(emulator: Emulator, subject: str) -> None:
    message = {"subject": subject, "toRecipients": [{"emailAddress": {"address": FAX}}], "body": {"content": "Page 1"}}
    with emulator.session() as session:
        answer = session.post(
            f"{GRAPH}/v1.0/users/{FAX}/sendMail",
            json={"message": message, "saveToSentItems": False},
            headers={"Authorization": f"Bearer {token(emulator, SCOPED, GRAPH)}"},
            timeout=30,
        )
    assert answer.status_code == 202


def send_by_ews(emulator: Emulator, subject: str) -> None:
    exchangelib.Message(account=account(WIDE, FAX), subject=subject, body="Page 1", to_recipients=[FAX]).send()


def test_whatever_is_sent_is_read_by_every_protocol(emulator: Emulator) -> None:
    """Each once, though a recipient is named twice; in the order in which it came."""
    for number, send in enumerate((send_by_smtp, send_by_graph, send_by_ews)):
        send(emulator, f"Fäx {number}")
    wanted = ["Fäx 0", "Fäx 1", "Fäx 2"]
    assert in_state(emulator) == by_graph(emulator) == wanted
    assert sorted(by_ews(emulator)) == wanted
    decoded = [str(email.header.make_header(email.header.decode_header(s))) for s in by_imap(emulator)]
    assert decoded == wanted
    assert len(by_pop(emulator)) == 3


def test_a_message_arrives_byte_by_byte(emulator: Emulator) -> None:
    send_by_smtp(emulator, "Whole")
    with clients.imap_client(emulator, token(emulator, RIGHT), FAX) as client:
        client.select_folder("INBOX")
        (held,) = client.fetch(client.search(["SUBJECT", "Whole"]), ["BODY.PEEK[]", "RFC822.SIZE", "FLAGS"]).values()
    raw = held[b"BODY[]"]
    assert (len(raw), held[b"FLAGS"]) == (held[b"RFC822.SIZE"], ())
    message = email.message_from_bytes(raw, policy=email.policy.default)
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == "Page 1\n.\n.. and more\n"
    (attachment,) = message.iter_attachments()
    assert attachment.get_content() == b"%PDF-1.7 \x00\xff"


def test_imapclient_keeps_a_mailbox(emulator: Emulator) -> None:
    for number in range(3):
        send_by_smtp(emulator, f"Fax {number}")
    with clients.imap_client(emulator, token(emulator, RIGHT), FAX) as client:
        names = [name for _flags, _delimiter, name in client.list_folders()]
        assert {"INBOX", "Sent Items", "Deleted Items"} <= set(names)
        client.select_folder("INBOX")
        first, second, third = client.search()
        assert client.search(["UNSEEN"]) == [first, second, third]
        client.fetch([first], ["RFC822", "BODY[]"])
        assert client.search(["UNSEEN"]) == [second, third]  # what was fetched is read
        assert client.search(["SUBJECT", "fax 2"]) == [third]
        assert client.search(["HEADER", "From", FAX]) == [first, second, third]
        assert client.search(["SINCE", "01-Jan-2020", "NOT", "SUBJECT", "Fax 1"]) == [first, third]
        client.add_flags([first], [b"\\Flagged"])
        assert b"\\Flagged" in client.get_flags([first])[first]
        client.move([second], "Archive")
        client.copy([third], "Drafts")
        client.append("Sent Items", b"Subject: Appended\r\n\r\nx\r\n", flags=[b"\\Seen"])
        client.delete_messages([first])
        client.expunge([first])
        assert client.search() == [third]
        status = client.folder_status("Archive", ["MESSAGES", "UNSEEN"])
        assert (status[b"MESSAGES"], status[b"UNSEEN"]) == (1, 1)
        assert client.id_({"name": "test"})
        client.unselect_folder()
        client.noop()
    held = [(m["folder"], m["subject"]) for m in emulator.state(TENANT)["messages"]]
    assert sorted(held) == [
        *[("archive", "Fax 1"), ("drafts", "Fax 2"), ("inbox", "Fax 2"), ("sentitems", "Appended")],
    ]


def test_an_open_folder_hears_what_comes_and_goes(emulator: Emulator) -> None:
    """By IDLE and by NOOP; until then every message keeps its number."""
    with clients.imap_client(emulator, token(emulator, RIGHT), FAX) as client:
        client.select_folder("INBOX")
        assert client.idle() is None
        send_by_smtp(emulator, "First")
        assert (1, b"EXISTS") in client.idle_check(timeout=10)
        client.idle_done()
        send_by_smtp(emulator, "Second")
        assert (2, b"EXISTS") in client.noop()[1]
        with clients.pop(emulator, token(emulator, RIGHT), FAX) as other:
            other.dele(1)
            other.quit()
        client.use_uid = False
        assert client.fetch([2], ["ENVELOPE"])[2][b"ENVELOPE"].subject == b"Second"
        assert (1, b"EXPUNGE") in client.noop()[1]
        assert client.fetch([1], ["ENVELOPE"])[1][b"ENVELOPE"].subject == b"Second"


def test_parts_of_a_message(emulator: Emulator) -> None:
    send_by_smtp(emulator, "Parts")
    with clients.imap_client(emulator, token(emulator, RIGHT), FAX) as client:
        client.select_folder("INBOX", readonly=True)
        (uid,) = client.search()
        asked = [
            "BODYSTRUCTURE",
            "BODY[1]",
            "BODY[2.MIME]",
            "BODY[TEXT]",
            "BODY[HEADER.FIELDS (SUBJECT)]",
            "BODY[]<0.10>",
        ]
        (held,) = client.fetch([uid], asked).values()
        assert held[b"BODYSTRUCTURE"].is_multipart
        assert held[b"BODY[1]"].startswith(b"Page 1")
        assert b"page.pdf" in held[b"BODY[2.MIME]"]
        assert held[b"BODY[HEADER.FIELDS (SUBJECT)]"] == b"Subject: Parts\r\n\r\n"
        assert len(held[b"BODY[]<0>"]) == 10
        assert client._imap.list('""', '""')[1] == [b'(\\Noselect \\HasChildren) "/" ""']


def test_pop_deletes_at_its_end_only(emulator: Emulator) -> None:
    for number in range(2):
        send_by_smtp(emulator, f"Fax {number}")
    with clients.pop(emulator, token(emulator, RIGHT), FAX) as client:
        client.dele(1)
        client.rset()
        client.dele(2)
        assert len(client.uidl()[1]) == 1
    assert len(in_state(emulator)) == 2  # a connection that is cut deletes nothing
    with clients.pop(emulator, token(emulator, RIGHT), FAX) as client:
        client.dele(2)
        client.quit()
    assert in_state(emulator) == ["Fax 0"]


def test_reset_and_rset_send_nothing(emulator: Emulator) -> None:
    with clients.smtp(emulator, token(emulator, ROLE), FAX) as client:
        assert client.mail(FAX)[0] == client.rcpt(OTHER)[0] == 250
        assert client.rset()[0] == 250
    assert in_state(emulator) == []
    send_by_smtp(emulator, "Gone")
    emulator.reset()
    assert in_state(emulator) == []


def test_messages_are_kept_in_the_state_file(tmp_path: t.Any) -> None:
    for attempt in range(2):
        with start_emulator({"tenants": [tenant()]}, state=tmp_path / "state.sqlite") as emulator:
            assert len(in_state(emulator)) == attempt
            send_by_smtp(emulator, f"Fax {attempt}")
            emulator.kill()


# --- EWS by the role --------------------------------------------------------------------------------------------------


def test_ews_is_opened_by_the_role_within_its_scope(emulator: Emulator) -> None:
    send_by_ews(emulator, "Fax")
    assert [item.subject for item in account(SCOPED, FAX).inbox.all()] == ["Fax"]
    with pytest.raises(exchangelib.errors.ErrorAccessDenied):
        account(SCOPED, OTHER, version=KNOWN).inbox.refresh()
    (item,) = account(SCOPED, FAX).inbox.all()
    assert (item.text_body or item.body or "").strip() == "Page 1"
    item.delete()
    assert in_state(emulator) == []
