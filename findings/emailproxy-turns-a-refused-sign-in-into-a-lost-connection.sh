#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     emailproxy 2026.7.3 (Email OAuth 2.0 Proxy), with Python's smtplib 3.11
# Seen:     When the mail server refuses the token (535), the proxy hands the 535 on and closes the connection. smtplib's login()
#           tries the next mechanism that was offered, finds the connection gone, and raises SMTPServerDisconnected: the 535 with
#           its reason is nowhere. Without the proxy the same server and client end in SMTPAuthenticationError with code 535.
# A guess:  The proxy is not seen: what the server answers is what the client reports.
# For us:   A fax server behind the proxy writes "Connection unexpectedly closed" for a role that is not in force yet, for SMTP AUTH
#           that is switched off and for a wrong address, and the firewall is suspected. Read the proxy's log, not the client's.
# Seen how: A server on loopback that refuses each sign-in with Exchange Online's words; a token endpoint beside it. One client
#           through the proxy, one without.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install -q --disable-pip-version-check emailproxy==2026.7.3 trustme==1.2.1
"$here/env/bin/python" - "$here" <<'PYTHON'
import contextlib
import http.server
import json
import os
import pathlib
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import time

import trustme

HERE, USER = pathlib.Path(sys.argv[1]), "fax@contoso.example"
authority = trustme.CA()
authority.cert_pem.write_to_path(str(HERE / "ca.pem"))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost", common_name="localhost").configure_cert(context)
listener = socket.create_server(("127.0.0.1", 0))
PORT = listener.getsockname()[1]


def talk(connection):
    with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as wire, wire.makefile("r") as file:
        wire.sendall(b"220 ready\r\n")
        for line in file:
            if line.upper().startswith("EHLO"):
                wire.sendall(b"250-host\r\n250 AUTH LOGIN XOAUTH2\r\n")
            elif line.startswith("AUTH XOAUTH2"):
                if len(line.split()) < 3:
                    wire.sendall(b"334 \r\n")
                    file.readline()
                wire.sendall(b"535 5.7.3 Authentication unsuccessful\r\n")
            elif line.upper().startswith("QUIT"):
                wire.sendall(b"221 2.0.0 Service closing transmission channel\r\n")
            else:
                wire.sendall(b"504 5.7.4 Unrecognized authentication type\r\n")


def serve():
    while True:
        threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()


class Tokens(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        text = json.dumps({"token_type": "Bearer", "expires_in": 3599, "access_token": "e" * 1500}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_words):
        pass


threading.Thread(target=serve, daemon=True).start()
tokens = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
threading.Thread(target=tokens.serve_forever, daemon=True).start()
with socket.create_server(("127.0.0.1", 0)) as free:
    local = free.getsockname()[1]
(HERE / "proxy.config").write_text(f"""[SMTP-{local}]
local_address = 127.0.0.1
server_address = localhost
server_port = {PORT}
[{USER}]
token_url = http://127.0.0.1:{tokens.server_port}/tenant/oauth2/v2.0/token
oauth2_scope = https://outlook.office365.com/.default
oauth2_flow = client_credentials
client_id = x
client_secret = y
""")


def seen(act):
    try:
        return act()
    except smtplib.SMTPException as error:
        return type(error).__name__, getattr(error, "smtp_code", None)


def straight():
    with smtplib.SMTP_SSL("localhost", PORT, context=ssl.create_default_context(cafile=HERE / "ca.pem"), timeout=20) as client:
        client.ehlo()
        return client.auth("XOAUTH2", lambda challenge=None: f"user={USER}\1auth=Bearer {'e' * 1500}\1\1")


def behind_the_proxy():
    client = smtplib.SMTP("127.0.0.1", local, timeout=20)
    return client.login(USER, "word")


words = [HERE / "env/bin/emailproxy", "--no-gui", "--config-file", HERE / "proxy.config", "--log-file", HERE / "log"]
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
with subprocess.Popen(words, cwd=HERE, env={**os.environ, "SSL_CERT_FILE": str(HERE / "ca.pem")}, **quiet) as proxy:
    try:
        for _attempt in range(100):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", local), 1).close()
                break
            time.sleep(0.1)
        found = {"without the proxy": seen(straight), "through the proxy": seen(behind_the_proxy)}
    finally:
        proxy.terminate()
for title, what in found.items():
    print(f"{title}: {what}")
assert found["without the proxy"] == ("SMTPAuthenticationError", 535)
assert found["through the proxy"] == ("SMTPServerDisconnected", None)
PYTHON
