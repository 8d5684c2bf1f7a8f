# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The client secret of one application that bears our display name: made, stored, proven, renewed, retired.

Order of a mint: prove the store writable, note the intent, mint, write, read back, sign in with what was read back,
commit. Whatever the run dies in, the next one finds what is whole and drops what is not: the entry's ``intent`` and
``following`` tell which keys were born in that run. Secrets of other names are foreign: reported, never touched.

A run that finds nothing to do does not sign in with the stored value: that would cost a sign-in per tenant and run,
and could tell nothing new. The value is the one that signed in when it was committed (the entry's ``proof``), and key
and dates are Graph's own. Only a value without that proof is tried, and so is a renewal that a run left unfinished.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _app_policies, _names, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._app_policies import Limits
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import SecretSignIn
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    Blocked,
    Conflict,
    InvalidInput,
    M365Error,
    NotFound,
    ServiceError,
    SignInError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import NamedStep as Step
from ansible_collections.mail2fax.m365.plugins.module_utils._store import (
    BORN_WITHIN,
    STORE_OPTIONS,
    Entry,
    Intent,
    Place,
    Store,
    StoredSecret,
    instant,
    iso,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

LONGEST_NAME = 120
ALIVE_AT_MOST = 2
LOST_KEY_SHOWS_WITHIN_S = 10.0
"""Replication of one key takes seconds; what shows later is found by the next run."""
ACCEPTED_WITHIN = dt.timedelta(hours=1)
"""A newborn secret that Entra refuses for longer than this is not newborn but wrong."""
SETTLED_TRIAL_S = 15.0
"""Patience for a secret that is no newborn: a refusal may still come from one lagging region."""
READ_BACK_WITHIN_S = 5.0
STORE_RETRIES_S = (1.0, 2.0)
SHORTER_LIVES = (180, 90, 60, 30)
"""Days to try, longest first, where a policy that cannot be read refuses the wanted lifetime."""
CLOCK_GRACE = dt.timedelta(hours=1)
"""Taken off a lifetime that is exactly the longest one allowed, when Entra's clock makes it too long."""
LOOK_AGAIN_AFTER = dt.timedelta(minutes=10)

Seal = t.Callable[[str], str]
"""Turns a value into a text that only the holder of a private key can read."""


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


def plan(current: State, desired: Desired, now: dt.datetime) -> Plan:
    """What has to happen to the keys that bear our name, and to the store."""
    ours = [key for key in current.keys if key.display_name == desired.display_name]
    foreign = [key for key in current.keys if key.display_name != desired.display_name]
    before: Json = {"secrets": [key.as_dict(now) for key in ours], "stored_key_id": _stored_key(current.entry)}
    place = desired.stored_in or desired.handed_over
    shown: Json = {"display_name": desired.display_name, "stored_in": place.as_mapping() if place else None}
    common: Json = {
        **shown,
        "stored_key_ids": sorted(current.entry.known()) if current.entry is not None else [],
        "stored_intent": current.entry.intent.as_mapping() if current.entry and current.entry.intent else None,
        "app_id": desired.app_id,
        "foreign": [key.as_dict(now) for key in foreign],
        "rotated": False,
        "retired": [],
    }
    if desired.state == "absent":
        return _plan_absent(current, desired, ours, before, common)
    verdict = judge(current, desired, ours, now)
    misplaced = held_elsewhere(current.entry, current.keys, desired, now)
    if misplaced is not None:
        return Plan(before, before, result={**common, "key_id": None, "end_date_time": None}, blocked=misplaced)
    steps: list[Step] = []
    if verdict.commit:
        steps.append(Step("commit", "finish the interrupted renewal of the secret"))
    steps += [_drop(*item) for item in verdict.drop.items()]
    if verdict.forget:
        steps.append(Step("forget", "clear from the store what is gone from the tenant"))
    gone = {**verdict.drop, **verdict.drop_after}
    left = [key for key in ours if key.key_id not in gone]
    after: Json = {"secrets": [key.as_dict(now) for key in left], "stored_key_id": before["stored_key_id"]}
    until = _beside_until(current, desired, verdict, left, now)
    result: Json = {**common, "retired": sorted(gone), "previous_until": until}
    made = Plan(before, after, steps, result, warnings=verdict.warnings)
    if verdict.reason is not None:
        end, made.blocked, note = _end(desired, current.limits, now)
        made.warnings += [note] if note else []
        alive = [key for key in left if key.end > now]
        if made.blocked is None and len(alive) >= ALIVE_AT_MOST:
            made.blocked = _too_many(desired, alive, now)
        made.blocked = made.blocked or current.unwritable
        title = f"make the secret {desired.display_name!r} until {iso(end)[:10]} ({verdict.reason})"
        steps.append(Step("mint", title, {"end": iso(end), "reason": verdict.reason}))
        steps += [_drop(*item) for item in verdict.drop_after.items()]
        after["secrets"].append({**shown, "key_id": "(new)", "end_date_time": iso(end)})
        after["stored_key_id"] = "(new)"
        result.update(key_id=None, end_date_time=iso(end), rotated=verdict.replaces, days_left=(end - now).days)
        made.summary = f"{'new' if ours else 'first'} secret made, valid until {iso(end)[:10]}"
        if verdict.reason != NONE_YET:
            made.summary += f": {verdict.reason}"
    else:
        kept = next(key for key in ours if key.key_id == verdict.front)
        result.update(
            key_id=kept.key_id,
            start_date_time=iso(kept.start),
            end_date_time=iso(kept.end),
            days_left=(kept.end - now).days,
            rotated=verdict.commit and verdict.replaces,
        )
        if verdict.commit:
            after["stored_key_id"] = kept.key_id
        made.summary = f"valid until {iso(kept.end)[:10]}, {(kept.end - now).days} days left"
        if verdict.waiting:
            made.pending = WAITING
            made.pending_until = iso(now + LOOK_AGAIN_AFTER)
            made.summary = WAITING
    if foreign:
        made.summary += f"; {len(foreign)} foreign"
    return made


NONE_YET = "there is none yet"
WAITING = "the new secret is made and stored, and Entra does not accept it yet; the next run puts it in place"


def held_elsewhere(entry: Entry | None, keys: t.Sequence[Key], desired: Desired, now: dt.datetime) -> Blocked | None:
    """Why no secret may be made here: the one that the record names is alive, and this store does not hold it.

    Another place that holds it is as good as the recorded one. A lost store has a way out: ``rotate=always`` makes a
    new secret, and the recorded one gets its overlap.
    """
    if desired.stored_in is None or desired.recorded_key_id is None or desired.rotate == "always":
        return None
    alive = next((key for key in keys if key.key_id == desired.recorded_key_id and key.end > now), None)
    if alive is None or alive.key_id in (entry or Entry()).known():
        return None
    recorded = desired.recorded_place
    if recorded is None or recorded == desired.stored_in:
        message = f"{desired.store} does not hold the secret in use ({alive.key_id}), which it held in the last run"
    else:
        message = (
            f"the secret in use ({alive.key_id}) was stored in {recorded.words}, and {desired.store} does not hold it"
        )
    return Blocked(
        message,
        attempted=f"keep the secret {desired.display_name!r} of application {desired.app_id}",
        cure=f"{_the_way_back(recorded, desired)}; if its value is lost, rotate once with rotate: always "
        "(mail2fax_rotate=always): that makes a new secret, and the fax server has the overlap to take it",
        details={
            "key_id": alive.key_id,
            "recorded_place": recorded.as_mapping() if recorded is not None else None,
            "stored_in": desired.stored_in.as_mapping(),
        },
    )


def _the_way_back(recorded: Place | None, desired: Desired) -> str:
    if recorded is None or recorded == desired.stored_in:
        return f"restore what {desired.store} held"
    return "name that place in mail2fax_secret_store again, or move what it holds to the new one"


def _drop(key_id: str, why: str) -> Step:
    return Step("drop", f"remove secret {key_id} ({why})", {"key_id": key_id})


def judge(current: State, desired: Desired, ours: t.Sequence[Key], now: dt.datetime) -> Verdict:
    """Pure: which of our keys is whole, which is not, and whether a new one is needed and why."""
    if desired.stored_in is None:
        return _judge_by_dates(desired, ours, now)
    verdict, entry = Verdict(), current.entry or Entry()
    alive = {key.key_id: key for key in ours}
    front = entry.current
    if entry.following is not None:
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
    heir = predecessor(entry, ours, current.refused, desired, now)
    verdict.replaces = entry.current is not None or heir is not None
    if entry.previous is not None and entry.previous.key_id not in alive and not verdict.commit:
        verdict.forget = True
    for key in ours:
        if (
            key.key_id not in entry.known()
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
    kept = {verdict.front, heir.key_id if heir and verdict.commit else None}
    kept |= {entry.following.key_id} if entry.following and not verdict.commit else set()
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
        if front is not None and front.key_id in alive and alive[front.key_id].end <= now:
            verdict.drop_after[front.key_id] = "expired"
    return verdict


def _beside_until(
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
    return _overlap_until(beside, since, desired)


def _overlap_until(beside: t.Sequence[Key], since: dt.datetime, desired: Desired) -> str | None:
    """The overlap counted from ``since``, but no longer than a key beside the one in use lives; None without one."""
    return iso(min(max(key.end for key in beside), since + desired.overlap)) if beside else None


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
            f"the secret {key_id} goes {days} day(s) before its overlap is over, because two may live at a time: see "
            "to it that the fax server reads the store"
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
    if current.stale:
        return "the store held the secret of an application that is gone"
    if front is None:
        return "its value is not in the store" if ours else NONE_YET
    key = next((key for key in ours if key.key_id == front.key_id), None)
    if key is None:
        renamed = any(key.key_id == front.key_id for key in current.keys)
        return "the stored one bears another name" if renamed else "the stored one was removed outside"
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

    That is the stored one; where it is dead the one before it; else one of our name that somebody made by hand.
    """
    alive = {key.key_id: key for key in ours if key.end > now}
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
    key = max(unknown, key=lambda item: (item.start, item.end))
    return StoredSecret("", desired.app_id, key.key_id, key.display_name, iso(key.start), iso(key.end))


def _in_use_since(entry: Entry, alive: t.Mapping[str, Key], now: dt.datetime) -> dt.datetime:
    """From when on whoever reads the store gets the current value: the overlap counts from there."""
    if entry.proof is not None:
        return instant(entry.proof.at)
    if entry.current is not None and entry.current.key_id in alive:
        return alive[entry.current.key_id].start
    return now


def _stored_key(entry: Entry | None) -> str | None:
    return entry.current.key_id if entry is not None and entry.current is not None else None


def _plan_absent(current: State, desired: Desired, ours: t.Sequence[Key], before: Json, common: Json) -> Plan:
    steps = [Step("drop", f"remove secret {key.key_id}", {"key_id": key.key_id}) for key in ours]
    if current.entry is not None:
        steps.append(Step("erase", f"remove the secret from {desired.store}"))
    return Plan(
        before,
        {"secrets": [], "stored_key_id": None},
        steps,
        {**common, "key_id": None, "end_date_time": None, "retired": sorted(key.key_id for key in ours)},
        f"{len(ours)} secret(s) removed" if steps else "no secret of this name",
    )


def _end(desired: Desired, limits: Limits, now: dt.datetime) -> tuple[dt.datetime, Blocked | None, str | None]:
    """(when a new secret ends, why it must not be made, what to warn of)."""
    end = desired.end or now + desired.lifetime
    if not limits.secrets_allowed:
        return end, secrets_forbidden(desired.display_name), None
    if limits.longest is not None and end - now > limits.longest:
        if desired.allow_shorter:
            note = f"the tenant allows client secrets {limits.longest.days} days; the lifetime was lowered to that"
            return now + limits.longest, None, note
        return end, lifetime_too_long(limits.longest.days), None
    return end, None, None


def ends_to_try(end: dt.datetime, desired: Desired, limits: Limits, now: dt.datetime) -> list[dt.datetime]:
    """``end``, and what to fall back to when the service finds that too long, longest first."""
    candidates = [end, end - CLOCK_GRACE]
    if desired.allow_shorter and limits.longest is None:
        candidates += [now + dt.timedelta(days=days) for days in SHORTER_LIVES]
    return [item for index, item in enumerate(candidates) if now < item and item <= min(candidates[: index + 1])]


def secrets_forbidden(display_name: str) -> Blocked:
    return Blocked(
        "the tenant's app-management policy forbids client secrets",
        attempted=f"make the secret {display_name!r}",
        cure="ask for an exemption, for example: «Please assign this application an app management policy whose "
        "passwordAddition restriction is disabled. The fax server supports client secrets only; the application can "
        "reach the fax mailboxes alone, and its secret is renewed automatically.»",
        who="a Cloud Application Administrator or Security Administrator",
    )


def lifetime_too_long(longest_days: int | None) -> Blocked:
    limit = f"at most {longest_days} days" if longest_days is not None else "a shorter lifetime only"
    return Blocked(
        f"the tenant's app-management policy allows client secrets {limit}",
        attempted="make the secret",
        cure="set allow_shorter (mail2fax_secret_allow_shorter) to true, or a shorter lifetime",
    )


def _too_many(desired: Desired, alive: t.Sequence[Key], now: dt.datetime) -> Blocked:
    listed = ", ".join(f"{key.key_id} (until {iso(key.end)[:10]})" for key in alive)
    return Blocked(
        f"{len(alive)} live secrets already bear the name {desired.display_name!r}: {listed}",
        attempted="make a new secret",
        cure="remove the one that the fax server does not use, or choose another mail2fax_secret_name",
        who=_texts.APPLICATION_ADMIN,
        details={"secrets": [key.as_dict(now) for key in alive]},
    )


class Secret:
    """The resource behind ``entra_application_secret``.

    Services of the task: ``store`` keeps the value, or ``seal`` (with ``sealed_for``, in words) hides it in the result.
    """

    def __init__(self, tenant: Tenant, task: Task) -> None:
        params = task.params
        self._tenant = tenant
        self._check_mode = task.check_mode
        self._store: Store | None = task.services.get("store")
        self._seal: Seal | None = task.services.get("seal")
        self._held = Entry()
        self._was_empty = True
        self._minted: StoredSecret | None = None
        self._in_use_since: dt.datetime | None = None
        self._removed: list[str] = []
        self._rotated = False
        self._unsettled = False
        self._waited_for_lost = False
        self._probed = False
        self._pending: str | None = None
        self._warnings: list[str] = []
        app_id = _names.guid(params["app_id"], "app_id")
        if app_id == _names.ZERO_GUID and not task.check_mode:
            raise InvalidInput("app_id is all zeros", cure="give the Application (client) ID")
        if params.get("store") and self._store is None and self._seal is None:
            raise InvalidInput(
                "a secret store can be opened only where Ansible itself runs",
                cure="set ansible_connection: local for the tenant (or delegate_to: localhost), without async",
            )
        receives = self._store is not None or self._seal is not None or params["return_value"]
        if params["state"] == "present" and not receives and not task.check_mode:
            raise InvalidInput(
                "nobody would receive the new secret's value",
                cure="name a store; or set return_value together with no_log on the task",
            )
        now = tenant.clock.now()
        self._desired = Desired(
            app_id=app_id,
            display_name=_names.name(params["display_name"], "display_name", LONGEST_NAME),
            state=params["state"],
            lifetime=_days(params, "lifetime", 1),
            end=_future(params.get("end_date_time"), now),
            renew_before=_days(params, "renew_before", 0),
            overlap=_days(params, "overlap", 0),
            rotate=params["rotate"],
            allow_shorter=params["allow_shorter"],
            stored_in=self._store.place if self._store is not None else None,
            handed_over=task.services.get("sealed_for"),
            recorded_key_id=_recorded_key(params.get("recorded_key_id")),
            recorded_place=Place.of(params.get("recorded_place")),
        )
        lifetime = (self._desired.end - now) if self._desired.end else self._desired.lifetime
        if self._desired.rotate == "if_needed" and lifetime <= self._desired.renew_before:
            raise InvalidInput(
                f"a secret that lives {lifetime.days} days would be renewed at once: renew_before is "
                f"{self._desired.renew_before.days} days",
                cure="make renew_before shorter than the lifetime",
            )

    # --- looking -------------------------------------------------------------------------------------------

    def read(self) -> State:
        entry = self._store.read() if self._store is not None else None
        self._held, self._was_empty = entry or Entry(), entry is None
        unwritable = self._unwritable(entry)
        if self._desired.app_id == _names.ZERO_GUID:
            return State(exists=False, entry=entry, unwritable=unwritable)
        key = f"/applications(appId={_names.odata(self._desired.app_id)})"
        others = self._other_applications(entry)
        parts = self._tenant.graph.batch(
            [
                Call(
                    "GET",
                    f"{key}?$select=id,appId,displayName,createdDateTime,passwordCredentials",
                    self._purpose("read"),
                ),
                _app_policies.default_call(),
                _app_policies.assigned_call(key),
                *(
                    Call("GET", f"/applications(appId={_names.odata(other)})?$select=id", self._purpose("read"))
                    for other in others
                ),
            ],
            purpose=self._purpose("read"),
        )
        document = parts[0].found()
        tenant_id = self._tenant_id()
        stale = self._check_owner(entry, tenant_id, dict(zip(others, parts[3:], strict=True)))
        if stale and self._desired.state == "present":
            entry = None
            self._held = Entry(others=self._held.others)
        if document is None and self._desired.state == "absent":
            return State(exists=False, entry=entry)
        if document is None:
            raise NotFound(
                f"there is no application {self._desired.app_id} in this tenant",
                attempted=self._purpose("read"),
                cure="check app_id; an application in the recycle bin has to be restored first",
            )
        keys = tuple(_key(item) for item in document.get("passwordCredentials") or [])
        if self._desired.state == "absent":
            return State(True, keys, entry, tenant_id=tenant_id)
        keys = self._with_the_lost(entry, self._with_the_newborn(entry, keys))
        refused, waiting = self._tried(entry, keys)
        limits = _app_policies.read(parts[1], parts[2], document.get("createdDateTime"))
        return State(True, keys, entry, limits, tenant_id, refused, waiting, stale, unwritable)

    def plan(self, current: State) -> Plan:
        self._state = current
        made = plan(current, self._desired, self._tenant.clock.now())
        self._mints = any(step.name == "mint" for step in made.steps)
        return made

    def _unwritable(self, entry: Entry | None) -> Blocked | None:
        """In check mode the store is tried as well, where something would have to be stored."""
        if self._store is None or not self._check_mode or (entry is not None and entry.current is not None):
            return None
        try:
            self._store.probe()
        except Blocked as exc:
            return exc
        return None

    def _tenant_id(self) -> str:
        claimed = self._tenant.sign_in.token(self._tenant.cloud.graph_audience).tenant_id
        return (claimed or str(self._tenant.options.get("tenant") or "")).lower()

    def _other_applications(self, entry: Entry | None) -> list[str]:
        """Whose secrets the store holds, if not ours: whether they still live decides what may be done."""
        stored = entry.secrets() if entry is not None else []
        found = dict.fromkeys(item.client_id for item in stored if item.client_id != self._desired.app_id)
        return [item for item in found if _names.is_guid(item)]

    def _check_owner(self, entry: Entry | None, tenant_id: str, others: t.Mapping[str, Part]) -> bool:
        """Whether the stored secret is of an application that is gone. Raises Blocked where it is of a living one."""
        stored = entry.secrets() if entry is not None else []
        for item in stored:
            if _names.is_guid(tenant_id) and _names.is_guid(item.tenant_id) and item.tenant_id != tenant_id:
                raise Blocked(
                    f"{self._desired.store} holds the secret of another tenant ({item.tenant_id})",
                    attempted=self._purpose("read"),
                    cure="give every tenant a store path of its own",
                )
        for other, part in others.items():
            if not isinstance(part.error, NotFound):
                raise Blocked(
                    f"{self._desired.store} holds the secret of another application ({other})",
                    attempted=self._purpose("read"),
                    cure="give every application a store path of its own; or remove what is stored there, if it was "
                    "the application before this one",
                )
        return bool(others)

    def _with_the_newborn(self, entry: Entry | None, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        """The keys, after a short wait for a stored one that is so young that the answer may be from before it."""
        stored = [item for item in (entry.current, entry.following) if item is not None] if entry is not None else []
        latest = list(keys)

        def missing() -> bool:
            listed = {key.key_id for key in latest}
            now = self._tenant.clock.now()
            return any(item.key_id not in listed and _is_young(item, now) for item in stored)

        def look() -> bool:
            latest[:] = self._list_keys()
            return not missing()

        if missing():
            self._tenant.patiently(look, budget_s=self._at_most(LOST_KEY_SHOWS_WITHIN_S))
        return tuple(latest)

    def _with_the_lost(self, entry: Entry | None, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        """The keys, after a short wait for one that an interrupted mint may have made and Graph not yet lists."""
        if entry is None or entry.intent is None or entry.following is not None or self._waited_for_lost:
            return keys
        noted = instant(entry.intent.at)
        overtaken = entry.proof is not None and instant(entry.proof.at) >= noted
        if overtaken or abs(self._tenant.clock.now() - noted) > BORN_WITHIN:
            return keys
        self._waited_for_lost = True
        latest = list(keys)

        def shows() -> bool:
            return any(self._is_lost(entry, key) for key in latest)

        def look() -> bool:
            latest[:] = self._list_keys()
            return shows()

        if not shows() and not self._tenant.patiently(look, budget_s=self._at_most(LOST_KEY_SHOWS_WITHIN_S)):
            self._unsettled = True
        return tuple(latest)

    def _is_lost(self, entry: Entry, key: Key) -> bool:
        return (
            key.display_name == self._desired.display_name
            and key.key_id not in entry.known()
            and entry.intent is not None
            and entry.intent.explains(key.key_id, key.start)
        )

    def _tried(self, entry: Entry | None, keys: t.Sequence[Key]) -> tuple[dict[str, str], bool]:
        """(stored keys whose value Entra refuses, whether the unproven one may only be too young).

        Tried is only what has never signed in: a renewal left unfinished, and a value changed in its store.
        """
        now = self._tenant.clock.now()
        ours = {key.key_id: key for key in keys if key.display_name == self._desired.display_name and key.end > now}
        refused: dict[str, str] = {}
        waiting = False
        following = entry.following if entry is not None else None
        if following is not None and following.key_id in ours:
            young = now - ours[following.key_id].start < ACCEPTED_WITHIN
            refusal = self._refusal(following, self._tenant.patience_s if young else self._at_most(SETTLED_TRIAL_S))
            if refusal is not None and young:
                waiting = True
            elif refusal is not None:
                refused[following.key_id] = refusal
        current = entry.current if entry is not None else None
        if entry is not None and current is not None and current.key_id in ours and current.value:
            taken_over = following is not None and following.key_id in ours and not waiting and not refused
            if not entry.proven() and not taken_over:
                refusal = self._refusal(current, self._at_most(SETTLED_TRIAL_S))
                if refusal is not None:
                    refused[current.key_id] = refusal
        return refused, waiting

    def _refusal(self, secret: StoredSecret, budget_s: float) -> str | None:
        """Entra's code when it refuses the value, None when the value signs in. Other hindrances raise SignInError.

        With patience: a newborn secret fails for seconds. Every try is a new MSAL client. The audience is Graph,
        because every tenant has it and no consent is needed to be let in.
        """
        tenant = self._tenant
        sign_in = SecretSignIn(tenant.http, tenant.cloud, secret.tenant_id, secret.client_id, secret.value or "")
        refusal: list[SignInError] = []

        def works() -> bool:
            refusal.clear()
            try:
                sign_in.token(tenant.cloud.graph_audience, fresh=True)
            except SignInError as exc:
                refusal.append(exc)
                return exc.code not in _texts.NEWBORN_CREDENTIAL
            return True

        tenant.patiently(works, budget_s=budget_s)
        if not refusal:
            return None
        if refusal[0].code in _texts.REFUSED_SECRET:
            return str(refusal[0].code)
        raise refusal[0]

    def _at_most(self, seconds: float) -> float:
        return min(self._tenant.patience_s, seconds)

    # --- doing ---------------------------------------------------------------------------------------------

    def perform(self, step: Step) -> None:
        if self._mints and self._store is not None and not self._probed:
            self._store.probe()
            self._probed = True
        if step.name == "drop":
            key_id = step.arguments["key_id"]
            self._remove_key(key_id)
            self._removed.append(key_id)
            if self._held.previous is not None and self._held.previous.key_id == key_id:
                self._write(replace(self._held, previous=None))
        elif step.name == "forget":
            self._forget()
        elif step.name == "commit":
            self._commit(self._held)
        elif step.name == "erase":
            self._require_store().remove()
        else:
            self._mint(step)

    def settle(self, plan: Plan) -> Json:
        plan.warnings += self._warnings
        values: Json = {"retired": sorted(self._removed), "rotated": self._rotated}
        if self._minted is None:
            return values
        minted = self._minted
        values.update(key_id=minted.key_id, start_date_time=minted.start_date_time, end_date_time=minted.end_date_time)
        values["days_left"] = (instant(minted.end_date_time) - self._tenant.clock.now()).days
        if plan.result.get("previous_until"):
            # Planned from a moment ago; from now on it is counted from what the store says.
            since = self._in_use_since or instant(minted.start_date_time)
            beside = [
                key
                for key in self._state.keys
                if key.display_name == self._desired.display_name
                and key.key_id not in (minted.key_id, *self._removed, *self._state.refused)
            ]
            values["previous_until"] = _overlap_until(beside, since, self._desired)
        if self._pending is not None:
            plan.pending = self._pending
            plan.pending_until = iso(self._tenant.clock.now() + LOOK_AGAIN_AFTER)
        if self._seal is not None:
            values["sealed_value"] = self._seal(minted.value or "")
        elif self._store is None:
            values["secret_text"] = minted.value
        return values

    def _mint(self, step: Step) -> None:
        known = tuple(key.key_id for key in self._state.keys)
        before, was_empty = self._held, self._was_empty
        if self._store is not None:
            self._write(replace(before, following=None, intent=Intent(iso(self._tenant.clock.now()), known)))
        try:
            minted = self._add_password(instant(step.arguments["end"]), known)
        except AnswerLost:
            raise  # a key may have been born: the intent is what tells of it
        except M365Error:
            self._take_back_the_intent(before, was_empty)
            raise
        if self._store is None:
            self._hand_over(minted)
            return
        try:
            self._write(replace(self._held, following=minted), patient=True)
            following = self._read_back(minted)
            refusal = self._refusal(following, self._tenant.patience_s)
        except M365Error as exc:
            raise self._undone(minted.key_id, exc) from None
        self._minted = following
        if refusal is not None:
            # What Entra refuses is what it has made: time will tell, and until then the old one stays in use.
            self._pending = f"{WAITING} ({refusal})"
            return
        self._commit(self._held)

    def _hand_over(self, minted: StoredSecret) -> None:
        """No store: prove the value as Graph gave it, before it is the answer of the task."""
        try:
            refusal = self._refusal(minted, self._tenant.patience_s)
        except M365Error as exc:
            raise self._undone(minted.key_id, exc) from None
        if refusal is not None:
            self._pending = f"the new secret is made, and Entra does not accept it yet ({refusal})"
        self._minted = minted
        self._rotated = any(key.display_name == self._desired.display_name for key in self._state.keys)

    def _add_password(self, wanted: dt.datetime, known: t.Sequence[str]) -> StoredSecret:
        """The new key. Raises Blocked where the tenant forbids it, AnswerLost where nobody knows."""
        now = self._tenant.clock.now()
        candidates = ends_to_try(wanted, self._desired, self._state.limits, now)
        for end in candidates:
            try:
                answer = self._request_password(end)
            except AnswerLost:
                # It may have been made, and nobody will ever know its value: drop it, then the caller plans anew.
                try:
                    self._drop_unknown(known)
                except M365Error:
                    self._unsettled = True
                raise
            except ServiceError as exc:
                if exc.code == _texts.GRAPH_SECRETS_FORBIDDEN:
                    raise secrets_forbidden(self._desired.display_name) from None
                if exc.code != _texts.GRAPH_LIFETIME_TOO_LONG:
                    raise
                continue
            if wanted - end > CLOCK_GRACE:
                asked, given = (round(span / dt.timedelta(days=1)) for span in (wanted - now, end - now))
                self._warnings.append(
                    f"the tenant's app-management policy refused {asked} days; the secret lives {given} days"
                )
            return StoredSecret(
                tenant_id=self._state.tenant_id,
                client_id=self._desired.app_id,
                key_id=str(answer["keyId"]).lower(),
                display_name=self._desired.display_name,
                start_date_time=iso(instant(str(answer.get("startDateTime") or iso(now)))),
                end_date_time=iso(instant(str(answer.get("endDateTime") or iso(end)))),
                value=str(answer["secretText"]),
            )
        longest = self._state.limits.longest
        raise lifetime_too_long(longest.days if longest is not None else None)

    def _request_password(self, end: dt.datetime) -> Json:
        body = {"passwordCredential": {"displayName": self._desired.display_name, "endDateTime": iso(end)}}
        path = f"/applications(appId={_names.odata(self._desired.app_id)})/addPassword"
        return self._tenant.graph.post(path, body, self._purpose("make"), patient=True)

    def _drop_unknown(self, known: t.Sequence[str]) -> None:
        born: list[Key] = []

        def shows() -> bool:
            named = [key for key in self._list_keys() if key.display_name == self._desired.display_name]
            born[:] = [key for key in named if key.key_id not in known]
            return bool(born)

        # If the request never arrived nothing will ever show: replication of one key takes seconds, not minutes.
        self._waited_for_lost = True
        if not self._tenant.patiently(shows, budget_s=self._at_most(LOST_KEY_SHOWS_WITHIN_S)):
            self._unsettled = True
        for key in born:
            self._remove_key(key.key_id)

    def _take_back_the_intent(self, before: Entry, was_empty: bool) -> None:
        """Nothing was made: the store looks as before. If it refuses, the intent there does no harm."""
        if self._store is None:
            return
        try:
            if was_empty:
                self._store.remove()
                self._held = before
            else:
                self._write(before)
        except M365Error:
            pass

    def _commit(self, entry: Entry) -> None:
        """What was read back and has signed in becomes what the fax server reads."""
        now = self._tenant.clock.now()
        following = entry.following
        if following is None:
            self._rotated = entry.previous is not None
            return  # another run has done it
        ours = [
            key
            for key in self._state.keys
            if key.display_name == self._desired.display_name
            and key.key_id != following.key_id
            and key.key_id not in self._removed
        ]
        heir = predecessor(entry, ours, self._state.refused, self._desired, now)
        if heir is not None and not heir.tenant_id:
            heir = replace(heir, tenant_id=self._state.tenant_id)
        try:
            self._write(entry.committed(heir, iso(now), settled=not self._unsettled), patient=True)
            self._in_use_since = now
        except M365Error as exc:
            exc.message += f"; the new secret {following.key_id} is stored and proven, the next run puts it in place"
            raise
        self._minted = following
        self._rotated = heir is not None or entry.current is not None

    def _forget(self) -> None:
        """The store without what the tenant no longer has."""
        alive = {key.key_id for key in self._state.keys} - set(self._removed)
        following, previous = self._held.following, self._held.previous
        refused = following is not None and following.key_id in self._state.refused
        self._write(
            replace(
                self._held,
                following=following if following and following.key_id in alive and not refused else None,
                previous=previous if previous and previous.key_id in alive else None,
            )
        )

    def _undone(self, key_id: str, reason: M365Error) -> M365Error:
        """Remove a key that did not make it, and what the store says of it. What remains is said, never lost."""
        try:
            removed = self._remove_newborn(key_id)
        except M365Error as exc:
            return M365Error(
                f"{reason.message}; and the new secret {key_id} of application {self._desired.app_id}, whose value is "
                f"lost, could not be removed ({exc.message})",
                attempted=reason.attempted,
                cure=f"{reason.cure + '; ' if reason.cure else ''}then run again: that run removes the secret {key_id}",
                who=reason.who,
                status=reason.status,
                code=reason.code,
                request_id=reason.request_id,
                details={"orphan": {"app_id": self._desired.app_id, "key_id": key_id}, "reason": reason.details},
            )
        if isinstance(reason, AnswerLost):
            # The caller looks again after an AnswerLost, and here is nothing to be found any more.
            reason = M365Error(reason.message, attempted=reason.attempted, cure=reason.cure, status=reason.status)
        reason.message += f"; the new secret {key_id} was removed again"
        if self._store is None:
            return reason
        try:
            intent, self._held = self._held.intent, self._store.read() or Entry()
            following = self._held.following
            # Another run's entry is not ours to touch.
            if self._held.intent == intent and (following is None or following.key_id == key_id):
                self._write(replace(self._held, following=None, intent=None if removed else intent))
        except M365Error:
            reason.message += f", {self._desired.store} may still name it until the next run"
        return reason

    # --- keys and store ------------------------------------------------------------------------------------

    def _list_keys(self) -> list[Key]:
        path = f"/applications(appId={_names.odata(self._desired.app_id)})?$select=id,passwordCredentials"
        document = self._tenant.graph.get(path, self._purpose("list"), patient=True)
        return [_key(item) for item in document.get("passwordCredentials") or []]

    def _remove_key(self, key_id: str) -> bool:
        """True when Graph removed it, False when Graph knows no such key (any more)."""
        path = f"/applications(appId={_names.odata(self._desired.app_id)})/removePassword"
        purpose = f"remove the secret {key_id}"
        for last in (False, True):
            try:
                self._tenant.graph.post(path, {"keyId": key_id}, purpose)
            except AnswerLost:
                if last:
                    raise
            except ServiceError as exc:
                if not _texts.says(exc.message, _texts.GRAPH_NO_SUCH_PASSWORD):
                    raise
                return False
            else:
                return True
        raise AssertionError("unreachable")

    def _remove_newborn(self, key_id: str) -> bool:
        """A key made a moment ago may not be known yet where the removal arrives: that alone is no success.

        True when Graph removed it; False when nothing is seen of it any more, so that somebody else may have.
        """
        budget = self._at_most(3 * LOST_KEY_SHOWS_WITHIN_S)
        if self._tenant.patiently(lambda: self._remove_key(key_id), budget_s=budget):
            return True
        if any(key.key_id == key_id for key in self._list_keys()):
            raise ServiceError(f"Graph lists the secret {key_id} and does not know it when it is to be removed")
        return False

    def _write(self, entry: Entry, *, patient: bool = False) -> None:
        """``patient`` where a refusal would cost a secret that is made already."""
        store = self._require_store()
        for delay in (*STORE_RETRIES_S, None) if patient else (None,):
            try:
                store.write(entry)
            except Conflict:
                raise
            except M365Error:
                if delay is None:
                    raise
                self._tenant.clock.sleep(delay)
            else:
                self._held = entry
                return

    def _read_back(self, minted: StoredSecret) -> StoredSecret:
        """The new secret as the store gives it; what was sent there does not count."""
        store = self._require_store()

        def arrived() -> bool:
            # Another run may have finished this one's work meanwhile, or have touched what is beside it.
            self._held = store.read() or Entry()
            return minted in (self._held.following, self._held.current)

        if not self._tenant.patiently(arrived, budget_s=self._at_most(READ_BACK_WITHIN_S)):
            raise Blocked(
                f"{store.describe()} gives back something else than was written",
                attempted="read the new secret back",
                cure="look into the store, and see to it that two runs do not work on one tenant at once",
            )
        return t.cast("StoredSecret", self._held.current if minted == self._held.current else self._held.following)

    def _require_store(self) -> Store:
        if self._store is None:
            raise InvalidInput("a store is needed for this", cure="name a store")
        return self._store

    def _purpose(self, verb: str) -> str:
        return f"{verb} the secret {self._desired.display_name!r} of application {self._desired.app_id}"


def _key(item: t.Mapping[str, t.Any]) -> Key:
    return Key(
        str(item.get("keyId") or "").lower(),
        str(item.get("displayName") or ""),
        instant(str(item.get("startDateTime") or "1970-01-01T00:00:00Z")),
        instant(str(item.get("endDateTime") or "9999-12-31T00:00:00Z")),
    )


def _is_young(secret: StoredSecret, now: dt.datetime) -> bool:
    try:
        return now - instant(secret.start_date_time) < ACCEPTED_WITHIN
    except ValueError:
        return False  # written by hand, without dates


MOST_DAYS = 36500
"""A hundred years: more is a slip, and no date in the end."""


def _recorded_key(value: str | None) -> str | None:
    """A key id in a record is Graph's own; of anything else there is no such key."""
    return str(value).strip().lower() or None if value is not None else None


def _days(params: t.Mapping[str, t.Any], option: str, least: int) -> dt.timedelta:
    value = int(params[option])
    if not least <= value <= MOST_DAYS:
        raise InvalidInput(f"{option} is {value}", cure=f"give a number of days, {least} to {MOST_DAYS}")
    return dt.timedelta(days=value)


def _future(value: str | None, now: dt.datetime) -> dt.datetime | None:
    if not value:
        return None
    try:
        end = instant(value)
    except ValueError:
        raise InvalidInput(
            f"end_date_time is {value!r}, which is not an instant", cure="write it as 2027-11-30T00:00:00Z"
        ) from None
    if end <= now:
        raise InvalidInput(f"end_date_time {iso(end)} lies in the past", cure="give an instant in the future")
    return end


SPEC = ArgumentSpec(
    {
        "app_id": {"type": "str", "required": True},
        "display_name": {"type": "str", "required": True},
        "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
        "lifetime": {"type": "int", "default": 365},
        "end_date_time": {"type": "str"},
        "renew_before": {"type": "int", "default": 30},
        "overlap": {"type": "int", "default": 7},
        "rotate": {"type": "str", "default": "if_needed", "choices": ["if_needed", "always", "never"]},
        "allow_shorter": {"type": "bool", "default": False},
        "recorded_key_id": {"type": "str", "no_log": False},
        "recorded_place": {"type": "raw"},
        "store": {"type": "dict", "options": STORE_OPTIONS},
        "return_value": {"type": "bool", "default": False},
    },
    mutually_exclusive=[("store", "return_value")],
)
DOOR = Door(Secret, SPEC, in_clear=("secret_text",))
