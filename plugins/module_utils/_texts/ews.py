# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Answers of Exchange Web Services."""

from __future__ import annotations

EWS_POLICY_HEADER = "x-ews-policy-reason"
EWS_NO_ROLE = ("contains not enough scope", "not enough scope to make this call")
EWS_NO_MAILBOX = frozenset({"ErrorNonExistentMailbox", "ErrorMissingInformationEmailAddress"})
EWS_ACCESS_DENIED = frozenset({"ErrorAccessDenied"})
EWS_IMPERSONATION_DENIED = frozenset({"ErrorImpersonateUserDenied", "ErrorImpersonationDenied"})
EWS_NOT_PRIMARY = "ErrorNonPrimarySmtpAddress"
EWS_METHOD_UNAVAILABLE = ("web method is unavailable",)
"""An ErrorAccessDenied that speaks of the method and not of the mailbox."""
EWS_TRANSIENT = frozenset(
    {
        "ErrorServerBusy",
        "ErrorTooManyObjectsOpened",
        "ErrorMailboxStoreUnavailable",
        "ErrorMailboxMoveInProgress",
        "ErrorInternalServerTransientError",
        "ErrorTimeoutExpired",
        "ErrorConnectionFailed",
    }
)
