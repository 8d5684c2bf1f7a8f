# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks as people run them, against an emulated tenant.

A run costs seconds, so each story is told once, in one test, and then looked at from several sides.
"""

from __future__ import annotations

import copy
import json
import pathlib
import re
import typing as t
from collections import Counter
from dataclasses import dataclass, field

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from tests.emulator.hosted import HostedEmulator, start_hosted
from tests.emulator.testing import DEMO_TENANT, Emulator
from tests.integration.harness import DOMAIN, EXCHANGE, GRAPH, LOGIN, OPERATOR, TENANT_ID, graph_as_a_person, play, run
from tests.integration.inprocess import play_in_process

HOST = "contoso"
FAX = f"fax@{DOMAIN}"
OTHER = "22222222-0000-4000-8000-000000000002"
PASSWORD = "a vault password of the tests"
TOKENS_S = 91 * 60.0
"""So long after its last grant an application's tokens for Exchange are dead."""


def tenants(**changes: t.Any) -> dict[str, t.Any]:
    """The demo tenant with some of its keys replaced."""
    file = yaml.safe_load(DEMO_TENANT.read_text(encoding="utf-8"))
    file["tenants"][0].update(copy.deepcopy(changes))
    return t.cast("dict[str, t.Any]", file)


@dataclass
class Run:
    """One run of a playbook: what it printed, what it left, and what it asked of the tenant meanwhile."""

    code: int
    output: str
    journal: list[dict[str, t.Any]]
    before: dict[str, t.Any]
    after: dict[str, t.Any]
    exposures: list[t.Any]
    record: dict[str, t.Any]
    sheet: str
    audit: dict[str, t.Any]

    @property
    def recap(self) -> dict[str, int]:
        line = re.search(rf"^{HOST}\s*:\s*(.+)$", self.output, re.MULTILINE)
        assert line, self.output
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line[1])}

    @property
    def steps(self) -> dict[str, str]:
        return {step["step"]: step["outcome"] for step in self.record["steps"]}

    def requests(self) -> Counter[str]:
        """By host, a batch as one, the proof's own (as the application, over EWS) apart."""
        return Counter(
            "ews" if row["path"].lower().startswith("/ews/") else str(row["host"])
            for row in self.journal
            if not row.get("batch")
        )

    def writes(self) -> list[str]:
        """What was written, in order: Graph's methods and paths, Exchange's cmdlets."""
        found = []
        for row in self.journal:
            if row["host"] == GRAPH and row["method"] != "GET" and not row["path"].endswith("/$batch"):
                found.append(f"{row['method']} {row['path']}")
            elif row.get("cmdlet") and not row["cmdlet"].startswith(("Get-", "Test-")):
                found.append(str(row["cmdlet"]))
        return found


def lasting(state: dict[str, t.Any]) -> dict[str, t.Any]:
    """The state without the protocol of sign-ins, which every run lengthens."""
    return {name: value for name, value in state.items() if name != "signIns"}


@dataclass
class Site:
    """A folder with an inventory, and an emulator."""

    folder: pathlib.Path
    emulator: Emulator
    variables: dict[str, t.Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "vault-password").write_text(PASSWORD, encoding="utf-8")
        host = {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "mail2fax_expected_domain": DOMAIN,
            "mail2fax_mailboxes": [FAX],
            "mail2fax_secret_store": {"backend": "vault_file", "path": str(self.store)},
            "mail2fax_handover_dir": str(self.handover),
            **self.variables,
        }
        inventory = {"all": {"hosts": {HOST: host}}}
        (self.folder / "tenants.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")

    @property
    def store(self) -> pathlib.Path:
        return self.folder / "secrets" / f"{HOST}.yml"

    @property
    def handover(self) -> pathlib.Path:
        return self.folder / "handover"

    def stored(self) -> dict[str, t.Any]:
        vault = VaultLib([("default", VaultSecret(PASSWORD.encode()))])
        return t.cast("dict[str, t.Any]", yaml.safe_load(vault.decrypt(self.store.read_bytes())))

    def play(self, playbook: str, *words: str, alone: bool = False, **variables: t.Any) -> Run:
        """``alone``: by ansible-playbook, in a process of its own, whatever the emulator is."""
        self.emulator.clear_journal()
        before = lasting(self.emulator.state(TENANT_ID))
        environment = {
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
            "ANSIBLE_LOG_PATH": str(self.folder / "ansible.log"),
            "M365_TENANT": OPERATOR["tenant"],
            "M365_CLIENT_ID": OPERATOR["client_id"],
            "M365_CLIENT_SECRET": OPERATOR["client_secret"],
        }
        # An emulator of this process is met in this process, which takes a tenth of the time.
        if isinstance(self.emulator, HostedEmulator) and not alone:
            answer = play_in_process(self.folder, self.emulator, playbook, words, variables, **environment)
        else:
            answer = play(self.folder, self.emulator, playbook, words, variables, **environment)
        return Run(
            answer.returncode,
            answer.stdout,
            self.emulator.journal(),
            before,
            lasting(self.emulator.state(TENANT_ID)),
            self.emulator.exposures(),
            self._document(f"{HOST}.json"),
            self._text(f"{HOST}.html"),
            self._document(f"{HOST}.audit.json"),
        )

    def _text(self, name: str) -> str:
        path = self.handover / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def _document(self, name: str) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", json.loads(self._text(name) or "{}"))


