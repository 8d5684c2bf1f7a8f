# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a task finds: the application's secrets in Graph beside what the store holds, and whether that is in force."""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _app_policies, _directory, _names
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, NotFound
from ansible_collections.mail2fax.m365.plugins.module_utils._graph import Call, Part
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret_judge import Desired, Key, State, is_ours
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret_keys import SHOWS_WITHIN_S, Keys, key_of
from ansible_collections.mail2fax.m365.plugins.module_utils._resources.secret_shelf import Shelf
from ansible_collections.mail2fax.m365.plugins.module_utils._store import BORN_WITHIN, Entry, StoredSecret, instant
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

ACCEPTED_WITHIN = dt.timedelta(hours=1)
"""A newborn secret that Entra refuses for longer than this is not newborn but wrong."""
SETTLED_TRIAL_S = 15.0
"""Patience for a secret that is no newborn: a refusal may still come from one lagging region."""


class Look:
    """Reads the state. ``unsettled``: an interrupted mint may have made a key that nobody has seen yet."""

    def __init__(self, tenant: Tenant, desired: Desired, keys: Keys, shelf: Shelf, *, check_mode: bool) -> None:
        self._tenant = tenant
        self._desired = desired
        self._keys = keys
        self._shelf = shelf
        self._check_mode = check_mode
        self._looked = False
        self._first: str | None = None
        self.unsettled = False
        self.waited_for_lost = False

    def state(self) -> State:
        entry = self._shelf.read()
        if not self._looked:
            self._looked, self._first = True, entry.current.key_id if entry and entry.current else None
        if self._desired.app_id == _names.ZERO_GUID:
            return State(exists=False, entry=entry, unwritable=self._unwritable(entry), open=self._shelf.is_open)
        busy = self._shelf.busy
        if busy is not None and not self._check_mode:
            busy = self._shelf.wait_for_its_turn()
            entry = self._shelf.held
        unwritable = self._unwritable(entry)
        others = self._other_applications(entry)
        parts = self._asked(others)
        document = parts[0].found()
        tenant_id = self._tenant_id()
        stale = self._check_owner(entry, tenant_id, dict(zip(others, parts[3:], strict=True)))
        if stale and self._desired.state == "present":
            entry = None
            self._shelf.start_anew()
        if document is None and self._desired.state == "absent":
            return State(exists=False, entry=entry, busy=busy)
        if document is None:
            raise NotFound(
                f"there is no application {self._desired.app_id} in this tenant",
                attempted=self._keys.purpose("read"),
                cure="check app_id; an application in the recycle bin has to be restored first",
                options=("app_id",),
            )
        keys = tuple(key_of(item) for item in document.get("passwordCredentials") or [])
        if self._overtaken(entry, keys):
            return self.state()
        if self._desired.state == "absent":
            return State(True, keys, entry, tenant_id=tenant_id, busy=busy)
        refused: dict[str, str] = {}
        waiting = False
        if busy is None:
            keys = self._with_the_lost(entry, self._with_the_newborn(entry, keys))
            refused, waiting = self._tried(entry, keys)
        return State(
            True,
            keys,
            entry,
            _app_policies.read(parts[1], parts[2], document.get("createdDateTime")),
            tenant_id,
            refused,
            waiting,
            stale,
            unwritable,
            self._shelf.is_open,
            busy,
            self._renewed(entry),
            self._shelf.kept_until,
        )

    def _overtaken(self, entry: Entry | None, keys: t.Sequence[Key]) -> bool:
        """Whether the store has changed since it was read: asked where Graph lists a key of our name that it lacked."""
        known = (entry or Entry()).known()
        if not self._shelf.exists or all(
            key.key_id in known or key.display_name != self._desired.display_name for key in keys
        ):
            return False
        before = self._shelf.held
        self._shelf.read()
        return self._shelf.held != before

    def _renewed(self, entry: Entry | None) -> str | None:
        """The key that was put in place since this task looked first."""
        current = entry.current.key_id if entry is not None and entry.current is not None else None
        return current if current != self._first else None

    def _asked(self, others: t.Sequence[str]) -> list[Part]:
        purpose, key = self._keys.purpose("read"), self._keys.path
        return self._tenant.graph.batch(
            [
                replace(_directory.find_call(app_id=self._desired.app_id), purpose=purpose),
                _app_policies.default_call(),
                _app_policies.assigned_call(key),
                *(Call("GET", f"/applications(appId={_names.odata(other)})?$select=id", purpose) for other in others),
            ],
            purpose=purpose,
        )

    def _unwritable(self, entry: Entry | None) -> Blocked | None:
        """In check mode the store is tried as well, where something would have to be stored."""
        if not self._shelf.exists or not self._check_mode or (entry is not None and entry.current is not None):
            return None
        try:
            self._shelf.probe()
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
                    attempted=self._keys.purpose("read"),
                    cure="give every tenant a store path of its own",
                    options=("store",),
                )
        for other, part in others.items():
            if not isinstance(part.error, NotFound):
                raise Blocked(
                    f"{self._desired.store} holds the secret of another application ({other})",
                    attempted=self._keys.purpose("read"),
                    cure="give every application a store path of its own; or remove what is stored there, if it was "
                    "the application before this one",
                    options=("store",),
                )
        return bool(others)

    def _with_the_newborn(self, entry: Entry | None, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        """The keys, after a short wait for a stored one that is so young that the answer may be from before it."""
        stored = [item for item in (entry.current, entry.following) if item is not None] if entry is not None else []
        latest = list(keys)

        def missing() -> bool:
            listed = {key.key_id for key in latest}
            now = self._tenant.now()
            return any(item.key_id not in listed and _is_young(item, now) for item in stored)

        def look() -> bool:
            latest[:] = self._keys.listed()
            return not missing()

        if missing():
            self._shows(look)
        return tuple(latest)

    def _with_the_lost(self, entry: Entry | None, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        """The keys, after a short wait for one that an interrupted mint may have made and Graph not yet lists."""
        if entry is None or entry.intent is None or entry.following is not None or self.waited_for_lost:
            return keys
        noted = instant(entry.intent.at)
        overtaken = entry.proof is not None and instant(entry.proof.at) >= noted
        if overtaken or abs(self._tenant.now() - noted) > BORN_WITHIN:
            return keys
        self.waited_for_lost = True
        latest = list(keys)

        def shows() -> bool:
            return any(self._is_lost(entry, key) for key in latest)

        def look() -> bool:
            latest[:] = self._keys.listed()
            return shows()

        if not shows() and not self._shows(look):
            self.unsettled = True
        return tuple(latest)

    def _shows(self, look: t.Callable[[], bool]) -> bool:
        budget = self._keys.at_most(SHOWS_WITHIN_S)
        return self._tenant.patiently(look, budget_s=budget, what="a new secret to show in Graph")

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
        now = self._tenant.now()
        ours = {key.key_id: key for key in keys if is_ours(key, entry, self._desired) and key.end > now}
        refused: dict[str, str] = {}
        waiting = False
        following = entry.following if entry is not None else None
        if following is not None and following.key_id in ours:
            young = now - ours[following.key_id].start < ACCEPTED_WITHIN
            budget = self._tenant.patience_s if young else self._keys.at_most(SETTLED_TRIAL_S)
            refusal = self._keys.refusal(following, budget)
            if refusal is not None and young:
                waiting = True
            elif refusal is not None:
                refused[following.key_id] = refusal
        current = entry.current if entry is not None else None
        if entry is not None and current is not None and current.key_id in ours and current.value:
            taken_over = following is not None and following.key_id in ours and not waiting and not refused
            if not entry.proven() and not taken_over:
                refusal = self._keys.refusal(current, self._keys.at_most(SETTLED_TRIAL_S))
                if refusal is not None:
                    refused[current.key_id] = refusal
        return refused, waiting


def _is_young(secret: StoredSecret, now: dt.datetime) -> bool:
    try:
        return now - instant(secret.start_date_time) < ACCEPTED_WITHIN
    except ValueError:
        return False  # written by hand, without dates
