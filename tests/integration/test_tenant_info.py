# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The preflight's look at a tenant: one batch each when all is well, and every finding when it is not."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

import pytest

from tests.emulator.testing import Emulator
from tests.integration.harness import EXCHANGE, GRAPH, LOGIN, requests_to, run
from tests.integration.transports import TRANSPORTS, start_emulator

Json = dict[str, t.Any]

ALL_STEPS = ["application", "group", "policy", "ews", "secret", "consent", "verify"]
GRAPH_ROLES = [
    "Application.ReadWrite.All",
    "AppRoleAssignment.ReadWrite.All",
    "DelegatedPermissionGrant.ReadWrite.All",
]
READERS = [*GRAPH_ROLES, "Directory.Read.All", "Policy.Read.All"]
HAND_MADE = "aaaaaaaa-0000-4000-8000-000000000001"
OTHER_HAND_MADE = "aaaaaaaa-0000-4000-8000-000000000002"
BINNED = "aaaaaaaa-0000-4000-8000-000000000003"


def people(domain: str, *names: str) -> list[Json]:
    return [{"address": f"{name}@{domain}", "display_name": name.title()} for name in names]


def operator_of(number: int) -> str:
    return f"11111111-0000-4000-8000-{number:012}"


def tenant(number: int, **keys: t.Any) -> Json:
    """A tenant ``t<number>.example`` with the operator of the same number and a fax mailbox."""
    domain = f"t{number}.example"
    operator = {
        "client_id": f"11111111-0000-4000-8000-{number:012}",
        "client_secret": f"operator-secret-{number}",
        "display_name": "Provisioning operator",
        "app_roles": [*keys.pop("graph", GRAPH_ROLES), *keys.pop("exchange_roles", ["Exchange.ManageAsApp"])],
        "directory_roles": keys.pop("roles", ["Exchange Administrator"]),
    }
    mailboxes = keys.pop("mailboxes", people(domain, "fax", "adele", "bob"))
    return {
        "id": f"99999999-0000-4000-8000-{number:012}",
        "domains": [domain, *keys.pop("more_domains", [])],
        "operators": [operator],
        "mailboxes": mailboxes,
        **keys,
    }


GOOD, LARGE, TYPES, POOR, HALF, RECIPIENT, GROUPS, APPS = range(1, 9)
STRICT, LONELY, NO_EXCHANGE, RICH, CLOSED, LISTED, OWNER, RULED = range(9, 17)

