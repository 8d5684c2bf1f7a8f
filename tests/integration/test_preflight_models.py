# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of application roles, rights on mailboxes and mail protocols is told before any write."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile
from tests.emulator.testing import Emulator, start_emulator
from tests.integration import transports
from tests.integration.harness import EXCHANGE, GRAPH, requests_to, run
from tests.integration.models_in_the_way import (
    ALIAS,
    ANOTHER_TOOL,
    ANSWERS,
    APP,
    BY_RIGHT,
    BY_ROLE,
    BY_SMTP_ROLE,
    DENIED,
    EMPTY,
    EVERYTHING,
    EWS_ROLE,
    FURTHER,
    GONE,
    GRANTED,
    IMAP,
    LARGE,
    LARGE_NAMES,
    LEFT_BEHIND,
    LICENCES,
    MAIL,
    MANY,
    NAME,
    NESTED,
    NEVER,
    NEVER_AND_DONE,
    OPEN,
    ORPHAN,
    OTHER,
    OWN,
    POLICED,
    POLICED_TOO_FAR,
    POOR,
    REGISTRATION,
    RENAMED,
    SCOPE,
    SHARED,
    SHUT,
    SMTP,
    SMTP_GRANTED,
    SMTP_ROLE,
    TAKEN,
    TAKEN_AND_USED,
    TENANTS,
    UNIFIED,
    WIDE,
    WIDE_OPEN,
    WRONG,
)

Json = dict[str, t.Any]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with start_emulator({"tenants": TENANTS}) as running:
        yield running


def connection(number: int) -> Json:
    return {
        "tenant": f"p{number}.example",
        "client_id": f"11111111-0000-4000-8000-{number:012}",
        "client_secret": "operator-secret",
    }


def look(emulator: Emulator, number: int, accesses: list[Json], **changes: t.Any) -> Json:
    """A preflight of these accesses; nothing is written."""
    domain = f"p{number}.example"
    more = changes.pop("connection", {})
    models = {one["scoping"] for one in accesses}
    switches = [one["protocol"] for one in accesses if one["protocol"] in ("imap", "pop", "smtp")]
    consented = [one for one in accesses if one["scoping"] != "application_role"]
    exchange = [name for one in consented if one["protocol"] != "graph" for name in one["permissions"]]
    graph = [name for one in consented if one["protocol"] == "graph" for name in one["permissions"]]
    params: Json = {
        "expected_domain": domain,
        "application": {"unique_name": "mail2fax", "display_name": NAME, "recorded_app_id": changes.pop("known", APP)},
        "accesses": accesses,
        "permissions": [
            *([{"resource": "exchange_online", "application": exchange}] if exchange else []),
            {"resource": "microsoft_graph", "application": graph, "delegated": ["User.Read"]},
        ],
        "mailboxes": [f"fax@{domain}"],
        "protocols": {"required": switches, "opt_in": changes.pop("opt_in", False)},
        "secret_name": "secret",
        "secret_lifetime_days": 365,
        **({"group": {"name": "Mail2Fax scope", "alias": ALIAS, "owners": []}} if "application_role" in models else {}),
        **({"application_role": {"scope_name": SCOPE}} if "application_role" in models else {}),
        **changes,
    }
    if "group" in changes:
        params["group"] = {"name": "Mail2Fax scope", "alias": ALIAS, "owners": [], **changes["group"]}
    if "application_role" in changes:
        params["application_role"] = {"scope_name": SCOPE, **changes["application_role"]}
    emulator.clear_journal()
    result = run("m365_tenant_info", params, emulator, **connection(number), **more)
    rows = [row for row in emulator.journal() if row["cmdlet"] and not row["cmdlet"].startswith(("Get-", "Test-", "$"))]
    assert rows == []
    return result


def told(result: Json, severity: str = "blocked", step: str | None = None) -> list[str]:
    return [
        f"{one['what']}: {one['found']}. {one['cure'] or ''} {one['who'] or ''}"
        for one in result["findings"]
        if one["severity"] == severity and step in (None, one["step"])
    ]


def counted(emulator: Emulator) -> list[int]:
    return [len(requests_to(emulator, host)) for host in (GRAPH, EXCHANGE)]


