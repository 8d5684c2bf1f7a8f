# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The hand-over of one host, made of what the variables of the role ``handover`` amount to.

Each is looked at when its turn comes (see _values): what only the sheet needs keeps nobody from writing the record.
"""

from __future__ import annotations

import contextlib
import functools
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput, M365Error
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _blanks, _held, _profile, _refused, _sheet
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import record, words
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.result import result
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain
from ansible_collections.mail2fax.m365.plugins.plugin_utils._values import Values

Json = dict[str, t.Any]


class Handover:
    """``variables`` are the host's, as the task sees them. Raises InvalidInput where they are not those of the role."""

    def __init__(self, host: str, values: Values, variables: t.Mapping[str, t.Any]) -> None:
        if "handover_context" not in variables:
            raise InvalidInput("no role handover is at work here", cure="use the role mail2fax.m365.handover")
        self.host = host
        self._values = values
        self._variables = variables
        look = variables.get(_held.BEGUN)
        # What the first task of a playbook has found of the host; None where the role runs on its own.
        self._look: t.Mapping[str, t.Any] | None = look if isinstance(look, t.Mapping) else None
        self._begun = self._look if _held.PLAYBOOK in variables else None

    # --- before a run ---------------------------------------------------------------------------------------------

    def refused(self) -> list[str]:
        """Why the run cannot be handed over, in sentences."""
        options = {name: self._said(name) for name in ("time_zone", "contacts", "thresholds")}
        found = [
            *self.before,
            *_refused.refused({_refused.HANDOVER: {**options, "profile_complaint": self._complaint()}}),
        ]
        if why := self.recorded.refused:
            found.append(
                f"{self._said('record_path')} cannot be used as the record of {self.host}, because {why}. What to do: "
                "put the right file there, or move this one away if the tenant is to begin without a record."
            )
        return found

    def blocked(self) -> list[str]:
        """What a person has to decide first, in sentences."""
        look, looks_only = self._look or {}, self.mode == "audit"
        stands = [*(look.get("blocked") or []), *(() if looks_only else look.get("volatile") or ())]
        if stands and not self.before:
            return [str(one) for one in plain(stands)]
        document = self.recorded.document
        if self.kind == "provision" and not self.before and (another := words.another(document, self.profile)):
            return [another]
        deleted = self.kind == "provision" and self._said("on_deleted") != "restore"
        if not looks_only and (self.kind == "rotate" or deleted) and (removing := words.being_removed(document)):
            return [removing]
        return []

    @functools.cached_property
    def before(self) -> list[str]:
        """What checks before have refused, in our playbooks the first two tasks of all."""
        found = [str(one) for one in self._said("refused") or []]
        if self._begun is not None:
            found += [*(self._begun.get("refused") or []), *self._clashes]
        return list(dict.fromkeys(plain(found)))

    @property
    def _clashes(self) -> t.Sequence[str]:
        """Why this host cannot be in one run with another."""
        compared = self._variables.get(_held.COMPARED)
        refused = compared.get("refused") if isinstance(compared, t.Mapping) else {}
        return (refused or {}).get(self.host) or []

    def _complaint(self) -> str:
        # While an application moves, the profile is made of two.
        known = self.profile.get("status") != "unknown" and not (self._look or {}).get("migration")
        return "" if known else str(self._said("profile_complaint") or "")

    # --- at its end -----------------------------------------------------------------------------------------------

    def composed(self, stopped: t.Any = None) -> Json:
        """What _document.result says, ``stopped`` being what kept the end from being written."""
        context = {
            "host": self.host,
            "kind": self.kind,
            "mode": self.mode,
            **self._said("context"),
            **(self._said(f"context_of_{self.kind}") or {}),
            "previous": self.recorded.document,
            "previous_audit": self._said("last_audit") if self.mode == "audit" else "",
        }
        if isinstance(context["mailboxes"], t.Mapping) or not isinstance(context["mailboxes"], (list, str)):
            # A run that was refused for what they say leaves its result all the same.
            context["mailboxes"] = []
        context["renew_before"] = _number(context["renew_before"], 30)
        # What the inventory says of a group, a policy or a scope that the profile does not have.
        unused = [name for name, said in (context.get("unused") or {}).items() if said is not None]
        context["unused"] = unused if "scope_group" not in self.profile.get("steps", ["scope_group"]) else []
        moves = self.kind == "migrate" or (self._look or {}).get("migration")
        context["beside"] = self._said("beside") if moves else {}
        return self._result(self.results, {**context, **({"stopped": stopped} if stopped else {})})

    def certain(self, stopped: Json) -> Json:
        """The same where nothing is sure but what stopped it."""
        with contextlib.suppress(Exception):
            return self.composed(stopped)
        previous: t.Any = {}
        with contextlib.suppress(M365Error):
            previous = self.recorded.document
        context = {"profile": self._said("no_definition"), "previous": previous, "stopped": stopped}
        return self._result({}, {"host": self.host, "kind": self.kind, "mode": self.mode, **context})

    def _result(self, results: Json, context: Json) -> Json:
        try:
            return result(results, context)
        except ValueError as exc:
            raise InvalidInput(str(exc), attempted="put the results together") from None

    def writes(self) -> bool:
        """Whether anything is written: by an audit in check mode, too, by a run that only predicts nothing.

        What belongs to somebody else, or to a later version, stays; and a store of records that refused before anything
        was done is not tried once more: its own words are what a person needs.
        """
        error = (self._said("stopped") or {}).get("error") or {}
        if self.mode == "check" or self.recorded.refused or "record_store" in (error.get("options") or []):
            return False
        if self._begun is not None and (self._clashes or not self._begun.get("writes")):
            return False
        return _true(self._said("write"))

    def wants_a_sheet(self, *, news: bool) -> bool:
        if not _true(self._said("sheet")) or (_true(self._said("sheet_if_changed")) and not news):
            return False
        # Of what was refused at once, and of a profile or a cloud that does not exist, there is nothing to type in.
        return not self.before and self._said("cloud") in self.profile["connection"][0]["hosts"]

    def page(self, found: Json) -> str:
        try:
            return _sheet.page(found["document"], self._whole_profile, host=self.host, **self._said("about"))
        except ValueError as exc:
            raise InvalidInput(str(exc), attempted="make the hand-over sheet") from None

    # --- what the role says ---------------------------------------------------------------------------------------

    def path(self, ending: str) -> str:
        return f"{self._said('dir')}/{self._said('name')}{ending}"

    @property
    def kind(self) -> str:
        return str(self._said("kind") or "provision")

    @property
    def mode(self) -> str:
        return str(self._said("mode") or ("check" if self._values.value("ansible_check_mode") else "apply"))

    @property
    def document(self) -> str:
        """By which name a place of records knows the result."""
        return "audit" if self.mode == "audit" else "record"

    @property
    def moves(self) -> list[Json]:
        return self._said("moves") or []

    @property
    def profile(self) -> Json:
        return t.cast("Json", self._said("definition"))

    @property
    def _whole_profile(self) -> Json:
        """With what only a sheet needs, which the look at the inventory leaves out of profiles of ours."""
        if self.profile.keys() >= _sheet.OF_A_SHEET:
            return self.profile
        whole = _profile.load(self.profile["name"])
        return {**self.profile, **{name: whole[name] for name in _sheet.OF_A_SHEET}}

    @property
    def results(self) -> Json:
        return self._said("results") or {}

    @functools.cached_property
    def recorded(self) -> record.Record:
        """The result of the last run."""
        if self._look is not None and self._look.get("record_refused"):
            return record.Record(refused=str(self._look["record_refused"]))
        look = self._look
        text = self._said("record") if look is None else plain(look.get("record_text") or look.get("record"))
        tenant = (self.results.get("preflight") or {}).get("tenant") or {}
        return record.read(text, self.host, tenant.get("id"))

    def _said(self, name: str) -> t.Any:
        return self._values.value(f"handover_{name}")


def _true(value: t.Any) -> bool:
    said = _blanks.truth_of(value)
    return bool(value) if said is None else said


def _number(value: t.Any, default: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return default
