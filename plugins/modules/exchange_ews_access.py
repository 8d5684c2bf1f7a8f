#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: exchange_ews_access
short_description: Open or close Exchange Web Services for one application
version_added: 0.1.0
description:
  - Keeps one application on the tenant's list of applications that may use Exchange Web Services (EWS),
    and EWS switched on, in the organization configuration of Exchange Online.
  - The list is read, merged and written whole. The entries of other applications stay as they are, byte for byte.
  - Changes take up to 24 hours to come into force. EWS ends for every tenant on 2027-04-01.
author:
  - The mail2fax.m365 authors (@mail2fax)
extends_documentation_fragment:
  - mail2fax.m365.connection
  - mail2fax.m365.connection.network
  - mail2fax.m365.connection.windows_host
  - mail2fax.m365.attributes
options:
  app_id:
    description: Application (client) ID of the application.
    type: str
    required: true
  state:
    description: Whether the application may use EWS.
    type: str
    choices: [present, absent]
    default: present
  on_unset:
    description:
      - What to do when the tenant has not decided, that is C(EwsEnabled) is null. EWS works for every application
        then, until Microsoft switches the tenant to V(false).
      - With V(keep) nothing is changed. With V(enable) EWS is switched on for the listed applications alone, which
        shuts out every application that is not on the list.
    type: str
    choices: [keep, enable]
    default: keep
  on_absent:
    description:
      - What C(EwsEnabled) becomes with O(state=absent).
      - With V(auto) it stays as it is, unless this was the last application on the list; then EWS is switched off.
    type: str
    choices: [auto, enabled, disabled, unset]
    default: auto
seealso:
  - module: mail2fax.m365.mailbox_probe_info
"""

EXAMPLES = r"""
- name: Let the fax server use EWS where the tenant blocks it
  mail2fax.m365.exchange_ews_access:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b

- name: Take the fax server off the list
  mail2fax.m365.exchange_ews_access:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    state: absent
"""

RETURN = r"""
app_id:
  description: Application (client) ID of the application.
  returned: success
  type: str
ews:
  description: The settings as they are now, or would be in check mode.
  returned: success
  type: dict
  contains:
    EwsEnabled:
      description: The switch, null when the tenant has not decided.
      type: bool
    EwsAllowedAppIDs:
      description: The list as one string, null when there is none.
      type: str
found:
  description: The settings as this task found them, in the same shape as RV(ews).
  returned: success
  type: dict
allowed:
  description: Whether the application may use EWS, null when the tenant has not decided.
  returned: success
  type: bool
agents:
  description:
    - What the tenant's older control by user agents (C(EwsApplicationAccessPolicy)) keeps out, in words; null where all
      may pass. It keeps EWS closed whatever the list of applications says, and no waiting opens it.
  returned: success
  type: str
added:
  description: >-
    What was not there before and is now, or would be in check mode: an entry of the C(kind) C(ews_entry), whose C(id)
    is the application's.
  returned: when the application came onto the list
  type: list
  elements: dict
in_force_by:
  description: When a change made now is in force at the latest (ISO 8601, UTC).
  returned: when EWS was opened
  type: str
outcome:
  description: What became of the step.
  returned: always
  type: str
  sample: changed
summary:
  description: The outcome in a few words.
  returned: always
  type: str
steps:
  description: What was changed, or would be in check mode.
  returned: changed
  type: list
  elements: str
waited:
  description:
    - What the task waited for (C(for)) and how many C(seconds) in all, the longest first. What took less than 15
      seconds is left out.
  returned: when something took that long
  type: list
  elements: dict
error:
  description: What went wrong, for machines; C(msg) says the same to people.
  returned: failure
  type: dict
"""

from ansible_collections.mail2fax.m365.plugins.module_utils._module import run_module
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.ews_access import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
