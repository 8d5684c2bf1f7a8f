# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Which client secret of an application is whole, which is not, and whether a new one is needed: pure functions.

A secret is ours by the name that the task gives it, and by its key id: what the store holds, and what the record of the
last run names, is ours whatever it is called. All others are foreign: reported, never touched.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _app_policies
from ansible_collections.mail2fax.m365.plugins.module_utils._app_policies import Limits
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json
from ansible_collections.mail2fax.m365.plugins.module_utils._store import (
    Entry,
    Intent,
    Place,
    StoredSecret,
    instant,
    iso,
)

ALIVE_AT_MOST = 2
NONE_YET = "there is none yet"


@dataclass(frozen=True)
class Key:
    """One password credential as Graph lists it: never with its value."""

    key_id: str
    display_name: str
    start: dt.datetime
    end: dt.datetime

    def as_dict(self, now: dt.datetime) -> Json:
        return {
            "key_id": self.key_id,
            "display_name": self.display_name,
            "start_date_time": iso(self.start),
            "end_date_time": iso(self.end),
            "days_left": (self.end - now).days,
        }


@dataclass(frozen=True)
class State:
    """``exists`` is False in check mode for an application that is still to be made.

    ``refused`` has the stored keys whose value Entra refuses, with its code. ``waiting``: the stored, unproven one is
    so young that the refusal may pass. ``stale``: the store held the secret of an application that is gone, and
    counts as empty. ``unwritable`` is what the store answered in check mode where something would be stored.
    ``open``: others on the machine may read the store's file. ``busy``: the intent of another run, which may still be
    making a secret. ``renewed``: the key that was put in place since this task looked first. ``kept_until``: when the
    store will delete by itself what it holds.
    """

    exists: bool
    keys: tuple[Key, ...] = ()
    entry: Entry | None = None
    limits: Limits = _app_policies.UNREAD
    tenant_id: str = ""
    refused: t.Mapping[str, str] = field(default_factory=dict)
    waiting: bool = False
    stale: bool = False
    unwritable: Blocked | None = None
    open: bool = False
    busy: Intent | None = None
    renewed: str | None = None
    kept_until: dt.datetime | None = None


@dataclass(frozen=True)
class Desired:
    """``stored_in`` is None where the value is handed over; then names and dates are all there is to decide by.

    ``recorded_key_id`` is the key that the record of the last run names, ``recorded_place`` where its value was then.
    """

    app_id: str
    display_name: str
    state: str = "present"
    lifetime: dt.timedelta = dt.timedelta(days=365)
    end: dt.datetime | None = None
    renew_before: dt.timedelta = dt.timedelta(days=30)
    overlap: dt.timedelta = dt.timedelta(days=7)
    rotate: str = "if_needed"
    allow_shorter: bool = False
    stored_in: Place | None = None
    handed_over: Place | None = None
    recorded_key_id: str | None = None
    recorded_place: Place | None = None

    @property
    def store(self) -> str:
        """In words."""
        return self.stored_in.words if self.stored_in is not None else "the store"


@dataclass
class Verdict:
    """Why a new secret is needed (``reason``), and what has to go. ``front`` is the key in use after the run."""

    reason: str | None = None
    drop: dict[str, str] = field(default_factory=dict)  # key id -> why
    drop_after: dict[str, str] = field(default_factory=dict)  # once the new one is in place
    commit: bool = False
    forget: bool = False  # the store names a key that is gone
    waiting: bool = False
    replaces: bool = False  # an older one is in use until now
    front: str | None = None
    warnings: list[str] = field(default_factory=list)


def is_ours(key: Key, entry: Entry | None, desired: Desired) -> bool:
    """By its name, or because we know its key id."""
    if key.display_name == desired.display_name:
        return True
    return desired.stored_in is not None and key.key_id in {*(entry or Entry()).known(), desired.recorded_key_id}


