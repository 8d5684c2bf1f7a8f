# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a client secret in an emulated tenant, through the real HTTP stack and a real vault file."""

from __future__ import annotations

import base64
import datetime as dt
import json
import pathlib
import typing as t
from collections.abc import Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Request, Response, Transport
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, Intent, StoredSecret
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller, open_receiver
from tests.emulator.testing import start_emulator
from tests.integration.harness import DOMAIN, GRAPH, LOGIN, TENANT_ID, graph_as_a_person, requests_to, writes
from tests.integration.secrets import (
    APP_ID,
    FOREIGN_KEY,
    NAME,
    TENANTS,
    Intercepted,
    Json,
    Watched,
    WatchedStore,
    World,
    refusing_sign_in,
    tenant,
)

FORBIDS = ("99999999-0000-4000-8000-000000000001", "forbids.example", "aaaaaaaa-0000-4000-8000-000000000011")
LIMITS = ("99999999-0000-4000-8000-000000000002", "limits.example", "aaaaaaaa-0000-4000-8000-000000000012")
READABLE = ("99999999-0000-4000-8000-000000000003", "readable.example", "aaaaaaaa-0000-4000-8000-000000000013")
POLICY_READER = "Policy.Read.All"


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[t.Callable[..., World]]:
    tenants = [
        *TENANTS["tenants"],
        tenant(*FORBIDS, app_management_policy={"secrets": "forbidden"}),
        tenant(*LIMITS, app_management_policy={"max_lifetime_days": 100}),
        tenant(*READABLE, POLICY_READER, app_management_policy={"max_lifetime_days": 100}),
    ]
    with start_emulator({"tenants": tenants}) as emulator:

        def make(tenant_id: str = TENANT_ID, domain: str = DOMAIN, app_id: str = APP_ID) -> World:
            folder = tmp_path_factory.mktemp("store")
            world = World(emulator, folder, tenant_id=tenant_id, domain=domain, app_id=app_id)
            world.begin()
            emulator.clear_journal()
            return world

        yield make


@pytest.fixture
def world(worlds: t.Callable[..., World]) -> World:
    return worlds()


def of_ours(world: World) -> StoredSecret:
    current = world.entry().current
    assert current is not None
    return current


def app_sign_ins(world: World) -> int:
    return len([row for row in world.emulator.state(world.tenant_id)["signIns"] if row["appId"] == world.app_id])


# --- mint, no change, rotation ---------------------------------------------------------------------------------


def test_the_first_secret(world: World):
    result = world.run()
    assert (result["outcome"], result["changed"], result["rotated"]) == ("changed", True, False)
    stored = of_ours(world)
    assert world.ours() == [stored.key_id] == [result["key_id"]]
    assert (stored.tenant_id, stored.client_id, stored.display_name) == (TENANT_ID, APP_ID, NAME)
    assert (stored.start_date_time, stored.end_date_time) == (result["start_date_time"], result["end_date_time"])
    assert result["stored_in"] == {"backend": "vault_file", "place": str(world.folder / "secret.yml")}
    assert result["days_left"] == 364
    assert world.signs_in(stored)
    assert stored.value
    assert stored.value not in str(result)
    assert world.entry().following is world.entry().intent is None
    assert world.foreign() == [item["key_id"] for item in result["foreign"]] == [FOREIGN_KEY]


def test_the_first_secret_costs_two_requests_to_graph(world: World):
    world.run()
    assert [row["path"].rpartition("/")[2] for row in requests_to(world.emulator, GRAPH)] == ["$batch", "addPassword"]


def test_no_change_costs_one_request_and_no_sign_in_as_the_application(world: World):
    first = world.run()
    signed_in = app_sign_ins(world)
    world.emulator.clear_journal()
    before = (world.folder / "secret.yml").read_bytes()
    result = world.run()
    assert (result["outcome"], result["changed"]) == ("ok", False)
    assert result["key_id"] == first["key_id"]
    assert len(requests_to(world.emulator, GRAPH)) == 1
    assert len([row for row in requests_to(world.emulator, LOGIN) if row["method"] == "POST"]) == 1
    assert app_sign_ins(world) == signed_in
    assert (world.folder / "secret.yml").read_bytes() == before


