# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights on mailboxes: what a plan gives and takes, and with which parameters it is asked of Exchange."""

from __future__ import annotations

import datetime as dt
import random
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _ownership
from ansible_collections.mail2fax.m365.plugins.module_utils._claim import Claim
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import NotFound
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange import must_have
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Exchange, Output, error
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_permission import MailboxPermission
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_permission_plan import (
    Desired,
    Give,
    State,
    Take,
    adds,
    plan,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_permission_read import Reader
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.mailbox_permission import Entry
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer

APP, OBJECT, SID = (
    "1cb8b5d2-8724-4f32-8152-a16a230b682b",
    "0b8e0f44-0000-4000-8000-000000000001",
    "s-1-5-21-1-2-3-40001",
)
POINTER = Pointer(APP, OBJECT, SID, "Fax", OBJECT, OBJECT)
NOW = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
BOXES = {
    name: Recipient(name, "SharedMailbox", f"{name}@x.example", name=name, addresses=frozenset({f"{name}@x.example"}))
    for name in ("m1", "m2", "m3", "m4")
}


def entry(*rights: str, sid: str = SID, **more: t.Any) -> Entry:
    return Entry("whoever", sid, frozenset(rights), **more)


def state(rights: dict[str, tuple[Entry, ...]], send_as: t.Sequence[str] = (), **more: t.Any) -> State:
    return State(
        **{"pointer": POINTER, **more},
        known=tuple(BOXES.values()),
        entries=rights,
        send_as={guid: (entry("SendAs"),) for guid in send_as},
    )


def wish(*mailboxes: str, **more: t.Any) -> Desired:
    return Desired(APP, tuple(f"{name}@x.example" for name in mailboxes), **more)


def done(planned: Plan) -> set[tuple[str, str, str]]:
    found = set()
    for step in planned.steps:
        match step:
            case Give():
                found.add(("give", step.mailbox, step.right))
            case Take():
                found |= {("take", step.mailbox, right) for right in step.rights}
    return found


def test_whatever_is_there_the_end_is_what_is_declared_and_no_other_entry_is_touched():
    """Random states; the plan applied to a naive model of Exchange."""
    for seed in range(400):
        chance = random.Random(seed)
        full = {name for name in BOXES if chance.random() < 0.5}
        send = {name for name in BOXES if chance.random() < 0.5}
        wanted = chance.sample(sorted(BOXES), chance.randint(1, 3))
        desired = wish(*wanted, send_as=chance.random() < 0.5, exclusive=chance.random() < 0.5)
        others = entry("FullAccess", sid="s-1-5-21-9")
        found = state(
            {name: (others, *([entry("FullAccess")] if name in full else [])) for name in BOXES}, sorted(send)
        )
        planned = plan(found, desired, NOW)
        assert planned.blocked is None
        held = {*((name, "FullAccess") for name in full), *((name, "SendAs") for name in send)}
        for what, mailbox, right in done(planned):
            (held.add if what == "give" else held.remove)((mailbox, right))
        declared = {(name, right) for name in wanted for right in desired.rights}
        assert declared <= held
        if desired.exclusive:
            assert held == declared, seed
        else:
            assert not any(isinstance(step, Take) for step in planned.steps)
        kinds = [isinstance(step, Take) for step in planned.steps]
        assert kinds == sorted(kinds, reverse=True), "what narrows goes first"
        assert planned.before == {**planned.before}
        assert adds(found, desired) == any(isinstance(step, Give) for step in planned.steps)


@pytest.mark.parametrize("with_sid", [True, False])
def test_a_service_principal_that_is_printed_as_its_sid_is_no_orphan(with_sid: bool):
    """Whether Exchange gives the SID beside the name or not; and the record names the SID of today as well."""
    mine, former = (Entry(sid, sid if with_sid else "", frozenset({"FullAccess"})) for sid in (SID, "s-1-5-21-9-9"))
    found = state({"m1": (mine, former)})
    planned = plan(found, wish("m1", exclusive=True, former_sids=frozenset({SID, "s-1-5-21-9-9"})), NOW)
    assert [step.user for step in planned.steps] == ["s-1-5-21-9-9"]
    assert [row["sid"] for row in planned.result["orphans"]] == ["S-1-5-21-9-9"]


def test_inherited_rights_are_told_and_never_taken():
    found = state({"m2": (entry("FullAccess", inherited=True),), "m1": ()})
    planned = plan(found, wish("m1", exclusive=True), NOW)
    assert done(planned) == {("give", "m1", "FullAccess")}
    assert planned.result["elsewhere"][0]["mailbox"] == "m2@x.example"


@pytest.mark.parametrize("right", ["FullAccess", "SendAs"])
def test_a_denial_of_what_is_declared_stops(right: str):
    found = state({"m1": (entry("FullAccess"), entry(right, deny=True))}, ["m1"])
    planned = plan(found, wish("m1", send_as=True), NOW)
    assert planned.blocked is not None
    assert f"{right} on m1@x.example" in planned.blocked.message
    assert plan(found, wish("m1", full_access=right != "FullAccess", send_as=right != "SendAs"), NOW).blocked is None


def test_a_service_principal_that_is_gone_in_the_directory_stops():
    claim = Claim(APP, None)
    blocked = plan(state({"m1": ()}, claim=claim), wish("m1"), NOW).blocked
    assert blocked is not None
    assert "no service principal in this tenant" in blocked.message


def test_an_application_of_another_tenant_stops():
    claim = Claim(APP, OBJECT, "Fax", _ownership.Access({}), away=True)
    blocked = plan(state({"m1": ()}, claim=claim), wish("m1"), NOW).blocked
    assert blocked is not None
    assert "registered in another tenant" in blocked.message


def test_a_row_that_names_a_mailbox_nobody_has_is_said():
    planned = plan(state({"m1": (entry("FullAccess"),)}, lost=("Gone",)), wish("m1"), NOW)
    assert "may send as 'Gone'" in planned.warnings[0]


def test_a_mailbox_that_was_renamed_is_told_with_the_one_that_it_may_be():
    found = state({"m1": (entry("FullAccess"),)})
    blocked = plan(found, wish("before-the-rename"), NOW).blocked
    assert blocked is not None
    assert "before-the-rename@x.example is not a recipient" in blocked.message
    assert "rights on m1@x.example: perhaps a mailbox was renamed" in (blocked.cure or "")
    wrong = plan(state({}), wish("nobody"), NOW).blocked
    assert wrong is not None
    assert "renamed" not in (wrong.cure or "")


def test_absent_takes_what_is_named_and_tells_the_rest():
    found = state({"m1": (entry("FullAccess"),), "m2": (entry("FullAccess"),)}, ["m3"])
    planned = plan(found, wish("m1", state="absent", candidates=("m2",)), NOW)
    assert done(planned) == {("take", "m1", "FullAccess"), ("take", "m2", "FullAccess")}
    assert "m3@x.example (SendAs)" in planned.warnings[0]
    everything = plan(found, wish("m1", state="absent", exclusive=True), NOW)
    assert {mailbox for _what, mailbox, _right in done(everything)} == {"m1", "m2", "m3"}


def test_absent_of_others_application_takes_what_was_given_here_alone():
    found = state({"m1": (entry("FullAccess"),), "m2": (entry("FullAccess"),)}, ["m1", "m3"])
    own = frozenset({("m1", "SendAs"), ("m4", "FullAccess")})
    planned = plan(found, wish("m1", "m2", state="absent", exclusive=True, own_rights=own), NOW)
    assert done(planned) == {("take", "m1", "SendAs")}
    assert planned.after["m1@x.example"] == ["FullAccess"]
    assert done(plan(found, wish("m1", state="absent", own_rights=frozenset()), NOW)) == set()


# ---- what Exchange is asked -----------------------------------------------------------------------------------------


PARAMS: dict[str, t.Any] = {
    **{"app_id": APP, "mailboxes": ["m1@x.example"], "full_access": True, "send_as": True, "exclusive": False},
    **{
        "candidates": [],
        "scan": "candidates",
        "scan_limit": 9,
        "former_sids": [],
        "own_rights": None,
        "state": "present",
    },
}


class Spy:
    """A transport that notes what is sent and answers nothing."""

    def __init__(self) -> None:
        self.sent: list[Cmdlet] = []

    def run(self, cmdlets: t.Sequence[Cmdlet]) -> list[Output]:
        self.sent += cmdlets
        return [Output() for _cmdlet in cmdlets]


class FakeTenant:
    def __init__(self, spy: Spy) -> None:
        self.exchange = Exchange(spy)

    def patiently(self, look: t.Callable[[], bool], **_options: t.Any) -> bool:
        return look()


def performed(*steps: Give | Take) -> list[tuple[str, dict[str, t.Any]]]:
    spy = Spy()
    resource = MailboxPermission(t.cast("t.Any", FakeTenant(spy)), Task(PARAMS))
    for step in steps:
        resource.perform(step)
    return [(cmdlet.name, dict(cmdlet.parameters)) for cmdlet in spy.sent]


def test_a_right_is_given_without_automapping_and_nothing_is_asked_back():
    [(name, full), (other, send)] = performed(Give("x", "m1", OBJECT, "FullAccess"), Give("y", "m1", OBJECT, "SendAs"))
    assert name == "Add-MailboxPermission"
    assert full == {
        "Identity": "m1",
        "User": OBJECT,
        "AccessRights": ["FullAccess"],
        "AutoMapping": False,
        "InheritanceType": "All",
        "Confirm": False,
    }
    assert other == "Add-RecipientPermission"
    assert send == {"Identity": "m1", "Trustee": OBJECT, "AccessRights": ["SendAs"], "Confirm": False}


def test_a_right_is_taken_by_name_and_never_by_a_reset():
    [(name, full), (other, send)] = performed(
        Take("x", "m1", OBJECT, ("FullAccess", "ReadPermission")), Take("y", "m1", OBJECT, ("SendAs",))
    )
    assert (name, other) == ("Remove-MailboxPermission", "Remove-RecipientPermission")
    assert full["AccessRights"] == ["FullAccess", "ReadPermission"]
    assert full["Confirm"] is send["Confirm"] is False
    for never in ("ResetDefault", "ClearAutoMapping"):
        with pytest.raises(ValueError, match="never sent"):
            must_have.check(
                "Remove-MailboxPermission", {"Identity": "m1", "User": OBJECT, "AccessRights": ["x"], never: True}
            )


class Unknown:
    """A transport for which nobody is a trustee yet."""

    def run(self, cmdlets: t.Sequence[Cmdlet]) -> list[Output]:
        text = "Couldn't find the user as a recipient."
        return [Output(error=error(cmdlet, "ManagementObjectNotFoundException", text)) for cmdlet in cmdlets]


def test_a_service_principal_that_exchange_does_not_learn_of_is_told_with_what_to_do():
    tenant = FakeTenant(Spy())
    tenant.exchange = Exchange(Unknown())
    with pytest.raises(NotFound) as refused:
        MailboxPermission(t.cast("t.Any", tenant), Task(PARAMS)).perform(Give("x", "m1", OBJECT, "FullAccess"))
    assert "run again in some minutes" in str(refused.value)
    assert refused.value.who == "an Exchange Administrator"


def test_a_full_mailbox_is_told_with_what_to_do_where_exchange_says_it():
    text = "The mailbox fax has reached the limit of maximum allowed access control entries of 500."
    said = error(Cmdlet("Get-Mailbox", {}, "x"), "InvalidOperationException", text)
    assert "unknown SIDs first" in (said.cure or "")
    assert said.who == "an Exchange Administrator"


# ---- what Exchange tells --------------------------------------------------------------------------------------------


class Telling:
    """A transport of one tenant with one mailbox. ``by_app_id``: what it answers to a trustee that is named so."""

    def __init__(self, by_app_id: Output, sid: str) -> None:
        self.by_app_id, self.sid, self.asked = by_app_id, sid, list[str]()

    def run(self, cmdlets: t.Sequence[Cmdlet]) -> list[Output]:
        self.asked.append(",".join(cmdlet.name for cmdlet in cmdlets))
        return [self.answer(cmdlet) for cmdlet in cmdlets]

    def answer(self, cmdlet: Cmdlet) -> Output:
        if cmdlet.name == "Get-ServicePrincipal":
            return Output([{"AppId": APP, "ObjectId": OBJECT, "Sid": SID.upper(), "Name": OBJECT}])
        if cmdlet.name == "Get-Recipient":
            box = {"Guid": "m1", "Name": "Fax", "PrimarySmtpAddress": "m1@x.example"}
            return Output([{**box, "RecipientTypeDetails": "SharedMailbox"}])
        if cmdlet.name == "Get-RecipientPermission":
            if cmdlet.parameters["Trustee"] == APP:
                return self.by_app_id
            row = {"Identity": "Fax", "Trustee": "EURPR01\\$odd", "AccessRights": "SendAs"}
            return Output([{**row, **({"TrusteeSidString": self.sid} if self.sid else {})}])
        mailbox = {"Identity": "Somebody else" if "@" in str(cmdlet.parameters["Identity"]) else "Fax"}
        return Output(
            [{**mailbox, "User": "odd", "UserSid": SID.upper(), "AccessRights": "FullAccess, ReadPermission"}]
        )


@pytest.mark.parametrize("by_app_id", [Output(), Output(error=NotFound("who?"))])
@pytest.mark.parametrize(("sid", "has"), [("", True), (SID.upper(), True), ("S-1-5-21-8", False)])
def test_send_as_is_the_applications_where_it_was_asked_for_by_its_own_id(by_app_id: Output, sid: str, has: bool):
    telling = Telling(by_app_id, sid)
    found = Reader(Exchange(telling), Desired(APP, ("m1@x.example",), send_as=True)).look()
    assert ("SendAs" in found.held("m1").effective) is has
    # By the address somebody else's rows came, who has it as a name; so the mailbox is asked for by its Guid.
    assert found.held("m1").effective >= {"FullAccess", "ReadPermission"}
    assert telling.asked[-1] == "Get-MailboxPermission"
