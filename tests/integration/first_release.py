# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder and a tenant as version 0.1.0 left them (``tests/data/0.1.0``), moved to today and to where a test runs."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import pathlib
import re
import shutil
import typing as t
from unittest import mock

import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from tests.emulator.hosted import start_hosted
from tests.integration.test_playbooks import HOST, PASSWORD, Run, Site

DATA = pathlib.Path(__file__).parents[1] / "data" / "0.1.0"
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?=(\.\d+)?Z)")
_MADE_AT = re.compile(r"/tmp/f010/(made|adopted)")


class Left(Site):
    """What 0.1.0 left: its inventory with relative paths, its record, its vault file."""

    def __post_init__(self) -> None:
        inventory = yaml.safe_load((self.folder / "inventory.yml").read_text(encoding="utf-8"))
        inventory["all"]["hosts"][HOST].update(self.variables)
        (self.folder / "tenants.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")

    def play(self, playbook: str, *words: str, **variables: t.Any) -> Run:
        # As a shell has it that was sent here.
        with mock.patch.dict(os.environ, {"PWD": str(self.folder)}):
            return super().play(playbook, *words, **variables)

    def vary(self, **changes: t.Any) -> None:
        """Another inventory from now on; None takes a variable out."""
        path = self.folder / "tenants.yml"
        inventory = yaml.safe_load(path.read_text(encoding="utf-8"))
        host = inventory["all"]["hosts"][HOST]
        for name, value in changes.items():
            host.pop(name, None)
            if value is not None:
                host[name] = value
        path.write_text(yaml.safe_dump(inventory), encoding="utf-8")


@contextlib.contextmanager
def left(kind: str, folder: pathlib.Path, **variables: t.Any) -> t.Iterator[Left]:
    """``kind`` is a folder of DATA."""
    shutil.copytree(DATA / kind, folder, dirs_exist_ok=True)
    record = (folder / "handover" / f"{HOST}.json").read_text(encoding="utf-8")
    made_at = _INSTANT.search(record[record.index('"at"') :])
    assert made_at
    ago = dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(made_at[0] + "+00:00") - dt.timedelta(days=2)

    def moved(text: str) -> str:
        return _MADE_AT.sub(
            str(folder), _INSTANT.sub(lambda at: (dt.datetime.fromisoformat(at[0]) + ago).isoformat()[:19], text)
        )

    for path in (*(folder / "handover").iterdir(), folder / "tenants.yml"):
        path.write_text(moved(path.read_text(encoding="utf-8")), encoding="utf-8")
    vault, store = VaultLib([("default", VaultSecret(PASSWORD.encode()))]), folder / "secrets" / f"{HOST}.yml"
    store.write_bytes(vault.encrypt(moved(vault.decrypt(store.read_bytes()).decode())))
    store.chmod(0o600)
    tenants = yaml.safe_load((folder / "tenants.yml").read_text(encoding="utf-8"))
    with start_hosted(tenants) as emulator:
        yield Left(folder, emulator, variables)
