# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One TLS socket for what is not HTTP: by the same proxy, with the same trust and the same bounds as requests.

Python's own imaplib, poplib and smtplib know no proxy and no private authority; they are given the socket. What a
proxy says to CONNECT is read byte by byte: the service's greeting may come in the same segment.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import ssl
import threading
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _gate, _proxy, _redact, _tls
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import M365Error, Unreachable
from ansible_collections.mail2fax.m365.plugins.module_utils._version import USER_AGENT

CONNECT_S = 15.0
"""How long one connection may take to come about; an answer may take longer."""
LEAST_S = 60.0
"""The least time that a whole conversation gets; twice the time-out where that is more."""
LONGEST_HEAD = 65536
_STATUS = re.compile(rb"HTTP/1\.[0-9] ([0-9]{3})(?:[ \r\n]|$)")
NETWORK = "the administrator of the network here"


class Line:
    """An open connection. ``sock`` is encrypted, or becomes it by ``secure``; what reads it ends when time is over."""

    def __init__(self, sock: t.Any, host: str, port: int, dialer: Dialer, limit_s: float) -> None:
        self.sock = sock
        self.host = host
        self.port = port
        self.out_of_time = False
        self._dialer = dialer
        self._watch = threading.Timer(limit_s, self._cut)
        self._watch.daemon = True
        self._watch.start()

    def secure(self) -> t.Any:
        """The same connection with TLS (STARTTLS). Raises Unreachable."""
        self.sock = self._dialer.encrypted(self.sock, self.host, self.port)
        return self.sock

    def wrap_socket(self, sock: t.Any, server_hostname: str | None = None) -> t.Any:
        """What smtplib asks of an SSLContext."""
        return self.secure()

    def close(self) -> None:
        self._watch.cancel()
        with contextlib.suppress(OSError):
            self.sock.close()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _cut(self) -> None:
        self.out_of_time = True
        _shut(self.sock)


class Dialer:
    """Connections to services that are not HTTP.

    ``ca_path`` and ``proxy`` win over ``environment``, and NO_PROXY holds for both, as for requests.
    """

    def __init__(
        self, environment: t.Mapping[str, str], *, ca_path: str | None = None, proxy: str | None = None
    ) -> None:
        self._environment = environment
        self._authorities = _tls.Authorities.of(ca_path, environment)
        self._proxy = proxy
        self._context: ssl.SSLContext | None = None

    def dial(self, host: str, port: int, timeout_s: float, *, encrypted: bool = True) -> Line:
        """A connection to ``host``, with TLS at once unless ``encrypted`` is False. Raises Unreachable."""
        proxy = _proxy.choose(host, self._environment, self._proxy, port=port)
        raw = self._connect(host, port, proxy, timeout_s)
        sock: t.Any = raw
        limit_s = max(2 * timeout_s, LEAST_S)
        watch = threading.Timer(limit_s, _shut, (raw,))
        watch.daemon = True
        watch.start()
        try:
            if proxy is not None:
                if proxy.scheme == "https":
                    try:
                        sock = self._trust().wrap_socket(raw, server_hostname=_split(proxy)[0])
                    except OSError as exc:
                        raise _tls.explain(exc, host, self._authorities, proxy=proxy.place) from None
                _tunnel(sock, host, port, proxy)
            if encrypted:
                sock = self.encrypted(sock, host, port)
            return Line(sock, host, port, self, limit_s)
        except BaseException:
            with contextlib.suppress(OSError):
                sock.close()
            raise
        finally:
            watch.cancel()

    def encrypted(self, sock: t.Any, host: str, port: int) -> t.Any:
        """TLS on a connection that is open. Raises Unreachable."""
        try:
            if isinstance(sock, ssl.SSLSocket):  # TLS to the proxy, and TLS to the service inside of it
                from urllib3.util.ssltransport import SSLTransport

                return _Inner(SSLTransport(sock, self._trust(), server_hostname=host))
            return self._trust().wrap_socket(sock, server_hostname=host)
        except OSError as exc:
            raise _tls.explain(exc, host, self._authorities, port=port) from None

    def _trust(self) -> ssl.SSLContext:
        if self._context is None:
            self._authorities.check()
            path = self._authorities.path
            try:
                if path is None:
                    import certifi  # requests brings it, and trusts it

                    path = certifi.where()
                directory = self._authorities.is_directory
                context = ssl.create_default_context(
                    cafile=None if directory else path, capath=path if directory else None
                )
            except (OSError, ImportError) as exc:
                raise _tls.explain(exc, "", self._authorities) from None
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._context = context
        return self._context

    def _connect(self, host: str, port: int, proxy: _proxy.Proxy | None, timeout_s: float) -> socket.socket:
        there = (host, port) if proxy is None else _split(proxy)
        try:
            sock = socket.create_connection(there, timeout=min(timeout_s, CONNECT_S))
        except (OSError, UnicodeError) as exc:
            if proxy is not None:
                raise Unreachable(
                    f"the proxy {proxy.place}, by which {host} is to be reached, cannot be reached{_why(exc)}",
                    cure=f"check {proxy.named} (and NO_PROXY), the proxy itself, DNS, and a firewall in between",
                    options=proxy.options,
                ) from None
            raise _no_route(exc, host, port) from None
        sock.settimeout(timeout_s)
        return sock


