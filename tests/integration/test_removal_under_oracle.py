# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A removal in every model, whatever was granted beside and whatever tokens live: nothing opens wider, at no instant.

Judged by the emulator's own account of what could be opened (``/exposures``), which counts every token that was really
issued. That it finds something is seen where an inventory says that nothing waits.
"""

from __future__ import annotations

import json
import pathlib
import typing as t
from dataclasses import dataclass, field

import pytest
from ansible.parsing.vault import VaultSecret

from ansible_collections.mail2fax.m365.plugins.module_utils._time import instant
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.vault_file import VaultFile
from tests.emulator.hosted import HostedEmulator, start_hosted
from tests.integration.harness import graph_as_a_person
from tests.integration.inprocess import Killed, Moment, play_in_process
from tests.integration.site import OPERATOR, PASSWORD, RIGHTS, Run, Site, World
from tests.sample import sample

Json = dict[str, t.Any]
WORLD = World("removal", principals=20)
GRAPH, EXCHANGE = "00000003-0000-0000-c000-000000000000", "00000002-0000-0ff1-ce00-000000000000"
AUDIENCES = {GRAPH: "https://graph.microsoft.com", EXCHANGE: "https://outlook.office365.com"}
WAITED_S = 60.0


class Place(Site):
    """What the oracle has seen is kept from run to run."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.seen: list[Json] = []

    def play(self, playbook: str, *words: str, **more: t.Any) -> Run:
        self.seen += self.exposures()
        ran = super().play(playbook, *words, **more)
        self.seen += self.exposures()
        return ran

    @property
    def hosted(self) -> HostedEmulator:
        return t.cast("HostedEmulator", self.emulator)

    @property
    def app_id(self) -> str:
        return str(json.loads((self.folder / "handover" / "contoso.json").read_text("utf-8"))["ids"]["application_id"])

    def by_hand(self, method: str, path: str, body: t.Any = None) -> Json:
        return graph_as_a_person(self.emulator, method, path, body, tenant=self.world.id)

    def grant(self, permission: str, resource: str) -> None:
        """Somebody grants the application a permission in the portal."""
        ours = self.by_hand("GET", f"/servicePrincipals(appId='{self.app_id}')?$select=id")["id"]
        theirs = self.by_hand("GET", f"/servicePrincipals(appId='{resource}')?$select=id,appRoles")
        (role,) = [one["id"] for one in theirs["appRoles"] if one["value"] == permission]
        body = {"principalId": ours, "resourceId": theirs["id"], "appRoleId": role}
        self.by_hand("POST", f"/servicePrincipals/{ours}/appRoleAssignments", body)

    def sign_in(self, *resources: str) -> None:
        """The fax server gets tokens, for Graph such as a client gets that understands how access is taken away."""
        store = VaultFile(self.folder / "secret.yml", [("default", VaultSecret(PASSWORD.encode()))])
        entry = store.read()
        assert entry is not None
        assert entry.current is not None
        for resource in resources or (EXCHANGE, GRAPH):
            form = {
                "grant_type": "client_credentials",
                "client_id": self.app_id,
                "client_secret": entry.current.value,
                "scope": f"{AUDIENCES[resource]}/.default",
            }
            if resource == GRAPH:
                form["claims"] = json.dumps({"access_token": {"xms_cc": {"values": ["cp1"]}}})
            with self.emulator.session() as session:
                answer = session.post(
                    f"https://login.microsoftonline.com/{self.world.id}/oauth2/v2.0/token", data=form, timeout=30
                )
            assert answer.status_code == 200, answer.text

    def removed(self, runs: int = 3) -> Run:
        """Removals, each when the one before says so, until nothing is left."""
        for _number in range(runs):
            ran = self.play("decommission", mail2fax_confirm=True)
            assert ran.code == 0, ran.output
            if ran.record["state"] == "removed":
                return ran
            until = instant(ran.record["pending_until"])
            assert until is not None
            self.hosted.pass_time((until - self.hosted.now()).total_seconds() + 1)
        raise AssertionError(ran.output)


# --- what may be, beside what a run granted ------------------------------------------------------------------


def nothing(site: Place) -> None:
    site.sign_in()


def a_grant_on_graph(site: Place) -> None:
    site.grant("Mail.Read", GRAPH)
    site.sign_in()


def a_grant_on_exchange(site: Place) -> None:
    site.grant("full_access_as_app", EXCHANGE)
    site.sign_in()


def a_grant_that_a_provisioning_revoked(site: Place) -> None:
    a_grant_on_graph(site)
    ran = site.play("provision", mail2fax_exclusive_consent=True)
    assert ran.code == 0, ran.output
    assert ran.record["tokens_until"]


def revoked_by_hand(site: Place) -> None:
    """A person, or a run that was killed, took everything back, and nobody noted it."""
    a_grant_on_graph(site)
    ours = site.by_hand("GET", f"/servicePrincipals(appId='{site.app_id}')?$select=id")["id"]
    for held in site.by_hand("GET", f"/servicePrincipals/{ours}/appRoleAssignments")["value"]:
        site.by_hand("DELETE", f"/servicePrincipals/{held['resourceId']}/appRoleAssignedTo/{held['id']}")


