# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What every proof answers, whatever protocol it speaks: one attempt to open one mailbox, in one language of verdicts.

To add a protocol, write a file beside this one with a class that is a ``Proof``, and add it to ``PROOFS``.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import Cloud
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http

OPENED = "opened"
DENIED_BY_POLICY = "denied_by_policy"
NO_ROLE = "no_role"
NO_MAILBOX = "no_mailbox"
IMPERSONATION_REFUSED = "impersonation_refused"
SIGNED_IN = "signed_in"
"""Let in as that mailbox, by a service that lets in anybody and refuses later: neither opened nor refused."""
REFUSED = "refused"
"""Not let in, by a service that does not say why."""
NO_PERMISSION = "no_permission"
"""Signed in, and no right on this mailbox (mailbox permissions)."""
OUT_OF_SCOPE = "out_of_scope"
"""The role does not reach this mailbox (role based access control)."""
WRONG_POINTER = "wrong_pointer"
"""Refused, and Exchange's pointer names another object than the one that signs in."""
PROTOCOL_OFF_MAILBOX = "protocol_off_mailbox"
PROTOCOL_OFF_TENANT = "protocol_off_tenant"
THROTTLED = "throttled"
OTHER = "other"
VERDICTS = (
    *(OPENED, SIGNED_IN, DENIED_BY_POLICY, IMPERSONATION_REFUSED, REFUSED, NO_PERMISSION, OUT_OF_SCOPE, WRONG_POINTER),
    *(NO_ROLE, NO_MAILBOX, PROTOCOL_OFF_MAILBOX, PROTOCOL_OFF_TENANT, THROTTLED, OTHER),
)
REFUSALS = frozenset({DENIED_BY_POLICY, IMPERSONATION_REFUSED, REFUSED, NO_PERMISSION, OUT_OF_SCOPE})
"""The verdicts that say: the service knows the mailbox, and does not let the application in."""
OFF = frozenset({PROTOCOL_OFF_MAILBOX, PROTOCOL_OFF_TENANT})
"""The protocol is closed, to whoever asks: no refusal of this application."""


UNAUTHORIZED = "401"
"""The code of an opening whose token the service did not take at all: it says nothing of the mailbox."""


@dataclass(frozen=True)
class Opening:
    """What became of one attempt. ``verdict`` is one of those above, or the proof's own ``switched_off``; ``reason``
    is in the service's own words."""

    verdict: str
    reason: str | None = None
    code: str | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class Letter:
    """A message from a mailbox to itself, which only proves that it can be sent, and is removed."""

    address: str
    mark: str

    @property
    def message_id(self) -> str:
        domain = self.address.rpartition("@")[2]
        with contextlib.suppress(UnicodeError):
            domain = domain.encode("idna").decode("ascii")
        return f"<{self.mark}@{domain}>"

    @property
    def subject(self) -> str:
        # Short, so that no header is folded: it is looked for as it is.
        return f"mail2fax.m365 proof {self.mark}"

    @property
    def text(self) -> str:
        return (
            "This message proves that the fax server's application can send as this mailbox. "
            "It was sent by the Ansible collection mail2fax.m365, and is removed by it."
        )


@dataclass(frozen=True)
class Found:
    """What became of a letter that was looked for: ``there``, and ``gone`` where it was removed as well."""

    there: bool
    gone: bool = False
    reason: str | None = None


UNSURE = "unsure"
"""The code of an opening where a message was handed over, and whether it was sent is unknown."""


class Sends(t.Protocol):
    """A proof that can send, if ``sends`` says so."""

    @property
    def sends(self) -> bool:
        """Whether its permissions are for that."""

    def send(self, token: Token, letter: Letter) -> Opening:
        """Send it, once; ``opened`` when the service took it."""


class Reads(t.Protocol):
    """A proof that can find a letter, and remove it, if ``reads`` says so."""

    @property
    def reads(self) -> bool:
        """Whether its permissions are for that."""

    def take(self, token: Token, letter: Letter) -> Found:
        """Look for it, once, and remove it if it is there."""


class Proof(t.Protocol):
    """One protocol by which an application opens mailboxes. Nothing of a mailbox's content is asked for."""

    def open(self, token: Token, address: str) -> Opening:
        """One attempt, patient only with a busy service. Raises Unreachable and AnswerLost."""


class Kind(t.Protocol):
    """A proof's class: what is known of it before anything is opened, and how it is made for a tenant.

    ``needs_role``: the role without which the service refuses every mailbox, so that a token without it proves
    nothing; None where it depends on what is opened. Under a scoping model without a consent the token carries none
    (role based access control puts no roles into tokens), and the service itself is asked. ``switched_off``: the
    verdict where the protocol is closed to the application as a whole, None where there is no such thing; ``service``
    is what it is called then, ``opened_by`` what opens it, in words.
    """

    needs_role: t.ClassVar[str | None]
    switched_off: t.ClassVar[str | None]
    service: t.ClassVar[str]
    opened_by: t.ClassVar[str]

    @staticmethod
    def audience(cloud: Cloud) -> str:
        """What the token has to be for."""

    def __call__(self, http: Http, cloud: Cloud) -> Proof:
        """The proof in one tenant. A class that has a class method ``of(http, cloud, access)`` is made by that one."""
