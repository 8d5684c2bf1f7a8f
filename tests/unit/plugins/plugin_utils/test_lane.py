# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a task runs, and that its result in Ansible's own worker is what AnsibleModule would send."""

from __future__ import annotations

import datetime as dt
import getpass
import importlib
import os
import pathlib
import sys
import typing as t
from types import SimpleNamespace

import pytest
from ansible import constants
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.utils.display import Display

from ansible_collections.mail2fax.m365.plugins.module_utils import _handed, _module, _redact
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import ReadyTokens
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._handed import Taken
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._reads import Looked, Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _lane, _preload
from ansible_collections.mail2fax.m365.plugins.plugin_utils._lane import LaneAction, is_ours, shared
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain
from ansible_collections.mail2fax.m365.plugins.plugin_utils._read_once import FileShelf

try:
    from ansible._internal._datatag._tags import TrustedAsTemplate
except ImportError:  # before ansible-core 2.19
    TrustedAsTemplate = None
from tests.tools import layout

SECRET = "operator~secret"

Json = dict[str, t.Any]


@pytest.fixture(autouse=True)
def with_invocation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is asked to."""
    monkeypatch.setenv("ANSIBLE_INJECT_INVOCATION", "1")


class Thing:
    """A resource whose plan is what the option ``plan`` says."""

    seen: t.ClassVar[list[Task]] = []

    def __init__(self, tenant: Tenant, task: Task) -> None:
        self.seen.append(task)
        self._tenant = tenant
        self._params = task.params
        if task.params["name"] == "invalid":
            raise InvalidInput(f"name is not one, beside {task.params['old']}", cure="give another")

    def read(self) -> None:
        if self._params["name"] == "defect":
            raise KeyError(SECRET)

    def plan(self, current: None) -> Plan:
        name = self._params["name"]
        return Plan(
            before={"name": None},
            after={"name": name},
            steps=[Step(f"make {name}")] if self._params["make"] else [],
            result={"who": f"as {self._params['client_secret']}", "proxy": os.environ.get("LANE_PROXY"), "when": NOON},
            summary=f"{name} made",
            warnings=[f"{name} warns of {self._params['client_secret']}"],
            blocked=Blocked("a person is needed", cure="ask one") if name == "blocked" else None,
        )

    def perform(self, step: Step) -> None:
        """It has been planned, and that is all."""

    def settle(self, plan: Plan) -> Json:
        return {}


NOON = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
SPEC = ArgumentSpec(
    {
        "name": {"type": "str", "required": True, "aliases": ["title"]},
        "old": {"type": "str", "aliases": ["older"], "removed_in_version": "9.0.0", "removed_from_collection": "a.b"},
        "make": {"type": "bool", "default": False},
        "store": {"type": "dict"},
    }
)


class Action(LaneAction):
    door = Door(Thing, SPEC)

    def services(self, params: Json) -> Json:
        return {}


class Process(Exception):
    """The module was started."""


def action(
    args: Json | None = None,
    *,
    connection: Json | None = None,
    environment: list[Json] | None = None,
    **task: t.Any,
) -> Action:
    shell = SimpleNamespace(env_prefix=lambda **_names: "", tmpdir=None)
    about = {
        "transport": "local",
        "become": None,
        "has_native_async": False,
        "has_pipelining": True,
        "always_pipeline_modules": False,
        "_shell": shell,
        **(connection or {}),
    }
    given = {"name": "x", "client_secret": SECRET, **(args or {})}
    keywords = {
        "args": {name: value for name, value in given.items() if value is not ...},
        "action": "mail2fax.m365.thing",
        "async_val": 0,
        "check_mode": False,
        "diff": True,
        "delegate_to": None,
        "no_log": False,
        "environment": environment or [],
        **task,
    }
    loader = DataLoader()
    made = Action(SimpleNamespace(**keywords), SimpleNamespace(**about), None, loader, Templar(loader=loader), None)

    def process(**_arguments: object) -> t.NoReturn:
        raise Process

    made._execute_module = process
    return made


def run(args: Json | None = None, variables: Json | None = None, **keywords: t.Any) -> Json:
    Thing.seen.clear()
    return t.cast("Json", action(args, **keywords).run(task_vars=variables or {}))


# --- where it runs ---------------------------------------------------------------------------------------------

HERE, INTERPRETER = sys.executable, "ansible_python_interpreter"
ELSEWHERE: list[tuple[str, Json, Json]] = [
    ("its connection is ssh", {"connection": {"transport": "ssh"}}, {"mail2fax_allowed_connection": "ssh"}),
    ("its connection is winrm", {"connection": {"transport": "winrm"}},
     {"mail2fax_allowed_connection": ["ansible.builtin.winrm"]}),
    ("it runs async", {"async_val": 30}, {}),
    ("it uses become", {"connection": {"become": object()}}, {}),
    ("it names the interpreter /usr/bin/env pythonx", {}, {INTERPRETER: "/usr/bin/env pythonx"}),
    ("it names the interpreter /opt/python", {}, {INTERPRETER: "/opt/python"}),
    ("it names the interpreter /opt/python", {"delegate_to": "b"},
     {INTERPRETER: HERE, "ansible_delegated_vars": {"b": {INTERPRETER: "/opt/python"}}}),
    ("mail2fax_in_process is false", {}, {"mail2fax_in_process": False}),
    ("mail2fax_in_process is false", {}, {"mail2fax_in_process": "no"}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "keywords", "variables"), ELSEWHERE, ids=lambda value: str(value)[:40])
def test_the_module_runs_where_the_worker_will_not_do(reason: str, keywords: Json, variables: Json) -> None:
    with pytest.raises(Process):
        run(None, variables, **keywords)
    assert Thing.seen == []


@pytest.mark.parametrize(("reason", "keywords", "variables"), ELSEWHERE, ids=lambda value: str(value)[:40])
def test_what_needs_the_controller_says_why_it_cannot_be_had(reason: str, keywords: Json, variables: Json) -> None:
    if "mail2fax_in_process" in variables:
        assert "failed" not in run({"store": {"backend": "vault_file"}}, variables, **keywords)
        return
    result = run({"store": {"backend": "vault_file"}}, variables, **keywords)
    assert (result["outcome"], result["changed"]) == ("blocked", False)
    assert reason in result["msg"]
    assert Thing.seen == []


@pytest.mark.parametrize("library", ["HAS_REQUESTS", "HAS_MSAL"])
def test_without_the_libraries_the_module_runs(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lane, library, False)
    with pytest.raises(Process):
        run()
    assert "requests or msal is not installed" in run({"store": {}, "make": True} | {"store": {"a": 1}})["msg"]


@pytest.mark.parametrize(
    ("keywords", "variables"),
    [
        ({}, {}),
        ({}, {"mail2fax_in_process": "yes"}),
        ({}, {INTERPRETER: HERE}),
        ({}, {INTERPRETER: "auto_silent"}),
        ({"delegate_to": "b"},
         {INTERPRETER: "/opt/python", "ansible_delegated_vars": {"b": {INTERPRETER: HERE}}}),
        ({"delegate_to": "b"}, {"ansible_delegated_vars": {"b": {}}}),
    ],
)  # fmt: skip
def test_else_the_worker_does_it(keywords: Json, variables: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANSIBLE_PYTHON_INTERPRETER", raising=False)
    assert run(None, variables, **keywords)["summary"] == "x made"


def test_the_configuration_names_an_interpreter_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_PYTHON_INTERPRETER", "/opt/python")
    with pytest.raises(Process):
        run()


@pytest.mark.parametrize("said", [None, "", "local", "smart", ["paramiko"]])
def test_another_connection_is_refused_unless_it_is_named(said: t.Any) -> None:
    result = run(None, {"mail2fax_allowed_connection": said}, connection={"transport": "ssh"})
    assert (result["failed"], result["outcome"]) == (True, "failed")
    assert "mail2fax_allowed_connection: ssh" in result["msg"]
    assert "invocation" not in result
    assert Thing.seen == []


@pytest.mark.parametrize("name", ["mail2fax_client_secret", "mail2fax_in_process", "mail2fax_allowed_connection"])
@pytest.mark.parametrize(
    "value", ["operator~{{secret", "{{ 'operator~secret' | nothing }}", "{{ 'operator~secret' / 2 }}"]
)
def test_a_variable_that_cannot_be_rendered_is_named_and_not_quoted(name: str, value: str) -> None:
    template = TrustedAsTemplate().tag(value) if TrustedAsTemplate else value
    away = {"connection": {"transport": "ssh"}} if "connection" in name else {}
    result = run({"client_secret": ...}, {name: template}, **away)
    assert result["failed"]
    assert f"the variable {name} cannot be rendered" in result["msg"]
    assert "operator~" not in repr(result)


def sent(args: Json, keywords: Json, monkeypatch: pytest.MonkeyPatch, variables: Json | None = None) -> Json:
    """How the module would have been started: its options, its environment, what was handed over, and by a pipe?"""
    made = action(args, **keywords)
    found: Json = {"taken": None}

    def process(module_args: Json, wrap_async: bool, **_arguments: object) -> Json:
        [prefix] = made._task.environment
        taken = Taken(prefix)
        found.update(
            args=module_args,
            prefix=prefix,
            params=taken.in_their_places(module_args),
            taken=taken.environment,
            pipe=made._connection.always_pipeline_modules,
        )
        return {}

    monkeypatch.setattr(made, "_execute_module", process)
    found["result"] = made.run(task_vars={"mail2fax_in_process": False, **(variables or {})})
    assert made._connection.always_pipeline_modules is False
    assert "async_val" in keywords or made._task.environment == keywords.get("environment", [])
    return found


@pytest.mark.parametrize("keywords", [{}, {"async_val": 30}, {"connection": {"has_pipelining": False}}])
def test_a_module_on_this_machine_gets_its_secrets_in_memory(keywords: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"M365_CLIENT_SECRET": SECRET, "HTTPS_PROXY": "http://u:w0rd@proxy", "M365_PATIENCE": "7"}
    ready = {"graph": "a-token", "exchange": None}
    found = sent({"client_secret": ..., "access_token": ready}, {**keywords, "environment": [given]}, monkeypatch)
    assert (found["params"]["client_secret"], found["params"]["access_token"]) == (SECRET, ready)
    assert found["taken"] == {"HTTPS_PROXY": "http://u:w0rd@proxy"}
    assert found["prefix"]["M365_PATIENCE"] == "7"
    # What runs async is meant to outlive the run.
    assert ("M365_RUN" in found["prefix"]) is ("async_val" not in keywords)
    for secret in (SECRET, "a-token", "w0rd"):
        assert secret not in repr((found["args"], found["prefix"]))
    assert not found["pipe"]
    assert not os.path.exists(found["prefix"][_handed.VARIABLE])


def test_memory_is_emptied_by_whoever_takes_it() -> None:
    with _handed.handing_over({"a": "x", "b": "y"}, {}, {"x"}) as (args, place):
        taken = Taken({_handed.VARIABLE: place})
        assert taken.in_their_places(args) == {"a": "x", "b": "y"}
        _handed.wait_until_taken(place)
        with pytest.raises(InvalidInput, match="cannot be taken"):
            Taken({_handed.VARIABLE: place})
    assert Taken({}).in_their_places({"a": "m365-handed-over-0"}) == {"a": "m365-handed-over-0"}


@pytest.mark.parametrize("user", ["root", getpass.getuser(), "another"])
def test_memory_is_for_the_same_user_and_root(user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    become = SimpleNamespace(name="sudo", get_option=lambda _name: user)
    found = sent({}, {"connection": {"become": become}}, monkeypatch)
    assert found["pipe"] is (user == "another")
    assert (found["args"]["client_secret"] == SECRET) is (user == "another")
    assert found["params"]["client_secret"] == SECRET


@pytest.mark.parametrize("why", ["async", "kept files", "no pipe", "su"])
def test_without_memory_and_pipe_a_secret_is_refused(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keywords: Json = {"async_val": 30} if why == "async" else {}
    about: Json = {"transport": "ssh", "has_pipelining": why != "no pipe"}
    if why == "su":
        about["become"] = SimpleNamespace(name="su")
    monkeypatch.setattr(constants, "DEFAULT_KEEP_REMOTE_FILES", why == "kept files")
    allowed = {"mail2fax_allowed_connection": "ssh"}
    found = sent({}, {**keywords, "connection": about}, monkeypatch, allowed)
    assert "client_secret would be written into a file" in found["result"]["msg"]
    assert (found["result"]["failed"], found["taken"]) == (True, None)
    assert SECRET not in repr(found["result"])
    assert sent({"client_secret": ...}, {**keywords, "connection": about}, monkeypatch, allowed)["result"] == {}


def test_elsewhere_a_module_comes_through_a_pipe_and_no_secret_on_a_command_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allowed = {"mail2fax_allowed_connection": "ssh"}
    ssh: Json = {"connection": {"transport": "ssh"}}
    found = sent({}, {**ssh, "environment": [{"A": "b"}]}, monkeypatch, allowed)
    assert (found["args"]["client_secret"], found["pipe"], found["prefix"]) == (SECRET, True, {"A": "b"})
    for secret in ({"https_proxy": "http://u:w0rd@h"}, {"VAULT_TOKEN": "w0rd"}):
        found = sent({}, {**ssh, "environment": [secret]}, monkeypatch, allowed)
        assert f"has {next(iter(secret))}, which would be on a command line" in found["result"]["msg"]
        assert "w0rd" not in repr(found["result"])


def test_a_module_that_breaks_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    made = action({})
    crash = {"failed": True, "msg": "MODULE FAILURE", "module_stdout": "", "module_stderr": f"Traceback: {SECRET}"}
    monkeypatch.setattr(made, "_execute_module", lambda **_arguments: crash)
    assert made.run(task_vars={"mail2fax_in_process": False})["module_stderr"] == "Traceback: ********"


def test_an_interpreter_is_ours_by_its_environment(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pathlib.Path(sys.executable).parent
    assert is_ours(sys.executable)
    assert is_ours(str(folder / ".." / folder.name / pathlib.Path(sys.executable).name))
    monkeypatch.setenv("PATH", str(folder))
    assert is_ours(pathlib.Path(sys.executable).name)
    assert is_ours(f"/usr/bin/env {pathlib.Path(sys.executable).name}")
    # The same program in another environment has other libraries.
    (tmp_path / "python3").symlink_to(os.path.realpath(sys.executable))
    assert not is_ours(str(tmp_path / "python3"))
    assert not is_ours("/no/such/python")


# --- what comes out --------------------------------------------------------------------------------------------


def test_a_result_has_no_secret_option_and_its_warnings() -> None:
    result = run({"make": True})
    assert (result["changed"], result["outcome"], result["steps"]) == (True, "changed", ["make x"])
    assert result["diff"] == {"before": {"name": None}, "after": {"name": "x"}}
    assert result["who"] == "as ********"
    assert result["warnings"] == ["x warns of ********"]
    assert result["when"] == "2026-11-21T12:00:00+00:00"
    given = result["invocation"]["module_args"]
    assert (given["name"], given["client_secret"]) == ("x", "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER")
    assert given["cloud"] == "global"
    assert SECRET not in repr(result)


def test_a_secret_from_the_environment_is_none_the_less_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M365_CLIENT_SECRET", "from-the-environment")
    result = run({"client_secret": ...})
    assert result["who"] == "as ********"
    assert "from-the-environment" not in repr(result)


def test_options_are_returned_where_it_is_asked_or_where_they_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "invocation" in run()
    monkeypatch.setenv("ANSIBLE_INJECT_INVOCATION", "0")
    assert "invocation" not in run()
    monkeypatch.setattr(Display(), "verbosity", 3)
    known = constants.config.get_configuration_definition("INJECT_INVOCATION") is not None
    assert ("invocation" in run()) is not known


def test_only_a_task_with_diff_has_a_difference() -> None:
    assert "diff" not in run({"make": True}, diff=False)


def test_check_mode_is_the_tasks() -> None:
    assert "steps" in run({"make": True}, check_mode=True)
    assert [task.check_mode for task in Thing.seen] == [True]
    run({"make": True})
    assert [task.check_mode for task in Thing.seen] == [False]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"nmae": "x"}, "Unsupported parameters for (mail2fax.m365.thing) module: nmae. Supported parameters include:"),
        ({"name": ...}, "missing required arguments: name"),
        ({"make": "perhaps"}, "argument 'make' is of type"),
        ({"cloud": "mars"}, "value of cloud must be one of: global, gcc_high, dod, china, got: mars"),
        ({"timeout": SECRET}, "argument 'timeout' is of type"),
    ],
)  # fmt: skip
def test_options_are_refused_in_ansibles_own_words(args: Json, told: str) -> None:
    result = run(args)
    assert result["failed"]
    assert told in result["msg"]
    assert SECRET not in repr(result)
    assert Thing.seen == []


@pytest.mark.parametrize(
    "args",
    [
        {"clientsecret": "Abc8Q~a-secret"},
        {"cloud": "Abc8Q~a-secret"},
        {"timeout": "Abc8Q~a-secret"},
        {"store": "backend Abc8Q~a-secret"},
        {"access_token": "Abc8Q~a-secret"},
        {"client_id": "Abc8Q~a-secret"},
        {"tenant": "Abc8Q~a-secret"},
        {"name": "invalid", "old": "Abc8Q~a-secret-of.an_application"},
    ],
)
def test_what_is_refused_is_not_quoted_and_no_option_is_returned(args: Json) -> None:
    result = run(args)
    assert result["failed"]
    assert "invocation" not in result
    assert "Abc8Q" not in repr(result)
    assert SECRET not in repr(result)


def test_a_name_that_is_a_secret_is_refused_with_both_options() -> None:
    result = run({"name": SECRET})
    assert (result["outcome"], result["changed"]) == ("failed", False)
    assert "name has the same value as client_secret" in result["msg"]
    assert "mail2fax_client_secret" in result["msg"]
    assert SECRET not in repr(result)
    assert Thing.seen == []


@pytest.mark.parametrize(
    ("variables", "refused"),
    [
        ({"mail2fax_group_alias": SECRET}, True),
        ({"mail2fax_mailboxes": ["fax@contoso.com", SECRET]}, True),
        ({"mail2fax_client_secret": SECRET}, False),
        ({"mail2fax_group_alias": f"{SECRET}-group"}, False),
        ({"mail2fax_secret_store": {"token": SECRET}}, False),
    ],
)
@pytest.mark.parametrize("in_process", [True, False])
def test_a_variable_that_is_a_secret_is_refused_with_both_names(
    variables: Json, refused: bool, in_process: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = action({})
    monkeypatch.setattr(made, "_execute_module", lambda **_arguments: {})
    result = made.run(task_vars={"mail2fax_in_process": in_process, **variables})
    assert bool(result.get("failed")) is refused
    if refused:
        assert f"{next(iter(variables))} has the same value as mail2fax_client_secret" in result["msg"]
        assert SECRET not in repr(result)


def test_a_password_that_this_sign_in_does_not_use_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one for a Windows host, left in the environment of a run that goes by REST."""
    monkeypatch.setenv("M365_WINRM_PASSWORD", "fax")
    result = run({"name": "fax", "make": True})
    assert (result["summary"], result["steps"]) == ("fax made", ["make fax"])
    assert result["invocation"]["module_args"]["winrm_password"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
    assert result["invocation"]["module_args"]["name"] == "fax"


def test_ansible_is_told_of_secrets_but_of_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(_module, "register_secret", told.append)
    run({"client_secret": "imagicle"})
    run({"client_secret": "a-secret-of-26-characters!"})
    assert told == ["a-secret-of-26-characters!"]


def test_deprecations_and_twice_named_options_are_told() -> None:
    result = run({"old": "x", "title": "y"})
    assert "Both option name and its alias title are set." in result["warnings"]
    [told] = result["deprecations"]
    assert (told["msg"], told["version"], told["collection_name"]) == (
        "Param 'old' is deprecated. See the module docs for more information",
        "9.0.0",
        "a.b",
    )


@pytest.mark.parametrize(
    ("name", "outcome", "told"),
    [
        ("invalid", "failed", "name is not one, beside None. What to do: give another"),
        ("blocked", "blocked", "a person is needed"),
    ],
)
def test_a_refusal_is_a_result(name: str, outcome: str, told: str) -> None:
    result = run({"name": name})
    assert (result["failed"], result["outcome"], result["changed"]) == (True, outcome, False)
    assert told in result["msg"]
    assert result["error"]["message"] in told


def test_a_defect_is_told_without_its_text() -> None:
    result = run({"name": "defect"})
    assert (result["failed"], result["outcome"]) == (True, "failed")
    assert "KeyError" in result["msg"]
    assert any("read" in frame for frame in result["where"])
    assert SECRET not in repr(result)


def test_the_environment_is_that_of_the_task_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANE_PROXY", "before")
    monkeypatch.delenv("M365_PATIENCE", raising=False)
    result = run(environment=[{"LANE_PROXY": "play"}, {"LANE_PROXY": "task", "M365_PATIENCE": 7}])
    assert result["proxy"] == "task"
    assert result["invocation"]["module_args"]["patience"] == 7
    assert (os.environ["LANE_PROXY"], os.environ.get("M365_PATIENCE")) == ("before", None)
    with pytest.raises(RuntimeError), _lane.environment({"LANE_PROXY": "x", "LANE_NEW": "y"}):
        raise RuntimeError
    assert (os.environ["LANE_PROXY"], os.environ.get("LANE_NEW")) == ("before", None)


def test_a_person_is_told_what_takes_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, Json]] = []
    monkeypatch.setattr(_lane.Display, "display", lambda _self, text, **how: told.append((text, how)))
    made = action({}, get_name=lambda: "Consent")
    made._inventory_name = "contoso"
    with _redact.collecting() as secrets:
        secrets.add("a-token-that-lives")
        made._told(15.2, "an answer with a-token-that-lives \x1b[31m")
    [(text, how)] = told
    assert text == "contoso | Consent: waiting for an answer with ******** \\x1b[31m, for 15 s so far"
    assert how == {"stderr": True}


