# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter language of Exchange's ``-Filter`` parameter: parsed, not matched by pattern.

``Prop -op value`` with -eq -ne -like -notlike -gt -ge -lt -le, joined by -and, -or, -not and brackets. A value is
``'text'`` or ``"text"`` (the quote inside doubled), ``$true``, ``$false``, ``$null`` or a bare word.
Case never matters.
"""

from __future__ import annotations

import functools
import re
import typing as t

Read = t.Callable[[str], t.Any]  # property name in lower case -> value; raises KeyError when there is no such property
Test = t.Callable[[Read], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))
        |'(?P<single>(?:[^']|'')*)'(?!') | "(?P<double>(?:[^"]|"")*)"(?!")
        |(?P<operator>-[A-Za-z]+)(?=[\s('"$]|$)
        |(?P<constant>\$(?:true|false|null))(?![\w])
        |(?P<word>[^\s()'"$]+))""",
    re.VERBOSE | re.IGNORECASE,
)
_COMPARISONS = frozenset({"-eq", "-ne", "-like", "-notlike", "-gt", "-ge", "-lt", "-le"})
_CONSTANTS: dict[str, bool | None] = {"$true": True, "$false": False, "$null": None}


class FilterError(ValueError):
    """The text is not a filter: what was met, and at which character (from 0)."""

    def __init__(self, problem: str, position: int) -> None:
        super().__init__(problem)
        self.position = position


class _Token(t.NamedTuple):
    kind: str
    value: t.Any
    position: int


@functools.lru_cache(maxsize=256)  # a scope is asked about every mailbox
def parse(text: str) -> Test:
    """The test that a filter means. Raises FilterError; the test raises KeyError for an unknown property."""
    tokens = _tokens(text)
    test, rest = _either(tokens, 0)
    if tokens[rest].kind != "end":
        raise FilterError("unexpected token", tokens[rest].position)
    return test


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise FilterError("unexpected character", position)
        kind = str(match.lastgroup)
        raw = match.group(kind)
        value: t.Any = raw
        if kind == "single":
            kind, value = "value", raw.replace("''", "'")
        elif kind == "double":
            kind, value = "value", raw.replace('""', '"')
        elif kind == "constant":
            kind, value = "value", _CONSTANTS[raw.lower()]
        elif kind == "operator":
            value = raw.lower()
        tokens.append(_Token(kind, value, match.start(match.lastgroup or 0)))
        position = match.end()
    return [*tokens, _Token("end", None, end)]


def _either(tokens: list[_Token], at: int) -> tuple[Test, int]:
    return _joined(tokens, at, "-or", _both, any)


def _both(tokens: list[_Token], at: int) -> tuple[Test, int]:
    return _joined(tokens, at, "-and", _one, all)


def _joined(
    tokens: list[_Token],
    at: int,
    operator: str,
    operand: t.Callable[[list[_Token], int], tuple[Test, int]],
    join: t.Callable[[t.Iterable[bool]], bool],
) -> tuple[Test, int]:
    test, at = operand(tokens, at)
    tests = [test]
    while tokens[at].kind == "operator" and tokens[at].value == operator:
        test, at = operand(tokens, at + 1)
        tests.append(test)
    return (tests[0] if len(tests) == 1 else lambda read: join([test(read) for test in tests])), at


def _one(tokens: list[_Token], at: int) -> tuple[Test, int]:
    token = tokens[at]
    if token.kind == "operator" and token.value == "-not":
        inner, at = _one(tokens, at + 1)
        return (lambda read: not inner(read)), at
    if token.kind == "open":
        test, at = _either(tokens, at + 1)
        if tokens[at].kind != "close":
            raise FilterError("missing bracket", tokens[at].position)
        return test, at + 1
    if token.kind != "word":
        raise FilterError("property expected", token.position)
    operator = tokens[at + 1]
    if operator.kind != "operator" or operator.value not in _COMPARISONS:
        raise FilterError("operator expected", operator.position)
    operand = tokens[at + 2]
    if operand.kind not in ("value", "word"):
        raise FilterError("value expected", operand.position)
    return _comparison(token.value.lower(), operator.value, operand.value), at + 3


def _comparison(name: str, operator: str, wanted: t.Any) -> Test:
    if operator in ("-ne", "-notlike"):
        positive = _comparison(name, {"-ne": "-eq", "-notlike": "-like"}[operator], wanted)
        return lambda read: not positive(read)

    def test(read: Read) -> bool:
        value = read(name)
        if wanted is None:
            return operator == "-eq" and value in (None, "", [])
        found = value if isinstance(value, list) else [value]
        return any(_compare(operator, item, wanted, proxy=name == "emailaddresses") for item in found)

    return test


def _compare(operator: str, item: t.Any, wanted: t.Any, *, proxy: bool) -> bool:
    if item is None:
        return False
    left, right = _plain(item), _plain(wanted)
    if operator == "-like":
        pattern = ".*".join(re.escape(part) for part in right.split("*"))
        return re.fullmatch(pattern, left, re.DOTALL) is not None
    if operator == "-eq":
        return left == (f"smtp:{right}" if proxy and ":" not in right else right)
    return {"-gt": left > right, "-ge": left >= right, "-lt": left < right, "-le": left <= right}[operator]


def _plain(value: t.Any) -> str:
    return str(value).lower()
