# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""One document of a hand-over: a file, whole or not at all, and nobody's to read but the owner's and the group's; or
what ``_shelf`` keeps."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import shutil
import stat
import tempfile
import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._argspec import ArgumentSpec
from ansible_collections.mail2fax.m365.plugins.module_utils._door import Door, Task
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, Conflict, InvalidInput, M365Error
from ansible_collections.mail2fax.m365.plugins.module_utils._plan import Json, Plan, Resource, Settled, Step
from ansible_collections.mail2fax.m365.plugins.module_utils._shelf import FOLDER, SHELF_OPTIONS, Kept
from ansible_collections.mail2fax.m365.plugins.module_utils._tenant import Tenant

FILE_MODE, FOLDER_MODE = 0o640, 0o750


@dataclass(frozen=True)
class State:
    """``content`` is None while there is no file; ``mode`` are its permission bits."""

    content: bytes | None = None
    mode: int | None = None
    moves: tuple[tuple[str, str], ...] = ()
    """Files that lie at an old place, and nothing at the new one: from where, to where."""


@dataclass(frozen=True)
class Desired:
    """``content`` None: only whether the file can be written is wanted. ``moves``: from where, to where. ``shown``:
    what --diff shows as before and after, where that is not the text itself."""

    path: pathlib.Path
    content: bytes | None
    moves: tuple[tuple[str, str], ...] = ()
    shown: tuple[Json, Json] | None = None


@dataclass(frozen=True)
class Move(Step):
    """Take a file to its new place."""

    source: str
    destination: str


@dataclass(frozen=True)
class Write(Step):
    """Write the file whole."""


def plan(current: State, desired: Desired) -> Plan:
    """One step where content or mode differ."""
    result: Json = {"file": str(desired.path)}
    if desired.content is None:
        return Plan(
            before={"files": [source for source, _destination in current.moves]} if current.moves else {},
            after={"files": [destination for _source, destination in current.moves]} if current.moves else {},
            steps=[Move(f"move {source} to {there}", source, there) for source, there in current.moves],
            result=result,
            summary=f"{desired.path.name} can be written",
        )
    if (current.content, current.mode) == (desired.content, FILE_MODE):
        return Plan(result=result, summary=f"{desired.path.name} is as it should be")
    before, after = desired.shown or (_for_people(current.content), _for_people(desired.content))
    return Plan(
        before=before,
        after=after,
        steps=[Write(f"write {desired.path}")],
        result=result,
        summary=f"{desired.path.name} written",
    )


def _for_people(content: bytes | None) -> Json:
    """A document by its fields, another text by its lines."""
    if content is None:
        return {}
    text = content.decode("utf-8", "replace")
    with contextlib.suppress(ValueError):
        document = json.loads(text)
        if isinstance(document, dict):
            return document
    return {"lines": text.splitlines()}


def _shown(said: t.Any) -> tuple[Json, Json] | None:
    return (dict(said.get("before") or {}), dict(said.get("after") or {})) if said else None


