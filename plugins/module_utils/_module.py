# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""read -> plan -> apply unless check mode -> before/after -> one exit.

``execute`` knows neither AnsibleModule nor a process: it answers with the result as a dict. ``run_module`` is
the only place that ends the process.
"""

from __future__ import annotations

import itertools
import os
import traceback
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost, Forbidden, M365Error
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Plan, Resource, Settled
from ansible_collections.mail2fax.m365.plugins.module_utils._retry import RetryPolicy
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

Json = dict[str, t.Any]
NOTHING_SETTLED = Settled()


def execute(door: Door, task: Task, tenant: t.Callable[[], Tenant]) -> Json:
    """The task's result: always ``changed``, ``outcome``, ``summary``; ``failed`` and ``msg`` when it is red.

    An unexpected exception passes through: it is a defect, and its traceback is wanted.
    """
    done: list[str] = []
    lost: str | None = None
    first: Plan | None = None
    opened: Tenant | None = None
    try:
        opened = tenant()
        resource = door.open(opened, task)
        waiting = opened.patience.begin("an answer to what was sent")
        for attempt in itertools.count():
            plan = resource.plan(resource.read())
            first = first or plan
            if lost is not None and lost not in (step.title for step in plan.steps):
                done.append(lost)  # the answer was lost, the work was done
            lost = None
            if plan.blocked is not None or task.check_mode:
                return _result(first, plan, done, plan.result)
            try:
                for step in plan.steps:
                    lost = step.title
                    resource.perform(step)
                    lost = None
                    done.append(step.title)
            except AnswerLost:
                # The work may have been done: look before doing it again, soon at first and with growing waits.
                if attempt and not waiting.pause(RetryPolicy().delay(attempt)):
                    raise
                continue
            return _result(first, plan, done, plan.result, _settled(resource, plan) if done else NOTHING_SETTLED)
        raise AssertionError("unreachable")
    except M365Error as exc:
        exc.done = [*done, *exc.done]
        told = refusal(exc)
        if first is not None and first.added and (exc.done or isinstance(exc, AnswerLost)):
            # It was not there, and by now it may be: whoever takes it back has to know whose it is.
            told["added"] = first.added
        return told
    finally:
        if opened is not None:
            opened.close()


def refusal(exc: M365Error) -> Json:
    """The result of a task that ends with this error."""
    # A right that is missing is for a person to give; what is half done is worse than that.
    half_done = isinstance(exc, Forbidden) and bool(exc.done)
    return {
        "failed": True,
        "changed": bool(exc.done),
        "outcome": "failed" if half_done else exc.outcome,
        "msg": str(exc),
        "summary": exc.message,
        "error": exc.as_result(),
    }


def unforeseen(exc: BaseException) -> Json:
    """The result of a task that ends in a defect: type and place, because the text may quote anything."""
    return {
        "failed": True,
        "changed": False,
        "outcome": "failed",
        "msg": f"This is a defect in mail2fax.m365: an unexpected {type(exc).__name__}. Please report it.",
        "where": _frames(exc),
    }


def _settled(resource: Resource, plan: Plan) -> Settled:
    told = resource.settle(plan)
    return told if isinstance(told, Settled) else Settled(told)


def _result(first: Plan, plan: Plan, done: list[str], values: Json, settled: Settled = NOTHING_SETTLED) -> Json:
    changed = bool(done) or (bool(plan.steps) and plan.blocked is None)
    pending = plan.pending if settled.pending is None else settled.pending
    outcome = plan.outcome
    if settled.pending is not None and plan.blocked is None:
        outcome = "pending"
    if outcome == "ok" and changed:
        outcome = "changed"
    result: Json = {
        **values,
        **settled.values,
        "changed": changed,
        "outcome": outcome,
        "summary": plan.summary,
        "diff": {"before": first.before, "after": plan.after if plan.blocked is None else first.before},
    }
    if first.added and (done or plan.blocked is None):
        result["added"] = first.added
    if plan.steps or done:
        result["steps"] = [*done, *(step.title for step in plan.steps if step.title not in done)]
    if pending is not None:
        result["pending"] = pending
        result["pending_until"] = plan.pending_until if settled.pending is None else settled.pending_until
    if plan.warnings or settled.warnings:
        result["warnings"] = [*plan.warnings, *settled.warnings]
    if plan.blocked is not None:
        plan.blocked.done = list(done)
        result.update(
            failed=True,
            changed=bool(done),
            msg=str(plan.blocked),
            summary=plan.blocked.message,
            error=plan.blocked.as_result(),
        )
        result.pop("steps", None)
    return result


def run_module(door: Door) -> None:
    """A module's whole main(): options, execute, exit."""
    module = AnsibleModule(supports_check_mode=True, **door.argument_spec.kwargs())
    task = Task(module.params, module.check_mode)
    try:
        result = execute(door, task, lambda: Tenant(module.params, environment=os.environ))
    except Exception as exc:
        result = unforeseen(exc)
    for warning in result.pop("warnings", []):
        module.warn(warning)
    if not module._diff:
        result.pop("diff", None)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def _frames(exc: BaseException) -> list[str]:
    """Where it happened, without the exception's own text and without values."""
    return [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(exc.__traceback__)]
