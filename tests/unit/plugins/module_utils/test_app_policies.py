# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What app-management policies allow a client secret: the one reader that the preflight and the step share."""

from __future__ import annotations

import datetime as dt

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _app_policies
from ansible_collections.mail2fax.m365.plugins.module_utils._app_policies import Limits, duration, limits
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Forbidden, NotFound, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Part

DAY = dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "days"),
    [("P180D", 180), ("P6M", 180), ("P1Y", 365), ("P2W", 14), ("PT24H", 1), ("nonsense", None), ("P", None)],
)
def test_policy_durations(text, days):
    found = duration(text)
    assert (found.days if found else None) == days


def policy(*rules: dict[str, object], enabled: bool = True) -> dict[str, object]:
    return {"isEnabled": enabled, "applicationRestrictions": {"passwordCredentials": list(rules)}}


def own(*rules: dict[str, object], enabled: bool = True) -> dict[str, object]:
    return {"isEnabled": enabled, "restrictions": {"passwordCredentials": list(rules)}}


SHORT = {"restrictionType": "passwordLifetime", "state": "enabled", "maxLifetime": "P90D"}
FORBIDDEN = {"restrictionType": "passwordAddition", "state": "enabled"}


@pytest.mark.parametrize(
    ("default", "assigned", "expected"),
    [
        (None, None, Limits()),
        ({}, None, Limits(True)),
        (policy(FORBIDDEN), [], Limits(True, False)),
        (policy(FORBIDDEN, enabled=False), [], Limits(True)),
        (policy({**FORBIDDEN, "state": "disabled"}), [], Limits(True)),
        (
            policy({**FORBIDDEN, "restrictForAppsCreatedAfterDateTime": "2026-06-01T00:00:00Z"}),
            [],
            Limits(True),
        ),
        (
            policy({**FORBIDDEN, "restrictForAppsCreatedAfterDateTime": "2025-06-01T00:00:00Z"}),
            [],
            Limits(True, False),
        ),
        (policy({"restrictionType": "passwordLifetime", "maxLifetime": "P90D"}), [], Limits(True, True, 90 * DAY)),
        (policy(FORBIDDEN), [{"isEnabled": True, "restrictions": {}}], Limits(True)),
        (policy(FORBIDDEN), [own(SHORT, enabled=False)], Limits(True, False)),
        (policy(SHORT), [own(FORBIDDEN, enabled=False), own()], Limits(True)),
        (policy(), [own(enabled=False), own(FORBIDDEN)], Limits(True, False)),
        (policy(), [own(SHORT), own(FORBIDDEN)], Limits(True, False, 90 * DAY)),
        (None, [own(SHORT)], Limits(True, True, 90 * DAY)),
    ],
)
def test_whose_policy_counts(default, assigned, expected):
    assert limits(default, assigned, "2026-01-01T00:00:00.1234567Z") == expected


def test_every_rule_holds_for_an_application_that_is_to_be_made() -> None:
    rule = {**FORBIDDEN, "restrictForAppsCreatedAfterDateTime": "2999-01-01T00:00:00Z"}
    assert limits(policy(rule), None, None) == Limits(True, False)


@pytest.mark.parametrize(
    ("error", "readable"),
    [
        (NotFound("no such policy", status=404), True),
        (Forbidden("no", status=403), False),
        (ServiceError("a page", status=502), False),
    ],
)
def test_a_directory_without_the_policy_has_none_and_an_unread_one_is_open(error: ServiceError, readable: bool) -> None:
    refused = Part(error.status or 0, {"error": {"code": "x"}}, error)
    assert _app_policies.read(refused, refused, None) == Limits(readable)
    assert _app_policies.read(refused, None, None) == Limits(readable)
