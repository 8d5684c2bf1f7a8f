# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The client secret of one application that bears our display name: made, stored, proven, renewed, retired.

Order of a mint: prove the store writable, note the intent, mint, write, read back, sign in with what was read back,
commit. Whatever the run dies in, the next one finds what is whole and drops what is not: the entry's ``intent`` and
``following`` tell which keys were born in that run. The intent has a lease: while it holds, another run leaves alone
what is being made. Foreign secrets are reported, never touched.

A run that finds nothing to do does not sign in with the stored value: that would cost a sign-in per tenant and run,
and could tell nothing new. The value is the one that signed in when it was committed (the entry's ``proof``), and key
and dates are Graph's own. Only a value without that proof is tried, and so is a renewal that a run left unfinished.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    InvalidInput,
    M365Error,
    NoLongerWanted,
    ServiceError,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, Settled
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret_judge import (
    Desired,
    Key,
    State,
    is_ours,
    overlap_until,
    predecessor,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret_keys import SHOWS_WITHIN_S, Keys
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret_look import Look
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret_plan import (
    CLOCK_GRACE,
    LONGEST_NAME,
    LOOK_AGAIN_AFTER,
    MOST_DAYS,
    WAITING,
    Commit,
    Drop,
    Erase,
    Forget,
    Mint,
    SecretStep,
    Shut,
    ends_to_try,
    kept_for_now,
    lifetime_too_long,
    plan,
    secrets_forbidden,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret_shelf import Shelf
from ansible_collections.mail2fax.m365.plugins.module_utils._store import (
    STORE_OPTIONS,
    Entry,
    Place,
    Store,
    StoredSecret,
    instant,
    iso,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

Seal = t.Callable[[str], str]
"""Turns a value into a text that only the holder of a private key can read."""


class Secret:
    """The resource behind ``entra_application_secret``.

    Services of the task: ``store`` keeps the value, or ``seal`` (with ``sealed_for``, a Place) hides it in the result.
    """

    def __init__(self, tenant: Tenant, task: Task) -> None:
        params = task.params
        store: Store | None = task.services.get("store")
        self._tenant = tenant
        self._seal: Seal | None = task.services.get("seal")
        self._minted: StoredSecret | None = None
        self._in_use_since: dt.datetime | None = None
        self._removed: list[str] = []
        self._seen_gone: list[str] = []
        self._rotated = False
        self._ready = False
        self._pending: str | None = None
        self._warnings: list[str] = []
        app_id = _names.guid(params["app_id"], "app_id")
        if app_id == _names.ZERO_GUID and not task.check_mode:
            raise InvalidInput("app_id is all zeros", cure="give the Application (client) ID", options=("app_id",))
        if params.get("store") and store is None and self._seal is None:
            raise InvalidInput(
                "a secret store can be opened only where Ansible itself runs",
                cure="set ansible_connection: local for the tenant (or delegate_to: localhost), without async",
            )
        receives = store is not None or self._seal is not None or params["return_value"]
        if params["state"] == "present" and not receives and not task.check_mode:
            raise InvalidInput(
                "nobody would receive the new secret's value",
                cure="name a store; or set return_value together with no_log on the task",
                options=("store",),
            )
        now = tenant.now()
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
            stored_in=store.place if store is not None else None,
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
                options=("renew_before",),
            )
        self._shelf = Shelf(tenant, store)
        self._keys = Keys(tenant, app_id, self._desired.display_name)
        self._look = Look(tenant, self._desired, self._keys, self._shelf, check_mode=task.check_mode)

    def read(self) -> State:
        self._ready = False
        self._state = self._look.state()
        return self._state

    def plan(self, current: State) -> Plan:
        return plan(current, self._desired, self._tenant.now())

    # --- doing ---------------------------------------------------------------------------------------------

    def perform(self, step: SecretStep) -> None:
        match step:
            case Shut():
                self._shelf.shut()
            case Commit():
                self._commit(self._shelf.held)
            case Forget():
                self._forget()
            case Drop():
                self._drop(step)
            case Erase():
                self._see_them_gone()
                self._shelf.remove()
            case Mint():
                self._mint(step)
            case _:
                t.assert_never(step)

    def settle(self, plan: Plan) -> Settled:
        self._see_them_gone()
        values: Json = {"retired": sorted(self._removed), "rotated": self._rotated}
        told = tuple(self._warnings)
        if self._minted is None:
            return Settled(values, warnings=told)
        minted, now = self._minted, self._tenant.now()
        values.update(key_id=minted.key_id, start_date_time=minted.start_date_time, end_date_time=minted.end_date_time)
        values["days_left"] = (instant(minted.end_date_time) - now).days
        if plan.result.get("previous_until"):
            # Planned from a moment ago; from now on it is counted from what the store says.
            since = self._in_use_since or instant(minted.start_date_time)
            gone = {minted.key_id, *self._removed, *self._state.refused}
            values["previous_until"] = overlap_until(
                [key for key in self._ours() if key.key_id not in gone], since, self._desired
            )
        if self._seal is not None:
            values["sealed_value"] = self._seal(minted.value or "")
        elif not self._shelf.exists:
            values["secret_text"] = minted.value
        # The tenant may have allowed less than was planned.
        planned, came = str(plan.result.get("end_date_time") or "")[:10], str(minted.end_date_time)[:10]
        instead = {planned: came} if planned and planned != came else {}
        if self._pending is None:
            return Settled(values, warnings=told, instead=instead)
        return Settled(values, self._pending, iso(now + LOOK_AGAIN_AFTER), told, instead)

    def _see_them_gone(self) -> None:
        """A removal counts when Graph lists the secret no more, not when something has answered to it."""
        if self._seen_gone != self._removed:
            self._keys.require_gone(self._removed)
            self._seen_gone = [*self._removed]

    def _drop(self, step: Drop) -> None:
        if self._pending is not None and any(
            key.key_id == step.key_id and key.end > self._tenant.now() for key in self._state.keys
        ):
            return  # it is in use until the new one is
        if step.minting_until is not None and self._shelf.held.intent is None:
            self._get_ready(step.minting_until)
        else:
            # What an interrupted run left is told by its intent alone, which stays until that is gone.
            self._shelf.claim()
        self._keys.remove(step.key_id)
        self._removed.append(step.key_id)
        previous = self._shelf.held.previous
        if self._shelf.exists and previous is not None and previous.key_id == step.key_id:
            self._shelf.write(replace(self._shelf.held, previous=None))

    def _get_ready(self, end: dt.datetime) -> None:
        """Before what cannot be taken back: the store is proven, and other runs know whose turn it is."""
        if self._ready or not self._shelf.exists:
            return
        self._shelf.probe()
        kept_until = self._shelf.note([key.key_id for key in self._state.keys], end + self._desired.overlap)
        if kept_until is not None:
            self._warnings.append(kept_for_now(self._desired, kept_until, end))
        self._ready = True

    def _mint(self, step: Mint) -> None:
        known = [key.key_id for key in self._state.keys]
        self._get_ready(step.end)
        try:
            minted = self._add_password(step.end, known)
        except (AnswerLost, NoLongerWanted):
            raise  # a key may have been born: the intent is what tells of it
        except M365Error:
            self._shelf.take_back()
            raise
        if not self._shelf.exists:
            self._hand_over(minted)
            return
        try:
            self._shelf.write(replace(self._shelf.held, following=minted), patient=True)
            following = self._shelf.read_back(minted)
            refusal = self._keys.refusal(following, self._tenant.patience_s)
        except NoLongerWanted:
            raise
        except M365Error as exc:
            raise self._undone(minted.key_id, exc) from None
        self._minted = following
        if refusal is not None:
            # What Entra refuses is what it has made: time will tell, and until then the old one stays in use.
            self._pending = f"{WAITING} ({refusal})"
            self._shelf.release()
            return
        self._commit(self._shelf.held)

    def _hand_over(self, minted: StoredSecret) -> None:
        """No store: prove the value as Graph gave it, before it is the answer of the task."""
        try:
            refusal = self._keys.refusal(minted, self._tenant.patience_s)
        except M365Error as exc:
            raise self._undone(minted.key_id, exc) from None
        if refusal is not None:
            self._pending = f"the new secret is made, and Entra does not accept it yet ({refusal})"
        self._minted = minted
        self._rotated = bool(self._ours())

    def _add_password(self, wanted: dt.datetime, known: t.Sequence[str]) -> StoredSecret:
        """The new key. Raises Blocked where the tenant forbids it, AnswerLost where nobody knows."""
        now = self._tenant.now()
        candidates = ends_to_try(wanted, self._desired, self._state.limits, now)
        for end in candidates:
            try:
                answer = self._keys.add(end)
            except AnswerLost:
                # It may have been made, and nobody will ever know its value: drop it, then the caller plans anew.
                try:
                    self._drop_unknown(known)
                except M365Error:
                    self._look.unsettled = True
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

    def _drop_unknown(self, known: t.Sequence[str]) -> None:
        born: list[Key] = []

        def shows() -> bool:
            named = [key for key in self._keys.listed() if key.display_name == self._desired.display_name]
            born[:] = [key for key in named if key.key_id not in known]
            return bool(born)

        # If the request never arrived nothing will ever show: replication of one key takes seconds, not minutes.
        self._look.waited_for_lost = True
        budget = self._keys.at_most(SHOWS_WITHIN_S)
        if not self._tenant.patiently(shows, budget_s=budget, what="a lost new secret to show in Graph"):
            self._look.unsettled = True
            return
        self._shelf.confirm()
        for key in born:
            self._keys.remove(key.key_id)

    def _commit(self, entry: Entry) -> None:
        """What was read back and has signed in becomes what the fax server reads."""
        now = self._tenant.now()
        following = entry.following
        if following is None:
            self._rotated = entry.previous is not None
            return  # another run has done it
        ours = [key for key in self._ours() if key.key_id not in (following.key_id, *self._removed)]
        heir = predecessor(entry, ours, self._state.refused, self._desired, now)
        if heir is not None and not heir.tenant_id:
            heir = replace(heir, tenant_id=self._state.tenant_id)
        try:
            self._shelf.write(entry.committed(heir, iso(now), settled=not self._look.unsettled), patient=True)
            self._in_use_since = now
        except M365Error as exc:
            exc.message += f"; the new secret {following.key_id} is stored and proven, the next run puts it in place"
            raise
        self._minted = following
        self._rotated = heir is not None or entry.current is not None

    def _forget(self) -> None:
        """The store without what the tenant no longer has."""
        held = self._shelf.held
        alive = {key.key_id for key in self._state.keys} - {*self._removed}
        following, previous = held.following, held.previous
        refused = following is not None and following.key_id in self._state.refused
        self._shelf.write(
            replace(
                held,
                following=following if following and following.key_id in alive and not refused else None,
                previous=previous if previous and previous.key_id in alive else None,
            )
        )

    def _undone(self, key_id: str, reason: M365Error) -> M365Error:
        """Remove a key that did not make it, and what the store says of it. What remains is said, never lost."""
        try:
            removed = self._keys.remove_newborn(key_id)
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
        if not self._shelf.forget_newborn(key_id, removed):
            reason.message += f", {self._desired.store} may still name it until the next run"
        return reason

    def _ours(self) -> list[Key]:
        return [key for key in self._state.keys if is_ours(key, self._state.entry, self._desired)]


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
# What is sealed is no secret, and one in some two thousand looks like the beginning of a token.
DOOR = Door(Secret, SPEC, in_clear=("secret_text", "sealed_value"), takes=True)
