# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control API: what tests see and turn. Plain HTTP on loopback, apart from everything that plays Microsoft."""

from __future__ import annotations

import typing as t
import urllib.parse

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from . import mailstore, reach_whole
from .exchange import member_addresses
from .faults import FaultRuleError
from .model import Collection, Document, Tenant, public

if t.TYPE_CHECKING:
    from .server import Services


def state_of(tenant: Tenant) -> Document:
    """Everything in a tenant, in the services' own field names, without any secret value or hint."""
    groups = []
    for group in tenant.groups.values():
        shown = public(group)
        shown["members"] = member_addresses(tenant, group)
        groups.append(shown)
    return {
        "domains": list(tenant.domains),
        "applications": [_without_secrets(app) for app in tenant.applications.values()],
        "servicePrincipals": [_without_secrets(sp) for sp in tenant.service_principals.values()],
        "appRoleAssignments": [public(grant) for grant in tenant.app_role_assignments.values()],
        "oauth2PermissionGrants": [public(grant) for grant in tenant.oauth2_permission_grants.values()],
        "deletedItems": [_without_secrets(item) for item in tenant.deleted_items.values()],
        "groups": groups,
        "mailboxes": [public(mailbox) for mailbox in tenant.mailboxes.values()],
        "applicationAccessPolicies": [public(policy) for policy in tenant.application_access_policies.values()],
        "organizationConfig": public(tenant.settings.get("organization_config", {})),
        "exchangeServicePrincipals": [public(one) for one in tenant.exchange_service_principals.values()],
        "managementScopes": [public(one) for one in tenant.management_scopes.values()],
        "roleAssignments": [public(one) for one in tenant.role_assignments.values()],
        "mailboxPermissions": _rights(tenant, tenant.mailbox_permissions),
        "recipientPermissions": _rights(tenant, tenant.recipient_permissions),
        "casMailboxes": [
            {name: box.get(name) for name in ("Identity", "PrimarySmtpAddress", *_PROTOCOLS)}
            for box in tenant.mailboxes.values()
            if "ImapEnabled" in box
        ],
        "transportConfig": public(tenant.settings.get("transport_config", {})),
        "messages": mailstore.shown(tenant),
        "signIns": public(tenant.settings.get("sign_ins", {}).get("items", [])),
    }


_PROTOCOLS = ("ImapEnabled", "PopEnabled", "SmtpClientAuthenticationDisabled", "EwsEnabled")


def _rights(tenant: Tenant, entries: Collection) -> list[Document]:
    return [
        {
            "Identity": tenant.mailboxes.get(entry["_mailbox"], {}).get("PrimarySmtpAddress", entry["_mailbox"]),
            "Sid": entry["_sid"],
            "AccessRights": list(entry["_rights"]),
            "Deny": entry["_deny"],
        }
        for entry in entries.values()
    ]


def _without_secrets(document: Document) -> Document:
    shown: Document = public(document)
    for password in shown.get("passwordCredentials", []):
        password["secretText"] = password["hint"] = None
    for key in shown.get("keyCredentials", []):
        key["key"] = None
    if "_owners" in document:
        shown["owners"] = list(document["_owners"])
    if document.get("_federated"):
        shown["federatedIdentityCredentials"] = public(document["_federated"])
    return shown


