# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What became wider or narrower between two reports of reach. Pure.

What is not seen any more while something could not be read has not become narrower: nobody knows. It is remembered
until a report can tell, so that it does not become wider either when it is seen again.
"""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import reach_words as words
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.words import some

Json = dict[str, t.Any]
Like = t.Mapping[str, t.Any]

WIDER, NARROWER, UNKNOWN, KNOWN = "wider", "narrower", "unknown", "known"
"""What may have become of a reach. KNOWN: what was *at least* is *exactly* now."""


def compare(before: Like, now: Like) -> list[Json]:
    """An entry for each difference, the widenings first: ``became``, ``kind`` (application, everything, mailbox, way,
    power, person or reading), ``app_id``, ``display_name``, ``what`` (a clause), ``mailbox`` and ``since``, when it was
    not yet so. Both are reports; ``before`` is empty where there was none, and then there is nothing to tell.
    """
    if not before:
        return []
    old, new = known(before), _by_id(now.get("applications"))
    own = str(now.get("application_id") or "").casefold()
    found: list[Json] = []
    for app_id, application in new.items():
        if app_id in old:
            found += _application(old[app_id], application)
        elif (_whole(before) and _whole(now)) or app_id == own:
            found += _appeared(application)
    if _whole(before) and _whole(now):
        unread = bool(now.get("missing"))
        became = UNKNOWN if unread else NARROWER
        found += [
            _entry(gone, became, "application", _vanished(unread)) for app_id, gone in old.items() if app_id not in new
        ]
    ranks = (WIDER, UNKNOWN, NARROWER, KNOWN)
    return [
        {**entry, "since": before.get("at")}
        for entry in sorted(
            found,
            key=lambda entry: (
                ranks.index(entry["became"]),
                entry["app_id"].casefold() != own,
                entry["display_name"].casefold(),
                entry["app_id"],
            ),
        )
    ]


def told(changes: t.Iterable[Like]) -> list[Json]:
    """``became``, ``since``, ``who`` and ``what`` of each, once for all applications of which the same is told."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for one in changes:
        key = (str(one["became"]), str(one.get("since") or ""), str(one["what"]))
        found.setdefault(key, []).append(str(one["display_name"]))
    return [
        {"became": became, "since": since, "who": f"{some(names, 5)}{':' if len(names) > 1 else ''}", "what": what}
        for (became, since, what), names in found.items()
    ]


def _whole(report: Like) -> bool:
    """Whether it was made of all applications of the tenant; a report that does not say so was."""
    return report.get("all_applications") is not False


def _by_id(applications: t.Iterable[Like] | None) -> dict[str, Like]:
    return {str(one.get("app_id") or "").casefold(): one for one in applications or []}


def known(report: Like) -> dict[str, Like]:
    """By its id, folded: what is known of each application, those with it that the report could not find."""
    listed = {**_by_id(report.get("remembered")), **_by_id(report.get("applications"))}
    return {app_id: effective(one) for app_id, one in listed.items()}


_LISTS = ("everything_ways", "powers", "people")


def effective(application: Like) -> Like:
    """What is known of an application: what is shown of it, and what an earlier report had shown and this could not."""
    kept = application.get("remembered")
    if not kept:
        return application
    rows = {str(row["address"]).casefold(): dict(row) for row in application.get("mailboxes") or []}
    for row in kept.get("mailboxes") or []:
        here = rows.setdefault(str(row["address"]).casefold(), {"address": row["address"], "ways": []})
        here["ways"] = [*(here.get("ways") or []), *(row.get("ways") or [])]
    return {
        **{name: value for name, value in application.items() if name != "remembered"},
        "mailboxes": list(rows.values()),
        "everything": bool(application.get("everything") or kept.get("everything")),
        **{name: [*(application.get(name) or []), *(kept.get(name) or [])] for name in _LISTS},
    }


def remembered(before: Like, now: Like) -> Json:
    """What was known of an application (``before``: see known) that this report, which could not read everything, does
    not show.

    Of the shape of an application; empty where nothing has to be remembered.
    """
    if now.get("complete") or not before:
        return {}
    shown = words.opened(now)
    seen = {address.casefold(): {words.key(way) for way in ways} for address, ways in shown.items()}
    rows = []
    for address, ways in () if now.get("everything") else words.opened(before).items():
        unseen = [way for way in ways if words.key(way) not in seen.get(address.casefold(), set())]
        if unseen:
            rows.append({"address": address, "ways": unseen})
    wide = {words.key(way) for way in words.wide(now)}
    kept: Json = {
        "mailboxes": rows,
        "everything": bool(before.get("everything") and not now.get("everything")),
        "everything_ways": [way for way in words.wide(before) if words.key(way) not in wide],
    }
    for kind, listed in (("power", "powers"), ("person", "people")):
        has = {_key(kind, one) for one in now.get(listed) or []}
        kept[listed] = [one for one in before.get(listed) or [] if _key(kind, one) not in has]
    return {name: value for name, value in kept.items() if value}


