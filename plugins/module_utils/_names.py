# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Values that people type: checked before any request goes out, and quoted so that they arrive as literals."""

from __future__ import annotations

import datetime as dt
import difflib
import re
import typing as t
import urllib.parse

from ansible_collections.mail2fax.m365.plugins.module_utils import _time
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked, InvalidInput
from ansible_collections.mail2fax.m365.plugins.module_utils._redact import looks_issued

ZERO_GUID = "00000000-0000-0000-0000-000000000000"
"""Stands in check mode for the id of a thing that would have been created."""

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_GUID_SHAPE = re.compile(r"\w{8}-\w{4}-\w{4}-\w{4}-\w{12}")
# Internationalised ones as they are typed: in letters, or as xn--.
_DOMAIN = re.compile(r"(?=.{3,253}$)([^\W_](-*[^\W_])*\.)+[^\W_](-*[^\W_])+")
_ADDRESS = re.compile(r"[^\s@\"(),:;<>\[\\\]\x00-\x1f\x7f]{1,64}@([^\s@]+)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f]")


def hidden(value: str) -> str:
    """What stands in a message for a value that may be a secret in the wrong place."""
    return f"a text of {len(value)} characters that is not shown"


def quoted(value: t.Any) -> str:
    """A refused value as a message may show it: not if it has the look of a secret."""
    text = str(value)
    return hidden(text) if looks_issued(text) else repr(value)


def decrypted(value: t.Any, option: str, shown: str = "") -> None:
    """Blocked where a secret is still the text that Ansible Vault made of it: it would be sent as it is."""
    if str(value or "").lstrip().startswith("$ANSIBLE_VAULT;"):
        raise Blocked(
            f"{shown or option} is still encrypted with Ansible Vault",
            cure="Ansible opens a vaulted value only where it stands in a file with the tag !vault, and with the vault "
            "password of its vault ID (--vault-id); an extra variable and a quoted text it takes as they are",
            options=(option,),
        )


def is_guid(value: str) -> bool:
    return _GUID.fullmatch(value) is not None


def guid(value: str, option: str) -> str:
    """``value`` in lower case, or InvalidInput that names the first character which cannot be in a GUID."""
    text = value.strip().strip("{}")
    if _GUID.fullmatch(text):
        return text.lower()
    wrong = next((char for char in text if char not in "0123456789abcdefABCDEF-"), None)
    looks = _GUID_SHAPE.fullmatch(text) or (wrong is None and len(text) <= 36)
    hint = f" ({wrong!r} is not a hexadecimal digit)" if wrong and looks else ""
    raise InvalidInput(
        f"{option} is {repr(value) if looks else hidden(value)}, which is not a GUID{hint}",
        cure="copy the whole id, 36 characters such as 1cb8b5d2-8724-4f32-8152-a16a230b682b",
    )


def instant(value: str, option: str) -> dt.datetime:
    """The instant that an option names. Raises InvalidInput."""
    moment = _time.instant(value)
    if moment is None:
        raise InvalidInput(
            f"{option} is {value!r}, which is not an instant",
            cure="write it as 2026-11-30T12:00:00Z",
            options=(option,),
        )
    return moment


def instant_said(value: str | None, option: str) -> dt.datetime | None:
    """The same of an option that may be left out or blank."""
    return instant(value, option) if value is not None and value.strip() else None


def tenant(value: str, option: str = "tenant") -> str:
    """A tenant's GUID or one of its domains, in lower case."""
    text = value.strip().lower()
    if _GUID_SHAPE.fullmatch(text):
        return guid(text, option)
    if _DOMAIN.fullmatch(text):
        return text
    looks = "." in text and re.fullmatch(r"[\w.-]+", text) and not looks_issued(value)
    raise InvalidInput(
        f"{option} is {repr(value) if looks else hidden(value)}, which is neither a directory (tenant) id nor a domain",
        cure="give the Directory (tenant) ID or a verified domain such as contoso.onmicrosoft.com",
    )


def address(value: str, option: str) -> str:
    """A mail address as typed, stripped; InvalidInput when it cannot be one."""
    text = value.strip()
    match = _ADDRESS.fullmatch(text)
    if match is None or _DOMAIN.fullmatch(match.group(1)) is None:
        raise InvalidInput(
            f"{option} has {quoted(value)}, which is not a mail address",
            cure="give the mailbox's address, such as fax@contoso.com",
        )
    return text


def name(value: str, option: str, longest: int) -> str:
    """A display name: any Unicode except control characters, 1 to ``longest`` characters, not only blanks."""
    if not value.strip():
        raise InvalidInput(f"{option} is empty", cure=f"give a name of 1 to {longest} characters")
    if len(value) > longest:
        raise InvalidInput(
            f"{option} has {len(value)} characters; Microsoft 365 takes at most {longest}",
            cure=f"shorten {quoted(value[:40])}… to at most {longest} characters",
        )
    if match := _CONTROL.search(value):
        raise InvalidInput(
            f"{option} holds a control character (U+{ord(match.group()):04X})",
            cure="type the name again without line ends, tabs or other control characters",
        )
    return value


def alias(value: str, option: str) -> str:
    """An Exchange alias: 1 to 64 of the characters Exchange takes."""
    if re.fullmatch(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", value) and len(value) <= 64:
        return value
    raise InvalidInput(
        f"{option} is {quoted(value)}, which Exchange does not take as an alias",
        cure="use 1 to 64 letters, digits and !#$%&'*+-/=?^_`{|}~, with single dots inside",
    )


def nearest(wrong: str, known: t.Iterable[str], count: int = 3) -> list[str]:
    """The names most like ``wrong``, best first, in their own spelling."""
    by_fold: dict[str, str] = {}
    for item in known:
        by_fold.setdefault(item.casefold(), item)
    close = difflib.get_close_matches(wrong.casefold(), list(by_fold), n=count, cutoff=0.5)
    return [by_fold[item] for item in close]


def odata(value: str) -> str:
    """An OData string literal for a URL: apostrophes doubled, everything else percent-encoded."""
    return "'" + urllib.parse.quote(value.replace("'", "''"), safe="") + "'"


def opath_literal(value: str) -> str:
    """A string literal for an Exchange -Filter: in apostrophes, with apostrophes doubled."""
    return "'" + value.replace("'", "''") + "'"
