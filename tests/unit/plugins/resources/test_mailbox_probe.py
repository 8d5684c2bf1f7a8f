# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From verdicts to an outcome; patience with what was made a moment ago; where the secret comes from."""

from __future__ import annotations

import datetime as dt
import json
import typing as t
import urllib.parse

import pytest

from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Blocked,
    InvalidInput,
    M365Error,
    ServiceError,
    SignInError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Graph
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Request, Response
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import ews, proof
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe import (
    DOOR,
    MailboxProbe,
    open_with_secret,
    stored_secret,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.mailbox_probe_plan import (
    OPENED,
    REFUSED,
    Desired,
    Probe,
    State,
    plan,
    worth_waiting,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, StoredSecret
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.unit.plugins.proofs.test_ews import message
from tests.unit.script import NOW, TENANT_ID, FakeClock, answer, jwt

Json = dict[str, t.Any]

APP = "1cb8b5d2-8724-4f32-8152-a16a230b682b"
FAX, OTHER = "fax@contoso.com", "adele@contoso.com"
SECRET = "canary~secret"
LATER = NOW + dt.timedelta(hours=20)


def desired(**changes: t.Any) -> Desired:
    values: Json = {
        "app_id": APP,
        "tenant": "contoso.com",
        "role": "full_access_as_app",
        "allowed": (FAX,),
        "refused": (OTHER,),
        "switched_off": ews.EWS_BLOCKED,
        "service": ews.Ews.service,
        "opened_by": ews.Ews.opened_by,
    }
    return Desired(**{**values, **changes})


def state(fax: str, other: str, *, roles: tuple[str, ...] = ("full_access_as_app",), reason: str = "why") -> State:
    def told(mailbox: str, expected: str, verdict: str) -> Probe:
        return Probe(mailbox, expected, proof.Opening(verdict, None if verdict == "opened" else reason), NOW)

    return State((told(FAX, OPENED, fax), told(OTHER, REFUSED, other)), roles, TENANT_ID)


# --- outcome -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", ["denied_by_policy", "impersonation_refused"])
def test_opened_and_refused_is_ok(refusal: str):
    result = plan(state("opened", refusal), desired(), NOW)
    assert (result.outcome, result.summary) == ("ok", "1 opened and 1 refused, as expected")
    assert result.result["probes"][0] == {
        "mailbox": FAX,
        "expected": "opened",
        "verdict": "opened",
        "as_expected": True,
        "reason": None,
        "request_id": None,
        "at": "2026-11-21T12:00:00Z",
    }


@pytest.mark.parametrize(
    ("fax", "other"),
    [("denied_by_policy", "denied_by_policy"), ("opened", "opened"), ("impersonation_refused", "opened")],
)
def test_against_expectation_is_pending_for_an_hour_while_the_configuration_agrees(fax: str, other: str):
    pending = plan(state(fax, other), desired(), NOW)
    assert (pending.outcome, pending.pending_until) == ("pending", "2026-11-21T13:00:00Z")
    assert plan(state(fax, other), desired(configuration_agrees=False), NOW).outcome == "blocked"


def test_blocked_ews_is_pending_only_while_a_change_is_on_its_way():
    current = state("ews_blocked", "ews_blocked", reason="EWS is disabled for this user or tenant")
    blocked = plan(current, desired(), NOW)
    assert blocked.outcome == "blocked"
    assert blocked.blocked is not None
    assert "EWS is disabled for this user or tenant" in blocked.blocked.message
    assert blocked.blocked.who == "an Exchange Administrator"
    pending = plan(current, desired(ews_in_force_by=LATER), NOW)
    assert (pending.outcome, pending.pending_until) == ("pending", "2026-11-22T08:00:00Z")
    assert plan(current, desired(ews_in_force_by=NOW), NOW).outcome == "blocked"


def test_ews_that_opens_before_the_policy_is_in_force_counts_the_policy_too():
    soon = NOW + dt.timedelta(minutes=10)
    both = plan(state("ews_blocked", "opened"), desired(ews_in_force_by=soon), NOW)
    assert both.pending_until == "2026-11-21T13:00:00Z"
    alone = plan(state("ews_blocked", "denied_by_policy"), desired(ews_in_force_by=soon), NOW)
    assert alone.pending_until == "2026-11-21T12:10:00Z"


def test_a_change_of_ews_does_not_put_off_what_is_not_about_ews():
    result = plan(state("denied_by_policy", "denied_by_policy"), desired(ews_in_force_by=LATER), NOW)
    assert (result.outcome, result.pending_until) == ("pending", "2026-11-21T13:00:00Z")


def test_no_role_is_blocked_and_says_what_the_token_has():
    result = plan(state("no_role", "no_role", roles=("Mail.Read",)), desired(), NOW)
    assert result.blocked is not None
    assert "does not carry full_access_as_app (it carries Mail.Read)" in result.blocked.message
    held = plan(state("no_role", "no_role"), desired(), NOW)
    assert held.blocked is not None
    assert "still says that it is not enough" in held.blocked.message


@pytest.mark.parametrize(("verdict", "words"), [("no_mailbox", "no mailbox behind"), ("other", "why")])
def test_a_missing_mailbox_and_an_unknown_answer_fail_with_the_probes(verdict: str, words: str):
    with pytest.raises(ServiceError, match=words) as caught:
        plan(state(verdict, "ews_blocked"), desired(), NOW)
    assert caught.value.outcome == "failed"
    assert len(caught.value.details["probes"]) == 2
    with pytest.raises(ServiceError):
        plan(state("opened", verdict), desired(), NOW)


@pytest.mark.parametrize(
    ("verdict", "changes", "expected"),
    [
        ("denied_by_policy", {}, True),
        ("denied_by_policy", {"configuration_agrees": False}, False),
        ("ews_blocked", {}, False),
        ("ews_blocked", {"ews_in_force_by": LATER}, True),
        ("no_role", {"configuration_agrees": False}, True),
        ("other", {}, True),
        ("no_mailbox", {}, False),
        ("opened", {}, False),
    ],
)
def test_only_what_may_change_is_waited_for(verdict: str, changes: Json, expected: bool):
    looked = Probe(FAX, OPENED, proof.Opening(verdict), NOW)
    assert worth_waiting(looked, desired(**changes), NOW) is expected


# --- signing in and waiting ----------------------------------------------------------------------------------


class Services:
    """Entra and EWS by rule: ``sign_ins`` are token answers in turn, ``mailboxes`` the answers of each in turn."""

    def __init__(self, sign_ins: list[Response], **mailboxes: list[Response]) -> None:
        self.sign_ins = sign_ins
        self.mailboxes = {f"{name}@contoso.com": steps for name, steps in mailboxes.items()}
        self.secrets: list[str] = []
        self.tokens: list[str] = []
        self.opened: list[str] = []

    def send(self, request: Request, timeout_s: float) -> Response:
        assert timeout_s > 0
        if request.url.endswith("/openid-configuration"):
            base = f"https://login.microsoftonline.com/{TENANT_ID}"
            return answer(
                200,
                {
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                    "issuer": f"{base}/v2.0",
                },
            )
        if request.host == "login.microsoftonline.com":
            form = urllib.parse.parse_qs((request.body or b"").decode())
            assert form["client_id"] == [APP]
            self.secrets.append(form["client_secret"][0])
            return self.sign_ins.pop(0) if len(self.sign_ins) > 1 else self.sign_ins[0]
        mailbox = request.headers["X-AnchorMailbox"]
        self.opened.append(mailbox)
        self.tokens.append(request.headers["Authorization"])
        steps = self.mailboxes[mailbox]
        return steps.pop(0) if len(steps) > 1 else steps[0]


def signed_in(*roles: str, serial: int = 0) -> Response:
    claims = {"roles": list(roles), "appid": APP, "serial": serial} if roles else {"appid": APP, "serial": serial}
    return answer(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": jwt(**claims)})


def refused(code: int) -> Response:
    text = f"AADSTS{code}: Told by Entra. Trace ID: x"
    return answer(401, {"error": "invalid_client", "error_codes": [code], "error_description": text, "trace_id": "tr"})


ROLE = "full_access_as_app"
OPEN, DENY, STUMBLE = Response(200, {}, message("NoError")), Response(403), Response(404)
SCOPE = Response(403, {"x-ms-diagnostics": '2000008;reason="The token contains not enough scope to make this call."'})


def look(services: Services, *, secret: t.Any = None, check_mode: bool = False, store: t.Any = None, **params: t.Any):
    given: Json = {"app_secret": None if store or secret else SECRET, "allowed": [FAX], "refused": [OTHER]}
    defaults = {name: option.get("default") for name, option in DOOR.argument_spec.options.items()}
    options = {**defaults, "tenant": "contoso.com", "app_id": APP, "patience": 60, **given, **params}
    clock = FakeClock()
    tenant = Tenant(options, environment={}, transport=services, clock=clock)
    task = Task(options, check_mode, {"store": store} if store else {})
    resource = open_with_secret(tenant, task, secret) if secret else MailboxProbe(tenant, task)
    return resource.plan(resource.read()), clock


def test_a_newborn_secret_is_waited_for():
    services = Services([refused(7000215), refused(700016), signed_in(ROLE)], fax=[OPEN], adele=[DENY])
    result, clock = look(services)
    assert result.outcome == "ok"
    assert clock.sleeps == [0.5, 1.0]
    assert services.secrets == [SECRET] * 3


def test_patience_with_a_newborn_secret_ends():
    services = Services([refused(7000215)], fax=[OPEN], adele=[DENY])
    with pytest.raises(SignInError, match="the secret is not one of this application's secrets") as caught:
        look(services, patience=5)
    assert caught.value.code == "AADSTS7000215"
    assert SECRET not in str(caught.value)
    assert services.opened == []


class Held:
    """A store with one secret, made ``age`` ago."""

    def __init__(self, age: dt.timedelta) -> None:
        made = (NOW - age).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.entry = Entry(StoredSecret(TENANT_ID, APP, KEY, "s", made, "2027-01-01T00:00:00Z", SECRET))

    def read(self) -> Entry:
        return self.entry

    def describe(self) -> str:
        return "the store"


KEY = "4cb8b5d2-8724-4f32-8152-a16a230b682b"
OLD, YOUNG = dt.timedelta(minutes=11), dt.timedelta(minutes=9)


@pytest.mark.parametrize(
    ("age", "document", "told"),
    [
        (OLD, {"passwordCredentials": []}, True),
        (OLD, {"passwordCredentials": [{"keyId": KEY.upper()}]}, False),
        (OLD, M365Error("not allowed"), False),
        (YOUNG, {"passwordCredentials": []}, False),
    ],
)
def test_a_key_that_was_removed_is_told_and_not_waited_for(
    age: dt.timedelta, document: t.Any, told: bool, monkeypatch: pytest.MonkeyPatch
):
    def get(self: Graph, path: str, purpose: str) -> Json:
        if isinstance(document, Exception):
            raise document
        return t.cast("Json", document)

    monkeypatch.setattr(Tenant, "graph", Graph(t.cast("t.Any", None), t.cast("t.Any", None), CLOUDS["global"]))
    monkeypatch.setattr(Graph, "get", get)
    services = Services([refused(7000215)])
    with pytest.raises(Blocked if told else SignInError) as caught:
        look(services, store=Held(age), patience=5)
    assert (len(services.secrets) == 1) is told
    if told:
        assert caught.value.details == {"key_id": KEY, "removed": True}
    assert SECRET not in str(caught.value)


def test_an_expired_secret_is_not_waited_for():
    services = Services([refused(7000222)])
    with pytest.raises(SignInError, match="the client secret has expired"):
        look(services)
    assert len(services.secrets) == 1


def test_a_token_without_the_role_is_never_used():
    services = Services(
        [signed_in(serial=1), signed_in("Mail.Read", serial=2), signed_in(ROLE)], fax=[OPEN], adele=[DENY]
    )
    result, _clock = look(services)
    assert result.outcome == "ok"
    assert len(set(services.tokens)) == 1
    assert result.result["roles"] == [ROLE]


def test_without_the_role_nothing_is_opened():
    services = Services([signed_in()], fax=[OPEN], adele=[DENY])
    result, _clock = look(services, patience=3)
    assert result.outcome == "blocked"
    assert services.opened == []
    assert {probe["verdict"] for probe in result.result["probes"]} == {"no_role"}


def test_only_the_mailbox_that_is_not_as_expected_is_looked_at_again():
    services = Services([signed_in(ROLE)], fax=[DENY, DENY, OPEN], adele=[DENY])
    result, clock = look(services, wait=30)
    assert result.outcome == "ok"
    assert services.opened == [FAX, OTHER, FAX, FAX]
    assert clock.sleeps == [0.5, 1.0]
    assert len(services.secrets) == 1


def test_waiting_grows_to_ten_seconds_and_ends_in_time():
    services = Services([signed_in(ROLE)], fax=[DENY], adele=[DENY])
    result, clock = look(services, wait=60)
    assert result.outcome == "pending"
    assert clock.sleeps == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 10.0]


def test_without_wait_there_is_one_look():
    services = Services([signed_in(ROLE)], fax=[DENY], adele=[OPEN])
    result, clock = look(services)
    assert (result.outcome, clock.sleeps, len(services.opened)) == ("pending", [], 2)


def test_a_contradicted_configuration_is_not_waited_for():
    services = Services([signed_in(ROLE)], fax=[DENY], adele=[DENY])
    result, clock = look(services, wait=60, configuration_agrees=False)
    assert (result.outcome, clock.sleeps) == ("blocked", [])


def test_a_role_that_exchange_does_not_see_yet_gets_a_new_token():
    services = Services([signed_in(ROLE, serial=1), signed_in(ROLE, serial=2)], fax=[SCOPE, OPEN], adele=[SCOPE, DENY])
    result, _clock = look(services, wait=30)
    assert result.outcome == "ok"
    assert len(set(services.tokens)) == 2


def test_a_token_is_renewed_in_a_long_wait():
    services = Services([signed_in(ROLE, serial=1), signed_in(ROLE, serial=2)], fax=[DENY], adele=[DENY])
    look(services, wait=400)
    assert len(set(services.tokens)) == 2


def test_a_lookup_failure_is_not_a_refusal():
    services = Services([signed_in(ROLE)], fax=[OPEN], adele=[STUMBLE])
    with pytest.raises(ServiceError):
        look(services)


# --- where the secret comes from -----------------------------------------------------------------------------


class FakeStore:
    def __init__(self, entry: Entry | None) -> None:
        self.entry = entry

    def describe(self) -> str:
        return "the file x"

    def probe(self) -> None:
        """It is always there."""

    def read(self) -> Entry | None:
        return self.entry

    def write(self, entry: Entry) -> None:
        raise AssertionError("a probe writes nothing")

    def remove(self) -> None:
        raise AssertionError("a probe removes nothing")


def stored(client_id: str = APP, value: str | None = SECRET) -> Entry:
    return Entry(current=StoredSecret(TENANT_ID, client_id, "key", "s", "", "", value))


def test_the_secret_comes_from_the_store():
    services = Services([signed_in(ROLE)], fax=[OPEN], adele=[DENY])
    result, _clock = look(services, store=FakeStore(stored()))
    assert result.outcome == "ok"
    assert services.secrets == [SECRET]


def test_a_secret_from_outside_is_asked_for_late():
    asked: list[int] = []

    def secret() -> str:
        asked.append(1)
        return "from outside"

    services = Services([signed_in(ROLE)], fax=[OPEN], adele=[DENY])
    look(services, secret=secret, app_id="00000000-0000-0000-0000-000000000000", check_mode=True)
    assert asked == []
    look(services, secret=secret)
    assert (asked, services.secrets) == ([1], ["from outside"])


def test_an_empty_store_is_blocked_and_in_check_mode_nothing_to_probe():
    services = Services([signed_in(ROLE)])
    with pytest.raises(Blocked, match="holds no secret"):
        look(services, store=FakeStore(None))
    planned, _clock = look(services, store=FakeStore(None), check_mode=True)
    assert (planned.outcome, planned.result["probes"]) == ("ok", [])
    assert planned.summary == "nothing to probe before there is a secret"
    assert services.secrets == []


def test_a_store_of_another_application_is_refused():
    with pytest.raises(Blocked, match="another application"):
        stored_secret(FakeStore(stored(client_id="99999999-0000-4000-8000-000000000001")), APP)
    with pytest.raises(Blocked, match="holds no secret"):
        stored_secret(FakeStore(stored(value=None)), APP)


def test_a_certificate_is_read_only_when_it_is_needed(tmp_path):
    services = Services([signed_in(ROLE)])
    with pytest.raises(InvalidInput, match="cannot be read"):
        look(services, app_secret=None, app_certificate_path=str(tmp_path / "none.pem"))
    assert services.secrets == []


def test_a_tenant_has_to_be_named():
    with pytest.raises(InvalidInput, match="tenant is not set"):
        look(Services([signed_in(ROLE)]), tenant=None)


def test_the_secret_is_in_no_repr():
    services = Services([signed_in(ROLE)], fax=[OPEN], adele=[DENY])
    result, _clock = look(services)
    assert SECRET not in json.dumps(result.result)
    assert SECRET not in repr(result)


def test_what_is_secret_is_masked():
    options = DOOR.argument_spec.options
    secret = {name for name, option in options.items() if option.get("no_log")}
    assert {"app_secret", "app_certificate_passphrase", "client_secret"} <= secret
    assert options["app_id"]["required"] is True


def test_one_token_that_is_not_taken_in_mid_run_is_replaced():
    services = Services([signed_in(ROLE, serial=1), signed_in(ROLE, serial=2)], fax=[Response(401), OPEN], adele=[DENY])
    result, clock = look(services)
    assert (result.outcome, clock.sleeps) == ("ok", [])


def test_a_service_that_takes_no_token_is_told():
    services = Services([signed_in(ROLE, serial=n) for n in range(9)], fax=[Response(401)] * 9, adele=[DENY])
    with pytest.raises(ServiceError, match="401"):
        look(services)


def test_the_application_s_certificate_is_called_by_its_own_option(tmp_path):
    path = tmp_path / "app.pem"
    path.write_bytes(b"")
    with pytest.raises(InvalidInput, match=r"app_certificate_path .* is empty") as caught:
        look(Services([]), app_certificate_path=str(path), app_secret=None)
    assert caught.value.options == ("app_certificate_path",)
