# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records in a real OpenBao: a job on any node finds what the last one left, and none of them loses it.

A node is a folder that has nothing but the inventory, as a container has.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import pathlib
import random
import socket
import time
import typing as t
from dataclasses import dataclass, field

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, Conflict
from ansible_collections.mail2fax.m365.plugins.plugin_utils._shelves import Shelf, open_shelf
from tests.emulator.hosted import HostedEmulator, start_hosted
from tests.integration.harness import play
from tests.integration.inprocess import Moment, Watch, play_in_process
from tests.integration.site import HOST, Run, Site, World
from tests.openbao import POLICY, Bao, openbao

Json = dict[str, t.Any]


class Locked(str):
    """Text that stands with the tag !vault in a file."""


class _Dumper(yaml.SafeDumper):
    """Knows that tag."""


_Dumper.add_representer(Locked, lambda dumper, text: dumper.represent_scalar("!vault", str(text), style="|"))
WORLD = World("kept", principals=20)
RECORDS = "mail2fax/records"
DOCUMENTS = ("record", "audit", "sheet", "sheet.txt", "reach.json", "reach.html", "reach.csv")
THEIRS = "aaaaaaaa-0000-4000-8000-000000000001"
"""An application that somebody made by hand."""


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Bao]:
    with openbao(tmp_path_factory.mktemp("bao")) as server:
        server.role("fax")
        yield server


@pytest.fixture(scope="module")
def hosted() -> t.Iterator[HostedEmulator]:
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


@pytest.fixture
def nodes(bao: Bao, hosted: HostedEmulator, tmp_path: pathlib.Path) -> Nodes:
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


# --- a life ----------------------------------------------------------------------------------------------------------


def test_every_run_of_a_life_is_on_another_node(nodes: Nodes) -> None:
    store = {name: value for name, value in nodes.store.items() if name != "token"}
    nodes.store = {**store, **nodes.bao.role("fax")}
    first, site = nodes.on_any("provision", "--diff")
    assert first.code == 0, first.output
    made = nodes.record()
    assert (made["outcome"], made["state"]) == ("changed", "ready")
    again, _site = nodes.on_any("provision")
    assert (again.code, again.writes()) == (0, []), again.output
    assert nodes.record()["ours"] == made["ours"]
    audit, _site = nodes.on_any("audit")
    assert audit.code == 0, audit.output
    assert json.loads(nodes.kept("audit"))["outcome"] == "ok"
    assert nodes.record()["kind"] == "provision", "an audit has a document of its own"
    rotated, _site = nodes.on_any("rotate", mail2fax_rotate="always")
    assert rotated.code == 0, rotated.output
    assert nodes.record()["secret"]["key_id"] != made["secret"]["key_id"]
    reach, _site = nodes.on_any("reach", "-vvv")
    assert reach.code == 0, reach.output
    told = json.loads(nodes.kept("reach.json"))
    assert [one["app_id"] for one in told["applications"]].count(made["ids"]["application_id"]) == 1
    assert nodes.kept("reach.html").startswith("<!DOCTYPE html>")
    assert made["ids"]["application_id"] in nodes.kept("reach.csv")
    sheet, text = nodes.kept("sheet"), nodes.kept("sheet.txt")
    for some in (made["ids"]["application_id"], made["tenant"]["id"], *WORLD.fax):
        assert some in text
    assert "READY" in text
    assert sheet.startswith("<!DOCTYPE html>")
    # Nothing secret is in them, and nothing lies where the container is thrown away.
    secret = nodes.bao.kept(f"mail2fax/secrets/{HOST}") or {}
    canaries = [secret["value"], (secret.get("previous") or {})["value"], nodes.store["secret_id"], "operator-secret"]
    everything = "".join(map(nodes.kept, DOCUMENTS)) + first.output + reach.output
    assert [value for value in canaries if value in everything] == []
    assert not (site.folder / "handover").exists()
    gone, _site = nodes.on_any("decommission", mail2fax_confirm=True)
    assert gone.code == 0, gone.output
    assert nodes.record()["state"] == "removing"


