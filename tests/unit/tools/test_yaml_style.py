# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML is found where it stands among other text, with the line it stands on."""

from __future__ import annotations

from yamllint import linter
from yamllint.config import YamlLintConfig

from tests.tools import layout, yaml_style

SETTINGS = YamlLintConfig(file=str(layout.ROOT / ".yamllint"))


def complaints(found: object) -> list[tuple[int, str]]:
    return [
        (before + problem.line, str(problem.rule))
        for before, text in found  # type: ignore[attr-defined]
        for problem in linter.run(text, SETTINGS)
    ]


def test_a_fenced_block() -> None:
    text = "# Title\n\n```yaml\na: 1\na: 2\n```\n\n```sh\na:   1\n```\n"
    assert complaints(yaml_style.of_text(text)) == [(5, "key-duplicates")]


def test_a_directive() -> None:
    text = "Title\n=====\n\n.. code-block:: yaml\n\n   a: 1\n   b:   2\n\nMore text\n"
    assert complaints(yaml_style.of_text(text)) == [(7, "colons")]


def test_a_plugins_documents() -> None:
    text = 'import os\n\nEXAMPLES = r"""\n- name: One\n  a: {   b: 1}\n"""\nOTHER = "x:   y"\n'
    assert complaints(yaml_style.of_plugin(text)) == [(5, "braces")]
