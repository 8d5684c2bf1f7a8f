# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft Graph: what is asked for each permission, and what each answer means."""

from __future__ import annotations

import json
import typing as t
import urllib.parse

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._accesses import Access
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http, Request, Response
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Patience
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import PROOFS, make, proof, verdicts
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.graph import GraphMail, judge
from tests.unit.mail import FAX, token
from tests.unit.script import FakeClock, answer, graph_error

Answers = t.Callable[[Request], Response | Exception]
LIST = answer(200, {"value": []})
LETTER = proof.Letter(FAX, "0123456789abcdef")


class Service:
    def __init__(self, says: Answers) -> None:
        self.says, self.seen = says, t.cast("list[Request]", [])
        self.clock = FakeClock()

    def send(self, request: Request, timeout_s: float) -> Response:
        self.seen.append(request)
        said = self.says(request)
        if isinstance(said, Exception):
            raise said
        return said

    def asked(self, *permissions: str, cloud: str = "global") -> GraphMail:
        http = Http(self, Patience(self.clock, 30.0), cloud=CLOUDS[cloud])
        access = Access("graph", "graph", "application_role", permissions)
        return t.cast("GraphMail", make(PROOFS["graph"], http, CLOUDS[cloud], access))

    @property
    def paths(self) -> list[str]:
        return [f"{one.method} {urllib.parse.unquote(one.url.partition('/v1.0')[2])}" for one in self.seen]


@pytest.mark.parametrize(
    ("permissions", "paths"),
    [
        (["Mail.ReadWrite", "Mail.Send"], [f"GET /users/{FAX}/messages?$top=1&$select=id"]),
        (["Mail.ReadBasic.All"], [f"GET /users/{FAX}/messages?$top=1&$select=id"]),
        (
            ["Calendars.Read"],
            [
                f"GET /users/{FAX}/calendarView?startDateTime=2026-11-21T12:00:00Z&endDateTime=2026-11-22T12:00:00Z"
                "&$top=1&$select=id"
            ],
        ),
        (
            ["Mail.Read", "Calendars.ReadWrite", "Contacts.Read"],
            ["messages", "calendarView", "contacts"],
        ),
    ],
)
def test_every_permission_is_proved_by_the_smallest_request_of_its_own(permissions: list[str], paths: list[str]):
    service = Service(lambda request: LIST)
    assert service.asked(*permissions).open(token(), FAX).verdict == "opened"
    assert len(service.paths) == len(paths)
    for said, wanted in zip(service.paths, paths, strict=True):
        assert wanted in said
    assert {one.headers["Authorization"] for one in service.seen} == {"Bearer canary.token.of-an-application"}


def test_what_is_refused_for_one_permission_is_refused():
    service = Service(lambda request: LIST if "messages" in request.url else graph_error(403, "ErrorAccessDenied"))
    assert service.asked("Mail.Read", "Calendars.Read").open(token(), FAX).verdict == "refused"


def test_sending_alone_is_not_tried_without_a_message():
    service = Service(lambda request: LIST)
    assert service.asked("Mail.Send").open(token(), FAX).verdict == "signed_in"
    assert service.seen == []


def test_each_cloud_has_its_own_host():
    service = Service(lambda request: LIST)
    service.asked("Mail.Read", cloud="gcc_high").open(token(), "o'neil+fax@contoso.com")
    assert service.seen[0].url.startswith("https://graph.microsoft.us/v1.0/users/o%27neil%2Bfax@contoso.com/messages")


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        (graph_error(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."), "refused"),
        (graph_error(403, "ExtensionError", "access denied"), "refused"),
        (
            graph_error(
                403,
                "ErrorAccessDenied",
                "Access to OData is disabled: [RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings.",
            ),
            "denied_by_policy",
        ),
        (graph_error(403, "ErrorAccessDenied", "Access to OData is disabled."), "denied_by_policy"),
        (graph_error(403, "ErrorSendAsDenied"), "no_permission"),
        (graph_error(403, "Authorization_RequestDenied", "Insufficient privileges"), "other"),
        (graph_error(404, "ErrorInvalidUser", "The requested user 'x' is invalid."), "no_mailbox"),
        (graph_error(404, "MailboxNotEnabledForRESTAPI", "The mailbox is either inactive"), "no_mailbox"),
        (graph_error(401, "MailboxNotEnabledForRESTAPI", "REST API is not yet supported"), "no_mailbox"),
        (graph_error(404, "Request_ResourceNotFound", "Resource 'x' does not exist"), "no_mailbox"),
        (graph_error(404, "ErrorItemNotFound", "The specified object was not found in the store."), "other"),
        (answer(403, b"<html>a proxy's page"), "other"),
        (answer(404, b"<html>a proxy's page"), "other"),
        (answer(200, b"<html>a portal"), "other"),
        (answer(200, {"portal": True}), "other"),
    ],
)
def test_each_answer_has_its_verdict(response: Response, verdict: str):
    opening = judge(response)
    assert opening.verdict == verdict
    assert opening.verdict in verdicts()
    assert opening.reason


