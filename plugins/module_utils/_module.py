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
import json
import os
import re
import sys
import traceback
import typing as t
from dataclasses import replace

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import warnings as core_warnings

from ansible_collections.mail2fax.m365.plugins.module_utils import _redact, _run, _secret_options
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    Forbidden,
    InvalidInput,
    M365Error,
    NoLongerWanted,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._handed import Taken
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Lasting, NotYet, Plan, Resource, Settled
from ansible_collections.mail2fax.m365.plugins.module_utils._retry import RetryPolicy
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

try:
    from ansible.module_utils.secrets import register_secret
except ImportError:  # before ansible-core 2.22
    register_secret = None

Json = dict[str, t.Any]
NOTHING_SETTLED = Settled()
LONG_S = 15.0
"""What took less of a task's patience is no news."""


def execute(door: Door, task: Task, tenant: t.Callable[[], Tenant]) -> Json:
    """The task's result: always ``changed``, ``outcome``, ``summary``; ``failed`` and ``msg`` when it is red.

    An unexpected exception passes through: it is a defect, and its traceback is wanted.
    """
    opened: Tenant | None = None
    try:
        opened = tenant()
        result = {**_execute(door, task, opened), **_waited(opened)}
        if not result.get("failed"):
            opened.hand_on()
        return result
    except M365Error as exc:
        return refusal(exc)
    finally:
        if opened is not None:
            opened.close()


def _execute(door: Door, task: Task, opened: Tenant) -> Json:
    done: list[str] = []
    lost: str | None = None
    first: Plan | None = None
    resource: Resource | None = None
    try:
        resource = door.open(opened, task)
        known = _by_what_is_known(resource, opened)
        if known is None:
            # Not one thing of what was handed on stays.
            resource = door.open(opened, task)
        waiting = opened.patience.begin("an answer to what was sent")
        for attempt in itertools.count():
            plan, known = known or resource.plan(resource.read()), None
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
            except AnswerLost as exc:
                # The work may have been done: look before doing it again, soon at first and with growing waits.
                if attempt and exc.lasting:
                    raise  # what answers in the service's place would do so again
                if attempt and not waiting.pause(RetryPolicy().delay(attempt)):
                    raise
                continue
            except NotYet as exc:
                # Nothing is told as done, or predicted, that was not.
                after = plan.after if done else first.before
                kept = replace(plan, steps=[], after=after, summary=exc.settled.pending or "")
                return _result(replace(first, added=exc.added), kept, done, {}, exc.settled)
            return _result(first, plan, done, plan.result, _settled(resource, plan) if done else NOTHING_SETTLED)
        raise AssertionError("unreachable")
    except M365Error as exc:
        exc.done = [*done, *exc.done]
        told = refusal(exc)
        if first is not None and first.added and (exc.done or isinstance(exc, AnswerLost)):
            # It was not there, and by now it may be: whoever takes it back has to know whose it is.
            told["added"] = first.added
        return {**told, **_lasting(resource)}


def _by_what_is_known(resource: Resource, opened: Tenant) -> Plan | None:
    """The plan where the answers that were handed on, or none but the task's own, say what is to be said.

    None: something is to be done, is in the way or is still to come, and what was handed on had a part in it. So
    nothing is written, and nobody is told of anything, by what may be a minute old.
    """
    try:
        plan = resource.plan(resource.read())
    except NoLongerWanted:
        raise
    except M365Error:
        if not opened.reads.used:
            raise
        plan = None
    stands = plan is not None and (plan.outcome == "ok" or not opened.reads.used)
    opened.reads.anew()
    return plan if stands else None


def _lasting(resource: object) -> Json:
    return resource.lasting() if isinstance(resource, Lasting) else {}


def _waited(opened: Tenant) -> Json:
    """What was waited for and for how many seconds in all, the longest first, where it was long."""
    waits = sorted(opened.patience.waited.items(), key=lambda item: -item[1])
    found = [{"for": what, "seconds": round(seconds)} for what, seconds in waits if seconds >= LONG_S]
    return {"waited": found} if found else {}


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


