# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of OData as Graph's directory understands: resource paths, ``$filter``, ``$search``, ``$expand``."""

from __future__ import annotations

import datetime as dt
import re
import typing as t
import urllib.parse
from dataclasses import dataclass

from .directory import parse_stamp
from .model import Document

Test = t.Callable[[Document], bool]
Value = t.Callable[[Document], t.Any]


class QueryError(ValueError):
    """A query the service does not take. ``key`` names the text, ``values`` fill it in."""

    def __init__(self, key: str, **values: t.Any) -> None:
        super().__init__(key)
        self.key, self.values = key, values


# --- paths ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """``(appId='…')``: an alternate key; ``('…')`` has the name ``id``."""

    name: str
    value: str


Segment = str | Key
_KEY = re.compile(r"(?P<name>[^()]*)\((?P<inside>.*)\)", re.DOTALL)


def segments_of(raw_path: str) -> list[Segment]:
    """A path as sent to its segments: percent-decoded after the split, keys in parentheses as segments of their own."""
    segments: list[Segment] = []
    for part in _split(raw_path):
        text = urllib.parse.unquote(part)
        match = _KEY.fullmatch(text)
        if match is None:
            segments.append(text)
            continue
        segments.append(match["name"])
        inside = match["inside"].strip()
        if not inside:  # a function without parameters
            continue
        named = re.fullmatch(r"(\w+)\s*=\s*(.*)", inside, re.DOTALL)
        name, literal = (named[1], named[2]) if named else ("id", inside)
        if literal.startswith("'") and literal.endswith("'") and len(literal) >= 2:
            literal = literal[1:-1].replace("''", "'")
        segments.append(Key(name, literal))
    return segments


def _split(raw_path: str) -> list[str]:
    """At slashes, but not at those inside quotes within parentheses. Empty segments are left out."""
    parts, current, depth, quoted = [], "", 0, False
    text = raw_path.replace("%27", "'").replace("%28", "(").replace("%29", ")")
    for character in text:
        if character == "'" and depth:
            quoted = not quoted
        elif character == "(" and not quoted:
            depth += 1
        elif character == ")" and not quoted:
            depth = max(0, depth - 1)
        if character == "/" and not quoted:
            parts.append(current)
            current = ""
        else:
            current += character
    return [part for part in [*parts, current] if part]


