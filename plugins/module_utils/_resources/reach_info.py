# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Who can open which mailbox: the resource behind ``application_reach_info``. It reads and sums up."""

from __future__ import annotations

import contextlib
import functools
import typing as t
from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _delegated, _names, _time
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput, SignInError
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan, ReadOnly
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient, listed
from ansible_collections.mail2fax.m365.plugins.module_utils._resources import reach_info_sum
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_entra import Entra, Told
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_exchange import (
    PER_BATCH,
    Asker,
    Reader,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_members import Members
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_send_as import SendAs
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.reach_info_state import (
    ASSIGNMENTS,
    OPENED,
    POINTERS,
    Held,
    Holder,
    State,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import access_policy, application_role
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import EVERY_APPLICATION
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.mailbox_permission import OPENED_BY
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.undoing import SMTP_ROLE
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.module_utils._widening import EXCHANGE


class ReachInfo(ReadOnly):
    """One application, or all that have any power over mail."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        params = task.params
        self._tenant = tenant
        self._app_id = task.app_id() if params["app_id"] else None
        self._all = bool(params["all_applications"])
        self._mailboxes = _addresses(params["mailboxes"], "mailboxes")
        self._candidates = _addresses(params["candidates"], "candidates")
        self._scan = params["scan"] == "all"
        self._limit = int(params["scan_limit"])
        if not self._app_id and not self._all:
            raise InvalidInput(
                "neither app_id nor all_applications is said",
                cure="give the application's id, or all_applications: true",
                options=("app_id", "all_applications"),
            )
        if self._limit < 1:
            raise InvalidInput("scan_limit is less than 1", cure="give a number of mailboxes", options=("scan_limit",))

    # ---- reading

    def read(self) -> State:
        told = Told()
        if self._app_id == _names.ZERO_GUID and not self._all:
            return State((Holder(self._app_id),), _nothing(), "", _time.iso(self._tenant.now()))
        entra = Entra(self._tenant.graph, told, self._tenant.now)
        asker = Asker(self._tenant.exchange, told)
        reader = Reader(asker, self._tenant.patience, None if self._all else self._app_id)
        named = list(dict.fromkeys([*self._mailboxes, *self._candidates]))
        held, found = reader.look(named)
        if self._all:
            pointed = sorted({one.app_id for one in held.pointers or ()})
            holders = entra.everybody(self._app_id, pointed)
        else:
            holders = [entra.one(str(self._app_id))]
        if not told.answers and told.refusals:
            raise told.refusals[0]
        everybody = functools.cache(lambda: reader.everybody(None))
        claiming, sending = _claims(held, holders)
        members = Members(asker, entra, everybody)
        held = self._with_members(members, held, holders, SendAs(sending, reader.sent))
        asked = [one for one in found.values() if one is not None]
        if claiming or (self._scan and _by_mail_role(held, holders)):
            held = self._with_rights(reader, held, asked)
        if self._all:
            holders = self._of_note(entra, holders, held)
        declared = {address: found.get(address) for address in self._mailboxes}
        return State(
            tuple(holders),
            held,
            self._tenant_id(),
            _time.iso(self._tenant.now()),
            asked=frozenset(one.guid for one in asked if one.type in OPENED),
            declared=frozenset(one.guid for one in declared.values() if one is not None),
            unknown=tuple(address for address, one in declared.items() if one is None and reader.looked),
            missing=_unfound(entra, held) if self._all else (),
        )

    def _tenant_id(self) -> str:
        """By the token of the service that answered."""
        cloud = self._tenant.cloud
        for audience in (cloud.graph_audience, cloud.exchange_audience):
            with contextlib.suppress(SignInError):
                return self._tenant.sign_in.token(audience).tenant_id.lower()
        return ""

    def _with_members(self, members: Members, held: Held, holders: t.Sequence[Holder], send_as: SendAs) -> Held:
        limited = {
            one.app_id
            for one in holders
            if any(access_policy.is_limited(permission.resource, permission.name) for permission in one.held)
        }
        policies = [
            one for one in held.policies or () if one.app_id in limited or (limited and one.app_id == EVERY_APPLICATION)
        ]
        pointers = [pointer for one in holders if (pointer := held.pointer(one.app_id))]
        assignments = [
            one
            for one in held.assignments or ()
            if one.is_limited
            and application_role.opens_mail(one.role)
            and any(application_role.has(pointer, one) for pointer in pointers)
        ]
        people = [
            consent.user for one in holders for consent in one.consents if consent.user and _delegated.counts(consent)
        ]
        return members.look(held, policies, assignments, list(dict.fromkeys(people)), send_as)

    def _with_rights(self, reader: Reader, held: Held, asked: t.Sequence[Recipient]) -> Held:
        wanted = [one for one in asked if one.type in OPENED]
        if self._scan:
            everybody, whole = reader.everybody(self._limit)
            held = reader.rights(held, [*wanted, *everybody])
            return replace(held, scanned=whole and all(one.guid in held.entries for one in everybody))
        near = dict.fromkeys(
            [
                *(guid for rows in held.send_as.values() for guid, _entry in rows or ()),
                *(
                    guid
                    for guids in (*held.in_roles.values(), *held.in_policies.values())
                    for guid in sorted(guids or ())
                ),
            ]
        )
        more = [held.recipients[guid] for guid in near if guid not in {one.guid for one in wanted}]
        # No request more than those that were named take anyway.
        return reader.rights(held, [*wanted, *more[: -len(wanted) % PER_BATCH or (0 if wanted else PER_BATCH)]])

    def _of_note(self, entra: Entra, holders: t.Sequence[Holder], held: Held) -> list[Holder]:
        """Those that have any power over mail, with who owns them."""
        empty = State((), held, "", "")
        kept = [
            one
            for one in holders
            if one.app_id == self._app_id
            or reach_info_sum.is_of_note(one, reach_info_sum.application(one, held, empty))
        ]
        return entra.with_owners(kept)

    # ---- telling

    def plan(self, current: State) -> Plan:
        shown = [reach_info_sum.application(one, current.exchange, current) for one in current.holders]
        shown.sort(key=lambda one: (one["app_id"] != self._app_id, str(one["display_name"]).casefold(), one["app_id"]))
        result: dict[str, t.Any] = {
            "at": current.at,
            "tenant": {"id": current.tenant_id},
            "applications": shown,
            "missing": list(current.missing),
            "scanned": {"mailboxes": current.exchange.looked_at, "complete": current.exchange.scanned},
            "declared": sorted(
                (current.exchange.recipients[guid].label for guid in current.declared), key=str.casefold
            ),
            "unknown": list(current.unknown),
        }
        warnings = []
        own = next((one for one in shown if one["app_id"] == self._app_id), None)
        if own is not None and self._mailboxes:
            # By a further address where it was found, else as it was typed.
            wanted = {*self._mailboxes, *(current.exchange.recipients[guid].label for guid in current.declared)}
            result["wider"] = reach_info_sum.wider(own, wanted)
        if self._scan and not current.exchange.scanned and current.exchange.looked_at >= self._limit:
            warnings.append(
                f"Rights were read on {current.exchange.looked_at} mailboxes, and there are more (scan_limit)."
            )
        return Plan(result=result, summary=_summary(shown), warnings=warnings)


def _unfound(entra: Entra, held: Held) -> tuple[str, ...]:
    """What could not be read to find every application."""
    told = [*entra.missing, *([POINTERS] if held.pointers is None else [])]
    return tuple(sorted({*told, *([ASSIGNMENTS] if held.assignments is None else [])}))


def _claims(held: Held, holders: t.Sequence[Holder]) -> tuple[list[Pointer], list[Pointer]]:
    """The pointers of applications that get in by rights on mailboxes, and those among them that send."""
    claiming: list[Pointer] = []
    sending: list[Pointer] = []
    for one in holders:
        names = {permission.name.casefold() for permission in one.held if permission.resource == EXCHANGE}
        pointer = held.pointer(one.app_id)
        if pointer is not None and names & set(OPENED_BY):
            claiming.append(pointer)
            if "smtp.sendasapp" in names:
                sending.append(pointer)
    return claiming, sending


def _by_mail_role(held: Held, holders: t.Sequence[Holder]) -> bool:
    """Whether one of them has a role for a mail protocol."""
    pointers = [pointer for one in holders if (pointer := held.pointer(one.app_id))]
    sending = [one for one in held.assignments or () if one.role.casefold() == str(SMTP_ROLE).casefold()]
    return any(application_role.has(pointer, one) for pointer in pointers for one in sending)


def _nothing() -> Held:
    return Held(pointers=(), assignments=(), scopes=(), policies=(), role_groups=(), scanned=False)


def _addresses(said: t.Iterable[str] | None, option: str) -> tuple[str, ...]:
    found = []
    for item in said or ():
        text = str(item).strip()
        found.append(text.lower() if _names.is_guid(text) else _names.address(text, option).lower())
    return tuple(dict.fromkeys(found))


def _summary(shown: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    if len(shown) == 1:
        [one] = shown
        how = "exactly" if one["complete"] else "at least"
        number = len(one["mailboxes"])
        amount = f"{how} {number} mailbox{'' if number == 1 else 'es'}"
        return f"{one['display_name'] or one['app_id']} opens {'every mailbox' if one['everything'] else amount}"
    wide = [str(one["display_name"] or one["app_id"]) for one in shown if one["everything"]]
    more = f", of which every mailbox is open to {listed(wide)}" if wide else ""
    return f"{len(shown)} applications have power over mail{more}"


SPEC = ArgumentSpec(
    {
        "app_id": {"type": "str"},
        "all_applications": {"type": "bool", "default": False},
        "mailboxes": {"type": "list", "elements": "str", "default": []},
        "candidates": {"type": "list", "elements": "str", "default": []},
        "scan": {"type": "str", "choices": ["candidates", "all"], "default": "candidates"},
        "scan_limit": {"type": "int", "default": 1000},
        # For the action plugin, which has the words for it.
        "held_against": {"type": "dict"},
    }
)
DOOR = Door(ReachInfo, SPEC)