def test_a_renewal_keeps_the_old_one_for_its_overlap(world: World):
    world.run()
    old = of_ours(world)
    world.pass_days(334)
    assert world.run()["changed"] is False
    world.pass_days(2)
    result = world.run()
    assert (result["rotated"], result["retired"]) == (True, [])
    new = of_ours(world)
    assert new.key_id != old.key_id
    assert world.signs_in(new)
    assert world.signs_in(old)
    assert world.entry().previous == old
    world.pass_days(6)
    assert world.run()["changed"] is False
    world.pass_days(2)
    result = world.run()
    assert (result["rotated"], result["retired"]) == (False, [old.key_id])
    assert world.signs_in(new)
    assert not world.signs_in(old)
    assert world.entry().previous is None
    assert world.run()["changed"] is False


def test_the_end_of_an_overlap_is_the_same_in_every_run(world: World):
    """However long the renewal itself took."""
    world.run()
    slow = [{"match": {"path_regex": "/addPassword$"}, "times": 1, "effect": {"delay_s": 1.2}}]
    world.emulator.faults(slow)
    renewed = world.run(rotate="always")
    world.emulator.faults([])
    assert renewed["rotated"]
    assert renewed["previous_until"]
    assert renewed["previous_until"] == world.run()["previous_until"]


def test_always_renews_and_never_more_than_two_live(world: World):
    world.run()
    for _time in range(3):
        result = world.run(rotate="always")
        assert result["rotated"] is True
        assert len(world.ours()) == 2
        assert set(world.ours()) == world.entry().known()
    assert len(result["retired"]) == 1
    assert "before its overlap is over" in result["warnings"][0]
    without = world.run(rotate="always", overlap=0)
    assert "warnings" not in without


def test_never_leaves_what_is_due(world: World):
    world.run()
    world.pass_days(350)
    assert world.run(rotate="never")["changed"] is False
    world.pass_days(20)
    assert "expired" in world.run(rotate="never")["summary"]


def test_an_end_of_its_own(world: World):
    result = world.run(end_date_time="2029-03-01T00:00:00Z")
    assert result["end_date_time"] == "2029-03-01T00:00:00Z"


def test_check_mode_tells_and_does_nothing(world: World):
    result = world.run(check_mode=True)
    assert (result["changed"], result["key_id"]) == (True, None)
    assert world.store().read() is None
    assert list(world.folder.iterdir()) == []
    assert world.ours() == []
    assert writes(world.emulator) == []


def test_check_mode_before_the_application_exists(world: World):
    result = world.run(check_mode=True, app_id="00000000-0000-0000-0000-000000000000")
    assert result["outcome"] == "changed"
    assert world.emulator.journal() == []
    (world.folder / "secret.yml").mkdir()
    try:
        result = world.run(check_mode=True, app_id="00000000-0000-0000-0000-000000000000")
    finally:
        (world.folder / "secret.yml").rmdir()
    assert result["outcome"] == "blocked"
    assert world.emulator.journal() == []


# --- mended ----------------------------------------------------------------------------------------------------


def test_a_key_removed_by_hand_is_named_and_made_anew(world: World):
    lost = world.run()["key_id"]
    world.by_hand("removePassword", {"keyId": lost})
    result = world.run()
    assert "removed outside" in result["summary"]
    assert world.signs_in(of_ours(world))
    assert world.entry().known() == set(world.ours()) == {result["key_id"]}


def test_an_expired_one_is_named_and_made_anew(world: World):
    old = world.run()["key_id"]
    world.pass_days(366)
    result = world.run()
    assert "expired, AADSTS7000222" in result["summary"]
    assert result["retired"] == [old]
    assert world.signs_in(of_ours(world))
    assert world.run()["changed"] is False


