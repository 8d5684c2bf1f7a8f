# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Line by line: what IMAP, POP and SMTP announce, take and refuse, and what tests can make of them."""

from __future__ import annotations

import base64
import contextlib
import imaplib
import json
import poplib
import re
import shutil
import smtplib
import socket
import subprocess
import time
import typing as t
import urllib.parse

import pytest

from tests.emulator import clients
from tests.emulator.clients import clients_can, trust, xoauth2
from tests.emulator.mail_wire import TEXTS
from tests.emulator.testing import Emulator, EmulatorError, start_emulator
from tests.fidelity.mail import FAX, GRANT, NOTHING, OTHER, RIGHT, ROLE, TENANT, tenant, token

PORTS = {"imap": 993, "pop": 995, "smtp": 587}
HOSTS = {"imap": "outlook.office365.com", "pop": "outlook.office365.com", "smtp": "smtp.office365.com"}


@pytest.fixture(scope="module")
def running() -> t.Iterator[Emulator]:
    with start_emulator({"tenants": [tenant()]}) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    return running.reset()


class Line:
    """A connection, line by line, straight or by the proxy."""

    def __init__(self, emulator: Emulator, protocol: str, *, host: str | None = None) -> None:
        self.emulator, self.said, self._host = emulator, b"", host
        if host is None:
            self.socket = socket.create_connection(("localhost", emulator.ports[protocol]), timeout=30)
        else:
            self.socket = tunnel(emulator, host, PORTS[protocol])
        if protocol != "smtp":
            self.secure()

    def secure(self) -> None:
        self.socket = trust(self.emulator).wrap_socket(self.socket, server_hostname=self._host or "localhost")

    def line(self) -> str:
        text = b""
        while not text.endswith(b"\n"):
            byte = self.socket.recv(1)
            if not byte:
                break
            text += byte
        self.said += text
        return text.decode().removesuffix("\r\n")

    def ask(self, text: str | bytes) -> str:
        self.socket.sendall((text if isinstance(text, bytes) else text.encode()) + b"\r\n")
        return self.line()

    def until(self, beginning: str) -> list[str]:
        """Lines up to the one that begins so."""
        lines = [self.line()]
        while not lines[-1].startswith(beginning) and lines[-1]:
            lines.append(self.line())
        return lines

    def close(self) -> None:
        self.socket.close()


def tunnel(emulator: Emulator, host: str, port: int) -> socket.socket:
    """Through the proxy; its answer is read up to the empty line and no further."""
    proxy = urllib.parse.urlsplit(emulator.proxy)
    connection = socket.create_connection((str(proxy.hostname), int(proxy.port or 0)), timeout=30)
    connection.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            break
        head += byte
    if not head.startswith(b"HTTP/1.1 200"):
        connection.close()
        raise ConnectionRefusedError(head.split(b"\r\n")[0].decode())
    return connection


@contextlib.contextmanager
def line_to(emulator: Emulator, protocol: str, **more: t.Any) -> t.Iterator[tuple[Line, str]]:
    """(the connection, its greeting); SMTP is secured and has greeted back."""
    with contextlib.closing(Line(emulator, protocol, **more)) as line:
        greeting = line.line()
        if protocol == "smtp":
            line.ask("EHLO client.example")
            line.until("250 ")
            assert line.ask("STARTTLS") == "220 2.0.0 SMTP server ready"
            line.secure()
            line.ask("EHLO client.example")
            line.until("250 ")
        yield line, greeting


def encoded(user: str, held: str) -> str:
    return base64.b64encode(xoauth2(user, held).encode()).decode()


# --- what is announced ------------------------------------------------------------------------------------------------


