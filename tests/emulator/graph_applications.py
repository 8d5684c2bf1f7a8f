# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Graph: applications, service principals, their credentials, their grants, and the recycle bin."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import string
import typing as t
import uuid

from . import directory, tenants
from .graph_base import (
    READ_APPS,
    READ_DIRECTORY,
    WRITE_APPS,
    GraphError,
    Request,
    count,
    entity,
    guid,
    is_guid,
    kind,
    listing,
    reference_id,
    referenced_id,
    route,
)
from .hosts import EXCHANGE_APP_ID
from .model import Answer, Document
from .odata import Key, Segment

READ_GRANTS = READ_APPS | {"AppRoleAssignment.ReadWrite.All"}
READ_DELEGATED = READ_APPS | {"DelegatedPermissionGrant.ReadWrite.All", "DelegatedPermissionGrant.Read.All"}
WRITE_DELEGATED = {"DelegatedPermissionGrant.ReadWrite.All", "Directory.ReadWrite.All"}
WRITE_GRANTS = {"AppRoleAssignment.ReadWrite.All"}

_READ_ONLY = {
    *("id", "appId", "createdByAppId", "createdDateTime", "deletedDateTime", "publisherDomain", "verifiedPublisher"),
    *("disabledByMicrosoftStatus", "certification", "appOwnerOrganizationId", "applicationTemplateId"),
}
_AUDIENCES = (
    *("AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"),
)
_RESOURCES_AT_MOST, _PERMISSIONS_AT_MOST, _FEDERATED_AT_MOST = 50, 400, 20
_SECRET_ALPHABET = string.ascii_letters + string.digits + "._~-"


# --- shapes and relations ---------------------------------------------------------------------------------------------


def _owners(request: Request, document: Document) -> list[Document]:
    """Service principals and people, in the order in which they were added."""
    held, found = request.tenant.service_principals, []
    people = {mailbox["ExternalDirectoryObjectId"]: mailbox for mailbox in request.tenant.mailboxes.values()}
    for owner in document["_owners"]:
        if owner in held:
            found.append({**held[owner], "_type": directory.SERVICE_PRINCIPAL_TYPE})
        elif owner in people:
            person = people[owner]
            names = {"displayName": person["DisplayName"], "userPrincipalName": person.get("UserPrincipalName")}
            found.append({"id": owner, **names, "_type": directory.USER_TYPE})
    return found


def _assignments(request: Request, principal: Document) -> list[Document]:
    return [a for a in request.tenant.app_role_assignments.values() if a["principalId"] == principal["id"]]


def _assigned_to(request: Request, resource: Document) -> list[Document]:
    return [a for a in request.tenant.app_role_assignments.values() if a["resourceId"] == resource["id"]]


def _delegated(request: Request, principal: Document) -> list[Document]:
    return [g for g in request.tenant.oauth2_permission_grants.values() if g["clientId"] == principal["id"]]


def _federated(request: Request, app: Document) -> list[Document]:
    return list(app["_federated"])


APPLICATION = kind(
    "application",
    "applications",
    directory.APPLICATION_PROPERTIES,
    related={
        "owners": (_owners, "servicePrincipal"),
        "federatedIdentityCredentials": (_federated, "federatedIdentityCredential"),
    },
)
SERVICE_PRINCIPAL = kind(
    "servicePrincipal",
    "servicePrincipals",
    directory.SERVICE_PRINCIPAL_PROPERTIES,
    related={
        "owners": (_owners, "servicePrincipal"),
        "appRoleAssignments": (_assignments, "appRoleAssignment"),
        "appRoleAssignedTo": (_assigned_to, "appRoleAssignment"),
        "oauth2PermissionGrants": (_delegated, "oAuth2PermissionGrant"),
    },
)
ASSIGNMENT = kind(
    "appRoleAssignment",
    "appRoleAssignments",
    {
        *("id", "deletedDateTime", "appRoleId", "createdDateTime", "principalDisplayName", "principalId"),
        *("principalType", "resourceDisplayName", "resourceId"),
    },
)
GRANT = kind(
    "oAuth2PermissionGrant",
    "oauth2PermissionGrants",
    {"id", "clientId", "consentType", "principalId", "resourceId", "scope"},
)
FEDERATED = kind(
    "federatedIdentityCredential",
    "federatedIdentityCredentials",
    {"id", "name", "issuer", "subject", "description", "audiences"},
)


# --- applications -----------------------------------------------------------------------------------------------------


@route("GET", "applications", READ_APPS)
def list_applications(request: Request) -> Answer:
    return listing(request, request.tenant.applications.values(), APPLICATION)


@route("GET", "applications/$count", READ_APPS)
def count_applications(request: Request) -> Answer:
    return count(request, request.tenant.applications.values(), APPLICATION)


@route("GET", "applications/delta", READ_APPS)
def delta_applications(request: Request) -> Answer:
    answer = listing(request, request.tenant.applications.values(), APPLICATION)
    if "@odata.nextLink" not in answer.body:
        answer.body["@odata.deltaLink"] = f"{request.root}/applications/delta?$deltatoken={uuid.uuid4().hex}"
    return answer


