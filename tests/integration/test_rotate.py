# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets grow old: the playbooks rotate and audit over a clock that the tests set forward.

A run costs seconds, so each story is told once and then looked at from several sides.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import pathlib
import typing as t
from collections import Counter
from dataclasses import dataclass

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.emulator.testing import Emulator, EmulatorError, start_emulator
from tests.integration.fleet import OPERATOR_SECRET, PASSWORD, Fleet, Place, Run, places, tenants

Json = dict[str, t.Any]
Story = dict[str, t.Any]
CLIENT = "11111111-0000-4000-8000-000000000001"
READER = {
    "client_id": "33333333-0000-4000-8000-000000000003",
    "client_secret": "reader-secret",
    "app_roles": ["Application.Read.All", "Directory.Read.All", "Exchange.ManageAsApp"],
    "directory_roles": ["Global Reader"],
}
GRAPH, EXCHANGE, LOGIN = "graph.microsoft.com", "outlook.office365.com", "login.microsoftonline.com"
NAME = "DigitalFaxMailServiceSecret"
ONE, TWO = places(2)


@dataclass
class Look:
    """A run with what it asked of each tenant, and what it left."""

    run: Run
    rows: list[Json]
    files: dict[str, bytes]
    keys: dict[str, list[str]]

    def asked(self, place: Place) -> Counter[str]:
        """Requests by host, a batch as one, EWS apart; of the sign-ins the tokens, not the discovery before them."""
        return Counter(
            "ews" if row["path"].lower().startswith("/ews/") else str(row["host"])
            for row in self.rows
            if row["tenant"] == place.id and not row.get("batch") and (row["host"] != LOGIN or row["method"] == "POST")
        )

    def writes(self) -> list[str]:
        """Graph's methods and paths, Exchange's cmdlets, that change something."""
        return [
            str(row.get("cmdlet") or f"{row['method']} {row['path']}")
            for row in self.rows
            if (row["host"] == GRAPH and row["method"] != "GET" and not row["path"].endswith("/$batch"))
            or (row.get("cmdlet") and not row["cmdlet"].startswith(("Get-", "Test-")))
        ]

    def document(self, place: Place, suffix: str = ".json") -> Json:
        return t.cast("Json", json.loads(self.files[f"{place.host}{suffix}"]))

    def sheet(self, place: Place) -> str:
        return self.files[f"{place.host}.html"].decode()

    def wave(self, task: str) -> list[str]:
        """The hosts that took part in one of the two waves."""
        return [event["host"] for event in self.run.of(task) if event["event"] != "skipped"]


