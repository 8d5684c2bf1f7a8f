# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Graph: mail, calendar and settings of a mailbox, for applications that no person stands behind."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import email.utils
import html
import re
import typing as t
import urllib.parse
import uuid
from email.message import EmailMessage

from . import directory, mail_authority, mailstore, odata
from .exchange_rbac import switch
from .graph_base import GraphError, Request, entity, is_guid, kind, listing, route, show
from .hosts import EXCHANGE_APP_ID
from .model import Answer, Document
from .odata import Key, Segment

WRITE_MAIL: t.Final = ("Mail.ReadWrite",)
READ_CONTACTS: t.Final = ("Contacts.Read", "Contacts.ReadWrite")
READ_BODIES: t.Final = ("Mail.Read", *WRITE_MAIL)
READ_MAIL: t.Final = ("Mail.ReadBasic", "Mail.ReadBasic.All", *READ_BODIES)
READ_FOLDERS: t.Final = (*READ_MAIL, "MailboxFolder.Read.All", "MailboxFolder.ReadWrite.All")
SEND: t.Final = ("Mail.Send",)
READ_SETTINGS: t.Final = ("MailboxSettings.Read", "MailboxSettings.ReadWrite")
READ_CALENDAR: t.Final = ("Calendars.Read", "Calendars.ReadWrite", "Calendars.ReadBasic.All")
_PAGE: t.Final = 10
_MAIL_PATH: t.Final = re.compile(r"/users/[^/]+/(mail|messages|sendMail|calendar|events)", re.IGNORECASE)
_BASIC: t.Final = frozenset({"body", "bodyPreview", "uniqueBody"})  # what Mail.ReadBasic does not show

FOLDER = kind(
    "mailFolder",
    "mailFolders",
    {
        *("id", "displayName", "parentFolderId", "childFolderCount", "unreadItemCount", "totalItemCount"),
        *("sizeInBytes", "isHidden"),
    },
)
MESSAGE = kind(
    "message",
    "messages",
    {
        *("id", "createdDateTime", "lastModifiedDateTime", "receivedDateTime", "sentDateTime", "hasAttachments"),
        *("internetMessageId", "subject", "bodyPreview", "importance", "parentFolderId", "conversationId", "isRead"),
        *("isDraft", "webLink", "body", "sender", "from", "toRecipients", "ccRecipients", "bccRecipients", "replyTo"),
        *("changeKey", "categories", "flag", "inferenceClassification", "internetMessageHeaders"),
    },
)
EVENT = kind("event", "events", {"id", "subject", "start", "end", "isAllDay", "organizer", "attendees", "location"})
CONTACT = kind("contact", "contacts", {"id", "displayName", "emailAddresses", "businessPhones", "homePhones"})
CALENDAR = kind("calendar", "calendars", {"id", "name", "color", "canEdit", "isDefaultCalendar", "owner"})


def is_about_mail(path: str) -> bool:
    return _MAIL_PATH.search(path) is not None


# --- letting in -------------------------------------------------------------------------------------------------------


def _mailbox(request: Request, user: Segment, permissions: t.Collection[str]) -> Document:
    """The mailbox of a request, once token, policies and roles let the caller in. Raises GraphError."""
    name = user.value if isinstance(user, Key) else user
    caller = request.tenant.service_principals[request.principal.object_id]
    if directory.service_principal_of(request.tenant, EXCHANGE_APP_ID) is None or not caller["accountEnabled"]:
        raise GraphError("mail.no_exchange")
    if not mail_authority.holds_any(request.tenant, request.principal, permissions):
        raise GraphError("mail.access_denied")
    found = _user(request, name)
    if found is None:
        raise GraphError("mail.not_found" if is_guid(name) else "mail.invalid_user", user=name, id=name)
    if not found.get("ExchangeGuid") or not mailstore.alive(found):
        old = switch(request.tenant, "no_mailbox_form") == "older"
        raise GraphError("mail.no_mailbox_older" if old else "mail.no_mailbox")
    denial = mail_authority.denial(request.world, request.tenant, request.principal, found, permissions)
    if denial == "not_yet":
        extension = switch(request.tenant, "rbac_denial") == "ExtensionError"
        raise GraphError("mail.extension" if extension else "mail.access_denied")
    if denial == "policy_denied" and switch(request.tenant, "policy_denial") == "older":
        raise GraphError("mail.policy_denied_older")
    if denial is not None:
        raise GraphError(f"mail.{denial}")
    return found


