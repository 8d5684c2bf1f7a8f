# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each cmdlet takes, does and prints. Parameters are bound as PowerShell binds them; failures are CmdletError."""

from __future__ import annotations

import json
import re
import typing as t
import uuid
from dataclasses import dataclass, field

from . import circles, exchange_filter
from .exchange_directory import (
    EWS_SETTINGS,
    GROUP_TYPES,
    MAILBOX_TYPES,
    ORGANIZATION_MANAGEMENT,
    RECIPIENT_TYPES,
    SECURITY_GROUP,
    SECURITY_PRINCIPALS,
    TEXTS,
    by_address,
    change_members,
    derived_alias,
    distinguished_name,
    find_recipients,
    initial_domain,
    is_admin,
    is_alias,
    manager_names,
    members_as,
    new_group,
    new_policy,
    organization_config,
    organizational_unit,
    policy_identity,
    policy_verdict,
    recipient,
    recipients,
    remove_policy,
    set_ews,
    touch,
)
from .model import Document, Tenant, World, public


class CmdletError(Exception):
    """A cmdlet's refusal: ``key`` of ``errors`` in the texts, and what fills its braces."""

    def __init__(self, key: str, **values: t.Any) -> None:
        entry = TEXTS["errors"][key]
        self.text: str = entry["text"].format(**values)
        self.status: int = entry["status"]
        self.code: str = entry.get("code", "BadRequest")
        self.type: str = entry["type"]
        self.details: str = entry.get("details", "Context")
        super().__init__(self.text)


# ---- parameters -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """A hashtable with Add and/or Remove, for a parameter that holds several values."""

    add: list[str]
    remove: list[str]


_GUID = re.compile(r"(?P<open>\{)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(?(open)\})", re.IGNORECASE)

Bind = t.Callable[[str, t.Any], t.Any]  # parameter name, JSON value -> bound value; raises CmdletError


@dataclass(frozen=True)
class Parameter:
    """``switch``: in PowerShell it is a switch, where the others take a value."""

    bind: Bind
    required: bool = False
    switch: bool = False


def _refuse(name: str, value: t.Any, kind: str) -> CmdletError:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return CmdletError("bad_parameter", name=name, value=shown, kind=kind)


