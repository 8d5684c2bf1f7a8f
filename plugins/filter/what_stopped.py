# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _stopped
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

DOCUMENTATION = r"""
name: what_stopped
short_description: Tell what stopped a block, for the result of a run
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Makes of what Ansible keeps in a C(rescue) section what the option
    O(mail2fax.m365.handover#role:main:handover_stopped) takes.
  - Words are taken over from this collection's own tasks only. What Ansible itself says of a template that fails may
    quote the value that the template was to use; in its place the task is named.
positional: task, action
options:
  _input:
    description: The variable C(ansible_failed_result), or an empty dictionary.
    type: dict
    required: true
  task:
    description: The name of C(ansible_failed_task). Empty if there is none.
    type: str
    default: ''
  action:
    description: The action of C(ansible_failed_task).
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Note what stopped the run
  ansible.builtin.set_fact:
    stopped: >-
      {{ ansible_failed_result
         | mail2fax.m365.what_stopped(ansible_failed_task.name, ansible_failed_task.action) }}
"""

RETURN = r"""
_value:
  description: C(task), C(msg), C(outcome) and C(error).
  type: dict
"""


def what_stopped(result: t.Any, task: t.Any = "", action: t.Any = "") -> dict[str, t.Any]:
    """See DOCUMENTATION."""
    return _stopped.what_stopped(plain(result or {}), str(task), str(action))


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"what_stopped": what_stopped}
