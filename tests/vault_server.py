# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of HashiCorp Vault's HTTP API as hvac needs for a KV version 2 secret; statuses and texts are Vault's.

For what a real server (``tests.openbao``) cannot be brought to: lost answers, redirects, values given back altered.

with vault_server() as vault:
    hvac.Client(url=vault.url, token=TOKEN).secrets.kv.v2.read_secret_version(...)
"""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import typing as t
from dataclasses import dataclass, field

Json = dict[str, t.Any]
Answer = tuple[int, Json | None]

TOKEN = "hvs.canary-token-of-the-run"
ROLE_ID, SECRET_ID = "fax-role", "fax-role-secret-id"
ALL = ("create", "delete", "list", "read", "update")
NO_MATCH = "check-and-set parameter did not match the current version"


@dataclass
class VaultServer:
    """``secrets`` has the versions of each path, None for one that was deleted. ``fault`` may answer in its stead.

    ``fault(method, path, after)`` is asked before (``after=False``) and after the work; an int is a status, "drop" ends
    the connection without an answer, None goes on.
    """

    url: str = ""
    mount: str = "secret"
    sealed: bool = False
    tokens: dict[str, tuple[str, ...]] = field(default_factory=lambda: {TOKEN: ALL})
    secrets: dict[str, list[Json | None]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    fault: t.Callable[[str, str, bool], int | str | None] = lambda _method, _path, _after: None
    alter: t.Callable[[Json], Json] = lambda data: data
    redirect: tuple[int, str] | None = None
    """Status and address of what everything is answered with."""

    def answer(self, method: str, path: str, token: str, body: Json) -> Answer:
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if (method, path) == ("POST", "auth/approle/login"):
            if (body.get("role_id"), body.get("secret_id")) != (ROLE_ID, SECRET_ID):
                return 400, {"errors": ["invalid role or secret ID"]}
            return 200, {"auth": {"client_token": TOKEN, "policies": ["default"]}}
        may = self.tokens.get(token)
        if may is None:
            return 403, {"errors": ["permission denied"]}
        if (method, path) == ("POST", "sys/capabilities-self"):
            granted = {name: list(may) or ["deny"] for name in body["paths"]}
            return 200, {**granted, "capabilities": next(iter(granted.values())), "data": granted}
        if (method, path) == ("GET", f"sys/internal/ui/mounts/{self.mount}"):
            return 200, {"data": {"type": "kv", "options": {"version": "2"}}}
        kind, _slash, name = path.removeprefix(f"{self.mount}/").partition("/")
        if not path.startswith(f"{self.mount}/") or kind not in ("data", "metadata"):
            return 404, {"errors": [f"no handler for route {path!r}. route entry not found."]}
        needed = {"GET": "read", "DELETE": "delete"}.get(method) or ("update" if name in self.secrets else "create")
        if needed not in may and "root" not in may:
            return 403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
        versions = self.secrets.get(name, [])
        if kind == "metadata" and method == "DELETE":
            self.secrets.pop(name, None)
            return 204, None
        if method == "GET":
            return self._read(versions)
        if method in ("POST", "PUT"):
            return self._write(name, versions, body)
        return 405, {"errors": ["unsupported operation"]}

    def _read(self, versions: list[Json | None]) -> Answer:
        if not versions:
            return 404, {"errors": []}
        if versions[-1] is None:
            return 404, {"data": {"data": None, "metadata": _metadata(versions)}}
        return 200, {"data": {"data": versions[-1], "metadata": _metadata(versions)}}

    def _write(self, name: str, versions: list[Json | None], body: Json) -> Answer:
        cas = body.get("options", {}).get("cas")
        if cas is not None and cas != len(versions):
            return 400, {"errors": [NO_MATCH]}
        self.secrets[name] = [*versions, self.alter(body["data"])]
        return 200, {"data": _metadata(self.secrets[name])}


def _metadata(versions: list[Json | None]) -> Json:
    deleted = "" if versions[-1] is not None else "2026-11-21T12:00:01.000000Z"
    return {
        "created_time": "2026-11-21T12:00:00.000000Z",
        "custom_metadata": None,
        "deletion_time": deleted,
        "destroyed": False,
        "version": len(versions),
    }


@contextlib.contextmanager
def vault_server() -> t.Iterator[VaultServer]:
    """A server on loopback for as long as the block lasts."""
    vault = VaultServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            method, path = self.command, self.path.removeprefix("/v1/")
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            vault.seen.append((method, path))
            met = vault.fault(method, path, False)
            if met is None:
                answer = vault.answer(
                    method, path, self.headers.get("X-Vault-Token", ""), json.loads(raw) if raw else {}
                )
                met = vault.fault(method, path, True)
            if met == "drop":
                self.close_connection = True
                return
            if vault.redirect is not None:
                self.send_response(vault.redirect[0])
                self.send_header("Location", vault.redirect[1])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            status, document = (int(met), {"errors": ["fault"]}) if met is not None else answer
            content = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

        def log_message(self, format: str, *args: t.Any) -> None:
            """Tests are quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    vault.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield vault
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
