# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""From the results of a run's tasks to one document per tenant, and from that to a table for the terminal.

The document is what the hand-over sheet and every fleet report are made from. It takes over only what is named here,
so nothing that a task should not have returned can reach it.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
import re
import textwrap
import typing as t
import unicodedata
import zoneinfo

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _credentials

Json = dict[str, t.Any]
SCHEMA = 1
ZERO_GUID = "00000000-0000-0000-0000-000000000000"

STEPS = {
    "provision": (
        "preflight",
        "application",
        "scope_group",
        "access_policy",
        "ews_access",
        "client_secret",
        "admin_consent",
        "access_verdict",
        "mailbox_probe",
    ),
    "decommission": (
        "preflight",
        "admin_consent",
        "client_secret",
        "application",
        "ews_access",
        "access_policy",
        "scope_group",
    ),
    "rotate": ("preflight", "client_secret", "mailbox_probe"),
}
"""The steps of a run in its order, by what the run is for; also the keys of the results it is made from.

An audit has ``credentials`` besides. A rotation looks at the tenant only where the last document does not know it.
"""

OUTCOMES = ("ok", "changed", "pending", "blocked", "failed")
"""From good to bad: the worst one is the run's. A step that did not run is ``skipped`` and counts for nothing."""

VARIABLES = {
    "app_id": "mail2fax_application_id",
    "unique_name": "mail2fax_application_unique_name",
    "on_deleted": "mail2fax_on_deleted",
    "on_namesake": "mail2fax_on_namesake",
    "on_foreign_members": "mail2fax_on_foreign_members",
    "on_foreign_owners": "mail2fax_on_foreign_owners",
    "on_other_policies": "mail2fax_on_other_policies",
    "control_mailboxes": "mail2fax_control_mailboxes",
    "expected_domain": "mail2fax_expected_domain",
}
"""What the modules' options, as their messages name them, are called in an inventory."""

VOLATILE = frozenset(
    {
        "at",
        "last_good_at",
        "verdict_at",
        "probe_at",
        "until",
        "pending_until",
        "previous_until",
        "ews_in_force_by",
    }
)
"""Keys that differ from run to run although nothing happened."""

REPORT = frozenset({"kind", "mode", "outcome", "steps", "stopped", "warnings"})
"""Keys that tell of the run, not of the tenant: a second run is ``ok`` where the first was ``changed``."""


def compose(results: t.Mapping[str, t.Any], context: t.Mapping[str, t.Any]) -> Json:
    """The document of a run.

    ``results`` holds a registered result for each of STEPS, as far as the run got. ``context`` holds ``host``, ``kind``
    (a key of STEPS), ``mode`` (apply, check or audit), ``profile`` (as the lookup returns it), ``names`` (as they are
    wanted), ``mailboxes``, ``stopped`` (what the rescue recorded, empty if nothing stopped the run), ``previous`` (the
    text of the last document, empty if there is none), ``previous_audit`` (that of the last audit), ``renew_before``
    (days), ``thresholds`` (see _credentials), ``kept`` (reasons why a removal left something) and
    ``at`` (a datetime, now if not given). Raises ValueError for thresholds that are none.
    """
    at = context.get("at") or now()
    kind = context.get("kind") or "provision"
    mode = context.get("mode") or "apply"
    previous = read(context.get("previous"))
    if kind == "provision" and previous.get("kind") == "decommission" and previous.get("state") == "removed":
        # What was removed is history; what is made now is new.
        previous = {}
    run = _Run(kind, mode, results, context, previous, at)
    steps = run.steps()
    outcome = worst(step["outcome"] for step in steps)
    drift = [step["step"] for step in steps if step["outcome"] == "changed"] if mode == "audit" else []
    if drift and outcome != "failed":
        # What would be changed is something that a person has to know of.
        outcome = "blocked"
    profile = context["profile"]
    pending = run.still_pending() + [
        {"step": step["step"], "what": step["pending"], "until": step.get("pending_until")}
        for step in steps
        if step.get("pending")
    ]
    state = _state(outcome, run, steps, pending)
    document: Json = {
        "schema": SCHEMA,
        "host": str(context["host"]),
        "at": iso(at),
        "kind": kind,
        "mode": mode,
        "outcome": outcome,
        "state": state,
        "tenant": run.tenant(),
        "profile": {key: profile[key] for key in ("name", "version", "status", "title")},
        "steps": steps,
        **run.facts(),
        "mailboxes": [] if kind == "decommission" else run.mailboxes(),
        "pending": pending,
        "pending_until": max((str(item["until"]) for item in pending if item["until"]), default=None),
        "unprotected": run.unprotected(),
        "warnings": run.warnings(),
        "ews_found": None if state == "removed" else previous.get("ews_found") or run.ews_found(),
        "ews_in_force_by": None if state == "removed" else run.ews_in_force_by(),
        "ours": run.ours(state),
        "last_good_at": run.last_good_at(outcome),
    }
    if mode == "audit":
        document["drift"] = drift
        document.update(run.watched())
    if kind == "decommission":
        document["secret"] = None if state == "removed" else document["secret"]
        document["leftovers"] = run.leftovers()
    if context.get("stopped"):
        culprit = next((step for step in steps if step["outcome"] in ("blocked", "failed")), steps[-1])
        document["stopped"] = {
            "step": culprit["step"],
            "task": context["stopped"].get("task"),
            "outcome": culprit["outcome"],
            "msg": _plainly(str(context["stopped"].get("msg") or "")) or None,
            "error": context["stopped"].get("error"),
        }
    return document