@dataclass
class World:
    """A fleet of tenants whose secrets live 120 days, and its clock."""

    fleet: Fleet
    days: float = 0.0

    @property
    def emulator(self) -> Emulator:
        return self.fleet.emulator

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + dt.timedelta(days=self.days)

    def pass_days(self, days: float) -> None:
        self.days += days
        self.emulator.clock(days)

    def play(self, playbook: str, *words: str, env: t.Mapping[str, str] | None = None, **extra: t.Any) -> Look:
        self.emulator.clear_journal()
        environment = {"ANSIBLE_CALLBACKS_ENABLED": "events,clock", "CLOCK_AHEAD_DAYS": str(self.days), **(env or {})}
        run = self.fleet.play(f"mail2fax.m365.{playbook}", *words, env=environment, **extra)
        assert run.code == 0 or playbook != "provision", run.output
        rows = self.emulator.journal()
        files = {path.name: path.read_bytes() for path in sorted((self.fleet.folder / "handover").glob("*"))}
        keys = {place.host: self.keys(place) for place in places(self.fleet.count)}
        return Look(run, rows, files, keys)

    def keys(self, place: Place) -> list[str]:
        """The ids of the application's secrets that bear our name."""
        (application,) = (
            app for app in self.emulator.state(place.id)["applications"] if app["displayName"] == "Mail2DigitalFax"
        )
        return [key["keyId"] for key in application["passwordCredentials"] if key["displayName"] == NAME]

    def stored(self, place: Place) -> Json:
        """What the fax server's side reads."""
        vault = VaultLib([("default", VaultSecret(PASSWORD.encode()))])
        content = (self.fleet.folder / "secrets" / f"{place.host}.yml").read_bytes()
        return t.cast("Json", yaml.safe_load(vault.decrypt(content)))

    def opens(self, place: Place, value: str) -> bool:
        """Whether a fax server with this secret gets in to its mailbox."""
        stored = self.stored(place)
        try:
            token = self.emulator.token(place.domain, stored["client_id"], value, f"https://{EXCHANGE}")
        except EmulatorError:
            return False
        body = (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types" '
            'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><s:Header>'
            '<t:RequestServerVersion Version="Exchange2013_SP1"/><t:ExchangeImpersonation><t:ConnectingSID>'
            f"<t:SmtpAddress>{place.fax}</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation></s:Header><s:Body>"
            "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds>"
            '<t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:GetFolder></s:Body></s:Envelope>'
        )
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "text/xml; charset=utf-8",
            "X-AnchorMailbox": place.fax,
        }
        with self.emulator.session() as session:
            url = f"https://{EXCHANGE}/EWS/Exchange.asmx"
            answer = session.post(url, data=body, headers=headers, timeout=30)
        return answer.status_code == 200 and 'ResponseClass="Success"' in answer.text

    def as_a_person(self, place: Place, method: str, path: str, body: t.Any) -> Json:
        """Somebody's own request to a tenant's Graph."""
        token = self.emulator.token(place.domain, CLIENT, OPERATOR_SECRET)
        headers = {"Authorization": f"Bearer {token}"}
        with self.emulator.session() as session:
            url = f"https://{GRAPH}/v1.0{path}"
            answer = session.request(method, url, json=body, headers=headers, timeout=30)
        assert answer.status_code < 400, answer.text
        return t.cast("Json", answer.json()) if answer.content else {}


def world(folder: pathlib.Path, emulator: Emulator, count: int) -> World:
    return World(Fleet(folder, emulator, count, {"mail2fax_secret_lifetime_days": 120}))


def day(moment: dt.datetime) -> str:
    """As the sheet writes it."""
    return f"{moment.day} {moment:%b %Y}"


# --- a fleet's secrets are renewed ---------------------------------------------------------------------------


def rotations(folder: pathlib.Path) -> Story:
    """Two tenants: nothing due, due with one that fails, taken up again, the overlap's end; then all, in two runs."""
    with start_emulator(tenants(2)) as emulator:
        site = world(folder, emulator, 2)
        story: Story = {"site": site, "first": site.play("provision")}
        story["secret at first"] = site.stored(ONE)
        story["idle"] = site.play("rotate")
        story["only due, none is"] = site.play("rotate", mail2fax_rotate_only_due=True)

        site.pass_days(95)
        story["plan"] = site.play("rotate", "--check", "--diff")
        application = story["first"].document(TWO)["ids"]["application_id"]
        refusal = {"path_regex": rf"{application}.*/addPassword", "method": "POST"}
        emulator.faults([{"match": refusal, "times": 99, "effect": {"status": 403}}])
        story["at"] = site.now()
        story["broken"] = site.play("rotate")
        emulator.faults([])
        story["resumed"] = site.play("rotate")
        story["secret renewed"] = site.stored(ONE)
        # A run that died after the secret and before the hand-over.
        for name in (f"{ONE.host}.json", f"{ONE.host}.html"):
            (folder / "handover" / name).write_bytes(story["idle"].files[name])
        story["handed over late"] = site.play("rotate", "--limit", ONE.host)
        old, new = story["secret at first"]["value"], story["secret renewed"]["value"]
        story["during the overlap"] = {"old": site.opens(ONE, old), "new": site.opens(ONE, new)}

        site.pass_days(8)
        story["retired"] = site.play("rotate", mail2fax_rotate_only_due=False)
        story["after the overlap"] = {"old": site.opens(ONE, old), "new": site.opens(ONE, new)}

        since = site.now().isoformat()
        story["all, interrupted"] = site.play(
            "rotate", "--limit", ONE.host, mail2fax_rotate="always", mail2fax_rotate_made_before=since
        )
        story["all, continued"] = site.play("rotate", mail2fax_rotate="always", mail2fax_rotate_made_before=since)

        # Another machine, without the results; and a secret that somebody takes away.
        (lost,) = folder.glob(f"handover/{ONE.host}.json")
        lost.unlink()
        story["without a record"] = site.play("rotate", "--limit", ONE.host)
        application = f"/applications/{story['first'].document(TWO)['ids']['application_object_id']}"
        site.as_a_person(TWO, "POST", f"{application}/removePassword", {"keyId": site.stored(TWO)["key_id"]})
        story["removed outside"] = site.play("rotate", "--limit", TWO.host)
        story["fax at the end"] = site.opens(TWO, site.stored(TWO)["value"])
        story["exposures"] = emulator.exposures()
    return story


