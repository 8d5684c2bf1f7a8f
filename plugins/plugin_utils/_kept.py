# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One document of one tenant on its shelf, as a task writes it. Of a record nothing is ever lost.

Where another run has written the record since this one read it, what this run added to the tenant is noted in that
one's record, and then this run is refused: which of the two tells the tenant's state, nobody can know but the next run.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Conflict
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import record
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.united import united
from ansible_collections.mail2fax.m365.plugins.plugin_utils._sheet_text import as_text
from ansible_collections.mail2fax.m365.plugins.plugin_utils._shelves import (
    RECORD,
    SHEET,
    SHEET_TEXT,
    Shelf,
    Version,
)

TRIES = 5


@dataclass(frozen=True)
class KeptDocument:
    """``before`` is the version that this run began with; None where it has read nothing."""

    shelf: Shelf
    host: str
    name: str
    before: Version | None = None

    @property
    def place(self) -> str:
        return self.shelf.place(self.host, self.name)

    @property
    def by_hand(self) -> str:
        return self.shelf.by_hand(self.host, self.name)

    def probe(self, *, by_writing: bool) -> None:
        self.shelf.probe(self.host, self.name, by_writing=by_writing)

    def read(self) -> str | None:
        return self.shelf.read(self.host, self.name).text

    def write(self, text: str) -> list[str]:
        warnings = self._write(text)
        if self.name == SHEET:
            # To be read by whoever has nothing but the server's own client.
            self.shelf.write(self.host, SHEET_TEXT, "\n".join([*as_text(text), ""]))
        return warnings

    def _write(self, text: str) -> list[str]:
        for tries_left in reversed(range(TRIES)):
            try:
                return self.shelf.write(self.host, self.name, text, self.before)
            except Conflict:
                if self.before is not None:
                    break
                if not tries_left:
                    raise
        raise self._refused(text)

    def _refused(self, text: str) -> Conflict:
        noted = self.name == RECORD and self._note(text)
        what = " What this run has added to the tenant is noted there" if noted else ""
        return Conflict(
            f"another run has written {self.place} while this one was at work.{what}",
            attempted=f"write what came of the run of {self.host}",
            cure="let only one run at a time work on a tenant, then run again: it looks at everything anew",
        )

    def _note(self, text: str) -> bool:
        """Whether the other run's record has now what this one added. Raises Conflict where that never succeeds."""
        mine = record.read(text, self.host)
        for tries_left in reversed(range(TRIES)):
            found = self.shelf.read(self.host, self.name)
            theirs = record.read(found.text, self.host)
            if mine.refused or theirs.refused:
                return False
            both = united(theirs.document, mine.document)
            if both == theirs.document:
                return True
            try:
                # It stays the other run's: this one has no right to write over it once more.
                both_as_text = json.dumps(both, indent=2, ensure_ascii=False) + "\n"
                self.shelf.write(self.host, self.name, both_as_text, found.version, found.run)
                return True
            except Conflict:
                if not tries_left:
                    raise
        raise AssertionError("unreachable")


def kept(shelf: Shelf, host: str, name: str, begun: t.Any = None) -> KeptDocument:
    """``begun`` is what the first task of a playbook found, where there is one and it is about this host."""
    before = None
    if name == RECORD and isinstance(begun, t.Mapping) and begun.get("host") == host:
        before = Version.of(begun.get("record_version"))
    return KeptDocument(shelf, host, name, before)
