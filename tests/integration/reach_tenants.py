# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tenants made by chance, with applications that get in by every kind of way at once."""

from __future__ import annotations

import random
import typing as t
import uuid

GRAPH, EXCHANGE = "00000003-0000-0000-c000-000000000000", "00000002-0000-0ff1-ce00-000000000000"
OPERATOR_ID = "11111111-0000-4000-8000-000000000001"
POWERS = (
    *("Exchange.ManageAsApp", "RoleManagement.ReadWrite.Exchange", "RoleManagement.ReadWrite.Directory"),
    *("AppRoleAssignment.ReadWrite.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy"),
    *("Group.ReadWrite.All", "AdministrativeUnit.ReadWrite.All", "User.ReadWrite.All", "eDiscovery.ReadWrite.All"),
    *("DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All", "Exchange.ManageAsAppV2"),
)
GRANTS = (
    *("Mail.Read", "Mail.ReadWrite", "Mail.Send", "Calendars.Read", "Contacts.Read", "MailboxSettings.ReadWrite"),
    *("full_access_as_app", "IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp", "IMAP.AccessAsApp"),
    *("MailboxItem.Read.All", "MailTips.ReadBasic.All", "Mail-Advanced.ReadWrite.All", "exchange_online:Mail.Read"),
    *("User.Read.All", "Directory.Read.All"),
)
ROLES = (
    *("Application Mail.Read", "Application SMTP.SendAsApp", "Application EWS.AccessAsApp", "Application Mail.Send"),
    *("Application Mail Full Access", "Application MailboxSettings.Read"),
)
DIRECTORY_ROLES = (
    *("Exchange Administrator", "Global Reader", "Global Administrator", "Exchange Recipient Administrator"),
    *("Application Administrator", "User Administrator", "Security Reader", "Compliance Administrator"),
)
SCOPES = ("Mail.Read", "Mail.Send", "User.Read", "Calendars.Read", "offline_access", "Contacts.Read", "Files.Read.All")
KINDS = ("UserMailbox", "UserMailbox", "UserMailbox", "SharedMailbox", "RoomMailbox", "EquipmentMailbox")


def tenant_of(seed: int) -> dict[str, t.Any]:
    """A tenant of the tenants file. The operator may read everything."""
    chance = random.Random(seed)
    key = uuid.uuid5(uuid.NAMESPACE_URL, f"reach {seed}")
    domain = f"reach{seed}.onmicrosoft.com"
    boxes = [f"box{number}@{domain}" for number in range(chance.randint(3, 7))]
    people = [f"person{number}@{domain}" for number in range(2)]
    apps = [str(uuid.uuid5(key, f"app {number}")) for number in range(chance.randint(4, 8))]
    mailboxes = [
        {
            "address": box,
            "display_name": f"Box {number}",
            "type": chance.choice(KINDS),
            "aliases": [f"alias{number}@{domain}"] if chance.random() < 0.3 else [],
        }
        for number, box in enumerate(boxes)
    ]
    mailboxes += [{"address": one, "display_name": f"Person {number}"} for number, one in enumerate(people)]
    mailboxes.append({"address": f"away@{domain}", "display_name": "Away", "type": "MailUser"})
    groups = _groups(chance, domain, boxes, people)
    secure = [one for one in groups if one.get("type") in (None, "MailUniversalSecurityGroup")]
    made: dict[str, t.Any] = {
        "id": str(key),
        "domains": [domain],
        "operators": [
            {
                "client_id": OPERATOR_ID,
                "client_secret": "operator-secret",
                "app_roles": ["Application.Read.All", "Directory.Read.All", "Exchange.ManageAsApp"],
                "directory_roles": ["Exchange Administrator"],
            }
        ],
        "service_principals": chance.choice([0, 0, 3, 120]),
        "mailboxes": mailboxes,
        "groups": groups,
        "administrative_units": [
            {"name": f"unit {number}", "members": chance.sample([*boxes, *people], chance.randint(0, 3))}
            for number in range(2)
        ],
        "applications": [_application(chance, app, number, apps, people) for number, app in enumerate(apps)],
        "resource_credentials": {
            resource: [{"displayName": "who knows"}] for resource in (GRAPH, EXCHANGE) if chance.random() < 0.08
        },
        "policies": _policies(chance, apps, secure, boxes),
        "role_groups": [
            {"name": name, "members": chance.sample(apps, 1)}
            for name in ("Organization Management", "Recipient Management", "Discovery Management", "Security Reader")
            if chance.random() < 0.25
        ],
        "entra_groups": [
            {"name": "helpers", "members": chance.sample(apps, 2), "directory_roles": [chance.choice(DIRECTORY_ROLES)]}
            for _once in range(1)
            if chance.random() < 0.3
        ],
        "switches": {
            "unknown_service_principal": chance.choice(["404", "400", "everything"]),
            "trustee_form": chance.choice(["Name", "DisplayName", "Sid"]),
            "filters_as_sent": chance.random() < 0.5,
        },
    }
    pointed = [app for app in apps if chance.random() < 0.75]
    made["exchange_service_principals"] = [
        {"app_id": app, "display_name": f"Pointer {number}"}
        | ({"object_id": str(uuid.uuid5(key, f"wrong {app}"))} if chance.random() < 0.1 else {})
        for number, app in enumerate(pointed)
    ]
    made["management_scopes"] = _scopes(chance, domain, boxes, groups)
    made["role_assignments"] = _assignments(chance, pointed, made)
    made["mailbox_permissions"] = _rights(chance, pointed, boxes)
    return made


