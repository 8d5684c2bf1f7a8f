#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: entra_admin_consent
short_description: Grant or revoke what an application may do
version_added: 0.1.0
description:
  - Keeps the app-role assignments and the delegated permissions for all users of one application, by name.
  - What is granted is in force at once, for the whole tenant. Restrict the application first, see
    M(mail2fax.m365.exchange_application_access_policy).
  - Delegated permissions that a single user granted are reported as RV(foreign) and never touched.
author:
  - The mail2fax.m365 authors (@mail2fax)
extends_documentation_fragment:
  - mail2fax.m365.connection
  - mail2fax.m365.connection.network
  - mail2fax.m365.connection.windows_host
  - mail2fax.m365.attributes
  - mail2fax.m365.ownership
  - mail2fax.m365.accesses
  - mail2fax.m365.ownership.tenant_wide
options:
  app_id:
    description:
      - Application (client) ID of the application. It needs a service principal in the tenant, which
        M(mail2fax.m365.entra_application) makes.
      - In check mode an id that is all zeros stands for an application that an earlier task would make.
    type: str
    required: true
  permissions:
    description:
      - What the application shall hold, or with O(state=absent) shall not.
      - Required, except with O(state=absent) and O(exclusive=true).
    type: list
    elements: dict
    suboptions:
      resource:
        description: >-
          The API, one of V(exchange_online) and V(microsoft_graph), or the application id of another one.
        type: str
        required: true
      application:
        description: Names of application permissions (app roles), such as V(full_access_as_app).
        type: list
        elements: str
        default: []
      delegated:
        description: Names of delegated permissions (scopes), such as V(User.Read).
        type: list
        elements: str
        default: []
  exclusive:
    description:
      - Whether the list is exact. With V(true) every other app role of this application is revoked, and every other
        delegated permission for all users.
    type: bool
    default: false
  state:
    description:
      - With V(absent) the listed permissions are revoked, with O(exclusive=true) all.
    type: str
    choices: [present, absent]
    default: present
  consent:
    description:
      - Who grants. With V(by_hand) nothing is written. The task ends C(pending), and RV(by_hand) and RV(pending) tell a
        person where to grant, and what.
    type: str
    choices: [by_operator, by_hand]
    default: by_operator
  extra_permissions:
    description:
      - Names of permissions, word for word, that may be granted although no application access policy limits them, as
        in M(mail2fax.m365.entra_application). If left out, what the task itself declares may be granted.
    type: list
    elements: str
  limited_by:
    description:
      - What limits the application. It is read once more right before something is granted, and nothing is granted
        where it does not stand. At least one of O(limited_by.group) and O(limited_by.sid) is needed; with both, both
        have to stand.
      - With O(limited_by.group) a valid policy has to restrict the application to the group, and the group must not
        hold more than it should. With O(limited_by.sid) the application has to have its rights on exactly the
        mailboxes, see M(mail2fax.m365.exchange_mailbox_permission).
      - In check mode it is not looked at, because an earlier task would make it.
    type: dict
    suboptions:
      group:
        description: The scope group, by an id, an address, its alias or its name.
        type: str
      mailboxes:
        description:
          - Addresses of the mailboxes that the group may hold. If left out, its members are not looked at.
          - With O(limited_by.sid) they are needed, and the application has FullAccess on each of them.
        type: list
        elements: str
      keep_members:
        description: Whether other members were declared to stay.
        type: bool
        default: false
      keep_policies:
        description: Whether other policies of the application were declared to stay.
        type: bool
        default: false
      sid:
        description: SID of the application's service principal in Exchange, which has the rights on the mailboxes.
        type: str
        version_added: 0.2.0
      send_as:
        description: Whether it has SendAs on each of O(limited_by.mailboxes), too.
        type: bool
        default: false
        version_added: 0.2.0
      candidates:
        description:
          - Further mailboxes, by address or Guid, on which it must not have FullAccess. SendAs is looked for in the
            whole tenant.
        type: list
        elements: str
        version_added: 0.2.0
      keep_rights:
        description: Whether its rights on other mailboxes were declared to stay.
        type: bool
        default: false
        version_added: 0.2.0
  token_grace_minutes:
    description:
      - How long tokens that were issued before a revocation may live, for RV(tokens_until). V(0) means that nothing
        waits for them. If left out, the longest life that Entra and the tenant's token lifetime policies allow.
    type: int
