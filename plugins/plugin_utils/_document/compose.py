# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""From the results of a run's tasks to one document per tenant."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import (
    facts,
    leftovers,
    moved,
    ours,
    steps,
    times,
    token_lives,
    watched,
)
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.record import SCHEMA, read
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.run import Run
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.words import another, short, worst

Json = dict[str, t.Any]


def compose(results: t.Mapping[str, t.Any], context: t.Mapping[str, t.Any]) -> Json:
    """The document of a run.

    ``results`` holds a registered result for each of STEPS, as far as the run got. ``context`` holds ``host``, ``kind``
    (a key of STEPS), ``mode`` (apply, check or audit), ``profile`` (as the lookup returns it), ``names`` (as they are
    wanted), ``mailboxes``, ``stopped`` (what the rescue recorded, empty if nothing stopped the run), ``previous`` (the
    text of the last document, empty if there is none), ``previous_audit`` (that of the last audit), ``renew_before``
    (days), ``thresholds`` (see _credentials), ``kept`` (reasons why a removal left something),
    ``tenant_wide`` (the words with which somebody accepted that nothing limits the application) and
    ``at`` (a datetime, now if not given). Raises ValueError for thresholds that are none.
    """
    at = context.get("at") or times.now()
    kind = context.get("kind") or "provision"
    mode = context.get("mode") or "apply"
    previous = read(context.get("previous"), str(context["host"])).document
    if kind == "provision" and previous.get("kind") == "decommission" and previous.get("state") == "removed":
        # What was removed is history; what is made now is new.
        previous = {}
    run = Run(kind, mode, results, context, previous, at)
    rows = [moved.row(run, step) if step["step"] == "migration" else step for step in steps.told(run)]
    outcome = worst(step["outcome"] for step in rows)
    drift = [step["step"] for step in rows if step["outcome"] == "changed"] if mode == "audit" else []
    if drift and outcome != "failed":
        # What would be changed is something that a person has to know of.
        outcome = "blocked"
    pending = facts.still_pending(run) + [
        {"step": step["step"], "what": step["pending"], "until": step.get("pending_until")}
        for step in rows
        # What Exchange has refused with a reason does not come with time.
        if step.get("pending") and not (run.contradicted() and step["step"] in (*run.limits, "mailbox_probe"))
    ]
    state = _state(outcome, run, rows, pending)
    document: Json = {
        "schema": SCHEMA,
        "host": str(context["host"]),
        "at": times.iso(at),
        "kind": kind,
        "mode": mode,
        "outcome": outcome,
        "state": state,
        "tenant": facts.tenant(run),
        "profile": moved.profile(run, _profile(run)),
        "steps": rows,
        **moved.facts(run, facts.facts(run)),
        "mailboxes": [] if kind in ("decommission", "reach") else facts.mailboxes(run),
        "pending": pending,
        "pending_until": max((str(item["until"]) for item in pending if item["until"]), default=None),
        "unprotected": facts.unprotected(run),
        # In the words of the person who answers for it.
        "tenant_wide": None if state == "removed" else run.accepted_words or None,
        "warnings": facts.warnings(run),
        "exchange": None if state == "removed" else moved.exchange(run, facts.exchange(run)),
        "ews_found": None if state == "removed" else moved.ews(run, previous.get("ews_found") or facts.ews_found(run)),
        "ews_in_force_by": None if state == "removed" else facts.ews_in_force_by(run),
        **_tokens(run, state),
        "proof_by": None if state == "removed" else facts.proof_by(run),
        "ours": _ours(run, state),
        **moved.migration(run, state),
        "removing": _removing(run, state),
        "accepted": facts.accepted(run, state),
        "made_by": facts.made_by(run, state),
        "last_good_at": watched.last_good_at(run, outcome),
    }
    if mode == "audit":
        document["drift"] = drift
        document.update(watched.watched(run))
    if kind == "decommission":
        document["secret"] = None if state in ("removing", "removed") else document["secret"]
        document["leftovers"] = leftovers.leftovers(run)
    if context.get("stopped"):
        culprit = next((step for step in rows if step["outcome"] in ("blocked", "failed")), rows[-1])
        document["stopped"] = {
            "step": culprit["step"],
            "task": context["stopped"].get("task"),
            "outcome": culprit["outcome"],
            "msg": short(str(context["stopped"].get("msg") or "")) or None,
            "error": context["stopped"].get("error"),
        }
    return document


