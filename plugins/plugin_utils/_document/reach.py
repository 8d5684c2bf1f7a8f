# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The report of reach of one tenant: what ``application_reach_info`` found, held against what is declared.

It is one document; the page and the table are made from it and from nothing else. Pure.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils._names import ZERO_GUID
from ansible_collections.mail2fax.m365.plugins.plugin_utils._blanks import truth_of
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import (
    reach_changes,
    reach_page,
    reach_table,
    times,
)
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import reach_words as words
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.record import LARGEST, TOO_LARGE
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.words import some

Json = dict[str, t.Any]
Like = t.Mapping[str, t.Any]

SCHEMA = 1
VOLATILE = frozenset({"at", "since", "seen_since", "changes", "compared_with", "scanned"})
"""Keys that differ from run to run although nothing happened."""

page, table = reach_page.page, reach_table.table


@dataclass(frozen=True)
class Report:
    """``changed``: whether it tells anything that the last one does not. ``kept`` is what the files are to tell: the
    last report where nothing is new, nothing where the last one must not be overwritten. ``step`` is what the run's
    document takes over as the result of the step ``reach``. ``shown`` is what --diff shows: ``before``, ``after``."""

    document: Json
    changed: bool
    kept: Json
    step: Json
    shown: Json


@dataclass(frozen=True)
class Last:
    """The last report; ``document`` is empty where there is none, or none to be used: then ``refused`` says why."""

    document: Json = field(default_factory=dict)
    refused: str = ""


def read(text: t.Any, host: str, tenant_id: str | None = None) -> Last:
    """The report in ``text``: what an earlier run wrote, or the mapping that ansible-core 2.18 makes of it."""
    document: t.Any = text
    if not isinstance(text, t.Mapping):
        if not text or not str(text).strip():
            return Last()
        if len(str(text)) > LARGEST * 4:
            return Last(refused=TOO_LARGE)
        try:
            document = json.loads(str(text))
        except (ValueError, RecursionError):
            return Last(refused="it is not JSON")
    if not _is_report(document):
        return Last(refused="it is not a report of reach")
    schema = document.get("schema", SCHEMA)
    if not isinstance(schema, int) or schema > SCHEMA:
        return Last(refused=f"a later version of mail2fax.m365 wrote it (schema {schema}; this one knows {SCHEMA})")
    if document["host"] != host:
        return Last(refused=f"it belongs to {document['host']!r}, not to {host!r}")
    belongs = str((document.get("tenant") or {}).get("id") or "")
    if tenant_id and belongs and belongs.lower() != tenant_id.lower():
        return Last(refused=f"it belongs to the tenant {belongs}, not to {tenant_id}")
    return Last(dict(document))


_ROWS: t.Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("mailboxes", "dormant"), ("address",)),
    **dict.fromkeys(("powers", "people", "everything_ways"), ()),
}


def _is_report(document: t.Any) -> bool:
    """Whether everything that is looked at later is of the kind that it has to be."""
    if not isinstance(document, t.Mapping) or not isinstance(document.get("host"), str):
        return False
    applications = document.get("applications")
    return (
        isinstance(document.get("tenant") or {}, t.Mapping)
        and _names(document, "declared", "missing", "unknown", "remembered")
        and isinstance(applications, list)
        and all(
            isinstance(one, t.Mapping) and isinstance(one.get("app_id"), str) and _is_application(one)
            for one in [*applications, *(document.get("remembered") or [])]
        )
    )


def _is_application(one: Like) -> bool:
    kept = one.get("remembered") or {}
    return (
        all(_are(one.get(key), needed) for key, needed in _ROWS.items())
        and _names(one, "missing", "closed")
        and all(_are(row.get("ways")) for row in words.rows(one))
        and all(
            _names(way, "limited_by", "but")
            for row in (*words.rows(one), {"ways": one.get("everything_ways")})
            for way in row.get("ways") or []
        )
        and isinstance(kept, t.Mapping)
        and (not kept or _is_application({**kept, "remembered": None}))
    )


def _names(value: Like, *keys: str) -> bool:
    """Whether what stands under ``keys`` is a list, or nothing."""
    return all(isinstance(value.get(key), list | None) for key in keys)


def _are(value: t.Any, needed: t.Iterable[str] = ()) -> bool:
    return value is None or (
        isinstance(value, list)
        and all(isinstance(one, t.Mapping) and all(isinstance(one.get(key), str) for key in needed) for one in value)
    )


