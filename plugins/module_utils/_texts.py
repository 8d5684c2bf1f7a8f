# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The services' own codes and wordings that the collection recognises, and what they mean to people.

Everything here may be corrected from a live capture without touching logic. Codes and exception types are
matched first; a wording only where the service gives nothing better.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """What a code means, what to do about it, and who can."""

    meaning: str
    cure: str
    who: str = ""


APPLICATION_ADMIN = "an owner of the app registration, or an Application Administrator"

SIGN_IN: t.Mapping[str, Meaning] = {
    "AADSTS7000215": Meaning(
        "the secret is not one of this application's secrets",
        "check that the stored text is the secret's value, not its id, unchanged by quoting; a secret made a moment "
        "ago needs some seconds",
        APPLICATION_ADMIN,
    ),
    "AADSTS7000222": Meaning("the client secret has expired", "make a new secret and store it", APPLICATION_ADMIN),
    "AADSTS7000218": Meaning("no credential was presented", "set client_secret or another way to sign in"),
    "AADSTS700016": Meaning(
        "this tenant does not know the application",
        "check client_id and tenant; an application made a moment ago needs some seconds",
    ),
    "AADSTS7000229": Meaning(
        "the application has no service principal in this tenant",
        "create the service principal (entra_application does), or consent to the application in this tenant",
        APPLICATION_ADMIN,
    ),
    "AADSTS7000112": Meaning(
        "the application is disabled in this tenant", "enable sign-in on the enterprise application", APPLICATION_ADMIN
    ),
    "AADSTS90002": Meaning("there is no such tenant in this cloud", "check tenant and cloud"),
    "AADSTS900023": Meaning("the tenant's name cannot be right", "check tenant"),
    "AADSTS500011": Meaning(
        "the tenant has no service principal for the service asked for",
        "check that the tenant has Exchange Online, and that cloud is right",
    ),
    "AADSTS70011": Meaning("the scope asked for is not valid", "check cloud"),
    "AADSTS1002012": Meaning("the scope asked for is not valid", "check cloud"),
    "AADSTS700027": Meaning(
        "the certificate is not registered on the application",
        "upload the certificate's public part",
        APPLICATION_ADMIN,
    ),
    "AADSTS700024": Meaning("the signed assertion is outside its time", "set this machine's clock right"),
    "AADSTS700211": Meaning(
        "no federated credential trusts this token's issuer", "compare issuer, subject and audience", APPLICATION_ADMIN
    ),
    "AADSTS700212": Meaning(
        "no federated credential trusts this token's audience",
        "compare issuer, subject and audience",
        APPLICATION_ADMIN,
    ),
    "AADSTS700213": Meaning(
        "no federated credential trusts this token's subject", "compare issuer, subject and audience", APPLICATION_ADMIN
    ),
    "AADSTS53003": Meaning(
        "Conditional Access for workload identities blocks this sign-in",
        "allow this address or this application in the Conditional Access policy",
        "a Conditional Access Administrator",
    ),
}

NEWBORN_CREDENTIAL = frozenset({"AADSTS7000215", "AADSTS700016", "AADSTS7000229"})
"""Refusals that a credential, an application or a service principal made a moment ago meets for some seconds."""

REFUSED_SECRET = frozenset({"AADSTS7000215", "AADSTS7000222"})
"""Refusals that are about the secret itself: another secret would mend them."""

# --- Microsoft Graph -----------------------------------------------------------------------------------------

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

# --- Exchange Online -----------------------------------------------------------------------------------------

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
EXCHANGE_EXISTS = frozenset({"ADObjectAlreadyExistsException", "ProxyAddressExistsException", "NameNotUniqueException"})
EXCHANGE_MEMBER_EXISTS = "MemberAlreadyExistsException"
EXCHANGE_MEMBER_ABSENT = "MemberNotFoundException"
EXCHANGE_ROLE_REFUSED = "isn't supported in this scenario"
EXCHANGE_POLICY_SPACE = "total size of App Access Policies exceeded"
EXCHANGE_SYNCED = "synchronized from your on-premises organization"
EXCHANGE_NO_POLICIES = re.compile(r"object '[^']*\\\*'")
"""Get-ApplicationAccessPolicy in a tenant without any policy: not found on an object that ends in ``\\*``."""

# --- EWS -----------------------------------------------------------------------------------------------------

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


def aadsts_code(text: str) -> str | None:
    """The first AADSTS code in a text."""
    match = re.search(r"AADSTS\d+", text)
    return match.group() if match else None


def says(text: str, wordings: t.Iterable[str]) -> bool:
    """Whether ``text`` holds one of the wordings, in any case."""
    folded = text.casefold()
    return any(wording.casefold() in folded for wording in wordings)
