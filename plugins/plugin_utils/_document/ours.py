# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What runs added to a tenant: a list of entries (see _added), merged without knowing their kinds."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _added
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID

Json = dict[str, t.Any]


def merged(before: t.Iterable[Json], added: t.Iterable[Json]) -> list[Json]:
    """Both, each entry once. What once was ours stays as it was noted first: an old value is older than a newer one."""
    found: dict[tuple[t.Any, ...], Json] = {}
    for entry in [*before, *added]:
        found.setdefault((entry["kind"], entry["of"], entry["id"]), entry)
    return sorted(found.values(), key=lambda entry: (entry["kind"], str(entry["of"]), str(entry["id"])))


def added(step: str, result: t.Mapping[str, t.Any]) -> list[Json]:
    """The entries of one step's result, with what was not known before the deed put in."""
    told = result.get("added") or []
    entries = _of_0_1_0(step, told) if isinstance(told, t.Mapping) else [dict(entry) for entry in told]
    known = known_id(result.get("app_id")) or known_id((result.get("group") or {}).get("guid"))
    filled = [
        {
            **entry,
            **{key: known for key in ("of", "id") if entry[key] == ZERO_GUID},
            **({"id": known} if entry["id"] is None else {}),
        }
        for entry in entries
    ]
    return [entry for entry in filled if entry["id"] is not None]


def upgraded(ours: t.Any) -> list[Json] | None:
    """From the two dictionaries of version 0.1.0, by application and by group."""
    if not isinstance(ours, t.Mapping):
        return ours if isinstance(ours, list) else None
    entries: list[Json] = []
    for app_id, of_it in (ours.get("applications") or {}).items():
        if of_it.get("service_principal"):
            entries.append(_added.entry("service_principal", app_id, app_id))
        entries += _added.permissions("permission", app_id, of_it.get("permissions") or [])
        entries += _added.permissions("consent", app_id, of_it.get("consent") or [])
        entries += [_added.entry("policy", app_id, group) for group in of_it.get("policies") or []]
    for group, members in (ours.get("groups") or {}).items():
        entries += [_added.entry("member", group, address) for address in members]
    return merged([], entries)


def _of_0_1_0(step: str, told: t.Mapping[str, t.Any]) -> list[Json]:
    """What modules told before they told entries."""
    app_id, group = known_id(told.get("app_id")), told.get("group")
    if step == "scope_group":
        return [_added.entry("member", group or ZERO_GUID, address) for address in told.get("members") or []]
    if app_id is None:
        return []
    if step == "access_policy":
        return [_added.entry("policy", app_id, known_id(group))] if known_id(group) else []
    principal = [_added.entry("service_principal", app_id, app_id)] if told.get("service_principal") else []
    kind = "consent" if step == "admin_consent" else "permission"
    return principal + _added.permissions(kind, app_id, told.get("permissions") or [])


def known_id(value: t.Any) -> str | None:
    """In lower case; None for nothing and for the zeros that stand for what is not known yet."""
    text = str(value or "").lower()
    return text if text and text != ZERO_GUID else None
