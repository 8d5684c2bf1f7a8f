# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""How long tokens live by the tenant's policies: asked where something is to be taken back, which waits for them."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Answers, Read, Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import token_life
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.token_life import LifetimePolicy

Facts: t.TypeAlias = "tuple[LifetimePolicy, ...] | None"
"""None: not asked, or not for this operator to read."""

_RESOURCES = (token_life.EXCHANGE, token_life.GRAPH)


def calls(desired: Desired) -> Reads:
    if "decommission" not in (desired.steps or ()):
        return {}
    asked = zip(("", *_RESOURCES), token_life.calls(_RESOURCES), strict=True)
    return {resource: Read(call, "the token lifetime policies") for resource, call in asked}


def take(answers: Answers) -> Facts:
    """They only tell how long to wait, so that what cannot be read stops nothing."""
    names = ("", *_RESOURCES)
    if any(not answers.asked(name) or answers.useless(name) for name in names):
        return None
    found: list[LifetimePolicy] = []
    for name in names:
        found += token_life.lifetime_policies(answers.rows(name) or [], resource=name or None)
    return tuple(found)


def shown(facts: Facts) -> list[Json] | None:
    if facts is None:
        return None
    return [
        {"name": policy.name, "resource": policy.resource, "minutes": -int(-policy.life.total_seconds() // 60)}
        for policy in facts
    ]
