# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What has to happen to the client secrets of one application, and to their store: pure functions."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._app_policies import Limits
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret_judge import (
    ALIVE_AT_MOST,
    NONE_YET,
    Desired,
    Key,
    State,
    beside_until,
    is_ours,
    judge,
    recorded_elsewhere,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, Intent, Place, iso

LONGEST_NAME = 120
SHORTER_LIVES = (180, 90, 60, 30)
"""Days to try, longest first, where a policy that cannot be read refuses the wanted lifetime."""
CLOCK_GRACE = dt.timedelta(hours=1)
"""Taken off a lifetime that is exactly the longest one allowed, when Entra's clock makes it too long."""
LOOK_AGAIN_AFTER = dt.timedelta(minutes=10)
MOST_DAYS = 36500
"""A hundred years: more is a slip, and no date in the end."""


@dataclass(frozen=True)
class Drop(Step):
    """``minting_until``: a new one is made after it, which ends then; None where none is."""

    key_id: str
    minting_until: dt.datetime | None = None


@dataclass(frozen=True)
class Commit(Step):
    """What was stored and has signed in becomes what the fax server reads."""


@dataclass(frozen=True)
class Forget(Step):
    """The store without what the tenant no longer has."""


@dataclass(frozen=True)
class Erase(Step):
    """The store without the entry."""


@dataclass(frozen=True)
class Shut(Step):
    """The store's file for its owner alone."""


@dataclass(frozen=True)
class Mint(Step):
    """``end``: until when the new one is wanted."""

    end: dt.datetime
    reason: str


SecretStep: t.TypeAlias = "Drop | Commit | Forget | Erase | Shut | Mint"

WAITING = "the new secret is made and stored, and Entra does not accept it yet; the next run puts it in place"


def plan(current: State, desired: Desired, now: dt.datetime) -> Plan:
    """What has to happen to the keys that are ours, and to the store."""
    ours = [key for key in current.keys if is_ours(key, current.entry, desired)]
    foreign = [key for key in current.keys if key not in ours]
    before: Json = {"secrets": [key.as_dict(now) for key in ours], "stored_key_id": _stored_key(current.entry)}
    place = desired.stored_in or desired.handed_over
    common: Json = {
        "display_name": desired.display_name,
        "stored_in": place.as_mapping() if place else None,
        "stored_key_ids": sorted(current.entry.known()) if current.entry is not None else [],
        "stored_intent": _noted(current.entry),
        "app_id": desired.app_id,
        "foreign": [key.as_dict(now) for key in foreign],
        "rotated": False,
        "retired": [],
    }
    if desired.state == "absent":
        made = _plan_absent(current, desired, ours, before, common, now)
    else:
        stop = held_elsewhere((current.entry or Entry()).known(), current.keys, desired, now)
        made = (
            Plan(before, before, result={**common, "key_id": None, "end_date_time": None}, blocked=stop)
            if stop is not None
            else _plan_present(current, desired, ours, before, common, now)
        )
    if foreign and made.blocked is None and desired.state == "present":
        made.summary += f"; {len(foreign)} foreign"
    if current.busy is not None and made.steps:
        made.blocked = _busy(current.busy, desired)
    return made


def _plan_present(
    current: State, desired: Desired, ours: t.Sequence[Key], before: Json, common: Json, now: dt.datetime
) -> Plan:
    verdict = judge(current, desired, ours, now)
    end, stop, note = _end(desired, current.limits, now)
    minting_until = end if verdict.reason is not None else None
    steps: list[SecretStep] = [Shut("let the store's file be read by its owner alone")] if current.open else []
    if verdict.commit:
        steps.append(Commit("finish the interrupted renewal of the secret"))
    steps += [_drop(*item, minting_until) for item in verdict.drop.items()]
    if verdict.forget:
        steps.append(Forget("clear from the store what is gone from the tenant"))
    gone = {**verdict.drop, **verdict.drop_after}
    left = [key for key in ours if key.key_id not in gone]
    after: Json = {"secrets": [key.as_dict(now) for key in left], "stored_key_id": before["stored_key_id"]}
    until = beside_until(current, desired, verdict, left, now)
    result: Json = {**common, "retired": sorted(gone), "previous_until": until}
    made = Plan(before, after, list(steps), result, warnings=verdict.warnings)
    if verdict.reason is not None:
        made.blocked = stop
        made.warnings += [note] if note else []
        alive = [key for key in left if key.end > now]
        if made.blocked is None and len(alive) >= ALIVE_AT_MOST:
            made.blocked = _too_many(desired, alive, now)
        made.blocked = made.blocked or current.unwritable
        title = f"make the secret {desired.display_name!r} until {iso(end)[:10]} ({verdict.reason})"
        made.steps.append(Mint(title, end, verdict.reason))
        made.steps += [_drop(*item) for item in verdict.drop_after.items()]
        new = {"display_name": desired.display_name, "stored_in": common["stored_in"]}
        after["secrets"].append({**new, "key_id": "(new)", "end_date_time": iso(end)})
        after["stored_key_id"] = "(new)"
        result.update(key_id=None, end_date_time=iso(end), rotated=verdict.replaces, days_left=(end - now).days)
        made.summary = f"{'new' if ours else 'first'} secret made, valid until {iso(end)[:10]}"
        if verdict.reason != NONE_YET:
            made.summary += f": {verdict.reason}"
        return made
    kept = next(key for key in ours if key.key_id == verdict.front)
    result.update(
        key_id=kept.key_id,
        start_date_time=iso(kept.start),
        end_date_time=iso(kept.end),
        days_left=(kept.end - now).days,
        rotated=verdict.commit and verdict.replaces,
    )
    if current.kept_until is not None and not verdict.commit:
        made.warnings.append(kept_for_now(desired, current.kept_until, kept.end))
    if verdict.commit:
        after["stored_key_id"] = kept.key_id
    made.summary = f"valid until {iso(kept.end)[:10]}, {(kept.end - now).days} days left"
    if verdict.waiting:
        made.pending = WAITING
        made.pending_until = iso(now + LOOK_AGAIN_AFTER)
        made.summary = WAITING
    return made


def kept_for_now(desired: Desired, kept_until: dt.datetime, end: dt.datetime) -> str:
    """What is said of a store that deletes by itself. ``end``: of the secret that it holds."""
    told = f"{desired.store} will delete what it holds at {iso(kept_until)} by itself"
    if kept_until >= end - desired.renew_before:
        return f"{told}; each renewal before that begins the time anew"
    return (
        f"{told}, before the secret is due to be renewed: set delete_version_after of the KV mount and path to 0s, or "
        "to more than the secret's lifetime and overlap, then rotate once with rotate: always (mail2fax_rotate=always)"
    )


def _plan_absent(
    current: State, desired: Desired, ours: t.Sequence[Key], before: Json, common: Json, now: dt.datetime
) -> Plan:
    steps: list[SecretStep] = [Drop(f"remove secret {key.key_id}", key.key_id) for key in ours]
    if current.entry is not None:
        steps.append(Erase(f"remove the secret from {desired.store}"))
    made = Plan(
        before,
        {"secrets": [], "stored_key_id": None},
        list(steps),
        {**common, "key_id": None, "end_date_time": None, "retired": sorted(key.key_id for key in ours)},
        f"{len(ours)} secret(s) removed" if steps else "no secret of this name",
    )
    place, elsewhere = desired.recorded_place, recorded_elsewhere(current.entry or Entry(), ours, desired, now)
    if elsewhere is not None and place is not None and place != desired.stored_in:
        made.warnings.append(f"the removed secret may still lie in {place.words}, where it opens nothing any more")
    return made


def held_elsewhere(
    stored: t.Collection[str], keys: t.Sequence[Key], desired: Desired, now: dt.datetime
) -> Blocked | None:
    """Why no secret may be made here: the one that the record names is alive, and this store does not hold it.

    Another place that holds it is as good as the recorded one. A lost store has a way out: ``rotate=always`` makes a
    new secret, and the recorded one gets its overlap. ``stored``: the key ids that the store holds.
    """
    if desired.stored_in is None or desired.recorded_key_id is None or desired.rotate == "always":
        return None
    alive = next((key for key in keys if key.key_id == desired.recorded_key_id and key.end > now), None)
    if alive is None or alive.key_id in stored:
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
        options=("store",),
    )


