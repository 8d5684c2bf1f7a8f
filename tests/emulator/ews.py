# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchange Web Services, as far as a mail client goes: folders and messages, and the refusals before them.

The order of the refusals is the point: token, role, impersonation, EWS settings, mailbox, access policy or role, then
the work.
"""

from __future__ import annotations

import base64
import binascii
import typing as t
import uuid
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from . import ews_items, mail_authority, mailstore
from .exchange import is_exchange_audience, refusal_text
from .exchange_directory import MAILBOX_TYPES, TEXTS, by_address, ews_gate, find_recipients
from .model import Answer, Document, Principal, Tenant, World

EWS: t.Final = TEXTS["ews"]
SOAP: t.Final = "http://schemas.xmlsoap.org/soap/envelope/"
TYPES: t.Final = "http://schemas.microsoft.com/exchange/services/2006/types"
MESSAGES: t.Final = "http://schemas.microsoft.com/exchange/services/2006/messages"
ERRORS: t.Final = "http://schemas.microsoft.com/exchange/services/2006/errors"
ROLE: t.Final = "full_access_as_app"
BY_ROLE: t.Final = frozenset({"EWS.AccessAsApp"})

for _prefix, _namespace in (("s", SOAP), ("t", TYPES), ("m", MESSAGES)):
    ET.register_namespace(_prefix, _namespace)

# The order in which the schema wants a folder's properties; IdOnly shows the first alone.
_FOLDER_PROPERTIES: t.Final = (
    *("FolderId", "ParentFolderId", "FolderClass", "DisplayName", "TotalCount", "ChildFolderCount", "UnreadCount"),
)


class _Folder(t.NamedTuple):
    distinguished_id: str
    name: str
    element: str
    folder_class: str
    parent: str


_FOLDERS: t.Final = {entry[0]: _Folder(*entry) for entry in EWS["folders"]}


class _Refusal(Exception):
    """Something asked for inside an otherwise good request cannot be had: a key of ``messages``."""


def handle(
    world: World, principal: Principal | None, refusal: str | None, headers: dict[str, str], body: bytes
) -> Answer:
    """Answer a POST to ``/EWS/Exchange.asmx``.

    ``principal`` is None when no token was shown or it was refused, with ``refusal`` one of ``model.REFUSALS``.
    """
    if principal is None or not is_exchange_audience(principal.audience):
        reason = refusal_text("audience" if principal else refusal)
        diagnostics = EWS["token_refused"]["diagnostics"].format(reason=reason)
        return _bare(
            EWS["token_refused"]["status"], {"WWW-Authenticate": EWS["challenge"], "x-ms-diagnostics": diagnostics}
        )
    tenant = world.tenant(principal.tenant_id)
    if tenant is None or not mail_authority.holds_any(tenant, principal, {ROLE}, BY_ROLE):
        missing = EWS["role_missing"]
        return _bare(missing["status"], {"x-ms-diagnostics": missing["diagnostics"]})
    if len(body) > EWS["body_too_large"]["limit_bytes"]:
        return _bare(EWS["body_too_large"]["status"])
    if world.dice.random() < world.profile.throttle_probability:
        return _fault("throttled")
    try:
        envelope = defusedxml.ElementTree.fromstring(body, forbid_dtd=True)
    except (ET.ParseError, DefusedXmlException, ValueError):
        return _fault("unreadable")
    request = envelope.find(f"{{{SOAP}}}Body/*")
    if request is None:
        return _fault("unreadable")
    return _as_impersonated(world, tenant, principal, headers.get("user-agent", ""), envelope, request)


def _as_impersonated(
    world: World, tenant: Tenant, principal: Principal, agent: str, envelope: ET.Element, request: ET.Element
) -> Answer:
    identity = envelope.find(f"{{{SOAP}}}Header/{{{TYPES}}}ExchangeImpersonation/{{{TYPES}}}ConnectingSID/*")
    if identity is None or not (identity.text or "").strip():
        return _fault("impersonation_missing")
    kind, named = _local(identity), (identity.text or "").strip()
    mailbox = _mailbox(tenant, kind, named)
    reason = ews_gate(world, tenant, principal.app_id, mailbox or {}, agent)
    if reason is not None:
        return Answer(
            EWS["blocked"]["status"], EWS["blocked"]["body"].encode(), {"X-EWS-Policy-Reason": reason, **_headers()}
        )
    if mailbox is None:
        return _fault("mailbox_missing")
    if kind == "PrimarySmtpAddress" and named.lower() != mailbox["PrimarySmtpAddress"].lower():
        return _fault("not_primary")
    denied = mail_authority.denial(world, tenant, principal, mailbox, {ROLE}, role_permissions=BY_ROLE)
    if denied is not None:
        form = EWS["policy_denial"] if denied == "policy_denied" else EWS["role_denial"]
        denial = EWS["policy_denials"][form]
        if "code" in denial:
            return _fault_of(denial)
        return Answer(denial["status"], denial["body"].encode(), _headers())
    operation = _OPERATIONS.get(_local(request))
    if operation is None or not request.tag.startswith(f"{{{MESSAGES}}}"):
        return _fault("method_unavailable")
    return _envelope(operation(world, tenant, mailbox, request))


def _mailbox(tenant: Tenant, kind: str, named: str) -> Document | None:
    """The mailbox that a ConnectingSID names; anything that is not a mailbox is as good as absent."""
    if kind in ("PrimarySmtpAddress", "SmtpAddress"):
        found = by_address(tenant, named)
        candidates = [found] if found else []
    elif kind in ("PrincipalName", "SID"):
        key = {"PrincipalName": "UserPrincipalName", "SID": "Sid"}[kind]
        named = named.lower()
        candidates = [entry for entry in find_recipients(tenant, named) if str(entry.get(key, "")).lower() == named]
    else:
        candidates = []
    return next((entry for entry in candidates if entry["RecipientTypeDetails"] in MAILBOX_TYPES), None)


# ---- operations -----------------------------------------------------------------------------------------------------


def _get_folder(world: World, tenant: Tenant, mailbox: Document, request: ET.Element) -> ET.Element:
    response, messages = _response("GetFolder")
    shown = _shape(request)
    for asked in request.findall(f"{{{MESSAGES}}}FolderIds/*"):
        try:
            folder = _folder(tenant, mailbox, asked)
        except _Refusal as refusal:
            _message(messages, "GetFolder", str(refusal))
        else:
            message = _message(messages, "GetFolder")
            _show(ET.SubElement(message, f"{{{MESSAGES}}}Folders"), tenant, mailbox, folder, shown)
    return response


def _find_folder(world: World, tenant: Tenant, mailbox: Document, request: ET.Element) -> ET.Element:
    response, messages = _response("FindFolder")
    shown = _shape(request)
    deep = request.get("Traversal") == "Deep"
    for asked in request.findall(f"{{{MESSAGES}}}ParentFolderIds/*"):
        try:
            parent = _folder(tenant, mailbox, asked)
        except _Refusal as refusal:
            _message(messages, "FindFolder", str(refusal))
            continue
        found = [folder for folder in _FOLDERS.values() if _below(folder, parent, deep=deep)]
        _show_all(_root_folder(messages, "FindFolder", len(found)), "Folders", tenant, mailbox, found, shown)
    return response


def _find_item(world: World, tenant: Tenant, mailbox: Document, request: ET.Element) -> ET.Element:
    """Newest first. Restrictions are not looked at; whoever asks for a page by number gets it."""
    response, messages = _response("FindItem")
    everything, names = ews_items.wants(request)
    view = request.find(f"{{{MESSAGES}}}IndexedPageItemView")
    start, size = (
        (int(view.get("Offset", "0")), int(view.get("MaxEntriesReturned", "1000"))) if view is not None else (0, 1000)
    )
    for asked in request.findall(f"{{{MESSAGES}}}ParentFolderIds/*"):
        try:
            folder = _folder(tenant, mailbox, asked)
        except _Refusal as refusal:
            _message(messages, "FindItem", str(refusal))
            continue
        held = mailstore.messages(tenant, mailbox, folder.distinguished_id)[::-1]
        page = held[start : start + size]
        root = _root_folder(messages, "FindItem", len(held), start + len(page))
        items = ET.SubElement(root, f"{{{TYPES}}}Items")
        for one in page:
            ews_items.show(
                items, one, _folder_id(mailbox, folder.distinguished_id), everything, names - {"MimeContent", "Body"}
            )
    return response


def _get_item(world: World, tenant: Tenant, mailbox: Document, request: ET.Element) -> ET.Element:
    response, messages = _response("GetItem")
    everything, names = ews_items.wants(request)
    for asked in request.findall(f"{{{MESSAGES}}}ItemIds/*"):
        try:
            found = ews_items.named(tenant, mailbox, asked)
        except ews_items.ItemMissing as missing:
            _message(messages, "GetItem", missing.key)
            continue
        items = ET.SubElement(_message(messages, "GetItem"), f"{{{MESSAGES}}}Items")
        ews_items.show(items, found, _folder_id(mailbox, found["folder"]), everything, names)
    return response


def _create_item(world: World, tenant: Tenant, mailbox: Document, request: ET.Element) -> ET.Element:
    """A message that is sent, with or without a copy, or only kept."""
    response, messages = _response("CreateItem")
    disposition = request.get("MessageDisposition", "SaveOnly")
    for item in request.findall(f"{{{MESSAGES}}}Items/{{{TYPES}}}Message"):
        message, recipients = ews_items.composed(world, mailbox, item)
        raw = ews_items.as_bytes(message)
        if disposition != "SaveOnly":
            mailstore.send(world, recipients, raw)
        made = ET.SubElement(_message(messages, "CreateItem"), f"{{{MESSAGES}}}Items")
        if disposition != "SendOnly":
            folder = "drafts" if disposition == "SaveOnly" else "sentitems"
            kept = mailstore.deliver(world, tenant, mailbox, raw, folder=folder, flags=[mailstore.SEEN])
            element = ET.SubElement(made, f"{{{TYPES}}}Message")
            ET.SubElement(element, f"{{{TYPES}}}ItemId", ews_items.item_id(kept))
    return response


def _delete_item(world: World, tenant: Tenant, mailbox: Document, request: ET.Element) -> ET.Element:
    response, messages = _response("DeleteItem")
    for asked in request.findall(f"{{{MESSAGES}}}ItemIds/*"):
        try:
            found = ews_items.named(tenant, mailbox, asked)
        except ews_items.ItemMissing as missing:
            _message(messages, "DeleteItem", missing.key)
            continue
        if request.get("DeleteType") == "MoveToDeletedItems":
            mailstore.moved(tenant, found, "deleteditems")
        else:
            del tenant.messages[found["id"]]
        _message(messages, "DeleteItem")
    return response


def _convert_id(world: World, tenant: Tenant, mailbox: Document, request: ET.Element) -> ET.Element:
    """Asked by clients that only want to see the server's version: no id is one of ours."""
    response, messages = _response("ConvertId")
    for _asked in request.findall(f"{{{MESSAGES}}}SourceIds/*"):
        _message(messages, "ConvertId", "id_malformed")
    return response


