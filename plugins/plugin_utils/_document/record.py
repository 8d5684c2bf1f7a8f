# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The one reader of records: whatever version wrote a document, here it becomes one of today's shape, or is refused.

What cannot be used is never taken for nothing: a run that began anew would overwrite it, and with it what may be taken
back.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import ours, shape

Json = dict[str, t.Any]
SCHEMA = 2
LARGEST = 16 * 2**20
"""Bytes. A record is some kilobytes; what is much more is something else, and nobody waits for it to be read."""
TOO_LARGE = "it is larger than any result of a run"

VOLATILE = frozenset(
    {
        "at",
        "last_good_at",
        "verdict_at",
        "probe_at",
        # A mail server puts the time into it.
        "reason",
        "until",
        "pending_until",
        "previous_until",
        "ews_in_force_by",
        "proof_by",
    }
)
"""Keys that differ from run to run although nothing happened."""

REPORT = frozenset({"kind", "mode", "outcome", "steps", "stopped", "warnings"})
"""Keys that tell of the run, not of the tenant: a second run is ``ok`` where the first was ``changed``."""


@dataclass(frozen=True)
class Record:
    """``document`` is empty where there is none, or none to be used; then ``refused`` says why, in a sentence."""

    document: Json = field(default_factory=dict)
    refused: str = ""

    @property
    def app_id(self) -> str | None:
        """Of the application that the last run left."""
        return (self.document.get("ids") or {}).get("application_id")

    @property
    def ours(self) -> list[Json] | None:
        """What runs added; None where nobody knows."""
        return self.document.get("ours")

    @property
    def key_id(self) -> str | None:
        """Of the secret that the fax server uses."""
        return (self.document.get("secret") or {}).get("key_id")

    @property
    def stored_in(self) -> t.Any:
        """``{"backend", "place"}``, or the words of version 0.1.0, to be compared as they are."""
        return (self.document.get("secret") or {}).get("stored_in")

    @property
    def removing(self) -> Json | None:
        """``{"since", "until"}`` while a removal waits for the end of tokens."""
        return self.document.get("removing")


def read(text: t.Any, host: str | None = None, tenant_id: str | None = None) -> Record:
    """The record in ``text``: a document's text, or the mapping that ansible-core 2.18 makes of one; empty: none.

    ``host`` and ``tenant_id``, where they are known, have to be the document's own.
    """
    document: t.Any
    if isinstance(text, t.Mapping):
        document = dict(text)
    elif not text or not str(text).strip():
        return Record()
    elif len(str(text)) > LARGEST:
        return Record(refused=TOO_LARGE)
    else:
        try:
            document = json.loads(str(text))
            # Half a character could not be written again at the end of the run.
            json.dumps(document, ensure_ascii=False).encode("utf-8")
        except (ValueError, RecursionError):
            return Record(refused="it is not JSON")
    if not isinstance(document, dict):
        return Record(refused="it is not the result of a run")
    if not document:
        return Record()
    schema = document.get("schema")
    if (
        not isinstance(schema, int)
        or isinstance(schema, bool)
        or schema < 1
        or not isinstance(document.get("host"), str)
    ):
        return Record(refused="it is not the result of a run")
    if schema > SCHEMA:
        return Record(refused=f"a later version of mail2fax.m365 wrote it (schema {schema}; this one knows {SCHEMA})")
    if host is not None and document["host"] != host:
        return Record(refused=f"it belongs to {document['host']!r}, not to {host!r}")
    try:
        upgraded = _upgraded(document)
    except (AttributeError, KeyError, TypeError):
        return Record(refused="it is not as a run leaves it: ours is not what a run writes there")
    if wrong := shape.wrong(upgraded):
        return Record(refused=f"it is not as a run leaves it: {wrong}")
    belongs = (upgraded.get("tenant") or {}).get("id")
    if tenant_id and belongs and belongs.lower() != tenant_id.lower():
        return Record(refused=f"it belongs to the tenant {belongs}, not to {tenant_id}")
    return Record(upgraded)


def _upgraded(document: Json) -> Json:
    if document["schema"] == 1:
        upgraded = {**document, "schema": SCHEMA}
        if "ours" in document:
            upgraded["ours"] = ours.upgraded(document["ours"])
        return upgraded
    return document


def same(one: Json, other: Json) -> bool:
    """Whether two documents tell the same of the tenant: times, and the report of the run itself, aside."""
    return bool(_lasting(one) == _lasting(other))


def _lasting(document: Json) -> t.Any:
    def strip(value: t.Any) -> t.Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key not in VOLATILE}
        if isinstance(value, list):
            return [strip(item) for item in value]
        return value

    return strip({key: value for key, value in document.items() if key not in REPORT})
