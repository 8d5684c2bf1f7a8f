# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchange through a Windows host, against one that is emulated: pywinrm, its encryption and its sockets are real."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import typing as t

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from requests_ntlm import HttpNtlmAuth
from winrm.protocol import Protocol

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import NotFound
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange import host_script
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.host import IDLE_S
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from tests.emulator import testing
from tests.emulator.testing import DEMO_TENANT, Emulator
from tests.integration import fleet
from tests.integration.chain import Chain, changed, red
from tests.integration.exchange_admin import ALIAS, APP, FAX, HELP, NAME, TENANTS, at, changes, group_in
from tests.integration.harness import DOMAIN, EXCHANGE, OPERATOR, TENANT_ID, run
from tests.integration.transports import (
    HOST,
    PASSWORD,
    TRANSPORTS,
    USER,
    WINDOWS_HOST,
    reached,
    round_trips,
    start_emulator,
)

GROUP: dict[str, t.Any] = {"name": NAME, "alias": ALIAS, "members": [FAX], "owners": []}
THUMBPRINT = "0123456789ABCDEF0123456789ABCDEF01234567"
ONE_USER = [{"name": USER, "password": PASSWORD}]


def certificate(folder: pathlib.Path, name: str) -> tuple[pathlib.Path, pathlib.Path]:
    """A client certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


HOSTS: dict[str, dict[str, t.Any]] = {
    "no-module": {"modules": []},
    "old-module": {"modules": ["3.0.0"]},
    "old-powershell": {"powershell": "7.2.1", "modules": ["3.9.2"], "route": False},
    "signed-only": {"execution_policy": "AllSigned"},
    "no-tls12": {"tls12": False},
    "no-route": {"route": False},
    "constrained": {"language_mode": "ConstrainedLanguage"},
    "translating": {"corrupts_input": True},
    "machine-account": {"temporary_folder": "C:\\Windows\\ServiceProfiles\\MGMT01$\\Temp\\"},
    "full": {"max_shells": 0},
    "without-idle": {"takes_idle_timeout": False},
    "slow": {"connect_s": 2.5},
    "keys": {
        "certificates": [
            {"thumbprint": THUMBPRINT, "client_id": OPERATOR["client_id"]},
            {"thumbprint": "B" * 40, "client_id": OPERATOR["client_id"], "readable": False},
        ],
        "managed_identity": "11111111-0000-4000-8000-000000000009",
    },
}
IDENTITY = {
    "client_id": "11111111-0000-4000-8000-000000000009",
    "app_roles": ["Exchange.ManageAsApp"],
    "directory_roles": ["Exchange Administrator"],
    "managed_identity": True,
}


class World(t.NamedTuple):
    emulator: Emulator
    certificate: pathlib.Path
    key: pathlib.Path
    stranger: tuple[pathlib.Path, pathlib.Path]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[World]:
    folder = tmp_path_factory.mktemp("certificates")
    own, key = certificate(folder, "svc-m365")
    stranger = certificate(folder, "stranger")
    users = [{**ONE_USER[0], "certificate": own.read_text()}]
    hosts = [{**WINDOWS_HOST, "users": users}]
    hosts += [{"name": name, "users": ONE_USER, **keys} for name, keys in HOSTS.items()]
    tenant = {**TENANTS["tenants"][0], "operators": [*TENANTS["tenants"][0]["operators"], IDENTITY]}
    with contextlib.ExitStack() as stack:
        emulator = stack.enter_context(testing.start_emulator({"tenants": [tenant], "windows_hosts": hosts}))
        yield World(emulator, own, key, stranger)
        shells = {name: host["open_shells"] for name, host in emulator.windows_hosts().items()}
        assert shells == dict.fromkeys(shells, 0)


@pytest.fixture
def world(running: World) -> World:
    running.emulator.reset()
    running.emulator.faults([])
    running.emulator.clear_journal()
    running.emulator.connection = {}
    return running


def apply(emulator: Emulator, connection: dict[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
    return run("exchange_security_group", {**GROUP, **options}, emulator, **connection)


def asked(emulator: Emulator) -> list[str]:
    """The cmdlets that ran, in order."""
    return [row["cmdlet"] for row in emulator.journal() if row["host"] == EXCHANGE and row["cmdlet"]]


# --- both ways leave the same ----------------------------------------------------------------------------------

_VOLATILE = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<guid>"),
    (r"\b[0-9a-f]{32}\b", "<hex>"),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|\+00:00)", "<time>"),
    (r"S-1-5-21[-0-9]+", "<sid>"),
    (r'"SamAccountName": "[^"]*"', '"SamAccountName": "<name>"'),
    (r'"customKeyIdentifier": "[^"]*"', '"customKeyIdentifier": "<key>"'),
)


def alike(state: dict[str, t.Any]) -> t.Any:
    """A tenant's state without what differs between two of a kind: ids, times, and the order of sets."""

    def plain(value: t.Any) -> t.Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in sorted(value.items()) if key not in ("signIns", "id")}
        if isinstance(value, list):
            return sorted((plain(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
        return value

    text = json.dumps(state)
    for pattern, word in _VOLATILE:
        text = re.sub(pattern, word, text, flags=re.IGNORECASE)
    return plain(json.loads(text))


class Lived(t.NamedTuple):
    first: dict[str, t.Any]
    second: dict[str, t.Any]
    state: t.Any
    drifted: dict[str, t.Any]
    mended: dict[str, t.Any]
    trips: dict[str, int]
    cmdlets: list[str]
    exposures: list[t.Any]


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lived]:
    """The whole chain by each transport: made, run again, damaged, mended."""
    found = {}
    for transport in TRANSPORTS:
        with start_emulator(DEMO_TENANT, transport) as emulator:
            chain = Chain(emulator, tmp_path_factory.mktemp(transport), ews_opt_in=True)
            first = chain.run()
            state = alike(emulator.state(TENANT_ID))
            emulator.clear_journal()
            second = chain.run()
            trips, cmdlets = round_trips(emulator), asked(emulator)
            tenant = Tenant({**OPERATOR, "patience": 20}, environment=emulator.env())
            tenant.exchange.invoke(
                "Remove-DistributionGroupMember",
                "play somebody else",
                Identity="imagicle.digital.fax",
                Member=f"fax@{DOMAIN}",
                BypassSecurityGroupManagerCheck=True,
                Confirm=False,
            )
            drifted = chain.run(check_mode=True)
            mended = chain.run()
            found[transport] = Lived(first, second, state, drifted, mended, trips, cmdlets, emulator.exposures())
    return found


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_chain_runs_by_either_transport(lives: dict[str, Lived], transport: str):
    lived = lives[transport]
    assert red(lived.first) == red(lived.second) == red(lived.mended) == {}
    assert changed(lived.first) >= {"application", "group", "policy", "secret", "consent"}
    assert changed(lived.second) == set()
    assert changed(lived.drifted) == changed(lived.mended) == {"group"}
    assert lived.exposures == []


def test_both_transports_leave_the_same_tenant_and_say_the_same(lives: dict[str, Lived]):
    assert lives["rest"].state == lives["winrm"].state
    for name in ("first", "second", "drifted", "mended"):
        said = [
            {step: (result["outcome"], result["summary"], result.get("steps")) for step, result in results.items()}
            for results in (getattr(lives[transport], name) for transport in TRANSPORTS)
        ]
        assert json.loads(re.sub(_VOLATILE[0][0], "<guid>", json.dumps(said[0]))) == json.loads(
            re.sub(_VOLATILE[0][0], "<guid>", json.dumps(said[1]))
        )


def test_a_run_that_changes_nothing_opens_one_shell_per_task(lives: dict[str, Lived]):
    trips = lives["winrm"].trips
    with_exchange = {"group", "policy", "ews", "verdict"}
    assert trips["Create"] == trips["Delete"] == trips["Command"] == trips["Signal"] == len(with_exchange)
    # One Send with script, connection and cmdlets, one that ends the input; one answer, one end.
    assert trips["Send"] == trips["Receive"] == 2 * len(with_exchange)
    assert lives["winrm"].cmdlets == lives["rest"].cmdlets


# --- signing in to the host ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scheme", "auth"), [("https", "basic"), ("https", "ntlm"), ("http", "ntlm")])
def test_passwords(world: World, scheme: str, auth: str):
    emulator = world.emulator
    result = apply(emulator, reached(emulator, scheme=scheme, auth=auth))
    assert result["outcome"] == "changed", result
    assert group_in(emulator) is not None
    emulator.clear_journal()
    result = apply(emulator, {**reached(emulator, scheme=scheme, auth=auth), "winrm_password": "wrong"})
    assert (result["outcome"], result["error"]["code"]) == ("blocked", "unauthorized")
    assert "wrong" not in json.dumps(result)
    assert {row["status"] for row in emulator.journal() if row["host"] == HOST} == {401}
    assert asked(emulator) == []


def test_a_client_certificate(world: World):
    emulator = world.emulator
    connection = {
        **reached(emulator, auth="certificate"),
        "winrm_user": None,
        "winrm_password": None,
        "winrm_certificate_path": str(world.certificate),
        "winrm_certificate_key_path": str(world.key),
    }
    assert apply(emulator, connection)["outcome"] == "changed"
    paths = dict(zip(("winrm_certificate_path", "winrm_certificate_key_path"), map(str, world.stranger), strict=True))
    emulator.clear_journal()
    result = apply(emulator, {**connection, **paths, "patience": 1})
    assert result["outcome"] in ("blocked", "failed")
    assert "client certificate" in result["msg"]
    assert asked(emulator) == []


def test_a_listener_s_certificate_is_verified(world: World, tmp_path: pathlib.Path):
    emulator = world.emulator
    other = tmp_path / "other.pem"
    other.write_bytes(world.certificate.read_bytes())
    result = apply(emulator, {**reached(emulator), "winrm_ca_path": str(other)})
    assert (result["outcome"], result["error"]["code"]) == ("blocked", "certificate_untrusted")
    assert asked(emulator) == []
    unchecked = {**reached(emulator), "winrm_ca_path": str(other), "winrm_validate_certs": False}
    assert apply(emulator, unchecked)["outcome"] == "changed"


class Tap:
    """Passes connections on to a port of this machine and keeps what went over them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.seen = bytearray()
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _address = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(("127.0.0.1", self._port))
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.seen += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def tap(world: World) -> t.Iterator[Tap]:
    listening = Tap(world.emulator.winrm[HOST]["http"])
    yield listening
    listening.close()


def test_over_plain_http_nothing_can_be_read(world: World, tap: Tap):
    connection = {**reached(world.emulator, scheme="http", auth="ntlm"), "winrm_port": tap.port}
    assert apply(world.emulator, connection)["outcome"] == "changed"
    assert tap.seen.count(b"application/HTTP-SPNEGO-session-encrypted") > 10
    readable = (PASSWORD, "Envelope", "CommandId", "DistributionGroup", NAME, host_script.ARGUMENTS[-1][:40], "eyJ")
    assert [word for word in readable if word.encode() in tap.seen] == []


def test_basic_over_plain_http_is_refused_before_anything_leaves(world: World, tap: Tap):
    connection = {**reached(world.emulator, scheme="http", auth="basic"), "winrm_port": tap.port}
    result = apply(world.emulator, connection)
    assert result["outcome"] == "failed"
    assert "password readable" in result["msg"]
    assert (tap.connections, world.emulator.journal()) == (0, [])


def test_the_peer_itself_takes_no_readable_message_over_plain_http(world: World):
    """Or the two tests before would prove nothing."""
    port = world.emulator.winrm[HOST]["http"]
    with requests.Session() as session:
        session.trust_env = False
        basic = session.post(f"http://127.0.0.1:{port}/wsman", data="<x/>", auth=(USER, PASSWORD), timeout=10)
        assert basic.status_code == 401
        readable = session.post(
            f"http://127.0.0.1:{port}/wsman", data="<x/>", auth=HttpNtlmAuth(USER, PASSWORD), timeout=10
        )
        assert readable.status_code == 403


def test_the_peer_runs_nothing_but_the_collection_s_script(world: World):
    protocol = Protocol(
        f"https://localhost:{world.emulator.winrm[HOST]['https']}/wsman",
        transport="basic",
        username=USER,
        password=PASSWORD,
        ca_trust_path=world.emulator.ca,
        proxy=None,
    )
    shell = protocol.open_shell()
    for command, arguments, given in (
        ("powershell.exe", ["-Command", "Get-Date"], b""),
        ("cmd.exe", ["/c", "dir"], b""),
        ("powershell.exe", [*host_script.ARGUMENTS, "-NoExit"], b""),
        ("powershell.exe", list(host_script.ARGUMENTS), host_script.SCRIPT_BYTES[:-1] + b"!"),
    ):
        running = protocol.run_command(shell, command, arguments, console_mode_stdin=False)
        if given:
            protocol.send_command_input(shell, running, given, end=True)
        _output, complaint, code = protocol.get_command_output(shell, running)
        assert code != 0, arguments
        assert complaint
    # A console is no stream of bytes.
    running = protocol.run_command(shell, "powershell.exe", host_script.ARGUMENTS)
    assert protocol.get_command_output(shell, running)[2] != 0
    protocol.close_shell(shell)
    assert asked(world.emulator) == []


# --- what goes through -----------------------------------------------------------------------------------------

HOSTILE = [
    "O'Brien's \"fax\" & co; $(id) `id`",
    "\u202eفاكس\u202c 50 % $HOME %PATH%",
    "<b>{{ 7*7 }}</b> a/b?c#d {0} @{a=1}",
    "#> param($x) '@ @' \\u0041 \\",
    "2026-01-02T03:04:05Z",
    "/Date(1767322800000)/",
    "=\U0001f4e0 \u2028\ufeff\u00a0",
    "x" * 64,
]


def by(emulator: Emulator, transport: str) -> Tenant:
    connection = reached(emulator) if transport == "winrm" else {}
    return Tenant({**OPERATOR, "patience": 20, **connection}, environment=emulator.env())


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_arrive_as_literals(world: World, name: str):
    emulator = world.emulator
    result = apply(emulator, reached(emulator), name=name, alias="hostile")
    assert result["outcome"] == "changed", result
    group = group_in(emulator, "hostile")
    assert group is not None
    assert (group["Name"], group["DisplayName"], group["members"]) == (name, name, [FAX])
    assert apply(emulator, reached(emulator), name=name, alias="hostile")["outcome"] == "ok"
    assert apply(emulator, {}, name=name, alias="hostile")["outcome"] == "ok"


@pytest.mark.turn("a Windows host at length")
def test_two_thousand_members_and_five_megabytes():
    names = [f"user{number:04}" for number in range(2800)]
    people = [
        {"address": f"{name}@{DOMAIN}", "display_name": f"Ü {name} \u202e", "name": name, "alias": name}
        for name in names
    ]
    tenants = {"tenants": [{**TENANTS["tenants"][0], "mailboxes": people, "groups": []}]}
    members = [person["address"] for person in people[:2000]]
    with start_emulator(tenants) as emulator:
        tenant = by(emulator, "winrm")
        tenant.exchange.invoke(
            "New-DistributionGroup", "make it", Name="Everybody", Alias="everybody", Type="Security", Members=members
        )
        group = group_in(emulator, "everybody")
        assert group is not None
        assert group["members"] == members
        trips = round_trips(emulator)
        assert trips["Send"] == 2 if len(json.dumps(members)) > 98304 else 1
        emulator.clear_journal()
        reads = [
            Cmdlet("Get-Recipient", {"ResultSize": "Unlimited", "SortBy": "Name"}, "read"),
            Cmdlet("Get-DistributionGroupMember", {"Identity": "everybody", "ResultSize": "Unlimited"}, "read"),
        ]
        by_host = tenant.exchange.invoke_many(reads)
        assert len(json.dumps(by_host[0].value)) > 5 * 1024 * 1024
        assert round_trips(emulator)["Receive"] > 40
        assert set(round_trips(emulator)) == {"Send", "Receive"}
        tenant.close()
        directly = by(emulator, "rest").exchange.invoke_many(reads)
        assert [output.value for output in by_host] == [output.value for output in directly]


def test_errors_are_the_same_by_either_transport(world: World):
    emulator = world.emulator
    calls: list[tuple[str, dict[str, t.Any]]] = [
        ("Get-DistributionGroup", {"Identity": "nobody"}),
        ("Get-ApplicationAccessPolicy", {}),
        ("New-DistributionGroup", {"Name": "VIP", "Alias": "other"}),
        ("Add-DistributionGroupMember", {"Identity": "vip", "Member": at("LeeG")}),
        (
            "Add-DistributionGroupMember",
            {"Identity": "vip", "Member": at("LeeG"), "BypassSecurityGroupManagerCheck": True},
        ),
        ("Set-DistributionGroup", {"Identity": "vip", "Nonsense": True}),
        ("New-ApplicationAccessPolicy", {"AppId": APP, "PolicyScopeGroupId": "sales", "AccessRight": "RestrictAccess"}),
        ("Get-Recipient", {"Filter": "Nonsense -eq 'x'"}),
        ("Set-OrganizationConfig", {"EwsAllowedAppIDs": "nonsense"}),
    ]
    seen: dict[str, list[t.Any]] = {}
    for transport in TRANSPORTS:
        tenant = by(emulator, transport)
        seen[transport] = []
        for name, parameters in calls:
            error = tenant.exchange.invoke_many([Cmdlet(name, parameters, "try")])[0].error
            assert error is not None, (transport, name)
            seen[transport].append((type(error), error.code, error.message, error.cure, error.who))
        tenant.close()
    assert seen["rest"] == seen["winrm"]
    assert seen["rest"][0][0] is NotFound


# --- lost connections ------------------------------------------------------------------------------------------

STEPS = [
    *(("Create", 1), ("Command", 1), ("Send", 1), ("Receive", 1)),
    # The second ones carry the write that makes the group, and its answer.
    *(("Send", 2), ("Receive", 2), ("Signal", 1), ("Delete", 1)),
]


@pytest.mark.turn("connections that are cut")
@pytest.mark.parametrize("effect", ["drop_before", "drop_after"])
@pytest.mark.parametrize(("action", "nth"), STEPS, ids=str)
def test_a_killed_connection_costs_nothing(world: World, action: str, nth: int, effect: str):
    emulator = world.emulator
    connection = reached(emulator, scheme="http", auth="ntlm")
    emulator.faults([{"match": {"host": HOST, "path_regex": f"/wsman/{action}$"}, "nth": nth, "effect": effect}])
    first = apply(emulator, connection)
    assert first["outcome"] == "changed", first
    assert emulator.fault_rules()[0]["seen"] >= nth
    emulator.faults([])
    emulator.clear_journal()
    assert apply(emulator, connection)["outcome"] == "ok"
    assert changes(emulator) == []
    groups = [group for group in emulator.state(TENANT_ID)["groups"] if group["Alias"] == ALIAS]
    assert [group["members"] for group in groups] == [[FAX]]
    if (action, effect) == ("Create", "drop_after"):
        # Nobody was told of this shell. The host removes it by itself.
        assert emulator.windows_hosts()[HOST]["open_shells"] == 1
        emulator.clock(seconds=IDLE_S + 1)
    assert emulator.windows_hosts()[HOST]["open_shells"] == 0


@pytest.mark.parametrize("effect", ["drop_before", "drop_after"])
def test_a_task_that_ends_in_the_middle_is_finished_by_the_next(world: World, effect: str):
    """Every attempt to send the write breaks: the task gives up, says so, leaves no shell, and the next converges."""
    emulator = world.emulator
    connection = {**reached(emulator, scheme="http", auth="ntlm"), "patience": 2}
    emulator.faults(
        [
            {"match": {"host": HOST, "path_regex": "/wsman/Send$"}, "nth": nth, "effect": effect}
            for nth in (2, 3, 5, 6, 8, 9, 11, 12)
        ]
    )
    first = apply(emulator, connection, members=[FAX, HELP])
    emulator.faults([])
    assert first["outcome"] in ("failed", "changed"), first
    assert emulator.windows_hosts()[HOST]["open_shells"] == 0
    result = apply(emulator, connection, members=[FAX, HELP])
    assert result["outcome"] in ("changed", "ok"), result
    assert apply(emulator, connection, members=[FAX, HELP])["outcome"] == "ok"
    groups = [group for group in emulator.state(TENANT_ID)["groups"] if group["Alias"] == ALIAS]
    assert [group["members"] for group in groups] == [[FAX, HELP]]


def test_errors_leave_no_shell(world: World):
    emulator = world.emulator
    result = apply(emulator, reached(emulator), members=[at("nobody")])
    assert result["outcome"] == "blocked"
    host = emulator.windows_hosts()[HOST]
    assert (host["open_shells"], host["running"]) == (0, 0)
    emulator.faults([{"match": {"cmdlet": "Get-Recipient"}, "times": 9, "effect": {"status": 403}}])
    assert apply(emulator, reached(emulator))["outcome"] == "failed"
    assert emulator.windows_hosts()[HOST]["open_shells"] == 0


# --- hosts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "code", "part"),
    [
        ("no-module", "module_missing", "Install-Module ExchangeOnlineManagement"),
        ("old-module", "module_old", "3.1.0"),
        ("old-powershell", "powershell_old", "Windows PowerShell 5.1"),
        ("signed-only", "execution_policy", "RemoteSigned"),
        ("no-tls12", "tls12", "SChannel"),
        ("no-route", "no_route", "outlook.office365.com"),
        ("constrained", "language_mode", "AppLocker"),
        ("translating", "script_changed", "windows_host_info"),
        ("machine-account", "temporary_folder", "managed service account"),
        ("full", "2150859173", "MaxShellsPerUser"),
    ],
)
def test_what_is_wrong_with_a_host_is_told_with_its_cure(world: World, host: str, code: str, part: str):
    emulator = world.emulator
    connection = {**reached(emulator, host), "patience": 1}
    result = apply(emulator, connection)
    assert (result["outcome"], result["error"]["code"]) == ("blocked", code), result
    assert part in result["error"]["cure"]
    assert asked(emulator) == []
    preflight = run("m365_tenant_info", {"mailboxes": [FAX]}, emulator, **connection)
    assert preflight["outcome"] == "blocked"
    found = [finding for finding in preflight["findings"] if finding["step"] == "host"]
    assert [part in finding["cure"] for finding in found] == [True], preflight
    assert emulator.windows_hosts()[host]["open_shells"] == 0


def test_a_host_that_is_not_there(world: World):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    connection = {**reached(world.emulator), "winrm_port": port, "patience": 1}
    result = apply(world.emulator, connection)
    assert (result["outcome"], result["error"]["kind"]) == ("failed", "Unreachable")
    assert "firewall" in result["error"]["cure"]


def test_a_slow_host_and_one_with_its_own_idle_timeout(world: World):
    emulator = world.emulator
    slow = {**reached(emulator, "slow"), "winrm_operation_timeout": 1, "winrm_read_timeout": 3}
    assert run("exchange_ews_access", {"app_id": APP}, emulator, **slow)["outcome"] == "ok"
    # asked again twice while connecting takes its time
    assert round_trips(emulator, "slow")["Receive"] == 4
    assert run("exchange_ews_access", {"app_id": APP}, emulator, **reached(emulator, "without-idle"))["outcome"] == "ok"
    assert round_trips(emulator, "without-idle")["Create"] == 2


def test_the_preflight_tells_about_the_host(world: World):
    emulator = world.emulator
    result = run("m365_tenant_info", {"mailboxes": [FAX]}, emulator, **reached(emulator))
    assert result["outcome"] == "ok", result
    assert (result["windows_host"]["modules"], result["windows_host"]["powershell"]) == (
        ["3.9.2", "3.4.0"],
        "5.1.20348.2582",
    )
    assert run("m365_tenant_info", {"mailboxes": [FAX]}, emulator)["windows_host"] is None


def test_the_host_s_own_certificate_or_identity_needs_no_token_of_ours(world: World):
    emulator = world.emulator
    nobody = {"client_id": None, "client_secret": None, **reached(emulator, "keys")}
    by_certificate = {
        **nobody,
        "winrm_connect": "certificate_thumbprint",
        "winrm_certificate_thumbprint": THUMBPRINT,
        "winrm_app_id": OPERATOR["client_id"],
    }
    assert apply(emulator, by_certificate)["outcome"] == "changed"
    assert apply(emulator, {**nobody, "winrm_connect": "managed_identity"})["outcome"] == "ok"
    for thumbprint, code in (("C" * 40, "certificate_missing"), ("B" * 40, "certificate_unreadable")):
        result = apply(emulator, {**by_certificate, "winrm_certificate_thumbprint": thumbprint})
        assert (result["outcome"], result["error"]["code"]) == ("blocked", code)
    assert [row for row in emulator.journal() if row["host"].startswith("login.")] == []
    own = {**reached(emulator, "keys"), "winrm_connect": "managed_identity"}
    preflight = run("m365_tenant_info", {"mailboxes": [FAX], "steps": ["group", "policy"]}, emulator, **own)
    assert preflight["missing"] == []
    assert preflight["outcome"] == "ok", preflight


def test_a_host_is_checked_without_a_tenant(world: World):
    emulator = world.emulator
    nobody = {"tenant": None, "client_id": None, "client_secret": None}
    result = run("windows_host_info", {}, emulator, **reached(emulator), **nobody)
    assert (result["outcome"], result["ready"]) == ("ok", True), result
    assert [check["holds"] for check in result["checks"]] == [True] * 7
    assert {row["host"] for row in emulator.journal()} == {HOST}
    report = "\n".join(result["report"])
    for private in (PASSWORD, USER, HOST, HOST.upper(), "svc-m365"):
        assert private not in report
    broken = run("windows_host_info", {}, emulator, **reached(emulator, "no-module"), **nobody)
    assert (broken["outcome"], broken["ready"]) == ("blocked", False)
    assert "Install-Module" in broken["msg"]
    changed = run("windows_host_info", {}, emulator, **reached(emulator, "translating"), **nobody)
    assert changed["error"]["code"] == "script_changed"


@pytest.mark.turn("a Windows host at length")
@pytest.mark.parametrize("lane", [True, False], ids=["worker", "process"])
def test_the_five_minute_check_as_the_guide_prints_it(world: World, tmp_path: pathlib.Path, lane: bool):
    """One command, without a tenant; as a module of its own as well, which has to carry all its files along."""
    emulator = world.emulator
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("M365_")},
        "REQUESTS_CA_BUNDLE": emulator.ca,
        "HOME": str(tmp_path),
        "ANSIBLE_HOME": str(tmp_path / ".ansible"),
        "M365_WINRM_PASSWORD": PASSWORD,
    }
    options = f"winrm_host=localhost winrm_user='CONTOSO\\\\svc-m365' winrm_port={emulator.winrm[HOST]['https']}"
    command = [
        str(fleet.PYTHON.with_name("ansible")),
        "localhost",
        "-m",
        "mail2fax.m365.windows_host_info",
        "-a",
        options,
    ]
    command += [] if lane else ["-e", json.dumps({"mail2fax_in_process": False})]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "ok  standard input arrives byte by byte: 307200 of 307200 bytes" in answer.stdout
    assert PASSWORD not in answer.stdout + answer.stderr


def test_what_a_host_reads_is_compared_with_what_exchange_answers(world: World):
    emulator = world.emulator
    result = run("windows_host_info", {"exchange": True, "megabytes": 1}, emulator, **reached(emulator))
    assert (result["outcome"], len(result["checks"])) == ("ok", 13), result
    assert all(" by both ways" in line for line in result["report"][-5:])
    lacking = run("windows_host_info", {"exchange": True, "megabytes": 1}, emulator, **reached(emulator, "no-route"))
    assert lacking["outcome"] == "blocked"
    assert "outlook.office365.com" in lacking["msg"]


# --- a playbook, and where secrets do not go ---------------------------------------------------------------------


@pytest.mark.turn("whole playbooks")
def test_provisioning_by_way_of_a_windows_host(tmp_path: pathlib.Path):
    world: dict[str, t.Any] = {}
    for transport in TRANSPORTS:
        with start_emulator(fleet.tenants(), transport) as emulator:
            # The way to the host is in the inventory, its password in the environment.
            ways = {f"mail2fax_{name}": value for name, value in emulator.connection.items() if "password" not in name}
            site = fleet.Fleet(tmp_path / transport, emulator, variables=ways)
            environment = {"M365_WINRM_PASSWORD": PASSWORD, "ANSIBLE_LOG_PATH": str(site.folder / "ansible.log")}
            first = site.play("mail2fax.m365.provision", "-vvvv", "--diff", env=environment)
            assert first.code == 0, first.output
            host = fleet.places()[0].host
            record = json.loads((site.folder / "handover" / f"{host}.json").read_text())
            world[transport] = {
                "state": alike(emulator.state(fleet.places()[0].id)),
                "outcomes": [(step["step"], step["outcome"]) for step in record["steps"]],
            }
            assert emulator.exposures() == []
            if transport == "winrm":
                second = site.play("mail2fax.m365.provision", env=environment)
                assert (second.code, second.recap(host)["changed"]) == (0, 0), second.output
                _search(site, [first, second], emulator)
    assert world["rest"] == world["winrm"]


def _search(site: fleet.Fleet, runs: list[fleet.Run], emulator: Emulator) -> None:
    """Neither the password nor a token is in any output, file, journal or command line."""
    tokens = re.compile(rb"eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}")
    places: dict[str, bytes] = {"journal": json.dumps(emulator.journal()).encode()}
    for number, ran in enumerate(runs):
        places[f"run {number}"] = ran.output.encode()
        places[f"programs {number}"] = json.dumps(ran.programs).encode()
        places[f"events {number}"] = json.dumps(ran.events).encode()
    for path in site.folder.rglob("*"):
        if path.is_file():
            places[str(path)] = path.read_bytes()
    assert any(name.endswith("ansible.log") for name in places)
    assert [name for name, content in places.items() if PASSWORD.encode() in content] == []
    assert [name for name, content in places.items() if tokens.search(content)] == []


def test_an_emulator_whose_tests_want_nothing_of_exchange_ends_well():
    with start_emulator() as emulator:
        emulator.clear_journal()


@pytest.mark.parametrize("forgotten", [True, False])
def test_what_goes_past_the_windows_host_is_noticed(forgotten: bool):
    def past_it() -> None:
        with start_emulator() as emulator:
            emulator.connection = {}
            run("m365_tenant_info", {}, emulator)
            if forgotten:
                emulator.clear_journal()

    with pytest.raises(AssertionError, match="did not go by way of the Windows host"):
        past_it()
