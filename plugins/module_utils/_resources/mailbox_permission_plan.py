# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Which rights on mailboxes an application has to get and to lose: a pure function.

What narrows goes first: a right elsewhere is taken off before one is given. Nobody else's entry is ever touched.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _added, _claim, _time
from ansible_collections.mail2fax.m365.plugins.module_utils._claim import Claim
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._ownership import Trust
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import (
    MAILBOXES,
    Recipient,
    among,
    listed,
    ordered,
    unfit,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.limiter import EXCHANGE_ADMIN
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.mailbox_permission import (
    FULL_ACCESS,
    IN_FORCE_AFTER,
    MOST_ENTRIES,
    SELF,
    SEND_AS,
    Entry,
    Rights,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer


@dataclass(frozen=True)
class Give(Step):
    """One right for ``user`` (an object id) on the mailbox with this Guid."""

    mailbox: str
    user: str
    right: str


@dataclass(frozen=True)
class Take(Step):
    """Rights of ``user`` (an object id, or the SID of whom nobody knows any more) off the mailbox with this Guid."""

    mailbox: str
    user: str
    rights: tuple[str, ...]


RightStep: t.TypeAlias = "Give | Take"


@dataclass(frozen=True)
class Desired:
    """``mailboxes`` and ``candidates``: addresses as typed; a candidate may be a Guid. ``former_sids``: of service
    principals that the application had before, in lower case."""

    app_id: str
    mailboxes: tuple[str, ...]
    full_access: bool = True
    send_as: bool = False
    state: str = "present"
    exclusive: bool = False
    candidates: tuple[str, ...] = ()
    former_sids: frozenset[str] = frozenset()
    own_rights: frozenset[tuple[str, str]] | None = None
    """(Guid, right) of what was given here and is all that goes; None where nobody says so."""
    trust: Trust = field(default_factory=Trust)
    check_mode: bool = False

    @property
    def rights(self) -> frozenset[str]:
        return frozenset({FULL_ACCESS} if self.full_access else ()) | frozenset({SEND_AS} if self.send_as else ())


@dataclass(frozen=True)
class State:
    """What Exchange tells. ``entries`` and ``send_as``: everybody's rows by the mailbox's Guid, of those looked at.

    ``known``: whoever has a declared or further address, and every mailbox elsewhere with a right of the application.
    ``lost``: Names in rows of SendAs that no recipient has. ``scanned``: how many mailboxes were looked at for
    FullAccess; ``left_out``: whether there are more than the scan may look at. ``claim``: who can sign in as the
    application, where that was asked.
    """

    pointer: Pointer | None = None
    known: tuple[Recipient, ...] = ()
    entries: t.Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    send_as: t.Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    scanned: int = 0
    everything: bool = False
    left_out: bool = False
    claim: Claim | None = None

    def held(self, guid: str) -> Rights:
        """What the application has on a mailbox; nothing where Exchange does not know it."""
        if self.pointer is None:
            return Rights()
        rows = [*self.entries.get(guid, ()), *self.send_as.get(guid, ())]
        return Rights.of(row for row in rows if row.is_of(self.pointer))

    def removable(self, guid: str) -> frozenset[str]:
        """What of it stands on the mailbox itself."""
        if self.pointer is None:
            return frozenset()
        rows = [*self.entries.get(guid, ()), *self.send_as.get(guid, ())]
        return Rights.of(row for row in rows if row.is_of(self.pointer) and not row.inherited).allowed

    def orphans(self, guid: str) -> list[Entry]:
        """Rows of SIDs without a name. The application's own may be printed so, too, and is none."""
        rows = [row for row in self.entries.get(guid, ()) if row.is_orphan and not row.deny]
        return [row for row in rows if self.pointer is None or not row.is_of(self.pointer)]


def declared(current: State, desired: Desired) -> list[Recipient]:
    """The declared mailboxes that there are, each once, in their order."""
    found = (among(current.known, address) for address in desired.mailboxes)
    unique = {one.guid: one for one in found if one is not None}
    return list(unique.values())


def adds(current: State, desired: Desired) -> bool:
    """Whether the application would get a right: reason to look who can sign in as it."""
    return (
        desired.state == "present"
        and current.pointer is not None
        and any(desired.rights - current.held(one.guid).allowed for one in declared(current, desired))
    )


def plan(current: State, desired: Desired, now: dt.datetime) -> Plan:
    return _present(current, desired, now) if desired.state == "present" else _absent(current, desired)


# ---- present --------------------------------------------------------------------------------------------------------


def _present(current: State, desired: Desired, now: dt.datetime) -> Plan:
    wanted = declared(current, desired)
    elsewhere = [one for one in ordered(current.known) if one not in wanted and current.held(one.guid).allowed]
    before = {one.label: sorted(current.held(one.guid).allowed) for one in [*wanted, *elsewhere]}
    blocked = (
        _no_pointer(current, desired)
        or _unfit(current, desired, elsewhere)
        or _wrong_pointer(current, desired)
        or _denied(current, desired, wanted)
        or _no_room(current, desired, wanted)
        or _claimed(current, desired, now)
    )
    planned = Plan(before=before, after=before, result=_result(current, desired, elsewhere))
    if blocked is not None:
        planned.blocked, planned.summary = blocked, blocked.message
        return planned
    after = {label: set(rights) for label, rights in before.items()}
    for one in [*elsewhere, *wanted]:
        surplus = current.removable(one.guid) - (desired.rights if one in wanted else frozenset())
        if surplus and desired.exclusive:
            planned.steps += _takes(current, one, surplus)
            after[one.label] -= surplus
        if desired.exclusive:
            planned.steps += _former(current, desired, one)
    given = {one.guid: sorted(desired.rights - current.held(one.guid).allowed) for one in wanted}
    user, sid = (current.pointer.object_id, current.pointer.sid.upper()) if current.pointer is not None else ("", None)
    for one in wanted:
        planned.steps += [
            Give(f"give the application {right} on {one.label}", one.guid, user, right) for right in given[one.guid]
        ]
        after[one.label] |= desired.rights
        planned.added = [
            *planned.added,
            *(_added.entry("right", one.guid, right, sid=sid) for right in given[one.guid]),
        ]
    planned.after = {label: sorted(rights) for label, rights in after.items() if rights or before.get(label)}
    planned.result["rights"] = [
        {
            "mailbox": one.label,
            "guid": one.guid,
            "full_access": FULL_ACCESS in after[one.label],
            "send_as": SEND_AS in after[one.label],
        }
        for one in wanted
    ]
    if any(given.values()):
        planned.result["in_force_by"] = _time.iso(now + IN_FORCE_AFTER)
    planned.warnings = _warnings(current, desired, wanted, elsewhere)
    planned.summary = _summary(planned, len(wanted))
    return planned


def _takes(current: State, one: Recipient, rights: t.Iterable[str]) -> list[Take]:
    """SendAs and the rest are two cmdlets, so they are two steps."""
    user = current.pointer.object_id if current.pointer is not None else ""
    going = sorted(rights)
    kinds = [[right for right in going if right != SEND_AS], [right for right in going if right == SEND_AS]]
    return [
        Take(f"take the application's {' and '.join(kind)} off {one.label}", one.guid, user, tuple(kind))
        for kind in kinds
        if kind
    ]


def _former(current: State, desired: Desired, one: Recipient) -> list[Take]:
    """What service principals left behind that the application had before: it opens nothing, and clutters."""
    return [
        Take(
            f"take {' and '.join(sorted(row.rights))} of a former service principal ({row.user}) off {one.label}",
            one.guid,
            row.user,
            tuple(sorted(row.rights)),
        )
        for row in current.orphans(one.guid)
        if row.user.lower() in desired.former_sids and row.rights and not row.inherited
    ]


def _result(current: State, desired: Desired, elsewhere: t.Sequence[Recipient]) -> Json:
    return {
        "app_id": desired.app_id,
        "sid": current.pointer.sid.upper() if current.pointer is not None else None,
        "rights": [
            {
                "mailbox": one.label,
                "guid": one.guid,
                "full_access": FULL_ACCESS in current.held(one.guid).effective,
                "send_as": SEND_AS in current.held(one.guid).effective,
            }
            for one in declared(current, desired)
        ],
        "elsewhere": [
            {"mailbox": one.label, "guid": one.guid, "rights": sorted(current.held(one.guid).allowed)}
            for one in elsewhere
        ],
        "orphans": [
            {
                "mailbox": one.label,
                "sid": row.user.upper(),
                "rights": sorted(row.rights),
                "ours": row.user.lower() in desired.former_sids,
            }
            for one in ordered(current.known)
            for row in current.orphans(one.guid)
        ],
        "scanned": {"mailboxes": current.scanned, "complete": current.everything and not current.left_out},
    }


def _warnings(
    current: State, desired: Desired, wanted: t.Sequence[Recipient], elsewhere: t.Sequence[Recipient]
) -> list[str]:
    said = []
    if current.pointer is None:
        said.append(
            f"Exchange does not know the application {desired.app_id} yet; planned as if an earlier task made it."
            if desired.app_id != ZERO_GUID
            else "Exchange does not know the application yet; planned as if an earlier task made it."
        )
    if elsewhere and not desired.exclusive:
        found = [f"{one.label} ({', '.join(sorted(current.held(one.guid).allowed))})" for one in elsewhere]
        said.append(
            f"The application has rights on mailboxes that nobody declared, and they stay: {listed(found)}. Set "
            "exclusive to true to take them off."
        )
    more = {one.label: sorted(current.held(one.guid).allowed - desired.rights) for one in wanted}
    surplus = [f"{label} ({', '.join(rights)})" for label, rights in more.items() if rights]
    if surplus and not desired.exclusive:
        said.append(f"The application has more rights than declared, and they stay: {listed(surplus)}.")
    if current.lost:
        said.append(
            f"The application may send as {listed(map(repr, current.lost))}, which no recipient is called: look who "
            "that is, and take the right off."
        )
    ours = [
        f"{one.label} ({row.user})"
        for one in ordered(current.known)
        for row in current.orphans(one.guid)
        if row.user.lower() in desired.former_sids
    ]
    if ours and not desired.exclusive:
        said.append(
            f"Rights of a former service principal of the application are left on mailboxes: {listed(ours)}. They open "
            "nothing. Set exclusive to true to take them off."
        )
    if current.left_out:
        said.append(
            f"FullAccess was looked for on {current.scanned} mailboxes, and the tenant has more: raise scan_limit to "
            "look at all of them."
        )
    return said


def _summary(planned: Plan, count: int) -> str:
    given = len({step.mailbox for step in planned.steps if isinstance(step, Give)})
    taken = len({step.mailbox for step in planned.steps if isinstance(step, Take)})
    parts = []
    if given:
        parts.append(f"rights given on {_mailboxes(given)}")
    if taken:
        parts.append(f"rights taken off {_mailboxes(taken)}")
    return "; ".join(parts) or f"rights as declared on {_mailboxes(count)}"


def _mailboxes(count: int) -> str:
    return "1 mailbox" if count == 1 else f"{count} mailboxes"


# ---- absent ---------------------------------------------------------------------------------------------------------


def _absent(current: State, desired: Desired) -> Plan:
    """This application's rights go, on the mailboxes that are named; with ``exclusive`` wherever they were found."""
    named = {one.guid for one in declared(current, desired)}
    named |= {one.guid for one in current.known if _is_candidate(one, desired)}
    everywhere = ordered(current.known)
    own = desired.own_rights
    if own is not None:
        named = {guid for guid, _right in own}
    targets = [one for one in everywhere if one.guid in named or (desired.exclusive and own is None)]
    elsewhere = [one for one in everywhere if one not in targets and current.held(one.guid).allowed]
    before = {one.label: sorted(current.held(one.guid).allowed) for one in [*targets, *elsewhere]}
    planned = Plan(before={label: rights for label, rights in before.items() if rights})
    after = {label: set(rights) for label, rights in planned.before.items()}
    for one in targets:
        going = current.removable(one.guid)
        if own is not None:
            going = frozenset(right for right in going if (one.guid, right) in own)
        planned.steps += [*_takes(current, one, going), *_former(current, desired, one)]
        if one.label in after:
            after[one.label] -= going
    planned.after = {label: sorted(rights) for label, rights in after.items() if rights}
    planned.result = _result(current, desired, elsewhere)
    planned.result["rights"] = [
        {**row, "full_access": FULL_ACCESS in rights, "send_as": SEND_AS in rights}
        for row in planned.result["rights"]
        if (rights := after.get(str(row["mailbox"]), set())) is not None
    ]
    if elsewhere:
        found = [f"{one.label} ({', '.join(before[one.label])})" for one in elsewhere]
        planned.warnings.append(
            f"The application keeps rights on mailboxes that are not named here: {listed(found)}."
            + ("" if own is not None else " Name them, or set exclusive to true.")
        )
    planned.summary = _summary(planned, 0) if planned.steps else "no right of the application is there"
    return planned


def _is_candidate(one: Recipient, desired: Desired) -> bool:
    return any(one.guid == name.lower() or one.has_address(name) for name in desired.candidates)


# ---- what stops the task --------------------------------------------------------------------------------------------

_ATTEMPTED = "give the application rights on the mailboxes"


def _no_pointer(current: State, desired: Desired) -> Blocked | None:
    if current.pointer is not None or desired.check_mode:
        return None
    return Blocked(
        f"Exchange does not know the application {desired.app_id}: it has no service principal there that could get a "
        "right",
        attempted=_ATTEMPTED,
        cure="make it first (exchange_service_principal), or check app_id: it is the Application (client) ID",
        who=EXCHANGE_ADMIN,
        details={"app_id": desired.app_id},
        options=("app_id",),
    )


def _unfit(current: State, desired: Desired, elsewhere: t.Sequence[Recipient]) -> Blocked | None:
    """Where an address is nobody's, a mailbox that has the application's rights may be it, under another name."""
    blocked = unfit(current.known, desired.mailboxes, "no right can be given")
    renamed = [one.label for one in elsewhere if one.type in MAILBOXES]
    if blocked is None or not renamed or all(among(current.known, name) for name in desired.mailboxes):
        return blocked
    blocked.cure = f"{blocked.cure}. The application has rights on {listed(renamed)}: perhaps a mailbox was renamed"
    blocked.details = {**(blocked.details or {}), "perhaps_renamed": renamed[:100]}
    return blocked


def _wrong_pointer(current: State, desired: Desired) -> Blocked | None:
    claim, pointer = current.claim, current.pointer
    if claim is None or pointer is None or claim.principal_id == pointer.object_id:
        return None
    if claim.principal_id is None:
        return Blocked(
            f"the application {desired.app_id} has no service principal in this tenant, so it cannot sign in, and a "
            "right would let nobody in",
            attempted=_ATTEMPTED,
            cure="run entra_application first, or check app_id: it is the Application (client) ID",
            who="an Application Administrator of the tenant",
            options=("app_id",),
        )
    return Blocked(
        f"Exchange's service principal of {claim.called} has the object id {pointer.object_id}, and the application's "
        f"own is {claim.principal_id}: a right that is given to it lets nobody in",
        attempted=_ATTEMPTED,
        cure="replace it (exchange_service_principal with on_wrong_pointer: replace), and run again. The object id is "
        "that of the enterprise application, not that of the registration",
        who=EXCHANGE_ADMIN,
        details={"pointer": pointer.as_dict(), "object_id": claim.principal_id},
        options=("app_id",),
    )


def _denied(current: State, desired: Desired, wanted: t.Sequence[Recipient]) -> Blocked | None:
    found = [(one, right) for one in wanted for right in sorted(desired.rights & current.held(one.guid).denied)]
    if not found:
        return None
    user = current.pointer.object_id if current.pointer is not None else desired.app_id
    commands = [
        f"Remove-RecipientPermission -Identity {one.label} -Trustee {user} -AccessRights SendAs -Deny"
        if right == SEND_AS
        else f"Remove-MailboxPermission -Identity {one.label} -User {user} -AccessRights {right} -Deny"
        for one, right in found
    ]
    return Blocked(
        "an entry denies the application "
        + listed([f"{right} on {one.label}" for one, right in found])
        + ", and a denial wins over what is given",
        attempted=_ATTEMPTED,
        cure=f"ask who denied it and why; if nobody needs it, remove it: {listed(commands, separator='; ')}",
        who=EXCHANGE_ADMIN,
        details={"denied": [{"mailbox": one.label, "guid": one.guid, "right": right} for one, right in found]},
        options=("mailboxes",),
    )


def _no_room(current: State, desired: Desired, wanted: t.Sequence[Recipient]) -> Blocked | None:
    if FULL_ACCESS not in desired.rights:
        return None
    full = []
    for one in wanted:
        rows = [row for row in current.entries.get(one.guid, ()) if not row.inherited and row.user.casefold() != SELF]
        ours = current.pointer is not None and any(row.is_of(current.pointer) for row in rows)
        if len(rows) >= MOST_ENTRIES and not ours:
            full.append((one, len(rows), sum(row.is_orphan for row in rows)))
    if not full:
        return None
    said = [f"{one.label} has {count}, {orphans} of them of nobody that Exchange knows" for one, count, orphans in full]
    return Blocked(
        f"Exchange takes {MOST_ENTRIES} entries on a mailbox, and there is no room for the application's: "
        f"{listed(said, separator='; ')}",
        attempted=_ATTEMPTED,
        cure="remove entries that nobody needs, those of unknown SIDs first, or give the rights of many people to one "
        "group",
        who=EXCHANGE_ADMIN,
        details={
            "full": [
                {"mailbox": one.label, "guid": one.guid, "entries": count, "orphans": orphans}
                for one, count, orphans in full
            ]
        },
        options=("mailboxes",),
    )


def _claimed(current: State, desired: Desired, now: dt.datetime) -> Blocked | None:
    return None if current.claim is None else _claim.problem(current.claim, desired.trust, now, "these rights")
