# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _ended, _held, _together
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

Json = dict[str, t.Any]
IN_THE_MIDDLE = (
    "The run began in the middle (--start-at-task), so nothing was done. Run the playbook whole: steps that have "
    "nothing to do change nothing."
)


class ActionModule(ActionBase):
    """Ends a host red where its run was; looks at variables alone, so that no template is rendered for it."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        found: Json = task_vars or {}
        result: Json = super().run(tmp, found) or {}
        del tmp
        self.validate_argument_spec({})
        result["changed"] = False
        complaint = _ended.complaint(found) if _held.BEGUN in found else IN_THE_MIDDLE
        if not complaint:
            return result
        result["msg"] = plain(complaint)
        host, everybody = str(found["inventory_hostname"]), found.get("ansible_play_hosts_all") or []
        # Whoever is out of reach shows no table, and somebody has to.
        somebody = _together.count_out_of_reach(constants.DEFAULT_LOCAL_TMP) < len(everybody)
        if somebody and _together.out_of_reach(constants.DEFAULT_LOCAL_TMP, host):
            result["unreachable"] = True
        else:
            result["failed"] = True
        return result