def compose(found: Like, about: Like) -> Report:
    """The report of a run.

    ``found`` is the module's result. ``about`` has ``host``, ``tenant`` (``id``, ``domain``, ``name``), ``app_id`` (of
    the inventory's own application, empty where there is none yet), ``display_name``, ``declared`` (as the inventory
    has it), ``all_applications``, ``tenant_wide`` (the words with which somebody accepted that nothing limits it),
    ``tenant_wide_permissions`` (for which these words are), ``extra_permissions`` (that the inventory grants besides),
    ``keeps`` (whether the inventory keeps members, policies or roles that nobody declared), ``control`` (mailboxes that
    must stay shut all the same) and ``previous`` (the text of the last report).
    """
    at = str(found.get("at") or times.iso(times.now()))
    tenant = {key: (about.get("tenant") or {}).get(key) for key in ("id", "domain", "name")}
    tenant["id"] = (found.get("tenant") or {}).get("id") or tenant["id"]
    last = read(about.get("previous"), str(about["host"]), tenant["id"])
    previous = last.document
    # Not every run reads what the tenant is called.
    tenant = {key: value or (previous.get("tenant") or {}).get(key) for key, value in tenant.items()}
    app_id = str(about.get("app_id") or "").lower()
    # Zeros stand for an application that is still to be made.
    app_id = "" if app_id == ZERO_GUID else app_id
    known = reach_changes.known(previous)
    applications = [
        _application(_taken(one), known.get(str(one.get("app_id")).casefold(), {}), str(previous.get("at")), at)
        for one in found.get("applications") or []
        if one.get("app_id") != ZERO_GUID
    ]
    applications.sort(key=lambda one: _order(one, app_id))
    ours = next((one for one in applications if app_id and str(one.get("app_id")).lower() == app_id), None)
    # By primary addresses, as far as the module has found the mailboxes.
    looked_up = [*(found.get("declared") or []), *(found.get("unknown") or [])]
    declared = [str(one) for one in looked_up or about.get("declared") or []]
    wider = _wider(ours, {**about, "declared": declared}, found.get("wider") if ours else None)
    kept: list[str] = []
    if truth_of(about.get("keeps")):
        # It has been decided, but for a mailbox that must stay shut; and that everything is open has not.
        shut = {str(one).casefold() for one in about.get("control") or []}
        kept = [one for one in wider["mailboxes"] if one.casefold() not in shut]
        wider["mailboxes"] = [one for one in wider["mailboxes"] if one.casefold() in shut]
    document: Json = {
        "schema": SCHEMA,
        "host": str(about["host"]),
        "tenant": tenant,
        "at": at,
        "application_id": app_id or None,
        "display_name": (ours or {}).get("display_name") or about.get("display_name") or None,
        "declared": declared,
        "tenant_wide": about.get("tenant_wide") or None,
        "all_applications": bool(truth_of(about.get("all_applications"))),
        "missing": sorted(str(one) for one in found.get("missing") or []),
        "unknown": [str(one) for one in found.get("unknown") or []],
        "scanned": found.get("scanned"),
        "applications": applications,
        "wider": wider,
        "kept": kept,
        "outcome": "blocked" if any(wider.values()) else "ok",
    }
    document["remembered"] = reach_changes.vanished(previous, document)
    document["changes"] = reach_changes.compare(previous, document)
    document["compared_with"] = previous.get("at")
    changed = _lasting(document) != _lasting(previous)
    return Report(
        document=document,
        # What belongs to somebody else, or to a later version, is not overwritten.
        changed=changed and not last.refused,
        kept={} if last.refused else document if changed else previous,
        step=_step(document, ours, last.refused),
        shown={"before": _shown(previous), "after": _shown(document, document["changes"])},
    )


def _order(application: Like, app_id: str) -> tuple[t.Any, ...]:
    """Ours, then what opens everything, then what could; each by its name."""
    return (
        str(application.get("app_id")).lower() != app_id,
        not application.get("everything"),
        not words.mighty(application),
        words.name(application).casefold(),
        str(application.get("app_id")),
    )


_TEXTS = ("app_id", "display_name", "object_id", "kind", "home_tenant")
_WAY = ("protocol", "permission", "model", "limited_by", "alive", "why", "but", "since")


