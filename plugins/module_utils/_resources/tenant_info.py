# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a tenant is, what the operator may do in it, and whether what is planned can be done: read once, write nothing.

The options are expectations. When all is well it takes one batch of Graph and one of Exchange, whatever the tenant's
size; further requests are made only to explain what is wrong, such as the addresses closest to a mistyped one. What
the reads mean is judged in ``tenant_findings``.
"""

from __future__ import annotations

import difflib
import re
import typing as t
from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils import (
    _app_policies,
    _names,
    _permissions,
    _powers,
    _recipients,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Forbidden,
    HostNotReady,
    InvalidInput,
    M365Error,
    ServiceError,
    SignInError,
    Throttled,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Request
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import NamedStep as Step
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import access_policy as _access_policy
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import application as _application
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import ews_access as _ews_access
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import secret as _secret
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import security_group as _security_group
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.tenant_findings import (
    Desired,
    Hint,
    Operator,
    State,
    plan,
    scope_group,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

PAGE = 50
"""How many mailboxes are looked at to pick a control mailbox, or to find the closest address."""

EXPLAINED = 4
"""For how many addresses that do not exist the closest ones are looked for."""

NESTED = 20
"""How many groups inside the scope group are opened."""


class TenantInfo:
    """The resource behind ``m365_tenant_info``."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        self._tenant = tenant
        self._desired = _desired(tenant, task.params)

    def read(self) -> State:
        state = State(self._operator())
        self._read_graph(state)
        self._read_exchange(state)
        self._explain(state)
        return state

    def plan(self, current: State) -> Plan:
        return plan(current, self._desired, self._tenant.clock.now())

    def perform(self, step: Step) -> None:
        raise AssertionError(f"nothing is changed here, so there is no step {step.name!r}")

    def settle(self, plan: Plan) -> Json:
        return {}

    # who

    def _operator(self) -> Operator:
        cloud = self._tenant.cloud
        graph = self._tenant.sign_in.token(cloud.graph_audience)
        exchange: Token | None = None
        problem: M365Error | None = None
        host = self._tenant.windows_host
        # A management host with an identity of its own does not act as the operator.
        as_operator = host is None or host.takes_our_token
        try:
            exchange = self._tenant.sign_in.token(cloud.exchange_audience) if as_operator else None
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

    # Graph

    def _read_graph(self, state: State) -> None:
        if not state.operator.reads_graph:
            state.unreadable.append("Microsoft Graph")
            return
        calls = self._graph_calls(state.operator)
        parts = dict(
            zip(
                calls,
                self._tenant.graph.batch(list(calls.values()), purpose="look at the tenant"),
                strict=True,
            )
        )

        def allowed(name: str) -> Json | None:
            return self._allowed(state, calls[name], parts[name])

        page = allowed("organization")
        state.organization = next(iter((page or {}).get("value") or []), None)
        verified = [entry.get("name") for entry in (state.organization or {}).get("verifiedDomains") or []]
        listed = allowed("domains")
        verified += [entry.get("id") for entry in (listed or {}).get("value") or [] if entry.get("isVerified")]
        if verified:
            state.verified = list(dict.fromkeys(str(name).lower() for name in verified if name))
        if "admins" in parts:
            # It only helps to pick well, and Exchange is asked as well.
            roles = None if _is_refused(parts["admins"]) else allowed("admins")
            if roles is None:
                state.unreadable.append("who is an administrator")
            else:
                members = (member for role in roles.get("value") or [] for member in role.get("members") or [])
                state.admins = frozenset(str(member.get("id") or "").lower() for member in members)
        self._read_application(state, calls, parts)
        self._read_limits(state, calls, parts)

    def _graph_calls(self, operator: Operator) -> dict[str, Call]:
        desired = self._desired
        calls = {
            "organization": Call(
                "GET", "/organization?$select=id,displayName,verifiedDomains", "read the organization"
            ),
            "domains": Call("GET", "/domains?$select=id,isVerified", "read the tenant's domains"),
            "policy": _app_policies.default_call(),
        }
        if desired.picks or desired.control:
            calls["admins"] = Call("GET", "/directoryRoles?$expand=members", "read who is an administrator")
        wanted = desired.application
        if wanted is not None:
            calls["application"] = _application.find_call(unique_name=wanted.unique_name, app_id=wanted.app_id)
            if wanted.app_id:
                calls["deleted"] = _application.deleted_call("appId", wanted.app_id)
                if wanted.unique_name:
                    calls["holder"] = _application.find_call(unique_name=wanted.unique_name, select=_application.BRIEF)
            else:
                calls["deleted"] = _application.deleted_call("uniqueName", wanted.unique_name or "")
            if wanted.display_name:
                calls["namesakes"] = _application.named_call(wanted.display_name)
            if wanted.display_name and not wanted.app_id:
                calls["deleted namesakes"] = _application.deleted_call("displayName", wanted.display_name)
            path = calls["application"].path.partition("?")[0]
            if desired.wants_secret:
                calls["own policy"] = _app_policies.assigned_call(path)
            if operator.owns_only:
                calls["owners"] = Call("GET", f"{path}/owners?$select=id", "read the application's owners")
        for item in desired.permissions or ():
            calls[item.app_id] = _permissions.read_call(item.app_id)
        return calls

    def _read_application(self, state: State, calls: dict[str, Call], parts: dict[str, Part]) -> None:
        wanted = self._desired.application
        resources = [item.app_id for item in self._desired.permissions or ()]
        offered = [self._allowed(state, calls[app_id], parts[app_id], absent={}) for app_id in resources]
        if all(document is not None for document in offered):
            state.offers = _permissions.offers_from(document or None for document in offered)
        if wanted is None:
            return
        found = self._allowed(state, calls["application"], parts["application"], absent={})
        if found is None:
            return
        application = found or None
        deleted = self._deleted(state, wanted, calls["deleted"], parts["deleted"]) if application is None else None
        own = str((application or deleted or {}).get("id") or "")

        def listed(name: str) -> list[Json] | None:
            page = self._allowed(state, calls[name], parts[name], absent={}) if name in parts else {}
            return None if page is None else list(page.get("value") or [])

        namesakes = listed("namesakes") or []
        # It only helps to know: a directory that does not tell stops nothing.
        if "deleted namesakes" in parts and not _is_refused(parts["deleted namesakes"]):
            found_deleted = parts["deleted namesakes"].value().get("value") or []
            state.deleted_namesakes = tuple(
                item
                for item in found_deleted
                if item.get("id") != own and item.get("displayName") == wanted.display_name
            )
        holder = parts["holder"].found() if "holder" in parts else None
        owners = listed("owners") if application is not None and "owners" in parts else None
        state.owned = None if owners is None else state.operator.object_id in {item.get("id") for item in owners}
        state.application = _application.State(
            application=application,
            deleted=deleted,
            namesakes=tuple(item for item in namesakes if item.get("id") not in (own, (holder or {}).get("id"))),
            holder=holder,
        )

    def _read_limits(self, state: State, calls: dict[str, Call], parts: dict[str, Part]) -> None:
        self._allowed(state, calls["policy"], parts["policy"], absent={})
        app = (state.application.application if state.application else None) or {}
        state.limits = _app_policies.read(parts["policy"], parts.get("own policy"), app.get("createdDateTime"))

    def _deleted(self, state: State, wanted: _application.Desired, call: Call, part: Part) -> Json | None:
        if part.error is None or part.status != 400:
            return next(iter((self._allowed(state, call, part) or {}).get("value") or []), None)
        # A directory that cannot filter its recycle bin by this property: go through the bin, which 30 days bound.
        name, value = ("appId", wanted.app_id) if wanted.app_id else ("uniqueName", wanted.unique_name)
        path = f"/directory/deletedItems/microsoft.graph.application?$select={_application.SELECT}&$top=200"
        items = self._tenant.graph.items(path, "look into the recycle bin")
        return next((item for item in items if item.get(name) == value), None)

    @staticmethod
    def _allowed(state: State, call: Call, part: Part, absent: Json | None = None) -> Json | None:
        """The document, ``absent`` when there is none, None when the operator may not read it."""
        if isinstance(part.error, Forbidden):
            state.unreadable.append(call.purpose.removeprefix("read ").removeprefix("look for "))
            return None
        return part.value() if absent is None else part.found() or absent

    # Exchange

    def _read_exchange(self, state: State) -> None:
        if not state.operator.reads_exchange:
            state.unreadable.append("Exchange Online")
            return
        cmdlets = self._cmdlets()
        try:
            outputs = self._tenant.exchange.invoke_many(list(cmdlets.values()))
        except Forbidden as exc:
            state.refusal = exc
            state.unreadable.append("Exchange Online")
            return
        except HostNotReady as exc:
            state.host_problem = exc
            state.unreadable.append("Exchange Online")
            return
        finally:
            host = self._tenant.windows_host
            state.windows_host = host.host if host is not None else None
        by_name = dict(zip(cmdlets, outputs, strict=True))
        refusals = [output.error for output in outputs if isinstance(output.error, Forbidden)]
        if len(refusals) == len(outputs):
            state.refusal = refusals[0]

        def listed(name: str) -> list[Json] | None:
            return self._listed(state, cmdlets[name], by_name[name])

        configuration = listed("configuration")
        state.configuration = configuration[0] if configuration else None
        domains = listed("domains")
        if domains is not None:
            state.accepted = [str(entry.get("DomainName") or entry.get("Name") or "").lower() for entry in domains]
        found = [listed(name) for name in cmdlets if name.startswith("recipients")]
        if all(page is not None for page in found):
            state.recipients = [Recipient.of(entry) for page in found for entry in page or []]
        closed = [listed(name) or [] for name in cmdlets if name.startswith("cas")]
        state.ews_disabled = frozenset(
            Recipient.of(entry).guid for page in closed for entry in page if _is_false(entry.get("EwsEnabled"))
        )
        if "candidates" in cmdlets:
            page = listed("candidates")
            state.candidates = None if page is None else [Recipient.of(entry) for entry in page]
        if "admins" in cmdlets:
            managers = [Recipient.of(entry) for entry in listed("admins") or []]
            known = {name for item in managers for name in (item.guid, item.entra_id, *item.addresses) if name}
            state.admins = (state.admins or frozenset()) | known
        if "policies" in cmdlets:
            output = by_name["policies"]
            # A tenant without any policy answers with an error.
            if not isinstance(output.error, Forbidden):
                state.access_policies = _access_policy.policies_of(output)
            else:
                listed("policies")
        if "group" in cmdlets:
            page = listed("group")
            state.group = None if page is None else [Recipient.of(entry) for entry in page]
            state.managed_by = {Recipient.of(entry).guid: _names_in(entry.get("ManagedBy")) for entry in page or []}
        if "members" in cmdlets and not isinstance(by_name["members"].error, ServiceError):
            state.members = [Recipient.of(entry) for entry in by_name["members"].objects()]

    def _cmdlets(self) -> dict[str, Cmdlet]:
        """At most ten in the usual case, so that they travel in one batch."""
        desired = self._desired
        purpose = "look for the mailboxes"
        cmdlets = {
            "configuration": _ews_access.read_cmdlet(),
            "domains": Cmdlet("Get-AcceptedDomain", {"ResultSize": "Unlimited"}, "read the accepted domains"),
        }
        for number, cmdlet in enumerate(_recipients.by_address([*desired.mailboxes, *desired.control], purpose)):
            cmdlets[f"recipients {number}"] = cmdlet
            if desired.ews:
                cmdlets[f"cas {number}"] = replace(
                    cmdlet, name="Get-CASMailbox", purpose="read the mailboxes' EWS settings"
                )
        if desired.picks:
            cmdlets["candidates"] = Cmdlet(
                "Get-Recipient",
                {"RecipientTypeDetails": ["UserMailbox"], "ResultSize": "Unlimited"},
                "pick a control mailbox",
                limit=PAGE + len(desired.mailboxes),
            )
        if desired.picks or desired.control:
            cmdlets["admins"] = Cmdlet(
                "Get-RoleGroupMember",
                {"Identity": _recipients.ORGANIZATION_MANAGEMENT, "ResultSize": "Unlimited"},
                "read who manages Exchange",
            )
        if desired.group is not None:
            group = desired.group
            wanted = [("Alias", group.alias)] + ([("EmailAddresses", f"smtp:{group.address}")] if group.address else [])
            wanted += [("Name", group.name), ("DisplayName", group.name)] if group.name else []
            cmdlets["group"] = _recipients.by_properties(wanted, "look for the scope group")
            # As an identity an asterisk would stand for anything.
            if "*" not in group.alias:
                cmdlets["members"] = _members(group.alias)
            if desired.on_other_policies is not None:
                cmdlets["policies"] = _access_policy.read_cmdlet()
        return cmdlets

    @staticmethod
    def _listed(state: State, cmdlet: Cmdlet, output: Output) -> list[Json] | None:
        """The objects, none when there are none, None when the operator may not read them."""
        if isinstance(output.error, Forbidden):
            state.unreadable.append(cmdlet.purpose.removeprefix("read ").removeprefix("look for "))
            return None
        return output.listed()

    # only what is wrong is looked into further

    def _explain(self, state: State) -> None:
        desired, operator = self._desired, state.operator
        domains = state.domains or []
        if desired.expected_domain and desired.expected_domain not in domains:
            state.owner = self._tenant_of(desired.expected_domain)
        option = desired.tenant_option
        if option and option == desired.expected_domain:
            state.option_owner = state.owner
        elif option and not _names.is_guid(option) and option not in domains:
            # MSAL signs in to the tenant that is named, so only tokens from elsewhere can be of another one.
            state.option_owner = self._tenant_of(option) if self._foreign_token else operator.tenant_id
        self._explain_addresses(state)
        self._explain_group(state)

    @property
    def _foreign_token(self) -> bool:
        options = self._tenant.options
        return any((options.get("access_token") or {}).values()) or bool(options.get("managed_identity"))

    def _tenant_of(self, domain: str) -> str | None:
        """The tenant a domain belongs to, by its public sign-in document; None for a domain of nobody."""
        url = f"https://{self._tenant.cloud.login}/{domain}/v2.0/.well-known/openid-configuration"
        purpose = f"find the tenant of {domain}"
        response = self._tenant.http.call(Request("GET", url), purpose=purpose, idempotent=True)
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

    def _explain_addresses(self, state: State) -> None:
        if state.recipients is None:
            return
        lost = [
            address
            for address in dict.fromkeys([*self._desired.mailboxes, *self._desired.control])
            if _recipients.among(state.recipients, address) is None
        ][:EXPLAINED]
        if not lost:
            return
        purpose = "look for the closest addresses"
        cmdlets = [
            Cmdlet("Get-Recipient", {"Filter": _like(f"smtp:{address[:2]}*"), "ResultSize": "Unlimited"}, purpose, PAGE)
            for address in lost
        ]
        wide = [_like(f"*@{domain}") for domain in dict.fromkeys(address.rpartition("@")[2] for address in lost)]
        cmdlets.append(
            Cmdlet("Get-Recipient", {"Filter": " -or ".join(wide), "ResultSize": "Unlimited"}, purpose, PAGE)
        )
        equal = [("WindowsEmailAddress", address) for address in lost]
        equal += [("UserPrincipalName", address) for address in lost]
        accounts = _recipients.by_properties(equal, "look for accounts without a mailbox")
        deleted = _recipients.by_address(lost, "look for deleted mailboxes")[0]
        cmdlets.append(replace(accounts, name="Get-User"))
        cmdlets.append(
            replace(deleted, name="Get-Mailbox", parameters={**deleted.parameters, "SoftDeletedMailbox": True})
        )
        # What cannot be read here leaves only the explanation shorter: that the address is not there is known.
        *near, users, gone = [
            [] if _is_refused(output) else output.listed() for output in self._tenant.exchange.invoke_many(cmdlets)
        ]
        known = [recipient for page in near for recipient in map(Recipient.of, page)]
        for address in lost:
            state.hints[address.lower()] = Hint(
                closest=tuple(closest(address, known)),
                soft_deleted=_recipients.among(map(Recipient.of, gone), address) is not None,
                account=any(
                    str(user.get(key) or "").lower() == address.lower()
                    for user in users
                    for key in ("WindowsEmailAddress", "UserPrincipalName")
                ),
            )

    def _explain_group(self, state: State) -> None:
        """The members where the batch could not ask for them, and those of groups inside the group."""
        wanted = self._desired.group
        group = scope_group(state.group or [], wanted) if wanted is not None else None
        if wanted is None or group is None:
            state.members = None
            return
        self._explain_owners(state, wanted, state.managed_by.get(group.guid, ()))
        if state.members is None or "*" in wanted.alias or not group.answers_to(wanted.alias):
            cmdlet = _members(group.guid)
            listed = self._listed(state, cmdlet, self._tenant.exchange.invoke_many([cmdlet])[0])
            state.members = None if listed is None else [Recipient.of(entry) for entry in listed]
        if state.members is None:
            return
        seen = {group.guid}
        waiting = [item for item in state.members if item.type in _recipients.GROUPS]
        while waiting and len(seen) <= NESTED:
            seen |= {item.guid for item in waiting}
            outputs = self._tenant.exchange.invoke_many([_members(item.guid) for item in waiting])
            found = [Recipient.of(entry) for output in outputs if not _is_refused(output) for entry in output.listed()]
            state.members += [item for item in found if item.guid not in {member.guid for member in state.members}]
            waiting = [item for item in found if item.type in _recipients.GROUPS and item.guid not in seen]

    def _explain_owners(self, state: State, wanted: _security_group.Desired, names: t.Sequence[str]) -> None:
        """The owners nobody declared. Exchange prints owners by their names; only declared ones have to be known."""
        if wanted.owners is None:
            return
        known: list[Recipient] = []
        pairs = [("EmailAddresses", f"smtp:{address}") for address in wanted.owners]
        if names and pairs:
            for start in range(0, len(pairs), _recipients.PER_FILTER):
                cmdlet = _recipients.by_properties(
                    pairs[start : start + _recipients.PER_FILTER], "look up the group's declared owners"
                )
                output = self._tenant.exchange.invoke_many([cmdlet])[0]
                known += [Recipient.of(entry) for entry in self._listed(state, cmdlet, output) or []]
        state.foreign_owners = [
            name
            for name in names
            if not _recipients.is_organization_management(name)
            and not any(one.is_printed_as(name) or one.display_name.casefold() == name.casefold() for one in known)
        ]


