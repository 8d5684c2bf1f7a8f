# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""MSAL over our transport: what it may be shown, and what its answers and exceptions mean."""

from __future__ import annotations

import importlib
import json
import traceback
import typing as t
import urllib.parse

from ansible_collections.mail2fax.m365.plugins.module_utils import _gate, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS, Cloud
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import M365Error, SignInError, Throttled
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http, Request, Response
from ansible_collections.mail2fax.m365.plugins.module_utils._retry import TRANSIENT

try:
    importlib.import_module("msal")
except ImportError:
    HAS_MSAL = False
    MSAL_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    HAS_MSAL = True
    MSAL_IMPORT_ERROR = None

DISCOVERY = "/.well-known/openid-configuration"
_SECRET_FIELDS = ("client_secret", "client_assertion", "assertion")


def sign_in_error(answer: t.Mapping[str, t.Any], purpose: str, tenant: str = "") -> M365Error:
    """What Entra's error document means. Only its code and its first line are kept."""
    codes = answer.get("error_codes")
    description = str(answer.get("error_description") or answer.get("error") or "no reason given")
    code = f"AADSTS{codes[0]}" if isinstance(codes, list) and codes else _texts.aadsts_code(description)
    line = description.partition("\r\n")[0].partition(" Trace ID:")[0].strip()
    trace = answer.get("trace_id")
    request_id = trace if isinstance(trace, str) else None
    if answer.get("error") in ("temporarily_unavailable", "server_error"):
        return Throttled(line, attempted=purpose, code=code, request_id=request_id, cure="run again later")
    known = _texts.SIGN_IN.get(code or "")
    return SignInError(
        line,
        attempted=purpose,
        code=code,
        request_id=request_id,
        cure=known.cure if known else "see the code at https://login.microsoftonline.com/error",
        who=known.who if known else "",
        details={"meaning": known.meaning if known else None, "tenant": tenant or None},
    )


class MsalHttp:
    """The shape of HTTP client that MSAL asks for. It is handed JSON objects and nothing else.

    With ``cloud`` it reaches the cloud's sign-in service, without it this machine's own endpoint. ``discovered`` has,
    by address, what that service has said of its own addresses: MSAL asks for it once for every token.
    """

    def __init__(
        self, http: Http, purpose: str, cloud: Cloud | None = None, discovered: dict[str, Response] | None = None
    ) -> None:
        self._discovered = {} if discovered is None else discovered
        self._http = http
        self._purpose = purpose
        self._cloud = cloud
        self.last: Response | None = None
        self.token_endpoint = ""
        """As the discovery document names it; the audience of an assertion."""

    def get(self, url: str, params: t.Any = None, headers: t.Any = None, **_kwargs: t.Any) -> MsalResponse:
        return self._send("GET", _with_query(url, params), headers, None)

    def post(
        self, url: str, params: t.Any = None, data: t.Any = None, headers: t.Any = None, **_kwargs: t.Any
    ) -> MsalResponse:
        if isinstance(data, dict):
            for name in _SECRET_FIELDS:
                self._http.secrets.add(_text(data.get(name)))
            data = urllib.parse.urlencode(data)
        headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self._send("POST", _with_query(url, params), headers, data)

    def close(self) -> None:
        """The session belongs to the task."""

    def explain(self, exc: BaseException, tenant: str = "") -> M365Error:
        """An exception of MSAL's in our words; its own text may quote an answer, so it is not shown."""
        answer = self.last.json() if self.last is not None else None
        if isinstance(answer, dict) and answer.get("error"):
            return sign_in_error(answer, self._purpose, tenant)
        return SignInError(
            f"the sign-in library could not work with what it was given ({type(exc).__name__})",
            attempted=self._purpose,
            status=self.last.status if self.last is not None else None,
            cure="check tenant, cloud and the credential, and whether something on the way answers in the service's "
            "place",
        )

    def _send(self, method: str, url: str, headers: t.Any, body: t.Any) -> MsalResponse:
        data = body.encode() if isinstance(body, str) else body
        request = Request(method, url, dict(headers or {}), data)
        known = self._discovered.get(url) if method == "GET" else None
        if self._cloud is None:
            response = self._http.send_to_machine(request)
        elif known is not None:
            response = known
        else:
            self._check(url, self._cloud)
            response = self._http.send(request)
        self.last = response
        document = response.json()
        if response.status in TRANSIENT:
            busy = Throttled(
                f"the sign-in service answered {response.status}",
                attempted=self._purpose,
                status=response.status,
                request_id=response.request_id,
                cure="run again later; with many tenants at once lower forks",
            )
            busy.retry_after_s = self._http.retry_after(response)
            raise busy
        if not isinstance(document, dict) or 300 <= response.status < 400:
            raise self._page(response)
        if method == "GET" and response.status == 200 and self._cloud is not None and url.endswith(DISCOVERY):
            for name in ("token_endpoint", "authorization_endpoint"):
                self._check(document.get(name), self._cloud)
            self.token_endpoint = document["token_endpoint"]
            self._discovered[url] = response
        return MsalResponse(response.status, json.dumps(document), dict(response.headers))

    def _page(self, response: Response) -> SignInError:
        who = "the sign-in service" if self._cloud is not None else "this machine's managed identity"
        host = f" {self._cloud.login}" if self._cloud is not None else ""
        if response.status >= 400:
            message = f"{who} answered {response.status} without a reason"
        else:
            message = f"what answered {response.status} in the place of {who}{host} is something else on the way"
        return SignInError(
            message,
            attempted=self._purpose,
            status=response.status,
            request_id=response.request_id,
            cure="check the tenant and the cloud, and whether a proxy or a portal answers in the service's place",
        )

    def _check(self, url: t.Any, cloud: Cloud) -> None:
        """The secret goes to the cloud's own sign-in host, whatever the discovery document says."""
        own = frozenset({cloud.login, *cloud.login_aliases})
        try:
            _gate.service(url, own.__contains__)
        except _gate.Refused as exc:
            host = urllib.parse.urlsplit(url).hostname if str(exc).startswith("leads to") else None
            other = next((one.name for one in CLOUDS.values() if host == one.login), None)
            raise SignInError(
                f"the sign-in address that {cloud.login} names {exc}, so nothing was sent to it",
                attempted=self._purpose,
                cure=f"set cloud to {other}, where this tenant lives"
                if other
                else "look for something on the way that answers in the service's place",
                options=("cloud",) if other else (),
            ) from None


class MsalResponse:
    """What MSAL reads of an answer."""

    def __init__(self, status_code: int, text: str, headers: dict[str, str]) -> None:
        self.status_code = status_code
        self.text = text
        self.headers = headers

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise ValueError(f"the sign-in service answered {self.status_code}")


def _text(value: t.Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return value if isinstance(value, str) else None


def _with_query(url: str, params: t.Any) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urllib.parse.urlencode(params)}" if params else url
