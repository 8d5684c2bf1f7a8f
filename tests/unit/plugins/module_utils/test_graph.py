# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Graph: typed errors, pages, batches."""

from __future__ import annotations

import json

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils import _graph
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
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Graph
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Patience
from tests.unit.script import Exchange, FakeClock, Script, answer, graph_error, jwt

CLOUD = CLOUDS["global"]


def graph(*exchanges: Exchange, budget: float = 60.0) -> tuple[Graph, Script, FakeClock]:
    script, clock = Script(exchanges), FakeClock()
    http = Http(script, Patience(clock, budget))
    return Graph(http, ReadyTokens({"graph": jwt()}, CLOUD), CLOUD), script, clock


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (graph_error(404, "Request_ResourceNotFound", "Resource 'x' does not exist"), NotFound),
        (graph_error(403, "Authorization_RequestDenied", "Insufficient privileges"), Forbidden),
        (graph_error(409, "Conflict", "x"), Conflict),
        (graph_error(400, "Request_BadRequest", "x"), ServiceError),
        (graph_error(401, "InvalidAuthenticationToken", "x"), ServiceError),
    ],
)
def test_errors_are_typed(response, kind):
    client, _unused, _unused = graph(Exchange("GET", "/v1.0/thing", response))
    with pytest.raises(ServiceError) as caught:
        client.get("/thing", "read the thing")
    assert caught.value.__class__ is kind
    assert "Could not read the thing" in str(caught.value)
    assert "rid-1" in str(caught.value)


@pytest.mark.parametrize("body", [b"<html>not here</html>", None, {"error": {"code": "NotFound", "message": "x"}}])
def test_a_foreign_404_is_never_absent(body):
    client, _unused, _unused = graph(Exchange("GET", "/thing", answer(404, body)))
    with pytest.raises(ServiceError) as caught:
        client.get("/thing", "read the thing")
    assert not isinstance(caught.value, NotFound)


def test_an_answer_that_is_not_json_is_no_document():
    client, _unused, _unused = graph(Exchange("GET", "/thing", answer(200, b"<html>proxy</html>")))
    with pytest.raises(ServiceError, match="not Graph's"):
        client.get("/thing", "read the thing")


def test_pages_are_followed():
    client, script, _unused = graph(
        Exchange(
            "GET",
            "/v1.0/apps",
            answer(
                200, {"value": [{"id": 1}], "@odata.nextLink": "https://graph.microsoft.com/v1.0/apps?$skiptoken=a"}
            ),
        ),
        Exchange("GET", "$skiptoken=a", answer(200, {"value": [{"id": 2}]})),
    )
    assert [item["id"] for item in client.items("/apps", "list")] == [1, 2]
    assert script.finished()


def test_a_token_never_follows_a_page_to_another_host():
    client, script, _unused = graph(
        Exchange("GET", "/apps", answer(200, {"value": [], "@odata.nextLink": "https://evil.example/v1.0/apps"})),
    )
    with pytest.raises(ServiceError, match="another host"):
        client.items("/apps", "list")
    assert len(script.seen) == 1


def test_a_limit_stops_paging():
    client, _unused, _unused = graph(
        Exchange(
            "GET",
            "/apps",
            answer(200, {"value": [{"id": 1}, {"id": 2}], "@odata.nextLink": "https://graph.microsoft.com/n"}),
        ),
    )
    assert len(client.items("/apps", "list", limit=1)) == 1


def test_upsert_tells_created_from_updated():
    created, _unused, _unused = graph(Exchange("PATCH", "/applications(uniqueName='a')", answer(201, {"id": "1"})))
    assert created.upsert("/applications(uniqueName='a')", {}, "make") == {"id": "1"}
    updated, script, _unused = graph(Exchange("PATCH", "/applications", answer(204)))
    assert updated.upsert("/applications(uniqueName='a')", {}, "make") is None
    assert script.seen[0].headers["Prefer"] == "create-if-missing"


def test_a_concurrent_change_is_tried_again():
    client, _unused, clock = graph(
        Exchange("POST", "/x", graph_error(409, "Directory_ConcurrencyViolation", "wait")),
        Exchange("POST", "/x", answer(201, {"id": "1"})),
    )
    assert client.post("/x", {}, "make") == {"id": "1"}
    assert clock.sleeps


