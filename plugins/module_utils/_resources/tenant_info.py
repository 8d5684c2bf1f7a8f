# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a tenant is, what the operator may do in it, and whether what is planned can be done: read once, write nothing.

The options are expectations. Everything that speaks against them is collected, not only the first thing. When all is
well that takes one batch of Graph and one of Exchange, whatever the tenant's size; further requests are made only to
explain what is wrong, such as the addresses closest to a mistyped one.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _permissions, _powers, _recipients
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Blocked,
    Forbidden,
    InvalidInput,
    M365Error,
    ServiceError,
    SignInError,
    Throttled,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Request
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import Offers, Wanted
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import application as _application
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import ews_access as _ews_access
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import secret as _secret
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

PAGE = 50
"""How many mailboxes are looked at to pick a control mailbox, or to find the closest address."""

EXPLAINED = 4
"""For how many addresses that do not exist the closest ones are looked for."""

NESTED = 20
"""How many groups inside the scope group are opened."""

WARNING = "warning"
BLOCKED = "blocked"
_EXCHANGE_STEPS = frozenset({"group", "policy", "ews", "verify", "audit", "decommission"})
_EXCHANGE_ADMIN = "an Exchange Administrator"


@dataclass(frozen=True)
class Finding:
    """``what`` was looked at, what was ``found``, what to do and who can. ``severity`` is blocked or warning."""

    severity: str
    step: str
    what: str
    found: str
    cure: str = ""
    who: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.found}"

    def as_dict(self) -> Json:
        return {
            "severity": self.severity,
            "step": self.step,
            "what": self.what,
            "found": self.found,
            "cure": self.cure or None,
            "who": self.who or None,
        }


@dataclass(frozen=True)
class Group:
    """The scope group by what it is to be called."""

    name: str | None = None
    alias: str | None = None
    address: str | None = None
    on_foreign_members: str = "fail"

    @property
    def called(self) -> str:
        return self.name or self.alias or self.address or ""

    @property
    def identity(self) -> str | None:
        """What Exchange is asked for the members by; None where it might mean several groups."""
        identity = self.address or self.alias or self.name or ""
        return None if "*" in identity else identity

    def properties(self) -> list[tuple[str, str]]:
        pairs = [("Name", self.name), ("Alias", self.alias)]
        found = [(key, value) for key, value in pairs if value]
        return [*found, ("EmailAddresses", f"smtp:{self.address}")] if self.address else found


@dataclass(frozen=True)
class Desired:
    """The expectations; None or empty means: none of that kind."""

    expected_domain: str | None = None
    tenant_option: str | None = None
    application: _application.Desired | None = None
    permissions: tuple[Wanted, ...] | None = None
    mailboxes: tuple[str, ...] = ()
    control: tuple[str, ...] = ()
    group: Group | None = None
    ews: bool = False
    ews_opt_in: bool = False
    steps: tuple[str, ...] | None = None
    secret_lifetime_days: int | None = None
    allow_shorter: bool = False
    fail_on_findings: bool = True

    @property
    def delegated(self) -> bool:
        """Whether delegated permissions are to be granted; not known without ``permissions``."""
        return self.permissions is None or any(item.delegated for item in self.permissions)

    @property
    def picks(self) -> bool:
        return bool(self.mailboxes) and not self.control

    @property
    def wants_secret(self) -> bool:
        return self.secret_lifetime_days is not None or "secret" in (self.steps or ())

    @property
    def wants_exchange(self) -> bool:
        return bool(
            self.mailboxes or self.control or self.group or self.ews or _EXCHANGE_STEPS.intersection(self.steps or ())
        )


@dataclass(frozen=True)
class Operator:
    """Who is signed in, from the tokens alone. A set of roles is None where it cannot be known."""

    app_id: str
    tenant_id: str
    graph: frozenset[str] | None = None
    exchange: frozenset[str] | None = None
    directory_roles: tuple[str, ...] | None = None
    exchange_tenant_id: str | None = None
    exchange_problem: M365Error | None = None

    @property
    def reads_graph(self) -> bool:
        return self.graph is None or bool(self.graph) or bool(self.directory_roles)

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


@dataclass(frozen=True)
class Hint:
    """Why an address may not be found."""

    closest: tuple[str, ...] = ()
    soft_deleted: bool = False
    account: bool = False


