# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every application of a tenant opens and could come to open: the whole of it, for ``GET /reach``.

Wider than the oracle of ``GET /exposures``: with what people open by signing in to an application, with what is
dormant, with powers and with people. Written apart from the collection's own sum; tokens that are alive are left to the
other one.
"""

from __future__ import annotations

import collections
import pathlib
import typing as t

from . import circles, directory, exchange_rbac
from .exchange_directory import MAILBOX_TYPES
from .exchange_role_groups import role_groups
from .hosts import EXCHANGE_APP_ID, GRAPH_APP_ID
from .model import Document, Tenant, load_yaml
from .tenants import MICROSOFT_TENANT

_POWERS: t.Final[Document] = load_yaml(pathlib.Path(__file__).with_name("powers.yml").read_text("utf-8"))
_GOVERNED: t.Final = ("Mail.", "Calendars.", "Contacts.", "MailboxSettings.")
_FREE: t.Final = ("MailboxItem.", "MailboxFolder.", "MailboxConfigItem.", "Mail-Advanced.", "MailTips.")
_CLAIMS: t.Final = {"IMAP.AccessAsApp": "imap", "POP.AccessAsApp": "pop", "SMTP.SendAsApp": "smtp"}
_SIGNED_IN: t.Final = {
    "EWS.AccessAsUser.All": "ews",
    "IMAP.AccessAsUser.All": "imap",
    "POP.AccessAsUser.All": "pop",
    "SMTP.Send": "smtp",
}
_Way = tuple[str, str, str]  # protocol, permission, model


class _Application:
    """One application under way."""

    def __init__(self, app_id: str, principal: Document | None) -> None:
        self.app_id, self.principal = app_id, principal
        self.everywhere: set[_Way] = set()
        self.boxes: dict[str, set[_Way]] = collections.defaultdict(set)
        self.closed: set[str] | None = None  # by every way that opens everything else
        self.dormant: set[str] = set()
        self.dormant_everywhere = False
        self.powers: set[tuple[str, str]] = set()
        self.people: set[str] = set()

    @property
    def awake(self) -> bool:
        return self.principal is not None and bool(self.principal["accountEnabled"])

    def opens(self, way: _Way, boxes: t.Iterable[str], *, all_but: bool = False, awake: bool = True) -> None:
        """``boxes``: those that are opened, or with ``all_but`` those that stay closed."""
        held = set(boxes)
        if not (awake and self.awake):
            self.dormant_everywhere |= all_but
            self.dormant |= set() if all_but else held
        elif all_but:
            self.everywhere.add(way)
            self.closed = held if self.closed is None else self.closed & held
        else:
            for box in held:
                self.boxes[box].add(way)


def whole(tenant: Tenant) -> list[Document]:
    """Every application with anything to tell, by its id."""
    boxes = {guid for guid, one in tenant.mailboxes.items() if one["RecipientTypeDetails"] in MAILBOX_TYPES}
    names = {guid: str(tenant.mailboxes[guid]["PrimarySmtpAddress"]) for guid in boxes}
    principals = {str(one["appId"]).lower(): one for one in tenant.service_principals.values()}
    pointers = {str(one["AppId"]).lower(): one for one in tenant.exchange_service_principals.values()}
    found = []
    for app_id in sorted({*principals, *pointers}):
        one = _Application(app_id, principals.get(app_id))
        values = _values(tenant, one.principal)
        _entra(tenant, one, values, boxes)
        _people_signing_in(tenant, one, boxes)
        if app_id in pointers:
            _exchange(tenant, one, pointers[app_id], values, boxes)
        _powers(tenant, one, pointers.get(app_id), values)
        _owners(tenant, one)
        shown = _shown(one, boxes, names)
        if shown["mailboxes"] or shown["everything"] or shown["dormant"] or shown["powers"]:
            found.append(shown)
    return found


def _shown(one: _Application, boxes: set[str], names: dict[str, str]) -> Document:
    opened = set(one.boxes)
    if one.everywhere:
        opened |= boxes - (one.closed or set())
    return {
        "appId": one.app_id,
        "mailboxes": sorted(names[guid] for guid in opened),
        "everything": bool(one.everywhere),
        "everywhere": sorted(map(list, one.everywhere)),
        "ways": {names[guid]: sorted(map(list, ways)) for guid, ways in one.boxes.items()},
        "dormant": bool(one.dormant - opened) or one.dormant_everywhere,
        "asleep": sorted(names[guid] for guid in one.dormant - opened),
        "powers": sorted(map(list, one.powers)),
        "people": sorted(one.people),
    }


def _values(tenant: Tenant, principal: Document | None) -> set[tuple[str, str]]:
    """(app id of the resource, value) of the application permissions."""
    found = set()
    for grant in tenant.app_role_assignments.values():
        if principal is None or grant["principalId"] != principal["id"]:
            continue
        resource = tenant.service_principals.get(grant["resourceId"]) or {"appRoles": [], "appId": ""}
        for role in resource["appRoles"]:
            if role["id"] == grant["appRoleId"]:
                found.add((str(resource["appId"]), str(role["value"])))
    return found


# ---- Entra ----------------------------------------------------------------------------------------------------------


def _entra(tenant: Tenant, one: _Application, values: set[tuple[str, str]], boxes: set[str]) -> None:
    policies = [
        policy
        for policy in tenant.application_access_policies.values()
        if str(policy["AppId"]).lower() in (one.app_id, "*") and policy["IsValid"]
    ]
    allowed: set[str] = set()
    denied: set[str] = set()
    for policy in policies:
        inside = _deep(tenant, policy["_scope"]) & boxes
        if policy["AccessRight"] == "DenyAccess":
            denied |= inside
        else:
            allowed |= inside
    restricted = any(policy["AccessRight"] != "DenyAccess" for policy in policies)
    for resource, value in values:
        if resource == EXCHANGE_APP_ID and value.startswith(_GOVERNED):
            one.opens(("graph", value, "tenant_wide"), (), all_but=True, awake=False)  # its API is gone
        elif resource == GRAPH_APP_ID and value.startswith(_FREE):
            one.opens(("graph", value, "tenant_wide"), (), all_but=True)
        elif value == "full_access_as_app" or (resource == GRAPH_APP_ID and value.startswith(_GOVERNED)):
            protocol = "ews" if value == "full_access_as_app" else "graph"
            way = (protocol, value, "application_access_policy" if policies else "tenant_wide")
            if restricted:
                one.opens(way, allowed - denied)
            else:
                one.opens(way, denied, all_but=True)
    if any(
        value == "full_access_as_app" or (of == GRAPH_APP_ID and value.startswith(_GOVERNED)) for of, value in values
    ):
        for policy in tenant.application_access_policies.values():
            if str(policy["AppId"]).lower() in (one.app_id, "*"):
                one.people |= _looking_after(tenant, policy["_scope"])


def _deep(tenant: Tenant, guid: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """The recipient itself and all that is in it, through groups in groups."""
    found = {guid}
    if guid in tenant.groups and guid not in seen:
        for member in tenant.groups[guid]["_members"]:
            found |= _deep(tenant, member, seen | {guid})
    return found


def _people_signing_in(tenant: Tenant, one: _Application, boxes: set[str]) -> None:
    for grant in tenant.oauth2_permission_grants.values():
        if one.principal is None or grant["clientId"] != one.principal["id"]:
            continue
        resource = str((tenant.service_principals.get(grant["resourceId"]) or {}).get("appId"))
        for scope in str(grant["scope"]).split():
            protocol = None
            if resource in (GRAPH_APP_ID, EXCHANGE_APP_ID):
                protocol = _SIGNED_IN.get(scope)
            if resource == GRAPH_APP_ID and scope.startswith((*_GOVERNED, "MailboxItem.", "MailboxFolder.")):
                protocol = "graph"
            if protocol is None:
                continue
            way = (protocol, scope, "delegated")
            if grant["consentType"] != "Principal":
                one.opens(way, (), all_but=True)
                continue
            own = {
                guid for guid in boxes if tenant.mailboxes[guid]["ExternalDirectoryObjectId"] == grant["principalId"]
            }
            one.opens(way, own)


# ---- Exchange -------------------------------------------------------------------------------------------------------


def _exchange(
    tenant: Tenant, one: _Application, pointer: Document, values: set[tuple[str, str]], boxes: set[str]
) -> None:
    leads = one.principal is not None and one.principal["id"] == pointer["ObjectId"]
    for assignment in tenant.role_assignments.values():
        if assignment["App"] != pointer["ObjectId"]:
            continue
        awake = leads and bool(assignment["Enabled"])
        inside, wide = _in_assignment(tenant, assignment, boxes)
        for permission in exchange_rbac.TEXTS["roles"].get(assignment["Role"], ()):
            protocol = {"EWS": "ews", "SMTP": "smtp"}.get(permission.partition(".")[0], "graph")
            way = (protocol, permission, "application_role")
            one.opens(way, () if wide else inside, all_but=wide, awake=awake)
    for resource, value in values:
        if resource == EXCHANGE_APP_ID and value in _CLAIMS:
            wanted = {"FullAccess", "SendAs"} if value == "SMTP.SendAsApp" else {"FullAccess"}
            held = {guid for guid in boxes if wanted & exchange_rbac.rights_of(tenant, guid, pointer["Sid"])}
            one.opens((_CLAIMS[value], value, "mailbox_permission"), held, awake=leads)


def _in_assignment(tenant: Tenant, assignment: Document, boxes: set[str]) -> tuple[set[str], bool]:
    """(the mailboxes in its scope, whether it is the whole organization)."""
    try:
        scope = exchange_rbac.scope_of(tenant, assignment)
    except KeyError:
        return set(), False
    if scope is None:
        return set(boxes), True
    return exchange_rbac.inside(tenant, scope, boxes), False


# ---- powers and people ----------------------------------------------------------------------------------------------


def _powers(tenant: Tenant, one: _Application, pointer: Document | None, values: set[tuple[str, str]]) -> None:
    limits = _limits(tenant, one, pointer)
    for resource, value in values:
        if resource != GRAPH_APP_ID:
            continue
        one.powers |= {(value, opens) for opens, names in _POWERS["graph"].items() if value in names}
        if _POWERS["limits"].get(value) in limits:
            one.powers.add((value, "itself"))
    manages = any(resource == EXCHANGE_APP_ID and value in _POWERS["manage"] for resource, value in values)
    if one.principal is not None:
        roles = {template: name for name, template in directory.permissions()["directory_roles"].items()}
        for template in circles.roles_of(tenant, one.principal):
            name = roles[template]
            one.powers |= {(name, opens) for opens, names in _POWERS["directory_roles"].items() if name in names}
            if manages and name in _POWERS["in_exchange"]:
                one.powers.add((name, "everything"))
        if one.principal["appOwnerOrganizationId"] == MICROSOFT_TENANT and (
            one.principal["passwordCredentials"] or one.principal["keyCredentials"]
        ):
            one.powers.add(("credentials", "everything"))
        if manages and pointer is not None and pointer["ObjectId"] == one.principal["id"]:
            for group in role_groups(tenant):
                if one.principal["id"] in group["members"]:
                    one.powers |= {(role, "everything") for role in group["roles"] if role in _POWERS["exchange_roles"]}


def _limits(tenant: Tenant, one: _Application, pointer: Document | None) -> set[str]:
    """The kinds of things that somebody else can write and that limit a role of the application."""
    found = set()
    for assignment in tenant.role_assignments.values():
        if pointer is None or assignment["App"] != pointer["ObjectId"] or assignment["_scope"] is None:
            continue
        if assignment["_scope"].startswith(circles.UNIT):
            found.add("unit")
            continue
        scope = tenant.management_scopes.get(assignment["_scope"])
        if assignment["RecipientWriteScope"] == "Group":
            guid = assignment["_scope"].rpartition("_")[2]
            found |= {"unified"} if guid in circles.unified(tenant) or guid in tenant.mailboxes else set()
            one.people |= _looking_after(tenant, guid)
        elif scope is not None:
            groups = [
                group for group in tenant.groups.values() if group["DistinguishedName"] in scope["RecipientFilter"]
            ]
            if "MemberOfGroup" not in scope["RecipientFilter"] or "-not" in scope["RecipientFilter"]:
                found.add("properties")
            else:
                for group in groups:
                    one.people |= _looking_after(tenant, group["Guid"])
    return found


def _looking_after(tenant: Tenant, guid: str) -> set[str]:
    """Object ids of who owns a group; the role group that owns it where nobody in particular does."""
    if guid in tenant.groups:
        group = tenant.groups[guid]
        owners = {_object_id(tenant, owner) for owner in group["_owners"]}
        return owners | ({""} if group.get("_by_organization") else set())
    return {_object_id(tenant, owner) for owner in circles.unified(tenant).get(guid, {}).get("owners", ())}


def _object_id(tenant: Tenant, guid: str) -> str:
    held = tenant.mailboxes.get(guid) or tenant.groups.get(guid) or {}
    return str(held.get("ExternalDirectoryObjectId", guid))


def _owners(tenant: Tenant, one: _Application) -> None:
    if one.principal is not None:
        one.people |= set(one.principal["_owners"])
    for app in tenant.applications.values():
        if str(app["appId"]).lower() == one.app_id:
            one.people |= set(app["_owners"])
