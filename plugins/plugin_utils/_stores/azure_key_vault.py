# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A secret in Azure Key Vault, over its REST interface with the operator's own sign-in."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._auth import SignIn
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    Blocked,
    Conflict,
    InvalidInput,
    M365Error,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Http, Request, Response
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry

VERSION = "7.4"
CONTENT_TYPE = "application/vnd.mail2fax.m365+json"


class AzureKeyVault:
    """One secret whose value is the entry as JSON: Key Vault keeps a value and not much beside it.

    Key Vault has no check-and-set, so the version is compared before every write.
    """

    def __init__(self, http: Http, sign_in: SignIn, host: str, name: str) -> None:
        self._http = http
        self._sign_in = sign_in
        self._host = host
        self._name = name
        self._seen: str | None = None
        self._was_read = False

    @classmethod
    def from_options(cls, options: t.Mapping[str, t.Any], http: Http, sign_in: SignIn, suffix: str) -> AzureKeyVault:
        vault, name = str(options.get("vault") or ""), str(options.get("name") or "")
        if not re.fullmatch(r"[A-Za-z0-9-]{3,24}", vault) or not re.fullmatch(r"[A-Za-z0-9-]{1,127}", name):
            raise InvalidInput(
                "the store's vault or name is not one that Key Vault takes",
                cure="give the vault's name (3 to 24 letters, digits, dashes) and the secret's name (letters, digits, "
                "dashes)",
            )
        return cls(http, sign_in, f"{vault.lower()}.{suffix}", name)

    def describe(self) -> str:
        return f"Azure Key Vault {self._host}, secret {self._name}"

    def probe(self) -> None:
        """Reading is what can be proven without a new version; the noted intent is then the first write."""
        self._get("prove the store reachable")

    def read(self) -> Entry | None:
        document = self._get("read the stored secret")
        self._seen, self._was_read = (str(document["id"]) if document else None), True
        if document is None:
            return None
        try:
            mapping = json.loads(document.get("value") or "")
        except ValueError:
            mapping = None
        if not isinstance(mapping, dict):
            raise Blocked(
                f"{self.describe()} holds something that is not a secret of this collection",
                attempted="read the stored secret",
                cure="choose another name for the secret, or remove what is there",
            )
        return Entry.from_mapping(mapping, self.describe())

    def write(self, entry: Entry) -> None:
        if self._was_read:
            document = self._get("write the secret")
            if (str(document["id"]) if document else None) != self._seen:
                raise Conflict(
                    f"{self.describe()} was changed by somebody else meanwhile",
                    attempted="write the secret",
                    cure="see to it that two runs do not work on one tenant at once, then run again",
                )
        body: dict[str, t.Any] = {"value": json.dumps(entry.as_mapping()), "contentType": CONTENT_TYPE}
        if entry.current is not None:
            body["tags"] = {"client_id": entry.current.client_id, "key_id": entry.current.key_id}
        try:
            answer = self._call("PUT", "write the secret", body)
        except AnswerLost:
            # The same value again is harmless: it only makes one more version.
            answer = self._call("PUT", "write the secret", body)
        document = self._document(answer, "write the secret")
        self._seen, self._was_read = str(document["id"]), True

    def remove(self) -> None:
        answer = self._call("DELETE", "remove the stored secret")
        if answer.status != 404:
            self._document(answer, "remove the stored secret")
        self._seen, self._was_read = None, True

    def _get(self, purpose: str) -> dict[str, t.Any] | None:
        answer = self._call("GET", purpose)
        problem = answer.json()
        code = ((problem or {}).get("error") or {}).get("code") if isinstance(problem, dict) else None
        if answer.status == 404 and code == "SecretNotFound":
            return None
        return self._document(answer, purpose)

    def _call(self, method: str, purpose: str, body: dict[str, t.Any] | None = None) -> Response:
        audience = "https://" + self._host.split(".", 1)[1]
        headers = {"Authorization": f"Bearer {self._sign_in.token(audience).value}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        url = f"https://{self._host}/secrets/{self._name}?api-version={VERSION}"
        data = None if body is None else json.dumps(body).encode()
        return self._http.call(
            Request(method, url, headers, data), purpose=f"{purpose} ({self.describe()})", idempotent=method != "PUT"
        )

    def _document(self, answer: Response, purpose: str) -> dict[str, t.Any]:
        document = answer.json()
        if answer.status < 300 and isinstance(document, dict):
            return document
        raise self._refused(answer, purpose)

    def _refused(self, answer: Response, purpose: str) -> M365Error:
        document = answer.json()
        problem = document.get("error") if isinstance(document, dict) else None
        code = str((problem or {}).get("code") or answer.status)
        cure = {
            401: "sign in with an identity of the tenant that owns the vault",
            403: "give the operator the role Key Vault Secrets Officer on this vault, and let its network through",
            404: "check store.vault",
            409: "recover or purge the deleted secret of this name first",
        }.get(answer.status, "check the vault")
        return Blocked(
            f"{self.describe()} answered {answer.status} {code}",
            attempted=purpose,
            status=answer.status,
            code=code,
            request_id=answer.headers.get("x-ms-request-id"),
            cure=cure,
            who="an owner of the key vault",
        )
