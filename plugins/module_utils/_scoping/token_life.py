# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""How long a token that was issued under a grant may outlive the grant.

Taking a consent back ends no token: each lives on until it expires, and whatever limited the grant has to stay that
long. Nobody can list the tokens that are alive, so the time is counted from what bounds their lives.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _permissions, _time
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import M365Error, NoLongerWanted
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Graph

Json = dict[str, t.Any]

EXCHANGE = _permissions.WELL_KNOWN["exchange_online"]
GRAPH = _permissions.WELL_KNOWN["microsoft_graph"]
"""The application ids of the two resources whose permissions open mailboxes, the same in every tenant."""

LIFE: t.Mapping[str, dt.timedelta] = {EXCHANGE: dt.timedelta(minutes=90), GRAPH: dt.timedelta(hours=25)}
"""Entra issues tokens for 60 to 90 minutes. For Graph, a single-tenant application whose client declares that it
understands continuous access evaluation gets tokens of up to 24 hours."""

OTHER_LIFE = LIFE[EXCHANGE]
_NAMES: t.Mapping[str, str] = {EXCHANGE: "Exchange Online", GRAPH: "Microsoft Graph"}
_SPAN = re.compile(
    r"(?:(?P<days>\d{1,4})\.)?(?P<hours>\d{1,2}):(?P<minutes>\d{1,2})(?::(?P<seconds>\d{1,2})(?:\.\d+)?)?"
)


_PURPOSE = "read the token lifetime policies"


@dataclass(frozen=True)
class LifetimePolicy:
    """A token lifetime policy that decides. ``resource``: the resource that it is set on, None for the organisation's
    default. One that is set on the calling application decides nothing."""

    life: dt.timedelta
    name: str = ""
    resource: str | None = None


def lifetime_policies(
    documents: t.Iterable[t.Mapping[str, t.Any]], *, resource: str | None = None
) -> list[LifetimePolicy]:
    """From Graph's ``tokenLifetimePolicies``: those of the tenant (of which the default decides), or, with
    ``resource`` (its application id), those that are set on that resource's service principal."""
    found: list[LifetimePolicy] = []
    for document in documents:
        if resource is None and document.get("isOrganizationDefault") is not True:
            continue
        for definition in document.get("definition") or []:
            life = _access_token_life(definition)
            if life is not None:
                found.append(LifetimePolicy(life, str(document.get("displayName") or ""), resource))
    return found


def calls(resources: t.Sequence[str]) -> list[Call]:
    """The parts of a batch: the tenant's policies, then those on each resource (application ids)."""
    return [
        Call("GET", "/policies/tokenLifetimePolicies", _PURPOSE),
        *(
            Call("GET", f"/servicePrincipals(appId={_names.odata(resource)})/tokenLifetimePolicies", _PURPOSE)
            for resource in resources
        ),
    ]


def read(graph: Graph, resources: t.Sequence[str]) -> list[LifetimePolicy] | None:
    """The policies that decide for tokens of these resources (application ids); None where one could not be read.

    They only tell how long to wait: what cannot be read is said, and the usual life holds.
    """
    known = [resource for resource in resources if _names.is_guid(resource)]
    organization, *on_resources = graph.batch(calls(known), purpose=_PURPOSE)
    if any(part.error is not None for part in (organization, *on_resources)):
        return None
    policies = lifetime_policies(organization.value().get("value") or [])
    for resource, part in zip(known, on_resources, strict=True):
        policies += lifetime_policies(part.value().get("value") or [], resource=resource)
    return policies


NOT_WAITED_FOR = (
    "token_grace_minutes is 0, so nothing waits for tokens that were issued before. Anybody who has one may use it "
    "until it ends, with nothing to limit it once the access policy is gone."
)
"""What a person is told who takes that risk."""


