# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What IMAP, POP and SMTP have in common: listeners, journal, faults, wording.

The servers themselves are libraries (Twisted, aiosmtpd), imported when the first client comes: most emulators never
see one.
"""

from __future__ import annotations

import asyncio
import base64
import email.utils
import pathlib
import ssl
import typing as t
import uuid

from . import mail_access
from .entra import Entra
from .faults import Effect
from .hosts import CLOUDS, MAIL_PORTS, mail_host
from .model import Document, Tenant, World, load_yaml

if t.TYPE_CHECKING:
    from .server import Services

TEXTS: t.Final[Document] = load_yaml(pathlib.Path(__file__).with_name("mail_texts.yml").read_text(encoding="utf-8"))
AFTER_S: t.Final = 0.05
"""How long a connection that is to drop after the work stays: the work of some commands goes on for a while."""
_PATH_SHOWN: t.Final = 200


class Wire:
    """One connection of a mail client: its host, its session, its rows in the journal and the faults it meets.

    A command is a row from ``arrive`` on, whose status is what ``answered`` says.
    """

    def __init__(self, services: Services, protocol: str, transport: asyncio.BaseTransport) -> None:
        self.services, self.protocol, self.transport = services, protocol, transport
        self.texts: Document = TEXTS[protocol]
        peer = transport.get_extra_info("peername")
        self.peer_port = int(peer[1]) if peer else 0
        self.session: mail_access.Session | None = None
        self.tenant_id: str | None = None
        self._row: Document | None = None

    @property
    def world(self) -> World:
        return self.services.world

    @property
    def entra(self) -> Entra:
        return self.services.entra

    @property
    def asked_host(self) -> str | None:
        """The host that was asked of the proxy, or by name in the handshake; None: a listener of this machine."""
        relay = self.services.relay
        host = relay.host_of(self.peer_port) if relay is not None else None
        secure = self.transport.get_extra_info("ssl_object")
        host = host or getattr(secure, "asked_name", None)
        return host if host is not None and mail_host(host, self.protocol) else None

    @property
    def host(self) -> str:
        """As the journal has it: a listener of this machine plays the public cloud's host."""
        public = CLOUDS["global"]
        return self.asked_host or (public.smtp if self.protocol == "smtp" else public.imap)

    # --- journal and faults ------------------------------------------------------------------------------------------

    def arrive(self, path: str) -> Effect:
        """A command is here (``path``: its words without anything secret). What it meets, which may be nothing."""
        self._row = self.services.journal.arrive(
            host=self.host,
            method=self.protocol.upper(),
            path=path[:_PATH_SHOWN],
            tenant=self.tenant_id,
        )
        return self.services.faults.meet(self.host, self.protocol.upper(), path[:_PATH_SHOWN], None) or Effect()

    def connected(self) -> Effect:
        """A connection is here: only a fault makes a row of it (``CONNECT``)."""
        effect = self.services.faults.meet(self.host, self.protocol.upper(), "CONNECT", None)
        if effect is not None:
            self._row = self.services.journal.arrive(host=self.host, method=self.protocol.upper(), path="CONNECT")
        return effect or Effect()

    def at_end_of_data(self) -> Effect:
        """What the end of a message meets: a rule whose path is ``.``, as the wire has it."""
        return self.services.faults.meet(self.host, self.protocol.upper(), ".", None) or Effect()

    def answered(self, status: str | int) -> None:
        """The last command has its answer. What it changed is kept now."""
        if self._row is not None:
            self._row |= {"tenant": self.tenant_id, "status": status}
            self._row = None
        self.services.store.commit()

    def drop(self) -> None:
        """End the connection at once and without a word."""
        relay = self.services.relay
        if relay is None or not relay.abort(self.peer_port):
            self.transport.abort()  # type: ignore[attr-defined]

    # --- words -------------------------------------------------------------------------------------------------------

    def reply(self, key: str, **values: str) -> str:
        """One of the protocol's ``replies`` in its wording."""
        return self.filled(self.texts["replies"][key], **values)

    def ordered(self, text: str) -> str:
        """What a fault orders: the name of a reply, or the reply itself."""
        return self.reply(text) if text in self.texts["replies"] else text

    def filled(self, text: str, **values: str) -> str:
        session = self.session
        now = self.world.clock.now()
        known = {
            "server": TEXTS["server"],
            "mailbox_server": str(self.texts.get("mailbox_server", "")),
            "date": f"{now:%Y-%m-%dT%H:%M:%S}.000Z",
            "id": uuid.uuid4().hex[:16].upper(),
            **dict.fromkeys(("user", "login", "sender"), str(session.mailbox["PrimarySmtpAddress"]) if session else ""),
        }
        return str(text).format(**{**known, **values})

    def greeting(self) -> str:
        server = base64.b64encode(str(TEXTS["server"]).encode("utf-16-le")).decode()
        date = email.utils.format_datetime(self.world.clock.now())
        name = str(TEXTS["server"]) if self.protocol == "smtp" else server
        return str(self.texts["greeting"]).format(server=name, date=date)

    # --- signing in --------------------------------------------------------------------------------------------------

    def sign_in(self, encoded: bytes) -> tuple[str | None, Tenant | None]:
        """Try an XOAUTH2 string: None or the name of the refusal's reply, and the tenant of the user's domain."""
        try:
            user, token = mail_access.credentials(encoded)
        except mail_access.Malformed:
            return "malformed", None
        tenant = mail_access.tenant_of(self.world, user)
        self.tenant_id = tenant.id if tenant is not None else None
        try:
            self.session = mail_access.sign_in(self.world, self.entra, self.protocol, self.asked_host, user, token)
        except mail_access.Refused as refused:
            return refused.key, tenant
        return None, tenant


def mechanism(argument: str) -> str:
    """The first word of a sign-in, for the journal; anything but a mechanism's name might be a secret."""
    word = argument.partition(" ")[0].upper()
    return word if word in ("XOAUTH2", "OAUTHBEARER", "PLAIN", "LOGIN", "CRAM-MD5", "NTLM") else ""


def challenge_wanted(tenant: Tenant | None) -> bool:
    """Whether a refusal comes as a challenge first, as other companies' servers do it."""
    return tenant is not None and bool((tenant.settings.get("switches") or {}).get("error_challenge"))


class MailServers:
    """The three listeners on loopback. ``context`` has certificates for the real names and for localhost."""

    def __init__(self, services: Services, context: ssl.SSLContext) -> None:
        self._services, self._context = services, context
        self._servers: list[asyncio.Server] = []
        self.ports: dict[str, int] = {}
        context.sni_callback = _note_name

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        for protocol in MAIL_PORTS.values():
            secure = None if protocol == "smtp" else self._context
            server = await loop.create_server(
                _factory(self._services, protocol, self._context), "127.0.0.1", 0, ssl=secure
            )
            self._servers.append(server)
            self.ports[protocol] = int(server.sockets[0].getsockname()[1])

    def close(self) -> None:
        for server in self._servers:
            server.close()


def _note_name(connection: t.Any, name: str | None, _context: ssl.SSLContext) -> None:
    connection.asked_name = name.lower() if name else None


def _factory(services: Services, protocol: str, context: ssl.SSLContext) -> t.Callable[[], asyncio.Protocol]:
    def make() -> asyncio.Protocol:
        if protocol == "smtp":
            from . import mail_smtp

            return mail_smtp.server(services, context)
        from . import mail_twisted

        return mail_twisted.bridge(services, protocol)

    return make
