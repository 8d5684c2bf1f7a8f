# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proxy that clients are pointed at: CONNECT to Microsoft's hosts ends at the emulator's own ports.

Any other host, and any other port, is refused, so nothing a client does leaves the machine. Plain HTTP is taken for one
host only, the instance metadata service, which has no TLS.
"""

from __future__ import annotations

import asyncio
import json
import socket
import typing as t
import urllib.parse

from .faults import Effect
from .hosts import IMDS, MAIL_PORTS, reachable
from .model import Answer, Call

PlainHandler = t.Callable[[Call], t.Awaitable[Answer]]
RefusalNote = t.Callable[[str, str, str, int], None]  # host, method, path, status
Meeting = t.Callable[[str, str], "Effect | None"]  # host, host:port -> what a CONNECT meets


class Relay:
    """``ports``: where the emulated hosts listen, by the port that is asked for. ``plain`` answers plain-HTTP requests
    for the metadata host. ``meet`` tells the fault that a CONNECT meets."""

    def __init__(self, ports: dict[int, int], plain: PlainHandler, refused: RefusalNote, meet: Meeting) -> None:
        self._ports, self._plain, self._refused, self._meet = ports, plain, refused, meet
        self._tunnels: dict[int, tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = {}
        self._asked: dict[int, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.joins_greetings: t.Callable[[], bool] = lambda: False

    async def start(self, port: int) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    def abort(self, peer_port: int) -> bool:
        """Cut the tunnel whose inner end is ``peer_port``, at once and without a word."""
        tunnel = self._tunnels.get(peer_port)
        for writer in tunnel or ():
            writer.transport.abort()
        return tunnel is not None

    def host_of(self, peer_port: int) -> str | None:
        """Which host was asked for by the tunnel whose inner end is ``peer_port``."""
        return self._asked.get(peer_port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._one(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError, ValueError):
            pass  # the client went away, spoke nonsense, or the emulator stops
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request_line, *lines = head.split("\r\n")
        method, target, _unused = request_line.split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _unused, value in (line.partition(":") for line in lines)
        }
        if method == "CONNECT":
            host, _unused, port = target.rpartition(":")
            number = int(port) if port.isdecimal() else 0
            effect = self._meet(host.lower(), target.lower()) or Effect()
            if effect.delay_s:
                await asyncio.sleep(effect.delay_s)
            if effect.drop_before:
                writer.transport.abort()
            elif effect.status is not None:
                self._refused(host.lower(), method, target if number in MAIL_PORTS else "", effect.status)
                await _answer(writer, Answer(effect.status, effect.body, effect.headers))
            elif reachable(host.lower(), number):
                await self._tunnel(reader, writer, host.lower(), number, joined=effect.joined)
            else:
                self._refused(host.lower(), method, "", 403)
                await _answer(writer, Answer(403, {"error": f"{target} is not emulated; nothing leaves this machine"}))
            return
        url = urllib.parse.urlsplit(target)
        if url.hostname == IMDS and url.path.startswith("/metadata/identity"):
            call = Call(IMDS, method, url.path, url.query, headers)
            await _answer(writer, await self._plain(call))
            return
        self._refused((url.hostname or "").lower(), method, url.path, 403)
        await _answer(writer, Answer(403, {"error": "only the metadata service is reached by plain HTTP"}))

    async def _tunnel(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, number: int, *, joined: bool
    ) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._ports[number])
        port = inner_writer.get_extra_info("sockname")[1]
        self._tunnels[port] = writer, inner_writer
        self._asked[port] = host
        answer = b"HTTP/1.1 200 Connection established\r\n\r\n"
        if number == 587 and (joined or self.joins_greetings()):
            answer += await inner_reader.read(65536)  # a server that speaks first, and one segment for both
        writer.write(answer)
        try:
            await asyncio.gather(_pump(reader, inner_writer, writer), _pump(inner_reader, writer, inner_writer))
        finally:
            del self._tunnels[port], self._asked[port]
            inner_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, source: asyncio.StreamWriter) -> None:
    """Copy until the end; ``source`` writes to where ``reader`` reads from."""
    incoming = source.get_extra_info("socket")
    try:
        while chunk := await reader.read(65536):
            _acknowledge(incoming)
            writer.write(chunk)
            await writer.drain()
    except OSError:
        writer.transport.abort()
        return
    writer.close()


def _acknowledge(connection: socket.socket) -> None:
    """At once: urllib3 sends headers and body apart and, through a proxy, holds the second back until the first is
    acknowledged, for which a kernel takes its time (40 ms a request)."""
    if hasattr(socket, "TCP_QUICKACK"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


async def _answer(writer: asyncio.StreamWriter, answer: Answer) -> None:
    body = b"" if answer.body is None else json.dumps(answer.body).encode()
    lines = [
        f"HTTP/1.1 {answer.status} -",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in answer.headers.items()),
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
    await writer.drain()
