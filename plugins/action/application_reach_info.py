# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info import DOOR
from ansible_collections.mail2fax.m365.plugins.plugin_utils._lane import LaneAction


class ActionModule(LaneAction):
    """The module of the same name, without a process of its own."""

    door = DOOR
