# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Becoming somebody, on a machine where nobody may."""

from __future__ import annotations

from typing import Any

from ansible.plugins.become import BecomeBase

DOCUMENTATION = r"""
name: same
short_description: Become the user that one is
description: For the tests of this collection.
options:
  become_user:
    description: Not looked at.
    default: root
  become_exe:
    description: Not used.
    default: ''
  become_flags:
    description: Not used.
    default: ''
"""


class BecomeModule(BecomeBase):
    name = "same"

    def build_become_command(self, cmd: str, shell: Any) -> str:
        super().build_become_command(cmd, shell)
        return str(self._build_success_command(cmd, shell))