@pytest.mark.parametrize("value", ["mangled", "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER", "", None])
def test_a_value_that_was_changed_in_the_store_is_named_and_made_anew(world: World, value: str | None):
    world.run()
    entry, good = world.entry(), of_ours(world)
    world.store().write(replace(entry, current=replace(good, value=value)))
    result = world.run()
    wanted = "no longer signs in, AADSTS7000215" if value else "its value is not in the store"
    assert wanted in result["summary"]
    assert result["rotated"] is True
    assert world.signs_in(of_ours(world))
    # Whoever has the good value from before is not cut off at once.
    assert world.signs_in(good)
    assert world.entry().known() == set(world.ours())
    assert world.run()["changed"] is False
    world.pass_days(8)
    assert world.run()["retired"] == [good.key_id]


def test_a_value_that_somebody_put_there_and_that_works_is_kept(world: World):
    """A store filled by hand has no proof; the sign-in is one."""
    made = world.by_hand("addPassword", {"passwordCredential": {"displayName": NAME}})
    by_hand = StoredSecret(
        TENANT_ID, APP_ID, made["keyId"], NAME, made["startDateTime"], made["endDateTime"], made["secretText"]
    )
    world.store().write(replace(world.entry(), current=by_hand))
    result = world.run()
    assert (result["outcome"], result["key_id"]) == ("ok", made["keyId"])


def test_a_secret_made_by_hand_lives_beside_the_new_one_for_its_overlap(world: World):
    made = world.by_hand("addPassword", {"passwordCredential": {"displayName": NAME}})
    result = world.run()
    assert "its value is not in the store" in result["summary"]
    assert set(world.ours()) == {made["keyId"], result["key_id"]} == world.entry().known()
    world.pass_days(8)
    assert world.run()["retired"] == [made["keyId"]]


def test_two_of_our_name_that_nobody_knows_stop_the_run(world: World):
    keys = [world.by_hand("addPassword", {"passwordCredential": {"displayName": NAME}})["keyId"] for _time in "12"]
    result = world.run()
    assert result["outcome"] == "blocked"
    assert all(key in result["msg"] for key in keys)
    assert set(world.ours()) == set(keys)
    assert world.store().read() is None


def test_the_secret_of_a_living_application_is_not_written_over(world: World):
    world.run()
    other = graph_as_a_person(world.emulator, "POST", "/applications", {"displayName": "Other"})["appId"]
    entry = world.entry()
    for state in ("present", "absent"):
        result = world.run(app_id=other, state=state)
        assert result["outcome"] == "blocked"
        assert "of another application" in result["msg"]
    assert world.entry() == entry


def test_the_secret_of_an_application_that_is_gone_makes_room(world: World):
    world.run()
    other = graph_as_a_person(world.emulator, "POST", "/applications", {"displayName": "Other"})
    graph_as_a_person(world.emulator, "POST", "/servicePrincipals", {"appId": other["appId"]})
    graph_as_a_person(world.emulator, "DELETE", f"/applications(appId='{APP_ID}')")
    result = world.run(app_id=other["appId"])
    assert "of an application that is gone" in result["summary"]
    assert of_ours(world).client_id == other["appId"]
    assert world.signs_in(of_ours(world))


def test_the_secret_of_another_tenant_is_not_written_over(world: World):
    world.run()
    entry = world.entry()
    world.store().write(replace(entry, current=replace(of_ours(world), tenant_id=FORBIDS[0])))
    result = world.run()
    assert result["outcome"] == "blocked"
    assert "another tenant" in result["msg"]


def test_absent_removes_ours_alone(world: World):
    world.run()
    world.run(rotate="always")
    result = world.run(state="absent")
    assert len(result["retired"]) == 2
    assert world.ours() == []
    assert world.foreign() == [FOREIGN_KEY]
    assert world.store().read() is None
    assert world.run(state="absent")["changed"] is False


# --- newborn secrets -------------------------------------------------------------------------------------------