def tokens_until(
    revoked_at: dt.datetime,
    resources: t.Iterable[str],
    said_minutes: int | None = None,
    lifetime_policies: t.Iterable[LifetimePolicy] | None = (),
    exps: t.Iterable[dt.datetime] = (),
    lives: t.Mapping[str, dt.timedelta] | None = None,
) -> tuple[dt.datetime, str]:
    """When every token issued until ``revoked_at`` is dead, and why then, in words.

    ``resources``: the application ids of the resources on which a grant was revoked. ``said_minutes``: what the
    inventory says, which alone decides (0: no waiting). ``lifetime_policies`` None: they could not be read, which is
    said, and the defaults hold. ``exps``: ends of tokens that were really seen; ``lives``: how long tokens for a
    resource were seen to live, which others that were issued later may, too. All instants are aware.
    """
    if said_minutes is not None:
        if said_minutes < 0:
            raise ValueError("tokens do not die before they are revoked")
        if said_minutes == 0:
            return revoked_at, "declared: token_grace_minutes is 0, so nothing waits for tokens that are still alive"
        return revoked_at + dt.timedelta(minutes=said_minutes), f"declared: token_grace_minutes is {said_minutes}"
    asked = sorted({resource.lower() for resource in resources})
    ends: list[tuple[dt.datetime, str]] = [
        (revoked_at + LIFE.get(one, OTHER_LIFE), f"tokens for {_NAMES.get(one, one)} live up to {_words(one)}")
        for one in asked
    ]
    for policy in lifetime_policies or ():
        if asked and (policy.resource is None or policy.resource.lower() in asked):
            ends.append((revoked_at + policy.life, f"the token lifetime policy {policy.name!r} says {policy.life}"))
    for resource, life in (lives or {}).items():
        if resource.lower() in asked:
            named = _NAMES.get(resource.lower(), resource)
            ends.append((revoked_at + life, f"a token for {named} that the proof got lived {_minutes(life)} minutes"))
    ends += [(exp, "a token that was issued for the proof lives that long") for exp in exps]
    until, why = max(ends, key=lambda end: end[0], default=(revoked_at, "nothing was granted"))
    until = max(until, revoked_at)
    if lifetime_policies is None and asked:
        why += "; the tenant's token lifetime policies could not be read, so a longer life that they set is not counted"
    return until, why


def _read(graph: Graph, resources: t.Sequence[str]) -> list[LifetimePolicy] | None:
    """As ``read``; whatever goes wrong ends no task that has revoked something."""
    try:
        return read(graph, resources)
    except NoLongerWanted:
        raise
    except M365Error:
        return None


def told(graph: Graph, revoked_at: dt.datetime, resources: t.Sequence[str], said_minutes: int | None) -> Json:
    """The same as results of a module: ``revoked_at``, ``tokens_until``, ``tokens_until_reason``, and
    ``token_lifetimes_known``: false where the tenant's policies decide and could not be read."""
    policies = [] if said_minutes is not None else _read(graph, resources)
    found = tokens_until(revoked_at, resources, said_minutes, policies)
    return {**_told(revoked_at, *found), "token_lifetimes_known": policies is not None}


UNREAD = (
    "The tenant's token lifetime policies could not be read, so a life of tokens that is longer than usual is not "
    "waited for. Give the operator's application Policy.Read.All, or say in token_grace_minutes how long they live."
)
"""What a person is told of a revocation whose ``token_lifetimes_known`` is false."""


def told_unread(revoked_at: dt.datetime, resources: t.Sequence[str], said_minutes: int | None) -> Json:
    """The same of a task that failed: nothing more is asked."""
    return _told(revoked_at, *tokens_until(revoked_at, resources, said_minutes, None))


def _told(revoked_at: dt.datetime, until: dt.datetime, why: str) -> Json:
    return {"revoked_at": _time.iso(revoked_at), "tokens_until": _time.iso(until), "tokens_until_reason": why}


def _minutes(life: dt.timedelta) -> int:
    return -int(-life.total_seconds() // 60)


def _words(resource: str) -> str:
    minutes = _minutes(LIFE.get(resource, OTHER_LIFE))
    return f"{minutes} minutes" if minutes % 60 else f"{minutes // 60} hours"


def _access_token_life(definition: t.Any) -> dt.timedelta | None:
    """AccessTokenLifetime of a policy's definition, a JSON text; None where it sets none."""
    try:
        document = json.loads(definition)
    except (TypeError, ValueError):
        return None
    policy = document.get("TokenLifetimePolicy") if isinstance(document, dict) else None
    match = _SPAN.fullmatch(str(policy.get("AccessTokenLifetime") or "").strip()) if isinstance(policy, dict) else None
    if match is None:
        return None
    parts = {unit: int(value) for unit, value in match.groupdict(default="0").items()}
    return dt.timedelta(**parts)
