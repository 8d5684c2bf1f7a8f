# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run costs in sign-ins and processes, who shares them, and which tasks get a process after all."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import re
import stat
import sys
import time
import typing as t
from collections import Counter

import pytest
import requests

from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.plugin_utils._tokens import SharedSignIn
from tests.emulator.testing import Emulator, start_emulator
from tests.integration.fleet import OPERATOR_SECRET, Fleet, Place, Run, lines_of, places, tenants
from tests.sample import sample

Json = dict[str, t.Any]
CLIENT = "11111111-0000-4000-8000-000000000001"
LOGIN, GRAPH, EXCHANGE = "login.microsoftonline.com", "graph.microsoft.com", "outlook.office365.com"
OPERATOR = {"tenant": "{{ mail2fax_tenant }}", "client_id": CLIENT, "client_secret": OPERATOR_SECRET, "patience": 20}
LOOK: Json = {"mail2fax.m365.entra_application_info": {"display_name": "Nobody"}}
VERDICT: Json = {
    "mail2fax.m365.exchange_ews_access": {"app_id": "aaaaaaaa-0000-4000-8000-000000000001"},
    "check_mode": True,
}


def play(*tasks: Json, **keywords: t.Any) -> list[Json]:
    return [
        {
            "hosts": "all",
            "gather_facts": False,
            "module_defaults": {"group/mail2fax.m365.m365": OPERATOR},
            "tasks": [{"name": f"task {number}", **task} for number, task in enumerate(tasks, 1)],
            **keywords,
        }
    ]


def sign_ins(emulator: Emulator, client_id: str | None = None) -> Counter[tuple[str, str]]:
    """Tokens that were issued, by tenant and audience; of one client if it is named."""
    found: Counter[tuple[str, str]] = Counter()
    for tenant, state in emulator.state()["tenants"].items():
        for entry in state["signIns"]:
            if entry["errorCode"] == 0 and (client_id is None or entry["appId"] == client_id):
                found[tenant, entry["audience"].removeprefix("https://")] += 1
    return found


def modules(run: Run) -> list[str]:
    """The modules that got a process of their own, by name."""
    names = [word for words in run.programs for word in " ".join(words).split() if "AnsiballZ_" in word]
    return sorted({pathlib.Path(name.strip("'\"")).stem.removeprefix("AnsiballZ_") for name in names})


@pytest.fixture(scope="module")
def running() -> t.Iterator[Emulator]:
    with start_emulator(tenants(3)) as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    return running.reset()


@pytest.fixture
def fleet(tmp_path: pathlib.Path, emulator: Emulator) -> Fleet:
    return Fleet(tmp_path, emulator)


# --- what a run costs ------------------------------------------------------------------------------------------


def test_provision_again_is_two_sign_ins_and_no_process(fleet: Fleet) -> None:
    """The operator comes by variables, which every module of the group gets, the probe as well."""
    emulator = fleet.emulator
    operator = {"mail2fax_client_id": CLIENT, "mail2fax_client_secret": OPERATOR_SECRET}
    nobody = {"M365_CLIENT_ID": "", "M365_CLIENT_SECRET": ""}
    first = fleet.play("mail2fax.m365.provision", env=nobody, **operator)
    assert first.code == 0, first.output
    before = sign_ins(emulator)
    second = fleet.play("mail2fax.m365.provision", env=nobody, **operator)
    assert (second.code, second.recap("tenant01")["changed"]) == (0, 0), second.output
    made = sign_ins(emulator) - before
    place = Place(1)
    # The operator's two, and the application's own for the proof.
    assert made == {(place.id, GRAPH): 1, (place.id, EXCHANGE): 2}
    assert sign_ins(emulator, CLIENT) == {(place.id, GRAPH): 2, (place.id, EXCHANGE): 2}
    assert second.programs == []
    assert first.programs == []


