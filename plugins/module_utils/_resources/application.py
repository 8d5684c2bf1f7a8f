# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""An app registration and its service principal.

The application is found by one of its keys, ``uniqueName`` or ``appId``, and never by its display name.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _permissions, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    Blocked,
    Conflict,
    InvalidInput,
    NotFound,
    ServiceError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Graph, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import Offers, Wanted
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import NamedStep as Step
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

KEPT_DELETED = dt.timedelta(days=30)
ENTERPRISE_APPLICATION = "WindowsAzureActiveDirectoryIntegratedApp"
"""The tag by which the portal lists a service principal under "Enterprise applications"."""

AUDIENCES = ("AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount")
APPLICATION_ADMIN = "an Application Administrator of the tenant"

SELECT = (
    "id,appId,displayName,uniqueName,signInAudience,notes,tags,createdDateTime,deletedDateTime,requiredResourceAccess,"
    "passwordCredentials,keyCredentials,web,spa,publicClient"
)
BRIEF = "id,appId,displayName,uniqueName,signInAudience,createdDateTime"
SERVICE_PRINCIPAL = "id,appId,displayName,accountEnabled,createdDateTime,tags"


@dataclass(frozen=True)
class State:
    """What the tenant has, as Graph documents.

    ``deleted`` and ``deleted_service_principal`` lie in the recycle bin. ``namesakes`` are other live
    applications with the declared display name, looked up only where one would have to be created. ``holder`` is
    the live application that has the declared unique name where another one is adopted by app id.
    """

    application: Json | None = None
    deleted: Json | None = None
    namesakes: tuple[Json, ...] = ()
    holder: Json | None = None
    service_principal: Json | None = None
    deleted_service_principal: Json | None = None
    offers: Offers = field(default_factory=dict)


@dataclass(frozen=True)
class Desired:
    """The task's options. None means: not managed."""

    unique_name: str | None = None
    app_id: str | None = None
    display_name: str | None = None
    state: str = "present"
    permissions: tuple[Wanted, ...] | None = None
    exclusive_permissions: bool = True
    sign_in_audience: str = "AzureADMyOrg"
    notes: str | None = None
    tags: tuple[str, ...] | None = None
    on_deleted: str = "fail"
    on_namesake: str = "fail"
    service_principal: bool = True
    enabled: bool | None = None
    purge: bool = False
    release_service_principal: bool = False

    @property
    def called(self) -> str:
        """The application in words, for messages."""
        name = self.display_name or self.unique_name
        return repr(name) if name else f"with app id {self.app_id}"


# --- planning ------------------------------------------------------------------------------------------------


def plan(current: State, desired: Desired, now: dt.datetime) -> Plan:
    """Pure. Raises InvalidInput for a permission's name that the resource does not offer."""
    if desired.state == "released":
        return _released(current, desired)
    return _absent(current, desired, now) if desired.state == "absent" else _present(current, desired, now)


