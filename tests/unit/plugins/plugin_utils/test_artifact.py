# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job of AWX hands to the next one: small, of those that want something, and under a name of its own."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.filter.run_artifact import run_artifact
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _artifact
from ansible_collections.mail2fax.m365.plugins.plugin_utils._fleet import Row


def row(host: str, outcome: str, days: int | None = 300, told: str = "") -> Row:
    return Row(host, outcome, outcome, days, told)


def test_it_tells_the_worst_the_soonest_and_the_most_urgent() -> None:
    rows = [
        row("a", "ok", 40),
        row("b", "pending", 200, "again later"),
        row("c", "blocked", None, "ask\n somebody"),
        row("d", "changed"),
    ]
    assert _artifact.artifact(rows) == {
        "outcome": "blocked",
        "days_left": 40,
        "next": "c: ask somebody",
        "tenants": {
            "c": {"outcome": "blocked", "days_left": None, "next": "ask somebody"},
            "b": {"outcome": "pending", "days_left": 200, "next": "again later"},
        },
    }


@pytest.mark.parametrize(
    ("outcomes", "all_in_all"),
    [
        (["ok", "changed"], "changed"),
        (["ok", "not looked at"], "ok"),
        (["removed"], "ok"),
        ([], "ok"),
        (["failed", "ok"], "failed"),
    ],
)
def test_the_outcome_is_one_of_five(outcomes: list[str], all_in_all: str) -> None:
    assert _artifact.artifact(row(str(n), one) for n, one in enumerate(outcomes))["outcome"] == all_in_all


def test_three_hundred_bad_tenants_are_still_a_few_kilobytes() -> None:
    made = _artifact.artifact(row(f"tenant{n:03}", "blocked", n, "do {{ this }} " * 100) for n in range(300))
    assert len(json.dumps(made)) < 4096
    assert made["more"] + len(made["tenants"]) == 300
    assert next(iter(made["tenants"])) == "tenant000"
    assert "{{" not in json.dumps(made)


@pytest.mark.parametrize(
    ("job", "name"),
    [
        (17, "mail2fax_run_17"),
        ("17", "mail2fax_run_17"),
        ("", "mail2fax_run_local"),
        (None, "mail2fax_run_local"),
        ("x y", "mail2fax_run_local"),
    ],
)
def test_each_job_has_a_name_of_its_own(job: object, name: str) -> None:
    assert list(run_artifact([], {}, job)) == [name]


def test_it_reads_what_the_run_keeps_and_takes_nothing_else() -> None:
    document = {"outcome": "ok", "secret": {"end_date_time": "2999-01-01T00:00:00Z", "value": "canary"}, "steps": []}
    made = run_artifact(["a", "gone"], {"a": {"handover_result": {"document": document}, "password": "canary"}})
    assert made["mail2fax_run_local"]["outcome"] == "failed"
    assert list(made["mail2fax_run_local"]["tenants"]) == ["gone"]
    assert "canary" not in str(made)
    with pytest.raises(AnsibleFilterError):
        run_artifact("a", {})
