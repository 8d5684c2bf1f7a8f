# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of a hand-over: whole or not at all, with its mode."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._door import Task
from ansible_collections.mail2fax.m365.plugins.module_utils._module import execute
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.handover_file import DOOR
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant


def write(path: pathlib.Path | str, content: str = '{"a": 1}\n', check_mode: bool = False) -> dict[str, t.Any]:
    return execute(DOOR, Task({"path": str(path), "content": content, "refused": []}, check_mode), lambda: Tenant({}))


def test_it_is_written_once_with_its_folders(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "new" / "folder" / "tenant.json"
    result = write(path)
    assert (result["outcome"], result["changed"], result["file"]) == ("changed", True, str(path))
    assert path.read_text(encoding="utf-8") == '{"a": 1}\n'
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.parent.stat().st_mode & 0o777 == 0o750
    assert [file.name for file in path.parent.iterdir()] == ["tenant.json"]
    assert (write(path)["outcome"], write(path)["changed"]) == ("ok", False)


def test_check_mode_writes_nothing_and_shows_the_difference(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x" / "tenant.json"
    result = write(path, check_mode=True)
    assert result["changed"]
    assert not path.parent.exists()
    assert result["diff"] == {"before": {}, "after": {"a": 1}}
    write(path)
    assert write(path, "two\nlines", check_mode=True)["diff"] == {
        "before": {"a": 1},
        "after": {"lines": ["two", "lines"]},
    }


def test_a_wrong_mode_alone_is_mended(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "tenant.html"
    write(path, "<p>")
    path.chmod(0o666)
    assert write(path, "<p>")["changed"]
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_is_in_the_way_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "tenant.json", tmp_path / "folder"):
        result = write(path)
        assert (result["outcome"], result["changed"]) == ("blocked", False)
        assert str(path) in result["msg"]
        assert "mail2fax_handover_dir" in result["msg"]
    assert write(f"{tmp_path}/")["outcome"] == "failed"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_a_write_that_fails_leaves_the_old_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tenant.json"
    write(path, "old")

    def full(*_paths: object) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert "No space left on device" in write(path, "new")["msg"]
    assert path.read_text(encoding="utf-8") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["tenant.json"]


@pytest.mark.parametrize("text", ["", "\u202eפקס ✓", "\udc80"])
def test_every_text_is_written(tmp_path: pathlib.Path, text: str) -> None:
    path = tmp_path / "tenant.txt"
    assert write(path, text)["changed"]
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")
    assert not write(path, text)["changed"]


def test_without_content_it_says_whether_the_file_could_be_written(tmp_path: pathlib.Path) -> None:
    def look(path: pathlib.Path) -> dict[str, t.Any]:
        return execute(DOOR, Task({"path": str(path), "content": None, "refused": []}, False), lambda: Tenant({}))

    fresh = look(tmp_path / "new" / "folder" / "tenant.json")
    assert (fresh["outcome"], fresh["changed"]) == ("ok", False)
    assert list(tmp_path.iterdir()) == [], "nothing stays of the try"
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "taken.json").mkdir()
    for path in (tmp_path / "file" / "tenant.json", tmp_path / "taken.json", pathlib.Path("/proc/nowhere/tenant.json")):
        refused = look(path)
        assert refused["outcome"] == "blocked", path
        assert str(path) in refused["msg"]
        assert "mail2fax_handover_dir" in refused["msg"]
    assert write(tmp_path / "tenant.json")["changed"]
    assert look(tmp_path / "tenant.json")["outcome"] == "ok"


def test_what_is_refused_is_not_written(tmp_path: pathlib.Path) -> None:
    task = Task({"path": str(tmp_path / "tenant.json"), "content": "x", "refused": ["No zone.", "No days."]}, False)
    refused = execute(DOOR, task, lambda: Tenant({}))
    assert refused["failed"]
    assert refused["msg"] == "No zone. No days."
    assert list(tmp_path.iterdir()) == []
