# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one reader of records, what runs added, and what a removal may take back."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._door import Task
from ansible_collections.mail2fax.m365.plugins.module_utils._module import execute
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.handover_file import DOOR
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _records
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import ours, record
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.take_back import take_back

APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
GROUP = "00000000-0000-4000-8000-000000000004"
TENANT = "969d5b92-bc05-403f-b576-97201b665e65"
FULL = {"resource": "exchange_online", "application": ["full_access_as_app"], "delegated": []}
OLD_OURS = {
    "applications": {APP: {"service_principal": True, "permissions": [FULL], "consent": [FULL], "policies": [GROUP]}},
    "groups": {GROUP: ["fax@contoso.com"]},
}
OLD = {
    "schema": 1,
    "host": "contoso",
    "tenant": {"id": TENANT},
    "ours": OLD_OURS,
    "state": "ready",
    "ids": {"application_id": APP},
}


@pytest.mark.parametrize("shape", [json.dumps, dict])
def test_a_record_of_the_first_version_keeps_what_is_ours(shape: t.Callable[[t.Any], t.Any]) -> None:
    found = record.read(shape(OLD), "contoso", TENANT.upper())
    assert (found.refused, found.document["schema"]) == ("", record.SCHEMA)
    decided = take_back(found.document, {"tenant": {"application": {"state": "present", "app_id": APP}}})
    assert decided["known"]
    assert decided["members"] == {GROUP: ["fax@contoso.com"]}
    assert decided["application"]["permissions"] == decided["consent"]["permissions"] == [FULL]
    # Once more is the same.
    assert record.read(json.dumps(found.document)) == found


def test_a_record_that_never_told_what_is_ours_still_does_not() -> None:
    assert record.read({**OLD, "ours": None}).ours is None
    assert record.read({key: value for key, value in OLD.items() if key != "ours"}).ours is None


@pytest.mark.parametrize("text", ["", None, {}, "  \n", "{}"])
def test_where_there_is_none_nothing_is_refused(text: t.Any) -> None:
    assert record.read(text, "contoso") == record.Record()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ("[]", "not the result of a run"),
        ("null", "not the result of a run"),
        ('{"schema": "1"}', "not the result of a run"),
        ({**OLD, "schema": 99}, "a later version"),
        ({**OLD, "host": "Contoso"}, "belongs to 'Contoso', not to 'contoso'"),
        ({**OLD, "tenant": {"id": APP}}, f"belongs to the tenant {APP}, not to {TENANT}"),
        ({**OLD, "tenant": "contoso"}, "tenant is not a dictionary"),
        ({**OLD, "ids": ["x"]}, "ids is not a dictionary"),
        ({**OLD, "ids": {"application_id": 5}}, "ids.application_id is not text"),
        ({**OLD, "removing": True}, "removing is not a dictionary"),
        ({**OLD, "pending": [{"step": "x"}]}, "pending is not a list"),
        ({**OLD, "mailboxes": ["fax@contoso.com"]}, "mailboxes is not a list"),
        ({**OLD, "schema": 2, "ours": {"applications": {}}}, "ours is not a list"),
        ({**OLD, "ours": {"applications": {APP: "all"}}}, "ours is not"),
        ({**OLD, "schema": True}, "not the result of a run"),
        ("[" * 100_000, "not JSON"),
        (json.dumps({**OLD, "state": "\ud800"}), "not JSON"),
        (json.dumps({**OLD, "state": "x" * record.LARGEST}), "larger than any result"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_what_cannot_be_used_is_refused_and_not_dropped(text: t.Any, told: str) -> None:
    found = record.read(text, "contoso", TENANT)
    assert told in found.refused
    assert found.document == {}


def test_entries_are_merged_without_knowing_their_kinds() -> None:
    old = {"kind": "setting", "of": GROUP, "id": "DisplayName", "before": "Fax"}
    newer = {**old, "before": "Imagicle Digital Fax"}
    other = {"kind": "something new", "of": None, "id": "x"}
    assert ours.merged([old], [newer, other]) == [old, other]


def test_what_was_not_known_before_the_deed_is_put_in() -> None:
    zero = "00000000-0000-0000-0000-000000000000"
    made = {
        "app_id": APP,
        "added": [
            {"kind": "consent", "of": zero, "id": "r/application/p"},
            {"kind": "application", "of": None, "id": None},
        ],
    }
    assert ours.added("application", made) == [
        {"kind": "consent", "of": APP, "id": "r/application/p"},
        {"kind": "application", "of": None, "id": APP},
    ]
    group = {"group": {"guid": GROUP}, "added": [{"kind": "member", "of": zero, "id": "fax@contoso.com"}]}
    assert ours.added("scope_group", group) == [{"kind": "member", "of": GROUP, "id": "fax@contoso.com"}]
    lost = {"failed": True, "added": [{"kind": "group", "of": None, "id": None}]}
    assert ours.added("scope_group", lost) == []


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_file_keeps_nobody_waiting(tmp_path: pathlib.Path, kind: str) -> None:
    path = tmp_path / "contoso.json"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(OSError, match=r"not a file|Is a directory"):
        _records.find(str(tmp_path), "contoso")
    refused = execute(DOOR, Task({"path": str(path), "content": "x", "refused": []}, False), lambda: Tenant({}))
    assert refused["outcome"] == "blocked"
    tried = execute(DOOR, Task({"path": str(path), "content": None, "refused": []}, False), lambda: Tenant({}))
    assert tried["outcome"] == "blocked"


def test_a_record_without_end_is_not_read_to_its_end(tmp_path: pathlib.Path) -> None:
    with (tmp_path / "contoso.json").open("wb") as stream:
        stream.truncate(2**40)
    assert _records.find(str(tmp_path), "contoso").record.refused == record.TOO_LARGE