@route("POST", "applications", WRITE_APPS)
def create_application(request: Request, unique_name: str | None = None) -> Answer:
    body = request.body()
    owners = body.pop("owners@odata.bind", [])
    if unique_name is not None:
        body["uniqueName"] = unique_name
    if not isinstance(body.get("displayName"), str) or not body["displayName"].strip():
        raise GraphError("required_property", property="displayName", resource="Application")
    properties = _checked(body, directory.APPLICATION_PROPERTIES, "application", None)
    if properties.get("passwordCredentials"):
        raise GraphError("new_password_by_action")
    _free_unique_name(request, properties.get("uniqueName"))
    _within_quota(request)
    keys = properties.pop("keyCredentials", [])
    app = directory.new_application(request.tenant, properties, created=directory.stamp(request.world.clock.now()))
    app["createdByAppId"] = request.principal.app_id
    app["keyCredentials"] = _keys(app, keys)
    bound = [reference_id(str(owner)) for owner in owners]
    app["_owners"] = list(dict.fromkeys([request.principal.object_id, *bound]))
    app["_visible_at"] = request.newborn()
    request.tenant.applications[app["id"]] = app
    return entity(request, app, APPLICATION, 201)


@route("GET", "applications/{}", READ_APPS)
def get_application(request: Request, key: Segment) -> Answer:
    return entity(request, request.application(key), APPLICATION)


@route("PATCH", "applications/{}", WRITE_APPS)
def update_application(request: Request, key: Segment) -> Answer:
    upsert = request.prefers("create-if-missing")
    try:
        app = request.application(key)
    except GraphError as missing:
        if missing.key == "not_found" and upsert and isinstance(key, Key) and key.name.lower() == "uniquename":
            return create_application(request, key.value)
        raise
    request.may_write(app)
    body = request.body()
    if upsert and not body.get("displayName"):
        raise GraphError("required_property", property="displayName", resource="Application")
    properties = _checked(body, directory.APPLICATION_PROPERTIES, "application", app)
    wanted = properties.get("uniqueName", app["uniqueName"])
    if app["uniqueName"] is not None and wanted != app["uniqueName"]:
        raise GraphError("unique_name_fixed")
    if wanted != app["uniqueName"]:
        _free_unique_name(request, wanted)
    _entitlements_disabled(app, properties)
    if "passwordCredentials" in properties:
        properties["passwordCredentials"] = _kept_passwords(app, properties["passwordCredentials"])
    if "keyCredentials" in properties:
        properties["keyCredentials"] = _keys(app, properties["keyCredentials"])
    request.touch(app)
    directory.merge(app, properties)
    request.tenant.applications[app["id"]] = app
    principal = directory.service_principal_of(request.tenant, app["appId"])
    if principal is not None:
        directory.mirror(app, principal)
        request.tenant.service_principals[principal["id"]] = principal
    return Answer(204)


@route("DELETE", "applications/{}", WRITE_APPS)
def delete_application(request: Request, key: Segment) -> Answer:
    app = request.application(key)
    request.may_write(app)
    request.touch(app)
    directory.delete_application(request.world, request.tenant, app)
    return Answer(204)


def _free_unique_name(request: Request, name: str | None) -> None:
    """A name is taken by live applications, seen or not yet seen, and by deleted ones until they are purged."""
    if name is None:
        return
    directory.sweep(request.world, request.tenant)
    for holder in [*request.tenant.applications.values(), *request.tenant.deleted_items.values()]:
        if (holder.get("uniqueName") or "").casefold() == name.casefold():
            raise GraphError("unique_name_taken")


def _within_quota(request: Request) -> None:
    """Who may make objects of their own only has room for 250; a tenant of the file may say another number.

    What lies in the recycle bin counts a quarter.
    """
    limit = request.tenant.settings.get("quota", {}).get("objects_per_creator")
    if limit is None:
        return

    def ours(held: t.Iterable[Document]) -> int:
        return sum(item.get("createdByAppId") == request.principal.app_id for item in held)

    live = ours(request.tenant.applications.values()) + ours(request.tenant.service_principals.values())
    if live + ours(request.tenant.deleted_items.values()) // 4 >= limit:
        raise GraphError("quota_exceeded")


def _checked(body: Document, known: Document, resource: str, held: Document | None) -> Document:
    """The properties of a body that may be written. Raises GraphError."""
    spelling = {name.lower(): name for name in known}
    properties: Document = {}
    for given, value in body.items():
        if "@odata." in given:
            continue
        name = spelling.get(given.lower())
        if name is None:
            raise GraphError("unknown_property", property=given, resource=resource)
        if name in _READ_ONLY:
            if value == (None if held is None else held.get(name)):
                continue
            if not (resource == "servicePrincipal" and held is None and name == "appId"):
                raise GraphError("read_only", property=name)
        default = known[name]
        wrong = (
            (isinstance(default, list) and not isinstance(value, list))
            or (isinstance(default, dict) and value is not None and not isinstance(value, dict))
            or (isinstance(default, bool) and not isinstance(value, bool))
            or (name in ("displayName", "uniqueName", "notes", "description") and not isinstance(value, str | None))
        )
        if wrong:
            raise GraphError("wrong_type", property=name, resource=resource)
        properties[name] = value
    _check_values(properties, resource)
    return properties


