# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application opens mailboxes by Graph and EWS, as policies, roles and consents add up; messages are sent."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

import pytest

from tests.emulator.testing import Emulator, start_emulator
from tests.fidelity import mail
from tests.fidelity.mail import BASIC, FAX, NOTHING, OTHER, POLICY, RIGHT, SCOPED, SECRET, TENANT, WIDE
from tests.integration.harness import EXCHANGE, GRAPH, requests_to, run

Json = dict[str, t.Any]


def graph(*permissions: str, scoping: str = "application_role") -> Json:
    return {"id": "mail", "protocol": "graph", "permissions": list(permissions), "scoping": scoping}


EWS: Json = {"id": "ews", "protocol": "ews", "permissions": ["full_access_as_app"], "scoping": "application_role"}
IMAP: Json = {"id": "imap", "protocol": "imap", "permissions": ["IMAP.AccessAsApp"], "scoping": "mailbox_permission"}
SMTP: Json = {"id": "smtp", "protocol": "smtp", "permissions": ["SMTP.SendAsApp"], "scoping": "mailbox_permission"}
BOTH = ("Mail.ReadWrite", "Mail.Send")


@pytest.fixture(scope="module")
def started() -> Iterator[Emulator]:
    tenant = mail.tenant(switches={"token_bytes": 4096})
    more = {"name": "SMTP too", "app_id": SCOPED, "role": "Application SMTP.SendAsApp", "scope": "Fax scope"}
    tenant["role_assignments"].append(more)
    with start_emulator({"tenants": [tenant]}) as running:
        yield running


@pytest.fixture
def emulator(started: Emulator) -> Iterator[Emulator]:
    yield started
    started.faults([])
    started.reset()


def probe(emulator: Emulator, app_id: str, *accesses: Json, **params: t.Any) -> Json:
    emulator.clear_journal()
    options: Json = {"app_id": app_id, "app_secret": SECRET, "allowed": [FAX], "refused": [OTHER], "patience": 2}
    result = run("mailbox_probe_info", {**options, "accesses": list(accesses), **params}, emulator, tenant=TENANT)
    assert SECRET not in str(result)
    assert "eyJ" not in str(result)
    return result


def verdicts(result: Json) -> list[str]:
    rows = result.get("probes") or result["error"]["details"]["probes"]
    return [row["verdict"] for row in rows]


@pytest.mark.parametrize(
    ("app_id", "access", "expected"),
    [
        (SCOPED, graph(*BOTH), ["opened", "out_of_scope"]),
        (SCOPED, graph("Calendars.Read"), ["opened", "out_of_scope"]),
        (SCOPED, graph("MailboxSettings.Read", "Mail.ReadWrite"), ["opened", "out_of_scope"]),
        (SCOPED, graph("Mail.Send"), ["signed_in", "signed_in"]),
        (SCOPED, EWS, ["opened", "out_of_scope"]),
        (POLICY, graph(*BOTH, scoping="application_access_policy"), ["opened", "denied_by_policy"]),
    ],
)
def test_the_proof(emulator: Emulator, app_id: str, access: Json, expected: list[str]):
    result = probe(emulator, app_id, access)
    assert result["outcome"] == "ok", result
    assert verdicts(result) == expected
    assert emulator.state(TENANT)["messages"] == []


def test_what_nothing_limits_is_told_where_somebody_accepted_it(emulator: Emulator):
    wide = graph(*BOTH, scoping="tenant_wide")
    assert probe(emulator, WIDE, wide, refused=[])["outcome"] == "ok"
    beside = probe(emulator, WIDE, graph(*BOTH))
    assert beside["outcome"] == "blocked"
    assert "Mail.ReadWrite (opens every mailbox)" in beside["error"]["message"]


def test_a_role_that_is_not_there_is_late_and_then_blocked(emulator: Emulator):
    late = probe(emulator, NOTHING, graph("Mail.ReadWrite"))
    assert (late["outcome"], verdicts(late)) == ("pending", ["refused", "refused"])
    over = probe(emulator, NOTHING, graph("Mail.ReadWrite"), in_force_by=["2020-01-01T00:00:00Z"])
    assert over["outcome"] == "blocked"
    assert "the role is not assigned" in over["error"]["message"]
    assert probe(emulator, NOTHING, graph("Calendars.Read"))["outcome"] == "pending"


