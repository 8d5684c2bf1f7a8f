# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which mailboxes each application could open at this instant, by everything that lets it in: the oracle of the tests.

Written apart from the collection's own computation, and from the answers of ``Test-ApplicationAccessPolicy``. What
counts is the configuration of the instant, not the caches that make it in force later; and every token that was really
issued counts for as long as it lives, whatever became of the grant that it was issued for.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from . import directory, exchange_rbac
from .exchange_directory import MAILBOX_TYPES
from .hosts import EXCHANGE_APP_ID, GRAPH_APP_ID
from .model import Document, Tenant, World

_GRAPH_KINDS: t.Final = ("Mail.", "Calendars.", "Contacts.", "MailboxSettings.")
_UNGOVERNED: t.Final = ("MailboxItem.", "MailboxFolder.", "MailboxConfigItem.", "Mail-Advanced.")
"""Graph's permissions for mailboxes that no application access policy limits."""
_BY_RIGHT: t.Final = frozenset({"imap", "pop", "smtp"})
_SHOWN: t.Final = 1000
"""How many mailboxes an exposure names at most."""


@dataclass(frozen=True)
class Way:
    """One permission that opens mailboxes, held by a grant of this instant or only by a token that is alive."""

    protocol: str
    permission: str
    model: str
    limited_by: tuple[str, ...]
    by_token: bool

    def shown(self) -> Document:
        return {
            "protocol": self.protocol,
            "permission": self.permission,
            "model": self.model,
            "limited_by": list(self.limited_by),
            "by_token": self.by_token,
        }


@dataclass(frozen=True)
class Reach:
    """``everything``: no limit of any kind is between the application and a mailbox that is made tomorrow."""

    app_id: str
    display_name: str
    mailboxes: frozenset[str]  # primary addresses
    everything: bool
    ways: tuple[Way, ...]
    by_token: frozenset[str]  # those of the mailboxes that only a living token opens


def protocol_of(resource_app_id: str, permission: str) -> str | None:
    """The protocol by which an application permission opens mailboxes; None if it opens none."""
    if resource_app_id == EXCHANGE_APP_ID:
        # Those of the mail protocols open nothing without a right on the mailbox; the others are of no use any more.
        mail = {"IMAP.AccessAsApp": "imap", "POP.AccessAsApp": "pop", "SMTP.SendAsApp": "smtp"}
        return "ews" if permission == "full_access_as_app" else mail.get(permission)
    if resource_app_id == GRAPH_APP_ID and permission.startswith(_GRAPH_KINDS + _UNGOVERNED):
        return "graph"
    return None


def reaches(world: World, tenant: Tenant) -> list[Reach]:
    """Every application that could open at least one mailbox of the tenant now."""
    granted = _granted(tenant)
    alive = _alive(world, tenant)
    addresses = {
        guid: str(mailbox["PrimarySmtpAddress"])
        for guid, mailbox in tenant.mailboxes.items()
        if mailbox.get("RecipientTypeDetails") in MAILBOX_TYPES
    }
    pointers = {str(pointer["AppId"]): str(pointer["DisplayName"]) for pointer in _pointers(tenant)}
    found = []
    for app_id in sorted({*granted, *alive, *pointers}):
        name, now = granted.get(app_id, ("", frozenset()))
        old_name, old = alive.get(app_id, ("", frozenset()))
        ways: list[tuple[Way, set[str], bool]] = []
        opened, unlimited, limits = _by_policies(tenant, app_id, set(addresses))
        model = "application_access_policy" if limits else "tenant_wide"
        for permissions, token in ((now, False), (old - now, True)):
            for protocol, permission in sorted(permissions):
                if protocol in _BY_RIGHT:
                    rights = _by_rights(tenant, app_id, protocol) & set(addresses)
                    ways.append((Way(protocol, permission, "mailbox_permission", (), token), rights, False))
                elif permission.startswith(_UNGOVERNED):
                    ways.append((Way(protocol, permission, "tenant_wide", (), token), set(addresses), True))
                else:
                    ways.append((Way(protocol, permission, model, limits, token), opened, unlimited))
        ways += _by_roles(tenant, app_id, set(addresses))
        ways = [way for way in ways if way[1]]
        if not ways:
            continue
        boxes, without_tokens = set().union(*(way[1] for way in ways)), set()
        for way, held, _unused in ways:
            without_tokens |= set() if way.by_token else held
        found.append(
            Reach(
                app_id,
                name or old_name or pointers.get(app_id, ""),
                frozenset(addresses[guid] for guid in boxes),
                any(everything for _way, _held, everything in ways),
                tuple(way for way, _held, _everything in ways),
                frozenset(addresses[guid] for guid in boxes - without_tokens),
            )
        )
    return found


