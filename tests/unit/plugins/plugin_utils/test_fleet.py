# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of all tenants: the worst first, nobody left out, narrow whatever is in it."""

from __future__ import annotations

import datetime as dt
import shlex
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

from ansible_collections.mail2fax.m365.plugins.filter.fleet_table import fleet_table
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _fleet
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import calendar

AT = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


def document(outcome: str = "ok", **changes: t.Any) -> dict[str, t.Any]:
    return {
        "outcome": outcome,
        "state": "ready",
        "mode": "apply",
        "steps": [],
        "secret": {"end_date_time": "2027-11-21T13:00:00Z"},
        **changes,
    }


def step(outcome: str, **more: t.Any) -> dict[str, t.Any]:
    return {"step": "scope_group", "outcome": outcome, "summary": "a summary", **more}


BLOCKED = document(
    "blocked", steps=[step("ok"), step("blocked", msg="long", error={"cure": "choose a name", "who": "an admin"})]
)
PENDING = document(
    "pending",
    pending=[{"what": "the policy is not in force", "until": "2026-11-21T13:00:00Z"}],
    pending_until="2026-11-21T13:00:00Z",
)


def lines(*rows: _fleet.Row, width: int = 90) -> list[str]:
    return _fleet.table(rows, width)


def test_the_worst_comes_first_and_then_what_ends_soonest() -> None:
    soon = document(secret={"end_date_time": "2026-11-30T12:00:00Z"})
    rows = [
        _fleet.row("ok-late", document(), at=AT),
        _fleet.row("ok-soon", soon, at=AT),
        _fleet.row("new", document("changed"), at=AT),
        _fleet.row("waits", PENDING, at=AT),
        _fleet.row("lost", None, at=AT),
        _fleet.row("stuck", BLOCKED, at=AT),
        _fleet.row("broken", document("failed", steps=[step("failed", msg="it went wrong")]), at=AT),
    ]
    shown = lines(*rows)
    assert shown[0] == "7 tenants: 2 failed, 1 blocked, 1 pending, 1 changed, 2 ok"
    names = [line.split()[0] for line in shown[3:] if line and not line.startswith((" ", "Only"))]
    assert names == ["broken", "lost", "stuck", "waits", "new", "ok-soon", "ok-late"]
    assert shown[-1] == "Only these once more: --limit 'broken,lost,stuck'"


@pytest.mark.parametrize(
    ("found", "said", "days"),
    [
        (BLOCKED, "scope group: choose a name (an admin)", "365 days"),
        (PENDING, "again after 21 Nov 2026, 13:00 UTC: the policy is not in force", "365 days"),
        (document("failed", steps=[step("failed", msg="it went wrong")]), "scope group: it went wrong", "365 days"),
        (document("blocked", mode="audit", drift=["access_policy"]), "differs: access policy", "365 days"),
        (document("pending", pending=[{"what": "no other mailbox", "until": None}]), "no other mailbox", "365 days"),
        (
            document(secret={"end_date_time": "2026-11-20T12:00:00Z", "previous_until": "2026-11-28T12:00:00Z"}),
            "give the fax server the new secret before 28 Nov 2026",
            "expired",
        ),
        (
            document(secret={"end_date_time": "2026-11-22T13:00:00Z", "previous_until": "2026-11-20T12:00:00Z"}),
            "",
            "1 day",
        ),
        (document(secret=None), "", "-"),
        (None, "no result: unreachable, or stopped early, see the messages above", "-"),
    ],
)
def test_a_row_tells_what_is_next(found: t.Any, said: str, days: str) -> None:
    row = _fleet.row("contoso", found, at=AT)
    assert row.next == said
    assert _fleet._spoken(row.days) == days


def test_a_prediction_speaks_of_what_would_be_and_of_no_secret_that_is_not_there() -> None:
    steps = [{"step": "client_secret", "outcome": "changed", "summary": "would be made"}]
    row = _fleet.row("contoso", document("changed", mode="check", steps=steps), at=AT)
    assert (row.shown, row.days) == ("to change", None)
    assert _fleet.row("contoso", document("changed", steps=steps), at=AT).days == 365


def test_what_a_rotation_leaves_out_is_told_from_what_is_lost() -> None:
    assert _fleet.row("gone", None, {"state": "removed"}, AT).shown == "removed"
    left = _fleet.row("early", None, document(), AT)
    assert (left.shown, left.days, left.next) == ("not looked at", 365, "")
    assert _fleet.row("lost", None, {}, AT).shown == "failed"
    assert _fleet.row("done", document(state="removed"), at=AT).shown == "removed"


