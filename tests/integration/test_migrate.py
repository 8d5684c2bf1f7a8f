# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant moves from one way in to another, run by run, and back; the other playbooks beside it.

What happens to the fax server meanwhile, and runs that are killed, have tests of their own.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import instant
from tests.emulator.hosted import HostedEmulator, start_hosted
from tests.integration.inprocess import Killed, Moment, copy_files, play_in_process, put_files
from tests.integration.site import Run, Site, World
from tests.integration.test_profile_drift import by_hand
from tests.sample import sample

Json = dict[str, t.Any]
HOURS = 3600
WORLD = World("migrations", principals=20)
OPENED = {
    "mail2fax_ews_opt_in": True,
    "mail2fax_protocols_opt_in": True,
    "mail2fax_enable_organization_customization": True,
}
EWS: Json = {}
GRAPH_A: Json = {"mail2fax_profile": "graph_mail", "mail2fax_scoping": "application_access_policy"}
PATHS: dict[str, tuple[Json, t.Any]] = {
    "policy to rights": (EWS, "imagicle_imap_smtp"),
    "policy to roles": (EWS, {"scoping": "application_role"}),
    "policy to rights and roles": (EWS, "imap_smtp_least"),
    "policy to roles of another group": (GRAPH_A, {"scoping": "application_role", "group_alias": "another.group"}),
    "policy of another group": (GRAPH_A, {"group_alias": "another.group"}),
    "roles of another group": ({"mail2fax_profile": "graph_mail"}, {"group_alias": "another.group"}),
    "roles to rights": ({"mail2fax_profile": "graph_mail"}, "imagicle_imap_smtp"),
    "SMTP from roles to rights": ({"mail2fax_profile": "smtp_send"}, {"scoping": "mailbox_permission"}),
    "SMTP from rights to roles": ({"mail2fax_profile": "imagicle_imap_smtp"}, "imap_smtp_least"),
}
CHOSEN = sample(sorted(PATHS), 1)
STOPS = sample(["prepare", "prove", "confirm", "retire"], 1, of="stops")
"""In which phases the other playbooks look at it, and it is rolled back once."""


@pytest.fixture(scope="module")
def emulator() -> t.Iterator[HostedEmulator]:
    with start_hosted(WORLD.tenants()) as emulator:
        yield emulator


class Moving(Site):
    def begin(self) -> Run:
        self.play("provision")
        self.emulator.pass_time(4 * HOURS)
        run = self.play("provision")
        assert (run.code, run.record["state"]) == (0, "ready"), run.output
        return run

    def go_on(self, to: t.Any, **more: t.Any) -> Run:
        """One run; the word is given where it is awaited."""
        path = self.folder / "handover" / "contoso.json"
        phase = (json.loads(path.read_text("utf-8")).get("migration") or {}).get("phase")
        said = {"mail2fax_migrate_confirm": True} if phase == "confirm" else {}
        run = self.play("migrate", mail2fax_migrate_to=to, **said, **more)
        assert run.code == 0, run.output
        assert self.exposures() == []
        return run

    def wait(self, run: Run) -> None:
        """Until the time that the record tells, and a minute; without one, for a quarter of an hour."""
        until = instant(run.record["migration"].get("until"))
        seconds = (until - self.emulator.now()).total_seconds() + 60 if until else 900.0
        self.emulator.pass_time(max(seconds, 60.0))

    def elsewhere(self, folder: pathlib.Path, *files: str) -> Moving:
        """The same inventory on another controller, which has these files of this one alone."""
        other = Moving(folder, self.emulator, self.world, self.variables, player=self.player)
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.folder / name, folder / name)
        return other

    def lasting(self) -> Json:
        """The tenant, without the ids and times of grants that were given anew."""
        state = self.state()
        for kind in ("appRoleAssignments", "oauth2PermissionGrants"):
            state[kind] = sorted(
                json.dumps({key: value for key, value in one.items() if key not in ("id", "createdDateTime")})
                for one in state[kind]
            )
        return state