def test_a_prediction_writes_nothing(nodes: Nodes) -> None:
    run, _site = nodes.on_any("provision", "--check")
    assert run.code == 0, run.output
    assert nodes.kept() == nodes.kept("sheet") == ""


# --- before the first write ------------------------------------------------------------------------------------------


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def version_1(bao: Bao) -> Json:
    if bao.ask("GET", "sys/mounts/old/tune").status_code != 200:
        bao.mount("old", 1)
    return {"mount": "old", "token": bao.root}


def expired(bao: Bao) -> Json:
    token = bao.token("fax", ttl="1s")
    while bao.ask("GET", "auth/token/lookup-self", token=token).status_code == 200:
        time.sleep(0.1)
    return {"token": token}


def revoked(bao: Bao) -> Json:
    token = bao.token("fax")
    bao.do("POST", "auth/token/revoke", {"token": token})
    return {"token": token}


def reads_only(bao: Bao) -> Json:
    rules = POLICY.format(mount="secret").replace('"create", "read", "update"', '"read"')
    bao.do("PUT", "sys/policies/acl/reader", {"policy": rules})
    return {"token": bao.token("reader")}


def somebody_else_s(bao: Bao) -> Json:
    bao.do("POST", f"secret/data/mail2fax/theirs/{HOST}/record", {"data": {"password": "canary"}})
    return {"path": "mail2fax/theirs"}


BEFORE: dict[str, tuple[t.Callable[[Bao], Json], str]] = {
    "unreachable": (lambda _bao: {"url": f"https://127.0.0.1:{closed_port()}"}, "does not answer"),
    "version 1": (version_1, "bao kv enable-versioning old"),
    "expired": (expired, "expired, was used up or revoked"),
    "revoked": (revoked, "expired, was used up or revoked"),
    "used up": (lambda bao: {"token": bao.token("fax", num_uses=1)}, "expired, was used up or revoked"),
    "reads only": (reads_only, "may not write"),
    "another's": (somebody_else_s, "not a document of this collection"),
    "namespace": (lambda _bao: {"namespace": "nowhere"}, "no such namespace"),
    "encrypted": (lambda _bao: {"token": "$ANSIBLE_VAULT;1.1;AES256\n3132"}, "still encrypted with Ansible Vault"),
}


@pytest.mark.parametrize("case", BEFORE)
def test_a_store_that_refuses_blocks_before_anything_is_written(nodes: Nodes, case: str) -> None:
    change, words = BEFORE[case]
    store = {**nodes.store, **change(nodes.bao)}
    run, site = nodes.on_any("provision", mail2fax_record_store=store)
    assert run.code != 0
    assert run.writes() == [], run.output
    assert "NOT READY" in run.output
    assert "blocked" in run.output
    assert words in " ".join(run.output.split()), run.output
    assert "canary" not in run.output
    assert not (site.folder / "handover").exists()
    assert nodes.bao.kept(f"mail2fax/secrets/{HOST}") is None


def test_a_sealed_store_blocks_every_playbook(nodes: Nodes) -> None:
    nodes.bao.seal()
    try:
        for playbook, extra in (("provision", {}), ("rotate", {}), ("decommission", {"mail2fax_confirm": True})):
            run, _site = nodes.on_any(playbook, **extra)
            assert (run.code, run.writes()) == (2, []), run.output
            assert "it is sealed" in run.output
            assert "mail2fax_record_store" in run.output
    finally:
        nodes.bao.unseal()


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ({"url": "https://vault.contoso.com"}, "mail2fax_record_store.backend is None"),
        ({"backend": "hashi_vault", "url": "http://vault.contoso.com"}, "without TLS"),
        ({"backend": "hashi_vault", "uri": "x"}, "mail2fax_record_store has no option uri"),
        ("hashi_vault", "mail2fax_record_store is text, not a mapping"),
        ({"backend": "folder", "path": "/elsewhere"}, "name two folders"),
    ],
)
def test_a_store_that_cannot_be_meant_is_refused(nodes: Nodes, store: t.Any, words: str) -> None:
    run, _site = nodes.on_any("provision", mail2fax_record_store=store)
    assert run.code == 2
    assert run.journal == []
    assert words in " ".join(run.output.split()), run.output