class Guard:
    """Lets nobody in but programs of this machine that mean it: no other name of the host, no page of a browser.

    The control API moves clocks and shows every tenant, and a browser on the same machine would carry a stranger's page
    to it, by a name that resolves to loopback or by a form that posts.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refused := self._refused(Headers(scope=scope))):
            await JSONResponse({"error": refused}, 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    @staticmethod
    def _refused(headers: Headers) -> str:
        name = (urllib.parse.urlsplit(f"//{headers.get('host', '')}").hostname or "").rstrip(".")
        if name not in ("127.0.0.1", "localhost", "::1"):
            return "the control API answers to 127.0.0.1 and localhost only"
        if "origin" in headers or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "the control API is not for pages of a browser"
        return ""


def application(services: Services) -> Starlette:
    async def journal(request: Request) -> Response:
        if request.method == "DELETE":
            services.journal.clear()
            return Response(status_code=204)
        return JSONResponse(services.journal.rows)

    async def exposures(request: Request) -> Response:
        asked = request.query_params
        declared = asked["declared"].split(",") if "declared" in asked else None
        return JSONResponse(services.journal.exposures(asked.get("app_id"), declared))

    async def whole(request: Request) -> Response:
        wanted = request.query_params.get("tenant")
        found = {tid: reach_whole.whole(one) for tid, one in services.world.tenants.items() if wanted in (None, tid)}
        return JSONResponse({"tenants": found})

    async def state(request: Request) -> Response:
        return JSONResponse({"tenants": {tid: state_of(tenant) for tid, tenant in services.world.tenants.items()}})

    async def reset(request: Request) -> Response:
        services.reset()
        return Response(status_code=204)

    async def clock(request: Request) -> Response:
        if request.method == "POST":
            given = await _json(request)
            spans = {key.removeprefix("advance_"): value for key, value in given.items()}
            if not given or not set(given) <= {"advance_days", "advance_seconds"}:
                return JSONResponse({"error": "advance_days or advance_seconds is expected"}, 400)
            services.world.clock.advance(**{key: float(value) for key, value in spans.items()})
            services.store.save_clock(services.world)
            services.store.commit()
        clock = services.world.clock
        return JSONResponse({"now": clock.now().isoformat(), "offset_s": clock.offset.total_seconds()})

    async def faults(request: Request) -> Response:
        if request.method == "POST":
            try:
                services.faults.replace((await _json(request)).get("rules", []))
            except (FaultRuleError, TypeError) as error:
                return JSONResponse({"error": str(error)}, 400)
        rules = [
            {"match": rule.match, "nth": rule.nth, "times": rule.times, "seen": rule.seen}
            for rule in services.faults.rules
        ]
        return JSONResponse({"rules": rules})

    async def issued(request: Request) -> Response:
        return JSONResponse(services.world.issued)

    async def token(request: Request) -> Response:
        """A token as the application would get it now, without its secret; it lives and counts like any other."""
        given = await _json(request)
        tenant = services.world.tenant(str(given.get("tenant", "")))
        resource = str(given.get("resource") or "https://outlook.office365.com")
        made = services.entra.token_of(tenant, str(given.get("app_id", "")), resource) if tenant else None
        if made is None:
            return JSONResponse({"error": "there is no such tenant or application, or it gets no token"}, 404)
        return JSONResponse({"access_token": made})

    async def winrm(request: Request) -> Response:
        return JSONResponse(
            {
                host.name: {
                    "open_shells": host.service.open_shells(),
                    "running": host.service.programs(),
                    "opened": host.service.opened,
                }
                for host in services.windows_hosts
            }
        )

    async def managed_identity(request: Request) -> Response:
        answer = await services.perform(await services.call_of(request))
        return JSONResponse(answer.body, answer.status, answer.headers)

    return Starlette(
        middleware=[Middleware(Guard)],
        routes=[
            Route("/journal", journal, methods=["GET", "DELETE"]),
            Route("/exposures", exposures),
            Route("/reach", whole),
            Route("/state", state),
            Route("/reset", reset, methods=["POST"]),
            Route("/clock", clock, methods=["GET", "POST"]),
            Route("/faults", faults, methods=["GET", "POST"]),
            Route("/issued", issued),
            Route("/token", token, methods=["POST"]),
            Route("/winrm", winrm),
            Route("/msi/token", managed_identity),
        ],
    )


async def _json(request: Request) -> Document:
    body = await request.body()
    if not body:
        return {}
    try:
        data = await request.json()
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
