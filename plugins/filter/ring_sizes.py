# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _ended, _hosts

DOCUMENTATION = r"""
name: ring_sizes
short_description: Tell how many tenants each ring of a run has
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - What the playbooks of this collection give C(serial) in the play that does the work. The first play has read
    C(mail2fax_ring_size), which the inventory may say; a play's own C(serial) knows no variable of a host.
positional: variables, pattern, groups
options:
  _input:
    description: The names of the hosts that are left after the limit.
    type: list
    elements: str
    required: true
  variables:
    description: Variables by name of the host, as C(hostvars) has them.
    type: dict
    required: true
  pattern:
    description: Which of the hosts the play is for.
    type: raw
    required: true
  groups:
    description: The hosts of each group, as C(groups) has them.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Provision ring after ring
  hosts: all
  serial: "{{ ansible_play_hosts_all | mail2fax.m365.ring_sizes(hostvars | default({}), 'all', groups) }}"
"""

RETURN = r"""
_value:
  description: How many hosts each ring has. Empty where all are done at once.
  type: list
  elements: int
"""


def ring_sizes(hosts: t.Any, variables: t.Any, pattern: t.Any, groups: t.Any) -> list[int]:
    """See DOCUMENTATION."""
    names = [str(host) for host in hosts or []]
    rings = _ended.compared(variables, _hosts.meant(names, pattern, groups)).get("rings") or {}
    return [int(size) for size in rings.get("sizes") or []]


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"ring_sizes": ring_sizes}