Story = dict[str, t.Any]


# --- the whole life of one tenant ----------------------------------------------------------------------------


def life(folder: pathlib.Path) -> Story:
    """From an empty tenant to a proven application and back, with a drift in between.

    What writes, what is counted and what ends red is ansible-playbook itself; the runs between are in this process.
    """
    with start_hosted() as emulator:
        site = Site(folder, emulator)
        story: Story = {"site": site}
        story["plan"] = site.play("provision", "--check", "--diff")
        story["planned files"] = site.handover.exists() or site.store.exists()
        story["first"] = site.play("provision", "-vvvv", alone=True)
        story["secret"] = site.stored()
        story["files"] = {path.name: path.stat().st_mode & 0o777 for path in site.handover.iterdir()}
        story["second"] = site.play("provision", "--diff", alone=True)
        story["nothing"] = site.play("provision", "--check", "--diff")
        story["unconfirmed"] = site.play("decommission")
        # Somebody renames the application and takes the policy's description away.
        ids = story["first"].record["ids"]
        graph_as_a_person(emulator, "PATCH", f"/applications/{ids['application_object_id']}", {"displayName": "Fax"})
        policy = {"app_id": ids["application_id"], "group": "imagicle.digital.fax", "description": "edited"}
        assert run("exchange_application_access_policy", policy, emulator)["outcome"] == "changed"
        story["audit"] = site.play("audit", alone=True)
        story["mended"] = site.play("provision")
        story["taken"] = site.play("decommission", alone=True, mail2fax_confirm=True)
        story["audit meanwhile"] = site.play("audit")
        story["provision meanwhile"] = site.play("provision")
        story["rotate meanwhile"] = site.play("rotate")
        # The tokens of before live until then, by the services' clock.
        emulator.clock(seconds=TOKENS_S)
        story["removal"] = site.play("decommission", mail2fax_confirm=True)
        story["removed again"] = site.play("decommission", mail2fax_confirm=True)
        story["stored after"] = site.store.exists()
        story["audit of nothing"] = site.play("audit")
    return story


def test_the_life_of_a_tenant(tmp_path: pathlib.Path, subtests: pytest.Subtests) -> None:
    story = life(tmp_path)
    for check in (
        a_check_on_an_empty_tenant_walks_the_whole_chain_and_writes_nothing,
        an_empty_tenant_ends_proven,
        the_scope_comes_before_the_consent_and_goes_after_it,
        a_second_run_changes_nothing_and_asks_little,
        greenfield_stays_within_its_budget,
        a_check_on_a_provisioned_tenant_shows_nothing_to_do,
        the_secret_is_in_its_store_and_nowhere_else,
        the_sheet_says_what_to_type_where,
        the_table_fits_a_terminal,
        an_audit_finds_drift_and_writes_nothing,
        a_run_mends_drift_and_nothing_else,
        an_audit_of_what_was_removed_says_that_and_no_more,
        a_decommission_wants_confirmation,
        what_limits_stays_until_no_token_is_alive,
        a_decommission_leaves_the_tenant_as_it_was_found,
    ):
        with subtests.test(check.__name__):
            check(story)