@pytest.mark.turn("lives of a secret")
def test_a_fleet_is_rotated(tmp_path: pathlib.Path, subtests: pytest.Subtests) -> None:
    story = rotations(tmp_path)
    for check in (
        nothing_due_costs_one_request_and_changes_nothing,
        who_is_not_due_by_the_last_result_can_be_left_out,
        a_check_predicts_and_writes_nothing,
        one_tenant_s_failure_stops_no_other,
        what_failed_is_told_and_still_works,
        the_next_run_does_the_rest_first,
        the_sheet_and_the_result_are_renewed,
        a_hand_over_that_was_not_reached_is_made_up_for,
        the_fax_server_gets_in_before_during_and_after,
        the_old_secret_goes_after_its_overlap,
        all_of_them_can_be_renewed_in_two_runs,
        without_a_record_the_tenant_is_looked_at_first,
        a_secret_removed_outside_is_replaced,
        no_value_is_shown,
    ):
        with subtests.test(check.__name__):
            check(story)


def nothing_due_costs_one_request_and_changes_nothing(story: Story) -> None:
    idle: Look = story["idle"]
    assert idle.run.code == 0, idle.run.output
    for place in (ONE, TWO):
        assert idle.asked(place) == {GRAPH: 1, LOGIN: 1}
        assert idle.run.recap(place.host)["changed"] == 0
        document = idle.document(place)
        assert (document["kind"], document["outcome"], document["state"]) == ("rotate", "ok", "ready")
        assert [(step["step"], step["outcome"]) for step in document["steps"]] == [
            ("client_secret", "ok"),
            ("mailbox_probe", "skipped"),
        ]
        # All that a provisioning has found out is still there, and the sheet is untouched.
        before = story["first"].document(place)
        for name in ("ids", "tenant", "application", "group", "secret", "mailboxes", "unprotected", "ews_found"):
            assert document[name] == before[name], name
        assert idle.sheet(place) == story["first"].sheet(place)
    assert idle.writes() == []
    assert set(idle.wave("Look at the others")) == {ONE.host, TWO.host}


def who_is_not_due_by_the_last_result_can_be_left_out(story: Story) -> None:
    left_out: Look = story["only due, none is"]
    assert left_out.run.code == 0, left_out.run.output
    assert left_out.rows == []
    assert "not looked at, its secret is valid until" in left_out.run.output
    assert left_out.files == story["idle"].files


def a_check_predicts_and_writes_nothing(story: Story) -> None:
    plan: Look = story["plan"]
    assert plan.run.code == 0, plan.run.output
    assert plan.writes() == []
    assert plan.files == story["idle"].files
    assert plan.run.recap(ONE.host)["changed"] == 1
    assert plan.keys == story["first"].keys


