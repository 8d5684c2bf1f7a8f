# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Who can sign in as an application, read right before it is let into something, and judged here.

The same for whatever lets in: a consent, a right on a mailbox, the assignment of a role.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _directory, _ownership
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Graph, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._ownership import Access, Trust
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

Json = dict[str, t.Any]

PATIENCE_S = 60.0
"""How long a server of the directory may hide what was made in the same run."""

_PURPOSE = "read who can sign in as the application"


@dataclass(frozen=True)
class Claim:
    """``principal_id``: the object id of its service principal here, None where it has none. ``access``: what can sign
    in as it. ``away``: it is registered in another tenant, so that nobody here can see that."""

    app_id: str
    principal_id: str | None = None
    display_name: str = ""
    access: Access | None = None
    away: bool = False

    @property
    def called(self) -> str:
        return repr(self.display_name) if self.display_name else self.app_id


def look(tenant: Tenant, app_id: str, *, patience_s: float = PATIENCE_S) -> Claim:
    """One batch; more where servers of the directory disagree. A read that is refused raises: it proves nothing."""
    seen: list[Claim | None] = []

    def complete() -> bool:
        seen.append(_look(tenant, app_id))
        return seen[-1] is not None and seen[-1].principal_id is not None

    tenant.patiently(complete, budget_s=min(patience_s, tenant.patience_s))
    found = seen[-1]
    if found is None:
        raise ServiceError(
            "Graph shows the application's service principal and not what belongs to it",
            attempted=_PURPOSE,
            cure="run again in some minutes",
        )
    return found


def _look(tenant: Tenant, app_id: str) -> Claim | None:
    calls = {"principal": _directory.service_principal_calls(app_id)[0], **access_calls(app_id)}
    answers = tenant.graph.batch(list(calls.values()), purpose=_PURPOSE)
    parts = dict(zip(calls, answers, strict=True))
    document = parts["principal"].found()
    if document is None:
        return Claim(app_id)
    return claim_of(tenant, app_id, document, calls, parts)


def access_calls(app_id: str) -> dict[str, Call]:
    """The parts of a batch that read what can sign in as an application."""
    return {
        "application": _directory.find_call(app_id=app_id),
        **_ownership.application_calls(_directory.key_of(app_id=app_id)),
        **_ownership.principal_call(app_id),
    }


def claim_of(
    tenant: Tenant, app_id: str, principal: Json, calls: t.Mapping[str, Call], parts: t.Mapping[str, Part]
) -> Claim | None:
    """From the answers to ``access_calls`` and the service principal; None where a server shows the
    one and not the other."""
    graph: Graph = tenant.graph
    application = parts["application"].found()
    home = str(principal.get("appOwnerOrganizationId") or "").lower()
    away = application is None and home not in ("", home_of(tenant))
    if away:
        application, empty = {}, Part(200, {"value": []})
        parts = {**parts, "owners": empty, "federated": empty}
    if application is None:
        return None
    access = _ownership.access_from(graph, application, principal, calls, parts)
    if access is None:
        return None
    return Claim(app_id, str(principal["id"]).lower(), str(principal.get("displayName") or ""), access, away)


def home_of(tenant: Tenant) -> str:
    """The id of the tenant that the operator signed in to."""
    return tenant.sign_in.token(tenant.cloud.graph_audience).tenant_id.lower()


def signed_in(tenant: Tenant, trust: Trust) -> Trust:
    """The same trust, with the operator in it."""
    return trust.signed_in(tenant.sign_in.token(tenant.cloud.graph_audience))


def problem(claim: Claim, trust: Trust, now: dt.datetime, what: str) -> Blocked | None:
    """The reason not to let the application in where somebody else can sign in as it. ``what``: what it would get."""
    if claim.away and claim.app_id not in trust.trusted_app_ids:
        return Blocked(
            f"{claim.called} (app id {claim.app_id}) is registered in another tenant, so nobody here can see who signs "
            "in as it",
            cure=f"list {claim.app_id} in trusted_app_ids if its owner is meant to get {what}",
            who="the tenant's security officer",
            options=("trusted_app_ids",),
        )
    if claim.access is None:
        return None
    return _ownership.intruded(_ownership.strangers(claim.access, trust, now), claim.called)
