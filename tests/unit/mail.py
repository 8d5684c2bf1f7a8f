# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small mail servers behind a proxy of this machine, which say what a test says."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import typing as t
from collections.abc import Iterator

from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._dial import Dialer
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Patience
from tests.unit.network import Authority, head, listener
from tests.unit.script import FakeClock, Script

IMAP_HOST, SMTP_HOST = "outlook.office365.com", "smtp.office365.com"
FAX = "fax@contoso.com"


class Wire:
    """A server's side of a conversation, line by line."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.heard: list[str] = []

    def hear(self) -> str:
        """The next line; raises OSError at the end."""
        line = bytearray()
        while not line.endswith(b"\n"):
            byte = self.sock.recv(1)
            if not byte:
                raise OSError
            line += byte
        self.heard.append(line.decode().rstrip("\r\n"))
        return self.heard[-1]

    def say(self, *lines: str) -> None:
        self.sock.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def encrypt(self, context: ssl.SSLContext) -> None:
        self.sock = context.wrap_socket(self.sock, server_side=True)


Talk = t.Callable[[Wire], None]


class Servers:
    """Listeners, and what they heard. ``connections`` counts the tunnels."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.contexts = {host: authority.server(host) for host in (IMAP_HOST, SMTP_HOST)}
        self.wires: list[Wire] = []
        self.heads: list[str] = []
        self.clock = FakeClock()

    @property
    def heard(self) -> list[str]:
        return [line for wire in self.wires for line in wire.heard]

    @property
    def connections(self) -> int:
        return len(self.heads)

    @contextlib.contextmanager
    def behind(self, talk: Talk, *, patience_s: float = 60.0, timeout_s: float = 5.0) -> Iterator[Http]:
        """Requests whose every connection meets ``talk``, over TLS but for SMTP's, at the end of a proxy."""

        def does(sock: socket.socket) -> None:
            said = head(sock).decode()
            self.heads.append(said)
            wire = Wire(sock)
            self.wires.append(wire)
            wire.say("HTTP/1.1 200 Connection established", "")
            if ":587 " not in said:
                wire.encrypt(self.contexts[IMAP_HOST])
            try:
                talk(wire)
            finally:
                wire.sock.close()  # which may be another one by now

        with listener(does) as port:
            dialer = Dialer({}, ca_path=str(self.authority.path), proxy=f"http://127.0.0.1:{port}")
            yield Http(
                Script([]),
                Patience(self.clock, patience_s),
                timeout_s=timeout_s,
                cloud=CLOUDS["global"],
                dialer=dialer,
            )


def token(*roles: str, value: str = "canary.token.of-an-application", **claims: t.Any) -> Token:
    return Token(value, {"roles": list(roles), **claims})


def told(encoded: str) -> str:
    """What stands in an XOAUTH2 string."""
    return base64.b64decode(encoded).decode()


def imap(
    authenticate: str | None = "OK AUTHENTICATE completed.",
    examine: str | None = "OK [READ-ONLY] EXAMINE completed.",
    *,
    greeting: str = "* OK The Microsoft Exchange IMAP4 service is ready. [QQBNADAA]",
    challenge: str | None = None,
    at_once: bool = False,
    more: t.Mapping[str, t.Sequence[str]] | None = None,
) -> Talk:
    """``at_once``: the refusal comes before the token; ``challenge``: an error challenge after it. None: break off."""
    capability = "CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT"

    def talk(wire: Wire) -> None:
        wire.say(greeting)
        while True:
            tag, _space, rest = wire.hear().partition(" ")
            command = rest.split(" ")[0].upper()
            if command == "UID":
                command = rest.split(" ")[1].upper()
            if command == "CAPABILITY":
                wire.say(f"* {capability}", f"{tag} OK CAPABILITY completed.")
            elif command == "AUTHENTICATE":
                if not at_once:
                    wire.say("+ ")
                    wire.hear()
                    if challenge is not None:
                        wire.say(f"+ {challenge}")
                        wire.hear()
                if authenticate is None:
                    return
                wire.say(f"{tag} {authenticate}")
            elif command in ("EXAMINE", "SELECT"):
                if examine is None:
                    return
                wire.say("* 0 EXISTS", "* 0 RECENT", f"{tag} {examine}")
            elif command == "LOGOUT":
                wire.say("* BYE Microsoft Exchange Server IMAP4 server signing off.", f"{tag} OK LOGOUT completed.")
                return
            else:
                wire.say(
                    *(line.replace("TAG", tag) for line in (more or {}).get(command, ("TAG BAD Command Error. 12",)))
                )

    return talk


def pop(
    authenticate: str = "+OK User successfully logged on.",
    stat: str = "+OK 0 0",
    *,
    greeting: str = "+OK The Microsoft Exchange POP3 service is ready. [QQBNADAA]",
    first: str = "+ ",
    challenge: str | None = None,
) -> Talk:
    def talk(wire: Wire) -> None:
        wire.say(greeting)
        while True:
            command = wire.hear().split(" ")[0].upper()
            if command == "AUTH":
                wire.say(first)
                if not first.startswith("+ "):
                    continue
                wire.hear()
                if challenge is not None:
                    wire.say(f"+ {challenge}")
                    wire.hear()
                wire.say(authenticate)
            elif command == "STAT":
                wire.say(stat)
            elif command == "QUIT":
                wire.say("+OK Microsoft Exchange Server POP3 server signing off.")
                return
            else:
                wire.say("-ERR Protocol error. 16")

    return talk


def smtp(
    context: ssl.SSLContext,
    auth: str = "235 2.7.0 Authentication successful",
    *,
    greeting: str = "220 AM0PR99CA0001.outlook.office365.com Microsoft ESMTP MAIL Service ready",
    starttls: str = "220 2.0.0 SMTP server ready",
    offer: str = "AUTH LOGIN XOAUTH2",
    challenge: str | None = None,
    **replies: str | None,
) -> Talk:
    """``replies``: what ``mail``, ``rcpt``, ``data``, ``body`` and ``rset`` are answered; None breaks off."""
    usual: dict[str, str | None] = {
        "mail": "250 2.1.0 Sender OK",
        "rcpt": "250 2.1.5 Recipient OK",
        "data": "354 Start mail input; end with <CRLF>.<CRLF>",
        "body": "250 2.0.0 OK <x> [Hostname=AM0]",
        "rset": "250 2.0.0 Resetting",
        **replies,
    }

    def talk(wire: Wire) -> None:
        wire.say(greeting)
        encrypted = False
        while True:
            command = wire.hear().split(" ")[0].upper()
            if command == "EHLO":
                last = offer if encrypted else ("STARTTLS" if starttls else "8BITMIME")
                wire.say("250-AM0PR99CA0001 Hello [127.0.0.1]", "250-SIZE 157286400", f"250 {last}")
            elif command == "STARTTLS":
                wire.say(starttls)
                if starttls.startswith("220"):
                    wire.encrypt(context)
                    encrypted = True
            elif command == "AUTH":
                if challenge is not None:
                    wire.say(f"334 {challenge}")
                    wire.hear()
                wire.say(auth)
            elif command == "QUIT":
                wire.say("221 2.0.0 Service closing transmission channel")
                return
            else:
                reply = usual.get(command.lower(), "500 5.3.3 Unrecognized command")
                if reply is None:
                    return
                wire.say(reply)
                if command == "DATA" and reply.startswith("354"):
                    while wire.hear() != ".":
                        pass
                    if usual["body"] is None:
                        return
                    wire.say(usual["body"])

    return talk