def read(text: t.Any) -> Json:
    """A document from its text; empty when there is none, or none that can be read."""
    if isinstance(text, dict):
        return dict(text)
    if not text:
        return {}
    try:
        document = json.loads(str(text))
    except ValueError:
        return {}
    return document if isinstance(document, dict) and document.get("schema") == SCHEMA else {}


def same(one: Json, other: Json) -> bool:
    """Whether two documents tell the same of the tenant: times, and the report of the run itself, aside."""
    return bool(_lasting(one) == _lasting(other))


def worst(outcomes: t.Iterable[str]) -> str:
    return max((outcome for outcome in outcomes if outcome in OUTCOMES), key=OUTCOMES.index, default="ok")


def _lasting(document: Json) -> t.Any:
    def strip(value: t.Any) -> t.Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key not in VOLATILE}
        if isinstance(value, list):
            return [strip(item) for item in value]
        return value

    return strip({key: value for key, value in document.items() if key not in REPORT})


def _thresholds(context: t.Mapping[str, t.Any]) -> _credentials.Thresholds:
    try:
        return _credentials.Thresholds.of(context.get("thresholds"))
    except ValueError:
        # What stopped a run is told, whatever else is wrong; it may be this.
        if context.get("stopped"):
            return _credentials.Thresholds()
        raise


