# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator as a process: start and end, state file, control API, faults, journal, exposures, proxy."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import typing as t

import pytest
import requests
import yaml

from tests.emulator.testing import DEMO_TENANT, ROOT, Emulator, EmulatorError, start_emulator
from tests.fidelity.tenant import EXCHANGE, EXCHANGE_APP, FULL_ACCESS, GRAPH, OPERATOR, SECRET, TENANT, Tenant


@pytest.fixture(scope="module")
def emulator() -> t.Iterator[Emulator]:
    with start_emulator() as running:
        yield running


@pytest.fixture(autouse=True)
def clean(emulator: Emulator) -> t.Iterator[None]:
    yield
    emulator.reset()
    emulator.clear_journal()


@pytest.fixture
def tenant(emulator: Emulator) -> Tenant:
    made = Tenant(emulator)
    emulator.clear_journal()
    return made


# --- the process ------------------------------------------------------------------------------------------------------


def launch(*options: str, **more: t.Any) -> tuple[subprocess.Popen[bytes], dict[str, t.Any]]:
    command = [sys.executable, "-m", "tests.emulator", "serve", "--tenants", str(DEMO_TENANT), *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, **more)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_one_line_and_ends_on_a_signal(number: signal.Signals) -> None:
    process, ready = launch()
    assert sorted(ready) == ["ca", "control", "pid", "ports", "proxy"]
    assert ready["pid"] == process.pid
    assert requests.get(ready["control"] + "/journal", timeout=5, proxies={"http": ""}).json() == []
    process.send_signal(number)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert process.wait(timeout=30) == 0
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    # It is started often. (What it waits for a processor is not its fault.)
    assert used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime < 5
    assert process.stdout is not None
    assert process.stdout.read() == b""
    assert not pathlib.Path(ready["ca"]).exists()
    process.stdout.close()


def test_it_ends_with_its_parent() -> None:
    with subprocess.Popen(["sleep", "600"]) as parent:
        process, _ready = launch("--parent", str(parent.pid))
        assert process.poll() is None
        parent.kill()
        parent.wait()
        assert process.wait(timeout=5) == 0
        assert process.stdout is not None
        process.stdout.close()


def test_it_ends_with_its_standard_input() -> None:
    process, _ready = launch("--stdin", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=5) == 0
    assert process.stdout is not None
    process.stdout.close()


def test_a_tenants_file_with_a_typo_is_refused() -> None:
    tenant = {"id": TENANT, "domains": ["x.onmicrosoft.com"], "mailboxs": []}
    with pytest.raises(EmulatorError, match="mailboxs"), start_emulator({"tenants": [tenant]}):
        pass


def test_every_text_that_is_asked_for_exists() -> None:
    texts = yaml.safe_load((ROOT / "tests/emulator/texts.yml").read_text(encoding="utf-8"))
    asked: dict[str, set[str]] = {"graph": set(), "entra": set(), "mail": set()}
    for source in (ROOT / "tests/emulator").glob("*.py"):
        code = source.read_text(encoding="utf-8")
        for key in re.findall(r"""(?:GraphError|QueryError)\(\s*"([a-z_.]+)\"""", code):
            section, _unused, name = key.rpartition(".")
            asked[section or "graph"].add(name)
        asked["graph"] |= set(re.findall(r"""\berror\(world, \w+, "([a-z_]+)\"""", code))
        asked["entra"] |= set(re.findall(r"""SignInRefused\(\s*"(\d+)\"""", code))
    for section, names in asked.items():
        assert names
        assert names <= set(texts[section]), section


def test_nothing_leaves_the_machine(emulator: Emulator) -> None:
    with emulator.session() as session:
        for url in ("https://example.com/", "https://graph.microsoft.com.evil.example/", "http://example.com/"):
            if url.startswith("https"):
                with pytest.raises(requests.exceptions.ProxyError, match="403"):
                    session.get(url, timeout=5)
            else:
                assert session.get(url, timeout=5).status_code == 403
        with pytest.raises(requests.exceptions.ProxyError, match="403"):
            session.get("https://graph.microsoft.com:8443/", timeout=5)
    refused = [row["host"] for row in emulator.journal() if row["status"] == 403]
    assert refused == ["example.com", "graph.microsoft.com.evil.example", "example.com", "graph.microsoft.com"]


