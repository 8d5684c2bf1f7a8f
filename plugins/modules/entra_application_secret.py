#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: entra_application_secret
short_description: Make, store and renew the client secret of an application
version_added: 0.1.0
description:
  - Keeps one client secret of an app registration, told by its display name, and the store that holds its value.
    Secrets of other names are reported and never touched.
  - The value goes from the service's answer straight into O(store). It is read back, and a sign-in with it has to
    work before it takes the place of the old one. It never becomes a result, a variable or a log line.
  - Whether the tenant's secret and the stored one agree is decided by the key ID that the store holds beside the
    value. A run that finds nothing to do does not sign in with the value, unless it was changed in the store since it
    signed in last.
  - A secret that was removed outside, has expired, or whose stored value no longer signs in is replaced. What made it
    necessary is said in the result.
  - A run that was interrupted is finished, or undone, by the next one.
author:
  - The mail2fax.m365 authors (@mail2fax)
extends_documentation_fragment:
  - mail2fax.m365.connection
  - mail2fax.m365.connection.network
  - mail2fax.m365.connection.windows_host
  - mail2fax.m365.store
  - mail2fax.m365.attributes
attributes:
  idempotent:
    support: partial
    details:
      - With O(rotate=always) every run makes a new secret.
      - Time passes. A run does something when a secret is due for renewal, or the overlap of an old one is over.
options:
  app_id:
    description: Application (client) ID of the application.
    type: str
    required: true
  display_name:
    description:
      - The secret's display name. All secrets of this name belong to this task; at most two of them live at a time,
        the one in use and the one being retired.
    type: str
    required: true
  state:
    description: Whether the secret is there. With V(absent) it is removed from the application and from O(store).
    type: str
    choices: [present, absent]
    default: present
  lifetime:
    description:
      - Days that a new secret lives. Ignored when O(end_date_time) is set.
      - It is never longer than the tenant's app-management policy allows, see O(allow_shorter).
    type: int
    default: 365
  end_date_time:
    description: When a new secret ends (ISO 8601).
    type: str
  renew_before:
    description:
      - With O(rotate=if_needed), how many days before its end a secret is renewed.
      - A secret that lives no longer than this, because of the tenant's policy, is renewed at half of its life.
    type: int
    default: 30
  overlap:
    description:
      - Days that the old secret stays valid beside the new one, counted from when the new one is what O(store) gives.
      - A second renewal within that time ends the oldest one's overlap, with a warning, because two live at most.
    type: int
    default: 7
  rotate:
    description: When to renew a secret that is there and alive. An expired or lost one is always renewed.
    type: str
    choices: [if_needed, always, never]
    default: if_needed
  allow_shorter:
    description:
      - Lower the lifetime to what the tenant's app-management policy allows, instead of stopping.
      - Where the operator may not read the policy, 180, 90, 60 and 30 days are tried after a refusal.
    type: bool
    default: false
  recorded_key_id:
    description:
      - Key ID of the secret that the record of the last run names, if there is one.
      - Where O(store) holds it, that is the place from now on. Where O(store) does not hold it and the key is alive on
        the application, the task is blocked, because another place has the value that the fax server uses. With
        O(rotate=always) a new secret is made, and the recorded one gets its overlap.
    type: str
  recorded_place:
    description:
      - Where the record says that the value of O(recorded_key_id) was stored, as RV(stored_in). Messages name it.
      - A text, as earlier versions returned it, is taken as well.
    type: raw
  return_value:
    description:
      - Return a new secret's value as RV(secret_text), for people with a vault of their own.
      - Refused unless the task has C(no_log=true). Prefer O(store).
      - Whether a secret is there, and due, is then decided by its name and dates alone, as with the store V(none).
        After a run that was interrupted use O(rotate=always) once, because the value that it made is lost.
    type: bool
    default: false
seealso:
  - module: mail2fax.m365.entra_application
  - module: mail2fax.m365.mailbox_probe_info
"""

EXAMPLES = r"""
- name: Keep the fax server's secret in an encrypted file
  mail2fax.m365.entra_application_secret:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    display_name: DigitalFaxMailServiceSecret
    store:
      backend: vault_file
      path: secrets/imagicleucdev.yml

- name: Keep it in HashiCorp Vault, with VAULT_ADDR and VAULT_TOKEN from the environment
  mail2fax.m365.entra_application_secret:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    display_name: DigitalFaxMailServiceSecret
    store:
      backend: hashi_vault
      path: mail2fax/imagicleucdev

- name: Hand a new value to the fax team, sealed for their key
  mail2fax.m365.entra_application_secret:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    display_name: DigitalFaxMailServiceSecret
    store:
      backend: none
      seal_to: keys/fax-team.pub
  register: secret

- name: Remove it from the application and from the file
  mail2fax.m365.entra_application_secret:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    display_name: DigitalFaxMailServiceSecret
    state: absent
    store:
      backend: vault_file
      path: secrets/imagicleucdev.yml
"""

RETURN = r"""
key_id:
  description: The secret's key ID, null in check mode for one that would be made.
  returned: success
  type: str
display_name:
  description: The secret's display name.
  returned: success
  type: str
app_id:
  description: Application (client) ID of the application.
  returned: success
  type: str
start_date_time:
  description: From when the secret is valid (ISO 8601, UTC).
  returned: success and the secret is there
  type: str
end_date_time:
  description: Until when the secret is valid (ISO 8601, UTC).
  returned: success
  type: str
days_left:
  description: Days until then.
  returned: success and the secret is there
  type: int
stored_in:
  description: Where the value lies, or whom it is sealed for.
  returned: success
  type: dict
  sample:
    backend: vault_file
    place: /srv/fax/secrets/imagicleucdev.yml
  contains:
    backend:
      description: The kind of store, as O(store.backend).
      type: str
    place:
      description: Where it is.
      type: str
stored_key_ids:
  description: Key IDs of all secrets whose value O(store) held before the task.
  returned: success
  type: list
  elements: str
stored_intent:
  description: >-
    What O(store) tells of a secret that was about to be made before the task, by a run that did not come to its end.
    Null where there is nothing of the kind.
  returned: success
  type: dict
  contains:
    at:
      description: When (ISO 8601, UTC).
      type: str
    keys:
      description: Key IDs of the secrets that the application had then.
      type: list
      elements: str
rotated:
  description: Whether a new secret took the place of an old one.
  returned: success
  type: bool
previous_until:
  description:
    - Until when the secret before this one works as well (ISO 8601, UTC), which is when a later run removes it.
    - Null if there is none that works.
  returned: success and O(state=present)
  type: str
retired:
  description: Key IDs of the secrets that were removed.
  returned: success
  type: list
  elements: str
foreign:
  description: The application's other secrets, which are never touched.
  returned: success
  type: list
  elements: dict
sealed_value:
  description: >-
    The new secret's value, encrypted for O(store.seal_to) and in base64. C(base64 -d | openssl pkeyutl -decrypt
    -inkey KEY -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256) opens it.
  returned: when a secret was made and O(store.backend=none)
  type: str
secret_text:
  description: The new secret's value.
  returned: when a secret was made and O(return_value=true)
  type: str
outcome:
  description: What became of the step.
  returned: always
  type: str
  sample: changed
summary:
  description: The outcome in a few words.
  returned: always
  type: str
pending:
  description: Why a new secret is not in use yet, if Entra does not accept it within O(patience). The next run goes on.
  returned: when the outcome is pending
  type: str
pending_until:
  description: When to look again (ISO 8601, UTC).
  returned: when the outcome is pending
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
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