class _Run:
    """The results of one run with what is known besides."""

    def __init__(
        self,
        kind: str,
        mode: str,
        results: t.Mapping[str, t.Any],
        context: t.Mapping[str, t.Any],
        previous: Json,
        at: dt.datetime,
    ) -> None:
        self.kind = kind
        self.mode = mode
        self.at = at
        self._results = results
        self._context = context
        self._previous = previous
        self._names: t.Mapping[str, t.Any] = context.get("names") or {}
        self._thresholds = _thresholds(context)
        # The audit's own last document: what it alone looks at is not in the other one.
        self._audited = read(context.get("previous_audit")) if mode == "audit" else {}

    @property
    def step_names(self) -> tuple[str, ...]:
        names = STEPS[self.kind]
        if self.kind == "rotate" and not self.of("preflight"):
            return names[1:]
        if self.kind == "provision" and self.mode == "audit":
            return (*names[:2], "credentials", *names[2:])
        return names

    def of(self, step: str) -> Json:
        """A step's registered result; empty when it did not run or was skipped."""
        result = self._results.get(step)
        if not isinstance(result, t.Mapping) or result.get("skipped"):
            return {}
        return dict(result)

    def good(self, step: str) -> Json:
        """A step's result unless it failed."""
        result = self.of(step)
        return {} if result.get("failed") else result

    # --- steps -----------------------------------------------------------------------------------------------

    def steps(self) -> list[Json]:
        steps = [self._step(name) for name in self.step_names]
        stopped = self._context.get("stopped") or {}
        if stopped:
            self._attribute(steps, stopped)
        for step in steps:
            if step["step"] == "credentials" and step["outcome"] == "skipped":
                step["summary"] = self._since()
        return steps

    def _step(self, name: str) -> Json:
        result = self.of(name)
        if name == "credentials" and self.good(name):
            return {"step": name, **_credentials.step(self._credentials(), self._thresholds)}
        if result:
            step = _shaped(name, result)
            if name == "client_secret" and self.mode == "audit" and step["outcome"] == "changed":
                self._leave_to_the_rotation(step, result)
            return step
        ews = self.good("preflight").get("ews")
        if name == "ews_access" and self.kind == "provision" and ews and self._meant():
            # EWS was not to be opened; preflight has looked, and found nothing in the way.
            allowed = "open for this application" if ews.get("allowed") else "not restricted by the tenant"
            return {"step": name, "outcome": "ok", "summary": f"EWS is {allowed}, nothing to do"}
        summary = "not run"
        if self.mode == "check" and name in ("access_verdict", "mailbox_probe"):
            summary = "nothing to prove before the steps above are done"
        elif self.kind == "decommission":
            summary = "nothing to do"
        elif self.kind == "rotate" and self.good("client_secret"):
            summary = "nothing new to prove"
        return {"step": name, "outcome": "skipped", "summary": summary}

    @staticmethod
    def _leave_to_the_rotation(step: Json, result: Json) -> None:
        """The stored secret is good, and only what is beside it is to be tidied: no drift, and nobody is needed."""
        if result.get("key_id"):
            step["outcome"] = "pending"
            step["pending"] = f"left to the next rotation: {'; '.join(step.pop('changes', [step['summary']]))}"

    def _attribute(self, steps: list[Json], stopped: t.Mapping[str, t.Any]) -> None:
        """See to it that one step tells what stopped the run, and the later ones that they did not run."""
        culprit = next((step for step in steps if step["outcome"] in ("blocked", "failed")), None)
        if culprit is None:
            # A task that could not even start registers nothing: it belongs to the first step with nothing to show.
            culprit = next((step for step in steps if step["outcome"] == "skipped"), steps[-1])
            message = _plainly(str(stopped.get("msg") or "the task could not run"))
            outcome = stopped.get("outcome") if stopped.get("outcome") in ("blocked", "failed") else "failed"
            culprit.update(outcome=outcome, summary=_first_line(message), msg=message, error=stopped.get("error"))
        for number, step in enumerate(steps):
            if number > steps.index(culprit):
                steps[number] = {
                    "step": step["step"],
                    "outcome": "skipped",
                    "summary": f"not run, because {spoken(culprit['step'])} stopped",
                }

    # --- facts -----------------------------------------------------------------------------------------------

    def facts(self) -> Json:
        application, scope = self.good("application"), self.good("scope_group").get("group") or {}
        body = application.get("application") or {}
        before = self._previous.get("ids") or {}
        known = self._previous.get("application") or {}
        group = self._previous.get("group") or {}
        return {
            "ids": {
                "application_id": _id(application.get("app_id") or self._context.get("app_id"))
                or before.get("application_id"),
                "application_object_id": _id(body.get("object_id")) or before.get("application_object_id"),
                "service_principal_id": _id(application.get("service_principal_id"))
                or before.get("service_principal_id"),
                "group": _id(scope.get("guid")) or before.get("group"),
            },
            "application": {
                "display_name": body.get("display_name") or known.get("display_name") or self._names.get("application"),
                "unique_name": body.get("unique_name") or known.get("unique_name"),
            },
            "group": {
                "name": scope.get("name") or group.get("name") or self._names.get("group"),
                "alias": scope.get("alias") or group.get("alias") or self._names.get("group_alias"),
                "address": scope.get("address") or group.get("address"),
            },
            "secret": self._secret(),
        }

    def _secret(self) -> Json | None:
        secret = self.good("client_secret")
        if not secret or self.kind == "decommission":
            return self._previous.get("secret")
        shown: Json = {
            "display_name": secret.get("display_name") or self._names.get("secret"),
            "key_id": secret.get("key_id"),
            "end_date_time": secret.get("end_date_time"),
            "renew_from": _days_before(secret.get("end_date_time"), int(self._context.get("renew_before") or 0)),
            "stored_in": secret.get("stored_in"),
        }
        until = secret.get("previous_until")
        return {**shown, "previous_until": until} if until else shown

    def _meant(self) -> bool:
        """Whether the tenant that was read is the one that is meant."""
        findings = self.of("preflight").get("findings") or []
        return not any(finding.get("step") == "tenant" for finding in findings)

    def tenant(self) -> Json:
        tenant = (self._meant() and self.of("preflight").get("tenant")) or {}
        before = self._previous.get("tenant") or {}
        domains = list(tenant.get("domains") or [])
        return {
            "id": tenant.get("id") or before.get("id"),
            "domain": tenant.get("default_domain") or (domains[0] if domains else before.get("domain")),
            "name": tenant.get("name") or before.get("name"),
        }

    def mailboxes(self) -> list[Json]:
        rows: dict[str, Json] = {}
        if self.kind == "rotate":
            # Their verdicts are those of the run that asked for them.
            rows = {str(entry["mailbox"]).lower(): dict(entry) for entry in self._previous.get("mailboxes") or []}

        def row(address: t.Any, expected: str) -> Json:
            return rows.setdefault(
                str(address).lower(),
                {
                    "mailbox": str(address),
                    "expected": expected,
                    "verdict": None,
                    "verdict_at": None,
                    "probe": None,
                    "probe_at": None,
                    "reason": None,
                    "as_expected": None,
                },
            )

        # A mailbox opens by its primary address only, whatever alias it was given by.
        looked_at = self.of("preflight").get("mailboxes") or []
        primary = {str(item.get("address")).lower(): item.get("primary") for item in looked_at}
        fax = self._context.get("mailboxes") or []
        # A list of options may be given as one string with commas; the modules take it so.
        for address in [] if rows else fax.split(",") if isinstance(fax, str) else fax:
            row(primary.get(str(address).strip().lower()) or str(address).strip(), "granted")
        for step, verdict in (("access_verdict", "verdicts"), ("mailbox_probe", "probes")):
            for item in self.of(step).get(verdict) or []:
                entry = row(item["mailbox"], _expected(item.get("expected")))
                what = "verdict" if step == "access_verdict" else "probe"
                entry[what], entry[f"{what}_at"] = item.get("verdict"), item.get("at")
                entry["reason"] = item.get("reason") or entry["reason"]
                entry["as_expected"] = item.get("as_expected") is not False and _agreed(entry, but=what)
        # The fax mailboxes first, each kind in the order of the run.
        return sorted(rows.values(), key=lambda entry: bool(entry["expected"] != "granted"))

    def unprotected(self) -> str:
        """Whether the application may hold its grant while nothing limits it: ``none``, or what is wrong or unknown."""
        reachable = [
            str(item["mailbox"])
            for item in self.of("access_verdict").get("verdicts") or []
            if _expected(item.get("expected")) == "denied" and str(item.get("verdict")).lower() == "granted"
        ]
        if reachable:
            return f"the application can reach {', '.join(reachable)}"
        if self.kind == "decommission" and self.good("admin_consent"):
            return "none"
        if self.kind == "rotate":
            return str(self._previous.get("unprotected") or "not known: a rotation does not look at the access policy")
        if self.good("access_policy") or self.facts()["ids"]["application_id"] is None:
            return "none"
        return "not known: this run did not get as far as the access policy"

    def warnings(self) -> list[str]:
        found: list[str] = []
        profile = self._context["profile"]
        if profile.get("sunset"):
            found.append(f"{profile['sunset']['what']}: {str(profile['sunset']['warning']).strip()}")
        if self.kind == "provision" and profile["status"] == "unverified":
            found.append("The profile is unverified: nobody has proven yet that the vendor's product works so.")
        for name in self.step_names:
            found += [str(warning) for warning in self.of(name).get("warnings") or []]
        if profile.get("sunset"):
            # Said once, in the profile's words.
            date = str(profile["sunset"]["date"])
            found = [text for number, text in enumerate(found) if number == 0 or date not in text]
        return list(dict.fromkeys(text for text in found if text))

    def ews_found(self) -> Json | None:
        """How EWS was before it was opened, so that a decommission can put it back. Nothing if it was not opened."""
        ews = self.of("ews_access")
        if self.kind == "provision" and self.mode == "apply" and ews.get("changed") and ews.get("found"):
            return dict(ews["found"])
        return None

    def ours(self, state: str) -> Json | None:
        """What provisioning added, by application and by group, so that a removal takes back that and no more.

        None where the record began without it: then nobody knows. What once was ours stays so, until it is removed.
        """
        before = self._previous.get("ours")
        if before is None and self._previous:
            return None
        if state == "removed":
            return {"applications": {}, "groups": {}}
        ours: Json = copy.deepcopy(before or {"applications": {}, "groups": {}})
        if self.kind != "provision" or self.mode != "apply":
            return ours if before is not None else None
        # A step that stopped half-way tells as well what it had set out to add.
        for step, kind in (("application", "permissions"), ("admin_consent", "consent"), ("access_policy", "policies")):
            added = self.of(step).get("added") or {}
            app_id = _id(added.get("app_id"))
            if app_id is None:
                continue
            entry = ours["applications"].setdefault(app_id, {})
            if added.get("service_principal"):
                entry["service_principal"] = True
            if added.get("permissions"):
                entry[kind] = _permissions_of_both(entry.get(kind) or [], added["permissions"])
            if kind == "policies":
                group = _id(added.get("group"))
                entry[kind] = sorted({*(entry.get(kind) or []), *([group] if group else [])})
        added = self.of("scope_group").get("added") or {}
        group = _id(added.get("group")) or _id((self.of("scope_group").get("group") or {}).get("guid"))
        if group and added.get("members"):
            ours["groups"][group] = sorted({*ours["groups"].get(group, []), *added["members"]})
        return ours

    def ews_in_force_by(self) -> str | None:
        return self.good("ews_access").get("in_force_by") or self._previous.get("ews_in_force_by")

    def still_pending(self) -> list[Json]:
        """What an earlier run found pending and a rotation, which does only so much, has not looked at."""
        if self.kind != "rotate":
            return []
        return [item for item in self._previous.get("pending") or [] if not self.good(str(item.get("step")))]

    def state_before(self) -> str:
        return str(self._previous.get("state") or "draft")

    # --- what an audit watches -------------------------------------------------------------------------------

    def reached(self) -> bool:
        """Whether the tenant that is meant has answered."""
        return bool(self.good("preflight")) and self._meant()

    def last_good_at(self, outcome: str) -> str | None:
        """When something was last known of the tenant for certain."""
        if self.mode == "audit":
            return iso(self.at) if self.reached() and self.good("credentials") else self._known_at()
        if self.mode == "apply" and outcome not in ("blocked", "failed"):
            return iso(self.at)
        return self._previous.get("last_good_at")

    def watched(self) -> Json:
        """``credentials`` as far as they are known, and the exposure to EWS; of a tenant out of reach since when."""
        return {
            "reached": self.reached(),
            "unknown_since": None if self.reached() else self._known_at(),
            "credentials": self._credentials(),
            "ews": self._ews(),
        }

    def _known_at(self) -> str | None:
        return max(
            (
                str(document["last_good_at"])
                for document in (self._previous, self._audited)
                if document.get("last_good_at")
            ),
            default=None,
        )

    def _since(self) -> str:
        at = self._known_at()
        return f"unknown since {readable_time(at)}" if at else "unknown"

    def _credentials(self) -> list[Json]:
        found = self.good("credentials")
        recorded = self._previous.get("secret") or {}
        if found:
            in_use = self.good("client_secret").get("key_id") or recorded.get("key_id")
            name = str(self._names.get("secret") or "")
            rows = [
                row
                for application in found.get("applications") or []
                for row in _credentials.listed(application, name, in_use)
            ]
        else:
            rows = _credentials.carried(self._audited.get("credentials") or [], recorded)
        return _credentials.judged(rows, self._thresholds, self.at)

    def _ews(self) -> Json | None:
        ews = self._meant() and self.good("preflight").get("ews")
        if not ews:
            return self._audited.get("ews")
        found = {key: ews.get(key) for key in ("EwsEnabled", "EwsAllowedAppIDs", "allowed")}
        sunset = self._context["profile"].get("sunset")
        if sunset:
            end = instant(sunset["date"])
            found.update(ends_on=str(sunset["date"]), days_left=(end.date() - self.at.date()).days if end else None)
        return found

    # --- removals --------------------------------------------------------------------------------------------

    def leftovers(self) -> list[str]:
        found = [str(reason) for reason in self._context.get("kept") or [] if reason]
        application = self.good("application")
        if application.get("recoverable_until"):
            found.append(
                "The application lies in the recycle bin until "
                f"{readable_time(application['recoverable_until'], date_only=True)}; it can be restored from there."
            )
        for entry in self.good("admin_consent").get("foreign") or []:
            names = [*(entry.get("application") or []), *(entry.get("delegated") or [])]
            if names and not application.get("recoverable_until"):
                why = "" if self._previous.get("ours") is None else ", which no run of this collection granted"
                found.append(f"The application keeps {', '.join(map(str, names))} of {entry.get('resource')}{why}.")
        others = [
            str(policy.get("scope_name") or policy.get("identity"))
            for policy in self.good("access_policy").get("other_policies") or []
            if policy.get("app_id") != "*"
        ]
        if others:
            found.append(f"Other access policies of the application stay: {', '.join(others)}.")
        group = self.good("scope_group")
        if group.get("group"):
            found.append(f"The group {group['group'].get('name')} stays{self._group_stays(group)}.")
        return found

    def _group_stays(self, result: Json) -> str:
        if result["group"].get("made_here") is not False:
            return ""
        gone, members = result.get("members_removed") or [], result.get("members") or []
        if gone:
            return f", because others made it; {', '.join(map(str, gone))} left it"
        if self._previous.get("ours") is not None or not members:
            return ", because others made it"
        return f", because others made it; no record tells which of its members a run put there: {', '.join(members)}"


