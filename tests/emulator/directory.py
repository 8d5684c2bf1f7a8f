# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Entra directory of a tenant: the shapes of its objects, how they are found, and what deleting one takes along.

No HTTP here: the token service, Graph and the loader of the tenants file all work on this.
"""

from __future__ import annotations

import base64
import copy
import datetime as dt
import functools
import hashlib
import pathlib
import secrets
import typing as t
import uuid

from .model import Document, Tenant, World, load_yaml

NO_ROLE = "00000000-0000-0000-0000-000000000000"
DELETED_KEPT = dt.timedelta(days=30)
EVERY_MEMBER_WID = "0997a1d0-0d1d-4acb-b408-d5ca73121e90"  # in every token, whatever directory roles there are
APPLICATION_TYPE = "#microsoft.graph.application"
SERVICE_PRINCIPAL_TYPE = "#microsoft.graph.servicePrincipal"
USER_TYPE = "#microsoft.graph.user"

_ASIDE = "_aside"  # a deleted service principal's grants, by collection


@functools.cache
def permissions() -> Document:
    """The data file of resources, their permissions and the directory roles."""
    path = pathlib.Path(__file__).with_name("permissions.yml")
    return t.cast("Document", load_yaml(path.read_text(encoding="utf-8")))


def stamp(moment: dt.datetime | float) -> str:
    """A time stamp as Graph writes it: UTC, seven decimals, ``Z``."""
    if isinstance(moment, int | float):
        moment = dt.datetime.fromtimestamp(moment, dt.UTC)
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def parse_stamp(text: str) -> dt.datetime:
    """Any ISO 8601 time stamp; one without a zone is UTC. Raises ValueError."""
    text = text.strip()
    if text.endswith(("Z", "z")):
        text = text[:-1] + "+00:00"
    head, dot, tail = text.partition(".")
    if dot:  # fromisoformat takes six decimals at most
        digits = len(tail) - len(tail.lstrip("0123456789"))
        text = f"{head}.{tail[:digits][:6]}{tail[digits:]}"
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def new_grant_id(seed: str | None = None) -> str:
    """Ids of assignments and grants are 43 characters of base64url, not GUIDs."""
    raw = hashlib.sha256(seed.encode()).digest() if seed else secrets.token_bytes(32)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


# --- shapes -----------------------------------------------------------------------------------------------------------

_INFO = {
    "termsOfServiceUrl": None,
    "supportUrl": None,
    "privacyStatementUrl": None,
    "marketingUrl": None,
    "logoUrl": None,
}
_PUBLISHER = {"displayName": None, "verifiedPublisherId": None, "addedDateTime": None}

_APPLICATION: Document = {
    "id": None,
    "deletedDateTime": None,
    "appId": None,
    "applicationTemplateId": None,
    "disabledByMicrosoftStatus": None,
    "createdByAppId": None,
    "createdDateTime": None,
    "displayName": None,
    "description": None,
    "groupMembershipClaims": None,
    "identifierUris": [],
    "isDeviceOnlyAuthSupported": None,
    "isFallbackPublicClient": None,
    "nativeAuthenticationApisEnabled": None,
    "notes": None,
    "oauth2RequirePostResponse": False,
    "optionalClaims": None,
    "publisherDomain": None,
    "samlMetadataUrl": None,
    "serviceManagementReference": None,
    "signInAudience": "AzureADandPersonalMicrosoftAccount",
    "tags": [],
    "tokenEncryptionKeyId": None,
    "uniqueName": None,
    "defaultRedirectUri": None,
    "certification": None,
    "servicePrincipalLockConfiguration": None,
    "requestSignatureVerification": None,
    "addIns": [],
    "api": {
        "acceptMappedClaims": None,
        "knownClientApplications": [],
        "requestedAccessTokenVersion": None,
        "oauth2PermissionScopes": [],
        "preAuthorizedApplications": [],
    },
    "appRoles": [],
    "info": _INFO,
    "keyCredentials": [],
    "parentalControlSettings": {"countriesBlockedForMinors": [], "legalAgeGroupRule": "Allow"},
    "passwordCredentials": [],
    "publicClient": {"redirectUris": []},
    "requiredResourceAccess": [],
    "verifiedPublisher": _PUBLISHER,
    "web": {
        "homePageUrl": None,
        "logoutUrl": None,
        "redirectUris": [],
        "implicitGrantSettings": {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": False},
        "redirectUriSettings": [],
    },
    "spa": {"redirectUris": []},
}

_SERVICE_PRINCIPAL: Document = {
    "id": None,
    "deletedDateTime": None,
    "accountEnabled": True,
    "alternativeNames": [],
    "appDisplayName": None,
    "appDescription": None,
    "appId": None,
    "applicationTemplateId": None,
    "appOwnerOrganizationId": None,
    "appRoleAssignmentRequired": False,
    "createdByAppId": None,
    "createdDateTime": None,
    "description": None,
    "disabledByMicrosoftStatus": None,
    "displayName": None,
    "homepage": None,
    "loginUrl": None,
    "logoutUrl": None,
    "notes": None,
    "notificationEmailAddresses": [],
    "preferredSingleSignOnMode": None,
    "preferredTokenSigningKeyThumbprint": None,
    "replyUrls": [],
    "servicePrincipalNames": [],
    "servicePrincipalType": "Application",
    "signInAudience": None,
    "tags": [],
    "tokenEncryptionKeyId": None,
    "samlSingleSignOnSettings": None,
    "addIns": [],
    "appRoles": [],
    "info": _INFO,
    "keyCredentials": [],
    "oauth2PermissionScopes": [],
    "passwordCredentials": [],
    "resourceSpecificApplicationPermissions": [],
    "verifiedPublisher": _PUBLISHER,
    "customSecurityAttributes": None,
}

APPLICATION_PROPERTIES = dict(_APPLICATION)
SERVICE_PRINCIPAL_PROPERTIES = dict(_SERVICE_PRINCIPAL)


def merge(document: Document, properties: Document) -> None:
    """Set properties as PATCH does: collections are replaced whole, complex values are merged member by member."""
    for name, value in properties.items():
        held = document.get(name)
        if isinstance(held, dict) and isinstance(value, dict):
            merge(held, value)
        else:
            document[name] = copy.deepcopy(value)


def new_application(
    tenant: Tenant, properties: Document, *, created: str, object_id: str = "", app_id: str = ""
) -> Document:
    """A full Graph application. Its credentials are none; see ``new_password`` and ``new_key``."""
    document = copy.deepcopy(_APPLICATION)
    document["createdDateTime"] = created
    document["publisherDomain"] = tenant.default_domain
    merge(document, properties)
    document["id"] = object_id or str(uuid.uuid4())
    document["appId"] = app_id or str(uuid.uuid4())
    document["_owners"] = []
    document["_federated"] = []
    return document


def new_service_principal(
    tenant: Tenant, app: Document, properties: Document, *, created: str, object_id: str = "", owner_tenant: str = ""
) -> Document:
    """A full Graph service principal of ``app`` (a Graph application, of this tenant or another)."""
    document = copy.deepcopy(_SERVICE_PRINCIPAL)
    document["id"] = object_id or str(uuid.uuid4())
    document["createdDateTime"] = created
    document["appOwnerOrganizationId"] = owner_tenant or tenant.id
    mirror(app, document)
    document["servicePrincipalNames"] = [app["appId"], *app.get("identifierUris", [])]
    merge(document, properties)
    document["_owners"] = []
    return document


def mirror(app: Document, principal: Document) -> None:
    """What a service principal takes over from its application, at birth and at every change."""
    principal["appId"] = app["appId"]
    principal["appDisplayName"] = principal["displayName"] = app["displayName"]
    principal["appDescription"] = app.get("description")
    principal["signInAudience"] = app.get("signInAudience")
    principal["appRoles"] = copy.deepcopy(app.get("appRoles", []))
    principal["oauth2PermissionScopes"] = copy.deepcopy(app.get("api", {}).get("oauth2PermissionScopes", []))
    principal["replyUrls"] = list(app.get("web", {}).get("redirectUris", []))
    principal["homepage"] = app.get("web", {}).get("homePageUrl")
    principal["info"] = copy.deepcopy(app.get("info", _INFO))


def two_years_after(moment: dt.datetime) -> dt.datetime:
    try:
        return moment.replace(year=moment.year + 2)
    except ValueError:  # the 29th of February
        return moment.replace(year=moment.year + 2, day=28)


def new_password(
    value: str, *, display_name: str | None, start: str, end: str, usable_at: float | None, key_id: str = ""
) -> Document:
    return {
        "customKeyIdentifier": None,
        "displayName": display_name,
        "endDateTime": end,
        "hint": value[:3],
        "keyId": key_id or str(uuid.uuid4()),
        "secretText": None,
        "startDateTime": start,
        "_value": value,
        "_usable_at": usable_at,
        "_visible_at": usable_at,
    }


def new_assignment(
    client: Document, resource: Document, role_id: str, *, created: str, seed: str | None = None
) -> Document:
    return {
        "id": new_grant_id(seed),
        "deletedDateTime": None,
        "appRoleId": role_id,
        "createdDateTime": created,
        "principalDisplayName": client["displayName"],
        "principalId": client["id"],
        "principalType": "ServicePrincipal",
        "resourceDisplayName": resource["displayName"],
        "resourceId": resource["id"],
        "_in_token_at": None,
    }


def new_oauth2_grant(
    client_id: str,
    resource_id: str,
    scope: str,
    *,
    consent_type: str,
    principal_id: str | None,
    seed: str | None = None,
) -> Document:
    return {
        "id": new_grant_id(seed),
        "clientId": client_id,
        "consentType": consent_type,
        "principalId": principal_id,
        "resourceId": resource_id,
        "scope": scope,
    }


# --- finding ----------------------------------------------------------------------------------------------------------


def application_of(tenant: Tenant, app_id: str) -> Document | None:
    """By appId, whether every replica shows it yet or not."""
    wanted = app_id.lower()
    return next((app for app in tenant.applications.values() if app["appId"].lower() == wanted), None)


def service_principal_of(tenant: Tenant, app_id: str) -> Document | None:
    wanted = app_id.lower()
    return next((sp for sp in tenant.service_principals.values() if sp["appId"].lower() == wanted), None)


def application_anywhere(world: World, tenant: Tenant, app_id: str) -> Document | None:
    """The application in its home tenant, which may be another one of this world if it is not single-tenant."""
    found = application_of(tenant, app_id)
    if found is not None:
        return found
    for other in world.tenants.values():
        found = application_of(other, app_id)
        if found is not None and found["signInAudience"] != "AzureADMyOrg":
            return found
    return None


def resource_by_name(tenant: Tenant, name: str) -> Document | None:
    """The service principal that owns a resource identifier such as ``https://graph.microsoft.com`` or an appId."""
    wanted = name.rstrip("/").lower()
    for principal in tenant.service_principals.values():
        for held in principal["servicePrincipalNames"]:
            if held.rstrip("/").lower() == wanted:
                return principal
    return None


