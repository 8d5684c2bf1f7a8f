# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The hand-over sheet as plain text, made from the page itself, so that the one tells nothing that the other does not.

For logs and terminals: no line is broken inside a word, so that what is to be typed can be copied.
"""

from __future__ import annotations

import html.parser
import re
import textwrap
import typing as t

WIDTH = 90
_NOWHERE = 10**6
_BLOCKS = frozenset({"p", "li", "h1", "h2", "div", "strong", "footer"})
_UNSEEN = frozenset({"style", "script", "title", "head"})
_INDENT = "    "
_KEPT = "\0"
"""Stands for a blank at which no line may end: inside what is to be copied."""


def as_text(page: str, width: int = WIDTH) -> list[str]:
    """Lines of text, without trailing blanks and without two empty lines in a row."""
    reader = _Reader(width)
    reader.feed(page)
    reader.close()
    lines: list[str] = []
    for line in reader.finished():
        if line or (lines and lines[-1]):
            lines.append(line)
    return lines


class _Reader(html.parser.HTMLParser):
    def __init__(self, width: int) -> None:
        super().__init__(convert_charrefs=True)
        self._width = width
        self._lines: list[str] = []
        self._text: list[str] = []
        self._open: list[str] = []
        self._copied = _NOWHERE
        self._heads: list[str] = []
        self._row: list[str] | None = None
        self._in_head = False
        self._between = " "

    def finished(self) -> list[str]:
        self._end_block("p")
        return self._lines

    def handle_starttag(self, tag: str, attrs: t.Any) -> None:
        if tag in ("meta", "br"):
            return
        self._open.append(tag)
        said = dict(attrs)
        if tag == "code" or "value" in str(said.get("class") or "").split():
            self._copied = len(self._open)
        if tag == "table":
            self._between = "; " if said.get("class") == "proof" else " "
            self._end_block("p")
            self._heads = []
            self._lines.append("")
        elif tag == "thead":
            self._in_head = True
        elif tag == "tr":
            self._row = []
        elif tag in ("th", "td"):
            self._text = []
        elif tag in _BLOCKS and self._row is None:
            self._end_block("p")
        elif self._row is not None and tag in ("div", "span") and self._text:
            # Values beside each other, and lines of a cell.
            self._text.append(self._between if tag == "div" else " ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass
        if len(self._open) < self._copied:
            self._copied = _NOWHERE
        if tag in ("th", "td") and self._row is not None:
            self._row.append(self._taken())
        elif tag == "tr" and self._row is not None:
            self._end_row()
        elif tag == "thead":
            self._in_head = False
        elif tag in _BLOCKS and self._row is None:
            self._end_block(tag)

    def handle_data(self, data: str) -> None:
        if not _UNSEEN & {*self._open}:
            self._text.append(data.replace(" ", _KEPT) if self._copied != _NOWHERE else data)

    def _taken(self) -> str:
        text = re.sub(r"\s+", " ", "".join(self._text)).strip()
        self._text = []
        return "".join(
            char if char.isprintable() or char == _KEPT else char.encode("unicode_escape").decode() for char in text
        )

    def _end_block(self, tag: str) -> None:
        text = self._taken()
        if not text:
            return
        if tag in ("h1", "h2"):
            self._lines += ["", text.upper() if tag == "h1" else text, ("=" if tag == "h1" else "-") * len(text)]
        elif tag == "li":
            self._lines += self._wrapped(text, "- ", "  ")
        elif tag == "footer":
            self._lines += ["", *self._wrapped(text)]
        else:
            self._lines += self._wrapped(text)

    def _end_row(self) -> None:
        cells, self._row = self._row or [], None
        if self._in_head:
            self._heads = cells
            return
        if not any(cells):
            return
        name, *rest = cells
        if len(cells) == 2:
            self._lines += self._wrapped(f"{name}: {rest[0]}", "", _INDENT)
            return
        self._lines += self._wrapped(name)
        for head, text in zip(self._heads[1:] or [""] * len(rest), rest, strict=False):
            self._lines += self._wrapped(f"{head}: {text}" if head else text, _INDENT, _INDENT * 2)

    def _wrapped(self, text: str, first: str = "", then: str = "") -> list[str]:
        lines = textwrap.wrap(
            text,
            self._width,
            initial_indent=first,
            subsequent_indent=then,
            break_long_words=False,
            break_on_hyphens=False,
        )
        return [line.replace(_KEPT, " ") for line in lines]
