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
import dataclasses
import fcntl
import hashlib
import hmac
import json
import os
import pathlib
import tempfile
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._auth import SignIn, Token, token
from ansible_collections.mail2fax.m365.plugins.module_utils._patience import Clock

try:
    from cryptography.fernet import Fernet, InvalidToken
except ImportError:  # ansible-core brings it; without it every task signs in by itself
    KEY = b""
else:
    KEY = Fernet.generate_key()

IDENTITY_OPTIONS = (
    "cloud",
    "tenant",
    "client_id",
    "client_secret",
    "certificate_path",
    "certificate_passphrase",
    "federated_token_path",
    "managed_identity",
)
IDENTITY_VARIABLES = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET")
"""Where a managed identity is asked for; a task may have an environment of its own."""


def make_ready() -> None:
    """Let OpenSSL look for its ciphers before a worker is forked, which would do so for itself."""
    if KEY:
        fernet = Fernet(KEY)
        fernet.decrypt(fernet.encrypt(b""))


class SharedSignIn:
    """A sign-in that first looks whether another task of the run has a token for the same identity and audience.

    A lock per token makes tasks that want the same one at the same time sign in once. Where the folder cannot hold
    tokens or locks, everyone signs in alone.
    """

    def __init__(self, inner: SignIn, options: t.Mapping[str, t.Any], folder: str, key: bytes = KEY) -> None:
        self._inner = inner
        self._folder = pathlib.Path(folder)
        self._fernet = Fernet(key)
        self._held: dict[str, Token] = {}
        self._clock = Clock()
        identity = [str(options.get(name) or "") for name in IDENTITY_OPTIONS]
        identity += [os.environ.get(name, "") for name in IDENTITY_VARIABLES]
        # Keyed: the name must not let anybody test guesses of a secret.
        self._identity = hmac.new(key, json.dumps(identity).encode(), hashlib.sha256)

    def describe(self) -> str:
        return self._inner.describe()

    def token(self, audience: str, *, fresh: bool = False) -> Token:
        """A token that lasts. ``fresh`` is said of one that was refused: a newer one than this task has had so far."""
        held = self._held.get(audience)
        if held is not None and not fresh and held.lasts(self._clock) is not False:
            return held
        place = self._place(audience)
        with locked(place.with_suffix(".lock")) as together:
            found = self._load(place) if together else None
            if found is None or (fresh and (held is None or held.value == found.value)):
                # What the inner one has kept is not newer than what was just looked at.
                found = self._inner.token(audience, fresh=fresh or held is not None)
                if together:
                    self._save(place, found)
        self._held[audience] = found
        return found

    def _place(self, audience: str) -> pathlib.Path:
        named = self._identity.copy()
        named.update(audience.encode())
        return self._folder / f"m365-{named.hexdigest()}"

    def _load(self, place: pathlib.Path) -> Token | None:
        try:
            kept = json.loads(self._fernet.decrypt(place.read_bytes()))
            found = dataclasses.replace(token(kept["value"]), shared=True, good_until=kept["good_until"])
        except (OSError, InvalidToken, ValueError):
            return None
        # Nobody knows how long one lasts that says nothing of it.
        return found if found.lasts(self._clock) else None

    def _save(self, place: pathlib.Path, found: Token) -> None:
        with contextlib.suppress(OSError):
            handle, name = tempfile.mkstemp(dir=self._folder, prefix="m365-")
            with os.fdopen(handle, "wb") as stream:
                # The monotonic clock is the machine's: it means the same to every worker of the run.
                kept = {"value": found.value, "good_until": found.good_until}
                stream.write(self._fernet.encrypt(json.dumps(kept).encode()))
            os.replace(name, place)


def any_in(folder: str) -> bool:
    """Whether a task of the run has signed in: then Microsoft can be reached from here, or could."""
    try:
        return any(name.startswith("m365-") and not name.endswith(".lock") for name in os.listdir(folder))
    except OSError:
        return False


@contextlib.contextmanager
def locked(path: pathlib.Path) -> t.Iterator[bool]:
    """Hold the lock; False where there is none to be had."""
    with contextlib.ExitStack() as stack:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            yield False
            return
        yield True
