# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Why a mailbox that has to open may be refused, the likeliest first: most services give one answer for all of it."""

from __future__ import annotations

from ansible_collections.mail2fax.m365.plugins.module_utils._accesses import POLICY, RIGHT, ROLE
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import proof
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.limiter import EXCHANGE_ADMIN

MAIL = ("imap", "pop", "smtp")
_POINTER = (
    "Exchange's service principal of the application is missing, or was made with another object id than that of the "
    "enterprise application (exchange_service_principal, on_wrong_pointer: replace)"
)
_ADDRESS = "the address is not the mailbox's primary one, or there is no mailbox behind it"
_MEMBER = (
    "the mailbox is not a direct member of the group that the scope names, or the scope's filter is stale "
    "(exchange_security_group, exchange_application_role)"
)
_ASSIGNMENT = "the role is not assigned (exchange_application_role)"


def causes(protocol: str, scoping: str | None, verdict: str) -> list[str]:
    """What may be behind a refusal of a mailbox that has to open, in words, the likeliest first."""
    switch = (
        f"{protocol.upper()} is switched off for the mailbox (exchange_mailbox_protocols)"
        if protocol in ("imap", "pop")
        else ""
    )
    if verdict == proof.NO_PERMISSION:
        right = (
            "the application's right on the mailbox is missing, or hangs on a former service principal of it "
            "(exchange_mailbox_permission)"
        )
        found = [right, switch, _ADDRESS]
    elif verdict == proof.OUT_OF_SCOPE:
        found = [_MEMBER]
    elif scoping == ROLE:
        found = [_MEMBER, _ASSIGNMENT, _POINTER, _ADDRESS if protocol in MAIL else ""]
    elif protocol in MAIL:
        right = "the right on the mailbox is missing (exchange_mailbox_permission)" if protocol == "pop" else ""
        found = [switch, right, _POINTER, _ADDRESS]
    else:
        found = [
            "the mailbox is not in the group of the application access policy, or another policy denies it "
            "(exchange_application_access_policy, exchange_security_group)"
        ]
    return [cause for cause in found if cause]


def look_at(scopings: set[str | None]) -> str:
    """What limits the application, to be looked at by hand."""
    where = {
        ROLE: "the roles of the application, their scopes and the members of the scope's group "
        "(exchange_application_role, exchange_security_group)",
        RIGHT: "the rights of the application on mailboxes (exchange_mailbox_permission)",
    }
    policy = (
        "the application access policy and at the members of its group (exchange_application_access_policy, "
        "exchange_security_group)"
    )
    told = [where[name] for name in (ROLE, RIGHT) if name in scopings]
    if not told or POLICY in scopings or None in scopings:
        told.insert(0, policy)
    return f"look at {'; and at '.join(told)}"


WHO = EXCHANGE_ADMIN