@dataclass
class State:
    """What was read. None stands for what the operator may not read, or what nobody asked for."""

    operator: Operator
    organization: Json | None = None
    verified: list[str] | None = None
    accepted: list[str] | None = None
    owner: str | None = None
    """The tenant behind the expected domain, looked up only where the domain is not among the tenant's own."""
    option_owner: str | None = None
    """The same for the domain in the option ``tenant``."""
    application: _application.State | None = None
    offers: Offers | None = None
    policy: Json | None = None
    """The app-management policy that holds: the tenant's default, or the application's own where that was looked up."""
    admins: frozenset[str] | None = None
    """Ids and addresses in lower case."""
    recipients: list[Recipient] | None = None
    ews_disabled: frozenset[str] = frozenset()
    """Guids of mailboxes whose own EwsEnabled is False."""
    candidates: list[Recipient] | None = None
    group: list[Recipient] | None = None
    members: list[Recipient] | None = None
    configuration: Json | None = None
    hints: dict[str, Hint] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    refusal: Forbidden | None = None

    @property
    def domains(self) -> list[str] | None:
        if self.verified is None and self.accepted is None:
            return None
        return list(dict.fromkeys([*(self.verified or []), *(self.accepted or [])]))


# --- judging -------------------------------------------------------------------------------------------------


def plan(current: State, desired: Desired, now: dt.datetime) -> Plan:
    """Pure: everything found, and the outcome that follows from it."""
    findings: list[Finding] = []
    findings += _tenant(current, desired)
    missing, about_powers = _missing(current, desired)
    findings += about_powers
    app, about_app = _judge_application(current, desired, now)
    findings += about_app + _judge_permissions(current, desired)
    policy, about_policy = _judge_policy(current, desired)
    findings += about_policy
    mailboxes, about_mailboxes = _judge_mailboxes(current, desired)
    group, about_group = _judge_group(current, desired)
    controls, about_controls, pending = _judge_controls(current, desired)
    ews, about_ews = _judge_ews(current, desired, now)
    findings += about_mailboxes + about_group + about_controls + about_ews
    result: Json = {
        "tenant": {
            "id": current.operator.tenant_id or None,
            "name": _tenant_name(current),
            "domains": current.domains,
        },
        "operator": {
            "app_id": current.operator.app_id or None,
            "roles": None if current.operator.graph is None else sorted(current.operator.graph),
            "exchange_roles": None if current.operator.exchange is None else sorted(current.operator.exchange),
            "directory_roles": _list(current.operator.directory_roles),
        },
        "missing": missing,
        "application": app,
        "permissions": None if desired.permissions is None else [item.as_dict() for item in desired.permissions],
        "app_management_policy": policy,
        "mailboxes": mailboxes,
        "control_mailboxes": controls,
        "group": group,
        "ews": ews,
        "unreadable": sorted(set(current.unreadable)),
        "findings": [finding.as_dict() for finding in findings],
        "ready": not any(finding.severity == BLOCKED for finding in findings),
    }
    grave = [finding for finding in findings if finding.severity == BLOCKED]
    light = [finding for finding in findings if finding.severity == WARNING]
    blocked = _stop(grave) if grave and desired.fail_on_findings else None
    return Plan(
        result=result,
        summary=_summary(current, grave, light),
        warnings=[_sentence(finding) for finding in (light if blocked is not None else [*grave, *light])],
        pending=pending,
        blocked=blocked,
    )


def _stop(grave: list[Finding]) -> Blocked:
    """One reason out of all of them."""
    if len(grave) == 1:
        return Blocked(str(grave[0]), cure=grave[0].cure, who=grave[0].who, details={"findings": [grave[0].as_dict()]})
    numbered = "; ".join(f"({number}) {finding}" for number, finding in enumerate(grave, 1))
    cures = [f"({number}) {finding.cure}" for number, finding in enumerate(grave, 1) if finding.cure]
    return Blocked(
        f"{len(grave)} things stand in the way: {numbered}",
        cure="; ".join(cures),
        who=", ".join(dict.fromkeys(finding.who for finding in grave if finding.who)),
        details={"findings": [finding.as_dict() for finding in grave]},
    )


def _sentence(finding: Finding) -> str:
    return f"{finding}." + (f" {finding.cure[:1].upper()}{finding.cure[1:]}." if finding.cure else "")


def _summary(current: State, grave: list[Finding], light: list[Finding]) -> str:
    names = [_tenant_name(current), *(current.domains or []), current.operator.tenant_id, "the tenant"]
    where = next(name for name in names if name)
    if grave:
        return f"{where}: {grave[0]}" + (f", and {len(grave) - 1} more" if len(grave) > 1 else "")
    noted = f", {len(light)} to note" if light else ""
    return f"{where}: nothing in the way{noted}"


