# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""yamllint for the YAML files, and with the same settings for the YAML in plugins, guides and READMEs."""

from __future__ import annotations

import ast
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from yamllint import linter
from yamllint.config import YamlLintConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools import layout, process

DOCUMENTS = ("DOCUMENTATION", "EXAMPLES", "RETURN")
FENCED = re.compile(r"^( *)```ya?ml\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
DIRECTIVE = re.compile(r"^( *)\.\. code-block:: +ya?ml *\n((?:\1 +.*\n| *\n)+)", re.MULTILINE)


def of_plugin(text: str) -> Iterator[tuple[int, str]]:
    """The documents of a plugin or documentation fragment, each with the line that comes before it."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            if set(names) & set(DOCUMENTS) or (names and names[0].isupper() and "options:\n" in node.value.value):
                yield node.value.lineno, node.value.value.removeprefix("\n")


def of_text(text: str) -> Iterator[tuple[int, str]]:
    """The YAML blocks of a guide or README, each with the line that comes before it."""
    for block in FENCED.finditer(text):
        yield text.count("\n", 0, block.start(2)), textwrap.dedent(block[2])
    for block in DIRECTIVE.finditer(text):
        body = block[2].lstrip("\n")
        yield text.count("\n", 0, block.end(2)) - body.count("\n"), textwrap.dedent(body).rstrip("\n") + "\n"


def main() -> int:
    files = process.run([sys.executable, "-m", "yamllint", "--strict", "."], cwd=layout.ROOT, env=os.environ)
    settings = YamlLintConfig(file=str(layout.ROOT / ".yamllint"))
    blocks = problems = 0
    for name in layout.known_files():
        find = of_plugin if re.match(r"plugins/.*\.py$", name) else of_text if name.endswith((".md", ".rst")) else None
        for before, text in find((layout.ROOT / name).read_text(encoding="utf-8")) if find else ():
            blocks += 1
            for problem in linter.run(text, settings):
                problems += 1
                print(f"{name}:{before + problem.line}:{problem.column}: {problem.desc} ({problem.rule})")
    print(f"{blocks} YAML texts in plugins and guides, {problems} problems")
    return 1 if files or problems or not blocks else 0


if __name__ == "__main__":
    sys.exit(main())
