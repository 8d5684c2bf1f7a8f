# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Templates that one worker has compiled are not compiled again by the next.

What was compiled lies in the run's own temporary folder, one file for a template, sealed with the run's key: a
template may hold what is secret, and code is read only where it is certain who wrote it. A file that is half
written, broken or another's is taken for none.
"""

from __future__ import annotations

import contextlib
import hmac
import marshal
import os
import types
import typing as t

from ansible_collections.mail2fax.m365.plugins.plugin_utils._tokens import KEY

# Where cryptography is missing there is no key either, and nothing is shared.
with contextlib.suppress(ImportError):
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MADE_BY = os.getpid()
_FOLDER = "mail2fax-templates"
_NONCE = 12


class Compiled:
    """Code by the source of its template, as far as a worker of the run has met it."""

    def __init__(self, folder: str, key: bytes = KEY) -> None:
        self._folder = os.path.join(folder, _FOLDER)
        self._names = hmac.digest(key, b"names", "sha256")
        self._seal = AESGCM(hmac.digest(key, b"code", "sha256"))

    def code(self, source: str, compiled: t.Callable[[], types.CodeType]) -> types.CodeType:
        # Keyed: the name must not let anybody test guesses of a secret.
        name = hmac.digest(self._names, source.encode("utf-8", "surrogatepass"), "sha256")
        place = os.path.join(self._folder, name.hex())
        found = self._load(place, name)
        if found is None:
            found = compiled()
            self._save(place, name, found)
        return found

    def _load(self, place: str, name: bytes) -> types.CodeType | None:
        try:
            with open(place, "rb", buffering=0) as stream:
                kept = stream.read()
            told = self._seal.decrypt(kept[:_NONCE], kept[_NONCE:], name)
        except (OSError, InvalidTag, ValueError):
            return None
        return t.cast("types.CodeType", marshal.loads(told))  # ours, by the seal

    def _save(self, place: str, name: bytes, code: types.CodeType) -> None:
        nonce = os.urandom(_NONCE)
        kept = nonce + self._seal.encrypt(nonce, marshal.dumps(code), name)
        with contextlib.suppress(OSError):
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._folder, 0o700)
            # Whoever comes second leaves the first one's.
            handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb", buffering=0) as stream:
                stream.write(kept)


def make_ready() -> None:
    """Let OpenSSL look for its cipher before a worker is forked, which would do so for itself."""
    if KEY:
        seal = AESGCM(KEY[:32])
        seal.decrypt(bytes(_NONCE), seal.encrypt(bytes(_NONCE), b"", b""), b"")


def of_this_run(folder: str) -> Compiled | None:
    """None where this process has made the key: no other one has it."""
    return Compiled(folder) if KEY and os.getpid() != _MADE_BY else None
