# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The expectations of a run: the options of ``m365_tenant_info``, checked."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import (
    _accesses,
    _names,
    _ownership,
    _permissions,
    _powers,
    _steps,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._accesses import Access
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import Wanted
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import PROOFS
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import application as _application
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import secret_plan as _secret
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import security_group as _security_group
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import security_group_state
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import tenant_wide
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from ansible_collections.mail2fax.m365.plugins.module_utils._store import STORE_OPTIONS, Place
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

BY_HAND = "by_hand"
"""The value of ``consent`` with which a person grants it, and the operator only looks."""

NOBODY = "none"
"""The same where nothing is granted, and nothing was."""


@dataclass(frozen=True)
class Desired:
    """The expectations; None or empty means: none of that kind."""

    expected_domain: str | None = None
    recorded_tenant: str | None = None
    tenant_option: str | None = None
    application: _application.Desired | None = None
    profile: str = ""
    """Which profile the application is there for: a migration marks it so."""
    permissions: tuple[Wanted, ...] | None = None
    extra_permissions: tuple[str, ...] | None = None
    """Names that the inventory says word for word, beside what an access policy limits; None: any may be declared."""
    mailboxes: tuple[str, ...] = ()
    control: tuple[str, ...] = ()
    group: security_group_state.Desired | None = None
    on_other_policies: str | None = None
    """What the access policy's own option will be; None: other policies are not looked at."""
    ews: bool = False
    ews_opt_in: bool = False
    ews_on_unset: str = "keep"
    steps: tuple[str, ...] | None = None
    """As they were asked for: keys of the list of steps, or words of 0.1.0."""
    consent: str = "by_operator"
    secret_name: str | None = None
    stored_key_ids: tuple[str, ...] | None = None
    """The keys that the store knows; None where nobody said."""
    stored_in: Place | None = None
    recorded_key_id: str | None = None
    recorded_place: Place | None = None
    secret_lifetime_days: int | None = None
    allow_shorter: bool = False
    fail_on_findings: bool = True
    accesses: tuple[Access, ...] | None = None
    """None where nobody said: then everything is limited by an access policy, as in 0.1.0."""
    on_wrong_pointer: str = "fail"
    scope_name: str = ""
    on_entra_grant: str = "fail"
    exclusive_roles: bool = False
    on_other_assignments: str = "fail"
    customizes: bool = False
    """Whether the run may customize an organization that never was."""
    exclusive_rights: bool = False
    protocols: tuple[str, ...] = ()
    """Those of imap, pop and smtp that have to be on for every mailbox."""
    protocols_opt_in: bool = False
    accepts_tenant_wide: str = ""

    @property
    def models(self) -> frozenset[str]:
        """The scoping models in use."""
        return frozenset({_accesses.POLICY} if self.accesses is None else (one.scoping for one in self.accesses))

    @property
    def by_policy_alone(self) -> bool:
        return self.models <= {_accesses.POLICY}

    def under(self, model: str) -> tuple[Access, ...]:
        """The accesses of one model."""
        return tuple(one for one in self.accesses or () if one.scoping == model)

    @property
    def needs_pointer(self) -> bool:
        return bool(self.models & {_accesses.ROLE, _accesses.RIGHT})

    @property
    def looks_for_rights(self) -> bool:
        return _accesses.RIGHT in self.models

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the steps that were asked for."""
        return frozenset(map(_steps.key, self.steps or ()))

    def asked_as(self, step: str) -> str:
        """The word by which the caller calls a step."""
        return next((word for word in self.steps or () if _steps.key(word) == step), step)

    @property
    def grants(self) -> frozenset[str]:
        """Which kinds of permissions are to be granted, as ``_steps.ONLY_FOR`` calls them; any without
        ``permissions``."""
        if self.consent == NOBODY:
            return frozenset()
        if self.permissions is None:
            return frozenset({_steps.DELEGATED, _steps.APPLICATION})
        kinds = {_steps.DELEGATED for item in self.permissions if item.delegated}
        return frozenset(kinds | {_steps.APPLICATION for item in self.permissions if item.application})

    @property
    def picks(self) -> bool:
        """Whether a control mailbox is picked. An application that may open every mailbox is refused nowhere."""
        return bool(self.mailboxes) and not self.control and _accesses.WIDE not in self.models

    @property
    def wants_secret(self) -> bool:
        return self.secret_lifetime_days is not None or "client_secret" in self.keys

    @property
    def wants_exchange(self) -> bool:
        wanted = self.mailboxes or self.control or self.group or self.ews
        return bool(wanted or any(map(_steps.needs_exchange, self.keys)))


def parse(tenant: Tenant, params: t.Mapping[str, t.Any]) -> Desired:
    """The options, checked. Raises InvalidInput."""
    group = params.get("group")
    ews = params.get("ews")
    accesses = _accesses.parse(params.get("accesses"), "accesses", models=MODELS, protocols=PROOFS)
    role, protocols = params.get("application_role") or {}, params.get("protocols") or {}
    scope_name = role.get("scope_name")
    expected = params.get("expected_domain")
    recorded = params.get("recorded_tenant")
    days = params.get("secret_lifetime_days")
    name = params.get("secret_name")
    stored = params.get("stored_key_ids")
    if params.get("store"):
        raise InvalidInput(
            "a secret store can be opened only where Ansible itself runs",
            cure="set ansible_connection: local for the tenant (or delegate_to: localhost), without async",
        )
    if expected is not None:
        expected = _names.tenant(expected, "expected_domain")
        if _names.is_guid(expected):
            raise InvalidInput(
                f"expected_domain is {expected!r}, which is an id", cure="give a domain such as contoso.com"
            )
    if days is not None and not 1 <= days <= _secret.MOST_DAYS:
        raise InvalidInput(f"secret_lifetime_days is {days}", cure=f"give a number of days, 1 to {_secret.MOST_DAYS}")
    return Desired(
        expected_domain=expected,
        recorded_tenant=_names.guid(recorded, "recorded_tenant").lower() if recorded else None,
        tenant_option=tenant.options.get("tenant"),
        application=_wanted_application(
            params.get("application"), taking_back=list(params.get("steps") or ()) == ["decommission"]
        ),
        profile=str((params.get("application") or {}).get("profile") or ""),
        permissions=_permissions.parse(params.get("permissions")),
        extra_permissions=None if params.get("extra_permissions") is None else tuple(params["extra_permissions"]),
        mailboxes=_addresses(params.get("mailboxes"), "mailboxes"),
        control=_addresses(params.get("control_mailboxes"), "control_mailboxes"),
        group=None if group is None or not _needs_group(accesses) else _group(group, accesses),
        on_other_policies=None if group is None else group.get("on_other_policies"),
        ews=ews is not None and bool(ews["required"]),
        ews_opt_in=ews is not None and bool(ews["opt_in"]),
        ews_on_unset=(ews or {}).get("on_unset") or "keep",
        steps=None if params.get("steps") is None else tuple(params["steps"]),
        consent=params.get("consent") or "by_operator",
        secret_name=_names.name(name, "secret_name", _secret.LONGEST_NAME) if name else None,
        stored_key_ids=None if stored is None else tuple(str(item).lower() for item in stored),
        stored_in=Place.of(params.get("stored_in")),
        recorded_key_id=(params.get("recorded_key_id") or "").strip().lower() or None,
        recorded_place=Place.of(params.get("recorded_place")),
        secret_lifetime_days=days,
        allow_shorter=params["allow_shorter"],
        fail_on_findings=params["fail_on_findings"],
        accesses=accesses,
        on_wrong_pointer=(params.get("service_principal") or {}).get("on_wrong_pointer") or "fail",
        scope_name=_names.name(scope_name, "application_role.scope_name", LONGEST_SCOPE) if scope_name else "",
        on_entra_grant=role.get("on_entra_grant") or "fail",
        exclusive_roles=bool(role.get("exclusive")),
        on_other_assignments=role.get("on_other_assignments") or "fail",
        customizes=bool(role.get("enable_organization_customization")),
        exclusive_rights=bool((params.get("mailbox_permission") or {}).get("exclusive")),
        protocols=tuple(dict.fromkeys(protocols.get("required") or ())),
        protocols_opt_in=bool(protocols.get("opt_in")),
        accepts_tenant_wide=tenant_wide.accepted(params.get("accept_tenant_wide"), "accept_tenant_wide"),
    )


def _addresses(values: t.Sequence[str] | None, option: str) -> tuple[str, ...]:
    unique: dict[str, str] = {}
    for value in values or ():
        checked = _names.address(value, option)
        unique.setdefault(checked.lower(), checked)
    return tuple(unique.values())


def _wanted_application(option: Json | None, *, taking_back: bool) -> _application.Desired | None:
    if option is None:
        return None
    unique_name, app_id, display_name = (option.get(key) for key in ("unique_name", "app_id", "display_name"))
    if not unique_name and not app_id:
        raise InvalidInput(
            "application names neither unique_name nor app_id",
            cure="give one of them: an application is never found by its display name",
        )
    if app_id == _names.ZERO_GUID:
        raise InvalidInput("application.app_id is all zeros", cure="give the Application (client) ID, or leave it out")
    trust, declared, left = _ownership.said_in(option, "application.")
    return _application.Desired(
        trust=trust,
        declared=declared,
        left=left,
        taking_back=taking_back,
        unique_name=_names.name(unique_name, "application.unique_name", 256) if unique_name else None,
        app_id=_names.guid(app_id, "application.app_id") if app_id else None,
        display_name=_names.name(display_name, "application.display_name", 256) if display_name else None,
        on_deleted=option["on_deleted"],
        on_namesake=option["on_namesake"],
        enabled=option.get("enabled"),
        exclusive_permissions=option.get("exclusive_permissions") is not False,
    )


def _group(option: Json, accesses: t.Sequence[Access] | None) -> security_group_state.Desired:
    roles = any(one.scoping == _accesses.ROLE for one in accesses or ())
    name, address = option.get("name"), option.get("address")
    declared = option.get("declared")
    return security_group_state.Desired(
        alias=_names.alias(option["alias"], "group.alias"),
        name=_names.name(name, "group.name", _security_group.LONGEST_NAME) if name else "",
        address=_names.address(address, "group.address") if address else None,
        on_foreign_members=option["on_foreign_members"],
        owners=None if option.get("owners") is None else _addresses(option["owners"], "group.owners"),
        on_foreign_owners=option.get("on_foreign_owners") or "fail",
        accepted=_security_group.accepted(option.get("accept_shared_group") or []),
        declared=None if declared is None else frozenset(declared),
        # Only a scope of roles holds direct members alone.
        on_nested_group=(option.get("on_nested_group") or security_group_state.FAIL) if roles else None,
    )


LONGEST_SCOPE = 64
"""How long the name of a management scope may be."""


def _needs_group(accesses: t.Sequence[Access] | None) -> bool:
    return accesses is None or any(one.scoping in (_accesses.POLICY, _accesses.ROLE) for one in accesses)


_DECIDE = {"type": "str", "default": "fail", "choices": ["fail", "remove", "keep"]}
SPEC = ArgumentSpec(
    {
        "expected_domain": {"type": "str"},
        "recorded_tenant": {"type": "str"},
        "application": {
            "type": "dict",
            "options": {
                "unique_name": {"type": "str"},
                "app_id": {"type": "str"},
                "display_name": {"type": "str"},
                "profile": {"type": "str"},
                "enabled": {"type": "bool"},
                "exclusive_permissions": {"type": "bool", "default": True},
                "on_deleted": {"type": "str", "default": "fail", "choices": ["fail", "restore", "purge"]},
                "on_namesake": {"type": "str", "default": "fail", "choices": ["fail", "ignore"]},
                **_ownership.TRUST_OPTIONS,
                **_ownership.IDENTITY_OPTIONS,
            },
        },
        "permissions": {"type": "list", "elements": "dict", "options": _permissions.OPTIONS},
        "extra_permissions": {"type": "list", "elements": "str"},
        "mailboxes": {"type": "list", "elements": "str"},
        "control_mailboxes": {"type": "list", "elements": "str"},
        "group": {
            "type": "dict",
            "options": {
                "alias": {"type": "str", "required": True},
                "name": {"type": "str"},
                "address": {"type": "str"},
                "on_foreign_members": _DECIDE,
                "owners": {"type": "list", "elements": "str"},
                "on_foreign_owners": _DECIDE,
                "on_other_policies": {"type": "str", "choices": ["fail", "remove", "keep"]},
                "accept_shared_group": {"type": "list", "elements": "str"},
                "declared": {"type": "list", "elements": "str"},
                "on_nested_group": {"type": "str", "default": "fail", "choices": ["fail", "flatten"]},
            },
        },
        "accesses": _accesses.OPTION,
        "service_principal": {
            "type": "dict",
            "options": {"on_wrong_pointer": {"type": "str", "default": "fail", "choices": ["fail", "replace"]}},
        },
        "application_role": {
            "type": "dict",
            "options": {
                "scope_name": {"type": "str"},
                "on_entra_grant": {"type": "str", "default": "fail", "choices": ["fail", "remove"]},
                "exclusive": {"type": "bool", "default": False},
                "on_other_assignments": {"type": "str", "default": "fail", "choices": ["fail", "keep"]},
                "enable_organization_customization": {"type": "bool", "default": False},
            },
        },
        "mailbox_permission": {
            "type": "dict",
            "options": {"exclusive": {"type": "bool", "default": False}},
        },
        "protocols": {
            "type": "dict",
            "options": {
                "required": {"type": "list", "elements": "str", "choices": ["imap", "pop", "smtp"], "default": []},
                "opt_in": {"type": "bool", "default": False},
            },
        },
        "accept_tenant_wide": {"type": "str"},
        "ews": {
            "type": "dict",
            "options": {
                "required": {"type": "bool", "default": True},
                "opt_in": {"type": "bool", "default": False},
                "on_unset": {"type": "str", "default": "keep", "choices": ["keep", "enable"]},
            },
        },
        "steps": {"type": "list", "elements": "str", "choices": list(_powers.WORDS)},
        "consent": {"type": "str", "default": "by_operator", "choices": ["by_operator", BY_HAND, NOBODY]},
        "planned": {
            "type": "dict",
            "options": {"steps": {"type": "list", "elements": "str"}, "options": {"type": "dict"}},
        },
        "store": {"type": "dict", "options": STORE_OPTIONS},
        "secret_name": {"type": "str", "no_log": False},
        "stored_key_ids": {"type": "list", "elements": "str", "no_log": False},
        "stored_in": {"type": "raw"},
        "recorded_key_id": {"type": "str", "no_log": False},
        "recorded_place": {"type": "raw"},
        "secret_lifetime_days": {"type": "int", "no_log": False},
        "secret_renew_before_days": {"type": "int", "no_log": False},
        "secret_overlap_days": {"type": "int", "no_log": False},
        "allow_shorter": {"type": "bool", "default": False},
        "fail_on_findings": {"type": "bool", "default": True},
    }
)