def _check_values(properties: Document, resource: str) -> None:
    name = properties.get("displayName", "x")
    if not name or len(name) > 256:
        raise GraphError("display_name_too_long", resource=resource)
    if properties.get("signInAudience", "AzureADMyOrg") not in _AUDIENCES:
        raise GraphError("invalid_value", property="signInAudience", resource=resource)
    if len(properties.get("notes") or "") > 1024:
        raise GraphError("invalid_value", property="notes", resource=resource)
    if any(not isinstance(tag, str) or len(tag) > 256 for tag in properties.get("tags", [])):
        raise GraphError("invalid_value", property="tags", resource=resource)
    declared = properties.get("requiredResourceAccess", [])
    if len(declared) > _RESOURCES_AT_MOST:
        raise GraphError("too_many_values", property="requiredResourceAccess", limit=_RESOURCES_AT_MOST)
    total = 0
    for entry in declared:
        accesses = entry.get("resourceAccess") if isinstance(entry, dict) else None
        if not isinstance(accesses, list) or not is_guid(entry.get("resourceAppId")):
            raise GraphError("invalid_value", property="requiredResourceAccess", resource=resource)
        for access in accesses:
            fits = isinstance(access, dict) and is_guid(access.get("id")) and access.get("type") in ("Role", "Scope")
            if not fits:
                raise GraphError("invalid_value", property="resourceAccess", resource=resource)
        total += len(accesses)
    if total > _PERMISSIONS_AT_MOST:
        raise GraphError("too_many_values", property="resourceAccess", limit=_PERMISSIONS_AT_MOST)


def _entitlements_disabled(app: Document, properties: Document) -> None:
    """An enabled role or scope is neither changed nor removed; it has to be disabled in a request before."""
    pairs = [(app["appRoles"], properties.get("appRoles"))]
    pairs.append((app["api"]["oauth2PermissionScopes"], (properties.get("api") or {}).get("oauth2PermissionScopes")))
    for held, wanted in pairs:
        if wanted is None:
            continue
        by_id = {entry.get("id"): entry for entry in wanted}
        for entry in held:
            new = by_id.get(entry.get("id"))
            only_disabled = new is not None and {**entry, "isEnabled": False} == {**entry, **new}
            if entry.get("isEnabled") and not only_disabled and (new is None or {**entry, **new} != entry):
                raise GraphError("enabled_entitlement")


# --- owners -----------------------------------------------------------------------------------------------------------


def _holder(request: Request, collection: str, key: Segment) -> Document:
    return request.application(key) if collection == "applications" else request.service_principal(key)


def _stored(request: Request, collection: str, document: Document) -> None:
    held = request.tenant.applications if collection == "applications" else request.tenant.service_principals
    held[document["id"]] = document


def _owner_routes(collection: str) -> None:
    @route("GET", f"{collection}/{{}}/owners", READ_APPS)
    def owners(request: Request, key: Segment) -> Answer:
        return listing(request, _owners(request, _holder(request, collection, key)), SERVICE_PRINCIPAL, typed=True)

    @route("GET", f"{collection}/{{}}/owners/$ref", READ_APPS)
    def owner_references(request: Request, key: Segment) -> Answer:
        found = _owners(request, _holder(request, collection, key))
        references = [{"@odata.id": f"{request.root}/directoryObjects/{owner['id']}"} for owner in found]
        context = f"{request.root}/$metadata#Collection($ref)"
        return Answer(200, {"@odata.context": context, "value": references})

    @route("POST", f"{collection}/{{}}/owners/$ref", WRITE_APPS)
    def add_owner(request: Request, key: Segment) -> Answer:
        holder = _holder(request, collection, key)
        request.may_write(holder)
        owner = referenced_id(request.body())
        people = {mailbox["ExternalDirectoryObjectId"] for mailbox in request.tenant.mailboxes.values()}
        if owner not in request.tenant.service_principals and owner not in people:
            raise GraphError("not_found", id=owner)
        if owner in holder["_owners"]:
            raise GraphError("reference_exists", property="owners")
        request.touch(holder)
        holder["_owners"].append(owner)
        _stored(request, collection, holder)
        return Answer(204)

    @route("DELETE", f"{collection}/{{}}/owners/{{}}/$ref", WRITE_APPS)
    def remove_owner(request: Request, key: Segment, owner: Segment) -> Answer:
        holder = _holder(request, collection, key)
        request.may_write(holder)
        if owner not in holder["_owners"]:
            raise GraphError("not_found", id=owner)
        request.touch(holder)
        holder["_owners"].remove(owner)
        _stored(request, collection, holder)
        return Answer(204)


# --- passwords and keys -----------------------------------------------------------------------------------------------


def _unlocked(request: Request, holder: Document, *properties: str) -> None:
    """An application may lock the credentials of its service principals. Raises GraphError."""
    app = directory.application_anywhere(request.world, request.tenant, holder["appId"])
    lock = (app or {}).get("servicePrincipalLockConfiguration") or {}
    if holder["id"] not in request.tenant.service_principals or not lock.get("isEnabled"):
        return
    parts = ("allProperties", "credentialsWithUsageVerify", "credentialsWithUsageSign")
    if properties and any(lock.get(part) for part in parts):
        raise GraphError("locked_property", property=properties[0])


