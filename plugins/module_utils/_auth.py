# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Signing in: one class per way, all of them by MSAL. A SignIn gives a token per audience."""

from __future__ import annotations

import base64
import json
import math
import pathlib
import re
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _certificate, _quiet, _redact
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import Cloud
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    InvalidInput,
    M365Error,
    SignInError,
    Throttled,
    Unreachable,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http, Request, Response, missing_library
from ansible_collections.mail2fax.m365.plugins.module_utils._msal import (
    HAS_MSAL,
    MSAL_IMPORT_ERROR,
    MsalHttp,
    sign_in_error,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Clock

if HAS_MSAL:
    import msal

ASSERTION_S = 600
LONGEST_S = 25 * 3600.0
"""No token that Entra issues to an application lives longer."""


@dataclass(frozen=True)
class Token:
    """An access token with its claims, which are read for information only and never trusted for access."""

    value: str = field(repr=False)
    claims: t.Mapping[str, t.Any] = field(default_factory=dict, repr=False)
    shared: bool = False
    """Whether an earlier task fetched it: what it was good for then may have ended since."""
    good_until: float | None = None
    """By the monotonic clock, counted from the answer that brought it; None for one that came from outside."""

    def __post_init__(self) -> None:
        _redact.note(self.value)

    def lasts(self, clock: Clock, spare_s: float = 300.0) -> bool | None:
        """Whether it is good for ``spare_s`` seconds more; None when nobody tells."""
        if self.good_until is not None:
            return self.good_until - spare_s > clock.monotonic()
        end = _seconds(self.claims.get("exp"))
        return None if end is None else end - spare_s > clock.now().timestamp()

    @property
    def ends_at(self) -> float | None:
        """In seconds since the epoch, by the service's clock; None when nobody tells."""
        return _seconds(self.claims.get("exp"))

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(self.claims.get("roles") or ())

    @property
    def wids(self) -> frozenset[str]:
        """Template ids of the Entra directory roles held."""
        return frozenset(self.claims.get("wids") or ())

    @property
    def tenant_id(self) -> str:
        return str(self.claims.get("tid") or "")

    @property
    def app_id(self) -> str:
        return str(self.claims.get("appid") or self.claims.get("azp") or "")


def token(value: str) -> Token:
    """A Token from its compact form; the claims stay empty when it is opaque."""
    try:
        payload = value.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        claims = {}
    return Token(value, claims if isinstance(claims, dict) else {})


class SignIn(t.Protocol):
    """One identity. ``describe`` says in words who signs in how, without a secret."""

    def token(self, audience: str, *, fresh: bool = False) -> Token:
        """A token for this audience; ``fresh`` when an earlier one is not good enough."""

    def describe(self) -> str:
        """Who signs in how."""


def call_as(
    sign_in: SignIn,
    audience: str,
    http: Http,
    request: t.Callable[[Token], Request],
    *,
    purpose: str,
    idempotent: bool,
    again: t.Callable[[Response], bool] | None = None,
    timeout_s: float | None = None,
) -> Response:
    """``http.call`` with a token for ``audience``; ``request`` puts it into the request.

    A service that answers 401 has done nothing: the answer to a fresh token counts.
    """

    def call(token: Token) -> Response:
        http.secrets.add(token.value)
        asked = request(token)
        check_audience(asked, audience)
        return http.call(asked, purpose=purpose, idempotent=idempotent, again=again, timeout_s=timeout_s)

    held = sign_in.token(audience)
    response = call(held)
    if response.status == 401:
        newer = sign_in.token(audience, fresh=True)
        if newer.value != held.value:
            response = call(newer)
    return response


def check_audience(request: Request, audience: str) -> None:
    """A token goes to the host that it is for, or to one below it (a key vault), and to no other."""
    host, own = request.host, audience.partition("://")[2].strip("/")
    if host != own and not host.endswith(f".{own}"):
        raise Unreachable(
            f"a token for {own} is not sent to {host}",
            cure="look for something on the way that answers in the service's place",
            lasting=True,
        )


class ReadyTokens:
    """Tokens that somebody else fetched, one per audience (``graph``, ``exchange``)."""

    def __init__(self, tokens: t.Mapping[str, str | None], cloud: Cloud) -> None:
        self._tokens = {
            cloud.graph_audience: tokens.get("graph"),
            cloud.exchange_audience: tokens.get("exchange"),
        }
        self._names = {cloud.graph_audience: "graph", cloud.exchange_audience: "exchange"}

    def token(self, audience: str, *, fresh: bool = False) -> Token:
        value = self._tokens.get(audience)
        if not value:
            raise InvalidInput(
                f"access_token has no token for {audience}",
                cure=f"give access_token.{self._names.get(audience, 'graph')}, or another way to sign in",
            )
        return token(value)

    def describe(self) -> str:
        return "ready access tokens"


class MsalSignIn:
    """What every way that MSAL knows shares: patience, lifetimes by the monotonic clock, and errors in words.

    Every attempt builds its own MSAL client: MSAL replays a 400 for 60 seconds from a cache in the client.
    """

    def __init__(self, http: Http) -> None:
        if not HAS_MSAL:
            raise missing_library("msal", MSAL_IMPORT_ERROR)
        _quiet.loggers()
        self._http = http
        self._tokens: dict[str, Token] = {}

    def describe(self) -> str:
        raise NotImplementedError

    def purpose(self) -> str:
        """What is attempted, to follow "Could not"."""
        return f"sign in as {self.describe()}"

    def token(self, audience: str, *, fresh: bool = False) -> Token:
        found = self._tokens.get(audience)
        # A task that waits for something may outlive its token.
        if fresh or found is None or found.lasts(self._http.clock) is False:
            found = self._tokens[audience] = self._patiently(audience)
        return found

    def _once(self, audience: str, purpose: str) -> Token:
        raise NotImplementedError

    def _patiently(self, audience: str) -> Token:
        purpose = self.purpose()
        waiting = self._http.patience.begin(f"the sign-in service, to {purpose}", purpose=purpose)
        attempt = 0
        while True:
            attempt += 1
            started = self._http.clock.monotonic()
            try:
                return self._once(audience, purpose)
            except (AnswerLost, Unreachable, Throttled) as exc:
                if not isinstance(exc, Throttled):
                    waiting.lost(self._http.clock.monotonic() - started)
                exc.attempted = exc.attempted or purpose
                if not self._http.pause(waiting, attempt, exc, getattr(exc, "retry_after_s", None)):
                    raise

    def _issued(self, answer: t.Any, purpose: str, tenant: str = "", *, by_claims: bool = False) -> Token:
        """The token in MSAL's answer; raises what an error document means."""
        if not isinstance(answer, dict):
            answer = {}
        value = answer.get("access_token")
        if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]+", value):
            raise sign_in_error(answer, purpose, tenant)
        self._http.secrets.add(value)
        found = token(value)
        lifetime = _seconds(answer.get("expires_in"))
        if by_claims and _seconds(found.claims.get("exp")) is not None:
            # MSAL takes an end from the service and subtracts this machine's time.
            lifetime = float(found.claims["exp"]) - self._http.service_time().timestamp()
        if lifetime is None:
            return found
        return replace(found, good_until=self._http.clock.monotonic() + max(0.0, min(lifetime, LONGEST_S)))


