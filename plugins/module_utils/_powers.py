# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One table: which powers the operator needs for which step, the least first, and who can give them.

The preflight compares it with the operator's own tokens; the documentation prints it.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

GRAPH = "microsoft_graph"
EXCHANGE = "exchange_online"
DIRECTORY = "directory_role"

DIRECTORY_ROLES: t.Mapping[str, str] = {
    "62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
    "29232cdf-9323-42fd-ade2-1d097af3e4de": "Exchange Administrator",
    "31392ffb-586c-42d1-9346-e59415a2cc4e": "Exchange Recipient Administrator",
    "f2ef992c-3afb-46b9-b7cf-a126ee74c451": "Global Reader",
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
    "158c047a-c907-4556-b7ef-446551a6b5f7": "Cloud Application Administrator",
    "e8611ab8-c189-46e8-94e1-60213ab1f814": "Privileged Role Administrator",
}
"""Template id -> name, of the directory roles that matter here."""

EVERY_MEMBER = "0997a1d0-0d1d-4acb-b408-d5ca73121e90"
"""Stands in the ``wids`` of every token and means nothing."""

MANAGE_AS_APP = "Exchange.ManageAsApp"
_EXCHANGE_ALL = ("Exchange Administrator", "Global Administrator")
EXCHANGE_READERS = (*_EXCHANGE_ALL, "Exchange Recipient Administrator", "Global Reader")
"""Directory roles with which Exchange answers at all."""

WHO: t.Mapping[str, str] = {
    GRAPH: "a Privileged Role Administrator (admin consent to an application permission of Microsoft Graph)",
    EXCHANGE: "a Cloud Application Administrator or Privileged Role Administrator (admin consent)",
    DIRECTORY: "a Privileged Role Administrator (assign the role to the operator's service principal)",
}
_TITLES: t.Mapping[str, str] = {
    GRAPH: "the application permission {} of Microsoft Graph",
    EXCHANGE: "the application permission {} of Office 365 Exchange Online",
    DIRECTORY: "the Entra role {}",
}


@dataclass(frozen=True)
class Need:
    """One thing a step needs: any one of ``any_of``, the least powerful first.

    ``only_for`` is None, or ``delegated`` for what only delegated permissions need.
    """

    kind: str
    any_of: tuple[str, ...]
    only_for: str | None = None

    @property
    def who(self) -> str:
        return WHO[self.kind]

    def in_words(self) -> str:
        return _TITLES[self.kind].format(" or ".join(self.any_of))


@dataclass(frozen=True)
class Power:
    """One step of the chain, and everything it needs."""

    title: str
    needs: tuple[Need, ...]


_OWN_APPLICATIONS = Need(GRAPH, ("Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"))
_ASSIGN = Need(GRAPH, ("AppRoleAssignment.ReadWrite.All",))
_READ_APPLICATIONS = Need(
    GRAPH,
    (
        *("Application.Read.All", "Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"),
        *("Directory.Read.All", "Directory.ReadWrite.All"),
    ),
)
# Assigning an app role is refused to who may only see applications of its own.
_READ_ALL_APPLICATIONS = Need(
    GRAPH, tuple(name for name in _READ_APPLICATIONS.any_of if name != "Application.ReadWrite.OwnedBy")
)
_DELEGATE = Need(GRAPH, ("DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All"), "delegated")
_READ_GRANTS = Need(
    GRAPH,
    (
        *("Directory.Read.All", "DelegatedPermissionGrant.Read.All", "DelegatedPermissionGrant.ReadWrite.All"),
        "Directory.ReadWrite.All",
    ),
    "delegated",
)
_AS_APP = Need(EXCHANGE, (MANAGE_AS_APP,))
_EXCHANGE_ADMIN = Need(DIRECTORY, _EXCHANGE_ALL)
_RECIPIENT_ADMIN = Need(DIRECTORY, ("Exchange Recipient Administrator", *_EXCHANGE_ALL))
_EXCHANGE_READER = Need(DIRECTORY, ("Global Reader", *_EXCHANGE_ALL))

POWERS: t.Mapping[str, Power] = {
    "application": Power("register the application", (_OWN_APPLICATIONS,)),
    "group": Power("make the scope group and its members", (_AS_APP, _RECIPIENT_ADMIN)),
    "policy": Power("make the application access policy", (_AS_APP, _EXCHANGE_ADMIN)),
    "ews": Power("open EWS for the application", (_AS_APP, _EXCHANGE_ADMIN)),
    "secret": Power("make the client secret", (_OWN_APPLICATIONS,)),
    "consent": Power("grant admin consent", (_ASSIGN, _READ_ALL_APPLICATIONS, _DELEGATE)),
    "verify": Power("ask Exchange for its verdicts", (_AS_APP, _EXCHANGE_READER)),
    "audit": Power("read everything that is audited", (_READ_APPLICATIONS, _READ_GRANTS, _AS_APP, _EXCHANGE_READER)),
    "decommission": Power("take everything back", (_OWN_APPLICATIONS, _ASSIGN, _DELEGATE, _AS_APP, _EXCHANGE_ADMIN)),
}
"""By step, in the order of the chain."""


@dataclass(frozen=True)
class Missing:
    """A need that is not met, with every asked step that has it."""

    need: Need
    steps: tuple[str, ...]

    @property
    def permission(self) -> str:
        return self.need.any_of[0]


def directory_roles(wids: t.Iterable[str]) -> list[str]:
    """The names of directory roles, sorted; an id that is not in the table stays an id."""
    return sorted(DIRECTORY_ROLES.get(wid, wid) for wid in wids if wid != EVERY_MEMBER)


def missing(
    steps: t.Iterable[str],
    *,
    graph: t.Collection[str] | None,
    exchange: t.Collection[str] | None,
    roles: t.Collection[str] | None,
    delegated: bool = True,
) -> list[Missing]:
    """What ``steps`` need and the operator lacks, in the table's order.

    ``graph`` and ``exchange`` are the roles in the operator's tokens, ``roles`` names of directory roles; None means
    that they cannot be known, and then nothing of that kind is missing. ``delegated``: whether delegated permissions
    are to be granted.
    """
    held = {GRAPH: graph, EXCHANGE: exchange, DIRECTORY: roles}
    lacking: dict[Need, list[str]] = {}
    asked = set(steps)
    for step, power in POWERS.items():
        if step not in asked:
            continue
        for need in power.needs:
            have = held[need.kind]
            if have is None or (need.only_for == "delegated" and not delegated):
                continue
            if not set(need.any_of) & set(have):
                lacking.setdefault(need, []).append(step)
    return [Missing(need, tuple(wanting)) for need, wanting in lacking.items()]
