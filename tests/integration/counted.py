# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run costs a tenant, counted: the same on every machine, however busy it is."""

from __future__ import annotations

import pathlib
import typing as t
from collections import Counter
from dataclasses import asdict, dataclass

from tests.bench import asked
from tests.integration.fleet import PLUGINS, Fleet, Json, Place, Run, lines_of


@dataclass(frozen=True)
class Counts:
    """Of one tenant and run. A task is a worker process; templates are compiled in it, and code of ours that it imports
    is as well."""

    tasks: int
    templates: int
    imports: int
    graph: int
    exchange: int
    sign_ins: int
    proof: int
    """Requests of the proof, its sign-in too."""

    def over(self, most: Counts) -> list[str]:
        """What there is more of than there may be, one sentence each."""
        allowed = asdict(most)
        return [
            f"{count} {name}, {allowed[name]} at most" for name, count in asdict(self).items() if count > allowed[name]
        ]


@dataclass(frozen=True)
class Counted:
    """A run over a fleet, one tenant at a time. ``workers`` are dicts of host, task, how many templates it ``compiled``
    and what code it ``imported``."""

    run: Run
    workers: list[Json]
    requests: dict[str, Counter[str]]

    def of(self, place: Place, *, without: t.Container[str] = ()) -> Counts:
        """What one tenant took; tasks of these names are left out."""
        own = [one for one in self.workers if one["host"] == place.host and one["task"] not in without]
        requests = self.requests.get(place.id, Counter())
        services = (requests[name] for name in ("Graph", "Exchange", "sign-in", "proof"))
        compiled, imported = sum(one["compiled"] for one in own), sum(len(one["imported"]) for one in own)
        return Counts(len(own), compiled, imported, *services)

    def listed(self, place: Place) -> str:
        """Its tasks, each with the templates that it compiles and the code that it imports."""
        own = [one for one in self.workers if one["host"] == place.host]
        return "\n".join(f"{one['compiled']:4}  {one['task']}  {' '.join(one['imported'])}" for one in own)


def counted(fleet: Fleet, *playbooks: str) -> Counted:
    """Run playbooks over a fleet in one run, with nothing to change."""
    path = fleet.folder / "counts.jsonl"
    path.unlink(missing_ok=True)
    fleet.emulator.clear_journal()
    listening = {
        "ANSIBLE_CALLBACK_PLUGINS": str(PLUGINS / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "counts",
        "COUNTS_PATH": str(path),
    }
    # One at a time: who comes later has what those before have left for the run, every time.
    listening["ANSIBLE_FORKS"] = "1"
    *before, last = playbooks
    run = fleet.play(last, *before, env=listening)
    return Counted(run, lines_of(path), asked.by_tenant(fleet.emulator.journal()))


def extra_task(folder: pathlib.Path) -> str:
    """A playbook whose one task renders one template, ``{{ inventory_hostname | upper }}``; its path."""
    path = folder / "extra.yml"
    text = "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: Extra\n      ansible.builtin.debug:\n"
    path.write_text(text + '        msg: "{{ inventory_hostname | upper }}"\n', encoding="utf-8")
    return str(path)
