#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: application_reach_info
short_description: Tell which mailboxes an application can open, by what, and who could let it into more
version_added: 0.2.0
description:
  - Sums up everything that lets an application into mailboxes, mailbox by mailbox. That is its permissions in Entra
    with the access policies that limit them, its roles in Exchange with their scopes, its rights on single mailboxes,
    and delegated permissions of people who sign in to it.
  - It also names the powers by which the application could let itself into more, and the people who could.
  - One application is looked at, or with O(all_applications=true) every one of the tenant that has any power over mail,
    managed identities and Microsoft's own services with credentials among them.
  - What counts is what is configured. Caches and tokens that were issued before a change make it good later.
  - What could not be read is named in C(missing), and makes the sum an I(at least) instead of an I(exactly). The task
    fails only where nothing at all could be read.
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
      - Application (client) ID of the application. It is told of in any case, whatever it holds.
      - In check mode all zeros stand for an application that is still to be made.
      - Either this or O(all_applications=true) is required; with both, RV(wider) is about this one.
    type: str
  all_applications:
    description: Whether every application that has any power over mail is told of.
    type: bool
    default: false
  mailboxes:
    description:
      - Addresses of the mailboxes that O(app_id) is meant to open. RV(wider) is what it opens beyond these.
      - Rights are looked for on them, and where every mailbox is open, they are listed all the same.
    type: list
    elements: str
    default: []
  candidates:
    description:
      - Further mailboxes to look at, by address or Guid, such as the control mailboxes. One that does not exist is
        passed over.
    type: list
    elements: str
    default: []
  scan:
    description:
      - Where FullAccess is looked for. Exchange shows it mailbox by mailbox only.
      - With V(candidates) on O(mailboxes), on O(candidates), on mailboxes as which an application may send, and on at
        most 20 that its other ways open. An application that gets in by IMAP, POP or SMTP, and that Exchange knows,
        then has C(FullAccess) in its C(missing).
      - With V(all) on every mailbox of the tenant, at most O(scan_limit); each ten of them take a request. How far it
        has come is told when it takes long.
    type: str
    choices: [candidates, all]
    default: candidates
  scan_limit:
    description: How many mailboxes O(scan=all) looks at. If the tenant has more, a warning says so.
    type: int
    default: 1000
  held_against:
    description:
      - What is declared, and the last report, in the shape of the context of P(mail2fax.m365.reach_report#filter). What
        was found is held against it where Ansible itself runs, and RV(report) is the report.
    type: dict
notes:
  - For one application it takes at most 6 requests to Graph and 6 to Exchange, beside the pages of members of groups
    and scopes. For all applications it takes as many as there are applications with power over mail, whatever the
    number of mailboxes and of other applications.
  - The operator needs C(Application.Read.All) and C(Directory.Read.All) in Microsoft Graph, and C(Exchange.ManageAsApp)
    with the Entra role Global Reader or Exchange Administrator. What it may not read is in C(missing).
seealso:
  - module: mail2fax.m365.exchange_application_access_info
  - module: mail2fax.m365.mailbox_probe_info
"""

EXAMPLES = r"""
- name: Which mailboxes can the fax server's application open
  mail2fax.m365.application_reach_info:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    mailboxes:
      - fax@imagicleucdev.onmicrosoft.com
  register: reach

- name: It opens no other
  ansible.builtin.assert:
    that:
      - not reach.wider.everything
      - reach.wider.mailboxes == []

- name: What else in this tenant can open the fax mailbox, or every mailbox
  mail2fax.m365.application_reach_info:
    tenant: imagicleucdev.onmicrosoft.com
    all_applications: true
    candidates:
      - fax@imagicleucdev.onmicrosoft.com

- name: The same with FullAccess looked for on every mailbox
  mail2fax.m365.application_reach_info:
    tenant: imagicleucdev.onmicrosoft.com
    all_applications: true
    scan: all
    scan_limit: 5000
"""

RETURN = r"""
report:
  description: What the filter P(mail2fax.m365.reach_report#filter) makes of the result.
  returned: success, with O(held_against)
  type: dict
at:
  description: When this was read, by the service's clock (ISO 8601, UTC).
  returned: success
  type: str
  sample: '2026-11-28T09:30:00Z'
tenant:
  description: The tenant.
  returned: success
  type: dict
  contains:
    id:
      description: Its Directory (tenant) ID; empty where nothing was asked.
      type: str
applications:
  description:
    - What each application can open. The one of O(app_id) comes first, the others by name.
    - With O(all_applications=true) these are the applications that have any power over mail, and O(app_id).
  returned: success
  type: list
  elements: dict
  contains:
    app_id:
      description: Application (client) ID.
      type: str
    display_name:
      description: Its name; empty where Entra has no service principal of it.
      type: str
    complete:
      description: Whether that is exactly what it can open. If not, it is at least that.
      type: bool
    missing:
      description: What could not be read, or was not looked at, in words.
      type: list
      elements: str
    mailboxes:
      description:
        - The mailboxes that it can open today, as far as they are told one by one. Where C(everything) is true, that is
          those that another way opens as well, and those of O(mailboxes) and O(candidates).
      type: list
      elements: dict
      contains:
        address:
          description: The mailbox's primary address.
          type: str
        ways:
          description: Every way into it, dormant ones last.
          type: list
          elements: dict
          contains:
            protocol:
              description: V(ews), V(graph), V(imap), V(pop), V(smtp), or V(eas) of a delegated permission.
              type: str
            permission:
              description: The permission, in the service's words.
              type: str
            model:
              description: >-
                V(application_access_policy), V(application_role), V(mailbox_permission), V(tenant_wide), or
                V(delegated) where a person has to sign in.
              type: str
            limited_by:
              description: What limits it, in words.
              type: list
              elements: str
            alive:
              description: Whether it opens the mailbox today.
              type: bool
            why:
              description: Why it does not.
              type: str
              returned: where C(alive) is false
            since:
              description: >-
                When the permission was granted, or the role assigned (ISO 8601, UTC). What limits it may be younger.
                Delegated permissions have no such time.
              type: str
              returned: where it is known
    everything:
      description: Whether it can open every mailbox, the ones that are made tomorrow included. They are not listed.
      type: bool
    everything_ways:
      description:
        - The ways that no list of mailboxes limits, shaped as C(ways). C(but) has the addresses of the mailboxes that
          stay closed to this way.
        - A dormant one opens nothing today, and does not make C(everything) true.
      type: list
      elements: dict
    closed:
      description: Where C(everything) is true, the mailboxes that stay closed all the same.
      type: list
      elements: str
    dormant:
      description: The mailboxes into which only dormant ways lead, shaped as C(mailboxes). It cannot open them today.
      type: list
      elements: dict
    powers:
      description: Powers by which it could let itself, or another one, into more.
      type: list
      elements: dict
      contains:
        permission:
          description: The permission, directory role or role of Exchange.
          type: str
        what:
          description: What it is good for.
          type: str
        opens:
          description: >-
            V(everything) where it may give itself any mailbox or read all mail, V(itself) where it may widen what
            limits it, V(others) where it may act as another application or person.
          type: str
    people:
      description: Who could let it into more.
      type: list
      elements: dict
      contains:
        id:
          description: Object ID in Entra; empty for a role group of Exchange and for what is not known.
          type: str
        name:
          description: User name, address or display name.
          type: str
        what:
          description: What of, such as V(owner of the application).
          type: str
    object_id:
      description: Object ID of its service principal, null where there is none.
      type: str
    enabled:
      description: Whether it can sign in; null where that could not be read.
      type: bool
    kind:
      description: What Entra calls it, such as V(Application) or V(ManagedIdentity).
      type: str
    home_tenant:
      description: The tenant in which it is registered.
      type: str
missing:
  description: With O(all_applications=true), what could not be read, so that there may be more applications than these.
  returned: success
  type: list
  elements: str
wider:
  description: What the application of O(app_id) opens beyond O(mailboxes), as far as it could be read.
  returned: when O(app_id) and O(mailboxes) are given
  type: dict
  contains:
    mailboxes:
      description: Addresses of the mailboxes.
      type: list
      elements: str
    everything:
      description: Whether it can open every mailbox.
      type: bool
    powers:
      description: The powers by which it could give itself more.
      type: list
      elements: str
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
declared:
  description: Primary addresses of O(mailboxes), as far as somebody has them.
  returned: success
  type: list
  elements: str
unknown:
  description: Addresses of O(mailboxes) that nobody has.
  returned: success
  type: list
  elements: str
outcome:
  description: V(ok).
  returned: always
  type: str
  sample: ok
summary:
  description: The outcome in a few words.
  returned: always
  type: str
  sample: Mail2DigitalFax opens exactly 1 mailbox
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
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
