# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The sum of one application: each mailbox with every way into it, what it could give itself, and who could help. Pure.

Authorities add up. What is dormant opens nothing today, and is told apart. What could not be read is named, and makes
the sum an *at least*.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _delegated, _names, _permissions, _time, _widening
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_state import (
    ASSIGNMENTS,
    DELEGATED,
    FULL_ACCESS,
    GROUP_OWNERS,
    POINTERS,
    POLICIES,
    ROLE_GROUPS,
    SCOPES,
    SEND_AS,
    Held,
    Holder,
    Known,
    Person,
    State,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import (
    access_policy,
    application_role,
    mailbox_permission,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import EVERY_APPLICATION
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import Assignment
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Grant, Permission, is_whole
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.tenant_wide import TenantWide
from ansible_collections.mail2fax.m365.plugins.module_utils._widening import Limits, Power

Json = dict[str, t.Any]

DISABLED = "its service principal is disabled"
NO_PRINCIPAL = "Entra has no service principal of it"
UNSEEN = "it could not be read whether Entra lets it sign in"
NOT_ASSIGNED = "the role assignment is disabled"
WRONG_POINTER = "Exchange's service principal leads to another object than the application's"
RETIRED = "the API that it is for ended in March 2024"

_MAIL_PROTOCOLS = frozenset({"imap", "pop", "smtp"})
_RETIRED = ("mail.", "mail-advanced.", "calendars.", "contacts.", "mailboxsettings.", "tasks.")
_NO_MAIL = (*("exchange.", "user.", "organization.", "place.", "people.", "reportingwebservice."), "exportconfig.")
"""How the names of Exchange Online's application permissions begin that open no mailbox."""


@dataclass
class _Sum:
    """What was found of one application."""

    open: list[Grant] = field(default_factory=list)
    dormant: list[tuple[Grant, str]] = field(default_factory=list)
    powers: list[Power] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    missing: dict[str, None] = field(default_factory=dict)

    def lacks(self, word: str) -> None:
        self.missing[word] = None

    def add(self, grants: t.Iterable[Grant], why: str = "", since: t.Mapping[str, str] | None = None) -> None:
        """``why``: they are dormant; ``since``: when each permission was granted."""
        for grant in (replace(one, since=(since or {}).get(one.permission, one.since)) for one in grants):
            if why:
                self.dormant.append((grant, why))
            else:
                self.open.append(grant)


class _Asked:
    """Answers for the members of groups, and remembers which could not be told."""

    def __init__(self, known: Known, labels: t.Mapping[str, str], total: _Sum) -> None:
        self._known, self._labels, self._total = known, labels, total

    def __call__(self, key: str) -> frozenset[str] | None:
        found = self._known.get(key)
        if not is_whole(found) and key in self._known:
            self._total.lacks(self._labels.get(key, key))
        return found


def application(holder: Holder, held: Held, state: State) -> Json:
    """One application in the shape of the report."""
    total = _Sum(missing=dict.fromkeys(holder.missing))
    asleep = "" if holder.enabled else DISABLED
    if not holder.object_id:
        asleep = NO_PRINCIPAL if holder.seen else UNSEEN
    _by_entra(holder, held, total, asleep)
    pointer = held.pointer(holder.app_id)
    if held.pointers is None:
        total.lacks(POINTERS)
    elif pointer is not None:
        why = asleep or ("" if pointer.object_id == holder.object_id else WRONG_POINTER)
        limits = _by_roles(pointer, held, total, why)
        _by_rights(holder, pointer, held, total, why)
        if pointer.object_id == holder.object_id:
            _groups_of(holder, pointer, held, total)
        total.powers += _widening.of_permissions(holder.held, limits)
    if pointer is None:
        total.powers += _widening.of_permissions(holder.held, Limits())
    total.powers += _widening.of_directory_roles(holder.roles, manages=_widening.is_manager(holder.held))
    total.powers += _widening.of_credentials(holder.home, holder.display_name, holder.credentials)
    total.people += holder.people
    return _shown(holder, held, state, total)


# ---- each kind of way -----------------------------------------------------------------------------------------------


def _by_entra(holder: Holder, held: Held, total: _Sum, asleep: str) -> None:
    dead = [one for one in holder.held if _is_retired(one)]
    alive = [one for one in holder.held if one not in dead and not _is_harmless(one)]
    for one in alive:
        if not _is_told(one):
            of = _permissions.resource_name(one.resource) if one.resource else "a resource that could not be read"
            total.lacks(f"what the permission {one.name} of {of} opens")
    alive = [one for one in alive if _is_told(one)]
    since = {one.name: at for one, at in holder.since.items() if one in alive}
    total.add([Grant(TenantWide.name, one.name, "graph") for one in dead], asleep or RETIRED)
    total.add(TenantWide().grants(holder.app_id, alive, [], lambda _key: None), asleep, since)
    limited = [one for one in alive if access_policy.is_limited(one.resource, one.name)]
    if limited and held.policies is None:
        total.lacks(POLICIES)
    elif limited:
        inside = _Asked(held.in_policies, held.labels, total)
        hers = [one for one in held.policies or () if one.app_id in (holder.app_id, EVERY_APPLICATION)]
        for grant in access_policy.grants_of(holder.app_id, limited, hers, inside):
            model = grant.model if grant.limited_by else TenantWide.name
            total.add([replace(grant, model=model)], asleep, since)
        for policy in hers:
            if not policy.is_valid:
                total.lacks(f"whether the policy {policy} still limits, which Exchange calls not valid")
            _looked_after(policy.entra_id or policy.sid or policy.scope_identity, held, total)
    people = _Asked(held.of_people, held.labels, total)
    for consent in holder.consents:
        if not consent.resource and _delegated.counts(consent):
            total.lacks(DELEGATED)
        found = _delegated.grants_of(consent, people, lambda user: held.labels.get(user, user))
        total.add(found, asleep)
        for grant in found:
            if not grant.complete and is_whole(held.of_people.get(consent.user)):
                total.lacks(
                    f"which mailboxes {held.labels.get(consent.user, consent.user)} may open beside the own one"
                )


def _is_retired(one: Permission) -> bool:
    return one.resource == _widening.EXCHANGE and one.name.casefold().startswith(_RETIRED)


def _is_harmless(one: Permission) -> bool:
    """Whether it is known to open no mailbox by itself."""
    name = one.name.casefold()
    if _names.is_guid(name):
        return False
    if one.resource == _widening.EXCHANGE:
        return name.startswith(_NO_MAIL)
    return one.resource == _widening.GRAPH and not name.startswith(("mail", "calendars.", "contacts."))


def _is_told(one: Permission) -> bool:
    """Whether it is known what it opens."""
    name = one.name.casefold()
    if one.resource == _widening.EXCHANGE:
        return name == "full_access_as_app" or name in mailbox_permission.OPENED_BY
    kinds = ("mail.", "mailboxsettings.", "calendars.", "contacts.")
    return name.startswith(kinds) or _permissions.is_never_limited(one.resource, one.name)


def _by_roles(pointer: Pointer, held: Held, total: _Sum, why: str) -> Limits:
    """The ways by roles, and what of their limits others can write."""
    if held.assignments is None:
        total.lacks(ASSIGNMENTS)
        return Limits()
    hers = [one for one in held.assignments if application_role.has(pointer, one)]
    opening = [one for one in hers if _opens(one)]
    total.powers += _widening.of_exchange_roles(one.role for one in hers if one.enabled and one not in opening)
    if held.scopes is None and any(one.kind == application_role.CUSTOM for one in opening):
        total.lacks(SCOPES)
    inside = _Asked(held.in_roles, held.labels, total)
    scopes = held.scopes or ()
    unified = unit = attributes = False
    for one in opening:
        awake = replace(one, enabled=True)
        made = _time.instant(one.since)
        found = [
            replace(grant, since=_time.iso(made) if made else "")
            for grant in application_role.grants_of([awake], scopes, inside)
        ]
        total.add(found, why or ("" if one.enabled else NOT_ASSIGNED))
        if not all(grant.complete for grant in found) and held.scopes is not None:
            total.lacks(f"which mailboxes the {one.limit} holds")
        scope = next((scope for scope in scopes if one.is_on(scope)), None)
        keys = [one.scope]
        if scope is not None:
            keys = [*(scope.filter.groups or ())]
            attributes = attributes or scope.filter.groups is None
        unit = unit or one.kind == application_role.ADMINISTRATIVE_UNIT
        unified = unified or any(key in held.unified for key in keys)
        for key in keys:
            _looked_after(key, held, total)
    return Limits(unified, unit, attributes)


def _looked_after(key: str, held: Held, total: _Sum) -> None:
    """With who owns the group of a limit; a limit that is no group has no owner."""
    owners = held.owners.get(key, ())
    if owners is None:
        total.lacks(GROUP_OWNERS)
    total.people += owners or ()


def _opens(one: Assignment) -> bool:
    """Whether it is a role of applications; what is for administrators is a power."""
    return application_role.opens_mail(one.role) and one.role.casefold() not in _widening.EXCHANGE_ROLES


def _by_rights(holder: Holder, pointer: Pointer, held: Held, total: _Sum, why: str) -> None:
    claims = [
        one
        for one in holder.held
        if one.resource == _widening.EXCHANGE and one.name.casefold() in mailbox_permission.OPENED_BY
    ]
    by_role = any(grant.protocol in _MAIL_PROTOCOLS for grant in total.open if grant.model == "application_role")
    if (claims or by_role) and not held.scanned:
        total.lacks(FULL_ACCESS)
    if not claims:
        return
    full = {
        guid
        for guid, entries in held.entries.items()
        if mailbox_permission.FULL_ACCESS
        in mailbox_permission.Rights.of(one for one in entries if one.is_of(pointer)).effective
    }
    sending = held.send_as.get(holder.app_id)
    if sending is None and any(one.name.casefold() == "smtp.sendasapp" for one in claims):
        total.lacks(SEND_AS)
    by_mailbox: dict[str, list[mailbox_permission.Entry]] = {}
    for guid, entry in sending or ():
        by_mailbox.setdefault(guid, []).append(entry)
    send = {
        guid
        for guid, entries in by_mailbox.items()
        if mailbox_permission.SEND_AS in mailbox_permission.Rights.of(entries).effective
    }
    on = {mailbox_permission.FULL_ACCESS: frozenset(full), mailbox_permission.SEND_AS: frozenset(send)}
    since = {one.name: at for one, at in holder.since.items() if one in claims}
    total.add(mailbox_permission.grants_of(claims, on, scanned=held.scanned), why, since)


def _groups_of(holder: Holder, pointer: Pointer, held: Held, total: _Sum) -> None:
    if not _widening.is_manager(holder.held):
        return  # nobody lets it in to where a role group counts
    if held.role_groups is None:
        total.lacks(ROLE_GROUPS)
        return
    for group in held.role_groups:
        if any(pointer.is_named(name) or name.casefold() == pointer.app_id for name in group.members):
            total.powers += _widening.of_exchange_roles(group.roles, group.name)


# ---- the shape ------------------------------------------------------------------------------------------------------


def _shown(holder: Holder, held: Held, state: State, total: _Sum) -> Json:
    sure = [grant for grant in total.open if not grant.unsure or grant.everything]
    wide = [grant for grant in sure if grant.everything]
    known = {guid for grant in sure for guid in grant.only or () if grant.opens(guid)}
    if wide:
        known |= state.asked
    rows = []
    closed = _closed(wide, sure)
    certain = [grant for grant in sure if not grant.unsure]
    for guid in known:
        ways = [_way(grant) for grant in certain if grant.opens(guid)]
        if ways:
            ways += [_way(grant, why) for grant, why in total.dormant if grant.opens(guid)]
            rows.append({"address": _address(held, guid), "ways": _unique(ways)})
    asleep = []
    for guid in {guid for grant, _why in total.dormant for guid in grant.only or () if grant.opens(guid)}:
        ways = [_way(grant, why) for grant, why in total.dormant if grant.opens(guid)]
        if ways and not any(grant.opens(guid) for grant in certain):
            asleep.append({"address": _address(held, guid), "ways": _unique(ways)})
    everywhere = [{**_way(grant), "but": _addresses(held, grant.but)} for grant in wide]
    everywhere += [
        {**_way(grant, why), "but": _addresses(held, grant.but)} for grant, why in total.dormant if grant.everything
    ]
    return {
        "app_id": holder.app_id,
        "display_name": holder.display_name,
        "complete": not total.missing,
        "missing": sorted(total.missing),
        "mailboxes": sorted(rows, key=_by_address),
        "everything": bool(wide),
        "everything_ways": _unique(everywhere),
        "closed": _addresses(held, closed),
        "dormant": sorted(asleep, key=_by_address),
        "powers": [one.as_dict() for one in sorted(set(total.powers))],
        "people": [one.as_dict() for one in sorted(set(total.people))],
        "object_id": holder.object_id or None,
        "enabled": holder.enabled and bool(holder.object_id) if holder.seen else None,
        "kind": holder.kind or None,
        "home_tenant": holder.home or None,
    }


def _closed(wide: t.Sequence[Grant], sure: t.Sequence[Grant]) -> frozenset[str]:
    """The mailboxes that stay closed though everything is open."""
    if not wide:
        return frozenset()
    off = frozenset.intersection(*(frozenset(grant.but) for grant in wide))
    return frozenset(guid for guid in off if not any(grant.opens(guid) for grant in sure))


def _way(grant: Grant, why: str = "") -> Json:
    shown: Json = {
        "protocol": grant.protocol,
        "permission": grant.permission,
        "model": grant.model,
        "limited_by": list(grant.limited_by),
        "alive": not why,
    }
    told = {"why": why, "since": grant.since}
    return {**shown, **{name: value for name, value in told.items() if value}}


def _unique(ways: t.Sequence[Json]) -> list[Json]:
    found: list[Json] = []
    for way in ways:
        if way not in found:
            found.append(way)
    return sorted(found, key=lambda way: (not way["alive"], way["protocol"], way["permission"], way["model"], str(way)))


def _by_address(row: Json) -> str:
    return str(row["address"]).casefold()


def _address(held: Held, guid: str) -> str:
    one = held.recipients.get(guid)
    return one.label if one is not None else guid


def _addresses(held: Held, guids: t.Iterable[str]) -> list[str]:
    return sorted((_address(held, guid) for guid in guids), key=str.casefold)


def is_of_note(holder: Holder, shown: t.Mapping[str, t.Any]) -> bool:
    """Whether an application has any power over mail, today or dormant, or may have one that could not be read.

    What could not be read of all alike makes none of them of note.
    """
    own = {*shown["missing"]} - {*holder.missing, POINTERS, ASSIGNMENTS, ROLE_GROUPS}
    return bool(own or shown["mailboxes"] or shown["everything_ways"] or shown["dormant"] or shown["powers"])


def wider(shown: t.Mapping[str, t.Any], declared: t.Collection[str]) -> Json:
    """What an application can open beyond the declared mailboxes (primary addresses)."""
    wanted = {address.casefold() for address in declared}
    beyond = [row["address"] for row in shown["mailboxes"] if row["address"].casefold() not in wanted]
    powers = [one["permission"] for one in shown["powers"] if one["opens"] in (_widening.EVERYTHING, _widening.ITSELF)]
    return {"mailboxes": beyond, "everything": shown["everything"], "powers": powers}
