# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A HashiCorp Vault or OpenBao KV version 2 secret, written with check-and-set."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Blocked,
    Conflict,
    InvalidInput,
    M365Error,
    MissingLibrary,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry

ATTEMPTS = 3


class HashiVault:
    """One KV secret whose keys are the entry's own. ``client`` is an ``hvac.Client``."""

    def __init__(self, client: t.Any, exceptions: t.Any, mount: str, path: str, url: str) -> None:
        self._client = client
        self._exceptions = exceptions
        self._mount = mount
        self._path = path
        self._url = url
        self._version: int | None = None

    @classmethod
    def from_options(cls, options: t.Mapping[str, t.Any]) -> HashiVault:
        try:
            import hvac
            import hvac.exceptions
        except ImportError:
            raise MissingLibrary(
                "the Python library hvac is not installed where Ansible runs",
                cure="pip install hvac, into the environment of ansible-playbook",
            ) from None
        url = options.get("url") or os.environ.get("VAULT_ADDR")
        if not url or not options.get("path"):
            raise InvalidInput(
                "the store lacks url or path", cure="set store.path, and store.url or VAULT_ADDR of the run"
            )
        token = options.get("token") or os.environ.get("VAULT_TOKEN")
        client = hvac.Client(
            url=url,
            token=token,
            namespace=options.get("namespace") or os.environ.get("VAULT_NAMESPACE"),
            verify=options.get("ca_path") or os.environ.get("VAULT_CACERT") or True,
            timeout=30,
        )
        store = cls(client, hvac.exceptions, options.get("mount") or "secret", options["path"].strip("/"), url)
        if options.get("role_id"):
            store._said(
                "sign in",
                lambda: client.auth.approle.login(options["role_id"], options.get("secret_id")),
            )
        elif not token:
            raise InvalidInput(
                "nobody signs in to the vault",
                cure="set store.token or VAULT_TOKEN, or store.role_id with store.secret_id",
            )
        return store

    def describe(self) -> str:
        return f"HashiCorp Vault {self._url}, {self._mount}/{self._path}"

    def probe(self) -> None:
        """Ask what the token may do on the path; the noted intent is then the first write."""
        answer = self._said(
            "ask for the token's rights", lambda: self._client.sys.get_capabilities([self._data_path()])
        )
        granted = set((answer or {}).get("data", answer or {}).get(self._data_path()) or [])
        if not granted & {"root"} and not {"create", "update"} <= granted:
            raise Blocked(
                f"the token may not write {self.describe()}",
                attempted="prove the store writable",
                cure=f"give its policy create, read, update and delete on {self._data_path()}",
                who="whoever administers the vault",
            )

    def read(self) -> Entry | None:
        def ask() -> t.Any:
            try:
                return self._client.secrets.kv.v2.read_secret_version(
                    path=self._path, mount_point=self._mount, raise_on_deleted_version=True
                )
            except self._exceptions.InvalidPath as exc:
                # A deleted version is told from a path that never was by its metadata: the number counts on.
                metadata = ((getattr(exc, "json", None) or {}).get("data") or {}).get("metadata") or {}
                self._version = int(metadata.get("version") or 0)
                return None

        answer = self._said("read the stored secret", ask)
        if answer is None:
            return None
        data = answer["data"]
        self._version = int(data["metadata"]["version"])
        return Entry.from_mapping(data["data"] or {}, self.describe())

    def write(self, entry: Entry) -> None:
        if self._version is None:
            self.read()

        def put() -> t.Any:
            return self._client.secrets.kv.v2.create_or_update_secret(
                path=self._path, secret=entry.as_mapping(), cas=self._version, mount_point=self._mount
            )

        answer = self._said("write the secret", put)
        self._version = int(answer["data"]["version"])

    def remove(self) -> None:
        """All versions: an old one holds a value that may still be alive."""
        self._said(
            "remove the stored secret",
            lambda: self._client.secrets.kv.v2.delete_metadata_and_all_versions(
                path=self._path, mount_point=self._mount
            ),
        )
        self._version = 0

    def _data_path(self) -> str:
        return f"{self._mount}/data/{self._path}"

    def _said(self, purpose: str, ask: t.Callable[[], t.Any]) -> t.Any:
        """Vault's answer; its refusals in words. Passing faults are tried again where that is safe.

        A write is safe to repeat because of check-and-set: had the first one landed, the second is refused.
        """
        import requests

        for attempt in range(1, ATTEMPTS + 1):
            try:
                return ask()
            except (requests.exceptions.ConnectionError, requests.exceptions.Timeout, self._passing()) as exc:
                if attempt == ATTEMPTS:
                    raise self._blocked(purpose, exc) from None
            except self._exceptions.VaultError as exc:
                raise self._blocked(purpose, exc) from None
        raise AssertionError("unreachable")

    def _passing(self) -> tuple[type[Exception], ...]:
        names = ("BadGateway", "InternalServerError", "RateLimitExceeded")
        return tuple(getattr(self._exceptions, name) for name in names)

    def _blocked(self, purpose: str, exc: Exception) -> M365Error:
        """Only the kind of the exception is used: its text may quote what was sent."""
        kind = type(exc).__name__
        said = " ".join(str(item) for item in getattr(exc, "errors", None) or [])
        if "check-and-set" in said:
            return Conflict(
                f"{self.describe()} was changed by somebody else meanwhile",
                attempted=purpose,
                cure="see to it that two runs do not work on one tenant at once, then run again",
            )
        cure = {
            "VaultDown": "unseal the vault",
            "VaultNotInitialized": "initialize the vault",
            "Forbidden": f"give the token's policy create, read, update and delete on {self._data_path()}",
            "Unauthorized": "give a token that is still valid",
            "InvalidPath": f"check that {self._mount} is a KV version 2 mount",
        }.get(kind, "check url, proxy and CA, and that the vault answers")
        words = {
            "VaultDown": "it is sealed",
            "Forbidden": "it refuses the token",
            "Unauthorized": "it refuses the token",
        }
        return Blocked(f"{self.describe()}: {words.get(kind, kind)}", attempted=purpose, cure=cure)
