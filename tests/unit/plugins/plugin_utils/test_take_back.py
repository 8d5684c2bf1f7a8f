# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a removal may take back: what is not proven stays, and what limits goes last and not too early."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _added
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.take_back import take_back

Json = dict[str, t.Any]
APP, OTHER = "1cb8b5d2-8724-4f32-8152-a16a230b682b", "22222222-0000-4000-8000-000000000002"
GROUP = "00000000-0000-4000-8000-000000000004"
NOW, SOON, LATER = "2026-11-21T12:00:00Z", "2026-11-21T13:30:00Z", "2026-11-21T15:00:00Z"
FULL = [{"resource": "exchange_online", "application": ["full_access_as_app"], "delegated": []}]
CONSENT = _added.permissions("consent", APP, FULL)
MADE = [_added.entry("application", None, APP), *CONSENT, _added.entry("policy", APP, GROUP)]
ADOPTED = [*CONSENT, _added.entry("policy", APP, GROUP), *_added.permissions("permission", APP, FULL)]


def record(ours: list[Json] | None = None, **more: t.Any) -> Json:
    found: Json = {
        "schema": 2,
        "kind": "provision",
        "state": "ready",
        "ids": {"application_id": APP, "group": GROUP},
        "application": {"unique_name": "mail2fax"},
        "ours": MADE if ours is None else ours,
        "steps": [{"step": "admin_consent", "outcome": "changed"}],
    }
    return {**found, **more}


def decide(known: Json, state: str = "present", app_id: str = APP, **found: t.Any) -> Json:
    application = {"state": state, "app_id": app_id if state != "absent" else None, **found.pop("application_has", {})}
    return take_back(known, {"permissions": FULL, "now": NOW, "tenant": {"application": application}, **found})


def test_what_a_run_made_goes_whole_and_its_limit_last() -> None:
    decided = decide(record())
    assert (decided["app_id"], decided["exists"], decided["stays"], decided["blocked"]) == (APP, True, False, "")
    assert decided["consent"] == {"permissions": FULL, "exclusive": True}
    assert decided["application"]["state"] == "absent"
    assert decided["policy"] == {"goes": True, "not_before": SOON, "revoked": False}


@pytest.mark.parametrize("grace", [0, 45])
def test_a_declared_grace_alone_decides(grace: int) -> None:
    assert decide(record(), token_grace_minutes=grace)["policy"]["not_before"] == f"2026-11-21T12:{grace:02}:00Z"


def test_what_the_revocation_told_and_what_was_waited_for_before_count() -> None:
    told = decide(record(), consent={"tokens_until": LATER})
    assert told["policy"]["not_before"] == LATER
    waiting = record(kind="decommission", state="removing", removing={"since": NOW, "until": SOON})
    assert decide(waiting, "deleted")["policy"]["not_before"] == SOON
    assert decide(waiting, "deleted")["blocked"] == ""
    assert decide(waiting, consent={"tokens_until": LATER})["policy"]["not_before"] == LATER


@pytest.mark.parametrize(("grace", "until"), [(0, None), (45, "2026-11-21T12:45:00Z"), (180, LATER)])
def test_a_grace_that_is_declared_while_the_limits_wait_decides_as_well(grace: int, until: str | None) -> None:
    waiting = record(kind="decommission", state="removing", removing={"since": NOW, "until": SOON})
    tenant = {"now": "2026-11-21T12:05:00Z", "application": {"state": "deleted", "app_id": APP}}
    found = {"tenant": tenant, "token_grace_minutes": grace, "permissions": FULL}
    assert take_back(waiting, found)["policy"]["not_before"] == until


def test_what_is_over_by_the_services_clock_is_not_waited_for() -> None:
    waiting = record(kind="decommission", state="removing", removing={"since": NOW, "until": SOON})
    for now, until in ((NOW, SOON), (LATER, None)):
        tenant = {"now": now, "application": {"state": "deleted", "app_id": APP}}
        # The clock here does not count.
        assert take_back(waiting, {"tenant": tenant, "now": NOW})["policy"]["not_before"] == until


def test_a_grant_on_graph_outlives_one_on_exchange() -> None:
    mail = [{"resource": "microsoft_graph", "application": ["Mail.Read"], "delegated": []}]
    known = record([_added.entry("application", None, APP), *_added.permissions("consent", APP, mail)])
    assert decide(known)["policy"]["not_before"] == "2026-11-22T13:00:00Z"


def test_nothing_waits_where_nothing_was_ever_granted() -> None:
    stopped = record(
        [_added.entry("application", None, APP), _added.entry("policy", APP, GROUP)],
        steps=[{"step": "admin_consent", "outcome": "skipped"}],
    )
    assert decide(stopped)["policy"]["not_before"] is None
    assert decide(record(state="removed", kind="decommission"), "deleted")["policy"]["not_before"] is None
    assert decide({}, "absent") == {**decide({}, "absent"), "app_id": "", "blocked": ""}
    assert decide({}, "absent")["policy"] == {"goes": False, "not_before": None, "revoked": False}


