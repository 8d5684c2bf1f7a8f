# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An inventory, or a tenant, that changed between a provisioning and its removal.

Whatever it was: at no instant could the application open more than was declared, tokens that were alive counted; or the
run was blocked, and had written nothing.
"""

from __future__ import annotations

import copy
import json
import pathlib
import typing as t
from dataclasses import dataclass, field

import pytest
import yaml

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile
from tests.emulator.hosted import start_hosted
from tests.integration.harness import GRAPH, TENANT_ID, graph_as_a_person
from tests.integration.test_playbooks import FAX, HOST, OTHER, Run, Site
from tests.integration.transports import start_emulator

HOURS = 3600
GONE = "/directory/deletedItems"


class Place(Site):
    """Every run is judged by what was declared, its own instants and those since the one before."""

    def play(self, playbook: str, *words: str, **variables: t.Any) -> Run:
        since = self.emulator.exposures(declared=[FAX])
        ran = super().play(playbook, *words, **variables)
        self.seen = [*getattr(self, "seen", []), *since, *self.emulator.exposures(declared=[FAX])]
        return ran

    def vary(self, **changes: t.Any) -> None:
        path = self.folder / "tenants.yml"
        inventory = yaml.safe_load(path.read_text(encoding="utf-8"))
        inventory["all"]["hosts"][HOST].update(changes)
        path.write_text(yaml.safe_dump(inventory), encoding="utf-8")

    @property
    def record(self) -> pathlib.Path:
        return self.handover / f"{HOST}.json"

    @property
    def ids(self) -> dict[str, str]:
        return t.cast("dict[str, str]", json.loads(self.record.read_text(encoding="utf-8"))["ids"])


# --- the ways ------------------------------------------------------------------------------------------------


def another_unique_name(site: Place) -> None:
    site.vary(mail2fax_application_unique_name="x")


def another_name(site: Place) -> None:
    site.vary(mail2fax_application_name="Fax of another name")


def another_id(site: Place) -> None:
    other = graph_as_a_person(site.emulator, "POST", "/applications", {"displayName": "By hand"})
    site.vary(mail2fax_application_id=other["appId"])


def a_profile_of_other_names(site: Place) -> None:
    profile = copy.deepcopy(_profile.load("imagicle_ews"))
    profile["names"].update(unique_name="another-vendor", application="Another vendor", secret="Another secret")
    (site.folder / "another.yml").write_text(yaml.safe_dump(profile), encoding="utf-8")
    site.vary(mail2fax_profile=str(site.folder / "another.yml"))


def the_record_is_lost(site: Place) -> None:
    site.record.unlink()


def the_record_is_lost_and_the_name_changed(site: Place) -> None:
    site.record.unlink()
    site.vary(mail2fax_application_unique_name="x")


def the_record_is_of_another_host(site: Place) -> None:
    document = {**json.loads(site.record.read_text(encoding="utf-8")), "host": "another"}
    site.record.write_text(json.dumps(document), encoding="utf-8")


def the_record_is_of_another_tenant(site: Place) -> None:
    document = json.loads(site.record.read_text(encoding="utf-8"))
    document["tenant"]["id"] = OTHER
    site.record.write_text(json.dumps(document), encoding="utf-8")


def another_store(site: Place) -> None:
    site.vary(mail2fax_secret_store={"backend": "vault_file", "path": str(site.folder / "elsewhere.yml")})


def another_group(site: Place) -> None:
    site.vary(mail2fax_group_alias="another.group", mail2fax_group_name="Another group")


def deleted_in_the_portal(site: Place) -> None:
    graph_as_a_person(site.emulator, "DELETE", f"/applications/{site.ids['application_object_id']}")


def restored_in_the_portal(site: Place) -> None:
    for kind in ("application", "servicePrincipal"):
        found = graph_as_a_person(site.emulator, "GET", f"{GONE}/microsoft.graph.{kind}")["value"]
        for one in found:
            if one["appId"] == site.ids["application_id"]:
                graph_as_a_person(site.emulator, "POST", f"{GONE}/{one['id']}/restore", {})


def deleted_and_restored(site: Place) -> None:
    deleted_in_the_portal(site)
    restored_in_the_portal(site)


def a_replica_that_lags(site: Place) -> None:
    effect = {"status": 404, "body": {"error": {"code": "Request_ResourceNotFound", "message": "lagging"}}}
    rule = {
        "match": {"host": GRAPH, "method": "GET", "path_regex": r"^/v1\.0/applications\("},
        "times": 1,
        "effect": effect,
    }
    site.emulator.faults([rule])


def the_consent_was_revoked_by_hand(site: Place) -> None:
    state = site.emulator.state(TENANT_ID)
    for grant in state["appRoleAssignments"]:
        if grant["principalId"] == site.ids["service_principal_id"]:
            graph_as_a_person(
                site.emulator, "DELETE", f"/servicePrincipals/{grant['resourceId']}/appRoleAssignedTo/{grant['id']}"
            )


@dataclass(frozen=True)
class Way:
    """``outcome`` of the first removal; ``between``: what happens before the second one."""

    change: t.Callable[[Place], None]
    outcome: str = "pending"
    between: t.Callable[[Place], None] | None = None
    variables: dict[str, t.Any] = field(default_factory=dict)


WAYS = {
    way.change.__name__ if way.between is None else f"{way.between.__name__}_between": way
    for way in (
        Way(another_unique_name, "blocked"),
        Way(another_name),
        Way(another_id, "blocked"),
        Way(a_profile_of_other_names),
        Way(the_record_is_lost),
        Way(the_record_is_lost_and_the_name_changed, "blocked"),
        Way(the_record_is_of_another_host, "failed"),
        Way(the_record_is_of_another_tenant, "failed"),
        Way(another_store),
        Way(another_group, "changed"),
        Way(deleted_in_the_portal, "blocked"),
        Way(deleted_and_restored),
        Way(a_replica_that_lags),
        Way(the_consent_was_revoked_by_hand),
        Way(lambda site: None, between=restored_in_the_portal),
        Way(lambda site: None, between=the_record_is_lost),
    )
}


def taken_back(folder: pathlib.Path, way: Way, transport: str = "rest") -> None:
    with start_hosted() if transport == "rest" else start_emulator(transport=transport) as emulator:
        variables = {f"mail2fax_{name}": value for name, value in emulator.connection.items()}
        site = Place(folder, emulator, {**variables, **way.variables})
        made = site.play("provision")
        assert made.code == 0, made.output
        way.change(site)
        first = site.play("decommission", mail2fax_confirm=True)
        emulator.faults([])
        # A record of somebody else stays as it is, so it does not tell how the run ended.
        outcome = first.record["outcome"] if first.record.get("kind") == "decommission" else "failed"
        assert outcome == way.outcome, first.output
        assert site.seen == []
        if way.outcome in ("blocked", "failed"):
            assert first.code != 0
            assert first.writes() == []
            if way.change is deleted_in_the_portal:
                restored_in_the_portal(site)
                assert emulator.exposures(declared=[FAX]) == []
            return
        assert first.code == 0, first.output
        if way.between is not None:
            way.between(site)
        early = site.play("decommission", mail2fax_confirm=True)
        assert early.code == 0, early.output
        emulator.clock(seconds=26 * HOURS)
        last = site.play("decommission", mail2fax_confirm=True)
        assert last.code == 0, last.output
        restored_in_the_portal(site)
        assert [*site.seen, *emulator.exposures(declared=[FAX])] == []
        assert last.record["state"] == "removed", last.output
        assert last.record["ours"] == []
        if way.change is not another_group:
            assert last.after["applicationAccessPolicies"] == []


SAMPLE = ("another_unique_name", "restored_in_the_portal_between")


@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.turn("what others have")
def test_a_change_before_a_removal(tmp_path: pathlib.Path, name: str) -> None:
    taken_back(tmp_path, WAYS[name])


@pytest.mark.soak
@pytest.mark.parametrize("transport", ["rest", "winrm"])
@pytest.mark.parametrize("name", sorted(WAYS))
def test_every_change_before_a_removal(tmp_path: pathlib.Path, name: str, transport: str) -> None:
    taken_back(tmp_path, WAYS[name], transport)


# --- the end of a run ----------------------------------------------------------------------------------------


def test_an_end_that_fails_leaves_a_result_that_says_so(tmp_path: pathlib.Path) -> None:
    with start_hosted() as emulator:
        site = Site(tmp_path, emulator, {"handover_ticket": "{{ nobody_defined_this }}"})
        ran = site.play("provision")
    assert ran.code != 0
    assert ran.recap["failed"] == 1
    assert (ran.record["outcome"], ran.record["state"]) == ("failed", "draft")
    assert ran.record["stopped"]["step"] == "handover"
    # What was made is known all the same.
    assert ran.record["ids"]["application_id"]
    assert any(entry["kind"] == "consent" for entry in ran.record["ours"])
    assert "could not be written as it should be" in ran.output
