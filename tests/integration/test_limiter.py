# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hangs on a group and on a policy: other people's applications, and what our own one still holds."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.emulator.testing import Emulator
from tests.integration.exchange_admin import (
    ADELE,
    ALIAS,
    APP,
    FAX,
    HELP,
    NAME,
    OTHER_APP,
    TENANTS,
    admin,
    at,
    changes,
    group_in,
    sent,
)
from tests.integration.harness import OPERATOR, run
from tests.integration.transports import start_emulator
from tests.unit.plugins.scoping import test_limiter as random_tenants

GROUP: dict[str, t.Any] = {"name": NAME, "alias": ALIAS, "members": [FAX], "owners": [], "app_id": APP}
THIRD_APP = "3cb8b5d2-8724-4f32-8152-a16a230b682b"


@pytest.fixture(scope="module")
def running() -> t.Iterator[Emulator]:
    with start_emulator(TENANTS, "rest") as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    """A group of somebody else's, with a mailbox of theirs in it, inside another group."""
    running.reset()
    running.faults([])
    outer = {"Type": "Security", "MemberJoinRestriction": "Closed"}
    admin(running, "New-DistributionGroup", Name="Above", Alias="above", Members=[], **outer)
    admin(running, "New-DistributionGroup", Name=NAME, Alias=ALIAS, Members=[HELP], ManagedBy=[ADELE], **outer)
    admin(
        running,
        "Set-DistributionGroup",
        Identity=ALIAS,
        MemberJoinRestriction="ApprovalRequired",
        RequireSenderAuthenticationEnabled=False,
    )
    admin(running, "Add-DistributionGroupMember", Identity="above", Member=ALIAS)
    running.clear_journal()
    return running


def limited(emulator: Emulator, scope: str, app_id: str = OTHER_APP, right: str = "RestrictAccess") -> None:
    admin(emulator, "New-ApplicationAccessPolicy", AppId=app_id, PolicyScopeGroupId=scope, AccessRight=right)
    emulator.clear_journal()