def _resolve_names(world: World, tenant: Tenant, mailbox: Document, request: ET.Element) -> ET.Element:
    response, messages = _response("ResolveNames")
    _message(messages, "ResolveNames", "name_unresolved")
    return response


_OPERATIONS: t.Final[dict[str, t.Callable[[World, Tenant, Document, ET.Element], ET.Element]]] = {
    "GetFolder": _get_folder,
    "FindFolder": _find_folder,
    "FindItem": _find_item,
    "GetItem": _get_item,
    "CreateItem": _create_item,
    "DeleteItem": _delete_item,
    "ConvertId": _convert_id,
    "ResolveNames": _resolve_names,
}


def _folder(tenant: Tenant, mailbox: Document, asked: ET.Element) -> _Folder:
    """The folder that a DistinguishedFolderId or FolderId names. Raises _Refusal."""
    if _local(asked) == "DistinguishedFolderId":
        address = asked.findtext(f"{{{TYPES}}}Mailbox/{{{TYPES}}}EmailAddress")
        if address:
            other = _mailbox(tenant, "SmtpAddress", address)
            if other is None:
                raise _Refusal("mailbox_missing")
            if other["Guid"] != mailbox["Guid"]:
                # Impersonation makes the caller that one user, who has no rights elsewhere.
                raise _Refusal("foreign_mailbox")
        name = asked.get("Id", "")
    else:
        try:
            owner, _unused, name = base64.b64decode(asked.get("Id", ""), validate=True).decode("ascii").partition(":")
        except (binascii.Error, UnicodeError, ValueError):
            raise _Refusal("id_malformed") from None
        if owner != mailbox["Guid"]:
            raise _Refusal("folder_missing")
    if name not in _FOLDERS:
        raise _Refusal("folder_missing")
    return _FOLDERS[name]


