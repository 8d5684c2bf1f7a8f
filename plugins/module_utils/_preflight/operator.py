# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Who is signed in, what they may do, and what they lack for the steps that are planned."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _powers, _steps
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Forbidden,
    InvalidInput,
    M365Error,
    SignInError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import BY_HAND, Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import Finding, Judged, notes, stops
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant


@dataclass(frozen=True)
class Operator:
    """Who is signed in, from the tokens alone. A set of roles is None where it cannot be known."""

    app_id: str
    tenant_id: str
    object_id: str = ""
    """The id of the operator's service principal."""
    graph: frozenset[str] | None = None
    exchange: frozenset[str] | None = None
    directory_roles: tuple[str, ...] | None = None
    exchange_tenant_id: str | None = None
    exchange_problem: M365Error | None = None

    @property
    def reads_graph(self) -> bool:
        return self.graph is None or bool(self.graph) or bool(self.directory_roles)

    @property
    def owns_only(self) -> bool:
        """Whether the operator may change applications that it owns, and no others."""
        held = self.graph or frozenset()
        return "Application.ReadWrite.OwnedBy" in held and "Application.ReadWrite.All" not in held

    @property
    def reads_exchange(self) -> bool:
        """Without the permission and a role Exchange answers nothing, so it is not asked."""
        if self.exchange_problem is not None:
            return False
        if self.exchange is None or self.directory_roles is None:
            return True
        return _powers.MANAGE_AS_APP in self.exchange and bool(
            set(_powers.EXCHANGE_READERS).intersection(self.directory_roles)
        )


def signed_in(tenant: Tenant) -> Operator:
    """Signs in, to Graph and to Exchange. A refusal by Exchange's sign-in is kept, not raised."""
    graph = tenant.sign_in.token(tenant.cloud.graph_audience)
    exchange: Token | None = None
    problem: M365Error | None = None
    host = tenant.windows_host
    # A management host with an identity of its own does not act as the operator.
    as_operator = host is None or host.takes_our_token
    try:
        exchange = tenant.sign_in.token(tenant.cloud.exchange_audience) if as_operator else None
    except (SignInError, InvalidInput) as exc:
        problem = exc
    tokens = [token for token in (graph, exchange) if token is not None and token.claims and as_operator]
    roles = _powers.directory_roles(frozenset().union(*(token.wids for token in tokens))) if tokens else None
    return Operator(
        app_id=graph.app_id,
        object_id=str(graph.claims.get("oid") or ""),
        tenant_id=graph.tenant_id.lower(),
        graph=graph.roles if graph.claims else None,
        exchange=exchange.roles if exchange is not None and exchange.claims else None,
        directory_roles=None if roles is None else tuple(roles),
        exchange_tenant_id=exchange.tenant_id.lower() if exchange is not None else None,
        exchange_problem=problem,
    )


def shown(operator: Operator) -> Json:
    return {
        "app_id": operator.app_id or None,
        "roles": None if operator.graph is None else sorted(operator.graph),
        "exchange_roles": None if operator.exchange is None else sorted(operator.exchange),
        "directory_roles": None if operator.directory_roles is None else list(operator.directory_roles),
    }


def judge(operator: Operator, desired: Desired, refusal: Forbidden | None, *, revokes: bool = False) -> Judged:
    """What is missing: for the steps asked for, which stops the run; for all steps otherwise, to be told.

    ``revokes``: whether the run takes back a permission that undoes the scope of a role.
    """
    lacking = _powers.missing(
        desired.steps if desired.steps is not None else _powers.POWERS,
        graph=operator.graph,
        exchange=operator.exchange,
        roles=operator.directory_roles,
        only_for=desired.grants | ({_steps.REVOKED} if revokes else set()),
        by_hand=("admin_consent",) if desired.consent == BY_HAND else (),
    )
    entries: list[Json] = [
        {
            "step": step,
            "kind": item.need.kind,
            "permission": item.permission,
            "alternatives": list(item.need.any_of[1:]),
            "who": _powers.who(item.need),
        }
        for item in lacking
        for step in item.steps
    ]
    order = list(_powers.POWERS)
    entries.sort(key=lambda entry: order.index(_steps.key(entry["step"])))
    told = stops if desired.wants_exchange else notes
    findings: list[Finding] = []
    for what, problem in (
        ("the operator's sign-in to Exchange Online", operator.exchange_problem),
        ("the operator in Exchange Online", refusal),
    ):
        if problem is not None:
            findings.append(told("operator", what, problem.message, problem.cure, problem.who))
    if desired.steps is not None:
        findings += map(_missing, lacking)
    return Judged(entries, tuple(findings))


def _missing(item: _powers.Missing) -> Finding:
    purposes = ", ".join(_powers.POWERS[_steps.key(step)].title for step in item.steps)
    cure = "grant it and sign in anew"
    if item.need.kind == _powers.DIRECTORY:
        cure = (
            "assign it, as an active role: one that is only eligible in Privileged Identity Management does not "
            "count; then sign in anew"
        )
    return stops(
        _steps.key(item.steps[0]),
        "the operator's rights",
        f"{_powers.in_words(item.need)} is missing, needed to {purposes}",
        cure,
        _powers.who(item.need),
        permission=item.permission,
    )


def unread(blind: t.Sequence[str]) -> Finding:
    """An expectation that could not be looked into is not met."""
    return stops(
        "operator",
        "the operator's rights",
        f"the operator may not read {', '.join(blind)}, so the expectations cannot be checked",
        "grant the operator what is listed under missing, and sign in anew",
        _powers.WHO[_powers.DIRECTORY],
    )
