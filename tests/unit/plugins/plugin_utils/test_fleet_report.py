# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All tenants on one page and in one table: the most urgent first, nobody left out, everything escaped."""

from __future__ import annotations

import csv
import html
import io
import re
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _fleet_page, _fleet_report
from tests.unit import fleet_reports as made
from tests.unit.fleet_reports import AT, audit, blocked, iso, mailbox, reach, record, texts

Json = dict[str, t.Any]


def line(*documents: Json | None, host: str = "contoso") -> _fleet_report.Line:
    return _fleet_report.line(host, texts(*documents), AT)


def rows(**found: _fleet_report.Texts) -> list[tuple[str, str]]:
    return [(one.host, one.urgency) for one in _fleet_report.report(found, AT).lines]


def test_what_is_most_urgent_comes_first_and_nobody_is_missing() -> None:
    failed = record("broken", outcome="failed", steps=[{**blocked("preflight", "mend it"), "outcome": "failed"}])
    found = {
        "fine": texts(record("fine"), audit("fine")),
        "gone": texts(record("gone", state="removed", secret=None)),
        "waits": texts(
            record("waits", outcome="pending", pending=[{"step": "x", "what": "the policy", "until": None}])
        ),
        "lost": texts(),
        "near": texts(record("near", days=40)),
        "nearer": texts(record("nearer", days=5)),
        "stuck": texts(record("stuck"), audit("stuck", outcome="blocked", drift=["access_policy"])),
        "broken": texts(failed),
        "expired": texts(record("expired", days=-2)),
    }
    assert rows(**found) == [
        ("expired", "now"),
        ("broken", "now"),
        ("nearer", "soon"),
        ("stuck", "soon"),
        ("lost", "unknown"),
        ("near", "waits"),
        ("waits", "waits"),
        ("fine", "fine"),
        ("gone", "removed"),
    ]
    report = _fleet_report.report(found, AT)
    assert report.troubled == ["broken", "stuck", "lost"]
    assert _fleet_report.limits(report) == "broken\nstuck\nlost\n"


def test_a_row_has_what_an_operator_asks_for() -> None:
    one = line(record("contoso"), audit("contoso"), reach("contoso", mailboxes=2))
    assert (one.domain, one.name) == ("contoso.example", "Contoso")
    assert (one.days, one.reach, one.meant, one.mailboxes) == (300, "exactly 2 mailboxes", 2, 2)
    assert one.ews is not None
    assert one.ews["ews_days_left"] == 124
    assert one.proof_at is not None
    assert one.next == ""
    partly = line(record("contoso"), None, reach("contoso", complete=False))
    assert partly.reach == "at least 1 mailbox"
    wide = line(record("contoso"), None, reach("contoso", everything=True))
    assert (wide.reach, wide.reach_wide) == ("every mailbox of the tenant", True)


def test_the_later_document_tells_how_it_is() -> None:
    drift = audit("contoso", outcome="blocked", drift=["admin_consent"])
    assert line(record("contoso"), drift).next == "differs: admin consent"
    mended = record("contoso", at=iso(-0.05))
    assert (line(mended, drift).outcome, line(mended, drift).seen_by) == ("ok", "provision")


def test_a_rotated_secret_is_counted_once() -> None:
    before = audit("contoso", days=6)
    after = record("contoso", number=7, days=365, at=iso(-0.05))
    after["ids"] = before["ids"]
    (expiry,) = line(after, before).expiries
    assert expiry.days == 365
    foreign = {**before["credentials"][0], "whose": "foreign", "key_id": "another", "display_name": "by hand"}
    one = line(after, {**before, "credentials": [*before["credentials"], foreign]})
    assert [expiry.whose for expiry in one.expiries] == ["foreign", "ours"]
    assert one.urgency == "soon"
    assert one.next.startswith("the foreign secret by hand ends on 4 Dec 2026")


@pytest.mark.parametrize(
    ("days", "urgency", "told"),
    [
        (-1, "now", "OUTAGE: the secret expired on"),
        (9, "soon", "run mail2fax.m365.rotate before 7 Dec 2026"),
        (50, "waits", "run mail2fax.m365.rotate before"),
        (61, "fine", ""),
    ],
)
def test_a_date_is_urgent_whatever_the_last_run_said(days: int, urgency: str, told: str) -> None:
    one = line(record("contoso", days=days + 0.5))
    assert one.urgency == urgency
    assert told in one.next


