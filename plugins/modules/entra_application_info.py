#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: entra_application_info
short_description: Read an app registration and what it may do
version_added: 0.1.0
description:
  - Reads applications by O(unique_name), O(app_id) or O(display_name), with their API permissions by name, the dates
    of their client secrets and certificates, their owners, their service principal and the grants in force.
  - Applications in the recycle bin are listed apart.
author:
  - The mail2fax.m365 authors (@mail2fax)
extends_documentation_fragment:
  - mail2fax.m365.connection
  - mail2fax.m365.connection.network
  - mail2fax.m365.connection.windows_host
  - mail2fax.m365.attributes.info
  - mail2fax.m365.ownership.identity
options:
  unique_name:
    description:
      - The application's unique name.
      - Exactly one of O(unique_name), O(app_id) and O(display_name) is required.
    type: str
  app_id:
    description: Application (client) ID.
    type: str
  display_name:
    description: Display name. All applications of this name are listed, at most 50.
    type: str
  recorded_app_id:
    description:
      - Application (client) ID that the record of an earlier run names. It is looked up by this ID instead of
        O(unique_name) or O(app_id) while it exists, live or deleted.
    type: str
  sign_ins_since:
    description:
      - Also tell for which services the application has signed in since this instant (ISO 8601, UTC), if one is found.
      - That takes a licence of the tenant (Entra ID P1) and the permission C(AuditLog.Read.All) in Microsoft Graph.
        What cannot be read is told, and stops nothing.
    type: str
    version_added: 0.2.0
seealso:
  - module: mail2fax.m365.entra_application
"""

EXAMPLES = r"""
- name: Which applications of this name are there, and who owns them?
  mail2fax.m365.entra_application_info:
    tenant: imagicleucdev.onmicrosoft.com
    display_name: Mail2DigitalFax
  register: found

- name: When do its secrets end?
  ansible.builtin.debug:
    msg: "{{ found.applications | map(attribute='secrets') | flatten | map(attribute='end_date_time') }}"
"""

RETURN = r"""
applications:
  description: The live applications, the oldest first; empty when there is none.
  returned: success
  type: list
  elements: dict
  contains:
    app_id:
      description: Application (client) ID.
      type: str
      sample: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    object_id:
      description: Object ID of the app registration.
      type: str
    display_name:
      description: Display name.
      type: str
      sample: Mail2DigitalFax
    unique_name:
      description: The unique name, null for applications made without one.
      type: str
    sign_in_audience:
      description: Who may sign in.
      type: str
      sample: AzureADMyOrg
    notes:
      description: Notes on the application.
      type: str
    tags:
      description: Tags of the app registration.
      type: list
      elements: str
    created_by_app_id:
      description: The application that created it, as Entra noted; null where it did not.
      type: str
    created_date_time:
      description: When it was made (ISO 8601, UTC); null in check mode for one that is to be made.
      type: str
    permissions:
      description: >-
        The API permissions that it declares, which is not what was granted. An id stands where a resource is not
        known in the tenant.
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
    redirect_uris:
      description: Redirect URIs of all platforms.
      type: list
      elements: str
    secrets:
      description: The client secrets' dates, the last to end first. Never a value.
      type: list
      elements: dict
      contains:
        key_id:
          description: The key's ID.
          type: str
        display_name:
          description: Its display name.
          type: str
        start_date_time:
          description: When it becomes valid.
          type: str
        end_date_time:
          description: When it ends.
          type: str
    certificates:
      description: The certificates' dates, the last to end first.
      type: list
      elements: dict
      contains:
        key_id:
          description: The key's ID.
          type: str
        display_name:
          description: Its display name.
          type: str
        start_date_time:
          description: When it becomes valid.
          type: str
        end_date_time:
          description: When it ends.
          type: str
        type:
          description: The kind of credential.
          type: str
        usage:
          description: What it is for.
          type: str
        thumbprint:
          description: C(customKeyIdentifier), which holds the thumbprint.
          type: str
    owners:
      description: The owners.
      type: list
      elements: dict
      contains:
        id:
          description: Object ID.
          type: str
        type:
          description: The kind of object, such as C(user) or C(servicePrincipal).
          type: str
        display_name:
          description: Display name.
          type: str
        user_principal_name:
          description: The user's sign-in name.
          type: str
    federated_credentials:
      description: Identities of other services that sign in as the application without a secret.
      type: list
      elements: dict
      contains:
        id:
          description: ID of the credential.
          type: str
        name:
          description: Its name.
          type: str
        issuer:
          description: Who vouches for the identity.
          type: str
        subject:
          description: The identity.
          type: str
    service_principal:
      description: The service principal in this tenant, null when there is none.
      type: dict
      contains:
        id:
          description: Object ID.
          type: str
        created_by_app_id:
          description: The application that created it, as Entra noted; null where it did not.
          type: str
        owners:
          description: Its owners, as those of the application.
          type: list
          elements: dict
        display_name:
          description: Display name.
          type: str
        enabled:
          description: Whether sign-in is enabled.
          type: bool
        created_date_time:
          description: When it was made.
          type: str
        tags:
          description: Its tags.
          type: list
          elements: str
        secrets:
          description: Client secrets of its own, which sign in as the application, as in RV(applications[].secrets).
          type: list
          elements: dict
        certificates:
          description: Certificates of its own, as in RV(applications[].certificates).
          type: list
          elements: dict
    grants:
      description: The grants in force, which is what the application may really do.
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
sign_ins:
  description: For which services the application has signed in.
  returned: with O(sign_ins_since), if one application is found
  type: dict
  contains:
    since:
      description: From when on.
      type: str
    complete:
      description: Whether the log could be read.
      type: bool
    why:
      description: Why not.
      type: str
    resources:
      description: The services, with C(resource), by the well-known name or application id, and C(last), when last.
      type: list
      elements: dict
deleted:
  description: The applications of that key or name in the recycle bin, the first deleted first.
  returned: success
  type: list
  elements: dict
  contains:
    app_id:
      description: Application (client) ID.
      type: str
    object_id:
      description: Object ID.
      type: str
    display_name:
      description: Display name.
      type: str
    unique_name:
      description: The unique name, which stays taken.
      type: str
    deleted_date_time:
      description: When it was deleted.
      type: str
    recoverable_until:
      description: Until when it can be restored (ISO 8601, UTC).
      type: str
    secrets:
      description: The client secrets that would come back with it, as in RV(applications[].secrets).
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
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_info import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
