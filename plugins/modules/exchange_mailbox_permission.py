#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: exchange_mailbox_permission
short_description: Give an application rights on the mailboxes that it may open by IMAP, POP or SMTP
version_added: 0.2.0
description:
  - Keeps the rights of one application on mailboxes of Exchange Online, all mailboxes in one task. FullAccess lets it
    open a mailbox by IMAP, POP or SMTP, and SendAs lets it send as that mailbox, where the application also has consent
    for the protocol (such as C(IMAP.AccessAsApp)). Such a consent opens nothing by itself.
  - An entry on a mailbox is the application's by its security identifier (SID), never by a name. Entries of anybody
    else are never changed.
  - Before the first right is given, the task looks who can sign in as the application, as
    M(mail2fax.m365.entra_admin_consent) does, and whether Exchange's service principal leads to the application.
  - Rights that have to go are taken off before others are given.
author:
  - The mail2fax.m365 authors (@mail2fax)
extends_documentation_fragment:
  - mail2fax.m365.connection
  - mail2fax.m365.connection.network
  - mail2fax.m365.connection.windows_host
  - mail2fax.m365.attributes
  - mail2fax.m365.ownership
options:
  app_id:
    description:
      - Application (client) ID of the application. Exchange has to know it, see
        M(mail2fax.m365.exchange_service_principal).
      - In check mode all zeros stand for an application that is still to be made.
    type: str
    required: true
  mailboxes:
    description:
      - Addresses of the mailboxes, primary or not. They have to be user, shared, room or equipment mailboxes.
      - With O(state=absent) an address that nobody has any more is passed over, and the list may be empty.
    type: list
    elements: str
    required: true
  full_access:
    description: Whether the application gets FullAccess, with which it opens the mailboxes.
    type: bool
    default: true
  send_as:
    description: Whether the application gets SendAs, with which it sends as the mailboxes.
    type: bool
    default: false
  exclusive:
    description:
      - Whether the application's rights are taken off every other mailbox on which they are found, and with them what
        it has besides O(full_access) and O(send_as) on the declared ones.
      - SendAs is found in the whole tenant. FullAccess is found on the mailboxes that O(scan) names.
    type: bool
    default: false
  candidates:
    description:
      - Further mailboxes to look at, by address or Guid, such as the control mailboxes and those of which the record of
        an earlier run knows. One that does not exist is passed over.
      - With O(state=absent) the application's rights are taken off these as well. A mailbox that was renamed meanwhile
        is found by its Guid.
    type: list
    elements: str
    default: []
  scan:
    description:
      - Where FullAccess is looked for. Exchange shows it mailbox by mailbox only.
      - With V(candidates) on the declared mailboxes and on O(candidates). With V(all) on every mailbox of the tenant,
        at most O(scan_limit); each ten of them take a request.
    type: str
    choices: [candidates, all]
    default: candidates
  scan_limit:
    description: How many mailboxes O(scan=all) looks at. If the tenant has more, a warning says so.
    type: int
    default: 1000
  former_sids:
    description:
      - SIDs of service principals that the application had in Exchange before, as RV(sid) of earlier runs told them.
        Their rights open nothing any more. With O(exclusive=true) or O(state=absent) they are taken off the mailboxes
        that are looked at.
      - Rights of other SIDs that nobody knows are returned in RV(orphans), and stay.
    type: list
    elements: str
    default: []
  own_rights:
    description:
      - With O(state=absent), the rights that were given here, as RV(added) of earlier runs told them. No other goes,
        and O(exclusive) counts for nothing. If left out, all rights go that the application has on the mailboxes.
    type: list
    elements: dict
    suboptions:
      mailbox:
        description: The mailbox's Guid.
        type: str
        required: true
      right:
        description: V(FullAccess) or V(SendAs).
        type: str
        required: true
  state:
    description:
      - Whether the application has the rights.
      - With V(absent) all rights of this application are taken off the mailboxes of O(mailboxes) and O(candidates), and
        with O(exclusive=true) off every other one on which they are found. Do that before the application's service
        principal is removed, which would leave them behind.
    type: str
    choices: [present, absent]
    default: present
notes:
  - An entry that denies the application a declared right stops the task, because a denial wins over what is given.
  - Exchange takes 500 entries on a mailbox.
  - Rights are in force within an hour, mostly within some minutes.
  - The operator needs the Entra role Exchange Administrator, and in Microsoft Graph the permission to read applications
    (C(Application.Read.All)).
seealso:
  - module: mail2fax.m365.exchange_service_principal
  - module: mail2fax.m365.exchange_mailbox_protocols
  - module: mail2fax.m365.entra_admin_consent
"""

EXAMPLES = r"""
- name: The fax server opens the fax mailbox and sends as it
  mail2fax.m365.exchange_mailbox_permission:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    mailboxes:
      - fax@imagicleucdev.onmicrosoft.com
    send_as: true
    accept_credentials: "{{ adopted_application.accepted | map(attribute='id') }}"

- name: The same, and it has no right on any other mailbox of the tenant
  mail2fax.m365.exchange_mailbox_permission:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    mailboxes:
      - fax@imagicleucdev.onmicrosoft.com
    send_as: true
    exclusive: true
    scan: all

- name: Take its rights back
  mail2fax.m365.exchange_mailbox_permission:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    mailboxes:
      - fax@imagicleucdev.onmicrosoft.com
    state: absent
"""

RETURN = r"""
app_id:
  description: Application (client) ID of the application.
  returned: success
  type: str
sid:
  description: SID of the application's service principal in Exchange, null where Exchange does not know it (yet).
  returned: success
  type: str
  sample: S-1-5-21-1528493256-2146800316-3029175224-40001
rights:
  description: What the application has on each declared mailbox now, or would have in check mode.
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
    full_access:
      description: Whether it has FullAccess.
      type: bool
    send_as:
      description: Whether it has SendAs.
      type: bool
elsewhere:
  description: Other mailboxes on which this task found rights of the application.
  returned: success
  type: list
  elements: dict
  contains:
    mailbox:
      description: The mailbox's primary address.
      type: str
    guid:
      description: The mailbox's Guid.
      type: str
    rights:
      description: The rights, in Exchange's words. With O(exclusive=true) they were taken off.
      type: list
      elements: str
orphans:
  description: Rights of SIDs that nobody knows any more, on the mailboxes that were looked at. They open nothing.
  returned: success
  type: list
  elements: dict
  contains:
    mailbox:
      description: The mailbox's primary address.
      type: str
    sid:
      description: The SID.
      type: str
    rights:
      description: The rights, in Exchange's words.
      type: list
      elements: str
    ours:
      description: Whether O(former_sids) names it.
      type: bool
scanned:
  description: How far FullAccess was looked for.
  returned: success
  type: dict
  contains:
    mailboxes:
      description: How many mailboxes were looked at.
      type: int
    complete:
      description: Whether these are all of the tenant.
      type: bool
added:
  description: >-
    What was not there before and is now, or would be in check mode: entries of the C(kind) C(right), C(of) a mailbox's
    Guid, whose C(id) is V(FullAccess) or V(SendAs), with the C(sid) that has it.
  returned: when a right was given
  type: list
  elements: dict
in_force_by:
  description: When a right that was given now is in force at the latest (ISO 8601, UTC).
  returned: when a right was given
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
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_permission import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
