# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real network: what a proxy, a TLS peer or a long answer does, and what is said of it."""

from __future__ import annotations

import gzip
import socket
import ssl
import subprocess
import threading
import time
import zlib

import pytest
import requests
from cryptography.hazmat.primitives import serialization

from ansible_collections.mail2fax.m365.plugins.module_utils import _transport
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost, InvalidInput, Unreachable
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Request
from ansible_collections.mail2fax.m365.plugins.module_utils._transport import RequestsTransport
from tests.unit.network import HOST, Authority, answers, head, listener, response

READ = Request("GET", f"https://{HOST}/v1.0/x")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def by_proxy(port: int, authority: Authority | None = None, scheme: str = "http", user: str = "") -> RequestsTransport:
    ca_path = str(authority.path) if authority is not None else None
    return RequestsTransport({}, ca_path=ca_path, proxy=f"{scheme}://{user}127.0.0.1:{port}")


def failing(does, *, timeout_s: float = 5.0, **options) -> Unreachable:
    with listener(does) as port, pytest.raises(Unreachable) as caught:
        by_proxy(port, **options).send(READ, timeout_s)
    return caught.value


# --- what a proxy says -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "lasting", "words"),
    [
        ("407 Proxy Authentication Required", True, "wants a user and password"),
        ("403 Forbidden", True, "does not let"),
        ("502 Bad Gateway", False, "does not reach"),
        ("504 Gateway Timeout", False, "does not reach"),
        ("405 Method Not Allowed", True, "does not take CONNECT"),
        ("302 Found", False, "does not let"),
    ],
)
def test_what_a_proxy_answers_is_told_with_its_status(status, lasting, words):
    def does(sock):
        head(sock)
        sock.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    problem = failing(does)
    assert (problem.lasting, problem.status) == (lasting, int(status[:3]))
    assert words in problem.message
    assert "127.0.0.1:" in problem.message
    assert HOST in problem.message


def test_a_proxy_s_password_may_hold_anything_and_is_never_shown():
    seen = []

    def does(sock):
        seen.append(head(sock))
        sock.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")

    problem = failing(does, user="fax:p@ss/wo%23rd:x@")
    assert "not accepted" in problem.message
    text = str(problem) + str(problem.as_result())
    for piece in ("p@ss", "wo", "rd:x"):
        assert piece not in text.replace("password", "")
    assert b"Proxy-Authorization: Basic ZmF4OnBAc3Mvd28jcmQ6eA==" in seen[0]  # fax:p@ss/wo#rd:x


def test_a_plain_proxy_that_is_called_https_is_told():
    def does(sock):
        sock.recv(100)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    problem = failing(does, scheme="https")
    assert problem.lasting
    assert "does not speak TLS itself" in problem.message
    assert "http://" in problem.cure