def _permissions_of_both(one: list[Json], other: list[Json]) -> list[Json]:
    """The union of two lists in the shape of the modules' option ``permissions``."""
    found: dict[str, dict[str, set[str]]] = {}
    for entry in [*one, *other]:
        kinds = found.setdefault(str(entry["resource"]), {"application": set(), "delegated": set()})
        for kind, names in kinds.items():
            names.update(entry.get(kind) or [])
    return [
        {"resource": resource, **{kind: sorted(names) for kind, names in kinds.items()}}
        for resource, kinds in sorted(found.items())
    ]


def _shaped(name: str, result: Json) -> Json:
    failed = bool(result.get("failed"))
    outcome = result.get("outcome")
    grave = [item for item in result.get("findings") or [] if item.get("severity") == "blocked"]
    if grave and not failed:
        # It was told not to fail; what stands in the way stands there all the same.
        told = [f"{item.get('what')}: {item.get('found')}" for item in grave]
        return {"step": name, "outcome": "blocked", "summary": "; ".join(told), "msg": "; ".join(told)}
    if outcome not in OUTCOMES:
        outcome = "failed" if failed else "changed" if result.get("changed") else "ok"
    step: Json = {
        "step": name,
        "outcome": outcome,
        "summary": _first_line(str(result.get("summary") or result.get("msg") or "")),
    }
    if result.get("steps"):
        step["changes"] = [str(change) for change in result["steps"]]
    if result.get("pending"):
        step["pending"] = str(result["pending"])
        step["pending_until"] = result.get("pending_until")
    if failed:
        step["msg"] = str(result.get("msg") or "")
        step["error"] = result.get("error")
    return step


