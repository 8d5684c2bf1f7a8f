# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a variable of a host amounts to, looked at by its name when it is needed, and once in a task.

Most of what our roles say is no more than ``{{ name.key | default({}) | mail2fax.m365.said(30) }}``. Ansible compiles a
template for each of them, in every worker that it forks, whether its value is needed or not. Such a one is read here as
it stands, and whatever says more is rendered by Ansible.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ansible.utils.unsafe_proxy import AnsibleUnsafe

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput, M365Error
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _blanks, _locked, _places, _stopped
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import key_of, plain

try:
    from ansible.errors import AnsibleValueOmittedError
except ImportError:  # up to ansible-core 2.18, which has another way to leave an option out
    AnsibleValueOmittedError = NotImplementedError

try:
    from ansible.template import is_trusted_as_template
except ImportError:  # up to ansible-core 2.18

    def is_trusted_as_template(value: object) -> bool:
        return not isinstance(value, AnsibleUnsafe)


_PATH = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_LITERAL = r"none|true|false|\[\]|\{\}|-?\d+|'[^'\\{}%]*'"
_FILTER = (
    rf"default\((?:{_LITERAL}|{_PATH})(?:,\ true)?\)"
    rf"|mail2fax\.m365\.said(?:\((?:{_LITERAL}|{_PATH})\))?|mail2fax\.m365\.file_name"
)
_TERM = rf"{_PATH}(?:\s+\|\s+(?:{_FILTER}))*"
_SIMPLE = re.compile(
    rf"\{{\{{\s+(?P<term>{_TERM})(?:\s+if\s+(?P<name>[A-Za-z_]\w*)\s+is\s+defined\s+else\s+(?P<other>{_TERM}))?\s+\}}\}}",
    re.ASCII,
)
_ONE_FILTER = re.compile(r"\|\s+(?P<name>[\w.]+)(?:\((?P<given>[^()]*?)(?P<falsy>, true)?\))?", re.ASCII)
_WORDS: t.Mapping[str, t.Any] = {"none": None, "true": True, "false": False}
_APART = frozenset({"omit", "vars", "hostvars", "lookup", "query", "q", "now", "undef", *_WORDS})
"""Names that mean something else than a variable, or hold everybody's."""
_OF_A_MAPPING = frozenset(dir(dict))
"""Jinja takes ``x.items`` for the method."""
_MARK = re.compile(r"\{[{%#]")
"""Text without any of them is no template. What a tenant has sent is none in any case."""


class _Missing:
    """What is not there; a filter may put something in its place."""


_MISSING = _Missing()


class _Omitted:
    """What a task leaves out."""


OMITTED = _Omitted()


class _NotSimple(Exception):
    """Ansible has to say what it amounts to."""


@dataclass(frozen=True)
class _Path:
    """A variable, and keys below it."""

    name: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class _Filter:
    """``given`` is a value, or the path to one. ``falsy``: it stands for whatever counts as nothing, too."""

    name: str
    given: t.Any = None
    falsy: bool = False


@dataclass(frozen=True)
class _Term:
    path: _Path
    filters: tuple[_Filter, ...]


@dataclass(frozen=True)
class _Simple:
    """``term``, or ``other`` where the variable ``name`` is not defined."""

    term: _Term
    name: str = ""
    other: _Term | None = None

    @property
    def may_omit(self) -> bool:
        terms = [self.term] if self.other is None else [self.term, self.other]
        return any(one.given is OMITTED for term in terms for one in term.filters)


@functools.cache
def _read(template: str) -> _Simple | None:
    """What a template says, where it says no more than can be read here."""
    found = _SIMPLE.fullmatch(template)
    if found is None:
        return None
    try:
        return _Simple(_term(found["term"]), found["name"] or "", _term(found["other"]) if found["other"] else None)
    except _NotSimple:
        return None


def _term(text: str) -> _Term:
    path, first, filters = text.partition("|")
    found = [
        _Filter(one["name"].rpartition(".")[2], _given(one["given"]), bool(one["falsy"]))
        for one in _ONE_FILTER.finditer(first + filters)
    ]
    if any(one.given is OMITTED and (one.name != "default" or one is not found[-1]) for one in found):
        raise _NotSimple
    return _Term(_path(path.strip()), tuple(found))


def _path(text: str) -> _Path:
    name, *keys = text.split(".")
    if name in _APART or _OF_A_MAPPING & {*keys}:
        raise _NotSimple
    return _Path(name, tuple(keys))


def _given(text: str | None) -> t.Any:
    """What a filter is given."""
    if text is None or text in _WORDS:
        return _WORDS.get(text or "none")
    if text == "omit":
        return OMITTED
    return ast.literal_eval(text) if re.fullmatch(_LITERAL, text, re.ASCII) else _path(text)


