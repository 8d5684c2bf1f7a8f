# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The mailboxes that are declared: what each address is, and what to do where it is not a mailbox."""

from __future__ import annotations

import difflib
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _recipients
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import ews as _ews
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import licences, tenant
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Answers, Ask, Read, Reads
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

PAGE = 50
"""How many mailboxes are looked at to pick a control mailbox, or to find the closest address."""

EXPLAINED = 4
"""For how many addresses that do not exist the closest ones are looked for."""


@dataclass(frozen=True)
class Hint:
    """Why an address may not be found. ``account`` is whoever has it as the name that people sign in with."""

    closest: tuple[str, ...] = ()
    soft_deleted: bool = False
    account: Recipient | None = None


@dataclass(frozen=True)
class Facts:
    """``recipients``: those behind the declared addresses, the group's owners too; None where they cannot be read."""

    recipients: tuple[Recipient, ...] | None = None
    settings: t.Mapping[str, Json] = field(default_factory=dict)
    """By a mailbox's guid: its own settings of EWS and of the mail protocols (Get-CASMailbox)."""
    hints: t.Mapping[str, Hint] = field(default_factory=dict)
    """By address in lower case."""
    unlicensed: frozenset[str] = frozenset()
    """Guids of mailboxes of which Exchange says that no licence is assigned."""
    plans: t.Mapping[str, str] = field(default_factory=dict)
    """By a mailbox's guid: what its licence is to Exchange (MailboxPlan); only of those that were asked about."""
    accepted: tuple[str, ...] | None = None
    """The tenant's domains in Exchange, where only an address that is not found made it worth asking."""

    def known(self, address: str) -> Recipient | None:
        return _recipients.among(self.recipients or (), address)

    def guids(self, addresses: t.Iterable[str]) -> frozenset[str]:
        return frozenset(one.guid for address in addresses if (one := self.known(address)) is not None)


def people(desired: Desired) -> tuple[str, ...]:
    """Whoever is looked for by an address: mailboxes, control mailboxes, the group's owners."""
    owners = desired.group.owners if desired.group is not None else None
    return (*desired.mailboxes, *desired.control, *(owners or ()))


def calls(desired: Desired, also: t.Sequence[tuple[str, str]] = (), *, apart: bool = False) -> Reads:
    """``also``: (property, value) of others who are looked for in the same read. ``apart``: the mailboxes and owners,
    for whom later steps look in the same words, by reads of their own."""
    reads: dict[str, Read] = {}
    purpose = "look for the mailboxes"
    wanted = _recipients.equal_addresses(people(desired))
    owners = desired.group.owners if desired.group is not None else None
    first = _recipients.equal_addresses([*desired.mailboxes, *(owners or ())]) if apart else []
    rest = [*(one for one in wanted if one not in first), *also]
    for number, cmdlet in enumerate([*_recipients.in_chunks(first, purpose), *_recipients.in_chunks(rest, purpose)]):
        reads[f"recipients {number}"] = Read(cmdlet, "the mailboxes")
    if not desired.ews and not desired.protocols:
        return reads
    what = "the mailboxes' protocols" if desired.protocols else "the mailboxes' EWS settings"
    own = _recipients.equal_addresses(desired.mailboxes) if apart and desired.protocols else []
    pages = [own, [one for one in wanted if one not in own]]
    cmdlets = [cmdlet for page in pages for cmdlet in _recipients.in_chunks(page, f"read {what}")]
    for number, cmdlet in enumerate(cmdlets):
        reads[f"settings {number}"] = Read(replace(cmdlet, name="Get-CASMailbox"), what)
    if desired.protocols:
        reads.update(_plans(desired))
    return reads


def _plans(desired: Desired, *, spare: int | None = 2) -> Reads:
    """What the licences of the declared mailboxes are to Exchange."""
    what = "the mailboxes' licences"
    cmdlets = _recipients.by_address(desired.mailboxes, f"read {what}")
    return {
        f"plans {number}": Read(replace(cmdlet, name="Get-Mailbox"), what, spare)
        for number, cmdlet in enumerate(cmdlets)
    }


def take(answers: Answers) -> Facts:
    pages = [answers.rows(name) for name in answers.reads if name.startswith("recipients")]
    own = [row for name in answers.reads if name.startswith("settings") for row in answers.rows(name) or []]
    rows = [entry for page in pages for entry in page or []]
    return Facts(
        None if any(page is None for page in pages) else tuple(map(Recipient.of, rows)),
        {Recipient.of(entry).guid: entry for entry in own},
        unlicensed=frozenset(Recipient.of(entry).guid for entry in rows if _ews.is_false(entry.get("SKUAssigned"))),
        plans=_plans_of(answers),
    )


