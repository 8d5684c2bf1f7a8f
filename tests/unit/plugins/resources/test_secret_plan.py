# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which secret is whole, which is not, and when a new one is made: pure planning."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret import (
    Desired,
    Key,
    Limits,
    State,
    duration,
    plan,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, StoredSecret, instant, iso

from tests.unit.script import NOW, TENANT_ID

APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
NAME = "DigitalFaxMailServiceSecret"
WANTED = Desired(APP, NAME, stored_in="vault file /x")
DAY = dt.timedelta(days=1)


def key(number: int, *, name: str = NAME, age: int = 10, left: int = 300) -> Key:
    return Key(f"00000000-0000-4000-8000-{number:012d}", name, NOW - age * DAY, NOW + left * DAY)


def stored(item: Key, **changes: str) -> StoredSecret:
    secret = StoredSecret(TENANT_ID, APP, item.key_id, item.display_name, iso(item.start), iso(item.end), "value")
    return replace(secret, **changes)


def steps(current: State, desired: Desired = WANTED) -> list[tuple[str, object]]:
    made = plan(current, desired, NOW)
    assert made.blocked is None
    return [(step.name, step.arguments.get("key_id") or step.arguments.get("reason")) for step in made.steps]


def state(*keys: Key, entry: Entry | None = None, **rest: object) -> State:
    return State(True, keys, entry, tenant_id=TENANT_ID, **rest)  # type: ignore[arg-type]


def test_the_first_secret_is_made():
    assert steps(state()) == [("mint", "there is none yet")]


def test_a_stored_secret_that_lives_is_left_alone():
    made = plan(state(key(1), entry=Entry(current=stored(key(1)))), WANTED, NOW)
    assert made.steps == []
    assert made.outcome == "ok"
    assert made.result["key_id"] == key(1).key_id
    assert made.result["days_left"] == 300


def test_foreign_secrets_are_reported_and_never_touched():
    made = plan(state(key(1), key(2, name="other", left=-5), entry=Entry(current=stored(key(1)))), WANTED, NOW)
    assert made.steps == []
    assert [item["display_name"] for item in made.result["foreign"]] == ["other"]


@pytest.mark.parametrize(("left", "due"), [(31, False), (30, True), (1, True)])
def test_renewal_begins_thirty_days_before_the_end(left, due):
    found = steps(state(key(1, left=left), entry=Entry(current=stored(key(1)))))
    assert bool(found) is due


def test_never_renews_only_what_is_dead():
    never = replace(WANTED, rotate="never")
    assert steps(state(key(1, left=1), entry=Entry(current=stored(key(1)))), never) == []
    assert steps(state(key(1, left=-1), entry=Entry(current=stored(key(1)))), never) == [
        ("mint", "the old one has expired")
    ]


def test_always_renews():
    assert steps(state(key(1), entry=Entry(current=stored(key(1)))), replace(WANTED, rotate="always")) == [
        ("mint", "asked for")
    ]


def test_a_key_removed_by_hand_is_said_so():
    assert steps(state(entry=Entry(current=stored(key(1))))) == [("mint", "the stored one was removed outside")]


def test_a_secret_made_by_hand_keeps_living_beside_the_new_one():
    assert steps(state(key(1))) == [("mint", "its value is not in the store")]


def test_two_unknown_live_ones_stop_the_run_with_a_list():
    made = plan(state(key(1), key(2)), WANTED, NOW)
    assert made.outcome == "blocked"
    assert key(1).key_id in str(made.blocked)
    assert key(2).key_id in str(made.blocked)


def test_the_store_of_another_application_is_not_trusted():
    other = stored(key(1), client_id="22222222-8724-4f32-8152-a16a230b682b")
    assert steps(state(key(1), entry=Entry(current=other))) == [
        ("mint", "the store holds the secret of another application")
    ]


def test_the_old_one_is_retired_after_the_overlap():
    entry = Entry(current=stored(key(2, age=7)), previous=stored(key(1, age=300, left=10)))
    assert steps(state(key(1, age=300, left=10), key(2, age=7), entry=entry)) == [("drop", key(1).key_id)]


def test_the_old_one_is_kept_during_the_overlap():
    entry = Entry(current=stored(key(2, age=6)), previous=stored(key(1, age=300, left=10)))
    assert steps(state(key(1, age=300, left=10), key(2, age=6), entry=entry)) == []


