# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a document says in a few words: the state, the complaint, the names of steps."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils import _steps
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _variables
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.times import instant, readable_time

Json = dict[str, t.Any]

STEPS = {kind: _steps.RUNS[kind].steps for kind in ("provision", "decommission", "rotate", "reach", "migrate")}
"""The steps that a run may have in its order, by what the run is for; also the keys of the results it is made from.

Which of them it has, its profile says (``_steps.of``). An audit has ``credentials`` besides. A rotation looks at the
tenant only where the last document does not know it.
"""

OUTCOMES = ("ok", "changed", "pending", "blocked", "failed")
"""From good to bad: the worst one is the run's. A step that did not run is ``skipped`` and counts for nothing."""


def complaint(document: Json) -> str:
    """Why the run has to end red, for people; empty if it need not."""
    if document.get("stopped"):
        reason = str(document["stopped"]["msg"])
        if document["kind"] == "rotate":
            reason = f"{reason}\n{_risk(document)}"
        return _with_variables(reason, document["stopped"].get("error"))
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
    return _with_variables("\n".join(told), *(step.get("error") for step in document["steps"]))


def _risk(document: Json) -> str:
    """What a rotation that was stopped means for the fax server."""
    end = (document.get("secret") or {}).get("end_date_time")
    if not end:
        return "When the secret in use ends is not known."
    last, now = instant(end), instant(document["at"])
    days = (last - now).days if last and now else 0
    if days < 0:
        return f"OUTAGE: the last secret known here expired on {readable_time(end, date_only=True)}."
    return f"The secret in use works until {readable_time(end, date_only=True)}, {days} days from now."


def _with_variables(text: str, *errors: t.Any) -> str:
    """The modules speak of their options; whoever runs a playbook sets variables."""
    options = [str(option).rpartition(".")[2] for error in errors for option in (error or {}).get("options") or []]
    found = dict.fromkeys(variable for option in options if (variable := _variables.named(option)) is not None)
    missing = [variable for variable in found if variable not in text]
    return f"{text} (In the inventory: {', '.join(missing)}.)" if missing else text


def headline(document: Json) -> str:
    """The state in a few words."""
    state = str(document["state"])
    if document["mode"] == "check":
        return "plan only"
    if state == "removing":
        until = (document.get("removing") or {}).get("until")
        return f"being removed until {readable_time(until)}" if until else "being removed"
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


def worst(outcomes: t.Iterable[str]) -> str:
    return max((outcome for outcome in outcomes if outcome in OUTCOMES), key=OUTCOMES.index, default="ok")


def being_removed(document: Json) -> str:
    """Why nothing but a removal goes on while one waits for the last token's end; empty where none does."""
    removing = document.get("removing")
    if not removing:
        return ""
    until = f" until {readable_time(removing['until'])}" if removing.get("until") else ""
    return (
        f"The application is being removed: its access policy and group stay{until}, because tokens that were issued "
        "before may be alive as long. What to do: run mail2fax.m365.decommission once more after that time; or set "
        "mail2fax_on_deleted to restore and provision, to begin again with the application that was deleted."
    )


def another(document: Json, profile: t.Mapping[str, t.Any]) -> str:
    """Why a provisioning by ``profile`` (resolved) does not go on: the record shows another one, or another scoping
    model. Empty where it may."""
    if profile.get("migrating") or (document.get("migration") or {}).get("phase") == "done":
        return ""  # what the inventory names was compared with both sides
    recorded = document.get("profile") or {}
    made = (document.get("ids") or {}).get("application_id") and document.get("state") != "removed"
    wanted = {access["id"]: access["scoping"] for access in profile.get("accesses") or []}
    if not (made and recorded.get("name") and wanted):
        return ""
    listed = recorded.get("accesses")
    # Whoever noted no models knew of one.
    known = (
        {access["id"]: access["scoping"] for access in listed}
        if listed
        else dict.fromkeys(wanted, "application_access_policy")
    )
    if (recorded["name"], known) == (profile["name"], wanted):
        return ""
    return (
        "The record tells that the application was provisioned with the profile "
        f"{_of_models(recorded['name'], known)}, and the inventory wants {_of_models(str(profile['name']), wanted)}. "
        "Nothing was touched, because both together would open more than either. What to do: run mail2fax.m365.migrate "
        "to move from one to the other; where a second application is meant, give it an inventory host of its own with "
        "the same mail2fax_tenant; or set mail2fax_profile and mail2fax_scoping as they were."
    )


def _of_models(name: str, models: t.Mapping[str, str]) -> str:
    return f"{name} ({', '.join(f'{access}: {model}' for access, model in models.items())})"


def spoken(step: str) -> str:
    return step.replace("_", " ").replace("ews ", "EWS ")


def first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


MOST_NAMED = 10


def some(names: t.Iterable[t.Any], most: int = MOST_NAMED) -> str:
    """Names with commas; more than ``most`` are counted."""
    listed = [str(name) for name in names]
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more} more" if more > 0 else "")


def short(text: str, most: int = 4000) -> str:
    """A text that people can still read: of a longer one its beginning, and how much there was."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text) - most} more characters)"
