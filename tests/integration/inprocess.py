# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our playbooks run by Ansible's own machinery in this very process and in virtual time: a second instead of many.

Parser, inventory, templar, roles, action plugins and strategy are Ansible's and ours; what is left out is the fork for
each task, the socket to the emulator (which is a thread of this process, see ``tests.emulator.hosted``) and the real
time of a wait.

with start_hosted(tenants, profile="realistic") as emulator:
    run = play_in_process(folder, emulator, "provision", [], {})
    assert run.returncode == 0, run.stdout

``folder`` has ``tenants.yml`` and ``vault-password``, as for ``harness.play``, whose signature this has as well.

A run may be watched: ``watch`` is called with a ``Moment`` before each request of the collection and after its answer,
and may raise ``Killed``, which ends the run as a kill does: no ``rescue``, no ``always``, no record, and the files are
those of that instant, whatever Python's own ``finally`` wrote on the way out.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import types
import typing as t
from dataclasses import dataclass
from unittest import mock

import ansible.constants
import ansible.context
import ansible.plugins.strategy
from ansible._internal import _task
from ansible._internal._templating._jinja_bits import (
    _TEMPLATE_OVERRIDE_FIELD_NAMES,
    AnsibleEnvironment,
    _TemplateCompileContext,
)
from ansible.cli.playbook import PlaybookCLI
from ansible.executor.task_executor import TaskExecutor
from ansible.executor.task_result import _RawTaskResult
from ansible.parsing.vault import VaultSecretsContext
from ansible.plugins.loader import init_plugin_loader
from ansible.utils.collection_loader import AnsibleCollectionConfig
from ansible.utils.context_objects import CLIArgs
from ansible.utils.display import Display
from ansible.utils.vars import load_extra_vars, load_options_vars

from ansible_collections.mail2fax.m365.plugins.module_utils import _tenant
from ansible_collections.mail2fax.m365.plugins.module_utils._dial import Dialer, Line
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Request, Response
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Clock
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _shelves
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import times
from tests.emulator.hosted import ConnectionDropped, HostedEmulator

Json = dict[str, t.Any]
REQUEST_S = 0.2
"""How much virtual time passes with each request."""


class Killed(BaseException):
    """The run ends here, as by SIGKILL."""


@dataclass(frozen=True)
class Moment:
    """Right before a request is sent, or right after its answer came. Requests count from 1."""

    number: int
    when: t.Literal["before", "after"]
    request: str


Watch = t.Callable[[Moment], None]


class _Session:
    """One run: how the collection reaches the emulator, and what is told of each request."""

    def __init__(
        self, emulator: HostedEmulator, folder: pathlib.Path, watch: Watch | None, pass_time: PassTime
    ) -> None:
        self.emulator, self.folder, self.pass_time = emulator, folder, pass_time
        self._watch = watch
        self.number = 0
        self.killed = False
        self.kept = tempfile.TemporaryDirectory(prefix="killed-")

    def around(self, what: str, work: t.Callable[[], T]) -> T:
        if self.killed:
            raise Killed("it is dead already")
        self.number += 1
        number = self.number
        self._told(Moment(number, "before", what))
        found = work()
        self.pass_time(REQUEST_S)
        self._told(Moment(number, "after", what))
        return found

    def _told(self, moment: Moment) -> None:
        if self._watch is None:
            return
        try:
            self._watch(moment)
        except Killed:
            self.killed = True
            copy_files(self.folder, pathlib.Path(self.kept.name))
            raise


T = t.TypeVar("T")
PassTime = t.Callable[[float], None]


