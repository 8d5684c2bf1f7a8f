# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant with every kind of recipient, and somebody else who changes things in its Exchange."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.emulator.testing import Emulator
from tests.integration.harness import DOMAIN, EXCHANGE, OPERATOR, TENANT_ID, requests_to
from tests.integration.transports import somebody_else

APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
OTHER_APP = "2cb8b5d2-8724-4f32-8152-a16a230b682b"
NAME, ALIAS = "Imagicle Digital Fax", "imagicle.digital.fax"


def at(local: str) -> str:
    return f"{local}@{DOMAIN}"


FAX, ADELE, LEE, LIDIA, HELP = (at(local) for local in ("fax", "AdeleV", "LeeG", "LidiaH", "help"))

TENANTS: dict[str, t.Any] = {
    "tenants": [
        {
            "id": TENANT_ID,
            "domains": [DOMAIN],
            "operators": [
                {
                    "client_id": OPERATOR["client_id"],
                    "client_secret": OPERATOR["client_secret"],
                    "app_roles": ["Exchange.ManageAsApp", "Application.Read.All"],
                    "directory_roles": ["Exchange Administrator"],
                },
                {
                    "client_id": "11111111-0000-4000-8000-000000000002",
                    "client_secret": "no-role",
                    "app_roles": ["Exchange.ManageAsApp"],
                    "directory_roles": [],
                },
            ],
            "mailboxes": [
                {"address": FAX, "display_name": "Digital Fax", "aliases": [at("telefax")]},
                {"address": ADELE, "display_name": "Adele Vance"},
                {"address": LEE, "display_name": "Lee Gu"},
                {"address": LIDIA, "display_name": "Lidia Holloway"},
                {
                    "address": HELP,
                    "display_name": "Help",
                    "type": "SharedMailbox",
                    "user_principal_name": at("helplogin"),
                },
                {"address": at("room1"), "display_name": "Room 1", "type": "RoomMailbox"},
                {"address": at("o'brien"), "display_name": "O'Brien $(whoami) \u202e"},
                {"address": "partner@elsewhere.example", "display_name": "Partner", "type": "MailContact"},
                {"address": at("onprem"), "display_name": "On Premises", "type": "MailUser"},
                {"address": at("team"), "display_name": "Team", "type": "GroupMailbox"},
                *({"address": at(f"user{number}"), "display_name": f"User {number}"} for number in range(6)),
                {"address": at("everybody"), "display_name": "Everybody", "type": "DynamicDistributionGroup"},
            ],
            "groups": [
                {"name": "Sales", "alias": "sales", "type": "MailUniversalDistributionGroup", "members": [ADELE]},
                {"name": "VIP", "alias": "vip", "members": [LEE, LIDIA]},
                {"name": "Synced", "alias": "synced", "members": [FAX], "dir_synced": True, "hidden": True},
            ],
        }
    ]
}


def admin(emulator: Emulator, cmdlet: str, **parameters: t.Any) -> list[dict[str, t.Any]]:
    """Somebody else runs a cmdlet."""
    if "DistributionGroup" in cmdlet and not cmdlet.startswith(("Get-", "New-")):
        parameters["BypassSecurityGroupManagerCheck"] = True
    tenant = Tenant({**OPERATOR, "patience": 20}, environment=emulator.env())
    # What the collection must never send, somebody else may.
    asked = object.__new__(Cmdlet)
    given = {"name": cmdlet, "parameters": parameters, "purpose": "play somebody else", "limit": None}
    for name, value in given.items():
        object.__setattr__(asked, name, value)
    with somebody_else(emulator):
        return tenant.exchange.invoke_many([asked])[0].objects()


def sent(emulator: Emulator) -> list[str]:
    """The requests to Exchange since the journal was cleared, by cmdlet; a batch is one."""
    return [row["cmdlet"] or "$batch" for row in requests_to(emulator, EXCHANGE)]


def changes(emulator: Emulator) -> list[str]:
    """The cmdlets among them that change something, those inside batches too."""
    rows = [row["cmdlet"] for row in emulator.journal() if row["host"] == EXCHANGE and row["cmdlet"]]
    return [cmdlet for cmdlet in rows if not cmdlet.startswith(("Get-", "Test-", "$"))]


def group_in(emulator: Emulator, alias: str = ALIAS) -> dict[str, t.Any] | None:
    groups = emulator.state(TENANT_ID)["groups"]
    return next((group for group in groups if group["Alias"].lower() == alias.lower()), None)


def policies_in(emulator: Emulator) -> list[dict[str, t.Any]]:
    return t.cast("list[dict[str, t.Any]]", emulator.state(TENANT_ID)["applicationAccessPolicies"])
