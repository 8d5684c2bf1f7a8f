# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant with applications that Exchange knows, and what they have on mailboxes there."""

from __future__ import annotations

import typing as t

from tests.emulator.testing import Emulator
from tests.integration.exchange_admin import at
from tests.integration.harness import DOMAIN, OPERATOR, TENANT_ID

APP, OTHER, NEW, WRONG, STRANGE = (f"1cb8b5d2-8724-4f32-8152-a16a230b682{digit}" for digit in "bcdef")
"""Known to Exchange; another one; not known to it; known by the registration's object id; with a stranger's secret."""

FAX, TELEFAX, SCAN, CONTROL, HELP, BRIEN = (
    at(name) for name in ("fax", "telefax", "scan", "AdeleV", "help", "o'brien")
)
DENIED, SHUT, CROWDED = (at(name) for name in ("denied", "shut", "crowded"))
NOBODY = "S-1-5-21-1-2-3-4711"
OURS_ONCE = "S-1-5-21-1-2-3-4712"


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
        }
    ],
    "mailboxes": [
        {"address": FAX, "display_name": "Digital Fax", "aliases": [TELEFAX]},
        {"address": SCAN, "display_name": "Scan", "type": "SharedMailbox"},
        {"address": CONTROL, "display_name": "Adele Vance"},
        {"address": HELP, "display_name": "Help", "type": "SharedMailbox", "user_principal_name": at("helplogin")},
        {"address": BRIEN, "display_name": "O'Brien $(whoami)"},
        {"address": DENIED, "display_name": "Denied"},
        {"address": SHUT, "display_name": "Shut", "imap": False, "pop": False, "smtp_auth": False},
        {"address": CROWDED, "display_name": "Crowded", "type": "SharedMailbox"},
        {"address": at("onprem"), "display_name": "On Premises", "type": "MailUser"},
        *({"address": at(f"user{number}"), "display_name": f"User {number}"} for number in range(14)),
    ],
    "groups": [{"name": "Sales", "alias": "sales", "members": [CONTROL]}],
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
    "mailbox_permissions": [
        {"mailbox": CONTROL, "app_id": OTHER, "rights": ["FullAccess", "SendAs"]},
        {"mailbox": FAX, "user": CONTROL, "rights": ["FullAccess"]},
        {"mailbox": DENIED, "app_id": APP, "rights": ["FullAccess"], "deny": True},
    ],
}
TENANT["operators"].append(
    {"client_id": "66666666-0000-4000-8000-000000000001", "client_secret": "s", "app_roles": ["Application.Read.All"]}
)
TENANTS: dict[str, t.Any] = {"tenants": [TENANT]}


def rights_in(emulator: Emulator, app_id: str = APP) -> dict[str, list[str]]:
    """What an application has, by the mailbox's address, as the emulator keeps it."""
    state = emulator.state(TENANT_ID)
    sids = {one["Sid"] for one in state["exchangeServicePrincipals"] if one["AppId"] == app_id}
    found: dict[str, set[str]] = {}
    for row in [*state["mailboxPermissions"], *state["recipientPermissions"]]:
        if row["Sid"] in sids and not row["Deny"]:
            found.setdefault(row["Identity"], set()).update(row["AccessRights"])
    return {address: sorted(rights) for address, rights in found.items()}
