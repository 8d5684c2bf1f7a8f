# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime as dt
import typing as t

import pytest
from ansible import constants
from ansible.errors import AnsibleError, AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.filter.days_until import days_until
from ansible_collections.mail2fax.m365.plugins.filter.outcome_table import outcome_table
from ansible_collections.mail2fax.m365.plugins.filter.readable_time import readable_time
from ansible_collections.mail2fax.m365.plugins.filter.refused_options import refused_options
from ansible_collections.mail2fax.m365.plugins.filter.run_result import run_result
from ansible_collections.mail2fax.m365.plugins.filter.sheet import sheet
from ansible_collections.mail2fax.m365.plugins.filter.sheets import sheets
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import times

GROUP = {"name": "Fax", "alias": "fax", "members": ["fax@contoso.com"]}


def context(**more: t.Any) -> dict[str, t.Any]:
    return {"host": "contoso", "profile": _profile.load("imagicle_ews"), **more}


def test_run_result_tells_whether_anything_is_new() -> None:
    found = {"preflight": {"changed": False, "outcome": "ok", "summary": "fine"}}
    first = run_result(found, context())
    assert first["changed"] is True
    assert first["outcome"] == "ok"
    assert first["document"]["steps"][0]["summary"] == "fine"
    assert run_result(found, context(previous=first["document"]))["changed"] is False


@pytest.mark.parametrize(
    ("results", "given", "complaint"),
    [
        ([], {}, "as dictionaries"),
        ({}, {"profile": {"name": "x"}}, "the context lacks host"),
        ({}, {"host": "x"}, "the context lacks profile"),
        ({}, {"host": "x", "kind": "party"}, "the kind is 'party'"),
        ({}, context(thresholds={"red": 1}), "run_result: the thresholds are"),
    ],
)
def test_run_result_refuses_what_it_cannot_take(results: t.Any, given: t.Any, complaint: str) -> None:
    with pytest.raises(AnsibleFilterError, match=complaint):
        run_result(results, given)


def test_the_table_is_shaped_for_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    document = run_result({}, context())["document"]
    lines = outcome_table(document, shape="lines")
    assert outcome_table(document, shape="text") == "\n".join(lines)
    for shown, expected in (("yaml", str), ("json", list)):
        monkeypatch.setattr(constants.config, "get_config_value", lambda *_a, shown=shown, **_k: shown)
        assert isinstance(outcome_table(document), expected)

    def unknown(*_args: t.Any, **_kwargs: t.Any) -> None:
        raise AnsibleError("another callback")

    monkeypatch.setattr(constants.config, "get_config_value", unknown)
    assert outcome_table(document) == lines


def test_the_table_refuses_what_is_no_document() -> None:
    with pytest.raises(AnsibleFilterError, match="the document of a run"):
        outcome_table({"a": 1})
    with pytest.raises(AnsibleFilterError, match="shape is 'round'"):
        outcome_table(run_result({}, context())["document"], shape="round")


def test_an_unknown_time_zone_is_told() -> None:
    assert readable_time("2026-11-21T15:30:00Z") == "21 Nov 2026, 15:30 UTC"
    for zone in ("Europe/Roma", "../etc/passwd", ""):
        with pytest.raises(AnsibleFilterError, match="there is no time zone"):
            readable_time("2026-11-21T15:30:00Z", zone)


def test_options_are_refused_without_a_request() -> None:
    assert refused_options({"exchange_security_group": GROUP}) == []
    refused = refused_options(
        {
            "exchange_security_group": {**GROUP, "name": "x" * 65},
            "entra_application": {"unique_name": "u", "display_name": "n", "permissions": [{"resource": 5, "x": 1}]},
            "exchange_application_access_policy": {"app_id": "da34aq4b-b01f-47e4-bfac-2f9fc3f1383e", "group": "g"},
        }
    )
    assert len(refused) == 3
    assert "64" in refused[0]
    assert refused[1].startswith("entra_application: ")
    assert "da34aq4b" in refused[2]


def test_the_connection_is_not_looked_at_but_where_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M365_CLOUD", "gobal")
    assert refused_options({"exchange_security_group": GROUP}) == []
    (told,) = refused_options({"exchange_security_group": {**GROUP, "timeout": 5}})
    assert "must be one of: global" in told


