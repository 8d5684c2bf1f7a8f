# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exchange_application_role: roles within the group's members, never an assignment without a scope."""

from __future__ import annotations

import typing as t

import pytest

from tests.emulator.testing import Emulator
from tests.integration.app_roles import (
    APP,
    CONTROL,
    EWS,
    EXCHANGE_ONLINE,
    FAX,
    GROUP,
    NAME,
    NEW,
    OTHER,
    READ,
    SCOPE,
    SEND,
    SMTP,
    STRANGE,
    WRITE,
    WRONG,
    apply,
    assigned,
    by_hand,
    consent,
    dn_of,
    filters,
    granted,
    holds_the_group,
    tenants,
    too_wide,
)
from tests.integration.exchange_admin import admin, changes, sent
from tests.integration.harness import GRAPH, requests_to, run
from tests.integration.transports import emulators, start_emulator

NO = {"status": 403, "body": {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges."}}}
ZERO = "00000000-0000-0000-0000-000000000000"
OURS = {f"mail2fax-2cb8b5d28724-{name}": (f"Application {name}", SCOPE) for name in ("Mail.ReadWrite", "Mail.Send")}


running, quick, both, emulator = emulators(tenants())


def settled(emulator: Emulator, **options: t.Any) -> dict[str, t.Any]:
    first = apply(emulator, **options)
    assert not first.get("failed"), first
    again = apply(emulator, **options)
    assert (again["changed"], again["outcome"]) == (False, "ok"), again
    assert changes(emulator) == []
    assert again["assignments"] == first["assignments"]
    return first


def blocked(result: dict[str, t.Any], *words: str, emulator: Emulator | None = None) -> dict[str, t.Any]:
    assert result["outcome"] == "blocked", result
    assert result["changed"] is False
    for word in words:
        assert word in result["msg"], result["msg"]
    if emulator is not None:
        assert changes(emulator) == []
    return t.cast("dict[str, t.Any]", result["error"])


# ---- what is declared -----------------------------------------------------------------------------------------------


def test_roles_are_assigned_once_and_taken_back(both: Emulator):
    before = (filters(both), assigned(both, OTHER))
    result = settled(both)
    assert result["outcome"] == "changed"
    assert assigned(both) == OURS
    assert holds_the_group(both)
    assert result["scope"]["name"] == SCOPE
    assert result["scope"]["group"].startswith(GROUP)
    assert {(one["kind"], one["id"]) for one in result["added"]} == {
        ("scope", SCOPE),
        *(("assignment", name) for name in OURS),
    }
    assert result["in_force_by"] > "2026"
    assert too_wide(both) == []
    gone = apply(both, state="absent", roles=[])
    assert (gone["outcome"], assigned(both)) == ("changed", {})
    assert (filters(both), assigned(both, OTHER)) == before
    assert apply(both, state="absent", roles=[])["outcome"] == "ok"


def test_nothing_to_change_takes_one_request_to_each(emulator: Emulator):
    apply(emulator)
    apply(emulator)
    assert sent(emulator) == ["$batch"]
    assert len(requests_to(emulator, GRAPH)) == 1


@pytest.mark.parametrize("as_sent", [True, False])
def test_a_filter_may_come_back_in_another_form(as_sent: bool):
    with start_emulator(tenants(switches={"filters_as_sent": as_sent}), "rest") as emulator:
        settled(emulator)


def test_what_is_right_is_shown_in_the_form_it_has(emulator: Emulator):
    apply(emulator)
    text = f"((memberofgroup -EQ '{dn_of(emulator).upper().replace(chr(39), chr(39) * 2)}'))"
    admin(emulator, "Set-ManagementScope", Identity=SCOPE, RecipientRestrictionFilter=text)
    result = apply(emulator)
    assert result["outcome"] == "ok"
    assert result["diff"]["before"] == result["diff"]["after"]
    assert result["scope"]["filter"] == filters(emulator)[SCOPE]


def test_permissions_may_stand_for_roles_and_two_mean_one(emulator: Emulator):
    result = settled(emulator, roles=["Mail.ReadBasic", "Mail.ReadBasic.All", "application mail.send"])
    assert [one["role"] for one in result["assignments"]] == ["Application Mail.ReadBasic", SEND]
    assert len(assigned(emulator)) == 2


def test_smtp_and_ews_have_roles_and_imap_has_none(emulator: Emulator):
    settled(emulator, roles=["SMTP.SendAsApp", "full_access_as_app"])
    assert {role for role, _scope in assigned(emulator).values()} == {SMTP, EWS}
    refused = apply(emulator, roles=["IMAP.AccessAsApp"])
    assert "exchange_mailbox_permission" in refused["msg"]
    assert requests_to(emulator, GRAPH) == []
    assert "Mail.Send" in apply(emulator, roles=["Mail.Sent"])["error"]["cure"]


@pytest.mark.parametrize("group", [NAME, f"{GROUP}@imagicleucdev.onmicrosoft.com", GROUP.upper()])
def test_the_group_may_be_named_in_every_way(emulator: Emulator, group: str):
    settled(emulator, group=group)
    assert holds_the_group(emulator)


def test_check_mode_writes_nothing_and_shows_all(emulator: Emulator):
    result = apply(emulator, check_mode=True)
    assert (result["changed"], changes(emulator), assigned(emulator)) == (True, [], {})
    assert result["diff"]["after"]["Scope"] == SCOPE
    assert len(result["diff"]["after"]["Assignments"]) == 2
    assert {one["name"] for one in result["assignments"]} == set(OURS)


def test_check_mode_in_a_tenant_where_nothing_is_yet(emulator: Emulator):
    result = apply(emulator, check_mode=True, app_id=ZERO, group="not.yet")
    assert result["outcome"] == "changed", result
    assert "known after the run" in result["diff"]["after"]["RecipientFilter"]


def test_a_name_is_made_of_the_id_where_none_is_given(emulator: Emulator):
    result = settled(emulator, scope_name=None)
    assert result["scope"]["name"] == "mail2fax-2cb8b5d28724"


# ---- what stands in the way -----------------------------------------------------------------------------------------


def test_exchange_has_to_know_the_application(emulator: Emulator):
    blocked(apply(emulator, app_id=NEW), "exchange_service_principal", emulator=emulator)


def test_a_pointer_that_leads_elsewhere_gets_no_role(emulator: Emulator):
    blocked(apply(emulator, app_id=WRONG), "on_wrong_pointer", emulator=emulator)


@pytest.mark.parametrize(
    ("group", "word"),
    [("team", "owners"), ("list", "mail-enabled security group"), ("nobody", "knows no group")],
)
def test_a_group_that_cannot_limit_is_refused(emulator: Emulator, group: str, word: str):
    blocked(apply(emulator, group=group, mailboxes=None), word, emulator=emulator)


def test_members_of_groups_in_the_group_are_out_of_reach_and_named(emulator: Emulator):
    blocked(apply(emulator, group="nested"), "what nobody declared", emulator=emulator)
    result = apply(emulator, group="nested", mailboxes=None)
    assert any("direct members only" in text for text in result["warnings"])
    assert too_wide(emulator, [FAX]) == []


def test_a_member_that_nobody_declared_stops_the_grant(emulator: Emulator):
    admin(emulator, "Add-DistributionGroupMember", Identity=GROUP, Member=CONTROL)
    error = blocked(apply(emulator), "what nobody declared", emulator=emulator)
    assert error["options"] == ["mailboxes"]


def test_somebody_else_who_can_sign_in_stops_the_grant(emulator: Emulator):
    error = blocked(apply(emulator, app_id=STRANGE), "sign in as", emulator=emulator)
    assert "accept_credentials" in error["options"]


def test_a_name_with_somebody_elses_filter_is_left_alone(emulator: Emulator):
    error = blocked(apply(emulator, scope_name="Taken"), "has another filter", emulator=emulator)
    assert error["options"] == ["scope_name"]
    blocked(apply(emulator, scope_name="Others' scope"), "theirs", emulator=emulator)
    assert filters(emulator)["Taken"] == "CustomAttribute1 -eq 'theirs'"


def test_an_assignments_name_that_is_somebody_elses_is_not_taken(emulator: Emulator):
    name = next(iter(OURS))
    by_hand(emulator, name=name, app_id=OTHER, role=READ, CustomResourceScope="Others' scope")
    ahead = apply(emulator, check_mode=True)
    result = settled(emulator)
    assert (result["diff"], result["added"]) == (ahead["diff"], ahead["added"])
    assert set(assigned(emulator)) == {f"{name}-2", *list(OURS)[1:]}
    assert name in assigned(emulator, OTHER)


def test_a_name_may_have_64_characters(emulator: Emulator):
    assert apply(emulator, scope_name="x" * 64)["outcome"] == "changed"
    assert "64" in apply(emulator, scope_name="x" * 65)["msg"]


# ---- other assignments ----------------------------------------------------------------------------------------------


def test_one_without_a_scope_defeats_every_other(emulator: Emulator):
    apply(emulator)
    by_hand(emulator)
    for options in ({}, {"on_other_assignments": "keep"}):
        blocked(apply(emulator, **options), "whole organization", "exclusive", emulator=emulator)
    settled(emulator, exclusive=True)
    assert assigned(emulator) == OURS


def test_one_of_another_role_without_a_scope_counts_as_well(emulator: Emulator):
    by_hand(emulator, role="Application Exchange Full Access")
    blocked(apply(emulator), "whole organization", emulator=emulator)


def test_others_within_a_scope_stop_or_stay_as_declared(emulator: Emulator):
    by_hand(emulator, role=READ, CustomResourceScope="Others' scope")
    blocked(apply(emulator), "other role assignments", emulator=emulator)
    result = settled(emulator, on_other_assignments="keep")
    assert any("by hand" in text for text in result["warnings"])
    assert result["other_assignments"][0]["name"] == "by hand"
    settled(emulator, exclusive=True)
    assert assigned(emulator) == OURS


def test_one_on_a_group_reads_back_otherwise_and_is_another(emulator: Emulator):
    by_hand(emulator, role=WRITE, RecipientGroupScope=GROUP)
    error = blocked(apply(emulator), 'group "Fax group', emulator=emulator)
    assert error["details"]["assignments"][0]["name"] == "by hand"
    settled(emulator, exclusive=True)
    assert assigned(emulator) == OURS


def test_one_that_another_tool_made_right_is_taken(emulator: Emulator):
    apply(emulator, roles=[SEND])
    by_hand(emulator, role=WRITE, CustomResourceScope=SCOPE)
    result = apply(emulator)
    assert (result["outcome"], changes(emulator)) == ("ok", [])
    gone = apply(emulator, state="absent")
    assert list(assigned(emulator)) == ["by hand"]
    assert SCOPE in filters(emulator)
    assert len(gone["warnings"]) == 2


def test_a_disabled_one_is_dormant_and_ours_is_woken(emulator: Emulator):
    apply(emulator)
    name = next(iter(OURS))
    admin(emulator, "Set-ManagementRoleAssignment", Identity=name, Enabled=False)
    by_hand(emulator)
    admin(emulator, "Set-ManagementRoleAssignment", Identity="by hand", Enabled=False)
    result = settled(emulator)
    assert any("Disabled" in text for text in result["warnings"])
    assert assigned(emulator) == OURS


def test_none_is_woken_on_a_scope_that_does_not_read_as_it_was_written(emulator: Emulator):
    """Exchange says that the filter is written, and it is not."""
    apply(emulator)
    for name in OURS:
        admin(emulator, "Set-ManagementRoleAssignment", Identity=name, Enabled=False)
    dn = dn_of(emulator).replace("'", "''")
    text = f"MemberOfGroup -eq '{dn}' -or MemberOfGroup -eq '{dn_of(emulator, 'other.group')}'"
    admin(emulator, "Set-ManagementScope", Identity=SCOPE, RecipientRestrictionFilter=text)
    emulator.clear_journal()
    emulator.faults(
        [{"match": {"cmdlet": "Set-ManagementScope"}, "times": 9, "effect": {"status": 200, "body": {"value": []}}}]
    )
    told = apply(emulator, patience=1)
    assert "does not read as it was written" in told["msg"]
    assert assigned(emulator) == {}
    assert too_wide(emulator) == []


def test_a_scope_that_only_bears_the_name_is_not_taken_back(emulator: Emulator):
    told = apply(emulator, scope_name="Taken", state="absent", group=None)
    assert (told["outcome"], changes(emulator)) == ("ok", [])
    assert "not made here" in told["warnings"][0]
    other = f"MemberOfGroup -eq '{dn_of(emulator, 'other.group')}'"
    admin(emulator, "New-ManagementScope", Name=SCOPE, RecipientRestrictionFilter=other)
    assert apply(emulator, state="absent")["outcome"] == "ok"
    assert apply(emulator, state="absent", own_scopes=[])["outcome"] == "ok"
    assert set(filters(emulator)) == {SCOPE, "Others' scope", "Taken"}
    assert apply(emulator, state="absent", group="other.group")["outcome"] == "changed"


# ---- drift ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("widened", "further groups"),
        ("another group", "named another group"),
        ("everybody", "another filter"),
        ("renamed", "a former name"),
        ("moved", "servers"),
    ],
)
def test_a_filter_that_somebody_changed_is_made_right(emulator: Emulator, what: str, told: str):
    apply(emulator)
    dn = dn_of(emulator).replace("'", "''")
    other = dn_of(emulator, "other.group")
    text = {
        "widened": f"MemberOfGroup -eq '{dn}' -or MemberOfGroup -eq '{other}'",
        "another group": f"MemberOfGroup -eq '{other}'",
        "everybody": "RecipientTypeDetails -eq 'UserMailbox'",
        "renamed": "MemberOfGroup -eq 'CN=An older name,OU=x,DC=y'",
        "moved": f"MemberOfGroup -eq '{dn.partition(',DC=')[0]},DC=OLD,DC=COM'",
    }[what]
    admin(emulator, "Set-ManagementScope", Identity=SCOPE, RecipientRestrictionFilter=text)
    emulator.clear_journal()
    result = settled(emulator)
    assert result["outcome"] == "changed"
    assert told in result["warnings"][0]
    assert holds_the_group(emulator)
    assert assigned(emulator) == OURS