# --- how many requests -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "accesses", "changes"),
    [
        (BY_ROLE, [MAIL], {}),
        (BY_SMTP_ROLE, [SMTP_ROLE], {}),
        (BY_SMTP_ROLE, [IMAP, SMTP_ROLE], {"control_mailboxes": [f"bob@p{BY_SMTP_ROLE}.example"]}),
        (BY_SMTP_ROLE, [IMAP, SMTP_ROLE], {}),
        (BY_RIGHT, [IMAP, SMTP], {}),
        (LARGE, [IMAP, SMTP], {"mailboxes": [f"{name}@p{LARGE}.example" for name in ("fax", *LARGE_NAMES)]}),
    ],
    ids=["roles", "smtp by a role", "both", "both, picking", "rights", "eight mailboxes of many"],
)
def test_one_batch_of_each_service_when_all_is_well(
    emulator: Emulator, number: int, accesses: list[Json], changes: Json
) -> None:
    result = look(emulator, number, accesses, **changes)
    assert told(result) == []
    assert counted(emulator) == [1, 1]
    assert result["operator"]["app_id"]


@pytest.mark.parametrize("name", sorted(_profile.names()))
def test_each_profile_on_a_tenant_that_has_nothing_of_it(emulator: Emulator, name: str) -> None:
    profile = _profile.load(name)
    domain = f"p{EMPTY}.example"
    params: Json = {
        "application": {
            "unique_name": profile["names"]["unique_name"],
            "display_name": profile["names"]["application"],
        },
        "permissions": profile["permissions"],
        "accesses": profile["accesses"],
        "mailboxes": [f"fax@{domain}", f"info@{domain}"],
        "group": {"name": profile["names"]["group"], "alias": profile["names"]["group_alias"], "owners": []},
        "application_role": {"scope_name": profile["names"]["scope"] or None},
        "protocols": {"required": profile["switches"]},
        "ews": {"required": "ews" in profile["protocols"]},
        "steps": [step for step in profile["steps"] if step not in ("preflight", "mailbox_probe")],
        "secret_lifetime_days": 365,
    }
    if not profile["names"]["group"]:
        del params["group"]
    emulator.clear_journal()
    result = run("m365_tenant_info", params, emulator, **connection(EMPTY))
    assert told(result) == []
    assert result["missing"] == []
    assert [one["picked"] for one in result["control_mailboxes"]] == [True]
    # Where a scope is to be made, whether the organization was ever customized may take a request of its own.
    assert counted(emulator) in ([1, 1], [1, 2] if "application_role" in profile["models"] else [])


# --- mail protocols ------------------------------------------------------------------------------------------


def test_open_protocols_are_told_and_stop_nothing(emulator: Emulator) -> None:
    result = look(emulator, OPEN, [IMAP, SMTP])
    assert told(result) == []
    assert result["protocols"]["organization"] == {"smtp_auth_disabled": False}
    (one,) = result["protocols"]["mailboxes"]
    assert (one["imap"], one["smtp_auth"], one["smtp_auth_effective"]) == (True, None, True)


def test_what_is_switched_off_for_a_mailbox_names_the_opt_in(emulator: Emulator) -> None:
    both = [f"fax@p{SHUT}.example", f"adele@p{SHUT}.example"]
    imap, smtp = told(look(emulator, SHUT, [IMAP, SMTP], mailboxes=both), step="mailbox_protocols")
    assert "IMAP: it is switched off for" in imap
    assert all(address in imap for address in both)
    assert "mail2fax_protocols_opt_in: true" in imap
    assert "an Exchange Administrator" in imap
    # Neither has a switch of its own, and the organization's is off.
    assert "SMTP AUTH" in smtp
    assert "Get-TransportConfig" in smtp
    assert "whole organization" in smtp
    result = look(emulator, SHUT, [IMAP, SMTP], mailboxes=both, opt_in=True)
    assert told(result) == []
    assert [one for one in told(result, "warning") if "this run switches it on for these mailboxes alone" in one]


def test_a_shared_mailbox_with_smtp_auth_of_its_own_off(emulator: Emulator) -> None:
    (smtp,) = told(look(emulator, OWN, [SMTP_ROLE]), step="mailbox_protocols")
    assert f"the shared mailbox fax@p{OWN}.example" in smtp
    assert "SmtpClientAuthenticationDisabled" in smtp
    assert "Get-TransportConfig" not in smtp
    # Its own value wins over the organization's, in either direction.
    assert told(look(emulator, OWN, [SMTP_ROLE], mailboxes=[f"adele@p{OWN}.example"]), step="mailbox_protocols") == []