@pytest.mark.parametrize("strategy", sample(["linear", "free", "host_pinned"], 1, of="strategies"))
def test_the_tasks_of_a_tenant_share_their_sign_ins(tmp_path: pathlib.Path, emulator: Emulator, strategy: str) -> None:
    fleet = Fleet(tmp_path, emulator, count=3)
    run = fleet.play(play(LOOK, VERDICT, LOOK, VERDICT, LOOK, strategy=strategy), "--forks", "6")
    assert run.code == 0, run.output
    expected = {(place.id, audience): 1 for place in places(3) for audience in (GRAPH, EXCHANGE)}
    assert sign_ins(emulator) == expected
    assert run.programs == []


def test_a_template_is_compiled_once_for_the_run(tmp_path: pathlib.Path, emulator: Emulator) -> None:
    noted = tmp_path / "noted"
    settings = {"ANSIBLE_JINJA2_EXTENSIONS": "noted.Compiled", "NOTED_PATH": str(noted), "ANSIBLE_FORKS": "1"}
    fleet = Fleet(tmp_path, emulator, count=3, settings=settings)
    said = "{{ mail2fax_tenant | default(none) | mail2fax.m365.said('of_ours') }}"
    named = "{{ mail2fax_x_said ~ ' and ' ~ mail2fax_x_said }}"
    asked: Json = {"mail2fax.m365.entra_application_info": {"display_name": "{{ mail2fax_x_named }}"}}
    asked["vars"] = {"mail2fax_x_said": said, "mail2fax_x_named": named}
    run = fleet.play(play(asked, asked))
    assert run.code == 0, run.output
    compiled = Counter(source for _process, source in lines_of(noted) if "mail2fax_x_" in source or source == said)
    # What says no more than a name is read as it stands.
    assert compiled == {named: 1, said: 1}


def test_two_operators_do_not_share(fleet: Fleet) -> None:
    weak: Json = {"mail2fax.m365.entra_application_info": {**LOOK["mail2fax.m365.entra_application_info"]}}
    weak["mail2fax.m365.entra_application_info"]["client_secret"] = "another"
    run = fleet.play(play(LOOK, {**weak, "ignore_errors": True}, LOOK))
    assert run.code == 0, run.output
    assert "AADSTS7000215" in run.of("task 2")[0]["result"]["msg"]
    assert sign_ins(fleet.emulator) == {(Place(1).id, GRAPH): 1}


def test_ready_tokens_are_not_shared(tmp_path: pathlib.Path, emulator: Emulator) -> None:
    """Each tenant's own token, although nothing else tells the two tasks apart."""
    fleet = Fleet(tmp_path, emulator, count=2)
    tokens = {place.host: emulator.token(place.domain, CLIENT, OPERATOR_SECRET) for place in places(2)}
    task: Json = {
        "mail2fax.m365.m365_tenant_info": {"access_token": {"graph": "{{ tokens[inventory_hostname] }}"}, "steps": []},
        "environment": {"M365_CLIENT_ID": "", "M365_CLIENT_SECRET": ""},
        "ignore_errors": True,
    }
    before = sign_ins(emulator)
    run = fleet.play(play(task, module_defaults={}, serial=1), tokens=tokens)
    found = {event["host"]: (event["result"].get("tenant") or {}).get("id") for event in run.of("task 1")}
    assert found == {place.host: place.id for place in places(2)}, run.output
    assert sign_ins(emulator) == before


# --- what a run leaves -----------------------------------------------------------------------------------------


def left(fleet: Fleet) -> list[pathlib.Path]:
    """Everything below the folders in which Ansible keeps things for a while."""
    roots = [fleet.folder / "home" / ".ansible" / "tmp", fleet.folder / "tmp"]
    return [path for root in roots for path in root.rglob("*") if path.is_file()]


def test_nothing_of_a_token_outlives_the_run(fleet: Fleet) -> None:
    assert fleet.play(play(LOOK, VERDICT)).code == 0
    assert left(fleet) == []


