# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The proof by POP: sign in with XOAUTH2 in two steps, and ask how many messages there are. Nothing is removed."""

from __future__ import annotations

import contextlib
import poplib
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._dial import Line
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
    REFUSED,
    Opening,
)


class _Client(poplib.POP3):
    """poplib's own, on a connection that is there."""

    def __init__(self, line: Line) -> None:
        self._line = line
        super().__init__(line.host, line.port)

    def _create_socket(self, timeout: float | None) -> t.Any:
        return self._line.sock

    def say(self, text: str) -> str:
        """One line, and the one that answers it, whatever it is. Raises EOFError."""
        try:
            answer = self._shortcmd(text)  # type: ignore[attr-defined]
        except poplib.error_proto as exc:
            answer = exc.args[0] if exc.args else b""
        words = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
        if words == "-ERR EOF":
            raise EOFError
        return words


class Pop(MailProof):
    """Mailboxes by POP."""

    protocol: t.ClassVar[str] = "pop"
    needs_role: t.ClassVar[str | None] = "POP.AccessAsApp"
    service: t.ClassVar[str] = "POP"
    opened_by: t.ClassVar[str] = (
        "switch POP on for the mailbox (exchange_mailbox_protocols, or mail2fax_protocols_opt_in: true); such a change "
        "takes up to an hour"
    )
    broken = (poplib.error_proto, OSError, EOFError)

    def _attempt(self, token: Token, address: str) -> Opening:
        with self._line() as line:
            try:
                client = _Client(line)
            except poplib.error_proto as exc:
                not_throttled(str(exc))
                raise
            answer = client.say("AUTH XOAUTH2")
            if answer.startswith("+") and not answer.startswith("+OK"):
                answer = client.say(xoauth2(address, token))
            if answer.startswith("+") and not answer.startswith("+OK"):
                # A challenge that tells an error: an empty line brings the refusal itself.
                answer = client.say("")
            opening = judge("AUTH", answer)
            if opening.verdict == OPENED:
                opening = judge("STAT", client.say("STAT"))
            with contextlib.suppress(poplib.error_proto, OSError, EOFError):
                client.quit()
            return opening


def judge(command: str, answer: str) -> Opening:
    """The verdict of an answer: only ``+OK`` is one of success. Raises Later."""
    if answer.startswith("+OK"):
        return Opening(OPENED)
    not_throttled(answer)
    if _texts.says(answer, _texts.POP_TEMPORARY):
        raise Later(reason(answer))
    said, code = f"{command}: {reason(answer)}", answer.split(" ")[0][:8] or None
    if _texts.says(answer, _texts.POP_MALFORMED) or not answer.startswith("-ERR"):
        return Opening(OTHER, said, code)
    return Opening(REFUSED if command == "AUTH" else NO_PERMISSION, said, code)
