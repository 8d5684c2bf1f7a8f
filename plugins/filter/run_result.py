# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import result
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

DOCUMENTATION = r"""
name: run_result
short_description: Make one document of the results of a run's steps
version_added: 0.1.0
author:
  - The mail2fax.m365 authors (@mail2fax)
description:
  - Takes the registered results of the steps of a run and returns the document that the role
    P(mail2fax.m365.handover#role) writes, together with whether it tells anything new.
  - Only named values are taken over. A secret's value is never among them.
positional: context
options:
  _input:
    description:
      - The registered results by step. Steps that did not run may be missing.
      - To provision, and to audit, takes C(preflight), C(application), C(scope_group), C(access_policy), C(ews_access),
        C(client_secret), C(admin_consent), C(access_verdict) and C(mailbox_probe). An audit takes C(credentials)
        besides, which is what M(mail2fax.m365.entra_application_info) returned.
      - To decommission takes C(preflight), C(admin_consent), C(client_secret), C(application), C(ews_access),
        C(access_policy) and C(scope_group).
      - An audit takes C(reach), too, which is C(step) of what P(mail2fax.m365.reach_report#filter) returns. A report of
        reach takes C(preflight) and that.
      - To rotate takes C(client_secret) and C(mailbox_probe), and C(preflight) if the tenant was looked at.
    type: dict
    required: true
  context:
    description: What is known besides the results.
    type: dict
    required: true
    suboptions:
      host:
        description: The inventory's name of the tenant.
        type: str
        required: true
      kind:
        description: What the run is for.
        type: str
        choices: [provision, decommission, rotate, reach, migrate]
        default: provision
      mode:
        description: Whether the run applied, predicted or only looked.
        type: str
        choices: [apply, check, audit]
        default: apply
      profile:
        description: The profile, as the lookup P(mail2fax.m365.profile#lookup) returns it.
        type: dict
        required: true
      names:
        description: The names wanted for C(application), C(unique_name), C(secret), C(group) and C(group_alias).
        type: dict
      mailboxes:
        description: The fax mailboxes.
        type: list
        elements: str
      stopped:
        description: What stopped the run, with C(task), C(msg), C(outcome) and C(error). Empty if nothing did.
        type: dict
      previous:
        description: The text of the last document. Empty if there is none.
        type: str
      renew_before:
        description: How many days before its end the secret is renewed.
        type: int
      previous_audit:
        description: The text of the document of the last audit. Empty if there is none.
        type: str
      thresholds:
        description:
          - How many days before its end a secret or certificate is V(pending) and V(blocked), a list of numbers each.
          - Those for V(pending) are 60 and 30, those for V(blocked) 14 and 7, if nothing is said.
        type: dict
      app_id:
        description: The Application (client) ID where no result tells it.
        type: str
      kept:
        description: Reasons why a removal left something.
        type: list
        elements: str
"""

EXAMPLES = r"""
- name: Show the outcome of two steps
  ansible.builtin.debug:
    msg: "{{ {'preflight': preflight_result, 'application': application_result} | mail2fax.m365.run_result(context) }}"
  vars:
    context:
      host: "{{ inventory_hostname }}"
      profile: "{{ lookup('mail2fax.m365.profile', 'imagicle_ews') }}"
"""

RETURN = r"""
_value:
  description: The document and what it amounts to.
  type: dict
  contains:
    document:
      description: The document, without any secret.
      type: dict
    changed:
      description: Whether it tells anything of the tenant that the last one did not, times aside.
      type: bool
    outcome:
      description: The worst outcome of the steps, V(ok), V(changed), V(pending), V(blocked) or V(failed).
      type: str
    summary:
      description: The outcome in a few words.
      type: str
    complaint:
      description: Why the run has to end red. Empty if it need not.
      type: str
"""


def run_result(results: t.Any, context: t.Any) -> dict[str, t.Any]:
    """See DOCUMENTATION."""
    if not isinstance(results, t.Mapping) or not isinstance(context, t.Mapping):
        raise AnsibleFilterError(
            "mail2fax.m365.run_result takes the results by step, and a context, both as dictionaries"
        )
    try:
        found = result.result(results, context)
    except ValueError as exc:
        raise AnsibleFilterError(f"mail2fax.m365.run_result: {exc}") from exc
    # Names in a tenant may look like templates. ansible-core 2.18 would follow them; later ones never do.
    return t.cast("dict[str, t.Any]", wrap_var(plain(found)))


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"run_result": run_result}
