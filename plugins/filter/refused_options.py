# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import importlib
import importlib.util
import typing as t
import zoneinfo

from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import M365Error
from ansible_collections.mail2fax.m365.plugins.module_utils._module import complaint, without_secrets
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _credentials
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import times
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

DOCUMENTATION = r"""
name: refused_options
short_description: Tell which options a module of this collection would refuse
version_added: 0.1.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Has each module check its options without running it, and returns what it would say. No request is made.
  - A run with several steps can so be refused as a whole, before the first step has written anything.
options:
  _input:
    description: >-
      The options by the module's name, without the collection's. What is null counts as not given, and a module
      without any option refuses nothing. V(handover) stands for what the hand-over is made of at a run's end,
      C(time_zone), C(thresholds) and C(contacts).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Stop before anything is written
  ansible.builtin.assert:
    that: refused | length == 0
    fail_msg: "{{ refused | join(' ') }}"
  vars:
    refused: "{{ {'exchange_security_group': {'name': group, 'alias': alias}} | mail2fax.m365.refused_options }}"
"""

RETURN = r"""
_value:
  description: A sentence for each refusal, none if all options are fine.
  type: list
  elements: str
"""

_CONTACTS = ("fax", "entra", "exchange")
_MODULES = "ansible_collections.mail2fax.m365.plugins.modules"


def refused_options(modules: t.Any) -> list[str]:
    """See DOCUMENTATION."""
    if not isinstance(modules, t.Mapping):
        raise AnsibleFilterError("mail2fax.m365.refused_options takes options by the module's name")
    refused: list[str] = []
    for name, options in modules.items():
        given = {key: value for key, value in (plain(options) or {}).items() if value is not None}
        refused += _refused_at_the_end(given) if name == "handover" else _refused(str(name), given)
    return refused


def _refused(name: str, options: dict[str, t.Any]) -> t.Iterator[str]:
    if not options and importlib.util.find_spec(f"{_MODULES}.{name}"):
        # Not in use: it is not even loaded.
        return
    try:
        door: Door = importlib.import_module(f"{_MODULES}.{name}").DOOR
    except ImportError:
        raise AnsibleFilterError(f"mail2fax.m365.refused_options: there is no module {name!r}") from None
    answer = ArgumentSpecValidator(**door.argument_spec.kwargs()).validate(options)
    if answer.error_messages:
        yield f"{name}: {complaint('; '.join(answer.error_messages), options)}."
        return
    params = answer.validated_parameters
    try:
        # As in check mode: what an earlier step is going to make does not exist yet.
        door.open(Tenant({}), Task(params, check_mode=True))
    except M365Error as exc:
        yield without_secrets(str(exc), door, params)


def _refused_at_the_end(options: dict[str, t.Any]) -> t.Iterator[str]:
    zone, contacts, thresholds = (options.get(name) for name in ("time_zone", "contacts", "thresholds"))
    if options.get("profile_complaint"):
        yield str(options["profile_complaint"])
    try:
        times.readable_time("2026-11-21T12:00:00Z", "UTC" if zone is None else str(zone))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        yield (
            f"mail2fax_time_zone is {zone!r}, which is not a time zone. "
            "What to do: write it as Europe/Rome, or use UTC."
        )
    if contacts and not (isinstance(contacts, dict) and set(contacts) <= {*_CONTACTS}):
        yield (
            f"mail2fax_contacts is {contacts!r}. What to do: say whom to call with the keys {', '.join(_CONTACTS)}, "
            "each of which may be left out."
        )
    try:
        _credentials.Thresholds.of(thresholds)
    except ValueError as exc:
        yield (
            f"mail2fax_audit_thresholds: {exc}. What to do: give numbers of days, such as "
            "{'pending': [60, 30], 'blocked': [14, 7]}."
        )


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"refused_options": refused_options}
