# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two tenants side by side, one of them blocked, under every setting of Ansible that touches errors and display.

Each tenant's result file is the same as where it is run alone, without any of these settings.
"""

from __future__ import annotations

import difflib
import json
import pathlib
import typing as t

import pytest

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.alike import comparable
from tests.integration.fleet import Fleet, Run, places, tenants
from tests.sample import sample

Json = dict[str, t.Any]
BLOCKED, HEALTHY = places(2)
VERDICT = f"{HEALTHY.host} ({HEALTHY.domain}): changed. READY"

SETTINGS: dict[str, tuple[dict[str, str], list[str]]] = {
    "errors are fatal": ({"ANSIBLE_ANY_ERRORS_FATAL": "true"}, []),
    "ok is hidden": ({"ANSIBLE_DISPLAY_OK_HOSTS": "0"}, []),
    "role variables are private": ({"ANSIBLE_PRIVATE_ROLE_VARS": "1"}, []),
    "free": ({"ANSIBLE_STRATEGY": "free"}, []),
    "one fork": ({}, ["--forks", "1"]),
    "five forks": ({}, ["--forks", "5"]),
    "all at once": (
        {
            "ANSIBLE_ANY_ERRORS_FATAL": "true",
            "ANSIBLE_DISPLAY_OK_HOSTS": "0",
            "ANSIBLE_PRIVATE_ROLE_VARS": "1",
            "ANSIBLE_STRATEGY": "free",
        },
        ["--forks", "1"],
    ),
    "as a file": ({"ANSIBLE_CONFIG": "ansible.cfg"}, []),
}
CONFIG = "[defaults]\nany_errors_fatal = true\nprivate_role_vars = true\ndisplay_ok_hosts = false\nstrategy = free\n"
FEW = {"all at once"}


@pytest.fixture(scope="module")
def emulator() -> t.Iterator[Emulator]:
    with start_emulator(tenants(2)) as emulator:
        yield emulator


def play(folder: pathlib.Path, emulator: Emulator, *words: str, env: dict[str, str] | None = None) -> Run:
    emulator.reset()
    fleet = Fleet(folder, emulator, count=2)
    (folder / "host_vars").mkdir()
    nobody = f"mail2fax_mailboxes: [nobody@{BLOCKED.domain}]\n"
    (folder / "host_vars" / f"{BLOCKED.host}.yml").write_text(nobody, encoding="utf-8")
    (folder / "ansible.cfg").write_text(CONFIG, encoding="utf-8")
    (folder / "default.cfg").write_text("", encoding="utf-8")
    return fleet.play("mail2fax.m365.provision", *words, env={"ANSIBLE_CONFIG": "default.cfg", **(env or {})})


def result(folder: pathlib.Path, host: str) -> list[str]:
    text = (folder / "handover" / f"{host}.json").read_text(encoding="utf-8").replace(str(folder), "")
    return json.dumps(comparable(json.loads(text)), indent=1, sort_keys=True).splitlines()


@pytest.fixture(scope="module")
def alone(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Each tenant's result where it is run alone."""
    found = {}
    for place in (BLOCKED, HEALTHY):
        folder = tmp_path_factory.mktemp("alone")
        run = play(folder, emulator, "--limit", place.host)
        assert run.code == (2 if place == BLOCKED else 0), run.output
        if place == HEALTHY:
            # Nothing is shown twice.
            assert (VERDICT in run.stdout, VERDICT in run.stderr) == (True, False), run.output
        found[place.host] = result(folder, place.host)
    return found


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in FEW | {*sample([*SETTINGS], 1)} else [pytest.mark.soak])
        for name in SETTINGS
    ],
)
@pytest.mark.turn("many hosts")
def test_a_tenant_comes_to_the_same_as_alone(
    tmp_path: pathlib.Path, emulator: Emulator, alone: dict[str, list[str]], name: str
) -> None:
    environment, words = SETTINGS[name]
    run = play(tmp_path, emulator, *words, env=environment)
    assert run.code == 2, run.output
    for host, expected in alone.items():
        difference = "\n".join(difflib.unified_diff(expected, result(tmp_path, host), "alone", name, lineterm=""))
        assert not difference, f"{host}\n{difference}\n{run.output}"
    hidden = "ANSIBLE_DISPLAY_OK_HOSTS" in environment or name == "as a file"
    assert (VERDICT in run.stdout, VERDICT in run.stderr) == (not hidden, hidden), run.output
    if hidden:
        assert run.stderr.count(VERDICT) == 1