def test_imap_announces_what_exchange_does(emulator: Emulator) -> None:
    with line_to(emulator, "imap") as (line, greeting):
        words, _space, server = greeting.rpartition(" ")
        assert words == "* OK The Microsoft Exchange IMAP4 service is ready."
        assert base64.b64decode(server.strip("[]")).decode("utf-16-le").endswith("outlook.office365.com")
        before = line.ask("a CAPABILITY").split()
        assert {"AUTH=XOAUTH2", "SASL-IR", "IMAP4rev1", "LITERAL+"} <= set(before)
        assert not any("OAUTHBEARER" in word for word in before)
        assert line.line() == "a OK CAPABILITY completed."
        assert (
            line.ask(f"b AUTHENTICATE XOAUTH2 {encoded(FAX, token(emulator, RIGHT))}") == "b OK AUTHENTICATE completed."
        )
        after = line.ask("c CAPABILITY").split()
        assert {"MOVE", "CLIENTACCESSRULES", "BACKENDAUTHENTICATE"} <= set(after)
        line.line()
        assert line.ask("d EXAMINE INBOX") == "* 0 EXISTS"
        assert line.until("d ")[-1] == "d OK [READ-ONLY] EXAMINE completed."
        assert line.ask("e LOGOUT") == "* BYE Microsoft Exchange Server IMAP4 server signing off."
        assert line.line() == "e OK LOGOUT completed."
        assert line.line() == ""


def test_smtp_announces_what_exchange_does(emulator: Emulator) -> None:
    with smtplib.SMTP("localhost", emulator.ports["smtp"], timeout=30) as client:
        client.ehlo()
        assert client.has_extn("starttls")
        assert not client.has_extn("auth")
        assert client.docmd("AUTH", "XOAUTH2")[0] == 504
        assert client.docmd("MAIL", f"FROM:<{FAX}>")[0] == 530
        client.starttls(context=trust(emulator))
        client.ehlo()
        assert client.esmtp_features["auth"].split() == ["LOGIN", "XOAUTH2"]
        assert client.esmtp_features["size"] == "157286400"
        assert not client.has_extn("starttls")
        number, text = client.docmd("MAIL", f"FROM:<{FAX}>")
        assert (number, text.startswith(b"5.7.57 Client not authenticated to send mail.")) == (530, True)
        assert client.docmd("NOOP")[0] == 250
        assert client.docmd("AUTH", "PLAIN")[0] == 504


def test_pop_announces_what_exchange_does(emulator: Emulator) -> None:
    with contextlib.closing(
        poplib.POP3_SSL("localhost", emulator.ports["pop"], context=trust(emulator), timeout=30)
    ) as client:
        assert client.getwelcome().startswith(b"+OK The Microsoft Exchange POP3 service is ready. [")
        assert client.capa() == {"TOP": [], "UIDL": [], "SASL": ["PLAIN", "XOAUTH2"], "USER": []}


# --- one line and two steps -------------------------------------------------------------------------------------------


def test_imap_takes_one_line_and_two_steps(emulator: Emulator) -> None:
    held = encoded(FAX, token(emulator, RIGHT))
    with line_to(emulator, "imap") as (line, _greeting):
        assert line.ask("a authenticate xoauth2") == "+ "
        assert line.ask(held) == "a OK AUTHENTICATE completed."
    with line_to(emulator, "imap") as (line, _greeting):
        assert line.ask(f"a AUTHENTICATE XOAUTH2 {held}") == "a OK AUTHENTICATE completed."


def test_smtp_takes_one_line_and_two_steps(emulator: Emulator) -> None:
    held = token(emulator, ROLE)
    for initial in (True, False):
        with clients.smtp(emulator, held, FAX, initial=initial) as client:
            assert client.noop()[0] == 250


def test_pop_takes_two_steps_only_and_says_so_at_once(emulator: Emulator) -> None:
    held = encoded(FAX, token(emulator, RIGHT))
    with line_to(emulator, "pop") as (line, _greeting):
        assert line.ask(f"AUTH XOAUTH2 {held}") == "-ERR Protocol error. 18"
        assert line.ask("AUTH XOAUTH2") == "+ "
        assert line.ask(held).startswith("+OK ")
        assert line.ask("STAT") == "+OK 0 0"


def test_a_cancelled_sign_in(emulator: Emulator) -> None:
    with line_to(emulator, "imap") as (line, _greeting):
        assert line.ask("a AUTHENTICATE XOAUTH2") == "+ "
        assert line.ask("*").startswith("a BAD ")
        assert line.ask("b NOOP") == "b OK NOOP completed."
    with line_to(emulator, "pop") as (line, _greeting):
        assert line.ask("AUTH XOAUTH2") == "+ "
        assert line.ask("*").startswith("-ERR ")
    with line_to(emulator, "smtp") as (line, _greeting):
        assert line.ask("AUTH XOAUTH2") == "334 "
        assert line.ask("*").startswith("501 ")
        assert line.ask("NOOP").startswith("250 ")


