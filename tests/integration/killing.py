# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant's life in virtual time, with its fax server beside, and every instant of a run at which it may be killed.

What a killed run leaves is what the services keep and what lies in its folder. So a run is watched once: wherever one
of the two has changed, before a request is sent or after its answer came, both are kept. To be killed there is to go on
from there, and two requests between which nothing has changed are one case. (``test_inprocess.py`` kills for real.)
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import pathlib
import re
import typing as t
from dataclasses import dataclass, field

from tests.emulator.hosted import HostedEmulator, Snapshot, start_hosted
from tests.integration.faxside import FaxSide
from tests.integration.inprocess import Killed, Moment, copy_files, play_in_process, put_files
from tests.integration.site import HOST, Run, Site, World

Json = dict[str, t.Any]
MINUTE_S = 60.0
KEPT_BY_SERVICES = ("signIns", "deletedItems", "messages")
"""What is no part of how a tenant is set up."""
FROM_AN_ID = ("SamAccountName",)
"""What a service makes of an id, without looking like one."""


@dataclass(frozen=True)
class Checkpoint:
    """An instant to go on from."""

    what: str
    world: Snapshot
    files: pathlib.Path
    tokens: Json
    next_tick: float
    accesses: t.Sequence[Json]
    """How the fax server is set up."""


@dataclass
class Life:
    """A site and its fax server. ``exposed``: every instant so far at which more was open than declared."""

    site: Site
    emulator: HostedEmulator
    shelf: pathlib.Path
    fax: FaxSide | None = None
    exposed: list[Json] = field(default_factory=list)
    points: list[Checkpoint] = field(default_factory=list)
    _next_tick: float = 0.0
    _shelved: int = 0

    # --- time --------------------------------------------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        """Minute by minute, with the fax server at work at each."""
        end = self.emulator.now().timestamp() + seconds
        if self.fax is not None:
            if not self._next_tick:
                self._next_tick = self.emulator.now().timestamp()
            while self._next_tick <= end:
                self.emulator.pass_time(max(0.0, self._next_tick - self.emulator.now().timestamp()))
                self._next_tick = self.emulator.now().timestamp() + MINUTE_S
                self.fax.tick()
        self.emulator.pass_time(max(0.0, end - self.emulator.now().timestamp()))

    # --- runs --------------------------------------------------------------------------------------------------------

    def play(
        self, playbook: str, *words: str, keep: bool = False, kill: Checkpoint | None = None, **variables: t.Any
    ) -> Run:
        """A run; ``keep``: its instants become ``points``. ``kill``: it ends at this one."""
        if keep:
            self.points = []
        seen: set[str] = set()

        def watch(moment: Moment) -> None:
            what = f"{playbook}: {moment.when} request {moment.number}, {moment.request}"
            if kill is not None and kill.what == what:
                raise Killed
            mark = f"{self.emulator.changes} {digest(self.site.folder)}"
            if keep and mark not in seen:
                seen.add(mark)
                self.points.append(self.checkpoint(what))

        by = {"watch": watch if keep or kill else None, "pass_time": self.pass_time}
        run = self.site.play(playbook, *words, by=by, **variables)
        self.exposed += self.site.exposures()
        if self.fax is None and run.record.get("ids"):
            self.hire(run)
        return run

    def hire(self, run: Run) -> None:
        """The fax administrator types in what the sheet shows; from now on the fax server is at work."""
        profile = self.site.profile
        self.fax = FaxSide(
            self.emulator,
            self.site.world.id,
            run.record["ids"]["application_id"],
            self.secret(),
            self.site.world.fax,
            profile["accesses"],
            self.site.world.control,
        )

    def secret(self) -> str:
        """The newest that the application has got."""
        return self.emulator.issued()[-1]

    # --- instants ----------------------------------------------------------------------------------------------------

    def checkpoint(self, what: str = "") -> Checkpoint:
        self._shelved += 1
        files = self.shelf / str(self._shelved)
        copy_files(self.site.folder, files)
        tokens = dict(self.fax._tokens) if self.fax else {}
        accesses = self.fax.accesses if self.fax else ()
        return Checkpoint(what, self.emulator.snapshot(), files, tokens, self._next_tick, accesses)

    def back_to(self, point: Checkpoint) -> None:
        """As if the run had been killed there. What was exposed or went wrong before is forgotten."""
        self.emulator.restore(point.world)
        put_files(point.files, self.site.folder)
        self.exposed = []
        self._next_tick = point.next_tick
        if self.fax is not None:
            self.fax._tokens = dict(point.tokens)
            self.fax.accesses = point.accesses
            self.fax.problems = []

    # --- what there is -----------------------------------------------------------------------------------------------

    @property
    def record(self) -> Json:
        path = self.site.folder / "handover" / f"{HOST}.json"
        return t.cast("Json", json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

    def state(self) -> Json:
        found = self.emulator.state(self.site.world.id)
        return {name: value for name, value in found.items() if name not in KEPT_BY_SERVICES}

    def wrong(self) -> list[str]:
        """What must not have happened, so far."""
        found = [f"exposed: {json.dumps(one)}" for one in self.exposed[:3]]
        return found + [f"fax: {one}" for one in (self.fax.problems[:3] if self.fax else [])]


def digest(folder: pathlib.Path) -> str:
    """Of every file in a folder, but for Ansible's own home."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).parts[0] != "home":
            found.update(f"{path} ".encode() + path.read_bytes())
    return found.hexdigest()


def alike(value: t.Any) -> str:
    """A state without ids and times, in one order: two that were made apart are compared so."""
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{name}: {alike(value[name])}" for name in sorted(value) if name not in FROM_AN_ID) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(sorted(alike(one) for one in value)) + "]"
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", str(value), flags=re.IGNORECASE)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)?", "<time>", text)
    return re.sub(r"S-1-5-21[\d-]+|(?<![\w-])[\w-]{30,}", "<id>", text)  # may begin and end with a dash


@contextlib.contextmanager
def life(
    folder: pathlib.Path, seed: str, variables: Json, *, profile: str = "realistic", **tenant: t.Any
) -> t.Iterator[Life]:
    """A tenant with nothing of ours in it yet."""
    world = World(seed, principals=20)
    with start_hosted(world.tenants(**tenant), profile=profile) as emulator:
        opted = {"mail2fax_protocols_opt_in": True, **variables}
        site = Site(folder / "site", emulator, world, opted, player=play_in_process)
        yield Life(site, emulator, folder / "shelf")


IN_FORCE_S = 3 * 3600.0


def provisioned(one: Life) -> None:
    """Everything is in force, and the fax server at work."""
    first = one.play("provision")
    assert first.code == 0, first.output
    one.pass_time(IN_FORCE_S)
    second = one.play("provision")
    assert second.record["state"] == "ready", second.output
    assert one.fax is not None
    one.fax.problems = []
    one.fax.tick(wire=True)
    assert one.wrong() == []
