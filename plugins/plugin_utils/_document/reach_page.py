# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The page of a report of reach: one file of HTML for a security officer, to look at, to search and to print.

Its template lies beside the sheet's. Whatever comes from a tenant is escaped, and the only script that a browser runs
is the page's own: its digest stands in the page's policy.
"""

from __future__ import annotations

import functools
import typing as t

import jinja2

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import pages, reach_changes
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import reach_words as words
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.words import some

Json = dict[str, t.Any]
Like = t.Mapping[str, t.Any]

EVERY = "every mailbox"
MOST_PEOPLE = 6


@functools.cache
def _template() -> jinja2.Template:
    return pages.template("reach.html.j2")


def page(document: Like, zone: str = "UTC") -> str:
    """The page of a report (see reach.compose; what design or an older version leaves out may be missing).

    ``zone`` is the IANA name of the time zone of its times; raises ValueError or ZoneInfoNotFoundError for none.
    """
    applications = [dict(one) for one in document.get("applications") or []]
    ours = _ours(document, applications)
    others = [one for one in applications if one is not ours]
    declared = [str(one) for one in document.get("declared") or []]
    tenant = {"id": None, "domain": None, "name": None, **(document.get("tenant") or {})}
    return _template().render(
        host=document.get("host") or "",
        tenant=tenant,
        where=tenant["domain"] or tenant["name"] or tenant["id"] or document.get("host") or "",
        at=document.get("at"),
        zone=zone,
        state=_state(document, ours),
        subject=words.name(ours or {"display_name": document.get("display_name") or "The application"}),
        subject_id=(ours or {}).get("app_id") or document.get("application_id"),
        declared=declared,
        changes=reach_changes.told(document.get("changes") or []),
        compared_with=document.get("compared_with"),
        openers=_openers(applications, ours, declared),
        reached=_reached(ours, declared, document.get("kept") or []) if ours else [],
        ours=ours,
        powers=[{**one, "opens": words.opens(one)} for one in (ours or {}).get("powers") or []],
        people=[words.person(one) for one in (ours or {}).get("people") or []],
        looked_at_all=document.get("all_applications") is not False,
        mighty=[row for one in others if words.mighty(one) for row in _mighty(one)],
        rest=[_short(one) for one in others if not words.mighty(one)],
        missing=_missing(document, applications),
        unknown=[str(one) for one in document.get("unknown") or []],
    )


def _ours(document: Like, applications: t.Sequence[Json]) -> Json | None:
    own = str(document.get("application_id") or "").lower()
    if not own and "application_id" not in document and len(applications) == 1:
        return applications[0]
    return next((one for one in applications if own and str(one.get("app_id")).lower() == own), None)


def _state(document: Like, ours: Json | None) -> Json:
    """``kind`` (a class of the page), ``title``, ``told`` (a sentence) and ``beyond`` (what is wider, in clauses)."""
    wider = document.get("wider") or {}
    beyond = []
    if wider.get("everything"):
        beyond.append("It opens every mailbox of the tenant.")
    if wider.get("mailboxes"):
        beyond.append(f"It opens {some(wider['mailboxes'])}, and nobody declared that.")
    if wider.get("powers"):
        beyond.append(f"It could widen its reach by itself: it holds {some(wider['powers'])}.")
    if beyond or document.get("outcome") == "blocked":
        return {"kind": "wider", "title": "WIDER THAN DECLARED", "told": "", "beyond": beyond}
    if ours is None:
        made = document.get("application_id")
        told = "It holds nothing that opens a mailbox." if made else "There is no application of the fax server yet."
        return {"kind": "narrow", "title": "OPENS NOTHING", "told": told, "beyond": []}
    told = f"It opens {words.extent(ours)}."
    if document.get("kept"):
        told += f" The inventory keeps {some(document['kept'])}, which nobody declared."
    if ours.get("everything") and document.get("tenant_wide"):
        told += f" Accepted with the words: {document['tenant_wide']}"
        return {"kind": "known", "title": "NOTHING LIMITS IT", "told": told, "beyond": []}
    if not ours.get("complete"):
        told += " More may be open: not everything could be read, see the end of this page."
        return {"kind": "partly", "title": "AS DECLARED, AS FAR AS COULD BE READ", "told": told, "beyond": []}
    return {"kind": "narrow", "title": "AS DECLARED", "told": told, "beyond": []}


def _way(way: Like, of: Like) -> Json:
    # Whose it is stands beside it.
    limits = words.limits(way).replace(f" for {of.get('app_id')}", "")
    return {
        "protocol": words.protocol(way),
        "permission": str(way.get("permission") or ""),
        "limits": limits,
        "alive": words.alive(way),
        "why": str(way.get("why") or ""),
        "since": way.get("since") or way.get("seen_since"),
    }


_ANY = {"protocol": "", "permission": "", "limits": "nothing", "alive": True, "why": "", "since": None}


def _openers(applications: t.Sequence[Json], ours: Json | None, declared: t.Sequence[str]) -> list[Json]:
    """What can open the fax mailboxes: a row for each mailbox, application and way."""
    rows = []
    for address in declared:
        for one in applications:
            listed = [
                way
                for row in words.rows(one)
                if str(row.get("address")).casefold() == address.casefold()
                for way in row.get("ways") or []
            ]
            known = {words.key(way) for way in listed}
            listed += [
                way
                for way in words.widest(one)
                if words.key(way) not in known and address.casefold() not in map(str.casefold, way.get("but") or [])
            ]
            closed = address.casefold() in map(str.casefold, one.get("closed") or [])
            found = [_way(way, one) for way in listed] or ([_ANY] if one.get("everything") and not closed else [])
            rows += [
                {**way, "mailbox": address, "name": words.name(one), "id": one.get("app_id"), "ours": one is ours}
                for way in found
            ]
    return rows


def _but(way: Like) -> str:
    closed = [str(one) for one in way.get("but") or []]
    return f" but {some(closed, 5)}" if closed else ""


def _reached(ours: Json, declared: t.Sequence[str], kept: t.Sequence[str]) -> list[Json]:
    """What the application can open: a row for each mailbox and way."""
    known = {str(one).casefold(): "kept" for one in kept} | {address.casefold(): "yes" for address in declared}
    rows = [{**_way(way, ours), "mailbox": EVERY + _but(way), "declared": None} for way in words.widest(ours)]
    if ours.get("everything") and not rows:
        rows = [{**_ANY, "mailbox": EVERY, "declared": None}]
    for row in words.rows(ours):
        address = str(row.get("address"))
        rows += [
            {**_way(way, ours), "mailbox": address, "declared": known.get(address.casefold(), "no")}
            for way in row.get("ways") or []
        ]
    return rows


def _mighty(one: Json) -> t.Iterator[Json]:
    """What else can open everything, now or after a step of its own: a row for each way and power."""
    common = {"name": words.name(one), "id": one.get("app_id"), "people": _people(one)}
    wide = [{**_way(way, one), "but": _but(way)} for way in words.wide(one)]
    wide = wide or ([{**_ANY, "but": ""}] if one.get("everything") else [])
    for way in wide:
        by = f"{way['protocol']}, {way['permission']}" if way["permission"] else "see its grants in Entra"
        what = f"opens {EVERY}{way['but']} now"
        yield {**common, "what": what, "now": True, "by": by, "since": way["since"]}
    for power in one.get("powers") or []:
        by = ": ".join(str(power[key]) for key in ("permission", "what") if power.get(key))
        yield {**common, "what": words.opens(power), "now": False, "by": by, "since": power.get("seen_since")}


def _short(one: Json) -> Json:
    ways = [way for listed in words.opened(one).values() for way in listed]
    by = dict.fromkeys(f"{words.protocol(way)} with {way.get('permission')}" for way in ways)
    return {
        "name": words.name(one),
        "id": one.get("app_id"),
        "extent": words.extent(one),
        "number": len(words.opened(one)),
        "mailboxes": some(words.opened(one), 5),
        "by": some(by, 5),
        "people": _people(one),
    }


def _people(one: Json) -> str:
    return some((words.person(person) for person in one.get("people") or []), MOST_PEOPLE)


def _missing(document: Like, applications: t.Sequence[Json]) -> list[Json]:
    """What could not be read, and of which applications: what is missing of many is told once."""
    found: dict[str, list[str]] = {str(one): [] for one in document.get("missing") or []}
    for one in applications:
        listed = [str(missing) for missing in one.get("missing") or []]
        if not one.get("complete") and not listed:
            listed = ["something that decides what it opens"]
        for missing in listed:
            found.setdefault(missing, []).append(words.name(one))
    return [{"what": what, "of": some(names, 5)} for what, names in found.items()]
