# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tenants in which something stands in the way of application roles, rights on mailboxes or mail protocols."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import assignment_name

Json = dict[str, t.Any]

APP = "aaaaaaaa-0000-4000-8000-000000000001"
OTHER = "aaaaaaaa-0000-4000-8000-000000000002"
ROLES = [
    *("Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All"),
    *("Directory.Read.All", "Policy.Read.All", "Exchange.ManageAsApp"),
]
NAME, ALIAS, SCOPE = "Mail2Fax", "mail2fax.scope", "Mail2Fax scope"
IMAP = {"id": "imap", "protocol": "imap", "permissions": ["IMAP.AccessAsApp"], "scoping": "mailbox_permission"}
SMTP = {"id": "smtp", "protocol": "smtp", "permissions": ["SMTP.SendAsApp"], "scoping": "mailbox_permission"}
SMTP_ROLE = {**SMTP, "scoping": "application_role", "roles": ["Application SMTP.SendAsApp"]}
MAIL = {
    "id": "mail",
    "protocol": "graph",
    "permissions": ["Mail.ReadWrite", "Mail.Send"],
    "scoping": "application_role",
    "roles": ["Application Mail.ReadWrite", "Application Mail.Send"],
}
EWS_ROLE = {"id": "ews", "protocol": "ews", "permissions": ["full_access_as_app"], "scoping": "application_role"}
WIDE = {"id": "mail", "protocol": "graph", "permissions": ["Mail.Send"], "scoping": "tenant_wide"}
PERMISSIONS: dict[str, list[str]] = {"imap": ["IMAP.AccessAsApp"], "both": ["IMAP.AccessAsApp", "SMTP.SendAsApp"]}

NUMBERS = iter(range(1, 1000))
TENANTS: list[Json] = []


def people(domain: str, **changes: Json) -> list[Json]:
    names = ("fax", "adele", "bob", "info")
    return [{"address": f"{name}@{domain}", "display_name": name.title(), **changes.get(name, {})} for name in names]


def tenant(**keys: t.Any) -> int:
    """Adds a tenant with the application, unless ``application`` is None; its number."""
    number = next(NUMBERS)
    domain = f"p{number}.example"
    operator = f"11111111-0000-4000-8000-{number:012}"
    application = keys.pop("application", {})
    made = {"appId": APP, "displayName": NAME, "uniqueName": "mail2fax", "createdByAppId": operator}
    TENANTS.append(
        {
            "id": f"99999999-0000-4000-8000-{number:012}",
            "domains": [domain],
            "operators": [
                {
                    "client_id": operator,
                    "client_secret": "operator-secret",
                    "display_name": "Provisioning operator",
                    "app_roles": keys.pop("operator_roles", ROLES),
                    "directory_roles": keys.pop("directory_roles", ["Exchange Administrator"]),
                }
            ],
            "mailboxes": people(domain, **keys.pop("people", {})),
            "applications": [] if application is None else [{**made, **application}],
            **{key: value(domain) if callable(value) else value for key, value in keys.items()},
        }
    )
    return number


OPEN = tenant(transport_config={"SmtpClientAuthenticationDisabled": False})
SHUT = tenant(people={"fax": {"type": "SharedMailbox", "imap": False, "pop": False}, "adele": {"imap": False}})
OWN = tenant(people={"fax": {"type": "SharedMailbox", "smtp_auth": False}, "adele": {"smtp_auth": True}})
LICENCES = tenant(
    people={
        "fax": {"licence": "none"},
        "adele": {"licence": "F3", "imap": False},
        "bob": {"licence": "E3"},
        "info": {"licence": "none", "type": "SharedMailbox"},
    },
    transport_config={"SmtpClientAuthenticationDisabled": False},
)
EMPTY = tenant(application=None, transport_config={"SmtpClientAuthenticationDisabled": False})
UNIFIED = tenant(groups=[{"name": "Fax team", "alias": ALIAS, "type": "GroupMailbox"}])