def test_what_is_no_xoauth2_string(emulator: Emulator) -> None:
    for wrong in ("%%%", base64.b64encode(b"user=x").decode(), base64.b64encode(b"\xff\xfe").decode(), "=", ""):
        with line_to(emulator, "imap") as (line, _greeting):
            assert line.ask("a AUTHENTICATE XOAUTH2") == "+ "
            assert line.ask(wrong) == "a BAD Command Argument Error. 11"
        with line_to(emulator, "smtp") as (line, _greeting):
            line.ask("AUTH XOAUTH2")
            assert line.ask(wrong).startswith("501 ")
        with line_to(emulator, "pop") as (line, _greeting):
            line.ask("AUTH XOAUTH2")
            assert line.ask(wrong).startswith("-ERR ")


def test_basic_authentication_is_over(emulator: Emulator) -> None:
    with contextlib.closing(Line(emulator, "imap")) as line:
        line.line()
        assert line.ask(f"a LOGIN {FAX} secret") == "a NO LOGIN failed."
        assert line.ask("b AUTHENTICATE PLAIN").startswith("b NO ")
    with smtplib.SMTP("localhost", emulator.ports["smtp"], timeout=30) as client:
        client.starttls(context=trust(emulator))
        with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
            client.login(FAX, "secret")
        assert b"5.7.139 Authentication unsuccessful, basic authentication is disabled." in refusal.value.smtp_error
    with contextlib.closing(Line(emulator, "pop")) as line:
        line.line()
        assert line.ask(f"USER {FAX}").startswith("+OK")
        assert line.ask("PASS secret").startswith("-ERR Authentication failure")


def test_stray_lines_are_lived_through(emulator: Emulator) -> None:
    """Some clients answer a refusal with one line too many."""
    refused = encoded(FAX, token(emulator, NOTHING))
    with line_to(emulator, "imap") as (line, _greeting):
        assert line.ask(f"a AUTHENTICATE XOAUTH2 {refused}") == "a NO AUTHENTICATE failed."
        assert line.ask("AQ==").startswith("* BAD ")
        assert line.ask(b"\x01").startswith("* BAD ")
        assert line.ask("").startswith("* BAD ")
        assert line.ask("b NOOP") == "b OK NOOP completed."
        assert line.ask("c NONSENSE").startswith("c BAD ")
    with line_to(emulator, "smtp") as (line, _greeting):
        assert line.ask(f"AUTH XOAUTH2 {refused}").startswith("535 5.7.3 ")
        assert line.ask("AQ==").startswith("500 ")
        assert line.ask("").startswith("500 ")
        assert line.ask("NOOP").startswith("250 ")
    with line_to(emulator, "pop") as (line, _greeting):
        line.ask("AUTH XOAUTH2")
        assert line.ask(refused).startswith("-ERR Authentication failure")
        assert line.ask("AQ==").startswith("-ERR ")
        assert line.ask("CAPA").startswith("+OK")


def test_an_error_challenge_as_others_send_it() -> None:
    """Exchange sends none; clients have to live through one all the same."""
    with start_emulator({"tenants": [tenant(switches={"error_challenge": True})]}) as emulator:
        held = encoded(FAX, token(emulator, NOTHING))
        with line_to(emulator, "imap") as (line, _greeting):
            challenge = line.ask(f"a AUTHENTICATE XOAUTH2 {held}")
            assert json.loads(base64.b64decode(challenge.removeprefix("+ ")))["status"] == "401"
            assert line.ask("") == "a NO AUTHENTICATE failed."
        with line_to(emulator, "pop") as (line, _greeting):
            line.ask("AUTH XOAUTH2")
            assert line.ask(held).startswith("+ ")
            assert line.ask("").startswith("-ERR Authentication failure")
        with line_to(emulator, "smtp") as (line, _greeting):
            assert line.ask(f"AUTH XOAUTH2 {held}").startswith("334 ")
            assert line.ask("").startswith("535 5.7.3")
        assert clients_can(emulator, token(emulator, RIGHT), FAX) == clients.ALL
        with (
            pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATE failed"),
            clients.imap(emulator, token(emulator, NOTHING), FAX),
        ):
            pass