def roles_in_token(world: World, tenant: Tenant, principal_id: str, resource: Document) -> list[str]:
    """Values of the application permissions a new token carries: granted, and past their lag."""
    values = {role["id"]: role["value"] for role in resource["appRoles"] if role.get("isEnabled", True)}
    return sorted(
        {
            values[grant["appRoleId"]]
            for grant in tenant.app_role_assignments.values()
            if grant["principalId"] == principal_id
            and grant["resourceId"] == resource["id"]
            and grant["appRoleId"] in values
            and world.reached(grant.get("_in_token_at"))
        }
    )


# --- soft delete ------------------------------------------------------------------------------------------------------


def delete_application(world: World, tenant: Tenant, app: Document) -> None:
    """Into the recycle bin for 30 days, and its service principal of this tenant with it."""
    tenant.applications.pop(app["id"])
    principal = service_principal_of(tenant, app["appId"])
    if principal is not None:
        delete_service_principal(world, tenant, principal)
    app["deletedDateTime"] = stamp(world.clock.now())
    app["@odata.type"] = APPLICATION_TYPE
    tenant.deleted_items[app["id"]] = app


def delete_service_principal(world: World, tenant: Tenant, principal: Document) -> None:
    """Into the recycle bin, with every grant that names it kept aside."""
    own = principal["id"]
    tenant.service_principals.pop(own)
    aside: dict[str, list[Document]] = {"app_role_assignments": [], "oauth2_permission_grants": []}
    for grant in [g for g in tenant.app_role_assignments.values() if own in (g["principalId"], g["resourceId"])]:
        aside["app_role_assignments"].append(tenant.app_role_assignments.pop(grant["id"]))
    for grant in [g for g in tenant.oauth2_permission_grants.values() if own in (g["clientId"], g["resourceId"])]:
        aside["oauth2_permission_grants"].append(tenant.oauth2_permission_grants.pop(grant["id"]))
    principal[_ASIDE] = aside
    # Exchange's pointer goes by itself, with its role assignments; rights on mailboxes stay, of a SID nobody knows.
    for key, pointer in list(tenant.exchange_service_principals.items()):
        if pointer["ObjectId"] == own:
            tenant.exchange_service_principals.pop(key)
            for name, one in list(tenant.role_assignments.items()):
                if one["App"] == own:
                    tenant.role_assignments.pop(name)
    principal["deletedDateTime"] = stamp(world.clock.now())
    principal["@odata.type"] = SERVICE_PRINCIPAL_TYPE
    tenant.deleted_items[own] = principal


