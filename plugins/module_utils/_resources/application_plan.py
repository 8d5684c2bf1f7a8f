# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What has to be done to an application and its service principal: a pure function, used by the preflight as well.

The application is found by one of its keys, ``uniqueName`` or ``appId``, and never by its display name.
"""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import (
    _accesses,
    _added,
    _directory,
    _ownership,
    _permissions,
    _time,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._directory import APPLICATION_ADMIN, KEPT_DELETED, brief
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.module_utils._ownership import Access
from ansible_collections.mail2fax.m365.plugins.module_utils._permissions import Offers
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.application_state import (
    AnyStep,
    Create,
    CreatePrincipal,
    Delete,
    DeletePrincipal,
    Desired,
    EnablePrincipal,
    Purge,
    PurgePrincipal,
    Restore,
    State,
    Update,
)

__all__ = [
    "LOCKED",
    "in_recycle_bin",
    "plan",
    "result_of",
]

LOCKED: Json = {"isEnabled": True, "allProperties": True}
"""No credentials on the service principal, which a portal does not show: they belong on the application."""


# --- planning ------------------------------------------------------------------------------------------------


def plan(current: State, desired: Desired, now: dt.datetime) -> Plan:
    """Pure. Raises InvalidInput for a permission's name that the resource does not offer."""
    another = None if current.gone else _ownership.identify(desired.identity, current.application or current.deleted)
    if another is not None:
        return _stopped(current, desired, another)
    if desired.state == "released":
        return _released(current, desired)
    return _absent(current, desired, now) if desired.state == "absent" else _present(current, desired, now)


def _present(current: State, desired: Desired, now: dt.datetime) -> Plan:
    blocked = _permissions.missing_resource(desired.permissions or (), current.offers)
    blocked = blocked or _accesses.beyond(
        desired.permissions or (),
        desired.extra_permissions,
        desired.accesses,
        wide_accepted=bool(desired.accepts_tenant_wide),
    )
    wanted = _permissions.resolve(desired.permissions or (), current.offers)
    base, steps = current.application, list[AnyStep]()
    result: Json = {}
    warnings: list[str] = []
    restored = False
    if base is None and current.deleted is not None:
        if desired.on_deleted == "fail":
            return _stopped(current, desired, blocked or in_recycle_bin(current.deleted, now))
        if desired.on_deleted == "restore":
            blocked = blocked or _claimed(current.deleted, Access(current.deleted), desired, now)
        # Restoring an application may bring back its service principal with every grant it had, and a purged
        # one leaves it behind. A grant must not come into force before its scope does: away with it, first.
        if current.service_principal is not None:
            steps.append(_delete_service_principal(current.service_principal, desired))
            steps.append(_purge_service_principal(current.service_principal))
        if current.deleted_service_principal is not None:
            steps.append(_purge_service_principal(current.deleted_service_principal))
        if desired.on_deleted == "restore":
            base, restored = current.deleted, True
            steps.append(Restore(f"restore {desired.called} from the recycle bin", current.deleted["id"]))
            result["old_secrets"] = _directory.secrets_of(current.deleted)
            warnings += _warn_of_secrets(result["old_secrets"])
        else:
            steps.append(_purge(current.deleted, desired))
    if base is None and desired.app_id is not None:
        return _stopped(current, desired, _unknown_app_id(desired))
    if base is None and current.namesakes and desired.on_namesake == "fail":
        return _stopped(current, desired, blocked or _ambiguous(current.namesakes, desired))
    if base is not None:
        blocked = blocked or _held_by_others(base, desired) or _unique_name_conflict(base, current.holder, desired)
    if current.application is not None:
        blocked = blocked or _claimed(current.application, current.access, desired, now)
    if blocked is not None:
        return _stopped(current, desired, blocked)

    if desired.trust is not None and current.access is not None:
        others = _ownership.strangers(current.access, desired.trust, now) if desired.trust.adopting else []
        result["accepted"] = [{"kind": item.kind, "id": item.id} for item in others]
        if others:
            warnings.append(f"{_ownership.taken_over(others, desired.called)}.")
    changes = _differences(base or {}, desired, wanted)
    if base is None:
        changes["servicePrincipalLockConfiguration"] = LOCKED
        steps.append(Create(f"create the application {desired.called}", changes))
    elif changes:
        what = ", ".join(_PROPERTIES[name] for name in changes)
        steps.append(Update(f"set {what} of {desired.called}", base["id"], changes))
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
            CreatePrincipal(
                f"create the service principal of {desired.called}",
                app_id=base["appId"] if base else None,
                enabled=enabled,
                anew=restored,  # one that came back with its application has old grants: not ours
            )
        )
        after_principal = {"id": ZERO_GUID, "accountEnabled": enabled}
    elif principal is not None and desired.service_principal:
        if desired.enabled is not None and bool(principal.get("accountEnabled")) != desired.enabled:
            verb = "enable" if desired.enabled else "disable"
            steps.append(EnablePrincipal(f"{verb} sign-in of {desired.called}", principal["id"], desired.enabled))
            after_principal = {**principal, "accountEnabled": desired.enabled}
        elif desired.enabled is None and principal.get("accountEnabled") is False:
            warnings.append(
                "Sign-in of the service principal is disabled, and stays so: set enabled=true to enable it."
            )
    return Plan(
        before=_shown(current.application, current.deleted, current.service_principal, current.offers),
        after=_shown(after, None, after_principal, current.offers),
        steps=steps,
        result={**result, **result_of(after, after_principal, current.offers)},
        summary=_summary(desired, steps, changes),
        warnings=warnings,
        added=_what_is_added(current, base, desired, changes, steps),
    )