def _the_way_back(recorded: Place | None, desired: Desired) -> str:
    if recorded is None or recorded == desired.stored_in:
        return f"restore what {desired.store} held"
    return "name that place in mail2fax_secret_store again, or move what it holds to the new one"


def _busy(intent: Intent, desired: Desired) -> Blocked:
    until = intent.lease.until if intent.lease is not None else intent.at
    return Blocked(
        f"another run has been making a secret of this application since {intent.at}",
        attempted=f"make the secret {desired.display_name!r}",
        cure=f"let that run end, then run again; if it was ended from outside, its claim is over at {until}",
        details={"since": intent.at, "until": until},
    )


def _drop(key_id: str, why: str, minting_until: dt.datetime | None = None) -> Drop:
    return Drop(f"remove secret {key_id} ({why})", key_id, minting_until)


def _noted(entry: Entry | None) -> Json | None:
    """Whose turn it was is no news to anybody."""
    return {"at": entry.intent.at, "keys": list(entry.intent.keys)} if entry is not None and entry.intent else None


def _stored_key(entry: Entry | None) -> str | None:
    return entry.current.key_id if entry is not None and entry.current is not None else None


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
        f"{len(alive)} live secrets already have the name {desired.display_name!r}: {listed}",
        attempted="make a new secret",
        cure="remove the one that the fax server does not use, or choose another mail2fax_secret_name",
        who=_texts.APPLICATION_ADMIN,
        details={"secrets": [key.as_dict(now) for key in alive]},
    )
