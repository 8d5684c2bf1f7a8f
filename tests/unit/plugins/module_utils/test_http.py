# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retries, lost answers, and what wins among options and environment."""

from __future__ import annotations

import datetime as dt
import itertools
import socket

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    NoLongerWanted,
    Throttled,
    Unreachable,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http, Request
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Patience
from ansible_collections.mail2fax.m365.plugins.module_utils._retry import retry_after
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.module_utils._transport import RequestsTransport
from tests.unit.script import NOW, Exchange, FakeClock, Script, answer

READ = Request("GET", "https://graph.microsoft.com/v1.0/x")
WRITE = Request("POST", "https://graph.microsoft.com/v1.0/x", {}, b"{}")


def call(request: Request, *steps: object, idempotent: bool = True, budget: float = 60.0):
    script = Script([Exchange(request.method, "/x", step) for step in steps])  # type: ignore[arg-type]
    clock = FakeClock()
    http = Http(script, Patience(clock, budget))
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
    http = Http(Cut(), Patience(clock, 180.0), reached=lambda: reached)
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
        RequestsTransport({}, proxy="http://127.0.0.1:1").send(READ, 5.0)
    assert f"cannot be reached: {words}" in str(caught.value)
    assert "DNS" in caught.value.cure


def test_a_missing_ca_is_not_retried():
    with pytest.raises(Unreachable):
        call(READ, Unreachable("not trusted", cure="name the authority", lasting=True))


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
    assert retry_after(text, NOW) == seconds


def test_a_date_in_retry_after_is_judged_by_the_answer_s_own():
    date = "Sat, 21 Nov 2026 11:55:10 GMT"  # the clock here is almost five minutes ahead
    _unused, clock, _unused = call(READ, answer(429, date=date, retry_after="Sat, 21 Nov 2026 11:55:30 GMT"), answer())
    assert sum(clock.sleeps) == 20.0


def test_at_once_is_no_hint():
    _unused, clock, _unused = call(READ, answer(429, retry_after="0"), answer(429, retry_after="0"), answer())
    assert clock.sleeps == [0.5, 1.0]


def test_the_service_s_time_goes_on_by_the_monotonic_clock():
    clock = FakeClock()
    answers = iter([answer(date="Sat, 21 Nov 2026 11:05:00 GMT"), answer(date="nonsense")])
    http = Http(Answers(answers), Patience(clock))
    assert http.service_time() == NOW
    assert http.clock_off_s() is None
    http.send(READ)
    http.send(READ)
    clock.passed += 60
    assert http.service_time() == dt.datetime(2026, 11, 21, 11, 6, tzinfo=dt.UTC)
    assert http.clock_off_s() == 55 * 60
    assert http.through(http.transport).service_time() == http.service_time()


class Answers:
    def __init__(self, answers) -> None:
        self.answers = answers

    def send(self, request: Request, timeout_s: float):
        found = next(self.answers)
        if isinstance(found, Exception):
            raise found
        return found


def test_all_calls_of_a_task_share_one_patience():
    clock = FakeClock()
    http = Http(Answers(itertools.cycle([AnswerLost("cut")])), Patience(clock, 20.0))
    for _time in range(3):
        with pytest.raises(AnswerLost):
            http.call(READ, purpose="read x", idempotent=True)
    assert 10 < clock.passed <= 20


def test_what_is_answered_costs_no_patience():
    class Slow(Answers):
        def send(self, request: Request, timeout_s: float):
            clock.passed += 25.0
            return super().send(request, timeout_s)

    clock = FakeClock()
    patience = Patience(clock, 20.0)
    http = Http(Slow(iter([answer(), answer(429, retry_after="2"), answer()])), patience)
    for _time in range(2):
        http.call(READ, purpose="read x", idempotent=True)
    assert patience.spent_s == 2.0
    assert patience.waited == {"graph.microsoft.com, to read x": 2.0}


def test_an_attempt_without_an_answer_counts_whole():
    class Silent(Answers):
        def send(self, request: Request, timeout_s: float):
            clock.passed += timeout_s
            raise AnswerLost("silence")

    clock = FakeClock()
    http = Http(Silent(iter([])), Patience(clock, 70.0), timeout_s=30.0)
    with pytest.raises(AnswerLost):
        http.call(READ, purpose="read x", idempotent=True)
    assert clock.passed <= 70 + 30


def test_after_fifteen_seconds_it_is_said_what_is_waited_for():
    told: list[tuple[float, str]] = []
    patience = Patience(FakeClock(), 200.0, told=lambda seconds, what: told.append((seconds, what)))
    http = Http(Answers(iter([answer(429, retry_after="10"), answer(429, retry_after="130"), answer()])), patience)
    http.call(READ, purpose="read x", idempotent=True)
    assert told[0] == (15.0, "graph.microsoft.com, to read x")
    assert [round(seconds) for seconds, _what in told] == [15, 75, 135]


@pytest.mark.parametrize("ends_after", [0, 1])
def test_a_run_that_has_ended_writes_and_waits_no_more(ends_after):
    asked: list[str] = []

    class Busy(Answers):
        def send(self, request: Request, timeout_s: float):
            asked.append(request.method)
            return answer(503)

    http = Http(Busy(iter([])), Patience(FakeClock(), still_wanted=lambda: len(asked) < ends_after))
    with pytest.raises(NoLongerWanted, match="has ended"):
        http.call(WRITE, purpose="write x", idempotent=False)
    assert len(asked) == ends_after


def test_a_wait_with_a_bound_above_the_patience_counts_apart():
    patience = Patience(FakeClock(), 20.0)
    own, part = patience.begin("the policy to come into force", 60.0), patience.begin("x", 10.0)
    assert own.pause(50.0)
    assert not own.pause(11.0)
    assert part.pause(9.0)
    assert not part.pause(2.0)
    assert patience.left_s == 11.0


@pytest.mark.parametrize(
    ("date", "words"),
    [
        ("Sat, 21 Nov 2026 11:05:00 GMT", "55 minutes ahead of"),
        ("Sat, 21 Nov 2026 13:00:00 GMT", "60 minutes behind"),
        ("Sat, 21 Nov 2026 12:04:30 GMT", None),
    ],
)
def test_a_clock_that_is_off_is_told(date, words):
    tenant = Tenant({}, clock=FakeClock(), transport=Answers(iter([answer(date=date)])))
    assert tenant.remarks() == []
    assert tenant.now() == NOW
    tenant.http.send(READ)
    assert [words in remark for remark in tenant.remarks()] == ([True] if words else [])
