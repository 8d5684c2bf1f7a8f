# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records in a real OpenBao: a job on any node finds what the last one left, and none of them loses it."""

from __future__ import annotations

import json
import socket
import time
import typing as t

import pytest

from tests.integration.kept import (
    DOCUMENTS,
    HOST,
    RECORDS,
    THEIRS,
    WORLD,
    Nodes,
    a_bao,
    a_hosted,
    at_the_proof,
    some_nodes,
)
from tests.openbao import POLICY, Bao

__all__ = ["a_bao", "a_hosted", "some_nodes"]
Json = dict[str, t.Any]


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


def silent_version_1(bao: Bao) -> Json:
    """A token that may not ask what the mount is."""
    if bao.ask("GET", "sys/mounts/older/tune").status_code != 200:
        bao.mount("older", 1)
    rules = POLICY.format(mount="older") + 'path "sys/internal/*" { capabilities = ["deny"] }\n'
    bao.do("PUT", "sys/policies/acl/older", {"policy": rules})
    return {"mount": "older", "token": bao.token("older")}


def somebody_else_s(bao: Bao) -> Json:
    bao.do("POST", f"secret/data/mail2fax/theirs/{HOST}/record", {"data": {"password": "canary"}})
    return {"path": "mail2fax/theirs"}


BEFORE: dict[str, tuple[t.Callable[[Bao], Json], str]] = {
    "unreachable": (lambda _bao: {"url": f"https://127.0.0.1:{closed_port()}"}, "does not answer"),
    "version 1": (version_1, "bao kv enable-versioning old"),
    "version 1 unasked": (silent_version_1, "bao kv enable-versioning older"),
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


@pytest.mark.turn("records")
def test_a_sealed_store_blocks_every_playbook(nodes: Nodes) -> None:
    nodes.bao.seal()
    try:
        for playbook, extra in (("provision", {}), ("rotate", {}), ("decommission", {"mail2fax_confirm": True})):
            run, _site = nodes.on_any(playbook, **extra)
            assert (run.code, run.writes()) == (2, []), run.output
            assert "it is sealed" in run.output
            assert "mail2fax_record_store" in run.output, run.output
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


@pytest.mark.turn("records")
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


@pytest.mark.turn("records")
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
