# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import M365Error
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.handover_file import DOOR
from ansible_collections.mail2fax.m365.plugins.module_utils._shelf import SHELF_OPTIONS
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _blanks, _held, _volatile
from ansible_collections.mail2fax.m365.plugins.plugin_utils._kept import kept
from ansible_collections.mail2fax.m365.plugins.plugin_utils._lane import LaneAction
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain
from ansible_collections.mail2fax.m365.plugins.plugin_utils._sheet_text import as_text
from ansible_collections.mail2fax.m365.plugins.plugin_utils._shelves import (
    SHEET,
    VARIABLE,
    is_elsewhere,
    open_shelf,
)

Json = dict[str, t.Any]


class ActionModule(LaneAction):
    """The module of the same name, without a process of its own. Only from here a record store can be reached."""

    door = DOOR
    writes_results = True

    def _run(self, variables: Json) -> Json:
        self._variables = variables
        self._store = self._store_of(variables)
        result = super()._run(variables)
        page = self._task.args.get("content")
        if page and self._task.args.get("document") == SHEET and _volatile.is_a_job(variables, os.environ):
            # Whoever cannot get at files reads the log.
            result["as_text"] = as_text(str(page))
        return result

    def _store_of(self, variables: Json) -> Json:
        """Where the document is kept, as the task or else the host's variable says; empty where that is a folder."""
        said = self._task.args.get("record_store")
        if said is None and self._task.args.get("document") and VARIABLE in variables:
            try:
                said = self._rendered(VARIABLE, variables)
            except M365Error:
                # In a playbook the look at the inventory has told it already.
                if _held.BEGUN not in variables:
                    raise
        said = plain(said)
        # What cannot be meant is refused by the look at the inventory, which knows the variable's name.
        if not isinstance(said, dict) or said.get("backend") not in SHELF_OPTIONS["backend"]["choices"]:
            return {}
        return {name: said[name] for name in SHELF_OPTIONS if name in said} if is_elsewhere(said) else {}

    def needs_controller(self, args: t.Mapping[str, t.Any]) -> bool:
        return bool(self._store)

    def _reason_for_a_process(self, variables: Json) -> str | None:
        """A store is reached from here, wherever the host's own tasks run: from here its record was read."""
        return None if self._store else super()._reason_for_a_process(variables)

    def _connection_of_the_host(self, variables: Json) -> Json:
        known = {name: value for name, value in self._store.items() if not _blanks.blank(value)}
        return {**super()._connection_of_the_host(variables), **({"record_store": known} if known else {})}

    def services(self, params: Json) -> Json:
        if not self._store or params["refused"]:
            return {}
        shelf = self._closing.enter_context(
            open_shelf(
                params["record_store"], folder="", controller=self.controller(params), patient=bool(params["content"])
            )
        )
        name = str(params["document"] or "record")
        return {"kept": kept(shelf, self._inventory_name, name, self._variables.get(_held.BEGUN))}