def test_a_control_mailbox_whose_protocol_is_off_shows_nothing(emulator: Emulator) -> None:
    result = look(emulator, SHUT, [IMAP], opt_in=True, control_mailboxes=[f"adele@p{SHUT}.example"])
    (note,) = told(result, "warning", "control_mailboxes")
    assert "IMAP is switched off for it" in note


# --- licences ------------------------------------------------------------------------------------------------


def test_a_mailbox_without_a_licence_for_its_protocol(emulator: Emulator) -> None:
    names = [f"{name}@p{LICENCES}.example" for name in ("fax", "adele", "bob", "info")]
    result = look(emulator, LICENCES, [IMAP], mailboxes=names, opt_in=True)
    none, kiosk = told(result, step="mailboxes")
    assert f"mailbox {names[0]}: its account has no licence" in none
    assert f"mailbox {names[1]}: its licence (mailbox plan ExchangeOnlineDeskless" in kiosk
    assert "has no IMAP" in kiosk
    assert all("a License Administrator" in one for one in (none, kiosk))
    # SMTP AUTH comes with every licence.
    (alone,) = told(look(emulator, LICENCES, [SMTP], mailboxes=names, opt_in=True), step="mailboxes")
    assert names[0] in alone


# --- nothing limits it ---------------------------------------------------------------------------------------


def test_nothing_limits_it_only_where_somebody_says_so_in_words(emulator: Emulator) -> None:
    result = look(emulator, OPEN, [WIDE])
    (stop,) = told(result)
    assert "may open every mailbox" in stop
    assert "mail2fax_accept_tenant_wide" in stop
    assert result["control_mailboxes"] == []
    words = "The board, on 2026-11-27: it is our archive"
    accepted = look(emulator, OPEN, [WIDE], accept_tenant_wide=words)
    assert told(accepted) == []
    assert any(words in one for one in told(accepted, "warning"))
    with pytest.raises(ValueError, match="says too little"):
        run_of_yes(emulator)


def run_of_yes(emulator: Emulator) -> None:
    result = look(emulator, OPEN, [WIDE], accept_tenant_wide="true")
    if result["outcome"] != "ok":
        raise ValueError(result["msg"])


# --- the scope group -----------------------------------------------------------------------------------------


def test_a_microsoft_365_group_is_no_scope(emulator: Emulator) -> None:
    (stop,) = told(look(emulator, UNIFIED, [MAIL], group={"name": "Fax team"}), step="scope_group")
    assert "Microsoft 365 group" in stop


def test_a_group_in_the_group_is_named_and_taken_apart_only_when_told(emulator: Emulator) -> None:
    (stop,) = told(look(emulator, NESTED, [MAIL]))
    assert "direct members only" in stop
    assert "Inner" in stop
    assert "mail2fax_on_nested_group" in stop
    flattened = look(emulator, NESTED, [MAIL], group={"on_nested_group": "flatten"})
    assert told(flattened) == []
    assert any("they leave the group" in one for one in told(flattened, "warning", "scope_group"))
    # Who is in there is out of reach, and may be the control of the same run.
    control = look(
        emulator,
        NESTED,
        [MAIL],
        group={"on_nested_group": "flatten"},
        control_mailboxes=[f"bob@p{NESTED}.example"],
    )
    assert told(control) == []


def test_another_application_s_roles_on_our_scope_would_reach_more(emulator: Emulator) -> None:
    two = [f"{name}@p{SHARED}.example" for name in ("fax", "adele")]
    (stop,) = told(look(emulator, SHARED, [MAIL], mailboxes=two), step="scope_group")
    assert "Ticket system" in stop
    accepted = look(emulator, SHARED, [MAIL], mailboxes=two, group={"accept_shared_group": [OTHER]})
    assert told(accepted, step="scope_group") == []
    assert told(look(emulator, SHARED, [MAIL]), step="scope_group") == []


def test_a_scope_that_outlived_a_group_of_the_name_would_hold_the_new_one(emulator: Emulator) -> None:
    (stop,) = told(look(emulator, LEFT_BEHIND, [MAIL], known=None), step="scope_group")
    assert "'Old'" in stop
    assert OTHER in stop


# --- the pointer ---------------------------------------------------------------------------------------------


