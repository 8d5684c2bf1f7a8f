# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real OpenBao does to records by itself, what a job of AWX may not forget, and runs that are really at once."""

from __future__ import annotations

import concurrent.futures
import json
import pathlib
import random
import typing as t

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, Conflict
from tests.emulator.testing import start_emulator
from tests.integration.fleet import Fleet, tenants
from tests.integration.harness import play
from tests.integration.kept import HOST, RECORDS, SIGN_IN, THEIRS, WORLD, Nodes, a_bao, a_hosted, shelf_of, some_nodes
from tests.openbao import Bao

__all__ = ["a_bao", "a_hosted", "some_nodes"]
Json = dict[str, t.Any]


class Locked(str):
    """Text that stands with the tag !vault in a file."""


class _Dumper(yaml.SafeDumper):
    """Knows that tag."""


_Dumper.add_representer(Locked, lambda dumper, text: dumper.represent_scalar("!vault", str(text), style="|"))


# --- what the server itself does -------------------------------------------------------------------------------------


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


@pytest.mark.turn("records")
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


@pytest.mark.turn("records")
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
    nodes.player = play
    tokens = nodes.bao.tokens()
    for playbook in ("provision", "audit"):
        # Good for one sign-in, which all that a run keeps shares.
        nodes.store = {**store, **nodes.bao.role("once", secret_id_num_uses=1)}
        run, _site = nodes.on_any(playbook)
        assert run.code == 0, run.output
        assert nodes.store["secret_id"] not in run.output
        assert nodes.bao.tokens() == tokens


@pytest.mark.soak
def test_two_jobs_at_once_lose_nothing(nodes: Nodes) -> None:
    """Really at once. Whoever comes second is told so, or finds everything done; what either added is known."""
    nodes.player = play
    adopting = {"mail2fax_application_id": THEIRS, "mail2fax_exclusive_permissions": False}
    sites = [nodes.node(**adopting) for _job in range(2)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        jobs = list(pool.map(lambda site: play(site.folder, site.emulator, "provision", (), {}, **SIGN_IN), sites))
    codes = sorted(job.returncode for job in jobs)
    assert codes in ([0, 0], [0, 2], [2, 2]), [job.stdout for job in jobs]
    for job in jobs:
        if job.returncode:
            assert "changed by somebody else" in job.stdout or "another run" in " ".join(job.stdout.split()), job.stdout
    added = {*nodes.ours()}
    assert {"consent exchange_online/application/full_access_as_app"} <= added
    again, _site = nodes.on_any("provision", **adopting)
    assert again.code == 0, again.output
    assert added <= {*nodes.ours()}
    assert nodes.emulator.exposures(declared=WORLD.fax, app_id=THEIRS) == []


@pytest.mark.soak
def test_role_and_look_up_on_their_own(bao: Bao, tmp_path: pathlib.Path) -> None:
    """Where no playbook of ours has begun the run, each signs in and out for itself."""
    store = {"backend": "hashi_vault", "url": bao.url, "ca_path": bao.ca, **bao.role("fax")}
    role = {"name": "mail2fax.m365.handover"}
    looked_up = (
        "{{ lookup('mail2fax.m365.document', 'sheet.txt')[:15] }}|{{ lookup('mail2fax.m365.document', 'none') }}|"
    )
    tasks: list[Json] = [
        {"ansible.builtin.debug": {"msg": "{{ lookup('mail2fax.m365.document', 'record') }}"}},
        {"ansible.builtin.import_role": role, "vars": {"handover_results": {}}},
        {"ansible.builtin.import_role": {**role, "tasks_from": "record"}},
        {"ansible.builtin.debug": {"msg": "{{ handover_last.host }} " + looked_up}},
        {"mail2fax.m365.handover_file": {"path": "x/y.json", "document": "other.json", "content": "{}"}},
        {"mail2fax.m365.handover_file": {"path": str(tmp_path / "plain.json"), "content": "{}"}},
    ]
    with start_emulator(tenants(1)) as emulator:
        fleet = Fleet(tmp_path / "fleet", emulator, variables={"mail2fax_record_store": store})
        alive = bao.tokens()
        run = fleet.play([{"hosts": "all", "gather_facts": False, "tasks": tasks}])
    assert run.code == 0, run.output
    assert "tenant01 Hand-over sheet||" in run.output
    assert (bao.kept(f"{RECORDS}/tenant01/other.json") or {})["text"] == "{}"
    assert (tmp_path / "plain.json").read_text(encoding="utf-8") == "{}"
    assert bao.tokens() == alive
