# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""IMAP, POP and SMTP AUTH of the declared mailboxes: what is switched off, where, and what switches it on."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import mailboxes
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Answers, Read, Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import (
    EXCHANGE_ADMIN,
    Finding,
    Judged,
    few,
    notes,
    stops,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import mailbox_protocols
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_protocols import (
    SETTINGS,
    SMTP_SETTING,
    WORDS,
    Box,
    flag,
)

STEP = "mailbox_protocols"
OPT_IN = "protocols.opt_in, mail2fax_protocols_opt_in: true"

_ORGANIZATION = "the organization's switch of SMTP AUTH"


@dataclass(frozen=True)
class Facts:
    """``smtp_disabled``: the organization's switch; None where it was not asked for, or cannot be read."""

    smtp_disabled: bool | None = None


def calls(desired: Desired) -> Reads:
    if "smtp" not in desired.protocols:
        return {}
    cmdlet = Cmdlet("Get-TransportConfig", {}, f"read {_ORGANIZATION}")
    return {"organization": Read(cmdlet, _ORGANIZATION)}


def take(answers: Answers) -> Facts:
    rows = answers.rows("organization") or []
    return Facts(flag(rows[0].get(SMTP_SETTING)) if rows else None)


@dataclass(frozen=True)
class Off:
    """One mailbox that a protocol is off for. ``by_organization``: it has no switch of its own."""

    address: str
    box: Box
    by_organization: bool = False

    @property
    def label(self) -> str:
        return f"the shared mailbox {self.address}" if self.box.recipient.type == "SharedMailbox" else self.address


def _box(address: str, found: mailboxes.Facts) -> Box | None:
    """The mailbox with its switches, where both were read. Get-CASMailbox tells no type."""
    recipient = found.known(address)
    settings = found.settings.get(recipient.guid) if recipient is not None else None
    if recipient is None or settings is None:
        return None
    return replace(Box.of(settings), recipient=recipient)


def blind(facts: Facts, desired: Desired) -> list[str]:
    """What was expected and could not be read, in words."""
    return [_ORGANIZATION] if "smtp" in desired.protocols and facts.smtp_disabled is None else []


def judge(facts: Facts, desired: Desired, found: mailboxes.Facts, now: dt.datetime) -> Judged:
    if not desired.protocols or (facts.smtp_disabled is None and "smtp" in desired.protocols):
        return Judged()
    boxes: list[Box] = []
    off: dict[str, list[Off]] = {protocol: [] for protocol in desired.protocols}
    for address in desired.mailboxes:
        box = _box(address, found)
        if box is None:
            continue
        boxes.append(box)
        for protocol in desired.protocols:
            if not box.opens(protocol, facts.smtp_disabled):
                off[protocol].append(Off(address, box, protocol == "smtp" and box.switches[SMTP_SETTING] is None))
    findings = [finding for protocol, ones in off.items() for finding in _told(protocol, ones, desired)]
    findings += _controls(facts, desired, found)
    planned = mailbox_protocols.plan(
        mailbox_protocols.State(tuple(boxes), tuple(box.recipient for box in boxes), facts.smtp_disabled),
        mailbox_protocols.Desired(tuple(box.recipient.address for box in boxes)),
        now,
    )
    return Judged(planned.result, tuple(findings))


def _told(protocol: str, ones: t.Sequence[Off], desired: Desired) -> t.Iterator[Finding]:
    title = WORDS[protocol]
    for by_organization in (False, True):
        concerned = [one for one in ones if one.by_organization is by_organization]
        if not concerned:
            continue
        names = few(one.label for one in concerned)
        about: dict[str, t.Any] = {"protocol": protocol, "mailboxes": [one.address for one in concerned]}
        found = f"it is switched off for {names} ({SETTINGS[protocol]})"
        if by_organization:
            found = (
                f"the organization's switch is off ({SMTP_SETTING} of Get-TransportConfig is True), and {names} "
                f"{'has' if len(concerned) == 1 else 'have'} none of {'its' if len(concerned) == 1 else 'their'} own"
            )
        if desired.protocols_opt_in:
            more = "; the organization's switch stays as it is" if by_organization else ""
            cure = f"this run switches it on for {'this mailbox' if len(concerned) == 1 else 'these mailboxes'} alone"
            yield notes(STEP, title, found, cure + more, **about)
            continue
        alone = "these mailboxes alone"
        why = (
            ". Switching it on for the whole organization opens it for every mailbox, which nothing here needs"
            if by_organization
            else ""
        )
        yield stops(
            STEP, title, found, f"let the run switch it on for {alone} ({OPT_IN}){why}", EXCHANGE_ADMIN, **about
        )


def _controls(facts: Facts, desired: Desired, found: mailboxes.Facts) -> t.Iterator[Finding]:
    """A control mailbox with the protocol off is refused for another reason than the one to be shown."""
    for address in desired.control:
        box = _box(address, found)
        if box is None:
            continue
        closed = [WORDS[protocol] for protocol in desired.protocols if not box.opens(protocol, facts.smtp_disabled)]
        if closed:
            yield notes(
                "control_mailboxes",
                f"control mailbox {address}",
                f"{' and '.join(closed)} {'is' if len(closed) == 1 else 'are'} switched off for it, so that being "
                "refused there shows nothing of the application; Exchange's own verdict stands for it",
                "name a mailbox for which they are on, if there is one",
                mailbox=address,
            )
