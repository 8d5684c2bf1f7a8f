# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real OpenBao with the records of an emulated tenant, and the nodes on which runs begin.

A node is a folder that has nothing but the inventory, as a container has. Tests import the fixtures.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import pathlib
import typing as t
from dataclasses import dataclass, field

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils._shelves import Shelf, open_shelf
from tests.emulator.hosted import HostedEmulator, start_hosted
from tests.integration.inprocess import Moment, Watch, play_in_process
from tests.integration.site import HOST, Run, Site, World
from tests.openbao import Bao, openbao

Json = dict[str, t.Any]
WORLD = World("kept", principals=20)
RECORDS = "mail2fax/records"
DOCUMENTS = ("record", "audit", "sheet", "sheet.txt", "reach.json", "reach.html", "reach.csv")
SIGN_IN = {"M365_CLIENT_ID": "11111111-0000-4000-8000-000000000001", "M365_CLIENT_SECRET": "operator-secret"}
THEIRS = "aaaaaaaa-0000-4000-8000-000000000001"
"""An application that somebody made by hand."""


@pytest.fixture(name="bao", scope="module")
def a_bao(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Bao]:
    with openbao(tmp_path_factory.mktemp("bao")) as server:
        server.role("fax")
        yield server


@pytest.fixture(name="hosted", scope="module")
def a_hosted() -> t.Iterator[HostedEmulator]:
    with start_hosted(WORLD.tenants(applications=[{"appId": THEIRS, "displayName": "By hand"}])) as emulator:
        yield emulator


@dataclass
class Nodes:
    """``on_any`` runs a playbook where no other run has been."""

    bao: Bao
    emulator: HostedEmulator
    folder: pathlib.Path
    store: Json
    variables: Json = field(default_factory=dict)
    player: t.Any = play_in_process
    numbers: t.Iterator[int] = field(default_factory=itertools.count)

    def node(self, **variables: t.Any) -> Site:
        secret = {**self.store, "path": f"mail2fax/secrets/{HOST}"}
        declared = {"mail2fax_record_store": self.store, "mail2fax_secret_store": secret, **self.variables}
        folder = self.folder / f"node{next(self.numbers)}"
        return Site(folder, self.emulator, WORLD, {**declared, **variables}, player=self.player)

    def on_any(self, playbook: str, *words: str, watch: Watch | None = None, **variables: t.Any) -> tuple[Run, Site]:
        site = self.node(**variables)
        return site.play(playbook, *words, by={"watch": watch} if watch else None), site

    def kept(self, name: str = "record") -> str:
        found = self.bao.kept(f"{RECORDS}/{HOST}/{name}")
        return str(found["text"]) if found else ""

    def record(self) -> Json:
        return t.cast("Json", json.loads(self.kept() or "{}"))

    def ours(self) -> list[str]:
        return [f"{entry['kind']} {entry['id']}" for entry in self.record().get("ours") or []]

    def put(self, document: Json, run: str = "another") -> None:
        """As another run writes its record."""
        entry = {"text": json.dumps(document), "host": HOST, "document": "record", "run": run}
        self.bao.do("POST", f"secret/data/{RECORDS}/{HOST}/record", {"data": entry})


@pytest.fixture(name="nodes")
def some_nodes(bao: Bao, hosted: HostedEmulator, tmp_path: pathlib.Path) -> Nodes:
    hosted.reset()
    for name in DOCUMENTS:
        bao.ask("DELETE", f"secret/metadata/{RECORDS}/{HOST}/{name}")
    bao.ask("DELETE", f"secret/metadata/mail2fax/secrets/{HOST}")
    store = {"backend": "hashi_vault", "url": bao.url, "ca_path": bao.ca, "token": bao.token("fax")}
    return Nodes(bao, hosted, tmp_path, store)


def at_the_proof(work: t.Callable[[], t.Any]) -> Watch:
    """Once, when everything has been done in the tenant and nothing is written of it yet."""
    left = [work]

    def watch(moment: Moment) -> None:
        if left and moment.when == "after" and "/ews/" in moment.request.lower():
            left.pop()()

    return watch


@contextlib.contextmanager
def shelf_of(bao: Bao, **changes: t.Any) -> t.Iterator[Shelf]:
    options = {"backend": "hashi_vault", "url": bao.url, "ca_path": bao.ca, "token": bao.root, **changes}
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(open_shelf(options, folder="", controller=None))
