# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a scope group has to become: pure planning for ``exchange_security_group`` and for the preflight.

Every mailbox in the group is one that the application can open, and every owner of the group can put more into it.
So whoever else is found in there is a decision for a person: by default the whole list stops the task.
"""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _added, _names
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import (
    MAILBOXES,
    ORGANIZATION_MANAGEMENT,
    OWNERS,
    SECURITY_GROUP,
    Recipient,
    advice,
    among,
    is_organization_management,
    listed,
    ordered,
    words,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.security_group_state import (
    FAIL,
    MARK,
    Create,
    Desired,
    Group,
    Join,
    Leave,
    Roll,
    Settings,
    State,
    as_result,
    judged,
    leaving,
    members,
    nested,
    own,
    owners,
    resolved,
    shown,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import limiter

MEMBERS_AT_BIRTH = 500
"""With more, New-DistributionGroup comes near the time Exchange allows a cmdlet; the rest is added one by one."""

MOST_DETAILS = 100
"""How many strangers an error describes one by one; beside them it says how many there are."""

ADMIN = f"an owner of the group, or {limiter.EXCHANGE_ADMIN}"


# ---- planning -------------------------------------------------------------------------------------------------------


def present(current: State, desired: Desired) -> Plan:
    """The group with what is declared. Blocked where a person has to decide, with nothing to do then."""
    before = shown(current)
    plan = Plan(before=before, after=before, result=as_result(current, desired))
    plan.blocked = identity_problem(current, desired) or _candidates_problem(current, desired)
    if plan.blocked is None:
        _present(plan, current, desired)
    if plan.blocked is not None:
        plan.steps.clear()
        plan.after = before
        plan.summary = plan.blocked.message
    return plan


def _present(plan: Plan, current: State, desired: Desired) -> None:
    group = current.group
    name = desired.called(group)
    roll = members(current, desired)
    wanted_owners = resolved(current, desired.owners or ())
    present_owners, unnamed = owners(current)
    owner_roll = Roll.of(wanted_owners, present_owners, desired.owners, True)
    strangers = [Recipient(guid=one, type="", name=one) for one in unnamed if desired.owners is not None]
    foreign_owners = [*owner_roll.foreign, *strangers]
    plan.blocked = _nested_problem(current, desired, name)
    if plan.blocked is None:
        plan.blocked = _foreign_problem(desired, name, roll.foreign, foreign_owners)
    if plan.blocked is None:
        judgement = judged(current, desired)
        plan.blocked = limiter.members_problem(
            judgement,
            f"change the members of the group {name}" if group else f"make the group {name}",
            current.names,
            own_known=own(current, desired) is not None,
        )
        plan.warnings += limiter.narrowing(judgement, current.names)
    if plan.blocked is not None:
        return
    going = leaving(current, desired)
    kept_members = roll.foreign if desired.on_foreign_members == "keep" else []
    kept_owners = foreign_owners if desired.on_foreign_owners == "keep" else []
    wanted_ids = {owner.guid for owner in wanted_owners}
    new_owners = [*(owner for owner in present_owners if owner.guid in wanted_ids), *owner_roll.missing]
    settings: Json = {}
    if group is None:
        _create(plan, desired, roll.missing, new_owners)
    else:
        settings = drift(group, desired)
        if owner_roll.missing or (foreign_owners and not kept_owners):
            settings["ManagedBy"] = _managed_by(group, new_owners, kept_owners)
        # Narrow first, widen last.
        plan.steps.extend(Leave(f"remove {one.label} from the group {name}", one.guid) for one in going)
        if settings:
            plan.steps.append(Settings(f"set {', '.join(settings)} of the group {name}", settings))
        plan.steps.extend(Join(f"add {one.label} to the group {name}", one.guid) for one in roll.missing)
    if group is not None and group.dir_synced and plan.steps:
        plan.blocked = synced(group, [step.title for step in plan.steps])
        return
    for kept, whose in ((kept_members, "members"), (kept_owners, "owners")):
        if kept:
            said = listed(kept, separator="; ")
            plan.warnings.append(f"The group {name} keeps {whose} that were not declared: {said}.")
    namesakes = [one for one in current.found if desired.rivals(one) and not desired.identifies(one)]
    if namesakes and desired.manages(group, "name"):
        plan.warnings.append(f"Others have the name {desired.name} too: {listed(namesakes, separator='; ')}.")
    after_members = ordered([*(one for one in current.members if one not in going), *roll.missing])
    managed_by = [owner.label for owner in ordered([*new_owners, *kept_owners])] or [ORGANIZATION_MANAGEMENT]
    if group is not None and "ManagedBy" not in settings:
        managed_by = plan.before["ManagedBy"]
    plan.after = _after(plan.before, settings, desired, group, managed_by, after_members)
    plan.result.update(
        group={
            "name": plan.after["DisplayName"],
            "alias": plan.after["Alias"],
            "address": plan.after.get("PrimarySmtpAddress"),
            "guid": group.recipient.guid if group else _names.ZERO_GUID,
            "external_directory_object_id": (group.recipient.entra_id or None) if group else None,
            "type": SECURITY_GROUP,
            "hidden": plan.after["HiddenFromAddressListsEnabled"],
            "owners": managed_by,
            "made_here": group.is_ours if group else True,
        },
        members=plan.after["Members"],
        members_added=[one.label for one in roll.missing],
        members_removed=[one.label for one in going],
    )
    plan.added = _added_by(group, roll.missing, going, settings, current)
    plan.summary = _summary(group, settings, roll.missing, going, after_members)


def _after(
    before: Json,
    settings: Json,
    desired: Desired,
    group: Group | None,
    managed_by: list[str],
    after_members: list[Recipient],
) -> Json:
    """What ``--diff`` shows as the other side."""
    if group is None:
        after: Json = {
            "DisplayName": desired.name,
            "Alias": desired.alias,
            **({"PrimarySmtpAddress": desired.address} if desired.address else {}),
            "HiddenFromAddressListsEnabled": desired.hidden,
            "MemberJoinRestriction": "Closed",
            "RequireSenderAuthenticationEnabled": True,
        }
    else:
        after = {**before, **settings}
    return {**after, "ManagedBy": managed_by, "Members": [one.label for one in after_members]}


def _added_by(
    group: Group | None, missing: list[Recipient], going: list[Recipient], settings: Json, current: State
) -> list[Json]:
    """What the record keeps: the group if it is new, who came into it, and what was changed of somebody else's."""
    guid = group.recipient.guid if group else _names.ZERO_GUID
    entries = [] if group else [_added.entry("group", None, _names.ZERO_GUID)]
    entries += [_added.entry("member", guid, one.address) for one in missing if one.address]
    if group is None or group.is_ours:
        return entries
    for name, value in settings.items():
        entries.append(_added.entry("setting", guid, name, before=group.setting(name), after=value))
    if going:
        before = [one.label for one in ordered(current.members)]
        entries.append(_added.entry("setting", guid, "Members", before=before, removed=[one.label for one in going]))
    return entries


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
    plan.steps.append(Create(f"create the security group {desired.name}", arguments))
    if desired.hidden:
        title = f"hide the group {desired.name} from address lists"
        plan.steps.append(Settings(title, {"HiddenFromAddressListsEnabled": True}))
    plan.steps.extend(
        Join(f"add {one.label} to the group {desired.name}", one.guid) for one in members[MEMBERS_AT_BIRTH:]
    )


