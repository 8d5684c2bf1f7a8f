# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every test runs alike on every machine: no stray settings, no network but loopback, nothing in the user's home."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import sample
from tests.tools import layout

_REAL_CONNECT = socket.socket.connect
_REAL_CONNECT_EX = socket.socket.connect_ex
_REAL_GETADDRINFO = socket.getaddrinfo


class NetworkRefused(RuntimeError):
    """A test reached for another host. (No OSError: a client under test would take that for an outage and retry.)"""


def _refuse_others(host: object) -> None:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost"):
        return
    try:
        if ipaddress.ip_address(str(host).partition("%")[0]).is_loopback:
            return
    except ValueError:
        pass
    raise NetworkRefused(f"a test reached for {host}; only loopback is allowed")


def _connect(self: socket.socket, address: Any) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6):
        _refuse_others(address[0])
    _REAL_CONNECT(self, address)


def _connect_ex(self: socket.socket, address: Any) -> int:
    if self.family in (socket.AF_INET, socket.AF_INET6):
        _refuse_others(address[0])
    return _REAL_CONNECT_EX(self, address)


def _getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
    _refuse_others(host)
    return _REAL_GETADDRINFO(host, *arguments, **options)


def pytest_configure(config: pytest.Config) -> None:
    """Shut the network and set an environment that does not depend on who runs the tests."""
    for name in list(os.environ):
        if name.startswith(("ANSIBLE_", "M365_", "GIT_")) or name.upper().endswith("_PROXY"):
            del os.environ[name]
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        os.environ.pop(name, None)
    home = layout.BUILD / "home"
    home.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        HOME=str(home),
        ANSIBLE_HOME=str(home / ".ansible"),
        ANSIBLE_COLLECTIONS_PATH=str(layout.live()),
        ANSIBLE_PYTHON_INTERPRETER=sys.executable,
        PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        # What a test starts finds the emulator (tests) and the collection, too.
        PYTHONPATH=f"{layout.ROOT}{os.pathsep}{layout.BUILD}",
    )
    socket.socket.connect = _connect  # type: ignore[method-assign]
    socket.socket.connect_ex = _connect_ex  # type: ignore[method-assign]
    socket.getaddrinfo = _getaddrinfo


TURNS: Mapping[str, int] = {
    "guides as they are typed": 1,
    "whole playbooks": 1,
    "what others have": 3,
    "a real PowerShell": 2,
    "lives of a tenant": 2,
    "lives of a secret": 3,
    "many hosts": 2,
    "rings by strategy": 1,
    "rules of a fleet": 2,
    "records": 2,
    "runs in a test's own process": 1,
    "typing errors": 2,
    "stores that refuse": 14,
    "connections that are cut": 6,
    "a Windows host at length": 1,
}
"""Groups of dear stories, and how many of each one commit tells."""


TWINS = 3
"""Tests that are told by each transport: one of so many is told by way of a Windows host as well."""


def _without_their_twins(items: list[pytest.Item]) -> set[pytest.Item]:
    """Of the tests that each transport tells in turn, those that this commit tells by REST alone."""
    twins: dict[str, list[pytest.Item]] = {}
    for item in items:
        if getattr(getattr(item, "callspec", None), "params", {}).get("running") == "winrm":
            twins.setdefault(item.nodeid.partition("::")[0], []).append(item)
    left: set[pytest.Item] = set()
    for name, tests in twins.items():
        left |= {*tests} - {*sample.sample(tests, -(-len(tests) // TWINS), of=name)}
    return left


def _not_their_turn(items: list[pytest.Item]) -> set[pytest.Item]:
    """Of each group the stories that this commit leaves to others. What somebody runs by name has only itself."""
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        mark = item.get_closest_marker("turn")
        if mark is not None:
            groups.setdefault(mark.args[0], []).append(item)
    left: set[pytest.Item] = set()
    for name, stories in groups.items():
        ordered = sorted(stories, key=lambda item: item.nodeid)
        left |= {*stories} - {*sample.sample(ordered, TURNS[name], of=name)}
    return left


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked ``soak`` is left to ``make soak``, and of what is marked ``turn`` a part."""
    if sample.SOAKING:
        return
    left = {item for item in items if item.get_closest_marker("soak")}
    left |= _not_their_turn([item for item in items if item not in left])
    left |= _without_their_twins([item for item in items if item not in left])
    if left:
        config.hook.pytest_deselected(items=[item for item in items if item in left])
        items[:] = [item for item in items if item not in left]
