# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in: each way, through MSAL itself, over a scripted transport."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import urllib.parse

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from ansible_collections.mail2fax.m365.plugins.module_utils import _auth
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    InvalidInput,
    M365Error,
    SignInError,
    Throttled,
    Unreachable,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http, Request
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Patience
from tests.unit.script import TENANT_ID, Exchange, FakeClock, Script, answer, jwt

APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
CLOUD = CLOUDS["global"]
DISCOVERY = {
    "authorization_endpoint": f"https://{CLOUD.login}/{TENANT_ID}/oauth2/v2.0/authorize",
    "token_endpoint": f"https://{CLOUD.login}/{TENANT_ID}/oauth2/v2.0/token",
    "issuer": f"https://{CLOUD.login}/{TENANT_ID}/v2.0",
}
ISSUED = answer(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": jwt(appid=APP, roles=["R"])})
FOUND = Exchange("GET", "/v2.0/.well-known/openid-configuration", answer(200, DISCOVERY))


def refused(code: int, status: int = 401, error: str = "invalid_client") -> Exchange:
    text = f"AADSTS{code}: No. Trace ID: t Correlation ID: c"
    body = {"error": error, "error_description": text, "error_codes": [code], "trace_id": "trace-1"}
    return Exchange("POST", "/oauth2/v2.0/token", answer(status, body))


def issued() -> Exchange:
    return Exchange("POST", "/oauth2/v2.0/token", ISSUED)


def http(*exchanges: Exchange) -> tuple[Http, Script, FakeClock]:
    script, clock = Script(exchanges), FakeClock()
    return Http(script, Patience(clock, 30)), script, clock


def secret(*exchanges: Exchange) -> tuple[_auth.SecretSignIn, Script, FakeClock]:
    client, script, clock = http(*exchanges)
    return _auth.SecretSignIn(client, CLOUD, TENANT_ID, APP, "canary~secret"), script, clock


def form(script: Script) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl((script.seen[-1].body or b"").decode()))


def test_a_secret_gets_a_token_for_one_audience():
    sign_in, script, _unused = secret(FOUND, issued())
    token = sign_in.token(CLOUD.graph_audience)
    assert token.roles == {"R"}
    assert token.tenant_id == TENANT_ID
    assert form(script)["scope"] == "https://graph.microsoft.com/.default"
    assert form(script)["client_secret"] == "canary~secret"


def test_a_token_is_fetched_once_per_audience_unless_a_fresh_one_is_wanted():
    sign_in, script, _unused = secret(FOUND, issued(), issued(), issued())
    sign_in.token(CLOUD.graph_audience)
    sign_in.token(CLOUD.graph_audience)
    sign_in.token(CLOUD.exchange_audience)
    sign_in.token(CLOUD.graph_audience, fresh=True)
    assert script.finished()


def test_where_the_service_is_asked_for_is_asked_again_after_a_refusal():
    sign_in, script, _unused = secret(FOUND, issued(), refused(7000215), FOUND, issued())
    sign_in.token(CLOUD.graph_audience)
    with pytest.raises(SignInError):
        sign_in.token(CLOUD.exchange_audience)
    sign_in.token(CLOUD.exchange_audience)
    assert script.finished()


@pytest.mark.parametrize(
    ("code", "words"),
    [(7000215, "not its id"), (7000222, "expired"), (7000229, "service principal"), (53003, "Conditional Access")],
)
def test_a_refusal_is_said_in_words(code, words):
    sign_in, _unused, _unused = secret(FOUND, refused(code))
    with pytest.raises(SignInError) as caught:
        sign_in.token(CLOUD.graph_audience)
    assert caught.value.code == f"AADSTS{code}"
    text = str(caught.value) + str(caught.value.as_result())
    assert words in text
    assert "canary" not in text
    assert "Trace ID" not in str(caught.value)
    assert "trace-1" in text


def test_an_unknown_tenant_is_said_in_words():
    body = {
        "error": "invalid_tenant",
        "error_description": "AADSTS90002: Tenant 'x' not found.",
        "error_codes": [90002],
    }
    sign_in, _unused, _unused = secret(Exchange("GET", "openid-configuration", answer(400, body)))
    with pytest.raises(SignInError) as caught:
        sign_in.token(CLOUD.graph_audience)
    assert caught.value.code == "AADSTS90002"


