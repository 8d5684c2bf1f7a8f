# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""IMAP, POP and SMTP AUTH of the declared mailboxes: what is switched off, where, and what switches it on."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
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
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient

STEP = "mailbox_protocols"
TITLES: t.Mapping[str, str] = {"imap": "IMAP", "pop": "POP", "smtp": "SMTP AUTH"}
OPT_IN = "protocols.opt_in, mail2fax_protocols_opt_in: true"
_SMTP = "SmtpClientAuthenticationDisabled"
_SWITCHES: t.Mapping[str, str] = {"imap": "ImapEnabled", "pop": "PopEnabled", "smtp": _SMTP}


@dataclass(frozen=True)
class Facts:
    """``smtp_disabled``: the organization's switch; None where it was not asked for, or cannot be read."""

    smtp_disabled: bool | None = None


def calls(desired: Desired) -> Reads:
    if "smtp" not in desired.protocols:
        return {}
    what = "the organization's switch of SMTP AUTH"
    return {"organization": Read(Cmdlet("Get-TransportConfig", {}, f"read {what}"), what)}


def take(answers: Answers) -> Facts:
    rows = answers.rows("organization") or []
    return Facts(_flag(rows[0].get(_SMTP)) if rows else None)


def _flag(value: t.Any) -> bool | None:
    """Exchange's three values, as such or as a text."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).strip().casefold())


@dataclass(frozen=True)
class Off:
    """One mailbox that a protocol is off for. ``by_organization``: it has no switch of its own."""

    address: str
    recipient: Recipient
    by_organization: bool = False


def state_of(settings: Json, facts: Facts) -> Json:
    """What is on for one mailbox; None where it is not known. ``settings``: Get-CASMailbox's."""
    own = _flag(settings.get(_SMTP))
    disabled = facts.smtp_disabled if own is None else own
    return {
        "imap": _flag(settings.get("ImapEnabled")),
        "pop": _flag(settings.get("PopEnabled")),
        "smtp": None if disabled is None else not disabled,
        "smtp_own": None if own is None else not own,
    }


def judge(facts: Facts, desired: Desired, found: mailboxes.Facts) -> Judged:
    if not desired.protocols:
        return Judged()
    shown: list[Json] = []
    off: dict[str, list[Off]] = {protocol: [] for protocol in desired.protocols}
    for address in desired.mailboxes:
        recipient = found.known(address)
        settings = found.settings.get(recipient.guid) if recipient is not None else None
        if recipient is None or settings is None:
            continue
        state = state_of(settings, facts)
        shown.append({"address": address, **state})
        for protocol in desired.protocols:
            if state[protocol] is False:
                off[protocol].append(Off(address, recipient, protocol == "smtp" and state["smtp_own"] is None))
    findings = [finding for protocol, ones in off.items() for finding in _told(protocol, ones, desired)]
    findings += _controls(facts, desired, found)
    result: Json = {
        "mailboxes": shown,
        "organization": {"smtp_auth_disabled": facts.smtp_disabled} if "smtp" in desired.protocols else None,
    }
    return Judged(result, tuple(findings))


def _told(protocol: str, ones: t.Sequence[Off], desired: Desired) -> t.Iterator[Finding]:
    title = TITLES[protocol]
    for by_organization in (False, True):
        concerned = [one for one in ones if one.by_organization is by_organization]
        if not concerned:
            continue
        names = few(_named(one) for one in concerned)
        about: Json = {"protocol": protocol, "mailboxes": [one.address for one in concerned]}
        found = f"it is switched off for {names} ({_SWITCHES[protocol]})"
        if by_organization:
            found = (
                f"the organization's switch is off ({_SMTP} of Get-TransportConfig is True), and {names} "
                f"{'has' if len(concerned) == 1 else 'have'} none of {'its' if len(concerned) == 1 else 'their'} own"
            )
        if desired.protocols_opt_in:
            more = "; the organization's switch stays as it is" if by_organization else ""
            cure = f"this run switches it on for {'this mailbox' if len(concerned) == 1 else 'these mailboxes'} alone"
            yield notes(STEP, title, found, cure + more, **about)
            continue
        alone = "these mailboxes alone"
        why = (
            ". Whoever switches it on for the whole organization opens it for every mailbox, which nothing here needs"
            if by_organization
            else ""
        )
        yield stops(
            STEP, title, found, f"let the run switch it on for {alone} ({OPT_IN}){why}", EXCHANGE_ADMIN, **about
        )


def _named(one: Off) -> str:
    return f"the shared mailbox {one.address}" if one.recipient.type == "SharedMailbox" else one.address


def _controls(facts: Facts, desired: Desired, found: mailboxes.Facts) -> t.Iterator[Finding]:
    """A control mailbox with the protocol off is refused for another reason than the one to be shown."""
    for address in desired.control:
        recipient = found.known(address)
        settings = found.settings.get(recipient.guid) if recipient is not None else None
        if settings is None:
            continue
        state = state_of(settings, facts)
        closed = [TITLES[protocol] for protocol in desired.protocols if state[protocol] is False]
        if closed:
            yield notes(
                "control_mailboxes",
                f"control mailbox {address}",
                f"{' and '.join(closed)} {'is' if len(closed) == 1 else 'are'} switched off for it, so that being "
                "refused there shows nothing of the application; Exchange's own verdict stands for it",
                "name a mailbox for which they are on, if there is one",
                mailbox=address,
            )