def named(to: t.Any) -> Json:
    said = to if isinstance(to, dict) else {"profile": to}
    return {f"mail2fax_{key}": value for key, value in said.items()}


def phase(run: Run) -> str:
    return str((run.record.get("migration") or {}).get("phase") or "")


def there_and_beside(tmp_path: pathlib.Path, emulator: HostedEmulator, name: str) -> None:
    """To the end, in part on another controller; at each stop rolled back once, and the other playbooks look at it."""
    first, to = PATHS[name]
    emulator.reset()
    site = Moving(tmp_path / "site", emulator, WORLD, {**OPENED, **first}, player=play_in_process)
    start = site.lasting()
    begun = site.begin()
    before = site.lasting()
    seen: list[str] = []
    stopped: list[str] = []
    for _number in range(14):
        run = site.go_on(to)
        if phase(run) == "done":
            break
        if phase(run) not in seen:
            seen.append(phase(run))
        if phase(run) in STOPS and phase(run) not in stopped:
            stopped.append(phase(run))
            at, files = emulator.snapshot(), tmp_path / "files"
            copy_files(site.folder, files)
            stood = site.lasting()
            for playbook in ("provision", "audit"):
                beside = site.play(playbook)
                assert beside.code == 0, beside.output
                assert beside.record["outcome"] in ("ok", "pending"), beside.output
                assert beside.record["migration"] == run.record["migration"]
            assert site.lasting() == stood
            back = site.play("migrate", mail2fax_migrate_rollback=True)
            while back.code == 0 and back.record.get("migration"):
                assert back.record["outcome"] == "pending", back.output
                site.wait(back)
                back = site.play("migrate", mail2fax_migrate_rollback=True)
            assert back.code == 0, back.output
            assert site.exposures() == []
            assert site.lasting() == before, phase(run)
            assert back.record["profile"] == begun.record["profile"]
            assert back.record["ours"] == begun.record["ours"]
            assert back.record["ids"] == begun.record["ids"]
            emulator.restore(at)
            put_files(files, site.folder)
        site.wait(run)
        if phase(run) == "confirm" and site.folder.name != "another":
            lost = site.elsewhere(tmp_path / "lost")
            for said in ({"mail2fax_migrate_to": to}, {"mail2fax_migrate_rollback": True}):
                blind = lost.play("migrate", **said)
                assert (blind.code, blind.writes()) == (2, []), blind.output
                assert "No record" in blind.output
            # The record is all that it needs, with the secret store, which is everybody's.
            site = site.elsewhere(tmp_path / "another", "handover/contoso.json", "secret.yml")
    else:
        pytest.fail(f"it does not come to its end: {seen}")
    assert "confirm" in seen
    assert run.record["state"] == "ready"
    if group := named(to).get("mail2fax_group_alias"):
        assert run.record["group"]["alias"] == group
    once_more = site.go_on(to)
    assert (once_more.record["outcome"], once_more.writes()) == ("ok", [])
    if set(named(to)) - {"mail2fax_group_alias"}:
        old = site.play("provision")
        assert old.code == 2
        assert "write in the inventory" in old.output
        assert old.writes() == []
    # A model that was said for the old profile is not said for the new one.
    site.declare(**({"mail2fax_scoping": None} if isinstance(to, str) else {}), **named(to))
    for playbook in ("provision", "audit"):
        after = site.play(playbook)
        assert (after.code, after.record["outcome"], after.writes()) == (0, "ok", []), after.output
    if name == "policy to rights":
        # Whoever loses the record finds the application by what the migration has written on it.
        kept = site.folder / "handover" / "contoso.json"
        record = kept.read_text("utf-8")
        kept.unlink()
        found = site.play("provision")
        assert found.code == 0, found.output
        assert found.record["ids"]["application_id"] == json.loads(record)["ids"]["application_id"]
        kept.write_text(record, encoding="utf-8")
    emulator.pass_time(26 * HOURS)
    site.play("decommission", mail2fax_confirm=True)
    emulator.pass_time(26 * HOURS)
    gone = site.play("decommission", mail2fax_confirm=True)
    assert gone.record["state"] == "removed", gone.output
    assert site.lasting() == start


