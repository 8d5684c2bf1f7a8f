# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What nothing limits (tenant_wide): whether somebody accepted it in words, which are told again."""

from __future__ import annotations

from ansible_collections.mail2fax.m365.plugins.module_utils import _accesses
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.desired import Desired
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.finding import Finding, few, notes, stops
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import tenant_wide

STEP = "admin_consent"
OPTION = "accept_tenant_wide"


def judge(desired: Desired) -> list[Finding]:
    wide = desired.under(_accesses.WIDE)
    if not wide:
        return []
    names = few(dict.fromkeys(name for one in wide for name in one.permissions))
    what = f"the whole tenant by {names}"
    if not desired.accepts_tenant_wide:
        return [
            stops(
                STEP,
                what,
                "nothing will limit the application, so that it may open every mailbox, and nobody accepted that",
                f"choose another scoping model, or say in {OPTION} (mail2fax_accept_tenant_wide) who accepts it and "
                f"why, in {tenant_wide.FEWEST_CHARACTERS} characters or more",
                "a person who answers for the mailboxes of the whole organization",
                accesses=[one.id for one in wide],
            )
        ]
    findings = [
        notes(
            STEP,
            what,
            f"nothing limits the application: it may open every mailbox. Accepted: {desired.accepts_tenant_wide}",
            accesses=[one.id for one in wide],
        )
    ]
    if desired.control:
        findings.append(
            notes(
                "control_mailboxes",
                "control mailboxes",
                "the application may open every mailbox, so that none refuses it, and they are not tried",
                "leave control_mailboxes out",
            )
        )
    return findings
