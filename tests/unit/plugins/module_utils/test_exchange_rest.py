# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchange over REST: envelopes, errors of every shape, pages, batches."""

from __future__ import annotations

import json

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._auth import ReadyTokens
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    Conflict,
    Forbidden,
    NotFound,
    ServiceError,
    Throttled,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Exchange as Client
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.rest import RestTransport
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Patience
from tests.unit.script import TENANT_ID, Exchange, FakeClock, Script, answer, jwt

CLOUD = CLOUDS["global"]


def exchange(*exchanges: Exchange, budget: float = 60.0) -> tuple[Client, Script]:
    script = Script(exchanges)
    http = Http(script, Patience(FakeClock(), budget))
    return Client(RestTransport(http, ReadyTokens({"exchange": jwt()}, CLOUD), CLOUD)), script


def problem(kind: str, text: str, code: str = "BadRequest") -> dict:
    return {
        "error": {
            "code": code,
            "message": "Error executing cmdlet",
            "details": [
                {"code": "Context", "target": "", "message": f"Ex6F9304|Microsoft.Exchange.Tasks.{kind}|{text}"}
            ],
        }
    }


def test_the_request_is_exchange_s_envelope():
    client, script = exchange(Exchange("POST", f"/adminapi/beta/{TENANT_ID}/InvokeCommand", answer(200, {"value": []})))
    client.invoke("Set-Mailbox", "change", Identity="O'Brien $x \u202e", EmailAddresses={"Add": ["a"]}, Flag=True)
    sent = json.loads(script.seen[0].body)["CmdletInput"]
    assert sent["CmdletName"] == "Set-Mailbox"
    assert sent["Parameters"]["Identity"] == "O'Brien $x \u202e"
    assert sent["Parameters"]["EmailAddresses"] == {"@odata.type": "#Exchange.GenericHashTable", "Add": ["a"]}
    assert script.seen[0].headers["X-AnchorMailbox"].endswith(f"@{TENANT_ID}")


def test_annotations_are_stripped():
    value = {
        "A@odata.type": "#x",
        "A": ["1"],
        "B@data.type": "System.Guid",
        "B": "2",
        "C": [{"D@odata.type": "x", "D": 1}],
    }
    client, _unused = exchange(Exchange("POST", "", answer(200, {"value": [value], "@adminapi.warnings": ["w"]})))
    assert client.invoke("Get-X", "read") == [{"A": ["1"], "B": "2", "C": [{"D": 1}]}]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, problem("ManagementObjectNotFoundException", "no 'x'", "NotFound"), NotFound),
        (400, problem("ADObjectAlreadyExistsException", "taken"), Conflict),
        (400, problem("MemberAlreadyExistsException", "is a member"), Conflict),
        (400, problem("RecipientTaskException", "no"), ServiceError),
        (403, b"\x00" * 20, Forbidden),
        (401, None, Forbidden),
        (
            403,
            problem(
                "UnauthorizedAccessException", "The role assigned to application x isn't supported in this scenario."
            ),
            Forbidden,
        ),
    ],
)
def test_errors_are_typed(status, body, kind):
    client, _unused = exchange(Exchange("POST", "", answer(status, body)))
    with pytest.raises(ServiceError) as caught:
        client.invoke("New-X", "make x")
    assert caught.value.__class__ is kind
    assert caught.value.attempted == "make x"


def test_a_404_without_exchange_s_word_is_never_absent():
    client, _unused = exchange(Exchange("POST", "", answer(404, b"<html/>")))
    with pytest.raises(ServiceError) as caught:
        client.invoke("Get-X", "read")
    assert not isinstance(caught.value, NotFound)


@pytest.mark.parametrize("kind", ["ServerBusyException", "TransientException"])
def test_a_hiccup_is_tried_again_whatever_its_status(kind):
    client, script = exchange(
        Exchange("POST", "", answer(400, problem(kind, "busy"))),
        Exchange("POST", "", answer(200, {"value": [{"a": 1}]})),
    )
    assert client.invoke("New-X", "make") == [{"a": 1}]
    assert script.finished()


def test_a_hiccup_that_lasts_is_throttling():
    client, _unused = exchange(Exchange("POST", "", answer(400, problem("ServerBusyException", "busy"))), budget=0)
    with pytest.raises(Throttled):
        client.invoke("Get-X", "read")


def test_a_write_whose_answer_is_lost_is_not_repeated():
    client, script = exchange(Exchange("POST", "", AnswerLost("gone")))
    with pytest.raises(AnswerLost):
        client.invoke("New-X", "make")
    assert len(script.seen) == 1


def test_a_read_whose_answer_is_lost_is_repeated():
    client, _unused = exchange(
        Exchange("POST", "", AnswerLost("gone")), Exchange("POST", "", answer(200, {"value": []}))
    )
    assert client.invoke("Get-X", "read") == []