def _text(name: str, value: t.Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise _refuse(name, value, "System.String")


def _flag(name: str, value: t.Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _refuse(name, value, "System.Boolean")


def _flag_or_null(name: str, value: t.Any) -> bool | None:
    return None if value is None else _flag(name, value)


def _texts(name: str, value: t.Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return list(value)
    raise _refuse(name, value, "System.String[]")


def _hashtable(name: str, value: dict[str, t.Any]) -> Change:
    """Only what is announced as a hashtable is one; its keys are Add and Remove in any case."""
    given = {key.lower(): entry for key, entry in value.items() if not key.startswith("@")}
    if value.get("@odata.type") != "#Exchange.GenericHashTable" or set(given) - {"add", "remove"}:
        raise _refuse(name, value, "Microsoft.Exchange.Data.MultiValuedProperty")
    return Change(_texts(name, given.get("add")), _texts(name, given.get("remove")))


def _several(name: str, value: t.Any) -> list[str] | Change:
    return _hashtable(name, value) if isinstance(value, dict) else _texts(name, value)


def _app_id(name: str, value: t.Any) -> str:
    if value == "*":
        return "*"
    if not isinstance(value, str) or not _GUID.fullmatch(value):
        raise _refuse(name, value, "System.Guid")
    return value.strip("{}").lower()


def _app_ids(name: str, value: t.Any) -> list[str]:
    entries = value if isinstance(value, list) else [value]
    if not entries:
        raise _refuse(name, value, "System.Guid")
    return [_app_id(name, entry) for entry in entries]


def _size(name: str, value: t.Any) -> int | None:
    """None means Unlimited."""
    if isinstance(value, str) and value.lower() == "unlimited":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and int(value) > 0:
        return int(value)
    raise _refuse(name, value, "Microsoft.Exchange.Data.Unlimited`1[System.UInt32]")


def _choice(kind: str, *choices: str) -> Bind:
    def bind(name: str, value: t.Any) -> str:
        for choice in choices:
            if isinstance(value, str) and value.lower() == choice.lower():
                return choice
        raise CmdletError("bad_choice", name=name, value=value, kind=kind, choices=", ".join(choices))

    return bind


_AGENT_POLICIES: t.Final = _choice(
    "Microsoft.Exchange.Data.Directory.EwsApplicationAccessPolicy", "EnforceAllowList", "EnforceBlockList"
)


def _agent_policy(name: str, value: t.Any) -> str | None:
    return None if value is None else t.cast("str", _AGENT_POLICIES(name, value))


def _choices(kind: str, *choices: str) -> Bind:
    one = _choice(kind, *choices)
    return lambda name, value: [one(name, entry) for entry in (value if isinstance(value, list) else [value])]


TEXT: t.Final = Parameter(_text)
FLAG: t.Final = Parameter(_flag)
SWITCH: t.Final = Parameter(_flag, switch=True)
LIST: t.Final = Parameter(_texts)
SEVERAL: t.Final = Parameter(_several)
SIZE: t.Final = Parameter(_size)
COMMON: t.Final = {
    **dict.fromkeys(("ErrorAction", "WarningAction", "InformationAction"), TEXT),
    **dict.fromkeys(("Confirm", "Verbose", "Debug"), SWITCH),
}
LISTING: t.Final = {"Identity": TEXT, "Filter": TEXT, "ResultSize": SIZE, "Anr": TEXT, "SortBy": TEXT}
BYPASS: t.Final = {"BypassSecurityGroupManagerCheck": SWITCH}


def _must(bind: Bind) -> Parameter:
    return Parameter(bind, required=True)


# ---- the register ---------------------------------------------------------------------------------------------------


@dataclass
class Call:
    """One cmdlet at work: ``given`` holds the bound parameters that were sent, under their proper names."""

    world: World
    tenant: Tenant
    cmdlet: str
    given: Document
    warnings: list[str] = field(default_factory=list)

    def warn(self, key: str, **values: t.Any) -> None:
        self.warnings.append(TEXTS["warnings"][key].format(**values))


@dataclass(frozen=True)
class Cmdlet:
    """``role``: which of Exchange's management roles holds it; ``writes``: whether it knows WhatIf."""

    name: str
    role: str
    parameters: dict[str, Parameter]
    run: t.Callable[[Call], list[Document]]

    @property
    def writes(self) -> bool:
        return not self.name.startswith(("Get-", "Test-"))

    @property
    def accepted(self) -> dict[str, Parameter]:
        """Its own parameters and those that every cmdlet has."""
        return self.parameters | COMMON | ({"WhatIf": SWITCH} if self.writes else {})


CMDLETS: t.Final[dict[str, Cmdlet]] = {}

RECIPIENTS: t.Final = "Mail Recipients"
ORGANIZATION: t.Final = "Organization Configuration"
VIEW: t.Final = "View-Only Configuration"
ROLE_MANAGEMENT: t.Final = "Role Management"


def _cmdlet(name: str, role: str, **parameters: Parameter) -> t.Callable[[t.Callable[[Call], list[Document]]], t.Any]:
    def register(run: t.Callable[[Call], list[Document]]) -> t.Callable[[Call], list[Document]]:
        CMDLETS[name.lower()] = Cmdlet(name, role, parameters, run)
        return run

    return register


def invoke(world: World, tenant: Tenant, cmdlet: Cmdlet, parameters: Document) -> tuple[list[Document], list[str], str]:
    """Bind and run: (output, warnings, what WhatIf would say or ""). Raises CmdletError."""
    accepted = cmdlet.accepted
    names = {name.lower(): name for name in accepted}
    given: Document = {}
    for sent, value in parameters.items():
        if sent.startswith("@") or sent.endswith("@odata.type"):
            continue
        name = names.get(sent.lower())
        if name is None:
            raise CmdletError("unknown_parameter", name=sent)
        given[name] = accepted[name].bind(name, value)
    missing = [name for name, parameter in accepted.items() if parameter.required and given.get(name) in (None, "", [])]
    if missing:
        raise CmdletError("missing_parameter", name=" ".join(missing))
    if given.get("WhatIf"):
        return (
            [],
            [],
            TEXTS["what_if"].format(cmdlet=cmdlet.name, identity=given.get("Identity") or given.get("Name", "")),
        )
    call = Call(world, tenant, cmdlet.name, given)
    output = cmdlet.run(call)
    most = ((tenant.settings.get("switches") or {}).get("cut_lists") or {}).get(cmdlet.name)
    if most is not None and len(output) > most:
        call.warn("truncated")
        output = output[:most]
    return output, call.warnings, ""


# ---- looking things up ----------------------------------------------------------------------------------------------


def _missing(identity: str) -> CmdletError:
    return CmdletError("object_not_found", identity=identity, server=TEXTS["directory"]["server"])


def _one(call: Call, identity: str, kinds: t.Container[str], *, reference: bool = False) -> Document:
    """The recipient of one of ``kinds`` that ``identity`` names; ``reference``: as a value, not the cmdlet's object."""
    found = [
        entry for entry in find_recipients(call.tenant, identity, call.world) if entry["RecipientTypeDetails"] in kinds
    ]
    if not found:
        raise CmdletError("reference_not_found", identity=identity) if reference else _missing(identity)
    if len(found) > 1:
        raise CmdletError("ambiguous", identity=identity)
    return found[0]


_ALL_KINDS: t.Final = frozenset(RECIPIENT_TYPES) - {"User"} | frozenset(GROUP_TYPES)
_GROUP_KINDS: t.Final = frozenset(GROUP_TYPES)
_USER_KINDS: t.Final = MAILBOX_TYPES | {"MailUser", "GuestMailUser", "User"}


def _list(call: Call, kinds: t.Container[str]) -> list[Document]:
    """Identity, Filter, Anr, types and ResultSize of a listing cmdlet. No Identity, null and "" list everything."""
    identity = call.given.get("Identity")
    if identity and not identity.startswith("*") and not identity.endswith("*"):
        found = [_one(call, identity, kinds)]
    elif identity:
        found = [
            entry
            for entry in find_recipients(call.tenant, identity, call.world)
            if entry["RecipientTypeDetails"] in kinds
        ]
    else:
        found = [entry for entry in recipients(call.tenant) if entry["RecipientTypeDetails"] in kinds]
    for key in ("RecipientTypeDetails", "RecipientType"):
        if call.given.get(key):
            found = [entry for entry in found if entry[key] in call.given[key]]
    if call.given.get("Anr"):
        start = call.given["Anr"].lower()
        keys = ("Name", "DisplayName", "Alias", "PrimarySmtpAddress", "FirstName", "LastName")
        found = [entry for entry in found if any(str(entry.get(key, "")).lower().startswith(start) for key in keys)]
    if call.given.get("Filter"):
        found = _filtered(call, found, call.given["Filter"])
    if call.given.get("SortBy"):
        found = sorted(found, key=lambda entry: str(entry.get(call.given["SortBy"], "")).lower())
    return _cut(call, found)


def _cut(call: Call, found: list[Document]) -> list[Document]:
    size = call.given.get("ResultSize", TEXTS["adminapi"]["page_size"])
    if size is not None and len(found) > size:
        call.warn("truncated")
        return found[:size]
    return found


def _filtered(call: Call, documents: list[Document], text: str) -> list[Document]:
    try:
        test = exchange_filter.parse(text)
    except exchange_filter.FilterError as error:
        raise CmdletError("bad_filter", filter=text, position=error.position) from None
    known = {name.lower(): name for one in TEXTS["properties"].values() for name in one}
    held = circles.memberships(call.tenant) if "memberofgroup" in text.lower() else {}

    def reader(document: Document) -> exchange_filter.Read:
        def read(name: str) -> t.Any:
            if name == "memberofgroup":
                return held.get(document["Guid"], [])
            if name == "members":
                inside = (recipient(call.tenant, guid) for guid in document.get("_members", []))
                return [entry["DistinguishedName"] for entry in inside if entry]
            if name not in known:
                raise CmdletError("bad_filter_property", name=name, filter=text)
            return _value(call, document, known[name])

        return read

    return [document for document in documents if test(reader(document))]


# ---- showing --------------------------------------------------------------------------------------------------------


def _value(call: Call, document: Document, name: str) -> t.Any:
    """A property as readers see it: the Entra id only once it is there, owners by name."""
    if name == "ExternalDirectoryObjectId" and not call.world.reached(document.get("_entra_id_at")):
        return ""
    if name == "ManagedBy" and "_owners" in document:
        return manager_names(call.tenant, document)
    return document.get(name)


def _print(call: Call, documents: t.Iterable[Document], *sets: str) -> list[Document]:
    """The properties of ``sets`` that each document has, in the order of the texts."""
    names = [name for one in sets for name in TEXTS["properties"][one]]
    return [
        {name: public(_value(call, document, name)) for name in names if name in document} for document in documents
    ]


# ---- organization ---------------------------------------------------------------------------------------------------


@_cmdlet("Get-OrganizationConfig", VIEW, Identity=TEXT, RetrieveEwsOperationAccessPolicy=SWITCH)
def _get_organization_config(call: Call) -> list[Document]:
    settings = organization_config(call.tenant)
    name = initial_domain(call.tenant)
    output = {
        "Name": name,
        "Identity": name,
        "DisplayName": settings.get("DisplayName") or call.tenant.default_domain.partition(".")[0],
        "Guid": str(uuid.uuid5(uuid.UUID(call.tenant.id), "organization")),
        "IsDehydrated": bool((call.tenant.settings.get("customization") or {}).get("dehydrated")),
        "OrganizationId": f"{TEXTS['directory']['organization_prefix']}{name} - {TEXTS['directory']['partition']}",
        "EwsEnabled": settings.get("EwsEnabled"),
        "EwsAllowedAppIDs": settings.get("EwsAllowedAppIDs"),
        "EwsApplicationAccessPolicy": settings.get("EwsApplicationAccessPolicy"),
        "EwsAllowList": settings.get("EwsAllowList"),
        "EwsBlockList": settings.get("EwsBlockList"),
        "OAuth2ClientProfileEnabled": True,
        "AuditDisabled": False,
        "IsValid": True,
        "ObjectState": "Changed",
    }
    if not call.given.get("RetrieveEwsOperationAccessPolicy"):
        output["EwsAllowedAppIDs"] = None
    return [output]


@_cmdlet(
    "Set-OrganizationConfig",
    ORGANIZATION,
    EwsEnabled=Parameter(_flag_or_null),
    EwsAllowedAppIDs=TEXT,
    EwsApplicationAccessPolicy=Parameter(_agent_policy),
    EwsAllowList=SEVERAL,
    EwsBlockList=SEVERAL,
)
def _set_organization_config(call: Call) -> list[Document]:
    listed = call.given.get("EwsAllowedAppIDs")
    for entry in (listed or "").split(","):
        if listed and not _GUID.fullmatch(entry.strip()):
            raise CmdletError("bad_app_ids", value=entry.strip())
    changes: Document = {key: call.given[key] for key in EWS_SETTINGS if key in call.given}
    if "EwsAllowedAppIDs" in changes:
        changes["EwsAllowedAppIDs"] = listed or None
    before = organization_config(call.tenant)
    for key in ("EwsAllowList", "EwsBlockList"):
        if key not in changes:
            continue
        if not changes.get("EwsApplicationAccessPolicy"):
            raise CmdletError("agent_policy_missing")
        if isinstance(changes[key], Change):
            kept = [entry for entry in before.get(key) or [] if entry not in changes[key].remove]
            changes[key] = kept + [entry for entry in changes[key].add if entry not in kept]
        changes[key] = changes[key] or None
    if all(before.get(key) == value for key, value in changes.items()):
        call.warn("unchanged", identity=initial_domain(call.tenant))
        return []
    set_ews(call.world, call.tenant.settings, "organization_config", changes)
    return []


@_cmdlet("Get-AcceptedDomain", VIEW, Identity=TEXT, ResultSize=SIZE)
def _get_accepted_domain(call: Call) -> list[Document]:
    wanted = call.given.get("Identity")
    output = []
    for domain in call.tenant.domains:
        if not wanted or wanted.lower() == domain.lower():
            output.append(
                {
                    "Name": domain,
                    "Identity": domain,
                    "Id": domain,
                    "DomainName": domain,
                    "DomainType": "Authoritative",
                    "Default": domain == call.tenant.default_domain,
                    "InitialDomain": domain == initial_domain(call.tenant),
                    "IsCoexistenceDomain": False,
                    "Guid": str(uuid.uuid5(uuid.UUID(call.tenant.id), domain.lower())),
                    "IsValid": True,
                    "ObjectState": "Unchanged",
                }
            )
    if wanted and not output:
        raise _missing(wanted)
    return _cut(call, output)


@_cmdlet("Get-RoleGroupMember", ROLE_MANAGEMENT, Identity=_must(_text), ResultSize=SIZE)
def _get_role_group_member(call: Call) -> list[Document]:
    wanted = call.given["Identity"]
    group = next((name for name in TEXTS["role_groups"] if name.lower() == wanted.lower()), None)
    if group is None:
        raise _missing(wanted)
    held = (
        [entry for entry in call.tenant.mailboxes.values() if is_admin(entry)]
        if group == ORGANIZATION_MANAGEMENT
        else []
    )
    return _print(call, _cut(call, held), "common", "recipient")


@_cmdlet("Get-ServicePrincipal", VIEW, Identity=TEXT, ResultSize=SIZE)
def _get_service_principal(call: Call) -> list[Document]:
    """Exchange's own pointers to service principals. None is ever made here: New-ServicePrincipal is not served."""
    if call.given.get("Identity"):
        raise _missing(call.given["Identity"])
    return []


# ---- recipients -----------------------------------------------------------------------------------------------------


@_cmdlet(
    "Get-Recipient",
    RECIPIENTS,
    **LISTING,
    RecipientTypeDetails=Parameter(
        _choices("Microsoft.Exchange.Data.Directory.Recipient.RecipientTypeDetails", *_ALL_KINDS)
    ),
    RecipientType=Parameter(
        _choices(
            "Microsoft.Exchange.Data.Directory.Recipient.RecipientType",
            *sorted({*RECIPIENT_TYPES.values(), *GROUP_TYPES.values()}),
        )
    ),
    Properties=LIST,
    IncludeSoftDeletedRecipients=SWITCH,
)
def _get_recipient(call: Call) -> list[Document]:
    return _print(call, _list(call, _ALL_KINDS), "common", "recipient")


@_cmdlet(
    "Get-Mailbox",
    RECIPIENTS,
    **LISTING,
    RecipientTypeDetails=Parameter(
        _choices("Microsoft.Exchange.Data.Directory.Recipient.RecipientTypeDetails", *sorted(MAILBOX_TYPES))
    ),
)
def _get_mailbox(call: Call) -> list[Document]:
    return _print(call, _list(call, MAILBOX_TYPES), "common", "mailbox")


@_cmdlet("Get-User", RECIPIENTS, **LISTING)
def _get_user(call: Call) -> list[Document]:
    return _print(call, _list(call, _USER_KINDS), "common", "user")


@_cmdlet("Get-CASMailbox", RECIPIENTS, **LISTING)
def _get_cas_mailbox(call: Call) -> list[Document]:
    return _print(call, _list(call, MAILBOX_TYPES), "common", "cas_mailbox")


_PROTOCOLS: t.Final = ("ImapEnabled", "PopEnabled", "SmtpClientAuthenticationDisabled")


@_cmdlet(
    "Set-CASMailbox",
    RECIPIENTS,
    Identity=_must(_text),
    EwsEnabled=Parameter(_flag_or_null),
    ImapEnabled=FLAG,
    PopEnabled=FLAG,
    SmtpClientAuthenticationDisabled=Parameter(_flag_or_null),
)
def _set_cas_mailbox(call: Call) -> list[Document]:
    mailbox = _one(call, call.given["Identity"], MAILBOX_TYPES)
    changes: Document = {}
    for key in _PROTOCOLS:
        if key in call.given and mailbox.get(key) != call.given[key]:
            changes[key] = call.given[key]
    ews = "EwsEnabled" in call.given and mailbox.get("EwsEnabled") != call.given["EwsEnabled"]
    if not ews and not changes:
        call.warn("unchanged", identity=mailbox["Identity"])
        return []
    if changes:
        mailbox |= changes
        call.tenant.mailboxes[mailbox["Guid"]] = mailbox
    if ews:
        set_ews(call.world, call.tenant.mailboxes, mailbox["Guid"], {"EwsEnabled": call.given["EwsEnabled"]})
    return []


# ---- groups ---------------------------------------------------------------------------------------------------------

_JOIN: t.Final = Parameter(
    _choice("Microsoft.Exchange.Data.Directory.Recipient.MemberUpdateType", "Closed", "Open", "ApprovalRequired")
)
_OWNER_KINDS: t.Final = frozenset({"UserMailbox", "MailUser", SECURITY_GROUP})
_NOT_MEMBERS: t.Final = frozenset({"GroupMailbox", "User"})
_MEMBER_KINDS: t.Final = _ALL_KINDS | {"User"}
_ATTRIBUTES: t.Final = {f"CustomAttribute{number}": TEXT for number in range(1, 16)}


@_cmdlet(
    "Get-DistributionGroup",
    RECIPIENTS,
    **LISTING,
    ManagedBy=TEXT,
    RecipientTypeDetails=Parameter(
        _choices("Microsoft.Exchange.Data.Directory.Recipient.RecipientTypeDetails", *sorted(GROUP_TYPES))
    ),
)
def _get_distribution_group(call: Call) -> list[Document]:
    found = _list(call, _GROUP_KINDS)
    if call.given.get("ManagedBy"):
        owner = _one(call, call.given["ManagedBy"], _ALL_KINDS, reference=True)
        found = [group for group in found if owner["Guid"] in group["_owners"]]
    return _print(call, found, "common", "group")


@_cmdlet("Get-Group", RECIPIENTS, **LISTING)
def _get_group(call: Call) -> list[Document]:
    return _print(call, _list(call, _GROUP_KINDS), "common", "windows_group")


@_cmdlet(
    "New-DistributionGroup",
    RECIPIENTS,
    Name=_must(_text),
    DisplayName=TEXT,
    Alias=TEXT,
    PrimarySmtpAddress=TEXT,
    Type=Parameter(_choice("Microsoft.Exchange.Management.RecipientTasks.GroupType", "Distribution", "Security")),
    Members=LIST,
    ManagedBy=LIST,
    CopyOwnerToMember=SWITCH,
    MemberJoinRestriction=_JOIN,
    MemberDepartRestriction=_JOIN,
    RequireSenderAuthenticationEnabled=FLAG,
    Notes=TEXT,
    Description=TEXT,
    HiddenGroupMembershipEnabled=SWITCH,
    IgnoreNamingPolicy=SWITCH,
    RoomList=SWITCH,
)
def _new_distribution_group(call: Call) -> list[Document]:
    given, tenant = call.given, call.tenant
    name = given["Name"]
    _check_length("Name", name)
    _check_length("DisplayName", given.get("DisplayName") or name)
    _check_length("Description", given.get("Description") or "")
    alias = given.get("Alias") or derived_alias(name)
    _check_alias(alias)
    address = given.get("PrimarySmtpAddress") or f"{alias}@{tenant.default_domain}"
    _check_free(call, name=name, alias=alias, address=address)
    kind = {"Security": SECURITY_GROUP}.get(given.get("Type", ""), "RoomList" if given.get("RoomList") else "")
    kind = kind or "MailUniversalDistributionGroup"
    _check_restrictions(kind, name, given)
    owners, by_organization = _owners(call, given.get("ManagedBy") or [ORGANIZATION_MANAGEMENT])
    members = [_member(call, entry, name) for entry in given.get("Members") or []]
    if given.get("CopyOwnerToMember"):
        members += [recipient(tenant, guid) or {} for guid in owners]
    group = new_group(
        call.world,
        tenant,
        name=name,
        alias=alias,
        address=address,
        type=kind,
        display_name=given.get("DisplayName") or name,
        description=given.get("Description"),
        require_sender_authentication=given.get("RequireSenderAuthenticationEnabled", True),
        join=given.get("MemberJoinRestriction"),
        depart=given.get("MemberDepartRestriction"),
        entra_id_at=call.world.instant(call.world.profile.group_entra_id_s),
    )
    group |= {
        "_owners": owners,
        "_by_organization": by_organization,
        "HiddenGroupMembershipEnabled": given.get("HiddenGroupMembershipEnabled", False),
        "Notes": given.get("Notes") or "",
    }
    group["ManagedBy"] = manager_names(tenant, group)
    tenant.groups[group["Guid"]] = group
    if members:
        change_members(call.world, tenant, group, [member["Guid"] for member in members])
    return _print(call, [group], "common", "group")


@_cmdlet(
    "Set-DistributionGroup",
    RECIPIENTS,
    Identity=_must(_text),
    Name=TEXT,
    DisplayName=TEXT,
    Alias=TEXT,
    PrimarySmtpAddress=TEXT,
    WindowsEmailAddress=TEXT,
    EmailAddresses=SEVERAL,
    ManagedBy=SEVERAL,
    Description=TEXT,
    MailTip=TEXT,
    HiddenFromAddressListsEnabled=FLAG,
    HiddenGroupMembershipEnabled=SWITCH,
    RequireSenderAuthenticationEnabled=FLAG,
    ModerationEnabled=FLAG,
    MemberJoinRestriction=_JOIN,
    MemberDepartRestriction=_JOIN,
    ForceUpgrade=SWITCH,
    IgnoreNamingPolicy=SWITCH,
    **_ATTRIBUTES,
    **BYPASS,
)
def _set_distribution_group(call: Call) -> list[Document]:
    given, tenant = call.given, call.tenant
    group = _writable_group(call)
    changed = dict(group)
    if "Name" in given:
        _check_length("Name", given["Name"])
        if given["Name"] != group["Name"]:
            _check_free(call, name=given["Name"], holder=group)
            names = dict.fromkeys(("Name", "Identity", "Id"), given["Name"])
            changed |= {**names, "DistinguishedName": distinguished_name(tenant, given["Name"])}
    if "DisplayName" in given:
        _check_length("DisplayName", given["DisplayName"])
        changed["DisplayName"] = given["DisplayName"]
    if "Alias" in given:
        _check_alias(given["Alias"] or "")
        _check_free(call, alias=given["Alias"], holder=group)
        changed["Alias"] = given["Alias"]
    if "EmailAddresses" in given:
        changed["EmailAddresses"] = _email_addresses(call, group, given["EmailAddresses"])
        changed["PrimarySmtpAddress"] = next(
            entry[5:] for entry in changed["EmailAddresses"] if entry.startswith("SMTP:")
        )
    primary = given.get("PrimarySmtpAddress") or given.get("WindowsEmailAddress")
    if primary and primary.lower() != changed["PrimarySmtpAddress"].lower():
        _check_free(call, address=primary, holder=group)
        others = [entry for entry in changed["EmailAddresses"] if entry[5:].lower() != primary.lower()]
        changed["EmailAddresses"] = [f"SMTP:{primary}", *(re.sub("^SMTP:", "smtp:", entry) for entry in others)]
        changed["PrimarySmtpAddress"] = primary
    changed["WindowsEmailAddress"] = changed["PrimarySmtpAddress"]
    if "ManagedBy" in given:
        wanted = given["ManagedBy"]
        if isinstance(wanted, Change):
            removed, removed_organization = _owners(call, wanted.remove)
            added, added_organization = _owners(call, wanted.add)
            owners = list(dict.fromkeys([guid for guid in group["_owners"] if guid not in removed] + added))
            by_organization = added_organization or (group["_by_organization"] and not removed_organization)
        else:
            owners, by_organization = _owners(call, wanted)
        if not owners and not by_organization:
            raise CmdletError("owner_needed", group=group["Name"])
        changed |= {"_owners": owners, "_by_organization": by_organization}
        changed["ManagedBy"] = manager_names(tenant, changed)
    if "Description" in given:
        _check_length("Description", given["Description"] or "")
        changed["Description"] = [given["Description"]] if given["Description"] else []
    _check_restrictions(group["RecipientTypeDetails"], group["Name"], given)
    plain = (
        *("HiddenFromAddressListsEnabled", "HiddenGroupMembershipEnabled", "RequireSenderAuthenticationEnabled"),
        *("ModerationEnabled", "MemberJoinRestriction", "MemberDepartRestriction", "MailTip"),
    )
    changed |= {key: given[key] for key in plain if key in given}
    changed |= {key: given[key] or "" for key in _ATTRIBUTES if key in given}
    if changed == group:
        call.warn("unchanged", identity=group["Identity"])
        return []
    touch(call.world, changed)
    tenant.groups[group["Guid"]] = changed
    return []


@_cmdlet("Remove-DistributionGroup", RECIPIENTS, Identity=_must(_text), **BYPASS)
def _remove_distribution_group(call: Call) -> list[Document]:
    group = _writable_group(call)
    del call.tenant.groups[group["Guid"]]
    for other in list(call.tenant.groups.values()):
        if group["Guid"] in other["_members"] or group["Guid"] in other["_owners"]:
            other["_members"] = [guid for guid in other["_members"] if guid != group["Guid"]]
            other["_owners"] = [guid for guid in other["_owners"] if guid != group["Guid"]]
            call.tenant.groups[other["Guid"]] = other
    return []


@_cmdlet("Get-DistributionGroupMember", RECIPIENTS, Identity=TEXT, ResultSize=SIZE)
def _get_distribution_group_member(call: Call) -> list[Document]:
    identity = call.given.get("Identity")
    groups = [_one(call, identity, _GROUP_KINDS)] if identity else list(call.tenant.groups.values())
    guids = [guid for group in groups for guid in members_as(call.world, group, "_visible_later")]
    members = [entry for entry in (recipient(call.tenant, guid) for guid in guids) if entry]
    return _print(call, _cut(call, members), "common", "recipient")


@_cmdlet("Add-DistributionGroupMember", RECIPIENTS, Identity=_must(_text), Member=_must(_text), **BYPASS)
def _add_distribution_group_member(call: Call) -> list[Document]:
    group = _writable_group(call)
    member = _member(call, call.given["Member"], group["Name"], group)
    if member["Guid"] in group["_members"]:
        raise CmdletError("member_exists", member=member["Name"], group=group["Name"])
    change_members(call.world, call.tenant, group, [*group["_members"], member["Guid"]])
    return []


@_cmdlet("Remove-DistributionGroupMember", RECIPIENTS, Identity=_must(_text), Member=_must(_text), **BYPASS)
def _remove_distribution_group_member(call: Call) -> list[Document]:
    group = _writable_group(call)
    member = _one(call, call.given["Member"], _MEMBER_KINDS, reference=True)
    if member["Guid"] not in group["_members"]:
        raise CmdletError("member_missing", member=member["Name"], group=group["Name"])
    change_members(call.world, call.tenant, group, [guid for guid in group["_members"] if guid != member["Guid"]])
    return []


@_cmdlet("Update-DistributionGroupMember", RECIPIENTS, Identity=_must(_text), Members=SEVERAL, **BYPASS)
def _update_distribution_group_member(call: Call) -> list[Document]:
    """Replaces all members. A hashtable does not add: it leaves the group empty, as the real cmdlet does."""
    group = _writable_group(call)
    given = call.given.get("Members", [])
    wanted = [] if isinstance(given, Change) else given
    limit = TEXTS["limits"]["members_at_once"]
    if len(wanted) > limit:
        raise CmdletError("too_many_members", limit=limit, count=len(wanted))
    members = [_member(call, entry, group["Name"], group)["Guid"] for entry in wanted]
    change_members(call.world, call.tenant, group, members)
    return []


def _writable_group(call: Call) -> Document:
    group = _one(call, call.given["Identity"], _GROUP_KINDS)
    if not call.given.get("BypassSecurityGroupManagerCheck"):
        raise CmdletError("manager_needed")  # an application is never a manager of a group
    if group["IsDirSynced"]:
        raise CmdletError(
            "dir_synced", kind=group["RecipientTypeDetails"], identity=group["Identity"], cmdlet=call.cmdlet
        )
    return group


def _member(call: Call, identity: str, group_name: str, group: Document | None = None) -> Document:
    member = _one(call, identity, _MEMBER_KINDS, reference=True)
    if group is not None and member["Guid"] == group["Guid"]:
        raise CmdletError("member_itself", group=group_name)
    if member["RecipientTypeDetails"] in _NOT_MEMBERS:
        raise CmdletError("member_unfit", member=member["Name"], kind=member["RecipientTypeDetails"], group=group_name)
    return member


def _owners(call: Call, identities: list[str]) -> tuple[list[str], bool]:
    """(Guids, whether the role group Organization Management is among them)"""
    guids, by_organization = [], False
    for identity in identities:
        if identity.lower() == ORGANIZATION_MANAGEMENT.lower():
            by_organization = True
            continue
        owner = _one(call, identity, _MEMBER_KINDS, reference=True)
        if owner["RecipientTypeDetails"] not in _OWNER_KINDS:
            raise CmdletError("owner_unfit", owner=owner["Name"])
        guids.append(owner["Guid"])
    return list(dict.fromkeys(guids)), by_organization


def _email_addresses(call: Call, group: Document, wanted: list[str] | Change) -> list[str]:
    """The whole new list, exactly one of it primary (``SMTP:``)."""
    if isinstance(wanted, Change):
        gone = {_with_prefix(entry).lower() for entry in wanted.remove}
        entries = [entry for entry in group["EmailAddresses"] if entry.lower() not in gone]
        held = {entry.lower() for entry in entries}
        entries += [entry for entry in map(_with_prefix, wanted.add) if entry.lower() not in held]
    else:
        entries = [_with_prefix(entry) for entry in wanted]
    for entry in entries:
        _check_free(call, address=entry[5:], holder=group)
    primary = [entry for entry in entries if entry.startswith("SMTP:")]
    if not entries:
        raise CmdletError("empty_value", name="EmailAddresses")
    if len(primary) != 1:
        # Several or none marked: the last marked one, or the first, is the primary address.
        chosen = (primary or entries[:1])[-1]
        entries = [re.sub("^SMTP:", "smtp:", entry) for entry in entries]
        entries = [f"SMTP:{entry[5:]}" if entry[5:].lower() == chosen[5:].lower() else entry for entry in entries]
    return entries


def _with_prefix(entry: str) -> str:
    return entry if entry.lower().startswith("smtp:") else f"smtp:{entry}"


def _check_length(name: str, value: str | None) -> None:
    limit = TEXTS["limits"][{"Name": "name", "DisplayName": "display_name", "Description": "description"}[name]]
    if name == "Name" and not (value or "").strip():
        raise CmdletError("empty_value", name=name)
    if len(value or "") > limit:
        raise CmdletError("too_long", name=name, limit=limit, length=len(value or ""))


def _check_alias(alias: str) -> None:
    if not is_alias(alias):
        raise CmdletError("bad_alias", alias=alias)


def _check_free(
    call: Call,
    *,
    name: str | None = None,
    alias: str | None = None,
    address: str | None = None,
    holder: Document | None = None,
) -> None:
    """That nobody but ``holder`` has this name, alias or address, and that the address is one of the tenant's."""
    others = [entry for entry in recipients(call.tenant) if holder is None or entry["Guid"] != holder["Guid"]]
    if name is not None and any(entry["Name"].lower() == name.lower() for entry in others):
        raise CmdletError("name_taken", name=name)
    if alias is not None and any(entry["Alias"].lower() == alias.lower() for entry in others):
        raise CmdletError("alias_taken", alias=alias)
    if address is None:
        return
    if not re.fullmatch(r"[^@\s<>()\[\],;:\"\\]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", address) or ".." in address:
        raise CmdletError("bad_address", address=address)
    domain = address.rpartition("@")[2]
    if domain.lower() not in (accepted.lower() for accepted in call.tenant.domains):
        raise CmdletError("foreign_domain", domain=domain)
    taken = by_address(call.tenant, address)
    if taken is not None and (holder is None or taken["Guid"] != holder["Guid"]):
        raise CmdletError("address_taken", address=address, holder=taken["Name"])


def _check_restrictions(kind: str, name: str, given: Document) -> None:
    if given.get("MemberDepartRestriction") == "ApprovalRequired":
        raise CmdletError("bad_depart_restriction")
    if kind == SECURITY_GROUP and given.get("MemberDepartRestriction") == "Open":
        raise CmdletError("open_departure", group=name)
    if kind == SECURITY_GROUP and given.get("MemberJoinRestriction") == "Open":
        raise CmdletError("open_join", group=name)


# ---- application access policies ------------------------------------------------------------------------------------


@_cmdlet("Get-ApplicationAccessPolicy", VIEW, Identity=TEXT)
def _get_application_access_policy(call: Call) -> list[Document]:
    """In a tenant without any policy this is an error, not an empty list. It knows no ResultSize, unlike the others."""
    if call.given.get("Identity"):
        return [_shown_policy(call, _policy(call))]
    if not call.tenant.application_access_policies:
        raise _missing(f"{organizational_unit(call.tenant)}\\*")
    return [_shown_policy(call, policy) for policy in call.tenant.application_access_policies.values()]


@_cmdlet(
    "New-ApplicationAccessPolicy",
    ORGANIZATION,
    AccessRight=_must(
        _choice(
            "Microsoft.Exchange.Data.Directory.SystemConfiguration.ApplicationAccessPolicyRight",
            "RestrictAccess",
            "DenyAccess",
        )
    ),
    AppId=_must(_app_ids),
    PolicyScopeGroupId=_must(_text),
    Description=TEXT,
)
def _new_application_access_policy(call: Call) -> list[Document]:
    given, tenant = call.given, call.tenant
    scope = _one(call, given["PolicyScopeGroupId"], _MEMBER_KINDS, reference=True)
    if scope["RecipientTypeDetails"] not in SECURITY_PRINCIPALS:
        raise CmdletError("policy_scope_unfit", identity=scope["Name"], kind=scope["RecipientTypeDetails"])
    _check_length("Description", given.get("Description") or "")
    made = []
    for app_id in dict.fromkeys(given["AppId"]):
        # Access right and description are no part of the identity: Restrict and Deny on one group collide.
        identity = policy_identity(tenant, app_id, scope)
        if identity in tenant.application_access_policies:
            raise CmdletError("policy_exists", identity=identity)
        policy = new_policy(
            call.world,
            tenant,
            app_id=app_id,
            scope=scope,
            access_right=given["AccessRight"],
            description=given.get("Description"),
            in_force_at=call.world.instant(call.world.profile.policy_in_force_s),
        )
        if _policies_size(tenant) > TEXTS["limits"]["policies_bytes"]:
            del tenant.application_access_policies[identity]
            raise CmdletError("policies_too_large")
        made.append(policy)
    return [_shown_policy(call, policy) for policy in made]


@_cmdlet("Set-ApplicationAccessPolicy", ORGANIZATION, Identity=_must(_text), Description=TEXT)
def _set_application_access_policy(call: Call) -> list[Document]:
    policy = _policy(call)
    description = call.given.get("Description", policy["Description"]) or ""
    _check_length("Description", description)
    if description == policy["Description"]:
        call.warn("unchanged", identity=policy["Identity"])
        return []
    before = policy["Description"]
    policy["Description"] = description
    if _policies_size(call.tenant) > TEXTS["limits"]["policies_bytes"] and len(description) > len(before):
        policy["Description"] = before
        raise CmdletError("policies_too_large")
    call.tenant.application_access_policies[policy["Identity"]] = policy
    return []


@_cmdlet("Remove-ApplicationAccessPolicy", ORGANIZATION, Identity=_must(_text))
def _remove_application_access_policy(call: Call) -> list[Document]:
    remove_policy(call.world, call.tenant, _policy(call)["Identity"])
    return []


@_cmdlet("Test-ApplicationAccessPolicy", VIEW, Identity=_must(_text), AppId=_must(_app_id))
def _test_application_access_policy(call: Call) -> list[Document]:
    """Reads the configuration, not what is enforced; knows no application, only policies that name one."""
    mailbox = _one(call, call.given["Identity"], MAILBOX_TYPES)
    return [
        {
            "AppId": call.given["AppId"],
            "Mailbox": mailbox["Name"],
            "MailboxId": mailbox["Guid"],
            "MailboxSid": mailbox["Sid"],
            "AccessCheckResult": policy_verdict(call.world, call.tenant, call.given["AppId"], mailbox, in_force=False),
        }
    ]


def _policy(call: Call) -> Document:
    wanted = call.given["Identity"].lower()
    for identity, policy in call.tenant.application_access_policies.items():
        if wanted in (identity.lower(), identity.lower().partition("\\")[2]):
            return policy
    raise _missing(call.given["Identity"])


def _shown_policy(call: Call, policy: Document) -> Document:
    """With the scope's names of today."""
    scope = recipient(call.tenant, policy["_scope"])
    names = {"ScopeName": scope["DisplayName"], "ScopeIdentity": scope["Name"]} if scope else {}
    shown = policy | names
    return {name: shown[name] for name in TEXTS["properties"]["policy"]}


def _policies_size(tenant: Tenant) -> int:
    overhead = TEXTS["limits"]["policy_overhead_bytes"]
    return sum(overhead + len(entry["Description"].encode()) for entry in tenant.application_access_policies.values())
