# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults ordered over the control API, and the memory that stale reads are answered from."""

from __future__ import annotations

import copy
import fnmatch
import json
import re
import typing as t
from dataclasses import dataclass, field, replace

from .model import Collection, Document, Tenant, World

WIRE_METHODS = ("CONNECT", "IMAP", "POP", "SMTP")


class FaultRuleError(ValueError):
    """A rule that means nothing."""


class ConnectionDropped(Exception):
    """The connection ends here, without an answer."""


@dataclass
class Effect:
    """What a matched request meets. ``after``: the work is done first, only its answer is replaced.

    ``kills``: with drop_before or drop_after, what runs on the Windows hosts ends with the connection. ``reply`` is for
    IMAP, POP and SMTP: what a command is answered (``NO …``, ``* BYE …``, ``-ERR …``, ``432 …``, or a name among the
    replies of ``mail_texts.yml``). ``joined`` is for CONNECT: the server's greeting comes in one segment with the
    answer.
    """

    drop_before: bool = False
    drop_after: bool = False
    delay_s: float = 0.0
    stale_s: float | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: t.Any = None
    after: bool = False
    kills: bool = False
    reply: str | None = None
    joined: bool = False


@dataclass
class Rule:
    match: Document
    effect: Effect
    nth: int | None = None
    times: int | None = None
    seen: int = 0

    @classmethod
    def of(cls, given: t.Any) -> Rule:
        """Raises FaultRuleError."""
        if not isinstance(given, dict) or "effect" not in given:
            raise FaultRuleError("a rule is {match, nth | times, effect}")
        unknown = set(given) - {"match", "nth", "times", "effect"}
        match = given.get("match") or {}
        unknown |= set(match) - {"host", "method", "path_regex", "cmdlet"}
        effect = given["effect"]
        if isinstance(effect, str):
            effect = {effect: True}
        if not isinstance(effect, dict) or not effect:
            raise FaultRuleError("an effect is drop_before, drop_after, {status}, {delay_s}, {stale_s} or {reply}")
        unknown |= set(effect) - set(Effect.__dataclass_fields__)
        if unknown:
            raise FaultRuleError(f"unknown keys: {', '.join(sorted(unknown))}")
        if "path_regex" in match:
            try:
                re.compile(match["path_regex"])
            except re.error as error:
                raise FaultRuleError(f"path_regex: {error}") from None
        return cls(match=match, effect=Effect(**effect), nth=given.get("nth"), times=given.get("times"))

    def fits(self, host: str, method: str, path: str, cmdlet: str | None) -> bool:
        match = self.match
        return (
            ("host" not in match or fnmatch.fnmatch(host.lower(), match["host"].lower()))
            and ("method" not in match or method.upper() == match["method"].upper())
            and ("path_regex" not in match or re.search(match["path_regex"], path, re.IGNORECASE) is not None)
            and ("cmdlet" not in match or (cmdlet or "").lower() == match["cmdlet"].lower())
        )

    def meant_for(self, method: str, path: str) -> bool:
        """Rules for HTTP leave mail commands and CONNECT alone, unless they name them; rules for commands leave new
        connections and the ends of messages alone."""
        named = str(self.match.get("method", "")).upper()
        if method == "CONNECT":
            return named == method
        if method in WIRE_METHODS:
            wanted = self.match.get("path_regex", "")
            if path in ("CONNECT", ".") and (not wanted or re.search(wanted, "NOOP")):
                return False
            return named == method or self.effect.reply is not None
        return self.effect.reply is None and not self.effect.joined

    def due(self) -> bool:
        """Whether this matching request, already counted in ``seen``, is one that is hit."""
        if self.nth is not None:
            return self.seen == self.nth
        return self.times is None or self.seen <= self.times


class Faults:
    """The rules in force. A request counts for every rule it fits; the first one that is due takes effect."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.rules: list[Rule] = []
        self.history: History | None = None

    def replace(self, rules: t.Iterable[t.Any]) -> None:
        """Raises FaultRuleError; the rules in force stay then."""
        self.rules = [Rule.of(rule) for rule in rules]
        if self.history is not None:
            self.history.stop()
        spans = [rule.effect.stale_s for rule in self.rules if rule.effect.stale_s is not None]
        self.history = History(self._world) if spans else None

    def meet(self, host: str, method: str, path: str, cmdlet: str | None) -> Effect | None:
        hit: Effect | None = None
        for rule in self.rules:
            if rule.meant_for(method, path) and rule.fits(host, method, path, cmdlet):
                rule.seen += 1
                if hit is None and rule.due():
                    hit = rule.effect
        return hit


class History:
    """Older versions of the documents, so that a stale replica can be played.

    Documents are changed in place, hence a full copy at the start and a copy of every changed document from then on.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._versions: dict[tuple[str, str, str], list[tuple[float, str | None]]] = {}
        now = world.clock.timestamp()
        for tenant in world.tenants.values():
            for collection in tenant.collections():
                for key, document in collection.items():
                    self._versions[tenant.id, collection.name, key] = [(now, json.dumps(document))]
        world.listeners.append(self._record)

    def _record(self, tenant_id: str, collection: str, key: str, document: Document | None) -> None:
        entry = (self._world.clock.timestamp(), None if document is None else json.dumps(document))
        self._versions.setdefault((tenant_id, collection, key), [(0.0, None)]).append(entry)

    def stop(self) -> None:
        if self._record in self._world.listeners:
            self._world.listeners.remove(self._record)

    def world_before(self, seconds: float) -> World:
        """A world as it was, no further back than the start of this history; nothing done to it is kept."""
        limit = self._world.clock.timestamp() - seconds
        past = replace(self._world, tenants={}, listeners=[])
        changed = {key: versions for key, versions in self._versions.items() if len(versions) > 1}
        for tenant in self._world.tenants.values():
            collections = {c.name: _copy(c) for c in tenant.collections()}
            for (tenant_id, name, key), versions in changed.items():
                if tenant_id != tenant.id:
                    continue
                body = next((text for at, text in reversed(versions) if at <= limit), versions[0][1])
                if body is None:
                    dict.pop(collections[name], key, None)
                else:
                    collections[name].load(key, json.loads(body))
            past.tenants[tenant.id] = _with(tenant, collections)
        return past


def _with(tenant: Tenant, collections: dict[str, Collection]) -> Tenant:
    twin = copy.copy(tenant)
    for name, collection in collections.items():
        setattr(twin, name, collection)
    return twin


def _copy(collection: Collection) -> Collection:
    twin = Collection(collection.name)
    dict.update(twin, collection)
    return twin
