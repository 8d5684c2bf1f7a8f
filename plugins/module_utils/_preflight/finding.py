# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a topic found: in words for people, and as data for whoever decides by it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import listed

WARNING = "warning"
BLOCKED = "blocked"

EXCHANGE_ADMIN = "an Exchange Administrator"

SHOWN = 10
"""How many of a long list a sentence names."""

LISTED = 100
"""How many of a long list a result holds."""


@dataclass(frozen=True)
class Finding:
    """``what`` was looked at, what was ``found``, what to do and who can. ``severity`` is blocked or warning.

    ``step`` is a key of ``_steps.STEPS``, or the option that it is about. ``about`` holds as data what the words name,
    ``options`` the options that decide.
    """

    severity: str
    step: str
    what: str
    found: str
    cure: str = ""
    who: str = ""
    about: t.Mapping[str, t.Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.what}: {self.found}"

    def sentence(self) -> str:
        return f"{self}." + (f" {self.cure[:1].upper()}{self.cure[1:]}." if self.cure else "")

    def named(self, step: str) -> Finding:
        """The same about a step by another word."""
        return replace(self, step=step)

    def as_dict(self) -> Json:
        return {
            "severity": self.severity,
            "step": self.step,
            "what": self.what,
            "found": self.found,
            "cure": self.cure or None,
            "who": self.who or None,
            "about": dict(self.about),
        }


def stops(step: str, what: str, found: str, cure: str = "", who: str = "", **about: t.Any) -> Finding:
    return Finding(BLOCKED, step, what, found, cure, who, about)


def notes(step: str, what: str, found: str, cure: str = "", who: str = "", **about: t.Any) -> Finding:
    return Finding(WARNING, step, what, found, cure, who, about)


def refused(step: str, what: str, reason: Blocked, who: str = "", **about: t.Any) -> Finding:
    """What would stop a step, as the step itself says it."""
    found = stops(step, what, reason.message, reason.cure, reason.who or who, **about)
    return replace(found, options=reason.options)


@dataclass(frozen=True)
class Judged:
    """What a topic makes of its facts: ``shown`` in the result, what speaks against it, what is still to come."""

    shown: t.Any = None
    findings: tuple[Finding, ...] = ()
    pending: str | None = None


def few(items: t.Iterable[t.Any], separator: str = ", ") -> str:
    """A list in a sentence: the first ones, and how many more there are."""
    return listed(items, SHOWN, separator=separator)


def stop(grave: t.Sequence[Finding]) -> Blocked:
    """One reason out of all of them."""
    options = tuple(dict.fromkeys(option for finding in grave for option in finding.options))
    if len(grave) == 1:
        return Blocked(
            str(grave[0]),
            cure=grave[0].cure,
            who=grave[0].who,
            details={"findings": [grave[0].as_dict()]},
            options=options,
        )
    shown = grave[:SHOWN]
    numbered = few((f"({number}) {finding}" for number, finding in enumerate(grave, 1)), "; ")
    cures = [f"({number}) {finding.cure}" for number, finding in enumerate(shown, 1) if finding.cure]
    return Blocked(
        f"{len(grave)} things stand in the way: {numbered}",
        cure="; ".join(cures),
        who=", ".join(dict.fromkeys(finding.who for finding in grave if finding.who)),
        details={"findings": [finding.as_dict() for finding in grave[:LISTED]]},
        options=options,
    )