def _present(current: State, desired: Desired, now: dt.datetime) -> Plan:
    blocked = _permissions.missing_resource(desired.permissions or (), current.offers)
    wanted = _permissions.resolve(desired.permissions or (), current.offers)
    base, steps = current.application, list[Step]()
    result: Json = {}
    warnings: list[str] = []
    restored = False
    if base is None and current.deleted is not None:
        if desired.on_deleted == "fail":
            return _stopped(current, desired, blocked or in_recycle_bin(current.deleted, now))
        # Restoring an application may bring back its service principal with every grant it had, and a purged
        # one leaves it behind. A grant must not come into force before its scope does: away with it, first.
        if current.service_principal is not None:
            steps.append(_delete_service_principal(current.service_principal, desired))
            steps.append(_purge_service_principal(current.service_principal))
        if current.deleted_service_principal is not None:
            steps.append(_purge_service_principal(current.deleted_service_principal))
        if desired.on_deleted == "restore":
            base, restored = current.deleted, True
            steps.append(
                Step("restore", f"restore {desired.called} from the recycle bin", {"id": current.deleted["id"]})
            )
            result["old_secrets"] = secrets_of(current.deleted)
            warnings += _warn_of_secrets(result["old_secrets"])
        else:
            steps.append(_purge(current.deleted, desired))
    if base is None and desired.app_id is not None:
        return _stopped(current, desired, _unknown_app_id(desired))
    if base is None and current.namesakes and desired.on_namesake == "fail":
        return _stopped(current, desired, blocked or _ambiguous(current.namesakes, desired))
    if base is not None:
        blocked = blocked or _unique_name_conflict(base, current.holder, desired)
    if blocked is not None:
        return _stopped(current, desired, blocked)

    changes = _differences(base or {}, desired, wanted)
    if base is None:
        steps.append(Step("create", f"create the application {desired.called}", changes))
    elif changes:
        what = ", ".join(_PROPERTIES[name] for name in changes)
        steps.append(Step("update", f"set {what} of {desired.called}", {"id": base["id"], "properties": changes}))
    after = {**(base or {}), **changes}
    if base is None:
        after = {"uniqueName": desired.unique_name, **after}

    principal = None if restored or base is None else current.service_principal
    after_principal = principal
    if desired.service_principal and principal is None:
        if base is not None and not restored and current.deleted_service_principal is not None:
            steps.append(_purge_service_principal(current.deleted_service_principal))
        enabled = desired.enabled is not False
        steps.append(
            Step(
                "create_service_principal",
                f"create the service principal of {desired.called}",
                # A service principal that came back with its application has old grants: not ours.
                {"app_id": base["appId"] if base else None, "enabled": enabled, "anew": restored},
            )
        )
        after_principal = {"id": ZERO_GUID, "accountEnabled": enabled}
    elif principal is not None and desired.service_principal:
        if desired.enabled is not None and bool(principal.get("accountEnabled")) != desired.enabled:
            verb = "enable" if desired.enabled else "disable"
            steps.append(
                Step(
                    "enable_service_principal",
                    f"{verb} sign-in of {desired.called}",
                    {"id": principal["id"], "enabled": desired.enabled},
                )
            )
            after_principal = {**principal, "accountEnabled": desired.enabled}
        elif desired.enabled is None and principal.get("accountEnabled") is False:
            warnings.append(
                "Sign-in of the service principal is disabled, and stays so: set enabled=true to enable it."
            )
    names = [step.name for step in steps]
    return Plan(
        before=_shown(current.application, current.deleted, current.service_principal, current.offers),
        after=_shown(after, None, after_principal, current.offers),
        steps=steps,
        result={**result, **_result(after, after_principal, current.offers)},
        summary=_summary(desired, names, changes),
        warnings=warnings,
        added=_added(current, base, desired, wanted, "create_service_principal" in names),
    )


def _added(
    current: State, base: Json | None, desired: Desired, wanted: frozenset[_permissions.Permission], principal: bool
) -> Json:
    if base is None:
        return {"application": True}
    have = _permissions.from_required_access(base.get("requiredResourceAccess"))
    added: Json = {"service_principal": True} if principal else {}
    if wanted - have:
        added["permissions"] = _permissions.declared(wanted - have, current.offers)
    return {"app_id": str(base["appId"]).lower(), **added} if added else {}


def _released(current: State, desired: Desired) -> Plan:
    """The application is somebody else's and stays: of it goes what is listed, and no more."""
    document, principal = current.application, current.service_principal
    if document is None:
        return Plan(
            result={"application": None, "app_id": None, "service_principal_id": None},
            summary=f"{desired.called} does not exist",
        )
    have = _permissions.from_required_access(document.get("requiredResourceAccess"))
    listed = _permissions.resolve(desired.permissions or (), current.offers, disabled_too=True)
    steps: list[Step] = []
    said: list[str] = []
    after, after_principal = document, principal
    if listed & have:
        changes = {"requiredResourceAccess": _permissions.to_required_access(have - listed)}
        after = {**document, **changes}
        names = ", ".join(sorted(_permissions.name_of(item, current.offers) for item in listed & have))
        steps.append(
            Step("update", f"take {names} off {desired.called}", {"id": document["id"], "properties": changes})
        )
        said.append(f"{names} taken off")
    if desired.release_service_principal and principal is not None:
        steps.append(_delete_service_principal(principal, desired))
        said.append("service principal deleted")
        after_principal = None
    return Plan(
        before=_shown(document, None, principal, current.offers),
        after=_shown(after, None, after_principal, current.offers),
        steps=steps,
        result=_result(after, after_principal, current.offers),
        summary=f"{desired.called}: {'; '.join(said)}" if said else f"{desired.called} stays as it is",
    )