def _password_routes(collection: str) -> None:
    @route("POST", f"{collection}/{{}}/addPassword", WRITE_APPS)
    def add_password(request: Request, key: Segment) -> Answer:
        holder = _holder(request, collection, key)
        request.may_write(holder)
        _unlocked(request, holder, "passwordCredentials")
        given = (request.body() if request.call.body.strip() else {}).get("passwordCredential") or {}
        if not isinstance(given, dict):
            raise GraphError("wrong_type", property="passwordCredential", resource="passwordCredential")
        start, end = _lifetime(request, given)
        _obey_policy(request, holder, start, end)
        request.touch(holder)
        value = _secret(request)
        password = directory.new_password(
            value,
            display_name=given.get("displayName"),
            start=directory.stamp(start),
            end=directory.stamp(end),
            usable_at=request.world.instant(request.world.profile.secret_usable_s),
        )
        password["_visible_at"] = request.newborn()
        password["customKeyIdentifier"] = given.get("customKeyIdentifier")
        holder["passwordCredentials"].append(password)
        _stored(request, collection, holder)
        shown = {name: held for name, held in password.items() if not name.startswith("_")}
        context = f"{request.root}/$metadata#microsoft.graph.passwordCredential"
        return Answer(200, {"@odata.context": context, **shown, "secretText": value})

    @route("POST", f"{collection}/{{}}/removePassword", WRITE_APPS)
    def remove_password(request: Request, key: Segment) -> Answer:
        holder = _holder(request, collection, key)
        request.may_write(holder)
        key_id = guid(request.body(), "keyId", "passwordCredential")
        found = next((p for p in holder["passwordCredentials"] if p["keyId"].lower() == key_id), None)
        if found is None or not request.visible(found):
            raise GraphError("password_not_found", key_id=key_id)
        request.touch(holder)
        holder["passwordCredentials"].remove(found)
        _stored(request, collection, holder)
        return Answer(204)

    @route("POST", f"{collection}/{{}}/addKey", None)
    def add_key(request: Request, key: Segment) -> Answer:
        # Rolling a key wants a proof signed with a certificate that the object already has, and no permission.
        _holder(request, collection, key)
        body = request.body()
        if not body.get("proof") or not isinstance(body.get("keyCredential"), dict):
            raise GraphError("add_key_proof")
        holder = _holder(request, collection, key)
        _check_proof(request, holder, str(body["proof"]))
        added = _keys(holder, [*({"keyId": k["keyId"]} for k in holder["keyCredentials"]), body["keyCredential"]])
        request.touch(holder)
        holder["keyCredentials"] = added
        _stored(request, collection, holder)
        context = f"{request.root}/$metadata#microsoft.graph.keyCredential"
        return Answer(200, {"@odata.context": context, **added[-1], "key": None})

    @route("POST", f"{collection}/{{}}/removeKey", None)
    def remove_key(request: Request, key: Segment) -> Answer:
        holder = _holder(request, collection, key)
        body = request.body()
        _check_proof(request, holder, str(body.get("proof") or ""))
        key_id = guid(body, "keyId", "keyCredential")
        found = next((k for k in holder["keyCredentials"] if k["keyId"].lower() == key_id), None)
        if found is None:
            raise GraphError("key_not_found", key_id=key_id)
        request.touch(holder)
        holder["keyCredentials"].remove(found)
        _stored(request, collection, holder)
        return Answer(204)


def _check_proof(request: Request, holder: Document, proof: str) -> None:
    import jwt
    from cryptography import x509

    for credential in holder["keyCredentials"]:
        certificate = x509.load_der_x509_certificate(base64.b64decode(credential["key"]))
        try:
            claims = jwt.decode(
                proof,
                t.cast("t.Any", certificate.public_key()),
                algorithms=["RS256", "PS256"],
                audience="00000002-0000-0000-c000-000000000000",
                options={"verify_exp": True},
            )
        except (jwt.PyJWTError, TypeError, ValueError, AttributeError):
            continue
        if str(claims.get("iss", "")).lower() == holder["id"]:
            return
    raise GraphError("add_key_proof")


def _lifetime(request: Request, given: Document) -> tuple[dt.datetime, dt.datetime]:
    now = request.world.clock.now()
    moments: dict[str, dt.datetime] = {}
    for name in ("startDateTime", "endDateTime"):
        if given.get(name) is not None:
            try:
                moments[name] = directory.parse_stamp(str(given[name]))
            except ValueError:
                raise GraphError("invalid_value", property=name, resource="passwordCredential") from None
    start = moments.get("startDateTime", now)
    end = moments.get("endDateTime", directory.two_years_after(start))
    if end <= start or end <= now:
        raise GraphError("credential_end")
    return start, end


def _obey_policy(request: Request, holder: Document, start: dt.datetime, end: dt.datetime) -> None:
    default = directory.password_restrictions(request.tenant)
    if holder["appId"] in default.get("exempt", []):
        return
    own = [one for one in directory.own_password_restrictions(request.tenant, holder) if one.get("enabled", True)]
    for restrictions in own or [default]:
        _obey_restrictions(request, restrictions, holder, start, end)


