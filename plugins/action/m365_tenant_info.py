# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible import constants

from ansible_collections.mail2fax.m365.plugins.module_utils._module import refusal
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.tenant_info import DOOR
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _held, _together
from ansible_collections.mail2fax.m365.plugins.plugin_utils._lane import LaneAction

Json = dict[str, t.Any]


class ActionModule(LaneAction):
    """The module of the same name, without a process of its own."""

    door = DOOR

    def _run(self, variables: Json) -> Json:
        """In a playbook of ours two hosts that turn out to mean one application are both stopped here, or at their next
        task."""
        result = super()._run(variables)
        asked = self._task.args.get("application")
        if variables.get(_held.PLAYBOOK) is None or result.get("failed") or not isinstance(asked, t.Mapping):
            return result
        application = _together.meant(result, asked)
        if application is None:
            return result
        _together.note(constants.DEFAULT_LOCAL_TMP, self._inventory_name, application)
        met = _together.met(constants.DEFAULT_LOCAL_TMP, self._inventory_name)
        return result if met is None else refusal(met)
