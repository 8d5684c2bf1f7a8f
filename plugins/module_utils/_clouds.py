# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One table: which hosts a Microsoft cloud has, and what a client that speaks a protocol is told of it.

Source: the hosts Microsoft prints for Connect-ExchangeOnline, the Exchange admin API and Microsoft Graph's
national deployments; those of IMAP, POP and SMTP as mail products preset them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cloud:
    """Host names without scheme. ``environment`` is Exchange's -ExchangeEnvironmentName.

    ``vaults`` is the domain below which key vaults are. ``exchange`` is the host of IMAP and POP as well, ``smtp`` the
    one that takes submissions.
    """

    name: str
    login: str
    graph: str
    exchange: str
    portal: str
    environment: str
    vaults: str
    smtp: str
    login_aliases: tuple[str, ...] = ()

    @property
    def hosts(self) -> frozenset[str]:
        """Every host that a token or a secret of this cloud may go to; key vaults are below ``vaults``."""
        return frozenset({self.login, self.graph, self.exchange, self.smtp, *self.login_aliases})

    @property
    def graph_audience(self) -> str:
        return f"https://{self.graph}"

    @property
    def exchange_audience(self) -> str:
        return f"https://{self.exchange}"


CLOUDS = {
    "global": Cloud(
        "global",
        "login.microsoftonline.com",
        "graph.microsoft.com",
        "outlook.office365.com",
        "entra.microsoft.com",
        "O365Default",
        "vault.azure.net",
        "smtp.office365.com",
    ),
    "gcc_high": Cloud(
        "gcc_high",
        "login.microsoftonline.us",
        "graph.microsoft.us",
        "outlook.office365.us",
        "entra.microsoft.us",
        "O365USGovGCCHigh",
        "vault.usgovcloudapi.net",
        "smtp.office365.us",
    ),
    "dod": Cloud(
        "dod",
        "login.microsoftonline.us",
        "dod-graph.microsoft.us",
        "outlook-dod.office365.us",
        "entra.microsoft.us",
        "O365USGovDoD",
        "vault.usgovcloudapi.net",
        # There is no host of its own for submissions.
        "outlook-dod.office365.us",
    ),
    "china": Cloud(
        "china",
        "login.chinacloudapi.cn",
        "microsoftgraph.chinacloudapi.cn",
        "partner.outlook.cn",
        "entra.microsoftonline.cn",
        "O365China",
        "vault.azure.cn",
        "smtp.partner.outlook.cn",
        ("login.partner.microsoftonline.cn",),
    ),
}


@dataclass(frozen=True)
class Endpoint:
    """Where a protocol is spoken, and how a client signs in: what a fax administrator types.

    ``service`` is the protocol for people; ``host`` names the field of ``Cloud``; ``path`` may be empty.
    ``permissions`` are Entra's application permissions for it, in so far as there is no choice. ``opened_by`` is the
    step (``_steps``) that looks after its switch in a tenant or mailbox, if there is one.
    """

    service: str
    host: str
    port: int
    encryption: str
    method: str
    path: str = ""
    permissions: tuple[str, ...] = ()
    opened_by: str | None = None

    def hosts(self) -> dict[str, str]:
        """By the name of the cloud."""
        return {name: str(getattr(cloud, self.host)) for name, cloud in CLOUDS.items()}


_BEARER = "OAuth 2.0 (Bearer)"
_XOAUTH2 = "OAuth 2.0 (XOAUTH2)"
_TLS = "TLS"

_SWITCH = "mailbox_protocols"

ENDPOINTS = {
    "ews": Endpoint(
        "Exchange Web Services (EWS) over HTTPS",
        *("exchange", 443, _TLS, _BEARER, "/EWS/Exchange.asmx", ("full_access_as_app",), "ews_access"),
    ),
    "graph": Endpoint("Microsoft Graph over HTTPS", "graph", 443, _TLS, _BEARER, "/v1.0"),
    "imap": Endpoint("IMAP", "exchange", 993, _TLS, _XOAUTH2, "", ("IMAP.AccessAsApp",), _SWITCH),
    "pop": Endpoint("POP3", "exchange", 995, _TLS, _XOAUTH2, "", ("POP.AccessAsApp",), _SWITCH),
    "smtp": Endpoint("SMTP submission", "smtp", 587, "STARTTLS", _XOAUTH2, "", ("SMTP.SendAsApp",), _SWITCH),
}
"""By protocol."""
