# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What limits our own application goes only when it certainly holds nothing that needs the limit."""

from __future__ import annotations

import pathlib
import time
import typing as t

import pytest

from tests.emulator.testing import DEMO_TENANT, Emulator, start_emulator
from tests.integration.chain import Chain
from tests.integration.harness import GRAPH, graph_as_a_person, run

Json = dict[str, t.Any]


@pytest.fixture(scope="module")
def running() -> t.Iterator[Emulator]:
    with start_emulator(DEMO_TENANT) as emulator:
        yield emulator


@pytest.fixture
def chain(running: Emulator, tmp_path: pathlib.Path) -> Chain:
    running.reset()
    running.faults([])
    return Chain(running, tmp_path)


def provisioned(chain: Chain) -> str:
    results = chain.run()
    assert results["probe"]["outcome"] in ("ok", "pending"), results["probe"]
    chain.emulator.clear_journal()
    return str(results["application"]["app_id"])


def take_policy(chain: Chain, app_id: str, check_mode: bool = False, **options: t.Any) -> Json:
    wanted = {"app_id": app_id, "group": "imagicle.digital.fax", "state": "absent", **options}
    return run("exchange_application_access_policy", wanted, chain.emulator, check_mode)


def policies(chain: Chain) -> int:
    return sum(len(tenant["applicationAccessPolicies"]) for tenant in chain.emulator.state()["tenants"].values())


def revoke(chain: Chain, app_id: str) -> None:
    run("entra_admin_consent", {"app_id": app_id, "exclusive": True, "state": "absent"}, chain.emulator)


def test_while_a_permission_is_held_the_policy_stays(chain: Chain):
    app_id = provisioned(chain)
    for revoked in (False, True):
        result = take_policy(chain, app_id, consent_revoked=revoked)
        assert (result["outcome"], policies(chain)) == ("blocked", 1)
        assert "full_access_as_app" in result["msg"]
    # In check mode a consent that would have been revoked counts as gone, and no other.
    assert take_policy(chain, app_id, True, consent_revoked=True)["outcome"] == "changed"
    assert take_policy(chain, app_id, True)["outcome"] == "blocked"
    revoke(chain, app_id)
    assert take_policy(chain, app_id)["outcome"] == "changed"
    assert policies(chain) == 0


def test_a_server_that_lags_behind_is_no_proof(chain: Chain):
    app_id = provisioned(chain)
    lags = {"error": {"code": "Request_ResourceNotFound", "message": "Resource does not exist."}}
    for path in (r"/servicePrincipals\(appId=", r"/servicePrincipals$", r"/appRoleAssignments", r"/applications"):
        for times in (1, 2):
            match = {"host": GRAPH, "path_regex": path}
            chain.emulator.faults([{"match": match, "times": times, "effect": {"status": 404, "body": lags}}])
            result = take_policy(chain, app_id)
            assert result["outcome"] in ("blocked", "failed"), (path, times, result)
            assert policies(chain) == 1