TENANTS = [
    tenant(GOOD),
    tenant(
        LARGE,
        service_principals=3000,
        mailboxes=[
            *people("t2.example", "fax"),
            *people("t2.example", *(f"user{number:04}" for number in range(400))),
        ],
    ),
    tenant(
        TYPES,
        more_domains=["second.example"],
        mailboxes=[
            {"address": "fax@t3.example", "display_name": "Fax", "aliases": ["telefax@second.example"]},
            {"address": "shared@t3.example", "display_name": "Shared", "type": "SharedMailbox"},
            {"address": "room@t3.example", "display_name": "Room", "type": "RoomMailbox"},
            {"address": "beamer@t3.example", "display_name": "Beamer", "type": "EquipmentMailbox"},
            {"address": "contact@elsewhere.example", "display_name": "Contact", "type": "MailContact"},
            {"address": "remote@t3.example", "display_name": "Remote", "type": "MailUser"},
            {"address": "team@t3.example", "display_name": "Team", "type": "GroupMailbox"},
            {"address": "all@t3.example", "display_name": "All", "type": "DynamicDistributionGroup"},
            {"address": "folder@t3.example", "display_name": "Folder", "type": "PublicFolder"},
            {"address": "search@t3.example", "display_name": "Search", "type": "DiscoveryMailbox"},
            {"address": "unlicensed@t3.example", "display_name": "No licence", "type": "User"},
            {"address": "closed@t3.example", "display_name": "Closed", "ews_enabled": False},
            {"address": "o'hara@t3.example", "display_name": "O'Hara"},
        ],
        groups=[
            {"name": "List", "address": "list@t3.example", "type": "MailUniversalDistributionGroup"},
            {"name": "Secure", "address": "secure@t3.example"},
        ],
    ),
    tenant(POOR, graph=[], exchange_roles=[], roles=[]),
    tenant(HALF, graph=["Application.ReadWrite.OwnedBy"], roles=[]),
    tenant(RECIPIENT, roles=["Exchange Recipient Administrator"]),
    tenant(
        GROUPS,
        mailboxes=people("t7.example", "fax", "adele", "bob", "carol", "dora"),
        groups=[
            {"name": "Inner", "members": ["carol@t7.example"]},
            {"name": "Scope", "alias": "scope", "members": ["fax@t7.example", "adele@t7.example", "Inner"]},
            {"name": "Exact", "alias": "exact", "members": ["fax@t7.example"]},
            {"name": "Hand made 20250209121934", "alias": "handmade", "members": ["fax@t7.example"]},
            {"name": "Plain", "alias": "plain", "type": "MailUniversalDistributionGroup"},
        ],
    ),
    tenant(
        APPS,
        applications=[
            {"appId": HAND_MADE, "displayName": "Fax by hand"},
            {"appId": OTHER_HAND_MADE, "displayName": "Fax by hand"},
            {
                "appId": BINNED,
                "displayName": "Binned",
                "uniqueName": "binned",
                "createdByAppId": operator_of(APPS),
                "deleted": True,
            },
        ],
    ),
    tenant(
        STRICT,
        graph=READERS,
        app_management_policy={"max_lifetime_days": 180},
        mailboxes=[
            {"address": "fax@t9.example", "display_name": "Fax"},
            {"address": "admin@t9.example", "display_name": "Admin", "admin": True},
            {"address": "zoe@t9.example", "display_name": "Zoe"},
        ],
    ),
    tenant(LONELY, mailboxes=people("t10.example", "fax")),
    tenant(NO_EXCHANGE, exchange=False, exchange_roles=[], mailboxes=[]),
    tenant(RICH, graph=READERS, app_management_policy={"secrets": "forbidden"}),
    tenant(CLOSED, organization_config={"EwsEnabled": False}),
    tenant(
        LISTED,
        organization_config={"EwsEnabled": True, "EwsAllowedAppIDs": HAND_MADE},
        applications=[
            {
                "appId": HAND_MADE,
                "displayName": "Listed",
                "uniqueName": "listed",
                "createdByAppId": operator_of(LISTED),
            },
            {
                "appId": OTHER_HAND_MADE,
                "displayName": "Unlisted",
                "uniqueName": "unlisted",
                "createdByAppId": operator_of(LISTED),
            },
        ],
    ),
    tenant(
        OWNER,
        graph=["Application.ReadWrite.OwnedBy"],
        applications=[
            {"appId": HAND_MADE, "displayName": "Somebody's"},
            {
                "appId": OTHER_HAND_MADE,
                "displayName": "The operator's",
                "owners": ["11111111-0000-4000-8000-000000000015"],
            },
        ],
    ),
    tenant(
        RULED,
        groups=[
            {"name": "Scope", "alias": "scope", "members": ["fax@t16.example"]},
            {"name": "Board", "alias": "board", "members": ["bob@t16.example"]},
        ],
        applications=[
            {"appId": HAND_MADE, "displayName": "Ruled", "uniqueName": "ruled", "createdByAppId": operator_of(RULED)},
            {
                "appId": OTHER_HAND_MADE,
                "displayName": "Free",
                "uniqueName": "free",
                "createdByAppId": operator_of(RULED),
            },
        ],
        policies=[
            {"app_id": HAND_MADE, "group": "scope", "access_right": "RestrictAccess"},
            {"app_id": HAND_MADE, "group": "board", "access_right": "RestrictAccess"},
        ],
    ),
]


@pytest.fixture(scope="module", params=TRANSPORTS)
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with start_emulator({"tenants": TENANTS}, request.param) as running:
        yield running


class Look:
    """One look at one tenant: the result, and how many requests each host got."""

    def __init__(self, emulator: Emulator, number: int, **params: t.Any) -> None:
        connection = {
            "tenant": f"t{number}.example",
            "client_id": operator_of(number),
            "client_secret": f"operator-secret-{number}",
        }
        for name in [name for name in params if name in ("tenant", "access_token", "client_id", "patience")]:
            connection[name] = params.pop(name)
        emulator.clear_journal()
        self.result = run("m365_tenant_info", params, emulator, **connection)
        self.graph = len(requests_to(emulator, GRAPH))
        self.exchange = len(requests_to(emulator, EXCHANGE))
        self.sign_ins = len([row for row in requests_to(emulator, LOGIN) if row["method"] == "POST"])
        journal = emulator.journal()
        self.writes = [
            row
            for row in journal
            if row["host"] == GRAPH and row["method"] != "GET" and not row["path"].endswith("/$batch")
        ] + [row for row in journal if row["cmdlet"] and not row["cmdlet"].startswith(("Get-", "$"))]

    @property
    def outcome(self) -> str:
        return str(self.result["outcome"])

    def found(self, severity: str = "blocked") -> list[str]:
        return [f"{item['what']}: {item['found']}" for item in self.result["findings"] if item["severity"] == severity]

    def the_finding(self, part: str, severity: str = "blocked") -> Json:
        fitting = [
            item
            for item in self.result["findings"]
            if item["severity"] == severity and part in f"{item['what']}: {item['found']}"
        ]
        assert len(fitting) == 1, self.result["findings"]
        return t.cast("Json", fitting[0])


