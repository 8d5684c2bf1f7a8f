# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What people are told about mail clients: ``clients.yml``, whose head explains the fields, and the code's table."""

from __future__ import annotations

import functools
import pathlib
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._clients import CLIENTS
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _own_files

FILE = pathlib.Path(__file__).with_name("clients.yml")


@dataclass(frozen=True)
class Hint:
    """One thing that the person at the fax server has to know; ``protocols`` empty: whatever the protocol."""

    say: str
    protocols: tuple[str, ...] = ()


@dataclass(frozen=True)
class Words:
    """A client in words, each of them reStructuredText but ``sheet``, which is plain."""

    title: str
    version: str
    seen: str
    day: str
    proxy: str
    refused: str
    shut: str
    again: str
    sheet: tuple[Hint, ...] = ()


@functools.cache
def words() -> dict[str, Words]:
    """By the client's name, in the order of the file. Raises ValueError where it and the code's table differ."""
    rows: dict[str, dict[str, t.Any]] = _own_files.loaded(FILE)
    if set(rows) != set(CLIENTS):
        raise ValueError(f"{FILE.name}: {', '.join(sorted(set(rows) ^ set(CLIENTS)))}")
    return {
        name: Words(
            **{**row, "sheet": tuple(Hint(one["say"], tuple(one.get("for", ()))) for one in row.get("sheet", ()))}
        )
        for name, row in rows.items()
    }


def hints(client: str, accesses: t.Sequence[t.Mapping[str, t.Any]], mailboxes: t.Collection[str]) -> list[str]:
    """The sheet's lines about a client. ``accesses``: those of the profile, each with ``protocol`` and ``scoping``.
    Raises KeyError for a client not known here."""
    facts, told = CLIENTS[client], words()[client]
    lines: list[str] = []
    protocols = list(dict.fromkeys(access["protocol"] for access in accesses))
    spoken = [one for one in protocols if one in facts.sends]
    unspoken = [one for one in protocols if one not in facts.sends]
    if unspoken:
        lines.append(f"It is not known to sign in to {_listed(unspoken)} with a token; another program has to do that.")
    longest = min((bound for box in mailboxes if (bound := facts.longest(box)) is not None), default=facts.longest(""))
    if spoken and longest is not None and longest < WORTH_TELLING:
        lines.append(
            f"It cannot send a token of more than about {longest:,} characters. Entra's have 1,500 to 3,000, and more "
            "with many roles or groups: take everything off the application that the fax server does not need."
        )
    lines += [hint.say for hint in told.sheet if not hint.protocols or set(hint.protocols) & set(spoken)]
    return lines + _when([access for access in accesses if access["protocol"] in facts.sends])


def _when(accesses: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """When to connect, and what to do where that was too early."""
    lines = []
    for scoping in dict.fromkeys(access["scoping"] for access in accesses):
        called = _listed(dict.fromkeys(access["protocol"] for access in accesses if access["scoping"] == scoping))
        if scoping in EARLY:
            hours = MODELS[scoping].in_force_after.total_seconds() / 3600
            upto = "an hour" if hours == 1 else f"{hours:g} hours"
            lines.append(
                f"{called}: connect when this sheet says READY (up to {upto} after a change). {EARLY[scoping]}"
            )
    return lines


EARLY: t.Mapping[str, str] = {
    "application_access_policy": "If it was too early, try again some minutes later; the same token will do.",
    "application_role": "If it was too early, leave it in peace for half an hour, because each try may keep the old "
    "answer alive; then try again. The same token will do.",
    "mailbox_permission": "If it was too early, open a new connection; the old one is never let in, and a token that "
    "was fetched before the consent has no right in it.",
}
"""By scoping model. Where nothing limits, nothing has to be awaited."""

WORTH_TELLING = 6_000
"""Entra's tokens are shorter than this."""


def _listed(protocols: t.Iterable[str]) -> str:
    return " and ".join({"ews": "EWS", "graph": "Graph"}.get(one, one.upper()) for one in protocols)
