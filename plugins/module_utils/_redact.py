# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The one scrubber: no live secret of a task is in its result, and no character in it deceives a terminal.

Two kinds of secrets. What was *issued* (tokens, minted and stored values, assertions) is replaced wherever it stands,
in every notation. What a person *typed* (options) may be a word that also stands in names and addresses, on which
later tasks lean: it is replaced in free text only, and below eight characters only where it stands alone there.

Whatever becomes a Token or a StoredSecret is noted by itself; ``note`` is for the rest. Both lanes clean every result
with this, and lean on nothing that a version of ansible-core masks.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import html
import json
import re
import typing as t
import urllib.parse

Json = dict[str, t.Any]

MASK = "*" * 8
WITHHELD = "(not shown: it holds a secret in another notation)"
OPTION = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
"""What Ansible's own modules return for an option with no_log."""

SHORT = 8
"""A typed secret of fewer characters may be a piece of any word."""

# fmt: off
FREE = frozenset({
    "attempted", "code", "cure", "deprecations", "details", "done", "exception", "message", "msg", "note", "notes",
    "pending", "reason", "request_id", "stderr", "steps", "stdout", "summary", "text", "warnings", "where", "who",
    "why",
})
"""Keys of a result whose texts are for people to read."""

NAMES = frozenset({
    "address", "alias", "description", "display_name", "displayName", "group", "mail", "member", "members", "name",
    "path", "place", "policy", "stored_in", "title", "unique_name", "user",
})
"""Keys whose texts name a thing, even where they hold blanks."""
# fmt: on


class Secrets:
    """The live secrets of one task. Nothing shows what it holds."""

    def __init__(self) -> None:
        self._issued: dict[str, None] = {}
        self._typed: dict[str, None] = {}

    def add(self, value: str | bytes | None) -> None:
        """Note what was issued, minted or stored."""
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if text and text.strip():
            self._issued[text.strip()] = None

    def add_typed(self, value: str | None) -> None:
        """Note what a person typed, and what this task really uses."""
        if value and str(value).strip():
            self._typed[str(value).strip()] = None

    @property
    def issued(self) -> list[str]:
        return [*self._issued]

    @property
    def typed(self) -> list[str]:
        return [value for value in self._typed if value not in self._issued]

    def __repr__(self) -> str:
        return f"Secrets({len(self._issued)} issued, {len(self._typed)} typed)"


_collecting: list[Secrets] = []


@contextlib.contextmanager
def collecting() -> t.Iterator[Secrets]:
    """What is noted meanwhile; a process runs one task at a time."""
    secrets = Secrets()
    _collecting.append(secrets)
    try:
        yield secrets
    finally:
        _collecting.remove(secrets)


def current() -> Secrets:
    """Those of the task that is under way; of nobody where there is none."""
    return _collecting[-1] if _collecting else Secrets()


def note(value: str | bytes | None) -> None:
    """Note what was issued, minted or stored, for whichever task is under way."""
    for secrets in _collecting:
        secrets.add(value)


def note_sent(headers: t.Mapping[str, str], body: bytes | None) -> None:
    """Note what a request proves an identity with: its authorization, and the fields of a sign-in's form."""
    if not _collecting:
        return
    for name, value in headers.items():
        if name.lower() in ("authorization", "proxy-authorization", "x-identity-header", "secret", "x-vault-token"):
            note(str(value).partition(" ")[2] or str(value))
    kind = next((str(value) for name, value in headers.items() if name.lower() == "content-type"), "")
    if body and (kind.startswith("application/x-www-form-urlencoded") or b"client_assertion=" in body):
        form = urllib.parse.parse_qs(body.decode("utf-8", "replace"))
        for field in ("client_assertion", "assertion", "refresh_token", "code"):
            for value in form.get(field, []):
                note(value)


# --- the cleaning ----------------------------------------------------------------------------------------------