def full(number: int, **changes: t.Any) -> Json:
    """Everything that a provisioning run expects of a tenant."""
    domain = f"t{number}.example"
    return {
        "expected_domain": domain,
        "application": {"unique_name": "mail2fax", "display_name": "Mail2DigitalFax"},
        "permissions": [
            {"resource": "exchange_online", "application": ["full_access_as_app"]},
            {"resource": "microsoft_graph", "delegated": ["User.Read"]},
        ],
        "mailboxes": [f"fax@{domain}"],
        "group": {"name": "Imagicle Digital Fax", "alias": "imagicle.digital.fax", "on_other_policies": "fail"},
        "ews": {},
        "steps": ALL_STEPS,
        "secret_lifetime_days": 365,
        **changes,
    }


@pytest.mark.parametrize("number", [GOOD, LARGE])
def test_a_good_tenant_takes_one_batch_each_whatever_its_size(emulator: Emulator, number: int):
    look = Look(emulator, number, **full(number))
    assert (look.outcome, look.found()) == ("ok", [])
    assert (look.graph, look.exchange, look.sign_ins) == (1, 1, 2)
    assert look.writes == []
    assert look.result["ready"] is True
    assert look.result["missing"] == []
    assert look.result["application"]["state"] == "absent"
    assert look.result["group"]["state"] == "absent"
    assert look.result["mailboxes"][0]["usable"] is True
    assert look.result["tenant"]["id"] == f"99999999-0000-4000-8000-{number:012}"
    control = look.result["control_mailboxes"]
    assert [(item["address"], item["picked"]) for item in control] == [
        ("adele@t1.example" if number == GOOD else "user0000@t2.example", True)
    ]


def test_without_expectations_it_reports(emulator: Emulator):
    look = Look(emulator, GOOD)
    assert (look.outcome, look.graph, look.exchange) == ("ok", 1, 1)
    assert look.result["findings"] == []
    assert look.result["tenant"]["domains"] == ["t1.example"]
    assert look.result["operator"]["directory_roles"] == ["Exchange Administrator"]
    assert look.result["operator"]["exchange_roles"] == ["Exchange.ManageAsApp"]
    assert look.result["ews"] == {"EwsEnabled": None, "EwsAllowedAppIDs": None, "allowed": None}
    assert {entry["step"] for entry in look.result["missing"]} == {"audit"} or look.result["missing"] == []


# --- the right tenant ----------------------------------------------------------------------------------------


def test_another_tenant_than_expected(emulator: Emulator):
    look = Look(emulator, GOOD, expected_domain="t3.example")
    assert look.outcome == "blocked"
    finding = look.the_finding("expected_domain t3.example")
    assert "99999999-0000-4000-8000-000000000003" in finding["found"]
    assert "99999999-0000-4000-8000-000000000001" in finding["found"]
    assert look.writes == []


def test_an_expected_domain_of_nobody(emulator: Emulator):
    look = Look(emulator, GOOD, expected_domain="nobody.example")
    assert "nobody.example belongs to no tenant" in look.the_finding("expected_domain")["found"]


def test_the_domain_is_looked_up_when_the_tenants_domains_cannot_be_read(emulator: Emulator):
    right = Look(emulator, POOR, expected_domain="t4.example")
    wrong = Look(emulator, POOR, expected_domain="t1.example")
    assert (right.outcome, right.result["tenant"]["domains"]) == ("ok", None)
    assert (wrong.outcome, wrong.result["error"]["kind"]) == ("blocked", "Blocked")


def test_a_ready_token_of_another_tenant_than_named(emulator: Emulator):
    tokens = {
        name: emulator.token("t3.example", "11111111-0000-4000-8000-000000000003", "operator-secret-3", audience)
        for name, audience in (("graph", f"https://{GRAPH}"), ("exchange", f"https://{EXCHANGE}"))
    }
    look = Look(emulator, GOOD, access_token=tokens)
    assert look.outcome == "blocked"
    assert "belongs to tenant 99999999-0000-4000-8000-000000000001" in look.the_finding("tenant t1.example")["found"]
    if not emulator.connection:  # a management host wants a domain
        by_id = Look(emulator, GOOD, access_token=tokens, tenant="99999999-0000-4000-8000-000000000001")
        assert "signed in to tenant 99999999-0000-4000-8000-000000000003" in by_id.the_finding("tenant 9999")["found"]
    right = Look(emulator, GOOD, access_token=tokens, tenant="second.example", expected_domain="second.example")
    assert right.outcome == "ok"


