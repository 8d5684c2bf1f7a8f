# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vault file: byte for byte, encrypted, atomic, and plain about every refusal."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import threading

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, Conflict, InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, StoredSecret
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller, open_store
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.vault_file import VaultFile

SECRETS = [("default", VaultSecret(b"correct horse"))]
HOSTILE = [
    "a8Q~+/.=-$'\"\\",
    "x" * 64,
    "short~16chars.ok",
    "{{ lookup('env','HOME') }}",
    "!unsafe",
    "yes",
    "1e5",
    "a: b #c",
]


def entry(value: str = "canary~value") -> Entry:
    return Entry(StoredSecret("t", "c", "k", "n", "2026-11-21T12:00:00Z", "2027-11-21T12:00:00Z", value))


@pytest.mark.parametrize("value", HOSTILE)
def test_values_survive_byte_for_byte(tmp_path, value):
    VaultFile(tmp_path / "s.yml", SECRETS).write(entry(value))
    assert VaultFile(tmp_path / "s.yml", SECRETS).read() == entry(value)


def test_the_file_is_the_documented_mapping_wholly_encrypted(tmp_path):
    VaultFile(tmp_path / "s.yml", SECRETS).write(entry())
    content = (tmp_path / "s.yml").read_bytes()
    assert content.startswith(b"$ANSIBLE_VAULT;")
    assert b"canary" not in content
    mapping = yaml.safe_load(VaultLib(SECRETS).decrypt(content))
    assert mapping == {
        "tenant_id": "t",
        "client_id": "c",
        "key_id": "k",
        "display_name": "n",
        "start_date_time": "2026-11-21T12:00:00Z",
        "end_date_time": "2027-11-21T12:00:00Z",
        "value": "canary~value",
    }


def test_only_the_owner_may_read_it_and_nothing_else_is_left(tmp_path):
    store = VaultFile(tmp_path / "deep" / "s.yml", SECRETS)
    store.probe()
    store.write(entry())
    assert stat.S_IMODE((tmp_path / "deep" / "s.yml").stat().st_mode) == 0o600
    assert os.listdir(tmp_path / "deep") == ["s.yml"]


def test_no_file_is_no_entry(tmp_path):
    assert VaultFile(tmp_path / "s.yml", SECRETS).read() is None


def test_removing_twice_is_fine(tmp_path):
    store = VaultFile(tmp_path / "s.yml", SECRETS)
    store.write(entry())
    store.remove()
    store.remove()
    assert store.read() is None


def test_a_wrong_password_is_no_empty_store(tmp_path):
    VaultFile(tmp_path / "s.yml", SECRETS).write(entry())
    with pytest.raises(Blocked, match="cannot be opened"):
        VaultFile(tmp_path / "s.yml", [("default", VaultSecret(b"other"))]).read()


@pytest.mark.parametrize("content", [b"value: in the clear\n", b""])
def test_a_clear_file_is_refused(tmp_path, content):
    (tmp_path / "s.yml").write_bytes(content)
    with pytest.raises(Blocked, match="not encrypted"):
        VaultFile(tmp_path / "s.yml", SECRETS).read()


@pytest.mark.parametrize("text", ["- a list", "a: [", "tenant_id: x\nkey_id: y"])
def test_what_is_not_ours_is_refused(tmp_path, text):
    (tmp_path / "s.yml").write_bytes(VaultLib(SECRETS).encrypt(text, SECRETS[0][1]))
    with pytest.raises(Blocked):
        VaultFile(tmp_path / "s.yml", SECRETS).read()


def test_without_a_password_there_is_no_store(tmp_path):
    with pytest.raises(Blocked, match="no vault password"):
        VaultFile(tmp_path / "s.yml", [])
    with pytest.raises(Blocked, match="'prod'"):
        VaultFile(tmp_path / "s.yml", SECRETS, vault_id="prod")


def test_a_change_by_somebody_else_is_not_overwritten(tmp_path):
    ours, theirs = VaultFile(tmp_path / "s.yml", SECRETS), VaultFile(tmp_path / "s.yml", SECRETS)
    ours.read()
    theirs.write(entry("theirs"))
    with pytest.raises(Conflict):
        ours.write(entry("ours"))
    assert VaultFile(tmp_path / "s.yml", SECRETS).read() == entry("theirs")


