# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exchange_security_group where scopes of roles stand on the group: nobody else reaches more, none goes too early."""

from __future__ import annotations

import typing as t

from tests.emulator.testing import Emulator
from tests.integration.app_roles import (
    APP,
    BOSS,
    CONTROL,
    FAX,
    NEW,
    OTHER,
    READ,
    SCOPE,
    by_hand,
    dn_of,
    tenants,
)
from tests.integration.app_roles import apply as assign
from tests.integration.exchange_admin import admin, at, changes, sent
from tests.integration.harness import TENANT_ID, run
from tests.integration.transports import emulators, start_emulator

MADE = {"name": "Made here", "alias": "made.here", "members": [FAX], "owners": []}


running, quick, both, emulator = emulators(tenants())


def group(emulator: Emulator, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    emulator.clear_journal()
    return run("exchange_security_group", {**MADE, **options}, emulator, check_mode)


def members(emulator: Emulator, alias: str = "made.here") -> set[str]:
    [found] = [one for one in emulator.state(TENANT_ID)["groups"] if one["Alias"] == alias]
    return {str(one) for one in found["members"]}


def test_another_applications_scope_on_the_group_is_not_widened(both: Emulator):
    group(both)
    dn = dn_of(both, "made.here")
    admin(both, "New-ManagementScope", Name="T", RecipientRestrictionFilter=f"MemberOfGroup -eq '{dn}'")
    by_hand(both, name="t", role=READ, app_id=OTHER, CustomResourceScope="T")
    told = group(both, members=[FAX, BOSS], app_id=APP)
    assert told["outcome"] == "blocked", told
    assert "Another one" in told["msg"]
    assert changes(both) == []
    assert both.exposures(app_id=OTHER, declared=[FAX, CONTROL]) == []
    told = group(both, members=[FAX, BOSS], app_id=APP, accept_shared_group=[OTHER])
    assert told["outcome"] == "changed", told
    told = group(both, members=[FAX], app_id=APP, on_foreign_members="remove")
    assert any("may lose" in text for text in told["warnings"])


def test_a_group_is_not_made_into_a_scope_that_outlived_its_namesake(emulator: Emulator):
    name = "O'Brien, made (here)"
    group(emulator, name=name)
    dn = dn_of(emulator, "made.here").replace("'", "''")
    group(emulator, name=name, state="absent", app_id=APP)
    admin(emulator, "New-ManagementScope", Name="T", RecipientRestrictionFilter=f"MemberOfGroup -eq '{dn}'")
    by_hand(emulator, name="t", role=READ, app_id=OTHER, CustomResourceScope="T")
    for check_mode in (True, False):
        told = group(emulator, name=name, app_id=APP, check_mode=check_mode)
        assert (told["outcome"], changes(emulator)) == ("blocked", [])
        assert "Another one" in told["msg"]
    assert emulator.exposures(app_id=OTHER, declared=[CONTROL]) == []
    assert group(emulator, name=name, app_id=OTHER)["outcome"] == "changed"


def test_an_application_of_the_same_display_name_is_another_one(emulator: Emulator):
    admin(emulator, "Set-ServicePrincipal", Identity=OTHER, DisplayName="Mail2DigitalFax")
    group(emulator)
    dn = dn_of(emulator, "made.here")
    admin(emulator, "New-ManagementScope", Name="T", RecipientRestrictionFilter=f"MemberOfGroup -eq '{dn}'")
    by_hand(emulator, name="t", role=READ, app_id=OTHER, CustomResourceScope="T")
    told = group(emulator, members=[FAX, BOSS], app_id=APP)
    assert told["outcome"] == "blocked", told
    assert emulator.exposures(app_id=OTHER, declared=[FAX, CONTROL]) == []


def test_the_own_scope_does_not_stand_in_the_way(emulator: Emulator):
    group(emulator)
    assign(emulator, group="made.here", mailboxes=[FAX])
    assert group(emulator, members=[FAX, BOSS], app_id=APP)["outcome"] == "changed"
    # The tenant tells whose group it is, where nobody says so.
    assert group(emulator, members=[FAX, BOSS, CONTROL])["outcome"] == "changed"
    assert group(emulator, members=[FAX, BOSS, CONTROL], app_id=APP)["outcome"] == "ok"
    assert sent(emulator) == ["$batch"]


def test_a_group_stays_while_a_scope_names_it(both: Emulator):
    group(both)
    assign(both, group="made.here", mailboxes=[FAX])
    told = group(both, state="absent", app_id=APP)
    assert told["outcome"] == "blocked"
    assert SCOPE in told["msg"]
    assert group(both, check_mode=True, state="absent", app_id=APP)["outcome"] == "changed"
    assert group(both, check_mode=True, state="absent", app_id=NEW)["outcome"] == "blocked"
    assign(both, state="absent")
    assert group(both, state="absent", app_id=APP)["outcome"] == "changed"


def test_a_filter_that_nobody_understands_is_no_reason_to_go(emulator: Emulator):
    group(emulator)
    dn = dn_of(emulator, "made.here")
    text = f"MemberOfGroup -eq '{dn}' -and CustomAttribute1 -eq 'x'"
    admin(emulator, "New-ManagementScope", Name="Odd", RecipientRestrictionFilter=text)
    assert group(emulator, state="absent", app_id=APP)["outcome"] == "blocked"


def test_a_group_in_the_group_stops_or_is_taken_out(emulator: Emulator):
    group(emulator)
    admin(emulator, "Add-DistributionGroupMember", Identity="made.here", Member="Other group")
    told = group(emulator, on_nested_group="fail", on_foreign_members="remove")
    assert told["outcome"] == "blocked"
    assert "direct members only" in told["msg"]
    assert told["error"]["options"] == ["on_nested_group"]
    told = group(emulator, on_nested_group="flatten")
    assert told["outcome"] == "changed", told
    assert members(emulator) == {FAX}
    assert group(emulator, on_nested_group="flatten")["outcome"] == "ok"


def test_without_exclusive_members_who_is_in_it_comes_in_its_place(emulator: Emulator):
    group(emulator)
    admin(emulator, "New-DistributionGroup", Name="Deep", Alias="deep", Type="Security", Members=[BOSS, at("user1")])
    admin(emulator, "Add-DistributionGroupMember", Identity="other.group", Member="deep")
    admin(emulator, "Add-DistributionGroupMember", Identity="made.here", Member="Other group")
    told = group(emulator, on_nested_group="flatten", exclusive_members=False)
    assert told["outcome"] == "changed", told
    assert members(emulator) == {FAX, CONTROL, BOSS, at("user1")}
    again = group(emulator, on_nested_group="flatten", exclusive_members=False)
    assert (again["outcome"], changes(emulator)) == ("ok", [])


def test_a_role_on_the_group_itself_counts_like_one_on_a_scope(emulator: Emulator):
    group(emulator)
    by_hand(emulator, name="t", role=READ, app_id=OTHER, RecipientGroupScope="made.here")
    told = group(emulator, members=[FAX, BOSS], app_id=APP)
    assert told["outcome"] == "blocked", told
    assert "Another one" in told["msg"]
    assert group(emulator, state="absent", app_id=APP)["outcome"] == "blocked"
    # Exchange need not show the scope that it made of it.
    emulator.faults(
        [{"match": {"cmdlet": "Get-ManagementScope"}, "times": 9, "effect": {"status": 200, "body": {"value": []}}}]
    )
    told = group(emulator, members=[FAX, BOSS], app_id=APP)
    assert told["outcome"] == "blocked", told
    assert "Another one" in told["msg"]
    assert group(emulator, state="absent", app_id=APP)["outcome"] == "blocked"


def test_lists_of_more_than_a_page_are_read_to_their_end():
    """The last scope and the last assignment of the tenant are the other application's, on the group."""
    many = 1005
    strangers = [f"33333333-0000-4000-8000-{number:012}" for number in range(many)]
    large = tenants(
        exchange_service_principals=[
            *({"app_id": one, "object_id": one.replace("3", "4")} for one in strangers),
            {"app_id": APP},
            {"app_id": OTHER},
        ],
        groups=[{"name": "Made here", "alias": "made.here", "members": [FAX]}],
        management_scopes=[
            *({"name": f"S{number}", "filter": f"CustomAttribute1 -eq '{number}'"} for number in range(many)),
            {"name": "T", "group": "Made here"},
        ],
        role_assignments=[
            *(
                {"name": f"a{number}", "app_id": one, "role": READ, "scope": f"S{number}"}
                for number, one in enumerate(strangers)
            ),
            {"name": "t", "app_id": OTHER, "role": READ, "scope": "T"},
        ],
        switches={"unknown_service_principal": "everything"},
    )
    with start_emulator(large, "rest") as emulator:
        told = group(emulator, members=[FAX, BOSS], app_id=APP)
        assert told["outcome"] == "blocked", told
        assert "Another one" in told["msg"]
        taken = assign(emulator, group="made.here", mailboxes=[FAX], scope_name="S1003")
        assert taken["outcome"] == "blocked", taken
        assert assign(emulator, group="made.here", mailboxes=[FAX])["outcome"] == "changed"
        assert assign(emulator, group="made.here", mailboxes=[FAX])["outcome"] == "ok"
