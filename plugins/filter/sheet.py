# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _sheet
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

DOCUMENTATION = r"""
name: sheet
short_description: Make the hand-over sheet of a run's result
version_added: 0.1.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Returns one page of HTML, to print or to look at, for the person who sets the fax server up. It loads nothing from
    elsewhere, and every value in it is escaped.
  - The role P(mail2fax.m365.handover#role) writes it to a file.
positional: _input, profile
options:
  _input:
    description: The entry C(document) of what P(mail2fax.m365.run_result#filter) returns.
    type: dict
    required: true
  profile:
    description: The profile, as P(mail2fax.m365.profile#lookup) returns it.
    type: dict
    required: true
  host:
    description: The tenant's name in the inventory.
    type: str
    required: true
  cloud:
    description: The Microsoft cloud.
    type: str
    choices: [global, gcc_high, dod, china]
    default: global
  zone:
    description: The time zone of the times on the sheet, as the IANA names it.
    type: str
    default: UTC
  contacts:
    description: Whom to call, by C(fax), C(entra) and C(exchange).
    type: dict
    default: {}
  prepared_by:
    description: Who answers for the sheet.
    type: str
    default: ''
  ticket:
    description: The ticket that the run was made for.
    type: str
    default: ''
  client:
    description: The mail client that speaks for the fax server, by the name that C(mail2fax_client) takes.
    type: str
    default: ''
    version_added: 0.2.0
"""

EXAMPLES = r"""
- name: Keep the sheet
  ansible.builtin.copy:
    content: "{{ handover_result.document | mail2fax.m365.sheet(profile, host=inventory_hostname) }}"
    dest: "{{ playbook_dir }}/handover/{{ inventory_hostname }}.html"
    mode: "0600"
  delegate_to: localhost
  vars:
    profile: "{{ lookup('mail2fax.m365.profile', 'imagicle_ews') }}"
"""

RETURN = r"""
_value:
  description: The page.
  type: str
"""


def sheet(
    document: t.Any,
    profile: t.Any,
    *,
    host: str,
    cloud: str = "global",
    zone: str = "UTC",
    contacts: t.Any = None,
    prepared_by: str = "",
    ticket: str = "",
    client: str = "",
) -> str:
    """See DOCUMENTATION."""
    if not isinstance(document, t.Mapping) or not isinstance(profile, t.Mapping):
        raise AnsibleFilterError("mail2fax.m365.sheet takes a run's document and a profile")
    about: dict[str, t.Any] = {"host": host, "cloud": cloud, "zone": zone, "prepared_by": prepared_by, "ticket": ticket}
    try:
        return _sheet.page(plain(document), plain(profile), **plain({**about, "contacts": contacts, "client": client}))
    except ValueError as exc:
        raise AnsibleFilterError(f"mail2fax.m365.sheet: {exc}") from exc


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"sheet": sheet}