def one_tenant_s_failure_stops_no_other(story: Story) -> None:
    broken: Look = story["broken"]
    assert broken.run.code != 0
    assert set(broken.wave("Rotate those that are due")) == {ONE.host, TWO.host}
    assert broken.run.recap(ONE.host)["failed"] == 0
    assert broken.run.recap(TWO.host)["failed"] == 1
    done = broken.document(ONE)
    assert (done["outcome"], done["state"]) == ("changed", "ready")
    # Whose tenant it is was asked before anything was written.
    assert {step["step"]: step["outcome"] for step in done["steps"]} == {
        "preflight": "ok",
        "client_secret": "changed",
        "mailbox_probe": "ok",
    }
    assert len(broken.keys[ONE.host]) == 2
    assert broken.keys[TWO.host] == story["first"].keys[TWO.host]
    # What a rotation reads and writes, and nothing more.
    assert broken.asked(ONE) == {GRAPH: 3, EXCHANGE: 1, LOGIN: 4, "ews": 2}


def what_failed_is_told_and_still_works(story: Story) -> None:
    broken: Look = story["broken"]
    document, before = broken.document(TWO), story["first"].document(TWO)
    assert document["outcome"] in ("blocked", "failed")
    assert document["stopped"]["step"] == "client_secret"
    assert document["secret"] == before["secret"]
    assert document["state"] == "ready"
    assert document["last_good_at"] < document["at"]
    assert broken.sheet(TWO) == story["first"].sheet(TWO)
    complaint = broken.run.result("Stop where a person is needed")["msg"]
    end = dt.datetime.fromisoformat(before["secret"]["end_date_time"])
    assert f"The secret in use works until {day(end)}, 24 days from now." in complaint
    assert "NOT ROTATED" in broken.run.stdout


def the_next_run_does_the_rest_first(story: Story) -> None:
    resumed: Look = story["resumed"]
    assert resumed.run.code == 0, resumed.run.output
    assert resumed.wave("Rotate those that are due") == [TWO.host]
    assert resumed.wave("Look at the others") == [ONE.host]
    assert resumed.run.recap(ONE.host)["changed"] == 0
    assert resumed.asked(ONE) == {GRAPH: 1, LOGIN: 1}
    assert len(resumed.keys[TWO.host]) == 2
    assert resumed.document(TWO)["outcome"] == "changed"


def the_sheet_and_the_result_are_renewed(story: Story) -> None:
    renewed: Look = story["broken"]
    secret, before = renewed.document(ONE)["secret"], story["first"].document(ONE)["secret"]
    assert secret["key_id"] == story["secret renewed"]["key_id"] != before["key_id"]
    end = dt.datetime.fromisoformat(secret["end_date_time"])
    assert abs(end - story["at"] - dt.timedelta(days=120)) < dt.timedelta(hours=1)
    overlap = dt.datetime.fromisoformat(secret["previous_until"])
    assert abs(overlap - story["at"] - dt.timedelta(days=7)) < dt.timedelta(hours=1)
    sheet = renewed.sheet(ONE)
    assert "<strong>READY</strong>" in sheet
    assert f"Valid until <b>{day(end)}</b>" in sheet
    assert f"type it in before <b>{day(overlap)}</b>" in sheet
    assert "type it in before" not in story["first"].sheet(ONE)
    assert [row["probe"] for row in renewed.document(ONE)["mailboxes"]] == ["opened", "denied_by_policy"]


def a_hand_over_that_was_not_reached_is_made_up_for(story: Story) -> None:
    late: Look = story["handed over late"]
    assert late.run.code == 0, late.run.output
    assert late.wave("Rotate those that are due") == [ONE.host]
    assert late.writes() == []
    assert late.asked(ONE) == {GRAPH: 2, EXCHANGE: 1, LOGIN: 3, "ews": 2}
    assert late.document(ONE)["secret"] == story["resumed"].document(ONE)["secret"]
    overlap = dt.datetime.fromisoformat(late.document(ONE)["secret"]["previous_until"])
    assert f"type it in before <b>{day(overlap)}</b>" in late.sheet(ONE)