seealso:
  - module: mail2fax.m365.entra_application
  - module: mail2fax.m365.exchange_application_access_policy
"""

EXAMPLES = r"""
- name: Let the fax server's application open mailboxes, and nothing else
  mail2fax.m365.entra_admin_consent:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    permissions:
      - resource: exchange_online
        application: [full_access_as_app]
    exclusive: true
    accept_credentials: "{{ adopted_application.accepted | map(attribute='id') }}"

- name: Revoke everything
  mail2fax.m365.entra_admin_consent:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    exclusive: true
    state: absent
  register: revoked
"""

RETURN = r"""
app_id:
  description: Application (client) ID of the application.
  returned: success
  type: str
service_principal_id:
  description: Object ID of its service principal, null when there is none.
  returned: success
  type: str
granted:
  description: What is declared and in force now, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    resource:
      description: The API, by its well-known name or its application id.
      type: str
      sample: exchange_online
    application:
      description: Names of application permissions.
      type: list
      elements: str
      sample: [full_access_as_app]
    delegated:
      description: Names of delegated permissions.
      type: list
      elements: str
      sample: []
foreign:
  description: What is in force and not declared.
  returned: success
  type: list
  elements: dict
  contains:
    resource:
      description: The API, by its well-known name or its application id.
      type: str
      sample: exchange_online
    application:
      description: Names of application permissions.
      type: list
      elements: str
      sample: [full_access_as_app]
    delegated:
      description: Names of delegated permissions.
      type: list
      elements: str
      sample: []
    users:
      description: Delegated permissions that single users granted for themselves.
      type: list
      elements: dict
      contains:
        principal_id:
          description: Object ID of the user.
          type: str
        delegated:
          description: Names of delegated permissions.
          type: list
          elements: str
revoked:
  description: What this task revoked, or would in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    resource:
      description: The API, by its well-known name or its application id.
      type: str
      sample: exchange_online
    application:
      description: Names of application permissions.
      type: list
      elements: str
      sample: [full_access_as_app]
    delegated:
      description: Names of delegated permissions.
      type: list
      elements: str
      sample: []
tokens_until:
  description: >-
    Until when tokens may live that were issued under an application permission which this task revoked (ISO 8601, UTC),
    or would revoke in check mode. What limited them has to stay until then. Null where none was revoked.
  returned: success, and on failure where something may have been revoked
  type: str
tokens_until_reason:
  description: Why until then.
  returned: when an application permission was revoked
  type: str
token_lifetimes_known:
  description: >-
    Whether the tenant's token lifetime policies could be read, or O(token_grace_minutes) decides. If not, the usual
    life holds, and a warning says so.
  returned: success, when something was revoked
  type: bool
  version_added: 0.2.0
revoked_at:
  description: When it was revoked (ISO 8601, UTC), by the service's clock.
  returned: when an application permission was revoked
  type: str
  version_added: 0.2.0
by_hand:
  description: With O(consent=by_hand) what a person has to do, null when nothing is left to grant.
  returned: when O(consent=by_hand)
  type: dict
  contains:
    address:
      description: Where an administrator grants what the application's registration asks for.
      type: str
    what:
      description: What is to be granted, in words.
      type: str
pending:
  description: What a person has to do, in a sentence.
  returned: when O(consent=by_hand) and something is left to grant
  type: str
added:
  description: >-
    What was not granted before and is now, or would be in check mode, a list of C(kind) V(consent), C(of) and C(id).
    A task that fails half-way tells it as well.
  returned: when something was granted
  type: list
  elements: dict
outcome:
  description: What became of the step, one of V(ok), V(changed), V(pending), V(blocked) and V(failed).
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
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.consent import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