def test_a_deleted_application_whose_grants_nobody_revoked_is_not_gone() -> None:
    gone = {"deleted": {"deleted_date_time": "2026-11-20T12:00:00Z", "credentials": 1}}
    blocked = decide(record(), "deleted", application_has=gone)["blocked"]
    assert "recycle bin" in blocked
    assert "20 Dec 2026" in blocked
    # A run of the first release that stopped after the revocation.
    half = record(kind="decommission", state="draft", steps=[{"step": "admin_consent", "outcome": "changed"}])
    assert decide(half, "deleted", application_has=gone)["blocked"] == ""
    assert decide(half, "deleted", application_has=gone)["policy"]["not_before"] == "2026-11-20T13:30:00Z"
    # Without a record the time counts from the deletion; that a run of ours deleted it shows in its secrets.
    lost = decide({}, "deleted", application_has={"deleted": {**gone["deleted"], "credentials": 0}})
    assert lost["policy"] == {"goes": True, "not_before": "2026-11-20T13:30:00Z", "revoked": True}
    assert "recycle bin" in decide({}, "deleted", application_has=gone)["blocked"]
    # So it does where that run was killed before its record was written; which grants it revoked nobody noted.
    killed = {"deleted": {**gone["deleted"], "credentials": 0}}
    assert decide(record(), "deleted", application_has=killed)["blocked"] == ""
    assert decide(record(), "deleted", application_has=killed)["policy"]["not_before"] == "2026-11-21T13:00:00Z"


@pytest.mark.parametrize("state", ["", "conflict"])
def test_what_could_not_be_read_proves_nothing(state: str) -> None:
    assert decide(record(), state)["blocked"]


def test_an_adopted_application_stays_and_loses_what_was_added() -> None:
    for said in (APP.upper(), ""):
        decided = decide(record(ADOPTED, application={"unique_name": None}), application_id=said)
        assert decided["stays"]
        assert decided["consent"] == {"permissions": FULL, "exclusive": False}
        assert decided["application"] == {"state": "released", "permissions": FULL, "service_principal": False}
        assert any("adopted" in reason for reason in decided["kept"])


def test_what_limits_grants_that_stay_stays_with_them() -> None:
    left = {"foreign": [{"resource": "microsoft_graph", "application": ["Mail.Read"], "delegated": []}]}
    decided = decide(record(ADOPTED), application_id=APP, consent=left)
    assert not decided["policy"]["goes"]
    assert "The access policy stays, because it limits permissions that the application keeps." in decided["kept"]
    # A policy that was there before a run came is nobody's to remove.
    assert not decide(record(CONSENT), application_id=APP)["policy"]["goes"]


def test_a_principal_that_a_run_made_goes_only_where_nobody_else_granted_anything() -> None:
    known = record([*ADOPTED, _added.entry("service_principal", APP, APP)])
    assert not decide(known, application_id=APP)["application"]["service_principal"]
    assert decide(known, application_id=APP, consent={"foreign": []})["application"]["service_principal"]


def test_old_values_of_things_of_others_are_listed() -> None:
    setting = _added.entry("setting", APP, "signInAudience", before="AzureADMultipleOrgs", what="The application")
    decided = decide(record([*ADOPTED, setting, _added.entry("setting", GROUP, "DisplayName", before="Fax")]))
    assert (
        "The application: signInAudience was 'AzureADMultipleOrgs' before a run changed it, and stays as it is now."
        in decided["kept"]
    )
    # Of a group what nobody changed since goes back.
    assert [entry["id"] for entry in decided["settings"]] == ["DisplayName"]


@pytest.mark.parametrize(
    ("then", "now", "ews"),
    [
        ({}, {}, {"goes": True, "on_absent": "auto"}),
        ({"EwsEnabled": False, "EwsAllowedAppIDs": OTHER}, {"EwsAllowedAppIDs": f"{OTHER},{APP}"}, "disabled"),
        ({"EwsEnabled": None, "EwsAllowedAppIDs": None}, {"EwsAllowedAppIDs": APP}, "unset"),
        ({"EwsEnabled": False, "EwsAllowedAppIDs": OTHER}, {"EwsAllowedAppIDs": APP}, "auto"),
        (
            {"EwsEnabled": True, "EwsAllowedAppIDs": APP},
            {"EwsAllowedAppIDs": APP},
            {"goes": False, "on_absent": "enabled"},
        ),
    ],
)
def test_ews_goes_back_to_what_it_was(then: Json, now: Json, ews: t.Any) -> None:
    tenant = {"application": {"state": "present", "app_id": APP}, "ews": now}
    decided = take_back(record(ews_found=then), {"tenant": tenant, "now": NOW})["ews"]
    assert decided == (ews if isinstance(ews, dict) else {"goes": True, "on_absent": ews})


