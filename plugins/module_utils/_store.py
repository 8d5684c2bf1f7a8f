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
import typing as t
from dataclasses import dataclass, field, fields, replace

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked


@dataclass(frozen=True)
class StoredSecret:
    """One secret with what is needed to tell whose it is. Instants are ISO 8601 in UTC."""

    tenant_id: str
    client_id: str
    key_id: str
    display_name: str
    start_date_time: str
    end_date_time: str
    value: str | None = field(default=None, repr=False)
    """None for a secret that somebody else made: its value was never known here."""

    def as_mapping(self) -> dict[str, t.Any]:
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True)
class Entry:
    """Everything a store keeps for one application.

    ``current`` is what the fax server reads. ``following`` was minted but has not proven itself yet. ``previous`` is
    being retired. ``intent`` lists the keys that existed when a mint was about to begin: a key of ours that is
    neither stored nor in that list was minted by a run that died.
    """

    current: StoredSecret | None = None
    previous: StoredSecret | None = None
    following: StoredSecret | None = None
    intent: tuple[str, ...] | None = None

    def known(self) -> set[str]:
        return {item.key_id for item in (self.current, self.previous, self.following) if item is not None}

    def as_mapping(self) -> dict[str, t.Any]:
        """The stored form: the current secret's fields at the top, for whoever reads the store."""
        mapping: dict[str, t.Any] = self.current.as_mapping() if self.current else {}
        if self.previous:
            mapping["previous"] = self.previous.as_mapping()
        if self.following:
            mapping["following"] = self.following.as_mapping()
        if self.intent is not None:
            mapping["intent"] = list(self.intent)
        return mapping

    @classmethod
    def from_mapping(cls, mapping: t.Mapping[str, t.Any], where: str) -> Entry:
        """Raises Blocked when the mapping is not one of ours."""
        intent = mapping.get("intent")
        return cls(
            current=_secret(mapping, where) if "key_id" in mapping else None,
            previous=_secret(mapping["previous"], where) if mapping.get("previous") else None,
            following=_secret(mapping["following"], where) if mapping.get("following") else None,
            intent=tuple(str(item) for item in intent) if intent is not None else None,
        )

    def committed(self) -> Entry:
        """``following`` becomes ``current``; what was current is being retired."""
        return replace(self, current=self.following, previous=self.current, following=None, intent=None)


class Store(t.Protocol):
    """A place for one Entry. Every refusal is a Blocked that says what to do; none quotes content."""

    def describe(self) -> str:
        """Where it is, in words that may be printed anywhere."""

    def probe(self) -> None:
        """Prove, without changing the entry, that a write would succeed."""

    def read(self) -> Entry | None:
        """The entry, None when there is none. What cannot be read raises; it is never None."""

    def write(self, entry: Entry) -> None:
        """Replace the entry in one go; refuse when somebody else changed it since it was read."""

    def remove(self) -> None:
        """Remove the entry; nothing to remove is fine."""


def instant(value: str) -> dt.datetime:
    """An instant of Graph or of a store, aware; Graph's seven decimals are cut to six."""
    text = value.strip().replace("Z", "+00:00")
    if "." in text:
        head, _, tail = text.partition(".")
        digits = tail.split("+")[0].split("-")[0]
        text = f"{head}.{digits[:6].ljust(6, '0')}{tail[len(digits) :]}"
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def iso(moment: dt.datetime) -> str:
    """To the second, in UTC, as Graph writes it."""
    return moment.astimezone(dt.UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def _secret(mapping: t.Any, where: str) -> StoredSecret:
    names = [item.name for item in fields(StoredSecret)]
    if not isinstance(mapping, dict) or not {"tenant_id", "client_id", "key_id"} <= set(mapping):
        raise Blocked(
            f"{where} holds something that is not a secret of this collection",
            cure="choose another place for the secret, or remove what is there",
        )
    value = mapping.get("value")
    return StoredSecret(
        **{name: str(mapping.get(name) or "") for name in names if name != "value"},
        value=None if value is None else str(value),
    )
