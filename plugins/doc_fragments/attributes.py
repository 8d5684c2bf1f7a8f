# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Attributes shared by the modules."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Predicts what would change without changing it.
    support: full
  diff_mode:
    description: Shows the state before and after.
    support: full
  idempotent:
    description: When run twice with the same options, the second run changes nothing.
    support: full
  action_group:
    description: Use C(group/mail2fax.m365.m365) in C(module_defaults) to set the connection once.
    support: full
    membership:
      - mail2fax.m365.m365
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Predicts what would change without changing it.
    support: full
    details:
      - This module only reads.
  diff_mode:
    description: Shows the state before and after.
    support: N/A
    details:
      - This module only reads.
  idempotent:
    description: When run twice with the same options, the second run changes nothing.
    support: full
    details:
      - This module only reads.
  action_group:
    description: Use C(group/mail2fax.m365.m365) in C(module_defaults) to set the connection once.
    support: full
    membership:
      - mail2fax.m365.m365
"""
