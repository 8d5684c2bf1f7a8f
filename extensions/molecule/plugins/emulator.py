# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leads a run to the emulator, by the environment that a company with a proxy and a CA of its own would set.

It has to be the environment of ansible-playbook itself, because a playbook that is imported by its name takes no other.
Molecule gives ansible-playbook its environment before the emulator has found a free port.
"""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: emulator
type: aggregate
short_description: Leads a run to the tenant emulator of the molecule scenarios
description:
  - Reads what the emulator said when it started, and sets the environment of the run before its first task.
author: The mail2fax.m365 authors (@mail2fax)
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "emulator"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        ready = pathlib.Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "emulator.json")
        if not ready.is_file():  # it is about to be started
            return
        emulator = json.loads(ready.read_text(encoding="utf-8"))
        os.environ |= {
            "HTTPS_PROXY": emulator["proxy"],
            "https_proxy": emulator["proxy"],
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "REQUESTS_CA_BUNDLE": emulator["ca"],
        }
        for host in emulator["winrm"].values():  # there is one; tasks that do not go by way of it take no notice
            os.environ["M365_WINRM_PORT"] = str(host["https"])
