# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a run keeps what its first look has read: who gets it, what lies on the disk, and what ends it."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import stat
import typing as t

import pytest
from cryptography.fernet import Fernet

from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import CONNECTION
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Heard
from ansible_collections.mail2fax.m365.plugins.module_utils._reads import Looked
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _read_once
from ansible_collections.mail2fax.m365.plugins.plugin_utils._read_once import FileShelf
from ansible_collections.mail2fax.m365.plugins.plugin_utils._tokens import IDENTITY_VARIABLES, KEY

Json = dict[str, t.Any]
NOON = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
LOOKED = Looked("969d5b92-bc05-403f-b576-97201b665e65", 17.5, NOON, Heard(NOON, 17.25, NOON + dt.timedelta(seconds=3)))
OPTIONS: Json = {"cloud": "global", "tenant": "contoso.example", "client_id": "c", "client_secret": "canary-secret"}
ANSWERS: Json = {"a": {"n": 1, "of": "canary-answer"}, "b": [200, {"value": []}]}
KEPT = {key: json.dumps(answer) for key, answer in ANSWERS.items()}


def shelf(folder: pathlib.Path, host: str = "one", key: bytes = KEY, **options: t.Any) -> FileShelf:
    return FileShelf(str(folder), host, {**OPTIONS, **options}, key)


def test_the_next_task_finds_what_was_kept(tmp_path: pathlib.Path) -> None:
    shelf(tmp_path).keep(LOOKED, KEPT)
    found = shelf(tmp_path)
    assert found.looked() == LOOKED
    assert [found.answer(key) for key in ("a", "b", "c")] == [ANSWERS["a"], ANSWERS["b"], None]
    later = Looked(LOOKED.tenant_id, 20.0, NOON)
    shelf(tmp_path).keep(later, {"c": "1"})
    found = shelf(tmp_path)
    assert (found.looked(), found.answer("a"), found.answer("c")) == (later, None, 1)


def test_nobody_else_reads_it(tmp_path: pathlib.Path) -> None:
    shelf(tmp_path).keep(LOOKED, KEPT)
    [path] = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    on_disk = path.name.encode() + path.read_bytes()
    assert all(word not in on_disk for word in (b"canary", b"contoso", b"969d5b92", b'"n"'))
    assert shelf(tmp_path, key=Fernet.generate_key()).looked() is None
    stolen = shelf(tmp_path, key=Fernet.generate_key())
    path.rename(stolen._place)
    assert stolen.looked() is None


def test_it_is_one_hosts_alone(tmp_path: pathlib.Path) -> None:
    shelf(tmp_path).keep(LOOKED, KEPT)
    assert shelf(tmp_path, "two").looked() is None


@pytest.mark.parametrize("name", sorted(CONNECTION.options))
def test_it_is_one_operators_by_one_connection(name: str, tmp_path: pathlib.Path) -> None:
    shelf(tmp_path).keep(LOOKED, KEPT)
    assert shelf(tmp_path, **{name: "another"}).looked() is None


@pytest.mark.parametrize("name", IDENTITY_VARIABLES)
def test_an_identity_of_the_machine_is_one_too(
    name: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf(tmp_path).keep(LOOKED, KEPT)
    monkeypatch.setenv(name, "another")
    assert shelf(tmp_path).looked() is None


@pytest.mark.parametrize("said", [LOOKED.tenant_id, LOOKED.tenant_id.upper(), ""])
def test_a_write_in_the_tenant_ends_it_for_every_host_and_for_good(said: str, tmp_path: pathlib.Path) -> None:
    hosts = [shelf(tmp_path, host) for host in ("one", "two")]
    for host in hosts:
        host.keep(LOOKED, KEPT)
    shelf(tmp_path, "three", tenant="known.otherwise").drop(said)
    assert [host.looked() for host in hosts] == [None, None]
    hosts[0].keep(LOOKED, KEPT)
    assert shelf(tmp_path).looked() is None


def test_a_write_in_another_tenant_does_not(tmp_path: pathlib.Path) -> None:
    shelf(tmp_path).keep(LOOKED, KEPT)
    shelf(tmp_path, "two").drop("11111111-0000-4000-8000-000000000001")
    assert shelf(tmp_path).looked() == LOOKED


def test_a_full_disk_hands_on_nothing(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object, **_named: object) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    shelf(tmp_path).keep(LOOKED, KEPT)
    with monkeypatch.context() as patched:
        patched.setattr(pathlib.Path, "touch", full)
        shelf(tmp_path).drop(LOOKED.tenant_id)
    assert shelf(tmp_path).looked() is None
    monkeypatch.setattr(_read_once.os, "replace", full)
    shelf(tmp_path).keep(LOOKED, KEPT)
    assert shelf(tmp_path).looked() is None


@pytest.mark.parametrize("damage", [b"", b"x", b"\n\n", b"gAAAA\nx y"])
def test_what_is_damaged_is_nothing(damage: bytes, tmp_path: pathlib.Path) -> None:
    shelf(tmp_path).keep(LOOKED, KEPT)
    [path] = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage)
    assert shelf(tmp_path).looked() is None
    path.write_bytes(whole[:-20])
    found = shelf(tmp_path)
    assert (found.looked(), found.answer("a"), found.answer("b")) == (LOOKED, ANSWERS["a"], None)


def test_what_is_very_large_is_asked_for_again(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_read_once, "LARGEST", 100)
    large = [str(number) * 7 for number in range(500)]
    shelf(tmp_path).keep(LOOKED, {"large": json.dumps(large), "small": "1"})
    found = shelf(tmp_path)
    assert (found.looked(), found.answer("large"), found.answer("small")) == (LOOKED, None, 1)


def test_without_encryption_there_is_no_place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_read_once, "KEY", b"")
    assert _read_once.shelf(str(tmp_path), "one", OPTIONS) is None
    _read_once.drop_all(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_sees_ends_it_everywhere(tmp_path: pathlib.Path) -> None:
    shelf(tmp_path).keep(LOOKED, KEPT)
    _read_once.drop_all(str(tmp_path))
    assert shelf(tmp_path).looked() is None
