# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the guides that the code knows best: the operator's rights, sign-in codes, and every message.

Most of them stand in the guides, between two marks, and a test tells when they differ from the code; run as a program,
this writes them anew (``make docs-tables``). The list of messages is put in when the site is built.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(1, str(Path(__file__).resolve().parents[2] / ".build"))

from ansible_collections.mail2fax.m365.plugins.module_utils import _powers, _steps, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _profile, _variables
from tests.tools import core_differences, field_tables, layout

GUIDES = layout.ROOT / "docs/docsite/rst"
PLUGINS = layout.ROOT / "plugins"
BEGIN, END = ".. table of {}, from the code: make docs-tables", ".. end of the table"
MESSAGES_MARK = ".. the list of messages is put in here when the site is built"
ELLIPSIS = "…"


def list_table(header: Iterable[str], rows: Iterable[Iterable[str]], widths: str) -> str:
    """A reStructuredText list-table; empty cells stay empty."""
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", "   :width: 100%", ""]
    for row in [list(header), *map(list, rows)]:
        for number, cell in enumerate(row):
            first, *rest = cell.split("\n") if cell else [""]
            lines.append(f"   {'*' if number == 0 else ' '} - {first}".rstrip())
            lines += [f"       {line}".rstrip() for line in rest]
    return "\n".join(lines)


def literal(text: str) -> str:
    return f"``{text}``"


def plain(text: str) -> str:
    """Words as they are, on one line: what reStructuredText takes for markup is escaped."""
    text = re.sub(rf"{ELLIPSIS}+", ELLIPSIS, " ".join(text.split()))
    return "".join(f"\\{char}" if char in "\\*`|_" else char for char in text)


def sentence(text: str) -> str:
    return f"{plain(text.strip().rstrip('.'))}."


# --- what the operator needs ---------------------------------------------------------------------------------


def powers() -> str:
    """For each step what its operator needs, the least powerful way first."""
    rows = []
    for name, power in _powers.POWERS.items():
        cells: dict[str, list[str]] = {kind: [] for kind in (_powers.GRAPH, _powers.EXCHANGE, _powers.DIRECTORY)}
        for need in power.needs:
            shown = [literal(one) if need.kind != _powers.DIRECTORY else one for one in need.any_of]
            words = shown[0] + (f" (or {', '.join(shown[1:])})" if shown[1:] else "")
            if need.only_for:
                words += f", for {_steps.ONLY_FOR[need.only_for]}"
            cells[need.kind].append(words)
        formerly = next((f" (once: {word})" for word, key in _steps.FORMERLY.items() if key == name), "")
        rows.append([f"**{name}**{formerly}: {power.title}", *("\n\n".join(cell) for cell in cells.values())])
    header = ("step", "Microsoft Graph", "Office 365 Exchange Online", "Entra role")
    return list_table(header, rows, "20 35 23 22")


def granters() -> str:
    """Who can give each kind of right."""
    titles = {
        _powers.GRAPH: "application permissions of Microsoft Graph",
        _powers.EXCHANGE: "application permissions of Office 365 Exchange Online",
        _powers.DIRECTORY: "Entra roles",
    }
    return list_table(("what", "who can give it"), [[titles[kind], who] for kind, who in _powers.WHO.items()], "40 60")


def powers_by_profile() -> str:
    """What the operator needs for a provisioning with each profile as it comes, the least powerful way."""
    rows = []
    for name in _profile.names():
        profile = _profile.load(name)
        granted = {
            word
            for word, key in ((_steps.APPLICATION, "application"), (_steps.DELEGATED, "delegated"))
            if any(entry[key] for entry in profile["permissions"])
        }
        lacking = _powers.missing(profile["steps"], graph=(), exchange=(), roles=(), only_for=granted)
        needs = [one.need for one in lacking]
        # One role that does for all of them.
        roles = [set(need.any_of) for need in needs if need.kind == _powers.DIRECTORY]
        enough = [role for need in needs for role in need.any_of if all(role in one for one in roles)]
        cells = [
            ", ".join(literal(need.any_of[0]) for need in needs if need.kind == kind)
            for kind in (_powers.GRAPH, _powers.EXCHANGE)
        ]
        rows.append([literal(name), *cells, enough[0]])
    header = ("profile", "Microsoft Graph", "Office 365 Exchange Online", "Entra role")
    return list_table(header, rows, "20 40 20 20")


# --- profiles and scoping models -----------------------------------------------------------------------------


def profiles() -> str:
    """The collection's own profiles: what each access takes, what limits it, and what may in its place."""
    rows = []
    for name in _profile.names():
        profile = _profile.load(name)
        cells: list[list[str]] = [[], [], []]
        for access in profile["accesses"]:
            permissions = ", ".join(literal(one) for one in access["permissions"])
            cells[0].append(f"{literal(access['id'])}: {permissions}")
            cells[1].append(literal(access["scoping"]))
            others = [literal(one) for one in access["scoping_allowed"] if one != access["scoping"]]
            cells[2].append(", ".join(others) or "nothing else")
        ends = f"; ends on {profile['sunset']['date']}" if profile.get("sunset") else ""
        document = profile["vendor"]["document"]
        told = f"{profile['status']}{ends}. By *{plain(document['title'])}* of {document['date']}"
        rows.append([literal(name), *("\n\n".join(cell) for cell in cells), told])
    return list_table(("profile", "access: permission", "limited by", "or by", "status"), rows, "16 20 23 23 18")


