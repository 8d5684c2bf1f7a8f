# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first task of a playbook works out the profile for all roles; one that is given a profile of its own keeps it."""

from __future__ import annotations

import pathlib
import typing as t
from inspect import signature

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile
from tests.emulator.hosted import start_hosted
from tests.integration.inprocess import let_ansible_find_the_collection, play_in_process
from tests.integration.site import Site, World
from tests.tools import layout

Json = dict[str, t.Any]
WORLD = World("definition", principals=5)
ROLES = sorted(
    path.parts[-3]
    for path in layout.ROOT.glob("roles/*/defaults/main.yml")
    if "mail2fax_inventory.definition" in path.read_text(encoding="utf-8")
)
FOUND: Json = {"name": "of the first task"}


def definition(role: str, **given: t.Any) -> Json:
    let_ansible_find_the_collection()
    loader = DataLoader()
    trusted = (
        {"trusted_as_template": True} if "trusted_as_template" in signature(loader.load_from_file).parameters else {}
    )
    defaults = loader.load_from_file(str(layout.ROOT / "roles" / role / "defaults/main.yml"), **trusted)
    templar = Templar(loader=loader, variables={**defaults, **given})
    return t.cast("Json", templar.template(defaults[f"{role}_definition"]))


def test_every_role_of_a_profile_is_meant() -> None:
    assert len(ROLES) == 9


@pytest.mark.parametrize("role", ROLES)
def test_a_role_takes_what_the_playbook_has_worked_out(role: str) -> None:
    assert definition(role, mail2fax_playbook="audit", mail2fax_inventory={"definition": FOUND}) == FOUND


@pytest.mark.parametrize("role", ROLES)
def test_a_role_looks_it_up_where_nobody_has(role: str) -> None:
    other = {"mail2fax_profile": "graph_mail"}
    known: list[Json] = [
        {},
        {"mail2fax_playbook": "audit", "mail2fax_inventory": {"definition": {}}},
        {"mail2fax_playbook": "audit"},
        # A play of the user's own, after a playbook of ours.
        {"mail2fax_inventory": {"definition": FOUND}},
    ]
    for given in known:
        assert definition(role, **other, **given) == _profile.load("graph_mail")
    own = {f"{role}_profile": "smtp_send", "mail2fax_playbook": "audit", "mail2fax_inventory": {"definition": {}}}
    assert definition(role, **other, **own) == _profile.load("smtp_send")


def credentials(site: Site) -> list[str]:
    [own] = [one for one in site.state()["applications"] if one.get("uniqueName")]
    return [str(one["displayName"]) for one in own["passwordCredentials"]]


def test_one_role_may_have_a_profile_of_its_own(tmp_path: pathlib.Path) -> None:
    other: dict[str, t.Any] = _profile.load("smtp_send")
    with start_hosted(WORLD.tenants()) as emulator:
        site = Site(tmp_path, emulator, WORLD, player=play_in_process)
        site.declare(mail2fax_profile="graph_mail", client_secret_profile="smtp_send")
        run = site.play("provision")
        assert run.code == 0, run.output
        assert run.record["profile"]["name"] == "graph_mail"
        assert credentials(site) == [other["names"]["secret"]]
        assert other["names"]["secret"] != site.profile["names"]["secret"]
