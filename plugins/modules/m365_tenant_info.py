#!/usr/bin/python
# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: m365_tenant_info
short_description: Look at a tenant, and whether what is planned can be done in it
version_added: 0.1.0
description:
  - Tells which tenant this is, who the operator is and what the operator may do, and reads what the other modules will
    meet; the application, the mailboxes, the scope group, the EWS settings and the app-management policy.
  - The options are expectations. Everything that speaks against them is collected in RV(findings), each with what to
    do and who can do it, before anything is written. Without options it simply reports.
  - What cannot be meant is refused before anything is asked, with O(planned) for all tasks of a run at once. Then
    O(store) is opened, and then the tenant is looked at.
  - Needs one batch of requests to Microsoft Graph and one to Exchange Online, whatever the size of the tenant, and
    further ones only to explain what is wrong.
  - What the operator may not read is passed over and named in RV(unreadable).
  - With O(exchange_transport=winrm) the management host is checked on the way, and what is wrong with it is a finding.
author:
  - The mail2fax.m365 authors (@mail2fax)
extends_documentation_fragment:
  - mail2fax.m365.connection
  - mail2fax.m365.connection.network
  - mail2fax.m365.connection.windows_host
  - mail2fax.m365.accesses
  - mail2fax.m365.store
  - mail2fax.m365.attributes.info
