# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Where a secret's value lives between the moment it is made and the fax server: the interface, not a place.

The places themselves are in ``plugin_utils/_stores``: they belong to the controller.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import typing as t
from dataclasses import dataclass, field, fields, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _redact, _time
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._lease import Lease

BORN_WITHIN = dt.timedelta(hours=1)
"""How far a key's start may lie from the intent that it was made by: two clocks and a slow answer."""


@dataclass(frozen=True)
class StoredSecret:
    """One secret with what is needed to tell whose it is. Instants are ISO 8601 in UTC, ids in lower case."""

    tenant_id: str
    client_id: str
    key_id: str
    display_name: str
    start_date_time: str
    end_date_time: str
    value: str | None = field(default=None, repr=False)
    """None for a secret that somebody else made: its value was never known here."""

    def __post_init__(self) -> None:
        _redact.note(self.value)

    def as_mapping(self) -> dict[str, t.Any]:
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True)
class Intent:
    """A mint was about to begin ``at`` that instant, when the application had these ``keys``.

    While its ``lease`` holds, the run that noted it may be at work: nothing of that mint is touched.
    """

    at: str
    keys: tuple[str, ...]
    lease: Lease | None = None

    def explains(self, key_id: str, start: dt.datetime) -> bool:
        """Whether a key that no store knows was made by that mint, and its value lost."""
        return key_id not in self.keys and abs(start - instant(self.at)) <= BORN_WITHIN

    def held(self, now: dt.datetime) -> bool:
        return self.lease is not None and self.lease.holds(now)

    def as_mapping(self) -> dict[str, t.Any]:
        lease = {"lease": self.lease.as_mapping()} if self.lease is not None else {}
        return {"at": self.at, "keys": list(self.keys), **lease}

    @classmethod
    def from_mapping(cls, mapping: t.Mapping[str, t.Any]) -> Intent:
        """Raises KeyError, TypeError, ValueError."""
        at, keys = iso(instant(str(mapping["at"]))), tuple(str(key) for key in mapping["keys"])
        lease = mapping.get("lease")
        return cls(at, keys, Lease.from_mapping(lease) if lease else None)


@dataclass(frozen=True)
class Proof:
    """The current secret signed in ``at`` that instant and has been the one in use since; ``digest`` is its value's.

    The digest tells a value that was changed in its store from the one that signed in, without signing in again.
    """

    at: str
    digest: str

    @classmethod
    def of(cls, secret: StoredSecret, at: str) -> Proof:
        return cls(at, cls._digest(secret))

    def holds(self, secret: StoredSecret) -> bool:
        return self.digest == self._digest(secret)

    @staticmethod
    def _digest(secret: StoredSecret) -> str:
        return hashlib.sha256(f"{secret.key_id}:{secret.value}".encode()).hexdigest()

    def as_mapping(self) -> dict[str, t.Any]:
        return {"at": self.at, "digest": self.digest}


@dataclass(frozen=True)
class Entry:
    """Everything a store keeps for one application.

    ``current`` is what the fax server reads, ``proof`` that it signed in. ``following`` was minted but has not proven
    itself yet. ``previous`` is being retired. ``intent`` tells a key that was born in a run that died. ``others``
    are keys of the mapping that somebody else put there; they stay as they are.
    """

    current: StoredSecret | None = None
    previous: StoredSecret | None = None
    following: StoredSecret | None = None
    intent: Intent | None = None
    proof: Proof | None = None
    others: t.Mapping[str, t.Any] = field(default_factory=dict, repr=False)

    def secrets(self) -> list[StoredSecret]:
        return [item for item in (self.current, self.previous, self.following) if item is not None]

    def known(self) -> set[str]:
        return {item.key_id for item in self.secrets()}

    def proven(self) -> bool:
        """Whether the current value is the one that signed in."""
        return self.current is not None and self.proof is not None and self.proof.holds(self.current)

    def as_mapping(self) -> dict[str, t.Any]:
        """The stored form: the current secret's fields at the top, for whoever reads the store."""
        mapping: dict[str, t.Any] = self.current.as_mapping() if self.current else {}
        for name in ("proof", "previous", "following", "intent"):
            part = getattr(self, name)
            if part is not None:
                mapping[name] = part.as_mapping()
        return {**mapping, **self.others}

    @classmethod
    def from_mapping(cls, mapping: t.Mapping[str, t.Any], where: str) -> Entry:
        """Raises Blocked when the mapping is not one of ours."""
        ours = {item.name for item in fields(StoredSecret)} | {"proof", "previous", "following", "intent"}
        if mapping and not ours & set(mapping):
            raise _not_ours(where)
        intent, proof = mapping.get("intent"), mapping.get("proof")
        try:
            return cls(
                current=_secret(mapping, where) if "key_id" in mapping else None,
                previous=_secret(mapping["previous"], where) if mapping.get("previous") else None,
                following=_secret(mapping["following"], where) if mapping.get("following") else None,
                intent=Intent.from_mapping(intent) if intent else None,
                proof=Proof(iso(instant(str(proof["at"]))), str(proof["digest"])) if proof else None,
                others={name: value for name, value in mapping.items() if name not in ours},
            )
        except (KeyError, TypeError, ValueError):
            raise _not_ours(where) from None

    def committed(self, previous: StoredSecret | None, at: str, *, settled: bool = True) -> Entry:
        """``following`` becomes ``current``, ``previous`` is being retired.

        The intent goes, unless the mint that it tells of may still have made a key that does not show yet; its lease
        goes in any case.
        """
        if self.following is None:
            raise AssertionError("there is nothing to commit")
        return replace(
            self,
            current=self.following,
            previous=previous,
            following=None,
            intent=None if settled else self.released().intent,
            proof=Proof.of(self.following, at),
        )

    def released(self) -> Entry:
        """Without a lease: the next run need not wait for this one."""
        return self if self.intent is None else replace(self, intent=replace(self.intent, lease=None))