def test_a_pointer_made_from_the_registrations_object_id(emulator: Emulator) -> None:
    result = look(emulator, WRONG, [IMAP, SMTP])
    (stop,) = told(result, step="service_principal")
    principal = next(
        one["id"]
        for one in emulator.state(f"99999999-0000-4000-8000-{WRONG:012}")["servicePrincipals"]
        if one["appId"] == APP
    )
    assert REGISTRATION in stop
    assert principal in stop
    assert "registration" in stop
    assert "on_wrong_pointer" in stop
    assert "an Exchange Administrator" in stop
    assert result["service_principal"]["object_id"] == REGISTRATION
    replaced = look(emulator, WRONG, [IMAP, SMTP], service_principal={"on_wrong_pointer": "replace"})
    assert told(replaced) == []
    (note,) = told(replaced, "warning", "service_principal")
    assert "it will be replaced" in note


@pytest.mark.parametrize("answer", ANSWERS)
def test_whatever_exchange_answers_to_an_unknown_identity(emulator: Emulator, answer: str) -> None:
    result = look(emulator, ANSWERS[answer], [IMAP, SMTP])
    assert told(result) == []
    assert result["service_principal"] is None


def test_a_pointer_to_a_service_principal_that_is_gone(emulator: Emulator) -> None:
    (stop,) = told(look(emulator, GONE, [IMAP]))
    assert "eeeeeeee-0000-4000-8000-000000000009" in stop
    assert "mail2fax_on_wrong_pointer" in stop
    assert told(look(emulator, GONE, [IMAP], service_principal={"on_wrong_pointer": "replace"})) == []


def test_an_application_without_a_record_costs_one_request_more(emulator: Emulator) -> None:
    result = look(emulator, WRONG, [IMAP, SMTP], known=None)
    assert told(result, step="service_principal")
    assert counted(emulator) == [1, 2]


# --- application roles ---------------------------------------------------------------------------------------


def test_a_scope_name_with_somebody_else_s_filter(emulator: Emulator) -> None:
    (stop,) = told(look(emulator, TAKEN, [MAIL], known=None))
    assert "CustomAttribute1 -eq 'fax'" in stop
    assert "scope_name" in stop
    assert "an Exchange Administrator" in stop
    free = look(emulator, TAKEN, [MAIL], known=None, application_role={"scope_name": "Another"})
    assert told(free) == []


def test_a_scope_that_another_application_uses(emulator: Emulator) -> None:
    (stop,) = told(look(emulator, TAKEN_AND_USED, [MAIL]))
    assert "'theirs'" in stop


def test_an_assignment_without_a_scope_defeats_every_other(emulator: Emulator) -> None:
    for choice in ("fail", "keep"):
        (stop,) = told(look(emulator, WIDE_OPEN, [MAIL], application_role={"on_other_assignments": choice}))
        assert "whole organization" in stop
        assert "'by hand'" in stop
    removed = look(emulator, WIDE_OPEN, [MAIL], application_role={"exclusive": True})
    assert told(removed) == []
    assert any("they will be removed" in one for one in told(removed, "warning", "application_role"))


def test_an_assignment_by_another_tool(emulator: Emulator) -> None:
    (stop,) = told(look(emulator, ANOTHER_TOOL, [MAIL]))
    assert "tool's" in stop
    kept = look(emulator, ANOTHER_TOOL, [MAIL], application_role={"on_other_assignments": "keep"})
    assert told(kept) == []
    assert any("tool's" in one for one in told(kept, "warning", "application_role"))


@pytest.mark.parametrize("permission", GRANTED)
def test_a_grant_in_entra_that_undoes_the_scope(emulator: Emulator, permission: str) -> None:
    (stop,) = told(look(emulator, GRANTED[permission], [MAIL]))
    assert permission in stop
    assert "mail2fax_on_entra_grant" in stop
    removed = look(emulator, GRANTED[permission], [MAIL], application_role={"on_entra_grant": "remove"})
    assert told(removed) == []
    assert any("until the tokens" in one for one in told(removed, "warning", "application_role"))


def test_a_policy_that_limits_the_grant_to_no_more(emulator: Emulator) -> None:
    result = look(emulator, POLICED, [MAIL])
    assert told(result) == []
    assert any("access policies stand beside the roles" in one for one in told(result, "warning", "application_role"))
    assert told(look(emulator, POLICED_TOO_FAR, [MAIL]), step="application_role")


