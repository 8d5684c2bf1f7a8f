# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From where a migration leads where, and what comes next."""

from __future__ import annotations

import datetime as dt
import pathlib
import types
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import token_life
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _both, _migration, _moving, _profile, _taking
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import moved
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.run import Run
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import iso

Json = dict[str, t.Any]
A, B, C, D = _migration.A, _migration.B, _migration.C, _migration.D
NOW = dt.datetime(2026, 11, 28, 8, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def load(profile: str, scoping: t.Any = None) -> Json:
    return _profile.load(profile, scoping=scoping)


def current(profile: str = "imagicle_ews", scoping: t.Any = None, **more: t.Any) -> Json:
    resolved = load(profile, scoping)
    return {
        "profile": profile,
        "scoping": {access["id"]: access["scoping"] for access in resolved["accesses"]},
        "group_alias": resolved["names"]["group_alias"],
        "group_name": resolved["names"]["group"],
        "scope_name": resolved["names"]["scope"],
        **more,
    }


LEADS = [
    (("imagicle_ews", A), ("imagicle_ews", B)),
    (("imagicle_ews", A), ("imagicle_imap_smtp", None)),
    (("imagicle_ews", A), ("imap_smtp_least", None)),
    (("imagicle_ews", A), ("graph_mail", None)),
    (("graph_mail", A), ("graph_mail", B)),
    (("graph_mail", A), ("imagicle_imap_smtp", None)),
    (("imagicle_ews", B), ("imagicle_imap_smtp", None)),
    (("graph_mail", B), ("imagicle_imap_smtp", None)),
    (("smtp_send", B), ("smtp_send", C)),
    (("smtp_send", B), ("imagicle_imap_smtp", None)),
    (("smtp_send", C), ("smtp_send", B)),
    (("imagicle_imap_smtp", None), ("imap_smtp_least", None)),
    (("imap_smtp_least", None), ("imagicle_imap_smtp", None)),
    (("imap_smtp_least", None), ("smtp_send", None)),
    (("graph_mail", B), ("smtp_send", B)),
]
LEADS_NOWHERE = [
    (("imagicle_ews", A), ("imagicle_ews", A), "nothing to move"),
    (("imagicle_ews", B), ("imagicle_ews", A), "on the way out"),
    (("imagicle_imap_smtp", None), ("imagicle_ews", A), "on the way out"),
    (("graph_mail", B), ("imagicle_ews", A), "on the way out"),
    (("imagicle_ews", A), ("imagicle_ews", D), "tenant_wide"),
    (("imagicle_ews", D), ("imagicle_ews", B), "decommission"),
    (("imagicle_imap_smtp", None), ("graph_mail", None), "for SMTP only"),
    (("imagicle_imap_smtp", None), ("imagicle_ews", B), "for SMTP only"),
]


@pytest.mark.parametrize(("old", "new"), LEADS)
def test_there_is_a_path(old: tuple[str, t.Any], new: tuple[str, t.Any]) -> None:
    said = {"profile": new[0], **({"scoping": new[1]} if new[1] else {})}
    begin, end = _migration.target(said, current(*old), load)
    assert begin["profile"] == old[0]
    assert end["profile"] == new[0]
    resolved = load(end["profile"], end["scoping"])
    assert bool(end["group_alias"]) == bool({A, B} & set(resolved["models"]))


@pytest.mark.parametrize(("old", "new", "words"), LEADS_NOWHERE)
def test_anything_else_is_refused_in_words(old: tuple[str, t.Any], new: tuple[str, t.Any], words: str) -> None:
    said = {"profile": new[0], **({"scoping": new[1]} if new[1] else {})}
    with pytest.raises(_migration.Refused, match=words) as refused:
        _migration.target(said, current(*old), load)
    assert "What to do:" in str(refused.value)


@pytest.mark.parametrize("model", [A, B])
def test_another_group_is_a_path_and_the_same_one_is_none(model: str) -> None:
    known = current("graph_mail", model)
    begin, end = _migration.target({"group_alias": "another.group"}, known, load)
    assert (begin["group_alias"], end["group_alias"]) == ("mail2fax.graph", "another.group")
    assert begin["group_name"] != end["group_name"]
    assert model == A or begin["scope_name"] != end["scope_name"]
    with pytest.raises(_migration.Refused, match="nothing to move"):
        _migration.target({"group_alias": "MAIL2FAX.graph"}, known, load)


def test_the_group_stays_where_both_need_one_and_none_is_named() -> None:
    begin, end = _migration.target("imap_smtp_least", current(), load)
    assert end["group_alias"] == begin["group_alias"] == "imagicle.digital.fax"
    assert end["group_name"] == begin["group_name"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("", "says nothing"),
        (None, "says nothing"),
        ({}, "says nothing"),
        ({"profile": ""}, "says nothing"),
        ({"scopng": B}, "write scoping"),
        ("imagicle_ewz", "imagicle_ews"),
        ({"scoping": "aplication_role"}, "mail2fax_migrate_to.scoping"),
        ({"scoping": {"smtp": B}}, "mail2fax_migrate_to.scoping"),
        ({"profile": "imagicle_imap_smtp", "group_alias": "x"}, "need none"),
    ],
)
def test_what_says_nothing_is_told_how_to_say_it(said: t.Any, words: str) -> None:
    with pytest.raises(_migration.Refused, match=words):
        _migration.target(said, current(), load)


