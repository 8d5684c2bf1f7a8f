# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Profiles: what a vendor's product needs in Microsoft 365, as data.

A profile is a YAML mapping. The collection's own ones lie beside this file; a user's own one is named by its path.
"""

from __future__ import annotations

import datetime as dt
import difflib
import functools
import typing as t
import urllib.parse
from pathlib import Path

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import PROOFS
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain

Json = dict[str, t.Any]
FOLDER = Path(__file__).with_name("profiles")
# The libyaml one where there is one: a role asks for its profile several times.
_Loader: t.Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ProfileError(Exception):
    """The profile does not exist, cannot be read, or says something it must not say."""


_TEXT: Json = {"type": "str", "required": True}
_TEXTS: Json = {"type": "list", "elements": "str", "default": []}


def _mapping(**options: Json) -> Json:
    return {"type": "dict", "required": True, "options": options}


def _mappings(**options: Json) -> Json:
    return {"type": "list", "elements": "dict", "required": True, "options": options}


SPEC: Json = {
    "name": _TEXT,
    "version": _TEXT,
    "title": _TEXT,
    "status": {**_TEXT, "choices": ["supported", "legacy", "unverified"]},
    "checked": _TEXT,
    "vendor": _mapping(
        name=_TEXT,
        product=_TEXT,
        document=_mapping(title=_TEXT, date=_TEXT, url=_TEXT),
    ),
    "names": _mapping(
        unique_name=_TEXT,
        application=_TEXT,
        secret=_TEXT,
        group=_TEXT,
        group_alias=_TEXT,
        policy_description=_TEXT,
    ),
    "permissions": _mappings(resource=_TEXT, application=_TEXTS, delegated=_TEXTS),
    "scoping": {**_TEXT, "choices": sorted(MODELS)},
    # A proof needs no role where the token carries none.
    "proof": _mapping(protocol={**_TEXT, "choices": sorted(PROOFS)}, role={"type": "str"}),
    "connection": _mapping(
        protocol=_TEXT,
        port={"type": "int", "required": True},
        path={"type": "str", "default": ""},
        # ``global`` is no name for a keyword argument.
        hosts=_mapping(**dict.fromkeys(("global", "gcc_high", "dod", "china"), _TEXT)),
    ),
    "handover": _mapping(
        form=_TEXT,
        fields=_mappings(
            name=_TEXT,
            value={**_TEXT, "choices": ["application_id", "tenant_id", "client_secret"]},
            hint={"type": "str", "default": ""},
        ),
        notes=_TEXTS,
        test={"type": "str", "default": ""},
    ),
    "errors": _mappings(
        seen=_TEXT,
        means=_TEXT,
        call={**_TEXT, "choices": ["fax", "entra", "exchange"]},
        cure=_TEXT,
    ),
    "sunset": {"type": "dict", "options": {"date": _TEXT, "what": _TEXT, "warning": _TEXT}},
}


@functools.cache
def names() -> tuple[str, ...]:
    """The collection's own profiles."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yml")))


def load(term: str, find: t.Callable[[str], str | None] = lambda path: path) -> Json:
    """A profile by its name, or by the path of a user's own file (a term with a slash, or ending in .yml or .yaml).

    ``find`` turns such a path into one that can be opened, None if there is nothing. Raises ProfileError.
    """
    if "/" in term or term.endswith((".yml", ".yaml")):
        found = find(term)
        if not found:
            raise ProfileError(f"there is no profile file {term}")
        return _fresh(str(Path(found).expanduser()), term)
    if term not in names():
        nearest = difflib.get_close_matches(term, names(), 1)
        raise ProfileError(
            f"there is no profile {term!r}"
            + (f"; did you mean {nearest[0]!r}?" if nearest else "")
            + f" There are {', '.join(names())}; a file of your own is named by its path."
        )
    return _fresh(str(FOLDER / f"{term}.yml"), term)


def _fresh(path: str, term: str) -> Json:
    # Nobody may alter what the next one gets.
    return t.cast("Json", plain(parse(path, term)))