def _below(folder: _Folder, parent: _Folder, *, deep: bool) -> bool:
    above = folder.parent
    while above:
        if above == parent.distinguished_id:
            return True
        if not deep:
            return False
        above = _FOLDERS[above].parent
    return False


# ---- XML ------------------------------------------------------------------------------------------------------------


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _shape(request: ET.Element) -> set[str]:
    """The folder properties asked for, by base shape and by name."""
    shape = request.find(f"{{{MESSAGES}}}FolderShape")
    if shape is None or shape.findtext(f"{{{TYPES}}}BaseShape") != "IdOnly":
        return set(_FOLDER_PROPERTIES)
    uris = shape.findall(f"{{{TYPES}}}AdditionalProperties/{{{TYPES}}}FieldURI")
    return {"FolderId", *(uri.get("FieldURI", "").rpartition(":")[2] for uri in uris)}


def _show_all(
    parent: ET.Element, container: str, tenant: Tenant, mailbox: Document, folders: t.Iterable[_Folder], shown: set[str]
) -> None:
    within = ET.SubElement(parent, f"{{{TYPES}}}{container}")
    for folder in folders:
        _show(within, tenant, mailbox, folder, shown)


def _show(parent: ET.Element, tenant: Tenant, mailbox: Document, folder: _Folder, shown: set[str]) -> None:
    held = mailstore.messages(tenant, mailbox, folder.distinguished_id)
    element = ET.SubElement(parent, f"{{{TYPES}}}{folder.element}")
    children = sum(other.parent == folder.distinguished_id for other in _FOLDERS.values())
    texts = {
        "FolderClass": folder.folder_class,
        "DisplayName": folder.name,
        "TotalCount": str(len(held)),
        "ChildFolderCount": str(children),
        "UnreadCount": str(sum(mailstore.SEEN not in one["flags"] for one in held)),
    }
    for name in _FOLDER_PROPERTIES:
        if name not in shown:
            continue
        if name == "FolderId":
            ET.SubElement(element, f"{{{TYPES}}}FolderId", _folder_id(mailbox, folder.distinguished_id))
        elif name == "ParentFolderId":
            ET.SubElement(element, f"{{{TYPES}}}ParentFolderId", _folder_id(mailbox, folder.parent or "root"))
        elif texts[name] and (name != "UnreadCount" or folder.element == "Folder"):
            ET.SubElement(element, f"{{{TYPES}}}{name}").text = texts[name]


