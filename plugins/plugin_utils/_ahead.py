# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The tasks after the look at a tenant, asked within it: have they anything to do?

In most runs of most tenants none of them has, and each would take a worker of Ansible's to say so by the very answers
that the look has just had. Here they are read from the playbook's and the roles' own files, their options are rendered
from the variables that they would have, and their modules plan by what was read, without a request and without a write.
Only where every one of them says plainly that all is as it should be, their results stand, and the playbook leaves them
out. Whatever else comes of it, down to a mere warning, is for the tasks to find out and to say in their own words.
"""

from __future__ import annotations

import functools
import pathlib
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _arguments, _own_files
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core 2.18, where nothing is asked ahead
    trust_as_template = None

Json = dict[str, t.Any]
Asked = t.Callable[[str, Json], Json]
"""From the module's name and its options to its result."""

RESULT = "ahead"
"""In the look's result: what the tasks after it have come to, by the names under which they register it. Where it is
there, the playbook leaves them out."""

OURS = "mail2fax.m365."
_ROOT = pathlib.Path(__file__).resolve().parents[2]
_FILES = ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks")
_ROLE = "ansible.builtin.import_role"
_AROUND = frozenset({"name", "when", "register", "loop", "loop_control", "vars"})
_OF_ANSIBLE = frozenset({"role_name", "role_path"})
_OF_A_ROLE = frozenset({"name", "rolespec_validate"})


class NotPlain(Exception):
    """Something is to be done or to be said, or nobody here can tell."""


@dataclass(frozen=True)
class _Around:
    """What a task has of the files around it: conditions, a role's defaults, and what wins over a host's variables."""

    folder: pathlib.Path
    conditions: tuple[t.Any, ...] = ()
    defaults: Json = field(default_factory=dict)
    above: Json = field(default_factory=dict)

    def inside(self, when: t.Any, variables: Json) -> _Around:
        """The same with what a task or a block says of itself."""
        conditions = when if isinstance(when, list) else [when]
        above = {**self.above, **variables} if variables else self.above
        return replace(self, conditions=(*self.conditions, *conditions), above=above)


@functools.cache
def own(path: pathlib.Path) -> t.Any:
    """A file of tasks or variables, as Ansible takes it: texts may be templates. None where there is no such file."""
    return _trusted(_own_files.loaded(path)) if path.is_file() else None


def _trusted(node: t.Any) -> t.Any:
    if isinstance(node, str):
        return trust_as_template(node)
    if isinstance(node, dict):
        return {name: _trusted(item) for name, item in node.items()}
    return [_trusted(item) for item in node] if isinstance(node, list) else node


def make_ready() -> None:
    """Read the files before a worker is forked."""
    if trust_as_template is not None:
        for path in _ROOT.glob("playbooks/tasks/*_steps.yml"):
            for role in _roles(own(path)):
                for kind in ("tasks", "defaults", "vars"):
                    for file in (_ROOT / "roles" / role / kind).glob("*.yml"):
                        own(file)


def _roles(tasks: t.Sequence[Json]) -> t.Iterator[str]:
    """The names of those that tasks import, however deep."""
    for task in tasks:
        yield from _roles(task.get("block", []))
        if _ROLE in task:
            yield _role_of(task[_ROLE])


def _role_of(said: Json) -> str:
    return str(said["name"]).removeprefix(OURS)


def steps(playbook: str) -> pathlib.Path | None:
    """The file of tasks that follows the look of a playbook of ours; None where there is none that could be asked."""
    if trust_as_template is None:
        return None
    path = _ROOT / f"playbooks/tasks/{playbook}_steps.yml"
    return path if own(path) is not None else None


def results(
    path: pathlib.Path,
    templar: t.Any,
    variables: t.Mapping[str, t.Any],
    look: Json,
    arguments: _arguments.Arguments,
    asked: Asked,
) -> Json:
    """What the tasks of a file come to. Raises NotPlain.

    ``look`` is the look's result, ``arguments`` is for all that is rendered here.
    """
    engine = _arguments.engine(templar)
    if engine is None:
        raise NotPlain("this Ansible renders in another way")
    before = engine.available_variables
    try:
        chain = _Chain(engine, {**variables, "preflight_result": look}, arguments, asked)
        chain.file(path, _Around(path.parent))
        return chain.found
    except NotPlain:
        raise
    except Exception as exc:
        # A template may raise anything. What is wrong the task itself says.
        raise NotPlain(type(exc).__name__) from None
    finally:
        engine.available_variables = before


