# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant in which every model lets an application into one mailbox, and what else tests of mail need."""

from __future__ import annotations

import typing as t

from tests.emulator.testing import Emulator

TENANT = "5f3c1c5e-7e1c-4b43-9a51-0b2f3f1d8a01"
DOMAIN = "contoso.onmicrosoft.com"
FAX, OTHER, SHARED, NOBODY = f"fax@{DOMAIN}", f"other@{DOMAIN}", f"reception@{DOMAIN}", f"nobody@{DOMAIN}"
SECRET = "mail-secret"
EXCHANGE, GRAPH = "https://outlook.office365.com", "https://graph.microsoft.com"


def app(number: int) -> str:
    return f"22222222-0000-4000-8000-{number:012d}"


RIGHT = app(1)  # model C: the permissions of all three protocols, and rights on FAX
ROLE = app(2)  # model B: the role for SMTP on FAX, and nothing in its token
GRANT = app(3)  # the permissions alone
BOTH = app(4)  # SMTP.SendAsApp in the token and the role, but no right
BARE_RIGHT = app(5)  # rights on FAX, nothing in the token
NO_POINTER = app(6)  # permissions and no pointer
WRONG_POINTER = app(7)  # permissions, and a pointer with the object id of the registration
NOTHING = app(8)
WIDE = app(9)  # model D: Graph's permissions and EWS's for everybody
POLICY = app(10)  # model A: the same, limited to FAX
SCOPED = app(11)  # model B: Graph's and EWS's roles on FAX
BASIC = app(12)  # headers only
OPERATOR = app(99)
_MAIL = ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"]
_GRAPH = ["Mail.ReadWrite", "Mail.Send", "Calendars.Read", "MailboxSettings.Read", "full_access_as_app"]
_ROLES = [
    *("Application Mail.ReadWrite", "Application Mail.Send", "Application Calendars.Read"),
    *("Application MailboxSettings.Read", "Application EWS.AccessAsApp"),
]


def _operator(client_id: str, *roles: str, **more: t.Any) -> dict[str, t.Any]:
    return {"client_id": client_id, "client_secret": SECRET, "app_roles": list(roles), **more}


def tenant(**more: t.Any) -> dict[str, t.Any]:
    """An entry of a tenants file; ``more`` replaces keys of it."""
    return {
        "id": TENANT,
        "domains": [DOMAIN],
        "operators": [
            *(_operator(name, *_MAIL) for name in (RIGHT, GRANT, NO_POINTER, WRONG_POINTER)),
            _operator(BOTH, "SMTP.SendAsApp"),
            *(_operator(name) for name in (ROLE, BARE_RIGHT, NOTHING, SCOPED)),
            *(_operator(name, *_GRAPH) for name in (WIDE, POLICY)),
            _operator(BASIC, "Mail.ReadBasic.All"),
            _operator(
                OPERATOR,
                *("Exchange.ManageAsApp", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All"),
                directory_roles=["Exchange Administrator"],
            ),
        ],
        "mailboxes": [
            {"address": FAX, "display_name": "Digital Fax", "aliases": [f"telefax@{DOMAIN}"], "smtp_auth": True},
            {"address": OTHER, "display_name": "Somebody Else", "smtp_auth": True},
            {"address": SHARED, "display_name": "Reception", "type": "SharedMailbox"},
            {"address": f"off@{DOMAIN}", "display_name": "Off", "imap": False, "pop": False, "smtp_auth": False},
            {"address": f"poor@{DOMAIN}", "display_name": "Poor", "licence": "none", "smtp_auth": True},
        ],
        "groups": [{"name": "Fax", "alias": "fax-group", "members": [FAX]}],
        "policies": [{"app_id": POLICY, "group": "fax-group"}],
        "exchange_service_principals": [
            *({"app_id": name} for name in (RIGHT, ROLE, GRANT, BOTH, BARE_RIGHT, SCOPED)),
            {"app_id": WRONG_POINTER, "object_id": "99999999-0000-4000-8000-000000000001"},
        ],
        "management_scopes": [{"name": "Fax scope", "group": "fax-group"}],
        "role_assignments": [
            *(
                {"name": f"SMTP {n}", "app_id": name, "role": "Application SMTP.SendAsApp", "scope": "Fax scope"}
                for n, name in enumerate((ROLE, BOTH))
            ),
            *({"name": role, "app_id": SCOPED, "role": role, "scope": "Fax scope"} for role in _ROLES),
        ],
        "mailbox_permissions": [
            {"mailbox": box, "app_id": name, "rights": ["FullAccess"]}
            for box in (FAX, f"off@{DOMAIN}", f"poor@{DOMAIN}")
            for name in (RIGHT, BARE_RIGHT, WRONG_POINTER)
        ],
        **more,
    }


def token(emulator: Emulator, client_id: str, resource: str = EXCHANGE) -> str:
    return emulator.token(TENANT, client_id, SECRET, resource)


def invoke(emulator: Emulator, cmdlet: str, **parameters: t.Any) -> list[dict[str, t.Any]]:
    """A cmdlet by the operator."""
    with emulator.session() as session:
        answer = session.post(
            f"{EXCHANGE}/adminapi/beta/{TENANT}/InvokeCommand",
            json={"CmdletInput": {"CmdletName": cmdlet, "Parameters": parameters}},
            headers={"Authorization": f"Bearer {token(emulator, OPERATOR)}"},
            timeout=30,
        )
    assert answer.status_code == 200, answer.text
    return t.cast("list[dict[str, t.Any]]", answer.json()["value"])