def test_the_groups_new_name_is_written_where_it_is_the_same_group(emulator: Emulator):
    apply(emulator)
    admin(emulator, "Set-DistributionGroup", Identity=GROUP, Name="Renamed")
    settled(emulator)
    assert holds_the_group(emulator)
    assert set(filters(emulator)) == {SCOPE, "Others' scope", "Taken"}


def test_a_scope_that_others_use_is_not_changed_and_ours_moves_without_a_gap(emulator: Emulator):
    apply(emulator)
    by_hand(emulator, name="theirs too", app_id=OTHER, role=READ, CustomResourceScope=SCOPE)
    other = dn_of(emulator, "other.group")
    text = f"MemberOfGroup -eq '{other}'"
    admin(emulator, "Set-ManagementScope", Identity=SCOPE, RecipientRestrictionFilter=text)
    first = apply(emulator)
    order = [name for name in changes(emulator) if name.endswith("Assignment")]
    assert order == ["New-ManagementRoleAssignment"] * 2 + ["Remove-ManagementRoleAssignment"] * 2
    assert filters(emulator)[SCOPE] == text
    assert {scope for _role, scope in assigned(emulator).values()} == {f"{SCOPE}-2"}
    assert holds_the_group(emulator, f"{SCOPE}-2")
    assert first["scope"]["name"] == f"{SCOPE}-2"
    again = apply(emulator)
    assert (again["outcome"], changes(emulator)) == ("ok", [])
    apply(emulator, state="absent")
    assert set(filters(emulator)) == {SCOPE, "Others' scope", "Taken"}


