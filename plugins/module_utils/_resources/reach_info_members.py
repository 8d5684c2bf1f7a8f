# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Who is in what limits applications: groups at any depth, filters of scopes, administrative units, people."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import (
    GROUPS,
    ORGANIZATION_MANAGEMENT,
    PER_FILTER,
    Recipient,
    in_chunks,
    is_organization_management,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_entra import Entra
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_exchange import Asker
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_send_as import Printed, SendAs
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_state import OPENED, Held, Person
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import application_role
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import Policy
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import Assignment, Scope
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Partly
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.recipient_filter import folded

Json = dict[str, t.Any]
_Members: t.TypeAlias = "frozenset[str] | None"

_WHO = "read who is in what limits applications"
DEEPEST = 30
MOST_ONE_BY_ONE = 4 * PER_FILTER
"""Up to so many people are looked for by name; more are found in the list of all mailboxes."""
_UNIFIED = "GroupMailbox"


class Members:
    """Looks them up for policies, role assignments and people, and puts them under the keys that are asked with."""

    def __init__(self, ask: Asker, entra: Entra, everybody: t.Callable[[], tuple[list[Recipient], bool]]) -> None:
        self._ask = ask
        self._entra = entra
        self._everybody = everybody
        self._known: dict[str, Recipient] = {}
        self._printed = Printed()
        self._named: dict[str, Recipient] = {}  # groups, and what else was looked for by what names it
        self._by_id: dict[str, Recipient] = {}
        self._direct: dict[str, tuple[frozenset[str], tuple[Recipient, ...], bool]] = {}
        self._managers: dict[str, tuple[str, ...]] = {}

    def look(
        self,
        held: Held,
        policies: t.Sequence[Policy],
        assignments: t.Sequence[Assignment],
        people: t.Sequence[str],
        send_as: SendAs,
    ) -> Held:
        """With all that decides of these: two requests, beside the members of groups and of many scopes."""
        self._learn(held.recipients.values())
        scopes = _used(held.scopes or (), assignments)
        filters = {scope.filter.text: scope for scope in scopes if not scope.filter.is_empty}
        on_groups = list(dict.fromkeys(one.scope for one in assignments if one.kind == application_role.GROUP))
        units = list(
            dict.fromkeys(one.scope for one in assignments if one.kind == application_role.ADMINISTRATIVE_UNIT)
        )
        in_roles: dict[str, _Members] = {}
        labels: dict[str, str] = {}
        pairs = _pairs(policies, on_groups)
        dns = [("DistinguishedName", dn) for scope in scopes for dn in scope.filter.groups or ()]
        ids = [("ExternalDirectoryObjectId", user) for user in people]
        looked = in_chunks(list(dict.fromkeys([*pairs, *ids, *dns])), _WHO)
        asked = {
            "looked": looked,
            "filters": [_filter(text) for text in filters],
            "send as": send_as.cmdlets(),
        }
        outputs = iter(self._ask.many([cmdlet for some in asked.values() for cmdlet in some]))
        told = {name: [next(outputs) for _cmdlet in some] for name, some in asked.items()}
        refused = self._take(told["looked"])
        for (text, scope), output in zip(filters.items(), told["filters"], strict=True):
            rows, whole = self._ask.some(output)
            in_roles[text] = self._mailboxes(rows, whole, gone=output.error is not None)
            labels[text] = f"which mailboxes the scope {scope.name!r} holds"
        send_as.take(self._ask, told["send as"])
        self._descend([one for one in self._named.values() if _is_asked(one, policies, on_groups)])
        owned = self._owned(policies, scopes, on_groups, refused=refused)
        self._learn_names([*self._unknown_owners(owned.values()), *send_as.names(self._printed)])
        in_policies = self._of_policies(policies, labels, refused=refused)
        in_roles |= self._of_groups(on_groups, labels, refused=refused)
        in_roles |= self._of_units(units, labels)
        return replace(
            held,
            in_policies=in_policies,
            in_roles=in_roles,
            of_people=self._of_people(people, labels, refused=refused),
            labels=labels,
            owners=self._owners(owned),
            send_as=send_as.placed(self._printed),
            unified=frozenset(name for name in on_groups if (group := self._group(name)) and group.type == _UNIFIED),
            recipients=dict(self._known),
        )

    def _learn(self, found: t.Iterable[Recipient]) -> None:
        for one in found:
            if one.guid not in self._known:
                self._known[one.guid] = one
                self._printed.add(one)
                if one.entra_id:
                    self._by_id[one.entra_id] = one

    def _take(self, outputs: t.Iterable[Output]) -> bool:
        """Whom the looks have found; whether one of them was refused."""
        refused = False
        for output in outputs:
            rows, whole = self._ask.some(output)
            refused = refused or not whole
            for row in rows:
                one = Recipient.of(row)
                self._learn([one])
                self._named[one.guid] = self._known[one.guid]
                if one.type in GROUPS:
                    self._managers[one.guid] = _texts(row.get("ManagedBy"))
        return refused

    def _learn_names(self, names: t.Sequence[str]) -> None:
        """Recipients that are known by their Names only: one request for all."""
        pairs = [("Name", name.rpartition("/")[2]) for name in dict.fromkeys(names)]
        for output in self._ask.many(in_chunks(pairs, _WHO)):
            self._learn(map(Recipient.of, self._ask.some(output)[0]))

    # ---- groups

    def _descend(self, roots: t.Sequence[Recipient]) -> None:
        """Members of these groups, and of groups in them: a request for each ten of a level, beside further pages."""
        level = list({one.guid: one for one in roots}.values())
        for _depth in range(DEEPEST):
            level = [one for one in level if one.guid not in self._direct]
            if not level:
                return
            self._read(level)
            level = list({one.guid: one for group in level for one in self._direct[group.guid][1]}.values())

    def _read(self, groups: t.Sequence[Recipient]) -> None:
        listed = [one for one in groups if one.type not in (_UNIFIED, "DynamicDistributionGroup")]
        cmdlets = [
            Cmdlet(
                "Get-DistributionGroupMember",
                {"Identity": one.guid, "ResultSize": "Unlimited"},
                f"read the members of {one.label}",
            )
            for one in listed
        ]
        for group, output in zip(listed, self._ask.many(cmdlets), strict=True):
            rows, whole = self._ask.some(output)
            found = [Recipient.of(row) for row in rows]
            self._learn(one for one in found if one.type in OPENED)
            self._direct[group.guid] = (
                frozenset(one.guid for one in found if one.type in OPENED),
                tuple(one for one in found if one.type in GROUPS),
                whole and output.error is None,
            )
        unified = [one for one in groups if one.type == _UNIFIED and one.entra_id]
        paths = {one.guid: f"/groups/{one.entra_id}/members?$top=999&$select=id,displayName" for one in unified}
        for guid, told in self._entra.members(paths).items():
            known, complete = self._by_entra([str(row.get("id") or "").lower() for row in told or ()])
            self._direct[guid] = (known, (), complete and told is not None)
        for one in groups:
            self._direct.setdefault(one.guid, (frozenset(), (), False))

    def _inside(self, group: Recipient) -> _Members:
        """At any depth."""
        found: frozenset[str] = frozenset()
        whole, seen, ahead = True, set[str](), [group]
        while ahead:
            one = ahead.pop()
            if one.guid in seen:
                continue
            seen.add(one.guid)
            mailboxes, groups, complete = self._direct.get(one.guid, (frozenset(), (), False))
            found |= mailboxes
            whole = whole and complete
            ahead += groups
        return found if whole else Partly(found)

    def _of_policies(
        self, policies: t.Sequence[Policy], labels: dict[str, str], *, refused: bool
    ) -> dict[str, _Members]:
        found: dict[str, _Members] = {}
        for policy in policies:
            key = _key(policy)
            labels[key] = f"who is in the scope of the policy {policy}"
            scope = next((one for one in self._named.values() if policy.covers(one)), None)
            if scope is None:
                # A group that was deleted holds nobody.
                found[key] = None if refused or not policy.entra_id else frozenset()
            elif scope.type in OPENED:
                found[key] = frozenset({scope.guid})
            else:
                found[key] = self._inside(scope) if scope.type in GROUPS else frozenset()
        return found

    def _group(self, name: str) -> Recipient | None:
        """The group that an assignment was made on, by how Exchange prints it."""
        guid = _guid_in(name)
        groups = [one for one in self._named.values() if one.type in GROUPS]
        return next((one for one in groups if one.guid == guid), None) or next(
            (one for one in groups if one.name.casefold() == name.casefold()), None
        )

    def _of_groups(self, names: t.Sequence[str], labels: dict[str, str], *, refused: bool) -> dict[str, _Members]:
        """Direct members only: a scope goes no deeper."""
        found: dict[str, _Members] = {}
        for name in names:
            labels[name] = f"who is in the group {name!r} that limits a role"
            group = self._group(name)
            if group is None:
                found[name] = None
                continue
            mailboxes, _groups, whole = self._direct.get(group.guid, (frozenset(), (), False))
            found[name] = mailboxes if whole and not refused else Partly(mailboxes)
        return found

    # ---- administrative units and people

    def _of_units(self, units: t.Sequence[str], labels: dict[str, str]) -> dict[str, _Members]:
        paths = {
            unit: f"/directory/administrativeUnits/{unit}/members?$top=999&$select=id"
            for unit in units
            if _names.is_guid(unit)
        }
        told = self._entra.members(paths)
        found: dict[str, _Members] = {}
        for unit in units:
            key = application_role.unit_key(unit)
            labels[key] = f"who is in the administrative unit {unit}"
            rows = told.get(unit)
            if rows is None:
                found[key] = None
                continue
            known, whole = self._by_entra([str(row.get("id") or "").lower() for row in rows])
            found[key] = known if whole else Partly(known)
        return found

    def _by_entra(self, ids: t.Sequence[str]) -> tuple[frozenset[str], bool]:
        """(the Guids of the mailboxes of these objects of the directory, whether that is all)."""
        unknown = [key for key in dict.fromkeys(ids) if key and key not in self._by_id]
        whole = True
        if len(unknown) > MOST_ONE_BY_ONE:
            everybody, whole = self._everybody()
            self._learn(everybody)
        elif unknown:
            pairs = [("ExternalDirectoryObjectId", key) for key in unknown]
            for output in self._ask.many(in_chunks(pairs, _WHO)):
                rows, complete = self._ask.some(output)
                whole = whole and complete
                self._learn(map(Recipient.of, rows))
        found = [self._by_id[key] for key in ids if key in self._by_id]
        return frozenset(one.guid for one in found if one.type in OPENED), whole

    def _of_people(self, people: t.Sequence[str], labels: dict[str, str], *, refused: bool) -> dict[str, _Members]:
        found: dict[str, _Members] = {}
        for user in people:
            one = self._by_id.get(user)
            labels[user] = one.label if one is not None else user
            if one is None:
                found[user] = None if refused else frozenset()
            else:
                found[user] = frozenset({one.guid}) if one.type in OPENED else frozenset()
        return found

    # ---- who looks after groups

    def _owned(
        self, policies: t.Sequence[Policy], scopes: t.Sequence[Scope], on_groups: t.Sequence[str], *, refused: bool
    ) -> dict[str, Recipient | None]:
        """The groups by the keys that are asked with; None for one that may have been missed."""
        by_key: dict[str, Recipient | None] = {}
        groups = [one for one in self._named.values() if one.type in GROUPS]
        for policy in policies:
            by_key[_key(policy)] = next((one for one in groups if policy.covers(one)), None)
        for dn in {dn for scope in scopes for dn in scope.filter.groups or ()}:
            by_key[dn] = next((one for one in groups if folded(one.dn) == dn), None)
        for name in on_groups:
            by_key[name] = self._group(name)
        return {key: group for key, group in by_key.items() if group is not None or refused}

    def _unknown_owners(self, groups: t.Iterable[Recipient | None]) -> list[str]:
        return [
            name
            for guid in dict.fromkeys(one.guid for one in groups if one is not None)
            for name in self._managers.get(guid, ())
            if not is_organization_management(name) and self._printed.get(name) is None
        ]

    def _owners(self, owned: t.Mapping[str, Recipient | None]) -> dict[str, tuple[Person, ...] | None]:
        unified = [one for one in owned.values() if one is not None and one.type == _UNIFIED and one.entra_id]
        owners = self._entra.members({one.guid: f"/groups/{one.entra_id}/owners?$top=999" for one in unified})
        found: dict[str, tuple[Person, ...] | None] = {}
        for key, group in owned.items():
            if group is None or (group.type == _UNIFIED and owners.get(group.guid) is None):
                found[key] = None
                continue
            what = f"owner of the group {group.label}"
            if group.type == _UNIFIED:
                found[key] = tuple(
                    Person(str(row.get("id") or "").lower(), str(row.get("userPrincipalName") or ""), what)
                    for row in owners.get(group.guid) or ()
                )
                continue
            found[key] = tuple(
                Person("", ORGANIZATION_MANAGEMENT, what)
                if is_organization_management(name)
                else _person(self._printed.get(name), name, what)
                for name in self._managers.get(group.guid, ())
            )
        return found

    def _mailboxes(self, rows: t.Sequence[Json], whole: bool, *, gone: bool) -> _Members:
        if gone:
            return None
        found = [one for one in map(Recipient.of, rows) if one.type in OPENED]
        self._learn(found)
        guids = frozenset(one.guid for one in found)
        return guids if whole else Partly(guids)


