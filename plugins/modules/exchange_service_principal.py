#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: exchange_service_principal
short_description: Make an application's service principal known to Exchange
version_added: 0.2.0
description:
  - Keeps the object by which Exchange Online knows an application's service principal (C(New-ServicePrincipal)). Role
    assignments (M(mail2fax.m365.exchange_application_role)) and rights on mailboxes
    (M(mail2fax.m365.exchange_mailbox_permission)) hang on it.
  - Exchange takes any object ID, and a wrong one shows nowhere but when the application signs in. So before anything is
    written the ID is read from Microsoft Graph. The usual mistake is the object ID of the registration, which has to be
    that of the enterprise application.
author:
  - The mail2fax.m365 authors (@mail2fax)
extends_documentation_fragment:
  - mail2fax.m365.connection
  - mail2fax.m365.connection.network
  - mail2fax.m365.connection.windows_host
  - mail2fax.m365.attributes
options:
  app_id:
    description:
      - Application (client) ID of the application.
      - In check mode all zeros stand for an application that is still to be made.
    type: str
    required: true
  object_id:
    description:
      - Object ID of the application's service principal, such as M(mail2fax.m365.entra_application) returns it.
      - It is compared with what Microsoft Graph says, and the task stops where that is another one.
    type: str
  object_id_read:
    description:
      - Whether O(object_id) was read from Microsoft Graph in this run, such as by M(mail2fax.m365.entra_application).
        Then nothing is asked of Graph where Exchange has the same. Before something is written it always is.
    type: bool
    default: false
  pointer_read:
    description:
      - What was read of it in this run, as M(mail2fax.m365.m365_tenant_info) returns it under C(service_principal).
      - Together with O(object_id_read), nothing is asked of Exchange where it has O(object_id).
    type: dict
  display_name:
    description:
      - Name that the object gets when it is made, by default that of the service principal. One that exists keeps its
        name, which means nothing.
    type: str
  on_wrong_pointer:
    description:
      - What to do where Exchange has another object ID for the application than Entra.
      - With V(fail) the task stops and explains it. With V(replace) the object is removed and made anew, with a new
        SID. Role assignments go with the old one, and rights on mailboxes stay behind, of a SID that leads to nobody.
    type: str
    choices: [fail, replace]
    default: fail
  mailboxes:
    description:
      - With O(state=absent), addresses or Guids of mailboxes where the application may have FullAccess, which shows
        mailbox by mailbox only.
      - In check mode the rights on these, and the role assignments that this collection named, count as taken back.
    type: list
    elements: str
    default: []
  state:
    description:
      - Whether Exchange knows the service principal.
      - With V(absent) the task stops as long as a role assignment or a right of the application is found, whoever gave
        it. Exchange itself would remove assignments unasked, and leave rights behind.
    type: str
    choices: [present, absent]
    default: present
notes:
  - The operator needs the Entra role Exchange Administrator, and the permission to read applications in Microsoft Graph
    (C(Application.Read.All)).
  - Exchange removes the object by itself when the service principal is deleted from Entra.
seealso:
  - module: mail2fax.m365.exchange_application_role
  - module: mail2fax.m365.exchange_mailbox_permission
"""

EXAMPLES = r"""
- name: Exchange knows the fax server
  mail2fax.m365.exchange_service_principal:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    display_name: Mail2DigitalFax

- name: The same, and one that somebody made with the wrong object ID is made anew
  mail2fax.m365.exchange_service_principal:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    on_wrong_pointer: replace

- name: Exchange forgets the fax server, if nothing hangs on it any more
  mail2fax.m365.exchange_service_principal:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    mailboxes: [fax@imagicleucdev.onmicrosoft.com]
    state: absent
"""

RETURN = r"""
service_principal:
  description: Exchange's object as it is now, or would be in check mode; null when there is none.
  returned: success
  type: dict
  contains:
    app_id:
      description: Application (client) ID.
      type: str
      sample: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    object_id:
      description: Object ID of the service principal in Entra; zeros in check mode where that is still to be made.
      type: str
    sid:
      description: SID by which entries on mailboxes are told; empty in check mode for one to be made.
      type: str
      sample: S-1-5-21-1528493256-2146800316-3029175224-40001
    display_name:
      description: Display name in Exchange.
      type: str
    identity:
      description: Exchange's own name for it.
      type: str
sid:
  description: The SID, null where there is none (yet).
  returned: success
  type: str
object_id:
  description: The object ID of the service principal, null where Exchange knows none.
  returned: success
  type: str
added:
  description: >-
    What was not there before and is now, or would be in check mode: an entry of the C(kind) C(pointer), C(of) the
    application's id, whose C(id) is the object ID.
  returned: when it was made
  type: list
  elements: dict
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
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.service_principal import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
