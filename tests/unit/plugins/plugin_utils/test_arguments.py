# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments of our tasks have the values that Ansible itself gives them, and are compiled and rendered once."""

from __future__ import annotations

import copy
import functools
import inspect
import pathlib
import sys
import typing as t

import jinja2
import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import ActionBase

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _arguments, _lane
from ansible_collections.mail2fax.m365.plugins.plugin_utils._compiled import Compiled
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain
from tests.tools import layout

pytestmark = pytest.mark.skipif(
    not hasattr(ActionBase, "finalize_task_arg"), reason="this ansible-core has no doors around arguments"
)
KEY = b"k" * 44

VARIABLES: dict[str, t.Any] = {
    "plain": "contoso",
    "number": 7,
    "nothing": None,
    "unsafe": "{{ plain }} is not rendered",
    "listed": ["a", "{{ plain }}"],
    "mapped": {"one": "{{ plain }}", "more": {"two": "{{ listed }}", "left": "{{ omit }}"}},
    "definition": "{{ {'names': {'group': plain ~ '-fax'}, 'steps': ['x', 'y'], 'none': none, 'flag': true} }}",
    "group": "{{ definition.names.group }}",
    "declared": "{{ definition.steps + [group] }}",
    "loops": "{% for step in definition.steps %}{{ step }}{{ loop.index }},{% endfor %}",
    "newline": "{{ group }}\n",
    "text": "group {{ group }} of {{ number }}",
    "generated": "{{ definition.steps | map('upper') }}",
    "undefined": "{{ no_such_variable }}",
    "undefined_deep": "{{ definition.names.no_such_name.deeper }}",
    "hinted": "{{ undef('say it') }}",
    "divided": "{{ 1 // 0 }}",
    "not_a_filter": "{{ plain | no_such_filter }}",
    "not_a_lookup": "{{ lookup('no.such.lookup', plain) }}",
    "syntax": "{{ plain | }",
    "left_out": "{{ omit }}",
    "unless": "{{ nothing | default(omit, true) }}",
    "headed": "#jinja2: variable_start_string:'[[', variable_end_string:']]'\n[[ group ]] {{ group }}",
    "headed_wrongly": "#jinja2: no_such_setting:1\n{{ group }}",
    "headed_trim": "#jinja2: trim_blocks:False\n{% if true %}\n{{ group }}{% endif %}",
    "backslash": "{{ 'a\\nb' ~ group }}",
    "backslash_statement": "{% set x = 'a\\nb' %}{{ x }}",
    "pattern": "{{ 'contoso-fax' | regex_replace('^(con)(.*)$', '\\2\\1') }}",
    "raw": "{% raw %}{{ plain }}{% endraw %}",
    "comment": "{# {{ no_such_variable }} #}{{ group }}",
    "macro": "{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(group) }}",
    "embedded": "{{ '{{ plain }}' }}",
    "by_name": "{{ lookup('vars', 'gro' ~ 'up') }}",
    "by_vars": "{{ vars.group | default('') }}",
    "base": "{{ {'of': [1, 2], 'text': group} }}",
    "changed": "{% set _ = base.of.append(3) %}{{ base }}",
    "changed_by_item": "{% set _ = base['of']['append'](4) %}{{ base }}",
    "popped": "{{ base.pop('text') }}{{ base | length }}",
    "updated": "{% set _ = base.update({'more': 1}) %}{{ base }}",
    "turned": "{% set _ = declared.reverse() %}{{ declared }}",
    "sorted": "{{ declared | sort(reverse=true) }}",
    "both": "{{ changed.of + base.of }}",
    "typed": "{{ [1, 1.5, true, none, 'x', (1, 2), {'a': 'b'}] }}",
    "stringy": "{{ '7' }}",
    "ranged": "{{ range(3) | list }}",
}


