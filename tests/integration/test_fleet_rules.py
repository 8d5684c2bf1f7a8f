# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of a run over many tenants: rings, patterns that mean nobody, look-ups, confirmations."""

from __future__ import annotations

import csv
import json
import pathlib
import typing as t

import pytest
import yaml

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.fleet import OPERATOR_SECRET, Fleet, Run, is_write, places, tenants
from tests.integration.test_fleet_table import YAML, outcomes
from tests.unit import fleet_reports

Json = dict[str, t.Any]
OPERATOR = "11111111-0000-4000-8000-000000000001"
TYPO = {"mail2fax_on_delted": "restore"}
SSH = {
    "ansible_connection": "ssh",
    "mail2fax_allowed_connection": "ssh",
    "ansible_host": "127.0.0.1",
    "ansible_port": 1,
}
NOT_BEGUN = "not looked at"


@pytest.fixture(name="emulator", scope="module")
def an_emulator() -> t.Iterator[Emulator]:
    with start_emulator(tenants(6)) as emulator:
        yield emulator


def fleet_of(
    emulator: Emulator, folder: pathlib.Path, count: int, *, groups: Json | None = None, **hosts: Json
) -> Fleet:
    """A fleet whose hosts have some variables more."""
    fleet = Fleet(folder, emulator, count, settings=YAML)
    path = folder / "tenants.yml"
    inventory = yaml.safe_load(path.read_text(encoding="utf-8"))
    for host, said in hosts.items():
        inventory["all"]["hosts"][host].update(said)
    if groups:
        inventory["all"]["children"] = groups
    path.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")
    emulator.reset()
    return fleet


def written(emulator: Emulator) -> set[str]:
    """Ids of the tenants that were written into."""
    return {row["tenant"] for row in emulator.journal() if is_write(row)}


# --- rings -----------------------------------------------------------------------------------------------------


@pytest.mark.turn("rings by strategy")
@pytest.mark.parametrize(("strategy", "forks"), [("linear", 1), ("free", 5), ("host_pinned", 2)])
def test_no_tenant_of_the_next_ring_is_begun_after_a_bad_one(
    emulator: Emulator, tmp_path: pathlib.Path, strategy: str, forks: int
) -> None:
    fleet = fleet_of(emulator, tmp_path, 6, tenant01=TYPO)
    run = fleet.play(
        "mail2fax.m365.provision",
        *("--forks", str(forks)),
        env={"ANSIBLE_STRATEGY": strategy},
        mail2fax_ring_size=[1, "2"],
    )
    assert run.code != 0
    assert emulator.journal() == []
    assert outcomes(run) == {"tenant01": "failed", **{f"tenant0{number}": NOT_BEGUN for number in range(2, 7)}}
    assert "Ring 1 held the run up" in run.stdout
    assert "5 tenants were not begun" in " ".join(run.stdout.split())
    assert "How to go on: mend what is bad" in run.stdout
    assert not (tmp_path / "handover" / "tenant02.json").exists(), "what was not looked at has no new result"


def test_an_unreachable_canary_has_its_row_and_its_result(emulator: Emulator, tmp_path: pathlib.Path) -> None:
    fleet = fleet_of(emulator, tmp_path, 3, tenant01=SSH)
    run = fleet.play("mail2fax.m365.provision", mail2fax_ring_size=1)
    assert run.code != 0
    assert emulator.journal() == []
    assert outcomes(run) == {"tenant01": "failed", "tenant02": NOT_BEGUN, "tenant03": NOT_BEGUN}
    assert "tenant01 is unreachable by ssh" in run.stdout
    assert run.recap("tenant01")["unreachable"] == 1
    left = json.loads((tmp_path / "handover" / "tenant01.json").read_text(encoding="utf-8"))
    assert left["outcome"] == "failed"
    assert "unreachable" in left["stopped"]["msg"]


def test_where_all_are_unreachable_all_are_rows(emulator: Emulator, tmp_path: pathlib.Path) -> None:
    fleet = fleet_of(emulator, tmp_path, 2, tenant01=SSH, tenant02=SSH)
    run = fleet.play("mail2fax.m365.provision", mail2fax_ring_size=1, mail2fax_ring_max_bad=100)
    assert run.code != 0
    assert outcomes(run) == {"tenant01": "failed", "tenant02": "failed"}, "a share of 100 percent holds nothing up"


