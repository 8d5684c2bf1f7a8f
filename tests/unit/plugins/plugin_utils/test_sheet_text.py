# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sheet as text has everything that the page shows, and what is to be copied stands in one line."""

from __future__ import annotations

import html
import re

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils._sheet_text import as_text
from tests.unit.roles.test_sheet import document, render, tried


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


@pytest.mark.parametrize("state", ["ready", "wait", "draft", "removing", "removed"])
def test_every_word_of_the_page_is_in_the_text(state: str) -> None:
    page = render(document(state=state, removing=None))
    shown = re.sub(r"(?s)<head>.*?</head>|<[^>]+>", " ", page)
    text = "\n".join(as_text(page))
    missing = {word.lower() for word in words(html.unescape(shown))} - {word.lower() for word in words(text)}
    # What the first column of a table is called is plain from what stands there.
    assert missing <= {"field", "see"}
    assert "<" not in text
    assert "\n\n\n" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_lines_are_narrow_and_what_is_copied_is_whole() -> None:
    long = f"fax-{'x' * 100}@contoso.com"
    rows = [tried(long, "granted", ews="opened")]
    lines = as_text(render(document(mailboxes=rows)))
    assert [line for line in lines if len(line) > 90 and long not in line] == []
    assert any(long in line for line in lines)
    assert "ansible-playbook mail2fax.m365.decommission --limit contoso -e mail2fax_confirm=true." in lines


def test_names_of_a_tenant_move_no_cursor() -> None:
    evil = document()
    evil["tenant"] = {**evil["tenant"], "name": "Con\x1b[2Jto\u202eso<script>alert(1)</script>"}
    text = "\n".join(as_text(render(evil)))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[2Jto" in text
    assert "alert(1)" in text


def test_a_page_of_nothing_is_no_line() -> None:
    assert as_text("") == []
    assert as_text("<p>") == []
    assert as_text(render(document()))[0] == "Hand-over sheet"
