# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""How long the application's own tokens were seen to live: kept only where it is longer than tokens usually do."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import token_life

Json = dict[str, t.Any]


def longer(known: t.Any, seen: t.Any) -> dict[str, int]:
    """Minutes by the resource's well-known name: the longest of ``known`` (the same shape) and ``seen`` (the entries
    ``{resource, minutes}`` of a proof). What a token lived once, another may live that nobody saw."""
    found = {str(name): minutes for name, minutes in (known or {}).items() if isinstance(minutes, int)}
    for row in seen or ():
        name, minutes = str(row.get("resource")), int(row.get("minutes") or 0)
        usual = token_life.LIFE.get(_permissions.WELL_KNOWN.get(name, name), token_life.OTHER_LIFE)
        if dt.timedelta(minutes=minutes) > usual:
            found[name] = max(minutes, found.get(name, 0))
    return dict(sorted(found.items()))


def by_resource(known: t.Any) -> dict[str, dt.timedelta]:
    """The same by application id, as ``token_life.tokens_until`` takes it."""
    return {
        _permissions.WELL_KNOWN.get(name, name): dt.timedelta(minutes=minutes)
        for name, minutes in longer(known, ()).items()
    }
