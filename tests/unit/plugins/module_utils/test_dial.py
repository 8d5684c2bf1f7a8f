# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One TLS socket for what is not HTTP: through a proxy, with a private authority, and what is said when it fails."""

from __future__ import annotations

import socket
import ssl
import time
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _dial, _redact
from ansible_collections.mail2fax.m365.plugins.module_utils._dial import Dialer
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput, Unreachable
from tests.unit.network import Authority, head, listener

IMAP, SMTP = "outlook.office365.com", "smtp.office365.com"
Does = t.Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def dialer(port: int, authority: Authority | None = None, user: str = "", scheme: str = "http") -> Dialer:
    ca_path = str(authority.path) if authority is not None else None
    return Dialer(
        {}, ca_path=ca_path, proxy=f"{scheme}://{user}{'localhost' if scheme == 'https' else '127.0.0.1'}:{port}"
    )


def failing(does: Does, *, port: int = 993, timeout_s: float = 5.0, **options: t.Any) -> Unreachable:
    with listener(does) as at, pytest.raises(Unreachable) as caught:
        dialer(at, **options).dial(IMAP, port, timeout_s)
    return caught.value


def greets(context: ssl.SSLContext, seen: list[bytes] | None = None) -> Does:
    def does(sock: socket.socket) -> None:
        said = head(sock)
        if seen is not None:
            seen.append(said)
        sock.sendall(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n")
        with context.wrap_socket(sock, server_side=True) as inner:
            inner.sendall(b"* OK ready\r\n")
            inner.recv(100)

    return does


# --- the way there -----------------------------------------------------------------------------------------------


def test_a_connection_through_the_proxy_with_a_private_authority(authority: Authority):
    seen: list[bytes] = []
    with (
        _redact.collecting() as secrets,
        listener(greets(authority.server(IMAP), seen)) as port,
        dialer(port, authority, "fax:p%40ss@").dial(IMAP, 993, 5.0) as line,
    ):
        assert line.sock.recv(100) == b"* OK ready\r\n"
        assert line.sock.version() in ("TLSv1.2", "TLSv1.3")
    assert seen[0].startswith(b"CONNECT outlook.office365.com:993 HTTP/1.1\r\nHost: outlook.office365.com:993\r\n")
    assert b"Proxy-Authorization: Basic ZmF4OnBAc3M=\r\n" in seen[0]
    assert secrets.issued == ["ZmF4OnBAc3M="]


def test_a_greeting_in_the_same_segment_as_the_proxy_s_answer_is_not_lost():
    def does(sock: socket.socket) -> None:
        head(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n220 ready\r\n")
        sock.recv(100)

    with listener(does) as port, dialer(port).dial(SMTP, 587, 5.0, encrypted=False) as line:
        time.sleep(0.05)
        assert line.sock.recv(100) == b"220 ready\r\n"


def test_an_encryption_that_begins_later_is_the_same(authority: Authority):
    def does(sock: socket.socket) -> None:
        head(sock)
        sock.sendall(b"HTTP/1.0 200 OK\n\n")
        assert sock.recv(100) == b"STARTTLS\r\n"
        with authority.server(SMTP).wrap_socket(sock, server_side=True) as inner:
            inner.sendall(inner.recv(100))

    with listener(does) as port, dialer(port, authority).dial(SMTP, 587, 5.0, encrypted=False) as line:
        line.sock.sendall(b"STARTTLS\r\n")
        line.secure().sendall(b"EHLO\r\n")
        assert line.sock.recv(100) == b"EHLO\r\n"


@pytest.mark.parametrize("later", [False, True])
def test_a_proxy_that_is_spoken_to_by_tls(authority: Authority, later: bool):
    outer, inner = authority.server("localhost"), authority.server(IMAP)

    def does(raw: socket.socket) -> None:
        sock = outer.wrap_socket(raw, server_side=True)
        head(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        within = inner.wrap_bio(incoming, outgoing, server_side=True)

        def run(step: t.Callable[[], t.Any]) -> t.Any:
            while True:
                try:
                    done = step()
                except ssl.SSLWantReadError:
                    done = None
                sock.sendall(outgoing.read())
                if done is not None:
                    return done
                incoming.write(sock.recv(65536))

        run(lambda: within.do_handshake() or True)
        run(lambda: within.write(b"* OK within\r\n"))
        run(lambda: within.read(100))

    with (
        listener(does) as port,
        dialer(port, authority, scheme="https").dial(IMAP, 993, 5.0, encrypted=not later) as line,
    ):
        if later:
            line.secure()
        stream = line.sock.makefile("rb")
        assert stream.readline() == b"* OK within\r\n"
        line.sock.sendall(b"x")
        line.sock.shutdown(socket.SHUT_RDWR)


def test_no_proxy_goes_past_it_for_one_port_alone(monkeypatch: pytest.MonkeyPatch):
    asked: list[t.Any] = []

    def connect(there: t.Any, timeout: float) -> socket.socket:
        asked.append(there)
        raise ConnectionRefusedError

    monkeypatch.setattr(_dial.socket, "create_connection", connect)
    environment = {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": f"{IMAP}:993"}
    for port in (993, 995):
        with pytest.raises(Unreachable):
            Dialer(environment).dial(IMAP, port, 5.0)
    assert asked == [(IMAP, 993), ("proxy.example", 3128)]


def test_nothing_older_than_tls_1_2(authority: Authority):
    context = Dialer({}, ca_path=str(authority.path))._trust()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED


# --- what goes wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 404, 405, 400, 501, 302])
def test_a_proxy_that_forbids_a_port_is_told_with_who_can_help(status: int):
    def does(sock: socket.socket) -> None:
        head(sock)
        sock.sendall(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())

    problem = failing(does)
    assert problem.lasting
    assert problem.status == status
    assert f"answered {status} when it was asked to connect to {IMAP}:993: it does not let port 993" in problem.message
    assert f"NO_PROXY={IMAP}:993" in problem.cure
    assert problem.who.startswith("the administrator of the proxy")


def test_a_password_that_the_proxy_refuses_is_never_shown():
    def does(sock: socket.socket) -> None:
        head(sock)
        sock.sendall(b"HTTP/1.1 407 No\r\n\r\n")

    problem = failing(does, user="fax:canary@")
    assert "not accepted" in problem.message
    assert "canary" not in str(problem) + str(problem.as_result())


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nVia: x", b"HTTP/1.1 2000 OK\r\n\r\n"]
)
def test_a_proxy_that_breaks_off(said: bytes):
    def does(sock: socket.socket) -> None:
        head(sock)
        sock.sendall(said)

    problem = failing(does)
    assert "broke off before it had connected" in problem.message
    assert not problem.lasting


def test_a_proxy_that_says_nothing_or_never_ends(monkeypatch: pytest.MonkeyPatch):
    assert "does not say whether" in failing(lambda sock: time.sleep(2), timeout_s=0.3).message
    monkeypatch.setattr(_dial, "LONGEST_HEAD", 100)

    def does(sock: socket.socket) -> None:
        head(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100)
        sock.recv(1)

    assert "broke off" in failing(does).message


def test_a_proxy_that_is_not_there_or_not_one():
    with pytest.raises(Unreachable, match=r"the proxy 127\.0\.0\.1:9, by which .* the connection was refused"):
        dialer(9).dial(IMAP, 993, 5.0)
    with pytest.raises(InvalidInput, match="SOCKS"):
        Dialer({"ALL_PROXY": "socks5://127.0.0.1:9"}).dial(IMAP, 993, 5.0)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "its name does not resolve"),
        (ConnectionRefusedError(), "the connection was refused"),
        (TimeoutError(), "no answer in time"),
        (OSError(101, "Network is unreachable"), "the network is unreachable"),
    ],
)
def test_a_port_that_no_firewall_lets_out_is_told(problem: OSError, words: str, monkeypatch: pytest.MonkeyPatch):
    def connect(there: t.Any, timeout: float) -> socket.socket:
        assert timeout <= _dial.CONNECT_S
        raise problem

    monkeypatch.setattr(_dial.socket, "create_connection", connect)
    with pytest.raises(Unreachable) as caught:
        Dialer({}).dial(IMAP, 993, 60.0)
    assert caught.value.message == f"no connection to {IMAP}:993: {words}"
    assert "port 993 is open" in caught.value.cure
    assert caught.value.who == "the administrator of the network here"


