# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Replies of Exchange's SMTP submission. [M]: from memory, no public source."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._texts.meaning import Meaning

SMTP_SIGNED_IN = 235
"""Nothing else is a sign-in: Python's smtplib also lets 503 pass."""
SMTP_OFF_MAILBOX = ("SmtpClientAuthentication is disabled for the Mailbox",)
SMTP_OFF_TENANT = (
    "SmtpClientAuthentication is disabled for the Tenant",
    "security defaults policy",  # seen with passwords; of a token nobody told
)
SMTP_REFUSED = frozenset({"5.7.3", "5.7.139"})
"""Enhanced codes of a sign-in that is refused, with 535."""
SMTP_NO_RIGHT = frozenset({"5.7.60", "5.2.252"})
SMTP_NO_RIGHT_WORDING = ("SendAsDenied", "mailbox logon failure", "MapiExceptionLogonFailed")
"""Also with 430 4.2.0, which looks like *later* and never heals: no FullAccess on the mailbox one signed in as."""
SMTP_LATER = frozenset({421, 432, 450, 451, 452, 454})
SMTP_LIMITS: t.Mapping[str, Meaning] = {
    "5.1.90": Meaning(
        "the mailbox has reached its limit of recipients for today", "wait a day", "an Exchange Administrator"
    ),
    "5.7.233": Meaning(
        "the tenant has reached its limit of external recipients for today", "wait a day", "an Exchange Administrator"
    ),
    "5.7.708": Meaning(
        "Exchange takes no mail from this tenant or this network address (often so in trial tenants)",
        "ask Microsoft's support to let the tenant send",
        "an Exchange Administrator",
    ),
    "5.7.750": Meaning(
        "the tenant sends from a domain that is not registered in it",
        "add the domain to the tenant",
        "an Exchange Administrator",
    ),
    "5.2.270": Meaning("the message is larger than the mailbox may send", "raise MaxSendSize of the mailbox", ""),
}
"""Limits of the tenant, which say nothing of the application. The first and the fourth [M]."""
