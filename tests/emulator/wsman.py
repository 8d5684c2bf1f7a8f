# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows Remote Management as far as a remote shell needs it: HTTP, signing in, message encryption, and the actions
Create, Command, Send, Receive, Signal and Delete of WS-Management.

What runs in a shell is none of its business: it starts what ``WindowsHost.start`` gives it and passes bytes on.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
import ssl
import struct
import typing as t
import uuid
import xml.sax.saxutils
from dataclasses import dataclass, field

import defusedxml.ElementTree
import h11
import spnego
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from .faults import ConnectionDropped, Effect
from .model import Document

if t.TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from .server import Services

SOAP = "{http://www.w3.org/2003/05/soap-envelope}"
ADDRESSING = "{http://schemas.xmlsoap.org/ws/2004/08/addressing}"
WSMAN = "{http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd}"
SHELL = "{http://schemas.microsoft.com/wbem/wsman/1/windows/shell}"
COMMAND_STATE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/CommandState"
MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
ENCRYPTED = b"application/HTTP-SPNEGO-session-encrypted"
BOUNDARY = b"--Encrypted Boundary"

LONGEST_BODY = 600_000
DEFAULT_IDLE_S = 7200.0
ENVELOPE = 153_600

SCHEMA, TIMEOUT, NO_SUCH_SHELL, TOO_MANY_SHELLS = 2150858817, 2150858793, 2150858843, 2150859173


class Fault(Exception):
    """A WS-Man fault: the number, what it says, its subcode."""

    def __init__(self, code: int, text: str, subcode: str = "w:InternalError") -> None:
        super().__init__(text)
        self.code, self.text, self.subcode = code, text, subcode


class Program(t.Protocol):
    """A process in a shell. ``changed`` is set when there is something to receive."""

    changed: asyncio.Event
    stdout: bytearray
    stderr: bytearray
    exit_code: int | None

    def feed(self, data: bytes, end: bool) -> None:
        """Take what was written to its standard input."""

    def kill(self) -> None:
        """End it."""


@dataclass
class Shell:
    id: str
    user: str
    idle_s: float
    used_at: float
    programs: dict[str, Program] = field(default_factory=dict)


@dataclass(frozen=True)
class User:
    """``name`` as it signs in: DOMAIN\\user, user@domain or a local name."""

    name: str
    password: str
    certificate: str | None = None

    @property
    def fingerprint(self) -> str | None:
        if self.certificate is None:
            return None
        der = x509.load_pem_x509_certificate(self.certificate.encode()).public_bytes(Encoding.DER)
        return hashlib.sha256(der).hexdigest()

    def store_line(self) -> str:
        """For the credential store of the NTLM acceptor."""
        domain, _unused, name = self.name.rpartition("\\")
        return f"{domain}:{name}:{self.password}"


Start = t.Callable[[str, list[str], dict[str, str]], Program]