def test_what_is_behind_the_proxy_and_speaks_no_tls_is_told():
    def does(sock):
        head(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        sock.recv(100)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n<html>")

    problem = failing(does)
    assert problem.lasting
    assert f"in the place of {HOST} on port 443 does not speak TLS" in problem.message


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH_9.6\r\n"])
def test_a_proxy_that_breaks_off_never_had_the_request(said):
    def does(sock):
        head(sock)
        sock.sendall(said)

    assert "broke off before" in failing(does).message


def test_a_proxy_that_says_nothing_is_told_apart():
    told = threading.Event()
    try:
        assert "does not say whether" in failing(lambda sock: told.wait(60), timeout_s=0.4).message
    finally:
        told.set()


def test_a_proxy_that_is_not_there_is_told_without_its_user():
    with pytest.raises(Unreachable) as caught:
        by_proxy(9, user="fax:canary@").send(READ, 5.0)
    assert "the proxy 127.0.0.1:9" in caught.value.message
    assert "refused" in caught.value.message
    assert "canary" not in str(caught.value)


def test_tls_that_is_cut_behind_the_proxy_is_a_blip():
    def does(sock):
        head(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        sock.recv(10)

    problem = failing(does)
    assert not problem.lasting
    assert "broke off" in problem.message


def test_a_request_that_was_sent_may_be_done(authority):
    with listener(answers(b"", authority.server())) as port, pytest.raises(AnswerLost) as caught:
        by_proxy(port, authority).send(READ, 5.0)
    assert not caught.value.lasting


@pytest.mark.parametrize("proxy", ["proxy.example:3128", "http://proxy.example:3128/"])
def test_a_proxy_may_be_written_without_its_scheme(sent, proxy):
    send({}, proxy=proxy)
    assert sent["proxies"] == {"https": "http://proxy.example:3128"}


@pytest.mark.parametrize(
    "proxy", ["socks5://canary:canary@p:1", "ftp://canary@p:1", "http://", "http://canary canary", "http://p:99999"]
)
@pytest.mark.parametrize("where", ["option", "environment"])
def test_what_is_no_proxy_is_said_and_not_shown(proxy, where):
    option = where == "option"
    transport = RequestsTransport({} if option else {"HTTPS_PROXY": proxy}, proxy=proxy if option else None)
    with pytest.raises(InvalidInput) as caught:
        transport.send(READ, 5.0)
    assert "canary" not in str(caught.value)
    assert caught.value.options == (("proxy",) if where == "option" else ())


# --- which proxy -------------------------------------------------------------------------------------------------


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> dict:
    """The keyword arguments of the request that requests was asked for."""
    seen: dict = {}

    def record(_self, method, url, **kwargs):
        seen.update(kwargs, method=method, url=url)
        raise requests.exceptions.ReadTimeout

    monkeypatch.setattr(requests.Session, "request", record)
    return seen


def send(environment: dict, url: str = READ.url, **options) -> None:
    with pytest.raises(Unreachable):
        RequestsTransport(environment, **options).send(Request("GET", url), 5.0)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_the_usual_variables_name_the_proxy(sent, name):
    send({name: "http://env:1"})
    assert sent["proxies"] == {"https": "http://env:1"}


def test_the_proxy_option_wins_over_the_environment(sent):
    send({"HTTPS_PROXY": "http://env:1"}, proxy="http://mine:2")
    assert sent["proxies"] == {"https": "http://mine:2"}


NO_PROXY = [
    ("graph.microsoft.com", HOST, True),
    (".microsoft.com", HOST, True),
    ("*.microsoft.com", HOST, True),
    ("microsoft.com,x", HOST, True),
    ("x microsoft.com", HOST, True),
    ("*", HOST, True),
    ("graph.microsoft.com:443", HOST, True),
    ("graph.microsoft.com:8443", HOST, False),
    ("soft.com", HOST, False),
    ("", HOST, False),
    (",", HOST, False),
    ("10.0.0.0/8", "10.1.2.3", True),
    ("10.0.0.0/8", "11.1.2.3", False),
    ("10.1.2.3", "10.1.2.3", True),
    ("10.0.0.0/8", HOST, False),
    ("fd00::/8", "[fd12::1]", True),
    ("[fd12::1]", "[fd12::1]", True),
]


@pytest.mark.parametrize("proxy", [None, "http://mine:2"])
@pytest.mark.parametrize(("no_proxy", "host", "bypassed"), NO_PROXY)
def test_no_proxy_is_honoured_for_every_way_of_naming_one(sent, no_proxy, host, bypassed, proxy):
    send({"HTTPS_PROXY": "http://env:1", "no_proxy": no_proxy}, f"https://{host}/", proxy=proxy)
    assert (sent["proxies"] == {}) is bypassed


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "127.0.0.1",
        "127.8.8.8",
        "localhost",
        "a.localhost",
        "[::1]",
        "[fe80::1]",
        "[::ffff:127.0.0.1]",
    ],
)
@pytest.mark.parametrize("option", [True, False])
def test_what_belongs_to_the_machine_itself_is_never_asked_by_a_proxy(sent, host, option):
    environment = (
        {} if option else {"HTTPS_PROXY": "http://env:1", "HTTP_PROXY": "http://env:1", "ALL_PROXY": "http://e:1"}
    )
    send(environment, f"http://{host}:40342/metadata", proxy="http://mine:2" if option else None)
    assert sent["proxies"] == {}


