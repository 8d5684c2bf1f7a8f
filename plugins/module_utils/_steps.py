# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The one list of steps: what a run is made of, which module does it, what its operator needs, what takes it back.

A step has one word (its ``key``) in every place: in the record of a run, in the preflight, on the sheet, in tables.
A scoping model adds rows here, and no spellings elsewhere.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

GRAPH = "microsoft_graph"
EXCHANGE = "exchange_online"
DIRECTORY = "directory_role"

MANAGE_AS_APP = "Exchange.ManageAsApp"

DELEGATED, APPLICATION, REVOKED = "delegated", "application", "revoked"
ONLY_FOR: t.Mapping[str, str] = {
    DELEGATED: "delegated permissions",
    APPLICATION: "application permissions",
    REVOKED: "revoking a permission that undoes a scope",
}
"""What some rights are needed for alone, in words."""


@dataclass(frozen=True)
class Need:
    """One right that a step needs: any one of ``any_of``, the least powerful first.

    ``kind`` is GRAPH, EXCHANGE or DIRECTORY. ``only_for`` is None, or one of ONLY_FOR: what alone needs it.
    """

    kind: str
    any_of: tuple[str, ...]
    only_for: str | None = None


@dataclass(frozen=True)
class Step:
    """One step of a run.

    ``label`` heads it on a page, ``title`` completes "needed to", ``module`` does it. ``needs`` is what doing it takes,
    ``looks`` what remains of that where a person does it by hand and the run looks. ``undone_by`` is the key of the
    step that takes it back, None where nothing is left behind. ``formerly`` is 0.1.0's word for it in the preflight.
    ``chosen``: whether only some profiles have it, by their scoping models and protocols.
    """

    key: str
    label: str
    title: str
    module: str
    needs: tuple[Need, ...] = ()
    looks: tuple[Need, ...] = ()
    undone_by: str | None = None
    formerly: str | None = None
    chosen: bool = False


@dataclass(frozen=True)
class Run:
    """What a run is for: its steps in their order, and what it needs as a whole, beside what its steps need."""

    key: str
    title: str
    steps: tuple[str, ...]
    needs: tuple[Need, ...] = ()


_OWN_APPLICATIONS = Need(GRAPH, ("Application.ReadWrite.OwnedBy", "Application.ReadWrite.All"))
_ASSIGN = Need(GRAPH, ("AppRoleAssignment.ReadWrite.All",))
_GRANT = Need(GRAPH, _ASSIGN.any_of, APPLICATION)
_REVOKE = Need(GRAPH, _ASSIGN.any_of, REVOKED)
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
_DELEGATE = Need(GRAPH, ("DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All"), DELEGATED)
_READ_GRANTS = Need(
    GRAPH,
    (
        *("Directory.Read.All", "DelegatedPermissionGrant.Read.All", "DelegatedPermissionGrant.ReadWrite.All"),
        "Directory.ReadWrite.All",
    ),
    DELEGATED,
)
_ADMINS = ("Exchange Administrator", "Global Administrator")
_AS_APP = Need(EXCHANGE, (MANAGE_AS_APP,))
_EXCHANGE_ADMIN = Need(DIRECTORY, _ADMINS)
_RECIPIENT_ADMIN = Need(DIRECTORY, ("Exchange Recipient Administrator", *_ADMINS))
_EXCHANGE_READER = Need(DIRECTORY, ("Global Reader", *_ADMINS))

