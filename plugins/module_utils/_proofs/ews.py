# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The proof by Exchange Web Services: does this mailbox open for the application behind a token?

One GetFolder of the inbox with impersonation, ids only: nothing of the mailbox's content is asked for.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import Cloud
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Throttled
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http, Request, Response, Transport
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.proof import (
    DENIED_BY_POLICY,
    IMPERSONATION_REFUSED,
    NO_MAILBOX,
    NO_ROLE,
    OPENED,
    OTHER,
    UNAUTHORIZED,
    Opening,
)

PATH = "/EWS/Exchange.asmx"

EWS_BLOCKED = "ews_blocked"
"""The verdict where the tenant, or the mailbox, does not let the application use this protocol at all."""

_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
_MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
_PREFIXES = {"soap": _SOAP, "t": _TYPES, "m": _MESSAGES}


@dataclass(frozen=True)
class Message:
    """The one thing that a SOAP answer says: ``code`` is NoError or an error's name."""

    code: str
    text: str = ""
    back_off_ms: int | None = None


class Ews:
    """Mailboxes of one tenant, opened with a token that the caller brings."""

    needs_role: t.ClassVar[str | None] = "full_access_as_app"
    switched_off: t.ClassVar[str | None] = EWS_BLOCKED
    service: t.ClassVar[str] = "EWS"
    opened_by: t.ClassVar[str] = (
        "open EWS for this application (exchange_ews_access), and on the mailbox itself where its own EwsEnabled is "
        "False; such a change takes up to 24 hours. Where EwsApplicationAccessPolicy is set, of the tenant or of the "
        "mailbox, no waiting helps: the fax server's user agent has to pass it"
    )

    @staticmethod
    def audience(cloud: Cloud) -> str:
        return cloud.exchange_audience

    def __init__(self, http: Http, cloud: Cloud) -> None:
        self._url = f"https://{cloud.exchange}{PATH}"
        # Whoever opens a mailbox has signed in before.
        self._http = http.through(_Soap(http.transport))

    def open(self, token: Token, address: str) -> Opening:
        """One attempt, patient only with a busy service. Raises Unreachable and AnswerLost."""
        headers = {
            "Authorization": f"Bearer {token.value}",
            "Content-Type": "text/xml; charset=utf-8",
            "X-AnchorMailbox": address,
        }
        purpose = f"open the mailbox {address}"
        try:
            for primary in (True, False):
                request = Request("POST", self._url, headers, get_folder(address, primary=primary))
                opening = judge(self._http.call(request, purpose=purpose, idempotent=True))
                if opening.code != _texts.EWS_NOT_PRIMARY:
                    break
        except Throttled as exc:
            return Opening(OTHER, exc.message, exc.code, exc.request_id)
        return opening


def get_folder(address: str, *, primary: bool = True) -> bytes:
    """The request: GetFolder of ``address``'s inbox, as an impersonating application. Any text is safe in it.

    ``primary`` is False for a further address of the mailbox.
    """
    for prefix, namespace in _PREFIXES.items():
        ET.register_namespace(prefix, namespace)
    envelope = ET.Element(f"{{{_SOAP}}}Envelope")
    header = ET.SubElement(envelope, f"{{{_SOAP}}}Header")
    ET.SubElement(header, f"{{{_TYPES}}}RequestServerVersion", {"Version": "Exchange2016"})
    sid = ET.SubElement(ET.SubElement(header, f"{{{_TYPES}}}ExchangeImpersonation"), f"{{{_TYPES}}}ConnectingSID")
    ET.SubElement(sid, f"{{{_TYPES}}}{'PrimarySmtpAddress' if primary else 'SmtpAddress'}").text = address
    body = ET.SubElement(envelope, f"{{{_SOAP}}}Body")
    asked = ET.SubElement(body, f"{{{_MESSAGES}}}GetFolder")
    shape = ET.SubElement(asked, f"{{{_MESSAGES}}}FolderShape")
    ET.SubElement(shape, f"{{{_TYPES}}}BaseShape").text = "IdOnly"
    ids = ET.SubElement(asked, f"{{{_MESSAGES}}}FolderIds")
    ET.SubElement(ids, f"{{{_TYPES}}}DistinguishedFolderId", {"Id": "inbox"})
    return bytes(ET.tostring(envelope, encoding="utf-8", xml_declaration=True))


