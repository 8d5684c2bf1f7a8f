# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who belongs together beside the groups that Exchange keeps: administrative units, groups of Microsoft 365, of Entra.

Kept in ``settings``: ``administrative_units`` has ``items``, by id, of ``name`` and ``members`` (Guids of recipients);
``unified_groups`` has ``items``, by the Guid of the group's own recipient, of ``members`` and ``owners`` (Guids);
``entra_groups`` has ``items``, by id, of ``name``, ``members`` (object ids) and ``directory_roles`` (template ids).
"""

from __future__ import annotations

import typing as t
import uuid

from .exchange_directory import by_address
from .model import Document, Tenant

UNIT: t.Final = "unit:"
"""How ``_scope`` of a role assignment begins that is limited to an administrative unit; its id follows."""


def units(tenant: Tenant) -> dict[str, Document]:
    return dict((tenant.settings.get("administrative_units") or {}).get("items", {}))


def unified(tenant: Tenant) -> dict[str, Document]:
    return dict((tenant.settings.get("unified_groups") or {}).get("items", {}))


def entra_groups(tenant: Tenant) -> dict[str, Document]:
    return dict((tenant.settings.get("entra_groups") or {}).get("items", {}))


def roles_of(tenant: Tenant, principal: Document) -> list[str]:
    """Template ids of the directory roles of a service principal, its own and those of its groups."""
    held = list(principal.get("_directory_roles", []))
    for group in entra_groups(tenant).values():
        held += group["directory_roles"] if principal["id"] in group["members"] else []
    return list(dict.fromkeys(held))


def memberships(tenant: Tenant) -> dict[str, list[str]]:
    """By Guid: the distinguished names of the groups, those of Microsoft 365 included, that it is directly in."""
    found: dict[str, list[str]] = {}
    holders = [(group, group["_members"]) for group in tenant.groups.values()]
    holders += [
        (tenant.mailboxes[guid], one["members"]) for guid, one in unified(tenant).items() if guid in tenant.mailboxes
    ]
    for holder, members in holders:
        for guid in members:
            found.setdefault(guid, []).append(holder["DistinguishedName"])
    return found


def unit_named(tenant: Tenant, name: str) -> str | None:
    """The id of an administrative unit, by id or name."""
    wanted = name.lower()
    return next((key for key, unit in units(tenant).items() if wanted in (key, str(unit["name"]).lower())), None)


def build(tenant: Tenant, entries: t.Iterable[Document], groups: t.Iterable[Document]) -> None:
    """From the tenants file: ``administrative_units`` (``name``, ``id``, ``members``) and the ``groups``, among which
    are those of Microsoft 365. Raises ValueError for an address that nobody has."""
    items = {}
    for entry in entries:
        key = str(entry.get("id") or uuid.uuid5(uuid.UUID(tenant.id), f"administrative unit:{entry['name']}")).lower()
        items[key] = {"name": str(entry["name"]), "members": _guids(tenant, entry.get("members") or [])}
    tenant.settings["administrative_units"] = {"items": items}
    circles = {}
    for entry in groups:
        if entry.get("type") == "GroupMailbox" and (entry.get("members") or entry.get("managed_by")):
            own = next(
                one
                for one in tenant.mailboxes.values()
                if one["RecipientTypeDetails"] == "GroupMailbox" and one["DisplayName"] == entry["name"]
            )
            circles[own["Guid"]] = {
                "members": _guids(tenant, entry.get("members") or []),
                "owners": _guids(tenant, entry.get("managed_by") or []),
            }
    tenant.settings["unified_groups"] = {"items": circles}


def _guids(tenant: Tenant, addresses: t.Iterable[str]) -> list[str]:
    found = []
    for address in addresses:
        one = by_address(tenant, address)
        if one is None:
            raise ValueError(f"there is nobody with the address {address}")
        found.append(str(one["Guid"]))
    return found
