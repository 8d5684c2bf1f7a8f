# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A HashiCorp Vault or OpenBao KV version 2 secret, written with check-and-set."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import (
    Blocked,
    Conflict,
    InvalidInput,
    M365Error,
    MissingLibrary,
)
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, Place

if t.TYPE_CHECKING:
    from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller

PAUSES_S = (0.5, 1.0)
TIMEOUT_S = 30
PASSING = ("BadGateway", "InternalServerError", "RateLimitExceeded")
NO_MATCH = "check-and-set parameter did not match"


class HashiVault:
    """One KV secret whose keys are the entry's own. ``client`` is an ``hvac.Client``, ``errors`` its exceptions."""

    def __init__(
        self,
        client: t.Any,
        errors: t.Any,
        mount: str,
        path: str,
        url: str,
        pause: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._errors = errors
        self._mount = mount
        self._path = path
        self._url = url
        self._pause = pause
        self._version: int | None = None

    @classmethod
    def from_options(cls, options: t.Mapping[str, t.Any], _controller: Controller) -> HashiVault:
        """What is not set comes from the variables that Vault's own client reads, and from ~/.vault-token."""
        try:
            import hvac
            import hvac.exceptions
        except ImportError:
            raise MissingLibrary(
                "the Python library hvac is not installed where Ansible runs",
                cure="pip install hvac, into the environment of ansible-playbook",
            ) from None
        url = options.get("url") or os.environ.get("VAULT_ADDR")
        path = str(options.get("path") or "").strip("/")
        if not url or not path:
            raise InvalidInput(
                "the store lacks url or path", cure="set store.path, and store.url or VAULT_ADDR of the run"
            )
        client = hvac.Client(
            url=url,
            token=options.get("token") or os.environ.get("VAULT_TOKEN"),
            namespace=options.get("namespace") or os.environ.get("VAULT_NAMESPACE"),
            verify=options.get("ca_path") or os.environ.get("VAULT_CACERT") or True,
            timeout=TIMEOUT_S,
        )
        store = cls(client, hvac.exceptions, (options.get("mount") or "secret").strip("/"), path, url)
        if options.get("role_id"):
            store._said(
                "sign in",
                lambda: client.auth.approle.login(options["role_id"], options.get("secret_id")),
            )
        elif not client.token:
            raise InvalidInput(
                "nobody signs in to the vault",
                cure="set store.token or VAULT_TOKEN, or store.role_id with store.secret_id",
            )
        return store

    @property
    def place(self) -> Place:
        return Place("hashi_vault", f"{self._url}, {self._mount}/{self._path}")

    def describe(self) -> str:
        return self.place.words

    def probe(self) -> None:
        """Ask what the token may do on the path; the noted intent is then the first write."""
        try:
            answer = self._said(
                "ask for the token's rights", lambda: self._client.sys.get_capabilities([self._data_path()])
            )
        except Blocked as exc:
            if exc.code == "Forbidden":
                return  # a token may be kept from asking; the noted intent is then the proof
            raise
        document = answer if isinstance(answer, dict) else {}
        granted = set((document.get("data") or document).get(self._data_path()) or [])
        if "root" not in granted and ("deny" in granted or not {"create", "update"} <= granted):
            raise Blocked(
                f"the token may not write {self.describe()}",
                attempted="prove the store writable",
                cure=self._policy(),
                who="whoever administers the vault",
            )

    def read(self) -> Entry | None:
        data = self._latest()
        return None if data is None else Entry.from_mapping(data, self.describe())

    def write(self, entry: Entry) -> None:
        if self._version is None:
            self.read()
        mapping, version = entry.as_mapping(), self._version

        def put() -> t.Any:
            return self._client.secrets.kv.v2.create_or_update_secret(
                path=self._path, secret=mapping, cas=version, mount_point=self._mount
            )

        try:
            answer = self._said("write the secret", put)
        except Conflict:
            # An attempt before this one may have landed although its answer was lost.
            if self._latest() == mapping and self._version == (version or 0) + 1:
                return
            self._version = version
            raise
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

    def _latest(self) -> dict[str, t.Any] | None:
        """The newest version's content, None when there is none; its number is what the next write builds on."""

        def ask() -> t.Any:
            try:
                return self._client.secrets.kv.v2.read_secret_version(
                    path=self._path, mount_point=self._mount, raise_on_deleted_version=True
                )
            except self._errors.InvalidPath as exc:
                if exc.errors:
                    raise  # a missing secret is told without a word, a missing mount is not
                # A deleted version is told from a path that never was by its metadata: the number counts on.
                document = exc.json if isinstance(exc.json, dict) else {}
                return {"data": {"metadata": (document.get("data") or {}).get("metadata") or {}, "data": None}}

        try:
            answer = self._said("read the stored secret", ask)["data"]
            data, version = answer["data"], int(answer["metadata"].get("version") or 0)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Blocked(
                f"{self.describe()} does not answer like a KV version 2 mount",
                attempted="read the stored secret",
                cure=f"check that {self._mount} is one (vault secrets list -detailed)",
            ) from None
        self._version = version
        return None if data is None else dict(data)

    def _data_path(self) -> str:
        return f"{self._mount}/data/{self._path}"

    def _policy(self) -> str:
        return (
            f"give the token's policy create, read and update on {self._data_path()}, and delete on "
            f"{self._mount}/metadata/{self._path}"
        )

    def _said(self, purpose: str, ask: t.Callable[[], t.Any]) -> t.Any:
        """Vault's answer; its refusals in words. Passing faults are tried again.

        A write is safe to repeat because of check-and-set: had the first one landed, the second is refused.
        """
        import requests

        for pause in (*PAUSES_S, None):
            try:
                return ask()
            except (requests.exceptions.RequestException, self._errors.VaultError, ValueError) as exc:
                passing = type(exc).__name__ in PASSING or isinstance(
                    exc, (requests.exceptions.ConnectionError, requests.exceptions.Timeout)
                )
                if pause is None or not passing or isinstance(exc, requests.exceptions.SSLError):
                    raise self._refused(purpose, exc) from None
            self._pause(pause)
        raise AssertionError("unreachable")

    def _refused(self, purpose: str, exc: Exception) -> M365Error:
        """Only the kind of the exception is used: its text may quote what was sent."""
        kind = type(exc).__name__
        if any(NO_MATCH in str(item) for item in getattr(exc, "errors", None) or ()):
            return Conflict(
                f"{self.describe()} was changed by somebody else meanwhile",
                attempted=purpose,
                cure="see to it that two runs do not work on one tenant at once, then run again",
            )
        words, cure = {
            "VaultDown": ("it is sealed or in maintenance", "unseal the vault"),
            "VaultNotInitialized": ("it is not initialized", "initialize the vault"),
            "Forbidden": ("it refuses the token", f"give a token that is still valid; {self._policy()}"),
            "Unauthorized": ("it refuses the token", "give a token that is still valid"),
            "InvalidRequest": ("it refuses the request", "check role_id and secret_id, and the mount's settings"),
            "InvalidPath": ("it knows no such mount", f"check that {self._mount} is a KV version 2 mount"),
            "RateLimitExceeded": ("it is throttled", "run again later"),
            "SSLError": ("its TLS certificate is not trusted here", "name the CA in store.ca_path or VAULT_CACERT"),
        }.get(kind, (f"it does not answer ({kind})", "check url and proxy, and that the vault runs"))
        return Blocked(f"{self.describe()}: {words}", attempted=purpose, code=kind, cure=cure)
