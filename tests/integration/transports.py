# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ways to Exchange, so that a test can go both: Exchange's endpoint itself, or a Windows host beside it."""

from __future__ import annotations

import contextlib
import os
import pathlib
import typing as t

import pytest
import yaml

from tests.emulator import testing
from tests.emulator.testing import Emulator

TRANSPORTS = ("rest", "winrm")
HOST = "mgmt01"
USER, PASSWORD = "CONTOSO\\svc-m365", "Canary-winrm-7f3a!Pa55"
WINDOWS_HOST: dict[str, t.Any] = {"name": HOST, "users": [{"name": USER, "password": PASSWORD}]}


def reached(emulator: Emulator, host: str = HOST, scheme: str = "https", auth: str = "basic") -> dict[str, t.Any]:
    """The connection options that go by way of an emulated Windows host."""
    return {
        "exchange_transport": "winrm",
        "winrm_host": "localhost",
        "winrm_port": emulator.winrm[host][scheme],
        "winrm_scheme": scheme,
        "winrm_auth": auth,
        "winrm_user": USER,
        "winrm_password": PASSWORD,
    }


_BY_OTHERS: set[str] = set()
"""The requests, by their ids, that a test made itself."""


@contextlib.contextmanager
def somebody_else(emulator: Emulator) -> t.Iterator[None]:
    """What is asked of Exchange meanwhile is no module's work, and need not go by way of the host."""
    before = _request_ids(emulator)
    try:
        yield
    finally:
        _BY_OTHERS.update(_request_ids(emulator) - before)


def _request_ids(emulator: Emulator) -> set[str]:
    return {row["client_request_id"] for row in emulator.journal() if "/adminapi/" in row["path"]}


@contextlib.contextmanager
def start_emulator(
    tenants: dict[str, t.Any] | str | os.PathLike[str] = testing.DEMO_TENANT, transport: str = "winrm", **options: t.Any
) -> t.Iterator[Emulator]:
    """An emulator whose tasks go by ``transport``; with winrm it ends with no shell left open.

    ``powershell`` is winrm with a real PowerShell on the host.
    """
    if transport == "rest":
        with testing.start_emulator(tenants, **options) as emulator:
            yield emulator
        return
    if not isinstance(tenants, dict):
        tenants = t.cast("dict[str, t.Any]", yaml.safe_load(pathlib.Path(tenants).read_text(encoding="utf-8")))
    own = {**WINDOWS_HOST, "process": "powershell"} if transport == "powershell" else WINDOWS_HOST
    with testing.start_emulator({"windows_hosts": [own], **tenants}, **options) as emulator:
        emulator.connection = reached(emulator)
        past_the_host: list[str] = []

        def opened() -> bool:
            return all(host["opened"] for host in emulator.windows_hosts().values())

        def look() -> None:
            """Exchange's endpoint is asked by the host's module; before the host was, nobody else may have."""
            if not opened():
                rows = [row for row in emulator.journal() if "/adminapi/" in row["path"]]
                past_the_host.extend(row["path"] for row in rows if row["client_request_id"] not in _BY_OTHERS)

        forget = emulator.clear_journal

        def clear_journal() -> None:
            look()
            forget()

        setattr(emulator, "clear_journal", clear_journal)  # noqa: B010 - a method of this one emulator
        try:
            yield emulator
        finally:
            look()
            hosts = emulator.windows_hosts()
            left = {name: (host["open_shells"], host["running"]) for name, host in hosts.items()}
            assert past_the_host == [], "something did not go by way of the Windows host"
            assert left == dict.fromkeys(hosts, (0, 0)), "shells were left open"


def round_trips(emulator: Emulator, host: str = HOST) -> dict[str, int]:
    """WS-Man requests by action since the journal was cleared."""
    counts: dict[str, int] = {}
    for row in emulator.journal():
        if row["host"] == host and row["path"].startswith("/wsman/"):
            action = row["path"].rpartition("/")[2]
            counts[action] = counts.get(action, 0) + 1
    return counts


def emulators(tenants: dict[str, t.Any]) -> tuple[t.Any, t.Any, t.Any, t.Any]:
    """The fixtures ``running``, ``quick``, ``both`` and ``emulator`` of a test file, which assigns them by these names.

    ``both`` is a fresh emulator, by each transport in turn; ``emulator`` is one by REST, for what no transport changes.
    """

    @pytest.fixture(scope="module", params=TRANSPORTS)
    def running(request: pytest.FixtureRequest) -> t.Iterator[Emulator]:
        with start_emulator(tenants, request.param) as emulator:
            yield emulator

    @pytest.fixture(scope="module")
    def quick() -> t.Iterator[Emulator]:
        with start_emulator(tenants, "rest") as emulator:
            yield emulator

    @pytest.fixture
    def both(running: Emulator) -> Emulator:
        return running.reset()

    @pytest.fixture
    def emulator(quick: Emulator) -> Emulator:
        return quick.reset()

    return running, quick, both, emulator
