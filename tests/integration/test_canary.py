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

import base64
import hashlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import typing as t
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from tests.emulator.testing import Emulator, start_emulator
from tests.integration.fleet import OPERATOR_SECRET, PASSWORD, PYTHON, Fleet, Place, Run, Running, tenants
from tests.tools import cores

Json = dict[str, t.Any]
PLACE = Place(1)
HALF = "HalfAnAnswer8Q~CanaryThatNobodyMayEverSee00"
"""A secret in an answer that breaks off."""

TOKEN = re.compile(rb"eyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}\.")
GRAPH, EXCHANGE, LOGIN = "graph.microsoft.com", "outlook.office365.com", "login.microsoftonline.com"


# --- searching -------------------------------------------------------------------------------------------------


def shapes(value: str) -> set[bytes]:
    """A value as it may be written: as it is, in a URL, in JSON, in base64 wherever it begins."""
    raw = value.encode()
    found = {raw, urllib.parse.quote_plus(value).encode(), json.dumps(value)[1:-1].encode()}
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + raw)
        found.add(coded[4 if offset else 0 : -4])
    return found


@dataclass
class Watch:
    """What was seen of a run while it ran: the processes, and files below its folder at the time."""

    fleet: Fleet
    seen: dict[str, bytes] = field(default_factory=dict)

    def __call__(self, running: Running) -> Run:
        done = threading.Event()

        def look() -> None:
            while not done.wait(0.05):
                for pid in running.pids():
                    for what in ("cmdline", "environ"):
                        self._note(f"{what} of a process", pathlib.Path(f"/proc/{pid}/{what}"))
                for root in ("home", "tmp", "secrets"):
                    # Folders come and go meanwhile, which os.walk takes lightly.
                    for parent, _folders, files in os.walk(self.fleet.folder / root):
                        for name in files:
                            path = pathlib.Path(parent, name)
                            self._note(f"{path} for a while", path)

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            return running.finish()
        finally:
            done.set()
            watcher.join()

    def _note(self, name: str, path: pathlib.Path) -> None:
        try:
            content = path.read_bytes()
        except OSError:
            return
        self.seen[f"{name} ({hashlib.sha256(content).hexdigest()[:8]})"] = content


def places_of(folder: pathlib.Path, seen: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Everything that is searched, by name."""
    yield from seen.items()
    for path in sorted(folder.rglob("*")):
        yield f"the name {path.relative_to(folder)}", str(path.relative_to(folder)).encode()
        if path.is_file() and not path.is_symlink():
            yield str(path.relative_to(folder)), path.read_bytes()


def leaks(folder: pathlib.Path, seen: dict[str, bytes], canaries: dict[str, str]) -> list[str]:
    """Where a canary or a token is. The vault password is, rightly, in its own file."""
    wanted = {name: shapes(value) for name, value in canaries.items()}
    found = []
    for place, content in places_of(folder, seen):
        for name, written in wanted.items():
            if (place, name) != ("vault-password", "the vault password") and any(one in content for one in written):
                found.append(f"{name} is in {place}")
        if TOKEN.search(content):
            found.append(f"a token is in {place}")
    return found


@dataclass
class Site:
    """One tenant, run so that all that can be kept is kept. The operator's secret comes from an encrypted variable."""

    fleet: Fleet
    watch: Watch

    @classmethod
    def make(cls, folder: pathlib.Path, emulator: Emulator, python: pathlib.Path) -> Site:
        fleet = Fleet(folder, emulator, python=python)
        secret = VaultSecret(PASSWORD.encode())
        text = VaultLib([("default", secret)]).encrypt(OPERATOR_SECRET, secret).decode()
        lines = "\n".join(f"  {line}" for line in text.splitlines())
        (folder / "group_vars").mkdir()
        (folder / "group_vars" / "all.yml").write_text(
            f"mail2fax_client_id: 11111111-0000-4000-8000-000000000001\nmail2fax_client_secret: !vault |\n{lines}\n",
            encoding="utf-8",
        )
        for name in ("graveyard", "junit", "facts", "retry"):
            (folder / name).mkdir()
        return cls(fleet, Watch(fleet))

    @property
    def folder(self) -> pathlib.Path:
        return self.fleet.folder

    def settings(self) -> dict[str, str]:
        return {
            "M365_CLIENT_ID": "",
            "M365_CLIENT_SECRET": "",
            "M365_PATIENCE": "2",
            "ANSIBLE_CALLBACKS_ENABLED": "events,ansible.builtin.junit",
            "JUNIT_OUTPUT_DIR": str(self.folder / "junit"),
            "JUNIT_TASK_CLASS": "true",
            "ANSIBLE_LOG_PATH": str(self.folder / "ansible.log"),
            "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(self.folder / "facts"),
            "ANSIBLE_RETRY_FILES_ENABLED": "true",
            "ANSIBLE_RETRY_FILES_SAVE_PATH": str(self.folder / "retry"),
            "GRAVEYARD_PATH": str(self.folder / "graveyard"),
        }

    def play(self, playbook: str | list[Json], *words: str, **variables: t.Any) -> Run:
        words = ("-vvvv", "--diff", *words)
        with self.fleet.start(playbook, *words, env=self.settings(), **variables) as running:
            run = self.watch(running)
        for number in range(100):
            kept = self.folder / f"stdout-{number}"
            if not kept.exists():
                for name in ("stdout", "stderr", "events.jsonl", "programs.jsonl"):
                    if (self.folder / name).exists():
                        (self.folder / name).rename(self.folder / f"{name}-{number}")
                break
        return run

    def canaries(self) -> dict[str, str]:
        issued = self.fleet.emulator.issued()
        return {
            "the operator's secret": OPERATOR_SECRET,
            "the vault password": PASSWORD,
            "half a secret": HALF,
            **{f"secret {number}": value for number, value in enumerate(issued, 1)},
        }

    def leaks(self) -> list[str]:
        return leaks(self.folder, self.watch.seen, self.canaries())

    def written_elsewhere(self) -> set[str]:
        """What was opened for writing outside of the run's own folder."""
        paths = (self.folder / "graveyard" / "written").read_text(encoding="utf-8").splitlines()
        return {path for path in paths if not f"{path}/".startswith((f"{self.folder}/", "/dev/", "/proc/"))}


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
    [pytest.param(core, marks=[] if core.version == cores.USUAL else [pytest.mark.cores]) for core in cores.at_hand()],
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
            run = site.play(f"mail2fax.m365.{playbook}", *words)
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
