# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator in a thread of this very process: asked without a socket, in virtual time, put back to any instant.

The same services as ever; only what carries a request to them is left out. Whoever wants a socket has one too: the
proxy, the mail listeners and the control API are there. Time stands still but for what ``pass_time`` and ``clock`` add,
so that two runs that ask the same get the same.

with start_hosted({"tenants": [...]}, profile="realistic") as emulator:
    before = emulator.snapshot()
    emulator.ask("GET", "https://graph.microsoft.com/v1.0/organization", {"authorization": "Bearer ..."})
    emulator.restore(before)
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import datetime as dt
import json
import pathlib
import pickle
import tempfile
import threading
import typing as t
import urllib.parse
from dataclasses import dataclass

import yaml
from starlette.responses import Response

from . import control
from .exchange_rbac import ANSWERS
from .faults import ConnectionDropped
from .model import Call, Clock, Document
from .server import Services, response_of, serve
from .testing import DEMO_TENANT, Emulator, EmulatorError

T = t.TypeVar("T")
_NO_CHANGE = ("sign_ins", "mail", ANSWERS)


class StillClock(Clock):
    """Stands still; only what is added to it passes."""

    def __init__(self, start: dt.datetime) -> None:
        super().__init__()
        self._start = start

    def now(self) -> dt.datetime:
        return self._start + self.offset


@dataclass(frozen=True)
class Snapshot:
    """A world as it was at an instant: what every service kept, every token that was issued, the time and the dice."""

    documents: bytes
    tokens: tuple[Document, ...]
    issued: tuple[str, ...]
    offset: dt.timedelta
    dice: t.Any
    last_writes: dict[str, float]


