# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _ended, _rings

DOCUMENTATION = r"""
name: ring_held
short_description: Tell whether the tenants of a ring have to wait
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Whether more of the ring before than C(mail2fax_ring_max_bad) allows was blocked, failed or out of reach, or was not
    begun itself. It is asked once for each ring, before its first task.
positional: variables, batch
options:
  _input:
    description: The names of all hosts of the play, in its order.
    type: list
    elements: str
    required: true
  variables:
    description: Variables by name of the host, as C(hostvars) has them.
    type: dict
    required: true
  batch:
    description: The names of the ring's hosts.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Wait where the ring before came to a bad end
  ansible.builtin.meta: end_batch
  when: ansible_play_hosts_all | mail2fax.m365.ring_held(hostvars, ansible_play_batch)
"""

RETURN = r"""
_value:
  description: Whether no task of the ring may run.
  type: bool
"""


def ring_held(hosts: t.Any, variables: t.Any, batch: t.Any) -> bool:
    """See DOCUMENTATION."""
    everybody, these = [str(host) for host in hosts or []], {str(host) for host in batch or []}
    if not these:
        return False
    rings = _ended.compared(variables, everybody).get("rings") or {}
    if not rings.get("sizes"):
        return False
    before: list[str] = []
    for ring in _rings.cut(everybody, list(rings["sizes"])):
        if these & {*ring}:
            break
        before = ring
    bad = sum(_ended.bad(_ended.raw(variables, host)) for host in before)
    return _rings.too_many(bad, len(before), int(rings.get("max_bad") or 0))


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"ring_held": ring_held}
