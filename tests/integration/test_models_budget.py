# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests Exchange gets where there is nothing to change, for eight mailboxes under each model."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile
from tests.emulator.testing import Emulator, start_emulator
from tests.integration.app_roles import APP, BOSS, BRIEN, CONTROL, FAX, tenants
from tests.integration.exchange_admin import at, changes, sent
from tests.integration.harness import run

Json = dict[str, t.Any]

MAILBOXES = [FAX, BRIEN, BOSS, *(at(f"user{number}") for number in range(5))]
ALIAS, GROUP, SCOPE = "eight.group", "Eight mailboxes", "Eight mailboxes"
PROFILES = {"imagicle_imap_smtp": 6, "smtp_send": 6, "graph_mail": 6, "imap_smtp_least": 8}


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with start_emulator(tenants()) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    return running.reset()


def tasks(profile: Json, principal: str) -> Iterator[tuple[str, str, t.Callable[[dict[str, Json]], Json]]]:
    """(step, module, options by the results so far), as the roles give them; the steps that Graph alone does are left
    out."""
    steps, models = profile["steps"], profile["models"]
    roles = [role for access in profile["accesses"] for role in access["roles"]]
    group = {"name": GROUP, "alias": ALIAS, "owners": []}
    look: Json = {
        "application": {"app_id": APP, "recorded_app_id": APP},
        "accesses": profile["accesses"],
        "permissions": profile["permissions"],
        "mailboxes": MAILBOXES,
        "control_mailboxes": [CONTROL],
        **({"group": group} if "scope_group" in steps else {}),
        "application_role": {"scope_name": SCOPE},
        "mailbox_permission": {"exclusive": True},
        "protocols": {"required": profile["switches"], "opt_in": True},
    }
    yield "preflight", "m365_tenant_info", lambda _done: look
    if "scope_group" in steps:
        yield "scope_group", "exchange_security_group", lambda _done: {**group, "members": MAILBOXES, "app_id": APP}
    yield (
        "service_principal",
        "exchange_service_principal",
        lambda done: {
            "app_id": APP,
            "object_id": principal,
            "object_id_read": True,
            "pointer_read": done["preflight"]["service_principal"],
        },
    )
    if "mailbox_permission" in steps:
        yield (
            "mailbox_permission",
            "exchange_mailbox_permission",
            lambda done: {
                "app_id": APP,
                "mailboxes": MAILBOXES,
                "send_as": profile["send_as"],
                "exclusive": True,
                "candidates": [CONTROL, *done["preflight"]["candidates"]],
            },
        )
    if "application_role" in steps:
        yield (
            "application_role",
            "exchange_application_role",
            lambda _done: {
                "app_id": APP,
                "roles": roles,
                "group": ALIAS,
                "scope_name": SCOPE,
                "mailboxes": MAILBOXES,
            },
        )
    if profile["switches"]:
        switches = {"mailboxes": MAILBOXES, "protocols": profile["switches"]}
        yield "mailbox_protocols", "exchange_mailbox_protocols", lambda _done: switches
    rights = {"full_access": profile["full_access"], "send_as": profile["send_as"]}
    verdict = {"app_id": APP, "scoping": models, "expect": {"granted": MAILBOXES, "denied": [CONTROL]}}
    verdict |= {"roles": roles} if roles else {}
    verdict |= {"rights": rights} if profile["full_access"] else {}
    yield "access_verdict", "exchange_application_access_info", lambda _done: verdict


def life(emulator: Emulator, profile: Json) -> dict[str, Json]:
    principal = next(
        str(one["id"])
        for tenant in emulator.state()["tenants"].values()
        for one in tenant["servicePrincipals"]
        if one["appId"] == APP
    )
    done: dict[str, Json] = {}
    for step, module, options in tasks(profile, principal):
        done[step] = run(module, options(done), emulator)
        assert done[step]["outcome"] in ("ok", "changed"), done[step]
    return done


@pytest.mark.parametrize("name", PROFILES)
def test_nothing_to_change_for_eight_mailboxes(emulator: Emulator, name: str) -> None:
    profile = _profile.load(name)
    life(emulator, profile)
    emulator.clear_journal()
    assert {one["outcome"] for one in life(emulator, profile).values()} == {"ok"}
    assert changes(emulator) == []
    assert len(sent(emulator)) <= PROFILES[name], sent(emulator)
