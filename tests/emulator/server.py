# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One process that plays Microsoft 365: every request's way from the socket to a service and back."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import email.utils
import gc
import json
import os
import pathlib
import signal
import socket
import ssl
import sys
import tempfile
import traceback
import typing as t

import trustme
import uvicorn
from starlette.requests import Request
from starlette.responses import Response

from . import control, entra, exchange, graph, management, tenants
from .faults import ConnectionDropped, Effect, Faults
from .graph_base import JSON
from .hosts import IMDS, MAIL_PORTS, all_hosts, service_of
from .journal import Journal
from .mail_wire import MailServers
from .model import PROFILES, Answer, Call, Document, Principal, World, load_yaml
from .relay import Relay
from .store import Store

if t.TYPE_CHECKING:
    from .windows_host import WindowsHost

_READING_CMDLETS = ("get-", "test-")
Hosted = t.Callable[["Services", Document, asyncio.Event], None]
"""Told when all is ready: the services, what else would be printed, and what ends it all when it is set."""


def load_texts() -> Document:
    text = pathlib.Path(__file__).with_name("texts.yml").read_text(encoding="utf-8")
    return t.cast("Document", load_yaml(text))


class Services:
    """The emulated services and what watches over them. Everything runs in one event loop, a request at a time."""

    def __init__(self, entries: list[Document], store: Store, profile: str) -> None:
        self.world = World(profile=PROFILES[profile], texts=load_texts())
        self.world.clock.advance(seconds=float(store.meta("clock_offset_s") or 0))
        self.store = store
        self.journal = Journal(self.world)
        self.faults = Faults(self.world)
        self.entra = entra.Entra(self.world, store.meta("signing_key"))
        self.graph = graph.Graph()
        self.relay: Relay | None = None
        self.windows_hosts: list[WindowsHost] = []
        self._entries = entries
        for entry in entries:
            tenant = tenants.build(self.world, entry)
            if not store.load(tenant):
                store.save(tenant)
            self.world.adopt(tenant)
        store.set_meta("signing_key", self.entra.signing_key_pem())
        store.save_clock(self.world)
        store.commit()
        self.world.listeners.append(store.on_change)

    def reset(self) -> None:
        """Back to the tenants file, with the clock right and no faults; journal and exposures begin anew."""
        self.journal.clear()
        self.world.tokens.clear()
        self.faults.replace([])
        self.world.clock.offset *= 0
        for host in self.windows_hosts:
            host.service.reset()
        for entry in self._entries:
            tenant = tenants.build(self.world, entry)
            self.store.save(tenant)
            self.world.adopt(tenant)
        self.store.save_clock(self.world)
        self.store.commit()

    # --- from the socket and back ------------------------------------------------------------------------------------

    async def __call__(self, scope: t.Any, receive: t.Any, send: t.Any) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        call = await self.call_of(request)
        try:
            answer = await self.perform(call)
        except ConnectionDropped:
            if self.relay is None or request.client is None or not self.relay.abort(request.client.port):
                raise
            return
        except Exception:
            traceback.print_exc()  # a mistake of the emulator's own
            answer = Answer(500, {"error": {"code": "EmulatorFailure", "message": traceback.format_exc(limit=-1)}})
        await response_of(call, answer, self.world.clock.now())(scope, receive, send)

    async def call_of(self, request: Request) -> Call:
        raw_path = request.scope.get("raw_path") or request.url.path.encode()
        return Call(
            host=request.headers.get("host", "").partition(":")[0].lower(),
            method=request.method,
            path=raw_path.decode("latin-1"),
            query_string=request.scope["query_string"].decode("latin-1"),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.body(),
        )

    async def perform(self, call: Call, batch: int | None = None) -> Answer:
        """One request or one part of a batch: faults, the work itself, exposures, journal.

        Raises ConnectionDropped when a fault wants the connection to end.
        """
        cmdlet = _cmdlet(call)
        row = self.journal.arrive(
            host=call.host,
            method=call.method,
            path=call.plain_path,
            cmdlet=cmdlet,
            tenant=self._tenant_id(call),
            client_request_id=call.headers.get("client-request-id"),
            batch=batch,
        )
        return await self._through(call, row, cmdlet)

    async def _through(self, call: Call, row: Document, cmdlet: str | None) -> Answer:
        writing = _writes(call, cmdlet)
        query = f"?{call.query_string}" if call.query_string else ""
        effect = self.faults.meet(call.host, call.method, call.plain_path + query, cmdlet) or Effect()
        if effect.drop_before:
            self._drop(effect)
        if effect.delay_s:
            await asyncio.sleep(effect.delay_s)
        if effect.status is not None and not effect.after:
            answer = self._faulty(effect)
        else:
            world = self.world
            if effect.stale_s is not None and not writing and self.faults.history is not None:
                world = self.faults.history.world_before(effect.stale_s)
            answer = await self._dispatch(world, call, row)
            if effect.status is not None:
                answer = self._faulty(effect)
        self.store.commit()
        row["status"] = answer.status
        if writing:
            self.journal.look(row)
        if effect.drop_after:
            self._drop(effect)
        return answer

    def _drop(self, effect: Effect) -> t.NoReturn:
        if effect.kills:
            for host in self.windows_hosts:
                host.service.kill()
        raise ConnectionDropped

    @staticmethod
    def _faulty(effect: Effect) -> Answer:
        assert effect.status is not None
        body = effect.body
        if isinstance(body, str):  # a page, or nothing at all
            return Answer(effect.status, body.encode(), {"Content-Type": "text/html", **effect.headers})
        if body is None and effect.status >= 400:
            body = {"error": {"code": "ServiceUnavailable", "message": "The service is temporarily unavailable."}}
        return Answer(effect.status, body, {name: str(value) for name, value in effect.headers.items()})

    def meets_connect(self, host: str, target: str) -> Effect | None:
        return self.faults.meet(host, "CONNECT", target, None)

    def joins_greetings(self) -> bool:
        """Whether a tenant's switches say that a server's greeting comes in one segment with the proxy's answer."""
        settings = (tenant.settings.get("switches") or {} for tenant in self.world.tenants.values())
        return any(switches.get("greeting_with_connect") for switches in settings)

    # --- to the services ---------------------------------------------------------------------------------------------

    async def _dispatch(self, world: World, call: Call, row: Document) -> Answer:
        service = service_of(call.host)
        if call.host == IMDS or call.path == "/msi/token":
            return self.entra.managed_identity(call)
        if service == "login":
            return self.entra.handle(call)
        principal, refusal = self.entra.principal_of(call)
        if service == "graph":
            if principal is not None and call.plain_path.rstrip("/").lower().endswith("/$batch"):
                return await self._graph_batch(world, principal, call, row)
            return self.graph.handle(world, principal, refusal, call)
        if service == "management":
            return management.handle(world, principal, refusal, call)
        if service == "exchange" and call.path.lower().startswith("/adminapi"):
            return await self._exchange(world, principal, refusal, call, row)
        if service == "exchange" and call.path.lower().rstrip("/") == "/ews/exchange.asmx":
            return self._ews(world, principal, refusal, call)
        return Answer(404)

    async def _graph_batch(self, world: World, principal: Principal, call: Call, row: Document) -> Answer:
        parts = graph.batch_parts(world, call)
        if isinstance(parts, Answer):
            return parts
        answers: dict[str, Answer] = {}
        for part in parts:
            failed = next((name for name in part.depends_on if answers[name].status >= 400), None)
            if failed is not None:
                answers[part.id] = graph.error(world, call, "failed_dependency", id=failed)
            elif part.refusal is not None:
                answers[part.id] = part.refusal
            else:
                assert part.call is not None
                answers[part.id] = await self.perform(part.call, batch=row["seq"])
        return graph.batch_answer(world, call, answers)

    async def _exchange(
        self, world: World, principal: Principal | None, refusal: str | None, call: Call, row: Document
    ) -> Answer:
        path = call.plain_path.replace("$batch", "InvokeCommand")
        met: list[Effect] = []  # by the parts of a batch, in their order
        late: dict[str, Answer] = {}  # answers that replace the real ones once the work is done

        def part_fault(cmdlet: str) -> Answer | None:
            effect = self.faults.meet(call.host, "POST", path, cmdlet) or Effect()
            if effect.drop_before:
                raise ConnectionDropped
            met.append(effect)
            return self._faulty(effect) if effect.status is not None and not effect.after else None

        def part_world(cmdlet: str) -> World | None:
            span = met[-1].stale_s
            if span is None or self.faults.history is None or not cmdlet.lower().startswith(_READING_CMDLETS):
                return None
            return self.faults.history.world_before(span)

        def on_part(cmdlet: str, status: int, part_id: str) -> None:
            effect = met[-1] if met else Effect()
            if effect.status is not None and effect.after:
                late[part_id] = self._faulty(effect)
                status = effect.status
            self._part(call, row, path, cmdlet, status)

        answer = exchange.handle(
            world,
            principal,
            refusal,
            call.method,
            call.plain_path,
            call.query,
            call.headers,
            _json(call.body),
            on_part=on_part,
            part_fault=part_fault,
            part_world=part_world,
        )
        if late and isinstance(answer.body, dict):
            for response in answer.body["responses"]:
                if response["id"] in late:
                    response |= {"status": late[response["id"]].status, "body": late[response["id"]].body}
        self.store.commit()
        if any(effect.delay_s for effect in met):
            await asyncio.sleep(sum(effect.delay_s for effect in met))
        if any(effect.drop_after for effect in met):
            row["status"] = answer.status
            raise ConnectionDropped
        return answer

    def _part(self, call: Call, row: Document, path: str, cmdlet: str | None, status: int) -> None:
        part = self.journal.arrive(
            host=call.host,
            method="POST",
            path=path,
            cmdlet=cmdlet,
            tenant=row["tenant"],
            batch=row["seq"],
            status=status,
        )
        if cmdlet is None or not cmdlet.lower().startswith(_READING_CMDLETS):
            self.journal.look(part)

    def _ews(self, world: World, principal: Principal | None, refusal: str | None, call: Call) -> Answer:
        try:
            from . import ews
        except ImportError:
            return Answer(503)
        return ews.handle(world, principal, refusal, call.headers, call.body)

    def _tenant_id(self, call: Call) -> str | None:
        service = service_of(call.host)
        segments = [segment for segment in call.plain_path.split("/") if segment]
        if service == "login":
            found = self.world.tenant(segments[0]) if segments else None
        elif service == "exchange" and segments and segments[0].lower() == "adminapi" and len(segments) > 2:
            found = self.world.tenant(segments[2])
        else:
            principal, _unused = self.entra.principal_of(call)
            return principal.tenant_id if principal else None
        return found.id if found else None


