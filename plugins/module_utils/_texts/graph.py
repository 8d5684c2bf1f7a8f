# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Microsoft Graph's codes and wordings."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._texts.entra import APPLICATION_ADMIN
from ansible_collections.mail2fax.m365.plugins.module_utils._texts.meaning import Meaning

GRAPH_ABSENT = frozenset({"Request_ResourceNotFound", "ResourceNotFound", "Directory_ObjectNotFound"})
GRAPH_CONCURRENT = "Directory_ConcurrencyViolation"
GRAPH_NO_PERMISSION = frozenset(
    {"Authorization_RequestDenied", "AccessDenied", "accessDenied", "ErrorAccessDenied", "Forbidden", "forbidden"}
)
GRAPH_REFUSED: t.Mapping[str, Meaning] = {
    "Quota": Meaning(
        "a quota of directory objects is used up, the tenant's or the operator's own",
        "delete objects that are not needed, and purge deleted ones, which count for 30 days; what an application made "
        "itself counts for it (250 objects, unless it has a directory role): give it one, or ask Microsoft for more",
        "a Global Administrator",
    ),
    "NonPremium": Meaning(
        "the tenant lacks the licence for this (Microsoft Entra ID P1 or P2)", "buy the licence, or do without", ""
    ),
    "License": Meaning("the tenant lacks a licence for this", "buy the licence, or do without", ""),
    "Policy": Meaning(
        "a policy of the tenant forbids it", "exempt the application from the policy", "a Global Administrator"
    ),
    "Authorization_IdentityNotFound": Meaning(
        "Graph does not know the operator's service principal in this tenant (yet)",
        "run again in some minutes; check that the operator's application is still there",
    ),
    "Authorization_IdentityDisabled": Meaning(
        "the operator's service principal is disabled",
        "enable sign-in on the operator's enterprise application",
        APPLICATION_ADMIN,
    ),
    "Directory_ExpiredOrDisabled": Meaning(
        "the tenant has expired or is disabled", "renew the tenant's subscription", "a Global Administrator"
    ),
}
"""A 403 that no permission mends, by its code or by a word in it."""
GRAPH_NOT_REPLICATED = (
    "does not reference a valid application object",
    "one of its queried reference-property objects are not present",
    "Not a valid reference update",
    "backing application of the service principal being created must in the local tenant",
)
GRAPH_GRANT_EXISTS = ("Permission being assigned already exists", "EntitlementGrant entry already exists")
GRAPH_DELEGATED_GRANT_EXISTS = ("Permission entry already exists",)
GRAPH_NAME_TAKEN = ("same value for property uniqueName already exists",)
GRAPH_SERVICE_PRINCIPAL_EXISTS = ("is already in use",)
GRAPH_NO_SUCH_PASSWORD = ("No password credential found with keyId",)
GRAPH_SECRETS_FORBIDDEN = "CredentialTypeNotAllowedAsPerAppPolicy"
GRAPH_LIFETIME_TOO_LONG = "CredentialInvalidLifetimeAsPerAppPolicy"

GRAPH_MAIL_BY_POLICY = ("[RAOP]", "Access to OData is disabled")
"""An application access policy keeps the mailbox shut."""
GRAPH_MAIL_REFUSED = frozenset({"ErrorAccessDenied", "ExtensionError", "AccessDenied"})
"""No permission, out of the role's scope, or not in force yet: one text for all. ExtensionError is the role's cache;
the third is [M]."""
GRAPH_MAIL_SEND_AS = frozenset({"ErrorSendAsDenied"})
GRAPH_MAIL_ABSENT = frozenset(
    {"ErrorInvalidUser", "MailboxNotEnabledForRESTAPI", "MailboxNotSupportedForRESTAPI", "Request_ResourceNotFound"}
)
"""No mailbox: no such user, no licence, on-premises, inactive; the older form comes with 401."""
