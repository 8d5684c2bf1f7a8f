# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IMAP4 as Exchange speaks it, on Twisted's server.

What Twisted lacks and Exchange has is added here: an initial response to AUTHENTICATE, ID, UNSELECT, MOVE, UID EXPUNGE
and literals that wait for nobody. Its own wordings, some of which repeat what a client sent, are never sent.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import re
import traceback
import typing as t

from twisted.internet import defer
from twisted.mail import imap4

from . import mailstore
from .mail_folders import Account, Folder
from .mail_search import Searching
from .mail_wire import AFTER_S, Wire, challenge_wanted, mechanism

_COMMAND: t.Final = re.compile(
    rb"(?P<tag>[^\s(){%*\"\\+\x00-\x1f\x7f]{1,32}) (?P<verb>[A-Za-z]{2,16})(?: +(?P<rest>.*))?", re.S
)
_ANSWERED_IN_FRONT: t.Final = frozenset({"CAPABILITY", "LOGOUT"})  # whether the mailbox opens or not
_SECRET: t.Final = frozenset({"AUTHENTICATE", "LOGIN"})
_STRAY_LINES: t.Final = 10
_NUMBERS_STAY: t.Final = frozenset(
    {"FETCH", "STORE", "SEARCH", "SELECT", "EXAMINE", "CLOSE"}
)  # while these are answered
_IDLE_LOOKS_S: t.Final = 0.25


