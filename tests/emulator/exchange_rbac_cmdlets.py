# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cmdlets of RBAC for Applications, of rights on mailboxes, and of the switches for mail protocols."""

from __future__ import annotations

import re
import typing as t
import uuid

from . import circles, exchange_filter, exchange_rbac
from .exchange_cmdlets import (
    FLAG,
    ORGANIZATION,
    RECIPIENTS,
    ROLE_MANAGEMENT,
    SIZE,
    SWITCH,
    TEXT,
    VIEW,
    Call,
    CmdletError,
    Parameter,
    _app_id,
    _choices,
    _cmdlet,
    _cut,
    _flag,
    _flag_or_null,
    _missing,
    _must,
    _one,
    _text,
)
from .exchange_directory import (
    GROUP_TYPES,
    MAILBOX_TYPES,
    find_recipients,
    initial_domain,
    organizational_unit,
    timestamp,
)
from .exchange_directory import TEXTS as DIRECTORY_TEXTS
from .exchange_rbac import SELF, TEXTS
from .model import Document, public

DIRECTORY_TEXTS["errors"] |= TEXTS["errors"]
_GUID: t.Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _tail(call: Call, guid: str) -> Document:
    now = timestamp(call.world)
    names = ("WhenChanged", "WhenCreated", "WhenChangedUTC", "WhenCreatedUTC")
    return {"Guid": guid, "IsValid": True, "ObjectState": "Unchanged", **dict.fromkeys(names, now)}


def _checked_name(name: str) -> str:
    if not name.strip():
        raise CmdletError("empty_value", name="Name")
    if len(name) > TEXTS["limits"]["name"]:
        raise CmdletError("too_long", name="Name", limit=TEXTS["limits"]["name"], length=len(name))
    return name


# ---- service principals ---------------------------------------------------------------------------------------------


@_cmdlet(
    "New-ServicePrincipal",
    ROLE_MANAGEMENT,
    AppId=_must(_app_id),
    ObjectId=_must(_app_id),
    ServiceId=TEXT,
    DisplayName=TEXT,
)
def _new_service_principal(call: Call) -> list[Document]:
    given, tenant = call.given, call.tenant
    for pointer in tenant.exchange_service_principals.values():
        if given["AppId"] == pointer["AppId"] or given["ObjectId"] == pointer["ObjectId"]:
            raise CmdletError("pointer_exists", app_id=given["AppId"])
    if exchange_rbac.switch(tenant, "wrong_pointer_refused") and given["ObjectId"] not in tenant.service_principals:
        raise CmdletError("pointer_unfit", object_id=given["ObjectId"])
    made = exchange_rbac.new_pointer(
        call.world,
        tenant,
        app_id=given["AppId"],
        object_id=given["ObjectId"],
        display_name=given.get("DisplayName"),
    )
    return [_shown_pointer(made)]


@_cmdlet("Get-ServicePrincipal", VIEW, Identity=TEXT)
def _get_service_principal(call: Call) -> list[Document]:
    everything = list(call.tenant.exchange_service_principals.values())
    identity = call.given.get("Identity")
    if identity:
        found = exchange_rbac.find_pointer(call.tenant, identity)
        if found is not None:
            return [_shown_pointer(found)]
        unknown = exchange_rbac.switch(call.tenant, "unknown_service_principal", "404")
        if str(unknown) == "400":
            raise CmdletError("pointer_unknown", identity=identity, server=DIRECTORY_TEXTS["directory"]["server"])
        if unknown != "everything":
            raise _missing(identity)
    return [_shown_pointer(one) for one in everything]


@_cmdlet("Set-ServicePrincipal", ROLE_MANAGEMENT, Identity=_must(_text), DisplayName=TEXT)
def _set_service_principal(call: Call) -> list[Document]:
    pointer = _pointer(call, call.given["Identity"])
    if "DisplayName" not in call.given or call.given["DisplayName"] == pointer["DisplayName"]:
        call.warn("unchanged", identity=pointer["Identity"])
        return []
    pointer["DisplayName"] = call.given["DisplayName"] or ""
    call.tenant.exchange_service_principals[pointer["Guid"]] = pointer
    return []


@_cmdlet("Remove-ServicePrincipal", ROLE_MANAGEMENT, Identity=_must(_text))
def _remove_service_principal(call: Call) -> list[Document]:
    """Its role assignments go with it; rights on mailboxes stay behind, of a SID that nobody knows."""
    remove_pointer(call, _pointer(call, call.given["Identity"]))
    return []