def a_check_on_an_empty_tenant_walks_the_whole_chain_and_writes_nothing(story: Story) -> None:
    plan: Run = story["plan"]
    assert plan.code == 0, plan.output
    assert plan.writes() == []
    assert plan.after == plan.before
    assert not story["planned files"]
    # Every change is announced, with its difference.
    for step in ("application", "scope group", "access policy", "client secret", "admin consent"):
        assert re.search(rf"^\s*{step}\s+to change ", plan.output, re.MULTILINE), step
    assert "+    display_name: Mail2DigitalFax" in plan.output
    assert plan.recap["failed"] == 0


def an_empty_tenant_ends_proven(story: Story) -> None:
    first: Run = story["first"]
    assert first.code == 0, first.output
    assert first.record["outcome"] == "changed"
    assert first.record["state"] == "ready"
    assert set(first.steps.values()) == {"ok", "changed"}
    assert [(row["mailbox"], row["expected"], row["verdict"], row["probe"]) for row in first.record["mailboxes"]] == [
        (FAX, "granted", "Granted", "opened"),
        (f"AdeleV@{DOMAIN}", "denied", "Denied", "denied_by_policy"),
    ]
    assert all(row["as_expected"] for row in first.record["mailboxes"])
    assert first.record["unprotected"] == "none"
    application = next(app for app in first.after["applications"] if app["displayName"] == "Mail2DigitalFax")
    assert first.record["ids"]["application_id"] == application["appId"]
    assert first.record["ids"]["application_object_id"] == application["id"]
    assert first.record["tenant"]["id"] == TENANT_ID
    assert first.record["secret"]["key_id"] == application["passwordCredentials"][0]["keyId"]


def the_scope_comes_before_the_consent_and_goes_after_it(story: Story) -> None:
    for name, value in story.items():
        if isinstance(value, Run):
            assert value.exposures == [], name
    first, removal = story["first"].writes(), story["taken"].writes() + story["removal"].writes()

    def at(writes: list[str], pattern: str) -> int:
        return next(number for number, write in enumerate(writes) if re.search(pattern, write))

    assert at(first, "New-ApplicationAccessPolicy") < at(first, "addPassword") < at(first, "appRoleAssignedTo")
    # Nothing but the consent itself comes after the consent.
    assert all("oauth2PermissionGrants" in write for write in first[at(first, "appRoleAssignedTo") + 1 :])
    order = ["appRoleAssignedTo", "removePassword", "/applications/", "Remove-App", "Remove-Distribution"]
    positions = [at(removal, pattern) for pattern in order]
    assert positions == sorted(positions)
    assert positions[0] == 0


def a_second_run_changes_nothing_and_asks_little(story: Story) -> None:
    second: Run = story["second"]
    assert second.code == 0, second.output
    assert second.recap["changed"] == 0
    assert second.writes() == []
    assert second.after == second.before
    assert second.record["outcome"] == "ok"
    assert "+++ after" not in second.output
    # Two sign-ins of the operator, whatever the number of steps, and the application's own.
    tokens = [row for row in second.journal if row["host"] == LOGIN and row["method"] == "POST"]
    assert len(tokens) <= 3
    requests = second.requests()
    assert requests[GRAPH] <= 1
    assert requests[EXCHANGE] <= 3
    # A task costs processor time whatever it does: five of these are one for all tenants.
    assert second.recap["ok"] + second.recap["skipped"] <= 23
    # Times are those of the last look, though nothing counts as changed.
    assert second.record["at"] > story["first"].record["at"]


def greenfield_stays_within_its_budget(story: Story) -> None:
    assert story["first"].requests()[GRAPH] <= 9


def a_check_on_a_provisioned_tenant_shows_nothing_to_do(story: Story) -> None:
    nothing: Run = story["nothing"]
    assert nothing.code == 0, nothing.output
    assert nothing.recap["changed"] == 0
    assert "+++ after" not in nothing.output
    assert nothing.writes() == []
    assert nothing.record == story["second"].record
    # The proof is read, so it is asked for here as well.
    assert re.search(rf"{FAX}\s+granted\s+Granted\s+opened", nothing.output)


