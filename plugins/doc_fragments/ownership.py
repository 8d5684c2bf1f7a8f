# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  trusted_app_ids:
    description:
      - Application (client) IDs that count like the operator's own. What one of them created, or one of them
        itself, may
        hold the unique name, and may own the application.
      - Whose an application is is told by C(createdByAppId), which Entra sets and nobody can change, and
        never by a name.
    type: list
    elements: str
  accept_credentials:
    description:
      - What may sign in as the application, or add something that can, beside what is ours. Anything else of
        the kind stops
        the task before it changes something.
      - Key IDs of client secrets and certificates, owners by object ID, application ID or user principal
        name, federated
        credentials by ID, name or subject, and redirect addresses.
    type: list
    elements: str
  known_key_ids:
    description:
      - Key IDs of the client secrets that were made here, as the record of a run and the secret's store name them.
      - If left out, the client secrets of the application itself are not judged, because nothing tells which are
        ours. An empty list says that none is.
    type: list
    elements: str
  stored_intent:
    description:
      - What M(mail2fax.m365.entra_application_secret) returned under this name. It tells the secret of a run that was
        cut short from one that somebody else made.
    type: dict
    suboptions:
      at:
        description: When the secret was about to be made (ISO 8601, UTC).
        type: str
      keys:
        description: Key IDs of the secrets that the application had then.
        type: list
        elements: str
  adopting:
    description:
      - The application is taken for the first time. Who can sign in as it by now, or let others do so, is told and
        returned, and stops nothing.
    type: bool
    default: false
  recorded_app_id:
    description:
      - Application (client) ID that the record of an earlier run names. It is looked up by this ID before
        anything else, and
        taken while it exists, live or deleted, whatever it is called by now.
      - The task is blocked where something that was declared means another application. One answer that it
        does not exist
        is no proof.
    type: str
  recorded_created_by:
    description:
      - Application (client) ID that created the application of O(recorded_app_id), as the run saw it that wrote the
        record. It may be another operator than the one that is signed in now, such as where audits have an operator of
        their own.
    type: str
"""

    IDENTITY = r"""
options:
  declared:
    description:
      - Names of the options that the inventory itself says. The others are only defaults, such as those of a
        profile. They
        mean no other application than the recorded one, and change nothing of an application that others made.
      - If left out, every option that is given counts as said.
    type: list
    elements: str
  leave_application:
    description:
      - Application (client) IDs of recorded applications that are left as they are, with their consent and
        their secrets.
    type: list
    elements: str
"""

    PERMISSIONS = r"""
options:
  extra_permissions:
    description:
      - Names of permissions, word for word, that may be declared although no application access policy limits them. Any
        other one stops the task.
      - Not limited are all but V(full_access_as_app) of Exchange Online and, of Microsoft Graph, the application
        permissions for mail, calendars, contacts and mailbox settings. The delegated V(User.Read) opens no mailbox, and
        is allowed as well.
      - If left out, what the task itself declares is allowed.
    type: list
    elements: str
"""

    TENANT_WIDE = r"""
options:
  accept_tenant_wide:
    description:
      - The words, ten characters or more, by which somebody accepts that nothing limits the application, as
        V(tenant_wide) in O(accesses[].scoping) has it. Without them the task stops.
    type: str
    version_added: 0.2.0
"""