options:
  expected_domain:
    description:
      - A domain of the tenant that is meant. When the tenant does not own it, the outcome is V(blocked).
    type: str
  recorded_tenant:
    description:
      - The id of the tenant that the record of an earlier run names. When another one is reached, the outcome is
        V(blocked).
    type: str
    version_added: 0.2.0
  application:
    description: The application registration that is planned.
    type: dict
    suboptions:
      unique_name:
        description: Its unique name in Microsoft Graph.
        type: str
      app_id:
        description: Application (client) ID of one to adopt.
        type: str
      display_name:
        description: Its display name. Other applications of that name are looked for.
        type: str
      profile:
        description: >-
          The profile that it is there for. Where nothing else tells which application is meant, the one that the
          playbook C(mail2fax.m365.migrate) has marked for this profile is taken, if this operator has made it.
        type: str
        version_added: 0.2.0
      enabled:
        description: >-
          What O(ignore:enabled) of M(mail2fax.m365.entra_application) will be. When not set, an application whose
          sign-in is disabled is a finding.
        type: bool
        version_added: 0.2.0
      exclusive_permissions:
        description: >-
          What O(ignore:exclusive_permissions) of M(mail2fax.m365.entra_application) will be. What the run would change
          of an application that others made is told.
        type: bool
        default: true
        version_added: 0.2.0
      on_deleted:
        description: >-
          What O(ignore:on_deleted) of M(mail2fax.m365.entra_application) will be. With V(fail) an application in the
          recycle bin is a finding.
        type: str
        choices: [fail, restore, purge]
        default: fail
      on_namesake:
        description: >-
          What O(ignore:on_namesake) of M(mail2fax.m365.entra_application) will be. With V(fail) another application of
          the same display name is a finding, unless the planned one exists.
        type: str
        choices: [fail, ignore]
        default: fail
      trusted_app_ids:
        description: What O(ignore:trusted_app_ids) of M(mail2fax.m365.entra_application) will be.
        type: list
        elements: str
      accept_credentials:
        description: What O(ignore:accept_credentials) of M(mail2fax.m365.entra_application) will be.
        type: list
        elements: str
      adopting:
        description: What O(ignore:adopting) of M(mail2fax.m365.entra_application) will be.
        type: bool
        default: false
      known_key_ids:
        description: What O(ignore:known_key_ids) of M(mail2fax.m365.entra_application) will be.
        type: list
        elements: str
      stored_intent:
        description: What O(ignore:stored_intent) of M(mail2fax.m365.entra_application) will be.
        type: dict
        suboptions:
          at:
            description: When the secret was about to be made (ISO 8601, UTC).
            type: str
          keys:
            description: Key IDs of the secrets that the application had then.
            type: list
            elements: str
      recorded_app_id:
        description: What O(ignore:recorded_app_id) of M(mail2fax.m365.entra_application) will be.
        type: str
      recorded_created_by:
        description: What O(ignore:recorded_created_by) of M(mail2fax.m365.entra_application) will be.
        type: str
      declared:
        description: What O(ignore:declared) of M(mail2fax.m365.entra_application) will be.
        type: list
        elements: str
      leave_application:
        description: What O(ignore:leave_application) of M(mail2fax.m365.entra_application) will be.
        type: list
        elements: str
  permissions:
    description: The API permissions that the application is to have. Every name has to exist.
    type: list
    elements: dict
    suboptions:
      resource:
        description: The API, V(exchange_online), V(microsoft_graph) or the application ID of another one.
        type: str
        required: true
      application:
        description: Names of application permissions.
        type: list
        elements: str
        default: []
      delegated:
        description: Names of delegated permissions.
        type: list
        elements: str
        default: []
  extra_permissions:
    description:
      - What O(ignore:extra_permissions) of M(mail2fax.m365.entra_application) and of
        M(mail2fax.m365.entra_admin_consent) will be.
    type: list
    elements: str
  mailboxes:
    description:
      - Addresses of the mailboxes that the application is to open. Each has to be a mailbox in Exchange Online.
    type: list
    elements: str
  control_mailboxes:
    description:
      - Addresses of mailboxes that the application must not be able to open.
      - When there are none, and there are O(mailboxes), one is picked; a user mailbox outside the scope group whose
        owner is not known to be an administrator.
    type: list
    elements: str
  group:
    description: The mail-enabled security group that is to be the scope.
    type: dict
    suboptions:
      alias:
        description: Its alias, by which it is found.
        type: str
        required: true
      name:
        description: Its name. Nothing else may have it.
        type: str
      address:
        description: Its mail address, by which it is found as well.
        type: str
      on_foreign_members:
        description: >-
          What O(ignore:on_foreign_members) of M(mail2fax.m365.exchange_security_group) will be. With V(fail) members
          beside O(mailboxes) are a finding, else they are only told.
        type: str
        choices: [fail, remove, keep]
        default: fail
      owners:
        description: The owners that will be declared. When set, others are a finding.
        type: list
        elements: str
      on_foreign_owners:
        description: >-
          What O(ignore:on_foreign_owners) of M(mail2fax.m365.exchange_security_group) will be. With V(fail) owners
          beside O(group.owners) are a finding, else they are only told.
        type: str
        choices: [fail, remove, keep]
        default: fail
      on_other_policies:
        description: >-
          What O(ignore:on_other_policies) of M(mail2fax.m365.exchange_application_access_policy) will be. With V(fail)
          other access policies that count for the application are a finding, else they are only told. When not set,
          they are not looked at.
        type: str
        choices: [fail, remove, keep]
      accept_shared_group:
        description: >-
          What O(ignore:accept_shared_group) of M(mail2fax.m365.exchange_security_group) will be. Another application
          that would reach more with the group, and that is not named here, is a finding.
        type: list
        elements: str
        version_added: 0.2.0
      declared:
        description: >-
          What O(ignore:declared) of M(mail2fax.m365.exchange_security_group) will be. What the run would change of a
          group that others made is told.
        type: list
        elements: str
        version_added: 0.2.0
      on_nested_group:
        description: >-
          What O(ignore:on_nested_group) of M(mail2fax.m365.exchange_security_group) will be. A management scope sees
          direct members only, so with V(fail) a group inside the group is a finding where an application role is to be
          assigned on it.
        type: str
        choices: [fail, flatten]
        default: fail
        version_added: 0.2.0
  accesses:
    description:
      - By which protocols the application gets in, with which permissions, and what limits each. They decide what is
        looked at.
      - When not set, an application access policy limits everything.
      - A lookup of P(mail2fax.m365.profile#lookup) returns them under the same name.
  service_principal:
    description: The application in Exchange, which application roles and rights on mailboxes hang on.
    type: dict
    version_added: 0.2.0
    suboptions:
      on_wrong_pointer:
        description: >-
          What O(ignore:on_wrong_pointer) of M(mail2fax.m365.exchange_service_principal) will be. With V(fail) one that
          was made with another object ID than that of the enterprise application is a finding.
        type: str
        choices: [fail, replace]
        default: fail
  application_role:
    description: The application roles and their scope.
    type: dict
    version_added: 0.2.0
    suboptions:
      scope_name:
        description: The name of the management scope. One of that name with another filter is a finding.
        type: str
      on_entra_grant:
        description: >-
          What O(ignore:on_entra_grant) of M(mail2fax.m365.exchange_application_role) will be. With V(fail) a permission
          in Entra that opens what the role opens, for the whole tenant, is a finding.
        type: str
        choices: [fail, remove]
        default: fail
      exclusive:
        description: What O(ignore:exclusive) of M(mail2fax.m365.exchange_application_role) will be.
        type: bool
        default: false
      on_other_assignments:
        description: >-
          What O(ignore:on_other_assignments) of M(mail2fax.m365.exchange_application_role) will be, where
          O(application_role.exclusive) is false.
        type: str
        choices: [fail, keep]
        default: fail
      enable_organization_customization:
        description: >-
          What O(ignore:enable_organization_customization) of M(mail2fax.m365.exchange_application_role) will be. When
          false, a tenant that was never customized is a finding.
        type: bool
        default: false
  mailbox_permission:
    description: The application's rights on mailboxes.
    type: dict
    version_added: 0.2.0
    suboptions:
      exclusive:
        description: >-
          What O(ignore:exclusive) of M(mail2fax.m365.exchange_mailbox_permission) will be. Rights on further mailboxes
          are told with either.
        type: bool
        default: false
  protocols:
    description: The mail protocols that O(mailboxes) need.
    type: dict
    version_added: 0.2.0
    suboptions:
      required:
        description: Those that have to be on for each of O(mailboxes).
        type: list
        elements: str
        choices: [imap, pop, smtp]
        default: []
      opt_in:
        description: >-
          Whether the run will switch them on, for these mailboxes alone. If not, one that is off is a finding.
        type: bool
        default: false
  accept_tenant_wide:
    description: >-
      The words by which somebody accepts that nothing limits the application, as V(tenant_wide) in
      O(accesses[].scoping) has it. Without them that is a finding.
    type: str
    version_added: 0.2.0
  ews:
    description: Exchange Web Services (EWS). When set, the application needs them.
    type: dict
    suboptions:
      required:
        description: Whether the application needs EWS.
        type: bool
        default: true
      opt_in:
        description: Whether the run will open EWS for the application where the tenant blocks it.
        type: bool
        default: false
      on_unset:
        description: What O(ignore:on_unset) of M(mail2fax.m365.exchange_ews_access) will be.
        type: str
        choices: [keep, enable]
        default: keep
        version_added: 0.2.0
  steps:
    description:
      - The steps that are planned. What the operator lacks for one of them is a finding.
      - When not set, RV(missing) tells what is missing for every step, and nothing of it is a finding.
      - The words are those of the record of a run. V(group), V(policy), V(ews), V(secret), V(consent) and V(verify) are
        those of 0.1.0; the answer uses the words that were asked with.
    type: list
    elements: str
    choices:
      - application
      - scope_group
      - service_principal
      - mailbox_permission
      - application_role
      - access_policy
      - ews_access
      - mailbox_protocols
      - client_secret
      - admin_consent
      - access_verdict
      - reach
      - audit
      - decommission
      - group
      - policy
      - ews
      - secret
      - consent
      - verify
  consent:
    description:
      - Who grants admin consent. With V(by_hand) a person does, and the operator needs no right to grant it, only to
        look. With V(none) nothing is granted or revoked, as under application roles alone.
    type: str
    choices: [by_operator, by_hand, none]
    default: by_operator
    version_added: 0.2.0
  planned:
    description:
      - A run that this task comes first in. What its other tasks are going to ask of their modules is held against the
        modules' own checks before the first request, and everything that would be refused is told at once.
      - The run is refused as well without O(mailboxes), with an O(store) that keeps nothing (V(none)), and where
        O(accept_tenant_wide) is given with less than ten characters.
    type: dict
    version_added: 0.2.0
    suboptions:
      steps:
        description:
          - The steps of the run, in the words of O(steps). Their modules are asked with what the options of this task
            say of theirs; M(mail2fax.m365.exchange_security_group) with O(group) and O(mailboxes), for instance.
          - When not set, the modules that O(planned.options) names are.
        type: list
        elements: str
      options:
        description:
          - What they will be given besides, by the module's name, as the filter
            P(mail2fax.m365.refused_options#filter) takes it.
        type: dict
  store:
    description:
      - Where the client secret's value is going to be kept. It is opened, and tried where it holds none yet, before the
        tenant is looked at. Of its content only RV(stored_key_ids), RV(stored_in) and RV(stored_intent) are used, which
        take the place of the options of these names; the keys are known besides O(application.known_key_ids).
      - It is opened where Ansible itself runs, so the task must run locally.
    version_added: 0.2.0
  secret_name:
    description:
      - The display name of the client secret. Together with O(stored_key_ids), more secrets of that name than may live
        at a time are a finding.
    type: str
    version_added: 0.2.0
  stored_key_ids:
    description:
      - The ids of the secrets that the store knows, as M(mail2fax.m365.entra_application_secret) returns them under the
        same name. Where the store knows one that is alive, only that module can judge the others.
    type: list
    elements: str
    version_added: 0.2.0
  stored_in:
    description: Where that store is, as M(mail2fax.m365.entra_application_secret) returns it. Findings name it.
    type: raw
    version_added: 0.2.0
  recorded_key_id:
    description:
      - The id of the secret that the record of the last run names. That it is alive and not among O(stored_key_ids) is
        a finding.
    type: str
    version_added: 0.2.0
  recorded_place:
    description: Where the record says that it was stored. Findings name it.
    type: raw
    version_added: 0.2.0
  secret_lifetime_days:
    description: How many days the client secret is to live. It is compared with the tenant's app-management policy.
    type: int
  secret_renew_before_days:
    description:
      - With O(store), what O(ignore:renew_before) of M(mail2fax.m365.entra_application_secret) will be. A secret that
        would be renewed at once is refused.
    type: int
    version_added: 0.2.0
  secret_overlap_days:
    description: With O(store), what O(ignore:overlap) of M(mail2fax.m365.entra_application_secret) will be.
    type: int
    version_added: 0.2.0
  allow_shorter:
    description: Whether a client secret may live shorter than O(secret_lifetime_days) where the policy wants that.
    type: bool
    default: false
  fail_on_findings:
    description:
      - Whether a finding of the severity V(blocked) fails the task. If not, such findings are warnings, and
        RV(ready) tells.
    type: bool
    default: true
seealso:
  - module: mail2fax.m365.entra_application_info
  - module: mail2fax.m365.exchange_application_access_info
  - module: mail2fax.m365.windows_host_info
"""

EXAMPLES = r"""
- name: Which tenant is this, and what may I do?
  mail2fax.m365.m365_tenant_info:
    tenant: imagicleucdev.onmicrosoft.com
  register: tenant

- name: Can the fax server be provisioned here?
  mail2fax.m365.m365_tenant_info:
    tenant: imagicleucdev.onmicrosoft.com
    expected_domain: imagicleucdev.onmicrosoft.com
    application:
      unique_name: mail2fax-imagicle
      display_name: Mail2DigitalFax
    permissions:
      - resource: exchange_online
        application: [full_access_as_app]
    mailboxes: [fax@imagicleucdev.onmicrosoft.com]
    group:
      name: Imagicle Digital Fax
      alias: imagicle.digital.fax
    ews:
      opt_in: false
    steps: [application, scope_group, access_policy, client_secret, admin_consent, access_verdict]
    secret_lifetime_days: 365
"""

RETURN = r"""
now:
  description: The time by the services' clock (ISO 8601, UTC).
  returned: success
  type: str
tenant:
  description: The tenant that the operator is signed in to.
  returned: success
  type: dict
  contains:
    id:
      description: Directory (tenant) ID.
      type: str
    name:
      description: Its name, null when the operator may not read it.
      type: str
    domains:
      description: Its domains in lower case, null when the operator may not read them.
      type: list
      elements: str
    default_domain:
      description:
        - The domain by which people know it, which is the first of RV(tenant.domains).
        - Where the domains are not read, O(expected_domain) if it is the tenant's own. Null when neither is known.
      type: str
operator:
  description: Who is signed in, as the tokens tell. A list is null when the token does not tell.
  returned: success
  type: dict
  contains:
    app_id:
      description: Application (client) ID of the operator.
      type: str
    roles:
      description: Application permissions on Microsoft Graph.
      type: list
      elements: str
    exchange_roles:
      description: Application permissions on Office 365 Exchange Online.
      type: list
      elements: str
    directory_roles:
      description: Entra roles.
      type: list
      elements: str
missing:
  description: What the operator lacks, one entry per step and permission.
  returned: success
  type: list
  elements: dict
  contains:
    step:
      description: The step that needs it.
      type: str
    kind:
      description: V(microsoft_graph) or V(exchange_online) for an application permission, V(directory_role) for a role.
      type: str
    permission:
      description: The least that is enough.
      type: str
    alternatives:
      description: What would do as well.
      type: list
      elements: str
    who:
      description: Who can give it.
      type: str
application:
  description: The application as it was found, null when O(application) is not set or it may not be read.
  returned: success
  type: dict
  contains:
    state:
      description: V(present), V(absent), or V(deleted) when it lies in the recycle bin.
      type: str
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
      description: Unique name.
      type: str
    sign_in_audience:
      description: Who may sign in.
      type: str
    created_date_time:
      description: When it was made (ISO 8601, UTC).
      type: str
    deleted:
      description: When it was deleted and how many days are left to restore it, null when it is not deleted.
      type: dict
    by_mark:
      description: The Application (client) ID, where it was found by the mark of a migration.
      type: str
      returned: where it was
    namesakes:
      description: Other applications of the same display name.
      type: list
      elements: dict
permissions:
  description: The declared permissions in their normal form.
  returned: success
  type: list
  elements: dict
permissions_in_force:
  description: >-
    What was consented to until now, one entry per API. Null where the operator may not read it, or where the
    application is looked for by its unique name alone.
  returned: success
  type: list
  elements: dict
  contains:
    resource:
      description: The API's display name.
      type: str
    application:
      description: Names of application permissions, ids of those without a known name.
      type: list
      elements: str
    delegated:
      description: Names of delegated permissions.
      type: list
      elements: str
token_lifetimes:
  description: >-
    Where O(steps) has V(decommission), the token lifetime policies that decide how long an issued token may live: of
    the tenant, and on Exchange Online and Microsoft Graph. Null where they were not asked for or are not readable.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: What the policy is called.
      type: str
    resource:
      description: Application ID of the resource that it is set on, null for the tenant's default.
      type: str
    minutes:
      description: How long a token lives.
      type: int
app_management_policy:
  description: What the tenant's app-management policy allows, or the application's own.
  returned: success
  type: dict
  contains:
    readable:
      description: Whether the operator may read it.
      type: bool
    secrets_allowed:
      description: Whether client secrets may be made, null when it is not readable.
      type: bool
    max_lifetime_days:
      description: The longest lifetime of a client secret in days, null when there is no limit.
      type: int
mailboxes:
  description: One entry per address in O(mailboxes), in their order.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The address as it was given.
      type: str
    primary:
      description: The primary address of the recipient.
      type: str
    display_name:
      description: Its display name.
      type: str
    type:
      description: Exchange's C(RecipientTypeDetails).
      type: str
    type_in_words:
      description: The type as people call it.
      type: str
    exists:
      description: Whether there is a recipient with this address, null when the operator may not look.
      type: bool
    usable:
      description: Whether it is a mailbox that the application can open once it may.
      type: bool
    is_alias:
      description: Whether O(mailboxes) has a further address and not the primary one.
      type: bool
    ews_enabled:
      description: Whether the mailbox itself allows EWS, null when O(ews) is not set.
      type: bool
    entra_id:
      description: The object ID in Entra.
      type: str
    closest:
      description: The closest addresses of mailboxes where there is no such recipient.
      type: list
      elements: str
control_mailboxes:
  description: The control mailboxes, given or picked, in the shape of RV(mailboxes) with C(picked).
  returned: success
  type: list
  elements: dict
candidates:
  description: >-
    Addresses of further mailboxes on which rights that nobody declared are worth looking for, as many as
    M(mail2fax.m365.exchange_mailbox_permission) looks at with little to spend. Empty where O(accesses) have no
    V(mailbox_permission).
  returned: success
  type: list
  elements: str
group:
  description: The scope group as it was found, null when O(group) is not set.
  returned: success
  type: dict
  contains:
    state:
      description: V(present), V(absent), V(conflict) when a name belongs to something else, null when not readable.
      type: str
    name:
      description: Its name.
      type: str
    alias:
      description: Its alias.
      type: str
    address:
      description: Its address.
      type: str
    type:
      description: Exchange's C(RecipientTypeDetails).
      type: str
    type_in_words:
      description: The type as people call it.
      type: str
    members:
      description: Its members, those of nested groups included; a hundred at most.
      type: list
      elements: dict
    members_count:
      description: How many members there are.
      type: int
    foreign_members:
      description: The members that are not in O(mailboxes); a hundred at most.
      type: list
      elements: dict
    foreign_members_count:
      description: How many of those there are.
      type: int
    foreign_owners:
      description: The owners that are not in O(group.owners), by name; null where those are not set.
      type: list
      elements: str
    policies_of_others:
      description: The access policies of other applications on the group, or on a group that holds it.
      type: list
      elements: dict
other_policies:
  description: >-
    The access policies that count for the application, beside the one on the scope group. Null when
    O(group.on_other_policies) is not set or they may not be read.
  returned: success
  type: list
  elements: dict
ews:
  description: The tenant's EWS settings, null when the operator may not read them.
  returned: success
  type: dict
  contains:
    EwsEnabled:
      description: The switch, null when the tenant has not decided.
      type: bool
    EwsAllowedAppIDs:
      description: The list as one string, null when there is none.
      type: str
    agents:
      description: What C(EwsApplicationAccessPolicy) keeps out, where it keeps out the proof.
      type: str
    allowed:
      description: Whether the application may use EWS, null when the tenant has not decided.
      type: bool
protocols:
  description: The mail protocols of O(mailboxes), null without O(protocols.required).
  returned: success
  type: dict
  contains:
    mailboxes:
      description:
        - One entry per mailbox that was found, as M(mail2fax.m365.exchange_mailbox_protocols) returns them.
      type: list
      elements: dict
    organization:
      description: C(smtp_auth_disabled) is the organization's switch.
      type: dict
service_principal:
  description: >-
    The application in Exchange as M(mail2fax.m365.exchange_service_principal) returns it, null where there is none, or
    where O(accesses) need none.
  returned: success
  type: dict
application_role:
  description: The application's roles, null where O(accesses) have no V(application_role).
  returned: success
  type: dict
  contains:
    scope:
      description: The management scope as M(mail2fax.m365.exchange_application_role) would return it.
      type: dict
    assignments:
      description: The role assignments as they will be.
      type: list
      elements: dict
    other_assignments:
      description: Other assignments of the application.
      type: list
      elements: dict
    dehydrated:
      description: >-
        Whether the organization was never customized, as it says itself. V(false) is no proof that a scope can be made
        already.
      type: bool
mailbox_permission:
  description: >-
    The application's rights on mailboxes, as far as they were looked at on the way; null where it has none, or where
    O(accesses) have no V(mailbox_permission).
  returned: success
  type: dict
  contains:
    sid:
      description: The SID of the application in Exchange.
      type: str
    looked_at:
      description: The addresses of the mailboxes whose rights were read.
      type: list
      elements: str
    elsewhere:
      description: Mailboxes that nobody declared and on which it has rights.
      type: list
      elements: dict
    orphans:
      description: Entries of SIDs that Exchange knows nobody of.
      type: list
      elements: dict
ahead:
  description: >-
    What the tasks that follow in a playbook of this collection would return, by the names under which they register it:
    found out by what was read here, where none of them has anything to do or to say. They are then left out.
  returned: in the playbooks provision and audit, when nothing is to be done
  type: dict
stored_key_ids:
  description: Key IDs of all secrets whose value O(store) holds.
  returned: when O(store) could be opened
  type: list
  elements: str
stored_in:
  description: Where O(store) is, as M(mail2fax.m365.entra_application_secret) returns it.
  returned: when O(store) could be opened
  type: dict
stored_intent:
  description: >-
    What O(store) tells of a secret that was about to be made, as M(mail2fax.m365.entra_application_secret) returns it.
  returned: when O(store) could be opened
  type: dict
windows_host:
  description: >-
    With O(exchange_transport=winrm), what the management host tells about itself, as M(mail2fax.m365.windows_host_info)
    returns it. Null when there is none, or it did not get that far; then a finding tells why.
  returned: success
  type: dict
unreadable:
  description: What the operator may not read, and what was therefore not looked at.
  returned: success
  type: list
  elements: str
findings:
  description: Everything that speaks against the expectations, or is worth to know.
  returned: success
  type: list
  elements: dict
  contains:
    severity:
      description: V(blocked) stops the run, V(warning) does not.
      type: str
    step:
      description: The step or the option it is about.
      type: str
    what:
      description: What was looked at.
      type: str
    found:
      description: What was found.
      type: str
    cure:
      description: What to do.
      type: str
    who:
      description: Who can do it.
      type: str
    about:
      description: The ids, addresses or options that the words name, as data.
      type: dict
ready:
  description: Whether nothing stands in the way.
  returned: success
  type: bool
pending:
  description: What cannot be shown yet, such as the negative proof in a tenant without any mailbox for it.
  returned: when the outcome is V(pending)
  type: str
outcome:
  description: What became of the look; V(ok), V(pending), V(blocked) or V(failed).
  returned: always
  type: str
  sample: ok
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
  description: What went wrong, for machines; C(msg) says the same to people. RV(findings) is returned as well.
  returned: failure
  type: dict
"""

from ansible_collections.mail2fax.m365.plugins.module_utils._module import run_module
from ansible_collections.mail2fax.m365.plugins.module_utils._preflight.tenant_info import DOOR


def main() -> None:
    run_module(DOOR)


if __name__ == "__main__":
    main()