def the_secret_is_in_its_store_and_nowhere_else(story: Story) -> None:
    site: Site = story["site"]
    value = story["secret"]["value"]
    assert story["secret"]["key_id"] == story["first"].record["secret"]["key_id"]
    for name, told in story.items():
        if isinstance(told, Run):
            assert value not in told.output, name
            assert OPERATOR["client_secret"] not in told.output, name
    for path in site.folder.rglob("*"):
        if path.is_file():
            assert value.encode() not in path.read_bytes(), path
    assert story["files"] == {f"{HOST}.json": 0o640, f"{HOST}.html": 0o640}


def the_sheet_says_what_to_type_where(story: Story) -> None:
    sheet = story["first"].sheet
    assert "<strong>READY</strong>" in sheet
    fields = [
        sheet.index(f'<th scope="row">{name}</th>') for name in ("Application ID", "Directory ID", "Client Secret")
    ]
    assert fields == sorted(fields)
    assert story["first"].record["ids"]["application_id"] in sheet
    assert TENANT_ID in sheet
    assert f"ansible-vault view {story['site'].store}" in sheet
    assert "Ends on 1 Apr 2027" in sheet
    assert not re.search(r"<(script|link|img|iframe)\b|url\(|@import", sheet)
    assert set(re.findall(r'href="([^"]+)"', sheet)) == {
        "https://kbp.imagicle.com/kb/microsoft-oauth2-authentication-for-email-sending_816.html"
    }


def the_table_fits_a_terminal(story: Story) -> None:
    shown = story["first"].output.split("TASK [Show the outcome]")[1].split("PLAY [")[0]
    assert "REALLY OPENED" in shown
    assert max(len(line) for line in shown.splitlines()) <= 100


def an_audit_finds_drift_and_writes_nothing(story: Story) -> None:
    audit: Run = story["audit"]
    assert audit.code != 0
    assert audit.writes() == []
    assert audit.after == audit.before
    assert audit.audit["mode"] == "audit"
    assert audit.audit["outcome"] == "blocked"
    assert audit.audit["drift"] == ["application", "access_policy"]
    assert "application: not as declared, to be done: set display_name" in audit.output
    # It leaves what the last provisioning wrote.
    assert audit.record == story["second"].record
    assert audit.sheet == story["second"].sheet


def an_audit_of_what_was_removed_says_that_and_no_more(story: Story) -> None:
    audit: Run = story["audit of nothing"]
    assert audit.code != 0
    assert audit.writes() == []
    outcomes = {step["step"]: step["outcome"] for step in audit.audit["steps"]}
    assert outcomes["application"] == "blocked"
    assert "recycle bin" in audit.audit["steps"][1]["msg"]
    assert {outcomes[step] for step in ("access_policy", "client_secret", "admin_consent", "mailbox_probe")} == {
        "skipped"
    }


def a_run_mends_drift_and_nothing_else(story: Story) -> None:
    mended: Run = story["mended"]
    assert mended.code == 0, mended.output
    changed = [step for step, outcome in mended.steps.items() if outcome == "changed"]
    assert changed == ["application", "access_policy"]
    assert mended.after["applicationAccessPolicies"] == story["first"].after["applicationAccessPolicies"]


def a_decommission_wants_confirmation(story: Story) -> None:
    refused: Run = story["unconfirmed"]
    assert refused.code != 0
    assert refused.journal == []
    assert "mail2fax_confirm" in refused.output
    assert refused.record == story["nothing"].record


def what_limits_stays_until_no_token_is_alive(story: Story) -> None:
    taken: Run = story["taken"]
    assert taken.code == 0, taken.output
    assert (taken.record["outcome"], taken.record["state"]) == ("pending", "removing")
    assert taken.record["removing"]["until"] == taken.record["pending_until"]
    assert "BEING REMOVED until" in taken.sheet
    assert taken.after["applicationAccessPolicies"] == story["first"].after["applicationAccessPolicies"]
    assert taken.after["appRoleAssignments"] == story["plan"].before["appRoleAssignments"]
    audit: Run = story["audit meanwhile"]
    assert audit.code == 0, audit.output
    assert (audit.audit["outcome"], audit.audit["state"]) == ("pending", "removing")
    assert audit.audit["pending_until"] == taken.record["removing"]["until"]
    for name in ("provision meanwhile", "rotate meanwhile"):
        stopped: Run = story[name]
        assert stopped.code != 0
        assert stopped.writes() == []
        assert stopped.record["outcome"] == "blocked"
        assert "mail2fax_on_deleted" in stopped.output
        assert stopped.record["removing"] == taken.record["removing"], name


