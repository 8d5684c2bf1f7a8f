# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""There is a molecule scenario for everything, and an emulator that a scenario leaves is ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from tests import sample
from tests.tools import layout, scenarios

MOLECULE = layout.ROOT / "extensions/molecule"


def test_every_role_and_every_playbook_has_a_scenario() -> None:
    there = {path.parent.name for path in MOLECULE.glob("*/molecule.yml")}
    roles = {path.name for path in (layout.ROOT / "roles").iterdir()}
    playbooks = {f"playbook_{path.stem}" for path in (layout.ROOT / "playbooks").glob("*.yml")}
    assert len(roles) > 5
    assert len(playbooks) > 3
    # A playbook that is one role and little more tries that role.
    roles -= {name for name in roles if f"playbook_{name}" in playbooks and name in ("reach", "migrate")}
    # It works on an AWX and on no tenant: tests/integration/test_awx.py.
    playbooks -= {"playbook_awx"}
    models = {f"model_{name}" for name in MODELS if name != "application_access_policy"}
    assert (roles | playbooks | models | {"check_mode", "winrm", "national_cloud", "drift"}) - there == set()


def test_every_commit_tries_the_playbooks_and_all_commits_try_all(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {path.parent.name for path in MOLECULE.glob("*/molecule.yml")} - {"default"}
    playbooks = {name for name in there if name.startswith("playbook_")}
    never = there
    for commit in range(100):
        monkeypatch.setattr(sample, "seed", lambda commit=commit: f"commit {commit}")
        told = scenarios.of_this_commit()
        assert len(told) == len({*told}) == len(playbooks) + scenarios.OTHERS
        assert playbooks <= {*told}
        never = never - {*told}
    assert never == set()


@pytest.mark.parametrize("path", sorted(MOLECULE.glob("*/molecule.yml")), ids=lambda path: str(path.parent.name))
def test_every_scenario_is_verified(path: Path) -> None:
    assert path.parent.name == "default" or (path.parent / "verify.yml").is_file()


def test_the_emulator_is_ended_and_nobody_else(tmp_path: Path) -> None:
    ready = tmp_path / "emulator.json"
    scenarios.end_emulator(ready)  # it was never started
    sleep = "import time; time.sleep(600)"
    with (
        subprocess.Popen([sys.executable, "-c", sleep, "tests.emulator"]) as emulator,
        subprocess.Popen([sys.executable, "-c", sleep]) as another,
    ):
        for process in (another, emulator):
            ready.write_text(json.dumps({"pid": process.pid}), encoding="utf-8")
            scenarios.end_emulator(ready)
        assert emulator.wait(timeout=20) != 0
        assert another.poll() is None
        another.kill()
    scenarios.end_emulator(ready)  # it has ended already
    with pytest.raises(ProcessLookupError):
        os.kill(emulator.pid, 0)