def remove_pointer(call: Call, pointer: Document) -> None:
    for key, one in list(call.tenant.role_assignments.items()):
        if one["App"] == pointer["ObjectId"]:
            exchange_rbac.remove_assignment(call.world, call.tenant, key)
    del call.tenant.exchange_service_principals[pointer["Guid"]]


def _pointer(call: Call, identity: str) -> Document:
    found = exchange_rbac.find_pointer(call.tenant, identity)
    if found is None or not call.world.reached(found["_visible_at"]):
        raise _missing(identity)
    return found


def _shown_pointer(pointer: Document) -> Document:
    return {name: public(pointer[name]) for name in TEXTS["pointer"]["properties"]}


# ---- scopes ---------------------------------------------------------------------------------------------------------


@_cmdlet(
    "New-ManagementScope",
    ROLE_MANAGEMENT,
    Name=_must(_text),
    RecipientRestrictionFilter=TEXT,
    RecipientRoot=TEXT,
    Exclusive=SWITCH,
    Force=SWITCH,
)
def _new_management_scope(call: Call) -> list[Document]:
    _customized(call)
    name = _checked_name(call.given["Name"])
    if name.lower() in call.tenant.management_scopes:
        raise CmdletError("exists", identity=name)
    guid = str(uuid.uuid4())
    document: Document = {
        "Name": name,
        "Identity": name,
        "Id": name,
        "DistinguishedName": f"CN={name},CN=Scopes,CN=RBAC,{organizational_unit(call.tenant)}",
        "ScopeRestrictionType": "RecipientScope",
        "Exclusive": bool(call.given.get("Exclusive")),
        "RecipientRoot": call.given.get("RecipientRoot") or "",
        "RecipientFilter": _filter(call),
        **_tail(call, guid),
    }
    call.tenant.management_scopes[name.lower()] = document
    return [_shown_scope(document)]


@_cmdlet("Get-ManagementScope", VIEW, Identity=TEXT, Exclusive=FLAG, Orphan=SWITCH)
def _get_management_scope(call: Call) -> list[Document]:
    if call.given.get("Identity"):
        return [_shown_scope(_scope(call, call.given["Identity"]))]
    found = list(call.tenant.management_scopes.values())
    if "Exclusive" in call.given:
        found = [one for one in found if one["Exclusive"] == call.given["Exclusive"]]
    if call.given.get("Orphan"):
        used = {one["_scope"] for one in call.tenant.role_assignments.values()}
        found = [one for one in found if one["Name"].lower() not in used]
    return [_shown_scope(one) for one in found]


@_cmdlet(
    "Set-ManagementScope",
    ROLE_MANAGEMENT,
    Identity=_must(_text),
    Name=TEXT,
    RecipientRestrictionFilter=TEXT,
    RecipientRoot=TEXT,
    Force=SWITCH,
)
def _set_management_scope(call: Call) -> list[Document]:
    """No output: whoever wants to know reads again. In force for every assignment that uses the scope."""
    _customized(call)
    scope = _scope(call, call.given["Identity"])
    key = scope["Name"].lower()
    if "RecipientRestrictionFilter" in call.given:
        until = call.world.instant(call.world.profile.rbac_in_force_s)
        scope["_filters"] = [*scope.get("_filters", ()), {"filter": scope["RecipientFilter"], "until": until}]
        scope["RecipientFilter"] = _filter(call)
    name = call.given.get("Name")
    if name and name != scope["Name"]:
        if name.lower() != key and name.lower() in call.tenant.management_scopes:
            raise CmdletError("exists", identity=name)
        scope["Name"] = scope["Identity"] = scope["Id"] = _checked_name(name)
        call.tenant.management_scopes.pop(key)
        for assignment_key, one in list(call.tenant.role_assignments.items()):
            if one["_scope"] == key:
                one["_scope"], one["CustomResourceScope"] = name.lower(), name
                call.tenant.role_assignments[assignment_key] = one
    call.tenant.management_scopes[scope["Name"].lower()] = scope
    return []


@_cmdlet("Remove-ManagementScope", ROLE_MANAGEMENT, Identity=_must(_text), Force=SWITCH)
def _remove_management_scope(call: Call) -> list[Document]:
    scope = _scope(call, call.given["Identity"])
    if any(one["_scope"] == scope["Name"].lower() for one in call.tenant.role_assignments.values()):
        raise CmdletError("scope_in_use", identity=scope["Name"])
    del call.tenant.management_scopes[scope["Name"].lower()]
    return []


