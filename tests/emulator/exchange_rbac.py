# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Service principals in Exchange, management scopes, role assignments, rights on mailboxes: data, and who may what.

Nothing here knows of HTTP or of cmdlets. Own keys:

* pointer ``_visible_at``: from then on other cmdlets find it
* role assignment ``_scope``: the name of its management scope in lower case, ``circles.UNIT`` and the id of an
  administrative unit, or None for the whole organization; ``_in_force_at``: real access obeys it from then on; a
  removed one is enforced until ``_until``, in the scope as it was then, ``_scope_then`` (both kept in
  ``settings["removed_role_assignments"]``)
* management scope ``_filters``: its earlier filters, ``{"filter", "until"}``, obeyed by real access until then
* right ``_mailbox``: Guid of the mailbox; ``_sid``: whose it is; ``_since``: from when real access obeys each of them
"""

from __future__ import annotations

import copy
import pathlib
import re
import typing as t
import uuid

from . import circles, exchange_filter
from .exchange_directory import initial_domain, members_as, organizational_unit, timestamp
from .model import Collection, Document, Tenant, World, load_yaml

TEXTS: t.Final[Document] = load_yaml(pathlib.Path(__file__).with_name("rbac_texts.yml").read_text("utf-8"))
REMOVED: t.Final = "removed_role_assignments"
ANSWERS: t.Final = "role_answers"
SELF: t.Final = "NT AUTHORITY\\SELF"
_FILTERABLE: t.Final = frozenset(
    {
        *("primarysmtpaddress", "userprincipalname", "externaldirectoryobjectid", "recipienttypedetails", "alias"),
        *("name", "displayname", "guid", *(f"customattribute{number}" for number in range(1, 16))),
    }
)


def switch(tenant: Tenant, name: str, default: t.Any = None) -> t.Any:
    """What the tenants file says of how this tenant's Exchange behaves where real ones differ."""
    return (tenant.settings.get("switches") or {}).get(name, default)


# ---- pointers -------------------------------------------------------------------------------------------------------


def new_pointer(world: World, tenant: Tenant, *, app_id: str, object_id: str, display_name: str | None) -> Document:
    guid = str(uuid.uuid5(uuid.UUID(tenant.id), f"pointer:{object_id}:{len(tenant.exchange_service_principals)}"))
    number = uuid.UUID(guid).int
    # A new one has a new SID, also where an earlier one was of the same service principal.
    born = switch(tenant, "pointers_made", 0) + 1
    tenant.settings["switches"] = {**(tenant.settings.get("switches") or {}), "pointers_made": born}
    now = timestamp(world)
    document: Document = {
        "DisplayName": display_name or "",
        "AppId": app_id.lower(),
        "ObjectId": object_id.lower(),
        "Sid": f"S-1-5-21-{number % 10**9}-{number // 7 % 10**9}-{number // 49 % 10**9}-{40000 + born}",
        "SidHistory": [],
        "Identity": object_id.lower(),
        "Id": object_id.lower(),
        "IsValid": True,
        "ExchangeVersion": TEXTS["pointer"]["exchange_version"],
        "Name": object_id.lower(),
        "DistinguishedName": f"CN={object_id.lower()},{organizational_unit(tenant)}",
        "ObjectCategory": TEXTS["pointer"]["object_category"],
        "ObjectClass": list(TEXTS["pointer"]["object_class"]),
        "ExchangeObjectId": guid,
        "OrganizationalUnitRoot": initial_domain(tenant),
        "OrganizationId": initial_domain(tenant),
        "Guid": guid,
        **dict.fromkeys(("WhenChanged", "WhenCreated", "WhenChangedUTC", "WhenCreatedUTC"), now),
        "_visible_at": world.instant(world.profile.pointer_visible_s),
    }
    tenant.exchange_service_principals[guid] = document
    return document


def find_pointer(tenant: Tenant, identity: str) -> Document | None:
    """By any of the names that Exchange takes."""
    wanted = identity.strip().lower()
    keys = ("Name", "DistinguishedName", "Guid", "AppId", "ObjectId", "DisplayName", "Sid", "Identity")
    for pointer in tenant.exchange_service_principals.values():
        if wanted and wanted in (str(pointer[key]).lower() for key in keys):
            return pointer
    return None


def pointer_of(tenant: Tenant, app_id: str) -> Document | None:
    """The pointer that leads to the application's service principal; one with another object id leads nowhere."""
    principal = next((sp for sp in tenant.service_principals.values() if sp["appId"].lower() == app_id.lower()), None)
    for pointer in tenant.exchange_service_principals.values():
        if pointer["AppId"] == app_id.lower() and principal is not None and pointer["ObjectId"] == principal["id"]:
            return pointer
    return None