def test_nothing_of_a_client_is_said_back(emulator: Emulator) -> None:
    secret, word = token(emulator, RIGHT), "hush" * 20
    lines = [
        f"a AUTHENTICATE XOAUTH2 {word}",
        f"b LOGIN {word} {word}",
        f"c {word}",
        word,
        f"{word} {word}",
        f"d SELECT {word}",
    ]
    with line_to(emulator, "imap") as (line, _greeting):
        for text in lines:
            line.ask(text)
        line.ask(f"e AUTHENTICATE XOAUTH2 {encoded(FAX, secret)}")
        for text in (
            f"f SELECT {word}",
            f"g FETCH {word} {word}",
            f"h SEARCH {word}",
            f"i STATUS {word} {word}",
            f"j UID {word} {word}",
        ):
            line.ask(text)
        said = line.said
    with line_to(emulator, "pop") as (line, _greeting):
        for text in (word, f"AUTH {word}", f"USER {word}", f"PASS {word}", f"STAT {word}"):
            line.ask(text)
        line.ask("AUTH XOAUTH2")
        line.ask(encoded(FAX, secret))
        for text in (f"RETR {word}", f"DELE {word}", f"TOP {word} {word}", f"LIST {word}"):
            line.ask(text)
        said += line.said
    with line_to(emulator, "smtp") as (line, _greeting):
        for text in (
            word,
            f"AUTH {word}",
            f"AUTH XOAUTH2 {word} {word}",
            f"MAIL {word}",
            f"VRFY {word}",
            f"HELP {word}",
            f"EHLO {word}",
        ):
            line.ask(text)
            if text.startswith("EHLO"):
                line.until("250 ")
        line.ask(f"AUTH XOAUTH2 {encoded(FAX, secret)}")
        for text in (f"MAIL FROM:<{word}", f"MAIL FROM:<{FAX}> {word}=1", f"RCPT TO:<{word}", f"RCPT {word}"):
            line.ask(text)
        said += line.said
    assert word.encode() not in said
    told = json.dumps([emulator.journal(), emulator.state()])
    for hidden in (secret, encoded(FAX, secret), *secret.split(".")[1:]):
        assert hidden.encode() not in said
        assert hidden not in told


def test_what_smtp_announces_it_takes(emulator: Emulator) -> None:
    """Chunks, delivery notices, binary bodies: the library behind it has none of them."""
    with clients.smtp(emulator, token(emulator, ROLE), FAX) as client:
        assert client.mail(FAX, ["BODY=BINARYMIME", "RET=HDRS", "ENVID=QQ314159", "SIZE=100"])[0] == 250
        assert client.rcpt(FAX, ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;fax@contoso.onmicrosoft.com"])[0] == 250
        first, second = f"From: {FAX}\r\nSubject: In chunks\r\n\r\n".encode(), b"\x00\xff no line end"
        client.send(f"BDAT {len(first)}\r\n".encode() + first)
        assert client.getreply()[0] == 250
        client.send(f"BDAT {len(second)} LAST\r\n".encode() + second)
        assert client.getreply()[0] == 250
        assert client.docmd("BDAT", "0 LAST")[0] == 503
    assert [m["subject"] for m in emulator.state(TENANT)["messages"]] == ["In chunks"]


# --- by the proxy -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "host"),
    [
        ("imap", "outlook.office365.com"),
        ("imap", "outlook.office365.us"),
        ("imap", "outlook-dod.office365.us"),
        ("pop", "partner.outlook.cn"),
        ("smtp", "smtp.office365.com"),
        ("smtp", "smtp.office365.us"),
        ("smtp", "outlook-dod.office365.us"),
        ("smtp", "smtp.partner.outlook.cn"),
    ],
)
def test_the_hosts_of_every_cloud_are_behind_the_proxy(emulator: Emulator, protocol: str, host: str) -> None:
    with line_to(emulator, protocol, host=host) as (line, _greeting):
        line.ask({"imap": "a NOOP", "pop": "CAPA", "smtp": "NOOP"}[protocol])
        rows = emulator.journal()
    assert {(row["host"], row["method"]) for row in rows} == {(host, protocol.upper())}


