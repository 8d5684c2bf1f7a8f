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
      - If not set, the environment variable E(M365_CLIENT_SECRET) is used, or the content of the file that
        E(M365_CLIENT_SECRET_FILE) names.
    type: str
  certificate_path:
    description:
      - A PEM file with the operator's private key (RSA) and certificate, or a PFX (PKCS#12) file. Other certificates
        may stand in it; the one that belongs to the key is used.
      - If not set, the environment variable E(M365_CERTIFICATE_PATH) is used.
    type: path
  certificate_passphrase:
    description:
      - The passphrase of the private key in O(certificate_path). Not used with another way to sign in.
      - If not set, the environment variable E(M365_CERTIFICATE_PASSPHRASE) is used, or the content of the file that
        E(M365_CERTIFICATE_PASSPHRASE_FILE) names.
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
        V(winrm) lets that module itself do it, on the Windows management host O(winrm_host).
      - If not set, the environment variable E(M365_EXCHANGE_TRANSPORT) is used.
    type: str
    choices: [rest, winrm]
    default: rest
notes:
  - What a task and C(module_defaults) leave out of the connection is taken from the variables of its host, which bear
    the option's name with C(mail2fax_) in front, such as C(mail2fax_tenant), and then from the environment.
  - An environment variable counts as not set if it is blank, if it names a file with nothing in it, and if it is
    exactly C(False), as a box of a credential of AWX is that nobody has ticked. To switch something off write C(no).
  - Exactly one way to sign in is needed, O(client_secret), O(certificate_path), O(federated_token_path),
    O(managed_identity) or O(access_token).
"""

    WINDOWS_HOST = r"""
