# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.mail2fax.m365.plugins.action import handover_file
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import M365Error
from ansible_collections.mail2fax.m365.plugins.module_utils._module import refusal
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _arguments, _handover
from ansible_collections.mail2fax.m365.plugins.plugin_utils._values import Values

Json = dict[str, t.Any]
FILE = "mail2fax.m365.handover_file"
STAGES = ("check", "write", "certain")


class ActionModule(ActionBase):
    """Puts a hand-over together where Ansible itself runs, and has the plugin of ``handover_file`` write it."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        self._known: Json = task_vars or {}
        answer: Json = super().run(tmp, self._known) or {}
        del tmp
        _checked, args = self.validate_argument_spec(
            {
                "stage": {"type": "str", "required": True, "choices": [*STAGES]},
                "stopped": {"type": "dict", "default": {}},
            }
        )
        with _arguments.of_an_action(self._templar, constants.DEFAULT_LOCAL_TMP):
            answer.update(self._of(args))
        return answer

    def _of(self, args: Json) -> Json:
        host = str(self._known["inventory_hostname"])
        try:
            self._handover = _handover.Handover(host, Values(self._templar, self._known), self._known)
            match args["stage"]:
                case "check":
                    return self._check()
                case "write":
                    return self._write()
                case _:
                    return {**self._told(self._handover.certain(args["stopped"])), "changed": False}
        except M365Error as exc:
            return refusal(exc)

    def _check(self) -> Json:
        return self._file(
            path=self._handover.path(".json"),
            document=self._handover.document,
            refused=self._handover.refused(),
            blocked=self._handover.blocked(),
            moves=self._handover.moves,
        )

    def _write(self) -> Json:
        """First what the next run reads: a record that another run has written meanwhile keeps this one from telling
        people what may no longer be so."""
        found = self._told(self._handover.composed())
        told = bool(found["news"])
        if not found["writes"]:
            return {**found, "changed": False}
        counts = told and self._handover.mode != "audit"
        written = self._file(
            path=self._handover.path(".json"),
            document=self._handover.document,
            content=as_text(found["document"]),
            shown=counts,
        )
        if written.get("failed"):
            return written
        sheet: Json = {}
        if self._handover.wants_a_sheet(news=told):
            page = self._handover.page(found)
            sheet = self._file(path=self._handover.path(".html"), document="sheet", content=page, shown=False)
            if sheet.get("failed"):
                return sheet
        answer = {**found, "changed": counts or bool(sheet and told)}
        for one in (written, sheet):
            answer |= {name: one[name] for name in ("by_hand", "as_text", "diff") if name in one}
            answer["warnings"] = [*answer.get("warnings", []), *one.get("warnings", [])]
        return answer

    def _told(self, result: Json) -> Json:
        """What is registered. Whether the task counts as changed is another thing than whether there are news."""
        return {**result, "news": result["changed"], "writes": self._handover.writes()}

    def _file(self, *, shown: bool = True, **args: t.Any) -> Json:
        """One document by the plugin that writes documents, in its lane."""
        task = self._task
        before = task.args, task.action, task.diff
        task.args, task.action, task.diff = args, FILE, bool(task.diff and shown)
        if not task.diff:
            # Nobody sees what was and what is, so nothing is made of it: it would be cleaned of secrets, line by line.
            args["shown"] = {"before": {}, "after": {}}
        try:
            writer = handover_file.ActionModule(
                task, self._connection, self._play_context, self._loader, self._templar, self._shared_loader_obj
            )
            found: Json = writer.run(task_vars=self._known)
        finally:
            task.args, task.action, task.diff = before
        # The text of a document is in it, once more.
        found.pop("invocation", None)
        return found


def as_text(document: Json) -> str:
    """A document as it is kept."""
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True, separators=(",", ": ")) + "\n"