def test_a_proxy_s_page_in_place_of_the_service_is_not_a_tenant():
    sign_in, _unused, _unused = secret(Exchange("GET", "openid-configuration", answer(403, b"<html>blocked</html>")))
    with pytest.raises(SignInError, match="403 without a reason"):
        sign_in.token(CLOUD.graph_audience)


@pytest.mark.parametrize("problem", [answer(503), answer(429), AnswerLost("x"), Unreachable("x")])
def test_what_passes_is_waited_for_with_a_new_client(problem):
    sign_in, script, clock = secret(FOUND, Exchange("POST", "/token", problem), FOUND, issued())
    assert sign_in.token(CLOUD.graph_audience).roles == {"R"}
    assert clock.sleeps
    assert script.finished()


def test_a_busy_service_ends_as_throttling_not_as_a_wrong_secret():
    steps = [FOUND, refused(90033, 503, "temporarily_unavailable")] * 12
    sign_in, _unused, _unused = secret(*steps)
    with pytest.raises(Throttled):
        sign_in.token(CLOUD.graph_audience)


@pytest.fixture(scope="module")
def certificate() -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "operator")])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 7, now, now + dt.timedelta(days=900))
    return key, built.sign(key, hashes.SHA256())


def pem(key: rsa.RSAPrivateKey, certificate: x509.Certificate, passphrase: bytes | None = None) -> bytes:
    protection = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    return private + certificate.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("passphrase", [None, "open sesame"])
@pytest.mark.parametrize("kind", ["pem", "pfx"])
def test_a_certificate_signs_an_assertion(tmp_path, certificate, kind, passphrase):
    secret_bytes = passphrase.encode() if passphrase else None
    if kind == "pem":
        content = pem(*certificate, secret_bytes)
    else:
        protection = (
            serialization.BestAvailableEncryption(secret_bytes) if secret_bytes else serialization.NoEncryption()
        )
        content = pkcs12.serialize_key_and_certificates(b"operator", *certificate, None, protection)
    path = tmp_path / f"operator.{kind}"
    path.write_bytes(content)
    client, script, _unused = http(FOUND, issued())
    _auth.CertificateSignIn(client, CLOUD, TENANT_ID, APP, str(path), passphrase).token(CLOUD.graph_audience)
    sent = form(script)
    assert sent["client_assertion_type"].endswith("jwt-bearer")
    assert _auth.token(sent["client_assertion"]).claims["iss"] == APP
    assert "client_secret" not in sent