def test_it_stays_narrow_and_harmless_whatever_is_in_it() -> None:
    wild = "a\x1b[31m\u202e" + "x" * 300 + " and so on" * 40
    rows = [
        _fleet.row(f"{number}-{'tenant' * 20}", document("failed", steps=[step("failed", msg=wild)]))
        for number in range(3)
    ]
    for width in (60, 90, 100):
        shown = lines(*rows, _fleet.row("contoso", document()), width=width)
        assert max(len(line) for line in shown if "--limit" not in line) <= width
        assert "\x1b" not in "".join(shown)
        assert sum(line.endswith("...") for line in shown) == 3, "a long story is cut"


def test_many_bad_ones_are_not_put_into_a_command_nor_is_everybody() -> None:
    bad = [_fleet.row(f"t{number}", None) for number in range(_fleet.MANY + 1)]
    assert not any("--limit" in line for line in lines(*bad, _fleet.row("good", document())))
    assert not any("--limit" in line for line in lines(*bad[:3]))
    assert any("--limit" in line for line in lines(*bad[:-1], _fleet.row("good", document())))


def test_the_filter_takes_the_variables_of_the_hosts() -> None:
    variables = {"a": {"handover_result": {"document": document()}}, "b": {}, "c": {"handover_last": document()}}
    shown = fleet_table(["a", "b", "c", "d"], variables, shape="lines")
    assert shown[0] == "4 tenants: 2 failed, 1 ok, 1 not looked at"
    assert fleet_table(["a", "b", "c", "d"], variables, shape="text") == "\n".join(shown)
    for hosts, known in (("a", {}), (1, {}), (["a"], [])):
        with pytest.raises(AnsibleFilterError, match="takes names of hosts"):
            fleet_table(hosts, known)
    with pytest.raises(AnsibleFilterError, match="shape is 'round'"):
        fleet_table(["a"], {}, shape="round")


ODD_HOSTS = [
    "!neg",
    "&and",
    "~re",
    "@file",
    "tick's",
    "a,b",
    "a&b",
    "a b",
    "Möller GmbH",
    "a:b",
    "fe80::1",
    "a[1:3]",
    "a*",
]
ODD_HOSTS += [
    "a.b",
    "axb",
    "a^b",
    "a$b",
    "a(b",
    "a)b|c",
    'a"b',
    "a\\b",
    "a]b",
    "a}b{",
    "a?b",
    "-x",
    "a+b",
    "a-b",
    "a;b",
    "東京",
]


@pytest.mark.parametrize("hosts", [[host] for host in ODD_HOSTS] + [ODD_HOSTS, ODD_HOSTS[::2], ["plain", "plain.too"]])
def test_the_hint_selects_exactly_those_hosts(hosts: list[str]) -> None:
    manager = InventoryManager(DataLoader(), sources=[])
    for host in {*ODD_HOSTS, "plain", "plain.too", "plainxtoo", "other", "a", "b", "Möller", "GmbH", "neg", "a1"}:
        manager._inventory.add_host(host, "all")
    told = _fleet.limit(hosts)
    assert not set("'\"\\") & set(told)
    (pasted,) = shlex.split(f"'{told}'")
    manager.subset(pasted)
    assert sorted(host.name for host in manager.get_hosts("all")) == sorted(hosts)


def test_the_hint_is_never_wrapped() -> None:
    rows = [_fleet.row(f"a-rather-long-name-of-a-tenant-{number}", BLOCKED, at=AT) for number in range(9)]
    told = _fleet.table([*rows, _fleet.row("well", document(), at=AT)])[-1]
    assert told.startswith("Only these once more: --limit 'a-rather")
    assert told.endswith("-8'")


def test_a_host_that_was_refused_says_why() -> None:
    row = _fleet.row("x", None, {"state": "ready"}, AT, stopped={"msg": "Nothing was touched.", "outcome": "blocked"})
    assert (row.outcome, row.next) == ("blocked", "Nothing was touched.")


# --- the end of EWS --------------------------------------------------------------------------------------------

