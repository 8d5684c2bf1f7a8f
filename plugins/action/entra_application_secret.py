# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret import DOOR
from ansible_collections.mail2fax.m365.plugins.plugin_utils._lane import LaneAction


class ActionModule(LaneAction):
    """The secret never leaves the worker that made it: it goes from the service's answer into the store."""

    door = DOOR

    def needs_controller(self, args: t.Mapping[str, t.Any]) -> bool:
        return True

    def services(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        if params["return_value"] and not self._task.no_log:
            raise InvalidInput(
                "return_value returns the secret in clear, and the task does not have no_log: true",
                cure="set no_log: true on the task, or better: name a store",
            )
        return self.receiver(params)
