# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipients, groups and application access policies as data: making them, finding them, judging access.

Nothing here knows of HTTP or of cmdlets. Constructors store what they make in the tenant and return the document.

Own keys, beyond those of ``model.COLLECTIONS``:

* mailbox ``_admin``: member of the role group Organization Management; ``_ews_log``: see :func:`set_ews`
* group ``_entra_id_at``: from then on ``ExternalDirectoryObjectId`` is shown (Graph shows the group from then on);
  ``_by_organization``: "Organization Management" stands in ``ManagedBy``;
  ``_visible_later`` / ``_in_force_later`` / ``_in_role_later``: {member Guid: {"was": bool, "at": time stamp}}, not yet
  seen, enforced by policies, enforced by the scopes of roles
* policy ``_scope``: Guid of the group or mailbox; ``_in_force_at``: real access obeys it from then on; ``_until``: a
  removed one is still enforced until then (kept in ``settings["removed_application_access_policies"]``)
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import pathlib
import re
import typing as t
import uuid

from .model import Collection, Document, Tenant, World, load_yaml

TEXTS: t.Final[Document] = load_yaml(pathlib.Path(__file__).with_name("exchange_texts.yml").read_text("utf-8"))

ORGANIZATION_MANAGEMENT: t.Final = "Organization Management"
SECURITY_GROUP: t.Final = "MailUniversalSecurityGroup"
DISTRIBUTION_GROUP: t.Final = "MailUniversalDistributionGroup"
EWS_SETTINGS: t.Final = ("EwsEnabled", "EwsAllowedAppIDs", "EwsApplicationAccessPolicy", "EwsAllowList", "EwsBlockList")
REMOVED_POLICIES: t.Final = "removed_application_access_policies"

# RecipientTypeDetails -> RecipientType
RECIPIENT_TYPES: t.Final = {
    "UserMailbox": "UserMailbox",
    "SharedMailbox": "UserMailbox",
    "RoomMailbox": "UserMailbox",
    "EquipmentMailbox": "UserMailbox",
    "DiscoveryMailbox": "UserMailbox",
    "MailUser": "MailUser",
    "GuestMailUser": "MailUser",
    "MailContact": "MailContact",
    "GroupMailbox": DISTRIBUTION_GROUP,
    "DynamicDistributionGroup": "DynamicDistributionGroup",
    "PublicFolder": "PublicFolder",
    "User": "User",  # an account without mailbox: Get-User knows it, Get-Recipient does not
}
GROUP_TYPES: t.Final = {
    SECURITY_GROUP: SECURITY_GROUP,
    DISTRIBUTION_GROUP: DISTRIBUTION_GROUP,
    "RoomList": DISTRIBUTION_GROUP,
}
MAILBOX_TYPES: t.Final = frozenset(detail for detail, kind in RECIPIENT_TYPES.items() if kind == "UserMailbox")
# What an application access policy takes as its scope (a shared or a room mailbox only through a security group).
SECURITY_PRINCIPALS: t.Final = frozenset({"UserMailbox", "MailUser", "GuestMailUser", SECURITY_GROUP})

_NAME_KEYS: t.Final = (
    *("Guid", "Alias", "Name", "DisplayName", "DistinguishedName", "SamAccountName"),
    *("UserPrincipalName", "LegacyExchangeDN", "ExchangeGuid", "Sid"),
)
_NOT_IN_ALIAS = re.compile(r"[^A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]")


# ---- making ---------------------------------------------------------------------------------------------------------