def test_a_permission_that_is_not_in_the_token_is_told_before_anything_is_asked(emulator: Emulator):
    result = probe(emulator, BASIC, graph("Mail.ReadWrite", scoping="application_access_policy"))
    assert result["outcome"] == "blocked"
    assert "does not carry Mail.ReadWrite (it carries Mail.ReadBasic.All)" in result["error"]["message"]
    assert requests_to(emulator, GRAPH) == []


def test_a_mailbox_that_is_not_there(emulator: Emulator):
    nobody = f"nobody@{mail.DOMAIN}"
    control = probe(emulator, SCOPED, graph(*BOTH), refused=[nobody])
    assert (control["outcome"], verdicts(control)) == ("ok", ["opened", "no_mailbox"])
    assert "nothing was refused on the wire" in control["summary"]
    fax = probe(emulator, SCOPED, graph(*BOTH), allowed=[FAX, nobody])
    assert fax["outcome"] == "failed"
    assert f"no mailbox behind {nobody}" in fax["msg"]


@pytest.mark.parametrize(
    ("status", "code", "verdict"),
    [
        (403, "ExtensionError", "refused"),
        (403, "ErrorAccessDenied", "refused"),
        (404, "MailboxNotEnabledForRESTAPI", "no_mailbox"),
        (429, "ApplicationThrottled", "throttled"),
    ],
)
def test_each_refusal_has_its_verdict(emulator: Emulator, status: int, code: str, verdict: str):
    body = {"error": {"code": code, "message": "no"}}
    rule = {"match": {"host": GRAPH, "path_regex": "/messages"}, "effect": {"status": status, "body": body}}
    emulator.faults([rule])
    assert verdicts(probe(emulator, SCOPED, graph(*BOTH), refused=[])) == [verdict]


def test_a_message_is_sent_found_and_removed_by_graph(emulator: Emulator):
    result = probe(emulator, SCOPED, graph(*BOTH), send=True, patience=20)
    assert result["outcome"] == "ok", result
    assert result["probes"][0]["message"]["state"] == "removed"
    assert emulator.state(TENANT)["messages"] == []
    sent = [row["path"] for row in requests_to(emulator, GRAPH) if row["path"].endswith("/sendMail")]
    assert len(sent) == 1, "nothing is sent as a control mailbox"


def test_a_message_that_smtp_sent_is_found_by_graph(emulator: Emulator):
    smtp = {**SMTP, "scoping": "application_role"}
    result = probe(emulator, SCOPED, smtp, graph("Mail.ReadWrite"), send=True, patience=20)
    assert result["outcome"] == "ok", result
    assert result["probes"][0]["message"]["state"] == "removed"
    assert emulator.state(TENANT)["messages"] == []


def test_a_message_that_no_access_reads_stays(emulator: Emulator):
    send = graph("Mail.Send", scoping="tenant_wide")
    result = probe(emulator, WIDE, send, refused=[], send=True)
    assert (result["outcome"], verdicts(result)) == ("ok", ["opened"])
    assert len(emulator.state(TENANT)["messages"]) == 1
    assert "stays in the mailbox" in str(result["warnings"])


def test_a_token_of_four_kilobytes_goes_by_every_protocol(emulator: Emulator):
    assert len(mail.token(emulator, RIGHT)) >= 4096
    pop = {**IMAP, "id": "pop", "protocol": "pop", "permissions": ["POP.AccessAsApp"]}
    result = probe(emulator, RIGHT, IMAP, SMTP, pop)
    assert result["outcome"] == "ok"
    assert verdicts(result)[:3] == ["opened", "signed_in", "opened"]


def test_old_options_are_as_before(emulator: Emulator):
    options: Json = {"app_id": POLICY, "app_secret": SECRET, "allowed": [FAX], "refused": [OTHER]}
    old = run("mailbox_probe_info", options, emulator, tenant=TENANT)
    assert old["outcome"] == "ok"
    assert "access" not in old["probes"][0]
    assert "accesses" not in old
    emulator.clear_journal()
    calendar = {**options, "protocol": "graph", "role": "Calendars.Read"}
    assert run("mailbox_probe_info", calendar, emulator, tenant=TENANT)["outcome"] == "ok"
    assert [row["path"].rpartition("/")[2] for row in requests_to(emulator, GRAPH)] == ["calendarView"] * 2
    assert requests_to(emulator, EXCHANGE) == []