def judge(current: State, desired: Desired, ours: t.Sequence[Key], now: dt.datetime) -> Verdict:
    """Pure: which of our keys is whole, which is not, and whether a new one is needed and why."""
    if desired.stored_in is None:
        return _judge_by_dates(desired, ours, now)
    verdict, entry = Verdict(), current.entry or Entry()
    alive = {key.key_id: key for key in ours}
    front = entry.current
    being_made = _of_another_run(current, ours)
    if entry.following is not None and current.busy is None:
        following = entry.following.key_id
        if following not in alive:
            verdict.forget = True
        elif alive[following].end <= now:
            verdict.drop[following] = "expired"
            verdict.forget = True
        elif following in current.refused:
            verdict.drop[following] = f"its stored value does not sign in, {current.refused[following]}"
            verdict.forget = True
        elif current.waiting:
            verdict.waiting = True
        else:
            verdict.commit, front = True, entry.following
    heir = predecessor(entry, [key for key in ours if key.key_id not in being_made], current.refused, desired, now)
    verdict.replaces = entry.current is not None or heir is not None
    if entry.previous is not None and entry.previous.key_id not in alive and not verdict.commit:
        verdict.forget = True
    for key in ours:
        if (
            key.key_id not in being_made
            and key.key_id not in entry.known()
            and entry.intent is not None
            and entry.intent.explains(key.key_id, key.start)
        ):
            verdict.drop[key.key_id] = "left by an interrupted run, its value is lost"
    if not verdict.waiting and not verdict.commit:
        verdict.reason = _reason(current, front, [key for key in ours if key.key_id not in verdict.drop], desired, now)
    verdict.front = front.key_id if front is not None else None
    if verdict.waiting and verdict.front not in alive and entry.following is not None:
        verdict.front = entry.following.key_id
    whole = front is not None and front.key_id in alive and front.key_id not in current.refused
    in_use_since = _in_use_since(entry, alive, now)
    recorded = recorded_elsewhere(entry, ours, desired, now)
    kept = {verdict.front, heir.key_id if heir and verdict.commit else None}
    kept |= {entry.following.key_id} if entry.following and not verdict.commit else set()
    kept |= being_made | ({recorded.key_id} if recorded is not None else set())
    for key in ours:
        if key.key_id in kept or key.key_id in verdict.drop:
            continue
        if key.end <= now:
            verdict.drop[key.key_id] = "expired"
        elif verdict.commit:
            if key.key_id in entry.known():
                verdict.drop[key.key_id] = "a newer one takes its place"
        elif whole and entry.previous is not None and key.key_id == entry.previous.key_id:
            if now - in_use_since >= desired.overlap:
                verdict.drop[key.key_id] = "its overlap is over"
        elif whole and key.key_id not in entry.known() and now - max(key.start, in_use_since) >= desired.overlap:
            # Ours by name, but of no use to whoever reads the store: it has had its overlap.
            verdict.drop[key.key_id] = "not the stored one"
    if verdict.reason is not None:
        _make_room(verdict, entry, heir, ours, in_use_since, desired, now)
        if recorded is not None and entry.current is not None and entry.current.key_id in alive:
            # Two stores had a secret each. What the record names is in use, so it is the one that gets the overlap.
            verdict.drop_after[entry.current.key_id] = "the recorded one has its overlap in its place"
        if front is not None and front.key_id in alive and alive[front.key_id].end <= now:
            verdict.drop_after[front.key_id] = "expired"
    return verdict


def _of_another_run(current: State, ours: t.Sequence[Key]) -> set[str]:
    """Keys that another run, which is still at work, has made or stored: they are its own to finish."""
    if current.busy is None:
        return set()
    entry = current.entry or Entry()
    made = {key.key_id for key in ours if current.busy.explains(key.key_id, key.start)} - entry.known()
    return made | ({entry.following.key_id} if entry.following is not None else set())


def recorded_elsewhere(entry: Entry, ours: t.Sequence[Key], desired: Desired, now: dt.datetime) -> Key | None:
    """The living key that the record names, where the store does not hold it."""
    if desired.recorded_key_id is None or desired.recorded_key_id in entry.known():
        return None
    return next((key for key in ours if key.key_id == desired.recorded_key_id and key.end > now), None)


def overlap_until(beside: t.Sequence[Key], since: dt.datetime, desired: Desired) -> str | None:
    """The overlap counted from ``since``, but no longer than a key beside the one in use lives; None without one."""
    return iso(min(max(key.end for key in beside), since + desired.overlap)) if beside else None


def beside_until(
    current: State, desired: Desired, verdict: Verdict, left: t.Sequence[Key], now: dt.datetime
) -> str | None:
    """Until when the one before the one in use works as well: it is retired after the overlap, or ends before."""
    entry, front = current.entry or Entry(), verdict.front if verdict.reason is None else None
    waiting = entry.following.key_id if verdict.waiting and entry.following is not None else None
    beside = [key for key in left if key.end > now and key.key_id not in (front, waiting, *current.refused)]
    if not beside:
        return None
    since = now
    if desired.stored_in is None and front is not None:
        since = next(key.start for key in left if key.key_id == front)
    elif front is not None and not verdict.commit:
        since = _in_use_since(entry, {key.key_id: key for key in left}, now)
    return overlap_until(beside, since, desired)


def _make_room(
    verdict: Verdict,
    entry: Entry,
    heir: StoredSecret | None,
    ours: t.Sequence[Key],
    in_use_since: dt.datetime,
    desired: Desired,
    now: dt.datetime,
) -> None:
    """Two at most: what is already being retired goes before its time, where it is not what the new one replaces."""
    left = [key for key in ours if key.end > now and key.key_id not in verdict.drop]
    previous = entry.previous.key_id if entry.previous is not None else ""
    if len(left) < ALIVE_AT_MOST or previous not in {key.key_id for key in left}:
        return
    if heir is not None and heir.key_id == previous:
        return
    verdict.drop[previous] = "a newer one takes its place"
    _warn_of_haste(verdict, previous, desired.overlap - (now - in_use_since))


