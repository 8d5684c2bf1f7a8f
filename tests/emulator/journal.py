# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was asked, in order, and the moments in which an application could read every mailbox."""

from __future__ import annotations

from . import directory
from .model import Document, World


class Journal:
    """One row per request in order of arrival; a batch is a row, and its parts follow marked with its ``seq``."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seq = 0
        self.rows: list[Document] = []
        self.exposures: list[Document] = []

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
        self.exposures = []

    def look_for_exposures(self, row: Document) -> None:
        """Note every application that holds ``full_access_as_app`` at this moment with no policy to restrict it."""
        for tenant in self._world.tenants.values():
            holders = directory.full_access_holders(tenant)
            if not holders:
                continue
            restricted = {
                policy["AppId"].lower()
                for policy in tenant.application_access_policies.values()
                if policy["AccessRight"] == "RestrictAccess"
            }
            for principal in holders:
                if "*" not in restricted and principal["appId"].lower() not in restricted:
                    exposure = {
                        "seq": row["seq"],
                        "time": row["time"],
                        "appId": principal["appId"],
                        "displayName": principal["displayName"],
                        "tenant": tenant.id,
                        "after": {key: row[key] for key in ("host", "method", "path", "cmdlet", "status")},
                    }
                    self.exposures.append(exposure)
