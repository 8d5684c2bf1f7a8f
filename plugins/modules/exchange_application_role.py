#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: exchange_application_role
short_description: Assign roles for mailboxes to an application, within the members of a group
version_added: 0.2.0
description:
  - Keeps role assignments of an application in Exchange Online (RBAC for Applications) and the management scope that
    limits them to the members of a mail-enabled security group. The application needs no permission in Entra for what a
    role gives it, and its token carries none.
  - An assignment without a scope would open every mailbox. So none is ever made without one, and none before the scope
    was read back with the right filter. On the way to another scope, a new scope and a new assignment come first, and
    the old ones go after.
  - Before the first role is assigned, the task looks who can sign in as the application, as
    M(mail2fax.m365.entra_admin_consent) does, and who is in the group.
  - The filter of a scope is compared as a set of conditions, because Exchange gives it back in other brackets, order
    and case. A scope that assignments of other applications use is never changed.
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
  roles:
    description:
      - The roles, by their names (C(Application Mail.Send)) or by the permissions of Entra that they stand for
        (C(Mail.Send), C(full_access_as_app)). Two permissions that mean one role are one assignment.
      - All roles of the application that are limited to this group have to be named in one task.
      - IMAP and POP have none, see M(mail2fax.m365.exchange_mailbox_permission).
      - Required with O(state=present).
    type: list
    elements: str
    default: []
  group:
    description:
      - The mail-enabled security group whose direct members the application reaches, as address, alias, name, Guid or
        Entra object ID. Members of groups in the group are not in reach, which a warning says.
      - A Microsoft 365 group is refused, because its owners could let the application into more mailboxes.
      - Required with O(state=present). It has to exist, except in check mode.
      - With O(state=absent) it tells whether an unused scope of the name O(scope_name) is the one that was made here.
    type: str
  scope_name:
    description:
      - Name of the management scope, at most 64 characters. By default one is made of the application's id.
      - Where a scope of this name has another filter, it is made right only if nothing but this application's own
        assignments, as this module names them, are on it. Otherwise the task stops.
    type: str
  mailboxes:
    description:
      - Addresses of the mailboxes that the group may hold. Right before a role is assigned the group is read, and the
        task stops where it holds anybody else. If left out, its members are not judged.
    type: list
    elements: str
  permissions:
    description:
      - Permissions that other ways in of the application take by a consent in Entra, and that are so not held against
        it.
    type: list
    elements: dict
    suboptions:
      resource:
        description: V(exchange_online), V(microsoft_graph), or the application id of another API.
        type: str
        required: true
      application:
        description: Names of application permissions.
        type: list
        elements: str
        default: []
      delegated:
        description: Names of delegated permissions, which are passed over here.
        type: list
        elements: str
        default: []
  exclusive:
    description:
      - Whether other assignments to the application of roles that open mailboxes are removed, after the declared ones
        were made.
    type: bool
    default: false
  on_other_assignments:
    description:
      - Without O(exclusive), what to do about other assignments of the application. With V(fail) the task stops and
        lists them. With V(keep) they stay, and a warning names them.
      - One without a scope stops the task in either case, because beside it no scope counts.
    type: str
    choices: [fail, keep]
    default: fail
  on_entra_grant:
    description:
      - What to do where the application holds a permission in Entra that opens more than the scope does. What an access
        policy limits to the members of the group is no such permission.
      - With V(fail) the task stops. With V(remove) the permission is revoked, before a role is assigned. Then the
        outcome is V(pending) until no token can be alive that was issued with it.
    type: str
    choices: [fail, remove]
    default: fail
  enable_organization_customization:
    description:
      - Whether to run C(Enable-OrganizationCustomization) in a tenant that was never customized. It changes the whole
        tenant and cannot be undone. Exchange takes 40 to 75 minutes then, in which the outcome is V(pending).
    type: bool
    default: false
  token_grace_minutes:
    description:
      - How long tokens may live that were issued with a permission which is revoked here. If left out, it is counted
        from what the services do and the tenant's policies say; V(0) waits for none.
    type: int
  tokens_until:
    description:
      - Until when tokens may live that were issued with what an earlier run revoked (ISO 8601, UTC), as that run
        returned it. Until then the outcome is V(pending).
    type: str
  own_scopes:
    description:
      - With O(state=absent), names of the scopes that were made here, as the record of a run has them. If left out,
        they are those of the application's assignments that this module named, and O(scope_name) if it is a scope of
        O(group), or of one group where O(group) is left out.
    type: list
    elements: str
  own_assignments:
    description:
      - With O(state=absent), names of the assignments that go, and no other, as RV(added) of earlier runs told them. So
        one of two ways in is taken back and the other stays.
    type: list
    elements: str
  keep_own:
    description:
      - Whether assignments of the application that this module named stay although this task does not declare them.
      - While an application moves from one group to another it has roles on both.
    type: bool
    default: false
  state:
    description:
      - Whether the roles are assigned.
      - With V(absent) the assignments go that this module named, and with O(exclusive) all of the application that open
        mailboxes, and then the scope if nobody else uses it.
    type: str
    choices: [present, absent]
    default: present
