# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A scope group as it is and as it is wanted, and the steps between: what planning and doing share."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import (
    GROUPS,
    ORGANIZATION_MANAGEMENT,
    Recipient,
    among,
    is_organization_management,
    ordered,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import limiter
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import EVERY_APPLICATION, Policy

FAIL, FLATTEN = "fail", "flatten"
MARK = "Managed by mail2fax.m365"
"""Begins the description of every group that this collection made."""


@dataclass(frozen=True)
class Create(Step):
    """``arguments``: of New-DistributionGroup."""

    arguments: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Settings(Step):
    """``values``: parameters of Set-DistributionGroup."""

    values: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Join(Step):
    """``member``: a Guid."""

    member: str = ""


@dataclass(frozen=True)
class Leave(Step):
    """``member``: a Guid."""

    member: str = ""


@dataclass(frozen=True)
class Remove(Step):
    """The group itself."""


GroupStep: t.TypeAlias = "Create | Settings | Join | Leave | Remove"


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

    def setting(self, name: str) -> t.Any:
        """The value that Set-DistributionGroup's parameter ``name`` has now. Raises KeyError for one not managed."""
        return {
            "DisplayName": self.recipient.display_name,
            "Alias": self.recipient.alias,
            "PrimarySmtpAddress": self.recipient.address,
            "HiddenFromAddressListsEnabled": self.hidden,
            "MemberJoinRestriction": self.join,
            "RequireSenderAuthenticationEnabled": self.sender_authentication,
            "ManagedBy": list(self.managed_by),
        }[name]


@dataclass(frozen=True)
class State:
    """``found``: every recipient that bears the wanted alias, address or name; ``known``: those that have one of the
    wanted members' or owners' addresses, or a name that stands in ManagedBy.

    ``accounts``: by a declared address, in lower case, that nobody has: who signs in with it.
    ``holders``: the groups that hold the group. ``scopes``: of roles, that name it; both where somebody comes or goes.
    ``verdicts``: see ``limiter.Facts``. ``names``: of other applications.
    """

    found: tuple[Recipient, ...] = ()
    group: Group | None = None
    members: tuple[Recipient, ...] = ()
    known: tuple[Recipient, ...] = ()
    accounts: t.Mapping[str, Recipient] = field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    holders: tuple[Recipient, ...] = ()
    verdicts: t.Mapping[tuple[str, str], str] = field(default_factory=dict)
    names: t.Mapping[str, str] = field(default_factory=dict)
    scopes: tuple[limiter.Scoped, ...] = ()
    nested: t.Mapping[str, tuple[Recipient, ...]] = field(default_factory=dict)
    """By a group in the group (its Guid): the mailboxes in it at any depth, where it is to be taken apart."""

    @property
    def facts(self) -> limiter.Facts:
        """What hangs on the group."""
        group = self.group.recipient if self.group else None
        return limiter.Facts(group, self.policies, self.holders, self.verdicts, self.scopes)


@dataclass(frozen=True)
class Setting:
    """What a run changed of somebody else's group: one property, before and after."""

    name: str
    before: t.Any
    after: t.Any


@dataclass(frozen=True)
class Desired:
    """``members`` and ``owners``: addresses, None when not managed; ``app_id``: the application that the group is for.

    ``declared``: the options that a person set, None when all of them count as declared. ``accepted``: ids of
    applications, or ``*``, whose reach may grow with the group.
    """

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
    accepted: frozenset[str] = frozenset()
    declared: frozenset[str] | None = None
    own_members: t.Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By a group's Guid in lower case: who was put into it here. They leave a group that stays."""
    own_settings: t.Mapping[str, tuple[Setting, ...]] = field(default_factory=dict)
    """By a group's Guid in lower case: what was changed of it here, and goes back to what it was."""
    not_before: dt.datetime | None = None
    on_nested_group: str | None = None
    """FAIL or FLATTEN where a scope of roles stands on the group, which holds direct members only; else None."""
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

    def manages(self, group: Group | None, option: str) -> bool:
        """Whether the option is to be brought about: of a group that others made only what a person declared."""
        return group is None or group.is_ours or self.declared is None or option in self.declared

    def called(self, group: Group | None) -> str:
        """The group's name for people."""
        if group is not None and not self.manages(group, "name"):
            return group.recipient.display_name or group.recipient.label
        return self.name or (group.recipient.label if group else self.alias)


@dataclass(frozen=True)
class Roll:
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
    ) -> Roll:
        there = list(present)
        there_ids = {one.guid for one in there}
        wanted_ids = {one.guid for one in wanted}
        foreign = [one for one in there if one.guid not in wanted_ids] if declared is not None and exclusive else []
        return cls(ordered(one for one in wanted if one.guid not in there_ids), ordered(foreign))