def test_what_outlives_a_killed_run_nobody_can_read(fleet: Fleet) -> None:
    emulator = fleet.emulator
    emulator.faults([{"match": {"cmdlet": "Get-OrganizationConfig"}, "times": 9, "effect": {"delay_s": 60}}])
    look: Json = {"mail2fax.m365.entra_application_info": {"display_name": "{{ 'No' ~ 'body' }}"}}
    with fleet.start(play(look, VERDICT)) as running:
        waiting = time.monotonic() + 120
        while sum(sign_ins(emulator).values()) < 2 or len([*fleet.folder.rglob("m365-*")]) < 4:
            assert running.process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < waiting
            time.sleep(0.05)
        running.kill()
    kept = left(fleet)
    assert len([path for path in kept if path.name.startswith("m365-") and path.suffix != ".lock"]) == 2
    assert [path for path in kept if path.parent.name == "mail2fax-templates"], "what was compiled"
    for path in kept:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        # How tokens begin; a few letters of it are in every other encrypted file.
        assert not re.search(rb"eyJ(?:0eXAi|hbGci|raWQi)", path.read_bytes())
        assert b"mail2fax_tenant" not in path.read_bytes()
    emulator.faults([])
    # The next run has another key, and a folder of its own.
    assert fleet.play(play(LOOK, VERDICT)).code == 0
    assert set(sign_ins(emulator).values()) == {2}
    assert left(fleet) == kept


def test_a_token_that_ended_meanwhile_is_replaced_once(tmp_path: pathlib.Path, emulator: Emulator) -> None:
    place = Place(1)
    options = {**OPERATOR, "tenant": place.domain}

    def tenant() -> Tenant:
        return Tenant(
            options, environment=emulator.env(), share=lambda inner: SharedSignIn(inner, options, str(tmp_path))
        )

    def use(opened: Tenant) -> None:
        assert opened.graph.get("/applications?$top=1", "look")
        assert opened.exchange.invoke("Get-OrganizationConfig", "look")
        opened.close()

    use(tenant())
    use(tenant())
    assert sign_ins(emulator) == {(place.id, GRAPH): 1, (place.id, EXCHANGE): 1}
    emulator.clock(days=1)
    use(tenant())
    assert sign_ins(emulator) == {(place.id, GRAPH): 2, (place.id, EXCHANGE): 2}
    refused = [row["host"] for row in emulator.journal() if row["status"] == 401]
    assert refused == [GRAPH, EXCHANGE]
    use(tenant())
    assert sign_ins(emulator) == {(place.id, GRAPH): 2, (place.id, EXCHANGE): 2}


def test_a_refusal_that_stays_is_told_after_one_more_sign_in(fleet: Fleet) -> None:
    emulator = fleet.emulator
    body = {"error": {"code": "InvalidAuthenticationToken", "message": "Access token validation failure."}}
    emulator.faults([{"match": {"host": GRAPH}, "times": 99, "effect": {"status": 401, "body": body}}])
    run = fleet.play(play({**LOOK, "ignore_errors": True}, LOOK))
    assert run.code == 2
    assert "sign in again" in run.result("task 2")["msg"]
    # Each task tries a fresh token once; what the second began with was the first one's.
    assert sign_ins(emulator) == {(Place(1).id, GRAPH): 3}
    assert [row["status"] for row in emulator.journal() if row["host"] == GRAPH] == [401, 401, 401, 401]