def _pointers(tenant: Tenant) -> list[Document]:
    """Those that lead to the service principal of their application; a wrong object id leads nowhere."""
    principals = {str(sp["appId"]).lower(): sp for sp in tenant.service_principals.values()}
    return [
        pointer
        for pointer in tenant.exchange_service_principals.values()
        if principals.get(pointer["AppId"], {}).get("id") == pointer["ObjectId"]
        and principals[pointer["AppId"]]["accountEnabled"]
    ]


def _by_rights(tenant: Tenant, app_id: str, protocol: str) -> set[str]:
    """The mailboxes on which the application has a right that the protocol asks for. A denial wins."""
    sids = {pointer["Sid"] for pointer in _pointers(tenant) if pointer["AppId"] == app_id}
    wanted = {"FullAccess", "SendAs"} if protocol == "smtp" else {"FullAccess"}
    allowed: set[tuple[str, str]] = set()
    denied: set[tuple[str, str]] = set()
    for entry in [*tenant.mailbox_permissions.values(), *tenant.recipient_permissions.values()]:
        if entry["_sid"] in sids:
            pairs = {(str(entry["_mailbox"]), right) for right in entry["_rights"] if right in wanted}
            (denied if entry["_deny"] else allowed).update(pairs)
    return {mailbox for mailbox, _right in allowed - denied}


def _by_roles(tenant: Tenant, app_id: str, mailboxes: set[str]) -> list[tuple[Way, set[str], bool]]:
    found = []
    inside: dict[str | None, set[str]] = {None: mailboxes}
    for pointer in _pointers(tenant):
        for one in tenant.role_assignments.values():
            if pointer["AppId"] != app_id or one["App"] != pointer["ObjectId"] or not one["Enabled"]:
                continue
            scope = _scope_of(tenant, one)
            if one["_scope"] not in inside:
                inside[one["_scope"]] = set() if scope is None else exchange_rbac.inside(tenant, scope, mailboxes)
            held = inside[one["_scope"]]
            for permission in exchange_rbac.TEXTS["roles"].get(one["Role"], ()):
                protocol = {"EWS": "ews", "SMTP": "smtp"}.get(permission.partition(".")[0], "graph")
                limits = () if scope is None else (str(scope.get("Name") or one["CustomRecipientWriteScope"]),)
                found.append(
                    (Way(protocol, permission, "application_role", limits, False), held, one["_scope"] is None)
                )
    return found


def _scope_of(tenant: Tenant, assignment: Document) -> Document | None:
    try:
        return exchange_rbac.scope_of(tenant, assignment)
    except KeyError:
        return None


def _granted(tenant: Tenant) -> dict[str, tuple[str, frozenset[tuple[str, str]]]]:
    """app id -> (display name, {(protocol, permission)}) of live, enabled service principals."""
    values: dict[str, dict[str, tuple[str, str]]] = {}
    for app_id in (GRAPH_APP_ID, EXCHANGE_APP_ID):
        resource = directory.service_principal_of(tenant, app_id)
        if resource is not None:
            values[resource["id"]] = {
                role["id"]: (protocol, role["value"])
                for role in resource["appRoles"]
                if (protocol := protocol_of(app_id, role["value"])) is not None
            }
    found: dict[str, set[tuple[str, str]]] = {}
    for grant in tenant.app_role_assignments.values():
        permission = values.get(grant["resourceId"], {}).get(grant["appRoleId"])
        if permission is not None:
            found.setdefault(grant["principalId"], set()).add(permission)
    principals = [(tenant.service_principals.get(key), permissions) for key, permissions in found.items()]
    return {
        str(principal["appId"]).lower(): (str(principal["displayName"]), frozenset(permissions))
        for principal, permissions in principals
        if principal is not None and principal["accountEnabled"]
    }