# --- at the end of a run ---------------------------------------------------------------------------------------------


def test_a_store_that_refuses_at_the_end_loses_nothing_and_the_next_run_goes_on(nodes: Nodes) -> None:
    adopting = {"mail2fax_application_id": THEIRS, "mail2fax_exclusive_permissions": False}
    run, site = nodes.on_any("provision", watch=at_the_proof(nodes.bao.seal), **adopting)
    nodes.bao.unseal()
    assert run.code == 2
    told = " ".join(run.output.split())
    for words in (
        "it is sealed",
        "Until then",
        "the next run on this machine takes it over",
        f"bao kv put -mount=secret {RECORDS}/{HOST}/record text=@FILE",
        "admin consent changed granted",
    ):
        assert words in told, run.output
    assert nodes.kept() == ""
    left = json.loads((site.folder / "handover" / f"{HOST}.json").read_text(encoding="utf-8"))
    noted = [f"{entry['kind']} {entry['id']}" for entry in left["ours"]]
    assert any(one.startswith("consent ") for one in noted)
    again = site.play("provision")
    assert again.code == 0, again.output
    assert nodes.ours() == noted
    # Where the next one has another machine, a person puts there what the log shows.
    document = {**nodes.record(), "at": "2030-01-01T00:00:00Z"}
    nodes.bao.ask("DELETE", f"secret/metadata/{RECORDS}/{HOST}/record")
    nodes.bao.do("POST", f"secret/data/{RECORDS}/{HOST}/record", {"data": {"text": json.dumps(document)}})
    elsewhere, _site = nodes.on_any("provision", **adopting)
    assert elsewhere.code == 0, elsewhere.output
    assert nodes.ours() == noted


def test_a_token_that_ends_in_the_middle_is_told_and_the_next_run_goes_on(nodes: Nodes) -> None:
    token = nodes.bao.token("fax")
    store = {**nodes.store, "token": token}

    def revoke() -> None:
        nodes.bao.do("POST", "auth/token/revoke", {"token": token})

    run, _site = nodes.on_any("provision", watch=at_the_proof(revoke), mail2fax_record_store=store)
    assert run.code == 2
    assert "expired, was used up or revoked" in " ".join(run.output.split())
    assert token not in run.output
    again, _site = nodes.on_any("provision")
    assert (again.code, again.writes()) == (0, []), again.output


# --- two runs at once ------------------------------------------------------------------------------------------------


def test_a_run_that_another_one_overtook_is_refused_and_what_it_added_is_noted(nodes: Nodes) -> None:
    first, _site = nodes.on_any("provision")
    assert first.code == 0, first.output
    before = nodes.record()
    sheet = nodes.kept("sheet")
    theirs = {**before, "ours": [*before["ours"], {"kind": "member", "of": "x", "id": "theirs"}]}
    more = [*WORLD.fax, WORLD.mailboxes[5]["address"]]
    run, _site = nodes.on_any("provision", watch=at_the_proof(lambda: nodes.put(theirs)), mail2fax_mailboxes=more)
    assert run.code == 2
    told = " ".join(run.output.split())
    assert "another run has written" in told, run.output
    assert "let only one run at a time work on a tenant, then run again" in told
    assert {"member theirs", f"member {more[-1]}"} <= {*nodes.ours()}
    assert nodes.record()["outcome"] == before["outcome"], "the other run's word stands"
    assert nodes.kept("sheet") == sheet
    again, _site = nodes.on_any("provision", mail2fax_mailboxes=more)
    assert again.code == 0, again.output
    assert {"member theirs", f"member {more[-1]}"} <= {*nodes.ours()}


# --- from a folder ---------------------------------------------------------------------------------------------------


def test_what_a_folder_has_is_taken_over(nodes: Nodes) -> None:
    site = nodes.node(mail2fax_record_store={"backend": "folder"})
    assert site.play("provision").code == 0
    left = json.loads((site.folder / "handover" / f"{HOST}.json").read_text(encoding="utf-8"))
    site.declare(mail2fax_record_store=nodes.store)
    assert site.play("audit").code == 0
    assert nodes.kept() == "", "who only looks moves nothing"
    assert site.play("provision").code == 0
    assert nodes.record()["ours"] == left["ours"]
    assert nodes.record()["last_good_at"]
    # From now on that of the store counts, whatever the folder still has.
    run, _site = nodes.on_any("audit")
    assert run.code == 0, run.output