@dataclass(frozen=True)
class Place:
    """Where a store keeps its entry, as data: ``stored_in`` of results and records. Nothing in it is secret."""

    backend: str
    place: str

    @property
    def words(self) -> str:
        """In words that may be printed anywhere."""
        return f"{_WORDS.get(self.backend, '')}{self.place}"

    def as_mapping(self) -> dict[str, str]:
        return {"backend": self.backend, "place": self.place}

    @classmethod
    def of(cls, told: t.Any) -> Place | None:
        """From a record: a mapping, or 0.1.0's words; None where it tells of none."""
        if isinstance(told, t.Mapping):
            backend, place = told.get("backend"), told.get("place")
            return cls(str(backend or ""), str(place)) if place else None
        if not isinstance(told, str) or not told.strip():
            return None
        for backend, words in _WORDS.items():
            if words and told.startswith(words):
                return cls(backend, told.removeprefix(words))
        return cls("", told)


_WORDS = {"vault_file": "vault file ", "hashi_vault": "HashiCorp Vault ", "azure_key_vault": "Azure Key Vault "}


class Store(t.Protocol):
    """A place for one Entry. Every refusal is a Blocked that says what to do; none quotes content."""

    @property
    def place(self) -> Place:
        """Where it is, as data."""

    def describe(self) -> str:
        """Where it is, in words that may be printed anywhere."""

    def probe(self) -> None:
        """Prove, without changing the entry or leaving anything behind, that a write would succeed."""

    def read(self) -> Entry | None:
        """The entry, None when there is none. What cannot be read raises; it is never None."""

    def write(self, entry: Entry) -> dt.datetime | None:
        """Replace the entry in one go; refuse with Conflict when somebody else changed it since it was read.

        The answer is until when the place keeps what was written; None for as long as nobody removes it.
        """

    def remove(self) -> None:
        """Remove the entry; nothing to remove is fine."""


@t.runtime_checkable
class Fleeting(t.Protocol):
    """A store that may delete what it holds by itself."""

    @property
    def kept_until(self) -> dt.datetime | None:
        """When it will delete the entry that was read or written last; None: never, as far as it tells."""


@t.runtime_checkable
class Guarded(t.Protocol):
    """A store whose entry others on the machine might read: a file."""

    def is_open(self) -> bool:
        """Whether more people than its owner may read or write it."""

    def shut(self) -> None:
        """Leave it to its owner."""


def instant(value: str) -> dt.datetime:
    """An instant of Graph or of a store, aware. Raises ValueError."""
    moment = _time.instant(value)
    if moment is None:
        raise ValueError(f"no instant: {value!r}")
    return moment


def iso(moment: dt.datetime) -> str:
    """To the second, in UTC, as Graph writes it."""
    return _time.iso(moment)


def _secret(mapping: t.Any, where: str) -> StoredSecret:
    if not isinstance(mapping, dict) or not {"tenant_id", "client_id", "key_id"} <= set(mapping):
        raise _not_ours(where)
    given = {item.name: str(mapping.get(item.name) or "") for item in fields(StoredSecret) if item.name != "value"}
    given.update({name: given[name].lower() for name in ("tenant_id", "client_id", "key_id")})
    value = mapping.get("value")
    return StoredSecret(**given, value=None if value is None else str(value))


def _not_ours(where: str) -> Blocked:
    return Blocked(
        f"{where} holds something that is not a secret of this collection",
        cure="choose another place for the secret, or remove what is there",
    )


# --- the ``store`` option ------------------------------------------------------------------------------------

HASHI_VAULT: dict[str, dict[str, t.Any]] = {
    "path": {"type": "path"},
    "url": {"type": "str"},
    "mount": {"type": "str"},
    "namespace": {"type": "str"},
    "token": {"type": "str", "no_log": True},
    "role_id": {"type": "str"},
    "secret_id": {"type": "str", "no_log": True},
    "ca_path": {"type": "path"},
}
"""How the KV of a HashiCorp Vault or of OpenBao is reached, whatever is kept in it."""

STORE_BACKENDS: dict[str, dict[str, dict[str, t.Any]]] = {
    "vault_file": {
        "path": {"type": "path"},
        "vault_id": {"type": "str"},
        "password_file": {"type": "path", "no_log": False},
    },
    "hashi_vault": HASHI_VAULT,
    "azure_key_vault": {
        "vault": {"type": "str"},
        "name": {"type": "str"},
        "tenant": {"type": "str"},
        "client_id": {"type": "str"},
        "client_secret": {"type": "str", "no_log": True},
        "certificate_path": {"type": "path"},
        "certificate_passphrase": {"type": "str", "no_log": True},
        "federated_token_path": {"type": "path"},
        "managed_identity": {"type": "str"},
        "cloud": {"type": "str", "choices": list(CLOUDS)},
    },
    "none": {
        "seal_to": {"type": "str"},
    },
}
"""The options of each back end; ``plugin_utils/_stores`` has the back ends themselves."""

STORE_OPTIONS: dict[str, dict[str, t.Any]] = {
    "backend": {"type": "str", "required": True, "choices": list(STORE_BACKENDS)},
    **{name: spec for options in STORE_BACKENDS.values() for name, spec in options.items()},
}


def misplaced(options: t.Mapping[str, t.Any], backends: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Options that are set and do not belong to the chosen one of the back ends."""
    fitting = {"backend", *backends.get(str(options.get("backend")), ())}
    return sorted(name for name, value in options.items() if value is not None and name not in fitting)
