# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retries, lost answers, and what wins among options and environment."""

from __future__ import annotations

import socket

import pytest
import requests

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost, Throttled, Unreachable
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http, Request, RequestsTransport
from ansible_collections.mail2fax.m365.plugins.module_utils._retry import RetryPolicy, retry_after
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.unit.script import Exchange, FakeClock, Script, answer

READ = Request("GET", "https://graph.microsoft.com/v1.0/x")
WRITE = Request("POST", "https://graph.microsoft.com/v1.0/x", {}, b"{}")


def call(request: Request, *steps: object, idempotent: bool = True, budget: float = 60.0):
    script = Script([Exchange(request.method, "/x", step) for step in steps])  # type: ignore[arg-type]
    clock = FakeClock()
    http = Http(script, clock, policy=RetryPolicy(budget_s=budget))
    try:
        return http.call(request, purpose="read x", idempotent=idempotent), clock, script
    finally:
        assert script.finished()


def test_a_throttled_request_waits_as_long_as_told():
    response, clock, _unused = call(READ, answer(429, retry_after="7"), answer(200, {}))
    assert response.status == 200
    assert clock.sleeps == [7.0]


def test_waits_grow_without_a_hint():
    _unused, clock, _unused = call(READ, answer(503), answer(503), answer(503), answer(200, {}))
    assert clock.sleeps == [0.5, 1.0, 2.0]


def test_a_hint_beyond_the_patience_ends_it_at_once_and_says_so():
    with pytest.raises(Throttled) as caught:
        call(READ, answer(429, retry_after="3600", request_id="abc"), budget=60)
    assert "3600 seconds" in str(caught.value)
    assert "abc" in str(caught.value)
    assert "Could not read x" in str(caught.value)


def test_a_read_survives_a_lost_answer():
    response, _unused, script = call(READ, AnswerLost("gone"), answer(200, {}))
    assert response.status == 200
    assert len(script.seen) == 2


def test_a_write_whose_answer_is_lost_is_not_repeated():
    with pytest.raises(AnswerLost) as caught:
        call(WRITE, AnswerLost("gone"), idempotent=False)
    assert caught.value.attempted == "read x"


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_write_that_failed_halfway_counts_as_lost(status: int):
    with pytest.raises(AnswerLost):
        call(WRITE, answer(status), idempotent=False)


@pytest.mark.parametrize("status", [429, 503])
def test_a_write_that_was_not_done_is_repeated(status: int):
    response, _unused, _unused = call(WRITE, answer(status), answer(201, {}), idempotent=False)
    assert response.status == 201


def test_what_never_arrived_may_be_repeated_even_for_a_write():
    response, _unused, _unused = call(WRITE, Unreachable("no route"), answer(201, {}), idempotent=False)
    assert response.status == 201


def offline(*before: object, reached: bool = False) -> FakeClock:
    """The clock after a call that reached nothing, behind calls that got an answer."""

    class Cut:
        def __init__(self) -> None:
            self.answers = list(before)

        def send(self, request: Request, timeout_s: float):
            if self.answers:
                return self.answers.pop(0)
            raise Unreachable("no connection", cure="check DNS")

    clock = FakeClock()
    http = Http(Cut(), clock, policy=RetryPolicy(budget_s=180.0), reached=lambda: reached)
    for _answer in before:
        http.call(READ, purpose="read x", idempotent=True)
    with pytest.raises(Unreachable):
        http.call(READ, purpose="read x", idempotent=True)
    return clock


def test_a_run_that_has_reached_nothing_gives_up_soon():
    assert 5 < offline().passed <= 15


def test_a_blip_after_an_answer_gets_all_the_patience():
    assert offline(answer(200, {})).passed > 100
    assert offline(answer(404, {})).passed > 100
    # An earlier task of the run has had an answer.
    assert offline(reached=True).passed > 100


def test_a_sign_in_that_reaches_nothing_gives_up_soon_and_says_what_to_check():
    clock = FakeClock()
    options = {
        "tenant": "contoso.com",
        "client_id": "1cb8b5d2-8724-4f32-8152-a16a230b682b",
        "client_secret": "a secret of nobody",
    }
    # Nothing listens on the port of "discard", so the connection is refused at once.
    tenant = Tenant(options, environment={"HTTPS_PROXY": "http://user:word@127.0.0.1:9"}, clock=clock)
    with pytest.raises(Unreachable) as caught:
        tenant.sign_in.token(tenant.cloud.graph_audience)
    assert 5 < clock.passed <= 15
    said = str(caught.value)
    for part in ("login.microsoftonline.com", "127.0.0.1", "refused", "HTTPS_PROXY", "DNS", "firewall"):
        assert part in said
    assert "word" not in said
    later = Tenant(options, environment={"HTTPS_PROXY": "http://127.0.0.1:9"}, clock=clock, reached=lambda: True)
    before = clock.passed
    with pytest.raises(Unreachable):
        later.sign_in.token(tenant.cloud.graph_audience)
    assert clock.passed - before > 100


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "its name does not resolve"),
        (ConnectionRefusedError(111, "Connection refused"), "the connection was refused"),
        (OSError(101, "Network is unreachable"), "the network is unreachable"),
    ],
)
def test_why_there_is_no_connection_is_said(monkeypatch, problem: OSError, words: str):
    def broken(*_args, **_kwargs):
        raise problem

    monkeypatch.setattr(socket, "getaddrinfo" if isinstance(problem, socket.gaierror) else "socket", broken)
    with pytest.raises(Unreachable) as caught:
        RequestsTransport({}).send(Request("GET", "https://127.0.0.1/"), 5.0)
    assert f"no connection to 127.0.0.1: {words}" in str(caught.value)
    assert "DNS" in caught.value.cure


