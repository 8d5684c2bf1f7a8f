# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Delegated permissions: what an application opens while a person who may open it has signed in. Pure.

No access policy and no scope of a role limits them.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import Grant, Partly

MODEL = "delegated"

EXCHANGE, GRAPH = (_permissions.WELL_KNOWN[name] for name in ("exchange_online", "microsoft_graph"))

_MAIL = {
    "ews.accessasuser.all": "ews",
    "imap.accessasuser.all": "imap",
    "pop.accessasuser.all": "pop",
    "smtp.send": "smtp",
    "eas.accessasuser.all": "eas",
    "full_access_as_user": "ews",
}
"""Scopes of either resource, in lower case -> protocol."""
_KINDS = ("mail.", "mail-advanced.", "mailboxsettings.", "calendars.", "contacts.")
_KINDS_OF_ITEMS = ("mailboxitem.", "mailboxfolder.", "mailboxconfigitem.")


@dataclass(frozen=True)
class Consent:
    """One delegated grant. ``resource``: its application id, "" where that is not known; ``user``: object id of the
    person, "" for everybody."""

    resource: str
    scopes: tuple[str, ...]
    user: str = ""


def protocol(resource: str, scope: str) -> str | None:
    """The protocol by which a delegated permission opens mailboxes; None where it opens none."""
    name = scope.casefold()
    if resource not in (EXCHANGE, GRAPH):
        return None
    if name in _MAIL:
        return _MAIL[name]
    return "graph" if resource == GRAPH and name.startswith((*_KINDS, *_KINDS_OF_ITEMS)) else None


def opens_others(scope: str) -> bool:
    """Whether it also opens what others have shared with the person, not only the person's own mailbox."""
    name = scope.casefold()
    return name.endswith(".shared") or name in _MAIL


def counts(consent: Consent) -> bool:
    """Whether it opens mailboxes, or may do so because nobody can tell whose permission it is."""
    resources = (consent.resource,) if consent.resource else (EXCHANGE, GRAPH)
    return any(protocol(resource, scope) for resource in resources for scope in consent.scopes)


def grants_of(
    consent: Consent, own: t.Callable[[str], frozenset[str] | None], name: t.Callable[[str], str]
) -> list[Grant]:
    """What it opens. ``own``: the Guid of the mailbox of a person (object id), none where she has none, None where
    nobody knows; ``name``: what the person is called."""
    found = []
    for scope in dict.fromkeys(consent.scopes):
        by = protocol(consent.resource, scope)
        if by is None:
            continue
        if not consent.user:
            found.append(Grant(MODEL, scope, by, None, limited_by=("anybody who signs in to it",)))
            continue
        mailbox = own(consent.user)
        whole = mailbox is not None and not isinstance(mailbox, Partly) and not opens_others(scope)
        limits = (f"{name(consent.user)} signing in to it",)
        found.append(Grant(MODEL, scope, by, mailbox or frozenset(), limited_by=limits, complete=whole))
    return found
