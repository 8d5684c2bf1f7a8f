# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Signing in: one class per way, all of them by MSAL. A SignIn gives a token per audience."""

from __future__ import annotations

import base64
import datetime as dt
import json
import pathlib
import traceback
import typing as t
import urllib.parse
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _redact, _texts
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

try:
    import msal
except ImportError:
    HAS_MSAL = False
    MSAL_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    HAS_MSAL = True
    MSAL_IMPORT_ERROR = None


@dataclass(frozen=True)
class Token:
    """An access token with its claims, which are read for information only and never trusted for access."""

    value: str = field(repr=False)
    claims: t.Mapping[str, t.Any] = field(default_factory=dict, repr=False)
    shared: bool = False
    """Whether an earlier task fetched it: what it was good for then may have ended since."""

    def __post_init__(self) -> None:
        _redact.note(self.value)

    def lasts(self, now: dt.datetime, spare_s: float = 300.0) -> bool | None:
        """Whether it is good for ``spare_s`` seconds more; None when the token does not tell."""
        try:
            return float(self.claims["exp"]) - spare_s > now.timestamp()
        except (KeyError, TypeError, ValueError):
            return None

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
    except (IndexError, ValueError):
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

    A service that answers 401 has done nothing. If the token is one of an earlier task, the answer to a fresh one
    counts.
    """

    def call(token: Token) -> Response:
        return http.call(request(token), purpose=purpose, idempotent=idempotent, again=again, timeout_s=timeout_s)

    held = sign_in.token(audience)
    response = call(held)
    if response.status == 401 and held.shared:
        response = call(sign_in.token(audience, fresh=True))
    return response


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
    """What the three credentials of a confidential client share: MSAL, patience, and errors in words.

    Every attempt builds its own MSAL client: MSAL replays a 400 for 60 seconds from a cache in the client.
    """

    def __init__(self, http: Http, cloud: Cloud, tenant: str, client_id: str) -> None:
        if not HAS_MSAL:
            raise missing_library("msal", MSAL_IMPORT_ERROR)
        self._http = http
        self._cloud = cloud
        self._tenant = tenant
        self._client_id = client_id
        self._tokens: dict[str, Token] = {}

    def credential(self) -> t.Any:
        """What MSAL takes as ``client_credential``; read anew for every attempt."""
        raise NotImplementedError

    def describe(self) -> str:
        raise NotImplementedError

    def token(self, audience: str, *, fresh: bool = False) -> Token:
        found = self._tokens.get(audience)
        # A task that waits for something may outlive its token.
        if fresh or found is None or found.lasts(self._http.clock.now()) is False:
            found = self._tokens[audience] = self._patiently(audience)
        return found

    def _patiently(self, audience: str) -> Token:
        purpose = f"sign in to {self._tenant} as {self.describe()}"
        waiting = self._http.patience.begin(purpose)
        attempt = 0
        while True:
            attempt += 1
            started = self._http.clock.monotonic()
            try:
                return self._once(audience, purpose)
            except (AnswerLost, Unreachable, Throttled) as exc:
                waiting.lost(self._http.clock.monotonic() - started)
                exc.attempted = exc.attempted or purpose
                if not self._http.pause(waiting, attempt, exc):
                    raise

    def _once(self, audience: str, purpose: str) -> Token:
        adapter = _MsalHttp(self._http, purpose)
        try:
            client = msal.ConfidentialClientApplication(
                self._client_id,
                client_credential=self.credential(),
                authority=f"https://{self._cloud.login}/{self._tenant}",
                instance_discovery=False,
                http_client=adapter,
            )
            answer = client.acquire_token_for_client(scopes=[f"{audience}/.default"])
        except ValueError as exc:
            # MSAL's only word for "no such tenant", and for a credential that it cannot use
            raise adapter.last_error(self._tenant, str(exc)) from None
        if "access_token" in answer:
            return token(answer["access_token"])
        raise sign_in_error(answer, purpose, tenant=self._tenant)


class SecretSignIn(MsalSignIn):
    """A client secret."""

    def __init__(self, http: Http, cloud: Cloud, tenant: str, client_id: str, client_secret: str) -> None:
        super().__init__(http, cloud, tenant, client_id)
        self._secret = client_secret

    def credential(self) -> str:
        return self._secret

    def describe(self) -> str:
        return f"application {self._client_id} with a client secret"


class CertificateSignIn(MsalSignIn):
    """A certificate with its private key: one PEM file with both, or a PFX (PKCS #12) file."""

    def __init__(
        self, http: Http, cloud: Cloud, tenant: str, client_id: str, path: str, passphrase: str | None
    ) -> None:
        super().__init__(http, cloud, tenant, client_id)
        self._path = pathlib.Path(path).expanduser()
        self._passphrase = passphrase

    def credential(self) -> dict[str, t.Any]:
        try:
            content = self._path.read_bytes()
        except OSError as exc:
            raise InvalidInput(
                f"certificate_path {str(self._path)!r} cannot be read ({exc.strerror})",
                cure="name a PEM file with the private key and the certificate, or a PFX file",
            ) from None
        if b"-----BEGIN" not in content:
            return {"private_key_pfx_path": str(self._path), "passphrase": self._passphrase}
        text = content.decode("ascii", "replace")
        if "PRIVATE KEY-----" not in text or "BEGIN CERTIFICATE-----" not in text:
            raise InvalidInput(
                f"certificate_path {str(self._path)!r} must hold both the private key and the certificate",
                cure="put both PEM blocks into one file, or give a PFX file",
            )
        key, certificate = _pem_blocks(text)
        return {"private_key": key, "passphrase": self._passphrase, "public_certificate": certificate}

    def describe(self) -> str:
        return f"application {self._client_id} with the certificate in {self._path}"


class FederatedSignIn(MsalSignIn):
    """A token of another identity provider (workload identity, a CI system, Automation Controller)."""

    def __init__(self, http: Http, cloud: Cloud, tenant: str, client_id: str, path: str) -> None:
        super().__init__(http, cloud, tenant, client_id)
        self._path = pathlib.Path(path).expanduser()

    def credential(self) -> dict[str, t.Callable[[], str]]:
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


class ManagedIdentitySignIn:
    """The identity of the Azure machine or service that this runs on; ``system`` or a client id."""

    def __init__(self, http: Http, identity: str) -> None:
        if not HAS_MSAL:
            raise missing_library("msal", MSAL_IMPORT_ERROR)
        self._http = http
        self._identity = identity
        self._tokens: dict[str, Token] = {}

    def token(self, audience: str, *, fresh: bool = False) -> Token:
        if fresh or audience not in self._tokens:
            purpose = f"sign in as {self.describe()}"
            identity = (
                msal.SystemAssignedManagedIdentity()
                if self._identity == "system"
                else msal.UserAssignedManagedIdentity(client_id=self._identity)
            )
            client = msal.ManagedIdentityClient(identity, http_client=_MsalHttp(self._http, purpose))
            try:
                answer = client.acquire_token_for_client(resource=audience)
            except (ValueError, msal.ManagedIdentityError) as exc:
                raise SignInError(
                    "this machine has no managed identity that can be asked",
                    attempted=purpose,
                    cure="run on an Azure machine or service with a managed identity, or sign in another way",
                    details={"reason": type(exc).__name__},
                ) from None
            if "access_token" not in answer:
                raise sign_in_error(answer, purpose)
            self._tokens[audience] = token(answer["access_token"])
        return self._tokens[audience]

    def describe(self) -> str:
        return (
            "the managed identity of this machine"
            if self._identity == "system"
            else (f"the managed identity {self._identity}")
        )


def sign_in_error(answer: t.Mapping[str, t.Any], purpose: str, tenant: str = "") -> M365Error:
    """What Entra's error document means. Only its code and its first line are kept."""
    codes = answer.get("error_codes") or []
    description = str(answer.get("error_description") or answer.get("error") or "no reason given")
    code = f"AADSTS{codes[0]}" if codes else _texts.aadsts_code(description)
    line = description.partition("\r\n")[0].partition(" Trace ID:")[0].strip()
    if answer.get("error") in ("temporarily_unavailable", "server_error"):
        return Throttled(line, attempted=purpose, code=code, request_id=answer.get("trace_id"))
    known = _texts.SIGN_IN.get(code or "")
    return SignInError(
        line,
        attempted=purpose,
        code=code,
        request_id=answer.get("trace_id"),
        cure=known.cure if known else "see the code at https://login.microsoftonline.com/error",
        who=known.who if known else "",
        details={"meaning": known.meaning if known else None, "tenant": tenant or None},
    )


class _MsalHttp:
    """The shape of HTTP client that MSAL asks for, over our transport."""

    def __init__(self, http: Http, purpose: str) -> None:
        self._http = http
        self._purpose = purpose
        self._last: t.Any = None

    def get(self, url: str, params: t.Any = None, headers: t.Any = None, **_kwargs: t.Any) -> _MsalResponse:
        return self._send("GET", _with_query(url, params), headers, None)

    def post(
        self, url: str, params: t.Any = None, data: t.Any = None, headers: t.Any = None, **_kwargs: t.Any
    ) -> _MsalResponse:
        body = urllib.parse.urlencode(data).encode() if isinstance(data, dict) else data
        headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self._send("POST", _with_query(url, params), headers, body)

    def close(self) -> None:
        """The session belongs to the task."""

    def last_error(self, tenant: str, text: str) -> M365Error:
        """A SignInError from the last answer, for MSAL's wordless ValueError; ``text`` may quote the answer."""
        answer = self._last.json() if self._last is not None else None
        if isinstance(answer, dict) and answer.get("error"):
            return sign_in_error(answer, self._purpose, tenant)
        if self._last is not None and self._last.status != 200:
            return SignInError(
                f"the sign-in service answered {self._last.status} without a reason",
                attempted=self._purpose,
                status=self._last.status,
                cure="check the tenant and the cloud, and whether a proxy answers in the service's place",
            )
        reason = (
            "the certificate or its passphrase cannot be used"
            if self._last is None or "key" in text.lower()
            else ("the sign-in library refused the settings")
        )
        return SignInError(
            reason, attempted=self._purpose, cure="check certificate_path, certificate_passphrase, tenant and cloud"
        )

    def _send(self, method: str, url: str, headers: t.Any, body: t.Any) -> _MsalResponse:
        if isinstance(body, str):
            body = body.encode()
        response = self._http.send(Request(method, url, dict(headers or {}), body))
        self._last = response
        if response.status in (429, 500, 502, 503, 504):
            raise Throttled(
                f"the sign-in service answered {response.status}",
                attempted=self._purpose,
                status=response.status,
                request_id=response.request_id,
                cure="run again later",
            )
        return _MsalResponse(response.status, response.body.decode("utf-8", "replace"), dict(response.headers))


class _MsalResponse:
    def __init__(self, status_code: int, text: str, headers: dict[str, str]) -> None:
        self.status_code = status_code
        self.text = text
        self.headers = headers

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise Throttled(f"the sign-in service answered {self.status_code}", status=self.status_code)


def _with_query(url: str, params: t.Any) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urllib.parse.urlencode(params)}" if params else url