def the_fax_server_gets_in_before_during_and_after(story: Story) -> None:
    assert story["during the overlap"] == {"old": True, "new": True}
    assert story["after the overlap"] == {"old": False, "new": True}
    assert story["fax at the end"]


def the_old_secret_goes_after_its_overlap(story: Story) -> None:
    retired: Look = story["retired"]
    assert retired.run.code == 0, retired.run.output
    for place in (ONE, TWO):
        assert retired.run.recap(place.host)["changed"] == 1
        assert retired.keys[place.host] == [retired.document(place)["secret"]["key_id"]]
    # It is known what is due without asking: what is left to do here is not.
    assert set(retired.wave("Look at the others")) == {ONE.host, TWO.host}
    assert retired.sheet(ONE) == story["handed over late"].sheet(ONE)


def all_of_them_can_be_renewed_in_two_runs(story: Story) -> None:
    interrupted, continued = story["all, interrupted"], story["all, continued"]
    assert interrupted.run.code == continued.run.code == 0, continued.run.output
    assert interrupted.document(ONE)["secret"]["key_id"] != story["retired"].document(ONE)["secret"]["key_id"]
    assert continued.document(ONE)["secret"] == interrupted.document(ONE)["secret"]
    assert continued.run.recap(ONE.host)["changed"] == 0
    assert continued.document(TWO)["secret"]["key_id"] != interrupted.document(TWO)["secret"]["key_id"]


def without_a_record_the_tenant_is_looked_at_first(story: Story) -> None:
    look: Look = story["without a record"]
    assert look.run.code == 0, look.run.output
    assert look.wave("Rotate those that are due") == [ONE.host]
    assert look.keys == story["all, continued"].keys
    document = look.document(ONE)
    assert [step["step"] for step in document["steps"]] == ["preflight", "client_secret", "mailbox_probe"]
    assert document["ids"]["application_id"] == story["first"].document(ONE)["ids"]["application_id"]
    assert document["secret"]["key_id"] == story["all, continued"].document(ONE)["secret"]["key_id"]
    # What limits the application was not looked at, so nobody is told to rely on it.
    assert document["state"] == "draft"
    assert document["unprotected"].startswith("not known")
    assert look.sheet(ONE) == story["all, continued"].sheet(ONE)


def a_secret_removed_outside_is_replaced(story: Story) -> None:
    mended: Look = story["removed outside"]
    assert mended.run.code == 0, mended.run.output
    assert mended.wave("Look at the others") == [TWO.host]
    document = mended.document(TWO)
    assert "removed outside" in document["steps"][1]["summary"]
    assert (document["outcome"], document["state"]) == ("changed", "ready")
    assert story["exposures"] == []


def no_value_is_shown(story: Story) -> None:
    values = {story[name]["value"] for name in ("secret at first", "secret renewed")}
    for name, look in story.items():
        if isinstance(look, Look):
            shown = look.run.output.encode() + b"".join(look.files.values())
            assert not [value for value in values if value.encode() in shown], name


# --- what an audit says of credentials -----------------------------------------------------------------------


def certificate(end: dt.datetime) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fax")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, end - dt.timedelta(days=400), end)
    return base64.b64encode(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)).decode()