def test_connections_end_with_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(Tenant, "close", lambda _tenant: closed.append(True))
    for name in ("x", "blocked", "defect"):
        run({"name": name})
    assert closed == [True] * 3


def test_ready_tokens_stay_the_users_own(tmp_path: pathlib.Path) -> None:
    ready = ReadyTokens({"graph": "a.b.c"}, CLOUDS["global"])
    assert shared(ready, {}) is ready


# --- what a task reads for the next ones ------------------------------------------------------------------------

OURS: Json = {
    "inventory_hostname": "contoso",
    "mail2fax_playbook": "provision",
    "mail2fax_inventory": {"playbook": "provision", "host": "contoso"},
    "mail2fax_begun": {"refused": {}},
}
KEPT = Looked("969d5b92-bc05-403f-b576-97201b665e65", 0.0, NOON)


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    return tmp_path


def parts(monkeypatch: pytest.MonkeyPatch, door: Door, variables: Json, **keywords: t.Any) -> tuple[bool, bool]:
    """Whether a task gives what it reads to later ones, and whether it takes from earlier ones."""
    told: list[tuple[bool, bool]] = []

    def read(thing: Thing) -> None:
        reads: Reads = thing._tenant.reads
        told.append((reads._gives, reads._takes))

    monkeypatch.setattr(Action, "door", door)
    monkeypatch.setattr(Thing, "read", read)
    assert "failed" not in run(None, variables, **keywords)
    return told[0]