class Values:
    """The variables of one host, as one task sees them; values are plain data (see _plain)."""

    def __init__(self, templar: t.Any, variables: t.Mapping[str, t.Any]) -> None:
        self._templar = templar
        self._variables = variables
        self._known: dict[str, t.Any] = {}
        # By now on the way: what refers to itself has no value.
        self._asked: set[str] = set()

    def value(self, name: str, default: t.Any = None) -> t.Any:
        """A variable's value, ``default`` where there is none. Raises M365Error, which quotes nothing that it holds."""
        if name not in self._variables:
            return default
        try:
            return self._value(name)
        except M365Error:
            raise
        except Exception as exc:
            # Not only AnsibleError: a template may raise anything.
            if _locked.by_vault(exc):
                raise _locked.unopened(name, self._variables[name]) from None
            if said := _stopped.of_ours(str(exc)):
                raise InvalidInput(said) from None
            raise InvalidInput(
                f"the variable {name} cannot be rendered ({type(exc).__name__})",
                cure=f"correct the template in {name}; a value that itself holds {{{{ or {{% takes the tag !unsafe",
            ) from None

    def _value(self, name: str) -> t.Any:
        if name in self._known:
            return self._known[name]
        if name in self._asked:
            raise _NotSimple
        self._asked.add(name)
        try:
            self._known[name] = self.rendered(self._variables[name])
        finally:
            self._asked.discard(name)
        return self._known[name]

    def rendered(self, raw: t.Any) -> t.Any:
        """What ``raw`` amounts to, a value as it stands in YAML. Raises whatever Ansible does."""
        if isinstance(raw, str):
            return self._text(raw)
        if isinstance(raw, Mapping):
            return {key_of(key): self.rendered(item) for key, item in raw.items()}
        if isinstance(raw, (list, tuple)):
            return [self.rendered(item) for item in raw]
        if raw is None or isinstance(raw, (bool, int, float)):
            return plain(raw)
        return plain(self._templar.template(raw))

    def option(self, raw: t.Any) -> t.Any:
        """What an option of a task amounts to. What is not simple is as Ansible has it. Raises whatever Ansible does;
        AnsibleValueOmittedError where the option is left out."""
        if (found := self._option(raw)) is OMITTED:
            raise AnsibleValueOmittedError
        return found

    def _option(self, raw: t.Any) -> t.Any:
        if isinstance(raw, str):
            simple = _read(str.__str__(raw)) if is_trusted_as_template(raw) else None
            if simple is not None:
                with contextlib.suppress(Exception):
                    # Whoever gets it may alter it.
                    found = self._simple(simple)
                    return found if found is OMITTED else plain(found)
        elif isinstance(raw, Mapping):
            found = {key: self._option(item) for key, item in raw.items()}
            return {key: item for key, item in found.items() if item is not OMITTED}
        elif isinstance(raw, (list, tuple)):
            return [item for item in map(self._option, raw) if item is not OMITTED]
        try:
            return self._templar.template(raw)
        except AnsibleValueOmittedError:
            return OMITTED

    def _text(self, raw: str) -> t.Any:
        text = str.__str__(raw)
        if not _MARK.search(text) or not is_trusted_as_template(raw):
            return text
        simple = _read(text)
        if simple is not None and not simple.may_omit:
            # Whatever is wrong with it, Ansible knows what that means, as where a filter stands for what is not there.
            with contextlib.suppress(Exception):
                return self._simple(simple)
        return plain(self._templar.template(raw))

    def _simple(self, said: _Simple) -> t.Any:
        other = said.other is not None and not self._is_defined(said.name)
        value = self._of(said.other if other and said.other else said.term)
        if value is _MISSING:
            raise _NotSimple
        return value

    def _is_defined(self, name: str) -> bool:
        if isinstance(self._variables.get(name), str):
            self._value(name)  # To Ansible a template that cannot be rendered is not defined.
        return name in self._variables

    def _of(self, term: _Term) -> t.Any:
        value = self._at(term.path)
        for one in term.filters:
            if one.name == "default":
                if value is _MISSING or (one.falsy and not value):
                    value = self._what(one.given)
                continue
            if value is _MISSING:
                raise _NotSimple
            if one.name == "file_name":
                value = _places.file_name(str(value))
                continue
            default = self._what(one.given)
            if default is _MISSING:
                raise _NotSimple
            value = _blanks.said(value, default)
        return value

    def _what(self, given: t.Any) -> t.Any:
        if isinstance(given, (list, dict)):
            return given.__class__()  # It is empty, and one for all who ask.
        return self._at(given) if isinstance(given, _Path) else given

    def _at(self, path: _Path) -> t.Any:
        """What a path leads to, ``_MISSING`` where it leads nowhere."""
        if path.name not in self._variables:
            # Ansible knows names that are no variables, such as those of a loop.
            return _MISSING
        raw = self._variables[path.name]
        if not path.keys or not isinstance(raw, Mapping):
            found, below = self._value(path.name), False
        else:
            found, below = raw, True
        for key in path.keys:
            if isinstance(found, str) and below:
                found, below = self._text(found), False
            if not isinstance(found, Mapping):
                if (found is None or isinstance(found, (str, bool, int, float))) and not hasattr(found, key):
                    return _MISSING
                raise _NotSimple
            if key not in found:
                return _MISSING
            found = found[key]
        return self.rendered(found) if below else found
