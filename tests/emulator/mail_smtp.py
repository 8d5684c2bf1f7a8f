# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SMTP submission as Exchange speaks it, on aiosmtpd's server.

The order in which it says no is the point: TLS first, then the sign-in, and what a sign-in does not prove (the right
on the mailbox, the right to send as somebody) only when the message is there.
"""

from __future__ import annotations

import asyncio
import base64
import email.utils
import re
import ssl
import traceback
import typing as t
import uuid

from aiosmtpd.smtp import SMTP, Envelope, syntax
from aiosmtpd.smtp import Session as Conversation

from . import mailstore
from .exchange_rbac import switch
from .mail_wire import Wire, challenge_wanted, mechanism

if t.TYPE_CHECKING:
    from .server import Services

_LINE_LIMIT: t.Final = 65536
_OWN_WORDS: t.Final = ("MAIL", "RCPT", "DATA")


def server(services: Services, context: ssl.SSLContext) -> SmtpServer:
    return SmtpServer(services, context)


class SmtpServer(SMTP):
    line_length_limit = _LINE_LIMIT
    command_size_limit = 2048

    def __init__(self, services: Services, context: ssl.SSLContext) -> None:
        super().__init__(
            Handler(self),
            tls_context=context,
            enable_SMTPUTF8=True,
            data_size_limit=157286400,
            auth_require_tls=True,
            hostname="localhost",
            loop=asyncio.get_running_loop(),
        )
        self._services = services
        self.wire: Wire | None = None
        self._command = ""
        self._silent = False  # an answer that is lost on its way
        # Lines of AUTH carry tokens; the library looks at this one after EHLO and at nothing else.
        self.command_size_limits["AUTH"] = _LINE_LIMIT

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.wire is None:
            self.wire = Wire(self._services, "smtp", transport)
        super().connection_made(transport)
        # The commands go through us, so that each is a row of the journal and may meet a fault.
        self._smtp_methods = {name: self._guarded(name, method) for name, method in self._plain_methods().items()}

    def _plain_methods(self) -> dict[str, t.Any]:
        return {name.replace("smtp_", ""): getattr(self, name) for name in dir(self) if name.startswith("smtp_")}

    def _guarded(self, name: str, method: t.Any) -> t.Any:
        async def perform(argument: str | None) -> None:
            assert self.wire is not None
            self._command = name
            effect = self.wire.arrive(_shown(name, argument))
            if effect.drop_before:
                self.wire.drop()
                return
            if effect.delay_s:
                await asyncio.sleep(effect.delay_s)
            self._silent = effect.drop_after
            if effect.reply is not None:
                await self.ordered(effect.reply)
            else:
                await method(_plain(argument) if name in ("MAIL", "RCPT") and argument else argument)
            if effect.drop_after:
                self.wire.drop()

        return perform

    async def ordered(self, reply: str) -> None:
        assert self.wire is not None
        text = self.wire.ordered(reply)
        await super().push(text)
        self.wire.answered(_number(text))
        if text.startswith("421") and self.transport is not None:
            self.transport.close()

    async def push(self, status: str | bytes) -> None:
        """What the library says of its own gives way to Exchange's words; nothing of a client's is repeated."""
        assert self.wire is not None
        text = status.decode("utf-8", "replace") if isinstance(status, bytes) else status
        if text.startswith("220 localhost"):
            effect = self.wire.connected()
            if effect.delay_s:
                await asyncio.sleep(effect.delay_s)
            if effect.drop_before:
                self.wire.drop()
                return
            if effect.reply is not None:
                await self.ordered(effect.reply)
                assert self.transport is not None
                self.transport.close()
                return
            text = f"220 {self.wire.greeting()}"
        else:
            text = self._worded(text)
        goes_on = text.startswith(("334", "354")) or text[3:4] == "-"
        if goes_on or not self._silent:
            await super().push(text)
        if not goes_on:
            self.wire.answered(_number(text))

    def _worded(self, text: str) -> str:
        assert self.wire is not None
        texts, reply = self.wire.texts, self.wire.reply
        exact = {
            "220 Ready to start TLS": str(texts["starttls"]),
            "354 End data with <CR><LF>.<CR><LF>": str(texts["data"]),
            "221 Bye": str(texts["quit"]),
        }
        if text in exact:
            return exact[text]
        if text.startswith("250 OK"):
            return str(texts["reset" if self._command == "RSET" else "nothing"])
        if text.startswith(("500 Command line too long", "500 Line too long")):
            return reply("line_too_long")
        if text.startswith(("538 5.7.11", "504 5.5.4")):
            return reply("unrecognized")
        if text.startswith(("503", "501 Syntax", "501 Not enough", "501 Too many")):
            return reply("sequence" if text.startswith("503") else "malformed")
        if text.startswith("501 5.7.0"):
            return reply("cancelled")
        if text.startswith("501 5.5.2"):
            return reply("malformed")
        if text.startswith(("500 Error", "502 ")):
            return reply("command")
        return text

    async def handle_exception(self, error: Exception) -> str:
        if not isinstance(error, (ConnectionError, ssl.SSLError)):
            traceback.print_exception(error)  # a mistake of the emulator's own
        return "500 Error"

    # --- commands ----------------------------------------------------------------------------------------------------

    @syntax("EHLO hostname")
    async def smtp_EHLO(self, hostname: str) -> None:
        if not hostname:
            await self.push("501 Syntax: EHLO hostname")
            return
        assert self.session is not None
        assert self.wire is not None
        self._set_rset_state()
        self.session.extended_smtp = True
        self.session.host_name = hostname
        self.command_size_limits["MAIL"] = self.command_size_limits["RCPT"] = self.command_size_limit
        names = [*self.wire.texts["extensions"]]
        if self._tls_protocol:
            names[names.index("STARTTLS")] = self.wire.texts["authentication"]
        first = self.wire.filled(self.wire.texts["hello"], client=self.session.peer[0])
        lines = [first, *names]
        for line in lines[:-1]:
            await super().push(f"250-{line}")
        await self.push(f"250 {lines[-1]}")

    @syntax("AUTH <mechanism>")
    async def smtp_AUTH(self, arg: str) -> None:
        assert self.session is not None
        assert self.wire is not None
        words = (arg or "").split()
        if not self.session.host_name or self.session.authenticated:
            await self.push(self.wire.reply("sequence"))
        elif not self._tls_protocol or not words or words[0].upper() not in ("XOAUTH2", "LOGIN"):
            await self.push(self.wire.reply("unrecognized"))
        elif len(words) > 2:
            await self.push(self.wire.reply("malformed"))
        elif words[0].upper() == "LOGIN":
            await self._basic(words)
        else:
            answer = words[1].encode() if len(words) == 2 else await self._asked("")
            if answer == b"*":
                await self.push(self.wire.reply("cancelled"))
            else:
                await self._sign_in(answer)

    async def _asked(self, challenge: str) -> bytes:
        await super().push(b"334 " + base64.b64encode(challenge.encode()))
        return bytes((await self._reader.readline()).strip())

    async def _basic(self, words: list[str]) -> None:
        assert self.wire is not None
        questions = ("Username:", "Password:")[len(words) - 1 :]
        for question in questions:
            if await self._asked(question) == b"*":
                await self.push(self.wire.reply("cancelled"))
                return
        await self.push(self.wire.reply("basic"))

    async def _sign_in(self, encoded: bytes) -> None:
        assert self.session is not None
        assert self.wire is not None
        refusal, tenant = self.wire.sign_in(encoded)
        if refusal is None:
            self.session.authenticated = True
            await self.push(str(self.wire.texts["ok"]))
            return
        if refusal == "failed" and challenge_wanted(tenant):
            await self._asked(str(self.wire.texts["challenge"]))
        await self.push(self.wire.reply(refusal))

    async def smtp_BDAT(self, arg: str) -> None:
        """CHUNKING, which is announced, and which the library does not have."""
        assert self.wire is not None
        assert self.envelope is not None
        size, _space, last = (arg or "").partition(" ")
        if not size.isdecimal():
            await self.push(self.wire.reply("malformed"))
            return
        chunk = await self._reader.readexactly(int(size))
        if await self.check_auth_needed("DATA"):
            return
        if not self.envelope.rcpt_tos:
            await self.push(self.wire.reply("sequence"))
            return
        self.envelope.original_content = bytes(self.envelope.original_content or b"") + chunk
        if last.upper() != "LAST":
            await self.push(str(self.wire.texts["nothing"]))
            return
        await self.push(await self.event_handler.handle_DATA(self, self.session, self.envelope))
        self._set_post_data_state()

    async def check_auth_needed(self, caller_method: str) -> bool:
        assert self.wire is not None
        if caller_method in _OWN_WORDS and self.wire.session is None:
            await self.push(self.wire.reply("not_authenticated"))
            return True
        return False


class Handler:
    """The library's hooks: what becomes of an envelope."""

    def __init__(self, smtp: SmtpServer) -> None:
        self._smtp = smtp

    @property
    def _wire(self) -> Wire:
        assert self._smtp.wire is not None
        return self._smtp.wire

    async def handle_MAIL(
        self, _server: t.Any, _session: Conversation, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        session = self._wire.session
        assert session is not None
        if switch(session.tenant, "send_as_refused_at") == "mail" and not session.sends_as(address):
            return self._wire.reply("no_send_as")
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return str(self._wire.texts["sender"])

    async def handle_RCPT(
        self, _server: t.Any, _session: Conversation, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return str(self._wire.texts["recipient"])

    async def handle_DATA(self, _server: t.Any, _session: Conversation, envelope: Envelope) -> str:
        session, wire = self._wire.session, self._wire
        assert session is not None
        effect = wire.at_end_of_data()
        if effect.delay_s:
            await asyncio.sleep(effect.delay_s)
        if effect.drop_before:
            wire.drop()
        if effect.reply is not None:
            return wire.ordered(effect.reply)
        raw = bytes(envelope.original_content or b"")
        if not session.connected:
            return wire.reply("logon_failure")
        message = mailstore.parsed(raw)
        senders = [str(envelope.mail_from), *mailstore.addresses_in(message, "From")]
        denied = next((sender for sender in senders if not session.sends_as(sender)), None)
        if denied is not None:
            login = str(session.mailbox["PrimarySmtpAddress"])
            older = switch(session.tenant, "send_as_denied_form") == "older"
            return wire.reply("send_as_denied_older" if older else "send_as_denied", login=login, sender=denied)
        message_id = mailstore.header(message, "Message-ID").strip()
        if not message_id:
            message_id = f"<{uuid.uuid4().hex.upper()}@{wire.texts['mailbox_server']}>"
            raw = f"Message-ID: {message_id}\r\n".encode() + raw
        if not mailstore.header(message, "Date"):
            raw = f"Date: {email.utils.format_datetime(wire.world.clock.now())}\r\n".encode() + raw
        mailstore.send(wire.world, [str(one) for one in envelope.rcpt_tos], raw)
        return wire.filled(wire.texts["accepted"], message_id=message_id)


def _plain(argument: str) -> str:
    """Without the parameters of DSN, BINARYMIME and AUTH: the library knows none of them, and they change nothing."""
    argument = re.sub(r" (RET|ENVID|NOTIFY|ORCPT|AUTH)=\S*", "", argument, flags=re.IGNORECASE)
    return re.sub(r"BODY=BINARYMIME", "BODY=8BITMIME", argument, flags=re.IGNORECASE)


def _shown(name: str, argument: str | None) -> str:
    """For the journal: the command's words, but nothing that lets anybody in."""
    if name == "AUTH":
        return f"AUTH {mechanism(argument or '')}".strip()
    return f"{name} {argument or ''}".strip()


def _number(text: str) -> int:
    return int(text[:3]) if text[:3].isdigit() else 0
