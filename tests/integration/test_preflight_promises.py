# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stops a step is found by the preflight, which writes nothing, and said in the same words."""

from __future__ import annotations

import copy
import typing as t
from collections.abc import Iterator

import pytest

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.harness import EXCHANGE, GRAPH, run

Json = dict[str, t.Any]

APP = "aaaaaaaa-0000-4000-8000-000000000001"
OTHER = "aaaaaaaa-0000-4000-8000-000000000002"
ROLES = [
    *("Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All"),
    *("Directory.Read.All", "Policy.Read.All", "Exchange.ManageAsApp"),
]
NAME, SECRET, ALIAS = "Mail2DigitalFax", "DigitalFaxMailServiceSecret", "imagicle.digital.fax"
PERMISSIONS = [
    {"resource": "exchange_online", "application": ["full_access_as_app"]},
    {"resource": "microsoft_graph", "delegated": ["User.Read"]},
]
STEPS = ["application", "scope_group", "access_policy", "client_secret", "admin_consent", "access_verdict"]
FORBID: Json = {"secrets": "forbidden"}
AGENTS: Json = {"EwsApplicationAccessPolicy": "EnforceAllowList", "EwsAllowList": ["Outlook*"]}


def tenant(number: int, **keys: t.Any) -> Json:
    domain = f"t{number}.example"
    operator = f"11111111-0000-4000-8000-{number:012}"
    application = {"appId": APP, "displayName": NAME, "uniqueName": "mail2fax", "createdByAppId": operator}
    application |= keys.pop("application", {})
    people = [{"address": f"{name}@{domain}", "display_name": name.title()} for name in ("fax", "adele", "bob")]
    return {
        "id": f"99999999-0000-4000-8000-{number:012}",
        "domains": [domain],
        "operators": [
            {
                "client_id": operator,
                "client_secret": "operator-secret",
                "display_name": "Provisioning operator",
                "app_roles": keys.pop("roles", ROLES),
                "directory_roles": ["Exchange Administrator"],
            }
        ],
        "mailboxes": keys.pop("mailboxes", people),
        "applications": [application, *keys.pop("more", [])],
        **keys,
    }


def key(number: int) -> Json:
    return {
        "keyId": f"bbbbbbbb-0000-4000-8000-{number:012}",
        "displayName": SECRET,
        "startDateTime": "2026-01-01T00:00:00Z",
        "endDateTime": "2029-01-01T00:00:00Z",
        "secretText": f"made by hand {number}",
    }


def ruled(number: int, default: Json, *own: Json) -> Json:
    return tenant(
        number, app_management_policy={**default, "assigned": {"mail2fax": [copy.deepcopy(one) for one in own]}}
    )


POLICIES = {
    1: ruled(1, FORBID, {"enabled": False}),
    2: ruled(2, FORBID, {"enabled": False, "max_lifetime_days": 30}, {"enabled": False}),
    3: ruled(3, {}, {"enabled": False}, FORBID),
    4: ruled(4, {}, FORBID),
    5: ruled(5, FORBID, {}),
    6: ruled(6, FORBID, {"enabled": False, **FORBID}, {"max_lifetime_days": 1000}),
    7: ruled(7, {"max_lifetime_days": 90}, {"enabled": False, "max_lifetime_days": 900}),
    8: ruled(8, {}, {"max_lifetime_days": 900}, {"max_lifetime_days": 90}),
}
SYNCED, SHUT, CROWDED, ODD_LIST, AGENT_LIST, AGENT_MAILBOX, BY_LOGIN, DENIED, GROUPED, POOR = range(20, 30)
SHARED, SHUT_OUT, HAND_MADE, ADOPTED, GRANTED = range(30, 35)


def mailbox(number: int, name: str, **keys: t.Any) -> Json:
    return {"address": f"{name}@t{number}.example", "display_name": name.title(), **keys}


