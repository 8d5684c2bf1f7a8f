# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Searching for a canary: a tenant run so that all that can be kept is kept, and all the places that are looked at."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pathlib
import re
import threading
import typing as t
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field

from ansible.parsing.vault import VaultLib, VaultSecret

from tests.emulator.testing import Emulator
from tests.integration.fleet import OPERATOR_SECRET, PASSWORD, Fleet, Run, Running

Json = dict[str, t.Any]
HALF = "HalfAnAnswer8Q~CanaryThatNobodyMayEverSee00"
"""A secret in an answer that breaks off."""

TOKEN = re.compile(rb"eyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}\.")


def shapes(value: str) -> set[bytes]:
    """A value as it may be written: as it is, in a URL, in JSON, in base64 wherever it begins."""
    raw = value.encode()
    found = {raw, urllib.parse.quote_plus(value).encode(), json.dumps(value)[1:-1].encode()}
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + raw)
        found.add(coded[4 if offset else 0 : -4])
    return found


@dataclass
class Watch:
    """What was seen of a run while it ran: the processes, and files below its folder at the time."""

    fleet: Fleet
    seen: dict[str, bytes] = field(default_factory=dict)

    def __call__(self, running: Running) -> Run:
        done = threading.Event()

        def look() -> None:
            while not done.wait(0.05):
                for pid in running.pids():
                    for what in ("cmdline", "environ"):
                        self._note(f"{what} of a process", pathlib.Path(f"/proc/{pid}/{what}"))
                for root in ("home", "tmp", "secrets"):
                    # Folders come and go meanwhile, which os.walk takes lightly.
                    for parent, _folders, files in os.walk(self.fleet.folder / root):
                        for name in files:
                            path = pathlib.Path(parent, name)
                            self._note(f"{path} for a while", path)

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            return running.finish()
        finally:
            done.set()
            watcher.join()

    def _note(self, name: str, path: pathlib.Path) -> None:
        try:
            content = path.read_bytes()
        except OSError:
            return
        self.seen[f"{name} ({hashlib.sha256(content).hexdigest()[:8]})"] = content


def places_of(folder: pathlib.Path, seen: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Everything that is searched, by name."""
    yield from seen.items()
    for path in sorted(folder.rglob("*")):
        yield f"the name {path.relative_to(folder)}", str(path.relative_to(folder)).encode()
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(folder)), path.read_bytes()


def leaks(folder: pathlib.Path, seen: dict[str, bytes], canaries: dict[str, str]) -> list[str]:
    """Where a canary or a token is. The vault password is, rightly, in its own file."""
    wanted = {name: shapes(value) for name, value in canaries.items()}
    found = []
    for place, content in places_of(folder, seen):
        for name, written in wanted.items():
            if (place, name) != ("vault-password", "the vault password") and any(one in content for one in written):
                found.append(f"{name} is in {place}")
        if TOKEN.search(content):
            found.append(f"a token is in {place}")
    return found


@dataclass
class Site:
    """One tenant, run so that all that can be kept is kept. The operator's secret comes from an encrypted variable."""

    fleet: Fleet
    watch: Watch
    changes: dict[str, str] = field(default_factory=dict)
    """Settings beside its own."""

    @classmethod
    def make(cls, folder: pathlib.Path, emulator: Emulator, python: pathlib.Path) -> Site:
        fleet = Fleet(folder, emulator, python=python)
        secret = VaultSecret(PASSWORD.encode())
        text = VaultLib([("default", secret)]).encrypt(OPERATOR_SECRET, secret).decode()
        lines = "\n".join(f"  {line}" for line in text.splitlines())
        (folder / "group_vars").mkdir()
        (folder / "group_vars" / "all.yml").write_text(
            f"mail2fax_client_id: 11111111-0000-4000-8000-000000000001\nmail2fax_client_secret: !vault |\n{lines}\n",
            encoding="utf-8",
        )
        for name in ("graveyard", "junit", "facts", "retry"):
            (folder / name).mkdir()
        return cls(fleet, Watch(fleet))

    @property
    def folder(self) -> pathlib.Path:
        return self.fleet.folder

    def settings(self) -> dict[str, str]:
        return {
            "M365_CLIENT_ID": "",
            "M365_CLIENT_SECRET": "",
            "M365_PATIENCE": "2",
            "ANSIBLE_CALLBACKS_ENABLED": "events,ansible.builtin.junit",
            "JUNIT_OUTPUT_DIR": str(self.folder / "junit"),
            "JUNIT_TASK_CLASS": "true",
            "ANSIBLE_LOG_PATH": str(self.folder / "ansible.log"),
            "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(self.folder / "facts"),
            "ANSIBLE_RETRY_FILES_ENABLED": "true",
            "ANSIBLE_RETRY_FILES_SAVE_PATH": str(self.folder / "retry"),
            "GRAVEYARD_PATH": str(self.folder / "graveyard"),
            **self.changes,
        }

    def play(self, playbook: str | list[Json], *words: str, **variables: t.Any) -> Run:
        words = ("-vvvv", "--diff", *words)
        with self.fleet.start(playbook, *words, env=self.settings(), **variables) as running:
            run = self.watch(running)
        for number in range(100):
            kept = self.folder / f"stdout-{number}"
            if not kept.exists():
                for name in ("stdout", "stderr", "events.jsonl", "programs.jsonl"):
                    if (self.folder / name).exists():
                        (self.folder / name).rename(self.folder / f"{name}-{number}")
                break
        return run

    def canaries(self) -> dict[str, str]:
        issued = self.fleet.emulator.issued()
        return {
            "the operator's secret": OPERATOR_SECRET,
            "the vault password": PASSWORD,
            "half a secret": HALF,
            **{f"secret {number}": value for number, value in enumerate(issued, 1)},
        }

    def leaks(self) -> list[str]:
        return leaks(self.folder, self.watch.seen, self.canaries())

    def written_elsewhere(self) -> set[str]:
        """What was opened for writing outside of the run's own folder."""
        paths = (self.folder / "graveyard" / "written").read_text(encoding="utf-8").splitlines()
        return {path for path in paths if not f"{path}/".startswith((f"{self.folder}/", "/dev/", "/proc/"))}
