# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the emulator knows: one World, its tenants, and the delays of the profile in force.

Objects are plain dicts in the services' own field names and shapes. Keys that begin with an underscore are
the emulator's own (a secret's value, the instant from which a replica shows the object) and never leave it.
Whoever changes an object assigns it back to its collection (``tenant.groups[gid] = group``): that is what
writes it to the state file.
"""

from __future__ import annotations

import copy
import datetime as dt
import random
import typing as t
import urllib.parse
from dataclasses import dataclass, field

import yaml

Document = dict[str, t.Any]


def load_yaml(text: str) -> t.Any:
    """YAML by libyaml where there is one: a large fleet's tenants file takes a second otherwise."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe loaders


class Clock:
    """The world's time: the real one plus what ``POST /clock`` added."""

    def __init__(self, offset: dt.timedelta = dt.timedelta(0)) -> None:
        self.offset = offset

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + self.offset

    def timestamp(self) -> float:
        return self.now().timestamp()

    def advance(self, **span: float) -> None:
        self.offset += dt.timedelta(**span)


@dataclass(frozen=True)
class Profile:
    """Delays in seconds, and how often the services stumble. ``calm`` has neither."""

    name: str
    graph_visible_s: tuple[float, float] = (0.0, 0.0)  # a new directory object, until every replica shows it
    secret_usable_s: tuple[float, float] = (0.0, 0.0)  # AADSTS7000215 until then
    grant_in_token_s: tuple[float, float] = (0.0, 0.0)  # a new grant, until a new token carries it
    policy_in_force_s: tuple[float, float] = (0.0, 0.0)  # Test-… is right at once, real access only then
    ews_in_force_s: tuple[float, float] = (0.0, 0.0)  # EwsEnabled and EwsAllowedAppIDs
    membership_visible_s: tuple[float, float] = (0.0, 0.0)  # Get-DistributionGroupMember
    group_entra_id_s: tuple[float, float] = (0.0, 0.0)  # ExternalDirectoryObjectId of a new group is empty until then
    pointer_visible_s: tuple[float, float] = (0.0, 0.0)  # a new service principal in Exchange, to other cmdlets
    rbac_in_force_s: tuple[float, float] = (0.0, 0.0)  # a role assignment, and its removal
    customization_s: tuple[float, float] = (0.0, 0.0)  # after Enable-OrganizationCustomization
    conflict_probability: float = 0.0  # 409 Directory_ConcurrencyViolation on a second write within two seconds
    stale_read_probability: float = 0.0  # a read of what was changed within graph_visible_s shows it unchanged
    throttle_probability: float = 0.0  # 429 with Retry-After: 1
    exchange_transient_probability: float = 0.0  # the 400 that is only a hiccup


PROFILES = {
    "calm": Profile("calm"),
    "realistic": Profile(
        "realistic",
        graph_visible_s=(0.5, 3.0),
        secret_usable_s=(2.0, 8.0),
        grant_in_token_s=(0.5, 3.0),
        policy_in_force_s=(4.0, 12.0),
        ews_in_force_s=(4.0, 12.0),
        membership_visible_s=(0.5, 3.0),
        group_entra_id_s=(1.0, 4.0),
        pointer_visible_s=(1.0, 4.0),
        rbac_in_force_s=(1800.0, 7200.0),
        customization_s=(2400.0, 3600.0),
        conflict_probability=0.05,
        stale_read_probability=0.25,
        throttle_probability=0.01,
        exchange_transient_probability=0.02,
    ),
    "storm": Profile(
        "storm",
        graph_visible_s=(2.0, 10.0),
        secret_usable_s=(4.0, 18.0),
        grant_in_token_s=(2.0, 8.0),
        policy_in_force_s=(10.0, 40.0),
        ews_in_force_s=(10.0, 40.0),
        membership_visible_s=(1.0, 8.0),
        group_entra_id_s=(2.0, 10.0),
        pointer_visible_s=(5.0, 60.0),
        rbac_in_force_s=(1800.0, 7200.0),
        customization_s=(2400.0, 4500.0),
        conflict_probability=0.25,
        stale_read_probability=0.5,
        throttle_probability=0.10,
        exchange_transient_probability=0.15,
    ),
}


