# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Graph: token lifetime policies, of the tenant and of one resource, and what they do to a token."""

from __future__ import annotations

import datetime as dt
import json
import uuid

from .graph_base import Request, kind, listing, route
from .graph_directory import READ_POLICIES
from .model import Answer, Document, Tenant
from .odata import Segment

LIFETIME = kind(
    "tokenLifetimePolicy",
    "policies/tokenLifetimePolicies",
    {"id", "displayName", "description", "definition", "isOrganizationDefault"},
)


def _held(tenant: Tenant) -> list[Document]:
    """As the tenants file says: ``display_name``, ``minutes``, and ``resource`` unless it is the tenant's default."""
    return list(tenant.settings.get("token_lifetime_policies", {}).get("items") or [])


def _shown(tenant: Tenant, held: Document) -> Document:
    life = dt.timedelta(minutes=int(held["minutes"]))
    text = f"{life.days}.{life.seconds // 3600:02}:{life.seconds % 3600 // 60:02}:00"
    return {
        "id": str(uuid.uuid5(uuid.UUID(tenant.id), f"token lifetime:{held['display_name']}")),
        "displayName": held["display_name"],
        "description": None,
        "definition": [json.dumps({"TokenLifetimePolicy": {"Version": 1, "AccessTokenLifetime": text}})],
        "isOrganizationDefault": not held.get("resource"),
    }


def lifetime_s(tenant: Tenant, resource_app_id: str) -> int | None:
    """How long a token for a resource lives where a policy says so: the resource's own goes before the tenant's."""
    held = _held(tenant)
    own = [item for item in held if str(item.get("resource") or "").lower() == resource_app_id.lower()]
    decides = next(iter(own or [item for item in held if not item.get("resource")]), None)
    return None if decides is None else int(decides["minutes"]) * 60


@route("GET", "policies/tokenLifetimePolicies", READ_POLICIES)
def policies(request: Request) -> Answer:
    return listing(request, [_shown(request.tenant, held) for held in _held(request.tenant)], LIFETIME)


@route("GET", "servicePrincipals/{}/tokenLifetimePolicies", READ_POLICIES)
def policies_of_resource(request: Request, key: Segment) -> Answer:
    app_id = request.service_principal(key)["appId"].lower()
    found = [held for held in _held(request.tenant) if str(held.get("resource") or "").lower() == app_id]
    return listing(request, [_shown(request.tenant, held) for held in found], LIFETIME)