def _tenant_name(current: State) -> str | None:
    name = (current.organization or {}).get("displayName") or (current.configuration or {}).get("DisplayName")
    return str(name) if name else None


def _list(values: t.Iterable[t.Any] | None) -> list[t.Any] | None:
    return None if values is None else list(values)


def _tenant(current: State, desired: Desired) -> list[Finding]:
    """Nothing may be written into a tenant that is not the one meant."""
    findings = []
    operator, domains = current.operator, current.domains or []
    known = f"{operator.tenant_id}" + (f" ({', '.join(domains)})" if domains else "")
    for domain, owner, option in (
        (desired.expected_domain, current.owner, "expected_domain"),
        (desired.tenant_option, current.option_owner, "tenant"),
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
            Finding(
                BLOCKED,
                "tenant",
                f"{option} {domain}",
                found,
                "check which tenant is meant: the connection (tenant, client_id, credential) or the expectation is "
                "wrong; a partner's account may have landed in its own tenant",
            )
        )
    if operator.exchange_tenant_id and operator.tenant_id and operator.exchange_tenant_id != operator.tenant_id:
        findings.append(
            Finding(
                BLOCKED,
                "tenant",
                "the operator's two tokens",
                f"Graph's is for tenant {operator.tenant_id}, Exchange's for {operator.exchange_tenant_id}",
                "give two tokens of one tenant in access_token",
            )
        )
    return findings


def _missing(current: State, desired: Desired) -> tuple[list[Json], list[Finding]]:
    """What the operator lacks: for the steps asked for, which stops the run; for all steps otherwise, to be told."""
    operator = current.operator
    lacking = _powers.missing(
        desired.steps if desired.steps is not None else _powers.POWERS,
        graph=operator.graph,
        exchange=operator.exchange,
        roles=operator.directory_roles,
        delegated=desired.delegated,
    )
    entries: list[Json] = [
        {
            "step": step,
            "kind": item.need.kind,
            "permission": item.permission,
            "alternatives": list(item.need.any_of[1:]),
            "who": item.need.who,
        }
        for item in lacking
        for step in item.steps
    ]
    order = list(_powers.POWERS)
    entries.sort(key=lambda entry: order.index(entry["step"]))
    findings = []
    if operator.exchange_problem is not None:
        problem = operator.exchange_problem
        findings.append(
            Finding(
                BLOCKED if desired.wants_exchange else WARNING,
                "operator",
                "the operator's sign-in to Exchange Online",
                problem.message,
                problem.cure,
                problem.who,
            )
        )
    if current.refusal is not None:
        findings.append(
            Finding(
                BLOCKED if desired.wants_exchange else WARNING,
                "operator",
                "the operator in Exchange Online",
                current.refusal.message,
                current.refusal.cure,
                current.refusal.who,
            )
        )
    for item in lacking if desired.steps is not None else ():
        purposes = ", ".join(_powers.POWERS[step].title for step in item.steps)
        cure = "grant it and sign in anew"
        if item.need.kind == _powers.DIRECTORY:
            cure = (
                "assign it, as an active role: one that is only eligible in Privileged Identity Management does not "
                "count; then sign in anew"
            )
        findings.append(
            Finding(
                BLOCKED,
                item.steps[0],
                "the operator's rights",
                f"{item.need.in_words()} is missing, needed to {purposes}",
                cure,
                item.need.who,
            )
        )
    return entries, findings


def _judge_application(current: State, desired: Desired, now: dt.datetime) -> tuple[Json | None, list[Finding]]:
    wanted, state = desired.application, current.application
    if wanted is None or state is None:
        return None, []
    findings = []
    reasons = [_application.plan(state, wanted, now).blocked]
    if state.deleted is not None and wanted.app_id is None:
        # A deleted one hides whether the name is taken by a live one as well.
        reasons.append(_application.plan(replace(state, deleted=None), wanted, now).blocked)
    for reason in reasons:
        if reason is not None:
            findings.append(
                Finding(
                    BLOCKED, "application", f"the application {wanted.called}", reason.message, reason.cure, reason.who
                )
            )
    exists = state.application is not None
    if state.namesakes and (exists or wanted.on_namesake == "ignore"):
        listed = ", ".join(str(item.get("appId")) for item in state.namesakes)
        findings.append(
            Finding(
                WARNING,
                "application",
                f"the application {wanted.called}",
                f"other applications bear the same display name: {listed}",
                "tell them apart by app id",
            )
        )
    shown: Json = {
        "state": "present" if exists else "absent" if state.deleted is None else "deleted",
        **_application.brief(state.application or state.deleted or {}),
        "deleted": None,
        "namesakes": [_application.brief(item) for item in state.namesakes],
    }
    if state.deleted is not None:
        gone = _application.moment(state.deleted.get("deletedDateTime"))
        shown["deleted"] = {
            "deleted_date_time": state.deleted.get("deletedDateTime"),
            "days_left": max(0, (gone + _application.KEPT_DELETED - now).days) if gone else None,
        }
    return shown, findings


