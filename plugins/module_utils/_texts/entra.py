# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Entra's refusals of a sign-in."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._texts.meaning import Meaning

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


def aadsts_code(text: str) -> str | None:
    """The first AADSTS code in a text."""
    match = re.search(r"AADSTS\d+", text)
    return match.group() if match else None