def _filter(call: Call) -> str:
    text = str(call.given.get("RecipientRestrictionFilter") or "")
    if not text.strip():
        raise CmdletError("scope_empty")
    try:
        exchange_filter.parse(text)
    except exchange_filter.FilterError as error:
        raise CmdletError("bad_filter", filter=text, position=error.position) from None
    return text if exchange_rbac.switch(call.tenant, "filters_as_sent") else exchange_rbac.as_read_back(text)


def _scope(call: Call, identity: str) -> Document:
    wanted = identity.lower()
    for key, scope in call.tenant.management_scopes.items():
        if wanted in (key, scope["Guid"].lower(), scope["DistinguishedName"].lower()):
            return scope
    raise _missing(identity)


def _shown_scope(scope: Document) -> Document:
    empty = dict.fromkeys(
        ("RecipientRestrictionFilter", "ServerFilter", "ServerRestrictionFilter", "DatabaseFilter"), ""
    )
    return {**public(scope), **empty}


# ---- roles and assignments ------------------------------------------------------------------------------------------


@_cmdlet("Get-ManagementRole", VIEW, Identity=TEXT, RoleType=TEXT, Cmdlet=TEXT, ResultSize=SIZE)
def _get_management_role(call: Call) -> list[Document]:
    rows = [
        {
            "Name": name,
            "Identity": name,
            "RoleType": re.sub(r"[ .]", "", name),
            "Description": f"Allows an application to use {', '.join(grants)}.",
            "Parent": "",
            "IsRootRole": True,
            "IsEndUserRole": False,
        }
        for name, grants in TEXTS["roles"].items()
    ]
    for key, property_name in (("Identity", "Name"), ("RoleType", "RoleType")):
        if call.given.get(key):
            rows = [row for row in rows if str(row[property_name]).lower() == call.given[key].lower()]
    if call.given.get("Identity") and not rows:
        raise _missing(call.given["Identity"])
    return _cut(call, rows)


_SCOPES: t.Final = ("CustomResourceScope", "RecipientAdministrativeUnitScope", "RecipientGroupScope")


@_cmdlet(
    "New-ManagementRoleAssignment",
    ROLE_MANAGEMENT,
    Name=TEXT,
    Role=_must(_text),
    App=_must(_text),
    CustomResourceScope=TEXT,
    RecipientAdministrativeUnitScope=TEXT,
    RecipientGroupScope=TEXT,
    Delegating=SWITCH,
    Force=SWITCH,
)
def _new_management_role_assignment(call: Call) -> list[Document]:
    """Without a scope it is for the whole organization, and nobody is warned."""
    given, tenant = call.given, call.tenant
    _customized(call, given["Role"])
    role = next((name for name in TEXTS["roles"] if name.lower() == given["Role"].lower()), None)
    if role is None:
        raise CmdletError("role_unfit", role=given["Role"])
    if role in (exchange_rbac.switch(tenant, "not_delegated_roles") or ()):
        raise CmdletError("not_delegated", role=role)
    pointer = _pointer(call, given["App"])
    scope = _assigned_scope(call)
    name = _checked_name(given.get("Name") or f"{role}-{pointer['ObjectId']}"[: TEXTS["limits"]["name"]])
    if name.lower() in tenant.role_assignments:
        raise CmdletError("exists", identity=name)
    document: Document = {
        "Name": name,
        "Identity": name,
        "Id": name,
        "Role": role,
        "App": pointer["ObjectId"],
        "RoleAssignee": pointer["ObjectId"],
        "RoleAssigneeName": pointer["DisplayName"] or pointer["AppId"],
        "RoleAssigneeType": "ServicePrincipal",
        "RoleAssignmentDelegationType": "Regular",
        "AssignmentMethod": "Direct",
        "Enabled": True,
        "RecipientReadScope": "Organization",
        "ConfigReadScope": "OrganizationConfig",
        "ConfigWriteScope": "OrganizationConfig",
        **scope,
        **_tail(call, str(uuid.uuid4())),
        "_in_force_at": call.world.instant(call.world.profile.rbac_in_force_s),
    }
    tenant.role_assignments[name.lower()] = document
    return [public(document)]


