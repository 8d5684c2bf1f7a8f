# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Microsoft Graph's codes and wordings."""

from __future__ import annotations

GRAPH_ABSENT = frozenset({"Request_ResourceNotFound", "ResourceNotFound", "Directory_ObjectNotFound"})
GRAPH_CONCURRENT = "Directory_ConcurrencyViolation"
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
