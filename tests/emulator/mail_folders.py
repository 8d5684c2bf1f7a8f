# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mailbox's folders and messages in the shapes that Twisted's IMAP server asks for."""

from __future__ import annotations

import contextlib
import datetime as dt
import email
import email.policy
import email.utils
import fnmatch
import io
import re
import typing as t
from email.message import Message as Parsed

from twisted.internet import defer
from twisted.mail import imap4
from zope.interface import implementer

from . import mailstore
from .mail_access import Session
from .model import Document

_UID_VALIDITY: t.Final = 14
_DELETED: t.Final = "\\Deleted"


@implementer(imap4.IAccount)
class Account:
    """The folders of the mailbox that somebody signed in to. None can be made, renamed or deleted."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def select(self, name: str, rw: bool = True) -> Folder | None:
        wanted = "inbox" if name.lower() == "inbox" else name
        for key, shown in mailstore.FOLDERS.items():
            if wanted in (key if key == "inbox" else shown, shown):
                return Folder(self._session, key, bool(rw))
        return None

    def listMailboxes(self, ref: str, wildcard: str) -> list[tuple[str, Folder]]:
        pattern = (ref + wildcard).replace("%", "*").lower()
        names = {key: "INBOX" if key == "inbox" else shown for key, shown in mailstore.FOLDERS.items()}
        return [
            (name, Folder(self._session, key, True))
            for key, name in names.items()
            if fnmatch.fnmatchcase(name.lower(), pattern)
        ]

    def create(self, _name: str) -> bool:
        raise imap4.MailboxException

    def delete(self, _name: str) -> bool:
        raise imap4.MailboxException

    def rename(self, _old: str, _new: str) -> bool:
        raise imap4.MailboxException

    def addMailbox(self, _name: str, _mbox: t.Any = None) -> bool:
        raise imap4.MailboxException

    def isSubscribed(self, _name: str) -> bool:
        return True

    def subscribe(self, _name: str) -> bool:
        return True

    def unsubscribe(self, _name: str) -> bool:
        return True


@implementer(imap4.IMailbox)
class Folder:
    """``open`` it, and its messages keep their numbers until ``news`` has told what came and went."""

    def __init__(self, session: Session, key: str, writes: bool) -> None:
        self._session, self.key, self._writes = session, key, writes
        self._view: list[int] | None = None

    def open(self) -> None:
        self._view = [int(one["uid"]) for one in self.documents()]

    def news(self) -> tuple[list[int], int | None]:
        """(numbers of what others took away, the last one first; how many there are, where some came)."""
        if self._view is None:
            return [], None
        live = [int(one["uid"]) for one in mailstore.messages(self._session.tenant, self._session.mailbox, self.key)]
        gone = [number for number, uid in enumerate(self._view, 1) if uid not in live]
        came = any(uid not in self._view for uid in live)
        self._view = live
        return gone[::-1], len(live) if came else None

    def documents(self) -> list[Document]:
        return [one for _number, one in self._numbered()]

    def _numbered(self) -> list[tuple[int, Document]]:
        held = mailstore.messages(self._session.tenant, self._session.mailbox, self.key)
        live = {int(one["uid"]): one for one in held}
        return [(n, live[uid]) for n, uid in enumerate(live if self._view is None else self._view, 1) if uid in live]

    def _chosen(self, messages: t.Any, uid: bool) -> list[tuple[int, Document]]:
        held = self._numbered()
        with contextlib.suppress(ValueError):  # it has been told already
            messages.last = max((int(one["uid"]) if uid else n for n, one in held), default=1)
        return [(n, one) for n, one in held if (int(one["uid"]) if uid else n) in messages]

    # --- about the folder --------------------------------------------------------------------------------------------

    def getFlags(self) -> list[str]:
        return ["\\HasNoChildren"]

    def getHierarchicalDelimiter(self) -> str:
        return "/"

    def getUIDValidity(self) -> int:
        return _UID_VALIDITY

    def getUIDNext(self) -> int:
        return int((self._session.tenant.settings.get("mail") or {}).get("uid", 0)) + 1

    def getUID(self, number: int) -> int:
        return next(int(one["uid"]) for n, one in self._numbered() if n == number)

    def getMessageCount(self) -> int:
        return len(self.documents())

    def getRecentCount(self) -> int:
        return 0

    def getUnseenCount(self) -> int:
        return sum(mailstore.SEEN not in one["flags"] for one in self.documents())

    def isWriteable(self) -> bool:
        return self._writes

    def requestStatus(self, names: t.Iterable[str]) -> dict[str, int]:
        return t.cast("dict[str, int]", imap4.statusRequestHelper(self, names))

    def addListener(self, _listener: t.Any) -> None:
        pass

    def removeListener(self, _listener: t.Any) -> None:
        pass

    def destroy(self) -> None:
        pass

    # --- its messages ------------------------------------------------------------------------------------------------

    def fetch(self, messages: t.Any, uid: bool = False) -> list[tuple[int, Message]]:
        return [(n, Message(self._session, one)) for n, one in self._chosen(messages, bool(uid))]

    def store(self, messages: t.Any, flags: t.Iterable[str], mode: int, uid: bool = False) -> dict[int, list[str]]:
        if not self._writes:
            raise imap4.ReadOnlyMailbox
        changed = {}
        for number, one in self._chosen(messages, bool(uid)):
            given = [*flags]
            kept = [] if mode == 0 else [flag for flag in one["flags"] if mode > 0 or flag not in given]
            held = list(dict.fromkeys([*kept, *(given if mode >= 0 else [])]))
            mailstore.change(self._session.tenant, one, flags=held)
            changed[number] = held
        return changed

    def addMessage(self, message: t.Any, flags: t.Iterable[str] = (), _date: t.Any = None) -> t.Any:
        return defer.succeed(self.append(message.read(), flags))

    def append(self, raw: bytes, flags: t.Iterable[str]) -> int:
        session = self._session
        made = mailstore.deliver(session.world, session.tenant, session.mailbox, raw, folder=self.key, flags=flags)
        return int(made["uid"])

    def expunge(self) -> list[int]:
        return self._remove([pair for pair in self._numbered() if _DELETED in pair[1]["flags"]])

    def expunge_only(self, messages: t.Any) -> list[int]:
        return self._remove([pair for pair in self._chosen(messages, True) if _DELETED in pair[1]["flags"]])

    def move(self, messages: t.Any, folder: Folder, *, uid: bool) -> list[int]:
        found = self._chosen(messages, uid)
        for _number, one in found:
            self._forget(one)
            mailstore.moved(self._session.tenant, one, folder.key)
        return [number for number, _one in found]

    def _forget(self, one: Document) -> None:
        if self._view is not None:
            self._view.remove(int(one["uid"]))

    def _remove(self, pairs: list[tuple[int, Document]]) -> list[int]:
        """Sequence numbers as each of them is when the ones before it are gone."""
        if not self._writes:
            raise imap4.ReadOnlyMailbox
        for _number, one in pairs:
            self._forget(one)
            del self._session.tenant.messages[one["id"]]
        return [number for number, _one in reversed(pairs)]


@implementer(imap4.IMessage, imap4.IMessageFile)
class Message:
    def __init__(self, session: Session, document: Document) -> None:
        self._session, self._document = session, document
        self._raw = mailstore.raw_of(document)
        self._part = Part(email.message_from_bytes(self._raw, policy=email.policy.compat32), self._raw)

    def see(self) -> None:
        current = self._session.tenant.messages.get(self._document["id"])
        if current is not None and mailstore.SEEN not in current["flags"]:
            mailstore.change(self._session.tenant, current, flags=[*current["flags"], mailstore.SEEN])

    def open(self) -> io.BytesIO:
        return io.BytesIO(self._raw)

    def header(self, negate: bool, *names: t.Any) -> bytes:
        return self._part.header(negate, *names)

    def getUID(self) -> int:
        return int(self._document["uid"])

    def getFlags(self) -> list[str]:
        return list(self._document["flags"])

    def getInternalDate(self) -> str:
        moment = dt.datetime.fromisoformat(str(self._document["received"]).replace("Z", "+00:00"))
        return email.utils.format_datetime(moment)

    def getHeaders(self, negate: bool, *names: t.Any) -> dict[str, str]:
        return self._part.getHeaders(negate, *names)

    def getBodyFile(self) -> io.BytesIO:
        return self._part.getBodyFile()

    def getSize(self) -> int:
        return len(self._raw)

    def isMultipart(self) -> bool:
        return self._part.isMultipart()

    def getSubPart(self, part: int) -> Part:
        return self._part.getSubPart(part)


@implementer(imap4.IMessagePart)
class Part:
    def __init__(self, message: Parsed, raw: bytes) -> None:
        self._message, self._raw = message, raw

    def header(self, negate: bool, *names: t.Any) -> bytes:
        """The lines of the header as they came, and the empty one: those of ``names``, or all the others."""
        wanted = {_text(name).lower() for name in names}
        head = self._raw.partition(b"\r\n\r\n")[0] + b"\r\n"
        fields = re.findall(rb"[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", head)
        kept = [
            field
            for field in fields
            if (field.partition(b":")[0].strip().decode("latin-1").lower() in wanted) is not negate
        ]
        return b"".join(kept) + b"\r\n"

    def getHeaders(self, negate: bool, *names: t.Any) -> dict[str, str]:
        wanted = {_text(name).lower() for name in names}
        held = {
            name.lower(): str(value).encode("ascii", "replace").decode()
            for name, value in self._message.items()
            if (name.lower() in wanted) is not bool(negate)
        }
        if wanted == {"content-type"} and not negate:
            held = held or {"content-type": "text/plain; charset=us-ascii"}
        return held

    def getBodyFile(self) -> io.BytesIO:
        _head, _line, body = self._raw.partition(b"\r\n\r\n")
        return io.BytesIO(body)

    def getSize(self) -> int:
        return len(self._raw.partition(b"\r\n\r\n")[2])

    def isMultipart(self) -> bool:
        return self._message.is_multipart()

    def getSubPart(self, part: int) -> Part:
        held = self._message.get_payload()
        if not isinstance(held, list):
            raise IndexError(part)
        inner = t.cast("Parsed", held[part])
        return Part(inner, inner.as_bytes(policy=email.policy.SMTP))


def _text(value: t.Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