def refused_by_ansible(text: str) -> Json:
    """The result of a task whose options Ansible refuses, in its own words, which have no value in them."""
    return {**refusal(InvalidInput(text)), "msg": text}


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
        "summary": settled.told(plan.summary),
        "diff": {"before": first.before, "after": plan.after if plan.blocked is None else first.before},
    }
    if first.added and (done or plan.blocked is None):
        result["added"] = first.added
    if plan.steps or done:
        titles = [*done, *(step.title for step in plan.steps if step.title not in done)]
        result["steps"] = [settled.told(title) for title in titles]
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


def perform(
    door: Door,
    params: Json,
    *,
    check_mode: bool,
    tenant: t.Callable[[], Tenant],
    services: t.Callable[[], t.Mapping[str, t.Any]] = dict,
    prepare: t.Callable[[t.Any], t.Any] = lambda value: value,
) -> Json:
    """What both lanes do: one task, its result without a secret in it, and what ``invocation`` may show of the options.

    ``prepare`` brings the result to JSON's own types. Nothing of the options is returned where they were refused: a
    secret may stand in the place of anything.
    """
    spec = door.argument_spec.options
    with _redact.collecting() as secrets:
        redactor = cleaner(door, params, secrets)
        try:
            if not door.looks_up:
                _refuse_secret_names(_secret_options.declared_texts(spec, params), live_secrets(door, params))
            result = execute(door, Task(params, check_mode, services()), tenant)
        except M365Error as exc:
            result = refusal(exc)
        except Exception as exc:
            result = unforeseen(exc)
        if (result.get("error") or {}).get("kind") == InvalidInput.__name__:
            for text in _secret_options.misplaced(_secret_options.declared_texts(spec, params)):
                secrets.add(text)
        _tell_ansible(secrets)
        in_clear = {name: result.pop(name) for name in door.in_clear if name in result}
        result = t.cast("Json", redactor.clean(prepare(result)))
        result.update(prepare(in_clear))
        if (result.get("error") or {}).get("kind") != InvalidInput.__name__:
            result["invocation"] = {"module_args": _secret_options.invocation(spec, prepare(params))}
        return result


def _tell_ansible(secrets: _redact.Secrets) -> None:
    """What Ansible knows as a secret it takes out of what others show, as an addition. Nothing that may be a word."""
    if register_secret is not None:
        for value in [*secrets.issued, *secrets.typed]:
            if len(value) >= 2 * _redact.SHORT:
                register_secret(value)


def cleaner(door: Door, params: Json, secrets: _redact.Secrets | None = None) -> _redact.Redactor:
    """What cleans the results of a task with these options, of those secrets and of what else is noted in them."""
    secrets = _redact.Secrets() if secrets is None else secrets
    declared = _secret_options.declared_texts(door.argument_spec.options, params)
    proxies = [value for name, value in [*os.environ.items(), *params.items()] if _secret_options.is_proxy(name)]
    hidden = [*_secret_options.user_info(declared), *_secret_options.proxy_secrets(proxies)]
    for text in [*itertools.chain(*live_secrets(door, params).values()), *hidden]:
        secrets.add_typed(text)
    return _redact.Redactor(secrets, declared)


def without_secrets(text: str, door: Door, params: Json) -> str:
    """What is said of refused options, without these and without what may be a secret in a wrong place."""
    secrets = _redact.Secrets()
    for value in _secret_options.misplaced(_secret_options.declared_texts(door.argument_spec.options, params)):
        secrets.add(value)
    return cleaner(door, params, secrets).text(text)


def live_secrets(door: Door, params: Json) -> dict[str, list[str]]:
    """The secrets that a person typed and that this task uses, by option."""
    idle = _secret_options.idle_options(params, windows_host=door.windows_host)
    hidden = _secret_options.hidden_options(door.argument_spec.options, params)
    return {name: texts for name, texts in hidden.items() if name not in idle}