def members(current: State, desired: Desired) -> Roll:
    """Who is to come into the group, and who is in it undeclared."""
    wanted = resolved(current, desired.members or ())
    roll = Roll.of(wanted, current.members, desired.members, desired.exclusive_members)
    if desired.on_nested_group != FLATTEN:
        return roll
    # Groups in the group leave it. Where members are not exclusive, who is in those comes in their place.
    apart = nested(current)
    foreign = [one for one in roll.foreign if one not in apart]
    if desired.members is not None and desired.exclusive_members:
        return Roll(roll.missing, foreign)
    there = {one.guid for one in current.members}
    come = {one.guid: one for group in apart for one in current.nested.get(group.guid, ()) if one.guid not in there}
    return Roll(ordered([*roll.missing, *come.values()]), foreign)


def nested(current: State) -> list[Recipient]:
    """The groups in the group."""
    return ordered(one for one in current.members if one.type in GROUPS)


def leaving(current: State, desired: Desired) -> list[Recipient]:
    """Who would be taken out of the group: present and undeclared, or the whole of a group that goes, or those who
    were put into it here."""
    if desired.state == "present":
        apart = nested(current) if desired.on_nested_group == FLATTEN else []
        foreign = members(current, desired).foreign if desired.on_foreign_members == "remove" else []
        return ordered([*apart, *foreign])
    group = current.group
    if group is None:
        return []
    if group.is_ours or desired.force:
        return list(current.members)
    own = (among(current.members, address) for address in desired.own_members.get(group.recipient.guid.lower(), ()))
    return ordered(one for one in own if one is not None)


def own(current: State, desired: Desired) -> str | None:
    """The application that the group is meant for. None where nobody said it and the tenant does not tell.

    A group that was made here, with the policy or the scope of one application on it, is that one's.
    """
    group = current.group
    if desired.app_id is not None or group is None or not group.is_ours:
        return desired.app_id
    limited = {policy.app_id for policy in current.policies if policy.covers(group.recipient)} - {EVERY_APPLICATION}
    limited |= {app_id for scope in current.scopes for app_id in scope.applications}
    return limited.pop() if len(limited) == 1 else None


def judged(current: State, desired: Desired) -> limiter.Judgement:
    """What the change of members does to other applications."""
    coming = members(current, desired).missing if desired.state == "present" else []
    return limiter.judge(
        current.facts,
        own(current, desired),
        adding=coming,
        removing=leaving(current, desired),
        accepted=desired.accepted,
    )


def resolved(current: State, addresses: t.Iterable[str]) -> list[Recipient]:
    """Those who have the addresses, each once, in the order given; an address that nobody has is left out."""
    found = (among([*current.known, *current.members], address) for address in addresses)
    return list({one.guid: one for one in found if one is not None}.values())


def owners(current: State) -> tuple[list[Recipient], list[str]]:
    """The owners that are recipients, and the names in ManagedBy that nobody answers to."""
    found: list[Recipient] = []
    unnamed: list[str] = []
    for name in current.group.managed_by if current.group else ():
        if is_organization_management(name):
            continue
        hits = ordered(one for one in current.known if one.is_printed_as(name))
        hits = hits or ordered(one for one in current.known if one.display_name.casefold() == name.casefold())
        if len(hits) == 1:
            found.append(hits[0])
        else:
            unnamed.append(name)
    return found, unnamed


# ---- for people -----------------------------------------------------------------------------------------------------


def shown(current: State) -> Json:
    """The group as ``--diff`` shows it; nothing where there is none."""
    group = current.group
    if group is None:
        return {}
    known, unnamed = owners(current)
    return {
        "DisplayName": group.recipient.display_name,
        "Alias": group.recipient.alias,
        "PrimarySmtpAddress": group.recipient.address,
        "HiddenFromAddressListsEnabled": group.hidden,
        "MemberJoinRestriction": group.join,
        "RequireSenderAuthenticationEnabled": group.sender_authentication,
        "ManagedBy": [owner.label for owner in ordered(known)] + sorted(unnamed) or [ORGANIZATION_MANAGEMENT],
        "Members": [member.label for member in ordered(current.members)],
    }


def as_result(current: State, desired: Desired) -> Json:
    """The module's result as things are."""
    said = shown(current)
    others = [policy.as_dict() for policy in limiter.of_others(current.facts, own(current, desired))]
    group = current.group
    if group is None:
        return {"group": None, "members": [], "policies_of_others": others}
    return {
        "group": {
            "name": group.recipient.display_name,
            "alias": group.recipient.alias,
            "address": group.recipient.address,
            "guid": group.recipient.guid,
            "external_directory_object_id": group.recipient.entra_id or None,
            "type": group.recipient.type,
            "hidden": group.hidden,
            "owners": said["ManagedBy"],
            "made_here": group.is_ours,
        },
        "members": said["Members"],
        "policies_of_others": others,
    }