def names() -> str:
    """What each profile calls what it makes, where the inventory says nothing."""
    rows = []
    for name in _profile.names():
        of = _profile.load(name)["names"]
        group = f"{plain(of['group'])} ({literal(of['group_alias'])})"
        rows.append(
            [literal(name), plain(of["application"]), literal(of["unique_name"]), group, of["scope"], of["secret"]]
        )
    header = ("profile", "application", "unique name", "group (alias), where one is made", "scope", "secret")
    return list_table(header, rows, "16 16 18 20 15 15")


def models() -> str:
    """What the code knows of each scoping model."""
    rows = []
    for name, model in MODELS.items():
        made = [_steps.STEPS[key].title for key in model.makes]
        minutes = int(model.in_force_after.total_seconds() // 60)
        within = "at once, for tokens issued after it" if not minutes else f"up to {_spoken(minutes)}"
        rows.append(
            [
                literal(name),
                "\n\n".join(made) or "nothing",
                "yes" if model.needs_consent else "no, and there must be none",
                within,
            ]
        )
    return list_table(("model", "what a run does for it", "a consent in Entra", "in force"), rows, "26 36 18 20")


def _spoken(minutes: int) -> str:
    return f"{minutes} minutes" if minutes % 60 else "an hour" if minutes == 60 else f"{minutes // 60} hours"


# --- refused sign-ins ----------------------------------------------------------------------------------------


def sign_in() -> str:
    """The codes of Entra that are known here, in words."""
    rows = [
        [literal(code), *(plain(text) for text in (known.meaning, known.cure, known.who))]
        for code, known in sorted(_texts.SIGN_IN.items(), key=lambda item: int(item[0].removeprefix("AADSTS")))
    ]
    return list_table(("code", "means", "what to do", "who can do it"), rows, "20 28 32 20")


def hosts() -> str:
    """What can be wrong with a Windows management host, in words."""
    rows = [[literal(code), plain(known.meaning), plain(known.cure)] for code, known in _texts.HOST.items()]
    return list_table(("code", "means", "what to do"), rows, "20 35 45")


# --- every message -------------------------------------------------------------------------------------------

KINDS = {
    "Blocked": "A decision, a permission or a person is needed",
    "stops": "What the preflight finds",
    "InvalidInput": "An option that cannot be right",
    "SignInError": "The sign-in was refused",
    "Forbidden": "Signed in, and not allowed",
    "NotFound": "Not there",
    "Conflict": "There already, or changed meanwhile",
    "Throttled": "Still busy when the patience ran out",
    "Unreachable": "Never reached",
    "AnswerLost": "Asked, and no answer came",
    "NoLongerWanted": "Its run has ended",
    "ServiceError": "Other answers of the services",
    "MissingLibrary": "A library is missing",
}
"""What raises (or, in the preflight, collects) a message -> the heading it stands under."""
_RAISED = {kind for kind in KINDS if kind != "stops"}


@dataclass(frozen=True)
class Message:
    """One text of the code; what is filled in at run time is an ellipsis. ``source`` is the file, from plugins on."""

    kind: str
    text: str
    cure: str
    who: str
    source: str


def messages() -> list[Message]:
    """Every message that a person may read, in the order of the files."""
    trees = {
        path.relative_to(PLUGINS).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PLUGINS.rglob("*.py"))
    }
    # Who can help is often a constant of another file.
    shared = {name: value for tree in trees.values() for name, value in _constants(tree).items()}
    return [
        message for source, tree in trees.items() for message in _messages_of(tree, source, shared | _constants(tree))
    ]


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """The texts that a file gives a name to."""
    return {
        target.id: statement.value
        for statement in tree.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant | ast.JoinedStr | ast.BinOp)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def _messages_of(tree: ast.Module, source: str, constants: dict[str, ast.expr]) -> Iterator[Message]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for node in sorted(calls, key=lambda call: call.lineno):
        if not isinstance(node.func, ast.Name):
            continue
        given = {word.arg: _text(word.value, constants) for word in node.keywords if word.arg}
        kind = node.func.id
        if kind in _RAISED and node.args:
            text = _text(node.args[0], constants)
        elif kind == "stops" and len(node.args) >= 3:
            names = ("step", "what", "found", "cure", "who")
            given |= {name: _text(one, constants) for name, one in zip(names, node.args, strict=False)}
            text = f"{given['what']}: {given['found']}"
        else:
            continue
        # Where the whole text is the service's own, or another message handed on, there is nothing to tell here.
        if text.replace(ELLIPSIS, "").strip(" :;,.()") and (kind != "stops" or given["found"] != ELLIPSIS):
            yield Message(
                kind, text, given.get("cure", "").strip(ELLIPSIS), given.get("who", "").strip(ELLIPSIS), source
            )


