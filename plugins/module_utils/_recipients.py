# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Exchange recipients: what kinds there are, in words, how they are found and what may stand for them.

A recipient is looked for by filter and not by identity wherever a person typed it: a filter compares one property
with one literal, while an identity is tried against names, aliases, addresses and wildcards alike.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet

Json = dict[str, t.Any]

SECURITY_GROUP = "MailUniversalSecurityGroup"
ORGANIZATION_MANAGEMENT = "Organization Management"
"""The role group that manages a group which nobody in particular owns; an application's groups are made so."""

WORDS: t.Mapping[str, str] = {
    "UserMailbox": "user mailbox",
    "SharedMailbox": "shared mailbox",
    "RoomMailbox": "room mailbox",
    "EquipmentMailbox": "equipment mailbox",
    "DiscoveryMailbox": "discovery mailbox",
    "MailUniversalSecurityGroup": "mail-enabled security group",
    "MailUniversalDistributionGroup": "distribution list",
    "MailNonUniversalGroup": "distribution list of an old kind",
    "DynamicDistributionGroup": "dynamic distribution list",
    "GroupMailbox": "Microsoft 365 group",
    "RoomList": "room list",
    "MailContact": "mail contact",
    "MailUser": "mail user, whose mailbox is not in Exchange Online",
    "GuestMailUser": "guest, whose mailbox is not in this tenant",
    "PublicFolder": "mail-enabled public folder",
    "User": "account without a mailbox",
}
"""``RecipientTypeDetails`` as people call it."""

MAILBOXES = frozenset({"UserMailbox", "SharedMailbox", "RoomMailbox", "EquipmentMailbox"})
"""What an application can open, and so what a scope group may hold."""

OWNERS = MAILBOXES | {"MailUser", SECURITY_GROUP}
GROUPS = frozenset(
    {
        *(SECURITY_GROUP, "MailUniversalDistributionGroup", "MailNonUniversalGroup"),
        *("DynamicDistributionGroup", "GroupMailbox", "RoomList"),
    }
)

PER_FILTER = 25
"""How many addresses one filter asks for."""


def words(kind: str) -> str:
    """``RecipientTypeDetails`` in words; one that is not known stays as it is."""
    return WORDS.get(kind, kind or "recipient of an unknown type")


def advice(kind: str) -> str:
    """What to do about a recipient of this kind where a mailbox is wanted; "" for a mailbox."""
    if kind in MAILBOXES:
        return ""
    if kind in GROUPS:
        return "name the mailboxes themselves instead of the group"
    if kind in ("MailUser", "GuestMailUser", "MailContact"):
        return "name a mailbox that is in this tenant's Exchange Online"
    if kind == "User":
        return "give the account a licence with a mailbox, or name another mailbox"
    return "name a user, shared, room or equipment mailbox"


def listed(items: t.Iterable[t.Any], most: int = 10, *, separator: str = ", ") -> str:
    """For people: the first ``most``, and how many there are besides."""
    said = [str(item) for item in items]
    more = len(said) - most
    # One more is as quickly said as counted.
    return separator.join(said if more <= 1 else [*said[:most], f"and {more} more"])


def is_organization_management(name: str) -> bool:
    """Whether ManagedBy names the role group, alone or as the end of a path."""
    return name.rpartition("/")[2].casefold() == ORGANIZATION_MANAGEMENT.casefold()


