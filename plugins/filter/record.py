# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import record as _record
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import words
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

DOCUMENTATION = r"""
name: record
short_description: Read what the last run left of a tenant
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Takes the text of the result that the role P(mail2fax.m365.handover#role) wrote, by whatever version of this
    collection, and returns it in the shape of this one.
  - A result that cannot be read, that a later version wrote, or that belongs to another tenant is not used, and
    RV(_value.refused) tells why.
positional: host, tenant_id, profile
options:
  _input:
    description: The text of the result, or the dictionary that ansible-core 2.18 makes of it. Empty if there is none.
    type: raw
    required: true
  host:
    description: The tenant's name in the inventory, which the result has to name. Not compared if it is not given.
    type: str
  tenant_id:
    description: The tenant's id, which the result has to name. Not compared if it is not given.
    type: str
  profile:
    description: The profile of a provisioning, as the lookup P(mail2fax.m365.profile#lookup) returns it.
    type: dict
"""

EXAMPLES = r"""
- name: Tell how the last run left the tenant
  ansible.builtin.debug:
    msg: "{{ (text | mail2fax.m365.record(inventory_hostname)).document.state }}"
  vars:
    text: "{{ lookup('ansible.builtin.file', 'handover/' ~ inventory_hostname ~ '.json') }}"
"""

RETURN = r"""
_value:
  description: What was read.
  type: dict
  contains:
    document:
      description: The result of the last run. Empty if there is none to be used.
      type: dict
    removing:
      description: >-
        Why no run but a removal may go on, in words, while what limits a removed application still stands. Empty
        otherwise.
      type: str
    another:
      description: >-
        Why a provisioning may not go on, in words, where it would take another profile or scoping model than the result
        shows. Empty otherwise.
      type: str
    refused:
      description: Why the result is not used, in words. Empty if it is used, or if there is none.
      type: str
"""


def record(text: t.Any, host: t.Any = None, tenant_id: t.Any = None, profile: t.Any = None) -> dict[str, t.Any]:
    """See DOCUMENTATION."""
    found = _record.read(plain(text), str(host) if host else None, str(tenant_id) if tenant_id else None)
    removing = words.being_removed(found.document)
    another = words.another(found.document, plain(profile)) if profile else ""
    return t.cast(
        "dict[str, t.Any]",
        wrap_var({"document": found.document, "refused": found.refused, "removing": removing, "another": another}),
    )


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"record": record}