def audits(folder: pathlib.Path) -> Story:
    """One tenant, whose application others have given credentials, watched by a reader while its secret grows old."""
    file = tenants(1)
    file["tenants"][0]["operators"].append(READER)
    with start_emulator(file) as emulator:
        site = world(folder, emulator, 1)
        story: Story = {"site": site, "first": site.play("provision")}
        ids = story["first"].document(ONE)["ids"]
        ends = {days: site.now() + dt.timedelta(days=days) for days in (150, 200, 250)}

        def password(path: str, name: str, days: int) -> None:
            body = {"passwordCredential": {"displayName": name, "endDateTime": ends[days].isoformat()}}
            site.as_a_person(ONE, "POST", f"{path}/addPassword", body)

        password(f"/applications/{ids['application_object_id']}", "by hand", 150)
        # What was made here takes no secret on its service principal until somebody takes the lock off.
        unlocked = {"servicePrincipalLockConfiguration": {"isEnabled": False}}
        site.as_a_person(ONE, "PATCH", f"/applications/{ids['application_object_id']}", unlocked)
        password(f"/servicePrincipals/{ids['service_principal_id']}", "hidden", 200)
        body = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": certificate(ends[250]), "displayName": "CN=fax"}
        site.as_a_person(ONE, "PATCH", f"/applications/{ids['application_object_id']}", {"keyCredentials": [body]})
        held = emulator.state(ONE.id)
        accepted = [
            key["keyId"]
            for kind in ("applications", "servicePrincipals")
            for thing in held[kind]
            if thing["appId"] == ids["application_id"]
            for key in [*thing["passwordCredentials"], *thing["keyCredentials"]]
            if key["displayName"] in ("by hand", "hidden", "CN=fax")
        ]

        reader = {"M365_CLIENT_ID": READER["client_id"], "M365_CLIENT_SECRET": READER["client_secret"]}

        def audit(**extra: t.Any) -> Look:
            said = {"mail2fax_accept_credentials": accepted, **extra}
            return site.play("audit", env=t.cast("dict[str, str]", reader), **said)

        story["fresh"] = audit()
        for days in (65, 92, 107, 114):
            site.pass_days(days - site.days)
            story[f"day {days}"] = audit()
        story["own thresholds"] = audit(mail2fax_audit_thresholds={"pending": [6], "blocked": [3]})
        site.pass_days(1)
        gone = [{"match": {"host": LOGIN}, "times": 999, "effect": {"status": 404}}]
        emulator.faults(gone)
        impatient = {"M365_PATIENCE": "1", **t.cast("dict[str, str]", reader)}
        story["unknown"] = site.play("audit", env=impatient, mail2fax_accept_credentials=accepted)
        emulator.faults([])
        site.pass_days(121 - site.days)
        story["expired"] = audit()
        story["rotated"] = site.play("rotate", mail2fax_accept_credentials=accepted)
        story["mended"] = audit()
    return story


@pytest.mark.turn("lives of a secret")
def test_an_audit_watches_the_clock(tmp_path: pathlib.Path, subtests: pytest.Subtests) -> None:
    story = audits(tmp_path)
    for check in (
        every_credential_is_listed_ours_and_foreign,
        a_reader_suffices_and_requests_are_few,
        thresholds_decide_on_the_outcome,
        thresholds_can_be_set,
        a_tenant_out_of_reach_is_unknown_since_its_last_good_result,
        an_expired_secret_is_red_until_it_is_renewed,
        how_open_ews_are_is_told,
    ):
        with subtests.test(check.__name__):
            check(story)


def audited(story: Story, name: str) -> Json:
    return t.cast("Json", story[name].document(ONE, ".audit.json"))


def step(document: Json, name: str) -> Json:
    return next(step for step in document["steps"] if step["step"] == name)


def every_credential_is_listed_ours_and_foreign(story: Story) -> None:
    fresh = audited(story, "fresh")
    shown = [
        (row["display_name"], row["kind"], row["of"], row["whose"], row["days_left"], row["outcome"])
        for row in fresh["credentials"]
    ]
    assert shown == [
        (NAME, "secret", "application", "ours", 119, "ok"),
        ("by hand", "secret", "application", "foreign", 149, "ok"),
        ("hidden", "secret", "service_principal", "foreign", 199, "ok"),
        ("CN=fax", "certificate", "application", "foreign", 249, "ok"),
    ]
    assert fresh["credentials"][0]["key_id"] == story["first"].document(ONE)["secret"]["key_id"]
    assert fresh["credentials"][3]["thumbprint"]
    assert (fresh["outcome"], fresh["drift"], fresh["reached"], fresh["unknown_since"]) == ("ok", [], True, None)
    assert step(fresh, "credentials")["summary"] == "3 secrets and 1 certificate, 3 foreign; the first ends in 119 days"
    assert "CREDENTIAL" in story["fresh"].run.stdout


