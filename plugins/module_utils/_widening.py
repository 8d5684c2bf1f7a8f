# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Powers by which an application could let itself, or another one, into more mailboxes than it can open today. Pure.

A power opens nothing by itself. What it ``opens`` is said by three words: EVERYTHING (it may give itself any mailbox,
or read all mail), ITSELF (it may widen what limits it), OTHERS (it may act as another application, or as a person, and
open what those can).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._powers import MANAGE_AS_APP
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Permission

Json = dict[str, t.Any]

EVERYTHING, ITSELF, OTHERS = "everything", "itself", "others"

EXCHANGE, GRAPH = (_permissions.WELL_KNOWN[name] for name in ("exchange_online", "microsoft_graph"))

MICROSOFT = frozenset({"f8cdef31-a31e-4b4a-93e4-5f571e91255a", "72f988bf-86f1-41af-91ab-2d7cd011db47"})
"""The tenants in which Microsoft's own services are registered."""


@dataclass(frozen=True, order=True)
class Power:
    """``permission``: what is held, in the service's words; ``what``: what it is good for, for people."""

    permission: str
    what: str
    opens: str

    def as_dict(self) -> Json:
        return {"permission": self.permission, "what": self.what, "opens": self.opens}


@dataclass(frozen=True)
class Limits:
    """What limits the application somewhere, so that whoever may write it widens the application's reach."""

    unified_group: bool = False
    unit: bool = False
    attributes: bool = False


_ASSIGNS = "may assign itself roles in Exchange, over any mailbox"
_GRANTS = "may grant itself any permission"
_ADMINS = "may make itself an administrator of any kind"
_SECRETS = "may add credentials to other applications, and sign in as those"
_PEOPLE = "may change how people sign in, and sign in as those"
_SEARCHES = "may search mailboxes and export what is found"

PERMISSIONS: t.Mapping[str, tuple[str, str]] = {
    "RoleManagement.ReadWrite.Exchange": (_ASSIGNS, EVERYTHING),
    "RoleManagement.ReadWrite.All": (_ADMINS, EVERYTHING),
    "RoleManagement.ReadWrite.Directory": (_ADMINS, EVERYTHING),
    "RoleAssignmentSchedule.ReadWrite.Directory": (_ADMINS, EVERYTHING),
    "RoleEligibilitySchedule.ReadWrite.Directory": (_ADMINS, EVERYTHING),
    "PrivilegedAccess.ReadWrite.AzureAD": (_ADMINS, EVERYTHING),
    "AppRoleAssignment.ReadWrite.All": (_GRANTS, EVERYTHING),
    "Policy.ReadWrite.PermissionGrant": ("may let itself be granted any permission", EVERYTHING),
    "eDiscovery.ReadWrite.All": (_SEARCHES, EVERYTHING),
    "DelegatedPermissionGrant.ReadWrite.All": ("may grant itself delegated permissions for everybody", ITSELF),
    "Application.ReadWrite.All": (_SECRETS, OTHERS),
    "Application.ReadWrite.OwnedBy": ("may add credentials to the applications that it owns", OTHERS),
    "Application-RemoteDesktopConfig.ReadWrite.All": (_SECRETS, OTHERS),
    "Directory.ReadWrite.All": ("may change other applications and groups of the directory", OTHERS),
    "UserAuthenticationMethod.ReadWrite.All": (_PEOPLE, OTHERS),
    "User-PasswordProfile.ReadWrite.All": (_PEOPLE, OTHERS),
    "Domain.ReadWrite.All": ("may let another identity provider sign people in", OTHERS),
    "Organization.ReadWrite.All": ("may let certificates of its own sign people in", OTHERS),
    "PrivilegedAccess.ReadWrite.AzureADGroup": ("may come into groups that hold roles of administrators", OTHERS),
    "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup": (
        "may come into groups that hold roles of administrators",
        OTHERS,
    ),
    "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup": (
        "may come into groups that hold roles of administrators",
        OTHERS,
    ),
    "EntitlementManagement.ReadWrite.All": ("may assign permissions of applications through access packages", OTHERS),
}
"""Graph's application permission -> (what it is good for, what it opens)."""

_IF_LIMITED: t.Mapping[str, tuple[str, str]] = {
    "Group.ReadWrite.All": ("unified_group", "may change who is in the Microsoft 365 group that limits it"),
    "GroupMember.ReadWrite.All": ("unified_group", "may change who is in the Microsoft 365 group that limits it"),
    "Directory.ReadWrite.All": ("unified_group", "may change who is in the Microsoft 365 group that limits it"),
    "AdministrativeUnit.ReadWrite.All": ("unit", "may change who is in the administrative unit that limits it"),
    "User.ReadWrite.All": ("attributes", "may change the properties of mailboxes by which its scope is told"),
}
"""Graph's application permission -> (the limit that it can write, what it is good for)."""

_AS_ADMIN = "may change rights and roles in Exchange, over any mailbox"
_RESETS = "may reset the passwords of people, and sign in as those"

DIRECTORY_ROLES: t.Mapping[str, tuple[str, str]] = {
    "Global Administrator": ("may do everything in the tenant", EVERYTHING),
    "Privileged Role Administrator": (_ADMINS, EVERYTHING),
    "Partner Tier2 Support": (_ADMINS, EVERYTHING),
    "Application Administrator": (_SECRETS, OTHERS),
    "Cloud Application Administrator": (_SECRETS, OTHERS),
    "Hybrid Identity Administrator": ("may let another identity provider sign people in", OTHERS),
    "Domain Name Administrator": ("may let another identity provider sign people in", OTHERS),
    "Privileged Authentication Administrator": (_PEOPLE, OTHERS),
    "Authentication Administrator": (_PEOPLE, OTHERS),
    "Password Administrator": (_RESETS, OTHERS),
    "Helpdesk Administrator": (_RESETS, OTHERS),
    "User Administrator": (_RESETS, OTHERS),
    "Partner Tier1 Support": (_RESETS, OTHERS),
}
"""Directory role -> (what it is good for, what it opens) to whoever can sign in to Graph."""