def _obey_restrictions(
    request: Request, restrictions: Document, holder: Document, start: dt.datetime, end: dt.datetime
) -> None:
    since = restrictions.get("restrict_for_apps_created_after")
    created = holder.get("createdDateTime")
    if since and created and directory.parse_stamp(created) < directory.parse_stamp(str(since)):
        return
    policy = request.world.texts["graph"]["app_management_policy_name"]
    if restrictions.get("secrets") == "forbidden":
        raise GraphError("credential_type_policy", policy=policy)
    longest = restrictions.get("max_lifetime_days")
    # A second of grace, as a client that asks for exactly the longest lifetime starts counting a moment earlier.
    if longest is not None and end - start > dt.timedelta(days=longest, seconds=1):
        raise GraphError("credential_lifetime_policy", policy=policy)


def _secret(request: Request) -> str:
    """Forty characters in the layout of today's secrets: three, ``8Q~``, and the rest."""
    import secrets

    first = "".join(secrets.choice(string.ascii_letters + string.digits) for _unused in range(3))
    value = f"{first}8Q~" + "".join(secrets.choice(_SECRET_ALPHABET) for _unused in range(34))
    request.world.issued.append(value)
    return value


def _kept_passwords(app: Document, given: list[t.Any]) -> list[Document]:
    """A PATCH may only drop secrets: new ones come from addPassword, old ones do not change."""
    held = {password["keyId"].lower(): password for password in app["passwordCredentials"]}
    kept = []
    for entry in given:
        password = held.get(str(entry.get("keyId")).lower()) if isinstance(entry, dict) else None
        if password is None:
            raise GraphError("new_password_by_action")
        for name in ("displayName", "startDateTime", "endDateTime"):
            if entry.get(name) is not None and entry[name] != password[name]:
                raise GraphError("key_not_updatable", key_id=password["keyId"])
        kept.append(password)
    return kept


def _keys(holder: Document, given: list[t.Any]) -> list[Document]:
    """The new keyCredentials: an entry without its key is an old one, kept by its keyId. Raises GraphError."""
    held = {key["keyId"].lower(): key for key in holder["keyCredentials"]}
    result = []
    for entry in given:
        if not isinstance(entry, dict):
            raise GraphError("invalid_value", property="keyCredentials", resource="keyCredential")
        old = held.get(str(entry.get("keyId")).lower())
        if entry.get("key") is None:
            if old is None:
                raise GraphError("invalid_value", property="key", resource="keyCredential")
            result.append(old)
            continue
        try:
            der = tenants.certificate_der(_pem_or_base64(entry["key"]))
        except (ValueError, binascii.Error, UnicodeDecodeError):
            raise GraphError("invalid_value", property="key", resource="keyCredential") from None
        result.append(tenants.key_credential(der, entry))
    return result


def _pem_or_base64(key: t.Any) -> str:
    """Clients send base64 of the DER form, some send base64 of the PEM text."""
    raw = base64.b64decode(str(key))
    return raw.decode() if raw.startswith(b"-----BEGIN") else str(key)


# --- federated credentials --------------------------------------------------------------------------------------------


@route("GET", "applications/{}/federatedIdentityCredentials", READ_APPS)
def list_federated(request: Request, key: Segment) -> Answer:
    return listing(request, _federated(request, request.application(key)), FEDERATED)


@route("POST", "applications/{}/federatedIdentityCredentials", WRITE_APPS)
def create_federated(request: Request, key: Segment, name: str | None = None) -> Answer:
    app = request.application(key)
    request.may_write(app)
    body = request.body()
    if name is not None:
        body["name"] = name
    for required in ("name", "issuer", "subject", "audiences"):
        if not body.get(required):
            raise GraphError("required_property", property=required, resource="FederatedIdentityCredential")
    for held in app["_federated"]:
        same = (held["issuer"], held["subject"]) == (body["issuer"], body["subject"])
        if same or held["name"].lower() == str(body["name"]).lower():
            raise GraphError("federated_exists", name=body["name"])
    if len(app["_federated"]) >= _FEDERATED_AT_MOST:
        raise GraphError("federated_limit")
    credential = {
        "id": str(uuid.uuid4()),
        **{name: body.get(name) for name in ("name", "issuer", "subject", "description", "audiences")},
        "_usable_at": request.world.instant(request.world.profile.secret_usable_s),
    }
    request.touch(app)
    app["_federated"].append(credential)
    request.tenant.applications[app["id"]] = app
    return entity(request, credential, FEDERATED, 201)


def _federated_one(request: Request, app: Document, which: Segment) -> Document:
    wanted = which.value if isinstance(which, Key) else which
    held: list[Document] = app["_federated"]
    found = next((c for c in held if wanted.lower() in (c["id"], c["name"].lower())), None)
    if found is None:
        raise GraphError("not_found", id=wanted)
    return found


@route("GET", "applications/{}/federatedIdentityCredentials/{}", READ_APPS)
def get_federated(request: Request, key: Segment, which: Segment) -> Answer:
    return entity(request, _federated_one(request, request.application(key), which), FEDERATED)


@route("PATCH", "applications/{}/federatedIdentityCredentials/{}", WRITE_APPS)
def update_federated(request: Request, key: Segment, which: Segment) -> Answer:
    app = request.application(key)
    request.may_write(app)
    try:
        credential = _federated_one(request, app, which)
    except GraphError:
        if request.prefers("create-if-missing") and isinstance(which, Key) and which.name.lower() == "name":
            return create_federated(request, key, which.value)
        raise
    body = request.body()
    if body.get("name", credential["name"]) != credential["name"]:
        raise GraphError("read_only", property="name")
    request.touch(app)
    credential |= {name: body[name] for name in ("issuer", "subject", "description", "audiences") if name in body}
    request.tenant.applications[app["id"]] = app
    return Answer(204)


