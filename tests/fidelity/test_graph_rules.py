# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the emulated Graph allows, refuses and remembers, seen by plain requests."""

from __future__ import annotations

import base64
import datetime as dt
import json
import typing as t
import uuid

import pytest
import requests

from tests.emulator.testing import Emulator, EmulatorError, start_emulator
from tests.fidelity.conftest import Identity

TENANT, SECOND = "969d5b92-bc05-403f-b576-97201b665e65", "0b2f3f1d-8a01-4b43-9a51-5f3c1c5e7e1c"
DOMAIN = "imagicleucdev.onmicrosoft.com"
OPERATOR, SECRET = "11111111-0000-4000-8000-000000000001", "operator-secret"
OWNED_BY, READER, NOBODY, MAILER = (f"11111111-0000-4000-8000-00000000000{n}" for n in range(2, 6))
GRAPH, EXCHANGE = "00000003-0000-0000-c000-000000000000", "00000002-0000-0ff1-ce00-000000000000"
FULL_ACCESS = "dc890d15-9560-4a4c-9b7f-a736ec74ec40"
FAX, ADELE = f"fax@{DOMAIN}", f"AdeleV@{DOMAIN}"
UPSERT = {"Prefer": "create-if-missing"}

TENANTS: dict[str, t.Any] = {
    "tenants": [
        {
            "id": TENANT,
            "domains": [DOMAIN, "example.com"],
            "operators": [
                {
                    "client_id": OPERATOR,
                    "client_secret": SECRET,
                    "app_roles": [
                        "Application.ReadWrite.All",
                        "AppRoleAssignment.ReadWrite.All",
                        "DelegatedPermissionGrant.ReadWrite.All",
                        "Exchange.ManageAsApp",
                    ],
                    "directory_roles": ["Exchange Administrator"],
                },
                {"client_id": OWNED_BY, "client_secret": SECRET, "app_roles": ["Application.ReadWrite.OwnedBy"]},
                {
                    "client_id": READER,
                    "client_secret": SECRET,
                    "app_roles": ["Directory.Read.All", "Policy.Read.All"],
                    "directory_roles": ["Global Reader"],
                },
                {"client_id": NOBODY, "client_secret": SECRET},
                {"client_id": MAILER, "client_secret": SECRET, "app_roles": ["Mail.ReadBasic.All"]},
            ],
            "mailboxes": [
                {"address": FAX, "display_name": "Digital Fax"},
                {"address": ADELE, "display_name": "Adele Vance", "admin": True, "aliases": [f"adele@{DOMAIN}"]},
                {"address": "print@partner.example", "display_name": "Print shop", "type": "MailContact"},
            ],
            "groups": [{"name": "Fax", "alias": "fax-group", "members": [FAX], "managed_by": [ADELE]}],
            "policies": [{"app_id": MAILER, "group": "fax-group"}],
            "service_principals": 450,
        },
        {"id": SECOND, "domains": ["second.onmicrosoft.com"], "exchange": False, "service_principals": 0},
    ]
}


@pytest.fixture(scope="module")
def emulator() -> t.Iterator[Emulator]:
    with start_emulator(TENANTS) as running:
        yield running


@pytest.fixture(autouse=True)
def clean(emulator: Emulator) -> t.Iterator[None]:
    yield
    emulator.reset()
    emulator.clear_journal()


class Graph:
    """Plain requests with one application's token."""

    def __init__(self, emulator: Emulator, client_id: str = OPERATOR, host: str = "graph.microsoft.com") -> None:
        self._session = emulator.session()
        self.host = host
        token = emulator.token(TENANT, client_id, SECRET, f"https://{host}")
        self._session.headers["Authorization"] = f"Bearer {token}"

    def __call__(self, method: str, path: str, body: t.Any = None, **headers: str) -> requests.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        url = path if path.startswith("https://") else f"https://{self.host}/v1.0{path}"
        return self._session.request(method, url, json=body, headers=names, timeout=30)

    def application(self, **properties: t.Any) -> dict[str, t.Any]:
        body = {"displayName": "Mail2DigitalFax", "signInAudience": "AzureADMyOrg", **properties}
        return t.cast("dict[str, t.Any]", expect(self("POST", "/applications", body), 201))

    def principal(self, app: dict[str, t.Any]) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", expect(self("POST", "/servicePrincipals", {"appId": app["appId"]}), 201))

    def resource(self, app_id: str) -> str:
        return str(expect(self("GET", f"/servicePrincipals(appId='{app_id}')?$select=id"))["id"])


def expect(answer: requests.Response, status: int = 200, code: str | None = None, text: str | None = None) -> t.Any:
    assert answer.status_code == status, answer.text
    if code is not None:
        assert answer.json()["error"]["code"] == code
    if text is not None:
        assert text in answer.json()["error"]["message"]
    return answer.json() if answer.content and "json" in answer.headers.get("Content-Type", "") else None


@pytest.fixture
def graph(emulator: Emulator) -> Graph:
    return Graph(emulator)


# --- applications -----------------------------------------------------------------------------------------------------


def test_upsert_by_unique_name(graph: Graph) -> None:
    path = "/applications(uniqueName='it''s 50%25 fax')"
    expect(graph("PATCH", path, {"displayName": "A"}), 404, "Request_ResourceNotFound")
    expect(graph("PATCH", path, {"notes": "no name"}, **UPSERT), 400, text="displayName")
    made = graph("PATCH", path, {"displayName": "A", "signInAudience": "AzureADMyOrg"}, **UPSERT)
    app = expect(made, 201)
    assert app["uniqueName"] == "it's 50% fax"
    assert made.headers["Location"].endswith(app["id"])
    again = graph("PATCH", path, {"displayName": "B"}, **UPSERT)
    assert (again.status_code, again.content) == (204, b"")
    assert expect(graph("GET", f"{path}?$select=id,displayName"))["displayName"] == "B"
    expect(graph("PATCH", f"/applications/{app['id']}", {"uniqueName": "other"}), 400, text="uniqueName")


