# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""POP3 as Exchange speaks it, on Twisted's server: XOAUTH2 in two steps only, and its own words."""

from __future__ import annotations

import asyncio
import base64
import io
import traceback
import typing as t

from twisted.mail import pop3
from zope.interface import implementer

from . import mailstore
from .mail_access import Session
from .mail_wire import AFTER_S, Wire, challenge_wanted, mechanism
from .model import Document

_KNOWN: t.Final = frozenset(
    {*("CAPA", "USER", "PASS", "AUTH", "QUIT", "STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "NOOP", "RSET")}
)
_BEFORE: t.Final = frozenset({"CAPA", "USER", "PASS", "AUTH", "QUIT"})


class PopServer(pop3.POP3):
    MAX_LENGTH = 65536
    timeOut = None

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.magic = b"unused"
        self._command = ""
        self._challenged = False

    # --- before and after a command ----------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        effect = self.wire.connected()
        greeting = b"+OK " + self.wire.greeting().encode()
        if effect.delay_s and effect.reply is None:
            asyncio.get_running_loop().call_later(effect.delay_s, self.sendLine, greeting)
        elif effect.drop_before:
            self.wire.drop()
        elif effect.reply is not None:
            self.say(self.wire.ordered(effect.reply))
            self.transport.loseConnection()
        else:
            self.sendLine(greeting)

    def state_COMMAND(self, line: bytes) -> None:
        word, _space, rest = line.decode("latin-1").partition(" ")
        self._command = word.upper()
        if self._command not in _KNOWN:
            self.say_reply("command")  # a stray line is no row: what is in it is nobody's business
            return
        secret = self._command in ("AUTH", "PASS")
        shown = mechanism(rest) if self._command == "AUTH" else ("" if secret else rest)
        effect = self.wire.arrive(f"{self._command} {shown}".strip())

        def go() -> None:
            self.transport.silent = effect.drop_after
            if effect.reply is not None:
                self.say(self.wire.ordered(effect.reply))
            else:
                self._perform(line)
            if effect.drop_after:
                asyncio.get_running_loop().call_later(AFTER_S, self.wire.drop)

        if effect.drop_before:
            self.wire.drop()
        elif effect.delay_s:
            asyncio.get_running_loop().call_later(effect.delay_s, go)
        else:
            go()

    def _perform(self, line: bytes) -> None:
        if (self.wire.session is None) is not (self._command in _BEFORE) and self._command not in ("CAPA", "QUIT"):
            self.say_reply("command")
            return
        try:
            self.processCommand(*line.split(b" "))
        except (ValueError, TypeError, AttributeError, pop3.POP3Error):
            self.say_reply("command")
        except Exception:
            traceback.print_exc()  # a mistake of the emulator's own
            self.say_reply("command")

    def say(self, text: str) -> None:
        self.sendLine(text.encode())
        self.wire.answered("OK" if text.startswith("+OK") else "ERR")

    def say_reply(self, key: str) -> None:
        self.say(self.wire.reply(key))

    def successResponse(self, message: t.Any = "") -> None:
        text = message.decode("latin-1") if isinstance(message, bytes) else str(message)
        text = str(self.wire.texts["done"].get(self._command, text))
        self.say(f"+OK {text}".rstrip())

    def failResponse(self, message: t.Any = b"") -> None:
        """Twisted's words may repeat the client's."""
        self.say_reply("message" if self._command in ("RETR", "TOP", "DELE", "LIST", "UIDL") else "command")

    def lineLengthExceeded(self, line: bytes) -> None:
        self.say_reply("command")
        self.transport.loseConnection()

    # --- what is announced, and signing in ---------------------------------------------------------------------------

    def do_CAPA(self) -> None:
        self.successResponse()
        for name in self.wire.texts["capabilities"]:
            self.sendLine(str(name).encode())
        self.sendLine(b".")

    def do_AUTH(self, mechanism: bytes | None = None, *initial: bytes) -> None:
        if mechanism is None:
            self.successResponse()
            self.sendLine(b"PLAIN")
            self.sendLine(b"XOAUTH2")
            self.sendLine(b".")
        elif mechanism.upper() != b"XOAUTH2":
            self.say_reply("unsupported")
        elif initial:
            self.say_reply("one_line")
        else:
            self.sendLine(b"+ ")
            self.state = "AUTH"

    def state_AUTH(self, line: bytes) -> None:
        self.state = "COMMAND"
        if self._challenged:
            self._challenged = False
            self.say_reply("failed")
            return
        if line.strip() == b"*":
            self.say_reply("cancelled")
            return
        refusal, tenant = self.wire.sign_in(line)
        session = self.wire.session
        if refusal is None and session is not None:
            self.mbox = Box(session)
            self.say(f"+OK {self.wire.texts['ok']}")
        elif refusal == "failed" and challenge_wanted(tenant):
            self.sendLine(b"+ " + base64.b64encode(b'{"status":"401","schemes":"bearer"}'))
            self._challenged, self.state = True, "AUTH"
        else:
            self.say_reply(refusal or "failed")

    # --- the mailbox: Twisted shows deleted messages, too ------------------------------------------------------------

    def do_STAT(self) -> None:
        sizes = [size for _number, size, _uid in self.mbox.rows()]
        self.say(f"+OK {len(sizes)} {sum(sizes)}")

    def do_LIST(self, number: bytes | None = None) -> None:
        self._rows(number, lambda row: f"{row[0]} {row[1]}")

    def do_UIDL(self, number: bytes | None = None) -> None:
        self._rows(number, lambda row: f"{row[0]} {row[2]}")

    def _rows(self, number: bytes | None, line: t.Callable[[tuple[int, int, int]], str]) -> None:
        rows = self.mbox.rows()
        if number is not None:
            found = next((row for row in rows if str(row[0]).encode() == number), None)
            self.say_reply("message") if found is None else self.say(f"+OK {line(found)}")
            return
        self.say(f"+OK {len(rows)} {sum(row[1] for row in rows)}")
        for row in rows:
            self.sendLine(line(row).encode())
        self.sendLine(b".")

    def do_USER(self, _user: bytes) -> None:
        self.successResponse()

    def do_PASS(self, *_words: bytes) -> None:
        self.say_reply("failed")

    def do_QUIT(self) -> None:
        if self.mbox is not None:
            self.mbox.sync()
        self.successResponse()
        self.transport.loseConnection()


@implementer(pop3.IMailbox)
class Box:
    """The inbox, as it was at the sign-in."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._held: list[Document] = mailstore.messages(session.tenant, session.mailbox, "inbox")
        self._gone: set[str] = set()

    def _one(self, number: int) -> Document:
        if number < 0 or self._held[number]["id"] in self._gone:
            raise IndexError(number)
        return self._held[number]

    def rows(self) -> list[tuple[int, int, int]]:
        """(number, size, uid) of what is not deleted."""
        pairs = enumerate(self._held, 1)
        return [(n, int(one["size"]), int(one["uid"])) for n, one in pairs if one["id"] not in self._gone]

    def listMessages(self, number: int | None = None) -> t.Any:
        if number is not None:
            return self._one(number)["size"]
        return [0 if one["id"] in self._gone else one["size"] for one in self._held]

    def getMessage(self, number: int) -> io.BytesIO:
        return io.BytesIO(mailstore.raw_of(self._one(number)).replace(b"\r\n", b"\n"))  # Twisted makes CRLF of it

    def getUidl(self, number: int) -> bytes:
        return str(self._one(number)["uid"]).encode()

    def deleteMessage(self, number: int) -> None:
        self._gone.add(self._one(number)["id"])

    def undeleteMessages(self) -> None:
        self._gone.clear()

    def sync(self) -> None:
        for key in self._gone:
            self._session.tenant.messages.pop(key, None)
        self._gone.clear()
