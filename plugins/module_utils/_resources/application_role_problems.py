# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Why no role is assigned to an application: what stands in the way, and who can do something about it. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import SECURITY_GROUP, listed, words
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_role_state import (
    FAIL,
    Desired,
    Sorted,
    State,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import recipient_filter
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import CUSTOM, Assignment, Scope
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.entra_grants import Held
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.limiter import EXCHANGE_ADMIN

ORGANIZATION_MANAGEMENT = "a member of Organization Management (Exchange Administrator)"
CUSTOMIZE = "Enable-OrganizationCustomization"
HOW_LONG = "40 to 75 minutes"


def group(current: State, desired: Desired) -> Blocked | None:
    """The scope's group: a mail-enabled security group, the only one of that name, with a distinguished name."""
    attempted = f"limit {desired.who} to a group"
    if len(current.groups) > 1:
        return Blocked(
            f"{desired.group!r} names {len(current.groups)} recipients: {listed(current.groups, separator='; ')}",
            attempted=attempted,
            cure="give the group's address or its Guid",
            details={"found": [{**one.as_dict(), "guid": one.guid} for one in current.groups]},
            options=("group",),
        )
    one = current.group
    if one is None:
        if desired.check_mode:
            return None
        return Blocked(
            f"Exchange knows no group {desired.group!r}",
            attempted=attempted,
            cure="make it with exchange_security_group, or correct the option group",
            who=EXCHANGE_ADMIN,
            options=("group",),
        )
    if one.type != SECURITY_GROUP:
        why = "and the scope has to be a mail-enabled security group"
        if one.type == "GroupMailbox":
            why = "whose owners could let the application into more mailboxes; a mail-enabled security group is needed"
        return Blocked(
            f"{one.label} is a {words(one.type)}, {why}",
            attempted=attempted,
            cure="choose another name and let exchange_security_group make the group; no group is ever converted",
            who=EXCHANGE_ADMIN,
            details={"found": [one.as_dict()]},
            options=("group",),
        )
    if not one.dn:
        return Blocked(
            f"Exchange does not give a distinguished name for {one.label} yet, and a scope is made of it",
            attempted=attempted,
            cure="run again in some minutes",
            details={"found": [one.as_dict()]},
        )
    return None


def pointer(current: State, desired: Desired) -> Blocked | None:
    """Exchange's service principal: there, and of the application that Entra means."""
    attempted = f"assign roles to {desired.who}"
    found, holder = current.pointer, current.holder
    if desired.check_mode and (found is None or desired.app_id == _names.ZERO_GUID):
        return None
    if found is None:
        return Blocked(
            f"Exchange does not know the service principal of {desired.app_id}",
            attempted=attempted,
            cure="make it known first (exchange_service_principal)",
            who=EXCHANGE_ADMIN,
        )
    if holder is None:
        return Blocked(
            f"the application {desired.app_id} has no service principal in Entra",
            attempted=attempted,
            cure="make the application first (entra_application), or check app_id: it is the Application (client) ID",
            who="an Application Administrator",
            options=("app_id",),
        )
    if holder.principal_id == found.object_id:
        return None
    return Blocked(
        f"Exchange's service principal of {desired.app_id} leads to {found.object_id}, and the application's own is "
        f"{holder.principal_id}: a role that is assigned to it lets nobody in",
        attempted=attempted,
        cure="replace it (exchange_service_principal with on_wrong_pointer: replace, mail2fax_on_wrong_pointer)",
        who=EXCHANGE_ADMIN,
        details={"service_principal": found.as_dict(), "object_id": holder.principal_id},
    )


def undone(grants: t.Sequence[Held], desired: Desired) -> Blocked:
    """A consent in Entra that opens what the scope keeps shut."""
    smtp = [one for one in grants if one.permission == "SMTP.SendAsApp"]
    why = "Authorities add up, so the scope limits nothing while it stands"
    if len(smtp) == len(grants):
        why = "With it in the token, Exchange looks for rights on the mailbox again, and the role cannot be used"
    return Blocked(
        f"{desired.app_id} holds {listed(grants)} by a consent in Entra. {why}",
        attempted=f"assign roles to {desired.app_id}",
        cure="set on_entra_grant to remove (mail2fax_on_entra_grant), which revokes it and then waits for the tokens "
        "that were issued with it; or revoke it by hand (Enterprise applications, Permissions), and find out who gave "
        "the consent. A registration that still asks for the permission brings it back at the next consent",
        who="a Cloud Application Administrator or Privileged Role Administrator",
        details={"granted": [{"resource": one.of, "permission": one.permission} for one in grants]},
        options=("on_entra_grant",),
    )


def others(kinds: Sorted, current: State, desired: Desired) -> Blocked | None:
    """Assignments of the application that nobody declared. One without a scope defeats every other."""
    if desired.exclusive or not kinds.others:
        return None
    open_ = [one for one in kinds.others if is_unlimited(one, current)]
    if not open_ and desired.on_other_assignments != FAIL:
        return None
    said = listed(open_ or kinds.others, separator="; ")
    message = f"the application has other role assignments: {said}"
    cure = "look at each of them, then set exclusive to true (mail2fax_on_other_policies: remove), which removes them"
    if open_:
        message = f"the application has a role for the whole organization, beside which no scope counts: {said}"
    else:
        cure += ", or on_other_assignments to keep"
    return Blocked(
        message,
        attempted=f"limit {desired.who} to {desired.group}",
        cure=cure,
        who=EXCHANGE_ADMIN,
        details={"assignments": [one.as_dict() for one in kinds.others]},
        options=("exclusive", "on_other_assignments"),
    )


def is_unlimited(one: Assignment, current: State) -> bool:
    """Whether an assignment is for the whole organization: no scope, one that is gone, or one that asks for nothing."""
    if not one.is_limited:
        return True
    scope = next((scope for scope in current.scopes if one.is_on(scope)), None)
    return one.kind == CUSTOM and (scope is None or scope.filter.is_empty)


def name_taken(scope: Scope, current: State, desired: Desired) -> Blocked:
    """The scope's name belongs to somebody else's filter."""
    users = current.users_of(scope)
    used = f", and is used by {listed(users, separator='; ')}" if users else ", and no assignment uses it"
    moved = any(recipient_filter.moved(one, current.dn) for one in scope.filter.groups or ())
    why = (
        "names the group as it was before the tenant came to other servers"
        if moved
        else "is an exclusive one, which is not a scope for applications"
        if scope.exclusive
        else f"has another filter ({scope.filter.text or 'none, so everybody'})"
    )
    return Blocked(
        f"the management scope {scope.name!r} {why}{used}; it is never written over",
        attempted=f"limit {desired.who} to {desired.group}",
        cure="choose another name for the scope (scope_name, mail2fax_scope_name); or, if nobody needs it, remove it "
        "(Remove-ManagementScope) and run again",
        who=EXCHANGE_ADMIN,
        details={
            "scope": {"name": scope.name, "filter": scope.filter.text},
            "used_by": [one.as_dict() for one in users],
        },
        options=("scope_name",),
    )


def strangers(current: State, desired: Desired) -> Blocked | None:
    """Members of the scope's group that nobody declared, right before the application is let into them."""
    one = current.group
    if desired.mailboxes is None or one is None:
        return None
    if current.members is None:
        return Blocked(
            f"the members of {one.label} could not be read, so nothing is assigned",
            attempted=f"assign roles to {desired.who}",
            cure="run again",
            who=EXCHANGE_ADMIN,
        )
    found = [
        member for member in current.members if not any(member.has_address(address) for address in desired.mailboxes)
    ]
    if not found:
        return None
    return Blocked(
        f"nothing is assigned to {desired.who}, because {one.label} holds what nobody declared: "
        f"{listed(found, separator='; ')}",
        cure="find out who changed the group, then run again: the step before this one puts it right",
        who=EXCHANGE_ADMIN,
        details={"members": [member.as_dict() for member in found[:50]]},
        options=("mailboxes",),
    )


def never_customized(desired: Desired) -> Blocked:
    return Blocked(
        "this tenant was never customized, and makes no management scope or role assignment before it is",
        attempted=f"assign roles to {desired.who}",
        cure=f"run {CUSTOMIZE} once in Exchange Online PowerShell, wait {HOW_LONG}, and run again; or set "
        "enable_organization_customization to true (mail2fax_enable_organization_customization), which does the same. "
        "It changes the whole tenant and cannot be undone",
        who=ORGANIZATION_MANAGEMENT,
        details={"command": CUSTOMIZE, "takes": HOW_LONG},
        options=("enable_organization_customization",),
    )


def not_delegated(role: str, message: str) -> Blocked:
    """Nobody may hand the role on: no waiting and no further right of the operator mends that."""
    return Blocked(
        f"nobody in this tenant may assign the role {role}: no delegating role assignment of it is there, as Exchange "
        f"says itself ({message})",
        attempted=f"assign {role}",
        cure=f'give the role group its right back: New-ManagementRoleAssignment -Role "{role}" -SecurityGroup '
        '"Organization Management" -Delegating. Neither waiting nor another role of the operator mends it',
        who=ORGANIZATION_MANAGEMENT,
        details={"role": role},
    )
