# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One table: which powers the operator needs for which step, the least first, and who can give them.

The preflight compares it with the operator's own tokens; the documentation prints it.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _steps
from ansible_collections.mail2fax.m365.plugins.module_utils._steps import Need

GRAPH, EXCHANGE, DIRECTORY = _steps.GRAPH, _steps.EXCHANGE, _steps.DIRECTORY

DIRECTORY_ROLES: t.Mapping[str, str] = {
    "62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
    "29232cdf-9323-42fd-ade2-1d097af3e4de": "Exchange Administrator",
    "31392ffb-586c-42d1-9346-e59415a2cc4e": "Exchange Recipient Administrator",
    "f2ef992c-3afb-46b9-b7cf-a126ee74c451": "Global Reader",
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
    "158c047a-c907-4556-b7ef-446551a6b5f7": "Cloud Application Administrator",
    "e8611ab8-c189-46e8-94e1-60213ab1f814": "Privileged Role Administrator",
}
"""Template id -> name, of the directory roles that matter here."""

EVERY_MEMBER = "0997a1d0-0d1d-4acb-b408-d5ca73121e90"
"""Stands in the ``wids`` of every token and means nothing."""

MANAGE_AS_APP = _steps.MANAGE_AS_APP
EXCHANGE_READERS = (
    "Exchange Administrator",
    "Global Administrator",
    "Exchange Recipient Administrator",
    "Global Reader",
)
"""Directory roles with which Exchange answers at all."""

WHO: t.Mapping[str, str] = {
    GRAPH: "a Privileged Role Administrator (admin consent to an application permission of Microsoft Graph)",
    EXCHANGE: "a Cloud Application Administrator or Privileged Role Administrator (admin consent)",
    DIRECTORY: "a Privileged Role Administrator (assign the role to the operator's service principal)",
}
_TITLES: t.Mapping[str, str] = {
    GRAPH: "the application permission {} of Microsoft Graph",
    EXCHANGE: "the application permission {} of Office 365 Exchange Online",
    DIRECTORY: "the Entra role {}",
}


def who(need: Need) -> str:
    """Who can give it."""
    return WHO[need.kind]


def in_words(need: Need) -> str:
    return _TITLES[need.kind].format(" or ".join(need.any_of))


@dataclass(frozen=True)
class Power:
    """One step, or one run as a whole, and everything it needs."""

    title: str
    needs: tuple[Need, ...]


_ROWS: tuple[_steps.Step | _steps.Run, ...] = (*_steps.STEPS.values(), *_steps.RUNS.values())
POWERS: t.Mapping[str, Power] = {row.key: Power(row.title, row.needs) for row in _ROWS if row.needs}
"""By key, in the order of the chain, then runs as a whole."""

WORDS = (*POWERS, *(word for word, key in _steps.FORMERLY.items() if key in POWERS))
"""What may be asked for: the keys, and the words of 0.1.0."""


@dataclass(frozen=True)
class Missing:
    """A need that is not met, with every asked step that has it."""

    need: Need
    steps: tuple[str, ...]

    @property
    def permission(self) -> str:
        return self.need.any_of[0]


def directory_roles(wids: t.Iterable[str]) -> list[str]:
    """The names of directory roles, sorted; an id that is not in the table stays an id."""
    return sorted(DIRECTORY_ROLES.get(wid, wid) for wid in wids if wid != EVERY_MEMBER)


def missing(
    steps: t.Iterable[str],
    *,
    graph: t.Collection[str] | None,
    exchange: t.Collection[str] | None,
    roles: t.Collection[str] | None,
    only_for: t.Collection[str] | None = None,
    by_hand: t.Collection[str] = (),
) -> list[Missing]:
    """What ``steps`` (keys, or words of 0.1.0) need and the operator lacks, in the table's order.

    A missing need names steps by the words they were asked by.

    ``graph`` and ``exchange`` are the roles in the operator's tokens, ``roles`` names of directory roles; None means
    that they cannot be known, and then nothing of that kind is missing. ``only_for``: what of ``_steps.ONLY_FOR`` is to
    be done; None: permissions of both kinds are granted. ``by_hand``: keys of steps that a person does, so that the
    operator only looks.
    """
    held = {GRAPH: graph, EXCHANGE: exchange, DIRECTORY: roles}
    done = (_steps.DELEGATED, _steps.APPLICATION) if only_for is None else only_for
    lacking: dict[Need, list[str]] = {}
    asked = {_steps.key(word): word for word in steps}
    for key, power in POWERS.items():
        if key not in asked:
            continue
        for need in _steps.STEPS[key].looks if key in by_hand else power.needs:
            have = held[need.kind]
            if have is None or (need.only_for is not None and need.only_for not in done):
                continue
            if not set(need.any_of) & set(have):
                lacking.setdefault(need, []).append(asked[key])
    return [Missing(need, tuple(wanting)) for need, wanting in lacking.items()]
