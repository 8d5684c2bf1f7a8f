# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long tokens outlive the grant they were issued under."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.token_life import (
    EXCHANGE,
    GRAPH,
    LifetimePolicy,
    lifetime_policies,
    tokens_until,
)

REVOKED = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


def minutes(until: dt.datetime) -> float:
    return (until - REVOKED).total_seconds() / 60


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([EXCHANGE], 90),
        ([GRAPH], 25 * 60),
        ([EXCHANGE, GRAPH.upper()], 25 * 60),
        (["11111111-2222-3333-4444-555555555555"], 90),
        ([], 0),
    ],
)
def test_each_resource_has_its_time_and_the_longest_counts(resources: list[str], expected: int) -> None:
    assert minutes(tokens_until(REVOKED, resources)[0]) == expected


@pytest.mark.parametrize("said", [0, 5, 3000])
def test_what_the_inventory_says_decides_alone(said: int) -> None:
    policies = [LifetimePolicy(dt.timedelta(days=1), "long")]
    until, why = tokens_until(REVOKED, [EXCHANGE, GRAPH], said, policies, [REVOKED + dt.timedelta(hours=30)])
    assert minutes(until) == said
    assert f"token_grace_minutes is {said}" in why


def test_no_waiting_is_named_as_declared() -> None:
    assert "nothing waits" in tokens_until(REVOKED, [EXCHANGE], 0)[1]


def policy(life: str, *, default: bool = True, name: str = "long") -> dict[str, object]:
    definition = json.dumps({"TokenLifetimePolicy": {"Version": 1, "AccessTokenLifetime": life}})
    return {"displayName": name, "isOrganizationDefault": default, "definition": [definition]}


@pytest.mark.parametrize(("life", "expected"), [("08:00:00", 480), ("1.00:00:00", 1440), ("23:59:59.0", 1439)])
def test_a_policy_that_says_more_counts(life: str, expected: int) -> None:
    until, why = tokens_until(REVOKED, [EXCHANGE], None, lifetime_policies([policy(life)]))
    assert int(minutes(until)) == expected
    assert "'long'" in why


def test_a_policy_that_says_less_shortens_nothing() -> None:
    assert minutes(tokens_until(REVOKED, [EXCHANGE], None, lifetime_policies([policy("00:10:00")]))[0]) == 90


def test_of_the_tenants_policies_only_the_default_decides() -> None:
    assert lifetime_policies([policy("08:00:00", default=False)]) == []


def test_a_policy_on_a_resource_counts_for_that_resource_alone() -> None:
    found = lifetime_policies([policy("1.00:00:00", default=False)], resource=GRAPH)
    assert minutes(tokens_until(REVOKED, [EXCHANGE], None, found)[0]) == 90
    found = lifetime_policies([policy("1.00:00:00", default=False)], resource=EXCHANGE)
    assert minutes(tokens_until(REVOKED, [EXCHANGE], None, found)[0]) == 1440


@pytest.mark.parametrize(
    "definition", [None, "", "no json", "[]", '{"TokenLifetimePolicy": {}}', '{"TokenLifetimePolicy": "x"}', 7]
)
def test_a_definition_that_says_nothing_is_none(definition: object) -> None:
    assert lifetime_policies([{"isOrganizationDefault": True, "definition": [definition]}]) == []


def test_unreadable_policies_are_said_and_the_default_holds() -> None:
    until, why = tokens_until(REVOKED, [EXCHANGE], None, None)
    assert minutes(until) == 90
    assert "could not be read" in why


def test_a_token_of_the_proof_that_lives_longer_counts() -> None:
    until, why = tokens_until(REVOKED, [EXCHANGE], None, (), [REVOKED + dt.timedelta(hours=4)])
    assert minutes(until) == 240
    assert "the proof" in why


def test_nothing_ends_before_it_was_revoked() -> None:
    assert tokens_until(REVOKED, [], None, (), [REVOKED - dt.timedelta(hours=4)])[0] == REVOKED


def test_what_a_token_was_seen_to_live_another_may_live() -> None:
    lives = {EXCHANGE: dt.timedelta(hours=8), GRAPH: dt.timedelta(hours=26)}
    assert minutes(tokens_until(REVOKED, [EXCHANGE], lives=lives)[0]) == 480
    assert minutes(tokens_until(REVOKED, [EXCHANGE], 5, lives=lives)[0]) == 5
    until, why = tokens_until(REVOKED, [GRAPH.upper()], lives=lives)
    assert (minutes(until), "that the proof got" in why) == (26 * 60, True)