def response_of(call: Call, answer: Answer, now: dt.datetime) -> Response:
    """``now``: the world's time, which is what a service's answer tells, however far the clock was moved."""
    headers = {"Date": email.utils.format_datetime(now, usegmt=True), **answer.headers}
    names = {name.lower() for name in headers}
    if answer.body is None or isinstance(answer.body, bytes):
        content: bytes = answer.body or b""
    else:
        content = json.dumps(answer.body).encode()
        if "content-type" not in names:
            graph_like = service_of(call.host) != "login"
            headers["Content-Type"] = JSON if graph_like else "application/json; charset=utf-8"
    return Response(content, answer.status, headers)


def _json(body: bytes) -> t.Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def _cmdlet_of(body: t.Any) -> str | None:
    inner = body.get("CmdletInput") if isinstance(body, dict) else None
    name = inner.get("CmdletName") if isinstance(inner, dict) else None
    return name if isinstance(name, str) else None


def _cmdlet(call: Call) -> str | None:
    if service_of(call.host) != "exchange" or not call.path.lower().startswith("/adminapi"):
        return None
    return _cmdlet_of(_json(call.body))


def _writes(call: Call, cmdlet: str | None) -> bool:
    """Whether the request may change a tenant."""
    service = service_of(call.host)
    if service == "graph":
        return call.method != "GET"
    if service == "exchange" and call.path.lower().startswith("/adminapi"):
        return cmdlet is None or not cmdlet.lower().startswith(_READING_CMDLETS)
    return False