def test_a_token_that_is_not_taken_is_marked_as_that():
    opening = judge(graph_error(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid."))
    assert (opening.verdict, opening.code) == ("other", proof.UNAUTHORIZED)


def test_a_busy_service_is_waited_for_as_it_says():
    answers = iter([graph_error(429, "ApplicationThrottled", retry_after="7"), LIST])
    service = Service(lambda request: next(answers))
    assert service.asked("Mail.Read").open(token(), FAX).verdict == "opened"
    assert service.clock.sleeps == [7.0]
    busy = Service(lambda request: graph_error(429, "ErrorMailboxConcurrency", retry_after="90"))
    opening = busy.asked("Mail.Read").open(token(), FAX)
    assert opening.verdict == "throttled"
    assert "90 seconds" in str(opening.reason)


# --- a real message ----------------------------------------------------------------------------------------------


def test_a_message_goes_from_the_mailbox_to_itself_and_leaves_no_copy():
    service = Service(lambda request: answer(202))
    assert service.asked("Mail.Send").send(token(), LETTER).verdict == "opened"
    assert service.paths == [f"POST /users/{FAX}/sendMail"]
    sent = json.loads(service.seen[0].body or b"")
    assert sent["saveToSentItems"] is False
    assert sent["message"]["toRecipients"] == [{"emailAddress": {"address": FAX}}]
    assert LETTER.mark in sent["message"]["subject"]


def test_a_message_that_is_refused_or_whose_answer_is_lost():
    denied = Service(lambda request: graph_error(403, "ErrorAccessDenied"))
    assert denied.asked("Mail.Send").send(token(), LETTER).verdict == "refused"
    lost = Service(lambda request: AnswerLost("no answer"))
    opening = lost.asked("Mail.Send").send(token(), LETTER)
    assert (opening.verdict, opening.code, len(lost.seen)) == ("other", proof.UNSURE, 1)


def test_a_message_is_found_and_removed():
    def says(request: Request) -> Response:
        if request.url.endswith("/permanentDelete"):
            return answer(204)
        return answer(200, {"value": [{"id": "AAMk/=+"}] if "subject" in request.url else []})

    service = Service(says)
    assert service.asked("Mail.ReadWrite").take(token(), LETTER) == proof.Found(True, gone=True)
    assert (
        service.paths[0] == f"GET /users/{FAX}/messages?$filter=internetMessageId eq '{LETTER.message_id}'&$select=id"
    )
    assert service.seen[-1].url.endswith("/messages/AAMk%2F%3D%2B/permanentDelete")


def test_a_cloud_that_does_not_remove_for_good_moves_it_to_the_deleted_items():
    def says(request: Request) -> Response:
        if request.method == "DELETE":
            return answer(204)
        return graph_error(400, "BadRequest") if request.method == "POST" else answer(200, {"value": [{"id": "a"}]})

    service = Service(says)
    assert service.asked("Mail.ReadWrite").take(token(), LETTER) == proof.Found(True, gone=True)
    assert [one.method for one in service.seen] == ["GET", "POST", "DELETE"]


def test_a_message_that_may_not_be_removed_is_left_and_told():
    def says(request: Request) -> Response:
        return (
            graph_error(403, "ErrorAccessDenied", "no")
            if request.method == "POST"
            else answer(200, {"value": [{"id": "a"}]})
        )

    found = Service(says).asked("Mail.Read").take(token(), LETTER)
    assert (found.there, found.gone, found.reason) == (True, False, "403 ErrorAccessDenied: no")
    assert Service(lambda request: LIST).asked("Mail.Read").take(token(), LETTER) == proof.Found(False)
    refused = Service(lambda request: graph_error(403, "ErrorAccessDenied", "no")).asked("Mail.Read")
    assert refused.take(token(), LETTER).reason == "403 ErrorAccessDenied: no"
