# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail clients that nobody here wrote, unmodified, against the emulator's listeners.

    assert clients_can(emulator, token, "fax@contoso.com") == {"imaplib", "IMAPClient", "smtplib"}

They know no proxy, so they go to the ports on loopback; the certificate there is good for localhost.
"""

from __future__ import annotations

import base64
import contextlib
import imaplib
import poplib
import smtplib
import ssl
import threading
import typing as t
import uuid

import imapclient

from .testing import Emulator

TIMEOUT_S: t.Final = 30
ALL: t.Final = frozenset({"imaplib", "IMAPClient", "poplib", "smtplib"})


def xoauth2(user: str, token: str) -> str:
    return f"user={user}\1auth=Bearer {token}\1\1"


def trust(emulator: Emulator) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=emulator.ca)


@contextlib.contextmanager
def imap(emulator: Emulator, token: str, user: str) -> t.Iterator[imaplib.IMAP4_SSL]:
    """Signed in by imaplib. Raises imaplib.IMAP4.error."""
    client = imaplib.IMAP4_SSL("localhost", emulator.ports["imap"], ssl_context=trust(emulator), timeout=TIMEOUT_S)
    with _shut_down(client):
        client.authenticate("XOAUTH2", lambda _challenge: xoauth2(user, token).encode())
        yield client


@contextlib.contextmanager
def imap_client(emulator: Emulator, token: str, user: str) -> t.Iterator[t.Any]:
    """Signed in by IMAPClient. Raises imapclient.exceptions.LoginError and others of IMAPClientError."""
    client = imapclient.IMAPClient(
        "localhost", emulator.ports["imap"], ssl=True, ssl_context=trust(emulator), timeout=TIMEOUT_S
    )
    with _shut_down(client):
        client.oauth2_login(user, token)
        yield client


@contextlib.contextmanager
def pop(emulator: Emulator, token: str, user: str) -> t.Iterator[poplib.POP3_SSL]:
    """Signed in by poplib. Raises poplib.error_proto."""
    client = poplib.POP3_SSL("localhost", emulator.ports["pop"], context=trust(emulator), timeout=TIMEOUT_S)
    with contextlib.closing(client):
        client._shortcmd("AUTH XOAUTH2")  # type: ignore[attr-defined]
        answer = client._shortcmd(base64.b64encode(xoauth2(user, token).encode()).decode())  # type: ignore[attr-defined]
        if not answer.startswith(b"+OK"):
            raise poplib.error_proto(answer)
        yield client


@contextlib.contextmanager
def smtp(emulator: Emulator, token: str, user: str, *, initial: bool = True) -> t.Iterator[smtplib.SMTP]:
    """Signed in by smtplib. Raises smtplib.SMTPAuthenticationError."""
    with smtplib.SMTP("localhost", emulator.ports["smtp"], timeout=TIMEOUT_S) as client:
        client.starttls(context=trust(emulator))
        client.ehlo()
        client.auth("XOAUTH2", lambda _challenge=None: xoauth2(user, token), initial_response_ok=initial)
        yield client


@contextlib.contextmanager
def _shut_down(client: t.Any) -> t.Iterator[None]:
    """(``close`` is a command of IMAP.)"""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            client.shutdown()


def clients_can(emulator: Emulator, token: str, mailbox: str, *, send: bool = True) -> frozenset[str]:
    """The names of the clients that can read the mailbox (imaplib, IMAPClient, poplib) or send as it (smtplib).

    What is sent goes to the mailbox itself, and has to be there afterwards. ``send`` False leaves smtplib out.
    """
    attempts = {"imaplib": _imaplib, "IMAPClient": _imapclient, "poplib": _poplib, "smtplib": _smtplib}
    if not send:
        del attempts["smtplib"]
    return frozenset(name for name, attempt in attempts.items() if attempt(emulator, token, mailbox))


@contextlib.contextmanager
def watched(
    emulator: Emulator, token: t.Callable[[], str | None], mailboxes: t.Sequence[str], *, every_s: float = 0.2
) -> t.Iterator[list[str]]:
    """Try mailboxes that must stay closed, in a thread, for as long as the block lasts: the list tells what was opened.

    ``token`` is asked anew each time, and may say None: there is none yet. Every token that was got is tried on.
    """
    opened: list[str] = []
    got: list[str] = []
    over = threading.Event()

    def look() -> None:
        newest = token()
        if newest is not None:
            got.append(newest)
        for held in got[-3:] + got[:1]:
            for mailbox in mailboxes:
                opened.extend(f"{mailbox}: {name}" for name in clients_can(emulator, held, mailbox))

    def keep_looking() -> None:
        while not over.wait(every_s):
            look()

    thread = threading.Thread(target=keep_looking, daemon=True)
    thread.start()
    try:
        yield opened
    finally:
        over.set()
        thread.join()
        look()


def _imaplib(emulator: Emulator, token: str, mailbox: str) -> bool:
    try:
        with imap(emulator, token, mailbox) as client:
            return client.select("INBOX", readonly=True)[0] == "OK"
    except imaplib.IMAP4.error:
        return False


def _imapclient(emulator: Emulator, token: str, mailbox: str) -> bool:
    try:
        with imap_client(emulator, token, mailbox) as client:
            return b"EXISTS" in client.select_folder("INBOX", readonly=True)
    except imapclient.exceptions.IMAPClientError:
        return False


def _poplib(emulator: Emulator, token: str, mailbox: str) -> bool:
    try:
        with pop(emulator, token, mailbox) as client:
            return len(client.stat()) == 2
    except poplib.error_proto:
        return False


def _smtplib(emulator: Emulator, token: str, mailbox: str) -> bool:
    subject = f"clients_can {uuid.uuid4()}"
    try:
        with smtp(emulator, token, mailbox) as client:
            client.sendmail(mailbox, [mailbox], f"From: {mailbox}\r\nTo: {mailbox}\r\nSubject: {subject}\r\n\r\nx\r\n")
    except smtplib.SMTPException:
        return False
    tenants = emulator.state()["tenants"].values()
    return any(message["subject"] == subject for tenant in tenants for message in tenant["messages"])
