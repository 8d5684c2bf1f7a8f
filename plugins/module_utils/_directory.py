# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Applications in Graph: how they are asked for, and how they are shown, for every resource that looks at them."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Graph, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import Offers

Json = dict[str, t.Any]

KEPT_DELETED = dt.timedelta(days=30)
ENTERPRISE_APPLICATION = "WindowsAzureActiveDirectoryIntegratedApp"
"""The tag by which the portal lists a service principal under "Enterprise applications"."""

APPLICATION_ADMIN = "an Application Administrator of the tenant"

SELECT = (
    "id,appId,displayName,uniqueName,signInAudience,notes,tags,createdByAppId,createdDateTime,deletedDateTime,"
    "requiredResourceAccess,passwordCredentials,keyCredentials,web,spa,publicClient"
)
BRIEF = "id,appId,displayName,uniqueName,signInAudience,createdByAppId,createdDateTime"
SERVICE_PRINCIPAL = (
    "id,appId,displayName,accountEnabled,createdByAppId,createdDateTime,tags,passwordCredentials,keyCredentials,"
    "replyUrls,appOwnerOrganizationId"
)


# --- asking --------------------------------------------------------------------------------------------------


def key_of(*, unique_name: str | None = None, app_id: str | None = None) -> str:
    """The path of one live application by one of its keys."""
    key = f"appId={_names.odata(app_id)}" if app_id else f"uniqueName={_names.odata(unique_name or '')}"
    return f"/applications({key})"


PROFILE_TAG = "mail2fax:profile="
"""Of a registration that was migrated: the profile that it is there for, since a unique name is written once."""


def tagged_call(profile: str) -> Call:
    """Applications that a migration has marked for this profile."""
    said = _names.odata(f"{PROFILE_TAG}{profile}")
    path = f"/applications?$filter=tags/any(t:t%20eq%20{said})&$select={BRIEF},tags"
    return Call("GET", path, "look for the application that was migrated to this profile")


def find_call(*, unique_name: str | None = None, app_id: str | None = None, select: str = SELECT) -> Call:
    """The part of a batch that reads one live application by one of its keys."""
    path = key_of(unique_name=unique_name, app_id=app_id)
    return Call("GET", f"{path}?$select={select}", "read the application")


def listed_call(app_id: str) -> Call:
    """The part of a batch that looks for a live application by a filter, which may see what its key does not."""
    path = f"/applications?$filter=appId%20eq%20{_names.odata(app_id)}&$select=id,appId"
    return Call("GET", path, "look for the application again")


def deleted_call(property_name: str, value: str) -> Call:
    """The part of a batch that looks for an application in the recycle bin."""
    return Call(
        "GET",
        f"/directory/deletedItems/microsoft.graph.application?$filter={property_name}%20eq%20{_names.odata(value)}"
        f"&$select={SELECT}",
        "look for the application in the recycle bin",
    )


def deleted_found(graph: Graph, part: Part, property_name: str, value: str) -> list[Json]:
    """The answer to ``deleted_call``; where the directory does not filter by that property, the bin is gone through.

    (30 days bound the recycle bin.)
    """
    if part.error is not None and part.status == 400:
        return [item for item in recycle_bin(graph) if item.get(property_name) == value]
    return list(part.value().get("value") or [])


def recycle_bin(graph: Graph) -> list[Json]:
    """All deleted applications."""
    path = f"/directory/deletedItems/microsoft.graph.application?$select={SELECT}&$top=200"
    return graph.items(path, "look into the recycle bin")


def named_call(display_name: str, *, select: str = BRIEF) -> Call:
    """The part of a batch that lists live applications of one display name."""
    return Call(
        "GET",
        f"/applications?$filter=displayName%20eq%20{_names.odata(display_name)}&$select={select}&$top=50",
        "look for other applications of the same name",
    )