def vanished(before: Like, now: Like) -> list[Like]:
    """The applications that the last report knew and this one could not find, because not all could be read."""
    if not (now.get("missing") and _whole(before) and _whole(now)):
        return []
    new = _by_id(now.get("applications"))
    return [one for app_id, one in sorted(known(before).items()) if app_id not in new]


def _entry(application: Like, became: str, kind: str, what: str, mailbox: str | None = None) -> Json:
    return {
        "became": became,
        "kind": kind,
        "app_id": str(application.get("app_id") or ""),
        "display_name": words.name(application),
        "what": what,
        "mailbox": mailbox,
    }


def _vanished(unread: bool) -> str:
    return "is not seen any more, and not all applications could be read" if unread else "has no power over mail now"


def _appeared(application: Like) -> list[Json]:
    told = [f"opens {words.extent(application)}"] if application.get("everything") or words.opened(application) else []
    told += [f"holds {words.power(one)}" for one in application.get("powers") or []]
    if not told and not application.get("people"):
        return []
    return [_entry(application, WIDER, "application", "; ".join(told) or "is new")]


def _application(before: Like, now: Like) -> t.Iterator[Json]:
    lost = NARROWER if now.get("complete") else UNKNOWN
    unseen = "" if now.get("complete") else ", as far as could be read"
    if now.get("everything") and not before.get("everything"):
        yield _entry(now, WIDER, "everything", f"opens every mailbox of the tenant{_by(words.wide(now))}")
    elif before.get("everything") and not now.get("everything"):
        yield _entry(now, lost, "everything", f"does not open every mailbox any more{unseen}: {words.extent(now)}")
    elif now.get("everything"):
        yield from _ways(now, words.wide(before), words.wide(now), lost, unseen, "every mailbox")
    else:
        yield from _mailboxes(before, now, lost, unseen)
    for kind, listed, said in (("power", "powers", words.power), ("person", "people", words.person)):
        yield from _listed(before, now, kind, listed, said, lost)
    if before.get("complete") and not now.get("complete"):
        missing = "; ".join(str(one) for one in now.get("missing") or []) or "something could not be read"
        yield _entry(now, UNKNOWN, "reading", f"is not known exactly any more: {missing}")
    elif now.get("complete") and not before.get("complete"):
        yield _entry(now, KNOWN, "reading", "is known exactly now")


def _by(ways: t.Sequence[Like]) -> str:
    return f", by {'; by '.join(words.way(one) for one in ways)}" if ways else ""


def _mailboxes(before: Like, now: Like, lost: str, unseen: str) -> t.Iterator[Json]:
    old, new = words.opened(before), words.opened(now)
    spelled = {address.casefold(): address for address in [*old, *new]}
    was = {address.casefold(): ways for address, ways in old.items()}
    has = {address.casefold(): ways for address, ways in new.items()}
    for folded, address in sorted(spelled.items()):
        if folded not in was:
            yield _entry(now, WIDER, "mailbox", f"opens {address}{_by(has[folded])}", address)
        elif folded not in has:
            yield _entry(now, lost, "mailbox", f"does not open {address} any more{unseen}", address)
        else:
            yield from _ways(now, was[folded], has[folded], lost, unseen, address)


def _ways(
    now: Like, old: t.Sequence[Like], new: t.Sequence[Like], lost: str, unseen: str, address: str
) -> t.Iterator[Json]:
    was, has = {words.key(one): one for one in old}, {words.key(one): one for one in new}
    mailbox = None if address == "every mailbox" else address
    for key, one in has.items():
        if key not in was:
            yield _entry(now, WIDER, "way", f"opens {address} by {words.way(one)} as well", mailbox)
    for key, one in was.items():
        if key not in has:
            gone = f"does not open {address} by {words.way(one)} any more{unseen}"
            yield _entry(now, lost, "way", gone, mailbox)


def _listed(
    before: Like, now: Like, kind: str, listed: str, said: t.Callable[[Like], str], lost: str
) -> t.Iterator[Json]:
    was = {_key(kind, one): one for one in before.get(listed) or []}
    has = {_key(kind, one): one for one in now.get(listed) or []}
    holds = "can be widened by" if kind == "person" else "holds"
    for key, one in has.items():
        if key not in was:
            yield _entry(now, WIDER, kind, f"{holds} {said(one)}")
    for key, one in was.items():
        if key not in has:
            gone = f"{said(one)}: no more" if lost == NARROWER else f"{said(one)}: not seen any more"
            yield _entry(now, lost, kind, gone)


def _key(kind: str, found: Like) -> tuple[str, ...]:
    names = ("permission", "opens") if kind == "power" else ("id", "what")
    return tuple(str(found.get(name) or "").casefold() for name in names)