def test_who_created_it_is_noted_and_cannot_be_changed(emulator: Emulator, graph: Graph) -> None:
    app = graph.application(displayName="Mine")
    principal = graph.principal(app)
    assert (app["createdByAppId"], principal["createdByAppId"]) == (OPERATOR, OPERATOR)
    for path in (f"/applications/{app['id']}", f"/servicePrincipals/{principal['id']}"):
        expect(graph("PATCH", path, {"createdByAppId": READER}), 400, text="createdByAppId")
    expect(graph("POST", "/applications", {"displayName": "x", "createdByAppId": READER}), 400, text="createdByAppId")
    other = Graph(emulator, OWNED_BY).application(displayName="Somebody's")
    assert other["createdByAppId"] == OWNED_BY


def test_a_lock_keeps_credentials_off_the_service_principal_and_not_off_the_application(graph: Graph) -> None:
    app = graph.application(servicePrincipalLockConfiguration={"isEnabled": True, "allProperties": True})
    principal = graph.principal(app)
    code = "CannotUpdateLockedServicePrincipalProperty"
    expect(graph("POST", f"/servicePrincipals/{principal['id']}/addPassword", {}), 400, code)
    expect(graph("PATCH", f"/servicePrincipals/{principal['id']}", {"keyCredentials": []}), 400, code)
    expect(graph("PATCH", f"/servicePrincipals/{principal['id']}", {"accountEnabled": False}), 204)
    expect(graph("POST", f"/applications/{app['id']}/addPassword", {}))


def test_a_creator_has_room_for_so_many_objects_and_tokens_live_as_a_policy_says() -> None:
    life = {"display_name": "Long", "minutes": 600, "resource": GRAPH}
    one = {**TENANTS["tenants"][0], "quota": {"objects_per_creator": 2}, "token_lifetime_policies": [life]}
    with start_emulator({"tenants": [one]}) as small:
        graph = Graph(small)
        graph.principal(graph.application())
        expect(graph("POST", "/applications", {"displayName": "x"}), 403, "Directory_QuotaExceeded")
        expect(Graph(small, OWNED_BY)("POST", "/applications", {"displayName": "x"}), 201)
        reader = Graph(small, READER)
        assert expect(reader("GET", "/policies/tokenLifetimePolicies"))["value"][0]["isOrganizationDefault"] is False
        own = expect(reader("GET", f"/servicePrincipals(appId='{GRAPH}')/tokenLifetimePolicies"))["value"]
        assert '"AccessTokenLifetime": "0.10:00:00"' in own[0]["definition"][0]
        payload = small.token(TENANT, READER, SECRET, "https://graph.microsoft.com").split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        assert claims["exp"] - claims["nbf"] == 36000 + 300


def test_people_are_owners_as_well(emulator: Emulator, graph: Graph) -> None:
    app = graph.application(displayName="Shared")
    adele = expect(Graph(emulator, READER)("GET", f"/users/{ADELE}?$select=id"))["id"]
    expect(graph("POST", f"/applications/{app['id']}/owners/$ref", {"@odata.id": f"https://x/v1.0/users/{adele}"}), 204)
    owners = expect(graph("GET", f"/applications/{app['id']}/owners"))["value"]
    assert [owner["@odata.type"] for owner in owners] == [
        "#microsoft.graph.servicePrincipal",
        "#microsoft.graph.user",
    ]


def test_filters_on_owners(graph: Graph) -> None:
    app = graph.application(displayName="Owned")
    me = graph.resource(OPERATOR)
    found = expect(graph("GET", f"/applications?$filter=owners/any(o:o/id eq '{me}')&$select=id"))["value"]
    assert [item["id"] for item in found] == [app["id"]]
    path = "/applications?$filter=owners/$count eq 0&$select=displayName"
    expect(graph("GET", path), 400, "Request_UnsupportedQuery")
    found = expect(graph("GET", f"{path}&$count=true", ConsistencyLevel="eventual"))["value"]
    assert len(found) == 5  # the operators, made by nobody


def test_a_unique_name_outlives_its_application(graph: Graph) -> None:
    path = "/applications(uniqueName='fax')"
    app = expect(graph("PATCH", path, {"displayName": "A"}, **UPSERT), 201)
    expect(graph("DELETE", f"/applications/{app['id']}"), 204)
    expect(graph("GET", path), 404)
    expect(
        graph("PATCH", path, {"displayName": "A"}, **UPSERT),
        400,
        text="Another object with the same value for property",
    )
    found = expect(graph("GET", "/directory/deletedItems/microsoft.graph.application?$filter=uniqueName eq 'FAX'"))
    assert [item["id"] for item in found["value"]] == [app["id"]]
    expect(graph("DELETE", f"/directory/deletedItems/{app['id']}"), 204)
    expect(graph("PATCH", path, {"displayName": "A"}, **UPSERT), 201)


def test_a_unique_name_is_given_once_and_to_one(graph: Graph) -> None:
    first, second = graph.application(), graph.application()
    expect(graph("PATCH", f"/applications/{first['id']}", {"uniqueName": "fax"}), 204)
    expect(
        graph("PATCH", f"/applications/{second['id']}", {"uniqueName": "fax"}), 400, text="uniqueName already exists"
    )


