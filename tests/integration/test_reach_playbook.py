# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook reach, and the audit's step of that name, over a tenant that changes under them."""

from __future__ import annotations

import csv
import io
import json
import typing as t

import pytest

from tests.emulator.hosted import HostedEmulator, start_hosted
from tests.integration.inprocess import play_in_process
from tests.integration.site import HOST, INITIAL, OPERATOR, RIGHTS, Run, Site, World
from tests.integration.test_profile_drift import by_hand

Json = dict[str, t.Any]
WORLD = World("reach playbook", principals=20)
ARCHIVE = "20000000-0000-4000-8000-000000000001"
HOSTILE = "=cmd|' /C calc'!A1 <script>alert(1)</script> {{ 7 * 7 }}"
READER = {
    **OPERATOR,
    "display_name": "Operator",
    "app_roles": [*RIGHTS, "Directory.Read.All"],
    "directory_roles": ["Exchange Administrator"],
}
TENANTS = WORLD.tenants(
    operators=[READER],
    applications=[{"appId": ARCHIVE, "displayName": HOSTILE, "app_roles": ["Mail.Read"]}],
)


MEMBER = {
    "Identity": "imagicle.digital.fax",
    "Member": WORLD.control[0],
    "BypassSecurityGroupManagerCheck": True,
}


@pytest.fixture(scope="module")
def emulator() -> t.Iterator[HostedEmulator]:
    with start_hosted(TENANTS) as emulator:
        yield emulator


def report(site: Site) -> Json:
    path = site.folder / "handover" / f"{HOST}.reach.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def files(site: Site) -> dict[str, tuple[int, str]]:
    return {
        path.name: (path.stat().st_mtime_ns, path.read_text(encoding="utf-8"))
        for path in sorted((site.folder / "handover").glob("*.reach.*"))
    }


@pytest.fixture(scope="module")
def story(emulator: HostedEmulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, t.Any]:
    site = Site(tmp_path_factory.mktemp("reach"), emulator, WORLD, player=play_in_process)
    told: dict[str, t.Any] = {"site": site}

    def step(name: str, playbook: str, *words: str, **variables: t.Any) -> None:
        told[name] = site.play(playbook, *words, **variables)
        told[f"{name} report"], told[f"{name} files"] = report(site), files(site)

    step("nothing yet", "reach", "--check")
    step("provision", "provision")
    step("first", "reach")
    emulator.clock(seconds=3600)
    step("again", "reach")
    step("audit", "audit")
    by_hand(site, "Add-DistributionGroupMember", **MEMBER)
    step("predicted", "reach", "--check", "--diff")
    step("wider", "reach", "--diff")
    step("audit of wider", "audit")
    by_hand(site, "Remove-DistributionGroupMember", **MEMBER, Confirm=False)
    step("narrower", "reach")
    return told


def test_before_there_is_an_application_the_others_are_told_and_check_mode_writes_nothing(story: Json) -> None:
    run: Run = story["nothing yet"]
    assert run.code == 0, run.output
    assert "there is no application yet" in run.output
    assert "1 can open every mailbox" in run.output
    assert story["nothing yet files"] == {}


def test_the_first_report_tells_ours_and_what_else_opens_everything(story: Json) -> None:
    run: Run = story["first"]
    assert (run.code, run.writes()) == (0, []), run.output
    told = story["first report"]
    ours, *others = told["applications"]
    assert ours["app_id"] == told["application_id"] == story["provision"].record["ids"]["application_id"]
    assert {row["address"] for row in ours["mailboxes"]} == {*WORLD.fax} == {*told["declared"]}
    assert (ours["complete"], ours["everything"], told["outcome"]) == (True, False, "ok")
    archive = next(one for one in others if one["app_id"] == ARCHIVE)
    assert archive["everything"]
    assert "OPENS EVERYTHING" not in run.output
    assert (told["host"], told["tenant"]["id"], told["tenant"]["domain"]) == (HOST, WORLD.id, INITIAL)


def test_what_a_tenant_calls_things_is_harmless_in_all_three_files(story: Json) -> None:
    found = {name: text for name, (_time, text) in story["first files"].items()}
    assert set(found) == {f"{HOST}.reach.{ending}" for ending in ("csv", "html", "json")}
    page = found[f"{HOST}.reach.html"]
    assert page.startswith("<!DOCTYPE html>")
    assert page.count("<script") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ 7 * 7 }}" in page
    rows = list(csv.DictReader(io.StringIO(found[f"{HOST}.reach.csv"])))
    assert {row["application"] for row in rows if row["app_id"] == ARCHIVE} == {f"'{HOSTILE}"}
    assert not [text for text in found.values() if "operator-secret" in text]


