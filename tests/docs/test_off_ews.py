# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide off EWS, word by word: its commands, in their order, in one shell."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import typing as t

import pytest

from tests.docs import in_shell
from tests.emulator.hosted import start_hosted
from tests.tools import layout

Json = dict[str, t.Any]
GUIDE = layout.ROOT / "docs/docsite/rst/off_ews.rst"
START = re.compile(r"^eval .+\npython -m tests.emulator serve .+\n.+\nEMULATOR=\$!\nuntil .+\n", re.MULTILINE)
RUNS = [
    ("provision", "ready", None),
    ("audit", "ready", None),
    ("migrate", "ready", None),  # it only looked
    ("migrate", "ready", "prove"),
    ("migrate", "ready", None),  # rolled back
    ("migrate", "ready", "prove"),
    ("migrate", "ready", "confirm"),
    ("migrate", "ready", "retire"),
    ("migrate", "ready", "done"),
    ("provision", "ready", "done"),
    ("audit", "ready", "done"),
]
"""Every playbook of the guide; the state and the phase in the record by then."""


@pytest.mark.turn("guides as they are typed")
def test_word_by_word(tmp_path: pathlib.Path) -> None:
    came_to: list[tuple[str, str | None, str | None]] = []

    def told(words: list[str], folder: pathlib.Path) -> None:
        record = record_of(folder)
        came_to.append((words[2].rpartition(".")[2], record.get("state"), (record.get("migration") or {}).get("phase")))

    clone = tmp_path / "m365"
    (clone / ".build").mkdir(parents=True)
    with start_hosted() as emulator:
        ready = {"proxy": emulator.proxy, "ca": emulator.ca, "control": emulator.control}
        (clone / ".build/off-ews.json").write_text(json.dumps(ready), encoding="utf-8")
        # The emulator is there already, and ends with the test.
        script, found = START.subn("EMULATOR=none; kill() { :; }\n", "\n".join(in_shell.commands(GUIDE)))
        assert found == 1
        ran = in_shell.run(f"set -eu\ncd m365\n{script}", tmp_path, emulator, told)
        assert ran.returncode == 0, ran.stdout[-6000:]
        assert came_to == RUNS
        state = next(iter(emulator.state()["tenants"].values()))
    whole(tmp_path / "off-ews", ran.stdout)
    assert (state["applicationAccessPolicies"], state["groups"]) == ([], [])


@pytest.mark.soak
def test_word_by_word_in_processes_of_their_own(tmp_path: pathlib.Path) -> None:
    """As it stands: the emulator and each playbook a process, from the clone itself."""
    script = "\n".join(in_shell.commands(GUIDE)).replace("../off-ews", str(tmp_path / "off-ews"))
    script = script.replace('eval "$(make -s env)"', "")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("M365_")}
    answer = subprocess.run(
        ["bash", "-c", f"set -eu\ntrap 'kill \"${{EMULATOR:-}}\" 2>/dev/null || true' EXIT\n{script}"],
        cwd=layout.ROOT,
        env={**environment, "HOME": str(tmp_path), "ANSIBLE_COLLECTIONS_PATH": str(layout.live())},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-8000:]
    whole(tmp_path / "off-ews", answer.stdout)


def record_of(folder: pathlib.Path) -> Json:
    path = folder / "handover/first.json"
    return t.cast("Json", json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def whole(folder: pathlib.Path, printed: str) -> None:
    """Moved, and nothing left to do."""
    record = record_of(folder)
    assert (record["state"], record["outcome"]) == ("ready", "ok"), printed[-4000:]
    assert record["profile"]["name"] == "imagicle_imap_smtp"
    assert {step["step"] for step in record["steps"]} >= {"service_principal", "mailbox_permission"}
    assert "access_policy" not in {step["step"] for step in record["steps"]}
