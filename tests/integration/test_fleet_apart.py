# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tenants are kept apart: in one run nothing of one is in anything of another, and an inventory that is cut in slices,
each run by a worker of its own, leaves the same results as one run."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import typing as t

import pytest
import yaml

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.fleet import Fleet, Place, places, tenants

Json = dict[str, t.Any]
PLACES = places(2)
SHARED = {"Show all tenants", "Hand on what the run came to", "Compare the tenants"}
"""Tasks whose one result is about all tenants of a run."""

NOBODY = {"M365_CLIENT_ID": "", "M365_CLIENT_SECRET": ""}
"""The environment names no operator: each tenant has its own."""

GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")


def operator(place: Place) -> Json:
    """Whoever acts in a tenant: another one in each."""
    return {
        "mail2fax_client_id": f"11111111-0000-4000-8000-0000000000{place.number:02}",
        "mail2fax_client_secret": f"operator~secret~of~{place.host}",
    }


def world() -> Json:
    found = tenants(len(PLACES))
    for place, tenant in zip(PLACES, found["tenants"], strict=True):
        said = operator(place)
        tenant["operators"][0].update(
            client_id=said["mail2fax_client_id"], client_secret=said["mail2fax_client_secret"]
        )
    return found


def fleet_of(emulator: Emulator, folder: pathlib.Path) -> Fleet:
    fleet = Fleet(folder, emulator, len(PLACES), variables={"mail2fax_proof_send": False})
    path = folder / "tenants.yml"
    inventory = yaml.safe_load(path.read_text(encoding="utf-8"))
    for place in PLACES:
        inventory["all"]["hosts"][place.host].update(operator(place), mail2fax_ticket=f"ticket of {place.host}")
    path.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")
    return fleet


class Story(t.NamedTuple):
    """What came of one run over all: where it ran, what callbacks got, each tenant in the end, what was asked of it."""

    fleet: Fleet
    events: list[Json]
    state: Json
    journal: list[Json]
    output: str


@pytest.fixture(name="story", scope="module")
def one_run_over_all(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Story]:
    """Two tenants with operators of their own, and the facts that the run has of each at its end."""
    folder = tmp_path_factory.mktemp("together")
    with start_emulator(world()) as emulator:
        fleet = fleet_of(emulator, folder)
        facts = {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [
                {
                    "name": "Facts",
                    "ansible.builtin.copy": {
                        "dest": str(folder / "facts-{{ inventory_hostname }}"),
                        "content": "{{ vars | dict2items | rejectattr('key', 'in', shared) | items2dict | to_json }}",
                    },
                    "vars": {"shared": ["hostvars", "groups", "vars", "environment", "ansible_play_hosts_all"]},
                }
            ],
        }
        both: list[Json] = [{"import_playbook": f"mail2fax.m365.{name}"} for name in ("provision", "audit")]
        run = fleet.play([*both, facts], "--diff", "-vvv", env=NOBODY)
        assert run.code == 0, run.output
        yield Story(fleet, run.events, emulator.state(), emulator.journal(), run.output)


def values_of(place: Place, state: Json, fleet: Fleet) -> set[str]:
    """What is one tenant's alone: ids, secrets, addresses, domains."""
    told = json.dumps(state["tenants"][place.id])
    texts = {place.id, place.domain, place.fax, place.control, *operator(place).values(), f"ticket of {place.host}"}
    texts |= set(GUID.findall(told))
    texts |= set(re.findall(r"[\w.]+@[\w.]+", told))
    stored = (fleet.folder / "secrets" / f"{place.host}.yml").read_text(encoding="utf-8")
    return texts | {line.strip() for line in stored.splitlines() if len(line.strip()) > 40}