def begun(profile: str, scoping: t.Any, said: t.Any, **more: t.Any) -> tuple[Json, Json, Json]:
    """(migration, old, new)."""
    begin, end = _migration.target(said, current(profile, scoping), load)
    old, new = load(begin["profile"], begin["scoping"]), load(end["profile"], end["scoping"])
    migration = {
        "from": begin,
        "to": end,
        "phase": "prepare",
        "held": _migration.held_back(old, new),
        "names": _both.kept(old),
        **more,
    }
    return migration, old, new


def test_a_migration_goes_on_as_far_as_clocks_and_people_let_it() -> None:
    migration, old, new = begun("imagicle_ews", A, "imagicle_imap_smtp")
    migration = _migration.next(migration, old, new, _migration.Facts(NOW, changed=True, granted=True))
    assert (migration["phase"], migration["until"]) == ("prove", iso(NOW + HOUR))
    migration = _migration.next(migration, old, new, _migration.Facts(NOW + HOUR, began="prove"))
    # A token that was issued right before the consent lives for 90 minutes.
    assert (migration["phase"], migration["until"]) == ("hand_over", iso(NOW + 1.5 * HOUR))
    later = NOW + 2 * HOUR
    # The word counts only of somebody who could read the sheet.
    migration = _migration.next(migration, old, new, _migration.Facts(later, began="hand_over", confirmed=True))
    assert migration["phase"] == "confirm"
    assert "mail2fax_migrate_confirm" in migration["awaits"]
    migration = _migration.next(migration, old, new, _migration.Facts(later, began="confirm"))
    assert migration["phase"] == "confirm"
    migration = _migration.next(migration, old, new, _migration.Facts(later, began="confirm", confirmed=True))
    assert migration["phase"] == "retire"
    assert _migration.next(migration, old, new, _migration.Facts(later, began="retire")) == migration


def test_a_month_later_everything_but_the_person_is_there() -> None:
    migration, old, new = begun("imagicle_ews", A, {"scoping": B})
    migration = _migration.next(migration, old, new, _migration.Facts(NOW, changed=True))
    assert migration["until"] == iso(NOW + 2 * HOUR)
    migration = _migration.next(migration, old, new, _migration.Facts(NOW + 30 * 24 * HOUR, began="prove"))
    assert migration["phase"] == "confirm"


def test_what_was_mended_meanwhile_is_waited_for_again() -> None:
    migration, old, new = begun("imagicle_ews", A, {"scoping": B})
    migration = _migration.next(migration, old, new, _migration.Facts(NOW, changed=True))
    later = NOW + 30 * 24 * HOUR
    migration = _migration.next(migration, old, new, _migration.Facts(later, began="prove", changed=True))
    assert (migration["phase"], migration["until"]) == ("prove", iso(later + 2 * HOUR))


def test_for_smtp_the_rights_are_in_force_before_the_claim_is_granted() -> None:
    migration, old, new = begun("smtp_send", B, {"scoping": C})
    assert migration["held"] == ["SMTP.SendAsApp"]
    both = _both.definition(old, new, migration)
    assert both["permissions"] == []
    migration = _migration.next(migration, old, new, _migration.Facts(NOW, changed=True))
    assert (migration["phase"], migration["until"]) == ("prepare", iso(NOW + HOUR))
    assert _migration.released(migration, NOW + HOUR / 2)["held"]
    migration = _migration.released(migration, NOW + HOUR)
    assert not migration["held"]
    both = _both.definition(old, new, migration)
    assert both["permissions"] == [{"resource": "exchange_online", "application": ["SMTP.SendAsApp"], "delegated": []}]
    # Tokens without the claim live on, and need the role.
    migration = _migration.next(migration, old, new, _migration.Facts(NOW + HOUR, began="prepare", granted=True))
    assert (migration["phase"], migration["until"]) == ("hand_over", iso(NOW + 2.5 * HOUR))


