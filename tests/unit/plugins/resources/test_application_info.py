# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What entra_application_info tells, and what it keeps to itself."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _module
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Task
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import application_info
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_info import Found, State
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.consent import Assignment, Grant
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.unit.script import FakeClock, Script, jwt

APPLICATION: dict[str, t.Any] = {
    "id": "object",
    "appId": "app",
    "displayName": "Fax",
    "createdDateTime": "2026-02-01T00:00:00Z",
    "passwordCredentials": [
        {"keyId": "k1", "displayName": "a", "endDateTime": "2027-01-01T00:00:00Z", "hint": "abc", "secretText": "TOP"},
        {"keyId": "k2", "displayName": "b", "endDateTime": "2028-01-01T00:00:00Z", "hint": "def", "secretText": None},
    ],
    "keyCredentials": [
        {"keyId": "c1", "usage": "Verify", "endDateTime": "2027-01-01T00:00:00Z", "key": "BASE64"},
        {
            "keyId": "c2",
            "customKeyIdentifier": "AB12",
            "type": "AsymmetricX509Cert",
            "endDateTime": "2029-01-01T00:00:00Z",
        },
    ],
}


def told(state: State) -> dict[str, t.Any]:
    plan = application_info.plan(state)
    assert plan.steps == []
    assert plan.outcome == "ok"
    return {**plan.result, "summary": plan.summary}


def test_credentials_are_dates_and_ids_the_last_to_end_first() -> None:
    (found,) = told(State((Found(APPLICATION),)))["applications"]
    assert [item["key_id"] for item in found["secrets"]] == ["k2", "k1"]
    assert [item["key_id"] for item in found["certificates"]] == ["c2", "c1"]
    assert found["certificates"][0]["thumbprint"] == "AB12"
    assert found["certificates"][1]["usage"] == "Verify"
    for secret in ("TOP", "abc", "def", "BASE64"):
        assert secret not in repr(found)


def test_what_belongs_to_it_is_named() -> None:
    owners = (
        {"@odata.type": "#microsoft.graph.user", "id": "u", "displayName": "Zoe"},
        {"id": "v", "displayName": "Ada"},
    )
    principal = {"id": "sp", "displayName": "Fax", "accountEnabled": False, "tags": ["b", "a"]}
    state = State(
        (
            Found(
                APPLICATION,
                owners,
                principal,
                (Assignment("1", "resource", "role", "Some API"),),
                (Grant("2", "resource", frozenset({"x"}), "user"),),
            ),
        )
    )
    (found,) = told(state)["applications"]
    assert [(item["display_name"], item["type"]) for item in found["owners"]] == [("Ada", None), ("Zoe", "user")]
    assert (found["service_principal"]["enabled"], found["service_principal"]["tags"]) == (False, ["a", "b"])
    assert found["grants"] == [
        {
            "resource": "Some API",
            "application": ["role"],
            "delegated": [],
            "users": [{"principal_id": "user", "delegated": ["x"]}],
        }
    ]


def test_live_ones_come_oldest_first_and_deleted_ones_apart() -> None:
    older = {**APPLICATION, "appId": "older", "createdDateTime": "2025-01-01T00:00:00Z"}
    deleted = {**APPLICATION, "appId": "gone", "deletedDateTime": "2026-11-01T00:00:00Z"}
    result = told(State((Found(APPLICATION), Found(older)), (deleted,)))
    assert [item["app_id"] for item in result["applications"]] == ["older", "app"]
    assert [(item["app_id"], item["recoverable_until"]) for item in result["deleted"]] == [
        ("gone", "2026-12-01T00:00:00Z")
    ]
    assert result["summary"] == "2 applications found, 1 in the recycle bin"
    assert told(State())["summary"] == "0 applications found"


def test_an_application_that_check_mode_only_imagines_is_not_asked_for() -> None:
    params = {"tenant": "contoso.com", "access_token": {"graph": jwt()}, "app_id": ZERO_GUID}
    params |= {"unique_name": None, "display_name": None}
    script = Script([])
    result = _module.execute(
        application_info.DOOR,
        Task(params, check_mode=True),
        lambda: Tenant(params, environment={}, transport=script, clock=FakeClock()),
    )
    assert (result["applications"], result["deleted"]) == ([], [])