EWS = {"accesses": [{"id": "ews", "protocol": "ews", "scoping": "application_access_policy"}]}
IMAP = {"accesses": [{"id": "imap", "protocol": "imap", "scoping": "mailbox_permission"}]}
NOVEMBER = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("profiles", "phase", "days", "says"),
    [
        ([EWS], None, 124, "mail2fax_migrate_to"),
        ([IMAP, EWS], "prepare", 124, "makes the new way in"),
        ([IMAP, EWS], "prove", 124, "proves the new way"),
        ([IMAP, EWS], "hand_over", 124, "writes the sheet"),
        ([IMAP, EWS], "confirm", 124, "mail2fax_migrate_confirm: true"),
        ([IMAP, EWS], "retire", 124, "after 29 Nov 2026, 00:00 UTC: run mail2fax.m365.migrate again"),
        # From an access policy to roles it stays on EWS.
        ([EWS], "done", 124, "mail2fax_migrate_to"),
    ],
)
def test_a_calendar_tells_days_phase_and_what_comes_next(profiles: t.Any, phase: t.Any, days: int, says: str) -> None:
    until = "2026-11-29T00:00:00Z" if phase == "retire" else "2026-11-27T00:00:00Z"
    standing = {"phase": phase, "until": until} if phase else None
    found = calendar.calendar(profiles, standing, NOVEMBER)
    assert found is not None
    assert (found["ews_days_left"], found["ews_ends"], found["phase"]) == (days, "2027-04-01", phase)
    assert says in found["next"]
    assert found["next"].startswith("after") == (phase == "retire")


def test_a_calendar_tells_what_is_waited_for_and_a_roll_back() -> None:
    waits = {"phase": "prove", "until": "2026-11-28T14:00:00Z", "awaits": "roles that Exchange has cached"}
    found = calendar.calendar([EWS], waits, NOVEMBER) or {}
    assert found["next"] == (
        "after 28 Nov 2026, 14:00 UTC: run mail2fax.m365.migrate again: it proves the new way in "
        "(it waits for roles that Exchange has cached)"
    )
    back = calendar.calendar([EWS], {"phase": "prove", "rolling": True}, NOVEMBER) or {}
    assert back["next"] == "run mail2fax.m365.migrate with mail2fax_migrate_rollback: true again"
    person = calendar.calendar([EWS], {"phase": "confirm", "awaits": "somebody"}, NOVEMBER) or {}
    assert "somebody" not in person["next"]


def test_a_tenant_that_is_not_on_ews_has_no_calendar() -> None:
    assert calendar.calendar([IMAP, {}], {"phase": "done"}, NOVEMBER) is None
    assert calendar.of({"profile": IMAP}, NOVEMBER) is None
    assert calendar.of({"profile": EWS, "state": "removed"}, NOVEMBER) is None
    assert calendar.of({"profile": EWS, "calendar": None}, NOVEMBER) is None
    own = {**EWS, "sunset": {"date": "2026-12-01"}}
    assert (calendar.calendar([own], None, NOVEMBER) or {})["ews_days_left"] == 3
    over = calendar.calendar([EWS], None, NOVEMBER.replace(year=2027)) or {}
    assert calendar.in_words(over) == "ended"
    assert over["next"].startswith("EWS has ended")


def test_the_table_has_the_days_the_phase_and_what_comes_next_once_for_all() -> None:
    confirm = {"migration": {"phase": "confirm"}}
    documents = {
        "contoso": document("ok", profile=EWS),
        "fabrikam": document("ok", profile=EWS),
        "tailspin": document("ok", profile=EWS, **confirm),
        "wingtip": document("ok", profile=IMAP),
    }
    seen = _fleet.table(_fleet.row(host, one, at=NOVEMBER) for host, one in documents.items())
    assert seen[2].split() == ["TENANT", "OUTCOME", "SECRET", "EWS", "NEXT"]
    told = {line.split()[0]: line for line in seen[3:7]}
    assert "124 days, confirm" in told["tailspin"]
    assert "124 days" in told["contoso"]
    assert "124" not in told["wingtip"]
    text = " ".join(" ".join(seen).split())
    assert text.count("Off EWS") == 2
    assert "Off EWS, not begun (contoso, fabrikam): run mail2fax.m365.migrate with mail2fax_migrate_to" in text
    assert "Off EWS, confirm (tailspin): change the fax server's settings" in text
    assert max(map(len, seen)) <= 90
    without = _fleet.table([_fleet.row("wingtip", documents["wingtip"], at=NOVEMBER)])
    assert "EWS" not in " ".join(without)