def _plainly(message: str) -> str:
    """Without what Ansible says of the template and the plugin in which it met our own words."""
    return message.rpartition("mail2fax.m365.profile: ")[2]


def _id(value: t.Any) -> str | None:
    text = str(value or "").lower()
    return text if text and text != ZERO_GUID else None


def _days_before(value: t.Any, days: int) -> str | None:
    moment = instant(value)
    return iso(moment - dt.timedelta(days=days)) if moment else None


def _agreed(row: Json, *, but: str) -> bool:
    """Whether what was seen of a mailbox, the one way ``but`` aside, is as it should be."""
    if but == "probe" and row["verdict"] is not None:
        return bool(str(row["verdict"]).lower() == row["expected"])
    return True


def _expected(value: t.Any) -> str:
    return "denied" if str(value).lower() in ("denied", "refused") else "granted"


def _state(outcome: str, run: _Run, steps: list[Json], pending: list[Json]) -> str:
    """What the fax administrator has to know first: ``ready``, ``wait``, ``draft`` or ``removed``."""
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
        return "removed"
    if any(step["outcome"] == "skipped" for step in steps):
        # Something has not been looked at, so nobody may rely on it.
        return "draft"
    return "wait" if outcome == "pending" else "ready"


def complaint(document: Json) -> str:
    """Why the run has to end red, for people; empty if it need not."""
    if document.get("stopped"):
        reason = str(document["stopped"]["msg"])
        if document["kind"] == "rotate":
            reason = f"{reason}\n{_risk(document)}"
        return _with_variables(reason)
    told = [
        f"{spoken(step['step'])}: {step.get('msg') or step['summary']}"
        for step in document["steps"]
        if step["outcome"] in ("blocked", "failed")
    ]
    told += [
        f"{spoken(step['step'])}: not as declared, to be done: {'; '.join(step.get('changes') or [step['summary']])}"
        for step in document["steps"]
        if step["step"] in document.get("drift", ())
    ]
    return _with_variables("\n".join(told))


