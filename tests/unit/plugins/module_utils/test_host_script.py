# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PowerShell script as far as it can be examined without PowerShell, and the stream that carries requests to it."""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import random
import re
import typing as t

import pytest
import tree_sitter
import tree_sitter_powershell

from ansible_collections.mail2fax.m365.plugins.module_utils._exchange import host_answers, host_script

RESOURCES = pathlib.Path(__file__).parents[4] / "plugins" / "module_utils"
OWN = re.compile(r"^function ([A-Za-z-]+) \{$", re.MULTILINE)
CALLED = {
    # PowerShell's own
    *("ConvertFrom-Json", "ForEach-Object", "Get-ExecutionPolicy", "Get-ItemProperty", "Get-Module", "Import-Module"),
    *("New-Object", "Out-Null", "Select-Object", "Set-StrictMode", "Sort-Object"),
    # Exchange's module
    *("Connect-ExchangeOnline", "Disconnect-ExchangeOnline", "Get-ConnectionInformation"),
}
TYPES = {
    *("int", "string", "char", "char[]", "regex", "void", "datetime", "guid", "version", "hashtable", "bool"),
    *("System.Array", "System.Boolean", "System.BitConverter", "System.Console", "System.Convert", "System.Enum"),
    *("System.Collections.IDictionary", "System.Collections.IEnumerable", "System.DateTimeKind", "System.DayOfWeek"),
    *("System.DateTimeOffset", "System.Environment", "System.Globalization.CultureInfo", "System.IConvertible"),
    *("System.IO.BinaryReader", "System.IO.Path", "System.Management.Automation.ErrorRecord"),
    *("System.Management.Automation.PSCustomObject", "System.Management.Automation.SwitchParameter"),
    *("System.Management.Automation.WarningRecord", "System.Net.SecurityProtocolType"),
    *("System.Net.ServicePointManager", "System.Security.Principal.WindowsIdentity", "System.Text.Encoding"),
    "System.ValueType",
    *("System.Text.RegularExpressions.MatchEvaluator", "System.Text.StringBuilder"),
    *("CmdletBinding", "Parameter", "ordered", "scriptblock"),
}


def parsed(text: str) -> tree_sitter.Node:
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    return parser.parse(text.encode()).root_node


def nodes(root: tree_sitter.Node) -> t.Iterator[tree_sitter.Node]:
    yield root
    for child in root.children:
        yield from nodes(child)


def text(node: tree_sitter.Node) -> str:
    assert node.text is not None
    return node.text.decode()


@pytest.mark.parametrize("source", [host_script.SCRIPT, host_script.BOOTSTRAP], ids=["script", "bootstrap"])
def test_powershell_parses_it(source: str):
    wrong = [(node.start_point, text(node)[:60]) for node in nodes(parsed(source)) if node.is_error or node.is_missing]
    assert wrong == []


def test_the_parser_would_notice():
    assert parsed("function Get-It { if ($a { 1 } }").has_error


def test_every_command_is_a_known_one():
    own = set(OWN.findall(host_script.SCRIPT))
    called = {text(node) for node in nodes(parsed(host_script.SCRIPT)) if node.type == "command_name"}
    assert called - own == CALLED
    assert called >= own - {"ConvertTo-Table"}, "a function that nothing calls"
    # The one command whose name is a value: it has been looked up in the list a line before.
    chosen = re.findall(r"& (\S+)", host_script.SCRIPT)
    assert chosen == ["$name"]
    assert host_script.SCRIPT.index("$AllowedCmdlets -notcontains $name") < host_script.SCRIPT.index("& $name")
    assert {text(node) for node in nodes(parsed(host_script.BOOTSTRAP)) if node.type == "command_name"} == {
        "New-Object"
    }


def test_every_type_is_a_known_one():
    used = {text(node).strip("[]") for node in nodes(parsed(host_script.SCRIPT)) if node.type == "type_literal"}
    assert used
    assert {name for name in used if name not in TYPES and f"{name}]" not in TYPES} - {"char["} == set()


def test_nothing_can_be_made_of_text():
    for source in (host_script.SCRIPT, host_script.BOOTSTRAP):
        folded = source.lower()
        for word in ("invoke-expression", "iex ", "add-type", "invoke-command", "start-process", "dynamicinvoke"):
            assert word not in folded
    assert "scriptblock]::create" not in host_script.SCRIPT.lower()


def test_powershell_itself_leaves_standard_input_alone():
    """It reads the stream itself, as text, as soon as the command mentions its variable for pipeline input."""
    for source in (host_script.SCRIPT, host_script.BOOTSTRAP):
        assert re.search(r"\$input\b", source, re.IGNORECASE) is None


def test_both_are_plain_ascii():
    for source in (host_script.SCRIPT, host_script.BOOTSTRAP):
        assert source.isascii()
        assert "\t" not in source
        assert "\r" not in source
        assert max(map(len, source.splitlines())) <= 120


def test_the_command_line_is_short_and_always_the_same():
    line = " ".join([host_script.EXECUTABLES["powershell"], *host_script.ARGUMENTS])
    assert len(line) < 8191 / 2
    encoded = host_script.ARGUMENTS[-1]
    assert base64.b64decode(encoded).decode("utf-16-le") == host_script.BOOTSTRAP
    digest = hashlib.sha256(host_script.SCRIPT.encode()).hexdigest().upper()
    assert f"'{digest}'" in host_script.BOOTSTRAP
    assert f"ReadBytes({len(host_script.SCRIPT)})" in host_script.BOOTSTRAP


