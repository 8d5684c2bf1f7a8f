# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store hashi_vault beside a real OpenBao: the life of a secret, and every refusal that one can be brought to."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import typing as t
from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, Conflict, InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, Place, StoredSecret
from ansible_collections.mail2fax.m365.plugins.plugin_utils._store_logins import Logins, end_all
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.hashi_vault import HashiVault
from tests.emulator.testing import start_emulator
from tests.integration.fleet import Fleet, tenants
from tests.integration.harness import OPERATOR
from tests.integration.secrets import FOREIGN_KEY, TENANTS, Json, World
from tests.openbao import POLICY, Bao, openbao
from tests.unit.nasty import VALUES

PATH = "mail2fax/contoso"


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    with openbao(tmp_path_factory.mktemp("bao")) as server:
        server.role("fax")
        yield server


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with start_emulator(TENANTS) as emulator:
        yield World(emulator, tmp_path_factory.mktemp("store"))


@pytest.fixture
def world(worlds: World, bao: Bao) -> World:
    worlds.begin()
    bao.ask("DELETE", f"secret/metadata/{PATH}")
    worlds.store = lambda: opened(bao, token=bao.root)
    return worlds


def opened(bao: Bao, **options: t.Any) -> HashiVault:
    given = {"url": bao.url, "ca_path": bao.ca, "path": PATH, **options}
    store = HashiVault.from_options(given, t.cast("t.Any", None))
    store._client._pause = lambda _seconds: None
    return store


def an_entry(value: str = "canary~value") -> Entry:
    return Entry(StoredSecret("t", "c", "k", "n", "2026-11-21T12:00:00Z", "2027-11-21T12:00:00Z", value))


# --- a whole life ------------------------------------------------------------------------------------------------


def test_a_whole_life_by_approle_leaves_no_token(world: World, bao: Bao):
    role = bao.role("fax")
    tokens = bao.tokens()
    stores: list[HashiVault] = []

    def store() -> HashiVault:
        stores.append(opened(bao, **role))
        return stores[-1]

    world.store = store
    first = world.run()
    assert (first["outcome"], first["stored_in"]["backend"]) == ("changed", "hashi_vault")
    kept = bao.kept(PATH) or {}
    assert kept["key_id"] == first["key_id"]
    assert world.signs_in(world.entry().current)
    assert world.run()["changed"] is False
    world.pass_days(340)
    second = world.run()
    assert second["rotated"] is True
    assert {*world.ours()} == {first["key_id"], second["key_id"]}
    world.pass_days(8)
    assert world.run()["retired"] == [first["key_id"]]
    assert world.run(state="absent")["outcome"] == "changed"
    assert bao.kept(PATH) is None
    assert world.ours() == []
    assert world.foreign() == [FOREIGN_KEY]
    assert len(bao.tokens()) > len(tokens)
    for one in stores:
        one.close()
    assert bao.tokens() == tokens


