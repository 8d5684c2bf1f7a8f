# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The oracle: that it finds each way of being wider than declared, and none where there is none."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from tests.emulator.testing import DEMO_TENANT, Emulator, start_emulator
from tests.fidelity.tenant import EXCHANGE_APP, FULL_ACCESS, TENANT, Tenant

DOMAIN = "imagicleucdev.onmicrosoft.com"
FAX, ADELE, ALEX = f"fax@{DOMAIN}", f"AdeleV@{DOMAIN}", f"AlexW@{DOMAIN}"
APP, OTHER = "33333333-0000-4000-8000-000000000001", "33333333-0000-4000-8000-000000000002"
SECRET = "a-secret-of-the-fax-server"


@pytest.fixture
def world() -> t.Iterator[Emulator]:
    entry = yaml.safe_load(DEMO_TENANT.read_text(encoding="utf-8"))["tenants"][0]
    entry |= {
        "applications": [
            {
                "displayName": "Fax",
                "appId": APP,
                "app_roles": ["full_access_as_app"],
                "passwordCredentials": [{"displayName": "s", "secretText": SECRET}],
            },
            {"displayName": "Reader", "appId": OTHER, "app_roles": ["Mail.Read"]},
        ],
        "groups": [
            {"name": "Inner", "alias": "inner", "members": [FAX]},
            {"name": "Outer", "alias": "outer", "members": ["inner"]},
            {"name": "Wide", "alias": "wide", "members": [FAX, ADELE]},
        ],
        "policies": [{"app_id": APP, "group": "outer"}, {"app_id": OTHER, "group": "wide"}],
    }
    with start_emulator({"tenants": [entry]}) as emulator:
        yield emulator


def touch(tenant: Tenant) -> None:
    """A request that writes, and changes nothing that counts."""
    tenant.application("Anything")


def test_nothing_is_beyond_what_is_declared(world: Emulator) -> None:
    touch(Tenant(world))
    assert world.exposures() == []
    assert world.exposures(app_id=APP, declared=[FAX.upper()]) == []  # by nested groups
    assert world.exposures(app_id=OTHER, declared=[FAX, ADELE]) == []


def test_one_mailbox_more_than_declared(world: Emulator) -> None:
    touch(Tenant(world))
    (seen,) = world.exposures(app_id=OTHER, declared=[FAX])
    assert (seen["appId"], seen["displayName"], seen["tenant"]) == (OTHER, "Reader", TENANT)
    assert (seen["mailboxes"], seen["everything"], seen["by_token"]) == ([ADELE], False, False)
    assert [(way["protocol"], way["permission"]) for way in seen["ways"]] == [("graph", "Mail.Read")]
    assert set(seen) >= {"seq", "time", "after"}
    # Whoever names no application asks about all of them.
    assert [e["appId"] for e in world.exposures(declared=[FAX])] == [OTHER]
    assert [e["mailboxes"] for e in world.exposures(app_id=APP, declared=[])] == [[FAX]]


def test_a_member_that_comes_into_an_inner_group(world: Emulator) -> None:
    joining = {"Identity": "inner", "Member": ALEX, "BypassSecurityGroupManagerCheck": True}
    answer = Tenant(world).invoke("Add-DistributionGroupMember", **joining)
    assert answer.status_code == 200, answer.text
    assert [e["mailboxes"] for e in world.exposures(app_id=APP, declared=[FAX])] == [[ALEX]]


def test_a_grant_that_was_revoked_lives_on_in_its_tokens(world: Emulator) -> None:
    tenant = Tenant(world)
    world.token(TENANT, APP, SECRET, "https://outlook.office365.com")
    state = world.state(TENANT)
    exchange = next(sp["id"] for sp in state["servicePrincipals"] if sp["appId"] == EXCHANGE_APP)
    (grant,) = [g for g in state["appRoleAssignments"] if g["appRoleId"] == FULL_ACCESS]
    revoked = tenant.graph("DELETE", f"/servicePrincipals/{exchange}/appRoleAssignedTo/{grant['id']}")
    assert revoked.status_code == 204
    assert world.exposures() == []
    (policy,) = [p for p in state["applicationAccessPolicies"] if p["AppId"].lower() == APP]
    assert tenant.invoke("Remove-ApplicationAccessPolicy", Identity=policy["Identity"]).status_code == 200
    (seen,) = world.exposures()
    assert (seen["appId"], seen["everything"], seen["by_token"]) == (APP, True, True)
    assert [way["by_token"] for way in seen["ways"]] == [True]
    world.clear_journal()
    world.clock(seconds=3601)
    touch(Tenant(world))
    assert world.exposures() == []  # the token has run out


def test_a_deleted_application_with_a_living_token(world: Emulator) -> None:
    tenant = Tenant(world)
    world.token(TENANT, APP, SECRET, "https://outlook.office365.com")
    state = world.state(TENANT)
    (app,) = [a["id"] for a in state["applications"] if a["appId"] == APP]
    assert tenant.graph("DELETE", f"/applications/{app}").status_code == 204
    (policy,) = [p for p in state["applicationAccessPolicies"] if p["AppId"].lower() == APP]
    assert tenant.invoke("Remove-ApplicationAccessPolicy", Identity=policy["Identity"]).status_code == 200
    assert [(e["appId"], e["by_token"]) for e in world.exposures()] == [(APP, True)]
    world.reset()
    assert world.exposures() == [] == world.journal()