# ---- roles and rights -----------------------------------------------------------------------------------------------

BOX, SID, POINTER = "00000000-0000-4000-8000-0000000000b0", "S-1-5-21-1-2-3-4", "00000000-0000-4000-8000-000000000003"
BY_ROLE = ["scope_group", "service_principal", "application_role"]
BY_RIGHT = ["service_principal", "mailbox_permission", "mailbox_protocols", "admin_consent"]
ROLES = [_added.entry("scope", APP, "fax"), _added.entry("assignment", APP, "fax-smtp")]
RIGHTS = [
    _added.entry("right", BOX, "FullAccess", sid=SID),
    _added.entry("switch", BOX, "SmtpClientAuthenticationDisabled", before=None),
    _added.entry("switch", BOX, "ImapEnabled", before=False),
]
OURS = [_added.entry("application", None, APP), _added.entry("pointer", APP, POINTER)]


def by(*chosen: str) -> list[Json]:
    return [{"step": key, "outcome": "changed"} for key in chosen]


def test_roles_and_their_group_go_in_one_run() -> None:
    decided = decide(record([*OURS, *ROLES], steps=by(*BY_ROLE)), chosen=BY_ROLE, permissions=[])
    assert decided["roles"] == {"goes": True, "own_scopes": ["fax"], "exclusive": True}
    assert decided["pointer"]["goes"]
    assert decided["group"]["goes"]
    # Nothing waits for a token: a role is not in one.
    assert decided["policy"] == {"goes": False, "not_before": None, "revoked": False}
    assert not decided["rights"]["goes"]
    assert decided["steps"] == sorted(BY_ROLE)
    assert decided["kept"] == []


def test_rights_go_by_mailbox_and_sid_and_switches_to_what_they_were() -> None:
    decided = decide(record([*OURS, *RIGHTS, *CONSENT], steps=by(*BY_RIGHT)), chosen=BY_RIGHT)
    assert decided["rights"] == {
        **{"goes": True, "candidates": [BOX], "former_sids": [SID], "exclusive": True},
        "own": None,
    }
    assert decided["protocols"]["restore"] == [
        {"mailbox": BOX, "setting": "SmtpClientAuthenticationDisabled", "before": None},
        {"mailbox": BOX, "setting": "ImapEnabled", "before": False},
    ]
    assert (decided["group"]["goes"], decided["policy"]["goes"], decided["policy"]["not_before"]) == (
        False,
        False,
        None,
    )


def test_what_earlier_runs_did_goes_whatever_the_inventory_calls_for_today() -> None:
    decided = decide(
        record([*OURS, *ROLES, *RIGHTS], steps=by(*BY_ROLE, *BY_RIGHT)), chosen=["scope_group", "access_policy"]
    )
    assert all(decided[part]["goes"] for part in ("roles", "rights", "pointer", "group"))
    assert len(decided["protocols"]["restore"]) == 2
    # And what limited an earlier consent waits.
    mixed = decide(record([*MADE, *ROLES, *OURS], steps=by("admin_consent", "access_policy", *BY_ROLE)), chosen=BY_ROLE)
    assert (mixed["policy"]["goes"], mixed["policy"]["not_before"]) == (True, SOON)


@pytest.mark.parametrize("ours", [MADE, []])
@pytest.mark.parametrize("accesses", [[{"id": "ews", "scoping": "application_access_policy"}], None])
def test_a_run_that_was_refused_for_another_model_hides_no_consent(accesses: t.Any, ours: list[Json]) -> None:
    refused = [{"step": key, "outcome": "skipped"} for key in ("admin_consent", "access_policy")]
    kept = {"name": "imagicle_ews", **({"accesses": accesses} if accesses else {})}
    decided = decide(record(ours, steps=refused, profile=kept), chosen=BY_ROLE, permissions=[])
    assert {"admin_consent", "access_policy"} <= set(decided["steps"])
    assert decided["consent"]["exclusive"]
    # Whatever the record's profile is called.
    assert "admin_consent" in decide(record(MADE, steps=refused), chosen=BY_ROLE)["steps"]


def test_of_an_adopted_application_only_what_a_run_added_goes() -> None:
    adopted = decide(record([*ROLES, *RIGHTS, *CONSENT]), chosen=[*BY_ROLE, *BY_RIGHT], application_id=APP)
    assert adopted["stays"]
    assert adopted["roles"] == {"goes": True, "own_scopes": ["fax"], "exclusive": False}
    assert (adopted["rights"]["goes"], adopted["rights"]["exclusive"]) == (True, False)
    assert adopted["rights"]["own"] == [{"mailbox": BOX, "right": "FullAccess"}]
    assert not adopted["pointer"]["goes"]
    # A scope that was there before is not among it.
    scopeless = decide(record(ROLES[1:]), chosen=BY_ROLE, application_id=APP)
    assert scopeless["roles"] == {"goes": True, "own_scopes": [], "exclusive": False}
    nothing = decide(record([]), chosen=[*BY_ROLE, *BY_RIGHT], application_id=APP)
    assert not any(nothing[part]["goes"] for part in ("roles", "rights", "pointer"))