@pytest.mark.parametrize("content", [None, b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"])
def test_a_certificate_file_that_cannot_do_is_said_before_any_request(tmp_path, content):
    path = tmp_path / "operator.pem"
    if content is not None:
        path.write_bytes(content)
    client, script, _unused = http()
    with pytest.raises(InvalidInput, match="certificate_path"):
        _auth.CertificateSignIn(client, CLOUD, TENANT_ID, APP, str(path), None).token(CLOUD.graph_audience)
    assert not script.seen


def test_a_wrong_passphrase_is_said_before_any_request_and_not_shown(tmp_path, certificate):
    path = tmp_path / "operator.pem"
    path.write_bytes(pem(*certificate, b"right"))
    client, script, _unused = http()
    with pytest.raises(InvalidInput) as caught:
        _auth.CertificateSignIn(client, CLOUD, TENANT_ID, APP, str(path), "canary").token(CLOUD.graph_audience)
    assert not script.seen
    assert "passphrase" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_federated_token_is_read_anew_each_time(tmp_path):
    path = tmp_path / "token"
    client, script, _unused = http(FOUND, issued(), issued())
    sign_in = _auth.FederatedSignIn(client, CLOUD, TENANT_ID, APP, str(path))
    for text in ("first", "second"):
        path.write_text(f"{text}\n")
        sign_in.token(CLOUD.graph_audience, fresh=True)
        assert form(script)["client_assertion"] == text


def test_ready_tokens_are_used_as_they_are():
    sign_in = _auth.ReadyTokens({"graph": jwt(appid=APP)}, CLOUD)
    assert sign_in.token(CLOUD.graph_audience).app_id == APP
    with pytest.raises(InvalidInput, match=r"access_token\.exchange"):
        sign_in.token(CLOUD.exchange_audience)


def test_an_opaque_token_has_no_claims():
    assert _auth.token("opaque").claims == {}
    assert "opaque" not in repr(_auth.token("opaque"))


BASE = {"tenant": TENANT_ID, "client_id": APP}


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({**BASE, "client_secret": "s"}, _auth.SecretSignIn),
        ({**BASE, "certificate_path": "/c.pem"}, _auth.CertificateSignIn),
        ({**BASE, "federated_token_path": "/t"}, _auth.FederatedSignIn),
        ({"managed_identity": "system"}, _auth.ManagedIdentitySignIn),
        ({"access_token": {"graph": "x"}, **BASE, "client_secret": "s"}, _auth.ReadyTokens),
    ],
)
def test_the_options_choose_the_way(options, kind):
    assert _auth.choose(options, http()[0], CLOUD).__class__ is kind


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "tenant"),
        ({"tenant": TENANT_ID, "client_secret": "s"}, "client_id"),
        (BASE, "M365_CLIENT_SECRET"),
        ({**BASE, "client_secret": "s", "certificate_path": "/c"}, "more than one"),
    ],
)
def test_what_is_missing_or_too_much_is_named(options, words):
    with pytest.raises(InvalidInput, match=words):
        _auth.choose(options, http()[0], CLOUD)


def test_a_managed_identity_asks_the_service_s_endpoint(monkeypatch):
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "h")
    body = {"access_token": jwt(appid=APP), "expires_on": "4102444800", "resource": "r", "token_type": "Bearer"}
    client, script, _unused = http(Exchange("GET", "/msi/token", answer(200, body)))
    assert _auth.ManagedIdentitySignIn(client, "system").token(CLOUD.graph_audience).app_id == APP
    assert "resource=https%3A%2F%2Fgraph.microsoft.com" in script.seen[0].url


# --- what the sign-in library is handed, and what it makes of it ---------------------------------------------------


EVIL_ENDPOINTS = [
    "https://evil.example/token",
    f"https://evil.example\\@{CLOUD.login}/token",
    f"https://{CLOUD.login}@evil.example/token",
    f"http://{CLOUD.login}/token",
    f"https://{CLOUD.login}:4443/token",
    f"https://{CLOUD.login}.evil.example/token",
    "https://graph.microsoft.com/token",
    "",
    None,
    7,
]


@pytest.mark.parametrize("name", ["token_endpoint", "authorization_endpoint"])
@pytest.mark.parametrize("url", EVIL_ENDPOINTS)
def test_a_discovery_document_cannot_lead_the_secret_elsewhere(url, name):
    sign_in, script, _unused = secret(Exchange("GET", "openid-configuration", answer(200, {**DISCOVERY, name: url})))
    with pytest.raises(SignInError, match="nothing was sent to it"):
        sign_in.token(CLOUD.graph_audience)
    assert script.finished()


def test_a_tenant_of_another_cloud_is_told():
    other = {**DISCOVERY, "token_endpoint": f"https://login.microsoftonline.us/{TENANT_ID}/oauth2/v2.0/token"}
    sign_in, _unused, _unused = secret(Exchange("GET", "openid-configuration", answer(200, other)))
    with pytest.raises(SignInError) as caught:
        sign_in.token(CLOUD.graph_audience)
    assert "gcc_high" in caught.value.cure
    assert caught.value.options == ("cloud",)


