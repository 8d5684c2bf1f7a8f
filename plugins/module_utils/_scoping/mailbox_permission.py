# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Model C: an entry of the application on each mailbox, beside an Entra grant that opens nothing by itself.

Facts and rules, no writes. An entry is the application's by its SID: how Exchange prints a service principal's name
was seen nowhere.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import pointer as pointers
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.grant import (
    EVERY_MAILBOX,
    Grant,
    Inside,
    Permission,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.pointer import Pointer

FULL_ACCESS, SEND_AS = "FullAccess", "SendAs"
IN_FORCE_AFTER = dt.timedelta(hours=1)
MOST_ENTRIES = 500
"""How many entries Exchange takes on one mailbox."""
SELF = "nt authority\\self"
"""Every mailbox has a row of its own owner under this name, perhaps several; it is nobody's grant."""

OPENED_BY: t.Mapping[str, tuple[str, frozenset[str]]] = {
    "imap.accessasapp": ("imap", frozenset({FULL_ACCESS})),
    "pop.accessasapp": ("pop", frozenset({FULL_ACCESS})),
    "smtp.sendasapp": ("smtp", frozenset({FULL_ACCESS, SEND_AS})),
}
"""Permission of Exchange Online, in lower case -> (protocol, the rights of which any lets it in)."""


@dataclass(frozen=True)
class Entry:
    """One row of a mailbox's rights. ``rights`` are Exchange's words in their usual case; ``sid`` is in lower case."""

    user: str
    sid: str
    rights: frozenset[str]
    deny: bool = False
    inherited: bool = False

    def is_of(self, pointer: Pointer) -> bool:
        """By SID; by a name only where Exchange gives no SID. The mailbox's own owner never counts."""
        if self.user.casefold() == SELF:
            return False
        return self.sid == pointer.sid if self.sid else pointer.is_named(self.user)

    @property
    def is_orphan(self) -> bool:
        """Whether Exchange knows nobody of that SID any more, and so prints the SID as the name."""
        return self.user.casefold().startswith("s-1-5-21-") and self.user.casefold() == (self.sid or self.user.lower())


@dataclass(frozen=True)
class Rights:
    """What somebody has on one mailbox, all rows together. A denied right wins over the same one that is allowed."""

    allowed: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()

    @property
    def effective(self) -> frozenset[str]:
        return self.allowed - self.denied

    @classmethod
    def of(cls, entries: t.Iterable[Entry]) -> Rights:
        found = list(entries)
        return cls(
            frozenset(right for one in found if not one.deny for right in one.rights),
            frozenset(right for one in found if one.deny for right in one.rights),
        )


def words(value: t.Any) -> frozenset[str]:
    """AccessRights: a list, or one text with commas."""
    items = value if isinstance(value, (list, tuple)) else [value]
    return frozenset(word.strip() for item in items if item for word in str(item).split(",") if word.strip())


def _flag(value: t.Any) -> bool:
    return value if isinstance(value, bool) else str(value or "").strip().casefold() == "true"


def entries_of(rows: t.Iterable[t.Mapping[str, t.Any]]) -> list[Entry]:
    """From Get-MailboxPermission. SendAs among its words is not the one that lets an application send."""
    return [
        Entry(
            user=str(row.get("User") or ""),
            sid=str(row.get("UserSid") or "").lower(),
            rights=words(row.get("AccessRights")) - {SEND_AS},
            deny=_flag(row.get("Deny")),
            inherited=_flag(row.get("IsInherited")),
        )
        for row in rows
    ]


def send_as_of(rows: t.Iterable[t.Mapping[str, t.Any]]) -> list[tuple[str, Entry]]:
    """From Get-RecipientPermission: (the Name of the recipient that the row is of, the entry)."""
    return [
        (
            str(row.get("Identity") or ""),
            Entry(
                user=str(row.get("Trustee") or ""),
                sid=str(row.get("TrusteeSidString") or "").lower(),
                rights=words(row.get("AccessRights")),
                deny=str(row.get("AccessControlType") or "").casefold() == "deny",
                inherited=_flag(row.get("IsInherited")),
            ),
        )
        for row in rows
    ]


def full_access_cmdlet(mailbox: str, label: str = "") -> Cmdlet:
    """All entries of one mailbox; there is no way to ask for those of several."""
    return Cmdlet(
        "Get-MailboxPermission",
        {"Identity": mailbox, "IncludeUnresolvedPermissions": True, "ResultSize": "Unlimited"},
        f"read the rights on {label or mailbox}",
    )


def send_as_cmdlet(trustee: str) -> Cmdlet:
    """Every mailbox of the tenant as which one trustee may send."""
    return Cmdlet(
        "Get-RecipientPermission",
        {"Trustee": trustee, "ResultSize": "Unlimited"},
        "read as which mailboxes the application may send",
    )


# ---- the model ------------------------------------------------------------------------------------------------------


class MailboxPermissions:
    """The model: a permission for IMAP, POP or SMTP opens the mailboxes that have an entry of the application.

    Answers to ``of_mailbox``, of single mailboxes, may follow the answers to ``cmdlets``.
    """

    name: t.ClassVar[str] = "mailbox_permission"
    needs_consent: t.ClassVar[bool] = True
    before: t.ClassVar[tuple[str, ...]] = ("service_principal", "mailbox_permission")
    makes: t.ClassVar[tuple[str, ...]] = ("service_principal", "mailbox_permission")
    in_force_after: t.ClassVar[dt.timedelta] = IN_FORCE_AFTER
    look_every: t.ClassVar[dt.timedelta] = dt.timedelta(seconds=60)

    def cmdlets(self, app_id: str) -> list[Cmdlet]:
        return [pointers.read_cmdlet(app_id), send_as_cmdlet(app_id)]

    def of_mailbox(self, mailbox: str) -> list[Cmdlet]:
        return [full_access_cmdlet(mailbox)]

    def grants(
        self, app_id: str, held: t.Iterable[Permission], outputs: t.Sequence[Output], inside: Inside
    ) -> list[Grant]:
        pointer = pointers.pointer_of(outputs[0], app_id)
        if pointer is None:
            return []  # nothing that lets in could be the application's
        found: dict[str, list[tuple[str, Entry]]] = {FULL_ACCESS: [], SEND_AS: send_as_of(outputs[1].listed())}
        looked_at: frozenset[str] = frozenset()
        for output in outputs[2:]:
            shown = output.listed()
            names = [str(row.get("Identity") or "") for row in shown]
            found[FULL_ACCESS] += zip(names, entries_of(shown), strict=True)
            looked_at = looked_at.union(*(inside(name) or () for name in set(names)))
        everybody = inside(EVERY_MAILBOX)
        on = {right: _mailboxes(right, found[right], pointer, inside) for right in found}
        if outputs[1].error is not None:
            on[SEND_AS] = None  # Exchange does not know the trustee by that name: what it has is not told
        return grants_of(held, on, scanned=everybody is not None and everybody <= looked_at)


def _mailboxes(
    right: str, found: t.Iterable[tuple[str, Entry]], pointer: Pointer, inside: Inside
) -> frozenset[str] | None:
    """The Guids of the mailboxes on which ``right`` is effective; None where a mailbox is not known by its Name."""
    by_name: dict[str, list[Entry]] = {}
    for name, entry in found:
        if entry.is_of(pointer):
            by_name.setdefault(name, []).append(entry)
    guids: frozenset[str] = frozenset()
    for name, entries in by_name.items():
        if right in Rights.of(entries).effective:
            known = inside(name)
            if known is None:
                return None
            guids |= known
    return guids


def grants_of(
    held: t.Iterable[Permission], on: t.Mapping[str, frozenset[str] | None], *, scanned: bool = False
) -> list[Grant]:
    """What the permissions open, by right: the mailboxes that have it, None where they cannot be told.

    FullAccess shows mailbox by mailbox only. So without ``scanned``, which says that every mailbox of the tenant was
    looked at, what is known is not known to be all.
    """
    found = []
    for one in held:
        opened = OPENED_BY.get(one.name.casefold())
        if opened is None or one.resource != _permissions.WELL_KNOWN["exchange_online"]:
            continue
        protocol, rights = opened
        told = [on.get(right, frozenset()) for right in sorted(rights)]
        only = frozenset(guid for guids in told for guid in guids or ())
        limits = tuple(f"{right} on each mailbox" for right in sorted(rights) if on.get(right))
        complete = scanned and None not in told
        found.append(Grant(MailboxPermissions.name, one.name, protocol, only, limited_by=limits, complete=complete))
    return found
