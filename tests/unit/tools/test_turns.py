# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dear stories take turns: what one commit leaves to others, another tells."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import conftest, sample

FOLDER = Path(__file__).resolve().parents[2]


class Story:
    """As much of a pytest item as is looked at."""

    def __init__(self, nodeid: str, group: str | None) -> None:
        self.nodeid = nodeid
        self._group = group

    def get_closest_marker(self, name: str) -> SimpleNamespace | None:
        return SimpleNamespace(args=(self._group,)) if name == "turn" and self._group else None


def left(stories: list[Story]) -> set[str]:
    return {item.nodeid for item in conftest._not_their_turn(stories)}  # type: ignore[arg-type]


def marked() -> dict[str, int]:
    """By group: how many functions are marked."""
    found: dict[str, int] = {}
    for path in FOLDER.glob("*/test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.turn":
                name = ast.literal_eval(node.args[0])
                found[name] = found.get(name, 0) + 1
    return found


def test_every_group_is_known_and_used() -> None:
    assert set(marked()) == set(conftest.TURNS)


def test_one_commit_tells_some_and_all_commits_tell_all(monkeypatch: pytest.MonkeyPatch) -> None:
    group, told = next(iter(conftest.TURNS.items()))
    stories = [Story(f"test_{number}", group) for number in range(told + 4)] + [Story("test_plain", None)]
    never = {story.nodeid for story in stories}
    for commit in range(200):
        monkeypatch.setattr(sample, "seed", lambda commit=commit: f"commit {commit}")
        out = left(stories)
        assert len(out) == 4
        assert "test_plain" not in out
        never &= out
    assert never == set()


def test_what_is_run_by_its_name_is_told() -> None:
    assert left([Story("test_alone", next(iter(conftest.TURNS)))]) == set()


class Twin:
    """A story that each transport tells."""

    def __init__(self, number: int, transport: str) -> None:
        self.nodeid = f"tests/test_file.py::test_{number}[{transport}]"
        self.callspec = SimpleNamespace(params={"running": transport})


def test_a_third_of_the_twins_is_told_by_each_commit_and_all_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    items: list[t.Any] = [Twin(number, transport) for number in range(10) for transport in ("rest", "winrm")]
    items.append(Story("test_plain", None))
    never = {item.nodeid for item in items}
    for commit in range(200):
        monkeypatch.setattr(sample, "seed", lambda commit=commit: f"commit {commit}")
        out = {item.nodeid for item in conftest._without_their_twins(items)}
        assert len(out) == 6
        assert all(name.endswith("[winrm]") for name in out)
        never &= out
    assert never == set()
