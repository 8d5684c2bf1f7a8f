# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
import zoneinfo

from ansible.errors import AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import reach
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

DOCUMENTATION = r"""
name: reach_file
short_description: Make a page or a table of a report of reach
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - V(html) is one page for the security officer, to look at, to search, to sort and to print. It loads nothing from
    elsewhere, every value in it is escaped, and no script runs in it but its own.
  - V(csv) is a table with a row for each way into a mailbox, each power, each person, and each thing that could not be
    read. A cell that a spreadsheet would take for a formula begins with an apostrophe.
  - The role P(mail2fax.m365.reach#role) writes both to files.
positional: kind
options:
  _input:
    description: A report, as P(mail2fax.m365.reach_report#filter) returns it under C(document).
    type: dict
    required: true
  kind:
    description: What is made.
    type: str
    choices: [html, csv]
    default: html
  zone:
    description: The time zone of the times on the page, as the IANA names it.
    type: str
    default: UTC
"""

EXAMPLES = r"""
- name: Keep the page of a report
  ansible.builtin.copy:
    content: "{{ lookup('mail2fax.m365.document', 'reach.json') | from_json | mail2fax.m365.reach_file }}"
    dest: "{{ playbook_dir }}/reach.html"
    mode: "0600"
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The page, or the table.
  type: str
"""


def reach_file(document: t.Any, kind: str = "html", zone: str = "UTC") -> str:
    """See DOCUMENTATION."""
    if not isinstance(document, t.Mapping) or not isinstance(document.get("applications"), list):
        raise AnsibleFilterError("mail2fax.m365.reach_file takes a report of reach")
    if kind not in ("html", "csv"):
        raise AnsibleFilterError(f"mail2fax.m365.reach_file: the kind is {kind!r}, not html or csv")
    if kind == "csv":
        return reach.table(plain(document))
    try:
        return reach.page(plain(document), str(zone or "UTC"))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise AnsibleFilterError(
            f"mail2fax.m365.reach_file: there is no time zone {zone!r}; write it as Europe/Rome, or use UTC"
        ) from exc


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"reach_file": reach_file}