def test_a_run_signs_in_once_and_leaves_no_token(world: World, bao: Bao, tmp_path: pathlib.Path):
    """The secret ID is good for one sign-in; three tasks use it, and one of them fails."""
    role = bao.role("once", secret_id_num_uses=1)
    tokens = bao.tokens()
    store = {"backend": "hashi_vault", "url": bao.url, "ca_path": bao.ca, "path": PATH, **role}
    module = "mail2fax.m365.entra_application_secret"
    options = {"app_id": world.app_id, "display_name": "fax", "store": store}
    book = [
        {
            "hosts": "contoso",
            "gather_facts": False,
            "module_defaults": {"group/mail2fax.m365.m365": {**OPERATOR, "patience": 20}},
            "tasks": [
                {"name": "make", module: options},
                {"name": "again", module: options, "register": "again"},
                {"name": "changed", "ansible.builtin.assert": {"that": "not again.changed"}},
                {"name": "rotate", module: {**options, "rotate": "always"}, "environment": {"NOTHING": "else"}},
                {"name": "fail", module: {**options, "state": "absent", "store": {**store, "path": "elsewhere"}}},
            ],
        }
    ]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(book), encoding="utf-8")
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"contoso": host}}}), encoding="utf-8")
    done = subprocess.run(
        [
            str(pathlib.Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            str(tmp_path / "hosts.yml"),
            str(tmp_path / "play.yml"),
        ],
        env={**os.environ, **world.emulator.env()},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 2, printed
    assert "ok=4" in printed, printed
    assert "the policy of the token does not allow it" in printed
    assert role["secret_id"] not in printed
    assert bao.tokens() == tokens, "what the run signed in with is ended with it"
    assert len(world.alive()) == 3


# --- what is kept ------------------------------------------------------------------------------------------------


def test_values_survive(bao: Bao):
    store = opened(bao, token=bao.root, path="mail2fax/values")
    for value in VALUES:
        store.write(an_entry(value))
        assert store.read() == an_entry(value)
        assert (bao.kept("mail2fax/values") or {})["value"] == value


def test_what_others_keep_beside_it_stays(bao: Bao):
    path = "mail2fax/beside"
    opened(bao, token=bao.root, path=path).write(an_entry())
    bao.do("POST", f"secret/data/{path}", {"data": {**(bao.kept(path) or {}), "note": "for the fax team"}})
    store = opened(bao, token=bao.root, path=path)
    found = store.read()
    assert found is not None
    assert found.current is not None
    store.write(replace(found, current=replace(found.current, value="new")))
    assert {name: (bao.kept(path) or {})[name] for name in ("note", "value")} == {
        "note": "for the fax team",
        "value": "new",
    }


def test_somebody_else_s_secret_is_not_written_over(bao: Bao):
    bao.do("POST", "secret/data/mail2fax/theirs", {"data": {"password": "x"}})
    with pytest.raises(Blocked, match="not a secret of this collection"):
        opened(bao, token=bao.root, path="mail2fax/theirs").read()


def test_a_deleted_version_is_no_entry_and_its_number_counts_on(bao: Bao):
    path = "mail2fax/deleted"
    opened(bao, token=bao.root, path=path).write(an_entry("old"))
    bao.do("DELETE", f"secret/data/{path}")
    store = opened(bao, token=bao.root, path=path)
    assert store.read() is None
    store.write(an_entry("new"))
    assert store.read() == an_entry("new")
    store.remove()
    store.remove()
    assert store.read() is None
    assert bao.ask("GET", f"secret/metadata/{path}").status_code == 404, "no version is left"
    store.write(an_entry("again"))


# --- sign-ins ------------------------------------------------------------------------------------------------------


def test_logins_are_shared_by_identity_and_ended_together(bao: Bao, tmp_path: pathlib.Path):
    role, other = bao.role("fax"), bao.role("other")
    tokens = bao.tokens()
    given = {"url": bao.url, "ca_path": bao.ca, "path": PATH}
    closing: list[t.Callable[[], None]] = []
    controller = Controller(t.cast("t.Any", None), {}, Logins(str(tmp_path)), closing.append)
    for _task in range(3):
        HashiVault.from_options({**given, **role}, controller).read()
    HashiVault.from_options({**given, **other}, controller).read()
    for close in closing:
        close()
    assert len(bao.tokens() - tokens) == 2, "the run goes on with them"
    assert role["secret_id"] not in "".join(path.read_bytes().hex() for path in tmp_path.iterdir())
    assert end_all(str(tmp_path)) == 2
    assert bao.tokens() == tokens
    assert end_all(str(tmp_path)) == 0


def test_a_login_that_is_used_up_in_the_middle_is_made_anew(world: World, bao: Bao):
    role = bao.role("few", token_num_uses=4)
    world.store = lambda: opened(bao, **role)
    assert world.run()["outcome"] == "changed"
    assert world.run()["changed"] is False


def test_refused_sign_ins_are_told_apart(bao: Bao):
    role = bao.role("fax")
    for wrong in ({"secret_id": "canary-wrong"}, {"role_id": "canary-wrong"}):
        with pytest.raises(Blocked, match="refuses role_id or secret_id") as caught:
            opened(bao, **{**role, **wrong})
        assert "canary" not in str(caught.value)
    with pytest.raises(Blocked, match="no such namespace"):
        opened(bao, namespace="nowhere", **role)
    bound = bao.role("bound", token_bound_cidrs="10.0.0.0/8")
    with pytest.raises(Blocked, match="bound to other addresses") as caught:
        opened(bao, **bound).read()
    assert "token_bound_cidrs" in caught.value.cure


def test_tokens_that_are_good_no_more(bao: Bao):
    used_up = bao.token("fax", num_uses=1)
    opened(bao, token=used_up).read()
    revoked = bao.token("fax")
    bao.do("POST", "auth/token/revoke", {"token": revoked})
    for token in (used_up, revoked, "canary-foreign"):
        for ask in (HashiVault.read, HashiVault.probe, lambda store: store.write(an_entry())):
            with pytest.raises(Blocked, match="expired, was used up or revoked") as caught:
                ask(opened(bao, token=token))
            assert token not in str(caught.value)
    expired = bao.token("fax", ttl="1s")
    world_moves_on(bao, expired)
    with pytest.raises(Blocked, match="expired, was used up or revoked"):
        opened(bao, token=expired).read()


def world_moves_on(bao: Bao, token: str) -> None:
    import time

    deadline = time.monotonic() + 10
    while bao.ask("GET", "auth/token/lookup-self", token=token).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_policy_that_does_not_reach_is_told_from_a_bad_token(bao: Bao):
    token = bao.token("fax")
    elsewhere = opened(bao, token=token, path="other/contoso")
    for ask in (elsewhere.read, lambda: elsewhere.write(an_entry())):
        with pytest.raises(Blocked, match="policy of the token does not allow it") as caught:
            ask()
        assert "secret/data/other/contoso" in caught.value.cure
    with pytest.raises(Blocked, match="may not write"):
        elsewhere.probe()


# --- the mount -----------------------------------------------------------------------------------------------------


def test_a_mount_of_version_1_is_refused_before_anything_is_made(world: World, bao: Bao):
    bao.mount("old", 1)
    world.store = lambda: opened(bao, token=bao.root, mount="old")
    for check_mode in (True, False):
        result = world.run(check_mode=check_mode)
        assert result["outcome"] == "blocked"
        assert "bao kv enable-versioning old" in result["msg"]
        assert world.ours() == []
    assert bao.ask("GET", f"old/data/{PATH}").status_code == 404
    bao.do("POST", "sys/mounts/old/tune", {"options": {"version": "2"}})


def test_a_token_that_may_not_ask_meets_version_1_by_its_first_write(world: World, bao: Bao):
    """The intent lands there, is seen for what it is, and taken back; nothing is made."""
    bao.mount("older", 1)
    rules = POLICY.format(mount="older") + 'path "sys/internal/*" { capabilities = ["deny"] }\n'
    rules += 'path "older/data/mail2fax/*" { capabilities = ["create", "read", "update", "delete"] }\n'
    bao.do("PUT", "sys/policies/acl/older", {"policy": rules})
    token = bao.token("older")
    world.store = lambda: opened(bao, token=token, mount="older")
    result = world.run()
    assert result["outcome"] == "blocked", result
    assert "KV version 2" in result["msg"]
    assert world.ours() == []
    assert bao.ask("GET", f"older/data/{PATH}").status_code == 404, "nothing of ours stays"


def test_other_mounts(bao: Bao):
    with pytest.raises(Blocked, match="of the kind cubbyhole"):
        opened(bao, token=bao.root, mount="cubbyhole").probe()
    with pytest.raises(Blocked, match="no such mount"):
        opened(bao, token=bao.root, mount="nowhere").read()


def test_a_namespace_of_its_own(world: World, bao: Bao):
    bao.do("POST", "sys/namespaces/team")
    bao.mount("secret", namespace="team")
    role = bao.role("fax", namespace="team")
    world.store = lambda: opened(bao, namespace="team/", **role)
    result = world.run()
    assert result["outcome"] == "changed", result
    assert result["stored_in"]["place"] == f"{bao.url}, secret/{PATH}, namespace team"
    assert (bao.kept(PATH, namespace="team") or {})["key_id"] == result["key_id"]
    assert bao.kept(PATH) is None
    with pytest.raises(Blocked, match="no such namespace"):
        opened(bao, token=bao.root, namespace="nowhere").read()


# --- what the place does by itself -----------------------------------------------------------------------------------


def test_a_place_that_forgets_too_early_is_refused_before_the_mint(world: World, bao: Bao):
    bao.do("POST", f"secret/metadata/{PATH}", {"delete_version_after": "720h"})
    result = world.run()
    assert result["outcome"] == "blocked", result
    assert "delete_version_after" in result["msg"]
    assert world.ours() == []
    assert world.entry() == Entry()


def test_a_mount_that_forgets_too_early_is_refused_and_the_stored_one_stays(world: World, bao: Bao):
    bao.mount("forgetful")
    world.store = lambda: opened(bao, token=bao.root, mount="forgetful")
    first = world.run()
    bao.do("POST", "forgetful/config", {"delete_version_after": "48h"})
    result = world.run(rotate="always")
    assert result["outcome"] == "blocked"
    assert world.ours() == [first["key_id"]]
    entry = world.entry()
    assert entry.intent is None
    assert entry.current is not None
    assert entry.current.key_id == first["key_id"]


def test_a_place_that_forgets_later_is_told(world: World, bao: Bao):
    bao.do("POST", f"secret/metadata/{PATH}", {"delete_version_after": "20000h"})
    result = world.run()
    assert result["outcome"] == "changed"
    assert "will delete what it holds at" in result["warnings"][0]
    again = world.run()
    assert (again["outcome"], again["warnings"]) == ("ok", result["warnings"])


# --- other writers ---------------------------------------------------------------------------------------------------


def test_a_stale_writer_writes_nothing(bao: Bao):
    ours, theirs = opened(bao, token=bao.root, path="mail2fax/cas"), opened(bao, token=bao.root, path="mail2fax/cas")
    for store in (ours, theirs):
        store.read()
    theirs.write(an_entry("theirs"))
    for _again in range(2):
        with pytest.raises(Conflict, match="changed by somebody else"):
            ours.write(an_entry("ours"))
    assert (bao.kept("mail2fax/cas") or {})["value"] == "theirs"


def test_what_was_removed_and_begun_anew_is_another_entry(bao: Bao):
    """Its number is 1 once more; only its birth tells that it is not what was read."""
    ours, theirs = opened(bao, token=bao.root, path="mail2fax/new"), opened(bao, token=bao.root, path="mail2fax/new")
    ours.write(an_entry("ours"))
    theirs.remove()
    theirs.write(an_entry("theirs"))
    with pytest.raises(Conflict, match="changed by somebody else"):
        ours.write(an_entry("again"))
    assert (bao.kept("mail2fax/new") or {})["value"] == "theirs"
    theirs.remove()
    with pytest.raises(Conflict):
        ours.write(an_entry("again"))
    assert bao.kept("mail2fax/new") is None


def test_an_emptied_store_beside_the_living_key_of_the_record_is_blocked(world: World, bao: Bao):
    first = world.run()
    bao.do("DELETE", f"secret/metadata/{PATH}")
    record = {"recorded_key_id": first["key_id"], "recorded_place": first["stored_in"]}
    result = world.run(**record)
    assert result["outcome"] == "blocked"
    assert "mail2fax_rotate=always" in result["msg"]
    assert world.ours() == [first["key_id"]]
    made = world.run(rotate="always", **record)
    assert made["outcome"] == "changed", made
    assert {*world.ours()} == {first["key_id"], made["key_id"]}
    assert made["previous_until"]
    entry = world.entry()
    assert entry.previous is not None
    assert entry.previous.key_id == first["key_id"]


# --- what it takes no more of ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({f"key {number}": "x" for number in range(500)}, "too many texts"),
        ({"note": "x" * (1 << 20)}, "too large"),
    ],
)
def test_documents_that_are_too_much(bao: Bao, others: Json, words: str):
    store = opened(bao, token=bao.root, path="mail2fax/much")
    with pytest.raises(Blocked, match=words) as caught:
        store.write(replace(an_entry(), others=others))
    assert "canary" not in str(caught.value)
    assert store.read() is None


