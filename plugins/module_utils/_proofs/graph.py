# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The proof by Microsoft Graph: the smallest request that each permission is for, ids only.

Mail.* is proved by a list of messages, Calendars.* by a day's view. Mail.Send alone can be proved only by sending: the
dry proof of it is ``signed_in``, neither opened nor refused, as with SMTP. An answer never says whether the permission
is missing, the role does not reach the mailbox, or a change is not in force: 403 and one text stand for all.
"""

from __future__ import annotations

import datetime as dt
import json
import typing as t
import urllib.parse

from ansible_collections.mail2fax.m365.plugins.module_utils import _names, _texts
from ansible_collections.mail2fax.m365.plugins.module_utils._accesses import Access
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import Cloud
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import AnswerLost, Throttled
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http, Request, Response
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs.proof import (
    DENIED_BY_POLICY,
    NO_MAILBOX,
    NO_PERMISSION,
    OPENED,
    OTHER,
    REFUSED,
    SIGNED_IN,
    THROTTLED,
    UNAUTHORIZED,
    UNSURE,
    Found,
    Letter,
    Opening,
)

SEND = "Mail.Send"
_PATHS = {
    "Mail": "/messages?$top=1&$select=id",
    "Calendars": "/calendarView?startDateTime={now}&endDateTime={then}&$top=1&$select=id",
    "Contacts": "/contacts?$top=1&$select=id",
    "MailboxSettings": "/mailboxSettings?$select=timeZone",
    "MailboxFolder": "/mailFolders/inbox?$select=id",
}
"""What is asked for, by the first word of a permission."""


class GraphMail:
    """Mailboxes of one tenant, opened with a token that the caller brings."""

    needs_role: t.ClassVar[str | None] = None
    switched_off: t.ClassVar[str | None] = None
    service: t.ClassVar[str] = "Microsoft Graph"
    opened_by: t.ClassVar[str] = "nothing has to be switched on for it"

    @staticmethod
    def audience(cloud: Cloud) -> str:
        return cloud.graph_audience

    @classmethod
    def of(cls, http: Http, cloud: Cloud, access: Access) -> GraphMail:
        return cls(http, cloud, access.permissions)

    def __init__(self, http: Http, cloud: Cloud, permissions: t.Iterable[str] = ("Mail.Read",)) -> None:
        self._http = http
        self._base = f"https://{cloud.graph}/v1.0/users/"
        self._permissions = tuple(permissions)

    @property
    def sends(self) -> bool:
        return SEND in self._permissions

    @property
    def reads(self) -> bool:
        return any(name in ("Mail.Read", "Mail.ReadWrite") for name in self._permissions)

    def open(self, token: Token, address: str) -> Opening:
        """One attempt, patient only with a busy service: opened when everything that can be read is. Raises
        Unreachable and AnswerLost."""
        opening = Opening(SIGNED_IN)
        for path in self._paths():
            opening = self._read(token, address, path)
            if opening.verdict != OPENED:
                break
        return opening

    def send(self, token: Token, letter: Letter) -> Opening:
        """Send the letter, once; no copy is kept. Raises Unreachable."""
        recipient = {"emailAddress": {"address": letter.address}}
        message = {
            "subject": letter.subject,
            "body": {"contentType": "Text", "content": letter.text},
            "toRecipients": [recipient],
        }
        body = json.dumps({"message": message, "saveToSentItems": False}).encode()
        try:
            response = self._ask("POST", token, letter.address, "/sendMail", f"send as {letter.address}", body)
        except Throttled as exc:
            return Opening(THROTTLED, exc.message, exc.code, exc.request_id)
        except AnswerLost as exc:
            return Opening(OTHER, f"{exc.message}; whether it was sent is unknown", UNSURE, exc.request_id)
        return Opening(OPENED, None, None, response.request_id) if response.status == 202 else judge(response)

    def take(self, token: Token, letter: Letter) -> Found:
        """Look for the letter, and remove it if it is there."""
        address, purpose = letter.address, f"look for the message in {letter.address}"
        for field, value in (("internetMessageId", letter.message_id), ("subject", letter.subject)):
            path = f"/messages?$filter={field}%20eq%20{_names.odata(value)}&$select=id"
            response = self._ask("GET", token, address, path, purpose)
            rows = _rows(response)
            if rows is None:
                return Found(False, reason=judge(response).reason)
            if rows:
                break
        else:
            return Found(False)
        for row in rows:
            refused = self._remove(token, address, str(row.get("id")))
            if refused is not None:
                return Found(True, reason=refused)
        return Found(True, gone=True)

    def _remove(self, token: Token, address: str, key: str) -> str | None:
        """For good where the cloud can, else to the deleted items; why not, where it may not."""
        path, purpose = f"/messages/{urllib.parse.quote(key, safe='')}", f"remove the message from {address}"
        try:
            response = self._ask("POST", token, address, f"{path}/permanentDelete", purpose, b"{}")
        except AnswerLost:
            response = Response(404)
        if response.status not in (204, 403):
            response = self._ask("DELETE", token, address, path, purpose)
        return None if response.status in (204, 404) else judge(response).reason

    def _paths(self) -> list[str]:
        now = self._http.service_time()
        day = {
            "now": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "then": (now + dt.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        words = dict.fromkeys(name.partition(".")[0] for name in self._permissions if name != SEND)
        return [_PATHS[word].format(**day) for word in words if word in _PATHS]

    def _read(self, token: Token, address: str, path: str) -> Opening:
        try:
            return judge(self._ask("GET", token, address, path, f"open the mailbox {address}"))
        except Throttled as exc:
            return Opening(THROTTLED, exc.message, exc.code, exc.request_id)

    def _ask(
        self, method: str, token: Token, address: str, path: str, purpose: str, body: bytes | None = None
    ) -> Response:
        headers = {"Authorization": f"Bearer {token.value}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        url = f"{self._base}{urllib.parse.quote(address, safe='@')}{path}"
        return self._http.call(Request(method, url, headers, body), purpose=purpose, idempotent=method != "POST")


def judge(response: Response) -> Opening:
    """The verdict of one answer."""
    body = response.json()
    problem = body.get("error") if isinstance(body, dict) else None
    code = str(problem.get("code") or "") if isinstance(problem, dict) else ""
    text = " ".join(str(problem.get("message") or "").split()) if isinstance(problem, dict) else ""
    told = ": ".join(part for part in (f"{response.status} {code}".strip(), text) if part)

    def opening(verdict: str) -> Opening:
        return Opening(verdict, told, code or None, response.request_id)

    if response.status == 200 and isinstance(body, dict) and problem is None:
        answers = isinstance(body.get("value"), list) or "id" in body or "timeZone" in body
        if answers:
            return Opening(OPENED, None, None, response.request_id)
        return Opening(OTHER, "the answer (200) is not Microsoft Graph's", None, response.request_id)
    if code in _texts.GRAPH_MAIL_ABSENT:
        return opening(NO_MAILBOX)
    if response.status == 401:
        return Opening(OTHER, f"Microsoft Graph refused the token ({told})", UNAUTHORIZED, response.request_id)
    if response.status == 403:
        if _texts.says(text, _texts.GRAPH_MAIL_BY_POLICY):
            return opening(DENIED_BY_POLICY)
        if code in _texts.GRAPH_MAIL_SEND_AS:
            return opening(NO_PERMISSION)
        if code in _texts.GRAPH_MAIL_REFUSED:
            return opening(REFUSED)
    if not code:
        return Opening(OTHER, f"the answer ({response.status}) is not Microsoft Graph's", None, response.request_id)
    return opening(OTHER)


def _rows(response: Response) -> list[dict[str, t.Any]] | None:
    body = response.json()
    rows = body.get("value") if response.status == 200 and isinstance(body, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else None