@pytest.mark.parametrize(
    "target",
    ["smtp.office365.com:465", "smtp.office365.com:443", "outlook.office365.com:143", "outlook.office.com:993"],
)
def test_what_nobody_serves_is_refused(emulator: Emulator, target: str) -> None:
    host, _colon, port = target.partition(":")
    with pytest.raises(ConnectionRefusedError, match="403"):
        tunnel(emulator, host, int(port))


def test_a_token_of_one_cloud_is_none_at_another_clouds_host(emulator: Emulator) -> None:
    held = encoded(FAX, token(emulator, RIGHT))
    for host, said in (
        ("outlook.office365.us", "a NO AUTHENTICATE failed."),
        (HOSTS["imap"], "a OK AUTHENTICATE completed."),
    ):
        with line_to(emulator, "imap", host=host) as (line, _greeting):
            assert line.ask(f"a AUTHENTICATE XOAUTH2 {held}") == said


@pytest.mark.parametrize("way", ["fault", "switch"])
def test_a_greeting_in_one_segment_with_the_proxys_answer(way: str) -> None:
    with start_emulator({"tenants": [tenant(switches={"greeting_with_connect": way == "switch"})]}) as emulator:
        if way == "fault":
            emulator.faults([{"match": {"method": "CONNECT", "path_regex": ":587$"}, "effect": {"joined": True}}])
        proxy = urllib.parse.urlsplit(emulator.proxy)
        with socket.create_connection((str(proxy.hostname), int(proxy.port or 0)), timeout=30) as connection:
            connection.sendall(b"CONNECT smtp.office365.com:587 HTTP/1.1\r\n\r\n")
            head, _empty, rest = connection.recv(4096).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert rest.startswith(b"220 ")


def test_a_proxy_may_forbid_a_port(emulator: Emulator) -> None:
    emulator.faults([{"match": {"method": "CONNECT", "path_regex": ":(993|587)$"}, "effect": {"status": 403}}])
    for protocol in ("imap", "smtp"):
        with pytest.raises(ConnectionRefusedError, match="403"):
            tunnel(emulator, HOSTS[protocol], PORTS[protocol])
    tunnel(emulator, HOSTS["pop"], 995).close()
    assert clients_can(emulator, token(emulator, RIGHT), FAX) == clients.ALL  # who knows no proxy is not stopped by it


# --- journal and faults -----------------------------------------------------------------------------------------------


def test_every_command_is_a_row_of_the_journal(emulator: Emulator) -> None:
    held = token(emulator, RIGHT)
    emulator.clear_journal()
    assert clients_can(emulator, held, FAX) == clients.ALL
    rows = [row for row in emulator.journal() if row["method"] in ("IMAP", "POP", "SMTP")]
    assert {row["tenant"] for row in rows if row["path"].startswith(("EXAMINE", "STAT", "DATA", "AUTH"))} == {TENANT}
    told = [(row["method"], row["path"], row["status"]) for row in rows]
    assert ("IMAP", "AUTHENTICATE XOAUTH2", "OK") in told
    assert ("IMAP", "EXAMINE INBOX", "OK") in told
    assert ("POP", "AUTH XOAUTH2", "OK") in told
    assert ("POP", "STAT", "OK") in told
    assert ("SMTP", "AUTH XOAUTH2", 235) in told
    assert ("SMTP", "DATA", 250) in told
    emulator.clear_journal()
    clients_can(emulator, token(emulator, NOTHING), FAX)
    told = [(row["method"], row["path"], row["status"]) for row in emulator.journal()]
    for refusal in (
        ("IMAP", "AUTHENTICATE XOAUTH2", "NO"),
        ("POP", "AUTH XOAUTH2", "ERR"),
        ("SMTP", "AUTH XOAUTH2", 535),
    ):
        assert refusal in told


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds", "b BAD Request is throttled."),
        ("throttled", "b BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"),
        ("not_connected", "b BAD User is authenticated but not connected."),
        ("closed", "* BYE Connection closed. 14"),
        ("* BYE Connection is closed. 13", "* BYE Connection is closed. 13"),
    ],
)
def test_a_reply_may_be_ordered_for_imap(emulator: Emulator, reply: str, said: str) -> None:
    rule = {"match": {"host": HOSTS["imap"], "method": "IMAP", "path_regex": "^EXAMINE"}, "times": 1}
    emulator.faults([{**rule, "effect": {"reply": reply}}])
    with line_to(emulator, "imap") as (line, _greeting):
        line.ask(f"a AUTHENTICATE XOAUTH2 {encoded(FAX, token(emulator, RIGHT))}")
        assert line.ask("b EXAMINE INBOX").startswith(said)
        if said.startswith("* BYE"):
            assert line.line() == ""
            return
        if reply == "not_connected":  # and never again on this connection
            assert line.ask("c EXAMINE INBOX") == "c BAD User is authenticated but not connected."
            assert line.line() == "* BYE Connection closed. 14"
            return
        assert line.ask("c EXAMINE INBOX") == "* 0 EXISTS"
    statuses = [row["status"] for row in emulator.journal() if row["path"].startswith("EXAMINE")]
    assert statuses == ["BAD", "OK"]