def _names_in(value: t.Any) -> tuple[str, ...]:
    """A property of several names; Exchange gives a single one without a list."""
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),) if value else ()


def _members(identity: str) -> Cmdlet:
    return Cmdlet(
        "Get-DistributionGroupMember",
        {"Identity": identity, "ResultSize": "Unlimited"},
        "read the scope group's members",
    )


def _like(pattern: str) -> str:
    return f"EmailAddresses -like {_names.opath_literal(pattern)}"


def _is_refused(answer: Part | Output) -> bool:
    """Whether there is an error that no waiting would mend; for reads whose failure leaves only less to tell."""
    return answer.error is not None and not isinstance(answer.error, Throttled)


def _is_false(value: t.Any) -> bool:
    return value is False or str(value).strip().lower() == "false"


def closest(address: str, known: t.Iterable[Recipient], count: int = 3) -> list[str]:
    """The addresses of mailboxes most like ``address``, best first. The part before the @ weighs most."""
    local, _at, domain = address.lower().partition("@")
    scored: dict[str, float] = {}
    for recipient in known:
        if recipient.type not in _recipients.MAILBOXES:
            continue
        for candidate in recipient.addresses:
            other, _at, other_domain = candidate.partition("@")
            likeness = difflib.SequenceMatcher(None, local, other).ratio()
            if likeness >= 0.5:
                spelt = recipient.address if recipient.address.lower() == candidate else candidate
                scored[spelt] = likeness + 0.3 * difflib.SequenceMatcher(None, domain, other_domain).ratio()
    return sorted(scored, key=lambda item: (-scored[item], item))[:count]


