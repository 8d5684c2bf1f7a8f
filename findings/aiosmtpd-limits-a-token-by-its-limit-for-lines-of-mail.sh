#!/usr/bin/env bash
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# What:     aiosmtpd 1.4.6
# Seen:     A server that offers AUTH XOAUTH2 refuses the one-line form from about 480 characters on with 500 "Command line too
#           long". Raising the limit made for it, command_size_limit, helps to 1,000 characters only: behind it stands the
#           other limit, line_length_limit, meant for lines of a message, which also bounds what a stream reads. Both have to
#           be raised. The two steps of the long form are bounded by the second one alone.
# A guess:  An authentication server takes the 12,288 octets that RFC 4954 asks for, or its limit for commands is the limit.
# For us:   Tokens of Entra have 1,500 to 3,000 characters. Relays in front of fax servers and doubles of mail servers in tests
#           refuse each of them in one line, with a code that other servers use for an unknown command.
# Seen how: One server for each setting, smtplib with a made-up token of the lengths named, both forms.
set -eu
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
python3 -m venv "$here/env"
"$here/env/bin/pip" install -q --disable-pip-version-check aiosmtpd==1.4.6
"$here/env/bin/python" - <<'PYTHON'
import base64
import smtplib
import socket

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import MISSING, SMTP, AuthResult


class Mailboxes:
    async def auth_XOAUTH2(self, server, words):  # the name makes the mechanism
        blob = words[1] if len(words) > 1 else await server.challenge_auth("")
        return AuthResult(success=blob is not MISSING)


def answers(command_limit, line_limit):
    class Server(SMTP):
        command_size_limit = command_limit
        line_length_limit = line_limit

    class Started(Controller):
        def factory(self):
            made = Server(self.handler, auth_require_tls=False, authenticator=lambda *_args: AuthResult(success=True))
            made.command_size_limits.clear()
            made.command_size_limits["AUTH"] = command_limit
            return made

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Started(Mailboxes(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        return {length: (one_line(port, length), two_lines(port, length)) for length in (200, 600, 2000)}
    finally:
        controller.stop()


def blob(length):
    return base64.b64encode(f"user=fax@contoso.example\1auth=Bearer {'e' * length}\1\1".encode()).decode()


def one_line(port, length):
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.ehlo()
        assert "XOAUTH2" in client.esmtp_features["auth"]
        return client.docmd("AUTH", f"XOAUTH2 {blob(length)}")[0]


def two_lines(port, length):
    if length > 600:
        return None  # past line_length_limit it is no better; not shown
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.ehlo()
        assert client.docmd("AUTH", "XOAUTH2")[0] == 334
        return client.docmd(blob(length))[0]


seen = {
    "as it comes": answers(SMTP.command_size_limit, SMTP.line_length_limit),
    "command_size_limit = 12288": answers(12288, SMTP.line_length_limit),
    "both = 12288": answers(12288, 12288),
}
print("token's length: (answer to one line, to two)")
for setting, codes in seen.items():
    print(f"{setting}: {codes}")
assert seen["as it comes"] == {200: (235, 235), 600: (500, 235), 2000: (500, None)}
assert seen["command_size_limit = 12288"] == {200: (235, 235), 600: (235, 235), 2000: (500, None)}
assert seen["both = 12288"][2000][0] == 235
PYTHON
