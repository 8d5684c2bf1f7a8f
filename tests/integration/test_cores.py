# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant's whole life on every supported version of ansible-core, in both lanes: the same everywhere, and no canary.

The oldest and the newest, in the worker, are part of ``make test`` (the gate canary); ``make cores`` takes all of them.
What Ansible itself does differently is in tests/tools/cores.yml, from which the guide's table is made.
"""

from __future__ import annotations

import difflib
import json
import os
import pathlib
import re
import tempfile
import typing as t
from collections import Counter
from dataclasses import dataclass

import pytest
import yaml

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.alike import comparable
from tests.integration.canary import Site
from tests.integration.fleet import OPERATOR_SECRET, Place, Run, tenants
from tests.tools import core_differences, cores

Json = dict[str, t.Any]
PLACE = Place(1)
LANES = {"worker": True, "module": False}
VARIABLES = {"mail2fax_secret_lifetime_days": 120}
PREFLIGHT: list[Json] = [{"hosts": "all", "gather_facts": False, "roles": ["mail2fax.m365.preflight"]}]
CONFIRM = {"mail2fax_confirm": True}

REFUSED = {"error": {"code": "BadRequest", "message": f"What was sent ({OPERATOR_SECRET}) is not welcome."}}
QUOTED = {
    "match": {"host": "graph.microsoft.com", "method": "PATCH"},
    "times": 9,
    "effect": {"status": 400, "body": REFUSED},
}
"""A service, or a gateway before it, that quotes what it was sent."""

LIFE: list[tuple[str, str | list[Json], Json, float]] = [
    # name, playbook, its variables, days that pass before it
    ("preflight", PREFLIGHT, {}, 0),
    ("refused", "mail2fax.m365.provision", {}, 0),
    ("provision", "mail2fax.m365.provision", {}, 0),
    ("again", "mail2fax.m365.provision", {}, 0),
    ("rotate", "mail2fax.m365.rotate", {}, 100),
    ("audit", "mail2fax.m365.audit", {}, 0),
    ("reach", "mail2fax.m365.reach", {}, 0),
    ("decommission", "mail2fax.m365.decommission", CONFIRM, 0),
    ("decommissioned", "mail2fax.m365.decommission", CONFIRM, 2),
]


@dataclass
class Chapter:
    """One run: exit code, every task's end, the requests by service, and the result's document."""

    code: int
    tasks: list[list[t.Any]]
    requests: dict[str, int]
    document: t.Any
    output: str

    def lines(self, *, requests: bool = True) -> list[str]:
        told = [self.code, self.tasks, self.requests if requests else {}, self.document]
        return json.dumps(told, indent=1, sort_keys=True).splitlines()


@dataclass
class Life:
    chapters: dict[str, Chapter]
    leaks: list[str]
    folder_files: list[str]


STEPS = re.compile(
    r"mail2fax\.m365\.(application|mailbox_scope|client_secret|admin_consent) : |"
    r"(Make what is not as it should be|Compare step by step|Read every secret and certificate)$"
)
"""Tasks that are left out where they have nothing to do; ansible-core 2.18 and modules in processes run them."""


def ends(run: Run) -> list[list[t.Any]]:
    """Each task's end, in order: name, event, changed, outcome; without steps that had nothing to do."""
    kept = ("ok", "failed", "skipped", "unreachable")
    found: list[list[t.Any]] = [
        [
            event["task"],
            event["event"],
            bool(event["result"].get("changed")),
            event["result"].get("outcome"),
        ]
        for event in run.events
        if event["event"] in kept
    ]
    return [row for row in found if not (STEPS.match(row[0]) and row[1:] in NOTHING_TO_DO)]


NOTHING_TO_DO = (["ok", False, "ok"], ["ok", False, None], ["skipped", False, None])


