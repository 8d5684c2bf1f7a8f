# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One sign-in to a vault for all tasks of a run, ended with the run.

The token lies beside the operator's, encrypted in the same way (``_tokens``). The process that runs the playbook ends
it: whatever has become of the tasks, of their hosts and of the plays behind them, that is the last to go. A run that
is killed leaves its token to ``token_ttl``.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import hmac
import json
import multiprocessing
import os
import pathlib
import tempfile
import typing as t
from dataclasses import asdict, dataclass

from ansible import constants

from ansible_collections.mail2fax.m365.plugins.plugin_utils._tokens import KEY, locked

PREFIX = "m365store-"
GOODBYE_S = 5
_LOADED_IN = os.getpid()


@dataclass(frozen=True)
class Login:
    """A token, and where it is good for something."""

    token: str
    url: str
    namespace: str | None = None
    ca_path: str | None = None

    def __repr__(self) -> str:
        return f"Login({self.url})"

    def revoke(self) -> None:
        """End it. A server that does not answer any more ends it by itself, later."""
        # hvac would ask for more than this needs, and retry.
        import requests

        from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import _vault_way

        settings = _vault_way.Settings(self.url, self.namespace, self.ca_path, None, None, None)
        headers = {"X-Vault-Token": self.token, "X-Vault-Request": "true"}
        if self.namespace:
            headers["X-Vault-Namespace"] = self.namespace
        with contextlib.suppress(requests.exceptions.RequestException, OSError), _vault_way.session(settings) as way:
            way.post(
                f"{self.url}/v1/auth/token/revoke-self",
                headers=headers,
                timeout=GOODBYE_S,
                allow_redirects=False,
                verify=_vault_way.verify(settings),
            )


class Logins:
    """What the tasks of one run share. Where the folder cannot hold it, everyone signs in alone, and out."""

    def __init__(self, folder: str, key: bytes = KEY) -> None:
        self._folder = pathlib.Path(folder)
        self._key = key

    def shared(
        self, identity: t.Sequence[str], login: t.Callable[[], Login], refused: str | None = None
    ) -> tuple[Login, bool]:
        """The run's login of this identity; a new one, if there is none, or it is the one that was ``refused``.

        And whether the run knows of it, so that whoever asks need not end it.
        """
        # Keyed: the name must not let anybody test guesses of a secret.
        name = hmac.new(self._key, json.dumps([*identity]).encode(), hashlib.sha256).hexdigest()
        place = self._folder / f"{PREFIX}{name}"
        with locked(place.with_suffix(".lock")) as together:
            found = _load(place, self._key) if together else None
            if found is not None and found.token != refused:
                return found, True
            found = login()
            return found, together and self._save(place, found)

    def _save(self, place: pathlib.Path, login: Login) -> bool:
        from cryptography.fernet import Fernet

        with contextlib.suppress(OSError):
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=f".{PREFIX}")
            with os.fdopen(handle, "wb") as stream:
                stream.write(Fernet(self._key).encrypt(json.dumps(asdict(login)).encode()))
            os.replace(name, place)
            return True
        return False


def of_this_run() -> Logins | None:
    """The logins of the run; None where nothing can be shared: whoever asks then signs in alone, and out.

    A worker that has loaded this file itself, as one that begins with a look-up, has a key that nobody else has, and
    nobody would end what it shares.
    """
    alone = multiprocessing.parent_process() is not None and os.getpid() == _LOADED_IN
    return Logins(constants.DEFAULT_LOCAL_TMP) if KEY and not alone else None


def end_all(folder: str, key: bytes = KEY) -> int:
    """End every login that a run has left in its folder; how many there were."""
    ended = 0
    with contextlib.suppress(OSError):
        for place in pathlib.Path(folder).glob(f"{PREFIX}*"):
            login = _load(place, key) if not place.suffix else None
            if login is not None:
                login.revoke()
                place.unlink(missing_ok=True)
                ended += 1
    return ended


def _load(place: pathlib.Path, key: bytes) -> Login | None:
    from cryptography.fernet import Fernet, InvalidToken

    try:
        return Login(**json.loads(Fernet(key).decrypt(place.read_bytes())))
    except (OSError, InvalidToken, ValueError, TypeError):
        return None


def _at_the_end(process: int = os.getpid()) -> None:
    """In the process that has forked the workers, never in one of them."""
    if KEY and os.getpid() == process:
        end_all(constants.DEFAULT_LOCAL_TMP)


atexit.register(_at_the_end)