def new_mailbox(
    world: World,
    tenant: Tenant,
    *,
    address: str,
    display_name: str,
    type: str = "UserMailbox",
    aliases: t.Iterable[str] = (),
    admin: bool = False,
    ews_enabled: bool | None = None,
    ews_agents: Document | None = None,
    imap: bool = True,
    pop: bool = True,
    smtp_auth: bool | None = None,
    licence: str | bool | None = None,
    alias: str | None = None,
    name: str | None = None,
    user_principal_name: str | None = None,
    hidden: bool = False,
    dir_synced: bool = False,
    guid: str | None = None,
    entra_id: str | None = None,
) -> Document:
    """Store a recipient of any kind in ``RECIPIENT_TYPES`` and return it.

    ``address`` is its PrimarySmtpAddress (for a contact the external one), ``aliases`` are further addresses without
    prefix. ``imap``, ``pop`` and ``smtp_auth`` are its protocols (smtp_auth None: as the organization says);
    ``licence`` names what it is licensed by (``none`` or false: nothing, so that no user's mailbox opens; None: not
    told). ``ews_agents`` is ``EwsApplicationAccessPolicy`` with its lists.
    ``alias`` and ``name`` default to the local part of the address, with a number when that is taken.
    Raises ValueError on a kind that does not exist.
    """
    if type not in RECIPIENT_TYPES:
        raise ValueError(f"no recipient type {type!r}; there are {', '.join(RECIPIENT_TYPES)}")
    local = address.partition("@")[0]
    alias = alias or _free(tenant, "Alias", local)
    document = _recipient(
        world,
        tenant,
        name=name or _free(tenant, "Name", local[:64]),
        alias=alias,
        address=address,
        display_name=display_name,
        aliases=aliases,
        hidden=hidden,
        dir_synced=dir_synced,
        guid=guid,
    )
    document |= {
        "RecipientType": RECIPIENT_TYPES[type],
        "RecipientTypeDetails": type,
        "ExternalDirectoryObjectId": entra_id or str(uuid.uuid4()),
        "IsValidSecurityPrincipal": type in SECURITY_PRINCIPALS,
        "_admin": admin,
    }
    if type in MAILBOX_TYPES:
        document |= {
            "ExchangeGuid": str(uuid.uuid4()),
            "IsMailboxEnabled": True,
            "IsShared": type == "SharedMailbox",
            "IsResource": type in ("RoomMailbox", "EquipmentMailbox"),
            "ResourceType": {"RoomMailbox": "Room", "EquipmentMailbox": "Equipment"}.get(type),
            "AccountDisabled": type != "UserMailbox",
            "EwsEnabled": ews_enabled,
            "EwsApplicationAccessPolicy": None,
            "EwsAllowList": None,
            "EwsBlockList": None,
            **(ews_agents or {}),
            "ImapEnabled": imap,
            "PopEnabled": pop,
            "SmtpClientAuthenticationDisabled": None if smtp_auth is None else not smtp_auth,
            "_licence": licence,
            **_licensed(licence, type),
            "OWAEnabled": True,
            "MAPIEnabled": True,
            "ActiveSyncEnabled": True,
            "WhenMailboxCreated": document["WhenCreatedUTC"],
            "MaxSendSize": "35 MB (36,700,160 bytes)",
        }
    if RECIPIENT_TYPES[type] in ("UserMailbox", "MailUser", "User"):
        document |= {
            "UserPrincipalName": user_principal_name or address,
            "WindowsLiveID": user_principal_name or address,
            "FirstName": display_name.partition(" ")[0],
            "LastName": display_name.partition(" ")[2],
        }
    if RECIPIENT_TYPES[type] in ("MailUser", "MailContact"):
        document["ExternalEmailAddress"] = f"SMTP:{address}"
    tenant.mailboxes[document["Guid"]] = document
    return document


def _licensed(licence: str | bool | None, kind: str) -> Document:
    """How a licence shows to Exchange: as assigned or not, and as a mailbox plan; nobody licences a shared mailbox."""
    told = "" if licence is False else str(licence or "")
    if told.lower() in ("", "none"):
        assigned = kind == "UserMailbox" and licence is None
        return {"SKUAssigned": assigned, "MailboxPlan": f"{_PLANS['']}-plan" if assigned else None}
    plan = next((plan for word, plan in _PLANS.items() if word and word in told.lower()), _PLANS[""])
    return {"SKUAssigned": True, "MailboxPlan": f"{plan}-plan"}


_PLANS: t.Final = {
    **dict.fromkeys(("deskless", "kiosk", "f1", "f3"), "ExchangeOnlineDeskless"),
    **dict.fromkeys(("standard", "plan 1", "e1"), "ExchangeOnline"),
    "": "ExchangeOnlineEnterprise",
}