def test_the_grant_of_smtp_beside_its_role(emulator: Emulator) -> None:
    (stop,) = told(look(emulator, SMTP_GRANTED, [SMTP_ROLE]))
    assert "SMTP.SendAsApp" in stop
    assert "rights on the mailbox" in stop


def test_revoking_takes_a_right_that_granting_a_role_does_not(emulator: Emulator) -> None:
    steps = ["application", "scope_group", "service_principal", "application_role", "admin_consent", "access_verdict"]
    permissions = [{"resource": "microsoft_graph", "delegated": ["User.Read"]}]
    kept = look(emulator, POOR, [MAIL], steps=steps, permissions=permissions)
    assert [one["permission"] for one in kept["missing"]] == []
    removed = look(
        emulator, POOR, [MAIL], steps=steps, permissions=permissions, application_role={"on_entra_grant": "remove"}
    )
    assert [(one["step"], one["permission"]) for one in removed["missing"]] == [
        ("application_role", "AppRoleAssignment.ReadWrite.All")
    ]


@pytest.mark.parametrize("accesses", [[MAIL], [SMTP_ROLE], [IMAP, SMTP_ROLE]], ids=["mail", "smtp", "both"])
def test_an_organization_that_was_never_customized(emulator: Emulator, accesses: list[Json]) -> None:
    (stop,) = told(look(emulator, NEVER, accesses, known=None))
    assert "Enable-OrganizationCustomization" in stop
    assert "mail2fax_enable_organization_customization" in stop
    assert "Organization Management" in stop
    wanted = {"enable_organization_customization": True}
    opted = look(emulator, NEVER, accesses, known=None, application_role=wanted)
    assert told(opted) == []
    assert any("once and for good" in one for one in told(opted, "warning", "application_role"))


def test_ews_under_a_role_needs_its_address(emulator: Emulator) -> None:
    result = look(emulator, BY_ROLE, [EWS_ROLE], ews={"opt_in": False})
    assert any("Autodiscover" in one for one in told(result, "warning", "ews_access"))
    # No role is named, and the permission's own is meant.
    assert [one["role"] for one in result["application_role"]["assignments"]] == ["Application EWS.AccessAsApp"]
    assert counted(emulator) == [1, 1]


def test_two_permissions_that_are_one_role(emulator: Emulator) -> None:
    basic = {**MAIL, "permissions": ["Mail.ReadBasic", "Mail.ReadBasic.All"], "roles": []}
    result = look(emulator, BY_ROLE, [basic], application_role={"on_other_assignments": "keep"})
    assert [one["role"] for one in result["application_role"]["assignments"]] == ["Application Mail.ReadBasic"]


def test_more_mailboxes_than_one_batch_and_one_filter_hold(emulator: Emulator) -> None:
    names = [f"o'line{number}@p{MANY}.example" for number in range(60)]
    result = look(emulator, MANY, [IMAP, SMTP], mailboxes=names)
    assert told(result) == []
    assert [one["usable"] for one in result["mailboxes"]] == [True] * 60
    assert len(result["protocols"]["mailboxes"]) == 60
    assert counted(emulator) == [1, 1]


def test_a_scope_by_a_former_name_of_the_group_is_made_right(emulator: Emulator) -> None:
    # The assignments on it are the application's own, and nobody else's.
    result = look(emulator, RENAMED, [MAIL])
    assert told(result) == []
    assert "CN=Fax of old" not in result["application_role"]["scope"]["filter"]


def test_it_is_a_hint_only_where_nothing_is_to_be_made(emulator: Emulator) -> None:
    assert told(look(emulator, NEVER_AND_DONE, [MAIL])) == []


def test_all_of_it_is_told_at_once(emulator: Emulator) -> None:
    told_of = told(look(emulator, EVERYTHING, [MAIL]), step="application_role")
    assert len(told_of) == 4
    for word in ("Mail.Send", "CustomAttribute1", "by hand", "Enable-OrganizationCustomization"):
        assert any(word in one for one in told_of), word


# --- rights on mailboxes -------------------------------------------------------------------------------------


def test_a_denied_right_stops_before_anything_is_written(emulator: Emulator) -> None:
    (stop,) = told(look(emulator, DENIED, [IMAP]))
    assert f"denies the application FullAccess on fax@p{DENIED}.example" in stop
    assert "Remove-MailboxPermission" in stop
    assert "an Exchange Administrator" in stop