def test_names_are_not_unique_and_the_default_audience_is_wide(graph: Graph) -> None:
    first = expect(graph("POST", "/applications", {"displayName": "Same"}), 201)
    second = expect(graph("POST", "/applications", {"displayName": "Same"}), 201)
    assert first["appId"] != second["appId"]
    assert first["id"] != first["appId"]
    assert first["signInAudience"] == "AzureADandPersonalMicrosoftAccount"
    found = expect(graph("GET", "/applications?$filter=displayName eq 'same'&$select=id"))
    assert sorted(item["id"] for item in found["value"]) == sorted([first["id"], second["id"]])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"displayName": ""},
        {"displayName": "x" * 257},
        {"displayName": "x", "signInAudience": "Everyone"},
        {"displayName": "x", "nonsense": 1},
        {"displayName": "x", "appId": str(uuid.uuid4())},
        {"displayName": "x", "tags": "fax"},
        {"displayName": "x", "passwordCredentials": [{"displayName": "x"}]},
        {"displayName": "x", "requiredResourceAccess": [{"resourceAppId": "x", "resourceAccess": []}]},
        {
            "displayName": "x",
            "requiredResourceAccess": [
                {"resourceAppId": EXCHANGE, "resourceAccess": [{"id": FULL_ACCESS, "type": "role"}]}
            ],
        },
    ],
)
def test_bodies_that_are_refused(graph: Graph, emulator: Emulator, body: dict[str, t.Any]) -> None:
    before = len(emulator.state(TENANT)["applications"])
    expect(graph("POST", "/applications", body), 400)
    assert len(emulator.state(TENANT)["applications"]) == before


def test_collections_are_replaced_whole_and_complex_values_merged(graph: Graph) -> None:
    access = [{"resourceAppId": EXCHANGE, "resourceAccess": [{"id": FULL_ACCESS, "type": "Role"}]}]
    app = graph.application(requiredResourceAccess=access, web={"redirectUris": ["https://fax.example.com"]})
    path = f"/applications/{app['id']}"
    other = [{"resourceAppId": GRAPH, "resourceAccess": [{"id": str(uuid.uuid4()), "type": "Scope"}]}]
    expect(graph("PATCH", path, {"requiredResourceAccess": other, "web": {"homePageUrl": "https://fax"}}), 204)
    read = expect(graph("GET", path))
    assert read["requiredResourceAccess"] == other
    assert read["web"]["redirectUris"] == ["https://fax.example.com"]
    assert read["web"]["homePageUrl"] == "https://fax"


def test_an_enabled_role_is_disabled_before_it_goes(graph: Graph) -> None:
    role = {
        "allowedMemberTypes": ["Application"],
        "description": "x",
        "displayName": "x",
        "id": str(uuid.uuid4()),
        "isEnabled": True,
        "value": "Fax.Send",
    }
    path = f"/applications/{graph.application(appRoles=[role])['id']}"
    expect(graph("PATCH", path, {"appRoles": []}), 400, "CannotDeleteOrUpdateEnabledEntitlement")
    expect(graph("PATCH", path, {"appRoles": [{**role, "isEnabled": False}]}), 204)
    expect(graph("PATCH", path, {"appRoles": []}), 204)


def test_paths_in_any_spelling(graph: Graph) -> None:
    app = graph.application()
    for path in (
        f"/v1.0//applications/{app['id']}",
        f"/v1.0/APPLICATIONS/{app['id'].upper()}",
        f"/v1.0/Applications('{app['id']}')",
        f"/v1.0/applications(appId='{app['appId']}')",
        f"/v1.0/applications(appId=%27{app['appId']}%27)",
        f"/v1.0/myorganization/applications/{app['id']}",
        f"/beta/applications/{app['id']}",
    ):
        assert expect(graph("GET", f"https://graph.microsoft.com{path}"))["id"] == app["id"], path


def test_refusals_of_paths(graph: Graph) -> None:
    expect(graph("GET", f"/applications/{uuid.uuid4()}"), 404, "Request_ResourceNotFound")
    expect(graph("GET", "/applications/nonsense"), 400, text="Invalid object identifier")
    expect(graph("GET", "/applicatoins"), 400, "BadRequest", "Resource not found for the segment")
    expect(graph("PUT", "/applications", {}), 405)
    expect(graph("GET", "/me"), 400, text="delegated")
    expect(graph("GET", "/subscriptions"))


# --- queries ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("displayName eq 'alpha'", ["Alpha"]),
        ("startswith(displayName,'al') or displayName eq 'BETA'", ["Alpha", "Alpine", "Beta"]),
        ("startswith(displayName, 'Al') and not (displayName eq 'Alpha')", None),
        ("displayName in ('Alpha','Beta')", ["Alpha", "Beta"]),
        ("tags/any(t:t eq 'fax')", ["Alpha", "Beta"]),
        ("tags/any(t:startswith(t,'fa') ) and (signInAudience eq 'AzureADMyOrg')", ["Alpha"]),
        ("uniqueName eq 'al''pine'", ["Alpine"]),
        ("uniqueName eq null and startswith(displayName,'Al')", ["Alpha"]),
        ("createdDateTime ge 2020-01-01T00:00:00Z and displayName eq 'Beta'", ["Beta"]),
        ("web/homePageUrl eq 'https://beta'", ["Beta"]),
    ],
)
def test_filters(graph: Graph, query: str, found: list[str] | None) -> None:
    graph.application(displayName="Alpha", tags=["fax", "x"])
    graph.application(displayName="Alpine", uniqueName="al'pine")
    graph.application(
        displayName="Beta", tags=["fax"], signInAudience="AzureADMultipleOrgs", web={"homePageUrl": "https://beta"}
    )
    path = f"/applications?$filter={requests.utils.quote(query)}&$select=displayName"
    if found is None:  # advanced: only with the header and the count
        expect(graph("GET", path), 400, "Request_UnsupportedQuery")
        expect(graph("GET", path, ConsistencyLevel="eventual"), 400, "Request_UnsupportedQuery")
        answer = expect(graph("GET", f"{path}&$count=true", ConsistencyLevel="eventual"))
        assert (answer["@odata.count"], [a["displayName"] for a in answer["value"]]) == (1, ["Alpine"])
        return
    answer = expect(graph("GET", path))
    assert sorted(app["displayName"] for app in answer["value"]) == found


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("$filter=nonsense eq 'x'", "BadRequest"),
        ("$filter=displayName eq", "BadRequest"),
        ("$filter=displayName eq 'it's'", "BadRequest"),
        ("$filter=contains(displayName,'x')", "Request_UnsupportedQuery"),
        ("$filter=displayName ne 'x'", "Request_UnsupportedQuery"),
        ("$select=id,nonsense", "BadRequest"),
        ("$expand=nonsense", "BadRequest"),
        ("$top=1000", "Request_UnsupportedQuery"),
        ("$top=0", "Request_UnsupportedQuery"),
        ("$skiptoken=nonsense", "Directory_ExpiredPageToken"),
        ('$search="displayName:x"', "Request_UnsupportedQuery"),
    ],
)
def test_queries_that_are_refused(graph: Graph, query: str, code: str) -> None:
    expect(graph("GET", f"/applications?{query}"), 400, code)