class ConfidentialSignIn(MsalSignIn):
    """What the three credentials of a confidential client share."""

    def __init__(self, http: Http, cloud: Cloud, tenant: str, client_id: str) -> None:
        super().__init__(http)
        self._cloud = cloud
        self._tenant = tenant
        self._client_id = client_id
        self._discovered: dict[str, Response] = {}

    def credential(self, adapter: MsalHttp) -> t.Any:
        """What MSAL takes as ``client_credential``; read anew for every attempt."""
        raise NotImplementedError

    def purpose(self) -> str:
        return f"sign in to {self._tenant} as {self.describe()}"

    def _once(self, audience: str, purpose: str) -> Token:
        # Only an attempt that ends well leaves it for the next token.
        discovered, self._discovered = self._discovered, {}
        adapter = MsalHttp(self._http, purpose, self._cloud, discovered)
        credential = self.credential(adapter)
        try:
            client = msal.ConfidentialClientApplication(
                self._client_id,
                client_credential=credential,
                authority=f"https://{self._cloud.login}/{self._tenant}",
                instance_discovery=False,
                http_client=adapter,
            )
            answer = client.acquire_token_for_client(scopes=[f"{audience}/.default"])
        except M365Error:
            raise
        except Exception as exc:
            # MSAL has no one exception: "no such tenant" is a ValueError, a key that is missing a KeyError.
            raise adapter.explain(exc, self._tenant) from None
        found = self._issued(answer, purpose, self._tenant)
        self._discovered = discovered
        return found