def restore(tenant: Tenant, item: Document) -> Document:
    """Back from the recycle bin. An application comes alone; a service principal brings its grants."""
    tenant.deleted_items.pop(item["id"])
    kind = item.pop("@odata.type")
    item["deletedDateTime"] = None
    if kind == APPLICATION_TYPE:
        tenant.applications[item["id"]] = item
        return item
    aside = item.pop(_ASIDE, {})
    tenant.service_principals[item["id"]] = item
    for name, grants in aside.items():
        for grant in grants:
            getattr(tenant, name)[grant["id"]] = grant
    return item


def purge(tenant: Tenant, item: Document) -> None:
    """Gone for good; of an application, its deleted service principal as well."""
    tenant.deleted_items.pop(item["id"])
    if item["@odata.type"] == APPLICATION_TYPE:
        for other in [o for o in tenant.deleted_items.values() if o["appId"] == item["appId"]]:
            tenant.deleted_items.pop(other["id"])


def sweep(world: World, tenant: Tenant) -> None:
    """Deleted items older than 30 days are purged."""
    limit = world.clock.now() - DELETED_KEPT
    for item in [i for i in tenant.deleted_items.values() if parse_stamp(i["deletedDateTime"]) < limit]:
        if item["id"] in tenant.deleted_items:
            purge(tenant, item)


