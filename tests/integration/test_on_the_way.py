# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens between here and Microsoft: connections that are cut, answers of something else, a wrong way in."""

from __future__ import annotations

import time
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.emulator.testing import DEMO_TENANT, Emulator, start_emulator
from tests.integration.harness import EXCHANGE, GRAPH, LOGIN, TENANT_ID, run

EVIL = "https://evil.example/x"
APPLICATION: dict[str, t.Any] = {"unique_name": "Fax", "display_name": "Fax", "permissions": []}
GROUP: dict[str, t.Any] = {"name": "Scope", "alias": "scope", "members": [], "owners": []}


@pytest.fixture(scope="module")
def running() -> t.Iterator[Emulator]:
    with start_emulator(DEMO_TENANT) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    return running.reset()


def cut(times: int, **match: str) -> list[dict[str, t.Any]]:
    return [{"match": match, "times": times, "effect": "drop_before"}]


def test_a_create_that_is_cut_some_times_is_made_once(emulator: Emulator):
    emulator.faults(cut(4, host=EXCHANGE, cmdlet="New-DistributionGroup"))
    result = run("exchange_security_group", GROUP, emulator)
    assert (result["outcome"], result["changed"]) == ("changed", True), result
    groups = [group for group in emulator.state(TENANT_ID)["groups"] if group.get("alias") == "scope"]
    assert len(groups) <= 1


def test_a_write_that_is_always_cut_costs_one_patience_and_not_several(emulator: Emulator):
    emulator.faults(cut(500, host=GRAPH, method="PATCH"))
    started = time.monotonic()
    result = run("entra_application", APPLICATION, emulator, patience=6)
    assert result["failed"], result
    assert time.monotonic() - started < 20
    assert result["error"]["kind"] == "AnswerLost"


@pytest.mark.parametrize("status", [200, 302])
def test_a_deletion_that_something_else_answers_is_not_done(emulator: Emulator, status: int):
    assert run("entra_application", APPLICATION, emulator)["changed"]
    effect = {"status": status, "headers": {"Location": EVIL}}
    emulator.faults([{"match": {"host": GRAPH, "method": "DELETE"}, "times": 50, "effect": effect}])
    result = run("entra_application", {**APPLICATION, "state": "absent"}, emulator)
    assert result["failed"], result
    assert "on the way" in result["msg"]
    assert [app["uniqueName"] for app in emulator.state(TENANT_ID)["applications"] if app["uniqueName"] == "Fax"]


def test_a_discovery_document_that_leads_elsewhere_gets_no_secret(emulator: Emulator):
    body = {"token_endpoint": EVIL, "authorization_endpoint": EVIL, "issuer": f"https://{LOGIN}/{TENANT_ID}/v2.0"}
    emulator.faults([{"match": {"host": LOGIN, "method": "GET"}, "times": 5, "effect": {"status": 200, "body": body}}])
    result = run("entra_application_info", {"unique_name": "Fax"}, emulator)
    assert result["failed"]
    assert "nothing was sent to it" in result["msg"]
    assert not [row for row in emulator.journal() if row["host"] not in (LOGIN, GRAPH)]


def test_a_busy_sign_in_is_waited_for_as_it_asks(emulator: Emulator):
    effect = {"status": 429, "headers": {"Retry-After": "2"}}
    emulator.faults([{"match": {"host": LOGIN, "method": "POST"}, "times": 1, "effect": effect}])
    started = time.monotonic()
    assert not run("entra_application_info", {"unique_name": "Fax"}, emulator).get("failed")
    assert time.monotonic() - started >= 2


def test_a_proxy_that_wants_a_user_is_told_at_once(emulator: Emulator):
    result = run(
        "entra_application_info", {"unique_name": "Fax"}, emulator, proxy="fax:p@ss/word@127.0.0.1:9", patience=1
    )
    assert result["failed"]
    assert "the proxy 127.0.0.1:9" in result["msg"]
    assert "p@ss" not in repr(result)


def test_a_managed_identity_is_asked_at_the_machine_whatever_proxy_is_named(monkeypatch: pytest.MonkeyPatch):
    operator = {"client_id": "99999999-0000-4000-8000-000000000001", "managed_identity": True, "app_roles": []}
    tenants = {"tenants": [{"id": TENANT_ID, "domains": ["x.onmicrosoft.com"], "operators": [operator]}]}
    with start_emulator(tenants) as emulator:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{emulator.control}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "x")
        environment = {name: value for name, value in emulator.env().items() if name.lower() != "no_proxy"}
        for proxy in (None, emulator.proxy):
            tenant = Tenant({"managed_identity": "system", "proxy": proxy}, environment=environment)
            token = tenant.sign_in.token(tenant.cloud.graph_audience)
            assert token.app_id == operator["client_id"]
            assert token.good_until is not None
