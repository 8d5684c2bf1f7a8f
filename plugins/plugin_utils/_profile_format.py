# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""How a profile's file is written: its keys, what they may say, and what is wrong with one.

There are two formats. Format 2 lists accesses, each with its protocol, permissions and scoping model. Format 1 (a file
that does not say ``format``) knows one protocol and one model; it is read on, and becomes format 2 here.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
import typing as t
import urllib.parse

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.mail2fax.m365.plugins.module_utils import _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._clouds import CLOUDS, ENDPOINTS, Endpoint
from ansible_collections.mail2fax.m365.plugins.module_utils._proofs import PROOFS
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping import access_policy, application_role
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS

Json = dict[str, t.Any]

FORMATS = (1, 2)
GRAPH, EXCHANGE = "microsoft_graph", "exchange_online"
ONCE = ("application_id", "tenant_id", "client_secret")
"""What every form has one field for."""
OF_AN_ACCESS = ("token_endpoint", "token_scope", "endpoint")
"""What a form may have fields for, each about one access. Host, port and user name the sheet tells by itself."""
_ID = re.compile(r"[a-z][a-z0-9_]{0,39}")
_TEXT: Json = {"type": "str", "required": True}
_MAYBE: Json = {"type": "str", "default": ""}
_TEXTS: Json = {"type": "list", "elements": "str", "default": []}


class ProfileError(Exception):
    """The profile does not exist, cannot be read, or says something it must not say."""


def _mapping(**options: Json) -> Json:
    return {"type": "dict", "required": True, "options": options}


def _mappings(**options: Json) -> Json:
    return {"type": "list", "elements": "dict", "required": True, "options": options}


_COMMON: Json = {
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
    "handover": _mapping(
        form=_TEXT,
        fields=_mappings(
            name=_TEXT,
            value={**_TEXT, "choices": [*ONCE, *OF_AN_ACCESS]},
            # Which way in it is about, of those that are another thing for each.
            access=_MAYBE,
            hint=_MAYBE,
        ),
        notes=_TEXTS,
        test=_MAYBE,
    ),
    "errors": _mappings(
        seen=_TEXT,
        means=_TEXT,
        call={**_TEXT, "choices": ["fax", "entra", "exchange"]},
        cure=_TEXT,
        # Only where one of these models is in use, of this access if it is named.
        scoping=_TEXTS,
        access=_MAYBE,
    ),
    "sunset": {"type": "dict", "options": {"date": _TEXT, "what": _TEXT, "warning": _TEXT}},
}

SPEC: Json = {
    "format": {"type": "int", "required": True},
    **_COMMON,
    # What an access makes use of has to be named; see _named.
    "names": _mapping(
        unique_name=_TEXT,
        application=_TEXT,
        secret=_TEXT,
        group=_MAYBE,
        group_alias=_MAYBE,
        policy_description=_MAYBE,
        scope=_MAYBE,
    ),
    "delegated": _TEXTS,
    # Which protocols and models there are, the tables say when a file is read.
    "accesses": _mappings(
        id=_TEXT,
        protocol=_TEXT,
        permissions={"type": "list", "elements": "str", "required": True},
        scoping=_TEXT,
        scoping_allowed=_TEXTS,
    ),
}
"""Format 2."""

SPEC_1: Json = {
    **_COMMON,
    "names": _mapping(
        unique_name=_TEXT,
        application=_TEXT,
        secret=_TEXT,
        group=_TEXT,
        group_alias=_TEXT,
        policy_description=_TEXT,
    ),
    "permissions": _mappings(resource=_TEXT, application=_TEXTS, delegated=_TEXTS),
    "scoping": {**_TEXT, "choices": [access_policy.AccessPolicies.name]},
    # A proof needs no role where the token carries none.
    "proof": _mapping(protocol={**_TEXT, "choices": ["ews"]}, role={"type": "str"}),
    "connection": _mapping(
        protocol=_TEXT,
        port={"type": "int", "required": True},
        path=_MAYBE,
        # ``global`` is no name for a keyword argument.
        hosts=_mapping(**dict.fromkeys(("global", "gcc_high", "dod", "china"), _TEXT)),
    ),
}
"""Format 1."""