def _groups(chance: random.Random, domain: str, boxes: list[str], people: list[str]) -> list[dict[str, t.Any]]:
    """Groups in groups, some in a circle, some of kinds that nobody can look into, some deleted since."""
    groups: list[dict[str, t.Any]] = []
    for number in range(chance.randint(2, 6)):
        members = chance.sample([*boxes, *people], chance.randint(0, 3))
        members += [f"g{chance.randrange(number)}@{domain}"] if number and chance.random() < 0.5 else []
        members += [f"away@{domain}"] if chance.random() < 0.2 else []
        groups.append(
            {
                "name": f"Group {number}",
                "alias": f"g{number}",
                "address": f"g{number}@{domain}",
                "members": members,
                "managed_by": chance.sample(people, chance.randint(0, 1)),
                **({"type": "MailUniversalDistributionGroup"} if chance.random() < 0.2 else {}),
                **({"deleted": True} if chance.random() < 0.1 else {}),
            }
        )
    groups.append(
        {
            "name": "Team",
            "alias": "team",
            "type": "GroupMailbox",
            "members": chance.sample([*boxes, *people], chance.randint(0, 3)),
            "managed_by": chance.sample(people, 1),
        }
    )
    return groups


def _application(chance: random.Random, app: str, number: int, apps: list[str], people: list[str]) -> dict[str, t.Any]:
    wanted = chance.sample(GRANTS, chance.randint(0, 4))
    wanted += chance.sample(POWERS, chance.randint(0, 2)) if chance.random() < 0.4 else []
    made: dict[str, t.Any] = {
        "appId": app,
        "displayName": chance.choice([f"App {number}", "Twin"]),
        "app_roles": list(dict.fromkeys(wanted)),
        "directory_roles": [chance.choice(DIRECTORY_ROLES)] if chance.random() < 0.3 else [],
        "owners": chance.sample([*people, *apps[:number]], chance.randint(0, 1)),
        "delegated": [],
        "accountEnabled": chance.random() < 0.9,
    }
    if chance.random() < 0.15:
        made["principal"] = {"servicePrincipalType": "ManagedIdentity"}
    users = [None, *people]
    for user in chance.sample(users, chance.randint(0, 2)) if chance.random() < 0.4 else []:
        grant: dict[str, t.Any] = {"scopes": chance.sample(SCOPES, chance.randint(1, 3))}
        if chance.random() < 0.2:
            grant = {"scopes": ["EWS.AccessAsUser.All"], "resource": EXCHANGE}
        made["delegated"].append({**grant, **({"user": user} if user else {})})
    return made