def _user(request: Request, name: str) -> Document | None:
    """By object id or user's name; another address of the mailbox is none of its names here."""
    wanted = name.lower()
    for held in request.tenant.mailboxes.values():
        principal_name = str(held.get("UserPrincipalName") or "").lower()
        if principal_name and wanted in (principal_name, str(held["ExternalDirectoryObjectId"]).lower()):
            return held
    return None


# --- folders ----------------------------------------------------------------------------------------------------------


def _folder_id(mailbox: Document, name: str) -> str:
    return base64.urlsafe_b64encode(uuid.uuid5(uuid.UUID(mailbox["Guid"]), name).bytes * 6).decode()


def _folder(request: Request, mailbox: Document, name: str) -> Document:
    held = mailstore.messages(request.tenant, mailbox, name)
    return {
        "id": _folder_id(mailbox, name),
        "displayName": mailstore.FOLDERS[name],
        "parentFolderId": _folder_id(mailbox, "root"),
        "childFolderCount": 0,
        "unreadItemCount": sum(mailstore.SEEN not in one["flags"] for one in held),
        "totalItemCount": len(held),
        "sizeInBytes": sum(int(one["size"]) for one in held),
        "isHidden": False,
    }


def _folder_named(mailbox: Document, folder: Segment) -> str:
    wanted = folder.value if isinstance(folder, Key) else folder
    for name in mailstore.FOLDERS:
        if wanted.lower() == name or wanted == _folder_id(mailbox, name):
            return name
    raise GraphError("mail.folder_not_found")


@route("GET", "users/{}/mailFolders", None)
def list_folders(request: Request, user: Segment) -> Answer:
    mailbox = _mailbox(request, user, READ_FOLDERS)
    return listing(request, [_folder(request, mailbox, name) for name in mailstore.FOLDERS], FOLDER)


@route("GET", "users/{}/mailFolders/{}", None)
def get_folder(request: Request, user: Segment, folder: Segment) -> Answer:
    mailbox = _mailbox(request, user, READ_FOLDERS)
    return entity(request, _folder(request, mailbox, _folder_named(mailbox, folder)), FOLDER)


# --- messages ---------------------------------------------------------------------------------------------------------


def _address(name: str, address: str) -> Document:
    return {"emailAddress": {"name": name or address, "address": address}}


def _people(message: EmailMessage, name: str) -> list[Document]:
    values = [str(value) for value in message.get_all(name, [])]
    return [_address(shown, address) for shown, address in email.utils.getaddresses(values) if address]


def _text_of(message: EmailMessage) -> tuple[str, str]:
    """(contentType, content)."""
    try:
        part = message.get_body(("html", "plain"))
        content = str(part.get_content()) if part is not None else ""
    except (LookupError, KeyError, ValueError):
        return "text", ""
    return ("html" if part is not None and part.get_content_subtype() == "html" else "text"), content


def _sent_at(message: EmailMessage, document: Document) -> str:
    try:
        moment = email.utils.parsedate_to_datetime(mailstore.header(message, "Date"))
    except (TypeError, ValueError):
        return str(document["received"])
    return directory.stamp(moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC))


def _message(request: Request, mailbox: Document, document: Document) -> Document:
    message = mailstore.parsed(mailstore.raw_of(document))
    form, content = _text_of(message)
    people = _people(message, "From") or [_address("", "")]
    identifier = _message_id(document)
    return {
        "id": identifier,
        "createdDateTime": document["received"],
        "lastModifiedDateTime": document["received"],
        "changeKey": base64.b64encode(uuid.UUID(document["id"]).bytes).decode(),
        "categories": [],
        "receivedDateTime": document["received"],
        "sentDateTime": _sent_at(message, document),
        "hasAttachments": any(True for _part in message.iter_attachments()) if message.is_multipart() else False,
        "internetMessageId": mailstore.header(message, "Message-ID").strip(),
        "subject": document["subject"],
        "bodyPreview": re.sub(r"<[^>]*>", "", html.unescape(content)).strip()[:255],
        "importance": "normal",
        "parentFolderId": _folder_id(mailbox, document["folder"]),
        "conversationId": base64.urlsafe_b64encode(
            uuid.uuid5(uuid.UUID(mailbox["Guid"]), document["subject"]).bytes * 2
        ).decode(),
        "isRead": mailstore.SEEN in document["flags"],
        "isDraft": document["folder"] == "drafts",
        "webLink": f"https://outlook.office365.com/owa/?ItemID={urllib.parse.quote(identifier)}&exvsurl=1&viewmodel=ReadMessageItem",
        "inferenceClassification": "focused",
        "body": {"contentType": form, "content": content},
        "sender": people[0],
        "from": people[0],
        "toRecipients": _people(message, "To"),
        "ccRecipients": _people(message, "Cc"),
        "bccRecipients": _people(message, "Bcc"),
        "replyTo": _people(message, "Reply-To"),
        "flag": {"flagStatus": "flagged" if "\\Flagged" in document["flags"] else "notFlagged"},
    }


