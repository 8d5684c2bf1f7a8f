# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first guide, word by word: its commands, in their order, in one shell, from a fresh clone."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import typing as t

import pytest

from tests.tools import layout

GUIDE = layout.ROOT / "docs/docsite/rst/first_tenant.rst"
BLOCK = re.compile(r"^\.\. code-block:: sh\n   :class: run\n\n((?:(?:   .*)?\n)+)", re.MULTILINE)
ORIGIN = "https://github.com/mail2fax/m365.git"

# What would take a minute and a package index is lent: the virtual environment, under the name that make looks for.
LEND = f"""
mkdir .venv
ln -s {sys.prefix}/bin {sys.prefix}/lib {sys.prefix}/pyvenv.cfg .venv
: > .venv/.made-from-"$(cat requirements.txt tests/requirements.txt tests/constraints.txt | cksum | tr ' ' '-')"
"""


def commands() -> list[str]:
    """The blocks that a newcomer types, in order."""
    return [textwrap.dedent(block).strip("\n") for block in BLOCK.findall(GUIDE.read_text(encoding="utf-8"))]


@pytest.fixture
def published(tmp_path: pathlib.Path) -> dict[str, str]:
    """The collection as it lies here, where the guide's own address leads to it: an environment for git."""
    origin = layout.snapshot(tmp_path / "origin")
    git = ["git", "-c", "user.name=a test", "-c", "user.email=test@example.com"]
    subprocess.run([*git, "add", "--all"], cwd=origin, check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "as it lies here"], cwd=origin, check=True)
    return {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.{origin}.insteadOf",
        "GIT_CONFIG_VALUE_0": ORIGIN,
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
    }


def test_the_page_shows_what_is_run() -> None:
    text = "\n".join(commands())
    assert text.startswith(f"git clone {ORIGIN}")
    for playbook in ("provision", "audit", "decommission"):
        assert f"mail2fax.m365.{playbook}" in text


@pytest.mark.slow
@pytest.mark.turn("guides as they are typed")
def test_a_newcomer_gets_from_nothing_to_a_proven_tenant_and_back(
    tmp_path: pathlib.Path, published: dict[str, str]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    kept = tmp_path / "kept"
    script = ["set -eu", "trap 'kill \"${EMULATOR:-}\" 2>/dev/null || true' EXIT"]
    for block in commands():
        if block.startswith("git clone"):
            clone, demo = block.split("\nmake demo")
            script += [clone, LEND, f"make demo{demo}"]
        elif "decommission" in block:
            # What the run before left is looked at below.
            script += [f"cp -R handover {kept}", block]
        else:
            script.append(block)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
    answer = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        env={**environment, **published, "HOME": str(home), "PATH": os.defpath + ":/usr/local/bin"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-8000:]
    record = document(kept / "first.json")
    assert record["state"] == "ready"
    assert record["outcome"] == "ok"
    assert {row["probe"] for row in record["mailboxes"]} == {"opened", "denied_by_policy"}
    # Looked at, done, done again, audited, taken back.
    changed = [int(count) for count in re.findall(r"^first\s+: .*changed=(\d+)", answer.stdout, re.MULTILINE)]
    assert [count > 0 for count in changed] == [True, True, False, False, True], changed
    # What limited the application stays until no token of before can be alive, and the next run takes it away.
    record = document(tmp_path / "first-tenant/handover/first.json")
    assert (record["state"], record["outcome"]) == ("removing", "pending")
    assert record["pending_until"]
    value = re.search(r"^value: (\S+)$", answer.stdout, re.MULTILINE)
    assert value, "ansible-vault view shows the secret"
    assert value[1] not in (kept / "first.html").read_text(encoding="utf-8")


def document(path: pathlib.Path) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads(path.read_text(encoding="utf-8")))
