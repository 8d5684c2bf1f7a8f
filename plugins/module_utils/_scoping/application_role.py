# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Model B: RBAC for Applications. A role assignment grants, and its management scope says on which mailboxes.

Facts and rules, no writes. The token of such an application carries no permission. An assignment without a scope is
for the whole organization, and no service warns of it; whatever is not understood of a scope counts so, too.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import pointer as pointers
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import recipient_filter
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import (
    Grant,
    Inside,
    Permission,
    is_whole,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.recipient_filter import RecipientFilter

Json = dict[str, t.Any]

EXCHANGE = _permissions.WELL_KNOWN["exchange_online"]
GRAPH = _permissions.WELL_KNOWN["microsoft_graph"]

IN_FORCE_AFTER = dt.timedelta(hours=2)
LOOK_EVERY = dt.timedelta(minutes=5)
"""A question every few seconds keeps a stale answer alive."""

POINTER_PATIENCE_S = 600.0
"""How long Exchange may answer that it does not know a pointer which was made a moment ago."""

CUSTOM, ADMINISTRATIVE_UNIT, GROUP = "CustomRecipientScope", "AdministrativeUnit", "Group"
"""``RecipientWriteScope`` of an assignment that is limited. Every other word is the whole organization."""

_PREFIX = "Application "


@dataclass(frozen=True)
class Role:
    """An application role. ``grants``: Test-ServicePrincipalAuthorization's words for what it lets an application do.

    ``permissions``: (application id of the resource, name) of the Entra permissions that mean the same.
    """

    name: str
    protocol: str
    grants: tuple[str, ...]
    permissions: tuple[tuple[str, str], ...] = ()


def _of_graph(*names: str) -> Role:
    """The role of one permission, or of several that it does not tell apart. It is called as the first."""
    return Role(f"{_PREFIX}{names[0]}", "graph", names, tuple((GRAPH, name) for name in names))


_ROWS = (
    *map(_of_graph, ("Mail.Read", "Mail.ReadWrite", "Mail.Send", "MailboxSettings.Read", "MailboxSettings.ReadWrite")),
    _of_graph("Mail.ReadBasic", "Mail.ReadBasic.All"),
    *map(_of_graph, ("Calendars.Read", "Calendars.ReadWrite", "Contacts.Read", "Contacts.ReadWrite")),
    *map(_of_graph, ("MailboxFolder.Read.All", "MailboxFolder.ReadWrite.All", "MailboxItem.Read.All")),
    *map(_of_graph, ("MailboxItem.Export.All", "MailboxItem.ImportExport.All", "MailboxConfigItem.Read")),
    *map(_of_graph, ("MailboxConfigItem.ReadWrite", "MailTips.ReadBasic.All", "Mail-Advanced.ReadWrite.All")),
    Role("Application EWS.AccessAsApp", "ews", ("EWS.AccessAsApp",), ((EXCHANGE, "full_access_as_app"),)),
    Role("Application SMTP.SendAsApp", "smtp", ("SMTP.SendAsApp",), ((EXCHANGE, "SMTP.SendAsApp"),)),
    # Bundles: no permission of Entra is like them, but somebody may have assigned them.
    Role("Application Mail Full Access", "graph", ("Mail.ReadWrite", "Mail.Send")),
    Role(
        "Application Exchange Full Access",
        "graph",
        (
            *("Mail.ReadWrite", "Mail.Send", "MailboxSettings.ReadWrite"),
            *("Calendars.ReadWrite", "Contacts.ReadWrite"),
        ),
    ),
)
ROLES: t.Mapping[str, Role] = {row.name: row for row in sorted(_ROWS, key=lambda row: row.name)}
"""By name. IMAP and POP have none: only a right on the mailbox opens it to them."""

_BY_PERMISSION = {permission: role.name for role in ROLES.values() for permission in role.permissions}
_BY_FOLD = {name.casefold(): name for name in ROLES}


def role_of(resource: str, permission: str) -> str | None:
    """The role that stands for an Entra application permission; None where there is none.

    ``resource``: its application id, or the name by which people declare it (``exchange_online``).
    """
    app_id = _permissions.WELL_KNOWN.get(resource, resource.lower())
    return _BY_PERMISSION.get((app_id, permission))


def role_named(text: str) -> str | None:
    """The role that ``text`` names: a role's own name in any case, or an Entra permission's; None for neither."""
    known = _BY_FOLD.get(text.strip().casefold())
    if known is not None:
        return known
    return next((role for (_app, name), role in _BY_PERMISSION.items() if name == text.strip()), None)


def roles_named(said: t.Iterable[str]) -> tuple[str, ...]:
    """Names of roles, each once: two permissions may mean one role. Raises InvalidInput."""
    found: dict[str, None] = {}
    for text in said:
        role = role_named(text)
        if role is None:
            known = [*ROLES, *(name for row in ROLES.values() for _resource, name in row.permissions)]
            close = _names.nearest(text, known)
            hint = f"did you mean {', '.join(close)}? " if close else ""
            if text.casefold() in ("imap.accessasapp", "pop.accessasapp"):
                hint = "IMAP and POP are opened by a right on the mailbox alone (exchange_mailbox_permission). "
            raise InvalidInput(
                f"roles has {_names.quoted(text)}, which is not an application role, and no role stands for it",
                cure=f"{hint}Give the name of a role, such as Application Mail.Send, or of the permission that it "
                "stands for",
                options=("roles",),
            )
        found[role] = None
    return tuple(found)


def opens_mail(role: str) -> bool:
    """Whether a role opens mailboxes to an application. One that is not known, and is called like them, counts."""
    return role.casefold() in _BY_FOLD or role.casefold().startswith(_PREFIX.strip().casefold())


# ---- names ----------------------------------------------------------------------------------------------------------


def _key(app_id: str) -> str:
    """Short and stable, which a display name is neither."""
    return f"mail2fax-{app_id.replace('-', '').lower()[:12]}"


def scope_name(app_id: str) -> str:
    """What an application's scope is called where nobody says it."""
    return _key(app_id)


def assignment_name(app_id: str, role: str, taken: t.Collection[str] = ()) -> str:
    """What we call an application's assignment of a role; another one where that is ``taken`` (in lower case)."""
    short = f"{_key(app_id)}-{role.removeprefix(_PREFIX).replace(' ', '-')}"
    return free_name(short, taken)


def free_name(wanted: str, taken: t.Collection[str]) -> str:
    """``wanted``, or the first name like it that is not ``taken`` (in lower case): capitals tell no names apart."""
    longest = recipient_filter.LONGEST_NAME
    name, number = wanted[:longest], 1
    while name.lower() in taken:
        number += 1
        name = f"{wanted[: longest - len(str(number)) - 1]}-{number}"
    return name


def is_our_name(name: str, app_id: str) -> bool:
    """Whether an assignment bears a name that we give to those of this application."""
    return name.casefold().startswith(f"{_key(app_id)}-")


# ---- what Exchange tells --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scope:
    """One management scope."""

    name: str
    filter: RecipientFilter
    exclusive: bool = False

    @classmethod
    def of(cls, found: t.Mapping[str, t.Any]) -> Scope:
        # The filter comes back as one property or the other.
        text = str(found.get("RecipientFilter") or found.get("RecipientRestrictionFilter") or "")
        return cls(
            str(found.get("Name") or found.get("Identity") or ""),
            recipient_filter.parse(text),
            str(found.get("Exclusive")).casefold() == "true",
        )

    def holds(self, dn: str) -> bool:
        """Whether it is the direct members of this group and nothing else, for an application's assignments."""
        return not self.exclusive and self.filter.holds(dn)


def scopes_cmdlet() -> Cmdlet:
    """All: nobody can be asked which scope names a group."""
    return Cmdlet("Get-ManagementScope", {}, "read the management scopes")


def scopes_of(output: Output) -> list[Scope]:
    return [Scope.of(item) for item in output.whole()]


@dataclass(frozen=True)
class Assignment:
    """One role assignment. ``kind``: what limits it, in Exchange's word; ``scope``: the name of that, "" for none."""

    name: str
    role: str
    scope: str = ""
    kind: str = ""
    enabled: bool = True
    assignees: tuple[str, ...] = ()
    """Everything that Exchange says of who has it."""
    delegating: bool = False
    since: str = field(default="", compare=False)
    """When it was made, as Exchange writes it."""

    @classmethod
    def of(cls, found: t.Mapping[str, t.Any]) -> Assignment:
        def text(key: str) -> str:
            return str(found.get(key) or "")

        kind = text("RecipientWriteScope")
        scope = text("CustomResourceScope")
        if kind == ADMINISTRATIVE_UNIT:
            scope = text("CustomRecipientWriteScope") or text("RecipientAdministrativeUnitScope") or scope
        return cls(
            name=text("Name") or text("Identity"),
            role=text("Role"),
            scope=scope,
            kind=kind,
            enabled=str(found.get("Enabled", True)).casefold() != "false",
            assignees=tuple(dict.fromkeys(map(text, ("App", "RoleAssignee", "RoleAssigneeName")))),
            delegating=text("RoleAssignmentDelegationType").casefold().startswith("delegating"),
            since=text("WhenCreatedUTC"),
        )

    @property
    def is_limited(self) -> bool:
        """Whether it is known to be for a part of the organization only."""
        return bool(self.scope) and self.kind in (CUSTOM, ADMINISTRATIVE_UNIT, GROUP)

    def is_on(self, scope: Scope) -> bool:
        """Whether this management scope limits it: a group may bear the scope's name, and is of another kind."""
        return self.kind == CUSTOM and self.scope.casefold() == scope.name.casefold()

    def uses(self, scope: Scope) -> bool:
        """Whether it would be meant by a change of this scope, whatever it calls the kind."""
        return self.scope.casefold() == scope.name.casefold()

    def as_dict(self) -> Json:
        return {"name": self.name, "role": self.role, "scope": self.scope or None, "enabled": self.enabled}

    def __str__(self) -> str:
        return f"{self.name!r} ({self.role}, {self.limit})"

    @property
    def limit(self) -> str:
        """What limits it, in words."""
        if not self.is_limited:
            return "without a scope, so for every mailbox"
        words = {CUSTOM: "scope", ADMINISTRATIVE_UNIT: "administrative unit", GROUP: "group"}
        return f"{words[self.kind]} {self.scope!r}"


def assignments_cmdlet(app_id: str) -> Cmdlet:
    """Those of one application."""
    return Cmdlet("Get-ManagementRoleAssignment", {"RoleAssignee": app_id}, "read the application's role assignments")


def all_assignments_cmdlet() -> Cmdlet:
    """Everybody's: there is no way to ask which of them are on a scope."""
    return Cmdlet("Get-ManagementRoleAssignment", {}, "read all role assignments")


def assignments_of(output: Output, pointer: Pointer | None) -> list[Assignment]:
    """The pointer's of those in the answer to either cmdlet. Without a pointer an application has none."""
    if pointer is None:
        return []
    return [one for one in everybodys(output) if has(pointer, one)]


def has(pointer: Pointer, assignment: Assignment) -> bool:
    """Whether an assignment is the pointer's, by any of the names by which Exchange, or another tool, tells it.

    Where an id is among them the display name decides nothing: two applications may bear the same.
    """
    ids = [name for name in assignment.assignees if _names.is_guid(name)]
    return any(pointer.is_named(name) or name.casefold() == pointer.app_id for name in ids or assignment.assignees)


def everybodys(output: Output) -> list[Assignment]:
    """All of the answer that are no rights to hand a role on."""
    return [one for one in map(Assignment.of, output.whole()) if not one.delegating]


# ---- the model ------------------------------------------------------------------------------------------------------


class ApplicationRoles:
    """The model: each assignment of a role opens what its scope holds, to a token that carries nothing."""

    name: t.ClassVar[str] = "application_role"
    needs_consent: t.ClassVar[bool] = False
    before: t.ClassVar[tuple[str, ...]] = ("scope_group", "service_principal")
    makes: t.ClassVar[tuple[str, ...]] = ("scope_group", "service_principal", "application_role")
    in_force_after: t.ClassVar[dt.timedelta] = IN_FORCE_AFTER
    look_every: t.ClassVar[dt.timedelta] = LOOK_EVERY
    role_of = staticmethod(role_of)
    """Which role stands for a permission: what a profile that chooses this model assigns."""

    def cmdlets(self, app_id: str) -> list[Cmdlet]:
        return [pointers.read_cmdlet(app_id), assignments_cmdlet(app_id), scopes_cmdlet()]

    def grants(
        self, app_id: str, held: t.Iterable[Permission], outputs: t.Sequence[Output], inside: Inside
    ) -> list[Grant]:
        pointed, assigned, scoped = outputs
        return grants_of(assignments_of(assigned, pointers.pointer_of(pointed, app_id)), scopes_of(scoped), inside)


def grants_of(assignments: t.Iterable[Assignment], scopes: t.Iterable[Scope], inside: Inside) -> list[Grant]:
    """What these assignments open, each for itself: they add up. One that is disabled is dormant, and opens nothing."""
    known = list(scopes)
    return [
        Grant(ApplicationRoles.name, permission, protocol, only, limited_by=limits, complete=complete)
        for one in assignments
        if one.enabled and opens_mail(one.role)
        for only, limits, complete in (_opened(one, known, inside),)
        for permission, protocol in _permissions_of(one.role)
    ]


def unit_key(unit: str) -> str:
    """The key by which the mailboxes of an administrative unit are asked for; those of a filter, by its text."""
    return f"administrative unit {unit.casefold()}"


def _permissions_of(role: str) -> list[tuple[str, str]]:
    known = ROLES.get(_BY_FOLD.get(role.casefold(), ""))
    if known is None:
        return [(role, "graph")]
    return [(permission, known.protocol) for permission in known.grants]


def _opened(
    one: Assignment, scopes: t.Sequence[Scope], inside: Inside
) -> tuple[frozenset[str] | None, tuple[str, ...], bool]:
    """(the mailboxes, what limits it, whether that is all that is to know)."""
    nobody: frozenset[str] = frozenset()
    if not one.is_limited:
        return None, (), True
    limits = (one.limit,)
    if one.kind != CUSTOM:
        members = inside(one.scope if one.kind == GROUP else unit_key(one.scope))
        return members or nobody, limits, is_whole(members)
    scope = next((scope for scope in scopes if one.is_on(scope)), None)
    if scope is None:
        return nobody, limits, False
    if scope.filter.is_empty:
        return None, (), True
    evaluated = inside(scope.filter.text)
    if evaluated is not None:
        return evaluated, limits, is_whole(evaluated)
    groups = [inside(dn) for dn in sorted(scope.filter.groups or ())]
    complete = bool(groups) and all(map(is_whole, groups))
    return nobody.union(*(group for group in groups if group is not None)), limits, complete
