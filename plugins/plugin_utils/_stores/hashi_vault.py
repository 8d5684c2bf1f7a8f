# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A HashiCorp Vault or OpenBao KV version 2 secret, written with check-and-set."""

from __future__ import annotations

import datetime as dt
import os
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, Place
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores._kv2 import Kv2, plainly
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores._vault_client import VaultClient
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores._vault_way import Settings

if t.TYPE_CHECKING:
    from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller


class HashiVault:
    """One KV secret whose keys are the entry's own."""

    def __init__(self, client: VaultClient, mount: str, path: str) -> None:
        self._client = client
        self._mount = mount
        self._path = path
        policy = (
            f"give the token's policy create, read and update on {mount}/data/{path}, and delete on "
            f"{mount}/metadata/{path}"
        )
        self._kv = Kv2(client, mount, path, what="the stored secret", where=self.describe(), policy=policy)

    @classmethod
    def from_options(cls, options: t.Mapping[str, t.Any], controller: Controller | None) -> HashiVault:
        """What is not set comes from the variables that Vault's own client reads, and from ~/.vault-token."""
        path = str(options.get("path") or "").strip()
        if not path.strip("/"):
            raise InvalidInput("the store lacks path", cure="set store.path", options=("store",))
        client = client_of(options, controller)
        # One place has one name: the server takes the others for it, too, and answers with a redirect.
        store = cls(client, plainly(options.get("mount") or "secret"), plainly(path))
        client.sign_in()
        return store

    @property
    def place(self) -> Place:
        return place_of(self._client.settings, self._mount, self._path)

    def describe(self) -> str:
        return self.place.words

    @property
    def kept_until(self) -> dt.datetime | None:
        return self._kv.kept_until

    def close(self) -> None:
        """Sign out, unless the run goes on with the token."""
        self._client.close()

    def probe(self) -> None:
        """Where the token may not ask for its rights, the noted intent is the proof."""
        self._kv.probe()

    def read(self) -> Entry | None:
        data = self._kv.latest()
        return None if data is None else Entry.from_mapping(data, self.describe())

    def write(self, entry: Entry) -> dt.datetime | None:
        if self._kv.version is None:
            self.read()
        self._kv.check_same()
        self._kv.put(entry.as_mapping())
        return self._kv.kept_until

    def remove(self) -> None:
        self._kv.remove()


def client_of(options: t.Mapping[str, t.Any], controller: Controller | None) -> VaultClient:
    """Not yet signed in; closed when the task ends."""
    client = VaultClient(Settings.of(options, os.environ), controller.logins if controller is not None else None)
    if controller is not None:
        controller.at_end(client.close)
    return client


def place_of(settings: Settings, mount: str, path: str) -> Place:
    namespace = f", namespace {settings.namespace}" if settings.namespace else ""
    return Place("hashi_vault", f"{settings.url}, {mount}/{path}{namespace}")
