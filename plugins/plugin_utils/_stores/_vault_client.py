# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A HashiCorp Vault or an OpenBao: the sign-in, and its refusals in words.

Nothing secret is sent but to the server that was named: over TLS, and nowhere else when that server says so.
"""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _argspec, _redact
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Blocked,
    Conflict,
    InvalidInput,
    M365Error,
    MissingLibrary,
)
from ansible_collections.mail2fax.m365.plugins.plugin_utils._store_logins import Login, Logins
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores._vault_way import Settings, session, verify

PAUSES_S = (0.5, 1.0)
TIMEOUT_S = 30
PASSING = ("BadGateway", "InternalServerError", "RateLimitExceeded")
ADMIN = "the vault's administrator"

# The servers' own words, as OpenBao 2.7.2 and HashiCorp Vault 1.20 write them.
NO_MATCH = "check-and-set parameter did not match"
TOKEN_REFUSED = ("permission denied",)
INVALID = "invalid token"
NO_NAMESPACE = "namespace not found"
NO_ROLE = "invalid role or secret id"
TOO_MANY_STRINGS = "exceeded maximum number of strings"
TOO_LARGE = ("too large", "exceeds the maximum", "exceeds max", "entry size")
SEALED = "is sealed"


class Redirected(Exception):
    """The server answered that the request should go elsewhere, which it does not."""


class VaultClient:
    """An ``hvac.Client`` that is signed in when it is first asked, and whose refusals are errors of ours.

    ``logins`` keeps one sign-in for all tasks of a run; without it this client signs in by itself, and out at its end.
    """

    def __init__(
        self,
        settings: Settings,
        logins: Logins | None = None,
        pause: t.Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            import hvac
            import hvac.adapters
            import hvac.exceptions
        except ImportError:
            raise MissingLibrary(
                "the Python library hvac is not installed where Ansible runs",
                cure="pip install hvac, into the environment of ansible-playbook",
            ) from None
        self.settings = settings
        self.errors = hvac.exceptions
        self._logins = logins
        self.pauses_s: tuple[float, ...] = PAUSES_S
        self._pause = pause
        self._login: Login | None = None
        self._renewed = False
        self._shared = False
        self.hvac = hvac.Client(
            url=settings.url,
            token=settings.token if settings.role_id is None else "",
            namespace=settings.namespace,
            verify=verify(settings),
            timeout=TIMEOUT_S,
            allow_redirects=False,
            session=session(settings),
            adapter=_adapter(hvac.adapters.JSONAdapter),
        )
        if settings.role_id is None and settings.token is None and _argspec.outer("VAULT_TOKEN", os.environ) is None:
            # What hvac took from a variable that says nothing.
            self.hvac.token = "" if os.environ.get("VAULT_TOKEN") else self.hvac.token
        if settings.role_id is None and not self.hvac.token:
            raise InvalidInput(
                "nobody signs in to the vault",
                cure="set store.token or VAULT_TOKEN, or store.role_id with store.secret_id",
                options=("store",),
            )
        for secret in (settings.secret_id, self.hvac.token):
            _redact.note(secret)

    def sign_in(self, *, fresh: bool = False) -> None:
        """By AppRole, unless a token was given. ``fresh``: the one at hand was refused."""
        settings = self.settings
        if settings.role_id is None or (self._login is not None and not fresh):
            return
        refused = self._login.token if self._login is not None else None

        def login() -> Login:
            self.hvac.token = ""
            answer = self.said(
                "sign in to the vault",
                lambda: self.hvac.auth.approle.login(settings.role_id, settings.secret_id, use_token=False),
            )
            token = str(((answer if isinstance(answer, dict) else {}).get("auth") or {}).get("client_token") or "")
            if not token:
                raise Blocked(f"{self.settings.url} gave no token", attempted="sign in to the vault", cure=_ADDRESS)
            return Login(token, settings.url, settings.namespace, settings.ca_path)

        identity = [settings.url, settings.namespace or "", settings.role_id, settings.secret_id or ""]
        self._login, self._shared = (
            self._logins.shared(identity, login, refused) if self._logins is not None else (login(), False)
        )
        _redact.note(self._login.token)
        self.hvac.token = self._login.token

    def close(self) -> None:
        """Sign out, unless other tasks of the run go on with the token: those are ended with the run."""
        if self._login is not None and not self._shared:
            self._login.revoke()
            self._login = None
        self.hvac.adapter.close()

    def ask(self, purpose: str, work: t.Callable[[], t.Any], **words: str) -> t.Any:
        """``said``, signed in; anew if the token was given up meanwhile."""
        self.sign_in()
        try:
            return self.said(purpose, work, **words)
        except Blocked as exc:
            if exc.code != "TokenRefused" or self.settings.role_id is None or self._renewed:
                raise
        self._renewed = True
        self.sign_in(fresh=True)
        return self.said(purpose, work, **words)

    def said(self, purpose: str, work: t.Callable[[], t.Any], *, where: str = "", policy: str = "") -> t.Any:
        """The server's answer; its refusals in words. Passing faults are tried again.

        A write is safe to repeat because of check-and-set: had the first one landed, the second is refused.
        ``where`` is the place in words, ``policy`` what the token's policy has to allow.
        """
        import requests

        for pause in (*self.pauses_s, None):
            try:
                return work()
            except (requests.exceptions.RequestException, self.errors.VaultError, ValueError, Redirected) as exc:
                passing = type(exc).__name__ in PASSING or isinstance(
                    exc, (requests.exceptions.ConnectionError, requests.exceptions.Timeout)
                )
                lasting = isinstance(exc, requests.exceptions.SSLError) or _says(exc, *TOO_LARGE)
                if pause is None or not passing or lasting:
                    raise refused(purpose, exc, where or f"the vault {self.settings.url}", policy) from None
            self._pause(pause)
        raise AssertionError("unreachable")


def _adapter(base: t.Any) -> t.Any:
    class NoRedirects(base):  # type: ignore[misc]
        """A redirect is an answer like any other to ``requests``, and none to us."""

        def request(self, *arguments: t.Any, **options: t.Any) -> t.Any:
            answer = super().request(*arguments, **options)
            if 300 <= getattr(answer, "status_code", 200) < 400:
                raise Redirected
            return answer

    return NoRedirects


_ADDRESS = "check url and proxy, and that the vault runs"


def refused(purpose: str, exc: Exception, where: str, policy: str = "") -> M365Error:
    """Only the kind of the exception and words that are known are used: its text may quote what was sent."""
    kind = type(exc).__name__
    if _says(exc, NO_MATCH):
        return Conflict(
            f"{where} was changed by somebody else meanwhile",
            attempted=purpose,
            cure="let only one run at a time work on a tenant, then run again",
        )
    code, words, cure, who = _meaning(kind, exc, policy)
    return Blocked(f"{where}: {words}", attempted=purpose, code=code, cure=cure, who=who, options=("store",))


def _meaning(kind: str, exc: Exception, policy: str) -> tuple[str, str, str, str]:
    """(code, what the server says, what to do, who can do it)."""
    errors = tuple(str(item).strip().lower() for item in getattr(exc, "errors", None) or ())
    if kind == "Forbidden" and (errors == TOKEN_REFUSED or any(INVALID in item for item in errors)):
        return (
            "TokenRefused",
            "it refuses the token, which has expired, was used up or revoked, or is bound to other addresses",
            "give a token that is still valid; for an AppRole look at token_ttl, token_num_uses and token_bound_cidrs",
            ADMIN,
        )
    if kind == "Forbidden":
        return "Forbidden", "the policy of the token does not allow it", policy or "widen the token's policy", ADMIN
    if _says(exc, NO_NAMESPACE):
        return "NoNamespace", "it knows no such namespace", "check store.namespace or VAULT_NAMESPACE", ""
    if _says(exc, NO_ROLE):
        return (
            "RoleRefused",
            "it refuses role_id or secret_id",
            "check both; a secret_id may have expired or been used up: then make a new one",
            ADMIN,
        )
    if _says(exc, TOO_MANY_STRINGS):
        return (
            kind,
            "it refuses the entry for having too many texts (1,000 a request)",
            "remove what others have put beside it on that path, or choose a path of its own",
            "",
        )
    if _says(exc, *TOO_LARGE):
        return (
            kind,
            "it refuses the entry for being too large (1 MiB)",
            "remove what others have put beside it on that path, or choose a path of its own",
            "",
        )
    if kind == "VaultDown":
        return (
            (kind, "it is sealed", "unseal the vault", ADMIN)
            if _says(exc, SEALED)
            else (kind, "it is sealed, in maintenance or without a leader", "bring the vault back into service", ADMIN)
        )
    if kind == "Redirected":
        return (
            kind,
            "it sends the request on to another address, which this collection does not follow with a secret in hand",
            "name the address that it means in store.url or VAULT_ADDR: that of the active node, or of the load "
            "balancer, with https",
            ADMIN,
        )
    words, cure, who = {
        "VaultNotInitialized": ("it is not initialized", "initialize the vault", ADMIN),
        "Unauthorized": ("it refuses the token", "give a token that is still valid", ADMIN),
        "InvalidRequest": ("it refuses the request", "check the mount's settings", ADMIN),
        "InvalidPath": ("it knows no such mount", "check store.mount: it has to be a KV version 2 mount", ""),
        "RateLimitExceeded": (
            "it is throttled: a rate limit quota is used up",
            "run again later, or raise the quota of that path",
            ADMIN,
        ),
        "SSLError": ("its TLS certificate is not trusted here", "name the CA in store.ca_path or VAULT_CACERT", ""),
        "InternalServerError": ("it does not answer as it should (500)", "look into the vault's log", ADMIN),
    }.get(kind, (f"it does not answer ({kind})", _ADDRESS, ""))
    return kind, words, cure, who


def _says(exc: Exception, *words: str) -> bool:
    told = [str(item).lower() for item in getattr(exc, "errors", None) or ()]
    return any(word in item for word in words for item in told)