options:
  winrm_host:
    description:
      - The Windows management host, by the name that is in its listener's certificate.
      - If not set, the environment variable E(M365_WINRM_HOST) is used.
    type: str
  winrm_port:
    description:
      - Its port; 5986 with HTTPS and 5985 with HTTP by default.
      - If not set, the environment variable E(M365_WINRM_PORT) is used.
    type: int
  winrm_scheme:
    description:
      - V(http) is for O(winrm_auth=ntlm), O(winrm_auth=kerberos) and O(winrm_auth=credssp) alone, which encrypt every
        message.
      - If not set, the environment variable E(M365_WINRM_SCHEME) is used.
    type: str
    choices: [https, http]
    default: https
  winrm_auth:
    description:
      - How to sign in to the host. V(kerberos) uses a ticket that is there already, by C(kinit) or a keytab. It needs
        the extra C(pywinrm[kerberos]), and V(credssp) needs C(pywinrm[credssp]).
      - If not set, the environment variable E(M365_WINRM_AUTH) is used.
    type: str
    choices: [ntlm, kerberos, credssp, certificate, basic]
    default: ntlm
  winrm_user:
    description:
      - The user, as C(DOMAIN\\user), C(user@domain), or a local user's name; with O(winrm_auth=kerberos) the principal
        of the ticket.
      - If not set, the environment variable E(M365_WINRM_USER) is used.
    type: str
  winrm_password:
    description:
      - The user's password.
      - If not set, the environment variable E(M365_WINRM_PASSWORD) is used, or the content of the file that
        E(M365_WINRM_PASSWORD_FILE) names.
    type: str
  winrm_certificate_path:
    description:
      - A PEM file with the client certificate, for O(winrm_auth=certificate).
      - If not set, the environment variable E(M365_WINRM_CERTIFICATE_PATH) is used.
    type: path
  winrm_certificate_key_path:
    description:
      - A PEM file with the key of O(winrm_certificate_path).
      - If not set, the environment variable E(M365_WINRM_CERTIFICATE_KEY_PATH) is used.
    type: path
  winrm_ca_path:
    description:
      - A PEM file with the CA that issued the certificate of the host's listener. Without it, O(ca_path) holds.
      - If not set, the environment variable E(M365_WINRM_CA_PATH) is used.
    type: path
  winrm_validate_certs:
    description:
      - Whether the certificate of the host's listener is verified.
      - If not set, the environment variable E(M365_WINRM_VALIDATE_CERTS) is used.
    type: bool
    default: true
  winrm_proxy:
    description:
      - The proxy that leads to the host. E(HTTPS_PROXY) is not used for it, and E(NO_PROXY) holds.
      - If not set, the environment variable E(M365_WINRM_PROXY) is used, or the content of the file that
        E(M365_WINRM_PROXY_FILE) names.
    type: str
  winrm_operation_timeout:
    description:
      - Seconds after which the host tells that there is no output yet. It is asked again then.
      - If not set, the environment variable E(M365_WINRM_OPERATION_TIMEOUT) is used.
    type: int
    default: 20
  winrm_read_timeout:
    description:
      - Seconds to wait for an answer of the host. Has to be more than O(winrm_operation_timeout).
      - If not set, the environment variable E(M365_WINRM_READ_TIMEOUT) is used.
    type: int
    default: 30
  winrm_deadline:
    description:
      - Seconds that one list of cmdlets may take altogether. Exchange ends a cmdlet after 15 minutes.
      - If not set, the environment variable E(M365_WINRM_DEADLINE) is used.
    type: int
    default: 900
  winrm_powershell:
    description:
      - Which PowerShell of the host runs Exchange's module, V(powershell) for Windows PowerShell 5.1, with which every
        version of the module works, or V(pwsh) for PowerShell 7.
      - If not set, the environment variable E(M365_WINRM_POWERSHELL) is used.
    type: str
    choices: [powershell, pwsh]
    default: powershell
  winrm_connect:
    description:
      - How the host connects to Exchange Online. With V(access_token) it gets a token of the operator's, for this
        connection only, and needs no secret of its own. The others use what the host has.
      - If not set, the environment variable E(M365_WINRM_CONNECT) is used.
    type: str
    choices: [access_token, certificate_thumbprint, managed_identity]
    default: access_token
  winrm_certificate_thumbprint:
    description:
      - The thumbprint of a certificate of the host's, for O(winrm_connect=certificate_thumbprint).
      - If not set, the environment variable E(M365_WINRM_CERTIFICATE_THUMBPRINT) is used.
    type: str
  winrm_app_id:
    description:
      - Application (client) ID that this certificate belongs to; O(client_id) by default.
      - If not set, the environment variable E(M365_WINRM_APP_ID) is used.
    type: str
  winrm_managed_identity_id:
    description:
      - Client ID of a managed identity that was assigned by a user, for O(winrm_connect=managed_identity).
      - If not set, the environment variable E(M365_WINRM_MANAGED_IDENTITY_ID) is used.
    type: str
  winrm_organization:
    description:
      - The tenant's C(.onmicrosoft.com) domain; O(tenant) by default, when that is a domain.
      - If not set, the environment variable E(M365_WINRM_ORGANIZATION) is used.
    type: str
requirements:
  - pywinrm >= 0.5, with O(exchange_transport=winrm)
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
      - Seconds to wait for the answer to one request to begin, and between its parts. The whole answer has to be there
        after twice as long, a minute at least.
      - If not set, the environment variable E(M365_TIMEOUT) is used.
    type: int
    default: 30
  patience:
    description:
      - Seconds that a task spends at most with waiting and trying again, in all, for throttling, for connections that
        break, and for an own write to show up. Requests that are answered do not count.
      - What is waited for longer than 15 seconds is said while it lasts, and stands under C(waited) in the result.
      - A run that has reached nothing yet because there is no connection gives up after 15 seconds, or sooner where
        this is less.
      - If not set, the environment variable E(M365_PATIENCE) is used.
    type: int
    default: 180
  proxy:
    description:
      - The proxy for all requests, such as V(http://proxy.example:8080); user and password may stand in front of the
        name. It wins over E(HTTPS_PROXY) and E(ALL_PROXY), which are used when this is not set.
      - E(NO_PROXY) holds for both. It takes names, domains, addresses, networks such as V(10.0.0.0/8), and V(*).
      - What is reached from this machine alone, such as the endpoint of a managed identity, is never asked by a proxy.
      - If not set, the environment variable E(M365_PROXY) is used, or the content of the file that E(M365_PROXY_FILE)
        names.
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
