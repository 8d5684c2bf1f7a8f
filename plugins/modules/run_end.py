#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: run_end
short_description: End the run of a tenant as its result says
version_added: 0.2.0
description:
  - The last task of every playbook of this collection for each host. It fails where a person is needed, with the words
    of the result that the run has left, and says of a host that could not be reached that it is unreachable.
  - It looks at what the tasks before have left, sends nothing, and runs where Ansible itself runs.
author:
  - The mail2fax.m365 authors (@mail2fax)
options: {}
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
  - module: mail2fax.m365.inventory_check
"""

EXAMPLES = r"""
- name: Stop where a person is needed
  mail2fax.m365.run_end:
"""

RETURN = r"""
msg:
  description: Why the run ends red.
  returned: failure
  type: str
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule({}, supports_check_mode=True)
    module.fail_json(msg="run_end needs its action plugin, which runs where Ansible itself runs")


if __name__ == "__main__":
    main()
