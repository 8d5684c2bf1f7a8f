# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The scope group and the access policies: whether the steps that make them would stop, and what they would change."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _recipients
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import mailboxes
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Answers, Ask, Read, Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import (
    EXCHANGE_ADMIN,
    LISTED,
    Finding,
    Judged,
    few,
    notes,
    refused,
    stops,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import access_policy as _access_policy
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import security_group as _security_group

GROUP = "scope_group"
POLICY = "access_policy"

NESTED = 20
"""How many groups inside a group are opened."""

_MEMBERS = "the scope group's members"


@dataclass(frozen=True)
class Facts:
    """What was read. None stands for what the operator may not read, or what nobody asked for."""

    found: tuple[Recipient, ...] | None = None
    """Whoever has the group's alias, address or name."""
    group: _security_group.Group | None = None
    """The one that is meant, with its settings."""
    direct: tuple[Recipient, ...] | None = None
    members: tuple[Recipient, ...] | None = None
    """The direct members, and those of groups inside the group."""
    owners: tuple[Recipient, ...] = ()
    """Those of the declared owners that were found."""
    policies: tuple[_access_policy.Policy, ...] | None = None
    denied: t.Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By the identity of a policy that denies: the guids of the members of its group."""

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


def scope_group(found: t.Iterable[Recipient], wanted: _security_group.Desired) -> Recipient | None:
    """The group that is meant, by alias or address; None where there is none, or not exactly one that fits."""
    hits = [one for one in found if wanted.identifies(one)]
    return hits[0] if len(hits) == 1 and hits[0].type == _recipients.SECURITY_GROUP else None


def calls(desired: Desired) -> Reads:
    wanted = desired.group
    if wanted is None:
        return {}
    names = [("Alias", wanted.alias)] + ([("EmailAddresses", f"smtp:{wanted.address}")] if wanted.address else [])
    names += [("Name", wanted.name), ("DisplayName", wanted.name)] if wanted.name else []
    reads = {"found": Read(_recipients.by_properties(names, "look for the scope group"), "the scope group")}
    # As an identity an asterisk would stand for anything.
    if "*" not in wanted.alias:
        reads.update(_details(wanted.alias))
    for number, cmdlet in enumerate(_recipients.by_address(wanted.owners or (), "look up the group's declared owners")):
        reads[f"owners {number}"] = Read(cmdlet, "the group's declared owners")
    if desired.on_other_policies is not None:
        reads["policies"] = Read(_access_policy.read_cmdlet(), "the application access policies")
    return reads


def _details(identity: str) -> dict[str, Read]:
    parameters = {"Identity": identity, "ResultSize": "Unlimited"}
    return {
        "group": Read(Cmdlet("Get-DistributionGroup", parameters, "read the scope group"), "the scope group"),
        "members": Read(Cmdlet("Get-DistributionGroupMember", parameters, f"read {_MEMBERS}"), _MEMBERS),
    }


def take(answers: Answers, desired: Desired) -> Facts:
    wanted = desired.group
    if wanted is None:
        return Facts()
    rows = answers.rows("found")
    found = None if rows is None else tuple(map(Recipient.of, rows))
    owners = [row for name in answers.reads if name.startswith("owners") for row in answers.rows(name) or []]
    policies = None
    output = answers.output("policies")
    if output is not None and not answers.refused("policies"):
        # A tenant without any policy answers with an error.
        policies = tuple(_access_policy.policies_of(output))
    group, direct = _group_of(answers, scope_group(found or (), wanted), certain=False)
    return Facts(found, group, direct, direct, tuple(map(Recipient.of, owners)), policies)


def _group_of(
    answers: Answers, meant: Recipient | None, *, certain: bool
) -> tuple[_security_group.Group | None, tuple[Recipient, ...] | None]:
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
    group = _security_group.Group.of(_listed(shown[0])) if shown else _security_group.Group(meant)
    return group, None if members is None else tuple(map(Recipient.of, members))


def _listed(row: Json) -> Json:
    """Exchange gives a single owner without a list."""
    owners = row.get("ManagedBy")
    return {**row, "ManagedBy": [owners]} if isinstance(owners, str) and owners else row


# --- further requests ----------------------------------------------------------------------------------------


def explain(facts: Facts, desired: Desired, ask: Ask) -> Facts:
    """The group where the batch could not name it, what is in groups inside it, and whom policies deny."""
    scope = facts.scope(desired)
    if scope is not None and facts.group is None:
        group, direct = _group_of(ask.further(_details(scope.guid)), scope, certain=True)
        facts = replace(facts, group=group, direct=direct, members=direct)
    if scope is not None and facts.direct is not None:
        facts = replace(facts, members=_deep(ask, {scope.guid}, facts.direct))
    denying = [policy for policy in facts.policies or () if policy.access_right == _access_policy.DENY]
    # Where nothing is kept they go, or stop the run anyhow.
    if desired.on_other_policies in ("keep", "remove") and desired.mailboxes:
        facts = replace(facts, denied={policy.identity: _whom(ask, policy, scope, facts) for policy in denying})
    return facts


def _deep(ask: Ask, seen: set[str], direct: tuple[Recipient, ...]) -> tuple[Recipient, ...]:
    members = list(direct)
    waiting = [item for item in members if item.type in _recipients.GROUPS]
    while waiting and len(seen) <= NESTED:
        seen |= {item.guid for item in waiting}
        reads = {item.guid: _details(item.guid)["members"] for item in waiting}
        answers = ask.further(reads)
        found = [
            Recipient.of(row)
            for name in answers.answers
            if not answers.useless(name)
            for row in answers.rows(name) or []
        ]
        members += [item for item in found if item.guid not in {member.guid for member in members}]
        waiting = [item for item in found if item.type in _recipients.GROUPS and item.guid not in seen]
    return tuple(members)


def _whom(ask: Ask, policy: _access_policy.Policy, scope: Recipient | None, facts: Facts) -> frozenset[str]:
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


# --- the group -----------------------------------------------------------------------------------------------


def blind(facts: Facts, desired: Desired) -> list[str]:
    """What was expected and could not be read, in words."""
    return ["the scope group"] if desired.group is not None and facts.found is None else []


def judge(facts: Facts, desired: Desired, found: mailboxes.Facts, accepted: t.Collection[str] | None) -> Judged:
    """By the rules of the step that makes the group; ``found`` has the mailboxes that become its members."""
    wanted = desired.group
    if wanted is None:
        return Judged()
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
    if domain and accepted is not None and domain not in accepted:
        why = f"its address {wanted.address} is in none of the tenant's domains ({few(accepted)})"
        findings.append(stops(GROUP, what, why, "choose an address in one of them"))
    if facts.found is None:
        return Judged(shown, tuple(findings))
    alone = replace(wanted, owners=None, members=None)
    problem = _security_group.plan(_security_group.State(found=facts.found), alone).blocked
    if problem is not None:
        findings.append(refused(GROUP, what, problem, EXCHANGE_ADMIN))
        return Judged({**shown, "state": "conflict"}, tuple(findings))
    scope = facts.scope(desired)
    if scope is None:
        return Judged({**shown, "state": "absent"}, tuple(findings))
    shown.update(
        state="present",
        name=scope.display_name or scope.name,
        alias=scope.alias,
        address=scope.address,
        type=scope.type,
        type_in_words=_recipients.words(scope.type),
    )
    if facts.group is not None:
        findings += _as_the_step_would(facts, desired, found, what, shown)
    if facts.members is not None:
        findings += _strangers(facts, desired, found, what, shown)
    return Judged(shown, tuple(findings))


def planned(facts: Facts, desired: Desired, found: mailboxes.Facts, **changes: t.Any) -> Plan:
    """What the step would plan. Declared mailboxes that cannot be members are told elsewhere, so they are left out."""
    wanted = desired.group
    assert wanted is not None
    fitting = [
        address
        for address in desired.mailboxes
        if (one := found.known(address)) is not None and one.type in _recipients.MAILBOXES
    ]
    owners = wanted.owners
    if owners is not None:
        owners = tuple(one for one in owners if _recipients.among(facts.owners, one) is not None)
    complete = found.recipients is not None and facts.direct is not None and bool(desired.mailboxes)
    state = _security_group.State(
        found=facts.found or (),
        group=facts.group,
        members=facts.direct or (),
        known=(*(found.recipients or ()), *facts.owners, *(facts.direct or ())),
    )
    settings = {
        "members": tuple(fitting) if complete else None,
        "owners": owners,
        "name": wanted.name or (facts.group.recipient.display_name if facts.group else ""),
        **changes,
    }
    return _security_group.plan(state, replace(wanted, **settings))


def _as_the_step_would(
    facts: Facts, desired: Desired, found: mailboxes.Facts, what: str, shown: Json
) -> t.Iterator[Finding]:
    """What stops the step beside undeclared members and owners, who are told one by one."""
    wanted = desired.group
    assert wanted is not None
    gentle = {key: "keep" for key in ("on_foreign_members", "on_foreign_owners") if getattr(wanted, key) == "fail"}
    problem = planned(facts, desired, found, **gentle).blocked
    if problem is not None:
        yield refused(GROUP, what, problem, EXCHANGE_ADMIN)
    for address in wanted.owners or ():
        if _recipients.among(facts.owners, address) is None:
            yield stops(
                GROUP,
                what,
                f"its declared owner {address} is not a recipient of this tenant",
                "correct the address, or leave it out of the owners",
                owner=address,
            )
    if wanted.owners is None:
        return
    strict = planned(facts, desired, found, on_foreign_members="keep", on_foreign_owners="fail").blocked
    foreign = ((strict.details if strict is not None else None) or {}).get("foreign_owners") or []
    names = [str(one["display_name"] or one["address"] or "") for one in foreign]
    shown["foreign_owners"] = names[:LISTED]
    if names:
        yield (stops if wanted.on_foreign_owners == "fail" else notes)(
            GROUP,
            what,
            f"it has owners that nobody declared, who could put more into it: {few(names)}",
            {
                "fail": "declare them, or set on_foreign_owners to remove, or to keep if they are to stay",
                "remove": "they will no longer be its owners",
                "keep": "they stay its owners",
            }[wanted.on_foreign_owners],
            EXCHANGE_ADMIN,
            owners=names[:LISTED],
        )


def _strangers(facts: Facts, desired: Desired, found: mailboxes.Facts, what: str, shown: Json) -> t.Iterator[Finding]:
    """Members that nobody declared, those of groups inside the group as well."""
    wanted = desired.group
    assert wanted is not None
    members = _recipients.ordered(facts.members or ())
    shown["members"] = [member.as_dict() for member in members[:LISTED]]
    shown["members_count"] = len(members)
    if not desired.mailboxes or found.recipients is None:
        return
    ours = found.guids(desired.mailboxes)
    foreign = [member for member in members if member.guid not in ours]
    shown["foreign_members"] = [member.as_dict() for member in foreign[:LISTED]]
    shown["foreign_members_count"] = len(foreign)
    if foreign:
        yield (stops if wanted.on_foreign_members == "fail" else notes)(
            GROUP,
            what,
            f"it holds {len(foreign)} more than the fax mailboxes, which the application could read: {few(foreign)}",
            {
                "fail": "take them out, or set on_foreign_members to remove, or to keep if they belong there",
                "remove": "they will be taken out of the group",
                "keep": "they stay in the group",
            }[wanted.on_foreign_members],
            EXCHANGE_ADMIN,
            members=[member.label for member in foreign[:LISTED]],
        )


# --- the policies --------------------------------------------------------------------------------------------


def judge_policies(facts: Facts, desired: Desired, found: mailboxes.Facts, app_id: str, now: dt.datetime) -> Judged:
    """Other policies that count for the application, by the rules of the step that makes its own."""
    wanted = desired.group
    if desired.on_other_policies is None or wanted is None or facts.policies is None:
        return Judged()
    scope = facts.scope(desired)
    state = _access_policy.State(facts.policies, (scope,) if scope is not None else ())
    step = _access_policy.Desired(
        app_id=app_id, group=wanted.alias, on_other_policies=desired.on_other_policies, check_mode=True
    )
    plan = _access_policy.plan(state, step, now)
    others: list[Json] = _access_policy.plan(state, replace(step, on_other_policies="keep"), now).result[
        "other_policies"
    ]
    what = "the application's access policies"
    if plan.blocked is not None:
        return Judged(others, (refused(POLICY, what, plan.blocked, identities=[one["identity"] for one in others]),))
    staying = {one["identity"] for one in plan.result["other_policies"]}
    gone = [one["identity"] for one in others if one["identity"] not in staying]
    named = {policy.identity: policy for policy in facts.policies}
    findings = []
    if gone:
        listed = few((named[identity] for identity in gone), "; ")
        findings.append(notes(POLICY, what, f"others contradict: {listed}", "they will be removed", identities=gone))
    findings += [notes(POLICY, what, warning[:1].lower() + warning[1:].rstrip(".")) for warning in plan.warnings]
    findings += _shut_out(facts, desired, found, [named[identity] for identity in sorted(staying)], what)
    return Judged(plan.result["other_policies"], tuple(findings))


def _shut_out(
    facts: Facts, desired: Desired, found: mailboxes.Facts, staying: t.Sequence[_access_policy.Policy], what: str
) -> t.Iterator[Finding]:
    """A policy that stays and denies a declared mailbox: the proof would fail, whatever is waited for."""
    for policy in staying:
        if policy.access_right != _access_policy.DENY:
            continue
        denied = facts.denied.get(policy.identity, frozenset())
        shut = [address for address in desired.mailboxes if found.guids([address]) & denied]
        if shut:
            yield stops(
                POLICY,
                what,
                f"{policy} stays, and denies {few(shut)}: a matching DenyAccess counts before everything else",
                f"take {few(shut)} out of that policy's group, or set on_other_policies to remove if the policy is not "
                "needed",
                EXCHANGE_ADMIN,
                identity=policy.identity,
                mailboxes=shut,
            )
