# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A canary is nowhere to be found: no secret, password or token in anything that a run shows, writes or passes on.

Searched are standard output and error at ``-vvvv --diff``, everything that callbacks get, JUnit reports, the log file,
``~/.ansible``, temporary folders (every file that was removed or replaced is kept for that), command lines and
environments of all processes, retry files, fact caches, the hand-over and the artifacts of ansible-runner; after
success, in check mode, and with a failure at each step.
"""

from __future__ import annotations

import pathlib
import subprocess
import tempfile
import typing as t

import pytest

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.canary import HALF, Site, places_of
from tests.integration.fleet import OPERATOR_SECRET, PYTHON, Place, tenants
from tests.tools import cores

Json = dict[str, t.Any]
PLACE = Place(1)
GRAPH, EXCHANGE, LOGIN = "graph.microsoft.com", "outlook.office365.com", "login.microsoftonline.com"


# --- failing ---------------------------------------------------------------------------------------------------


def refused(message: str, code: str = "Authorization_RequestDenied", status: int = 403) -> Json:
    return {"status": status, "body": {"error": {"code": code, "message": message}}}


HOSTILE = f"What was sent ({OPERATOR_SECRET}) is not welcome."
"""No service answers like this. A proxy in between may."""

FAILURES: dict[str, tuple[Json, list[Json], Json]] = {
    # name: (variables, rules of the emulator, effect of each)
    "sign-in": ({}, [{"host": LOGIN, "method": "POST"}], {
        "status": 401, "body": {"error": "invalid_client", "error_description": f"AADSTS7000215: {HOSTILE}"}}),
    "preflight": ({}, [{"host": GRAPH}], refused(HOSTILE)),
    "application": ({}, [{"host": GRAPH, "method": "PATCH", "path_regex": "/applications"}], refused(HOSTILE)),
    "group": ({}, [{"cmdlet": "New-DistributionGroup"}], refused(HOSTILE)),
    "policy": ({}, [{"cmdlet": "New-ApplicationAccessPolicy"}], refused(HOSTILE)),
    "store": ({"mail2fax_secret_store": {"backend": "vault_file", "path": "/dev/null/secret.yml"}}, [], {}),
    "mint": ({}, [{"path_regex": "/addPassword"}], refused(HOSTILE)),
    "half an answer": ({}, [{"path_regex": "/addPassword"}], {
        "status": 200, "body": f'{{"keyId": "1cb8b5d2-8724-4f32-8152-a16a230b682b", "secretText": "{HALF}'}),
    "lost answer": ({}, [{"path_regex": "/addPassword"}], "drop_after"),  # type: ignore[dict-item]
    "consent": ({}, [{"path_regex": "/appRoleAssigne"}], refused(HOSTILE)),
    "verdict": ({}, [{"cmdlet": "Test-ApplicationAccessPolicy"}], refused(HOSTILE)),
    "probe": ({}, [{"path_regex": "(?i)/ews/"}], {"status": 500, "body": HOSTILE}),
    "hand-over": ({"mail2fax_handover_dir": "/dev/null/handover"}, [], {}),
}  # fmt: skip
FEW = ("preflight", "half an answer", "consent")


def fail(site: Site, name: str) -> None:
    """One run that fails at this step."""
    variables, matches, effect = FAILURES[name]
    emulator = site.fleet.emulator
    emulator.faults([{"match": match, "times": 99, "effect": effect} for match in matches])
    run = site.play("mail2fax.m365.provision", **variables)
    seen = [rule["seen"] for rule in emulator.fault_rules()]
    emulator.faults([])
    assert run.code != 0, f"{name} did not fail:\n{run.output}"
    assert all(seen), f"{name}: nothing met the fault"


# --- the tests -------------------------------------------------------------------------------------------------


@pytest.fixture
def folder() -> t.Iterator[pathlib.Path]:
    """With a short path: ansible-core 2.21 puts a socket into it."""
    with tempfile.TemporaryDirectory(prefix="canary-") as path:
        yield pathlib.Path(path)


@pytest.fixture
def emulator() -> t.Iterator[Emulator]:
    with start_emulator(tenants(1)) as emulator:
        yield emulator


@pytest.mark.parametrize(
    "core",
    [
        pytest.param(core, marks=[] if core.version == cores.USUAL else [pytest.mark.cores, pytest.mark.soak])
        for core in cores.at_hand()
    ],
    ids=lambda core: f"core-{core.version}",
)
def test_no_canary_is_anywhere(core: cores.Core, folder: pathlib.Path, emulator: Emulator) -> None:
    site = Site.make(folder, emulator, core.python())
    usual = core.version == cores.USUAL
    ahead = site.play("mail2fax.m365.provision", "--check")
    assert ahead.code == 0, ahead.output
    for name in FAILURES if usual else FEW:
        fail(site, name)
    before = len(emulator.issued())
    done = site.play("mail2fax.m365.provision")
    assert done.code == 0, done.output
    rotated = site.play("mail2fax.m365.provision", client_secret_rotate="always")
    assert rotated.code == 0, rotated.output
    if usual:
        for playbook, words in (("provision", ["--check"]), ("audit", []), ("rotate", [])):
            shown = {"mail2fax_evidence_dir": "evidence"} if playbook == "audit" else {}
            run = site.play(f"mail2fax.m365.{playbook}", *words, **shown)
            assert run.code == 0, run.output
    assert len(emulator.issued()) >= before + 1
    assert site.leaks() == []
    assert site.written_elsewhere() == set()
    # That nothing was found is not for want of places to look at.
    looked = {place for place, _content in places_of(folder, site.watch.seen)}
    assert any("environ of a process" in place for place in looked)
    assert any(place.startswith("graveyard/") and "m365-" in place for place in looked)
    for place in ("ansible.log", "stdout-0", "events.jsonl-0", "handover/tenant01.json", "secrets/tenant01.yml"):
        assert place in looked
    # The report of reach is searched where the oldest and the newest core live a tenant's life.
    assert not usual or {"evidence/tenant01/reach.html", "evidence/tenant01/index.html"} <= looked
    assert list((folder / "junit").iterdir())


def test_the_search_finds_what_is_there(folder: pathlib.Path, emulator: Emulator) -> None:
    """A play that gives away what it has, in the ways that are searched."""
    site = Site.make(folder, emulator, PYTHON)
    copied = folder / "home" / "copied"
    tasks: list[Json] = [
        {"ansible.builtin.debug": {"msg": "{{ mail2fax_client_secret }}"}},
        {"ansible.builtin.set_fact": {"kept": "{{ mail2fax_client_secret | b64encode }}", "cacheable": True}},
        {"ansible.builtin.command": {"argv": ["sleep", "0.3", "{{ '0.' ~ 0 }}"]}, "environment": {
            "GIVEN_AWAY": "{{ mail2fax_client_secret }}"}},
        {"ansible.builtin.copy": {"content": "{{ mail2fax_client_secret }}", "dest": str(copied)}},
        {"ansible.builtin.file": {"path": str(copied), "state": "absent"}},
    ]  # fmt: skip
    run = site.play([{"hosts": "all", "gather_facts": False, "tasks": tasks}])
    assert run.code == 0, run.output
    found = "\n".join(site.leaks())
    for place in ("stdout-0", "events.jsonl-0", "ansible.log", "facts/", "junit/", "graveyard/", "programs.jsonl-0"):
        assert f"the operator's secret is in {place}" in found, f"not found in {place}:\n{found}"
    (folder / "token").write_text(emulator.token(PLACE.domain, "11111111-0000-4000-8000-000000000001", OPERATOR_SECRET))
    assert "a token is in token" in site.leaks()


RUNNER = """
import sys, ansible_runner
answer = ansible_runner.run(private_data_dir=sys.argv[1], playbook="mail2fax.m365.provision", verbosity=4, quiet=True)
sys.exit(answer.rc)
"""


def test_ansible_runner_keeps_no_canary(folder: pathlib.Path, emulator: Emulator) -> None:
    site = Site.make(folder, emulator, PYTHON)
    (folder / "project").mkdir()
    (folder / "inventory").mkdir()
    (folder / "tenants.yml").rename(folder / "inventory" / "tenants.yml")
    (folder / "group_vars").rename(folder / "inventory" / "group_vars")
    environment = site.fleet.environment(**site.settings())
    command = [str(PYTHON), "-c", RUNNER, str(folder)]
    for number in range(2):
        answer = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        (folder / f"runner-{number}").write_text(answer.stdout + answer.stderr, encoding="utf-8")
        assert answer.returncode == 0, answer.stdout + answer.stderr
    assert len(list((folder / "artifacts").glob("*/job_events/*.json"))) > 40
    assert site.leaks() == []
