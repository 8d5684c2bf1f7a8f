#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: exchange_application_access_info
short_description: Ask Exchange which mailboxes an application may open
version_added: 0.1.0
description:
  - Returns Exchange's own verdict, V(Granted) or V(Denied), on an application and each of several mailboxes, and
    compares it with what is expected.
  - The verdict is made of what is configured. By default that is the access policies; O(scoping) names other models.
    Real access follows later, within about an hour
    of a change; M(mail2fax.m365.mailbox_probe_info) tries it. It also says nothing about consent.
  - Exchange does not check whether the application exists, and grants everything to one that no policy names. So give
    the Application (client) ID and not the object ID of the enterprise application.
author:
  - The mail2fax.m365 authors (@mail2fax)
extends_documentation_fragment:
  - mail2fax.m365.connection
  - mail2fax.m365.connection.network
  - mail2fax.m365.connection.windows_host
  - mail2fax.m365.attributes.info
options:
  app_id:
    description:
      - Application (client) ID of the application.
      - In check mode all zeros stand for an application that is still to be made; there are no verdicts then.
    type: str
    required: true
  mailboxes:
    description: Addresses of mailboxes to ask about, beside those in O(expect).
    type: list
    elements: str
    default: []
  expect:
    description: Which verdict is expected of which mailboxes. If one differs, the outcome is V(blocked).
    type: dict
    suboptions:
      granted:
        description: Addresses of mailboxes that the application may open.
        type: list
        elements: str
        default: []
      denied:
        description: Addresses of mailboxes that the application may not open.
        type: list
        elements: str
        default: []
  wait:
    description: Seconds to wait at most until every verdict is as expected. With V(0) Exchange is asked once.
    type: int
    default: 0
  scoping:
    description:
      - The scoping models that are in use, of V(application_access_policy), V(application_role), V(mailbox_permission)
        and V(tenant_wide). The verdict sums up what they say, and RV(verdicts) tells what each of them says.
      - A mailbox of O(expect.granted) has to be granted by all of them, and one of O(expect.denied) by none.
      - If left out, only the access policies are asked.
    type: list
    elements: str
    version_added: 0.2.0
  roles:
    description:
      - With V(application_role), the roles that the application has to have on a mailbox, by their names or by the
        permissions of Entra that they stand for. Exchange is asked with C(Test-ServicePrincipalAuthorization).
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  rights:
    description: With V(mailbox_permission), the rights that the application has to have on a mailbox, read by SID.
    type: dict
    version_added: 0.2.0
    suboptions:
      full_access:
        description: FullAccess.
        type: bool
        default: false
      send_as:
        description: SendAs.
        type: bool
        default: false
      sid:
        description: The SID by which Exchange knows the application, as this run has read it. It saves a question.
        type: str
seealso:
  - module: mail2fax.m365.exchange_application_access_policy
  - module: mail2fax.m365.mailbox_probe_info
"""

EXAMPLES = r"""
- name: The fax mailbox and no other
  mail2fax.m365.exchange_application_access_info:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    expect:
      granted: [fax@imagicleucdev.onmicrosoft.com]
      denied: [AdeleV@imagicleucdev.onmicrosoft.com]

- name: The same where the application has roles, and no permission in Entra
  mail2fax.m365.exchange_application_access_info:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    scoping: [application_role]
    roles: [Application Mail.ReadWrite, Application Mail.Send]
    expect:
      granted: [fax@imagicleucdev.onmicrosoft.com]
      denied: [AdeleV@imagicleucdev.onmicrosoft.com]

- name: What may it open
  mail2fax.m365.exchange_application_access_info:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    mailboxes:
      - fax@imagicleucdev.onmicrosoft.com
      - LeeG@imagicleucdev.onmicrosoft.com
  register: access
"""

RETURN = r"""
app_id:
  description: Application (client) ID.
  returned: success
  type: str
  sample: 1cb8b5d2-8724-4f32-8152-a16a230b682b
verdicts:
  description: Exchange's verdict on each mailbox, those of O(expect) first.
  returned: success, and when a verdict is not as expected
  type: list
  elements: dict
  contains:
    mailbox:
      description: The mailbox's address as it was given.
      type: str
      sample: fax@imagicleucdev.onmicrosoft.com
    verdict:
      description: V(Granted) or V(Denied).
      type: str
      sample: Granted
    expected:
      description: V(Granted) or V(Denied), null when nothing is expected.
      type: str
      sample: Granted
    as_expected:
      description: Whether the two are the same, null when nothing is expected.
      type: bool
      sample: true
    at:
      description: When Exchange was asked (ISO 8601, UTC).
      type: str
      sample: '2026-11-20T09:30:00Z'
    by:
      description: What each model says. Only with O(scoping).
      type: list
      elements: dict
      contains:
        scoping:
          description: The model.
          type: str
          sample: application_role
        verdict:
          description: V(Granted), V(Denied), or V(Partly) where only a part of the roles or rights is there.
          type: str
          sample: Granted
        reason:
          description: Why, or what is there.
          type: str
request_ids:
  description: By which Microsoft's support finds what was asked. Empty by way of a Windows host, which does not tell.
  returned: success
  type: list
  elements: str
  version_added: 0.2.0
outcome:
  description: V(ok), or V(blocked) when a verdict is not as expected.
  returned: always
  type: str
  sample: ok
summary:
  description: The outcome in a few words.
  returned: always
  type: str
  sample: 1 Granted, 1 Denied
waited:
  description:
    - What the task waited for (C(for)) and how many C(seconds) in all, the longest first. What took less than 15
      seconds is left out.
  returned: when something took that long
  type: list
  elements: dict
error:
  description:
    - What went wrong, for machines; C(msg) says the same to people.
    - Its C(details) has C(mismatches), shaped as RV(verdicts), or C(unknown), the addresses that are no mailboxes.
  returned: failure
  type: dict
"""

from ansible_collections.mail2fax.m365.plugins.module_utils._module import run_module
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.access_info import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
