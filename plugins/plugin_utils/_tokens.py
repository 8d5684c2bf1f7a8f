# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Tokens that the tasks of one run share, and nobody else.

The key is made when this file is first imported: the main process does that before it forks a worker, so every
worker has it and it is written nowhere. The tokens lie, encrypted with it, in the run's own temporary folder, which
ansible-playbook removes at its end. After a kill an unreadable file is all that stays. A worker without the key
signs in by itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import pathlib
import tempfile
import time
import typing as t

from cryptography.fernet import Fernet, InvalidToken

from ansible_collections.mail2fax.m365.plugins.module_utils._auth import SignIn, Token, token

KEY = Fernet.generate_key()
SPARE_S = 300
"""A token that ends sooner than this is fetched anew: a task may work with it for a while."""

IDENTITY_OPTIONS = (
    "cloud",
    "tenant",
    "client_id",
    "client_secret",
    "certificate_path",
    "federated_token_path",
    "managed_identity",
)


class SharedSignIn:
    """A sign-in that first looks whether another task of the run has a token for the same identity and audience.

    A lock per token makes tasks that want the same one at the same time sign in once.
    """

    def __init__(self, inner: SignIn, options: t.Mapping[str, t.Any], folder: str, key: bytes = KEY) -> None:
        self._inner = inner
        self._folder = pathlib.Path(folder)
        self._fernet = Fernet(key)
        identity = json.dumps([str(options.get(name) or "") for name in IDENTITY_OPTIONS])
        # Keyed: the name must not let anybody test guesses of a secret.
        self._identity = hmac.new(key, identity.encode(), hashlib.sha256)

    def describe(self) -> str:
        return self._inner.describe()

    def token(self, audience: str, *, fresh: bool = False) -> Token:
        place = self._place(audience)
        try:
            lock = os.open(place.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return self._inner.token(audience, fresh=fresh)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = None if fresh else self._load(place)
            if found is None:
                found = self._inner.token(audience, fresh=fresh)
                self._save(place, found)
            return found
        finally:
            os.close(lock)

    def _place(self, audience: str) -> pathlib.Path:
        named = self._identity.copy()
        named.update(audience.encode())
        return self._folder / f"m365-{named.hexdigest()}"

    def _load(self, place: pathlib.Path) -> Token | None:
        try:
            found = token(self._fernet.decrypt(place.read_bytes()).decode())
        except (OSError, InvalidToken, ValueError):
            return None
        return found if _lasts(found) else None

    def _save(self, place: pathlib.Path, found: Token) -> None:
        with contextlib.suppress(OSError):
            handle, name = tempfile.mkstemp(dir=self._folder, prefix="m365-")
            with os.fdopen(handle, "wb") as stream:
                stream.write(self._fernet.encrypt(found.value.encode()))
            os.replace(name, place)


def _lasts(found: Token) -> bool:
    try:
        return float(found.claims["exp"]) - SPARE_S > time.time()
    except (KeyError, TypeError, ValueError):
        return False
