# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IMAP, POP and SMTP servers that say what Exchange Online says, on loopback, for one question at a time.

They know no mailboxes and check no token: a ``Scene`` says how they answer, and ``Server.heard`` tells afterwards what
a client did. IMAP and POP speak TLS from the first byte on, SMTP after STARTTLS. Whole tenants are the emulator's.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path

import trustme

REFUSED = {
    "imap": "NO AUTHENTICATE failed.",
    "pop": "-ERR Authentication failure: unknown user name or bad password.",
    "smtp": "535 5.7.3 Authentication unsuccessful [AM0PR99CA0001.EURPRD99.PROD.OUTLOOK.COM 2026-11-28T00:00:00.000Z]",
}
NOT_CONNECTED = "BAD User is authenticated but not connected."
SWITCHED_OFF = (
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. "
    "Visit https://aka.ms/smtp_auth_disabled for more information. [AM0PR99CA0001.EURPRD99.PROD.OUTLOOK.COM]"
)
NO_FULL_ACCESS = (
    "430 4.2.0 STOREDRV; mailbox logon failure; failure category 'Transient' for exception "
    "ConnectionFailedTransientException.MapiExceptionLogonFailed; Cannot open mailbox"
)
SEND_AS_DENIED = (
    "554 5.2.252 SendAsDenied; fax@contoso.example not allowed to send as other@contoso.example; "
    "STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied"
)
NO_SEND_AS = "550 5.7.60 SMTP; Client does not have permissions to send as this sender"
TOO_MANY = (
    "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information."
)
THROTTLED = "BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"


@dataclass(frozen=True)
class Scene:
    """How a server answers. ``sign_in``, ``first`` (the first command after it; SMTP: MAIL) and ``data`` (the end of a
    message) are what it says instead of yes; ``sasl_ir``: whether IMAP announces that a token may come in one line."""

    sign_in: str = ""
    first: str = ""
    data: str = ""
    sasl_ir: bool = True


@dataclass
class Heard:
    """One connection: whether the token came in ``one`` line or in ``two`` steps, how long the encoded text was, and
    the commands (their first words) in order."""

    form: str = ""
    encoded: int = 0
    tokens: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)


class Server:
    """A server of one protocol, to be used in a ``with`` block. ``host`` has a certificate that ``ca`` signed."""

    host = "localhost"

    def __init__(self, protocol: str, scene: Scene, folder: Path, *, tls: bool = True) -> None:
        self.protocol, self.scene, self.tls = protocol, scene, tls
        self.heard: list[Heard] = []
        self.ca = folder / "ca.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(self.host, "127.0.0.1", common_name=self.host).configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Server:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_reason: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _peer = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        heard = Heard()
        connection.settimeout(60)
        with contextlib.suppress(OSError), connection:
            if self.tls and self.protocol != "smtp":
                connection = self._context.wrap_socket(connection, server_side=True)
            self.heard.append(heard)
            wire = _Wire(connection)
            if self.protocol == "imap":
                _imap(wire, self.scene, heard)
            elif self.protocol == "pop":
                _pop(wire, self.scene, heard)
            else:
                _smtp(wire, self.scene, heard, self._context if self.tls else None)


