# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""An application's roles and their scope as they are and as they are wanted, and the steps between."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._claim import Claim
from ansible_collections.mail2fax.m365.plugins.module_utils._ownership import Trust
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Step
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import GROUPS, Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import Policy
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import (
    Assignment,
    Scope,
    is_our_name,
    opens_mail,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.entra_grants import Held, Holder
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer

FAIL, KEEP, REMOVE = "fail", "keep", "remove"


@dataclass(frozen=True)
class Revoke(Step):
    """Take back one grant in Entra."""

    held: Held = field(default_factory=lambda: Held("", ""))


@dataclass(frozen=True)
class Customize(Step):
    """Enable-OrganizationCustomization: once for a tenant, and for good."""


@dataclass(frozen=True)
class MakeScope(Step):
    name: str = ""
    filter: str = ""


@dataclass(frozen=True)
class Refilter(Step):
    """Give a scope that only this application's assignments are on another filter."""

    name: str = ""
    filter: str = ""


@dataclass(frozen=True)
class Assign(Step):
    """``app``: the service principal's object id. There is no assignment without a ``scope``."""

    name: str = ""
    role: str = ""
    app: str = ""
    scope: str = ""


@dataclass(frozen=True)
class Enable(Step):
    """Switch on an assignment that is right otherwise."""

    name: str = ""
    scope: str = ""


@dataclass(frozen=True)
class Unassign(Step):
    name: str = ""


@dataclass(frozen=True)
class RemoveScope(Step):
    name: str = ""


RoleStep: t.TypeAlias = "Revoke | Customize | MakeScope | Refilter | Assign | Enable | Unassign | RemoveScope"


@dataclass(frozen=True)
class State:
    """``groups``: whom the option ``group`` names; ``members``: of that group, None where nobody could read them.

    ``assignments``: the application's. ``everybodys``: all of the tenant, read where a scope is to change or to go;
    None where that was not needed. ``holder``: what the application is in Entra, and what it holds there. ``claim``:
    who can sign in as it, read right before something is assigned.
    """

    pointer: Pointer | None = None
    groups: tuple[Recipient, ...] = ()
    members: tuple[Recipient, ...] | None = None
    scopes: tuple[Scope, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    policies: tuple[Policy, ...] = ()
    holder: Holder | None = None
    dehydrated: bool = False
    everybodys: tuple[Assignment, ...] | None = None
    claim: Claim | None = None

    @property
    def group(self) -> Recipient | None:
        return self.groups[0] if len(self.groups) == 1 else None

    @property
    def dn(self) -> str:
        return self.group.dn if self.group else ""

    def scope(self, name: str) -> Scope | None:
        return next((one for one in self.scopes if one.name.casefold() == name.casefold()), None)

    def users_of(self, scope: Scope) -> tuple[Assignment, ...]:
        """Every assignment that uses the scope, of anybody. Only to be asked where ``everybodys`` was read."""
        return tuple(one for one in self.everybodys or self.assignments if one.uses(scope))

    def is_shared(self, scope: Scope) -> bool:
        """Whether an assignment of another application, or of people, uses the scope, or nobody knows."""
        mine = {one.name.casefold() for one in self.assignments}
        return self.everybodys is None or any(one.name.casefold() not in mine for one in self.users_of(scope))

    def inside(self, key: str) -> frozenset[str] | None:
        """The Guids of the group's members where an access policy names this group; None for any other, and where a
        group in it holds more."""
        group = self.group
        if group is None or self.members is None or self.nested:
            return None
        ids = {group.entra_id, group.sid.lower(), group.name} - {""}
        return frozenset(member.guid for member in self.members) if key in ids else None

    @property
    def nested(self) -> list[Recipient]:
        """Groups in the group: a scope holds direct members only."""
        return [one for one in self.members or () if one.type in GROUPS]


@dataclass(frozen=True)
class Desired:
    """``roles``: names of roles, each once. ``mailboxes``: those that the group may hold, None where that is not said.

    ``own_scopes`` and ``own_assignments``: names of those that were made here, None where nobody says so.
    ``keep_own``: assignments that this collection named stay, whatever they are and wherever they are. ``declared``:
    permissions that other accesses of the application take by consent.
    """

    app_id: str
    roles: tuple[str, ...]
    group: str
    scope_name: str
    mailboxes: tuple[str, ...] | None = None
    exclusive: bool = False
    on_other_assignments: str = FAIL
    on_entra_grant: str = FAIL
    customize: bool = False
    declared: frozenset[Permission] = frozenset()
    own_scopes: tuple[str, ...] | None = None
    own_assignments: tuple[str, ...] | None = None
    keep_own: bool = False
    tokens_until: dt.datetime | None = None
    """How long tokens may live that were issued with what an earlier run revoked."""
    state: str = "present"
    trust: Trust = field(default_factory=Trust)
    check_mode: bool = field(default=False, compare=False)

    @property
    def who(self) -> str:
        return "the application" if self.app_id == _names.ZERO_GUID else self.app_id

    def wants(self, one: Assignment) -> bool:
        return one.role.casefold() in {role.casefold() for role in self.roles}

    def made(self, one: Assignment) -> bool:
        """Whether the assignment is one that we make for what is declared."""
        return is_our_name(one.name, self.app_id)


@dataclass(frozen=True)
class Target:
    """Where the roles are to be: the scope's name; whether it has to be made, or gets another filter."""

    name: str
    make: bool = False
    refilter: bool = False


@dataclass(frozen=True)
class Sorted:
    """The application's assignments by what is to become of them.

    ``right``: as declared. ``asleep``: right but for being disabled. ``stale``: ours, on a scope that is not the one.
    ``others``: they open mail, and nobody declared them. ``dormant``: disabled, and undeclared.
    """

    right: tuple[Assignment, ...]
    asleep: tuple[Assignment, ...]
    stale: tuple[Assignment, ...]
    others: tuple[Assignment, ...]
    dormant: tuple[Assignment, ...]

    def has(self, role: str) -> bool:
        return any(one.role.casefold() == role.casefold() for one in self.right)


def sort(current: State, desired: Desired, refiltered: str = "") -> Sorted:
    """``refiltered``: the name of a scope that is going to hold the group and nothing else."""
    good = [one for one in current.scopes if one.holds(current.dn) or one.name.casefold() == refiltered.casefold()]
    found: dict[str, list[Assignment]] = {key: [] for key in ("right", "asleep", "stale", "others", "dormant")}
    for one in current.assignments:
        if not opens_mail(one.role):
            continue
        fits = desired.wants(one) and any(one.is_on(scope) for scope in good)
        if fits:
            found["right" if one.enabled else "asleep"].append(one)
        elif desired.keep_own and desired.made(one):
            continue  # of another way in, which somebody else looks after
        elif desired.wants(one) and desired.made(one):
            found["stale"].append(one)
        else:
            found["others" if one.enabled else "dormant"].append(one)
    awake = {one.role.casefold() for one in found["right"]}
    # One that is enabled is enough; a second that sleeps is left asleep.
    found["dormant"] += [one for one in found["asleep"] if one.role.casefold() in awake]
    found["asleep"] = [one for one in found["asleep"] if one.role.casefold() not in awake]
    return Sorted(**{key: tuple(some) for key, some in found.items()})