def _what_is_added(
    current: State, base: Json | None, desired: Desired, changes: Json, steps: t.Sequence[AnyStep]
) -> list[Json]:
    """What was not there before; of a thing of others also what was set otherwise, with what it was."""
    if base is None:
        return [_added.entry("application", None, None)]
    app_id = str(base["appId"]).lower()
    entries: list[Json] = []
    if any(isinstance(step, CreatePrincipal) for step in steps):
        entries.append(_added.entry("service_principal", app_id, app_id))
    have = _permissions.from_required_access(base.get("requiredResourceAccess"))
    target = _permissions.from_required_access(
        changes.get("requiredResourceAccess", base.get("requiredResourceAccess"))
    )
    entries += _added.permissions("permission", app_id, _permissions.declared(target - have, current.offers))
    if _is_of_others(base, desired):
        before = {**base, "requiredResourceAccess": _permissions.declared(have, current.offers)}
        entries += [
            _added.entry("setting", app_id, _PROPERTIES[name], before=before.get(name))
            for name in changes
            if name != "requiredResourceAccess" or have - target
        ]
        entries += [
            _added.entry("setting", app_id, "enabled", before=not step.enabled)
            for step in steps
            if isinstance(step, EnablePrincipal)
        ]
    return entries


def _is_ours(document: Json, desired: Desired) -> bool:
    """Whether the application was made by us: by Entra's mark, or, without one, by our record and our unique name."""
    trust = desired.trust
    if trust is None:
        return False
    recorded = str(document.get("appId") or "").lower() == trust.recorded_app_id
    named = desired.identity.has_name(document)
    return _ownership.is_ours(document, trust) or (not document.get("createdByAppId") and recorded and named)


def _is_of_others(document: Json, desired: Desired) -> bool:
    """Whether it is adopted by its id, or was made by somebody else."""
    return desired.app_id is not None or not _is_ours(document, desired)


def _held_by_others(document: Json, desired: Desired) -> Blocked | None:
    """The reason to stop where others made the application that has our unique name, in whichever capitals."""
    if desired.trust is None or not desired.identity.by_name(document):
        return None
    app_id = str(document.get("appId") or "").lower()
    if desired.app_id == app_id or (desired.taken_back and app_id == desired.trust.recorded_app_id):
        return None
    return _ownership.foreign_holder(document, desired.trust)


