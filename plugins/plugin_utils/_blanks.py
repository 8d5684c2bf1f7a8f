# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a variable of an inventory says: nothing, text, or what its text stands for."""

from __future__ import annotations

import re
import typing as t

TRUE = frozenset({"true", "yes", "on", "y", "t", "1"})
FALSE = frozenset({"false", "no", "off", "n", "f", "0"})


_UNSEEN = re.compile("[\\s\u00ad\u180e\u200b-\u200f\u2060-\u2064\u3164\ufeff]*")
"""Blanks, and characters that nobody sees, as text that was copied from a page brings along."""


def blank(value: t.Any) -> bool:
    """Whether ``value`` says nothing: null, or text of blanks only. An empty list or mapping does say something."""
    return value is None or (isinstance(value, str) and _UNSEEN.fullmatch(value) is not None)


def said(value: t.Any, default: t.Any = None) -> t.Any:
    """``value`` in the type of ``default``, or ``default`` where it is blank. What cannot be read so stays as it is."""
    if blank(value):
        return default
    if isinstance(default, list):
        return listed(value)
    if isinstance(default, bool):
        truth = truth_of(value)
        return value if truth is None else truth
    if isinstance(default, int):
        number = whole(value)
        return value if number is None else number
    return value.strip() if isinstance(value, str) and value != value.strip() else value


def listed(value: t.Any) -> t.Any:
    """A list from text with commas or line breaks, as a survey has it; without blank items."""
    if isinstance(value, str):
        value = re.split(r"[,\r\n]", value)
    if not isinstance(value, list):
        return value
    return [item.strip() if isinstance(item, str) else item for item in value if not blank(item)]


def truth_of(value: t.Any) -> bool | None:
    """True or false, from every way of writing it in YAML, INI and surveys; None for anything else."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    return True if word in TRUE else False if word in FALSE else None


def whole(value: t.Any) -> int | None:
    """A whole number, from text as well; None for anything else, and for true and false."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    text = str(value).strip()
    return int(text) if re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII) else None
