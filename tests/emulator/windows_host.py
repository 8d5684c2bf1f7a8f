# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Windows host with PowerShell and Exchange's module, which administers the emulated tenants.

Unless a host is told to start a real one, no PowerShell runs here. The host takes exactly one command line and one
script, both compared byte for byte with what the collection sends, and then does what that script does. Its module
calls Exchange's admin endpoint as the real one does, through the emulator's own front door: the same rights, faults and
journal as for anybody else.

``windows_hosts`` in the tenants file is a list of:

* ``name``; ``users``: ``name``, ``password``, ``certificate`` (PEM, a client certificate that is mapped to the user)
* ``powershell``, ``language_mode``, ``execution_policy``, ``framework_release``, ``modules`` (versions that are
  installed), ``temporary_folder``: what the host tells about itself, and works or fails by
* ``tls12: false``, ``route: false``: no connection to Exchange comes about
* ``certificates``: ``thumbprint``, ``client_id``, ``readable``; ``managed_identity``: a client id
* ``max_shells``, ``takes_idle_timeout``, ``connect_s`` (how long connecting takes), ``corrupts_input``
* ``process: powershell``: a real PowerShell runs what is sent (powershell_process.py); what the host tells about itself
  and works or fails by is then its own. ``process: any``: so where this machine has one. Else the script is compared
  byte for byte, and its work is done here: tests compare the two.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import importlib.util
import json
import pathlib
import typing as t
import urllib.parse
import uuid
from dataclasses import dataclass, field

from . import exchange, powershell_process, wsman
from .exchange_cmdlets import CMDLETS
from .faults import ConnectionDropped
from .hosts import CLOUDS, IMDS
from .model import Call, Document, load_yaml
from .tenants import TenantsFileError

if t.TYPE_CHECKING:
    from .server import Services

_ENVIRONMENTS = {
    "O365Default": "global",
    "O365USGovGCCHigh": "gcc_high",
    "O365USGovDoD": "dod",
    "O365China": "china",
}
_KEYS = {
    *("name", "users", "powershell", "language_mode", "execution_policy", "framework_release", "modules"),
    *("temporary_folder", "tls12", "route", "certificates", "managed_identity", "max_shells", "takes_idle_timeout"),
    *("connect_s", "corrupts_input", "process"),
}
_COMMON = (
    *("Verbose", "Debug", "ErrorAction", "WarningAction", "InformationAction", "ProgressAction", "ErrorVariable"),
    *("WarningVariable", "InformationVariable", "OutVariable", "OutBuffer", "PipelineVariable"),
)
_RETRIES = 3
"""How often the module itself repeats a call that Exchange throttles."""