def test_who_is_out_of_reach_or_out_of_sight_says_since_when() -> None:
    gone = audit("contoso", reached=False, unknown_since=iso(-9), outcome="failed")
    assert line(record("contoso"), gone).unknown_since == "unknown since 19 Nov 2026, 07:00 UTC"
    old = record("old", at=iso(-30))
    report = _fleet_report.report({"old": texts(old), "new": texts(record("new"))}, AT)
    (first, _second) = report.lines
    assert (first.host, first.urgency, first.stale) == ("old", "unknown", True)
    assert first.next.startswith("not looked at since 29 Oct 2026")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "it is not JSON"),
        ("[]", "it is not the result of a run"),
        ('{"schema": 99, "host": "contoso"}', "a later version"),
        ('{"schema": 2, "host": "another"}', "it belongs to 'another'"),
    ],
)
def test_what_cannot_be_read_is_a_row_that_says_so(text: str, told: str) -> None:
    one = _fleet_report.line("contoso", _fleet_report.Texts(record=text), AT)
    assert (one.outcome, one.urgency) == ("no result", "unknown")
    assert told in one.next
    trouble = _fleet_report.line("contoso", _fleet_report.Texts(trouble="its result cannot be read: no"), AT)
    assert trouble.next == "its result cannot be read: no"


def test_mailboxes_that_are_not_as_meant_are_named() -> None:
    wrong = mailbox("ceo@contoso.example", expected="denied", probe="opened", meant=False)
    one = line(record("contoso", mailboxes=[mailbox("fax@contoso.example"), wrong]))
    assert one.wrong == ("ceo@contoso.example is opened, meant to be denied",)


HOSTILE = '=HYPERLINK("http://x")</script><script>alert(1)</script><b>\''


def hostile(value: t.Any) -> t.Any:
    """Every text that a tenant, or whoever keeps the inventory, may have written."""
    free = {"summary", "msg", "cure", "who", "what", "display_name", "name", "domain", "mailbox", "title"}
    if isinstance(value, dict):
        return {key: HOSTILE if key in free and isinstance(item, str) else hostile(item) for key, item in value.items()}
    return [hostile(item) for item in value] if isinstance(value, list) else value


def test_nothing_is_taken_for_markup_or_for_a_formula() -> None:
    stuck = audit("contoso", outcome="blocked", steps=[blocked("preflight", "x")], tenant_wide=HOSTILE)
    known = {HOSTILE: texts(), "contoso": texts(hostile(record("contoso")), hostile(stuck), reach("contoso"))}
    report = _fleet_report.report(known, AT)
    page = _fleet_page.page(report)
    assert page.count("<script>") == 1
    assert "<b>" not in page
    assert html.escape("</script><script>alert(1)", quote=False) in page
    table = list(csv.reader(io.StringIO(_fleet_report.table(report))))
    assert len(table) == 3
    for cell in (cell for row in table for cell in row):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert {row[0] for row in table[1:]} == {f"'{HOSTILE}", "contoso"}
    assert _fleet_report.limits(report).count("\n") == 2


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = _fleet_page.page(_fleet_report.report(made.fleet(50), AT))
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src 'none'" in page


def test_the_table_is_whole_and_in_the_page_s_order() -> None:
    report = _fleet_report.report(made.fleet(300), AT)
    table = list(csv.DictReader(io.StringIO(_fleet_report.table(report))))
    assert len(table) == 300
    assert tuple(table[0]) == _fleet_report.COLUMNS
    assert [row["host"] for row in table] == [one.host for one in report.lines]
    assert {row["urgency"] for row in table} == set(_fleet_report.URGENCIES)
    assert {row["migration_phase"] for row in table} == {"", "confirm"}
    assert {row["reach"] for row in table} == {
        "",
        "exactly 1 mailbox",
        "at least 1 mailbox",
        "every mailbox of the tenant",
    }
    assert min(int(row["days_left"]) for row in table if row["days_left"]) == 0, "what has expired has no days left"


def test_the_timeline_has_each_that_ends_and_piles_no_dots_up() -> None:
    report = _fleet_report.report(made.fleet(300), AT)
    line_ = _fleet_page.timeline(report)
    ends = sum(len(one.expiries) for one in report.lines)
    assert len(line_.dots) + sum(pile.count for pile in line_.bars) == ends
    assert all(0 <= dot.x <= line_.width and 0 <= dot.y <= line_.base for dot in line_.dots)
    assert line_.bars, "a hundred that end in two days are a bar"
    assert [name for _x, name in line_.marks][:2] == ["Dec 2026", "Jan 2027"]
    assert [name for _x, name, _kind in line_.lines] == ["today", "EWS ends"]
    assert line_.told.startswith(f"{ends} secrets and certificates: 6 expired")
    assert _fleet_page.timeline(_fleet_report.report({}, AT)).dots == ()
