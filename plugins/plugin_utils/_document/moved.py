# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a document tells of a migration. What the old way had stays in it until that is retired."""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _migration, _taking
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.run import Run

Json = dict[str, t.Any]
_SHOWN = ("name", "version", "status", "title")


def migration(run: Run, state: str) -> Json:
    """The key ``migration``: as this run leaves it; not there where there is none."""
    if state == "removed" or _rolled_back(run):
        return {}
    found = _of(run)
    return {"migration": found} if found else {}


def _of(run: Run) -> Json:
    if run.kind == "migrate" and run.mode == "apply":
        return dict(run.context.get("migration") or {})
    return dict(run.previous.get("migration") or {})


def _rolled_back(run: Run) -> Json:
    """The migration that this run has rolled back; empty for none."""
    return dict(run.context.get("rolled_back") or {}) if run.kind == "migrate" and run.mode == "apply" else {}


def _ends(run: Run) -> Json:
    """The migration that this run has brought to its end; empty for none."""
    found = _of(run) if run.kind == "migrate" else {}
    before = run.previous.get("migration") or {}
    return found if found.get("phase") == "done" and before.get("phase") != "done" else {}


def row(run: Run, skipped: Json) -> Json:
    """The step ``migration``."""
    step: Json = {"step": "migration", "outcome": "ok"}
    if skipped["outcome"] != "skipped" or str(skipped.get("summary", "")).startswith("not run, because"):
        return skipped
    before = str((run.previous.get("migration") or {}).get("phase") or "")
    if back := _rolled_back(run):
        return {**step, "outcome": "changed", "summary": f"rolled back to {_migration.called(back['from'])}"}
    found = dict(run.context.get("migration") or {})
    if not found:
        return {**step, "summary": "no migration stands, nothing to roll back"}
    to = _migration.called(found["to"])
    if found["phase"] == "done":
        outcome = "ok" if before == "done" else "changed"
        return {**step, "outcome": outcome, "summary": f"done: the application is with {to}"}
    said = _migration.told(found)
    if run.mode == "check":
        comes = "the roll back comes next" if found.get("rolling") else _NEXT.get(found["phase"], said)
        return {**step, "summary": f"to {to}: {comes}"}
    awaits = found.get("awaits") or "the next run"
    return {
        **step,
        "outcome": "pending",
        "summary": f"to {to}: {said}",
        "pending": f"{'rolling back' if found.get('rolling') else found['phase'].replace('_', ' ')}: awaits {awaits}",
        "pending_until": found.get("until"),
    }


_NEXT = {
    "prepare": "prepare comes next, which makes the new way in beside the old one",
    "prove": "prove comes next, which tries the new way in",
    "hand_over": "the hand-over sheet comes next",
    "confirm": "somebody has to say that the fax server uses the new way (mail2fax_migrate_confirm: true)",
    "retire": "retire comes next, which takes the old way away",
}


def profile(run: Run, shown: Json) -> Json:
    """By which profile the application is there: the old one until it is retired."""
    found = run.context["profile"]
    before: Json = run.previous.get("profile") or {}
    if _ends(run) or not (_migration.stands(_of(run)) or found.get("migrating")):
        return shown
    old = (found.get("migrating") or {}).get("old")
    if old is None:
        return before or shown
    return {
        **{key: old[key] for key in _SHOWN},
        "accesses": [{key: access[key] for key in ("id", "protocol", "scoping")} for access in old["accesses"]],
    }


def ours(run: Run, entries: list[Json]) -> list[Json]:
    """What runs added, with what a migration is about to add; without what it took away."""
    found = run.context["profile"]
    if back := _rolled_back(run):
        return _taking.left(entries, back, found, run.previous)
    if ended := _ends(run):
        start, end = ended["from"], ended["to"]
        same = str(start.get("group_alias") or "").casefold() == str(end.get("group_alias") or "").casefold()
        group = None if same else str((run.previous.get("ids") or {}).get("group") or "").lower() or None
        return _taking.retired(entries, found, "" if same else str(start.get("scope_name") or ""), group)
    return entries


def facts(run: Run, found: Json) -> Json:
    """The group is that of the way that stays; one that was only taken away, or left to others, is not it."""
    back = _rolled_back(run) or (_of(run) if run.kind == "migrate" and _of(run).get("rolling") else {})
    without = not back["from"].get("group_alias") if back else _ends(run) and not {*_migration.BY_GROUP} & {*run.models}
    if without:
        return {**found, "ids": {**found["ids"], "group": None}, "group": {**found["group"], "address": None}}
    looked = run.results.get("scope_group") or {}
    if back and (not looked or looked.get("skipped")):
        known = run.previous
        kept = (known.get("ids") or {}).get("group")
        return {**found, "ids": {**found["ids"], "group": kept}, "group": known.get("group") or found["group"]}
    return found


def exchange(run: Run, found: Json | None) -> Json | None:
    """Without what the old way had by roles and rights, once it is gone."""
    models = set(run.models)
    if not found or not (_ends(run) or _rolled_back(run)):
        return found
    gone = {"scope": _migration.B, "assignments": _migration.B, "rights": _migration.C}
    kept = {key: value for key, value in found.items() if key not in gone or gone[key] in models}
    if not {_migration.B, _migration.C} & models:
        return None
    roles = {role.casefold() for role in run.context["profile"].get("roles") or []}
    if kept.get("assignments"):
        kept["assignments"] = [one for one in kept["assignments"] if str(one.get("role") or "").casefold() in roles]
    return kept


def ews(run: Run, found: Json | None) -> Json | None:
    return None if _ends(run) and "ews" not in run.context["profile"].get("protocols", ["ews"]) else found