def _absent(current: State, desired: Desired, now: dt.datetime) -> Plan:
    steps: list[Step] = []
    result: Json = {"application": None, "app_id": None, "service_principal_id": None}
    document = current.application
    if document is not None:
        if current.service_principal is not None:
            # First, and by itself: with it go the grants, also where deleting the application would leave it.
            steps.append(_delete_service_principal(current.service_principal, desired))
        steps.append(Step("delete", f"delete the application {desired.called}", {"id": document["id"]}))
        result["app_id"] = document.get("appId")
    gone = document or current.deleted
    if gone is not None and desired.purge:
        result["app_id"] = gone.get("appId")
        for principal in (current.service_principal if document else None, current.deleted_service_principal):
            if principal is not None:
                steps.append(_purge_service_principal(principal))
        steps.append(_purge(gone, desired))
    elif gone is not None:
        deleted_at = now if document is not None else moment(gone.get("deletedDateTime"))
        if deleted_at is not None:
            result["recoverable_until"] = timestamp(deleted_at + KEPT_DELETED)
    if any(step.name in ("delete", "purge") for step in steps):
        summary = f"{desired.called} deleted" + (" for good" if desired.purge else "")
    else:
        summary = f"{desired.called} does not exist"
    after = None if desired.purge else current.deleted
    return Plan(
        before=_shown(document, current.deleted, current.service_principal, current.offers),
        after={"application": "in the recycle bin"}
        if document is not None and not desired.purge
        else _shown(None, after, None, current.offers),
        steps=steps,
        result=result,
        summary=summary,
    )


_PROPERTIES = {
    "uniqueName": "unique_name",
    "displayName": "display_name",
    "signInAudience": "sign_in_audience",
    "notes": "notes",
    "tags": "tags",
    "requiredResourceAccess": "permissions",
}
"""Graph's properties that are managed, with the option that declares each."""


def _differences(base: Json, desired: Desired, wanted: frozenset[_permissions.Permission]) -> Json:
    """The properties to write, Graph's names."""
    changes: Json = {}
    if desired.unique_name is not None and base and base.get("uniqueName") is None:
        changes["uniqueName"] = desired.unique_name
    if desired.display_name is not None and base.get("displayName") != desired.display_name:
        changes["displayName"] = desired.display_name
    if base.get("signInAudience") != desired.sign_in_audience:
        changes["signInAudience"] = desired.sign_in_audience
    if desired.notes is not None and (base.get("notes") or "") != desired.notes:
        changes["notes"] = desired.notes
    if desired.tags is not None and set(base.get("tags") or []) != set(desired.tags):
        changes["tags"] = sorted(set(desired.tags))
    if desired.permissions is not None:
        have = _permissions.from_required_access(base.get("requiredResourceAccess"))
        target = wanted if desired.exclusive_permissions else wanted | have
        if target != have:
            changes["requiredResourceAccess"] = _permissions.to_required_access(target)
    return changes


def _delete_service_principal(principal: Json, desired: Desired) -> Step:
    return Step(
        "delete_service_principal", f"delete the service principal of {desired.called}", {"id": principal["id"]}
    )


def _purge_service_principal(principal: Json) -> Step:
    return Step(
        "purge_service_principal",
        "remove the deleted service principal and its old grants from the recycle bin",
        {"id": principal["id"]},
    )


def _purge(document: Json, desired: Desired) -> Step:
    return Step("purge", f"remove {desired.called} from the recycle bin", {"id": document["id"]})


def _summary(desired: Desired, steps: list[str], changes: Json) -> str:
    if "create" in steps:
        return f"{desired.called} created" + (" in place of a deleted one" if "purge" in steps else "")
    parts = []
    if "restore" in steps:
        parts.append("restored")
    if "update" in steps:
        parts.append("set " + ", ".join(_PROPERTIES[name] for name in changes))
    if "create_service_principal" in steps:
        parts.append("service principal created")
    if "enable_service_principal" in steps:
        parts.append("sign-in enabled" if desired.enabled else "sign-in disabled")
    return f"{desired.called}: {'; '.join(parts)}" if parts else f"{desired.called} is as declared"