class _Inner:
    """TLS inside TLS, with what the libraries want of a socket beside reading and writing."""

    def __init__(self, inner: t.Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._inner, name)

    def shutdown(self, how: int) -> None:
        _shut(self._inner.socket)


def _tunnel(sock: t.Any, host: str, port: int, proxy: _proxy.Proxy) -> None:
    """Have the proxy connect. Raises Unreachable."""
    lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}", f"User-Agent: {USER_AGENT}"]
    if proxy.authorization:
        _redact.note_sent({"Proxy-Authorization": proxy.authorization}, None)
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    said = bytearray()
    try:
        sock.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
        while not said.endswith((b"\r\n\r\n", b"\n\n")) and len(said) < LONGEST_HEAD:
            # Not one byte more: what follows is the service's.
            byte = sock.recv(1)
            if not byte:
                break
            said += byte
    except TimeoutError:
        raise _proxy.silent(proxy, host, port) from None
    except OSError:
        said.clear()
    status = _STATUS.match(said)
    if status is None or not said.endswith((b"\r\n\r\n", b"\n\n")):
        raise _proxy.broke_off(proxy, host, port)
    if not 200 <= int(status[1]) < 300:
        raise _proxy.refusal(proxy, host, port, int(status[1]))


def _split(proxy: _proxy.Proxy) -> tuple[str, int]:
    host, _colon, port = proxy.place.rpartition(":") if re.search(r":\d+$", proxy.place) else (proxy.place, "", "")
    return host.strip("[]"), int(port) if port else {"http": 80, "https": 443}[proxy.scheme]


def _shut(sock: t.Any) -> None:
    while sock is not None and not isinstance(sock, socket.socket):
        sock = getattr(sock, "socket", None)
    if sock is not None:
        with contextlib.suppress(OSError):
            # Not SSLSocket's own: that one would take the encryption away below the reader.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _no_route(exc: BaseException, host: str, port: int) -> M365Error:
    where = f"{host}:{port}"
    if _gate.is_machine(host):
        return Unreachable(f"nothing answers at {where}{_why(exc)}", cure="check that the service runs there")
    return Unreachable(
        f"no connection to {where}{_why(exc)}",
        cure=f"check from this machine that the name {host} resolves (DNS), that port {port} is open (many firewalls "
        "let port 443 alone out), and that HTTPS_PROXY and NO_PROXY are right where it is reached by a proxy",
        who=NETWORK,
    )


def _why(exc: BaseException) -> str:
    """What the operating system says of a connection that did not come about, in words."""
    if isinstance(exc, (socket.gaierror, UnicodeError)):
        return ": its name does not resolve"
    if isinstance(exc, ConnectionRefusedError):
        return ": the connection was refused"
    if isinstance(exc, TimeoutError):
        return ": no answer in time"
    if getattr(exc, "errno", None) in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return ": the network is unreachable"
    return ""