@dataclass(frozen=True)
class Recipient:
    """One recipient. Ids and ``addresses`` are in lower case, everything else is as Exchange spells it."""

    guid: str
    type: str
    address: str = ""
    display_name: str = ""
    name: str = ""
    alias: str = ""
    entra_id: str = ""
    """ExternalDirectoryObjectId; empty for a while after a group was made."""
    sid: str = ""
    dn: str = ""
    addresses: frozenset[str] = field(default=frozenset())

    @classmethod
    def of(cls, found: t.Mapping[str, t.Any]) -> Recipient:
        """From the output of Get-Recipient, Get-DistributionGroup or Get-DistributionGroupMember."""

        def text(key: str) -> str:
            return str(found.get(key) or "")

        proxies = [str(entry).partition(":") for entry in found.get("EmailAddresses") or []]
        addresses = {address.lower() for prefix, _colon, address in proxies if prefix.lower() == "smtp"}
        if text("PrimarySmtpAddress"):
            addresses.add(text("PrimarySmtpAddress").lower())
        return cls(
            guid=text("Guid").lower(),
            type=text("RecipientTypeDetails") or text("RecipientType"),
            address=text("PrimarySmtpAddress"),
            display_name=text("DisplayName"),
            name=text("Name"),
            alias=text("Alias"),
            entra_id=text("ExternalDirectoryObjectId").lower(),
            sid=text("Sid"),
            dn=text("DistinguishedName"),
            addresses=frozenset(addresses),
        )

    @property
    def label(self) -> str:
        """The address, or the name of what has none."""
        return self.address or self.display_name or self.name or self.guid

    def __str__(self) -> str:
        return f"{self.label} ({words(self.type)})"

    def has_address(self, address: str) -> bool:
        return address.strip().lower() in self.addresses

    def answers_to(self, identity: str) -> bool:
        """Whether Exchange may mean this recipient by ``identity``: an address, an alias, a name or an id."""
        wanted = identity.strip().casefold().removeprefix("smtp:")
        return bool(wanted) and (
            wanted in self.addresses or wanted == self.alias.casefold() or self.is_printed_as(identity)
        )

    def is_printed_as(self, name: str) -> bool:
        """Whether ``name`` is how a property such as ManagedBy prints this recipient: by Name, alone or as the end of
        a path, or by an id. Aliases and display names do not count: another recipient may have them as its Name."""
        wanted = name.strip().casefold()
        ids = [value.casefold() for value in (self.name, self.guid, self.entra_id, self.dn, self.sid) if value]
        return bool(wanted) and (wanted in ids or ("/" in wanted and wanted.rpartition("/")[2] in ids))

    def as_dict(self) -> Json:
        return {
            "address": self.address or None,
            "display_name": self.display_name or self.name,
            "type": self.type,
            "type_in_words": words(self.type),
        }


def among(recipients: t.Iterable[Recipient], address: str) -> Recipient | None:
    """The one with this address, primary or not. An address belongs to one recipient of a tenant at most."""
    return next((recipient for recipient in recipients if recipient.has_address(address)), None)


def unfit(known: t.Sequence[Recipient], addresses: t.Iterable[str], what: str) -> Blocked | None:
    """The reason to stop where one of ``addresses`` is no mailbox of the tenant. ``what``: what cannot be done then."""
    problems: list[str] = []
    details: list[Json] = []
    for address in addresses:
        one = among(known, address)
        if one is None:
            problems.append(f"{address} is not a recipient of this tenant")
            details.append({"address": address, "type": None})
        elif one.type not in MAILBOXES:
            problems.append(f"{address} is a {words(one.type)}")
            details.append({**one.as_dict(), "address": address, "advice": advice(one.type)})
    if not problems:
        return None
    return Blocked(
        f"{what} as declared: {listed(problems, separator='; ')}",
        attempted="look up the mailboxes",
        cure="correct the addresses: they have to be user, shared, room or equipment mailboxes of this tenant",
        details={"mailboxes": details},
        options=("mailboxes",),
    )


def ordered(recipients: t.Iterable[Recipient]) -> list[Recipient]:
    """Without repetitions, by label."""
    unique = {recipient.guid: recipient for recipient in recipients}
    return sorted(unique.values(), key=lambda recipient: (recipient.label.casefold(), recipient.guid))


def by_address(addresses: t.Sequence[str], purpose: str) -> list[Cmdlet]:
    """Reads that find whoever has one of ``addresses``, as a primary or a further address; none for no address."""
    return in_chunks(equal_addresses(addresses), purpose)


def equal_addresses(addresses: t.Iterable[str]) -> list[tuple[str, str]]:
    """(property, value) by which whoever has one of ``addresses`` is found."""
    return [("EmailAddresses", f"smtp:{address}") for address in dict.fromkeys(map(str.lower, addresses))]


def in_chunks(wanted: t.Sequence[tuple[str, str]], purpose: str) -> list[Cmdlet]:
    """As many reads as it takes; none where nobody is wanted."""
    return [by_properties(wanted[start : start + PER_FILTER], purpose) for start in range(0, len(wanted), PER_FILTER)]


def by_properties(wanted: t.Sequence[tuple[str, str]], purpose: str) -> Cmdlet:
    """One read that finds every recipient with at least one of the (property, value) pairs, as literals."""
    if not wanted:
        raise ValueError("a filter without a condition would find every recipient")
    conditions = [f"{name} -eq {_names.opath_literal(value)}" for name, value in wanted]
    return Cmdlet("Get-Recipient", {"Filter": " -or ".join(conditions), "ResultSize": "Unlimited"}, purpose)
