# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages in mailboxes: delivered once, and the same for every protocol that reads them.

A document of ``Tenant.messages``: ``id``, ``folder`` (a key of ``FOLDERS``), ``uid`` (rising in the whole tenant),
``subject``, ``from``, ``to``, ``received``, ``size``, ``flags`` (of IMAP); ``_mailbox`` is the Guid of its mailbox,
``_raw`` the message as it came, each byte a character.
"""

from __future__ import annotations

import email
import email.policy
import email.utils
import typing as t
import uuid
from email.message import EmailMessage

from . import directory
from .exchange_directory import MAILBOX_TYPES, by_address
from .model import Document, Tenant, World

FOLDERS: t.Final = {
    "inbox": "Inbox",
    "drafts": "Drafts",
    "sentitems": "Sent Items",
    "deleteditems": "Deleted Items",
    "outbox": "Outbox",
    "junkemail": "Junk Email",
    "archive": "Archive",
}
SEEN: t.Final = "\\Seen"


def mailbox_named(tenant: Tenant, name: str, *, aliases: bool = False) -> Document | None:
    """A mailbox by its primary address or its user's name; with ``aliases`` by any address."""
    wanted = name.strip().lower()
    for mailbox in tenant.mailboxes.values():
        if mailbox["RecipientTypeDetails"] not in MAILBOX_TYPES:
            continue
        if wanted in (str(mailbox["PrimarySmtpAddress"]).lower(), str(mailbox.get("UserPrincipalName", "")).lower()):
            return mailbox
    found = by_address(tenant, wanted) if aliases else None
    return found if found is not None and found["RecipientTypeDetails"] in MAILBOX_TYPES else None


def alive(mailbox: Document) -> bool:
    """A user's mailbox that the tenants file calls unlicensed is there, and opens to nobody; so is an inactive one."""
    licence = mailbox.get("_licence")
    unlicensed = licence is False or str(licence).lower() in ("", "none")
    return not (licence == "inactive" or (unlicensed and licence is not None and not mailbox["IsShared"]))


def parsed(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)


def header(message: EmailMessage, name: str) -> str:
    """Decoded; empty where there is none or it is beyond reading."""
    try:
        return str(message.get(name, ""))
    except Exception:  # whatever a client has put there
        return ""


def addresses_in(message: EmailMessage, name: str) -> list[str]:
    try:
        values = [str(value) for value in message.get_all(name, [])]
    except Exception:
        return []
    return [address for _name, address in email.utils.getaddresses(values) if "@" in address]


def raw_of(document: Document) -> bytes:
    return str(document["_raw"]).encode("latin-1")


def deliver(
    world: World, tenant: Tenant, mailbox: Document, raw: bytes, *, folder: str = "inbox", flags: t.Iterable[str] = ()
) -> Document:
    """Put a message into a folder of a mailbox."""
    message = parsed(raw)
    uid = int((tenant.settings.get("mail") or {}).get("uid", 0)) + 1
    tenant.settings["mail"] = {"uid": uid}
    document: Document = {
        "id": str(uuid.uuid5(uuid.UUID(tenant.id), f"message:{mailbox['Guid']}:{uid}")),
        "folder": folder,
        "uid": uid,
        "subject": header(message, "Subject"),
        "from": next(iter(addresses_in(message, "From")), ""),
        "to": addresses_in(message, "To"),
        "received": directory.stamp(world.clock.now()),
        "size": len(raw),
        "flags": list(flags),
        "_mailbox": mailbox["Guid"],
        "_raw": raw.decode("latin-1"),
    }
    tenant.messages[document["id"]] = document
    return document


def send(world: World, recipients: t.Iterable[str], raw: bytes) -> list[Document]:
    """Deliver to everybody in this world who has one of the addresses; members of groups too, each once."""
    found: dict[tuple[str, str], tuple[Tenant, Document]] = {}
    for address in recipients:
        for tenant in world.tenants.values():
            holder = by_address(tenant, address)
            if holder is not None:
                for mailbox in _expanded(tenant, holder, set()):
                    found[tenant.id, mailbox["Guid"]] = tenant, mailbox
    return [deliver(world, tenant, mailbox, raw) for tenant, mailbox in found.values()]


def _expanded(tenant: Tenant, holder: Document, seen: set[str]) -> t.Iterator[Document]:
    if holder["Guid"] in seen:
        return
    seen.add(holder["Guid"])
    if holder["RecipientTypeDetails"] in MAILBOX_TYPES:
        yield holder
    for member in holder.get("_members", ()):
        found = tenant.mailboxes.get(member) or tenant.groups.get(member)
        if found is not None:
            yield from _expanded(tenant, found, seen)


def messages(tenant: Tenant, mailbox: Document, folder: str | None = None) -> list[Document]:
    """Oldest first; of every folder without ``folder``."""
    held = [
        one
        for one in tenant.messages.values()
        if one["_mailbox"] == mailbox["Guid"] and (folder is None or one["folder"] == folder)
    ]
    return sorted(held, key=lambda one: int(one["uid"]))


def change(tenant: Tenant, document: Document, **values: t.Any) -> None:
    tenant.messages[document["id"]] = {**document, **values}


def moved(tenant: Tenant, document: Document, folder: str) -> None:
    """To another folder, where it is the newest."""
    uid = int(tenant.settings["mail"]["uid"]) + 1
    tenant.settings["mail"] = {"uid": uid}
    change(tenant, document, folder=folder, uid=uid)


def shown(tenant: Tenant) -> list[Document]:
    """For ``GET /state``: where each message is."""
    return [
        {
            "mailbox": tenant.mailboxes.get(one["_mailbox"], {}).get("PrimarySmtpAddress", one["_mailbox"]),
            **{key: value for key, value in one.items() if not key.startswith("_")},
        }
        for one in sorted(tenant.messages.values(), key=lambda one: int(one["uid"]))
    ]