def _risk(document: Json) -> str:
    """What a rotation that was stopped means for the fax server."""
    end = (document.get("secret") or {}).get("end_date_time")
    if not end:
        return "When the secret in use ends is not known."
    days = (t.cast("dt.datetime", instant(end)) - t.cast("dt.datetime", instant(document["at"]))).days
    if days < 0:
        return f"OUTAGE: the last secret known here expired on {readable_time(end, date_only=True)}."
    return f"The secret in use works until {readable_time(end, date_only=True)}, {days} days from now."


def _with_variables(text: str) -> str:
    """The modules speak of their options; whoever runs a playbook sets variables."""
    named = [variable for option, variable in VARIABLES.items() if re.search(rf"\b{option}\b", text)]
    return f"{text} (In the inventory: {', '.join(named)}.)" if named else text


def headline(document: Json) -> str:
    """The state in a few words."""
    state = str(document["state"])
    if document["mode"] == "check":
        return "plan only"
    if document["mode"] == "audit" and not document.get("reached", True):
        return f"unknown since {readable_time(document['unknown_since'])}" if document["unknown_since"] else "unknown"
    if document["kind"] == "rotate" and (document.get("stopped") or {}).get("step", "mailbox_probe") != "mailbox_probe":
        return "not rotated"
    if document["kind"] == "rotate" and document["outcome"] in ("ok", "changed") and state == "draft":
        # The last result, which would tell, is missing or not good itself.
        return "not known to be ready"
    if document["mode"] == "audit":
        return "as declared" if document["outcome"] in ("ok", "pending") else "not as declared"
    if state == "wait":
        until = document.get("pending_until")
        return f"wait until {readable_time(until)}" if until else "wait"
    return {"ready": "ready", "removed": "removed", "draft": "not ready"}[state]