def test_a_rate_limit_is_told(bao: Bao):
    bao.do("POST", "sys/quotas/rate-limit/tight", {"rate": 1, "interval": "60s", "path": "secret"})
    try:
        store = opened(bao, token=bao.root)
        store.read()
        with pytest.raises(Blocked, match="rate limit quota") as caught:
            store.read()
        assert "quota" in caught.value.cure
    finally:
        bao.do("DELETE", "sys/quotas/rate-limit/tight")


def test_sealed_and_unsealed(world: World, bao: Bao):
    first = world.run()
    bao.seal()
    try:
        result = world.run(rotate="always")
        assert result["outcome"] == "blocked"
        assert "it is sealed" in result["msg"]
    finally:
        bao.unseal()
    assert world.ours() == [first["key_id"]]
    assert world.run()["changed"] is False


def test_a_certificate_of_a_stranger(bao: Bao, monkeypatch: pytest.MonkeyPatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Blocked, match="TLS certificate is not trusted"):
        opened(bao, token=bao.root, ca_path=None).read()
    plain = bao.url.replace("https://", "http://")
    with pytest.raises(Blocked):
        opened(bao, token=bao.root, url=plain).read()


@pytest.mark.parametrize("path", ["a//b", "a/../a/b", "/a/./b/", "a/b"])
def test_one_place_has_one_name(bao: Bao, path: str):
    store = opened(bao, token=bao.root, path=f"mail2fax/{path}")
    assert store.place == Place("hashi_vault", f"{bao.url}, secret/mail2fax/a/b")
    store.write(an_entry())
    assert bao.kept("mail2fax/a/b") is not None
    store.remove()
    with pytest.raises(InvalidInput):
        opened(bao, token=bao.root, path="//")


@pytest.mark.soak
@pytest.mark.parametrize("in_process", [True, False])
def test_playbooks_sign_in_once_each(bao: Bao, tmp_path: pathlib.Path, in_process: bool):
    """Their secret IDs are good for one sign-in; whatever becomes of a run, its token ends with it."""
    with start_emulator(tenants(1)) as emulator:
        for playbook in ("provision", "audit", "rotate", "decommission"):
            role = bao.role(f"{playbook}-{in_process}", secret_id_num_uses=1)
            tokens = bao.tokens()
            store = {"backend": "hashi_vault", "url": bao.url, "ca_path": bao.ca, "path": f"mail2fax/{tmp_path.name}"}
            variables = {"mail2fax_secret_store": {**store, **role}, "mail2fax_in_process": in_process}
            fleet = Fleet(tmp_path, emulator, variables={**variables, "mail2fax_token_grace_minutes": 0})
            done = fleet.play(f"mail2fax.m365.{playbook}", mail2fax_confirm=playbook == "decommission")
            assert done.code == 0, done.output
            assert role["secret_id"] not in done.output
            assert bao.tokens() == tokens, playbook
        assert bao.kept(f"mail2fax/{tmp_path.name}") is None
