# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What has to be a dictionary or a list in a record, so that nothing stumbles over it after the tenant was changed."""

from __future__ import annotations

import typing as t

_DICTIONARIES = (
    "tenant",
    "ids",
    "application",
    "group",
    "secret",
    "removing",
    "accepted",
    "ews_found",
    "profile",
    "token_lives",
    "migration",
)
_LISTS: dict[str, tuple[str, ...]] = {
    "steps": ("step", "outcome"),
    "mailboxes": ("mailbox", "expected", "verdict"),
    "pending": ("step", "until"),
    "credentials": (),
}
"""Lists of dictionaries, and what each entry has to have."""
_OURS = ("kind", "of", "id")
_PERMISSION = ("resource", "type", "name")
_TEXTS = {
    "tenant": ("id", "domain", "name"),
    "ids": ("application_id", "application_object_id", "service_principal_id", "group"),
    "secret": ("key_id", "end_date_time", "previous_until"),
    "removing": ("since", "until"),
    "accepted": ("of",),
}


def wrong(document: t.Mapping[str, t.Any]) -> str:
    """The first entry of a record (of today's schema) that is not what it should be, in a few words; empty: none."""
    for key in _DICTIONARIES:
        value = document.get(key)
        if value is None:
            continue
        if not isinstance(value, t.Mapping):
            return f"{key} is not a dictionary"
        for name in _TEXTS.get(key, ()):
            if not isinstance(value.get(name), str | None):
                return f"{key}.{name} is not text"
    for key, needed in _LISTS.items():
        if not _entries(document.get(key), needed):
            return f"{key} is not a list of what a run writes there"
    if not _entries(document.get("ours"), _OURS) or not all(map(_whole, document.get("ours") or [])):
        return "ours is not a list of what a run writes there"
    accepted = document.get("accepted")
    if accepted is not None and not ("of" in accepted and _entries(accepted.get("credentials", 0), ())):
        return "accepted.credentials is not a list of what a run writes there"
    return ""


def _entries(value: t.Any, needed: t.Iterable[str]) -> bool:
    """Whether it is nothing, or a list of dictionaries with what they need."""
    return value is None or (
        isinstance(value, list)
        and all(isinstance(entry, t.Mapping) and all(name in entry for name in needed) for entry in value)
    )


def _whole(entry: t.Mapping[str, t.Any]) -> bool:
    permission = entry["kind"] in ("permission", "consent")
    return (
        isinstance(entry["kind"], str)
        and isinstance(entry["of"], str | None)
        and isinstance(entry["id"], str)
        and (not permission or all(isinstance(entry.get(name), str) for name in _PERMISSION))
    )