def test_two_tokens_of_two_tenants(emulator: Emulator):
    tokens = {
        "graph": emulator.token("t1.example", "11111111-0000-4000-8000-000000000001", "operator-secret-1"),
        "exchange": emulator.token(
            "t3.example", "11111111-0000-4000-8000-000000000003", "operator-secret-3", f"https://{EXCHANGE}"
        ),
    }
    look = Look(emulator, GOOD, access_token=tokens)
    assert look.the_finding("the operator's two tokens")["step"] == "tenant"


# --- the operator's rights -----------------------------------------------------------------------------------


def test_everything_that_is_missing_is_named_without_asking(emulator: Emulator):
    look = Look(emulator, POOR, **full(POOR))
    assert look.outcome == "blocked"
    assert (look.graph, look.exchange) == (0, 0)
    by_step = {
        step: {entry["permission"] for entry in look.result["missing"] if entry["step"] == step} for step in ALL_STEPS
    }
    assert by_step["application"] == {"Application.ReadWrite.OwnedBy"}
    assert by_step["group"] == {"Exchange.ManageAsApp", "Exchange Recipient Administrator"}
    assert by_step["policy"] == {"Exchange.ManageAsApp", "Exchange Administrator"}
    assert by_step["consent"] == {
        "AppRoleAssignment.ReadWrite.All",
        "Application.Read.All",
        "DelegatedPermissionGrant.ReadWrite.All",
    }
    assert all(entry["who"] for entry in look.result["missing"])
    assert "Exchange Online" in look.result["unreadable"]
    assert "Already changed" not in look.result["msg"]


def test_the_permission_without_a_role_does_not_call_exchange(emulator: Emulator):
    look = Look(emulator, HALF, **full(HALF, permissions=[], steps=["application", "secret", "policy"]))
    assert (look.graph, look.exchange) == (1, 0)
    assert look.found() == [
        "the operator's rights: the Entra role Exchange Administrator or Global Administrator is missing, needed to "
        "make the application access policy"
    ]
    assert "eligible" in look.result["findings"][0]["cure"]


def test_the_recipient_administrator_is_enough_for_the_group_alone(emulator: Emulator):
    group = Look(emulator, RECIPIENT, **full(RECIPIENT, steps=["application", "group", "secret"]))
    assert (group.outcome, group.exchange) == ("ok", 1)
    assert "who manages Exchange" in group.result["unreadable"]
    policy = Look(emulator, RECIPIENT, **full(RECIPIENT, steps=["policy"]))
    assert policy.the_finding("Exchange Administrator or Global Administrator is missing")["step"] == "policy"


def test_an_expectation_that_cannot_be_looked_into_is_not_met(emulator: Emulator):
    look = Look(emulator, POOR, mailboxes=["fax@t4.example"], application={"unique_name": "x"}, ews={})
    assert look.outcome == "blocked"
    assert look.found() == [
        "the operator's rights: the operator may not read the application, the mailboxes, the EWS settings, so the "
        "expectations cannot be checked"
    ]


def test_the_owner_only_operator_must_own_what_it_adopts(emulator: Emulator):
    foreign = Look(emulator, OWNER, application={"app_id": HAND_MADE})
    assert "is not an owner of this one" in foreign.the_finding("the application")["found"]
    own = Look(emulator, OWNER, application={"app_id": OTHER_HAND_MADE})
    assert (own.outcome, own.graph) == ("ok", 1)
    assert Look(emulator, OWNER, application={"unique_name": "unborn", "display_name": "Unborn"}).outcome == "ok"


def test_without_delegated_permissions_their_right_is_not_needed(emulator: Emulator):
    params = full(
        HALF, steps=["consent"], permissions=[{"resource": "exchange_online", "application": ["full_access_as_app"]}]
    )
    named = {entry["permission"] for entry in Look(emulator, HALF, **params).result["missing"]}
    assert named == {"AppRoleAssignment.ReadWrite.All", "Application.Read.All"}
    params["permissions"].append({"resource": "microsoft_graph", "delegated": ["User.Read"]})
    named = {entry["permission"] for entry in Look(emulator, HALF, **params).result["missing"]}
    assert "DelegatedPermissionGrant.ReadWrite.All" in named


def test_a_tenant_without_exchange(emulator: Emulator):
    look = Look(emulator, NO_EXCHANGE, **full(NO_EXCHANGE, mailboxes=[], group=None, ews=None, steps=["application"]))
    assert look.exchange == 0
    assert look.the_finding("sign-in to Exchange Online", "warning")["cure"]
    assert "has no service principal of Office 365 Exchange Online" in look.the_finding("permissions")["found"]
    wanting = Look(emulator, NO_EXCHANGE, mailboxes=["fax@t11.example"])
    assert wanting.the_finding("sign-in to Exchange Online")


