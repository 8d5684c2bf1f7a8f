# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Exchange admin endpoint over the wire: a real sign-in, real host names, proxy, journal and state file."""

from __future__ import annotations

import pathlib
import typing as t
import zlib

import pytest
import requests

from tests.emulator.testing import Emulator, start_emulator

TENANT = "5f3c1c5e-7e1c-4b43-9a51-0b2f3f1d8a02"
DOMAIN = "fabrikam.onmicrosoft.com"
SECRET = "operator-secret"
ADMINISTRATOR, READER, ROLELESS = (f"33333333-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))
APP = "33333333-0000-4000-8000-00000000000a"
HOST = "https://outlook.office365.com"
BYPASS = {"BypassSecurityGroupManagerCheck": True}

TENANTS = {
    "tenants": [
        {
            "id": TENANT,
            "domains": [DOMAIN],
            "operators": [
                {
                    "client_id": ADMINISTRATOR,
                    "client_secret": SECRET,
                    "app_roles": ["Exchange.ManageAsApp"],
                    "directory_roles": ["Exchange Administrator"],
                },
                {
                    "client_id": READER,
                    "client_secret": SECRET,
                    "app_roles": ["Exchange.ManageAsApp"],
                    "directory_roles": ["Global Reader"],
                },
                {"client_id": ROLELESS, "client_secret": SECRET, "app_roles": ["Exchange.ManageAsApp"]},
            ],
            "mailboxes": [
                {"address": f"fax@{DOMAIN}", "display_name": "Digital Fax"},
                {"address": f"other@{DOMAIN}", "display_name": "Other", "admin": True},
            ],
            "groups": [{"name": "Old", "alias": "old", "type": "MailUniversalDistributionGroup"}],
            "service_principals": 0,
        }
    ]
}


class Client:
    """Posts cmdlets as an operator would."""

    def __init__(self, emulator: Emulator, client_id: str = ADMINISTRATOR, host: str = HOST) -> None:
        self.emulator, self.host = emulator, host
        token = emulator.token(TENANT, client_id, SECRET, "https://outlook.office365.com")
        self.session = emulator.session()
        self.session.headers["Authorization"] = f"Bearer {token}"
        self.session.headers["X-AnchorMailbox"] = f"APP:SystemMailbox{{bb558c35-97f1-4cb9-8ff7-d53741dc928c}}@{TENANT}"

    def post(
        self, cmdlet: str, parameters: dict[str, t.Any] | None = None, *, url: str | None = None
    ) -> requests.Response:
        return self.session.post(
            url or f"{self.host}/adminapi/beta/{TENANT}/InvokeCommand",
            json={"CmdletInput": {"CmdletName": cmdlet, "Parameters": parameters or {}}},
            timeout=30,
        )

    def run(self, cmdlet: str, **parameters: t.Any) -> list[dict[str, t.Any]]:
        answer = self.post(cmdlet, parameters)
        assert answer.status_code == 200, answer.text
        return t.cast("list[dict[str, t.Any]]", answer.json()["value"])


@pytest.fixture(scope="module")
def emulator() -> t.Iterator[Emulator]:
    with start_emulator(TENANTS) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(emulator: Emulator) -> None:
    emulator.reset()
    emulator.faults([])
    emulator.clear_journal()


def test_the_whole_scope_from_nothing_to_a_verdict(emulator: Emulator) -> None:
    client = Client(emulator)
    group = client.run(
        "New-DistributionGroup",
        Name="O'Hara $Fax \u200f",
        Alias="fax.group",
        Type="Security",
        Members=[f"fax@{DOMAIN}"],
    )[0]
    assert client.post("Get-ApplicationAccessPolicy").status_code == 404
    policy = client.run(
        "New-ApplicationAccessPolicy", AppId=APP, PolicyScopeGroupId=group["Guid"], AccessRight="RestrictAccess"
    )[0]
    assert policy["ScopeIdentity"] == "O'Hara $Fax \u200f"
    verdicts = [
        client.run("Test-ApplicationAccessPolicy", Identity=f"{name}@{DOMAIN}", AppId=APP)[0]["AccessCheckResult"]
        for name in ("fax", "other")
    ]
    assert verdicts == ["Granted", "Denied"]
    state = emulator.state(TENANT)
    assert [entry["members"] for entry in state["groups"] if entry["Alias"] == "fax.group"] == [[f"fax@{DOMAIN}"]]
    assert [entry["Identity"] for entry in state["applicationAccessPolicies"]] == [policy["Identity"]]
    client.run("Remove-ApplicationAccessPolicy", Identity=policy["Identity"])
    client.run("Remove-DistributionGroup", Identity=group["Guid"], **BYPASS)
    assert [entry["Alias"] for entry in emulator.state(TENANT)["groups"]] == ["old"]


def test_answer_on_the_wire(emulator: Emulator) -> None:
    answer = Client(emulator).post("Get-AcceptedDomain")
    assert answer.headers["Content-Type"].startswith("application/json;odata.metadata=minimal")
    assert answer.headers["OData-Version"] == "4.0"
    assert answer.headers["request-id"]
    assert answer.json()["@odata.context"].endswith("$metadata#Collection(Exchange.GenericHashTable)")


def test_a_cmdlet_out_of_reach_cannot_even_be_decoded(emulator: Emulator) -> None:
    client = Client(emulator, READER)
    assert len(client.run("Get-Mailbox")) == 2
    with pytest.raises((requests.exceptions.ContentDecodingError, zlib.error)):
        client.post("Remove-DistributionGroup", {"Identity": "old", **BYPASS})
    assert emulator.journal()[-1]["status"] == 403
    assert len(emulator.state(TENANT)["groups"]) == 1


def test_an_application_without_directory_role_is_told_which(emulator: Emulator) -> None:
    answer = Client(emulator, ROLELESS).post("Get-Mailbox")
    assert answer.status_code in (401, 403)
    assert f"assigned to application {ROLELESS} isn't supported in this scenario" in answer.text


def test_no_token_and_another_services_token(emulator: Emulator) -> None:
    url = f"{HOST}/adminapi/beta/{TENANT}/InvokeCommand"
    with emulator.session() as session:
        assert session.post(url, json={}, timeout=30).status_code == 401
        token = emulator.token(TENANT, ADMINISTRATOR, SECRET, "https://graph.microsoft.com")
        answer = session.post(url, json={}, headers={"Authorization": f"Bearer {token}"}, timeout=30)
        assert answer.status_code == 401
        assert "WWW-Authenticate" in answer.headers


def test_next_link_leads_back_to_the_emulator(emulator: Emulator) -> None:
    client = Client(emulator)
    client.session.headers["Prefer"] = "odata.maxpagesize=2"
    names, url = [], None
    for _page in range(2):
        page = client.post("Get-Recipient", {"ResultSize": "Unlimited"}, url=url).json()
        names += [row["Name"] for row in page["value"]]
        url = page.get("@odata.nextLink")
    assert url is None
    assert sorted(names) == ["Old", "fax", "other"]


def test_a_batch_stands_in_the_journal_with_its_parts(emulator: Emulator) -> None:
    client = Client(emulator)
    url = f"{HOST}/adminapi/beta/{TENANT}/InvokeCommand"
    parts = [
        {"id": "a", "method": "POST", "url": url, "body": {"CmdletInput": {"CmdletName": "Get-AcceptedDomain"}}},
        {
            "id": "b",
            "method": "POST",
            "url": url,
            "body": {"CmdletInput": {"CmdletName": "Get-Mailbox", "Parameters": {"Identity": "ghost"}}},
        },
    ]
    answer = client.session.post(f"{HOST}/adminapi/beta/{TENANT}/$batch", json={"requests": parts}, timeout=30)
    assert answer.status_code == 200
    assert {response["id"]: response["status"] for response in answer.json()["responses"]} == {"a": 200, "b": 404}
    rows = [row for row in emulator.journal() if "adminapi" in row["path"]]
    assert [(row["cmdlet"], row["status"]) for row in rows if row.get("batch")] == [
        ("Get-AcceptedDomain", 200),
        ("Get-Mailbox", 404),
    ]
    assert len([row for row in rows if not row.get("batch")]) == 1


def test_faults_find_a_cmdlet(emulator: Emulator) -> None:
    client = Client(emulator)
    emulator.faults([{"match": {"cmdlet": "Get-Mailbox"}, "times": 1, "effect": {"status": 503}}])
    assert client.post("Get-AcceptedDomain").status_code == 200
    assert client.post("Get-Mailbox").status_code == 503
    assert client.post("Get-Mailbox").status_code == 200


def test_lost_answer_after_the_work_was_done(emulator: Emulator) -> None:
    client = Client(emulator)
    emulator.faults([{"match": {"cmdlet": "New-DistributionGroup"}, "nth": 1, "effect": "drop_after"}])
    with pytest.raises(requests.exceptions.ConnectionError):
        client.post("New-DistributionGroup", {"Name": "Made", "Type": "Security"})
    assert client.run("Get-DistributionGroup", Identity="Made")[0]["Alias"] == "Made"


@pytest.mark.parametrize("host", ["https://outlook.office.com", "https://OUTLOOK.office365.com"])
def test_other_spellings_of_the_host(emulator: Emulator, host: str) -> None:
    assert Client(emulator, host=host).post("Get-AcceptedDomain").status_code == 200


def test_groups_policies_and_settings_survive_a_restart(tmp_path: pathlib.Path) -> None:
    state = tmp_path / "state.sqlite"
    with start_emulator(TENANTS, state=state) as emulator:
        client = Client(emulator)
        client.run("New-DistributionGroup", Name="Kept", Type="Security", Members=["fax"])
        client.run("New-ApplicationAccessPolicy", AppId=APP, PolicyScopeGroupId="Kept", AccessRight="RestrictAccess")
        client.run("Set-OrganizationConfig", EwsEnabled=True, EwsAllowedAppIDs=APP)
        client.run("Set-CASMailbox", Identity="other", EwsEnabled=False)
        before = emulator.state(TENANT)
        emulator.kill()
    with start_emulator(TENANTS, state=state) as emulator:
        assert emulator.state(TENANT) == before
        client = Client(emulator)
        assert client.run("Get-OrganizationConfig", RetrieveEwsOperationAccessPolicy=True)[0]["EwsAllowedAppIDs"] == APP
        assert client.run("Get-CASMailbox", Identity="other")[0]["EwsEnabled"] is False
        rows = client.run("Test-ApplicationAccessPolicy", Identity="other", AppId=APP)
        assert rows[0]["AccessCheckResult"] == "Denied"