def _taken(application: Like) -> Json:
    """What a report takes over of an application: nothing but what is named here."""

    def some_of(listed: t.Any, names: t.Iterable[str]) -> list[Json]:
        return [{name: one[name] for name in names if name in one} for one in listed or []]

    return {
        **{name: application.get(name) for name in _TEXTS},
        "complete": bool(application.get("complete")),
        "missing": [str(one) for one in application.get("missing") or []],
        "everything": bool(application.get("everything")),
        "closed": [str(one) for one in application.get("closed") or []],
        "enabled": application.get("enabled") is not False,
        **{
            kind: [
                {"address": str(row["address"]), "ways": some_of(row.get("ways"), _WAY)}
                for row in application.get(kind) or []
            ]
            for kind in ("mailboxes", "dormant")
        },
        "everything_ways": some_of(application.get("everything_ways"), _WAY),
        "powers": some_of(application.get("powers"), ("permission", "what", "opens")),
        "people": some_of(application.get("people"), ("id", "name", "what")),
    }


def _application(found: Json, before: Like, last: str, at: str) -> Json:
    """In one order, whatever the services' was, and with the time since when each thing is seen.

    ``before``: what was known of it, empty for nothing; ``last``: when that was.
    """
    known = {str(row["address"]).casefold(): row.get("ways") or [] for row in words.rows(before)}

    def ways(listed: t.Iterable[Like], was: t.Iterable[Like]) -> list[Json]:
        seen = {(words.key(way), words.alive(way)): way.get("seen_since") or last for way in was}
        made = [{**way, "seen_since": seen.get((words.key(way), words.alive(way)), at)} for way in listed]
        return sorted(made, key=lambda way: (not words.alive(way), *words.key(way)))

    for key in ("mailboxes", "dormant"):
        found[key] = sorted(
            (
                {**row, "ways": ways(row.get("ways") or [], known.get(str(row["address"]).casefold(), []))}
                for row in found.get(key) or []
            ),
            key=lambda row: str(row["address"]).casefold(),
        )
    found["everything_ways"] = ways(found.get("everything_ways") or [], before.get("everything_ways") or [])
    for key, names in (("powers", ("permission", "what", "opens")), ("people", ("id", "what"))):
        seen = {_named(one, names): one.get("seen_since") or last for one in before.get(key) or []}
        found[key] = sorted(
            ({**one, "seen_since": seen.get(_named(one, names), at)} for one in found.get(key) or []),
            key=lambda one: _named(one, names),
        )
    found["missing"] = sorted(str(one) for one in found.get("missing") or [])
    kept = reach_changes.remembered(before, found)
    return {**found, "remembered": kept} if kept else found


def _named(found: Like, names: t.Iterable[str]) -> tuple[str, ...]:
    return tuple(str(found.get(name) or "") for name in names)


def _wider(ours: Like | None, about: Like, told: t.Any) -> Json:
    """What our own application opens, or could open by itself, beyond what the inventory declares.

    A power over other applications is told and blocks nothing: what it comes to hangs on what those can do.
    """
    if ours is None:
        return {"mailboxes": [], "everything": False, "powers": []}
    extra = {str(one).casefold() for one in about.get("extra_permissions") or []}
    accepted = set(extra)
    if about.get("tenant_wide"):
        accepted |= {str(one).casefold() for one in about.get("tenant_wide_permissions") or []}
    declared = {str(one).casefold() for one in about.get("declared") or []}

    def beyond(ways: t.Iterable[Like]) -> bool:
        return any(str(way.get("permission") or "").casefold() not in accepted for way in ways)

    if isinstance(told, t.Mapping) and isinstance(told.get("mailboxes"), list):
        # The module has looked up the primary address of what was declared by an alias.
        named = {str(one).casefold() for one in told["mailboxes"]}
    else:
        named = {address.casefold() for address in words.opened(ours)} - declared
    by = words.wide(ours)
    return {
        "mailboxes": [
            address for address, ways in words.opened(ours).items() if address.casefold() in named and beyond(ways)
        ],
        "everything": bool(ours.get("everything")) and (beyond(by) if by else not about.get("tenant_wide")),
        "powers": [
            str(one.get("permission"))
            for one in ours.get("powers") or []
            if one.get("opens") != words.OTHERS and str(one.get("permission") or "").casefold() not in extra
        ],
    }


