# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""application_reach_info in a large tenant: how many requests it takes, and how its scan is told of."""

from __future__ import annotations

import typing as t
import uuid

import pytest

from tests.emulator.hosted import HostedEmulator, start_hosted
from tests.integration.reach_tenants import OPERATOR_ID
from tests.integration.reach_truth import NoWait, oracle, reach, sets, told_by
from tests.sample import SOAKING

Json = dict[str, t.Any]
SMALL, LARGE = (str(uuid.uuid5(uuid.NAMESPACE_URL, name)) for name in ("small", "large"))
FEW, MANY = 40, 5000 if SOAKING else 1100
"""Mailboxes of the small and of the large tenant: more than a page of any list in any case."""
APP, OTHER = "aaaaaaaa-0000-4000-8000-000000000001", "aaaaaaaa-0000-4000-8000-000000000002"
DECLARED = 8
ON_PAGES = ("Get-DistributionGroupMember",)


def tenant(key: str, mailboxes: int, others: int) -> Json:
    """One application that gets in by every way, with its limits of each kind, and ``others`` beside it."""
    domain = f"t{mailboxes}.onmicrosoft.com"
    boxes = [f"box{number}@{domain}" for number in range(mailboxes)]
    most = boxes[:-10]
    return {
        "id": key,
        "domains": [domain],
        "operators": [
            {
                "client_id": OPERATOR_ID,
                "client_secret": "operator-secret",
                "app_roles": ["Application.Read.All", "Directory.Read.All", "Exchange.ManageAsApp"],
                "directory_roles": ["Exchange Administrator"],
            }
        ],
        "service_principals": others,
        "mailboxes": [{"address": box, "display_name": f"Box {number}"} for number, box in enumerate(boxes)],
        "groups": [
            {"name": "Inner", "alias": "inner", "members": most, "managed_by": [boxes[1]]},
            {"name": "Outer", "alias": "outer", "members": [f"inner@{domain}", boxes[-1]], "managed_by": [boxes[2]]},
            {"name": "Scope", "alias": "scope", "members": boxes[:12], "managed_by": [boxes[3]]},
        ],
        "administrative_units": [{"name": "unit", "members": most}],
        "applications": [
            {
                "appId": APP,
                "displayName": "Fax",
                "app_roles": ["Mail.Read", "IMAP.AccessAsApp", "SMTP.SendAsApp", "full_access_as_app"],
                "owners": [boxes[0]],
                "directory_roles": ["Exchange Administrator"],
                "delegated": [{"scopes": ["Mail.Read"], "user": boxes[4]}],
            },
            {"appId": OTHER, "displayName": "Other", "app_roles": ["Mail.Send"]},
        ],
        "policies": [
            {"app_id": APP, "group": "Outer"},
            {"app_id": APP, "group": "Scope", "access_right": "DenyAccess"},
        ],
        "exchange_service_principals": [{"app_id": APP}, {"app_id": OTHER}],
        "management_scopes": [
            {"name": "one", "group": "Scope"},
            {"name": "two", "filter": f"PrimarySmtpAddress -eq '{boxes[5]}'"},
        ],
        "role_assignments": [
            {"app_id": APP, "name": "a", "role": "Application Mail.Send", "scope": "one"},
            {"app_id": APP, "name": "b", "role": "Application Mail.Read", "scope": "two"},
            {"app_id": APP, "name": "c", "role": "Application Contacts.Read", "unit": "unit"},
            {"app_id": APP, "name": "d", "role": "Application Calendars.Read", "group": "Scope"},
        ],
        "mailbox_permissions": [
            *({"app_id": APP, "mailbox": box, "rights": ["FullAccess", "SendAs"]} for box in boxes[:3]),
            {"app_id": APP, "mailbox": boxes[20], "rights": ["SendAs"]},
        ],
    }


@pytest.fixture(scope="module")
def emulator() -> t.Iterator[HostedEmulator]:
    with start_hosted({"tenants": [tenant(SMALL, FEW, 5), tenant(LARGE, MANY, 5000 if SOAKING else 400)]}) as made:
        yield made


