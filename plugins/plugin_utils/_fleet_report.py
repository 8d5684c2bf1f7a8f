# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""All tenants at one time, from the documents that runs have left: what is most urgent first. Pure.

A tenant is never left out: one of which nobody knows anything is a row that says so.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _fleet
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import calendar, reach, reach_words, record, times
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.reach_table import harmless

Json = dict[str, t.Any]
Like = t.Mapping[str, t.Any]

NOW, SOON, UNKNOWN, WAITS, FINE, GONE = "now", "soon", "unknown", "waits", "fine", "removed"
URGENCIES = (NOW, SOON, UNKNOWN, WAITS, FINE, GONE)
"""From what somebody has to do today to what nobody has to look at."""

OF_OUTCOME = {"failed": NOW, "blocked": SOON, "pending": WAITS, "changed": FINE, "ok": FINE, "removed": GONE}
SOON_DAYS, WAITS_DAYS = 14, 60
"""So few days before something ends it is that urgent, whatever the last run said."""

STALE_DAYS = 8
"""A tenant that was looked at so long before the last one of all is told to be out of sight."""

NOBODY_LOOKED = "no result yet: run mail2fax.m365.audit or mail2fax.m365.provision for it"


@dataclass(frozen=True)
class Expiry:
    """Something that ends: a secret or a certificate, and whose it is (``ours``, ``retiring`` or ``foreign``)."""

    what: str
    whose: str
    at: dt.datetime
    days: int

    @property
    def urgency(self) -> str:
        return of_days(self.days)


@dataclass(frozen=True)
class Line:
    """One tenant. Instants are None, and texts empty, where nothing is known."""

    host: str
    urgency: str
    outcome: str
    next: str
    tenant_id: str = ""
    domain: str = ""
    name: str = ""
    seen_at: dt.datetime | None = None
    seen_by: str = ""
    stale: bool = False
    unknown_since: str = ""
    expiries: tuple[Expiry, ...] = ()
    days: int | None = None
    ends_at: dt.datetime | None = None
    ews: Like | None = None
    meant: int = 0
    mailboxes: int = 0
    wrong: tuple[str, ...] = ()
    reach: str = ""
    reach_wide: bool = False
    reach_at: dt.datetime | None = None
    proof_at: dt.datetime | None = None
    profile: str = ""
    tenant_wide: str = ""

    @property
    def where(self) -> str:
        return self.domain or self.name or self.tenant_id


@dataclass(frozen=True)
class Texts:
    """What there is of a host: the texts of its documents, None where there is none; ``trouble``: why one could not
    be read."""

    record: str | None = None
    audit: str | None = None
    reach: str | None = None
    trouble: str = ""


@dataclass(frozen=True)
class Report:
    """``lines`` in the order of their urgency."""

    at: dt.datetime
    lines: tuple[Line, ...] = field(default_factory=tuple)

    def count(self, urgency: str) -> int:
        return sum(line.urgency == urgency for line in self.lines)

    @property
    def troubled(self) -> list[str]:
        """Whom a run is to be repeated for."""
        return [line.host for line in self.lines if line.outcome in ("failed", "blocked", "no result")]


def of_days(days: int | None) -> str:
    """How urgent it is that something ends in so many days."""
    if days is None:
        return FINE
    return NOW if days < 0 else SOON if days <= SOON_DAYS else WAITS if days <= WAITS_DAYS else FINE


def report(found: t.Mapping[str, Texts], at: dt.datetime) -> Report:
    """From the texts of all hosts, by their names."""
    lines = [line(host, texts, at) for host, texts in found.items()]
    last = max((one.seen_at for one in lines if one.seen_at), default=None)
    lines = [_aged(one, last) for one in lines]
    return Report(at, tuple(sorted(lines, key=_order)))


def _order(one: Line) -> tuple[int, float, str]:
    return URGENCIES.index(one.urgency), float("inf") if one.days is None else one.days, one.host


def _aged(one: Line, last: dt.datetime | None) -> Line:
    """A tenant that the last runs did not look at is out of sight, whatever its last result says."""
    if one.seen_at is None or last is None or one.urgency == GONE or (last - one.seen_at).days < STALE_DAYS:
        return one
    urgency = min(one.urgency, UNKNOWN, key=URGENCIES.index)
    told = f"not looked at since {_date(one.seen_at)}"
    return replace(one, stale=True, urgency=urgency, next="; ".join(filter(None, [told, one.next])))