_ROWS = (
    Step("preflight", "Look at the tenant", "look at the tenant", "m365_tenant_info"),
    Step(
        *("application", "Application", "register the application", "entra_application"),
        needs=(_OWN_APPLICATIONS,),
        undone_by="application",
    ),
    Step(
        *("scope_group", "Scope group", "make the scope group and its members", "exchange_security_group"),
        needs=(_AS_APP, _RECIPIENT_ADMIN),
        undone_by="scope_group",
        chosen=True,
        formerly="group",
    ),
    Step(
        *("service_principal", "Application in Exchange", "make the application known to Exchange"),
        "exchange_service_principal",
        needs=(_AS_APP, _EXCHANGE_ADMIN),
        undone_by="service_principal",
        chosen=True,
    ),
    Step(
        *("mailbox_permission", "Mailbox permissions", "give the application rights on the mailboxes"),
        "exchange_mailbox_permission",
        needs=(_READ_ALL_APPLICATIONS, _AS_APP, _EXCHANGE_ADMIN),
        undone_by="mailbox_permission",
        chosen=True,
    ),
    Step(
        *("application_role", "Application roles", "assign application roles within a scope"),
        "exchange_application_role",
        needs=(_REVOKE, _AS_APP, _EXCHANGE_ADMIN),
        undone_by="application_role",
        chosen=True,
    ),
    Step(
        *("access_policy", "Access policy", "make the application access policy", "exchange_application_access_policy"),
        needs=(_AS_APP, _EXCHANGE_ADMIN),
        undone_by="access_policy",
        chosen=True,
        formerly="policy",
    ),
    Step(
        *("ews_access", "Exchange Web Services", "open EWS for the application", "exchange_ews_access"),
        needs=(_AS_APP, _EXCHANGE_ADMIN),
        undone_by="ews_access",
        chosen=True,
        formerly="ews",
    ),
    Step(
        *("mailbox_protocols", "Mail protocols", "switch protocols on for the mailboxes", "exchange_mailbox_protocols"),
        needs=(_AS_APP, _EXCHANGE_ADMIN),
        undone_by="mailbox_protocols",
        chosen=True,
    ),
    Step(
        *("client_secret", "Client secret", "make the client secret", "entra_application_secret"),
        needs=(_OWN_APPLICATIONS,),
        undone_by="client_secret",
        formerly="secret",
    ),
    Step(
        *("admin_consent", "Admin consent", "grant admin consent", "entra_admin_consent"),
        needs=(_GRANT, _READ_ALL_APPLICATIONS, _DELEGATE),
        looks=(_READ_APPLICATIONS, _READ_GRANTS),
        undone_by="admin_consent",
        chosen=True,
        formerly="consent",
    ),
    Step(
        *("access_verdict", "Exchange's verdict", "ask Exchange for its verdicts", "exchange_application_access_info"),
        needs=(_AS_APP, _EXCHANGE_READER),
        formerly="verify",
    ),
    Step(
        *("reach", "Reach", "read which mailboxes applications can open", "application_reach_info"),
        needs=(_READ_APPLICATIONS, _READ_GRANTS, _AS_APP, _EXCHANGE_READER),
    ),
    # The application signs in for itself.
    Step("mailbox_probe", "Real open", "open the mailboxes as the application", "mailbox_probe_info"),
    Step("credentials", "Credentials", "read the application's credentials", "entra_application_info"),
    Step("migration", "Migration", "move from one way in to another", "handover_file"),
)
STEPS: t.Mapping[str, Step] = {row.key: row for row in _ROWS}
"""By key, in the order of the chain."""

RUNS: t.Mapping[str, Run] = {
    run.key: run
    for run in (
        Run(
            "provision",
            "provision",
            (
                *("preflight", "application", "scope_group", "service_principal", "mailbox_permission"),
                *("application_role", "access_policy", "ews_access", "mailbox_protocols", "client_secret"),
                *("admin_consent", "access_verdict", "mailbox_probe"),
            ),
        ),
        Run(
            "migrate",
            "move from one way in to another",
            (
                *("preflight", "application", "scope_group", "service_principal", "mailbox_permission"),
                *("application_role", "access_policy", "ews_access", "mailbox_protocols", "client_secret"),
                *("admin_consent", "access_verdict", "mailbox_probe", "migration"),
            ),
        ),
        Run("rotate", "renew the client secret", ("preflight", "client_secret", "mailbox_probe")),
        Run(
            "audit",
            "read everything that is audited",
            (
                *("preflight", "application", "credentials", "scope_group", "service_principal", "mailbox_permission"),
                *("application_role", "access_policy", "ews_access", "mailbox_protocols", "client_secret"),
                *("admin_consent", "access_verdict", "reach", "mailbox_probe"),
            ),
            needs=(_READ_APPLICATIONS, _READ_GRANTS, _AS_APP, _EXCHANGE_READER),
        ),
        Run("reach", "read which mailboxes applications can open", ("preflight", "reach")),
        Run(
            "decommission",
            "take everything back",
            (
                *("preflight", "admin_consent", "client_secret", "application_role", "mailbox_permission"),
                *("ews_access", "mailbox_protocols", "service_principal", "application", "access_policy"),
                "scope_group",
            ),
            needs=(_OWN_APPLICATIONS, _GRANT, _DELEGATE, _AS_APP, _EXCHANGE_ADMIN),
        ),
    )
}
"""By what a run is for. What lets in is taken back first, what limits last."""

OF_THE_FIRST = ("scope_group", "access_policy", "ews_access", "admin_consent")
"""What a run is told to have of the chosen steps where its profile cannot be read: those of 0.1.0's one profile."""


def of(run: str, chosen: t.Collection[str] | None) -> tuple[str, ...]:
    """The steps of a run, of those that only some profiles have the ``chosen`` ones (see OF_THE_FIRST for None)."""
    wanted = OF_THE_FIRST if chosen is None else chosen
    return tuple(key for key in RUNS[run].steps if not STEPS[key].chosen or key in wanted)


FORMERLY: t.Mapping[str, str] = {row.formerly: row.key for row in _ROWS if row.formerly}
"""0.1.0's words of the preflight -> keys."""


def key(word: str) -> str:
    """The key behind a word of a user, who may still use the word of 0.1.0."""
    return FORMERLY.get(word, word)


def needs_exchange(word: str) -> bool:
    """Whether a step, or a run as a whole, works in Exchange Online."""
    row = STEPS.get(key(word)) or RUNS.get(word)
    return row is not None and any(need.kind == EXCHANGE for need in row.needs)
