# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exchange_security_group in a tenant with every kind of recipient."""

from __future__ import annotations

import typing as t

import pytest

from tests.emulator.testing import Emulator
from tests.integration.exchange_admin import (
    ADELE,
    ALIAS,
    APP,
    FAX,
    HELP,
    LEE,
    LIDIA,
    NAME,
    TENANTS,
    admin,
    at,
    changes,
    group_in,
    sent,
)
from tests.integration.harness import TENANT_ID, run
from tests.integration.transports import TRANSPORTS, start_emulator

MODULE = "exchange_security_group"
WANTED: dict[str, t.Any] = {"name": NAME, "alias": ALIAS, "members": [FAX], "owners": []}


@pytest.fixture(scope="module", params=TRANSPORTS)
def running(request: pytest.FixtureRequest) -> t.Iterator[Emulator]:
    with start_emulator(TENANTS, request.param) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    return running.reset()


def apply(emulator: Emulator, check_mode: bool = False, connection: dict[str, t.Any] | None = None, **options: t.Any):
    emulator.clear_journal()
    return run(MODULE, {**WANTED, **options}, emulator, check_mode, **(connection or {}))


def settled(emulator: Emulator, **options: t.Any) -> dict[str, t.Any]:
    """Run twice; the second time nothing is left to do, and it takes one request to know."""
    first = apply(emulator, **options)
    assert not first.get("failed"), first
    again = apply(emulator, **options)
    assert (again["changed"], again["outcome"]) == (False, "ok"), again
    assert sent(emulator) == ["$batch"]
    assert again["group"] == first["group"]
    assert again["members"] == first["members"]
    return first


def test_a_group_is_made_once(emulator: Emulator):
    result = settled(emulator)
    assert (result["changed"], result["outcome"]) == (True, "changed")
    assert result["members"] == result["members_added"] == [FAX]
    group = group_in(emulator)
    assert group is not None
    assert group["RecipientTypeDetails"] == "MailUniversalSecurityGroup"
    assert group["DisplayName"] == NAME
    assert group["members"] == [FAX]
    assert group["HiddenFromAddressListsEnabled"] is True
    assert group["MemberJoinRestriction"] == group["MemberDepartRestriction"] == "Closed"
    assert group["RequireSenderAuthenticationEnabled"] is True
    assert result["group"]["address"] == f"{ALIAS}@{FAX.partition('@')[2]}"
    assert result["group"]["guid"] == group["Guid"]
    assert result["group"]["made_here"] is True


def test_a_new_group_takes_four_requests(emulator: Emulator):
    apply(emulator)
    assert sent(emulator) == ["$batch", "New-DistributionGroup", "Set-DistributionGroup", "$batch"]


def test_check_mode_shows_the_same_and_writes_nothing(emulator: Emulator):
    planned = apply(emulator, check_mode=True)
    assert sent(emulator) == ["$batch"]
    assert group_in(emulator) is None
    done = apply(emulator)
    assert planned["steps"] == done["steps"]
    assert planned["diff"] == done["diff"]
    assert planned["summary"] == done["summary"]
    assert apply(emulator, check_mode=True)["changed"] is False


def test_the_mailbox_s_further_address_is_the_mailbox(emulator: Emulator):
    result = settled(emulator, members=[at("TELEFAX"), HELP, at("room1")])
    assert result["members"] == sorted([FAX, HELP, at("room1")], key=str.casefold)


def test_names_arrive_as_literals(emulator: Emulator):
    odd = "\u200fפקס 'Fax' $(Get-Mailbox) \"x\" `n {0}"
    result = settled(emulator, name=odd, alias="o'fax$x", members=[at("o'brien")], owners=[at("o'brien")])
    group = group_in(emulator, "o'fax$x")
    assert group is not None
    assert group["DisplayName"] == odd
    assert result["members"] == result["group"]["owners"] == [at("o'brien")]


def test_an_alias_that_looks_like_a_wildcard_is_a_literal(emulator: Emulator):
    apply(emulator, alias="*", name="Star")
    again = apply(emulator, alias="*", name="Star")
    assert again["outcome"] == "ok"
    assert again["members"] == [FAX]
    assert sent(emulator) == ["$batch", "$batch"]