def _message_id(document: Document) -> str:
    return base64.urlsafe_b64encode(b"AAMk" + uuid.UUID(document["id"]).bytes * 4).decode()


def _visible(request: Request, mailbox: Document, shown: Document) -> Document:
    """Without text for a caller that may read headers alone."""
    if mail_authority.denial(request.world, request.tenant, request.principal, mailbox, READ_BODIES) is None:
        return shown
    return {name: value for name, value in shown.items() if name not in _BASIC}


def _find(request: Request, mailbox: Document, key: Segment, folder: str | None = None) -> Document:
    wanted = key.value if isinstance(key, Key) else key
    for one in mailstore.messages(request.tenant, mailbox, folder):
        if _message_id(one) == urllib.parse.unquote(wanted):
            return one
    raise GraphError("mail.item_not_found")


def _number(request: Request, name: str, otherwise: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return otherwise
    if not text.isdecimal() or int(text) > 1000:
        raise GraphError("top_out_of_range", value=text)
    return int(text)


def _listed(request: Request, mailbox: Document, folder: str | None) -> Answer:
    """Newest first, ten a page; a mailbox's messages are filtered and ordered without the directory's conditions."""
    query = request.query
    held = reversed(mailstore.messages(request.tenant, mailbox, folder))
    rows = [_visible(request, mailbox, _message(request, mailbox, one)) for one in held]
    if query.get("$filter"):
        rows = list(filter(odata.Filter(query["$filter"], MESSAGE.properties, MESSAGE.name), rows))
    if query.get("$search"):
        wanted = query["$search"].strip('"').rpartition(":")[2].lower()
        rows = [row for row in rows if wanted in f"{row['subject']} {row.get('bodyPreview', '')}".lower()]
    if query.get("$orderby"):
        name, descending = odata.sort_key(query["$orderby"])
        if name not in MESSAGE.properties:
            raise GraphError("unknown_select", property=name, resource=MESSAGE.name)
        rows.sort(key=lambda row: odata.ordered(row.get(name)), reverse=descending)
    start, size = _number(request, "$skip", 0), _number(request, "$top", _PAGE)
    select = query.get("$select")
    body: Document = {
        "@odata.context": f"{request.root}/$metadata#users('{mailbox['ExternalDirectoryObjectId']}')/messages"
        + (f"({select})" if select else "")
    }
    if query.get("$count", "").lower() == "true":
        body["@odata.count"] = len(rows)
    if start + size < len(rows):
        following = {**request.call.query, "$skip": str(start + size)}
        link = urllib.parse.urlencode(following, safe="$,()", quote_via=urllib.parse.quote)
        body["@odata.nextLink"] = f"https://{request.call.host}{request.call.path}?{link}"
    body["value"] = [show(request, row, MESSAGE, select) for row in rows[start : start + size]]
    return Answer(200, body)


@route("GET", "users/{}/messages", None)
def list_messages(request: Request, user: Segment) -> Answer:
    return _listed(request, _mailbox(request, user, READ_MAIL), None)


@route("GET", "users/{}/mailFolders/{}/messages", None)
def list_messages_of_folder(request: Request, user: Segment, folder: Segment) -> Answer:
    mailbox = _mailbox(request, user, READ_MAIL)
    return _listed(request, mailbox, _folder_named(mailbox, folder))


@route("GET", "users/{}/messages/{}", None)
def get_message(request: Request, user: Segment, key: Segment) -> Answer:
    mailbox = _mailbox(request, user, READ_MAIL)
    found = _message(request, mailbox, _find(request, mailbox, key))
    return entity(request, _visible(request, mailbox, found), MESSAGE)


@route("GET", "users/{}/mailFolders/{}/messages/{}", None)
def get_message_of_folder(request: Request, user: Segment, folder: Segment, key: Segment) -> Answer:
    mailbox = _mailbox(request, user, READ_MAIL)
    found = _message(request, mailbox, _find(request, mailbox, key, _folder_named(mailbox, folder)))
    return entity(request, _visible(request, mailbox, found), MESSAGE)


@route("GET", "users/{}/messages/{}/$value", None)
def get_raw_message(request: Request, user: Segment, key: Segment) -> Answer:
    mailbox = _mailbox(request, user, READ_BODIES)
    return Answer(200, mailstore.raw_of(_find(request, mailbox, key)), {"Content-Type": "text/plain"})


@route("PATCH", "users/{}/messages/{}", None)
def change_message(request: Request, user: Segment, key: Segment) -> Answer:
    mailbox = _mailbox(request, user, WRITE_MAIL)
    found, read = _find(request, mailbox, key), request.body().get("isRead")
    if isinstance(read, bool):
        flags = [flag for flag in found["flags"] if flag != mailstore.SEEN] + [mailstore.SEEN] * read
        mailstore.change(request.tenant, found, flags=flags)
    return entity(request, _message(request, mailbox, _find(request, mailbox, key)), MESSAGE)


@route("DELETE", "users/{}/messages/{}", None)
def delete_message(request: Request, user: Segment, key: Segment) -> Answer:
    """Into the Deleted Items, and from there for good."""
    mailbox = _mailbox(request, user, WRITE_MAIL)
    return _delete(request, _find(request, mailbox, key))


@route("DELETE", "users/{}/mailFolders/{}/messages/{}", None)
def delete_message_of_folder(request: Request, user: Segment, folder: Segment, key: Segment) -> Answer:
    mailbox = _mailbox(request, user, WRITE_MAIL)
    return _delete(request, _find(request, mailbox, key, _folder_named(mailbox, folder)))


def _delete(request: Request, found: Document) -> Answer:
    if found["folder"] == "deleteditems":
        del request.tenant.messages[found["id"]]
    else:
        mailstore.moved(request.tenant, found, "deleteditems")
    return Answer(204)


@route("POST", "users/{}/messages/{}/permanentDelete", None)
def delete_message_for_good(request: Request, user: Segment, key: Segment) -> Answer:
    mailbox = _mailbox(request, user, WRITE_MAIL)
    del request.tenant.messages[_find(request, mailbox, key)["id"]]
    return Answer(204)


@route("POST", "users/{}/messages/{}/move", None)
def move_message(request: Request, user: Segment, key: Segment) -> Answer:
    mailbox = _mailbox(request, user, WRITE_MAIL)
    found = _find(request, mailbox, key)
    mailstore.moved(request.tenant, found, _folder_named(mailbox, str(request.body().get("destinationId", ""))))
    return entity(request, _message(request, mailbox, _find(request, mailbox, key)), MESSAGE, 201)


# --- sending ----------------------------------------------------------------------------------------------------------


@route("POST", "users/{}/sendMail", None)
def send_mail(request: Request, user: Segment) -> Answer:
    mailbox = _mailbox(request, user, SEND)
    keep = True
    if request.call.headers.get("content-type", "").lower().startswith("text/plain"):
        message = _from_mime(request)
    else:
        body = {name.lower(): value for name, value in request.body().items()}
        given = body.get("message")
        if not isinstance(given, dict):
            raise GraphError("mail.send_invalid")
        message, keep = _from_json(given), body.get("savetosentitems") is not False
    own = str(mailbox["PrimarySmtpAddress"])
    names = {own.lower(), str(mailbox["UserPrincipalName"]).lower()}
    names |= {str(address).partition(":")[2].lower() for address in mailbox["EmailAddresses"]}
    if any(sender.lower() not in names for sender in mailstore.addresses_in(message, "From")):
        raise GraphError("mail.send_as_denied")
    recipients = [a for name in ("To", "Cc", "Bcc") for a in mailstore.addresses_in(message, name)]
    if not recipients:
        raise GraphError("mail.no_recipients")
    if not message.get("From"):
        message["From"] = own
    for name in ("Bcc", "Date", "Message-ID"):
        del message[name]
    message["Date"] = email.utils.format_datetime(request.world.clock.now())
    message["Message-ID"] = f"<{uuid.uuid4().hex.upper()}@AM0PR99MB0001.eurprd99.prod.outlook.com>"
    raw = message.as_bytes(policy=email.policy.SMTP)
    mailstore.send(request.world, recipients, raw)
    if keep:
        mailstore.deliver(request.world, request.tenant, mailbox, raw, folder="sentitems", flags=[mailstore.SEEN])
    return Answer(202)


def _from_mime(request: Request) -> EmailMessage:
    try:
        return mailstore.parsed(base64.b64decode(request.call.body, validate=False))
    except (binascii.Error, ValueError):
        raise GraphError("mail.send_invalid") from None


def _from_json(given: Document) -> EmailMessage:
    message = EmailMessage()
    try:
        for name, key in (("To", "toRecipients"), ("Cc", "ccRecipients"), ("Bcc", "bccRecipients")):
            people = [one["emailAddress"] for one in given.get(key) or []]
            if people:
                message[name] = ", ".join(email.utils.formataddr((p.get("name") or "", p["address"])) for p in people)
        if given.get("from"):
            message["From"] = given["from"]["emailAddress"]["address"]
        message["Subject"] = str(given.get("subject") or "")
        for header in given.get("internetMessageHeaders") or []:
            message[header["name"]] = header["value"]
        body = given.get("body") or {}
        subtype = "html" if str(body.get("contentType", "")).lower() == "html" else "plain"
        message.set_content(str(body.get("content") or ""), subtype=subtype)
        for attachment in given.get("attachments") or []:
            main, _slash, sub = str(attachment.get("contentType") or "application/octet-stream").partition("/")
            content = base64.b64decode(attachment["contentBytes"])
            message.add_attachment(content, maintype=main, subtype=sub, filename=attachment.get("name"))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise GraphError("mail.send_invalid") from None
    return message


# --- calendar and settings --------------------------------------------------------------------------------------------


@route("GET", "users/{}/calendarView", None)
def calendar_view(request: Request, user: Segment) -> Answer:
    _mailbox(request, user, READ_CALENDAR)
    for name in ("startdatetime", "enddatetime"):
        try:
            dt.datetime.fromisoformat(request.query.get(name, ""))
        except ValueError:
            raise GraphError("mail.view_bounds") from None
    return listing(request, [], EVENT)


@route("GET", "users/{}/events", None)
@route("GET", "users/{}/calendar/events", None)
def list_events(request: Request, user: Segment) -> Answer:
    _mailbox(request, user, READ_CALENDAR)
    return listing(request, [], EVENT)


@route("GET", "users/{}/contacts", None)
def list_contacts(request: Request, user: Segment) -> Answer:
    _mailbox(request, user, READ_CONTACTS)
    return listing(request, [], CONTACT)


def _calendar(mailbox: Document) -> Document:
    return {
        "id": _folder_id(mailbox, "calendar"),
        "name": "Calendar",
        "color": "auto",
        "canEdit": True,
        "isDefaultCalendar": True,
        "owner": {"name": mailbox["DisplayName"], "address": mailbox["PrimarySmtpAddress"]},
    }


@route("GET", "users/{}/calendar", None)
def get_calendar(request: Request, user: Segment) -> Answer:
    return entity(request, _calendar(_mailbox(request, user, READ_CALENDAR)), CALENDAR)


@route("GET", "users/{}/calendars", None)
def list_calendars(request: Request, user: Segment) -> Answer:
    return listing(request, [_calendar(_mailbox(request, user, READ_CALENDAR))], CALENDAR)


@route("GET", "users/{}/mailboxSettings", None)
def mailbox_settings(request: Request, user: Segment) -> Answer:
    mailbox = _mailbox(request, user, READ_SETTINGS)
    purpose = {"SharedMailbox": "shared", "RoomMailbox": "room", "EquipmentMailbox": "equipment"}
    return Answer(
        200,
        {
            "@odata.context": f"{request.root}/$metadata#users('{mailbox['Guid']}')/mailboxSettings",
            "archiveFolder": _folder_id(mailbox, "archive"),
            "timeZone": "UTC",
            "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly",
            "dateFormat": "yyyy-MM-dd",
            "timeFormat": "HH:mm",
            "userPurpose": purpose.get(mailbox["RecipientTypeDetails"], "user"),
            "automaticRepliesSetting": {"status": "disabled", "externalAudience": "all"},
            "language": {"locale": "en-US", "displayName": "English (United States)"},
        },
    )