@_cmdlet(
    "Set-ManagementRoleAssignment",
    ROLE_MANAGEMENT,
    Identity=_must(_text),
    CustomResourceScope=TEXT,
    RecipientAdministrativeUnitScope=TEXT,
    RecipientGroupScope=TEXT,
    Enabled=Parameter(_flag),
    Force=SWITCH,
)
def _set_management_role_assignment(call: Call) -> list[Document]:
    """Null for a scope takes the scope away."""
    key, assignment = _assignment(call, call.given["Identity"])
    _customized(call, assignment["Role"])
    if any(name in call.given for name in _SCOPES):
        assignment |= _assigned_scope(call)
    if "Enabled" in call.given:
        assignment["Enabled"] = call.given["Enabled"]
    assignment["_in_force_at"] = call.world.instant(call.world.profile.rbac_in_force_s)
    call.tenant.role_assignments[key] = assignment
    return []


@_cmdlet(
    "Get-ManagementRoleAssignment",
    VIEW,
    Identity=TEXT,
    RoleAssignee=TEXT,
    Role=TEXT,
    RoleAssigneeType=TEXT,
    Enabled=FLAG,
    Delegating=FLAG,
    CustomRecipientWriteScope=TEXT,
)
def _get_management_role_assignment(call: Call) -> list[Document]:
    given = call.given
    if given.get("Identity"):
        return [public(_assignment(call, given["Identity"])[1])]
    found = list(call.tenant.role_assignments.values())
    if given.get("RoleAssignee"):
        pointer = exchange_rbac.find_pointer(call.tenant, given["RoleAssignee"])
        if pointer is None:
            raise _missing(given["RoleAssignee"])
        found = [one for one in found if one["App"] == pointer["ObjectId"]]
    if given.get("Role"):
        found = [one for one in found if one["Role"].lower() == given["Role"].lower()]
    if given.get("RoleAssigneeType"):
        found = [one for one in found if one["RoleAssigneeType"].lower() == given["RoleAssigneeType"].lower()]
    if given.get("Delegating"):
        found = _delegating(call)
        if given.get("Role"):
            found = [one for one in found if one["Role"].lower() == given["Role"].lower()]
        return found
    if "Enabled" in given:
        found = [one for one in found if one["Enabled"] == given["Enabled"]]
    return [public(one) for one in found]


def _delegating(call: Call) -> list[Document]:
    """Who may hand a role on: Organization Management, but for roles that it was never given in this tenant."""
    missing = exchange_rbac.switch(call.tenant, "not_delegated_roles") or ()
    return [
        {
            "Name": f"{name}-Organization Management-Delegating",
            "Role": name,
            "RoleAssignee": "Organization Management",
            "RoleAssigneeName": "Organization Management",
            "RoleAssigneeType": "RoleGroup",
            "RoleAssignmentDelegationType": "DelegatingOrgWide",
            "RecipientWriteScope": "Organization",
            "CustomResourceScope": None,
            "Enabled": True,
        }
        for name in TEXTS["roles"]
        if name not in missing
    ]


@_cmdlet("Remove-ManagementRoleAssignment", ROLE_MANAGEMENT, Identity=_must(_text), Force=SWITCH)
def _remove_management_role_assignment(call: Call) -> list[Document]:
    key, _unused = _assignment(call, call.given["Identity"])
    exchange_rbac.remove_assignment(call.world, call.tenant, key)
    return []


def _assignment(call: Call, identity: str) -> tuple[str, Document]:
    wanted = identity.lower()
    for key, one in call.tenant.role_assignments.items():
        if wanted in (key, one["Guid"].lower()):
            return key, one
    raise _missing(identity)