def _step(document: Like, ours: Like | None, refused: str) -> Json:
    """The result of the step, as the run's document takes it."""
    others = [one for one in document["applications"] if one is not ours]
    reach = {
        "at": document["at"],
        "application_id": document["application_id"],
        "how": words.exactness(ours) if ours else words.EXACTLY,
        "everything": bool(ours and ours.get("everything")),
        "count": len(words.opened(ours or {})),
        "mailboxes": list(words.opened(ours or {})),
        "wider": document["wider"],
        "missing": (ours or {}).get("missing") or [],
        "all_applications": document["all_applications"],
        "others_everything": sum(bool(one.get("everything")) for one in others),
        "others_mighty": sum(words.mighty(one) and not one.get("everything") for one in others),
        "changes": document["changes"],
        "compared_with": document["compared_with"],
    }
    step: Json = {"outcome": document["outcome"], "changed": False, "reach": reach}
    told = _complaint(document, ours or {}) if document["outcome"] == "blocked" else ""
    if refused:
        told = (
            f"The last report of {document['host']} can be neither compared with nor overwritten, because {refused}. "
            f"What to do: put the right file there, or move this one away. {told}".rstrip()
        )
    if not told:
        return {**step, "summary": _in_words(document, ours)}
    return {**step, "outcome": "blocked", "summary": told.partition(" What to do:")[0], "msg": told}


def _in_words(document: Like, ours: Like | None) -> str:
    if not document["application_id"]:
        return "there is no application yet"
    if ours is None:
        return "the application opens no mailbox"
    listed = "" if ours.get("everything") else some(words.opened(ours), 3)
    told = f"the application opens {words.extent(ours)}{': ' if listed else ''}{listed}"
    if ours.get("everything"):
        return f"{told}, accepted with the words: {document['tenant_wide']}"
    if document["kept"]:
        told += f"; the inventory keeps {some(document['kept'], 3)}, which nobody declared"
    held = [words.power(one) for one in ours.get("powers") or []]
    return f"{told}; it also holds {some(held, 3)}" if held else told


def _complaint(document: Like, ours: Like) -> str:
    wider = document["wider"]
    told = []
    if wider["everything"]:
        by = "; ".join(words.way(one) for one in words.wide(ours))
        told.append(f"opens every mailbox of the tenant{f' ({by})' if by else ''}")
    if wider["mailboxes"]:
        ways = words.opened(ours)
        listed = [f"{address} ({'; '.join(map(words.way, ways[address]))})" for address in wider["mailboxes"]]
        told.append(f"opens {some(listed, 5)}, which {'is' if len(listed) == 1 else 'are'} not declared")
    if wider["powers"]:
        held = [words.power(one) for one in ours.get("powers") or [] if one.get("permission") in wider["powers"]]
        told.append(f"could widen its reach by itself, because it holds {some(held, 5)}")
    cures = []
    if wider["everything"] or wider["mailboxes"]:
        cures.append(
            "take back what opens it (mail2fax.m365.provision names each thing that it may take back itself), or "
            "declare the mailbox in mail2fax_mailboxes"
        )
    if wider["powers"]:
        cures.append(
            "revoke that permission in Entra, or take the application out of that role; where it is meant, name it in "
            "mail2fax_extra_permissions"
        )
    return f"{words.name(ours)} {', and '.join(told)}. What to do: {'; '.join(cures)}."


def _shown(document: Like, changes: t.Sequence[Like] = ()) -> Json:
    """A report by lines that --diff can set against each other: no times but that of the last report."""
    if not document:
        return {}
    shown: Json = {"declared": list(document.get("declared") or []), "applications": {}}
    for one in document.get("applications") or []:
        lines = [f"opens {words.extent(one)}"]
        lines += [f"every mailbox: {words.way(way)}" for way in words.widest(one)]
        lines += [f"{row['address']}: {words.way(way)}" for row in words.rows(one) for way in row.get("ways") or []]
        lines += [f"holds {words.power(power)}" for power in one.get("powers") or []]
        lines += [f"could be widened by {words.person(person)}" for person in one.get("people") or []]
        lines += [f"not read: {missing}" for missing in one.get("missing") or []]
        shown["applications"][f"{words.name(one)} ({one.get('app_id')})"] = lines
    if changes:
        since = times.readable_time(changes[0]["since"])
        told = reach_changes.told(changes)
        shown["changes"] = [f"{one['became']} since {since}: {one['who']} {one['what']}" for one in told]
    return shown


def _lasting(value: t.Any) -> t.Any:
    """Without what differs although nothing happened."""
    if isinstance(value, t.Mapping):
        return {str(key): _lasting(item) for key, item in value.items() if key not in VOLATILE}
    return [_lasting(item) for item in value] if isinstance(value, list) else value
