# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant with applications, groups and scopes, some of them as others left them, and what became of them."""

from __future__ import annotations

import copy
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.recipient_filter import parse
from tests.emulator.testing import Emulator
from tests.integration.exchange_admin import admin, at
from tests.integration.harness import DOMAIN, OPERATOR, TENANT_ID, graph_as_a_person, run

APP, OTHER, NEW, WRONG, STRANGE = (f"2cb8b5d2-8724-4f32-8152-a16a230b682{digit}" for digit in "bcdef")
"""Known to Exchange; another one; not known to it; known by a wrong object id; with a stranger's owner."""

FAX, CONTROL, BOSS, BRIEN = (at(name) for name in ("fax", "AdeleV", "boss", "o'brien"))
GROUP, NAME = "fax.group", "Fax group (O'Brien)"
SCOPE = "Fax scope"
READ, WRITE, SEND, SMTP, EWS = (
    f"Application {name}" for name in ("Mail.Read", "Mail.ReadWrite", "Mail.Send", "SMTP.SendAsApp", "EWS.AccessAsApp")
)
EXCHANGE_ONLINE, MICROSOFT_GRAPH = "00000002-0000-0ff1-ce00-000000000000", "00000003-0000-0000-c000-000000000000"


def _application(app_id: str, name: str, **more: t.Any) -> dict[str, t.Any]:
    return {"appId": app_id, "displayName": name, "createdByAppId": OPERATOR["client_id"], **more}


TENANT: dict[str, t.Any] = {
    "id": TENANT_ID,
    "domains": [DOMAIN],
    "operators": [
        {
            "client_id": OPERATOR["client_id"],
            "client_secret": OPERATOR["client_secret"],
            "app_roles": [
                *("Exchange.ManageAsApp", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"),
                *("DelegatedPermissionGrant.ReadWrite.All", "Policy.Read.All"),
            ],
            "directory_roles": ["Exchange Administrator"],
        },
        {
            "client_id": "66666666-0000-4000-8000-000000000001",
            "client_secret": "s",
            "app_roles": ["Application.Read.All"],
        },
    ],
    "mailboxes": [
        {"address": FAX, "display_name": "Digital Fax"},
        {"address": BRIEN, "display_name": "O'Brien", "type": "SharedMailbox"},
        {"address": CONTROL, "display_name": "Adele Vance"},
        {"address": BOSS, "display_name": "The boss"},
        *({"address": at(f"user{number}"), "display_name": f"User {number}"} for number in range(5)),
    ],
    "groups": [
        {"name": NAME, "alias": GROUP, "members": [FAX, BRIEN]},
        {"name": "Other group", "alias": "other.group", "members": [CONTROL]},
        {"name": "Nested", "alias": "nested", "members": [FAX, "Other group"]},
        {"name": "List", "alias": "list", "type": "MailUniversalDistributionGroup", "members": [FAX]},
        {"name": "Team", "alias": "team", "type": "GroupMailbox"},
    ],
    "applications": [
        _application(APP, "Mail2DigitalFax"),
        _application(OTHER, "Another one"),
        _application(NEW, "Not known to Exchange"),
        _application(WRONG, "Wrongly known"),
        _application(STRANGE, "With a stranger", owners=["66666666-0000-4000-8000-000000000001"]),
    ],
    "exchange_service_principals": [
        {"app_id": APP, "display_name": "Mail2DigitalFax"},
        {"app_id": OTHER, "display_name": "Another one"},
        {"app_id": WRONG, "object_id": "99999999-0000-4000-8000-000000000009"},
        {"app_id": STRANGE},
    ],
    "management_scopes": [
        {"name": "Others' scope", "group": "Other group"},
        {"name": "Taken", "filter": "CustomAttribute1 -eq 'theirs'"},
    ],
    "role_assignments": [{"name": "theirs", "app_id": OTHER, "role": READ, "scope": "Others' scope"}],
}


def tenants(**more: t.Any) -> dict[str, t.Any]:
    """The tenants file, with other values of some keys."""
    return {"tenants": [{**copy.deepcopy(TENANT), **more}]}


def apply(emulator: Emulator, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    """One task of exchange_application_role, from a clear journal."""
    emulator.clear_journal()
    wanted = {"app_id": APP, "roles": [WRITE, SEND], "group": GROUP, "scope_name": SCOPE, "mailboxes": [FAX, BRIEN]}
    return run("exchange_application_role", {**wanted, **options}, emulator, check_mode)


def assigned(emulator: Emulator, app_id: str = APP) -> dict[str, tuple[str, str | None]]:
    """By name: (role, scope) of an application's enabled assignments, as the emulator keeps them."""
    state = emulator.state(TENANT_ID)
    [oid] = [one["ObjectId"] for one in state["exchangeServicePrincipals"] if one["AppId"] == app_id]
    return {
        one["Name"]: (one["Role"], one["CustomResourceScope"])
        for one in state["roleAssignments"]
        if one["App"] == oid and one["Enabled"]
    }


def filters(emulator: Emulator) -> dict[str, str]:
    return {one["Name"]: one["RecipientFilter"] for one in emulator.state(TENANT_ID)["managementScopes"]}


def dn_of(emulator: Emulator, alias: str = GROUP) -> str:
    [group] = [one for one in emulator.state(TENANT_ID)["groups"] if one["Alias"] == alias]
    return str(group["DistinguishedName"])


def holds_the_group(emulator: Emulator, scope: str = SCOPE) -> bool:
    return parse(filters(emulator)[scope]).holds(dn_of(emulator))


def too_wide(emulator: Emulator, declared: t.Sequence[str] = (FAX, BRIEN)) -> list[dict[str, t.Any]]:
    return emulator.exposures(app_id=APP, declared=declared)


def consent(emulator: Emulator, permission: str, resource: str = MICROSOFT_GRAPH, app_id: str = APP) -> None:
    """Somebody grants a permission in Entra by hand."""
    [ours] = _principals(emulator, app_id)
    [theirs] = _principals(emulator, resource, "id,appRoles")
    [role] = [one["id"] for one in theirs["appRoles"] if one["value"] == permission]
    body = {"principalId": ours["id"], "resourceId": theirs["id"], "appRoleId": role}
    graph_as_a_person(emulator, "POST", f"/servicePrincipals/{ours['id']}/appRoleAssignments", body)


def granted(emulator: Emulator, app_id: str = APP) -> int:
    [ours] = _principals(emulator, app_id)
    return len(graph_as_a_person(emulator, "GET", f"/servicePrincipals/{ours['id']}/appRoleAssignments")["value"])


def _principals(emulator: Emulator, app_id: str, select: str = "id") -> list[dict[str, t.Any]]:
    path = f"/servicePrincipals?$filter=appId eq '{app_id}'&$select={select}"
    return t.cast("list[dict[str, t.Any]]", graph_as_a_person(emulator, "GET", path)["value"])


def by_hand(emulator: Emulator, name: str = "by hand", role: str = WRITE, app_id: str = APP, **scope: str) -> None:
    """Somebody assigns a role."""
    admin(emulator, "New-ManagementRoleAssignment", Name=name, Role=role, App=app_id, **scope)