def _text(node: ast.expr, constants: dict[str, ast.expr]) -> str:
    """The text that an expression makes, as far as it stands in the code."""
    if isinstance(node, ast.Constant):
        return str(node.value) if isinstance(node.value, str) else ELLIPSIS
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, constants) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value, constants) if isinstance(node.value, ast.Name) else ELLIPSIS
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left, constants) + _text(node.right, constants)
    if isinstance(node, ast.Name) and node.id in constants:
        # Never in itself: a name that stands for more names ends.
        return _text(constants[node.id], {name: one for name, one in constants.items() if name != node.id})
    if isinstance(node, ast.Attribute):
        return str(getattr(_texts, node.attr, ELLIPSIS)) if node.attr.isupper() else ELLIPSIS
    return ELLIPSIS


def message_lists() -> str:
    """The messages under their headings, as definition lists."""
    found = messages()
    parts = []
    for kind, heading in KINDS.items():
        told: dict[str, Message] = {}
        for message in found:
            if message.kind == kind:
                told.setdefault(message.text, message)
        parts += [heading, "-" * len(heading), ""]
        for message in told.values():
            body = [f"What to do: {sentence(message.cure)}"] if message.cure else []
            body += [f"Who can do it: {sentence(message.who)}"] if message.who else []
            parts += [
                f"**{plain(message.text)}**",
                f"    {' '.join(body) or 'The message itself says what to do.'}",
                "",
            ]
    return "\n".join(parts)


# --- variables of an inventory ---------------------------------------------------------------------------------


def of_group(group: str) -> str:
    """The variables of one group, as plugins/plugin_utils/variables.yml lists them."""
    rows = [
        [literal(row.name), row.shown if row.shown is not None else told(row), row.meaning]
        for row in _variables.variables().values()
        if row.group == group
    ]
    return list_table(("variable", "default", "meaning"), rows, "33 20 47")


def told(row: _variables.Variable) -> str:
    """A default as the guide shows it."""
    if row.default is None:
        return ""
    return (
        literal(row.default)
        if row.type == "str"
        else str(row.default).lower()
        if row.type == "bool"
        else str(row.default)
    )


def of_file(name: str) -> str:
    """A data file of ``docs/field`` as a table."""
    return list_table(*field_tables.plain(name))


# --- in the guides -------------------------------------------------------------------------------------------


def versions(*, exact: bool = False) -> str:
    """What the versions of ansible-core do differently, a column for each, as make cores saw it."""
    names = [version if exact else ".".join(version.split(".")[:2]) for version in core_differences.known()]
    widths = " ".join(["30", *["14"] * len(names)])
    return list_table(["", *names], core_differences.rows(), widths)


TABLES: dict[str, tuple[Path, Callable[[], str]]] = {
    "the operator's rights": (GUIDES / "operator.rst", powers),
    "the operator's rights by profile": (GUIDES / "operator.rst", powers_by_profile),
    "who gives them": (GUIDES / "operator.rst", granters),
    "profiles": (GUIDES / "which_way_in.rst", profiles),
    "names": (GUIDES / "playbooks.rst", names),
    "models": (GUIDES / "which_way_in.rst", models),
    "sign-in codes": (GUIDES / "when_it_fails.rst", sign_in),
    "hosts": (GUIDES / "when_it_fails.rst", hosts),
    **{
        f"variables: {group}": (GUIDES / "playbooks.rst", functools.partial(of_group, group))
        for group in dict.fromkeys(row.group for row in _variables.variables().values())
    },
    "versions of ansible-core": (GUIDES / "when_it_fails.rst", versions),
    "signs": (GUIDES / "when_it_fails.rst", lambda: field_tables.signs(list_table)),
    "how a token goes": (GUIDES / "field_notes.rst", lambda: list_table(*field_tables.ways())),
    "refusals": (GUIDES / "field_notes.rst", lambda: list_table(*field_tables.refusals())),
    "engines": (GUIDES / "field_notes.rst", functools.partial(versions, exact=True)),
    **{
        title: (GUIDES / "field_notes.rst", functools.partial(of_file, name))
        for title, name in field_tables.FILES.items()
    },
}


def renewed(text: str, name: str, table: str) -> str:
    """A guide with one table renewed. Raises ValueError when the guide has no place for it."""
    begin = BEGIN.format(name)
    head, mark, rest = text.partition(begin)
    _old, end, tail = rest.partition(END)
    if not (mark and end):
        raise ValueError(f"no place for the table of {name}")
    return f"{head}{begin}\n\n{table}\n\n{END}{tail}"


def main() -> int:
    for name, (path, make) in TABLES.items():
        text = path.read_text(encoding="utf-8")
        path.write_text(renewed(text, name, make()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
