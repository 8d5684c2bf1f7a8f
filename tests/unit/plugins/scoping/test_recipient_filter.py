# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of management scopes: the same thought in other brackets, order and case is the same filter."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.recipient_filter import moved, of_group, parse

TAIL = "OU=t1.onmicrosoft.com,OU=Microsoft Exchange Hosted Organizations,DC=EURPR99A001,DC=PROD,DC=OUTLOOK,DC=COM"
A, B = f"CN=Fax (Zürich) O'Brien,{TAIL}", f"CN=Sales,{TAIL}"
ELSEWHERE = "OU=t1.onmicrosoft.com,OU=Microsoft Exchange Hosted Organizations,DC=NAMPR01A002,DC=PROD,DC=OUTLOOK,DC=COM"


def ways(dn: str) -> list[str]:
    clause = of_group(dn)
    return [
        *(clause, f"({clause})", f"(({clause}))", clause.lower(), clause.upper(), clause.replace(",OU=", ", OU=")),
        f"  {clause} ",
        clause.replace("''", "'").replace("'CN", '"CN').replace("COM'", 'COM"'),
        f"({clause}) -or ({clause})",
    ]


@pytest.mark.parametrize("text", ways(A))
def test_one_group_in_every_spelling(text: str):
    found = parse(text)
    assert found.holds(A)
    assert found.names(A)
    assert not found.holds(B)
    assert not found.names(B)


def test_letters_that_are_only_like_one_another_name_two_groups():
    one, two = (f"CN=Fax {street},{TAIL}" for street in ("Straße", "Strasse"))
    assert not parse(of_group(one)).holds(two)
    assert len(parse(f"{of_group(one)} -or {of_group(two)}").groups or ()) == 2


def test_several_groups_in_any_order_and_brackets():
    one, two = of_group(A), of_group(B)
    texts = [f"{one} -or {two}", f"(({two}) -OR ({one}))", f"({one} -or ({two}))"]
    for first, second in itertools.combinations(map(parse, texts), 2):
        assert first.groups == second.groups
        assert len(first.groups or ()) == 2
    assert not parse(texts[0]).holds(A)
    assert parse(texts[0]).names(A)


@pytest.mark.parametrize(
    "text",
    [
        "PrimarySmtpAddress -eq 'fax@x.example'",
        f"{of_group(A)} -or PrimarySmtpAddress -eq 'ceo@x.example'",
        f"{of_group(A)} -and CustomAttribute1 -eq 'fax'",
        f"-not ({of_group(A)})",
        f"MemberOfGroup -ne '{TAIL}'",
        f"({of_group(A)}",
        f"{of_group(A)})",
        f"{of_group(A)} -or",
        f"{of_group(A)} {of_group(B)}",
        f"MemberOfGroup -eq 'CN=O'Brien,{TAIL}'",
        "MemberOfGroup -eq",
        "",
        "   ",
    ],
)
def test_what_is_more_or_less_than_groups_is_not_understood(text: str):
    assert parse(text).groups is None
    assert not parse(text).holds(A)


def test_an_empty_filter_is_everybody():
    assert parse(" ").is_empty
    assert not parse(of_group(A)).is_empty
    with pytest.raises(ValueError, match="nobody, or everybody"):
        of_group(" ")


def test_a_group_is_found_among_conditions_that_are_not_understood():
    assert parse(f"{of_group(A)} -and CustomAttribute1 -eq 'fax'").names(A)
    assert parse(f'MemberOfGroup -eq "{A}" -and CustomAttribute1 -eq "fax"').names(A)
    assert not parse("CustomAttribute1 -eq 'fax'").names("")


def test_a_move_to_other_servers_changes_the_tail_alone():
    assert moved(A, A.replace(TAIL, ELSEWHERE))
    assert not moved(A, A)
    assert not moved(A, B.replace(TAIL, ELSEWHERE))
    assert not moved("CN=x", "CN=y")
    assert not moved("", A)
