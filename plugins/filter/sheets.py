# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _lines

DOCUMENTATION = r"""
name: sheets
short_description: Show the hand-over sheets of a run as text
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Makes lines of text of what the role P(mail2fax.m365.handover#role) registered as C(handover_result) for each
    host, for the end of a log whose readers get at no file. A host that got no sheet in this run is left out.
positional: _input, hostvars
options:
  _input:
    description: Names of hosts.
    type: list
    elements: str
    required: true
  hostvars:
    description: Ansible's variable of that name.
    type: dict
    required: true
  after:
    description: Lines that stand before the sheets, such as those of P(mail2fax.m365.fleet_table#filter).
    type: list
    elements: str
    default: []
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
- name: Show the sheets
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts_all | mail2fax.m365.sheets(hostvars) }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: The sheets one after the other, as a string or as a list of lines.
  type: raw
"""


def sheets(hosts: t.Any, hostvars: t.Any, after: t.Any = (), shape: str = "auto") -> str | list[str]:
    """See DOCUMENTATION."""
    if not isinstance(hosts, (list, tuple)):
        raise AnsibleFilterError("mail2fax.m365.sheets takes a list of hosts")
    lines: list[str] = []
    for host in hosts:
        try:
            told = hostvars[host]["handover_result"].get("as_text") or []
        except (KeyError, AttributeError):
            continue
        lines += [*([""] if lines and told else []), *map(str, told)]
    try:
        before = [*map(str, after), ""] if after else []
        return _lines.laid_out([*before, *(lines or ["No sheet was made in this run."])], shape)
    except ValueError as exc:
        raise AnsibleFilterError(f"mail2fax.m365.sheets: {exc}") from exc


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"sheets": sheets}
