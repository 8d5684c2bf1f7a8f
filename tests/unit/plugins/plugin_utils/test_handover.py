# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hand-over is made of: which variables it looks at, and when."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.action.handover import as_text
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile
from ansible_collections.mail2fax.m365.plugins.plugin_utils._handover import Handover
from ansible_collections.mail2fax.m365.plugins.plugin_utils._values import Values

HOST = "contoso"
PROFILE = _profile.load("imagicle_ews")
TENANT = "11111111-1111-4111-8111-111111111111"
Json = dict[str, t.Any]


class Broken:
    """A value that cannot be worked out: whoever looks at it fails."""


class Templar:
    """Renders nothing: none of these variables is a template."""

    def template(self, value: t.Any) -> t.Any:
        raise ValueError(f"{value!r} was looked at")


def handed(**variables: t.Any) -> Handover:
    """The role's variables as they are where nobody says anything."""
    known: Json = {
        "handover_kind": "provision",
        "handover_mode": None,
        "ansible_check_mode": False,
        "handover_definition": PROFILE,
        "handover_no_definition": {"name": "x", "version": 0, "status": "unknown", "title": "", "accesses": []},
        "handover_profile_complaint": "",
        "handover_dir": "/srv/handover",
        "handover_name": HOST,
        "handover_record": "",
        "handover_record_path": f"/srv/handover/{HOST}.json",
        "handover_results": {"preflight": {"tenant": {"id": TENANT}}},
        "handover_on_deleted": "fail",
        "handover_sheet": True,
        "handover_sheet_if_changed": False,
        "handover_write": True,
        "handover_cloud": "global",
        "handover_time_zone": "UTC",
        "handover_contacts": {},
        "handover_thresholds": {},
        "handover_context": {
            "profile": PROFILE,
            "names": {},
            "mailboxes": ["fax@x.example"],
            "stopped": {},
            "renew_before": "30",
            "thresholds": {},
            "tenant_wide": "",
        },
        "handover_context_of_provision": {"unused": {"mail2fax_group_name": None, "mail2fax_group_alias": "fax"}},
        **variables,
    }
    return Handover(HOST, Values(Templar(), known), known)


def looked(**found: t.Any) -> Json:
    """The variables of a playbook whose first tasks have found this."""
    look = {"host": HOST, "refused": [], "record_refused": "", "record": {}, "writes": True, **found}
    return {"mail2fax_playbook": "provision", "mail2fax_inventory": look, "mail2fax_begun": {"refused": {}}}


def record(**more: t.Any) -> Json:
    """What an earlier run has left."""
    document = handed().composed()["document"]
    return {**document, **more}


# --- before a run ------------------------------------------------------------------------------------------------


def test_nothing_is_wrong_where_nobody_says_anything() -> None:
    assert handed().refused() == []
    assert handed().blocked() == []
    assert handed(**looked()).refused() == []


def test_what_was_refused_before_is_told_once_and_nothing_is_asked_of_a_person() -> None:
    variables = {**looked(refused=["one"], blocked=["a person"]), "handover_refused": ["one", "two"]}
    variables["mail2fax_begun"]["refused"] = {HOST: ["three"]}
    assert handed(**variables).refused() == ["one", "two", "three"]
    assert handed(**variables).blocked() == []


@pytest.mark.parametrize(("mode", "expected"), [("apply", ["a", "b"]), ("audit", ["a"])])
def test_a_place_that_goes_with_the_job_keeps_nobody_from_looking(mode: str, expected: list[str]) -> None:
    assert handed(**looked(blocked=["a"], volatile=["b"]), handover_mode=mode).blocked() == expected


@pytest.mark.parametrize("option", ["time_zone", "contacts", "thresholds"])
def test_what_the_end_would_trip_over_is_refused_at_once(option: str) -> None:
    (told,) = handed(**{f"handover_{option}": "nonsense"}).refused()
    assert "nonsense" in told or option in told


def test_another_tenants_record_is_no_record() -> None:
    other = json.dumps(record(tenant={"id": "22222222-2222-4222-8222-222222222222"}))
    found = handed(handover_record=other)
    (told,) = found.refused()
    assert told.startswith(f"/srv/handover/{HOST}.json cannot be used as the record of contoso, because it belongs to")
    assert not found.writes()


