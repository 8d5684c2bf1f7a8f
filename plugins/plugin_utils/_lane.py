# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The in-process lane: a module's own code, run in the worker that Ansible has forked anyway.

An action plugin of this base has the module's options, results, diff, warnings and errors, without a process of its
own. It also reaches what only the controller has: the run's vault passwords, and with them the secret stores. Where
a task cannot run here (another host, become, async, another interpreter, missing libraries) the module itself runs.

What differs on purpose: a module writes its masked options to syslog, the lane writes nothing; ansible-core 2.19 and
later say "Action failed" instead of "Module failed" in front of an error's text.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import typing as t

from ansible import constants
from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator, ValidationResult
from ansible.module_utils.errors import UnsupportedError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.mail2fax.m365.plugins.module_utils import _argspec, _redact, _run, _secret_options
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import WAYS, ReadyTokens, SignIn
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Blocked,
    InvalidInput,
    M365Error,
    Unreachable,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._http import HAS_REQUESTS, Nobody
from ansible_collections.mail2fax.m365.plugins.module_utils._module import (
    cleaner,
    complaint,
    live_secrets,
    perform,
    refusal,
    refused_by_ansible,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._msal import HAS_MSAL
from ansible_collections.mail2fax.m365.plugins.module_utils._reads import Reads
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.plugin_utils import (
    _arguments,
    _fleet,
    _held,
    _locked,
    _looked_up,
    _read_once,
    _together,
    _variables,
)
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain
from ansible_collections.mail2fax.m365.plugins.plugin_utils._preload import preload
from ansible_collections.mail2fax.m365.plugins.plugin_utils._store_logins import of_this_run
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller, open_receiver, open_store
from ansible_collections.mail2fax.m365.plugins.plugin_utils._tokens import KEY, SharedSignIn, any_in
from ansible_collections.mail2fax.m365.plugins.plugin_utils._traceless import start

preload()

Json = dict[str, t.Any]
SHOWS_INVOCATION = 3
"""With so many -v Ansible shows it."""
SWITCH = "mail2fax_in_process"
"""A variable; false makes the modules run as modules, which helps to tell the lanes apart. Only what needs the
controller stays here even so."""

ALLOWED = "mail2fax_allowed_connection"
"""A variable: the connection, other than local, that modules may be sent by."""

PREFIX = "mail2fax_"
"""Of the variables that hold the connection's options. One look at a host's variables costs far less than the
module_defaults of a play, which Ansible renders for every task, one template for each option."""

OURS = "{{ ansible_playbook_python }}"
"""What most inventories say that name one: this process's own, which takes no template engine to find out."""

DISCOVERED = ("auto", "auto_silent", "auto_legacy", "auto_legacy_silent")
"""What ansible_python_interpreter says where it names none."""


class LaneAction(ActionBase):
    """Subclasses name the door. ``needs_controller`` tells from the options whether only this process will do."""

    _supports_check_mode = True
    _supports_async = True
    _supports_diff = True
    door: t.ClassVar[Door]
    writes_results: t.ClassVar[bool] = False
    """Whether it writes what came of a run, and does so too where the run was refused."""

    @classmethod
    @contextlib.contextmanager
    def get_finalize_task_args_context(cls) -> t.Iterator[_arguments.Arguments]:
        """Ansible's door around the arguments of a task. It and the next one are there since ansible-core 2.19; before,
        nobody calls them."""
        with _arguments.of_a_task(constants.DEFAULT_LOCAL_TMP) as arguments:
            yield arguments

    @classmethod
    def finalize_task_arg(cls, name: str, value: t.Any, templar: t.Any, context: _arguments.Arguments) -> t.Any:
        context.lend(templar)
        return context.option(value, templar)

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        variables = task_vars or {}
        self._inventory_name = str(variables.get("inventory_hostname", "localhost"))
        result: Json = super().run(tmp, variables) or {}
        del tmp
        out_of_turn = begun_wrongly(variables, writes_results=self.writes_results)
        if out_of_turn is None and _held.PLAYBOOK in variables and not self.writes_results:
            out_of_turn = _together.met(constants.DEFAULT_LOCAL_TMP, self._inventory_name)
        if out_of_turn is not None:
            result.update(refusal(out_of_turn))
            return result
        try:
            result.update(self._run(variables))
        except M365Error as exc:
            result.update(refusal(exc))
        return result

    def _run(self, variables: Json) -> Json:
        only_here = self.needs_controller(self._task.args)
        # Of a host that is out of reach there is a result, too.
        here = self.writes_results and _held.PLAYBOOK in variables and self._out_of_reach()
        reason = None if here else self._reason_for_a_process(variables)
        args = {**self._connection_of_the_host(variables), **self._task.args}
        if "store" in args:
            args["store"] = self._resolved(args["store"])
        if not only_here and not here:
            self._check_connection(variables)
        if reason is None and not only_here and not here and not self._switched_on(variables):
            reason = f"{SWITCH} is false"
        self._check_names(args, variables)
        if reason is None:
            return self._in_process(args, variables)
        if only_here:
            why_not = Blocked(
                f"a secret's store can be opened only where Ansible itself runs, and {reason}",
                cure="run the task with ansible_connection: local, without become and async, with "
                "ansible_python_interpreter: '{{ ansible_playbook_python }}', and with the libraries of the "
                "collection's requirements.txt installed there",
            )
            return refusal(why_not)
        return self._as_module(args, variables)

    def _resolved(self, store: t.Any) -> t.Any:
        """A store's options, with what look-ups have filled in the first task."""
        return _looked_up.resolved(constants.DEFAULT_LOCAL_TMP, self._inventory_name, store)

    def needs_controller(self, args: t.Mapping[str, t.Any]) -> bool:
        """Whether the options want something that only the controller has."""
        return bool(args.get("store"))

    def services(self, params: Json) -> Json:
        """What the door gets from outside beside the tenant; raises M365Error."""
        store = params.get("store")
        return {"store": open_store(store, self.controller(params))} if store else {}

    def receiver(self, params: Json) -> Json:
        """What receives a secret, where the options name a store; raises M365Error."""
        return open_receiver(params["store"], self.controller(params)) if params.get("store") else {}

    def controller(self, params: Json) -> Controller:
        """What the stores of this task need of the run; what they open is closed when the task has ended."""
        return Controller(self._loader, params, of_this_run(), shared, self._closing.callback)

    def _connection_of_the_host(self, variables: Json) -> Json:
        """The connection's options that the task leaves out and the host's variables have.

        How to sign in is said in one place: a task that says it is not given another way beside its own.
        """
        said = {name for name, value in self._task.args.items() if value is not None}
        if said & {*WAYS}:
            said |= {*WAYS, "certificate_passphrase"}
        found: Json = {}
        for name in self.door.base.options:
            if name not in said and PREFIX + name in variables:
                value = self._rendered(PREFIX + name, variables)
                if value is not None and str(value).strip():
                    found[name] = value
        return found

    def _rendered(self, name: str, variables: Json) -> t.Any:
        """A variable of ours. An error of Ansible's would quote what it holds, and that may be a secret."""
        kept = _looked_up.kept(constants.DEFAULT_LOCAL_TMP, self._inventory_name, name, variables[name])
        if kept:
            return kept[0]
        try:
            return self._templar.template(variables[name])
        except Exception as exc:
            # Not only AnsibleError: a template may raise anything.
            if _locked.by_vault(exc):
                raise _locked.unopened(name, variables[name]) from None
            raise InvalidInput(
                f"the variable {name} cannot be rendered ({type(exc).__name__})",
                cure=f"correct the template in {name}; a value that itself holds {{{{ or {{% takes the tag !unsafe",
            ) from None

    def _switched_on(self, variables: Json) -> bool:
        said = self._rendered(SWITCH, variables) if SWITCH in variables else None
        return said is None or not str(said).strip() or bool(boolean(said, strict=False))

    def _check_connection(self, variables: Json) -> None:
        """Sign-ins, secrets and what is read of a tenant go to no other machine unless the inventory says so."""
        transport = str(self._connection.transport)
        if transport == "local":
            return
        said = self._rendered(ALLOWED, variables) if ALLOWED in variables else None
        allowed = {str(name).strip() for name in (said if isinstance(said, (list, tuple)) else [said])}
        if not allowed & {transport, f"ansible.builtin.{transport}"}:
            raise InvalidInput(
                f"the connection of {self._inventory_name} is {transport}, so that the sign-in to the tenant would be "
                "sent to another machine",
                cure="set ansible_connection: local for the hosts that stand for tenants; where another machine is "
                f"really meant to run the tasks, set {ALLOWED}: {transport} in the inventory",
            )

    def _check_names(self, args: Json, variables: Json) -> None:
        """Whether a variable that is no secret has the value of one, which could then not be kept out of what is shown.

        The modules look at their own options; this looks at what later tasks are going to declare as well.
        """
        around = _argspec.surroundings(os.environ)
        said = {name: args.get(name) or around.get(f"M365_{name.upper()}") for name in self.door.base.options}
        live = live_secrets(self.door, {**said, **args})
        by_text = {text: option for option, texts in live.items() for text in texts}
        if not by_text:
            return
        for name, row in _variables.variables().items():
            if row.secret or row.type == "dict" or name not in variables:
                continue
            for text in _secret_options.texts_of(variables[name]):
                if str(text).strip() in by_text:
                    option = by_text[str(text).strip()]
                    raise InvalidInput(
                        f"{name} has the same value as {PREFIX}{option} (or M365_{option.upper()}), which is a secret",
                        cure="give one of the two another value: whatever shows the one would show the other",
                        options=(row.option or name, option),
                    )

    def _as_module(self, args: Json, variables: Json) -> Json:
        """The module in a process of its own, which gets no secret by a file or on its command line."""
        _read_once.drop_all(constants.DEFAULT_LOCAL_TMP)
        wrap_async = bool(self._task.async_val and not self._connection.has_native_async)

        def begin(options: Json, said: dict[str, str]) -> Json:
            if self._connection.transport == "local" and not self._task.async_val:
                # What runs async is meant to outlive the run.
                said = {**said, _run.VARIABLE: _run.this_run()}
            before = self._task.environment
            self._task.environment = [said]
            try:
                found: Json = self._execute_module(module_args=options, task_vars=variables, wrap_async=wrap_async)
                if not wants_invocation(variables):
                    found.pop("invocation", None)
            finally:
                # Ansible itself asks after what runs async, with the environment of the task on the command line.
                if not self._task.async_val:
                    self._task.environment = before
            return found

        try:
            return self._started(args, begin, wrap_async=wrap_async)
        except AnsibleConnectionFailure as exc:
            if _held.PLAYBOOK not in variables:
                raise
            # Ansible leaves such a host out of all that follows, and where nobody else is left, everything.
            _together.note_out_of_reach(constants.DEFAULT_LOCAL_TMP, self._inventory_name)
            return refusal(self._no_answer(exc))

    def _out_of_reach(self) -> bool:
        return self._connection.transport != "local" and _together.out_of_reach(
            constants.DEFAULT_LOCAL_TMP, self._inventory_name
        )

    def _no_answer(self, exc: Exception) -> Unreachable:
        return Unreachable(
            f"{self._inventory_name} is unreachable by {self._connection.transport}, which is to run its tasks: {exc}",
            cure="see that it runs and lets Ansible in, or set ansible_connection: local",
            code=_fleet.HOST_OUT_OF_REACH,
        )

    def _started(self, args: Json, begin: t.Callable[[Json, dict[str, str]], Json], *, wrap_async: bool) -> Json:
        found = start(
            self._connection,
            self.door.argument_spec.options,
            plain(args),
            self._own_environment(),
            wrap_async=wrap_async,
            begin=begin,
        )
        if "module_stdout" in found:
            # It did not come to an end of its own, so nothing of what it printed is cleaned.
            return t.cast("Json", cleaner(self.door, plain(args)).clean(plain(found)))
        return found

    def _reason_for_a_process(self, variables: Json) -> str | None:
        """Why this task cannot run in this process, in words; None when it can."""
        if self._connection.transport != "local":
            return f"its connection is {self._connection.transport}"
        if self._task.async_val:
            return "it runs async"
        if self._connection.become is not None:
            return "it uses become"
        interpreter = self._interpreter(variables)
        if interpreter not in ("", *DISCOVERED) and not is_ours(interpreter):
            return f"it names the interpreter {interpreter}"
        if not (HAS_REQUESTS and HAS_MSAL):
            return f"requests or msal is not installed for {sys.executable}"
        return None

    def _interpreter(self, variables: Json) -> str:
        """What a module would be started with: the variable of the host it would run on, else the configuration."""
        delegated = variables.get("ansible_delegated_vars") or {}
        at_host = delegated.get(self._task.delegate_to, variables) if self._task.delegate_to else variables
        named = constants.config.get_config_value("INTERPRETER_PYTHON", variables=at_host)
        if named == OURS and variables.get("ansible_playbook_python") == sys.executable:
            return sys.executable
        return str(self._templar.template(named) or "").strip()

    def _in_process(self, args: Json, variables: Json) -> Json:
        check_mode = bool(self._task.check_mode)
        return self._through(self.door, args, variables, services=self.services, check_mode=check_mode)

    def _through(
        self,
        door: Door,
        args: Json,
        variables: Json,
        *,
        services: t.Callable[[Json], Json],
        check_mode: bool,
        known: Reads | None = None,
        nobody: Nobody | None = None,
    ) -> Json:
        """What a door has to say in this process, with ``known`` by what this task has read; ``nobody`` stands in the
        place of the services."""
        with environment(self._own_environment()):
            given = plain(args)
            checked = ArgumentSpecValidator(**door.argument_spec.kwargs()).validate(given)
            params: Json = checked.validated_parameters
            if checked.error_messages:
                return self._presented(refused_by_ansible(self._complaint(checked, given)), checked, variables)
            if nobody is not None and params.get("exchange_transport") == "winrm":
                return refusal(Unreachable("nobody asks a management host here", lasting=True))
            wanted = _run.worker_wanted()
            reads = known or self._reads(params, variables)

            def tenant() -> Tenant:
                return Tenant(
                    params,
                    environment=os.environ,
                    transport=nobody,
                    dialer=nobody,
                    share=lambda sign_in: shared(sign_in, params),
                    reached=lambda: any_in(constants.DEFAULT_LOCAL_TMP),
                    still_wanted=wanted,
                    told=self._told,
                    reads=reads,
                )

            with contextlib.ExitStack() as self._closing:
                result = perform(
                    door,
                    params,
                    check_mode=check_mode,
                    tenant=tenant,
                    services=lambda: services(params),
                    prepare=plain,
                )
            return self._presented(result, checked, variables)

    def _reads(self, params: Json, variables: Json) -> Reads:
        """What one task of a playbook of ours reads, the next ones need not. Everywhere else a write is noticed."""
        ours = _held.PLAYBOOK in variables
        # A playbook that comes after another one in the same run looks for itself.
        whose = f"{variables.get(_held.PLAYBOOK, '')} {self._inventory_name}"
        shelf = _read_once.shelf(constants.DEFAULT_LOCAL_TMP, whose, params)
        return Reads(shelf, gives=ours and self.door.gives, takes=ours and self.door.takes)

    def _complaint(self, checked: ValidationResult, given: Json) -> str:
        """In AnsibleModule's own words, without the values."""
        text = complaint(str(checked.errors.msg), given)
        if isinstance(checked.errors[0], UnsupportedError):
            return f"Unsupported parameters for ({self._task.action}) module: {text}"
        return text

    def _presented(self, result: Json, checked: ValidationResult, variables: Json) -> Json:
        """The result as AnsibleModule would send it: with its own warnings, and ``invocation`` where it is wanted."""
        if not self._task.diff:
            result.pop("diff", None)
        if not wants_invocation(variables):
            result.pop("invocation", None)
        warnings = [
            f"Both option {both['option']} and its alias {both['alias']} are set." for both in checked._warnings
        ]
        warnings += result.pop("warnings", [])
        if warnings:
            result["warnings"] = warnings
        if checked._deprecations:
            result["deprecations"] = [dict(deprecation) for deprecation in checked._deprecations]
        return result

    def _told(self, seconds: float, what: str) -> None:
        """A person who looks on learns what takes so long."""
        text = _redact.Redactor(_redact.current()).text(f"waiting for {what}, for {seconds:.0f} s so far")
        Display().display(f"{self._inventory_name} | {self._task.get_name()}: {text}", stderr=True)

    def _own_environment(self) -> dict[str, str]:
        """``environment:`` of the play, block and task, which a process would be started with."""
        found: Json = {}
        self._compute_environment_string(found)
        return {str(name): str(value) for name, value in found.items()}


def begun_wrongly(variables: Json, *, writes_results: bool = False) -> M365Error | None:
    """Why a task of a playbook of ours must not run, None where it may; elsewhere nothing is asked.

    The first task of a playbook leaves what it found under one name: without it, or with that of another host, the run
    was begun in the middle, and nobody has looked at anything.
    """
    playbook = variables.get(_held.PLAYBOOK)
    if playbook is None:
        return None
    found = variables.get(_held.BEGUN)
    found = found if isinstance(found, t.Mapping) else {}
    if found.get("playbook") != playbook or found.get("host") != variables.get("inventory_hostname"):
        return InvalidInput(
            "the run began in the middle, where nobody has looked at the inventory and the tenant",
            cure="run the playbook whole, without --start-at-task: steps that have nothing to do change nothing",
        )
    compared = variables.get(_held.COMPARED)
    clashes = compared.get("refused") if isinstance(compared, t.Mapping) else None
    refused = found.get("refused") or (clashes if clashes is None else clashes.get(found["host"]))
    if (refused or clashes is None) and not writes_results:
        return InvalidInput("the variables of this host were refused", cure="mend what the first task complains of")
    return None


def shared(sign_in: SignIn, params: t.Mapping[str, t.Any]) -> SignIn:
    """The same identity, with the tokens of the run. Ready tokens are the user's own to share."""
    if isinstance(sign_in, ReadyTokens) or not KEY:
        return sign_in
    return SharedSignIn(sign_in, params, constants.DEFAULT_LOCAL_TMP)


def wants_invocation(variables: Json) -> bool:
    """Whether results hold the options. As of ansible-core 2.21 it is a setting, and off; before, they are a third of
    what the main process goes through and keeps for each tenant, and so left out where nobody sees them."""
    setting = "INJECT_INVOCATION"
    if constants.config.get_configuration_definition(setting) is None:
        asked = boolean(os.environ.get(f"ANSIBLE_{setting}", "false"), strict=False)
        return bool(asked) or Display().verbosity >= SHOWS_INVOCATION
    return bool(constants.config.get_config_value(setting, variables=variables))


def is_ours(interpreter: str) -> bool:
    """Whether a module started with ``interpreter`` would run in this process's own Python environment."""
    words = interpreter.split()
    name = words[-1] if os.path.basename(words[0]) == "env" else interpreter
    path = shutil.which(name) or name
    return os.path.abspath(path) == os.path.abspath(sys.executable) or _identity(path) == _identity(sys.executable)


def _identity(path: str) -> tuple[str, str]:
    """The interpreter and the environment it belongs to: links in one folder are the same, two environments are not."""
    return os.path.realpath(path), os.path.realpath(os.path.dirname(path))


@contextlib.contextmanager
def environment(extra: t.Mapping[str, str]) -> t.Iterator[None]:
    """os.environ with ``extra`` for a while; a worker runs one task at a time."""
    before = {name: os.environ.get(name) for name in extra}
    os.environ.update(extra)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
