# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MSAL, as installed, signs in at the emulator in every way; what it is refused is what Entra refuses."""

from __future__ import annotations

import base64
import time
import typing as t
import urllib.parse
import uuid

import jwt
import msal
import pytest
import requests

from tests.emulator.testing import Emulator, start_emulator
from tests.fidelity.conftest import Identity

TENANT = "969d5b92-bc05-403f-b576-97201b665e65"
SECOND = "0b2f3f1d-8a01-4b43-9a51-5f3c1c5e7e1c"
CHINESE = "7e1c4b43-9a51-4b43-9a51-0b2f3f1d8a02"
DOMAIN = "imagicleucdev.onmicrosoft.com"
OPERATOR, SECRET = "11111111-0000-4000-8000-000000000001", "operator~secret+with/signs&="
HAND_MADE = "33333333-0000-4000-8000-000000000001"
WITHOUT_PRINCIPAL = "33333333-0000-4000-8000-000000000002"
DISABLED = "33333333-0000-4000-8000-000000000003"
MANAGED = "44444444-0000-4000-8000-000000000001"
ISSUER, SUBJECT = "https://ci.example.org/oidc", "repo:mail2fax/m365:environment:prod"
GRAPH, EXCHANGE = "https://graph.microsoft.com", "https://outlook.office365.com"


@pytest.fixture(scope="module")
def emulator(registered: Identity) -> t.Iterator[Emulator]:
    secret = [{"displayName": "x", "secretText": "app-secret"}]
    expired = {"displayName": "old", "secretText": "old-secret", "endDateTime": "2024-01-01T00:00:00Z"}
    tenants = {
        "tenants": [
            {
                "id": TENANT,
                "domains": [DOMAIN, "example.com"],
                "operators": [
                    {
                        "client_id": OPERATOR,
                        "client_secret": SECRET,
                        "display_name": "Operator",
                        "app_roles": ["Application.ReadWrite.All", "Exchange.ManageAsApp"],
                        "directory_roles": ["Exchange Administrator"],
                        "certificate": registered.certificate,
                        "federated": {"issuer": ISSUER, "subject": SUBJECT, "public_key": registered.public_key},
                    },
                    {"client_id": MANAGED, "managed_identity": True, "app_roles": ["Application.Read.All"]},
                ],
                "applications": [
                    {"displayName": "By hand", "appId": HAND_MADE, "passwordCredentials": [*secret, expired]},
                    {
                        "displayName": "No principal",
                        "appId": WITHOUT_PRINCIPAL,
                        "passwordCredentials": secret,
                        "service_principal": False,
                    },
                    {
                        "displayName": "Disabled",
                        "appId": DISABLED,
                        "passwordCredentials": secret,
                        "accountEnabled": False,
                    },
                ],
                "service_principals": 3,
            },
            {"id": SECOND, "domains": ["second.onmicrosoft.com"], "exchange": False, "operators": []},
            {
                "id": CHINESE,
                "domains": ["dritte.partner.onmschina.cn"],
                "cloud": "china",
                "operators": [{"client_id": OPERATOR, "client_secret": SECRET}],
            },
        ]
    }
    with start_emulator(tenants) as running:
        yield running


@pytest.fixture(autouse=True)
def reached(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in emulator.env().items():
        monkeypatch.setenv(name, value)


def sign_in(credential: t.Any, scope: str = f"{GRAPH}/.default", **options: t.Any) -> dict[str, t.Any]:
    """A new MSAL client each time, as MSAL itself replays refusals."""
    options.setdefault("authority", f"https://login.microsoftonline.com/{TENANT}")
    app = msal.ConfidentialClientApplication(
        options.pop("client_id", OPERATOR), client_credential=credential, **options
    )
    return t.cast("dict[str, t.Any]", app.acquire_token_for_client([scope]))


def claims(answer: dict[str, t.Any], emulator: Emulator) -> dict[str, t.Any]:
    """The claims of a token, its signature checked against the published keys."""
    with emulator.session() as session:
        keys = session.get(f"https://login.microsoftonline.com/{TENANT}/discovery/v2.0/keys", timeout=10).json()
    token = answer["access_token"]
    key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(token)["kid"]]
    return t.cast("dict[str, t.Any]", jwt.decode(token, key, algorithms=["RS256"], options={"verify_aud": False}))


