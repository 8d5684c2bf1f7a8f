# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Where a playbook of ours keeps what the first look at a tenant has read, for the next tasks of the same host.

One file for a host and an operator, in the run's own temporary folder, encrypted as tokens are (see _tokens): one line
for each answer, so that a task opens what it asks for and nothing else. Where the run writes in a tenant it leaves a
mark, and from then on nothing of that tenant is handed on to any host.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import hmac
import json
import os
import pathlib
import tempfile
import typing as t
import zlib

from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import CONNECTION
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Heard
from ansible_collections.mail2fax.m365.plugins.module_utils._reads import Looked
from ansible_collections.mail2fax.m365.plugins.plugin_utils._tokens import IDENTITY_VARIABLES, KEY

with contextlib.suppress(ImportError):  # without it nothing is kept, and every task asks for itself
    from cryptography.fernet import Fernet, InvalidToken

PREFIX = "mail2fax-read-"
LARGEST = 512 * 1024
"""How many bytes an answer may have, packed. What is larger is asked for again."""
ANYWHERE = ""


class FileShelf:
    """A ``Shelf`` of one host in one playbook (``whose``), and of one operator with one connection."""

    def __init__(self, folder: str, whose: str, params: t.Mapping[str, t.Any], key: bytes = KEY) -> None:
        self._folder = pathlib.Path(folder)
        self._key = key
        self._fernet = Fernet(key)
        asks = {name: params.get(name) for name in CONNECTION.options}
        asks |= {name: os.environ.get(name) for name in IDENTITY_VARIABLES}
        self._place = self._named("host", json.dumps([whose, asks], sort_keys=True, default=str))
        self._lines: dict[str, bytes] = {}

    def looked(self) -> Looked | None:
        try:
            head, *lines = self._place.read_bytes().splitlines()
            said = json.loads(self._fernet.decrypt(head))
            heard = said["heard"]
            found = Looked(
                said["tenant_id"],
                said["at"],
                dt.datetime.fromisoformat(said["here"]),
                None
                if heard is None
                else Heard(
                    dt.datetime.fromisoformat(heard["date"]), heard["at"], dt.datetime.fromisoformat(heard["here"])
                ),
            )
        except (OSError, InvalidToken, ValueError):
            return None
        if self._written(found.tenant_id):
            return None
        self._lines = {name.decode(): line for name, _space, line in (line.partition(b" ") for line in lines)}
        return found

    def answer(self, key: str) -> t.Any:
        line = self._lines.get(self._digest("answer", key))
        if line is None:
            return None
        try:
            return json.loads(zlib.decompress(self._fernet.decrypt(line)))
        except (InvalidToken, ValueError, zlib.error):
            return None

    def keep(self, looked: Looked, answers: t.Mapping[str, str]) -> None:
        if self._written(looked.tenant_id):
            return
        head = self._fernet.encrypt(json.dumps(dataclasses.asdict(looked), default=dt.datetime.isoformat).encode())
        lines = [head]
        for key, answer in answers.items():
            packed = zlib.compress(answer.encode(), 1)
            if len(packed) <= LARGEST:
                lines.append(self._digest("answer", key).encode() + b" " + self._fernet.encrypt(packed))
        with contextlib.suppress(OSError):
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=PREFIX)
            with os.fdopen(handle, "wb") as stream:
                stream.write(b"\n".join(lines))
            os.replace(name, self._place)

    def drop(self, tenant_id: str) -> None:
        with contextlib.suppress(OSError):
            self._place.unlink()  # succeeds where a full disk takes no mark
        with contextlib.suppress(OSError):
            self._mark(tenant_id).touch()

    def _written(self, tenant_id: str) -> bool:
        return self._mark(tenant_id).exists() or self._mark(ANYWHERE).exists()

    def _mark(self, tenant_id: str) -> pathlib.Path:
        return self._named("written", tenant_id.lower())

    def _named(self, kind: str, text: str) -> pathlib.Path:
        return self._folder / f"{PREFIX}{self._digest(kind, text)}"

    def _digest(self, *words: str) -> str:
        """Keyed: a name must not let anybody test guesses of a secret."""
        return hmac.new(self._key, json.dumps(words).encode(), hashlib.sha256).hexdigest()


def shelf(folder: str, whose: str, params: t.Mapping[str, t.Any]) -> FileShelf | None:
    """None where nothing can be encrypted."""
    return FileShelf(folder, whose, params) if KEY else None


def drop_all(folder: str) -> None:
    """Something runs that may write, where nobody here sees it."""
    found = shelf(folder, "", {})
    if found is not None:
        found.drop(ANYWHERE)
