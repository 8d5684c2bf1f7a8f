# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a report of reach says of applications and of their ways in, for people. Pure.

An application is as ``application_reach_info`` tells it. What a report leaves out is empty: nothing stumbles over it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.ways import called

Json = dict[str, t.Any]
Like = t.Mapping[str, t.Any]

EXACTLY, AT_LEAST = "exactly", "at least"
EVERYTHING, ITSELF, OTHERS = "everything", "itself", "others"

_MODELS = {
    "application_access_policy": "access policy",
    "application_role": "application role",
    "mailbox_permission": "right on the mailbox",
    "tenant_wide": "nothing",
    "delegated": "the person who signs in",
}
_OPENS = {
    EVERYTHING: "can open every mailbox",
    ITSELF: "can give itself more",
    OTHERS: "can take over other applications",
}


def alive(way: Like) -> bool:
    """Whether a way is open now; a dormant one tells ``why`` it is not."""
    return way.get("alive") is not False


def rows(application: Like) -> list[Json]:
    """``address`` and ``ways`` of every mailbox that the report names, those with nothing but dormant ways last."""
    return [dict(row) for key in ("mailboxes", "dormant") for row in application.get(key) or []]


def opened(application: Like) -> dict[str, list[Json]]:
    """Address -> the ways that are open, of the mailboxes that the report names one by one."""
    found = {
        str(row["address"]): [dict(way) for way in row.get("ways") or [] if alive(way)] for row in rows(application)
    }
    return {address: ways for address, ways in found.items() if ways}


def widest(application: Like) -> list[Json]:
    """The ways that open every mailbox of the tenant (``but`` some), or would if they were not dormant."""
    return [dict(way) for way in application.get("everything_ways") or []]


def wide(application: Like) -> list[Json]:
    """Those of them that are open."""
    return [way for way in widest(application) if alive(way)]


def exactness(application: Like) -> str:
    return EXACTLY if application.get("complete") else AT_LEAST


def count(number: int, noun: str) -> str:
    """``1 mailbox``, ``2 mailboxes``, ``no mailbox``."""
    several = f"{noun}es" if noun.endswith("x") else f"{noun}s"
    return f"no {noun}" if number == 0 else f"{number} {noun if number == 1 else several}"


def extent(application: Like) -> str:
    """How far it reaches: ``exactly 2 mailboxes``, ``every mailbox of the tenant``."""
    if application.get("everything"):
        closed = len(application.get("closed") or [])
        return f"every mailbox of the tenant{f' but {closed}' if closed else ''}"
    return f"{exactness(application)} {count(len(opened(application)), 'mailbox')}"


def name(application: Like) -> str:
    """What people call it; an application without a name by its id."""
    return str(application.get("display_name") or application.get("app_id") or "an application without a name")


def protocol(way: Like) -> str:
    return called(str(way.get("protocol") or ""))


def model(way: Like) -> str:
    """What gives or limits it, by its model."""
    found = str(way.get("model") or "")
    return _MODELS.get(found, found.replace("_", " "))


def limits(way: Like) -> str:
    """What keeps it to its mailboxes, with the names that Exchange knows it by; the model where it has none."""
    named = [str(one) for one in way.get("limited_by") or []]
    return f"{model(way)}: {', '.join(named)}" if named else model(way)


def way(found: Like) -> str:
    """``EWS with full_access_as_app (access policy: x)``."""
    dormant = "" if alive(found) else f", dormant{because(found)}"
    limited = "limited by nothing" if found.get("model") == "tenant_wide" else limits(found)
    return f"{protocol(found)} with {found.get('permission') or 'an unknown permission'} ({limited}{dormant})"


def because(found: Like) -> str:
    return f": {found['why']}" if found.get("why") else ""


def key(found: Like) -> tuple[str, ...]:
    """What makes two ways the same, whatever limits them."""
    return tuple(str(found.get(part) or "").casefold() for part in ("protocol", "permission", "model"))


def power(found: Like) -> str:
    """``Application.ReadWrite.All: can take over other applications``."""
    told = str(found.get("what") or "") or opens(found)
    return f"{found.get('permission') or 'a power'}: {told}"


def opens(found: Like) -> str:
    word = str(found.get("opens") or "")
    return _OPENS.get(word, word.replace("_", " ") or "can widen its reach")


def person(found: Like) -> str:
    """``Adele Vance, owner of the group``."""
    called_by = str(found.get("name") or found.get("id") or "somebody")
    return f"{called_by}, {found['what']}" if found.get("what") else called_by


def mighty(application: Like) -> bool:
    """Whether it opens every mailbox, or can bring that about by itself."""
    return bool(application.get("everything") or application.get("powers"))
