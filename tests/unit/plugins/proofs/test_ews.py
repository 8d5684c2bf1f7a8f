# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EWS request arrives as literals, and the service's refusals are told apart."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http, Response
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Patience
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import ews, proof, verdicts
from tests.unit.script import Exchange, FakeClock, Script

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
NAMES = {"s": SOAP, "t": TYPES, "m": MESSAGES}
FAX = "fax@imagicleucdev.onmicrosoft.com"


def fault(code: str, text: str, extra: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}"><s:Body><s:Fault>'
        f'<faultcode xmlns:a="{TYPES}">a:{code}</faultcode><faultstring>{text}</faultstring>'
        f"<detail>{extra}</detail></s:Fault></s:Body></s:Envelope>"
    ).encode()


def message(code: str, text: str = "") -> bytes:
    kind = "Success" if code == "NoError" else "Error"
    told = f"<m:MessageText>{text}</m:MessageText>" if text else ""
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:m="{MESSAGES}"><s:Body><m:GetFolderResponse><m:ResponseMessages>'
        f'<m:GetFolderResponseMessage ResponseClass="{kind}">{told}<m:ResponseCode>{code}</m:ResponseCode>'
        "</m:GetFolderResponseMessage></m:ResponseMessages></m:GetFolderResponse></s:Body></s:Envelope>"
    ).encode()


def probe(*steps: Response | Exception, budget: float = 60.0) -> tuple[proof.Opening, Script, FakeClock]:
    script = Script([Exchange("POST", "/EWS/Exchange.asmx", step) for step in steps])
    clock = FakeClock()
    client = ews.Ews(Http(script, Patience(clock, budget)), CLOUDS["global"])
    opening = client.open(Token("canary-token"), FAX)
    assert script.finished()
    return opening, script, clock


@pytest.mark.parametrize("address", [FAX, "o'hara&sons<x>@contoso.com", "$fax@contoso.com", "\u202efax@contoso.com"])
def test_the_request_is_the_documented_one_with_the_address_as_a_literal(address: str):
    root = ET.fromstring(ews.get_folder(address))
    assert root.tag == f"{{{SOAP}}}Envelope"
    sid = root.find("s:Header/t:ExchangeImpersonation/t:ConnectingSID/t:PrimarySmtpAddress", NAMES)
    assert sid is not None
    assert sid.text == address
    version = root.find("s:Header/t:RequestServerVersion", NAMES)
    assert version is not None
    assert version.get("Version") == "Exchange2016"
    folder = root.find("s:Body/m:GetFolder/m:FolderIds/t:DistinguishedFolderId", NAMES)
    assert folder is not None
    assert folder.get("Id") == "inbox"
    shape = root.find("s:Body/m:GetFolder/m:FolderShape/t:BaseShape", NAMES)
    assert shape is not None
    assert shape.text == "IdOnly"


def test_the_call_carries_the_token_and_the_anchor():
    opening, script, _clock = probe(Response(200, {"request-id": "rid-1"}, message("NoError")))
    assert opening == proof.Opening("opened", None, "NoError", "rid-1")
    request = script.seen[0]
    assert request.url == "https://outlook.office365.com/EWS/Exchange.asmx"
    assert request.headers["Authorization"] == "Bearer canary-token"
    assert request.headers["X-AnchorMailbox"] == FAX
    assert request.headers["client-request-id"]
    assert "canary" not in repr(request)


SCOPE = "The token contains not enough scope to make this call."


