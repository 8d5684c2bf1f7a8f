# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles that have nothing to do are known before a worker is started for each of their tasks, and only those."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _ahead, _arguments
from tests.tools import layout

pytestmark = pytest.mark.skipif(_ahead.trust_as_template is None, reason="this ansible-core renders in another way")

Json = dict[str, t.Any]
OK: Json = {"outcome": "ok", "changed": False, "summary": "as it should be"}
PLAYBOOKS = [path for path in (layout.ROOT / "playbooks").glob("*.yml") if _ahead.steps(path.stem)]


def trusted(value: t.Any) -> t.Any:
    return _ahead._trusted(value)


class Roles:
    """Files of one test's own, what modules were asked, and what they answer."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, Json]] = []
        self.answers: dict[str, Json] = {}

    def write(self, path: str, content: t.Any) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def role(self, name: str, tasks: list[Json], **more: Json) -> Json:
        """A role, with ``defaults`` and ``vars``; the task that imports it."""
        self.write(f"roles/{name}/tasks/main.yml", tasks)
        for kind, variables in more.items():
            self.write(f"roles/{name}/{kind}/main.yml", variables)
        return {"name": "A role", "ansible.builtin.import_role": {"name": f"mail2fax.m365.{name}"}}

    def found(self, *tasks: Json, **variables: t.Any) -> Json:
        def asked(module: str, options: Json) -> Json:
            self.asked.append((module, options))
            return self.answers.get(module, OK)

        self.write("playbooks/tasks/steps.yml", [*tasks])
        results = {f"{name}_result": "{{ preflight_result.ahead.x | default({}) }}" for name in "abc"}
        said = trusted({**results, **variables})
        _ahead.own.cache_clear()
        path = self.folder / "playbooks/tasks/steps.yml"
        with _arguments.of_a_task("") as arguments:
            return _ahead.results(path, Templar(DataLoader(), said), said, {"of": "the look"}, arguments, asked)


@pytest.fixture
def roles(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Roles]:
    monkeypatch.setattr(_ahead, "_ROOT", tmp_path)
    yield Roles(tmp_path)
    _ahead.own.cache_clear()


def task(module: str, options: Json, **around: t.Any) -> Json:
    return {"name": "A task", f"mail2fax.m365.{module}": options, **around}


def test_options_are_what_the_task_itself_would_have(roles: Roles) -> None:
    options = {"text": "{{ name }} of {{ preflight_result.of }}", "left": "{{ none_said | default(omit) }}"}
    assert roles.found(task("a", options), name="{{ other }}", other="fax") == {}
    assert roles.asked == [("a", {"text": "fax of the look"})]


def test_a_result_is_there_for_what_comes_after_it_and_handed_over(roles: Roles) -> None:
    one = roles.role("one", [task("a", {}, register="a_result")])
    two = roles.role("two", [task("b", {"app_id": "{{ a_result.app_id }}"}, register="b_result")])
    roles.answers["a"] = {**OK, "app_id": "4711"}
    assert roles.found(one, two) == {
        "a_result": {**OK, "app_id": "4711", "failed": False},
        "b_result": {**OK, "failed": False},
    }
    assert roles.asked[1] == ("b", {"app_id": "4711"})


@pytest.mark.parametrize(
    ("condition", "asked"), [("'x' in steps", True), ("'y' in steps", False), (["'x' in steps", "'y' in steps"], False)]
)
@pytest.mark.parametrize("where", ["task", "block", "role", "file"])
def test_a_task_is_asked_where_it_would_run(roles: Roles, where: str, condition: t.Any, *, asked: bool) -> None:
    one = task("a", {}, register="a_result")
    roles.write("playbooks/tasks/more.yml", [one])
    around = {
        "task": one,
        "block": {"name": "A block", "block": [one]},
        "role": roles.role("one", [one]),
        "file": {"name": "A file", "ansible.builtin.import_tasks": "more.yml"},
    }[where]
    assert bool(roles.found({**around, "when": condition}, steps=["x"])) is asked


def test_a_condition_is_asked_anew_for_each_task_of_a_block(roles: Roles) -> None:
    roles.answers["a"] = {**OK, "app_id": ""}
    block = [task("a", {}, register="a_result"), task("b", {}, register="b_result")]
    assert [*roles.found({"when": "a_result.app_id | default('x', true) == 'x'", "block": block})] == [
        "a_result",
        "b_result",
    ]
    roles.answers["a"] = {**OK, "app_id": "y"}
    assert [*roles.found({"when": "a_result.app_id | default('x', true) == 'x'", "block": block})] == ["a_result"]


def test_a_role_has_its_own_variables_and_those_of_its_import(roles: Roles) -> None:
    tasks = [
        task("a", {name: f"{{{{ one_{name} }}}}" for name in ("default", "said", "worked_out", "imported", "left")})
    ]
    one = roles.role(
        "one",
        tasks,
        defaults={
            "one_default": "d",
            "one_said": "d",
            "one_imported": "d",
            "one_left": "{{ of_the_task | default('l') }}",
        },
        vars={"one_worked_out": "{{ one_said }}{{ role_path }}"},
    )
    after = task("b", {"x": "{{ one_default | default('gone') }}", "y": "{{ mine }}"}, vars={"mine": "{{ one_said }}!"})
    roles.found({**one, "vars": {"one_imported": "i"}}, after, one_said="host")
    assert roles.asked[0][1] == {
        "default": "d",
        "said": "host",
        "worked_out": f"host{roles.folder / 'roles/one'}",
        "imported": "i",
        "left": "l",
    }
    assert roles.asked[1][1] == {"x": "gone", "y": "host!"}


@pytest.mark.parametrize("name", ["one_worked_out", "one_imported", "mine"])
def test_who_has_the_last_word_is_left_to_ansible(roles: Roles, name: str) -> None:
    """An extra variable and a fact win over what a role, an import and a task say, a host's variable does not."""
    one = roles.role("one", [task("a", {"x": "{{ one_worked_out }}"})], vars={"one_worked_out": "w"})
    after = task("b", {"y": "{{ mine }}"}, vars={"mine": "m"})
    assert roles.found({**one, "vars": {"one_imported": "i"}}, after) == {}
    with pytest.raises(_ahead.NotPlain):
        roles.found({**one, "vars": {"one_imported": "i"}}, after, **{name: "said by somebody"})