def test_pages(graph: Graph) -> None:
    seen: list[str] = []
    url, pages = "/servicePrincipals?$select=id", 0
    while url:
        page = expect(graph("GET", url))
        assert all(set(item) == {"id"} for item in page["value"])
        seen += [item["id"] for item in page["value"]]
        url, pages = page.get("@odata.nextLink"), pages + 1
    assert pages == 5  # 458 of them, a hundred to a page
    assert len(seen) == len(set(seen)) == 458


def test_expanding(graph: Graph) -> None:
    principal = expect(graph("GET", f"/servicePrincipals(appId='{OPERATOR}')?$expand=appRoleAssignments"))
    assert len(principal["appRoleAssignments"]) == 4
    expect(graph("GET", "/servicePrincipals?$expand=owners,appRoleAssignments"), 400, "Request_UnsupportedQuery")


# --- credentials ------------------------------------------------------------------------------------------------------


def test_a_secret_lives_two_years_unless_told(graph: Graph, emulator: Emulator) -> None:
    path = f"/applications/{graph.application()['id']}"
    made = expect(graph("POST", f"{path}/addPassword"))
    start, end = (dt.datetime.fromisoformat(made[name][:19]) for name in ("startDateTime", "endDateTime"))
    assert (end.year - start.year, end.month, end.day) == (2, start.month, start.day)
    assert made["secretText"][3:6] == "8Q~"
    shown = expect(graph("GET", f"{path}?$select=passwordCredentials"))["passwordCredentials"]
    assert shown[0]["secretText"] is None
    assert made["secretText"] not in str(emulator.state())
    assert emulator.state(TENANT)["applications"][-1]["passwordCredentials"][0]["hint"] is None
    past = {"passwordCredential": {"endDateTime": "2020-01-01T00:00:00Z"}}
    expect(graph("POST", f"{path}/addPassword", past), 400)
    broken = {"passwordCredential": {"endDateTime": "in a year"}}
    expect(graph("POST", f"{path}/addPassword", broken), 400)
    expect(graph("POST", f"{path}/removePassword", {"keyId": made["keyId"]}), 204)
    gone = graph("POST", f"{path}/removePassword", {"keyId": made["keyId"]})
    expect(gone, 400, text=f"No password credential found with keyId {made['keyId']}.")


def test_patch_only_drops_secrets(graph: Graph) -> None:
    path = f"/applications/{graph.application()['id']}"
    first, _second = (expect(graph("POST", f"{path}/addPassword")) for _unused in range(2))
    kept = {"keyId": first["keyId"]}
    expect(graph("PATCH", path, {"passwordCredentials": [{**kept, "displayName": "x"}]}), 400, "KeyNotUpdatable")
    expect(graph("PATCH", path, {"passwordCredentials": [kept, {"displayName": "new"}]}), 400, text="service actions")
    expect(graph("PATCH", path, {"passwordCredentials": [kept]}), 204)
    left = expect(graph("GET", path))["passwordCredentials"]
    assert [password["keyId"] for password in left] == [first["keyId"]]


@pytest.mark.parametrize(
    ("policy", "days", "code"),
    [
        ({"max_lifetime_days": 180}, None, "CredentialInvalidLifetimeAsPerAppPolicy"),
        ({"max_lifetime_days": 180}, 181, "CredentialInvalidLifetimeAsPerAppPolicy"),
        ({"max_lifetime_days": 180}, 179, None),
        ({"secrets": "forbidden"}, 10, "CredentialTypeNotAllowedAsPerAppPolicy"),
    ],
)
def test_app_management_policies(policy: dict[str, t.Any], days: int | None, code: str | None) -> None:
    tenant = {**TENANTS["tenants"][0], "app_management_policy": policy, "service_principals": 0}
    with start_emulator({"tenants": [tenant]}) as emulator:
        graph, reader = Graph(emulator), Graph(emulator, READER)
        body: dict[str, t.Any] = {}
        if days is not None:
            end = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
            body = {"passwordCredential": {"displayName": "x", "endDateTime": end.isoformat()}}
        answer = graph("POST", f"/applications/{graph.application()['id']}/addPassword", body)
        expect(answer, 400 if code else 200, code)
        shown = expect(reader("GET", "/policies/defaultAppManagementPolicy"))
        assert shown["isEnabled"]
        restriction = shown["applicationRestrictions"]["passwordCredentials"][0]
        assert restriction["maxLifetime"] == ("P180D" if "max_lifetime_days" in policy else None)


