# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clone is laid out as Ansible wants it."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.tools import layout


def test_the_live_layout_is_the_clone_itself() -> None:
    assert (layout.live() / layout.COLLECTION / "galaxy.yml").samefile(layout.ROOT / "galaxy.yml")


def test_the_snapshot_holds_what_git_knows_and_nothing_else(tmp_path: Path) -> None:
    root = layout.snapshot(tmp_path)
    copied = {
        os.path.relpath(Path(folder) / name, root)
        for folder, _folders, names in os.walk(root)
        for name in names
        if ".git" not in Path(folder).relative_to(root).parts
    }
    assert copied == set(layout.known_files())
    assert "galaxy.yml" in copied
    assert not [name for name in copied if name.startswith((".build", ".venv"))]


def test_the_exports_put_the_clone_first_and_keep_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", f"/some where:{layout.BUILD}:/else")
    monkeypatch.setenv("PWSH", "/opt/power shell/pwsh")
    lines = [shlex.split(line) for line in layout.exports().splitlines()]
    values = dict(words[1].split("=", 1) for words in lines)
    assert [words[0] for words in lines] == ["export"] * 4
    assert values["PWSH"] == "/opt/power shell/pwsh"
    assert values["ANSIBLE_COLLECTIONS_PATH"] == f"{layout.BUILD}:/some where:/else"
    assert values["PATH"].split(":")[0] == str(Path(sys.prefix) / "bin")
    assert Path(values["ANSIBLE_PYTHON_INTERPRETER"]).parent == Path(sys.prefix) / "bin"


def test_the_action_group_names_every_module_with_a_connection() -> None:
    runtime = yaml.safe_load((layout.ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))
    paths = (layout.ROOT / "plugins/modules").glob("[a-z]*.py")
    modules = sorted(path.stem for path in paths if "- mail2fax.m365.connection\n" in path.read_text(encoding="utf-8"))
    assert len(modules) > 9
    assert runtime["action_groups"]["m365"] == modules


def test_users_and_execution_environments_need_the_same_ranges_and_the_tests_pin_them() -> None:
    def lines(file: str) -> list[Requirement]:
        text = (layout.ROOT / file).read_text(encoding="utf-8").splitlines()
        return [Requirement(line.partition(" #")[0]) for line in text if line and line[0] not in "#-"]

    users, images, tests = map(lines, ("requirements.txt", "meta/ee-requirements.txt", "tests/requirements.txt"))
    assert {str(one) for one in users} == {str(one) for one in images}
    assert not any("==" in str(one) for one in users)
    pinned = {one.name: next(iter(one.specifier)).version for one in tests if "==" in str(one)}
    for one in users:
        assert one.specifier.contains(pinned[one.name])