class ImapServer(Searching, imap4.IMAP4Server):
    MAX_LENGTH = 65536
    timeOut = None
    POSTAUTH_TIMEOUT = None

    def __init__(self, wire: Wire) -> None:
        super().__init__({b"XOAUTH2": None})
        self.wire = wire
        self._verb, self._tag = "", b""
        self._strays = 0
        self._gone = False
        self.mbox: Folder | None = None
        self.blocked: list[bytes] | None = None
        self._silent_literal = False
        self._told_not_connected = False

    # --- before and after a command ----------------------------------------------------------------------------------

    def sendServerGreeting(self) -> None:
        effect = self.wire.connected()
        if effect.delay_s and effect.reply is None:
            asyncio.get_running_loop().call_later(effect.delay_s, self.sendLine, self._greeting())
        elif effect.drop_before:
            self.wire.drop()
        elif effect.reply is not None:
            self._ordered(b"*", effect.reply)
            self.transport.loseConnection()
        else:
            self.sendLine(self._greeting())

    def _greeting(self) -> bytes:
        return b"* OK " + self.wire.greeting().encode()

    def parse_command(self, line: bytes) -> None:
        match = _COMMAND.fullmatch(line)
        if match is None:
            # Some clients answer a refusal with one line too many; what is in it is nobody's business.
            self._strays += 1
            self.sendLine(str(self.wire.texts["stray"]).encode())
            if self._strays > _STRAY_LINES:
                self.transport.loseConnection()
            return
        self._tag, self._verb = match["tag"], match["verb"].decode().upper()
        effect = self.wire.arrive(_shown(self._verb, (match["rest"] or b"").decode("latin-1")))

        def go() -> None:
            self.transport.silent = effect.drop_after
            if effect.reply is not None:
                self._ordered(self._tag, effect.reply)
            else:
                self._perform(line)
            if effect.drop_after:
                asyncio.get_running_loop().call_later(AFTER_S, self.wire.drop)

        if effect.drop_before:
            self.wire.drop()
        elif effect.delay_s:
            self.blocked = []
            asyncio.get_running_loop().call_later(effect.delay_s, self._resume, go)
        else:
            go()

    def _resume(self, go: t.Callable[[], None]) -> None:
        waiting, self.blocked = self.blocked or [], None
        go()
        for line in waiting:
            self.lineReceived(line)

    def _perform(self, line: bytes) -> None:
        session = self.wire.session
        if session is not None and not session.connected and self._verb not in _ANSWERED_IN_FRONT:
            self._not_connected()
            return
        try:
            super().parse_command(line)
        except Exception:
            traceback.print_exc()  # a mistake of the emulator's own
            self._respond(b"BAD", self._tag, b"")

    def _ordered(self, tag: bytes, reply: str) -> None:
        text = self.wire.ordered(reply)
        if "not connected" in text:
            self._disconnect()
        if text.startswith("*"):
            self.sendLine(text.encode())
            self.wire.answered(text.split()[1])
            if text.upper().startswith("* BYE"):
                self.transport.loseConnection()
            return
        self.say(tag, text)

    def _disconnect(self) -> None:
        """A mailbox that was told to be not connected works again on a new connection, never on this one."""
        session = self.wire.session
        if session is not None:
            self.wire.session = dataclasses.replace(session, connected=False)
            self._told_not_connected = True

    def say(self, tag: bytes, text: str) -> None:
        """Answer a command in our own words: its state, and the text after it."""
        self.sendLine(tag + b" " + text.encode())
        self.wire.answered(text.split(" ", 1)[0])

    def say_reply(self, tag: bytes, key: str) -> None:
        self.say(tag, self.wire.reply(key))

    def _respond(self, state: bytes, tag: bytes | None, message: bytes | None) -> None:
        """Twisted's texts give way to Exchange's; a response code in front of them stays."""
        if not tag or tag == b"*" or state not in (b"OK", b"NO", b"BAD"):
            super()._respond(state, tag, message)
            return
        code = re.match(rb"\[(READ-WRITE|READ-ONLY|APPENDUID [0-9 ]+|COPYUID [0-9 ,:]+)\] ", message or b"")
        known = message is not None and message != b"Unsupported command"
        if self._verb not in _NUMBERS_STAY:
            self._tell_news()
        key = {b"OK": "completed", b"NO": "failed", b"BAD": "argument" if known else "command"}[state]
        text = self.wire.filled(self.wire.texts[key], command=self._verb).encode()
        super()._respond(state, tag, (code[0] if code else b"") + text)
        self.wire.answered(state.decode())

    def _tell_news(self) -> None:
        if self.mbox is None:
            return
        gone, count = self.mbox.news()
        for number in gone:
            self.sendLine(f"* {number} EXPUNGE".encode())
        if count is not None:
            self.sendLine(f"* {count} EXISTS".encode())

    def do_IDLE(self, tag: bytes) -> None:
        super().do_IDLE(tag)
        self._look()

    def _look(self) -> None:
        if self.parseState == "idle" and not self._gone:
            self._tell_news()
            asyncio.get_running_loop().call_later(_IDLE_LOOKS_S, self._look)

    auth_IDLE = select_IDLE = (do_IDLE,)

    def connectionLost(self, reason: t.Any) -> None:
        self._gone = True
        super().connectionLost(reason)

    def sendContinuationRequest(self, msg: bytes | None = b"") -> None:
        if not self._silent_literal:
            self.sendLine(b"+ ")
        self._silent_literal = False

    def lineLengthExceeded(self, line: bytes) -> None:
        self.sendLine(str(self.wire.texts["stray"]).encode())
        self.transport.loseConnection()

    # --- what is announced -------------------------------------------------------------------------------------------

    def do_CAPABILITY(self, tag: bytes) -> None:
        names = self.wire.texts["capabilities_after" if self.wire.session else "capabilities"]
        self.sendUntaggedResponse(f"CAPABILITY {names}".encode())
        self.sendPositiveResponse(tag, b"")

    unauth_CAPABILITY = auth_CAPABILITY = select_CAPABILITY = (do_CAPABILITY,)

    def do_LOGOUT(self, tag: bytes) -> None:
        self.sendUntaggedResponse(str(self.wire.texts["bye"]).encode())
        self.sendPositiveResponse(tag, b"")
        self.transport.loseConnection()

    unauth_LOGOUT = auth_LOGOUT = select_LOGOUT = (do_LOGOUT,)

    def do_ID(self, tag: bytes, _given: bytes) -> None:
        self.sendUntaggedResponse(f"ID {self.wire.texts['id']}".encode())
        self.sendPositiveResponse(tag, b"")

    unauth_ID = auth_ID = select_ID = (do_ID, imap4.IMAP4Server.arg_line)

    # --- signing in --------------------------------------------------------------------------------------------------

    def do_AUTHENTICATE(self, tag: bytes, line: bytes) -> None:
        mechanism, _space, initial = line.strip().partition(b" ")
        if mechanism.upper() != b"XOAUTH2":
            self.say_reply(tag, "failed")
        elif initial:
            self._sign_in(tag, initial)
        else:
            self.sendLine(b"+ ")
            self._ask(lambda answer: self._sign_in(tag, answer), tag)

    unauth_AUTHENTICATE = (do_AUTHENTICATE, imap4.IMAP4Server.arg_line)

    def _ask(self, then: t.Callable[[bytes], None], tag: bytes) -> None:
        """Wait for one line, which is no command."""

        def received(line: bytes) -> None:
            if line.strip() == b"*":
                self.say_reply(tag, "cancelled")
            else:
                then(line)

        self.parseState = "pending"
        self._pendingLiteral = defer.Deferred()
        self._pendingLiteral.addCallback(received)

    def _sign_in(self, tag: bytes, encoded: bytes) -> None:
        refusal, tenant = self.wire.sign_in(encoded)
        session = self.wire.session
        if refusal is None and session is not None:
            self.account = Account(session)
            self.state = "auth"
            self._verb = "AUTHENTICATE"
            self.sendPositiveResponse(tag, b"")
        elif refusal == "failed" and challenge_wanted(tenant):
            self.sendLine(b"+ " + base64.b64encode(str(self.wire.texts["challenge"]).encode()))
            self._ask(lambda _line: self.say_reply(tag, "failed"), tag)
        else:
            self.say_reply(tag, refusal or "failed")

    def do_LOGIN(self, tag: bytes, _user: bytes, _password: bytes) -> None:
        self.say_reply(tag, "login_failed")

    unauth_LOGIN = (do_LOGIN, imap4.IMAP4Server.arg_astring, imap4.IMAP4Server.arg_finalastring)

    def _not_connected(self) -> None:
        """Told at the first command after a sign-in whose mailbox does not open, and at the second, which ends it."""
        last, self._told_not_connected = self._told_not_connected, True
        session = self.wire.session
        form = str((session.tenant.settings.get("switches") or {}).get("not_connected_form", "") if session else "")
        self.say_reply(self._tag, {"NO": "not_connected_no", "long": "not_connected_long"}.get(form, "not_connected"))
        if last:
            self.sendLine(self.wire.reply("closed").encode())
            self.transport.loseConnection()

    # --- folders -----------------------------------------------------------------------------------------------------

    def do_NAMESPACE(self, tag: bytes) -> None:
        self.sendUntaggedResponse(b'NAMESPACE (("" "/")) NIL NIL')
        self.sendPositiveResponse(tag, b"")

    auth_NAMESPACE = select_NAMESPACE = (do_NAMESPACE,)

    def _cbListWork(self, mailboxes: list[t.Any], tag: bytes, sub: int, cmdName: bytes) -> None:
        """Nothing asked for is how a client asks for what stands between the names of folders."""
        if self._asked_for_root:
            self.sendUntaggedResponse(cmdName + b' (\\Noselect \\HasChildren) "/" ""')
        super()._cbListWork(mailboxes, tag, sub, cmdName)

    def _listWork(self, tag: bytes, ref: bytes, mbox: bytes, sub: int, cmdName: bytes) -> None:
        self._asked_for_root = mbox == b""
        super()._listWork(tag, ref, mbox, sub, cmdName)

    _LISTS = (_listWork, imap4.IMAP4Server.arg_astring, imap4.IMAP4Server.arg_astring)
    auth_LIST = select_LIST = (*_LISTS, 0, b"LIST")
    auth_LSUB = select_LSUB = (*_LISTS, 1, b"LSUB")

    def _cbSelectWork(self, mbox: Folder | None, cmdName: bytes, tag: bytes) -> None:
        if mbox is None:
            self.sendNegativeResponse(tag, b"")
            return
        writes = mbox.isWriteable()
        held = mbox.documents()
        unseen = next((n for n, one in enumerate(held, 1) if mailstore.SEEN not in one["flags"]), None)
        flags = " ".join(self.wire.texts["flags"])
        permanent = " ".join(self.wire.texts["permanent"]) if writes else ""
        lines = [f"* {len(held)} EXISTS", f"* {mbox.getRecentCount()} RECENT", f"* FLAGS ({flags})"]
        lines.append(f"* OK [PERMANENTFLAGS ({permanent})] Permanent flags")
        lines += [f"* OK [UNSEEN {unseen}] Is the first unseen message"] if unseen else []
        lines.append(f"* OK [UIDVALIDITY {mbox.getUIDValidity()}] UIDVALIDITY value")
        lines.append(f"* OK [UIDNEXT {mbox.getUIDNext()}] The next unique identifier value")
        for line in lines:
            self.sendLine(line.encode())
        mbox.open()
        self.mbox, self.state = mbox, "select"
        self.sendPositiveResponse(tag, b"[READ-WRITE] " if writes else b"[READ-ONLY] ")

    @property
    def _folder(self) -> Folder:
        assert self.mbox is not None
        return self.mbox

    def do_UNSELECT(self, tag: bytes) -> None:
        self.mbox, self.state = None, "auth"
        self.sendPositiveResponse(tag, b"")

    select_UNSELECT = (do_UNSELECT,)

    # --- messages ----------------------------------------------------------------------------------------------------

    def do_UID(self, tag: bytes, command: bytes, line: bytes) -> None:
        self._verb = command.decode("latin-1").upper()
        if self._verb == "EXPUNGE":
            messages, _rest = self.arg_seqset(line)
            self._vanish(tag, self._folder.expunge_only(messages))
        elif self._verb == "MOVE":
            self.dispatchCommand(tag, b"MOVE", line, uid=1)
        else:
            super().do_UID(tag, command, line)

    select_UID = (do_UID, imap4.IMAP4Server.arg_atom, imap4.IMAP4Server.arg_line)

    def do_MOVE(self, tag: bytes, messages: t.Any, name: bytes, uid: int = 0) -> None:
        folder = self.account.select(imap4._parseMbox(name), True)
        if folder is None:
            self.sendNegativeResponse(tag, b"")
        else:
            self._vanish(tag, self._folder.move(messages, folder, uid=bool(uid)))

    select_MOVE = (do_MOVE, imap4.IMAP4Server.arg_seqset, imap4.IMAP4Server.arg_finalastring)

    def _cbAppendGotMailbox(
        self,
        mbox: Folder | None,
        tag: bytes,
        flags: list[bytes] | None,
        _date: t.Any,
        message: t.Any,
    ) -> None:
        if mbox is None:
            self.sendNegativeResponse(tag, b"")
            return
        uid = mbox.append(message.read(), [flag.decode("latin-1") for flag in flags or ()])
        self.sendPositiveResponse(tag, f"[APPENDUID {mbox.getUIDValidity()} {uid}] ".encode())

    def _vanish(self, tag: bytes, numbers: list[int]) -> None:
        for number in sorted(numbers, reverse=True):
            self.sendUntaggedResponse(f"{number} EXPUNGE".encode())
        self.sendPositiveResponse(tag, b"")

    def spew_body(self, part: t.Any, id: int, msg: t.Any, _w: t.Any = None, _f: t.Any = None) -> t.Any:
        """A section, or the octets of it that were asked for: Twisted sends all of it under the name of a part."""
        if not part.peek and self.mbox is not None and self.mbox.isWriteable():
            msg.see()
        if not (part.header or part.text or part.mime or part.empty):
            return super().spew_body(part, id, msg, _w, _f)
        held = msg
        for number in part.part or ():
            if held.isMultipart():
                held = held.getSubPart(number)
            elif number > 0:
                raise imap4.IllegalClientResponse("no such part")
        if part.header:
            content = held.header(bool(part.header.negate) or not part.header.fields, *(part.header.fields or ()))
        elif part.mime:
            content = held.header(True)
        elif part.empty and not part.part:
            content = msg.open().read()
        else:
            content = held.getBodyFile().read()
        begin, length = part.partialBegin, part.partialLength
        part.partialBegin = None
        label = part.getBytes()
        part.partialBegin = begin
        if begin is not None:
            label, content = label + b"<%d>" % begin, content[begin : begin + length]
        _w(label + b" {%d}\r\n" % len(content) + content)
        return None

    def spew_rfc822header(self, id: int, msg: t.Any, _w: t.Any = None, _f: t.Any = None) -> None:
        header = msg.header(True)
        _w(b"RFC822.HEADER {%d}\r\n" % len(header) + header)

    # --- literals that wait for nobody -------------------------------------------------------------------------------

    def arg_astring(self, line: bytes, final: bool = False) -> t.Any:
        return super().arg_astring(self._without_waiting(line), final)

    def arg_literal(self, line: bytes) -> t.Any:
        return super().arg_literal(self._without_waiting(line))

    def _without_waiting(self, line: bytes) -> bytes:
        self._silent_literal = line.endswith(b"+}")
        return line[:-2] + b"}" if self._silent_literal else line


def _shown(verb: str, rest: str) -> str:
    """For the journal: the command's words, but nothing that lets anybody in."""
    if verb == "AUTHENTICATE":
        return f"AUTHENTICATE {mechanism(rest)}".strip()
    return verb if verb in _SECRET else f"{verb} {rest}".strip()
