#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: handover
short_description: Hand over what a run came to
version_added: 0.2.0
description:
  - The tasks of the role P(mail2fax.m365.handover#role), one before a run and one at its end. What they write, and
    where, are the variables of that role, C(handover_results), C(handover_dir) and the like. Each is looked at by its
    name when its turn comes, so that the record is written whatever is wrong with what only the sheet says.
  - It puts everything together where Ansible itself runs, and has M(mail2fax.m365.handover_file) write it.
author:
  - The mail2fax.m365 authors (@mail2fax)
options:
  stage:
    description:
      - V(check) looks whether the hand-over can be written, and fails where it cannot, or where a person has to decide
        something first.
      - V(write) puts the results of the run together and writes them, and then the sheet.
      - V(certain) puts together what is known for certain where V(write) has failed, and writes nothing.
    type: str
    required: true
    choices: [check, write, certain]
  stopped:
    description: With O(stage=certain), what stopped the end of the run, with C(step), C(task), C(outcome) and C(msg).
    type: dict
    default: {}
attributes:
  check_mode:
    description: Predicts what would change without changing it.
    support: full
  diff_mode:
    description: Shows the state before and after.
    support: full
  idempotent:
    description: When run twice with the same options, the second run changes nothing.
    support: full
seealso:
  - module: mail2fax.m365.handover_file
  - plugin: mail2fax.m365.run_result
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Hand over what the steps before have returned
  mail2fax.m365.handover:
    stage: write
  register: handover_result
"""

RETURN = r"""
document:
  description: The document of the run, without any secret.
  returned: success, but for O(stage=check)
  type: dict
news:
  description: Whether it tells anything of the tenant that the last one did not, times aside, written or not.
  returned: success, but for O(stage=check)
  type: bool
outcome:
  description: The worst outcome of the steps, V(ok), V(changed), V(pending), V(blocked) or V(failed).
  returned: always
  type: str
summary:
  description: The outcome in a few words.
  returned: always
  type: str
complaint:
  description: Why the run has to end red. Empty if it need not.
  returned: success, but for O(stage=check)
  type: str
writes:
  description: >-
    Whether the run writes anything. A prediction does not, and neither does one that has found a record of another
    tenant, or of a later version.
  returned: success, but for O(stage=check)
  type: bool
as_text:
  description: The sheet as lines of text, for the end of the log.
  returned: where a sheet was made, and AWX or ansible-runner started the run
  type: list
  elements: str
error:
  description: What went wrong, for machines; C(msg) says the same to people.
  returned: failure
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        {
            "stage": {"type": "str", "required": True, "choices": ["check", "write", "certain"]},
            "stopped": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    module.fail_json(msg="handover needs its action plugin, which runs where Ansible itself runs")


if __name__ == "__main__":
    main()
