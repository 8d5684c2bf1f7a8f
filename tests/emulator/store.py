# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state file: every document of every tenant in SQLite, written through as it changes.

What one request changed is committed together before its answer leaves, so that a process that is killed never leaves
half a request behind. Without a path the same database lives in memory and nothing is written.
"""

from __future__ import annotations

import json
import pathlib
import sqlite3

from .model import Document, Tenant, World

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
  tenant TEXT NOT NULL, collection TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (tenant, collection, key)
);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Store:
    """``path`` None: keeps nothing."""

    def __init__(self, path: str | pathlib.Path | None) -> None:
        self.kept = path is not None
        self._database = sqlite3.connect(str(path) if path is not None else ":memory:", isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        # A killed process loses nothing that was committed; a power cut is no concern of a test double.
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.executescript(_SCHEMA)
        self._open = False

    def on_change(self, tenant_id: str, collection: str, key: str, document: Document | None) -> None:
        if not self.kept:
            return
        self._begin()
        if document is None:
            statement = "DELETE FROM documents WHERE tenant = ? AND collection = ? AND key = ?"
            self._database.execute(statement, (tenant_id, collection, key))
        else:
            self._database.execute(
                "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)",
                (tenant_id, collection, key, json.dumps(document)),
            )

    def commit(self) -> None:
        if self._open:
            self._database.execute("COMMIT")
            self._open = False

    def save(self, tenant: Tenant) -> None:
        """The whole tenant, in place of whatever is kept of it."""
        if not self.kept:
            return
        self._begin()
        self._database.execute("DELETE FROM documents WHERE tenant = ?", (tenant.id,))
        self._database.executemany(
            "INSERT INTO documents VALUES (?, ?, ?, ?)",
            (
                (tenant.id, collection.name, key, json.dumps(document))
                for collection in tenant.collections()
                for key, document in collection.items()
            ),
        )
        self.set_meta(f"tenant:{tenant.id}", "1")

    def load(self, tenant: Tenant) -> bool:
        """Replace the tenant's documents by those kept; False when nothing is kept of it."""
        if self.meta(f"tenant:{tenant.id}") is None:
            return False
        for collection in tenant.collections():
            dict.clear(collection)
            rows = self._database.execute(
                "SELECT key, body FROM documents WHERE tenant = ? AND collection = ? ORDER BY rowid",
                (tenant.id, collection.name),
            )
            for key, body in rows:
                collection.load(key, json.loads(body))
        return True

    def meta(self, name: str) -> str | None:
        row = self._database.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set_meta(self, name: str, value: str) -> None:
        self._begin()
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def save_clock(self, world: World) -> None:
        self.set_meta("clock_offset_s", str(world.clock.offset.total_seconds()))

    def close(self) -> None:
        self.commit()
        self._database.close()

    def _begin(self) -> None:
        if not self._open:
            self._database.execute("BEGIN")
            self._open = True
