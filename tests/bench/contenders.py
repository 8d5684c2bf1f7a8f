# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs against whom: this tree, an older commit of it, and sixteen tasks that do nothing.

Each has the same Ansible and an emulator of its own, of this tree's code and with the same tenants, because what one
of them has made in a tenant is a stranger's to the other.
"""

from __future__ import annotations

import io
import pathlib
import subprocess
import tarfile
import typing as t
from dataclasses import dataclass

import yaml

from tests.bench import asked
from tests.bench.scale import Watch, far_away
from tests.emulator.testing import Emulator
from tests.integration.fleet import Fleet, Run, is_write
from tests.tools import layout

FLOOR_TASKS = 16
"""As many as a tenant's run had at the commit that the target names."""
EMPTY = '''"""Nothing at all."""

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        return {"changed": False}
'''


class WrongRun(Exception):
    """A run that failed, or that changed what was as it should be: its cost would mean nothing."""


@dataclass(frozen=True)
class Figures:
    """One run: processor and wall time in seconds, memory in KiB, and what the services were asked."""

    tenants: int
    cpu_s: float
    wall_s: float
    main_kib: float
    all_kib: float
    asked: dict[str, float]
    """By service, for one tenant."""


@dataclass(frozen=True)
class Contender:
    """``collections`` is the folder in which Ansible finds the collection; none of ours for ``floor``."""

    name: str
    folder: pathlib.Path
    collections: pathlib.Path
    emulator: Emulator

    def fleet(self, tenants: int, forks: int) -> Fleet:
        """The first of its tenants."""
        settings = {"ANSIBLE_FORKS": str(forks), "ANSIBLE_COLLECTIONS_PATH": str(self.collections)}
        settings["ANSIBLE_ACTION_PLUGINS"] = str(self.folder / "action")
        return Fleet(self.folder, self.emulator, count=tenants, listen=False, settings=settings)

    def playbook(self, name: str) -> str:
        return f"mail2fax.m365.{name}"

    def run(self, name: str, tenants: int, *, forks: int, changes: bool = False) -> Figures:
        """Run a playbook, by its short name. Raises WrongRun, unless ``changes`` are right."""
        fleet = self.fleet(tenants, forks)
        self.emulator.clear_journal()
        with fleet.start(self.playbook(name)) as running:
            watch = Watch(running)
            watch.start()
            ended = running.finish(timeout_s=3600)
            watch.stop()
        return self.figures(name, tenants, ended, watch, changes=changes)

    def figures(self, name: str, tenants: int, ended: Run, watch: Watch, *, changes: bool) -> Figures:
        journal = self.emulator.journal()
        written = sum(map(is_write, journal))
        if ended.code or (written and not changes):
            said = f"exit code {ended.code}, {written} writing requests"
            raise WrongRun(f"{self.name}, {name} of {tenants}: {said}:\n{ended.output[-4000:]}")
        return Figures(
            tenants, ended.cpu_s, ended.wall_s, watch.main * 1024, watch.all * 1024, asked.of_one(journal, tenants)
        )

    def far_away(self, round_trip_s: float) -> None:
        """From now on every answer comes a round trip later; at once again with 0."""
        if round_trip_s:
            far_away(self.emulator, round_trip_s)
        else:
            self.emulator.faults([])


class Floor(Contender):
    """Tasks that do nothing, whatever the playbook is called."""

    def playbook(self, name: str) -> str:
        return str(self.folder / "floor.yml")


def this_tree(folder: pathlib.Path, emulator: Emulator) -> Contender:
    return Contender("this tree", folder / "this-tree", layout.live(), emulator)


def unpacked(commit: str, folder: pathlib.Path) -> pathlib.Path:
    """Where Ansible finds the collection as it was. Raises LayoutError when the clone does not have the commit."""
    collections = folder / "collections-of-base"
    root = collections / layout.COLLECTION
    root.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "-c", "safe.directory=*", "archive", "--format=tar", commit],
        cwd=layout.ROOT,
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        raise layout.LayoutError(f"there is no commit {commit}: {archive.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(root, filter="data")
    return collections


def base(commit: str, collections: pathlib.Path, folder: pathlib.Path, emulator: Emulator) -> Contender:
    return Contender(commit[:12], folder / "base", collections, emulator)


def floor(folder: pathlib.Path, emulator: Emulator) -> Contender:
    own = folder / "floor"
    (own / "action").mkdir(parents=True)
    (own / "action" / "nothing.py").write_text(EMPTY, encoding="utf-8")
    tasks = [{"name": f"Nothing, {number}", "nothing": {}} for number in range(1, FLOOR_TASKS + 1)]
    plays: list[dict[str, t.Any]] = [{"name": "Floor", "hosts": "all", "gather_facts": False, "tasks": tasks}]
    (own / "floor.yml").write_text(yaml.safe_dump(plays, sort_keys=False), encoding="utf-8")
    return Floor("floor", own, own, emulator)
