# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles that end at once because the look has found nothing to do leave what they would have left by themselves."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _ahead, _lane, _stores
from tests.emulator.hosted import HostedEmulator, start_hosted
from tests.integration.inprocess import play_in_process
from tests.integration.site import Run, Site, World
from tests.integration.test_profiles import STORIES
from tests.sample import sample

Json = dict[str, t.Any]
IN_FORCE_S = 26 * 3600.0
OF_THE_ROLES = re.compile(r"^TASK \[mail2fax\.m365\.(application|mailbox_scope|client_secret|admin_consent) : ", re.M)
pytestmark = pytest.mark.skipif(_ahead.trust_as_template is None, reason="this ansible-core renders in another way")
NEVER_ALIKE = ("at", "last_good_at")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> t.Callable[[], None]:
    """From here on every role looks for itself."""

    def asked(*_about: t.Any) -> Json:
        raise _ahead.NotPlain("not in this run")

    return lambda: monkeypatch.setattr(_ahead, "results", asked)


def settled(folder: pathlib.Path, emulator: HostedEmulator, world: World, **said: t.Any) -> Site:
    """A tenant in which nothing is to be done."""
    site = Site(folder, emulator, world, said, player=play_in_process)
    for _number in range(2):
        run = site.play("provision")
        assert run.code == 0, run.output
        emulator.clock(seconds=IN_FORCE_S)
    return site


def left(run: Run) -> tuple[int, Json, Json, list[str]]:
    """What a run leaves, without times."""
    record = {name: value for name, value in run.record.items() if name not in NEVER_ALIKE}
    table = re.findall(r"^ *\"?[\w ]+?  +(?:ok|pending|changed|-|blocked|failed) .*$", run.output, re.M)
    return run.code, run.steps, json.loads(re.sub(r"\d\d:\d\d(:\d\d)?", "", json.dumps(record))), table


@pytest.mark.parametrize("playbook", sample(["provision", "audit"], 1, of="playbooks ahead"))
@pytest.mark.parametrize("name", sample([*STORIES], 1, of="profiles ahead"))
def test_the_same_is_left_with_fewer_tasks(
    name: str, playbook: str, tmp_path: pathlib.Path, alone: t.Callable[[], None]
) -> None:
    profile, said = STORIES[name]
    world = World(name, principals=40)
    with start_hosted(world.tenants()) as emulator:
        site = settled(tmp_path, emulator, world, mail2fax_profile=profile, mail2fax_protocols_opt_in=True, **said)
        before = site.state()
        ahead = site.play(playbook)
        alone()
        whole = site.play(playbook)
        assert left(ahead) == left(whole)
        assert ahead.writes() == whole.writes() == []
        assert site.state() == before
        assert OF_THE_ROLES.search(whole.output)
        assert not OF_THE_ROLES.search(ahead.output)
        assert sum(ahead.requests().values()) <= sum(whole.requests().values())


def test_a_role_is_given_what_the_inventory_says_to_it_alone(tmp_path: pathlib.Path) -> None:
    """The look has options of its own, by which it would find nothing to do."""
    world = World("a role's own", principals=40)
    with start_hosted(world.tenants()) as emulator:
        site = settled(tmp_path, emulator, world)
        site.declare(application_tags=["fax"])
        run = site.play("provision")
        assert run.code == 0, run.output
        assert OF_THE_ROLES.search(run.output)
        assert [one["tags"] for one in run.after["applications"] if "fax" in one.get("tags", [])]


def test_the_last_word_is_an_extra_variable_s(tmp_path: pathlib.Path, alone: t.Callable[[], None]) -> None:
    """The playbook says of an audit that no secret is rotated."""
    world = World("the last word", principals=40)
    with start_hosted(world.tenants()) as emulator:
        site = settled(tmp_path, emulator, world)
        runs = [site.play("audit", client_secret_rotate="always")]
        alone()
        runs.append(site.play("audit", client_secret_rotate="always"))
        assert [run.steps["client_secret"] for run in runs] == [runs[1].steps["client_secret"]] * 2 != ["ok", "ok"]
        assert left(runs[0]) == left(runs[1])


def test_a_store_is_opened_with_what_a_look_up_has_filled(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World("a store's token", principals=40)
    with start_hosted(world.tenants()) as emulator:
        site = settled(tmp_path, emulator, world)
        opened: list[str] = []

        def vault(options: t.Mapping[str, t.Any], controller: t.Any) -> t.Any:
            opened.append(options["token"])
            return _stores.BACKENDS["vault_file"]({"backend": "vault_file", "path": kept}, controller)

        kept = str(site.folder / "secret.yml")
        monkeypatch.setitem(_stores.BACKENDS, "hashi_vault", vault)
        token = "{{ lookup('ansible.builtin.env', 'TOKEN_OF_THE_STORE') }}"
        store = {"backend": "hashi_vault", "url": "https://vault.example", "path": "fax", "token": token}
        site.declare(mail2fax_secret_store=store)
        monkeypatch.setenv("TOKEN_OF_THE_STORE", "hvs.of-the-store")
        run = site.play("provision")
        assert run.code == 0, run.output
        assert not OF_THE_ROLES.search(run.output)
        assert {*opened} == {"hvs.of-the-store"}


def test_no_management_host_is_asked_ahead(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be named in the environment alone."""
    world = World("by a host", principals=40)
    with start_hosted(world.tenants()) as emulator:
        site = settled(tmp_path, emulator, world)
        look = _lane.LaneAction._through

        def through(self: t.Any, door: Door, args: Json, *more: t.Any, **about: t.Any) -> Json:
            # The look itself went by the services.
            with _lane.environment({"M365_EXCHANGE_TRANSPORT": "winrm"} if about.get("nobody") else {}):
                return look(self, door, args, *more, **about)

        asked: list[str] = []
        monkeypatch.setattr(_lane.LaneAction, "_through", through)
        monkeypatch.setattr(Tenant, "by_host", lambda tenant: asked.append(tenant.options["exchange_transport"]))
        run = site.play("provision")
        assert run.code == 0, run.output
        assert asked == []
        assert OF_THE_ROLES.search(run.output)


def test_whatever_an_earlier_playbook_of_the_run_has_left_the_roles_look_for_themselves(tmp_path: pathlib.Path) -> None:
    world = World("one after the other", principals=40)
    with start_hosted(world.tenants()) as emulator:
        site = Site(tmp_path, emulator, world, {}, player=play_in_process)
        first = site.play("provision", "mail2fax.m365.provision")
        assert first.code == 0, first.output
        assert first.record["outcome"] in ("ok", "pending", "changed")
        assert first.output.count("mail2fax.m365.application : Register the application") == 2