def test_a_refused_read_is_no_proof(chain: Chain):
    app_id = provisioned(chain)
    refused = {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges."}}
    chain.emulator.faults(
        [
            {
                "match": {"host": GRAPH, "path_regex": "/appRoleAssignments"},
                "times": 50,
                "effect": {"status": 403, "body": refused},
            }
        ]
    )
    result = take_policy(chain, app_id, consent_revoked=True)
    assert (result["outcome"], policies(chain)) == ("blocked", 1), result
    assert "Application.Read.All" in result["error"]["cure"]


def test_in_the_recycle_bin_is_not_gone(chain: Chain):
    app_id = provisioned(chain)
    [application] = graph_as_a_person(chain.emulator, "GET", f"/applications?$filter=appId eq '{app_id}'")["value"]
    graph_as_a_person(chain.emulator, "DELETE", f"/applications/{application['id']}")
    result = take_policy(chain, app_id)
    assert (result["outcome"], policies(chain)) == ("blocked", 1)
    assert "recycle bin" in result["msg"]
    assert "restore" in result["error"]["cure"]
    # Gone for good it holds nothing, and nobody has to have revoked anything.
    for item in graph_as_a_person(chain.emulator, "GET", "/directory/deletedItems/microsoft.graph.application")[
        "value"
    ]:
        graph_as_a_person(chain.emulator, "DELETE", f"/directory/deletedItems/{item['id']}")
    kind = "/directory/deletedItems/microsoft.graph.servicePrincipal"
    for item in graph_as_a_person(chain.emulator, "GET", kind)["value"]:
        graph_as_a_person(chain.emulator, "DELETE", f"/directory/deletedItems/{item['id']}")
    assert take_policy(chain, app_id)["outcome"] == "changed"


def test_one_that_a_run_of_ours_revoked_may_lie_in_the_recycle_bin(chain: Chain):
    app_id = provisioned(chain)
    revoke(chain, app_id)
    run("entra_application", {"app_id": app_id, "state": "absent"}, chain.emulator)
    assert take_policy(chain, app_id)["outcome"] == "blocked"
    assert take_policy(chain, app_id, consent_revoked=True)["outcome"] == "changed"


def test_a_key_that_was_removed_in_the_portal_is_told_and_not_waited_for(chain: Chain):
    app_id = provisioned(chain)
    chain.emulator.clock(seconds=11 * 60)
    [application] = graph_as_a_person(chain.emulator, "GET", f"/applications?$filter=appId eq '{app_id}'")["value"]
    [key] = application["passwordCredentials"]
    path = f"/applications/{application['id']}/removePassword"
    graph_as_a_person(chain.emulator, "POST", path, {"keyId": key["keyId"]})
    where = {"backend": "vault_file", "path": str(chain.folder / "secret.yml")}
    options = {"app_id": app_id, "store": where, "allowed": ["fax@imagicleucdev.onmicrosoft.com"], "patience": 120}
    began = time.monotonic()
    result = run("mailbox_probe_info", options, chain.emulator, services={"store": chain.store()})
    assert result["outcome"] == "blocked", result
    assert result["error"]["details"] == {"key_id": key["keyId"], "removed": True}
    assert time.monotonic() - began < 60


# ---- a policy that Exchange calls not valid -------------------------------------------------------------------------

HOLDS, HOLDS_NOTHING = "bbbbbbbb-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
DOMAIN, TENANT = "invalid.example", "99999999-0000-4000-8000-000000000044"
INVALID: Json = {
    "id": TENANT,
    "domains": [DOMAIN],
    "operators": [
        {
            **{"client_id": "11111111-0000-4000-8000-000000000001", "client_secret": "operator-secret"},
            **{"app_roles": ["Application.ReadWrite.All", "Exchange.ManageAsApp"]},
            "directory_roles": ["Exchange Administrator"],
        }
    ],
    "mailboxes": [{"address": f"{name}@{DOMAIN}", "display_name": name} for name in ("fax", "boss")],
    "groups": [{"name": "Scope", "alias": "scope", "members": [f"fax@{DOMAIN}"]}],
    "applications": [
        {"appId": HOLDS, "displayName": "Holds", "app_roles": ["full_access_as_app"]},
        {"appId": HOLDS_NOTHING, "displayName": "Nothing", "app_roles": []},
    ],
    "policies": [{"app_id": app, "group": "scope", "is_valid": False} for app in (HOLDS, HOLDS_NOTHING)],
}


def test_a_policy_that_is_not_valid_is_made_anew_or_stops_the_task():
    with start_emulator({"tenants": [INVALID]}) as emulator:

        def apply(app_id: str) -> Json:
            return run(
                "exchange_application_access_policy", {"app_id": app_id, "group": "scope"}, emulator, tenant=DOMAIN
            )

        stopped = apply(HOLDS)
        assert stopped["outcome"] == "blocked", stopped
        assert "not valid" in stopped["msg"]
        made = apply(HOLDS_NOTHING)
        assert (made["outcome"], made["policy"]["is_valid"]) == ("changed", True), made
        assert apply(HOLDS_NOTHING)["outcome"] == "ok"
        # What was open before is open still, and nobody else came to it.
        seen = emulator.exposures(declared=[f"fax@{DOMAIN}"])
        assert {one["appId"] for one in seen} <= {HOLDS}
