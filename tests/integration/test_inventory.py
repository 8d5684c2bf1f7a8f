# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories as people and surveys write them: what is wrong is refused before a request, and each host for itself."""

from __future__ import annotations

import json
import pathlib
import shutil
import typing as t

import pytest
import yaml

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _places
from ansible_collections.mail2fax.m365.plugins.plugin_utils._variables import variables
from tests.emulator.testing import Emulator, start_emulator
from tests.integration.fleet import Fleet, Place, Run, places, tenants
from tests.tools import layout

Json = dict[str, t.Any]
GRAPH = "graph.microsoft.com"
HARSH = {"ANSIBLE_ANY_ERRORS_FATAL": "true", "ANSIBLE_PRIVATE_ROLE_VARS": "1"}
"""Settings of an ansible.cfg that touch how errors and variables spread."""

WELL, MISSPELT, TYPO, NUMBER, TEXT, TWINS, BLANK, STRANGE, ELSEWHERE = places(9)
FOREIGN = "22222222-0000-4000-8000-000000000002"
# Those that ask a tenant.
PLAYBOOKS = sorted(
    path.stem
    for path in (layout.ROOT / "playbooks").glob("*.yml")
    if "plays/begin.yml" in path.read_text(encoding="utf-8")
)


def writes(emulator: Emulator) -> list[str]:
    return [
        str(row.get("cmdlet") or f"{row['method']} {row['path']}")
        for row in emulator.journal()
        if (row["host"] == GRAPH and row["method"] != "GET" and not row["path"].endswith("/$batch"))
        or (row.get("cmdlet") and not row["cmdlet"].startswith(("Get-", "Test-")))
    ]


def change(fleet: Fleet, **hosts: Json) -> None:
    """Change variables of hosts; None takes one away, a host's name may be new."""
    path = fleet.folder / "tenants.yml"
    inventory = yaml.safe_load(path.read_text(encoding="utf-8"))
    for host, values in hosts.items():
        known = inventory["all"]["hosts"].setdefault(host, {})
        known.update(values)
        for name in [name for name, value in known.items() if value == "take it away"]:
            del known[name]
    path.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")