def _assigned_scope(call: Call) -> Document:
    """The properties that print an assignment's scope. A group is not printed as it was given."""
    given = {name: call.given[name] for name in _SCOPES if call.given.get(name)}
    if len(given) > 1:
        raise CmdletError("scopes_several")
    if not given:
        return {
            "CustomResourceScope": None,
            "RecipientWriteScope": "Organization",
            "CustomRecipientWriteScope": "",
            "_scope": None,
        }
    ((kind, name),) = given.items()
    if kind == "CustomResourceScope":
        scope = _scope(call, name)
        return {
            "CustomResourceScope": scope["Name"],
            "RecipientWriteScope": "CustomRecipientScope",
            "CustomRecipientWriteScope": "",
            "_scope": scope["Name"].lower(),
        }
    if kind == "RecipientAdministrativeUnitScope":
        unit = circles.unit_named(call.tenant, name)
        if unit is None:
            raise _missing(name)
        return {
            "CustomResourceScope": None,
            "RecipientWriteScope": "AdministrativeUnit",
            "CustomRecipientWriteScope": unit,
            "_scope": f"{circles.UNIT}{unit}",
        }
    group = _one(call, name, {*GROUP_TYPES, "GroupMailbox"})
    hidden = f"{group['Name']}_{group['Guid']}"
    call.tenant.management_scopes.setdefault(
        hidden.lower(),
        {
            "Name": hidden,
            "Identity": hidden,
            "Id": hidden,
            "DistinguishedName": hidden,
            "ScopeRestrictionType": "RecipientScope",
            "Exclusive": False,
            "RecipientRoot": "",
            "RecipientFilter": f"MemberOfGroup -eq '{group['DistinguishedName']}'",
            **_tail(call, str(uuid.uuid4())),
        },
    )
    return {
        "CustomResourceScope": group["Name"],
        "RecipientWriteScope": "Group",
        "CustomRecipientWriteScope": "",
        "_scope": hidden.lower(),
    }


def _customized(call: Call, role: str | None = None) -> None:
    """Raises CmdletError in a tenant that was never customized, and while one that was is not ready yet."""
    state = call.tenant.settings.get("customization") or {}
    if state.get("dehydrated"):
        raise CmdletError("dehydrated")
    if role is not None and not call.world.reached(state.get("ready_at")):
        raise CmdletError("not_delegated", role=role)


@_cmdlet("Enable-OrganizationCustomization", ORGANIZATION)
def _enable_organization_customization(call: Call) -> list[Document]:
    state = call.tenant.settings.get("customization") or {}
    if not state.get("dehydrated"):
        raise CmdletError("already_customized")
    ready = call.world.instant(call.world.profile.customization_s)
    call.tenant.settings["customization"] = {"dehydrated": False, "ready_at": ready}
    return []


@_cmdlet("Test-ServicePrincipalAuthorization", VIEW, Identity=_must(_text), Resource=TEXT)
def _test_service_principal_authorization(call: Call) -> list[Document]:
    """Reads the configuration, not what is in force."""
    pointer = _pointer(call, call.given["Identity"])
    mailbox = _one(call, call.given["Resource"], MAILBOX_TYPES) if call.given.get("Resource") else None
    rows = []
    for one in exchange_rbac.assignments_of(call.world, call.tenant, pointer):
        scope = exchange_rbac.scope_of(call.tenant, one)
        inside: t.Any = "Not Run" if mailbox is None else exchange_rbac.in_scope(call.tenant, scope, mailbox)
        rows.append(
            {
                "RoleName": one["Role"],
                "GrantedPermissions": ", ".join(TEXTS["roles"][one["Role"]]),
                "AllowedResourceScope": one["CustomResourceScope"] or "Organization",
                "ScopeType": one["RecipientWriteScope"],
                "InScope": inside,
            }
        )
    return rows


# ---- rights on mailboxes --------------------------------------------------------------------------------------------

_RIGHTS: t.Final = Parameter(
    _choices(
        "Microsoft.Exchange.Management.RecipientTasks.MailboxRights",
        *("FullAccess", "ReadPermission", "ChangePermission", "ChangeOwner", "DeleteItem", "ExternalAccount", "SendAs"),
    ),
    required=True,
)


def _obeyed_from(call: Call) -> float | None:
    """Rights count minutes later where the switch ``right_in_force_s`` says so."""
    delay = exchange_rbac.switch(call.tenant, "right_in_force_s")
    return call.world.clock.timestamp() + float(delay) if delay else None


def _trustee(call: Call, identity: str) -> tuple[str, str]:
    """(SID, the name that is printed) of a service principal or a recipient."""
    pointer = exchange_rbac.find_pointer(call.tenant, identity)
    if pointer is not None:
        form = exchange_rbac.switch(call.tenant, "trustee_form", "Name")  # [M]: how it is printed was seen nowhere
        return pointer["Sid"], str(pointer[form])
    found = find_recipients(call.tenant, identity, call.world)
    if len(found) != 1 or not found[0].get("Sid"):
        if identity.upper().startswith("S-1-5-21-"):
            return identity, identity
        raise CmdletError("trustee_unknown", identity=identity)
    return str(found[0]["Sid"]), str(found[0].get("UserPrincipalName") or found[0]["Name"])


