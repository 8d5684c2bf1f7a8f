# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Whether the tenant is the one that is meant: nothing may be written into another one."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Request
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Answers, Ask, Read, Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import Finding, few, stops
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.operator import Operator
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

if t.TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Facts:
    """What the tenant calls itself. None: not readable.

    ``owner`` is the tenant behind the expected domain, looked up only where the domain is not among the tenant's own;
    ``option_owner`` the same for the domain in the option ``tenant``.
    """

    name: str | None = None
    verified: tuple[str, ...] | None = None
    accepted: tuple[str, ...] | None = None
    owner: str | None = None
    option_owner: str | None = None

    @property
    def domains(self) -> list[str] | None:
        if self.verified is None and self.accepted is None:
            return None
        return list(dict.fromkeys([*(self.verified or ()), *(self.accepted or ())]))


def accepted_read(spare: int | None = None) -> Read:
    cmdlet = Cmdlet("Get-AcceptedDomain", {"ResultSize": "Unlimited"}, "read the accepted domains")
    return Read(cmdlet, "the accepted domains", spare)


def accepted_of(rows: Iterable[Json]) -> tuple[str, ...]:
    """From Get-AcceptedDomain; in lower case."""
    return _lower(entry.get("DomainName") or entry.get("Name") for entry in rows)


def calls(spare: int | None = None) -> Reads:
    """``spare``: of what Exchange says beside Graph."""
    return {
        "organization": Read(
            Call("GET", "/organization?$select=id,displayName,verifiedDomains", "read the organization"),
            "the organization",
        ),
        "verified": Read(
            Call("GET", "/domains?$select=id,isVerified", "read the tenant's domains"), "the tenant's domains"
        ),
        "accepted": accepted_read(spare),
    }


def take(answers: Answers, configuration: Json | None) -> Facts:
    """``configuration`` is Get-OrganizationConfig's, which knows a name as well."""
    organization: Json = next(iter(answers.rows("organization") or []), {})
    verified = [entry.get("name") for entry in organization.get("verifiedDomains") or []]
    verified += [entry.get("id") for entry in answers.rows("verified") or [] if entry.get("isVerified")]
    accepted = answers.rows("accepted")
    name = organization.get("displayName") or (configuration or {}).get("DisplayName")
    return Facts(
        name=str(name) if name else None,
        verified=_lower(verified) or None,
        accepted=None if accepted is None else accepted_of(accepted),
    )


def _lower(names: Iterable[t.Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(name).lower() for name in names if name))


def explain(facts: Facts, desired: Desired, operator: Operator, ask: Ask) -> Facts:
    """Whose a domain is that the tenant does not list."""
    domains = facts.domains or []
    expected, option = desired.expected_domain, desired.tenant_option
    if expected and expected not in domains:
        facts = replace(facts, owner=_tenant_of(ask.tenant, expected))
    if option and option == expected:
        facts = replace(facts, option_owner=facts.owner)
    elif option and not _names.is_guid(option) and option not in domains:
        # MSAL signs in to the tenant that is named, so only tokens from elsewhere can be of another one.
        owner = _tenant_of(ask.tenant, option) if _foreign_token(ask.tenant) else operator.tenant_id
        facts = replace(facts, option_owner=owner)
    return facts


def _foreign_token(tenant: Tenant) -> bool:
    return any((tenant.options.get("access_token") or {}).values()) or bool(tenant.options.get("managed_identity"))


def _tenant_of(tenant: Tenant, domain: str) -> str | None:
    """The tenant a domain belongs to, by its public sign-in document; None for a domain of nobody."""
    url = f"https://{tenant.cloud.login}/{domain}/v2.0/.well-known/openid-configuration"
    purpose = f"find the tenant of {domain}"
    response = tenant.http.call(Request("GET", url), purpose=purpose, idempotent=True)
    document = response.json()
    if response.status == 400 and isinstance(document, dict):
        return None
    issuer = str(document.get("issuer") or "") if isinstance(document, dict) else ""
    match = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", issuer.lower())
    if response.status != 200 or match is None:
        raise ServiceError(
            f"the sign-in service answered {response.status} without saying whose domain it is",
            attempted=purpose,
            status=response.status,
            cure="check the proxy and cloud",
        )
    return match.group()


def shown_domain(facts: Facts, desired: Desired, operator: Operator) -> str | None:
    """The domain by which people know the tenant: the first that it lists, or the expected one where it is its own."""
    if facts.domains:
        return facts.domains[0]
    return desired.expected_domain if facts.owner and facts.owner == operator.tenant_id else None


def judge(facts: Facts, desired: Desired, operator: Operator) -> list[Finding]:
    findings = []
    domains = facts.domains or []
    known = f"{operator.tenant_id}" + (f" ({few(domains)})" if domains else "")
    for domain, owner, option in (
        (desired.expected_domain, facts.owner, "expected_domain"),
        (desired.tenant_option, facts.option_owner, "tenant"),
        (desired.recorded_tenant, None, "recorded_tenant"),
    ):
        if domain is None:
            continue
        if _names.is_guid(domain):
            owner = domain
        elif domain in domains:
            continue
        if owner == operator.tenant_id:
            continue
        found = f"the operator is signed in to tenant {known}"
        if not _names.is_guid(domain):
            found += f", and {domain} " + (f"belongs to tenant {owner}" if owner else "belongs to no tenant")
        findings.append(
            stops(
                "tenant",
                f"{option} {domain}",
                found,
                "check which tenant is meant: the connection (tenant, client_id, credential) or the expectation is "
                "wrong; a partner's account may have landed in its own tenant",
                option=option,
                domain=domain,
                owner=owner,
            )
        )
    if operator.exchange_tenant_id and operator.tenant_id and operator.exchange_tenant_id != operator.tenant_id:
        findings.append(
            stops(
                "tenant",
                "the operator's two tokens",
                f"Graph's is for tenant {operator.tenant_id}, Exchange's for {operator.exchange_tenant_id}",
                "give two tokens of one tenant in access_token",
            )
        )
    return findings