@route("DELETE", "applications/{}/federatedIdentityCredentials/{}", WRITE_APPS)
def delete_federated(request: Request, key: Segment, which: Segment) -> Answer:
    app = request.application(key)
    request.may_write(app)
    app["_federated"].remove(_federated_one(request, app, which))
    request.tenant.applications[app["id"]] = app
    return Answer(204)


# --- service principals -----------------------------------------------------------------------------------------------


@route("GET", "servicePrincipals", READ_APPS)
def list_service_principals(request: Request) -> Answer:
    return listing(request, request.tenant.service_principals.values(), SERVICE_PRINCIPAL)


@route("GET", "servicePrincipals/$count", READ_APPS)
def count_service_principals(request: Request) -> Answer:
    return count(request, request.tenant.service_principals.values(), SERVICE_PRINCIPAL)


@route("POST", "servicePrincipals", WRITE_APPS)
def create_service_principal(request: Request, app_id: str | None = None) -> Answer:
    body = request.body() if request.call.body.strip() or app_id is None else {}
    if app_id is not None:
        body["appId"] = app_id
    wanted = guid(body, "appId", "ServicePrincipal")
    directory.sweep(request.world, request.tenant)
    holders = [*request.tenant.service_principals.values(), *request.tenant.deleted_items.values()]
    if any(holder["appId"] == wanted and holder.get("@odata.type") != directory.APPLICATION_TYPE for holder in holders):
        raise GraphError("sp_name_taken", app_id=wanted)
    app, properties, owner_tenant = _backing_application(request, wanted)
    if not request.has("Application.ReadWrite.All"):
        own = app is not None and app["id"] in request.tenant.applications
        if app is None or not own or request.principal.object_id not in app["_owners"]:
            raise GraphError("backing_application_local")
    if app is None:
        raise GraphError("no_backing_application", app_id=wanted)
    given = _checked(body, directory.SERVICE_PRINCIPAL_PROPERTIES, "servicePrincipal", None)
    given.pop("appId")
    for derived in ("passwordCredentials", "keyCredentials"):
        if given.pop(derived, None):
            raise GraphError("new_password_by_action")
    principal = directory.new_service_principal(
        request.tenant,
        app,
        {**properties, **given},
        created=directory.stamp(request.world.clock.now()),
        owner_tenant=owner_tenant,
    )
    principal["createdByAppId"] = request.principal.app_id
    principal["_owners"] = [request.principal.object_id]
    principal["_visible_at"] = request.newborn()
    request.tenant.service_principals[principal["id"]] = principal
    return entity(request, principal, SERVICE_PRINCIPAL, 201)


def _backing_application(request: Request, app_id: str) -> tuple[Document | None, Document, str]:
    """The application of a new service principal, properties of its own, and the tenant that owns it."""
    app = directory.application_anywhere(request.world, request.tenant, app_id)
    if app is not None and request.visible(app):
        home = next(tid for tid, tenant in request.world.tenants.items() if app["id"] in tenant.applications)
        return app, {}, home
    if app_id == EXCHANGE_APP_ID:
        definition = directory.resource_definitions()[app_id]
        first_party = {
            "appId": app_id,
            "displayName": definition["displayName"],
            "signInAudience": "AzureADMultipleOrgs",
        }
        names = [app_id, "https://outlook.office365.com", "https://outlook.office.com"]
        more = {key: definition[key] for key in ("appRoles", "oauth2PermissionScopes")}
        return first_party, {**more, "servicePrincipalNames": names}, tenants.MICROSOFT_TENANT
    return None, {}, ""


@route("GET", "servicePrincipals/{}", READ_APPS)
def get_service_principal(request: Request, key: Segment) -> Answer:
    return entity(request, request.service_principal(key), SERVICE_PRINCIPAL)


@route("PATCH", "servicePrincipals/{}", WRITE_APPS)
def update_service_principal(request: Request, key: Segment) -> Answer:
    try:
        principal = request.service_principal(key)
    except GraphError as missing:
        by_app_id = isinstance(key, Key) and key.name.lower() == "appid"
        if missing.key == "not_found" and by_app_id and request.prefers("create-if-missing"):
            assert isinstance(key, Key)
            return create_service_principal(request, key.value)
        raise
    request.may_write(principal)
    properties = _checked(request.body(), directory.SERVICE_PRINCIPAL_PROPERTIES, "servicePrincipal", principal)
    _unlocked(request, principal, *(name for name in ("passwordCredentials", "keyCredentials") if name in properties))
    if "passwordCredentials" in properties:
        properties["passwordCredentials"] = _kept_passwords(principal, properties["passwordCredentials"])
    if "keyCredentials" in properties:
        properties["keyCredentials"] = _keys(principal, properties["keyCredentials"])
    request.touch(principal)
    directory.merge(principal, properties)
    request.tenant.service_principals[principal["id"]] = principal
    return Answer(204)


@route("DELETE", "servicePrincipals/{}", WRITE_APPS)
def delete_service_principal(request: Request, key: Segment) -> Answer:
    principal = request.service_principal(key)
    request.may_write(principal)
    request.touch(principal)
    directory.delete_service_principal(request.world, request.tenant, principal)
    return Answer(204)