# --- options -------------------------------------------------------------------------------------------------


def _desired(tenant: Tenant, params: t.Mapping[str, t.Any]) -> Desired:
    """The options, checked. Raises InvalidInput."""
    group = params.get("group")
    ews = params.get("ews")
    expected = params.get("expected_domain")
    days = params.get("secret_lifetime_days")
    if expected is not None:
        expected = _names.tenant(expected, "expected_domain")
        if _names.is_guid(expected):
            raise InvalidInput(
                f"expected_domain is {expected!r}, which is an id", cure="give a domain such as contoso.com"
            )
    if days is not None and not 1 <= days <= _secret.MOST_DAYS:
        raise InvalidInput(f"secret_lifetime_days is {days}", cure=f"give a number of days, 1 to {_secret.MOST_DAYS}")
    return Desired(
        expected_domain=expected,
        tenant_option=tenant.options.get("tenant"),
        application=_wanted_application(params.get("application")),
        permissions=_permissions.parse(params.get("permissions")),
        mailboxes=_addresses(params.get("mailboxes"), "mailboxes"),
        control=_addresses(params.get("control_mailboxes"), "control_mailboxes"),
        group=None if group is None else _group(group),
        on_other_policies=None if group is None else group.get("on_other_policies"),
        ews=ews is not None and bool(ews["required"]),
        ews_opt_in=ews is not None and bool(ews["opt_in"]),
        steps=None if params.get("steps") is None else tuple(params["steps"]),
        secret_lifetime_days=days,
        allow_shorter=params["allow_shorter"],
        fail_on_findings=params["fail_on_findings"],
    )