class Collection(dict[str, Document]):
    """Documents by id. Assignment and deletion are reported to ``on_change`` (the state file)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.on_change: t.Callable[[str, str, Document | None], None] = lambda name, key, value: None

    def __setitem__(self, key: str, value: Document) -> None:
        super().__setitem__(key, value)
        self.on_change(self.name, key, value)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self.on_change(self.name, key, None)

    def pop(self, key: str, *default: t.Any) -> t.Any:
        if key not in self and default:
            return default[0]
        value = self[key]
        del self[key]
        return value

    def load(self, key: str, value: Document) -> None:
        """Put a document in without reporting it: it comes from the state file."""
        super().__setitem__(key, value)


COLLECTIONS = (
    "applications",  # object id -> Graph application; passwordCredentials[*]["_value"] is the secret
    "service_principals",  # object id -> Graph servicePrincipal (the 450 fillers as well)
    "app_role_assignments",  # id -> Graph appRoleAssignment
    "oauth2_permission_grants",  # id -> Graph oAuth2PermissionGrant
    "deleted_items",  # object id -> application or servicePrincipal with "deletedDateTime" and "@odata.type"
    "groups",  # Guid -> Exchange group (facts section 7.1) plus "_members", "_owners": [Guid of a recipient]
    "mailboxes",  # Guid -> Exchange recipient of any type (UserMailbox … MailContact) plus "_admin": bool
    "application_access_policies",  # Identity -> policy (facts section 7.2)
    "exchange_service_principals",  # Guid -> Exchange's pointer to a service principal (exchange_rbac.py)
    "management_scopes",  # name in lower case -> management scope
    "role_assignments",  # name in lower case -> management role assignment of an application
    "mailbox_permissions",  # mailbox:SID:deny -> rights on a mailbox
    "recipient_permissions",  # mailbox:SID:deny -> SendAs
    "messages",  # id -> a message in a mailbox (mailstore.py)
    "settings",  # "organization_config", "app_management_policy", "sign_ins": one document each
)


@dataclass
class Tenant:
    """One emulated Microsoft 365 tenant. Exchange and Graph work on the same collections."""

    id: str
    domains: list[str]
    operators: list[Document] = field(default_factory=list)
    cloud: str | None = None  # one of hosts.CLOUDS; None: the tenant answers in every cloud
    display_name: str = ""
    applications: Collection = field(default_factory=lambda: Collection("applications"))
    service_principals: Collection = field(default_factory=lambda: Collection("service_principals"))
    app_role_assignments: Collection = field(default_factory=lambda: Collection("app_role_assignments"))
    oauth2_permission_grants: Collection = field(default_factory=lambda: Collection("oauth2_permission_grants"))
    deleted_items: Collection = field(default_factory=lambda: Collection("deleted_items"))
    groups: Collection = field(default_factory=lambda: Collection("groups"))
    mailboxes: Collection = field(default_factory=lambda: Collection("mailboxes"))
    application_access_policies: Collection = field(default_factory=lambda: Collection("application_access_policies"))
    exchange_service_principals: Collection = field(default_factory=lambda: Collection("exchange_service_principals"))
    management_scopes: Collection = field(default_factory=lambda: Collection("management_scopes"))
    role_assignments: Collection = field(default_factory=lambda: Collection("role_assignments"))
    mailbox_permissions: Collection = field(default_factory=lambda: Collection("mailbox_permissions"))
    recipient_permissions: Collection = field(default_factory=lambda: Collection("recipient_permissions"))
    messages: Collection = field(default_factory=lambda: Collection("messages"))
    settings: Collection = field(default_factory=lambda: Collection("settings"))

    @property
    def default_domain(self) -> str:
        return self.domains[0]

    def collections(self) -> list[Collection]:
        return [getattr(self, name) for name in COLLECTIONS]


#: Why a request has no Principal, as the services are told: no token at all, not a token of this emulator,
#: outlived, or made for another resource than the host that was asked.
REFUSALS = ("empty", "invalid", "expired", "audience")


@dataclass
class Call:
    """One HTTP request as it arrived, or one part of a batch."""

    host: str
    method: str
    path: str  # as sent, still percent-encoded, without the query
    query_string: str = ""
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""
    control_url: str = ""

    @property
    def query(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.query_string, keep_blank_values=True))

    @property
    def plain_path(self) -> str:
        return urllib.parse.unquote(self.path)


@dataclass
class Principal:
    """Who presents a token: read from the verified token itself, never looked up."""

    tenant_id: str
    app_id: str
    object_id: str
    display_name: str
    audience: str
    roles: frozenset[str]
    wids: frozenset[str]  # template ids of the directory roles held


@dataclass
class Answer:
    """What a service says. ``body`` is JSON-able, bytes, or None for an empty answer."""

    status: int
    body: t.Any = None
    headers: dict[str, str] = field(default_factory=dict)


Listener = t.Callable[[str, str, str, "Document | None"], None]  # tenant id, collection, key, document or None


@dataclass
class World:
    """Every tenant of one emulator process, with its clock, profile, dice and texts."""

    profile: Profile = PROFILES["calm"]
    clock: Clock = field(default_factory=Clock)
    dice: random.Random = field(default_factory=lambda: random.Random(20260401))
    tenants: dict[str, Tenant] = field(default_factory=dict)
    texts: Document = field(default_factory=dict)  # tests/emulator/texts*.yml: every wording known only from memory
    issued: list[str] = field(default_factory=list)  # every secret's value that was ever handed out, for GET /issued
    tokens: list[Document] = field(default_factory=list)  # every access token issued: tenant, app_id, roles, exp, ...
    listeners: list[Listener] = field(default_factory=list)  # told of every change of a document

    def adopt(self, tenant: Tenant) -> None:
        """Make a tenant part of this world; its changes are reported to the listeners from now on."""
        self.tenants[tenant.id] = tenant
        for collection in tenant.collections():
            collection.on_change = self._reporter(tenant.id)

    def _reporter(self, tenant_id: str) -> t.Callable[[str, str, Document | None], None]:
        def report(name: str, key: str, value: Document | None) -> None:
            for listener in self.listeners:
                listener(tenant_id, name, key, value)

        return report

    def tenant(self, name: str) -> Tenant | None:
        """By id or by any of its domains, in any case."""
        wanted = name.lower()
        for tenant in self.tenants.values():
            if wanted == tenant.id.lower() or wanted in (domain.lower() for domain in tenant.domains):
                return tenant
        return None

    def instant(self, span: tuple[float, float]) -> float:
        """The time stamp at which something done now takes effect, drawn from ``span`` seconds."""
        return self.clock.timestamp() + (self.dice.uniform(*span) if span[1] > 0 else 0.0)

    def reached(self, instant: float | None) -> bool:
        return instant is None or self.clock.timestamp() >= instant


def public(document: t.Any) -> t.Any:
    """A deep copy without the emulator's own keys."""
    if isinstance(document, dict):
        return {key: public(value) for key, value in document.items() if not key.startswith("_")}
    if isinstance(document, list):
        return [public(value) for value in document]
    return copy.copy(document)