def _claimed(document: Json, access: Access | None, desired: Desired, now: dt.datetime) -> Blocked | None:
    """The reason to stop where the application is not ours, or not only ours."""
    if desired.trust is None:
        return None
    blocked = _held_by_others(document, desired)
    if blocked is not None:
        return blocked
    if access is None or desired.taken_back or desired.trust.adopting:
        return None
    return _ownership.intruded(_ownership.strangers(access, desired.trust, now), f"{document.get('displayName')!r}")


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
    steps: list[AnyStep] = []
    said: list[str] = []
    after, after_principal = document, principal
    if listed & have:
        changes = {"requiredResourceAccess": _permissions.to_required_access(have - listed)}
        after = {**document, **changes}
        names = ", ".join(sorted(_permissions.name_of(item, current.offers) for item in listed & have))
        steps.append(Update(f"take {names} off {desired.called}", document["id"], changes))
        said.append(f"{names} taken off")
    if desired.release_service_principal and principal is not None:
        steps.append(_delete_service_principal(principal, desired))
        said.append("service principal deleted")
        after_principal = None
    return Plan(
        before=_shown(document, None, principal, current.offers),
        after=_shown(after, None, after_principal, current.offers),
        steps=steps,
        result=result_of(after, after_principal, current.offers),
        summary=f"{desired.called}: {'; '.join(said)}" if said else f"{desired.called} stays as it is",
    )


def _absent(current: State, desired: Desired, now: dt.datetime) -> Plan:
    steps: list[AnyStep] = []
    result: Json = {"application": None, "app_id": None, "service_principal_id": None}
    document = current.application
    if document is not None:
        blocked = _claimed(document, None, desired, now) or _not_made_here(document, desired)
        if blocked is not None:
            return _stopped(current, desired, blocked)
        if current.service_principal is not None:
            # First, and by itself: with it go the grants, also where deleting the application would leave it.
            steps.append(_delete_service_principal(current.service_principal, desired))
        steps.append(Delete(f"delete the application {desired.called}", document["id"]))
        result["app_id"] = document.get("appId")
    elif current.deleted is None and current.service_principal is not None:
        # An application that was removed for good may leave its service principal behind, with every grant.
        steps.append(_delete_service_principal(current.service_principal, desired))
        result["app_id"] = current.service_principal.get("appId")
    gone = document or current.deleted
    if gone is not None and desired.purge:
        result["app_id"] = gone.get("appId")
        for principal in (current.service_principal if document else None, current.deleted_service_principal):
            if principal is not None:
                steps.append(_purge_service_principal(principal))
        steps.append(_purge(gone, desired))
    elif gone is not None:
        deleted_at = now if document is not None else _time.instant(gone.get("deletedDateTime"))
        if deleted_at is not None:
            result["recoverable_until"] = _time.iso(deleted_at + KEPT_DELETED)
    if any(isinstance(step, (Delete, Purge)) for step in steps):
        summary = f"{desired.called} deleted" + (" for good" if desired.purge else "")
    elif steps:
        summary = f"{desired.called} does not exist; the service principal that it left behind deleted"
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
    theirs = bool(base) and desired.declared is not None and _is_of_others(base, desired)

    def said(option: str) -> bool:
        """Of an application that others made, only what the inventory itself says is changed."""
        return not theirs or option in (desired.declared or ())

    adopted = desired.app_id is not None or not base
    if desired.unique_name is not None and base and base.get("uniqueName") is None and adopted and said("unique_name"):
        changes["uniqueName"] = desired.unique_name
    if desired.display_name is not None and base.get("displayName") != desired.display_name and said("display_name"):
        changes["displayName"] = desired.display_name
    if base.get("signInAudience") != desired.sign_in_audience and said("sign_in_audience"):
        changes["signInAudience"] = desired.sign_in_audience
    if desired.notes is not None and (base.get("notes") or "") != desired.notes and said("notes"):
        changes["notes"] = desired.notes
    if desired.tags is not None and set(base.get("tags") or []) != set(desired.tags) and said("tags"):
        changes["tags"] = sorted(set(desired.tags))
    if desired.permissions is not None:
        have = _permissions.from_required_access(base.get("requiredResourceAccess"))
        target = wanted if desired.exclusive_permissions and said("exclusive_permissions") else wanted | have
        if target != have:
            changes["requiredResourceAccess"] = _permissions.to_required_access(target)
    return changes