def group(emulator: Emulator, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    wanted = {**GROUP, "on_foreign_members": "keep", "on_foreign_owners": "keep", **options}
    return run("exchange_security_group", wanted, emulator, check_mode)


@pytest.mark.parametrize("scope", [ALIAS, "above"])
@pytest.mark.parametrize("app_id", [OTHER_APP, "*"])
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_mailbox_that_another_application_could_open_then_stays_out(
    emulator: Emulator, scope: str, app_id: str, check_mode: bool
):
    limited(emulator, scope, app_id)
    result = group(emulator, check_mode)
    assert result["outcome"] == "blocked", result
    assert app_id in result["msg"]
    assert "accept_shared_group" in result["error"]["options"]
    assert changes(emulator) == []


@pytest.mark.parametrize(("scope", "app_id", "accepted"), [(ALIAS, OTHER_APP, OTHER_APP), ("above", "*", "*")])
def test_who_is_named_may_and_stands_in_the_result(emulator: Emulator, scope: str, app_id: str, accepted: str):
    limited(emulator, scope, app_id)
    result = group(emulator, accept_shared_group=[accepted.upper()])
    assert result["outcome"] == "changed", result
    assert [one["app_id"] for one in result["policies_of_others"]] == [app_id]
    emulator.clear_journal()
    again = group(emulator)
    assert again["outcome"] == "ok"
    assert sent(emulator) == ["$batch"], "nothing to change is one request, whoever has policies"
    assert len(again["policies_of_others"]) == (scope == ALIAS)


def test_what_the_other_one_may_open_already_is_no_news(emulator: Emulator):
    limited(emulator, ALIAS)
    admin(emulator, "New-DistributionGroup", Name="Theirs", Alias="theirs", Type="Security", Members=[FAX])
    limited(emulator, "theirs")
    assert group(emulator)["outcome"] == "changed"


def test_our_own_policy_stops_nothing(emulator: Emulator):
    limited(emulator, ALIAS, APP)
    assert group(emulator)["outcome"] == "changed"
    assert group(emulator, members=[FAX, ADELE], app_id=OTHER_APP)["outcome"] == "blocked"


def test_who_loses_a_mailbox_is_told(emulator: Emulator):
    limited(emulator, ALIAS)
    result = group(emulator, members=[], on_foreign_members="remove")
    assert result["outcome"] == "changed"
    assert any(OTHER_APP in warning for warning in result["warnings"])


@pytest.mark.parametrize("scope", [ALIAS, "above"])
def test_a_mailbox_that_is_denied_through_the_group_stays_in_it(emulator: Emulator, scope: str):
    limited(emulator, scope, right="DenyAccess")
    result = group(emulator, members=[], on_foreign_members="remove")
    assert result["outcome"] == "blocked"
    assert OTHER_APP in result["msg"]
    assert changes(emulator) == []
    assert group(emulator, members=[], on_foreign_members="remove", accept_shared_group=[OTHER_APP])["changed"]


def test_what_we_put_in_stays_where_taking_it_out_would_let_somebody_in(emulator: Emulator):
    assert group(emulator)["outcome"] == "changed"
    guid = (group_in(emulator) or {})["Guid"]
    limited(emulator, "above", right="DenyAccess")
    taken = {"state": "absent", "on_foreign_group": "keep", "own_members": {guid: [FAX]}, "members": None}
    for check_mode in (True, False):
        result = group(emulator, check_mode, **taken)
        assert (result["outcome"], result["left_over"]) == ("ok", [FAX]), result
        assert any(OTHER_APP in warning for warning in result["warnings"])
    result = group(emulator, **taken, accept_shared_group=[OTHER_APP])
    assert (result["members_removed"], result["left_over"]) == ([FAX], [])


def test_a_group_of_ours_stays_where_its_going_would_let_somebody_in(emulator: Emulator):
    admin(emulator, "Set-DistributionGroup", Identity=ALIAS, Description="Managed by mail2fax.m365")
    limited(emulator, "above", right="DenyAccess")
    assert group(emulator, state="absent")["outcome"] == "blocked"
    kept = group(emulator, state="absent", on_foreign_group="keep")
    assert (kept["outcome"], kept["left_over"]) == ("ok", [HELP])
    assert group_in(emulator) is not None


# ---- a group that others made ---------------------------------------------------------------------------------------


def test_of_a_group_in_daily_use_only_what_is_declared_changes_and_goes_back(emulator: Emulator):
    before = group_in(emulator) or {}
    declared = {"name": "Fax limit", "declared": []}
    result = group(emulator, **declared)
    assert result["outcome"] == "changed", result
    now = group_in(emulator) or {}
    for kept in ("DisplayName", "HiddenFromAddressListsEnabled", "RequireSenderAuthenticationEnabled"):
        assert now[kept] == before[kept], kept
    assert now["MemberJoinRestriction"] == "Closed"
    settings = [entry for entry in result["added"] if entry["kind"] == "setting"]
    assert [(entry["id"], entry["before"], entry["after"]) for entry in settings] == [
        ("MemberJoinRestriction", "ApprovalRequired", "Closed")
    ]
    assert group(emulator, **declared)["outcome"] == "ok"
    back = {
        **{"state": "absent", "on_foreign_group": "keep", "members": None, "own_settings": result["added"]},
        "own_members": {now["Guid"]: [FAX]},
    }
    result = group(emulator, **back)
    assert result["outcome"] == "changed", result
    assert {key: value for key, value in (group_in(emulator) or {}).items() if "When" not in key} == {
        key: value for key, value in before.items() if "When" not in key
    }
    assert group(emulator, **back)["outcome"] == "ok"


def test_what_somebody_changed_since_is_theirs_and_told(emulator: Emulator):
    result = group(emulator, name="Fax limit", declared=["name"])
    admin(emulator, "Set-DistributionGroup", Identity=ALIAS, DisplayName="Third name")
    back = {"state": "absent", "on_foreign_group": "keep", "members": None, "own_settings": result["added"]}
    result = group(emulator, **back)
    assert any("DisplayName" in warning and NAME in warning for warning in result["warnings"])
    assert (group_in(emulator) or {})["DisplayName"] == "Third name"
    assert (group_in(emulator) or {})["MemberJoinRestriction"] == "ApprovalRequired"


def test_who_is_named_by_the_name_they_sign_in_with_is_told_by_address(emulator: Emulator):
    result = group(emulator, members=[FAX, at("helplogin")])
    assert result["outcome"] == "blocked"
    assert f"the user principal name of {HELP} (shared mailbox)" in result["msg"]
    assert [one["advice"] for one in result["error"]["details"]["candidates"]] == [f"write {HELP}"]


def test_many_strangers_are_cut_with_a_count(emulator: Emulator):
    people = [f"user{number}" for number in range(6)]
    for person in people:
        admin(emulator, "Add-DistributionGroupMember", Identity=ALIAS, Member=person)
    result = group(emulator, on_foreign_members="fail")
    assert "7 members not declared" in result["msg"]


# ---- as long as tokens live -----------------------------------------------------------------------------------------


def test_the_group_and_the_policy_stay_until_tokens_are_dead(emulator: Emulator):
    admin(emulator, "Set-DistributionGroup", Identity=ALIAS, Description="Managed by mail2fax.m365")
    limited(emulator, ALIAS, APP)
    now = dt.datetime.now(dt.UTC)
    until = (now + dt.timedelta(minutes=90)).strftime("%Y-%m-%dT%H:%M:%SZ")
    policy = {"app_id": APP, "group": ALIAS, "state": "absent", "not_before": until, "consent_revoked": True}
    for _again in range(2):
        for result in (
            run("exchange_application_access_policy", policy, emulator),
            group(emulator, state="absent", not_before=until, on_foreign_group="keep"),
        ):
            assert (result["outcome"], result["pending_until"], result["changed"]) == ("pending", until, False), result
    assert changes(emulator) == []
    emulator.clock(seconds=91 * 60)
    assert run("exchange_application_access_policy", policy, emulator)["outcome"] == "changed"
    assert group(emulator, state="absent", not_before=until)["outcome"] == "changed"


def test_what_is_no_instant_is_refused(emulator: Emulator):
    result = group(emulator, state="absent", not_before="tomorrow")
    assert (result["outcome"], result["error"]["options"]) == ("failed", ["not_before"])
    assert sent(emulator) == []


# ---- random tenants -------------------------------------------------------------------------------------------------

PEOPLE = {name: f"user{number}" for number, name in enumerate(random_tenants.MAILBOXES)}


def build(emulator: Emulator, world: random_tenants.World) -> None:
    """A random tenant of the unit test, for real: groups, who is in them, and policies on them."""
    emulator.reset()
    somebody = Tenant({**OPERATOR, "patience": 20}, environment=emulator.env())
    cmdlets = [
        Cmdlet(
            "New-DistributionGroup",
            {
                **{"Name": name, "Alias": name, "Type": "Security", "MemberJoinRestriction": "Closed"},
                "Members": [PEOPLE.get(member, member) for member in sorted(members, reverse=True)],
            },
            "play somebody else",
        )
        for name, members in world.groups.items()
    ]
    cmdlets += [
        Cmdlet(
            "New-ApplicationAccessPolicy",
            {"AppId": app_id, "PolicyScopeGroupId": PEOPLE.get(scope, scope), "AccessRight": right},
            "play somebody else",
        )
        for app_id, right, scope in world.policies
    ]
    for output in somebody.exchange.invoke_many(cmdlets):
        output.objects()
    somebody.close()


def opened(world: random_tenants.World) -> set[tuple[str, str]]:
    others = (random_tenants.B, random_tenants.C, random_tenants.NOBODY_IN_PARTICULAR)
    return {(app_id, box) for app_id in others for box in PEOPLE if world.opens(app_id, box)}


def check(emulator: Emulator, seed: int) -> str:
    world, adding, removing, accepted = random_tenants.invent(seed)
    build(emulator, world)
    before = opened(world)
    inside = {member for member in world.groups["g0"] if member in PEOPLE}
    options = {
        **{"name": "g0", "alias": "g0", "app_id": random_tenants.OWN, "accept_shared_group": sorted(accepted)},
        **{"members": [at(PEOPLE[name]) for name in sorted((inside | adding) - removing)]},
        **{"on_foreign_members": "remove", "declared": []},
    }
    result = run("exchange_security_group", options, emulator)
    assert result["outcome"] in ("ok", "changed", "blocked"), result
    names = {at(alias).lower(): name for name, alias in PEOPLE.items()}
    members = (group_in(emulator, "g0") or {})["members"]
    world.groups["g0"] = {names[member.lower()] for member in members}
    after = opened(world)
    if result["outcome"] == "blocked":
        assert after == before, seed
    elif random_tenants.EVERY_APPLICATION not in accepted:
        assert {app_id for app_id, _name in after - before} <= accepted, f"seed {seed}: {after - before}"
    return str(result["outcome"])


def test_nobody_elses_reach_grows_in_an_emulated_tenant(running: Emulator):
    start = random_tenants.commit_seed()
    assert {check(running, seed) for seed in range(start, start + 8)}


@pytest.mark.soak
def test_nobody_elses_reach_grows_in_many_emulated_tenants(running: Emulator):
    became = [check(running, seed) for seed in range(150)]
    assert {"changed", "blocked"} <= set(became)