TENANTS = [
    *POLICIES.values(),
    tenant(SYNCED, groups=[{"name": "Fax scope", "alias": ALIAS, "dir_synced": True}]),
    tenant(SHUT, application={"accountEnabled": False}),
    tenant(CROWDED, application={"passwordCredentials": [key(1), key(2)]}),
    tenant(ODD_LIST, organization_config={"EwsEnabled": True, "EwsAllowedAppIDs": f"{OTHER},the old fax server"}),
    tenant(AGENT_LIST, organization_config={"EwsEnabled": True, "EwsAllowedAppIDs": APP, **AGENTS}),
    tenant(
        AGENT_MAILBOX,
        mailboxes=[
            mailbox(AGENT_MAILBOX, "fax", ews_agents=AGENTS),
            mailbox(
                AGENT_MAILBOX,
                "adele",
                ews_agents={"EwsApplicationAccessPolicy": "EnforceBlockList", "EwsBlockList": ["mail2fax*"]},
            ),
            mailbox(
                AGENT_MAILBOX,
                "bob",
                ews_agents={"EwsApplicationAccessPolicy": "EnforceAllowList", "EwsAllowList": ["*FAX*", "mail*"]},
            ),
        ],
    ),
    tenant(
        BY_LOGIN,
        mailboxes=[
            mailbox(BY_LOGIN, "fax", user_principal_name="faxlogin@t26.example"),
            mailbox(BY_LOGIN, "room", type="RoomMailbox", user_principal_name="room.login@t26.example"),
            mailbox(BY_LOGIN, "guest", type="MailUser", user_principal_name="guest.login@t26.example"),
            mailbox(BY_LOGIN, "nobody", type="User", user_principal_name="nobody.login@t26.example"),
            mailbox(BY_LOGIN, "adele"),
        ],
    ),
    tenant(
        DENIED,
        groups=[
            {"name": "Inner", "members": ["fax@t27.example"]},
            {"name": "Board", "members": ["Inner", "bob@t27.example"]},
            {"name": "Fax scope", "alias": ALIAS, "members": ["fax@t27.example"]},
        ],
        policies=[
            {"app_id": APP, "group": "Fax scope", "access_right": "RestrictAccess"},
            {"app_id": APP, "group": "Board", "access_right": "DenyAccess"},
        ],
    ),
    tenant(
        GROUPED,
        groups=[{"name": "Fax scope", "alias": ALIAS, "members": ["fax@t28.example", "adele@t28.example"]}],
    ),
    tenant(
        SHARED,
        more=[{"appId": OTHER, "displayName": "Ticket system", "app_roles": ["full_access_as_app"]}],
        groups=[
            {"name": "Fax scope", "alias": ALIAS, "members": []},
            {"name": "Nested", "alias": "nested", "members": []},
            {"name": "Tickets", "alias": "tickets", "members": ["Nested", "bob@t30.example"]},
        ],
        policies=[
            {"app_id": OTHER, "group": "Fax scope", "access_right": "RestrictAccess"},
            {"app_id": OTHER, "group": "Tickets", "access_right": "RestrictAccess"},
        ],
    ),
    tenant(
        SHUT_OUT,
        more=[{"appId": OTHER, "displayName": "Ticket system", "app_roles": ["full_access_as_app"]}],
        groups=[{"name": "Fax scope", "alias": ALIAS, "members": ["fax@t31.example", "adele@t31.example"]}],
        policies=[{"app_id": OTHER, "group": "Fax scope", "access_right": "DenyAccess"}],
    ),
    tenant(
        HAND_MADE,
        groups=[{"name": "Fax scope", "alias": ALIAS, "require_sender_authentication": False, "join": "Closed"}],
    ),
    tenant(
        ADOPTED,
        application={
            "createdByAppId": OTHER,
            "requiredResourceAccess": [
                {
                    "resourceAppId": "00000003-0000-0000-c000-000000000000",
                    "resourceAccess": [{"id": "a154be20-db9c-4678-8ab7-66f6cc099a59", "type": "Scope"}],
                }
            ],
        },
    ),
    tenant(
        GRANTED,
        application={"app_roles": ["full_access_as_app"], "delegated": {"scopes": ["User.Read", "Mail.Read"]}},
    ),
    tenant(POOR, roles=["Application.ReadWrite.All", "Directory.Read.All", "Exchange.ManageAsApp"]),
]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with start_emulator({"tenants": TENANTS}) as running:
        yield running


def connection(number: int) -> Json:
    return {
        "tenant": f"t{number}.example",
        "client_id": f"11111111-0000-4000-8000-{number:012}",
        "client_secret": "operator-secret",
    }