# --- start and stop ---------------------------------------------------------------------------------------------------


class _Server(uvicorn.Server):
    """Signals are handled once for the whole process, not by each server."""

    @contextlib.contextmanager
    def capture_signals(self) -> t.Iterator[None]:
        yield


def _listening() -> socket.socket:
    # Named by its protocol, because asyncio then turns Nagle off: else every answer with a body waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    return listener


def _server(app: t.Any, context: ssl.SSLContext | None) -> _Server:
    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        lifespan="off",
        http="h11",
        ws="none",
        loop="asyncio",
        server_header=False,
        date_header=False,
        # A client that pauses for just as long as the server waits would send into a connection that is being closed.
        timeout_keep_alive=120,
    )
    config.load()
    config.ssl = context
    return _Server(config)


async def _until_gone(parent: int | None, stdin: bool, stop: asyncio.Event) -> None:
    """Set ``stop`` once the process ``parent`` is gone, or once standard input ends."""
    loop = asyncio.get_running_loop()
    if stdin:

        def readable() -> None:
            if not os.read(0, 4096):
                loop.remove_reader(0)
                stop.set()

        loop.add_reader(0, readable)
    while parent is not None and not stop.is_set():
        try:
            os.kill(parent, 0)
        except ProcessLookupError:
            stop.set()
        except PermissionError:
            pass
        await asyncio.sleep(0.25)