def line(host: str, texts: Texts, at: dt.datetime) -> Line:
    """What is known of one tenant."""
    known, audited = record.read(texts.record, host), record.read(texts.audit, host)
    refused = [
        f"its {what} cannot be used: {one.refused}"
        for what, one in (("result", known), ("audit", audited))
        if one.refused
    ]
    trouble = "; ".join(filter(None, [texts.trouble, *refused]))
    documents = [one.document for one in (known, audited) if one.document]
    if not documents:
        return Line(host, UNKNOWN, "no result", trouble or NOBODY_LOOKED)
    # The later of the two tells how it is; at one time it is the audit, which looks at all.
    newest = max(documents, key=lambda one: (_at(one) or _EVER, one.get("mode") == "audit"))
    row = _fleet.row(host, newest, at=at)
    expiries = _expiries(known.document, audited.document, newest, at)
    ours = [one for one in expiries if one.whose != "foreign"]
    first = min(ours, key=lambda one: one.at, default=None)
    ews = None if row.outcome == "removed" else calendar.of(newest, at) or None
    urgency = min(
        OF_OUTCOME.get(row.outcome, UNKNOWN),
        *(of_days(one.days) for one in expiries),
        FINE if not ews or ews.get("phase") == "done" else of_days(int(ews["ews_days_left"])),
        SOON if trouble else GONE,
        key=URGENCIES.index,
    )
    if row.outcome == "removed" and not trouble:
        urgency, expiries = GONE, []
    tenant = {
        **(known.document.get("tenant") or {}),
        **{key: value for key, value in (newest.get("tenant") or {}).items() if value},
    }
    return Line(
        host=host,
        urgency=urgency,
        outcome=row.outcome,
        next="; ".join(filter(None, [trouble, _outage(first), row.next or _by_date(first, expiries, ews)])),
        tenant_id=str(tenant.get("id") or ""),
        domain=str(tenant.get("domain") or ""),
        name=str(tenant.get("name") or ""),
        seen_at=_at(newest),
        seen_by="audit" if newest.get("mode") == "audit" else str(newest.get("kind") or ""),
        unknown_since=_unknown_since(newest),
        expiries=tuple(expiries),
        days=first.days if first else None,
        ends_at=first.at if first else None,
        ews=ews,
        **_verdicts(newest if newest.get("mailboxes") else known.document),
        **_reach(texts.reach, host, {**known.document, **newest}),
        profile=str((newest.get("profile") or {}).get("name") or ""),
        tenant_wide=str(newest.get("tenant_wide") or ""),
    )


_EVER = dt.datetime.min.replace(tzinfo=dt.UTC)


def _at(document: Like) -> dt.datetime | None:
    return times.instant(document.get("at"))


def _unknown_since(newest: Like) -> str:
    """In words, of a tenant that an audit could not reach; empty of one that has answered."""
    if newest.get("mode") != "audit" or newest.get("reached", True):
        return ""
    since = times.readable_time(newest.get("unknown_since"))
    return f"unknown since {since}" if since else "unknown"


def _expiries(known: Like, audited: Like, newest: Like, at: dt.datetime) -> list[Expiry]:
    """Every secret and certificate once, the first to end first."""
    found: dict[str, Expiry] = {}
    for row in audited.get("credentials") or []:
        end = times.instant(row.get("end_date_time"))
        if end:
            name = str(row.get("display_name") or row.get("thumbprint") or row.get("key_id") or "")
            key = str(row.get("key_id") or name).lower()
            found[key] = Expiry(
                f"{row.get('kind') or 'secret'} {name}".strip(), str(row.get("whose") or "foreign"), end, _days(end, at)
            )
    for document in (known, newest):
        secret = document.get("secret") or {}
        end = times.instant(secret.get("end_date_time"))
        if end and document.get("mode") != "check":
            # The record is what the fax server uses; an audit before a rotation knew another one.
            key = str(secret.get("key_id") or "").lower()
            found[key] = Expiry(f"secret {secret.get('display_name') or ''}".strip(), "ours", end, _days(end, at))
    rotated = str((known.get("secret") or {}).get("key_id") or "").lower()
    later = (_at(known) or _EVER) > (_at(audited) or _EVER)
    kept = [
        one
        for key, one in found.items()
        # What was ours before the last rotation retires, and nobody waits for its end.
        if not (one.whose == "retiring" or (one.whose == "ours" and later and rotated and key != rotated))
    ]
    return sorted(kept, key=lambda one: one.at)


def _days(end: dt.datetime, at: dt.datetime) -> int:
    return (end - at).days


