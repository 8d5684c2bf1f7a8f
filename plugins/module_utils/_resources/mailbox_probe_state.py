# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What ``mailbox_probe_info`` is asked for, and what it met: mailboxes, accesses, messages, as data."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import proof
from ansible_collections.mail2fax.m365.plugins.module_utils._time import iso

POLICY_IN_FORCE_AFTER = dt.timedelta(minutes=60)
"""How long Exchange may go on obeying the policies of before; Microsoft says more than 30 minutes."""
QUICKLY = dt.timedelta(seconds=10)
"""How often it is looked at most where looking does no harm."""

OPENED = proof.OPENED
REFUSED = "refused"


@dataclass(frozen=True)
class Asked:
    """One way in, and what is known of it. ``roles``: what the token has to carry before anything is tried.

    ``in_force_by``: when what was changed of it is in force at last, None where nobody knows; ``settled_by`` is the
    same where it also says that nothing else was changed. ``strict``: a control
    mailbox has to refuse; where not, one that is not there, or whose protocol is off, says nothing.
    """

    id: str
    protocol: str
    roles: tuple[str, ...] = ()
    scoping: str | None = None
    switched_off: str | None = None
    service: str = ""
    opened_by: str = ""
    in_force_by: dt.datetime | None = None
    settled_by: dt.datetime | None = None
    in_force_after: dt.timedelta = POLICY_IN_FORCE_AFTER
    look_every: dt.timedelta = QUICKLY
    send: bool = False
    strict: bool = False

    @property
    def off(self) -> frozenset[str]:
        return proof.OFF | ({self.switched_off} if self.switched_off else set())

    def on_its_way(self, now: dt.datetime) -> bool:
        """Whether something that was changed is known to be not in force yet."""
        return self.in_force_by is not None and now < self.in_force_by

    def overdue(self, now: dt.datetime) -> bool:
        """Whether everything is in force that could be waited for."""
        return self.settled_by is not None and now >= self.settled_by and not self.on_its_way(now)


@dataclass(frozen=True)
class Desired:
    """``allowed`` have to open, ``refused`` must not, by each of ``accesses``. Where there are none, ``role``,
    ``switched_off``, ``service``, ``opened_by`` and ``ews_in_force_by`` describe the only one."""

    app_id: str
    tenant: str
    role: str | None
    """The role that a token needs before anything is tried; None where the service itself is asked."""
    allowed: tuple[str, ...]
    refused: tuple[str, ...]
    wait_s: float = 0.0
    configuration_agrees: bool = True
    ews_in_force_by: dt.datetime | None = None
    switched_off: str | None = None
    """The verdict that says that the protocol is closed as a whole."""
    service: str = ""
    opened_by: str = ""
    """How such a protocol is called, and what opens it, in words."""
    protocol: str = "ews"
    accesses: tuple[Asked, ...] = ()
    object_id: str | None = None
    """What Exchange's pointer says that the application's object id is."""
    client: str | None = None
    """The mail client that speaks for the fax server, by its name in ``_clients``."""

    @property
    def asked(self) -> tuple[Asked, ...]:
        if self.accesses:
            return self.accesses
        only = Asked(
            self.protocol,
            self.protocol,
            (self.role,) if self.role else (),
            switched_off=self.switched_off,
            service=self.service,
            opened_by=self.opened_by,
            in_force_by=self.ews_in_force_by,
            strict=True,
        )
        return (only,)

    def expectations(self) -> list[tuple[str, str]]:
        return [(mailbox, OPENED) for mailbox in self.allowed] + [(mailbox, REFUSED) for mailbox in self.refused]


@dataclass(frozen=True)
class Sent:
    """What became of a message that was sent: ``removed``, ``left``, ``not_found`` or ``nobody_reads``."""

    message_id: str
    state: str
    reason: str | None = None


@dataclass(frozen=True)
class Probe:
    """One mailbox as it was met at ``at``, by one access. ``agrees``: Exchange's own verdict is as it should be."""

    mailbox: str
    expected: str
    opening: proof.Opening
    at: dt.datetime
    access: Asked | None = None
    agrees: bool = True
    sent: Sent | None = None

    @property
    def silent(self) -> bool:
        """Whether the answer says nothing of what was to be proved."""
        verdict = self.opening.verdict
        if verdict == proof.SIGNED_IN:
            return True
        if self.access is None or self.access.strict or self.expected == OPENED:
            return False
        return verdict == proof.NO_MAILBOX or verdict in self.access.off

    @property
    def as_expected(self) -> bool:
        verdict = self.opening.verdict
        if self.silent:
            # Neither opened nor refused: Exchange's own verdict stands.
            return self.agrees
        return verdict == proof.OPENED if self.expected == OPENED else verdict in proof.REFUSALS

    def as_dict(self) -> Json:
        row: Json = {"mailbox": self.mailbox}
        if self.access is not None:
            row.update(access=self.access.id, protocol=self.access.protocol)
        row.update(
            expected=self.expected,
            verdict=self.opening.verdict,
            as_expected=self.as_expected,
            reason=self.opening.reason,
            request_id=self.opening.request_id,
            at=iso(self.at),
        )
        if self.sent is not None:
            row["message"] = {"id": self.sent.message_id, "state": self.sent.state, "reason": self.sent.reason}
        return row


@dataclass(frozen=True)
class State:
    """``why_not`` says why nothing was probed (check mode only); else ``probes`` has every mailbox once an access.
    ``carried``: the roles in the token, by access; ``undone``: what among them undoes the scope of its roles;
    ``lengths``: how many characters the token has, by access."""

    probes: tuple[Probe, ...] = ()
    roles: tuple[str, ...] = ()
    tenant_id: str | None = None
    why_not: str | None = None
    carried: t.Mapping[str, t.Collection[str]] = field(default_factory=dict)
    undone: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)
    lengths: t.Mapping[str, int] = field(default_factory=dict)
    lives: t.Mapping[str, int] = field(default_factory=dict)
    """For how many minutes a token was issued, by the resource's well-known name."""