def test_rights_on_further_mailboxes_are_told(emulator: Emulator) -> None:
    result = look(emulator, FURTHER, [IMAP, SMTP])
    assert told(result) == []
    # SendAs shows for the whole tenant at once, FullAccess where there is room to look.
    (note,) = told(result, "warning", "mailbox_permission")
    assert f"info@p{FURTHER}.example" in note
    assert "mailbox_permission.exclusive" in note
    (note,) = told(
        look(emulator, FURTHER, [IMAP, SMTP], mailbox_permission={"exclusive": True}), "warning", "mailbox_permission"
    )
    assert "will be taken off" in note


def test_the_page_of_further_mailboxes_is_handed_on(emulator: Emulator) -> None:
    small = look(emulator, FURTHER, [IMAP, SMTP])["candidates"]
    assert sorted(small) == [f"{name}@p{FURTHER}.example" for name in ("adele", "bob", "info")]
    large = look(emulator, LARGE, [IMAP, SMTP])["candidates"]
    assert len(large) == 15
    assert look(emulator, BY_ROLE, [MAIL])["candidates"] == []


def test_entries_of_nobody_are_shown(emulator: Emulator) -> None:
    (orphan,) = look(emulator, FURTHER, [IMAP, SMTP])["mailbox_permission"]["orphans"]
    assert orphan["sid"] == ORPHAN
    assert orphan["mailbox"] == f"fax@p{FURTHER}.example"


def standing(emulator: Emulator, number: int) -> Json:
    """All that a tenant has but who signed in."""
    state = emulator.state(f"99999999-0000-4000-8000-{number:012}")
    return {key: value for key, value in state.items() if key != "signIns"}


# --- as the steps say it -------------------------------------------------------------------------------------

ROLE_STEP: Json = {"app_id": APP, "group": ALIAS, "scope_name": SCOPE}


@pytest.mark.parametrize(
    ("number", "access", "module", "options"),
    [
        (WRONG, SMTP, "exchange_service_principal", {"app_id": APP}),
        (DENIED, IMAP, "exchange_mailbox_permission", {"app_id": APP, "mailboxes": [f"fax@p{DENIED}.example"]}),
        (WIDE_OPEN, MAIL, "exchange_application_role", {**ROLE_STEP, "roles": MAIL["roles"]}),
        (ANOTHER_TOOL, MAIL, "exchange_application_role", {**ROLE_STEP, "roles": MAIL["roles"]}),
        (GRANTED["Mail.Read"], MAIL, "exchange_application_role", {**ROLE_STEP, "roles": MAIL["roles"]}),
        (SMTP_GRANTED, SMTP_ROLE, "exchange_application_role", {**ROLE_STEP, "roles": SMTP_ROLE["roles"]}),
    ],
    ids=["pointer", "denied", "without a scope", "another tool", "a grant", "a grant of smtp"],
)
def test_preflight_and_step_say_the_same(
    emulator: Emulator, number: int, access: Json, module: str, options: Json
) -> None:
    before = standing(emulator, number)
    step = run(module, options, emulator, **connection(number))
    assert step["outcome"] == "blocked", step["msg"]
    found = [one for one in look(emulator, number, [access])["findings"] if one["severity"] == "blocked"]
    (same,) = [one for one in found if one["found"] == step["error"]["message"]]
    assert same["cure"] == step["error"]["cure"]
    assert same["who"] == step["error"]["who"]
    assert standing(emulator, number) == before


def test_the_same_by_way_of_a_windows_host(emulator: Emulator) -> None:
    numbers = {BY_RIGHT: [IMAP, SMTP], WIDE_OPEN: [IMAP, SMTP_ROLE], EVERYTHING: [MAIL], DENIED: [IMAP]}
    domains = {f"p{number}.example" for number in numbers}
    few = [one for one in TENANTS if one["domains"][0] in domains]
    with transports.start_emulator({"tenants": few}, "winrm") as windows:
        for number, accesses in numbers.items():
            organization = {"winrm_organization": f"p{number}.example"}
            by_host = look(windows, number, accesses, connection=organization)
            direct = look(emulator, number, accesses)
            assert told(by_host) == told(direct), number
            assert told(by_host, "warning") == told(direct, "warning"), number