def a_reader_suffices_and_requests_are_few(story: Story) -> None:
    fresh: Look = story["fresh"]
    assert fresh.run.code == 0, fresh.run.output
    assert fresh.writes() == []
    asked = fresh.asked(ONE)
    assert asked[GRAPH] <= 8
    # Among them what the step reach takes.
    assert asked[EXCHANGE] <= 7
    assert asked[LOGIN] <= 3


def thresholds_decide_on_the_outcome(story: Story) -> None:
    met = {}
    for days in (65, 92, 107, 114):
        look: Look = story[f"day {days}"]
        document = audited(story, f"day {days}")
        ours = next(row for row in document["credentials"] if row["whose"] == "ours")
        met[days] = (document["outcome"], ours["outcome"], ours["within_days"], ours["days_left"], look.run.code)
        assert document["drift"] == []
        assert look.writes() == []
    assert met == {
        65: ("pending", "pending", 60, 54, 0),
        92: ("pending", "pending", 30, 27, 0),
        107: ("blocked", "blocked", 14, 12, 2),
        114: ("blocked", "blocked", 7, 5, 2),
    }
    end = dt.datetime.fromisoformat(story["first"].document(ONE)["secret"]["end_date_time"])
    (pending,) = audited(story, "day 65")["pending"]
    assert dt.datetime.fromisoformat(pending["until"]) == end - dt.timedelta(days=14)
    complaint = story["day 107"].run.result("Stop where a person is needed")["msg"]
    told = f"credentials: the secret '{NAME}' ends on {end:%Y-%m-%d}, in 12 days, renew it with mail2fax.m365.rotate"
    assert complaint.splitlines() == [told]


def thresholds_can_be_set(story: Story) -> None:
    document = audited(story, "own thresholds")
    assert story["own thresholds"].run.code == 0
    assert (document["outcome"], step(document, "credentials")["outcome"]) == ("pending", "pending")


def a_tenant_out_of_reach_is_unknown_since_its_last_good_result(story: Story) -> None:
    last = audited(story, "own thresholds")
    look: Look = story["unknown"]
    document = audited(story, "unknown")
    assert look.run.code != 0
    assert document["outcome"] in ("blocked", "failed")
    assert document["reached"] is False
    assert document["unknown_since"] == last["at"]
    assert step(document, "credentials")["summary"].startswith("unknown since ")
    assert "UNKNOWN since" in look.run.stdout
    # What was known goes on ageing.
    assert {row["key_id"] for row in document["credentials"]} == {row["key_id"] for row in last["credentials"]}
    assert document["credentials"][0]["days_left"] == 4
    assert document["ews"] == last["ews"]


def an_expired_secret_is_red_until_it_is_renewed(story: Story) -> None:
    expired = audited(story, "expired")
    assert story["expired"].run.code != 0
    ours = next(row for row in expired["credentials"] if row["whose"] == "ours")
    assert (ours["outcome"], ours["within_days"], ours["days_left"]) == ("blocked", 0, -2)
    assert "client_secret" in expired["drift"]
    assert "7000222" in step(expired, "mailbox_probe")["msg"]
    rotated: Look = story["rotated"]
    assert rotated.run.code == 0, rotated.run.output
    assert rotated.document(ONE)["state"] == "ready"
    mended = audited(story, "mended")
    assert [(row["whose"], row["outcome"]) for row in mended["credentials"]] == [
        ("foreign", "pending"),
        ("foreign", "ok"),
        ("ours", "ok"),
        ("foreign", "ok"),
    ]
    assert (mended["outcome"], mended["drift"]) == ("pending", [])


def how_open_ews_are_is_told(story: Story) -> None:
    ews = audited(story, "fresh")["ews"]
    assert (ews["EwsEnabled"], ews["allowed"], ews["ends_on"]) == (None, None, "2027-04-01")
    assert "EWS: not restricted by the tenant; ends on 1 Apr 2027" in story["fresh"].run.stdout