# --- keywords around a task ------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", sample(["play", "block", "task"], 1, of="environments"))
def test_the_environment_of_a_task_is_its_own(fleet: Fleet, where: str) -> None:
    """Proxy, CA and sign-in come from ``environment:`` alone."""
    wanted = {**fleet.emulator.env(), "M365_TENANT": Place(1).domain, "M365_CLIENT_ID": CLIENT}
    wanted["M365_CLIENT_SECRET"] = "{{ somewhere }}"
    nothing = dict.fromkeys((*fleet.emulator.env(), "M365_CLIENT_ID", "M365_CLIENT_SECRET"), "")
    tasks: list[Json] = [LOOK, VERDICT]
    keywords: Json = {"module_defaults": {}, "vars": {"somewhere": OPERATOR_SECRET}}
    if where == "task":
        tasks = [{**task, "environment": wanted} for task in tasks]
    elif where == "block":
        tasks = [
            {"block": [{"name": f"in {number}", **task} for number, task in enumerate(tasks)], "environment": wanted}
        ]
    else:
        keywords["environment"] = wanted
    run = fleet.play(play(*tasks, **keywords), env=nothing)
    assert run.code == 0, run.output
    assert len(sign_ins(fleet.emulator)) == 2
    assert run.programs == []


def test_the_environment_of_one_task_is_not_the_next_ones(fleet: Fleet) -> None:
    task: Json = {
        "mail2fax.m365.entra_application_info": {"display_name": "{{ item }}"},
        "environment": {"M365_CLIENT_SECRET": "{{ item }}"},
        "loop": ["wrong", OPERATOR_SECRET],
        "ignore_errors": True,
    }
    defaults = {name: value for name, value in OPERATOR.items() if name != "client_secret"}
    run = fleet.play(play(task, module_defaults={"group/mail2fax.m365.m365": defaults}))
    results = run.result("task 1")["results"]
    # Told by the message: from ansible-core 2.21 on an item's result does not say that it failed.
    assert ["AADSTS7000215" in str(result.get("msg")) for result in results] == [True, False], run.output


# --- the connection from variables ------------------------------------------------------------------------------


@pytest.mark.parametrize("in_process", sample([True, False], 1, of="connections"))
def test_the_connection_of_a_host_is_in_its_variables(
    tmp_path: pathlib.Path, emulator: Emulator, in_process: bool
) -> None:
    """Each host's own, whatever the environment says; in a process as in the worker."""
    variables = {
        "mail2fax_client_id": CLIENT,
        "mail2fax_client_secret": "{{ somewhere }}",
        "mail2fax_certificate_path": "",
        "somewhere": OPERATOR_SECRET,
        "mail2fax_in_process": in_process,
    }
    fleet = Fleet(tmp_path, emulator, count=2, variables=variables)
    other = {"M365_TENANT": "contoso.example", "M365_CLIENT_ID": "", "M365_CLIENT_SECRET": "wrong"}
    run = fleet.play(play(LOOK, VERDICT, module_defaults={}), env=other)
    assert run.code == 0, run.output
    assert set(sign_ins(emulator)) == {(place.id, audience) for place in places(2) for audience in (GRAPH, EXCHANGE)}
    assert bool(run.programs) is not in_process
    assert OPERATOR_SECRET not in run.output


@pytest.mark.parametrize("where", sample(["task", "module_defaults"], 1, of="own ways"))
def test_a_task_s_own_way_to_sign_in_is_not_mixed_with_the_host_s(
    fleet: Fleet, tmp_path: pathlib.Path, where: str
) -> None:
    own: Json = {"certificate_path": str(tmp_path / "there-is-none.pem")}
    task: Json = {"mail2fax.m365.entra_application_info": {"display_name": "Nobody"}}
    defaults: Json = {}
    if where == "task":
        task["mail2fax.m365.entra_application_info"].update(own)
    else:
        defaults = {"group/mail2fax.m365.m365": own}
    operator = {"mail2fax_client_id": CLIENT, "mail2fax_client_secret": OPERATOR_SECRET}
    nobody = {"M365_CLIENT_ID": "", "M365_CLIENT_SECRET": ""}
    run = fleet.play(play(task, module_defaults=defaults), env=nobody, **operator)
    message = run.result("task 1")["msg"]
    assert "there-is-none.pem" in message
    assert "more than one way" not in message


def test_a_variable_is_checked_like_an_option(fleet: Fleet) -> None:
    run = fleet.play(play(LOOK, module_defaults={}), mail2fax_cloud="moon")
    assert "value of cloud must be one of" in run.result("task 1")["msg"]
    assert fleet.emulator.journal() == []