def check(document: Json, term: str) -> Json:
    """The profile in the shape of format 2, with its defaults filled in.

    Raises ProfileError naming every key that is missing, unknown or wrong, with the choices and the nearest one.
    """
    tidied = _tidied(document)
    said = tidied.pop("format", 1)
    version = int(said) if isinstance(said, str) and said.strip().isdigit() else said
    if version not in FORMATS or isinstance(version, bool):
        raise ProfileError(f"the profile {term} is not right: format is {said!r}, which is not one of 1, 2")
    spec = SPEC_1 if version == 1 else SPEC
    if version == 1 and "accesses" in tidied:
        raise ProfileError(f"the profile {term} is not right: it has accesses, so it has to say format: 2")
    if version == 2:
        tidied["format"] = version
    answer = ArgumentSpecValidator(_without_choices(spec)).validate(tidied)
    unknown = [".".join(key) for key in _keys(answer.unsupported_parameters)]
    complaints = [f"unknown key {key}{_meant(spec, key)}" for key in unknown]
    # The validator's own sentence on unknown keys lists the known ones of one level only.
    complaints += [str(message) for message in answer.error_messages if "Supported parameters include" not in message]
    profile: Json = answer.validated_parameters
    complaints += _unchosen(spec, profile)
    if not complaints:
        complaints = [*_everywhere(profile), *(_of_format_1(profile) if version == 1 else _of_accesses(profile))]
    if complaints:
        raise ProfileError(f"the profile {term} is not right: {'; '.join(complaints)}")
    return upgraded(profile) if version == 1 else _filled(profile)


def nearest(word: str, choices: t.Iterable[str]) -> str:
    """What was probably meant, as the end of a sentence; empty where nothing is near."""
    found = difflib.get_close_matches(str(word), list(choices), 1)
    return f" (did you mean {found[0]}?)" if found else ""


def endpoint(protocol: str) -> Endpoint | None:
    """Where a protocol is spoken: by the table, or as its proof says."""
    return ENDPOINTS.get(protocol) or getattr(PROOFS.get(protocol), "endpoint", None)


def resource(protocol: str) -> str:
    """Whose permissions a protocol takes."""
    if protocol in ENDPOINTS:
        return GRAPH if ENDPOINTS[protocol].host == "graph" else EXCHANGE
    cloud = CLOUDS["global"]
    return GRAPH if PROOFS[protocol].audience(cloud) == cloud.graph_audience else EXCHANGE


# ---- reading --------------------------------------------------------------------------------------------------------


def _keys(unsupported: t.Iterable[t.Any]) -> t.Iterator[tuple[str, ...]]:
    for key in sorted(unsupported, key=str):
        yield tuple(str(part) for part in key) if isinstance(key, (tuple, list)) else (str(key),)


def _meant(spec: Json, key: str) -> str:
    options = spec
    *parents, last = key.split(".")
    for parent in parents:
        options = options[parent].get("options", {})
    return nearest(last, options)


