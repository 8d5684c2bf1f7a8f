# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches of mail protocols: three values, the organization behind them, and the way back."""

from __future__ import annotations

import datetime as dt
import itertools
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._recipients import Recipient
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_protocols import (
    SMTP_SETTING,
    Before,
    Box,
    Desired,
    State,
    Switch,
    flag,
    plan,
)

NOW = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)
FAX = Recipient("m1", "SharedMailbox", "fax@x.example", addresses=frozenset({"fax@x.example"}))


def state(imap: bool = True, pop: bool = True, smtp: bool | None = None, organization: bool | None = True) -> State:
    switches = {"ImapEnabled": imap, "PopEnabled": pop, SMTP_SETTING: smtp}
    return State((Box(FAX, switches),), (FAX,), organization)


def after(current: State, planned: Plan) -> State:
    values: dict[str, bool | None] = {}
    for step in planned.steps:
        assert isinstance(step, Switch)
        values.update(step.values)
    [box] = current.boxes
    return State((Box(box.recipient, {**box.switches, **values}),), current.known, current.organization_off)


@pytest.mark.parametrize("said", [True, "True", "true"])
def test_a_flag_may_come_as_text(said: t.Any):
    assert flag(said) is True
    assert flag(None) is flag("") is None


@pytest.mark.parametrize(
    ("organization", "own", "effective"),
    [(True, None, False), (True, True, False), (True, False, True), (False, None, True), (False, True, False)],
)
def test_a_mailboxs_own_value_wins_over_the_organization(organization: bool, own: bool | None, effective: bool):
    found = state(smtp=own, organization=organization)
    planned = plan(found, Desired(("fax@x.example",), ("smtp",)), NOW)
    assert bool(planned.steps) is not effective
    assert planned.result["mailboxes"][0]["smtp_auth_effective"] is True
    assert planned.result["organization"] == {"smtp_auth_disabled": organization}


def test_an_organization_that_does_not_tell_counts_as_off():
    assert plan(state(organization=None), Desired(("fax@x.example",), ("smtp",)), NOW).steps


def test_every_state_is_opened_once_and_put_back_exactly():
    for imap, pop, smtp, organization in itertools.product(
        (True, False), (True, False), (True, False, None), (True, False)
    ):
        for protocols in (("imap",), ("pop",), ("smtp",), ("imap", "pop", "smtp")):
            found = state(imap, pop, smtp, organization)
            wish = Desired(("fax@x.example",), protocols)
            planned = plan(found, wish, NOW)
            opened = after(found, planned)
            assert not plan(opened, wish, NOW).steps
            assert all(opened.boxes[0].opens(protocol, organization) for protocol in protocols)
            restore = tuple(Before(one["of"], one["id"], one["before"]) for one in planned.added)
            way_back = Desired(state="absent", restore=restore)
            restored = after(opened, plan(opened, way_back, NOW))
            assert restored == found
            assert not plan(restored, way_back, NOW).steps


def test_what_is_not_named_is_not_touched():
    [step] = plan(state(False, False, True), Desired(("fax@x.example",), ("pop",)), NOW).steps
    assert step.values == (("PopEnabled", True),)


def test_what_was_there_before_the_first_run_counts():
    """A mailbox may be named by its Guid and by an address, and each run that mended it told what it found."""
    restore = (Before("m1", SMTP_SETTING, None), Before("fax@x.example", SMTP_SETTING, True))
    [step] = plan(state(smtp=False), Desired(state="absent", restore=restore), NOW).steps
    assert step.values == ((SMTP_SETTING, None),)
