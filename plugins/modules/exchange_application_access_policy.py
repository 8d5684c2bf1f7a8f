#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: exchange_application_access_policy
short_description: Limit an application to the mailboxes of a group
version_added: 0.1.0
description:
  - Keeps an application access policy in Exchange Online, which limits what an application with consent for mailboxes
    (such as C(full_access_as_app)) can open, to the members of a mail-enabled security group.
  - An application without any policy may open every mailbox of the tenant. So create the policy before the consent is
    given, and revoke the consent before the policy is removed. A change to another group creates the new policy first
    and removes the old one after.
  - A policy is told from others by the application and the group's object ID, not by names.
  - Exchange evaluates all policies of an application together. A matching V(DenyAccess) denies, else a matching
    V(RestrictAccess) grants; an application whose V(RestrictAccess) policies all miss is denied.
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
      - Application (client) ID of the application. Exchange does not check whether it exists.
      - In check mode all zeros stand for an application that is still to be made.
    type: str
    required: true
  group:
    description:
      - The mail-enabled security group, as address, alias, name, Guid or Entra object ID.
      - With O(state=present) it has to exist, except in check mode.
    type: str
    required: true
  access_right:
    description:
      - Whether the group's mailboxes are all that the application can open (V(RestrictAccess)), or what it cannot open
        (V(DenyAccess)).
      - Exchange keeps one policy for an application and a group. When that has the other right, it can be replaced only
        while another V(RestrictAccess) policy of the application is in place; otherwise the task stops.
    type: str
    choices: [RestrictAccess, DenyAccess]
    default: RestrictAccess
  description:
    description:
      - The policy's description. It counts against the space that a tenant has for all its policies, which is about
        100 with usual descriptions.
      - If not set, Exchange makes one up, and it is left alone from then on.
    type: str
  state:
    description:
      - Whether the policy exists.
      - Revoke the application's consent before V(absent), see M(mail2fax.m365.entra_admin_consent). Where the policy is
        the last that limits the application, the task looks up by O(app_id) what the application holds, and stops as
        long as it holds a permission that the policy limits, or lies in the recycle bin with its permissions.
        Only the policy of this application on this group is removed.
    type: str
    choices: [present, absent]
    default: present
  on_other_policies:
    description:
      - What to do about other policies that count for the application and contradict this one, those for every
        application (V(*)) among them. With O(access_right=DenyAccess) a V(RestrictAccess) policy does not contradict.
      - With V(fail) the task stops and lists them. With V(remove) those of this application are removed, after this
        one was created; those for every application stay. With V(keep) all stay. What stays is named in a warning.
    type: str
    choices: [fail, remove, keep]
    default: fail
  not_before:
    description:
      - The instant before which nothing goes that may be all that limits tokens which were issued before a consent was
        revoked (ISO 8601, UTC). Until then the outcome is V(pending).
      - With O(state=absent) that is the policy; with O(state=present) a policy that is made anew, or one that denies.
    type: str
  consent_revoked:
    description:
      - With O(state=absent), that this application's permissions were revoked before, so that one in the recycle bin
        holds none to come back with. In check mode, that they would have been revoked.
      - A permission that the application still holds stops the task all the same.
    type: bool
    default: false
notes:
  - A policy that Exchange calls not valid is made anew, if the application holds nothing meanwhile that it limits, or
    another valid policy limits it; otherwise the task stops.
  - A new policy is in force within about an hour, a removed one ends within about half an hour.
  - Microsoft asks for new set-ups to use role based access control for applications, which does not cover every way
    in which fax servers read mailboxes.
  - The operator needs the Entra role Exchange Administrator, and to remove the last policy of an application also the
    permission to read applications in Microsoft Graph (C(Application.Read.All)).
seealso:
  - module: mail2fax.m365.exchange_security_group
  - module: mail2fax.m365.exchange_application_access_info
"""

EXAMPLES = r"""
- name: The fax server opens the group's mailboxes and no others
  mail2fax.m365.exchange_application_access_policy:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    group: imagicle.digital.fax@imagicleucdev.onmicrosoft.com
    description: Restrict Imagicle Digital Fax accessible mailboxes

- name: The same by the group's alias, and whatever else limited the fax server goes
  mail2fax.m365.exchange_application_access_policy:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    group: imagicle.digital.fax
    on_other_policies: remove

- name: Remove the policy, after the consent was revoked
  mail2fax.m365.exchange_application_access_policy:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    group: imagicle.digital.fax
    # Tokens of before the revocation live on for a while, and this is all that limits them.
    not_before: "{{ revoked.tokens_until }}"
    state: absent
"""

RETURN = r"""
policy:
  description: The policy as it is now, or would be in check mode; null when there is none.
  returned: success
  type: dict
  contains:
    identity:
      description: Exchange's name for the policy; null in check mode for one to be made.
      type: str
    app_id:
      description: Application (client) ID.
      type: str
      sample: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    group:
      description: The group's address.
      type: str
      sample: imagicle.digital.fax@imagicleucdev.onmicrosoft.com
    group_name:
      description: The group's display name.
      type: str
      sample: Imagicle Digital Fax
    access_right:
      description: V(RestrictAccess) or V(DenyAccess).
      type: str
      sample: RestrictAccess
    description:
      description: Description.
      type: str
    is_valid:
      description: What Exchange says of the policy.
      type: bool
other_policies:
  description: Every other policy that counts for the application.
  returned: success
  type: list
  elements: dict
  contains:
    identity:
      description: Exchange's name for the policy.
      type: str
    app_id:
      description: Application (client) ID, or V(*) for every application.
      type: str
    access_right:
      description: V(RestrictAccess) or V(DenyAccess).
      type: str
    scope_name:
      description: Display name of the group or mailbox.
      type: str
    scope_identity:
      description: Name of the group or mailbox.
      type: str
    description:
      description: Description.
      type: str
    is_valid:
      description: What Exchange says of the policy.
      type: bool
in_force_by:
  description: When a change made now is in force at the latest, as a rule (ISO 8601, UTC).
  returned: when a policy was created or removed with O(state=present)
  type: str
pending:
  description: Why the policy stays for now.
  returned: O(not_before) lies ahead
  type: str
pending_until:
  description: When to look again (ISO 8601, UTC).
  returned: O(not_before) lies ahead
  type: str
added:
  description: >-
    What was not there before and is now, or would be in check mode: an entry of the C(kind) C(policy), C(of) the
    application's id, whose C(id) is the Guid of the group. A task that fails half-way tells it as well.
  returned: when a policy was made
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
  sample: RestrictAccess on Imagicle Digital Fax created
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
  description:
    - What went wrong, for machines; C(msg) says the same to people.
    - Its C(details) has C(policies), shaped as RV(other_policies), when other policies stopped the task.
  returned: failure
  type: dict
"""

from ansible_collections.mail2fax.m365.plugins.module_utils._module import run_module
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.access_policy import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