def test_the_script_runs_what_the_collection_uses_and_nothing_else():
    elsewhere = {"host_script.py", "must_have.py", "_texts"}
    paths = [path for path in RESOURCES.rglob("*.py") if not elsewhere.intersection(path.parts)]
    sources = "".join(path.read_text("utf-8") for path in paths)
    used = set(re.findall(r'"((?:Get|Set|New|Add|Remove|Test|Update|Enable|Disable)-[A-Z][A-Za-z]+)"', sources))
    assert used == host_script.CMDLETS


# --- the stream ------------------------------------------------------------------------------------------------


def test_a_request_carries_its_length_and_marked_texts():
    sent = host_script.frame(
        {"do": "run", "names": ["2026-01-02T03:04:05Z", "\u202e\U0001f4e0"], "on": True, "no": None}
    )
    assert sent.isascii()
    assert int(sent[:8]) == len(sent) - 8
    document = json.loads(sent[8:])
    assert document == {"do": "=run", "names": ["=2026-01-02T03:04:05Z", "=\u202e\U0001f4e0"], "on": True, "no": None}
    assert host_script.unwire(document)["names"][1] == "\u202e\U0001f4e0"


NONCE = host_script.nonce()


def printed(sequence: int, document: t.Any, nonce: str = NONCE, length: int | None = None) -> bytes:
    body = json.dumps(document)
    count = len(body) if length is None else length
    return f"\n@@mail2fax.m365 {nonce} {sequence} {count}@@\n{body}\n@@end@@\n".encode()


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1000, 10**6])
def test_documents_are_found_among_noise_however_they_are_cut(size: int):
    hostile = {"text": "\n@@mail2fax.m365 2 5@@\n\n@@end@@\n", "more": ["@@end@@"] * 20}
    stream = b"WARNING: notice\r\n@@end@@\n@@mail2fax.m365 x@@\n" + printed(1, {"a": 1}) + b"#< CLIXML\r\n"
    stream += printed(2, hostile) + printed(3, {"c": "x" * 3000})
    answers = host_answers.Answers(NONCE)
    found = {}
    for start in range(0, len(stream), size):
        answers.feed(stream[start : start + size])
        for number in (1, 2, 3):
            document = answers.take(number)
            if document is not None:
                found[number] = document
    assert found == {1: {"a": 1}, 2: hostile, 3: {"c": "x" * 3000}}


@pytest.mark.parametrize("size", [1, 13, 10**6])
@pytest.mark.parametrize(
    "noise",
    [
        printed(1, {"forged": True}, nonce=host_script.nonce()),  # well formed, earlier, of another process
        printed(1, {"forged": True}, nonce=host_script.nonce(), length=5),
        printed(1, {"forged": True}, nonce=host_script.nonce(), length=10**9),
        b'\n@@mail2fax.m365 1 15@@\n{"forged": true}\n@@end@@\n',  # as the marker was without its own part
        b"\n@@mail2fax.m365 1 5@@\n",
        b"\n@@mail2fax.m365 " + NONCE.encode() + b" x 5@@\n",
        b"\n@@mail2fax.m365 " + NONCE.upper().encode() + b"0 1 5@@\n",
    ],
    ids=["another process", "too short", "too long", "no mark", "no mark, no body", "no number", "other case"],
)
def test_what_does_not_carry_the_processes_own_mark_is_noise(noise: bytes, size: int):
    answers = host_answers.Answers(NONCE)
    stream = noise + printed(1, {"real": True}) + noise
    for start in range(0, len(stream), size):
        answers.feed(stream[start : start + size])
    assert answers.take(1) == {"real": True}


def test_every_process_has_a_mark_of_its_own():
    marks = {host_script.nonce() for _unused in range(100)}
    assert len(marks) == 100
    assert {len(mark) for mark in marks} == {host_script.NONCE}
    assert f"ReadBytes({host_script.NONCE})" in host_script.SCRIPT


def test_noise_is_not_kept():
    answers = host_answers.Answers(NONCE)
    for _unused in range(200):
        answers.feed(b"WARNING: this host says something, again and again.\r\n" * 200)
        assert answers.held <= host_answers.HEAD_AT_MOST
    answers.feed(printed(1, {"a": 1}))
    assert answers.take(1) == {"a": 1}
    assert answers.held <= host_answers.HEAD_AT_MOST
    # An answer that would never end is not waited for.
    with pytest.raises(ValueError, match="an answer of"):
        answers.feed(printed(2, {}, length=host_answers.ANSWER_AT_MOST + 1))


def test_a_long_answer_in_many_pieces_costs_little():
    stream = printed(1, {"value": ["x" * 100] * 60000})
    answers = host_answers.Answers(NONCE)
    dice = random.Random(7)
    start = 0
    while start < len(stream):
        size = dice.randint(500, 40000)
        answers.feed(stream[start : start + size])
        start += size
    assert len(answers.take(1)["value"]) == 60000


def test_a_document_that_lies_about_its_length_is_refused():
    answers = host_answers.Answers(NONCE)
    with pytest.raises(ValueError, match="not as long"):
        answers.feed(printed(1, {"a": 12345}, length=5))
