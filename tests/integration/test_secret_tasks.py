# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets in playbooks, as people write them: stores chosen by the option, values that are asked for, and refusals."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ansible_collections.mail2fax.m365.plugins.module_utils._store import StoredSecret
from tests.emulator.hosted import start_hosted
from tests.emulator.testing import Emulator, start_emulator
from tests.integration.harness import OPERATOR, TENANT_ID
from tests.integration.inprocess import play_in_process
from tests.integration.secrets import APP_ID, NAME, TENANTS, Json, World
from tests.openbao import openbao

PLAYBOOK = pathlib.Path(sys.executable).with_name("ansible-playbook")
MODULE = "mail2fax.m365.entra_application_secret"


def play(
    emulator: Emulator, folder: pathlib.Path, tasks: list[Json], secrets: Json, *arguments: str
) -> tuple[str, Json]:
    """(all that was printed, each task's registered result by its name); a task that fails does not end the play."""
    variables = [f"task_{number}" for number in range(len(tasks))]
    connection = {name: OPERATOR[name] for name in ("tenant", "client_id", "client_secret")}
    listed = [
        {"name": task["name"], "ignore_errors": True, "register": variable, **task}
        for variable, task in zip(variables, tasks, strict=True)
    ]
    keep = {
        "name": "Keep the results",
        "ansible.builtin.copy": {
            "dest": str(folder / "results.json"),
            "mode": "0600",
            "content": "{{ dict(names | zip(names | map('extract', vars))) | to_json }}",
        },
        "no_log": True,
        "vars": {"names": variables},
    }
    book = [
        {
            "hosts": "contoso",
            "gather_facts": False,
            "module_defaults": {"group/mail2fax.m365.m365": {**connection, "patience": 20}},
            "tasks": [*listed, keep],
        }
    ]
    (folder / "play.yml").write_text(yaml.safe_dump(book, sort_keys=False), encoding="utf-8")
    # Secrets are variables, as they should be: Ansible quotes a task's source when it fails.
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **secrets}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"contoso": host}}}), encoding="utf-8")
    done = subprocess.run(
        [str(PLAYBOOK), "-i", str(folder / "hosts.yml"), *arguments, str(folder / "play.yml")],
        env={**os.environ, **emulator.env()},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert (folder / "results.json").is_file(), printed
    kept = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return printed, {task["name"]: kept[variable] for variable, task in zip(variables, tasks, strict=True)}


def task(name: str, /, no_log: bool = False, **options: t.Any) -> Json:
    return {"name": name, MODULE: {"app_id": APP_ID, "display_name": name, **options}, "no_log": no_log}


@pytest.mark.slow
def test_stores_and_values_in_tasks(tmp_path: pathlib.Path):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "fax.pub").write_bytes(public)
    (tmp_path / "bao").mkdir()
    with start_emulator(TENANTS) as emulator, openbao(tmp_path / "bao") as bao:
        role = bao.role("fax")
        token = bao.token("fax")
        kv = {"backend": "hashi_vault", "url": bao.url, "ca_path": bao.ca, "path": "mail2fax/contoso"}
        by_role = {**kv, "path": "mail2fax/approle", "role_id": role["role_id"], "secret_id": "{{ secret_id }}"}
        printed, results = play(
            emulator,
            tmp_path,
            [
                task("vault", store={**kv, "token": "{{ token }}"}),
                task("vault again", display_name="vault", store={**kv, "token": "{{ token }}"}),
                task("approle", store=by_role),
                task("sealed", store={"backend": "none", "seal_to": str(tmp_path / "fax.pub")}),
                task("plain", return_value=True),
                task("plain and hidden", return_value=True, no_log=True),
                task("both", return_value=True, store={**kv, "token": "{{ token }}"}),
                task("mixed", store={"backend": "vault_file", "path": "x", "url": bao.url}),
                task("nobody"),
                task("no password", store={"backend": "vault_file", "path": str(tmp_path / "secret.yml")}),
                task("wrong token", store={**kv, "path": "x", "token": "{{ wrong_token }}"}),
                task("unknown", store={"backend": "nowhere"}),
            ],
            {"token": token, "secret_id": role["secret_id"], "wrong_token": "canary-wrong-token"},
            "-vvvv",
            "--diff",
        )
        world = World(emulator, tmp_path)
        stored = bao.kept("mail2fax/contoso") or {}
        assert results["vault"]["outcome"] == "changed", results["vault"]
        assert (stored["key_id"], stored["client_id"]) == (results["vault"]["key_id"], APP_ID)
        assert results["vault again"]["changed"] is False
        assert results["approle"]["outcome"] == "changed", results["approle"]
        oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
        sealed = key.decrypt(base64.b64decode(results["sealed"]["sealed_value"]), oaep).decode()
        hidden = results["plain and hidden"]["secret_text"]
        approle = (bao.kept("mail2fax/approle") or {})["value"]
        values = [stored["value"], approle, sealed, hidden]
        for value in values:
            assert world.signs_in(StoredSecret(TENANT_ID, APP_ID, "", "", "", "", value))
            assert value not in printed
        for secret in (token, role["secret_id"], "canary-wrong-token"):
            assert secret not in printed
        assert "no_log: true" in results["plain"]["msg"]
        assert "mutually exclusive" in results["both"]["msg"]
        assert "has no option url" in results["mixed"]["msg"]
        assert "nobody would receive" in results["nobody"]["msg"]
        assert "no vault password" in results["no password"]["msg"]
        assert "refuses the token" in results["wrong token"]["msg"]
        assert "nowhere" in results["unknown"]["msg"]
        made = {item["displayName"] for item in world.alive()} - {"somebody else's", NAME}
        assert made == {"vault", "approle", "sealed", "plain and hidden"}, "what was refused has made nothing"


def test_a_provision_that_could_not_be_proven_is_refused_before_anything(tmp_path: pathlib.Path):
    variables = {
        "mail2fax_tenant": OPERATOR["tenant"],
        "mail2fax_client_id": OPERATOR["client_id"],
        "mail2fax_client_secret": OPERATOR["client_secret"],
        "mail2fax_mailboxes": [f"fax@{OPERATOR['tenant']}"],
        "mail2fax_secret_store": {"backend": "none", "seal_to": str(tmp_path / "fax.pub")},
        "mail2fax_handover_dir": str(tmp_path / "handover"),
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (tmp_path / "fax.pub").write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    told = yaml.safe_dump({"all": {"hosts": {"contoso": variables}}})
    (tmp_path / "tenants.yml").write_text(told, encoding="utf-8")
    (tmp_path / "vault-password").write_text("a vault password of the tests", encoding="utf-8")
    with start_hosted() as emulator:
        done = play_in_process(tmp_path, emulator, "provision", [], {})
        assert done.returncode != 0
        assert "name a store that keeps it" in done.stdout
        assert emulator.journal() == []
