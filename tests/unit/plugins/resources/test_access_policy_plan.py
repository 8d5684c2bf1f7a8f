# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One policy for an application and a group, and never a moment without one: pure planning."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import replace

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._door import Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, Forbidden, InvalidInput, NotFound
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Output
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.access_policy import AccessPolicy
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.access_policy_plan import (
    Create,
    Describe,
    Desired,
    Remove,
    State,
    asks_for_holding,
    plan,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    DENY,
    EVERY_APPLICATION,
    RESTRICT,
    Policy,
    policies_of,
    read_cmdlet,
    scope_cmdlet,
    scopes,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.holding import (
    ABSENT,
    DELETED,
    PRESENT,
    Holding,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.unit.script import NOW

APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
OTHER_APP = "2cb8b5d2-8724-4f32-8152-a16a230b682b"
TEXT = "Restrict Imagicle Digital Fax accessible mailboxes"


def group(local: str, kind: str = "MailUniversalSecurityGroup", **changes: t.Any) -> Recipient:
    values: dict[str, t.Any] = {
        "guid": f"guid-{local}",
        "type": kind,
        "address": f"{local}@contoso.com",
        "display_name": f"Display {local}",
        "name": f"Name {local}",
        "alias": local,
        "entra_id": f"entra-{local}",
        "sid": f"S-1-5-{local}",
        "addresses": frozenset({f"{local}@contoso.com"}),
    }
    return Recipient(**{**values, **changes})


FAX = group("fax")
OLD = group("old")


def policy(scope: Recipient, right: str = RESTRICT, app_id: str = APP, **changes: t.Any) -> Policy:
    values: dict[str, t.Any] = {
        "identity": f"tenant\\{app_id}:{scope.sid};{scope.entra_id}",
        "app_id": app_id,
        "access_right": right,
        "scope_name": scope.display_name,
        "scope_identity": scope.name,
        "sid": scope.sid.lower(),
        "entra_id": scope.entra_id,
        "description": TEXT,
    }
    return Policy(**{**values, **changes})


OURS = policy(FAX)
WIDER = policy(OLD)
WANTED = Desired(APP, "fax", description=TEXT)
GONE = Desired(APP, "fax", state="absent")


NOTHING = Holding(APP, ABSENT)
OPEN = Holding(APP, PRESENT, "Fax", ("full_access_as_app",))


def made(
    policies: t.Iterable[Policy] = (),
    desired: Desired = WANTED,
    found: t.Iterable[Recipient] = (FAX,),
    holding: Holding | None = None,
) -> Plan:
    if holding is None and desired.state == "absent":
        holding = NOTHING
    return plan(State(tuple(policies), tuple(found), holding), desired, NOW)


def steps(plan: Plan) -> list[tuple[str, t.Any]]:
    assert plan.blocked is None, plan.blocked
    return [told(step) for step in plan.steps]


def told(step: t.Any) -> tuple[str, t.Any]:
    """A step in short: its kind and what it carries."""
    match step:
        case Create():
            return "create", step.arguments
        case Describe():
            return "describe", {"Identity": step.identity, "Description": step.description}
        case Remove():
            return "remove", step.identity
    raise AssertionError(step)


def stopped(plan: Plan) -> Blocked:
    assert plan.blocked is not None, plan.summary
    assert plan.steps == []
    assert plan.after == plan.before
    assert plan.summary == plan.blocked.message
    return plan.blocked


CREATE = (
    "create",
    {"AccessRight": RESTRICT, "AppId": APP, "PolicyScopeGroupId": "fax@contoso.com", "Description": TEXT},
)


# ---- present --------------------------------------------------------------------------------------------------------


def test_a_policy_is_created():
    plan = made()
    assert steps(plan) == [CREATE]
    assert plan.before == {}
    assert plan.after == {
        "AppId": APP,
        "PolicyScopeGroupId": "fax@contoso.com",
        "AccessRight": RESTRICT,
        "Description": TEXT,
    }
    assert plan.result["in_force_by"] == "2026-11-21T13:00:00Z"
    assert plan.result["policy"]["identity"] is None
    assert plan.outcome == "changed"


def test_a_policy_without_a_description_leaves_it_to_exchange():
    plan = made(desired=replace(WANTED, description=None))
    assert "Description" not in plan.steps[0].arguments
    assert steps(made([replace(OURS, description="whatever")], replace(WANTED, description=None))) == []


def test_nothing_to_do():
    plan = made([policy(OLD, app_id=OTHER_APP), OURS])
    assert steps(plan) == []
    assert plan.outcome == "ok"
    assert plan.before == plan.after != {}
    assert plan.result["policy"]["identity"] == OURS.identity
    assert plan.result["other_policies"] == []
    assert "in_force_by" not in plan.result
    assert plan.warnings == []


def test_the_description_is_mended_in_place():
    plan = made([replace(OURS, description="old")])
    assert steps(plan) == [("describe", {"Identity": OURS.identity, "Description": TEXT})]
    assert plan.steps[0].title == "set the description of the policy on Display fax"
    assert plan.before["Description"] == "old"
    assert plan.after["Description"] == TEXT
    assert "in_force_by" not in plan.result


# ---- a policy that Exchange calls not valid -------------------------------------------------------------------------

INVALID = replace(OURS, is_valid=False)


def test_an_invalid_policy_is_made_anew_where_the_application_holds_nothing():
    for holds in (NOTHING, Holding(APP, PRESENT, "Fax")):
        assert steps(made([INVALID], holding=holds)) == [("remove", OURS.identity), CREATE]


def test_an_invalid_policy_is_made_anew_while_another_one_limits():
    plan = made([INVALID, WIDER], replace(WANTED, on_other_policies="remove"))
    assert steps(plan) == [("remove", OURS.identity), CREATE, ("remove", WIDER.identity)]


@pytest.mark.parametrize("bridge", [[], [replace(WIDER, is_valid=False)], [policy(OLD, DENY)]])
@pytest.mark.parametrize("holds", [OPEN, None, Holding(APP, DELETED)])
def test_an_invalid_policy_stops_where_making_it_anew_would_open_everything(
    bridge: list[Policy], holds: Holding | None
):
    blocked = stopped(made([INVALID, *bridge], replace(WANTED, on_other_policies="keep"), holding=holds))
    assert "not valid" in blocked.message
    assert "consent" in blocked.cure


def test_what_is_said_of_an_invalid_policy_stays():
    plan = made([INVALID], replace(WANTED, description=None), holding=NOTHING)
    assert steps(plan)[1][1]["Description"] == TEXT


# ---- taking the limit away ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("holds", "revoked", "check_mode", "goes"),
    [
        (NOTHING, False, False, True),
        (Holding(APP, PRESENT, "Fax"), False, False, True),
        (OPEN, False, False, False),
        (OPEN, True, False, False),
        (OPEN, True, True, True),
        (OPEN, False, True, False),
        (Holding(APP, DELETED, "Fax"), False, False, False),
        (Holding(APP, DELETED, "Fax"), True, False, True),
    ],
)
def test_the_last_policy_goes_only_when_nothing_is_held(holds: Holding, revoked: bool, check_mode: bool, goes: bool):
    desired = replace(GONE, consent_revoked=revoked, check_mode=check_mode)
    plan = made([OURS], desired, holding=holds)
    if goes:
        assert steps(plan) == [("remove", OURS.identity)]
    else:
        assert APP in stopped(plan).message


def test_one_policy_of_two_that_limit_goes_without_proof():
    assert steps(made([OURS, WIDER], GONE, holding=OPEN)) == [("remove", OURS.identity)]
    stopped(made([OURS, replace(WIDER, is_valid=False)], GONE, holding=OPEN))
    denies = policy(FAX, DENY)
    stopped(made([denies, WIDER], replace(GONE, access_right=DENY), holding=OPEN))


def test_nobody_knows_is_no_proof():
    stopped(plan(State((OURS,), (FAX,)), GONE, NOW))


def test_what_decides_is_asked_for_and_nothing_else_is():
    def asks(policies: list[Policy], desired: Desired) -> bool:
        return asks_for_holding(State(tuple(policies), (FAX,)), desired, NOW)

    assert asks([OURS], GONE)
    assert asks([INVALID], WANTED)
    assert not asks([OURS], WANTED)
    assert not asks([], WANTED)
    assert not asks([], GONE)
    assert not asks([OURS, WIDER], GONE)
    assert not asks([OURS], replace(GONE, not_before=NOW + dt.timedelta(minutes=1)))


@pytest.mark.parametrize(("minutes", "waits"), [(1, True), (0, False), (-1, False)])
def test_the_policy_stays_as_long_as_tokens_live(minutes: int, waits: bool):
    until = NOW + dt.timedelta(minutes=minutes)
    plan = made([OURS], replace(GONE, not_before=until, consent_revoked=True), holding=Holding(APP, DELETED))
    assert plan.outcome == ("pending" if waits else "changed")
    if waits:
        assert plan.pending_until == "2026-11-21T12:01:00Z"
        assert plan.result["policy"]["app_id"] == APP
        assert not plan.steps
    assert made([], replace(GONE, not_before=until)).outcome == "ok"


# ---- which policy is ours -------------------------------------------------------------------------------------------


def test_a_group_made_anew_under_the_old_name_is_not_the_scope():
    dead = replace(OURS, entra_id="entra-of-the-dead-one", sid="s-1-5-dead")
    assert not dead.covers(FAX)
    stopped(made([dead]))


@pytest.mark.parametrize(
    ("of_policy", "of_group", "covered"),
    [
        ({}, {}, True),
        ({"sid": "s-1-other", "scope_identity": "other"}, {}, True),  # the object id decides alone
        ({"entra_id": "other"}, {}, False),
        ({}, {"entra_id": ""}, True),  # a newborn group: by SID
        ({"sid": "s-1-other"}, {"entra_id": ""}, False),
        ({}, {"entra_id": "", "sid": ""}, True),  # by Name
        ({"scope_identity": "NAME FAX"}, {"entra_id": "", "sid": ""}, True),
        ({"scope_identity": "Display fax"}, {"entra_id": "", "sid": ""}, False),
        ({"scope_identity": ""}, {"entra_id": "", "sid": "", "name": ""}, False),
    ],
)
def test_the_scope_is_compared_by_the_strongest_mark(of_policy: dict, of_group: dict, covered: bool):
    assert replace(OURS, **of_policy).covers(replace(FAX, **of_group)) is covered


def test_another_application_s_policy_on_the_group_is_not_ours():
    assert steps(made([policy(FAX, app_id=OTHER_APP)])) == [CREATE]


def test_a_policy_for_every_application_on_the_group_is_not_ours():
    everyone = policy(FAX, app_id=EVERY_APPLICATION)
    assert stopped(made([everyone])).details["policies"] == [everyone.as_dict()]
    assert steps(made([everyone], replace(WANTED, on_other_policies="keep"))) == [CREATE]
    assert steps(made([everyone], GONE)) == []


def test_a_policy_is_read_from_exchange_s_output():
    found = Policy.of(
        {
            "ScopeName": "Fax",
            "ScopeIdentity": "Fax2025",
            "Identity": "t\\A:S;G",
            "AppId": APP.upper(),
            "ScopeIdentityRaw": "S-1-5-21-1 ; 998E9D79 ",
            "Description": "text",
            "AccessRight": DENY,
            "IsValid": True,
        }
    )
    assert found == Policy("t\\A:S;G", APP, DENY, "Fax", "Fax2025", "s-1-5-21-1", "998e9d79", "text", True)
    assert Policy.of({"IsValid": False}).is_valid is False


def test_no_policy_at_all_is_an_error_that_means_none():
    text = "The operation couldn't be performed because object 'OU=t.onmicrosoft.com,DC=x\\*' couldn't be found on 'y'."
    assert policies_of(Output(error=NotFound(text))) == []
    with pytest.raises(NotFound):
        policies_of(Output(error=NotFound("object 'something' couldn't be found on 'y'")))
    with pytest.raises(Forbidden):
        policies_of(Output(error=Forbidden("object 'x\\*' no")))


# ---- other policies -------------------------------------------------------------------------------------------------

DENIES = policy(OLD, DENY)
EVERYONE = policy(OLD, DENY, EVERY_APPLICATION)


@pytest.mark.parametrize("other", [DENIES, WIDER, EVERYONE])
@pytest.mark.parametrize("ours", [(), (OURS,)])
def test_other_policies_stop_the_task(other: Policy, ours: tuple[Policy, ...]):
    blocked = stopped(made([other, *ours]))
    assert blocked.details["policies"] == [other.as_dict()]
    assert "Display old" in blocked.message
    assert "matching DenyAccess denies" in blocked.cure


def test_other_policies_are_removed_after_ours_is_there():
    plan = made([WIDER, DENIES], replace(WANTED, on_other_policies="remove"))
    assert steps(plan) == [CREATE, ("remove", WIDER.identity), ("remove", DENIES.identity)]
    assert plan.result["other_policies"] == []
    assert "2 other removed" in plan.summary
    plan = made([WIDER, OURS], replace(WANTED, on_other_policies="remove"))
    assert steps(plan) == [("remove", WIDER.identity)]
    assert plan.result["in_force_by"]
    assert plan.summary == "RestrictAccess on Display fax, 1 other removed"
    assert made().summary == "RestrictAccess on Display fax created"
    assert made().steps[0].title == f"limit {APP} to Display fax"
    assert made(found=[replace(FAX, display_name="")]).steps[0].title == f"limit {APP} to fax@contoso.com"


def test_a_policy_for_every_application_is_never_removed():
    plan = made([EVERYONE, OURS], replace(WANTED, on_other_policies="remove"))
    assert steps(plan) == []
    assert "every application" in plan.warnings[0]
    assert [one["app_id"] for one in plan.result["other_policies"]] == [EVERY_APPLICATION]


def test_other_policies_are_kept_with_a_warning():
    plan = made([WIDER], replace(WANTED, on_other_policies="keep"))
    assert steps(plan) == [CREATE]
    assert str(WIDER) in plan.warnings[0]
    assert plan.result["other_policies"] == [WIDER.as_dict()]


def test_a_restriction_does_not_contradict_a_denial():
    desired = Desired(APP, "fax", DENY)
    plan = made([WIDER], desired)
    assert [told(step)[0] for step in plan.steps] == ["create"]
    assert plan.warnings == []
    assert made([WIDER], replace(desired, on_other_policies="remove")).steps == plan.steps
    stopped(made([DENIES], desired))


def test_a_denial_alone_leaves_the_rest_open():
    assert "outside the group" in made([], Desired(APP, "fax", DENY)).warnings[0]


# ---- the other right on the same group ------------------------------------------------------------------------------


@pytest.mark.parametrize(("is_", "wanted"), [(RESTRICT, DENY), (DENY, RESTRICT)])
def test_the_right_is_not_changed_when_no_policy_would_be_left_meanwhile(is_: str, wanted: str):
    blocked = stopped(made([policy(FAX, is_)], replace(WANTED, access_right=wanted)))
    assert "meanwhile" in blocked.message
    assert "revoke" in blocked.cure


def test_a_denial_is_no_bridge():
    plan = made([OURS, DENIES], replace(WANTED, access_right=DENY, on_other_policies="keep"))
    stopped(plan)


@pytest.mark.parametrize(("is_", "wanted"), [(RESTRICT, DENY), (DENY, RESTRICT)])
def test_the_right_is_changed_while_another_restriction_is_in_place(is_: str, wanted: str):
    ours = policy(FAX, is_)
    plan = made([WIDER, ours], replace(WANTED, access_right=wanted, on_other_policies="keep"))
    assert steps(plan) == [("remove", ours.identity), ("create", {**CREATE[1], "AccessRight": wanted})]
    assert plan.before["AccessRight"] == is_
    assert plan.after["AccessRight"] == wanted


def test_the_bridge_goes_last():
    ours = policy(FAX, DENY)
    plan = made([WIDER, ours], replace(WANTED, on_other_policies="remove"))
    assert steps(plan) == [("remove", ours.identity), CREATE, ("remove", WIDER.identity)]


@pytest.mark.parametrize("on_other", ["fail", "keep", "remove"])
def test_no_plan_leaves_the_application_without_a_restriction(on_other: str):
    """Played through step by step: what was restricted at the start never is without a RestrictAccess policy."""
    denies = policy(group("vip"), DENY)
    for right in (RESTRICT, DENY):
        for existing in ([OURS], [WIDER], [OURS, WIDER], [WIDER, policy(FAX, DENY)], [OURS, denies], [WIDER, denies]):
            desired = Desired(APP, "fax", right, TEXT, on_other_policies=on_other)
            there = {one.identity: one.access_right for one in existing}
            for step in made(existing, desired).steps:
                if isinstance(step, Remove):
                    del there[step.identity]
                else:
                    assert OURS.identity not in there, "Exchange refuses a second policy for the group"
                    there[OURS.identity] = step.arguments["AccessRight"]
                assert RESTRICT in there.values(), (right, existing, on_other)


# ---- the scope ------------------------------------------------------------------------------------------------------


def test_a_group_that_does_not_exist_stops_the_task_but_not_the_check():
    assert "exchange_security_group" in stopped(made(found=())).cure
    plan = made(desired=replace(WANTED, app_id=ZERO_GUID, check_mode=True), found=())
    assert steps(plan) == [("create", {**CREATE[1], "AppId": ZERO_GUID, "PolicyScopeGroupId": "fax"})]
    assert plan.steps[0].title == "limit the application to fax"
    assert plan.after["PolicyScopeGroupId"] == "fax"


@pytest.mark.parametrize("kind", ["GroupMailbox", "MailUniversalDistributionGroup", "UserMailbox"])
def test_the_scope_has_to_be_a_mail_enabled_security_group(kind: str):
    wrong = replace(FAX, type=kind)
    for check_mode in (False, True):
        blocked = stopped(made(found=[wrong], desired=replace(WANTED, check_mode=check_mode)))
        assert blocked.details["found"] == [wrong.as_dict()]


def test_two_groups_of_one_name_stop_the_task():
    blocked = stopped(made(found=[FAX, OLD]))
    assert [one["guid"] for one in blocked.details["found"]] == ["guid-fax", "guid-old"]


def test_the_strictest_way_to_name_a_group_wins():
    by_display_name = group("a", display_name="Fax")
    by_name = group("b", name="FAX")
    by_alias = group("c", alias="Fax")
    by_address = group("d", addresses=frozenset({"fax@contoso.com"}))
    assert scopes([by_display_name, by_name, by_alias], "fax") == [by_alias]
    assert scopes([by_display_name, by_name], "fax") == [by_name]
    assert scopes([by_display_name], "FAX") == [by_display_name]
    assert scopes([by_display_name, by_address], "FAX@contoso.com") == [by_address]
    assert scopes([by_display_name, group("e")], "GUID-e") == [group("e")]
    assert scopes([by_display_name], "facsimile") == []


def test_a_mailbox_with_the_group_s_name_as_its_alias_is_not_meant():
    mailbox = group("m", "UserMailbox", alias="fax")
    named = group("g", name="fax")
    assert scopes([mailbox, named], "fax") == [named]
    assert scopes([mailbox], "fax") == [mailbox]


@pytest.mark.parametrize(
    ("wanted", "filter_"),
    [
        ("fax", "Alias -eq 'fax' -or Name -eq 'fax' -or DisplayName -eq 'fax'"),
        ("O'Fax $x", "Alias -eq 'O''Fax $x' -or Name -eq 'O''Fax $x' -or DisplayName -eq 'O''Fax $x'"),
    ],
)
def test_the_scope_is_looked_for_by_literals(wanted: str, filter_: str):
    assert scope_cmdlet(wanted).parameters["Filter"] == filter_


def test_an_id_is_asked_for_as_it_is():
    assert scope_cmdlet(APP).parameters == {"Identity": APP}


def test_policies_are_asked_for_without_a_parameter():
    """The cmdlet knows Identity alone, and none means all."""
    assert read_cmdlet().parameters == {}


def test_an_address_is_looked_for_among_all_addresses():
    assert scope_cmdlet("fax@contoso.com").parameters["Filter"].startswith("EmailAddresses -eq 'smtp:fax@contoso.com'")


# ---- absent ---------------------------------------------------------------------------------------------------------


def test_only_our_policy_is_removed():
    plan = made([WIDER, OURS, policy(FAX, app_id=OTHER_APP)], GONE)
    assert steps(plan) == [("remove", OURS.identity)]
    assert plan.after == {}
    assert plan.result["policy"] is None
    assert plan.result["other_policies"] == [WIDER.as_dict()]


def test_no_policy_no_work():
    plan = made([WIDER, EVERYONE], GONE)
    assert plan.outcome == "ok"
    assert plan.before == plan.after == {}
    assert len(plan.warnings) == 1
    assert str(WIDER) in plan.warnings[0]
    assert str(EVERYONE) not in plan.warnings[0]
    assert made([], GONE, found=()).warnings == []


def test_a_policy_whose_group_is_gone_is_found_by_what_it_remembers():
    for wanted in ("NAME FAX", "display fax", "entra-fax"):
        assert steps(made([OURS], replace(GONE, group=wanted), found=())) == [("remove", OURS.identity)]
    assert steps(made([OURS], replace(GONE, group="something"), found=())) == []


def test_a_name_two_dead_groups_share_removes_nothing():
    twin = policy(group("twin", display_name=FAX.display_name))
    assert steps(made([OURS, twin], replace(GONE, group="display fax"), found=())) == []
    assert steps(made([OURS, twin], replace(GONE, group="name fax"), found=())) == [("remove", OURS.identity)]


def test_a_name_that_two_groups_bear_removes_nothing():
    stopped(made([OURS], replace(GONE, group=FAX.display_name), found=[FAX, OLD]))
    assert made([], GONE, found=[FAX, OLD]).outcome == "ok"


def test_a_policy_of_the_other_right_is_not_the_one_to_remove():
    assert DENY in stopped(made([policy(FAX, DENY)], GONE)).message
    assert steps(made([policy(FAX, DENY)], replace(GONE, access_right=DENY))) == [("remove", OURS.identity)]


# ---- options --------------------------------------------------------------------------------------------------------

PARAMS: dict[str, t.Any] = {
    "app_id": APP,
    "group": "fax",
    "access_right": RESTRICT,
    "description": TEXT,
    "state": "present",
    "on_other_policies": "fail",
}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"app_id": "1cb8b5d2-8724-4f32-8152-a16a230b682g"}, "'g'"),
        ({"app_id": "*"}, "app_id"),
        ({"app_id": ZERO_GUID}, "all zeros"),
        ({"group": " "}, "group is empty"),
        ({"group": "a\tb"}, "control character"),
        ({"description": ""}, "description is empty"),
        ({"description": "x" * 1025}, "1024"),
    ],
)
def test_bad_options_are_refused_without_a_request(wrong: dict[str, t.Any], said: str):
    with pytest.raises(InvalidInput) as refused:
        AccessPolicy(Tenant({}), Task({**PARAMS, **wrong}))
    assert said in str(refused.value)


