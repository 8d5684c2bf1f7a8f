# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the guide "Field notes", and the causes by what a client shows: from data files (``docs/field``) and
from what the code knows. ``doc_tables`` puts them into the guides.
"""

from __future__ import annotations

import functools
import typing as t

import yaml

from ansible_collections.mail2fax.m365.plugins.module_utils._clients import CLIENTS, ONE, TWO
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _client_words
from tests.tools import layout

DATA = layout.ROOT / "docs/field"
FORMS = {ONE: "one line", TWO: "two steps"}
SHOWN = {"ews": "EWS", "graph": "Graph", "imap": "IMAP", "pop": "POP", "smtp": "SMTP"}
FILES = {
    "fax servers": "servers",
    "after the grant": "grants",
    "stores": "stores",
    "what AWX adds": "awx",
    "other tools": "tools",
}
"""Tables that a file is as it stands: what the guide's mark says -> the file."""
MAILBOX = "fax@contoso.example"
Table = tuple[list[str], list[list[str]], str]
Row = dict[str, t.Any]


@functools.cache
def data(name: str) -> t.Any:
    """A data file below ``docs/field``."""
    return yaml.safe_load((DATA / f"{name}.yml").read_text(encoding="utf-8"))


def again(words: _client_words.Words) -> str:
    """How a client was looked at, and when."""
    return {
        "measured": f"{words.day}, measured",
        "fidelity": f"{words.day}, ``test_ews.py``",
        "earlier": f"{words.day}, measured once, not repeatable here",
        "read": f"{words.day}, read, not measured",
    }[words.seen]


def called(name: str, words: _client_words.Words) -> str:
    """The name that ``mail2fax_client`` takes, and what people call it where that is another word."""
    return f"``{name}``" if words.title.lower() == name else f"``{name}``, {words.title}"


def longest(name: str) -> str:
    client = CLIENTS[name]
    bound = client.longest(MAILBOX)
    if client.token is not None:
        return f"{bound:,} characters"
    if client.line is not None:
        return f"about {bound:,} characters (encoded {client.line:,})"
    return "no limit up to 60,000" if _client_words.words()[name].seen == "measured" else "not measured"


def ways() -> Table:
    """Each client: how the token goes."""
    rows = []
    for name, words in _client_words.words().items():
        forms = [f"{SHOWN[protocol]} {FORMS[form]}" for protocol, form in CLIENTS[name].sends.items()]
        if set(CLIENTS[name].sends) <= {"ews"}:
            forms = ["EWS, in a header"]
        rows.append(
            [
                called(name, words),
                ", ".join(forms),
                longest(name),
                words.proxy,
                words.version,
                again(words),
            ]
        )
    return (
        ["client", "the token goes", "longest token", "proxy", "version", "seen"],
        rows,
        "18 17 17 22 13 13",
    )


def refusals() -> Table:
    """Each client: what a refusal looks like, and what becomes of the token."""
    rows = [
        [called(name, words), words.refused, words.shut, words.again] for name, words in _client_words.words().items()
    ]
    header = ["client", "a refused sign-in", "a mailbox or a sender that is shut", "a token that was refused"]
    return header, rows, "15 32 33 20"


def plain(name: str) -> Table:
    """A data file that is a table already: ``header``, ``widths``, and rows with the header's keys."""
    found = data(name)
    keys = list(found["header"])
    return (
        list(found["header"].values()),
        [[str(row.get(key, "")) for key in keys] for row in found["rows"]],
        found["widths"],
    )


def signs(list_table: t.Callable[[t.Iterable[str], t.Iterable[t.Iterable[str]], str], str]) -> str:
    """Causes under their headings, each with what clients show of it."""
    parts = []
    for cause in data("signs"):
        heading = cause["cause"]
        rows = [[seen_with(one), shown(one)] for one in cause["signs"]]
        parts += [
            *(heading, "~" * len(heading), "", cause["means"].strip(), ""),
            *(f"**What to do:** {cause['do'].strip()} **Who can do it:** {cause['who']}.", ""),
            *(list_table(("client, exit code", "shows"), rows, "26 74"), ""),
        ]
    return "\n".join(parts).rstrip()


def seen_with(sign: Row) -> str:
    code = f", exit {sign['code']}" if "code" in sign else ""
    return f"{_client_words.words()[sign['client']].title}{code}"


def shown(sign: Row) -> str:
    return str(sign["told"]) if "told" in sign else f"``{sign['shows']}``"
