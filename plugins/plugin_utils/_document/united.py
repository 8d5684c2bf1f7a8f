# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Two records of one tenant, of runs that did not know of each other, as one that forgets nothing.

What stands is what was written last by whoever was in time. What only the other one knows joins it: what it added to
things of others (``ours``), how things were found, and which ids it met. Without that nobody could take it back.
"""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import ours

Json = dict[str, t.Any]

FOUND_ONCE = ("ews_found", "made_by", "accepted", "migration", "removing")
"""What a run notes once: it stands in one of them, or in both alike."""

LATEST = ("tokens_until", "ews_in_force_by", "proof_by")
"""Instants until which something has to wait: the later one is right for both."""


def united(theirs: Json, mine: Json) -> Json:
    """The record that stands after both. Where the other run removed everything, what this one made is there."""
    if not theirs or theirs.get("state") == "removed":
        base, other = mine, theirs
    else:
        base, other = theirs, mine
    found = dict(base)
    lists = [part["ours"] for part in (base, other) if part.get("ours") is not None]
    if lists:
        found["ours"] = ours.merged([], [entry for part in lists for entry in part])
    if other.get("state") != "removed":
        for name in FOUND_ONCE:
            if not found.get(name) and other.get(name):
                found[name] = other[name]
        ids = {name: value for name, value in (other.get("ids") or {}).items() if value}
        found["ids"] = {**ids, **{name: value for name, value in (found.get("ids") or {}).items() if value}} or None
    for name in LATEST:
        ends = [str(part[name]) for part in (base, other) if part.get(name)]
        if ends:
            found[name] = max(ends)
    return found
