# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network of one machine: a listener that does to each connection what a test says, and authorities to trust."""

from __future__ import annotations

import contextlib
import datetime as dt
import pathlib
import socket
import ssl
import threading
import typing as t
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOST = "graph.microsoft.com"


class Authority:
    """A certificate authority whose files lie in ``folder``."""

    def __init__(self, folder: pathlib.Path, name: str = "Inspecting CA") -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._signed(self.name, self.key.public_key(), None, -1, 3650, authority=True)
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)
        self.path = folder / f"{name.replace(' ', '-')}.pem"
        self.path.write_bytes(self.pem)

    def server(self, host: str = HOST, begins: float = -1, ends: float = 30) -> ssl.SSLContext:
        """A server's side of TLS; ``begins`` and ``ends`` are days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        leaf = self._signed(subject, key.public_key(), host, begins, ends)
        path = self.folder / f"leaf-{leaf.serial_number}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + leaf.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _signed(
        self, subject: x509.Name, key: t.Any, host: str | None, begins: float, ends: float, authority: bool = False
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + dt.timedelta(days=begins))
            .not_valid_after(now + dt.timedelta(days=ends))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if authority:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            built = built.add_extension(usage, critical=True)
        else:
            built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(str(host))]), critical=False)
            built = built.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return built.sign(self.key, hashes.SHA256())


def head(sock: socket.socket) -> bytes:
    """What is sent until the empty line."""
    seen = b""
    while b"\r\n\r\n" not in seen:
        piece = sock.recv(65536)
        if not piece:
            break
        seen += piece
    return seen


@contextlib.contextmanager
def listener(does: t.Callable[[socket.socket], None]) -> Iterator[int]:
    """A port at which each connection meets ``does``, in a thread of its own."""
    server = socket.create_server(("127.0.0.1", 0))

    def one(sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            does(sock)

    def serve() -> None:
        while True:
            try:
                sock, _peer = server.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(sock,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(server.getsockname()[1])
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()


def answers(raw: bytes, context: ssl.SSLContext | None = None) -> t.Callable[[socket.socket], None]:
    """Behind CONNECT, by TLS where ``context`` is given: read a request, say ``raw``, end."""

    def does(sock: socket.socket) -> None:
        head(sock)
        sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        if context is not None:
            sock = context.wrap_socket(sock, server_side=True)
        head(sock)
        if raw:
            sock.sendall(raw)
        sock.close()

    return does


def response(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An answer of HTTP, whole."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
