# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchange by way of a Windows host: settings, lost connections at every step, and what a host's errors become."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

import pytest
import requests
import winrm.exceptions

from ansible_collections.mail2fax.m365.plugins.module_utils import _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import WINDOWS_HOST
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token, token
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    Conflict,
    Forbidden,
    HostNotReady,
    InvalidInput,
    M365Error,
    MissingLibrary,
    NotFound,
    ServiceError,
    SignInError,
    Throttled,
    Unreachable,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange import host_script
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.host import (
    PIECE,
    Peer,
    Process,
    Settings,
    complaint,
    explain,
    pywinrm,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.winrm import WinRmTransport, unfit
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Patience
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.unit.script import TENANT_ID, FakeClock, jwt

PASSWORD = "Canary!Pa55"
OPTIONS: dict[str, t.Any] = {
    "winrm_host": "mgmt01",
    "winrm_user": "CONTOSO\\svc",
    "winrm_password": PASSWORD,
    "tenant": "contoso.onmicrosoft.com",
}
READ = Cmdlet("Get-Recipient", {"ResultSize": "Unlimited"}, "read")
WRITE = Cmdlet("New-DistributionGroup", {"Name": "x"}, "write")
GOOD: dict[str, t.Any] = {"powershell": "5.1.1", "modules": ["3.9.2"], "execution_policy": "RemoteSigned"}


def settings(**options: t.Any) -> Settings:
    return Settings.of({**OPTIONS, **options}, {})


# --- a host that plays a script --------------------------------------------------------------------------------


@dataclass
class Host:
    """Shells, and in each a process that answers requests by ``connect`` and ``run``. ``broken`` says what breaks:
    {(action, how many of that action before): (exception, whether the work is done first)}."""

    connect: t.Callable[[dict[str, t.Any]], dict[str, t.Any]] = lambda request: {"error": None, "host": GOOD}
    run: t.Callable[[dict[str, t.Any]], dict[str, t.Any]] = lambda call: {"value": [], "warnings": [], "error": None}
    broken: dict[tuple[str, int], tuple[Exception, bool]] = field(default_factory=dict)
    stderr: bytes = b""
    dead: bool = False
    slow: int = 0
    peers: int = 0
    log: list[str] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    requests: list[dict[str, t.Any]] = field(default_factory=list)
    shells: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def peer(self, _settings: Settings) -> Peer:
        self.peers += 1
        return t.cast("Peer", FakePeer(self))

    def step(self, action: str, work: t.Callable[[], t.Any]) -> t.Any:
        number = self.counts.get(action, 0)
        self.counts[action] = number + 1
        self.log.append(action)
        problem, done = self.broken.get((action, number), (None, False))
        if problem is not None and not done:
            raise problem
        result = work()
        if problem is not None:
            raise problem
        return result

    def feed(self, shell: dict[str, t.Any], data: bytes, end: bool) -> None:
        shell["in"] += data
        length = len(host_script.SCRIPT_BYTES)
        if not shell["script"] and len(shell["in"]) >= length + host_script.NONCE:
            assert shell["in"].startswith(host_script.SCRIPT_BYTES)
            shell["nonce"] = shell["in"][length : length + host_script.NONCE].decode()
            shell["in"], shell["script"] = shell["in"][length + host_script.NONCE :], True
        while shell["script"] and len(shell["in"]) >= 8 and len(shell["in"]) >= 8 + int(shell["in"][:8]):
            length = int(shell["in"][:8])
            request = host_script.unwire(json.loads(shell["in"][8 : 8 + length]))
            shell["in"] = shell["in"][8 + length :]
            self.requests.append(request)
            if request["do"] == "connect":
                answer = self.connect(request)
                shell["connected"] = answer.get("error") is None
            elif not shell["connected"]:
                answer = {"error": raised("System.Management.Automation.RuntimeException", "There is no connection")}
            else:
                answer = {"error": None, "outputs": [self.run(call) for call in request["cmdlets"]]}
            body = json.dumps(answer)
            head = f"{host_script.MARKER} {shell['nonce']} {request['sequence']} {len(body)}@@"
            shell["out"] += f"noise\n{head}\n{body}\n@@end@@\n".encode()
        shell["ended"] = shell["ended"] or end


class FakePeer:
    def __init__(self, host: Host) -> None:
        self._host = host

    def open_shell(self, *, codepage: int, idle_timeout: str | None) -> str:
        def work() -> str:
            name = f"shell{self._host.counts['Create']}"
            self._host.shells[name] = {"in": b"", "out": b"", "script": False, "connected": False, "ended": False}
            return name

        return str(self._host.step("Create", work))

    def run_command(self, shell_id: str, command: str, arguments: t.Iterable[str], console_mode_stdin: bool) -> str:
        assert command in host_script.EXECUTABLES.values()
        assert tuple(arguments) == host_script.ARGUMENTS
        assert console_mode_stdin is False
        return str(self._host.step("Command", lambda: "command"))

    def send_command_input(self, shell_id: str, command_id: str, stdin_input: bytes, end: bool = False) -> None:
        self._host.pieces.append(stdin_input)
        self._host.step("Send", lambda: self._host.feed(self._host.shells[shell_id], stdin_input, end))

    def get_command_output_raw(self, shell_id: str, command_id: str) -> tuple[bytes, bytes, int, bool]:
        def work() -> tuple[bytes, bytes, int, bool]:
            shell = self._host.shells[shell_id]
            if self._host.dead:
                return b"", self._host.stderr, 1, True
            if self._host.slow:
                self._host.slow -= 1
                raise winrm.exceptions.WinRMOperationTimeoutError
            out, shell["out"] = shell["out"][:5000], shell["out"][5000:]
            return out, b"", 0, shell["ended"] and not shell["out"]

        return t.cast("tuple[bytes, bytes, int, bool]", self._host.step("Receive", work))

    def cleanup_command(self, shell_id: str, command_id: str) -> None:
        self._host.step("Signal", lambda: None)

    def close_shell(self, shell_id: str) -> None:
        self._host.step("Delete", lambda: self._host.shells.pop(shell_id))


class Operator:
    """Signs in with a token of an earlier task first, where ``shared``."""

    def __init__(self, shared: bool = False, **claims: t.Any) -> None:
        self.shared, self.claims, self.asked = shared, claims, 0

    def token(self, audience: str, *, fresh: bool = False) -> Token:
        self.asked += 1
        value = token(jwt(n=self.asked, **self.claims))
        return Token(value.value, value.claims, shared=self.shared and not fresh)

    def describe(self) -> str:
        return "the operator"


def transport(host: Host, operator: Operator | None = None, budget: float = 60.0, **options: t.Any) -> WinRmTransport:
    signed_in = operator or Operator()
    return WinRmTransport(
        settings(**options), lambda: signed_in, CLOUDS["global"], Patience(FakeClock(), budget), host.peer
    )


def raised(
    kind: str, message: str, reason: str = "", identity: str = "", details: str | None = None
) -> dict[str, t.Any]:
    chain = [{"type": kind, "message": message}]
    return {"chain": chain, "details": details, "category": "NotSpecified", "reason": reason, "id": identity}


# --- settings --------------------------------------------------------------------------------------------------


def test_https_and_ntlm_unless_told_otherwise():
    found = settings()
    assert (found.endpoint, found.auth, found.encrypts) == ("https://mgmt01:5986/wsman", "ntlm", "auto")
    plain = settings(winrm_scheme="http", winrm_auth="kerberos")
    assert (plain.endpoint, plain.encrypts) == ("http://mgmt01:5985/wsman", "always")
    assert settings(winrm_host="fd00::1").endpoint == "https://[fd00::1]:5986/wsman"
    assert PASSWORD not in repr(found)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"winrm_host": None}, "no management host"),
        ({"winrm_host": "https://mgmt01"}, "bare name"),
        ({"winrm_host": "mgmt01:5986"}, "bare name"),
        ({"winrm_scheme": "http", "winrm_auth": "basic"}, "send the password readable"),
        ({"winrm_scheme": "http", "winrm_auth": "certificate"}, "needs https"),
        ({"winrm_password": None}, "winrm_user and winrm_password"),
        ({"winrm_auth": "basic", "winrm_user": ""}, "winrm_user and winrm_password"),
        ({"winrm_auth": "basic", "winrm_password": "Пароль"}, "Latin-1"),
        ({"winrm_auth": "certificate"}, "winrm_certificate_path"),
        ({"winrm_auth": "certificate", "winrm_certificate_path": "/nowhere.pem"}, "cannot be read"),
        ({"winrm_ca_path": "/nowhere.pem"}, "cannot be read"),
        ({"winrm_operation_timeout": 30}, "winrm_operation_timeout"),
        ({"winrm_operation_timeout": -1}, "winrm_operation_timeout"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_sent(options: dict[str, t.Any], part: str):
    with pytest.raises(InvalidInput) as caught:
        settings(**options)
    assert part in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"tenant": TENANT_ID}, "winrm_organization"),
        ({"tenant": None}, "winrm_organization"),
        ({"winrm_connect": "certificate_thumbprint"}, "thumbprint"),
        ({"winrm_connect": "certificate_thumbprint", "winrm_certificate_thumbprint": "A" * 40}, "winrm_app_id"),
    ],
)
def test_connecting_needs_to_know_where_and_as_whom(options: dict[str, t.Any], part: str):
    with pytest.raises(InvalidInput) as caught:
        settings(**options).check_connect()
    assert part in str(caught.value)


