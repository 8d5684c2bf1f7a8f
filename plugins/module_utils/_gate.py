# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The one gate for everything that is sent: an address is parsed here, once, and built anew from its parts.

What a service, or something on the way to it, names in an answer (next pages, endpoints) is no address of its own
accord. A parser that is laxer than the one that sends is how a token comes to another host, so there is one grammar,
narrow enough that every parser agrees about it.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS, ENDPOINTS, Cloud

LONGEST = 16384
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))+")
_TARGET = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*)?")
_DOTS = re.compile(r"/(?:\.|%2e){1,2}(?=[/?]|$)", re.IGNORECASE)
_VAULT = re.compile(r"[a-z0-9-]{3,24}")


class Refused(ValueError):
    """Why an address is not used, in words that complete "the address …"."""


@dataclass(frozen=True)
class Address:
    """An address that may be sent to. ``target`` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def url(self) -> str:
        port = "" if self.port == {"https": 443, "http": 80}[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.target}"


def service(url: t.Any, allowed: t.Callable[[str], bool]) -> Address:
    """The address of a service: https, port 443, an allowed host, nothing that parsers disagree about.

    Raises Refused.
    """
    scheme, authority, target = _split(url)
    if scheme != "https":
        raise Refused("is not https")
    host, colon, port = authority.partition(":")
    host = host.lower()
    if "@" in authority:
        raise Refused("holds a user")
    if not _HOST.fullmatch(host):
        raise Refused("names no host that a service could have")
    if not allowed(host):
        raise Refused(f"leads to another host ({host})")
    if colon and port != "443":
        raise Refused("names another port than 443")
    return Address("https", host, 443, target)


def mail(host: str, port: int, allowed: t.Callable[[str], bool]) -> None:
    """Whether mail may be spoken there: an allowed host, a port of one of the protocols. Raises Refused."""
    if not allowed(host):
        raise Refused(f"leads to another host ({host})")
    if port not in {endpoint.port for endpoint in ENDPOINTS.values()} - {443}:
        raise Refused(f"names another port than those of mail ({port})")


def machine(url: t.Any) -> Address:
    """An address of this machine or of its next neighbour, as managed identities have; any port, http as well.

    Raises Refused.
    """
    scheme, authority, target = _split(url)
    if scheme not in ("http", "https"):
        raise Refused("is neither http nor https")
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(\d{1,5}))?", authority)
    if found is None:
        raise Refused("names no host that this machine could have")
    host, port = found[1].lower(), int(found[2] or (443 if scheme == "https" else 80))
    if not (is_machine(host) or _is_private(host)):
        raise Refused("leads away from this machine")
    if not 0 < port < 65536:
        raise Refused("names no port")
    return Address(scheme, host, port, target)


def of_cloud(cloud: Cloud | None) -> t.Callable[[str], bool]:
    """Whether a host is one of the cloud's, a key vault's included; of any cloud's without one."""
    clouds = [cloud] if cloud is not None else list(CLOUDS.values())
    hosts = frozenset(host for one in clouds for host in one.hosts)
    vaults = frozenset(one.vaults for one in clouds)

    def allowed(host: str) -> bool:
        label, _dot, domain = host.partition(".")
        return host in hosts or (domain in vaults and _VAULT.fullmatch(label) is not None)

    return allowed


def is_machine(host: str) -> bool:
    """Whether a host is this machine itself, or reached from it alone (loopback, link-local): never by a proxy."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    found = _ip(name)
    return found is not None and (found.is_loopback or found.is_link_local or found.is_unspecified)


def _is_private(host: str) -> bool:
    """App Service's own endpoint has an address of the sandbox's network."""
    found = _ip(host.strip("[]"))
    return found is not None and found.is_private


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _split(url: t.Any) -> tuple[str, str, str]:
    """(scheme, authority, target); raises Refused for what no service writes."""
    if not isinstance(url, str) or not url:
        raise Refused("is empty")
    if len(url) > LONGEST:
        raise Refused("is too long")
    if any(not "!" <= character <= "~" for character in url) or "\\" in url:
        raise Refused("holds characters that no address has")
    scheme, separator, rest = url.partition("://")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        raise Refused("is not a whole one")
    at = min((rest.index(mark) for mark in "/?#" if mark in rest), default=len(rest))
    authority, target = rest[:at], rest[at:]
    target = f"/{target}" if target.startswith("?") else target
    if not _TARGET.fullmatch(target):
        raise Refused("holds characters that no address has")
    if _DOTS.search(target.partition("?")[0]):
        raise Refused("climbs up its own path")
    return scheme.lower(), authority, target or "/"
