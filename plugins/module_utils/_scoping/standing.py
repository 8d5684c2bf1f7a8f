# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Whether what limits an application stands: read once more right before a grant, and judged here. Pure, fails closed.

Between the step that made the policy and the one that grants lie a secret, a wait and whatever somebody else did.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import SECURITY_GROUP, Recipient, listed
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    RESTRICT,
    Policy,
    read_cmdlet,
    scope_cmdlet,
    scopes,
)

EXCHANGE_ADMIN = "an Exchange Administrator"


@dataclass(frozen=True)
class Limits:
    """What has to stand before the application is granted something.

    ``group``: whatever names the scope group. ``mailboxes``: those that it may hold, None where that is not said.
    ``keep_members`` and ``keep_policies``: others were declared to stay.
    """

    app_id: str
    group: str
    mailboxes: tuple[str, ...] | None = None
    keep_members: bool = False
    keep_policies: bool = False


@dataclass(frozen=True)
class Facts:
    """``groups``: whom the group's name means. ``members``: of that group; None where it was not found."""

    policies: tuple[Policy, ...] = ()
    groups: tuple[Recipient, ...] = ()
    members: tuple[Recipient, ...] | None = None


def cmdlets(limits: Limits) -> list[Cmdlet]:
    """The policies, the group, its members: one batch."""
    return [
        read_cmdlet(),
        scope_cmdlet(limits.group),
        Cmdlet(
            "Get-DistributionGroupMember",
            {"Identity": limits.group, "ResultSize": "Unlimited"},
            "read the scope group's members",
        ),
    ]


def groups_of(found: t.Iterable[t.Mapping[str, t.Any]], limits: Limits) -> tuple[Recipient, ...]:
    """Whom ``limits`` means, of the answer to the second of ``cmdlets``."""
    return tuple(scopes([Recipient.of(entry) for entry in found], limits.group))


def problem(facts: Facts, limits: Limits) -> Blocked | None:
    """The reason not to grant anything; None where the limit stands."""
    if len(facts.groups) != 1 or facts.groups[0].type != SECURITY_GROUP:
        return _stop(limits, f"the scope group {limits.group!r} is not there, or not the only one of that name")
    group = facts.groups[0]
    hers = [policy for policy in facts.policies if policy.app_id == limits.app_id and policy.access_right == RESTRICT]
    ours = [policy for policy in hers if policy.covers(group)]
    if not ours:
        return _stop(limits, f"no access policy restricts it to {group.label}")
    if not any(policy.is_valid for policy in ours):
        return _stop(
            limits, f"Exchange reports the policy {ours[0]} as not valid (IsValid false), so it limits nothing"
        )
    others = [policy for policy in hers if policy not in ours]
    if others and not limits.keep_policies:
        return _stop(limits, f"another policy opens more to it: {others[0]}")
    if limits.mailboxes is None or limits.keep_members:
        return None
    if facts.members is None:
        return _stop(limits, f"the members of {group.label} could not be read")
    strangers = [
        member for member in facts.members if not any(member.has_address(address) for address in limits.mailboxes)
    ]
    if strangers:
        return _stop(limits, f"{group.label} holds what nobody declared: {listed(strangers)}")
    return None


def _stop(limits: Limits, why: str) -> Blocked:
    return Blocked(
        f"nothing is granted to {limits.app_id}, because what limits it does not stand: {why}",
        cure="find out who changed it, then run again: the steps before this one put the group and its policy right",
        who=EXCHANGE_ADMIN,
        details={"limited_by": {"group": limits.group}},
        options=("limited_by",),
    )
