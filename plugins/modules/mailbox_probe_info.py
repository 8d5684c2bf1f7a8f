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
  - Signs in as an application, not as the operator, and opens each mailbox as the fax server will do; with Exchange Web
    Services (EWS), Microsoft Graph, IMAP, POP or SMTP. Nothing in a mailbox is read.
  - Tells apart why a mailbox does not open; not yet in force, the protocol switched off for the mailbox or for the
    tenant, denied by an application access policy, no right on the mailbox, no role in the token, no such mailbox.
    Where a service gives one answer for several causes, the message lists them, the likeliest first.
  - A refusal counts only beside an opening by the same access. That a mailbox is not there, or that a protocol is
    switched off for it, is no refusal; where every mailbox of O(refused) says so, Exchange's own verdict stands
    (O(configuration_agrees)), and RV(accesses) tells that nothing was refused.
  - A credential, a grant or a service principal that was made a moment ago is given C(patience) seconds. Every attempt
    is a new sign-in, one for each API. Which role the token has to carry depends on what limits the access; none where
    roles of Exchange grant it (V(application_role)).
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
  - mail2fax.m365.accesses
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
      - If not set, the one that O(protocol) needs, such as C(full_access_as_app) for V(ews).
    type: str
  accesses:
    description:
      - By which protocols the application gets in, with which permissions, and what limits each. Every mailbox is
        opened by each of them.
      - The token has to carry all of O(accesses[].permissions), unless roles of Exchange stand for them. They choose
        what Microsoft Graph is asked for; a list of messages for C(Mail.*), a day's view for C(Calendars.*).
      - With V(application_role) in O(accesses[].scoping) the token must not carry the permissions, because a grant in
        Entra undoes the scope.
      - When not set, O(protocol) and O(role) describe the only one.
      - A lookup of P(mail2fax.m365.profile#lookup) returns them under the same name.
  object_id:
    description:
      - The object ID that Exchange's service principal of the application has, as
        M(mail2fax.m365.exchange_service_principal) returns it. If the token is another object's, what Exchange refuses
        is told as V(wrong_pointer).
    type: str
    version_added: 0.2.0
  client:
    description:
      - The mail client with which the fax server signs in. The proof itself can send any token; if this client cannot
        send the one that Entra issues, or does not sign in with a token by one of the protocols, a warning says so.
      - What is known of each of them is in the guide
        R(Field notes, ansible_collections.mail2fax.m365.docsite.field_notes).
    type: str
    choices:
      - aioimaplib
      - curl
      - emailproxy
      - exchangelib
      - getmail6
      - go_imap
      - go_smtp
      - imap_tools
      - imapclient
      - imapfilter
      - imapflow
      - imaplib
      - mailkit
      - mbsync
      - mpop
      - msmtp
      - mutt
      - neomutt
      - nodemailer
      - offlineimap
      - poplib
      - sasl_xoauth2
      - smtplib
    version_added: 0.2.0
  send:
    description:
      - Whether a real message is sent from each mailbox of O(allowed) to itself, by SMTP, and by Microsoft Graph where
        the permission is C(Mail.Send). It is then looked for, by IMAP or Microsoft Graph, and removed.
      - Without it SMTP ends before the message. That proves a role, and it proves nothing where rights on mailboxes
        decide, because Exchange looks at them only when a message is handed over; the verdict is V(signed_in) then. So
        it is for C(Mail.Send) alone, of which Microsoft Graph has no dry form.
      - Nothing is ever sent as a mailbox of O(refused), and nothing in check mode.
    type: bool
    default: false
    version_added: 0.2.0
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
        seconds; a minute where rights on mailboxes are on their way, and five where roles are, because a refusal that
        is asked for more often stays in Exchange's cache. V(0) is one look.
    type: int
    default: 0
  configuration_agrees:
    description:
      - Whether the configuration is known to be right, as M(mail2fax.m365.exchange_application_access_info) tells.
      - If so, a mailbox that opens against expectation, or is denied, ends in the outcome V(pending), because Exchange
        obeys a new policy only after up to an hour (a new role up to two). If not, it ends in V(blocked).
    type: bool
    default: true
  in_force_by:
    description:
      - When what was changed is in force at the latest (ISO 8601), as the modules that make roles, rights, switches and
        policies return it. Of several the latest counts.
      - Until then a refusal, or a protocol that is off, is V(pending). After it, what roles or rights should open and
        Exchange refuses ends in V(blocked), with the causes that are left.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
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

- name: Prove an application that reads by IMAP and sends by SMTP
  mail2fax.m365.mailbox_probe_info:
    tenant: imagicleucdev.onmicrosoft.com
    app_id: 1cb8b5d2-8724-4f32-8152-a16a230b682b
    store:
      backend: vault_file
      path: secrets/imagicleucdev.yml
    accesses:
      - {id: imap, protocol: imap, permissions: [IMAP.AccessAsApp], scoping: mailbox_permission}
      - {id: smtp, protocol: smtp, permissions: [SMTP.SendAsApp], scoping: application_role}
    allowed: [fax@imagicleucdev.onmicrosoft.com]
    refused: [AdeleV@imagicleucdev.onmicrosoft.com]

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
token_length:
  description:
    - How many characters the application's token has, the longest one where there are several; null when nothing was
      probed. Some mail clients cannot send long ones.
  returned: success
  type: int
  sample: 1684
tokens:
  description: >-
    How long the tokens live that this proof got, and so others may that were issued beside them. None of their values.
  returned: success
  type: list
  elements: dict
  contains:
    resource:
      description: What they are for, C(exchange_online) or C(microsoft_graph).
      type: str
    minutes:
      description: For how many minutes one was issued.
      type: int
  version_added: 0.2.0
probes:
  description: One entry per mailbox; empty in check mode when there is no application or no secret yet.
  returned: success
  type: list
  elements: dict
  contains:
    mailbox:
      description: The address.
      type: str
    access:
      description: The access by which it was opened, with O(accesses).
      type: str
    protocol:
      description: The protocol of the access, with O(accesses).
      type: str
    expected:
      description: V(opened) or V(refused).
      type: str
    verdict:
      description: >-
        V(opened), V(signed_in), V(denied_by_policy), V(impersonation_refused), V(refused), V(no_permission),
        V(out_of_scope), V(wrong_pointer), V(ews_blocked), V(protocol_off_mailbox), V(protocol_off_tenant), V(no_role),
        V(no_mailbox), V(throttled) or V(other).
      type: str
    as_expected:
      description: >-
        Whether the verdict is the expected one. A mailbox that was to be refused must have been denied; with
        O(accesses), one that says nothing of it is as expected where O(configuration_agrees).
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
    message:
      description: >-
        What became of the message that was sent; its C(id), and its C(state), V(removed), V(left), V(not_found) or
        V(nobody_reads). Only with O(send).
      type: dict
accesses:
  description: What each access proved.
  returned: with O(accesses)
  type: list
  elements: dict
  contains:
    access:
      description: The access's own word.
      type: str
    protocol:
      description: Its protocol.
      type: str
    opened:
      description: How many mailboxes opened.
      type: int
    refused:
      description: How many were refused, beside an opening by the same access.
      type: int
    signed_in:
      description: How many let the application sign in and said no more.
      type: int
    remark:
      description: What was not proved on the wire, null when nothing is to be said.
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
