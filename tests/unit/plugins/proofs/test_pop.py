# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""POP, line by line: two steps, and only +OK is a success."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import proof
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.pop import Pop
from tests.unit.mail import FAX, Servers, Talk, Wire, pop, token, told
from tests.unit.network import Authority

FAILED = "-ERR Authentication failure: unknown user name or bad password."


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def servers(authority: Authority) -> Servers:
    return Servers(authority)


def opened(servers: Servers, talk: Talk, value: str = "canary", **options: t.Any) -> proof.Opening:
    with servers.behind(talk, **options) as http:
        return Pop(http, CLOUDS["global"]).open(token("POP.AccessAsApp", value=value), FAX)


def test_a_mailbox_is_counted_and_nothing_is_removed(servers: Servers):
    assert opened(servers, pop(), value="canary" * 700) == proof.Opening(proof.OPENED)
    assert servers.heads[0].startswith("CONNECT outlook.office365.com:995 ")
    assert [line for line in servers.heard if len(line) < 100] == ["AUTH XOAUTH2", "STAT", "QUIT"]
    assert told(servers.heard[1]).startswith(f"user={FAX}\1auth=Bearer canary")


@pytest.mark.parametrize(
    ("talk", "verdict", "words"),
    [
        (pop(FAILED), "refused", f"AUTH: {FAILED}"),
        (pop(FAILED, challenge="eyJzdGF0dXMiOiI0MDEifQ=="), "refused", "Authentication failure"),
        (pop(first=FAILED), "refused", "Authentication failure"),
        (pop("+ what looks like a success"), "other", "AUTH: -ERR Protocol error. 16"),
        (pop(first="-ERR Protocol error. 18"), "other", "Protocol error"),
        (pop(first="-ERR Unsupported authentication mechanism"), "other", "Unsupported"),
        (pop(stat="-ERR Logon failure: unknown user name or bad password."), "no_permission", "STAT: -ERR Logon"),
    ],
)
def test_a_refusal_is_told_apart(servers: Servers, talk: Talk, verdict: str, words: str):
    opening = opened(servers, talk)
    assert opening.verdict == verdict
    assert words in str(opening.reason)


@pytest.mark.parametrize(
    ("line", "slept"),
    [("-ERR Request is throttled. Suggested Backoff Time: 5000 milliseconds", 5.0), ("-ERR [SYS/TEMP] Later", 0.5)],
)
def test_a_service_that_asks_to_wait_is_waited_for(servers: Servers, line: str, slept: float):
    scripts = iter([pop(line), pop()])

    def talk(wire: Wire) -> None:
        next(scripts)(wire)

    assert opened(servers, talk).verdict == "opened"
    assert servers.clock.sleeps == [slept]


@pytest.mark.parametrize("talk", [pop(greeting="-ERR Closing"), pop(greeting="* OK imap"), lambda wire: None])
def test_a_conversation_that_breaks_is_told(servers: Servers, talk: Talk):
    with pytest.raises(AnswerLost, match=r"outlook\.office365\.com:995"):
        opened(servers, talk, patience_s=1)