def counted(emulator: HostedEmulator, host: str) -> int:
    """Requests, a batch as one, without further pages and without batches of nothing but members."""
    rows = [row for row in emulator.journal() if row["host"] == host]
    parts: dict[int, list[Json]] = {}
    for row in rows:
        if row.get("batch"):
            parts.setdefault(row["batch"], []).append(row)
    alone = [row for row in rows if not row.get("batch") and row["path"].endswith("$batch")]
    return sum(not all(part["cmdlet"] in ON_PAGES for part in parts.get(row["seq"], [{"cmdlet": ""}])) for row in alone)


def addresses(mailboxes: int, count: int) -> list[str]:
    return [f"box{number}@t{mailboxes}.onmicrosoft.com" for number in range(count)]


@pytest.mark.parametrize(("key", "mailboxes"), [(SMALL, FEW), (LARGE, MANY)])
def test_one_application_takes_six_requests_to_each_at_most(emulator: HostedEmulator, key: str, mailboxes: int):
    emulator.clear_journal()
    result = reach(emulator, key, app_id=APP, mailboxes=addresses(mailboxes, DECLARED))
    [app] = result["applications"]
    assert app["missing"] == ["FullAccess on the mailboxes that were not looked at"]
    assert counted(emulator, "graph.microsoft.com") <= 6
    assert counted(emulator, "outlook.office365.com") <= 6
    pages = [row for row in emulator.journal() if not row.get("batch") and not row["path"].endswith("$batch")]
    pages = [row for row in pages if not row["host"].startswith("login")]
    assert len(pages) <= 3 + 8 * mailboxes // 1000, "pages of members, and nothing else, grow with the tenant"
    parts = [row for row in emulator.journal() if row.get("batch") and not row["host"].startswith("login")]
    assert all(row["method"] == "GET" or str(row["cmdlet"]).startswith("Get-") for row in parts), "nothing is written"
    assert {row["address"] for row in app["mailboxes"]} == set(told_by(oracle(emulator, key)[APP])["mailboxes"])


def test_all_applications_take_as_many_in_a_large_tenant_as_in_a_small_one(emulator: HostedEmulator):
    taken = {}
    for key, mailboxes in ((SMALL, FEW), (LARGE, MANY)):
        emulator.clear_journal()
        result = reach(emulator, key, all_applications=True, app_id=APP, mailboxes=addresses(mailboxes, DECLARED))
        assert [app["display_name"] for app in result["applications"]] == ["Fax", "Operator 11111111", "Other"]
        assert result["missing"] == []
        taken[key] = [counted(emulator, host) for host in ("graph.microsoft.com", "outlook.office365.com")]
        truth = oracle(emulator, key)
        for app in result["applications"]:
            if app["complete"]:
                boxes = addresses(mailboxes, mailboxes)
                assert sets(app, boxes) == told_by(truth[app["app_id"]])
    assert taken[SMALL] == taken[LARGE]
    assert max(taken[LARGE]) <= 6


def test_the_scan_is_bounded_and_tells_how_far_it_is(emulator: HostedEmulator):
    heard: list[str] = []
    clock = NoWait(per_look_s=1.0)
    emulator.clear_journal()
    result = reach(
        emulator,
        LARGE,
        app_id=APP,
        scan="all",
        scan_limit=150,
        clock=clock,
        hears=lambda _seconds, what: heard.append(what),
    )
    looks = [row for row in emulator.journal() if row["cmdlet"] == "Get-MailboxPermission"]
    assert len(looks) == 150
    assert result["scanned"] == {"mailboxes": 150, "complete": False}
    assert "scan_limit" in result["warnings"][0]
    assert not result["applications"][0]["complete"]
    assert any("of 150" in what for what in heard)
    whole = reach(emulator, SMALL, app_id=APP, scan="all")
    assert whole["scanned"] == {"mailboxes": FEW, "complete": True}
    assert whole["applications"][0]["complete"]


def test_a_page_that_is_refused_leaves_what_came_before_it(emulator: HostedEmulator):
    rule = {"match": {"host": "outlook.office365.com", "path_regex": "skiptoken"}, "effect": {"status": 403}}
    emulator.inside(lambda services: services.faults.replace([rule]))
    [app] = reach(emulator, LARGE, app_id=APP)["applications"]
    emulator.inside(lambda services: services.faults.replace([]))
    truth = oracle(emulator, LARGE)[APP]
    assert not app["complete"]
    assert {row["address"] for row in app["mailboxes"]} < set(truth["mailboxes"])
