# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store that refuses, at each of the moments in which a renewal needs it: nothing is lost, and the next run mends it.

The stores are the real ones; what refuses is the operating system, or a small Vault behind the real hvac.
"""

from __future__ import annotations

import errno
import os
import tempfile
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.mail2fax.m365.plugins.module_utils._http import Request, Response
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, Store
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.hashi_vault import HashiVault
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.vault_file import VaultFile
from tests.emulator.testing import start_emulator
from tests.integration.secrets import FOREIGN_KEY, TENANTS, Intercepted, Json, WatchedStore, World
from tests.vault_server import TOKEN, VaultServer, vault_server

PATH = "mail2fax/contoso"


@pytest.fixture(scope="module")
def vault() -> Iterator[VaultServer]:
    with vault_server() as server:
        yield server


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with start_emulator(TENANTS) as emulator:
        yield World(emulator, tmp_path_factory.mktemp("store"))


@pytest.fixture
def world(worlds: World, vault: VaultServer) -> World:
    """A secret in use that is due for renewal is what every test begins with: see ``due``."""
    worlds.begin()
    heal(vault)
    vault.secrets.clear()
    worlds.store = worlds.vault_file
    return worlds


def heal(vault: VaultServer) -> None:
    fresh = VaultServer()
    vault.sealed, vault.tokens, vault.fault, vault.alter = fresh.sealed, fresh.tokens, fresh.fault, fresh.alter


def hashi_vault(vault: VaultServer) -> Callable[[], HashiVault]:
    def make() -> HashiVault:
        store = HashiVault.from_options({"url": vault.url, "token": TOKEN, "path": PATH}, t.cast("t.Any", None))
        store._client._pause = lambda _seconds: None
        return store

    return make


# --- what can be wrong with a store ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """``strike`` makes the store refuse from now on; ``words`` is what people are told."""

    name: str
    strike: Callable[[pytest.MonkeyPatch, World, VaultServer], None]
    words: str
    in_vault: bool = False


def os_error(number: int) -> Callable[..., t.NoReturn]:
    def refuse(*_arguments: t.Any, **_options: t.Any) -> t.NoReturn:
        raise OSError(number, os.strerror(number))

    return refuse


def touched_by_somebody_else(_patch: pytest.MonkeyPatch, world: World, _vault: VaultServer) -> None:
    store = world.store()
    entry = store.read() or Entry()
    store.write(replace(entry, others={**entry.others, "note": "somebody was here"}))


FAULTS = [
    Fault("unwritable", lambda patch, *_rest: patch.setattr(tempfile, "mkstemp", os_error(errno.EACCES)), "Permission"),
    Fault("read-only", lambda patch, *_rest: patch.setattr(tempfile, "mkstemp", os_error(errno.EROFS)), "Read-only"),
    Fault("full disk", lambda patch, *_rest: patch.setattr(os, "fsync", os_error(errno.ENOSPC)), "No space left"),
    Fault("file, changed meanwhile", touched_by_somebody_else, "changed by somebody else"),
    Fault("KV sealed", lambda _patch, _world, vault: setattr(vault, "sealed", True), "sealed", True),
    Fault("403", lambda _patch, _world, vault: vault.tokens.clear(), "refuses the token", True),
    Fault("may only read", lambda _patch, _world, vault: vault.tokens.update({TOKEN: ("read",)}), "the token", True),
    Fault("500", lambda _patch, _world, vault: setattr(vault, "fault", lambda *_a: 500), "does not answer", True),
    Fault("silent", lambda _patch, _world, vault: setattr(vault, "fault", lambda *_a: "drop"), "does not answer", True),
    Fault("KV, changed meanwhile", touched_by_somebody_else, "changed by somebody else", True),
]
PASSING = [fault for fault in FAULTS if fault.strike is not touched_by_somebody_else]
MOMENTS = {
    "before the mint": ("probe", 1),
    "noting the intent": ("write", 1),
    "storing": ("write", 2),
    "committing": ("write", 3),
}


class Struck(WatchedStore):
    """Strikes right before the step of this name and number."""

    def __init__(self, inner: Store, moment: tuple[str, int], strike: Callable[[], None]) -> None:
        self._left = moment[1]
        wanted = f"store {moment[0]}"

        def gate(when: str, step: str) -> None:
            if (when, step) == ("before", wanted):
                self._left -= 1
                if self._left == 0:
                    strike()

        super().__init__(inner, gate)


def due(world: World) -> None:
    world.run()
    world.pass_days(340)


def mended(world: World) -> None:
    """The run after the fault is gone."""
    result = world.run()
    assert not result.get("failed"), result["msg"]
    entry = world.entry()
    assert world.signs_in(entry.current)
    assert entry.following is None
    assert set(world.ours()) == entry.known()
    assert len(world.ours()) == 2
    assert world.foreign() == [FOREIGN_KEY]
    assert world.run()["changed"] is False


@pytest.mark.turn("stores that refuse")
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_store_that_refuses(world: World, vault: VaultServer, fault: Fault, moment: str):
    if fault.in_vault:
        world.store = hashi_vault(vault)
    due(world)
    before = world.entry()
    with pytest.MonkeyPatch.context() as patch:
        store = Struck(world.store(), MOMENTS[moment], lambda: fault.strike(patch, world, vault))
        result = world.run(store=store)
    heal(vault)
    after = world.entry()
    assert result["failed"], result
    assert t.cast("str", before.current and before.current.value) not in str(result)
    assert after.current == before.current, "whoever reads the store has what works"
    assert world.signs_in(after.current)
    if moment == "committing":
        assert "stored and proven, the next run puts it in place" in result["msg"]
        assert len(world.ours()) == 2
        assert after.following is not None
        assert world.signs_in(after.following)
    else:
        assert world.ours() == [before.current.key_id] if before.current else []
        assert after.following is None or after.following.key_id not in world.ours()
    if moment == "storing":
        assert "was removed again" in result["msg"]
    else:
        assert result["outcome"] in ("blocked", "failed")
    assert fault.words in result["msg"]
    assert "What to do" in result["msg"]
    mended(world)


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.name)
def test_a_refusal_that_passes_costs_nothing(world: World, vault: VaultServer, fault: Fault):
    """Right after minting the store is asked again, before the new secret is given up."""
    if fault.in_vault:
        world.store = hashi_vault(vault)
    due(world)
    with pytest.MonkeyPatch.context() as patch:

        def strike() -> None:
            fault.strike(patch, world, vault)
            world.clock.sleep = lambda _seconds: (patch.undo(), heal(vault))[0]  # type: ignore[method-assign]

        result = world.run(store=Struck(world.store(), MOMENTS["storing"], strike))
    assert result["outcome"] == "changed", result["msg"]
    assert world.signs_in(world.entry().current)
    assert set(world.ours()) == world.entry().known()


@pytest.mark.parametrize("fault", [FAULTS[0], FAULTS[4]], ids=lambda fault: fault.name)
def test_a_key_that_cannot_be_removed_either_is_named_and_the_next_run_removes_it(
    world: World, vault: VaultServer, fault: Fault
):
    if fault.in_vault:
        world.store = hashi_vault(vault)
    due(world)
    old = world.ours()

    def no_removal(request: Request) -> Response | None:
        if not request.url.endswith("removePassword"):
            return None
        return Response(403, {}, b'{"error": {"code": "Authorization_RequestDenied", "message": "no"}}')

    with pytest.MonkeyPatch.context() as patch:
        store = Struck(world.store(), MOMENTS["storing"], lambda: fault.strike(patch, world, vault))
        result = world.run(store=store, transport=lambda inner: Intercepted(inner, no_removal))
    heal(vault)
    (orphan,) = set(world.ours()) - set(old)
    assert result["outcome"] == "failed"
    assert orphan in result["msg"]
    assert world.app_id in result["msg"]
    assert result["error"]["details"]["orphan"] == {"app_id": world.app_id, "key_id": orphan}
    following = world.run()
    assert orphan in following["retired"]
    assert orphan not in world.ours()
    mended_by_then = world.entry()
    assert world.signs_in(mended_by_then.current)
    assert set(world.ours()) == mended_by_then.known()


def truncated(value: str) -> str:
    return value[:-1]


def decoded(value: str) -> str:
    return value.replace("~", " ") + "\n"


def masked(_value: str) -> str:
    return "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


@pytest.mark.parametrize("spoil", [truncated, decoded, masked])
def test_a_store_that_gives_back_something_else(world: World, vault: VaultServer, spoil: Callable[[str], str]):
    world.store = hashi_vault(vault)
    due(world)
    before = world.entry()

    def alter(data: Json) -> Json:
        if data.get("following"):
            return {**data, "following": {**data["following"], "value": spoil(data["following"]["value"])}}
        return data

    vault.alter = alter
    result = world.run()
    assert result["outcome"] == "blocked"
    assert "gives back something else than was written" in result["msg"]
    assert "was removed again" in result["msg"]
    assert world.entry() == before
    assert world.ours() == [before.current.key_id] if before.current else []
    heal(vault)
    mended(world)


def test_a_wrong_vault_password_stops_before_anything(world: World):
    due(world)
    before, content = world.entry(), (world.folder / "secret.yml").read_bytes()
    world.emulator.clear_journal()
    wrong = VaultFile(world.folder / "secret.yml", [("default", VaultSecret(b"another"))])
    result = world.run(store=wrong)
    assert result["outcome"] == "blocked"
    assert "vault password that the file was written with" in result["msg"]
    assert world.emulator.journal() == []
    assert (world.folder / "secret.yml").read_bytes() == content
    assert world.entry() == before
    mended(world)


def test_a_file_in_the_clear_or_broken_stops_before_anything(world: World):
    due(world)
    good = (world.folder / "secret.yml").read_bytes()
    secret = ("default", VaultSecret(b"correct horse"))
    for content in (b"value: x\n", good[: len(good) // 2], VaultLib([secret]).encrypt("- a list", secret[1])):
        (world.folder / "secret.yml").write_bytes(content)
        world.emulator.clear_journal()
        result = world.run()
        assert result["outcome"] == "blocked", content[:40]
        assert world.emulator.journal() == []
        assert (world.folder / "secret.yml").read_bytes() == content
    (world.folder / "secret.yml").write_bytes(good)
    mended(world)
