# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which secret is whole, which is not, and when a new one is made: pure planning."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._app_policies import Limits
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._lease import Lease
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret import _days
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret_judge import (
    Desired,
    Key,
    State,
    predecessor,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret_plan import ends_to_try, plan
from ansible_collections.mail2fax.m365.plugins.module_utils._store import (
    Entry,
    Intent,
    Place,
    Proof,
    StoredSecret,
    instant,
    iso,
)
from tests.unit.script import NOW, TENANT_ID

APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
NAME = "DigitalFaxMailServiceSecret"
WANTED = Desired(APP, NAME, stored_in=Place("vault_file", "/x"))
DAY = dt.timedelta(days=1)


def key(number: int, *, name: str = NAME, age: int = 10, left: int = 300) -> Key:
    return Key(f"00000000-0000-4000-8000-{number:012d}", name, NOW - age * DAY, NOW + left * DAY)


def stored(item: Key, **changes: str | None) -> StoredSecret:
    secret = StoredSecret(TENANT_ID, APP, item.key_id, item.display_name, iso(item.start), iso(item.end), "value")
    return replace(secret, **changes)


def noted(*keys: Key, age: dt.timedelta = dt.timedelta(0)) -> Intent:
    return Intent(iso(NOW - age), tuple(item.key_id for item in keys))


def named(step: object) -> str:
    return type(step).__name__.lower()


def steps(current: State, desired: Desired = WANTED) -> list[tuple[str, object]]:
    made = plan(current, desired, NOW)
    assert made.blocked is None
    return [(named(step), getattr(step, "key_id", None) or getattr(step, "reason", None)) for step in made.steps]


def state(*keys: Key, entry: Entry | None = None, **rest: object) -> State:
    return State(True, keys, entry, tenant_id=TENANT_ID, **rest)  # type: ignore[arg-type]


def test_the_first_secret_is_made():
    assert steps(state()) == [("mint", "there is none yet")]


@pytest.mark.parametrize("days", [0, -1, 99999])
def test_a_lifetime_that_cannot_be_meant_is_refused_with_both_limits(days: int):
    with pytest.raises(InvalidInput, match="1 to 36500"):
        _days({"lifetime": days}, "lifetime", 1)


def test_a_summary_says_which_secret_was_made_and_why():
    assert plan(state(), WANTED, NOW).summary == "first secret made, valid until 2027-11-21"
    due = key(1, age=350, left=10)
    again = plan(state(due, entry=Entry(current=stored(due))), WANTED, NOW).summary
    assert again.startswith("new secret made, valid until 2027-11-21: ")


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
    found = steps(state(key(1, age=300, left=left), entry=Entry(current=stored(key(1)))))
    assert bool(found) is due


@pytest.mark.parametrize(("left", "due"), [(16, False), (15, True)])
def test_what_lives_no_longer_than_renew_before_is_renewed_at_half_its_life(left, due):
    """A policy may have made it so short: else every run would renew it."""
    found = steps(state(key(1, age=30 - left, left=left), entry=Entry(current=stored(key(1)))))
    assert bool(found) is due


def test_never_renews_only_what_is_dead():
    never = replace(WANTED, rotate="never")
    assert steps(state(key(1, left=1), entry=Entry(current=stored(key(1)))), never) == []
    assert steps(state(key(1, left=-1), entry=Entry(current=stored(key(1)))), never) == [
        ("mint", "the old one has expired, AADSTS7000222"),
        ("drop", key(1).key_id),
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


def test_the_secret_of_an_application_that_is_gone_counts_as_none():
    assert steps(state(stale=True)) == [("mint", "the store held the secret of an application that is gone")]


def test_a_value_that_entra_refuses_is_replaced_and_its_key_has_its_overlap():
    current = state(key(1), entry=Entry(current=stored(key(1))), refused={key(1).key_id: "AADSTS7000215"})
    assert steps(current) == [("mint", "the stored value no longer signs in, AADSTS7000215")]
    heir = predecessor(current.entry, current.keys, current.refused, WANTED, NOW)
    assert heir == stored(key(1), value=None)


def test_a_secret_of_another_name_than_wanted_is_said_so():
    assert steps(state(key(1, name="old name"), entry=Entry(current=stored(key(1))))) == [
        ("mint", "the stored one has another name")
    ]


def test_an_entry_without_a_value_is_no_secret():
    assert steps(state(key(1), entry=Entry(current=stored(key(1), value="")))) == [
        ("mint", "its value is not in the store")
    ]


def test_the_old_one_is_retired_after_the_overlap():
    entry = Entry(current=stored(key(2, age=7)), previous=stored(key(1, age=300, left=10)))
    assert steps(state(key(1, age=300, left=10), key(2, age=7), entry=entry)) == [("drop", key(1).key_id)]


def test_the_old_one_is_kept_during_the_overlap():
    entry = Entry(current=stored(key(2, age=6)), previous=stored(key(1, age=300, left=10)))
    assert steps(state(key(1, age=300, left=10), key(2, age=6), entry=entry)) == []


def test_the_overlap_counts_from_when_the_new_one_came_into_use():
    """A renewal that a later run finished: the key is old, its use is not."""
    new = stored(key(2, age=20))
    entry = Entry(new, stored(key(1, age=300, left=20)), proof=Proof.of(new, iso(NOW - 6 * DAY)))
    keys = (key(1, age=300, left=20), key(2, age=20))
    assert steps(state(*keys, entry=entry)) == []
    entry = replace(entry, proof=Proof.of(new, iso(NOW - 7 * DAY)))
    assert steps(state(*keys, entry=entry)) == [("drop", key(1).key_id)]


def test_three_never_live():
    entry = Entry(current=stored(key(2, age=1)), previous=stored(key(1)))
    made = plan(state(key(1), key(2, age=1), entry=entry), replace(WANTED, rotate="always"), NOW)
    assert [named(step) for step in made.steps] == ["drop", "mint"]
    assert made.result["retired"] == [key(1).key_id]
    assert "6 day(s) before its overlap is over" in made.warnings[0]


def test_of_two_the_one_before_stays_while_the_stored_one_is_dead():
    """Whoever still has the one before in use keeps it until the new one is in place."""
    entry = Entry(current=stored(key(2)), previous=stored(key(1)))
    assert steps(state(key(1), entry=entry)) == [("mint", "the stored one was removed outside")]
    assert predecessor(entry, [key(1)], {}, WANTED, NOW) == stored(key(1))


def test_of_two_the_one_before_stays_even_after_its_overlap_while_the_stored_one_is_dead():
    proof = Proof.of(stored(key(2)), iso(NOW - 20 * DAY))
    entry = Entry(stored(key(2)), stored(key(1)), proof=proof)
    assert steps(state(key(1), entry=entry)) == [("mint", "the stored one was removed outside")]


def test_a_restored_old_store_does_not_cost_the_secret_in_use():
    """The store knows a dead one; the living one of our name is what the fax server has."""
    living = key(2, age=100)
    entry = Entry(current=stored(key(1)), proof=Proof.of(stored(key(1)), iso(NOW - 300 * DAY)))
    assert steps(state(living, entry=entry)) == [("mint", "the stored one was removed outside")]
    heir = predecessor(entry, [living], {}, WANTED, NOW)
    assert heir is not None
    assert heir.key_id == living.key_id


def test_a_predecessor_that_is_gone_is_cleared_from_the_store():
    entry = Entry(current=stored(key(2)), previous=stored(key(1)))
    assert steps(state(key(2), entry=entry)) == [("forget", None)]


def test_an_expired_predecessor_is_removed():
    entry = Entry(current=stored(key(2, age=1)), previous=stored(key(1, left=-1)))
    assert steps(state(key(1, left=-1), key(2, age=1), entry=entry)) == [("drop", key(1).key_id)]


def test_a_key_born_in_a_run_that_died_is_removed():
    old = key(1, age=300, left=20)
    entry = Entry(current=stored(old), intent=noted(old))
    assert steps(state(old, key(2, age=0), entry=entry)) == [
        ("drop", key(2).key_id),
        ("mint", "the old one ends in 20 days"),
    ]


def test_a_first_key_born_in_a_run_that_died_is_removed():
    assert steps(state(key(2, age=0), entry=Entry(intent=noted()))) == [
        ("drop", key(2).key_id),
        ("mint", "there is none yet"),
    ]


def test_an_intent_explains_only_what_was_born_about_then():
    """It may outlive its run, for a key that shows late; it must not condemn what people make long after."""
    entry = Entry(current=stored(key(1)), intent=noted(key(1), age=3 * DAY))
    assert steps(state(key(1), key(2, age=1), entry=entry)) == []
    assert steps(state(key(1), key(2, age=3), entry=entry)) == [("drop", key(2).key_id)]


def test_an_intent_that_came_to_nothing_does_no_harm():
    entry = Entry(current=stored(key(1)), intent=noted(key(1)))
    assert steps(state(key(1), entry=entry)) == []


def test_a_stored_but_unproven_key_is_committed():
    entry = Entry(current=stored(key(1, left=20)), following=stored(key(2, age=0)), intent=noted(key(1)))
    made = plan(state(key(1, left=20), key(2, age=0), entry=entry), WANTED, NOW)
    assert [named(step) for step in made.steps] == ["commit"]
    assert made.result["key_id"] == key(2).key_id
    assert made.result["rotated"] is True


def test_an_interrupted_renewal_is_finished_and_not_repeated():
    """rotate=always asks for one renewal, and that is the one which was begun."""
    entry = Entry(current=stored(key(1)), following=stored(key(2, age=0)), intent=noted(key(1)))
    assert steps(state(key(1), key(2, age=0), entry=entry), replace(WANTED, rotate="always")) == [("commit", None)]


def test_an_unproven_key_that_entra_refuses_is_dropped_and_made_anew():
    old = key(1, age=300, left=20)
    entry = Entry(current=stored(old), following=stored(key(2)), intent=noted(key(1)))
    assert steps(state(old, key(2), entry=entry, refused={key(2).key_id: "AADSTS7000215"})) == [
        ("drop", key(2).key_id),
        ("forget", None),
        ("mint", "the old one ends in 20 days"),
    ]


def test_an_unproven_key_that_is_too_young_is_waited_for():
    entry = Entry(current=stored(key(1, left=20)), following=stored(key(2, age=0)), intent=noted(key(1)))
    made = plan(state(key(1, left=20), key(2, age=0), entry=entry, waiting=True), WANTED, NOW)
    assert (made.outcome, made.steps) == ("pending", [])
    assert made.result["key_id"] == key(1).key_id
    assert made.pending_until == iso(NOW + dt.timedelta(minutes=10))
    first = plan(state(key(2, age=0), entry=Entry(following=stored(key(2)))), WANTED, NOW)
    assert first.result["key_id"] == key(2).key_id


def test_an_unproven_key_that_is_gone_is_forgotten():
    entry = Entry(current=stored(key(1)), following=stored(key(2)), intent=noted(key(1)))
    assert steps(state(key(1), entry=entry)) == [("forget", None)]


def test_an_unproven_key_that_died_unproven_is_dropped():
    entry = Entry(current=stored(key(1)), following=stored(key(2)))
    assert steps(state(key(1), key(2, left=-1), entry=entry)) == [("drop", key(2).key_id), ("forget", None)]


def test_an_unexplained_key_of_our_name_has_its_overlap_and_goes():
    entry = Entry(current=stored(key(1)))
    assert steps(state(key(1), key(2, age=7), entry=entry)) == [("drop", key(2).key_id)]
    assert steps(state(key(1), key(2, age=6), entry=entry)) == []


def test_an_old_unexplained_key_has_its_overlap_from_when_the_stored_one_came_into_use():
    entry = Entry(stored(key(1, age=1)), proof=Proof.of(stored(key(1, age=1)), iso(NOW - 6 * DAY)))
    assert steps(state(key(1, age=1), key(2, age=100), entry=entry)) == []
    entry = replace(entry, proof=Proof.of(stored(key(1, age=1)), iso(NOW - 7 * DAY)))
    assert steps(state(key(1, age=1), key(2, age=100), entry=entry)) == [("drop", key(2).key_id)]


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


def test_graph_s_seven_decimals_are_read():
    assert instant("2028-11-21T19:50:29.3086381Z") == dt.datetime(2028, 11, 21, 19, 50, 29, 308638, tzinfo=dt.UTC)
    assert instant("2028-11-21T19:50:29Z") == dt.datetime(2028, 11, 21, 19, 50, 29, tzinfo=dt.UTC)


def test_an_entry_survives_its_stored_form():
    current = stored(key(1))
    entry = Entry(
        current,
        stored(key(2), value="a~+/.=-$'\"\\"),
        stored(key(3)),
        noted(key(1)),
        Proof.of(current, iso(NOW)),
        {"note": "typed in by the fax team"},
    )
    assert Entry.from_mapping(entry.as_mapping(), "x") == entry
    assert entry.proven()
    assert Entry.from_mapping({}, "x") == Entry()
    assert "a~+" not in repr(entry)


@pytest.mark.parametrize(
    "mapping",
    [
        {"password": "somebody else's"},
        {"key_id": "x"},
        {"previous": "x"},
        {"intent": ["x"]},
        {"intent": {"at": "never", "keys": []}},
        {"proof": {"at": "2026-11-21T12:00:00Z"}},
    ],
)
def test_what_is_not_ours_is_not_written_over(mapping):
    with pytest.raises(Blocked, match="not a secret of this collection"):
        Entry.from_mapping(mapping, "x")


def test_a_changed_value_is_not_the_one_that_signed_in():
    secret = stored(key(1))
    entry = Entry(secret, proof=Proof.of(secret, iso(NOW)))
    assert entry.proven()
    assert not replace(entry, current=replace(secret, value="other")).proven()
    assert not replace(entry, current=replace(secret, key_id=key(2).key_id)).proven()
    assert not Entry(secret).proven()


HANDED = Desired(APP, NAME)


def test_without_a_store_the_name_and_the_dates_decide():
    assert steps(state(), HANDED) == [("mint", "there is none yet")]
    assert steps(state(key(1)), HANDED) == []
    assert steps(state(key(1, age=300, left=30)), HANDED) == [("mint", "the old one ends in 30 days")]
    assert steps(state(key(1, left=-1)), HANDED) == [
        ("mint", "the old one has expired, AADSTS7000222"),
        ("drop", key(1).key_id),
    ]


def test_without_a_store_the_older_one_has_its_overlap():
    older = key(1, age=300, left=20)
    assert steps(state(older, key(2, age=6)), HANDED) == []
    assert steps(state(older, key(2, age=7)), HANDED) == [("drop", older.key_id)]
    assert steps(state(key(3, age=400, left=-2), key(2, age=1)), HANDED) == [("drop", key(3).key_id)]


def test_without_a_store_two_live_at_most():
    made = plan(state(key(1, age=5), key(2, age=1)), replace(HANDED, rotate="always"), NOW)
    assert [(named(step), getattr(step, "key_id", None)) for step in made.steps] == [
        ("drop", key(1).key_id),
        ("mint", None),
    ]
    assert made.warnings


def test_shorter_lives_are_tried_where_the_policy_cannot_be_read():
    year = NOW + 365 * DAY
    hour = dt.timedelta(hours=1)
    assert ends_to_try(year, WANTED, Limits(), NOW) == [year, year - hour]
    shorter = replace(WANTED, allow_shorter=True)
    assert ends_to_try(year, shorter, Limits(), NOW) == [
        year,
        year - hour,
        *(NOW + days * DAY for days in (180, 90, 60, 30)),
    ]
    hundred = NOW + 100 * DAY
    assert ends_to_try(hundred, shorter, Limits(), NOW) == [
        hundred,
        hundred - hour,
        *(NOW + days * DAY for days in (90, 60, 30)),
    ]
    assert ends_to_try(hundred, shorter, Limits(True, True, 100 * DAY), NOW) == [hundred, hundred - hour]


# --- how long the one before works ---------------------------------------------------------------------------


def previous_until(current: State, desired: Desired = WANTED) -> str | None:
    return plan(current, desired, NOW).result["previous_until"]


def test_the_one_that_is_replaced_works_for_the_overlap_and_not_beyond_its_end():
    for left, until in ((20, 7), (5, 5)):
        old = key(1, age=345, left=left)
        assert previous_until(state(old, entry=Entry(current=stored(old)))) == iso(NOW + until * DAY)
    dead = key(1, age=370, left=-5)
    assert previous_until(state(dead, entry=Entry(current=stored(dead)))) is None
    assert previous_until(state()) is None


def test_one_that_was_removed_outside_or_no_longer_signs_in_works_no_more():
    gone, other = key(1), key(2, age=300, left=60)
    entry = Entry(current=stored(gone), previous=stored(other))
    assert previous_until(state(entry=Entry(current=stored(gone)))) is None
    assert previous_until(state(gone, entry=Entry(current=stored(gone)), refused={gone.key_id: "x"})) is None
    # The one before that one is alive, and a fax server may still have it.
    assert previous_until(state(other, entry=entry)) == iso(NOW + 7 * DAY)


def test_the_overlap_counts_from_when_the_new_one_was_put_in_place():
    old, new = key(1, age=345, left=20), key(2, age=3)
    in_place = Entry(stored(new), stored(old), proof=Proof.of(stored(new), iso(NOW - 2 * DAY)))
    assert previous_until(state(old, new, entry=in_place)) == iso(NOW + 5 * DAY)
    over = replace(in_place, proof=Proof.of(stored(new), iso(NOW - 7 * DAY)))
    assert previous_until(state(old, new, entry=over)) is None
    # Handed over, so the dates are all there is.
    assert previous_until(state(old, new), replace(WANTED, stored_in=None)) == iso(NOW + 4 * DAY)


def test_what_is_not_accepted_yet_is_not_the_one_before():
    old, new = key(1, age=345, left=20), key(2, age=0)
    entry = Entry(stored(old), following=stored(new))
    assert previous_until(state(old, new, entry=entry, waiting=True)) is None
    assert previous_until(state(old, new, entry=entry)) == iso(NOW + 7 * DAY)


# --- the store beside the record ---------------------------------------------------------------------------------

ELSEWHERE = Place("vault_file", "/elsewhere")


def recorded(item: Key, place: Place | None = ELSEWHERE, **changes: object) -> Desired:
    return replace(WANTED, recorded_key_id=item.key_id, recorded_place=place, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("others", [None, Entry(), Entry(current=stored(key(2)))])
def test_a_place_that_does_not_hold_the_living_key_of_the_record_is_blocked_with_both_places(others):
    made = plan(state(key(1), key(2), entry=others), recorded(key(1)), NOW)
    assert made.outcome == "blocked"
    assert made.steps == []
    assert "/elsewhere" in str(made.blocked)
    assert "/x" in str(made.blocked)
    assert "mail2fax_rotate=always" in str(made.blocked)
    assert made.blocked is not None
    assert made.blocked.details["recorded_place"] == {"backend": "vault_file", "place": "/elsewhere"}


def test_the_same_place_emptied_beside_the_living_key_of_the_record_is_blocked():
    made = plan(state(key(1)), recorded(key(1), WANTED.stored_in), NOW)
    assert made.outcome == "blocked"
    assert "does not hold the secret in use" in str(made.blocked)


@pytest.mark.parametrize(
    "entry",
    [
        Entry(current=stored(key(1))),
        Entry(current=stored(key(2)), previous=stored(key(1))),
    ],
)
def test_another_place_that_holds_the_key_is_taken(entry):
    made = plan(state(key(1), key(2, age=1), entry=entry), recorded(key(1)), NOW)
    assert (made.blocked, made.steps) == (None, [])
    assert made.result["stored_in"] == {"backend": "vault_file", "place": "/x"}


def test_a_recorded_key_that_is_gone_or_has_expired_blocks_nothing():
    assert steps(state(), recorded(key(1))) == [("mint", "there is none yet")]
    assert ("drop", key(1).key_id) in steps(state(key(1, left=-1)), recorded(key(1, left=-1)))


def test_a_lost_store_has_a_way_out():
    current, always = state(key(1)), recorded(key(1), rotate="always")
    assert steps(current, always) == [("mint", "its value is not in the store")]
    heir = predecessor(Entry(), current.keys, {}, always, NOW)
    assert heir is not None
    assert heir.key_id == key(1).key_id


@pytest.mark.parametrize(
    ("told", "place"),
    [
        ({"backend": "vault_file", "place": "/s/x.yml"}, Place("vault_file", "/s/x.yml")),
        ("vault file /s/x.yml", Place("vault_file", "/s/x.yml")),
        ("HashiCorp Vault https://v:8200, secret/x", Place("hashi_vault", "https://v:8200, secret/x")),
        ("Azure Key Vault v.vault.azure.net, secret x", Place("azure_key_vault", "v.vault.azure.net, secret x")),
        ("somewhere", Place("", "somewhere")),
        ({}, None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_a_place_is_read_from_a_record_in_both_shapes(told, place):
    assert Place.of(told) == place
    if isinstance(told, str) and place is not None:
        assert place.words == told


# --- another run at work -------------------------------------------------------------------------------------------

BUSY = replace(noted(key(1)), lease=Lease("run", iso(NOW + DAY), "another machine/1/1"))


def test_what_another_run_is_making_is_not_touched():
    newborn = key(2, age=0, left=365)
    current = state(key(1), newborn, entry=Entry(current=stored(key(1)), intent=BUSY), busy=BUSY)
    assert plan(current, WANTED, NOW).outcome == "ok"
    blocked = plan(current, replace(WANTED, rotate="always"), NOW)
    assert "another run" in str(blocked.blocked)
    assert iso(NOW + DAY) in str(blocked.blocked)
    unfinished = state(
        key(1), newborn, entry=Entry(current=stored(key(1)), following=stored(newborn), intent=BUSY), busy=BUSY
    )
    assert plan(unfinished, WANTED, NOW).outcome == "ok"
    assert plan(unfinished, replace(WANTED, state="absent"), NOW).outcome == "blocked"


def test_what_was_renewed_meanwhile_is_not_renewed_again():
    entry = Entry(current=stored(key(2)), previous=stored(key(1)))
    always = replace(WANTED, rotate="always")
    assert steps(state(key(1), key(2, age=0), entry=entry, renewed=key(2).key_id), always) == []
    assert ("mint", "asked for") in steps(state(key(1), key(2, age=0), entry=entry), always)


def test_a_lease_survives_its_stored_form_and_goes_with_the_commit():
    entry = Entry(current=stored(key(1)), following=stored(key(2)), intent=BUSY)
    assert Entry.from_mapping(entry.as_mapping(), "x") == entry
    assert entry.committed(None, iso(NOW)).intent is None
    unsettled = entry.committed(None, iso(NOW), settled=False).intent
    assert unsettled is not None
    assert unsettled.lease is None


# --- ours by key id ------------------------------------------------------------------------------------------------


def test_a_secret_of_ours_under_another_name_is_retired():
    """The inventory's mail2fax_secret_name was changed: the old one is no stranger."""
    old, new = key(1, name="before"), key(2, age=8)
    renamed = state(old, entry=Entry(current=stored(old)))
    made = plan(renamed, WANTED, NOW)
    assert [named(step) for step in made.steps] == ["mint"]
    assert made.result["foreign"] == []
    after = Entry(current=stored(new), previous=stored(old), proof=Proof(iso(NOW - 8 * DAY), ""))
    assert steps(state(old, new, entry=after)) == [("drop", old.key_id)]
    absent = plan(state(old, new, key(3, name="foreign"), entry=after), replace(WANTED, state="absent"), NOW)
    assert absent.result["retired"] == [old.key_id, new.key_id]


def test_the_recorded_secret_is_taken_back_though_the_store_never_held_it():
    absent = replace(recorded(key(1, name="before")), state="absent")
    made = plan(state(key(1, name="before"), key(2, name="foreign")), absent, NOW)
    assert made.result["retired"] == [key(1).key_id]
    assert "/elsewhere" in made.warnings[0]


def test_of_two_stores_the_recorded_secret_has_the_overlap():
    always = recorded(key(1), rotate="always")
    current = state(key(1), key(2), entry=Entry(current=stored(key(2))))
    made = plan(current, always, NOW)
    assert made.blocked is None
    assert [(named(step), getattr(step, "key_id", None)) for step in made.steps] == [
        ("mint", None),
        ("drop", key(2).key_id),
    ]
    assert made.result["previous_until"] == iso(NOW + 7 * DAY)
    heir = predecessor(Entry(current=stored(key(2))), current.keys, {}, always, NOW)
    assert heir is not None
    assert heir.key_id == key(1).key_id


# --- a file that others may read -----------------------------------------------------------------------------------


def test_an_open_file_is_shut_though_nothing_else_is_to_do():
    made = plan(state(key(1), entry=Entry(current=stored(key(1))), open=True), WANTED, NOW)
    assert [named(step) for step in made.steps] == ["shut"]


@pytest.mark.parametrize(("days", "told"), [(10, "before the secret is due"), (400, "each renewal before that")])
def test_a_store_that_deletes_by_itself_is_told_in_every_run(days: int, told: str) -> None:
    current = key(1, left=200)
    quiet = state(current, entry=Entry(current=stored(current)))
    assert plan(quiet, WANTED, NOW).warnings == []
    made = plan(replace(quiet, kept_until=NOW + days * DAY), WANTED, NOW)
    assert made.steps == []
    assert [told in text for text in made.warnings] == [True]