class Service:
    """The WinRM service of one host."""

    def __init__(
        self,
        services: Services,
        name: str,
        users: list[User],
        start: Start,
        *,
        max_shells: int = 30,
        takes_idle_timeout: bool = True,
    ) -> None:
        self.name = name
        self.users = users
        self._services = services
        self._start = start
        self._max_shells = max_shells
        self._takes_idle_timeout = takes_idle_timeout
        self._shells: dict[str, Shell] = {}
        self.opened = 0
        self.connections: set[asyncio.Task[None]] = set()

    # --- shells -------------------------------------------------------------------------------------------------------

    def open_shells(self) -> int:
        """How many there are; those idle for too long are gone."""
        now = self._services.world.clock.timestamp()
        for shell in [shell for shell in self._shells.values() if now - shell.used_at > shell.idle_s]:
            self._remove(shell)
        return len(self._shells)

    def programs(self) -> int:
        return sum(program.exit_code is None for shell in self._shells.values() for program in shell.programs.values())

    def reset(self) -> None:
        for shell in list(self._shells.values()):
            self._remove(shell)

    def kill(self) -> None:
        """End every process; the shells stay."""
        for shell in self._shells.values():
            for program in shell.programs.values():
                program.kill()

    def _remove(self, shell: Shell) -> None:
        for program in shell.programs.values():
            program.kill()
        self._shells.pop(shell.id, None)

    def _shell(self, header: Element, user: str) -> Shell:
        self.open_shells()
        selector = header.find(f"{WSMAN}SelectorSet/{WSMAN}Selector[@Name='ShellId']")
        wanted = (selector.text or "") if selector is not None else ""
        shell = self._shells.get(wanted)
        if shell is None or shell.user != user:
            raise Fault(
                NO_SUCH_SHELL,
                f"The request for the Windows Remote Shell with ShellId {wanted} failed because the shell was not "
                "found on the server. Possible causes are: the specified ShellId is incorrect or the shell no longer "
                "exists on the server. Provide the correct ShellId or create a new shell and retry the operation.",
                "w:InvalidSelectors",
            )
        shell.used_at = self._services.world.clock.timestamp()
        return shell

    @staticmethod
    def _program(shell: Shell, element: Element | None) -> Program:
        wanted = element.get("CommandId", "") if element is not None else ""
        if wanted not in shell.programs:
            raise Fault(2150858843, "The WS-Management service cannot process the request: no such command.")
        return shell.programs[wanted]

    # --- actions ------------------------------------------------------------------------------------------------------

    async def message(self, body: bytes, user: str) -> tuple[int, bytes]:
        """(HTTP status, SOAP message) for one SOAP message. Raises ConnectionDropped when a fault rule wants it."""
        envelope = defusedxml.ElementTree.fromstring(body)
        header, content = envelope.find(f"{SOAP}Header"), envelope.find(f"{SOAP}Body")
        if header is None or content is None:
            raise ValueError("no SOAP message")
        action = (header.findtext(f"{ADDRESSING}Action") or "").strip()
        name = action.rpartition("/")[2]
        related = (header.findtext(f"{ADDRESSING}MessageID") or "").strip()
        path = f"/wsman/{name}"
        row = self._services.journal.arrive(host=self.name, method="POST", path=path)
        effect = self._services.faults.meet(self.name, "POST", path, None) or Effect()
        if effect.drop_before:
            raise ConnectionDropped
        if effect.delay_s:
            await asyncio.sleep(effect.delay_s)
        if effect.status is not None and not effect.after:
            row["status"] = effect.status
            return effect.status, str(effect.body or "").encode()
        handler = getattr(self, f"_{name.lower()}", None)
        try:
            if handler is None:
                raise Fault(2150858752, f"The action {action} is not supported.", "wsa:ActionNotSupported")
            status, answer = 200, await handler(header, content, user)
        except Fault as fault:
            status, answer = 500, _fault(fault)
        row["status"] = status
        if effect.drop_after:
            raise ConnectionDropped
        return status, _message(f"{action}Response" if status == 200 else _FAULT_ACTION, related, answer)

    async def _create(self, header: Element, content: Element, user: str) -> str:
        if self.open_shells() >= self._max_shells:
            raise Fault(
                TOO_MANY_SHELLS,
                "The WS-Management service cannot process the request. This user is allowed a maximum number of "
                f"{self._max_shells} concurrent shells, which has been exceeded. Close existing shells or raise the "
                "quota for this user.",
                "w:QuotaLimit",
            )
        idle = content.findtext(f"{SHELL}Shell/{SHELL}IdleTimeOut")
        if idle is not None and (not self._takes_idle_timeout or not re.fullmatch(r"PT\d+(\.\d+)?S", idle)):
            raise Fault(
                SCHEMA,
                "The SOAP XML in the message does not match the corresponding XML schema definition. Change the XML "
                "and retry.",
                "w:SchemaValidationError",
            )
        shell = Shell(
            str(uuid.uuid4()).upper(),
            user,
            max(60.0, float(idle[2:-1])) if idle is not None else DEFAULT_IDLE_S,
            self._services.world.clock.timestamp(),
        )
        self._shells[shell.id] = shell
        self.opened += 1
        return (
            '<x:ResourceCreated xmlns:x="http://schemas.xmlsoap.org/ws/2004/09/transfer"><a:Address>'
            f"https://{self.name}:5986/wsman</a:Address><a:ReferenceParameters>"
            "<w:ResourceURI>http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd</w:ResourceURI>"
            f'<w:SelectorSet><w:Selector Name="ShellId">{shell.id}</w:Selector></w:SelectorSet>'
            "</a:ReferenceParameters></x:ResourceCreated>"
        )

    async def _command(self, header: Element, content: Element, user: str) -> str:
        shell = self._shell(header, user)
        command = content.findtext(f"{SHELL}CommandLine/{SHELL}Command") or ""
        arguments = [element.text or "" for element in content.findall(f"{SHELL}CommandLine/{SHELL}Arguments")]
        options = {
            option.get("Name", ""): (option.text or "").upper()
            for option in header.findall(f"{WSMAN}OptionSet/{WSMAN}Option")
        }
        identity = str(uuid.uuid4()).upper()
        shell.programs[identity] = self._start(command, arguments, options)
        return f"<rsp:CommandResponse><rsp:CommandId>{identity}</rsp:CommandId></rsp:CommandResponse>"

    async def _send(self, header: Element, content: Element, user: str) -> str:
        shell = self._shell(header, user)
        for stream in content.findall(f"{SHELL}Send/{SHELL}Stream"):
            if stream.get("Name") != "stdin":
                raise Fault(87, "The parameter is incorrect.", "w:InvalidParameter")
            program = self._program(shell, stream)
            if program.exit_code is None:
                program.feed(base64.b64decode(stream.text or "", validate=True), stream.get("End") == "true")
        return "<rsp:SendResponse/>"

    async def _receive(self, header: Element, content: Element, user: str) -> str:
        shell = self._shell(header, user)
        desired = content.find(f"{SHELL}Receive/{SHELL}DesiredStream")
        program = self._program(shell, desired)
        identity = desired.get("CommandId", "") if desired is not None else ""
        patience = re.fullmatch(r"PT(\d+(\.\d+)?)S", header.findtext(f"{WSMAN}OperationTimeout") or "PT60S")
        try:
            async with asyncio.timeout(float(patience[1]) if patience else 60.0):
                while not (program.stdout or program.stderr or program.exit_code is not None):
                    program.changed.clear()
                    await program.changed.wait()
        except TimeoutError:
            raise Fault(
                TIMEOUT,
                "The WS-Management service cannot complete the operation within the time specified in "
                "OperationTimeout.",
                "w:TimedOut",
            ) from None
        shell.used_at = self._services.world.clock.timestamp()
        # Base64 makes four of three, and the envelope wants some room as well.
        room = (min(int(header.findtext(f"{WSMAN}MaxEnvelopeSize") or ENVELOPE), ENVELOPE) - 8192) * 3 // 4
        pieces = []
        for name in ("stdout", "stderr"):
            stream = getattr(program, name)
            piece = bytes(stream[:room])
            del stream[: len(piece)]
            room -= len(piece)
            if piece:
                text = base64.b64encode(piece).decode()
                pieces.append(f'<rsp:Stream Name="{name}" CommandId="{identity}">{text}</rsp:Stream>')
        if program.exit_code is not None and not program.stdout and not program.stderr:
            state = f'State="{COMMAND_STATE}/Done"><rsp:ExitCode>{program.exit_code}</rsp:ExitCode></rsp:CommandState>'
        else:
            state = f'State="{COMMAND_STATE}/Running"/>'
        pieces.append(f'<rsp:CommandState CommandId="{identity}" {state}')
        return f"<rsp:ReceiveResponse>{''.join(pieces)}</rsp:ReceiveResponse>"

    async def _signal(self, header: Element, content: Element, user: str) -> str:
        shell = self._shell(header, user)
        signal = content.find(f"{SHELL}Signal")
        self._program(shell, signal).kill()
        return "<rsp:SignalResponse/>"

    async def _delete(self, header: Element, content: Element, user: str) -> str:
        self._remove(self._shell(header, user))
        return ""

    # --- connections --------------------------------------------------------------------------------------------------

    def server(self, *, tls: bool) -> t.Callable[[asyncio.StreamReader, asyncio.StreamWriter], t.Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self.connections.add(task)
            try:
                await Connection(self, reader, writer, tls=tls).serve()
            except ConnectionDropped:
                writer.transport.abort()
            except (OSError, h11.ProtocolError, asyncio.CancelledError, ssl.SSLError):
                pass  # the client went away, or the emulator stops
            finally:
                self.connections.discard(task)
                writer.close()

        return serve

    def refused(self, how: str) -> None:
        """Credentials were shown and not accepted."""
        self._services.journal.arrive(host=self.name, method=how, path="/wsman", status=401)


class Connection:
    """One TCP connection: NTLM signs in connections and not requests, and its keys belong to one."""

    def __init__(
        self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, tls: bool
    ) -> None:
        self._service, self._reader, self._writer, self._tls = service, reader, writer, tls
        self._http = h11.Connection(h11.SERVER)
        self._ntlm: spnego.ContextProxy | None = None
        self._user: str | None = None

    async def serve(self) -> None:
        while True:
            request = await self._next()
            if not isinstance(request, h11.Request):
                return
            body = b""
            while isinstance(event := await self._next(), h11.Data):
                body += event.data
                if len(body) > LONGEST_BODY:
                    return
            headers = {name.decode().lower(): value.decode("latin-1") for name, value in request.headers}
            status, answer_headers, answer = await self._answer(headers, body)
            reason = {200: b"OK", 401: b"Unauthorized"}.get(status, b"")
            self._write(
                h11.Response(
                    status_code=status,
                    reason=reason,
                    headers=[
                        *((name.encode(), value.encode()) for name, value in answer_headers.items()),
                        (b"Content-Length", str(len(answer)).encode()),
                    ],
                )
            )
            self._write(h11.Data(data=answer))
            self._write(h11.EndOfMessage())
            await self._writer.drain()
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _next(self) -> t.Any:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            self._http.receive_data(await self._reader.read(65536))

    def _write(self, event: t.Any) -> None:
        self._writer.write(self._http.send(event) or b"")

    async def _answer(self, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        user, challenge = self._who(headers)
        if user is None:
            offered = challenge or ('Negotiate, Basic realm="WSMAN"' if self._tls else "Negotiate")
            return 401, {"WWW-Authenticate": offered}, b""
        if not body:
            return 200, {"WWW-Authenticate": challenge} if challenge else {}, b""
        encrypted = headers.get("content-type", "").startswith("multipart/encrypted")
        if encrypted:
            try:
                body = self._opened(body)
            except (ValueError, spnego.exceptions.SpnegoError):
                return 400, {}, b""
        elif not self._tls:
            return 403, {}, b""  # AllowUnencrypted is false
        try:
            status, answer = await self._service.message(body, user)
        except (ValueError, SyntaxError, binascii.Error):
            return 400, {}, b""
        if not encrypted:
            return status, {"Content-Type": "application/soap+xml;charset=UTF-8"}, answer
        kind = f'multipart/encrypted;protocol="{ENCRYPTED.decode()}";boundary="Encrypted Boundary"'
        return status, {"Content-Type": kind}, self._sealed(answer)

    # --- signing in ---------------------------------------------------------------------------------------------------

    def _who(self, headers: dict[str, str]) -> tuple[str | None, str | None]:
        """(user, what to answer in WWW-Authenticate)"""
        given = headers.get("authorization", "")
        scheme, _unused, value = given.partition(" ")
        if given == MUTUAL:
            return self._by_certificate(), None
        if scheme == "Basic":
            return self._by_password(value), None
        if scheme in ("Negotiate", "NTLM"):
            return self._by_ntlm(scheme, value)
        return self._user, None

    def _by_certificate(self) -> str | None:
        secure = self._writer.get_extra_info("ssl_object")
        der = secure.getpeercert(binary_form=True) if secure is not None else None
        shown = hashlib.sha256(der).hexdigest() if der else ""
        for user in self._service.users:
            if shown and user.fingerprint == shown:
                return user.name
        self._service.refused("Certificate")
        return None

    def _by_password(self, value: str) -> str | None:
        try:
            name, _unused, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (ValueError, binascii.Error):
            name, password = "", ""
        if self._tls:
            for user in self._service.users:
                if (user.name.lower(), user.password) == (name.lower(), password):
                    return user.name
        self._service.refused("Basic" if self._tls else "Basic over HTTP")
        return None

    def _by_ntlm(self, scheme: str, value: str) -> tuple[str | None, str | None]:
        try:
            message = base64.b64decode(value, validate=True)
            if message[8:12] == b"\x01\x00\x00\x00":
                self._user, self._ntlm = None, spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
            if self._ntlm is None:
                return None, None
            answer = self._ntlm.step(message)
        except (ValueError, binascii.Error, spnego.exceptions.SpnegoError):
            self._service.refused("Negotiate")
            self._ntlm = None
            return None, None
        if not self._ntlm.complete:
            return None, f"{scheme} {base64.b64encode(answer or b'').decode()}"
        self._user = str(self._ntlm.client_principal)
        return self._user, None

    # --- message encryption (MS-WSMV 2.2.9.1) -------------------------------------------------------------------------

    def _opened(self, body: bytes) -> bytes:
        """The message of a multipart/encrypted body. Raises ValueError or SpnegoError."""
        if self._ntlm is None:
            raise ValueError("no keys on this connection")
        _unused, head, rest = body.split(BOUNDARY + b"\r\n", 2)
        length = re.search(rb"OriginalContent: type=application/soap\+xml;charset=UTF-8;Length=(\d+)", head)
        payload = rest.removeprefix(b"\tContent-Type: application/octet-stream\r\n").removesuffix(BOUNDARY + b"--\r\n")
        (signature,) = struct.unpack("<i", payload[:4])
        if length is None or signature != 16:
            raise ValueError("not an encrypted message")
        message = self._ntlm.unwrap(payload[4:]).data
        if len(message) != int(length[1]):
            raise ValueError("the message is not as long as it says")
        return message

    def _sealed(self, message: bytes) -> bytes:
        assert self._ntlm is not None
        sealed = self._ntlm.wrap(message, encrypt=True).data
        return b"".join(
            [
                BOUNDARY + b"\r\n\tContent-Type: " + ENCRYPTED,
                b"\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n" % len(message),
                BOUNDARY + b"\r\n\tContent-Type: application/octet-stream\r\n",
                struct.pack("<i", 16) + sealed + BOUNDARY + b"--\r\n",
            ]
        )


# --- messages --------------------------------------------------------------------------------------------------------

_FAULT_ACTION = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
_NAMESPACES = (
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" '
    'xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell" '
    'xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"'
)


def _message(action: str, related: str, body: str) -> bytes:
    return (
        f'<s:Envelope xml:lang="en-US" {_NAMESPACES}><s:Header><a:Action>{action}</a:Action>'
        f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID>"
        "<a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To>"
        f"<a:RelatesTo>{xml.sax.saxutils.escape(related)}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def _fault(fault: Fault) -> str:
    text = xml.sax.saxutils.escape(fault.text)
    return (
        f"<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{fault.subcode}</s:Value></s:Subcode>"
        f'</s:Code><s:Reason><s:Text xml:lang="en-US">{text}</s:Text></s:Reason><s:Detail>'
        '<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" '
        f'Code="{fault.code}" Machine="host"><f:Message>{text}</f:Message></f:WSManFault></s:Detail></s:Fault>'
    )


def users_of(entries: list[Document]) -> list[User]:
    return [User(str(entry["name"]), str(entry["password"]), entry.get("certificate")) for entry in entries]
