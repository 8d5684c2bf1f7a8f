# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role verify hands to the proof: until when a refusal is no more than late."""

from __future__ import annotations

import typing as t
from inspect import signature

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from tests.tools import layout

Json = dict[str, t.Any]

EARLIER, LATER = "2026-11-21T11:00:00Z", "2026-11-21T14:00:00Z"
KNOWN: Json = {"mail2fax_inventory": {"known": {"proof_by": EARLIER, "ews_in_force_by": ""}}}


def in_force_by(*models: str, **variables: t.Any) -> list[str]:
    loader = DataLoader()
    # From ansible-core 2.19 on a text is a template only where it says so.
    trusted = (
        {"trusted_as_template": True} if "trusted_as_template" in signature(loader.load_from_file).parameters else {}
    )
    defaults = loader.load_from_file(str(layout.ROOT / "roles/verify/defaults/main.yml"), **trusted)
    given = {**defaults, **KNOWN, "verify_definition": {"models": list(models)}, **variables}
    return t.cast("list[str]", Templar(loader=loader, variables=given).template(defaults["verify_in_force_by"]))


def test_where_nothing_was_changed_the_hour_of_the_run_before_stays() -> None:
    assert in_force_by("application_role") == [EARLIER]
    unchanged = {"mailbox_scope_group_result": {"changed": False}, "admin_consent_result": {"changed": False}}
    assert in_force_by("mailbox_permission", **unchanged) == [EARLIER]


@pytest.mark.parametrize(
    "changed",
    [
        *("mailbox_scope_group_result", "mailbox_scope_pointer_result", "mailbox_scope_right_result"),
        *("mailbox_scope_role_result", "mailbox_scope_protocols_result", "admin_consent_result"),
    ],
)
def test_what_this_run_changed_begins_an_hour_of_its_own(changed: str) -> None:
    assert in_force_by("application_role", **{changed: {"changed": True}}) == []
    if changed.startswith("mailbox_scope_r"):
        result = {"changed": True, "in_force_by": LATER}
        assert in_force_by("application_role", **{changed: result}) == [LATER]


def test_how_late_a_policy_is_nobody_tells() -> None:
    assert in_force_by("application_access_policy") == []
    opened = {"mailbox_scope_ews_result": {"in_force_by": LATER}}
    assert in_force_by("application_access_policy", **opened) == [LATER]
