# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import ours
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

DOCUMENTATION = r"""
name: take_back
short_description: Tell what a removal may take back
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Works out from what the runs of a tenant added, as the last result keeps it, what may be taken back from an
    application and from groups that others made.
positional: app_id
options:
  _input:
    description: The entry C(ours) of the last result. Null if no result tells.
    type: raw
    required: true
  app_id:
    description: The Application (client) ID. Empty if there is no application.
    type: str
"""

EXAMPLES = r"""
- name: Tell which members of groups were put there
  ansible.builtin.debug:
    msg: "{{ (handover_last.ours | mail2fax.m365.take_back).members }}"
"""

RETURN = r"""
_value:
  description: What may be taken back, in the shapes of the modules' options.
  type: dict
  contains:
    known:
      description: Whether a result tells what was added.
      type: bool
    permissions:
      description: API permissions that were added to the application.
      type: list
      elements: dict
    consent:
      description: Permissions that were granted to it.
      type: list
      elements: dict
    service_principal:
      description: Whether its service principal was made.
      type: bool
    policies:
      description: The Guids of groups for which an access policy of the application was made.
      type: list
      elements: str
    members:
      description: Addresses by the Guid of the group that they were put into.
      type: dict
"""


def take_back(added: t.Any, app_id: t.Any = None) -> dict[str, t.Any]:
    """See DOCUMENTATION."""
    entries = plain(added)
    if entries is not None and not isinstance(entries, list):
        raise AnsibleFilterError("mail2fax.m365.take_back takes the entry ours of a result")
    return ours.take_back(entries, str(app_id) if app_id else None)


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"take_back": take_back}
