# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft's host names per cloud: which service a request is meant for, and whose tokens it accepts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cloud:
    name: str
    login: tuple[str, ...]
    graph: tuple[str, ...]
    exchange: tuple[str, ...]
    management: tuple[str, ...]  # Azure Resource Manager; the second one is the name of its old tokens' audience
    imap: str  # POP, too
    smtp: str


CLOUDS = {
    cloud.name: cloud
    for cloud in (
        Cloud(
            "global",
            ("login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"),
            ("graph.microsoft.com",),
            ("outlook.office365.com", "outlook.office.com"),
            ("management.azure.com", "management.core.windows.net"),
            "outlook.office365.com",
            "smtp.office365.com",
        ),
        Cloud(
            "gcc_high",
            ("login.microsoftonline.us", "login-us.microsoftonline.com"),
            ("graph.microsoft.us",),
            ("outlook.office365.us",),
            ("management.usgovcloudapi.net", "management.core.usgovcloudapi.net"),
            "outlook.office365.us",
            "smtp.office365.us",
        ),
        Cloud(
            "dod",
            ("login.microsoftonline.us", "login-us.microsoftonline.com"),
            ("dod-graph.microsoft.us",),
            ("outlook-dod.office365.us", "webmail.apps.mil"),
            ("management.usgovcloudapi.net", "management.core.usgovcloudapi.net"),
            "outlook-dod.office365.us",
            "outlook-dod.office365.us",
        ),
        Cloud(
            "china",
            ("login.chinacloudapi.cn", "login.partner.microsoftonline.cn"),
            ("microsoftgraph.chinacloudapi.cn",),
            ("partner.outlook.cn", "outlook.office365.cn"),
            ("management.chinacloudapi.cn", "management.core.chinacloudapi.cn"),
            "partner.outlook.cn",
            "smtp.partner.outlook.cn",
        ),
    )
}

GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
EXCHANGE_APP_ID = "00000002-0000-0ff1-ce00-000000000000"
MANAGEMENT_APP_ID = "797f4846-ba00-4fd7-ba43-dac1f8f63013"
IMDS = "169.254.169.254"

MAIL_PORTS = {993: "imap", 995: "pop", 587: "smtp"}
#: Besides a cloud's own names of Exchange, what a token for mail may be made for.
MAIL_AUDIENCES = ("https://ps.outlook.com", EXCHANGE_APP_ID)


def _hosts(cloud: Cloud) -> tuple[str, ...]:
    return cloud.login + cloud.graph + cloud.exchange + cloud.management


def mail_host(host: str, protocol: str) -> bool:
    """Whether ``imap``, ``pop`` or ``smtp`` is spoken by this host in any cloud."""
    return any(host == (cloud.smtp if protocol == "smtp" else cloud.imap) for cloud in CLOUDS.values())


def service_of(host: str) -> str | None:
    """``login``, ``graph``, ``exchange`` or ``management``; None for a host that is none of Microsoft's known ones."""
    for cloud in CLOUDS.values():
        for service in ("login", "graph", "exchange", "management"):
            if host in getattr(cloud, service):
                return service
    return None


def clouds_of(host: str) -> list[Cloud]:
    """Every cloud the host belongs to (the two American government clouds share their login host)."""
    return [cloud for cloud in CLOUDS.values() if host in _hosts(cloud)]


def all_hosts() -> list[str]:
    return sorted({host for cloud in CLOUDS.values() for host in (*_hosts(cloud), cloud.imap, cloud.smtp)})


def reachable(host: str, port: int) -> bool:
    """Whether anything listens there: nobody does on ports that Microsoft does not serve."""
    if port in MAIL_PORTS:
        return mail_host(host, MAIL_PORTS[port])
    return port == 443 and service_of(host) is not None


def audience_fits(audience: str, host: str) -> bool:
    """Whether a token made for ``audience`` is one for the service behind ``host``, in the same cloud."""
    service = service_of(host)
    wanted = audience.rstrip("/").lower()
    if service == "graph" and wanted == GRAPH_APP_ID:
        return True
    if service == "exchange" and wanted == EXCHANGE_APP_ID:
        return True
    if service == "management" and wanted == MANAGEMENT_APP_ID:
        return True
    if service is None or service == "login":
        return False
    return any(wanted == f"https://{name}" for cloud in clouds_of(host) for name in getattr(cloud, service))


def mail_audience_fits(audience: str, host: str | None) -> bool:
    """Whether a token may be used for mail at this host; None: a listener of this machine, which is every cloud's."""
    wanted = audience.rstrip("/").lower()
    clouds = [c for c in CLOUDS.values() if host is None or host in (c.imap, c.smtp)]
    return wanted in MAIL_AUDIENCES or any(wanted == f"https://{name}" for cloud in clouds for name in cloud.exchange)