def test_certificates(graph: Graph, registered: Identity) -> None:
    der = "".join(registered.certificate.splitlines()[1:-1])
    path = f"/applications/{graph.application()['id']}"
    key = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": der}
    expect(graph("PATCH", path, {"keyCredentials": [key]}), 204)
    shown = expect(graph("GET", path))["keyCredentials"][0]
    assert (shown["key"], shown["customKeyIdentifier"].lower()) == (None, registered.thumbprint)
    selected = expect(graph("GET", f"{path}?$select=keyCredentials"))["keyCredentials"][0]
    assert base64.b64decode(selected["key"]) == base64.b64decode(der)
    # Sent back without its key it stays.
    expect(graph("PATCH", path, {"keyCredentials": [shown]}), 204)
    assert expect(graph("GET", path))["keyCredentials"] == [shown]
    expect(graph("PATCH", path, {"keyCredentials": [{**key, "key": "bm9uc2Vuc2U="}]}), 400)


def test_federated_credentials(graph: Graph) -> None:
    path = f"/applications/{graph.application()['id']}/federatedIdentityCredentials"
    body = {
        "name": "ci",
        "issuer": "https://ci.example.org",
        "subject": "repo:x",
        "audiences": ["api://AzureADTokenExchange"],
    }
    made = expect(graph("POST", path, body), 201)
    expect(graph("POST", path, {**body, "name": "again"}), 409, "Request_MultipleObjectsWithSameKeyValue")
    expect(graph("PATCH", f"{path}/{made['id']}", {"subject": "repo:y"}), 204)
    assert expect(graph("GET", path))["value"][0]["subject"] == "repo:y"
    expect(graph("PATCH", f"{path}(name='second')", body, **UPSERT), 201)
    expect(graph("DELETE", f"{path}/{made['id']}"), 204)
    assert [c["name"] for c in expect(graph("GET", path))["value"]] == ["second"]


# --- service principals and grants ------------------------------------------------------------------------------------


def test_one_service_principal_per_application(graph: Graph) -> None:
    app = graph.application()
    principal = graph.principal(app)
    assert len({principal["id"], app["id"], app["appId"]}) == 3
    assert principal["appOwnerOrganizationId"] == TENANT
    taken = graph("POST", "/servicePrincipals", {"appId": app["appId"]})
    body = expect(taken, 409, "Request_MultipleObjectsWithSameKeyValue", "is already in use.")
    assert body["error"]["details"][0]["code"] == "ObjectConflict"
    expect(graph("POST", "/servicePrincipals", {"appId": str(uuid.uuid4())}), 400, text="does not reference a valid")
    expect(graph("PATCH", f"/servicePrincipals(appId='{app['appId']}')", {"notes": "x"}, **UPSERT), 204)
    other = graph.application()
    expect(graph("PATCH", f"/servicePrincipals(appId='{other['appId']}')", {"notes": "x"}), 404)
    expect(graph("PATCH", f"/servicePrincipals(appId='{other['appId']}')", {"notes": "x"}, **UPSERT), 201)


def test_renaming_an_application_renames_its_service_principal(graph: Graph) -> None:
    app = graph.application()
    principal = graph.principal(app)
    expect(graph("PATCH", f"/applications/{app['id']}", {"displayName": "Renamed"}), 204)
    assert expect(graph("GET", f"/servicePrincipals/{principal['id']}"))["displayName"] == "Renamed"


def test_application_permissions(graph: Graph) -> None:
    principal, exchange = graph.principal(graph.application()), graph.resource(EXCHANGE)
    body = {"principalId": principal["id"], "resourceId": exchange, "appRoleId": FULL_ACCESS}
    made = expect(graph("POST", f"/servicePrincipals/{exchange}/appRoleAssignedTo", body), 201)
    assert len(made["id"]) == 43
    text = "Permission being assigned already exists on the object"
    expect(graph("POST", f"/servicePrincipals/{principal['id']}/appRoleAssignments", body), 400, text=text)
    unknown = {**body, "appRoleId": str(uuid.uuid4())}
    expect(graph("POST", f"/servicePrincipals/{exchange}/appRoleAssignedTo", unknown), 400, text="was not found on")
    nobody = {**body, "principalId": str(uuid.uuid4())}
    text = "Not a valid reference update"
    expect(graph("POST", f"/servicePrincipals/{exchange}/appRoleAssignedTo", nobody), 400, text=text)
    expect(graph("POST", f"/servicePrincipals/{principal['id']}/appRoleAssignedTo", body), 400)
    path = f"/servicePrincipals(appId='{principal['appId']}')/appRoleAssignments"
    found = expect(graph("GET", f"{path}?$filter=resourceId eq {exchange}"))["value"]
    assert [(a["appRoleId"], a["principalDisplayName"]) for a in found] == [(FULL_ACCESS, "Mail2DigitalFax")]
    assert made["id"] in [
        a["id"] for a in expect(graph("GET", f"/servicePrincipals/{exchange}/appRoleAssignedTo"))["value"]
    ]
    expect(graph("DELETE", f"/servicePrincipals/{exchange}/appRoleAssignedTo/{made['id']}"), 204)
    expect(graph("DELETE", f"/servicePrincipals/{exchange}/appRoleAssignedTo/{made['id']}"), 404)