def a_decommission_leaves_the_tenant_as_it_was_found(story: Story) -> None:
    removal: Run = story["removal"]
    assert removal.code == 0, removal.output
    found, left = story["plan"].before, removal.after
    bin_before, bin_after = found["deletedItems"], left["deletedItems"]
    assert {**left, "deletedItems": None} == {**found, "deletedItems": None}
    assert len(bin_after) > len(bin_before)
    assert not story["stored after"]
    assert removal.record["state"] == "removed"
    assert removal.record["secret"] is None
    assert "<strong>REMOVED</strong>" in removal.sheet
    again: Run = story["removed again"]
    assert again.code == 0, again.output
    assert again.recap["changed"] == 0
    assert again.writes() == []
    assert again.record["ids"] == story["first"].record["ids"]


# --- large tenants -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.turn("lives of a tenant")
def test_requests_do_not_grow_with_the_tenant(tmp_path: pathlib.Path) -> None:
    counts = []
    for size in (50, 5000):
        with start_hosted(tenants(service_principals=size)) as emulator:
            site = Site(tmp_path / str(size), emulator)
            runs = [site.play("provision"), site.play("provision")]
        for run_ in runs:
            assert run_.code == 0, run_.output
        counts.append([run_.requests() for run_ in runs])
    assert counts[0] == counts[1]


# --- what stops a run ----------------------------------------------------------------------------------------


def test_a_typo_stops_the_run_before_anything_is_written(tmp_path: pathlib.Path) -> None:
    with start_hosted() as emulator:
        site = Site(tmp_path, emulator, {"mail2fax_mailboxes": [f"fxa@{DOMAIN}"]})
        typo = site.play("provision")
        # Options that only a later step would look at are refused even before the first request.
        early = site.play("provision", mail2fax_mailboxes=[FAX], mail2fax_group_name="x" * 65)
        late = {
            "mail2fax_verify_wait": -1,
            "mail2fax_ews_on_unset": "open",
            "mail2fax_group_owners": ["nobody"],
            "mail2fax_on_other_policies": "ignore",
            "mail2fax_exclusive_consent": "perhaps",
        }
        refused = site.play("provision", mail2fax_mailboxes=[FAX], **late)
        without = site.play("provision", mail2fax_mailboxes=[])
        closed = site.play(
            "provision", mail2fax_mailboxes=[FAX], mail2fax_handover_dir=str(site.folder / "tenants.yml" / "no")
        )
        shut = site.play(
            "provision",
            mail2fax_mailboxes=[FAX],
            mail2fax_secret_store={"backend": "vault_file", "path": str(site.folder / "tenants.yml" / "no")},
        )
        last = {"mail2fax_time_zone": "Rome", "mail2fax_contacts": "me", "mail2fax_audit_thresholds": {"red": 3}}
        for_the_end = [
            site.play(name, mail2fax_mailboxes=[FAX], mail2fax_confirm=True, **last)
            for name in ("provision", "rotate", "audit", "decommission")
        ]
        wrong = site.play("provision", mail2fax_mailboxes=[FAX], mail2fax_expected_domain="example.com")
    assert refused.code != 0
    assert refused.journal == []
    said = refused.record["stopped"]["msg"]
    assert [word for word in ("wait", "on_unset", "owners", "on_other_policies", "exclusive") if word not in said] == []
    assert without.code != 0
    assert without.journal == []
    assert "mail2fax_mailboxes names no mailbox" in without.record["stopped"]["msg"]
    assert closed.code != 0
    assert closed.journal == []
    assert "mail2fax_handover_dir" in closed.output
    assert shut.code != 0
    assert shut.journal == []
    assert "(In the inventory: mail2fax_secret_store.)" in shut.output
    assert shut.steps == {"preflight": "blocked", **dict.fromkeys(list(shut.steps)[1:], "skipped")}
    assert "What to do" in shut.record["steps"][0]["summary"]
    for at_the_end in for_the_end:
        assert at_the_end.code != 0
        assert at_the_end.journal == []
        assert [word for word in last if word not in at_the_end.output] == []
    assert typo.code != 0
    assert typo.after == typo.before
    assert typo.writes() == []
    assert typo.steps == {"preflight": "blocked", **dict.fromkeys(list(typo.steps)[1:], "skipped")}
    assert typo.record["outcome"] == "blocked"
    assert typo.record["stopped"]["step"] == "preflight"
    assert FAX in typo.record["stopped"]["msg"], "the closest address is named"
    assert "NOT READY (DRAFT)" in typo.sheet
    assert not site.store.exists()
    assert early.code != 0
    assert early.journal == []
    assert "64" in early.record["stopped"]["msg"]
    assert early.record["stopped"]["step"] == "preflight"
    assert wrong.code != 0
    assert wrong.writes() == []
    assert wrong.record["tenant"]["id"] is None or wrong.record["tenant"]["id"] == TENANT_ID