@pytest.mark.parametrize("name", CHOSEN)
def test_a_tenant_moves_and_comes_back(tmp_path: pathlib.Path, emulator: HostedEmulator, name: str) -> None:
    there_and_beside(tmp_path, emulator, name)


def test_an_application_of_others_comes_back_with_what_it_had(tmp_path: pathlib.Path) -> None:
    adopted = "77777777-0000-4000-8000-000000000077"
    by_others = [{"appId": adopted, "displayName": "Fax, made by hand", "app_roles": ["User.Read.All"]}]
    with start_hosted(WORLD.tenants(applications=by_others)) as emulator:
        said = {**OPENED, "mail2fax_application_id": adopted}
        site = Moving(tmp_path / "site", emulator, WORLD, said, player=play_in_process)
        made = site.play("provision")
        assert made.code == 0, made.output
        before = site.lasting()
        moved = site.go_on("imagicle_imap_smtp")
        assert phase(moved) == "prove"
        assert site.lasting()["applications"] != before["applications"]
        back = site.play("migrate", mail2fax_migrate_rollback=True)
        assert (back.code, back.record.get("migration")) == (0, None), back.output
        assert site.lasting() == before


def test_what_nobody_declared_stops_it_and_a_mailbox_that_came_on_the_way_is_taken_back(
    tmp_path: pathlib.Path, emulator: HostedEmulator
) -> None:
    emulator.reset()
    site = Moving(tmp_path / "site", emulator, WORLD, OPENED, player=play_in_process)
    site.play("provision")
    before = site.lasting()
    begun = site.go_on("imagicle_imap_smtp")
    assert phase(begun) == "prove"

    # Another policy for the application lets it into more: what both ways have in common is no reason to keep that.
    app_id, others = begun.record["ids"]["application_id"], WORLD.mailboxes[7]["address"]
    by_hand(site, "New-DistributionGroup", Name="All", Alias="all.staff", Type="Security", Members=[others])
    policy = {"AppId": app_id, "PolicyScopeGroupId": "all.staff", "AccessRight": "RestrictAccess"}
    (made,) = by_hand(site, "New-ApplicationAccessPolicy", **policy)
    stopped = site.play("migrate")
    assert (stopped.code, stopped.writes()) == (2, []), stopped.output
    assert "all.staff" in stopped.output or "'All'" in stopped.output
    by_hand(site, "Remove-ApplicationAccessPolicy", Identity=made["Identity"], Confirm=False)
    by_hand(site, "Remove-DistributionGroup", Identity="all.staff", BypassSecurityGroupManagerCheck=True, Confirm=False)

    # A run that dies right after a new mailbox was opened has noted it.
    new = str(WORLD.mailboxes[5]["address"])
    site.declare(mail2fax_mailboxes=[*WORLD.fax, new])

    def kill(moment: Moment) -> None:
        if moment.when == "after" and new in {one["Identity"] for one in site.state()["recipientPermissions"]}:
            raise Killed

    site.play("migrate", by={"watch": kill})
    assert new in {one["Identity"] for one in site.state()["mailboxPermissions"]}
    back = site.play("migrate", mail2fax_migrate_rollback=True)
    assert (back.code, back.record.get("migration")) == (0, None), back.output
    after = site.lasting()
    kinds = set(before) - {"groups"}
    assert {kind: after[kind] for kind in kinds} == {kind: before[kind] for kind in kinds}
    (group,) = after["groups"]
    assert sorted(group["members"]) == sorted([*WORLD.fax, new])