def test_ours_that_lost_its_scope_gets_one_before_it_goes(emulator: Emulator):
    apply(emulator)
    name = next(iter(OURS))
    admin(emulator, "Set-ManagementRoleAssignment", Identity=name, CustomResourceScope=None)
    settled(emulator)
    assert sorted(assigned(emulator)) == sorted([*(set(OURS) - {name}), f"{name}-2"])
    assert {scope for _role, scope in assigned(emulator).values()} == {SCOPE}


# ---- consents in Entra ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("roles", "permission", "resource"),
    [
        ([WRITE], "Mail.Read", "graph"),
        ([WRITE], "Mail.Send", "graph"),
        ([SEND], "full_access_as_app", "exchange"),
        ([SMTP], "SMTP.SendAsApp", "exchange"),
    ],
)
def test_a_consent_that_undoes_the_scope_stops_or_goes(
    emulator: Emulator, roles: list[str], permission: str, resource: str
):
    consent(emulator, permission, *([EXCHANGE_ONLINE] if resource == "exchange" else []))
    error = blocked(apply(emulator, roles=roles), permission, "on_entra_grant", emulator=emulator)
    assert error["options"] == ["on_entra_grant"]
    result = apply(emulator, roles=roles, on_entra_grant="remove")
    assert (result["outcome"], result["changed"]) == ("pending", True), result
    assert result["revoked"][0]["application"] == [permission]
    assert result["pending_until"] == result["tokens_until"]
    assert granted(emulator) == 0
    assert len(assigned(emulator)) == 1
    again = apply(emulator, roles=roles, tokens_until=result["tokens_until"])
    assert (again["outcome"], again["changed"]) == ("pending", False)
    assert again["pending_until"] == result["tokens_until"]
    told = apply(emulator, roles=roles, tokens_until=result["tokens_until"], token_grace_minutes=0)
    assert told["outcome"] == "ok"
    emulator.clock(seconds=26 * 3600)
    assert apply(emulator, roles=roles, tokens_until=result["tokens_until"])["outcome"] == "ok"


