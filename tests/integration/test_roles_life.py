# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles from the first run to the last, each drift by itself: mended by the next run, nothing of others touched.

The steps as provision runs them, in this process.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterator

import pytest

from tests.emulator.testing import Emulator
from tests.integration.app_roles import (
    BOSS,
    BRIEN,
    CONTROL,
    FAX,
    NEW,
    SCOPE,
    SEND,
    WRITE,
    assigned,
    by_hand,
    consent,
    dn_of,
    filters,
    granted,
    tenants,
)
from tests.integration.exchange_admin import admin, changes
from tests.integration.harness import TENANT_ID, run, writes
from tests.integration.transports import TRANSPORTS, start_emulator

ALIAS = "life.group"
BOXES = [FAX, BRIEN]
Json = dict[str, t.Any]


@pytest.fixture(scope="module", params=TRANSPORTS)
def running(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with start_emulator(tenants(), request.param) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    return running.reset()


def step(emulator: Emulator, module: str, **params: t.Any) -> Json:
    result = run(module, params, emulator)
    assert not result.get("failed"), (module, result)
    return result


def provision(emulator: Emulator, **options: t.Any) -> dict[str, Json]:
    pointer, role = options.get("pointer", {}), options.get("role", {})
    group = {"name": "Life group", "alias": ALIAS, "members": BOXES, "owners": [], "on_foreign_members": "remove"}
    wanted = {"app_id": NEW, "roles": [WRITE, SEND], "group": ALIAS, "scope_name": SCOPE, "mailboxes": BOXES}
    done = {
        "group": step(emulator, "exchange_security_group", app_id=NEW, on_nested_group="flatten", **group),
        "pointer": step(emulator, "exchange_service_principal", app_id=NEW, **pointer),
        "role": step(emulator, "exchange_application_role", **wanted, **role),
    }
    expect = {"granted": BOXES, "denied": [CONTROL, BOSS]}
    asked = {"scoping": ["application_role"], "roles": [WRITE, SEND], "expect": expect}
    done["verdict"] = step(emulator, "exchange_application_access_info", app_id=NEW, **asked)
    return done


def tenant(emulator: Emulator) -> Json:
    state = emulator.state(TENANT_ID)
    kinds = ("exchangeServicePrincipals", "managementScopes", "roleAssignments", "groups", "appRoleAssignments")
    return {kind: state[kind] for kind in kinds}


def exposed(emulator: Emulator) -> list[Json]:
    return emulator.exposures(app_id=NEW, declared=BOXES)


def test_from_the_first_run_to_the_last(emulator: Emulator):
    before = tenant(emulator)
    provision(emulator)
    emulator.clear_journal()
    again = provision(emulator)
    assert {name for name, result in again.items() if result["changed"]} == set()
    assert (writes(emulator), changes(emulator)) == ([], [])
    step(emulator, "exchange_application_role", app_id=NEW, scope_name=SCOPE, state="absent")
    step(emulator, "exchange_service_principal", app_id=NEW, state="absent", mailboxes=BOXES)
    step(emulator, "exchange_security_group", alias=ALIAS, app_id=NEW, state="absent")
    assert exposed(emulator) == []
    assert tenant(emulator) == before


def _wrong_pointer(emulator: Emulator) -> None:
    admin(emulator, "Remove-ServicePrincipal", Identity=NEW, Confirm=False)
    admin(emulator, "New-ServicePrincipal", AppId=NEW, ObjectId="99999999-0000-4000-8000-00000000000a")


def _filter(emulator: Emulator, more: str) -> None:
    dn = dn_of(emulator, ALIAS).replace("'", "''")
    text = f"MemberOfGroup -eq '{dn}' -or {more}"
    admin(emulator, "Set-ManagementScope", Identity=SCOPE, RecipientRestrictionFilter=text)


DRIFT: dict[str, tuple[Callable[[Emulator], None], Json]] = {
    "a pointer with the wrong object id": (_wrong_pointer, {"pointer": {"on_wrong_pointer": "replace"}}),
    "no pointer": (lambda e: admin(e, "Remove-ServicePrincipal", Identity=NEW, Confirm=False) and None, {}),
    "a filter widened by a mailbox": (lambda e: _filter(e, f"PrimarySmtpAddress -eq '{BOSS}'"), {}),
    "a filter widened by a group": (lambda e: _filter(e, f"MemberOfGroup -eq '{dn_of(e, 'other.group')}'"), {}),
    "an assignment without a scope": (lambda e: by_hand(e, app_id=NEW), {"role": {"exclusive": True}}),
    "a bundle without a scope": (
        lambda e: by_hand(e, app_id=NEW, role="Application Exchange Full Access"),
        {"role": {"exclusive": True}},
    ),
    "an assignment that is gone": (
        lambda e: admin(e, "Remove-ManagementRoleAssignment", Identity=next(iter(assigned(e, NEW)))) and None,
        {},
    ),
    "an assignment on another scope": (
        lambda e: (
            admin(
                *(e, "Set-ManagementRoleAssignment"), Identity=next(iter(assigned(e, NEW))), CustomResourceScope="Taken"
            )
            and None
        ),
        {},
    ),
    "a consent by hand": (lambda e: consent(e, "Mail.Read", app_id=NEW), {"role": {"on_entra_grant": "remove"}}),
    "a member by hand": (
        lambda e: admin(e, "Add-DistributionGroupMember", Identity=ALIAS, Member=BOSS) and None,
        {},
    ),
    "a group in the group": (
        lambda e: admin(e, "Add-DistributionGroupMember", Identity=ALIAS, Member="Other group") and None,
        {},
    ),
    "a member that left": (
        lambda e: admin(e, "Remove-DistributionGroupMember", Identity=ALIAS, Member=BRIEN, Confirm=False) and None,
        {},
    ),
    "a group with another name": (lambda e: admin(e, "Set-DistributionGroup", Identity=ALIAS, Name="New") and None, {}),
}


@pytest.fixture(scope="module")
def quick() -> Iterator[Emulator]:
    with start_emulator(tenants(), "rest") as emulator:
        yield emulator


@pytest.mark.parametrize("kind", DRIFT)
def test_each_drift_is_mended_by_itself(quick: Emulator, kind: str):
    quick.reset()
    provision(quick)
    spoil, options = DRIFT[kind]
    spoil(quick)
    mended = provision(quick, **options)
    assert any(result["changed"] for result in mended.values())
    quick.clear_journal()
    again = provision(quick, **options)
    assert not any(result["changed"] for result in again.values())
    assert exposed(quick) == []
    held = assigned(quick, NEW)
    assert sorted(role for role, _scope in held.values()) == sorted([WRITE, SEND])
    assert {scope for _role, scope in held.values()} == {SCOPE}
    assert granted(quick, NEW) == 0
    assert set(filters(quick)) == {SCOPE, "Others' scope", "Taken"}
