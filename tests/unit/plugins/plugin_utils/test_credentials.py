# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _credentials
from ansible_collections.mail2fax.m365.plugins.plugin_utils._credentials import Thresholds

Json = dict[str, t.Any]
NOW = dt.datetime(2026, 11, 21, 12, 0, 30, tzinfo=dt.UTC)
NAME = "Secret"
DAY = dt.timedelta(days=1)


def at(days: float) -> str:
    return (NOW + days * DAY).strftime("%Y-%m-%dT%H:%M:%SZ")


def secret(key_id: str, end: float, name: str = NAME, start: float = -100) -> Json:
    return {"key_id": key_id, "display_name": name, "start_date_time": at(start), "end_date_time": at(end)}


def application(*secrets: Json, certificates: t.Sequence[Json] = (), principal: Json | None = None) -> Json:
    return {"secrets": list(secrets), "certificates": list(certificates), "service_principal": principal}


def judged(found: Json, in_use: str | None = None, **thresholds: t.Any) -> list[Json]:
    return _credentials.judged(_credentials.listed(found, NAME, in_use), Thresholds.of(thresholds), NOW)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (60.01, ("ok", None)),
        (60, ("pending", 60)),
        (30.01, ("pending", 60)),
        (30, ("pending", 30)),
        (14.01, ("pending", 30)),
        (14, ("blocked", 14)),
        (7.01, ("blocked", 14)),
        (7, ("blocked", 7)),
        (0.01, ("blocked", 7)),
        (0, ("blocked", 0)),
        (-3, ("blocked", 0)),
    ],
)
def test_the_usual_thresholds(days: float, expected: tuple[str, int | None]) -> None:
    assert Thresholds().passed(days * DAY) == expected


def test_thresholds_of_one_s_own() -> None:
    own = Thresholds.of({"pending": ["20", 10], "blocked": 3})
    assert own == Thresholds((20, 10), (3,))
    assert own.passed(10 * DAY) == ("pending", 10)
    assert Thresholds.of({"blocked": [1]}) == Thresholds((60, 30), (1,))
    assert Thresholds.of({"pending": None}) == Thresholds.of(None) == Thresholds()
    none = Thresholds.of({"pending": [], "blocked": []})
    assert (none.passed(DAY), none.passed(-DAY)) == (("ok", None), ("blocked", 0))
    assert none.worse_at(NOW) == NOW


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"warning": [1]}, "not warning"),
        ({"pending": ["soon"]}, r"takes numbers of days, not \['soon'\]"),
        ({"blocked": [-1]}, "negative"),
        ({"blocked": {"a": 1}}, "takes numbers of days"),
    ],
)
def test_what_is_no_threshold_is_refused(given: Json, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Thresholds.of(given)


def test_the_one_in_the_store_is_ours_and_its_namesakes_are_retiring() -> None:
    found = application(secret("OLD", 5), secret("NEW", 300), secret("x", 200, "other"))
    rows = judged(found, "new")
    assert [(row["key_id"], row["whose"], row["outcome"]) for row in rows] == [
        ("old", "retiring", "ok"),
        ("x", "foreign", "ok"),
        ("new", "ours", "ok"),
    ]
    # Whatever the dates are.
    assert {row["key_id"]: row["whose"] for row in judged(found, "old")} == {
        "old": "ours",
        "new": "retiring",
        "x": "foreign",
    }


def test_without_a_store_the_youngest_is_taken_for_ours() -> None:
    found = application(secret("old", 300, start=-200), secret("new", 200, start=-10))
    for in_use in (None, "somewhere else"):
        assert {row["key_id"]: row["whose"] for row in judged(found, in_use)} == {"old": "retiring", "new": "ours"}


def test_those_of_the_service_principal_and_certificates_are_never_ours() -> None:
    principal = {"secrets": [secret("p", 40)], "certificates": [secret("q", 50, NAME)]}
    found = application(secret("a", 300), certificates=[{**secret("c", 3), "thumbprint": "AB"}], principal=principal)
    rows = judged(found, "a")
    assert [(row["key_id"], row["kind"], row["of"], row["whose"]) for row in rows] == [
        ("c", "certificate", "application", "foreign"),
        ("p", "secret", "service_principal", "foreign"),
        ("q", "certificate", "service_principal", "foreign"),
        ("a", "secret", "application", "ours"),
    ]
    assert [row.get("thumbprint") for row in rows] == ["AB", None, None, None]


def test_what_has_no_end_counts_for_nothing() -> None:
    rows = judged(application({**secret("a", 1), "end_date_time": None}), "a")
    assert [(row["days_left"], row["outcome"]) for row in rows] == [(None, "ok")]
    assert _credentials.step(rows, Thresholds())["summary"] == "1 secret"


def test_the_worst_decides_and_everything_is_told() -> None:
    found = application(
        secret("ours", 13.5), secret("f", 45, "by hand"), certificates=[{**secret("c", -1.5, ""), "thumbprint": "AB12"}]
    )
    made = _credentials.step(judged(found, "ours"), Thresholds())
    assert made["outcome"] == "blocked"
    assert made["summary"] == "2 secrets and 1 certificate, 2 foreign; 1 expired"
    assert made["msg"] == (
        f"the foreign certificate AB12 expired on {at(-1.5)[:10]}, remove it; "
        f"the secret 'Secret' ends on {at(13.5)[:10]}, in 13 days, renew it with mail2fax.m365.rotate"
    )
    assert made["pending"] == (
        f"the foreign secret 'by hand' ends on {at(45)[:10]}, in 45 days, have its owner renew it, or remove it"
    )
    assert made["pending_until"] == at(45 - 14)


def test_calm_is_one_line() -> None:
    rows = judged(application(secret("a", 300.2)), "a")
    assert _credentials.step(rows, Thresholds()) == {"outcome": "ok", "summary": "1 secret; the first ends in 300 days"}
    assert _credentials.step([], Thresholds()) == {"outcome": "ok", "summary": "no secret and no certificate"}


def test_an_earlier_look_takes_in_what_a_later_run_made() -> None:
    rows = _credentials.listed(application(secret("old", 5), secret("f", 9, "by hand")), NAME, "old")
    made = {"display_name": NAME, "key_id": "NEW", "end_date_time": at(300)}
    carried = _credentials.carried(rows, made)
    assert {row["key_id"]: row["whose"] for row in carried} == {"old": "retiring", "f": "foreign", "new": "ours"}
    assert rows[0]["whose"] == "ours", "what was given is not changed"
    assert _credentials.carried(rows, {**made, "key_id": "OLD"}) == rows
    assert _credentials.carried(rows, None) == rows
    assert [row["key_id"] for row in _credentials.carried([], made)] == ["new"]
