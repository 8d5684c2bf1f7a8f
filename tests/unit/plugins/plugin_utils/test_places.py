# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host, one name, on every file system; one folder for every relative path."""

from __future__ import annotations

import itertools
import os
import pathlib
import re
import unicodedata

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.filter.placed import placed
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _places

PLAIN = ["contoso", "contoso.com", "a_b-c.d", "-x", "_x", "1", "x.json", "audit", "x.audits"]
ODD = [
    "Müller",
    "Möller",
    "M_ller",
    "m_ller~",
    "Contoso",
    "CONTOSO",
    "contoso.audit",
    "contoso.reach",
    ".contoso",
    "..",
    "a/b",
    "a b",
    "a,b",
    "!neg",
    "tick's",
    "[::1]",
    "x" * 220,
    unicodedata.normalize("NFC", "Zürich"),
    unicodedata.normalize("NFD", "Zürich"),
    "東京",
    "大阪",
    "\udce9",
]


def test_a_plain_name_stays() -> None:
    assert [_places.file_name(host) for host in PLAIN] == PLAIN


def test_no_two_hosts_share_a_file() -> None:
    names = [_places.file_name(host) for host in [*PLAIN, *ODD]]
    files = [f"{name}{ending}" for name in names for ending in (".json", ".html", ".audit.json", ".reach.json")]
    assert len({name.casefold() for name in files}) == len(files)
    assert all(re.fullmatch(r"[a-z0-9._~-]+", name) for name in names)
    assert max(len(name) for name in names) <= 200
    # None of them is the name of another host.
    assert [_places.file_name(name) for name in names if "~" in name] != [name for name in names if "~" in name]
    assert all(_places.file_name(one) != two for one, two in itertools.permutations(names, 2) if "~" in one)


def test_what_can_be_read_of_a_name_stays_readable() -> None:
    assert _places.file_name("Möller GmbH").startswith("moller-gmbh~")
    assert _places.file_name("東京").startswith("host~")


def test_the_old_name_is_the_one_of_0_1_0() -> None:
    assert _places.old_file_name("Müller") == _places.old_file_name("Möller") == "M_ller"
    assert _places.old_file_name("contoso.com") == "contoso.com"


def test_relative_paths_count_from_the_inventory(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", "/elsewhere")
    assert placed("handover", "/srv/fax") == "/srv/fax/handover"
    assert placed("./a/../b", "/srv/fax") == "/srv/fax/b"
    assert placed("/abs", "/srv/fax") == "/abs"
    assert placed("~/b", "/srv/fax") == os.path.expanduser("~/b")
    for nobody in (None, "", " ", "None"):
        assert placed("handover", nobody) == str(tmp_path / "handover")


def test_the_paths_of_a_store_that_is_a_file() -> None:
    file = {"backend": "vault_file", "path": "secrets/t1.yml", "password_file": "pw"}
    assert placed(file, "/srv") == {"backend": "vault_file", "path": "/srv/secrets/t1.yml", "password_file": "/srv/pw"}
    server = {"backend": "hashi_vault", "path": "fax/t1"}
    assert placed(server, "/srv") == server
    assert placed({}, "/srv") == {}


def test_a_current_folder_that_is_gone_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(AnsibleFilterError, match="current folder is gone"):
        placed("handover", None)
    assert placed("handover", "/srv") == "/srv/handover"


def test_a_file_beside_the_inventory_comes_first(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.yml").write_text("", encoding="utf-8")
    assert _places.beside("./x.yml", str(tmp_path)) == str(tmp_path / "x.yml")
    assert _places.beside("./y.yml", str(tmp_path)) is None


def test_a_store_of_0_1_0_is_used_where_it_lies_until_it_is_moved(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only if the record, which is the host's own, names that very file, and nothing lies at the new place."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    monkeypatch.chdir(old)
    (old / "t1.yml").write_text("", encoding="utf-8")
    store = {"backend": "vault_file", "path": "t1.yml"}
    for recorded in (f"vault file {old}/t1.yml", {"backend": "vault_file", "place": f"{old}/t1.yml"}):
        assert placed(store, str(new), recorded)["path"] == str(old / "t1.yml")
        assert _places.moved_store(store, str(new), recorded) == (str(old / "t1.yml"), str(new / "t1.yml"))
    for other in (None, "", f"vault file {old}/t2.yml", {"backend": "hashi_vault", "place": f"{old}/t1.yml"}):
        assert placed(store, str(new), other)["path"] == str(new / "t1.yml")
    (new / "t1.yml").write_text("", encoding="utf-8")
    assert placed(store, str(new), f"vault file {old}/t1.yml")["path"] == str(new / "t1.yml")