def test_files_are_followed(roles: Roles) -> None:
    looped = {"ansible.builtin.include_tasks": "{{ file }}", "loop": "{{ [role_path ~ '/tasks/b.yml', 'c.yml'] }}"}
    two = roles.role("two", [looped | {"loop_control": {"loop_var": "file"}}])
    roles.write("roles/two/tasks/b.yml", [task("b", {"n": 2})])
    roles.write("roles/two/tasks/c.yml", [task("c", {"n": 3})])
    roles.write("playbooks/tasks/more.yml", [task("a", {"n": 1})])
    roles.found({"ansible.builtin.import_tasks": "more.yml"}, two)
    assert [name for name, _options in roles.asked] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "answer",
    [
        {"outcome": "changed", "changed": True},
        {"outcome": "pending", "changed": False},
        {"outcome": "blocked", "failed": True},
        {"outcome": "failed", "failed": True},
        {**OK, "warnings": ["a word to people"]},
        {"failed": True, "msg": "a refusal of Ansible's"},
        {},
    ],
)
def test_whatever_is_to_be_done_or_said_is_left_to_the_roles(roles: Roles, answer: Json) -> None:
    roles.answers["b"] = answer
    with pytest.raises(_ahead.NotPlain):
        roles.found(task("a", {}, register="a_result"), task("b", {}, register="b_result"))


@pytest.mark.parametrize("left", [{}, {"outcome": "ok"}, None])
def test_what_another_play_has_left_under_a_name_would_win(roles: Roles, left: t.Any) -> None:
    with pytest.raises(_ahead.NotPlain):
        roles.found(task("a", {}, register="a_result"), a_result=left)
    with pytest.raises(_ahead.NotPlain):
        roles.found(task("a", {}, register="result_of_no_play"))