def _alive(world: World, tenant: Tenant) -> dict[str, tuple[str, frozenset[tuple[str, str]]]]:
    """app id -> (display name, {(protocol, permission)}) of tokens that have not run out."""
    now = world.clock.timestamp()
    found: dict[str, tuple[str, set[tuple[str, str]]]] = {}
    for token in world.tokens:
        if token["tenant"] != tenant.id or token["exp"] <= now:
            continue
        for permission in token["roles"]:
            protocol = protocol_of(token["resource"], permission)
            if protocol is not None:
                name_and_set = found.setdefault(token["app_id"].lower(), (token["display_name"], set()))
                name_and_set[1].add((protocol, permission))
    return {app_id: (name, frozenset(permissions)) for app_id, (name, permissions) in found.items()}


def _by_policies(tenant: Tenant, app_id: str, mailboxes: set[str]) -> tuple[set[str], bool, tuple[str, ...]]:
    """(the mailboxes that policies leave open, whether none restricts, the policies that count)."""
    about = {
        identity: policy
        for identity, policy in tenant.application_access_policies.items()
        if str(policy["AppId"]).lower() in ("*", app_id) and policy["IsValid"]
    }
    restricting = [policy for policy in about.values() if policy["AccessRight"] == "RestrictAccess"]
    opened = set(mailboxes)
    if restricting:
        opened &= set().union(*(_within(tenant, policy["_scope"]) for policy in restricting))
    for policy in about.values():
        if policy["AccessRight"] == "DenyAccess":
            opened -= _within(tenant, policy["_scope"])
    return opened, not restricting, tuple(sorted(about))


def _within(tenant: Tenant, scope: str) -> set[str]:
    """The scope itself and everything in it, through groups in groups."""
    found: set[str] = set()
    ahead = {scope}
    while ahead:
        found |= ahead
        members = (member for guid in ahead for member in tenant.groups.get(guid, {}).get("_members", ()))
        ahead = {*members} - found
    return found


def exposures(
    world: World, history: t.Sequence[tuple[Document, Reach]], *, app_id: str | None, declared: t.Sequence[str] | None
) -> list[Document]:
    """The instants of ``history`` at which an application could open more than ``declared`` says.

    ``declared``: any address of each mailbox; None: it could open every mailbox. ``app_id`` None: any application.
    """
    wanted = None if declared is None else _primaries(world, declared)
    found = []
    for instant, reach in history:
        if app_id is not None and reach.app_id != app_id.lower():
            continue
        beyond = reach.mailboxes if wanted is None else reach.mailboxes - wanted
        if not (reach.everything if wanted is None else beyond):
            continue
        found.append(
            {
                **instant,
                "appId": reach.app_id,
                "displayName": reach.display_name,
                "mailboxes": sorted(beyond)[:_SHOWN],
                "everything": reach.everything,
                "ways": [way.shown() for way in reach.ways],
                "by_token": beyond <= reach.by_token,
            }
        )
    return found


def _primaries(world: World, declared: t.Sequence[str]) -> frozenset[str]:
    names = {name.strip().lower() for name in declared if name.strip()}
    found = set()
    for tenant in world.tenants.values():
        for mailbox in tenant.mailboxes.values():
            held = {str(mailbox["PrimarySmtpAddress"]).lower()}
            held |= {str(address).partition(":")[2].lower() for address in mailbox.get("EmailAddresses") or ()}
            if names & held:
                found.add(str(mailbox["PrimarySmtpAddress"]))
    return frozenset(found)
