# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twisted's protocols on the emulator's own event loop: TLS and sockets are asyncio's, the timers go by its reactor.

Only this and the two protocols know Twisted. Nothing of it is started: the reactor is installed on the loop that runs,
for ``callLater``.
"""

from __future__ import annotations

import asyncio
import functools
import typing as t

from twisted.internet import asyncioreactor, error, main
from twisted.python.failure import Failure

from .mail_wire import Wire

if t.TYPE_CHECKING:
    from .server import Services


def bridge(services: Services, protocol: str) -> asyncio.Protocol:
    _install()
    if protocol == "imap":
        from .mail_imap import ImapServer as Kind
    else:
        from .mail_pop import PopServer as Kind
    return Bridge(services, protocol, Kind)


@functools.cache
def _install() -> None:
    main.installReactor(asyncioreactor.AsyncioSelectorReactor(asyncio.get_running_loop()))


class Bridge(asyncio.Protocol):
    """asyncio's side of a connection that a Twisted protocol serves."""

    def __init__(self, services: Services, protocol: str, kind: t.Callable[[Wire], t.Any]) -> None:
        self._services, self._protocol, self._kind = services, protocol, kind
        self._inner: t.Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner = self._kind(Wire(self._services, self._protocol, transport))
        self._inner.makeConnection(Transport(t.cast("asyncio.Transport", transport)))

    def data_received(self, data: bytes) -> None:
        self._inner.dataReceived(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connectionLost(Failure(error.ConnectionDone()))


class Transport:
    """As much of Twisted's transports as its mail protocols use."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._producer: t.Any = None
        self.disconnecting = False
        self.silent = False
        """Nothing that is written leaves: the answer is lost on its way."""

    def write(self, data: bytes) -> None:
        if not self.silent:
            self._transport.write(data)

    def writeSequence(self, pieces: t.Iterable[bytes]) -> None:
        self.write(b"".join(pieces))

    def loseConnection(self) -> None:
        self.disconnecting = True
        self._transport.close()

    def getPeer(self) -> t.Any:
        return self._transport.get_extra_info("peername")

    def registerProducer(self, producer: t.Any, streaming: bool) -> None:
        """A producer that waits to be asked is asked until it has no more: what is sent is small."""
        self._producer = producer
        if not streaming:
            asyncio.get_running_loop().call_soon(self._produce)

    def unregisterProducer(self) -> None:
        self._producer = None

    def _produce(self) -> None:
        while self._producer is not None:
            self._producer.resumeProducing()
