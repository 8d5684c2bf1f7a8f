# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles of somebody else's, as a test needs them."""

from __future__ import annotations

import typing as t

Json = dict[str, t.Any]
POLICY, ROLE, RIGHT, WIDE = "application_access_policy", "application_role", "mailbox_permission", "tenant_wide"
PERMISSION = {
    "ews": "full_access_as_app",
    "imap": "IMAP.AccessAsApp",
    "pop": "POP.AccessAsApp",
    "smtp": "SMTP.SendAsApp",
    "graph": "Mail.ReadWrite",
}


def access(protocol: str, model: str, *permissions: str, **more: t.Any) -> Json:
    """One access, called as its protocol."""
    listed = list(permissions or (PERMISSION[protocol],))
    return {"id": protocol, "protocol": protocol, "permissions": listed, "scoping": model, **more}


def profile(*accesses: Json, **more: t.Any) -> Json:
    """A document of format 2, named ``ours``."""
    return {
        "format": 2,
        "name": "ours",
        "version": "1.0",
        "title": "Our fax server",
        "status": "supported",
        "checked": "2026-11-28",
        "vendor": {
            "name": "We",
            "product": "Our fax server",
            "document": {"title": "Our manual", "date": "2026-11-01", "url": "https://fax.example/manual"},
        },
        "names": {
            "unique_name": "mail2fax-ours",
            "application": "Our fax server",
            "secret": "OurFaxSecret",
            "group": "Our fax mailboxes",
            "group_alias": "our.fax",
            "policy_description": "Our fax mailboxes alone",
            "scope": "our-fax",
        },
        "delegated": ["User.Read"],
        "accesses": list(accesses),
        "handover": {
            "form": "our form",
            "fields": [
                {"name": "Client", "value": "application_id"},
                {"name": "Tenant", "value": "tenant_id"},
                {"name": "Secret", "value": "client_secret"},
            ],
        },
        "errors": [{"seen": "nothing", "means": "nothing", "call": "fax", "cure": "Wait."}],
        **more,
    }
