# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What speaks against the expectations of a run, judged from what was read of the tenant. Pure: no requests here.

Everything is collected, not only the first thing. Where a module has a rule of its own about what stops it, that rule
is asked, so that the preflight and the step never disagree.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import (
    _app_policies,
    _names,
    _permissions,
    _powers,
    _recipients,
    _steps,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._app_policies import Limits
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Blocked,
    Forbidden,
    HostNotReady,
    InvalidInput,
    M365Error,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import Offers, Wanted
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import access_policy as _access_policy
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import application as _application
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import ews_access as _ews_access
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import secret as _secret
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import security_group as _security_group

WARNING = "warning"
BLOCKED = "blocked"
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
class Desired:
    """The expectations; None or empty means: none of that kind."""

    expected_domain: str | None = None
    tenant_option: str | None = None
    application: _application.Desired | None = None
    permissions: tuple[Wanted, ...] | None = None
    mailboxes: tuple[str, ...] = ()
    control: tuple[str, ...] = ()
    group: _security_group.Desired | None = None
    on_other_policies: str | None = None
    """What the access policy's own option will be; None: other policies are not looked at."""
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
        return self.secret_lifetime_days is not None or "client_secret" in map(_steps.key, self.steps or ())

    @property
    def wants_exchange(self) -> bool:
        return bool(
            self.mailboxes
            or self.control
            or self.group
            or self.ews
            or any(map(_steps.needs_exchange, self.steps or ()))
        )


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
    owned: bool | None = None
    """Whether the operator is an owner of the application; None where that does not matter."""
    offers: Offers | None = None
    limits: Limits = _app_policies.UNREAD
    """What the app-management policies allow: the tenant's, or the application's own where those were looked up."""
    admins: frozenset[str] | None = None
    """Ids and addresses in lower case."""
    recipients: list[Recipient] | None = None
    ews_disabled: frozenset[str] = frozenset()
    """Guids of mailboxes whose own EwsEnabled is False."""
    candidates: list[Recipient] | None = None
    group: list[Recipient] | None = None
    members: list[Recipient] | None = None
    managed_by: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)
    """By the guid of each in ``group``: its owners, as Exchange prints them."""
    foreign_owners: list[str] | None = None
    """The scope group's owners that nobody declared; None where owners are not looked at."""
    access_policies: list[_access_policy.Policy] | None = None
    deleted_namesakes: tuple[Json, ...] = ()
    """Deleted applications of the declared display name that are not the one meant."""
    configuration: Json | None = None
    hints: dict[str, Hint] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    refusal: Forbidden | None = None
    windows_host: Json | None = None
    """What the management host told about itself, where one carries Exchange's cmdlets."""
    host_problem: HostNotReady | None = None

    @property
    def domains(self) -> list[str] | None:
        if self.verified is None and self.accepted is None:
            return None
        return list(dict.fromkeys([*(self.verified or []), *(self.accepted or [])]))


def stops(step: str, what: str, found: str, cure: str = "", who: str = "") -> Finding:
    return Finding(BLOCKED, step, what, found, cure, who)


def notes(step: str, what: str, found: str, cure: str = "", who: str = "") -> Finding:
    return Finding(WARNING, step, what, found, cure, who)


# --- judging -------------------------------------------------------------------------------------------------


