# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The steps of a run as its document tells them."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _credentials
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.run import Run
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.watched import credentials, since
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.words import (
    OUTCOMES,
    being_removed,
    first_line,
    short,
    some,
    spoken,
)

Json = dict[str, t.Any]


def told(run: Run) -> list[Json]:
    """A row for each step, in the order of the run."""
    if run.watches_a_removal():
        return _while_removing(run)
    steps = [_step(run, name) for name in run.step_names]
    stopped = run.context.get("stopped") or {}
    if stopped:
        _attribute(steps, stopped)
    for step in steps:
        if step["step"] == "credentials" and step["outcome"] == "skipped":
            step["summary"] = since(run)
    return steps


def _while_removing(run: Run) -> list[Json]:
    """An audit of what is being removed has nothing to compare: that the tenant answers, and what is waited for."""
    rows = [_step(run, run.step_names[0])]
    if rows[0]["outcome"] == "blocked" and run.reached():
        rows[0] = {**rows[0], "outcome": "ok", "summary": "the tenant answers"}
        rows[0].pop("msg", None)
    told = being_removed(run.previous)
    for name in run.step_names[1:]:
        row: Json = {"step": name, "outcome": "skipped", "summary": "the application is being removed"}
        if name == "access_policy":
            row.update(outcome="pending", pending=told, pending_until=run.previous["removing"].get("until"))
        rows.append(row)
    return rows


def _step(run: Run, name: str) -> Json:
    result = run.of(name)
    if name == "credentials" and run.good(name):
        return {"step": name, **_credentials.step(credentials(run), run.thresholds)}
    if result:
        step = _shaped(name, result)
        if name == "client_secret" and run.mode == "audit" and step["outcome"] == "changed":
            _leave_to_the_rotation(step, result)
        if name == "scope_group" and run.kind == "decommission" and _whose_is_unknown(run):
            step.update(outcome="blocked", msg=_UNKNOWN.format(group=result["group"].get("name")))
            step["summary"] = first_line(step["msg"])
        return step
    ews = run.good("preflight").get("ews")
    if name == "ews_access" and run.makes and ews and run.meant():
        # EWS was not to be opened; preflight has looked, and found nothing in the way.
        allowed = "open for this application" if ews.get("allowed") else "not restricted by the tenant"
        return {"step": name, "outcome": "ok", "summary": f"EWS is {allowed}, nothing to do"}
    if name == "mailbox_protocols" and run.makes and run.good("preflight") and run.meant():
        # They were not to be switched on; preflight has looked, and found nothing in the way.
        listed = [_PROTOCOLS.get(one, one) for one in run.context["profile"].get("switches") or []]
        return {
            "step": name,
            "outcome": "ok",
            "summary": f"{some(listed)} {'is' if len(listed) == 1 else 'are'} on for every fax mailbox, nothing to do",
        }
    summary = "not run"
    if run.unready() and name in ("access_verdict", "mailbox_probe"):
        summary = "nothing to prove before Exchange takes the roles"
    elif run.by_hand() and name == "mailbox_probe":
        summary = "nothing to prove before a person has given the consent"
    elif run.mode == "check" and name in ("access_verdict", "mailbox_probe"):
        summary = "nothing to prove before the steps above are done"
    elif run.kind == "decommission":
        summary = "nothing to do"
    elif run.kind == "rotate" and run.good("client_secret"):
        summary = "nothing new to prove"
    return {"step": name, "outcome": "skipped", "summary": summary}


_PROTOCOLS = {"imap": "IMAP", "pop": "POP", "smtp": "SMTP AUTH"}

_UNKNOWN = (
    "The group {group}, which a run made, is still there with what it limits, and neither the inventory nor a record "
    "tells which application that is. Nothing was touched. What to do: set mail2fax_application_id to the id that the "
    "group's access policy names, or take mail2fax_application_unique_name out of the inventory."
)


def _whose_is_unknown(run: Run) -> bool:
    """Whether a removal found a group of ours and no application: its grants may be in force."""
    group = run.good("scope_group").get("group") or {}
    named = run.context.get("app_id") or (run.previous.get("ids") or {}).get("application_id")
    return bool(group.get("made_here")) and not named


def _leave_to_the_rotation(step: Json, result: Json) -> None:
    """The stored secret is good, and only what is beside it is to be tidied: no drift, and nobody is needed."""
    if result.get("key_id"):
        step["outcome"] = "pending"
        step["pending"] = f"left to the next rotation: {'; '.join(step.pop('changes', [step['summary']]))}"


def _attribute(steps: list[Json], stopped: t.Mapping[str, t.Any]) -> None:
    """See to it that one step tells what stopped the run, and the later ones that they did not run."""
    if stopped.get("step") == "handover":
        # The run had come to its end.
        message = short(str(stopped.get("msg") or ""))
        steps.append({"step": "handover", "outcome": "failed", "summary": first_line(message), "msg": message})
        return
    culprit = next((step for step in steps if step["outcome"] in ("blocked", "failed")), None)
    if culprit is None:
        # A task that could not even start registers nothing: it belongs to the first step with nothing to show.
        culprit = next((step for step in steps if step["outcome"] == "skipped"), steps[-1])
        message = short(str(stopped.get("msg") or "the task could not run"))
        outcome = stopped.get("outcome") if stopped.get("outcome") in ("blocked", "failed") else "failed"
        culprit.update(outcome=outcome, summary=first_line(message), msg=message, error=stopped.get("error"))
    for number, step in enumerate(steps):
        if number > steps.index(culprit):
            steps[number] = {
                "step": step["step"],
                "outcome": "skipped",
                "summary": f"not run, because {spoken(culprit['step'])} stopped",
            }


def _shaped(name: str, result: Json) -> Json:
    failed = bool(result.get("failed"))
    outcome = result.get("outcome")
    grave = [item for item in result.get("findings") or [] if item.get("severity") == "blocked"]
    if grave and not failed:
        # It was told not to fail; what stands in the way stands there all the same.
        told = "; ".join(f"{item.get('what')}: {item.get('found')}" for item in grave)
        return {"step": name, "outcome": "blocked", "summary": short(told, 500), "msg": short(told)}
    if outcome not in OUTCOMES:
        outcome = "failed" if failed else "changed" if result.get("changed") else "ok"
    step: Json = {
        "step": name,
        "outcome": outcome,
        "summary": short(first_line(str(result.get("summary") or result.get("msg") or "")), 500),
    }
    if result.get("steps"):
        step["changes"] = [str(change) for change in result["steps"]]
    if result.get("pending"):
        step["pending"] = short(str(result["pending"]))
        step["pending_until"] = result.get("pending_until")
    if failed or (outcome == "blocked" and result.get("msg")):
        step["msg"] = short(str(result.get("msg") or ""))
        step["error"] = result.get("error")
    return step
