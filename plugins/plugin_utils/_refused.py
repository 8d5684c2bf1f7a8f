# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What modules would refuse of their options, in sentences, by their own checks and without a request."""

from __future__ import annotations

import importlib
import importlib.util
import typing as t
import zoneinfo

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import M365Error
from ansible_collections.mail2fax.m365.plugins.module_utils._module import complaint, without_secrets
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _credentials
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import times
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

Json = dict[str, t.Any]
HANDOVER = "handover"
"""Stands among the modules for what the hand-over is made of at a run's end."""

_CONTACTS = ("fax", "entra", "exchange")
_MODULES = "ansible_collections.mail2fax.m365.plugins.modules"


def refused(modules: t.Mapping[str, t.Any]) -> list[str]:
    """A sentence for each refusal, of options by the module's name. What is null counts as not given, and a module
    without any option refuses nothing. Raises ValueError for what is no module of ours."""
    found: list[str] = []
    for name, options in modules.items():
        given = {key: value for key, value in (plain(options) or {}).items() if value is not None}
        found += _at_the_end(given) if name == HANDOVER else _by_module(str(name), given)
    return found


def _by_module(name: str, options: Json) -> t.Iterator[str]:
    if not options and importlib.util.find_spec(f"{_MODULES}.{name}"):
        # Not in use: it is not even loaded.
        return
    try:
        door: Door = importlib.import_module(f"{_MODULES}.{name}").DOOR
    except ImportError:
        raise ValueError(f"there is no module {name!r}") from None
    # How to reach the services is told by the first task that does.
    spec = door.argument_spec if options.keys() & door.base.options.keys() else door.spec
    answer = ArgumentSpecValidator(**spec.kwargs()).validate(options)
    if answer.error_messages:
        yield f"{name}: {complaint('; '.join(answer.error_messages), options)}."
        return
    params = answer.validated_parameters
    try:
        # As in check mode: what an earlier step is going to make does not exist yet.
        door.open(Tenant({}), Task(params, check_mode=True))
    except M365Error as exc:
        yield without_secrets(str(exc), door, params)


def _at_the_end(options: Json) -> t.Iterator[str]:
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