def test_blanks_around_the_group_do_not_matter():
    assert AccessPolicy(Tenant({}), Task({**PARAMS, "group": " fax "}))._desired.group == "fax"


def test_an_application_to_be_made_passes_in_check_mode():
    AccessPolicy(Tenant({}), Task({**PARAMS, "app_id": ZERO_GUID}, check_mode=True))


def test_only_a_policy_that_was_not_there_is_added():
    assert made().added == [{"kind": "policy", "of": APP, "id": FAX.guid}]
    assert made([OURS]).added == {}


# ---- old tokens -----------------------------------------------------------------------------------------------------

SOON = NOW + dt.timedelta(minutes=90)
ANYBODYS = policy(group("everybody"), app_id=EVERY_APPLICATION)


def test_a_policy_that_limits_nothing_is_made_anew_once_old_tokens_are_dead():
    plan = made([INVALID], replace(WANTED, not_before=SOON), holding=NOTHING)
    assert (plan.outcome, plan.steps, plan.pending_until) == ("pending", [], "2026-11-21T13:30:00Z")
    assert steps(made([INVALID], replace(WANTED, not_before=NOW), holding=NOTHING))[0][0] == "remove"
    stopped(made([INVALID], replace(WANTED, not_before=SOON), holding=OPEN))
    # What another one limits meanwhile needs no waiting.
    assert steps(made([INVALID, WIDER], replace(WANTED, on_other_policies="keep", not_before=SOON)))[0][0] == "remove"


def test_a_denial_of_others_goes_last_and_not_before_old_tokens_are_dead():
    denies = policy(group("vip"), DENY)
    wanted = replace(WANTED, on_other_policies="remove")
    assert [step for step, _what in steps(made([denies, WIDER], wanted))] == ["create", "remove", "remove"]
    assert steps(made([denies, WIDER], wanted))[-1] == ("remove", denies.identity)
    # What a policy for every application grants is all that it denies: then it goes as the last limit does.
    stopped(made([denies, ANYBODYS], wanted, holding=OPEN))
    assert steps(made([denies, ANYBODYS], wanted, holding=NOTHING))[-1] == ("remove", denies.identity)
    waits = made([denies, ANYBODYS], replace(wanted, not_before=SOON), holding=NOTHING)
    assert (waits.outcome, steps(waits)) == ("pending", [CREATE])