async def _windows_hosts(
    services: Services, tenants_file: str, authority: trustme.CA, folder: str
) -> tuple[Document, list[asyncio.Server]]:
    """({name: {"http": port, "https": port}}, the listeners) of the file's Windows hosts."""
    from . import windows_host  # what it needs takes its time to import, and few need it

    services.windows_hosts = [windows_host.WindowsHost(services, entry) for entry in windows_host.read(tenants_file)]
    users = [user for host in services.windows_hosts for user in host.users]
    # The NTLM acceptor looks its users up in a file that the environment names.
    store = pathlib.Path(folder, "ntlm-users")
    store.write_text("".join(f"{user.store_line()}\n" for user in users), encoding="utf-8")
    os.environ["NTLM_USER_FILE"] = str(store)
    ports: Document = {}
    servers = []
    for host in services.windows_hosts:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost", host.name).configure_cert(context)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        for user in host.users:
            if user.certificate is not None:
                context.load_verify_locations(cadata=user.certificate)
        ports[host.name] = {}
        for scheme, secure in (("http", None), ("https", context)):
            server = await asyncio.start_server(
                host.service.server(tls=secure is not None), sock=_listening(), ssl=secure
            )
            servers.append(server)
            ports[host.name][scheme] = server.sockets[0].getsockname()[1]
    return ports, servers


async def serve(
    tenants_file: str,
    *,
    state: str | None = None,
    port: int = 0,
    profile: str = "calm",
    parent: int | None = None,
    stdin: bool = False,
    hosted: Hosted | None = None,
) -> None:
    """Serve until a signal, the end of ``parent`` or of standard input. Prints one JSON line when ready.

    ``hosted`` is told instead of that, by a process that does more than this: signals and memory stay its own.
    """
    store = Store(state)
    services = Services(tenants.read(tenants_file), store, profile)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT) if hosted is None else ():
        loop.add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="m365-emulator-") as folder:
        authority = trustme.CA(organization_name="Tenant emulator")
        ca_path = pathlib.Path(folder, "ca.pem")
        authority.cert_pem.write_to_path(str(ca_path))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*all_hosts(), "localhost", "127.0.0.1").configure_cert(context)
        tls_socket, control_socket = _listening(), _listening()
        servers = [_server(services, context), _server(control.application(services), None)]
        tasks = [
            asyncio.create_task(server.serve(sockets=[listener]))
            for server, listener in zip(servers, (tls_socket, control_socket), strict=True)
        ]

        def refused(host: str, method: str, path: str, status: int) -> None:
            services.journal.arrive(host=host, method=method, path=path, status=status)

        mail = MailServers(services, context)
        await mail.start()
        ports = {443: tls_socket.getsockname()[1]} | {number: mail.ports[name] for number, name in MAIL_PORTS.items()}
        relay = services.relay = Relay(ports, services.perform, refused, services.meets_connect)
        relay.joins_greetings = services.joins_greetings
        proxy_port = await relay.start(port)
        while not all(server.started for server in servers):
            await asyncio.sleep(0.001)
        watch = asyncio.create_task(_until_gone(parent, stdin, stop))
        if hosted is None:
            gc.collect()
            gc.freeze()
        ready: Document = {
            "proxy": f"http://127.0.0.1:{proxy_port}",
            "ca": str(ca_path),
            "control": f"http://127.0.0.1:{control_socket.getsockname()[1]}",
            "pid": os.getpid(),
            "ports": mail.ports,
        }
        winrm_servers: list[asyncio.Server] = []
        if "windows_hosts:" in pathlib.Path(tenants_file).read_text(encoding="utf-8"):
            ready["winrm"], winrm_servers = await _windows_hosts(services, tenants_file, authority, folder)
            for host in services.windows_hosts:
                host.surroundings = {"HTTPS_PROXY": ready["proxy"], "SSL_CERT_FILE": ready["ca"]}
        if hosted is not None:
            hosted(services, ready, stop)
        else:
            sys.stdout.write(json.dumps(ready) + "\n")
            sys.stdout.flush()
        await stop.wait()
        watch.cancel()
        await relay.stop()
        mail.close()
        for listener in winrm_servers:
            listener.close()
        for host in services.windows_hosts:
            host.service.reset()  # ends what still runs there
            for task in list(host.service.connections):
                task.cancel()
        for server in servers:
            server.should_exit = server.force_exit = True
        await asyncio.wait(tasks, timeout=1)
        store.close()
