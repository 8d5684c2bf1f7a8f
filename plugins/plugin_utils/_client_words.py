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

import yaml

from ansible_collections.mail2fax.m365.plugins.module_utils._clients import CLIENTS

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
    rows: dict[str, dict[str, t.Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    if set(rows) != set(CLIENTS):
        raise ValueError(f"{FILE.name}: {', '.join(sorted(set(rows) ^ set(CLIENTS)))}")
    return {
        name: Words(
            **{**row, "sheet": tuple(Hint(one["say"], tuple(one.get("for", ()))) for one in row.get("sheet", ()))}
        )
        for name, row in rows.items()
    }


def hints(client: str, protocols: t.Collection[str], mailboxes: t.Collection[str]) -> list[str]:
    """The sheet's lines about a client, for accesses of these protocols. Raises KeyError for an unknown client."""
    facts, told = CLIENTS[client], words()[client]
    lines: list[str] = []
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
    return lines


WORTH_TELLING = 6_000
"""Entra's tokens are shorter than this."""


def _listed(protocols: t.Iterable[str]) -> str:
    return " and ".join({"ews": "EWS", "graph": "Graph"}.get(one, one.upper()) for one in protocols)
