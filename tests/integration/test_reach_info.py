# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""application_reach_info against the emulator's oracle, which was written apart from it, on tenants made by chance."""

from __future__ import annotations

import random
import typing as t

import pytest

from tests.emulator.hosted import HostedEmulator, start_hosted
from tests.integration.reach_tenants import tenant_of
from tests.integration.reach_truth import NOBODY, is_within, oracle, reach, sets, told_by
from tests.sample import SOAKING, sample

Json = dict[str, t.Any]

SEEDS = range(1, 401)
CHOSEN = SEEDS if SOAKING else sample(SEEDS, 40, of=__name__)
SOME = CHOSEN[:60] if SOAKING else CHOSEN[:6]


@pytest.fixture(scope="module")
def emulator() -> t.Iterator[HostedEmulator]:
    with start_hosted({"tenants": [tenant_of(seed) for seed in CHOSEN]}) as made:
        yield made


@pytest.fixture(autouse=True)
def _no_faults(emulator: HostedEmulator) -> t.Iterator[None]:
    yield
    emulator.inside(lambda services: services.faults.replace([]))


def boxes_of(made: Json) -> list[str]:
    return [one["address"] for one in made["mailboxes"] if one.get("type") != "MailUser"]


def compare(made: Json, truth: dict[str, Json], result: Json) -> int:
    """How many applications are told exactly. Raises AssertionError where one is told wrongly."""
    assert not result.get("failed"), result
    found = {app["app_id"]: app for app in result["applications"]}
    exact = 0
    for app_id in sorted({*truth, *found}):
        wanted, told = told_by(truth.get(app_id, NOBODY)), found.get(app_id)
        if told is None:
            assert result["missing"], (made["domains"], app_id, wanted)
            continue
        assert told["complete"] is not bool(told["missing"])
        shown = sets(told, boxes_of(made))
        people = {one["id"] for one in told["people"]}
        if told["complete"]:
            exact += 1
            assert shown == wanted, (made["domains"], app_id, told)
            assert people == set(truth.get(app_id, {}).get("people", people)), (made["domains"], app_id, told)
        else:
            assert is_within(shown, wanted), (
                made["domains"],
                app_id,
                shown,
                wanted,
                told["missing"],
            )
    return exact


def test_every_application_of_generated_tenants_is_told_as_the_oracle_has_it(emulator: HostedEmulator):
    exact = some = 0
    for seed in CHOSEN:
        made = tenant_of(seed)
        truth = oracle(emulator, made["id"])
        result = reach(emulator, made["id"], all_applications=True, scan="all")
        exact += compare(made, truth, result)
        some += len(result["applications"])
        assert result["missing"] == []
    assert exact > some * 0.8, "only what nobody can know makes it an at least"


def test_one_application_is_told_as_among_all(emulator: HostedEmulator):
    for seed in SOME:
        made = tenant_of(seed)
        among = reach(emulator, made["id"], all_applications=True, scan="all")["applications"]
        by_id = {app["app_id"]: app for app in among}
        for app in made["applications"]:
            [alone] = reach(emulator, made["id"], app_id=app["appId"], scan="all")["applications"]
            assert alone == by_id.get(app["appId"], alone), seed
            assert app["appId"] in by_id or not (alone["mailboxes"] or alone["everything"] or alone["powers"]), seed


def test_without_the_scan_nothing_is_told_that_is_not_so(emulator: HostedEmulator):
    for seed in SOME:
        made = tenant_of(seed)
        result = reach(emulator, made["id"], all_applications=True)
        compare(made, oracle(emulator, made["id"]), result)
        for app in result["applications"]:
            protocols = {way["protocol"] for row in app["mailboxes"] for way in row["ways"]}
            if app["complete"]:
                assert not protocols & {"imap", "pop"}, (seed, app)


REFUSED = {"status": 403, "body": {"error": {"code": "Authorization_RequestDenied", "message": "no"}}}
CMDLETS = (
    *("Get-ServicePrincipal", "Get-ManagementRoleAssignment", "Get-ManagementScope", "Get-ApplicationAccessPolicy"),
    *("Get-RecipientPermission", "Get-MailboxPermission", "Get-DistributionGroupMember", "Get-Recipient"),
    *("Get-RoleGroup", "Get-Mailbox"),
)
PATHS = (
    *("/appRoleAssignments", "/appRoleAssignedTo", "oauth2PermissionGrants", "emberOf", "roleAssignments$", "/owners"),
    *("administrativeUnits", "/groups", r"servicePrincipals\(appId='00000002", r"servicePrincipals\?", "/members"),
    r"servicePrincipals\(appId='00000003-0000-0000-c000-000000000000'\)\?",
)
RULES: list[list[Json]] = [
    *([{"match": {"cmdlet": cmdlet}, "effect": REFUSED}] for cmdlet in CMDLETS),
    *([{"match": {"host": "graph.microsoft.com", "path_regex": path}, "effect": REFUSED}] for path in PATHS),
    [{"match": {"host": "outlook.office365.com"}, "effect": REFUSED}],
    [{"match": {"host": "graph.microsoft.com"}, "effect": REFUSED}],
]


