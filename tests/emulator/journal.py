# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was asked, in order, and which mailboxes each application could open after each request that writes."""

from __future__ import annotations

import typing as t

from . import directory, reach
from .model import Document, World


class Journal:
    """One row per request in order of arrival; a batch is a row, and its parts follow marked with its ``seq``."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seq = 0
        self.rows: list[Document] = []
        self._history: list[tuple[Document, reach.Reach]] = []

    def arrive(
        self,
        *,
        host: str,
        method: str,
        path: str,
        cmdlet: str | None = None,
        tenant: str | None = None,
        client_request_id: str | None = None,
        batch: int | None = None,
        status: int | None = None,
    ) -> Document:
        """A row for a request whose ``status`` is filled in once it is known (None: it never got an answer)."""
        self._seq += 1
        row: Document = {
            "seq": self._seq,
            "time": directory.stamp(self._world.clock.now()),
            "host": host,
            "method": method,
            "path": path,
            "cmdlet": cmdlet,
            "status": status,
            "tenant": tenant,
            "client_request_id": client_request_id,
        }
        if batch is not None:
            row["batch"] = batch
        self.rows.append(row)
        return row

    def clear(self) -> None:
        """The numbering goes on: a row's ``seq`` is never used twice."""
        self.rows = []
        self._history = []

    def look(self, row: Document) -> None:
        """Note what every application of the row's tenant could open at this instant."""
        tenant = self._world.tenants.get(row["tenant"] or "")
        if tenant is None:
            return
        found = reach.reaches(self._world, tenant)
        if found:
            after = {key: row[key] for key in ("host", "method", "path", "cmdlet", "status")}
            instant = {"seq": row["seq"], "time": row["time"], "tenant": tenant.id, "after": after}
            self._history += [(instant, one) for one in found]

    def exposures(self, app_id: str | None = None, declared: t.Sequence[str] | None = None) -> list[Document]:
        """See ``reach.exposures``."""
        return reach.exposures(self._world, self._history, app_id=app_id, declared=declared)
