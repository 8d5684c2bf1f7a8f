# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Exchange admin REST of one emulator process: ``/adminapi/…/InvokeCommand`` and its ``$batch``."""

from __future__ import annotations

from .exchange_directory import ews_gate, member_addresses, new_group, new_mailbox, new_policy, policy_verdict

__all__ = ["ews_gate", "member_addresses", "new_group", "new_mailbox", "new_policy", "policy_verdict"]