def plan(current: State, desired: Desired, now: dt.datetime) -> Plan:
    """Pure: everything found, and the outcome that follows from it."""
    findings: list[Finding] = []
    findings += _tenant(current, desired)
    missing, about_powers = _missing(current, desired)
    findings += about_powers + _unread(current, desired, bool(about_powers))
    app, about_app = _judge_application(current, desired, now)
    findings += about_app + _judge_permissions(current, desired)
    policy, about_policy = _judge_policy(current, desired, now)
    findings += about_policy
    mailboxes, about_mailboxes = _judge_mailboxes(current, desired)
    group, about_group = _judge_group(current, desired)
    controls, about_controls, pending = _judge_controls(current, desired)
    others, about_others = _judge_access_policies(current, desired, now)
    ews, about_ews = _judge_ews(current, desired, now)
    findings += about_mailboxes + about_group + about_others + about_controls + about_ews
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
        "other_policies": others,
        "ews": ews,
        "windows_host": current.windows_host,
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
            stops(
                "tenant",
                f"{option} {domain}",
                found,
                "check which tenant is meant: the connection (tenant, client_id, credential) or the expectation is "
                "wrong; a partner's account may have landed in its own tenant",
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
            "who": _powers.who(item.need),
        }
        for item in lacking
        for step in item.steps
    ]
    order = list(_powers.POWERS)
    entries.sort(key=lambda entry: order.index(_steps.key(entry["step"])))
    findings = []
    if operator.exchange_problem is not None:
        problem = operator.exchange_problem
        findings.append(
            (stops if desired.wants_exchange else notes)(
                "operator",
                "the operator's sign-in to Exchange Online",
                problem.message,
                problem.cure,
                problem.who,
            )
        )
    if current.refusal is not None:
        findings.append(
            (stops if desired.wants_exchange else notes)(
                "operator",
                "the operator in Exchange Online",
                current.refusal.message,
                current.refusal.cure,
                current.refusal.who,
            )
        )
    if current.host_problem is not None:
        problem = current.host_problem
        findings.append(
            (stops if desired.wants_exchange else notes)(
                "host", "the Windows management host", problem.message, problem.cure, problem.who
            )
        )
    for item in lacking if desired.steps is not None else ():
        purposes = ", ".join(_powers.POWERS[_steps.key(step)].title for step in item.steps)
        cure = "grant it and sign in anew"
        if item.need.kind == _powers.DIRECTORY:
            cure = (
                "assign it, as an active role: one that is only eligible in Privileged Identity Management does not "
                "count; then sign in anew"
            )
        findings.append(
            stops(
                item.steps[0],
                "the operator's rights",
                f"{_powers.in_words(item.need)} is missing, needed to {purposes}",
                cure,
                _powers.who(item.need),
            )
        )
    return entries, findings