# --- what the server itself does -------------------------------------------------------------------------------------


@contextlib.contextmanager
def shelf_of(bao: Bao, **changes: t.Any) -> t.Iterator[Shelf]:
    options = {"backend": "hashi_vault", "url": bao.url, "ca_path": bao.ca, "token": bao.root, **changes}
    with open_shelf(options, folder="", controller=None) as shelf:
        yield shelf


def test_a_tenant_of_many_mailboxes_has_its_documents_there(bao: Bao) -> None:
    """A server takes a thousand strings a request, and one MiB an entry."""
    rows = [{"mailbox": f"fax{number}@contoso.com", "verdict": "Granted", "probe": "opened"} for number in range(5000)]
    page = "".join(f"<tr><td>{row['mailbox']}</td><td>&amp;</td></tr>\n" for row in rows * 3)
    record = json.dumps({"schema": 2, "host": "many", "mailboxes": rows}, indent=2)
    with shelf_of(bao) as shelf:
        for name, text in (("record", record[:100_000]), ("audit", record), ("sheet", page)):
            shelf.write("many", name, text)
            assert shelf.read("many", name).text == text
        noise = "".join(chr(number) for number in random.Random(816).choices(range(0x20, 0x7F), k=2**21))
        with pytest.raises(Blocked, match="too large") as caught:
            shelf.write("many", "record", noise)
        assert noise[:20] not in str(caught.value)
        assert shelf.read("many", "record").text == record[:100_000]


def test_what_was_removed_and_begun_anew_is_another_record(bao: Bao) -> None:
    """Its number is 1 once more; only its birth tells."""
    with shelf_of(bao) as shelf:
        shelf.write("anew", "record", "one", run="a")
        before = shelf.read("anew", "record").version
        bao.do("DELETE", f"secret/metadata/{RECORDS}/anew/record")
        shelf.write("anew", "record", "theirs", run="b")
        assert shelf.read("anew", "record").version.number == before.number == 1
        with pytest.raises(Conflict):
            shelf.write("anew", "record", "ours", before, run="a")
        bao.do("DELETE", f"secret/data/{RECORDS}/anew/record")
        gone = shelf.read("anew", "record")
        assert (gone.text, gone.version.number) == (None, 1), "a deleted version is none, and its number counts on"
        shelf.write("anew", "record", "ours", gone.version, run="a")
        assert shelf.read("anew", "record").text == "ours"


def test_a_place_that_forgets_is_told(bao: Bao) -> None:
    bao.do("POST", f"secret/metadata/{RECORDS}/forgetful/record", {"delete_version_after": "72h"})
    with shelf_of(bao) as shelf:
        (warning,) = shelf.write("forgetful", "record", "x")
    assert "will delete what it holds at" in warning


def test_a_namespace_and_a_mount_of_its_own(bao: Bao) -> None:
    bao.do("POST", "sys/namespaces/team")
    bao.mount("kv/fax", namespace="team")
    with shelf_of(bao, namespace="team/", mount="/kv/fax/", path="records//of/../fax/") as shelf:
        shelf.probe(HOST, "record")
        shelf.write(HOST, "record", "x")
        assert shelf.place(HOST, "record").endswith(f"kv/fax/records/fax/{HOST}/record, namespace team")
    assert (bao.kept(f"records/fax/{HOST}/record", mount="kv/fax", namespace="team") or {})["text"] == "x"


# --- jobs of AWX ------------------------------------------------------------------------------------------------------


