# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The access policies: others that count for the application, by the rules of the step that makes its own."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import mailboxes, scope
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import (
    EXCHANGE_ADMIN,
    Finding,
    Judged,
    few,
    notes,
    refused,
    stops,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import access_policy_plan
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import DENY, Policy

STEP = "access_policy"
_WHAT = "the application's access policies"


def judge(facts: scope.Facts, desired: Desired, found: mailboxes.Facts, app_id: str, now: dt.datetime) -> Judged:
    step = scope.policy_desired(desired, app_id)
    if step is None or facts.policies is None:
        return Judged()
    state = scope.policy_state(facts, desired)
    plan = access_policy_plan.plan(state, step, now)
    others: list[Json] = access_policy_plan.plan(state, replace(step, on_other_policies="keep"), now).result[
        "other_policies"
    ]
    if plan.blocked is not None:
        identities = [one["identity"] for one in others]
        return Judged(others, (refused(STEP, _WHAT, plan.blocked, identities=identities),))
    staying = {one["identity"] for one in plan.result["other_policies"]}
    gone = [one["identity"] for one in others if one["identity"] not in staying]
    named = {policy.identity: policy for policy in facts.policies}
    findings: list[Finding] = []
    if gone:
        listed = few((named[identity] for identity in gone), "; ")
        findings.append(notes(STEP, _WHAT, f"others contradict: {listed}", "they will be removed", identities=gone))
    findings += [notes(STEP, _WHAT, warning[:1].lower() + warning[1:].rstrip(".")) for warning in plan.warnings]
    findings += _shut_out(facts, desired, found, [named[identity] for identity in sorted(staying)])
    return Judged(plan.result["other_policies"], tuple(findings))


def _shut_out(
    facts: scope.Facts, desired: Desired, found: mailboxes.Facts, staying: t.Sequence[Policy]
) -> t.Iterator[Finding]:
    """A policy that stays and denies a declared mailbox: the proof would fail, whatever is waited for."""
    for policy in staying:
        if policy.access_right != DENY:
            continue
        denied = facts.denied.get(policy.identity, frozenset())
        shut = [address for address in desired.mailboxes if found.guids([address]) & denied]
        if shut:
            yield stops(
                STEP,
                _WHAT,
                f"{policy} stays, and denies {few(shut)}: a matching DenyAccess counts before everything else",
                f"take {few(shut)} out of that policy's group, or set on_other_policies to remove if the policy is not "
                "needed",
                EXCHANGE_ADMIN,
                identity=policy.identity,
                mailboxes=shut,
            )