def test_redirects_are_not_followed(sent):
    send({})
    assert sent["allow_redirects"] is False


# --- whom to trust -----------------------------------------------------------------------------------------------


def test_the_ca_option_wins_over_a_stray_bundle(sent, authority):
    send({"REQUESTS_CA_BUNDLE": "/stray.pem", "SSL_CERT_FILE": "/other.pem"}, ca_path=str(authority.path))
    assert sent["verify"] == str(authority.path)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_usual_variables_name_the_ca(sent, authority, name):
    send({name: str(authority.path)})
    assert sent["verify"] == str(authority.path)


def test_without_any_the_public_authorities_are_trusted(sent):
    send({})
    assert sent["verify"] is True


def test_an_inspecting_proxy_s_ca_is_all_that_is_needed(authority):
    with listener(answers(response(b"{}"), authority.server())) as port:
        assert by_proxy(port, authority).send(READ, 5.0).body == b"{}"


@pytest.mark.parametrize(
    ("about", "code", "words"),
    [
        ({"host": "other.example"}, 62, "what answers in its place"),
        ({"begins": -60, "ends": -30}, 10, "renewed"),
        ({"begins": 10}, 9, "clock"),
    ],
)
def test_the_verifier_s_own_reason_is_told_with_the_file_and_a_cure(authority, about, code, words):
    problem = failing(answers(b"", authority.server(**about)), authority=authority)
    assert problem.lasting
    assert problem.code == f"X509_{code}"
    assert f"{str(authority.path)!r} (from ca_path, with 1 certificate)" in problem.message
    assert words in problem.cure


def test_an_authority_that_is_not_known_is_told_with_what_is_trusted(tmp_path, authority):
    other = Authority(tmp_path, "Other CA")
    other.path.write_bytes(other.pem * 2)
    problem = failing(answers(b"", authority.server()), authority=other)
    assert "with 2 certificates" in problem.message
    assert "add the CA" in problem.cure
    problem = failing(answers(b"", authority.server()))
    assert "public authorities" in problem.message
    assert "ca_path" in problem.cure


def test_authorities_are_read_once_and_anew_where_the_file_is_another(tmp_path, authority, monkeypatch):
    read: list[str] = []
    real = ssl.SSLContext.load_verify_locations

    def load(self, **paths):
        read.extend(path for path in paths.values() if path)
        return real(self, **paths)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", load)
    path = tmp_path / "ca.pem"
    path.write_bytes(authority.pem)

    def answer() -> bytes:
        with listener(answers(response(b"{}"), authority.server())) as port:
            return RequestsTransport({}, ca_path=str(path), proxy=f"http://127.0.0.1:{port}").send(READ, 5.0).body

    assert [answer(), answer(), answer()] == [b"{}"] * 3
    assert read == [str(path)]
    path.write_bytes(Authority(tmp_path, "Another CA").pem)
    # What was trusted before is so no longer.
    with pytest.raises(Unreachable):
        answer()
    path.write_bytes(authority.pem + authority.pem)
    assert answer() == b"{}"


def test_a_folder_of_authorities_is_trusted_too(tmp_path, authority):
    hashed = subprocess.run(
        ["openssl", "x509", "-hash", "-noout"], input=authority.pem, capture_output=True, check=True
    ).stdout.decode()
    (tmp_path / f"{hashed.strip()}.0").write_bytes(authority.pem)
    with listener(answers(response(b"{}"), authority.server())) as port:
        found = RequestsTransport({}, ca_path=str(tmp_path), proxy=f"http://127.0.0.1:{port}").send(READ, 5.0)
    assert found.body == b"{}"