# --- $filter ----------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^']|'')*')
    | (?P<guid>[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})
    | (?P<moment>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?)
    | (?P<number>-?\d+(?:\.\d+)?)
    | (?P<word>[A-Za-z_$][\w$]*(?:/[A-Za-z_$][\w$]*)*)
    | (?P<mark>[(),:])
    )""",
    re.VERBOSE,
)
_COMPARISONS: dict[str, t.Callable[[t.Any, t.Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a is not None and b is not None and a > b,
    "ge": lambda a, b: a is not None and b is not None and a >= b,
    "lt": lambda a, b: a is not None and b is not None and a < b,
    "le": lambda a, b: a is not None and b is not None and a <= b,
}
_CONSTANTS = {"true": True, "false": False, "null": None}


class Filter:
    """A parsed ``$filter``: call it with a document. ``advanced``: it needs ConsistencyLevel: eventual and $count."""

    def __init__(self, text: str, properties: t.Collection[str], resource: str) -> None:
        """``properties``: the names there are. Raises QueryError."""
        self._names = {name.lower(): name for name in properties}
        self._resource = resource
        self._tokens = self._scan(text)
        self._at = 0
        self.advanced = False
        self._variables: set[str] = set()
        self._test = self._either()
        if self._at < len(self._tokens):
            raise QueryError("invalid_filter", reason=f"Syntax error at '{self._tokens[self._at][1]}' in '{text}'.")

    def __call__(self, document: Document) -> bool:
        return self._test(document)

    @staticmethod
    def _scan(text: str) -> list[tuple[str, str]]:
        tokens, at = [], 0
        text = text.strip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise QueryError("invalid_filter", reason=f"Syntax error at position {at} in '{text}'.")
            tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
            while at < len(text) and text[at].isspace():
                at += 1
        if not tokens:
            raise QueryError("invalid_filter", reason="Expression expected.")
        return tokens

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _word(self, *words: str) -> bool:
        kind, text = self._peek()
        if kind == "word" and text.lower() in words:
            self._at += 1
            return True
        return False

    def _mark(self, mark: str) -> None:
        kind, text = self._next()
        if kind != "mark" or text != mark:
            raise QueryError("invalid_filter", reason=f"'{mark}' expected, '{text}' found.")

    def _either(self) -> Test:
        tests = [self._both()]
        while self._word("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda document: any(test(document) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._word("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda document: all(test(document) for test in tests)

    def _one(self) -> Test:
        kind, text = self._peek()
        if kind == "mark" and text == "(":
            self._at += 1
            inner = self._either()
            self._mark(")")
            return inner
        if self._word("not"):
            self.advanced = True
            negated = self._one()
            return lambda document: not negated(document)
        following = self._tokens[self._at + 1][1] if self._at + 1 < len(self._tokens) else ""
        if kind == "word" and following == "(":
            return self._function(text)
        return self._comparison()

    def _function(self, text: str) -> Test:
        self._at += 2
        name = text.lower()
        if name.endswith(("/any", "/all")):
            return self._lambda(text)
        if name not in ("startswith", "endswith", "contains"):
            raise QueryError("invalid_filter", reason=f"An unknown function with name '{text}' was found.")
        if name == "contains":
            raise QueryError("unsupported_query", property="contains", resource=self._resource)
        self.advanced = self.advanced or name == "endswith"
        value = self._operand()
        self._mark(",")
        wanted = self._operand()
        self._mark(")")

        def test(document: Document) -> bool:
            held, part = value(document), wanted(document)
            if not isinstance(held, str) or not isinstance(part, str):
                return False
            return held.startswith(part) if name == "startswith" else held.endswith(part)

        return test

    def _lambda(self, text: str) -> Test:
        path, _unused, quantifier = text.rpartition("/")
        held = self._property(path)
        kind, variable = self._next()
        if kind != "word":
            raise QueryError("invalid_filter", reason="A range variable is expected.")
        self._mark(":")
        self._variables.add(variable)
        inner = self._either()
        self._variables.discard(variable)
        self._mark(")")
        every = quantifier.lower() == "all"
        self.advanced = self.advanced or every

        def test(document: Document) -> bool:
            results = (inner({**document, variable: item}) for item in held(document) or [])
            return all(results) if every else any(results)

        return test

    def _comparison(self) -> Test:
        left = self._operand()
        kind, operator = self._next()
        operator = operator.lower()
        if kind == "word" and operator == "in":
            self._mark("(")
            wanted = [self._operand()]
            while self._peek() == ("mark", ","):
                self._at += 1
                wanted.append(self._operand())
            self._mark(")")
            return lambda document: left(document) in [value(document) for value in wanted]
        if kind != "word" or operator not in _COMPARISONS:
            raise QueryError("invalid_filter", reason=f"A comparison is expected, '{operator}' was found.")
        self.advanced = self.advanced or operator == "ne"
        right = self._operand()
        compare = _COMPARISONS[operator]

        def test(document: Document) -> bool:
            try:
                return compare(left(document), right(document))
            except TypeError:
                return False

        return test

    def _operand(self) -> Value:
        kind, text = self._next()
        if kind == "string":
            literal = _comparable(text[1:-1].replace("''", "'"))
            return lambda document: literal
        if kind in ("guid", "moment"):
            constant = _comparable(text)
            return lambda document: constant
        if kind == "number":
            number = float(text)
            return lambda document: number
        if kind == "word":
            if text.lower() in _CONSTANTS:
                value = _CONSTANTS[text.lower()]
                return lambda document: value
            held = self._property(text)
            return lambda document: _comparable(held(document))
        raise QueryError("invalid_filter", reason=f"Syntax error: '{text}' is no value.")

    def _property(self, path: str) -> Value:
        names = path.split("/")
        if names[0] in self._variables:
            pass
        elif names[0].lower() == "owners" and "_owners" in self._names:  # a relation, kept as a list of ids
            if names[-1] == "$count":
                self.advanced = True
                return lambda document: len(document["_owners"])
            return lambda document: [{"id": owner} for owner in document["_owners"]]
        elif names[0].lower() in self._names:
            names[0] = self._names[names[0].lower()]
        else:
            raise QueryError("unknown_filter_property", property=names[0], resource=self._resource)
        if len(names) == 1:
            only = names[0]
            return lambda document: document.get(only)

        def value(document: Document) -> t.Any:
            held: t.Any = document
            for name in names:
                if name == "$count":
                    return len(held or [])
                if not isinstance(held, dict):
                    return None
                held = held.get(name)
            return held

        if names[-1] == "$count":
            self.advanced = True
        return value


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


def _comparable(value: t.Any) -> t.Any:
    """The directory compares text without regard to case, and moments as moments."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return float(value)
    if isinstance(value, str):
        if _MOMENT.match(value):
            try:
                return parse_stamp(value)
            except ValueError:
                pass
        return value.casefold()
    return value


# --- $search, $expand, $orderby ---------------------------------------------------------------------------------------


def search(text: str) -> Test:
    """``"displayName:words"``, several joined by AND or OR. Raises QueryError."""
    clauses = re.findall(r'"([^":]+):([^"]*)"', text)
    if not clauses:
        raise QueryError("invalid_filter", reason=f"Syntax error in $search '{text}'.")
    joined_by_or = re.search(r'"\s+OR\s+"', text) is not None

    def one(document: Document, name: str, words: str) -> bool:
        held = str(document.get(name) or "").casefold()
        pieces = re.split(r"[\W_]+", held)
        return all(any(piece.startswith(word) for piece in [*pieces, held]) for word in words.casefold().split())

    def test(document: Document) -> bool:
        results = (one(document, name, words) for name, words in clauses)
        return any(results) if joined_by_or else all(results)

    return test


@dataclass(frozen=True)
class Expansion:
    name: str
    options: dict[str, str]


def expansions(text: str) -> list[Expansion]:
    """``owners($select=id),members`` to its parts. Raises QueryError."""
    found, rest = [], text.strip()
    while rest:
        match = re.match(r"(?P<name>[\w.]+)(?:\((?P<options>[^()]*)\))?\s*(?:,\s*|$)", rest)
        if match is None:
            raise QueryError("invalid_filter", reason=f"Syntax error in $expand '{text}'.")
        pairs = (option.partition("=") for option in (match["options"] or "").split(";") if option)
        found.append(Expansion(match["name"], {name.strip(): value for name, _unused, value in pairs}))
        rest = rest[match.end() :]
    return found


def sort_key(text: str) -> tuple[str, bool]:
    """``displayName desc`` to (property, whether descending)."""
    name, _unused, direction = text.strip().partition(" ")
    return name, direction.strip().lower() == "desc"


def ordered(value: t.Any) -> t.Any:
    comparable = _comparable(value)
    return (comparable is not None, comparable.timestamp() if isinstance(comparable, dt.datetime) else comparable or "")
