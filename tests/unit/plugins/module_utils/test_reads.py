# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the first look has read, in the tasks after it: when it stands for an answer, and when all is asked anew."""

from __future__ import annotations

import datetime as dt
import json
import typing as t

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost, Blocked, ServiceError
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Request, Response
from ansible_collections.mail2fax.m365.plugins.module_utils._module import execute
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan, Settled, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._reads import FRESH_S, Looked, Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.unit.script import NOW, TENANT_ID, FakeClock, answer, graph_error, jwt

Json = dict[str, t.Any]
SERVICE = NOW + dt.timedelta(hours=3)
"""What the services' clock says when this machine's says NOW."""


class Memory:
    """A shelf without files."""

    def __init__(self) -> None:
        self.at: Looked | None = None
        self.answers: dict[str, t.Any] = {}
        self.dropped: list[str] = []

    def looked(self) -> Looked | None:
        return None if self.dropped else self.at

    def answer(self, key: str) -> t.Any:
        return self.answers.get(key)

    def keep(self, looked: Looked, answers: t.Mapping[str, str]) -> None:
        self.at, self.answers = looked, {key: json.loads(answer) for key, answer in answers.items()}

    def drop(self, tenant_id: str) -> None:
        self.dropped.append(tenant_id)


class Service:
    """Graph and Exchange in one: says what ``says`` has, and counts."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.says: Json = {"n": 2}
        self.answer: Response | None = None
        self.asked: list[str] = []

    def send(self, request: Request, timeout_s: float) -> Response:
        document = json.loads(request.body or b"{}")
        parts = document.get("requests") or [None]
        for part in parts:
            body = part["body"] if part is not None and part["method"] == "POST" else document
            cmdlet = (body or {}).get("CmdletInput")
            what = cmdlet["CmdletName"] if cmdlet else part["url"] if part else request.url.partition("v1.0")[2]
            self.asked.append(what if request.method == "GET" or cmdlet or part else f"{request.method} {what}")
        date = (SERVICE + dt.timedelta(seconds=self.clock.passed)).strftime("%a, %d %b %Y %H:%M:%S GMT")
        if self.answer is not None:
            return self.answer
        rows = {"value": [dict(self.says)]} if "outlook" in request.url else dict(self.says)
        if "batch" in request.url:
            rows = {"responses": [{"id": part["id"], "status": 200, "body": rows} for part in parts]}
        status = 204 if request.method in ("PATCH", "DELETE") else 200
        return answer(status, None if status == 204 else rows, date=date)


class World:
    """Tasks of one run, one after the other."""

    def __init__(self) -> None:
        self.clock, self.shelf = FakeClock(), Memory()
        self.service = Service(self.clock)
        self.options: Json = {"access_token": {"graph": jwt(), "exchange": jwt()}, "patience": 0}

    def tenant(self, *, gives: bool = False, takes: bool = False) -> Tenant:
        reads = Reads(self.shelf, gives=gives, takes=takes)
        return Tenant(self.options, environment={}, transport=self.service, clock=self.clock, reads=reads)

    def look(self, *calls: Call, cmdlets: t.Sequence[Cmdlet] = ()) -> None:
        """What a first look does; and nothing was asked by then."""
        tenant = self.tenant(gives=True)
        if calls:
            tenant.graph.batch(calls, purpose="look")
        tenant.exchange.invoke_many(cmdlets)
        tenant.hand_on()
        self.service.asked.clear()


CALL = Call("GET", "/things?$top=1", "look")
OTHER = Call("GET", "/things?$top=2", "look")
CMDLET = Cmdlet("Get-Thing", {"Identity": "x"}, "look")


def test_a_later_task_gets_the_answers() -> None:
    world = World()
    world.look(CALL, OTHER, cmdlets=[CMDLET])
    world.service.says = {"n": 3}
    tenant = world.tenant(takes=True)
    assert [part.value() for part in tenant.graph.batch([OTHER, CALL], purpose="look")] == [{"n": 2}, {"n": 2}]
    [found] = tenant.exchange.invoke_many([CMDLET])
    assert found.objects() == [{"n": 2}]
    assert world.service.asked == []
    assert tenant.reads.used


def test_what_saves_no_request_is_not_taken() -> None:
    """A batch that is sent in any case asks for everything, so that nothing has to be asked for twice."""
    world = World()
    world.look(CALL, cmdlets=[CMDLET])
    world.service.says = {"n": 3}
    tenant = world.tenant(takes=True)
    assert [part.value() for part in tenant.graph.batch([OTHER, CALL], purpose="look")] == [{"n": 3}, {"n": 3}]
    tenant.exchange.invoke_many([CMDLET, Cmdlet("Get-Other", {}, "look")])
    assert world.service.asked == [OTHER.path, CALL.path, "Get-Thing", "Get-Other"]
    assert not tenant.reads.used


@pytest.mark.parametrize(("known", "asked"), [(10, 1), (2, 9), (1, 10), (0, 11)])
def test_what_saves_one_request_of_two_is(known: int, asked: int) -> None:
    world = World()
    cmdlets = [Cmdlet(f"Get-Thing{number}", {}, "look") for number in range(11)]
    world.look(cmdlets=cmdlets[:known])
    outputs = world.tenant(takes=True).exchange.invoke_many(cmdlets)
    assert [output.objects() for output in outputs] == [[{"n": 2}]] * 11
    assert len(world.service.asked) == asked


def test_an_answer_is_handed_on_as_it_came() -> None:
    world = World()
    tenant = world.tenant(gives=True)
    [part] = tenant.graph.batch([CALL], purpose="look")
    part.body["n"] = "changed by its reader"
    tenant.hand_on()
    assert world.tenant(takes=True).graph.get(CALL.path, "look") == {"n": 2}


def test_one_document_is_the_same_answer_as_a_part_of_a_batch() -> None:
    world = World()
    world.look(CALL)
    assert world.tenant(takes=True).graph.get(CALL.path, "look") == {"n": 2}
    assert world.service.asked == []


@pytest.mark.parametrize(
    "differs",
    [
        Call("GET", "/things?$top=1&$select=id", "look"),
        Call("GET", "/things?$top=1", "look", headers={"ConsistencyLevel": "eventual"}),
        Cmdlet("Get-Thing", {"Identity": "y"}, "look"),
        Cmdlet("Get-Thing", {"Identity": "x", "ResultSize": "Unlimited"}, "look"),
        Cmdlet("Get-Thing", {"Identity": "x"}, "look", 5),
        Cmdlet("Get-Things", {"Identity": "x"}, "look"),
    ],
)
def test_only_the_same_question_has_the_same_answer(differs: Call | Cmdlet) -> None:
    world = World()
    world.look(CALL, cmdlets=[CMDLET])
    tenant = world.tenant(takes=True)
    if isinstance(differs, Call):
        tenant.graph.batch([differs], purpose="look")
    else:
        tenant.exchange.invoke_many([differs])
    assert len(world.service.asked) == 1


def test_who_asks_again_wants_to_know_anew() -> None:
    world = World()
    world.look(CALL)
    tenant = world.tenant(takes=True)
    for _again in range(3):
        tenant.graph.batch([CALL], purpose="look")
    assert len(world.service.asked) == 2


def test_a_test_is_never_handed_on() -> None:
    world = World()
    tests = [Cmdlet("Test-Thing", {"Identity": "x"}, "prove")]
    world.look(cmdlets=tests)
    world.tenant(takes=True).exchange.invoke_many(tests)
    assert world.service.asked == ["Test-Thing"]


@pytest.mark.parametrize(("gives", "takes"), [(False, True), (True, False), (False, False)])
def test_a_task_has_the_part_that_it_is_given_and_no_other(gives: bool, takes: bool) -> None:
    world = World()
    first = world.tenant(gives=gives)
    assert first.reads.gives is gives
    first.graph.batch([CALL], purpose="look")
    first.hand_on()
    world.tenant(takes=takes).graph.batch([CALL], purpose="look")
    assert len(world.service.asked) == 2


@pytest.mark.parametrize(
    ("response", "handed"),
    [
        (graph_error(403, "Authorization_RequestDenied", "no"), True),
        (graph_error(404, "Request_ResourceNotFound", "Resource 'x' does not exist"), False),
        (answer(200, {"value": [], "@odata.nextLink": "https://graph.microsoft.com/v1.0/x"}), False),
    ],
)
def test_what_is_not_there_is_looked_for_anew(response: Response, handed: bool) -> None:
    world = World()
    part = {"id": "0", "status": response.status, "body": response.json()}
    world.service.answer = answer(200, {"responses": [part]})
    world.look(CALL)
    [found] = world.tenant(takes=True).graph.batch([CALL], purpose="see")
    assert world.service.asked == ([] if handed else [CALL.path])
    if handed:
        assert "Could not look: Microsoft Graph answered 403" in str(found.error)


def test_that_a_whole_list_is_empty_is_an_answer_in_exchange() -> None:
    world = World()
    kind = "Ex1|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|There are no policies"
    world.service.answer = answer(404, {"error": {"code": "NotFound", "details": [{"message": kind}]}})
    everything, one = Cmdlet("Get-Policy", {}, "look"), Cmdlet("Get-Policy", {"Identity": "x"}, "look")
    world.look(cmdlets=[everything])
    tenant = world.tenant(takes=True)
    [found] = tenant.exchange.invoke_many([everything])
    assert (found.listed(), "no policies" in str(found.error), world.service.asked) == ([], True, [])
    world.look(cmdlets=[one])
    world.tenant(takes=True).exchange.invoke_many([one])
    assert world.service.asked == ["Get-Policy"]


@pytest.mark.parametrize("by", ["graph", "batch", "cmdlet", "list of cmdlets"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_write_ends_it_whatever_comes_of_it(by: str, fails: bool) -> None:
    world = World()
    world.look(CALL)
    tenant = world.tenant(takes=True)
    if fails:
        world.service.answer = answer(400, {"error": {"code": "BadRequest", "message": "no"}})
    write = Cmdlet("Set-Thing", {"Identity": "x"}, "write")
    try:
        if by == "graph":
            tenant.graph.patch("/things/x", {}, "write")
        elif by == "batch":
            tenant.graph.batch([CALL, Call("DELETE", "/things/x", "write")], purpose="write")
        elif by == "cmdlet":
            tenant.exchange.invoke(write.name, "write", Identity="x")
        else:
            tenant.exchange.invoke_many([CMDLET, write])
    except ServiceError:
        assert fails
    assert world.shelf.dropped == [TENANT_ID]
    world.service.answer = None
    world.service.asked.clear()
    tenant.graph.batch([CALL], purpose="look")
    world.tenant(takes=True).graph.batch([CALL], purpose="look")
    assert world.service.asked == [CALL.path, CALL.path]


def test_a_write_whose_answer_is_lost_ends_it_too() -> None:
    world = World()
    world.look(CALL)
    world.service.answer = answer(500)
    with pytest.raises(AnswerLost):
        world.tenant(takes=True).graph.post("/things", {}, "write")
    assert world.shelf.dropped == [TENANT_ID]


def test_a_look_that_wrote_hands_on_nothing() -> None:
    world = World()
    tenant = world.tenant(gives=True)
    tenant.graph.batch([CALL], purpose="look")
    tenant.graph.patch("/things/x", {}, "write")
    tenant.graph.batch([OTHER], purpose="look")
    tenant.hand_on()
    assert world.shelf.answers == {}


@pytest.mark.parametrize("seconds", [FRESH_S - 1, FRESH_S + 1])
@pytest.mark.parametrize("clock", ["both", "monotonic", "wall", "wall set back", "service"])
def test_it_has_an_age_by_every_clock(seconds: float, clock: str) -> None:
    world = World()
    world.look(CALL)
    here = world.clock
    if clock in ("both", "monotonic"):
        here.passed += seconds
    if clock == "monotonic":
        here.start -= dt.timedelta(seconds=seconds)
    if clock.startswith("wall"):
        here.start += dt.timedelta(seconds=seconds if clock == "wall" else -seconds)
    tenant = world.tenant(takes=True)
    if clock == "service":
        tenant.service_clock.hear(SERVICE + dt.timedelta(seconds=seconds))
    tenant.graph.batch([CALL], purpose="look")
    assert world.service.asked == ([] if seconds < FRESH_S else [CALL.path])


def test_the_services_time_comes_with_it() -> None:
    """Whatever is planned by a time is planned by the service's, by a task that asked nobody as well."""
    world = World()
    world.look(CALL)
    world.clock.passed += 60
    tenant = world.tenant(takes=True)
    assert tenant.now() == NOW + dt.timedelta(seconds=60)
    tenant.graph.batch([CALL], purpose="look")
    assert tenant.now() == SERVICE + dt.timedelta(seconds=60)
    assert len(tenant.remarks()) == 1


