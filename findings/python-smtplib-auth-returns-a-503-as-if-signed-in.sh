#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     Python's smtplib (3.11 to 3.13)
# Seen:     auth() returns as if all were well when the server answers AUTH with 503. A server that wants EHLO again after STARTTLS
#           says just that, "503 Send hello first", and auth(), other than login(), sends no EHLO. Nothing is raised;
#           the refusal comes with MAIL, as SMTPSenderRefused, and names the sender.
# A guess:  Whatever is not 235 raises SMTPAuthenticationError, as the documentation of login() has it.
# For us:   XOAUTH2 is done by auth(), because login() does not know it, so those who connect a fax server to Microsoft 365 meet
#           it and nobody else: "the sign-in works, the sender is refused", and rights to send as somebody are handed out. Call
#           ehlo() after starttls(), and take nothing but 235 for a sign-in.
# Seen how: A server on loopback that forgets the greeting at STARTTLS, as RFC 3207 wants it; auth() with and without ehlo().
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install -q --disable-pip-version-check trustme==1.2.1
"$here/env/bin/python" - "$here" <<'PYTHON'
import contextlib
import smtplib
import socket
import ssl
import sys
import threading

import trustme

authority = trustme.CA()
authority.cert_pem.write_to_path(f"{sys.argv[1]}/ca.pem")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost").configure_cert(context)
listener = socket.create_server(("127.0.0.1", 0))


def serve():
    while True:
        talk(listener.accept()[0])


def talk(wire):
    wire.sendall(b"220 ready\r\n")
    file, greeted, signed_in = wire.makefile("r"), False, False
    with contextlib.suppress(OSError):
        while line := file.readline():
            verb = line.split()[0].upper()
            if verb == "EHLO":
                greeted, said = True, "250-host\r\n250-STARTTLS\r\n250 AUTH XOAUTH2"
            elif verb == "STARTTLS":
                wire.sendall(b"220 2.0.0 SMTP server ready\r\n")
                wire = context.wrap_socket(wire, server_side=True)
                file, greeted = wire.makefile("r"), False
                continue
            elif not greeted:
                said = "503 5.5.2 Send hello first"
            elif verb == "AUTH":
                signed_in, said = True, "235 2.7.0 Authentication successful"
            elif verb == "MAIL":
                said = "250 2.1.0 Sender OK" if signed_in else "530 5.7.57 Client not authenticated to send mail."
            elif verb == "DATA":
                wire.sendall(b"354 go on\r\n")
                while file.readline().strip() != ".":
                    pass
                said = "250 OK"
            else:
                said = "221 bye" if verb == "QUIT" else "250 OK"
            wire.sendall(f"{said}\r\n".encode())
            if verb == "QUIT":
                wire.close()
                return


def run(greet):
    client = smtplib.SMTP("localhost", listener.getsockname()[1], timeout=20)
    client.starttls(context=ssl.create_default_context(cafile=f"{sys.argv[1]}/ca.pem"))
    if greet:
        client.ehlo()
    answer = client.auth("XOAUTH2", lambda challenge=None: "user=fax@contoso.example\1auth=Bearer e\1\1")
    try:
        client.sendmail("fax@contoso.example", ["someone@contoso.example"], "Subject: test\r\n\r\ntest")
        sent = "sent"
    except smtplib.SMTPException as error:
        sent = f"{type(error).__name__} {error.smtp_code}"
    client.quit()
    return answer[0], sent


threading.Thread(target=serve, daemon=True).start()
seen = {"ehlo() after starttls()": run(True), "without it": run(False)}
for title, (auth, mail) in seen.items():
    print(f"{title}: auth() returned {auth}, sendmail(): {mail}")
assert seen == {"ehlo() after starttls()": (235, "sent"), "without it": (503, "SMTPSenderRefused 530")}
PYTHON