@pytest.mark.parametrize(
    "one",
    [
        task("a", {"text": "{{ nobody_says }}"}),
        task("a", {"text": "{{ 1 // 0 }}"}),
        task("a", {"text": "{{ broken | }"}),
        task("a", {}, when="nobody_says"),
        task("a", {}, when="'a text'"),
        task("a", {}, loop=[1, 2]),
        task("a", {}, check_mode=True),
        task("a", {}, ignore_errors=True),
        {"name": "Another's", "ansible.builtin.command": "true"},
        {"name": "A fact", "ansible.builtin.set_fact": {"other": 1}},
        {"name": "A rescue", "block": [task("a", {})], "rescue": [task("b", {})]},
        {"name": "A part of a role", "ansible.builtin.import_role": {"name": "mail2fax.m365.one", "tasks_from": "x"}},
        {"name": "A role that is not there", "ansible.builtin.import_role": {"name": "mail2fax.m365.none"}},
        {"name": "A role decided on later", "ansible.builtin.include_role": {"name": "mail2fax.m365.one"}},
        {"name": "Nothing"},
    ],
)
def test_what_is_not_known_here_is_left_to_the_roles(roles: Roles, one: Json) -> None:
    with pytest.raises(_ahead.NotPlain):
        roles.found(one)


def test_nothing_that_a_tenant_sent_is_a_template(roles: Roles) -> None:
    roles.answers["a"] = {**OK, "name": "{{ 7 * 7 }}"}
    roles.found(task("a", {}, register="a_result"), task("b", {"text": "{{ a_result.name }}"}))
    assert roles.asked[1] == ("b", {"text": "{{ 7 * 7 }}"})


def test_the_variables_are_the_tasks_own_again(roles: Roles) -> None:
    roles.write("playbooks/tasks/steps.yml", [task("a", {"x": "{{ nobody_says }}"})])
    said = trusted({"x": "y"})
    templar = Templar(DataLoader(), said)
    with _arguments.of_a_task("") as arguments, pytest.raises(_ahead.NotPlain):
        _ahead.results(roles.folder / "playbooks/tasks/steps.yml", templar, said, {}, arguments, lambda *_asked: OK)
    assert templar.available_variables is said


# --- the playbooks themselves -----------------------------------------------------------------------------------------


def tasks_of(node: t.Any) -> t.Iterator[Json]:
    """Tasks and blocks, however deep."""
    for one in node if isinstance(node, list) else []:
        yield one
        for key in ("tasks", "pre_tasks", "block", "rescue", "always"):
            yield from tasks_of(one.get(key))


def play_of(path: pathlib.Path) -> Json:
    plays: list[Json] = yaml.safe_load(path.read_text("utf-8"))
    return next(play for play in plays if "application_result" in play.get("vars", {}))


def test_there_are_such_playbooks() -> None:
    assert {path.name for path in PLAYBOOKS} >= {"provision.yml", "audit.yml"}


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_playbook_leaves_out_what_it_asks_ahead_and_nothing_else(path: pathlib.Path) -> None:
    play = play_of(path)
    following = [one for one in tasks_of([play]) if "ansible.builtin.include_tasks" in one]
    assert [one["ansible.builtin.include_tasks"] for one in following] == [f"tasks/{path.stem}_steps.yml"]
    assert following[0]["when"] == f"preflight_result.{_ahead.RESULT} is not defined"
    assert [one for one in tasks_of([play]) if one.get("when") == following[0]["when"]] == following


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_whatever_is_registered_is_found_under_the_same_name(path: pathlib.Path) -> None:
    play = play_of(path)
    steps = layout.ROOT / f"playbooks/tasks/{path.stem}_steps.yml"
    first = [*tasks_of(yaml.safe_load(steps.read_text("utf-8")))]
    roles = [
        one["ansible.builtin.import_role"]["name"].removeprefix("mail2fax.m365.")
        for one in first
        if "ansible.builtin.import_role" in one
    ]
    # One file is another playbook's own, one is for a migration alone, in which a task is never left out.
    left = {"look.yml", "other_group.yml"}
    files = [
        file for role in roles for file in (layout.ROOT / f"roles/{role}/tasks").glob("*.yml") if file.name not in left
    ]
    inside = [one for file in files for one in tasks_of(yaml.safe_load(file.read_text("utf-8")))]
    registered = {one["register"] for one in [*first, *inside] if "register" in one}
    assert len(registered) >= len(roles)
    assert {name: play["vars"].get(name) for name in registered} == {
        name: f"{{{{ preflight_result.ahead.{name} | default({{}}) }}}}" for name in registered
    }
