# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What stopped a block, without words of Ansible's that may quote a secret."""

from __future__ import annotations

import re
import typing as t

Json = dict[str, t.Any]

OURS = "mail2fax.m365."
REFUSAL = "assertion"
"""What the result of an assertion has when it was looked at and does not hold; then the words are the role's."""

_PLUGIN = re.compile(r"mail2fax\.m365\.[a-z_]+: ")
"""Stands before what our filters and look-ups say, wherever Ansible's own words begin."""


def what_stopped(result: Json, name: str, action: str) -> Json:
    """``task``, ``msg``, ``outcome`` and ``error`` from a failed result and its task's name, which may be empty."""
    outcome = result.get("outcome") if result.get("outcome") in ("blocked", "failed") else None
    found: Json = {"task": name, "outcome": outcome or "failed", "error": result.get("error")}
    message = str(result.get("msg") or "")
    if action.startswith(OURS) and outcome:
        return {**found, "msg": message}
    if REFUSAL in result and message:
        return {**found, "outcome": "blocked", "msg": message}
    if said := of_ours(message):
        return {**found, "msg": said}
    if not name:
        return {**found, "msg": "the run ended before its last task, as another tenant's did"}
    return {
        **found,
        "msg": f"the task {name!r} could not be run; Ansible's own words are in the output of the run, because they "
        "may quote what nobody should read here",
    }


def of_ours(message: str) -> str:
    """What a filter or a look-up of ours says, out of Ansible's words around it; empty where none does."""
    said = _PLUGIN.split(message)
    return said[-1].strip() if len(said) > 1 else ""
