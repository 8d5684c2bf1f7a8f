# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The real network, by requests: proxies, trust, bounds on time and size, and what went wrong in words."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import socket
import ssl
import threading
import typing as t
import zlib

from ansible_collections.mail2fax.m365.plugins.module_utils import _gate, _proxy, _quiet, _tls
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost, M365Error, Unreachable
from ansible_collections.mail2fax.m365.plugins.module_utils._http import (
    HAS_REQUESTS,
    REQUESTS_IMPORT_ERROR,
    Request,
    Response,
    missing_library,
)

try:
    import requests
    import requests.utils
    import urllib3
    import urllib3.connection
    import urllib3.connectionpool
    import urllib3.util.ssl_

    _HTTPAdapter: t.Any = requests.adapters.HTTPAdapter
except ImportError:
    _HTTPAdapter = object

CONNECT_S = 15.0
"""How long one connection may take to come about; an answer may take longer."""
LARGEST = 32 * 1024 * 1024
"""How many bytes an answer may have, unpacked: many times what a service sends in a page."""
PIECE = 64 * 1024
LEAST_S = 60.0
"""The least time that a whole answer gets; twice the time-out where that is more."""


class _State:
    """How far a request has come. ``phase``: dial, proxy, tunnel, tls, sent."""

    def __init__(self) -> None:
        self.phase = "dial"
        self.connection: t.Any = None
        self.out_of_time = False

    def cut(self) -> None:
        """Called from another thread when the time is over: what reads the socket ends at once."""
        self.out_of_time = True
        sock = getattr(self.connection, "sock", None)
        while sock is not None and not isinstance(sock, socket.socket):
            sock = getattr(sock, "socket", None)  # TLS inside TLS
        if sock is not None:
            with contextlib.suppress(OSError):
                # Not SSLSocket's own: that one would take the encryption away below the reader.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Adapter(_HTTPAdapter):  # type: ignore[misc]
    """requests' own, with connections that tell how far they have come, and the proxy's password apart."""

    def __init__(self, state: _State) -> None:
        self._state = state
        self.authorization: str | None = None
        self.context: ssl.SSLContext | None = None
        super().__init__()

    def init_poolmanager(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._classes()

    def proxy_manager_for(self, proxy: str, **kwargs: t.Any) -> t.Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._classes()
        return manager

    def cert_verify(self, conn: t.Any, url: str, verify: t.Any, cert: t.Any) -> None:
        """Without a context of its own each connection would read all authorities anew, the public ones in 25 ms."""
        super().cert_verify(conn, url, verify, cert)
        if self.context is not None and url.startswith("https:"):
            conn.conn_kw["ssl_context"] = self.context
            conn.ca_certs = conn.ca_cert_dir = None

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        return {"Proxy-Authorization": self.authorization} if self.authorization else {}

    def _classes(self) -> dict[str, t.Any]:
        state = self._state

        class Told:
            """Mixed into a connection of urllib3's."""

            def connect(self) -> None:
                state.phase, state.connection = "dial", self
                super().connect()  # type: ignore[misc]
                state.phase = "sent"

            def _new_conn(self) -> t.Any:
                sock = super()._new_conn()  # type: ignore[misc]
                state.phase = "tunnel" if getattr(self, "_tunnel_host", None) else "tls"
                return sock

            def _connect_tls_proxy(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
                state.phase = "proxy"
                sock = super()._connect_tls_proxy(*args, **kwargs)  # type: ignore[misc]
                state.phase = "tunnel"
                return sock

            def _tunnel(self) -> None:
                super()._tunnel()  # type: ignore[misc]
                state.phase = "tls"

            def request(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
                state.connection = self
                if getattr(self, "sock", None) is not None:
                    state.phase = "sent"
                return super().request(*args, **kwargs)  # type: ignore[misc]

        class Secure(Told, urllib3.connection.HTTPSConnection):
            pass

        class Plain(Told, urllib3.connection.HTTPConnection):
            pass

        class SecurePool(urllib3.connectionpool.HTTPSConnectionPool):
            ConnectionCls = Secure

        class PlainPool(urllib3.connectionpool.HTTPConnectionPool):
            ConnectionCls = Plain

        return {"https": SecurePool, "http": PlainPool}


def trusting(authorities: _tls.Authorities) -> ssl.SSLContext:
    """What urllib3 itself would make for these, read once as long as the file stays as it is. Raises OSError.

    A process that is forked has what its parent has read.
    """
    path = authorities.path or requests.utils.DEFAULT_CA_BUNDLE_PATH
    found = os.stat(path)
    return _trusting(path, (found.st_mtime_ns, found.st_size, found.st_ino))


@functools.lru_cache(8)
def _trusting(path: str, version: tuple[int, ...]) -> ssl.SSLContext:
    del version
    context = urllib3.util.ssl_.create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.check_hostname = True
    context.load_verify_locations(**{"capath" if os.path.isdir(path) else "cafile": path})
    return context


class RequestsTransport:
    """The real network.

    ``ca_path`` wins over REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE and SSL_CERT_FILE in ``environment``; ``proxy``
    wins over HTTPS_PROXY, and NO_PROXY holds for both. What is reached from this machine alone is never asked by a
    proxy. Redirects are not followed, so no token travels to a host nobody named. An answer has to be there, whole,
    in twice the time-out (a minute at least) and has a largest size.
    """

    def __init__(
        self, environment: t.Mapping[str, str], *, ca_path: str | None = None, proxy: str | None = None
    ) -> None:
        if not HAS_REQUESTS:
            raise missing_library("requests", REQUESTS_IMPORT_ERROR)
        self._state = _State()
        self._authorities = _tls.Authorities.of(ca_path, environment)
        self._checked = False
        self._proxy = proxy
        self._environment = environment

    @functools.cached_property
    def _adapter(self) -> _Adapter:
        return _Adapter(self._state)

    @functools.cached_property
    def _session(self) -> t.Any:
        """Made for the first request: a task that has no questions left sends none."""
        _quiet.loggers()
        session = requests.Session()
        session.trust_env = False
        session.mount("https://", self._adapter)
        session.mount("http://", self._adapter)
        return session

    def send(self, request: Request, timeout_s: float) -> Response:
        if not self._checked:
            self._authorities.check()
            self._checked = True
        state = self._state
        state.phase, state.connection, state.out_of_time = "dial", None, False
        proxy = _proxy.choose(request.host, self._environment, self._proxy)
        self._adapter.authorization = proxy.authorization if proxy is not None else None
        watch = threading.Timer(max(2 * timeout_s, LEAST_S), state.cut)
        watch.daemon = True
        watch.start()
        try:
            # TLS to a proxy itself takes its authorities from the path.
            by_tls = proxy is not None and proxy.url.startswith("https:")
            self._adapter.context = None if by_tls else trusting(self._authorities)
            with self._session.request(
                request.method,
                request.url,
                headers={"Accept-Encoding": "gzip", **request.headers},
                data=request.body,
                timeout=(min(timeout_s, CONNECT_S), timeout_s),
                proxies={"https": proxy.url} if proxy is not None else {},
                verify=self._authorities.path or True,
                allow_redirects=False,
                stream=True,
            ) as answer:
                body = _read(answer, request.host)
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
            raise self._explain(exc, request, proxy) from None
        finally:
            watch.cancel()
        if state.out_of_time:
            # An answer that is cut in its headers looks whole.
            raise AnswerLost(f"{request.host} {_LATE}")
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, headers, body)

    def close(self) -> None:
        if "_session" in self.__dict__:
            self._session.close()

    def _explain(self, exc: Exception, request: Request, proxy: _proxy.Proxy | None) -> M365Error:
        where, phase = request.host, self._state.phase
        if isinstance(exc, (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader)):
            return Unreachable(f"a request to {where} cannot be written as it is ({type(exc).__name__})", lasting=True)
        if phase == "sent":
            late = _LATE if self._state.out_of_time else "took the request and then sent no answer"
            return AnswerLost(f"{where} {late} ({type(exc).__name__})")
        if phase == "proxy" and proxy is not None:
            return _tls.explain(exc, where, self._authorities, proxy=proxy.place)
        if phase == "tunnel" and proxy is not None:
            return _tunnel(exc, where, proxy)
        if phase == "tls":
            return _tls.explain(exc, where, self._authorities)
        if _tls.find(exc, ssl.SSLError) is not None:
            return _tls.explain(exc, where, self._authorities)
        if proxy is not None:
            return Unreachable(
                f"the proxy {proxy.place}, by which {where} is to be reached, cannot be reached{_why(exc)}",
                cure=f"check {proxy.named} (and NO_PROXY), the proxy itself, DNS, and a firewall in between",
                options=proxy.options,
            )
        if _gate.is_machine(where):
            return Unreachable(f"nothing answers at {where}{_why(exc)}", cure="check that the service runs there")
        if isinstance(exc, requests.exceptions.ConnectTimeout):
            return Unreachable(f"{where} did not accept a connection in time", cure=_ROUTE.format(where))
        return Unreachable(f"no connection to {where}{_why(exc)}", cure=_ROUTE.format(where))


def _tunnel(exc: BaseException, where: str, proxy: _proxy.Proxy) -> Unreachable:
    """What a proxy said, or did, to CONNECT."""
    found = re.search(r"Tunnel connection failed: (\d{3})", " ".join(map(str, _tls.chain(exc))))
    if found is not None:
        return _proxy.refusal(proxy, where, 443, int(found[1]))
    if _tls.find(exc, TimeoutError, requests.exceptions.Timeout) is not None:
        return _proxy.silent(proxy, where)
    return _proxy.broke_off(proxy, where)


def _read(answer: t.Any, where: str) -> bytes:
    """The body, unpacked, as long as it is not larger than anything that a service sends."""
    packing = str(answer.headers.get("content-encoding") or "identity").strip().lower()
    unpack: t.Any = None
    if packing in ("gzip", "x-gzip"):
        unpack = zlib.decompressobj(31)
    elif packing == "deflate":
        unpack = zlib.decompressobj()
    elif packing not in ("", "identity"):
        raise AnswerLost(f"the answer of {where} is packed in a way that nobody asked for", lasting=True)
    body = bytearray()
    for piece in answer.raw.stream(PIECE, decode_content=False):
        if unpack is None:
            body += piece
        elif not unpack.eof:
            try:
                body += unpack.decompress(piece, LARGEST + 1 - len(body))
            except zlib.error:
                raise AnswerLost(f"the answer of {where} cannot be unpacked", lasting=True) from None
        if len(body) > LARGEST:
            raise AnswerLost(
                f"the answer of {where} is larger than {LARGEST // 1024 // 1024} MiB",
                cure="look for something on the way that answers in the service's place",
                lasting=True,
            )
    if unpack is not None and body and not unpack.eof:
        raise AnswerLost(f"the answer of {where} ended before it was whole")
    return bytes(body)


_ROUTE = (
    "check from this machine that the name {0} resolves (DNS), that port 443 is open (firewall), and that HTTPS_PROXY "
    "and NO_PROXY are right where {0} is reached by a proxy"
)
_LATE = "did not answer whole in time"
_WHYS = {
    "its name does not resolve": ("NameResolutionError", "Name or service not known", "getaddrinfo failed"),
    "the connection was refused": ("Connection refused",),
    "the network is unreachable": ("Network is unreachable", "No route to host"),
    "no answer in time": ("ConnectTimeoutError", "timed out"),
}


def _why(exc: BaseException) -> str:
    """What the operating system says of a connection that did not come about, in words."""
    seen = str(exc)
    return next((f": {words}" for words, signs in _WHYS.items() if any(sign in seen for sign in signs)), "")