def test_a_folder_that_cannot_be_written_is_said_before_a_secret_is_made(tmp_path):
    (tmp_path / "file").write_text("x")
    store = VaultFile(tmp_path / "file" / "s.yml", SECRETS)
    with pytest.raises(Blocked, match="cannot be written"):
        store.probe()


def test_a_full_disk_leaves_the_old_entry(tmp_path, monkeypatch):
    store = VaultFile(tmp_path / "s.yml", SECRETS)
    store.write(entry("old"))

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Blocked, match="No space left"):
        store.write(entry("new"))
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["s.yml"]
    assert VaultFile(tmp_path / "s.yml", SECRETS).read() == entry("old")


def test_no_refusal_quotes_the_value(tmp_path, monkeypatch):
    store = VaultFile(tmp_path / "s.yml", SECRETS)
    monkeypatch.setattr(
        os, "replace", lambda *_unused: (_unused for _unused in ()).throw(OSError(5, "Input/output error"))
    )
    with pytest.raises(Blocked) as caught:
        store.write(entry())
    assert "canary" not in str(caught.value) + repr(caught.value.__context__)


def test_a_read_only_folder_is_said_before_a_secret_is_made(tmp_path):
    (tmp_path / "sub").mkdir(mode=0o500)
    if os.access(tmp_path / "sub", os.W_OK):
        pytest.skip("root may write everywhere")
    for path in (tmp_path / "sub" / "s.yml", tmp_path / "sub" / "deeper" / "s.yml"):
        with pytest.raises(Blocked, match="cannot be written"):
            VaultFile(path, SECRETS).probe()


def test_a_read_only_disk_is_said_before_a_secret_is_made(tmp_path, monkeypatch):
    def read_only(*_arguments, **_options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "mkstemp", read_only)
    with pytest.raises(Blocked, match="Read-only file system"):
        VaultFile(tmp_path / "s.yml", SECRETS).probe()


def test_a_probe_leaves_nothing_and_makes_nothing(tmp_path):
    VaultFile(tmp_path / "s.yml", SECRETS).probe()
    VaultFile(tmp_path / "not" / "yet" / "s.yml", SECRETS).probe()
    assert os.listdir(tmp_path) == []


def test_a_folder_in_the_file_s_place_is_refused(tmp_path):
    with pytest.raises(Blocked, match="it is a folder"):
        VaultFile(tmp_path, SECRETS).probe()
    with pytest.raises(Blocked, match="cannot be written"):
        VaultFile(tmp_path, SECRETS).write(entry())


def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "s.yml").symlink_to(tmp_path / "real" / "secret.yml")
    VaultFile(tmp_path / "s.yml", SECRETS).write(entry())
    assert (tmp_path / "s.yml").is_symlink()
    assert VaultFile(tmp_path / "real" / "secret.yml", SECRETS).read() == entry()


def test_what_a_killed_run_left_beside_is_swept_away(tmp_path):
    (tmp_path / ".s.yml.m365-left").write_bytes(b"$ANSIBLE_VAULT;half")
    (tmp_path / ".other.yml.m365-left").write_bytes(b"$ANSIBLE_VAULT;half")
    VaultFile(tmp_path / "s.yml", SECRETS).write(entry())
    assert sorted(os.listdir(tmp_path)) == [".other.yml.m365-left", "s.yml"]