def der(authority: Authority) -> bytes:
    return authority.certificate.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda authority: None, "cannot be read"),
        (lambda authority: b"", "is empty"),
        (der, "is in DER"),
        (lambda authority: authority.pem.decode().encode("utf-16"), "UTF-16"),
        (lambda authority: authority.pem.decode().encode("utf-16-le"), "UTF-16"),
        (lambda authority: b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n", "holds a key"),
        (lambda authority: b"<html>not found</html>", "holds no certificate"),
    ],
)
def test_a_ca_file_that_cannot_do_is_told_before_anything_is_sent(tmp_path, authority, content, words):
    path = tmp_path / "ca.pem"
    if content(authority) is not None:
        path.write_bytes(content(authority))
    with pytest.raises(Unreachable) as caught:
        RequestsTransport({"SSL_CERT_FILE": str(path)}).send(READ, 5.0)
    assert caught.value.lasting
    assert words in caught.value.message
    assert f"{str(path)!r} (from SSL_CERT_FILE)" in caught.value.message
    assert caught.value.cure


def test_a_ca_file_with_a_damaged_certificate_is_told(tmp_path, authority):
    path = tmp_path / "ca.pem"
    path.write_bytes(authority.pem[:200] + b"\n-----END CERTIFICATE-----\n")
    with listener(answers(b"", authority.server())) as port, pytest.raises(Unreachable) as caught:
        RequestsTransport({}, ca_path=str(path), proxy=f"http://127.0.0.1:{port}").send(READ, 5.0)
    assert caught.value.lasting
    assert "holds a certificate that cannot be read" in caught.value.message


# --- how long, how large -----------------------------------------------------------------------------------------


def whole(authority, raw: bytes) -> bytes:
    with listener(answers(raw, authority.server())) as port:
        return by_proxy(port, authority).send(READ, 5.0).body


def test_a_packed_answer_is_unpacked(authority):
    for packed, how in ((gzip.compress(b'{"a": 1}'), "gzip"), (zlib.compress(b'{"a": 1}'), "deflate")):
        assert whole(authority, response(packed, f"Content-Encoding: {how}")) == b'{"a": 1}'


def bomb() -> bytes:
    return gzip.compress(b"\0" * 16 * 1024 * 1024, 1)


@pytest.mark.parametrize("packed", [True, False])
def test_an_answer_without_end_is_given_up(authority, monkeypatch, packed):
    monkeypatch.setattr(_transport, "LARGEST", 100_000)
    raw = response(bomb(), "Content-Encoding: gzip") if packed else response(b"x" * 200_000)
    with pytest.raises(AnswerLost, match="larger than") as caught:
        whole(authority, raw)
    assert caught.value.lasting


NOT_WHOLE = {
    "cut": response(gzip.compress(b"x" * 1000)[:-9], "Content-Encoding: gzip"),
    "not packed": response(b"no gzip", "Content-Encoding: gzip"),
    "packed otherwise": response(b"x", "Content-Encoding: br"),
    "short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    "bad chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    "no HTTP": b"nonsense\r\n\r\n",
}


@pytest.mark.parametrize("kind", NOT_WHOLE)
def test_an_answer_that_is_not_whole_is_lost(authority, kind):
    with pytest.raises(AnswerLost):
        whole(authority, NOT_WHOLE[kind])


@pytest.mark.parametrize("begins", [b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_an_answer_that_trickles_ends_with_the_time_for_the_whole(authority, monkeypatch, begins):
    monkeypatch.setattr(_transport, "LEAST_S", 0.6)
    context = authority.server()

    def does(sock: socket.socket) -> None:
        head(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        inside = context.wrap_socket(sock, server_side=True)
        head(inside)
        inside.sendall(begins)
        for _second in range(100):
            inside.sendall(b"x")
            time.sleep(0.1)

    started = time.monotonic()
    with listener(does) as port, pytest.raises(AnswerLost, match="in time"):
        by_proxy(port, authority).send(READ, 0.3)
    assert time.monotonic() - started < 5