def test_a_newborn_secret_is_given_its_seconds(world: World):
    result = world.run(transport=refusing_sign_in(APP_ID, 4))
    assert result["outcome"] == "changed"
    assert world.signs_in(of_ours(world))


def test_a_newborn_secret_that_needs_longer_is_pending_and_the_old_one_stays_in_use(world: World):
    world.run()
    old = of_ours(world)
    world.pass_days(340)
    result = world.run(transport=refusing_sign_in(APP_ID, 99))
    assert result["outcome"] == "pending"
    assert "AADSTS7000215" in result["pending"]
    assert not result.get("failed")
    assert of_ours(world) == old
    assert len(world.ours()) == 2
    again = world.run(transport=refusing_sign_in(APP_ID, 99))
    assert (again["outcome"], again["changed"], len(world.ours())) == ("pending", False, 2)
    done = world.run()
    assert (done["outcome"], done["rotated"]) == ("changed", True)
    assert of_ours(world).key_id == result["key_id"]
    assert world.entry().previous == old
    assert world.run()["changed"] is False


def test_a_secret_that_is_refused_for_hours_is_made_anew(world: World):
    world.run()
    world.pass_days(340)
    first = world.run(transport=refusing_sign_in(APP_ID, 99))
    world.pass_days(0.1)
    refused = world.run(transport=refusing_sign_in(APP_ID, 6))
    assert refused["retired"] == [first["key_id"]]
    assert refused["rotated"] is True
    assert world.signs_in(of_ours(world))
    assert len(world.ours()) == 2


def test_a_sign_in_that_another_secret_would_not_mend_costs_no_secret(world: World):
    result = world.run(transport=refusing_sign_in(APP_ID, 99, code=7000112))
    assert result["failed"]
    assert "was removed again" in result["msg"]
    assert world.ours() == []


# --- the tenant's policy ---------------------------------------------------------------------------------------


def test_a_tenant_that_forbids_secrets(worlds: t.Callable[..., World]):
    world = worlds(*FORBIDS)
    result = world.run()
    assert result["outcome"] == "blocked"
    assert "app management policy whose passwordAddition restriction is disabled" in result["msg"]
    assert world.ours() == []
    assert world.store().read() is None, "nothing was made, so nothing is noted"


def test_a_refusal_leaves_a_store_as_it_was(worlds: t.Callable[..., World]):
    world = worlds(*LIMITS)
    world.run(lifetime=90)
    entry = world.entry()
    world.pass_days(80)
    assert world.run(lifetime=365)["outcome"] == "blocked"
    assert world.entry() == entry


@pytest.mark.parametrize("where", [LIMITS, READABLE])
def test_too_long_a_lifetime_blocks(worlds: t.Callable[..., World], where: tuple[str, str, str]):
    world = worlds(*where)
    result = world.run()
    assert result["outcome"] == "blocked"
    assert "allow_shorter" in result["msg"]
    assert ("at most 100 days" in result["msg"]) is (where is READABLE)
    assert world.ours() == []


def test_a_policy_that_can_be_read_lowers_the_lifetime_to_its_own(worlds: t.Callable[..., World]):
    world = worlds(*READABLE)
    result = world.run(allow_shorter=True)
    assert result["days_left"] in (99, 100)
    assert "100 days" in result["warnings"][0]
    assert sum("addPassword" in row["path"] for row in writes(world.emulator)) == 1
    assert world.run(allow_shorter=True)["changed"] is False


def test_a_policy_that_cannot_be_read_is_found_out(worlds: t.Callable[..., World]):
    world = worlds(*LIMITS)
    result = world.run(allow_shorter=True)
    assert result["outcome"] == "changed"
    assert result["days_left"] == 89
    assert "refused 365 days; the secret lives 90 days" in result["warnings"][0]
    # What is told after the deed is told from the deed.
    assert f"valid until {result['end_date_time'][:10]}" in result["summary"]
    assert f"until {result['end_date_time'][:10]}" in result["steps"][0]
    assert world.signs_in(of_ours(world))
    assert world.run(allow_shorter=True)["changed"] is False