# --- mailboxes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("contact@elsewhere.example", "mail contact"),
        ("remote@t3.example", "mail user"),
        ("team@t3.example", "Microsoft 365 group"),
        ("all@t3.example", "dynamic distribution list"),
        ("folder@t3.example", "public folder"),
        ("search@t3.example", "discovery mailbox"),
        ("list@t3.example", "distribution list"),
        ("secure@t3.example", "mail-enabled security group"),
        ("unlicensed@t3.example", "account without a mailbox"),
    ],
)
def test_what_is_no_mailbox_is_named_by_its_type(emulator: Emulator, address: str, words: str):
    look = Look(emulator, TYPES, mailboxes=[address])
    finding = look.the_finding(f"mailbox {address}")
    assert words in finding["found"]
    assert finding["cure"]
    assert look.result["mailboxes"][0]["usable"] is False
    assert look.writes == []


def test_every_kind_of_mailbox_is_usable(emulator: Emulator):
    addresses = [f"{name}@t3.example" for name in ("fax", "shared", "room", "beamer", "o'hara")]
    look = Look(emulator, TYPES, mailboxes=addresses)
    assert (look.outcome, look.exchange) == ("ok", 1)
    assert [item["usable"] for item in look.result["mailboxes"]] == [True] * 5


def test_a_further_address_is_resolved_and_both_are_shown(emulator: Emulator):
    look = Look(emulator, TYPES, mailboxes=["Telefax@second.example", "FAX@t3.example"])
    assert look.outcome == "ok"
    assert [item["primary"] for item in look.result["mailboxes"]] == ["fax@t3.example"] * 2
    assert [item["is_alias"] for item in look.result["mailboxes"]] == [True, False]
    assert "fax@t3.example" in look.the_finding("mailbox Telefax@second.example", "warning")["found"]
    assert "same mailbox" in look.the_finding("mailbox FAX@t3.example", "warning")["found"]


def test_a_typo_gets_the_closest_addresses_for_one_more_request(emulator: Emulator):
    look = Look(emulator, TYPES, mailboxes=["faks@t3.example", "sharde@t3.example"])
    assert look.outcome == "blocked"
    assert [item["closest"][:1] for item in look.result["mailboxes"]] == [["fax@t3.example"], ["shared@t3.example"]]
    assert "closest: fax@t3.example" in look.the_finding("faks")["found"]
    assert (look.graph, look.exchange) == (1, 2)


def test_a_typo_in_a_large_tenant_is_found_without_listing_it(emulator: Emulator):
    look = Look(emulator, LARGE, mailboxes=["usr0399@t2.example"])
    assert look.exchange == 2
    assert look.result["mailboxes"][0]["closest"]


def test_an_address_outside_the_tenants_domains(emulator: Emulator):
    look = Look(emulator, TYPES, mailboxes=["fax@t3.exampel"])
    finding = look.the_finding("mailbox fax@t3.exampel")
    assert "none of the tenant's domains (t3.example, second.example)" in finding["found"]
    assert "t3.example" in finding["cure"]


def test_malformed_input_is_refused_before_any_request(emulator: Emulator):
    for params in (
        {"mailboxes": ["not an address"]},
        {"mailboxes": ["fax"]},
        {"control_mailboxes": ["a@b"]},
        {"expected_domain": "no domain"},
        {"expected_domain": "99999999-0000-4000-8000-000000000001"},
        {"application": {"display_name": "X"}},
        {"application": {"app_id": "da34aq4b-0000-4000-8000-000000000001"}},
        {"application": {"app_id": "00000000-0000-0000-0000-000000000000"}},
        {"group": {"alias": "no good alias"}},
        {"group": {"alias": "a", "name": "x" * 65}},
        {"group": {"alias": "a", "address": "nowhere"}},
        {"permissions": [{"resource": "exchange", "application": ["x"]}]},
        {"secret_lifetime_days": 0},
    ):
        look = Look(emulator, GOOD, **params)
        assert (look.outcome, look.result["error"]["kind"]) == ("failed", "InvalidInput"), params
        assert look.graph + look.exchange + look.sign_ins == 0


def test_a_mailbox_whose_own_ews_is_closed(emulator: Emulator):
    look = Look(emulator, TYPES, mailboxes=["closed@t3.example", "fax@t3.example"], ews={"opt_in": True})
    assert look.found() == [
        "mailbox closed@t3.example: its own EwsEnabled is False, so EWS stays closed for it whatever the tenant allows"
    ]
    assert [item["ews_enabled"] for item in look.result["mailboxes"]] == [False, True]
    assert Look(emulator, TYPES, mailboxes=["closed@t3.example"]).outcome == "ok"