_owner_routes("applications")
_owner_routes("servicePrincipals")
_password_routes("applications")
_password_routes("servicePrincipals")


# --- application permissions ------------------------------------------------------------------------------------------


def _is_managed(request: Request, object_id: str) -> bool:
    held = request.tenant.service_principals.get(object_id) or {}
    return bool(held.get("servicePrincipalType") == "ManagedIdentity")


def _assignment_routes(relation: str, own_side: str, found: t.Callable[[Request, Document], list[Document]]) -> None:
    @route("GET", f"servicePrincipals/{{}}/{relation}", READ_GRANTS)
    def assignments(request: Request, key: Segment) -> Answer:
        rows = found(request, request.service_principal(key))
        if relation == "appRoleAssignedTo" and request.query.get("$top") != "999":
            # Managed identities have been seen to be left out unless a page of 999 is asked for.
            rows = [row for row in rows if not _is_managed(request, row["principalId"])]
        return listing(request, rows, ASSIGNMENT, largest=100 if relation == "appRoleAssignedTo" else None)

    @route("POST", f"servicePrincipals/{{}}/{relation}", WRITE_GRANTS)
    def assign(request: Request, key: Segment) -> Answer:
        own = request.service_principal(key)
        return _assign(request, own, own_side)

    @route("GET", f"servicePrincipals/{{}}/{relation}/{{}}", READ_GRANTS)
    def assignment(request: Request, key: Segment, which: Segment) -> Answer:
        return entity(request, _assignment(request, key, which), ASSIGNMENT)

    @route("DELETE", f"servicePrincipals/{{}}/{relation}/{{}}", WRITE_GRANTS)
    def unassign(request: Request, key: Segment, which: Segment) -> Answer:
        held = _assignment(request, key, which)
        request.tenant.app_role_assignments.pop(held["id"])
        return Answer(204)

    def _assignment(request: Request, key: Segment, which: Segment) -> Document:
        wanted = which.value if isinstance(which, Key) else which
        held = found(request, request.service_principal(key))
        match = next((a for a in held if a["id"] == wanted), None)
        if match is None:
            raise GraphError("not_found", id=wanted)
        return match


def _assign(request: Request, own: Document, own_side: str) -> Answer:
    if not request.has(*(READ_APPS - {"Application.ReadWrite.OwnedBy"})):
        raise GraphError("denied")
    body = request.body()
    ids = {name: guid(body, name, "AppRoleAssignment") for name in ("principalId", "resourceId", "appRoleId")}
    if ids[own_side] != own["id"]:
        raise GraphError("invalid_value", property=own_side, resource="AppRoleAssignment")
    held = request.tenant.service_principals
    client, resource = held.get(ids["principalId"]), held.get(ids["resourceId"])
    if client is None or not request.visible(client):
        raise GraphError("invalid_reference")
    if resource is None or not request.visible(resource):
        raise GraphError("not_found", id=ids["resourceId"])
    role = next((role for role in resource["appRoles"] if role["id"] == ids["appRoleId"]), None)
    unspecific = ids["appRoleId"] == directory.NO_ROLE and not resource["appRoles"]
    usable = role is not None and role.get("isEnabled", True) and "Application" in role["allowedMemberTypes"]
    if not usable and not unspecific:
        raise GraphError("assignment_not_found", app_id=resource["appId"])
    for existing in request.tenant.app_role_assignments.values():
        if all(existing[name] == value for name, value in ids.items()):
            raise GraphError("assignment_exists")
    made = directory.new_assignment(
        client, resource, ids["appRoleId"], created=directory.stamp(request.world.clock.now())
    )
    made["_in_token_at"] = request.world.instant(request.world.profile.grant_in_token_s)
    made["_visible_at"] = request.newborn()
    request.tenant.app_role_assignments[made["id"]] = made
    return entity(request, made, ASSIGNMENT, 201)


_assignment_routes("appRoleAssignments", "principalId", _assignments)
_assignment_routes("appRoleAssignedTo", "resourceId", _assigned_to)


# --- delegated permissions --------------------------------------------------------------------------------------------


@route("GET", "servicePrincipals/{}/oauth2PermissionGrants", READ_DELEGATED)
def grants_of(request: Request, key: Segment) -> Answer:
    return listing(request, _delegated(request, request.service_principal(key)), GRANT)


@route("GET", "oauth2PermissionGrants", READ_DELEGATED)
def list_grants(request: Request) -> Answer:
    return listing(request, request.tenant.oauth2_permission_grants.values(), GRANT)