NOT_HERE: dict[str, tuple[Json, Json]] = {
    # why: (keywords of the task, its variables)
    "async": ({"async": 60, "poll": 1}, {}),
    "become": ({"become": True, "become_method": "same"}, {}),
    "delegated": ({"delegate_to": "far"}, {"mail2fax_allowed_connection": "elsewhere"}),
    "connection": ({}, {"ansible_connection": "elsewhere", "mail2fax_allowed_connection": "elsewhere"}),
    "interpreter": ({}, {"ansible_python_interpreter": "other"}),
    "switch": ({}, {"mail2fax_in_process": False}),
}


@pytest.mark.parametrize("why", sample(list(NOT_HERE), 2, of="not in the worker"))
def test_where_the_worker_will_not_do_the_module_runs(fleet: Fleet, tmp_path: pathlib.Path, why: str) -> None:
    keywords, variables = NOT_HERE[why]
    other = tmp_path / "python3"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    other.chmod(0o755)
    if "ansible_python_interpreter" in variables:
        variables = {"ansible_python_interpreter": str(other)}
    far = {"name": "far", "groups": "elsewheres", "ansible_connection": "elsewhere"}
    far["ansible_python_interpreter"] = sys.executable
    add: Json = {"ansible.builtin.add_host": far}
    task: Json = {**LOOK, **keywords, "vars": variables, "register": "found"}
    check: Json = {"ansible.builtin.assert": {"that": ["found.applications == []", "not found.changed"]}}
    if "async" in keywords:
        check = {"ansible.builtin.assert": {"that": ["found.applications == []", "found.ansible_job_id is defined"]}}
    run = fleet.play([*play(add, task, check, hosts="tenant01")])
    assert run.code == 0, run.output
    # To another machine the module goes through standard input, so that its name is in no command line.
    elsewhere = "mail2fax_allowed_connection" in variables
    assert elsewhere or "entra_application_info" in modules(run)
    assert run.programs
    assert len(sign_ins(fleet.emulator)) == 1


@pytest.mark.parametrize("keywords", sample([{}, {"delegate_to": "far"}], 1, of="other machines"), ids=str)
def test_a_sign_in_goes_to_no_other_machine_unasked(fleet: Fleet, keywords: Json) -> None:
    """As where ``ansible_connection: local`` was forgotten: nothing is started, and nothing is sent."""
    far = {"name": "far", "groups": "elsewheres", "ansible_connection": "elsewhere"}
    there = {} if keywords else {"vars": {"ansible_connection": "elsewhere"}}
    add: Json = {"ansible.builtin.add_host": far}
    run = fleet.play([*play(add, {**LOOK, **keywords, **there}, hosts="tenant01")])
    assert run.code == 2
    assert "mail2fax_allowed_connection: elsewhere" in run.result("task 2")["msg"]
    assert run.programs == []
    assert fleet.emulator.journal() == []


@pytest.mark.parametrize("keep", sample(["0", "1"], 1, of="traces"))
def test_a_module_leaves_no_trace_of_its_secrets(fleet: Fleet, keep: str) -> None:
    """By option and by ``environment:``, with the files of modules kept or not; neither file nor command line."""
    defaults = {name: value for name, value in OPERATOR.items() if name != "client_secret"}
    given: Json = {
        "block": [
            {"name": "by environment", **LOOK, "environment": {"M365_CLIENT_SECRET": OPERATOR_SECRET}},
            {"name": "by async", **LOOK, "environment": {"M365_CLIENT_SECRET": OPERATOR_SECRET},
             "async": 60, "poll": 1},
            {"name": "by option", "mail2fax.m365.entra_application_info": {
                "display_name": "Nobody", "client_secret": OPERATOR_SECRET}},
        ]
    }  # fmt: skip
    nobody = {"M365_CLIENT_SECRET": "", "ANSIBLE_KEEP_REMOTE_FILES": keep}
    keywords = {"module_defaults": {"group/mail2fax.m365.m365": defaults}, "vars": {"mail2fax_in_process": False}}
    run = fleet.play(play(given, **keywords), env=nobody)
    assert run.code == 0, run.output
    assert len(run.of("by option")) == 1
    assert sign_ins(fleet.emulator)[Place(1).id, GRAPH] == 3
    assert OPERATOR_SECRET not in json.dumps(run.programs)
    # In the worker's folders, and where a kept module would be; the playbook itself says it, of course.
    for path in (fleet.folder / "home").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert OPERATOR_SECRET.encode() not in content, path
            assert base64.b64encode(OPERATOR_SECRET.encode())[:-4] not in content, path