def test_exactly_the_longest_lifetime_does_not_founder_on_a_clock(worlds: t.Callable[..., World]):
    world = worlds(*LIMITS)
    world.clock.ahead += dt.timedelta(seconds=90)  # this machine's clock is ahead of the service's
    result = world.run(lifetime=100)
    assert result["outcome"] == "changed"
    assert result["days_left"] == 99
    assert "warnings" not in result


# --- lost answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effect", ["drop_before", "drop_after", {"status": 502, "after": True}, {"status": 500}])
@pytest.mark.parametrize("action", ["addPassword", "removePassword"])
def test_an_answer_that_was_lost(world: World, action: str, effect: t.Any):
    world.run()
    world.run(rotate="always")
    world.pass_days(340)
    rule = {"match": {"host": GRAPH, "path_regex": action}, "nth": 1, "effect": effect}
    world.emulator.faults([rule])
    result = world.run()
    assert not result.get("failed"), result["msg"]
    assert len(result["retired"]) >= 1
    world.emulator.faults([])
    assert world.signs_in(of_ours(world))
    assert set(world.ours()) == world.entry().known()
    assert len(world.ours()) == 2
    assert world.run()["changed"] is False


def test_a_lost_key_that_shows_late_is_removed_when_it_does(world: World):
    """For a while Graph's replicas know nothing of the key whose answer was lost."""
    world.run()
    world.pass_days(340)
    hidden: list[str] = []

    class LosingOne(Hiding):
        def send(self, request: Request, timeout_s: float) -> Response:
            self._losing = not hidden
            return super().send(request, timeout_s)

    result = world.run(transport=lambda inner: LosingOne(inner, hidden))
    assert not result.get("failed"), result["msg"]
    assert hidden[0] in world.ours()
    assert world.signs_in(of_ours(world))
    world.pass_days(0.5)
    assert world.run()["retired"] == hidden
    assert set(world.ours()) == world.entry().known()
    assert world.run()["changed"] is False


class Hiding(Intercepted):
    """A Graph whose lists lack these keys, for so many answers; addPassword's answers are lost while ``losing``."""

    def __init__(self, inner: Transport, hidden: list[str], answers: int = 10**6, *, losing: bool = False) -> None:
        super().__init__(inner, lambda _request: None)
        self._hidden = hidden
        self._answers = answers
        self._losing = losing

    def send(self, request: Request, timeout_s: float) -> Response:
        answer = super().send(request, timeout_s)
        if request.url.endswith("addPassword") and self._losing:
            self._hidden.append(answer.json()["keyId"])
            return Response(502, {}, b"")
        if request.host != GRAPH or self._answers <= 0 or not any(key.encode() in answer.body for key in self._hidden):
            return answer
        self._answers -= 1
        document = answer.json()
        for part in [document, *(item.get("body") or {} for item in document.get("responses", []))]:
            if isinstance(part.get("passwordCredentials"), list):
                part["passwordCredentials"] = [
                    item for item in part["passwordCredentials"] if item["keyId"] not in self._hidden
                ]
        return Response(answer.status, answer.headers, json.dumps(document).encode())


def test_keys_of_which_every_answer_was_lost_are_removed_when_they_show(world: World):
    world.run()
    world.pass_days(340)
    hidden: list[str] = []
    result = world.run(transport=lambda inner: Hiding(inner, hidden, losing=True))
    assert result["failed"]
    assert len(hidden) > 1
    assert set(hidden) < set(world.ours())
    world.pass_days(0.5)
    result = world.run()
    assert set(result["retired"]) == set(hidden)
    assert set(world.ours()) == world.entry().known()
    assert len(world.ours()) == 2