class HandoverFile:
    """Needs no tenant and no network."""

    def __init__(self, tenant: Tenant, task: Task) -> None:
        path, content = str(task.params["path"]), task.params["content"]
        if not path or path.endswith("/"):
            raise InvalidInput(f"path {path!r} does not name a file", cure="give the path of the file itself")
        _refuse(task)
        self._desired = Desired(
            pathlib.Path(path).absolute(),
            None if content is None else str(content).encode("utf-8", "surrogateescape"),
            tuple((str(move["source"]), str(move["destination"])) for move in task.params.get("moves") or []),
            _shown(task.params.get("shown")),
        )

    @property
    def path(self) -> pathlib.Path:
        return self._desired.path

    def read(self) -> State:
        path = self._desired.path
        if self._desired.content is None:
            self._try()
            moves = [move for move in self._desired.moves if os.path.isfile(move[0]) and not os.path.lexists(move[1])]
            return State(moves=tuple(moves))
        try:
            # What is no file, such as a pipe, would keep whoever opens it waiting for ever.
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
                status = os.fstat(stream.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise OSError(errno.EINVAL, "it is not a file")
                return State(stream.read(), stat.S_IMODE(status.st_mode))
        except FileNotFoundError:
            return State()
        except OSError as exc:
            raise self._refused(exc, "read") from None

    def _try(self) -> None:
        """A file beside it, gone at once; above it where its folder is still to be made."""
        path = self._desired.path
        try:
            folder = next(parent for parent in path.parents if os.path.lexists(parent))
            with tempfile.TemporaryFile(dir=folder, prefix=f".{path.name}."):
                pass
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if path.exists() and not path.is_file():
                raise OSError(errno.EINVAL, "it is not a file")
        except OSError as exc:
            raise self._refused(exc, "written") from None

    def plan(self, current: State) -> Plan:
        return plan(current, self._desired)

    def perform(self, step: Move | Write) -> None:
        match step:
            case Move():
                self._move(step)
            case Write():
                self._write()
            case _:
                t.assert_never(step)

    def _move(self, step: Move) -> None:
        try:
            # A secret's folder is for its owner alone.
            os.makedirs(os.path.dirname(step.destination), mode=0o700, exist_ok=True)
            shutil.move(step.source, step.destination)
        except OSError as exc:
            raise Blocked(
                f"{step.source} cannot be moved to {step.destination} ({exc.strerror})",
                attempted="move what an earlier version left",
                cure="move it by hand",
            ) from None

    def _write(self) -> None:
        """Write beside it and rename: a reader sees the old file or the new one."""
        path = self._desired.path
        try:
            path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(self._desired.content or b"")
                    os.fchmod(stream.fileno(), FILE_MODE)
                os.replace(name, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise
        except OSError as exc:
            raise self._refused(exc, "written") from None

    def settle(self, plan: Plan) -> Json:
        return {}

    def _refused(self, exc: OSError, what: str) -> Blocked:
        return Blocked(
            f"{self._desired.path} cannot be {what} ({exc.strerror})",
            attempted="write the hand-over",
            cure="name a folder in mail2fax_handover_dir that the user who runs Ansible may write to",
        )


def _refuse(task: Task) -> None:
    if task.params["refused"]:
        raise InvalidInput(" ".join(map(str, task.params["refused"])))
    if task.params.get("blocked"):
        raise Blocked(" ".join(map(str, task.params["blocked"])))


class KeptElsewhere:
    """A document that is kept in no folder. ``instead``: the file that takes it where that place refuses."""

    def __init__(self, kept: Kept, task: Task, instead: HandoverFile | None) -> None:
        self._kept = kept
        self._task = task
        self._instead = instead
        self._warnings: list[str] = []
        self._by_hand: Json = {}
        content = task.params["content"]
        self._content = None if content is None else str(content)
        self._shown = _shown(task.params.get("shown"))

    def read(self) -> State:
        if self._content is None:
            # The server's own reason comes first: it tells more than that something could not be read.
            self._kept.probe(by_writing=not self._task.check_mode)
            _refuse(self._task)
            return State()
        if self._instead is not None:
            return State()
        text = self._kept.read()
        return State(None if text is None else text.encode("utf-8", "surrogateescape"), FILE_MODE)

    def plan(self, current: State) -> Plan:
        place, result = self._kept.place, {"file": self._kept.place}
        if self._content is None:
            return Plan(result=result, summary=f"{place} can be written")
        content = self._content.encode("utf-8", "surrogateescape")
        if current.content == content:
            return Plan(result=result, summary=f"{place} is as it should be")
        before, after = self._shown or (_for_people(current.content), _for_people(content))
        return Plan(
            before=before,
            after=after,
            steps=[Write(f"write {place}")],
            result=result,
            summary=f"{place} written",
        )

    def perform(self, step: Write) -> None:
        try:
            self._warnings = self._kept.write(self._content or "")
        except Conflict:
            raise
        except M365Error as exc:
            if self._instead is None:
                raise
            try:
                self._instead.perform(step)
            except M365Error:
                raise exc from None
            self._by_hand = {"by_hand": self._kept.by_hand}
            self._warnings = [
                f"{exc} Until then {self._instead.path} has it; the next run on this machine takes it over."
            ]

    def settle(self, plan: Plan) -> Settled:
        return Settled(self._by_hand, warnings=tuple(self._warnings))


def handover(tenant: Tenant, task: Task) -> Resource:
    """A file, or a document on a shelf: ``kept`` among the task's services."""
    kept = task.services.get("kept")
    if task.params["refused"]:
        _refuse(task)
    if kept is None:
        store = task.params.get("record_store") or {}
        if store.get("backend") not in (None, FOLDER):
            raise InvalidInput(
                "record_store is a place that only the action plugin reaches, where Ansible itself runs",
                cure="leave ansible_connection: local, and become and async away",
                options=("record_store",),
            )
        return HandoverFile(tenant, task)
    instead = HandoverFile(tenant, task) if task.params["or_file"] else None
    return KeptElsewhere(t.cast("Kept", kept), task, instead)


SPEC = ArgumentSpec(
    {
        "path": {"type": "path", "required": True},
        "content": {"type": "str"},
        "refused": {"type": "list", "elements": "str", "default": []},
        "blocked": {"type": "list", "elements": "str", "default": []},
        "document": {"type": "str"},
        "record_store": {"type": "dict", "options": SHELF_OPTIONS},
        "or_file": {"type": "bool", "default": False},
        "shown": {"type": "dict", "options": {"before": {"type": "dict"}, "after": {"type": "dict"}}},
        "moves": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "source": {"type": "path", "required": True},
                "destination": {"type": "path", "required": True},
            },
        },
    }
)
DOOR = Door(handover, SPEC, base=ArgumentSpec())
