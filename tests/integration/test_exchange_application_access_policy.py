# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exchange_application_access_policy: the right policy, and never a moment without one."""

from __future__ import annotations

import typing as t
import uuid

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import ServiceError
from tests.emulator.testing import Emulator
from tests.integration.exchange_admin import (
    ALIAS,
    APP,
    FAX,
    LEE,
    NAME,
    OTHER_APP,
    TENANTS,
    admin,
    at,
    changes,
    group_in,
    policies_in,
    sent,
)
from tests.integration.harness import TENANT_ID, run
from tests.integration.transports import TRANSPORTS, start_emulator

ZERO = "00000000-0000-0000-0000-000000000000"
TEXT = "Restrict Imagicle Digital Fax accessible mailboxes"
WANTED: dict[str, t.Any] = {"app_id": APP, "group": ALIAS, "description": TEXT}


@pytest.fixture(scope="module", params=TRANSPORTS)
def running(request: pytest.FixtureRequest) -> t.Iterator[Emulator]:
    with start_emulator(TENANTS, request.param) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    running.reset()
    running.faults([])
    made = run("exchange_security_group", {"name": NAME, "alias": ALIAS, "members": [FAX], "owners": []}, running)
    assert made["outcome"] == "changed"
    running.clear_journal()
    return running


def apply(emulator: Emulator, check_mode: bool = False, connection: dict[str, t.Any] | None = None, **options: t.Any):
    emulator.clear_journal()
    options = {**WANTED, **options}
    return run("exchange_application_access_policy", options, emulator, check_mode, **(connection or {}))


def settled(emulator: Emulator, **options: t.Any) -> dict[str, t.Any]:
    first = apply(emulator, **options)
    assert not first.get("failed"), first
    again = apply(emulator, **options)
    assert (again["changed"], again["outcome"]) == (False, "ok"), again
    assert sent(emulator) == ["$batch"]
    assert again["policy"] == first["policy"]
    return first


def new_policy(emulator: Emulator, scope: str = "vip", right: str = "RestrictAccess", app_id: str = APP) -> str:
    [made] = admin(emulator, "New-ApplicationAccessPolicy", AppId=app_id, PolicyScopeGroupId=scope, AccessRight=right)
    return str(made["Identity"])


def in_force(emulator: Emulator) -> list[tuple[str, str, str]]:
    return sorted((one["AppId"], one["ScopeName"], one["AccessRight"]) for one in policies_in(emulator))


OURS = (APP, NAME, "RestrictAccess")


def test_a_policy_is_made_once(emulator: Emulator):
    result = settled(emulator)
    assert result["outcome"] == "changed"
    assert in_force(emulator) == [OURS]
    assert result["policy"]["description"] == TEXT
    assert result["policy"]["group"] == at(ALIAS)
    assert result["policy"]["group_name"] == NAME
    assert result["policy"]["identity"] == policies_in(emulator)[0]["Identity"]
    assert result["in_force_by"] > "2026"


def test_a_new_policy_takes_three_requests(emulator: Emulator):
    apply(emulator)
    assert sent(emulator) == ["$batch", "New-ApplicationAccessPolicy", "$batch"]


@pytest.mark.parametrize("way", ["address", "alias", "name", "guid", "object id"])
def test_the_group_may_be_named_in_every_way(emulator: Emulator, way: str):
    group = group_in(emulator)
    assert group is not None
    names = {
        "address": group["PrimarySmtpAddress"].upper(),
        "alias": ALIAS,
        "name": NAME.lower(),
        "guid": group["Guid"],
        "object id": group["ExternalDirectoryObjectId"],
    }
    settled(emulator, group=names[way])
    assert in_force(emulator) == [OURS]


def test_names_arrive_as_literals(emulator: Emulator):
    odd = "\u200fפקס O'Fax $(Get-Mailbox) -or Name -like '*'"
    options = {"name": odd, "alias": "o'fax$x", "members": [FAX], "owners": []}
    assert run("exchange_security_group", options, emulator)["outcome"] == "changed"
    settled(emulator, group=odd, description=f"for {odd}")
    assert in_force(emulator) == [(APP, odd, "RestrictAccess")]
    assert policies_in(emulator)[0]["Description"] == f"for {odd}"


def test_check_mode_walks_on_an_empty_tenant(emulator: Emulator):
    emulator.reset()
    planned = apply(emulator, check_mode=True, app_id=ZERO)
    assert (planned["changed"], planned["outcome"]) == (True, "changed")
    assert planned["diff"]["after"]["PolicyScopeGroupId"] == ALIAS
    assert sent(emulator) == ["$batch"]
    assert policies_in(emulator) == []
    assert apply(emulator)["outcome"] == "blocked"