def test_what_only_the_hand_over_needs_is_refused_as_early() -> None:
    fine = {"time_zone": "Europe/Rome", "contacts": {"fax": "Ann"}, "thresholds": {"pending": [30]}}
    assert refused_options({"handover": fine}) == []
    assert refused_options({"handover": dict.fromkeys(fine)}) == []
    for name, value in (
        ("time_zone", "Rome"),
        ("time_zone", ""),
        ("contacts", "Ann"),
        ("contacts", {"boss": "Ann"}),
        ("thresholds", "30"),
        ("thresholds", {"red": 30}),
        ("thresholds", {"pending": "soon"}),
    ):
        (sentence,) = refused_options({"handover": {**fine, name: value}})
        assert name in sentence
        assert "What to do: " in sentence


def test_a_run_that_was_stopped_is_told_whatever_else_is_wrong() -> None:
    stopped = {"task": "See that the hand-over can be written", "msg": "no", "outcome": "failed"}
    with pytest.raises(AnsibleFilterError, match="the thresholds are"):
        run_result({}, context(thresholds="30"))
    document = run_result({}, context(thresholds="30", stopped=stopped))["document"]
    assert document["outcome"] == "failed"
    page = sheet(document, _profile.load("imagicle_ews"), host="contoso", zone="Rome", contacts="Ann")
    assert "DRAFT" in page


def test_what_an_earlier_step_would_make_may_be_missing() -> None:
    policy = {"app_id": "00000000-0000-0000-0000-000000000000", "group": "fax"}
    assert refused_options({"exchange_application_access_policy": policy}) == []


def test_what_is_null_counts_as_not_given() -> None:
    assert refused_options({"entra_application": {"unique_name": "u", "display_name": "n", "app_id": None}}) == []
    assert "name" in refused_options({"exchange_security_group": {**GROUP, "name": None}})[0]


def test_a_module_that_is_not_ours_cannot_be_asked() -> None:
    with pytest.raises(AnsibleFilterError, match="there is no module 'copy'"):
        refused_options({"copy": {}})
    with pytest.raises(AnsibleFilterError, match="by the module's name"):
        refused_options([])


def test_days_are_counted_from_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "now", lambda: dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC))
    assert days_until("2026-11-24T00:00:00Z") == 2.5
    assert days_until("2026-11-21T01:00:00+01:00") == -0.5
    assert days_until("2026-11-21") == -0.5
    for value in (None, "", "tomorrow"):
        with pytest.raises(AnsibleFilterError, match="takes an instant"):
            days_until(value)


def test_the_sheet_needs_a_document_a_profile_and_a_time_zone_that_exists() -> None:
    profile = _profile.load("imagicle_ews")
    document = run_result({}, context())["document"]
    page = sheet(document, profile, host="contoso", zone="Europe/Rome", ticket="<b>")
    assert page.startswith("<!DOCTYPE html>")
    assert "ticket &lt;b&gt;" in page
    with pytest.raises(AnsibleFilterError, match="a run's document and a profile"):
        sheet("", profile, host="contoso")
    with pytest.raises(AnsibleFilterError, match="no time zone 'Rome'"):
        sheet(document, profile, host="contoso", zone="Rome")


@pytest.mark.parametrize("zone", ["Europe", "Mars/Base", "x" * 300, "../UTC", "/etc/passwd"])
def test_what_the_end_would_refuse_is_refused_before(zone: str) -> None:
    """By the same code, whatever it raises: a folder of the time zones' own is no zone either."""
    (refused,) = refused_options({"handover": {"time_zone": zone}})
    assert "is not a time zone" in refused
    with pytest.raises(AnsibleFilterError, match="there is no time zone"):
        readable_time("2026-11-21T15:30:00Z", zone)


def test_sheets_stand_one_after_the_other_behind_what_is_said_before() -> None:
    hostvars = {
        "a": {"handover_result": {"as_text": ["A", "READY"]}},
        "b": {"handover_result": {"skipped": True}},
        "c": {},
        "d": {"handover_result": {"as_text": ["D"]}},
    }
    assert sheets(["a", "b", "c", "d", "e"], hostvars, shape="lines") == ["A", "READY", "", "D"]
    assert sheets(["d"], hostvars, ["4 tenants"], "text") == "4 tenants\n\nD"
    assert sheets(["b"], hostvars, shape="lines") == ["No sheet was made in this run."]
    for hosts, shape in (("a", "lines"), (["a"], "round")):
        with pytest.raises(AnsibleFilterError, match=r"mail2fax\.m365\.sheets"):
            sheets(hosts, hostvars, shape=shape)
