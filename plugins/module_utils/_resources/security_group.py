# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A mail-enabled security group with exactly the declared members: what an access policy limits an application to.

What has to be done is planned in ``security_group_plan`` and ``security_group_removal``.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import typing as t
from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _texts, _time
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    ServiceError,
    SignInError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, Settled, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import (
    GROUPS,
    MAILBOXES,
    PER_FILTER,
    SECURITY_GROUP,
    Recipient,
    among,
    by_address,
    by_properties,
    is_organization_management,
    listed,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.security_group_plan import present
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.security_group_removal import absent
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.security_group_state import (
    FAIL,
    FLATTEN,
    Create,
    Desired,
    Group,
    GroupStep,
    Join,
    Leave,
    Remove,
    Setting,
    Settings,
    State,
    judged,
    leaving,
    members,
    nested,
    own,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import hanging, holding, limiter
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    EVERY_APPLICATION,
    policies_of,
    read_cmdlet,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.application_role import scopes_cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._settle import read_back
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

LONGEST_NAME = 64
READ_BATCH = 10
"""How many cmdlets travel as one request."""

NAME_FREE_WITHIN_S = 30.0
VISIBLE_AFTER = dt.timedelta(minutes=15)


BEFORE_EVERYTHING = dt.datetime.min.replace(tzinfo=dt.UTC)


def plan(current: State, desired: Desired, now: dt.datetime = BEFORE_EVERYTHING) -> Plan:
    """Without ``now`` what has to wait for an instant waits."""
    return absent(current, desired, now) if desired.state == "absent" else present(current, desired)


class SecurityGroup:
    """The resource behind ``exchange_security_group``."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        params = task.params
        self._tenant = tenant
        self._guid: str | None = None
        self._is_new = False
        app_id = params.get("app_id")
        self._desired = Desired(
            alias=_names.alias(params["alias"], "alias"),
            name=_names.name(params["name"], "name", LONGEST_NAME) if params.get("name") is not None else "",
            address=_names.address(params["address"], "address") if params.get("address") else None,
            state=params["state"],
            members=_addresses(params, "members"),
            exclusive_members=params["exclusive_members"],
            on_foreign_members=params["on_foreign_members"],
            owners=_addresses(params, "owners"),
            on_foreign_owners=params["on_foreign_owners"],
            hidden=params["hidden"],
            force=params["force"],
            on_foreign_group=params["on_foreign_group"],
            app_id=_names.guid(app_id, "app_id") if app_id else None,
            accepted=accepted(params.get("accept_shared_group") or []),
            declared=None if params.get("declared") is None else frozenset(params["declared"]),
            own_members=_own_members(params.get("own_members") or {}),
            own_settings=_own_settings(params.get("own_settings") or []),
            not_before=_names.instant_said(params.get("not_before"), "not_before"),
            on_nested_group=params.get("on_nested_group"),
            check_mode=task.check_mode,
        )

    def read(self) -> State:
        """One batch; more where the group is not the one that the alias names, where there are strangers to be named,
        and where policies of other applications have to be looked into."""
        desired = self._desired
        present_ = desired.state == "present"
        people = [*(desired.members or ()), *(desired.owners or ())] if present_ else []
        looked_up = by_address(people, "look up the declared members and owners")
        first = [self._look(), read_cmdlet(), scopes_cmdlet()]
        # As an identity an asterisk would stand for anything; such an alias is read by Guid.
        details = [] if "*" in desired.alias else self._details(desired.alias)
        room = READ_BATCH - len(first) - len(details)
        outputs = self._tenant.exchange.invoke_many([*first, *details, *looked_up[:room]])
        found = tuple(Recipient.of(item) for item in outputs[0].objects())
        rest = outputs[len(first) :]
        known = [Recipient.of(item) for output in rest[len(details) :] for item in output.objects()]
        hits = [one for one in found if desired.identifies(one)]
        if len(hits) != 1 or hits[0].type != SECURITY_GROUP:
            known = [*self._known(known, looked_up[room:], (), people)]
            state = State(found, None, (), tuple(known), self._accounts(known, people))
            if present_ and not hits and desired.name:
                state = replace(state, scopes=hanging.left_behind(self._tenant.exchange, desired.name, outputs[2]))
            return self._with_names(state)
        group, there = _of(hits[0], rest[: len(details)])
        if group is None:
            group, there = _of(hits[0], self._tenant.exchange.invoke_many(self._details(hits[0].guid)))
        if group is None:
            raise ServiceError(
                f"Exchange lists {hits[0]} and does not show it",
                attempted=f"read the group {desired.alias}",
                cure="run again in a minute",
            )
        self._guid = group.recipient.guid
        resolve = present_ and desired.owners is not None and desired.on_foreign_owners != "keep"
        names = group.managed_by if resolve else ()
        known.extend(there)
        known = [*self._known(known, looked_up[room:], names, people)]
        state = State(found, group, tuple(there), tuple(known), self._accounts(known, people))
        if desired.on_nested_group == FLATTEN and not (desired.members is not None and desired.exclusive_members):
            state = replace(state, nested={one.guid: self._within(one) for one in nested(state)})
        return self._with_what_hangs_on_it(state, outputs[1], outputs[2])

    def _within(self, group: Recipient) -> tuple[Recipient, ...]:
        """The mailboxes in a group at any depth."""
        seen, found, level = {group.guid}, dict[str, Recipient](), [group]
        while level:
            purpose = f"read who is in {listed([one.label for one in level])}"
            asked = [
                Cmdlet("Get-DistributionGroupMember", {"Identity": one.guid, "ResultSize": "Unlimited"}, purpose)
                for one in level
            ]
            outputs = self._tenant.exchange.invoke_many(asked)
            there = [Recipient.of(item) for output in outputs for item in output.objects()]
            found.update({one.guid: one for one in there if one.type in MAILBOXES})
            level = [one for one in there if one.type in GROUPS and one.guid not in seen]
            seen |= {one.guid for one in level}
        return tuple(found.values())

    def _with_what_hangs_on_it(self, state: State, policies: Output, scopes: Output) -> State:
        """The state with the policies, the groups above, and whatever else decides whom a change of members lets in."""
        desired = self._desired
        if isinstance(policies.error, Forbidden) and not _moves(state, desired):
            return state  # who may look after groups alone sees no policies, and changes nothing that they hang on
        state = replace(state, policies=tuple(policies_of(policies)))
        group = state.group
        if group is not None and _moves(state, desired):
            state = replace(state, scopes=hanging.scopes(self._tenant.exchange, group.recipient, scopes))
        # Which groups hold it takes a request for each level, and matters only where somebody comes or goes.
        if group is not None and _moves(state, desired) and limiter.elsewhere(state.facts, own(state, desired)):
            state = replace(state, holders=hanging.holders(self._tenant.exchange, group.recipient))
        asked = limiter.questions(state.facts, own(state, desired), _coming(state, desired), desired.accepted)
        if asked:
            state = replace(state, verdicts=hanging.verdicts(self._tenant.exchange, asked))
        return self._with_names(state)

    def _with_names(self, state: State) -> State:
        """With what the other applications are called that reach more, or less, than before."""
        judgement = judged(state, self._desired)
        if judgement.widened or judgement.narrowed:
            others = [effect.app_id for effect in (*judgement.widened, *judgement.narrowed)]
            with contextlib.suppress(ServiceError, SignInError):  # ids tell who it is as well
                state = replace(state, names=holding.names(self._tenant.graph, others))
        return state

    def _look(self) -> Cmdlet:
        desired = self._desired
        wanted = [("Alias", desired.alias)]
        if desired.address:
            wanted.append(("EmailAddresses", f"smtp:{desired.address}"))
        if desired.name and desired.state == "present":
            wanted += [("Name", desired.name), ("DisplayName", desired.name)]
        return by_properties(wanted, f"look for the group {desired.name or desired.alias}")

    def _details(self, identity: str) -> list[Cmdlet]:
        purpose = f"read the group {self._desired.name or self._desired.alias}"
        return [
            Cmdlet("Get-DistributionGroup", {"Identity": identity, "ResultSize": "Unlimited"}, purpose),
            Cmdlet("Get-DistributionGroupMember", {"Identity": identity, "ResultSize": "Unlimited"}, purpose),
        ]

    def _known(
        self, known: list[Recipient], rest: list[Cmdlet], names: t.Sequence[str], people: t.Sequence[str]
    ) -> tuple[Recipient, ...]:
        """``known``, and whoever it lacks: declared people beyond the first batch, owners that are only a name."""
        more: list[Cmdlet] = []
        if rest and any(among(known, address) is None for address in people):
            more += rest
        strange = [
            name
            for name in names
            if not is_organization_management(name) and not any(one.is_printed_as(name) for one in known)
        ]
        pairs = [(key, name.rpartition("/")[2]) for name in strange for key in ("Name", "DisplayName")]
        more += [
            by_properties(pairs[start : start + 20], "look up the group's owners") for start in range(0, len(pairs), 20)
        ]
        outputs = self._tenant.exchange.invoke_many(more)
        return (*known, *(Recipient.of(item) for output in outputs for item in output.objects()))

    def _accounts(self, known: list[Recipient], people: t.Sequence[str]) -> dict[str, Recipient]:
        """Who signs in with a declared name that is nobody's address: people take the one for the other."""
        lost = [address for address in people if among(known, address) is None][:PER_FILTER]
        if not lost:
            return {}
        pairs = [("UserPrincipalName", address) for address in lost]
        asked = replace(by_properties(pairs, "look who signs in with the declared names"), name="Get-User")
        [output] = self._tenant.exchange.invoke_many([asked])
        rows = [] if output.error is not None else output.value  # it only makes the refusal plainer
        return {
            str(row.get("UserPrincipalName") or "").lower(): Recipient.of(
                {"PrimarySmtpAddress": row.get("WindowsEmailAddress"), **row}
            )
            for row in rows
        }

    def plan(self, current: State) -> Plan:
        return plan(current, self._desired, self._tenant.now())

    def perform(self, step: GroupStep) -> None:
        match step:
            case Create():
                self._create(step)
            case Settings():
                self._write("Set-DistributionGroup", step, step.values)
            case Join():
                done = (_texts.EXCHANGE_MEMBER_EXISTS,)
                self._write("Add-DistributionGroupMember", step, {"Member": step.member}, done=done)
            case Leave():
                leaves = {"Member": step.member, "Confirm": False}
                self._write("Remove-DistributionGroupMember", step, leaves, done=(_texts.EXCHANGE_MEMBER_ABSENT,))
            case Remove():
                self._write("Remove-DistributionGroup", step, {"Confirm": False}, done=(_texts.EXCHANGE_ABSENT,))
            case _:
                t.assert_never(step)

    def _create(self, step: Create) -> None:
        refusals: list[Conflict] = []

        def made() -> bool:
            try:
                answer = self._tenant.exchange.invoke("New-DistributionGroup", step.title, **step.arguments)
            except Conflict as exc:
                # Either a lost answer's group, which a server shows only now, or a removed one's name that is not
                # free yet.
                refusals.append(exc)
                current = self.read()
                return current.group is not None and current.group.is_ours
            self._guid = str(answer[0].get("Guid") or "") if answer else None
            return True

        if not self._tenant.patiently(made, budget_s=min(self._tenant.patience_s, NAME_FREE_WITHIN_S)):
            raise refusals[-1]
        self._is_new = True

    def _write(self, cmdlet: str, step: Step, values: Json, *, done: t.Sequence[str] = ()) -> None:
        """``done``: the refusals that say that nothing is left to do."""
        refusals: list[NotFound] = []
        arguments = {"BypassSecurityGroupManagerCheck": True, **values}

        def accepted() -> bool:
            try:
                self._tenant.exchange.invoke(
                    cmdlet, step.title, Identity=self._guid or self._desired.alias, **arguments
                )
            except ServiceError as exc:
                if exc.code in done:
                    return True
                if not (self._is_new and isinstance(exc, NotFound)):
                    raise
                refusals.append(exc)  # a server that has not heard of the new group yet
                return False
            return True

        if not self._tenant.patiently(accepted):
            raise refusals[-1]

    def settle(self, plan: Plan) -> Settled:
        seen = read_back(self._tenant, self)
        if seen.arrived:
            return Settled({key: seen.plan.result[key] for key in ("group", "members")})
        if seen.plan.blocked is not None:
            raise seen.plan.blocked
        if any(isinstance(step, (Create, Remove)) for step in seen.plan.steps):
            seen.require(f"the group {self._desired.alias}")
        # Membership and settings spread over Exchange's servers; meanwhile the application can open less, not more,
        # unless somebody was removed.
        until = _time.iso(self._tenant.now() + VISIBLE_AFTER)
        return Settled(pending=f"Exchange does not show yet: {seen.left}", pending_until=until)


def _coming(current: State, desired: Desired) -> list[Recipient]:
    return members(current, desired).missing if desired.state == "present" else []


def _moves(current: State, desired: Desired) -> bool:
    """Whether anybody comes into a group that is there, or leaves it, or it goes as a whole."""
    return desired.state == "absent" or bool(_coming(current, desired) or leaving(current, desired))


def _of(wanted: Recipient, details: t.Sequence[Output]) -> tuple[Group | None, list[Recipient]]:
    """The group and its members, if these answers speak of ``wanted`` and of nothing else."""
    if not details or isinstance(details[0].error, NotFound) or any(map(_ambiguous, details)):
        return None, []
    found = details[0].objects()
    if len(found) != 1 or Recipient.of(found[0]).guid != wanted.guid:
        return None, []
    return Group.of(found[0]), [Recipient.of(item) for item in details[1].objects()]


def _ambiguous(output: Output) -> bool:
    return output.error is not None and output.error.code == _texts.EXCHANGE_AMBIGUOUS


def _addresses(params: t.Mapping[str, t.Any], option: str) -> tuple[str, ...] | None:
    values = params.get(option)
    if values is None:
        return None
    return tuple({typed.lower(): typed for typed in (_names.address(value, option) for value in values)}.values())


def _own_members(option: t.Mapping[str, t.Any]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for guid, addresses in option.items():
        if not isinstance(addresses, list):
            raise InvalidInput(f"own_members has no list under {guid}", cure="give a list of addresses for each Guid")
        found[_names.guid(guid, "own_members").lower()] = tuple(
            _names.address(address, "own_members") for address in addresses
        )
    return found


def _own_settings(option: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, tuple[Setting, ...]]:
    """From the record's entries of kind ``setting``; those of other things are left out."""
    found: dict[str, tuple[Setting, ...]] = {}
    for entry in option:
        if entry.get("kind", "setting") != "setting" or not _names.is_guid(str(entry.get("of") or "")):
            continue
        guid = str(entry["of"]).lower()
        setting = Setting(str(entry.get("id") or ""), entry.get("before"), entry.get("after"))
        found[guid] = (*found.get(guid, ()), setting)
    return found


def accepted(option: t.Sequence[str]) -> frozenset[str]:
    """The option accept_shared_group: ids of applications, or ``*``."""
    return frozenset(
        EVERY_APPLICATION if value.strip() == EVERY_APPLICATION else _names.guid(value, "accept_shared_group")
        for value in option
    )


SPEC = ArgumentSpec(
    {
        "alias": {"type": "str", "required": True},
        "name": {"type": "str"},
        "address": {"type": "str"},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "members": {"type": "list", "elements": "str"},
        "exclusive_members": {"type": "bool", "default": True},
        "on_foreign_members": {"type": "str", "default": "fail", "choices": ["fail", "remove", "keep"]},
        "owners": {"type": "list", "elements": "str"},
        "on_foreign_owners": {"type": "str", "default": "fail", "choices": ["fail", "remove", "keep"]},
        "hidden": {"type": "bool", "default": True},
        "force": {"type": "bool", "default": False},
        "on_foreign_group": {"type": "str", "default": "fail", "choices": ["fail", "keep"]},
        "app_id": {"type": "str"},
        "accept_shared_group": {"type": "list", "elements": "str", "default": []},
        "declared": {"type": "list", "elements": "str"},
        "own_members": {"type": "dict"},
        "own_settings": {"type": "list", "elements": "dict", "default": []},
        "not_before": {"type": "str"},
        "on_nested_group": {"type": "str", "choices": [FAIL, FLATTEN]},
    },
    required_if=[("state", "present", ("name",))],
)
DOOR = Door(SecurityGroup, SPEC, takes=True)
