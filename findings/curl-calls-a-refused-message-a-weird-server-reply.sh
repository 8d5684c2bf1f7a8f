#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     libcurl 8.23.0 (pycurl 7.49.0; curl 7.88.1 of Debian 12 does the same)
# Seen:     A message that the server refuses at its end, after everything was sent (554 5.2.252 SendAsDenied, or 430 for a mailbox
#           that cannot be opened), ends with code 8, "Weird server reply". The number and the words of the refusal are in no
#           message. A sender that is refused at MAIL is told with its number, as code 55.
# A guess:  A refusal of the message is a send error that says 554; a weird reply is one that breaks the protocol.
# For us:   Exchange Online looks at the right to send as somebody only at the end of a message, so a missing right, the most frequent
#           fault of a new fax server, looks like a broken server or a firewall. Ask for the response code
#           (%{response_code}, CURLINFO_RESPONSE_CODE): 554 and 430 stand there.
# Seen how: A server on loopback that refuses at MAIL or at the end of the data, and one that does not.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install -q --disable-pip-version-check pycurl==7.49.0
"$here/env/bin/python" - <<'PYTHON'
import io
import socket
import threading

import pycurl


def run(mail="250 2.1.0 Sender OK", data="250 2.0.0 OK"):
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        wire, _peer = listener.accept()
        with wire, wire.makefile("r") as file:
            wire.sendall(b"220 ready\r\n")
            for line in file:
                verb = line.split()[0].upper()
                said = {"EHLO": "250 host", "MAIL": mail, "DATA": "354 go on", "QUIT": "221 bye"}.get(verb, "250 OK")
                wire.sendall(f"{said}\r\n".encode())
                if verb == "DATA":
                    while file.readline().strip() != ".":
                        pass
                    wire.sendall(f"{data}\r\n".encode())

    threading.Thread(target=serve, daemon=True).start()
    client = pycurl.Curl()
    client.setopt(pycurl.URL, f"smtp://127.0.0.1:{listener.getsockname()[1]}")
    client.setopt(pycurl.MAIL_FROM, "fax@contoso.example")
    client.setopt(pycurl.MAIL_RCPT, ["someone@contoso.example"])
    client.setopt(pycurl.UPLOAD, True)
    client.setopt(pycurl.TIMEOUT, 20)
    client.setopt(pycurl.READDATA, io.BytesIO(b"Subject: test\r\n\r\ntest\r\n"))
    try:
        client.perform()
        code, words = 0, ""
    except pycurl.error as error:
        code, words = error.args
    return code, words, client.getinfo(pycurl.RESPONSE_CODE)


print(pycurl.version.split(" OpenSSL")[0])
denied = "554 5.2.252 SendAsDenied; fax@contoso.example not allowed to send as other@contoso.example"
seen = {
    "accepted": run(),
    "refused at MAIL": run(mail="550 5.7.60 SMTP; Client does not have permissions to send as this sender"),
    "refused at the end": run(data=denied),
    "4xx at the end": run(data="430 4.2.0 STOREDRV; mailbox logon failure"),
}
for title, (code, words, response) in seen.items():
    print(f"{title}: code {code} {words!r}, response code {response}")
assert seen["accepted"][0] == 0
assert seen["refused at MAIL"][0] == 55 and "550" in seen["refused at MAIL"][1]
for title, number in (("refused at the end", 554), ("4xx at the end", 430)):
    code, words, response = seen[title]
    assert code == 8 and str(number) not in words and response == number
PYTHON
