# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The arguments of one task of ours: templates compiled once for the run, variables rendered once for the task.

Ansible compiles a template each time it meets it, and renders a variable anew in each template that names it. The
defaults of our roles stand on each other, so that one task compiled two hundred templates, tenant after tenant. Here
the environment of that task's own templar takes its code from the run (``_compiled``), and its templates are given
variables that remember what they have come to, as long as the arguments are rendered. No other templar is touched,
nor what a lookup gets to see, and where Ansible's ways are not as they are known here, nothing is.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import pkgutil
import re
import typing as t

from jinja2 import Environment

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _compiled
from ansible_collections.mail2fax.m365.plugins.plugin_utils._values import Values

try:
    from ansible._internal._templating._lazy_containers import _AnsibleLazyTemplateMixin as LazyContainer
except ImportError:  # ansible-core 2.18
    LazyContainer = None

_COLLECTION = "mail2fax.m365"
_OF_OURS = re.compile(r"\|\s*(mail2fax\.m365\.\w+)")

_CHANGING = re.compile(
    r"\b(?:append|attr|clear|extend|insert|pop|popitem|remove|setdefault|update)\b|[.'\"]\s*(?:reverse|sort)\b|__"
)
"""How a template can change a list or a dictionary in its place, so that others must not be given the same one."""


class Arguments:
    """What the templates of one task have in common while its arguments are rendered."""

    def __init__(self, compiled: _compiled.Compiled | None) -> None:
        self.compiled = compiled
        self._variables: t.Any = None
        self._values: Values | None = None
        self._remembering: t.Any = None
        self._templates: dict[str, t.Any] = {}
        self._ready: set[str] = set()

    def lend(self, templar: t.Any) -> None:
        """Take part in what Ansible's ``templar`` renders."""
        environment = templar.environment
        if getattr(environment, "arguments", None) is not self:
            kind: t.Any = type(environment)
            if not hasattr(kind, "of_arguments"):
                if not known(kind):
                    return
                environment.__class__ = _lent(kind)
            environment.arguments = self
        if self._variables is not templar.available_variables:
            self._variables, self._remembering = templar.available_variables, None
            self._values = Values(templar, self._variables) if self._variables.__class__ is dict else None

    def option(self, value: t.Any, templar: t.Any) -> t.Any:
        """What an option of the task amounts to, by what was lent to ``templar``. Raises whatever Ansible does."""
        if self._values is None or self._variables is not templar.available_variables:
            return templar.template(value)
        return self._values.option(value)

    def end(self) -> None:
        """The values were those of the arguments alone."""
        self._variables = self._values = self._remembering = None

    def template(self, source: str, environment: t.Any, made: t.Callable[[str], t.Any]) -> t.Any:
        """The template of a text that means the same each time."""
        found = self._templates.get(source)
        if found is None:
            for name in {*_OF_OURS.findall(source)} & {*filters()} - self._ready:
                environment.filters[name] = filters()[name]
                self._ready.add(name)
            found = self._templates[source] = made(source)
            found.changes_nothing = _CHANGING.search(source) is None
        return found

    def value(self, template: t.Any, variables: t.Any, rendered: t.Callable[[t.Any], t.Any]) -> t.Any:
        """What a template comes to; with other variables than the arguments' it is rendered as ever."""
        if self._variables is None or variables is not self._variables:
            return rendered(variables)
        if not template.changes_nothing:
            with self._by_itself():
                return rendered(variables)
        if self._remembering is None:
            self._remembering = _lazily(variables)
        return rendered(self._remembering)

    @contextlib.contextmanager
    def _by_itself(self) -> t.Iterator[None]:
        """With variables that no other template has or gets."""
        variables, self._variables = self._variables, None
        try:
            yield
        finally:
            self._variables = variables


@contextlib.contextmanager
def of_a_task(folder: str) -> t.Iterator[Arguments]:
    """While Ansible finalizes the arguments of one task; ``folder`` is the run's own."""
    arguments = Arguments(_compiled.of_this_run(folder))
    try:
        yield arguments
    finally:
        arguments.end()


@contextlib.contextmanager
def of_an_action(templar: t.Any, folder: str) -> t.Iterator[Arguments]:
    """While an action renders variables for itself."""
    with of_a_task(folder) as arguments:
        if (inner := engine(templar)) is not None:
            arguments.lend(inner)
        yield arguments


def engine(templar: t.Any) -> t.Any:
    """What a task has, inside the public wrapper around it that an action gets; None before ansible-core 2.19."""
    return getattr(templar, "_engine", None)


def known(kind: t.Any) -> bool:
    """Whether an environment is Ansible's own, as ansible-core 2.19 to 2.22 have it, and compiles as Jinja does."""
    return (
        kind.__name__ == "AnsibleEnvironment"
        and kind.__module__.startswith("ansible._internal.")
        and kind.compile is Environment.compile
        and not getattr(kind, "_debuggable_template_source", True)
        and "__call__" in vars(kind.template_class)
        and LazyContainer is not None
    )


def _lazily(variables: t.Any) -> t.Any:
    """Variables that remember what they have come to, as Ansible makes them for each template anew."""
    return LazyContainer._try_create(variables) if variables.__class__ is dict else variables


@functools.cache
def filters() -> dict[str, t.Callable[..., t.Any]]:
    """The collection's own, by their whole names. Ansible would go through the files of all for each that it meets."""
    found: dict[str, t.Callable[..., t.Any]] = {}
    package = importlib.import_module(f"ansible_collections.{_COLLECTION}.plugins.filter")
    for file in pkgutil.iter_modules(package.__path__):
        own = importlib.import_module(f"{package.__name__}.{file.name}").FilterModule().filters()
        found |= {f"{_COLLECTION}.{name}": one for name, one in own.items()}
    return found


def make_ready() -> None:
    """What all workers have alike, once for them all."""
    filters()
    with contextlib.suppress(ImportError):
        from ansible._internal._templating._jinja_bits import AnsibleEnvironment

        if known(AnsibleEnvironment):
            _lent(AnsibleEnvironment)


@functools.cache
def _lent(kind: t.Any) -> t.Any:
    """Ansible's environment, of which one instance takes part."""

    class Remembering(kind.template_class):  # type: ignore[misc]
        changes_nothing = False

        def __call__(self, variables: t.Any) -> t.Any:
            return self.environment.arguments.value(self, variables, super().__call__)

    class Lent(kind):  # type: ignore[misc]
        arguments: Arguments
        of_arguments = True
        template_class = Remembering

        def from_string(self, source: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
            if args or kwargs or not self._is_plain(source):
                return super().from_string(source, *args, **kwargs)
            return self.arguments.template(str(source), self, super().from_string)

        def compile(self, source: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
            compiled = self.arguments.compiled
            if compiled is None or args or kwargs or not self._is_plain(source):
                return super().compile(source, *args, **kwargs)
            return compiled.code(source, lambda: super(Lent, self).compile(source))

        def _is_plain(self, source: t.Any) -> bool:
            """Not so where the moment decides: an overlay has settings of its own, a backslash is read by Ansible's
            setting, and what is no text was parsed as an expression."""
            return isinstance(source, str) and not self.overlayed and "\\" not in source

    return Lent