@pytest.mark.turn("what others have")
def test_what_fails_halfway_is_told_and_mended_by_the_next_run(tmp_path: pathlib.Path) -> None:
    strange = "Fax' & $(x) {{ 7 * 7 }} \u202eend"
    alias = f"incoming.faxes@{DOMAIN}"
    mailboxes = tenants()["tenants"][0]["mailboxes"]
    mailboxes[0]["aliases"] = [alias]
    with start_hosted(tenants(mailboxes=mailboxes)) as emulator:
        site = Site(tmp_path, emulator, {"mail2fax_mailboxes": [alias]})
        site.folder.joinpath("host_vars").mkdir()
        host_vars = "mail2fax_application_name: !unsafe " + json.dumps(strange)
        site.folder.joinpath("host_vars", f"{HOST}.yml").write_text(host_vars, encoding="utf-8")
        refusal = {"match": {"method": "POST", "path_regex": "addPassword"}, "times": 99, "effect": {"status": 403}}
        emulator.faults([refusal])
        broken = site.play("provision")
        emulator.faults([])
        whole = site.play("provision")
    assert broken.code != 0
    assert broken.steps["access_policy"] == "changed"
    assert broken.steps["client_secret"] in ("blocked", "failed")
    assert broken.steps["admin_consent"] == "skipped"
    assert broken.record["ids"]["application_id"]
    assert "NOT READY (DRAFT)" in broken.sheet
    assert broken.after["appRoleAssignments"] == broken.before["appRoleAssignments"]
    assert whole.code == 0, whole.output
    assert whole.record["ids"] == broken.record["ids"]
    assert whole.record["state"] == "ready"
    assert broken.exposures == whole.exposures == []
    # The mailbox was given by an alias, and opens by its primary address only.
    assert (whole.record["mailboxes"][0]["mailbox"], whole.record["mailboxes"][0]["probe"]) == (FAX, "opened")
    assert f'<span class="value">{FAX}</span>' in whole.sheet
    # Whatever is in a name arrives as it is, is shown as it is, and does nothing.
    assert strange in {app["displayName"] for app in whole.after["applications"]}
    assert whole.record["application"]["display_name"] == strange
    assert "Fax&#39; &amp; $(x) {{ 7 * 7 }}" in whole.sheet
    # The mark that turns the reading direction is spelled where a terminal would obey it.
    table = broken.output.split("TASK [Show the outcome]")[1].split("PLAY [")[0]
    assert "\\u202e" in table


# --- Exchange Web Services -----------------------------------------------------------------------------------


def ews(folder: pathlib.Path) -> Story:
    """A tenant that keeps EWS closed, with another application on its list."""
    closed = {"EwsEnabled": False, "EwsAllowedAppIDs": OTHER.upper()}
    with start_hosted(tenants(organization_config=closed)) as emulator:
        site = Site(folder, emulator)
        story: Story = {"closed": site.play("provision")}
        story["opened"] = site.play("provision", mail2fax_ews_opt_in=True)
        story["again"] = site.play("provision", mail2fax_ews_opt_in=True)
        story["taken"] = site.play("decommission", mail2fax_confirm=True)
        emulator.clock(seconds=TOKENS_S)
        story["removed"] = site.play("decommission", mail2fax_confirm=True)
    return story


@pytest.mark.turn("lives of a tenant")
def test_a_tenant_that_keeps_ews_closed(tmp_path: pathlib.Path, subtests: pytest.Subtests) -> None:
    story = ews(tmp_path)
    for check in (closed_ews_stops_the_run_unless_it_may_be_opened, how_ews_was_found_is_kept_and_put_back):
        with subtests.test(check.__name__):
            check(story)