def new_group(
    world: World,
    tenant: Tenant,
    *,
    name: str,
    alias: str | None = None,
    address: str | None = None,
    type: str = SECURITY_GROUP,
    members: t.Iterable[str] = (),
    managed_by: t.Iterable[str] = (),
    display_name: str | None = None,
    aliases: t.Iterable[str] = (),
    hidden: bool = False,
    require_sender_authentication: bool = True,
    description: str | None = None,
    join: str | None = None,
    depart: str | None = None,
    dir_synced: bool = False,
    guid: str | None = None,
    entra_id: str | None = None,
    entra_id_at: float | None = None,
) -> Document:
    """Store a group of one of ``GROUP_TYPES`` and return it.

    ``members`` and ``managed_by`` name recipients in any form :func:`find_recipients` takes; without ``managed_by`` the
    group is managed by "Organization Management". ``entra_id_at`` is a time stamp. Raises ValueError on a kind that
    does not exist and on a member or owner that is not found or not unique.
    """
    if type not in GROUP_TYPES:
        raise ValueError(f"no group type {type!r}; there are {', '.join(GROUP_TYPES)}")
    secure = type == SECURITY_GROUP
    alias = alias or derived_alias(name)
    owners = [_the_one(tenant, owner) for owner in managed_by]
    document = _recipient(
        world,
        tenant,
        name=name,
        alias=alias,
        address=address or f"{alias}@{tenant.default_domain}",
        display_name=display_name or name,
        aliases=aliases,
        hidden=hidden,
        dir_synced=dir_synced,
        guid=guid,
    )
    document |= {
        "RecipientType": GROUP_TYPES[type],
        "RecipientTypeDetails": type,
        "GroupType": "Universal, SecurityEnabled" if secure else "Universal",
        "ExternalDirectoryObjectId": entra_id or str(uuid.uuid4()),
        "IsValidSecurityPrincipal": secure,
        "Description": [description] if description else [],
        "MemberJoinRestriction": join or "Closed",
        "MemberDepartRestriction": depart or ("Closed" if secure else "Open"),
        "RequireSenderAuthenticationEnabled": require_sender_authentication,
        "HiddenGroupMembershipEnabled": False,
        "ModerationEnabled": False,
        "ModeratedBy": [],
        "BypassNestedModerationEnabled": False,
        "GrantSendOnBehalfTo": [],
        "AcceptMessagesOnlyFrom": [],
        "AcceptMessagesOnlyFromDLMembers": [],
        "AcceptMessagesOnlyFromSendersOrMembers": [],
        "RejectMessagesFrom": [],
        "ReportToManagerEnabled": False,
        "ReportToOriginatorEnabled": True,
        "SendOofMessageToOriginatorEnabled": False,
        "SendModerationNotifications": "Always",
        "MailTip": None,
        "_members": [_the_one(tenant, member)["Guid"] for member in members],
        "_owners": [owner["Guid"] for owner in owners],
        "_by_organization": not owners,
        "_entra_id_at": entra_id_at,
        "_visible_later": {},
        "_in_force_later": {},
        "_in_role_later": {},
    }
    document["ManagedBy"] = manager_names(tenant, document)
    tenant.groups[document["Guid"]] = document
    return document


def new_policy(
    world: World,
    tenant: Tenant,
    *,
    app_id: str,
    scope: Document,
    access_right: str = "RestrictAccess",
    description: str | None = None,
    in_force_at: float | None = None,
    is_valid: bool = True,
) -> Document:
    """Store an application access policy for ``app_id`` (GUID or ``*``) on ``scope`` (a group or mailbox).

    One that is not valid limits nothing here: nobody has told what it does, and that is the worst it could do.
    """
    entra_id, sid = scope["ExternalDirectoryObjectId"], scope["Sid"]
    document: Document = {
        "ScopeName": scope["DisplayName"],
        "ScopeIdentity": scope["Name"],
        "Identity": policy_identity(tenant, app_id, scope),
        "AppId": app_id,
        "ScopeIdentityRaw": f"{sid};{entra_id}",
        "Description": description
        or f"AppId: {app_id}; ScopeIdentitySid: {sid}; ScopeIdentityOid: {entra_id}; "
        f"AccessRight: {access_right}; ShardType: All",
        "AccessRight": access_right,
        "ShardType": "All",
        "IsValid": is_valid,
        "ObjectState": "Unchanged",
        "_scope": scope["Guid"],
        "_in_force_at": in_force_at,
    }
    tenant.application_access_policies[document["Identity"]] = document
    return document