def test_only_the_patient_wait_for_replication():
    refusal = graph_error(400, "Request_BadRequest", "The appId 'x' does not reference a valid application object.")
    client, _unused, _unused = graph(
        Exchange("POST", "/servicePrincipals", refusal),
        Exchange("POST", "/servicePrincipals", answer(201, {"id": "1"})),
    )
    assert client.post("/servicePrincipals", {}, "make", patient=True) == {"id": "1"}
    client, _unused, _unused = graph(Exchange("POST", "/servicePrincipals", refusal))
    with pytest.raises(ServiceError):
        client.post("/servicePrincipals", {}, "make")


def test_deleting_what_is_gone_is_fine_and_said():
    client, _unused, _unused = graph(Exchange("DELETE", "/x", graph_error(404, "Request_ResourceNotFound")))
    assert client.delete("/x", "remove x") is False
    client, _unused, _unused = graph(Exchange("DELETE", "/x", answer(204)))
    assert client.delete("/x", "remove x") is True


def parts(*items: dict) -> object:
    return answer(200, {"responses": list(items)})


def test_a_batch_keeps_its_order_and_its_errors():
    client, script, _unused = graph(
        Exchange(
            "POST",
            "/$batch",
            parts(
                {"id": "1", "status": 404, "body": {"error": {"code": "Request_ResourceNotFound", "message": "x"}}},
                {"id": "0", "status": 200, "body": {"name": "a"}},
                {"id": "2", "status": 403, "body": {"error": {"code": "Authorization_RequestDenied", "message": "x"}}},
            ),
        )
    )
    first, second, third = client.batch([Call("GET", f"/{i}", f"read {i}") for i in range(3)], purpose="read all")
    assert first.value() == {"name": "a"}
    assert second.found() is None
    assert third.allowed() is None
    with pytest.raises(Forbidden, match="Could not read 2"):
        third.found()
    assert json.loads(script.seen[0].body)["requests"][1]["url"] == "/1"


def test_only_throttled_parts_are_asked_again():
    client, script, clock = graph(
        Exchange(
            "POST",
            "/$batch",
            parts(
                {"id": "0", "status": 200, "body": {}},
                {"id": "1", "status": 429, "headers": {"Retry-After": "4"}, "body": {}},
            ),
        ),
        Exchange("POST", "/$batch", parts({"id": "1", "status": 200, "body": {"late": True}})),
    )
    answers = client.batch([Call("GET", "/0", "a"), Call("GET", "/1", "b")], purpose="read")
    assert answers[1].value() == {"late": True}
    assert [item["id"] for item in json.loads(script.seen[1].body)["requests"]] == ["1"]
    assert clock.sleeps == [4.0]


def test_a_part_that_stays_throttled_ends_as_such():
    busy = parts(
        {
            "id": "0",
            "status": 429,
            "headers": {"Retry-After": "50"},
            "body": {"error": {"code": "TooManyRequests", "message": "x"}},
        }
    )
    client, _unused, _unused = graph(Exchange("POST", "/$batch", busy), Exchange("POST", "/$batch", busy), budget=60)
    with pytest.raises(Throttled):
        client.batch([Call("GET", "/0", "a")], purpose="read")[0].value()


def test_an_unanswered_part_is_an_error():
    client, _unused, _unused = graph(Exchange("POST", "/$batch", parts()))
    with pytest.raises(ServiceError, match="unanswered"):
        client.batch([Call("GET", "/0", "a")], purpose="read")


def test_a_batch_with_a_write_is_not_repeated_when_its_answer_is_lost():
    client, script, _unused = graph(Exchange("POST", "/$batch", AnswerLost("gone")))
    with pytest.raises(AnswerLost):
        client.batch([Call("POST", "/0", "a", {})], purpose="write")
    assert len(script.seen) == 1