def test_no_waiting_for_tokens_is_told(emulator: Emulator):
    consent(emulator, "Mail.Read")
    result = apply(emulator, on_entra_grant="remove", token_grace_minutes=0)
    assert result["outcome"] == "changed"
    assert any("token_grace_minutes is 0" in text for text in result["warnings"])


@pytest.mark.parametrize("permission", ["IMAP.AccessAsApp", "POP.AccessAsApp"])
def test_what_opens_nothing_by_itself_is_no_matter(emulator: Emulator, permission: str):
    consent(emulator, permission, EXCHANGE_ONLINE)
    settled(emulator, roles=[SMTP])


def test_who_may_not_revoke_is_told_who_may(emulator: Emulator):
    consent(emulator, "Mail.Read")
    emulator.faults([{"match": {"path_regex": "appRoleAssignments/", "method": "DELETE"}, "times": 9, "effect": NO}])
    told = apply(emulator, on_entra_grant="remove")
    assert told["outcome"] == "blocked", told
    assert "AppRoleAssignment.ReadWrite.All" in told["msg"]
    assert assigned(emulator) == {}
    emulator.faults([])


def test_what_a_policy_keeps_to_the_group_is_no_matter(emulator: Emulator):
    policy = {"AppId": APP, "AccessRight": "RestrictAccess"}
    admin(emulator, "New-ApplicationAccessPolicy", PolicyScopeGroupId=GROUP, **policy)
    consent(emulator, "Mail.ReadWrite")
    settled(emulator)
    assert too_wide(emulator) == []
    admin(emulator, "New-ApplicationAccessPolicy", PolicyScopeGroupId="other.group", **policy)
    blocked(apply(emulator), "Mail.ReadWrite", emulator=emulator)


