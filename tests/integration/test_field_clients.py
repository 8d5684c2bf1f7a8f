# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail clients show what the guides say that they show, as far as they are installed here; Python's own always are."""

from __future__ import annotations

import os
import re
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._clients import CLIENTS
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _client_words
from tests.field import clients, measure, servers
from tests.tools import field_tables

ALWAYS = {"curl", "imaplib", "poplib", "smtplib"}
"""The others are measured where they are installed, by ``make soak``."""


def case(*words: t.Any, name: str, title: str) -> t.Any:
    return pytest.param(*words, id=f"{name}-{title}", marks=[] if name in ALWAYS else [pytest.mark.soak])


PLAYED = [
    case(*cause["played"], sign, name=sign["client"], title=cause["played"][1])
    for cause in field_tables.data("signs")
    if "played" in cause
    for sign in cause["signs"]
    if sign.get("seen") != "otherwise" and "shows" in sign and sign["client"] in clients.CLIENTS
]
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[a-zA-Z]|[()].)|[\x0f\r\x07]")


@pytest.fixture(autouse=True)
def own_python_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


def there(name: str) -> None:
    """Skips the test where a client is not installed, or in another version than the one that is told of."""
    client = clients.CLIENTS[name]
    if not clients.installed(client, os.environ["PATH"]) or (found := measure.version(client)) == "not there":
        pytest.skip(f"{name} is not installed")
    told = _client_words.words()[name].version.split()[0].rstrip(",")
    if client.version != clients.PYTHON and told not in found:
        pytest.skip(f"{name} is {found}, and {told} is told of")


def pattern(shows: str) -> str:
    return ".*".join(re.escape(part.strip()) for part in shows.split("…"))


@pytest.mark.parametrize(("protocol", "scene", "sign"), PLAYED)
def test_a_client_shows_what_is_told(protocol: str, scene: str, sign: dict[str, t.Any]) -> None:
    there(sign["client"])
    seen = measure.ask(sign["client"], protocol, servers.SCENES[protocol][scene])
    if "code" in sign:
        assert seen.code == sign["code"], seen.words
    words = " ".join(ESCAPES.sub(" ", seen.words).split())
    assert re.search(pattern(sign["shows"]), words), words


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        case(name, protocol, name=name, title=protocol)
        for name, client in clients.CLIENTS.items()
        for protocol in client.runs
    ],
)
def test_a_token_goes_as_is_told(name: str, protocol: str) -> None:
    there(name)
    seen = measure.ask(name, protocol, servers.SCENES[protocol]["ok"])
    assert seen.code == 0, seen.words
    assert {heard.form for heard in seen.heard if heard.form} == {CLIENTS[name].sends[protocol]}
    assert seen.sent == measure.token(measure.USUAL)
