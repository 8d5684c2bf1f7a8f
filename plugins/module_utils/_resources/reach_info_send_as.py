# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""As which mailboxes applications may send: rows that name a mailbox by Name only, put to it."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_exchange import Asker
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_state import OPENED
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.mailbox_permission import (
    Entry,
    send_as_cmdlet,
    send_as_of,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer


class Printed:
    """Recipients by every form in which Exchange prints them."""

    def __init__(self) -> None:
        self._by_form: dict[str, Recipient] = {}

    def add(self, one: Recipient) -> None:
        for form in (one.name, one.guid, one.entra_id, one.dn, one.sid):
            held = self._by_form.get(form.casefold()) if form else None
            if form and (held is None or held.type not in OPENED):
                self._by_form[form.casefold()] = one

    def get(self, name: str) -> Recipient | None:
        wanted = name.strip().casefold()
        return self._by_form.get(wanted) or self._by_form.get(wanted.rpartition("/")[2])


class SendAs:
    """``claiming``: the pointers whose applications send by SMTP. ``sent``: what Exchange said of the only one when it
    was asked by the application's id."""

    def __init__(self, claiming: t.Sequence[Pointer], sent: Output | None) -> None:
        self._claiming = list(claiming)
        self._rows: dict[str, list[tuple[str, Entry]] | None] = {}
        self._asked = self._claiming
        self._sent = sent if self._claiming and sent is not None and sent.error is None and sent.value else None
        if self._sent is not None:
            self._asked = []

    def cmdlets(self) -> list[Cmdlet]:
        """What is still to be asked, by the pointer's own id."""
        return [send_as_cmdlet(one.object_id or one.app_id) for one in self._asked]

    def take(self, ask: Asker, outputs: t.Sequence[Output]) -> None:
        if self._sent is not None:
            [one] = self._claiming
            self._keep(one, ask.whole(self._sent))
        for one, output in zip(self._asked, outputs, strict=True):
            self._keep(one, ask.whole(output), asked=True)

    def _keep(self, one: Pointer, rows: list[dict[str, t.Any]] | None, *, asked: bool = False) -> None:
        """``asked``: for it by its own id, so that a row without a SID is its as well, however the name is printed."""
        entries = None if rows is None else send_as_of(rows)
        self._rows[one.app_id] = entries and [
            (name, entry)
            for name, told in entries
            if (entry := replace(told, user=one.object_id) if asked and not told.sid else told).is_of(one)
        ]

    def names(self, known: Printed) -> list[str]:
        """Those that nobody known is printed by."""
        told = dict.fromkeys(name for rows in self._rows.values() for name, _entry in rows or ())
        return [name for name in told if known.get(name) is None]

    def placed(self, known: Printed) -> dict[str, tuple[tuple[str, Entry], ...] | None]:
        """By app id: (Guid of the mailbox, entry); None where something could not be read or be placed."""
        found: dict[str, tuple[tuple[str, Entry], ...] | None] = {}
        for app_id, rows in self._rows.items():
            of = [(known.get(name), entry) for name, entry in rows or ()]
            lost = rows is None or any(one is None for one, _entry in of)
            placed = tuple((one.guid, entry) for one, entry in of if one is not None and one.type in OPENED)
            found[app_id] = None if lost else placed
        return found
