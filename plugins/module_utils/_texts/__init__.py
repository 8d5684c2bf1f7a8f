# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The services' own codes and wordings that the collection recognises, and what they mean to people.

One file for each service. Everything there may be corrected from a live capture without touching logic. Codes and
exception types are matched first; a wording only where the service gives nothing better.
"""

from __future__ import annotations

from ansible_collections.mail2fax.m365.plugins.module_utils._texts.entra import (
    APPLICATION_ADMIN,
    NEWBORN_CREDENTIAL,
    REFUSED_SECRET,
    SIGN_IN,
    aadsts_code,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._texts.ews import (
    EWS_ACCESS_DENIED,
    EWS_IMPERSONATION_DENIED,
    EWS_METHOD_UNAVAILABLE,
    EWS_NO_MAILBOX,
    EWS_NO_ROLE,
    EWS_NOT_PRIMARY,
    EWS_POLICY_HEADER,
    EWS_TRANSIENT,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._texts.exchange import (
    EXCHANGE_ABSENT,
    EXCHANGE_AMBIGUOUS,
    EXCHANGE_BUSY_WORDING,
    EXCHANGE_CUSTOMIZED,
    EXCHANGE_CUT,
    EXCHANGE_DEHYDRATED,
    EXCHANGE_ENTRIES_FULL,
    EXCHANGE_EXISTS,
    EXCHANGE_MEMBER_ABSENT,
    EXCHANGE_MEMBER_EXISTS,
    EXCHANGE_NO_POLICIES,
    EXCHANGE_NO_REASON,
    EXCHANGE_NOT_DELEGATED,
    EXCHANGE_POLICY_SPACE,
    EXCHANGE_ROLE_REFUSED,
    EXCHANGE_SYNCED,
    EXCHANGE_TRANSIENT,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._texts.graph import (
    GRAPH_ABSENT,
    GRAPH_CONCURRENT,
    GRAPH_DELEGATED_GRANT_EXISTS,
    GRAPH_GRANT_EXISTS,
    GRAPH_LIFETIME_TOO_LONG,
    GRAPH_MAIL_ABSENT,
    GRAPH_MAIL_BY_POLICY,
    GRAPH_MAIL_REFUSED,
    GRAPH_MAIL_SEND_AS,
    GRAPH_NAME_TAKEN,
    GRAPH_NO_PERMISSION,
    GRAPH_NO_SUCH_PASSWORD,
    GRAPH_NOT_REPLICATED,
    GRAPH_REFUSED,
    GRAPH_SECRETS_FORBIDDEN,
    GRAPH_SERVICE_PRINCIPAL_EXISTS,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._texts.host import (
    HOST,
    HOST_CONNECTION,
    HOST_FAULTS,
    HOST_UNAUTHORIZED,
    HOST_WORDINGS,
    host_problem,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._texts.imap import (
    IMAP_MALFORMED,
    IMAP_NOT_CONNECTED,
    MAIL_BACK_OFF,
    MAIL_THROTTLED,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._texts.meaning import (
    Meaning,
    says,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._texts.pop import (
    POP_MALFORMED,
    POP_TEMPORARY,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._texts.smtp import (
    SMTP_LATER,
    SMTP_LIMITS,
    SMTP_NO_RIGHT,
    SMTP_NO_RIGHT_WORDING,
    SMTP_OFF_MAILBOX,
    SMTP_OFF_TENANT,
    SMTP_REFUSED,
    SMTP_SIGNED_IN,
)

__all__ = [
    "APPLICATION_ADMIN",
    "EWS_ACCESS_DENIED",
    "EWS_IMPERSONATION_DENIED",
    "EWS_METHOD_UNAVAILABLE",
    "EWS_NOT_PRIMARY",
    "EWS_NO_MAILBOX",
    "EWS_NO_ROLE",
    "EWS_POLICY_HEADER",
    "EWS_TRANSIENT",
    "EXCHANGE_ABSENT",
    "EXCHANGE_AMBIGUOUS",
    "EXCHANGE_BUSY_WORDING",
    "EXCHANGE_CUSTOMIZED",
    "EXCHANGE_CUT",
    "EXCHANGE_DEHYDRATED",
    "EXCHANGE_ENTRIES_FULL",
    "EXCHANGE_EXISTS",
    "EXCHANGE_MEMBER_ABSENT",
    "EXCHANGE_MEMBER_EXISTS",
    "EXCHANGE_NOT_DELEGATED",
    "EXCHANGE_NO_POLICIES",
    "EXCHANGE_NO_REASON",
    "EXCHANGE_POLICY_SPACE",
    "EXCHANGE_ROLE_REFUSED",
    "EXCHANGE_SYNCED",
    "EXCHANGE_TRANSIENT",
    "GRAPH_ABSENT",
    "GRAPH_CONCURRENT",
    "GRAPH_DELEGATED_GRANT_EXISTS",
    "GRAPH_GRANT_EXISTS",
    "GRAPH_LIFETIME_TOO_LONG",
    "GRAPH_MAIL_ABSENT",
    "GRAPH_MAIL_BY_POLICY",
    "GRAPH_MAIL_REFUSED",
    "GRAPH_MAIL_SEND_AS",
    "GRAPH_NAME_TAKEN",
    "GRAPH_NOT_REPLICATED",
    "GRAPH_NO_PERMISSION",
    "GRAPH_NO_SUCH_PASSWORD",
    "GRAPH_REFUSED",
    "GRAPH_SECRETS_FORBIDDEN",
    "GRAPH_SERVICE_PRINCIPAL_EXISTS",
    "HOST",
    "HOST_CONNECTION",
    "HOST_FAULTS",
    "HOST_UNAUTHORIZED",
    "HOST_WORDINGS",
    "IMAP_MALFORMED",
    "IMAP_NOT_CONNECTED",
    "MAIL_BACK_OFF",
    "MAIL_THROTTLED",
    "NEWBORN_CREDENTIAL",
    "POP_MALFORMED",
    "POP_TEMPORARY",
    "REFUSED_SECRET",
    "SIGN_IN",
    "SMTP_LATER",
    "SMTP_LIMITS",
    "SMTP_NO_RIGHT",
    "SMTP_NO_RIGHT_WORDING",
    "SMTP_OFF_MAILBOX",
    "SMTP_OFF_TENANT",
    "SMTP_REFUSED",
    "SMTP_SIGNED_IN",
    "Meaning",
    "aadsts_code",
    "host_problem",
    "says",
]
