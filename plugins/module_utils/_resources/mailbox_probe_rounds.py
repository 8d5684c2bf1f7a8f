# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Looking at every mailbox by every access, and again at those that may change: tokens, rhythm, and messages sent.

One sign-in serves all accesses with one audience. What a cache may hold is left alone for as long as its scoping model
says: a refusal that is asked for every few seconds lives on.
"""

from __future__ import annotations

import math
import typing as t
import uuid
from dataclasses import dataclass, replace

from ansible_collections.mail2fax.m365.plugins.module_utils._accesses import RIGHT, ROLE, Access
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import M365Error, NoLongerWanted
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Clock
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import PROOFS, make, proof
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe_options import undone
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe_plan import (
    look_again_after,
    worth_waiting,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe_state import (
    OPENED,
    Asked,
    Desired,
    Probe,
    Sent,
    State,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

TOKEN_GOOD_FOR_S = 300.0
SHORTEST_S = 0.05
"""Waits are compared with a clock that is not exact."""

_ROLE_REFUSED = {"ews": (proof.NO_ROLE, proof.DENIED_BY_POLICY, proof.IMPERSONATION_REFUSED)}
"""What is said where roles of Exchange decide, and nothing is in the token and no policy is asked."""

Key = tuple[str, str]
"""(mailbox, access)."""


@dataclass
class _Held:
    token: Token
    taken: float


class Tokens:
    """The application's tokens, one for each audience. ``first`` gets one patiently, ``another`` at once."""

    def __init__(
        self,
        first: t.Callable[[str, t.Collection[str]], Token],
        another: t.Callable[[str], Token],
        clock: Clock,
    ) -> None:
        self._first, self._another, self._clock = first, another, clock
        self._held: dict[str, _Held] = {}

    def get(self, audience: str, roles: t.Collection[str]) -> Token:
        if audience not in self._held:
            self._held[audience] = _Held(self._first(audience, roles), self._clock.monotonic())
        return self._held[audience].token

    def renew(self, audience: str) -> Token:
        self._held[audience] = _Held(self._another(audience), self._clock.monotonic())
        return self._held[audience].token

    def is_old(self, audience: str) -> bool:
        held = self._held.get(audience)
        return held is not None and self._clock.monotonic() - held.taken > TOKEN_GOOD_FOR_S

    def left(self, now: float) -> dict[str, float]:
        """How many seconds each token lived, or will, since it came; of those that say when they end."""
        here = self._clock.monotonic()
        return {
            audience: held.token.ends_at - (now - (here - held.taken))
            for audience, held in self._held.items()
            if held.token.ends_at is not None
        }

    def all(self) -> list[Token]:
        return [held.token for held in self._held.values()]


