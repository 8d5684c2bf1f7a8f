# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _ended, _fleet, _lines

DOCUMENTATION = r"""
name: fleet_table
short_description: Show the tenants of a run in one table for the terminal
version_added: 0.1.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Makes lines of text of what the runs of many tenants came to, one for each tenant, the worst first. Each tells the
    outcome, how many days the client secret has left, and the next thing to do.
  - A tenant without a result is in it, too, because it was out of reach or did not get as far. Where a ring held a run
    up, those that were not begun for it are in it, and how to go on.
positional: variables
options:
  _input:
    description: The inventory's names of the tenants.
    type: list
    elements: str
    required: true
  variables:
    description:
      - Variables by name of the tenant, as C(hostvars) has them. Of each, C(handover_result) is looked at, which the
        role P(mail2fax.m365.handover#role) leaves, and, where there is none, C(mail2fax_stopped), by which a playbook
        says why there is none, and C(handover_last), the result of an earlier run.
    type: dict
    required: true
  width:
    description: No line is wider than this.
    type: int
    default: 90
  shape:
    description:
      - V(text) is one string, V(lines) a list.
      - V(auto) is what P(ansible.builtin.default#callback) shows best, one string if it shows results as YAML, and
        a list if it shows them as JSON.
      - V(verdict) is V(auto), and goes to standard error as well where results that are ok are not shown
        (C(display_ok_hosts)).
    type: str
    choices: [auto, text, lines, verdict]
    default: auto
"""

EXAMPLES = r"""
- name: Show what a run over many tenants came to
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts_all | mail2fax.m365.fleet_table(hostvars) }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: The table, as a string or as a list of lines.
  type: raw
"""


def fleet_table(hosts: t.Any, variables: t.Any, width: int = 90, shape: str = "auto") -> str | list[str]:
    """See DOCUMENTATION."""
    if isinstance(hosts, str) or not isinstance(hosts, t.Iterable) or not isinstance(variables, t.Mapping):
        raise AnsibleFilterError("mail2fax.m365.fleet_table takes names of hosts, and a dictionary of their variables")
    names = [str(host) for host in hosts]
    compared = _ended.compared(variables, names)
    unmet = [str(name) for name in compared.get("unmet") or []]
    try:
        rows, held = _fleet.rows(names, variables), _fleet.held(names, variables)
        return _lines.laid_out(_fleet.table(rows, int(width), held=held, unmet=unmet), shape)
    except ValueError as exc:
        raise AnsibleFilterError(f"mail2fax.m365.fleet_table: {exc}") from exc


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"fleet_table": fleet_table}
