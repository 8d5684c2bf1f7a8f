# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The English of messages: subject, verb, object, and no turn that has to be read twice."""

from __future__ import annotations

import pytest

from tests.tools import wording


def test_no_message_has_a_turn_that_has_to_be_read_twice() -> None:
    assert list(wording.complaints()) == []


@pytest.mark.parametrize(
    "text",
    [
        "which is no resource",
        "they were no applications",
        "refused for want of the role",
        "reached by way of the proxy",
        "whoever runs it",
        "two recipients bear the alias",
        "it bears a name",
        "of no use here",
        "nothing was done. Of a wrong tenant there is nothing to tell",
        "see to it that it answers",
    ],
)
def test_turns_are_found(text: str) -> None:
    assert list(wording.turns(text))


@pytest.mark.parametrize(
    "text",
    [
        "there is no such group",
        "it is no longer there",
        "the Bearer token",
        "out of an application",
        "is not a resource",
    ],
)
def test_plain_english_passes(text: str) -> None:
    assert list(wording.turns(text)) == []


def test_docstrings_and_comments_may_have_a_voice() -> None:
    lines = ('"""Whoever reads."""', "# whoever", 'X = f"it is no {1} thing"', '"""Of a constant, whoever."""')
    source = "\n".join((*lines, "def f():", '    """Whoever."""'))
    assert [text for _line, text in wording.messages(source)] == ["it is no … thing"]
