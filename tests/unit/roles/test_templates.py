# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles hand to the modules where it depends on a decision: nothing, or everything, but not the wrong one."""

from __future__ import annotations

import typing as t
from inspect import signature

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from tests.tools import layout

OMIT = "__omit__"


def handed(path: str, module: str, option: str, **given: t.Any) -> t.Any:
    """The option of the task with this module as the variables make it."""
    loader = DataLoader()
    # From ansible-core 2.19 on a text is a template only where it says so.
    trusted = (
        {"trusted_as_template": True} if "trusted_as_template" in signature(loader.load_from_file).parameters else {}
    )
    tasks = loader.load_from_file(str(layout.ROOT / "roles" / path), **trusted)
    [task] = [one for one in tasks if f"mail2fax.m365.{module}" in one]
    templar = Templar(loader=loader, variables={"omit": OMIT, **given})
    return templar.template(task[f"mail2fax.m365.{module}"][option])


@pytest.mark.parametrize(("choice", "wanted"), [("keep", OMIT), ("remove", ["a@x.example"]), ("fail", ["a@x.example"])])
def test_members_that_were_declared_to_stay_do_not_stop_a_role(choice: str, wanted: t.Any) -> None:
    given = {"mailbox_scope_mailboxes": ["a@x.example"], "mailbox_scope_on_foreign_members": choice}
    path = "mailbox_scope/tasks/application_role.yml"
    assert handed(path, "exchange_application_role", "mailboxes", **given) == wanted


@pytest.mark.parametrize(("known", "wanted"), [(None, OMIT), ([], []), (["fax"], ["fax"])])
def test_no_scope_of_ours_is_another_thing_than_nobody_knows(known: t.Any, wanted: t.Any) -> None:
    plan = {"decommission_plan": {"roles": {"own_scopes": known}, "rights": {"own": known}}}
    asked = (("application_role", "own_scopes"), ("mailbox_permission", "own_rights"))
    for name, option in asked:
        assert handed(f"decommission/tasks/{name}.yml", f"exchange_{name}", option, **plan) == wanted
