# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The variables that an inventory may set, from the one file that lists them."""

from __future__ import annotations

import functools
import pathlib
import typing as t
from dataclasses import dataclass, fields

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _own_files

PREFIX = "mail2fax_"
PASSED_ON = "mail2fax_run_"
"""What earlier jobs of a workflow hand on bears such names. They are accepted, and read by nothing here."""

PLAYBOOKS = ("provision", "rotate", "audit", "decommission", "reach", "migrate", "fleet_report")
APART = ("awx",)
"""Playbooks that are not about tenants."""

FILE = pathlib.Path(__file__).with_name("variables.yml")
LISTED = ("choices", "needed_by", "playbooks", "survey")
KINDS = ("str", "path", "bool", "int", "list", "dict", "raw")


@dataclass(frozen=True)
class Variable:
    """One row of the file, whose head explains the fields."""

    name: str
    type: str
    group: str
    meaning: str
    choices: tuple[str, ...] = ()
    default: t.Any = None
    shown: str | None = None
    needed_by: tuple[str, ...] = ()
    playbooks: tuple[str, ...] = PLAYBOOKS
    own: bool = False
    secret: bool = False
    digits: bool = True
    option: str | None = None
    example: t.Any = None
    least: int | None = None
    confirms: bool = False
    survey: tuple[str, ...] = ()


@functools.cache
def variables() -> dict[str, Variable]:
    """Every variable by its name, in the order of the file."""
    groups = _own_files.loaded(FILE)["groups"]
    return {row["name"]: _variable(group, row) for group, rows in groups.items() for row in rows}


def _variable(group: str, row: dict[str, t.Any]) -> Variable:
    unknown = set(row) - {field.name for field in fields(Variable)}
    if unknown or row["type"] not in KINDS:
        raise ValueError(f"{FILE.name}: {row['name']} has {', '.join(sorted(unknown)) or row['type']}")
    listed: dict[str, t.Any] = {key: tuple(row[key]) for key in LISTED if key in row}
    given: dict[str, t.Any] = {**row, **listed, "group": group}
    return Variable(**given)


def named(option: str) -> str | None:
    """What a module's option, as its messages name it, is called in an inventory; None where nothing sets it."""
    return next((found.name for found in variables().values() if found.option == option), None)