def _key(policy: Policy) -> str:
    return policy.entra_id or policy.sid or policy.scope_identity


def _pairs(policies: t.Sequence[Policy], on_groups: t.Sequence[str]) -> list[tuple[str, str]]:
    """(property, value) by which the scopes of policies, and groups that roles were assigned on, are found."""
    return [
        *(("ExternalDirectoryObjectId", one.entra_id) for one in policies if one.entra_id),
        *(("Name", one.scope_identity) for one in policies if not one.entra_id and one.scope_identity),
        *(("Name", name) for name in on_groups),
        *(("Guid", guid) for name in on_groups if (guid := _guid_in(name))),
    ]


def _person(one: Recipient | None, name: str, what: str) -> Person:
    return Person(one.entra_id, one.label, what) if one is not None else Person("", name, what)


def _texts(value: t.Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value] if value else []
    return tuple(str(item) for item in items)


def _guid_in(name: str) -> str:
    """The Guid at the end of the name of a scope that Exchange made for a group; "" where there is none."""
    tail = name.rpartition("_")[2]
    return tail.lower() if _names.is_guid(tail) else ""


def _is_asked(one: Recipient, policies: t.Sequence[Policy], on_groups: t.Sequence[str]) -> bool:
    return any(policy.covers(one) for policy in policies) or any(
        one.guid == _guid_in(name) or one.name.casefold() == name.casefold() for name in on_groups
    )


def _used(scopes: t.Sequence[Scope], assignments: t.Sequence[Assignment]) -> list[Scope]:
    return [scope for scope in scopes if any(one.is_on(scope) for one in assignments)]


def _filter(text: str) -> Cmdlet:
    """Whom a scope's filter finds. Recipients that are no mailboxes are found, too, and count for nothing."""
    return Cmdlet("Get-Recipient", {"Filter": text, "ResultSize": "Unlimited"}, "read which mailboxes a scope holds")
