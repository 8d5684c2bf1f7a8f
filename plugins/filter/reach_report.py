# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import reach
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

DOCUMENTATION = r"""
name: reach_report
short_description: Hold what applications can open against what is declared
version_added: 0.2.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Takes what M(mail2fax.m365.application_reach_info) returned and makes the report of a tenant, which the role
    P(mail2fax.m365.reach#role) writes. It tells whether the fax server's own application opens more than the inventory
    declares, and what became wider or narrower since the last report.
  - What other applications open is listed and never judged.
positional: context
options:
  _input:
    description: The result of M(mail2fax.m365.application_reach_info).
    type: dict
    required: true
  context:
    description: What is known besides.
    type: dict
    required: true
    suboptions:
      host:
        description: The inventory's name of the tenant.
        type: str
        required: true
      tenant:
        description: The tenant's C(id), C(domain) and C(name), as far as they are known.
        type: dict
      app_id:
        description: Application (client) ID of the fax server's application. Empty where there is none yet.
        type: str
      display_name:
        description: Its display name.
        type: str
      declared:
        description: The declared mailboxes.
        type: list
        elements: str
      all_applications:
        description: Whether all applications of the tenant were looked at.
        type: bool
        default: false
      tenant_wide:
        description: The words with which somebody accepted that nothing limits the application.
        type: str
      tenant_wide_permissions:
        description: The permissions that these words are for.
        type: list
        elements: str
      extra_permissions:
        description: Permissions that the inventory grants besides.
        type: list
        elements: str
      keeps:
        description: Whether the inventory keeps members, policies or roles that nobody declared.
        type: bool
        default: false
      control:
        description: Mailboxes that must stay shut all the same.
        type: list
        elements: str
      previous:
        description: The text of the last report. Empty if there is none.
        type: str
"""

EXAMPLES = r"""
- name: Does the application open more than the fax mailbox?
  ansible.builtin.debug:
    msg: "{{ (found | mail2fax.m365.reach_report(context)).document.wider }}"
  vars:
    context:
      host: "{{ inventory_hostname }}"
      app_id: "{{ mail2fax_application_id }}"
      declared: [fax@imagicleucdev.onmicrosoft.com]
"""

RETURN = r"""
_value:
  description: The report and what it amounts to.
  type: dict
  contains:
    document:
      description: The report, from which page, table and comparison are made.
      type: dict
    changed:
      description: Whether it tells anything that the last one did not, times aside.
      type: bool
    kept:
      description:
        - What the files are to tell. It is the last report where nothing but times differs, and empty where that report
          belongs to somebody else.
      type: dict
    step:
      description: The result of the step C(reach), as P(mail2fax.m365.run_result#filter) takes it.
      type: dict
    shown:
      description: The last report and this one in lines (C(before) and C(after)), with what became wider or narrower.
      type: dict
"""


def reach_report(found: t.Any, context: t.Any) -> dict[str, t.Any]:
    """See DOCUMENTATION."""
    if not isinstance(found, t.Mapping) or not isinstance(context, t.Mapping) or not context.get("host"):
        raise AnsibleFilterError(
            "mail2fax.m365.reach_report takes the result of application_reach_info, and a context with host"
        )
    if not isinstance(found.get("applications"), list):
        raise AnsibleFilterError("mail2fax.m365.reach_report: the result has no list of applications")
    report = dataclasses.asdict(reach.compose(plain(found), plain(context)))
    # Names in a tenant may look like templates. ansible-core 2.18 would follow them; later ones never do.
    return t.cast("dict[str, t.Any]", wrap_var(report))


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"reach_report": reach_report}
