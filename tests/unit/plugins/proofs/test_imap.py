# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IMAP, line by line: what Exchange answers, and what is made of it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _redact
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost, NoLongerWanted
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Patience
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import proof
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.imap import Imap
from tests.unit.mail import FAX, Servers, Talk, Wire, imap, token, told
from tests.unit.network import Authority

NOT_CONNECTED = "BAD User is authenticated but not connected."
THROTTLED = "BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def servers(authority: Authority) -> Servers:
    return Servers(authority)


def opened(servers: Servers, talk: Talk, **options: t.Any) -> proof.Opening:
    with servers.behind(talk, **options) as http:
        return Imap(http, CLOUDS["global"]).open(token("IMAP.AccessAsApp"), FAX)


def test_an_inbox_is_opened_for_reading_and_left(servers: Servers):
    assert opened(servers, imap()) == proof.Opening(proof.OPENED)
    assert servers.heads[0].startswith("CONNECT outlook.office365.com:993 HTTP/1.1\r\n")
    commands = [line.partition(" ")[2] for line in servers.heard]
    assert [line for line in commands if line] == [
        "CAPABILITY",
        "AUTHENTICATE XOAUTH2",
        "EXAMINE INBOX",
        "LOGOUT",
    ]
    assert told(servers.heard[2]) == f"user={FAX}\1auth=Bearer canary.token.of-an-application\1\1"


@pytest.mark.parametrize(
    ("talk", "verdict", "words"),
    [
        (imap("NO AUTHENTICATE failed."), "refused", "AUTHENTICATE: NO AUTHENTICATE failed."),
        (imap("NO AUTHENTICATE failed.", at_once=True), "refused", "AUTHENTICATE failed."),
        (imap("NO AUTHENTICATE failed.", challenge="eyJzdGF0dXMiOiI0MDEifQ=="), "refused", "AUTHENTICATE failed."),
        (imap(examine=NOT_CONNECTED), "no_permission", "EXAMINE: BAD User is authenticated but not connected."),
        (imap(examine=f"{NOT_CONNECTED[4:]}".join(["NO ", ""])), "no_permission", "EXAMINE: NO User"),
        (imap("NO User is authenticated but not connected."), "no_permission", "AUTHENTICATE: NO User"),
        (imap(examine=f'{NOT_CONNECTED} [Error="AuthFailed:LogonDenied" User=x]'), "no_permission", "LogonDenied"),
        (imap("BAD Command Argument Error. 11"), "other", "Command Argument Error"),
        (imap(examine="NO Something nobody knows"), "other", "EXAMINE: NO Something nobody knows"),
    ],
)
def test_a_refusal_is_told_apart(servers: Servers, talk: Talk, verdict: str, words: str):
    opening = opened(servers, talk)
    assert opening.verdict == verdict
    assert words in str(opening.reason)


def test_a_mailbox_that_is_not_connected_is_asked_once_more_on_a_new_connection(servers: Servers):
    answers = iter([NOT_CONNECTED, "OK [READ-ONLY] EXAMINE completed."])

    def talk(wire: Wire) -> None:
        imap(examine=next(answers))(wire)

    assert opened(servers, talk).verdict == "opened"
    assert servers.connections == 2


def test_a_mailbox_that_stays_unconnected_is_asked_twice(servers: Servers):
    assert opened(servers, imap(examine=NOT_CONNECTED)).verdict == "no_permission"
    assert servers.connections == 2


@pytest.mark.parametrize("at", ["authenticate", "examine"])
def test_a_service_that_asks_to_wait_is_waited_for_as_long_as_it_says(servers: Servers, at: str):
    scripts = iter([imap(**{at: THROTTLED}), imap()])

    def talk(wire: Wire) -> None:
        next(scripts)(wire)

    assert opened(servers, talk, patience_s=100).verdict == "opened"
    assert sum(servers.clock.sleeps) == pytest.approx(92.415)


def test_a_wait_beyond_the_patience_is_told_with_its_length(servers: Servers):
    opening = opened(servers, imap(examine=THROTTLED), patience_s=60)
    assert opening.verdict == "throttled"
    assert "it asks to wait 92 seconds" in str(opening.reason)
    assert servers.clock.sleeps == []


