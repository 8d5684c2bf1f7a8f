# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The results of one run with what is known besides."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _steps
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.tenant_wide import FEWEST_CHARACTERS
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _credentials
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import ours
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.record import read

Json = dict[str, t.Any]


class Run:
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
        self.results = results
        self.context = context
        self.previous = previous
        self.names: t.Mapping[str, t.Any] = context.get("names") or {}
        self.thresholds = _thresholds(context)
        # The audit's own last document: what it alone looks at is not in the other one.
        self.audited = read(context.get("previous_audit"), str(context["host"])).document if mode == "audit" else {}

    @property
    def step_names(self) -> tuple[str, ...]:
        names = _steps.of("audit" if self.kind == "provision" and self.mode == "audit" else self.kind, self.chosen)
        return names[1:] if self.kind == "rotate" and not self.of("preflight") else names

    @property
    def makes(self) -> bool:
        """Whether the run makes what it declares, and notes what it added."""
        return self.kind in ("provision", "migrate")

    @property
    def chosen(self) -> t.Collection[str] | None:
        """Which steps it has of those that only some profiles have; None where no profile tells."""
        chosen = self.context["profile"].get("steps")
        if self.kind == "migrate":
            return {*(chosen or ()), *(step for step in _steps.RUNS[self.kind].steps if self.of(step))}
        if self.kind != "decommission":
            return t.cast("t.Collection[str] | None", chosen)
        # What is taken back is what earlier runs did, whatever the inventory calls for today.
        done = {str(row["step"]) for row in self.previous.get("steps") or []} | {
            step for step in _steps.RUNS[self.kind].steps if self.of(step)
        }
        return {*(_steps.OF_THE_FIRST if chosen is None else chosen), *done}

    @property
    def models(self) -> tuple[str, ...]:
        """The scoping models in use; that of 0.1.0 where no profile tells."""
        return tuple(self.context["profile"].get("models") or ("application_access_policy",))

    @property
    def limits(self) -> tuple[str, ...]:
        """The steps that limit what the application gets, or give it no more than it needs: the last of each model."""
        return tuple(MODELS[model].makes[-1] for model in self.models if model in MODELS and MODELS[model].makes)

    @property
    def accepted_words(self) -> str:
        """The words by which somebody accepted that nothing limits an access; empty where something does."""
        words = self.context.get("tenant_wide")
        said = words.strip() if isinstance(words, str) else ""
        return said if "tenant_wide" in self.models and len(said) >= FEWEST_CHARACTERS else ""

    def of(self, step: str) -> Json:
        """A step's registered result; empty when it did not run or was skipped."""
        result = self.results.get(step)
        results = [result, *((self.context.get("beside") or {}).get(step) or ())]
        if step in _OF_TWO_GROUPS and self._ends_elsewhere():
            # What was settled beside is what is left.
            results[:2] = results[1::-1]
        found: Json = {}
        for one in results:
            if isinstance(one, t.Mapping) and one and not one.get("skipped"):
                found = joined(step, found, one)
        return found

    def _ends_elsewhere(self) -> bool:
        """Whether this run has brought a migration to another group to its end."""
        migration: Json = self.context.get("migration") or {}
        if self.kind != "migrate" or self.mode != "apply" or migration.get("phase") != "done":
            return False
        one, other = (str((migration.get(side) or {}).get("group_alias") or "").casefold() for side in ("from", "to"))
        return bool(one and other) and one != other

    def good(self, step: str) -> Json:
        """A step's result unless it failed."""
        result = self.of(step)
        return {} if result.get("failed") else result

    def meant(self) -> bool:
        """Whether the tenant that was read is the one that is meant."""
        findings = self.of("preflight").get("findings") or []
        return not any(finding.get("step") == "tenant" for finding in findings)

    def by_hand(self) -> bool:
        """Whether the run waits for a person to give the consent."""
        return bool(self.good("admin_consent").get("by_hand"))

    def unready(self) -> bool:
        """Whether Exchange does not take roles yet: then nothing can be proved."""
        return self.good("application_role").get("ready") is False

    def contradicted(self) -> bool:
        """Whether Exchange said of a mailbox, with its reasons, what must not be: no waiting mends that."""
        return any(item.get("as_expected") is False for item in self.of("access_verdict").get("verdicts") or [])

    def watches_a_removal(self) -> bool:
        """Whether this is an audit of an application that is being removed."""
        return self.mode == "audit" and self.kind != "reach" and bool(self.previous.get("removing"))

    def state_before(self) -> str:
        return str(self.previous.get("state") or "draft")

    def reached(self) -> bool:
        """Whether the tenant that is meant has answered."""
        return bool(self.good("preflight")) and self.meant()


_OF_TWO_GROUPS = ("scope_group", "application_role", "access_policy")
"""The steps of which the result for the second group is the first one beside."""


def joined(step: str, first: Json, second: t.Mapping[str, t.Any]) -> Json:
    """Two results of one step, of which a run has several while an application moves: the first one's facts, the worse
    outcome, and what both did."""
    if not first:
        return dict(second)
    order = ("ok", "changed", "pending", "blocked", "failed")
    outcomes = [str(one.get("outcome") or ("changed" if one.get("changed") else "ok")) for one in (first, second)]
    worse = second if order.index(outcomes[1]) > order.index(outcomes[0]) else first
    # Each with its own ids put in, where it was not known before the deed.
    added = [entry for one in (first, second) for entry in ours.added(step, one)]
    keys = ("pending", "pending_until", "failed", "msg", "error", "tokens_until", "revoked_at")
    return {
        **first,
        **{key: worse[key] for key in keys if key in worse},
        **{key: second[key] for key in ("tokens_until", "revoked_at") if key in second},
        "outcome": worse.get("outcome"),
        "changed": bool(first.get("changed") or second.get("changed")),
        "summary": "; ".join(str(one["summary"]) for one in (first, second) if one.get("summary")),
        "steps": [*_listed(first.get("steps")), *_listed(second.get("steps"))],
        "warnings": [*_listed(first.get("warnings")), *_listed(second.get("warnings"))],
        "added": added,
    }


def _listed(value: t.Any) -> list[t.Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _thresholds(context: t.Mapping[str, t.Any]) -> _credentials.Thresholds:
    try:
        return _credentials.Thresholds.of(context.get("thresholds"))
    except ValueError:
        # What stopped a run is told, whatever else is wrong; it may be this.
        if context.get("stopped"):
            return _credentials.Thresholds()
        raise