def test_what_another_access_takes_by_consent_is_no_matter(emulator: Emulator):
    consent(emulator, "Calendars.Read")
    declared = [{"resource": "microsoft_graph", "application": ["Calendars.Read"]}]
    blocked(apply(emulator), "Calendars.Read", emulator=emulator)
    assert apply(emulator, permissions=declared)["outcome"] == "changed"


# ---- tenants that are not ready -------------------------------------------------------------------------------------


def test_a_tenant_that_was_never_customized_is_told_the_command_and_the_hour(quick: Emulator):
    with start_emulator(tenants(dehydrated=True), "rest", profile="realistic") as emulator:
        error = blocked(apply(emulator), "Enable-OrganizationCustomization", "40 to 75 minutes", emulator=emulator)
        assert error["options"] == ["enable_organization_customization"]
        opted = {"enable_organization_customization": True}
        told = apply(emulator, check_mode=True, **opted)
        assert told["steps"][0].startswith("enable customization")
        first = apply(emulator, **opted)
        assert (first["outcome"], first["changed"]) == ("pending", True), first
        assert "40 to 75 minutes" in first["pending"]
        assert first["pending_until"] > "2026"
        assert assigned(emulator) == {}
        again = apply(emulator, **opted)
        assert (again["outcome"], again["changed"]) == ("pending", False), again
        assert "added" not in again or again["added"] == []
        emulator.clock(seconds=5000)
        assert apply(emulator, **opted)["outcome"] == "changed"
        assert assigned(emulator) == OURS
        assert too_wide(emulator) == []


def test_a_role_that_nobody_may_assign_is_no_matter_of_time():
    with start_emulator(tenants(switches={"not_delegated_roles": [SEND]}), "rest") as emulator:
        result = apply(emulator)
        assert result["outcome"] in ("blocked", "failed"), result
        assert "-Delegating" in result["msg"]
        assert SEND in result["msg"]


def test_a_pointer_made_a_moment_ago_is_waited_for():
    with start_emulator(tenants(), "rest", profile="realistic") as emulator:
        run("exchange_service_principal", {"app_id": NEW}, emulator)
        result = apply(emulator, app_id=NEW)
        assert result["outcome"] == "changed", result


# ---- answers that are lost ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cmdlet", ["New-ManagementScope", "New-ManagementRoleAssignment"])
@pytest.mark.parametrize("effect", ["drop_before", "drop_after"])
def test_a_lost_answer_is_looked_for(emulator: Emulator, cmdlet: str, effect: str):
    emulator.faults([{"match": {"cmdlet": cmdlet}, "times": 1, "effect": effect}])
    result = apply(emulator)
    assert result["outcome"] == "changed", result
    assert assigned(emulator) == OURS
    assert {(one["kind"], one["id"]) for one in result["added"]} >= {("scope", SCOPE)}
    emulator.faults([])
    assert apply(emulator)["outcome"] == "ok"