# --- times ---------------------------------------------------------------------------------------------------


def now() -> dt.datetime:
    """The only clock of a document."""
    return dt.datetime.now(dt.UTC)


def iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def instant(value: t.Any) -> dt.datetime | None:
    """From ISO 8601; None when it is none."""
    try:
        moment = dt.datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def readable_time(value: t.Any, zone: str = "UTC", date_only: bool = False) -> str:
    """An instant as people read it: ``21 Nov 2026, 15:30 UTC``. Empty for nothing, as it is for anything else."""
    if not value:
        return ""
    moment = instant(value)
    if moment is None:
        return str(value)
    local = moment.astimezone(zoneinfo.ZoneInfo(zone) if zone != "UTC" else dt.UTC)
    date = f"{local.day} {_MONTHS[local.month - 1]} {local.year}"
    return date if date_only else f"{date}, {local:%H:%M} {local.tzname()}"


# Not by the locale of whoever runs it: the sheet is English.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


# --- the table -----------------------------------------------------------------------------------------------


def table(document: Json, width: int = 90) -> list[str]:
    """Lines no wider than ``width``: the tenant, a line per step, a line per mailbox, what is pending or left over."""
    labels = {"skipped": "-"}
    if document["mode"] != "apply":
        labels["changed"] = "drift" if document["mode"] == "audit" else "to change"
    domain = (document.get("tenant") or {}).get("domain")
    name = str(document["host"]) + (f" ({domain})" if domain and domain != document["host"] else "")
    outcome = labels.get(document["outcome"], document["outcome"])
    # What it is in capitals, but no times.
    state, *times = re.split(r"(?= until | since )", headline(document), maxsplit=1)
    lines = wrap(f"{name}: {outcome}. {state.upper()}{''.join(times)}", width)
    rows = [
        (spoken(step["step"]), labels.get(step["outcome"], step["outcome"]), step["summary"])
        for step in document["steps"]
    ]
    lines += ["", *columns([("STEP", "OUTCOME", ""), *rows], width)]
    wrong = " (not yet)" if document["state"] == "wait" else " (not as meant)"
    proven = [
        (
            row["mailbox"],
            row["expected"],
            str(row["verdict"] or "-"),
            spoken(str(row["probe"] or "-")) + (wrong if row["as_expected"] is False else ""),
        )
        for row in document["mailboxes"]
    ]
    if proven:
        lines += ["", *columns([("MAILBOX", "MEANT", "EXCHANGE SAYS", "REALLY OPENED"), *proven], width)]
    lines += _watched(document, width)
    for item in document.get("pending") or []:
        until = f" until {readable_time(item['until'])}" if item.get("until") else ""
        lines += ["", *wrap(f"Pending{until}: {item['what']}", width)]
    for leftover in document.get("leftovers") or []:
        lines += ["", *wrap(f"Left over: {leftover}", width)]
    return [line.rstrip() for line in lines]