@dataclass(frozen=True)
class Story:
    """``tenant``: what it has besides. ``waits``: whether something stands that limits tokens."""

    profile: str
    scoping: t.Any = None
    before: t.Callable[[Place], None] = nothing
    tenant: Json = field(default_factory=dict)
    waits: bool = True


A_DAY = [{"display_name": "A day", "minutes": 23 * 60}]
ON_EXCHANGE = [{"display_name": "A day", "minutes": 23 * 60, "resource": EXCHANGE}]
READS = [{**OPERATOR, "app_roles": [*RIGHTS, "Policy.Read.All"], "directory_roles": ["Exchange Administrator"]}]
POLICY = "application_access_policy"
STORIES: dict[str, Story] = {
    "ews": Story("imagicle_ews"),
    "ews and a grant on Graph": Story("imagicle_ews", before=a_grant_on_graph),
    "ews after a grant on Graph": Story("imagicle_ews", before=a_grant_that_a_provisioning_revoked),
    "ews, revoked by hand": Story("imagicle_ews", before=revoked_by_hand),
    "ews, tokens of a day": Story("imagicle_ews", tenant={"token_lifetime_policies": A_DAY, "operators": READS}),
    "ews, Exchange's tokens of a day": Story(
        "imagicle_ews", tenant={"token_lifetime_policies": ON_EXCHANGE, "operators": READS}
    ),
    "ews, tokens of a day and nobody may know": Story("imagicle_ews", tenant={"token_lifetime_policies": A_DAY}),
    "graph by policy": Story("graph_mail", POLICY),
    "graph by policy and a grant on Exchange": Story("graph_mail", POLICY, a_grant_on_exchange),
    "graph by role": Story("graph_mail", waits=False),
    "ews by role": Story("imagicle_ews", "application_role", waits=False),
    "imap and smtp by right": Story("imagicle_imap_smtp", waits=False),
    "imap by right, smtp by role": Story("imap_smtp_least", waits=False),
}


def provisioned(folder: pathlib.Path, emulator: HostedEmulator, story: Story) -> Place:
    said: Json = {"mail2fax_profile": story.profile, "mail2fax_protocols_opt_in": True}
    if story.scoping:
        said["mail2fax_scoping"] = story.scoping
    site = Place(folder, emulator, WORLD, said, player=play_in_process)
    made = site.play("provision")
    assert made.code == 0, made.output
    emulator.pass_time(4 * 3600)
    proven = site.play("provision")
    assert proven.record["state"] == "ready", proven.output
    story.before(site)
    return site


def judged(site: Place) -> list[Json]:
    return [*site.seen, *site.exposures()]


@pytest.mark.parametrize("name", sample(sorted(STORIES), 1, of="removals under the oracle"))
def test_a_removal_opens_nothing(tmp_path: pathlib.Path, name: str) -> None:
    story = STORIES[name]
    with start_hosted(WORLD.tenants(**story.tenant)) as emulator:
        site = provisioned(tmp_path, emulator, story)
        first = site.play("decommission", mail2fax_confirm=True)
        assert first.code == 0, first.output
        assert first.record["state"] == ("removing" if story.waits else "removed"), first.output
        site.removed()
        assert judged(site) == []


NOTHING_WAITS: list[tuple[str, t.Any]] = [("imagicle_ews", None), ("graph_mail", POLICY)]


@pytest.mark.parametrize("profile", sample(NOTHING_WAITS, 1, of="removals that wait for nothing"))
def test_the_oracle_sees_what_opens_where_nothing_waits(tmp_path: pathlib.Path, profile: tuple[str, t.Any]) -> None:
    with start_hosted(WORLD.tenants()) as emulator:
        site = provisioned(tmp_path, emulator, Story(*profile))
        ran = site.play("decommission", mail2fax_confirm=True, mail2fax_token_grace_minutes=0)
        assert ran.record["state"] == "removed", ran.output
        assert any(one["by_token"] for one in judged(site))
        assert "token_grace_minutes is 0" in ran.output


KILLED = ("ews", "ews and a grant on Graph", "graph by policy", "ews, tokens of a day and nobody may know")
MOMENTS = [(name, number, when) for name in KILLED for number in range(1, 41) for when in ("before", "after")]


@pytest.mark.parametrize(("name", "number", "when"), sample(MOMENTS, 1, of="killed removals"))
def test_a_removal_that_is_killed_opens_nothing(tmp_path: pathlib.Path, name: str, number: int, when: str) -> None:
    story = STORIES[name]

    def watch(moment: Moment) -> None:
        if (moment.number, moment.when) == (number, when):
            raise Killed

    with start_hosted(WORLD.tenants(**story.tenant)) as emulator:
        site = provisioned(tmp_path, emulator, story)
        killed = site.play("decommission", mail2fax_confirm=True, by={"watch": watch})
        assert killed.code in (-9, 0), killed.output  # 0: it had fewer requests
        emulator.pass_time(WAITED_S)
        site.removed()
        assert judged(site) == []