def _judge_permissions(current: State, desired: Desired) -> list[Finding]:
    if not desired.permissions or current.offers is None:
        return []
    findings = []
    absent = _permissions.missing_resource(desired.permissions, current.offers)
    if absent is not None:
        findings.append(Finding(BLOCKED, "permissions", "permissions", absent.message, absent.cure, absent.who))
    try:
        _permissions.resolve(desired.permissions, current.offers)
    except InvalidInput as exc:
        findings.append(Finding(BLOCKED, "permissions", "permissions", exc.message, exc.cure))
    return findings


def _judge_policy(current: State, desired: Desired) -> tuple[Json, list[Finding]]:
    allowed, longest = restrictions(current.policy, _created(current))
    shown: Json = {
        "readable": current.policy is not None,
        "secrets_allowed": allowed,
        "max_lifetime_days": None if longest is None else longest.days,
    }
    if not desired.wants_secret:
        return shown, []
    what = "the tenant's app-management policy"
    if not allowed:
        reason = _secret.secrets_forbidden((desired.application.called if desired.application else "") or "")
        return shown, [Finding(BLOCKED, "secret", what, "it forbids client secrets", reason.cure, reason.who)]
    days = desired.secret_lifetime_days
    if longest is None or days is None or days <= longest.days:
        return shown, []
    found = f"it allows client secrets at most {longest.days} days, and {days} are wanted"
    if desired.allow_shorter:
        return shown, [Finding(WARNING, "secret", what, f"{found}; the secret will be shorter")]
    reason = _secret.lifetime_too_long(longest.days)
    return shown, [Finding(BLOCKED, "secret", what, found, reason.cure)]


def _created(current: State) -> dt.datetime | None:
    app = current.application.application if current.application else None
    return _application.moment(app.get("createdDateTime")) if app else None


def restrictions(policy: Json | None, created: dt.datetime | None) -> tuple[bool, dt.timedelta | None]:
    """(client secrets allowed, longest lifetime) for an application made at ``created``, None for one to be made.

    Without a readable policy everything counts as allowed: the write will tell.
    """
    if not policy or not policy.get("isEnabled"):
        return True, None
    allowed, longest = True, None
    for rule in (policy.get("applicationRestrictions") or {}).get("passwordCredentials") or []:
        if str(rule.get("state") or "enabled") != "enabled":
            continue
        since = _application.moment(rule.get("restrictForAppsCreatedAfterDateTime"))
        if since is not None and created is not None and created < since:
            continue
        if rule.get("restrictionType") == "passwordAddition":
            allowed = False
        elif rule.get("restrictionType") == "passwordLifetime" and rule.get("maxLifetime"):
            limit = _secret.duration(str(rule["maxLifetime"]))
            longest = limit if longest is None or (limit is not None and limit < longest) else longest
    return allowed, longest


def _judge_mailboxes(current: State, desired: Desired) -> tuple[list[Json], list[Finding]]:
    shown, findings = [], []
    first: dict[str, str] = {}
    for address in desired.mailboxes:
        entry, recipient, about = _judge_mailbox(current, desired, address, "mailboxes")
        if recipient is not None and recipient.guid in first:
            about.append(
                Finding(
                    WARNING,
                    "mailboxes",
                    f"mailbox {address}",
                    f"it is the same mailbox as {first[recipient.guid]}",
                    "name each mailbox once",
                )
            )
        elif recipient is not None:
            first[recipient.guid] = address
        shown.append(entry)
        findings += about
    return shown, findings