@functools.lru_cache
def parse(path: str, term: str) -> Json:
    """Read and check one file, once in a process; ``term`` is what the user called it."""
    try:
        document = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
    except (OSError, UnicodeDecodeError) as exc:
        raise ProfileError(f"the profile {term} cannot be read: {exc}") from exc
    except yaml.YAMLError as exc:
        raise ProfileError(f"the profile {term} is not YAML: {exc}") from exc
    if not isinstance(document, dict):
        raise ProfileError(f"the profile {term} is not a mapping of keys and values")
    return check(document, term)


def check(document: Json, term: str) -> Json:
    """The profile with its defaults filled in. Raises ProfileError naming every key that is missing or unknown."""
    answer = ArgumentSpecValidator(SPEC).validate(_tidied(document))
    unknown = [".".join(key) for key in _keys(answer.unsupported_parameters)]
    complaints = [f"unknown key {key}{_meant(key)}" for key in unknown]
    # The validator's own sentence on unknown keys lists the known ones of one level only.
    complaints += [str(message) for message in answer.error_messages if "Supported parameters include" not in message]
    profile: Json = answer.validated_parameters
    if not complaints:
        complaints = list(_complaints(profile))
    if complaints:
        raise ProfileError(f"the profile {term} is not right: {'; '.join(complaints)}")
    return profile


def _keys(unsupported: t.Iterable[t.Any]) -> t.Iterator[tuple[str, ...]]:
    for key in sorted(unsupported, key=str):
        yield tuple(str(part) for part in key) if isinstance(key, (tuple, list)) else (str(key),)


def _meant(key: str) -> str:
    options: Json = SPEC
    *parents, last = key.split(".")
    for parent in parents:
        options = options[parent].get("options", {})
    nearest = difflib.get_close_matches(last, options, 1)
    return f" (did you mean {nearest[0]}?)" if nearest else ""


def _tidied(value: t.Any) -> t.Any:
    """YAML reads an unquoted 2027-04-01 as a date, and JSON knows no dates. A key without a value is not given."""
    if isinstance(value, dict):
        return {key: _tidied(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_tidied(item) for item in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def _complaints(profile: Json) -> t.Iterator[str]:
    dates = {"checked": profile["checked"], "vendor.document.date": profile["vendor"]["document"]["date"]}
    if profile.get("sunset"):
        dates["sunset.date"] = profile["sunset"]["date"]
    for key, value in dates.items():
        try:
            dt.date.fromisoformat(value)
        except ValueError:
            yield f"{key} is {value!r}, which is not a date such as 2027-04-01"
    granted = [name for entry in profile["permissions"] for name in entry["application"]]
    if not granted:
        yield "permissions declares no application permission"
    elif profile["proof"]["role"] is not None and profile["proof"]["role"] not in granted:
        yield f"proof.role {profile['proof']['role']!r} is not among the application permissions {', '.join(granted)}"
    for entry in profile["permissions"]:
        if not entry["application"] and not entry["delegated"]:
            yield f"permissions of {entry['resource']} name neither application nor delegated permissions"
    values = [field["value"] for field in profile["handover"]["fields"]]
    if sorted(values) != ["application_id", "client_secret", "tenant_id"]:
        yield "handover.fields must hold application_id, tenant_id and client_secret, each once"
    address = urllib.parse.urlsplit(profile["vendor"]["document"]["url"])
    if address.scheme != "https" or not address.hostname or address.username is not None:
        yield "vendor.document.url is not an https address"
    for cloud, host in profile["connection"]["hosts"].items():
        # The sheet tells people where to send the secret: to Microsoft's own host, and nowhere else.
        if host.lower() != CLOUDS[cloud].exchange:
            yield f"connection.hosts.{cloud} is {host!r}, which is not {CLOUDS[cloud].exchange}"
    if not 0 < profile["connection"]["port"] < 65536:
        yield f"connection.port is {profile['connection']['port']}"