def test_the_sheet_tells_the_new_values_no_earlier_than_tokens_without_the_new_permission_are_dead() -> None:
    migration, old, new = begun("imagicle_ews", A, "imagicle_imap_smtp")
    usual = _migration.next(migration, old, new, _migration.Facts(NOW, changed=True, granted=True))
    lives = {token_life.EXCHANGE: 20 * HOUR}
    seen = _migration.next(migration, old, new, _migration.Facts(NOW, changed=True, granted=True, lives=lives))
    assert (usual["fresh_by"], seen["fresh_by"]) == (iso(NOW + 1.5 * HOUR), iso(NOW + 20 * HOUR))
    # What the inventory says alone decides.
    said = _migration.Facts(NOW, changed=True, granted=True, lives=lives, grace=10)
    assert _migration.next(migration, old, new, said)["fresh_by"] == iso(NOW + HOUR / 6)


@pytest.mark.parametrize(
    ("unused", "phase"), [(True, "retire"), (False, "confirm"), (None, "confirm")], ids=["unused", "used", "unknown"]
)
def test_unused_is_believed_only_where_it_can_be_read(unused: bool | None, phase: str) -> None:
    migration, old, new = begun("graph_mail", A, "imagicle_imap_smtp", phase="confirm", in_force_by=iso(NOW))
    facts = _migration.Facts(NOW, began="confirm", when_unused=True, unused=unused, why="no licence")
    found = _migration.next({**migration, "fresh_by": iso(NOW)}, old, new, facts)
    assert found["phase"] == phase
    assert ("mail2fax_migrate_confirm" in found["awaits"]) == (unused is None)


def test_a_person_who_grants_is_waited_for() -> None:
    migration, old, new = begun("imagicle_ews", A, "imagicle_imap_smtp")
    found = _migration.next(migration, old, new, _migration.Facts(NOW, changed=True, by_hand=True))
    assert found["phase"] == "prepare"
    assert found["awaits"]


@pytest.mark.parametrize("phase", _migration.PHASES[:4])
@pytest.mark.parametrize(("old", "new"), LEADS)
def test_both_are_declared_until_the_old_one_is_retired(
    old: tuple[str, t.Any], new: tuple[str, t.Any], phase: str
) -> None:
    said = {"profile": new[0], **({"scoping": new[1]} if new[1] else {})}
    migration, before, behind = begun(*old, said, phase=phase)
    migration["held"] = []
    both = _both.declared(new[0], new[1], migration, load)
    for key in ("models", "protocols", "switches", "steps", "roles"):
        assert set(both[key]) >= {*before[key], *behind[key]}, key
    names = _migration.names_of
    assert names(both["permissions"]) == names(before["permissions"]) | names(behind["permissions"])
    ids = [access["id"] for access in both["accesses"]]
    assert len(ids) == len(set(ids))
    proven = both["migrating"]["proven"]
    # A role is not proven beside a consent for the same protocol.
    by_consent = {one["protocol"] for one in both["accesses"] if one["scoping"] != B}
    assert not [one for one in proven if one["scoping"] == B and one["protocol"] in by_consent]
    # Nor where the token of the same service carries a consent of an access that is not tried beside it.
    missing = {one["resource"] for one in both["accesses"] if one["scoping"] != B and one not in proven}
    assert not [one for one in proven if one["scoping"] == B and one["resource"] in missing]


@pytest.mark.parametrize(("old", "new"), LEADS)
def test_what_is_retired_is_declared_no_more(old: tuple[str, t.Any], new: tuple[str, t.Any]) -> None:
    said = {"profile": new[0], **({"scoping": new[1]} if new[1] else {})}
    migration, before, behind = begun(*old, said, phase="retire", revoked=True)
    found = _both.declared(old[0], old[1], migration, load)
    assert found["permissions"] == behind["permissions"]
    assert found["roles"] == behind["roles"]
    assert found["names"]["secret"] == before["names"]["secret"]
    assert found["names"]["unique_name"] == before["names"]["unique_name"]


