# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents on their shelves: any text comes back as it was, and nobody writes over what another run has written."""

from __future__ import annotations

import contextlib
import json
import pathlib
import stat
import typing as t
from unittest import mock

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, Conflict, InvalidInput
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _kept, _shelves
from ansible_collections.mail2fax.m365.plugins.plugin_utils._kept import KeptDocument, kept
from ansible_collections.mail2fax.m365.plugins.plugin_utils._shelves import Shelf, Version, open_shelf
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import _vault_client
from tests.unit.nasty import VALUES
from tests.vault_server import TOKEN, VaultServer, vault_server

Json = dict[str, t.Any]
HOST, ENTRY = "contoso", "mail2fax/records/contoso/record"
TEXTS = [
    "",
    "{}",
    *VALUES[-12:],
    "<table>" * 60_000,
    json.dumps({"mailboxes": [{"mailbox": f"fax{number}@contoso.com"} for number in range(40_000)]}),
    "Buero\udcfc",
    "a\x00b\u2028c\r\n",
]


@pytest.fixture(name="vault")
def a_vault(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[VaultServer]:
    monkeypatch.setattr(_vault_client, "PAUSES_S", (0.0,) * len(_vault_client.PAUSES_S))
    monkeypatch.setattr(_shelves, "LAST_PAUSES_S", (0.0,) * len(_shelves.LAST_PAUSES_S))
    with vault_server() as server:
        yield server


def options(vault: VaultServer, **changes: t.Any) -> Json:
    return {"backend": "hashi_vault", "url": vault.url, "token": TOKEN, **changes}


@pytest.fixture(name="shelf")
def a_shelf(vault: VaultServer) -> t.Iterator[Shelf]:
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(open_shelf(options(vault), folder="", controller=None))


def record(*ours: str, **changes: t.Any) -> str:
    entries = [{"kind": "member", "of": "g", "id": one} for one in ours]
    return json.dumps({"schema": 2, "host": HOST, "ours": entries, **changes})


def read(shelf: Shelf, name: str = "record") -> Json:
    return t.cast("Json", json.loads(shelf.read(HOST, name).text or "{}"))


def another_run() -> t.ContextManager[t.Any]:
    return mock.patch.object(_shelves, "RUN", "another")


# --- texts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_text_comes_back_as_it_was_in_one_string(text: str) -> None:
    entry = _shelves.packed(text)
    sent = json.dumps(entry)
    assert _shelves.unpacked(json.loads(sent)) == text
    assert sent.isascii()
    # As a server writes it down, which takes one MiB.
    assert len(sent) + 5 * sum(map(sent.count, "<>&")) < 2**20
    assert set(entry) <= {"text", "encoding"}


@pytest.mark.parametrize(
    "entry",
    [{}, {"text": 3}, {"password": "x"}, {"text": "x", "encoding": "rot13"}, {"text": "!", "encoding": "gzip"}],
)
def test_what_is_no_document_is_none(entry: Json) -> None:
    assert _shelves.unpacked(entry) is None


def test_a_text_that_swells_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shelves, "UNPACKED_AT_MOST", 2**20)
    assert _shelves.unpacked(_shelves.packed("x" * 2**21)) is None


# --- a vault -------------------------------------------------------------------------------------------------------


def test_each_document_of_each_host_has_a_place_of_its_own(shelf: Shelf, vault: VaultServer) -> None:
    for host in (HOST, "Contoso", "a/b"):
        for name in ("record", "audit", "reach.json"):
            shelf.write(host, name, f"{host} {name}")
    assert len(vault.secrets) == 9
    assert all("\\" not in path and ".." not in path for path in vault.secrets)
    assert shelf.read("Contoso", "reach.json").text == "Contoso reach.json"
    assert shelf.read("contoso2", "record") == _shelves.Document()
    assert ENTRY in vault.secrets
    with pytest.raises(InvalidInput, match="not the name of a document"):
        shelf.read(HOST, "../elsewhere")