def test_every_microsoft_host_is_reached(emulator: Emulator) -> None:
    hosts = """
        login.microsoftonline.com login.microsoft.com login.windows.net sts.windows.net login.microsoftonline.us
        login.chinacloudapi.cn login.partner.microsoftonline.cn graph.microsoft.com graph.microsoft.us
        dod-graph.microsoft.us microsoftgraph.chinacloudapi.cn outlook.office365.com outlook.office.com
        outlook.office365.us outlook-dod.office365.us webmail.apps.mil partner.outlook.cn outlook.office365.cn
    """
    with emulator.session() as session:
        for host in hosts.split():
            status = session.get(f"https://{host}/v1.0/nothing", timeout=5).status_code
            assert status == (401 if "graph" in host else 404), host


@pytest.mark.skipif(not pathlib.Path("/proc/net/tcp").exists(), reason="reads /proc")
def test_it_listens_on_loopback_only(emulator: Emulator) -> None:
    listening = set()
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":
            address, _unused, port = fields[1].partition(":")
            listening.add((int(port, 16), address))
    ports = {int(url.rpartition(":")[2]) for url in (emulator.proxy, emulator.control)}
    assert {address for port, address in listening if port in ports} == {"0100007F"}


# --- state ------------------------------------------------------------------------------------------------------------