def test_rights_that_old_tokens_need_stay_for_as_long() -> None:
    migration, _old, _new = begun("imagicle_imap_smtp", None, "imap_smtp_least", phase="retire", revoked=True)
    assert _both.declared("imap_smtp_least", None, migration, load)["send_as"]
    assert not _both.declared("imap_smtp_least", None, {**migration, "ending": True}, load)["send_as"]


def test_the_application_keeps_its_names_when_all_is_done() -> None:
    migration, before, _new = begun("imagicle_ews", A, "imap_smtp_least", phase="done")
    found = _both.declared("imap_smtp_least", None, migration, load)
    assert found["name"] == "imap_smtp_least"
    assert found["names"]["application"] == before["names"]["application"]
    assert found["names"]["group_alias"] == before["names"]["group_alias"]
    assert "migrating" not in found
    # What else the inventory names is that alone.
    assert _both.declared("imagicle_ews", None, migration, load) == before


def test_what_limits_waits_for_every_token_that_is_known() -> None:
    now, hours = "2026-11-28T07:00:00Z", "2026-11-29T08:00:00Z"
    migration, old, new = begun("imagicle_ews", A, "imap_smtp_least", phase="retire")
    definition = {"migrating": {"old": old, "new": new, "proven": []}}
    told = {"revoked_at": now, "tokens_until": "2026-11-28T08:30:00Z"}

    def until(**found: t.Any) -> str:
        return str(_taking.revoked(migration, {"now": now, "definition": definition, **found})["tokens_until"])

    assert until(result=told) == told["tokens_until"]
    # A run that died after the revocation: nobody knows what it was told.
    assert until() == hours
    assert until(grace=30) == "2026-11-28T07:30:00Z"
    # What an earlier run revoked beside, and what the proof's own tokens show.
    assert until(result=told, record={"tokens_until": "2026-11-28T20:00:00Z"}) == "2026-11-28T20:00:00Z"
    assert until(result=told, record={"token_lives": {"exchange_online": 480}}) == "2026-11-28T15:00:00Z"
    assert until(result=told, record={"tokens_until": "2026-11-28T20:00:00Z"}, grace=30) == told["tokens_until"]


NEW, OLD = ("exchange_online", 19), ("microsoft_graph", 29)


@pytest.mark.parametrize(
    ("said", "hours", "told", "unused"),
    [
        ("imagicle_imap_smtp", 30, {"complete": True, "resources": []}, None),
        ("imagicle_imap_smtp", 30, {"complete": True, "resources": [NEW]}, True),
        ("imagicle_imap_smtp", 20, {"complete": True, "resources": [NEW]}, False),
        # A token for Graph may live for 25 hours, in which whoever has it signs in for nothing.
        ("imagicle_imap_smtp", 26, {"complete": True, "resources": [NEW]}, False),
        ("imagicle_imap_smtp", 30, {"complete": True, "resources": [NEW, OLD]}, False),
        ("imagicle_imap_smtp", 60, {"complete": True, "resources": [NEW, OLD]}, True),
        ("imagicle_imap_smtp", 30, {"complete": False, "why": "no licence"}, None),
        ("imagicle_imap_smtp", 30, {}, None),
        ({"scoping": B}, 300, {"complete": True, "resources": []}, None),
    ],
)
def test_silence_counts_only_where_it_can_be_heard(said: t.Any, hours: int, told: Json, unused: bool | None) -> None:
    migration, old, new = begun("graph_mail", A, said, phase="confirm", shown_at=iso(NOW))
    rows = [{"resource": name, "last": iso(NOW + at * HOUR)} for name, at in told.get("resources") or []]
    found = _migration.usage(migration, old, new, {**told, "resources": rows}, NOW + hours * HOUR)
    assert found["unused"] is unused
    assert bool(found["why"]) == (unused is not True)


def test_silence_is_longer_than_tokens_were_seen_to_live() -> None:
    _migration_standing, old, _new = begun("imagicle_ews", A, "imagicle_imap_smtp", phase="confirm")
    assert _migration.quiet(old) == 24 * HOUR
    assert _migration.quiet(old, {token_life.EXCHANGE: 40 * HOUR}) == 42 * HOUR
    assert _migration.quiet(old, {token_life.GRAPH: 40 * HOUR}) == 24 * HOUR


