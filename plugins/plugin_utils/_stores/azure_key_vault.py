# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A secret in Azure Key Vault, over its REST interface, with a sign-in of the store's own or with the operator's."""

from __future__ import annotations

import json
import os
import re
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._auth import Token, call_as
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    AnswerLost,
    Blocked,
    Conflict,
    InvalidInput,
    M365Error,
    SignInError,
    Throttled,
    Unreachable,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._http import Request, Response
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, Place
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

if t.TYPE_CHECKING:
    from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller

VERSION = "7.4"
JSON = "application/json"
CONTENT_TYPE = "application/vnd.mail2fax.m365+json"
CREDENTIALS = ("client_secret", "certificate_path", "federated_token_path", "managed_identity")
SIGN_IN = ("tenant", "client_id", *CREDENTIALS, "certificate_passphrase", "cloud")
"""Options of the store, named as the connection's own."""
NO_SUCH_RESOURCE = "AADSTS500011"
DELETED = "ObjectIsDeletedButRecoverable"
RECOVERY_S = 60.0


class _NoAnswer(Blocked):
    """The request went out, and whether the work was done is unknown."""


class AzureKeyVault:
    """One secret whose value is the entry as JSON: Key Vault keeps a value and not much beside it.

    Key Vault has no check-and-set, so the version is compared before every write.
    """

    def __init__(self, tenant: Tenant, vault: str, name: str) -> None:
        """``tenant``: whose identity signs in, in the cloud that the vault is in."""
        self._tenant = tenant
        self._suffix = tenant.cloud.vaults
        self._host = f"{vault.lower()}.{self._suffix}"
        self._name = name
        self._seen: str | None = None
        self._was_read = False

    @classmethod
    def from_options(cls, options: t.Mapping[str, t.Any], controller: Controller) -> AzureKeyVault:
        vault, name = str(options.get("vault") or ""), str(options.get("name") or "")
        if not re.fullmatch(r"[A-Za-z0-9-]{3,24}", vault) or not re.fullmatch(r"[A-Za-z0-9-]{1,127}", name):
            raise InvalidInput(
                "the store's vault or name is not one that Key Vault takes",
                cure="give the vault's name (3 to 24 letters, digits, dashes) and the secret's name (letters, digits, "
                "dashes)",
                options=("store",),
            )
        connection = sign_in_of(options, controller.connection)
        tenant = Tenant(connection, environment=os.environ, share=lambda sign_in: controller.share(sign_in, connection))
        controller.at_end(tenant.close)
        return cls(tenant, vault, name)

    @property
    def place(self) -> Place:
        return Place("azure_key_vault", f"{self._host}, secret {self._name}")

    def describe(self) -> str:
        return self.place.words

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
                    cure="let only one run at a time work on a tenant, then run again",
                )
        body: dict[str, t.Any] = {"value": json.dumps(entry.as_mapping()), "contentType": CONTENT_TYPE}
        if entry.current is not None:
            body["tags"] = {"client_id": entry.current.client_id, "key_id": entry.current.key_id}
        answer = self._put(body)
        if _inner_code(answer) == DELETED:
            self._recover()
            answer = self._put(body)
        document = self._document(answer, "write the secret")
        self._seen, self._was_read = str(document["id"]), True

    def remove(self) -> None:
        """Key Vault keeps a removed secret for a while; its values are dead by then, and a write takes it up again."""
        answer = self._call("DELETE", f"secrets/{self._name}", "remove the stored secret")
        if answer.status != 404:
            self._document(answer, "remove the stored secret")
        self._seen, self._was_read = None, True

    def _put(self, body: dict[str, t.Any]) -> Response:
        for last in (False, True):
            try:
                return self._call("PUT", f"secrets/{self._name}", "write the secret", body)
            except _NoAnswer:
                # The same value again is harmless: it only makes one more version.
                if last:
                    raise
        raise AssertionError("unreachable")

    def _recover(self) -> None:
        """A secret of this name was removed earlier: until it is taken up again the name is taken."""
        purpose = "take up the removed secret again"
        answer = self._call("POST", f"deletedsecrets/{self._name}/recover", purpose, {})
        self._document(answer, purpose)
        if not self._tenant.patiently(lambda: self._get(purpose) is not None, budget_s=RECOVERY_S):
            raise Blocked(
                f"{self.describe()} is still being recovered", attempted=purpose, cure="run again in a minute"
            )

    def _get(self, purpose: str) -> dict[str, t.Any] | None:
        answer = self._call("GET", f"secrets/{self._name}", purpose)
        if answer.status == 404 and _problem(answer).get("code") == "SecretNotFound":
            return None
        return self._document(answer, purpose)

    def _call(self, method: str, path: str, purpose: str, body: dict[str, t.Any] | None = None) -> Response:
        url = f"https://{self._host}/{path}?api-version={VERSION}"
        data = None if body is None else json.dumps(body).encode()

        def request(token: Token) -> Request:
            headers = {"Authorization": f"Bearer {token.value}"}
            return Request(method, url, headers if data is None else {**headers, "Content-Type": JSON}, data)

        tenant = self._tenant
        try:
            return call_as(
                tenant.sign_in,
                f"https://{self._suffix}",
                tenant.http,
                request,
                purpose=purpose,
                idempotent=method in ("GET", "DELETE"),
            )
        except SignInError as exc:
            raise self._not_let_in(exc) from None
        except (AnswerLost, Unreachable, Throttled) as exc:
            # A store's silence is not a lost answer of the tenant, after which the caller would look again.
            kind = _NoAnswer if isinstance(exc, AnswerLost) else Blocked
            raise kind(
                f"{self.describe()}: {exc.message}",
                attempted=exc.attempted,
                status=exc.status,
                cure=exc.cure or "check the vault and the way to it",
                options=("store",),
            ) from None

    def _not_let_in(self, exc: SignInError) -> Blocked:
        """What Entra said, told of the key vault: the operator may be let in everywhere else."""
        tenant = str(self._tenant.options.get("tenant") or "its tenant")
        cure = exc.cure
        if exc.code == NO_SUCH_RESOURCE:
            cure = (
                f"{tenant} has no Azure Key Vault, so the vault belongs to another tenant: set store.tenant, "
                "store.client_id and a credential of that one; or check store.cloud"
            )
        return Blocked(
            f"{self.describe()}: the sign-in for it was refused, {exc.message}",
            attempted=exc.attempted,
            code=exc.code,
            request_id=exc.request_id,
            cure=cure,
            who=exc.who,
            details=exc.details,
            options=("store",),
        )

    def _document(self, answer: Response, purpose: str) -> dict[str, t.Any]:
        document = answer.json()
        if answer.status == 200 and isinstance(document, dict):
            return document
        raise self._refused(answer, purpose)

    def _refused(self, answer: Response, purpose: str) -> M365Error:
        """Only code and status are kept: the text may quote what was sent."""
        code = str(_problem(answer).get("code") or answer.status)
        cure = {
            401: "sign in as an identity of the tenant that owns the vault: store.tenant, store.client_id and one of "
            "store.client_secret, store.certificate_path, store.federated_token_path; or store.managed_identity",
            403: f"give {self._tenant.sign_in.describe()} the role Key Vault Secrets Officer on this vault, and "
            "let this network in",
            404: "check store.vault",
            409: "another operation on this secret is still going on: run again in a minute",
        }.get(answer.status, "check the vault")
        return Blocked(
            f"{self.describe()} answered {answer.status} {code}",
            attempted=purpose,
            status=answer.status,
            code=code,
            request_id=answer.headers.get("x-ms-request-id"),
            cure=cure,
            who="an owner of the key vault",
            options=("store",),
        )