@pytest.mark.parametrize("check_mode", [False, True])
def test_tasks_of_a_playbook_of_ours_have_the_part_that_the_door_says(
    check_mode: bool, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for gives, takes in ((True, False), (False, True), (False, False)):
        door = Door(Thing, SPEC, gives=gives, takes=takes)
        assert parts(monkeypatch, door, OURS, check_mode=check_mode) == (gives, takes)


def test_another_playbook_of_the_same_run_looks_for_itself(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str | None] = []

    def read(thing: Thing) -> None:
        reads: Reads = thing._tenant.reads
        reads.heard("asked", lambda: "once")
        found.extend(reads.known(["asked"]))

    monkeypatch.setattr(Thing, "read", read)
    monkeypatch.setattr(Tenant, "hand_on", lambda tenant: tenant.reads.hand_on(lambda: KEPT.tenant_id))
    for playbook, door in (
        ("provision", Door(Thing, SPEC, gives=True)),
        ("provision", Door(Thing, SPEC, takes=True)),
        ("rotate", Door(Thing, SPEC, takes=True)),
    ):
        monkeypatch.setattr(Action, "door", door)
        begun = {"mail2fax_playbook": playbook, "mail2fax_inventory": {"playbook": playbook, "host": "contoso"}}
        run(None, {**OURS, **begun})
    assert found == [None, "once", None]


def test_a_task_alone_has_none(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = Door(Thing, SPEC, gives=True, takes=True)
    assert parts(monkeypatch, both, {"inventory_hostname": "contoso"}) == (False, False)


@pytest.mark.parametrize("variables", [{}, OURS])
@pytest.mark.parametrize(("reason", "keywords", "more"), ELSEWHERE, ids=lambda value: str(value)[:40])
def test_where_a_module_runs_apart_nobody_knows_what_it_writes(
    reason: str, keywords: Json, more: Json, variables: Json, folder: pathlib.Path
) -> None:
    kept = FileShelf(str(folder), "other", {})
    kept.keep(KEPT, {"a": "1"})
    with pytest.raises(Process):
        run(None, {**variables, **more}, **keywords)
    assert kept.looked() is None


def test_a_task_in_this_process_ends_nothing_without_a_write(folder: pathlib.Path) -> None:
    kept = FileShelf(str(folder), "other", {})
    kept.keep(KEPT, {"a": "1"})
    run(None, OURS)
    assert kept.looked() == KEPT


def test_a_write_is_noticed_outside_our_playbooks_too(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = FileShelf(str(folder), "other", {})
    kept.keep(KEPT, {"a": "1"})
    monkeypatch.setattr(Thing, "perform", lambda thing, step: thing._tenant.reads.wrote(lambda: KEPT.tenant_id))
    run({"make": True})
    assert kept.looked() is None


def test_what_proves_is_asked_each_time() -> None:
    modules = pathlib.Path(_lane.__file__).parents[1] / "modules"
    actions = [importlib.import_module(f"{_preload.PLUGINS}.action.{path.stem}") for path in modules.glob("[a-z]*.py")]
    doors = {
        action.__name__.rpartition(".")[2]: action.ActionModule.door
        for action in actions
        if issubclass(action.ActionModule, LaneAction)
    }
    assert {name for name, door in doors.items() if door.gives} == {"m365_tenant_info"}
    assert {name for name, door in doors.items() if door.takes} == {
        *("entra_application", "entra_application_info", "entra_application_secret", "entra_admin_consent"),
        *("exchange_security_group", "exchange_application_access_policy", "exchange_application_role"),
        *("exchange_service_principal", "exchange_mailbox_permission", "exchange_mailbox_protocols"),
        "exchange_ews_access",
    }


class Odd:
    def __str__(self) -> str:
        return "odd"


class Text(str):
    tag = 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Text("x"), "x"),
        ({Text("k"): (1, 2.5, True, None)}, {"k": [1, 2.5, True, None]}),
        ({1: "a", 2.5: "b"}, {"1": "a", "2.5": "b"}),
        ({True: "a"}, {"true": "a"}),
        ({None: frozenset({"x"})}, {"null": ["x"]}),
        (dt.date(2026, 11, 21), "2026-11-21"),
        (NOON, "2026-11-21T12:00:00+00:00"),
        (b"\xff", "\udcff"),
        (Odd(), "odd"),
        ({Odd(): Odd()}, {"odd": "odd"}),
    ],
)
def test_values_are_as_from_a_pipe(value: t.Any, expected: t.Any) -> None:
    result = plain(value)
    assert result == expected
    assert result.__class__ is expected.__class__
    if isinstance(result, dict):
        assert all(key.__class__ is str for key in result)


