# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages over Exchange Web Services: found, read, sent and deleted, as far as a mail client needs it."""

from __future__ import annotations

import base64
import binascii
import email.policy
import email.utils
import typing as t
import uuid
import xml.etree.ElementTree as ET
from email.message import EmailMessage

from . import mailstore
from .model import Document, Tenant, World

TYPES: t.Final = "http://schemas.microsoft.com/exchange/services/2006/types"
MESSAGES: t.Final = "http://schemas.microsoft.com/exchange/services/2006/messages"


class ItemMissing(Exception):
    """No message has this id; ``key`` is one of the texts of ``messages``."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def item_id(document: Document) -> dict[str, str]:
    return {"Id": base64.b64encode(uuid.UUID(document["id"]).bytes).decode(), "ChangeKey": "CQAAABYAAAA="}


def named(tenant: Tenant, mailbox: Document, asked: ET.Element) -> Document:
    """The message that an ItemId names. Raises ItemMissing."""
    try:
        key = str(uuid.UUID(bytes=base64.b64decode(asked.get("Id", ""), validate=True)))
    except (binascii.Error, ValueError):
        raise ItemMissing("id_malformed") from None
    found = tenant.messages.get(key)
    if found is None or found["_mailbox"] != mailbox["Guid"]:
        raise ItemMissing("item_missing")
    return found


def wants(request: ET.Element) -> tuple[bool, frozenset[str]]:
    """(whether everything is asked for, the properties asked for by name)."""
    shape = request.find(f"{{{MESSAGES}}}ItemShape")
    if shape is None:
        return True, frozenset()
    uris = shape.findall(f"{{{TYPES}}}AdditionalProperties/{{{TYPES}}}FieldURI")
    names = {uri.get("FieldURI", "").rpartition(":")[2] for uri in uris}
    if shape.findtext(f"{{{TYPES}}}IncludeMimeContent") == "true":
        names.add("MimeContent")
    return shape.findtext(f"{{{TYPES}}}BaseShape") != "IdOnly", frozenset(names)


def show(
    parent: ET.Element, document: Document, folder_id: dict[str, str], everything: bool, names: t.Collection[str]
) -> None:
    """A message element with the properties that are asked for, in the schema's order."""
    raw = mailstore.raw_of(document)
    message = mailstore.parsed(raw)
    element = ET.SubElement(parent, f"{{{TYPES}}}Message")
    text = "" if "Body" not in names and not everything else _body(message)
    values: list[tuple[str, t.Any]] = [
        ("MimeContent", base64.b64encode(raw).decode() if "MimeContent" in names else None),
        ("ItemId", item_id(document)),
        ("ParentFolderId", folder_id),
        ("ItemClass", "IPM.Note"),
        ("Subject", document["subject"]),
        ("Sensitivity", "Normal"),
        ("Body", text),
        ("DateTimeReceived", _seconds(document["received"])),
        ("Size", str(document["size"])),
        ("Importance", "Normal"),
        ("DateTimeSent", _seconds(document["received"])),
        ("DateTimeCreated", _seconds(document["received"])),
        ("HasAttachments", "false"),
        ("Sender", mailstore.addresses_in(message, "From")[:1]),
        ("ToRecipients", mailstore.addresses_in(message, "To")),
        ("CcRecipients", mailstore.addresses_in(message, "Cc")),
        ("From", mailstore.addresses_in(message, "From")[:1]),
        ("InternetMessageId", mailstore.header(message, "Message-ID").strip()),
        ("IsRead", "true" if mailstore.SEEN in document["flags"] else "false"),
    ]
    for name, value in values:
        if name != "ItemId" and name not in names and not everything:
            continue
        if value is None or value in ([], ""):
            continue
        _put(element, name, value)


def _put(element: ET.Element, name: str, value: t.Any) -> None:
    if isinstance(value, dict):
        ET.SubElement(element, f"{{{TYPES}}}{name}", value)
        return
    made = ET.SubElement(element, f"{{{TYPES}}}{name}")
    if isinstance(value, str):
        made.text = _clean(value)
        if name == "Body":
            made.set("BodyType", "Text")
        return
    for address in value:
        held = ET.SubElement(made, f"{{{TYPES}}}Mailbox")
        ET.SubElement(held, f"{{{TYPES}}}Name").text = _clean(address)
        ET.SubElement(held, f"{{{TYPES}}}EmailAddress").text = _clean(address)
        ET.SubElement(held, f"{{{TYPES}}}RoutingType").text = "SMTP"


def _clean(text: str) -> str:
    """Without what XML cannot carry."""
    return "".join(
        c for c in text if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
    )


def _seconds(stamp: t.Any) -> str:
    return str(stamp)[:19] + "Z"


def _body(message: EmailMessage) -> str:
    try:
        part = message.get_body(("plain", "html"))
        return str(part.get_content()) if part is not None else ""
    except (LookupError, KeyError, ValueError):
        return ""


def composed(world: World, mailbox: Document, item: ET.Element) -> tuple[EmailMessage, list[str]]:
    """The message that a CreateItem describes, and who is to have it."""
    mime = item.findtext(f"{{{TYPES}}}MimeContent")
    if mime:
        message = mailstore.parsed(base64.b64decode(mime))
    else:
        message = EmailMessage()
        message["Subject"] = item.findtext(f"{{{TYPES}}}Subject") or ""
        for header, name in (("To", "ToRecipients"), ("Cc", "CcRecipients"), ("Bcc", "BccRecipients")):
            path = f"{{{TYPES}}}{name}/{{{TYPES}}}Mailbox/{{{TYPES}}}EmailAddress"
            people = [found.text or "" for found in item.findall(path)]
            if people:
                message[header] = ", ".join(people)
        body = item.find(f"{{{TYPES}}}Body")
        html = body is not None and body.get("BodyType") == "HTML"
        message.set_content((body.text or "") if body is not None else "", subtype="html" if html else "plain")
    recipients = [a for name in ("To", "Cc", "Bcc") for a in mailstore.addresses_in(message, name)]
    for name in ("From", "Bcc", "Date", "Message-ID"):
        del message[name]
    message["From"] = str(mailbox["PrimarySmtpAddress"])
    message["Date"] = email.utils.format_datetime(world.clock.now())
    message["Message-ID"] = f"<{uuid.uuid4().hex.upper()}@AM0PR99MB0001.eurprd99.prod.outlook.com>"
    return message, recipients


def as_bytes(message: EmailMessage) -> bytes:
    return message.as_bytes(policy=email.policy.SMTP)
