# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Mail clients by the names that ``mail2fax_client`` takes: which protocols they speak with a token, and how long a
token they can send. What people are told about them stands in ``plugin_utils/clients.yml``, by the same names.

All of it was measured (``tests/field/measure.py``); the guide "Field notes" has versions and dates.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

ONE, TWO = "one", "two"
"""The token goes in one line with the command, or in two steps: the command, and the text after the server asked."""


@dataclass(frozen=True)
class Client:
    """``sends``: protocol -> how the token goes. ``line``: the longest encoded sign-in text, and ``token`` the longest
    token itself, in characters, that go over whole; None where no such bound was met."""

    sends: Mapping[str, str]
    line: int | None = None
    token: int | None = None

    def sends_whole(self, length: int, mailbox: str) -> bool:
        """Whether a token of ``length`` characters arrives whole for ``mailbox``."""
        if self.token is not None and length > self.token:
            return False
        return self.line is None or encoded(length, mailbox) <= self.line

    def longest(self, mailbox: str) -> int | None:
        """The longest token that can be sent for ``mailbox``; None where no bound is known."""
        bounds = [] if self.token is None else [self.token]
        if self.line is not None:
            bounds.append(self.line // 4 * 3 - _around(mailbox))
        return min(bounds, default=None)


def encoded(length: int, mailbox: str) -> int:
    """How long the text is that XOAUTH2 makes of a token of ``length`` characters."""
    return len(base64.b64encode(bytes(_around(mailbox) + length)))


def _around(mailbox: str) -> int:
    return len(f"user={mailbox}\1auth=Bearer \1\1".encode())


CLIENTS: Mapping[str, Client] = {
    "aioimaplib": Client({"imap": ONE}),
    "curl": Client({"imap": ONE, "pop": TWO, "smtp": TWO}, line=65_500),
    "emailproxy": Client({"imap": ONE, "pop": TWO, "smtp": TWO}),
    "exchangelib": Client({"ews": ONE}),
    "getmail6": Client({"imap": TWO, "pop": TWO}),
    "go_imap": Client({"imap": ONE}),
    "go_smtp": Client({"smtp": ONE}),
    "imap_tools": Client({"imap": TWO}),
    "imapclient": Client({"imap": TWO}),
    "imapfilter": Client({"imap": ONE}),
    "imapflow": Client({"imap": ONE}),
    "imaplib": Client({"imap": TWO}),
    "mailkit": Client({"imap": ONE, "pop": TWO, "smtp": ONE}),
    "mbsync": Client({"imap": ONE}, token=8_191),
    "mpop": Client({"pop": TWO}, line=4_092),
    "msmtp": Client({"smtp": TWO}, line=4_092),
    "mutt": Client({"imap": ONE, "smtp": TWO}),
    "neomutt": Client({"imap": ONE, "smtp": ONE}, token=4_095),
    "nodemailer": Client({"smtp": ONE}),
    "offlineimap": Client({"imap": TWO}),
    "poplib": Client({"pop": TWO}),
    "sasl_xoauth2": Client({"smtp": ONE}),
    "smtplib": Client({"smtp": ONE}),
}
"""By the client's name. IMAP in one line is two steps where the server does not announce SASL-IR, for most of them."""