@pytest.mark.turn("rules of a fleet")
def test_the_share_said_is_the_share_meant(emulator: Emulator, tmp_path: pathlib.Path) -> None:
    said = {"mail2fax_ring_size": 2, "mail2fax_ring_max_bad": 50}
    fleet = fleet_of(emulator, tmp_path, 4, tenant01=TYPO, tenant02={"mail2fax_mailboxes": ["not an address"]})
    held = fleet.play("mail2fax.m365.provision", **said)
    assert written(emulator) == set()
    assert outcomes(held) == {
        "tenant01": "failed",
        "tenant02": "failed",
        "tenant03": NOT_BEGUN,
        "tenant04": NOT_BEGUN,
    }
    # One of two is not more than half.
    fleet = fleet_of(emulator, tmp_path, 4, tenant01=TYPO)
    run = fleet.play("mail2fax.m365.provision", "--limit", "tenant01,tenant02,tenant03", **said)
    assert outcomes(run) == {"tenant01": "failed", "tenant02": "changed", "tenant03": "changed"}
    assert "Ring" not in run.stdout
    # Who only looks, looks at all. Who says a ring of one host alone has said nothing of the run.
    tenant02 = {**TYPO, "mail2fax_ring_size": 1}
    fleet = fleet_of(emulator, tmp_path, 2, tenant01=TYPO, tenant02=tenant02)
    run = fleet.play("mail2fax.m365.provision", "--check", mail2fax_ring_size=1)
    assert outcomes(run) == {"tenant01": "failed", "tenant02": "failed"}
    assert "Ring" not in run.stdout
    run = fleet.play("mail2fax.m365.provision")
    assert run.stdout.count("its hosts say different things") >= 2


# --- nobody ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("playbook", "words", "told"),
    [
        ("decommission", ["-e", "mail2fax_hosts=ring9"], "nobody is called 'ring9'"),
        (
            "audit",
            ["-e", "mail2fax_hosts=tenant01:&tenant02"],
            "'tenant01:&tenant02' of mail2fax_hosts matches no host",
        ),
        ("rotate", ["-e", "mail2fax_hosts=tenant01", "--limit", "tenant02"], "within the limit 'tenant02'"),
    ],
)
def test_a_run_that_looked_at_nobody_ends_red(
    emulator: Emulator, tmp_path: pathlib.Path, playbook: str, words: list[str], told: str
) -> None:
    run = fleet_of(emulator, tmp_path, 2).play(f"mail2fax.m365.{playbook}", *words)
    assert run.code != 0
    assert told in " ".join(run.output.split())
    assert "localhost" not in run.stdout
    assert not (tmp_path / "handover").exists()


@pytest.mark.parametrize("inventory", ["empty.yml", "nobody.sh"])
def test_an_inventory_of_nobody_ends_red(emulator: Emulator, tmp_path: pathlib.Path, inventory: str) -> None:
    fleet = fleet_of(emulator, tmp_path, 1)
    (tmp_path / "empty.yml").write_text("all:\n  hosts: {}\n", encoding="utf-8")
    script = tmp_path / "nobody.sh"
    script.write_text("#!/bin/sh\necho '{}'\n", encoding="utf-8")
    script.chmod(0o755)
    (tmp_path / "tenants.yml").unlink()
    (tmp_path / "tenants.yml").symlink_to(inventory)
    if inventory.endswith(".sh"):
        (tmp_path / "tenants.yml").unlink()
        script.rename(tmp_path / "tenants.yml")
    run = fleet.play("mail2fax.m365.provision")
    assert run.code != 0
    assert "the inventory names no host" in " ".join(run.output.split())
    assert not (tmp_path / "handover").exists()


def test_names_of_a_limit_that_met_nobody_are_told(emulator: Emulator, tmp_path: pathlib.Path) -> None:
    fleet = fleet_of(emulator, tmp_path, 3, tenant01=TYPO, tenant02=TYPO)
    run = fleet.play("mail2fax.m365.provision", "--limit", "tenant01,tenant02,tenant99,!tenant98")
    assert "Nobody is called 'tenant99', '!tenant98'" in run.stdout
    assert "tenant99, !tenant98: nobody in the inventory is called so" in run.output


# --- the report --------------------------------------------------------------------------------------------------


