# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _lines
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import table

DOCUMENTATION = r"""
name: outcome_table
short_description: Show the document of a run as a table for the terminal
version_added: 0.1.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Makes lines of text from the document that the filter P(mail2fax.m365.run_result#filter) returns or that the role
    P(mail2fax.m365.handover#role) wrote, one for each step and one for each mailbox.
options:
  _input:
    description: The document of a run.
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
- name: Show the last run of a tenant
  ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.file', 'handover/imagicleucdev.json') | from_json | mail2fax.m365.outcome_table }}"
"""

RETURN = r"""
_value:
  description: The table, as a string or as a list of lines.
  type: raw
"""


def outcome_table(document: t.Any, width: int = 90, shape: str = "auto") -> str | list[str]:
    """See DOCUMENTATION."""
    if not isinstance(document, t.Mapping) or "steps" not in document:
        raise AnsibleFilterError("mail2fax.m365.outcome_table takes the document of a run")
    try:
        return _lines.laid_out(table.table(dict(document), int(width)), shape)
    except ValueError as exc:
        raise AnsibleFilterError(f"mail2fax.m365.outcome_table: {exc}") from exc


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"outcome_table": outcome_table}
