# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""application_reach_info in this process against an emulator in it, and the emulator's own answer in the same words."""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.mail2fax.m365.plugins.module_utils import _module
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Request, Response
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Clock
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.emulator import reach_whole
from tests.emulator.hosted import ConnectionDropped, HostedEmulator
from tests.integration.harness import door
from tests.integration.reach_tenants import OPERATOR_ID

Json = dict[str, t.Any]


class NoWait(Clock):
    """Time passes by what is slept, and in no other way."""

    def __init__(self, per_look_s: float = 0.0) -> None:
        self._passed, self._per_look_s = 0.0, per_look_s

    def monotonic(self) -> float:
        self._passed += self._per_look_s
        return self._passed

    def sleep(self, seconds: float) -> None:
        self._passed += seconds


class Direct:
    """Stands for the real network."""

    def __init__(self, emulator: HostedEmulator) -> None:
        self._emulator = emulator

    def send(self, request: Request, timeout_s: float) -> Response:
        try:
            found = self._emulator.ask(request.method, request.url, request.headers, request.body)
        except ConnectionDropped:
            raise AnswerLost(f"the connection to {request.host} ended before the answer came") from None
        headers = {name.lower(): value for name, value in found.headers.items()}
        return Response(found.status_code, headers, bytes(found.body))


def reach(
    emulator: HostedEmulator, tenant: str, *, clock: Clock | None = None, hears: t.Any = None, **params: t.Any
) -> Json:
    """The module's result for a tenant of ``reach_tenants``. ``hears`` is told what is waited for."""
    entry = door("application_reach_info")
    given = {"tenant": tenant, "client_id": OPERATOR_ID, "client_secret": "operator-secret", "patience": 5, **params}
    checked = ArgumentSpecValidator(**entry.argument_spec.kwargs()).validate(given)
    assert not checked.error_messages, checked.error_messages
    options = checked.validated_parameters

    def opened() -> Tenant:
        return Tenant(
            options,
            environment={},
            transport=Direct(emulator),
            clock=clock or NoWait(),
            told=hears or (lambda _seconds, _what: None),
        )

    return _module.execute(entry, Task(options), opened)


def oracle(emulator: HostedEmulator, tenant: str) -> dict[str, Json]:
    """By application id."""
    found = emulator.inside(lambda services: reach_whole.whole(services.world.tenants[tenant]))
    return {one["appId"]: one for one in found}


NOBODY: Json = {"mailboxes": [], "everything": False, "everywhere": [], "ways": {}, "powers": [], "asleep": []}
"""What the oracle has of an application of which it tells nothing."""


def sets(app: Json, boxes: t.Collection[str]) -> Json:
    """What the module tells of an application, in the oracle's words. ``boxes``: all mailboxes of the tenant."""
    opened = {row["address"] for row in app["mailboxes"]}
    if app["everything"] and app["complete"]:
        opened |= set(boxes) - set(app["closed"])
    everywhere = {_way(way) for way in app["everything_ways"] if way["alive"]}
    ways = {
        row["address"]: sorted({_way(way) for way in row["ways"] if way["alive"]} - everywhere)
        for row in sorted(app["mailboxes"], key=lambda row: str(row["address"]))
    }
    return {
        "mailboxes": sorted(opened),
        "everything": app["everything"],
        "everywhere": sorted(everywhere),
        "ways": {address: some for address, some in ways.items() if some},
        "powers": sorted({(_plain(one["permission"]), one["opens"]) for one in app["powers"]}),
        "asleep": sorted(row["address"] for row in app["dormant"]),
    }


def _way(way: Json) -> tuple[str, str, str]:
    return way["protocol"], way["permission"], way["model"]


def _plain(permission: str) -> str:
    return permission.partition(" with ")[0].partition(" (role group")[0]


def told_by(truth: Json) -> Json:
    """What the oracle tells, in the same shape."""
    everywhere = set(map(tuple, truth["everywhere"]))
    ways = {address: sorted(set(map(tuple, some)) - everywhere) for address, some in sorted(truth["ways"].items())}
    return {
        "mailboxes": truth["mailboxes"],
        "everything": truth["everything"],
        "everywhere": sorted(everywhere),
        "ways": {address: some for address, some in ways.items() if some},
        "powers": sorted(map(tuple, truth["powers"])),
        "asleep": truth["asleep"],
    }


def is_within(some: Json, truth: Json) -> bool:
    """Whether no more is told than there is."""
    everywhere = set(truth["everywhere"])
    return (
        set(some["mailboxes"]) <= set(truth["mailboxes"])
        and some["everything"] <= truth["everything"]
        and set(some["everywhere"]) <= everywhere
        and all(set(ways) <= {*truth["ways"].get(address, ()), *everywhere} for address, ways in some["ways"].items())
        and set(some["powers"]) <= set(truth["powers"])
    )
