# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import M365Error
from ansible_collections.mail2fax.m365.plugins.plugin_utils import (
    _blanks,
    _fleet_page,
    _fleet_report,
    _hosts,
    _places,
    _records,
    _shelves,
)
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import times
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain
from ansible_collections.mail2fax.m365.plugins.plugin_utils._store_logins import of_this_run
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller

Json = dict[str, t.Any]
PAGE, TABLE, LIMIT = "fleet.html", "fleet.csv", "fleet.limit"
REACH = "reach.json"


class ActionModule(ActionBase):
    """Reads what runs have left of many hosts and writes two files; asks no tenant anything."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        found: Json = task_vars or {}
        result: Json = super().run(tmp, found) or {}
        del tmp
        _checked, args = self.validate_argument_spec(
            {
                "hosts": {"type": "list", "elements": "str", "required": True},
                "named": {"type": "list", "elements": "str", "default": []},
                "folder": {"type": "str"},
                "time_zone": {"type": "str", "default": "UTC"},
                "at": {"type": "str"},
            }
        )
        at = times.instant(args["at"]) if args["at"] else times.now()
        if at is None:
            return {**result, "failed": True, "msg": f"at is {args['at']!r}, which is not an instant"}
        try:
            texts, folders = self._texts([str(host) for host in args["hosts"]], found["hostvars"])
            folder = str(args["folder"] or "").strip()
            place = (
                _places.resolve(folder, _places.base(found.get("inventory_dir")))
                if folder
                else folders.pop()
                if len(folders) == 1
                else _places.resolve("handover", _places.base(found.get("inventory_dir")))
            )
            report = _fleet_report.report(texts, at)
            files = {
                PAGE: _fleet_page.page(report, str(args["time_zone"])),
                TABLE: _fleet_report.table(report),
                LIMIT: _fleet_report.limits(report),
            }
            result["changed"] = self._write(place, files, {_places.file_name(host) for host in texts})
        except (M365Error, OSError, ValueError, KeyError) as exc:
            return {**result, "failed": True, "msg": str(exc)}
        paths = {name: os.path.join(place, name) for name in files}
        result.update(
            page=paths[PAGE],
            table=paths[TABLE],
            limit=paths[LIMIT],
            counts={urgency: report.count(urgency) for urgency in _fleet_report.URGENCIES},
            tenants=[
                {"host": line.host, "urgency": line.urgency, "outcome": line.outcome, "next": line.next}
                for line in report.lines
            ],
            summary=_summary(report, paths, self._task.check_mode) + _unmet(args["named"], found["groups"]),
        )
        return result

    def _texts(self, hosts: t.Sequence[str], everybody: t.Any) -> tuple[dict[str, _fleet_report.Texts], set[str]]:
        """What there is of each host, and in which folders."""
        found: dict[str, _fleet_report.Texts] = {}
        folders: set[str] = set()
        for host in hosts:
            try:
                options, folder = _whereabouts(everybody[host])
                folders.add(folder)
                found[host] = self._texts_of(host, options, folder)
            except (M365Error, OSError, ValueError) as exc:
                found[host] = _fleet_report.Texts(trouble=f"its result cannot be read: {exc}")
            except Exception as exc:
                # Whatever a template raises; its text may quote what nobody should read here.
                told = f"where its result is cannot be worked out ({type(exc).__name__}): look at mail2fax_handover_dir"
                found[host] = _fleet_report.Texts(trouble=told)
        return found, folders

    def _texts_of(self, host: str, options: Json | None, folder: str) -> _fleet_report.Texts:
        controller = Controller(self._loader, {}, of_this_run())
        with _shelves.open_shelf(options, folder=folder, controller=controller) as shelf:
            record = shelf.read(host, _shelves.RECORD).text
            if record is None:
                # As version 0.1.0 called it, or as a run whose store refused left it.
                source = _records.find(folder, host).source
                record = _shelves.text_of(source)
            return _fleet_report.Texts(record, shelf.read(host, _shelves.AUDIT).text, shelf.read(host, REACH).text)

    def _write(self, folder: str, files: t.Mapping[str, str], names: t.Collection[str]) -> bool:
        """Whether anything else than the time on the page has changed, or would."""
        taken = [name for name in files if name.rpartition(".")[0] in names and name != LIMIT]
        if taken:
            raise ValueError(
                f"a host of the inventory has the name of the report, and {taken[0]} is a file of its own. What to do: "
                "name another folder in mail2fax_report_dir."
            )
        shelf, changed = _shelves.FolderShelf(folder), False
        for name, text in files.items():
            path = os.path.join(folder, name)
            if _shelves.text_of(path) == text:
                continue
            changed = changed or name != PAGE or _shelves.text_of(path) is None
            if not self._task.check_mode:
                stem, _point, ending = name.rpartition(".")
                shelf.write(stem, ending, text)
        return changed


def _whereabouts(known: t.Any) -> tuple[Json | None, str]:
    """Where the documents of a host are: the options of a store, None for a folder; and the folder."""

    def said(name: str) -> t.Any:
        value = plain(known[name]) if name in known else None
        return None if _blanks.blank(value) else value

    options = said(_shelves.VARIABLE)
    options = options if isinstance(options, dict) else None
    text = said("handover_dir") or _shelves.folder_of(options, said("mail2fax_handover_dir"))
    base = _places.base(plain(known["inventory_dir"]) if "inventory_dir" in known else None)
    return options, _places.resolve(str(text or "handover"), base)


def _unmet(named: t.Sequence[str], groups: t.Any) -> list[str]:
    """A line of the names in patterns and limits by which nobody is called."""
    known = {str(group): [str(host) for host in hosts] for group, hosts in dict(groups).items()}
    missing = _hosts.nobody([part for text in named for part in _hosts.limit(text)], known)
    return [f"Nobody is called {', '.join(map(repr, missing))}"] if missing else []


def _summary(report: _fleet_report.Report, paths: t.Mapping[str, str], predicts: bool) -> list[str]:
    """Lines for the terminal."""
    counts = [(_fleet_page.WORDS[one], report.count(one)) for one in _fleet_report.URGENCIES]
    told = ", ".join(f"{count} {word}" for word, count in counts if count)
    count = len(report.lines)
    lines = [f"{count} {'tenant' if count == 1 else 'tenants'}: {told}", ""]
    lines += [f"The page{' would be' if predicts else ' is'} {paths[PAGE]}", f"The table {paths[TABLE]}"]
    if report.troubled:
        lines.append(f"Those that want another run: --limit @{paths[LIMIT]}")
    return lines