# --- control mailboxes ---------------------------------------------------------------------------------------


def test_no_administrator_is_picked_as_control_mailbox(emulator: Emulator):
    look = Look(emulator, STRICT, mailboxes=["fax@t9.example"])
    assert [item["address"] for item in look.result["control_mailboxes"]] == ["zoe@t9.example"]


def test_nobody_of_the_scope_group_is_picked(emulator: Emulator):
    look = Look(
        emulator,
        GROUPS,
        mailboxes=["fax@t7.example"],
        group={"name": "Scope", "alias": "scope", "on_foreign_members": "keep"},
    )
    # adele is a member, carol one of the group inside
    assert [item["address"] for item in look.result["control_mailboxes"]] == ["bob@t7.example"]
    assert look.outcome == "ok"


def test_a_tenant_without_a_control_mailbox_is_pending(emulator: Emulator):
    look = Look(emulator, LONELY, mailboxes=["fax@t10.example"])
    assert look.outcome == "pending"
    assert "negative proof impossible" in look.result["pending"]
    assert look.result["control_mailboxes"] == []
    assert look.found("warning")


def test_given_control_mailboxes_are_checked(emulator: Emulator):
    look = Look(
        emulator,
        GROUPS,
        mailboxes=["fax@t7.example"],
        control_mailboxes=[
            "fax@t7.example",
            "adele@t7.example",
            "carol@t7.example",
            "bob@t7.example",
            "nil@t7.example",
        ],
        group={"alias": "scope", "on_foreign_members": "keep"},
    )
    found = "\n".join(look.found())
    assert "control mailbox fax@t7.example: it is one of the fax mailboxes" in found
    assert "control mailbox adele@t7.example: it is a member of the scope group" in found
    assert "control mailbox carol@t7.example: it is a member of the scope group" in found
    assert "control mailbox nil@t7.example: no recipient" in found
    assert "bob" not in found
    assert [item["picked"] for item in look.result["control_mailboxes"]] == [False] * 5


def test_a_given_control_mailbox_of_an_administrator_is_only_noted(emulator: Emulator):
    look = Look(emulator, STRICT, mailboxes=["fax@t9.example"], control_mailboxes=["admin@t9.example"])
    assert look.outcome == "ok"
    assert look.the_finding("control mailbox admin@t9.example", "warning")


# --- the scope group -----------------------------------------------------------------------------------------


def test_a_scope_group_that_is_right(emulator: Emulator):
    look = Look(emulator, GROUPS, mailboxes=["fax@t7.example"], group={"name": "Exact", "alias": "exact"})
    assert (look.outcome, look.exchange) == ("ok", 1)
    assert look.result["group"]["state"] == "present"
    assert [item["address"] for item in look.result["group"]["members"]] == ["fax@t7.example"]
    assert look.result["group"]["foreign_members"] == []


def test_foreign_members_stop_the_run_with_a_list(emulator: Emulator):
    look = Look(emulator, GROUPS, mailboxes=["fax@t7.example"], group={"name": "Scope", "alias": "scope"})
    finding = look.the_finding("the scope group 'Scope'")
    assert "adele@t7.example" in finding["found"]
    assert "carol@t7.example" in finding["found"]
    assert look.exchange == 2


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ({"name": "Plain", "alias": "new"}, "distribution list"),
        ({"alias": "plain"}, "distribution list"),
        ({"name": "New", "alias": "fax"}, "user mailbox"),
        ({"alias": "new", "address": "adele@t7.example"}, "user mailbox"),
        ({"name": "Exact", "alias": "scope"}, "'Exact' is taken"),
        ({"alias": "exact", "address": "scope@t7.example"}, "more than one recipient"),
        ({"alias": "new", "address": "new@elsewhere.example"}, "none of the tenant's domains (t7.example)"),
    ],
)
def test_a_group_that_cannot_be_had(emulator: Emulator, group: Json, words: str):
    look = Look(emulator, GROUPS, mailboxes=["fax@t7.example"], group=group)
    assert words in look.the_finding("the scope group")["found"]
    assert look.outcome == "blocked"


def test_members_are_read_by_id_where_the_batch_could_not_name_the_group(emulator: Emulator):
    look = Look(
        emulator,
        GROUPS,
        mailboxes=["fax@t7.example"],
        group={"alias": "other.alias", "address": "handmade@t7.example"},
    )
    assert (look.outcome, look.exchange) == ("ok", 2)
    assert [item["address"] for item in look.result["group"]["members"]] == ["fax@t7.example"]


# --- application and permissions -----------------------------------------------------------------------------