# ---- drift ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "drift",
    [
        {"DisplayName": "Fax"},
        {"HiddenFromAddressListsEnabled": False},
        {"MemberJoinRestriction": "ApprovalRequired"},
        {"RequireSenderAuthenticationEnabled": False},
    ],
)
def test_settings_are_mended_one_at_a_time(emulator: Emulator, drift: dict[str, t.Any]):
    apply(emulator)
    before = group_in(emulator)
    admin(emulator, "Set-DistributionGroup", Identity=ALIAS, **drift)
    seen = apply(emulator, check_mode=True)
    assert seen["changed"] is True
    assert changes(emulator) == []
    [key] = drift
    assert seen["diff"]["before"][key] == drift[key]
    result = apply(emulator)
    assert result["outcome"] == "changed"
    assert changes(emulator) == ["Set-DistributionGroup"]
    after = group_in(emulator)
    assert before is not None
    assert after is not None
    assert {name: after[name] for name in drift} == {name: before[name] for name in drift}
    assert apply(emulator)["outcome"] == "ok"


def test_a_lost_member_comes_back(emulator: Emulator):
    apply(emulator, members=[FAX, HELP])
    admin(emulator, "Remove-DistributionGroupMember", Identity=ALIAS, Member=HELP)
    result = settled(emulator, members=[FAX, HELP])
    assert result["members_added"] == [HELP]


def test_a_foreign_member_stops_the_task_and_can_be_removed_or_kept(emulator: Emulator):
    apply(emulator)
    admin(emulator, "Set-DistributionGroup", Identity=ALIAS, HiddenFromAddressListsEnabled=False)
    for member in (LEE, "vip", "partner@elsewhere.example"):
        admin(emulator, "Add-DistributionGroupMember", Identity=ALIAS, Member=member)
    before = group_in(emulator)
    stopped = apply(emulator)
    assert (stopped["failed"], stopped["changed"], stopped["outcome"]) == (True, False, "blocked")
    assert changes(emulator) == []
    assert group_in(emulator) == before
    listed = {one["address"]: one["type"] for one in stopped["error"]["details"]["foreign_members"]}
    assert listed == {
        LEE: "UserMailbox",
        at("vip"): "MailUniversalSecurityGroup",
        "partner@elsewhere.example": "MailContact",
    }
    kept = settled(emulator, on_foreign_members="keep")
    assert LEE in kept["warnings"][0]
    result = settled(emulator, on_foreign_members="remove")
    assert sorted(result["members_removed"]) == sorted(listed)
    assert result["members"] == [FAX]


def test_a_member_dropped_from_the_list_is_a_foreign_one(emulator: Emulator):
    apply(emulator, members=[FAX, HELP])
    assert apply(emulator)["outcome"] == "blocked"
    assert settled(emulator, on_foreign_members="remove")["members_removed"] == [HELP]
    assert settled(emulator, members=[], on_foreign_members="remove")["members"] == []


def test_owners_are_set_found_changed_and_mended(emulator: Emulator):
    apply(emulator)
    result = settled(emulator, owners=[ADELE])
    assert result["group"]["owners"] == [ADELE]
    admin(emulator, "Set-DistributionGroup", Identity=ALIAS, ManagedBy=[LEE])
    stopped = apply(emulator, owners=[ADELE])
    assert stopped["outcome"] == "blocked"
    assert changes(emulator) == []
    assert [(one["address"], one["type"]) for one in stopped["error"]["details"]["foreign_owners"]] == [
        (LEE, "UserMailbox")
    ]
    result = settled(emulator, owners=[ADELE], on_foreign_owners="remove")
    assert result["group"]["owners"] == [ADELE]
    result = settled(emulator, owners=[], on_foreign_owners="remove")
    assert result["group"]["owners"] == ["Organization Management"]


def test_a_foreign_owner_is_kept_and_costs_no_request(emulator: Emulator):
    apply(emulator)
    admin(emulator, "Set-DistributionGroup", Identity=ALIAS, ManagedBy=[LEE])
    assert apply(emulator, owners=[])["outcome"] == "blocked"
    assert settled(emulator, owners=[], on_foreign_owners="keep")["changed"] is False
    owners = settled(emulator, owners=[ADELE], on_foreign_owners="keep")["group"]["owners"]
    assert owners[0] == ADELE
    assert len(owners) == 2


def test_owners_that_are_not_declared_are_left_alone(emulator: Emulator):
    apply(emulator)
    admin(emulator, "Set-DistributionGroup", Identity=ALIAS, ManagedBy=[LEE])
    assert run(MODULE, {"name": NAME, "alias": ALIAS, "members": [FAX]}, emulator)["outcome"] == "ok"


# ---- which group ----------------------------------------------------------------------------------------------------


def test_a_group_made_by_hand_is_taken_over_and_not_marked(emulator: Emulator):
    admin(emulator, "New-DistributionGroup", Name="x1", DisplayName=NAME, Alias=ALIAS, Type="Security", Members=[FAX])
    result = settled(emulator)
    assert result["group"]["made_here"] is False
    assert apply(emulator, state="absent")["outcome"] == "blocked"
    kept = apply(emulator, state="absent", on_foreign_group="keep")
    assert kept["outcome"] == "ok"
    assert group_in(emulator) is not None
    assert apply(emulator, state="absent", force=True)["outcome"] == "changed"
    assert group_in(emulator) is None


