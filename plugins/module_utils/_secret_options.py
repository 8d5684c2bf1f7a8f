# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Which of a task's options are secrets, which of them it uses, and what of its options may be shown."""

from __future__ import annotations

import typing as t
import urllib.parse

from ansible_collections.mail2fax.m365.plugins.module_utils import _redact

Json = dict[str, t.Any]


def hidden_options(spec: t.Mapping[str, t.Any], params: t.Mapping[str, t.Any]) -> dict[str, list[str]]:
    """The texts of the options with no_log, by option, suboptions by the option they belong to and their own name."""
    found: dict[str, list[str]] = {}
    for name, about in spec.items():
        value = params.get(name)
        if about.get("no_log"):
            texts = list(texts_of(value))
            if texts:
                found[name] = texts
        elif about.get("options"):
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    for inner, texts in hidden_options(about["options"], item).items():
                        found.setdefault(f"{name}.{inner}", []).extend(texts)
    return found


def idle_options(params: t.Mapping[str, t.Any], *, windows_host: bool = False) -> frozenset[str]:
    """The connection's hidden options that this sign-in does not use, such as a password left in the environment."""
    idle = set()
    given = params.get("access_token") or {}
    tokens = any(given.values()) if isinstance(given, dict) else True
    if tokens or params.get("managed_identity"):
        idle |= {"client_secret", "certificate_passphrase"}
    if not params.get("certificate_path"):
        idle.add("certificate_passphrase")
    if not windows_host and params.get("exchange_transport") != "winrm":
        idle.add("winrm_password")
    return frozenset(idle)


def declared_texts(spec: t.Mapping[str, t.Any], params: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The texts of all other options that a person made up, each with the option it stands in."""
    found: dict[str, str] = {}
    for name, about in spec.items():
        value = params.get(name)
        if about.get("no_log") or about.get("choices") or value is None:
            continue
        if about.get("options"):
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    for text, inner in declared_texts(about["options"], item).items():
                        found.setdefault(text, f"{name}.{inner}")
        elif about.get("type", "str") in ("str", "list", "path", "raw", "dict"):
            for text in texts_of(value):
                found.setdefault(text, name)
    return found


def texts_of(value: t.Any) -> t.Iterator[str]:
    """Every text in a value, keys left out."""
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)


def invocation(spec: t.Mapping[str, t.Any], params: t.Mapping[str, t.Any]) -> Json:
    """The options as a result may show them: no value of one with no_log, no user info in a URL."""
    found: Json = {}
    for name, value in params.items():
        about = spec.get(name) or {}
        if about.get("no_log"):
            found[name] = _hidden(value)
        elif is_proxy(name) and isinstance(value, str):
            found[name] = proxy_shown(value)
        elif about.get("options") and isinstance(value, dict):
            found[name] = invocation(about["options"], value)
        elif about.get("options") and isinstance(value, list):
            found[name] = [
                invocation(about["options"], item) if isinstance(item, dict) else _shown(item) for item in value
            ]
        else:
            found[name] = _shown(value)
    return found


def _hidden(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {name: _hidden(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    return value if value is None or isinstance(value, bool) or value == "" else _redact.OPTION


def _shown(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {name: _shown(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return _redact.without_user_info(value) if isinstance(value, str) else value


def is_proxy(name: str) -> bool:
    """Whether an option or a variable of the environment names a proxy."""
    return name.lower().endswith("proxy") and name.lower() != "no_proxy"


def proxy_shown(value: str) -> str:
    """A proxy's address without user and password: its scheme may be missing, its password may hold anything."""
    start, user, place = _proxy_parts(value)
    return f"{start}{_redact.MASK}@{place}" if user is not None else value


def proxy_secrets(values: t.Iterable[str | None]) -> t.Iterator[str]:
    """The passwords in proxies' addresses, as they stand there and as they are meant."""
    for value in values:
        password = (_proxy_parts(str(value or ""))[1] or "").partition(":")[2]
        if password:
            yield password
            yield urllib.parse.unquote(password)


def _proxy_parts(value: str) -> tuple[str, str | None, str]:
    scheme, separator, rest = value.partition("://")
    start = scheme + separator if separator else ""
    user, at, place = (rest if separator else value).rpartition("@")
    return start, user if at else None, place


def user_info(urls: t.Iterable[str | None]) -> t.Iterator[str]:
    """The passwords in URLs, as they stand there and as they are meant."""
    for url in urls:
        held, at, _rest = str(url or "").partition("://")[2].rpartition("@")
        password = held.partition(":")[2]
        if at and password:
            yield password
            yield urllib.parse.unquote(password)


def misplaced(declared: t.Iterable[str]) -> t.Iterator[str]:
    """Texts of other options that have the look of a secret: where they are refused they are not quoted. No paths."""
    for text in declared:
        if _redact.looks_issued(text) and not text.startswith(("/", "~", ".", "http")) and "/" not in text[:12]:
            yield text