def _policies(
    chance: random.Random, apps: list[str], secure: list[dict[str, t.Any]], boxes: list[str]
) -> list[dict[str, t.Any]]:
    found: dict[tuple[str, str], dict[str, t.Any]] = {}
    for app in apps:
        for right in ("RestrictAccess", "DenyAccess", "RestrictAccess"):
            if chance.random() < 0.25:
                group = str(chance.choice(secure)["name"]) if secure and chance.random() < 0.9 else "Person 0"
                group = "person0@" + boxes[0].partition("@")[2] if group == "Person 0" else group
                policy = {"app_id": app, "group": group, "access_right": right, "is_valid": chance.random() < 0.9}
                found.setdefault((app, group), policy)
    if chance.random() < 0.15 and secure:
        found["*", "*"] = {
            "app_id": "*",
            "group": chance.choice(secure)["name"],
            "access_right": chance.choice(["RestrictAccess", "DenyAccess"]),
        }
    return list(found.values())


def _scopes(
    chance: random.Random, domain: str, boxes: list[str], groups: list[dict[str, t.Any]]
) -> list[dict[str, t.Any]]:
    living = [one["name"] for one in groups if one.get("type") != "GroupMailbox"]
    scopes: list[dict[str, t.Any]] = [{"name": f"scope {name}", "group": name} for name in living]
    texts = [
        f"PrimarySmtpAddress -eq '{boxes[0]}'",
        "RecipientTypeDetails -eq 'SharedMailbox'",
        "DisplayName -like 'Box*'",
        f"(Alias -eq 'box1') -and -not(PrimarySmtpAddress -eq '{boxes[1]}')",
        f"PrimarySmtpAddress -eq '{boxes[1]}' -or Alias -eq 'person0'",
        "MemberOfGroup -eq 'CN=nobody,OU=nowhere'",
    ]
    scopes += [{"name": f"filter {number}", "filter": text} for number, text in enumerate(texts)]
    return scopes


def _assignments(chance: random.Random, pointed: list[str], made: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    pointers = {one["app_id"]: one for one in made["exchange_service_principals"]}
    found = []
    for app in pointed:
        for role in ROLES:
            for number in range(2):
                if chance.random() > 0.15:
                    continue
                limit: dict[str, t.Any] = chance.choice(
                    [
                        {"scope": chance.choice(made["management_scopes"])["name"]},
                        {"scope": chance.choice(made["management_scopes"])["name"]},
                        {"group": chance.choice([one for one in made["groups"] if not one.get("deleted")])["name"]},
                        {"group": "Team"},
                        {"unit": chance.choice(made["administrative_units"])["name"]},
                        {},
                    ]
                )
                found.append(
                    {
                        "app_id": pointers[app].get("object_id") or app,
                        "name": f"{role[12:]} {number} {app[:8]}",
                        "role": role,
                        "enabled": chance.random() < 0.85,
                        **limit,
                    }
                )
    return found


def _rights(chance: random.Random, pointed: list[str], boxes: list[str]) -> list[dict[str, t.Any]]:
    found = []
    for app in pointed:
        for box in boxes:
            rights = [right for right in ("FullAccess", "SendAs", "ReadPermission") if chance.random() < 0.2]
            if rights:
                found.append({"app_id": app, "mailbox": box, "rights": rights})
            if chance.random() < 0.07:
                found.append({"app_id": app, "mailbox": box, "rights": ["FullAccess"], "deny": True})
    for box in boxes:
        if chance.random() < 0.2:
            found.append({"sid": "S-1-5-21-1-2-3-4567", "mailbox": box, "rights": ["FullAccess"]})
    return found