def test_without_a_record_the_profile_tells_what_there_may_be() -> None:
    decided = decide({}, chosen=[*BY_ROLE, *BY_RIGHT])
    assert all(decided[part]["goes"] for part in ("roles", "rights", "pointer", "group"))
    assert decided["rights"]["candidates"] == []
    assert any("so they stay as they are" in text for text in decided["kept"])
    assert decided["roles"]["own_scopes"] is None
    assert decide({}, "absent", app_id="", chosen=BY_ROLE)["roles"]["goes"] is False


# --- every end that is known counts --------------------------------------------------------------------------


DAY = "2026-11-22T13:00:00Z"
NOTHING_LEFT: Json = {"revoked": [], "tokens_until": None}


def test_what_a_provisioning_revoked_beside_outlives_the_removal_of_the_rest() -> None:
    known = record(tokens_until=DAY, tokens_since=NOW)
    assert decide(known, consent={"revoked": FULL, "tokens_until": SOON})["policy"]["not_before"] == DAY
    assert decide(known)["policy"]["not_before"] == DAY
    hasty = decide(known, token_grace_minutes=10, consent={"revoked": FULL, "tokens_until": SOON})
    assert hasty["policy"]["not_before"] == SOON
    # One of long ago is no word on what was revoked since.
    known = record(tokens_until="2026-11-01T00:00:00Z", tokens_since="2026-10-31T00:00:00Z")
    assert decide(known)["policy"]["not_before"] == SOON


def test_a_removal_that_stopped_after_the_revocation_has_not_forgotten_it() -> None:
    half = record(kind="decommission", state="draft", tokens_until=LATER, tokens_since=NOW)
    assert decide(half, consent=NOTHING_LEFT)["policy"]["not_before"] == LATER
    grace = decide(half, consent=NOTHING_LEFT, token_grace_minutes=45)
    assert grace["policy"]["not_before"] == "2026-11-21T12:45:00Z"


def test_where_the_grants_are_gone_and_nobody_noted_which_they_were_all_count() -> None:
    assert decide(record(), consent=NOTHING_LEFT)["policy"]["not_before"] == DAY
    # A removal that was killed right after it deleted the application.
    gone = {"deleted": {"deleted_date_time": NOW, "credentials": 0}}
    assert decide(record(), "deleted", application_has=gone)["policy"]["not_before"] == DAY
    only_delegated = {"revoked": [{"resource": "microsoft_graph", "application": [], "delegated": ["User.Read"]}]}
    assert decide(record(), consent={**NOTHING_LEFT, **only_delegated})["policy"]["not_before"] == DAY


def test_what_was_restored_after_a_removal_may_have_held_anything() -> None:
    over = record(
        kind="decommission",
        state="removing",
        removing={"since": "2026-11-01T00:00:00Z", "until": "2026-11-02T00:00:00Z"},
    )
    assert decide(over, "deleted")["policy"]["not_before"] == "2026-11-02T00:00:00Z"
    assert decide(over, consent=NOTHING_LEFT)["policy"]["not_before"] == DAY


@pytest.mark.parametrize("resource", [None, "00000002-0000-0ff1-ce00-000000000000"])
def test_the_tenants_policies_count_where_the_revocation_is_not_todays(resource: str | None) -> None:
    application = {"state": "present", "app_id": APP}
    lives = [{"name": "A day", "resource": resource, "minutes": 1440}]
    found = {"permissions": FULL, "now": NOW, "tenant": {"application": application, "token_lifetimes": lives}}
    assert take_back(record(), found)["policy"]["not_before"] == "2026-11-22T12:00:00Z"
    other = [{"name": "A day", "resource": "00000003-0000-0000-c000-000000000000", "minutes": 1440}]
    found["tenant"]["token_lifetimes"] = other
    assert take_back(record(), found)["policy"]["not_before"] == SOON


def test_the_life_of_the_proofs_own_token_counts() -> None:
    known = record(token_lives={"exchange_online": 480})
    told = {"revoked": FULL, "tokens_until": SOON, "revoked_at": NOW}
    assert decide(known, consent=told)["policy"]["not_before"] == "2026-11-21T20:00:00Z"
    assert decide(known)["policy"]["not_before"] == "2026-11-21T20:00:00Z"
    assert decide(known, consent=told, token_grace_minutes=30)["policy"]["not_before"] == SOON