def _warn_of_haste(verdict: Verdict, key_id: str, missing: dt.timedelta) -> None:
    days = -(-missing // dt.timedelta(days=1))
    if days > 0:
        verdict.warnings.append(
            f"the secret {key_id} goes {days} day(s) before its overlap is over, because two may live at a time: make "
            "sure that the fax server reads the store"
        )


def _judge_by_dates(desired: Desired, ours: t.Sequence[Key], now: dt.datetime) -> Verdict:
    """The value went to whoever asked for it, so the name and the dates are all there is to decide by."""
    verdict = Verdict()
    newest = max(ours, key=lambda key: (key.end > now, key.start, key.end), default=None)
    if newest is None:
        verdict.reason = NONE_YET
        return verdict
    verdict.front, verdict.reason, verdict.replaces = newest.key_id, _due(newest, desired, now), True
    for key in ours:
        if key is newest:
            continue
        if key.end <= now:
            verdict.drop[key.key_id] = "expired"
        elif now - newest.start >= desired.overlap:
            verdict.drop[key.key_id] = "its overlap is over"
    if verdict.reason is not None:
        for key in [key for key in ours if key is not newest and key.key_id not in verdict.drop]:
            verdict.drop[key.key_id] = "a newer one takes its place"
            _warn_of_haste(verdict, key.key_id, desired.overlap - (now - newest.start))
        if newest.end <= now:
            verdict.drop_after[newest.key_id] = "expired"
    return verdict


def _reason(
    current: State, front: StoredSecret | None, ours: t.Sequence[Key], desired: Desired, now: dt.datetime
) -> str | None:
    """Why a new secret is needed, in words; None when the one in front will do."""
    if current.renewed is not None and front is not None and front.key_id == current.renewed:
        desired = replace(desired, rotate="if_needed")  # another run has just done what this one was asked for
    if current.stale:
        return "the store held the secret of an application that is gone"
    if front is None:
        return "its value is not in the store" if ours else NONE_YET
    key = next((key for key in ours if key.key_id == front.key_id), None)
    if key is None:
        return "the stored one was removed outside"
    if key.display_name != desired.display_name:
        return "the stored one has another name"
    if key.end <= now:
        return _due(key, desired, now)
    if not front.value:
        return "its value is not in the store"
    if key.key_id in current.refused:
        return f"the stored value no longer signs in, {current.refused[key.key_id]}"
    return _due(key, desired, now)


def _due(key: Key, desired: Desired, now: dt.datetime) -> str | None:
    if key.end <= now:
        return "the old one has expired, AADSTS7000222"
    if desired.rotate == "always":
        return "asked for"
    life = key.end - key.start
    # A policy may have made it live no longer than renew_before: then every run would renew it.
    renew_before = desired.renew_before if life > desired.renew_before else life / 2
    if desired.rotate == "if_needed" and key.end - now <= renew_before:
        return f"the old one ends in {(key.end - now).days} days"
    return None


def predecessor(
    entry: Entry, ours: t.Sequence[Key], refused: t.Mapping[str, str], desired: Desired, now: dt.datetime
) -> StoredSecret | None:
    """What the new secret will replace, which is alive and gets its overlap.

    That is the one that the record names, where the store does not hold it; else the stored one; where it is dead the
    one before it; else one of our name that somebody made by hand.
    """
    alive = {key.key_id: key for key in ours if key.end > now}
    recorded = recorded_elsewhere(entry, ours, desired, now)
    if recorded is not None:
        return _without_value(recorded, desired)
    if entry.current is not None and entry.current.key_id in alive:
        return replace(entry.current, value=None) if entry.current.key_id in refused else entry.current
    if entry.previous is not None and entry.previous.key_id in alive:
        return entry.previous
    unknown = [
        key
        for key_id, key in alive.items()
        if key_id not in entry.known() and not (entry.intent and entry.intent.explains(key_id, key.start))
    ]
    if not unknown:
        return None
    return _without_value(max(unknown, key=lambda item: (item.start, item.end)), desired)


def _without_value(key: Key, desired: Desired) -> StoredSecret:
    return StoredSecret("", desired.app_id, key.key_id, key.display_name, iso(key.start), iso(key.end))


def _in_use_since(entry: Entry, alive: t.Mapping[str, Key], now: dt.datetime) -> dt.datetime:
    """From when on whoever reads the store gets the current value: the overlap counts from there."""
    if entry.proof is not None:
        return instant(entry.proof.at)
    if entry.current is not None and entry.current.key_id in alive:
        return alive[entry.current.key_id].start
    return now