notes:
  - What was assigned or removed is in force within about two hours. Trying every few seconds prolongs that.
  - The operator needs the Entra role Exchange Administrator, the permission to read applications in Microsoft Graph
    (C(Application.Read.All)), and for O(on_entra_grant=remove) C(AppRoleAssignment.ReadWrite.All).
seealso:
  - module: mail2fax.m365.exchange_service_principal
  - module: mail2fax.m365.exchange_security_group
  - module: mail2fax.m365.exchange_application_access_info
"""

EXAMPLES = r"""
- name: The fax server reads and sends mail of the group's members, and of nobody else
  mail2fax.m365.exchange_application_role:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    roles: [Mail.ReadWrite, Mail.Send]
    group: imagicle.digital.fax
    scope_name: Imagicle Digital Fax
    mailboxes: [fax@imagicleucdev.onmicrosoft.com]
    accept_credentials: "{{ adopted_application.accepted | map(attribute='id') }}"

- name: Whatever else it was assigned goes, and so does a consent that opens more
  mail2fax.m365.exchange_application_role:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    roles: [Application SMTP.SendAsApp]
    group: imagicle.digital.fax
    exclusive: true
    on_entra_grant: remove
    accept_credentials: "{{ adopted_application.accepted | map(attribute='id') }}"

- name: Take the roles back
  mail2fax.m365.exchange_application_role:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    scope_name: Imagicle Digital Fax
    state: absent
"""

RETURN = r"""
scope:
  description: The management scope as it is now, or would be in check mode; null when there is none.
  returned: success
  type: dict
  contains:
    name:
      description: Name.
      type: str
      sample: Imagicle Digital Fax
    filter:
      description: Its filter, as Exchange gives it back.
      type: str
      sample: MemberOfGroup -eq 'CN=Imagicle Digital Fax,OU=imagicleucdev.onmicrosoft.com,DC=PROD,DC=OUTLOOK,DC=COM'
    group:
      description: Address of the group whose members it holds; null where it holds something else.
      type: str
      sample: imagicle.digital.fax@imagicleucdev.onmicrosoft.com
assignments:
  description: The application's assignments of the declared roles.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: mail2fax-1cb8b5d28724-Mail.Send
    role:
      description: The role.
      type: str
      sample: Application Mail.Send
    scope:
      description: Name of what limits it, null for the whole organization.
      type: str
      sample: Imagicle Digital Fax
    enabled:
      description: Whether it is enabled.
      type: bool
other_assignments:
  description: Other assignments of the application, shaped as RV(assignments).
  returned: success
  type: list
  elements: dict
revoked:
  description: Permissions in Entra that were revoked, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    resource:
      description: The resource.
      type: str
      sample: microsoft_graph
    application:
      description: Names of application permissions.
      type: list
      elements: str
    delegated:
      description: Always empty.
      type: list
      elements: str
ready:
  description: Whether Exchange takes roles in this tenant by now. If not, none was assigned in this task.
  returned: success
  type: bool
in_force_by:
  description: When a change made now is in force at the latest, as a rule (ISO 8601, UTC).
  returned: when something was changed
  type: str
tokens_until:
  description: >-
    When the last token is dead that may have been issued with what was revoked, or would be in check mode (ISO 8601,
    UTC). A task that fails after a revocation tells it as well.
  returned: when something was revoked
  type: str
tokens_until_reason:
  description: Why then.
  returned: when something was revoked
  type: str
token_lifetimes_known:
  description: >-
    Whether the tenant's token lifetime policies could be read, or O(token_grace_minutes) decides. If not, the usual
    life holds, and a warning says so.
  returned: success, when something was revoked
  type: bool
revoked_at:
  description: When it was revoked (ISO 8601, UTC), by the service's clock.
  returned: when something was revoked
  type: str
pending:
  description: What is right but not yet in force, or what Exchange is not ready for.
  returned: when the outcome is V(pending)
  type: str
pending_until:
  description: When to look again (ISO 8601, UTC).
  returned: when the outcome is V(pending)
  type: str
added:
  description: >-
    What was not there before and is now, or would be in check mode: entries of the C(kind) C(scope) and C(assignment),
    C(of) the application's id, whose C(id) is the name.
  returned: when something was made
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
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_role import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