def trusted(value: t.Any) -> t.Any:
    """As YAML of the inventory would be: templates."""
    from ansible.template import trust_as_template

    if isinstance(value, dict):
        return {name: trusted(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [trusted(inner) for inner in value]
    return trust_as_template(value) if isinstance(value, str) else value


def templar(variables: t.Mapping[str, t.Any] | None = None) -> t.Any:
    from ansible._internal._templating._engine import TemplateEngine

    given = {name: trusted(value) if name != "unsafe" else value for name, value in (variables or VARIABLES).items()}
    given["vars"] = given
    return TemplateEngine(DataLoader(), variables=copy.copy(given))


def said(rendering: t.Callable[[t.Any], t.Any], given: t.Any) -> tuple[t.Any, ...]:
    """A value with the types of all in it, as a module would get it, or how it failed, to the last cause."""
    try:
        return ("value", repr(plain(rendering(trusted(given)))))
    except Exception as exc:
        causes: list[tuple[str, str]] = []
        cause: BaseException | None = exc
        while cause is not None:
            causes.append((type(cause).__name__, str(cause)))
            cause = cause.__cause__
        return ("error", *causes)


class Task:
    """One task of ours whose arguments Ansible finalizes."""

    def __init__(self, engine: t.Any, compiled: Compiled | None = None) -> None:
        self.engine = engine
        self.arguments = _arguments.Arguments(compiled)

    def argument(self, value: t.Any) -> t.Any:
        return _lane.LaneAction.finalize_task_arg("option", trusted(value), self.engine, self.arguments)


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Jinja compiles from now on."""
    found: list[str] = []
    parse = jinja2.Environment._parse

    def counted(self: t.Any, source: str, *args: t.Any) -> t.Any:
        found.append(str(source))
        return parse(self, source, *args)

    monkeypatch.setattr(jinja2.Environment, "_parse", counted)
    return found


@pytest.fixture(scope="module")
def wanted() -> list[tuple[t.Any, t.Any]]:
    """Arguments, and what Ansible makes of each."""
    given: list[t.Any] = [f"{{{{ {name} }}}}" for name in VARIABLES]
    given += [VARIABLES[name] for name in ("headed", "headed_wrongly", "newline", "backslash", "left_out", "syntax")]
    given += ["{{ undefined | default('fallen back') }}", "{{ divided | default(group) }}", 5, None]
    given += [{"inner": "{{ base }}", "list": ["{{ changed }}", "{{ base }}", "{{ unless }}"]}]
    given += [
        f"{{{{ {name} | default(omit{truly}) }}}}"
        for name in ("nothing", "nobody", "plain", "left_out")
        for truly in ("", ", true")
    ]
    given += [{"a": each, "b": [each, {"c": each}], "d": "{{ number }}"} for each in given[-8:]]
    given += ["{{ plain if undefined is defined else number }}", "{{ plain.title | default('no key') }}"]
    given += [
        "{{ nothing | default(omit, true) if nobody is defined else plain }}",
        "{{ plain if plain is defined else omit }}",
    ]
    return [(value, said(templar().template, value)) for value in given]


@pytest.mark.parametrize("together", [False, True])
def test_every_argument_is_what_ansible_makes_of_it(
    tmp_path: pathlib.Path, wanted: list[tuple[t.Any, t.Any]], together: bool
) -> None:
    """By code of its own and by another worker's, alone and after all the others."""
    for _worker in range(2):
        one = Task(templar(), Compiled(str(tmp_path), KEY))
        for given, expected in wanted:
            task = one if together else Task(templar(), Compiled(str(tmp_path), KEY))
            assert said(task.argument, given) == expected, given
            assert said(task.argument, given) == expected, f"{given}, again"


def test_what_names_itself_ends_as_ever(tmp_path: pathlib.Path) -> None:
    variables = {"itself": "{{ itself }}", "one": "{{ two | default('broken off') }}", "two": "{{ one }}"}
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 300)
    try:
        for name in variables:
            task = Task(templar(variables), Compiled(str(tmp_path), KEY))
            found = [said(each, f"{{{{ {name} }}}}") for each in (templar(variables).template, task.argument)]
            # Where exactly Python gave up is told in the last word.
            kinds = [[str(told).partition("depth exceeded")[0] for told in each] for each in found]
            assert kinds[0] == kinds[1], found
    finally:
        sys.setrecursionlimit(limit)


def test_the_second_task_compiles_nothing(tmp_path: pathlib.Path, compilations: list[str]) -> None:
    for variables in (VARIABLES, {**VARIABLES, "plain": "fabrikam"}):
        task = Task(templar(variables), Compiled(str(tmp_path), KEY))
        found = [task.argument(f"{{{{ {name} }}}}") for name in ("group", "declared", "text", "loops")]
        assert found[0] == f"{variables['plain']}-fax"
        assert found[2] == f"group {found[0]} of 7"
        if variables is VARIABLES:
            assert sorted(compilations) == sorted(set(compilations)), "each once"
            assert len(compilations) == 5, "three arguments and two variables that say more than a name"
            compilations.clear()
    assert compilations == []


def test_a_variable_is_rendered_once_for_a_task() -> None:
    asked: list[str] = []
    engine = templar({"now": "{{ tick() }}", "twice": "{{ now ~ now }}", "deep": {"in": ["{{ now }}"]}})
    engine.environment.globals["tick"] = lambda: asked.append("") or f"t{len(asked)}"
    task = Task(engine)
    assert task.argument("{{ twice }}") == "t1t1"
    assert task.argument({"a": "{{ now }}", "b": "{{ deep }}"}) == {"a": "t1", "b": {"in": ["t1"]}}
    task.arguments.end()
    assert engine.template(trusted("{{ now }}")) == "t2", "the arguments have ended"
    task = Task(engine)
    assert [task.argument(given) for given in ("{{ twice }}", "{{ now }}")] == ["t3t3", "t3"], (
        "the next one's are its own"
    )


def test_a_lookup_sees_the_variables_as_they_are() -> None:
    engine = templar()
    before = engine.available_variables
    Task(engine).argument("{{ group }}{{ mapped.one }}{{ by_name }}")
    assert engine.available_variables is before
    assert (before["group"], before["mapped"]["one"]) == (VARIABLES["group"], "{{ plain }}")


def test_a_loop_has_each_item_of_its_own() -> None:
    engine = templar({"item": "a", "named": "{{ item }}-x"})
    for item in "abc":
        engine.available_variables = {"item": item, "named": trusted("{{ item }}-x")}
        task = Task(engine)
        assert task.argument("{{ named }}{{ named }}") == f"{item}-x{item}-x"
        task.arguments.end()


def test_other_variables_in_the_middle_are_seen() -> None:
    """A lookup may render with variables of its own, by the same environment."""
    engine = templar({"name": "outer", "named": "{{ name }}"})
    task = Task(engine)
    assert task.argument("{{ named }}") == "outer"
    inner = engine.extend()
    inner.available_variables = {"name": "inner", "named": trusted("{{ name }}")}
    assert inner.template(trusted("{{ named }}")) == "inner"
    assert task.argument("{{ named }}") == "outer"


def test_what_one_template_changes_no_other_has() -> None:
    task = Task(templar())
    for _time in range(2):
        assert task.argument("{{ base.of }}") == [1, 2]
        assert task.argument("{{ changed.of }}") == [1, 2, 3]
        assert task.argument("{{ changed_by_item.of }}") == [1, 2, 4]
        assert task.argument("{{ base.of.append(9) }}") is None


def test_nobody_else_is_touched(tmp_path: pathlib.Path) -> None:
    mine, others = templar(), templar()
    usual = type(others.environment)
    Task(mine, Compiled(str(tmp_path), KEY)).argument("{{ group }}")
    assert mine.environment.__class__ is not usual
    assert isinstance(mine.environment, usual)
    assert others.environment.__class__ is usual
    assert templar().environment.__class__ is usual
    assert others.environment.template_class is usual.template_class
    assert mine.copy().environment.__class__ is usual, "nor a lookup's own templar"


@pytest.mark.parametrize("strange", ["another name", "another module", "its own compile", "debugged", "no call"])
def test_an_environment_that_is_not_known_is_left_alone(strange: str) -> None:
    usual = type(templar().environment)
    changed: dict[str, t.Any] = {
        "another name": {},
        "another module": {"__module__": "somebody.else"},
        "its own compile": {"compile": functools.partialmethod(usual.compile)},
        "debugged": {"_debuggable_template_source": True},
        "no call": {"template_class": type("T", (usual.template_class,), {})},
    }[strange]
    name = "Environment" if strange == "another name" else usual.__name__
    kind = type(name, (usual,), {"__module__": usual.__module__, **changed})
    assert _arguments.known(usual)
    assert not _arguments.known(kind)
    engine = templar()
    engine.environment.__class__ = kind
    if strange != "debugged":
        assert Task(engine).argument("{{ group }}") == "contoso-fax"
    assert engine.environment.__class__ is kind


def test_ansible_finds_the_doors() -> None:
    with _lane.LaneAction.get_finalize_task_args_context() as arguments:
        assert isinstance(arguments, _arguments.Arguments)
        assert arguments.compiled is None, "no worker"
        engine = templar()
        assert _lane.LaneAction.finalize_task_arg("option", trusted("{{ group }}"), engine, arguments) == "contoso-fax"


def test_every_filter_of_the_collection_is_at_hand() -> None:
    files = {path.stem for path in (layout.ROOT / "plugins/filter").glob("[a-z]*.py")}
    assert {name.removeprefix("mail2fax.m365.") for name in _arguments.filters()} == files


def test_our_filters_are_ansible_s_own_to_whoever_asks() -> None:
    with _arguments.of_a_task("/nowhere") as arguments:
        lent = templar()
        arguments.lend(lent)
        assert lent.template(trusted("{{ '' | mail2fax.m365.said(7) }}")) == 7
        with pytest.raises(AnsibleError, match=r"mail2fax\.m365\.days_until"):
            lent.template(trusted("{{ 'x' | mail2fax.m365.days_until }}"))


def test_nobody_else_has_what_an_option_is_given(tmp_path: pathlib.Path) -> None:
    for given in ("{{ nobody | default([]) }}", "{{ listed }}"):
        first = Task(templar()).argument(given)
        before = list(first)
        first.append("mine")
        assert Task(templar()).argument(given) == before
    one = Task(templar())
    assert one.argument("{{ listed }}") is not one.argument("{{ listed }}")
