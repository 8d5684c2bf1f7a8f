# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the environment says of the connection, and what it does not: fields of a credential that nobody filled in."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.mail2fax.m365.plugins.module_utils import _argspec
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import CONNECTION
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores._vault_way import Settings

VARIABLES = {name: option["fallback"][1] for name, option in CONNECTION.options.items() if "fallback" in option}
PATHS = sorted(name for name in VARIABLES if CONNECTION.options[name]["type"] == "path")
SECRETS = sorted(name for name, variables in VARIABLES.items() if len(variables) > 1)


def options(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, t.Any]:
    for variables in VARIABLES.values():
        for variable in variables:
            monkeypatch.delenv(variable, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    checked = ArgumentSpecValidator(**CONNECTION.kwargs()).validate({})
    assert checked.error_messages == []
    return t.cast("dict[str, t.Any]", checked.validated_parameters)


@pytest.mark.parametrize("value", ["", " ", "\t", "\n", "False"])
def test_a_field_that_nobody_filled_in_says_nothing(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    nothing = options(monkeypatch)
    untouched = {variable: value for variables in VARIABLES.values() for variable in variables}
    assert options(monkeypatch, **untouched) == nothing
    assert nothing["winrm_validate_certs"] is True
    assert _argspec.surroundings(untouched) == {}


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\t", b"x"])
def test_a_file_without_anything_in_it_says_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, content: bytes
) -> None:
    file = tmp_path / "rendered"
    file.write_bytes(content)
    empty = {VARIABLES[name][0]: str(file) for name in PATHS}
    assert options(monkeypatch, **empty) == options(monkeypatch)
    assert _argspec.surroundings(empty) == {}
    if content != b"x":
        files = {VARIABLES[name][1]: str(file) for name in SECRETS}
        assert options(monkeypatch, **files) == options(monkeypatch)


def test_a_path_that_leads_nowhere_or_to_something_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    there = tmp_path / "operator.pem"
    there.write_text("-----BEGIN", encoding="ascii")
    for path in (there, tmp_path / "gone.pem"):
        assert options(monkeypatch, M365_CERTIFICATE_PATH=str(path))["certificate_path"] == str(path)


def test_a_check_is_switched_off_by_words_that_a_person_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    for word in ("no", "false", "0", "off"):
        assert options(monkeypatch, M365_WINRM_VALIDATE_CERTS=word)["winrm_validate_certs"] is False


def test_whatever_may_hold_a_secret_may_lie_in_a_file() -> None:
    hidden = {name for name, option in CONNECTION.options.items() if option.get("no_log") and name in VARIABLES}
    assert set(SECRETS) == hidden | {"proxy", "winrm_proxy"}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path, name: str) -> None:
    variable, by_file = VARIABLES[name]
    file = tmp_path / "secret"
    file.write_text(" of two words \n", encoding="utf-8")
    assert options(monkeypatch, **{by_file: str(file)})[name] == " of two words "
    assert options(monkeypatch, **{by_file: str(file), variable: "wins"})[name] == "wins"
    assert options(monkeypatch, **{by_file: str(tmp_path / "gone")})[name] is None
    assert _argspec.surroundings({by_file: str(file)}) == {variable: " of two words "}


def test_a_vault_is_reached_by_what_is_said_and_by_one_way(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s.file\n", encoding="utf-8")
    empty = tmp_path / "empty"
    empty.touch()
    untouched = {
        "VAULT_ADDR": "https://vault.contoso.com:8200",
        "VAULT_TOKEN": "",
        "VAULT_TOKEN_FILE": str(empty),
        "VAULT_CACERT": str(empty),
        "VAULT_ROLE_ID": "",
        "VAULT_SECRET_ID_FILE": str(empty),
    }
    found = Settings.of({}, untouched)
    assert (found.ca_path, found.token, found.role_id, found.secret_id) == (None, None, None, None)
    assert Settings.of({}, {**untouched, "VAULT_TOKEN_FILE": str(file)}).token == "s.file"
    role = Settings.of({}, {**untouched, "VAULT_ROLE_ID": "r", "VAULT_SECRET_ID_FILE": str(file)})
    assert (role.role_id, role.secret_id) == ("r", "s.file")
    both = {**untouched, "VAULT_TOKEN": "t", "VAULT_ROLE_ID": "r"}
    with pytest.raises(InvalidInput, match="two ways to sign in to the vault"):
        Settings.of({}, both)
    assert Settings.of({"token": "mine"}, both).role_id is None
    assert Settings.of({"role_id": "mine"}, both).role_id == "mine"
