# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Which proxy a request takes: the option, else the environment's; NO_PROXY holds for both, and for CIDR.

A proxy's user and password are taken out of its address at once, so no message of any library can quote them.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import typing as t
import urllib.parse
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _gate
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput, Unreachable

_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?/?")
EXAMPLE = "http://proxy.example:8080"


@dataclass(frozen=True)
class Proxy:
    """``url`` is without user and password; ``named_by`` is the option or the variable that names it."""

    url: str
    named_by: str
    authorization: str | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        return self.url.partition("://")[2]

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0]

    @property
    def named(self) -> str:
        """What names it, for people."""
        return "proxy (or HTTPS_PROXY)" if self.named_by == "proxy" else self.named_by

    @property
    def options(self) -> tuple[str, ...]:
        """The module's option that names it, if one does."""
        return (self.named_by,) if self.named_by.islower() else ()


def choose(
    host: str, environment: t.Mapping[str, str], named: str | None = None, option: str = "proxy", port: int = 443
) -> Proxy | None:
    """The proxy by which ``host`` is reached over https, None for none. Raises InvalidInput for an unusable one."""
    lower = {name.lower(): value.strip() for name, value in environment.items() if value and value.strip()}
    if _gate.is_machine(host) or bypasses(host, lower.get("no_proxy", ""), port):
        return None
    if named and named.strip():
        return parse(named.strip(), option)
    for variable in ("https_proxy", "all_proxy"):
        if variable in lower:
            return parse(lower[variable], variable.upper())
    return None


def parse(value: str, named_by: str) -> Proxy:
    """An address of a proxy as people write it: the scheme may be missing, a password may hold anything."""
    scheme, separator, rest = value.partition("://")
    if not separator:
        scheme, rest = "http", value
    scheme = scheme.lower()
    about: dict[str, t.Any] = {"options": (named_by,)} if named_by.islower() else {}
    if scheme.startswith("socks"):
        raise InvalidInput(
            f"{named_by} names a SOCKS proxy", cure=f"name a proxy that takes CONNECT, such as {EXAMPLE}", **about
        )
    user, _at, place = rest.rpartition("@")
    found = _PLACE.fullmatch(place)
    if scheme not in ("http", "https") or found is None or not 0 < int(found[2] or 80) < 65536:
        raise InvalidInput(f"{named_by} is not the address of a proxy", cure=f"write it like {EXAMPLE}", **about)
    port = f":{found[2]}" if found[2] else ""
    return Proxy(f"{scheme}://{found[1]}{port}", named_by, _basic(user) if user else None)


def bypasses(host: str, no_proxy: str, port: int = 443) -> bool:
    """Whether NO_PROXY names the host: by name, domain, address, CIDR or ``*``; with a port, for that port alone."""
    name = host.strip("[]").lower().rstrip(".")
    return any(_names(entry.lower(), name, port) for entry in re.split(r"[\s,;]+", no_proxy) if entry)


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    address = _address(host)
    if address is not None:
        try:
            network = ipaddress.ip_network(entry.strip("[]"), strict=False)
        except ValueError:
            pass
        else:
            return address.version == network.version and address in network
    found = re.fullmatch(r"(\[[^\]]+\]|[^:]+):(\d+)", entry)
    if found is not None:
        if int(found[2]) != port:
            return False
        entry = found[1]
    entry = entry.strip("[]").removeprefix("*").lstrip(".").rstrip(".")
    return bool(entry) and (host == entry or (address is None and host.endswith(f".{entry}")))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _basic(user: str) -> str:
    name, _colon, password = user.partition(":")
    pair = f"{urllib.parse.unquote(name)}:{urllib.parse.unquote(password)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


# --- what a proxy says to CONNECT, or does not -----------------------------------------------------------------------

WHO = "the administrator of the proxy"


def silent(proxy: Proxy, host: str, port: int = 443) -> Unreachable:
    where = _where(host, port)
    return Unreachable(
        f"the proxy {proxy.place} does not say whether it connects to {where}",
        cure=f"check that {proxy.named} names a proxy, and that this one reaches {where}",
        options=proxy.options,
    )


def broke_off(proxy: Proxy, host: str, port: int = 443) -> Unreachable:
    return Unreachable(
        f"the proxy {proxy.place} broke off before it had connected to {_where(host, port)}",
        cure=f"check that {proxy.named} names a proxy for http, with its port, and look into the proxy's log",
        options=proxy.options,
    )


def refusal(proxy: Proxy, host: str, port: int, status: int) -> Unreachable:
    """What a status other than 2xx means."""
    where = _where(host, port)
    message = f"the proxy {proxy.place} answered {status} when it was asked to connect to {where}"
    if status == 407:
        given = (
            "the user and password in it are not accepted" if proxy.authorization else "it wants a user and password"
        )
        return Unreachable(
            f"{message}: {given}",
            cure=f"write them into {proxy.named}, as {EXAMPLE.replace('://', '://user:password@')}; a proxy that "
            "takes Kerberos or NTLM alone needs one in front of it that signs in",
            who=WHO,
            status=status,
            lasting=True,
            options=proxy.options,
        )
    if status in (502, 503, 504):
        return Unreachable(
            f"{message}: it does not reach {where} itself",
            cure=f"let the proxy resolve and reach {host} on port {port}",
            who=WHO,
            status=status,
        )
    if status in (400, 404, 405, 501) and port == 443:
        return Unreachable(
            f"{message}: it does not take CONNECT",
            cure=f"check that {proxy.named} names a proxy, and not a web server",
            status=status,
            lasting=True,
            options=proxy.options,
        )
    if port != 443:
        # For what is not the web's port, proxies have every refusal.
        return Unreachable(
            f"{message}: it does not let port {port} through",
            cure=f"have {host} on port {port} allowed at the proxy, for this machine (most proxies connect to port 443 "
            "alone; Squid's lists are SSL_ports and Safe_ports), or open that port at the firewall and go past the "
            f"proxy with NO_PROXY={host}:{port}",
            who=f"{WHO}, or of the firewall",
            status=status,
            lasting=True,
        )
    return Unreachable(
        f"{message}: it does not let {host} through",
        cure=f"have {host} on port 443 allowed at the proxy, for this machine",
        who=WHO,
        status=status,
        lasting=status in (401, 403, 451),
    )


def _where(host: str, port: int) -> str:
    return host if port == 443 else f"{host}:{port}"
