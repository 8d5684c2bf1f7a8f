# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The control mailboxes, which prove that the application is shut out: given ones are checked, else one is picked."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _recipients
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import mailboxes
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.asking import Answers, Read, Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import Finding, Judged, notes, stops
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient

STEP = "control_mailboxes"
PICKED = "UserMailbox"
"""What is picked; others are only candidates for rights that nobody declared."""

_ADMINS = "who is an administrator"


@dataclass(frozen=True)
class Facts:
    """``admins``: ids and addresses in lower case. ``candidates``: a page of mailboxes, to pick one from, and on which
    rights are looked for."""

    admins: frozenset[str] = frozenset()
    candidates: tuple[Recipient, ...] = ()

    def is_admin(self, recipient: Recipient) -> bool:
        return bool(self.admins.intersection({recipient.guid, recipient.entra_id, *recipient.addresses} - {""}))


def calls(desired: Desired) -> Reads:
    reads: dict[str, Read] = {}
    first = desired.by_policy_alone
    if desired.picks or desired.control:
        reads["directory roles"] = Read(Call("GET", "/directoryRoles?$expand=members", f"read {_ADMINS}"), _ADMINS)
        reads["managers"] = Read(
            Cmdlet(
                "Get-RoleGroupMember",
                {"Identity": _recipients.ORGANIZATION_MANAGEMENT, "ResultSize": "Unlimited"},
                "read who manages Exchange",
            ),
            "who manages Exchange",
            None if first else 0,
        )
    if desired.picks or (desired.mailboxes and desired.looks_for_rights):
        kinds = sorted(_recipients.MAILBOXES) if desired.looks_for_rights else [PICKED]
        reads["candidates"] = Read(
            Cmdlet(
                "Get-Recipient",
                {"RecipientTypeDetails": kinds, "ResultSize": "Unlimited"},
                "pick a control mailbox",
                limit=mailboxes.PAGE + len(desired.mailboxes),
            ),
            "mailboxes to pick a control mailbox from",
            None if desired.picks else 1,
        )
    return reads


def take(answers: Answers) -> Facts:
    admins: set[str] = set()
    if answers.asked("directory roles"):
        # It only helps to pick well, and Exchange is asked as well.
        if answers.useless("directory roles"):
            answers.unreadable.append(_ADMINS)
        else:
            for role in answers.rows("directory roles") or []:
                admins |= {str(member.get("id") or "").lower() for member in role.get("members") or []}
    for one in map(Recipient.of, answers.rows("managers") or []):
        admins |= {one.guid, one.entra_id, *one.addresses}
    return Facts(frozenset(admins - {""}), tuple(map(Recipient.of, answers.rows("candidates") or [])))


def judge(
    facts: Facts,
    found: mailboxes.Facts,
    staying: t.Collection[str],
    inside: t.Collection[str],
    desired: Desired,
    accepted: t.Collection[str] | None,
) -> Judged:
    """``inside``: guids of the scope group's members; ``staying``: of those whom this run does not take out."""
    if found.recipients is None or not (desired.control or desired.picks):
        return Judged([])
    fax = found.guids(desired.mailboxes)
    if desired.picks:
        return _picked(facts, found, fax | set(inside), accepted)
    shown: list[Json] = []
    findings: list[Finding] = []
    for address in desired.control:
        entry, recipient, about = mailboxes.judge_one(found, address, STEP, accepted, ews=desired.ews)
        shown.append({**entry, "picked": False})
        findings += about
        if recipient is not None:
            findings += _unfit(facts, recipient, address, fax, staying)
    return Judged(shown, tuple(findings))


def _unfit(
    facts: Facts, recipient: Recipient, address: str, fax: t.Collection[str], staying: t.Collection[str]
) -> t.Iterator[Finding]:
    what = f"control mailbox {address}"
    if recipient.guid in fax:
        yield stops(
            STEP,
            what,
            "it is one of the fax mailboxes, which the application may open",
            "name a mailbox that the application must not open",
            mailbox=address,
        )
    elif recipient.guid in staying:
        yield stops(
            STEP,
            what,
            "it is a member of the scope group, so the application may open it",
            "name a mailbox outside the group, or take it out of the group",
            mailbox=address,
        )
    elif facts.is_admin(recipient):
        yield notes(
            STEP,
            what,
            "its owner is an administrator, whose mailbox may be refused for other reasons",
            "name a mailbox whose owner is not an administrator",
            mailbox=address,
        )


def _picked(
    facts: Facts, found: mailboxes.Facts, taken: t.Collection[str], accepted: t.Collection[str] | None
) -> Judged:
    fit = [item for item in facts.candidates if item.type == PICKED]
    free = [item for item in fit if item.guid not in taken and not facts.is_admin(item)]
    if not free:
        why = "there is no user mailbox beside the fax mailboxes, the group's members and the administrators"
        finding = notes(
            STEP,
            "the negative proof",
            why,
            "name a mailbox in control_mailboxes, or make one: without it nobody can show that the application is shut "
            "out anywhere",
        )
        return Judged([], (finding,), f"negative proof impossible: {why}")
    picked = min(free, key=lambda item: (item.address.casefold(), item.guid))
    alone = replace(found, recipients=(picked,), settings={})
    entry, _recipient, _about = mailboxes.judge_one(alone, picked.address, STEP, accepted, ews=False)
    return Judged([{**entry, "picked": True}])