def _refuse_secret_names(declared: t.Mapping[str, str], live: t.Mapping[str, t.Sequence[str]]) -> None:
    """A name that is the same as a secret could not be shown, and not be kept out of what is shown either."""
    for option, texts in live.items():
        for text in texts:
            if text in declared:
                raise InvalidInput(
                    f"{declared[text]} has the same value as {option}, which is a secret",
                    cure=f"give {declared[text]} or {option} another value: whatever shows the one would show the "
                    f"other ({option} may also come from mail2fax_{option} or from the environment variable "
                    f"M365_{option.upper()})",
                    options=(declared[text], option),
                )


def complaint(text: str, given: t.Any) -> str:
    """What Ansible says of options that it refuses, without the values: any of them may be a secret in a wrong place.

    A short plain word stays, because that is how a wrong choice is recognised.
    """
    for value in sorted(set(_secret_options.texts_of(given)), key=len, reverse=True):
        if len(value) > 3 and value in text and not _PLAIN_WORD.fullmatch(value):
            text = text.replace(value, "(not shown)")
    words = [word for word in _WORDS.findall(text) if _redact.looks_issued(word) and "mail2fax.m365" not in word]
    for word in sorted(set(words), key=len, reverse=True):
        text = text.replace(word, "(not shown)")
    return _redact.visible(_redact.without_user_info(text))


_PLAIN_WORD = re.compile(r"[a-z_]{1,12}")
_WORDS = re.compile(r"[^\s,:'\"()\[\]]+")


class Refused(Exception):
    """Ansible refuses the options, in its own words."""


class _Process(AnsibleModule):  # type: ignore[misc]  # ansible-core has no types
    """AnsibleModule for the options alone: nothing of them is logged, and nothing is returned where it refuses them."""

    def fail_json(self, msg: str, **_about: t.Any) -> t.NoReturn:
        raise Refused(complaint(msg, self.params))

    def log(self, msg: t.Any, log_args: t.Any = None) -> None:
        """The lane writes nothing to syslog either."""


def run_module(door: Door) -> None:
    """A module's whole main(): options, execute, exit."""
    try:
        taken = Taken(os.environ)
        os.environ.update(taken.environment)
        module = _Process(supports_check_mode=True, **door.argument_spec.kwargs())
    except InvalidInput as exc:
        _leave(refusal(exc))
    except Refused as exc:
        _leave(refused_by_ansible(str(exc)))
    params = taken.in_their_places(module.params)
    # All that leaves is cleaned already; what ansible-core would take out besides are words of names and addresses.
    module.no_log_values = set()
    result = perform(
        door,
        params,
        check_mode=module.check_mode,
        tenant=lambda: Tenant(params, environment=os.environ, still_wanted=_run.module_wanted(os.environ)),
    )
    if not module._diff:
        result.pop("diff", None)
    if "invocation" not in result:
        _leave(result)
    for warning in result.pop("warnings", []):
        module.warn(warning)
    if result.pop("failed", False):
        AnsibleModule.fail_json(module, **result)
    module.exit_json(**result)


def _leave(result: Json) -> t.NoReturn:
    """End as a module does, but without ``invocation``, which AnsibleModule would add."""
    warnings = [*core_warnings.get_warning_messages(), *result.pop("warnings", [])]
    if warnings:
        result["warnings"] = warnings
    deprecations = core_warnings.get_deprecation_messages()
    if deprecations:
        result["deprecations"] = list(deprecations)
    result.setdefault("changed", False)
    sys.stdout.write(f"\n{json.dumps(result)}\n")
    sys.stdout.flush()
    raise SystemExit(1 if result.get("failed") else 0)


def _frames(exc: BaseException) -> list[str]:
    """Where it happened, without the exception's own text and without values."""
    return [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(exc.__traceback__)]
