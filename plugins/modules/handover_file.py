#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: handover_file
short_description: Write one document of a tenant's hand-over
version_added: 0.1.0
description:
  - Writes a text to a file, whole or not at all, with the mode C(0640). Missing folders are made with the mode C(0750).
  - With O(document) it goes where C(mail2fax_record_store) of the host says, which may be the KV of a HashiCorp Vault
    or an OpenBao instead of a file. There it is written with check-and-set, from where Ansible itself runs.
  - A record that another run has written meanwhile is not written over. What this run added to the tenant is noted in
    it, and the task fails.
  - The role P(mail2fax.m365.handover#role) uses it for the sheet and the result of each tenant. Where Ansible itself
    runs it needs no process, which M(ansible.builtin.template) and M(ansible.builtin.copy) do several times per file.
author:
  - The mail2fax.m365 authors (@mail2fax)
options:
  path:
    description: Path of the file, where the document is kept in a folder.
    type: path
    required: true
  document:
    description:
      - What the document is called in a record store. V(record) is the result of a run, V(audit) that of an audit,
        V(sheet) the hand-over sheet, V(sheet.txt) the same as text; any other is what its file ends in, such as
        V(reach.json).
      - Without it O(path) is written, whatever C(mail2fax_record_store) says.
    type: str
    version_added: 0.2.0
  record_store:
    description: Where documents are kept. C(mail2fax_record_store) of the host, if it is not given.
    type: dict
    version_added: 0.2.0
    suboptions:
      backend:
        description: >-
          V(folder) is O(path) of this module. V(hashi_vault) is a KV version 2 mount of a HashiCorp Vault or OpenBao.
        type: str
        required: true
        choices: [folder, hashi_vault]
      path:
        description: >-
          With V(folder), the folder, which the role makes O(path) of. With V(hashi_vault), below which path of the
          mount each tenant has its documents, C(mail2fax/records) if it is not given.
        type: path
      url:
        description: The server's address. E(VAULT_ADDR) of the run, if it is not given.
        type: str
      mount:
        description: The mount, C(secret) if it is not given.
        type: str
      namespace:
        description: The namespace. E(VAULT_NAMESPACE) of the run, if it is not given.
        type: str
      token:
        description: >-
          A token. If neither it nor O(record_store.role_id) is given, E(VAULT_TOKEN) of the run is used, or the file
          that E(VAULT_TOKEN_FILE) names, or the file C(~/.vault-token).
        type: str
      role_id:
        description: The role of an AppRole sign-in. E(VAULT_ROLE_ID) of the run, if it is not given.
        type: str
      secret_id:
        description: >-
          The secret ID of an AppRole sign-in. E(VAULT_SECRET_ID) of the run, if it is not given, or the file that
          E(VAULT_SECRET_ID_FILE) names.
        type: str
      ca_path:
        description: The authority that issued the server's certificate. E(VAULT_CACERT) of the run, if it is not given.
        type: path
  or_file:
    description: >-
      Whether O(path) takes the text where the record store refuses it, but for one that another run has written. A
      warning tells it, and the next run on the same machine takes it over.
    type: bool
    default: false
    version_added: 0.2.0
  content:
    description: The whole text of the file. Without it nothing is written; the task fails if the file could not be.
    type: str
  refused:
    description: What is wrong with that of which the text is to be made, in sentences. The task fails with them.
    type: list
    elements: str
    default: []
  blocked:
    description: What a person has to decide before the run may go on, in sentences. The task is blocked with them.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  moves:
    description:
      - Files that an earlier version left at another place. Without O(content), each is moved if it is there and
        nothing is at its new place.
    type: list
    elements: dict
    default: []
    version_added: 0.2.0
    suboptions:
      source:
        description: Where it may be.
        type: path
        required: true
      destination:
        description: Where it belongs.
        type: path
        required: true
  shown:
    description: What C(--diff) shows when the file is written, where its text is not what people look for.
    type: dict
    version_added: 0.2.0
    suboptions:
      before:
        description: What was.
        type: dict
      after:
        description: What is.
        type: dict
attributes:
  check_mode:
    description: Predicts what would change without changing it.
    support: full
  diff_mode:
    description: Shows the state before and after.
    support: full
  idempotent:
    description: When run twice with the same options, the second run changes nothing.
    support: full
seealso:
  - module: ansible.builtin.copy
"""

EXAMPLES = r"""
- name: Write what came of the run
  mail2fax.m365.handover_file:
    path: handover/{{ inventory_hostname }}.json
    content: "{{ handover_result.document | to_nice_json }}"

- name: Keep a report where the tenant's record is kept
  mail2fax.m365.handover_file:
    path: handover/{{ inventory_hostname }}.reach.json
    document: reach.json
    content: "{{ report | to_nice_json }}"
"""

RETURN = r"""
file:
  description: Path of the file, or where the document is kept, in words.
  returned: success
  type: str
by_hand:
  description: How to put the document where it belongs, where O(path) took it instead.
  returned: with O(or_file), where the record store refused
  type: str
as_text:
  description: The sheet as lines of text, for the end of the log.
  returned: for the document V(sheet), where AWX or ansible-runner started the run
  type: list
  elements: str
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
error:
  description: What went wrong, for machines; C(msg) says the same to people.
  returned: failure
  type: dict
"""

from ansible_collections.mail2fax.m365.plugins.module_utils._module import run_module
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.handover_file import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
