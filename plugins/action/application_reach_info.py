# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info import DOOR
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import reach
from ansible_collections.mail2fax.m365.plugins.plugin_utils._lane import LaneAction
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

Json = dict[str, t.Any]


class ActionModule(LaneAction):
    """The module of the same name, without a process of its own. The report is made here in either case."""

    door = DOOR

    def _in_process(self, args: Json, variables: Json) -> Json:
        context, left = _apart(args)
        return _reported(super()._in_process(left, variables), context)

    def _as_module(self, args: Json, variables: Json) -> Json:
        context, left = _apart(args)
        return _reported(super()._as_module(left, variables), context)


def _apart(args: Json) -> tuple[Json | None, Json]:
    """What the report takes, and what the module does. Raises InvalidInput."""
    context = plain(args.get("held_against"))
    if context is not None and not (isinstance(context, dict) and context.get("host")):
        raise InvalidInput(
            "held_against does not say whose report it is",
            cure="give a mapping with host, the inventory's name of the tenant",
            options=("held_against",),
        )
    return context, {name: value for name, value in args.items() if name != "held_against"}


def _reported(result: Json, context: Json | None) -> Json:
    if context is None or result.get("failed"):
        return result
    return {**result, "report": dataclasses.asdict(reach.compose(plain(result), context))}
