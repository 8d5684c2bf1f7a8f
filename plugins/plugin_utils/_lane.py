# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The in-process lane: a module's own code, run in the worker that Ansible has forked anyway.

An action plugin of this base has the module's options, results, diff, warnings and errors, without a process of its
own. It also reaches what only the controller has: the run's vault passwords, and with them the secret stores. Where
a task cannot run here (another host, become, async, another interpreter, missing libraries) the module itself runs.
"""

from __future__ import annotations

import contextlib
import os
import sys
import typing as t

from ansible import constants
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.mail2fax.m365.plugins.module_utils._auth import HAS_MSAL
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, M365Error
from ansible_collections.mail2fax.m365.plugins.module_utils._http import HAS_REQUESTS
from ansible_collections.mail2fax.m365.plugins.module_utils._module import execute, refusal, unforeseen
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller, open_store
from ansible_collections.mail2fax.m365.plugins.plugin_utils._tokens import SharedSignIn

Json = dict[str, t.Any]
SWITCH = "mail2fax_in_process"
"""A variable; false makes the modules run as modules, which helps to tell the lanes apart."""


class LaneAction(ActionBase):
    """Subclasses name the door. ``needs_controller`` tells from the options whether only this process will do."""

    _supports_check_mode = True
    _supports_async = True
    _supports_diff = True
    door: t.ClassVar[Door]

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        variables = task_vars or {}
        result: Json = super().run(tmp, variables) or {}
        del tmp
        reason = self._reason_for_a_process(variables)
        if reason is None:
            result.update(self._in_process())
        elif self.needs_controller(self._task.args):
            result.update(
                refusal(
                    Blocked(
                        f"a secret's store can be opened only where Ansible itself runs, and {reason}",
                        cure="run the task for a host with ansible_connection: local, without become and async, and "
                        "with ansible_python_interpreter: '{{ ansible_playbook_python }}'",
                    )
                )
            )
        else:
            result.update(self._execute_module(task_vars=variables, wrap_async=self._task.async_val))
        if not self._task.diff:
            result.pop("diff", None)
        return result

    def needs_controller(self, args: t.Mapping[str, t.Any]) -> bool:
        """Whether the options want something that only the controller has."""
        return bool(args.get("store"))

    def services(self, params: Json) -> Json:
        """What the door gets from outside beside the tenant; raises M365Error."""
        store = params.get("store")
        return {"store": open_store(store, Controller(self._loader))} if store else {}

    def _reason_for_a_process(self, variables: Json) -> str | None:
        """Why this task cannot run in this process, in words; None when it can."""
        if not boolean(self._templar.template(variables.get(SWITCH, True)), strict=False):
            return f"{SWITCH} is false"
        if self._connection.transport != "local":
            return f"its connection is {self._connection.transport}"
        if self._task.async_val:
            return "it runs async"
        if getattr(self._connection, "become", None) is not None:
            return "it uses become"
        interpreter = str(self._templar.template(variables.get("ansible_python_interpreter") or "") or "")
        if interpreter.startswith("/") and not _same_interpreter(interpreter):
            return f"it names the interpreter {interpreter}"
        if not (HAS_REQUESTS and HAS_MSAL):
            return "requests or msal is not installed here"
        return None

    def _in_process(self) -> Json:
        with _environment(self._own_environment()):
            validation = ArgumentSpecValidator(**self.door.argument_spec.kwargs()).validate(dict(self._task.args))
            if validation.error_messages:
                return {"failed": True, "changed": False, "msg": "; ".join(validation.error_messages)}
            params: Json = plain(validation.validated_parameters)
            try:
                task = Task(params, bool(self._task.check_mode), self.services(params))
                return execute(self.door, task, lambda: self._tenant(params))
            except M365Error as exc:
                return refusal(exc)
            except Exception as exc:
                return unforeseen(exc)

    def _tenant(self, params: Json) -> Tenant:
        def shared(inner: t.Any) -> SharedSignIn:
            return SharedSignIn(inner, params, constants.DEFAULT_LOCAL_TMP)

        return Tenant(params, environment=os.environ, share=shared)

    def _own_environment(self) -> dict[str, str]:
        """``environment:`` of the play, block and task, which a process would be started with."""
        found: Json = {}
        self._compute_environment_string(found)
        return {str(name): str(value) for name, value in found.items()}


def plain(value: t.Any) -> t.Any:
    """``value`` in Python's own types: a process would get it as JSON, without ansible-core's tags and subclasses."""
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind.__str__(value) if kind is str else kind(value)
    return value


def _same_interpreter(path: str) -> bool:
    return os.path.abspath(path) == os.path.abspath(sys.executable) or _identity(path) == _identity(sys.executable)


def _identity(path: str) -> tuple[str, str]:
    """The interpreter and the environment it belongs to: links in one folder are the same, two environments are not."""
    return os.path.realpath(path), os.path.realpath(os.path.dirname(path))


@contextlib.contextmanager
def _environment(extra: t.Mapping[str, str]) -> t.Iterator[None]:
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
