# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What can be wrong with a Windows management host (exchange_transport: winrm), and how hosts say it."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._texts.meaning import Meaning

_PREPARE = "see the guide to the Windows management host in the documentation of the collection"

HOST: t.Mapping[str, Meaning] = {
    # letting us in
    "unauthorized": Meaning(
        "the host refuses this user or password",
        "check winrm_user (DOMAIN\\user or user@domain), winrm_password and winrm_auth; the account must not be locked",
    ),
    "access_denied": Meaning(
        "the user may not use Windows Remote Management",
        "put the user into the host's local group Remote Management Users",
    ),
    "client_certificate": Meaning(
        "the host does not accept the client certificate",
        "map it to a local user (New-Item WSMan:\\localhost\\ClientCertificate) and let the host trust its issuer",
    ),
    "certificate_untrusted": Meaning(
        "the certificate of the host's listener is not trusted here",
        "name the CA that issued it in winrm_ca_path, or give the listener a certificate of a CA that is trusted here",
    ),
    "certificate_ended": Meaning(
        "the certificate of the host's listener, or of its CA, has run out", "renew it, and check this machine's clock"
    ),
    "certificate_early": Meaning(
        "the certificate of the host's listener is not valid yet", "set this machine's clock right, and the CA's"
    ),
    "certificate_name": Meaning(
        "the certificate of the host's listener is for another name",
        "set winrm_host to a name that the certificate has, or give the listener a certificate with that name",
    ),
    "tls": Meaning(
        "no TLS connection came about",
        "check winrm_port and winrm_scheme, that the listener has a certificate, and that TLS 1.2 is on at the host",
    ),
    "no_wsman": Meaning(
        "what answers is not Windows Remote Management",
        "check winrm_port and winrm_proxy; on the host: winrm quickconfig",
    ),
    "no_ntlm": Meaning(
        "the host does not offer NTLM", "set winrm_auth to kerberos, or allow Negotiate on the listener"
    ),
    "no_encryption": Meaning(
        "messages cannot be encrypted this way, and unencrypted ones are not sent",
        "use winrm_scheme https, or winrm_auth ntlm or kerberos",
    ),
    "negotiation": Meaning(
        "signing in to the host failed before it could answer",
        "for kerberos: get a ticket first (kinit), use the host's full name, and check the clocks; for others: check "
        "how the password is spelled",
    ),
    "protocol": Meaning("pywinrm refuses these settings", "check the options that begin with winrm_"),
    "fault": Meaning("WinRM refused the request", _PREPARE),
    # its limits
    "shells": Meaning(
        "too many shells of this user are open",
        "wait until they have ended, or raise WSMan:\\localhost\\Shell\\MaxShellsPerUser",
    ),
    "operations": Meaning(
        "too many requests of this user are under way",
        "lower forks, or raise WSMan:\\localhost\\Service\\MaxConcurrentOperationsPerUser",
    ),
    "memory": Meaning(
        "the shell's memory is not enough for Exchange's module",
        "raise WSMan:\\localhost\\Shell\\MaxMemoryPerShellMB to 1024 or more and restart the service WinRM",
    ),
    # PowerShell
    "no_powershell": Meaning(
        "PowerShell is not found", "install it, or set winrm_powershell to the one that is there (powershell or pwsh)"
    ),
    "powershell_old": Meaning(
        "PowerShell is too old for Exchange's module",
        "use Windows PowerShell 5.1, with which every version of the module works (winrm_powershell: powershell)",
    ),
    "framework_old": Meaning(".NET Framework is older than 4.7.2", "install .NET Framework 4.8"),
    "language_mode": Meaning(
        "PowerShell runs in constrained language mode for this user",
        "exempt the user from the AppLocker or App Control policy for scripts, or choose a host without one",
    ),
    "execution_policy": Meaning(
        "the execution policy does not let Exchange's module load",
        "set the execution policy (by group policy, where one is set) to RemoteSigned",
    ),
    "script_changed": Meaning(
        "the script arrived changed, so standard input is not passed on byte by byte",
        "look for a WinRM shell plug-in or a command processor AutoRun entry; run windows_host_info and report it",
    ),
    "temporary_folder": Meaning(
        "the user's temporary folder has a dollar sign in its path, with which Exchange's module cannot connect",
        "use a user whose profile folder has none (not a machine account, not a group managed service account)",
    ),
    # Exchange's module
    "module_missing": Meaning(
        "the module ExchangeOnlineManagement is not installed for this user",
        "Install-Module ExchangeOnlineManagement -Scope AllUsers",
    ),
    "module_old": Meaning(
        "the module ExchangeOnlineManagement is too old",
        "Install-Module ExchangeOnlineManagement -Scope AllUsers -Force (3.1.0 or later)",
    ),
    "module_packages": Meaning(
        "Exchange's module misses PowerShellGet or PackageManagement",
        "Install-Module PowerShellGet -Scope AllUsers -Force, in the PowerShell that is used",
    ),
    "module_preferences": Meaning(
        "a preference variable of the host's PowerShell breaks Exchange's module",
        "remove VerbosePreference, DebugPreference and PSDefaultParameterValues from what the host sets for everybody",
    ),
    # connecting
    "tls12": Meaning(
        "the host makes no TLS 1.2 connection to Exchange Online",
        "switch TLS 1.2 on for clients (SChannel and .NET Framework SchUseStrongCrypto), and check its cipher suites",
    ),
    "no_route": Meaning(
        "the host does not reach Exchange Online",
        "let the host reach outlook.office365.com and login.microsoftonline.com on port 443; where there is a proxy: "
        "netsh winhttp set proxy, for the user's own .NET settings as well",
    ),
    "certificate_missing": Meaning(
        "the host has no such certificate",
        "import it with its private key into LocalMachine\\My, and compare winrm_certificate_thumbprint",
    ),
    "certificate_unreadable": Meaning(
        "the certificate's private key cannot be read in a network logon",
        "import it into LocalMachine\\My as a CSP (not CNG) key and give the user read access to the key; or use "
        "winrm_connect access_token, which needs no key on the host",
    ),
    "no_identity": Meaning(
        "the host has no managed identity", "assign one to the Azure machine, or set winrm_connect to access_token"
    ),
    "other_tenant": Meaning(
        "the host is connected to another tenant",
        "compare winrm_organization with tenant, and look at whose certificate or identity the host uses",
    ),
    "connect": Meaning("Exchange's module cannot connect", _PREPARE),
}
"""What can be wrong with a host."""

