# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Answers of Exchange's IMAP service. [M]: from memory, no public source."""

from __future__ import annotations

import re

IMAP_NOT_CONNECTED = ("authenticated but not connected",)
"""The token is good, the mailbox does not open: no FullAccess, or IMAP is off for it, or another mailbox is meant."""
IMAP_MALFORMED = ("Command Argument Error", "Command Error", "Protocol Error")  # the last two [M]
"""It did not understand what was said, so it judged nobody."""
MAIL_THROTTLED = ("Request is throttled", "Server Unavailable", "Server Busy")  # the last two [M]
MAIL_BACK_OFF = re.compile(r"Suggested Backoff Time:\s*(\d{1,9})\s*milliseconds", re.IGNORECASE)
