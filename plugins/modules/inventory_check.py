#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: inventory_check
short_description: Look whether the variables of a host can be what is meant
version_added: 0.2.0
description:
  - The first task of every playbook of this collection. It looks at the host's variables whose names begin with
    C(mail2fax_), and reads the result of the last run, from wherever C(mail2fax_record_store) keeps it. No request is
    sent to a tenant, and nothing is written.
  - Complaints are returned, not raised, so that each host can end for itself after its result has been written. The
    task fails only where an extra variable has a name under which the playbooks keep what they find.
  - It runs where Ansible itself runs, whatever the host's connection is.
author:
  - The mail2fax.m365 authors (@mail2fax)
options:
  playbook:
    description: The playbook that is to run, such as V(provision).
    type: str
    required: true
  hosts:
    description:
      - Hosts whose results of this module, registered as C(mail2fax_inventory), are compared. Two that have one file,
        one place of a store, or one application of one tenant get a complaint each.
    type: list
    elements: str
attributes:
  check_mode:
    description: Predicts what would change without changing it.
    support: full
  diff_mode:
    description: Shows the state before and after.
    support: none
  idempotent:
    description: When run twice with the same options, the second run changes nothing.
    support: full
seealso:
  - module: mail2fax.m365.handover_file
"""

EXAMPLES = r"""
- name: Look at the inventory
  mail2fax.m365.inventory_check:
    playbook: provision
  register: mail2fax_inventory
"""

RETURN = r"""
refused:
  description: >-
    Sentences that tell what is wrong and what to do, none if all is well. With O(hosts), by the name of each host that
    has any.
  returned: success
  type: raw
host:
  description: The inventory's name of the host.
  returned: without O(hosts)
  type: str
playbook:
  description: The option of this name.
  returned: without O(hosts)
  type: str
tenant:
  description: What C(mail2fax_tenant) says.
  returned: without O(hosts)
  type: str
expected_domain:
  description: What C(mail2fax_expected_domain) says.
  returned: without O(hosts)
  type: str
record:
  description: >-
    The result that the last run left. Empty if there is none, or none that can be used, or where C(record_text) has it.
  returned: without O(hosts)
  type: dict
record_text:
  description: The same as JSON, where nothing but the end of the run asks for it. Empty otherwise.
  returned: without O(hosts)
  type: str
record_refused:
  description: Why the result that is there cannot be used. Empty if it can.
  returned: without O(hosts)
  type: str
known:
  description: >-
    What the steps ask of the last result: C(app_id), C(made_by), C(tenant_id), C(key_id), C(key_ids), C(stored_in),
    C(adopted), C(accepted_credentials), C(ews_in_force_by), C(proof_by) and C(removing). Ids are empty where
    nothing is known.
  returned: without O(hosts)
  type: dict
definition:
  description: >-
    What the profile comes to, as P(mail2fax.m365.profile#lookup) tells it, with what the record tells of a migration.
    Empty where a role has to look it up for itself.
  returned: without O(hosts)
  type: dict
record_path:
  description: Where the result belongs.
  returned: without O(hosts)
  type: str
record_source:
  description: Where it was read, which is another place if version 0.1.0 left it.
  returned: without O(hosts)
  type: str
record_version:
  description: Which version of it was read, where C(mail2fax_record_store) is no folder.
  returned: without O(hosts)
  type: dict
folder:
  description: The folder of the results, absolute, whether they are kept there or not.
  returned: without O(hosts)
  type: str
blocked:
  description: >-
    Sentences that tell why no run may begin, none if one may: a store of records that does not answer, a variable that
    no vault password of the run opens.
  returned: without O(hosts)
  type: list
  elements: str
volatile:
  description: >-
    Sentences that tell why what a run finds and makes would be forgotten, none if it would not: a place that goes with
    the job.
  returned: without O(hosts)
  type: list
  elements: str
moves:
  description: Files that version 0.1.0 left, with C(source) and C(destination).
  returned: without O(hosts)
  type: list
  elements: dict
writes:
  description: Whether the result of this run can be written there in spite of complaints.
  returned: without O(hosts)
  type: bool
claim:
  description: What is compared between hosts.
  returned: without O(hosts)
  type: dict
declared:
  description: >-
    What the inventory declares of the tenant, by variable, where C(mail2fax_evidence_dir) asks for a pack. No secret,
    and nothing of how the operator signs in.
  returned: without O(hosts)
  type: dict
rings:
  description: >-
    What the host says of rings. With O(hosts), C(sizes), how many tenants each ring of the run has, and C(max_bad), how
    many percent of one may be blocked or failed.
  returned: success
  type: dict
looked_up:
  description: >-
    Values of variables, none of them a secret, that a look-up has filled: they hold for the whole run. With O(hosts),
    a list of C(host) and C(name).
  returned: success
  type: raw
unmet:
  description: Parts of the limit and of C(mail2fax_hosts) that mean nobody.
  returned: with O(hosts)
  type: list
  elements: str
stale:
  description: Names under which an earlier play of the same run has left results.
  returned: with O(hosts)
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        {"playbook": {"type": "str", "required": True}, "hosts": {"type": "list", "elements": "str"}},
        supports_check_mode=True,
    )
    module.fail_json(msg="inventory_check needs its action plugin, which runs where Ansible itself runs")


if __name__ == "__main__":
    main()