# --- the plugins -----------------------------------------------------------------------------------------------


def test_every_module_has_an_action_plugin_over_its_own_door() -> None:
    root = pathlib.Path(_lane.__file__).parents[1]
    names = sorted(path.stem for path in (root / "modules").glob("[a-z]*.py"))
    assert names == sorted(path.stem for path in (root / "action").glob("[a-z]*.py"))
    # They look at variables, which a process of its own would not have.
    names = [name for name in names if name not in ("inventory_check", "run_end", "fleet_report", "handover")]
    for name in names:
        module = importlib.import_module(f"{_preload.PLUGINS}.modules.{name}")
        plugin = importlib.import_module(f"{_preload.PLUGINS}.action.{name}")
        assert plugin.ActionModule.door is module.DOOR
        assert issubclass(plugin.ActionModule, LaneAction)


def test_what_workers_need_is_there_before_they_are_forked() -> None:
    for kind in ("modules", "filter", "lookup"):
        folder = pathlib.Path(_lane.__file__).parents[1] / kind
        for path in folder.glob("[a-z]*.py"):
            assert path.stem in _preload.APART or f"{_preload.PLUGINS}.{kind}.{path.stem}" in sys.modules
    named = {path.stem for kind in ("action", "lookup") for path in (layout.ROOT / "plugins" / kind).glob("[a-z]*.py")}
    assert named > _preload.APART