def test_delegated_permissions(graph: Graph) -> None:
    principal, resource = graph.principal(graph.application()), graph.resource(GRAPH)
    body = {"clientId": principal["id"], "consentType": "AllPrincipals", "resourceId": resource, "scope": "User.Read"}
    made = expect(graph("POST", "/oauth2PermissionGrants", body), 201)
    expect(graph("POST", "/oauth2PermissionGrants", body), 409, text="Permission entry already exists.")
    expect(graph("POST", "/oauth2PermissionGrants", {**body, "consentType": "Everybody"}), 400)
    expect(graph("POST", "/oauth2PermissionGrants", {**body, "clientId": str(uuid.uuid4())}), 404)
    expect(graph("PATCH", f"/oauth2PermissionGrants/{made['id']}", {"scope": "User.Read openid"}), 204)
    path = f"/servicePrincipals/{principal['id']}/oauth2PermissionGrants"
    assert [grant["scope"] for grant in expect(graph("GET", path))["value"]] == ["User.Read openid"]
    expect(graph("DELETE", f"/oauth2PermissionGrants/{made['id']}"), 204)
    expect(graph("GET", f"/oauth2PermissionGrants/{made['id']}"), 404)


def test_the_recycle_bin_keeps_grants_with_the_service_principal(graph: Graph, emulator: Emulator) -> None:
    app = graph.application()
    principal, exchange = graph.principal(app), graph.resource(EXCHANGE)
    secret = expect(graph("POST", f"/applications/{app['id']}/addPassword"))["secretText"]
    body = {"principalId": principal["id"], "resourceId": exchange, "appRoleId": FULL_ACCESS}
    expect(graph("POST", f"/servicePrincipals/{exchange}/appRoleAssignedTo", body), 201)
    expect(graph("DELETE", f"/applications/{app['id']}"), 204)
    state = emulator.state(TENANT)
    assert sorted(item["@odata.type"] for item in state["deletedItems"]) == [
        "#microsoft.graph.application",
        "#microsoft.graph.servicePrincipal",
    ]
    assert principal["id"] not in [a["principalId"] for a in state["appRoleAssignments"]]
    expect(graph("POST", f"/directory/deletedItems/{principal['id']}/restore"), 400)  # its application is gone
    # The application comes back alone, and its service principal cannot be made anew.
    expect(graph("POST", f"/directory/deletedItems/{app['id']}/restore"))
    expect(graph("GET", f"/servicePrincipals(appId='{app['appId']}')"), 404)
    expect(graph("POST", "/servicePrincipals", {"appId": app["appId"]}), 409)
    found = expect(graph("GET", f"/directory/deletedItems/graph.servicePrincipal?$filter=appId eq '{app['appId']}'"))
    assert [item["id"] for item in found["value"]] == [principal["id"]]
    expect(graph("POST", f"/directory/deletedItems/{principal['id']}/restore"))
    held = expect(graph("GET", f"/servicePrincipals/{principal['id']}/appRoleAssignments"))["value"]
    assert [a["appRoleId"] for a in held] == [FULL_ACCESS]
    assert emulator.token(TENANT, app["appId"], secret)


def test_deleted_items_are_purged_after_thirty_days(graph: Graph, emulator: Emulator) -> None:
    app = graph.application(uniqueName="fax")
    graph.principal(app)
    expect(graph("DELETE", f"/applications/{app['id']}"), 204)
    emulator.clock(days=31)
    later = Graph(emulator)
    assert expect(later("GET", "/directory/deletedItems/microsoft.graph.application"))["value"] == []
    later.application(uniqueName="fax")
    assert emulator.state(TENANT)["deletedItems"] == []


# --- who may do what --------------------------------------------------------------------------------------------------


def test_tokens_that_are_refused(emulator: Emulator, graph: Graph) -> None:
    code = "InvalidAuthenticationToken"
    expect(graph("GET", "/applications", Authorization=""), 401, code, "empty")
    expect(graph("GET", "/applications", Authorization="Bearer x.y.z"), 401, code)
    exchange = emulator.token(TENANT, OPERATOR, SECRET, "https://outlook.office365.com")
    refused = graph("GET", "/applications", Authorization=f"Bearer {exchange}")
    expect(refused, 401, code, "Invalid audience")
    assert "Bearer" in refused.headers["WWW-Authenticate"]
    emulator.clock(days=1)
    expect(graph("GET", "/applications"), 401, code, "expired")


def test_a_token_for_one_cloud_is_none_for_another(emulator: Emulator) -> None:
    american = Graph(emulator, host="graph.microsoft.us")
    expect(american("GET", "/applications"))
    expect(american("GET", "https://graph.microsoft.com/v1.0/applications"), 401)


def test_a_typical_operator(graph: Graph) -> None:
    for path in ("/organization", "/domains", "/policies/defaultAppManagementPolicy", "/directoryRoles", "/users"):
        expect(graph("GET", path), 403, "Authorization_RequestDenied", "Insufficient privileges")
    own = expect(graph("GET", f"/servicePrincipals(appId='{OPERATOR}')/appRoleAssignments"))
    assert len(own["value"]) == 4


def test_a_reader(emulator: Emulator) -> None:
    reader = Graph(emulator, READER)
    organization = expect(reader("GET", "/organization"))["value"][0]
    assert organization["id"] == TENANT
    assert [d["name"] for d in organization["verifiedDomains"] if d["isDefault"]] == [DOMAIN]
    assert [domain["id"] for domain in expect(reader("GET", "/domains"))["value"]] == [DOMAIN, "example.com"]
    roles = expect(reader("GET", "/directoryRoles?$expand=members"))["value"]
    administrators = next(role for role in roles if role["displayName"] == "Global Administrator")
    assert [member["displayName"] for member in administrators["members"]] == ["Adele Vance"]
    user = expect(reader("GET", f"/users/{ADELE.lower()}?$select=id,mail,proxyAddresses"))
    assert f"smtp:adele@{DOMAIN}" in user["proxyAddresses"]
    groups = expect(reader("GET", f"/groups?$filter=mail eq 'fax-group@{DOMAIN}'&$expand=members"))["value"]
    assert (groups[0]["securityEnabled"], groups[0]["mailEnabled"]) == (True, True)
    assert [member["mail"] for member in groups[0]["members"]] == [FAX]
    assert expect(reader("GET", f"/groups/{groups[0]['id']}/owners"))["value"][0]["displayName"] == "Adele Vance"
    expect(reader("POST", "/applications", {"displayName": "x"}), 403)


