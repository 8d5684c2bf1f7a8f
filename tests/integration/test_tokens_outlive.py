# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was revoked is remembered while its tokens live, by a task that fails as well, and told before it is done."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._time import instant
from tests.emulator.testing import Emulator, start_emulator
from tests.integration.app_roles import (
    APP,
    BRIEN,
    CONTROL,
    EXCHANGE_ONLINE,
    FAX,
    GROUP,
    apply,
    consent,
    granted,
    tenants,
    too_wide,
)
from tests.integration.exchange_admin import admin
from tests.integration.harness import GRAPH, run

FORBIDDEN = {"status": 403, "body": {"error": {"code": "Authorization_RequestDenied", "message": "no"}}}
LONG_LIVED = [{"display_name": "A day", "minutes": 23 * 60}]


@pytest.fixture(scope="module")
def running() -> t.Iterator[Emulator]:
    with start_emulator(tenants(token_lifetime_policies=LONG_LIVED)) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    running.reset()
    running.faults([])
    return running


def revoke(emulator: Emulator, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    wanted = {"app_id": APP, "exclusive": True, "state": "absent", **options}
    return run("entra_admin_consent", wanted, emulator, check_mode, patience=0)


def hours(result: dict[str, t.Any]) -> float:
    """Between the revocation and the end of the last token."""
    until, since = instant(result["tokens_until"]), instant(result["revoked_at"])
    assert until is not None
    assert since is not None
    return (until - since) / dt.timedelta(hours=1)


def after(number: int, method: str, path: str, effect: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"match": {"host": GRAPH, "method": method, "path_regex": path}, "nth": number, "effect": effect}


@pytest.mark.parametrize(("permission", "resource", "life"), [("Mail.Read", None, 25), ("full_access_as_app", 1, 23)])
def test_check_mode_tells_what_a_revocation_would_wait_for(
    emulator: Emulator, permission: str, resource: t.Any, life: float
):
    consent(emulator, permission, *([EXCHANGE_ONLINE] if resource else []))
    seen = revoke(emulator, check_mode=True)
    assert (seen["outcome"], granted(emulator), hours(seen)) == ("changed", 1, life)
    done = revoke(emulator)
    assert (done["outcome"], granted(emulator), hours(done)) == ("changed", 0, life)


DROPPED = {"match": {"host": GRAPH, "path_regex": r"\$batch"}, "nth": 3, "effect": {"drop_after": True}}


@pytest.mark.parametrize("rule", [DROPPED, after(2, "GET", "/appRoleAssignments", FORBIDDEN)])
def test_a_consent_that_fails_after_a_revocation_tells_how_long_tokens_live(emulator: Emulator, rule: dict[str, t.Any]):
    consent(emulator, "Mail.Read")
    # Whether it was revoked is not known, or cannot be read back.
    emulator.faults([rule, {**DROPPED, "nth": 4}] if rule is DROPPED else [rule])
    result = revoke(emulator)
    emulator.faults([])
    assert result["failed"], result
    assert granted(emulator) == 0
    assert hours(result) == 25
    assert "could not be read" in result["tokens_until_reason"]


def test_roles_tell_in_check_mode_that_they_would_be_pending(emulator: Emulator):
    consent(emulator, "Mail.Read")
    seen = apply(emulator, check_mode=True, on_entra_grant="remove")
    assert (seen["outcome"], seen["changed"], granted(emulator)) == ("pending", True, 1)
    assert hours(seen) == 25
    assert seen["pending_until"] == seen["tokens_until"]
    assert "Mail.Read" in seen["pending"]
    hasty = apply(emulator, check_mode=True, on_entra_grant="remove", token_grace_minutes=0)
    assert hasty["outcome"] == "changed"
    assert any("token_grace_minutes is 0" in text for text in hasty["warnings"])


def test_a_lost_answer_of_a_revocation_is_no_reason_to_forget_it(emulator: Emulator):
    consent(emulator, "Mail.Read")
    emulator.faults([after(1, "DELETE", "/appRoleAssignments/", {"drop_after": True})])
    result = apply(emulator, on_entra_grant="remove")
    assert (result["outcome"], granted(emulator), hours(result)) == ("pending", 0, 25)


def test_roles_that_fail_after_a_revocation_tell_how_long_tokens_live(emulator: Emulator):
    consent(emulator, "Mail.Read")
    effect = {"status": 500, "body": {"error": {"code": "InternalServerError", "message": "no"}}}
    match = {"cmdlet": "New-ManagementScope"}
    emulator.faults([{"match": match, "times": 50, "effect": effect}])
    result = apply(emulator, on_entra_grant="remove", patience=0)
    assert result["failed"], result
    assert (granted(emulator), hours(result)) == (0, 25)


def test_what_an_earlier_run_waits_for_is_not_cut_short_by_a_later_one(emulator: Emulator):
    consent(emulator, "full_access_as_app", EXCHANGE_ONLINE)
    later = "2099-01-01T00:00:00Z"
    result = apply(emulator, on_entra_grant="remove", tokens_until=later)
    assert result["outcome"] == "pending"
    assert result["pending_until"] == later
    assert hours(result) == 23


def test_what_denies_goes_after_what_it_denies(emulator: Emulator):
    """Of two policies of others the one that grants goes first, so that no instant opens what both were about."""
    for right, group in (("DenyAccess", "nested"), ("RestrictAccess", "other.group")):
        admin(emulator, "New-ApplicationAccessPolicy", AppId=APP, PolicyScopeGroupId=group, AccessRight=right)
    consent(emulator, "Mail.Read")
    emulator.clear_journal()
    wanted = {"app_id": APP, "group": GROUP, "on_other_policies": "remove"}
    result = run("exchange_application_access_policy", wanted, emulator)
    assert result["outcome"] == "changed"
    assert too_wide(emulator, [FAX, BRIEN]) == []
    assert CONTROL not in str(result["other_policies"])