def test_certificates_are_judged_as_for_requests(authority: Authority, tmp_path):
    other = Authority(tmp_path, "Other CA")
    foreign = failing(greets(other.server(IMAP)), authority=authority)
    assert "is not accepted" in foreign.message
    assert foreign.lasting
    named = failing(greets(authority.server("example.com")), authority=authority)
    assert "mismatch" in named.message.lower()
    missing = failing(greets(authority.server(IMAP)))  # only the public ones
    assert "certifi" in missing.message
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with listener(greets(authority.server(IMAP))) as port, pytest.raises(Unreachable, match="is empty"):
        Dialer({}, ca_path=str(empty), proxy=f"http://127.0.0.1:{port}").dial(IMAP, 993, 5.0)


def test_what_speaks_no_tls_is_told_with_its_port(authority: Authority):
    def does(sock: socket.socket) -> None:
        head(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n* OK plain\r\n")
        sock.recv(100)

    assert f"in the place of {IMAP} on port 993 does not speak TLS" in failing(does, authority=authority).message


def test_a_conversation_that_never_ends_is_cut(authority: Authority, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_dial, "LEAST_S", 0.5)

    def does(sock: socket.socket) -> None:
        head(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with authority.server(IMAP).wrap_socket(sock, server_side=True) as inner:
            for _turn in range(100):
                inner.sendall(b"*")
                time.sleep(0.05)

    began = time.monotonic()
    with listener(does) as port, dialer(port, authority).dial(IMAP, 993, 0.25) as line:
        while line.sock.recv(10):
            pass
        assert line.out_of_time
    assert time.monotonic() - began < 3
