#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_report
short_description: Make one page and one table of many tenants
version_added: 0.2.0
description:
  - Reads what the last runs have left of each host (the result, the audit, the report of reach), and writes a page of
    HTML and a table as CSV, what is most urgent first. No tenant is asked anything.
  - A host of which nothing is known, or whose result cannot be read, is in both, and says so.
  - Beside them it writes a file for C(--limit) with those that want another run.
  - It runs where Ansible itself runs, and is meant to run once (C(run_once)).
author:
  - The mail2fax.m365 authors (@mail2fax)
options:
  hosts:
    description:
      - Names of the hosts. Of each, C(mail2fax_handover_dir) and C(mail2fax_record_store) say where its results are.
    type: list
    elements: str
    required: true
  named:
    description:
      - Patterns and limits by which the hosts were chosen. Names in them by which nobody is called are told.
    type: list
    elements: str
    default: []
  folder:
    description:
      - Where C(fleet.html), C(fleet.csv) and C(fleet.limit) are written; a relative path counts from the inventory's
        folder. Without it, where the results of all hosts are, if that is one folder, else C(handover) beside the
        inventory.
    type: str
  time_zone:
    description: The IANA name of the time zone of the page's times.
    type: str
    default: UTC
  at:
    description: The instant from which days are counted, in ISO 8601. Now, if it is not given.
    type: str
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
    details: The page, which tells when it was made, is written each time. That alone is no change.
seealso:
  - module: mail2fax.m365.handover_file
"""

EXAMPLES = r"""
- name: Make one page of all tenants
  mail2fax.m365.fleet_report:
    hosts: "{{ ansible_play_hosts_all }}"
    folder: /srv/fax/report
  run_once: true
"""

RETURN = r"""
page:
  description: Path of the page.
  returned: success
  type: str
table:
  description: Path of the table.
  returned: success
  type: str
limit:
  description: Path of the file for C(--limit).
  returned: success
  type: str
counts:
  description: How many tenants are how urgent.
  returned: success
  type: dict
  sample: {"now": 1, "soon": 2, "unknown": 0, "waits": 4, "fine": 293, "removed": 0}
tenants:
  description: C(host), C(urgency), C(outcome) and C(next) of each tenant, the most urgent first.
  returned: success
  type: list
  elements: dict
summary:
  description: Lines for the terminal.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        {
            "hosts": {"type": "list", "elements": "str", "required": True},
            "named": {"type": "list", "elements": "str", "default": []},
            "folder": {"type": "str"},
            "time_zone": {"type": "str", "default": "UTC"},
            "at": {"type": "str"},
        },
        supports_check_mode=True,
    )
    module.fail_json(msg="fleet_report needs its action plugin, which runs where Ansible itself runs")


if __name__ == "__main__":
    main()