def test_namesakes_stop_the_run_with_a_list(emulator: Emulator):
    wanted = {"unique_name": "fax", "display_name": "Fax by hand"}
    look = Look(emulator, APPS, application=wanted)
    finding = look.the_finding("the application 'Fax by hand'")
    assert HAND_MADE in finding["found"]
    assert OTHER_HAND_MADE in finding["found"]
    ignoring = Look(emulator, APPS, application={**wanted, "on_namesake": "ignore"})
    assert (ignoring.outcome, len(ignoring.found("warning"))) == ("ok", 1)


def test_an_adopted_application_with_a_namesake_is_only_noted(emulator: Emulator):
    look = Look(emulator, APPS, application={"app_id": HAND_MADE, "display_name": "Fax by hand"})
    assert look.outcome == "ok"
    assert look.result["application"]["state"] == "present"
    assert [item["app_id"] for item in look.result["application"]["namesakes"]] == [OTHER_HAND_MADE]


def test_an_app_id_that_nobody_has(emulator: Emulator):
    look = Look(emulator, APPS, application={"app_id": "aaaaaaaa-0000-4000-8000-0000000000ff"})
    assert "no application registration" in look.the_finding("the application")["found"]


@pytest.mark.parametrize("key", [{"unique_name": "binned", "display_name": "Binned"}, {"app_id": BINNED}])
def test_an_application_in_the_recycle_bin(emulator: Emulator, key: Json):
    look = Look(emulator, APPS, application=key)
    assert "recycle bin" in look.the_finding("the application")["found"]
    assert look.result["application"]["state"] == "deleted"
    assert 25 < look.result["application"]["deleted"]["days_left"] <= 30
    assert look.graph == 1
    assert Look(emulator, APPS, application={**key, "on_deleted": "restore"}).outcome == "ok"


def test_unknown_permissions_are_told_with_the_nearest(emulator: Emulator):
    look = Look(
        emulator,
        GOOD,
        permissions=[
            {"resource": "exchange_online", "application": ["full_acess_as_app"]},
            {"resource": "microsoft_graph", "delegated": ["User.Reed"]},
        ],
    )
    found = look.the_finding("permissions")["found"]
    assert "full_access_as_app" in found
    assert "User.Read" in found
    assert look.graph == 1


def test_a_deleted_application_of_the_same_name_is_noted(emulator: Emulator):
    look = Look(emulator, APPS, application={"unique_name": "another", "display_name": "Binned"})
    assert (look.outcome, look.graph) == ("ok", 1)
    finding = look.the_finding("recycle bin", "warning")
    assert BINNED in finding["found"]
    assert "adopt it" in finding["cure"]
    # Where it is the one meant, it is told as that, and where there is nothing to make, it does not matter.
    meant = Look(emulator, APPS, application={"unique_name": "binned", "display_name": "Binned"})
    assert meant.found("warning") == []
    adopted = Look(emulator, APPS, application={"app_id": HAND_MADE, "display_name": "Binned"})
    assert not any("recycle bin" in told for told in adopted.found("warning"))


# --- access policies -----------------------------------------------------------------------------------------


def ruled(emulator: Emulator, unique_name: str = "ruled", **group: t.Any) -> Look:
    application = {"unique_name": unique_name, "display_name": unique_name.title()}
    wanted = {"alias": "scope", "on_other_policies": "fail", "declared": [], **group}
    return Look(emulator, RULED, application=application, mailboxes=["fax@t16.example"], group=wanted)


def test_other_access_policies_are_found_before_anything_is_written(emulator: Emulator):
    look = ruled(emulator)
    assert (look.outcome, look.exchange) == ("blocked", 1)
    finding = look.the_finding("access policies")
    assert finding["step"] == "access_policy"
    assert "RestrictAccess" in finding["found"]
    assert "'Board'" in finding["found"]
    assert "'Scope'" not in finding["found"]
    assert "on_other_policies" in finding["cure"]
    assert [item["scope_name"] for item in look.result["other_policies"]] == ["Board"]


def test_other_access_policies_that_may_stay_or_go_are_noted(emulator: Emulator):
    kept, removed = ruled(emulator, on_other_policies="keep"), ruled(emulator, on_other_policies="remove")
    assert (kept.outcome, removed.outcome) == ("ok", "ok")
    assert "count as well" in kept.the_finding("access policies", "warning")["found"]
    assert "will be removed" in removed.the_finding("access policies", "warning")["cure"]


def test_policies_of_others_and_policies_nobody_asked_for_are_none(emulator: Emulator):
    assert ruled(emulator, "free").found("warning") == ruled(emulator, "new").found("warning") == []
    assert ruled(emulator, "free").result["other_policies"] == []
    unasked = Look(emulator, RULED, application={"unique_name": "ruled"}, group={"alias": "scope"})
    assert (unasked.outcome, unasked.result["other_policies"]) == ("ok", None)