def test_while_an_application_is_removed_only_its_removal_goes_on() -> None:
    removing = record(kind="decommission", state="removing", removing={"since": "2026-01-01T00:00:00Z", "until": None})
    left = json.dumps({**removing, "profile": handed().profile})
    assert handed(handover_record=left, handover_kind="rotate").blocked()
    assert handed(handover_record=left).blocked()
    assert not handed(handover_record=left, handover_on_deleted="restore").blocked()
    assert not handed(handover_record=left, handover_kind="decommission").blocked()


def test_why_a_profile_cannot_be_used_is_asked_only_where_there_is_none() -> None:
    assert handed(handover_profile_complaint=Broken()).refused() == []
    unknown = handed(handover_profile_complaint="no such profile", handover_definition={"status": "unknown"})
    assert unknown.refused() == ["no such profile"]


# --- at its end --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, True),
        ({"ansible_check_mode": True}, False),
        ({"ansible_check_mode": True, "handover_mode": "audit"}, True),
        ({"handover_write": "no"}, False),
        ({"handover_stopped": {"error": {"options": ["record_store"]}}}, False),
        ({"handover_stopped": {"error": {"options": ["app_id"]}}}, True),
        ({"handover_stopped": {"error": None}}, True),
        (looked(), True),
        (looked(writes=False), False),
        (looked(record_refused="a later version wrote it"), False),
        ({**looked(), "mail2fax_begun": {"refused": {HOST: ["two hosts, one file"]}}}, False),
        # A play of somebody else's in the same run.
        ({"mail2fax_inventory": {"writes": False}}, True),
    ],
)
def test_who_writes(variables: Json, expected: bool) -> None:
    assert handed(**variables).writes() is expected


@pytest.mark.parametrize(
    ("variables", "news", "expected"),
    [
        ({}, False, True),
        ({"handover_sheet": False}, True, False),
        ({"handover_sheet_if_changed": True}, True, True),
        ({"handover_sheet_if_changed": True}, False, False),
        ({"handover_cloud": "nonesuch"}, True, False),
        (looked(refused=["wrong"]), True, False),
    ],
)
def test_who_makes_a_sheet(variables: Json, news: bool, expected: bool) -> None:
    assert handed(**variables).wants_a_sheet(news=news) is expected


def test_what_only_the_sheet_says_is_not_looked_at_for_the_record() -> None:
    found = handed(handover_about={"ticket": Broken()})
    assert found.composed()["document"]["host"] == HOST
    with pytest.raises(InvalidInput, match="the variable handover_about cannot be rendered"):
        found.page(found.composed())


def test_what_belongs_to_another_kind_of_run_is_not_looked_at() -> None:
    others = {f"handover_context_of_{kind}": {"x": Broken()} for kind in ("migrate", "decommission", "rotate")}
    assert handed(**others, handover_beside=Broken(), handover_last_audit=Broken()).composed()


@pytest.mark.parametrize("mailboxes", [{"a": 1}, 5, None])
def test_a_result_is_left_whatever_the_mailboxes_are(mailboxes: t.Any) -> None:
    known = handed()._variables["handover_context"]
    found = handed(handover_context={**known, "mailboxes": mailboxes, "renew_before": "soon"})
    assert found.composed()["document"]["mailboxes"] == []


def test_what_cannot_be_put_together_is_certain_of_nothing_but_that() -> None:
    stopped = {"step": "handover", "task": "x", "outcome": "failed", "msg": "m"}
    whole = handed().certain(stopped)["document"]
    assert whole["stopped"]["msg"] == "m"
    assert whole["profile"]["name"] == "imagicle_ews"
    bare = handed(handover_context={"x": Broken()}).certain(stopped)["document"]
    assert (bare["outcome"], bare["profile"]["name"], bare["stopped"]["step"]) == ("failed", "x", "handover")
    # What the run before knows is known all the same.
    kept = handed(handover_context={"x": Broken()}, handover_record=json.dumps(record(ours=[]))).certain(stopped)
    assert kept["document"]["ours"] == []


def test_without_the_role_it_says_what_is_missing() -> None:
    with pytest.raises(InvalidInput, match="no role handover is at work here"):
        Handover(HOST, Values(Templar(), {}), {})


def test_a_document_is_written_as_ever() -> None:
    assert as_text({"b": "ü", "a": [1]}) == '{\n  "a": [\n    1\n  ],\n  "b": "ü"\n}\n'
