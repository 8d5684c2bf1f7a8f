# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reach is the union of what every model grants; a model is one class and one line in a table."""

from __future__ import annotations

import datetime as dt
import random
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _permissions, _reach, _steps
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.access_policy import (
    DENY,
    RESTRICT,
    Policy,
    grants_of,
    is_limited,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Grant, Inside, Permission
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS, Model
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile

APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
EXCHANGE, GRAPH = (_permissions.WELL_KNOWN[name] for name in ("exchange_online", "microsoft_graph"))
EWS = Permission(EXCHANGE, "full_access_as_app")
READ = Permission(GRAPH, "Mail.Read")
IMAP = Permission(EXCHANGE, "IMAP.AccessAsApp")
INSIDE: dict[str, frozenset[str] | None] = {
    **{"fax": frozenset({"m1"}), "vip": frozenset({"m1", "m2"}), "closed": None, "sales": frozenset({"m3"})}
}


def policy(group: str, right: str = RESTRICT, app_id: str = APP, *, is_valid: bool = True) -> Policy:
    return Policy(f"t\\{app_id}:{group}", app_id, right, group, group, entra_id=group, is_valid=is_valid)


def opened(*policies: Policy, held: t.Iterable[Permission] = (EWS,)) -> list[Grant]:
    return grants_of(APP, held, policies, INSIDE.get)


def test_without_a_policy_everything_is_open():
    [grant] = opened()
    assert grant.everything
    assert _reach.wider_than([grant], {"m1"}).everything[0].permission == EWS.name
    assert _reach.wider_than([grant], {"m1"})


def test_with_a_policy_the_group_is_all():
    [grant] = opened(policy("fax"), policy("sales", app_id="*"))
    assert grant.only == {"m1", "m3"}
    assert _reach.reach([grant], ["m1", "m2"])["m2"] == []
    assert "limited by RestrictAccess" in str(_reach.reach([grant], ["m1"])["m1"][0])
    assert not _reach.wider_than([grant], {"m1", "m3"})
    assert set(_reach.wider_than([grant], {"m1"}).mailboxes) == {"m3"}


def test_a_denial_goes_before_a_grant():
    [grant] = opened(policy("vip"), policy("fax", DENY))
    assert [grant.opens(mailbox) for mailbox in ("m1", "m2", "m3")] == [False, True, False]
    [grant] = opened(policy("fax", DENY))
    assert grant.everything
    assert not grant.opens("m1")


@pytest.mark.parametrize("right", [RESTRICT, DENY])
def test_what_is_not_valid_or_cannot_be_read_limits_nothing_for_certain(right: str):
    for odd in (policy("fax", right, is_valid=False), policy("closed", right)):
        assert _reach.wider_than(opened(policy("sales"), odd), {"m3"}).unknown
    assert opened(policy("fax", is_valid=False))[0].everything


def test_what_no_policy_limits_is_not_this_models():
    assert opened(held=[IMAP, Permission(GRAPH, "User.Read.All")]) == []
    assert [grant.protocol for grant in opened(held=[EWS, READ])] == ["ews", "graph"]


@pytest.mark.parametrize(
    "name", ["Mail.ReadWrite", "MailboxSettings.Read", "Calendars.Read", "Contacts.Read", "Mail.Send"]
)
def test_graphs_mail_permissions_are_limited(name: str):
    assert is_limited(GRAPH, name)
    assert is_limited(EXCHANGE, name)


@pytest.mark.parametrize("name", ["MailboxItem.Read.All", "MailboxFolder.ReadWrite.All", "Mail-Advanced.ReadWrite.All"])
def test_what_no_policy_limits_is_tenant_wide(name: str):
    held = [Permission(GRAPH, name)]
    assert not is_limited(GRAPH, name)
    assert opened(policy("fax"), held=held) == []
    [grant] = MODELS["tenant_wide"].grants(APP, held, [], INSIDE.get)
    assert _reach.wider_than([grant], {"m1"}).everything


def test_what_is_not_known_counts_as_limited():
    assert is_limited(GRAPH, None)
    assert is_limited(EXCHANGE, "Something.New")
    assert not is_limited("33333333-0000-4000-8000-000000000003", "Mail.Read")


def test_the_union_is_the_same_as_asking_mailbox_by_mailbox():
    """Random policies against a second, naive reading of Exchange's rule."""
    boxes = ("m1", "m2", "m3", "m4")
    for seed in range(500):
        chance = random.Random(seed)
        groups = {f"g{n}": frozenset(chance.sample(boxes, chance.randint(0, 4))) for n in range(3)}
        policies = [
            policy(group, chance.choice((RESTRICT, DENY)), chance.choice((APP, "*", "other")))
            for group in groups
            if chance.random() < 0.7
        ]
        [grant] = grants_of(APP, [EWS], policies, groups.get)
        hers = [one for one in policies if one.app_id in (APP, "*")]
        for box in boxes:
            met = {one.access_right for one in hers if box in groups[one.entra_id]}
            limited = any(one.access_right == RESTRICT for one in hers)
            assert grant.opens(box) == (DENY not in met and (RESTRICT in met or not limited)), seed


# ---- the table ------------------------------------------------------------------------------------------------------


class Toy:
    """A model of one file: whoever stands in the toy list has the mailbox."""

    name: t.ClassVar[str] = "toy"
    needs_consent: t.ClassVar[bool] = False
    before: t.ClassVar[tuple[str, ...]] = ("scope_group",)
    makes: t.ClassVar[tuple[str, ...]] = ("scope_group",)
    in_force_after: t.ClassVar[dt.timedelta] = dt.timedelta(hours=2)
    look_every: t.ClassVar[dt.timedelta] = dt.timedelta(minutes=5)

    def cmdlets(self, app_id: str) -> list[Cmdlet]:
        return [Cmdlet("Get-Toy", {"App": app_id}, "read the toys")]

    def grants(
        self, app_id: str, held: t.Iterable[Permission], outputs: t.Sequence[Output], inside: Inside
    ) -> list[Grant]:
        return [Grant(self.name, "Toy.Read", "imap", frozenset(row["Mailbox"] for row in outputs[0].objects()))]


def test_another_model_is_one_class_and_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(MODELS, Toy.name, Toy())
    answers = {
        "Get-ApplicationAccessPolicy": Output([{"AppId": APP, "AccessRight": RESTRICT, "ScopeIdentityRaw": "S;fax"}]),
        "Get-Toy": Output([{"Mailbox": "m2"}]),
    }
    asked = _reach.cmdlets(APP)
    assert {cmdlet.name for _model, cmdlet in asked} > set(answers)
    said = [(model, answers.get(cmdlet.name, Output())) for model, cmdlet in asked]
    found = _reach.grants(APP, [EWS], said, INSIDE.get)
    reach = _reach.reach(found, ["m1", "m2", "m3"])
    assert {box: [way.model for way in ways] for box, ways in reach.items()} == {
        "m1": ["application_access_policy"],
        "m2": ["toy"],
        "m3": [],
    }
    assert set(_reach.wider_than(found, {"m1"}).mailboxes) == {"m2"}


def test_every_model_names_steps_that_there_are_and_a_profile_may_say_it():
    for name, model in MODELS.items():
        checked: Model = model
        assert checked.name == name
        assert set(checked.before) <= set(_steps.STEPS)
        assert all(_steps.STEPS[key].chosen for key in checked.makes)
    # Which there are is asked when a profile is read: see test_profile.
    assert "choices" not in _profile.SPEC["accesses"]["options"]["scoping"]