def test_an_operator_with_nothing(emulator: Emulator) -> None:
    nobody = Graph(emulator, NOBODY)
    for method, path in (("GET", "/applications"), ("POST", "/applications"), ("GET", "/servicePrincipals")):
        expect(nobody(method, path, {"displayName": "x"} if method == "POST" else None), 403)
    expect(nobody("GET", f"/users/{FAX}/mailFolders/inbox"), 403, "ErrorAccessDenied")


def test_owned_by_reaches_own_applications_only(emulator: Emulator, graph: Graph) -> None:
    limited = Graph(emulator, OWNED_BY)
    foreign, own = graph.application(), limited.application()
    expect(limited("GET", f"/applications/{foreign['id']}"))
    expect(limited("PATCH", f"/applications/{foreign['id']}", {"notes": "x"}), 403)
    expect(limited("POST", f"/applications/{foreign['id']}/addPassword"), 403)
    expect(limited("DELETE", f"/applications/{foreign['id']}"), 403)
    text = "the backing application of the service principal being created must in the local tenant"
    expect(limited("POST", "/servicePrincipals", {"appId": foreign["appId"]}), 403, text=text)
    principal = limited.principal(own)
    expect(limited("POST", f"/applications/{own['id']}/addPassword"))
    body = {"principalId": principal["id"], "resourceId": limited.resource(EXCHANGE), "appRoleId": FULL_ACCESS}
    expect(limited("POST", f"/servicePrincipals/{principal['id']}/appRoleAssignments", body), 403)
    # Made an owner by somebody who may, it may as well.
    me = expect(limited("GET", f"/servicePrincipals(appId='{OWNED_BY}')"))["id"]
    reference = {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{me}"}
    expect(graph("POST", f"/applications/{foreign['id']}/owners/$ref", reference), 204)
    expect(limited("PATCH", f"/applications/{foreign['id']}", {"notes": "x"}), 204)


def test_a_caller_whose_service_principal_is_gone(emulator: Emulator, graph: Graph) -> None:
    limited = Graph(emulator, OWNED_BY)
    me = expect(limited("GET", f"/servicePrincipals(appId='{OWNED_BY}')"))["id"]
    expect(graph("DELETE", f"/servicePrincipals/{me}"), 204)
    expect(limited("GET", "/applications"), 401, "Authorization_IdentityNotFound")


def test_a_mail_folder(emulator: Emulator) -> None:
    mailer = Graph(emulator, MAILER)
    path = "/users/{}/mailFolders/inbox?$select=id"
    assert expect(mailer("GET", path.format(FAX)))["id"]
    expect(mailer("GET", path.format(ADELE)), 403, "ErrorAccessDenied", "[RAOP]")
    expect(mailer("GET", path.format(f"fax-group@{DOMAIN}")), 404, "ErrorInvalidUser")
    expect(mailer("GET", path.format(f"nobody@{DOMAIN}")), 404, "ErrorInvalidUser")


# --- batches ----------------------------------------------------------------------------------------------------------


def part(number: int, method: str, url: str, body: t.Any = None, *after: int) -> dict[str, t.Any]:
    made: dict[str, t.Any] = {"id": str(number), "method": method, "url": url}
    if body is not None:
        made |= {"body": body, "headers": {"Content-Type": "application/json"}}
    return {**made, "dependsOn": [str(name) for name in after]} if after else made


def test_a_batch(graph: Graph, emulator: Emulator) -> None:
    parts = [
        part(1, "PATCH", "/applications(uniqueName='a')", {"displayName": "A"}),
        part(2, "GET", f"/servicePrincipals(appId='{EXCHANGE}')?$select=id"),
        part(3, "GET", f"/applications/{uuid.uuid4()}"),
        part(4, "GET", "/applications", None, 3),
        part(5, "POST", "applications", {"displayName": "B"}, 2),
    ]
    emulator.clear_journal()
    answers = {a["id"]: a for a in expect(graph("POST", "/$batch", {"requests": parts}))["responses"]}
    assert {name: a["status"] for name, a in answers.items()} == {"1": 404, "2": 200, "3": 404, "4": 424, "5": 201}
    assert answers["4"]["body"]["error"]["code"] == "FailedDependency"
    assert answers["5"]["body"]["displayName"] == "B"
    rows = emulator.journal()
    assert [row["path"] for row in rows if "batch" not in row] == ["/v1.0/$batch"]
    assert len([row for row in rows if row.get("batch") == rows[0]["seq"]]) == 4  # the fourth was never tried


def test_batches_that_are_refused(graph: Graph) -> None:
    many = [part(number, "GET", "/applications") for number in range(21)]
    expect(graph("POST", "/$batch", {"requests": many}), 400, "MaximumValueExceeded")
    twice = [part(1, "GET", "/applications"), part(1, "GET", "/applications")]
    expect(graph("POST", "/$batch", {"requests": twice}), 400, text="unique")
    circle = [part(1, "GET", "/applications", None, 2), part(2, "GET", "/applications", None, 1)]
    expect(graph("POST", "/$batch", {"requests": circle}), 400)
    expect(graph("POST", "/$batch", {}), 400)
    bare = {**part(1, "POST", "/applications", {"displayName": "x"}), "headers": {}}
    answers = expect(graph("POST", "/$batch", {"requests": [bare]}))["responses"]
    assert answers[0]["status"] == 400


# --- envelopes and speed ----------------------------------------------------------------------------------------------


def test_every_answer_can_be_traced(graph: Graph, emulator: Emulator) -> None:
    mine = str(uuid.uuid4())
    answer = graph("GET", f"/applications/{uuid.uuid4()}", client_request_id=mine)
    inner = answer.json()["error"]["innerError"]
    assert answer.headers["client-request-id"] == inner["client-request-id"] == mine
    assert answer.headers["request-id"] == inner["request-id"]
    assert emulator.journal()[-1]["client_request_id"] == mine


def test_a_large_tenant_answers_as_quickly() -> None:
    tenant = {**TENANTS["tenants"][0], "service_principals": 5000}
    with start_emulator({"tenants": [tenant]}) as emulator:
        graph = Graph(emulator)
        paths = [
            f"/servicePrincipals(appId='{EXCHANGE}')?$select=id",
            f"/servicePrincipals?$filter=appId eq '{OPERATOR}'&$select=id",
            "/servicePrincipals?$filter=startswith(displayName,'Line of business 0499')&$select=id",
        ]
        for path in paths:
            expect(graph("GET", path))
            # What it works, not what it waits: the machine may have more to do.
            worked = emulator.worked()
            for _unused in range(10):
                expect(graph("GET", path))
            assert (emulator.worked() - worked) / 10 < 0.05, path


# --- replication ------------------------------------------------------------------------------------------------------


def patiently(graph: Graph, method: str, path: str, body: t.Any = None) -> requests.Response:
    """Past throttling and conflicts, which these profiles hand out at random."""
    while True:
        answer = graph(method, path, body)
        if answer.status_code not in (409, 429) or "in use" in answer.text:
            return answer


def test_newborn_objects_are_not_seen_at_once(emulator: Emulator) -> None:
    tenant = {**TENANTS["tenants"][0], "service_principals": 0}
    with start_emulator({"tenants": [tenant]}, profile="storm") as storm:
        graph = Graph(storm)

        def ask(method: str, path: str, body: t.Any = None) -> requests.Response:
            return patiently(graph, method, path, body)

        app = expect(ask("POST", "/applications", {"displayName": "A", "uniqueName": "a"}), 201)
        expect(ask("GET", f"/applications/{app['id']}"), 404, "Request_ResourceNotFound")
        expect(ask("POST", f"/applications/{app['id']}/addPassword"), 404)
        expect(ask("POST", "/servicePrincipals", {"appId": app["appId"]}), 400, text="does not reference a valid")
        assert app["id"] not in [a["id"] for a in expect(ask("GET", "/applications"))["value"]]
        with pytest.raises(EmulatorError, match="AADSTS700016"):
            storm.token(TENANT, app["appId"], "any")
        storm.clock(seconds=20)
        expect(ask("GET", f"/applications/{app['id']}"))
        secret = expect(ask("POST", f"/applications/{app['id']}/addPassword"))["secretText"]
        storm.clock(seconds=30)
        principal = expect(ask("POST", "/servicePrincipals", {"appId": app["appId"]}), 201)
        exchange = expect(ask("GET", f"/servicePrincipals(appId='{EXCHANGE}')"))["id"]
        body = {"principalId": principal["id"], "resourceId": exchange, "appRoleId": FULL_ACCESS}
        path = f"/servicePrincipals/{exchange}/appRoleAssignedTo"
        expect(ask("POST", path, body), 400, text="Not a valid reference update")
        with pytest.raises(EmulatorError, match="AADSTS7000229"):
            storm.token(TENANT, app["appId"], secret)
        storm.clock(seconds=20)
        expect(ask("POST", path, body), 201)

        def claims() -> bytes:
            token = storm.token(TENANT, app["appId"], secret, "https://outlook.office365.com")
            return base64.urlsafe_b64decode(token.split(".")[1] + "==")

        assert b"full_access_as_app" not in claims()  # granted, and not yet in a token
        storm.clock(seconds=20)
        assert b"full_access_as_app" in claims()


def test_a_change_is_not_read_back_at_once() -> None:
    tenant = {**TENANTS["tenants"][0], "service_principals": 0}
    with start_emulator({"tenants": [tenant]}, profile="storm") as storm:
        graph = Graph(storm)
        app = expect(patiently(graph, "POST", "/applications", {"displayName": "Before"}), 201)
        storm.clock(seconds=20)
        path = f"/applications/{app['id']}"
        assert patiently(graph, "PATCH", path, {"displayName": "After"}).status_code == 204
        read = {expect(patiently(graph, "GET", path))["displayName"] for _unused in range(30)}
        assert read == {"Before", "After"}
        assert "Before" not in [a["displayName"] for a in storm.state(TENANT)["applications"]]
        storm.clock(seconds=20)
        assert {expect(patiently(graph, "GET", path))["displayName"] for _unused in range(10)} == {"After"}


def test_a_storm_throttles_and_conflicts() -> None:
    tenant = {**TENANTS["tenants"][0], "service_principals": 0}
    with start_emulator({"tenants": [tenant]}, profile="storm") as storm:
        graph = Graph(storm)
        app = expect(patiently(graph, "POST", "/applications", {"displayName": "A"}), 201)
        storm.clock(seconds=20)
        answers = [graph("PATCH", f"/applications/{app['id']}", {"notes": str(n)}) for n in range(60)]
        seen = {answer.status_code for answer in answers}
        assert seen == {204, 409, 429}
        throttled = next(answer for answer in answers if answer.status_code == 429)
        assert throttled.headers["Retry-After"] == "1"
        conflict = next(answer for answer in answers if answer.status_code == 409)
        expect(conflict, 409, "Directory_ConcurrencyViolation")