def policy_identity(tenant: Tenant, app_id: str, scope: Document) -> str:
    return f"{tenant.id}\\{app_id}:{scope['Sid']};{scope['ExternalDirectoryObjectId']}"


def derived_alias(name: str) -> str:
    """What Exchange makes of a Name when no Alias is given: no spaces, a question mark for what is not allowed."""
    return _NOT_IN_ALIAS.sub("?", re.sub(r"\s", "", name))[:64]


def is_alias(alias: str) -> bool:
    return 0 < len(alias) <= 64 and not _NOT_IN_ALIAS.search(alias) and ".." not in alias and alias.strip(".") == alias


def organizational_unit(tenant: Tenant) -> str:
    """The container of a tenant's objects in the directory, as error messages and distinguished names print it."""
    return f"OU={initial_domain(tenant)},{TEXTS['directory']['container']}"


def initial_domain(tenant: Tenant) -> str:
    return next(
        (domain for domain in tenant.domains if domain.lower().endswith(".onmicrosoft.com")), tenant.default_domain
    )


def timestamp(world: World) -> str:
    return f"{world.clock.now().astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S}.0000000+00:00"


def manager_names(tenant: Tenant, group: Document) -> list[str]:
    """``ManagedBy`` prints names, not addresses."""
    names = [ORGANIZATION_MANAGEMENT] if group.get("_by_organization") else []
    return names + [owner["Name"] for owner in (recipient(tenant, guid) for guid in group["_owners"]) if owner]


def _recipient(
    world: World,
    tenant: Tenant,
    *,
    name: str,
    alias: str,
    address: str,
    display_name: str,
    aliases: t.Iterable[str],
    hidden: bool,
    dir_synced: bool,
    guid: str | None,
) -> Document:
    now, texts = timestamp(world), TEXTS["directory"]
    guid = guid or str(uuid.uuid4())
    return {
        "Name": name,
        "Identity": name,
        "Id": name,
        "DisplayName": display_name,
        "Alias": alias,
        "PrimarySmtpAddress": address,
        "WindowsEmailAddress": address,
        "EmailAddresses": [f"SMTP:{address}", *(f"smtp:{other}" for other in aliases)],
        "EmailAddressPolicyEnabled": False,
        "Guid": guid,
        "DistinguishedName": distinguished_name(tenant, name),
        "SamAccountName": f"{alias[:12]}{int(guid[:8], 16)}"[:20],
        "Sid": _sid(tenant, guid),
        "HiddenFromAddressListsEnabled": hidden,
        "IsDirSynced": dir_synced,
        "OrganizationId": f"{texts['organization_prefix']}{initial_domain(tenant)} - {texts['partition']}",
        "OrganizationalUnit": f"{texts['unit_prefix']}{initial_domain(tenant)}",
        "LegacyExchangeDN": f"{texts['legacy_prefix']}{guid.replace('-', '')}-{alias}",
        "ExchangeVersion": texts["exchange_version"],
        "IsValid": True,
        "ObjectState": "Unchanged",
        "WhenCreatedUTC": now,
        "WhenChangedUTC": now,
        "WhenCreated": now,
        "WhenChanged": now,
        **{f"CustomAttribute{number}": "" for number in range(1, 16)},
    }


def distinguished_name(tenant: Tenant, name: str) -> str:
    escaped = re.sub(r'([,+"\\<>;=])', r"\\\1", name)
    return f"CN={escaped},{organizational_unit(tenant)}"


def _sid(tenant: Tenant, guid: str) -> str:
    domain = hashlib.sha256(tenant.id.lower().encode()).digest()
    parts = [int.from_bytes(domain[start : start + 4], "big") for start in (0, 4, 8)]
    return "S-1-5-21-" + "-".join(str(part) for part in parts) + f"-{10_000_000 + int(guid[:7], 16) % 90_000_000}"