def only_of(place: Place, state: Json, fleet: Fleet) -> set[str]:
    """Without what both have, as the ids of Microsoft's own applications."""
    found = values_of(place, state, fleet)
    for other in PLACES:
        if other != place:
            found -= values_of(other, state, fleet)
    return found


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.host)
def test_nothing_of_one_tenant_is_in_anything_of_another(place: Place, story: Story) -> None:
    fleet, events, state, journal, output = story
    others = set().union(*(only_of(other, state, fleet) for other in PLACES if other != place))
    assert len(others) > 20
    everything = {
        path.name: path.read_text(encoding="utf-8", errors="replace")
        for folder in ("handover", "secrets")
        for path in (fleet.folder / folder).glob(f"{place.host}.*")
    }
    assert len(everything) >= 4, "a result, a sheet, an audit and a store"
    facts = json.loads((fleet.folder / f"facts-{place.host}").read_text(encoding="utf-8"))
    everything |= {f"the fact {name}": json.dumps(value) for name, value in facts.items()}
    for number, event in enumerate(events):
        if event["host"] == place.host and event["task"].split(" : ")[-1] not in SHARED:
            everything[f"{number} {event['task']}"] = json.dumps(event["result"])
    assert len(everything) > 60
    everything["what the tenant was asked"] = json.dumps([row for row in journal if row["tenant"] == place.id])
    everything["the tenant itself"] = json.dumps(state["tenants"][place.id])
    # What the terminal shows of the host, task by task.
    everything["the terminal"] = "\n".join(re.findall(rf"^.*\[{place.host}\].*$", output, re.MULTILINE))
    found = sorted({(where, text) for where, content in everything.items() for text in others if text in content})
    assert found == []


# --- slices --------------------------------------------------------------------------------------------------------


def alike(document: Json) -> t.Any:
    """A result without what is another in every life of a tenant: ids that it makes, and times."""
    return json.loads(TIME.sub("a time", GUID.sub("an id", json.dumps(document, sort_keys=True))))


def results(fleet: Fleet) -> dict[str, t.Any]:
    """What runs have left, by the host's name, without the folder that they were run in."""
    found = {}
    for place in PLACES:
        text = (fleet.folder / "handover" / f"{place.host}.json").read_text(encoding="utf-8")
        found[place.host] = alike(json.loads(text.replace(str(fleet.folder), "a folder")))
    return found


def slice_of(hosts: list[str], number: int, count: int) -> list[str]:
    """As AWX cuts: every n-th host, in the order of their names."""
    return sorted(hosts)[number::count]


def by_worker(folder: pathlib.Path, fleet: Fleet, inventory: Json, number: int) -> None:
    """One slice: what the controller sends, what a worker does with it, and what comes back."""
    data, work, back = (folder / f"{name}{number}" for name in ("data", "work", "back"))
    for part in ("project", "inventory", "env"):
        (data / part).mkdir(parents=True)
    work.mkdir()
    hosts = slice_of(list(inventory["all"]["hosts"]), number, len(PLACES))
    cut = {"all": {**inventory["all"], "hosts": {host: inventory["all"]["hosts"][host] for host in hosts}}}
    (data / "inventory" / "hosts.yml").write_text(yaml.safe_dump(cut), encoding="utf-8")
    (data / "project" / "site.yml").write_text("- import_playbook: mail2fax.m365.provision\n", encoding="utf-8")
    job = {"awx_job_id": number + 1, "mail2fax_allow_volatile": True}
    (data / "env" / "extravars").write_text(json.dumps(job), encoding="utf-8")
    environment = fleet.environment(**NOBODY, EVENTS_PATH=str(folder / f"events{number}"))
    runner = str(fleet.python.with_name("ansible-runner"))
    sent, done = folder / f"sent{number}", folder / f"done{number}"
    for words, source, target in (
        (["transmit", str(data), "-p", "site.yml"], None, sent),
        (["worker", "--private-data-dir", str(work)], sent, done),
        (["process", str(back)], done, folder / f"processed{number}"),
    ):
        with (source or pathlib.Path("/dev/null")).open("rb") as stdin, target.open("wb") as stdout:
            answer = subprocess.run(
                [runner, *words],
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=environment,
                check=False,
            )
        assert answer.returncode == 0, (words, answer.stderr.decode(), target.read_text(errors="replace")[-3000:])
    assert (back / "artifacts" / "rc").read_text(encoding="utf-8").strip() == "0"


@pytest.mark.turn("rules of a fleet")
def test_slices_by_workers_leave_what_one_run_leaves(story: Story, tmp_path: pathlib.Path) -> None:
    emulator = story.fleet.emulator
    emulator.reset()
    apart = fleet_of(emulator, tmp_path)
    inventory = yaml.safe_load((tmp_path / "tenants.yml").read_text(encoding="utf-8"))
    for number in range(len(PLACES)):
        by_worker(tmp_path, apart, inventory, number)
    assert results(apart) == results(story.fleet)
    assert sorted(path.name for path in (tmp_path / "handover").glob("*.html")) == [
        f"{one.host}.html" for one in PLACES
    ]