def _unread(current: State, desired: Desired, explained: bool) -> list[Finding]:
    """An expectation that could not be looked into is not met; ``explained``: it is already told why."""
    blind = []
    if desired.application is not None and current.application is None:
        blind.append("the application")
    if desired.permissions and current.offers is None:
        blind.append("the permissions that APIs offer")
    if (desired.mailboxes or desired.control) and current.recipients is None:
        blind.append("the mailboxes")
    if desired.group is not None and current.group is None:
        blind.append("the scope group")
    if desired.ews and current.configuration is None:
        blind.append("the EWS settings")
    if not blind or explained:
        return []
    return [
        stops(
            "operator",
            "the operator's rights",
            f"the operator may not read {', '.join(blind)}, so the expectations cannot be checked",
            "grant the operator what is listed under missing, and sign in anew",
            _powers.WHO[_powers.DIRECTORY],
        )
    ]


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
                stops("application", f"the application {wanted.called}", reason.message, reason.cure, reason.who)
            )
    exists = state.application is not None
    if current.owned is False:
        findings.append(
            stops(
                "application",
                f"the application {wanted.called}",
                "the operator may change only applications that it owns (Application.ReadWrite.OwnedBy), and is no "
                "owner of this one",
                "make the operator's service principal an owner of it, or grant the operator Application.ReadWrite.All",
                _application.APPLICATION_ADMIN,
            )
        )
    if state.namesakes and (exists or wanted.on_namesake == "ignore"):
        listed = ", ".join(str(item.get("appId")) for item in state.namesakes)
        findings.append(
            notes(
                "application",
                f"the application {wanted.called}",
                f"other applications bear the same display name: {listed}",
                "tell them apart by app id",
            )
        )
    if current.deleted_namesakes and not exists and state.deleted is None:
        listed = ", ".join(
            f"{item.get('appId')} (since {str(item.get('deletedDateTime') or 'an unknown time')[:10]})"
            for item in current.deleted_namesakes
        )
        findings.append(
            notes(
                "application",
                f"the application {wanted.called}",
                f"deleted applications of the same display name lie in the recycle bin: {listed}. They were made by "
                "hand or by another tool, and a new one is made beside them",
                "nothing, unless one of them is meant: then restore it in the portal and adopt it by its app_id",
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
        findings.append(stops("permissions", "permissions", absent.message, absent.cure, absent.who))
    try:
        _permissions.resolve(desired.permissions, current.offers)
    except InvalidInput as exc:
        findings.append(stops("permissions", "permissions", exc.message, exc.cure))
    return findings


def _has_secret(current: State, now: dt.datetime) -> bool:
    """Whether the application has a secret that is still good: then secrets were allowed."""
    app = (current.application.application if current.application else None) or {}
    ends = (_application.moment(item.get("endDateTime")) for item in app.get("passwordCredentials") or [])
    return any(end is not None and end > now for end in ends)


def _judge_policy(current: State, desired: Desired, now: dt.datetime) -> tuple[Json, list[Finding]]:
    limits, longest = current.limits, current.limits.longest
    shown: Json = {
        "readable": limits.readable,
        "secrets_allowed": limits.secrets_allowed if limits.readable else None,
        "max_lifetime_days": None if longest is None else longest.days,
    }
    if not desired.wants_secret:
        return shown, []
    what = "the tenant's app-management policy"
    if not limits.secrets_allowed:
        reason = _secret.secrets_forbidden((desired.application.called if desired.application else "") or "")
        return shown, [stops("secret", what, "it forbids client secrets", reason.cure, reason.who)]
    if not limits.readable and current.operator.reads_graph and not _has_secret(current, now):
        return shown, [
            notes(
                "secret",
                what,
                "the operator may not read it, so whether it forbids or limits client secrets shows only when the "
                "secret is made: the run would stop there, with the application and its scope made and nothing granted",
                "to know it beforehand grant the operator's application Policy.Read.All",
                _powers.WHO[_powers.GRAPH],
            )
        ]
    days = desired.secret_lifetime_days
    if longest is None or days is None or days <= longest.days:
        return shown, []
    found = f"it allows client secrets at most {longest.days} days, and {days} are wanted"
    if desired.allow_shorter:
        return shown, [notes("secret", what, f"{found}; the secret will be shorter")]
    reason = _secret.lifetime_too_long(longest.days)
    return shown, [stops("secret", what, found, reason.cure)]


def _judge_mailboxes(current: State, desired: Desired) -> tuple[list[Json], list[Finding]]:
    shown, findings = [], []
    first: dict[str, str] = {}
    for address in desired.mailboxes:
        entry, recipient, about = _judge_mailbox(current, desired, address, "mailboxes")
        if recipient is not None and recipient.guid in first:
            about.append(
                notes(
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
            stops(
                step,
                what,
                f"it is a {_recipients.words(recipient.type)}, and no mailbox that the application could open",
                _recipients.advice(recipient.type),
                _EXCHANGE_ADMIN,
            )
        )
    elif alias:
        findings.append(
            notes(
                step,
                what,
                f"it is a further address of {recipient.address}, whose mailbox is meant",
                f"write {recipient.address}",
            )
        )
    if usable and closed:
        entry["usable"] = False
        findings.append(
            stops(
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
        return stops(
            step,
            what,
            f"{domain} is none of the tenant's domains ({', '.join(current.accepted)}){closest}",
            f"check the address{f'; did you mean the domain {near[0]}?' if near else ''}, or the tenant",
        )
    if hint.soft_deleted:
        return stops(
            step,
            what,
            "it was deleted, and lies in the recycle bin of Exchange Online",
            "restore the user or the mailbox (within 30 days), or name another one",
            _EXCHANGE_ADMIN,
        )
    if hint.account:
        return stops(
            step,
            what,
            f"it is an {_recipients.words('User')}",
            _recipients.advice("User"),
            "a License Administrator",
        )
    return stops(
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
    what = f"the scope group {wanted.name or wanted.alias!r}"
    shown: Json = {
        "state": None,
        "name": wanted.name or None,
        "alias": wanted.alias,
        "address": wanted.address,
        "type": None,
        "type_in_words": None,
        "members": None,
        "foreign_members": None,
        "foreign_owners": None,
    }
    findings: list[Finding] = []
    domain = (wanted.address or "").rpartition("@")[2].lower()
    if domain and current.accepted is not None and domain not in current.accepted:
        found = f"its address {wanted.address} is in none of the tenant's domains ({', '.join(current.accepted)})"
        findings.append(stops("group", what, found, "choose an address in one of them"))
    if current.group is None:
        return shown, findings
    # The same rules as when the group is made.
    alone = replace(wanted, owners=None)
    problem = _security_group.plan(_security_group.State(found=tuple(current.group)), alone).blocked
    if problem is not None:
        findings.append(stops("group", what, problem.message, problem.cure, problem.who or _EXCHANGE_ADMIN))
        return {**shown, "state": "conflict"}, findings
    group = scope_group(current.group, wanted)
    if group is None:
        return {**shown, "state": "absent"}, findings
    shown.update(
        state="present",
        name=group.display_name or group.name,
        alias=group.alias,
        address=group.address,
        type=group.type,
        type_in_words=_recipients.words(group.type),
    )
    shown["foreign_owners"] = _list(current.foreign_owners)
    if current.foreign_owners:
        findings.append(
            (stops if wanted.on_foreign_owners == "fail" else notes)(
                "group",
                what,
                f"it has owners that nobody declared, who could put more into it: {', '.join(current.foreign_owners)}",
                {
                    "fail": "declare them, or set on_foreign_owners to remove, or to keep if they are to stay",
                    "remove": "they will no longer be its owners",
                    "keep": "they stay its owners",
                }[wanted.on_foreign_owners],
                _EXCHANGE_ADMIN,
            )
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
            (stops if wanted.on_foreign_members == "fail" else notes)(
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


def _judge_access_policies(
    current: State, desired: Desired, now: dt.datetime
) -> tuple[list[Json] | None, list[Finding]]:
    """Other policies that count for the application, by the rules of the step that makes its own."""
    wanted = desired.group
    if desired.on_other_policies is None or wanted is None or current.access_policies is None:
        return None, []
    state = current.application
    known = (
        (state.application or (state.deleted if state.deleted and _comes_back(desired) else None)) if state else None
    )
    scope = scope_group(current.group or [], wanted)
    planned = _access_policy.plan(
        _access_policy.State(tuple(current.access_policies), (scope,) if scope is not None else ()),
        _access_policy.Desired(
            app_id=str((known or {}).get("appId") or _names.ZERO_GUID).lower(),
            group=wanted.alias,
            on_other_policies=desired.on_other_policies,
            check_mode=True,
        ),
        now,
    )
    others: list[Json] = planned.result["other_policies"]
    what = "the application's access policies"
    reason = planned.blocked
    if reason is not None:
        return others, [stops("policy", what, reason.message, reason.cure, reason.who)]
    findings = []
    gone = [step.title.removeprefix("remove the policy ") for step in planned.steps if step.name == "remove"]
    if gone:
        findings.append(notes("policy", what, f"others contradict: {'; '.join(gone)}", "they will be removed"))
    findings += [notes("policy", what, warning[:1].lower() + warning[1:].rstrip(".")) for warning in planned.warnings]
    return others, findings


def _comes_back(desired: Desired) -> bool:
    return desired.application is not None and desired.application.on_deleted == "restore"


def scope_group(found: t.Iterable[Recipient], wanted: _security_group.Desired) -> Recipient | None:
    """The group that is meant, by alias or address; None where there is none, or not exactly one that fits."""
    hits = [one for one in found if wanted.identifies(one)]
    return hits[0] if len(hits) == 1 and hits[0].type == _recipients.SECURITY_GROUP else None


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
                    notes(
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
                stops(
                    "control_mailboxes",
                    what,
                    "it is one of the fax mailboxes, which the application may open",
                    "name a mailbox that the application must not open",
                )
            )
        elif recipient is not None and recipient.guid in inside:
            about.append(
                stops(
                    "control_mailboxes",
                    what,
                    "it is a member of the scope group, so the application may open it",
                    "name a mailbox outside the group, or take it out of the group",
                )
            )
        elif recipient is not None and _admin(current, recipient):
            about.append(
                notes(
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
        notes(
            "ews",
            what,
            f"they end on {_ews_access.SUNSET.isoformat()} for every tenant"
            + (f", in {days} days" if days > 0 else ", which is past"),
            "ask the fax server's vendor for the successor and plan the move",
        )
    ]
    if allowed is None:
        findings.append(
            notes(
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
            findings.append(notes("ews", what, found, cure))
        else:
            cure = (
                "let the run open EWS for this one application (ews.opt_in, mail2fax_ews_opt_in: true), or use a "
                "profile that does without EWS"
            )
            findings.append(stops("ews", what, found, cure, _EXCHANGE_ADMIN))
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