def _free(tenant: Tenant, key: str, wanted: str) -> str:
    mailboxes, groups = _mailbox_names(tenant, key), {str(group[key]).lower() for group in tenant.groups.values()}
    candidate, number = wanted, 0
    while candidate.lower() in mailboxes or candidate.lower() in groups:
        number += 1
        candidate = f"{wanted}{number}"
    return candidate


def _mailbox_names(tenant: Tenant, key: str) -> set[str]:
    """Those of all mailboxes, in lower case; as long as mailboxes only come, the new ones alone are looked at."""
    mailboxes = tenant.mailboxes
    known, names = t.cast("tuple[int, set[str]]", mailboxes.__dict__.get(f"_names_{key}", (0, set())))
    new = len(mailboxes) - known
    if new < 0:
        new, names = len(mailboxes), set()
    names.update(str(document[key]).lower() for document in itertools.islice(reversed(mailboxes.values()), new))
    mailboxes.__dict__[f"_names_{key}"] = len(mailboxes), names
    return names


def _the_one(tenant: Tenant, identity: str) -> Document:
    found = find_recipients(tenant, identity)
    if len(found) != 1:
        raise ValueError(f"{identity!r} names {len(found)} recipients of tenant {tenant.id}")
    return found[0]


# ---- finding --------------------------------------------------------------------------------------------------------


def recipients(tenant: Tenant) -> t.Iterator[Document]:
    """Every recipient and group (and every account without mailbox), mailboxes first."""
    yield from tenant.mailboxes.values()
    yield from tenant.groups.values()


def recipient(tenant: Tenant, guid: str) -> Document | None:
    return tenant.mailboxes.get(guid) or tenant.groups.get(guid)


def addresses(document: Document) -> set[str]:
    """Every address of a recipient, lower case, without its prefix."""
    return {
        entry.partition(":")[2].lower() for entry in document["EmailAddresses"] if entry.lower().startswith("smtp:")
    }


def find_recipients(tenant: Tenant, identity: str, world: World | None = None) -> list[Document]:
    """Those that ``identity`` names, be it Guid, Entra id, address, alias, name, display, distinguished or user name.

    Case does not matter. ``*`` at either end stands for anything. Without ``world`` an Entra id counts at once.
    """
    wanted = identity.strip().lower()
    if wanted.startswith("*") or wanted.endswith("*"):
        pattern = re.compile(".*".join(re.escape(part) for part in wanted.split("*")), re.DOTALL)
        spoken = ("Name", "Alias", "DisplayName", "UserPrincipalName")  # nobody means the start of a GUID
        return [
            document
            for document in recipients(tenant)
            if any(
                pattern.fullmatch(name)
                for name in (addresses(document) | {str(document.get(key, "")).lower() for key in spoken})
            )
        ]
    wanted = wanted.removeprefix("smtp:")
    found = [tenant.mailboxes[guid] for guid in _mailbox_index(tenant).get(wanted, [])]
    return [document for document in found if wanted in _names(document, world)] + [
        document for document in tenant.groups.values() if wanted in _names(document, world)
    ]


def _mailbox_index(tenant: Tenant) -> dict[str, list[str]]:
    """Mailboxes by every name. No name of a mailbox ever changes, so a changed set of Guids alone makes it stale."""
    mailboxes = tenant.mailboxes
    guids, index = t.cast("tuple[set[str], dict[str, list[str]]]", mailboxes.__dict__.get("_index", (set(), {})))
    if guids != mailboxes.keys():
        index = {}
        for document in mailboxes.values():
            for name in _names(document, None):
                index.setdefault(name, []).append(document["Guid"])
        mailboxes.__dict__["_index"] = (set(mailboxes), index)
    return index


def _names(document: Document, world: World | None) -> set[str]:
    names = addresses(document) | {str(document[key]).lower() for key in _NAME_KEYS if document.get(key)}
    if world is None or world.reached(document.get("_entra_id_at")):
        names.add(document["ExternalDirectoryObjectId"].lower())
    return names