def drift(group: Group, desired: Desired) -> Json:
    """The parameters of Set-DistributionGroup that make the settings right. Name is Exchange's own and stays.

    Of a group that others made only what is declared changes, and what the limit needs: nobody joins by themselves.
    """
    settings: Json = {}
    recipient = group.recipient
    if recipient.display_name != desired.name and desired.manages(group, "name"):
        settings["DisplayName"] = desired.name
    if recipient.alias.casefold() != desired.alias.casefold() and desired.manages(group, "alias"):
        settings["Alias"] = desired.alias
    address = desired.address if desired.manages(group, "address") else None
    if address is not None and recipient.address.casefold() != address.casefold():
        settings["PrimarySmtpAddress"] = address
    if group.hidden != desired.hidden and desired.manages(group, "hidden"):
        settings["HiddenFromAddressListsEnabled"] = desired.hidden
    if group.join != "Closed":
        settings["MemberJoinRestriction"] = "Closed"
    if not group.sender_authentication and desired.manages(group, "sender_authentication"):
        settings["RequireSenderAuthenticationEnabled"] = True
    return settings


def _managed_by(group: Group, owners: list[Recipient], kept: list[Recipient]) -> list[str]:
    names = [owner.guid for owner in [*owners, *kept]]
    if not names or any(map(is_organization_management, group.managed_by)):
        names.append(ORGANIZATION_MANAGEMENT)
    return names


# ---- what stops the task --------------------------------------------------------------------------------------------