def _outage(first: Expiry | None) -> str:
    return f"OUTAGE: the secret expired on {_date(first.at)}" if first and first.days < 0 else ""


def _by_date(first: Expiry | None, expiries: t.Sequence[Expiry], ews: Like | None) -> str:
    """What the dates ask for where the last run asked for nothing."""
    if first and first.days < 0:
        return "run mail2fax.m365.rotate"
    if first and of_days(first.days) != FINE:
        return f"run mail2fax.m365.rotate before {_date(first.at)}"
    foreign = next((one for one in expiries if one.whose == "foreign" and of_days(one.days) != FINE), None)
    if foreign:
        ended = "expired" if foreign.days < 0 else "ends"
        return f"the foreign {foreign.what} {ended} on {_date(foreign.at)}: have its owner renew it, or remove it"
    if ews and of_days(int(ews["ews_days_left"])) != FINE:
        return str(ews.get("next") or "")
    return ""


def _date(moment: dt.datetime) -> str:
    return times.readable_time(times.iso(moment), date_only=True)


def _verdicts(document: Like) -> Json:
    rows = [row for row in document.get("mailboxes") or [] if isinstance(row, t.Mapping)]
    judged = [row for row in rows if row.get("as_expected") is not None]
    proofs = [one.get("at") for row in rows for one in row.get("proofs") or [] if one.get("verdict")]
    moments = [times.instant(value) for value in [*proofs, *(row.get("probe_at") for row in rows)]]
    return {
        "mailboxes": len(rows),
        "meant": sum(row["as_expected"] is True for row in judged),
        "wrong": tuple(
            f"{row['mailbox']} is {row.get('probe') or row.get('verdict') or 'unclear'}, meant to be {row['expected']}"
            for row in judged
            if row["as_expected"] is False
        ),
        "proof_at": max((moment for moment in moments if moment), default=None),
    }


def _reach(text: str | None, host: str, document: Like) -> Json:
    """How far our own application reaches, as the last report of reach tells it."""
    found = reach.read(text, host).document
    app_id = str((document.get("ids") or {}).get("application_id") or found.get("application_id") or "").lower()
    ours = next(
        (one for one in found.get("applications") or [] if app_id and str(one["app_id"]).lower() == app_id), None
    )
    if ours is None:
        return {}
    wider = found.get("wider") or {}
    return {
        "reach": reach_words.extent(ours),
        "reach_wide": bool(ours.get("everything")) or any(wider.values()),
        "reach_at": times.instant(found.get("at")),
    }


# --- as CSV ----------------------------------------------------------------------------------------------------------

COLUMNS = (
    *("host", "tenant_domain", "tenant_name", "tenant_id", "urgency", "outcome", "next", "seen_at", "seen_by"),
    *("unknown_since", "days_left", "secret_ends_at", "first_foreign_end_at", "profile", "ews_days_left", "ews_ends"),
    *(
        "migration_phase",
        "mailboxes",
        "as_meant",
        "not_as_meant",
        "reach",
        "reach_at",
        "last_proof_at",
        "nothing_limits_it",
    ),
)


def table(found: Report) -> str:
    """A row for each tenant. A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(COLUMNS)
    for one in found.lines:
        writer.writerow([harmless(value) for value in _cells(one)])
    return target.getvalue()


def _cells(one: Line) -> list[t.Any]:
    foreign = min((each.at for each in one.expiries if each.whose == "foreign"), default=None)
    ews = one.ews or {}
    return [
        *(one.host, one.domain, one.name, one.tenant_id, one.urgency, one.outcome, one.next),
        *(_iso(one.seen_at), one.seen_by, one.unknown_since.removeprefix("unknown since ")),
        # A day that is past is told by its date: a number below nought begins as a formula does.
        *("" if one.days is None else max(one.days, 0), _iso(one.ends_at), _iso(foreign), one.profile),
        *("" if not ews else max(int(ews["ews_days_left"]), 0), ews.get("ews_ends") or "", ews.get("phase") or ""),
        *(one.mailboxes, one.meant, "; ".join(one.wrong), one.reach, _iso(one.reach_at), _iso(one.proof_at)),
        one.tenant_wide,
    ]


def _iso(moment: dt.datetime | None) -> str:
    return times.iso(moment) if moment else ""


def limits(found: Report) -> str:
    """A file for ``--limit @``: those that want another run, each in a pattern that means it alone."""
    return "".join(f"{_fleet.limit([host]).rstrip(',')}\n" for host in found.troubled if _fleet.nameable(host))
