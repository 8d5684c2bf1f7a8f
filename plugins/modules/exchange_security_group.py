#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: exchange_security_group
short_description: Manage a mail-enabled security group of mailboxes
version_added: 0.1.0
description:
  - Keeps a mail-enabled security group in Exchange Online with exactly the declared members. It is what an
    application access policy limits an application to, see M(mail2fax.m365.exchange_application_access_policy).
  - Every mailbox in the group is one that the application can open, and every owner can put more into it. So members
    and owners who were not declared stop the task with the whole list, before anything is changed, unless
    O(on_foreign_members) or O(on_foreign_owners) say otherwise. A mailbox that is dropped from O(members) cannot be
    told from one that somebody else put there, and is treated alike.
  - Other applications may be limited to the same group, or to a group that holds it. Before a mailbox is put in or
    taken out, the access policies of all other applications are looked at, C(*) included, and the scopes of their
    roles. Who could open more than before stops the task, unless O(accept_shared_group) names that application; who
    could open less is told.
  - The group is found by O(alias) or O(address), never by its name. A group of another kind is never converted.
  - A new group is closed to joining and leaving, takes mail only from senders inside the organization, and is not
    shown in address lists. Its description marks it as made by this collection, so that O(state=absent) knows it.
author:
  - The mail2fax.m365 authors (@mail2fax)
extends_documentation_fragment:
  - mail2fax.m365.connection
  - mail2fax.m365.connection.network
  - mail2fax.m365.connection.windows_host
  - mail2fax.m365.attributes
options:
  alias:
    description: The group's Exchange alias, up to 64 characters. It identifies the group.
    type: str
    required: true
  name:
    description:
      - The group's display name, up to 64 characters. Required with O(state=present).
      - Another display name of the group is corrected. When another recipient holds this name, the task stops.
    type: str
  address:
    description:
      - The group's primary address. It identifies the group beside O(alias).
      - If not set, Exchange makes it of the alias and the tenant's default domain.
    type: str
  state:
    description:
      - Whether the group exists.
      - With V(absent) it is removed for good, Exchange keeps no recycle bin for it. Only a group that this collection
        made is removed (see O(force)), and only when no access policy uses it any more.
    type: str
    choices: [present, absent]
    default: present
  members:
    description:
      - The addresses of the mailboxes in the group, primary or not. User, shared, room and equipment mailboxes can be
        members; anything else is refused with its type.
      - If not set, the members are left alone. An empty list means an empty group.
    type: list
    elements: str
  exclusive_members:
    description: Whether O(members) is all there may be. With V(false) others may be in the group as well.
    type: bool
    default: true
  on_foreign_members:
    description:
      - What to do about members that are not in O(members), groups among them.
      - With V(fail) the task stops and lists them, with V(remove) they are taken out, with V(keep) they stay and the
        task warns.
    type: str
    choices: [fail, remove, keep]
    default: fail
  on_nested_group:
    description:
      - What to do about groups in the group where a management scope stands on it, see
        M(mail2fax.m365.exchange_application_role). A scope holds direct members only.
      - With V(fail) the task stops and names them. With V(flatten) they are taken out. Where O(exclusive_members) is
        V(false), or O(members) is not set, the mailboxes in them come in their place.
      - If left out, groups count as any other member.
    type: str
    choices: [fail, flatten]
    version_added: 0.2.0
  owners:
    description:
      - The addresses of the group's owners.
      - If not set, the owners are left alone. An empty list means that nobody in particular owns the group; Exchange
        shows C(Organization Management) then, which never counts as a foreign owner.
    type: list
    elements: str
  on_foreign_owners:
    description: What to do about owners that are not in O(owners), as in O(on_foreign_members).
    type: str
    choices: [fail, remove, keep]
    default: fail
  hidden:
    description: Whether the group is hidden from address lists.
    type: bool
    default: true
  force:
    description: With O(state=absent), remove the group even if this collection did not make it.
    type: bool
    default: false
  on_foreign_group:
    description:
      - With O(state=absent), what to do about a group that must not be removed. With V(fail) the task stops and says
        why, with V(keep) the group stays and the task warns.
    type: str
    choices: [fail, keep]
    default: fail
  app_id:
    description:
      - The id of the application that the group is meant for. Every other application that has an access policy on the
        group is somebody else's.
      - If not set, a group that this collection made, with the policy of one application on it, is that application's;
        any other group is nobody's, and every application somebody else's.
      - With O(state=absent) and in check mode, access policies of this application do not count as using the group,
        because the same play would have removed them before.
    type: str
  accept_shared_group:
    description:
      - The ids of other applications that may open more, or be denied less, when the members change; V(*) for all.
      - A group of the application's own needs none.
    type: list
    elements: str
    default: []
  declared:
    description:
      - The options of this task that a person decided about. Of a group that this collection did not make, only these
        are brought about, beside what the limit needs (the members, and that nobody joins by themselves); its name,
        visibility and whom it takes mail from stay as they are.
      - If not set, all options count as declared. A group made by this collection is managed as a whole in any case.
    type: list
    elements: str
  own_members:
    description:
      - With O(state=absent) and O(on_foreign_group=keep), who leaves a group that was not made by this collection and
        so stays, as lists of addresses by the Guid of the group they were put into.
      - A group of another Guid keeps its members. A mailbox whose going would let another application in stays and is
        listed in RV(left_over).
    type: dict
  own_settings:
    description:
      - With O(state=absent) and O(on_foreign_group=keep), what was changed of a group that stays, as entries of
        RV(added) of the kind C(setting). What nobody changed since goes back to what it was; the rest is told.
    type: list
    elements: dict
    default: []
  not_before:
    description:
      - With O(state=absent), the instant (ISO 8601, UTC) before which the group stays as it is, and the outcome is
        V(pending). Tokens that were issued before a consent was revoked live until then.
    type: str