def test_check_mode_shows_the_same_and_writes_nothing(emulator: Emulator):
    planned = apply(emulator, check_mode=True)
    assert sent(emulator) == ["$batch"]
    done = apply(emulator)
    assert planned["steps"] == done["steps"]
    assert planned["diff"] == done["diff"]
    assert apply(emulator, check_mode=True)["changed"] is False


# ---- drift ----------------------------------------------------------------------------------------------------------


def test_a_missing_policy_comes_back(emulator: Emulator):
    identity = apply(emulator)["policy"]["identity"]
    admin(emulator, "Remove-ApplicationAccessPolicy", Identity=identity)
    settled(emulator)
    assert in_force(emulator) == [OURS]


def test_the_description_is_mended_in_place(emulator: Emulator):
    identity = apply(emulator)["policy"]["identity"]
    admin(emulator, "Set-ApplicationAccessPolicy", Identity=identity, Description="changed by hand")
    seen = apply(emulator, check_mode=True)
    assert seen["diff"]["before"]["Description"] == "changed by hand"
    result = apply(emulator)
    assert changes(emulator) == ["Set-ApplicationAccessPolicy"]
    assert result["policy"]["identity"] == identity
    assert policies_in(emulator)[0]["Description"] == TEXT
    assert apply(emulator)["outcome"] == "ok"


def test_a_second_policy_stops_the_task_and_can_be_removed_or_kept(emulator: Emulator):
    settled(emulator)
    new_policy(emulator, "vip", "DenyAccess")
    new_policy(emulator, "vip", "RestrictAccess", OTHER_APP)
    stopped = apply(emulator)
    assert (stopped["outcome"], stopped["changed"]) == ("blocked", False)
    assert changes(emulator) == []
    assert [one["scope_name"] for one in stopped["error"]["details"]["policies"]] == ["VIP"]
    kept = settled(emulator, on_other_policies="keep")
    assert "VIP" in kept["warnings"][0]
    settled(emulator, on_other_policies="remove")
    assert in_force(emulator) == [OURS, (OTHER_APP, "VIP", "RestrictAccess")]


def test_a_policy_for_every_application_is_told_and_stays(emulator: Emulator):
    settled(emulator)
    new_policy(emulator, "vip", "DenyAccess", "*")
    assert apply(emulator)["outcome"] == "blocked"
    result = settled(emulator, on_other_policies="remove")
    assert "every application" in result["warnings"][0]
    assert ("*", "VIP", "DenyAccess") in in_force(emulator)


def test_another_group_is_taken_without_a_moment_of_no_policy(emulator: Emulator):
    new_policy(emulator, "vip")
    apply(emulator, on_other_policies="remove")
    assert changes(emulator) == ["New-ApplicationAccessPolicy", "Remove-ApplicationAccessPolicy"]
    assert in_force(emulator) == [OURS]
    settled(emulator)


def test_a_group_made_anew_is_another_group(emulator: Emulator):
    apply(emulator)
    admin(emulator, "Remove-DistributionGroup", Identity=ALIAS)
    run("exchange_security_group", {"name": NAME, "alias": ALIAS, "members": [FAX], "owners": []}, emulator)
    stopped = apply(emulator)
    assert stopped["outcome"] == "blocked"
    settled(emulator, on_other_policies="remove")
    group = group_in(emulator)
    assert group is not None
    [policy] = policies_in(emulator)
    assert policy["ScopeIdentityRaw"].endswith(group["ExternalDirectoryObjectId"])


@pytest.mark.parametrize(("is_", "wanted"), [("RestrictAccess", "DenyAccess"), ("DenyAccess", "RestrictAccess")])
def test_the_other_right_waits_for_a_bridge(emulator: Emulator, is_: str, wanted: str):
    new_policy(emulator, ALIAS, is_)
    assert apply(emulator, access_right=wanted)["outcome"] == "blocked"
    assert in_force(emulator) == [(APP, NAME, is_)]
    new_policy(emulator, "vip")
    settled(emulator, access_right=wanted, on_other_policies="keep")
    assert in_force(emulator) == [(APP, NAME, wanted), (APP, "VIP", "RestrictAccess")]


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("sales", "distribution list"),
        ("Team", "Microsoft 365 group"),
        ("everybody", "dynamic distribution list"),
        (LEE, "user mailbox"),
        ("nothing like it", "no group"),
        (at("nobody"), "no group"),
        ("33333333-0000-4000-8000-000000000003", "no group"),
    ],
)
def test_what_cannot_be_the_scope_is_told(emulator: Emulator, group: str, words: str):
    result = apply(emulator, group=group)
    assert result["outcome"] == "blocked"
    assert words in result["msg"]
    assert changes(emulator) == []