def _tidied(value: t.Any) -> t.Any:
    """YAML reads an unquoted 2027-04-01 as a date, and JSON knows no dates. A key without a value is not given."""
    if isinstance(value, dict):
        return {key: _tidied(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_tidied(item) for item in value]
    return value.isoformat() if isinstance(value, dt.date) else value


def _without_choices(spec: Json) -> Json:
    return {
        key: {
            name: _without_choices(value) if name == "options" else value
            for name, value in option.items()
            if name != "choices"
        }
        for key, option in spec.items()
    }


def _unchosen(spec: Json, found: t.Any, parents: tuple[str, ...] = ()) -> t.Iterator[str]:
    """What is not among its choices."""
    if not isinstance(found, dict):
        return
    for key, option in spec.items():
        value, choices = found.get(key), option.get("choices")
        if choices and value is not None and value not in choices:
            where = f" found in {' -> '.join(parents)}" if parents else ""
            yield (
                f"value of {key} must be one of: {', '.join(choices)}, got: {value}{where}"
                f"{nearest(str(value), choices)}"
            )
        for inner in value if isinstance(value, list) else [value]:
            yield from _unchosen(option.get("options") or {}, inner, (*parents, key))


# ---- what no list of keys can say -----------------------------------------------------------------------------------


def _everywhere(profile: Json) -> t.Iterator[str]:
    dates = {"checked": profile["checked"], "vendor.document.date": profile["vendor"]["document"]["date"]}
    if profile.get("sunset"):
        dates["sunset.date"] = profile["sunset"]["date"]
    for key, value in dates.items():
        try:
            dt.date.fromisoformat(value)
        except ValueError:
            yield f"{key} is {value!r}, which is not a date such as 2027-04-01"
    values = [field["value"] for field in profile["handover"]["fields"] if field["value"] in ONCE]
    if sorted(values) != sorted(ONCE):
        yield "handover.fields must hold application_id, tenant_id and client_secret, each once"
    for number, error in enumerate(profile["errors"]):
        for model in error["scoping"]:
            if model not in MODELS:
                known = f"{', '.join(sorted(MODELS))}{nearest(model, MODELS)}"
                yield f"errors[{number}].scoping has {model!r}, not one of {known}"
    address = urllib.parse.urlsplit(profile["vendor"]["document"]["url"])
    if address.scheme != "https" or not address.hostname or address.username is not None:
        yield "vendor.document.url is not an https address"


def _of_format_1(profile: Json) -> t.Iterator[str]:
    granted = [name for entry in profile["permissions"] for name in entry["application"]]
    if not granted:
        yield "permissions declares no application permission"
    elif profile["proof"]["role"] is not None and profile["proof"]["role"] not in granted:
        yield f"proof.role {profile['proof']['role']!r} is not among the application permissions {', '.join(granted)}"
    for entry in profile["permissions"]:
        if not entry["application"] and not entry["delegated"]:
            yield f"permissions of {entry['resource']} name neither application nor delegated permissions"
    for cloud, host in profile["connection"]["hosts"].items():
        # The sheet tells people where to send the secret: to Microsoft's own host, and nowhere else.
        if host.lower() != CLOUDS[cloud].exchange:
            yield f"connection.hosts.{cloud} is {host!r}, which is not {CLOUDS[cloud].exchange}"
    if not 0 < profile["connection"]["port"] < 65536:
        yield f"connection.port is {profile['connection']['port']}"


def _of_accesses(profile: Json) -> t.Iterator[str]:
    accesses = profile["accesses"]
    if not accesses:
        yield "accesses is empty: name at least one way in, with id, protocol, permissions and scoping"
    seen: set[str] = set()
    for number, access in enumerate(accesses):
        where = f"accesses[{number}]"
        if not _ID.fullmatch(access["id"]):
            yield f"{where}.id is {access['id']!r}, which is not made of small letters, digits and _"
        elif access["id"] in seen:
            yield f"{where}.id is {access['id']!r}, which is another one's, too"
        seen.add(access["id"])
        yield from _of_access(access, where)
    for number, field in enumerate(profile["handover"]["fields"]):
        if field["access"] or (field["value"] in OF_AN_ACCESS and len(seen) > 1):
            yield from _known(field["access"], f"handover.fields[{number}].access", seen)
    for number, error in enumerate(profile["errors"]):
        if error["access"]:
            yield from _known(error["access"], f"errors[{number}].access", seen)
    yield from _named(profile)


def _known(access: str, where: str, accesses: t.Collection[str]) -> t.Iterator[str]:
    if access not in accesses:
        yield f"{where} is {access!r}, not one of {', '.join(sorted(accesses))}{nearest(access, accesses)}"


def _of_access(access: Json, where: str) -> t.Iterator[str]:
    protocol = access["protocol"]
    if protocol not in PROOFS:
        yield f"{where}.protocol is {protocol!r}, not one of {', '.join(sorted(PROOFS))}{nearest(protocol, PROOFS)}"
        return
    spoken = endpoint(protocol)
    if not access["permissions"]:
        yield f"{where}.permissions names no permission{_such_as(spoken)}"
    for name in access["permissions"]:
        if spoken is not None and spoken.permissions and name not in spoken.permissions:
            yield (
                f"{where}.permissions has {name!r}, which is not a permission for {protocol}: "
                f"{', '.join(spoken.permissions)}{nearest(name, spoken.permissions)}"
            )
    allowed = access["scoping_allowed"] or [access["scoping"]]
    for key, models in (("scoping", [access["scoping"]]), ("scoping_allowed", allowed)):
        for model in dict.fromkeys(models):
            if model not in MODELS:
                yield f"{where}.{key} is {model!r}, not one of {', '.join(sorted(MODELS))}{nearest(model, MODELS)}"
    if access["scoping"] in MODELS and access["scoping"] not in allowed:
        yield f"{where}.scoping is {access['scoping']}, which is not among its scoping_allowed {', '.join(allowed)}"
    for model in allowed:
        for name in access["permissions"]:
            if model in MODELS and (why := unfit(model, protocol, name)):
                yield f"{where}: {why}"


def _such_as(spoken: Endpoint | None) -> str:
    return f", such as {spoken.permissions[0]}" if spoken is not None and spoken.permissions else ""


def unfit(model: str, protocol: str, permission: str) -> str:
    """Why a model cannot limit, or give, this permission; empty if it can."""
    of = resource(protocol)
    if model == "application_access_policy" and not access_policy.is_limited(_permissions.WELL_KNOWN[of], permission):
        return f"an access policy does not limit {permission}"
    if model == "application_role" and not roles_of(model, protocol, [permission]):
        return f"there is no application role for {permission}, so application_role cannot give it"
    if model == "mailbox_permission" and permission not in _OPENS_NOTHING_ALONE:
        return f"{permission} opens every mailbox by its consent alone, whatever rights stand on mailboxes"
    return ""


_OPENS_NOTHING_ALONE = frozenset(
    name for protocol in ("imap", "pop", "smtp") for name in ENDPOINTS[protocol].permissions
)


def roles_of(model: str, protocol: str, permissions: t.Iterable[str]) -> list[str]:
    """The roles of Exchange that a model assigns for permissions, each once; none where it assigns none."""
    if model != application_role.ApplicationRoles.name:
        return []
    found = [application_role.role_of(resource(protocol), name) for name in permissions]
    return list(dict.fromkeys(role for role in found if role))


_NAMES_FOR = {
    "scope_group": ("group", "group_alias"),
    "access_policy": ("policy_description",),
    "application_role": ("scope",),
}
"""By step: the names that it needs."""


def _named(profile: Json) -> t.Iterator[str]:
    for access in profile["accesses"]:
        for model in access["scoping_allowed"] or [access["scoping"]]:
            for step in MODELS[model].makes if model in MODELS else ():
                for name in _NAMES_FOR.get(step, ()):
                    if not profile["names"][name].strip():
                        yield f"names.{name} is missing, which {model} of the access {access['id']} needs"


# ---- the shape that everything else reads --------------------------------------------------------------------------


def _filled(profile: Json) -> Json:
    for access in profile["accesses"]:
        access["scoping_allowed"] = access["scoping_allowed"] or [access["scoping"]]
    for field in profile["handover"]["fields"]:
        if field["value"] in OF_AN_ACCESS:
            field["access"] = field["access"] or profile["accesses"][0]["id"]
    return profile


def upgraded(profile: Json) -> Json:
    """Format 1 as format 2. ``declared`` keeps its permissions, and ``spoken`` its connection, as they were said."""
    given = profile["permissions"]
    proof, model = profile["proof"], profile["scoping"]
    rest = {
        key: value for key, value in profile.items() if key not in ("permissions", "proof", "scoping", "connection")
    }
    granted = [name for entry in given for name in entry["application"]]
    return {
        **rest,
        "format": 2,
        "names": {**profile["names"], "scope": ""},
        "delegated": [name for entry in given if entry["resource"] == GRAPH for name in entry["delegated"]],
        "accesses": [
            {
                "id": proof["protocol"],
                "protocol": proof["protocol"],
                "permissions": [proof["role"]] if proof["role"] else granted,
                "scoping": model,
                "scoping_allowed": [model],
            }
        ],
        "declared": given,
        "spoken": profile["connection"],
    }
