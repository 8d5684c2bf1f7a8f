# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Graph: organization, domains, users, groups, directory roles, policies.

Users and groups are views of what Exchange holds; nothing of it can be changed here.
"""

from __future__ import annotations

import uuid

from . import circles, directory
from .graph_base import KINDS, READ_DIRECTORY, GraphError, Request, count, entity, kind, listing, route
from .model import Answer, Document, Tenant
from .odata import Key, Segment

READ_ORGANIZATION = READ_DIRECTORY | {"Organization.Read.All", "Organization.ReadWrite.All"}
READ_DOMAINS = READ_DIRECTORY | {"Domain.Read.All", "Domain.ReadWrite.All"}
READ_USERS = READ_DIRECTORY | {"User.Read.All", "User.ReadWrite.All"}
READ_GROUPS = READ_DIRECTORY | {"Group.Read.All", "Group.ReadWrite.All", "GroupMember.Read.All"}
READ_ROLES = READ_DIRECTORY | {"RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory"}
READ_POLICIES = {"Policy.Read.All", "Policy.ReadWrite.ApplicationConfiguration", "Policy.Read.ApplicationConfiguration"}


def _key(segment: Segment) -> str:
    return segment.value if isinstance(segment, Key) else segment


# --- organization and domains -----------------------------------------------------------------------------------------

ORGANIZATION = kind(
    "organization",
    "organization",
    {
        *("id", "deletedDateTime", "displayName", "createdDateTime", "countryLetterCode", "tenantType"),
        *(
            "verifiedDomains",
            "assignedPlans",
            "technicalNotificationMails",
            "onPremisesSyncEnabled",
            "defaultUsageLocation",
        ),
    },
)
DOMAIN = kind(
    "domain",
    "domains",
    {
        *("id", "authenticationType", "isAdminManaged", "isDefault", "isInitial", "isRoot", "isVerified"),
        *("supportedServices", "availabilityStatus", "state", "passwordValidityPeriodInDays"),
    },
)


def _initial(tenant: Tenant) -> str:
    return next((d for d in tenant.domains if d.lower().endswith(".onmicrosoft.com")), tenant.default_domain)


def _organization(request: Request) -> Document:
    tenant = request.tenant
    return {
        "id": tenant.id,
        "deletedDateTime": None,
        "displayName": tenant.display_name,
        "createdDateTime": "2021-01-12T09:30:00Z",
        "countryLetterCode": "IT",
        "defaultUsageLocation": None,
        "tenantType": "AAD",
        "onPremisesSyncEnabled": None,
        "technicalNotificationMails": [f"admin@{tenant.default_domain}"],
        "assignedPlans": [],
        "verifiedDomains": [
            {
                "capabilities": "Email, OfficeCommunicationsOnline",
                "isDefault": domain == tenant.default_domain,
                "isInitial": domain == _initial(tenant),
                "name": domain,
                "type": "Managed",
            }
            for domain in tenant.domains
        ],
    }


def _domains(request: Request) -> list[Document]:
    return [
        {
            "id": domain,
            "authenticationType": "Managed",
            "availabilityStatus": None,
            "isAdminManaged": True,
            "isDefault": domain == request.tenant.default_domain,
            "isInitial": domain == _initial(request.tenant),
            "isRoot": True,
            "isVerified": True,
            "passwordValidityPeriodInDays": 2147483647,
            "state": None,
            "supportedServices": ["Email", "OfficeCommunicationsOnline"],
        }
        for domain in request.tenant.domains
    ]


@route("GET", "organization", READ_ORGANIZATION)
def list_organization(request: Request) -> Answer:
    return listing(request, [_organization(request)], ORGANIZATION)


@route("GET", "organization/{}", READ_ORGANIZATION)
def get_organization(request: Request, key: Segment) -> Answer:
    if _key(key).lower() != request.tenant.id:
        raise GraphError("not_found", id=_key(key))
    return entity(request, _organization(request), ORGANIZATION)


@route("GET", "domains", READ_DOMAINS)
def list_domains(request: Request) -> Answer:
    return listing(request, _domains(request), DOMAIN)


@route("GET", "domains/{}", READ_DOMAINS)
def get_domain(request: Request, key: Segment) -> Answer:
    found = next((domain for domain in _domains(request) if domain["id"].lower() == _key(key).lower()), None)
    if found is None:
        raise GraphError("not_found", id=_key(key))
    return entity(request, found, DOMAIN)


# --- users and groups -------------------------------------------------------------------------------------------------

_USER_SHOWN = frozenset(
    {
        *("businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation"),
        *("preferredLanguage", "surname", "userPrincipalName", "id"),
    }
)
USER = kind(
    "user",
    "users",
    _USER_SHOWN
    | {
        "accountEnabled",
        "mailNickname",
        "proxyAddresses",
        "userType",
        "createdDateTime",
        "assignedLicenses",
        "usageLocation",
    },
    shown=_USER_SHOWN,
)


def _users(request: Request) -> list[Document]:
    return [_user(mailbox) for mailbox in request.tenant.mailboxes.values() if mailbox.get("UserPrincipalName")]


def _user(mailbox: Document) -> Document:
    return {
        "_type": "#microsoft.graph.user",
        "_mailbox": mailbox["Guid"],
        "businessPhones": [],
        "displayName": mailbox["DisplayName"],
        "givenName": mailbox.get("FirstName"),
        "jobTitle": None,
        "mail": mailbox["PrimarySmtpAddress"],
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
        "surname": mailbox.get("LastName"),
        "userPrincipalName": mailbox["UserPrincipalName"],
        "id": mailbox["ExternalDirectoryObjectId"],
        "accountEnabled": not mailbox.get("AccountDisabled", False),
        "mailNickname": mailbox["Alias"],
        "proxyAddresses": list(mailbox["EmailAddresses"]),
        "userType": "Guest" if mailbox["RecipientTypeDetails"] == "GuestMailUser" else "Member",
        "createdDateTime": None,
        "usageLocation": None,
        "assignedLicenses": [],
    }


def _user_named(request: Request, name: str) -> Document:
    wanted = name.lower()
    for user in _users(request):
        if wanted in (user["id"].lower(), user["userPrincipalName"].lower()):
            return user
    raise GraphError("not_found", id=name)


@route("GET", "users", READ_USERS)
def list_users(request: Request) -> Answer:
    return listing(request, _users(request), USER)


@route("GET", "users/$count", READ_USERS)
def count_users(request: Request) -> Answer:
    return count(request, _users(request), USER)


@route("GET", "users/{}", READ_USERS)
def get_user(request: Request, key: Segment) -> Answer:
    return entity(request, _user_named(request, _key(key)), USER)


def _members(request: Request, group: Document) -> list[Document]:
    if group.get("_principals"):
        inside = [request.tenant.service_principals.get(key) for key in group["_principals"]]
        return [{**one, "_type": directory.SERVICE_PRINCIPAL_TYPE} for one in inside if one]
    held = request.tenant.groups[group["_group"]]["_members"] if group["_group"] else _circle(request, group, "members")
    return [found for found in (_directory_object(request, guid) for guid in held) if found]


def _circle(request: Request, group: Document, what: str) -> list[str]:
    """Of a group of Microsoft 365."""
    return list((circles.unified(request.tenant).get(group["_unified"] or "") or {}).get(what, []))


def _group_owners(request: Request, group: Document) -> list[Document]:
    held = request.tenant.groups[group["_group"]]["_owners"] if group["_group"] else _circle(request, group, "owners")
    return [found for found in (_directory_object(request, guid) for guid in held) if found]


GROUP = kind(
    "group",
    "groups",
    {
        *(
            "id",
            "deletedDateTime",
            "createdDateTime",
            "description",
            "displayName",
            "groupTypes",
            "mail",
            "mailEnabled",
        ),
        *(
            "mailNickname",
            "onPremisesSyncEnabled",
            "proxyAddresses",
            "securityEnabled",
            "securityIdentifier",
            "visibility",
        ),
    },
    related={"members": (_members, "user"), "owners": (_group_owners, "user")},
)


def _directory_object(request: Request, guid: str) -> Document | None:
    """The user, group or contact behind an Exchange recipient, as a member of something is shown."""
    if guid in request.tenant.groups:
        return _group(request.tenant.groups[guid])
    mailbox = request.tenant.mailboxes.get(guid)
    if mailbox is None:
        return None
    if mailbox.get("UserPrincipalName"):
        return _user(mailbox)
    return {
        "_type": "#microsoft.graph.orgContact",
        "id": mailbox["ExternalDirectoryObjectId"],
        "displayName": mailbox["DisplayName"],
        "mail": mailbox["PrimarySmtpAddress"],
        "proxyAddresses": list(mailbox["EmailAddresses"]),
    }


def _group(group: Document) -> Document:
    unified = group["RecipientTypeDetails"] == "GroupMailbox"
    return {
        "_type": "#microsoft.graph.group",
        "_visible_at": group.get("_entra_id_at"),
        "_group": None if unified else group["Guid"],
        "_unified": group["Guid"],
        "id": group["ExternalDirectoryObjectId"],
        "deletedDateTime": None,
        "createdDateTime": None,
        "description": (group.get("Description") or [None])[0],
        "displayName": group["DisplayName"],
        "groupTypes": ["Unified"] if unified else [],
        "mail": group["PrimarySmtpAddress"],
        "mailEnabled": True,
        "mailNickname": group["Alias"],
        "onPremisesSyncEnabled": True if group.get("IsDirSynced") else None,
        "proxyAddresses": list(group["EmailAddresses"]),
        "securityEnabled": "SecurityEnabled" in group.get("GroupType", ""),
        "securityIdentifier": group.get("Sid"),
        "visibility": None,
    }


def _groups(request: Request) -> list[Document]:
    unified = [m for m in request.tenant.mailboxes.values() if m["RecipientTypeDetails"] == "GroupMailbox"]
    own = [_entra_group(*item) for item in circles.entra_groups(request.tenant).items()]
    return [*(_group(group) for group in [*request.tenant.groups.values(), *unified]), *own]


def _entra_group(key: str, group: Document) -> Document:
    """One that Exchange does not know."""
    return {
        "_type": "#microsoft.graph.group",
        "_group": None,
        "_unified": None,
        "_principals": list(group["members"]),
        "id": key,
        "deletedDateTime": None,
        "createdDateTime": None,
        "description": None,
        "displayName": group["name"],
        "groupTypes": [],
        "mail": None,
        "mailEnabled": False,
        "mailNickname": group["name"],
        "onPremisesSyncEnabled": None,
        "proxyAddresses": [],
        "securityEnabled": True,
        "securityIdentifier": None,
        "visibility": None,
    }


def _group_named(request: Request, key: Segment) -> Document:
    wanted = _key(key).lower()
    found = next((g for g in _groups(request) if g["id"].lower() == wanted and request.visible(g)), None)
    if found is None:
        raise GraphError("not_found", id=_key(key))
    return found


@route("GET", "groups", READ_GROUPS)
def list_groups(request: Request) -> Answer:
    return listing(request, _groups(request), GROUP)


@route("GET", "groups/$count", READ_GROUPS)
def count_groups(request: Request) -> Answer:
    return count(request, _groups(request), GROUP)


@route("GET", "groups/{}", READ_GROUPS)
def get_group(request: Request, key: Segment) -> Answer:
    return entity(request, _group_named(request, key), GROUP)


@route("GET", "groups/{}/members", READ_GROUPS)
def list_members(request: Request, key: Segment) -> Answer:
    return listing(request, _members(request, _group_named(request, key)), DIRECTORY_OBJECT, typed=True)


@route("GET", "groups/{}/transitiveMembers", READ_GROUPS)
def list_transitive_members(request: Request, key: Segment) -> Answer:
    found: dict[str, Document] = {}
    waiting = _members(request, _group_named(request, key))
    while waiting:
        member = waiting.pop()
        if member["id"] not in found:
            found[member["id"]] = member
            waiting += _members(request, member) if member.get("_group") else []
    return listing(request, found.values(), DIRECTORY_OBJECT, typed=True)


@route("GET", "groups/{}/owners", READ_GROUPS)
def list_group_owners(request: Request, key: Segment) -> Answer:
    return listing(request, _group_owners(request, _group_named(request, key)), DIRECTORY_OBJECT, typed=True)


WRITE_GROUPS = {"Group.ReadWrite.All", "GroupMember.ReadWrite.All", "Directory.ReadWrite.All"}


@route("PATCH", "groups/{}", WRITE_GROUPS)
@route("DELETE", "groups/{}", WRITE_GROUPS)
@route("POST", "groups/{}/members/$ref", WRITE_GROUPS)
@route("POST", "groups/{}/owners/$ref", WRITE_GROUPS)
def write_group(request: Request, key: Segment) -> Answer:
    _group_named(request, key)
    raise GraphError("mail_enabled_group_write")


DIRECTORY_OBJECT = kind(
    "directoryObject", "directoryObjects", USER.properties | GROUP.properties | {"appId", "roleTemplateId"}
)


def _any_object(request: Request, identifier: str) -> Document | None:
    wanted = identifier.lower()
    tenant = request.tenant
    if wanted in tenant.applications:
        return {**tenant.applications[wanted], "_type": directory.APPLICATION_TYPE}
    if wanted in tenant.service_principals:
        return {**tenant.service_principals[wanted], "_type": directory.SERVICE_PRINCIPAL_TYPE}
    return next((o for o in [*_users(request), *_groups(request)] if o["id"].lower() == wanted), None)


@route("GET", "directoryObjects/{}", READ_DIRECTORY)
def get_directory_object(request: Request, key: Segment) -> Answer:
    found = _any_object(request, _key(key))
    if found is None or not request.visible(found):
        raise GraphError("not_found", id=_key(key))
    return entity(request, found, KINDS[found["_type"].removeprefix("#microsoft.graph.")])


@route("POST", "directoryObjects/getByIds", READ_DIRECTORY)
def get_by_ids(request: Request) -> Answer:
    ids = request.body().get("ids")
    if not isinstance(ids, list):
        raise GraphError("required_property", property="ids", resource="getByIds")
    found = [o for o in (_any_object(request, str(identifier)) for identifier in ids) if o]
    context = f"{request.root}/$metadata#directoryObjects"
    rows = listing(request, found, DIRECTORY_OBJECT, typed=True).body["value"]
    return Answer(200, {"@odata.context": context, "value": rows})


# --- directory roles --------------------------------------------------------------------------------------------------


def _role_members(request: Request, role: Document) -> list[Document]:
    template = role["roleTemplateId"]
    members = [
        {**principal, "_type": directory.SERVICE_PRINCIPAL_TYPE}
        for principal in request.tenant.service_principals.values()
        if template in principal.get("_directory_roles", [])
    ]
    if role["displayName"] == "Global Administrator":
        administrators = (mailbox for mailbox in request.tenant.mailboxes.values() if mailbox.get("_admin"))
        members += [_user(mailbox) for mailbox in administrators if mailbox.get("UserPrincipalName")]
    return members


def _groups_with(request: Request, role: Document) -> list[Document]:
    groups = circles.entra_groups(request.tenant)
    return [{"id": key} for key, group in groups.items() if role["roleTemplateId"] in group["directory_roles"]]


ROLE = kind(
    "directoryRole",
    "directoryRoles",
    {"id", "deletedDateTime", "description", "displayName", "roleTemplateId"},
    related={"members": (_role_members, "directoryObject")},
)
ROLE_ASSIGNMENT = kind(
    "unifiedRoleAssignment",
    "roleManagement/directory/roleAssignments",
    {"id", "principalId", "roleDefinitionId", "directoryScopeId", "condition"},
)


def _roles(request: Request) -> list[Document]:
    space = uuid.UUID(request.tenant.id)
    return [
        {
            "_type": "#microsoft.graph.directoryRole",
            "id": str(uuid.uuid5(space, f"directory role:{template}")),
            "deletedDateTime": None,
            "description": name,
            "displayName": name,
            "roleTemplateId": template,
        }
        for name, template in directory.permissions()["directory_roles"].items()
    ]


def _role_named(request: Request, key: Segment) -> Document:
    name = "roleTemplateId" if isinstance(key, Key) and key.name.lower() == "roletemplateid" else "id"
    found = next((role for role in _roles(request) if role[name] == _key(key).lower()), None)
    if found is None:
        raise GraphError("not_found", id=_key(key))
    return found


@route("GET", "directoryRoles", READ_ROLES)
def list_roles(request: Request) -> Answer:
    return listing(request, _roles(request), ROLE)


@route("GET", "directoryRoles/{}", READ_ROLES)
def get_role(request: Request, key: Segment) -> Answer:
    return entity(request, _role_named(request, key), ROLE)


@route("GET", "directoryRoles/{}/members", READ_ROLES)
def list_role_members(request: Request, key: Segment) -> Answer:
    return listing(request, _role_members(request, _role_named(request, key)), DIRECTORY_OBJECT, typed=True)


@route("GET", "roleManagement/directory/roleAssignments", READ_ROLES)
def list_role_assignments(request: Request) -> Answer:
    rows = [
        {
            "id": directory.new_grant_id(f"{role['id']}:{member['id']}"),
            "principalId": member["id"],
            "roleDefinitionId": role["roleTemplateId"],
            "directoryScopeId": "/",
            "condition": None,
        }
        for role in _roles(request)
        for member in [*_role_members(request, role), *_groups_with(request, role)]
    ]
    return listing(request, rows, ROLE_ASSIGNMENT)


@route("GET", "servicePrincipals/{}/memberOf", READ_DIRECTORY | {"Application.Read.All", "Application.ReadWrite.All"})
@route(
    "GET",
    "servicePrincipals/{}/transitiveMemberOf",
    READ_DIRECTORY | {"Application.Read.All", "Application.ReadWrite.All"},
)
def member_of(request: Request, key: Segment) -> Answer:
    principal = request.service_principal(key)
    own, held = principal.get("_directory_roles", []), circles.roles_of(request.tenant, principal)
    through = "transitive" in request.call.path.lower()
    held = held if through else own
    roles = [role for role in _roles(request) if role["roleTemplateId"] in held]
    return listing(request, roles, DIRECTORY_OBJECT, typed=True)


# --- policies and subscriptions ---------------------------------------------------------------------------------------

POLICY = kind(
    "tenantAppManagementPolicy",
    "policies/defaultAppManagementPolicy",
    {"id", "displayName", "description", "isEnabled", "applicationRestrictions", "servicePrincipalRestrictions"},
)

OWN_POLICY = kind(
    "appManagementPolicy",
    "policies/appManagementPolicies",
    {"id", "displayName", "description", "isEnabled", "restrictions"},
)


def _restrictions(held: Document) -> Document:
    since = held.get("restrict_for_apps_created_after")
    passwords = []
    if held.get("secrets") == "forbidden":
        passwords.append({"restrictionType": "passwordAddition", "maxLifetime": None})
    if held.get("max_lifetime_days") is not None:
        passwords.append({"restrictionType": "passwordLifetime", "maxLifetime": f"P{held['max_lifetime_days']}D"})
    passwords = [
        {**entry, "state": "enabled", "restrictForAppsCreatedAfterDateTime": str(since) if since else None}
        for entry in passwords
    ]
    return {"passwordCredentials": passwords, "keyCredentials": []}


def _policy(request: Request) -> Document:
    restrictions = _restrictions(directory.password_restrictions(request.tenant))
    return {
        "id": directory.NO_ROLE,
        "displayName": request.world.texts["graph"]["app_management_policy_name"],
        "description": "Default tenant policy that enforces app management restrictions.",
        "isEnabled": bool(restrictions["passwordCredentials"]),
        "applicationRestrictions": restrictions,
        "servicePrincipalRestrictions": restrictions,
    }


def _own_policy(held: Document, app_id: str, number: int) -> Document:
    return {
        "id": str(uuid.uuid5(uuid.UUID(app_id), f"app-management policy {number}")),
        "displayName": str(held.get("display_name") or f"Policy {number}"),
        "description": "",
        "isEnabled": bool(held.get("enabled", True)),
        "restrictions": _restrictions(held),
    }


@route("GET", "policies/defaultAppManagementPolicy", READ_POLICIES)
def default_app_management_policy(request: Request) -> Answer:
    return entity(request, _policy(request), POLICY)


@route("GET", "policies/appManagementPolicies", READ_POLICIES)
def app_management_policies(request: Request) -> Answer:
    return listing(request, [], POLICY)


@route("GET", "applications/{}/appManagementPolicies", READ_POLICIES)
def policies_of_application(request: Request, key: Segment) -> Answer:
    application = request.application(key)
    held = directory.own_password_restrictions(request.tenant, application)
    rows = [_own_policy(policy, application["appId"], number) for number, policy in enumerate(held, 1)]
    return listing(request, rows, OWN_POLICY)


SUBSCRIPTION = kind("subscription", "subscriptions", {"id", "resource", "changeType", "expirationDateTime"})


@route("GET", "subscriptions", None)
def subscriptions(request: Request) -> Answer:
    return listing(request, [], SUBSCRIPTION)