def _addresses(values: t.Sequence[str] | None, option: str) -> tuple[str, ...]:
    unique: dict[str, str] = {}
    for value in values or ():
        checked = _names.address(value, option)
        unique.setdefault(checked.lower(), checked)
    return tuple(unique.values())


def _wanted_application(option: Json | None) -> _application.Desired | None:
    if option is None:
        return None
    unique_name, app_id, display_name = (option.get(key) for key in ("unique_name", "app_id", "display_name"))
    if not unique_name and not app_id:
        raise InvalidInput(
            "application names neither unique_name nor app_id",
            cure="give one of them: an application is never found by its display name",
        )
    if app_id == _names.ZERO_GUID:
        raise InvalidInput("application.app_id is all zeros", cure="give the Application (client) ID, or leave it out")
    return _application.Desired(
        unique_name=_names.name(unique_name, "application.unique_name", 256) if unique_name else None,
        app_id=_names.guid(app_id, "application.app_id") if app_id else None,
        display_name=_names.name(display_name, "application.display_name", 256) if display_name else None,
        on_deleted=option["on_deleted"],
        on_namesake=option["on_namesake"],
    )


def _group(option: Json) -> _security_group.Desired:
    name, address = option.get("name"), option.get("address")
    return _security_group.Desired(
        alias=_names.alias(option["alias"], "group.alias"),
        name=_names.name(name, "group.name", _security_group.LONGEST_NAME) if name else "",
        address=_names.address(address, "group.address") if address else None,
        on_foreign_members=option["on_foreign_members"],
        owners=None if option.get("owners") is None else _addresses(option["owners"], "group.owners"),
        on_foreign_owners=option.get("on_foreign_owners") or "fail",
    )


