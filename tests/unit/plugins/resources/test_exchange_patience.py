# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Group and policy where Exchange's servers know of a write only later, or never say what became of it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    Conflict,
    M365Error,
    NotFound,
    ServiceError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Exchange, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._module import execute
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import (
    access_policy,
    ews_access,
    security_group,
    security_group_state,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import holding
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.unit.script import FakeClock

Json = dict[str, t.Any]
APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
FAX: Json = {
    "Guid": "guid-fax",
    "PrimarySmtpAddress": "fax@contoso.com",
    "RecipientTypeDetails": "UserMailbox",
    "Name": "fax",
    "Alias": "fax",
}
ADA: Json = {**FAX, "Guid": "guid-ada", "PrimarySmtpAddress": "ada@contoso.com", "Name": "ada", "Alias": "ada"}
GROUP: Json = {
    "Guid": "guid-group",
    "PrimarySmtpAddress": "scope@contoso.com",
    "RecipientTypeDetails": "MailUniversalSecurityGroup",
    "Name": "Scope",
    "DisplayName": "Scope",
    "Alias": "scope",
    "ExternalDirectoryObjectId": "entra-group",
    "HiddenFromAddressListsEnabled": True,
    "MemberJoinRestriction": "Closed",
    "RequireSenderAuthenticationEnabled": True,
    "ManagedBy": ["Organization Management"],
    "Description": [security_group_state.MARK],
}
POLICY: Json = {
    "Identity": "t\\p",
    "AppId": APP,
    "ScopeIdentityRaw": "S-1;entra-group",
    "ScopeIdentity": "Scope",
    "ScopeName": "Scope",
    "AccessRight": "RestrictAccess",
    "Description": "text",
    "IsValid": True,
}


@dataclass
class View:
    """What reads show: the group (None: nothing), its members, the policies, the EWS settings."""

    group: Json | None = None
    members: list[Json] = field(default_factory=list)
    policies: list[Json] = field(default_factory=list)
    ews: Json = field(default_factory=dict)


@dataclass
class Late:
    """A transport: the first views are seen one read after another, the last one for good.

    ``refusals``: per cmdlet the errors its first calls meet; None lets a call pass.
    """

    views: list[View]
    refusals: dict[str, list[M365Error | None]] = field(default_factory=dict)
    written: list[tuple[str, Json]] = field(default_factory=list)

    def run(self, cmdlets: t.Sequence[Cmdlet]) -> list[Output]:
        if all(cmdlet.reads for cmdlet in cmdlets):
            view = self.views.pop(0) if len(self.views) > 1 else self.views[0]
            return [self._read(cmdlet, view) for cmdlet in cmdlets]
        [cmdlet] = cmdlets
        self.written.append((cmdlet.name, dict(cmdlet.parameters)))
        refusals = self.refusals.get(cmdlet.name) or [None]
        refusal = refusals.pop(0)
        if isinstance(refusal, ServiceError):
            return [Output(error=refusal)]
        if refusal is not None:
            raise refusal
        return [Output([GROUP] if cmdlet.name == "New-DistributionGroup" else [])]

    @staticmethod
    def _read(cmdlet: Cmdlet, view: View) -> Output:
        absent = Output(error=NotFound("no"))
        if cmdlet.name == "Get-DistributionGroup":
            return Output([view.group]) if view.group else absent
        if cmdlet.name == "Get-DistributionGroupMember":
            return Output(view.members) if view.group else absent
        if cmdlet.name == "Get-ApplicationAccessPolicy":
            return Output(view.policies) if view.policies else Output(error=NotFound("object 'OU=t\\*' is not there"))
        if cmdlet.name == "Get-OrganizationConfig":
            return Output([view.ews])
        if cmdlet.name in ("Get-ManagementScope", "Get-ManagementRoleAssignment", "Get-ServicePrincipal"):
            return Output([])
        people = [one for one in (FAX, ADA) if one["PrimarySmtpAddress"] in cmdlet.parameters["Filter"]]
        group = [view.group] if view.group and "Alias -eq" in cmdlet.parameters["Filter"] else []
        return Output([*people, *group])

    def names(self) -> list[str]:
        return [name for name, _parameters in self.written]


def run(door: Door, late: Late, patience: int = 60, **params: t.Any) -> tuple[Json, FakeClock]:
    clock = FakeClock()
    options = {name: spec.get("default") for name, spec in door.spec.options.items()} | params

    def tenant() -> Tenant:
        made = Tenant({"patience": patience}, clock=clock)
        made.__dict__["exchange"] = Exchange(late)
        return made

    return execute(door, Task(options), tenant), clock


def group(late: Late, members: t.Sequence[str] = ("fax@contoso.com",), **params: t.Any) -> tuple[Json, FakeClock]:
    return run(security_group.DOOR, late, alias="scope", name="Scope", members=list(members), owners=[], **params)


@pytest.fixture(autouse=True)
def nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application is gone for good, so that its policy may go."""
    monkeypatch.setattr(holding, "read", lambda tenant, app_id: holding.Holding(app_id, holding.ABSENT))


def policy(late: Late, **params: t.Any) -> tuple[Json, FakeClock]:
    return run(access_policy.DOOR, late, app_id=APP, group="scope", **params)


THERE = View(GROUP, [FAX])
NOT_YET = View()


# ---- the group ------------------------------------------------------------------------------------------------------


def test_a_lost_group_that_shows_late_is_not_made_twice():
    """The answer is lost, the next look shows nothing, the second attempt is refused, and then it shows."""
    late = Late(
        [NOT_YET, NOT_YET, NOT_YET, View({**GROUP, "HiddenFromAddressListsEnabled": False}, [FAX]), THERE],
        {"New-DistributionGroup": [AnswerLost("gone"), Conflict("taken"), Conflict("taken")]},
    )
    result, clock = group(late)
    assert (result.get("failed"), result["outcome"]) == (None, "changed"), result
    assert late.names() == ["New-DistributionGroup"] * 3 + ["Set-DistributionGroup"]
    assert late.written[-1][1]["Identity"] == "guid-group"
    assert clock.sleeps == [0.5]


def test_a_name_that_becomes_free_is_taken():
    late = Late([NOT_YET, NOT_YET, NOT_YET, THERE], {"New-DistributionGroup": [Conflict("taken"), Conflict("taken")]})
    result, clock = group(late)
    assert result["outcome"] == "changed"
    assert late.names() == ["New-DistributionGroup"] * 3 + ["Set-DistributionGroup"]
    assert clock.sleeps == [0.5, 1.0]


def test_a_name_that_stays_taken_is_a_failure_soon():
    late = Late([NOT_YET], {"New-DistributionGroup": [Conflict("taken")] * 99})
    result, clock = group(late, patience=180)
    assert (result["outcome"], result["changed"]) == ("failed", False)
    assert clock.passed <= 30


def test_somebody_else_s_group_of_that_alias_is_not_taken_for_the_lost_one():
    foreign = View({**GROUP, "Description": []}, [FAX])
    late = Late([NOT_YET, foreign], {"New-DistributionGroup": [Conflict("taken")] * 99})
    result, _clock = group(late)
    assert result["outcome"] == "failed"
    assert "Set-DistributionGroup" not in late.names()


def test_a_new_group_is_unknown_to_a_server_for_a_while():
    late = Late([NOT_YET, THERE], {"Set-DistributionGroup": [NotFound("no"), NotFound("no")]})
    result, clock = group(late)
    assert result["outcome"] == "changed"
    assert late.names() == ["New-DistributionGroup"] + ["Set-DistributionGroup"] * 3
    assert clock.sleeps == [0.5, 1.0]


def test_an_old_group_that_is_unknown_is_a_failure_at_once():
    shown = View({**GROUP, "HiddenFromAddressListsEnabled": False}, [FAX])
    late = Late([shown], {"Set-DistributionGroup": [NotFound("no")] * 9})
    result, clock = group(late)
    assert result["outcome"] == "failed"
    assert clock.sleeps == []


def test_members_that_show_late_are_waited_for():
    late = Late([*[View(GROUP, [FAX])] * 5, View(GROUP, [FAX, ADA])])
    result, clock = group(late, ["fax@contoso.com", "ada@contoso.com"])
    assert result["outcome"] == "changed"
    assert result["members"] == ["ada@contoso.com", "fax@contoso.com"]
    assert late.names() == ["Add-DistributionGroupMember"]
    assert clock.sleeps == [0.5, 1.0]


def test_members_that_do_not_show_in_time_are_pending():
    late = Late([View(GROUP, [FAX])])
    result, clock = group(late, ["fax@contoso.com", "ada@contoso.com"], patience=5)
    assert (result.get("failed"), result["changed"], result["outcome"]) == (None, True, "pending")
    assert "ada@contoso.com" in result["pending"]
    assert result["pending_until"] == "2026-11-21T12:15:03Z"
    assert clock.passed <= 5


@pytest.mark.parametrize(
    ("before", "cmdlet", "refusal"),
    [
        ([], "Add-DistributionGroupMember", "MemberAlreadyExistsException"),
        ([FAX, ADA], "Remove-DistributionGroupMember", "MemberNotFoundException"),
    ],
)
def test_what_somebody_else_did_meanwhile_counts_as_done(before: list[Json], cmdlet: str, refusal: str):
    late = Late([View(GROUP, before), THERE], {cmdlet: [Conflict("so it is", code=refusal)]})
    result, _clock = group(late, on_foreign_members="remove")
    assert (result["outcome"], late.names()) == ("changed", [cmdlet])


def test_another_refusal_does_not():
    for cmdlet, before in (("Add-DistributionGroupMember", []), ("Remove-DistributionGroupMember", [FAX, ADA])):
        late = Late([View(GROUP, before)], {cmdlet: [ServiceError("no", code="RecipientTaskException")]})
        assert group(late, on_foreign_members="remove")[0]["outcome"] == "failed"


def test_somebody_who_joins_meanwhile_is_told():
    late = Late([View(GROUP, []), View(GROUP, [FAX, ADA])])
    result, _clock = group(late, patience=1)
    assert (result["outcome"], result["changed"]) == ("blocked", True)
    assert "ada@contoso.com" in result["msg"]
    assert "Already changed: add fax@contoso.com" in result["msg"]


def test_every_write_to_a_group_bypasses_the_manager_check():
    late = Late([View({**GROUP, "HiddenFromAddressListsEnabled": False}, [ADA]), THERE])
    group(late, on_foreign_members="remove")
    assert late.names() == [
        "Remove-DistributionGroupMember",
        "Set-DistributionGroup",
        "Add-DistributionGroupMember",
    ]
    assert all(parameters["BypassSecurityGroupManagerCheck"] is True for _name, parameters in late.written)
    assert all(parameters["Identity"] == "guid-group" for _name, parameters in late.written)
    assert late.written[0][1]["Confirm"] is False
    late = Late([THERE, NOT_YET])
    assert group(late, state="absent")[0]["outcome"] == "changed"
    assert late.written[0][1]["BypassSecurityGroupManagerCheck"] is True
    assert late.written[0][1]["Confirm"] is False


def test_a_removed_group_that_still_shows_is_waited_for_and_then_told():
    late = Late([THERE, THERE, THERE, THERE, NOT_YET])
    result, clock = group(late, state="absent")
    assert (result["outcome"], clock.sleeps) == ("changed", [0.5])
    result, clock = group(Late([THERE]), state="absent", patience=2)
    assert result["outcome"] == "failed"
    assert "Already changed" in result["msg"]


def test_a_group_removed_meanwhile_is_removed():
    gone = NotFound("no", code="ManagementObjectNotFoundException")
    late = Late([THERE, NOT_YET], {"Remove-DistributionGroup": [gone]})
    assert group(late, state="absent")[0]["outcome"] == "changed"


# ---- the policy -----------------------------------------------------------------------------------------------------

WITH_POLICY = View(GROUP, policies=[POLICY])
WITHOUT = View(GROUP)


def test_a_policy_that_shows_late_is_waited_for():
    late = Late([WITHOUT, WITHOUT, WITH_POLICY])
    result, clock = policy(late)
    assert (result["outcome"], clock.sleeps) == ("changed", [0.5])
    assert result["policy"]["identity"] == "t\\p"


def test_a_group_that_is_too_young_for_a_policy_is_waited_for():
    late = Late([WITHOUT, WITH_POLICY], {"New-ApplicationAccessPolicy": [NotFound("no"), NotFound("no")]})
    result, clock = policy(late)
    assert (result["outcome"], clock.sleeps) == ("changed", [0.5, 1.0])


def test_a_group_that_stays_unknown_is_a_failure():
    late = Late([WITHOUT], {"New-ApplicationAccessPolicy": [NotFound("no")] * 99})
    assert policy(late, patience=3)[0]["outcome"] == "failed"


def test_a_lost_policy_that_is_there_counts_as_created():
    late = Late([WITHOUT, WITH_POLICY], {"New-ApplicationAccessPolicy": [AnswerLost("gone")]})
    result, _clock = policy(late)
    assert (result["outcome"], result["changed"]) == ("changed", True)
    assert late.names() == ["New-ApplicationAccessPolicy"]


def test_a_policy_that_is_refused_as_existing_counts_when_it_is_ours():
    late = Late([WITHOUT, WITH_POLICY], {"New-ApplicationAccessPolicy": [Conflict("exists")]})
    assert policy(late)[0]["outcome"] == "changed"
    for wrong in ({"AccessRight": "DenyAccess"}, {"AppId": APP.replace("1", "2")}, {"ScopeIdentityRaw": "S-2;other"}):
        shown = View(GROUP, policies=[{**POLICY, **wrong}])
        late = Late([WITHOUT, shown], {"New-ApplicationAccessPolicy": [Conflict("exists")]})
        result, clock = policy(late)
        assert (result["outcome"], clock.sleeps) == ("failed", []), wrong
        assert "exists" in result["msg"]


def test_each_step_is_its_own_cmdlet():
    other = {**POLICY, "Identity": "t\\old", "ScopeIdentityRaw": "S-2;other"}
    late = Late([View(GROUP, policies=[{**POLICY, "Description": "old"}, other]), WITH_POLICY])
    assert policy(late, description="text", on_other_policies="remove")[0]["outcome"] == "changed"
    assert late.written == [
        ("Set-ApplicationAccessPolicy", {"Identity": "t\\p", "Description": "text"}),
        ("Remove-ApplicationAccessPolicy", {"Identity": "t\\old", "Confirm": False}),
    ]


def test_a_policy_removed_meanwhile_is_removed():
    late = Late([WITH_POLICY, WITHOUT], {"Remove-ApplicationAccessPolicy": [NotFound("no")]})
    assert policy(late, state="absent")[0]["outcome"] == "changed"


def test_nothing_old_is_removed_when_the_new_one_was_refused():
    old = View(GROUP, policies=[{**POLICY, "Identity": "t\\old", "ScopeIdentityRaw": "S-2;other"}])
    late = Late([old], {"New-ApplicationAccessPolicy": [ServiceError("total size of App Access Policies exceeded")]})
    assert policy(late, on_other_policies="remove")[0]["outcome"] == "failed"
    assert late.names() == ["New-ApplicationAccessPolicy"]


def test_a_policy_that_somebody_takes_away_again_is_told():
    result, clock = policy(Late([WITHOUT]), patience=3)
    assert result["outcome"] == "failed"
    assert "still to do" in result["msg"]
    assert clock.passed <= 3


# ---- EWS ------------------------------------------------------------------------------------------------------------

CLOSED = View(ews={"EwsEnabled": False, "EwsAllowedAppIDs": None})


def test_ews_settings_that_show_late_are_waited_for():
    opened = View(ews={"EwsEnabled": True, "EwsAllowedAppIDs": f" {APP.upper()}"})
    late = Late([CLOSED, CLOSED, opened])
    result, clock = run(ews_access.DOOR, late, app_id=APP)
    assert (result["outcome"], clock.sleeps) == ("changed", [0.5])
    assert [parameters for _name, parameters in late.written] == [{"EwsAllowedAppIDs": APP}, {"EwsEnabled": True}]
    assert result["allowed"] is True


def test_ews_settings_that_somebody_else_writes_over_are_told():
    stolen = View(ews={"EwsEnabled": True, "EwsAllowedAppIDs": APP.replace("1", "2")})
    result, _clock = run(ews_access.DOOR, Late([CLOSED, stolen]), app_id=APP, patience=2)
    assert result["outcome"] == "failed"
    assert "another tool" in result["msg"]
