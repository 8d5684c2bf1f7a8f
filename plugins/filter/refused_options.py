# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _refused

DOCUMENTATION = r"""
name: refused_options
short_description: Tell which options a module of this collection would refuse
version_added: 0.1.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Has each module check its options without running it, and returns what it would say. No request is made.
  - A run with several steps can so be refused as a whole, before the first step has written anything.
options:
  _input:
    description: >-
      The options by the module's name, without the collection's. What is null counts as not given, and a module
      without any option refuses nothing. V(handover) stands for what the hand-over is made of at a run's end,
      C(time_zone), C(thresholds) and C(contacts).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Stop before anything is written
  ansible.builtin.assert:
    that: refused | length == 0
    fail_msg: "{{ refused | join(' ') }}"
  vars:
    refused: "{{ {'exchange_security_group': {'name': group, 'alias': alias}} | mail2fax.m365.refused_options }}"
"""

RETURN = r"""
_value:
  description: A sentence for each refusal, none if all options are fine.
  type: list
  elements: str
"""


def refused_options(modules: t.Any) -> list[str]:
    """See DOCUMENTATION."""
    if not isinstance(modules, t.Mapping):
        raise AnsibleFilterError("mail2fax.m365.refused_options takes options by the module's name")
    try:
        return _refused.refused(modules)
    except ValueError as exc:
        raise AnsibleFilterError(f"mail2fax.m365.refused_options: {exc}") from None


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"refused_options": refused_options}
