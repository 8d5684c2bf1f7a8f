# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Which grants in Entra undo the scope of application roles: authorities add up, so what such a grant opens is open.

Pure, and fails closed: what an access policy leaves open and cannot be told counts as more than declared.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import listed
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import access_policy, application_role
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import Policy
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Grant, Inside, Permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.tenant_wide import TenantWide

_SMTP = (application_role.EXCHANGE, "SMTP.SendAsApp")
SMTP_ROLE = application_role.role_of(*_SMTP)


@dataclass(frozen=True)
class Undoing:
    """One permission that is granted in Entra beside the roles.

    ``grant``: what it opens; None for SMTP.SendAsApp, which opens nothing itself: with it in the token Exchange asks
    for rights on the mailbox, and refuses what the role would allow.
    """

    permission: Permission
    grant: Grant | None = None

    def __str__(self) -> str:
        name = self.permission.name
        if self.grant is None:
            return f"{name} (with it Exchange looks for rights on the mailbox, and the role does not count)"
        if self.grant.everything:
            return f"{name} (opens every mailbox)"
        limits = listed(self.grant.limited_by) or "what limits it"
        return f"{name} (opens more than declared, or nobody can tell: {limits})"


def undoing(
    app_id: str,
    held: t.Iterable[Permission],
    roles: t.Collection[str],
    *,
    policies: t.Iterable[Policy] = (),
    inside: Inside = lambda _key: None,
    mailboxes: t.Collection[str] = (),
    declared: t.Collection[Permission] = (),
) -> list[Undoing]:
    """The grants that undo the scope of ``roles``, by name. ``held``: the application permissions that are in force.

    ``policies``: access policies of the tenant; ``inside``: the Guids of who is in a policy's group; ``mailboxes``: the
    Guids of those that are declared. ``declared``: permissions that the same application is meant to have, because
    another model limits them, or nothing does and somebody accepted that.
    """
    if not roles:
        return []
    known, kept = list(policies), {(one.resource, one.name.casefold()) for one in declared}
    found = []
    for one in dict.fromkeys(held):
        if (one.resource, one.name.casefold()) in kept:
            continue
        if (one.resource, one.name.casefold()) == (_SMTP[0], _SMTP[1].casefold()) and SMTP_ROLE in roles:
            found.append(Undoing(one))
        opened = [
            *access_policy.grants_of(app_id, [one], known, inside),
            *TenantWide().grants(app_id, [one], [], inside),
        ]
        found += [Undoing(one, grant) for grant in opened if _is_more(grant, mailboxes)]
    return sorted(found, key=lambda item: (item.permission.name.casefold(), item.permission.resource))


def _is_more(grant: Grant, mailboxes: t.Collection[str]) -> bool:
    return grant.only is None or not grant.complete or any(guid not in mailboxes for guid in grant.only - grant.but)