def test_a_key_of_a_run_that_died_a_moment_ago_is_waited_for(world: World):
    """Graph does not list it yet; making another one at once would leave three."""
    intent = Intent(world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"), ())
    world.store().write(Entry(intent=intent))
    lost = world.by_hand("addPassword", {"passwordCredential": {"displayName": NAME}})["keyId"]
    result = world.run(transport=lambda inner: Hiding(inner, [lost], 3))
    assert result["retired"] == [lost]
    assert world.ours() == [result["key_id"]]


def test_a_lost_answer_without_a_store_does_not_leave_a_key_that_nobody_can_use(world: World):
    world.emulator.faults([{"match": {"host": GRAPH, "path_regex": "addPassword"}, "nth": 1, "effect": "drop_after"}])
    result = world.run(services={}, return_value=True)
    assert world.signs_in(StoredSecret(TENANT_ID, APP_ID, "", "", "", "", result["secret_text"]))
    assert world.ours() == [result["key_id"]]


def test_a_lost_answer_of_the_sign_in_makes_no_further_secrets(world: World):
    def lost(request: Request) -> Response | None:
        if request.url.endswith("/token") and f"client_id={APP_ID}" in (request.body or b"").decode():
            raise AnswerLost("the line was cut")
        return None

    result = world.run(transport=lambda inner: Intercepted(inner, lost))
    assert result["failed"]
    assert "was removed again" in result["msg"]
    assert sum(row["path"].endswith("addPassword") for row in writes(world.emulator)) == 1
    assert world.ours() == []


# --- replicas that lag -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["realistic", "storm"])
def test_replicas_that_lag_are_not_taken_for_somebody_s_doing(tmp_path: pathlib.Path, profile: str):
    """Answers from before the last write, refusals for seconds, throttling: a second run still changes nothing."""
    with start_emulator(TENANTS, profile=profile) as emulator:
        world = World(emulator, tmp_path)
        for _time in range(6):
            world.begin()
            for days in (0, 340):
                world.pass_days(days)
                result = world.run(patience=180)
                assert result["outcome"] == "changed", result
                assert world.run(patience=180)["changed"] is False
            assert world.signs_in(of_ours(world))
            assert set(world.ours()) == world.entry().known()
            assert len(world.ours()) == 2


def test_a_key_that_shows_late_is_not_taken_for_removed(world: World):
    made = world.run()["key_id"]
    looks: list[int] = []

    class Stale(Intercepted):
        def send(self, request: Request, timeout_s: float) -> Response:
            answer = super().send(request, timeout_s)
            if request.host == GRAPH and len(looks) < 3:
                looks.append(1)
                return Response(answer.status, answer.headers, answer.body.replace(made.encode(), b"0" * 36))
            return answer

    result = world.run(transport=lambda inner: Stale(inner, lambda _request: None))
    assert (result["changed"], result["key_id"]) == (False, made)
    assert len(looks) == 3


# --- two runs at once ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("days", [0, 340])
def test_two_runs_at_once(world: World, days: int):
    """At every step of one run another one runs from its beginning to its end. One may fail; nothing is lost."""

    def prepare() -> None:
        world.begin()
        if days:
            world.run()
            world.pass_days(days)

    steps = 0
    at = 0
    while at <= steps:
        at += 1
        prepare()
        steps, other = 0, None

        def gate(when: str, _step: str, at: int = at) -> None:
            nonlocal steps, other
            if when == "before":
                steps += 1
                if steps == at:
                    other = world.run()

        first = world.run(
            store=WatchedStore(world.store(), gate), transport=lambda inner, gate=gate: Watched(inner, gate)
        )
        assert other is None or not other.get("failed") or not first.get("failed"), (at, first, other)
        assert len(world.ours()) <= (2 if days else 1), at
        assert world.signs_in(of_ours(world)), at
        last = world.run()
        assert not last.get("failed"), (at, last["msg"])
        assert world.signs_in(of_ours(world)), at
        assert set(world.ours()) == world.entry().known(), at
        assert world.foreign() == [FOREIGN_KEY]
    assert steps > 8


def test_a_run_that_gives_up_leaves_the_other_one_s_entry_alone(world: World):
    """Another run has overtaken this one and is itself in the middle: its noted renewal is not this one's to clear."""
    world.run()
    before = world.ours()
    reads = 0

    def gate(when: str, step: str) -> None:
        nonlocal reads
        reads += (when, step) == ("before", "store read")
        if (when, step, reads) == ("before", "store read", 2):
            made = world.by_hand("addPassword", {"passwordCredential": {"displayName": NAME}})
            other = StoredSecret(
                TENANT_ID, APP_ID, made["keyId"], NAME, made["startDateTime"], made["endDateTime"], made["secretText"]
            )
            intent = Intent("2026-01-01T00:00:00Z", tuple(before))
            world.store().write(replace(world.entry(), following=other, intent=intent))
            theirs.append(world.entry())

    theirs: list[Entry] = []
    result = world.run(rotate="always", store=WatchedStore(world.store(), gate))
    assert result["outcome"] == "blocked"
    assert "was removed again" in result["msg"]
    assert [world.entry()] == theirs
    assert set(world.ours()) == world.entry().known()
    assert world.run()["rotated"] is True


# --- without a store -------------------------------------------------------------------------------------------


def test_a_sealed_value_opens_and_signs_in(world: World):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    store = {"backend": "none", "seal_to": pem.decode()}

    def run(**params: t.Any) -> Json:
        return world.run(services=open_receiver(store, Controller(None)), store_option=store, **params)

    def opened(result: Json) -> str:
        oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
        return key.decrypt(base64.b64decode(result["sealed_value"]), oaep).decode()

    result = run()
    value = opened(result)
    assert "secret_text" not in result
    assert value not in str(result)
    assert "sealed for the RSA key" in result["stored_in"]["place"]
    assert world.signs_in(StoredSecret(TENANT_ID, APP_ID, "", "", "", "", value))
    again = run()
    assert (again["changed"], again["key_id"]) == (False, result["key_id"])
    assert "sealed_value" not in again
    world.pass_days(340)
    renewed = run()
    assert renewed["rotated"] is True
    assert opened(renewed) != value
    assert len(world.ours()) == 2
    world.pass_days(8)
    assert run()["retired"] == [result["key_id"]]
    assert run(state="absent")["retired"] == [renewed["key_id"]]


def test_a_plain_value_signs_in(world: World):
    result = world.run(services={}, return_value=True)
    assert world.signs_in(StoredSecret(TENANT_ID, APP_ID, "", "", "", "", result["secret_text"]))
    assert "secret_text" not in world.run(services={}, return_value=True)


def test_without_a_receiver_nothing_is_made(world: World):
    result = world.run(services={})
    assert "nobody would receive" in result["msg"]
    result = world.run(services={}, store_option={"backend": "vault_file", "path": "x"})
    assert "only where Ansible itself runs" in result["msg"]
    assert world.emulator.journal() == []


def test_a_file_that_others_may_read_is_shut_though_nothing_else_is_to_do(world: World):
    first = world.run()
    path = world.folder / "secret.yml"
    path.chmod(0o644)
    checked = world.run(check_mode=True)
    assert (checked["changed"], path.stat().st_mode & 0o777) == (True, 0o644)
    result = world.run()
    assert (result["outcome"], result["key_id"]) == ("changed", first["key_id"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert world.run()["changed"] is False


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_removal_that_was_answered_and_not_done_is_no_removal(world: World, state: str):
    """Something on the way says yes to everything: the store is not emptied on its word."""
    first = world.run()
    world.run(rotate="always")
    world.pass_days(8)

    def yes(request: Request) -> Response | None:
        return Response(204, {}, b"") if request.url.endswith("removePassword") else None

    before = world.entry()
    result = world.run(state=state, transport=lambda inner: Intercepted(inner, yes))
    assert result["failed"], result
    assert "lists it as before" in result["msg"]
    assert first["key_id"] in world.ours()
    assert world.entry().current == before.current
    assert world.run(state=state)["outcome"] == "changed" or state == "present"