def _stopped(current: State, desired: Desired, blocked: Blocked) -> Plan:
    before = _shown(current.application, current.deleted, current.service_principal, current.offers)
    known = current.application
    result: Json = {"app_id": known.get("appId") if known else desired.app_id}
    return Plan(before=before, after=before, result=result, summary=blocked.message, blocked=blocked)


# --- reasons to stop -----------------------------------------------------------------------------------------


def in_recycle_bin(document: Json, now: dt.datetime) -> Blocked:
    deleted_at = moment(document.get("deletedDateTime"))
    until = ""
    if deleted_at is not None:
        left = max(0, (deleted_at + KEPT_DELETED - now).days)
        until = f" since {deleted_at.date().isoformat()}, with {left} {'day' if left == 1 else 'days'} left"
    return Blocked(
        f"{document.get('displayName')!r} (app id {document.get('appId')}) lies in the recycle bin{until}; "
        "its unique name stays taken that long",
        cure="set on_deleted=restore to bring it back with its app id, on_deleted=purge to remove it for good and make "
        "a new one with a new app id, or choose another unique_name",
        who=APPLICATION_ADMIN,
        details={
            "deleted": {
                **brief(document),
                "deleted_date_time": document.get("deletedDateTime"),
                "recoverable_until": timestamp(deleted_at + KEPT_DELETED) if deleted_at else None,
            }
        },
    )


def _unknown_app_id(desired: Desired) -> Blocked:
    return Blocked(
        f"this tenant has no application registration with app id {desired.app_id}, neither live nor deleted",
        cure="check the Application (client) ID, which is neither the object id nor a secret's id, and that tenant is "
        "the one where the application is registered; or leave app_id out and set unique_name to make a new one",
        who=APPLICATION_ADMIN,
    )


def _ambiguous(namesakes: t.Sequence[Json], desired: Desired) -> Blocked:
    found = [brief(item) for item in sorted(namesakes, key=lambda item: str(item.get("createdDateTime") or ""))]
    listed = "; ".join(_in_words(item) for item in found)
    several = len(found) > 1
    return Blocked(
        f"{len(found)} other {'applications are' if several else 'application is'} already called "
        f"{desired.display_name!r}: {listed}",
        cure="set app_id to the one to adopt, or on_namesake=ignore to create another of the same name, or choose "
        "another display_name",
        who=APPLICATION_ADMIN,
        details={"namesakes": found},
    )


def _in_words(item: Json) -> str:
    owners = ", ".join(str(owner.get("display_name")) for owner in item.get("owners") or [])
    return (
        f"app id {item['app_id']}, created {str(item['created_date_time'] or 'at an unknown time')[:10]}, "
        f"unique name {item['unique_name'] or 'none'}" + (f", owned by {owners}" if owners else "")
    )


def _unique_name_conflict(base: Json, holder: Json | None, desired: Desired) -> Blocked | None:
    if desired.unique_name is None:
        return None
    has = base.get("uniqueName")
    if has is not None and has != desired.unique_name:
        return Blocked(
            f"the application {base.get('appId')} has the unique name {has!r} already, and a unique name never changes",
            cure=f"set unique_name to {has!r}, or leave it out",
            details={"application": brief(base)},
        )
    if has is None and holder is not None and holder.get("id") != base.get("id"):
        return Blocked(
            f"the unique name {desired.unique_name!r} belongs to another application, {holder.get('displayName')!r} "
            f"(app id {holder.get('appId')})",
            cure="choose another unique_name, or leave app_id out to manage that one",
            details={"application": brief(holder)},
        )
    return None


def _warn_of_secrets(secrets: t.Sequence[Json]) -> list[str]:
    if not secrets:
        return []
    listed = ", ".join(f"{item['display_name'] or 'unnamed'} (until {item['end_date_time']})" for item in secrets)
    return [
        f"The application came back with its old client secrets, whose values others may know: {listed}. "
        "Make a new one and remove these."
    ]


# --- shapes --------------------------------------------------------------------------------------------------


