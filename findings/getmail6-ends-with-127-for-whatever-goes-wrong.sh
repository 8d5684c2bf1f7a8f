#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     getmail6 6.20.2
# Seen:     Exit code 127 for a refused sign-in, for a mailbox that does not open, and for a server that is not there. Only the
#           text tells them apart, and its first words mislead: a mailbox that does not open is a "CAPABILITY command error",
#           and a refused sign-in is a "credential/login error" with IMAP, but an "operation error" with POP.
# A guess:  Small exit codes of its own, another one for each; 127 is what a shell says when it does not find a program.
# For us:   A job that fetches faxes tells its monitoring "getmail: command not found" when the application lost a right on a
#           mailbox, and people mend PATH. A retry for network troubles alone cannot be made from the code.
# Seen how: A server on loopback for IMAP and POP, with the words that Exchange Online uses; a port where nobody listens.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install -q --disable-pip-version-check getmail6==6.20.2
"$here/env/bin/python" - "$here" <<'PYTHON'
import pathlib
import socket
import subprocess
import sys
import threading

HERE = pathlib.Path(sys.argv[1])
for name in ("cur", "new", "tmp"):
    (HERE / "mail" / name).mkdir(parents=True)


def imap(lines, say, sign_in, first):
    say("* OK ready")
    signed_in = False
    for line in lines:
        tag, verb = line.split()[:2]
        if verb == "AUTHENTICATE":
            say("+ ")
            next(lines)
            signed_in = sign_in.startswith("OK")
            say(f"{tag} {sign_in}")
        elif verb == "LOGOUT":
            say(f"{tag} OK bye")
            return
        elif signed_in and first:
            say(f"{tag} {first}")
        else:
            say("* CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR", f"{tag} OK done")


def pop(lines, say, sign_in, _first):
    say("+OK ready")
    for line in lines:
        if line.startswith("AUTH"):
            say("+ ")
            next(lines)
            say(sign_in)
        else:
            say("+OK")


def run(kind, talk, sign_in="", first=""):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def serve():
        connection, _peer = listener.accept()
        with connection, connection.makefile("r", newline="\r\n") as file:
            lines = (line.rstrip() for line in file)
            talk(lines, lambda *said: connection.sendall("".join(f"{one}\r\n" for one in said).encode()), sign_in, first)

    if talk:
        threading.Thread(target=serve, daemon=True).start()
    else:
        listener.close()
    mailboxes = 'mailboxes = ("INBOX",)\n' if "IMAP" in kind else ""
    (HERE / "getmailrc").write_text(
        f"[retriever]\ntype = {kind}\nserver = 127.0.0.1\nport = {port}\nusername = fax@contoso.example\n"
        f'use_xoauth2 = True\npassword_command = ("echo", "token")\n{mailboxes}'
        f"[destination]\ntype = Maildir\npath = {HERE}/mail/\n"
    )
    words = [HERE / "env/bin/python", HERE / "env/bin/getmail", "--getmaildir", HERE]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=60)
    return answer.returncode, (answer.stdout + answer.stderr).strip().splitlines()[-1].strip()


refused = "-ERR Authentication failure: unknown user name or bad password."
seen = {
    "IMAP, sign-in refused": run("SimpleIMAPRetriever", imap, "NO AUTHENTICATE failed."),
    "IMAP, mailbox shut": run("SimpleIMAPRetriever", imap, "OK done", "BAD User is authenticated but not connected."),
    "POP, sign-in refused": run("SimplePOP3Retriever", pop, refused),
    "nobody listens": run("SimpleIMAPRetriever", None),
}
for title, (code, words) in seen.items():
    print(f"{title}: exit code {code}, {words}")
assert {code for code, _words in seen.values()} == {127}
assert "credential/login error" in seen["IMAP, sign-in refused"][1]
assert "CAPABILITY command error" in seen["IMAP, mailbox shut"][1]
assert "operation error" in seen["POP, sign-in refused"][1]
assert "socket error" in seen["nobody listens"][1]
PYTHON
