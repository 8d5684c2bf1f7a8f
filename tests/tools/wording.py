# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The English of what people read: a list of turns that cost an administrator a second reading, and where they stand.

Subject, verb, object; "is not a"; one imperative for each cure. Comments and docstrings may have a voice.
"""

from __future__ import annotations

import ast
import pathlib
import re
import typing as t
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).parents[2]

TURNS: t.Mapping[str, str] = {
    r"(?<!there )\b(?:is|are|was|were) no (?!longer\b|more\b|later\b|less\b|doubt\b)": 'write "is not a"',
    r"\bfor want of\b": 'write "because ... is missing"',
    r"\bby way of\b": 'write "through" or "over"',
    r"\bwhoever\b": 'write "anybody who" or name who',
    r"\bbear(?:s|ing)?\b|\bborne\b": 'write "has"',
    r"\bof no use\b": 'write "cannot be used"',
    r"\bin so many words\b": "say what is said",
    r"(?:^|[.;:] )Of an? ": "begin with the subject",
    r"\bsee to it that\b": "name the thing to do",
}
"""Patterns, in any case, and what to write instead."""

CODE = ("plugins/module_utils", "plugins/plugin_utils", "plugins/action", "plugins/filter", "plugins/lookup")
TEXTS = ("roles", "playbooks")


def messages(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of every text in Python code that may become part of a message: all but docstrings."""
    tree = ast.parse(source)
    skipped: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            # A text that stands by itself is a docstring, or a comment on a constant.
            skipped |= {id(one.value) for one in body if isinstance(one, ast.Expr)}
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def turns(text: str) -> Iterator[str]:
    """What is to be written otherwise in a text."""
    for pattern, instead in TURNS.items():
        for match in re.finditer(pattern, text, re.IGNORECASE):
            around = " ".join(text[max(0, match.start() - 30) : match.end() + 30].split())
            yield f"{around!r}: {instead}"


def complaints(root: pathlib.Path = ROOT) -> Iterator[str]:
    """A line for each turn, with its file and line."""
    for folder in CODE:
        for path in sorted((root / folder).rglob("*.py")):
            for line, text in messages(path.read_text(encoding="utf-8")):
                yield from (f"{path.relative_to(root)}:{line}: {turn}" for turn in turns(text))
    for folder in TEXTS:
        for path in sorted((root / folder).rglob("*.yml")):
            for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if not text.lstrip().startswith("#"):
                    yield from (f"{path.relative_to(root)}:{line}: {turn}" for turn in turns(text))