def raw(emulator: Emulator, path: str = f"/{TENANT}/oauth2/v2.0/token", **form: str) -> requests.Response:
    form = {"grant_type": "client_credentials", "client_id": OPERATOR, "scope": f"{GRAPH}/.default", **form}
    with emulator.session() as session:
        return session.post(
            f"https://login.microsoftonline.com{path}", data={k: v for k, v in form.items() if v}, timeout=10
        )


def test_a_secret(emulator: Emulator) -> None:
    got = claims(sign_in(SECRET), emulator)
    principal = next(s for s in emulator.state(TENANT)["servicePrincipals"] if s["appId"] == OPERATOR)
    assert got["aud"] == GRAPH
    assert got["iss"] == f"https://sts.windows.net/{TENANT}/"
    assert got["oid"] == got["sub"] == principal["id"]
    assert (got["appid"], got["appidacr"], got["idtyp"], got["tid"]) == (OPERATOR, "1", "app", TENANT)
    assert got["app_displayname"] == "Operator"
    assert got["roles"] == ["Application.ReadWrite.All"]
    assert "29232cdf-9323-42fd-ade2-1d097af3e4de" in got["wids"]
    assert got["ver"] == "1.0"
    assert got["exp"] - time.time() == pytest.approx(3599, abs=30)


def test_the_roles_are_those_of_the_resource_asked_for(emulator: Emulator) -> None:
    got = claims(sign_in(SECRET, f"{EXCHANGE}/.default"), emulator)
    assert (got["aud"], got["roles"]) == (EXCHANGE, ["Exchange.ManageAsApp"])
    # A scope with two slashes asks for the resource with one, and the audience mirrors it.
    assert claims(sign_in(SECRET, f"{EXCHANGE}//.default"), emulator)["aud"] == f"{EXCHANGE}/"
    by_id = sign_in(SECRET, "00000002-0000-0ff1-ce00-000000000000/.default")
    assert claims(by_id, emulator)["aud"] == "00000002-0000-0ff1-ce00-000000000000"


def test_without_any_grant_there_is_a_token_without_roles(emulator: Emulator) -> None:
    got = claims(sign_in("app-secret", client_id=HAND_MADE), emulator)
    assert "roles" not in got


@pytest.mark.parametrize("name", [TENANT.upper(), DOMAIN, "EXAMPLE.com"])
def test_a_tenant_has_many_names(emulator: Emulator, name: str) -> None:
    assert "access_token" in sign_in(SECRET, authority=f"https://login.microsoftonline.com/{name}")


def test_a_certificate(emulator: Emulator, registered: Identity) -> None:
    credential = {"private_key": registered.private_key, "thumbprint": registered.thumbprint}
    assert claims(sign_in(credential), emulator)["appidacr"] == "2"
    # With the certificate itself MSAL names it by SHA-256 and signs with PS256.
    modern = {"private_key": registered.private_key, "public_certificate": registered.certificate}
    assert claims(sign_in(modern), emulator)["appidacr"] == "2"


def test_a_certificate_that_is_not_registered(foreign: Identity, registered: Identity) -> None:
    refused = sign_in({"private_key": foreign.private_key, "thumbprint": foreign.thumbprint})
    assert refused["error_codes"] == [700027]
    # The right name, the wrong key.
    forged = sign_in({"private_key": foreign.private_key, "thumbprint": registered.thumbprint})
    assert forged["error_codes"] == [700027]


def outside_token(identity: Identity, **changes: t.Any) -> str:
    now = int(time.time())
    content = {"iss": ISSUER, "sub": SUBJECT, "aud": "api://AzureADTokenExchange", "iat": now, "nbf": now}
    return jwt.encode({**content, "exp": now + 300, **changes}, identity.private_key, algorithm="RS256")


