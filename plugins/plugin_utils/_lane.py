# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The in-process lane: a module's own code, run in the worker that Ansible has forked anyway.

An action plugin of this base has the module's options, results, diff, warnings and errors, without a process of its
own. It also reaches what only the controller has: the run's vault passwords, and with them the secret stores.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, M365Error
from ansible_collections.mail2fax.m365.plugins.module_utils._module import execute
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller, open_store

Json = dict[str, t.Any]


class LaneAction(ActionBase):  # type: ignore[misc]  # ansible-core ships no type information
    """Subclasses name the door."""

    _supports_check_mode = True
    _supports_async = False
    _supports_diff = True
    door: t.ClassVar[Door]

    def run(self, tmp: str | None = None, task_vars: Json | None = None) -> Json:
        result: Json = super().run(tmp, task_vars) or {}
        del tmp
        with _environment(self._own_environment()):
            validation = ArgumentSpecValidator(**_validator_options(self.door.argument_spec.kwargs())).validate(
                dict(self._task.args)
            )
            if validation.error_messages:
                return {**result, "failed": True, "outcome": "failed", "msg": "; ".join(validation.error_messages)}
            result.update(self._execute(validation.validated_parameters))
        if not self._task.diff:
            result.pop("diff", None)
        return result

    def _execute(self, params: Json) -> Json:
        try:
            self._require_controller()
            services = self._services(params)
        except M365Error as exc:
            return {
                "failed": True,
                "changed": False,
                "outcome": exc.outcome,
                "msg": str(exc),
                "summary": exc.message,
                "error": exc.as_result(),
            }
        task = Task(params, bool(self._task.check_mode), services)
        return execute(self.door, task, lambda: Tenant(params, environment=os.environ))

    def _services(self, params: Json) -> Json:
        store = params.get("store")
        return {"store": open_store(store, Controller(self._loader))} if store else {}

    def _require_controller(self) -> None:
        if self._connection.transport != "local" or self._task.async_val:
            raise Blocked(
                "a secret store can be opened only where Ansible itself runs",
                cure="set ansible_connection: local for the tenant (or delegate_to: localhost), without async",
            )

    def _own_environment(self) -> dict[str, str]:
        """``environment:`` of the play, block and task; where there is a process it would get them."""
        found: Json = {}
        self._compute_environment_string(found)
        return {str(name): str(value) for name, value in found.items()}


def _validator_options(kwargs: Json) -> Json:
    return {
        "argument_spec": kwargs["argument_spec"],
        "mutually_exclusive": kwargs["mutually_exclusive"],
        "required_together": kwargs["required_together"],
        "required_one_of": kwargs["required_one_of"],
        "required_if": kwargs["required_if"],
        "required_by": kwargs["required_by"],
    }


@contextlib.contextmanager
def _environment(extra: t.Mapping[str, str]) -> t.Iterator[None]:
    """os.environ with ``extra`` for a while; the worker runs one task at a time."""
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
