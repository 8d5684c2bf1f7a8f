# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a tenant is, what the operator may do in it, and whether what is planned can be done: read once, write nothing.

The options are expectations. When all is well it takes one batch of Graph and one of Exchange, whatever the tenant's
size; further requests are made only to explain what is wrong, such as the addresses closest to a mistyped one.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _time
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Forbidden
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, ReadOnly
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import (
    application,
    control,
    ews,
    following,
    granted,
    group,
    held,
    host,
    lifetimes,
    mailboxes,
    operator,
    pointer,
    policies,
    protocols,
    rights,
    roles,
    scope,
    secret,
    tenant,
    wide,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Ask
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import SPEC, Desired, parse
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import (
    BLOCKED,
    LISTED,
    WARNING,
    Finding,
    stop,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant


@dataclass(frozen=True)
class State:
    """What was read, by topic. ``refusal``: Exchange answered nothing but this."""

    operator: operator.Operator
    tenant: tenant.Facts = field(default_factory=tenant.Facts)
    application: application.Facts = field(default_factory=application.Facts)
    granted: granted.Facts = field(default_factory=granted.Facts)
    secret: secret.Facts = field(default_factory=secret.Facts)
    mailboxes: mailboxes.Facts = field(default_factory=mailboxes.Facts)
    control: control.Facts = field(default_factory=control.Facts)
    scope: scope.Facts = field(default_factory=scope.Facts)
    ews: ews.Facts = field(default_factory=ews.Facts)
    held: held.Facts = field(default_factory=held.Facts)
    protocols: protocols.Facts = field(default_factory=protocols.Facts)
    host: host.Facts = field(default_factory=host.Facts)
    lifetimes: lifetimes.Facts = None
    refusal: Forbidden | None = None
    unreadable: tuple[str, ...] = ()


class TenantInfo(ReadOnly):
    """The resource behind ``m365_tenant_info``."""

    def __init__(self, connected: Tenant, task: Task) -> None:
        self._tenant = connected
        self._desired = parse(connected, task.params)

    def read(self) -> State:
        who = operator.signed_in(self._tenant)
        self._desired = desired = application.signed_in(self._desired, self._tenant)
        ask = Ask(self._tenant, graph=who.reads_graph, exchange=who.reads_exchange)
        first = desired.by_policy_alone
        follows = self._tenant.reads.gives and following.of_a_scope(desired)
        apart = first or follows
        answers = ask.topics(
            {
                "tenant": tenant.calls(None if first else 4),
                "application": application.calls(desired, who),
                "granted": granted.calls(desired),
                "secret": secret.calls(desired),
                "ews": ews.calls(None if first or desired.ews else 1),
                "mailboxes": mailboxes.calls(desired, [] if apart else scope.names(desired), apart=follows),
                "control": control.calls(desired),
                "scope": scope.calls(desired, apart=apart),
                "held": held.calls(desired),
                "protocols": protocols.calls(desired),
                "lifetimes": lifetimes.calls(desired),
                "following": following.calls(desired) if follows else {},
            }
        )
        settings = ews.take(answers["ews"])
        registration = application.take(answers["application"], desired, who, ask)
        declared = mailboxes.explain(mailboxes.take(answers["mailboxes"]), desired, ask)
        app_id = registration.app_id_to_be(desired)
        has = held.explain(held.take(answers["held"]), desired, app_id, ask)
        settings = roles.explain(settings, has, desired, ask)
        limits = scope.take(answers["scope"], desired, declared.recipients)
        return State(
            operator=who,
            tenant=tenant.explain(tenant.take(answers["tenant"], settings.configuration), desired, who, ask),
            application=registration,
            granted=granted.explain(granted.take(answers["granted"]), desired, app_id, ask),
            secret=secret.take(answers["secret"], registration.document),
            mailboxes=declared,
            control=control.take(answers["control"]),
            scope=scope.explain(limits, desired, declared, app_id, ask, self._tenant.now(), has.scopes),
            ews=settings,
            held=has,
            protocols=protocols.take(answers["protocols"]),
            host=host.take(self._tenant, ask.host_problem),
            lifetimes=lifetimes.take(answers["lifetimes"]),
            refusal=ask.refusal,
            unreadable=tuple(ask.unreadable),
        )

    def plan(self, current: State) -> Plan:
        made = plan(current, self._desired, self._tenant.now())
        made.warnings += self._tenant.remarks()
        return made


def plan(current: State, desired: Desired, now: dt.datetime) -> Plan:
    """Pure: everything that was found, and the outcome that follows from it."""
    who, accepted = current.operator, current.tenant.accepted
    app_id = current.application.app_id_to_be(desired)
    assigned, revokes = roles.judge(_for_roles(current, app_id), desired, now)
    powers = operator.judge(who, desired, current.refusal, revokes=revokes)
    about_host = host.judge(current.host, desired)
    registration = application.judge(current.application, desired, now)
    policy = secret.judge(current.secret, desired, who, now)
    declared = mailboxes.judge(current.mailboxes, desired, accepted)
    limits = group.judge(current.scope, desired, current.mailboxes, app_id, accepted)
    others = policies.judge(current.scope, desired, current.mailboxes, app_id, now)
    controls = control.judge(
        current.control, current.mailboxes, current.scope.staying(desired), current.scope.inside, desired, accepted
    )
    services = ews.judge(current.ews, desired, current.application.app_id, now)
    pointed = pointer.judge(current.held, current.application, desired)
    replaced = pointer.is_replaced(current.held, current.application, desired)
    entries = rights.judge(current.held, current.control, desired, current.mailboxes, app_id, now, replaced=replaced)
    switches = protocols.judge(current.protocols, desired, current.mailboxes, now)
    findings = [*tenant.judge(current.tenant, desired, who), *powers.findings, *about_host]
    unread = _blind(current, desired)
    if unread and not powers.findings and not any(finding.severity == BLOCKED for finding in about_host):
        findings.append(operator.unread(unread))
    for judged in (
        registration,
        policy,
        declared,
        limits,
        others,
        controls,
        services,
        pointed,
        entries,
        assigned,
        switches,
    ):
        findings += judged.findings
    findings += wide.judge(desired)
    findings = [_as_asked(finding, desired) for finding in findings]
    result: Json = {
        "now": _time.iso(now),
        "tenant": {
            "id": who.tenant_id or None,
            "name": current.tenant.name,
            "domains": current.tenant.domains,
            "default_domain": tenant.shown_domain(current.tenant, desired, who),
        },
        "operator": operator.shown(who),
        "missing": powers.shown,
        "application": registration.shown,
        "permissions": None if desired.permissions is None else [item.as_dict() for item in desired.permissions],
        "permissions_in_force": granted.shown(current.granted, current.application.offers),
        "token_lifetimes": lifetimes.shown(current.lifetimes),
        "app_management_policy": policy.shown,
        "mailboxes": declared.shown,
        "control_mailboxes": controls.shown,
        "candidates": rights.further(current.control, desired, sum(bool(one["picked"]) for one in controls.shown)),
        "group": limits.shown,
        "other_policies": others.shown,
        "ews": services.shown,
        "protocols": switches.shown,
        "service_principal": pointed.shown,
        "mailbox_permission": entries.shown,
        "application_role": assigned.shown,
        "windows_host": current.host.about,
        "unreadable": sorted(set(current.unreadable)),
        "findings": [finding.as_dict() for finding in findings],
        "ready": not any(finding.severity == BLOCKED for finding in findings),
    }
    grave = [finding for finding in findings if finding.severity == BLOCKED]
    light = [finding for finding in findings if finding.severity == WARNING]
    blocked = stop(grave) if grave and desired.fail_on_findings else None
    return Plan(
        result=result,
        summary=_summary(current, grave, light),
        warnings=_warnings(light if blocked is not None else [*grave, *light]),
        pending=controls.pending,
        blocked=blocked,
    )


def _for_roles(current: State, app_id: str) -> roles.Facts:
    return roles.Facts(
        held=current.held,
        registration=current.application,
        granted=current.granted,
        scope=current.scope,
        mailboxes=current.mailboxes,
        ews=current.ews,
        app_id=app_id,
    )


def _blind(current: State, desired: Desired) -> list[str]:
    """What was expected and could not be read, in words."""
    unread = application.blind(current.application, desired)
    if (desired.mailboxes or desired.control) and current.mailboxes.recipients is None:
        unread.append("the mailboxes")
    unread += scope.blind(current.scope, desired)
    unread += held.blind(current.held, desired, current.application.app_id_to_be(desired))
    unread += protocols.blind(current.protocols, desired)
    if desired.ews and current.ews.configuration is None:
        unread.append("the EWS settings")
    return unread


def _as_asked(finding: Finding, desired: Desired) -> Finding:
    """With the word by which the caller calls the step."""
    word = desired.asked_as(finding.step)
    return finding if word == finding.step else finding.named(word)


def _warnings(findings: list[Finding]) -> list[str]:
    more = len(findings) - LISTED
    told = [finding.sentence() for finding in findings[:LISTED]]
    return [*told, f"The preflight found {more} more: see its findings."] if more > 0 else told


def _summary(current: State, grave: list[Finding], light: list[Finding]) -> str:
    names = [current.tenant.name, *(current.tenant.domains or []), current.operator.tenant_id, "the tenant"]
    where = next(name for name in names if name)
    if grave:
        return f"{where}: {grave[0]}" + (f", and {len(grave) - 1} more" if len(grave) > 1 else "")
    noted = f", {len(light)} to note" if light else ""
    return f"{where}: nothing in the way{noted}"


DOOR = Door(TenantInfo, SPEC, gives=True)