def result(fleet: Fleet, host: str) -> Json:
    path = fleet.folder / "handover" / f"{_places.file_name(host)}.json"
    return t.cast("Json", json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


@pytest.fixture(name="emulator", scope="module")
def an_emulator() -> t.Iterator[Emulator]:
    with start_emulator(tenants(9)) as emulator:
        yield emulator


@pytest.fixture(name="mixed", scope="module")
def a_run_over_good_and_bad(
    emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Fleet, Run, list[Json]]:
    """One host is well; the others have a mistake each."""
    fleet = Fleet(tmp_path_factory.mktemp("mixed"), emulator, 6, settings=HARSH)
    change(
        fleet,
        **{
            MISSPELT.host: {"mail2fax_tennant": MISSPELT.domain, "mail2fax_tenant": "take it away"},
            TYPO.host: {"mail2fax_on_delted": "restore"},
            NUMBER.host: {"mail2fax_ticket": 5349, "mail2fax_secret_lifetime_days": "soon"},
            TEXT.host: {"mail2fax_secret_store": "vault_file", "mail2fax_contacts": ""},
            TWINS.host: {"mail2fax_contacts": None, "mail2fax_time_zone": ""},
            "Twins": {"mail2fax_tenant": TWINS.domain, "mail2fax_mailboxes": TWINS.fax},
        },
    )
    (fleet.folder / "handover").mkdir()
    emulator.clear_journal()
    # Where the environment's tenant leads is another's.
    run = fleet.play("mail2fax.m365.provision", env={"M365_TENANT": WELL.domain})
    return fleet, run, emulator.journal()


def test_each_host_ends_for_itself(mixed: tuple[Fleet, Run, list[Json]]) -> None:
    fleet, run, journal = mixed
    assert run.code != 0
    assert result(fleet, WELL.host)["state"] == "ready", run.output
    asked = {row["tenant"] for row in journal}
    assert WELL.id in asked
    for place in (MISSPELT, TYPO, NUMBER, TEXT, TWINS):
        assert place.id not in asked, place.host
    told = {
        MISSPELT.host: ["mail2fax_tennant is not a variable", "call it mail2fax_tenant", "M365_TENANT is not used"],
        TYPO.host: ["call it mail2fax_on_deleted"],
        NUMBER.host: ["mail2fax_ticket is a number", "mail2fax_secret_lifetime_days is 'soon'"],
        TEXT.host: ["mail2fax_secret_store is text, not a mapping"],
    }
    for host, words in told.items():
        document = result(fleet, host)
        assert document["outcome"] == "failed", host
        for some in words:
            assert some in document["stopped"]["msg"]
    # The twins mean one application, and neither of them has the right to the other's file.
    assert run.output.count("mean one application of one tenant") >= 2
    assert not result(fleet, TWINS.host)
    assert not list((fleet.folder / "handover").glob("*.html.*"))
    assert "7 tenants: 6 failed, 1 changed" in run.output


@pytest.mark.turn("many hosts")
def test_no_blank_value_says_anything(emulator: Emulator, tmp_path: pathlib.Path) -> None:
    """Every variable that no host has to set, left blank in each way, through the whole life of a tenant."""
    place = Place(1)
    needed = {
        "mail2fax_mailboxes",
        "mail2fax_secret_store",
        "mail2fax_tenant",
        "mail2fax_handover_dir",
        "mail2fax_hosts",
    }
    blanks = {name: (None, "", " \t")[number % 3] for number, name in enumerate(sorted(set(variables()) - needed))}
    fleet = Fleet(tmp_path, emulator, 1, variables=blanks, settings=HARSH)
    change(fleet, **{place.host: {"mail2fax_tenant": BLANK.domain, "mail2fax_mailboxes": BLANK.fax}})
    for playbook, extra in (
        ("provision", {}),
        ("audit", {}),
        ("rotate", {"mail2fax_rotate": "always"}),
        ("decommission", {"mail2fax_confirm": "true"}),
    ):
        run = fleet.play(f"mail2fax.m365.{playbook}", **extra)
        assert run.code == 0, run.output
        assert result(fleet, place.host)["outcome"] in ("ok", "changed", "pending"), playbook


@pytest.mark.parametrize(
    ("playbook", "extra"),
    [
        ("provision", {"application_result": {"app_id": FOREIGN}, "mail2fax_inventory": {"refused": []}}),
        ("audit", {"mail2fax_is_meant": False, "handover_result": {"document": {}}}),
    ],
)
def test_state_from_outside_is_refused(emulator: Emulator, tmp_path: pathlib.Path, playbook: str, extra: Json) -> None:
    fleet = Fleet(tmp_path, emulator, 1)
    emulator.clear_journal()
    run = fleet.play(f"mail2fax.m365.{playbook}", **extra)
    assert run.code != 0
    assert emulator.journal() == []
    for name in extra:
        assert f"{name} is an extra variable" in run.output
    assert not (tmp_path / "handover").exists()


def test_one_tenant_under_two_names_is_told_before_anything_is_written(
    emulator: Emulator, tmp_path: pathlib.Path
) -> None:
    fleet = Fleet(tmp_path, emulator, 1)
    other = {"mail2fax_tenant": WELL.id, "mail2fax_mailboxes": [WELL.fax], "mail2fax_expected_domain": None}
    change(fleet, **{WELL.host: {"mail2fax_tenant": WELL.domain}, "other": other})
    # No other run has left an application, whose id would tell.
    emulator.reset()
    emulator.clear_journal()
    run = fleet.play("mail2fax.m365.provision")
    assert run.code != 0
    assert writes(emulator) == []
    assert [result(fleet, host)["outcome"] for host in (WELL.host, "other")] == ["blocked", "blocked"]
    assert "mean one application of one tenant, under different names" in run.output


def test_a_job_of_awx_reaches_the_tenant_that_its_inventory_says(emulator: Emulator, tmp_path: pathlib.Path) -> None:
    """An inventory that repeats what comes from outside says nothing of its own."""
    fleet = Fleet(tmp_path, emulator, 1)
    change(fleet, **{WELL.host: {"mail2fax_tenant": "{{ whose }}"}})
    emulator.clear_journal()
    run = fleet.play("mail2fax.m365.audit", awx_job_id=7, whose=ELSEWHERE.domain)
    assert run.code != 0
    assert emulator.journal() == []
    assert "mail2fax_tenant refers to an extra variable" in run.output
    change(fleet, **{WELL.host: {"mail2fax_tenant": "take it away"}})
    run = fleet.play("mail2fax.m365.audit", awx_job_id=7, mail2fax_tenant=ELSEWHERE.domain)
    assert emulator.journal() == []
    assert "the inventory does not say which tenant tenant01 is" in run.output


def test_answers_of_a_survey_keep_their_digits_or_are_refused(emulator: Emulator, tmp_path: pathlib.Path) -> None:
    """In the very form in which AWX writes them."""
    fleet = Fleet(tmp_path, emulator, 1)
    emulator.clear_journal()
    answers = tmp_path / "answers.yml"
    answers.write_text(
        "mail2fax_ticket: !unsafe '0012345'\nmail2fax_prepared_by: !unsafe '12:30'\n"
        "mail2fax_policy_description: !unsafe ''\n"
        "mail2fax_contacts: {fax: !unsafe '+390551234567', entra: !unsafe ' +39 055'}\n"
        "mail2fax_control_mailboxes: !unsafe ''\n",
        encoding="utf-8",
    )
    run = fleet.play("mail2fax.m365.provision", "-e", f"@{answers}")
    assert run.code != 0
    assert emulator.journal() == []
    for name in ("mail2fax_ticket", "mail2fax_prepared_by", "mail2fax_contacts.fax"):
        assert f"{name} is a number" in run.output
    assert "mail2fax_contacts.entra" not in run.output


def test_a_run_that_begins_in_the_middle_does_nothing(emulator: Emulator, tmp_path: pathlib.Path) -> None:
    fleet = Fleet(tmp_path, emulator, 1)
    emulator.clear_journal()
    run = fleet.play("mail2fax.m365.decommission", "--start-at-task", "Remove the client secret", mail2fax_confirm=True)
    assert run.code != 0
    assert "Run the playbook whole" in run.output or "run the playbook whole" in run.output
    assert emulator.journal() == []


@pytest.mark.turn("many hosts")
def test_every_playbook_asks_for_the_expected_domain_first(emulator: Emulator, tmp_path: pathlib.Path) -> None:
    place = Place(1)
    fleet = Fleet(tmp_path, emulator, 1)
    change(fleet, **{place.host: {"mail2fax_tenant": STRANGE.domain, "mail2fax_mailboxes": STRANGE.fax}})
    run = fleet.play("mail2fax.m365.provision")
    assert run.code == 0, run.output
    change(fleet, **{place.host: {"mail2fax_expected_domain": "someone-else.com"}})
    before = (fleet.folder / "secrets" / f"{place.host}.yml").read_bytes()
    # The report on all tenants asks none of them.
    for playbook in sorted({*PLAYBOOKS} - {"fleet_report"}):
        emulator.clear_journal()
        # Each is told what it wants to be told, and asks for the domain all the same.
        wanted = {"mail2fax_migrate_to": "imagicle_imap_smtp"} if playbook == "migrate" else {}
        run = fleet.play(f"mail2fax.m365.{playbook}", mail2fax_confirm=True, mail2fax_rotate="always", **wanted)
        assert run.code != 0, playbook
        assert "someone-else.com" in run.output, playbook
        assert writes(emulator) == [], playbook
        assert (fleet.folder / "secrets" / f"{place.host}.yml").read_bytes() == before


@pytest.mark.turn("many hosts")
def test_relative_paths_are_the_inventorys_and_those_of_0_1_0_are_found(
    emulator: Emulator, tmp_path: pathlib.Path
) -> None:
    """The record that 0.1.0 left below the current folder, under the old name, is taken on."""
    place = ELSEWHERE
    fleet = Fleet(tmp_path / "site", emulator, 1)
    inventory = yaml.safe_load((fleet.folder / "tenants.yml").read_text(encoding="utf-8"))
    inventory["all"]["hosts"] = {"Möller GmbH": {"mail2fax_tenant": place.domain, "mail2fax_mailboxes": place.fax}}
    del inventory["all"]["vars"]["mail2fax_handover_dir"]
    inventory["all"]["vars"]["mail2fax_secret_store"]["path"] = "secrets/moeller.yml"
    elsewhere = tmp_path / "inventories"
    elsewhere.mkdir()
    (elsewhere / "tenants.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    (fleet.folder / "tenants.yml").unlink()
    words = ["-i", str(elsewhere / "tenants.yml")]
    run = fleet.play("mail2fax.m365.provision", *words, env={"PWD": "/gone"})
    assert run.code == 0, run.output
    (record,) = (elsewhere / "handover").glob("moller-gmbh~*.json")
    assert (elsewhere / "secrets" / "moeller.yml").is_file()
    assert not (fleet.folder / "handover").exists()
    # As 0.1.0 left it.
    old = fleet.folder / "handover" / "M_ller_GmbH.json"
    store, old_store = elsewhere / "secrets" / "moeller.yml", fleet.folder / "secrets" / "moeller.yml"
    for new, before in ((record, old), (store, old_store)):
        before.parent.mkdir()
        shutil.move(new, before)
    left = json.loads(old.read_text(encoding="utf-8"))
    left["secret"]["stored_in"] = f"vault file {old_store}"
    old.write_text(json.dumps(left), encoding="utf-8")
    for playbook, check in (("audit", []), ("provision", ["--check"]), ("rotate", ["--check"])):
        run = fleet.play(f"mail2fax.m365.{playbook}", *words, *check)
        assert run.code == 0, run.output
        assert not record.exists(), "a look moves nothing"
        assert old_store.exists()
    run = fleet.play("mail2fax.m365.provision", *words)
    assert run.recap("Möller GmbH").get("failed") == 0, run.output
    document = json.loads(record.read_text(encoding="utf-8"))
    assert document["host"] == "Möller GmbH"
    assert document["ours"], "what runs added is known on"
    assert document["secret"]["key_id"] == left["secret"]["key_id"], "no second secret"
    assert str(store) in str(document["secret"]["stored_in"])
    assert store.exists()
    assert not old.exists()
    assert not old_store.exists()