def test_two_groups_of_one_display_name_are_listed(emulator: Emulator):
    for alias in ("twin1", "twin2"):
        admin(emulator, "New-DistributionGroup", Name=alias, DisplayName="Twin", Alias=alias, Type="Security")
    result = apply(emulator, group="Twin")
    assert result["outcome"] == "blocked"
    assert {one["address"] for one in result["error"]["details"]["found"]} == {at("twin1"), at("twin2")}
    settled(emulator, group="twin2")


def test_nothing_is_asked_when_an_option_is_wrong(emulator: Emulator):
    for wrong in ({"app_id": "1cb8b5d2-8724-4f32-8152-a16a230b682g"}, {"app_id": ZERO}, {"group": ""}):
        assert apply(emulator, **wrong)["outcome"] == "failed"
        assert emulator.journal() == []


def test_a_failed_read_is_not_an_absent_policy(emulator: Emulator):
    apply(emulator)
    for cmdlet in ("Get-ApplicationAccessPolicy", "Get-Recipient"):
        for status in (403, 404):
            emulator.faults([{"match": {"cmdlet": cmdlet}, "times": 99, "effect": {"status": status}}])
            for state in ("present", "absent"):
                assert apply(emulator, state=state)["outcome"] == "failed", (cmdlet, status, state)
                assert changes(emulator) == []


def fill(emulator: Emulator, description: str) -> None:
    for _number in range(500):
        scope = {"PolicyScopeGroupId": "vip", "AccessRight": "RestrictAccess"}
        admin(emulator, "New-ApplicationAccessPolicy", AppId=str(uuid.uuid4()), Description=description, **scope)


def test_no_room_for_another_policy_is_told_with_the_cure(emulator: Emulator):
    for description in ("x" * 1000, " "):
        with pytest.raises(ServiceError, match="exceeded the limit"):
            fill(emulator, description)
    result = apply(emulator)
    assert result["outcome"] == "failed"
    assert "remove policies" in result["error"]["cure"]


# ---- removing -------------------------------------------------------------------------------------------------------


def test_the_policy_is_removed_once_and_others_stay(emulator: Emulator):
    apply(emulator)
    new_policy(emulator, "vip", "RestrictAccess", OTHER_APP)
    result = apply(emulator, state="absent")
    assert (result["outcome"], result["policy"]) == ("changed", None)
    assert sent(emulator) == ["$batch", "Remove-ApplicationAccessPolicy", "$batch"]
    assert in_force(emulator) == [(OTHER_APP, "VIP", "RestrictAccess")]
    assert apply(emulator, state="absent")["outcome"] == "ok"
    assert sent(emulator) == ["$batch"]


def test_the_last_policy_of_a_tenant_is_removed(emulator: Emulator):
    """Afterwards Exchange answers the question for policies with an error."""
    apply(emulator)
    assert apply(emulator, state="absent")["outcome"] == "changed"
    assert apply(emulator, state="absent")["outcome"] == "ok"


@pytest.mark.parametrize("by", [ALIAS, NAME])
def test_a_policy_whose_group_is_gone_is_found_by_name(emulator: Emulator, by: str):
    apply(emulator)
    admin(emulator, "Remove-DistributionGroup", Identity=ALIAS)
    result = apply(emulator, state="absent", group=by)
    if by == NAME:
        assert result["outcome"] == "changed"
        assert policies_in(emulator) == []
    else:  # what the policy remembers is the group's name, not its alias
        assert result["outcome"] == "ok"
        assert NAME in result["warnings"][0]


# ---- when things go wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cmdlet", ["New-ApplicationAccessPolicy", "Remove-ApplicationAccessPolicy"])
@pytest.mark.parametrize("effect", ["drop_before", "drop_after"])
def test_an_answer_that_is_lost_costs_nothing(emulator: Emulator, cmdlet: str, effect: str):
    new_policy(emulator, "vip")
    emulator.faults([{"match": {"cmdlet": cmdlet}, "times": 1, "effect": effect}])
    result = apply(emulator, on_other_policies="remove")
    assert (result.get("failed"), result["changed"]) == (None, True), result
    assert in_force(emulator) == [OURS]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_group_without_an_object_id_yet_gets_its_policy(transport: str):
    with start_emulator(TENANTS, transport, profile="realistic") as emulator:
        made = run("exchange_security_group", {"name": NAME, "alias": ALIAS, "members": [FAX], "owners": []}, emulator)
        assert made["outcome"] == "changed", made
        first = apply(emulator)
        assert first["outcome"] == "changed", first
        assert apply(emulator)["outcome"] == "ok"
        assert len(emulator.state(TENANT_ID)["applicationAccessPolicies"]) == 1