notes:
  - Membership spreads over Exchange's servers in seconds to minutes. When O(patience) ends before that, the outcome is
    V(pending).
  - The operator needs the Entra role Exchange Administrator. Exchange Recipient Administrator is enough for a new
    group; it cannot read access policies, so that the members of an existing group stay as they are.
seealso:
  - module: mail2fax.m365.exchange_application_access_policy
"""

EXAMPLES = r"""
- name: The mailboxes that the fax server may open
  mail2fax.m365.exchange_security_group:
    tenant: imagicleucdev.onmicrosoft.com
    name: Imagicle Digital Fax
    alias: imagicle.digital.fax
    members:
      - fax@imagicleucdev.onmicrosoft.com
    owners: []

- name: The same, and whoever else got into the group goes
  mail2fax.m365.exchange_security_group:
    tenant: imagicleucdev.onmicrosoft.com
    name: Imagicle Digital Fax
    alias: imagicle.digital.fax
    members:
      - fax@imagicleucdev.onmicrosoft.com
    on_foreign_members: remove

- name: Remove the group, after the policy that used it
  mail2fax.m365.exchange_security_group:
    tenant: imagicleucdev.onmicrosoft.com
    alias: imagicle.digital.fax
    state: absent
"""

RETURN = r"""
group:
  description: The group as it is now, or would be in check mode; null when there is none.
  returned: success
  type: dict
  contains:
    name:
      description: Display name.
      type: str
      sample: Imagicle Digital Fax
    alias:
      description: Alias.
      type: str
      sample: imagicle.digital.fax
    address:
      description: Primary address; null in check mode for a group to be made whose O(address) is not given.
      type: str
      sample: imagicle.digital.fax@imagicleucdev.onmicrosoft.com
    guid:
      description: Exchange's id; all zeros in check mode for a group to be made.
      type: str
    external_directory_object_id:
      description: Object ID in Entra; null for some minutes after the group was made.
      type: str
    type:
      description: Exchange's C(RecipientTypeDetails).
      type: str
      sample: MailUniversalSecurityGroup
    hidden:
      description: Whether it is hidden from address lists.
      type: bool
    owners:
      description: Addresses of the owners, names where nobody answers to them.
      type: list
      elements: str
      sample: [Organization Management]
    made_here:
      description: Whether this collection made the group.
      type: bool
members:
  description: Primary addresses of all members.
  returned: success
  type: list
  elements: str
  sample: [fax@imagicleucdev.onmicrosoft.com]
members_added:
  description: Primary addresses of those who were added, or would be in check mode.
  returned: success
  type: list
  elements: str
members_removed:
  description: Primary addresses of those who were removed, or would be in check mode.
  returned: success
  type: list
  elements: str
policies_of_others:
  description:
    - The access policies of other applications on the group and, where members change, on a group that holds it, each
      with C(app_id), C(access_right), C(scope_name), C(description), C(identity) and C(is_valid).
  returned: success
  type: list
  elements: dict
left_over:
  description: With O(state=absent), the addresses of those who stay in a group that was not removed.
  returned: O(state=absent)
  type: list
  elements: str
pending:
  description: What was written and is not shown by Exchange yet, or what waits for O(not_before).
  returned: when O(patience) ended before everything was shown, or O(not_before) lies ahead
  type: str
pending_until:
  description: When to look again (ISO 8601, UTC).
  returned: when O(patience) ended before everything was shown, or O(not_before) lies ahead
  type: str
added:
  description:
    - What was not there before and is now, or would be in check mode, as entries with C(kind), C(of) and C(id).
    - The kinds are C(group) (a group that was made; its Guid, all zeros where it is to be made), C(member) (of the
      group's Guid; the address) and, of a group that others made, C(setting) (the property's name, with its value
      C(before) and C(after)). A task that fails half-way tells it as well.
  returned: when something was added
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
  sample: group created, 1 member
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
    - Its C(details) has C(foreign_members) and C(foreign_owners), each a list with C(address), C(display_name),
      C(type) and C(type_in_words), when somebody is in the group who was not declared.
  returned: failure
  type: dict
"""

from ansible_collections.mail2fax.m365.plugins.module_utils._module import run_module
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.security_group import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
