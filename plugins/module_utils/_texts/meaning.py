# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a service's code means to people, and whether a text says something."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """What a code means, what to do about it, and who can."""

    meaning: str
    cure: str
    who: str = ""


def says(text: str, wordings: t.Iterable[str]) -> bool:
    """Whether ``text`` holds one of the wordings, in any case."""
    folded = text.casefold()
    return any(wording.casefold() in folded for wording in wordings)