def test_more_than_twenty_parts_travel_in_several_batches():
    def replies(ids: range) -> object:
        return parts(*({"id": str(i), "status": 200, "body": {"n": i}} for i in ids))

    client, _unused, _unused = graph(
        Exchange("POST", "/$batch", replies(range(20))), Exchange("POST", "/$batch", replies(range(20, 25)))
    )
    answers = client.batch([Call("GET", f"/{i}", "a") for i in range(25)], purpose="read")
    assert [part.value()["n"] for part in answers] == list(range(25))


# --- answers nobody expects ------------------------------------------------------------------------------------

WRITES = {
    "removePassword": lambda graph: graph.post("/applications/1/removePassword", {"keyId": "k"}, "remove"),
    "addPassword": lambda graph: graph.post("/applications/1/addPassword", {}, "make"),
    "restore": lambda graph: graph.post("/directory/deletedItems/1/restore", None, "restore"),
    "create": lambda graph: graph.post("/servicePrincipals", {}, "make"),
    "add": lambda graph: graph.post("/groups/1/members/$ref", {}, "add"),
    "delete": lambda graph: graph.delete("/applications/1", "delete"),
    "patch": lambda graph: graph.patch("/applications/1", {}, "change"),
    "upsert": lambda graph: graph.upsert("/applications(uniqueName='x')", {}, "make"),
}
PAGE = b"<html>portal</html>"
FALSE = {
    "removePassword": [(200, None), (200, {}), (202, None), (200, PAGE)],
    "addPassword": [(200, None), (204, None), (201, {"keyId": "k"}), (200, PAGE), (200, b"[]")],
    "restore": [(204, None), (200, None), (202, None)],
    "create": [(200, None), (204, None), (201, None), (200, PAGE), (201, b"17"), (202, None)],
    "add": [(200, None), (200, {}), (201, {})],
    "delete": [(200, None), (200, {}), (202, None), (200, PAGE)],
    "patch": [(200, None), (202, None), (200, PAGE), (207, {})],
    "upsert": [(200, None), (200, PAGE), (202, {})],
}
REDIRECTS = [(status, body) for status in (300, 301, 302, 303, 304, 307, 308) for body in (None, {}, PAGE)]


@pytest.mark.parametrize(("what", "told"), [(what, told) for what, all_told in FALSE.items() for told in all_told])
def test_a_write_is_done_only_with_the_status_that_graph_documents(what, told):
    made, _script, clock = graph(
        Exchange({"delete": "DELETE", "patch": "PATCH", "upsert": "PATCH"}.get(what, "POST"), "", answer(*told))
    )
    with pytest.raises(AnswerLost) as caught:
        WRITES[what](made)
    assert caught.value.lasting
    assert not clock.sleeps


@pytest.mark.parametrize("what", WRITES)
def test_a_redirect_is_something_on_the_way(what):
    method = {"delete": "DELETE", "patch": "PATCH", "upsert": "PATCH"}.get(what, "POST")
    for told in REDIRECTS:
        made, script, _clock = graph(Exchange(method, "", answer(*told, location="https://evil.example/")))
        with pytest.raises(AnswerLost, match="on the way"):
            WRITES[what](made)
        assert script.finished()


@pytest.mark.parametrize(
    "told", [*REDIRECTS, (200, None), (204, None), (200, PAGE), (200, b"[]"), (206, {}), (201, {})]
)
def test_a_read_too(told):
    made, script, _clock = graph(Exchange("GET", "/x", answer(*told)))
    with pytest.raises(ServiceError, match="on the way"):
        made.get("/x", "read x")
    assert script.finished()


@pytest.mark.parametrize(
    "page", [{}, {"value": {}}, {"value": None}, {"value": "x"}, {"value": [1]}, {"value": [{}, None]}]
)
def test_a_list_that_is_none_is_told(page):
    made, _script, _clock = graph(Exchange("GET", "/x", answer(200, page)))
    with pytest.raises(ServiceError, match=r"(list is not one|not Graph's).*on the way"):
        made.items("/x", "read x")


