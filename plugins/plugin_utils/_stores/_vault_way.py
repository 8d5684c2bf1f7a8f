# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Where a HashiCorp Vault or an OpenBao is, and how it is reached: over TLS, and nowhere else when it says so."""

from __future__ import annotations

import ipaddress
import os
import typing as t
import urllib.parse
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _argspec, _names
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput

SIGN_IN = {"token": "VAULT_TOKEN", "role_id": "VAULT_ROLE_ID", "secret_id": "VAULT_SECRET_ID"}
"""The options that say how to sign in, with the variables that stand for them. Each may name a file instead (_FILE)."""


@dataclass(frozen=True)
class Settings:
    """How the server is reached. Nothing in it is secret but ``token`` and ``secret_id``."""

    url: str
    namespace: str | None
    ca_path: str | None
    token: str | None
    role_id: str | None
    secret_id: str | None

    @classmethod
    def of(cls, options: t.Mapping[str, t.Any], environment: t.Mapping[str, str]) -> Settings:
        """What is not set comes from the variables that Vault's own client reads. Raises InvalidInput."""

        def said(option: str, variable: str | None = None) -> str | None:
            value = str(options.get(option) or "").strip()
            if value or variable is None:
                return value or None
            around = _argspec.outer(variable, environment, path=option == "ca_path")
            if around is None and option in SIGN_IN:
                around = _argspec.outer(variable + _argspec.IN_A_FILE, environment)
            return (around or "").strip() or None

        url = said("url", "VAULT_ADDR")
        if url is None:
            raise InvalidInput(
                "the store lacks url", cure="set store.url, or VAULT_ADDR of the run", options=("store",)
            )
        token, role_id, secret_id = (said(option, variable) for option, variable in SIGN_IN.items())
        for variable, value in zip(SIGN_IN.values(), (token, role_id, secret_id), strict=True):
            _names.decrypted(value, "store", variable)
        if said("token"):
            # Who says a token gets no other way to sign in from the environment.
            role_id, secret_id = said("role_id"), said("secret_id")
        elif token and role_id and not said("role_id"):
            raise InvalidInput(
                "VAULT_TOKEN and VAULT_ROLE_ID are two ways to sign in to the vault, and one is needed",
                cure="leave one of them, or say in store.token or store.role_id which is meant",
                options=("store",),
            )
        ca_path = said("ca_path", "VAULT_CACERT")
        return cls(
            address(url),
            (said("namespace", "VAULT_NAMESPACE") or "").strip("/") or None,
            os.path.expanduser(ca_path) if ca_path else None,
            token,
            role_id,
            secret_id,
        )

    def __repr__(self) -> str:
        return f"Settings({self.url})"


def address(url: str) -> str:
    """The server's address, put together from what was understood of it. Raises InvalidInput, quoting nothing.

    Without TLS everybody on the way reads token and secret, so that is for this very machine alone.
    """
    try:
        if any(ord(letter) <= 32 or ord(letter) > 126 or letter in "\\\"'<>^`{|}" for letter in url):
            raise ValueError
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = None, None, None
    if parts is None or not host or parts.scheme not in ("https", "http"):
        raise InvalidInput(
            "store.url is not an address", cure="write it as https://vault.contoso.com:8200", options=("store",)
        )
    if "@" in parts.netloc:
        raise InvalidInput(
            "store.url has a user or a password in it",
            cure="give the address alone, and sign in with token, or with role_id and secret_id",
            options=("store",),
        )
    if parts.query or parts.fragment:
        raise InvalidInput(
            "store.url has more in it than an address",
            cure="write it as https://vault.contoso.com:8200",
            options=("store",),
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidInput(
            f"the vault {host} would be reached without TLS, and anybody on the way would read the secret",
            cure="give an address that begins with https://, and the CA of its certificate in ca_path",
            options=("store",),
        )
    where = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{where}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}"


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def session(settings: Settings) -> t.Any:
    """Nothing of what the environment says of sign-ins (.netrc) goes there, and no proxy gets what stays here."""
    import requests

    made = requests.Session()
    made.auth = _nobody
    if is_loopback(urllib.parse.urlsplit(settings.url).hostname or ""):
        made.trust_env = False
    # hvac prefers what the session says to what it was told.
    made.verify = verify(settings)
    return made


def _nobody(request: t.Any) -> t.Any:
    return request


def verify(settings: Settings) -> str | bool:
    """The certificate authorities to trust."""
    found = (settings.ca_path, os.environ.get("REQUESTS_CA_BUNDLE"), os.environ.get("CURL_CA_BUNDLE"))
    return next((path for path in found if path), True)