def by_address(tenant: Tenant, address: str) -> Document | None:
    wanted = address.strip().lower()
    return next((document for document in recipients(tenant) if wanted in addresses(document)), None)


def is_admin(document: Document) -> bool:
    return bool(document.get("_admin"))


# ---- membership -----------------------------------------------------------------------------------------------------


def change_members(world: World, tenant: Tenant, group: Document, members: t.Sequence[str]) -> None:
    """Make ``members`` (Guids) the group's members; the difference is seen and enforced after the profile's delays."""
    before, after = set(group["_members"]), set(members)
    profile = world.profile
    for later, span in (
        ("_visible_later", profile.membership_visible_s),
        ("_in_force_later", profile.policy_in_force_s),
        ("_in_role_later", profile.rbac_in_force_s),
    ):
        shown = set(members_as(world, group, later, known=group["_members"]))
        pending = {guid: entry for guid, entry in group.get(later, {}).items() if not world.reached(entry["at"])}
        for guid in before ^ after:
            pending[guid] = {"was": guid in shown, "at": world.instant(span)}
        group[later] = pending
    group["_members"] = list(dict.fromkeys(members))
    touch(world, group)
    tenant.groups[group["Guid"]] = group


def members_as(
    world: World, group: Document, later: str | None = None, *, known: t.Sequence[str] | None = None
) -> list[str]:
    """Guids of the direct members: as configured, as shown (``_visible_later``), as enforced (``_in_force_later``)."""
    members = list(group["_members"] if known is None else known)
    if later is None:
        return members
    for guid, entry in group.get(later, {}).items():
        if world.reached(entry["at"]):
            continue
        if entry["was"] and guid not in members:
            members.append(guid)
        if not entry["was"] and guid in members:
            members.remove(guid)
    return members


def holds(world: World, tenant: Tenant, scope_guid: str, mailbox_guid: str, *, in_force: bool) -> bool:
    """Whether the mailbox is the scope itself or a member of it, directly or through nested groups."""
    later = "_in_force_later" if in_force else None
    seen: set[str] = set()
    queue = [scope_guid]
    while queue:
        guid = queue.pop()
        if guid == mailbox_guid:
            return True
        if guid in seen or guid not in tenant.groups:
            continue
        seen.add(guid)
        queue.extend(members_as(world, tenant.groups[guid], later))
    return False


def member_addresses(tenant: Tenant, group: Document) -> list[str]:
    """Primary addresses of the direct members as configured, for a report on the tenant's state."""
    found = (recipient(tenant, guid) for guid in group["_members"])
    return [document["PrimarySmtpAddress"] for document in found if document]


def touch(world: World, document: Document) -> None:
    document["WhenChangedUTC"] = document["WhenChanged"] = timestamp(world)


# ---- judging --------------------------------------------------------------------------------------------------------


def policy_verdict(
    world: World, tenant: Tenant, app_id: str, mailbox: Document, *, in_force: bool
) -> t.Literal["Granted", "Denied"]:
    """What the application access policies say of ``app_id`` and ``mailbox``.

    ``in_force=False`` judges the configuration (Test-ApplicationAccessPolicy), ``in_force=True`` what real access meets
    now: new policies and members count later, removed ones still count for a while.
    """
    about = [policy for policy in tenant.application_access_policies.values() if _about(policy, app_id)]
    policies = [policy for policy in about if policy["IsValid"]]
    if in_force:
        policies = [policy for policy in policies if world.reached(policy.get("_in_force_at"))]
        removed = tenant.settings.get(REMOVED_POLICIES, {}).get("policies", [])
        policies += [policy for policy in removed if _about(policy, app_id) and not world.reached(policy["_until"])]
    matching = [
        policy["AccessRight"]
        for policy in policies
        if holds(world, tenant, policy["_scope"], mailbox["Guid"], in_force=in_force)
    ]
    if "DenyAccess" in matching:
        return "Denied"
    if "RestrictAccess" in matching:
        return "Granted"
    return "Denied" if any(policy["AccessRight"] == "RestrictAccess" for policy in policies) else "Granted"


