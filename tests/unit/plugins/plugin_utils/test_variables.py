# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What variables say, and the one table of them."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.filter.said import said
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import CONNECTION
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _variables


@pytest.mark.parametrize(
    ("value", "default", "found"),
    [
        (None, 30, 30),
        ("", 30, 30),
        (" \t\n", "UTC", "UTC"),
        ("\u200b\u00a0\ufeff", "UTC", "UTC"),
        (None, [], []),
        ([], ["a"], []),
        (0, 30, 0),
        (False, True, False),
        ("no", True, False),
        ("True", False, True),
        ("maybe", False, "maybe"),
        ("60", 30, 60),
        ("soon", 30, "soon"),
        (" CHG0012345 ", "", "CHG0012345"),
        ("a@x, b@x", [], ["a@x", "b@x"]),
        ("a@x\r\nb@x\n", [], ["a@x", "b@x"]),
        (["a@x", "", None, " b@x "], [], ["a@x", "b@x"]),
        ({"a": 1}, {}, {"a": 1}),
        (12345, "", 12345),
    ],
)
def test_a_blank_says_nothing_and_text_is_read(value: t.Any, default: t.Any, found: t.Any) -> None:
    assert said(value, default) == found
    assert type(said(value, default)) is type(found)


def test_every_option_of_the_connection_has_its_variable() -> None:
    rows = _variables.variables()
    for name, option in CONNECTION.options.items():
        row = rows[f"mail2fax_{name}"]
        assert row.type == option.get("type", "str"), name
        assert list(row.choices) == list(option.get("choices", ())), name
        assert row.secret == bool(option.get("no_log", False)), name
        assert row.option == name


def test_the_table_is_sound() -> None:
    for row in _variables.variables().values():
        assert row.name.startswith(_variables.PREFIX)
        assert not row.name.startswith(_variables.PASSED_ON)
        assert set(row.playbooks) <= {*_variables.PLAYBOOKS} or row.playbooks == _variables.APART
        assert set(row.survey) <= {*row.playbooks}
        assert set(row.needed_by) <= {*_variables.PLAYBOOKS}
        assert row.default is None or not row.choices or row.default in row.choices
        assert row.meaning.endswith((".", "..."))
    assert _variables.named("app_id") == "mail2fax_application_id"
    assert _variables.named("nothing") is None