def pointer_by_object(tenant: Tenant, app_id: str, object_id: str) -> Document | None:
    """The pointer of whoever shows a token: by the ``oid`` in it. One made from a wrong object id is never found."""
    for pointer in tenant.exchange_service_principals.values():
        if pointer["AppId"] == app_id.lower() and pointer["ObjectId"] == object_id.lower():
            return pointer
    return None


# ---- scopes ---------------------------------------------------------------------------------------------------------


def in_scope(tenant: Tenant, scope: Document | None, mailbox: Document, *, world: World | None = None) -> bool:
    """Whether a management scope holds the mailbox; no scope is the whole organization. Direct members only.

    With ``world`` members count as real access obeys them now.
    """
    if scope is None:
        return True
    if "_unit" in scope:
        return mailbox["Guid"] in circles.units(tenant).get(scope["_unit"], {}).get("members", ())
    try:
        old = [one for one in scope.get("_filters", ()) if world is not None and not world.reached(one["until"])]
        test = exchange_filter.parse(old[0]["filter"] if old else scope["RecipientFilter"])
        return test(_reader(tenant, mailbox, world))
    except (exchange_filter.FilterError, KeyError):
        return False


def inside(tenant: Tenant, scope: Document, guids: t.Iterable[str]) -> set[str]:
    """Which of these mailboxes a management scope holds, as it is configured."""
    if "_unit" in scope:
        return set(circles.units(tenant).get(scope["_unit"], {}).get("members", ())) & set(guids)
    held = circles.memberships(tenant)
    try:
        test = exchange_filter.parse(scope["RecipientFilter"])
        return {guid for guid in guids if test(_plain_reader(tenant.mailboxes[guid], held))}
    except (exchange_filter.FilterError, KeyError):
        return set()


def _plain_reader(mailbox: Document, held: dict[str, list[str]]) -> exchange_filter.Read:
    def read(name: str) -> t.Any:
        if name == "memberofgroup":
            return held.get(mailbox["Guid"], [])
        if name not in _FILTERABLE:
            raise KeyError(name)
        return next((value for key, value in mailbox.items() if key.lower() == name), None)

    return read


def _reader(tenant: Tenant, mailbox: Document, world: World | None) -> exchange_filter.Read:
    def read(name: str) -> t.Any:
        if name == "memberofgroup":
            holders = (
                group
                for group in tenant.groups.values()
                if mailbox["Guid"]
                in (group["_members"] if world is None else members_as(world, group, "_in_role_later"))
            )
            mine = [guid for guid, one in circles.unified(tenant).items() if mailbox["Guid"] in one["members"]]
            unified = [tenant.mailboxes[guid] for guid in mine if guid in tenant.mailboxes]
            return [group["DistinguishedName"] for group in (*holders, *unified)]
        if name not in _FILTERABLE:
            raise KeyError(name)
        return next((value for key, value in mailbox.items() if key.lower() == name), None)

    return read


def as_read_back(text: str) -> str:
    """A compound filter comes back with every clause in brackets of its own, and the whole in one more pair."""
    clauses = re.split(r"\s+-or\s+", text.strip(), flags=re.IGNORECASE)
    if len(clauses) < 2 or any(clause.count("(") != clause.count(")") for clause in clauses):
        return text.strip()
    return "(" + " -or ".join(f"({clause.strip().strip('()')})" for clause in reversed(clauses)) + ")"


# ---- role assignments -----------------------------------------------------------------------------------------------


def assignments_of(world: World, tenant: Tenant, pointer: Document, *, in_force: bool = False) -> list[Document]:
    """Enabled ones: as configured, or as real access obeys them now."""
    found = [one for one in tenant.role_assignments.values() if one["App"] == pointer["ObjectId"] and one["Enabled"]]
    if in_force:
        found = [one for one in found if world.reached(one.get("_in_force_at"))]
        gone = (tenant.settings.get(REMOVED) or {}).get("assignments", [])
        found += [one for one in gone if one["App"] == pointer["ObjectId"] and not world.reached(one["_until"])]
    return found


def scope_of(tenant: Tenant, assignment: Document) -> Document | None:
    """Raises KeyError for a scope that is gone."""
    key = assignment["_scope"]
    if key is not None and key.startswith(circles.UNIT):
        return {"_unit": key.removeprefix(circles.UNIT)}
    if key is None:
        return None
    # One that is only in force yet may have outlived its scope.
    return tenant.management_scopes.get(key) or t.cast("Document", assignment["_scope_then"])


