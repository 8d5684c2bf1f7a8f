# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One table: which hosts a Microsoft cloud has.

Source: the hosts Microsoft prints for Connect-ExchangeOnline, the Exchange admin API and Microsoft Graph's
national deployments.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cloud:
    """Host names without scheme. ``environment`` is Exchange's -ExchangeEnvironmentName.

    ``vaults`` is the domain below which key vaults are.
    """

    name: str
    login: str
    graph: str
    exchange: str
    portal: str
    environment: str
    vaults: str
    login_aliases: tuple[str, ...] = ()

    @property
    def hosts(self) -> frozenset[str]:
        """Every host that a token or a secret of this cloud may go to; key vaults are below ``vaults``."""
        return frozenset({self.login, self.graph, self.exchange, *self.login_aliases})

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
    ),
    "gcc_high": Cloud(
        "gcc_high",
        "login.microsoftonline.us",
        "graph.microsoft.us",
        "outlook.office365.us",
        "entra.microsoft.us",
        "O365USGovGCCHigh",
        "vault.usgovcloudapi.net",
    ),
    "dod": Cloud(
        "dod",
        "login.microsoftonline.us",
        "dod-graph.microsoft.us",
        "outlook-dod.office365.us",
        "entra.microsoft.us",
        "O365USGovDoD",
        "vault.usgovcloudapi.net",
    ),
    "china": Cloud(
        "china",
        "login.chinacloudapi.cn",
        "microsoftgraph.chinacloudapi.cn",
        "partner.outlook.cn",
        "entra.microsoftonline.cn",
        "O365China",
        "vault.azure.cn",
        ("login.partner.microsoftonline.cn",),
    ),
}