def test_a_group_found_by_its_address_gets_its_alias(emulator: Emulator):
    apply(emulator, address=at("scope"))
    admin(emulator, "Set-DistributionGroup", Identity=at("scope"), Alias="somethingelse")
    result = settled(emulator, address=at("scope"))
    assert result["steps"] == [f"set Alias of the group {NAME}"]
    assert result["group"]["alias"] == ALIAS


@pytest.mark.parametrize(
    ("alias", "words"),
    [
        ("team", "Microsoft 365 group"),
        ("sales", "distribution list"),
        ("everybody", "dynamic distribution list"),
        ("fax", "user mailbox"),
        ("partner", "mail contact"),
    ],
)
def test_another_kind_under_the_alias_is_told_by_its_type(emulator: Emulator, alias: str, words: str):
    for state in ("present", "absent"):
        result = apply(emulator, alias=alias, state=state)
        assert result["outcome"] == "blocked"
        assert words in result["msg"]
        assert sent(emulator) == ["$batch"]


def test_a_name_that_is_taken_is_told_before_anything_is_made(emulator: Emulator):
    for name in ("VIP", "Team", "sales"):
        result = apply(emulator, name=name)
        assert result["outcome"] == "blocked"
        assert name.casefold() in result["msg"].casefold()
        assert changes(emulator) == []


def test_a_namesake_made_later_is_worth_a_warning(emulator: Emulator):
    apply(emulator)
    admin(emulator, "New-DistributionGroup", Name="late", DisplayName=NAME, Alias="late", Type="Security")
    result = apply(emulator)
    assert (result["outcome"], sent(emulator)) == ("ok", ["$batch"])
    assert at("late") in result["warnings"][0]


def test_two_recipients_under_alias_and_address_are_listed(emulator: Emulator):
    result = apply(emulator, alias="vip", address=at("synced"))
    assert result["outcome"] == "blocked"
    assert {one["address"] for one in result["error"]["details"]["found"]} == {at("vip"), at("synced")}


def test_another_group_named_like_the_alias_does_not_lend_its_members(emulator: Emulator):
    """As an identity the alias means both groups; what is read has to be the one that bears the alias."""
    apply(emulator)
    admin(emulator, "New-DistributionGroup", Name=ALIAS, Alias="decoy", Type="Security", Members=[LEE])
    result = apply(emulator)
    assert (result["outcome"], result["members"]) == ("ok", [FAX])
    admin(emulator, "Set-DistributionGroup", Identity=at(ALIAS), Alias="renamed")
    result = apply(emulator, address=at(ALIAS))
    assert (result["outcome"], result["members"], result["members_added"]) == ("changed", [FAX], [])


def test_a_synchronized_group_is_read_and_not_changed(emulator: Emulator):
    assert apply(emulator, alias="synced", name="Synced")["outcome"] == "ok"
    result = apply(emulator, alias="synced", name="Synced", members=[FAX, HELP])
    assert result["outcome"] == "blocked"
    assert "on premises" in result["msg"]
    assert changes(emulator) == []


# ---- who can be in it -----------------------------------------------------------------------------------------------


def test_everything_wrong_with_the_members_is_told_at_once(emulator: Emulator):
    wrong = [at("nobody"), "partner@elsewhere.example", at("onprem"), at("team"), at("vip"), at("everybody")]
    result = apply(emulator, members=[FAX, *wrong], owners=[at("nobody2")])
    assert result["outcome"] == "blocked"
    assert [one["address"] for one in result["error"]["details"]["candidates"]] == [*wrong, at("nobody2")]
    for words in ("mail contact", "mail user", "Microsoft 365 group", "security group", "dynamic distribution list"):
        assert words in result["msg"]
    assert changes(emulator) == []


def test_nothing_is_asked_when_an_option_is_wrong(emulator: Emulator):
    result = apply(emulator, members=["fax at contoso"])
    assert result["outcome"] == "failed"
    assert "fax at contoso" in result["msg"]
    assert emulator.journal() == []


def test_a_failed_read_is_not_an_absent_group(emulator: Emulator):
    apply(emulator)
    for cmdlet in ("Get-Recipient", "Get-DistributionGroup", "Get-DistributionGroupMember"):
        emulator.faults([{"match": {"cmdlet": cmdlet}, "times": 99, "effect": {"status": 403}}])
        for state in ("present", "absent"):
            result = apply(emulator, state=state)
            assert result["outcome"] == "failed", (cmdlet, state, result)
            assert changes(emulator) == []