class _Chain:
    """One task after the other, each with the results of those before it."""

    def __init__(self, engine: t.Any, variables: Json, arguments: _arguments.Arguments, asked: Asked) -> None:
        self._engine = engine
        self._variables = variables
        self._arguments = arguments
        self._asked = asked
        self._layers: tuple[Json, ...] = ({}, {}, {})
        self.found: Json = {}

    def file(self, path: pathlib.Path, around: _Around) -> None:
        for task in own(path):
            self._task(task, around)

    def _role(self, said: Json, around: _Around) -> None:
        if {*said} - _OF_A_ROLE:
            raise NotPlain("a part of a role")
        name = _role_of(said)
        folder = _ROOT / "roles" / name
        defaults, more = ((own(folder / kind / "main.yml") or {}) for kind in ("defaults", "vars"))
        inside = _Around(
            folder / "tasks",
            around.conditions,
            {**around.defaults, **defaults},
            {**more, **around.above, "role_name": name, "role_path": str(folder)},
        )
        self.file(inside.folder / "main.yml", inside)

    def _task(self, task: Json, around: _Around) -> None:
        action = next((word for word in task if word not in _AROUND), "")
        if len({*task} - _AROUND) != 1:
            raise NotPlain("a task says more than its action")
        around = around.inside(task.get("when", []), task.get("vars", {}))
        if action == "block":
            for one in task["block"]:
                self._task(one, around)
        elif action == _ROLE and "loop" not in task:
            self._role(task[_ROLE], around)
        elif action in _FILES:
            names = self._rendered(task["loop"], around) if "loop" in task else [task[action]]
            for name in names:
                self.file(around.folder / str(name), around)
        elif "loop" in task or not action.startswith(OURS):
            raise NotPlain("a task that is not known here")
        elif self._runs(around):
            self._ours(action.removeprefix(OURS), task, around)

    def _ours(self, module: str, task: Json, around: _Around) -> None:
        name = str(task.get("register", ""))
        if name and not isinstance(self._variables.get(name), str):
            # The playbook does not say where it is found, or an earlier one of the same run has left one.
            raise NotPlain(f"{name} would not be found")
        result = self._asked(module, self._rendered(task[f"{OURS}{module}"], around))
        if result.get("outcome") != "ok" or result.get("changed") or result.get("failed") or result.get("warnings"):
            raise NotPlain(module)
        if name:
            self.found[name] = {**result, "failed": False}
            self._variables = {**self._variables, name: result}

    def _runs(self, around: _Around) -> bool:
        # As templates, which are compiled once for the run.
        for condition in around.conditions:
            said = self._rendered(trust_as_template(f"{{{{ {condition} }}}}"), around)
            if not isinstance(said, bool):
                raise NotPlain("a condition that is neither true nor false")
            if not said:
                return False
        return True

    def _rendered(self, value: t.Any, around: _Around) -> t.Any:
        self._lend(around.defaults, self._variables, around.above)
        found = plain(self._arguments.option(value, self._engine))
        if isinstance(value, Mapping) and not isinstance(found, dict):
            raise NotPlain("options as something else than a mapping")
        return found

    def _lend(self, *layers: Json) -> None:
        """The later wins. What the same variables have come to is remembered."""
        _defaults, variables, above = layers
        if said := above.keys() & variables.keys() - _OF_ANSIBLE:
            # A fact and an extra variable win over these, a variable of the inventory does not.
            raise NotPlain(f"{', '.join(sorted(said))}: nobody here can tell who has the last word")
        if any(one is not other for one, other in zip(layers, self._layers, strict=True)):
            self._layers = layers
            self._engine.available_variables = {name: value for layer in layers for name, value in layer.items()}
            self._arguments.lend(self._engine)
