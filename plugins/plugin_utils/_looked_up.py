# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Variables that a look-up fills are rendered once in a run: a vault is not asked again for every task.

The first rendering decides. What is no secret is kept as a fact of the host. What the connection takes, secrets too,
lies for the lane in the run's own temporary folder, encrypted as tokens are (see _tokens).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import re
import tempfile
import typing as t

from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.mail2fax.m365.plugins.module_utils._store import STORE_OPTIONS
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain
from ansible_collections.mail2fax.m365.plugins.plugin_utils._tokens import KEY
from ansible_collections.mail2fax.m365.plugins.plugin_utils._variables import Variable

with contextlib.suppress(ImportError):  # without it nothing is kept, and every task looks up for itself
    from cryptography.fernet import Fernet, InvalidToken

Variables = t.Mapping[str, t.Any]
PREFIX = "mail2fax-kept-"
_CALL = re.compile(r"\b(?:lookup|query|q)\s*\(")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_MAGIC = frozenset({"hostvars", "groups", "vars", "play_hosts", "omit"})
"""Never gone through: they hold everybody's."""


class Rendering:
    """Renders variables of one host, each that a look-up fills once, whoever refers to it."""

    def __init__(self, templar: t.Any, variables: Variables) -> None:
        self._templar = templar
        self._written = variables
        self._known: dict[str, t.Any] = dict(variables)
        self._asks: dict[str, bool] = {}
        self._done: set[str] = set()

    def asks(self, name: str) -> bool:
        """Whether a look-up fills the variable, or one that it refers to."""
        if name not in self._asks:
            self._asks[name] = False  # One that refers to itself ends here.
            value = self._known.get(name)
            self._asks[name] = _calls(value) or any(self.asks(word) for word in self._words(value))
        return self._asks[name]

    def refers(self, name: str, others: t.Collection[str]) -> bool:
        """Whether the variable refers to one of ``others``, however indirectly."""
        seen: set[str] = set()
        left = [name]
        while left:
            words = self._words(self._written.get(left.pop())) - seen
            if words & {*others}:
                return True
            seen |= words
            left += words
        return False

    def value(self, name: str) -> t.Any:
        """Raises whatever a look-up raises."""
        if not self.asks(name) or name in self._done:
            return self._templar.template(self._known[name])
        self._done.add(name)
        for word in self._words(self._known[name]):
            if word not in self._done and self.asks(word):
                # What cannot be rendered tells so where the whole is, and may not be needed at all.
                with contextlib.suppress(Exception):
                    self.value(word)
        found = self._templar.template(self._known[name])
        # Never taken for a template again.
        self._known[name] = wrap_var(found)
        self._templar = self._templar.copy_with_new_env(available_variables=self._known)
        return found

    def _words(self, value: t.Any) -> set[str]:
        words = {word for text in _templates(value) for word in _WORD.findall(text)}
        return {word for word in words if word in self._known and word not in _MAGIC}


def _calls(value: t.Any) -> bool:
    return any(_CALL.search(text) for text in _templates(value))


def _templates(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, str):
        if "{{" in value or "{%" in value:
            yield value
    elif isinstance(value, t.Mapping):
        for item in value.values():
            yield from _templates(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _templates(item)


STORE = "mail2fax_secret_store"
REFERENCE = "mail2fax-kept:"
"""Begins what stands in a fact for a secret that is kept; the lane puts the secret in its place."""


def fact(row: Variable, value: t.Any) -> tuple[t.Any] | None:
    """What may be kept as a fact; None where nothing may. A proxy's address may hold a password.

    The secrets among a store's options are references: the store is given to tasks as a whole.
    """
    if row.name == STORE and isinstance(value, t.Mapping):
        secret = {name for name, spec in STORE_OPTIONS.items() if spec.get("no_log")}
        return ({key: f"{REFERENCE}{key}" if key in secret and item else item for key, item in value.items()},)
    return None if row.secret or row.type == "dict" or row.name.endswith("_proxy") else (value,)


def resolved(folder: str, host: str, store: t.Any) -> t.Any:
    """A store's options, with what references stand for. One that stands for nothing stays, and opens nothing."""
    if not isinstance(store, t.Mapping) or not any(map(_is_reference, store.values())):
        return store
    known = (_all(folder, host) if KEY else {}).get(STORE) or {}
    kept_ = known.get("value") or {}
    return {key: kept_.get(key, item) if _is_reference(item) else item for key, item in store.items()}


def _is_reference(value: t.Any) -> bool:
    return isinstance(value, str) and value.startswith(REFERENCE)


def keep(folder: str, host: str, found: t.Mapping[str, tuple[t.Any, t.Any]]) -> None:
    """Keep for the lane what each variable (by name) was and what it is now. Where it cannot be, nothing is kept."""
    if not found or not KEY:
        return
    content = {name: {"of": _mark(raw), "value": plain(value)} for name, (raw, value) in found.items()}
    with contextlib.suppress(OSError, TypeError, ValueError):
        handle, name = tempfile.mkstemp(dir=folder, prefix=PREFIX)
        with os.fdopen(handle, "wb") as stream:
            stream.write(Fernet(KEY).encrypt(json.dumps({**_all(folder, host), **content}).encode()))
        os.replace(name, _place(folder, host))


def kept(folder: str, host: str, name: str, raw: t.Any) -> tuple[t.Any] | None:
    """The value of a variable that is still what it was when it was kept; None where there is none."""
    if next(_templates(raw), None) is None:
        # What is written out was never looked up.
        return None
    found = _all(folder, host).get(name) if KEY else None
    return (found["value"],) if found and found["of"] == _mark(raw) else None


def _all(folder: str, host: str) -> dict[str, t.Any]:
    try:
        found = json.loads(Fernet(KEY).decrypt(_place(folder, host).read_bytes()))
    except (OSError, InvalidToken, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _place(folder: str, host: str) -> pathlib.Path:
    digest = hashlib.sha256(host.encode("utf-8", "surrogateescape")).hexdigest()
    return pathlib.Path(folder, f"{PREFIX}{digest}")


def _mark(raw: t.Any) -> str:
    return hashlib.sha256(json.dumps(plain(raw), sort_keys=True).encode()).hexdigest()
