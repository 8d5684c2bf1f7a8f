# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options shared by the modules. NETWORK alone is for modules that do not sign in as the operator."""

    DOCUMENTATION = r"""
options:
  tenant:
    description:
      - The Microsoft 365 tenant, as Directory (tenant) ID or as one of its domains.
      - If not set, the environment variable E(M365_TENANT) is used.
    type: str
  client_id:
    description:
      - Application (client) ID of the operator, the application as which this task signs in.
      - If not set, the environment variable E(M365_CLIENT_ID) is used.
    type: str
  client_secret:
    description:
      - The operator's client secret.
      - If not set, the environment variable E(M365_CLIENT_SECRET) is used.
    type: str
  certificate_path:
    description:
      - A PEM file with the operator's private key and certificate, or a PFX (PKCS#12) file.
      - If not set, the environment variable E(M365_CERTIFICATE_PATH) is used.
    type: path
  certificate_passphrase:
    description:
      - The passphrase of the private key in O(certificate_path).
      - If not set, the environment variable E(M365_CERTIFICATE_PASSPHRASE) is used.
    type: str
  federated_token_path:
    description:
      - A file with a token of another identity provider that the operator's application trusts,
        as workload identity and CI systems provide it.
      - If not set, the environment variable E(M365_FEDERATED_TOKEN_PATH) is used.
    type: path
  managed_identity:
    description:
      - Sign in as the managed identity of the Azure machine or service this runs on, V(system) for the one
        assigned by the system, or the client ID of one assigned by a user.
      - If not set, the environment variable E(M365_MANAGED_IDENTITY) is used.
    type: str
  access_token:
    description:
      - Tokens that were fetched elsewhere. They are used as they are and win over every other way to sign in.
    type: dict
    suboptions:
      graph:
        description: A token for Microsoft Graph.
        type: str
      exchange:
        description: A token for Exchange Online.
        type: str
  exchange_transport:
    description:
      - How Exchange cmdlets are carried. V(rest) calls the endpoint that Exchange's own PowerShell module calls.
    type: str
    choices: [rest]
    default: rest
notes:
  - Exactly one way to sign in is needed, O(client_secret), O(certificate_path), O(federated_token_path),
    O(managed_identity) or O(access_token).
extends_documentation_fragment:
  - mail2fax.m365.connection.network
"""

    NETWORK = r"""
options:
  cloud:
    description:
      - The Microsoft cloud the tenant lives in. GCC tenants are in V(global).
      - If not set, the environment variable E(M365_CLOUD) is used.
    type: str
    choices: [global, gcc_high, dod, china]
    default: global
  timeout:
    description:
      - Seconds to wait for the answer to one request.
      - If not set, the environment variable E(M365_TIMEOUT) is used.
    type: int
    default: 30
  patience:
    description:
      - Seconds that throttling, replication after a write and other passing refusals may take before they
        count as an answer.
      - If not set, the environment variable E(M365_PATIENCE) is used.
    type: int
    default: 180
  proxy:
    description:
      - The proxy for all requests, as a URL. It wins over E(HTTPS_PROXY), which is used when this is not set.
      - If not set, the environment variable E(M365_PROXY) is used.
    type: str
  ca_path:
    description:
      - A PEM file with the certificate authorities to trust, for a proxy that inspects TLS. It wins over
        E(REQUESTS_CA_BUNDLE), E(CURL_CA_BUNDLE) and E(SSL_CERT_FILE), which are used, in this order, when
        this is not set.
      - If not set, the environment variable E(M365_CA_PATH) is used.
    type: path
requirements:
  - msal >= 1.31
  - requests >= 2.32
"""