def _profile(run: Run) -> Json:
    """By which profile the application is there: a run that was refused for another one changes nothing of that."""
    profile = run.context["profile"]
    if another(run.previous, profile):
        return dict(run.previous["profile"])
    accesses = profile.get("accesses") or []
    return {
        **{key: profile[key] for key in ("name", "version", "status", "title")},
        "accesses": [{key: access[key] for key in ("id", "protocol", "scoping")} for access in accesses],
    }


def _ours(run: Run, state: str) -> list[Json] | None:
    """None where the record began without it: then nobody knows. What once was ours stays so, until it is removed."""
    before = run.previous.get("ours")
    if state == "removed":
        return []
    if before is None and run.previous:
        return None
    if not run.makes or run.mode != "apply":
        return before
    # A step that stopped half-way tells as well what it had set out to add.
    found = ours.merged(before or [], [entry for step in run.step_names for entry in ours.added(step, run.of(step))])
    return moved.ours(run, found)


def _tokens(run: Run, state: str) -> Json:
    """Until when tokens may live that were issued with what runs revoked, also those that failed then; and how long
    tokens were seen to live, where that is longer than they usually do. Nothing where neither is known."""
    if state == "removed":
        return {}
    found: Json = {}
    told = [run.previous]
    if run.mode == "apply":
        told += [run.of(step) for step in ("admin_consent", "application_role")]
    ends = [row for row in told if times.instant(row.get("tokens_until"))]
    if ends:
        last = max(ends, key=lambda row: times.instant(row["tokens_until"]) or run.at)
        since = last.get("revoked_at") or last.get("tokens_since")
        found["tokens_until"] = str(last["tokens_until"])
        found |= {"tokens_since": str(since)} if since else {}
    lives = token_lives.longer(run.previous.get("token_lives"), run.of("mailbox_probe").get("tokens"))
    return {**found, **({"token_lives": lives} if lives else {})}


def _removing(run: Run, state: str) -> Json | None:
    """Since when a removal waits for the last token's end, and until when."""
    before = run.previous.get("removing")
    if run.watches_a_removal():
        return before
    if run.kind == "decommission" and state == "removing":
        ends = [step.get("pending_until") for step in map(run.of, run.step_names) if step.get("pending_until")]
        since = (before or {}).get("since") or times.iso(run.at)
        return {"since": since, "until": max(map(str, ends), default=(before or {}).get("until"))}
    # A provisioning that went through has begun anew; any other run leaves it as it was.
    return None if state in ("removed", "ready", "wait") else before


def _state(outcome: str, run: Run, rows: list[Json], pending: list[Json]) -> str:
    """What the fax administrator has to know first: ``ready``, ``wait``, ``draft``,
    ``removing`` or ``removed``."""
    if run.kind == "migrate" and run.mode == "apply" and run.state_before() in ("ready", "wait"):
        # One way or the other is in force all the time.
        return run.state_before() if outcome in ("blocked", "failed") else "ready"
    if run.kind == "rotate" and run.mode == "apply":
        if outcome in ("blocked", "failed"):
            # A secret that was not renewed is still the one that works; a mailbox that does not open is another thing.
            return "draft" if run.good("client_secret") else run.state_before()
        if run.state_before() not in ("ready", "wait"):
            return "draft"
        return "wait" if pending else "ready"
    if outcome in ("blocked", "failed") or run.mode == "check":
        return "draft"
    if run.kind == "decommission":
        return "removing" if pending else "removed"
    if run.watches_a_removal():
        return "removing"
    unproven = {"mailbox_probe"} if run.by_hand() else set()
    if run.unready():
        unproven = {"access_verdict", "mailbox_probe"}
    if any(step["outcome"] == "skipped" and step["step"] not in unproven for step in rows):
        # Something has not been looked at, so nobody may rely on it.
        return "draft"
    return "wait" if outcome == "pending" else "ready"