REPLIES = {key: int(text[:3]) for key, text in TEXTS["smtp"]["replies"].items()}


def test_a_rule_without_a_path_is_for_the_first_command(emulator: Emulator) -> None:
    """Neither for the proxy's CONNECT nor for the greeting."""
    for match in ({"host": HOSTS["imap"]}, {"method": "IMAP"}, {"method": "IMAP", "path_regex": "."}):
        emulator.faults([{"match": match, "times": 1, "effect": {"reply": "NO not now"}}])
        with line_to(emulator, "imap", host=HOSTS["imap"]) as (line, greeting):
            assert greeting.startswith("* OK")
            assert line.ask("a NOOP") == "a NO not now"
            assert line.ask("b NOOP") == "b OK NOOP completed."


@pytest.mark.parametrize("path", ["AUTH", "MAIL", "RCPT", "."])
def test_each_reply_of_smtp_may_be_ordered_where_it_belongs(emulator: Emulator, path: str) -> None:
    held = token(emulator, ROLE)
    for key, number in REPLIES.items():
        if number == 503 and path == "AUTH":
            continue  # which smtplib takes for a sign-in
        match = {"method": "SMTP", "path_regex": f"^{re.escape(path)}"}
        emulator.faults([{"match": match, "times": 1, "effect": {"reply": key}}])
        with pytest.raises(smtplib.SMTPException) as refusal, clients.smtp(emulator, held, FAX) as client:
            client.sendmail(FAX, [FAX], "Subject: x\r\n\r\ny\r\n")
        assert _code(refusal.value) in ((number, -1) if number == 421 else (number,)), key
    assert emulator.state(TENANT)["messages"] == []


def _code(refusal: smtplib.SMTPException) -> int:
    if isinstance(refusal, smtplib.SMTPRecipientsRefused):
        return int(refusal.recipients[FAX][0])
    return int(getattr(refusal, "smtp_code", -1))


def test_the_fourth_connection_at_once(emulator: Emulator) -> None:
    rule = {"match": {"method": "SMTP", "path_regex": "^AUTH"}, "nth": 4, "effect": {"reply": "connections"}}
    emulator.faults([rule])
    held = token(emulator, ROLE)
    with contextlib.ExitStack() as open_ones:
        for _number in range(3):
            open_ones.enter_context(clients.smtp(emulator, held, FAX))
        with pytest.raises(smtplib.SMTPAuthenticationError) as refusal, clients.smtp(emulator, held, FAX):
            pass
        assert (refusal.value.smtp_code, b"aka.ms/concurrent_sending" in refusal.value.smtp_error) == (432, True)


@pytest.mark.parametrize("protocol", ["imap", "pop", "smtp"])
def test_connections_may_be_refused_dropped_and_delayed(emulator: Emulator, protocol: str) -> None:
    method, replies = protocol.upper(), {"imap": "* BYE busy", "pop": "-ERR busy", "smtp": "421 4.3.2 busy"}
    emulator.faults(
        [{"match": {"method": method, "path_regex": "^CONNECT$"}, "times": 1, "effect": {"reply": replies[protocol]}}]
    )
    with contextlib.closing(Line(emulator, protocol)) as line:
        assert line.line() == replies[protocol]
        assert line.line() == ""
    command = {"imap": "a NOOP", "pop": "CAPA", "smtp": "NOOP"}[protocol]
    match = {"method": method, "path_regex": "NOOP|CAPA"}
    for effect in ("drop_before", "drop_after"):
        emulator.faults([{"match": match, "times": 1, "effect": effect}])
        with line_to(emulator, protocol) as (line, _greeting):
            with contextlib.suppress(OSError):
                assert line.ask(command) == ""
            with pytest.raises(OSError), contextlib.ExitStack() as _stack:  # noqa: PT011, PT012 - whichever way it is gone
                for _attempt in range(20):
                    line.ask(command)
                    time.sleep(0.01)
    emulator.faults([{"match": match, "times": 1, "effect": {"delay_s": 0.3}}])
    with line_to(emulator, protocol) as (line, _greeting):
        begun = time.monotonic()
        line.ask(command)
        assert time.monotonic() - begun >= 0.3
    match = {"method": method, "path_regex": "^CONNECT$"}
    emulator.faults([{"match": match, "times": 1, "effect": {"delay_s": 0.3}}])
    begun = time.monotonic()
    with line_to(emulator, protocol) as (_line, greeting):
        assert time.monotonic() - begun >= 0.3
        assert greeting.startswith(("* OK", "+OK", "220 "))


