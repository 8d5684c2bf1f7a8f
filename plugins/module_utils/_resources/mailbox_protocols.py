# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""IMAP, POP and SMTP AUTH of single mailboxes. The organization's own switch is read and explained, and never written.

A mailbox's value for SMTP AUTH has three states: on, off, and "as the organization". It wins over the organization in
both directions.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _added, _names, _time
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import ON_THE_WAY
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, Settled, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import (
    MAILBOXES,
    PER_FILTER,
    Recipient,
    by_address,
    by_properties,
    listed,
    unfit,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._settle import read_back
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

IN_FORCE_AFTER = dt.timedelta(hours=1)

SMTP_SETTING = "SmtpClientAuthenticationDisabled"
SETTINGS: t.Mapping[str, str] = {"imap": "ImapEnabled", "pop": "PopEnabled", "smtp": SMTP_SETTING}
"""Property of a mailbox by protocol."""
OPEN: t.Mapping[str, bool] = {"ImapEnabled": True, "PopEnabled": True, SMTP_SETTING: False}
"""The value with which a property lets its protocol in."""
WORDS: t.Mapping[str, str] = {"imap": "IMAP", "pop": "POP", "smtp": "SMTP AUTH"}

_LOOK = "look for the mailboxes"


@dataclass(frozen=True)
class Switch(Step):
    """Properties of the mailbox with this Guid; null gives SMTP AUTH back to the organization."""

    mailbox: str
    values: tuple[tuple[str, bool | None], ...]


@dataclass(frozen=True)
class Box:
    """One mailbox and its three switches, as Exchange has them."""

    recipient: Recipient
    switches: t.Mapping[str, bool | None]

    @classmethod
    def of(cls, found: t.Mapping[str, t.Any]) -> Box:
        """From Get-CASMailbox."""
        return cls(Recipient.of(found), {name: flag(found.get(name)) for name in OPEN})

    def opens(self, protocol: str, organization_off: bool | None) -> bool:
        """Whether the protocol is let in. An organization whose switch is not known counts as off."""
        value = self.switches[SETTINGS[protocol]]
        if protocol == "smtp" and value is None:
            return organization_off is False
        return value is OPEN[SETTINGS[protocol]]


@dataclass(frozen=True)
class State:
    """``known``: whoever has a declared address. ``organization_off``: the organization's own switch, None where it is
    not known."""

    boxes: tuple[Box, ...] = ()
    known: tuple[Recipient, ...] = ()
    organization_off: bool | None = None

    def box(self, name: str) -> Box | None:
        """By address, or by Guid."""
        return next(
            (one for one in self.boxes if one.recipient.guid == name.lower() or one.recipient.has_address(name)), None
        )


@dataclass(frozen=True)
class Before:
    """What a switch was before a run of ours. ``mailbox``: its Guid, or an address."""

    mailbox: str
    setting: str
    value: bool | None


@dataclass(frozen=True)
class Desired:
    mailboxes: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    state: str = "present"
    restore: tuple[Before, ...] = field(default=())


def flag(value: t.Any) -> bool | None:
    """A switch as Exchange tells it; None where it is not set."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value if value is not None else "").strip().casefold())


# ---- planning -------------------------------------------------------------------------------------------------------


def plan(current: State, desired: Desired, now: dt.datetime) -> Plan:
    planned = _present(current, desired) if desired.state == "present" else _absent(current, desired)
    if planned.steps:
        planned.result["in_force_by"] = _time.iso(now + IN_FORCE_AFTER)
    return planned


def _planned(current: State, about: t.Sequence[Box], values: t.Mapping[str, t.Mapping[str, bool | None]]) -> Plan:
    """before, after and result where the mailboxes (by Guid) get these values."""
    after = [replace(box, switches={**box.switches, **values.get(box.recipient.guid, {})}) for box in about]
    return Plan(
        before={box.recipient.label: dict(box.switches) for box in about},
        after={box.recipient.label: dict(box.switches) for box in after},
        result={
            "mailboxes": [_shown(box, current.organization_off) for box in after],
            "organization": {"smtp_auth_disabled": current.organization_off},
        },
    )


def _shown(box: Box, organization_off: bool | None) -> Json:
    disabled = box.switches[SMTP_SETTING]
    return {
        "mailbox": box.recipient.label,
        "guid": box.recipient.guid,
        "imap": box.switches["ImapEnabled"],
        "pop": box.switches["PopEnabled"],
        "smtp_auth": None if disabled is None else not disabled,
        "smtp_auth_effective": box.opens("smtp", organization_off),
    }


def _present(current: State, desired: Desired) -> Plan:
    found = (current.box(address) for address in desired.mailboxes)
    about = list({box.recipient.guid: box for box in found if box is not None}.values())
    shut = {
        box.recipient.guid: [
            protocol for protocol in desired.protocols if not box.opens(protocol, current.organization_off)
        ]
        for box in about
    }
    values: dict[str, dict[str, bool | None]] = {
        guid: {SETTINGS[protocol]: OPEN[SETTINGS[protocol]] for protocol in protocols}
        for guid, protocols in shut.items()
    }
    blocked = unfit(current.known, desired.mailboxes, "the protocols cannot be switched on")
    if blocked is not None:
        planned = _planned(current, about, {})
        planned.blocked, planned.summary = blocked, blocked.message
        return planned
    planned = _planned(current, about, values)
    for box in about:
        guid, label = box.recipient.guid, box.recipient.label
        if not shut[guid]:
            continue
        title = f"switch {_and(WORDS[protocol] for protocol in shut[guid])} on for {label}"
        planned.steps.append(Switch(title, guid, tuple(values[guid].items())))
        planned.added = [
            *planned.added,
            *(_added.entry("switch", guid, name, before=box.switches[name]) for name in values[guid]),
        ]
    named = [box.recipient.label for box in about if "smtp" in shut[box.recipient.guid]]
    if named:
        planned.warnings.append(
            f"SMTP AUTH is switched on for {listed(named)} alone"
            + (", while it stays off for the organization" if current.organization_off is not False else "")
            + ". Tools that switch it off for everybody (such as CIPP's standard DisableBasicAuthSMTP) write over a "
            "mailbox's own value: exempt these mailboxes there."
        )
    spoken = _and(WORDS[protocol] for protocol in desired.protocols)
    planned.summary = f"{spoken} switched on" if planned.steps else f"{spoken} on for every mailbox"
    return planned


def _absent(current: State, desired: Desired) -> Plan:
    """Each switch back to what it was, if it still is what a run of ours made of it."""
    values: dict[str, dict[str, bool | None]] = {}
    about: dict[str, Box] = {}
    gone, changed = [], []
    told: set[tuple[str, str]] = set()
    for before in desired.restore:
        box = current.box(before.mailbox)
        if box is None:
            gone.append(before.mailbox)
            continue
        guid, now = box.recipient.guid, box.switches[before.setting]
        about[guid] = box
        if (guid, before.setting) in told:
            continue  # what was there before the first run counts
        told.add((guid, before.setting))
        if now == before.value:
            continue
        if now is not OPEN[before.setting]:
            changed.append(f"{before.setting} of {box.recipient.label} ({_value(now)})")
            continue
        values.setdefault(guid, {})[before.setting] = before.value
    planned = _planned(current, list(about.values()), values)
    for guid, settings in values.items():
        said = _and(f"{name} to {_value(value)}" for name, value in settings.items())
        planned.steps.append(Switch(f"put {said} for {about[guid].recipient.label}", guid, tuple(settings.items())))
    if changed:
        planned.warnings.append(f"Somebody else changed {listed(changed)} meanwhile, and it stays so.")
    if gone:
        planned.warnings.append(f"Nothing is put back for mailboxes that do not exist any more: {listed(gone)}.")
    planned.summary = "switches put back" if planned.steps else "switches as they were"
    return planned


def _and(words: t.Iterable[str]) -> str:
    said = list(words)
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def _value(value: bool | None) -> str:
    return {True: "true", False: "false", None: "null, which follows the organization"}[value]


# ---- the resource ---------------------------------------------------------------------------------------------------


class MailboxProtocols:
    """The resource behind ``exchange_mailbox_protocols``."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        self._tenant = tenant
        self._desired = _desired(task)

    def read(self) -> State:
        """One list of reads, for each 25 mailboxes two in it; one more where a server shows a mailbox without its
        switches."""
        desired = self._desired
        if desired.state == "present":
            people = by_address(desired.mailboxes, _LOOK)
            boxes = people
        else:
            people, boxes = [], _named([before.mailbox for before in desired.restore])
        organization = Cmdlet("Get-TransportConfig", {}, "read the organization's switch for SMTP AUTH")
        switches = [replace(cmdlet, name="Get-CASMailbox", purpose="read the mailboxes' protocols") for cmdlet in boxes]
        outputs = self._tenant.exchange.invoke_many([organization, *people, *switches])
        settings = outputs[0].objects()
        if len(settings) != 1:
            raise ServiceError("Exchange's answer is not one", attempted=organization.purpose, cure=ON_THE_WAY)
        known = tuple(Recipient.of(row) for output in outputs[1 : 1 + len(people)] for row in output.listed())
        found = [Box.of(row) for output in outputs[1 + len(people) :] for row in output.listed()]
        return State((*found, *self._hidden(known, found)), known, flag(settings[0].get(SMTP_SETTING)))

    def _hidden(self, known: t.Sequence[Recipient], found: t.Sequence[Box]) -> list[Box]:
        """The mailboxes that were found, and whose switches were not."""
        seen = {box.recipient.guid for box in found}
        missing = [one for one in known if one.type in MAILBOXES and one.guid not in seen]
        cmdlets = [
            Cmdlet("Get-CASMailbox", {"Identity": one.guid}, f"read the protocols of {one.label}") for one in missing
        ]
        outputs = self._tenant.exchange.invoke_many(cmdlets)
        return [Box(one, Box.of(output.objects()[0]).switches) for one, output in zip(missing, outputs, strict=True)]

    def plan(self, current: State) -> Plan:
        return plan(current, self._desired, self._tenant.now())

    def perform(self, step: Switch) -> None:
        self._tenant.exchange.invoke("Set-CASMailbox", step.title, Identity=step.mailbox, **dict(step.values))

    def settle(self, plan: Plan) -> Settled:
        seen = read_back(self._tenant, self).require("a mailbox's protocol")
        return Settled({"mailboxes": seen.plan.result["mailboxes"]})


def _named(names: t.Sequence[str]) -> list[Cmdlet]:
    """Reads that find mailboxes by address or by Guid."""
    guids = [("Guid", name) for name in dict.fromkeys(names) if _names.is_guid(name)]
    pages = [guids[start : start + PER_FILTER] for start in range(0, len(guids), PER_FILTER)]
    addresses = [name for name in names if not _names.is_guid(name)]
    return [*by_address(addresses, _LOOK), *(by_properties(page, _LOOK) for page in pages)]


def _desired(task: Task) -> Desired:
    """The options, checked. Raises InvalidInput."""
    params = task.params
    if params["state"] == "present":
        for option in ("mailboxes", "protocols"):
            if not params[option]:
                raise InvalidInput(
                    f"{option} is empty",
                    cure="list the mailboxes' addresses, and which of imap, pop and smtp they need",
                    options=(option,),
                )
    return Desired(
        mailboxes=tuple(_names.address(item, "mailboxes") for item in params["mailboxes"] or ()),
        # In one order, whatever the task says.
        protocols=tuple(name for name in SETTINGS if name in (params["protocols"] or ())),
        state=params["state"],
        restore=tuple(
            Before(_mailbox(item["mailbox"]), item["setting"], item["before"])
            for item in params["restore"] or ()
            # Only SMTP AUTH can be given back to the organization; of the others null means that it was not shown.
            if item["before"] is not None or item["setting"] == SMTP_SETTING
        ),
    )


def _mailbox(name: str) -> str:
    return name.strip().lower() if _names.is_guid(name.strip()) else _names.address(name, "restore.mailbox")


SPEC = ArgumentSpec(
    {
        "mailboxes": {"type": "list", "elements": "str", "default": []},
        "protocols": {"type": "list", "elements": "str", "default": [], "choices": list(SETTINGS)},
        "restore": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "mailbox": {"type": "str", "required": True},
                "setting": {"type": "str", "required": True, "choices": list(SETTINGS.values())},
                "before": {"type": "bool"},
            },
        },
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    }
)
DOOR = Door(MailboxProtocols, SPEC, takes=True)