@pytest.mark.parametrize("number", range(len(RULES)), ids=[*CMDLETS, *PATHS, "Exchange", "Graph"])
def test_where_a_read_is_refused_it_is_an_at_least(emulator: HostedEmulator, number: int):
    """Nothing more is told than there is, and never as if it were all; whoever is not concerned is told exactly."""
    chance = random.Random(number)
    concerned = False
    for seed in chance.sample(list(CHOSEN), 25 if SOAKING else 2):
        made = tenant_of(seed)
        truth = oracle(emulator, made["id"])
        app = chance.choice(made["applications"])["appId"]
        for params in ({"all_applications": True}, {"app_id": app}):
            emulator.inside(lambda services: services.faults.replace(RULES[number]))
            result = reach(emulator, made["id"], scan="all", **params)
            emulator.inside(lambda services: services.faults.replace([]))
            about = truth if "app_id" not in params else {app: truth[app]} if app in truth else {}
            compare(made, about, result)
            concerned = concerned or any(one["missing"] for one in result["applications"]) or bool(result["missing"])
    assert concerned or not SOAKING, "a refusal of this kind shows somewhere"


def test_a_list_that_was_cut_short_is_an_at_least():
    """Exchange says so in a warning, and in nothing else."""
    for seed in SOME[:3]:
        made = tenant_of(seed)
        cut = random.Random(seed).sample(CMDLETS, 4)
        made["switches"]["cut_lists"] = dict.fromkeys(cut, 1)
        with start_hosted({"tenants": [made]}) as emulator:
            compare(made, oracle(emulator, made["id"]), reach(emulator, made["id"], all_applications=True, scan="all"))


def test_where_nothing_can_be_read_it_fails(emulator: HostedEmulator):
    emulator.inside(lambda services: services.faults.replace([{"match": {"host": "*"}, "effect": REFUSED}]))
    result = reach(emulator, tenant_of(CHOSEN[0])["id"], all_applications=True)
    assert result["failed"]
    emulator.inside(
        lambda services: services.faults.replace(
            [{"match": {"host": host}, "effect": REFUSED} for host in ("graph.microsoft.com", "outlook.office365.com")]
        )
    )
    result = reach(emulator, tenant_of(CHOSEN[0])["id"], all_applications=True)
    assert result["failed"]
    assert result["outcome"] == "failed" or result["outcome"] == "blocked"


@pytest.mark.parametrize("refusing", ["graph", "exchange"])
def test_a_service_that_lets_nobody_in_makes_an_at_least(emulator: HostedEmulator, refusing: str):
    made = tenant_of(CHOSEN[0])
    hosts = {"graph": "https://graph.microsoft.com", "exchange": "https://outlook.office365.com"}
    operator = made["operators"][0]["client_id"]
    tokens = {name: emulator.app_token(made["id"], operator, host) for name, host in hosts.items()}
    head, _dot, tail = tokens[refusing].rpartition(".")
    tokens[refusing] = f"{head}.{tail[::-1]}"  # signed by nobody
    result = reach(emulator, made["id"], all_applications=True, access_token=tokens, client_secret=None)
    compare(made, oracle(emulator, made["id"]), result)
    assert result["missing"]
    assert result["tenant"]["id"] == made["id"]


def test_declared_mailboxes_are_found_by_any_address_and_are_not_wider_where_nobody_may_look(emulator: HostedEmulator):
    for seed in CHOSEN:
        made = tenant_of(seed)
        aliases = {one["address"]: one["aliases"][0] for one in made["mailboxes"] if one.get("aliases")}
        truth = oracle(emulator, made["id"])
        narrow = [one for one in truth.values() if not one["everything"] and set(one["mailboxes"]) & set(aliases)]
        if not narrow:
            continue
        opened = narrow[0]["mailboxes"]
        declared = [aliases.get(address, address).upper() for address in opened]
        result = reach(
            emulator, made["id"], app_id=narrow[0]["appId"], mailboxes=[*declared, "nobody@x.org"], scan="all"
        )
        assert result["wider"]["mailboxes"] == []
        assert result["unknown"] == ["nobody@x.org"]
        less = reach(emulator, made["id"], app_id=narrow[0]["appId"], mailboxes=[*declared[1:], "a@x.org"], scan="all")
        assert less["wider"]["mailboxes"] == opened[:1]
        rule = {"match": {"cmdlet": "Get-Recipient"}, "effect": REFUSED}
        emulator.inside(lambda services, rule=rule: services.faults.replace([rule]))
        blind = reach(emulator, made["id"], app_id=narrow[0]["appId"], mailboxes=opened, scan="all")
        assert (blind["wider"]["mailboxes"], blind["unknown"]) == ([], [])
        return