def service_principal_calls(app_id: str) -> list[Call]:
    """The parts of a batch that read an application's service principal: the live one, and the deleted one."""
    key = _names.odata(app_id)
    return [
        Call(
            "GET",
            f"/servicePrincipals(appId={key})?$select={SERVICE_PRINCIPAL}",
            "read the application's service principal",
        ),
        Call(
            "GET",
            f"/directory/deletedItems/microsoft.graph.servicePrincipal?$filter=appId%20eq%20{key}&$select=id,appId",
            "look for the application's service principal in the recycle bin",
        ),
    ]


def owners_call(document: Json) -> Call:
    """The part of a batch that reads who owns an application that is known by its object id."""
    return Call("GET", f"/applications/{document['id']}/owners?$top=100", "read the application's owners")


def first(page: Json) -> Json | None:
    """The first item of a collection; None where it has none."""
    found = page.get("value") or []
    return found[0] if found else None


def all_items(graph: Graph, part: Part, purpose: str) -> list[Json]:
    """The items of a collection that came as a part of a batch, further pages fetched from Graph itself."""
    return graph.rest(part.value(), purpose)


# --- showing -------------------------------------------------------------------------------------------------


def brief(document: Json) -> Json:
    """An application in a list, enough for a person to choose by."""
    shown: Json = {
        "app_id": document.get("appId"),
        "object_id": document.get("id"),
        "display_name": document.get("displayName"),
        "unique_name": document.get("uniqueName"),
        "sign_in_audience": document.get("signInAudience"),
        "created_date_time": document.get("createdDateTime"),
        "created_by_app_id": document.get("createdByAppId"),
    }
    if document.get("owners") is not None:
        shown["owners"] = [owner_of(owner) for owner in document["owners"]]
    return shown


def owner_of(document: Json) -> Json:
    kind = str(document.get("@odata.type") or "").rpartition(".")[2]
    return {
        "id": document.get("id"),
        "type": kind or None,
        "display_name": document.get("displayName"),
        "user_principal_name": document.get("userPrincipalName"),
    }


def describe(document: Json, offers: Offers) -> Json:
    """An application as the modules return it."""
    redirect_uris = [
        uri
        for platform in ("web", "spa", "publicClient")
        for uri in (document.get(platform) or {}).get("redirectUris") or []
    ]
    return {
        "app_id": document.get("appId") or ZERO_GUID,
        "object_id": document.get("id") or ZERO_GUID,
        "display_name": document.get("displayName"),
        "unique_name": document.get("uniqueName"),
        "sign_in_audience": document.get("signInAudience"),
        "notes": document.get("notes"),
        "tags": sorted(document.get("tags") or []),
        "created_date_time": document.get("createdDateTime"),
        "created_by_app_id": document.get("createdByAppId"),
        "permissions": _permissions.declared(
            _permissions.from_required_access(document.get("requiredResourceAccess")), offers
        ),
        "redirect_uris": sorted(redirect_uris),
    }


def secrets_of(document: Json) -> list[Json]:
    """Metadata of the client secrets, the last to expire first. Never a value, nor the first characters of one."""
    secrets = [
        {
            "key_id": item.get("keyId"),
            "display_name": item.get("displayName"),
            "start_date_time": item.get("startDateTime"),
            "end_date_time": item.get("endDateTime"),
        }
        for item in document.get("passwordCredentials") or []
    ]
    return sorted(secrets, key=lambda item: (str(item["end_date_time"]), str(item["key_id"])), reverse=True)


def certificates_of(document: Json) -> list[Json]:
    """Metadata of the certificates, the last to expire first; never a key."""
    certificates = [
        {
            "key_id": item.get("keyId"),
            "display_name": item.get("displayName"),
            "type": item.get("type"),
            "usage": item.get("usage"),
            "thumbprint": item.get("customKeyIdentifier"),
            "start_date_time": item.get("startDateTime"),
            "end_date_time": item.get("endDateTime"),
        }
        for item in document.get("keyCredentials") or []
    ]
    return sorted(certificates, key=lambda item: (str(item["end_date_time"]), str(item["key_id"])), reverse=True)