def test_somebody_else_s_entry_is_neither_read_nor_written_over(shelf: Shelf, vault: VaultServer) -> None:
    vault.secrets[ENTRY] = [{"password": "canary"}]
    for ask in (lambda: shelf.read(HOST, "record"), lambda: shelf.write(HOST, "record", "x")):
        with pytest.raises(Blocked, match="not a document of this collection") as caught:
            ask()
        assert "canary" not in str(caught.value)
        assert "mail2fax_record_store.path" in str(caught.value)
    assert vault.secrets[ENTRY] == [{"password": "canary"}]


def test_what_others_keep_beside_it_stays(shelf: Shelf, vault: VaultServer) -> None:
    vault.secrets[ENTRY] = [{"text": "old", "note": "by hand", "encoding": None}]
    shelf.write(HOST, "record", "new")
    assert (vault.secrets[ENTRY][-1] or {})["note"] == "by hand"
    assert shelf.read(HOST, "record").text == "new"


def test_a_lost_answer_is_no_conflict(shelf: Shelf, vault: VaultServer) -> None:
    shelf.write(HOST, "record", "one")
    before = shelf.read(HOST, "record").version
    losses = ["drop"]
    vault.fault = lambda method, _path, after: losses.pop() if after and method == "POST" and losses else None
    shelf.write(HOST, "record", "two", before)
    assert [(version or {})["text"] for version in vault.secrets[ENTRY]] == ["one", "two"]


def test_a_run_writes_over_what_it_has_written_itself(shelf: Shelf) -> None:
    before = shelf.read(HOST, "record").version
    shelf.write(HOST, "record", "begun", before)
    shelf.write(HOST, "record", "ended", before)
    assert shelf.read(HOST, "record").text == "ended"


def test_refusals_name_the_variable_of_records(vault: VaultServer) -> None:
    cases: list[tuple[Json, str]] = [
        ({"url": ""}, "mail2fax_record_store lacks url"),
        ({"url": "http://vault.contoso.com"}, "without TLS"),
        ({"backend": "hashi"}, "mail2fax_record_store.backend is 'hashi'"),
        ({"backend": None}, "mail2fax_record_store.backend is None"),
        ({"vault_id": "x"}, "mail2fax_record_store has no option vault_id"),
        ({"backend": "folder"}, "has no option token, url"),
        ({"token": "$ANSIBLE_VAULT;1.1;AES256\n6162"}, "mail2fax_record_store.token is still encrypted"),
        ({"mount": "nowhere"}, "mail2fax_record_store.mount"),
    ]
    for changes, words in cases:
        with (
            pytest.raises((InvalidInput, Blocked)) as caught,
            open_shelf(options(vault, **changes), folder="/nowhere", controller=None) as shelf,
        ):
            shelf.read(HOST, "record")
        assert words in str(caught.value), changes
        assert TOKEN not in str(caught.value)
        assert "$ANSIBLE_VAULT" not in str(caught.value)


def test_a_sealed_server_is_told_and_a_waking_one_is_waited_for(vault: VaultServer) -> None:
    faults: list[int] = []
    vault.fault = lambda _method, _path, _after: faults.pop() if faults else None
    with open_shelf(options(vault), folder="", controller=None, patient=True) as shelf:
        vault.sealed = True
        with pytest.raises(Blocked, match="it is sealed"):
            shelf.write(HOST, "record", "x")
        vault.sealed = False
        faults += [500] * 4
        shelf.write(HOST, "record", "x")


# --- two runs at once ------------------------------------------------------------------------------------------------


def test_the_later_run_is_refused_and_what_it_added_is_noted(shelf: Shelf, vault: VaultServer) -> None:
    shelf.write(HOST, "record", record("old"))
    begun = {"host": HOST, "record_version": shelf.read(HOST, "record").version.as_mapping()}
    with another_run():
        kept(shelf, HOST, "record", begun).write(record("old", "theirs", outcome="changed"))
    mine = kept(shelf, HOST, "record", begun)
    for _again in range(2):
        with pytest.raises(Conflict, match="another run has written") as caught:
            mine.write(record("old", "mine", outcome="ok"))
        assert "noted there" in str(caught.value)
        found = read(shelf)
        assert [entry["id"] for entry in found["ours"]] == ["mine", "old", "theirs"]
        assert found["outcome"] == "changed"
    assert len(vault.secrets[ENTRY]) == 3, "what is known already is not written once more"