def test_a_federated_assertion(emulator: Emulator, registered: Identity) -> None:
    answer = sign_in({"client_assertion": lambda: outside_token(registered)})
    assert claims(answer, emulator)["appidacr"] == "2"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": "https://elsewhere.example.org"}, 700211),
        ({"aud": "api://other"}, 700212),
        ({"sub": "repo:fork/m365:environment:prod"}, 700213),
        ({"nbf": 1, "exp": 1000}, 700024),
    ],
)
def test_a_federated_assertion_that_does_not_fit(registered: Identity, changes: dict[str, t.Any], code: int) -> None:
    assert sign_in({"client_assertion": lambda: outside_token(registered, **changes)})["error_codes"] == [code]


def test_a_federated_assertion_signed_by_another(foreign: Identity) -> None:
    assert sign_in({"client_assertion": lambda: outside_token(foreign)})["error_codes"] == [700027]


def test_the_v1_endpoint_answers_in_strings(emulator: Emulator) -> None:
    answer = raw(emulator, f"/{TENANT}/oauth2/token", scope="", resource=f"{GRAPH}/", client_secret=SECRET)
    body = answer.json()
    assert (body["expires_in"], body["resource"]) == ("3599", f"{GRAPH}/")
    assert int(body["expires_on"]) > time.time()
    assert claims(body, emulator)["roles"] == ["Application.ReadWrite.All"]


def test_the_secret_in_a_basic_header(emulator: Emulator) -> None:
    pair = f"{OPERATOR}:{urllib.parse.quote_plus(SECRET)}"
    with emulator.session() as session:
        answer = session.post(
            f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token",
            data={"grant_type": "client_credentials", "scope": f"{GRAPH}/.default"},
            headers={"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()},
            timeout=10,
        )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("form", "status", "error", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_id": HAND_MADE, "client_secret": "old-secret"}, 401, "invalid_client", 7000222),
        ({}, 401, "invalid_client", 7000218),
        ({"client_id": str(uuid.uuid4()), "client_secret": "x"}, 400, "unauthorized_client", 700016),
        ({"client_id": WITHOUT_PRINCIPAL, "client_secret": "app-secret"}, 401, "invalid_client", 7000229),
        ({"client_id": DISABLED, "client_secret": "app-secret"}, 400, "unauthorized_client", 7000112),
        ({"client_secret": SECRET, "scope": f"{GRAPH}/Mail.Read"}, 400, "invalid_scope", 1002012),
        ({"client_secret": SECRET, "scope": f"{GRAPH}/.default {EXCHANGE}/.default"}, 400, "invalid_scope", 70011),
        ({"client_secret": SECRET, "scope": "https://api.example.com/.default"}, 400, "invalid_resource", 500011),
        ({"client_secret": SECRET, "grant_type": "password"}, 400, "unsupported_grant_type", 70003),
    ],
)
def test_refusals(emulator: Emulator, form: dict[str, str], status: int, error: str, code: int) -> None:
    answer = raw(emulator, **form)
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [code])
    assert body["error_description"].startswith(f"AADSTS{code}: ")
    assert body["trace_id"] in body["error_description"]
    assert SECRET not in answer.text
    sign_ins = emulator.state(TENANT)["signIns"]
    assert sign_ins[-1]["errorCode"] == code
    assert sign_ins[-1]["appId"] == form.get("client_id", OPERATOR)


def test_unknown_tenants(emulator: Emulator) -> None:
    assert raw(emulator, "/nowhere.onmicrosoft.com/oauth2/v2.0/token", client_secret=SECRET).json()["error_codes"] == [
        90002
    ]
    assert raw(emulator, "/nowhere/oauth2/v2.0/token", client_secret=SECRET).json()["error_codes"] == [900023]
    with pytest.raises(ValueError, match="authority"):
        sign_in(SECRET, authority=f"https://login.microsoftonline.com/{uuid.uuid4()}")


def test_a_tenant_that_never_used_exchange_has_no_such_resource(emulator: Emulator) -> None:
    # An application of the second tenant is none of the first one either.
    answer = raw(emulator, f"/{SECOND}/oauth2/v2.0/token", client_secret=SECRET, scope=f"{EXCHANGE}/.default")
    assert answer.json()["error_codes"] == [700016]