def preflight(emulator: Emulator, number: int, **changes: t.Any) -> Json:
    domain = f"t{number}.example"
    group = {"name": "Fax scope", "alias": ALIAS, "owners": [], "on_other_policies": "fail"}
    params = {
        "expected_domain": domain,
        "application": {"unique_name": "mail2fax", "display_name": NAME},
        "permissions": PERMISSIONS,
        "mailboxes": [f"fax@{domain}"],
        "ews": {},
        "steps": STEPS,
        "secret_name": SECRET,
        "stored_key_ids": [],
        "secret_lifetime_days": 365,
        **changes,
        "group": {**group, **changes.pop("group", {})},
    }
    emulator.clear_journal()
    result = run("m365_tenant_info", params, emulator, **connection(number))
    rows = [row for row in emulator.journal() if row["cmdlet"] and not row["cmdlet"].startswith(("Get-", "Test-", "$"))]
    assert rows == []
    return result


def grave(result: Json, step: str | None = None) -> list[str]:
    return [
        f"{one['what']}: {one['found']}"
        for one in result["findings"]
        if one["severity"] == "blocked" and step in (None, one["step"])
    ]


def secret(emulator: Emulator, number: int, **options: t.Any) -> Json:
    params = {"app_id": APP, "display_name": SECRET, "return_value": True, **options}
    return run("entra_application_secret", params, emulator, check_mode=True, **connection(number))


# --- the secret ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", POLICIES)
def test_preflight_and_step_read_the_same_policy(emulator: Emulator, number: int) -> None:
    look = preflight(emulator, number)
    step = secret(emulator, number)
    assert bool(grave(look, "client_secret")) == (step["outcome"] == "blocked"), (look["findings"], step["msg"])


def test_the_policies_that_were_tried_forbid_and_allow(emulator: Emulator) -> None:
    outcomes = {number: secret(emulator, number)["outcome"] for number in POLICIES}
    assert outcomes == {
        **dict.fromkeys((1, 2, 3, 4), "blocked"),
        **dict.fromkeys((5, 6), "changed"),
        **dict.fromkeys((7, 8), "blocked"),
    }


def test_two_secrets_of_our_name_made_by_hand(emulator: Emulator) -> None:
    (told,) = grave(preflight(emulator, CROWDED), "client_secret")
    assert "2 live secrets" in told
    assert key(1)["keyId"] in told
    # Where the store knows one of them, the step retires the other, and where nobody said so, nobody can tell.
    assert grave(preflight(emulator, CROWDED, stored_key_ids=[key(2)["keyId"]]), "client_secret") == []
    assert grave(preflight(emulator, CROWDED, stored_key_ids=None), "client_secret") == []


def test_a_store_that_does_not_hold_the_recorded_secret(emulator: Emulator) -> None:
    recorded = {
        "recorded_key_id": key(1)["keyId"],
        "recorded_place": {"backend": "vault_file", "place": "/before.yml"},
        "stored_in": {"backend": "vault_file", "place": "/today.yml"},
    }
    (told,) = grave(preflight(emulator, CROWDED, stored_key_ids=[key(2)["keyId"]], **recorded), "client_secret")
    assert "/before.yml" in told
    assert "/today.yml" in told
    assert grave(preflight(emulator, CROWDED, stored_key_ids=[key(1)["keyId"]], **recorded), "client_secret") == []


# --- the application -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("application", [{"unique_name": "mail2fax", "display_name": NAME}, {"app_id": APP}])
def test_an_application_that_may_not_sign_in(emulator: Emulator, application: Json) -> None:
    (told,) = grave(preflight(emulator, SHUT, application=application), "application")
    assert "sign-in is disabled" in told
    assert grave(preflight(emulator, SHUT, application={**application, "enabled": True})) == []


def test_where_a_person_consents_the_right_to_is_not_needed(emulator: Emulator) -> None:
    assert len(grave(preflight(emulator, POOR), "admin_consent")) == 2
    assert grave(preflight(emulator, POOR, consent="by_hand")) == []


# --- the scope -----------------------------------------------------------------------------------------------


def test_a_group_that_is_synchronized_from_on_premises(emulator: Emulator) -> None:
    look = preflight(emulator, SYNCED)
    params = {"name": "Fax scope", "alias": ALIAS, "members": ["fax@t20.example"], "owners": []}
    step = run("exchange_security_group", params, emulator, check_mode=True, **connection(SYNCED))
    (told,) = grave(look, "scope_group")
    assert step["outcome"] == "blocked"
    assert step["error"]["message"] in told


