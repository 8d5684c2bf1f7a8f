# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the tenants file to Tenant objects.

Everything made here gets an id derived from the tenant's id and a name, so that two runs of one file are alike. Keys of
a tenant, all but ``id`` and ``domains`` optional:

* ``display_name``, ``cloud`` (one of ``hosts.CLOUDS``: it then exists in that cloud only), ``exchange: false`` (a
  tenant that never used Exchange: the resource has no service principal)
* ``operators``: ``client_id``, ``client_secret``, ``display_name``, ``app_roles``, ``directory_roles``, ``certificate``
  (public PEM, or the path of one), ``federated`` (``issuer``, ``subject``, ``audiences``, and ``jwks`` or
  ``public_key``: without either the assertion's signature is taken on trust, only its claims are checked),
  ``managed_identity: true``
* ``resources``: further first-party services: ``app_id``, ``display_name``, ``names`` (identifiers), ``roles`` and
  ``scopes`` (value: id)
* ``resource_credentials``: by app id of a first-party service, the credentials that stand on its service principal
* ``applications``: Graph applications made by hand; besides Graph's own keys ``service_principal: false``,
  ``accountEnabled``, ``app_roles`` (granted ones; one named twice is listed twice; ``exchange_online:Mail.Read`` where
  the other resource has one of the name), ``delegated`` (one or a list of
  ``{scopes: [...], user: address, resource: app id}``, on Microsoft Graph unless said; without ``user`` for all of
  them), ``directory_roles``, ``owners`` (client ids, or addresses of people), ``certificates`` (PEM);
  ``passwordCredentials`` may carry ``secretText``, ``federatedIdentityCredentials`` is a list; ``deleted: true`` puts
  it into the recycle bin
* ``service_principals``: how many further ones there are
* ``mailboxes``: ``address``, ``display_name``, ``type``, ``aliases``, ``admin`` and whatever ``new_mailbox`` takes
* ``groups``: ``name``, ``alias``, ``address``, ``type``, ``members``, ``managed_by`` and whatever ``new_group`` takes;
  a ``GroupMailbox`` has members and owners for Graph and for scopes alone, a ``DynamicDistributionGroup`` none;
  ``deleted: true`` takes it away again when all that may name it is made
* ``administrative_units``: ``name``, ``id``, ``members`` (addresses); ``entra_groups`` that hold directory roles:
  ``name``, ``members`` (client ids), ``directory_roles``
* ``policies``: application access policies: ``app_id``, ``group`` (name, alias or address), ``access_right``,
  ``description``, ``is_valid`` (false: it limits nothing, which is the worst that nobody has ruled out)
* ``exchange_service_principals``: ``app_id``, ``object_id`` (the service principal's, unless said), ``display_name``;
  ``management_scopes``: ``name`` with ``filter`` or ``group``; ``role_assignments``: ``name``, ``app_id``, ``role``,
  ``scope``, ``group`` or ``unit`` (none of them: the whole organization), ``enabled``; ``mailbox_permissions``:
  ``mailbox``, ``app_id``, ``sid`` or ``user``, ``rights`` (FullAccess, SendAs, ...), ``deny``
* ``role_groups``: ``name``, ``members`` (client ids), ``roles`` (those that it has from the start, unless said)
* ``transport_config``, ``dehydrated`` (a tenant that was never customized), ``switches`` (how this tenant behaves where
  real ones differ: the table in README.md)
* ``organization_config``
* ``app_management_policy``: ``max_lifetime_days``, ``secrets: forbidden``, ``exempt`` (client ids),
  ``restrict_for_apps_created_after``, and ``assigned``: by client id, unique name or display name of an application,
  a list of policies in the same form with ``enabled``
"""

from __future__ import annotations

import base64
import datetime as dt
import pathlib
import typing as t
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from . import circles, directory, exchange_rbac
from .exchange import new_group, new_mailbox, new_policy
from .exchange_cmdlets import CMDLETS, CmdletError, invoke
from .exchange_directory import by_address, derived_alias
from .hosts import CLOUDS, EXCHANGE_APP_ID, GRAPH_APP_ID, MANAGEMENT_APP_ID
from .model import Document, Tenant, World, load_yaml

MICROSOFT_TENANT = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
VENDOR_TENANT = "5e11e44e-0000-4000-8000-000000000001"
"""Of the applications that only fill a directory."""
TENANT_KEYS = {
    *("id", "domains", "operators", "mailboxes", "groups", "applications", "service_principals", "organization_config"),
    *("app_management_policy", "policies", "display_name", "cloud", "exchange", "resources", "quota"),
    *("token_lifetime_policies", "administrative_units", "resource_credentials", "entra_groups"),
    *("exchange_service_principals", "management_scopes", "role_assignments", "mailbox_permissions", "switches"),
    *("transport_config", "dehydrated", "role_groups", "sign_in_logs"),
}


class TenantsFileError(ValueError):
    """The tenants file says something that cannot be built."""


def read(path: str | pathlib.Path) -> list[Document]:
    """The tenants of a file, unbuilt. Raises TenantsFileError."""
    data = load_yaml(pathlib.Path(path).read_text(encoding="utf-8"))
    if not isinstance(data, dict) or not isinstance(data.get("tenants"), list) or not data["tenants"]:
        raise TenantsFileError(f"{path}: a mapping with a list 'tenants' is expected")
    for entry in data["tenants"]:
        unknown = set(entry) - TENANT_KEYS
        if unknown:
            raise TenantsFileError(f"{path}: unknown keys {sorted(unknown)}; there are {sorted(TENANT_KEYS)}")
    return t.cast("list[Document]", data["tenants"])


def build(world: World, entry: Document) -> Tenant:
    """One tenant of the file, with everything in it; not yet adopted by the world."""
    if entry.get("cloud") is not None and entry["cloud"] not in CLOUDS:
        raise TenantsFileError(f"unknown cloud {entry['cloud']!r}; there are {sorted(CLOUDS)}")
    tenant = Tenant(
        id=str(uuid.UUID(str(entry["id"]))),
        domains=[str(domain) for domain in entry["domains"]],
        operators=[dict(operator) for operator in entry.get("operators") or []],
        cloud=entry.get("cloud"),
        display_name=entry.get("display_name") or str(entry["domains"][0]).partition(".")[0],
    )
    builder = _Builder(world, tenant)
    builder.resources(exchange=entry.get("exchange", True))
    for resource in entry.get("resources") or []:
        builder.resource(resource)
    for mailbox in entry.get("mailboxes") or []:
        builder.mailbox(mailbox)
    for group in entry.get("groups") or []:
        builder.group(group)
    try:
        circles.build(tenant, entry.get("administrative_units") or [], entry.get("groups") or [])
    except ValueError as error:
        raise TenantsFileError(str(error)) from None
    for operator in tenant.operators:
        builder.operator(operator)
    for app in entry.get("applications") or []:
        builder.application(app)
    for number in range(int(entry.get("service_principals") or 0)):
        builder.filler(number)
    for policy in entry.get("policies") or []:
        builder.policy(policy)
    tenant.settings["switches"] = dict(entry.get("switches") or {})
    tenant.settings["customization"] = {"dehydrated": bool(entry.get("dehydrated"))}
    tenant.settings["transport_config"] = {
        "SmtpClientAuthenticationDisabled": True,
        **(entry.get("transport_config") or {}),
    }
    for pointer in entry.get("exchange_service_principals") or []:
        builder.pointer(pointer)
    for scope in entry.get("management_scopes") or []:
        builder.scope(scope)
    for assignment in entry.get("role_assignments") or []:
        builder.assignment(assignment)
    for permission in entry.get("mailbox_permissions") or []:
        builder.permission(permission)
    builder.role_groups(entry.get("role_groups") or [])
    builder.entra_groups(entry.get("entra_groups") or [])
    builder.further(entry.get("resource_credentials") or {}, entry.get("groups") or [])
    tenant.settings["organization_config"] = {
        "EwsEnabled": None,
        "EwsAllowedAppIDs": None,
        **(entry.get("organization_config") or {}),
    }
    tenant.settings["app_management_policy"] = dict(entry.get("app_management_policy") or {})
    tenant.settings["token_lifetime_policies"] = {"items": list(entry.get("token_lifetime_policies") or [])}
    tenant.settings["quota"] = dict(entry.get("quota") or {})
    tenant.settings["sign_ins"] = {"items": []}
    tenant.settings["sign_in_logs"] = {"licensed": bool(entry.get("sign_in_logs"))}
    return tenant


def directory_role(name: str) -> str:
    """Template id of a directory role given by its name or already by its id."""
    roles = directory.permissions()["directory_roles"]
    if name in roles:
        return str(roles[name])
    if name in roles.values():
        return name
    raise TenantsFileError(f"unknown directory role {name!r}; there are {', '.join(roles)}")


class _Builder:
    def __init__(self, world: World, tenant: Tenant) -> None:
        self.world, self.tenant = world, tenant
        # Made a year ago: nothing in the file is newborn.
        self.created = directory.stamp(world.clock.now() - dt.timedelta(days=365))
        self._space = uuid.UUID(tenant.id)

    def guid(self, kind: str, name: str) -> str:
        return str(uuid.uuid5(self._space, f"{kind}:{name}"))

    def identified(self, kind: str, name: str, keys: Document) -> Document:
        ids = {"guid": self.guid(kind, name), "entra_id": self.guid(f"entra {kind}", name)}
        return {**ids, **keys}

    def resources(self, *, exchange: bool) -> None:
        clouds = [CLOUDS[self.tenant.cloud]] if self.tenant.cloud else list(CLOUDS.values())
        names = {
            GRAPH_APP_ID: [host for cloud in clouds for host in cloud.graph],
            EXCHANGE_APP_ID: [*(host for cloud in clouds for host in cloud.exchange), "ps.outlook.com"],
            # The only one whose identifiers end in a slash, so that a token may be asked for with two of them.
            MANAGEMENT_APP_ID: [f"{host}/" for cloud in clouds for host in cloud.management],
        }
        for app_id, definition in directory.resource_definitions().items():
            if app_id == EXCHANGE_APP_ID and not exchange:
                continue
            app = {"appId": app_id, "displayName": definition["displayName"], "signInAudience": "AzureADMultipleOrgs"}
            properties = {
                "appRoles": definition["appRoles"],
                "oauth2PermissionScopes": definition["oauth2PermissionScopes"],
                "servicePrincipalNames": [app_id, *dict.fromkeys(f"https://{host}" for host in names[app_id])],
            }
            self._service_principal(app, properties, owner_tenant=MICROSOFT_TENANT)

    def resource(self, keys: Document) -> None:
        app = {
            "appId": str(keys["app_id"]),
            "displayName": keys.get("display_name") or str(keys["app_id"]),
            "signInAudience": "AzureADMultipleOrgs",
        }
        properties = {
            "appRoles": [directory.app_role(*pair) for pair in (keys.get("roles") or {}).items()],
            "oauth2PermissionScopes": [
                directory.scope(value, key) for value, key in (keys.get("scopes") or {}).items()
            ],
            "servicePrincipalNames": [app["appId"], *(keys.get("names") or [])],
        }
        self._service_principal(app, properties, owner_tenant=MICROSOFT_TENANT)

    def _service_principal(self, app: Document, properties: Document, owner_tenant: str = "") -> Document:
        principal = directory.new_service_principal(
            self.tenant,
            app,
            properties,
            created=self.created,
            object_id=self.guid("service principal", app["appId"]),
            owner_tenant=owner_tenant,
        )
        self.tenant.service_principals[principal["id"]] = principal
        return principal

    def mailbox(self, keys: Document) -> None:
        try:
            made = new_mailbox(self.world, self.tenant, **self.identified("mailbox", keys["address"].lower(), keys))
        except (TypeError, ValueError) as error:
            raise TenantsFileError(f"mailbox {keys.get('address')}: {error}") from None
        if "ExchangeGuid" in made:
            made["ExchangeGuid"] = self.guid("exchange", keys["address"].lower())
            self.tenant.mailboxes[made["Guid"]] = made

    def group(self, keys: Document) -> None:
        """Groups without members of their own here, such as those of Microsoft 365, are recipients like mailboxes."""
        if keys.get("type") in ("GroupMailbox", "DynamicDistributionGroup"):
            alias = keys.get("alias") or derived_alias(keys["name"])
            shown = {key: value for key, value in keys.items() if key not in ("members", "managed_by")}
            shown = {"display_name": keys["name"], "address": f"{alias}@{self.tenant.default_domain}", **shown}
            self.mailbox({**shown, "alias": alias})
            return
        keys = {key: value for key, value in keys.items() if key != "deleted"}
        try:
            new_group(self.world, self.tenant, **self.identified("group", keys["name"], keys))
        except (TypeError, ValueError) as error:
            raise TenantsFileError(f"group {keys['name']}: {error}") from None

    def operator(self, keys: Document) -> None:
        client_id = str(keys["client_id"])
        name = keys.get("display_name") or f"Operator {client_id[:8]}"
        app = directory.new_application(
            self.tenant,
            {"displayName": name, "signInAudience": "AzureADMyOrg"},
            created=self.created,
            object_id=self.guid("application", client_id),
            app_id=client_id,
        )
        if keys.get("client_secret") is not None:
            self._password(app, {"displayName": "operator", "secretText": str(keys["client_secret"])})
        if keys.get("certificate"):
            app["keyCredentials"].append(key_credential(certificate_der(_pem(str(keys["certificate"])))))
        if keys.get("federated"):
            self._federated(app, {"name": "operator", **keys["federated"]})
        self.tenant.applications[app["id"]] = app
        principal = self._service_principal(app, {})
        principal["_directory_roles"] = [directory_role(role) for role in keys.get("directory_roles") or []]
        principal["_managed_identity"] = bool(keys.get("managed_identity"))
        self.tenant.service_principals[principal["id"]] = principal
        self._grant(principal, keys.get("app_roles") or [])

    def _grant(self, principal: Document, values: list[str]) -> None:
        for number, value in enumerate(values):
            resource_id = GRAPH_APP_ID if directory.is_graph_role(value) else EXCHANGE_APP_ID
            if value.startswith("exchange_online:"):
                resource_id, value = EXCHANGE_APP_ID, value.partition(":")[2]
            resource = directory.service_principal_of(self.tenant, resource_id)
            role = next((r for r in resource["appRoles"] if r["value"] == value), None) if resource else None
            if resource is None or role is None:
                raise TenantsFileError(f"unknown application permission {value!r} for {principal['displayName']}")
            grant = directory.new_assignment(
                principal,
                resource,
                role["id"],
                created=self.created,
                seed=f"{self.tenant.id}:{principal['id']}:{role['id']}{f':{number}' * (value in values[:number])}",
            )
            self.tenant.app_role_assignments[grant["id"]] = grant

    def _password(self, holder: Document, keys: Document) -> None:
        start = keys.get("startDateTime") or self.created
        end = keys.get("endDateTime") or directory.stamp(directory.two_years_after(self.world.clock.now()))
        number = len(holder["passwordCredentials"])
        holder["passwordCredentials"].append(
            directory.new_password(
                str(keys.get("secretText") or uuid.uuid4().hex),
                display_name=keys.get("displayName"),
                start=str(start),
                end=str(end),
                usable_at=None,
                key_id=keys.get("keyId") or self.guid("key", f"{holder['appId']}:{keys.get('displayName')}:{number}"),
            )
        )

    def _federated(self, app: Document, keys: Document) -> None:
        app["_federated"].append(
            {
                "id": self.guid("federated", f"{app['appId']}:{keys['name']}"),
                "name": keys["name"],
                "issuer": keys["issuer"],
                "subject": keys["subject"],
                "audiences": keys.get("audiences") or ["api://AzureADTokenExchange"],
                "description": keys.get("description"),
                "_public_key": keys.get("public_key"),
                "_jwks": keys.get("jwks"),
            }
        )

    def application(self, keys: Document) -> None:
        own = {
            *(
                "service_principal",
                "accountEnabled",
                "app_roles",
                "delegated",
                "owners",
                "passwordCredentials",
                "deleted",
            ),
            *("federatedIdentityCredentials", "id", "appId", "createdDateTime", "certificates", "principal"),
            "directory_roles",
        }
        seed = keys.get("appId") or keys.get("uniqueName") or f"{keys['displayName']}:{len(self.tenant.applications)}"
        app = directory.new_application(
            self.tenant,
            {"signInAudience": "AzureADMyOrg", **{key: value for key, value in keys.items() if key not in own}},
            created=keys.get("createdDateTime") or self.created,
            object_id=keys.get("id") or self.guid("application", seed),
            app_id=keys.get("appId") or self.guid("client", seed),
        )
        unknown = set(app) - set(directory.APPLICATION_PROPERTIES) - {"_owners", "_federated"}
        if unknown:
            raise TenantsFileError(f"application {keys['displayName']}: unknown properties {sorted(unknown)}")
        for password in keys.get("passwordCredentials") or []:
            self._password(app, password)
        for certificate in keys.get("certificates") or []:
            app["keyCredentials"].append(key_credential(certificate_der(_pem(certificate))))
        for credential in keys.get("federatedIdentityCredentials") or []:
            self._federated(app, credential)
        app["_owners"] = [self._owner(str(owner)) for owner in keys.get("owners") or []]
        self.tenant.applications[app["id"]] = app
        if keys.get("service_principal", True):
            given = {
                "accountEnabled": keys.get("accountEnabled", True),
                "createdByAppId": app["createdByAppId"],
                **(keys.get("principal") or {}),
            }
            apart = {name: given.pop(name, None) for name in ("owners", "passwordCredentials", "certificates")}
            principal = self._service_principal(app, given)
            if apart["owners"] is None:
                principal["_owners"] = list(app["_owners"])
            else:
                principal["_owners"] = [self._owner(str(owner)) for owner in apart["owners"]]
            for password in apart["passwordCredentials"] or []:
                self._password(principal, password)
            for certificate in apart["certificates"] or []:
                principal["keyCredentials"].append(key_credential(certificate_der(_pem(certificate))))
            principal["_directory_roles"] = [directory_role(role) for role in keys.get("directory_roles") or []]
            self.tenant.service_principals[principal["id"]] = principal
            self._grant(principal, keys.get("app_roles") or [])
            delegated = keys.get("delegated") or []
            for number, grant in enumerate([delegated] if isinstance(delegated, dict) else delegated):
                self._delegated(principal, grant, number)
        if keys.get("deleted"):
            directory.delete_application(self.world, self.tenant, app)

    def _delegated(self, principal: Document, keys: Document, number: int) -> None:
        graph = directory.service_principal_of(self.tenant, str(keys.get("resource") or GRAPH_APP_ID))
        assert graph is not None
        user = by_address(self.tenant, str(keys["user"])) if keys.get("user") else None
        if keys.get("user") and user is None:
            raise TenantsFileError(f"{principal['displayName']}: there is no user {keys['user']!r}")
        grant = directory.new_oauth2_grant(
            principal["id"],
            graph["id"],
            " ".join(keys["scopes"]),
            consent_type="Principal" if user else "AllPrincipals",
            principal_id=user["ExternalDirectoryObjectId"] if user else None,
            seed=f"{self.tenant.id}:{principal['id']}:delegated{f':{number}' * bool(number)}",
        )
        self.tenant.oauth2_permission_grants[grant["id"]] = grant

    def _owner(self, name: str) -> str:
        """The object id of an application by its app id, or of a person by an address."""
        principal = directory.service_principal_of(self.tenant, name)
        if principal is not None:
            return str(principal["id"])
        for mailbox in self.tenant.mailboxes.values():
            if name.lower() in (mailbox["PrimarySmtpAddress"].lower(), mailbox["ExternalDirectoryObjectId"]):
                return str(mailbox["ExternalDirectoryObjectId"])
        raise TenantsFileError(f"there is neither an application nor a mailbox {name!r} that could own")

    def filler(self, number: int) -> None:
        app_id = self.guid("filler", str(number))
        app = {
            "appId": app_id,
            "displayName": f"Line of business {number:05d}",
            "signInAudience": "AzureADMultipleOrgs",
        }
        self._service_principal(app, {"tags": ["WindowsAzureActiveDirectoryIntegratedApp"]}, owner_tenant=VENDOR_TENANT)

    def _must(self, cmdlet: str, **parameters: t.Any) -> list[Document]:
        """Run a cmdlet for the file; what it refuses cannot be built."""
        try:
            return invoke(self.world, self.tenant, CMDLETS[cmdlet.lower()], parameters)[0]
        except CmdletError as error:
            raise TenantsFileError(f"{cmdlet} {parameters}: {error}") from None

    def pointer(self, keys: Document) -> None:
        principal = directory.service_principal_of(self.tenant, str(keys["app_id"]))
        object_id = keys.get("object_id") or (principal["id"] if principal else None)
        if object_id is None:
            raise TenantsFileError(f"the application {keys['app_id']} has no service principal")
        made = exchange_rbac.new_pointer(
            self.world,
            self.tenant,
            app_id=str(keys["app_id"]),
            object_id=str(object_id),
            display_name=keys.get("display_name"),
        )
        made["_visible_at"] = None
        self.tenant.exchange_service_principals[made["Guid"]] = made

    def scope(self, keys: Document) -> None:
        text = keys.get("filter")
        if text is None:
            found = [g for g in self.tenant.groups.values() if keys["group"].lower() in (g["Name"].lower(), g["Alias"])]
            if len(found) != 1:
                raise TenantsFileError(f"scope {keys['name']}: there is no group {keys['group']!r}")
            quoted = found[0]["DistinguishedName"].replace("'", "''")
            text = f"MemberOfGroup -eq '{quoted}'"
        customization = self.tenant.settings["customization"]
        self.tenant.settings["customization"] = {}
        self._must("New-ManagementScope", Name=keys["name"], RecipientRestrictionFilter=text)
        self.tenant.settings["customization"] = customization

    def assignment(self, keys: Document) -> None:
        customization = self.tenant.settings["customization"]
        self.tenant.settings["customization"] = {}
        kinds = {"scope": "CustomResourceScope", "group": "RecipientGroupScope"}
        kinds["unit"] = "RecipientAdministrativeUnitScope"
        scope = {parameter: keys[key] for key, parameter in kinds.items() if keys.get(key)}
        (made,) = self._must(
            "New-ManagementRoleAssignment", Name=keys["name"], Role=keys["role"], App=str(keys["app_id"]), **scope
        )
        self.tenant.settings["customization"] = customization
        held = self.tenant.role_assignments[made["Name"].lower()]
        held["_in_force_at"] = None
        held["Enabled"] = bool(keys.get("enabled", True))
        self.tenant.role_assignments[made["Name"].lower()] = held

    def role_groups(self, groups: list[Document]) -> None:
        items = []
        for group in groups:
            principals = [directory.service_principal_of(self.tenant, str(name)) for name in group.get("members") or []]
            if None in principals:
                raise TenantsFileError(f"role group {group['name']}: a member has no service principal")
            items.append({**group, "members": [principal["id"] for principal in principals if principal]})
        self.tenant.settings["role_groups"] = {"items": items}

    def entra_groups(self, groups: list[Document]) -> None:
        items = {}
        for group in groups:
            principals = [directory.service_principal_of(self.tenant, str(name)) for name in group.get("members") or []]
            items[self.guid("entra group", str(group["name"]))] = {
                "name": str(group["name"]),
                "members": [principal["id"] for principal in principals if principal],
                "directory_roles": [directory_role(role) for role in group.get("directory_roles") or []],
            }
        self.tenant.settings["entra_groups"] = {"items": items}

    def further(self, credentials: dict[str, list[Document]], groups: list[Document]) -> None:
        """What comes last: credentials on first-party services, and groups that go when all is made that names them."""
        for app_id, passwords in credentials.items():
            principal = directory.service_principal_of(self.tenant, app_id)
            if principal is None:
                raise TenantsFileError(f"there is no service {app_id}")
            for password in passwords:
                self._password(principal, password)
            self.tenant.service_principals[principal["id"]] = principal
        for group in groups:
            if group.get("deleted"):
                gone = self.guid("group", group["name"])
                self._must("Remove-DistributionGroup", Identity=gone, BypassSecurityGroupManagerCheck=True)

    def permission(self, keys: Document) -> None:
        who = str(keys.get("app_id") or keys.get("sid") or keys.get("user"))
        rights = [right for right in keys["rights"] if right != "SendAs"]
        if rights:
            deny = {"Deny": True} if keys.get("deny") else {}
            self._must("Add-MailboxPermission", Identity=keys["mailbox"], User=who, AccessRights=rights, **deny)
        if "SendAs" in keys["rights"]:
            self._must("Add-RecipientPermission", Identity=keys["mailbox"], Trustee=who, AccessRights=["SendAs"])
        for collection in (self.tenant.mailbox_permissions, self.tenant.recipient_permissions):
            for entry in collection.values():
                entry["_since"] = {}

    def policy(self, keys: Document) -> None:
        wanted = str(keys["group"]).lower()
        holders = [*self.tenant.groups.values(), *self.tenant.mailboxes.values()]
        scope = next(
            (h for h in holders if wanted in (h["Name"].lower(), h["Alias"].lower(), h["PrimarySmtpAddress"].lower())),
            None,
        )
        if scope is None:
            raise TenantsFileError(f"policy for {keys['app_id']}: there is no group {keys['group']!r}")
        new_policy(
            self.world,
            self.tenant,
            app_id=str(keys["app_id"]),
            scope=scope,
            access_right=keys.get("access_right", "RestrictAccess"),
            description=keys.get("description"),
            is_valid=bool(keys.get("is_valid", True)),
        )


def certificate_der(text: str) -> bytes:
    """DER of a PEM text or of Graph's bare base64. Raises ValueError."""
    if "-----BEGIN" in text:
        return x509.load_pem_x509_certificate(text.encode()).public_bytes(serialization.Encoding.DER)
    der = base64.b64decode(text, validate=False)
    x509.load_der_x509_certificate(der)
    return der


def _pem(text: str) -> str:
    """A PEM text, given as such or as the path of its file."""
    return text if "-----BEGIN" in text else pathlib.Path(text).read_text(encoding="ascii")


def key_credential(der: bytes, given: Document | None = None) -> Document:
    """A Graph keyCredential of a certificate; ``given`` are the caller's own values for it."""
    certificate = x509.load_der_x509_certificate(der)
    given = given or {}
    return {
        "customKeyIdentifier": given.get("customKeyIdentifier") or certificate.fingerprint(hashes.SHA1()).hex().upper(),
        "displayName": given.get("displayName") or certificate.subject.rfc4514_string(),
        "endDateTime": given.get("endDateTime") or directory.stamp(certificate.not_valid_after_utc),
        "key": base64.b64encode(der).decode(),
        "keyId": given.get("keyId")
        or str(uuid.uuid5(uuid.NAMESPACE_OID, certificate.fingerprint(hashes.SHA256()).hex())),
        "startDateTime": given.get("startDateTime") or directory.stamp(certificate.not_valid_before_utc),
        "type": given.get("type") or "AsymmetricX509Cert",
        "usage": given.get("usage") or "Verify",
    }