def closed_ews_stops_the_run_unless_it_may_be_opened(story: Story) -> None:
    closed: Run = story["closed"]
    assert closed.code != 0
    assert closed.writes() == []
    assert "mail2fax_ews_opt_in" in closed.record["stopped"]["msg"]
    opened: Run = story["opened"]
    assert opened.code == 0, opened.output
    assert opened.steps["ews_access"] == "changed"
    configuration = opened.after["organizationConfig"]
    assert configuration["EwsEnabled"] is True
    assert configuration["EwsAllowedAppIDs"].startswith(OTHER.upper())
    assert opened.record["ids"]["application_id"] in configuration["EwsAllowedAppIDs"]


def how_ews_was_found_is_kept_and_put_back(story: Story) -> None:
    found = story["closed"].before["organizationConfig"]
    for run_ in ("opened", "again"):
        assert story[run_].record["ews_found"] == {key: found[key] for key in ("EwsEnabled", "EwsAllowedAppIDs")}
    removed: Run = story["removed"]
    assert removed.code == 0, removed.output
    assert removed.after["organizationConfig"] == found
    assert removed.record["ews_found"] is None
    assert [run_.exposures for run_ in story.values()] == [[]] * len(story)


# --- adopted applications ------------------------------------------------------------------------------------


@pytest.mark.turn("what others have")
def test_an_adopted_application_is_kept_with_what_others_gave_it(tmp_path: pathlib.Path) -> None:
    with start_hosted() as emulator:
        made = run("entra_application", {"unique_name": "by-hand", "display_name": "By hand"}, emulator)
        application = graph_as_a_person(emulator, "POST", "/applications", {"displayName": "By hand too"})
        assert made["outcome"] == "changed"
        site = Site(tmp_path, emulator, {"mail2fax_application_id": application["appId"]})
        adopted = site.play("provision", mail2fax_application_name="By hand too")
        taken = site.play("decommission", mail2fax_confirm=True)
        emulator.clock(seconds=TOKENS_S)
        removed = site.play("decommission", mail2fax_confirm=True)
    assert adopted.code == 0, adopted.output
    assert adopted.record["ids"]["application_id"] == application["appId"]
    assert adopted.record["application"] == {"display_name": "By hand too", "unique_name": None}
    assert removed.code == 0, removed.output
    left = {app["displayName"] for app in removed.after["applications"]}
    assert {"By hand", "By hand too"} <= left
    assert removed.after["applicationAccessPolicies"] == adopted.before["applicationAccessPolicies"]
    assert removed.after["appRoleAssignments"] == adopted.before["appRoleAssignments"]
    assert any("adopted" in leftover for leftover in removed.record["leftovers"])
    assert adopted.exposures == taken.exposures == removed.exposures == []


@pytest.mark.parametrize(
    ("playbook", "wrong", "said"),
    [
        ("provision", {"mail2fax_profile": "imagicle_ewss"}, "did you mean 'imagicle_ews'"),
        ("provision", {"mail2fax_cloud": "gobal"}, "must be one of: global"),
        ("audit", {"mail2fax_profile": "imagicle_ewss"}, "did you mean 'imagicle_ews'"),
        ("audit", {"mail2fax_cloud": "gobal"}, "must be one of: global"),
        ("decommission", {"mail2fax_profile": "imagicle_ewss", "mail2fax_confirm": True}, "did you mean"),
        ("decommission", {"mail2fax_cloud": "gobal", "mail2fax_confirm": True}, "must be one of: global"),
    ],
)
@pytest.mark.turn("typing errors")
def test_a_typo_in_what_everything_hangs_on_leaves_a_result(
    tmp_path: pathlib.Path, playbook: str, wrong: dict[str, t.Any], said: str
) -> None:
    with start_hosted() as emulator:
        stopped = Site(tmp_path, emulator).play(playbook, **wrong)
    assert stopped.code != 0
    assert stopped.journal == []
    document = stopped.audit if playbook == "audit" else stopped.record
    assert document["outcome"] == "failed"
    assert document["state"] == "draft"
    assert said in document["stopped"]["msg"]
    assert "template" not in document["stopped"]["msg"]
    assert document["stopped"]["step"] == "preflight"
    # There is nothing to type in, so there is no sheet.
    assert stopped.sheet == ""