HOST_FAULTS: t.Mapping[int, str] = {
    5: "access_denied",
    2150859173: "shells",
    2150859174: "operations",
}
"""WS-Man's fault codes."""

HOST_WORDINGS: t.Sequence[tuple[str, str]] = (
    ("mail2fax.m365: the script arrived changed", "script_changed"),
    ("only on core types in this language mode", "language_mode"),
    ("only core types in this language mode", "language_mode"),
    ("ConstrainedLanguage", "language_mode"),
    ("concurrent shells", "shells"),
    ("concurrent operations", "operations"),
    ("is not recognized as an internal or external command", "no_powershell"),
    ("cannot find the file specified", "no_powershell"),
    ("OutOfMemoryException", "memory"),
    ("Insufficient memory", "memory"),
    ("not enough memory", "memory"),
    ("running scripts is disabled", "execution_policy"),
    ("is not digitally signed", "execution_policy"),
    ("PSSecurityException", "execution_policy"),
    ("Keyset does not exist", "certificate_unreadable"),
    ("NTE_BAD_KEYSET", "certificate_unreadable"),
    ("Invalid provider type specified", "certificate_unreadable"),
    ("cannot find the requested object", "certificate_unreadable"),
    ("No certificate found", "certificate_missing"),
    ("certificate with thumbprint", "certificate_missing"),
    ("certificate thumbprint", "certificate_missing"),
    ("Could not create SSL/TLS secure channel", "tls12"),
    ("An unexpected error occurred on a send", "tls12"),
    ("remote name could not be resolved", "no_route"),
    ("No such host is known", "no_route"),
    ("Unable to connect to the remote server", "no_route"),
    ("actively refused", "no_route"),
    ("Proxy Authentication Required", "no_route"),
    ("169.254.169.254", "no_identity"),
    ("Managed Identity", "no_identity"),
    ("Update-ModuleManifest", "module_packages"),
    ("Update-Manifest", "module_packages"),
    ("SwitchParameter required by parameter 'Verbose'", "module_preferences"),
    ("module 'ExchangeOnlineManagement' was not loaded", "module_missing"),
    ("parameter name 'AccessToken'", "module_old"),
    ("parameter name 'ManagedIdentity'", "module_old"),
)
"""What hosts say (in English; other languages are told by their exception types and by the host's versions)."""

HOST_UNAUTHORIZED = ("unauthorized", "forbidden", "access denied", "access is denied")
"""All that the module says of a token, or of a request, that Exchange refused."""

HOST_CONNECTION = frozenset(
    {
        *("HttpRequestException", "WebException", "SocketException", "IOException"),
        *("TaskCanceledException", "OperationCanceledException", "TimeoutException"),
    }
)
"""Exception types of a host whose own connection to Exchange broke: the work may or may not have been done."""


def host_problem(said: str) -> str | None:
    """The problem (a key of ``HOST``) that a host's words speak of."""
    folded = said.casefold()
    return next((problem for wording, problem in HOST_WORDINGS if wording.casefold() in folded), None)