def test_a_missing_ca_is_not_retried():
    with pytest.raises(Unreachable):
        call(READ, Unreachable("not trusted", cure="needs its CA in ca_path"))


def test_each_request_has_an_id_of_its_own():
    _unused, _unused, script = call(READ, answer(503), answer(200, {}))
    ids = [request.headers["client-request-id"] for request in script.seen]
    assert len(set(ids)) == 2


def test_a_request_shows_neither_headers_nor_body():
    request = Request("POST", "https://x/", {"Authorization": "Bearer canary"}, b"canary")
    assert "canary" not in repr(request)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("", None), ("5", 5.0), ("0.5", 0.5), ("-3", 0.0), ("soon", None)],
)
def test_retry_after_forms(text, seconds):
    assert retry_after(text) == seconds


def test_retry_after_takes_a_date():
    assert retry_after("Sat, 21 Nov 2026 12:00:30 GMT", now_s=1795262400.0) == pytest.approx(30.0)


class Recorded(Exception):
    pass


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
    with pytest.raises(AnswerLost):
        RequestsTransport(environment, **options).send(Request("GET", url), 5.0)


def test_the_ca_option_wins_over_a_stray_bundle(sent):
    send({"REQUESTS_CA_BUNDLE": "/stray.pem", "SSL_CERT_FILE": "/other.pem"}, ca_path="/mine.pem")
    assert sent["verify"] == "/mine.pem"


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_usual_variables_name_the_ca(sent, name):
    send({name: "/usual.pem"})
    assert sent["verify"] == "/usual.pem"


def test_without_any_the_public_authorities_are_trusted(sent):
    send({})
    assert sent["verify"] is True


def test_the_proxy_option_wins_over_the_environment(sent):
    send({"HTTPS_PROXY": "http://env:1", "NO_PROXY": "*"}, proxy="http://mine:2")
    assert sent["proxies"] == {"https": "http://mine:2"}


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_the_usual_variables_name_the_proxy(sent, name):
    send({name: "http://env:1"})
    assert sent["proxies"] == {"https": "http://env:1"}


@pytest.mark.parametrize(
    ("no_proxy", "bypassed"),
    [
        ("graph.microsoft.com", True),
        (".microsoft.com", True),
        ("microsoft.com,x", True),
        ("*", True),
        ("soft.com", False),
    ],
)
def test_no_proxy_is_honoured(sent, no_proxy, bypassed):
    send({"HTTPS_PROXY": "http://env:1", "NO_PROXY": no_proxy})
    assert (sent["proxies"] == {}) is bypassed


def test_redirects_are_not_followed(sent):
    send({})
    assert sent["allow_redirects"] is False


def test_a_ca_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(Unreachable) as caught:
        RequestsTransport({}, ca_path=str(tmp_path / "none.pem")).send(READ, 5.0)
    assert "CA" in str(caught.value)


def test_a_refused_connection_never_arrived():
    with pytest.raises(Unreachable):
        RequestsTransport({}).send(Request("GET", "http://127.0.0.1:9/"), 5.0)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Cannot connect to proxy. OSError('Tunnel connection failed: 403 Forbidden')", Unreachable),
        ("Cannot connect to proxy. NewConnectionError: Failed to establish a new connection", Unreachable),
        ("Unable to connect to proxy. RemoteDisconnected('Remote end closed connection')", AnswerLost),
        ("Unable to connect to proxy. ConnectionResetError(104)", AnswerLost),
    ],
)
def test_a_tunnel_that_breaks_with_the_request_in_it_may_have_delivered_it(monkeypatch, text, kind):
    def broken(*_args, **_kwargs):
        raise requests.exceptions.ProxyError(text)

    monkeypatch.setattr(requests.Session, "request", broken)
    with pytest.raises(kind):
        RequestsTransport({"HTTPS_PROXY": "http://p:1"}).send(WRITE, 5.0)
