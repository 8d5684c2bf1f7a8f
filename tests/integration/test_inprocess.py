# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook in this process is the playbook: the same requests, files and words as by ansible-playbook."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest

from tests.emulator.hosted import HostedEmulator, start_hosted
from tests.integration.harness import play
from tests.integration.inprocess import Killed, Moment, play_in_process
from tests.integration.site import Run, Site, World
from tests.sample import sample

Json = dict[str, t.Any]
WORLD = World("inprocess", principals=20)


@pytest.fixture(scope="module")
def emulator() -> t.Iterator[HostedEmulator]:
    with start_hosted(WORLD.tenants()) as emulator:
        yield emulator


def alike(text: str) -> str:
    """Without what differs from one run to the next: ids in the order in which they come, times, the folder."""
    seen: dict[str, str] = {}
    guid = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    text = re.sub(guid, lambda found: seen.setdefault(found[0], f"<id {len(seen)}>"), text, flags=re.IGNORECASE)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|\d{4}-\d\d-\d\d", "<time>", text)
    text = re.sub(r"/tmp/\S*?/(?=handover|secret|tenants)|\b\d\d?:\d\d UTC", "<place>", text)
    return re.sub(r"[\w-]{38,}", "<key>", text)


def told(run: Run, folder: pathlib.Path) -> Json:
    files = [path for path in sorted((folder / "handover").rglob("*")) if path.is_file()]
    assert "STEP  " in run.output, run.output
    return {
        "code": run.code,
        "asked": alike(
            "\n".join(f"{row['host']} {row['method']} {row['path']} {row['cmdlet']}" for row in run.journal)
        ),
        "files": {path.name: alike(path.read_text(encoding="utf-8")) for path in files},
        "tasks": re.findall(r"^(TASK \[.+?\]|ok|changed|skipping|fatal|contoso +:.+)", run.output, re.MULTILINE),
        "outcome": alike(run.output[run.output.index("STEP  ") : run.output.index("PLAY [Sum up]")]),
    }


@pytest.mark.turn("runs in a test's own process")
@pytest.mark.parametrize("playbook", sample(["provision", "audit"], 1, of="as by a process"))
def test_the_same_as_by_a_process_of_its_own(tmp_path: pathlib.Path, emulator: HostedEmulator, playbook: str) -> None:
    found: dict[str, Json] = {}
    for name, player in (("process", play), ("here", play_in_process)):
        emulator.reset()
        site = Site(tmp_path / name, emulator, WORLD, player=play_in_process)
        if playbook != "provision":
            assert site.play("provision").code == 0
        site.player = player
        found[name] = told(site.play(playbook), site.folder)
    process, here = found["process"], found["here"]
    assert process["code"] == 0
    assert len(process["asked"].splitlines()) > 20
    assert process["files"]
    assert len(process["tasks"]) > 20
    for what, expected in process.items():
        assert here[what] == expected, what


def test_a_kill_ends_the_run_at_once(tmp_path: pathlib.Path, emulator: HostedEmulator) -> None:
    emulator.reset()

    def watch(moment: Moment) -> None:
        rows = [row["cmdlet"] for row in emulator.journal()]
        if moment.when == "after" and "New-DistributionGroup" in rows:
            raise Killed

    site = Site(tmp_path, emulator, WORLD, player=play_in_process)
    killed = site.play("provision", by={"watch": watch})
    assert killed.code == -9
    assert killed.record == {}
    assert "Hand-over" not in killed.output.partition("Put the fax mailboxes")[2]
    assert [len(site.state()[kind]) for kind in ("groups", "applicationAccessPolicies")] == [1, 0]
    before = emulator.now()
    refused = site.play("provision", mail2fax_nonsense=1)
    assert refused.code == 2
    assert "mail2fax_nonsense" in refused.output
    again = site.play("provision")
    assert again.code == 0, again.output
    assert again.steps["admin_consent"] == "changed"
    assert emulator.now() > before