# --- app management policy --------------------------------------------------------------------------------------------


def password_restrictions(tenant: Tenant) -> Document:
    """``{"max_lifetime_days": 180}``, ``{"secrets": "forbidden"}``, both or nothing."""
    return t.cast("Document", tenant.settings.get("app_management_policy") or {})


def own_password_restrictions(tenant: Tenant, application: Document) -> list[Document]:
    """Of the policies assigned to an application, in the same form; those with ``enabled: false`` count for nothing."""
    assigned = password_restrictions(tenant).get("assigned") or {}
    names = (application.get("appId"), application.get("uniqueName"), application.get("displayName"))
    return [policy for name in names if name in assigned for policy in assigned[name]]


def app_role(value: str, identifier: str) -> Document:
    return {
        "allowedMemberTypes": ["Application"],
        "description": f"Allows the app to use {value} without a signed-in user.",
        "displayName": value,
        "id": identifier,
        "isEnabled": True,
        "origin": "Application",
        "value": value,
    }


def scope(value: str, identifier: str) -> Document:
    return {
        "adminConsentDescription": f"Allows the app to use {value} on behalf of the signed-in user.",
        "adminConsentDisplayName": value,
        "id": identifier,
        "isEnabled": True,
        "type": "User" if value in ("User.Read", "openid", "profile", "email", "offline_access") else "Admin",
        "userConsentDescription": None,
        "userConsentDisplayName": None,
        "value": value,
    }


def _ids(entry: Document) -> dict[str, str]:
    return {**entry.get("confirmed", {}), **entry.get("remembered", {})}


@functools.cache
def resource_definitions() -> dict[str, Document]:
    """appId -> display name, appRoles and oauth2PermissionScopes in Graph's shape."""
    definitions: dict[str, Document] = {}
    data = permissions()
    for key in ("microsoft_graph", "exchange_online", "azure_resource_manager"):
        entry = data[key]
        roles = _ids(entry["roles"])
        for value in entry["roles"].get("unknown", []):
            roles[value] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"role:{value}"))
        scopes = _ids(entry["scopes"])
        for value in entry["scopes"].get("unknown", []):
            scopes[value] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"scope:{value}"))
        definitions[entry["app_id"]] = {
            "displayName": entry["display_name"],
            "appRoles": [app_role(value, identifier) for value, identifier in roles.items()],
            "oauth2PermissionScopes": [scope(value, identifier) for value, identifier in scopes.items()],
        }
    return definitions


def is_graph_role(value: str) -> bool:
    entry = permissions()["microsoft_graph"]["roles"]
    return any(value in entry.get(known, ()) for known in ("confirmed", "remembered", "unknown"))
