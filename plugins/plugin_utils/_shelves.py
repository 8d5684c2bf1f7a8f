# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Where the documents of tenants are kept from run to run: a folder, or the KV of a HashiCorp Vault or an OpenBao.

The one door for every document: its name is ``record``, ``audit``, ``sheet``, or what a file of it ends in
(``reach.json``). One text under one key for each: a server takes a thousand strings a request.

with open_shelf(options, folder=folder, controller=controller) as shelf:
    found = shelf.read("contoso", "record")
    shelf.write("contoso", "reach.json", text)
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import hmac
import json
import os
import re
import shlex
import stat
import tempfile
import typing as t
import zlib
from dataclasses import dataclass, replace

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, InvalidInput, M365Error
from ansible_collections.mail2fax.m365.plugins.module_utils._shelf import FOLDER, SHELF_BACKENDS, SHELF_OPTIONS
from ansible_collections.mail2fax.m365.plugins.module_utils._store import misplaced
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _places
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores import Controller
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores._kv2 import Kv2, plainly
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores._vault_client import VaultClient
from ansible_collections.mail2fax.m365.plugins.plugin_utils._stores.hashi_vault import client_of, place_of
from ansible_collections.mail2fax.m365.plugins.plugin_utils._tokens import KEY

Json = dict[str, t.Any]

VARIABLE = "mail2fax_record_store"
RECORD, AUDIT, SHEET, SHEET_TEXT = "record", "audit", "sheet", "sheet.txt"
PROBE = "probe"
"""What is written where only a write can tell whether a record could be."""

ENDINGS = {RECORD: ".json", AUDIT: ".audit.json", SHEET: ".html", SHEET_TEXT: ".txt"}
"""What a file of these documents ends in; of any other, a point and its name."""

