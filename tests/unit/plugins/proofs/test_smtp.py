# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SMTP submission, reply by reply: only 235 is a sign-in, and what a sign-in means depends on the token."""

from __future__ import annotations

import email
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost, Unreachable
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import proof
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.smtp import Smtp, compose
from tests.unit.mail import FAX, SMTP_HOST, Servers, Talk, Wire, smtp, token, told
from tests.unit.network import Authority

BARE = token()
CLAIMED = token("SMTP.SendAsApp")
REFUSED = "535 5.7.3 Authentication unsuccessful [AM0PR99CA0001.eurprd99.prod.outlook.com 2026-11-28 08D]"
OFF = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the {}. Visit https://aka.ms/smtp_auth_disabled"
LETTER = proof.Letter(FAX, "0123456789abcdef")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def servers(authority: Authority) -> Servers:
    return Servers(authority)


def opened(
    servers: Servers, *, held: t.Any = BARE, letter: proof.Letter | None = None, options: t.Any = None, **replies: t.Any
) -> proof.Opening:
    return met(servers, smtp(servers.contexts[SMTP_HOST], **replies), held, letter, **(options or {}))


def met(
    servers: Servers, talk: Talk, held: t.Any, letter: proof.Letter | None = None, **options: t.Any
) -> proof.Opening:
    with servers.behind(talk, **options) as http:
        service = Smtp(http, CLOUDS["global"])
        return service.open(held, FAX) if letter is None else service.send(held, letter)