PAGES = [b"<html>portal</html>", b"", b"[]", b'"text"', b"null", b"17", b"{", b"\xff\xfe{}", b"[" * 100_000]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("where", ["discovery", "token"])
def test_a_page_in_the_place_of_entra_never_reaches_the_library(page, where):
    steps = {
        "discovery": [Exchange("GET", "openid-configuration", answer(200, page))],
        "token": [FOUND, Exchange("POST", "/token", answer(200, page))],
    }[where]
    sign_in, script, clock = secret(*steps)
    with pytest.raises(SignInError) as caught:
        sign_in.token(CLOUD.graph_audience)
    assert caught.value.cure
    assert caught.value.attempted
    assert not clock.sleeps
    assert script.finished()


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"access_token": 5},
        {"access_token": ""},
        {"access_token": "a b"},
        {"access_token": "canary", "expires_in": "soon"},
        {"access_token": "canary", "expires_in": {}},
        {"error": 5},
        {"error": {"code": "x"}},
        {"error": "x", "error_codes": 5},
        {"error": "x", "error_codes": {}},
        {"error": "x", "error_codes": [], "error_description": 17, "trace_id": {}},
    ],
)
@pytest.mark.parametrize("status", [200, 302, 400, 418])
def test_whatever_the_library_makes_of_an_answer_is_one_of_our_errors(document, status):
    sign_in, _unused, _unused = secret(FOUND, Exchange("POST", "/token", answer(status, document)))
    with pytest.raises(M365Error) as caught:
        sign_in.token(CLOUD.graph_audience)
    assert "canary" not in str(caught.value) + str(caught.value.as_result())
    assert caught.value.attempted


@pytest.mark.parametrize("document", [{}, {"token_endpoint": DISCOVERY["token_endpoint"]}, {**DISCOVERY, "issuer": 5}])
def test_whatever_the_library_makes_of_a_discovery_document_too(document):
    sign_in, _unused, _unused = secret(Exchange("GET", "openid-configuration", answer(200, document)), issued())
    with contextlib.suppress(M365Error):
        sign_in.token(CLOUD.graph_audience)


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"<!-- portal -->"])
def test_an_answer_that_is_not_plain_json_is_in_no_log(start, caplog, capfd, tmp_path):
    kept = logging.FileHandler(tmp_path / "log")
    root = logging.getLogger()
    root.addHandler(kept)
    caplog.set_level(logging.DEBUG)
    canary = jwt(appid="canary")
    body = start + json.dumps({"access_token": canary, "token_type": "Bearer", "expires_in": 3599}).encode()
    sign_in, _unused, _unused = secret(FOUND, Exchange("POST", "/token", answer(200, body)))
    try:
        with contextlib.suppress(SignInError):
            sign_in.token(CLOUD.graph_audience)
        for name in ("msal.oauth2cli.oauth2", "urllib3.connectionpool", "requests_oauthlib.oauth2_session", "spnego.x"):
            logging.getLogger(name).error(canary)
            logging.getLogger(name).debug(canary)
    finally:
        root.removeHandler(kept)
        kept.close()
    shown = capfd.readouterr()
    for text in (caplog.text, shown.out, shown.err, (tmp_path / "log").read_text()):
        assert canary not in text


def test_what_is_issued_and_what_is_sent_is_collected_as_secret():
    sign_in, _unused, _unused = secret(FOUND, issued())
    token = sign_in.token(CLOUD.graph_audience)
    assert {token.value, "canary~secret"} <= set(sign_in._http.secrets.issued)


# --- how long, and how patient -------------------------------------------------------------------------------------


def test_a_busy_sign_in_waits_as_long_as_it_is_told():
    busy = Exchange("POST", "/token", answer(429, {}, retry_after="17"))
    dated = answer(503, {}, date="Sat, 21 Nov 2026 11:00:00 GMT", retry_after="Sat, 21 Nov 2026 11:00:09 GMT")
    sign_in, _unused, clock = secret(FOUND, busy, FOUND, Exchange("POST", "/token", dated), FOUND, issued())
    sign_in.token(CLOUD.graph_audience)
    assert sum(clock.sleeps) == 26.0


@pytest.mark.parametrize("ahead", [dt.timedelta(minutes=55), dt.timedelta(minutes=-55), dt.timedelta(days=400)])
def test_a_clock_that_is_wrong_costs_no_sign_in(ahead):
    script, clock = Script([]), FakeClock()
    now = int(clock.now().timestamp())
    body = {"access_token": jwt(iat=now, exp=now + 3599), "token_type": "Bearer", "expires_in": 3599}
    script.exchanges = [FOUND, Exchange("POST", "/token", answer(200, body)), issued()]
    clock.start += ahead
    sign_in = _auth.SecretSignIn(Http(script, Patience(clock)), CLOUD, TENANT_ID, APP, "s")
    for _time in range(20):
        sign_in.token(CLOUD.graph_audience)
    assert len(script.seen) == 2
    clock.passed += 3400
    sign_in.token(CLOUD.graph_audience)
    assert script.finished()