@pytest.mark.parametrize(
    ("response", "verdict", "reason"),
    [
        (
            Response(403, {"x-ews-policy-reason": "EWS is disabled for this user or tenant"}),
            "ews_blocked",
            "EWS is disabled for this user or tenant",
        ),
        (
            Response(403, {"x-ews-policy-reason": "EWS is blocked by policy for this user or tenant"}, b"<html/>"),
            "ews_blocked",
            "EWS is blocked by policy for this user or tenant",
        ),
        (Response(403), "denied_by_policy", "403 Forbidden"),
        (Response(403, {}, b"anything"), "denied_by_policy", "403 Forbidden"),
        (Response(500, {}, fault("ErrorAccessDenied", "Access is denied.")), "denied_by_policy", "Access is denied."),
        (Response(200, {}, message("ErrorAccessDenied", "Access is denied.")), "denied_by_policy", "Access is denied."),
        (
            Response(
                500,
                {},
                fault("ErrorAccessDenied", "The requested web method is unavailable to this caller or application."),
            ),
            "other",
            "ErrorAccessDenied: The requested web method is unavailable to this caller or application.",
        ),
        (Response(403, {"x-ms-diagnostics": f'2000008;reason="{SCOPE}"'}), "no_role", SCOPE),
        (Response(401, {"x-ms-diagnostics": f'2000008;reason="{SCOPE}"'}), "no_role", SCOPE),
        (Response(403, {}, SCOPE.encode()), "no_role", SCOPE),
        (
            Response(500, {}, fault("ErrorImpersonateUserDenied", "The account does not have permission.")),
            "impersonation_refused",
            "The account does not have permission.",
        ),
        (
            Response(500, {}, fault("ErrorNonExistentMailbox", "No mailbox with such guid.")),
            "no_mailbox",
            "No mailbox with such guid.",
        ),
        (Response(200, {}, message("ErrorNonExistentMailbox", "None.")), "no_mailbox", "None."),
        (Response(401), "other", "Exchange refused the token (401)"),
        (Response(200, {}, message("ErrorFolderNotFound", "Gone.")), "other", "ErrorFolderNotFound: Gone."),
        (Response(200, {}, b"<html>login</html>"), "other", "the answer (200) is not one of Exchange Web Services"),
        (Response(302), "other", "the answer (302) is not one of Exchange Web Services"),
    ],
)
def test_refusals_are_told_apart(response: Response, verdict: str, reason: str):
    opening, script, clock = probe(response)
    assert (opening.verdict, opening.reason) == (verdict, reason)
    assert opening.verdict in verdicts()
    # A refusal is an answer: asking again would not better it.
    assert len(script.seen) == 1
    assert clock.sleeps == []


def test_a_further_address_is_tried_as_such_once():
    refusal = Response(500, {}, fault("ErrorNonPrimarySmtpAddress", "The primary address must be specified."))
    opening, script, _clock = probe(refusal, Response(200, {}, message("NoError")))
    assert opening.verdict == "opened"
    kinds = [ET.fromstring(request.body or b"").find(".//t:ConnectingSID/*", NAMES) for request in script.seen]
    assert [kind.tag.rpartition("}")[2] for kind in kinds if kind is not None] == ["PrimarySmtpAddress", "SmtpAddress"]
    assert probe(refusal, refusal)[0].verdict == "other"


def test_the_header_wins_over_whatever_the_body_says():
    response = Response(403, {"x-ews-policy-reason": "EWS is disabled"}, fault("ErrorAccessDenied", "denied"))
    assert ews.judge(response).verdict == "ews_blocked"


def test_a_success_needs_status_and_code():
    assert ews.judge(Response(403, {}, message("NoError"))).verdict != "opened"
    assert ews.judge(Response(200, {}, b"")).verdict == "other"


def test_a_busy_service_is_asked_again_when_it_says():
    told = '<t:Value xmlns:t="x" Name="Why">7s</t:Value><t:Value xmlns:t="x" Name="BackOffMilliseconds">2500</t:Value>'
    busy = Response(500, {}, fault("ErrorServerBusy", "Busy.", told))
    opening, _script, clock = probe(busy, Response(200, {}, message("NoError")))
    assert opening.verdict == "opened"
    assert clock.sleeps == [2.5]


def test_busy_inside_a_success_is_asked_again_too():
    busy = Response(200, {}, message("ErrorServerBusy", "Busy."))
    assert probe(busy, Response(503), Response(200, {}, message("NoError")))[0].verdict == "opened"


def test_a_service_that_stays_busy_is_no_verdict_on_the_mailbox():
    opening, _script, _clock = probe(Response(503), budget=0.0)
    assert opening.verdict == "other"
    assert "503" in str(opening.reason)


def test_a_500_that_is_no_soap_is_a_stumble():
    assert probe(Response(500, {}, b"oops"), Response(200, {}, message("NoError")))[0].verdict == "opened"


def test_a_lost_answer_is_asked_again():
    assert probe(AnswerLost("gone"), Response(200, {}, message("NoError")))[0].verdict == "opened"


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE x [<!ENTITY a "b">]>' + message("NoError"),
        b"<!DOCTYPE x>" + message("NoError"),
        message("NoError").replace(SOAP.encode(), b"urn:another"),
        message("NoError").replace(b"Envelope", b"Letter"),
        b"\xff\xfe<",
        b"",
        b"<a/>",
    ],
)
def test_what_is_no_soap_is_not_read(body: bytes):
    assert ews.read_message(body) is None


def test_a_byte_order_mark_does_not_hide_an_answer():
    assert ews.read_message(b"\xef\xbb\xbf" + message("NoError")) == ews.Message("NoError")