@_cmdlet(
    "Add-MailboxPermission",
    RECIPIENTS,
    Identity=_must(_text),
    User=_must(_text),
    AccessRights=_RIGHTS,
    AutoMapping=FLAG,
    InheritanceType=TEXT,
    Deny=SWITCH,
)
def _add_mailbox_permission(call: Call) -> list[Document]:
    given = call.given
    mailbox = _one(call, given["Identity"], MAILBOX_TYPES)
    sid, user = _trustee(call, given["User"])
    held = [one for one in call.tenant.mailbox_permissions.values() if one["_mailbox"] == mailbox["Guid"]]
    if len(held) >= TEXTS["limits"]["entries"]:
        raise CmdletError("entries_too_many", identity=mailbox["Name"], limit=TEXTS["limits"]["entries"])
    new = exchange_rbac.put_right(
        call.tenant.mailbox_permissions,
        mailbox=mailbox["Guid"],
        sid=sid,
        rights=given["AccessRights"],
        deny=bool(given.get("Deny")),
        shown={"_user": user, "_inheritance": given.get("InheritanceType") or "All"},
        since=_obeyed_from(call),
    )
    if not new:
        call.warnings.append(TEXTS["warnings"]["entry_present"].format(mailbox=mailbox["Name"], user=user))
    return [row for row in _mailbox_rows(call, mailbox) if row["UserSid"] == sid]


@_cmdlet(
    "Get-MailboxPermission",
    RECIPIENTS,
    Identity=_must(_text),
    User=TEXT,
    Owner=SWITCH,
    IncludeUnresolvedPermissions=SWITCH,
    ResultSize=SIZE,
)
def _get_mailbox_permission(call: Call) -> list[Document]:
    mailbox = _one(call, call.given["Identity"], MAILBOX_TYPES)
    rows = _mailbox_rows(call, mailbox, unresolved=bool(call.given.get("IncludeUnresolvedPermissions")))
    if call.given.get("User"):
        sid, _unused = _trustee(call, call.given["User"])
        rows = [row for row in rows if row["UserSid"] == sid]
    return _cut(call, rows)


@_cmdlet(
    "Remove-MailboxPermission",
    RECIPIENTS,
    Identity=_must(_text),
    User=_must(_text),
    AccessRights=_RIGHTS,
    InheritanceType=TEXT,
    Deny=SWITCH,
)
def _remove_mailbox_permission(call: Call) -> list[Document]:
    """What is not there is a warning and no error."""
    mailbox = _one(call, call.given["Identity"], MAILBOX_TYPES)
    sid, user = _trustee(call, call.given["User"])
    gone = exchange_rbac.take_right(
        call.tenant.mailbox_permissions,
        mailbox=mailbox["Guid"],
        sid=sid,
        rights=call.given["AccessRights"],
        deny=bool(call.given.get("Deny")),
    )
    if not gone:
        call.warnings.append(TEXTS["warnings"]["entry_absent"].format(mailbox=mailbox["Name"], user=user))
    return []


def _mailbox_rows(call: Call, mailbox: Document, *, unresolved: bool = False) -> list[Document]:
    """Every mailbox has a row of its own owner, which is nobody's grant."""
    rows = [_row(mailbox, SELF, "S-1-5-10", ["FullAccess", "ReadPermission"], deny=False, inheritance="All")]
    known = {one["Sid"] for one in call.tenant.exchange_service_principals.values()}
    known |= {str(one.get("Sid")) for one in [*call.tenant.mailboxes.values(), *call.tenant.groups.values()]}
    for entry in call.tenant.mailbox_permissions.values():
        if entry["_mailbox"] != mailbox["Guid"]:
            continue
        resolved = entry["_sid"] in known
        if resolved or unresolved:
            user = entry["_user"] if resolved else entry["_sid"]
            rows.append(
                _row(
                    mailbox,
                    user,
                    entry["_sid"],
                    entry["_rights"],
                    deny=entry["_deny"],
                    inheritance=entry["_inheritance"],
                )
            )
    return rows


def _row(mailbox: Document, user: str, sid: str, rights: list[str], *, deny: bool, inheritance: str) -> Document:
    return {
        "Identity": mailbox["Name"],
        "User": user,
        "UserSid": sid,
        "AccessRights": list(rights),
        "Deny": deny,
        "InheritanceType": inheritance,
        "IsInherited": False,
        "IsOwner": user == SELF,
        "IsValid": True,
        "ObjectState": "Unchanged",
    }