def test_an_operator_without_the_role_is_told_which(emulator: Emulator):
    other = {"client_id": "11111111-0000-4000-8000-000000000002", "client_secret": "no-role"}
    result = apply(emulator, connection=other)
    assert result["outcome"] == "blocked"
    assert "Exchange Administrator" in result["error"]["cure"]


# ---- removing -------------------------------------------------------------------------------------------------------


def test_the_group_is_removed_once(emulator: Emulator):
    apply(emulator)
    planned = apply(emulator, check_mode=True, state="absent")
    assert planned["changed"] is True
    assert group_in(emulator) is not None
    result = apply(emulator, state="absent")
    assert sent(emulator) == ["$batch", "$batch", "Remove-DistributionGroup", "$batch"]
    assert result["steps"] == planned["steps"]
    assert group_in(emulator) is None
    again = apply(emulator, state="absent")
    assert (again["outcome"], again["summary"]) == ("ok", "no such group")
    assert sent(emulator) == ["$batch"]


def test_a_group_in_use_is_not_removed(emulator: Emulator):
    apply(emulator)
    admin(
        emulator, "New-ApplicationAccessPolicy", AppId=APP, PolicyScopeGroupId=at(ALIAS), AccessRight="RestrictAccess"
    )
    for options in ({}, {"force": True}, {"app_id": APP}):
        result = apply(emulator, state="absent", **options)
        assert result["outcome"] == "blocked"
        assert APP in result["msg"]
    assert group_in(emulator) is not None
    assert apply(emulator, check_mode=True, state="absent", app_id=APP)["outcome"] == "changed"


# ---- when things go wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cmdlet", ["New-DistributionGroup", "Set-DistributionGroup", "Add-DistributionGroupMember"])
@pytest.mark.parametrize("effect", ["drop_before", "drop_after"])
def test_an_answer_that_is_lost_costs_nothing(emulator: Emulator, cmdlet: str, effect: str):
    if cmdlet == "Add-DistributionGroupMember":
        apply(emulator)
    emulator.faults([{"match": {"cmdlet": cmdlet}, "times": 1, "effect": effect}])
    result = apply(emulator, members=[FAX, HELP])
    assert (result.get("failed"), result["changed"]) == (None, True), result
    emulator.faults([])
    assert apply(emulator, members=[FAX, HELP])["outcome"] == "ok"
    groups = [group for group in emulator.state(TENANT_ID)["groups"] if group["Alias"] == ALIAS]
    assert [group["members"] for group in groups] == [[FAX, HELP]]


def test_a_stumbling_exchange_is_asked_again(emulator: Emulator):
    reason = {"code": "Context", "target": "", "message": "Ex1|Microsoft.Exchange.ServerBusyException|Busy."}
    busy = {"error": {"code": "BadRequest", "message": "Error executing cmdlet", "details": [reason]}}
    emulator.faults(
        [
            {"match": {"cmdlet": cmdlet}, "times": 1, "effect": {"status": 400, "body": busy}}
            for cmdlet in ("Get-DistributionGroupMember", "New-DistributionGroup")
        ]
    )
    assert apply(emulator)["outcome"] == "changed"
    assert sent(emulator).count("New-DistributionGroup") == 2


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_many_members_take_few_requests_to_compare(transport: str):
    people = [{"address": at(f"user{number:04}"), "display_name": f"User {number}"} for number in range(300)]
    tenants = {"tenants": [{**TENANTS["tenants"][0], "mailboxes": people, "groups": []}]}
    members = [person["address"] for person in people]
    with start_emulator(tenants, transport) as emulator:
        assert apply(emulator, members=members[:-1])["outcome"] == "changed"
        assert apply(emulator, members=members[:-1])["outcome"] == "ok"
        assert sent(emulator) == ["$batch"]
        result = apply(emulator, members=members)
        assert result["members_added"] == [members[-1]]
        assert sent(emulator).count("$batch") <= 4
        assert len(result["members"]) == 300


@pytest.mark.slow
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_realistic_tenant_ends_where_a_calm_one_does(transport: str):
    with start_emulator(TENANTS, transport, profile="realistic") as emulator:
        result = apply(emulator, members=[FAX, HELP], owners=[ADELE])
        assert result["outcome"] == "changed", result
        assert result["members"] == [FAX, HELP]
        assert apply(emulator, members=[FAX, HELP], owners=[ADELE])["outcome"] == "ok"
        result = apply(emulator, members=[FAX], owners=[ADELE], on_foreign_members="remove")
        assert (result["outcome"], result["members"]) == ("changed", [FAX])
        assert LIDIA not in result["members"]