def test_the_report_on_all_tenants_asks_nobody_and_misses_nobody(emulator: Emulator, tmp_path: pathlib.Path) -> None:
    """Three hundred, some of whom have left nothing; their look-ups would fail, and nothing can be reached."""
    fleet = fleet_of(emulator, tmp_path, 1)
    made = fleet_reports.fleet(300)
    inventory = yaml.safe_load((tmp_path / "tenants.yml").read_text(encoding="utf-8"))
    inventory["all"]["hosts"] = {host: {} for host in made}
    inventory["all"]["vars"] |= dict.fromkeys(
        ("mail2fax_tenant", "mail2fax_client_secret"), "{{ lookup('pipe', 'false') }}"
    )
    (tmp_path / "tenants.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    (tmp_path / "handover").mkdir()
    for host, texts in made.items():
        for ending, text in ((".json", texts.record), (".audit.json", texts.audit), (".reach.json", texts.reach)):
            if text:
                (tmp_path / "handover" / f"{host}{ending}").write_text(text, encoding="utf-8")
    (tmp_path / "handover" / "customer300.json").write_text("{", encoding="utf-8")
    run = fleet.play("mail2fax.m365.fleet_report", env={"HTTPS_PROXY": "http://127.0.0.1:9"})
    assert run.code == 0, run.output
    assert emulator.journal() == []
    table = list(csv.DictReader((tmp_path / "handover" / "fleet.csv").open(encoding="utf-8")))
    assert sorted(row["host"] for row in table) == sorted(made)
    assert "it is not JSON" in next(row["next"] for row in table if row["host"] == "customer300")
    page = (tmp_path / "handover" / "fleet.html").read_text(encoding="utf-8")
    assert page.count('<th scope="row"') == 300
    assert "300 tenants: " in run.stdout
    # The file of those that want another run is one for --limit.
    limit = str(tmp_path / "handover" / "fleet.limit")
    run = fleet.play("mail2fax.m365.fleet_report", "--limit", f"@{limit}", mail2fax_report_dir=str(tmp_path / "again"))
    again = list(csv.DictReader((tmp_path / "again" / "fleet.csv").open(encoding="utf-8")))
    assert {row["outcome"] for row in again} == {"failed", "blocked", "no result"}


# --- look-ups ----------------------------------------------------------------------------------------------------


def asked(run: Run, path: pathlib.Path) -> list[str]:
    assert run.code == 0, run.output
    found = sorted(path.read_text(encoding="utf-8").split())
    path.write_text("", encoding="utf-8")
    return found


@pytest.mark.turn("rules of a fleet")
def test_a_look_up_is_asked_once_a_tenant_and_run(emulator: Emulator, tmp_path: pathlib.Path) -> None:
    counted = tmp_path / "counted"
    counted.write_text("", encoding="utf-8")

    def looked_up(word: str, value: str) -> str:
        return f"{{{{ lookup('pipe', 'echo {word} >> {counted}; echo {value}') }}}}"

    place = places(5)[4]
    said = {
        "mail2fax_tenant": looked_up("tenant", place.domain),
        "mail2fax_client_id": OPERATOR,
        "operator": {"secret": looked_up("secret", OPERATOR_SECRET)},
        "mail2fax_client_secret": "{{ operator.secret }}",
        "mail2fax_mailboxes": "{{ ['fax@' ~ mail2fax_tenant] }}",
    }
    fleet = fleet_of(emulator, tmp_path, 1, tenant01=said)
    run = fleet.play("mail2fax.m365.provision", "-vv", a_variable_of_mine="is no matter")
    assert asked(run, counted) == ["secret", "tenant"]
    assert OPERATOR_SECRET not in run.output
    assert written(emulator) == {place.id}
    # Two playbooks of one run ask once, too.
    both = [{"import_playbook": f"mail2fax.m365.{name}"} for name in ("rotate", "rotate")]
    assert asked(fleet.play(t.cast("list[Json]", both)), counted) == ["secret", "tenant"]

    # What cannot be looked up is told by the variable's name, before anything is written.
    said["mail2fax_client_secret"] = "{{ lookup('pipe', 'echo 429 >&2; false') }}"
    fleet = fleet_of(emulator, tmp_path, 1, tenant01=said)
    run = fleet.play("mail2fax.m365.provision")
    assert run.code != 0
    assert "mail2fax_client_secret cannot be worked out" in run.output
    assert emulator.journal() == []


# --- confirmations -------------------------------------------------------------------------------------------------


@pytest.mark.turn("rules of a fleet")
def test_a_confirmation_is_said_for_each_tenant(emulator: Emulator, tmp_path: pathlib.Path) -> None:
    fleet = fleet_of(emulator, tmp_path, 2)
    assert fleet.play("mail2fax.m365.provision").code == 0
    path = tmp_path / "tenants.yml"
    said = path.read_text(encoding="utf-8")
    inventory = yaml.safe_load(said)
    inventory["all"]["vars"]["mail2fax_confirm"] = True
    path.write_text(yaml.safe_dump(inventory), encoding="utf-8")
    emulator.clear_journal()
    run = fleet.play("mail2fax.m365.decommission")
    assert run.code != 0
    assert "mail2fax_confirm is said for all hosts at once" in run.stdout
    assert emulator.journal() == []
    # What would go is told before anybody confirms, and what is in force with it.
    path.write_text(said, encoding="utf-8")
    run = fleet.play("mail2fax.m365.decommission", "--check")
    assert run.code == 0, run.output
    assert "in force, to be taken away: admin consent: revoked User.Read, full_access_as_app" in " ".join(
        run.stdout.split()
    )
    assert written(emulator) == set()
    # A group of their own, and a limit, are meant.
    inventory = yaml.safe_load(said)
    inventory["all"]["children"] = {"leaving": {"hosts": {"tenant01": {}}, "vars": {"mail2fax_confirm": True}}}
    path.write_text(yaml.safe_dump(inventory), encoding="utf-8")
    run = fleet.play("mail2fax.m365.decommission")
    assert outcomes(run) == {"tenant02": "blocked", "tenant01": "pending"}
