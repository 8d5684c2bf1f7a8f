# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The browser that the pages are looked at with is found, or got, or asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs import browser

APT_GET = """#!/bin/sh
echo "$@" >>"${0%/*}/asked"
case $1 in
  update) echo "an index is out of reach"; exit 100 ;;
  install) INSTALL ;;
esac
"""


def machine(folder: Path, monkeypatch: pytest.MonkeyPatch, *, install: str, user: int) -> None:
    """A machine without a browser, on which apt-get does this."""
    program = folder / "apt-get"
    program.write_text(APT_GET.replace("INSTALL", install), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(os, "geteuid", lambda: user)


def test_one_that_is_there_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, install="exit 1", user=0)
    (tmp_path / "apt-get").rename(tmp_path / "chromium")
    assert browser.require() == str(tmp_path / "chromium")
    assert not (tmp_path / "asked").exists()


def test_root_gets_debians(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, install='/bin/cp "$0" "${0%/*}/chromium"', user=0)
    assert browser.require() == str(tmp_path / "chromium")
    update, install = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert update.startswith("update ")
    assert install.startswith("install ")
    assert " chromium" in install


def test_where_it_cannot_be_got_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, install='echo "Unable to locate package"; exit 100', user=0)
    with pytest.raises(browser.BrowserError, match="apt-get install chromium") as raised:
        browser.require()
    assert "Unable to locate package" in str(raised.value)


def test_others_than_root_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(tmp_path, monkeypatch, install="exit 1", user=1000)
    with pytest.raises(browser.BrowserError, match="apt-get install chromium"):
        browser.require()
    assert not (tmp_path / "asked").exists()