def test_without_the_tenants_id_nothing_is_handed_on() -> None:
    world = World()
    world.options["access_token"] = {"graph": "opaque", "exchange": "opaque"}
    world.look(CALL)
    assert world.shelf.at is None


# --- read, plan, apply ---------------------------------------------------------------------------------------


class Counter:
    """Counts the thing's ``n`` up to ``wanted``. ``spoils`` is called before the plan, with what was read."""

    made: t.ClassVar[int] = 0

    def __init__(self, tenant: Tenant, wanted: int, plan: t.Callable[[int, Plan], None]) -> None:
        self._tenant, self._wanted, self._plan = tenant, wanted, plan
        Counter.made += 1

    def read(self) -> int:
        [part] = self._tenant.graph.batch([CALL], purpose="look")
        return int(part.value()["n"])

    def plan(self, current: int) -> Plan:
        steps = [Step(f"up to {self._wanted}")] if current < self._wanted else []
        planned = Plan(steps=steps, result={"n": current})
        self._plan(current, planned)
        return planned

    def perform(self, step: Step) -> None:
        self._tenant.graph.patch("/things/x", {"n": self._wanted}, step.title)

    def settle(self, plan: Plan) -> Settled:
        self.read()
        return Settled()


def run(
    world: World,
    wanted: int,
    *,
    check_mode: bool = False,
    plan: t.Callable[[int, Plan], None] = lambda current, planned: None,
) -> Json:
    tenant = world.tenant(takes=True)
    door = Door(lambda opened, _task: Counter(opened, wanted, plan), ArgumentSpec())
    return execute(door, Task({}, check_mode), lambda: tenant)


