# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The house is built as the guide draws it: every file has a room, nothing imports upward, and nothing in a circle."""

from __future__ import annotations

import ast
import graphlib
import re

import pytest

from tests.tools import layout

PLUGINS = layout.ROOT / "plugins"
GUIDE = layout.ROOT / "docs/docsite/rst/architecture.rst"
PREFIX = "ansible_collections.mail2fax.m365.plugins."
CONTROLLER = "plugin_utils"
DOORS = ("modules", "action", "filter", "lookup", "doc_fragments")


def rooms() -> list[list[str]]:
    """The rows of the guide's table, in order: the names of files and folders of each."""
    text = GUIDE.read_text(encoding="utf-8")
    table = text[text.index("The house, room by room") :].partition("A file that does two jobs")[0]
    rows = re.findall(r"^   \* - (``.+)$", table, re.MULTILINE)
    return [re.findall(r"``([\w/]+)``", row) for row in rows]


def names() -> list[str]:
    """Every file below plugins, as the tail of its module name."""
    files = sorted(PLUGINS.rglob("*.py"))
    return [
        str(path.relative_to(PLUGINS).with_suffix("")).replace("/", ".").removesuffix(".__init__") for path in files
    ]


NAMES = names()


def imports(name: str) -> set[str]:
    """The collection's files that a file imports when it runs; what only the type checker reads does not count."""
    path = PLUGINS / name.replace(".", "/")
    source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX):
            base = (node.module or "").removeprefix(PREFIX)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in NAMES else base)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(source))
    return found - {name}


def row_of(name: str, table: list[list[str]]) -> int | None:
    """Which row of the table a file belongs to."""
    for number, row in enumerate(table):
        for entry in row:
            folder = entry.rstrip("/").replace("plugins/", "").replace("/", ".")
            whole = folder if folder.startswith(CONTROLLER) else f"module_utils.{folder}"
            if name == whole or name.startswith(f"{whole}."):
                return number
    return len(table) if name.split(".")[0] in DOORS else None


def upward(table: list[list[str]], graph: dict[str, set[str]]) -> list[str]:
    ranks = {name: row_of(name, table) for name in graph}
    return [
        f"{name} imports {other}"
        for name, others in graph.items()
        for other in others
        if (ranks[name] or 0) < (ranks.get(other) or 0)
    ]


GRAPH = {name: imports(name) for name in NAMES}


def test_every_file_has_a_room() -> None:
    table = rooms()
    assert len(table) > 10
    assert [name for name in NAMES if row_of(name, table) is None and name != "module_utils"] == []


def test_every_name_in_the_table_is_there() -> None:
    missing = [
        entry
        for row in rooms()
        for entry in row
        if not entry.startswith("plugins/")
        and not any((PLUGINS / "module_utils" / f"{entry.rstrip('/')}{ending}").exists() for ending in ("", ".py"))
    ]
    assert missing == []


def test_nothing_imports_upward() -> None:
    assert upward(rooms(), GRAPH) == []


def test_no_circle() -> None:
    try:
        tuple(graphlib.TopologicalSorter(GRAPH).static_order())
    except graphlib.CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


def test_the_check_would_notice() -> None:
    graph = {**GRAPH, "module_utils._errors": {"module_utils._graph"}}
    assert upward(rooms(), graph) == ["module_utils._errors imports module_utils._graph"]


def test_no_file_is_too_long_to_have_one_job() -> None:
    lengths = {
        name: len((PLUGINS / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8").splitlines())
        for name in NAMES
        if name.split(".")[0] not in DOORS and not (PLUGINS / name.replace(".", "/")).is_dir()
    }
    assert {name: count for name, count in lengths.items() if count > 620} == {}
