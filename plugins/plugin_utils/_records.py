# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Where the record of a host lies, and where version 0.1.0 may have left it."""

from __future__ import annotations

import errno
import os
import re
import stat
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _places
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import record
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document.united import united
from ansible_collections.mail2fax.m365.plugins.plugin_utils._shelves import RECORD, Shelf, Version

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """``path`` is where the record belongs, in words where that is no folder; ``source`` where it was read, which is
    another only before it is moved."""

    path: str
    source: str
    record: record.Record
    version: Version | None = None
    """On a shelf; None in a folder."""


def find(folder: str, host: str, *, old_folder: str | None = None, tenant: str = "", ending: str = ".json") -> Found:
    """The record of ``host`` in ``folder``, both absolute. Nothing is moved.

    Where it has none, what 0.1.0 left is taken if it is this host's and, as far as ``tenant`` (an id or a domain)
    tells, this tenant's: in the same folder under the old name, or in ``old_folder``. Raises OSError for a file that
    cannot be read.
    """
    path = os.path.join(folder, _places.file_name(host) + ending)
    text = _text(path)
    if text is not None:
        return Found(path, path, record.read(text, host))
    for old in (folder, old_folder):
        for name in (_places.file_name(host), _places.old_file_name(host)):
            source = os.path.join(old, name + ending) if old else path
            text = _text(source) if source != path else None
            known = record.read(text, host) if text else record.Record()
            if known.document and _agrees(known.document, tenant):
                return Found(path, source, known)
    return Found(path, path, record.Record())


def find_kept(shelf: Shelf, host: str, in_folder: Found) -> Found:
    """The record of ``host`` on a shelf; what a folder has of it is taken over.

    That is so before the first run that writes there, and after one whose shelf refused at its end: then the folder has
    what is newer. Raises M365Error.
    """
    kept = shelf.read(host, RECORD)
    place, known = shelf.place(host, RECORD), record.read(kept.text, host)
    left = in_folder.record
    if known.refused:
        return Found(place, place, known, kept.version)
    if not known.document and (left.document or left.refused):
        return Found(in_folder.source if left.refused else place, in_folder.source, left, kept.version)
    if left.document and _later(left.document, known.document) and _agrees(left.document, _tenant(known.document)):
        both = record.Record(united(left.document, known.document))
        return Found(place, in_folder.source, both, kept.version)
    return Found(place, place, known, kept.version)


def _later(one: t.Mapping[str, t.Any], other: t.Mapping[str, t.Any]) -> bool:
    return str(one.get("at") or "") > str(other.get("at") or "")


def _tenant(document: t.Mapping[str, t.Any]) -> str:
    return str((document.get("tenant") or {}).get("id") or "")


def moves(found: Found) -> list[tuple[str, str]]:
    """What has to be moved so that the record lies where it belongs, with what lies beside it: from where, to where."""
    if found.source == found.path or found.version is not None:
        return []
    before, after = (path.removesuffix(".json") for path in (found.source, found.path))
    return [(before + ending, after + ending) for ending in (".json", ".html", ".audit.json")]


def known(document: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What the steps ask of a record, worked out once for all of them: ids are empty where nothing is known."""
    secret, accepted = document.get("secret") or {}, document.get("accepted") or {}
    removed = document.get("state") == "removed"
    return {
        "app_id": "" if removed else (document.get("ids") or {}).get("application_id") or "",
        "made_by": document.get("made_by") or "",
        "tenant_id": (document.get("tenant") or {}).get("id") or "",
        "key_id": secret.get("key_id") or "",
        "key_ids": [secret["key_id"]] if secret.get("key_id") else [],
        "stored_in": secret.get("stored_in"),
        "adopted": bool(accepted),
        "accepted_credentials": [found["id"] for found in accepted.get("credentials") or []],
        "sids": sorted({str(entry["sid"]) for entry in document.get("ours") or [] if entry.get("sid")}),
        "mailboxes": _mailboxes(document),
        "ews_in_force_by": document.get("ews_in_force_by") or "",
        "tokens_until": str(document.get("tokens_until") or ""),
        "proof_by": document.get("proof_by") or "",
        "removing": bool(document.get("removing")),
    }


def _mailboxes(document: t.Mapping[str, t.Any]) -> list[str]:
    """Addresses, or Guids, of those that the last run was about, and of those on which a run gave rights.

    A run that was refused tells the mailboxes that were declared for it, and took no right off any other.
    """
    called = {row.get("guid"): row.get("mailbox") for row in (document.get("exchange") or {}).get("rights") or []}
    given = [entry["of"] for entry in document.get("ours") or [] if entry["kind"] == "right" and entry.get("of")]
    told = [row["mailbox"] for row in document.get("mailboxes") or []]
    return list(dict.fromkeys(str(one) for one in [*told, *(called.get(guid) or guid for guid in given)]))


def _agrees(document: t.Mapping[str, t.Any], tenant: str) -> bool:
    belongs = _tenant(document)
    return not (belongs and _ID.fullmatch(tenant)) or belongs.lower() == tenant.lower()


def _text(path: str) -> str | None:
    """None where there is no file. Raises OSError for what cannot be read, and for a pipe, which would never end."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is not a file", path)
            # Of what is larger than a record the rest is of no use: its size alone makes the reader refuse it.
            return stream.read(record.LARGEST + 1).decode(
                "utf-8", "replace" if status.st_size > record.LARGEST else "strict"
            )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        return "no text"
