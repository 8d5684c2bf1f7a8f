# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fax server beside a run: it reads its mailboxes and sends as them every minute, by the accesses of a profile.

It signs in with the application's own secret and keeps each token until it ends, whatever becomes of the grants
meanwhile, as real clients do. By HTTP it really asks; by IMAP, POP and SMTP it asks what the emulator's servers ask of
each session, since a minute of a migration must not cost more than milliseconds (``wire`` has real clients try).
"""

from __future__ import annotations

import json
import typing as t
import urllib.parse
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from tests.emulator import clients, mail_access
from tests.emulator.hosted import HostedEmulator

Json = dict[str, t.Any]
EXCHANGE, GRAPH = "https://outlook.office365.com", "https://graph.microsoft.com"
AGAIN = 6
"""How often a request is sent that the service is too busy for."""
_EWS = """<?xml version="1.0" encoding="utf-8"?>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"
 xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><soap:Header><t:ExchangeImpersonation>
<t:ConnectingSID><t:PrimarySmtpAddress>{address}</t:PrimarySmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>
</soap:Header><soap:Body>{work}</soap:Body></soap:Envelope>"""
_FIND = """<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>
<m:IndexedPageItemView MaxEntriesReturned="1" Offset="0" BasePoint="Beginning"/>
<m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem>"""
_SEND = """<m:CreateItem MessageDisposition="SendOnly"><m:Items><t:Message><t:Subject>fax</t:Subject>
<t:Body BodyType="Text">x</t:Body><t:ToRecipients><t:Mailbox><t:EmailAddress>nobody@example.net</t:EmailAddress>
</t:Mailbox></t:ToRecipients></t:Message></m:Items></m:CreateItem>"""


@dataclass
class FaxSide:
    """One application at work. ``accesses``: the resolved ones of a profile. ``problems``: what did not work, when."""

    emulator: HostedEmulator
    tenant: str
    app_id: str
    secret: str
    mailboxes: t.Sequence[str]
    accesses: t.Sequence[Json]
    closed: t.Sequence[str] = ()
    """Mailboxes that have to stay closed: every token it ever got is tried on them."""
    problems: list[str] = field(default_factory=list)
    ticks: int = 0
    _tokens: dict[str, tuple[str, float]] = field(default_factory=dict)

    def tick(self, *, wire: bool = False) -> None:
        """A minute's work."""
        self.ticks += 1
        for access in self.accesses:
            token = self._token(GRAPH if access["protocol"] == "graph" else EXCHANGE)
            for address in self.mailboxes:
                problem = self._open(access, address, token, wire) if token else "no token"
                if problem:
                    at = f"{self.emulator.now():%d %H:%M:%S}"
                    self.problems.append(f"{at}: {access['protocol']} {address}: {problem}")
        for address in self.closed:
            for resource, (token, until) in self._tokens.items():
                if until > self.emulator.now().timestamp():
                    self._stay_closed(resource, token, address)

    def _stay_closed(self, resource: str, token: str, address: str) -> None:
        ways = ("graph",) if resource == GRAPH else ("ews", "imap", "smtp")
        for protocol in ways:
            access = {"protocol": protocol, "permissions": ["Mail.Read", "Mail.Send"]}
            if self._open(access, address, token, wire=False) is None:
                self.problems.append(f"{self.emulator.now():%d %H:%M:%S}: {protocol} OPENED {address}")

    # --- signing in --------------------------------------------------------------------------------------------------

    def _token(self, resource: str) -> str | None:
        now = self.emulator.now().timestamp()
        held, until = self._tokens.get(resource, ("", 0.0))
        if now < until:
            return held
        form = {
            "grant_type": "client_credentials",
            "client_id": self.app_id,
            "client_secret": self.secret,
            "scope": f"{resource}/.default",
        }
        url = f"https://login.microsoftonline.com/{self.tenant}/oauth2/v2.0/token"
        status, body = self._ask("POST", url, {}, urllib.parse.urlencode(form).encode())
        if status != 200:
            return None
        answer = json.loads(body)
        self._tokens[resource] = str(answer["access_token"]), now + float(answer["expires_in"])
        return self._tokens[resource][0]

    def _ask(self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None = None) -> tuple[int, str]:
        for _attempt in range(AGAIN):
            answer = self.emulator.ask(method, url, headers, body)
            text = bytes(answer.body).decode()
            if answer.status_code not in (429, 503) and "ErrorServerBusy" not in text:
                break
        return answer.status_code, text

    # --- mailboxes ---------------------------------------------------------------------------------------------------

    def _open(self, access: Json, address: str, token: str, wire: bool) -> str | None:
        """None where it read and sent; else what was said."""
        protocol = access["protocol"]
        if protocol == "ews":
            return self._ews(address, token)
        if protocol == "graph":
            return self._graph(access["permissions"], address, token)
        if wire:
            worked = clients.clients_can(self.emulator, token, address, send=protocol == "smtp")
            wanted = {"imap": "imaplib", "pop": "poplib", "smtp": "smtplib"}[protocol]
            return None if wanted in worked else f"only {sorted(worked)} on the wire"
        return self._mail(protocol, address, token)

    def _ews(self, address: str, token: str) -> str | None:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/xml", "User-Agent": "fax server"}
        for work in (_FIND, _SEND):
            body = _EWS.format(address=escape(address), work=work).encode()
            status, text = self._ask("POST", f"{EXCHANGE}/EWS/Exchange.asmx", headers, body)
            if status != 200 or "NoError" not in text:
                return f"{status} {text[:300]}"
        return None

    def _graph(self, permissions: t.Sequence[str], address: str, token: str) -> str | None:
        user = f"{GRAPH}/v1.0/users/{urllib.parse.quote(address)}"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        work: list[tuple[str, str, bytes | None]] = []
        if any(name.startswith("Mail.Read") for name in permissions):
            work.append(("GET", f"{user}/mailFolders/inbox/messages?$top=1", None))
        if "Mail.Send" in permissions:
            recipients = [{"emailAddress": {"address": "nobody@example.net"}}]
            message = {"subject": "fax", "body": {"contentType": "Text", "content": "x"}, "toRecipients": recipients}
            sent = {"message": message, "saveToSentItems": False}
            work.append(("POST", f"{user}/sendMail", json.dumps(sent).encode()))
        if any(name.startswith("Calendars.") for name in permissions):
            span = "startDateTime=2027-01-01T00:00:00Z&endDateTime=2027-01-02T00:00:00Z"
            work.append(("GET", f"{user}/calendarView?{span}", None))
        for method, url, body in work:
            status, text = self._ask(method, url, headers, body)
            if status >= 400:
                return f"{status} {text[:300]}"
        return None

    def _mail(self, protocol: str, address: str, token: str) -> str | None:
        def session(services: t.Any) -> str | None:
            try:
                found = mail_access.sign_in(services.world, services.entra, protocol, None, address, token)
            except mail_access.Refused as refused:
                return refused.key
            if not found.connected:
                return "signed in, and not let in"
            if protocol == "smtp" and not found.sends_as(address):
                return "signed in, and may not send"
            return None

        return self.emulator.inside(session)
