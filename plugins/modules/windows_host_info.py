#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: windows_host_info
short_description: Check a Windows management host for Exchange's PowerShell module
version_added: 0.1.0
description:
  - Tries out, one after another, the things that O(exchange_transport=winrm) relies on, and tells which of them hold.
  - Without O(exchange) no tenant and no sign-in to Microsoft 365 is needed. The module reaches the host O(winrm_host),
    runs the collection's own PowerShell script there, and compares what comes back with what was sent; bytes, texts of
    every kind, long answers, and how objects are converted. It looks at the versions of PowerShell, of the .NET
    Framework and of Exchange's module, too.
  - With O(exchange=true) the host connects to Exchange Online as well, and what it reads there is compared with what
    Exchange's REST endpoint answers.
  - RV(report) holds no names, addresses or secrets, so that it can be shown to others.
author:
  - The mail2fax.m365 authors (@mail2fax)
extends_documentation_fragment:
  - mail2fax.m365.connection
  - mail2fax.m365.connection.network
  - mail2fax.m365.connection.windows_host
  - mail2fax.m365.attributes.info
options:
  exchange:
    description: Whether to connect to Exchange Online and compare what both ways read.
    type: bool
    default: false
  megabytes:
    description: How long an answer is tried, in units of 1048576 characters.
    type: int
    default: 5
seealso:
  - module: mail2fax.m365.m365_tenant_info
"""

EXAMPLES = r"""
- name: Does this Windows host do what is needed?
  mail2fax.m365.windows_host_info:
    winrm_host: mgmt01.contoso.example
    winrm_user: CONTOSO\svc-m365
    winrm_password: "{{ windows_password }}"

- name: Does Exchange's module read the same as its REST endpoint?
  mail2fax.m365.windows_host_info:
    winrm_host: mgmt01.contoso.example
    winrm_user: CONTOSO\svc-m365
    winrm_password: "{{ windows_password }}"
    tenant: contoso.onmicrosoft.com
    exchange: true
"""

RETURN = r"""
host:
  description: What the host tells about itself.
  returned: when the host answered
  type: dict
  contains:
    computer:
      description: Its name.
      type: str
    user:
      description: As whom the script runs; null on another system than Windows.
      type: str
    operating_system:
      description: The version of the operating system.
      type: str
    powershell:
      description: The version of PowerShell.
      type: str
    language_mode:
      description: PowerShell's language mode for this user.
      type: str
    execution_policy:
      description: The execution policy that is in force for the script.
      type: str
    framework_release:
      description: The release number of the .NET Framework, null in PowerShell 7.
      type: int
    modules:
      description: The installed versions of ExchangeOnlineManagement, the newest first.
      type: list
      elements: str
    temporary_folder:
      description: Where Exchange's module writes what it loads.
      type: str
checks:
  description: Every assumption, and whether it holds.
  returned: when the host answered
  type: list
  elements: dict
  contains:
    check:
      description: The assumption.
      type: str
    holds:
      description: Whether it holds.
      type: bool
    found:
      description: What was seen.
      type: str
    cure:
      description: What to do, null when it holds.
      type: str
report:
  description: The same as lines of text, to be shown to others.
  returned: when the host answered
  type: list
  elements: str
ready:
  description: Whether every assumption holds.
  returned: when the host answered
  type: bool
outcome:
  description: What became of the check; V(ok), V(blocked) or V(failed).
  returned: always
  type: str
  sample: ok
summary:
  description: The outcome in a few words.
  returned: always
  type: str
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
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.windows_host import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
