# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A module as data, so that a process, a worker and a test go through the same door."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import CONNECTION, ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Resource
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant


@dataclass(frozen=True)
class Task:
    """What one task asks for. ``params`` are the module's options, already typed and complete.

    ``services`` are things from outside that only some tasks need, such as the ``store`` of a secret.
    """

    params: t.Mapping[str, t.Any]
    check_mode: bool = False
    services: t.Mapping[str, t.Any] = field(default_factory=dict)

    def app_id(self) -> str:
        """The option app_id, in lower case; all zeros stand for an application that check mode only pretends to have
        made. Raises InvalidInput."""
        app_id = _names.guid(self.params["app_id"], "app_id")
        if app_id == _names.ZERO_GUID and not self.check_mode:
            raise InvalidInput(
                "app_id is all zeros, which no application has",
                cure="give the Application (client) ID",
                options=("app_id",),
            )
        return app_id


@dataclass(frozen=True)
class Door:
    """A module as data: its own options, and how to make its resource from a tenant and a task.

    ``open`` validates the options and raises InvalidInput before any request goes out. ``in_clear`` names the values of
    a result that are a secret on purpose, or sealed; ``windows_host`` says that a management host is asked whatever the
    transport.
    """

    open: t.Callable[[Tenant, Task], Resource]
    spec: ArgumentSpec
    base: ArgumentSpec = CONNECTION
    in_clear: tuple[str, ...] = ()
    windows_host: bool = False
    looks_up: bool = False
    """Whether its names are looked for only, and so declare nothing."""
    gives: bool = False
    """Whether what it has read is handed on to the tasks after it (``_reads``)."""
    takes: bool = False
    """Whether it takes what was handed on. What proves or gives a verdict never does."""

    @property
    def argument_spec(self) -> ArgumentSpec:
        return self.base.merge(self.spec)