def test_pages_get_the_same_body():
    link = "https://outlook.office365.com/adminapi/beta/t/InvokeCommand?$skiptoken=1"
    client, script = exchange(
        Exchange("POST", "", answer(200, {"value": [{"n": 1}], "@odata.nextLink": link})),
        Exchange("POST", "$skiptoken=1", answer(200, {"value": [{"n": 2}]})),
    )
    assert [item["n"] for item in client.invoke("Get-X", "read", ResultSize="Unlimited")] == [1, 2]
    assert script.seen[0].body == script.seen[1].body


def test_a_limit_stops_paging_and_sets_the_page_size():
    link = "https://outlook.office365.com/next"
    client, script = exchange(
        Exchange("POST", "", answer(200, {"value": [{"n": 1}, {"n": 2}], "@odata.nextLink": link}))
    )
    assert len(client.invoke("Get-X", "read", 2)) == 2
    assert script.seen[0].headers["Prefer"] == "odata.maxpagesize=2"


def test_a_token_never_follows_a_page_to_another_host():
    client, script = exchange(
        Exchange("POST", "", answer(200, {"value": [], "@odata.nextLink": "https://evil.example/x"}))
    )
    with pytest.raises(ServiceError, match="another host"):
        client.invoke("Get-X", "read")
    assert len(script.seen) == 1


def reads(*names: str) -> list[Cmdlet]:
    return [Cmdlet(name, {}, f"run {name}") for name in names]


def test_reads_travel_in_one_batch_and_keep_their_order():
    client, script = exchange(
        Exchange(
            "POST",
            "/$batch",
            answer(
                200,
                {
                    "responses": [
                        {
                            "id": "1",
                            "status": 404,
                            "body": problem("ManagementObjectNotFoundException", "x", "NotFound"),
                        },
                        {"id": "0", "status": 200, "body": {"value": [{"n": 0}]}},
                    ]
                },
            ),
        )
    )
    first, second = client.invoke_many(reads("Get-A", "Get-B"))
    assert first.objects() == [{"n": 0}]
    assert second.first() is None
    assert second.listed() == []
    assert json.loads(script.seen[0].body)["requests"][0]["body"]["CmdletInput"]["CmdletName"] == "Get-A"


def test_only_the_part_that_stumbled_is_asked_again():
    busy = {"id": "1", "status": 400, "body": problem("ServerBusyException", "x")}
    fine = {"id": "0", "status": 200, "body": {"value": []}}
    client, script = exchange(
        Exchange("POST", "/$batch", answer(200, {"responses": [fine, busy]})),
        Exchange(
            "POST", "/$batch", answer(200, {"responses": [{"id": "1", "status": 200, "body": {"value": [{"n": 1}]}}]})
        ),
    )
    assert client.invoke_many(reads("Get-A", "Get-B"))[1].objects() == [{"n": 1}]
    assert len(json.loads(script.seen[1].body)["requests"]) == 1


EMPTY, PAGE, BARE = answer(500, b""), answer(500, b"<html>oops</html>"), answer(200, b"<html>sign in</html>")


@pytest.mark.parametrize("nothing", [EMPTY, PAGE, BARE, answer(200, b"")])
def test_an_answer_that_is_none_is_asked_for_again(nothing):
    good = answer(200, {"value": [{"n": 1}]})
    single, script = exchange(Exchange("POST", "", nothing), Exchange("POST", "", good))
    assert single.invoke("Get-X", "read") == [{"n": 1}]
    assert script.finished()
    parts = {"responses": [{"id": "0", "status": 200, "body": {"value": []}}]}
    batch = [{**parts["responses"][0]}, {"id": "1", "status": 200, "body": {"value": []}}]
    whole, script = exchange(
        Exchange("POST", "/$batch", nothing), Exchange("POST", "/$batch", answer(200, {"responses": batch}))
    )
    assert [output.objects() for output in whole.invoke_many(reads("Get-A", "Get-B"))] == [[], []]
    assert script.finished()
    link = "https://outlook.office365.com/next"
    paged, script = exchange(
        Exchange("POST", "", answer(200, {"value": [{"n": 0}], "@odata.nextLink": link})),
        Exchange("POST", "/next", nothing),
        Exchange("POST", "/next", good),
    )
    assert paged.invoke("Get-X", "read") == [{"n": 0}, {"n": 1}]
    assert script.finished()


@pytest.mark.parametrize(
    "part",
    [
        {"id": "1", "status": 500},
        {"id": "1", "status": 500, "body": "<html>"},
        {"id": "1", "status": 502, "body": ""},
        {"id": "1", "status": 200, "body": None},
        None,
    ],
)
def test_a_part_that_is_no_answer_is_asked_for_again(part):
    fine = {"id": "0", "status": 200, "body": {"value": []}}
    first = [fine, part] if part else [fine]
    client, script = exchange(
        Exchange("POST", "/$batch", answer(200, {"responses": first})),
        Exchange(
            "POST", "/$batch", answer(200, {"responses": [{"id": "1", "status": 200, "body": {"value": [{"n": 1}]}}]})
        ),
    )
    assert client.invoke_many(reads("Get-A", "Get-B"))[1].objects() == [{"n": 1}]
    assert script.finished()
    lasting, _unused = exchange(Exchange("POST", "/$batch", answer(200, {"responses": first})), budget=0)
    with pytest.raises(ServiceError):
        lasting.invoke_many(reads("Get-A", "Get-B"))[1].objects()