def test_a_task_is_refused_before_its_first_request():
    for options in ({"tenant": TENANT_ID}, {"winrm_host": ""}, {"winrm_scheme": "http", "winrm_auth": "basic"}):
        with pytest.raises(InvalidInput):
            Tenant({**OPTIONS, "exchange_transport": "winrm", **options}, environment={})
    assert Tenant({**OPTIONS, "winrm_host": ""}, environment={}).windows_host is None


def test_the_ca_comes_from_where_the_other_requests_have_theirs(tmp_path):
    other = tmp_path / "other.pem"
    own = tmp_path / "own.pem"
    for path in (other, own):
        path.write_text("")
    environment = {"REQUESTS_CA_BUNDLE": str(other)}
    assert Settings.of(OPTIONS, environment).ca_path == str(other)
    assert Settings.of({**OPTIONS, "ca_path": str(own)}, environment).ca_path == str(own)
    assert Settings.of({**OPTIONS, "winrm_ca_path": str(own), "ca_path": "x"}, environment).ca_path == str(own)


@pytest.mark.parametrize("auth", ["kerberos", "credssp"])
def test_a_missing_extra_is_told_with_its_name(auth: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(f"winrm.transport.HAVE_{auth.upper()}", False)
    with pytest.raises(MissingLibrary) as caught:
        pywinrm(settings(winrm_auth=auth))
    assert f"pywinrm[{auth}]" in str(caught.value)


def test_without_pywinrm_the_task_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ansible_collections.mail2fax.m365.plugins.module_utils._exchange.host.HAS_WINRM", False)
    with pytest.raises(MissingLibrary, match="pywinrm"):
        pywinrm(settings())


def test_messages_over_plain_http_are_encrypted_or_not_sent():
    protocol = t.cast("t.Any", pywinrm(settings(winrm_scheme="http")))
    assert protocol.transport.message_encryption == "always"
    assert protocol.transport.proxy is None


def test_every_option_has_its_variable_and_secrets_are_masked():
    for name, option in WINDOWS_HOST.options.items():
        # The address of a proxy may hold a password.
        by_file = [f"M365_{name.upper()}_FILE"] if name in ("winrm_password", "winrm_proxy") else []
        assert option["fallback"][1] == [f"M365_{name.upper()}", *by_file], name
        assert bool(option.get("no_log")) == (name == "winrm_password"), name


# --- one shell for a task --------------------------------------------------------------------------------------


def test_one_shell_and_one_connection_serve_all_cmdlets_of_a_task():
    host = Host(run=lambda call: {"value": [{"Name": call["name"]}], "warnings": ["w"], "error": None})
    carrier = transport(host)
    first = carrier.run([READ, Cmdlet("Get-Mailbox", {}, "read")])
    assert [output.value for output in first] == [[{"Name": "Get-Recipient"}], [{"Name": "Get-Mailbox"}]]
    assert first[0].warnings == ["w"]
    carrier.run([WRITE])
    carrier.close()
    assert host.log == [
        "Create",
        "Command",
        "Send",
        "Receive",
        "Send",
        "Receive",
        "Send",
        "Receive",
        "Signal",
        "Delete",
    ]
    assert [request["do"] for request in host.requests] == ["connect", "run", "run"]
    assert host.shells == {}
    carrier.close()
    assert host.counts["Delete"] == 1


def test_what_the_host_is_asked_to_connect_with():
    host = Host()
    operator = Operator()
    transport(host, operator).run([READ])
    assert host.requests[0] == {
        "do": "connect",
        "sequence": 1,
        "method": "access_token",
        "environment": "O365Default",
        "organization": "contoso.onmicrosoft.com",
        "access_token": jwt(n=1),
    }
    host = Host()
    app_id = "11111111-0000-4000-8000-000000000001"
    options = {"winrm_connect": "certificate_thumbprint", "winrm_certificate_thumbprint": "A" * 40, "client_id": app_id}
    transport(host, operator, **options).run([READ])
    assert host.requests[0]["app_id"] == app_id
    assert "access_token" not in host.requests[0]
    transport(host, operator, winrm_connect="managed_identity").run([READ])
    assert operator.asked == 1


def test_writes_go_one_by_one_and_reads_together():
    host = Host()
    transport(host).run([WRITE, WRITE, READ])
    assert [len(request["cmdlets"]) for request in host.requests if request["do"] == "run"] == [1, 1, 1]
    host = Host()
    transport(host).run([READ] * 25)
    assert [len(request["cmdlets"]) for request in host.requests if request["do"] == "run"] == [25]


def test_long_requests_go_in_pieces_that_fit_an_envelope():
    members = [f"user{number:04}@contoso.example \u202e'$x" for number in range(20000)]
    host = Host()
    transport(host).run([Cmdlet("New-DistributionGroup", {"Name": "x", "Members": members}, "write")])
    assert host.requests[-1]["cmdlets"][0]["parameters"]["Members"] == members
    assert len(host.pieces) > 5
    assert max(map(len, host.pieces)) <= PIECE
    assert PIECE * 4 / 3 + 8192 < 153600


def test_a_slow_host_is_polled_and_a_dead_line_ends_it():
    host = Host(slow=50)
    assert transport(host).run([READ])[0].value == []
    host = Host(slow=10**6)
    carrier = transport(host, winrm_deadline=1)
    clock = t.cast("FakeClock", carrier._clock)
    original = FakePeer.get_command_output_raw

    def late(self: FakePeer, shell_id: str, command_id: str) -> tuple[bytes, bytes, int, bool]:
        clock.passed += 0.4
        return original(self, shell_id, command_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakePeer, "get_command_output_raw", late)
        with pytest.raises(AnswerLost, match="within 1 seconds"):
            carrier.run([WRITE])
    assert host.shells == {}


def test_a_limit_is_kept_and_annotations_are_stripped():
    rows = [{"Name": number, "Guid@odata.type": "#Guid"} for number in range(9)]
    host = Host(run=lambda call: {"value": rows, "warnings": [], "error": None})
    output = transport(host).run([Cmdlet("Get-Recipient", {}, "read", 4)])[0]
    assert output.value == [{"Name": number} for number in range(4)]
    assert host.requests[-1]["cmdlets"][0]["limit"] == 4


def test_a_token_that_ends_during_the_task_is_replaced_with_its_connection():
    host = Host()
    operator = Operator()
    carrier = transport(host, operator)
    clock = t.cast("FakeClock", carrier._clock)
    operator.claims = {"exp": (clock.now().timestamp() + 3600)}
    carrier.run([READ])
    carrier.run([READ])
    assert host.counts["Create"] == 1
    clock.passed += 3590
    carrier.run([READ])
    assert (host.counts["Create"], host.counts["Delete"], operator.asked) == (2, 1, 2)


def test_a_refused_token_of_an_earlier_task_is_replaced_once():
    def connect(request: dict[str, t.Any]) -> dict[str, t.Any]:
        refused = request["access_token"] == jwt(n=1)
        return {"error": raised("System.Exception", "UnAuthorized") if refused else None, "host": GOOD}

    host = Host(connect=connect)
    assert transport(host, Operator(shared=True)).run([READ])[0].error is None
    assert host.counts["Create"] == 2
    host = Host(connect=connect)
    with pytest.raises(Forbidden):
        transport(host, Operator()).run([READ])


# --- lost connections ------------------------------------------------------------------------------------------

RESET = requests.exceptions.ConnectionError("Connection aborted.")
REFUSED = requests.exceptions.ConnectionError("Failed to establish a new connection: NewConnectionError")
ACTIONS = ["Create", "Command", "Send", "Receive"]


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_connection_that_breaks_costs_a_read_nothing(action: str, done: bool):
    host = Host(
        run=lambda call: {"value": [{"Name": "x"}], "warnings": [], "error": None},
        broken={(action, 0): (RESET, done)},
    )
    carrier = transport(host)
    assert carrier.run([READ])[0].value == [{"Name": "x"}]
    carrier.close()
    # Of a shell that was made and never told of, only the host's idle time-out can dispose.
    assert len(host.shells) == (1 if (action, done) == ("Create", True) else 0)


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_write_is_never_sent_twice(action: str, done: bool):
    host = Host(broken={(action, 1 if action in ("Send", "Receive") else 0): (RESET, done)})
    carrier = transport(host)
    if action in ("Create", "Command"):
        carrier.run([WRITE])  # nothing had been sent by then
    else:
        carrier.run([READ])
        with pytest.raises(AnswerLost) as caught:
            carrier.run([WRITE])
        assert caught.value.attempted == "write"
    assert sum(call["name"] == WRITE.name for request in host.requests for call in request.get("cmdlets", [])) <= 1
    carrier.close()
    assert [name for name in host.shells if name != "shell1"] == []


def test_a_request_that_is_cut_off_was_not_carried_out():
    big = Cmdlet("New-DistributionGroup", {"Name": "x" * 3 * PIECE}, "write")
    host = Host(broken={("Send", 1): (RESET, True)})
    carrier = transport(host)
    carrier.run([big])
    assert host.counts["Create"] == 2
    assert sum(len(request.get("cmdlets", [])) for request in host.requests) == 1


def test_a_host_that_cannot_be_reached_is_tried_until_the_patience_ends():
    host = Host(broken={("Create", number): (REFUSED, False) for number in range(99)})
    with pytest.raises(Unreachable) as caught:
        transport(host, budget=20).run([WRITE])
    assert host.counts["Create"] > 3
    assert "firewall" in caught.value.cure
    assert caught.value.attempted == "write"


@pytest.mark.parametrize("action", ["Send", "Receive", "Signal", "Delete"])
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_tidying_up_begins_anew_when_its_connection_breaks(action: str, done: bool):
    number = 1 if action in ("Send", "Receive") else 0
    host = Host(broken={(action, number): (RESET, done)})
    carrier = transport(host)
    carrier.run([READ])
    gone = winrm.exceptions.WSManFaultError(500, "", "", "gone", wsman_fault_code=2150858843)
    if (action, done) == ("Delete", True):
        host.broken[("Delete", 1)] = (gone, False)
    carrier.close()
    assert host.shells == {}
    assert carrier._process is None
    # The encryption of a broken connection is of no use on the next one.
    assert host.peers > 1


def test_a_shell_that_the_host_removed_is_replaced():
    gone = winrm.exceptions.WSManFaultError(500, "", "", "not found", wsman_fault_code=2150858843)
    host = Host(broken={("Send", 1): (gone, False)})
    carrier = transport(host)
    carrier.run([READ])
    carrier.run([WRITE])
    assert host.counts["Create"] == 2


def test_a_busy_host_gets_the_same_bytes_again_and_a_late_one_does_not():
    busy = winrm.exceptions.WSManFaultError(500, "", "", "busy", wsman_fault_code=170)
    host = Host(broken={("Send", 1): (busy, False)})
    carrier = transport(host)
    carrier.run([READ])
    carrier.run([WRITE])
    assert (host.counts["Create"], host.pieces[1]) == (1, host.pieces[2])
    late = Host(broken={("Send", 1): (winrm.exceptions.WinRMOperationTimeoutError(), True)})
    carrier = transport(late)
    carrier.run([READ])
    carrier.run([WRITE])
    assert late.counts["Send"] == 2


@pytest.mark.parametrize("action", ["Create", "Command"])
def test_a_host_that_is_slow_or_busy_at_the_start_is_tried_again(action: str):
    busy = winrm.exceptions.WSManFaultError(500, "", "", "busy", wsman_fault_code=170)
    for problem in (winrm.exceptions.WinRMOperationTimeoutError(), busy):
        host = Host(broken={(action, 0): (problem, False)})
        assert transport(host).run([WRITE])[0].error is None
        host = Host(broken={(action, number): (problem, False) for number in range(99)})
        with pytest.raises(Unreachable):
            transport(host, budget=2).run([WRITE])


def test_a_host_that_is_busy_while_it_answers_leaves_it_open():
    busy = winrm.exceptions.WSManFaultError(500, "", "", "busy", wsman_fault_code=170)
    with pytest.raises(AnswerLost):
        transport(Host(broken={("Receive", 0): (busy, False)})).run([WRITE])


def test_a_host_that_takes_no_idle_timeout_gets_none():
    schema = winrm.exceptions.WSManFaultError(500, "", "", "schema", wsman_fault_code=2150858817)
    host = Host(broken={("Create", 0): (schema, False)})
    transport(host).run([READ])
    assert host.counts["Create"] == 2


def test_a_host_that_loses_exchange_s_answer_to_a_write_leaves_it_open():
    lost = {"value": [], "warnings": [], "error": raised("System.Net.Http.HttpRequestException", "sending the request")}
    host = Host(run=lambda call: lost)
    with pytest.raises(AnswerLost, match="New-DistributionGroup"):
        transport(host).run([WRITE])
    assert host.shells == {}
    answers = iter([lost, {"value": [], "warnings": [], "error": None}])
    assert transport(Host(run=lambda call: next(answers))).run([READ])[0].error is None


@pytest.mark.parametrize(
    "nothing",
    [
        raised("System.Exception", "<!DOCTYPE html><html>Service unavailable</html>"),
        raised("System.Exception", ""),
        raised(
            "Microsoft.PowerShell.Commands.HttpResponseException",
            "Response status code does not indicate success: 500 (Internal Server Error).",
        ),
    ],
)
def test_an_answer_of_exchange_that_is_none_is_asked_for_again(nothing: dict[str, t.Any]):
    lost = {"value": [], "warnings": [], "error": nothing}
    answers = iter([lost, {"value": [], "warnings": [], "error": None}])
    assert transport(Host(run=lambda call: next(answers))).run([READ])[0].error is None
    with pytest.raises(AnswerLost):
        transport(Host(run=lambda call: lost)).run([WRITE])
    problems = iter([nothing, None])
    flickering = Host(connect=lambda request: {"error": next(problems), "host": GOOD})
    assert transport(flickering).run([WRITE])[0].error is None


# --- errors ----------------------------------------------------------------------------------------------------


def exchange_s(kind: str, words: str) -> dict[str, t.Any]:
    identity = "[Server=AM1,RequestId=7f6f2d5f-726b-5584-2121-922596043d50,TimeStamp=Tue],Write-ErrorMessage"
    return raised("System.Exception", f"Ex6F9304|Microsoft.Exchange.Tasks.{kind}|{words}", kind, identity)


@pytest.mark.parametrize(
    ("problem", "kind", "code"),
    [
        (
            exchange_s("ManagementObjectNotFoundException", "no such thing"),
            NotFound,
            "ManagementObjectNotFoundException",
        ),
        (exchange_s("ADObjectAlreadyExistsException", "there"), Conflict, "ADObjectAlreadyExistsException"),
        (exchange_s("MemberAlreadyExistsException", "there"), Conflict, "MemberAlreadyExistsException"),
        (exchange_s("RecipientTaskException", "a|b|c"), ServiceError, "RecipientTaskException"),
        (
            raised("System.Management.Automation.ParameterBindingException", "No -X"),
            ServiceError,
            "ParameterBindingException",
        ),
        (raised("System.Management.Automation.CommandNotFoundException", "no"), Forbidden, "CommandNotFoundException"),
        (raised("System.Exception", "Forbidden"), Forbidden, "Exception"),
        (raised("System.Management.Automation.RemoteException", "t", "TaskException"), ServiceError, "TaskException"),
        (
            raised("System.Exception", "?", details='{"error": {"details": [{"message": "Ex1|A.B.NotThere|words"}]}}'),
            ServiceError,
            "NotThere",
        ),
    ],
)
def test_what_the_module_says_becomes_the_error_that_rest_gives(problem: dict, kind: type[M365Error], code: str):
    host = Host(run=lambda call: {"value": [], "warnings": [], "error": problem})
    error = transport(host, budget=1).run([READ])[0].error
    assert error.__class__ is kind
    assert error is not None
    assert (error.code, error.attempted) == (code, "read")
    if "Write-ErrorMessage" in problem["id"]:
        assert error.request_id == "7f6f2d5f-726b-5584-2121-922596043d50"
        assert problem["chain"][0]["message"].split("|", 2)[2] in error.message


def test_a_stumbling_exchange_is_asked_again():
    busy = {"value": [], "warnings": [], "error": exchange_s("ServerBusyException", "Busy.")}
    fine = {"value": [{"Name": "x"}], "warnings": [], "error": None}
    answers = iter([fine, busy, busy, fine])
    host = Host(run=lambda call: next(answers))
    outputs = transport(host).run([READ, READ])
    assert [output.value for output in outputs] == [[{"Name": "x"}]] * 2
    assert [len(request["cmdlets"]) for request in host.requests[1:]] == [2, 1, 1]
    assert host.counts["Create"] == 1
    error = transport(Host(run=lambda call: busy), budget=3).run([WRITE])[0].error
    assert isinstance(error, Throttled)


CONNECTING: list[tuple[dict[str, t.Any], dict[str, t.Any], type[M365Error], str]] = [
    ({}, raised("System.Exception", "UnAuthorized"), Forbidden, "Exchange.ManageAsApp"),
    (
        {},
        raised("System.SystemException", "The role assigned to application x isn't supported in this scenario."),
        Forbidden,
        "Exchange Administrator",
    ),
    ({}, raised("Msal", "AADSTS700027: The certificate is not registered"), SignInError, "upload the certificate"),
    ({"modules": []}, raised("System.IO.FileNotFoundException", "?"), HostNotReady, "Install-Module"),
    ({"modules": ["3.0.0"]}, raised("X", "?"), HostNotReady, "3.1.0 or later"),
    ({"powershell": "4.0"}, raised("X", "?"), HostNotReady, "Windows PowerShell 5.1"),
    ({"powershell": "7.4.1", "modules": ["3.10.0"]}, raised("X", "?"), HostNotReady, "Windows PowerShell 5.1"),
    ({"framework_release": 394802}, raised("X", "?"), HostNotReady, ".NET Framework 4.8"),
    ({"execution_policy": "AllSigned"}, raised("X", "?"), HostNotReady, "RemoteSigned"),
    ({"temporary_folder": "C:\\Users\\MGMT01$\\Temp"}, raised("X", "?"), HostNotReady, "machine account"),
    ({}, raised("PSSecurityException", "running scripts is disabled on this system"), HostNotReady, "RemoteSigned"),
    ({}, raised("CryptographicException", "Keyset does not exist"), HostNotReady, "read access to the key"),
    ({}, raised("X", "No certificate found in the store"), HostNotReady, "LocalMachine\\My"),
    ({}, raised("WebException", "Could not create SSL/TLS secure channel."), HostNotReady, "TLS 1.2"),
    ({}, raised("WebException", "The remote name could not be resolved: 'x'"), HostNotReady, "winhttp"),
    ({}, raised("X", "The term 'Update-ModuleManifest' is not recognized"), HostNotReady, "PowerShellGet"),
    ({}, raised("X", "SwitchParameter required by parameter 'Verbose'"), HostNotReady, "VerbosePreference"),
    ({}, raised("System.OutOfMemoryException", "OutOfMemoryException"), HostNotReady, "MaxMemoryPerShellMB"),
    ({}, raised("X", "Managed Identity is not available"), HostNotReady, "managed identity"),
    ({}, raised("X", "something new"), HostNotReady, "guide"),
]


@pytest.mark.parametrize(("host", "problem", "kind", "part"), CONNECTING)
def test_why_a_host_cannot_connect(host: dict, problem: dict, kind: type[M365Error], part: str):
    fake = Host(connect=lambda request: {"error": problem, "host": {**GOOD, **host}})
    carrier = transport(fake, budget=0)
    with pytest.raises(M365Error) as caught:
        carrier.run([READ])
    assert caught.value.__class__ is kind
    assert part in str(caught.value)
    assert fake.shells == {}


def test_a_connection_that_flickers_is_tried_again():
    problems = iter(
        [raised("System.Net.Http.HttpRequestException", "An error occurred while sending the request."), None]
    )
    host = Host(connect=lambda request: {"error": next(problems), "host": GOOD})
    assert transport(host).run([WRITE])[0].error is None
    assert host.counts["Create"] == 2


def test_another_tenant_is_not_touched():
    other = {"TenantID": "22222222-0000-4000-8000-000000000002"}
    host = Host(connect=lambda request: {"error": None, "host": GOOD, "connection": other})
    with pytest.raises(HostNotReady, match="another tenant"):
        transport(host).run([WRITE])


@pytest.mark.parametrize(
    ("stderr", "code"),
    [
        ("mail2fax.m365: the script arrived changed, 17000 bytes", "script_changed"),
        (
            "Cannot invoke method. Method invocation is supported only on core types in this language mode.",
            "language_mode",
        ),
        ("'pwsh.exe' is not recognized as an internal or external command,", "no_powershell"),
        (
            '#< CLIXML\r\n<Objs><S S="progress">1</S><S S="Error">System.OutOfMemoryException_x000D__x000A_</S></Objs>',
            "memory",
        ),
    ],
)
def test_powershell_that_ends_before_it_answers(stderr: str, code: str):
    host = Host(dead=True, stderr=stderr.encode())
    with pytest.raises(HostNotReady) as caught:
        transport(host).run([READ])
    assert caught.value.code == code
    assert host.shells == {}
    with pytest.raises(AnswerLost, match="ended before it answered"):
        transport(Host(dead=True, stderr=b"weird")).run([WRITE])


def test_a_process_that_dies_after_it_began_may_have_done_the_work():
    host = Host()
    carrier = transport(host)
    carrier.run([READ])
    host.dead, host.stderr = True, b"System.OutOfMemoryException"
    with pytest.raises(AnswerLost):
        carrier.run([WRITE])


def fault(code: int, reason: str) -> Exception:
    return winrm.exceptions.WSManFaultError(500, "", "", reason, wsman_fault_code=code)


@pytest.mark.parametrize(
    ("exc", "kind", "code", "part"),
    [
        (winrm.exceptions.InvalidCredentialsError("x"), HostNotReady, "unauthorized", "winrm_password"),
        (fault(5, "Access is denied."), HostNotReady, "5", "Remote Management Users"),
        (fault(2150859173, "maximum number of 5 concurrent shells"), HostNotReady, "2150859173", "MaxShellsPerUser"),
        (fault(2150859174, "15 concurrent operations"), HostNotReady, "2150859174", "MaxConcurrentOperationsPerUser"),
        (fault(1, "Not enough memory resources"), HostNotReady, "1", "MaxMemoryPerShellMB"),
        (fault(99, "Something"), HostNotReady, "99", "guide"),
        (winrm.exceptions.WinRMTransportError("http", 404, "<html>"), HostNotReady, "no_wsman", "winrm quickconfig"),
        (winrm.exceptions.WinRMTransportError("http", 400, ""), Unreachable, None, "session"),
        (winrm.exceptions.WinRMTransportError("http", 502, ""), Unreachable, None, "502"),
        (winrm.exceptions.WinRMError("message encryption is set"), HostNotReady, "no_encryption", "https"),
        (
            requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"),
            HostNotReady,
            "certificate_untrusted",
            "winrm_ca_path",
        ),
        (
            requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED: Hostname mismatch"),
            HostNotReady,
            "certificate_name",
            "winrm_host",
        ),
        (
            requests.exceptions.SSLError("tlsv13 alert certificate required"),
            HostNotReady,
            "client_certificate",
            "map it",
        ),
        (requests.exceptions.SSLError("WRONG_VERSION_NUMBER"), HostNotReady, "tls", "winrm_port"),
        (requests.exceptions.ProxyError("x"), Unreachable, None, "winrm_proxy"),
        (requests.exceptions.ConnectTimeout("x"), Unreachable, None, "firewall"),
        (REFUSED, Unreachable, None, "firewall"),
        (requests.exceptions.ReadTimeout("x"), Unreachable, None, "run again"),
        (
            PermissionError("Access denied: Server did not respond with NTLM challenge token"),
            HostNotReady,
            "no_ntlm",
            "NTLM",
        ),
    ],
)
def test_what_keeps_us_from_a_host(exc: Exception, kind: type[M365Error], code: str | None, part: str):
    problem, _arrived = explain(exc, settings())
    assert problem is not None
    assert problem.__class__ is kind
    assert problem.code == code
    assert part in str(problem)
    assert "mgmt01" in str(problem)
    host = Host(broken={("Create", 0): (exc, False)})
    with pytest.raises(type(problem)):
        transport(host, budget=0).run([READ])


def test_a_defect_of_ours_is_not_taken_for_the_host_s():
    assert explain(KeyError("x"), settings()) == (None, False)


def test_every_problem_has_words_and_a_cure():
    assert set(_texts.HOST_FAULTS.values()) <= set(_texts.HOST)
    assert {problem for _wording, problem in _texts.HOST_WORDINGS} <= set(_texts.HOST)
    for known in _texts.HOST.values():
        assert known.meaning
        assert known.cure


def test_secrets_do_not_appear_in_what_is_quoted():
    value = jwt(n=1)
    words = f"bad token {value} for {PASSWORD}"
    host = Host(connect=lambda request: {"error": raised("X", words), "host": GOOD})
    with pytest.raises(M365Error) as caught:
        transport(host).run([READ])
    host = Host(run=lambda call: {"value": [], "warnings": [], "error": raised("X", words)})
    error = transport(host).run([READ])[0].error
    dead = Host(dead=True, stderr=words.encode())
    with pytest.raises(M365Error) as died:
        transport(dead, budget=0).run([READ])
    for shown in (caught.value, error, died.value):
        assert isinstance(shown, M365Error)
        text = f"{shown} {shown.as_result()}"
        assert value not in text
        assert PASSWORD not in text


def test_what_a_process_complains_of_is_told_apart_from_clixml():
    raw = (
        b'#< CLIXML\r\n<Objs Version="1.1.0.1"><Obj S="progress"><S>Preparing</S></Obj>'
        b'<S S="warning">careful</S><S S="Error">It &lt;broke&gt;_x000D__x000A_here</S></Objs>'
    )
    assert complaint(raw) == "It <broke> here"
    assert complaint("caf\u00e9\r\nx\x00".encode()) == "caf\u00e9 x"
    assert complaint(b"") == ""


@pytest.mark.parametrize(
    ("host", "connect", "expected"),
    [
        (GOOD, "access_token", []),
        ({**GOOD, "modules": ["3.0.0"]}, "certificate_thumbprint", []),
        ({**GOOD, "powershell": "7.4.6", "modules": ["3.10.0", "3.9.2"]}, "access_token", []),
        ({**GOOD, "powershell": "7.2.1", "modules": ["3.9.2"]}, "access_token", ["powershell_old"]),
        ({**GOOD, "powershell": "7.6.0-preview.2", "modules": ["3.10.1"]}, "access_token", []),
        (
            {**GOOD, "language_mode": "ConstrainedLanguage", "modules": []},
            "access_token",
            ["language_mode", "module_missing"],
        ),
        ({**GOOD, "framework_release": 461808}, "access_token", []),
        ({}, "access_token", []),
    ],
)
def test_what_versions_and_settings_mean(host: dict, connect: str, expected: list[str]):
    assert [problem for problem, _found in unfit(host, connect)] == expected


def test_a_process_that_is_not_open_has_nothing_to_close():
    assert Process(settings(), FakeClock(), Host().peer).close() is True


@pytest.mark.parametrize(
    ("no_proxy", "host", "proxied"),
    [("", "host.contoso.com", True), (".contoso.com", "host.contoso.com", False), ("10.0.0.0/8", "10.1.1.1", False)],
)
def test_no_proxy_holds_for_the_management_host_s_proxy_too(no_proxy, host, proxied):
    options = {"winrm_host": host, "winrm_proxy": "http://proxy:1", "winrm_auth": "kerberos"}
    assert (Settings.of(options, {"NO_PROXY": no_proxy}).proxy is not None) is proxied


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"\x30\x82", "DER"), (b"x", "no certificate")])
def test_a_ca_file_for_the_host_that_cannot_do_is_told(tmp_path, content, words):
    path = tmp_path / "ca"
    path.write_bytes(content)
    options = {"winrm_host": "host.contoso.com", "winrm_auth": "kerberos", "winrm_ca_path": str(path)}
    with pytest.raises(InvalidInput, match=words) as caught:
        pywinrm(Settings.of(options, {}))
    assert caught.value.options == ("winrm_ca_path",)


def test_what_a_host_takes_long_for_is_told():
    told: list[tuple[float, str]] = []
    host, clock = Host(slow=50), FakeClock()
    patience = Patience(clock, 60.0, told=lambda seconds, what: told.append((seconds, what)))
    carrier = WinRmTransport(settings(), Operator, CLOUDS["global"], patience, host.peer)
    original = FakePeer.get_command_output_raw

    def late(self: FakePeer, shell_id: str, command_id: str) -> tuple[bytes, bytes, int, bool]:
        clock.passed += 2.0
        return original(self, shell_id, command_id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakePeer, "get_command_output_raw", late)
        carrier.run([READ])
    assert told[0][0] == 16.0
    assert told[0][1].startswith(f"{settings().host}, to ")
    assert len(told) <= 3
