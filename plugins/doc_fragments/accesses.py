# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The option that says by which ways an application gets in.

    A module that takes it for something else than grants has a description of its own.
    """

    DOCUMENTATION = r"""
options:
  accesses:
    description:
      - By which protocols the application gets in, with which permissions, and what limits each. They decide which
        permissions may be declared and granted.
      - With V(application_access_policy) those that such a policy limits. With V(mailbox_permission)
        V(IMAP.AccessAsApp), V(POP.AccessAsApp) and V(SMTP.SendAsApp), which open nothing without a right on the
        mailbox. With V(application_role) none, because a grant would undo the role's scope. With V(tenant_wide) those
        that open every mailbox, if O(accept_tenant_wide) says so.
      - If left out, an application access policy limits everything.
      - A lookup of P(mail2fax.m365.profile#lookup) returns them under the same name.
    type: list
    elements: dict
    version_added: 0.2.0
    suboptions:
      id:
        description: The access's own word.
        type: str
        required: true
      protocol:
        description: How mailboxes are opened, V(ews), V(graph), V(imap), V(pop) or V(smtp).
        type: str
        required: true
      permissions:
        description: Names of Entra's application permissions.
        type: list
        elements: str
        default: []
      scoping:
        description:
          - The scoping model in use, V(application_access_policy), V(application_role), V(mailbox_permission) or
            V(tenant_wide).
        type: str
        required: true
      roles:
        description: Names of Exchange's application roles, with V(application_role).
        type: list
        elements: str
        default: []
      resource:
        description: The API that has the permissions. It follows from O(accesses[].protocol), and is not read.
        type: str
      scoping_allowed:
        description: The scoping models that the profile allows. They are not read.
        type: list
        elements: str
"""
