# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The proof by IMAP: sign in with XOAUTH2, and open the inbox for reading.

A sign-in proves nothing of the right on the mailbox: Exchange says that it is missing at the next command. Mailboxes
that work answer so now and then, and work again on a new connection: so such an answer is heard twice.
"""

from __future__ import annotations

import base64
import contextlib
import imaplib
import re
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._dial import Line
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.mail import (
    MailProof,
    not_throttled,
    reason,
    xoauth2,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.proof import (
    NO_PERMISSION,
    OPENED,
    OTHER,
    REFUSED,
    Found,
    Letter,
    Opening,
)

_BAD = re.compile(r"\w+ command error: (?P<type>[A-Z]+) \[b?(?P<quote>['\"])(?P<text>.*)(?P=quote)\]", re.DOTALL)


class _Client(imaplib.IMAP4):
    """imaplib's own, on a connection that is there."""

    def __init__(self, line: Line) -> None:
        self._line = line
        super().__init__(line.host, line.port)

    def _create_socket(self, timeout: float | None) -> t.Any:
        return self._line.sock


class _Refusal(Exception):
    """A command that was answered NO or BAD."""

    def __init__(self, command: str, kind: str, text: str) -> None:
        super().__init__(text)
        self.command, self.kind, self.text = command, kind, text


class Imap(MailProof):
    """Mailboxes by IMAP."""

    protocol: t.ClassVar[str] = "imap"
    needs_role: t.ClassVar[str | None] = "IMAP.AccessAsApp"
    service: t.ClassVar[str] = "IMAP"
    opened_by: t.ClassVar[str] = (
        "switch IMAP on for the mailbox (exchange_mailbox_protocols, or mail2fax_protocols_opt_in: true); such a "
        "change takes up to an hour"
    )
    reads: t.ClassVar[bool] = True
    broken = (imaplib.IMAP4.abort, OSError, EOFError)

    def _attempt(self, token: Token, address: str) -> Opening:
        for last in (False, True):
            try:
                with self._signed_in(token, address) as client:
                    _select(client, readonly=True)
                return Opening(OPENED)
            except _Refusal as refusal:
                opening = judge(refusal.command, refusal.kind, refusal.text)
            if opening.verdict != NO_PERMISSION or last:
                break
        return opening

    def take(self, token: Token, letter: Letter) -> Found:
        """Look for the letter in the inbox, and remove it if it is there."""
        found = Found(False)

        def attempt() -> Opening:
            nonlocal found
            try:
                with self._signed_in(token, letter.address) as client:
                    _select(client, readonly=False)
                    found = _take(client, letter)
            except _Refusal as refusal:
                found = Found(False, reason=reason(refusal.text))
            return Opening(OPENED)

        self._patiently(f"look for the message in {letter.address} by IMAP", attempt)
        return found

    @contextlib.contextmanager
    def _signed_in(self, token: Token, address: str) -> t.Iterator[imaplib.IMAP4]:
        """Raises _Refusal where Exchange does not let it in."""
        with self._line() as line:
            try:
                client = _Client(line)
            except imaplib.IMAP4.abort:
                raise
            except imaplib.IMAP4.error as exc:
                not_throttled(str(exc))
                raise imaplib.IMAP4.abort(str(exc)) from None
            answers = iter([base64.b64decode(xoauth2(address, token))])
            # After the token there may be a challenge that tells an error: an empty line brings the refusal itself.
            _command(client, "AUTHENTICATE", lambda: client.authenticate("XOAUTH2", lambda _said: next(answers, b"")))
            try:
                yield client
            except imaplib.IMAP4.abort:
                raise
            except imaplib.IMAP4.error as exc:
                raise imaplib.IMAP4.abort(str(exc)) from None
            with contextlib.suppress(imaplib.IMAP4.error, OSError, EOFError):
                client.logout()


def judge(command: str, kind: str, text: str) -> Opening:
    """The verdict of an answer NO or BAD to ``command``. Raises Later."""
    not_throttled(text)
    said = f"{command}: {kind} {reason(text)}"
    if _texts.says(text, _texts.IMAP_NOT_CONNECTED):
        return Opening(NO_PERMISSION, said, kind)
    if command == "AUTHENTICATE" and not _texts.says(text, _texts.IMAP_MALFORMED):
        return Opening(REFUSED, said, kind)
    return Opening(OTHER, said, kind)


def _command(client: imaplib.IMAP4, name: str, run: t.Callable[[], tuple[str, t.Any]]) -> t.Any:
    """The data of a command that was done. imaplib raises for BAD, and after AUTHENTICATE for NO as well."""
    try:
        kind, data = run()
    except imaplib.IMAP4.readonly as exc:  # which is an abort as well
        raise _Refusal(name, "OK", str(exc)) from None
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as exc:
        bad = _BAD.fullmatch(str(exc))
        raise _Refusal(name, bad["type"] if bad else "NO", bad["text"] if bad else str(exc)) from None
    if kind != "OK":
        raise _Refusal(
            name, kind, b" ".join(item for item in data if isinstance(item, bytes)).decode("utf-8", "replace")
        )
    return data


def _select(client: imaplib.IMAP4, *, readonly: bool) -> None:
    _command(client, "EXAMINE" if readonly else "SELECT", lambda: client.select("INBOX", readonly=readonly))


def _take(client: imaplib.IMAP4, letter: Letter) -> Found:
    # A message that Graph sent has an id of Exchange's own.
    wanted = ("OR", "HEADER", "Message-ID", f'"{letter.message_id}"', "SUBJECT", f'"{letter.mark}"')
    data = _command(client, "SEARCH", lambda: client.uid("SEARCH", *wanted))
    uids = (data[0] or b"").decode("ascii", "replace").split() if data else []
    if not uids:
        return Found(False)
    named = ",".join(uids)
    if "UIDPLUS" not in client.capabilities:
        # A plain EXPUNGE would also take what somebody else has marked.
        return Found(True, reason="the service does not remove single messages (no UIDPLUS)")
    _command(client, "STORE", lambda: client.uid("STORE", named, "+FLAGS.SILENT", r"(\Deleted)"))
    _command(client, "EXPUNGE", lambda: client.uid("EXPUNGE", named))
    return Found(True, gone=True)