def test_a_dry_run_goes_as_far_as_the_recipient_and_takes_it_back(servers: Servers):
    assert opened(servers).verdict == "opened"
    assert servers.heads[0].startswith("CONNECT smtp.office365.com:587 ")
    assert [line.split(" ")[0].upper() for line in servers.heard] == [
        *("EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "RSET", "QUIT"),
    ]
    verb, mechanism, encoded = servers.heard[3].split(" ")
    assert (verb, mechanism) == ("AUTH", "XOAUTH2")
    assert told(encoded) == f"user={FAX}\1auth=Bearer canary.token.of-an-application\1\1"


def test_with_the_permission_in_the_token_a_sign_in_proves_nothing(servers: Servers):
    assert opened(servers, held=CLAIMED).verdict == "signed_in"
    assert not any(line.lower().startswith("data") for line in servers.heard)


@pytest.mark.parametrize(
    ("replies", "verdict", "words"),
    [
        ({"auth": REFUSED}, "refused", "AUTH: 535 5.7.3"),
        ({"auth": REFUSED, "challenge": "eyJzdGF0dXMiOiI0MDEifQ=="}, "refused", "AUTH: 535"),
        ({"auth": OFF.format("Mailbox")}, "protocol_off_mailbox", "disabled for the Mailbox"),
        ({"auth": OFF.format("Tenant")}, "protocol_off_tenant", "disabled for the Tenant"),
        (
            {"auth": "535 5.7.139 Authentication unsuccessful, organization's security defaults policy."},
            "protocol_off_tenant",
            "security defaults policy",
        ),
        ({"auth": "535 5.7.139 Authentication unsuccessful, basic authentication is disabled."}, "refused", "basic"),
        ({"auth": "504 5.7.4 Unrecognized authentication type"}, "other", "AUTH: 504"),
        ({"auth": "503 5.5.1 Bad sequence of commands"}, "other", "AUTH: 503"),
        ({"mail": "530 5.7.57 Client not authenticated to send mail."}, "other", "MAIL FROM: 530"),
        (
            {"mail": "550 5.7.60 SMTP; Client does not have permissions to send as this sender"},
            "no_permission",
            "5.7.60",
        ),
        ({"rcpt": "550 5.7.233 your tenant exceeded its daily limit"}, "other", "limit of external recipients"),
        ({"rcpt": "550 5.7.708 Service unavailable. Access denied"}, "other", "takes no mail from this tenant"),
        ({"offer": "AUTH LOGIN"}, "other", "does not offer XOAUTH2, so no token was sent"),
        ({"starttls": ""}, "other", "does not offer STARTTLS, so no token was sent"),
        ({"greeting": "554 5.7.1 go away"}, "other", "the greeting: 554"),
    ],
)
def test_a_refusal_is_told_apart(servers: Servers, replies: t.Any, verdict: str, words: str):
    opening = opened(servers, **replies)
    assert opening.verdict == verdict
    assert words in str(opening.reason)


def test_server_time_and_id_of_a_reply_are_for_support_and_not_in_the_reason(servers: Servers):
    opening = opened(servers, auth=REFUSED)
    assert opening.reason == "AUTH: 535 5.7.3 Authentication unsuccessful"
    assert opening.request_id == "AM0PR99CA0001.eurprd99.prod.outlook.com 2026-11-28 08D"


def test_a_token_is_only_sent_where_it_is_encrypted(servers: Servers):
    opened(servers, starttls="", offer="AUTH LOGIN XOAUTH2")
    assert not any("AUTH" in line for line in servers.heard)
    with pytest.raises(Unreachable, match="is not accepted"):
        met(servers, smtp(servers.contexts["outlook.office365.com"]), BARE)
    assert not any(line.startswith("AUTH") for line in servers.heard)


@pytest.mark.parametrize(
    "reply",
    [
        {"auth": "432 4.3.2 Concurrent connections limit exceeded."},
        {"greeting": "421 4.3.2 Service not available"},
        {"mail": "451 4.7.500 Server busy."},
        {"starttls": "454 4.7.0 TLS not available"},
    ],
)
def test_a_service_that_is_busy_is_waited_for(servers: Servers, reply: t.Any):
    context = servers.contexts[SMTP_HOST]
    scripts = iter([smtp(context, **reply), smtp(context)])

    def talk(wire: Wire) -> None:
        next(scripts)(wire)

    assert met(servers, talk, BARE).verdict == "opened"
    assert servers.clock.sleeps == [0.5]


def test_a_service_that_stays_busy_is_told(servers: Servers):
    opening = opened(servers, auth="432 4.3.2 Concurrent connections limit exceeded.", options={"patience_s": 2})
    assert opening.verdict == "throttled"


def test_a_two_step_service_gets_the_token_all_the_same(servers: Servers):
    def talk(wire: Wire) -> None:
        wire.say("220 ready")
        wire.hear()
        wire.say("250-x", "250 STARTTLS")
        wire.hear()
        wire.say("220 go")
        wire.encrypt(servers.contexts[SMTP_HOST])
        wire.hear()
        wire.say("250-x", "250 AUTH XOAUTH2")
        wire.hear()
        wire.say("334 ")
        assert told(wire.hear()).startswith("user=")
        wire.say("235 2.7.0 ok")
        for _command in range(3):
            wire.hear()
            wire.say("250 ok")

    assert met(servers, talk, BARE).verdict == "opened"


@pytest.mark.parametrize("talk", [lambda wire: None, lambda wire: wire.say("nonsense")])
def test_a_conversation_that_breaks_is_told(servers: Servers, talk: Talk):
    with pytest.raises(AnswerLost, match=r"smtp\.office365\.com:587|not one of SMTP"):
        met(servers, talk, BARE, patience_s=0)


# --- a real message ----------------------------------------------------------------------------------------------


def test_a_message_is_handed_over_with_its_own_id(servers: Servers):
    assert opened(servers, held=CLAIMED, letter=LETTER).verdict == "opened"
    said = "\n".join(servers.heard)
    assert "Message-ID: <0123456789abcdef@contoso.com>" in said
    assert not any(line.lower() == "rset" for line in servers.heard)


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("430 4.2.0 STOREDRV; mailbox logon failure; storage exception. MapiExceptionLogonFailed", "no_permission"),
        ("554 5.2.252 SendAsDenied; a@x not allowed to send as b@x; STOREDRV.Submission.Exception", "no_permission"),
        ("554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied", "no_permission"),
        ("554 5.2.270 MessageTooLarge", "other"),
    ],
)
def test_what_is_refused_after_the_message(servers: Servers, body: str, verdict: str):
    opening = opened(servers, held=CLAIMED, letter=LETTER, body=body)
    assert opening.verdict == verdict
    assert servers.clock.sleeps == [], "430 4.2.0 looks like later and never heals"


def test_a_message_whose_answer_is_lost_is_not_sent_twice(servers: Servers):
    opening = opened(servers, held=CLAIMED, letter=LETTER, body=None)
    assert (opening.verdict, opening.code) == ("other", proof.UNSURE)
    assert servers.connections == 1


def test_the_message_says_what_it_is():
    message = email.message_from_bytes(compose(LETTER))
    assert message["Message-ID"] == LETTER.message_id
    assert message["From"] == message["To"] == FAX
    assert message["Auto-Submitted"] == "auto-generated"
    assert LETTER.mark in message["Subject"]


def test_an_address_with_other_letters_is_sent_as_it_is(servers: Servers):
    letter = proof.Letter("fäx@contoso.com", "0123")
    with servers.behind(smtp(servers.contexts[SMTP_HOST], offer="AUTH XOAUTH2\r\n250 SMTPUTF8")) as http:
        Smtp(http, CLOUDS["global"]).send(BARE, letter)
    assert "From: fäx@contoso.com".encode() in compose(letter)
