#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: entra_application
short_description: Manage an app registration and its service principal
version_added: 0.1.0
description:
  - Makes, adopts, changes or deletes an app registration in Microsoft Entra ID, and makes its service principal.
  - The application is found by O(unique_name) or by O(app_id). It is never found by its display name, which several
    applications may share.
  - API permissions are declared by name. Declaring them grants nothing, see
    M(mail2fax.m365.entra_admin_consent).
author:
  - The mail2fax.m365 authors (@mail2fax)
extends_documentation_fragment:
  - mail2fax.m365.connection
  - mail2fax.m365.connection.network
  - mail2fax.m365.connection.windows_host
  - mail2fax.m365.attributes
  - mail2fax.m365.ownership
  - mail2fax.m365.ownership.identity
  - mail2fax.m365.ownership.permissions
  - mail2fax.m365.accesses
  - mail2fax.m365.ownership.tenant_wide
options:
  unique_name:
    description:
      - The application's unique name (C(uniqueName) in Microsoft Graph), chosen by you once and kept for ever.
      - Together with O(app_id) it is given to the adopted application, if that has none yet.
      - At least one of O(unique_name) and O(app_id) is required.
    type: str
  app_id:
    description:
      - Application (client) ID of an application that exists, to adopt it, such as one that was made by hand.
    type: str
  display_name:
    description:
      - Display name. Required for a new application. If left out, the name of an existing one stays as it is.
    type: str
  state:
    description:
      - Whether the application is there.
      - With V(absent) it and its service principal go to the recycle bin, from which they can be restored for 30 days.
      - With V(released) it stays, and is taken back from only what was added to it, as O(permissions) and
        O(release_service_principal) say. So a removal leaves an adopted application as it was found.
    type: str
    choices: [present, absent, released]
    default: present
  permissions:
    description:
      - The API permissions that the application declares. V([]) means none. If left out they stay as they are.
      - With O(state=released) those that it shall declare no longer; others stay.
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
  exclusive_permissions:
    description: Whether permissions that are not listed are removed from the application's declaration.
    type: bool
    default: true
  sign_in_audience:
    description: Who may sign in to the application. V(AzureADMyOrg) is this tenant alone.
    type: str
    choices: [AzureADMyOrg, AzureADMultipleOrgs, AzureADandPersonalMicrosoftAccount, PersonalMicrosoftAccount]
    default: AzureADMyOrg
  notes:
    description: Notes on the application, at most 1024 characters. If left out they stay as they are.
    type: str
  tags:
    description: The tags of the app registration, all of them. If left out they stay as they are.
    type: list
    elements: str
  on_deleted:
    description:
      - What to do when the application lies in the recycle bin, where it keeps its unique name.
      - V(fail) stops and tells how long it can be restored.
      - V(restore) brings it back with its app id and its old client secrets, which are reported as
        RV(old_secrets). Its old service principal is removed for good and a new one is made, so that no old grant
        comes back with it.
      - V(purge) removes it for good and makes a new one with a new app id.
    type: str
    choices: [fail, restore, purge]
    default: fail
  on_namesake:
    description:
      - What to do before another application of the same display name is made. V(fail) stops and lists those that
        exist. V(ignore) makes it nevertheless.
    type: str
    choices: [fail, ignore]
    default: fail
  service_principal:
    description:
      - Whether the application gets a service principal in this tenant, without which it can neither sign in nor be
        granted anything. With V(false) it is neither made nor looked after.
    type: bool
    default: true
  enabled:
    description:
      - Whether the service principal may sign in. If left out, a new one may, and one that somebody disabled is
        reported with a warning and stays disabled.
    type: bool
  purge:
    description: With O(state=absent), also remove the application and its service principal from the recycle bin.
    type: bool
    default: false
  release_service_principal:
    description: With O(state=released), also delete the application's service principal, and with it all its grants.
    type: bool
    default: false
seealso:
  - module: mail2fax.m365.entra_application_info
  - module: mail2fax.m365.entra_application_secret
  - module: mail2fax.m365.entra_admin_consent
"""

EXAMPLES = r"""
- name: Make the fax server's application
  mail2fax.m365.entra_application:
    tenant: imagicleucdev.onmicrosoft.com
    unique_name: mail2fax
    display_name: Mail2DigitalFax
    permissions:
      - resource: exchange_online
        application: [full_access_as_app]
  register: fax_application

- name: Adopt an application that was made by hand, and give it a unique name
  mail2fax.m365.entra_application:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    unique_name: mail2fax
    adopting: true
  register: adopted_application

- name: Bring it back from the recycle bin if somebody deleted it
  mail2fax.m365.entra_application:
    tenant: imagicleucdev.onmicrosoft.com
    unique_name: mail2fax
    display_name: Mail2DigitalFax
    on_deleted: restore

- name: Delete it for good
  mail2fax.m365.entra_application:
    tenant: imagicleucdev.onmicrosoft.com
    unique_name: mail2fax
    state: absent
    purge: true
"""

RETURN = r"""
application:
  description: >-
    The application as it is now, or would be in check mode, where the ids of one that is to be made are all zeros.
    Null when it is absent.
  returned: success
  type: dict
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
app_id:
  description: Application (client) ID, null when there was none.
  returned: always
  type: str
service_principal_id:
  description: Object ID of the service principal, null when there is none.
  returned: success
  type: str
old_secrets:
  description: The client secrets with which a restored application came back.
  returned: when an application was restored
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
recoverable_until:
  description: Until when a deleted application can be restored (ISO 8601, UTC).
  returned: when O(state=absent) and the application lies in the recycle bin
  type: str
accepted:
  description:
    - What may sign in as the application, or let others do so, and was taken over with O(adopting), by C(kind) and
      C(id). A later task names it in O(accept_credentials).
  returned: when the application existed and who can sign in as it was looked at
  type: list
  elements: dict
added:
  description: >-
    What was not there before and is now, or would be in check mode, a list of C(kind), C(of) and C(id):
    C(application) for a
    new one; of one that was there C(service_principal) and C(permission); of one that others made also
    C(setting), with what
    it was before. A task that fails half-way tells it as well.
  returned: when something was added
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
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