def copy_files(source: pathlib.Path, target: pathlib.Path) -> None:
    """Make ``target`` what ``source`` is, but for Ansible's own home."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("home"))


def put_files(source: pathlib.Path, target: pathlib.Path) -> None:
    """The same, without taking the folder itself away: somebody may stand in it."""
    for path in target.iterdir():
        if path.name == "home":
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)


def _transport(session: _Session) -> type:
    class Direct:
        """Stands for RequestsTransport."""

        def __init__(self, _environment: t.Mapping[str, str], **_network: t.Any) -> None:
            """Nothing is opened."""

        def send(self, request: Request, timeout_s: float) -> Response:
            def asked() -> Response:
                try:
                    found = session.emulator.ask(request.method, request.url, request.headers, request.body)
                except ConnectionDropped:
                    raise AnswerLost(f"the connection to {request.host} ended before the answer came") from None
                headers = {name.lower(): value for name, value in found.headers.items()}
                return Response(found.status_code, headers, bytes(found.body))

            return session.around(f"{request.method} {request.url.partition('?')[0]}", asked)

        def close(self) -> None:
            """Nothing was opened."""

    return Direct


def _dialer(session: _Session) -> type:
    class Watched(Dialer):
        """The real one, to the emulator's listeners, which want a socket."""

        def dial(self, host: str, port: int, timeout_s: float, *, encrypted: bool = True) -> Line:
            dial = super().dial
            return session.around(f"CONNECT {host}:{port}", lambda: dial(host, port, timeout_s, encrypted=encrypted))

    return Watched


class _Worker:
    """Stands for WorkerProcess: the task is done when ``start`` returns."""

    exitcode: int | None = None
    pid: int | None = None

    def __init__(self, **given: t.Any) -> None:
        self._given = types.SimpleNamespace(**given)
        self._given.loader._tempfiles = set()

    def start(self) -> None:
        given = self._given
        # A worker's task is its own: what is rendered for one host must not be there for the next.
        task = given.task.copy(exclude_parent=True, exclude_tasks=True)
        task._parent = given.task._parent
        with _task.TaskContext(task):
            result = TaskExecutor(
                given.host,
                task,
                given.task_vars,
                given.play_context,
                given.loader,
                given.shared_loader_obj,
                given.final_q,
                given.variable_manager,
            ).run()
            told = _RawTaskResult(host=given.host, task=task, return_data=result, task_fields=task.dump_attrs())
            given.final_q.send_task_result(told)

    def is_alive(self) -> bool:
        return False

    def close(self) -> None:
        """There is no process."""


def let_ansible_find_the_collection() -> None:
    """Once for a process. What tests have imported of the collection stays; its packages become Ansible's own."""
    if AnsibleCollectionConfig.collection_finder is not None:
        return
    init_plugin_loader()
    named = [name for name in sys.modules if name.partition(".")[0] == "ansible_collections"]
    # Folders without a file of their own, from the top.
    packages = sorted(name for name in named if getattr(sys.modules[name], "__file__", "") is None)
    imported = [(name, sys.modules.pop(name)) for name in packages]
    for name, before in imported:
        package = importlib.import_module(name)
        for inner, value in vars(before).items():
            if isinstance(value, types.ModuleType) and f"{name}.{inner}" in sys.modules:
                setattr(package, inner, sys.modules[f"{name}.{inner}"])


_compile = AnsibleEnvironment.compile
_compiled: dict[tuple[t.Any, ...], t.Any] = {}


def _compiled_once(self: AnsibleEnvironment, source: t.Any, *given: t.Any, **named: t.Any) -> t.Any:
    """Half of a run is Jinja compiling the same templates again in the environment of each task."""
    if not isinstance(source, str) or named.get("raw"):
        return _compile(self, source, *given, **named)
    context = _TemplateCompileContext.current(optional=True)
    syntax = tuple(getattr(self, name) for name in _TEMPLATE_OVERRIDE_FIELD_NAMES)
    key = (str(source), syntax, context and context.escape_backslashes, given, tuple(named.items()))
    if key not in _compiled:
        _compiled[key] = _compile(self, source, *given, **named)
    return _compiled[key]


@contextlib.contextmanager
def virtual_time(emulator: HostedEmulator, pass_time: PassTime) -> t.Iterator[None]:
    """Every clock of the collection is the emulator's, and a wait passes its time."""
    began = emulator.now()

    def now(_tz: t.Any = None) -> dt.datetime:
        return emulator.now()

    with contextlib.ExitStack() as stack:
        for name, instead in (
            ("now", lambda self: emulator.now()),
            ("monotonic", lambda self: 1e6 + (emulator.now() - began).total_seconds()),
            ("sleep", lambda self, seconds: pass_time(seconds)),
        ):
            stack.enter_context(mock.patch.object(Clock, name, instead))
        clock = types.SimpleNamespace(datetime=types.SimpleNamespace(now=now), UTC=dt.UTC)
        stack.enter_context(mock.patch.object(times, "dt", clock))
        yield


