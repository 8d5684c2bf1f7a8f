# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small AWX over HTTP on loopback, for as long as a block lasts.

with serving() as awx:
    run(..., env=awx.environment)
"""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import threading
import typing as t
import urllib.parse

from tests.awx.api import KINDS, Awx, Refused

Json = dict[str, t.Any]
TOKEN = "token-of-the-tests"
THING = re.compile(r"/api/v2/(\w+)/(?:(\d+)/(?:(\w+)/)?)?")


class Served(Awx):
    """An Awx that can be reached."""

    url = ""

    @property
    def environment(self) -> dict[str, str]:
        """What the modules of awx.awx read."""
        return {"CONTROLLER_HOST": self.url, "CONTROLLER_OAUTH_TOKEN": TOKEN, "CONTROLLER_VERIFY_SSL": "false"}

    def answer(self, method: str, path: str, query: dict[str, str], body: Json) -> tuple[int, Json | None]:
        found = THING.fullmatch(path)
        if found is None:
            raise Refused(404, {"detail": "Not found."})
        kind, number, more = found[1], int(found[2] or 0), found[3]
        if method != "GET":
            self.writes.append((method, path, body))
        if kind == "unified_job_templates" and method == "GET":
            return 200, _listed(self.find(kind, query))
        if kind not in KINDS:
            raise Refused(404, {"detail": "Not found."})
        if more:
            return self._sublist(method, kind, number, more, body)
        if not number:
            if method == "GET":
                return 200, _listed(self.find(kind, query))
            return 201, self.make(kind, body)
        if method == "GET":
            return 200, self.shown(kind, self.thing(kind, number))
        if method == "PATCH":
            return 200, self.change(kind, number, body)
        self.remove(kind, number)
        # AWX removes an inventory in its own time.
        return (202 if kind == "inventories" else 204), None

    def _sublist(self, method: str, kind: str, number: int, more: str, body: Json) -> tuple[int, Json | None]:
        if more == "survey_spec" and KINDS[kind].survey:
            from tests.awx import rules

            self.thing(kind, number)
            if method == "GET":
                return 200, self.surveys.get(number, {})
            complaints = list(rules.survey(body))
            if complaints:
                raise Refused(400, {"error": "; ".join(complaints)})
            self.surveys[number] = body
            return 200, {}
        if more == "create_approval_template" and kind == "workflow_job_template_nodes":
            made = self.make("workflow_approval_templates", body)
            self.thing(kind, number)["unified_job_template"] = made["id"]
            return 201, made
        if more not in KINDS[kind].lists:
            raise Refused(404, {"detail": "Not found."})
        if method == "GET":
            return 200, _listed(self.associated(kind, number, more))
        self.associate(kind, number, more, body)
        return 204, None


def _listed(found: list[Json]) -> Json:
    return {"count": len(found), "next": None, "previous": None, "results": found}


@contextlib.contextmanager
def serving() -> t.Iterator[Served]:
    awx = Served()
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}") if length else {}
            parts = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(parts.query))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._send(401, {"detail": "Authentication credentials were not provided."})
                return
            try:
                with lock:
                    status, answer = awx.answer(self.command, parts.path, query, body)
            except Refused as refused:
                status, answer = refused.status, refused.body
            self._send(status, answer)

        do_GET = do_POST = do_PATCH = do_DELETE = _do

        def _send(self, status: int, answer: Json | None) -> None:
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("X-API-Product-Name", "AWX")
            self.send_header("X-API-Product-Version", "24.6.1")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: t.Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    awx.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield awx
    finally:
        server.shutdown()
        server.server_close()