@route("POST", "oauth2PermissionGrants", WRITE_DELEGATED)
def create_grant(request: Request) -> Answer:
    body = request.body()
    client_id, resource_id = (guid(body, name, "OAuth2PermissionGrant") for name in ("clientId", "resourceId"))
    consent = body.get("consentType")
    if consent not in ("AllPrincipals", "Principal"):
        raise GraphError("invalid_value", property="consentType", resource="OAuth2PermissionGrant")
    person = guid(body, "principalId", "OAuth2PermissionGrant") if consent == "Principal" else None
    scope = body.get("scope")
    if not isinstance(scope, str):
        raise GraphError("required_property", property="scope", resource="OAuth2PermissionGrant")
    held = request.tenant.service_principals
    for identifier in (client_id, resource_id):
        if identifier not in held:
            raise GraphError("not_found", id=identifier)
    for existing in request.tenant.oauth2_permission_grants.values():
        same = (client_id, resource_id, consent, person)
        if same == tuple(existing[name] for name in ("clientId", "resourceId", "consentType", "principalId")):
            raise GraphError("grant_exists")
    late = next((i for i in (client_id, resource_id) if not request.visible(held[i])), None)
    if late is not None and request.world.dice.random() < 0.5:
        raise GraphError("grant_principal_missing", id=late)
    grant = directory.new_oauth2_grant(client_id, resource_id, scope, consent_type=consent, principal_id=person)
    grant["_visible_at"] = request.newborn()
    request.tenant.oauth2_permission_grants[grant["id"]] = grant
    if late is not None:  # the service says that it failed, and has written all the same
        raise GraphError("grant_principal_missing", id=late)
    return entity(request, grant, GRANT, 201)


def _grant(request: Request, which: Segment) -> Document:
    wanted = which.value if isinstance(which, Key) else which
    grant = request.tenant.oauth2_permission_grants.get(wanted)
    if grant is None or not request.visible(grant):
        raise GraphError("not_found", id=wanted)
    return request.as_read(grant)


@route("GET", "oauth2PermissionGrants/{}", READ_DELEGATED)
def get_grant(request: Request, which: Segment) -> Answer:
    return entity(request, _grant(request, which), GRANT)


@route("PATCH", "oauth2PermissionGrants/{}", WRITE_DELEGATED)
def update_grant(request: Request, which: Segment) -> Answer:
    grant = _grant(request, which)
    body = request.body()
    for name, value in body.items():
        if name not in ("scope", "expiryTime") and grant.get(name) != value:
            raise GraphError("read_only", property=name)
    if not isinstance(body.get("scope"), str):
        raise GraphError("required_property", property="scope", resource="OAuth2PermissionGrant")
    request.touch(grant)
    grant["scope"] = body["scope"]
    request.tenant.oauth2_permission_grants[grant["id"]] = grant
    return Answer(204)


@route("DELETE", "oauth2PermissionGrants/{}", WRITE_DELEGATED)
def delete_grant(request: Request, which: Segment) -> Answer:
    request.tenant.oauth2_permission_grants.pop(_grant(request, which)["id"])
    return Answer(204)


# --- recycle bin ------------------------------------------------------------------------------------------------------


def _bin(request: Request, type_name: str) -> list[Document]:
    directory.sweep(request.world, request.tenant)
    return [item for item in request.tenant.deleted_items.values() if item["@odata.type"] == type_name]


@route("GET", "directory/deletedItems/application", READ_APPS)
def deleted_applications(request: Request) -> Answer:
    return listing(request, _bin(request, directory.APPLICATION_TYPE), APPLICATION)


@route("GET", "directory/deletedItems/servicePrincipal", READ_APPS)
def deleted_service_principals(request: Request) -> Answer:
    return listing(request, _bin(request, directory.SERVICE_PRINCIPAL_TYPE), SERVICE_PRINCIPAL)


@route("GET", "directory/deletedItems/user", READ_DIRECTORY | {"User.Read.All"})
@route("GET", "directory/deletedItems/group", READ_DIRECTORY | {"Group.Read.All"})
def deleted_others(request: Request) -> Answer:
    return listing(request, [], APPLICATION)


def _deleted(request: Request, which: Segment) -> Document:
    directory.sweep(request.world, request.tenant)
    wanted = which.value if isinstance(which, Key) else which
    item = request.tenant.deleted_items.get(wanted.lower())
    if item is None:
        raise GraphError("not_found", id=wanted)
    return item


def _kind_of(item: Document) -> t.Any:
    return APPLICATION if item["@odata.type"] == directory.APPLICATION_TYPE else SERVICE_PRINCIPAL


@route("GET", "directory/deletedItems/{}", READ_APPS)
def get_deleted(request: Request, which: Segment) -> Answer:
    item = _deleted(request, which)
    answer = entity(request, item, _kind_of(item))
    answer.body["@odata.type"] = item["@odata.type"]
    return answer


@route("POST", "directory/deletedItems/{}/restore", WRITE_APPS)
def restore_deleted(request: Request, which: Segment) -> Answer:
    item = _deleted(request, which)
    request.may_write(item)
    if item["@odata.type"] == directory.SERVICE_PRINCIPAL_TYPE:
        if directory.service_principal_of(request.tenant, item["appId"]) is not None:
            raise GraphError("sp_name_taken", app_id=item["appId"])
        own = item["appOwnerOrganizationId"] == request.tenant.id
        if own and directory.application_of(request.tenant, item["appId"]) is None:
            raise GraphError("no_backing_application", app_id=item["appId"])
    of = _kind_of(item)
    restored = directory.restore(request.tenant, item)
    restored["_visible_at"] = request.newborn()
    answer = entity(request, restored, of)
    answer.body["@odata.type"] = f"#microsoft.graph.{of.name}"
    return answer


@route("DELETE", "directory/deletedItems/{}", WRITE_APPS)
def purge_deleted(request: Request, which: Segment) -> Answer:
    item = _deleted(request, which)
    request.may_write(item)
    directory.purge(request.tenant, item)
    return Answer(204)