def _plans_of(answers: Answers) -> dict[str, str]:
    """It only helps to know: what cannot be read stops nothing."""
    names = [name for name in answers.reads if name.startswith("plans") and answers.asked(name)]
    rows = [row for name in names if not answers.useless(name) for row in answers.rows(name) or []]
    return {Recipient.of(row).guid: str(row.get("MailboxPlan") or "") for row in rows}


# --- why an address is not found -----------------------------------------------------------------------------


def explain(facts: Facts, desired: Desired, ask: Ask) -> Facts:
    if facts.recipients is None:
        return facts
    everybody = dict.fromkeys([*desired.mailboxes, *desired.control])
    lost = [address for address in everybody if facts.known(address) is None][:EXPLAINED]
    if not lost:
        return facts
    # What cannot be read here leaves only the explanation shorter: that the address is not there is known.
    reads = _closer_look(lost)
    if not desired.by_policy_alone:
        reads = {**reads, "accepted": tenant.accepted_read()}
    answers = ask.further(reads)
    rows = {name: [] if answers.useless(name) else answers.rows(name) or [] for name in answers.answers}
    near = [Recipient.of(row) for name, page in rows.items() if name.startswith("near") for row in page]
    gone = [Recipient.of(row) for row in rows.get("deleted", [])]
    domains = rows.get("accepted")
    return replace(
        facts,
        accepted=tenant.accepted_of(domains) if domains else None,
        hints={
            address.lower(): Hint(
                closest=tuple(closest(address, near)),
                soft_deleted=_recipients.among(gone, address) is not None,
                account=next((_account_of(row) for row in rows.get("accounts", []) if _signs_in(row, address)), None),
            )
            for address in lost
        },
    )


def _closer_look(lost: t.Sequence[str]) -> Reads:
    purpose = "look for the closest addresses"
    patterns = [[f"smtp:{address[:2]}*"] for address in lost]
    patterns.append([f"*@{domain}" for domain in dict.fromkeys(address.rpartition("@")[2] for address in lost)])
    reads = {}
    for number, alike in enumerate(patterns):
        conditions = " -or ".join(f"EmailAddresses -like {_names.opath_literal(pattern)}" for pattern in alike)
        cmdlet = Cmdlet("Get-Recipient", {"Filter": conditions, "ResultSize": "Unlimited"}, purpose, PAGE)
        reads[f"near {number}"] = Read(cmdlet, "the closest addresses")
    equal = [("WindowsEmailAddress", address) for address in lost]
    equal += [("UserPrincipalName", address) for address in lost]
    accounts = _recipients.by_properties(equal, "look for accounts without a mailbox")
    reads["accounts"] = Read(replace(accounts, name="Get-User"), "accounts without a mailbox")
    deleted = _recipients.by_address(lost, "look for deleted mailboxes")[0]
    gone = replace(deleted, name="Get-Mailbox", parameters={**deleted.parameters, "SoftDeletedMailbox": True})
    reads["deleted"] = Read(gone, "deleted mailboxes")
    return reads


def _signs_in(user: Json, address: str) -> bool:
    return any(
        str(user.get(key) or "").lower() == address.lower() for key in ("WindowsEmailAddress", "UserPrincipalName")
    )


def _account_of(user: Json) -> Recipient:
    """Get-User has the primary address under a name of its own."""
    return Recipient.of({"PrimarySmtpAddress": user.get("WindowsEmailAddress"), **user})


def closest(address: str, known: t.Iterable[Recipient], count: int = 3) -> list[str]:
    """The addresses of mailboxes most like ``address``, best first. The part before the @ weighs most."""
    local, _at, domain = address.lower().partition("@")
    scored: dict[str, float] = {}
    for recipient in known:
        if recipient.type not in _recipients.MAILBOXES:
            continue
        for candidate in recipient.addresses:
            other, _at, other_domain = candidate.partition("@")
            likeness = difflib.SequenceMatcher(None, local, other).ratio()
            if likeness >= 0.5:
                spelt = recipient.address if recipient.address.lower() == candidate else candidate
                scored[spelt] = likeness + 0.3 * difflib.SequenceMatcher(None, domain, other_domain).ratio()
    return sorted(scored, key=lambda item: (-scored[item], item))[:count]


# --- judging -------------------------------------------------------------------------------------------------


def judge(facts: Facts, desired: Desired, accepted: t.Collection[str] | None) -> Judged:
    """``accepted``: the tenant's domains in Exchange."""
    accepted = accepted or facts.accepted
    shown: list[Json] = []
    findings: list[Finding] = []
    first: dict[str, str] = {}
    for address in desired.mailboxes:
        entry, recipient, about = judge_one(facts, address, "mailboxes", accepted, ews=desired.ews)
        if recipient is not None and not desired.by_policy_alone:
            about += licences.judge(recipient, address, facts.unlicensed, facts.plans, desired)
        if recipient is not None and recipient.guid in first:
            about.append(
                notes(
                    "mailboxes",
                    f"mailbox {address}",
                    f"it is the same mailbox as {first[recipient.guid]}",
                    "name each mailbox once",
                    mailbox=address,
                )
            )
        elif recipient is not None:
            first[recipient.guid] = address
        shown.append(entry)
        findings += about
    return Judged(shown, tuple(findings))