def _pem_blocks(text: str) -> tuple[str, str]:
    """(private key, first certificate), each as its own PEM text."""
    blocks = {"key": "", "certificate": ""}
    current: list[str] = []
    for line in text.splitlines():
        if line.startswith("-----BEGIN"):
            current = []
        current.append(line)
        if line.startswith("-----END"):
            kind = "certificate" if "CERTIFICATE" in line else "key"
            blocks[kind] = blocks[kind] or "\n".join(current) + "\n"
    return blocks["key"], blocks["certificate"]


WAYS = ("client_secret", "certificate_path", "federated_token_path", "managed_identity", "access_token")
"""The options that say how to sign in; one of them is enough."""


def choose(options: t.Mapping[str, t.Any], http: Http, cloud: Cloud) -> SignIn:
    """The one way to sign in that the options describe; InvalidInput names what is missing or too much."""
    tokens = options.get("access_token") or {}
    if any(tokens.values()):
        return ReadyTokens(tokens, cloud)
    if options.get("managed_identity"):
        return ManagedIdentitySignIn(http, options["managed_identity"])
    tenant, client_id = str(options.get("tenant") or ""), str(options.get("client_id") or "")
    ways = [way for way in ("client_secret", "certificate_path", "federated_token_path") if options.get(way)]
    missing = [name for name, value in (("tenant", tenant), ("client_id", client_id)) if not value]
    if missing or not ways:
        wanted = missing + ([] if ways else ["client_secret, certificate_path or federated_token_path"])
        raise InvalidInput(
            f"the connection lacks {', '.join(wanted)}",
            cure="set the option, or its environment variable ("
            + ", ".join(f"M365_{word.upper()}" for item in wanted for word in item.replace(" or ", ", ").split(", "))
            + ")",
        )
    if len(ways) > 1:
        raise InvalidInput(
            f"more than one way to sign in is set: {', '.join(ways)}",
            cure="keep one; an environment variable such as M365_CLIENT_SECRET may still be set",
        )
    if ways[0] == "client_secret":
        return SecretSignIn(http, cloud, tenant, client_id, options["client_secret"])
    if ways[0] == "certificate_path":
        return CertificateSignIn(
            http, cloud, tenant, client_id, options["certificate_path"], options.get("certificate_passphrase")
        )
    return FederatedSignIn(http, cloud, tenant, client_id, options["federated_token_path"])