def _judge_mailbox(
    current: State, desired: Desired, address: str, step: str
) -> tuple[Json, Recipient | None, list[Finding]]:
    """One address: what it is, and what speaks against it."""
    what = f"{'mailbox' if step == 'mailboxes' else 'control mailbox'} {address}"
    entry: Json = {
        "address": address,
        "primary": None,
        "display_name": None,
        "type": None,
        "type_in_words": None,
        "exists": None,
        "usable": None,
        "is_alias": None,
        "ews_enabled": None,
        "entra_id": None,
        "closest": [],
    }
    if current.recipients is None:
        return entry, None, []
    recipient = _recipients.among(current.recipients, address)
    if recipient is None:
        hint = current.hints.get(address.lower(), Hint())
        entry.update(exists=False, usable=False, closest=list(hint.closest))
        return entry, None, [_not_found(current, address, what, step, hint)]
    usable = recipient.type in _recipients.MAILBOXES
    alias = recipient.address.lower() != address.lower()
    closed = recipient.guid in current.ews_disabled
    entry.update(
        primary=recipient.address or None,
        display_name=recipient.display_name or None,
        type=recipient.type,
        type_in_words=_recipients.words(recipient.type),
        exists=True,
        usable=usable,
        is_alias=alias,
        ews_enabled=None if not desired.ews or not usable else not closed,
        entra_id=recipient.entra_id or None,
    )
    findings = []
    if not usable:
        findings.append(
            Finding(
                BLOCKED,
                step,
                what,
                f"it is a {_recipients.words(recipient.type)}, and no mailbox that the application could open",
                _recipients.advice(recipient.type),
                _EXCHANGE_ADMIN,
            )
        )
    elif alias:
        findings.append(
            Finding(
                WARNING,
                step,
                what,
                f"it is a further address of {recipient.address}, whose mailbox is meant",
                f"write {recipient.address}",
            )
        )
    if usable and closed:
        entry["usable"] = False
        findings.append(
            Finding(
                BLOCKED,
                step,
                what,
                "its own EwsEnabled is False, so EWS stays closed for it whatever the tenant allows",
                f"Set-CASMailbox -Identity {recipient.address} -EwsEnabled $true",
                _EXCHANGE_ADMIN,
            )
        )
    return entry, recipient, findings


def _not_found(current: State, address: str, what: str, step: str, hint: Hint) -> Finding:
    domain = address.rpartition("@")[2].lower()
    closest = f"; closest: {', '.join(hint.closest)}" if hint.closest else ""
    if current.accepted is not None and domain not in current.accepted:
        near = _names.nearest(domain, current.accepted, 1)
        return Finding(
            BLOCKED,
            step,
            what,
            f"{domain} is none of the tenant's domains ({', '.join(current.accepted)}){closest}",
            f"check the address{f'; did you mean the domain {near[0]}?' if near else ''}, or the tenant",
        )
    if hint.soft_deleted:
        return Finding(
            BLOCKED,
            step,
            what,
            "it was deleted, and lies in the recycle bin of Exchange Online",
            "restore the user or the mailbox (within 30 days), or name another one",
            _EXCHANGE_ADMIN,
        )
    if hint.account:
        return Finding(
            BLOCKED,
            step,
            what,
            f"it is an {_recipients.words('User')}",
            _recipients.advice("User"),
            "a License Administrator",
        )
    return Finding(
        BLOCKED,
        step,
        what,
        f"no recipient has this address{closest}",
        "correct the address, or make the mailbox first; one that was made a moment ago may need some minutes",
        _EXCHANGE_ADMIN,
    )