def read_message(body: bytes) -> Message | None:
    """What a SOAP answer says; None when it is none, or carries a document type, which SOAP forbids."""
    try:
        text = body.decode("utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            return None
        root = ET.fromstring(text)
    except (UnicodeDecodeError, ET.ParseError, ValueError):
        return None
    if root.tag != f"{{{_SOAP}}}Envelope":
        return None
    found = dict.fromkeys(("ResponseCode", "MessageText", "Message", "faultcode", "faultstring"), "")
    back_off: int | None = None
    for element in root.iter():
        name, value = element.tag.rpartition("}")[2], (element.text or "").strip()
        if name in found and not found[name]:
            found[name] = value
        elif name == "Value" and element.get("Name") == "BackOffMilliseconds" and value.isdigit():
            back_off = int(value)
    code = found["ResponseCode"] or found["faultcode"].rpartition(":")[2]
    return Message(code, found["MessageText"] or found["Message"] or found["faultstring"], back_off) if code else None


def judge(response: Response) -> Opening:
    """The verdict of one answer, of HTTP and of SOAP."""
    message = read_message(response.body)
    code = message.code if message is not None else None
    text = message.text if message is not None else ""
    blocked = response.headers.get(_texts.EWS_POLICY_HEADER)
    # Exchange says why in a header; the body may hold anything, or nothing.
    diagnostics = " ".join(
        response.headers.get(name, "") for name in ("x-ms-diagnostics", "www-authenticate")
    ) + response.body[:2000].decode("utf-8", "replace")

    def opening(verdict: str, reason: str | None) -> Opening:
        return Opening(verdict, reason or None, code, response.request_id)

    if response.status == 200 and code == "NoError":
        return opening(OPENED, None)
    if blocked is not None:
        return opening(EWS_BLOCKED, blocked)
    if _texts.says(diagnostics, _texts.EWS_NO_ROLE):
        return opening(NO_ROLE, "The token contains not enough scope to make this call.")
    if code in _texts.EWS_NO_MAILBOX:
        return opening(NO_MAILBOX, text)
    if code in _texts.EWS_IMPERSONATION_DENIED:
        return opening(IMPERSONATION_REFUSED, text)
    if code in _texts.EWS_ACCESS_DENIED and not _texts.says(text, _texts.EWS_METHOD_UNAVAILABLE):
        return opening(DENIED_BY_POLICY, text)
    if code is not None:
        return opening(OTHER, f"{code}: {text}" if text else code)
    if response.status == 403:
        return opening(DENIED_BY_POLICY, "403 Forbidden")
    if response.status == 401:
        return Opening(OTHER, "Exchange refused the token (401)", code or UNAUTHORIZED, response.request_id)
    return opening(OTHER, f"the answer ({response.status}) is not one of Exchange Web Services")


class _Soap:
    """SOAP answers its refusals with status 500 and a fault, which HTTP's own rules would take for a stumble.

    A fault becomes an answer like any other, a fault that only means "later" becomes a 503.
    """

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    def send(self, request: Request, timeout_s: float) -> Response:
        response = self._inner.send(request, timeout_s)
        message = read_message(response.body) if response.status in (200, 500) else None
        if message is None:
            return response
        if message.code in _texts.EWS_TRANSIENT:
            headers: dict[str, t.Any] = dict(response.headers)
            if message.back_off_ms is not None:
                headers.setdefault("retry-after", str(message.back_off_ms / 1000))
            return Response(503, headers, response.body)
        return Response(200, response.headers, response.body)
