# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What was read of a tenant to tell who can open which mailbox, as data."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils._delegated import Consent
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import MAILBOXES, Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import Policy
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import Assignment, Scope
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.mailbox_permission import Entry
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer

Json = dict[str, t.Any]

OPENED = MAILBOXES | {"DiscoveryMailbox", "LegacyMailbox", "LinkedMailbox", "SchedulingMailbox", "TeamMailbox"}
"""What an application can open, whether anybody would declare it or not."""

GRANTED, DELEGATED = "the permissions granted in Entra", "the delegated permissions"
DIRECTORY_ROLES, OWNERS = "the directory roles", "who owns the application"
POINTERS, ASSIGNMENTS, SCOPES = (
    "the applications that Exchange knows",
    "the role assignments in Exchange",
    "the management scopes",
)
POLICIES, ROLE_GROUPS, SEND_AS = "the access policies", "the role groups", "as which mailboxes it may send"
GROUP_OWNERS = "who owns the groups that limit it"
FULL_ACCESS = "FullAccess on the mailboxes that were not looked at"
"""Words for what may be missing."""


@dataclass(frozen=True, order=True)
class Person:
    """Somebody who could let an application into more. ``id``: the object id, as far as it is known."""

    id: str
    name: str
    what: str

    def as_dict(self) -> Json:
        return {"id": self.id, "name": self.name, "what": self.what}


@dataclass(frozen=True)
class Holder:
    """An application as Entra shows it. Ids are in lower case.

    ``home``: the tenant in which it is registered. ``roles``: names of its directory roles. ``unknown``: (resource,
    permission) pairs of which nobody can tell what they open. ``credentials``: how many that have not ended
    there are on its service principal. ``missing``: what could not be read of it.
    """

    app_id: str
    object_id: str = ""
    display_name: str = ""
    kind: str = ""
    home: str = ""
    enabled: bool = True
    held: tuple[Permission, ...] = ()
    consents: tuple[Consent, ...] = ()
    roles: tuple[str, ...] = ()
    people: tuple[Person, ...] = ()
    credentials: int = 0
    missing: tuple[str, ...] = ()
    since: t.Mapping[Permission, str] = field(default_factory=dict)
    """When each permission was granted (ISO 8601, UTC), where that is known."""
    seen: bool = True
    """False where it could not be read whether Entra has a service principal of it."""


@dataclass(frozen=True)
class RoleGroup:
    """A role group of Exchange. ``members``: as Exchange prints them."""

    name: str
    roles: tuple[str, ...]
    members: tuple[str, ...]


Known = t.Mapping[str, "frozenset[str] | None"]
"""By a key: the Guids of mailboxes, None (or no such key) where they are not known, ``Partly`` where some are."""


@dataclass(frozen=True)
class Held:
    """What Exchange shows. None: it could not be read.

    ``send_as``: by app id, (Guid of the mailbox, entry). ``entries``: by the Guid of each mailbox that was looked at.
    ``scanned``: whether those are all of the tenant; ``looked_at`` how many they are.
    ``in_policies``, ``in_roles`` and ``of_people``: members by the keys that the scoping models ask with, mailboxes of
    people by their object ids. ``labels`` says for people what a key is. ``owners``: of groups, by the same keys;
    None where they could not be read.
    """

    pointers: tuple[Pointer, ...] | None = None
    assignments: tuple[Assignment, ...] | None = None
    scopes: tuple[Scope, ...] | None = None
    policies: tuple[Policy, ...] | None = None
    role_groups: tuple[RoleGroup, ...] | None = None
    send_as: t.Mapping[str, tuple[tuple[str, Entry], ...] | None] = field(default_factory=dict)
    entries: t.Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    scanned: bool = False
    looked_at: int = 0
    recipients: t.Mapping[str, Recipient] = field(default_factory=dict)
    in_policies: Known = field(default_factory=dict)
    in_roles: Known = field(default_factory=dict)
    of_people: Known = field(default_factory=dict)
    labels: t.Mapping[str, str] = field(default_factory=dict)
    owners: t.Mapping[str, tuple[Person, ...] | None] = field(default_factory=dict)
    unified: frozenset[str] = frozenset()
    """Keys of groups of Microsoft 365, in which Graph can change who is a member."""

    def pointer(self, app_id: str) -> Pointer | None:
        return next((one for one in self.pointers or () if one.app_id == app_id), None)


@dataclass(frozen=True)
class State:
    """``asked`` and ``declared``: Guids of mailboxes that were named; ``unknown``: declared addresses that nobody has.

    ``missing``: what could not be read to find all applications that there are.
    """

    holders: tuple[Holder, ...]
    exchange: Held
    tenant_id: str
    at: str
    asked: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