class _Wire:
    """Lines to and from a client."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")

    def say(self, *lines: str) -> None:
        self._connection.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def line(self) -> str:
        """The next line; EOFError where the client has gone."""
        found = self._file.readline()
        if not found:
            raise EOFError
        return found.decode("utf-8", "replace").rstrip("\r\n")

    def read(self, count: int) -> None:
        self._file.read(count)

    def secure(self, context: ssl.SSLContext) -> None:
        self._connection = context.wrap_socket(self._connection, server_side=True)
        self._file = self._connection.makefile("rb")


def token_of(encoded: str) -> str:
    """The token in an XOAUTH2 text, empty where it is none."""
    with contextlib.suppress(ValueError):
        for part in base64.b64decode(encoded + "=" * (-len(encoded) % 4)).decode("utf-8", "replace").split("\1"):
            if part.startswith("auth=Bearer "):
                return part.removeprefix("auth=Bearer ")
    return ""


def _took(heard: Heard, form: str, encoded: str) -> None:
    heard.form, heard.encoded = form, len(encoded)
    heard.tokens.append(token_of(encoded))


def _imap(wire: _Wire, scene: Scene, heard: Heard) -> None:
    offered = "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2" + (" SASL-IR" if scene.sasl_ir else "") + " UIDPLUS ID UNSELECT"
    offered += " CHILDREN IDLE NAMESPACE LITERAL+"
    later = "IMAP4 IMAP4rev1 UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
    signed_in, refusals = False, 0
    with contextlib.suppress(EOFError):
        wire.say("* OK The Microsoft Exchange IMAP4 service is ready. [TABPADA=]")
        while True:
            tag, _blank, rest = wire.line().partition(" ")
            words = rest.split()
            verb = words[0].upper() if words else ""
            heard.commands.append(verb)
            if verb == "AUTHENTICATE" and len(words) > 1 and words[1].upper() == "XOAUTH2":
                if len(words) > 2:
                    _took(heard, "one", words[2])
                else:
                    wire.say("+ ")
                    _took(heard, "two", wire.line())
                signed_in = not scene.sign_in
                wire.say(f"{tag} {scene.sign_in or 'OK AUTHENTICATE completed.'}")
            elif verb == "LOGOUT":
                wire.say("* BYE Microsoft Exchange Server IMAP4 server signing off.", f"{tag} OK LOGOUT completed.")
                return
            elif signed_in and scene.first:
                if refusals:
                    wire.say("* BYE Connection closed. 14")
                    return
                refusals += 1
                wire.say(f"{tag} {scene.first}")
            elif verb == "CAPABILITY":
                wire.say(f"* CAPABILITY {later if signed_in else offered}", f"{tag} OK CAPABILITY completed.")
            elif not verb or not (signed_in or verb == "ID"):
                heard.stray.append(rest or tag)
                wire.say(f"{tag} BAD Command Error. 12")
            else:
                wire.say(*_imap_answers(verb, words), f"{tag} OK {_state(verb)}{verb} completed.")


def _state(verb: str) -> str:
    return {"SELECT": "[READ-WRITE] ", "EXAMINE": "[READ-ONLY] "}.get(verb, "")


def _imap_answers(verb: str, words: list[str]) -> tuple[str, ...]:
    if verb in ("SELECT", "EXAMINE"):
        flags = r"\Seen \Answered \Flagged \Deleted \Draft $MDNSent"
        return (
            *("* 0 EXISTS", "* 0 RECENT", f"* FLAGS ({flags})", f"* OK [PERMANENTFLAGS ({flags})] Permanent flags"),
            *("* OK [UIDVALIDITY 14] UIDVALIDITY value", "* OK [UIDNEXT 1] The next unique identifier value"),
        )
    if verb in ("LIST", "LSUB"):
        return (rf'* {verb} (\HasNoChildren) "/" INBOX',)
    if verb == "NAMESPACE":
        return ('* NAMESPACE (("" "/")) NIL NIL',)
    if verb == "ID":
        return ('* ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20")',)
    if verb == "STATUS":
        return ("* STATUS INBOX (MESSAGES 0 RECENT 0 UNSEEN 0 UIDNEXT 1 UIDVALIDITY 14)",)
    if "SEARCH" in (verb, *(word.upper() for word in words[1:2])):
        return ("* SEARCH",)
    return ()


def _pop(wire: _Wire, scene: Scene, heard: Heard) -> None:
    with contextlib.suppress(EOFError):
        wire.say("+OK The Microsoft Exchange POP3 service is ready. [TABPADA=]")
        while True:
            words = wire.line().split()
            verb = words[0].upper() if words else ""
            heard.commands.append(verb)
            if verb == "CAPA":
                wire.say("+OK", "TOP", "UIDL", "SASL PLAIN XOAUTH2", "USER", ".")
            elif verb == "AUTH" and len(words) > 2:
                _took(heard, "one", words[2])
                wire.say("-ERR Protocol error. 18")
            elif verb == "AUTH":
                wire.say("+ ")
                _took(heard, "two", wire.line())
                wire.say(scene.sign_in or "+OK User successfully authenticated.")
            elif verb == "STAT":
                wire.say(scene.first or "+OK 0 0")
            elif verb in ("LIST", "UIDL"):
                wire.say("+OK", ".")
            elif verb == "QUIT":
                wire.say("+OK Microsoft Exchange Server POP3 server signing off.")
                return
            else:
                heard.stray.append(" ".join(words))
                wire.say("-ERR Protocol error. 14")


def _smtp(wire: _Wire, scene: Scene, heard: Heard, context: ssl.SSLContext | None) -> None:
    features = ["SIZE 157286400", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "8BITMIME", "BINARYMIME", "CHUNKING"]
    secured = context is None
    with contextlib.suppress(EOFError):
        wire.say("220 AM0PR99CA0001.outlook.office365.com Microsoft ESMTP MAIL Service ready")
        while True:
            words = wire.line().split()
            verb = words[0].upper() if words else ""
            heard.commands.append(verb)
            if verb in ("EHLO", "HELO"):
                offered = [*features, "AUTH LOGIN XOAUTH2" if secured else "STARTTLS", "SMTPUTF8"]
                lines = ["AM0PR99CA0001.outlook.office365.com Hello [127.0.0.1]", *offered]
                wire.say(*(f"250{' ' if line is lines[-1] else '-'}{line}" for line in lines))
            elif verb == "STARTTLS" and context is not None and not secured:
                wire.say("220 2.0.0 SMTP server ready")
                wire.secure(context)
                secured = True
            elif verb == "AUTH":
                if len(words) > 2:
                    _took(heard, "one", words[2])
                else:
                    wire.say("334 ")
                    _took(heard, "two", wire.line())
                wire.say(scene.sign_in or "235 2.7.0 Authentication successful")
            elif verb == "DATA":
                wire.say("354 Start mail input; end with <CRLF>.<CRLF>")
                while wire.line() != ".":
                    pass
                wire.say(scene.data or "250 2.0.0 OK <1@contoso.example> [Hostname=AM0PR99MB0001]")
            elif verb == "BDAT":
                wire.read(int(words[1]))
                wire.say(scene.data or "250 2.0.0 OK <1@contoso.example> [Hostname=AM0PR99MB0001]")
            elif verb == "QUIT":
                wire.say("221 2.0.0 Service closing transmission channel")
                return
            else:
                known = {
                    "MAIL": scene.first or "250 2.1.0 Sender OK",
                    "RCPT": "250 2.1.5 Recipient OK",
                    "RSET": "250 2.0.0 OK",
                }
                if verb not in known and verb != "NOOP":
                    heard.stray.append(" ".join(words))
                wire.say(known.get(verb, "250 2.0.0 OK" if verb == "NOOP" else "500 5.3.3 Unrecognized command"))


SCENES: dict[str, dict[str, Scene]] = {
    "imap": {
        "ok": Scene(),
        "refused": Scene(sign_in=REFUSED["imap"]),
        "not connected": Scene(first=NOT_CONNECTED),
        "throttled": Scene(first=THROTTLED),
        "no SASL-IR": Scene(sasl_ir=False),
    },
    "pop": {"ok": Scene(), "refused": Scene(sign_in=REFUSED["pop"])},
    "smtp": {
        "ok": Scene(),
        "refused": Scene(sign_in=REFUSED["smtp"]),
        "switched off": Scene(sign_in=SWITCHED_OFF),
        "no full access": Scene(data=NO_FULL_ACCESS),
        "may not send as": Scene(first=NO_SEND_AS),
        "too many at once": Scene(sign_in=TOO_MANY),
        "send as denied": Scene(data=SEND_AS_DENIED),
    },
}
"""What each protocol's servers are asked to play, by name."""