def test_where_all_is_well_nothing_is_asked() -> None:
    world = World()
    world.look(CALL)
    result = run(world, 2)
    assert (result["outcome"], result["n"], world.service.asked) == ("ok", 2, [])


def test_a_plan_with_something_in_it_is_made_of_what_is_read_anew() -> None:
    world = World()
    world.look(CALL)
    Counter.made = 0
    result = run(world, 3)
    assert result["outcome"] == "changed"
    assert world.service.asked == [CALL.path, "PATCH /things/x", CALL.path]
    assert Counter.made == 2


def test_what_somebody_else_has_done_meanwhile_counts() -> None:
    world = World()
    world.look(CALL)
    world.service.says = {"n": 3}
    result = run(world, 3)
    assert (result["outcome"], result["n"], world.service.asked) == ("ok", 3, [CALL.path])


def test_check_mode_foresees_nothing_from_what_is_old() -> None:
    world = World()
    world.look(CALL)
    result = run(world, 3, check_mode=True)
    assert (result["outcome"], world.service.asked, world.shelf.dropped) == ("changed", [CALL.path], [])


@pytest.mark.parametrize("how", ["blocked", "pending", "an error"])
def test_nobody_is_told_of_anything_that_is_old(how: str) -> None:
    """Whoever mended it since the first look is not told to mend it."""
    world = World()
    world.look(CALL)
    world.service.says = {"n": 4}

    def plan(current: int, planned: Plan) -> None:
        if current != 2:
            return
        if how == "an error":
            raise ServiceError("it is 2")
        planned.blocked = Blocked("it is 2", cure="make it 4") if how == "blocked" else None
        planned.pending = "it is 2" if how == "pending" else None

    result = run(world, 2, plan=plan)
    assert (result["outcome"], result["n"], world.service.asked) == ("ok", 4, [CALL.path])


def test_what_still_stands_in_the_way_is_told_after_a_second_look() -> None:
    world = World()
    world.look(CALL)

    def plan(current: int, planned: Plan) -> None:
        planned.blocked = Blocked("it is 2", cure="make it 4")

    result = run(world, 2, plan=plan)
    assert (result["outcome"], world.service.asked) == ("blocked", [CALL.path])


def test_an_error_of_a_task_that_took_nothing_is_told_at_once() -> None:
    world = World()

    def plan(current: int, planned: Plan) -> None:
        raise ServiceError("it is 2")

    result = run(world, 2, plan=plan)
    assert (result["outcome"], world.service.asked) == ("failed", [CALL.path])
