# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The application's rights on mailboxes, by the rules of the step that gives them.

FullAccess shows mailbox by mailbox only, so the preflight looks at as many as travel without a request of their own;
the step looks at all.
"""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _accesses, _recipients
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.rest import BATCH_LIMIT
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight import control, held, mailboxes
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import (
    EXCHANGE_ADMIN,
    LISTED,
    Finding,
    Judged,
    few,
    notes,
    refused,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import (
    mailbox_permission_plan,
    mailbox_permission_read,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.mailbox_permission import Entry, send_as_of

STEP = "mailbox_permission"
_WHAT = "the application's rights on mailboxes"
LOOKED_AT = 2 * BATCH_LIMIT - 3
"""On how many mailboxes the step finds rights with two requests: it reads the pointer, SendAs and the mailboxes too."""


def further(facts: control.Facts, desired: Desired, picked: int) -> list[str]:
    """Addresses of mailboxes on which rights that nobody declared are worth looking for. ``picked``: control mailboxes
    that were picked."""
    if not desired.looks_for_rights:
        return []
    named = {address.lower() for address in (*desired.mailboxes, *desired.control)}
    free = [one.address for one in facts.candidates if one.address and not named & one.addresses]
    return free[: max(0, LOOKED_AT - len(named) - picked)]


def judge(
    facts: held.Facts,
    page: control.Facts,
    desired: Desired,
    found: mailboxes.Facts,
    app_id: str,
    now: dt.datetime,
    *,
    replaced: bool = False,
) -> Judged:
    """``replaced``: the pointer is made anew, so that what hangs on it counts no more."""
    pointer = facts.pointer(app_id)
    if _accesses.RIGHT not in desired.models or found.recipients is None or pointer is None:
        return Judged()
    known = tuple(_recipients.ordered([*found.recipients, *page.candidates]))
    entries, _again = mailbox_permission_read.by_mailbox(known, facts.full_access)
    send_as, lost = _send_as(facts, known, pointer)
    state = mailbox_permission_plan.State(pointer, known, entries, send_as, tuple(lost), scanned=len(entries))
    usable = [
        address
        for address in desired.mailboxes
        if (one := found.known(address)) is not None and one.type in _recipients.MAILBOXES
    ]
    step = mailbox_permission_plan.Desired(
        app_id=app_id,
        mailboxes=tuple(usable),
        send_as=any(one.protocol == "smtp" for one in desired.under(_accesses.RIGHT)),
        exclusive=desired.exclusive_rights,
        candidates=desired.control,
        check_mode=True,
    )
    plan = mailbox_permission_plan.plan(state, step, now)
    shown: Json = {
        "sid": pointer.sid.upper(),
        "looked_at": sorted(address for address in facts.full_access),
        "elsewhere": plan.result["elsewhere"][:LISTED],
        "orphans": plan.result["orphans"][:LISTED],
    }
    if replaced:
        return Judged(shown)
    findings = [refused(STEP, _WHAT, plan.blocked, EXCHANGE_ADMIN)] if plan.blocked is not None else []
    return Judged(shown, (*findings, *_elsewhere(plan.result["elsewhere"], lost, desired)))


def _send_as(
    facts: held.Facts, known: t.Sequence[Recipient], pointer: t.Any
) -> tuple[dict[str, tuple[Entry, ...]], list[str]]:
    """By a mailbox's Guid; and the Names of those that nobody here has."""
    by_guid: dict[str, tuple[Entry, ...]] = {}
    lost: list[str] = []
    for name, entry in send_as_of(facts.send_as.listed() if facts.send_as is not None else []):
        if not entry.is_of(pointer):
            continue
        one = mailbox_permission_read.called(known, name)
        if one is None:
            lost.append(name)
        else:
            by_guid[one.guid] = (*by_guid.get(one.guid, ()), entry)
    return by_guid, list(dict.fromkeys(lost))


def _elsewhere(others: t.Sequence[Json], lost: t.Sequence[str], desired: Desired) -> t.Iterator[Finding]:
    names = [f"{one['mailbox']} ({', '.join(one['rights'])})" for one in others]
    names += [f"{name} (SendAs)" for name in lost]
    if not names:
        return
    yield notes(
        STEP,
        _WHAT,
        f"it has rights on mailboxes that nobody declared: {few(names)}",
        "they will be taken off"
        if desired.exclusive_rights
        else "declare them, or let the run take them off "
        "(mailbox_permission.exclusive): otherwise they stay, and the application may open those mailboxes",
        EXCHANGE_ADMIN,
        mailboxes=[one["mailbox"] for one in others][:LISTED],
    )
