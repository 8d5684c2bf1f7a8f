# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import take_back as _take_back
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import times
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

DOCUMENTATION = r"""
name: take_back
short_description: Tell what a removal may take back
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Decides from the last result of a tenant, and from what a removal has found so far, what may be taken back and what
    has to stay, and until when what limits the application stays.
  - The role P(mail2fax.m365.decommission#role) asks it before each of its steps.
positional: found
options:
  _input:
    description: The result of the last run, as P(mail2fax.m365.record#filter) returns it. Empty if there is none.
    type: dict
    required: true
  found:
    description: >-
      What is known besides. C(application_id), C(permissions), C(chosen) (the steps of the profile) and
      C(token_grace_minutes) as the inventory and the profile say them, and the registered results of the steps so
      far, C(tenant), C(consent) and C(application).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Tell what would stay
  ansible.builtin.debug:
    msg: "{{ (handover_last | mail2fax.m365.take_back({'tenant': tenant_result})).kept }}"
"""

RETURN = r"""
_value:
  description: What may be taken back.
  type: dict
  contains:
    app_id:
      description: The application's Application (client) ID. Empty if nobody knows.
      type: str
    exists:
      description: Whether the application exists and is not deleted.
      type: bool
    stays:
      description: Whether others made the application, so that it stays.
      type: bool
    known:
      description: Whether the result tells what runs added.
      type: bool
    blocked:
      description: Why nothing may be taken back, in words. Empty if nothing is in the way.
      type: str
    consent:
      description: The C(permissions) to revoke, and whether others go as well (C(exclusive)).
      type: dict
    application:
      description: >-
        What becomes of the application (C(state)), and the C(permissions) and the C(service_principal) that are taken
        off one that stays.
      type: dict
    ews:
      description: Whether the application C(goes) off the list for EWS, and what becomes of EWS (C(on_absent)).
      type: dict
    policy:
      description: Whether the access policy C(goes), and not before when (C(not_before)).
      type: dict
    roles:
      description: >-
        Whether the application roles C(goes), the names of the scopes that were made for them (C(own_scopes)), and
        whether every assignment of the application goes (C(exclusive)).
      type: dict
    rights:
      description: >-
        Whether the rights on mailboxes C(goes), the Guids of the mailboxes that have them (C(candidates)), whose they
        are (C(former_sids)), which alone go where others made the application (C(own)), and whether those on other
        mailboxes go as well (C(exclusive)).
      type: dict
    protocols:
      description: Which switches of mailboxes get back what they were (C(restore)).
      type: dict
    pointer:
      description: Whether the application in Exchange C(goes).
      type: dict
    group:
      description: Whether there is a scope group to look at (C(goes)).
      type: dict
    steps:
      description: The steps of this removal, of those that only some profiles have.
      type: list
      elements: str
    members:
      description: Addresses by the Guid of the group that they were put into.
      type: dict
    settings:
      description: What was changed of groups that others made.
      type: list
      elements: dict
    kept:
      description: What stays, and why, in sentences.
      type: list
      elements: str
"""


def take_back(record: t.Any, found: t.Any) -> dict[str, t.Any]:
    """See DOCUMENTATION."""
    if not isinstance(record, t.Mapping) or not isinstance(found, t.Mapping):
        raise AnsibleFilterError("mail2fax.m365.take_back takes a result and what was found, as dictionaries")
    known = plain(found)
    known.setdefault("now", times.iso(times.now()))
    grace = known.get("token_grace_minutes")
    known["token_grace_minutes"] = None if grace in (None, "") else int(grace)
    return t.cast("dict[str, t.Any]", wrap_var(_take_back.take_back(plain(record), known)))


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"take_back": take_back}