def test_an_assertion_bears_the_service_s_time(tmp_path, certificate):
    path = tmp_path / "operator.pem"
    path.write_bytes(pem(*certificate))
    found = answer(200, DISCOVERY, date="Sat, 21 Nov 2026 11:05:00 GMT")
    client, script, _clock = http(Exchange("GET", "openid-configuration", found), issued())
    _auth.CertificateSignIn(client, CLOUD, TENANT_ID, APP, str(path), None).token(CLOUD.graph_audience)
    claims = _auth.token(form(script)["client_assertion"]).claims
    assert claims["iat"] == dt.datetime(2026, 11, 21, 11, 5, tzinfo=dt.UTC).timestamp()
    assert claims["aud"] == DISCOVERY["token_endpoint"]
    assert claims["exp"] - claims["iat"] == 600


def test_a_401_in_mid_run_gets_one_new_token():
    first, second = jwt(n=1), jwt(n=2)

    class Signed:
        def token(self, audience, *, fresh=False):
            return _auth.token(second if fresh else first)

        def describe(self):
            return "x"

    client, script, _clock = http(Exchange("GET", "/x", answer(401, {})), Exchange("GET", "/x", answer(200, {})))
    response = _auth.call_as(
        Signed(),
        CLOUD.graph_audience,
        client,
        lambda token: Request("GET", "https://graph.microsoft.com/x", {"Authorization": token.value}),
        purpose="read x",
        idempotent=True,
    )
    assert response.status == 200
    assert [request.headers["Authorization"] for request in script.seen] == [first, second]


def test_a_managed_identity_that_is_not_there_is_told_at_once():
    client, _script, clock = http(
        Exchange("GET", "169.254.169.254", Unreachable("nothing answers at 169.254.169.254: no answer in time"))
    )
    with pytest.raises(SignInError, match="nothing answers at") as caught:
        _auth.ManagedIdentitySignIn(client, "system").token(CLOUD.graph_audience)
    assert not clock.sleeps
    assert "None" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "document", "words"),
    [
        (400, {"error": "invalid_request", "error_description": "Identity not found"}, "Identity not found"),
        (403, b"<html>", "403"),
        (200, b"<html>", "something else on the way"),
        (404, {"statusCode": 404}, "404"),
        (200, {}, "no reason"),
    ],
)
@pytest.mark.parametrize("service", ["vm", "app"])
def test_what_a_managed_identity_s_endpoint_says_is_told(monkeypatch, service, status, document, words):
    if service == "app":
        monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "h")
    client, _script, _clock = http(Exchange("GET", "/token", answer(status, document)))
    with pytest.raises(SignInError) as caught:
        _auth.ManagedIdentitySignIn(client, "system").token(CLOUD.graph_audience)
    assert words in caught.value.message
    assert "None" not in str(caught.value)


def test_a_managed_identity_that_the_environment_leads_elsewhere_is_not_asked(monkeypatch):
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://evil.example/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "h")
    client, script, _clock = http()
    with pytest.raises(SignInError, match="leads away from this machine"):
        _auth.ManagedIdentitySignIn(client, "system").token(CLOUD.graph_audience)
    assert not script.seen


@pytest.mark.parametrize(
    "ways",
    [
        {"client_secret": "s", "managed_identity": "system"},
        {"certificate_path": "/c", "managed_identity": "system"},
        {"federated_token_path": "/t", "certificate_path": "/c"},
        {"client_secret": "s", "federated_token_path": "/t", "managed_identity": "system"},
    ],
)
def test_two_ways_of_signing_in_are_refused(ways):
    with pytest.raises(InvalidInput, match="more than one way") as caught:
        _auth.choose({**BASE, **ways}, http()[0], CLOUD)
    assert set(caught.value.options) == set(ways)