def _judge_group(current: State, desired: Desired) -> tuple[Json | None, list[Finding]]:
    wanted = desired.group
    if wanted is None:
        return None, []
    what = f"the scope group {wanted.called!r}"
    shown: Json = {
        "state": None,
        "name": wanted.name,
        "alias": wanted.alias,
        "address": wanted.address,
        "type": None,
        "type_in_words": None,
        "members": None,
        "foreign_members": None,
    }
    findings: list[Finding] = []
    domain = (wanted.address or "").rpartition("@")[2].lower()
    if domain and current.accepted is not None and domain not in current.accepted:
        findings.append(
            Finding(
                BLOCKED,
                "group",
                what,
                f"its address {wanted.address} is in none of the tenant's domains ({', '.join(current.accepted)})",
                "choose an address in one of them",
            )
        )
    if current.group is None:
        return shown, findings
    if not current.group:
        return {**shown, "state": "absent"}, findings
    shown["state"] = "conflict"
    for other in _recipients.ordered(current.group):
        if other.type != _recipients.SECURITY_GROUP:
            findings.append(
                Finding(
                    BLOCKED,
                    "group",
                    what,
                    f"its name, alias or address belongs to {other}, which can neither be a scope nor be turned into "
                    "one",
                    "choose another group name, alias and address",
                )
            )
    fit = [other for other in current.group if other.type == _recipients.SECURITY_GROUP]
    if len(fit) > 1:
        findings.append(
            Finding(
                BLOCKED,
                "group",
                what,
                f"name, alias and address belong to different groups: {', '.join(map(str, _recipients.ordered(fit)))}",
                "give the alias and the address of one of them, or new ones",
            )
        )
    if findings or len(fit) != 1:
        return shown, findings
    group = fit[0]
    shown.update(
        state="present",
        name=group.name,
        alias=group.alias,
        address=group.address,
        type=group.type,
        type_in_words=_recipients.words(group.type),
    )
    if current.members is None:
        return shown, findings
    members = _recipients.ordered(current.members)
    shown["members"] = [member.as_dict() for member in members]
    if not desired.mailboxes or current.recipients is None:
        return shown, findings
    own = [_recipients.among(current.recipients, address) for address in desired.mailboxes]
    ours = {recipient.guid for recipient in own if recipient is not None}
    foreign = [member for member in members if member.guid not in ours]
    shown["foreign_members"] = [member.as_dict() for member in foreign]
    if foreign:
        listed = ", ".join(map(str, foreign))
        findings.append(
            Finding(
                BLOCKED if wanted.on_foreign_members == "fail" else WARNING,
                "group",
                what,
                f"it holds {len(foreign)} more than the fax mailboxes, which the application could read: {listed}",
                {
                    "fail": "take them out, or set on_foreign_members to remove, or to keep if they belong there",
                    "remove": "they will be taken out of the group",
                    "keep": "they stay in the group",
                }[wanted.on_foreign_members],
                _EXCHANGE_ADMIN,
            )
        )
    return shown, findings


def _judge_controls(current: State, desired: Desired) -> tuple[list[Json], list[Finding], str | None]:
    """(control mailboxes, findings, what is pending): given ones are checked, else one is picked."""
    if current.recipients is None or not (desired.control or desired.picks):
        return [], [], None
    fax = {
        recipient.guid
        for address in desired.mailboxes
        if (recipient := _recipients.among(current.recipients, address)) is not None
    }
    inside = {member.guid for member in current.members or []}
    if desired.picks:
        free = [
            item for item in current.candidates or [] if item.guid not in fax | inside and not _admin(current, item)
        ]
        if not free:
            found = "there is no user mailbox beside the fax mailboxes, the group's members and the administrators"
            return (
                [],
                [
                    Finding(
                        WARNING,
                        "control_mailboxes",
                        "the negative proof",
                        found,
                        "name a mailbox in control_mailboxes, or make one: without it nobody can show that the "
                        "application is shut out anywhere",
                    )
                ],
                f"negative proof impossible: {found}",
            )
        picked = min(free, key=lambda item: (item.address.casefold(), item.guid))
        entry, _recipient, _about = _judge_mailbox(
            replace(current, recipients=[picked]), replace(desired, ews=False), picked.address, "control_mailboxes"
        )
        return [{**entry, "picked": True}], [], None
    shown, findings = [], []
    for address in desired.control:
        entry, recipient, about = _judge_mailbox(current, desired, address, "control_mailboxes")
        what = f"control mailbox {address}"
        if recipient is not None and recipient.guid in fax:
            about.append(
                Finding(
                    BLOCKED,
                    "control_mailboxes",
                    what,
                    "it is one of the fax mailboxes, which the application may open",
                    "name a mailbox that the application must not open",
                )
            )
        elif recipient is not None and recipient.guid in inside:
            about.append(
                Finding(
                    BLOCKED,
                    "control_mailboxes",
                    what,
                    "it is a member of the scope group, so the application may open it",
                    "name a mailbox outside the group, or take it out of the group",
                )
            )
        elif recipient is not None and _admin(current, recipient):
            about.append(
                Finding(
                    WARNING,
                    "control_mailboxes",
                    what,
                    "its owner is an administrator, whose mailbox may be refused for other reasons",
                    "name a mailbox of somebody who is none",
                )
            )
        shown.append({**entry, "picked": False})
        findings += about
    return shown, findings, None


def _admin(current: State, recipient: Recipient) -> bool:
    known = current.admins or frozenset()
    return bool(known.intersection({recipient.guid, recipient.entra_id, *recipient.addresses} - {""}))