def test_three_never_live():
    entry = Entry(current=stored(key(2, age=1, left=20)), previous=stored(key(1)))
    assert steps(state(key(1), key(2, age=1, left=20), entry=entry)) == [
        ("drop", key(1).key_id),
        ("mint", "the old one ends in 20 days"),
    ]


def test_an_expired_predecessor_is_removed():
    entry = Entry(current=stored(key(2, age=1)), previous=stored(key(1, left=-1)))
    assert steps(state(key(1, left=-1), key(2, age=1), entry=entry)) == [("drop", key(1).key_id)]


def test_a_key_born_in_a_run_that_died_is_removed():
    entry = Entry(current=stored(key(1, left=20)), intent=(key(1).key_id,))
    assert steps(state(key(1, left=20), key(2, age=0), entry=entry)) == [
        ("drop", key(2).key_id),
        ("forget", None),
        ("mint", "the old one ends in 20 days"),
    ]


def test_an_intent_that_came_to_nothing_is_forgotten():
    entry = Entry(current=stored(key(1)), intent=(key(1).key_id,))
    assert steps(state(key(1), entry=entry)) == [("forget", None)]


def test_a_stored_but_unproven_key_is_committed():
    entry = Entry(current=stored(key(1, left=20)), following=stored(key(2, age=0)), intent=(key(1).key_id,))
    made = plan(state(key(1, left=20), key(2, age=0), entry=entry), WANTED, NOW)
    assert [step.name for step in made.steps] == ["commit"]
    assert made.result["key_id"] == key(2).key_id


def test_an_unproven_key_that_is_gone_is_forgotten():
    entry = Entry(current=stored(key(1)), following=stored(key(2)), intent=(key(1).key_id,))
    assert steps(state(key(1), entry=entry)) == [("forget", None)]


def test_an_unexplained_key_of_our_name_has_its_overlap_and_goes():
    entry = Entry(current=stored(key(1)))
    assert steps(state(key(1), key(2, age=7), entry=entry)) == [("drop", key(2).key_id)]
    assert steps(state(key(1), key(2, age=6), entry=entry)) == []


def test_absent_removes_ours_alone_and_the_stored_value():
    gone = replace(WANTED, state="absent")
    found = steps(state(key(1), key(2, name="other"), entry=Entry(current=stored(key(1)))), gone)
    assert found == [("drop", key(1).key_id), ("erase", None)]
    assert steps(state(key(2, name="other")), gone) == []


def test_a_tenant_that_forbids_secrets_blocks_with_the_wording_of_a_request():
    made = plan(state(limits=Limits(True, False)), WANTED, NOW)
    assert made.outcome == "blocked"
    assert "exemption" in str(made.blocked)


def test_a_lifetime_beyond_the_tenant_s_limit_blocks_or_is_lowered():
    limits = Limits(True, True, 180 * DAY)
    assert plan(state(limits=limits), WANTED, NOW).outcome == "blocked"
    lowered = plan(state(limits=limits), replace(WANTED, allow_shorter=True), NOW)
    assert lowered.blocked is None
    assert lowered.result["end_date_time"] == iso(NOW + 180 * DAY)
    assert lowered.warnings


def test_a_limit_does_not_matter_while_nothing_is_made():
    current = state(key(1), entry=Entry(current=stored(key(1))), limits=Limits(True, False))
    assert plan(current, WANTED, NOW).outcome == "ok"


def test_no_value_is_in_a_plan():
    made = plan(state(key(1, left=5), entry=Entry(current=stored(key(1), value="canary"))), WANTED, NOW)
    assert "canary" not in repr(made)


@pytest.mark.parametrize(
    ("text", "days"),
    [("P180D", 180), ("P6M", 180), ("P1Y", 365), ("P2W", 14), ("PT24H", 1), ("nonsense", None), ("P", None)],
)
def test_policy_durations(text, days):
    found = duration(text)
    assert (found.days if found else None) == days


def test_graph_s_seven_decimals_are_read():
    assert instant("2028-11-21T19:50:29.3086381Z") == dt.datetime(2028, 11, 21, 19, 50, 29, 308638, tzinfo=dt.UTC)
    assert instant("2028-11-21T19:50:29Z") == dt.datetime(2028, 11, 21, 19, 50, 29, tzinfo=dt.UTC)


def test_an_entry_survives_its_stored_form():
    entry = Entry(stored(key(1)), stored(key(2), value="a~+/.=-$'\"\\"), stored(key(3)), (key(1).key_id,))
    assert Entry.from_mapping(entry.as_mapping(), "x") == entry
    assert Entry.from_mapping({}, "x") == Entry()