class HostedEmulator(Emulator):
    """A running emulator that shares the process with its tests. Everything of ``Emulator`` holds."""

    def __init__(self, services: Services, ready: Document, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(ready, t.cast("t.Any", None))
        self._services, self._loop = services, loop
        self.changes = 0
        """How often the tenants were changed so far. Sign-ins, mail, and what a cache remembers do not count."""
        services.world.listeners.append(self._changed)

    def _changed(self, tenant: str, collection: str, key: str, document: Document | None) -> None:
        if collection != "messages" and key not in _NO_CHANGE:
            self.changes += 1

    def inside(self, work: t.Callable[[Services], T]) -> T:
        """What ``work`` makes of the services, while they do nothing else."""

        async def at_work() -> T:
            return work(self._services)

        return asyncio.run_coroutine_threadsafe(at_work(), self._loop).result()

    def ask(self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None = None) -> Response:
        """One request as if it had come by a socket. Raises ConnectionDropped where a fault ends the connection."""
        parts = urllib.parse.urlsplit(url)
        call = Call(
            host=parts.hostname or "",
            method=method,
            path=parts.path or "/",
            query_string=parts.query,
            headers={name.lower(): value for name, value in headers.items()},
            body=body or b"",
        )

        async def answer() -> Response:
            found = await self._services.perform(call)
            return response_of(call, found, self._services.world.clock.now())

        return asyncio.run_coroutine_threadsafe(answer(), self._loop).result()

    # --- time --------------------------------------------------------------------------------------------------------

    def now(self) -> dt.datetime:
        return self._services.world.clock.now()

    def pass_time(self, seconds: float) -> None:
        """What a request, or a wait, takes."""
        self._services.world.clock.advance(seconds=seconds)

    # --- instants ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        def taken(services: Services) -> Snapshot:
            world = services.world
            kept = {
                tenant.id: {collection.name: dict(collection) for collection in tenant.collections()}
                for tenant in world.tenants.values()
            }
            return Snapshot(
                pickle.dumps(kept, pickle.HIGHEST_PROTOCOL),
                tuple(world.tokens),
                tuple(world.issued),
                world.clock.offset,
                world.dice.getstate(),
                dict(services.graph.last_writes),
            )

        return self.inside(taken)

    def restore(self, snapshot: Snapshot) -> None:
        """Back to an instant; journal, exposures and faults begin anew."""

        def put_back(services: Services) -> None:
            world = services.world
            services.journal.clear()
            services.faults.replace([])
            for tenant_id, collections in pickle.loads(snapshot.documents).items():
                for collection in world.tenants[tenant_id].collections():
                    dict.clear(collection)
                    dict.update(collection, collections[collection.name])
            world.tokens[:] = snapshot.tokens
            world.issued[:] = snapshot.issued
            world.clock.offset = snapshot.offset
            world.dice.setstate(snapshot.dice)
            services.graph.last_writes.clear()
            services.graph.last_writes.update(snapshot.last_writes)

        self.inside(put_back)
        self.changes += 1

    # --- what the control API tells, without a socket ----------------------------------------------------------------

    def journal(self) -> list[dict[str, t.Any]]:
        return self.inside(lambda services: copy.deepcopy(services.journal.rows))

    def clear_journal(self) -> None:
        self.inside(lambda services: services.journal.clear())

    def state(self, tenant: str | None = None) -> dict[str, t.Any]:
        def told(services: Services) -> Document:
            return {tid: control.state_of(one) for tid, one in services.world.tenants.items() if tenant in (None, tid)}

        found = json.loads(json.dumps(self.inside(told)))
        return t.cast("dict[str, t.Any]", found[tenant] if tenant else {"tenants": found})

    def issued(self) -> list[str]:
        return self.inside(lambda services: list(services.world.issued))

    def exposures(
        self, *, app_id: str | None = None, declared: t.Sequence[str] | None = None
    ) -> list[dict[str, t.Any]]:
        return self.inside(lambda services: services.journal.exposures(app_id, declared))

    def clock(self, days: float = 0, *, seconds: float = 0) -> None:
        self.inside(lambda services: services.world.clock.advance(days=days, seconds=seconds))

    def app_token(self, tenant: str, app_id: str, resource: str = "https://outlook.office365.com") -> str:
        def made(services: Services) -> str | None:
            found = services.world.tenant(tenant)
            return services.entra.token_of(found, app_id, resource) if found else None

        token = self.inside(made)
        if token is None:
            raise EmulatorError("there is no such tenant or application, or it gets no token")
        return token

    def reset(self) -> Emulator:
        self.inside(lambda services: services.reset())
        return self


@contextlib.contextmanager
def start_hosted(
    tenants: dict[str, t.Any] | str = str(DEMO_TENANT), *, profile: str = "calm", start: dt.datetime | None = None
) -> t.Iterator[HostedEmulator]:
    """An emulator in a thread, for as long as the block lasts. ``start``: the instant at which its time begins.

    Raises EmulatorError when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="m365-emulator-hosted-") as folder:
        path = pathlib.Path(folder, "tenants.yml")
        text = yaml.safe_dump(tenants) if isinstance(tenants, dict) else pathlib.Path(tenants).read_text("utf-8")
        path.write_text(text, encoding="utf-8")
        ready = threading.Event()
        found: dict[str, t.Any] = {}

        def heard(services: Services, told: Document, stop: asyncio.Event) -> None:
            begins = start or dt.datetime.now(dt.UTC).replace(microsecond=0)
            services.world.clock = StillClock(begins)
            found.update(services=services, told=told, stop=stop, loop=asyncio.get_running_loop())
            ready.set()

        def work() -> None:
            try:
                asyncio.run(serve(str(path), profile=profile, hosted=heard))
            except BaseException as exc:
                found["error"] = exc
            finally:
                ready.set()

        thread = threading.Thread(target=work, name="m365-emulator", daemon=True)
        thread.start()
        ready.wait(300)
        if "services" not in found:
            raise EmulatorError(f"the emulator did not start: {found.get('error')!r}")
        try:
            yield HostedEmulator(found["services"], found["told"], found["loop"])
        finally:
            found["loop"].call_soon_threadsafe(found["stop"].set)
            thread.join(10)


__all__ = ["ConnectionDropped", "HostedEmulator", "Snapshot", "StillClock", "start_hosted"]
