# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the preflight has read is handed on in a run that changes nothing, and decides nothing where one changes."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t
from dataclasses import dataclass

import pytest

from tests.emulator.hosted import HostedEmulator, Snapshot, start_hosted
from tests.integration.harness import EXCHANGE, GRAPH, LOGIN, graph_as_a_person
from tests.integration.inprocess import Moment, copy_files, play_in_process, put_files
from tests.integration.site import OPERATOR, Run, Site, World
from tests.sample import sample

Json = dict[str, t.Any]
WORLD = World("read once", principals=20)
ALIAS, STRANGER = "imagicle.digital.fax", WORLD.mailboxes[5]["address"]
JOINING = {"Identity": ALIAS, "Member": STRANGER, "BypassSecurityGroupManagerCheck": True}
IN_FORCE_S = 3 * 3600.0


@dataclass
class Ready:
    """A provisioned tenant, to begin from again and again."""

    site: Site
    emulator: HostedEmulator
    snapshot: Snapshot
    files: pathlib.Path

    def begin(self, **variables: t.Any) -> Site:
        self.emulator.restore(self.snapshot)
        put_files(self.files, self.site.folder)
        self.site.declare(**{"mail2fax_mailboxes": WORLD.fax, "mail2fax_in_process": True, **variables})
        return self.site

    def exchange(self, cmdlet: str, **parameters: t.Any) -> None:
        """Somebody else, by hand."""
        token = self.emulator.token(WORLD.id, OPERATOR["client_id"], OPERATOR["client_secret"], f"https://{EXCHANGE}")
        with self.emulator.session() as session:
            answer = session.post(
                f"https://{EXCHANGE}/adminapi/beta/{WORLD.id}/InvokeCommand",
                json={"CmdletInput": {"CmdletName": cmdlet, "Parameters": parameters}},
                headers={"Authorization": f"Bearer {token}"},
                timeout=30,
            )
        assert answer.status_code == 200, answer.text

    def play(self, playbook: str, meddle: t.Callable[[], t.Any] | None = None, *words: str, wait_s: float = 0.0) -> Run:
        """A run; ``meddle`` happens, and ``wait_s`` pass, right after the preflight has its last answer."""
        left = [meddle or (lambda: None)]

        def watch(moment: Moment) -> None:
            asked = [row for row in self.emulator.journal() if EXCHANGE in row["host"] and not row.get("batch")]
            if left and moment.when == "after" and len(asked) == 2:
                left.pop()()
                self.emulator.pass_time(wait_s)

        return self.site.play(playbook, *words, by={"watch": watch})


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Ready]:
    folder = tmp_path_factory.mktemp("ready")
    with start_hosted(WORLD.tenants()) as emulator:
        site = Site(folder / "site", emulator, WORLD, player=play_in_process)
        first = site.play("provision")
        assert first.code == 0, first.output
        emulator.clock(seconds=IN_FORCE_S)
        settled = site.play("provision")
        assert settled.record["state"] == "ready", settled.output
        copy_files(site.folder, folder / "files")
        yield Ready(site, emulator, emulator.snapshot(), folder / "files")


def words(run: Run) -> list[str]:
    """What was told of the tenant, without times."""
    return re.findall(r"^(?:changed.*|.*STEP  .*|\s+\"[A-Z].*)$", re.sub(r"\d\d:\d\d", "", run.output), re.M)


@pytest.mark.parametrize(
    ("playbook", "requests"), sample([("provision", (1, 3)), ("audit", (2, 6))], 1, of="read once")
)
def test_a_tenant_in_which_all_is_well_is_read_once(ready: Ready, playbook: str, requests: tuple[int, int]) -> None:
    ready.begin()
    run = ready.play(playbook)
    assert run.code == 0, run.output
    assert run.writes() == []
    assert (run.requests()["graph"], run.requests()["exchange"]) == requests
    signed_in = [row for row in run.journal if row["host"] == LOGIN and row["method"] == "POST"]
    assert len(signed_in) == 3  # the operator's two, and the application's own

    ready.begin()
    late = ready.play(playbook, wait_s=150.0)
    assert late.requests()["graph"] > requests[0]
    assert (late.code, words(late)) == (run.code, words(run))


def test_before_a_write_everything_is_read_anew(ready: Ready) -> None:
    """Another mailbox is declared, and somebody puts a third one into the group meanwhile."""
    site = ready.begin(mail2fax_mailboxes=[*WORLD.fax, WORLD.mailboxes[4]["address"]])
    before = site.state()
    run = ready.play("provision", lambda: ready.exchange("Add-DistributionGroupMember", **JOINING))
    assert run.code == 2
    assert STRANGER in run.output
    assert run.writes() == ["Add-DistributionGroupMember"]  # theirs
    assert run.after["applicationAccessPolicies"] == before["applicationAccessPolicies"]


def test_right_before_a_grant_everything_is_read_anew(ready: Ready) -> None:
    """The consent is gone, so it is to be given; and what limits it goes while the run is on its way to it."""
    site = ready.begin()
    app_id = json.loads((site.folder / "handover/contoso.json").read_text("utf-8"))["ids"]["application_id"]
    held = f"/servicePrincipals(appId='{app_id}')/appRoleAssignments"
    [grant] = graph_as_a_person(site.emulator, "GET", held, tenant=WORLD.id)["value"]
    graph_as_a_person(site.emulator, "DELETE", f"{held}/{grant['id']}", tenant=WORLD.id)
    [policy] = site.state()["applicationAccessPolicies"]
    run = ready.play(
        "provision",
        lambda: ready.exchange("Remove-ApplicationAccessPolicy", Identity=policy["Identity"], Confirm=False),
    )
    assert run.code == 2
    assert run.writes() == ["Remove-ApplicationAccessPolicy"]  # theirs
    assert run.after["appRoleAssignments"] == run.before["appRoleAssignments"]
    assert run.steps["admin_consent"] == "blocked"


def test_what_goes_while_nothing_is_to_be_done_is_seen_by_the_proof(ready: Ready) -> None:
    site = ready.begin()
    [policy] = site.state()["applicationAccessPolicies"]
    run = ready.play(
        "provision",
        lambda: ready.exchange("Remove-ApplicationAccessPolicy", Identity=policy["Identity"], Confirm=False),
    )
    assert run.code == 2
    assert run.writes() == ["Remove-ApplicationAccessPolicy"]  # theirs
    assert WORLD.control[0] in run.output


def test_after_the_first_write_every_task_asks_for_itself(ready: Ready) -> None:
    ready.begin(mail2fax_mailboxes=[*WORLD.fax, WORLD.mailboxes[4]["address"]])
    run = ready.play("provision")
    assert run.code == 0, run.output
    assert run.writes() == ["Add-DistributionGroupMember"]
    number = next(n for n, row in enumerate(run.journal) if row["cmdlet"] == "Add-DistributionGroupMember")
    after = [row for row in run.journal[number:] if not row.get("batch")]
    assert sum(row["host"] == GRAPH for row in after) == 2  # the secret and the consent
    assert sum("adminapi" in row["path"] for row in after) >= 4  # the write, its read-back, the policy, the verdict


def test_what_is_mended_meanwhile_stops_nobody(ready: Ready) -> None:
    """In check mode too: what was foreseen by old answers would not come true."""
    ready.begin()
    ready.exchange("Add-DistributionGroupMember", **JOINING)

    def mend() -> None:
        ready.exchange("Remove-DistributionGroupMember", **JOINING, Confirm=False)

    run = ready.play("audit", mend)
    assert run.steps["scope_group"] == "ok", run.output