def test_a_policy_that_is_kept_and_denies_a_fax_mailbox(emulator: Emulator) -> None:
    (told,) = grave(preflight(emulator, DENIED, group={"on_other_policies": "keep"}))
    assert "denies fax@t27.example" in told
    assert "DenyAccess" in told
    gone = preflight(emulator, DENIED, group={"on_other_policies": "remove"})
    assert grave(gone) == []
    spared = preflight(emulator, DENIED, mailboxes=["adele@t27.example"], group={"on_other_policies": "keep"})
    assert not any("denies" in told for told in grave(spared))


@pytest.mark.parametrize(("choice", "stopped"), [("remove", False), ("keep", True), ("fail", True)])
def test_a_mailbox_that_leaves_the_group_may_be_the_control_of_the_same_run(
    emulator: Emulator, choice: str, stopped: bool
) -> None:
    look = preflight(emulator, GROUPED, control_mailboxes=["adele@t28.example"], group={"on_foreign_members": choice})
    assert bool(grave(look, "control_mailboxes")) is stopped


# --- EWS -----------------------------------------------------------------------------------------------------


def test_an_entry_of_the_ews_list_that_is_not_an_id(emulator: Emulator) -> None:
    look = preflight(emulator, ODD_LIST, ews={"opt_in": True})
    step = run("exchange_ews_access", {"app_id": APP}, emulator, check_mode=True, **connection(ODD_LIST))
    (told,) = grave(look, "ews_access")
    assert step["outcome"] == "blocked"
    assert "'the old fax server'" in step["error"]["message"]
    assert step["error"]["message"] in told


def test_the_older_list_of_user_agents_is_named(emulator: Emulator) -> None:
    (told,) = grave(preflight(emulator, AGENT_LIST, ews={"opt_in": True}))
    assert "EwsApplicationAccessPolicy is EnforceAllowList" in told
    assert "Outlook*" in told


def test_a_mailbox_s_own_settings_of_ews_are_read_and_named(emulator: Emulator) -> None:
    look = preflight(emulator, AGENT_MAILBOX, mailboxes=[f"{name}@t25.example" for name in ("fax", "adele", "bob")])
    allow, block = grave(look, "mailboxes")
    assert "mailbox fax@t25.example: its own EwsApplicationAccessPolicy is EnforceAllowList" in allow
    assert "mailbox adele@t25.example: its own EwsApplicationAccessPolicy is EnforceBlockList" in block
    assert [one["usable"] for one in look["mailboxes"]] == [False, False, True]


# --- the mailboxes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("login", "words", "cure"),
    [
        ("faxlogin", "the user principal name of the user mailbox fax@t26.example", "write fax@t26.example"),
        ("room.login", "the user principal name of the room mailbox room@t26.example", "write room@t26.example"),
        ("guest.login", "mail user", "in this tenant's Exchange Online"),
        ("nobody.login", "account without a mailbox", "licence"),
    ],
)
def test_a_mailbox_named_by_its_login(emulator: Emulator, login: str, words: str, cure: str) -> None:
    look = preflight(emulator, BY_LOGIN, mailboxes=[f"{login}@t26.example"])
    (finding,) = [one for one in look["findings"] if one["step"] == "mailboxes"]
    assert words in finding["found"]
    assert cure in finding["cure"]
    assert (finding["who"] == "a License Administrator") is ("licence" in cure)


# --- other applications, and things of others ----------------------------------------------------------------


def test_an_application_that_would_reach_the_fax_mailbox_through_the_group(emulator: Emulator) -> None:
    (told,) = grave(preflight(emulator, SHARED), "scope_group")
    assert f"Ticket system ({OTHER})" in told
    assert "fax@t30.example" in told
    accepted = preflight(emulator, SHARED, group={"accept_shared_group": [OTHER]})
    assert grave(accepted) == []
    assert [one["app_id"] for one in accepted["group"]["policies_of_others"]] == [OTHER]
    # It is in a group that holds ours, too.
    (nested,) = grave(preflight(emulator, SHARED, group={"alias": "nested", "name": "Nested"}), "scope_group")
    assert OTHER in nested


