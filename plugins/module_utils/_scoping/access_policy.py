# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Model A: an application access policy narrows what a tenant-wide Entra grant opens to a group's members.

Facts and rules, no writes. An application without any policy may open every mailbox.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _permissions, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import NotFound
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import (
    SECURITY_GROUP,
    Recipient,
    by_properties,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import (
    Grant,
    Inside,
    Permission,
    is_whole,
)

Json = dict[str, t.Any]

RESTRICT = "RestrictAccess"
DENY = "DenyAccess"
EVERY_APPLICATION = "*"
IN_FORCE_AFTER = dt.timedelta(hours=1)
EVALUATION = (
    "Exchange evaluates all policies of an application together: a matching DenyAccess denies, else a matching "
    "RestrictAccess grants; an application whose RestrictAccess policies all miss is denied; an application without "
    "any policy may open every mailbox"
)

_LIMITED = ("mail", "calendars", "contacts", "full_access_as_app", "ews")
"""How the names of application permissions begin that such a policy limits, in lower case."""

_NOT_LIMITED = frozenset(
    {
        *("imap.accessasapp", "pop.accessasapp", "smtp.sendasapp"),
        *("exchange.manageasapp", "exchange.manageasappv2", "user.read.all"),
    }
)
"""Exchange Online's own permissions that no access policy limits."""


def is_limited(resource: str, permission: str | None) -> bool:
    """Whether an access policy limits this application permission of ``resource`` (an application id).

    A permission whose name is not known (None, "") counts as one, and so does each of Exchange Online that is not
    known to be none.
    """
    name = (permission or "").casefold()
    if not name:
        return True
    if resource == _permissions.WELL_KNOWN["exchange_online"]:
        return name not in _NOT_LIMITED
    if _permissions.is_never_limited(resource, name):
        return False
    return resource == _permissions.WELL_KNOWN["microsoft_graph"] and name.startswith(_LIMITED)


@dataclass(frozen=True)
class Policy:
    """One policy as Exchange tells it. ``app_id``, ``entra_id`` and ``sid`` are in lower case."""

    identity: str
    app_id: str
    access_right: str = RESTRICT
    scope_name: str = ""
    scope_identity: str = ""
    sid: str = ""
    entra_id: str = ""
    description: str = ""
    is_valid: bool = True

    @classmethod
    def of(cls, found: t.Mapping[str, t.Any]) -> Policy:
        """From Get-ApplicationAccessPolicy; ``ScopeIdentityRaw`` is ``SID;Entra object id``."""
        sid, _semicolon, entra_id = str(found.get("ScopeIdentityRaw") or "").partition(";")
        return cls(
            identity=str(found.get("Identity") or ""),
            app_id=str(found.get("AppId") or "").lower(),
            access_right=str(found.get("AccessRight") or ""),
            scope_name=str(found.get("ScopeName") or ""),
            scope_identity=str(found.get("ScopeIdentity") or ""),
            sid=sid.strip().lower(),
            entra_id=entra_id.strip().lower(),
            description=str(found.get("Description") or ""),
            is_valid=found.get("IsValid") is not False,
        )

    def covers(self, group: Recipient) -> bool:
        """Whether ``group`` is the scope: by Entra object id, else by SID, else by Name.

        A weaker mark counts only where a stronger one is missing: a group that was deleted and made anew has the
        old one's name, and is not the scope.
        """
        if self.entra_id and group.entra_id:
            return self.entra_id == group.entra_id
        if self.sid and group.sid:
            return self.sid == group.sid.lower()
        return bool(self.scope_identity) and self.scope_identity.casefold() == group.name.casefold()

    def as_dict(self) -> Json:
        return {
            "identity": self.identity,
            "app_id": self.app_id,
            "access_right": self.access_right,
            "scope_name": self.scope_name,
            "scope_identity": self.scope_identity,
            "description": self.description,
            "is_valid": self.is_valid,
        }

    def __str__(self) -> str:
        scope = self.scope_name or self.scope_identity or self.entra_id or self.sid
        whom = "every application" if self.app_id == EVERY_APPLICATION else self.app_id
        return f"{self.access_right} for {whom} on {scope!r}"


def read_cmdlet() -> Cmdlet:
    """All policies of the tenant (there is room for some 300); there is no way to ask for one application's."""
    return Cmdlet("Get-ApplicationAccessPolicy", {}, "read the application access policies")


def policies_of(output: Output) -> list[Policy]:
    """From the answer to ``read_cmdlet``. A tenant without any policy answers with an error, not with a list."""
    if isinstance(output.error, NotFound) and _texts.EXCHANGE_NO_POLICIES.search(output.error.message):
        return []
    return [Policy.of(found) for found in output.objects()]


def scope_cmdlet(group: str) -> Cmdlet:
    """Finds whatever ``group`` may mean: an address, an alias, a name, a display name, or an id.

    An id is asked for as an identity, and is not found when there is no such recipient; all else by filter.
    """
    purpose = f"look for the group {group}"
    if _names.is_guid(group):
        return Cmdlet("Get-Recipient", {"Identity": group}, purpose)
    pairs = [(name, group) for name in ("Alias", "Name", "DisplayName")]
    if "@" in group:
        pairs.insert(0, ("EmailAddresses", f"smtp:{group}"))
    return by_properties(pairs, purpose)


def scopes(found: t.Iterable[Recipient], group: str) -> list[Recipient]:
    """Those whom ``group`` names in the strictest way that names anybody: id, address, alias, name, display name."""
    everybody = list(found)
    # A mailbox may bear the group's name as its alias; what is of the right type goes before what is not.
    for candidates in ([one for one in everybody if one.type == SECURITY_GROUP], everybody):
        strictest = min((rank for one in candidates if (rank := _rank(one, group)) is not None), default=None)
        if strictest is not None:
            return [one for one in candidates if _rank(one, group) == strictest]
    return []


def _rank(one: Recipient, group: str) -> int | None:
    wanted = group.casefold()
    ways = (
        wanted in (one.guid, one.entra_id),
        one.has_address(group),
        one.alias.casefold() == wanted,
        one.name.casefold() == wanted,
        one.display_name.casefold() == wanted,
    )
    return ways.index(True) if any(ways) else None


# ---- the model ------------------------------------------------------------------------------------------------------


def protocol(permission: str) -> str:
    """By which protocol a permission that such a policy limits opens a mailbox."""
    return "ews" if permission.casefold() in ("full_access_as_app", "ews.accessasapp") else "graph"


class AccessPolicies:
    """The model: each Entra grant that a policy limits opens what the application's policies leave of the tenant."""

    name: t.ClassVar[str] = "application_access_policy"
    needs_consent: t.ClassVar[bool] = True
    before: t.ClassVar[tuple[str, ...]] = ("scope_group", "access_policy")
    makes: t.ClassVar[tuple[str, ...]] = ("scope_group", "access_policy")
    in_force_after: t.ClassVar[dt.timedelta] = IN_FORCE_AFTER
    look_every: t.ClassVar[dt.timedelta] = dt.timedelta(seconds=10)

    def cmdlets(self, app_id: str) -> list[Cmdlet]:
        return [read_cmdlet()]

    def grants(
        self, app_id: str, held: t.Iterable[Permission], outputs: t.Sequence[Output], inside: Inside
    ) -> list[Grant]:
        return grants_of(app_id, held, policies_of(outputs[0]), inside)


def grants_of(app_id: str, held: t.Iterable[Permission], policies: t.Iterable[Policy], inside: Inside) -> list[Grant]:
    """What the permissions open, by these policies. A policy that Exchange calls not valid grants and denies nobody:
    what it was to deny may be open, and whether it still restricts is not known."""
    hers = [policy for policy in policies if policy.app_id in (app_id, EVERY_APPLICATION)]
    restricting = [policy for policy in hers if policy.access_right != DENY]
    only: frozenset[str] | None = None
    if any(policy.is_valid for policy in restricting):
        only = frozenset()
    but: frozenset[str] = frozenset()
    complete, unsure = all(policy.is_valid for policy in hers), False
    for policy in hers:
        members = inside(policy.entra_id or policy.sid or policy.scope_identity) if policy.is_valid else frozenset()
        complete = complete and is_whole(members)
        if policy.access_right == DENY:
            but |= members or frozenset()
            unsure = unsure or not is_whole(members)
        elif only is not None:
            only |= members or frozenset()
    limits = tuple(str(policy) for policy in hers if policy.is_valid)
    return [
        Grant(AccessPolicies.name, one.name, protocol(one.name), only, but, limits, complete, unsure)
        for one in held
        if is_limited(one.resource, one.name)
    ]