@pytest.mark.parametrize(
    "talk",
    [
        imap(authenticate=None),
        imap(examine=None),
        imap(greeting="* BYE Connection is closed. 13"),
        imap(greeting="HTTP/1.1 400 Bad Request"),
        imap(greeting="\0\xff nonsense"),
        imap(challenge="=not/base64"),
        lambda wire: None,
    ],
)
def test_a_conversation_that_breaks_is_tried_again_and_told(servers: Servers, talk: Talk):
    with pytest.raises(AnswerLost) as caught:
        opened(servers, talk, patience_s=2)
    assert servers.connections > 1
    text = str(caught.value)
    assert "outlook.office365.com:993" in text
    assert f"open the mailbox {FAX} by IMAP" in text
    assert "canary" not in text


def test_a_service_that_says_nothing_is_told(servers: Servers):
    def talk(wire: Wire) -> None:
        wire.hear()

    with pytest.raises(AnswerLost, match="did not answer in time"):
        opened(servers, talk, patience_s=0, timeout_s=0.3)


def test_a_run_that_has_ended_is_not_tried_for_again(servers: Servers):
    with servers.behind(imap(examine=None)) as http:
        http.patience = Patience(servers.clock, 60, still_wanted=lambda: False)
        with pytest.raises(NoLongerWanted):
            Imap(http, CLOUDS["global"]).open(token(), FAX)
    assert servers.connections == 1


@pytest.mark.parametrize("size", [1500, 4096])
def test_a_long_token_arrives_whole_and_is_in_no_message(servers: Servers, size: int):
    echoed: list[str] = []

    def talk(wire: Wire) -> None:
        wire.say("* OK ready")
        while True:
            tag, _space, rest = wire.hear().partition(" ")
            if rest.startswith("CAPABILITY"):
                wire.say("* CAPABILITY IMAP4rev1", f"{tag} OK done")
            else:
                wire.say("+ ")
                echoed.append(wire.hear())
                wire.say(f"{tag} NO AUTHENTICATE failed. {echoed[0][:200]} {told(echoed[0])[20:90]}")
                return

    with _redact.collecting() as secrets, servers.behind(talk) as http:
        long = token("IMAP.AccessAsApp", value="canary" + "x" * (size - 6))
        opening = Imap(http, CLOUDS["global"]).open(long, FAX)
        shown = _redact.Redactor(secrets).clean({"reason": opening.reason})["reason"]
    assert told(echoed[0]).endswith("\1\1")
    assert len(told(echoed[0])) > size
    assert "canary" not in shown
    assert echoed[0][:40] not in shown
    assert len(str(opening.reason)) <= 330


LETTER = proof.Letter(FAX, "0123456789abcdef")


def test_a_letter_is_found_by_its_id_and_removed_alone(servers: Servers):
    more = {
        "SEARCH": ("* SEARCH 7", "TAG OK SEARCH completed."),
        "STORE": ("TAG OK STORE completed.",),
        "EXPUNGE": ("* 1 EXPUNGE", "TAG OK EXPUNGE completed."),
    }
    with servers.behind(imap(examine="OK [READ-WRITE] SELECT completed.", more=more)) as http:
        assert Imap(http, CLOUDS["global"]).take(token(), LETTER) == proof.Found(True, gone=True)
    said = [line.partition(" ")[2] for line in servers.heard]
    assert 'UID SEARCH OR HEADER Message-ID "<0123456789abcdef@contoso.com>" SUBJECT "0123456789abcdef"' in said
    assert r"UID STORE 7 +FLAGS.SILENT (\Deleted)" in said
    assert "UID EXPUNGE 7" in said


def test_a_letter_that_is_not_there_yet_and_a_mailbox_that_does_not_open(servers: Servers):
    with servers.behind(imap(examine="OK done", more={"SEARCH": ("* SEARCH", "TAG OK done")})) as http:
        assert Imap(http, CLOUDS["global"]).take(token(), LETTER) == proof.Found(False)
    with servers.behind(imap(examine=NOT_CONNECTED)) as http:
        found = Imap(http, CLOUDS["global"]).take(token(), LETTER)
    with servers.behind(imap()) as http:  # opened for reading alone
        assert "not writable" in str(Imap(http, CLOUDS["global"]).take(token(), LETTER).reason)
    assert not found.there
    assert "not connected" in str(found.reason)
