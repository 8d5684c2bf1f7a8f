# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What has to stand before a consent is given: the policy and its group, the rights on mailboxes, or both.

It is read once more right before the grant. Between the steps that made it and this one lie a secret, a wait and
whatever somebody else did.
"""

from __future__ import annotations

import datetime as dt
import functools
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient, listed
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import mailbox_permission_plan
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_permission_plan import State
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_permission_read import Reader
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import standing
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import policies_of
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

HIDDEN_S = 20.0
"""How long another server than the one that took it may not show what was made a moment ago."""

OPTION: dict[str, t.Any] = {
    "type": "dict",
    "options": {
        "group": {"type": "str"},
        "mailboxes": {"type": "list", "elements": "str"},
        "keep_members": {"type": "bool", "default": False},
        "keep_policies": {"type": "bool", "default": False},
        "sid": {"type": "str"},
        "send_as": {"type": "bool", "default": False},
        "candidates": {"type": "list", "elements": "str"},
        "keep_rights": {"type": "bool", "default": False},
    },
}


@dataclass(frozen=True)
class Rights:
    """``sid``: of the service principal in Exchange that has them, in lower case. ``keep``: others were declared to
    stay."""

    sid: str
    desired: mailbox_permission_plan.Desired
    keep: bool = False


@dataclass(frozen=True)
class Limits:
    policy: standing.Limits | None = None
    rights: Rights | None = None


def limits_of(task: Task, app_id: str) -> Limits | None:
    """The option limited_by; None where nothing is said. Raises InvalidInput."""
    said = task.params["limited_by"]
    if said is None:
        return None
    addresses = said["mailboxes"]
    mailboxes = None if addresses is None else tuple(_names.address(item, "limited_by.mailboxes") for item in addresses)
    group, sid = said["group"], (said["sid"] or "").strip()
    if not group and not sid:
        raise InvalidInput(
            "limited_by names neither a group nor a sid",
            cure="give the scope group of an access policy, the SID that has the rights on the mailboxes, or both",
            options=("limited_by",),
        )
    if sid and not mailboxes:
        raise InvalidInput(
            "limited_by has a sid and no mailboxes",
            cure="list the mailboxes on which the application has its rights",
            options=("limited_by",),
        )
    policy = None
    if group:
        policy = standing.Limits(
            app_id=app_id,
            group=_names.name(group, "limited_by.group", 256),
            mailboxes=mailboxes,
            keep_members=said["keep_members"],
            keep_policies=said["keep_policies"],
        )
    rights = None
    if sid:
        candidates = tuple(
            item.strip().lower() if _names.is_guid(item.strip()) else _names.address(item, "limited_by.candidates")
            for item in said["candidates"] or ()
        )
        wanted = mailbox_permission_plan.Desired(
            app_id=app_id, mailboxes=mailboxes or (), send_as=said["send_as"], candidates=candidates
        )
        rights = Rights(sid.lower(), wanted, said["keep_rights"])
    return Limits(policy, rights)


def require(tenant: Tenant, limits: Limits | None) -> None:
    """Read what limits the application once more. Raises Blocked where it does not stand."""
    if limits is None:
        return
    if limits.policy is not None:
        _require(tenant, functools.partial(_policy_problem, tenant, limits.policy))
    if limits.rights is not None:
        _require(tenant, functools.partial(_rights_problem, tenant, limits.rights))


def _require(tenant: Tenant, look: t.Callable[[], Blocked | None]) -> None:
    seen: list[Blocked | None] = []

    def stands() -> bool:
        seen.append(look())
        return seen[-1] is None

    tenant.patiently(stands, budget_s=min(HIDDEN_S, tenant.patience_s))
    if seen[-1] is not None:
        raise seen[-1]


def _policy_problem(tenant: Tenant, limits: standing.Limits) -> Blocked | None:
    policies, groups, members = tenant.exchange.invoke_many(standing.cmdlets(limits))
    found = standing.groups_of(groups.listed(), limits)
    inside = None if members.error is not None else tuple(map(Recipient.of, members.objects()))
    return standing.problem(standing.Facts(tuple(policies_of(policies)), found, inside), limits)


def _rights_problem(tenant: Tenant, rights: Rights) -> Blocked | None:
    return problem_of_rights(Reader(tenant.exchange, rights.desired).look(), rights, tenant.now())


def problem_of_rights(state: State, rights: Rights, now: dt.datetime) -> Blocked | None:
    """The reason not to grant anything. Pure, by the rules of the step that gives the rights."""
    desired = rights.desired
    if state.pointer is None:
        return _stop(rights, "Exchange does not know the application any more")
    if state.pointer.sid != rights.sid:
        return _stop(
            rights,
            f"Exchange's service principal of it has the SID {state.pointer.sid.upper()} by now, and the rights were "
            f"given to {rights.sid.upper()}",
        )
    planned = mailbox_permission_plan.plan(state, desired, now)
    if planned.blocked is not None:
        return _stop(rights, planned.blocked.message)
    if planned.steps:
        return _stop(rights, f"not every right stands; still to do: {listed(step.title for step in planned.steps)}")
    elsewhere = [f"{one['mailbox']} ({', '.join(one['rights'])})" for one in planned.result["elsewhere"]]
    elsewhere += [f"{name} (SendAs)" for name in state.lost]
    if elsewhere and not rights.keep:
        return _stop(rights, f"it has rights on mailboxes that nobody declared: {listed(elsewhere)}")
    return None


def _stop(rights: Rights, why: str) -> Blocked:
    return Blocked(
        f"nothing is granted to {rights.desired.app_id}, because what limits it does not stand: {why}",
        cure="find out who changed it, then run again: the steps before this one put the rights on the mailboxes right",
        who=standing.EXCHANGE_ADMIN,
        details={"limited_by": {"sid": rights.sid.upper(), "mailboxes": list(rights.desired.mailboxes)}},
        options=("limited_by",),
    )