class Redactor:
    """Cleans a result of the secrets. ``declared`` are the texts of the task's other options."""

    def __init__(self, secrets: Secrets, declared: t.Iterable[str] = ()) -> None:
        self._secrets = secrets
        self._declared = frozenset(declared)
        self._inside = "\n".join(self._declared)
        self._needles: dict[tuple[str, bool], _Needle] = {}

    def _known(self) -> _Known:
        """What is noted by now."""
        everywhere: list[_Needle] = []
        free: list[_Needle] = []
        alone: list[str] = []
        for value in self._secrets.issued:
            if len(value) < SHORT:
                alone.append(value)
            else:
                everywhere.append(self._needle(value, made_up=True))
        for value in self._secrets.typed:
            if len(value) < SHORT:
                alone.append(value)
            elif looks_issued(value) and value not in self._inside:
                everywhere.append(self._needle(value, made_up=True))
            else:
                free.append(self._needle(value, made_up=False))
        return _Known(everywhere, free, _standing_alone(alone))

    def _needle(self, value: str, made_up: bool) -> _Needle:
        return self._needles.setdefault((value, made_up), _Needle(value, made_up))

    def clean(self, value: t.Any) -> t.Any:
        """``value`` (of JSON's own types) without secrets, and with what a terminal obeys made visible."""
        # Nearly always there is nothing to find, which one look at all the texts together tells.
        views = _Views("\n".join(_all_texts(value)))
        known = self._known()
        met = _Known([*filter(views.hold, known.everywhere)], [*filter(views.hold, known.free)], known.alone)
        return self._clean(value, "", met)

    def text(self, value: str, *, free: bool = True) -> str:
        """One text; ``free`` when it is for people to read and names nothing."""
        return self._text(value, free, self._known())

    def _clean(self, value: t.Any, key: str, known: _Known) -> t.Any:
        if isinstance(value, str):
            return self._text(value, self._is_free(value, key), known)
        if isinstance(value, dict):
            return {
                self._text(str(name), False, known): self._clean(item, str(name), known) for name, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._clean(item, key, known) for item in value]
        return value

    def _text(self, value: str, is_free: bool, known: _Known) -> str:
        found = _without(value, known.everywhere)
        if is_free:
            found = _without(found, known.free)
            if known.alone is not None:
                found = known.alone.sub(MASK, found)
        if "eyJ" in found:
            found = _JWT.sub(MASK, found)
        if found == value and value in self._declared:
            return value  # as its author wrote it: later tasks find the thing by it
        return visible(without_user_info(found))

    def _is_free(self, value: str, key: str) -> bool:
        if key in FREE:
            return True
        return key not in NAMES and value not in self._declared and any(char.isspace() for char in value)


class _Known(t.NamedTuple):
    """Secrets by where they are replaced: everywhere, in free text, and in free text where they stand alone."""

    everywhere: list[_Needle]
    free: list[_Needle]
    alone: re.Pattern[str] | None


class _Needle:
    """One secret, and the notations in which it is looked for.

    One that is ``made_up`` is looked for in other capitals, across line ends and in pieces as well, which would find a
    word of a person's in many a name.
    """

    def __init__(self, value: str, made_up: bool) -> None:
        self.value = value
        self.made_up = made_up
        self.bytes = (value.encode("utf-8", "surrogatepass"), value.encode("utf-16-le", "surrogatepass"))
        self.known = {value, *(content.decode("latin-1") for content in self.bytes)}
        """What it looks like where its notations are undone."""

    @functools.cached_property
    def shapes(self) -> list[str]:
        """Longest first."""
        found = {self.value}
        for write in (_url, _url_path, _lower_url, _in_json, _in_python, html.escape, _in_powershell):
            found.add(write(self.value))
            found.add(_in_json(write(self.value)))
            found.add(urllib.parse.quote(write(self.value), safe=""))
        for content in self.bytes:
            found |= {content.hex(), content.hex().upper()}
            for offset in range(3):
                coded = base64.b64encode(b"\0" * offset + content).decode()
                # What stands beside it decides about the first and the last characters.
                end = -4 if (offset + len(content)) % 3 else None
                part = coded[4 if offset else 0 : end]
                found |= {part, part.replace("+", "-").replace("/", "_")}
        return sorted((shape for shape in found if len(shape) >= SHORT), key=len, reverse=True)

    @functools.cached_property
    def pieces(self) -> tuple[str, ...]:
        """Its beginning and its end, where it is long."""
        long = self.made_up and len(self.value) >= 2 * END_PIECE
        return (self.value[:END_PIECE], self.value[-END_PIECE:]) if long else ()


END_PIECE = 12
"""A text that was cut short keeps a piece of a long secret: at least so much of its beginning or end is found."""

_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]*){0,4}")
_LIKE_A_GUID = re.compile(r"\w{8}(-\w{4}){3}-\w{12}")
GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}[:\s-]?){8,}")
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_QUOTED_PRINTABLE = re.compile(r"=([0-9A-F]{2})")
DEPTH = 3
"""How many notations, one within the other, are undone."""


class _Views:
    """A text as it is, and as it reads when the notations in it are undone."""

    def __init__(self, text: str) -> None:
        self._text = text

    @functools.cached_property
    def _texts(self) -> list[str]:
        seen = latest = {self._text}
        for _level in range(DEPTH):
            latest = {view for text in latest for view in _undone(text) if view} - seen
            seen = seen | latest
        return [*seen]

    @functools.cached_property
    def _loose(self) -> list[str]:
        return [view.casefold() for view in (*self._texts, "".join(self._text.split()))]

    def hold(self, needle: _Needle) -> bool:
        return (
            any(known in view for view in self._texts for known in needle.known)
            or (needle.made_up and any(needle.value.casefold() in view for view in self._loose))
            or any(shape in self._text for shape in needle.shapes)
            or any(piece in self._text for piece in needle.pieces)
        )


