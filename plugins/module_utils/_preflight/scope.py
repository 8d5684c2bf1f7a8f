# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What limits the application, as it was read: the scope group, the access policies, and what hangs on the group."""

from __future__ import annotations

import contextlib
import datetime as dt
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _accesses, _recipients
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import ServiceError, SignInError
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import mailboxes
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Answers, Ask, Read, Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import (
    access_policy_plan,
    security_group_state,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import hanging, holding, limiter
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    DENY,
    EVERY_APPLICATION,
    Policy,
    policies_of,
    read_cmdlet,
)

NESTED = 20
"""How many groups inside a group are opened."""

_MEMBERS = "the scope group's members"


@dataclass(frozen=True)
class Facts:
    """What was read. None stands for what the operator may not read, or what nobody asked for."""

    found: tuple[Recipient, ...] | None = None
    """Whoever has the group's alias, address or name."""
    group: security_group_state.Group | None = None
    """The one that is meant, with its settings."""
    direct: tuple[Recipient, ...] | None = None
    members: tuple[Recipient, ...] | None = None
    """The direct members, and those of groups inside the group where an access policy counts them."""
    policies: tuple[Policy, ...] | None = None
    denied: t.Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By the identity of a policy that denies: the guids of the members of its group."""
    holders: tuple[Recipient, ...] = ()
    """Every group that holds the group."""
    verdicts: t.Mapping[tuple[str, str], str] = field(default_factory=dict)
    names: t.Mapping[str, str] = field(default_factory=dict)
    """Of other applications, by id."""
    scopes: tuple[limiter.Scoped, ...] = ()
    """Scopes of roles that name the group, where somebody comes into it or leaves it."""
    holding: holding.Holding | None = None
    """What the application holds, where a policy would have to be made anew."""

    @property
    def inside(self) -> frozenset[str]:
        return frozenset(member.guid for member in self.members or ())

    def staying(self, desired: Desired) -> frozenset[str]:
        """Of ``inside`` those that stay: the step takes undeclared ones out where it is told to."""
        wanted = desired.group
        if wanted is None or wanted.on_foreign_members != "remove":
            return self.inside
        return frozenset()

    def scope(self, desired: Desired) -> Recipient | None:
        return scope_group(self.found or (), desired.group) if desired.group is not None else None


def scope_group(found: t.Iterable[Recipient], wanted: security_group_state.Desired) -> Recipient | None:
    """The group that is meant, by alias or address; None where there is none, or not exactly one that fits."""
    hits = [one for one in found if wanted.identifies(one)]
    return hits[0] if len(hits) == 1 and hits[0].type == _recipients.SECURITY_GROUP else None


# --- what the steps plan with --------------------------------------------------------------------------------


def group_state(facts: Facts, found: mailboxes.Facts) -> security_group_state.State:
    """As ``exchange_security_group`` would read it."""
    return security_group_state.State(
        found=facts.found or (),
        group=facts.group,
        members=facts.direct or (),
        known=(*(found.recipients or ()), *(facts.direct or ())),
        policies=facts.policies or (),
        holders=facts.holders,
        scopes=facts.scopes,
        verdicts=facts.verdicts,
        names=facts.names,
    )


def group_desired(
    facts: Facts, desired: Desired, found: mailboxes.Facts, app_id: str
) -> security_group_state.Desired | None:
    """As the step will be told. Declared addresses that do not fit are left out: they are told elsewhere."""
    wanted = desired.group
    if wanted is None:
        return None
    usable = [
        address
        for address in desired.mailboxes
        if (one := found.known(address)) is not None and one.type in _recipients.MAILBOXES
    ]
    complete = found.recipients is not None and bool(desired.mailboxes)
    complete = complete and (facts.group is None or facts.direct is not None)
    owners = wanted.owners
    return replace(
        wanted,
        name=wanted.name or (facts.group.recipient.display_name if facts.group else ""),
        members=tuple(usable) if complete else None,
        owners=None if owners is None else tuple(one for one in owners if found.known(one) is not None),
        app_id=app_id,
    )


def policy_state(facts: Facts, desired: Desired) -> access_policy_plan.State:
    """As ``exchange_application_access_policy`` would read it."""
    scope = facts.scope(desired)
    return access_policy_plan.State(facts.policies or (), (scope,) if scope is not None else (), facts.holding)


def policy_desired(desired: Desired, app_id: str) -> access_policy_plan.Desired | None:
    """As the step will be told."""
    if desired.group is None or desired.on_other_policies is None or _accesses.POLICY not in desired.models:
        return None
    return access_policy_plan.Desired(
        app_id=app_id, group=desired.group.alias, on_other_policies=desired.on_other_policies, check_mode=True
    )


# --- reading -------------------------------------------------------------------------------------------------


def names(desired: Desired) -> list[tuple[str, str]]:
    """(property, value) by which the group, or whoever has one of its names, is found; none without a group."""
    wanted = desired.group
    if wanted is None:
        return []
    pairs = [("Alias", wanted.alias)] + ([("EmailAddresses", f"smtp:{wanted.address}")] if wanted.address else [])
    return pairs + ([("Name", wanted.name), ("DisplayName", wanted.name)] if wanted.name else [])


def calls(desired: Desired, *, apart: bool = True) -> Reads:
    """``apart``: whether whoever has the group's names is looked for by a read of its own."""
    wanted = desired.group
    if wanted is None:
        return {}
    reads: dict[str, Read] = {}
    if apart:
        cmdlet = _recipients.by_properties(names(desired), "look for the scope group")
        reads["found"] = Read(cmdlet, "the scope group")
    # As an identity an asterisk would stand for anything.
    if "*" not in wanted.alias:
        reads.update(_details(wanted.alias))
    reads["policies"] = Read(read_cmdlet(), "the application access policies")
    return reads


