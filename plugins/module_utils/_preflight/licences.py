# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The licences of the declared mailboxes, by the protocol that needs one."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import Finding, stops
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient

STEP = "mailboxes"
LICENSE_ADMIN = "a License Administrator"
_WITHOUT: t.Mapping[str, frozenset[str]] = {"exchangeonlinedeskless": frozenset({"imap", "ews"})}
"""How a MailboxPlan begins, in lower case -> the protocols that its licences (Kiosk, F1, F3) do not have."""
_TITLES: t.Mapping[str, str] = {"imap": "IMAP", "ews": "Exchange Web Services"}


def without(plan: str) -> frozenset[str]:
    """The protocols that a mailbox of this MailboxPlan does not have."""
    return next((lacking for begin, lacking in _WITHOUT.items() if plan.casefold().startswith(begin)), frozenset())


def judge(
    recipient: Recipient, address: str, unlicensed: t.Collection[str], plans: t.Mapping[str, str], desired: Desired
) -> list[Finding]:
    """A user's mailbox needs a licence, of a kind that has the protocol; a shared or a room mailbox needs none."""
    what = f"mailbox {address}"
    if recipient.type == "UserMailbox" and recipient.guid in unlicensed:
        return [
            stops(
                STEP,
                what,
                "its account has no licence with a mailbox, so Exchange keeps it for 30 days at most and may refuse to "
                "open it",
                "assign a licence with Exchange Online, or make it a shared mailbox, which needs none",
                LICENSE_ADMIN,
                mailbox=address,
            )
        ]
    plan = plans.get(recipient.guid, "")
    used = {one.protocol for one in desired.accesses or ()} | ({"ews"} if desired.ews else set())
    lacking = sorted(without(plan) & used)
    if not lacking:
        return []
    return [
        stops(
            STEP,
            what,
            f"its licence (mailbox plan {plan}, as Kiosk, F1 and F3 have it) has no "
            f"{' and no '.join(_TITLES[one] for one in lacking)}",
            "assign a licence with Exchange Online Plan 1 or 2, or make it a shared mailbox",
            LICENSE_ADMIN,
            mailbox=address,
            plan=plan,
        )
    ]