def test_the_log_of_a_job_ends_with_the_sheet(nodes: Nodes) -> None:
    run, _site = nodes.on_any("provision", awx_job_id=7)
    assert run.code == 0, run.output
    end = run.output[run.output.index("TASK [Show all tenants]") : run.output.index("PLAY RECAP")]
    assert "READY" in end
    assert nodes.record()["ids"]["application_id"] in end
    assert all(address in end for address in WORLD.fax)
    audit, _site = nodes.on_any("audit", awx_job_id=8)
    assert "No sheet was made in this run." in audit.output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mail2fax_record_store": None, "mail2fax_handover_dir": None}, ["The record", "is not set"]),
        ({"mail2fax_record_store": {"backend": "folder", "path": "kept"}, "mail2fax_handover_dir": None}, ["relative"]),
        ({"mail2fax_record_store": ""}, ["mail2fax_handover_dir leads into"]),
        (
            {"mail2fax_secret_store": {"backend": "vault_file", "path": "secret.yml"}},
            ["The client secret", "mail2fax_secret_store is relative"],
        ),
    ],
)
def test_a_job_writes_nothing_whose_memory_goes_with_it(nodes: Nodes, change: Json, words: list[str]) -> None:
    run, _site = nodes.on_any("provision", awx_job_id=7, **change)
    assert (run.code, run.writes()) == (2, []), run.output
    told = " ".join(run.output.split())
    assert all(some in told for some in [*words, "mail2fax_allow_volatile: true", "blocked"]), run.output


def test_a_job_that_may_forget_goes_on(nodes: Nodes) -> None:
    change = {"mail2fax_record_store": None, "awx_job_id": 7, "mail2fax_allow_volatile": True}
    run, site = nodes.on_any("provision", **change)
    assert run.code == 0, run.output
    assert (site.folder / "handover" / f"{HOST}.json").exists()
    assert nodes.kept() == ""


# --- what Ansible Vault has locked -----------------------------------------------------------------------------------


def test_a_text_of_ansible_vault_is_blocked_by_the_name_of_its_variable(nodes: Nodes) -> None:
    for name in ("mail2fax_client_secret", "mail2fax_ticket"):
        site = nodes.node(mail2fax_client_id="11111111-0000-4000-8000-000000000001")
        run = site.play("provision", **{name: "$ANSIBLE_VAULT;1.1;AES256\n6162"})
        assert (run.code, run.journal) == (2, []), run.output
        assert f"{name} is still encrypted with Ansible Vault" in " ".join(run.output.split())
        assert "blocked" in run.output
        assert "$ANSIBLE_VAULT" not in run.output


def test_what_no_password_of_the_run_opens_is_blocked_by_the_name_of_its_variable(nodes: Nodes) -> None:
    """Inline, under a vault ID whose password this run has not got, at the top and inside a mapping."""
    site = nodes.node(mail2fax_client_id="11111111-0000-4000-8000-000000000001")
    locked = VaultLib([("prod", VaultSecret(b"another"))]).encrypt("canary", VaultSecret(b"another"), "prod").decode()
    inventory = site.folder / "tenants.yml"
    told = yaml.safe_load(inventory.read_text(encoding="utf-8"))
    told["all"]["hosts"][HOST] |= {"mail2fax_client_secret": Locked(locked)}
    told["all"]["hosts"][HOST]["mail2fax_record_store"] |= {"token": Locked(locked)}
    inventory.write_text(yaml.dump(told, Dumper=_Dumper), encoding="utf-8")
    run = site.play("provision")
    assert (run.code, run.journal) == (2, []), run.output
    words = " ".join(run.output.split())
    for name in ("mail2fax_client_secret", "mail2fax_record_store"):
        assert f"{name} is encrypted with Ansible Vault under the vault ID prod" in words, run.output
    assert "--vault-id prod@" in words
    assert "blocked" in words
    assert "$ANSIBLE_VAULT" not in run.output


# --- by processes of their own ----------------------------------------------------------------------------------------


@pytest.mark.soak
def test_a_life_by_ansible_playbook_leaves_no_token(nodes: Nodes) -> None:
    store = {name: value for name, value in nodes.store.items() if name != "token"}
    nodes.store, nodes.player = {**store, **nodes.bao.role("fax")}, play
    tokens = nodes.bao.tokens()
    for playbook in ("provision", "audit"):
        run, _site = nodes.on_any(playbook)
        assert run.code == 0, run.output
        assert nodes.store["secret_id"] not in run.output
        assert nodes.bao.tokens() == tokens
