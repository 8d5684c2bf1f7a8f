# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples, run as their own comments say, in tenants that are made for them."""

from __future__ import annotations

import copy
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import typing as t
import uuid
from pathlib import Path

import pytest
import yaml

from tests.emulator.testing import DEMO_TENANT, Emulator, start_emulator
from tests.tools import layout

EXAMPLES = layout.ROOT / "examples"
OTHER = "22222222-0000-4000-8000-000000000002"
# Addresses of each tenant beside the fax mailboxes.
FAXES = {
    "contoso": ["fax", "fax-reports", "adele", "scanner"],
    "fabrikam": ["fax", "adele"],
    "tailspin": ["fax.it", "fax.de", "adele"],
    "wingtip": ["fax", "adele"],
}


def tenants() -> dict[str, t.Any]:
    """The demo's tenant once for each of the examples, with its own domains and mailboxes."""
    demo = yaml.safe_load(DEMO_TENANT.read_text(encoding="utf-8"))["tenants"][0]
    found = []
    for name, mailboxes in FAXES.items():
        tenant = copy.deepcopy(demo)
        tenant.update(
            id=str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
            display_name=name,
            domains=[f"{name}.onmicrosoft.com", f"{name}.com"],
            service_principals=20,
            mailboxes=[{"address": f"{one}@{name}.com", "display_name": one} for one in mailboxes],
        )
        if name == "tailspin":
            tenant["organization_config"] = {"EwsEnabled": False, "EwsAllowedAppIDs": OTHER}
        found.append(tenant)
    return {"tenants": found}


class Folder:
    """A copy of the examples, and ansible-playbook run in it."""

    def __init__(self, path: Path, emulator: Emulator) -> None:
        self.path = path / "examples"
        shutil.copytree(EXAMPLES, self.path)
        password = path / "vault-password"
        password.write_text("a vault password of the tests", encoding="utf-8")
        home = path / "home"
        home.mkdir()
        demo = yaml.safe_load(DEMO_TENANT.read_text(encoding="utf-8"))["tenants"][0]["operators"][0]
        self.environment = {
            **os.environ,
            **emulator.env(),
            "HOME": str(home),
            "ANSIBLE_HOME": str(home / ".ansible"),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(password),
            "M365_CLIENT_ID": demo["client_id"],
            "M365_CLIENT_SECRET": demo["client_secret"],
        }

    def play(self, words: str, *, red: bool = False) -> str:
        """Run it and return what it said; ``red``: it has to end with an error, else it must not."""
        program, *rest = shlex.split(words)
        answer = subprocess.run(
            [str(Path(sys.executable).with_name(program)), *rest],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert (answer.returncode != 0) is red, answer.stdout
        return answer.stdout

    def record(self, host: str) -> dict[str, t.Any]:
        text = (self.path / "handover" / f"{host}.json").read_text(encoding="utf-8")
        return t.cast("dict[str, t.Any]", json.loads(text))


def advertised() -> set[str]:
    """The commands that the examples' own comments name."""
    found = set()
    for path in EXAMPLES.rglob("*.yml"):
        found |= set(re.findall(r"^#   (ansible-playbook .+)$", path.read_text(encoding="utf-8"), re.MULTILINE))
    return found


@pytest.mark.turn("whole playbooks")
def test_the_examples(tmp_path: Path) -> None:
    with start_emulator(tenants()) as emulator:
        folder = Folder(tmp_path, emulator)
        run: list[str] = []

        def play(words: str, *, red: bool = False) -> str:
            run.append(words)
            return folder.play(words, red=red)

        play("ansible-playbook -i one_tenant.yml mail2fax.m365.provision")
        assert folder.record("contoso")["state"] == "ready"
        granted = [row["mailbox"] for row in folder.record("contoso")["mailboxes"] if row["probe"] == "opened"]
        assert granted == ["fax@contoso.com", "fax-reports@contoso.com"]

        said = play("ansible-playbook -i one_tenant.yml modules.yml")
        assert "scanner.yml, 20" in said

        play("ansible-playbook -i many_tenants mail2fax.m365.provision --forks 20")
        again = play("ansible-playbook -i many_tenants mail2fax.m365.provision --limit 'fabrikam,tailspin'")
        assert re.search(r"^fabrikam\s*: .*changed=0", again, re.MULTILINE)
        assert "wingtip" not in again
        for host in ("fabrikam", "tailspin", "wingtip"):
            assert folder.record(host)["state"] == "ready", host
        state = emulator.state(str(uuid.uuid5(uuid.NAMESPACE_DNS, "tailspin")))
        assert state["organizationConfig"]["EwsEnabled"] is True
        assert OTHER in state["organizationConfig"]["EwsAllowedAppIDs"]

        emulator.clear_journal()
        play("ansible-playbook -i many_tenants audit.yml")
        written = [row for row in emulator.journal() if str(row.get("cmdlet")).startswith(("New-", "Set-", "Remove-"))]
        assert not written

        play("ansible-playbook -i many_tenants expiring_secrets.yml -e days=60")
        soon = folder.play("ansible-playbook -i many_tenants expiring_secrets.yml -e days=200", red=True)
        assert "The secret of fabrikam ends in 179 days" in soon
        assert "The secret of wingtip" not in soon

        before = folder.record("fabrikam")["secret"]
        play("ansible-playbook -i many_tenants rotate.yml --limit fabrikam")
        after = folder.record("fabrikam")["secret"]
        assert after["key_id"] != before["key_id"]
        assert folder.record("wingtip")["secret"]["key_id"] != after["key_id"]
        assert emulator.exposures() == []
        assert advertised() == set(run)


@pytest.mark.soak
def test_three_ways_into_one_tenant(tmp_path: Path) -> None:
    with start_emulator(tenants()) as emulator:
        folder = Folder(tmp_path, emulator)
        folder.play("ansible-playbook -i ways_in.yml mail2fax.m365.provision --forks 20")
        again = folder.play("ansible-playbook -i ways_in.yml mail2fax.m365.provision --forks 20")
        for host, mailboxes in (
            ("contoso-fax", ["fax@contoso.com", "fax-reports@contoso.com"]),
            ("contoso-attendant", ["adele@contoso.com"]),
            ("contoso-mail", ["fax-reports@contoso.com"]),
        ):
            record = folder.record(host)
            assert record["state"] == "ready", host
            assert [row["mailbox"] for row in record["mailboxes"] if row["expected"] == "granted"] == mailboxes
            assert re.search(rf"^{host}\s*: .*changed=0", again, re.MULTILINE), host
            assert emulator.exposures(app_id=record["ids"]["application_id"], declared=mailboxes) == []


def test_every_example_is_in_the_list() -> None:
    listed = set(re.findall(r"^\| `([\w./]+)`", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    there = {path.name + ("/" if path.is_dir() else "") for path in EXAMPLES.iterdir()} - {"README.md"}
    assert listed == there


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.yml")), ids=lambda path: str(path.name))
def test_examples_hold_no_secret(path: Path) -> None:
    assert not re.search(r"(?i)(client_secret|password|token)\s*:\s*[\"']?\w", path.read_text(encoding="utf-8"))