def remove_policy(world: World, tenant: Tenant, identity: str) -> None:
    """Take a policy out of the configuration. One already enforced stays enforced for the profile's delay."""
    policy = tenant.application_access_policies.pop(identity)
    if not world.reached(policy.get("_in_force_at")):
        return
    kept = tenant.settings.get(REMOVED_POLICIES, {}).get("policies", [])
    kept = [entry for entry in kept if not world.reached(entry["_until"])]
    until = world.instant(world.profile.policy_in_force_s)
    tenant.settings[REMOVED_POLICIES] = {"policies": [*kept, {**policy, "_until": until}]}


def _about(policy: Document, app_id: str) -> bool:
    return str(policy["AppId"]).lower() in ("*", app_id.lower())


def organization_config(tenant: Tenant) -> Document:
    return tenant.settings.get("organization_config") or {"EwsEnabled": None, "EwsAllowedAppIDs": None}


def set_ews(world: World, holder: Collection, key: str, changes: Document) -> None:
    """Change EWS settings of the document ``holder[key]``; they are enforced after the profile's delay.

    ``_ews_log`` keeps what was set when: the last entry whose time has come is the one enforced.
    """
    document = holder.get(key) or {"EwsEnabled": None, "EwsAllowedAppIDs": None}
    log = document.get("_ews_log") or [{**_ews_settings(document), "_in_force_at": None}]
    document = {**document, **changes}
    log.append({**_ews_settings(document), "_in_force_at": world.instant(world.profile.ews_in_force_s)})
    first = max(index for index, entry in enumerate(log) if world.reached(entry["_in_force_at"]))
    document["_ews_log"] = log[first:]
    holder[key] = document


def _ews_settings(document: Document) -> Document:
    return {key: document.get(key) for key in EWS_SETTINGS}


def _enforced_ews(world: World, document: Document) -> Document:
    reached = [entry for entry in document.get("_ews_log") or [] if world.reached(entry["_in_force_at"])]
    return reached[-1] if reached else _ews_settings(document)


def ews_gate(world: World, tenant: Tenant, app_id: str, mailbox: Document, user_agent: str | None = None) -> str | None:
    """None when EWS is open for this app and mailbox now, else what stands in ``X-EWS-Policy-Reason``.

    Without ``user_agent`` the lists of user agents are not looked at.
    """
    reasons, dates = TEXTS["ews"]["policy_reasons"], TEXTS["ews"]["dates"]
    now = world.clock.now()
    organization = _enforced_ews(world, organization_config(tenant))
    if organization["EwsEnabled"] is False or _enforced_ews(world, mailbox)["EwsEnabled"] is False:
        return str(reasons["disabled"])
    if _since(dates["retired_from"], now):
        return str(reasons["disabled"])
    # The organization's control and the mailbox's own both have to let the user agent pass.
    controls = (organization, _enforced_ews(world, mailbox))
    if user_agent is not None and not all(_agent_passes(control, user_agent) for control in controls):
        return str(reasons["policy"])
    if organization["EwsEnabled"] is not True:
        return None
    listed = {entry.strip().lower() for entry in (organization["EwsAllowedAppIDs"] or "").split(",") if entry.strip()}
    if not listed:
        return str(reasons["policy"]) if _since(dates["empty_list_blocks_from"], now) else None
    return None if app_id.lower() in listed else str(reasons["policy"])


def _agent_passes(settings: Document, user_agent: str) -> bool:
    """The older control: patterns of user agents, an allow list or a block list."""

    def listed(key: str) -> bool:
        patterns = (".*".join(re.escape(part) for part in entry.split("*")) for entry in settings[key] or [])
        return any(re.fullmatch(pattern, user_agent, re.IGNORECASE) for pattern in patterns)

    if settings["EwsApplicationAccessPolicy"] == "EnforceAllowList":
        return listed("EwsAllowList")
    return settings["EwsApplicationAccessPolicy"] != "EnforceBlockList" or not listed("EwsBlockList")


def _since(date: dt.date | None, now: dt.datetime) -> bool:
    return date is not None and bool(now.date() >= date)
