# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The store's side of a client secret: what it holds, whose turn it is, and writes that never go over another run's."""

from __future__ import annotations

import contextlib
import datetime as dt
import typing as t
from dataclasses import replace

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Blocked,
    Conflict,
    InvalidInput,
    M365Error,
    NoLongerWanted,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._lease import Lease
from ansible_collections.mail2fax.m365.plugins.module_utils._store import (
    Entry,
    Fleeting,
    Guarded,
    Intent,
    Store,
    StoredSecret,
    iso,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

RETRIES_S = (1.0, 2.0)
READ_BACK_WITHIN_S = 5.0
BESIDE_PATIENCE = dt.timedelta(minutes=5)
"""What a mint may take beside waiting: answers that are slow in coming, and the store's own."""


class Shelf:
    """One entry of one store, as this task knows it. Without a store everything but ``held`` is refused.

    Before anything is removed from the tenant the store has been written since it was read (``claim``). So a run that
    read it earlier cannot write any more, and none that reads it later takes what is being removed for its own.
    """

    def __init__(self, tenant: Tenant, store: Store | None) -> None:
        self._tenant = tenant
        self._store = store
        self._claimed = False
        self._before: tuple[Entry, bool] | None = None
        self._was_empty = True
        self.held = Entry()

    @property
    def exists(self) -> bool:
        return self._store is not None

    @property
    def is_open(self) -> bool:
        return self._file is not None and self._file.is_open()

    @property
    def _file(self) -> Guarded | None:
        store: object = self._store
        return store if isinstance(store, Guarded) else None

    @property
    def kept_until(self) -> dt.datetime | None:
        """When the place will delete by itself what it holds."""
        store: object = self._store
        return store.kept_until if isinstance(store, Fleeting) else None

    def read(self) -> Entry | None:
        entry = self._store.read() if self._store is not None else None
        self.held, self._was_empty, self._claimed, self._before = entry or Entry(), entry is None, False, None
        return entry

    def start_anew(self) -> None:
        """What is held is of an application that is gone: only what others put beside it stays."""
        self.held = Entry(others=self.held.others)

    @property
    def busy(self) -> Intent | None:
        """The intent of another run that may still be at work."""
        intent = self.held.intent
        return intent if intent is not None and intent.held(self._tenant.now()) else None

    def wait_for_its_turn(self) -> Intent | None:
        """The intent of another run that is still at work when patience ends; the entry is read again until then."""

        def over() -> bool:
            self.read()
            return self.busy is None

        self._tenant.patiently(over, what="another run to store its secret")
        return self.busy

    def probe(self) -> None:
        self._need().probe()

    def shut(self) -> None:
        self._tenant.wanted("shut the store's file")
        if self._file is not None:
            self._file.shut()

    def remove(self) -> None:
        self._tenant.wanted("remove the stored secret")
        self._need().remove()
        self.held = Entry()

    def claim(self) -> None:
        """Nobody who read the store before can write it from now on. Raises Conflict where somebody wrote meanwhile.

        An intent that was left behind is this run's from here on.
        """
        if self._store is None or self._claimed or self._was_empty:
            return
        intent = self.held.intent
        self.write(replace(self.held, intent=replace(intent, lease=self._lease()) if intent is not None else None))

    def _lease(self) -> Lease:
        return Lease.taken(self._tenant.now() + dt.timedelta(seconds=self._tenant.patience_s) + BESIDE_PATIENCE)

    def confirm(self) -> None:
        """That the store still is as this run wrote it. Raises Conflict."""
        if self._store is not None:
            self.write(self.held)

    def note(self, keys: t.Sequence[str], needed_until: dt.datetime) -> dt.datetime | None:
        """Write down that a secret is about to be made, and that it is this run's turn.

        The answer is until when the place keeps what it holds, None for as long as nobody removes it. Raises Blocked
        where that is before ``needed_until``; the store then looks as before.
        """
        now, lease = self._tenant.now(), self._lease()
        self._before = self.held, self._was_empty
        kept_until = self.write(replace(self.held, following=None, intent=Intent(iso(now), tuple(keys), lease)))
        if kept_until is None or kept_until >= needed_until:
            return kept_until
        self.take_back()
        raise Blocked(
            f"{self._need().describe()} would delete the secret by itself at {iso(kept_until)}, and it is needed until "
            f"{iso(needed_until)}",
            attempted="keep a new secret",
            cure="let the place keep what it holds: for a KV mount or path set delete_version_after to 0s, or to more "
            "than the secret's lifetime and overlap",
            who="the vault's administrator",
        )

    def take_back(self) -> None:
        """Nothing was made: the store looks as before, but for what was removed since. If it refuses, the intent there
        does no harm."""
        if self._store is None or self._before is None:
            return
        (before, was_empty), self._before = self._before, None
        try:
            if was_empty:
                self.remove()
            else:
                self.write(replace(self.held, intent=before.released().intent, following=None))
        except M365Error:
            pass

    def release(self) -> None:
        """The next run need not wait for this one. If the store refuses, it waits."""
        with contextlib.suppress(M365Error):
            self.write(self.held.released())

    def write(self, entry: Entry, *, patient: bool = False) -> dt.datetime | None:
        """``patient`` where a refusal would cost a secret that is made already."""
        store = self._need()
        for delay in (*RETRIES_S, None) if patient else (None,):
            self._tenant.wanted("write the store")
            try:
                kept_until = store.write(entry)
            except (Conflict, NoLongerWanted):
                raise
            except M365Error:
                if delay is None:
                    raise
                self._tenant.clock.sleep(delay)
            else:
                self.held, self._claimed, self._was_empty = entry, True, False
                return kept_until
        raise AssertionError("unreachable")

    def read_back(self, minted: StoredSecret) -> StoredSecret:
        """The new secret as the store gives it; what was sent there does not count."""
        store = self._need()

        def arrived() -> bool:
            # Another run may have finished this one's work meanwhile, or have touched what is beside it.
            self.held = store.read() or Entry()
            return minted in (self.held.following, self.held.current)

        budget = min(self._tenant.patience_s, READ_BACK_WITHIN_S)
        if not self._tenant.patiently(arrived, budget_s=budget, what="the store to give the new secret back"):
            raise Blocked(
                f"{store.describe()} gives back something else than was written",
                attempted="read the new secret back",
                cure="look into the store, and let only one run at a time work on a tenant",
            )
        return t.cast("StoredSecret", self.held.current if minted == self.held.current else self.held.following)

    def forget_newborn(self, key_id: str, removed: bool) -> bool:
        """The store without a key that did not make it. False where it may still name it."""
        if self._store is None:
            return True
        try:
            intent, self.held = self.held.intent, self._store.read() or Entry()
            following = self.held.following
            # Another run's entry is not ours to touch.
            if self.held.intent == intent and (following is None or following.key_id == key_id):
                kept = None if removed else intent  # the key may live on: the intent tells the next run of it
                self.write(replace(self.held, following=None, intent=kept).released())
        except M365Error:
            return False
        return True

    def _need(self) -> Store:
        if self._store is None:
            raise InvalidInput("a store is needed for this", cure="name a store")
        return self._store
