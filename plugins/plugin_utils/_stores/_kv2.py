# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One entry of a KV version 2 mount, a mapping, written with check-and-set. What it means is not known here."""

from __future__ import annotations

import contextlib
import datetime as dt
import posixpath
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, Conflict, M365Error
from ansible_collections.mail2fax.m365.plugins.module_utils._time import instant
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores._vault_client import ADMIN, VaultClient

Json = dict[str, t.Any]
Version = tuple[int, str]
"""Number and birth. The number alone begins anew at 1 once somebody has removed what was there."""


class Kv2:
    """``what`` it holds, in words ("the secret"); ``policy``: what the token's policy has to allow, a sentence's end.

    ``version`` is that of what was read or written last, None before; ``kept_until`` when the server will delete it by
    itself.
    """

    def __init__(self, client: VaultClient, mount: str, path: str, *, what: str, where: str, policy: str) -> None:
        self._client = client
        self._mount = mount
        self._path = path
        self._what = what
        self._where = where
        self._policy = policy
        self.version: Version | None = None
        self.kept_until: dt.datetime | None = None

    def probe(self) -> bool:
        """Ask what kind of mount it is, and what the token may do on the path. False where a token may not ask, so that
        only a write would tell."""
        document = self._asked(
            "ask what kind of mount it is", lambda: self._client.hvac.read(f"sys/internal/ui/mounts/{self._mount}")
        )
        if document is not None:
            self._check_mount(document)
        granted = self._asked(
            "ask for the token's rights", lambda: self._client.hvac.sys.get_capabilities([self._data_path()])
        )
        if granted is None:
            return False
        may = {*(granted.get(self._data_path()) or [])}
        if "root" not in may and ("deny" in may or not {"create", "update"} <= may):
            raise Blocked(
                f"the token may not write {self._where}",
                attempted="prove the store writable",
                cure=self._policy,
                who=ADMIN,
                options=("store",),
            )
        return document is not None

    def latest(self) -> Json | None:
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

        purpose = f"read {self._what}"
        answer = self._said(purpose, ask)
        document = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(document, dict) or not self._take(document.get("metadata")):
            raise self._version_1(purpose)
        data = document.get("data")
        return None if data is None else dict(data)

    def put(self, mapping: Json) -> None:
        """Replace what is there, if it is still what was read or written last. Raises Conflict, Blocked."""
        before, purpose = t.cast("Version", self.version), f"write {self._what}"

        def put() -> t.Any:
            return self._client.hvac.secrets.kv.v2.create_or_update_secret(
                path=self._path, secret=mapping, cas=before[0], mount_point=self._mount
            )

        try:
            answer = self._said(purpose, put)
        except Conflict:
            # An attempt before this one may have landed although its answer was lost.
            if self.latest() == mapping and self.version is not None and self.version[0] == before[0] + 1:
                return
            self.version = before
            raise
        if not self._take(answer.get("data") if isinstance(answer, dict) else None):
            self._take_back_from_version_1()
            raise self._version_1(purpose)

    def check_same(self) -> None:
        """Check-and-set compares numbers; what was removed and begun anew by somebody else may have the same one.
        Raises Conflict."""
        before = t.cast("Version", self.version)
        if before[0] == 0:
            return
        self.latest()
        if self.version != before:
            self.version = before
            raise self.changed_meanwhile()

    def changed_meanwhile(self) -> Conflict:
        return Conflict(
            f"{self._where} was changed by somebody else meanwhile",
            attempted=f"write {self._what}",
            cure="let only one run at a time work on a tenant, then run again",
        )

    def remove(self) -> None:
        """All versions: an old one holds a value that may still be alive."""
        purpose = f"remove {self._what}"
        self._said(
            purpose,
            lambda: self._client.hvac.secrets.kv.v2.delete_metadata_and_all_versions(
                path=self._path, mount_point=self._mount
            ),
        )
        if self.latest() is not None:
            raise M365Error(
                f"{self._where} still holds {self._what} after its removal",
                attempted=purpose,
                cure="look into the vault, and remove it by hand",
                who=ADMIN,
            )

    def _take(self, metadata: t.Any) -> bool:
        """Note which version it is, and until when it is kept. False where this is no answer of version 2."""
        try:
            self.version = int(metadata["version"]), str(metadata.get("created_time") or "")
        except (KeyError, TypeError, ValueError, AttributeError):
            return False
        self.kept_until = instant(metadata.get("deletion_time"))
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
            f"{self._where}: {self._mount} does not answer like a KV version 2 mount. Version 1 compares nothing "
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

    def _said(self, purpose: str, ask: t.Callable[[], t.Any]) -> t.Any:
        return self._client.ask(purpose, ask, where=self._where, policy=self._policy)


def plainly(path: str) -> str:
    """Without doubled slashes and without steps to and fro."""
    return posixpath.normpath(f"/{path}").strip("/")