@pytest.mark.parametrize(
    "keywords",
    sample([{"async": 60, "poll": 1}, {"become": True, "become_method": "same"}], 1, of="processes"),
    ids=str,
)
def test_a_secrets_store_is_not_handed_to_a_process(fleet: Fleet, keywords: Json) -> None:
    store = {"backend": "vault_file", "path": str(fleet.folder / "store.yml")}
    app = "aaaaaaaa-0000-4000-8000-000000000001"
    secret: Json = {"mail2fax.m365.entra_application_secret": {"app_id": app, "display_name": "s", "store": store}}
    probe: Json = {"mail2fax.m365.mailbox_probe_info": {"app_id": app, "allowed": [Place(1).fax], "store": store}}
    tasks = [{**task, **keywords, "ignore_errors": True} for task in (secret, probe)]
    run = fleet.play(play(*tasks))
    for task in ("task 1", "task 2"):
        assert run.result(task)["outcome"] == "blocked"
        assert "ansible_connection: local" in run.result(task)["msg"]
    assert run.programs == []
    assert fleet.emulator.journal() == []


def test_a_task_that_takes_too_long_is_ended(fleet: Fleet) -> None:
    fleet.emulator.faults([{"match": {"host": GRAPH}, "times": 9, "effect": {"delay_s": 30}}])
    run = fleet.play(play({**LOOK, "timeout": 2}))
    assert run.code == 2
    assert "2 second" in run.result("task 1")["msg"]
    assert run.wall_s < 29


def test_the_operators_secret_from_an_encrypted_variable(fleet: Fleet) -> None:
    from ansible.parsing.vault import VaultLib, VaultSecret

    from tests.integration.fleet import PASSWORD

    vault = VaultLib([("default", VaultSecret(PASSWORD.encode()))])
    text = vault.encrypt(OPERATOR_SECRET, VaultSecret(PASSWORD.encode())).decode()
    (fleet.folder / "group_vars").mkdir()
    lines = "\n".join(f"  {line}" for line in text.splitlines())
    (fleet.folder / "group_vars" / "all.yml").write_text(f"hidden: !vault |\n{lines}\n", encoding="utf-8")
    defaults = {**OPERATOR, "client_secret": "{{ hidden }}"}
    run = fleet.play(play(LOOK, LOOK, module_defaults={"group/mail2fax.m365.m365": defaults}), "-vvv")
    assert run.code == 0, run.output
    assert OPERATOR_SECRET not in run.output
    assert len(sign_ins(fleet.emulator)) == 1


def test_one_session_for_each_task(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[requests.Session] = []
    original = requests.Session.__init__

    def counted(self: requests.Session) -> None:
        made.append(self)
        original(self)

    monkeypatch.setattr(requests.Session, "__init__", counted)
    place = Place(1)
    with_everything = Tenant({**OPERATOR, "tenant": place.domain}, environment=fleet.emulator.env())
    assert with_everything.graph.get("/applications?$top=1", "look")
    assert with_everything.exchange.invoke("Get-OrganizationConfig", "look")
    with_everything.close()
    assert len(made) == 1
    assert os.environ.get("HTTPS_PROXY") is None