RECORD: Json = {
    "ids": {"application_id": "11111111-0000-4000-8000-000000000002", "group": "11111111-0000-4000-8000-000000000003"},
    "state": "ready",
    "profile": {"name": "imagicle_ews", "accesses": [{"id": "ews", "protocol": "ews", "scoping": A}]},
    "group": {"alias": "imagicle.digital.fax", "name": "Imagicle Digital Fax"},
    "secret": {"display_name": "Secret"},
    "application": {"display_name": "App", "unique_name": "app"},
}


def run_of(record: Json, **said: t.Any) -> tuple[Json, str]:
    return _moving.begin(record, {f"mail2fax_{key}": value for key, value in said.items()}, _profile.names(), load)


def test_a_run_begins_with_what_the_record_shows() -> None:
    migration, problem = run_of(RECORD, migrate_to="imagicle_imap_smtp")
    assert not problem
    assert migration["from"]["scoping"] == {"ews": A}
    assert migration["names"] == {"application": "App", "unique_name": "app", "secret": "Secret"}
    # 0.1.0 noted no models.
    old = {**RECORD, "profile": {"name": "imagicle_ews"}}
    assert run_of(old, migrate_to="imagicle_imap_smtp")[0]["from"] == migration["from"]


@pytest.mark.parametrize(
    ("record", "said", "words"),
    [
        ({}, {"migrate_to": "imagicle_imap_smtp"}, "nothing to move from"),
        ({**RECORD, "state": "removed"}, {"migrate_to": "imagicle_imap_smtp"}, "nothing to move from"),
        (RECORD, {}, "says nothing"),
        ({**RECORD, "profile": {"name": "ours"}}, {"migrate_to": "imagicle_imap_smtp"}, "mail2fax_profile"),
    ],
)
def test_a_run_that_cannot_begin_says_why(record: Json, said: Json, words: str) -> None:
    migration, problem = run_of(record, **said)
    assert not migration
    assert words in problem
    assert "What to do:" in problem


def test_a_migration_that_stands_goes_on_and_is_no_other() -> None:
    migration = {**run_of(RECORD, migrate_to="imagicle_imap_smtp")[0], "phase": "confirm", "in_force_by": iso(NOW)}
    record = {**RECORD, "migration": migration}
    assert run_of(record) == (migration, "")
    assert run_of(record, migrate_to="imagicle_imap_smtp") == (migration, "")
    assert "roll it back first" in run_of(record, migrate_to="graph_mail")[1]
    back, problem = run_of(record, migrate_rollback=True)
    assert (back["rolling"], problem) == (True, "")
    # A run that says nothing, such as one of every night, goes on with the way back.
    rolling = {**RECORD, "migration": {**back, "phase": "retire", "revoked": True}}
    assert run_of(rolling) == (rolling["migration"], "")
    # Whoever changes his mind begins anew: half of it may be gone.
    again, problem = run_of(rolling, migrate_to="imagicle_imap_smtp")
    assert not problem
    assert again["phase"] == "prepare"
    assert not {"rolling", "revoked", "in_force_by"} & set(again)


def test_nothing_is_called_rolled_back_where_no_record_tells_what_to_take_back() -> None:
    migration, problem = run_of({}, migrate_rollback=True)
    assert not migration
    assert "nobody knows what a migration has added" in problem
    assert run_of(RECORD, migrate_rollback=True) == ({}, "")


@pytest.mark.parametrize(
    ("profile", "said", "both"),
    [
        ("imagicle_ews", {"group_alias": "another"}, True),
        ("imagicle_ews", {"scoping": B, "group_alias": "another"}, False),
        ("imagicle_ews", {"scoping": B}, False),
        ("imagicle_ews", "imagicle_imap_smtp", False),
    ],
)
def test_a_second_policy_is_ours_only_where_the_migration_makes_one(profile: str, said: t.Any, both: bool) -> None:
    start, end = _migration.target(said, current(profile, A), load)
    found = _both.declared(profile, A, {"from": start, "to": end, "phase": "prove"}, load)
    assert found["migrating"]["two_policies"] is both