def scoped(*roles: str, **keys: t.Any) -> Json:
    """What a run leaves of application roles: pointer, group, scope, assignments."""
    return {
        "groups": lambda domain: [
            {"name": "Mail2Fax scope", "alias": ALIAS, "members": [f"fax@{domain}"], "managed_by": []}
        ],
        "exchange_service_principals": [{"app_id": APP, "display_name": NAME}],
        "management_scopes": [{"name": SCOPE, "group": "Mail2Fax scope"}],
        "role_assignments": [
            {"name": assignment_name(APP, role), "app_id": APP, "role": role, "scope": SCOPE} for role in roles
        ],
        **keys,
    }


def rights(*names: str, more: t.Sequence[Json] = ()) -> t.Callable[[str], list[Json]]:
    """FullAccess and SendAs of the application on mailboxes."""
    return lambda domain: [
        *({"mailbox": f"{name}@{domain}", "app_id": APP, "rights": ["FullAccess", "SendAs"]} for name in names),
        *({**one, "mailbox": f"{one['mailbox']}@{domain}"} for one in more),
    ]


POINTED: Json = {"exchange_service_principals": [{"app_id": APP, "display_name": NAME}]}
SMTP_OPEN: Json = {"transport_config": {"SmtpClientAuthenticationDisabled": False}}
BY_ROLE = tenant(**scoped(*MAIL["roles"]))
BY_SMTP_ROLE = tenant(**scoped(*SMTP_ROLE["roles"]), **SMTP_OPEN)
BY_RIGHT = tenant(**POINTED, **SMTP_OPEN, mailbox_permissions=rights("fax"))
LARGE_NAMES = [f"user{number}" for number in range(7)]
LARGE = tenant(
    **POINTED,
    **SMTP_OPEN,
    service_principals=300,
    mailboxes=lambda domain: [
        *people(domain),
        *({"address": f"user{number}@{domain}", "display_name": f"User {number}"} for number in range(120)),
    ],
    mailbox_permissions=rights("fax", *LARGE_NAMES),
)
ORPHAN = "S-1-5-21-1-2-3-4711"
DENIED = tenant(
    **POINTED,
    mailbox_permissions=rights(more=[{"mailbox": "fax", "app_id": APP, "rights": ["FullAccess"], "deny": True}]),
)
FURTHER = tenant(
    **POINTED,
    **SMTP_OPEN,
    mailbox_permissions=rights("fax", "info", more=[{"mailbox": "fax", "sid": ORPHAN, "rights": ["FullAccess"]}]),
)
REGISTRATION = "dddddddd-0000-4000-8000-000000000001"
STRANGERS: list[Json] = [
    {"app_id": OTHER, "object_id": "eeeeeeee-0000-4000-8000-000000000001", "display_name": "Somebody's"},
    {"app_id": "bbbbbbbb-0000-4000-8000-000000000003", "object_id": "eeeeeeee-0000-4000-8000-000000000002"},
]
WRONG = tenant(
    application={"id": REGISTRATION},
    exchange_service_principals=[{"app_id": APP, "object_id": REGISTRATION, "display_name": NAME}],
    **SMTP_OPEN,
    mailbox_permissions=rights("fax"),
)
GONE = tenant(
    application={"service_principal": False},
    exchange_service_principals=[{"app_id": APP, "object_id": "eeeeeeee-0000-4000-8000-000000000009"}],
)
ANSWERS = {
    answer: tenant(
        exchange_service_principals=STRANGERS,
        switches={"unknown_service_principal": answer},
        **SMTP_OPEN,
    )
    for answer in ("404", "400", "everything")
}
FOREIGN_SCOPE: Json = {"management_scopes": [{"name": SCOPE.upper(), "filter": "CustomAttribute1 -eq 'fax'"}]}
TAKEN = tenant(application=None, **FOREIGN_SCOPE)
TAKEN_AND_USED = tenant(
    **FOREIGN_SCOPE,
    exchange_service_principals=[*STRANGERS, {"app_id": APP}],
    role_assignments=[{"name": "theirs", "app_id": OTHER, "role": "Application Mail.Read", "scope": SCOPE.upper()}],
)
WIDE_OPEN = tenant(**scoped(*MAIL["roles"]))
TENANTS[-1]["role_assignments"].append(
    {"name": "by hand", "app_id": APP, "role": "Application Mail.ReadWrite", "scope": None}
)
ANOTHER_TOOL = tenant(**scoped(*MAIL["roles"]))
TENANTS[-1]["management_scopes"].append({"name": "tool", "filter": "CustomAttribute1 -eq 'x'"})
TENANTS[-1]["role_assignments"].append(
    {"name": "tool's", "app_id": APP, "role": "Application Calendars.Read", "scope": "tool"}
)
GRANTED = {
    name: tenant(application={"app_roles": [name]}, **scoped(*MAIL["roles"]))
    for name in ("Mail.ReadWrite", "Mail.Read", "full_access_as_app", "Calendars.Read")
}
POLICED = tenant(application={"app_roles": ["Mail.Read"]}, **scoped(*MAIL["roles"]))
TENANTS[-1]["policies"] = [{"app_id": APP, "group": "Mail2Fax scope"}]
POLICED_TOO_FAR = tenant(application={"app_roles": ["Mail.Read"]}, **scoped(*MAIL["roles"]))
TENANTS[-1]["groups"].append({"name": "Everybody", "members": [f"bob@p{POLICED_TOO_FAR}.example"]})
TENANTS[-1]["policies"] = [{"app_id": APP, "group": name} for name in ("Mail2Fax scope", "Everybody")]
SMTP_GRANTED = tenant(application={"app_roles": ["SMTP.SendAsApp"]}, **scoped(*SMTP_ROLE["roles"]), **SMTP_OPEN)
POOR = tenant(
    application={"app_roles": ["Mail.Read"]},
    operator_roles=[name for name in ROLES if name != "AppRoleAssignment.ReadWrite.All"],
    **scoped(*MAIL["roles"]),
)
NEVER = tenant(application=None, dehydrated=True, **SMTP_OPEN)
NEVER_AND_DONE = tenant(**scoped(*MAIL["roles"]), dehydrated=True)
EVERYTHING = tenant(
    application={"app_roles": ["Mail.Send"]},
    dehydrated=True,
    **POINTED,
    **FOREIGN_SCOPE,
    role_assignments=[{"name": "by hand", "app_id": APP, "role": "Application Mail.Read", "scope": None}],
)
NESTED = tenant(**scoped(*MAIL["roles"]))
TENANTS[-1]["groups"].append({"name": "Inner", "members": [f"bob@p{NESTED}.example"]})
# The outer one is made after the inner one.
TENANTS[-1]["groups"].reverse()
TENANTS[-1]["groups"][-1]["members"].append("Inner")
SHARED = tenant(**scoped(*MAIL["roles"]))
TENANTS[-1]["applications"].append({"appId": OTHER, "displayName": "Ticket system"})
TENANTS[-1]["exchange_service_principals"].append({"app_id": OTHER})
TENANTS[-1]["role_assignments"].append(
    {"name": "theirs", "app_id": OTHER, "role": "Application Mail.Read", "scope": SCOPE}
)
MANY = tenant(
    **POINTED,
    **SMTP_OPEN,
    mailboxes=lambda domain: [
        *people(domain),
        *({"address": f"o'line{number}@{domain}", "display_name": f"Line {number}"} for number in range(60)),
    ],
)
RENAMED = tenant(**scoped(*MAIL["roles"]))
TENANTS[-1]["management_scopes"] = [
    {"name": SCOPE, "filter": "MemberOfGroup -eq 'CN=Fax of old,OU=t1,DC=EURPR99A001,DC=PROD,DC=OUTLOOK,DC=COM'"}
]
LEFT_BEHIND = tenant(
    application=None,
    exchange_service_principals=[{"app_id": OTHER, "object_id": "eeeeeeee-0000-4000-8000-000000000001"}],
    management_scopes=[{"name": "Old", "filter": "MemberOfGroup -eq 'CN=Mail2Fax scope,OU=t1,DC=x,DC=COM'"}],
    role_assignments=[{"name": "theirs", "app_id": OTHER, "role": "Application Mail.Read", "scope": "Old"}],
)