def identity_problem(current: State, desired: Desired) -> Blocked | None:
    attempted = f"look for the group {desired.name or desired.alias}"
    hits = [one for one in current.found if desired.identifies(one)]
    if len(hits) > 1:
        return Blocked(
            f"more than one recipient has the alias {desired.alias}"
            + (f" or the address {desired.address}" if desired.address else "")
            + f": {listed(hits, separator='; ')}",
            attempted=attempted,
            cure="choose another alias or address, or rename those that are not meant",
            who=limiter.EXCHANGE_ADMIN,
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
    renamed = not hits or (hits[0].display_name != desired.name and desired.manages(current.group, "name"))
    rivals = [one for one in current.found if desired.rivals(one) and one not in hits]
    if rivals and renamed and desired.state == "present":
        return Blocked(
            f"the name {desired.name!r} is taken: {listed(rivals, separator='; ')}",
            attempted=attempted,
            cure="choose another name; or, if that one is meant, give its alias",
            who=limiter.EXCHANGE_ADMIN,
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
            account = current.accounts.get(address.lower())
            if one is None and account is not None:
                problems.append(f"{address} is not an address but the user principal name of {account}")
                cure = f"write {account.address}" if account.type in fit and account.address else advice(account.type)
                details.append({"option": option, **account.as_dict(), "name": address, "advice": cure})
            elif one is None:
                problems.append(f"{address} is not a recipient of this tenant")
                details.append({"option": option, "address": address, "type": None})
            elif one.type not in fit:
                problems.append(f"{address} is a {words(one.type)}")
                details.append({"option": option, **one.as_dict(), "address": address, "advice": advice(one.type)})
    if not problems:
        return None
    return Blocked(
        f"the group {desired.name} cannot be made as declared: {listed(problems, separator='; ')}",
        attempted=f"look up the members and owners of the group {desired.name}",
        cure="correct the addresses; members have to be user, shared, room or equipment mailboxes of this tenant",
        details={"candidates": details},
    )


def _nested_problem(current: State, desired: Desired, name: str) -> Blocked | None:
    """Groups in a group that a scope of roles stands on: the application would not reach who is in them."""
    found = nested(current)
    if not found or desired.on_nested_group != FAIL:
        return None
    return Blocked(
        f"the group {name} holds {listed(found, separator='; ')}; a scope of roles holds direct members only, so that "
        "the application would not reach who is in there",
        attempted=f"bring the group {name} to what is declared",
        cure="name the mailboxes themselves and take the group out; or set on_nested_group to flatten "
        "(mail2fax_on_nested_group), which does so",
        who=ADMIN,
        details={"nested": [one.as_dict() for one in found[:MOST_DETAILS]]},
        options=("on_nested_group",),
    )


def _foreign_problem(desired: Desired, name: str, members: list[Recipient], owners: list[Recipient]) -> Blocked | None:
    members = members if desired.on_foreign_members == "fail" else []
    owners = owners if desired.on_foreign_owners == "fail" else []
    if not members and not owners:
        return None
    parts = []
    options = []
    for foreign, what, option in ((members, "member", "on_foreign_members"), (owners, "owner", "on_foreign_owners")):
        if foreign:
            said = listed(foreign, separator="; ")
            parts.append(f"{len(foreign)} {what}{'s' if len(foreign) > 1 else ''} not declared: {said}")
            options.append(option)
    return Blocked(
        f"the group {name} has {' and '.join(parts)}",
        attempted=f"bring the group {name} to what is declared",
        cure=f"declare them, or set {' and '.join(options)} to remove (or to keep, with which the application reaches "
        "whatever they bring)",
        who=ADMIN,
        details={
            "foreign_members": [one.as_dict() for one in members[:MOST_DETAILS]],
            "foreign_owners": [one.as_dict() for one in owners[:MOST_DETAILS]],
            "count": len(members) + len(owners),
        },
        options=options,
    )


def synced(group: Group, titles: t.Sequence[str]) -> Blocked:
    """A group that comes from on premises is changed there."""
    return Blocked(
        f"the group {group.recipient.label} is synchronized from an on-premises directory and cannot be changed here; "
        f"to do: {listed(titles, separator='; ')}",
        attempted=f"change the group {group.recipient.label}",
        cure="change it on premises, or choose another name and alias for a group of the cloud's own",
        who="the on-premises directory's administrator",
        options=("alias",),
    )


# ---- for people -----------------------------------------------------------------------------------------------------


def _summary(
    group: Group | None, settings: Json, added: list[Recipient], removed: list[Recipient], members: list[Recipient]
) -> str:
    count = f"{len(members)} member{'' if len(members) == 1 else 's'}"
    if group is None:
        return f"group created, {count}"
    said = [f"{len(some)} {what}" for some, what in ((added, "added"), (removed, "removed")) if some]
    said += [f"{', '.join(settings)} set"] if settings else []
    return ", ".join(["group with " + count, *said])
