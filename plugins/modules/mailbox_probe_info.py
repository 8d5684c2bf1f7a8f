#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mailbox_probe_info
short_description: Prove which mailboxes an application can open
version_added: 0.1.0
description:
  - Signs in as an application, not as the operator, and opens the inbox of each mailbox with Exchange Web Services
    (EWS), as the fax server will do. Only the folder's id is asked for, nothing in it is read.
  - Tells apart why a mailbox does not open; not yet in force, EWS blocked, denied by an application access policy,
    no role in the token, no such mailbox.
  - A credential, a grant or a service principal that was made a moment ago is given C(patience) seconds. Every attempt
    is a new sign-in, and only a token that carries O(role) counts.
  - A secret of O(store) whose key was removed from the application is told as that and not waited for, unless it is
    younger than ten minutes. The operator is asked for it, if the operator may read applications.
  - With O(store) the client secret is read back from where M(mail2fax.m365.entra_application_secret) put it, so that
    the proof is about the value that the fax server gets.
author:
  - The mail2fax.m365 authors (@mail2fax)
extends_documentation_fragment:
  - mail2fax.m365.connection
  - mail2fax.m365.connection.network
  - mail2fax.m365.connection.windows_host
  - mail2fax.m365.store
  - mail2fax.m365.attributes.info
options:
  app_id:
    description:
      - Application (client) ID of the application.
      - In check mode it may be all zeros, for an application that is still to be made; nothing is probed then.
    type: str
    required: true
  app_secret:
    description: The application's client secret. Prefer O(store), which keeps it out of variables.
    type: str
  app_certificate_path:
    description: A PEM file with the application's private key and certificate, or a PFX (PKCS#12) file.
    type: path
  app_certificate_passphrase:
    description: The passphrase of the private key in O(app_certificate_path).
    type: str
  protocol:
    description: How the mailboxes are opened.
    type: str
    choices: [ews, graph, imap, pop, smtp]
    default: ews
  role:
    description:
      - The application permission that the token has to carry before a mailbox is tried.
      - If not set, the one that O(protocol) needs, which is C(full_access_as_app) for V(ews).
    type: str
  allowed:
    description: Addresses of the mailboxes that have to open.
    type: list
    elements: str
    default: []
  refused:
    description: Addresses of mailboxes that must not open, the negative proof.
    type: list
    elements: str
    default: []
  wait:
    description:
      - Seconds to go on looking at the mailboxes whose verdict is not as expected, in intervals that grow to ten
        seconds. V(0) is one look.
    type: int
    default: 0
  configuration_agrees:
    description:
      - Whether the configuration is known to be right, as M(mail2fax.m365.exchange_application_access_info) tells.
      - If so, a mailbox that opens against expectation, or is denied, ends in the outcome V(pending), because Exchange
        obeys a new policy only after up to an hour. If not, it ends in V(blocked).
    type: bool
    default: true
  ews_in_force_by:
    description:
      - When a recent change of the EWS settings is in force at the latest (ISO 8601), as
        M(mail2fax.m365.exchange_ews_access) returns it. Until then a blocked EWS is V(pending), not V(blocked).
    type: str
  ews_changed_at:
    description: When the EWS settings were changed (ISO 8601); O(ews_in_force_by) is 24 hours later.
    type: str
notes:
  - The options of the operator's sign-in are accepted because C(module_defaults) of the action group sets them. They
    are not used; only O(tenant) and the options of the network are.
seealso:
  - module: mail2fax.m365.exchange_application_access_info
  - module: mail2fax.m365.exchange_ews_access
"""

EXAMPLES = r"""
- name: Prove that the fax server reaches the fax mailbox and nobody else's
  mail2fax.m365.mailbox_probe_info:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    store:
      backend: vault_file
      path: secrets/imagicleucdev.yml
    allowed: [fax@imagicleucdev.onmicrosoft.com]
    refused: [AdeleV@imagicleucdev.onmicrosoft.com]
    wait: 60

- name: The same for an application that signs in with a certificate
  mail2fax.m365.mailbox_probe_info:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    app_certificate_path: keys/fax-server.pem
    allowed: [fax@imagicleucdev.onmicrosoft.com]
    refused: [AdeleV@imagicleucdev.onmicrosoft.com]
"""

RETURN = r"""
app_id:
  description: Application (client) ID of the application.
  returned: success
  type: str
tenant_id:
  description: The tenant that issued the token, null when nothing was probed.
  returned: success
  type: str
roles:
  description: The application permissions in the token.
  returned: success
  type: list
  elements: str
  sample: [full_access_as_app]
probes:
  description: One entry per mailbox; empty in check mode when there is no application or no secret yet.
  returned: success
  type: list
  elements: dict
  contains:
    mailbox:
      description: The address.
      type: str
    expected:
      description: V(opened) or V(refused).
      type: str
    verdict:
      description: >-
        V(opened), V(denied_by_policy), V(ews_blocked), V(no_role), V(no_mailbox), V(impersonation_refused)
        or V(other).
      type: str
    as_expected:
      description: Whether the verdict is the expected one. A mailbox that was to be refused must have been denied.
      type: bool
    reason:
      description: The service's own words, null when the mailbox opened.
      type: str
    request_id:
      description: The request's id, for Microsoft's support.
      type: str
    at:
      description: When the mailbox was tried (ISO 8601, UTC).
      type: str
pending:
  description: What is configured but not in force yet.
  returned: when the outcome is V(pending)
  type: str
pending_until:
  description: When to look again at the latest (ISO 8601, UTC).
  returned: when the outcome is V(pending)
  type: str
outcome:
  description: What became of the proof; V(ok), V(pending), V(blocked) or V(failed).
  returned: always
  type: str
  sample: ok
summary:
  description: The outcome in a few words.
  returned: always
  type: str
  sample: 1 opened and 1 refused, as expected
waited:
  description:
    - What the task waited for (C(for)) and how many C(seconds) in all, the longest first. What took less than 15
      seconds is left out.
  returned: when something took that long
  type: list
  elements: dict
error:
  description: What went wrong, for machines; C(msg) says the same to people. The probes are in its C(details).
  returned: failure
  type: dict
"""

from ansible_collections.mail2fax.m365.plugins.module_utils._module import run_module
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