def _script() -> t.Any:
    """What the collection sends to hosts, from its source."""
    path = pathlib.Path(__file__).parents[2] / "plugins" / "module_utils" / "_exchange" / "host_script.py"
    spec = importlib.util.spec_from_file_location("host_script", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(path: str | pathlib.Path) -> list[Document]:
    """``windows_hosts`` of a tenants file. Raises TenantsFileError."""
    entries = (load_yaml(pathlib.Path(path).read_text(encoding="utf-8")) or {}).get("windows_hosts") or []
    for entry in entries:
        unknown = set(entry) - _KEYS
        if unknown or "name" not in entry:
            raise TenantsFileError(f"{path}: a Windows host has a name, and no {sorted(unknown)}")
    return t.cast("list[Document]", entries)


class WindowsHost:
    """One host of the file. ``service`` is its WinRM service."""

    def __init__(self, services: Services, entry: Document) -> None:
        self.services = services
        self.entry = entry
        self.name = str(entry["name"])
        self.script = _script()
        self.surroundings: dict[str, str] = {}
        """The environment of a real process: how the emulated services are reached from the host."""
        self.users = wsman.users_of(entry.get("users") or [])
        self.service = wsman.Service(
            services,
            self.name,
            self.users,
            self.start,
            max_shells=int(entry.get("max_shells", 30)),
            takes_idle_timeout=bool(entry.get("takes_idle_timeout", True)),
        )

    def start(self, command: str, arguments: list[str], options: dict[str, str]) -> wsman.Program:
        executables = self.script.EXECUTABLES.values()
        if self.is_real and command in executables:
            return powershell_process.PowerShell(" ".join(arguments).split(), self.surroundings)
        process = Process(self)
        if command not in executables or " ".join(arguments) != " ".join(self.script.ARGUMENTS):
            process.fail(1, f"'{command}' is not recognized as an internal or external command,\r\noperable program.")
        elif options.get("WINRS_CONSOLEMODE_STDIN") != "FALSE":
            process.fail(1, "Standard input is a console.")
        elif self.told("language_mode") != "FullLanguage":
            process.fail(
                1, "Cannot invoke method. Method invocation is supported only on core types in this language mode."
            )
        else:
            process.begin()
        return process

    @property
    def is_real(self) -> bool:
        """Whether a real PowerShell does the work."""
        wanted = self.entry.get("process")
        return wanted == "powershell" or (wanted == "any" and powershell_process.executable() is not None)

    def told(self, key: str) -> t.Any:
        return {
            "powershell": "5.1.20348.2582",
            "language_mode": "FullLanguage",
            "execution_policy": "RemoteSigned",
            "framework_release": 528449,
            "modules": ["3.9.2", "3.4.0"],
            "temporary_folder": "C:\\Users\\svc-m365\\AppData\\Local\\Temp\\",
            **self.entry,
        }[key]

    def table(self) -> Document:
        """The script's Get-HostTable."""
        return {
            "computer": self.name.upper(),
            "user": self.users[0].name if self.users else "",
            "operating_system": "Microsoft Windows NT 10.0.20348.0",
            **{
                key: self.told(key)
                for key in ("powershell", "language_mode", "execution_policy", "framework_release", "modules")
            },
            "temporary_folder": self.told("temporary_folder"),
        }


class Raised(Exception):
    """An error record: types and messages from what was thrown down to its cause, and how PowerShell files it."""

    def __init__(
        self,
        type_name: str,
        message: str,
        *,
        reason: str = "",
        identity: str = "",
        category: str = "OperationStopped",
    ) -> None:
        super().__init__(message)
        self.table: Document = {
            "chain": [{"type": type_name, "message": message}],
            "details": None,
            "category": category,
            "reason": reason or type_name.rpartition(".")[2],
            "id": identity or message,
        }


@dataclass
class Process:
    """PowerShell with the collection's script, from its first byte on standard input to its end."""

    host: WindowsHost
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    exit_code: int | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._input = bytearray()
        self._ended = False
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._module: Module | None = None
        self._nonce = ""

    def begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def fail(self, code: int, words: str) -> None:
        self.stderr += words.encode()
        self.exit_code = code
        self.changed.set()

    def feed(self, data: bytes, end: bool) -> None:
        if self.host.entry.get("corrupts_input"):
            data = data.replace(b"\n", b"\r\n")
        self._input += data
        self._ended = self._ended or end
        self._arrived.set()

    def kill(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self.exit_code is None:
            self.exit_code = -1
            self.changed.set()

    async def _read(self, count: int) -> bytes:
        """As BinaryReader.ReadBytes: fewer bytes at the end of the stream only."""
        while len(self._input) < count and not self._ended:
            self._arrived.clear()
            await self._arrived.wait()
        data = bytes(self._input[:count])
        del self._input[:count]
        return data

    async def _run(self) -> None:
        script = self.host.script
        arrived = await self._read(len(script.SCRIPT_BYTES))
        if arrived != script.SCRIPT_BYTES:
            self.fail(90, f"{script.CHANGED_SCRIPT}, {len(arrived)} bytes")
            return
        self._nonce = (await self._read(script.NONCE)).decode("ascii")
        while True:
            digits = await self._read(8)
            if len(digits) < 8:
                break
            body = await self._read(int(digits))
            if len(body) < int(digits):
                break
            request = script.unwire(json.loads(body.decode("ascii")))
            answer: Document = {"error": None}
            try:
                await self._answer(request, answer)
            except Raised as raised:
                answer["error"] = raised.table
            self._print(request["sequence"], answer)
        self.exit_code = 0
        self.changed.set()

    def _print(self, sequence: int, document: Document) -> None:
        body = json.dumps(document, separators=(",", ":"))
        noise = "WARNING: Your organisation's notice\u2026\r\n@@end@@\r\n".encode("cp437", "replace")
        marker = f"{self.host.script.MARKER} {self._nonce}"
        self.stdout += noise + f"\n{marker} {sequence} {len(body)}@@\n{body}\n@@end@@\n".encode()
        self.stderr += b'#< CLIXML\r\n<Objs Version="1.1.0.1"><Obj S="progress"><MS/></Obj></Objs>'
        self.changed.set()

    async def _answer(self, request: Document, answer: Document) -> None:
        if request["do"] == "check":
            answer["check"] = await self._check(request)
        elif request["do"] == "connect":
            answer["host"] = self.host.table()
            self._module = None
            module = Module(self.host)
            answer["connection"] = await module.connect(request)
            self._module = module
        elif request["do"] == "run":
            if self._module is None:
                raise Raised(
                    "System.Management.Automation.RuntimeException", "There is no connection to Exchange Online."
                )
            answer["outputs"] = await self._module.run(request["cmdlets"])
        else:
            raise Raised(
                "System.Management.Automation.RuntimeException",
                f"There is no request that is called '{request['do']}'.",
            )

    async def _check(self, request: Document) -> Document:
        data = await self._read(request["bytes"])
        return {
            "host": self.host.table(),
            "samples": {
                "nothing": None,
                "empty_text": "",
                "text": "\"\\'ä\u0441\u202e\U0001d11e\u0007\u2028",
                "yes": True,
                "number": 42,
                "enumeration": "Monday",
                "guid": "998e9d79-0000-4000-8000-00000000000a",
                "moment": "2026-01-02T03:04:05.0000000+00:00",
                "version": "3.9.2",
                "empty_list": [],
                "list_of_one": ["one"],
                "list": ["one", "two"],
                "nested": {"inner": {"deeper": False}},
            },
            "echo": request["echo"],
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest().upper(),
            "filler": "x" * request["filler"],
        }


class Module:
    """ExchangeOnlineManagement, connected or not."""

    def __init__(self, host: WindowsHost) -> None:
        self._host = host
        self._services = host.services
        self._exchange = ""
        self._tenant = ""
        self._token = ""
        self._exported: frozenset[str] = frozenset()

    async def connect(self, request: Document) -> Document:
        """Raises Raised."""
        if request["method"] not in ("access_token", "certificate_thumbprint", "managed_identity"):
            raise Raised(
                "System.Management.Automation.RuntimeException",
                f"There is no way to connect that is called '{request['method']}'.",
            )
        self._importable(request["method"])
        await asyncio.sleep(float(self._host.entry.get("connect_s", 0)))
        if request["environment"] not in _ENVIRONMENTS:
            raise _binding(
                f"Cannot bind parameter 'ExchangeEnvironmentName'. Cannot convert value \"{request['environment']}\"."
            )
        if self._host.entry.get("tls12", True) is False:
            raise Raised("System.Net.WebException", "The request was aborted: Could not create SSL/TLS secure channel.")
        if self._host.entry.get("route", True) is False:
            raise Raised(
                "System.Net.WebException", "The remote name could not be resolved: 'login.microsoftonline.com'"
            )
        self._exchange = CLOUDS[_ENVIRONMENTS[request["environment"]]].exchange[0]
        tenant = self._services.world.tenant(request["organization"])
        if tenant is None:
            raise Raised("System.Exception", f"The organization '{request['organization']}' was not found.")
        self._tenant = tenant.id
        self._token = self._token_for(request)
        call = Call(
            self._exchange, "GET", f"/adminapi/v1.0/{tenant.id}/EXOModuleFile", "Version=3.9.2", self._headers(None)
        )
        principal, refusal = self._services.entra.principal_of(call)
        answer = exchange.handle(
            self._services.world, principal, refusal, "GET", call.path, call.query, call.headers, None
        )
        if answer.status != 200:
            raise _without_envelope(answer.status, answer.body)
        self._exported = frozenset(answer.body["value"][0]["exportedCmdlets"].split(","))
        return {
            "TenantID": tenant.id,
            "Organization": request["organization"],
            "State": "Connected",
            "TokenStatus": "Active",
        }

    def _importable(self, method: str) -> None:
        modules = self._host.told("modules")
        if not modules:
            raise Raised(
                "System.IO.FileNotFoundException",
                "The specified module 'ExchangeOnlineManagement' was not loaded because no valid module file was found "
                "in any module directory.",
                identity="Modules_ModuleNotFound,Microsoft.PowerShell.Commands.ImportModuleCommand",
            )
        if self._host.told("execution_policy") in ("Restricted", "AllSigned"):
            raise Raised(
                "System.Management.Automation.PSSecurityException",
                "File C:\\Program Files\\WindowsPowerShell\\Modules\\ExchangeOnlineManagement\\"
                f"{modules[0]}\\netFramework\\ExchangeOnlineManagement.psm1 cannot be loaded because running scripts "
                "is disabled on this system.",
                identity="UnauthorizedAccess,Microsoft.PowerShell.Commands.ImportModuleCommand",
            )
        newest = tuple(int(number) for number in str(modules[0]).split("."))
        if method == "access_token" and newest < (3, 1):
            raise _binding("A parameter cannot be found that matches parameter name 'AccessToken'.")
        if "$" in self._host.told("temporary_folder"):
            raise Raised("System.Management.Automation.RuntimeException", "The term 'tmpEXO_' is not recognized.")

    def _token_for(self, request: Document) -> str:
        audience = f"https://{self._exchange}"
        if request["method"] == "access_token":
            return str(request["access_token"])
        if request["method"] == "certificate_thumbprint":
            known = {str(entry["thumbprint"]).upper(): entry for entry in self._host.entry.get("certificates") or []}
            entry = known.get(str(request["certificate_thumbprint"]).upper())
            if entry is None:
                raise Raised("System.Exception", "No certificate found with the certificate thumbprint that was given.")
            if not entry.get("readable", True):
                raise Raised("System.Security.Cryptography.CryptographicException", "Keyset does not exist")
            tenant = self._services.world.tenant(self._tenant)
            assert tenant is not None
            token = self._services.entra.token_of(tenant, str(request["app_id"]), audience)
            if token is None or entry.get("client_id", request["app_id"]) != request["app_id"]:
                raise Raised(
                    "Microsoft.Identity.Client.MsalServiceException",
                    "A configuration issue is preventing authentication. Original exception: AADSTS700027: The "
                    "certificate with identifier used to sign the client assertion is not registered on application.",
                )
            return token
        identity = self._host.entry.get("managed_identity")
        query = {"resource": audience}
        if request.get("managed_identity_id"):
            query["client_id"] = request["managed_identity_id"]
        call = Call(IMDS, "GET", "/metadata/identity/oauth2/token", urllib.parse.urlencode(query), {"metadata": "true"})
        answer = self._services.entra.managed_identity(call) if identity else None
        if answer is None or answer.status != 200:
            raise Raised(
                "System.Net.Http.HttpRequestException", "Unable to connect to the remote server 169.254.169.254:80"
            )
        return str(answer.body["access_token"])

    async def run(self, calls: list[Document]) -> list[Document]:
        """The script's list of outputs. Several cmdlets in one request leave a row of their own in the journal."""
        batch = None
        if len(calls) > 1:
            row = self._services.journal.arrive(
                host=self._exchange,
                method="POST",
                path=f"/adminapi/beta/{self._tenant}/cmdlets",
                tenant=self._tenant,
                status=200,
            )
            batch = row["seq"]
        outputs = []
        for call in calls:
            output: Document = {"value": [], "warnings": [], "error": None}
            try:
                await self._cmdlet(call, output, batch)
            except Raised as raised:
                output["error"] = raised.table
            outputs.append(output)
        return outputs

    async def _cmdlet(self, call: Document, output: Document, batch: int | None) -> None:
        name = call["name"]
        if name not in self._host.script.CMDLETS:
            raise Raised(
                "System.Management.Automation.RuntimeException",
                f"The cmdlet '{name}' is not one of those that this script runs.",
            )
        if name not in self._exported:
            raise Raised(
                "System.Management.Automation.CommandNotFoundException",
                f"The term '{name}' is not recognized as a name of a cmdlet, function, script file, or executable "
                "program.\nCheck the spelling of the name, or if a path was included, verify that the path is correct "
                "and try again.",
                identity="CommandNotFoundException",
                category="ObjectNotFound",
            )
        _bind(name, call["parameters"])
        parameters = {
            key: {"@odata.type": "#Exchange.GenericHashTable", **value} if isinstance(value, dict) else value
            for key, value in call["parameters"].items()
        }
        body = {"CmdletInput": {"CmdletName": name, "Parameters": parameters}}
        path, query = f"/adminapi/beta/{self._tenant}/InvokeCommand", ""
        limit = call["limit"]
        while limit is None or len(output["value"]) < limit:
            document = await self._post(name, path, query, body, batch)
            output["value"] += [_plain(row) for row in document.get("value") or []]
            output["warnings"] += document.get("@adminapi.warnings") or []
            following = document.get("@odata.nextLink")
            if not following:
                break
            query = urllib.parse.urlsplit(following).query
        del output["value"][limit if limit is not None else len(output["value"]) :]

    async def _post(self, name: str, path: str, query: str, body: Document, batch: int | None) -> Document:
        for attempt in range(_RETRIES + 1):
            call = Call(self._exchange, "POST", path, query, self._headers(name), json.dumps(body).encode())
            try:
                answer = await self._services.perform(call, batch)
            except ConnectionDropped:
                raise Raised(
                    "System.Net.Http.HttpRequestException", "An error occurred while sending the request."
                ) from None
            if answer.status < 300:
                return t.cast("Document", answer.body)
            if answer.status not in (429, 503) or attempt == _RETRIES:
                break
            await asyncio.sleep(0.05)
        raise _refusal(answer.status, answer.body)

    def _headers(self, cmdlet: str | None) -> dict[str, str]:
        headers = {"host": self._exchange, "authorization": f"Bearer {self._token}", "prefer": "odata.maxpagesize=1000"}
        return {**headers, "x-cmdletname": cmdlet} if cmdlet else headers


def _plain(row: Document) -> Document:
    return {key: value for key, value in row.items() if not key.endswith(("@odata.type", "@data.type"))}


def _binding(message: str, identity: str = "") -> Raised:
    kind = "System.Management.Automation.ParameterBindingException"
    return Raised(kind, message, identity=identity, category="InvalidArgument" if identity else "OperationStopped")


def _bind(name: str, given: Document) -> None:
    """What PowerShell itself refuses before the cmdlet runs. Raises Raised."""
    cmdlet = CMDLETS[name.lower()]
    own = {*cmdlet.parameters, *_COMMON, *(("Confirm", "WhatIf") if cmdlet.writes else ())}
    known = {parameter.lower() for parameter in own}
    for parameter in given:
        if parameter.lower() not in known:
            raise _binding(
                f"A parameter cannot be found that matches parameter name '{parameter}'.",
                f"NamedParameterNotFound,{name}",
            )
    held = {parameter.lower() for parameter in given}
    missing = [key for key, parameter in cmdlet.parameters.items() if parameter.required and key.lower() not in held]
    if missing:
        raise _binding(
            f"Cannot process command because of one or more missing mandatory parameters: {' '.join(missing)}.",
            f"MissingMandatoryParameter,{name}",
        )


def _refusal(status: int, body: t.Any) -> Raised:
    """What the module makes of Exchange's error document: the details' text, and where it comes from."""
    details = body.get("error", {}).get("details") if isinstance(body, dict) else None
    if not details:
        return _without_envelope(status, body)
    words = details[0]["message"]
    short = words.split("|")[1].rpartition(".")[2] if words.count("|") > 1 else "Exception"
    stamp = dt.datetime.now(dt.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    identity = f"[Server=AM8PR07MB7474,RequestId={uuid.uuid4()},TimeStamp={stamp}],Write-ErrorMessage"
    return Raised("System.Exception", words, reason=short, identity=identity, category="NotSpecified")


def _without_envelope(status: int, body: t.Any) -> Raised:
    said = body.get("error", {}).get("message") if isinstance(body, dict) else None
    if said:
        return Raised("System.SystemException", said)
    if isinstance(body, bytes) and body.strip(b"\0"):
        return Raised("System.Exception", body.decode("utf-8", "replace"))
    words = {401: "UnAuthorized", 403: "Forbidden"}.get(status)
    if words:
        return Raised("System.Exception", words)
    return Raised("System.Net.Http.HttpRequestException", f"Response status code does not indicate success: {status}.")