def test_two_writers_take_turns(tmp_path):
    """Comparing and replacing is one step: of two that have read the same, one wins and one is told."""
    store = VaultFile(tmp_path / "s.yml", SECRETS)
    store.write(entry("old"))
    writers = [VaultFile(tmp_path / "s.yml", SECRETS) for _number in range(8)]
    for writer in writers:
        writer.read()
    start, outcomes = threading.Barrier(len(writers)), []

    def write(number):
        start.wait()
        try:
            writers[number].write(entry(f"new {number}"))
        except Conflict:
            outcomes.append("conflict")
        else:
            outcomes.append(f"new {number}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(len(writers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [outcome for outcome in outcomes if outcome != "conflict"]
    assert len(outcomes) == 8
    assert len(winners) == 1
    assert VaultFile(tmp_path / "s.yml", SECRETS).read() == entry(winners[0])


def test_the_run_s_vault_passwords_are_used(tmp_path):
    loader = DataLoader()
    loader.set_vault_secrets(SECRETS)
    store = open_store({"backend": "vault_file", "path": str(tmp_path / "s.yml")}, Controller(loader))
    store.write(entry())
    assert VaultFile(tmp_path / "s.yml", SECRETS).read() == entry()


def test_a_password_file_of_its_own(tmp_path):
    (tmp_path / "pw").write_text("correct horse\n")
    options = {"backend": "vault_file", "path": str(tmp_path / "s.yml"), "password_file": str(tmp_path / "pw")}
    open_store(options, Controller(DataLoader())).write(entry())
    assert VaultFile(tmp_path / "s.yml", SECRETS).read() == entry()
    options["password_file"] = str(tmp_path / "missing")
    with pytest.raises(Blocked, match="cannot be used"):
        open_store(options, Controller(DataLoader()))


def test_of_several_passwords_ansible_s_own_choice_encrypts(tmp_path, monkeypatch):
    loader = DataLoader()
    loader.set_vault_secrets([("dev", VaultSecret(b"one")), ("prod", VaultSecret(b"two"))])
    options = {"backend": "vault_file", "path": str(tmp_path / "s.yml")}
    header = {}
    for name, environment, extra in (
        ("first", {}, {}),
        ("configured", {"ANSIBLE_VAULT_ENCRYPT_IDENTITY": "prod"}, {}),
        ("named", {"ANSIBLE_VAULT_ENCRYPT_IDENTITY": "prod"}, {"vault_id": "dev"}),
    ):
        with monkeypatch.context() as patch:
            for variable, value in environment.items():
                patch.setenv(variable, value)
            open_store({**options, **extra}, Controller(loader)).write(entry())
        header[name] = (tmp_path / "s.yml").read_bytes().split(b"\n")[0].rpartition(b";")[2]
    assert header == {"first": b"dev", "configured": b"prod", "named": b"dev"}


@pytest.mark.parametrize("options", [{"backend": "vault_file"}, {"backend": "nowhere"}])
def test_options_that_cannot_be_right(options):
    with pytest.raises(InvalidInput):
        open_store(options, Controller(DataLoader()))


# --- what hangs, and what others may read ------------------------------------------------------------------------


def test_a_held_lock_is_told_and_not_waited_for_for_ever(tmp_path):
    waited = []
    store = VaultFile(tmp_path / "s.yml", SECRETS, pause=waited.append)
    store.write(entry())
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        for ask in (store.probe, lambda: store.write(entry("new"))):
            with pytest.raises(Blocked, match="held the lock on its folder for 30 seconds"):
                ask()
    finally:
        os.close(folder)
    assert sum(waited) < 70
    store.write(entry("new"))


def test_a_lock_that_is_let_go_is_waited_for(tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    store = VaultFile(tmp_path / "s.yml", SECRETS, pause=lambda _seconds: fcntl.flock(folder, fcntl.LOCK_UN))
    store.write(entry())
    os.close(folder)
    assert store.read() == entry()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_told_at_once(tmp_path, make):
    make(tmp_path / "s.yml")
    with pytest.raises(Blocked, match="cannot be read"):
        VaultFile(tmp_path / "s.yml", SECRETS).read()


def test_what_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "s.yml").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(Blocked, match="not one of this collection"):
        VaultFile(tmp_path / "s.yml", SECRETS).read()


def test_a_pipe_for_the_password_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "password")
    options = {"backend": "vault_file", "path": str(tmp_path / "s.yml"), "password_file": str(tmp_path / "password")}
    with pytest.raises(Blocked, match="cannot be used"):
        open_store(options, Controller(DataLoader()))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o606, 0o700])
def test_a_file_that_others_may_read_is_shut(tmp_path, mode):
    store = VaultFile(tmp_path / "s.yml", SECRETS)
    assert not store.is_open()
    store.write(entry())
    assert not store.is_open()
    (tmp_path / "s.yml").chmod(mode)
    assert store.is_open()
    store.shut()
    assert stat.S_IMODE((tmp_path / "s.yml").stat().st_mode) == 0o600
    store.remove()
    store.shut()


def test_new_folders_are_the_owner_s_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        VaultFile(tmp_path / "a" / "b" / "c" / "s.yml", SECRETS).write(entry())
    finally:
        os.umask(before)
    for folder in ("a", "a/b", "a/b/c"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a/b/c/s.yml").stat().st_mode) == 0o600