def _delete_service_principal(principal: Json, desired: Desired) -> DeletePrincipal:
    return DeletePrincipal(f"delete the service principal of {desired.called}", principal["id"])


def _purge_service_principal(principal: Json) -> PurgePrincipal:
    return PurgePrincipal(
        "remove the deleted service principal and its old grants from the recycle bin", principal["id"]
    )


def _purge(document: Json, desired: Desired) -> Purge:
    return Purge(f"remove {desired.called} from the recycle bin", document["id"])


def _summary(desired: Desired, steps: t.Sequence[AnyStep], changes: Json) -> str:
    kinds = {type(step) for step in steps}
    if Create in kinds:
        return f"{desired.called} created" + (" in place of a deleted one" if Purge in kinds else "")
    parts = []
    if Restore in kinds:
        parts.append("restored")
    if Update in kinds:
        parts.append("set " + ", ".join(_PROPERTIES[name] for name in changes))
    if CreatePrincipal in kinds:
        parts.append("service principal created")
    if EnablePrincipal in kinds:
        parts.append("sign-in enabled" if desired.enabled else "sign-in disabled")
    return f"{desired.called}: {'; '.join(parts)}" if parts else f"{desired.called} is as declared"


def _stopped(current: State, desired: Desired, blocked: Blocked) -> Plan:
    before = _shown(current.application, current.deleted, current.service_principal, current.offers)
    known = current.application
    result: Json = {"app_id": known.get("appId") if known else desired.app_id}
    return Plan(before=before, after=before, result=result, summary=blocked.message, blocked=blocked)


# --- reasons to stop -----------------------------------------------------------------------------------------


def in_recycle_bin(document: Json, now: dt.datetime) -> Blocked:
    deleted_at = _time.instant(document.get("deletedDateTime"))
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
                "recoverable_until": _time.iso(deleted_at + KEPT_DELETED) if deleted_at else None,
            }
        },
    )


def _not_made_here(document: Json, desired: Desired) -> Blocked | None:
    """A record alone does not make an application ours: one that was adopted is released, and stays."""
    named = desired.identity.has_name(document)
    if desired.app_id is not None or named or not desired.identity.from_record or _is_ours(document, desired):
        return None
    return Blocked(
        f"{document.get('displayName')!r} (app id {document.get('appId')}), which the record names, was made by others "
        "and adopted, so it is not deleted",
        cure=f"set app_id to {document.get('appId')}, and state=released to take back what was added to it",
        who=APPLICATION_ADMIN,
        details={"application": brief(document)},
        options=("app_id", "state"),
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
    if not desired.identity.says("unique_name"):
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


def result_of(document: Json, principal: Json | None, offers: Offers) -> Json:
    application = _directory.describe(document, offers)
    return {
        "application": application,
        "app_id": application["app_id"],
        "service_principal_id": principal.get("id") if principal else None,
    }


def _shown(document: Json | None, deleted: Json | None, principal: Json | None, offers: Offers) -> Json:
    """One side of the diff: the options' names, no ids, nothing that changes by itself."""
    if document is None:
        return {"application": "absent" if deleted is None else "in the recycle bin"}
    described = _directory.describe(document, offers)
    required = _permissions.from_required_access(document.get("requiredResourceAccess"))
    enabled = None if principal is None else principal.get("accountEnabled") is not False
    return {
        "application": "present",
        **{name: described[name] for name in ("unique_name", "display_name", "sign_in_audience", "notes", "tags")},
        "permissions": _permissions.lines(required, offers),
        "service_principal": "absent" if enabled is None else ("enabled" if enabled else "disabled"),
    }
