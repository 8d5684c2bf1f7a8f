# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Graph: the log of sign-ins, for tenants that are licensed for it (``sign_in_logs: true`` in the tenants file)."""

from __future__ import annotations

import uuid

from .graph_base import GraphError, Request, kind, listing, route
from .model import Answer, Document

SIGN_IN = kind(
    "signIn",
    "auditLogs/signIns",
    {"id", "appId", "createdDateTime", "resourceId", "signInEventTypes", "status"},
)
RESOURCES = {
    "https://outlook.office365.com": "00000002-0000-0ff1-ce00-000000000000",
    "https://graph.microsoft.com": "00000003-0000-0000-c000-000000000000",
}


@route("GET", "auditLogs/signIns", {"AuditLog.Read.All"})
def sign_ins(request: Request) -> Answer:
    if not request.tenant.settings.get("sign_in_logs", {}).get("licensed"):
        raise GraphError("no_sign_in_logs")
    items = request.tenant.settings.get("sign_ins", {}).get("items", []) if request.version == "beta" else []
    return listing(request, [_shown(number, item) for number, item in enumerate(items)], SIGN_IN)


def _shown(number: int, item: Document) -> Document:
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{number} {item['appId']} {item['createdDateTime']}")),
        "appId": item["appId"],
        "createdDateTime": item["createdDateTime"],
        "resourceId": RESOURCES.get(str(item["audience"]).rstrip("/"), ""),
        "signInEventTypes": ["servicePrincipal"],
        "status": {"errorCode": item["errorCode"]},
    }
