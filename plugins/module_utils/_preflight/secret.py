# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The client secret: whether the tenant allows it, and whether the step that makes it would stop."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _app_policies, _directory, _names, _powers
from ansible_collections.mail2fax.m365.plugins.module_utils._app_policies import Limits
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Answers, Read, Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import (
    Finding,
    Judged,
    notes,
    refused,
    stops,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.operator import Operator
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import secret_plan as _secret
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret_judge import Desired as DesiredSecret
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret_judge import Key, State
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret_keys import key_of
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Place

STEP = "client_secret"
_SOMEWHERE = Place("", "the store")


@dataclass(frozen=True)
class Facts:
    """What the app-management policies allow, and the application's secrets as Graph lists them."""

    limits: Limits = _app_policies.UNREAD
    keys: tuple[Key, ...] = ()
    app_id: str = _names.ZERO_GUID

    def has_a_good_one(self, now: dt.datetime) -> bool:
        """Whether there is a secret that is still good: then secrets were allowed."""
        return any(key.end > now for key in self.keys)


def calls(desired: Desired) -> Reads:
    reads = {"policy": Read(_app_policies.default_call(), "the app-management policy")}
    wanted = desired.application
    if wanted is not None and desired.wants_secret:
        key, value = wanted.identity.looked_up
        path = _directory.key_of(unique_name=wanted.unique_name, app_id=value if key == "appId" else None)
        reads["own policy"] = Read(_app_policies.assigned_call(path), "the application's app-management policy")
    return reads


def take(answers: Answers, application: Json | None) -> Facts:
    """``application`` is Graph's document of the live one."""
    default = answers.part("policy")
    if default is None:
        return Facts()
    answers.document("policy")
    held = application or {}
    return Facts(
        _app_policies.read(default, answers.part("own policy"), held.get("createdDateTime")),
        tuple(map(key_of, held.get("passwordCredentials") or [])),
        str(held.get("appId") or _names.ZERO_GUID).lower(),
    )


def judge(facts: Facts, desired: Desired, operator: Operator, now: dt.datetime) -> Judged:
    limits, longest = facts.limits, facts.limits.longest
    shown: Json = {
        "readable": limits.readable,
        "secrets_allowed": limits.secrets_allowed if limits.readable else None,
        "max_lifetime_days": None if longest is None else longest.days,
    }
    if not desired.wants_secret:
        return Judged(shown)
    return Judged(shown, (*_about_the_policy(facts, desired, operator, now), *_about_the_keys(facts, desired, now)))


def _about_the_policy(facts: Facts, desired: Desired, operator: Operator, now: dt.datetime) -> t.Iterator[Finding]:
    what = "the tenant's app-management policy"
    limits, longest = facts.limits, facts.limits.longest
    days = desired.secret_lifetime_days
    if not limits.secrets_allowed:
        reason = _secret.secrets_forbidden((desired.application.called if desired.application else "") or "")
        yield stops(STEP, what, "it forbids client secrets", reason.cure, reason.who)
    elif not limits.readable and operator.reads_graph and not facts.has_a_good_one(now):
        yield notes(
            STEP,
            what,
            "the operator may not read it, so whether it forbids or limits client secrets shows only when the secret "
            "is made: the run would stop there, with the application and its scope made and nothing granted",
            "grant the operator's application Policy.Read.All, to know it beforehand",
            _powers.WHO[_powers.GRAPH],
        )
    elif longest is not None and days is not None and days > longest.days:
        found = f"it allows client secrets at most {longest.days} days, and {days} are wanted"
        if desired.allow_shorter:
            yield notes(STEP, what, f"{found}; the secret will be shorter")
        else:
            yield stops(STEP, what, found, _secret.lifetime_too_long(longest.days).cure)


def _about_the_keys(facts: Facts, desired: Desired, now: dt.datetime) -> t.Iterator[Finding]:
    """What the step would plan with a store that holds none of the application's living keys.

    Where the store holds one, the step knows more than the tenant tells, and keeps the number of keys itself.
    """
    if desired.secret_name is None or desired.stored_key_ids is None:
        return
    wanted = DesiredSecret(
        facts.app_id,
        desired.secret_name,
        stored_in=desired.stored_in or _SOMEWHERE,
        allow_shorter=True,
        recorded_key_id=desired.recorded_key_id,
        recorded_place=desired.recorded_place,
    )
    what = f"the client secret {desired.secret_name!r}"
    elsewhere = _secret.held_elsewhere(desired.stored_key_ids, facts.keys, wanted, now)
    if elsewhere is not None:
        yield refused(STEP, what, elsewhere)
        return
    if {key.key_id for key in facts.keys if key.end > now}.intersection(desired.stored_key_ids):
        return
    planned = _secret.plan(State(exists=True, keys=facts.keys), wanted, now)
    if planned.blocked is not None:
        yield refused(STEP, what, planned.blocked)