@pytest.mark.parametrize("body", [{}, {"error": "text"}, {"Message": "sign in"}, {"access_token": "x"}, {"value": {}}])
def test_the_json_of_something_else_is_no_document(body):
    path = "/applications(uniqueName='x')?$select=id,appId"
    made, _script, _clock = graph(Exchange("GET", "/applications", answer(200, body)))
    with pytest.raises(ServiceError, match="on the way"):
        made.get(path, "read x")
    part = {"responses": [{"id": "0", "status": 200, "body": body}]}
    made, _script, _clock = graph(Exchange("POST", "/$batch", answer(200, part)))
    with pytest.raises(ServiceError, match="not an answer"):
        made.batch([Call("GET", path, "read x")], purpose="read")[0].found()


def test_no_page_is_fetched_twice_and_no_list_is_without_end(monkeypatch):
    link = "https://graph.microsoft.com/v1.0/x?$skiptoken="
    again = answer(200, {"value": [{}], "@odata.nextLink": f"{link}1"})
    made, script, _clock = graph(Exchange("GET", "/x", again), Exchange("GET", "/x", again))
    with pytest.raises(ServiceError, match="there already"):
        made.items("/x", "read x")
    assert script.finished()
    monkeypatch.setattr(_graph, "MOST_PAGES", 5)
    pages = [Exchange("GET", "/x", answer(200, {"value": [{}], "@odata.nextLink": f"{link}{n}"})) for n in range(5)]
    made, script, _clock = graph(*pages)
    with pytest.raises(ServiceError, match="no end"):
        made.items("/x", "read x")
    assert script.finished()


@pytest.mark.parametrize(
    ("code", "cure", "no_cure"),
    [
        ("Authorization_RequestDenied", "give the operator's application the permission", "quota"),
        ("Directory_QuotaExceeded", "delete objects", "give the operator's application"),
        ("Directory_ObjectQuotaExceeded", "delete objects", "give the operator's application"),
        ("Authentication_RequestFromNonPremiumTenantOrB2CTenant", "licence", "give the operator's application"),
        ("CredentialTypeNotAllowedAsPerAppPolicy", "policy", "give the operator's application"),
        ("SomethingNew", "look up SomethingNew", "quota"),
    ],
)
def test_a_403_is_told_by_its_code(code, cure, no_cure):
    made, _script, _clock = graph(Exchange("POST", "/x", graph_error(403, code, "no")))
    with pytest.raises(Forbidden) as caught:
        made.post("/x", {}, "make x")
    assert cure in caught.value.cure
    assert no_cure not in caught.value.cure


ODD_PARTS = [
    {},
    {"id": "0"},
    {"id": "0", "status": None},
    {"id": "0", "status": "x", "headers": 5},
    {"id": "0", "status": 302, "headers": {"Location": "x"}},
    {"id": "0", "status": 200},
    {"id": "0", "status": 200, "body": PAGE.decode()},
    {"id": "0", "status": 204},
]


@pytest.mark.parametrize("responses", [*([part] for part in ODD_PARTS), {}, "x", [None], None])
def test_a_part_of_a_batch_that_is_no_answer_is_told(responses):
    made, _script, _clock = graph(Exchange("POST", "$batch", answer(200, {"responses": responses})))
    with pytest.raises(ServiceError):
        made.batch([Call("GET", "/x", "read x")], purpose="read")[0].value()


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/x"), ("POST", "/x/removePassword")])
@pytest.mark.parametrize("status", [200, 202, 302])
def test_nor_is_a_removal_in_a_batch_done_without_its_status(method, path, status):
    part = {"id": "0", "status": status, "body": {}}
    made, _script, _clock = graph(Exchange("POST", "$batch", answer(200, {"responses": [part]})))
    assert made.batch([Call(method, path, "remove x")], purpose="remove")[0].error is not None


def test_a_part_s_hint_may_be_a_date_by_the_answer_s_own_clock():
    part = {"id": "0", "status": 429, "headers": {"Retry-After": "Sat, 21 Nov 2026 11:00:09 GMT"}}
    busy = answer(200, {"responses": [part]}, date="Sat, 21 Nov 2026 11:00:00 GMT")
    good = answer(200, {"responses": [{"id": "0", "status": 200, "body": {}}]})
    made, _script, clock = graph(Exchange("POST", "$batch", busy), Exchange("POST", "$batch", good))
    made.batch([Call("GET", "/x", "read x")], purpose="read")
    assert clock.sleeps == [9.0]
