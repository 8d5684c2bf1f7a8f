# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What an application has on mailboxes, as Exchange shows it: FullAccess mailbox by mailbox, SendAs all at once."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Exchange, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import (
    MAILBOXES,
    PER_FILTER,
    Recipient,
    among,
    by_address,
    by_properties,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_permission_plan import (
    Desired,
    State,
    declared,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.mailbox_permission import (
    SEND_AS,
    Entry,
    entries_of,
    full_access_cmdlet,
    send_as_cmdlet,
    send_as_of,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer, pointer_of
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import read_cmdlet as pointer_cmdlet

_LOOK = "look for the mailboxes"
_Found: t.TypeAlias = "dict[str, tuple[Entry, ...]]"


@dataclass(frozen=True)
class _Asked:
    """What one look is about. ``names``: addresses and Guids whose rights are read."""

    names: tuple[str, ...]

    def people(self) -> list[Cmdlet]:
        guids = [("Guid", name) for name in self.names if _names.is_guid(name)]
        addresses = [name for name in self.names if not _names.is_guid(name)]
        pages = [guids[start : start + PER_FILTER] for start in range(0, len(guids), PER_FILTER)]
        return [*by_address(addresses, _LOOK), *(by_properties(page, _LOOK) for page in pages)]

    def rights(self) -> list[Cmdlet]:
        return [full_access_cmdlet(name) for name in self.names]


@dataclass(frozen=True)
class Reader:
    """Reads what ``desired`` is about. ``scan_limit``: how many mailboxes of the tenant are gone through besides, None
    for none."""

    exchange: Exchange
    desired: Desired
    scan_limit: int | None = None

    def look(self, also: t.Collection[str] = ()) -> State:
        """One list of reads; a further one where Exchange told a name apart from what it was asked for.

        ``also``: Guids of mailboxes that are looked at instead of a scan.
        """
        app_id = self.desired.app_id
        names = dict.fromkeys(name.lower() for name in (*self.desired.mailboxes, *self.desired.candidates, *also))
        asked = _Asked(tuple(names))
        about = [pointer_cmdlet(app_id), send_as_cmdlet(app_id)] if app_id != ZERO_GUID else []
        people, rights = asked.people(), asked.rights()
        outputs = self.exchange.invoke_many([*about, *people, *rights])
        pointed, found = outputs[: len(about)], outputs[len(about) : len(about) + len(people)]
        pointer = pointer_of(pointed[0], app_id) if pointed else None
        known = tuple(Recipient.of(row) for output in found for row in output.listed())
        entries, again = by_mailbox(known, dict(zip(asked.names, outputs[len(about) + len(people) :], strict=True)))
        state = State(pointer, known, entries, scanned=len(entries) + len(again))
        if pointer is not None:
            state = self._with_send_as(state, pointer, pointed[1])
        state = replace(state, entries={**entries, **self._entries_by_guid(again)})
        if pointer is not None and self.scan_limit is not None and not also:
            state = self._scanned(state, pointer, self.scan_limit)
        return state

    def _entries_by_guid(self, mailboxes: t.Sequence[Recipient]) -> _Found:
        cmdlets = [full_access_cmdlet(one.guid, one.label) for one in mailboxes]
        outputs = self.exchange.invoke_many(cmdlets)
        return {one.guid: tuple(entries_of(output.listed())) for one, output in zip(mailboxes, outputs, strict=True)}

    def _with_send_as(self, state: State, pointer: Pointer, told: Output) -> State:
        """As which mailboxes the application may send. Asked for by the application's id; by the object id where that
        is no name of a trustee, or where a right is missing."""
        state = self._placed(state, [] if told.error is not None else told.value, pointer)
        missing = self.desired.send_as and any(
            SEND_AS not in state.held(one.guid).allowed for one in declared(state, self.desired)
        )
        if told.error is None and not missing:
            return state
        # A trustee made a moment ago may be unknown to the server that answers: then it has nothing yet.
        [output] = self.exchange.invoke_many([send_as_cmdlet(pointer.object_id)])
        return self._placed(state, output.listed(), pointer, answered=True)

    def _placed(
        self, state: State, rows: t.Sequence[t.Mapping[str, t.Any]], pointer: Pointer, *, answered: bool = False
    ) -> State:
        """With the rows of SendAs put to their mailboxes, which they name by Name only.

        ``answered``: Exchange was asked for this trustee by its own id, so that a row without a SID is its as well,
        however it prints the name.
        """
        told = [
            (name, replace(entry, user=pointer.object_id) if answered and not entry.sid else entry)
            for name, entry in send_as_of(rows)
        ]
        ours = [(name, entry) for name, entry in told if entry.is_of(pointer)]
        known = list(state.known)
        unknown = [name for name in dict.fromkeys(name for name, _entry in ours) if called(known, name) is None]
        pages = [unknown[start : start + PER_FILTER] for start in range(0, len(unknown), PER_FILTER)]
        cmdlets = [by_properties([("Name", name) for name in page], _LOOK) for page in pages]
        known += [Recipient.of(row) for output in self.exchange.invoke_many(cmdlets) for row in output.listed()]
        placed: dict[str, list[Entry]] = {}
        lost = []
        for name, entry in ours:
            one = called(known, name)
            if one is None:
                lost.append(name)
            else:
                placed.setdefault(one.guid, []).append(entry)
        return replace(
            state,
            known=tuple(known),
            send_as={guid: tuple(entries) for guid, entries in placed.items()},
            lost=tuple(dict.fromkeys(lost)),
        )

    def _scanned(self, state: State, pointer: Pointer, limit: int) -> State:
        """With every mailbox of the tenant, up to ``limit`` of them, that has a right of the application."""
        cmdlet = Cmdlet("Get-Mailbox", {"ResultSize": "Unlimited"}, "read the list of all mailboxes", limit + 1)
        rows = self.exchange.invoke(cmdlet.name, cmdlet.purpose, cmdlet.limit, **cmdlet.parameters)
        everybody = [one for one in map(Recipient.of, rows) if one.guid not in state.entries]
        found = self._entries_by_guid(everybody[:limit])
        held = {guid: entries for guid, entries in found.items() if any(row.is_of(pointer) for row in entries)}
        more = [one for one in everybody if one.guid in held and one not in state.known]
        return replace(
            state,
            known=(*state.known, *more),
            entries={**state.entries, **held},
            scanned=state.scanned + len(found),
            everything=True,
            left_out=len(rows) > limit,
        )


def by_mailbox(known: t.Sequence[Recipient], told: t.Mapping[str, Output]) -> tuple[_Found, list[Recipient]]:
    """Rows by the mailbox's Guid, and the mailboxes that have to be asked for anew, by their Guid.

    What was asked for by an address may be the rows of somebody else, who has it as a name.
    """
    entries: _Found = {}
    again: list[Recipient] = []
    for name, output in told.items():
        one = next((one for one in known if one.guid == name), None) or among(known, name)
        if one is None or one.guid in entries or one.type not in MAILBOXES:
            continue
        rows = [] if output.error is not None else output.value
        if rows and (one.guid == name or all(one.is_printed_as(str(row.get("Identity") or "")) for row in rows)):
            entries[one.guid] = tuple(entries_of(rows))
        elif one not in again:
            again.append(one)
    return entries, [one for one in again if one.guid not in entries]


def called(known: t.Iterable[Recipient], name: str) -> Recipient | None:
    found = [one for one in known if one.is_printed_as(name)]
    return next((one for one in found if one.type in MAILBOXES), found[0] if found else None)