class SecretSignIn(ConfidentialSignIn):
    """A client secret."""

    def __init__(self, http: Http, cloud: Cloud, tenant: str, client_id: str, client_secret: str) -> None:
        super().__init__(http, cloud, tenant, client_id)
        self._secret = client_secret

    def credential(self, adapter: MsalHttp) -> str:
        return self._secret

    def describe(self) -> str:
        return f"application {self._client_id} with a client secret"


class CertificateSignIn(ConfidentialSignIn):
    """A certificate with its private key: one PEM file with both, or a PFX (PKCS #12) file."""

    def __init__(
        self,
        http: Http,
        cloud: Cloud,
        tenant: str,
        client_id: str,
        path: str,
        passphrase: str | None,
        *,
        prefix: str = "",
    ) -> None:
        super().__init__(http, cloud, tenant, client_id)
        self._path = pathlib.Path(path).expanduser()
        self._passphrase = passphrase
        self._prefix = prefix

    def credential(self, adapter: MsalHttp) -> dict[str, t.Callable[[], bytes]]:
        # Read before anything is sent. The assertion is made when MSAL asks for it: by then the service has told
        # its time.
        pair = _certificate.load(self._path, self._passphrase, self._http.service_time(), self._prefix)
        return {"client_assertion": lambda: self._assertion(pair, adapter.token_endpoint)}

    def _assertion(self, pair: _certificate.Pair, audience: str) -> bytes:
        now = int(self._http.service_time().timestamp())
        creator = msal.oauth2cli.assertion.JwtAssertionCreator(
            pair.key, "PS256", sha256_thumbprint=pair.thumbprint, headers={"x5c": [pair.der]}
        )
        signed: bytes = creator.create_normal_assertion(
            audience=audience,
            issuer=self._client_id,
            issued_at=now,
            not_before=now - 60,
            expires_at=now + ASSERTION_S,
        )
        return signed

    def describe(self) -> str:
        return f"application {self._client_id} with the certificate in {self._path}"


class FederatedSignIn(ConfidentialSignIn):
    """A token of another identity provider (workload identity, a CI system, Automation Controller)."""

    def __init__(self, http: Http, cloud: Cloud, tenant: str, client_id: str, path: str) -> None:
        super().__init__(http, cloud, tenant, client_id)
        self._path = pathlib.Path(path).expanduser()

    def credential(self, adapter: MsalHttp) -> dict[str, t.Callable[[], str]]:
        try:
            assertion = self._path.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not text"
            raise InvalidInput(
                f"federated_token_path {str(self._path)!r} cannot be read ({reason})",
                cure="name the file in which the platform keeps the projected token",
            ) from None
        return {"client_assertion": lambda: assertion}

    def describe(self) -> str:
        return f"application {self._client_id} with the federated token in {self._path}"


