# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Secrets from a worker to the module that it starts on the same machine: in memory, in no file and on no command line.

The worker puts them into an anonymous piece of memory and tells the module where that is. The module's options hold
placeholders in their places. Whoever takes them empties the memory. Linux only.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput

VARIABLE = "M365_HANDED_OVER"
"""Where a module finds them: a path below /proc. Set by the action plugins alone."""

_PLACEHOLDER = "m365-handed-over-"


@contextlib.contextmanager
def handing_over(
    args: t.Any, environment: t.Mapping[str, str], secrets: t.Container[str]
) -> t.Iterator[tuple[t.Any, str]]:
    """(``args`` with placeholders for the ``secrets``, what ``VARIABLE`` is to hold), good until the end of the block.

    ``environment`` is handed over as well.
    """
    values: list[str] = []

    def placed(value: t.Any) -> t.Any:
        if isinstance(value, dict):
            return {name: placed(item) for name, item in value.items()}
        if isinstance(value, list):
            return [placed(item) for item in value]
        if isinstance(value, str) and value in secrets:
            values.append(value)
            return f"{_PLACEHOLDER}{len(values) - 1}"
        return value

    told = placed(args)
    memory = os.memfd_create("m365")
    try:
        os.write(memory, json.dumps({"values": values, "environment": dict(environment)}).encode())
        yield told, f"/proc/{os.getpid()}/fd/{memory}"
    finally:
        os.close(memory)


def wait_until_taken(place: str, seconds: float = 15.0) -> None:
    """For a module that begins while the worker goes on: the memory ends with the worker."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if os.stat(place).st_size == 0:
                return
        time.sleep(0.05)


class Taken:
    """What was handed over to this module; nothing where ``environment`` names no place. Raises InvalidInput."""

    def __init__(self, environment: t.Mapping[str, str]) -> None:
        self._values: list[str] = []
        self.environment: dict[str, str] = {}
        place = environment.get(VARIABLE)
        if not place:
            return
        try:
            with open(place, "r+", encoding="utf-8") as memory:
                told = json.load(memory)
                memory.truncate(0)
        except (OSError, ValueError) as exc:
            raise InvalidInput(
                f"the secrets that Ansible hands over in memory cannot be taken ({type(exc).__name__})",
                cure="run the task as the user that Ansible runs as, without become",
            ) from None
        self._values = told["values"]
        self.environment = told["environment"]

    def in_their_places(self, params: t.Any) -> t.Any:
        """The options with what the placeholders stand for."""
        if isinstance(params, dict):
            return {name: self.in_their_places(item) for name, item in params.items()}
        if isinstance(params, list):
            return [self.in_their_places(item) for item in params]
        if isinstance(params, str) and params.startswith(_PLACEHOLDER):
            number = params.removeprefix(_PLACEHOLDER)
            return self._values[int(number)] if number.isdecimal() and int(number) < len(self._values) else params
        return params