def document(site: Site) -> t.Any:
    path = site.folder / "handover" / f"{PLACE.host}.json"
    return comparable(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def live(core: cores.Core, lane: str) -> Life:
    days = 0.0
    with tempfile.TemporaryDirectory(prefix="canary-") as name, start_emulator(tenants(1)) as emulator:
        site = Site.make(pathlib.Path(name), emulator, core.python())
        chapters = {}
        for title, playbook, variables, later in LIFE:
            emulator.clock(later)
            days += later
            site.changes = {"CLOCK_AHEAD_DAYS": str(days), "ANSIBLE_CALLBACKS_ENABLED": "events,clock"}
            emulator.faults([QUOTED] if title == "refused" else [])
            emulator.clear_journal()
            run = site.play(playbook, **VARIABLES, mail2fax_in_process=LANES[lane], **variables)
            chapters[title] = Chapter(run.code, ends(run), requests(emulator), document(site), run.output)
            if bool(run.code) != (title == "refused"):
                break
        files = [str(path.relative_to(site.folder)) for path in site.folder.rglob("*")]
        return Life(chapters, site.leaks(), files)


def requests(emulator: Emulator) -> dict[str, int]:
    return dict(Counter(row["host"] for row in emulator.journal() if not row.get("batch")))


LIVES: dict[tuple[str, str], Life] = {}


def life(version: str, lane: str) -> Life:
    """Lived once, and looked at from several sides."""
    core = cores.on_the_newest(version)
    if core is None:
        pytest.skip(f"not run: no Python at hand runs ansible-core {version}")
    if (version, lane) not in LIVES:
        LIVES[version, lane] = live(core, lane)
    return LIVES[version, lane]


NEWEST = [*cores.PYTHONS][-1]
FEW = [(cores.OLDEST, "worker"), (NEWEST, "worker")]
ALL = [(version, lane) for lane in LANES for version in cores.PYTHONS]


def marked(case: tuple[str, str]) -> t.Any:
    marks = [pytest.mark.cores] if case in FEW else [pytest.mark.cores, pytest.mark.soak]
    return pytest.param(*case, marks=marks, id="-".join(case))


@pytest.mark.parametrize(("version", "lane"), map(marked, ALL))
def test_a_life_goes_as_it_should_and_no_canary_is_anywhere(version: str, lane: str) -> None:
    lived = life(version, lane)
    told = {title: chapter.code for title, chapter in lived.chapters.items()}
    expected = {title: 2 if title == "refused" else 0 for title, *_rest in LIFE}
    wrong = [chapter.output[-6000:] for title, chapter in lived.chapters.items() if chapter.code != expected[title]]
    assert told == expected, "\n".join(wrong)
    changes = {title: sum(row[2] for row in chapter.tasks) for title, chapter in lived.chapters.items()}
    assert not changes["preflight"]
    assert not changes["again"]
    assert changes["provision"] > 4
    assert changes["rotate"] > 0
    assert lived.leaks == []
    for kept in (
        "ansible.log",
        "stdout-0",
        "events.jsonl-0",
        f"handover/{PLACE.host}.json",
        f"handover/{PLACE.host}.reach.csv",
    ):
        assert kept in lived.folder_files


@pytest.mark.parametrize(("version", "lane"), map(marked, ALL))
def test_it_is_the_same_on_every_core(version: str, lane: str) -> None:
    """The same tasks with the same ends, requests and result documents as on the oldest, in the same lane."""
    here, there = life(version, lane), life(cores.OLDEST, lane)
    for title, chapter in there.chapters.items():
        difference = "\n".join(
            difflib.unified_diff(chapter.lines(), here.chapters[title].lines(), cores.OLDEST, version, lineterm="")
        )
        assert not difference, f"{title}:\n{difference[:8000]}"


@pytest.mark.cores
@pytest.mark.soak
@pytest.mark.parametrize("version", cores.PYTHONS)
def test_it_is_the_same_in_both_lanes(version: str) -> None:
    """But for the sign-ins, which only the workers share."""
    for title, chapter in life(version, "worker").chapters.items():
        worker = chapter.lines(requests=False)
        module = life(version, "module").chapters[title].lines(requests=False)
        difference = "\n".join(difflib.unified_diff(worker, module, "worker", "module", lineterm=""))
        assert not difference, f"{title}:\n{difference[:8000]}"


@pytest.mark.parametrize(
    "version",
    [
        pytest.param(version, marks=[pytest.mark.cores] if version in (cores.OLDEST, NEWEST) else [
            pytest.mark.cores, pytest.mark.soak])
        for version in cores.PYTHONS
    ],
)  # fmt: skip
def test_what_differs_is_in_the_guide(version: str) -> None:
    core = cores.on_the_newest(version)
    if core is None:
        pytest.skip(f"not run: no Python at hand runs ansible-core {version}")
    known = core_differences.known()
    assert core_differences.observed(core) == known[version], "make cores writes tests/tools/cores.yml anew"


def test_every_supported_core_is_in_the_data() -> None:
    assert list(core_differences.known()) == list(cores.PYTHONS)
    text = core_differences.DATA.read_text(encoding="utf-8")
    assert yaml.safe_load(text)
    assert not re.search(r"/(?:home|work|tmp|root)/", text)
    assert os.fspath(core_differences.DATA).endswith("tests/tools/cores.yml")
