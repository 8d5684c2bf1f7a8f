# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data of the guide "Field notes" is that of the code, and complete; the tables are made of it (test_guides)."""

from __future__ import annotations

import datetime as dt
import importlib
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._clients import CLIENTS
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import token_life
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _client_words
from tests.field import clients, servers
from tests.tools import doc_tables, field_tables, layout

SIGNS: list[dict[str, t.Any]] = field_tables.data("signs")
PREFIX = "ansible_collections.mail2fax.m365.plugins.module_utils."


def figure(where: str) -> dt.timedelta:
    """A figure of the code, as the data names it."""
    module, _colon, name = where.partition(":")
    name, _bracket, key = name.partition("[")
    found = getattr(importlib.import_module(f"{PREFIX}{module}"), name)
    if key:
        found = found[{"exchange": token_life.EXCHANGE, "graph": token_life.GRAPH}[key.rstrip("]")]]
    assert isinstance(found, dt.timedelta)
    return found


def test_times_are_those_that_the_code_goes_by() -> None:
    rows = [row for row in field_tables.data("grants")["rows"] if "code" in row]
    assert len(rows) > 7
    for row in rows:
        assert figure(row["code"]) == dt.timedelta(minutes=row["minutes"]), row["what"]


def test_every_model_has_its_time() -> None:
    told = " ".join(row["what"] for row in field_tables.data("grants")["rows"])
    for name, model in MODELS.items():
        assert f"``{name}``" in told
        minutes = {row["minutes"] for row in field_tables.data("grants")["rows"] if f"``{name}``" in row["what"]}
        assert dt.timedelta(minutes=minutes.pop()) == model.in_force_after, name


def test_every_client_that_can_be_run_is_told_and_goes_as_told() -> None:
    measured = {name for name, words in _client_words.words().items() if words.seen == "measured"}
    assert measured == set(clients.CLIENTS)
    for name, client in clients.CLIENTS.items():
        assert set(client.runs) == set(CLIENTS[name].sends), name


@pytest.mark.parametrize("name", ["servers", "grants", "stores", "awx", "tools"])
def test_tables_have_no_holes(name: str) -> None:
    found = field_tables.data(name)
    assert len(found["widths"].split()) == len(found["header"])
    extra = {"minutes", "code"}
    for row in found["rows"]:
        assert set(row) - extra == set(found["header"]), row
        assert all(str(row[key]).strip() for key in found["header"]), row


def test_each_figure_has_its_day() -> None:
    days = [words.day for words in _client_words.words().values()]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d", day) for day in days)
    for name in ("grants", "awx"):
        for row in field_tables.data(name)["rows"]:
            assert re.search(r"20\d\d-\d\d-\d\d|make cores", row["seen"]), row
    for row in field_tables.data("stores")["rows"]:
        assert re.search(r"20\d\d-\d\d-\d\d", row["product"]) or "not measured" in row["does"].lower(), row
    for row in field_tables.data("tools")["rows"]:
        assert re.search(r"20\d\d-\d\d-\d\d", row["seen"]) or "not measured" in row["throttled"], row


def test_what_shows_it_again_is_there() -> None:
    text = doc_tables.GUIDES.joinpath("field_notes.rst").read_text(encoding="utf-8")
    named = set(re.findall(r"``(tests/[\w./-]+\.py)", text)) | set(re.findall(r"(findings/[\w-]+\.sh)>`__", text))
    named |= set(re.findall(r"^   python (tests/\S+\.py)", text, re.MULTILINE))
    assert len(named) > 6
    assert [name for name in named if not (layout.ROOT / name).is_file()] == []


def test_signs_are_of_clients_that_are_told() -> None:
    for cause in SIGNS:
        assert set(cause) <= {"cause", "means", "do", "who", "signs", "played"}
        assert cause["means"].strip().endswith("."), cause["cause"]
        assert cause["do"].strip().endswith("."), cause["cause"]
        if "played" in cause:
            protocol, scene = cause["played"]
            assert scene in servers.SCENES[protocol]
        for sign in cause["signs"]:
            assert sign["client"] in CLIENTS
            assert ("shows" in sign) != ("told" in sign), sign


def test_every_client_of_the_issue_has_its_signs() -> None:
    signs = {sign["client"] for cause in SIGNS for sign in cause["signs"]}
    wanted = {"msmtp", "mpop", "curl", "getmail6", "offlineimap", "mutt", "neomutt", "nodemailer", "imapflow"}
    assert wanted | {"emailproxy", "mbsync", "imapfilter", "mailkit", "smtplib", "imaplib"} <= signs


def test_no_finding_is_missing_in_its_table() -> None:
    folder = layout.ROOT / "findings"
    listed = re.findall(r"^\| \[([\w-]+)\]\(([\w-]+)\.sh\) \|", (folder / "README.md").read_text("utf-8"), re.MULTILINE)
    assert all(name == target for name, target in listed)
    assert [name for name, _target in listed] == sorted(path.stem for path in folder.glob("*.sh"))
    assert len(listed) >= 10


@pytest.mark.parametrize("path", sorted((layout.ROOT / "findings").glob("*.sh")), ids=lambda path: path.stem)
def test_a_finding_has_its_form(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    head = text.partition("\nset -eu\n")[0]
    assert head != text, "set -eu"
    for word in ("# What:  ", "# Seen:  ", "# A guess:  ", "# For us:  ", "# Seen how: "):
        assert word in head, word
    assert "mktemp -d" in text
    assert "mail2fax.m365." not in text.partition("SPDX")[2], "no code of ours"
