# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The proof by SMTP submission: STARTTLS, sign in with XOAUTH2, name sender and recipient, and take it all back.

What a sign-in means depends on the token. Without the permission in it, Exchange looks at the roles (RBAC for
Applications) when one signs in, so a sign-in is an opening. With it, anybody signs in, and rights on the mailbox are
looked at when a message is handed over: a dry run ends with ``signed_in``, and only a message that is sent proves more.
"""

from __future__ import annotations

import contextlib
import email.policy
import re
import smtplib
import typing as t
from email.message import EmailMessage

from ansible_collections.mail2fax.m365.plugins.module_utils import _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._dial import Line
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.mail import (
    Later,
    MailProof,
    not_throttled,
    reason,
    xoauth2,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.proof import (
    NO_PERMISSION,
    OPENED,
    OTHER,
    PROTOCOL_OFF_MAILBOX,
    PROTOCOL_OFF_TENANT,
    REFUSED,
    SIGNED_IN,
    UNSURE,
    Letter,
    Opening,
)

_TAIL = re.compile(r"\s*\[([^\[\]]+)\]\s*$")
"""Server, time and id of a reply: for Microsoft's support, and another one each time."""
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")


class _Client(smtplib.SMTP):
    """smtplib's own, on a connection that is there."""

    def __init__(self, line: Line) -> None:
        self._line = line
        # Without a name of its own it would look this machine's up, which may take long.
        super().__init__(line.host, line.port, local_hostname="[127.0.0.1]")

    def _get_socket(self, host: str, port: int, timeout: float | None) -> t.Any:
        return self._line.sock


class Smtp(MailProof):
    """Mailboxes by SMTP submission."""

    protocol: t.ClassVar[str] = "smtp"
    needs_role: t.ClassVar[str | None] = "SMTP.SendAsApp"
    service: t.ClassVar[str] = "SMTP AUTH"
    opened_by: t.ClassVar[str] = (
        "switch SMTP AUTH on for the mailbox (exchange_mailbox_protocols, or mail2fax_protocols_opt_in: true), which "
        "wins over the tenant's own switch; such a change takes up to an hour"
    )
    sends: t.ClassVar[bool] = True

    def _attempt(self, token: Token, address: str) -> Opening:
        return self._session(token, address, None)

    def send(self, token: Token, letter: Letter) -> Opening:
        """Send the letter, once. Raises Unreachable and AnswerLost."""
        return self._patiently(
            f"send a message as {letter.address} by {self.service}",
            lambda: self._session(token, letter.address, letter),
        )

    def _session(self, token: Token, address: str, letter: Letter | None) -> Opening:
        stage, handed_over = "the greeting", False
        client: _Client | None = None
        with self._line(encrypted=False) as line:
            try:
                client = _Client(line)
                stage = "EHLO"
                _expect(client.ehlo(), 250)
                stage = "STARTTLS"
                client.starttls(context=t.cast("t.Any", line))
                stage = "EHLO"
                _expect(client.ehlo(), 250)
                stage = "AUTH"
                _expect(_sign_in(client, xoauth2(address, token)), _texts.SMTP_SIGNED_IN)
                plain = address.isascii() or not client.has_extn("smtputf8")
                stage = "MAIL FROM"
                _expect(client.mail(address, () if plain else ("SMTPUTF8",)), 250)
                stage = "RCPT TO"
                _expect(client.rcpt(address), 250, 251)
                if letter is not None:
                    stage, handed_over = "DATA", True
                    _expect(client.data(compose(letter)), 250)
                else:
                    stage = "RSET"
                    _expect(client.rset(), 250)
            except smtplib.SMTPNotSupportedError:
                offer = "STARTTLS" if stage == "STARTTLS" else "XOAUTH2"
                return Opening(
                    OTHER,
                    f"{self._host}:{self._port} does not offer {offer}, so no token was sent to it: something on the "
                    "way may have taken the offer out",
                )
            except smtplib.SMTPResponseException as exc:
                opening = judge(stage, exc.smtp_code, exc.smtp_error)
                _quit(client)
                return opening
            except (smtplib.SMTPServerDisconnected, OSError) as exc:
                if not handed_over:
                    raise
                lost = self._lost(line, exc)
                return Opening(
                    OTHER,
                    f"{lost.message}, after the message was handed over: whether it was sent is unknown",
                    UNSURE,
                )
            _quit(client)
        if letter is None and self.needs_role in token.roles:
            return Opening(SIGNED_IN)
        return Opening(OPENED)


def judge(stage: str, code: int, text: str | bytes) -> Opening:
    """The verdict of a reply that is not the one hoped for. Raises Later, and AnswerLost for what is no reply."""
    words = reason(text)
    tail = _TAIL.search(words)
    found, words = _ENHANCED.match(words), _TAIL.sub("", words)
    enhanced = found[1] if found else ""
    said, told, request_id = f"{stage}: {code} {words}", enhanced or str(code), tail[1] if tail else None

    def opening(verdict: str, why: str = said) -> Opening:
        return Opening(verdict, why, told, request_id)

    if code == -1:
        raise AnswerLost(f"the answer to {stage} is not one of SMTP")
    if _texts.says(words, _texts.SMTP_OFF_MAILBOX):
        return opening(PROTOCOL_OFF_MAILBOX)
    if _texts.says(words, _texts.SMTP_OFF_TENANT):
        return opening(PROTOCOL_OFF_TENANT)
    if enhanced in _texts.SMTP_NO_RIGHT or _texts.says(words, _texts.SMTP_NO_RIGHT_WORDING):
        return opening(NO_PERMISSION)
    if code == 535 or (stage == "AUTH" and enhanced in _texts.SMTP_REFUSED):
        return opening(REFUSED)
    limit = _texts.SMTP_LIMITS.get(enhanced)
    if limit is not None:
        return opening(OTHER, f"{limit.meaning} ({said}); {limit.cure}")
    not_throttled(words)
    if code in _texts.SMTP_LATER:
        raise Later(said)
    return opening(OTHER)


def compose(letter: Letter) -> bytes:
    """The message as it is sent."""
    message = EmailMessage()
    message["From"] = letter.address
    message["To"] = letter.address
    message["Subject"] = letter.subject
    message["Message-ID"] = letter.message_id
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(letter.text)
    return message.as_bytes(policy=email.policy.SMTP if letter.address.isascii() else email.policy.SMTPUTF8)


def _sign_in(client: smtplib.SMTP, encoded: str) -> tuple[int, bytes]:
    if "XOAUTH2" not in str(client.esmtp_features.get("auth", "")).upper().split():
        raise smtplib.SMTPNotSupportedError("XOAUTH2")
    code, text = client.docmd("AUTH", f"XOAUTH2 {encoded}")
    if code == 334 and not text.strip():
        code, text = client.docmd(encoded)  # it did not take the token with the command
    if code == 334:
        # A challenge that tells an error: an empty line brings the refusal itself.
        code, text = client.docmd("")
    return code, text


def _expect(reply: tuple[int, bytes], *codes: int) -> None:
    if reply[0] not in codes:
        raise smtplib.SMTPResponseException(*reply)


def _quit(client: smtplib.SMTP | None) -> None:
    if client is not None:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            client.quit()