def brief(document: Json) -> Json:
    """An application in a list, enough for a person to choose by."""
    shown: Json = {
        "app_id": document.get("appId"),
        "object_id": document.get("id"),
        "display_name": document.get("displayName"),
        "unique_name": document.get("uniqueName"),
        "sign_in_audience": document.get("signInAudience"),
        "created_date_time": document.get("createdDateTime"),
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


def moment(text: t.Any) -> dt.datetime | None:
    """A Graph timestamp; None when there is none. Python takes at most six of the seven decimals."""
    if not isinstance(text, str) or not text:
        return None
    whole, _point, fraction = text.rstrip("Z").partition(".")
    digits = (fraction + "000000")[:6]
    try:
        return dt.datetime.fromisoformat(f"{whole}.{digits}").replace(tzinfo=dt.UTC)
    except ValueError:
        return None


def timestamp(value: dt.datetime) -> str:
    return value.astimezone(dt.UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _result(document: Json, principal: Json | None, offers: Offers) -> Json:
    application = describe(document, offers)
    return {
        "application": application,
        "app_id": application["app_id"],
        "service_principal_id": principal.get("id") if principal else None,
    }


def _shown(document: Json | None, deleted: Json | None, principal: Json | None, offers: Offers) -> Json:
    """One side of the diff: the options' names, no ids, nothing that changes by itself."""
    if document is None:
        return {"application": "absent" if deleted is None else "in the recycle bin"}
    described = describe(document, offers)
    required = _permissions.from_required_access(document.get("requiredResourceAccess"))
    enabled = None if principal is None else principal.get("accountEnabled") is not False
    return {
        "application": "present",
        **{name: described[name] for name in ("unique_name", "display_name", "sign_in_audience", "notes", "tags")},
        "permissions": _permissions.lines(required, offers),
        "service_principal": "absent" if enabled is None else ("enabled" if enabled else "disabled"),
    }


# --- the resource --------------------------------------------------------------------------------------------


def find_call(*, unique_name: str | None = None, app_id: str | None = None, select: str = SELECT) -> Call:
    """The part of a batch that reads one live application by one of its keys."""
    key = f"appId={_names.odata(app_id)}" if app_id else f"uniqueName={_names.odata(unique_name or '')}"
    return Call("GET", f"/applications({key})?$select={select}", "read the application")


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


class Application:
    """The resource behind ``entra_application``."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        self._tenant = tenant
        self._desired = _desired(task.params)
        self._made: Json | None = None  # the documents of our own writes, for reads that a replica may still hide
        self._principal: Json | None = None
        self._awaited = False
        self._purged = False
        self._came_back: Plan | None = None

    # reading

    def read(self) -> State:
        """One batch; a second one when there is an application whose service principal has to be looked at.

        After an own create or restore it waits until a replica shows the application: "not there" would be a lie.
        """
        seen: list[State] = []

        def look() -> bool:
            seen.append(self._look())
            return not self._awaited or any((seen[-1].application, seen[-1].deleted))

        self._tenant.patiently(look)
        return seen[-1]

    def _look(self) -> State:
        desired = self._desired
        present = desired.state == "present"
        names = desired.state != "absent"
        declared = [item.app_id for item in desired.permissions or ()] if names else []
        calls = {"application": find_call(unique_name=desired.unique_name, app_id=desired.app_id)}
        if desired.app_id:
            calls["deleted"] = deleted_call("appId", desired.app_id)
            calls["principal"], calls["deleted_principal"] = service_principal_calls(desired.app_id)
            if desired.unique_name and present:
                calls["holder"] = find_call(unique_name=desired.unique_name, select=BRIEF)
        else:
            calls["deleted"] = deleted_call("uniqueName", desired.unique_name or "")
            if present and desired.display_name:
                calls["namesakes"] = named_call(desired.display_name)
        calls |= {app_id: _permissions.read_call(app_id) for app_id in declared}
        parts = self._batch(calls, "read the application")

        application = parts["application"].found()
        key = ("appId", desired.app_id) if desired.app_id else ("uniqueName", desired.unique_name or "")
        deleted = next(iter(deleted_found(self._tenant.graph, parts["deleted"], *key)), None)
        offers = _permissions.offers_from(parts[app_id].found() for app_id in declared)
        namesakes: list[Json] = []
        if application is None and (deleted is None or desired.on_deleted == "purge") and "namesakes" in parts:
            namesakes = list(parts["namesakes"].value().get("value") or [])
        holder = parts["holder"].found() if "holder" in parts else None
        principals = {name: parts[name] for name in ("principal", "deleted_principal") if name in parts}

        document = application or deleted
        further: dict[str, Call] = {}
        if document is not None and not principals:
            further["principal"], further["deleted_principal"] = service_principal_calls(str(document["appId"]))
        if document is not None and names:
            required = _permissions.from_required_access(document.get("requiredResourceAccess"))
            # Only for their names, and only where others have added permissions of a resource nobody declared.
            further |= {
                app_id: _permissions.read_call(app_id)
                for app_id in sorted({item.resource for item in required} - set(offers))
            }
        if namesakes and desired.on_namesake == "fail":
            for item in namesakes:
                further[f"owners {item['id']}"] = owners_call(item)
        if further:
            parts = self._batch(further, "read what belongs to the application")
            principals = {
                **principals,
                **{name: parts[name] for name in ("principal", "deleted_principal") if name in parts},
            }
            offers |= _permissions.offers_from(
                part.found() for name, part in parts.items() if name in further and _names.is_guid(name)
            )
            for item in namesakes:
                owners = parts.get(f"owners {item['id']}")
                if owners is not None and (listed := _tolerant(owners)) is not None:
                    item["owners"] = list(listed.get("value") or [])
        return State(
            application=application,
            deleted=deleted,
            namesakes=tuple(namesakes),
            holder=holder,
            service_principal=principals["principal"].found() if principals else None,
            deleted_service_principal=self._first(principals["deleted_principal"].value()) if principals else None,
            offers=offers,
        )

    def _batch(self, calls: dict[str, Call], purpose: str) -> dict[str, Part]:
        return dict(zip(calls, self._tenant.graph.batch(list(calls.values()), purpose=purpose), strict=True))

    @staticmethod
    def _first(page: Json) -> Json | None:
        found = page.get("value") or []
        return found[0] if found else None

    def plan(self, current: State) -> Plan:
        planned = plan(current, self._desired, self._tenant.clock.now())
        if "old_secrets" in planned.result:
            self._came_back = planned
        elif self._came_back is not None:
            # Planned anew after the restore's answer was lost: what came back with it still has to be told.
            planned.result["old_secrets"] = self._came_back.result["old_secrets"]
            planned.warnings = [*self._came_back.warnings, *planned.warnings]
        return planned

    # doing

    def perform(self, step: Step) -> None:
        getattr(self, f"_{step.name}")(step)

    def _create(self, step: Step) -> None:
        desired = self._desired
        graph = self._tenant.graph
        path = f"/applications(uniqueName={_names.odata(desired.unique_name or '')})"
        made: list[Json | None] = []
        refused: list[ServiceError] = []

        def accepted() -> bool:
            try:
                made.append(graph.upsert(path, step.arguments, step.title))
            except ServiceError as exc:
                if not _texts.says(exc.message, _texts.GRAPH_NAME_TAKEN):
                    raise
                refused.append(exc)
            return bool(made)

        self._awaited = True
        # A deleted application that was removed for good a moment ago may still hold the unique name.
        if not self._tenant.patiently(accepted, budget_s=None if self._purged else 0.0):
            self._awaited = False
            raise self._explained(refused[-1]) from None
        # No document: the application was there by then, made by a lost first try of ours or by somebody else.
        self._made = made[0] or graph.get(f"{path}?$select={SELECT}", "read the application back", patient=True)

    def _update(self, step: Step) -> None:
        try:
            self._tenant.graph.patch(f"/applications/{step.arguments['id']}", step.arguments["properties"], step.title)
        except ServiceError as exc:
            raise self._explained(exc) from None

    def _explained(self, exc: ServiceError) -> ServiceError | Blocked:
        """A unique name that is taken though nobody live has it: by a deleted application that the read missed."""
        if not _texts.says(exc.message, _texts.GRAPH_NAME_TAKEN):
            return exc
        for document in recycle_bin(self._tenant.graph):
            if document.get("uniqueName") == self._desired.unique_name:
                return in_recycle_bin(document, self._tenant.clock.now())
        return Conflict(
            f"the unique name {self._desired.unique_name!r} is taken by another application",
            attempted=exc.attempted,
            status=exc.status,
            code=exc.code,
            request_id=exc.request_id,
            cure="run again in a minute: somebody may just have made it; else choose another unique_name",
        )

    def _restore(self, step: Step) -> None:
        self._awaited = True
        try:
            self._tenant.graph.post(f"/directory/deletedItems/{step.arguments['id']}/restore", None, step.title)
        except NotFound:
            # Restored by a first try of ours or by somebody else, or purged: only a look can tell.
            raise AnswerLost("it left the recycle bin meanwhile", attempted=step.title, cure="run again") from None

    def _delete(self, step: Step) -> None:
        self._tenant.graph.delete(f"/applications/{step.arguments['id']}", step.title)

    def _delete_service_principal(self, step: Step) -> None:
        self._tenant.graph.delete(f"/servicePrincipals/{step.arguments['id']}", step.title)

    def _purge(self, step: Step) -> None:
        # What was deleted a moment ago may take a while to show up in the recycle bin.
        graph, path = self._tenant.graph, f"/directory/deletedItems/{step.arguments['id']}"
        if not self._tenant.patiently(lambda: graph.delete(path, step.title), budget_s=self._in_bin_s()):
            raise Conflict(
                "it is not in the recycle bin",
                attempted=step.title,
                cure="look into the portal under App registrations, Deleted applications, then run again",
            )
        self._purged = True

    def _purge_service_principal(self, step: Step) -> None:
        # Deleting an application may or may not leave its service principal here, so its absence is no error.
        graph, path = self._tenant.graph, f"/directory/deletedItems/{step.arguments['id']}"
        self._tenant.patiently(lambda: graph.delete(path, step.title), budget_s=min(self._in_bin_s(), 20.0))

    def _in_bin_s(self) -> float:
        return min(self._tenant.patience_s, 60.0)

    def _create_service_principal(self, step: Step) -> None:
        app_id = str(step.arguments["app_id"] or (self._made or {})["appId"])
        body: Json = {"appId": app_id, "tags": [ENTERPRISE_APPLICATION]}
        if not step.arguments["enabled"]:
            body["accountEnabled"] = False
        graph = self._tenant.graph
        try:
            self._principal = graph.post("/servicePrincipals", body, step.title, patient=True)
            return
        except Conflict as exc:
            if not _texts.says(exc.message, _texts.GRAPH_SERVICE_PRINCIPAL_EXISTS):
                raise
        in_the_way: list[tuple[Json | None, Json | None]] = []

        def shows() -> bool:
            live, deleted = graph.batch(
                service_principal_calls(app_id), purpose="find the service principal in the way"
            )
            in_the_way.append((live.found(), self._first(deleted.value())))
            return any(in_the_way[-1])

        if not self._tenant.patiently(shows):
            raise Conflict(
                "Entra says that it exists, and shows none, neither live nor in the recycle bin",
                attempted=step.title,
                cure="run again in some minutes",
            )
        found, binned = in_the_way[-1]
        if found is not None and not step.arguments["anew"]:
            return  # a lost first try of ours, or somebody else's: settle() looks at it
        if found is not None:
            graph.delete(
                f"/servicePrincipals/{found['id']}", "delete the service principal that came back with old grants"
            )
        binned = found or binned or {}
        self._purge(Step("purge", "remove the old service principal from the recycle bin", {"id": binned["id"]}))
        self._principal = graph.post("/servicePrincipals", body, step.title, patient=True)

    def _enable_service_principal(self, step: Step) -> None:
        self._tenant.graph.patch(
            f"/servicePrincipals/{step.arguments['id']}", {"accountEnabled": step.arguments["enabled"]}, step.title
        )

    def settle(self, plan: Plan) -> Json:
        names = [step.name for step in plan.steps]
        if self._made is not None and names and names[-1] == "create_service_principal" and self._principal is not None:
            # Both documents came with the answers to the creates: there is nothing to look up.
            return self._settled(State(application=self._made, service_principal=self._principal), plan)
        seen: list[tuple[State, Plan]] = []

        def arrived() -> bool:
            state = self.read()
            again = self.plan(state)
            seen.append((state, again))
            return not again.steps and again.blocked is None

        if not self._tenant.patiently(arrived):
            left = "; ".join(step.title for step in seen[-1][1].steps) or str(seen[-1][1].blocked)
            raise Conflict(
                f"Entra does not show the change yet, or somebody undid it; still to do: {left}",
                attempted=f"read the application {self._desired.called} back",
                cure="run again in some minutes, and look whether another tool manages this application too",
            )
        if self._desired.state == "absent":
            return {}
        return self._settled(seen[-1][0], plan)

    def _settled(self, state: State, plan: Plan) -> Json:
        offers = state.offers
        if not offers and plan.result.get("application"):
            # Ours is new, so its permissions are the planned ones, with their names.
            values = _result(state.application or {}, state.service_principal, {})
            values["application"]["permissions"] = plan.result["application"]["permissions"]
            return values
        return _result(state.application or {}, state.service_principal, offers)


def owners_call(document: Json) -> Call:
    return Call(
        "GET",
        f"/applications/{document['id']}/owners?$top=100",
        "read the application's owners",
    )


def _tolerant(part: Part) -> Json | None:
    """Owners only help a person to choose: None when the operator may not read them or the application just went."""
    if isinstance(part.error, NotFound):
        return None
    return part.allowed()


def _desired(params: t.Mapping[str, t.Any]) -> Desired:
    """The options, checked. Raises InvalidInput."""
    present = params["state"] == "present"
    desired = Desired(
        unique_name=_names.name(params["unique_name"], "unique_name", 256)
        if params["unique_name"] is not None
        else None,
        app_id=_names.guid(params["app_id"], "app_id") if params["app_id"] is not None else None,
        display_name=_names.name(params["display_name"], "display_name", 256)
        if params["display_name"] is not None
        else None,
        state=params["state"],
        permissions=_permissions.parse(params["permissions"]),
        exclusive_permissions=params["exclusive_permissions"],
        sign_in_audience=params["sign_in_audience"],
        notes=params["notes"],
        tags=tuple(params["tags"]) if params["tags"] is not None else None,
        on_deleted=params["on_deleted"],
        on_namesake=params["on_namesake"],
        service_principal=params["service_principal"],
        enabled=params["enabled"],
        purge=params["purge"],
        release_service_principal=params["release_service_principal"],
    )
    if desired.app_id == ZERO_GUID:
        raise InvalidInput("app_id is all zeros, which no application has", cure="give the Application (client) ID")
    if present and desired.app_id is None and desired.display_name is None:
        raise InvalidInput(
            "display_name is missing, and a new application needs one", cure="set display_name beside unique_name"
        )
    if present and desired.app_id and desired.on_deleted == "purge":
        raise InvalidInput(
            "on_deleted=purge does not go with app_id: an app id that was removed for good cannot be had again",
            cure="set on_deleted=restore, or leave app_id out to make a new application",
        )
    if present and desired.purge:
        raise InvalidInput(
            "purge goes only with state=absent",
            cure="for a deleted application that is in the way set on_deleted=purge",
        )
    if desired.notes is not None and len(desired.notes) > 1024:
        raise InvalidInput(f"notes has {len(desired.notes)} characters; Graph takes at most 1024", cure="shorten it")
    for tag in desired.tags or ():
        _names.name(tag, "tags", 256)
    return desired


SPEC = ArgumentSpec(
    {
        "unique_name": {"type": "str"},
        "app_id": {"type": "str"},
        "display_name": {"type": "str"},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent", "released"]},
        "permissions": {"type": "list", "elements": "dict", "options": _permissions.OPTIONS},
        "exclusive_permissions": {"type": "bool", "default": True},
        "sign_in_audience": {"type": "str", "default": "AzureADMyOrg", "choices": list(AUDIENCES)},
        "notes": {"type": "str"},
        "tags": {"type": "list", "elements": "str"},
        "on_deleted": {"type": "str", "default": "fail", "choices": ["fail", "restore", "purge"]},
        "on_namesake": {"type": "str", "default": "fail", "choices": ["fail", "ignore"]},
        "service_principal": {"type": "bool", "default": True},
        "enabled": {"type": "bool"},
        "purge": {"type": "bool", "default": False},
        "release_service_principal": {"type": "bool", "default": False},
    },
    required_one_of=[["unique_name", "app_id"]],
)
DOOR = Door(Application, SPEC)