@contextlib.contextmanager
def _own_process(folder: pathlib.Path, environment: t.Mapping[str, str]) -> t.Iterator[io.StringIO]:
    """What a process of its own would have for itself: folder, environment, signals, output, a temporary folder."""
    before = pathlib.Path.cwd()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    printed = io.StringIO()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("M365_", "AWX_", "TOWER_"))}
    Display()  # the first one takes hold of what is standard output then
    display = Display()
    said = {name: getattr(display, name) for name in ("_warns", "_errors", "_deprecations")}
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, {**kept, **environment}, clear=True))
        local = stack.enter_context(tempfile.TemporaryDirectory(prefix="ansible-local-"))
        stack.enter_context(mock.patch.object(ansible.constants, "DEFAULT_LOCAL_TMP", local))
        stack.enter_context(mock.patch.object(ansible.context, "CLIARGS", ansible.context.CLIARGS))
        stack.enter_context(
            mock.patch.object(
                ansible.context,
                "_init_global_context",
                lambda given: setattr(ansible.context, "CLIARGS", CLIArgs.from_options(given)),
            )
        )
        stack.enter_context(mock.patch.object(VaultSecretsContext, "_current", None))
        # Ansible keeps on that function what it was once given.
        stack.enter_context(mock.patch.object(load_extra_vars, "extra_vars", {}, create=True))
        stack.enter_context(mock.patch.object(load_options_vars, "options_vars", {}, create=True))
        stack.enter_context(mock.patch.object(_shelves, "RUN", os.urandom(8).hex()))
        for name in said:
            stack.enter_context(mock.patch.object(display, name, set()))
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(contextlib.redirect_stderr(printed))
        os.chdir(folder)
        try:
            yield printed
        finally:
            os.chdir(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)


def play_in_process(
    folder: pathlib.Path,
    emulator: HostedEmulator,
    playbook: str,
    words: t.Sequence[str],
    variables: t.Mapping[str, t.Any],
    *,
    watch: Watch | None = None,
    pass_time: PassTime | None = None,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """A playbook of the collection, run as ``harness.play`` does it. ``returncode`` is -9 where it was killed.

    ``pass_time`` is called with the seconds of each wait and request; what is not said passes the emulator's time.
    """
    spent = pass_time or emulator.pass_time
    session = _Session(emulator, folder, watch, spent)
    command = ["ansible-playbook", "-i", "tenants.yml", "--vault-password-file", str(folder / "vault-password"), *words]
    command += [f"mail2fax.m365.{playbook}", "-e", json.dumps(dict(variables))]
    let_ansible_find_the_collection()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.closing(t.cast("t.Any", types.SimpleNamespace(close=session.kept.cleanup))))
        stack.enter_context(virtual_time(emulator, spent))
        printed = stack.enter_context(_own_process(folder, {**emulator.env(), "M365_PATIENCE": "30", **environment}))
        stack.enter_context(mock.patch.object(_tenant, "RequestsTransport", _transport(session)))
        stack.enter_context(mock.patch.object(_tenant, "Dialer", _dialer(session)))
        stack.enter_context(mock.patch.object(ansible.plugins.strategy, "WorkerProcess", _Worker))
        stack.enter_context(mock.patch.object(AnsibleEnvironment, "compile", _compiled_once))
        stack.enter_context(mock.patch("ansible.cli.init_plugin_loader", return_value=None))
        try:
            code = int(PlaybookCLI(command).run() or 0)
        except Killed:
            code = -9
            put_files(pathlib.Path(session.kept.name), folder)
        except Exception:
            # As Ansible's own main does.
            code = 4
            printed.write(traceback.format_exc())
    return subprocess.CompletedProcess(command, code, printed.getvalue(), "")
