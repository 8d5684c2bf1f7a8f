# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A HashiCorp Vault or OpenBao KV version 2 secret, written with check-and-set."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import posixpath
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, Conflict, InvalidInput, M365Error
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, Place
from ansible_collections.mail2fax.m365.plugins.module_utils._time import instant
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores._vault_client import ADMIN, VaultClient
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores._vault_way import Settings

if t.TYPE_CHECKING:
    from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller

Json = dict[str, t.Any]
Version = tuple[int, str]
"""Number and birth. The number alone begins anew at 1 once somebody has removed what was there."""


class HashiVault:
    """One KV secret whose keys are the entry's own."""

    def __init__(self, client: VaultClient, mount: str, path: str) -> None:
        self._client = client
        self._mount = mount
        self._path = path
        self._version: Version | None = None
        self._kept_until: dt.datetime | None = None

    @classmethod
    def from_options(cls, options: t.Mapping[str, t.Any], controller: Controller | None) -> HashiVault:
        """What is not set comes from the variables that Vault's own client reads, and from ~/.vault-token."""
        path = str(options.get("path") or "").strip()
        if not path.strip("/"):
            raise InvalidInput("the store lacks path", cure="set store.path", options=("store",))
        settings = Settings.of(options, os.environ)
        client = VaultClient(settings, controller.logins if controller is not None else None)
        if controller is not None:
            controller.at_end(client.close)
        # One place has one name: the server takes the others for it, too, and answers with a redirect.
        store = cls(client, _plainly(options.get("mount") or "secret"), _plainly(path))
        client.sign_in()
        return store

    @property
    def place(self) -> Place:
        settings = self._client.settings
        namespace = f", namespace {settings.namespace}" if settings.namespace else ""
        return Place("hashi_vault", f"{settings.url}, {self._mount}/{self._path}{namespace}")

    def describe(self) -> str:
        return self.place.words

    @property
    def kept_until(self) -> dt.datetime | None:
        return self._kept_until

    def close(self) -> None:
        """Sign out, unless the run goes on with the token."""
        self._client.close()

    def probe(self) -> None:
        """Ask what kind of mount it is, and what the token may do on the path. Where it may not ask, the noted intent
        is the proof."""
        document = self._asked(
            "ask what kind of mount it is", lambda: self._client.hvac.read(f"sys/internal/ui/mounts/{self._mount}")
        )
        if document is not None:
            self._check_mount(document)
        granted = self._asked(
            "ask for the token's rights", lambda: self._client.hvac.sys.get_capabilities([self._data_path()])
        )
        if granted is None:
            return
        may = {*(granted.get(self._data_path()) or [])}
        if "root" not in may and ("deny" in may or not {"create", "update"} <= may):
            raise Blocked(
                f"the token may not write {self.describe()}",
                attempted="prove the store writable",
                cure=self._policy(),
                who=ADMIN,
            )

    def read(self) -> Entry | None:
        data = self._latest()
        return None if data is None else Entry.from_mapping(data, self.describe())

    def write(self, entry: Entry) -> dt.datetime | None:
        if self._version is None:
            self.read()
        mapping, before = entry.as_mapping(), t.cast("Version", self._version)
        self._check_same(before)

        def put() -> t.Any:
            return self._client.hvac.secrets.kv.v2.create_or_update_secret(
                path=self._path, secret=mapping, cas=before[0], mount_point=self._mount
            )

        try:
            answer = self._said("write the secret", put)
        except Conflict:
            # An attempt before this one may have landed although its answer was lost.
            if self._latest() == mapping and self._version is not None and self._version[0] == before[0] + 1:
                return self._kept_until
            self._version = before
            raise
        if not self._take(answer.get("data") if isinstance(answer, dict) else None):
            self._take_back_from_version_1()
            raise self._version_1("write the secret")
        return self._kept_until

    def remove(self) -> None:
        """All versions: an old one holds a value that may still be alive."""
        purpose = "remove the stored secret"
        self._said(
            purpose,
            lambda: self._client.hvac.secrets.kv.v2.delete_metadata_and_all_versions(
                path=self._path, mount_point=self._mount
            ),
        )
        if self._latest() is not None:
            raise M365Error(
                f"{self.describe()} still holds the secret after its removal",
                attempted=purpose,
                cure="look into the vault, and remove it by hand",
                who=ADMIN,
            )

    def _check_same(self, before: Version) -> None:
        """Check-and-set compares numbers; what was removed and begun anew by somebody else may have the same one."""
        if before[0] == 0:
            return
        self._latest()
        if self._version != before:
            self._version = before
            raise Conflict(
                f"{self.describe()} was changed by somebody else meanwhile",
                attempted="write the secret",
                cure="let only one run at a time work on a tenant, then run again",
            )

    def _latest(self) -> Json | None:
        """The newest version's content, None when there is none; its number is what the next write builds on."""

        def ask() -> t.Any:
            try:
                return self._client.hvac.secrets.kv.v2.read_secret_version(
                    path=self._path, mount_point=self._mount, raise_on_deleted_version=True
                )
            except self._client.errors.InvalidPath as exc:
                if exc.errors:
                    raise  # a missing secret is told without a word, a missing mount is not
                # A deleted version is told from a path that never was by its metadata: the number counts on.
                document = exc.json if isinstance(exc.json, dict) else {}
                metadata = (document.get("data") or {}).get("metadata") or {"version": 0}
                return {"data": {"metadata": metadata, "data": None}}

        answer = self._said("read the stored secret", ask)
        document = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(document, dict) or not self._take(document.get("metadata")):
            raise self._version_1("read the stored secret")
        data = document.get("data")
        return None if data is None else dict(data)

    def _take(self, metadata: t.Any) -> bool:
        """Note which version it is, and until when it is kept. False where this is no answer of version 2."""
        try:
            self._version = int(metadata["version"]), str(metadata.get("created_time") or "")
        except (KeyError, TypeError, ValueError, AttributeError):
            return False
        self._kept_until = instant(metadata.get("deletion_time"))
        return True

    def _check_mount(self, document: Json) -> None:
        kind = str(document.get("type") or "kv")
        if kind not in ("kv", "generic"):
            raise Blocked(
                f"the mount {self._mount} of {self._client.settings.url} is of the kind {kind}, which keeps no secrets",
                attempted="prove the store writable",
                cure="name a KV version 2 mount in store.mount",
                options=("store",),
            )
        if str((document.get("options") or {}).get("version") or "1") != "2":
            raise self._version_1("prove the store writable")

    def _version_1(self, purpose: str) -> Blocked:
        return Blocked(
            f"{self.describe()}: {self._mount} does not answer like a KV version 2 mount. Version 1 compares nothing "
            "before it writes, and keeps no versions",
            attempted=purpose,
            code="KvVersion1",
            cure=f"bao kv enable-versioning {self._mount} (or vault kv enable-versioning), or name another in "
            "store.mount, of version 2",
            who=ADMIN,
            options=("store",),
        )

    def _take_back_from_version_1(self) -> None:
        """What was written there lies under the name that version 2 has for it. Nothing of ours stays, if it may go."""
        with contextlib.suppress(M365Error):
            self._said("take back what was written", lambda: self._client.hvac.delete(self._data_path()))

    def _asked(self, purpose: str, ask: t.Callable[[], t.Any]) -> Json | None:
        """The answer to a question that a token may be kept from; then None."""
        try:
            answer = self._said(purpose, ask)
        except Blocked as exc:
            if exc.code in ("Forbidden", "InvalidPath"):
                return None
            raise
        return dict(answer.get("data") or answer) if isinstance(answer, dict) else None

    def _data_path(self) -> str:
        return f"{self._mount}/data/{self._path}"

    def _policy(self) -> str:
        return (
            f"give the token's policy create, read and update on {self._data_path()}, and delete on "
            f"{self._mount}/metadata/{self._path}"
        )

    def _said(self, purpose: str, ask: t.Callable[[], t.Any]) -> t.Any:
        return self._client.ask(purpose, ask, where=self.describe(), policy=self._policy())


def _plainly(path: str) -> str:
    """Without doubled slashes and without steps to and fro."""
    return posixpath.normpath(f"/{path}").strip("/")