def test_a_file_of_ones_own_is_taken_though_a_profile_of_ours_has_its_name(tmp_path: pathlib.Path) -> None:
    own = tmp_path / "own.yml"
    text = pathlib.Path(_profile.__file__).with_name("profiles").joinpath("imagicle_ews.yml").read_text("utf-8")
    own.write_text(text.replace("DigitalFaxMailServiceSecret", "A secret of our own"), "utf-8")
    record = {**RECORD, "secret": {}}
    found = [run_of(record, migrate_to={"scoping": B}, profile=said)[0] for said in (str(own), "imagicle_ews", "")]
    assert [one["from"]["profile"] for one in found] == [str(own), "imagicle_ews", "imagicle_ews"]
    assert [one["names"]["secret"] == "A secret of our own" for one in found] == [True, False, False]


@pytest.mark.parametrize(
    ("moved_from", "rolling", "looked", "group"),
    [
        ("imagicle.digital.fax", True, {}, "old"),
        ("imagicle.digital.fax", False, {}, "old"),
        ("imagicle.digital.fax", True, {"skipped": True}, "old"),
        ("imagicle.digital.fax", True, {"group": {"guid": "new"}}, "new"),
        ("", False, {}, None),
    ],
)
def test_a_group_that_was_only_left_again_is_not_the_application_s(
    moved_from: str, rolling: bool, looked: Json, group: str | None
) -> None:
    migration = {"from": {"group_alias": moved_from}, "to": {"group_alias": "shared"}, "phase": "prepare"}
    context = {"migration": {**migration, "rolling": True}} if rolling else {"rolled_back": migration}
    previous = {"ids": {"group": "old"}, "group": {"alias": "imagicle.digital.fax"}, "migration": migration}
    run = types.SimpleNamespace(
        kind="migrate", mode="apply", context=context, previous=previous, results={"scope_group": looked}, models=(A,)
    )
    found = moved.facts(t.cast("t.Any", run), {"ids": {"group": "new"}, "group": {"alias": "shared", "address": "x"}})
    assert found["ids"]["group"] == group
    assert found["group"]["alias"] == ("imagicle.digital.fax" if group == "old" else "shared")


@pytest.mark.parametrize(
    ("phase", "alias", "beside", "shown"),
    [
        ("done", "another", [{"summary_of": "new"}, {"summary_of": "taken away"}], "new"),
        ("retire", "another", [{"summary_of": "new"}, {}], "old"),
        # A run in which the old way was retired already has looked at the new group alone.
        ("done", "another", [{}, {"summary_of": "taken away"}], "old"),
        ("done", "SAME", [{"summary_of": "new"}], "old"),
    ],
)
def test_the_record_has_the_group_that_is_left(phase: str, alias: str, beside: list[Json], shown: str) -> None:
    migration = {"from": {"group_alias": "same"}, "to": {"group_alias": alias}, "phase": phase}
    for step in ("scope_group", "application_role", "access_policy"):
        context = {"host": "contoso", "migration": migration, "beside": {step: beside}}
        run = Run("migrate", "apply", {step: {"summary_of": "old"}}, context, {}, NOW)
        assert run.of(step)["summary_of"] == shown


@pytest.mark.parametrize("more", [{"phase": "done"}, {"phase": "retire", "ending": True}])
def test_from_where_no_way_leads_back(more: Json) -> None:
    migration = {**run_of(RECORD, migrate_to="imagicle_imap_smtp")[0], **more}
    found, problem = run_of({**RECORD, "migration": migration}, migrate_rollback=True)
    assert not found
    assert "cannot be rolled back" in problem


def test_nothing_stands_and_nothing_is_rolled_back() -> None:
    assert run_of(RECORD, migrate_rollback=True) == ({}, "")


@pytest.mark.parametrize(
    ("phase", "said", "words"),
    [
        ("confirm", {}, ""),
        ("confirm", {"profile": "imagicle_imap_smtp"}, ""),
        ("confirm", {"profile": "graph_mail"}, "names neither"),
        ("done", {"profile": "imagicle_imap_smtp"}, ""),
        ("done", {}, "mail2fax_profile: imagicle_imap_smtp"),
    ],
)
def test_what_an_inventory_may_name_meanwhile_and_afterwards(phase: str, said: Json, words: str) -> None:
    migration = {**run_of(RECORD, migrate_to="imagicle_imap_smtp")[0], "phase": phase}
    wanted = {f"mail2fax_{key}": value for key, value in said.items()}
    problem = _moving.named({**RECORD, "migration": migration}, wanted, load)
    assert bool(problem) == bool(words)
    assert words in problem
