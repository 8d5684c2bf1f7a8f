# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Answers of Exchange's POP service. [M]: from memory, no public source."""

from __future__ import annotations

POP_MALFORMED = ("Protocol error", "Unsupported authentication mechanism")  # the second [M]
"""It did not understand what was said, so it judged nobody."""
POP_TEMPORARY = ("[SYS/TEMP]", "[IN-USE]", "[LOGIN-DELAY]")  # [M]: the codes of RFC 3206 and RFC 2449