def _judge_ews(current: State, desired: Desired, now: dt.datetime) -> tuple[Json | None, list[Finding]]:
    if current.configuration is None:
        return None, []
    state = _ews_access.state_of(current.configuration)
    app = current.application.application if current.application else None
    app_id = str((app or {}).get("appId") or "").lower()
    allowed = state.allows(app_id)
    shown: Json = {**state.as_dict(), "allowed": allowed}
    if not desired.ews:
        return shown, []
    what = "Exchange Web Services"
    days = (_ews_access.SUNSET - now.date()).days
    findings = [
        Finding(
            WARNING,
            "ews",
            what,
            f"they end on {_ews_access.SUNSET.isoformat()} for every tenant"
            + (f", in {days} days" if days > 0 else ", which is past"),
            "ask the fax server's vendor for the successor and plan the move",
        )
    ]
    if allowed is None:
        findings.append(
            Finding(
                WARNING,
                "ews",
                what,
                "EwsEnabled is not set in this tenant, so EWS works until Microsoft sets it to False, tenant by tenant "
                "since 2026-10-01",
                "decide it: exchange_ews_access with on_unset=enable opens EWS for the listed applications alone",
            )
        )
    elif not allowed:
        found = _closed(current, state, app_id)
        if desired.ews_opt_in:
            cure = "this run opens EWS for the application; that takes up to 24 hours to come into force"
            findings.append(Finding(WARNING, "ews", what, found, cure))
        else:
            cure = (
                "let the run open EWS for this one application (ews.opt_in, mail2fax_ews_opt_in: true), or use a "
                "profile that does without EWS"
            )
            findings.append(Finding(BLOCKED, "ews", what, found, cure, _EXCHANGE_ADMIN))
    return shown, findings


def _closed(current: State, state: _ews_access.EwsState, app_id: str) -> str:
    if state.enabled is False:
        return "the tenant blocks them (EwsEnabled is False)"
    if not state.ids():
        return "the tenant allows no application (EwsEnabled is True, and EwsAllowedAppIDs is empty)"
    found = "the tenant allows listed applications only, and this one is not on the list (EwsAllowedAppIDs)"
    older = (current.configuration or {}).get("EwsAllowList")
    if app_id and app_id in str(older or "").lower():
        found += "; it stands in EwsAllowList, which is another list and does not count here"
    return found