class ManagedIdentitySignIn(MsalSignIn):
    """The identity of the Azure machine or service that this runs on; ``system`` or a client id."""

    def __init__(self, http: Http, identity: str) -> None:
        super().__init__(http)
        self._identity = identity

    def _once(self, audience: str, purpose: str) -> Token:
        identity = (
            msal.SystemAssignedManagedIdentity()
            if self._identity == "system"
            else msal.UserAssignedManagedIdentity(client_id=self._identity)
        )
        adapter = MsalHttp(self._http, purpose)
        try:
            client = msal.ManagedIdentityClient(identity, http_client=adapter)
            answer = client.acquire_token_for_client(resource=audience)
        except (AnswerLost, Throttled):
            raise
        except M365Error as exc:
            raise self._none(exc.message, purpose, exc.status) from None
        except Exception as exc:
            raise self._none(f"the sign-in library ended with {type(exc).__name__}", purpose) from None
        said = adapter.last.json() if adapter.last is not None else None
        if adapter.last is not None and isinstance(said, dict) and not said.get("access_token"):
            reason = said.get("error_description") or said.get("message") or said.get("error") or "no reason given"
            raise self._none(f"its endpoint answered {adapter.last.status}: {reason}", purpose, adapter.last.status)
        return self._issued(answer, purpose, by_claims=True)

    @staticmethod
    def _none(reason: str, purpose: str, status: int | None = None) -> SignInError:
        return SignInError(
            f"this machine has no managed identity that can be asked: {reason}",
            attempted=purpose,
            status=status,
            cure="run on an Azure machine or service that has this managed identity, or sign in another way",
            options=("managed_identity",),
        )

    def describe(self) -> str:
        return (
            "the managed identity of this machine"
            if self._identity == "system"
            else (f"the managed identity {self._identity}")
        )


def _seconds(value: t.Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


WAYS = ("client_secret", "certificate_path", "federated_token_path", "managed_identity", "access_token")
"""The options that say how to sign in; one of them is enough."""


def choose(options: t.Mapping[str, t.Any], http: Http, cloud: Cloud) -> SignIn:
    """The one way to sign in that the options describe; InvalidInput names what is missing or too much."""
    tokens = options.get("access_token") or {}
    if any(tokens.values()):
        return ReadyTokens(tokens, cloud)
    ways = [way for way in WAYS if way != "access_token" and options.get(way)]
    if len(ways) > 1:
        raise InvalidInput(
            f"more than one way to sign in is set: {', '.join(ways)}",
            cure="keep one; an environment variable such as M365_CLIENT_SECRET may still be set",
            options=ways,
        )
    if ways == ["managed_identity"]:
        return ManagedIdentitySignIn(http, options["managed_identity"])
    tenant, client_id = str(options.get("tenant") or ""), str(options.get("client_id") or "")
    if not ways and options.get("certificate_passphrase"):
        raise InvalidInput(
            "certificate_passphrase is set, and certificate_path is not",
            cure="set certificate_path (or M365_CERTIFICATE_PATH)",
            options=("certificate_path",),
        )
    missing = [name for name, value in (("tenant", tenant), ("client_id", client_id)) if not value]
    if missing or not ways:
        wanted = missing + ([] if ways else ["client_secret, certificate_path or federated_token_path"])
        raise InvalidInput(
            f"the connection lacks {', '.join(wanted)}",
            cure="set the option, or its environment variable ("
            + ", ".join(f"M365_{word.upper()}" for item in wanted for word in item.replace(" or ", ", ").split(", "))
            + ")",
            options=[word for item in wanted for word in item.replace(" or ", ", ").split(", ")],
        )
    if ways[0] == "client_secret":
        return SecretSignIn(http, cloud, tenant, client_id, options["client_secret"])
    if ways[0] == "certificate_path":
        return CertificateSignIn(
            http, cloud, tenant, client_id, options["certificate_path"], options.get("certificate_passphrase")
        )
    return FederatedSignIn(http, cloud, tenant, client_id, options["federated_token_path"])