def test_a_record_that_was_removed_meanwhile_is_written_and_told(shelf: Shelf, vault: VaultServer) -> None:
    with another_run():
        shelf.write(HOST, "record", record("old"))
    begun = {"host": HOST, "record_version": shelf.read(HOST, "record").version.as_mapping()}
    del vault.secrets[ENTRY]
    with pytest.raises(Conflict):
        kept(shelf, HOST, "record", begun).write(record("old", "mine"))
    assert [entry["id"] for entry in read(shelf)["ours"]] == ["mine", "old"]


def test_a_record_that_nobody_can_read_stays_as_it_is(shelf: Shelf) -> None:
    with another_run():
        shelf.write(HOST, "record", "of a later version")
    with pytest.raises(Conflict) as caught:
        KeptDocument(shelf, HOST, "record", Version()).write(record("mine"))
    assert "noted there" not in str(caught.value)
    assert shelf.read(HOST, "record").text == "of a later version"


def test_other_documents_are_the_last_writer_s(shelf: Shelf) -> None:
    begun = {"host": HOST, "record_version": {"number": 0}}
    with another_run():
        shelf.write(HOST, "audit", "theirs")
    kept(shelf, HOST, "audit", begun).write("mine")
    assert shelf.read(HOST, "audit").text == "mine"
    assert kept(shelf, HOST, "record", begun | {"host": "another"}).before is None


def test_a_writer_that_never_wins_says_so(shelf: Shelf) -> None:
    refusing = mock.patch.object(type(shelf), "write", side_effect=Conflict("busy"))
    with refusing as tries, pytest.raises(Conflict, match="busy"):
        KeptDocument(shelf, HOST, "audit").write("x")
    assert tries.call_count == _kept.TRIES


def test_a_sheet_is_there_as_text_too(shelf: Shelf) -> None:
    kept(shelf, HOST, "sheet").write("<main><h1>Fax server</h1><p>READY</p></main>")
    assert (shelf.read(HOST, "sheet.txt").text or "").split() == ["FAX", "SERVER", "==========", "READY"]


# --- a folder --------------------------------------------------------------------------------------------------------


def test_a_folder_has_a_file_for_each_document(tmp_path: pathlib.Path) -> None:
    with open_shelf(None, folder=str(tmp_path / "new"), controller=None) as shelf:
        assert shelf.read(HOST, "record") == _shelves.Document()
        for name in ("record", "audit", "sheet", "reach.csv"):
            shelf.probe(HOST, name)
            shelf.write(HOST, name, f"{name} \udcfc")
            assert shelf.read(HOST, name).text == f"{name} \udcfc"
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()}
    assert files == dict.fromkeys(("contoso.json", "contoso.audit.json", "contoso.html", "contoso.reach.csv"), 0o640)


def test_a_file_that_cannot_be_read_is_not_taken_for_none(tmp_path: pathlib.Path) -> None:
    (tmp_path / "contoso.json").mkdir()
    with open_shelf({"backend": "folder"}, folder=str(tmp_path), controller=None) as shelf:
        for ask in (shelf.read, shelf.probe):
            with pytest.raises(Blocked, match=r"contoso\.json cannot be"):
                ask(HOST, "record")


def test_one_folder_is_said_once() -> None:
    assert _shelves.folder_of(None, " handover ") == "handover"
    assert _shelves.folder_of({"backend": "folder", "path": "/srv"}, None) == "/srv"
    assert _shelves.folder_of({"backend": "hashi_vault", "path": "mail2fax"}, "/srv") == "/srv"
    with pytest.raises(InvalidInput, match="two folders"):
        _shelves.folder_of({"backend": "folder", "path": "/srv"}, "/srv/other")
