# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A mail-enabled security group with exactly the declared members: what an access policy limits an application to.

Every mailbox in the group is one that the application can open, and every owner of the group can put more into it.
So whoever else is found in there is a decision for a person: by default the whole list stops the task.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Blocked,
    Conflict,
    InvalidInput,
    NotFound,
    ServiceError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import NamedStep as Step
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import (
    GROUPS,
    MAILBOXES,
    ORGANIZATION_MANAGEMENT,
    OWNERS,
    SECURITY_GROUP,
    Recipient,
    advice,
    among,
    by_address,
    by_properties,
    is_organization_management,
    ordered,
    words,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.access_policy import EXCHANGE_ADMIN
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    Policy,
    policies_of,
    read_cmdlet,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

MARK = "Managed by mail2fax.m365"
"""Begins the description of every group that this collection made."""

LONGEST_NAME = 64
MEMBERS_AT_BIRTH = 500
"""With more, New-DistributionGroup comes near the time Exchange allows a cmdlet; the rest is added one by one."""

READ_BATCH = 10
"""How many cmdlets travel as one request."""

NAME_FREE_WITHIN_S = 30.0
VISIBLE_AFTER = dt.timedelta(minutes=15)
_ADMIN = f"an owner of the group, or {EXCHANGE_ADMIN}"


@dataclass(frozen=True)
class Group:
    """The group's own settings, as Get-DistributionGroup tells them."""

    recipient: Recipient
    managed_by: tuple[str, ...] = ()
    """Names, not addresses."""
    hidden: bool = True
    join: str = "Closed"
    sender_authentication: bool = True
    description: str = ""
    dir_synced: bool = False

    @classmethod
    def of(cls, found: t.Mapping[str, t.Any]) -> Group:
        description = found.get("Description")
        lines = description if isinstance(description, list) else [description or ""]
        return cls(
            recipient=Recipient.of(found),
            managed_by=tuple(str(name) for name in found.get("ManagedBy") or []),
            hidden=found.get("HiddenFromAddressListsEnabled") is True,
            join=str(found.get("MemberJoinRestriction") or ""),
            sender_authentication=found.get("RequireSenderAuthenticationEnabled") is not False,
            description="\n".join(str(line) for line in lines),
            dir_synced=found.get("IsDirSynced") is True,
        )

    @property
    def is_ours(self) -> bool:
        return self.description.startswith(MARK)


@dataclass(frozen=True)
class State:
    """``found``: every recipient that bears the wanted alias, address or name; ``known``: those that have one of the
    wanted members' or owners' addresses, or a name that stands in ManagedBy."""

    found: tuple[Recipient, ...] = ()
    group: Group | None = None
    members: tuple[Recipient, ...] = ()
    known: tuple[Recipient, ...] = ()
    policies: tuple[Policy, ...] = ()


@dataclass(frozen=True)
class Desired:
    """``members`` and ``owners``: addresses, None when not managed; ``app_id``: whose policies count as removed."""

    alias: str
    name: str = ""
    address: str | None = None
    state: str = "present"
    members: tuple[str, ...] | None = None
    exclusive_members: bool = True
    on_foreign_members: str = "fail"
    owners: tuple[str, ...] | None = None
    on_foreign_owners: str = "fail"
    hidden: bool = True
    force: bool = False
    on_foreign_group: str = "fail"
    app_id: str | None = None
    own_members: t.Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By a group's Guid in lower case: who was put into it here. They leave a group that stays."""
    check_mode: bool = field(default=False, compare=False)

    def identifies(self, recipient: Recipient) -> bool:
        return recipient.alias.casefold() == self.alias.casefold() or (
            self.address is not None and recipient.has_address(self.address)
        )

    def rivals(self, recipient: Recipient) -> bool:
        """Whether it holds the wanted name: a second Name is refused, two groups of one display name are confused."""
        wanted = self.name.casefold()
        return bool(wanted) and (
            recipient.name.casefold() == wanted
            or (recipient.type in GROUPS and recipient.display_name.casefold() == wanted)
        )


# ---- planning -------------------------------------------------------------------------------------------------------


def plan(current: State, desired: Desired) -> Plan:
    group = current.group
    before = _shown(current)
    plan = Plan(before=before, after=before, result=_result(current, group))
    if desired.state == "absent":
        _absent(plan, current, desired)
    else:
        _present(plan, current, desired)
    if plan.blocked is not None:
        plan.steps.clear()
        plan.after = before
        plan.summary = plan.blocked.message
    return plan


def _present(plan: Plan, current: State, desired: Desired) -> None:
    group = current.group
    plan.blocked = _identity_problem(current, desired)
    if plan.blocked is None:
        plan.blocked = _candidates_problem(current, desired)
    if plan.blocked is not None:
        return
    wanted_members = _resolved(current, desired.members or ())
    wanted_owners = _resolved(current, desired.owners or ())
    members = _Roll.of(wanted_members, current.members, desired.members, desired.exclusive_members)
    present_owners, unnamed = _owners(current)
    owners = _Roll.of(wanted_owners, present_owners, desired.owners, True)
    strangers = [Recipient(guid=name, type="", name=name) for name in unnamed if desired.owners is not None]
    foreign_owners = [*owners.foreign, *strangers]
    plan.blocked = _foreign_problem(desired, members.foreign, foreign_owners)
    if plan.blocked is not None:
        return
    leaving = members.foreign if desired.on_foreign_members == "remove" else []
    kept_members = members.foreign if desired.on_foreign_members == "keep" else []
    kept_owners = foreign_owners if desired.on_foreign_owners == "keep" else []
    wanted_ids = {owner.guid for owner in wanted_owners}
    new_owners = [*(owner for owner in present_owners if owner.guid in wanted_ids), *owners.missing]
    settings: Json = {}
    if group is None:
        _create(plan, desired, members.missing, new_owners)
    else:
        settings = _drift(group, desired)
        if owners.missing or (foreign_owners and not kept_owners):
            settings["ManagedBy"] = _managed_by(group, new_owners, kept_owners)
        # Narrow first, widen last.
        plan.steps.extend(_membership("remove", member, desired) for member in leaving)
        if settings:
            plan.steps.append(Step("set", f"set {', '.join(settings)} of the group {desired.name}", settings))
        plan.steps.extend(_membership("add", member, desired) for member in members.missing)
    if group is not None and group.dir_synced and plan.steps:
        plan.blocked = _synced(group, plan)
        return
    for kept, whose in ((kept_members, "members"), (kept_owners, "owners")):
        if kept:
            listed = "; ".join(map(str, kept))
            plan.warnings.append(f"The group {desired.name} keeps {whose} that were not declared: {listed}.")
    namesakes = [one for one in current.found if desired.rivals(one) and not desired.identifies(one)]
    if namesakes:
        plan.warnings.append(f"Others bear the name {desired.name} too: {'; '.join(map(str, namesakes))}.")
    after_members = ordered([*(member for member in current.members if member not in leaving), *members.missing])
    if group is None or "ManagedBy" in settings:
        managed_by = [owner.label for owner in ordered([*new_owners, *kept_owners])] or [ORGANIZATION_MANAGEMENT]
    else:
        managed_by = plan.before["ManagedBy"]
    address = desired.address or (group.recipient.address if group else None)
    if group is not None and "PrimarySmtpAddress" not in settings:
        address = group.recipient.address
    plan.after = {
        "DisplayName": desired.name,
        "Alias": desired.alias if group is None or "Alias" in settings else group.recipient.alias,
        **({"PrimarySmtpAddress": address} if address else {}),
        "HiddenFromAddressListsEnabled": desired.hidden,
        "MemberJoinRestriction": "Closed",
        "RequireSenderAuthenticationEnabled": True,
        "ManagedBy": managed_by,
        "Members": [member.label for member in after_members],
    }
    plan.result.update(
        group={
            "name": desired.name,
            "alias": plan.after["Alias"],
            "address": address,
            "guid": group.recipient.guid if group else _names.ZERO_GUID,
            "external_directory_object_id": (group.recipient.entra_id or None) if group else None,
            "type": SECURITY_GROUP,
            "hidden": desired.hidden,
            "owners": managed_by,
            "made_here": group.is_ours if group else True,
        },
        members=plan.after["Members"],
        members_added=[member.label for member in members.missing],
        members_removed=[member.label for member in leaving],
    )
    if group is None or members.missing:
        plan.added = {
            "group": group.recipient.guid if group else _names.ZERO_GUID,
            "members": [member.address for member in members.missing if member.address],
        }
    plan.summary = _summary(group, settings, members.missing, leaving, after_members)


@dataclass(frozen=True)
class _Roll:
    """Wanted against present: who is to come, and who is there undeclared."""

    missing: list[Recipient]
    foreign: list[Recipient]

    @classmethod
    def of(
        cls,
        wanted: list[Recipient],
        present: t.Iterable[Recipient],
        declared: t.Sequence[str] | None,
        exclusive: bool,
    ) -> _Roll:
        there = list(present)
        there_ids = {one.guid for one in there}
        wanted_ids = {one.guid for one in wanted}
        foreign = [one for one in there if one.guid not in wanted_ids] if declared is not None and exclusive else []
        return cls(ordered(one for one in wanted if one.guid not in there_ids), ordered(foreign))


def _create(plan: Plan, desired: Desired, members: list[Recipient], owners: list[Recipient]) -> None:
    arguments: Json = {
        "Name": desired.name,
        "DisplayName": desired.name,
        "Alias": desired.alias,
        "Type": "Security",
        "Description": MARK,
        "MemberJoinRestriction": "Closed",
        "MemberDepartRestriction": "Closed",
        "RequireSenderAuthenticationEnabled": True,
    }
    if desired.address:
        arguments["PrimarySmtpAddress"] = desired.address
    if members:
        arguments["Members"] = [member.guid for member in members[:MEMBERS_AT_BIRTH]]
    if owners:
        arguments["ManagedBy"] = [owner.guid for owner in owners]
    plan.steps.append(Step("create", f"create the security group {desired.name}", arguments))
    if desired.hidden:
        title = f"hide the group {desired.name} from address lists"
        plan.steps.append(Step("set", title, {"HiddenFromAddressListsEnabled": True}))
    plan.steps.extend(_membership("add", member, desired) for member in members[MEMBERS_AT_BIRTH:])


def _drift(group: Group, desired: Desired) -> Json:
    """The parameters of Set-DistributionGroup that make the settings right. Name is Exchange's own and stays."""
    settings: Json = {}
    recipient = group.recipient
    if recipient.display_name != desired.name:
        settings["DisplayName"] = desired.name
    if recipient.alias.casefold() != desired.alias.casefold():
        settings["Alias"] = desired.alias
    if desired.address is not None and recipient.address.casefold() != desired.address.casefold():
        settings["PrimarySmtpAddress"] = desired.address
    if group.hidden != desired.hidden:
        settings["HiddenFromAddressListsEnabled"] = desired.hidden
    if group.join != "Closed":
        settings["MemberJoinRestriction"] = "Closed"
    if not group.sender_authentication:
        settings["RequireSenderAuthenticationEnabled"] = True
    return settings


def _managed_by(group: Group, owners: list[Recipient], kept: list[Recipient]) -> list[str]:
    names = [owner.guid for owner in [*owners, *kept]]
    if not names or any(map(is_organization_management, group.managed_by)):
        names.append(ORGANIZATION_MANAGEMENT)
    return names


def _membership(verb: str, member: Recipient, desired: Desired) -> Step:
    where = "to" if verb == "add" else "from"
    return Step(verb, f"{verb} {member.label} {where} the group {desired.name}", {"Member": member.guid})


def _owners(current: State) -> tuple[list[Recipient], list[str]]:
    """The owners that are recipients, and the names in ManagedBy that nobody answers to."""
    owners: list[Recipient] = []
    unnamed: list[str] = []
    for name in current.group.managed_by if current.group else ():
        if is_organization_management(name):
            continue
        hits = ordered(one for one in current.known if one.is_printed_as(name))
        hits = hits or ordered(one for one in current.known if one.display_name.casefold() == name.casefold())
        if len(hits) == 1:
            owners.append(hits[0])
        else:
            unnamed.append(name)
    return owners, unnamed


def _resolved(current: State, addresses: t.Iterable[str]) -> list[Recipient]:
    """Those who have the addresses, each once, in the order given; an address that nobody has is left out."""
    found = (among([*current.known, *current.members], address) for address in addresses)
    return list({one.guid: one for one in found if one is not None}.values())


# ---- what stops the task --------------------------------------------------------------------------------------------


def _identity_problem(current: State, desired: Desired) -> Blocked | None:
    attempted = f"look for the group {desired.name or desired.alias}"
    hits = [one for one in current.found if desired.identifies(one)]
    if len(hits) > 1:
        return Blocked(
            f"more than one recipient bears the alias {desired.alias}"
            + (f" or the address {desired.address}" if desired.address else "")
            + f": {'; '.join(map(str, hits))}",
            attempted=attempted,
            cure="choose another alias or address, or rename those that are not meant",
            who=EXCHANGE_ADMIN,
            details={"found": [one.as_dict() for one in hits]},
        )
    if hits and hits[0].type != SECURITY_GROUP:
        return Blocked(
            f"{hits[0].label} is a {words(hits[0].type)}; a mail-enabled security group is needed, and nothing is "
            "ever converted",
            attempted=attempted,
            cure="choose another name and alias for the group",
            details={"found": [hits[0].as_dict()]},
        )
    renamed = not hits or hits[0].display_name != desired.name
    rivals = [one for one in current.found if desired.rivals(one) and one not in hits]
    if rivals and renamed and desired.state == "present":
        return Blocked(
            f"the name {desired.name!r} is taken: {'; '.join(map(str, rivals))}",
            attempted=attempted,
            cure="choose another name; or, if that one is meant, give its alias",
            who=EXCHANGE_ADMIN,
            details={"found": [{**one.as_dict(), "alias": one.alias} for one in rivals]},
        )
    return None


def _candidates_problem(current: State, desired: Desired) -> Blocked | None:
    """Wanted members and owners that nobody is, or that cannot be what they are wanted for."""
    problems: list[str] = []
    details: list[Json] = []
    for option, addresses, fit in (("members", desired.members, MAILBOXES), ("owners", desired.owners, OWNERS)):
        for address in addresses or ():
            one = among([*current.known, *current.members], address)
            if one is None:
                problems.append(f"{address} is no recipient of this tenant")
                details.append({"option": option, "address": address, "type": None})
            elif one.type not in fit:
                problems.append(f"{address} is a {words(one.type)}")
                details.append({"option": option, **one.as_dict(), "address": address, "advice": advice(one.type)})
    if not problems:
        return None
    return Blocked(
        f"the group {desired.name} cannot be made as declared: {'; '.join(problems)}",
        attempted=f"look up the members and owners of the group {desired.name}",
        cure="correct the addresses; members have to be user, shared, room or equipment mailboxes of this tenant",
        details={"candidates": details},
    )


def _foreign_problem(desired: Desired, members: list[Recipient], owners: list[Recipient]) -> Blocked | None:
    members = members if desired.on_foreign_members == "fail" else []
    owners = owners if desired.on_foreign_owners == "fail" else []
    if not members and not owners:
        return None
    parts = []
    options = []
    for foreign, what, option in ((members, "member", "on_foreign_members"), (owners, "owner", "on_foreign_owners")):
        if foreign:
            listed = "; ".join(map(str, foreign))
            parts.append(f"{len(foreign)} {what}{'s' if len(foreign) > 1 else ''} not declared: {listed}")
            options.append(option)
    return Blocked(
        f"the group {desired.name} has {' and '.join(parts)}",
        attempted=f"bring the group {desired.name} to what is declared",
        cure=f"declare them, or set {' and '.join(options)} to remove (or to keep, with which the application reaches "
        "whatever they bring)",
        who=_ADMIN,
        details={
            "foreign_members": [one.as_dict() for one in members],
            "foreign_owners": [one.as_dict() for one in owners],
        },
    )


def _synced(group: Group, plan: Plan) -> Blocked:
    return Blocked(
        f"the group {group.recipient.label} is synchronized from an on-premises directory and cannot be changed here; "
        f"to do: {'; '.join(step.title for step in plan.steps)}",
        attempted=f"change the group {group.recipient.label}",
        cure="change it on premises, or choose another name and alias for a group of the cloud's own",
        who="the on-premises directory's administrator",
    )


# ---- removing -------------------------------------------------------------------------------------------------------


def _absent(plan: Plan, current: State, desired: Desired) -> None:
    hits = [one for one in current.found if desired.identifies(one)]
    plan.result["members_added"] = []
    plan.result["members_removed"] = []
    if not hits:
        plan.summary = "no such group"
        return
    problem = _identity_problem(current, desired)
    group = current.group
    if problem is None and group is not None:
        users = [policy for policy in current.policies if policy.covers(group.recipient)]
        if desired.check_mode and desired.app_id:
            users = [policy for policy in users if policy.app_id != desired.app_id]
        problem = _removal_problem(group, desired, users)
    if problem is not None and desired.on_foreign_group == "keep":
        plan.warnings.append(f"The group stays: {problem.message}.")
        plan.summary = "group kept"
        if group is not None and not group.is_ours:
            _take_out(plan, current, group, desired)
        return
    if problem is not None or group is None:
        plan.blocked = problem
        return
    plan.steps.append(Step("remove_group", f"remove the group {group.recipient.label}"))
    plan.after = {}
    plan.result.update(group=None, members=[])
    plan.summary = "group removed"


def _take_out(plan: Plan, current: State, group: Group, desired: Desired) -> None:
    """Others made the group, so of it only those go who were put into it here."""
    found = (among(current.members, address) for address in desired.own_members.get(group.recipient.guid.lower(), ()))
    leaving = ordered(one for one in found if one is not None)
    if not leaving:
        return
    stay = [member.label for member in ordered(current.members) if member not in leaving]
    plan.steps.extend(
        Step("remove", f"remove {one.label} from the group {group.recipient.label}", {"Member": one.guid})
        for one in leaving
    )
    plan.after = {**plan.before, "Members": stay}
    plan.result.update(members=stay, members_removed=[one.label for one in leaving])
    plan.summary = f"group kept, {len(leaving)} of its members taken out"


def _removal_problem(group: Group, desired: Desired, users: list[Policy]) -> Blocked | None:
    attempted = f"remove the group {group.recipient.label}"
    if not group.is_ours and not desired.force:
        return Blocked(
            f"the group {group.recipient.label} was not made by this collection (its description does not begin with "
            f"{MARK!r})",
            attempted=attempted,
            cure="set force to true to remove it nevertheless, or on_foreign_group to keep",
            who=_ADMIN,
        )
    if users:
        return Blocked(
            f"the group {group.recipient.label} is still the scope of an access policy: {'; '.join(map(str, users))}",
            attempted=attempted,
            cure="remove the policies first (exchange_application_access_policy), after the applications' consents",
            who=EXCHANGE_ADMIN,
            details={"policies": [policy.as_dict() for policy in users]},
        )
    if group.dir_synced:
        return Blocked(
            f"the group {group.recipient.label} is synchronized from an on-premises directory",
            attempted=attempted,
            cure="remove it on premises",
            who="the on-premises directory's administrator",
        )
    return None


# ---- for people -----------------------------------------------------------------------------------------------------


def _shown(current: State) -> Json:
    group = current.group
    if group is None:
        return {}
    owners, unnamed = _owners(current)
    return {
        "DisplayName": group.recipient.display_name,
        "Alias": group.recipient.alias,
        "PrimarySmtpAddress": group.recipient.address,
        "HiddenFromAddressListsEnabled": group.hidden,
        "MemberJoinRestriction": group.join,
        "RequireSenderAuthenticationEnabled": group.sender_authentication,
        "ManagedBy": [owner.label for owner in ordered(owners)] + sorted(unnamed) or [ORGANIZATION_MANAGEMENT],
        "Members": [member.label for member in ordered(current.members)],
    }


def _result(current: State, group: Group | None) -> Json:
    shown = _shown(current)
    if group is None:
        return {"group": None, "members": []}
    return {
        "group": {
            "name": group.recipient.display_name,
            "alias": group.recipient.alias,
            "address": group.recipient.address,
            "guid": group.recipient.guid,
            "external_directory_object_id": group.recipient.entra_id or None,
            "type": group.recipient.type,
            "hidden": group.hidden,
            "owners": shown["ManagedBy"],
            "made_here": group.is_ours,
        },
        "members": shown["Members"],
    }


def _summary(
    group: Group | None, settings: Json, added: list[Recipient], removed: list[Recipient], members: list[Recipient]
) -> str:
    count = f"{len(members)} member{'' if len(members) == 1 else 's'}"
    if group is None:
        return f"group created, {count}"
    said = [f"{len(some)} {what}" for some, what in ((added, "added"), (removed, "removed")) if some]
    said += [f"{', '.join(settings)} set"] if settings else []
    return ", ".join(["group with " + count, *said])


# ---- doing ----------------------------------------------------------------------------------------------------------


class SecurityGroup:
    """The resource behind ``exchange_security_group``."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        params = task.params
        self._tenant = tenant
        self._guid: str | None = None
        self._is_new = False
        app_id = params.get("app_id")
        self._desired = Desired(
            alias=_names.alias(params["alias"], "alias"),
            name=_names.name(params["name"], "name", LONGEST_NAME) if params.get("name") is not None else "",
            address=_names.address(params["address"], "address") if params.get("address") else None,
            state=params["state"],
            members=_addresses(params, "members"),
            exclusive_members=params["exclusive_members"],
            on_foreign_members=params["on_foreign_members"],
            owners=_addresses(params, "owners"),
            on_foreign_owners=params["on_foreign_owners"],
            hidden=params["hidden"],
            force=params["force"],
            on_foreign_group=params["on_foreign_group"],
            app_id=_names.guid(app_id, "app_id") if app_id else None,
            own_members=_own_members(params.get("own_members") or {}),
            check_mode=task.check_mode,
        )

    def read(self) -> State:
        """One batch, unless the group is not the one that the alias names, or there are strangers to be named."""
        desired = self._desired
        present = desired.state == "present"
        people = [*(desired.members or ()), *(desired.owners or ())] if present else []
        looked_up = by_address(people, "look up the declared members and owners")
        first = [self._look()] if present else [self._look(), read_cmdlet()]
        # As an identity an asterisk would stand for anything; such an alias is read by Guid.
        details = [] if "*" in desired.alias else self._details(desired.alias)
        room = READ_BATCH - len(first) - len(details)
        outputs = self._tenant.exchange.invoke_many([*first, *details, *looked_up[:room]])
        found = tuple(Recipient.of(item) for item in outputs[0].objects())
        policies = () if present else tuple(policies_of(outputs[1]))
        rest = outputs[len(first) :]
        known = [Recipient.of(item) for output in rest[len(details) :] for item in output.objects()]
        hits = [one for one in found if desired.identifies(one)]
        if len(hits) != 1 or hits[0].type != SECURITY_GROUP:
            return State(found, None, (), self._known(known, looked_up[room:], (), people), policies)
        group, members = _of(hits[0], rest[: len(details)])
        if group is None:
            group, members = _of(hits[0], self._tenant.exchange.invoke_many(self._details(hits[0].guid)))
        if group is None:
            raise ServiceError(
                f"Exchange lists {hits[0]} and does not show it",
                attempted=f"read the group {desired.alias}",
                cure="run again in a minute",
            )
        self._guid = group.recipient.guid
        resolve = present and desired.owners is not None and desired.on_foreign_owners != "keep"
        names = group.managed_by if resolve else ()
        known.extend(members)
        return State(found, group, tuple(members), self._known(known, looked_up[room:], names, people), policies)

    def _look(self) -> Cmdlet:
        desired = self._desired
        wanted = [("Alias", desired.alias)]
        if desired.address:
            wanted.append(("EmailAddresses", f"smtp:{desired.address}"))
        if desired.name and desired.state == "present":
            wanted += [("Name", desired.name), ("DisplayName", desired.name)]
        return by_properties(wanted, f"look for the group {desired.name or desired.alias}")

    def _details(self, identity: str) -> list[Cmdlet]:
        purpose = f"read the group {self._desired.name or self._desired.alias}"
        return [
            Cmdlet("Get-DistributionGroup", {"Identity": identity, "ResultSize": "Unlimited"}, purpose),
            Cmdlet("Get-DistributionGroupMember", {"Identity": identity, "ResultSize": "Unlimited"}, purpose),
        ]

    def _known(
        self, known: list[Recipient], rest: list[Cmdlet], names: t.Sequence[str], people: t.Sequence[str]
    ) -> tuple[Recipient, ...]:
        """``known``, and whoever it lacks: declared people beyond the first batch, owners that are only a name."""
        more: list[Cmdlet] = []
        if rest and any(among(known, address) is None for address in people):
            more += rest
        strange = [
            name
            for name in names
            if not is_organization_management(name) and not any(one.is_printed_as(name) for one in known)
        ]
        pairs = [(key, name.rpartition("/")[2]) for name in strange for key in ("Name", "DisplayName")]
        more += [
            by_properties(pairs[start : start + 20], "look up the group's owners") for start in range(0, len(pairs), 20)
        ]
        outputs = self._tenant.exchange.invoke_many(more)
        return (*known, *(Recipient.of(item) for output in outputs for item in output.objects()))

    def plan(self, current: State) -> Plan:
        return plan(current, self._desired)

    def perform(self, step: Step) -> None:
        if step.name == "create":
            self._create(step)
        elif step.name == "remove_group":
            self._write("Remove-DistributionGroup", step, done=(_texts.EXCHANGE_ABSENT,), Confirm=False)
        elif step.name == "set":
            self._write("Set-DistributionGroup", step)
        elif step.name == "add":
            self._write("Add-DistributionGroupMember", step, done=(_texts.EXCHANGE_MEMBER_EXISTS,))
        else:
            done = (_texts.EXCHANGE_MEMBER_ABSENT,)
            self._write("Remove-DistributionGroupMember", step, done=done, Confirm=False)

    def _create(self, step: Step) -> None:
        refusals: list[Conflict] = []

        def made() -> bool:
            try:
                answer = self._tenant.exchange.invoke("New-DistributionGroup", step.title, **step.arguments)
            except Conflict as exc:
                # Either a lost answer's group, which a server shows only now, or a removed one's name that is not
                # free yet.
                refusals.append(exc)
                current = self.read()
                return current.group is not None and current.group.is_ours
            self._guid = str(answer[0].get("Guid") or "") if answer else None
            return True

        if not self._tenant.patiently(made, budget_s=min(self._tenant.patience_s, NAME_FREE_WITHIN_S)):
            raise refusals[-1]
        self._is_new = True

    def _write(self, cmdlet: str, step: Step, *, done: t.Sequence[str] = (), **more: t.Any) -> None:
        """``done``: the refusals that say that nothing is left to do."""
        refusals: list[NotFound] = []
        arguments = {**step.arguments, "BypassSecurityGroupManagerCheck": True, **more}

        def accepted() -> bool:
            try:
                self._tenant.exchange.invoke(
                    cmdlet, step.title, Identity=self._guid or self._desired.alias, **arguments
                )
            except ServiceError as exc:
                if exc.code in done:
                    return True
                if not (self._is_new and isinstance(exc, NotFound)):
                    raise
                refusals.append(exc)  # a server that has not heard of the new group yet
                return False
            return True

        if not self._tenant.patiently(accepted):
            raise refusals[-1]

    def settle(self, plan: Plan) -> Json:
        last: list[Plan] = []

        def arrived() -> bool:
            last.append(self.plan(self.read()))
            return not last[-1].steps and last[-1].blocked is None

        if self._tenant.patiently(arrived):
            return {key: last[-1].result[key] for key in ("group", "members")}
        seen = last[-1]
        if seen.blocked is not None:
            raise seen.blocked
        if any(step.name in ("create", "remove_group") for step in seen.steps):
            raise Conflict(
                f"the group {self._desired.alias} does not read as it was written",
                attempted="read the group back",
                cure="run again; if it stays so, look whether another tool changes it",
            )
        # Membership and settings spread over Exchange's servers; meanwhile the application can open less, not more,
        # unless somebody was removed.
        plan.pending = "Exchange does not show yet: " + "; ".join(step.title for step in seen.steps)
        until = self._tenant.clock.now() + VISIBLE_AFTER
        plan.pending_until = until.replace(microsecond=0).isoformat().replace("+00:00", "Z")
        return {}


def _of(wanted: Recipient, details: t.Sequence[Output]) -> tuple[Group | None, list[Recipient]]:
    """The group and its members, if these answers speak of ``wanted`` and of nothing else."""
    if not details or isinstance(details[0].error, NotFound) or any(map(_ambiguous, details)):
        return None, []
    found = details[0].objects()
    if len(found) != 1 or Recipient.of(found[0]).guid != wanted.guid:
        return None, []
    return Group.of(found[0]), [Recipient.of(item) for item in details[1].objects()]


def _ambiguous(output: Output) -> bool:
    return output.error is not None and output.error.code == _texts.EXCHANGE_AMBIGUOUS


def _addresses(params: t.Mapping[str, t.Any], option: str) -> tuple[str, ...] | None:
    values = params.get(option)
    if values is None:
        return None
    return tuple({typed.lower(): typed for typed in (_names.address(value, option) for value in values)}.values())


def _own_members(option: t.Mapping[str, t.Any]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for guid, addresses in option.items():
        if not isinstance(addresses, list):
            raise InvalidInput(f"own_members has no list under {guid}", cure="give a list of addresses for each Guid")
        found[_names.guid(guid, "own_members").lower()] = tuple(
            _names.address(address, "own_members") for address in addresses
        )
    return found


SPEC = ArgumentSpec(
    {
        "alias": {"type": "str", "required": True},
        "name": {"type": "str"},
        "address": {"type": "str"},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "members": {"type": "list", "elements": "str"},
        "exclusive_members": {"type": "bool", "default": True},
        "on_foreign_members": {"type": "str", "default": "fail", "choices": ["fail", "remove", "keep"]},
        "owners": {"type": "list", "elements": "str"},
        "on_foreign_owners": {"type": "str", "default": "fail", "choices": ["fail", "remove", "keep"]},
        "hidden": {"type": "bool", "default": True},
        "force": {"type": "bool", "default": False},
        "on_foreign_group": {"type": "str", "default": "fail", "choices": ["fail", "keep"]},
        "app_id": {"type": "str"},
        "own_members": {"type": "dict"},
    },
    required_if=[("state", "present", ("name",))],
)
DOOR = Door(SecurityGroup, SPEC)