# --- secrets -------------------------------------------------------------------------------------------------


def test_a_lifetime_beyond_the_tenants_policy(emulator: Emulator):
    look = Look(emulator, STRICT, secret_lifetime_days=365)
    assert look.result["app_management_policy"] == {
        "readable": True,
        "secrets_allowed": True,
        "max_lifetime_days": 180,
    }
    assert "at most 180 days, and 365 are wanted" in look.the_finding("app-management policy")["found"]
    assert Look(emulator, STRICT, secret_lifetime_days=180).outcome == "ok"
    shorter = Look(emulator, STRICT, secret_lifetime_days=365, allow_shorter=True)
    assert (shorter.outcome, len(shorter.found("warning"))) == ("ok", 1)


def test_a_policy_that_may_not_be_read_is_noted_while_there_is_no_secret(emulator: Emulator):
    look = Look(emulator, GOOD, secret_lifetime_days=365)
    assert look.outcome == "ok"
    finding = look.the_finding("app-management policy", "warning")
    assert "Policy.Read.All" in finding["cure"]
    assert "Privileged Role Administrator" in finding["who"]
    assert Look(emulator, GOOD, steps=["application"]).found("warning") == []


def test_secrets_that_the_tenant_forbids(emulator: Emulator):
    look = Look(emulator, RICH, steps=["secret"])
    assert "forbids client secrets" in look.the_finding("app-management policy")["found"]
    assert "exemption" in look.the_finding("app-management policy")["cure"]
    assert Look(emulator, RICH, steps=["application"]).outcome == "ok"


def test_what_may_be_read_is_told(emulator: Emulator):
    look = Look(emulator, RICH, mailboxes=["fax@t12.example"])
    assert look.result["unreadable"] == []
    assert look.result["tenant"]["domains"] == ["t12.example"]


# --- EWS -----------------------------------------------------------------------------------------------------


def test_a_tenant_that_blocks_ews(emulator: Emulator):
    look = Look(emulator, CLOSED, ews={})
    finding = look.the_finding("EwsEnabled is False")
    assert "opt_in" in finding["cure"]
    opted = Look(emulator, CLOSED, ews={"opt_in": True})
    assert opted.outcome == "ok"
    assert "24 hours" in opted.the_finding("EwsEnabled is False", "warning")["cure"]
    assert Look(emulator, CLOSED).outcome == "ok"
    assert Look(emulator, CLOSED, ews={"required": False}).outcome == "ok"


def test_a_tenant_that_allows_listed_applications(emulator: Emulator):
    listed = Look(emulator, LISTED, ews={}, application={"unique_name": "listed"})
    assert (listed.outcome, listed.result["ews"]["allowed"]) == ("ok", True)
    unlisted = Look(emulator, LISTED, ews={}, application={"unique_name": "unlisted"})
    assert "not on the list" in unlisted.the_finding("Exchange Web Services")["found"]
    unborn = Look(emulator, LISTED, ews={}, application={"unique_name": "unborn"})
    assert unborn.outcome == "blocked"


def test_the_end_of_ews_is_always_told(emulator: Emulator):
    look = Look(emulator, LISTED, ews={}, application={"unique_name": "listed"})
    assert any("2027-04-01" in text for text in look.result["warnings"])


# --- together ------------------------------------------------------------------------------------------------


def test_all_findings_are_told_at_once(emulator: Emulator):
    look = Look(
        emulator,
        CLOSED,
        expected_domain="t1.example",
        mailboxes=["fex@t13.example", "fax@nowhere.example"],
        ews={},
        permissions=[{"resource": "exchange_online", "application": ["nonsense"]}],
    )
    assert look.outcome == "blocked"
    assert len(look.found()) == 5
    assert "5 things stand in the way" in look.result["msg"]
    for part in ("t1.example", "fex@t13.example", "fax@nowhere.example", "EwsEnabled", "nonsense"):
        assert part in look.result["msg"]
    assert look.result["error"]["details"]["findings"]
    assert look.writes == []


def test_findings_need_not_fail(emulator: Emulator):
    look = Look(emulator, CLOSED, ews={}, fail_on_findings=False)
    assert (look.outcome, look.result["ready"]) == ("ok", False)
    assert not look.result.get("failed")
    assert any("EwsEnabled is False" in text for text in look.result["warnings"])


def test_a_failed_read_is_an_error_and_never_means_absent(emulator: Emulator):
    rule = {"match": {"host": EXCHANGE}, "times": 50, "effect": {"status": 500, "body": ""}}
    emulator.faults([rule])
    try:
        look = Look(emulator, GOOD, mailboxes=["fax@t1.example"], patience=1)
    finally:
        emulator.faults([])
    assert look.outcome == "failed"
    assert "findings" not in look.result
