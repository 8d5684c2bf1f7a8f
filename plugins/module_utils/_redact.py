# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The live secrets of a task."""

from __future__ import annotations


class Secrets:
    """What was issued, minted or read and must never be shown: tokens, assertions, forms' secrets, stored values."""

    def __init__(self) -> None:
        self.values: set[str] = set()

    def add(self, value: str | None) -> None:
        """One more; empty ones are none."""
        if value:
            self.values.add(value)