def judge_one(
    facts: Facts, address: str, step: str, accepted: t.Collection[str] | None, *, ews: bool
) -> tuple[Json, Recipient | None, list[Finding]]:
    """One address: what it is, and what speaks against it. ``step`` is mailboxes or control_mailboxes."""
    what = f"{'mailbox' if step == 'mailboxes' else 'control mailbox'} {address}"
    entry: Json = {
        "address": address,
        "primary": None,
        "display_name": None,
        "type": None,
        "type_in_words": None,
        "exists": None,
        "usable": None,
        "is_alias": None,
        "ews_enabled": None,
        "entra_id": None,
        "closest": [],
    }
    if facts.recipients is None:
        return entry, None, []
    recipient = facts.known(address)
    if recipient is None:
        hint = facts.hints.get(address.lower(), Hint())
        entry.update(exists=False, usable=False, closest=list(hint.closest))
        return entry, None, [_not_found(address, what, step, hint, accepted)]
    usable = recipient.type in _recipients.MAILBOXES
    alias = recipient.address.lower() != address.lower()
    gates = _gates(facts, recipient) if usable and ews else []
    entry.update(
        primary=recipient.address or None,
        display_name=recipient.display_name or None,
        type=recipient.type,
        type_in_words=_recipients.words(recipient.type),
        exists=True,
        usable=usable and not gates,
        is_alias=alias,
        ews_enabled=None if not ews or not usable else not gates,
        entra_id=recipient.entra_id or None,
    )
    findings = []
    if not usable:
        findings.append(
            stops(
                step,
                what,
                f"it is a {_recipients.words(recipient.type)}, and not a mailbox that the application could open",
                _recipients.advice(recipient.type),
                EXCHANGE_ADMIN,
                mailbox=address,
            )
        )
    elif alias:
        findings.append(
            notes(
                step,
                what,
                f"it is a further address of {recipient.address}, whose mailbox is meant",
                f"write {recipient.address}",
                mailbox=address,
            )
        )
    findings += [stops(step, what, found, cure, EXCHANGE_ADMIN, mailbox=address) for found, cure in gates]
    return entry, recipient, findings


def _gates(facts: Facts, recipient: Recipient) -> list[tuple[str, str]]:
    """(what the mailbox's own settings shut, how to open it), for each that keeps EWS closed."""
    settings = facts.settings.get(recipient.guid)
    return [] if settings is None else _ews.closed_by_mailbox(settings, recipient.address)


def _not_found(address: str, what: str, step: str, hint: Hint, accepted: t.Collection[str] | None) -> Finding:
    domain = address.rpartition("@")[2].lower()
    near = f"; closest: {', '.join(hint.closest)}" if hint.closest else ""
    if hint.account is not None:
        return _account(address, what, step, hint.account)
    if accepted is not None and domain not in accepted:
        alike = _names.nearest(domain, accepted, 1)
        return stops(
            step,
            what,
            f"{domain} is none of the tenant's domains ({few(accepted)}){near}",
            f"check the address{f'; did you mean the domain {alike[0]}?' if alike else ''}, or the tenant",
            mailbox=address,
        )
    if hint.soft_deleted:
        return stops(
            step,
            what,
            "it was deleted, and lies in the recycle bin of Exchange Online",
            "restore the user or the mailbox (within 30 days), or name another one",
            EXCHANGE_ADMIN,
            mailbox=address,
        )
    return stops(
        step,
        what,
        f"no recipient has this address{near}",
        "correct the address, or make the mailbox first; one that was made a moment ago may need some minutes",
        EXCHANGE_ADMIN,
        mailbox=address,
    )


def _account(address: str, what: str, step: str, user: Recipient) -> Finding:
    """The name that somebody signs in with: what to do depends on what Exchange says of that user."""
    about: Json = {"mailbox": address, "type": user.type, "address": user.address or None}
    if user.type in _recipients.MAILBOXES and user.address:
        return stops(
            step,
            what,
            f"it is not an address but the user principal name of the {_recipients.words(user.type)} {user.address}",
            f"write {user.address}",
            **about,
        )
    if user.type in ("User", "DisabledUser", ""):
        return stops(
            step,
            what,
            f"it is an {_recipients.words('User')}",
            _recipients.advice("User"),
            "a License Administrator",
            **about,
        )
    return stops(
        step,
        what,
        f"it is the user principal name of a {_recipients.words(user.type)}",
        _recipients.advice(user.type) or "name the mailbox by one of its addresses",
        EXCHANGE_ADMIN,
        **about,
    )
