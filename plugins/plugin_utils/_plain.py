# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Values as they would come out of a pipe."""

from __future__ import annotations

import datetime as dt
import json
import typing as t
from collections.abc import Mapping


def plain(value: t.Any) -> t.Any:
    """``value`` in JSON's own types, as a module's process would get it.

    What a task or a filter gets from ansible-core carries tags, or is rendered only when it is looked at: copying that
    costs hundreds of times what copying the values does.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {key_of(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    # Text that is no str, such as a decrypted !vault value of ansible-core 2.18.
    return str(value)


def key_of(key: t.Any) -> str:
    """A key as JSON writes it."""
    if isinstance(key, str):
        return str.__str__(key)
    return json.dumps(key) if isinstance(key, (bool, int, float)) or key is None else str(key)
