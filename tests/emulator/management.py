# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Azure Resource Manager, as far as clients of Microsoft 365 meet it: a tenant without a subscription."""

from __future__ import annotations

import uuid

from .model import Answer, Call, Document, Principal, World


def handle(world: World, principal: Principal | None, refusal: str | None, call: Call) -> Answer:
    """``GET /subscriptions`` (empty) and ``GET /tenants`` (the caller's own)."""
    headers = {"x-ms-request-id": str(uuid.uuid4()), "Cache-Control": "no-cache"}
    if principal is None:
        return _refused(world, "expired" if refusal == "expired" else "failed", headers)
    path = call.plain_path.rstrip("/").lower()
    if call.method == "GET" and path == "/subscriptions":
        return Answer(200, {"value": [], "count": {"type": "Total", "value": 0}}, headers)
    if call.method == "GET" and path == "/tenants":
        tenant = world.tenants[principal.tenant_id]
        row: Document = {"id": f"/tenants/{tenant.id}", "tenantId": tenant.id, "displayName": tenant.display_name}
        return Answer(200, {"value": [row]}, headers)
    return Answer(404, {"error": world.texts["management"]["not_found"]}, headers)


def _refused(world: World, key: str, headers: dict[str, str]) -> Answer:
    headers["WWW-Authenticate"] = 'Bearer authorization_uri="https://login.windows.net/common", error="invalid_token"'
    return Answer(401, {"error": world.texts["management"][key]}, headers)