# --- the resource --------------------------------------------------------------------------------------------


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
        try:
            exchange = self._tenant.sign_in.token(cloud.exchange_audience)
        except (SignInError, InvalidInput) as exc:
            problem = exc
        tokens = [token for token in (graph, exchange) if token is not None and token.claims]
        roles = _powers.directory_roles(frozenset().union(*(token.wids for token in tokens))) if tokens else None
        return Operator(
            app_id=graph.app_id,
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
        calls = self._graph_calls()
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
        state.policy = allowed("policy")
        if "admins" in parts:
            roles = allowed("admins")
            if roles is not None:
                members = (member for role in roles.get("value") or [] for member in role.get("members") or [])
                state.admins = frozenset(str(member.get("id") or "").lower() for member in members)
        self._read_application(state, calls, parts)

    def _graph_calls(self) -> dict[str, Call]:
        desired = self._desired
        calls = {
            "organization": Call(
                "GET", "/organization?$select=id,displayName,verifiedDomains", "read the organization"
            ),
            "domains": Call("GET", "/domains?$select=id,isVerified", "read the tenant's domains"),
            "policy": Call("GET", "/policies/defaultAppManagementPolicy", "read the app-management policy"),
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
        deleted = self._deleted(parts["deleted"]) if application is None else None
        own = str((application or deleted or {}).get("id") or "")
        namesakes = (parts["namesakes"].value().get("value") or []) if "namesakes" in parts else []
        holder = parts["holder"].found() if "holder" in parts else None
        state.application = _application.State(
            application=application,
            deleted=deleted,
            namesakes=tuple(item for item in namesakes if item.get("id") not in (own, (holder or {}).get("id"))),
            holder=holder,
        )

    def _deleted(self, part: Part) -> Json | None:
        if part.error is None or part.status != 400:
            return next(iter(part.value().get("value") or []), None)
        # A directory that cannot filter its recycle bin by this property: go through the bin, which 30 days bound.
        wanted = self._desired.application
        assert wanted is not None
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
        by_name = dict(zip(cmdlets, outputs, strict=True))

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
        if "group" in cmdlets:
            page = listed("group")
            state.group = None if page is None else [Recipient.of(entry) for entry in page]
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
            cmdlets["group"] = _recipients.by_properties(desired.group.properties(), "look for the scope group")
            if desired.group.identity:
                cmdlets["members"] = _members(desired.group.identity)
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
        app = state.application.application if state.application else None
        if app is not None and desired.wants_secret and restrictions(state.policy, _created(state)) != (True, None):
            state.policy = self._own_policy(str(app["id"])) or state.policy

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
            [] if _useless(output) else output.listed() for output in self._tenant.exchange.invoke_many(cmdlets)
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
        fit = [item for item in state.group or [] if item.type == _recipients.SECURITY_GROUP]
        if len(fit) != 1:
            state.members = None
            return
        identity = self._desired.group.identity if self._desired.group else None
        if state.members is None or not identity or not fit[0].answers_to(identity):
            cmdlet = _members(fit[0].guid)
            listed = self._listed(state, cmdlet, self._tenant.exchange.invoke_many([cmdlet])[0])
            state.members = None if listed is None else [Recipient.of(entry) for entry in listed]
        if state.members is None:
            return
        seen = {fit[0].guid}
        waiting = [item for item in state.members if item.type in _recipients.GROUPS]
        while waiting and len(seen) <= NESTED:
            seen |= {item.guid for item in waiting}
            outputs = self._tenant.exchange.invoke_many([_members(item.guid) for item in waiting])
            found = [Recipient.of(entry) for output in outputs if not _useless(output) for entry in output.listed()]
            state.members += [item for item in found if item.guid not in {member.guid for member in state.members}]
            waiting = [item for item in found if item.type in _recipients.GROUPS and item.guid not in seen]

    def _own_policy(self, object_id: str) -> Json | None:
        """A policy assigned to the application wins over the tenant's; None where there is none, or none to read."""
        purpose = "read the application's own app-management policy"
        call = Call("GET", f"/applications/{object_id}/appManagementPolicies", purpose)
        part = self._tenant.graph.batch([call], purpose=purpose)[0]
        if part.error is not None and not isinstance(part.error, Throttled):
            return None
        own = next(iter(part.value().get("value") or []), None)
        return None if own is None else {**own, "applicationRestrictions": own.get("restrictions")}


def _members(identity: str) -> Cmdlet:
    return Cmdlet(
        "Get-DistributionGroupMember",
        {"Identity": identity, "ResultSize": "Unlimited"},
        "read the scope group's members",
    )


def _like(pattern: str) -> str:
    return f"EmailAddresses -like {_names.opath_literal(pattern)}"


def _useless(output: Output) -> bool:
    return output.error is not None and not isinstance(output.error, Throttled)


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
    if days is not None and days <= 0:
        raise InvalidInput(f"secret_lifetime_days is {days}", cure="give a number of days, 1 or more")
    return Desired(
        expected_domain=expected,
        tenant_option=tenant.options.get("tenant"),
        application=_wanted_application(params.get("application")),
        permissions=_permissions.parse(params.get("permissions")),
        mailboxes=_addresses(params.get("mailboxes"), "mailboxes"),
        control=_addresses(params.get("control_mailboxes"), "control_mailboxes"),
        group=None if group is None else _group(group),
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


def _group(option: Json) -> Group:
    name, alias, address = (option.get(key) or None for key in ("name", "alias", "address"))
    if not (name or alias or address):
        raise InvalidInput("group names nothing", cure="give the group's name, alias or address")
    return Group(
        name=_names.name(name, "group.name", 64) if name else None,
        alias=_names.alias(alias, "group.alias") if alias else None,
        address=_names.address(address, "group.address") if address else None,
        on_foreign_members=option["on_foreign_members"],
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
                "name": {"type": "str"},
                "alias": {"type": "str"},
                "address": {"type": "str"},
                "on_foreign_members": {"type": "str", "default": "fail", "choices": ["fail", "remove", "keep"]},
            },
        },
        "ews": {
            "type": "dict",
            "options": {
                "required": {"type": "bool", "default": True},
                "opt_in": {"type": "bool", "default": False},
            },
        },
        "steps": {"type": "list", "elements": "str", "choices": list(_powers.POWERS)},
        "secret_lifetime_days": {"type": "int", "no_log": False},
        "allow_shorter": {"type": "bool", "default": False},
        "fail_on_findings": {"type": "bool", "default": True},
    }
)
DOOR = Door(TenantInfo, SPEC)
