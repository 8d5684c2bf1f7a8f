# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The filter of a management scope, as a set of clauses: Exchange gives it back in other brackets, order and case.

Only what is understood completely is compared: conditions that are joined by ``-or``. Whatever else a filter says is
somebody else's thought, and is never written over.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _names

MEMBER_OF = "memberofgroup"
LONGEST_NAME = 64
"""Of a management scope, and of a role assignment."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))
        |'(?P<single>(?:[^']|'')*)'(?!') | "(?P<double>(?:[^"]|"")*)"(?!")
        |(?P<operator>-[A-Za-z]+)(?=[\s('"$]|$)
        |(?P<word>[^\s()'"]+))""",
    re.VERBOSE,
)
_COMPARES = frozenset({"-eq", "-ne", "-like", "-notlike", "-gt", "-ge", "-lt", "-le"})
_AFTER_A_COMMA = re.compile(r"(?<!\\),\s+")
_DOMAIN_PARTS = re.compile(r"(?<!\\),dc=", re.IGNORECASE)


class Clause(t.NamedTuple):
    """One condition; all three are folded."""

    property: str
    operator: str
    value: str


@dataclass(frozen=True)
class RecipientFilter:
    """``clauses``: those of an ``-or`` chain, None where the text is something else. ``text``: as Exchange gave it."""

    text: str
    clauses: frozenset[Clause] | None

    @property
    def groups(self) -> frozenset[str] | None:
        """The folded distinguished names of the groups whose members it holds; None where it holds anything else."""
        if not self.clauses or any(one[:2] != (MEMBER_OF, "-eq") for one in self.clauses):
            return None
        return frozenset(one.value for one in self.clauses)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked of a recipient, so that each is in it."""
        return not self.text.strip()

    def holds(self, dn: str) -> bool:
        """Whether it is the members of this group, and nothing else."""
        return bool(dn) and self.groups == frozenset({folded(dn)})

    def names(self, dn: str) -> bool:
        """Whether it says the group's name at all, be it among conditions that are not understood."""
        if not dn:
            return False
        name, text = folded(dn), folded(self.text)
        return name in (self.groups or ()) or name in text or name.replace("'", "''") in text

    def names_one_called(self, name: str) -> bool:
        """Whether it says the name of something that is called so, wherever that is; rather once too often."""
        text = self.text.casefold().replace("''", "'").replace("\\", "")
        return bool(name.strip()) and f"cn={name.strip().casefold().replace(chr(92), '')}," in text


def parse(text: str) -> RecipientFilter:
    """Any text; what is no ``-or`` chain of conditions has no clauses."""
    tokens = _tokens(text)
    if not tokens:
        return RecipientFilter(text, None)
    found: set[Clause] = set()
    rest = _chain(tokens, 0, found)
    return RecipientFilter(text, frozenset(found) if rest == len(tokens) else None)


def of_group(dn: str) -> str:
    """The filter that holds the direct members of the group with this distinguished name."""
    if not dn.strip():
        raise ValueError("a group without a distinguished name would be a scope that holds nobody, or everybody")
    return f"MemberOfGroup -eq {_names.opath_literal(dn)}"


def folded(dn: str) -> str:
    """A distinguished name as it is compared: in lower case, without blanks behind its commas.

    Letters that are only like one another, as those of "Straße" and "Strasse", stay apart: that may be another group.
    """
    return _AFTER_A_COMMA.sub(",", dn.strip()).lower()


def moved(old: str, new: str) -> bool:
    """Whether two distinguished names are of one object before and after its tenant came to other servers: only the
    tail differs, which names those."""
    heads = [_DOMAIN_PARTS.split(folded(one), maxsplit=1) for one in (old, new)]
    return all(len(parts) == 2 for parts in heads) and heads[0][0] == heads[1][0] and heads[0][1] != heads[1][1]


def _tokens(text: str) -> list[tuple[str, str]] | None:
    """(kind, value) of every token; None where a part of the text is none."""
    found: list[tuple[str, str]] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            return None
        kind = str(match.lastgroup)
        value = match.group(kind)
        if kind in ("single", "double"):
            quote = "'" if kind == "single" else '"'
            kind, value = "value", value.replace(quote * 2, quote)
        found.append((kind, value))
        position = match.end()
    return found


_NOT_A_CHAIN = -1


def _chain(tokens: t.Sequence[tuple[str, str]], at: int, found: set[Clause]) -> int:
    """Where the chain that begins ``at`` ends; _NOT_A_CHAIN where there is none."""
    at = _link(tokens, at, found)
    while 0 <= at < len(tokens) and tokens[at][0] == "operator" and tokens[at][1].lower() == "-or":
        at = _link(tokens, at + 1, found)
    return at


def _link(tokens: t.Sequence[tuple[str, str]], at: int, found: set[Clause]) -> int:
    if at >= len(tokens):
        return _NOT_A_CHAIN
    if tokens[at][0] == "open":
        inner = _chain(tokens, at + 1, found)
        return inner + 1 if 0 <= inner < len(tokens) and tokens[inner][0] == "close" else _NOT_A_CHAIN
    if len(tokens) < at + 3:
        return _NOT_A_CHAIN
    (name_kind, name), (operator_kind, operator), (value_kind, value) = tokens[at : at + 3]
    if (name_kind, operator_kind) != ("word", "operator") or value_kind not in ("value", "word"):
        return _NOT_A_CHAIN
    if operator.lower() not in _COMPARES:
        return _NOT_A_CHAIN
    found.add(Clause(name.casefold(), operator.lower(), folded(value)))
    return at + 3