SPEC = ArgumentSpec(
    {
        "expected_domain": {"type": "str"},
        "application": {
            "type": "dict",
            "options": {
                "unique_name": {"type": "str"},
                "app_id": {"type": "str"},
                "display_name": {"type": "str"},
                "on_deleted": {"type": "str", "default": "fail", "choices": ["fail", "restore", "purge"]},
                "on_namesake": {"type": "str", "default": "fail", "choices": ["fail", "ignore"]},
            },
        },
        "permissions": {"type": "list", "elements": "dict", "options": _permissions.OPTIONS},
        "mailboxes": {"type": "list", "elements": "str"},
        "control_mailboxes": {"type": "list", "elements": "str"},
        "group": {
            "type": "dict",
            "options": {
                "alias": {"type": "str", "required": True},
                "name": {"type": "str"},
                "address": {"type": "str"},
                "on_foreign_members": {"type": "str", "default": "fail", "choices": ["fail", "remove", "keep"]},
                "owners": {"type": "list", "elements": "str"},
                "on_foreign_owners": {"type": "str", "default": "fail", "choices": ["fail", "remove", "keep"]},
                "on_other_policies": {"type": "str", "choices": ["fail", "remove", "keep"]},
            },
        },
        "ews": {
            "type": "dict",
            "options": {
                "required": {"type": "bool", "default": True},
                "opt_in": {"type": "bool", "default": False},
            },
        },
        "steps": {"type": "list", "elements": "str", "choices": list(_powers.WORDS)},
        "secret_lifetime_days": {"type": "int", "no_log": False},
        "allow_shorter": {"type": "bool", "default": False},
        "fail_on_findings": {"type": "bool", "default": True},
    }
)
DOOR = Door(TenantInfo, SPEC)
