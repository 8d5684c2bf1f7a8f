# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every profile, by both transports and in both lanes, on tenants nobody has seen: from nothing, again, and back.

A run of a playbook costs seconds, so the commit chooses some of the stories; ``make soak`` tells all of them.
"""

from __future__ import annotations

import itertools
import pathlib
import re
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import words
from tests.emulator.hosted import start_hosted
from tests.emulator.testing import Emulator
from tests.integration import transports
from tests.integration.inprocess import play_in_process
from tests.integration.site import OPERATOR, Run, Site, World
from tests.sample import SOAKING, sample

Json = dict[str, t.Any]
CHOSEN = {
    "imagicle_ews": {},
    "imagicle_imap_smtp": {},
    "imagicle_attendant_calendar": {},
    "graph_mail": {},
    "imap_smtp_least": {},
    "smtp_send": {},
}
"""The six profiles, and what an inventory says besides."""
BY_OTHERS = {
    "imagicle_ews by role": ("imagicle_ews", {"mail2fax_scoping": "application_role"}),
    "graph_mail by policy": ("graph_mail", {"mail2fax_scoping": "application_access_policy"}),
    "imagicle_imap_smtp, smtp by role": ("imagicle_imap_smtp", {"mail2fax_scoping": {"smtp": "application_role"}}),
    "smtp_send by right": ("smtp_send", {"mail2fax_scoping": "mailbox_permission"}),
}
"""Profiles with another model that they allow."""
STORIES: dict[str, tuple[str, Json]] = {**{name: (name, said) for name, said in CHOSEN.items()}, **BY_OTHERS}
LONG = list(itertools.product(STORIES, transports.TRANSPORTS, (True, False)))
CASES = LONG if SOAKING else [case for case in LONG if case[1:] == ("rest", True)]
"""Processes and a Windows host take minutes: those stories are told by ``make soak``."""
TOKENS_S = 26 * 3600.0
"""So long after its last grant an application's tokens are dead, those for Graph as well."""


def test_there_is_a_story_for_every_profile() -> None:
    assert set(CHOSEN) == set(_profile.names())


@pytest.mark.parametrize(
    ("name", "transport", "lane"), sample(CASES, 1, of="profiles"), ids=lambda value: str(value).replace(" ", "-")
)
def test_the_life_of_a_profile(name: str, transport: str, lane: bool, tmp_path: pathlib.Path) -> None:
    profile, said = STORIES[name]
    world = World(name, principals=5000 if SOAKING and name == "graph_mail" else 450)
    # What needs no process of its own is met in this one.
    here = not SOAKING and (transport, lane) == ("rest", True)
    start: t.ContextManager[Emulator]
    start = start_hosted(world.tenants()) if here else transports.start_emulator(world.tenants(), transport)
    with start as emulator:
        opted = {"mail2fax_protocols_opt_in": True, "mail2fax_in_process": lane}
        site = Site(tmp_path, emulator, world, {"mail2fax_profile": profile, **opted, **said}, transport == "winrm")
        site.player = play_in_process if here else site.player
        found = site.state()

        planned = site.play("provision", "--check", "--diff")
        assert planned.code == 0, planned.output
        assert planned.writes() == []
        told = re.findall(r"^ *\"?([\w ]+?)  +(ok|to change|pending|-|blocked|failed) ", planned.output, re.MULTILINE)
        assert [name for name, _outcome in told] == [words.spoken(step) for step in site.profile["steps"]]
        made = {
            step for step, (_name, outcome) in zip(site.profile["steps"], told, strict=True) if outcome == "to change"
        }

        first = site.play("provision")
        assert first.code == 0, first.output
        assert site.exposures() == []
        assert {step for step, outcome in first.steps.items() if outcome in ("changed", "pending")} >= made
        declared(site, first)

        # Whatever came late is in force.
        emulator.clock(seconds=3 * 3600.0)
        second = site.play("provision")
        assert second.code == 0, second.output
        assert second.writes() == []
        assert second.record["state"] == "ready", second.output
        assert site.exposures() == []
        within_budget(site, second, transport)

        site.play("decommission", mail2fax_confirm=True)
        assert site.exposures() == []
        emulator.clock(seconds=TOKENS_S)
        last = site.play("decommission", mail2fax_confirm=True)
        assert last.code == 0, last.output
        assert last.record["state"] == "removed"
        assert last.after == found


def within_budget(site: Site, run: Run, transport: str) -> None:
    """What the preflight has read is handed on, but not to a process of its own, where each task reads for itself."""
    asked, alone = run.requests(), site.variables.get("mail2fax_in_process") is False
    assert asked["graph"] <= (5 if alone else 1), asked
    if transport == "rest":
        rights = "mailbox_permission" in site.profile["models"]
        both = rights and "application_role" in site.profile["models"]
        handed_on, read_again = 5 if rights else 3, 8 if both else 6
        assert asked["exchange"] <= (read_again if alone else handed_on), asked


def declared(site: Site, run: Run) -> None:
    """The tenant has what the profile says, for the fax mailboxes, and nothing else."""
    profile, world, state = site.profile, site.world, run.after
    steps = set(profile["steps"])
    fax = {address.casefold() for address in world.fax}
    app_id = run.record["ids"]["application_id"]
    (principal,) = [one for one in state["servicePrincipals"] if one["appId"] == app_id]
    granted = [one for one in state["appRoleAssignments"] if one["principalId"] == principal["id"]]
    assert len(granted) == sum(len(entry["application"]) for entry in profile["permissions"])
    names = {one["Name"]: one["PrimarySmtpAddress"].casefold() for one in state["mailboxes"]}

    def addresses(rows: list[Json]) -> set[str]:
        return {names.get(row["Identity"], row["Identity"]).casefold() for row in rows}

    pointers = state["exchangeServicePrincipals"]
    assert [one["AppId"] for one in pointers] == ([app_id] if "service_principal" in steps else [])
    assert [one["ObjectId"] for one in pointers] == [principal["id"]] * len(pointers)
    assert sorted(one["Role"] for one in state["roleAssignments"]) == sorted(profile["roles"])
    scopes = {one["Name"] for one in state["managementScopes"]}
    assert len(scopes) == ("application_role" in steps)
    assert {one["CustomResourceScope"] for one in state["roleAssignments"]} == scopes
    rights = [row for row in state["mailboxPermissions"] if "FullAccess" in row["AccessRights"]]
    assert addresses(rights) == (fax if profile["full_access"] else set())
    assert addresses(state["recipientPermissions"]) == (fax if profile["send_as"] else set())
    assert len(state["applicationAccessPolicies"]) == ("access_policy" in steps)
    assert len(state["groups"]) == ("scope_group" in steps)
    for before, after in zip(run.before["casMailboxes"], state["casMailboxes"], strict=True):
        if after["PrimarySmtpAddress"].casefold() not in fax or not profile["switches"]:
            assert after == before
        elif "smtp" in profile["switches"]:
            assert after["SmtpClientAuthenticationDisabled"] is False
    assert state["transportConfig"] == run.before["transportConfig"]
    assert OPERATOR["client_id"] != app_id