def test_a_refusal_in_a_batch_is_not_asked_for_again():
    fine = {"id": "0", "status": 200, "body": {"value": []}}
    for refused in (
        {"id": "1", "status": 403, "body": ""},
        {"id": "1", "status": 500, "body": problem("RecipientTaskException", "no")},
    ):
        client, script = exchange(Exchange("POST", "/$batch", answer(200, {"responses": [fine, refused]})))
        assert client.invoke_many(reads("Get-A", "Get-B"))[1].error is not None
        assert len(script.seen) == 1


@pytest.mark.parametrize("nothing", [EMPTY, PAGE, BARE])
def test_a_write_without_a_real_answer_is_left_open(nothing):
    client, script = exchange(Exchange("POST", "", nothing))
    with pytest.raises(AnswerLost):
        client.invoke("New-X", "make")
    assert len(script.seen) == 1


def test_writes_go_one_after_another():
    client, script = exchange(
        Exchange("POST", "InvokeCommand", answer(200, {"value": []})),
        Exchange("POST", "InvokeCommand", answer(200, {"value": []})),
    )
    client.invoke_many(reads("Add-A", "Get-B"))
    assert script.finished()


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_identity_is_never_sent(value):
    with pytest.raises(ValueError, match="Identity must not be empty"):
        Cmdlet("Get-ApplicationAccessPolicy", {"Identity": value}, "read")


# --- answers nobody expects ------------------------------------------------------------------------------------


def timed(*exchanges: Exchange) -> tuple[Client, Script, FakeClock]:
    script, clock = Script(exchanges), FakeClock()
    http = Http(script, Patience(clock, 60.0))
    return Client(RestTransport(http, ReadyTokens({"exchange": jwt()}, CLOUD), CLOUD)), script, clock


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("body", [None, {}, {"value": []}, b"<html>portal</html>"])
def test_a_redirect_is_something_on_the_way(status, body):
    client, script, clock = timed(Exchange("POST", "InvokeCommand", answer(status, body, location="https://evil/")))
    with pytest.raises(ServiceError, match="on the way"):
        client.invoke("Get-X", "read")
    assert not clock.sleeps
    client, script, clock = timed(Exchange("POST", "InvokeCommand", answer(status, body, location="https://evil/")))
    with pytest.raises(AnswerLost) as caught:
        client.invoke("Set-X", "change")
    assert caught.value.lasting
    assert script.finished()


@pytest.mark.parametrize("status", [201, 202])
def test_a_write_is_done_only_with_the_status_that_exchange_has(status):
    client, _script, _clock = timed(Exchange("POST", "InvokeCommand", answer(status, {"value": []})))
    with pytest.raises(AnswerLost):
        client.invoke("Set-X", "change")


@pytest.mark.parametrize("document", [{"value": {"a": 1}}, {"value": "x"}, {"value": [1]}, {"@adminapi.warnings": "x"}])
def test_a_result_that_is_none_is_told(document):
    client, _script, _clock = timed(Exchange("POST", "InvokeCommand", answer(200, document)))
    with pytest.raises(ServiceError, match="is not one"):
        client.invoke("Get-X", "read")


def test_no_page_is_fetched_twice():
    page = answer(200, {"value": [{}], "@odata.nextLink": "https://outlook.office365.com/adminapi/next"})
    client, script, _clock = timed(Exchange("POST", "InvokeCommand", page), Exchange("POST", "/next", page))
    with pytest.raises(ServiceError, match="no end"):
        client.invoke("Get-X", "read")
    assert script.finished()


def test_a_part_of_a_batch_may_ask_to_wait():
    busy = {"id": "0", "status": 429, "headers": {"Retry-After": "11"}, "body": None}
    good = [{"id": str(n), "status": 200, "body": {"value": []}} for n in range(2)]
    client, _script, clock = timed(
        Exchange("POST", "$batch", answer(200, {"responses": [busy, good[1]]})),
        Exchange("POST", "$batch", answer(200, {"responses": [good[0]]})),
    )
    client.invoke_many([Cmdlet("Get-X", {}, "read x"), Cmdlet("Get-Y", {}, "read y")])
    assert sum(clock.sleeps) == 11.0


@pytest.mark.parametrize("body", [{}, {"Message": "sign in"}, {"error": "text"}, {"value": None}])
def test_a_reading_answer_without_a_list_does_not_mean_that_there_are_none(body):
    client, _script = exchange(Exchange("POST", "", answer(200, body)))
    with pytest.raises(ServiceError, match=r"not one.*on the way"):
        client.invoke("Get-ApplicationAccessPolicy", "read the access policies")
    client, _script = exchange(Exchange("POST", "", answer(200, {})))
    assert client.invoke("Set-DistributionGroup", "change", Identity="x") == []
