# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Exchange Online's exception types and wordings, the same through every transport."""

from __future__ import annotations

import re

EXCHANGE_ABSENT = "ManagementObjectNotFoundException"
EXCHANGE_AMBIGUOUS = "ManagementObjectAmbiguousException"
EXCHANGE_TRANSIENT = frozenset(
    {
        "ServerBusyException",
        "TransientException",
        "BackendCommunicationException",
        "CmdletProxyNotAvailableFailure",
        "CmdletProxyException",
        "ADTransientException",
    }
)
EXCHANGE_BUSY_WORDING = "maximum number of concurrent requests per tenant"
EXCHANGE_NO_REASON = re.compile(r"\s*(<|$)|.*(does not indicate success: |\()(429|5\d\d)\b", re.DOTALL)
"""What is passed on where Exchange, or something before it, gave no error document: nothing, a page, or a status."""
EXCHANGE_EXISTS = frozenset({"ADObjectAlreadyExistsException", "ProxyAddressExistsException", "NameNotUniqueException"})
EXCHANGE_MEMBER_EXISTS = "MemberAlreadyExistsException"
EXCHANGE_MEMBER_ABSENT = "MemberNotFoundException"
EXCHANGE_ROLE_REFUSED = "isn't supported in this scenario"
EXCHANGE_POLICY_SPACE = "total size of App Access Policies exceeded"
EXCHANGE_ENTRIES_FULL = "reached the limit of maximum allowed access control entries"
EXCHANGE_SYNCED = "synchronized from your on-premises organization"
EXCHANGE_NO_POLICIES = re.compile(r"object '[^']*\\\*'")
"""Get-ApplicationAccessPolicy in a tenant without any policy: not found on an object that ends in ``\\*``."""
EXCHANGE_DEHYDRATED = "InvalidOperationInDehydratedContextException"
"""A scope or an assignment in a tenant that was never customized, and for a while after it was."""
EXCHANGE_NOT_DELEGATED = "You don't have access to create, change, or remove"
"""An assignment while a tenant becomes ready, and for good where nobody may hand the role on."""
EXCHANGE_CUT = "There are more results available than are currently displayed"
"""A warning beside a list that Exchange cut short."""
EXCHANGE_CUSTOMIZED = "already enabled for customization"