_SEND_AS: t.Final = Parameter(
    _choices("Microsoft.Exchange.Management.RecipientTasks.RecipientAccessRight", "SendAs"), required=True
)


@_cmdlet("Add-RecipientPermission", RECIPIENTS, Identity=_must(_text), Trustee=_must(_text), AccessRights=_SEND_AS)
def _add_recipient_permission(call: Call) -> list[Document]:
    mailbox = _one(call, call.given["Identity"], MAILBOX_TYPES)
    sid, user = _trustee(call, call.given["Trustee"])
    new = exchange_rbac.put_right(
        call.tenant.recipient_permissions,
        mailbox=mailbox["Guid"],
        sid=sid,
        rights=["SendAs"],
        deny=False,
        shown={"_user": user},
        since=_obeyed_from(call),
    )
    if not new:
        call.warnings.append(TEXTS["warnings"]["entry_present"].format(mailbox=mailbox["Name"], user=user))
    return [
        row for row in _recipient_rows(call) if row["TrusteeSidString"] == sid and row["Identity"] == mailbox["Name"]
    ]


@_cmdlet("Get-RecipientPermission", RECIPIENTS, Identity=TEXT, Trustee=TEXT, AccessRights=TEXT, ResultSize=SIZE)
def _get_recipient_permission(call: Call) -> list[Document]:
    """Without a mailbox it answers for the whole tenant."""
    rows = _recipient_rows(call)
    if call.given.get("Identity"):
        mailbox = _one(call, call.given["Identity"], MAILBOX_TYPES)
        rows = [row for row in rows if row["Identity"] == mailbox["Name"]]
    if call.given.get("Trustee"):
        sid, _unused = _trustee(call, call.given["Trustee"])
        rows = [row for row in rows if row["TrusteeSidString"] == sid]
    return _cut(call, rows)


@_cmdlet("Remove-RecipientPermission", RECIPIENTS, Identity=_must(_text), Trustee=_must(_text), AccessRights=_SEND_AS)
def _remove_recipient_permission(call: Call) -> list[Document]:
    mailbox = _one(call, call.given["Identity"], MAILBOX_TYPES)
    sid, user = _trustee(call, call.given["Trustee"])
    gone = exchange_rbac.take_right(
        call.tenant.recipient_permissions, mailbox=mailbox["Guid"], sid=sid, rights=["SendAs"], deny=False
    )
    if not gone:
        call.warnings.append(TEXTS["warnings"]["entry_absent"].format(mailbox=mailbox["Name"], user=user))
    return []


def _recipient_rows(call: Call) -> list[Document]:
    return [
        {
            "Identity": call.tenant.mailboxes[entry["_mailbox"]]["Name"],
            "Trustee": entry["_user"],
            "AccessControlType": "Deny" if entry["_deny"] else "Allow",
            "AccessRights": list(entry["_rights"]),
            "IsInherited": False,
            "InheritanceType": "None",
            "TrusteeSidString": entry["_sid"],
        }
        for entry in call.tenant.recipient_permissions.values()
        if entry["_mailbox"] in call.tenant.mailboxes
    ]


# ---- switches of the mail protocols ---------------------------------------------------------------------------------


@_cmdlet("Get-TransportConfig", VIEW, Identity=TEXT)
def _get_transport_config(call: Call) -> list[Document]:
    settings = call.tenant.settings.get("transport_config") or {}
    return [
        {
            "Name": initial_domain(call.tenant),
            "Identity": "Transport Settings",
            "SmtpClientAuthenticationDisabled": settings.get("SmtpClientAuthenticationDisabled", True),
            "MessageExpiration": "1.00:00:00",
            "IsValid": True,
        }
    ]


@_cmdlet("Set-TransportConfig", ORGANIZATION, SmtpClientAuthenticationDisabled=Parameter(_flag_or_null))
def _set_transport_config(call: Call) -> list[Document]:
    settings = dict(call.tenant.settings.get("transport_config") or {})
    if "SmtpClientAuthenticationDisabled" in call.given:
        settings["SmtpClientAuthenticationDisabled"] = bool(call.given["SmtpClientAuthenticationDisabled"])
        call.tenant.settings["transport_config"] = settings
    return []