def sign_in_of(options: t.Mapping[str, t.Any], connection: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The connection's options with the store's own sign-in, which comes whole from the store or is the operator's.

    With the tenant (or the cloud) alone it is the operator's application, in that tenant. Raises InvalidInput.
    """
    own = {name: options[name] for name in SIGN_IN if options.get(name)}
    made = {**connection, "exchange_transport": None}
    if not {*own} & {*CREDENTIALS}:
        alone = sorted({*own} & {"client_id", "certificate_passphrase"})
        if alone:
            raise InvalidInput(
                f"store.{alone[0]} is set, and nothing to prove it with",
                cure="set store.client_secret, store.certificate_path, store.federated_token_path or "
                "store.managed_identity too",
                options=("store",),
            )
        return {**made, **own}
    if "client_id" not in own and "managed_identity" not in own:
        raise InvalidInput(
            "store.client_id is missing: a sign-in of the store's own comes whole from the store",
            cure="set store.client_id, the application that may open the vault",
            options=("store",),
        )
    ways = sorted({*own} & {*CREDENTIALS})
    if len(ways) > 1:
        raise InvalidInput(
            f"more than one way to sign in to the vault is set: {', '.join(f'store.{way}' for way in ways)}",
            cure="keep one",
            options=("store",),
        )
    for name in ("client_id", *CREDENTIALS, "certificate_passphrase", "access_token"):
        made[name] = None
    return {**made, **own}


def _problem(answer: Response) -> dict[str, t.Any]:
    document = answer.json()
    problem = document.get("error") if isinstance(document, dict) else None
    return problem if isinstance(problem, dict) else {}


def _inner_code(answer: Response) -> str | None:
    inner = _problem(answer).get("innererror")
    return str(inner.get("code")) if isinstance(inner, dict) else None