def role_grants(
    world: World, tenant: Tenant, app_id: str, mailbox: Document, permission: str, *, in_force: bool
) -> bool:
    """Whether a role assignment lets the application use ``permission`` (a role's word) on the mailbox.

    ``in_force``: as real access obeys it now. With the switch ``rbac_cache`` that is the answer of an earlier attempt
    for as long as attempts go on: it is forgotten after half an hour of silence, or two hours after it was made.
    """
    pointer = pointer_of(tenant, app_id)
    if pointer is None:
        return False
    spans = switch(tenant, "rbac_cache") if in_force else None
    if not spans:
        return _grants(world, tenant, pointer, mailbox, permission, in_force=in_force)
    idle, busy = (1800.0, 7200.0) if spans is True else spans
    now, key = world.clock.timestamp(), f"{pointer['ObjectId']}:{mailbox['Guid']}:{permission}"
    answers = dict(tenant.settings.get(ANSWERS) or {})
    kept = answers.get(key)
    if kept is None or now - kept["asked"] >= idle or now - kept["made"] >= busy:
        kept = {"answer": _grants(world, tenant, pointer, mailbox, permission, in_force=False), "made": now}
    answers[key] = {**kept, "asked": now}
    tenant.settings[ANSWERS] = answers
    return bool(kept["answer"])


def _grants(
    world: World, tenant: Tenant, pointer: Document, mailbox: Document, permission: str, *, in_force: bool
) -> bool:
    return any(
        permission in TEXTS["roles"].get(assignment["Role"], ())
        and in_scope(tenant, scope_of(tenant, assignment), mailbox, world=world if in_force else None)
        for assignment in assignments_of(world, tenant, pointer, in_force=in_force)
    )


def remove_assignment(world: World, tenant: Tenant, key: str) -> None:
    """Out of the configuration; what was in force stays so for the cache's time."""
    assignment = tenant.role_assignments.pop(key)
    if not world.reached(assignment.get("_in_force_at")):
        return
    gone = (tenant.settings.get(REMOVED) or {}).get("assignments", [])
    gone = [one for one in gone if not world.reached(one["_until"])]
    until = world.instant(world.profile.rbac_in_force_s)
    scope = copy.deepcopy(tenant.management_scopes.get(assignment["_scope"]))
    kept = {**assignment, "_until": until, **({"_scope_then": scope} if scope else {})}
    tenant.settings[REMOVED] = {"assignments": [*gone, kept]}


# ---- rights on mailboxes --------------------------------------------------------------------------------------------


def rights_of(tenant: Tenant, mailbox_guid: str, sid: str, *, world: World | None = None) -> set[str]:
    """What the pointer of this SID may on the mailbox: FullAccess, SendAs, …; a denial wins.

    With ``world`` as real access obeys it now.
    """
    allowed: set[str] = set()
    denied: set[str] = set()
    for collection in (tenant.mailbox_permissions, tenant.recipient_permissions):
        for entry in collection.values():
            if entry["_mailbox"] == mailbox_guid and entry["_sid"] == sid:
                since = entry.get("_since", {})
                in_force = (right for right in entry["_rights"] if world is None or world.reached(since.get(right)))
                (denied if entry["_deny"] else allowed).update(in_force)
    return allowed - denied


def put_right(
    collection: Collection,
    *,
    mailbox: str,
    sid: str,
    rights: t.Iterable[str],
    deny: bool,
    shown: Document,
    since: float | None = None,
) -> bool:
    """Add to a trustee's entry on a mailbox, obeyed from ``since`` on; whether anything was new."""
    key = f"{mailbox}:{sid}:{deny}"
    entry = collection.get(key) or {**shown, "_mailbox": mailbox, "_sid": sid, "_deny": deny, "_rights": []}
    new = [right for right in rights if right not in entry["_rights"]]
    if new:
        entry["_rights"] = [*entry["_rights"], *new]
        entry["_since"] = {**entry.get("_since", {}), **dict.fromkeys(new, since)}
        collection[key] = entry
    return bool(new)


def take_right(collection: Collection, *, mailbox: str, sid: str, rights: t.Iterable[str], deny: bool) -> bool:
    """Take from a trustee's entry; whether anything was there."""
    key = f"{mailbox}:{sid}:{deny}"
    entry = collection.get(key)
    if entry is None or not set(entry["_rights"]) & set(rights):
        return False
    entry["_rights"] = [right for right in entry["_rights"] if right not in set(rights)]
    if entry["_rights"]:
        collection[key] = entry
    else:
        del collection[key]
    return True