IN_EXCHANGE: t.Mapping[str, str] = {
    "Exchange Administrator": _AS_ADMIN,
    "Exchange Recipient Administrator": _AS_ADMIN,
    "Compliance Administrator": "may have copies of all mail sent elsewhere",
}
"""Directory roles that are good for something beside the permission to sign in to Exchange's administration."""

_TEMPLATES: t.Mapping[str, str] = {
    "62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
    "29232cdf-9323-42fd-ade2-1d097af3e4de": "Exchange Administrator",
    "31392ffb-586c-42d1-9346-e59415a2cc4e": "Exchange Recipient Administrator",
    "17315797-102d-40b4-93e0-432062caca18": "Compliance Administrator",
    "e8611ab8-c189-46e8-94e1-60213ab1f814": "Privileged Role Administrator",
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
    "158c047a-c907-4556-b7ef-446551a6b5f7": "Cloud Application Administrator",
    "8ac3fc64-6eca-42ea-9e69-59f4c7b60eb2": "Hybrid Identity Administrator",
    "8329153b-31d0-4727-b945-745eb3bc5f31": "Domain Name Administrator",
    "7be44c8a-adaf-4e2a-84d6-ab2649e08a13": "Privileged Authentication Administrator",
    "c4e39bd9-1100-46d3-8c65-fb160da0071f": "Authentication Administrator",
    "966707d0-3269-4727-9be2-8c3a10f19b9d": "Password Administrator",
    "729827e3-9c14-49f7-bb1b-9608f156bbb8": "Helpdesk Administrator",
    "fe930be7-5e62-47db-91af-98c3a49a38b1": "User Administrator",
    "4ba39ca4-527c-499a-b93d-d9b492c50246": "Partner Tier1 Support",
    "e00e864a-17c5-4a4b-9c06-f5b95a8d5bd8": "Partner Tier2 Support",
}
"""Template id -> name."""

_COPIES = "may have copies of all mail sent elsewhere"
_OPENS = "may give rights on any mailbox"

EXCHANGE_ROLES: t.Mapping[str, str] = {
    "role management": "may assign itself any role",
    "mail recipients": _OPENS,
    "user options": "may forward the mail of any mailbox",
    "applicationimpersonation": "opens any mailbox as its owner",
    "mailbox import export": "may export any mailbox",
    "mailbox search": _SEARCHES,
    "transport rules": _COPIES,
    "journaling": _COPIES,
}
"""Exchange's roles of administrators, in lower case -> what they are good for. Every one of them opens everything."""


def role_name(template: str, shown: str = "") -> str:
    """The name of a directory role: by its template, else as the directory shows it, else its id."""
    return _TEMPLATES.get(template.lower()) or shown or template


def counts(template: str) -> bool:
    """Whether a directory role is good for anything here, by its template."""
    name = _TEMPLATES.get(template.lower(), "")
    return name in DIRECTORY_ROLES or name in IN_EXCHANGE


def is_manager(held: t.Iterable[Permission]) -> bool:
    """Whether the application may sign in to Exchange's administration."""
    return any(one.resource == EXCHANGE and one.name.casefold().startswith(MANAGE_AS_APP.casefold()) for one in held)


def of_permissions(held: t.Iterable[Permission], limits: Limits) -> list[Power]:
    """Those among the application permissions."""
    found = []
    for one in held:
        if one.resource != GRAPH:
            continue
        if one.name in PERMISSIONS:
            found.append(Power(one.name, *PERMISSIONS[one.name]))
        limit, what = _IF_LIMITED.get(one.name, ("", ""))
        if limit and getattr(limits, limit):
            found.append(Power(one.name, what, ITSELF))
    return found


def of_directory_roles(names: t.Iterable[str], *, manages: bool) -> list[Power]:
    """Those among the directory roles. ``manages``: see ``is_manager``."""
    found = []
    for name in names:
        if name in DIRECTORY_ROLES:
            found.append(Power(name, *DIRECTORY_ROLES[name]))
        elif name in IN_EXCHANGE and manages:
            found.append(Power(f"{name} with {MANAGE_AS_APP}", IN_EXCHANGE[name], EVERYTHING))
    return found


def of_exchange_roles(roles: t.Iterable[str], through: str = "") -> list[Power]:
    """Those among Exchange's roles of administrators. ``through``: the role group that has them."""
    by = f" (role group {through})" if through else ""
    return [
        Power(f"{role}{by}", EXCHANGE_ROLES[role.casefold()], EVERYTHING)
        for role in roles
        if role.casefold() in EXCHANGE_ROLES
    ]


def of_credentials(home: str, display_name: str, number: int) -> list[Power]:
    """Credentials on the service principal of one of Microsoft's own services: its holder signs in as that service."""
    if home.lower() not in MICROSOFT or not number:
        return []
    what = f"anybody who holds one of the {number} credentials here signs in as Microsoft's own {display_name}"
    return [
        Power(
            "credentials",
            what if number > 1 else what.replace("one of the 1 credentials", "the credential"),
            EVERYTHING,
        )
    ]