def test_an_answer_that_is_lost_after_the_work(emulator: Emulator) -> None:
    """The message is there, and whoever sent it does not know."""
    held = token(emulator, ROLE)
    emulator.faults([{"match": {"method": "SMTP", "path_regex": "^DATA"}, "times": 1, "effect": "drop_after"}])
    with pytest.raises(smtplib.SMTPServerDisconnected), clients.smtp(emulator, held, FAX) as client:
        client.sendmail(FAX, [FAX], "Subject: Lost\r\n\r\nx\r\n")
    assert [m["subject"] for m in emulator.state(TENANT)["messages"]] == ["Lost"]
    emulator.faults([{"match": {"method": "IMAP", "path_regex": "EXPUNGE"}, "times": 1, "effect": "drop_after"}])
    with clients.imap(emulator, token(emulator, RIGHT), FAX) as reader:
        reader.select("INBOX")
        reader.store("1", "+FLAGS", "\\Deleted")
        with pytest.raises(imaplib.IMAP4.abort):
            reader.expunge()
    assert emulator.state(TENANT)["messages"] == []


def test_rules_for_http_leave_mail_alone(emulator: Emulator) -> None:
    held = token(emulator, RIGHT)
    emulator.faults([{"match": {"host": "outlook.office365.com"}, "nth": 1, "effect": {"status": 503}}])
    assert clients_can(emulator, held, FAX) == clients.ALL
    assert emulator.fault_rules()[0]["seen"] == 0
    with pytest.raises(EmulatorError, match="unknown keys"):
        emulator.faults([{"match": {}, "effect": {"replies": "x"}}])


# --- curl -------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
@pytest.mark.parametrize(
    ("app", "mailbox", "ends"), [(RIGHT, FAX, (0, 0, 0)), (NOTHING, FAX, (67, 67, 67)), (GRANT, OTHER, (67, 67, 8))]
)
def test_curl(emulator: Emulator, tmp_path: t.Any, app: str, mailbox: str, ends: tuple[int, int, int]) -> None:
    held = token(emulator, app)
    page = tmp_path / "mail.txt"
    page.write_text(f"From: {mailbox}\r\nTo: {FAX}\r\nSubject: By curl\r\n\r\nPage 1\r\n")
    common = [
        "curl",
        "-sS",
        "--cacert",
        emulator.ca,
        "--user",
        f"{mailbox}:",
        "--oauth2-bearer",
        held,
        "--max-time",
        "30",
    ]
    common += ["--proxytunnel", "--proxy", emulator.proxy, "--login-options", "AUTH=XOAUTH2"]
    imap = [*common, f"imaps://{HOSTS['imap']}:993/INBOX", "-X", "EXAMINE INBOX"]
    pop = [
        *common,
        f"pop3s://{HOSTS['pop']}:995/",
    ]
    smtp = [
        *common,
        "--ssl-reqd",
        f"smtp://{HOSTS['smtp']}:587/client.example",
        "--mail-from",
        mailbox,
        "--mail-rcpt",
        FAX,
        "-T",
        page,
    ]
    got = tuple(subprocess.run(command, capture_output=True, check=False).returncode for command in (imap, pop, smtp))
    assert got == ends
    assert [m["subject"] for m in emulator.state(TENANT)["messages"]] == (["By curl"] if ends == (0, 0, 0) else [])
