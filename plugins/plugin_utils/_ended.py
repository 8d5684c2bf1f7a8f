# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""How the run of one host has ended, from its variables: what the table of all, and the next ring, go by."""

from __future__ import annotations

import json
import typing as t

from ansible import constants

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _held, _together
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import words

Json = t.Mapping[str, t.Any]


def document(known: Json) -> Json:
    """The document that this run has left; empty where there is none."""
    found = (known.get("handover_result") or {}).get("document")
    return found if isinstance(found, t.Mapping) and found.get("outcome") in words.OUTCOMES else {}


def stopped(known: Json) -> Json:
    """What stopped a run that left no document; empty where nothing did."""
    found = known.get("mail2fax_stopped")
    return found if isinstance(found, t.Mapping) and found.get("msg") else {}


def record(begun: Json) -> Json:
    """What an earlier run has left, in what the first task of a playbook has found."""
    found = json.loads(str(begun["record_text"])) if begun.get("record_text") else begun.get("record")
    return found if isinstance(found, t.Mapping) else {}


def left_out(known: Json) -> bool:
    """Whether a rotation has left the host out, because nothing of it is due."""
    return known.get("mail2fax_is_due") is False


def bad(known: Json) -> bool:
    """Whether it was blocked or failed, or came to no end at all, as one that is out of reach."""
    found = document(known)
    if found:
        return found["outcome"] in ("blocked", "failed")
    return bool(stopped(known)) or not left_out(known)


def complaint(known: Json) -> str:
    """Why the run of the host ends red; empty where it does not."""
    found = known.get("handover_result") or {}
    return str(found.get("complaint") or (known.get("mail2fax_stopped") or {}).get("msg") or "")


def compared(variables: t.Any, hosts: t.Sequence[str]) -> Json:
    """What the first play of the run has found of all its hosts together; empty where there was none."""
    noted = _together.compared(constants.DEFAULT_LOCAL_TMP, hosts)
    if noted is not None:
        return noted
    found = raw(variables, hosts[0]).get(_held.COMPARED) if hosts else None
    return found if isinstance(found, t.Mapping) else {}


def raw(variables: t.Any, host: str) -> Json:
    """A host's variables as they are; a template in them, which nobody asks for, is not rendered."""
    look = getattr(variables, "raw_get", None)
    found = look(host) if look else variables.get(host)
    return found if isinstance(found, t.Mapping) else {}