def test_a_mailbox_that_is_taken_out_may_be_opened_by_whom_the_group_shut_out(emulator: Emulator) -> None:
    (told,) = grave(preflight(emulator, SHUT_OUT, group={"on_foreign_members": "remove"}), "scope_group")
    assert OTHER in told
    assert "adele@t31.example" in told


def test_what_a_run_changes_of_a_group_of_others_is_told(emulator: Emulator) -> None:
    def told(look: Json) -> Json:
        (finding,) = [one for one in look["findings"] if "was not made by this collection" in one["found"]]
        return t.cast("Json", finding["about"]["settings"])

    everything = told(preflight(emulator, HAND_MADE, group={"name": "Fax, all of it"}))
    assert everything["DisplayName"] == {"before": "Fax scope", "after": "Fax, all of it"}
    assert everything["RequireSenderAuthenticationEnabled"] == {"before": False, "after": True}
    declared = told(preflight(emulator, HAND_MADE, group={"name": "Fax, all of it", "declared": ["name"]}))
    assert "DisplayName" in declared
    assert "RequireSenderAuthenticationEnabled" not in declared


def test_what_a_run_changes_of_an_adopted_application_is_told(emulator: Emulator) -> None:
    adopted = {"app_id": APP, "display_name": "Fax, all of it"}
    everything = preflight(emulator, ADOPTED, application=adopted)
    (finding,) = [one for one in everything["findings"] if "was not made by this collection" in one["found"]]
    assert finding["about"]["settings"]["display_name"] == {"before": NAME, "after": "Fax, all of it"}
    assert "permissions" in finding["about"]["settings"]
    kept = {**adopted, "declared": ["app_id"], "exclusive_permissions": False}
    less = preflight(emulator, ADOPTED, application=kept)
    assert not any("was not made by this collection" in one["found"] for one in less["findings"])


def test_permissions_in_force_are_shown_without_a_further_request(emulator: Emulator) -> None:
    by_id = preflight(emulator, GRANTED, application={"app_id": APP, "recorded_app_id": APP})
    assert by_id["permissions_in_force"] == [
        {"resource": "Microsoft Graph", "application": [], "delegated": ["Mail.Read", "User.Read"]},
        {"resource": "Office 365 Exchange Online", "application": ["full_access_as_app"], "delegated": []},
    ]
    rows = [row for row in emulator.journal() if not row.get("batch")]
    assert [sum(row["host"] == host for row in rows) for host in (GRAPH, EXCHANGE)] == [1, 1]
    assert preflight(emulator, GRANTED)["permissions_in_force"] is None
    assert preflight(emulator, ODD_LIST, application={"app_id": APP})["permissions_in_force"] == []


# --- who else can sign in, and what is beyond ------------------------------------------------------------------


@pytest.mark.parametrize(
    "keys",
    [
        {"createdByAppId": OTHER},
        {"federatedIdentityCredentials": [{"name": "ci", "issuer": "https://ci.example", "subject": "x"}]},
        {"owners": [OTHER]},
    ],
    ids=str,
)
def test_a_stranger_is_found_by_preflight_and_step_alike(keys: Json) -> None:
    other = {"appId": OTHER, "displayName": "Somebody's tool"}
    made = tenant(40)
    made["applications"] = [other, {**made["applications"][0], **keys}]
    with start_emulator({"tenants": [made]}) as alone:
        told = grave(preflight(alone, 40), "application")
        options = {"unique_name": "mail2fax", "display_name": NAME, "permissions": PERMISSIONS}
        step = run("entra_application", options, alone, check_mode=True, **connection(40))
    assert step["outcome"] == "blocked"
    assert any(step["error"]["message"] in one for one in told), (told, step["error"])


def test_permissions_beyond_what_a_policy_limits(emulator: Emulator) -> None:
    beyond = [{"resource": "microsoft_graph", "application": ["Directory.ReadWrite.All"]}]
    look = preflight(emulator, POOR, permissions=beyond, extra_permissions=[], consent="by_hand")
    (told,) = grave(look, "permissions")
    assert "Directory.ReadWrite.All" in told
    named = preflight(
        emulator, POOR, permissions=beyond, extra_permissions=["Directory.ReadWrite.All"], consent="by_hand"
    )
    assert grave(named, "permissions") == []