def test_the_state_survives_even_a_kill(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "state.sqlite"
    with start_emulator(state=file) as emulator:
        tenant = Tenant(emulator)
        app = tenant.application("Kept")
        secret = tenant.graph("POST", f"/applications/{app['id']}/addPassword").json()["secretText"]
        tenant.graph("POST", "/servicePrincipals", {"appId": app["appId"]})
        assert tenant.invoke("New-DistributionGroup", Name="Fax scope", Type="Security").status_code == 200
        token = emulator.token(TENANT, app["appId"], secret)
        emulator.clock(days=3)
        before = emulator.state()
        emulator.kill()
    with start_emulator(state=file) as emulator:
        assert emulator.state() == before
        assert len(before["tenants"][TENANT]["servicePrincipals"]) == 455
        with emulator.session() as session:
            # A token of the first life has outlived three days, but is still known for one of ours.
            headers = {"Authorization": f"Bearer {token}"}
            refused = session.get(f"{GRAPH}/applications", headers=headers, timeout=5)
            assert "expired" in refused.json()["error"]["message"]
        assert emulator.token(TENANT, app["appId"], secret)
        emulator.reset()
        assert [a["appId"] for a in emulator.state(TENANT)["applications"]] == [OPERATOR]
    with start_emulator(state=file) as emulator:
        assert [a["appId"] for a in emulator.state(TENANT)["applications"]] == [OPERATOR]


def test_two_starts_are_alike() -> None:
    with start_emulator() as first, start_emulator() as second:
        one, other = first.state(TENANT), second.state(TENANT)
    for kind, name in (("servicePrincipals", "id"), ("applications", "id"), ("appRoleAssignments", "id")):
        assert [item[name] for item in one[kind]] == [item[name] for item in other[kind]]
    for name in ("Guid", "ExternalDirectoryObjectId", "Sid", "ExchangeGuid"):
        assert [item[name] for item in one["mailboxes"]] == [item[name] for item in other["mailboxes"]]


def test_the_shape_of_the_state(emulator: Emulator, tenant: Tenant) -> None:
    tenant.invoke(
        "New-DistributionGroup", Name="Fax scope", Type="Security", Members=["fax@imagicleucdev.onmicrosoft.com"]
    )
    state = emulator.state(TENANT)
    assert {
        *("applications", "servicePrincipals", "appRoleAssignments", "oauth2PermissionGrants", "deletedItems"),
        *("groups", "mailboxes", "applicationAccessPolicies", "organizationConfig", "signIns"),
    } <= set(state)
    assert state["groups"][0]["members"] == ["fax@imagicleucdev.onmicrosoft.com"]
    assert {key: state["organizationConfig"][key] for key in ("EwsEnabled", "EwsAllowedAppIDs")} == {
        "EwsEnabled": None,
        "EwsAllowedAppIDs": None,
    }
    text = json.dumps(state)
    assert SECRET not in text
    assert '"_' not in text
    assert {item["audience"] for item in state["signIns"]} == {"https://graph.microsoft.com", EXCHANGE}


def test_several_tenants_are_strangers() -> None:
    second = "0b2f3f1d-8a01-4b43-9a51-5f3c1c5e7e1c"
    operator = {"client_id": OPERATOR, "client_secret": SECRET, "app_roles": ["Application.ReadWrite.All"]}
    tenants = [
        {"id": identifier, "domains": [f"t{number}.onmicrosoft.com"], "operators": [operator]}
        for number, identifier in enumerate((TENANT, second))
    ]
    with start_emulator({"tenants": tenants}) as emulator, emulator.session() as session:
        token = emulator.token(second, OPERATOR, SECRET)
        headers = {"Authorization": f"Bearer {token}"}
        session.post(f"{GRAPH}/applications", json={"displayName": "Mine"}, headers=headers, timeout=5)
        assert len(emulator.state(TENANT)["applications"]) == 1
        assert [a["displayName"] for a in emulator.state(second)["applications"]][1:] == ["Mine"]
        assert [row["tenant"] for row in emulator.journal()] == [second, second]


# --- journal and exposures --------------------------------------------------------------------------------------------


def test_the_journal_names_every_request_and_no_secret(emulator: Emulator, tenant: Tenant) -> None:
    tenant.graph("GET", "/applications?$top=1")
    tenant.invoke("Get-Mailbox", Identity="fax@imagicleucdev.onmicrosoft.com")
    tenant.batch(tenant.command("Get-OrganizationConfig"), tenant.command("Get-Nonsense"))
    emulator.token(TENANT, OPERATOR, SECRET)
    rows = emulator.journal()
    assert [(row["host"], row["method"], row["path"], row["cmdlet"], row["status"]) for row in rows] == [
        ("graph.microsoft.com", "GET", "/v1.0/applications", None, 200),
        ("outlook.office365.com", "POST", f"/adminapi/beta/{TENANT}/InvokeCommand", "Get-Mailbox", 200),
        ("outlook.office365.com", "POST", f"/adminapi/beta/{TENANT}/$batch", None, 200),
        ("outlook.office365.com", "POST", f"/adminapi/beta/{TENANT}/InvokeCommand", "Get-OrganizationConfig", 200),
        ("outlook.office365.com", "POST", f"/adminapi/beta/{TENANT}/InvokeCommand", "Get-Nonsense", 403),
        ("login.microsoftonline.com", "POST", f"/{TENANT}/oauth2/v2.0/token", None, 200),
    ]
    assert [row["tenant"] for row in rows] == [TENANT] * 6
    assert [row.get("batch") for row in rows] == [None, None, None, rows[2]["seq"], rows[2]["seq"], None]
    assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
    assert SECRET not in json.dumps(rows)
    assert "Bearer" not in json.dumps(rows)


def test_exposures(emulator: Emulator, tenant: Tenant) -> None:
    app = tenant.application("Fax")
    principal = tenant.graph("POST", "/servicePrincipals", {"appId": app["appId"]}).json()
    exchange = tenant.graph("GET", f"/servicePrincipals(appId='{EXCHANGE_APP}')?$select=id").json()["id"]
    assert tenant.invoke("New-DistributionGroup", Name="Fax scope", Type="Security").status_code == 200
    policy = {"AppId": [app["appId"]], "PolicyScopeGroupId": "Fax scope", "AccessRight": "RestrictAccess"}
    made = tenant.invoke("New-ApplicationAccessPolicy", **policy)
    assert made.status_code == 200, made.text
    body = {"principalId": principal["id"], "resourceId": exchange, "appRoleId": FULL_ACCESS}
    assert tenant.graph("POST", f"/servicePrincipals/{exchange}/appRoleAssignedTo", body).status_code == 201
    assert emulator.exposures() == []

    identity = made.json()["value"][0]["Identity"]
    removed = tenant.batch(
        tenant.command("Remove-ApplicationAccessPolicy", Identity=identity),
        tenant.command("New-ApplicationAccessPolicy", **policy),
    )
    assert [part["status"] for part in removed.json()["responses"]] == [200, 200]
    # The moment between the two parts counts, though both came in one request.
    exposed = emulator.exposures()
    assert [(e["appId"], e["after"]["cmdlet"]) for e in exposed] == [(app["appId"], "Remove-ApplicationAccessPolicy")]
    emulator.clear_journal()
    disabled = {"accountEnabled": False}
    assert tenant.graph("PATCH", f"/servicePrincipals/{principal['id']}", disabled).status_code == 204
    tenant.invoke("Remove-ApplicationAccessPolicy", Identity=identity)
    assert emulator.exposures() == []
    tenant.graph("PATCH", f"/servicePrincipals/{principal['id']}", {"accountEnabled": True})
    assert [e["appId"] for e in emulator.exposures()] == [app["appId"]]


def test_a_policy_that_only_denies_restricts_nothing() -> None:
    entry = yaml.safe_load(DEMO_TENANT.read_text(encoding="utf-8"))["tenants"][0]
    app_id = "33333333-0000-4000-8000-000000000001"
    entry |= {
        "applications": [{"displayName": "Fax", "appId": app_id, "app_roles": ["full_access_as_app"]}],
        "groups": [{"name": "Board", "alias": "board"}],
        "policies": [{"app_id": app_id, "group": "board", "access_right": "DenyAccess"}],
    }
    with start_emulator({"tenants": [entry]}) as emulator:
        tenant = Tenant(emulator)
        tenant.application("Anything")
        assert [e["appId"] for e in emulator.exposures()] == [app_id]
        policy = {"AppId": [app_id], "PolicyScopeGroupId": "board", "AccessRight": "RestrictAccess"}
        emulator.clear_journal()
        identity = emulator.state(TENANT)["applicationAccessPolicies"][0]["Identity"]
        tenant.invoke("Remove-ApplicationAccessPolicy", Identity=identity)
        emulator.clear_journal()
        assert tenant.invoke("New-ApplicationAccessPolicy", **policy).status_code == 200
        assert emulator.exposures() == []


# --- faults -----------------------------------------------------------------------------------------------------------


def test_a_status_for_the_nth_request(emulator: Emulator, tenant: Tenant) -> None:
    effect = {"status": 429, "headers": {"Retry-After": 7}, "body": {"error": {"code": "TooManyRequests"}}}
    rule = {"match": {"host": "graph.microsoft.com", "method": "GET", "path_regex": r"/applications$"}}
    emulator.faults([{**rule, "nth": 2, "effect": effect}])
    statuses = [tenant.graph("GET", path).status_code for path in ("/applications", "/domains", "/applications")]
    assert statuses == [200, 403, 429]
    emulator.faults([{**rule, "times": 1, "effect": effect}])
    answer = tenant.graph("GET", "/applications")
    assert (answer.headers["Retry-After"], answer.json()["error"]["code"]) == ("7", "TooManyRequests")
    assert tenant.graph("GET", "/applications").status_code == 200
    assert emulator.fault_rules()[0]["seen"] == 2
    assert emulator.journal()[-2]["status"] == 429


def test_a_dropped_connection_before_and_after_the_work(emulator: Emulator, tenant: Tenant) -> None:
    match = {"method": "POST", "path_regex": "/applications"}
    body = {"displayName": "Dropped"}
    emulator.faults([{"match": match, "nth": 1, "effect": "drop_before"}])
    with pytest.raises(requests.exceptions.ConnectionError):
        tenant.graph("POST", "/applications", body)
    assert len(emulator.state(TENANT)["applications"]) == 1
    emulator.faults([{"match": match, "nth": 1, "effect": "drop_after"}])
    with pytest.raises(requests.exceptions.ConnectionError):
        tenant.graph("POST", "/applications", body)
    assert [a["displayName"] for a in emulator.state(TENANT)["applications"]][1:] == ["Dropped"]
    rows = emulator.journal()
    assert [row["status"] for row in rows] == [None, 201]
    assert tenant.graph("POST", "/applications", body).status_code == 201


def test_work_done_whose_answer_is_replaced(emulator: Emulator, tenant: Tenant) -> None:
    emulator.faults([{"match": {"method": "POST"}, "nth": 1, "effect": {"status": 404, "after": True}}])
    assert tenant.graph("POST", "/applications", {"displayName": "Written"}).status_code == 404
    assert len(emulator.state(TENANT)["applications"]) == 2


def test_faults_reach_the_parts_of_a_graph_batch(emulator: Emulator, tenant: Tenant) -> None:
    emulator.faults([{"match": {"path_regex": r"/v1\.0/domains"}, "effect": {"status": 503}}])
    parts = [{"id": name, "method": "GET", "url": f"/{name}"} for name in ("applications", "domains")]
    answer = tenant.graph("POST", "/$batch", {"requests": parts})
    assert {part["id"]: part["status"] for part in answer.json()["responses"]} == {"applications": 200, "domains": 503}
    emulator.faults([{"match": {"path_regex": r"/v1\.0/domains"}, "effect": "drop_before"}])
    with pytest.raises(requests.exceptions.ConnectionError):
        tenant.graph("POST", "/$batch", {"requests": parts})


def test_faults_by_cmdlet(emulator: Emulator, tenant: Tenant) -> None:
    effect = {"status": 400, "body": {"error": {"code": "BadRequest", "message": "ServerBusyException"}}}
    emulator.faults([{"match": {"cmdlet": "Get-Mailbox"}, "times": 2, "effect": effect}])
    assert tenant.invoke("get-mailbox").status_code == 400
    answer = tenant.batch(tenant.command("Get-Mailbox"), tenant.command("Get-OrganizationConfig"))
    assert [part["status"] for part in answer.json()["responses"]] == [400, 200]
    assert [row["status"] for row in emulator.journal()] == [400, 200, 400, 200]
    assert tenant.invoke("Get-Mailbox").status_code == 200


def test_an_exchange_batch_that_is_dropped(emulator: Emulator, tenant: Tenant) -> None:
    make = tenant.command("New-DistributionGroup", Name="Fax scope", Type="Security")
    emulator.faults([{"match": {"cmdlet": "New-DistributionGroup"}, "nth": 1, "effect": "drop_before"}])
    with pytest.raises(requests.exceptions.ConnectionError):
        tenant.batch(make)
    assert emulator.state(TENANT)["groups"] == []
    emulator.faults([{"match": {"cmdlet": "New-DistributionGroup"}, "nth": 1, "effect": "drop_after"}])
    with pytest.raises(requests.exceptions.ConnectionError):
        tenant.batch(make)
    assert [group["Name"] for group in emulator.state(TENANT)["groups"]] == ["Fax scope"]


def test_a_delay(emulator: Emulator, tenant: Tenant) -> None:
    emulator.faults([{"match": {"path_regex": "/applications"}, "nth": 1, "effect": {"delay_s": 0.4}}])
    ended: dict[str, float] = {}

    def ask(path: str) -> None:
        tenant.graph("GET", path)
        ended[path] = time.monotonic()

    start = time.monotonic()
    slow = threading.Thread(target=ask, args=("/applications",))
    slow.start()
    Tenant(emulator).graph("GET", "/servicePrincipals?$top=1")
    quick = time.monotonic()
    slow.join()
    assert ended["/applications"] - start >= 0.4
    assert quick < ended["/applications"]  # others are not held up


def test_a_stale_replica(emulator: Emulator, tenant: Tenant) -> None:
    app = tenant.application("Before")
    path = f"/applications/{app['id']}"
    emulator.faults([{"match": {"method": "GET"}, "times": 2, "effect": {"stale_s": 60}}])
    assert tenant.graph("PATCH", path, {"displayName": "After"}).status_code == 204
    new = tenant.application("New")
    names = [a["displayName"] for a in tenant.graph("GET", "/applications?$select=displayName").json()["value"]]
    assert sorted(names) == ["Before", "Provisioning operator"]
    assert tenant.graph("GET", f"/applications/{new['id']}").status_code == 404
    assert tenant.graph("GET", path).json()["displayName"] == "After"
    # A write is never stale, and reading the past changes nothing.
    assert [a["displayName"] for a in emulator.state(TENANT)["applications"]][1:] == ["After", "New"]


def test_a_stale_read_of_exchange(emulator: Emulator, tenant: Tenant) -> None:
    emulator.faults([{"match": {"cmdlet": "Get-DistributionGroup"}, "nth": 1, "effect": {"stale_s": 60}}])
    assert tenant.invoke("New-DistributionGroup", Name="Fax scope", Type="Security").status_code == 200
    assert tenant.invoke("Get-DistributionGroup", Identity="Fax scope").status_code == 404
    assert tenant.invoke("Get-DistributionGroup", Identity="Fax scope").status_code == 200


def test_a_stale_part_of_an_exchange_batch(emulator: Emulator, tenant: Tenant) -> None:
    emulator.faults([{"match": {"cmdlet": "Get-DistributionGroup"}, "nth": 1, "effect": {"stale_s": 60}}])
    assert tenant.invoke("New-DistributionGroup", Name="Fax scope", Type="Security").status_code == 200
    parts = [tenant.command(name, Identity="Fax scope") for name in ("Get-Recipient", "Get-DistributionGroup")]
    answers = [tenant.batch(*parts).json()["responses"] for _time in range(2)]
    # The other part does not meet the rule.
    assert [[part["status"] for part in responses] for responses in answers] == [[200, 404], [200, 200]]


@pytest.mark.parametrize(
    "rule",
    [
        {"effect": "explode"},
        {"match": {"hots": "x"}, "effect": "drop_before"},
        {"match": {"path_regex": "("}, "effect": "drop_before"},
        {"match": {}},
        {"nth": 1, "effect": {}},
    ],
)
def test_rules_that_mean_nothing_are_refused(emulator: Emulator, rule: dict[str, t.Any]) -> None:
    emulator.faults([{"match": {"host": "nowhere"}, "effect": "drop_before"}])
    with pytest.raises(EmulatorError):
        emulator.faults([rule])
    assert len(emulator.fault_rules()) == 1


def test_reset_ends_faults_and_sets_the_clock(emulator: Emulator, tenant: Tenant) -> None:
    tenant.application("x")
    emulator.clock(days=700)
    emulator.faults([{"effect": {"status": 500}}])
    emulator.reset()
    assert emulator.fault_rules() == []
    assert len(emulator.state(TENANT)["applications"]) == 1
    assert Tenant(emulator).graph("GET", "/applications").status_code == 200


def test_a_client_in_another_process_finds_its_way(emulator: Emulator) -> None:
    """Nothing but the environment leads there."""
    code = "import requests; print(requests.get('https://login.microsoftonline.com/common/discovery/keys').status_code)"
    environment = {**os.environ, **emulator.env()}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "200"


def test_groups_of_a_tenants_file_may_be_of_any_kind() -> None:
    tenant: dict[str, t.Any] = {"id": "969d5b92-bc05-403f-b576-97201b665e65", "domains": ["contoso.com"]}
    kinds = ("MailUniversalSecurityGroup", "MailUniversalDistributionGroup", "GroupMailbox", "DynamicDistributionGroup")
    groups = [{"name": kind, "alias": kind.lower(), "type": kind, "members": []} for kind in kinds]
    with start_emulator({"tenants": [{**tenant, "groups": groups}]}) as emulator:
        state = emulator.state(tenant["id"])
    there = {one["RecipientTypeDetails"]: one["PrimarySmtpAddress"] for one in state["groups"] + state["mailboxes"]}
    assert there == {kind: f"{kind.lower()}@contoso.com" for kind in kinds}
    unknown = {**tenant, "groups": [{"name": "Fax", "type": "Klub"}]}
    with pytest.raises(EmulatorError, match="group Fax: no group type 'Klub'"), start_emulator({"tenants": [unknown]}):
        pass


# --- what every tenant has besides ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"Host": "rebound.example:80"},
        {"Host": "127.0.0.1.rebound.example"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_the_control_api_is_for_programs_of_this_machine(emulator: Emulator, headers: dict[str, str]) -> None:
    with requests.Session() as session:
        session.trust_env = False
        for method, path in (("POST", "/reset"), ("POST", "/clock"), ("GET", "/state"), ("DELETE", "/journal")):
            refused = session.request(
                method, emulator.control + path, data="advance_days=1", headers=headers, timeout=5
            )
            assert refused.status_code == 403, (method, path)
        own = {"Host": f"localhost:{emulator.control.rpartition(':')[2]}"}
        assert session.get(emulator.control + "/clock", headers=own, timeout=5).json()["offset_s"] == 0


def test_an_answer_tells_the_worlds_time(emulator: Emulator, tenant: Tenant) -> None:
    emulator.clock(days=400)
    with emulator.session() as session:
        answer = session.get(f"{GRAPH}/organization", timeout=5)
    then = email.utils.parsedate_to_datetime(answer.headers["Date"])
    assert 399 < (then - dt.datetime.now(dt.UTC)) / dt.timedelta(days=1) < 401


def test_resource_manager_answers_with_no_subscription(emulator: Emulator) -> None:
    for audience in ("https://management.core.windows.net/", "https://management.azure.com"):
        token = emulator.token(TENANT, OPERATOR, SECRET, audience)
        with emulator.session() as session:
            answer = session.get(
                "https://management.azure.com/subscriptions?api-version=2022-12-01",
                headers={"Authorization": f"Bearer {token}"},
                timeout=5,
            )
            assert (answer.status_code, answer.json()["value"]) == (200, [])
            assert session.get("https://management.azure.com/subscriptions", timeout=5).status_code == 401


def test_a_property_has_a_path_of_its_own(tenant: Tenant) -> None:
    graph = tenant.graph("GET", "/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')").json()
    answer = tenant.graph("GET", f"/servicePrincipals/{graph['id']}/oauth2PermissionScopes")
    assert answer.status_code == 200, answer.text
    assert answer.json()["value"] == graph["oauth2PermissionScopes"]
    assert tenant.graph("GET", f"/servicePrincipals/{graph['id']}/displayName").json()["value"] == "Microsoft Graph"
    assert tenant.graph("GET", f"/servicePrincipals/{graph['id']}/description").status_code == 204
    assert tenant.graph("GET", f"/servicePrincipals/{graph['id']}/nonsense").status_code == 400
    assert tenant.graph("GET", "/servicePrincipals/nonsense/displayName").status_code == 400


def test_grants_of_one_user_and_duplicates_stand_in_a_tenants_file() -> None:
    entry = yaml.safe_load(DEMO_TENANT.read_text(encoding="utf-8"))["tenants"][0]
    adele = "AdeleV@imagicleucdev.onmicrosoft.com"
    entry["applications"] = [
        {
            "displayName": "Fax",
            "app_roles": ["full_access_as_app", "full_access_as_app"],
            "delegated": [{"scopes": ["User.Read"]}, {"scopes": ["Mail.Read"], "user": adele}],
        }
    ]
    entry["resources"] = [{"app_id": "00000012-0000-0000-c000-000000000000", "display_name": "Rights Management"}]
    with start_emulator({"tenants": [entry]}) as emulator:
        state = emulator.state(TENANT)
        assert [(grant["consentType"], grant["scope"]) for grant in state["oauth2PermissionGrants"]] == [
            ("AllPrincipals", "User.Read"),
            ("Principal", "Mail.Read"),
        ]
        assert sum(grant["appRoleId"] == FULL_ACCESS for grant in state["appRoleAssignments"]) == 2
        assert "Rights Management" in {principal["displayName"] for principal in state["servicePrincipals"]}
