# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an application may do something with a mailbox over Graph or EWS: grants, policies and roles taken together.

Authorities add up. A permission in the token opens every mailbox that no application access policy keeps from it; a
role opens those of its scope, whatever policies say.
"""

from __future__ import annotations

import typing as t

from . import exchange_rbac
from .exchange_directory import policy_verdict
from .model import Document, Principal, Tenant, World

UNGOVERNED: t.Final = ("MailboxItem.", "MailboxFolder.", "MailboxConfigItem.", "Mail-Advanced.")
"""Permissions that no application access policy limits begin so."""

Denial = t.Literal["policy_denied", "access_denied", "not_yet"]


def denial(
    world: World,
    tenant: Tenant,
    principal: Principal,
    mailbox: Document,
    permissions: t.Collection[str],
    *,
    role_permissions: t.Collection[str] | None = None,
) -> Denial | None:
    """None where any of ``permissions`` lets the caller in; else what keeps it out.

    ``role_permissions``: what roles call them where that differs. ``not_yet``: a role will let it in once the caches
    know.
    """
    claimed = not principal.roles.isdisjoint(permissions)
    if any(permission.startswith(UNGOVERNED) for permission in principal.roles.intersection(permissions)):
        return None
    if claimed and policy_verdict(world, tenant, principal.app_id, mailbox, in_force=True) == "Granted":
        return None
    named = permissions if role_permissions is None else role_permissions
    if _by_role(world, tenant, principal, mailbox, named, in_force=True):
        return None
    if claimed:
        return "policy_denied"
    return "not_yet" if _by_role(world, tenant, principal, mailbox, named, in_force=False) else "access_denied"


def holds_any(
    tenant: Tenant,
    principal: Principal,
    permissions: t.Collection[str],
    role_permissions: t.Collection[str] | None = None,
) -> bool:
    """Whether the caller could open anything at all: by its token, or by a role on whatever scope."""
    if not principal.roles.isdisjoint(permissions):
        return True
    named = set(permissions if role_permissions is None else role_permissions)
    pointer = exchange_rbac.pointer_by_object(tenant, principal.app_id, principal.object_id)
    return pointer is not None and any(
        named & set(exchange_rbac.TEXTS["roles"].get(one["Role"], ()))
        for one in tenant.role_assignments.values()
        if one["App"] == pointer["ObjectId"] and one["Enabled"]
    )


def _by_role(
    world: World,
    tenant: Tenant,
    principal: Principal,
    mailbox: Document,
    permissions: t.Iterable[str],
    *,
    in_force: bool,
) -> bool:
    return any(
        exchange_rbac.role_grants(world, tenant, principal.app_id, mailbox, permission, in_force=in_force)
        for permission in permissions
    )
