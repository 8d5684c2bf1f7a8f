# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchange's role groups, of which applications may be members as well as people."""

from __future__ import annotations

import typing as t

from . import exchange_rbac
from .exchange_cmdlets import SIZE, TEXT, VIEW, Call, _cmdlet, _cut, _missing
from .exchange_directory import ORGANIZATION_MANAGEMENT, is_admin, organizational_unit
from .exchange_directory import TEXTS as DIRECTORY_TEXTS
from .model import Document, Tenant

ROLES: t.Final[dict[str, list[str]]] = exchange_rbac.TEXTS["role_groups"]
"""By role group: the roles that it has from the start [M]."""


def role_groups(tenant: Tenant) -> list[Document]:
    """``name``, ``roles`` and ``members`` (object ids of service principals) of all there are."""
    made = {str(one["name"]): one for one in (tenant.settings.get("role_groups") or {}).get("items", [])}
    names = dict.fromkeys([*DIRECTORY_TEXTS["role_groups"], *made])
    return [
        {
            "name": name,
            "roles": list((made.get(name) or {}).get("roles") or ROLES.get(name) or []),
            "members": list((made.get(name) or {}).get("members") or []),
        }
        for name in names
    ]


@_cmdlet("Get-RoleGroup", VIEW, Identity=TEXT, ResultSize=SIZE)
def _get_role_group(call: Call) -> list[Document]:
    wanted = (call.given.get("Identity") or "").lower()
    found = [one for one in role_groups(call.tenant) if wanted in ("", str(one["name"]).lower())]
    if wanted and not found:
        raise _missing(call.given["Identity"])
    return _cut(call, [_shown(call.tenant, one) for one in found])


def _shown(tenant: Tenant, group: Document) -> Document:
    """Applications are printed by the Name of their pointer [M], people by theirs."""
    pointers = {one["ObjectId"]: one["Name"] for one in tenant.exchange_service_principals.values()}
    people = [one["Name"] for one in tenant.mailboxes.values() if is_admin(one)]
    return {
        "Name": group["name"],
        "Identity": group["name"],
        "DisplayName": group["name"],
        "Roles": list(group["roles"]),
        "RoleAssignments": [f"{role}-{group['name']}" for role in group["roles"]],
        "ManagedBy": [f"{organizational_unit(tenant)}/{ORGANIZATION_MANAGEMENT}"],
        "Members": [
            *(people if group["name"] == ORGANIZATION_MANAGEMENT else []),
            *(pointers.get(member, member) for member in group["members"]),
        ],
        "IsValid": True,
    }
