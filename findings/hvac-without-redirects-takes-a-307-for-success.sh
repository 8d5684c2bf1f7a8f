#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     hvac 2.4.0
# Seen:     Client(allow_redirects=False) raises nothing when the store answers 307. Every call returns the redirection as a
#           requests.Response, like one that worked: a write that was stored nowhere, a removal that removed nothing.
# A guess:  Without leave to follow it, a redirection ends in one of hvac.exceptions.
# For us:   Who forbids redirections so that a token goes to the named node only (a standby or a load balancer sends clients
#           elsewhere) loses secrets in silence: a client secret that Entra shows once is "stored", and gone. Look at the type
#           of what a call returns, and read back what was written.
# Seen how: A server on loopback answers each request with 307 and counts. It is what a standby node without forwarding says.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install -q --disable-pip-version-check hvac==2.4.0
"$here/env/bin/python" - <<'PYTHON'
import http.server
import threading

import hvac

asked = []


class Standby(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked.append(f"{self.command} {self.path}")
        self.send_response(307)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/active{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Standby)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = hvac.Client(f"http://127.0.0.1:{server.server_port}", token="a-token", allow_redirects=False)
kv = client.secrets.kv.v2
got = {
    "write": kv.create_or_update_secret("fax", secret={"client_secret": "shown-once"}, cas=0),
    "read": kv.read_secret_version("fax", raise_on_deleted_version=True),
    "remove": kv.delete_metadata_and_all_versions("fax"),
}
for name, value in got.items():
    print(f"{name}: {value!r}, ok={value.ok}")
print("asked:", asked)
assert all(value.status_code == 307 and value.ok for value in got.values())
assert not any("/active" in line for line in asked), "it followed"
PYTHON
