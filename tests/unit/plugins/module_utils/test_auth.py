# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing in: each way, through MSAL itself, over a scripted transport."""

from __future__ import annotations

import datetime as dt
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
    SignInError,
    Throttled,
    Unreachable,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http
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
    sign_in, script, _unused = secret(FOUND, issued(), FOUND, issued(), FOUND, issued())
    sign_in.token(CLOUD.graph_audience)
    sign_in.token(CLOUD.graph_audience)
    sign_in.token(CLOUD.exchange_audience)
    sign_in.token(CLOUD.graph_audience, fresh=True)
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


def test_a_wrong_passphrase_is_a_sign_in_error_without_the_passphrase(tmp_path, certificate):
    path = tmp_path / "operator.pem"
    path.write_bytes(pem(*certificate, b"right"))
    client, _unused, _unused = http(FOUND)
    with pytest.raises(SignInError) as caught:
        _auth.CertificateSignIn(client, CLOUD, TENANT_ID, APP, str(path), "canary").token(CLOUD.graph_audience)
    assert "passphrase" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_federated_token_is_read_anew_each_time(tmp_path):
    path = tmp_path / "token"
    client, script, _unused = http(FOUND, issued(), FOUND, issued())
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
