# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A migration as people go through it: run after run, a wait where a run says so, and a person where one is awaited."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile
from tests.integration.killing import Checkpoint, Life, alike
from tests.integration.site import Run

Json = dict[str, t.Any]
A, B, C = "application_access_policy", "application_role", "mailbox_permission"
PATHS: dict[str, tuple[Json, t.Any]] = {
    "A to B, EWS": ({}, {"scoping": B}),
    "A to B, EWS to Graph": ({}, "graph_mail"),
    "A to B, Graph": ({"mail2fax_profile": "graph_mail", "mail2fax_scoping": A}, {"scoping": B}),
    "A to C, EWS to IMAP and SMTP": ({}, "imagicle_imap_smtp"),
    "A to B and C": ({}, "imap_smtp_least"),
    "B to C, SMTP": (
        {"mail2fax_profile": "imagicle_imap_smtp", "mail2fax_scoping": {"smtp": B}},
        {"scoping": {"smtp": C}},
    ),
    "C to B, SMTP": ({"mail2fax_profile": "imagicle_imap_smtp"}, {"scoping": {"smtp": B}}),
    "B to C, Graph to IMAP and SMTP": ({"mail2fax_profile": "graph_mail"}, "imagicle_imap_smtp"),
    "another group, A": ({}, {"group_alias": "fax.moved", "group_name": "Fax, moved"}),
    "another group, B": ({"mail2fax_profile": "graph_mail"}, {"group_alias": "fax.moved", "group_name": "Fax, moved"}),
}
"""What an inventory says, and where the migration leads to."""
RUNS = 14
"""More than any migration needs."""
BACK = ("prepare", "prove", "hand_over", "confirm")
"""The phases from which a way leads back."""


@dataclass
class Stage:
    """One run of a migration: where it began, where it may be killed, where it ended."""

    begin: Checkpoint
    points: list[Checkpoint]
    end: Checkpoint
    phase: str
    state: dict[str, str]
    """By kind of thing, without ids and times."""
    run: Run


def shape(one: Life) -> dict[str, str]:
    """A tenant as it is compared with itself in another life."""
    return {kind: alike(value) for kind, value in one.state().items()}


class Stuck(AssertionError):
    """A migration does not go on as it should."""


@dataclass
class Move:
    """A migration of one tenant. ``life`` has been provisioned, and its fax server is at work by the old way."""

    life: Life
    to: t.Any
    variables: Json

    @property
    def migration(self) -> Json:
        return t.cast("Json", self.life.record.get("migration") or {})

    @property
    def phase(self) -> str:
        return str(self.migration.get("phase") or "")

    def accesses(self, way: str) -> list[Json]:
        """Of ``from`` or ``to``, as the record has them."""
        told = self.migration[way]
        return t.cast("list[Json]", _profile.load(told["profile"], scoping=told["scoping"])["accesses"])

    def run(self, *, keep: bool = False, kill: Checkpoint | None = None, **variables: t.Any) -> Run:
        said = {"mail2fax_migrate_to": self.to, **self.variables, **variables}
        return self.life.play("migrate", keep=keep, kill=kill, **said)

    def set_up(self, way: str) -> None:
        """The fax administrator does what the sheet says."""
        assert self.life.fax is not None
        self.life.fax.accesses = self.accesses(way)

    def wait(self) -> None:
        """Until the time that the record tells, and a minute; without one, for a quarter of an hour."""
        until = self.migration.get("until") or self.life.record.get("pending_until")
        seconds = 900.0
        if until:
            told = dt.datetime.fromisoformat(str(until).replace("Z", "+00:00"))
            seconds = max((told - self.life.emulator.now()).total_seconds(), 0.0) + 60.0
        self.life.pass_time(seconds)

    def step(self, *, keep: bool = False) -> Run:
        """What comes next: the person's part where one is awaited, then a run. Raises Stuck where it is red."""
        said: Json = {}
        if self.phase == "confirm" and not self.migration.get("rolling"):
            self.set_up("to")
            self.life.pass_time(600.0)
            said = {"mail2fax_migrate_confirm": True}
        run = self.run(keep=keep, **said)
        if run.code:
            raise Stuck(run.output[-6000:])
        return run

    def go_on(self, *, keep: bool = False) -> list[Stage]:
        """Run after run until it is done. Raises Stuck."""
        stages = []
        for _run in range(RUNS):
            begin = self.life.checkpoint("between two runs")
            run = self.step(keep=keep)
            end = self.life.checkpoint(f"after {self.phase}")
            stages.append(Stage(begin, self.life.points, end, self.phase, shape(self.life), run))
            self.life.points = []
            if self.phase == "done":
                return stages
            self.wait()
        raise Stuck(f"after {RUNS} runs it is in {self.phase}: {self.migration.get('awaits')}\n{run.output[-3000:]}")

    def roll_back(self, *, keep: bool = False) -> Run:
        """Run after run until nothing of the migration is left; ``keep``: the instants of the first. Raises Stuck."""
        if self.migration:
            self.set_up("from")
        for number in range(RUNS):
            run = self.run(keep=keep and number == 0, mail2fax_migrate_rollback=True)
            if run.code:
                raise Stuck(run.output[-6000:])
            if not self.migration:
                return run
            self.wait()
        raise Stuck(f"after {RUNS} runs it is still in {self.phase}\n{run.output[-3000:]}")