def _undone(text: str) -> t.Iterator[str]:
    if _PERCENT.search(text):
        yield urllib.parse.unquote(text)
        yield urllib.parse.unquote_plus(text)
    elif "+" in text:
        # What unquote_plus does then, without going through all that base64 has made of other texts.
        yield text.replace("+", " ")
    if "&" in text:
        yield html.unescape(text)
    if "\\" in text:
        yield _JSON_ESCAPE.sub(_unescaped, text)
    if "=" in text:
        yield _QUOTED_PRINTABLE.sub(lambda found: chr(int(found[1], 16)), text)
    if "''" in text:
        yield text.replace("''", "'")
    yield b"\n".join(_decoded(text)).decode("latin-1")


def _decoded(text: str) -> t.Iterator[bytes]:
    """What stands in base64 or hexadecimal digits, wherever it begins."""
    for found in _BASE64.findall(text):
        if GUID.fullmatch(found):
            continue
        plain = found.replace("-", "+").replace("_", "/")
        for start in range(4):
            part = plain[start:]
            with contextlib.suppress(binascii.Error, ValueError):
                yield base64.b64decode(part[: len(part) - len(part) % 4])
    for found in _HEX.findall(text):
        digits = re.sub(r"[^0-9A-Fa-f]", "", found)
        yield bytes.fromhex(digits[: len(digits) - len(digits) % 2])


def _all_texts(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield str(name)
            yield from _all_texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _all_texts(item)


def _without(text: str, needles: t.Sequence[_Needle]) -> str:
    """``text`` without the secrets: each known notation replaced, and the whole withheld where one hides otherwise."""
    if not needles or not text:
        return text
    for needle in needles:
        for shape in needle.shapes:
            text = text.replace(shape, MASK)
        if needle.pieces:
            text = _without_pieces(text, needle.value)
    views = _Views(text)
    return WITHHELD if any(views.hold(needle) for needle in needles) else text


def _without_pieces(text: str, value: str) -> str:
    """Without a beginning or an end of the secret that was cut off."""
    head, tail = value[:END_PIECE], value[-END_PIECE:]
    while (at := text.find(head)) >= 0:
        size = END_PIECE
        while size < len(value) and at + size < len(text) and text[at + size] == value[size]:
            size += 1
        text = text[:at] + MASK + text[at + size :]
    while (at := text.find(tail)) >= 0:
        size = 0
        while size < len(value) - END_PIECE and at - size > 0 and text[at - size - 1] == value[-END_PIECE - size - 1]:
            size += 1
        text = text[: at - size] + MASK + text[at + END_PIECE :]
    return text


def _unescaped(found: re.Match[str]) -> str:
    coded = found[1] or found[2]
    return chr(int(coded, 16)) if coded else {"n": "\n", "t": "\t", "r": "\r"}.get(found[3], found[3])


def _url(value: str) -> str:
    return urllib.parse.quote_plus(value)


def _url_path(value: str) -> str:
    return urllib.parse.quote(value, safe="/")


def _lower_url(value: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), urllib.parse.quote(value, safe=""))


def _in_json(value: str) -> str:
    return json.dumps(value)[1:-1]


def _in_python(value: str) -> str:
    return repr(value)[1:-1]


def _in_powershell(value: str) -> str:
    return value.replace("'", "''")


def _standing_alone(values: t.Sequence[str]) -> re.Pattern[str] | None:
    if not values:
        return None
    several = "|".join(re.escape(value) for value in sorted(values, key=len, reverse=True))
    return re.compile(rf"(?<![\w@./\\%+-])(?:{several})(?![\w@/\\%+-]|\.\w)")


def looks_issued(value: str) -> bool:
    """Whether a text has the look of something that a service made up, and so of no name and no word."""
    if len(value) < 16 or any(char.isspace() for char in value):
        return False
    if _LIKE_A_GUID.fullmatch(value) or "@" in value[1:-1]:
        return False
    kinds = (str.islower, str.isupper, str.isdigit, lambda char: not char.isalnum())
    return sum(any(map(kind, value)) for kind in kinds) >= 3


# --- what a terminal obeys -------------------------------------------------------------------------------------

_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """``text`` with control characters, bidirectional marks and the like written out; the same when done again."""
    return _OBEYED.sub(_written_out, text) if _OBEYED.search(text) else text


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_USER_INFO = re.compile(r"(?<=://)[^\s/?#\"'<>]*@")


def without_user_info(text: str) -> str:
    """``text`` with the user and password of every URL in it replaced."""
    return _USER_INFO.sub(f"{MASK}@", text) if "://" in text else text
