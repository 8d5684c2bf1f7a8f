#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: exchange_mailbox_protocols
short_description: Switch IMAP, POP and SMTP AUTH on for single mailboxes
version_added: 0.2.0
description:
  - Keeps IMAP, POP and SMTP AUTH switched on for the mailboxes that are named, and for no others. An application that
    signs in to a mailbox by one of them, with a token, needs it as much as a person with a password does.
  - SMTP AUTH of a mailbox has three states. If it is not set, the mailbox follows the organization; its own value wins
    in both directions. The organization's switch is read and explained, and never written.
  - Nothing is written where a protocol is let in already, by whichever of the two.
author:
  - The mail2fax.m365 authors (@mail2fax)
extends_documentation_fragment:
  - mail2fax.m365.connection
  - mail2fax.m365.connection.network
  - mail2fax.m365.connection.windows_host
  - mail2fax.m365.attributes
options:
  mailboxes:
    description:
      - Addresses of the mailboxes, primary or not. They have to be user, shared, room or equipment mailboxes.
      - Needed with O(state=present).
    type: list
    elements: str
    default: []
  protocols:
    description:
      - What is switched on. Those that are not named stay as they are.
      - Needed with O(state=present).
    type: list
    elements: str
    choices: [imap, pop, smtp]
    default: []
  restore:
    description:
      - With O(state=absent), what each switch was before, as RV(added) of an earlier run told it.
      - A switch that somebody changed since stays as it is now, and a warning says so.
    type: list
    elements: dict
    default: []
    suboptions:
      mailbox:
        description: The mailbox's Guid, or an address. One that does not exist any more is passed over.
        type: str
        required: true
      setting:
        description: The property.
        type: str
        required: true
        choices: [ImapEnabled, PopEnabled, SmtpClientAuthenticationDisabled]
      before:
        description:
          - Its value. If it is not set, SMTP AUTH of the mailbox follows the organization again; the other two have no
            such state, and stay.
        type: bool
  state:
    description: Whether the protocols are switched on, or what O(restore) names is put back.
    type: str
    choices: [present, absent]
    default: present
notes:
  - A change is in force within an hour, mostly within some minutes.
  - Tools that switch SMTP AUTH off for everybody may write over a mailbox's own value. Exempt the fax mailboxes there.
  - The operator needs the Entra role Exchange Administrator.
seealso:
  - module: mail2fax.m365.exchange_mailbox_permission
  - module: mail2fax.m365.mailbox_probe_info
"""

EXAMPLES = r"""
- name: The fax mailbox can be read by IMAP and sent from by SMTP
  mail2fax.m365.exchange_mailbox_protocols:
    tenant: imagicleucdev.onmicrosoft.com
    mailboxes:
      - fax@imagicleucdev.onmicrosoft.com
    protocols: [imap, smtp]

- name: SMTP AUTH of the fax mailbox follows the organization again
  mail2fax.m365.exchange_mailbox_protocols:
    tenant: imagicleucdev.onmicrosoft.com
    state: absent
    restore:
      - mailbox: fax@imagicleucdev.onmicrosoft.com
        setting: SmtpClientAuthenticationDisabled
        before: null
"""

RETURN = r"""
mailboxes:
  description: The mailboxes that are named, as they are now, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    mailbox:
      description: The mailbox's primary address.
      type: str
    guid:
      description: The mailbox's Guid, which stays when it is renamed.
      type: str
    imap:
      description: Whether IMAP is switched on.
      type: bool
    pop:
      description: Whether POP is switched on.
      type: bool
    smtp_auth:
      description: The mailbox's own value for SMTP AUTH, null where it follows the organization.
      type: bool
    smtp_auth_effective:
      description: Whether SMTP AUTH is let in, by its own value or by the organization's.
      type: bool
organization:
  description: What holds for every mailbox without a value of its own. It is never changed.
  returned: success
  type: dict
  contains:
    smtp_auth_disabled:
      description: Whether SMTP AUTH is switched off for the organization (C(Get-TransportConfig)).
      type: bool
added:
  description: >-
    What was changed, or would be in check mode: entries of the C(kind) C(switch), C(of) a mailbox's Guid, whose C(id)
    is the property, with its value C(before).
  returned: when something was switched on
  type: list
  elements: dict
in_force_by:
  description: When a change made now is in force at the latest (ISO 8601, UTC).
  returned: changed
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
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_protocols import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