class Rounds:
    """The looks at the mailboxes of one task."""

    def __init__(self, tenant: Tenant, desired: Desired, ways: t.Mapping[str, Access], tokens: Tokens) -> None:
        self._tenant, self._desired, self._ways, self._tokens = tenant, desired, ways, tokens
        self._asked = {asked.id: asked for asked in desired.asked}
        kinds = {name: PROOFS[way.protocol] for name, way in ways.items()}
        self._proofs = {name: make(kinds[name], tenant.http, tenant.cloud, way) for name, way in ways.items()}
        self._sent: dict[Key, tuple[proof.Letter, proof.Opening]] = {}
        self._audiences = {name: kind.audience(tenant.cloud) for name, kind in kinds.items()}

    def look(self) -> State:
        """Every mailbox by every access, until nothing is worth waiting for or the patience ends."""
        tenant, desired = self._tenant, self._desired
        expected = {(mailbox, name): wish for mailbox, wish in desired.expectations() for name in self._asked}
        probes: dict[Key, Probe] = {}
        due = dict.fromkeys(expected, tenant.clock.monotonic())
        waiting = tenant.patience.begin("what was changed to show in the service's answers", desired.wait_s)
        delay = 0.5
        while True:
            here = tenant.clock.monotonic() + SHORTEST_S
            # By access, so that a service is asked for all mailboxes in a row.
            now_due = sorted((key for key in due if due[key] <= here), key=lambda key: [*self._asked].index(key[1]))
            self._renew({key: probes[key] for key in now_due if key in probes})
            for key in now_due:
                probes[key] = self._probe(*key, expected[key])
            moment, here = tenant.now(), tenant.clock.monotonic()
            left = [key for key in expected if worth_waiting(probes[key], desired, moment)]
            if not left:
                break
            due = {
                key: here + look_again_after(probes[key], desired, delay) if key in now_due else due[key]
                for key in left
            }
            if not waiting.pause(max(0.0, min(due.values()) - here)):
                break
            delay = min(delay * 2, 10.0)
        tokens = self._tokens.all()
        return State(
            _told_apart(tuple(probes[key] for key in expected)),
            tuple(sorted({role for token in tokens for role in token.roles})),
            next((token.tenant_id for token in tokens if token.tenant_id), None),
            carried=(carried := {name: self._token(name).roles for name in self._asked}),
            lengths={name: len(self._token(name).value) for name in self._asked},
            lives=self._lives(),
            undone={
                name: undone(self._ways[name], self._ways.values(), desired.app_id, carried[name])
                for name in self._asked
                if desired.accesses
            },
        )

    def _lives(self) -> dict[str, int]:
        """Counted from when the token came: its claims have begun some minutes before that."""
        found: dict[str, int] = {}
        for audience, left in self._tokens.left(self._tenant.now().timestamp()).items():
            resource = "microsoft_graph" if audience == self._tenant.cloud.graph_audience else "exchange_online"
            found[resource] = max(found.get(resource, 0), math.ceil(left / 60))
        return found

    def _token(self, name: str) -> Token:
        audience = self._audiences[name]
        roles = {
            role for other, asked in self._asked.items() if self._audiences[other] == audience for role in asked.roles
        }
        return self._tokens.get(audience, roles)

    def _renew(self, met: t.Mapping[Key, Probe]) -> None:
        """New tokens where a role was missing, or where they have been used for long."""
        lacking = {self._audiences[key[1]] for key, probe in met.items() if probe.opening.verdict == proof.NO_ROLE}
        for audience in dict.fromkeys(self._audiences[name] for _mailbox, name in met):
            if audience in lacking or self._tokens.is_old(audience):
                self._tokens.renew(audience)

    def _probe(self, mailbox: str, name: str, wish: str) -> Probe:
        asked, service = self._asked[name], self._proofs[name]
        token = self._token(name)
        sent: Sent | None = None
        # Without the role every mailbox refuses, and that would look like a limit at work.
        lacks = any(role not in token.roles for role in asked.roles)
        opening = proof.Opening(proof.NO_ROLE) if lacks else service.open(token, mailbox)
        if opening.code == proof.UNAUTHORIZED:
            token = self._tokens.renew(self._audiences[name])
            opening = service.open(token, mailbox)
        if (
            asked.send
            and wish == OPENED
            and opening.verdict in (proof.OPENED, proof.SIGNED_IN)
            and getattr(service, "sends", False)
        ):
            opening, sent = self._send(t.cast("proof.Sends", service), token, mailbox, name)
        if asked.scoping == ROLE and opening.verdict in _ROLE_REFUSED.get(asked.protocol, ()):
            opening = replace(opening, verdict=proof.REFUSED)
        if opening.verdict == proof.REFUSED and self._is_another(asked, token):
            opening = replace(opening, verdict=proof.WRONG_POINTER)
        access = asked if self._desired.accesses else None
        return Probe(mailbox, wish, opening, self._tenant.now(), access, self._desired.configuration_agrees, sent)

    def _is_another(self, asked: Asked, token: Token) -> bool:
        """Whether the pointer names another object than the one that signs in."""
        named, own = self._desired.object_id, str(token.claims.get("oid") or "").lower()
        return bool(named and own and named != own and asked.scoping in (ROLE, RIGHT))

    def _send(self, service: proof.Sends, token: Token, mailbox: str, name: str) -> tuple[proof.Opening, Sent | None]:
        """A real message from the mailbox to itself, found and removed by whichever access reads mail."""
        held = self._sent.get((mailbox, name))
        if held is None:
            letter = proof.Letter(mailbox, uuid.uuid4().hex)
            self._tenant.wanted(f"send a message as {mailbox}")
            opening = service.send(token, letter)
            if opening.verdict == proof.OPENED or opening.code == proof.UNSURE:
                # What may have been taken is not sent again, however often it is looked for.
                self._sent[mailbox, name] = letter, opening
        else:
            letter, opening = held
        if opening.verdict != proof.OPENED and opening.code != proof.UNSURE:
            return opening, None
        readers = [name for name in self._ways if getattr(self._proofs[name], "reads", False)]
        if not readers:
            return opening, Sent(letter.message_id, "nobody_reads")
        reader = next((one for one in readers if self._ways[one].protocol == "imap"), readers[0])
        found = self._take(reader, letter)
        if found.there and opening.code == proof.UNSURE:
            opening = proof.Opening(proof.OPENED, None, None, opening.request_id)
        if opening.verdict != proof.OPENED:
            return opening, None
        state = "removed" if found.gone else "left" if found.there else "not_found"
        return opening, Sent(letter.message_id, state, found.reason)

    def _take(self, name: str, letter: proof.Letter) -> proof.Found:
        reader = t.cast("proof.Reads", self._proofs[name])
        found = proof.Found(False)

        def there() -> bool:
            nonlocal found
            try:
                found = reader.take(self._token(name), letter)
            except NoLongerWanted:
                raise
            except M365Error as exc:
                found = proof.Found(False, reason=exc.message)
                return True
            return found.there or found.reason is not None

        self._tenant.patiently(there, what=f"the message to arrive in {letter.address}")
        return found


def _told_apart(probes: tuple[Probe, ...]) -> tuple[Probe, ...]:
    """What a refusal means beside an opening by the same access, whose token, pointer and role are right then."""
    opened = {probe.access.id for probe in probes if probe.access and probe.opening.verdict == proof.OPENED}
    return tuple(
        _meant(probe, probe.access)
        if probe.access is not None and probe.access.id in opened and probe.opening.verdict == proof.REFUSED
        else probe
        for probe in probes
    )


def _meant(probe: Probe, asked: Asked) -> Probe:
    if asked.scoping == ROLE:
        return replace(probe, opening=replace(probe.opening, verdict=proof.OUT_OF_SCOPE))
    if asked.scoping == RIGHT and asked.protocol == "imap" and probe.expected != OPENED:
        # A right that is missing is told after the sign-in.
        told = f"{probe.opening.reason} (IMAP is switched off for it, or there is no mailbox behind the address)"
        return replace(probe, opening=replace(probe.opening, verdict=proof.PROTOCOL_OFF_MAILBOX, reason=told))
    return probe