def _folder_id(mailbox: Document, name: str) -> dict[str, str]:
    return {"Id": base64.b64encode(f"{mailbox['Guid']}:{name}".encode()).decode(), "ChangeKey": "AQAAABYAAAA="}


def _response(operation: str) -> tuple[ET.Element, ET.Element]:
    response = ET.Element(f"{{{MESSAGES}}}{operation}Response")
    return response, ET.SubElement(response, f"{{{MESSAGES}}}ResponseMessages")


def _message(messages: ET.Element, operation: str, error: str | None = None) -> ET.Element:
    message = ET.SubElement(messages, f"{{{MESSAGES}}}{operation}ResponseMessage")
    message.set("ResponseClass", "Error" if error else "Success")
    if error:
        ET.SubElement(message, f"{{{MESSAGES}}}MessageText").text = EWS["messages"][error]["text"]
    code = EWS["messages"][error]["code"] if error else "NoError"
    ET.SubElement(message, f"{{{MESSAGES}}}ResponseCode").text = code
    if error:
        ET.SubElement(message, f"{{{MESSAGES}}}DescriptiveLinkKey").text = "0"
    return message


def _root_folder(messages: ET.Element, operation: str, count: int, end: int | None = None) -> ET.Element:
    end = count if end is None else end
    last = "true" if end >= count else "false"
    attributes = {"IndexedPagingOffset": str(end), "TotalItemsInView": str(count), "IncludesLastItemInRange": last}
    return ET.SubElement(_message(messages, operation), f"{{{MESSAGES}}}RootFolder", attributes)


def _envelope(content: ET.Element) -> Answer:
    envelope = ET.Element(f"{{{SOAP}}}Envelope")
    header = ET.SubElement(envelope, f"{{{SOAP}}}Header")
    ET.SubElement(header, f"{{{TYPES}}}ServerVersionInfo", dict(EWS["version"]))
    ET.SubElement(envelope, f"{{{SOAP}}}Body").append(content)
    text = ET.tostring(envelope, encoding="utf-8", xml_declaration=True)
    return Answer(200, text, {"Content-Type": EWS["content_type"], **_headers()})


def _fault(key: str) -> Answer:
    return _fault_of(EWS["faults"][key])


def _fault_of(fault: dict[str, t.Any]) -> Answer:
    code, text = escape(fault["code"]), escape(fault["text"])
    value = f'<t:Value Name="BackOffMilliseconds">{fault["back_off_ms"]}</t:Value>' if "back_off_ms" in fault else ""
    more = f'<t:MessageXml xmlns:t="{TYPES}">{value}</t:MessageXml>' if value else ""
    body = (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}"><s:Body><s:Fault>'
        f'<faultcode xmlns:a="{TYPES}">a:{code}</faultcode><faultstring xml:lang="en-US">{text}</faultstring>'
        f'<detail><e:ResponseCode xmlns:e="{ERRORS}">{code}</e:ResponseCode>'
        f'<e:Message xmlns:e="{ERRORS}">{text}</e:Message>{more}</detail></s:Fault></s:Body></s:Envelope>'
    )
    return Answer(fault["status"], body.encode(), {"Content-Type": EWS["content_type"], **_headers()})


def _bare(status: int, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, None, {**(headers or {}), **_headers()})


def _headers() -> dict[str, str]:
    return {**EWS["headers"], "request-id": str(uuid.uuid4())}