def _watched(document: Json, width: int) -> list[str]:
    """What an audit tells besides: each credential by its end, and how long EWS stay open."""
    lines: list[str] = []
    rows = [
        (
            row["display_name"] or row.get("thumbprint") or row["key_id"],
            row["kind"] + (" of the principal" if row["of"] == "service_principal" else ""),
            row["whose"],
            "" if row["days_left"] is None else "expired" if row["within_days"] == 0 else f"{row['days_left']} days",
            readable_time(row["end_date_time"], date_only=True)
            + ("" if row["outcome"] == "ok" else f": {row['outcome']}"),
        )
        for row in document.get("credentials") or []
    ]
    if rows:
        lines += ["", *columns([("CREDENTIAL", "KIND", "WHOSE", "LEFT", "ENDS"), *rows], width)]
    ews = document.get("ews")
    if ews:
        state = {True: "open for this application", False: "closed", None: "not restricted by the tenant"}[
            ews["allowed"]
        ]
        others = [entry for entry in str(ews.get("EwsAllowedAppIDs") or "").split(",") if entry.strip()]
        told = f"EWS: {state}" + (f", {len(others)} on the tenant's list" if others else "")
        if ews.get("ends_on"):
            told += f"; ends on {readable_time(ews['ends_on'], date_only=True)}, in {ews['days_left']} days"
        lines += ["", *wrap(told, width)]
    return lines


def columns(rows: t.Sequence[t.Sequence[str]], width: int, lines_each: int | None = None) -> list[str]:
    """Columns two blanks apart; the last one is wrapped, and a long first one is cut in the middle.

    ``lines_each``: what is longer than so many lines is cut.
    """
    cells = [[_plain(cell) for cell in row] for row in rows]
    count = len(cells[0])
    widest = [max(_cells(row[column]) for row in cells) for column in range(count)]
    rest = sum(widest[1 : count - 1]) + 2 * (count - 1)
    widest[0] = min(widest[0], width - rest - 20)
    last = width - widest[0] - rest
    lines = []
    for row in cells:
        first = [_pad(_cut(cell, widest[column]), widest[column]) for column, cell in enumerate(row[:-1])]
        head = "  ".join(first)
        parts = wrap(row[-1], last)
        if lines_each and len(parts) > lines_each:
            parts = [*parts[: lines_each - 1], f"{parts[lines_each - 1][: last - 3].rstrip(' .,;:')}..."]
        for number, part in enumerate(parts):
            lines.append(f"{head}  {part}" if number == 0 else f"{' ' * _cells(head)}  {part}")
    return lines


def wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(_plain(text), width, break_on_hyphens=False) or [""]


def _cut(text: str, width: int) -> str:
    if _cells(text) <= width:
        return text
    half = (width - 3) // 2
    return f"{text[: width - 3 - half]}...{text[len(text) - half :]}"


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _cells(text))


def _cells(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def _plain(text: t.Any) -> str:
    """One line without anything that moves the cursor or turns the reading direction: such characters are spelled."""
    return "".join(
        char if char.isprintable() else " " if char in "\r\n\t" else char.encode("unicode_escape").decode()
        for char in str(text)
    )


def spoken(step: str) -> str:
    return step.replace("_", " ").replace("ews ", "EWS ")


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
