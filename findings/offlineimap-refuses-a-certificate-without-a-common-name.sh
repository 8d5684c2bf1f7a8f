#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     OfflineIMAP 8.0.3 (offlineimap on PyPI)
# Seen:     A server certificate whose names stand in subjectAltName alone is refused with "no commonName found in certificate",
#           although the name that was asked for is among them and the authority is trusted. The same certificate with any
#           commonName beside them, one that has nothing to do with the host, is accepted.
# A guess:  subjectAltName decides, and a common name is not looked at; certificates of public authorities leave it out today.
# For us:   A relay, a proxy that inspects TLS, or a test double in front of IMAP gets a modern certificate and every other client
#           is content. The message names the CA ("CA Cert verifying failed"), so people exchange CA files. Issue the relay's
#           certificate with a common name.
# Seen how: Two certificates of one test authority for the same names, with and without a common name; a server on loopback
#           that greets and waits. What counts is whether the client speaks after the handshake.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install -q --disable-pip-version-check offlineimap==8.0.3 trustme==1.2.1
"$here/env/bin/python" - "$here" <<'PYTHON'
import contextlib
import pathlib
import socket
import ssl
import subprocess
import sys
import threading

import trustme

HERE = pathlib.Path(sys.argv[1])
authority = trustme.CA()
authority.cert_pem.write_to_path(str(HERE / "ca.pem"))


def run(**names):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", **names).configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))
    heard = []

    def serve():
        connection, _peer = listener.accept()
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as wire:
            wire.sendall(b"* OK ready\r\n")
            heard.append(wire.recv(1000))

    threading.Thread(target=serve, daemon=True).start()
    (HERE / "rc").write_text(
        f"[general]\naccounts = fax\nui = basic\nmetadata = {HERE}/meta\n"
        "[Account fax]\nlocalrepository = here\nremoterepository = there\n"
        f"[Repository here]\ntype = Maildir\nlocalfolders = {HERE}/mail\n"
        "[Repository there]\ntype = IMAP\nremotehost = localhost\nremoteuser = fax@contoso.example\nremotepass = x\n"
        f"remoteport = {listener.getsockname()[1]}\nssl = yes\nsslcacertfile = {HERE}/ca.pem\n"
    )
    words = [HERE / "env/bin/offlineimap", "-c", HERE / "rc", "-1"]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=60)
    said = answer.stdout + answer.stderr
    return any(b"CAPABILITY" in words for words in heard), "no commonName found in certificate" in said


seen = {
    "names in subjectAltName alone": run(),
    "another common name beside them": run(common_name="elsewhere.example"),
}
for title, (spoke, complained) in seen.items():
    print(f"{title}: {'accepted' if spoke else 'refused'}{', no commonName found' if complained else ''}")
assert seen["names in subjectAltName alone"] == (False, True)
assert seen["another common name beside them"] == (True, False)
PYTHON