@pytest.mark.turn("what others have")
def test_a_decommission_takes_back_what_was_added_to_things_of_others(tmp_path: pathlib.Path) -> None:
    adele = f"AdeleV@{DOMAIN}"
    group = {
        "name": "Imagicle Digital Fax",
        "alias": "imagicle.digital.fax",
        "address": f"imagicle.digital.fax@{DOMAIN}",
        "type": "MailUniversalSecurityGroup",
        "members": [adele],
        "managed_by": [],
    }
    by_hand = {"displayName": "By hand", "signInAudience": "AzureADMyOrg"}
    with start_hosted(tenants(groups=[group])) as emulator:
        application = graph_as_a_person(emulator, "POST", "/applications", by_hand)
        variables = {"mail2fax_application_id": application["appId"], "mail2fax_on_foreign_members": "keep"}
        site = Site(tmp_path, emulator, variables)
        first = site.play("provision")
        # What a later run finds is still what the first one added.
        second = site.play("provision")
        taken = site.play("decommission", mail2fax_confirm=True)
        emulator.clock(seconds=TOKENS_S)
        removed = site.play("decommission", mail2fax_confirm=True)
    assert [run_.code for run_ in (first, second, taken, removed)] == [0] * 4, removed.output
    assert second.writes() == []
    assert second.record["ours"] == first.record["ours"]
    # All is as it was found, its group with its member and without ours.
    for kind in ("applications", "servicePrincipals", "appRoleAssignments", "oauth2PermissionGrants"):
        assert removed.after[kind] == first.before[kind], kind
    assert [one["members"] for one in removed.after["groups"]] == [one["members"] for one in first.before["groups"]]
    assert removed.after["applicationAccessPolicies"] == first.before["applicationAccessPolicies"]
    order = ["appRoleAssignedTo", "/applications/", "Remove-ApplicationAccess", "Remove-DistributionGroupMember"]
    writes = taken.writes() + removed.writes()
    positions = [next(at for at, write in enumerate(writes) if name in write) for name in order]
    assert positions == sorted(positions)
    assert first.exposures == second.exposures == taken.exposures == removed.exposures == []
    assert removed.record["ours"] == []
    assert any("because others made it" in leftover for leftover in removed.record["leftovers"])


@pytest.mark.turn("what others have")
def test_a_decommission_leaves_grants_that_were_there_before(tmp_path: pathlib.Path) -> None:
    by_hand = {"displayName": "By hand", "signInAudience": "AzureADMyOrg"}
    with start_hosted() as emulator:
        application = graph_as_a_person(emulator, "POST", "/applications", by_hand)
        adopted = {"app_id": application["appId"]}
        wanted = [{"resource": "microsoft_graph", "delegated": ["User.Read"]}]
        assert run("entra_application", {**adopted, "permissions": wanted}, emulator)["outcome"] == "changed"
        assert run("entra_admin_consent", {**adopted, "permissions": wanted}, emulator)["outcome"] == "changed"
        site = Site(tmp_path, emulator, {"mail2fax_application_id": application["appId"]})
        first = site.play("provision")
        removed = site.play("decommission", mail2fax_confirm=True)
        # What limits is still there, and so is the application: to begin again has to be said.
        again = site.play("provision", mail2fax_on_deleted="restore")
        (site.handover / f"{HOST}.json").unlink()
        careful = site.play("decommission", mail2fax_confirm=True)
    assert [run_.code for run_ in (first, removed, again, careful)] == [0, 0, 0, 0], removed.output
    for kind in ("applications", "servicePrincipals", "appRoleAssignments", "oauth2PermissionGrants"):
        assert removed.after[kind] == first.before[kind], kind
    assert (removed.record["state"], again.record["state"], again.record["removing"]) == ("removing", "ready", None)
    leftovers = "\n".join(removed.record["leftovers"])
    assert "The application keeps User.Read of microsoft_graph, which no run of this collection granted." in leftovers
    # Without the record nobody knows whose they are: the declared grants go, and the outcome says so.
    assert not careful.after["oauth2PermissionGrants"]
    assert "No record tells" in "\n".join(careful.record["leftovers"])
