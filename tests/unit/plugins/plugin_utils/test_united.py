# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two records of one tenant become one that forgets nothing that has to be taken back."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.united import united

Json = dict[str, t.Any]


def entry(name: str, **more: t.Any) -> Json:
    return {"kind": "member", "of": "g", "id": name, **more}


def test_what_was_written_in_time_stands_and_what_only_the_other_knows_joins_it() -> None:
    theirs: Json = {
        "state": "ready",
        "ids": {"application_id": "a", "group": None},
        "ours": [entry("x", old=1)],
        "ews_found": None,
        "made_by": "them",
        "tokens_until": "2026-11-28T10:00:00Z",
        "secret": {"key_id": "theirs"},
    }
    mine: Json = {
        "state": "draft",
        "ids": {"application_id": "a2", "group": "g"},
        "ours": [entry("x", old=2), entry("y")],
        "ews_found": {"EwsEnabled": False},
        "made_by": "me",
        "migration": {"phase": "prepare"},
        "tokens_until": "2026-11-28T12:00:00Z",
        "secret": {"key_id": "mine"},
    }
    assert united(theirs, mine) == {
        "state": "ready",
        "ids": {"application_id": "a", "group": "g"},
        "ours": [entry("x", old=1), entry("y")],
        "ews_found": {"EwsEnabled": False},
        "made_by": "them",
        "migration": {"phase": "prepare"},
        "tokens_until": "2026-11-28T12:00:00Z",
        "secret": {"key_id": "theirs"},
    }


def test_a_removal_of_the_other_run_does_not_hide_what_this_one_made() -> None:
    removed: Json = {"state": "removed", "ours": [], "ids": {"application_id": "old"}}
    made: Json = {"state": "ready", "ours": [entry("x")], "ids": {"application_id": "new"}}
    assert united(removed, made) == made
    assert united(made, removed) == made
    assert united({}, made) == made


def test_nobody_s_knowledge_and_somebody_s_is_somebody_s() -> None:
    assert united({"ours": None}, {"ours": [entry("x")]})["ours"] == [entry("x")]
    assert united({"ours": None}, {"ours": None})["ours"] is None


def test_a_removal_that_waits_is_not_forgotten() -> None:
    waits = {"since": "2026-11-28T08:00:00Z", "until": "2026-11-29T09:00:00Z"}
    assert united({"state": "ready", "removing": None}, {"state": "removing", "removing": waits})["removing"] == waits