def test_a_national_cloud_has_hosts_of_its_own(emulator: Emulator) -> None:
    chinese = sign_in(
        SECRET,
        "https://microsoftgraph.chinacloudapi.cn/.default",
        authority=f"https://login.partner.microsoftonline.cn/{CHINESE}",
    )
    assert claims(chinese, emulator)["aud"] == "https://microsoftgraph.chinacloudapi.cn"
    elsewhere = raw(emulator, f"/{CHINESE}/oauth2/v2.0/token", client_secret=SECRET)
    assert elsewhere.json()["error_codes"] == [90002]


def test_discovery_leads_back_to_the_host_that_was_asked(emulator: Emulator) -> None:
    with emulator.session() as session:
        for host in ("login.microsoftonline.us", "login.chinacloudapi.cn", "login.windows.net"):
            found = session.get(f"https://{host}/{TENANT}/v2.0/.well-known/openid-configuration", timeout=10).json()
            assert found["token_endpoint"] == f"https://{host}/{TENANT}/oauth2/v2.0/token"
        instance = session.get(
            "https://login.microsoftonline.com/common/discovery/instance",
            params={"api-version": "1.1", "authorization_endpoint": "https://login.example.org/x/oauth2/authorize"},
            timeout=10,
        )
    assert (instance.status_code, instance.json()["error"]) == (400, "invalid_instance")


def test_msal_finds_its_aliases(emulator: Emulator) -> None:
    """An authority MSAL does not know by itself: it asks for the instance first."""
    emulator.clear_journal()
    assert "access_token" in sign_in(SECRET, authority=f"https://sts.windows.net/{TENANT}")
    hosts = {row["host"] for row in emulator.journal() if row["method"] != "CONNECT"}
    assert hosts <= {"login.microsoftonline.com", "sts.windows.net", "login.microsoft.com"}


def test_the_managed_identity_of_a_machine(emulator: Emulator) -> None:
    client = msal.ManagedIdentityClient(msal.SystemAssignedManagedIdentity(), http_client=requests.Session())
    got = claims(client.acquire_token_for_client(resource=GRAPH), emulator)
    assert (got["appid"], got["roles"]) == (MANAGED, ["Application.Read.All"])
    unknown = msal.ManagedIdentityClient(
        msal.UserAssignedManagedIdentity(client_id=OPERATOR), http_client=requests.Session()
    )
    assert "error" in unknown.acquire_token_for_client(resource=GRAPH)


def test_the_managed_identity_of_an_app_service(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{emulator.control}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "any-header")
    client = msal.ManagedIdentityClient(msal.SystemAssignedManagedIdentity(), http_client=requests.Session())
    assert claims(client.acquire_token_for_client(resource=EXCHANGE), emulator)["aud"] == EXCHANGE


def test_a_newborn_secret_is_refused_for_a_while() -> None:
    tenants = {
        "tenants": [
            {
                "id": TENANT,
                "domains": [DOMAIN],
                "operators": [
                    {"client_id": OPERATOR, "client_secret": SECRET, "app_roles": ["Application.ReadWrite.All"]}
                ],
                "applications": [{"displayName": "Old", "appId": HAND_MADE}],
            }
        ]
    }
    with start_emulator(tenants, profile="realistic") as emulator:
        token = emulator.token(TENANT, OPERATOR, SECRET)
        with emulator.session() as session:
            url = f"{GRAPH}/v1.0/applications(appId='{HAND_MADE}')/addPassword"
            while True:  # this profile throttles now and then
                made = session.post(url, json={}, headers={"Authorization": f"Bearer {token}"}, timeout=10)
                if made.status_code == 200:
                    break
                assert made.status_code in (409, 429)
        form = {"client_id": HAND_MADE, "client_secret": made.json()["secretText"]}
        assert raw(emulator, **form).json()["error_codes"] == [7000215]
        emulator.clock(seconds=10)
        assert raw(emulator, **form).status_code == 200
        emulator.clock(days=800)
        assert raw(emulator, **form).json()["error_codes"] == [7000222]
