# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that a store has to give back as they are."""

from __future__ import annotations

import random
import string

NASTY = "~+/.=-$'\"\\"


def values() -> list[str]:
    """Secrets of 16 to 64 characters: each nasty character alone, at both ends and among others; and what other
    formats would read something into."""
    dice = random.Random(816)
    found = [character * length for character in NASTY for length in (16, 64)]
    for length in (*range(16, 65, 4), 17, 63):
        body = "".join(dice.choice(NASTY + string.ascii_letters + string.digits) for _position in range(length))
        found += [body, f"{dice.choice(NASTY)}{body[2:]}{dice.choice(NASTY)}"]
    return [
        *found,
        NASTY * 6,
        "abc8Q~" + "x" * 34,
        "{{ lookup('env', 'HOME') }}",
        "!vault | $ANSIBLE_VAULT;1.1",
        "$ANSIBLE_VAULT;1.1;AES256",
        "%2B%2F%7E+%20%%%%",
        "0123456789012345",
        "1234567890123e45",
        "0x1234567890abcd",
        "yes: no # null ~ ",
        " leading, trailing ",
        "- a\\n- b\\\\n- \\u0041",
        "''''''''\"\"\"\"\"\"\"\"",
        "&anchor *alias |>",
        "äöüß€ßüöä漢字漢字漢字",
    ]


VALUES = values()