def test_nothing_is_written_where_nothing_but_times_differs(story: Json) -> None:
    run: Run = story["again"]
    assert run.code == 0, run.output
    assert story["again files"] == story["first files"]
    assert "changed=0" in run.output


def test_the_audit_takes_its_verdict_from_reach_and_leaves_the_report_alone(story: Json) -> None:
    run: Run = story["audit"]
    assert run.code == 0, run.output
    assert list(run.steps)[-2:] == ["reach", "mailbox_probe"]
    assert run.steps["reach"] == "ok"
    assert run.record["reach"]["count"] == len(WORLD.fax)
    assert run.record["calendar"]["ews_ends"] == "2027-04-01"
    assert run.record["calendar"]["phase"] is None
    assert "Off EWS: not begun. Next: run mail2fax.m365.migrate" in " ".join(run.output.split())
    wider: Run = story["audit of wider"]
    assert wider.code != 0
    assert wider.steps["reach"] == "blocked"
    assert wider.record["reach"]["wider"]["mailboxes"] == WORLD.control
    assert story["audit of wider files"] == story["wider files"]


def test_a_mailbox_more_is_blocked_and_shown_by_diff_with_since_when(story: Json) -> None:
    run: Run = story["predicted"]
    assert run.code != 0, run.output
    assert story["predicted files"] == story["first files"]
    assert f"opens {WORLD.control[0]}" in run.output
    run = story["wider"]
    assert run.code != 0, run.output
    assert f"opens {WORLD.control[0]}" in run.output
    assert "wider since " in run.output
    told = story["wider report"]
    assert (told["outcome"], told["wider"]["mailboxes"]) == ("blocked", WORLD.control)
    [entry] = told["changes"]
    assert (entry["became"], entry["since"]) == ("wider", story["first report"]["at"])


def test_what_became_narrower_is_told(story: Json) -> None:
    run: Run = story["narrower"]
    assert run.code == 0, run.output
    [entry] = story["narrower report"]["changes"]
    assert (entry["became"], entry["mailbox"]) == ("narrower", WORLD.control[0])
    assert entry["since"] == story["wider report"]["at"]


def test_a_missing_file_comes_back_and_a_refused_read_makes_an_at_least(story: Json, emulator: HostedEmulator) -> None:
    site: Site = story["site"]
    site.play("reach")
    page = site.folder / "handover" / f"{HOST}.reach.html"
    before = files(site)
    page.unlink()
    # What is missing is written again, and nothing else.
    assert "changed=1 " in site.play("reach").output
    assert {name: text for name, (_time, text) in files(site).items()} == {
        name: text for name, (_time, text) in before.items()
    }
    refusal = {"status": 403, "body": {"error": {"code": "Authorization_RequestDenied", "message": "no"}}}
    emulator.faults([{"match": {"path_regex": "oauth2PermissionGrants"}, "times": 1000, "effect": refusal}])
    run = site.play("reach")
    emulator.faults([])
    assert run.code == 0, run.output
    assert not report(site)["applications"][0]["complete"]
    assert "at least" in run.output


def test_of_a_wrong_tenant_nothing_is_told(story: Json) -> None:
    site: Site = story["site"]
    before = files(site)
    run = site.play("reach", mail2fax_expected_domain="someone-else.com")
    assert run.code != 0
    assert "someone-else.com" in run.output
    assert "opens" not in run.output
    assert files(site) == before


def test_the_report_of_somebody_else_is_not_overwritten(story: Json) -> None:
    site: Site = story["site"]
    path = site.folder / "handover" / f"{HOST}.reach.json"
    mine = path.read_text(encoding="utf-8")
    path.write_text(mine.replace('"host": "contoso"', '"host": "fabrikam"'), encoding="utf-8")
    run = site.play("reach")
    assert run.code != 0
    assert "it belongs to 'fabrikam', not to 'contoso'" in " ".join(run.output.split())
    assert "fabrikam" in path.read_text(encoding="utf-8")
    path.write_text(mine, encoding="utf-8")