def _details(identity: str) -> dict[str, Read]:
    parameters = {"Identity": identity, "ResultSize": "Unlimited"}
    return {
        "group": Read(Cmdlet("Get-DistributionGroup", parameters, "read the scope group"), "the scope group"),
        "members": Read(Cmdlet("Get-DistributionGroupMember", parameters, f"read {_MEMBERS}"), _MEMBERS),
    }


def take(answers: Answers, desired: Desired, recipients: tuple[Recipient, ...] | None) -> Facts:
    """``recipients``: among whom the group is, where no read of its own looked for it."""
    wanted = desired.group
    if wanted is None:
        return Facts()
    found = None if recipients is None else tuple(one for one in recipients if _may_be(one, desired))
    if answers.asked("found"):
        rows = answers.rows("found")
        found = None if rows is None else tuple(map(Recipient.of, rows))
    policies = None
    output = answers.output("policies")
    if output is not None and not answers.refused("policies"):
        # A tenant without any policy answers with an error.
        policies = tuple(policies_of(output))
    group, direct = _group_of(answers, scope_group(found or (), wanted), certain=False)
    return Facts(found, group, direct, direct, policies)


def _may_be(one: Recipient, desired: Desired) -> bool:
    """Whether somebody was found by the group's names. Exchange's own comparison counts: it may know more forms of a
    letter than we do, so whoever was not looked for by an address is one."""
    folded = {value.casefold() for key, value in names(desired) if key != "EmailAddresses"}
    named = {one.alias.casefold(), one.name.casefold(), one.display_name.casefold()} & folded
    address = (desired.group and desired.group.address) or ""
    if named or (address and one.has_address(address)):
        return True
    return not any(one.has_address(other) for other in mailboxes.people(desired))


def _group_of(
    answers: Answers, meant: Recipient | None, *, certain: bool
) -> tuple[security_group_state.Group | None, tuple[Recipient, ...] | None]:
    """The group and its members, where the answers speak of the one that is meant.

    The first batch asks by alias before anybody knows whose alias it is; ``certain``: asked by its id.
    """
    if meant is None or not answers.asked("group"):
        return None, None
    if not certain and any(answers.useless(name) for name in ("group", "members")):
        return None, None
    shown = [row for row in answers.rows("group") or [] if Recipient.of(row).guid == meant.guid]
    members = answers.rows("members")
    if not shown and not certain:
        return None, None
    group = security_group_state.Group.of(_listed(shown[0])) if shown else security_group_state.Group(meant)
    return group, None if members is None else tuple(map(Recipient.of, members))


def _listed(row: Json) -> Json:
    """Exchange gives a single owner without a list."""
    owners = row.get("ManagedBy")
    return {**row, "ManagedBy": [owners]} if isinstance(owners, str) and owners else row


# --- further requests ----------------------------------------------------------------------------------------


