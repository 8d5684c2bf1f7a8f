# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""A YAML mapping, wholly encrypted with Ansible Vault, one file per tenant."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import pathlib
import stat
import tempfile
import time
import typing as t

import yaml
from ansible import constants
from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, get_file_vault_secret, is_encrypted, match_encrypt_secret

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, Conflict, InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._store import Entry, Place
from ansible_collections.mail2fax.m365.plugins.plugin_utils._own_files import LOADER

if t.TYPE_CHECKING:
    from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller


BESIDE = "m365-"
LOCKED_AT_MOST_S = 30.0
"""Somebody else's write takes an instant; who holds the lock for longer than this does something else."""
PAUSE_S = 0.1
LARGEST = 4 * 1024 * 1024
"""Bytes: an entry has some thousand."""
PRIVATE = 0o600


class VaultFile:
    """One file, mode 0600, always replaced whole: written beside, synced, renamed. A link is followed, not replaced.

    ``secrets`` are the vault secrets that may open it, as (vault id, secret) pairs; ``vault_id`` chooses the one
    that encrypts when there are several.
    """

    def __init__(
        self,
        path: pathlib.Path,
        secrets: t.Sequence[tuple[str, t.Any]],
        *,
        vault_id: str | None = None,
        pause: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = pathlib.Path(os.path.realpath(path))
        self._named = path
        self._vault = VaultLib(list(secrets))
        self._seen: bytes | None = None
        self._was_read = False
        self._pause = pause
        try:
            chosen = match_encrypt_secret(secrets, encrypt_vault_id=vault_id)
        except AnsibleError:
            chosen = None
        if chosen is None:
            raise Blocked(
                "the run has no vault password to protect the secret with"
                + (f" under the vault id {vault_id!r}" if vault_id else ""),
                attempted=f"open {self.describe()}",
                cure="start the run with --vault-id or --vault-password-file (ANSIBLE_VAULT_PASSWORD_FILE), or set "
                "password_file in the store",
                options=("store",),
            )
        self._encrypting_id, self._encrypting = chosen

    @classmethod
    def from_options(cls, options: t.Mapping[str, t.Any], controller: Controller) -> VaultFile:
        loader, path = controller.loader, options.get("path")
        if not path:
            raise InvalidInput("store.path is missing", cure="name the file that shall hold the secret")
        secrets: list[tuple[str, t.Any]] = []
        if options.get("password_file"):
            vault_id = options.get("vault_id") or "default"
            name = os.path.expanduser(options["password_file"])
            try:
                if not stat.S_ISREG(os.stat(name).st_mode):
                    raise OSError("a pipe can be read only once, and waits until something is written into it")
                secret = get_file_vault_secret(filename=name, vault_id=vault_id, loader=loader)
                secret.load()
            except (AnsibleError, OSError):
                raise Blocked(
                    f"the vault password file {options['password_file']!r} cannot be used",
                    cure="name a file that holds the password, or an executable that prints it",
                ) from None
            secrets.append((vault_id, secret))
        else:
            secrets.extend(_secrets_of(loader))
        vault_id = options.get("vault_id") or (None if options.get("password_file") else _encrypting_id(secrets))
        return cls(pathlib.Path(path).expanduser().absolute(), secrets, vault_id=vault_id)

    @property
    def place(self) -> Place:
        return Place("vault_file", str(self._named))

    def describe(self) -> str:
        return self.place.words

    def probe(self) -> None:
        """Write, sync and remove a file of the entry's size beside it; where the folder is still to be made, see
        whether it can be."""
        if os.path.isdir(self._path):
            raise self._refused(IsADirectoryError(0, "it is a folder"))
        if os.path.isdir(self._path.parent):
            with self._locked():
                self._write_beside(b"\n" * max(4096, 2 * len(self._seen or b"")), keep=False)
            return
        nearest = next(folder for folder in self._path.parents if os.path.exists(folder))
        if not os.path.isdir(nearest) or not os.access(nearest, os.W_OK | os.X_OK):
            raise self._refused(PermissionError(0, f"{nearest} does not let a folder be made"))

    def read(self) -> Entry | None:
        content = self._content()
        self._seen, self._was_read = content, True
        if self._leftovers():
            with self._locked():
                self._sweep()
        if content is None:
            return None
        if not is_encrypted(content):
            raise Blocked(
                f"{self.describe()} is not encrypted",
                attempted="read the stored secret",
                cure="move the file away; if a secret lay in it in clear, rotate it",
            )
        try:
            mapping = yaml.load(self._vault.decrypt(content), Loader=LOADER)  # noqa: S506 - a safe one
        except AnsibleError:
            raise Blocked(
                f"{self.describe()} cannot be opened with this run's vault passwords",
                attempted="read the stored secret",
                cure="start the run with the vault password that the file was written with",
            ) from None
        except yaml.YAMLError:
            mapping = None
        if not isinstance(mapping, dict):
            raise Blocked(
                f"{self.describe()} opens, but what is in it is not a mapping",
                attempted="read the stored secret",
                cure="restore the file from a backup, or move it away: then a new secret is made",
            )
        return Entry.from_mapping(mapping, self.describe())

    def write(self, entry: Entry) -> None:
        text = yaml.safe_dump(entry.as_mapping(), sort_keys=False, allow_unicode=True)
        encrypted = self._vault.encrypt(text, self._encrypting, vault_id=self._encrypting_id)
        content = encrypted if isinstance(encrypted, bytes) else str(encrypted).encode()
        self._make_folders()
        with self._locked():
            if self._was_read and self._content() != self._seen:
                raise Conflict(
                    f"{self.describe()} was changed by somebody else meanwhile",
                    attempted="write the secret",
                    cure="let only one run at a time work on a tenant, then run again",
                )
            self._sweep()
            self._write_beside(content, keep=True)
        self._seen, self._was_read = content, True

    def is_open(self) -> bool:
        """Whether others than its owner may read or write the file."""
        try:
            return bool(stat.S_IMODE(self._path.stat().st_mode) & ~PRIVATE)
        except OSError:
            return False

    def shut(self) -> None:
        try:
            self._path.chmod(PRIVATE)
        except FileNotFoundError:
            pass
        except OSError as exc:
            raise self._refused(exc) from None

    def remove(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
        except NotADirectoryError:
            pass
        except OSError as exc:
            raise self._refused(exc) from None
        self._seen, self._was_read = None, True

    def _make_folders(self) -> None:
        """What is missing above the file, each folder for its owner alone."""
        missing = [folder for folder in self._path.parents if not os.path.lexists(folder)]
        try:
            for folder in reversed(missing):
                folder.mkdir(mode=0o700, exist_ok=True)
            if not self._path.parent.is_dir():
                raise NotADirectoryError(0, f"{self._path.parent} is not a folder")
        except OSError as exc:
            raise self._refused(exc) from None

    @contextlib.contextmanager
    def _locked(self) -> t.Iterator[None]:
        """Two runs that write into one folder take turns, so that comparing and replacing is one step. A file system
        without locks goes without. Raises Blocked where somebody keeps the lock."""
        try:
            folder = os.open(self._path.parent, os.O_RDONLY)
        except OSError as exc:
            raise self._refused(exc) from None
        try:
            with contextlib.suppress(OSError):
                self._take_turn(folder)
            yield
        finally:
            os.close(folder)

    def _take_turn(self, folder: int) -> None:
        waited = 0.0
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waited >= LOCKED_AT_MOST_S:
                    raise Blocked(
                        f"{self.describe()} cannot be used: another process has held the lock on its folder for "
                        f"{LOCKED_AT_MOST_S:.0f} seconds",
                        attempted="take a turn at the store",
                        cure="let that process end (lsof or fuser on the folder names it), then run again",
                        options=("store",),
                    ) from None
                self._pause(PAUSE_S)
                waited += PAUSE_S
            else:
                return

    def _sweep(self) -> None:
        """Away with what killed runs left beside the file: encrypted, and of no use. Whoever writes holds the lock."""
        for left in self._leftovers():
            with contextlib.suppress(OSError):
                left.unlink()

    def _leftovers(self) -> list[pathlib.Path]:
        try:
            return list(self._path.parent.glob(f".{glob.escape(self._path.name)}.{BESIDE}*"))
        except OSError:
            return []

    def _content(self) -> bytes | None:
        try:
            # Whoever opens a pipe waits for a writer, unless told not to.
            handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as stream:
                found = os.fstat(handle)
                if stat.S_ISDIR(found.st_mode):
                    raise IsADirectoryError(0, "it is a folder")
                if not stat.S_ISREG(found.st_mode):
                    raise OSError(0, "it is not a file, but a pipe or a device")
                if found.st_size > LARGEST:
                    raise OSError(0, f"it has {found.st_size} bytes, so it is not one of this collection")
                return stream.read()
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise self._refused(exc, "read") from None

    def _write_beside(self, content: bytes, *, keep: bool) -> None:
        name = ""
        try:
            # mkstemp makes it 0600, in the same folder and thus on the same disk
            handle, name = tempfile.mkstemp(prefix=f".{self._path.name}.{BESIDE}", dir=self._path.parent)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            if keep:
                os.replace(name, self._path)
                name = ""
                folder = os.open(self._path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
        except OSError as exc:
            raise self._refused(exc) from None
        finally:
            if name:
                with contextlib.suppress(OSError):
                    os.unlink(name)

    def _refused(self, exc: OSError, verb: str = "write") -> Blocked:
        return Blocked(
            f"{self.describe()} cannot be {'read' if verb == 'read' else 'written'} ({exc.strerror})",
            attempted=f"{verb} the secret",
            cure="give the run's user the right to write in that folder, make room on the disk, or choose another path",
            options=("store",),
        )


def _encrypting_id(secrets: t.Sequence[tuple[str, t.Any]]) -> str | None:
    """Ansible's own choice (DEFAULT_VAULT_ENCRYPT_IDENTITY) where the run has it; else the first one encrypts."""
    chosen = constants.config.get_config_value("DEFAULT_VAULT_ENCRYPT_IDENTITY")
    return str(chosen) if chosen and any(vault_id == chosen for vault_id, _secret in secrets) else None


def _secrets_of(loader: t.Any) -> t.Sequence[tuple[str, t.Any]]:
    """The run's vault passwords: --vault-id, --vault-password-file, ANSIBLE_VAULT_PASSWORD_FILE, a prompt."""
    vault = getattr(loader, "_vault", None)
    return list(getattr(vault, "secrets", None) or [])