DEFAULT_PATH = "mail2fax/records"
PLAIN_AT_MOST = 128 * 1024
"""Bytes of an entry as a server may write them down. What is more is packed: a server takes one MiB."""
UNPACKED_AT_MOST = 64 * 2**20
LAST_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""A run that has come to its end waits longer for a server that just gets up again."""

_NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*", re.ASCII)
RUN = hmac.new(KEY, b"run", hashlib.sha256).hexdigest()[:20] if KEY else os.urandom(10).hex()
"""Tells a document that this very run has written from that of another; the same in all its workers."""


@dataclass(frozen=True)
class Version:
    """Of a document as it was read; of one that is not there, 0."""

    number: int = 0
    born: str = ""

    def as_mapping(self) -> Json:
        return {"number": self.number, "born": self.born}

    @classmethod
    def of(cls, told: t.Any) -> Version | None:
        """From a result; None where it tells of none."""
        if not isinstance(told, t.Mapping) or "number" not in told:
            return None
        return cls(int(told["number"]), str(told.get("born") or ""))


@dataclass(frozen=True)
class Document:
    """``text`` is None where there is none. ``run``: which run has written it, as far as that is kept."""

    text: str | None = None
    version: Version = Version()
    run: str = ""


class Shelf(t.Protocol):
    """A place for documents. Every refusal is a Blocked that says what to do; none quotes content."""

    def place(self, host: str, name: str) -> str:
        """Where the document is, in words that may be printed anywhere."""

    def by_hand(self, host: str, name: str) -> str:
        """How a person puts a text there, in a sentence."""

    def probe(self, host: str, name: str, *, by_writing: bool = False) -> None:
        """Prove, as well as the place allows and without changing the document, that it could be written.

        ``by_writing``: beside it something may be written, where nothing else tells.
        """

    def read(self, host: str, name: str) -> Document:
        """What is there. What cannot be read raises; it is never taken for nothing."""

    def write(
        self, host: str, name: str, text: str, before: Version | None = None, run: str | None = None
    ) -> list[str]:
        """Replace the document in one go, in the name of this run or of another one; what there is to warn of.

        ``before`` is the version that the text builds on: Conflict where another run has written since. Without it the
        last writer wins.
        """


class FolderShelf:
    """A file for each document, by the names that 0.1.0 had."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def place(self, host: str, name: str) -> str:
        return os.path.join(self._folder, _places.file_name(host) + ENDINGS.get(name, f".{name}"))

    def by_hand(self, host: str, name: str) -> str:
        return f"Write it into the file {self.place(host, name)}."

    def probe(self, host: str, name: str, *, by_writing: bool = False) -> None:
        path = self.place(host, name)
        with _refusals(path, "written"):
            nearest = path
            while not os.path.lexists(nearest):
                nearest = os.path.dirname(nearest)
            if nearest == path:
                if not stat.S_ISREG(os.stat(path).st_mode):
                    raise OSError(errno.EINVAL, "it is not a file")
                nearest = os.path.dirname(path)
            with tempfile.TemporaryFile(dir=nearest):
                pass

    def read(self, host: str, name: str) -> Document:
        return Document(text_of(self.place(host, name)))

    def write(
        self, host: str, name: str, text: str, before: Version | None = None, run: str | None = None
    ) -> list[str]:
        path = self.place(host, name)
        with _refusals(path, "written"):
            os.makedirs(self._folder, mode=0o750, exist_ok=True)
            handle, beside = tempfile.mkstemp(dir=self._folder, prefix=f".{os.path.basename(path)}.")
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(text.encode("utf-8", "surrogateescape"))
                    os.fchmod(handle, 0o640)
                os.replace(beside, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(beside)
                raise
        return []


def text_of(path: str) -> str | None:
    """Of a file; None where there is none. Raises Blocked."""
    with _refusals(path, "read"):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        with open(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(errno.EINVAL, "it is not a file")
            return stream.read().decode("utf-8", "surrogateescape")


@contextlib.contextmanager
def _refusals(path: str, what: str) -> t.Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise Blocked(
            f"{path} cannot be {what} ({exc.strerror})",
            cure="name a folder in mail2fax_handover_dir that the user who runs Ansible may write to",
        ) from None


class VaultShelf:
    """A KV secret for each document, below one path: ``<path>/<host>/<name>``."""

    def __init__(self, client: VaultClient, mount: str, path: str) -> None:
        self._client = client
        self._mount = mount
        self._path = path

    def place(self, host: str, name: str) -> str:
        return place_of(self._client.settings, self._mount, self._of(host, name)).words

    def by_hand(self, host: str, name: str) -> str:
        namespace = self._client.settings.namespace
        words = ["bao kv put", f"-mount={shlex.quote(self._mount)}"]
        words += [f"-namespace={shlex.quote(namespace)}"] if namespace else []
        words += [shlex.quote(self._of(host, name)), "text=@FILE"]
        return (
            f"Before the next run from another machine put the {called(name)} into a file and that into the store: "
            f"{' '.join(words)} (or vault kv put)."
        )

    def probe(self, host: str, name: str, *, by_writing: bool = False) -> None:
        with named():
            if not self._kv(host, name).probe() and by_writing:
                # A mount of version 1 would take the record at the end of the run as if it were one of version 2.
                beside = self._kv(host, PROBE)
                beside.latest()
                beside.put({**packed(""), "host": host, "document": PROBE})

    def read(self, host: str, name: str) -> Document:
        with named():
            return self._read(self._kv(host, name), host, name)

    def write(
        self, host: str, name: str, text: str, before: Version | None = None, run: str | None = None
    ) -> list[str]:
        with named():
            kv, run = self._kv(host, name), run or RUN
            found = self._read(kv, host, name)
            if before is not None and found.version != before and found.run != run:
                raise kv.changed_meanwhile()
            kv.put({**self._others(kv), **packed(text), "host": host, "document": name, "run": run})
            if kv.kept_until is None:
                return []
            return [
                f"{self.place(host, name)} will delete what it holds at {kv.kept_until:%Y-%m-%d %H:%M} UTC "
                "(delete_version_after of the mount or the path), and with it what the next run has to know"
            ]

    def _read(self, kv: Kv2, host: str, name: str) -> Document:
        data = kv.latest()
        self._last = data or {}
        version = Version(*t.cast("tuple[int, str]", kv.version))
        if data is None:
            return Document(None, version)
        text = unpacked(data)
        if text is None:
            raise Blocked(
                f"{self.place(host, name)} holds something that is not a document of this collection",
                attempted=f"read the {called(name)}",
                cure="choose another path in store.path, or move what is there away",
                options=("record_store",),
            )
        return Document(text, version, str(data.get("run") or ""))

    def _others(self, kv: Kv2) -> Json:
        """What somebody else keeps beside it stays."""
        return {key: value for key, value in self._last.items() if key not in _OWN}

    def _kv(self, host: str, name: str) -> Kv2:
        path = self._of(host, name)
        return Kv2(
            self._client,
            self._mount,
            path,
            what=f"the {called(name)}",
            where=self.place(host, name),
            policy=f"give the token's policy create, read and update on {self._mount}/data/{self._path}/*",
        )

    def _of(self, host: str, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise InvalidInput(f"{name!r} is not the name of a document", cure="such as reach.json")
        return f"{self._path}/{_places.file_name(host)}/{name}"


_OWN = frozenset({"text", "encoding", "host", "document", "run"})


def called(name: str) -> str:
    """A document in a word."""
    return {SHEET_TEXT: "sheet", RECORD: "record"}.get(name, name.replace(".", " "))


def packed(text: str) -> Json:
    """A text as a server can keep it: as it is, or, where it is large or no text to JSON, in base64 of gzip."""
    content = text.encode("utf-8", "surrogateescape")
    try:
        plain = content.decode("utf-8")
    except UnicodeDecodeError:
        plain = None
    # A server writes down these as six letters each.
    if plain is not None and len(json.dumps(plain)) + 5 * sum(map(plain.count, "<>&")) <= PLAIN_AT_MOST:
        return {"text": plain}
    squeezed = zlib.compressobj(9, wbits=31)
    return {"encoding": "gzip", "text": base64.b64encode(squeezed.compress(content) + squeezed.flush()).decode()}


def unpacked(mapping: t.Mapping[str, t.Any]) -> str | None:
    """The text of what ``packed`` made; None where it is something else."""
    text = mapping.get("text")
    if not isinstance(text, str) or mapping.get("encoding") not in (None, "gzip"):
        return None
    if mapping.get("encoding") is None:
        return text
    try:
        inflating = zlib.decompressobj(wbits=31)
        content = inflating.decompress(base64.b64decode(text, validate=True), UNPACKED_AT_MOST)
    except (ValueError, zlib.error):
        return None
    return content.decode("utf-8", "surrogateescape") if inflating.eof else None


@contextlib.contextmanager
def named() -> t.Iterator[None]:
    """Stores of secrets and of records say the same of the same servers; which of the two it is, is said here."""
    try:
        yield
    except M365Error as exc:
        for name in ("message", "cure"):
            text = re.sub(r"\bstore\.(?=[a-z_])", f"{VARIABLE}.", getattr(exc, name))
            setattr(exc, name, text.replace("the store lacks", f"{VARIABLE} lacks"))
        exc.args = (exc.message,)
        exc.options = tuple("record_store" if option == "store" else option for option in exc.options)
        raise


def is_elsewhere(options: t.Mapping[str, t.Any] | None) -> bool:
    """Whether documents lie in another place than a folder."""
    return bool(options) and (options or {}).get("backend") not in (None, FOLDER)


def folder_of(options: t.Mapping[str, t.Any] | None, handover_dir: t.Any) -> str:
    """The folder that is said, as it is written; empty where none is. Raises InvalidInput where two are said."""
    said = str(handover_dir or "").strip()
    own = str((options or {}).get("path") or "").strip() if not is_elsewhere(options) else ""
    if own and said and own != said:
        raise InvalidInput(
            f"{VARIABLE} and mail2fax_handover_dir name two folders",
            cure="leave one of them",
            options=("record_store",),
        )
    return own or said


def checked(options: t.Mapping[str, t.Any]) -> Json:
    """The options of a record store, without blanks. Raises InvalidInput, Blocked."""
    known = {name: value for name, value in options.items() if value is not None and str(value).strip()}
    unknown = sorted({*known} - {*SHELF_OPTIONS})
    backends = SHELF_OPTIONS["backend"]["choices"]
    if unknown:
        raise InvalidInput(
            f"{VARIABLE} has no option {', '.join(unknown)}",
            cure=f"leave it; it knows {', '.join(SHELF_OPTIONS)}",
            options=("record_store",),
        )
    if known.get("backend") not in backends:
        raise InvalidInput(
            f"{VARIABLE}.backend is {_names.quoted(known.get('backend'))}",
            cure=f"choose one of {', '.join(backends)}",
            options=("record_store",),
        )
    for name, spec in SHELF_OPTIONS.items():
        if spec.get("no_log"):
            _names.decrypted(known.get(name), "record_store", f"{VARIABLE}.{name}")
    wrong = misplaced(known, SHELF_BACKENDS)
    if wrong:
        raise InvalidInput(
            f"{VARIABLE} with the back end {known['backend']} has no option {', '.join(wrong)}",
            cure="remove it, or choose the back end that it belongs to",
            options=("record_store",),
        )
    return known


@contextlib.contextmanager
def open_shelf(
    options: t.Mapping[str, t.Any] | None, *, folder: str, controller: Controller | None, patient: bool = False
) -> t.Iterator[Shelf]:
    """What ``options`` (``mail2fax_record_store``, rendered) name; ``folder``, absolute, where they name none.

    ``patient``: wait longer for a server that is down. Raises M365Error.
    """
    known = checked(options) if options else {"backend": FOLDER}
    if known["backend"] == FOLDER:
        yield FolderShelf(folder)
        return
    with contextlib.ExitStack() as closing:
        keeper = replace(controller, at_end=closing.callback) if controller is not None else None
        with named():
            client = client_of(known, keeper)
            closing.callback(client.close)
            if patient:
                client.pauses_s = LAST_PAUSES_S
            shelf = VaultShelf(
                client,
                plainly(str(known.get("mount") or "secret")),
                plainly(str(known.get("path") or DEFAULT_PATH)),
            )
            client.sign_in()
        yield shelf