def explain(
    facts: Facts,
    desired: Desired,
    found: mailboxes.Facts,
    app_id: str,
    ask: Ask,
    now: dt.datetime,
    scopes: Output | None = None,
) -> Facts:
    """The group where the batch could not name it, what is in groups inside it, and what hangs on it.

    ``scopes``: the management scopes, where they were read.
    """
    scope = facts.scope(desired)
    if scope is not None and facts.group is None:
        group, direct = _group_of(ask.further(_details(scope.guid)), scope, certain=True)
        facts = replace(facts, group=group, direct=direct, members=direct)
    if scope is not None and facts.direct is not None and _accesses.POLICY in desired.models:
        facts = replace(facts, members=_deep(ask, {scope.guid}, facts.direct))
    facts = _hanging(_scoped(facts, desired, found, app_id, ask, scopes), desired, found, app_id, ask)
    step = policy_desired(desired, app_id)
    if step is None:
        return facts
    if access_policy_plan.asks_for_holding(policy_state(facts, desired), step, now):
        facts = replace(facts, holding=holding.read(ask.tenant, app_id))
    # A policy that does not stay, or that stops the run anyhow, denies nobody.
    if step.on_other_policies != "fail" and desired.mailboxes:
        denying = [
            policy
            for policy in facts.policies or ()
            if policy.access_right == DENY and policy.app_id in (app_id, EVERY_APPLICATION)
        ]
        facts = replace(facts, denied={policy.identity: _whom(ask, policy, scope, facts) for policy in denying})
    return facts


def _scoped(
    facts: Facts, desired: Desired, found: mailboxes.Facts, app_id: str, ask: Ask, scopes: Output | None
) -> Facts:
    """The scopes of roles on the group, where the step would change who is in it; those that outlived a group of the
    name, where it would make one."""
    step = group_desired(facts, desired, found, app_id)
    if step is None or scopes is None or step.members is None:
        return facts
    if facts.group is None:
        if facts.found is None or any(step.identifies(one) for one in facts.found):
            return facts
        return replace(facts, scopes=hanging.left_behind(ask.tenant.exchange, step.name, scopes))
    state = group_state(facts, found)
    if not security_group_state.members(state, step).missing and not security_group_state.leaving(state, step):
        return facts
    return replace(facts, scopes=hanging.scopes(ask.tenant.exchange, facts.group.recipient, scopes))


def _hanging(facts: Facts, desired: Desired, found: mailboxes.Facts, app_id: str, ask: Ask) -> Facts:
    """What decides whether another application's reach grows with the group, read as the step reads it."""
    step = group_desired(facts, desired, found, app_id)
    if step is None or not (facts.scopes or (facts.group and facts.policies)):
        return facts
    exchange = ask.tenant.exchange
    if facts.group is not None:
        if limiter.elsewhere(group_state(facts, found).facts, app_id):
            facts = replace(facts, holders=hanging.holders(exchange, facts.group.recipient))
        coming = security_group_state.members(group_state(facts, found), step).missing
        asked = limiter.questions(group_state(facts, found).facts, app_id, coming, step.accepted)
        if asked:
            facts = replace(facts, verdicts=hanging.verdicts(exchange, asked))
    judgement = security_group_state.judged(group_state(facts, found), step)
    others = [effect.app_id for effect in (*judgement.widened, *judgement.narrowed)]
    if others:
        with contextlib.suppress(ServiceError, SignInError):  # ids tell who it is as well
            facts = replace(facts, names=holding.names(ask.tenant.graph, others))
    return facts


def _deep(ask: Ask, seen: set[str], direct: tuple[Recipient, ...]) -> tuple[Recipient, ...]:
    members = list(direct)
    waiting = [item for item in members if item.type in _recipients.GROUPS]
    while waiting and len(seen) <= NESTED:
        seen |= {item.guid for item in waiting}
        answers = ask.further({item.guid: _details(item.guid)["members"] for item in waiting})
        found = [
            Recipient.of(row)
            for name in answers.answers
            if not answers.useless(name)
            for row in answers.rows(name) or []
        ]
        members += [item for item in found if item.guid not in {member.guid for member in members}]
        waiting = [item for item in found if item.type in _recipients.GROUPS and item.guid not in seen]
    return tuple(members)


def _whom(ask: Ask, policy: Policy, scope: Recipient | None, facts: Facts) -> frozenset[str]:
    """The guids of whoever is in a policy's group. Nobody where the group cannot be read: it is only for telling."""
    if scope is not None and policy.covers(scope):
        return facts.inside
    identity = policy.entra_id or policy.scope_identity
    if not identity:
        return frozenset()
    answers = ask.further({"members": _details(identity)["members"]})
    if answers.useless("members"):
        return frozenset()
    direct = tuple(map(Recipient.of, answers.rows("members") or []))
    return frozenset(member.guid for member in _deep(ask, set(), direct))


def blind(facts: Facts, desired: Desired) -> list[str]:
    """What was expected and could not be read, in words."""
    return ["the scope group"] if desired.group is not None and facts.found is None else []
