# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Profiles: what a vendor's product needs in Microsoft 365, as data.

A profile is a YAML mapping. The collection's own ones lie beside this file; a user's own one is named by its path.
What is done for it follows from its accesses and from the scoping models in use: that is what ``resolve`` works out.
"""

from __future__ import annotations

import difflib
import functools
import json
import typing as t
from pathlib import Path

import yaml

from ansible_collections.mail2fax.m365.plugins.module_utils import _steps
from ansible_collections.mail2fax.m365.plugins.module_utils._scoping.model import MODELS
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _own_files
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain
from ansible_collections.mail2fax.m365.plugins.plugin_utils._profile_format import (
    GRAPH,
    SPEC,
    ProfileError,
    check,
    endpoint,
    nearest,
    resource,
    roles_of,
)

__all__ = ["FOLDER", "SPEC", "ProfileError", "check", "load", "names", "parse", "resolve"]

Json = dict[str, t.Any]
FOLDER = Path(__file__).with_name("profiles")


@functools.cache
def names() -> tuple[str, ...]:
    """The collection's own profiles."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yml")))


def load(term: str, find: t.Callable[[str], str | None] = lambda path: path, scoping: t.Any = None) -> Json:
    """A resolved profile (see ``resolve``) by its name, or by the path of a user's own file (a term with a slash, or
    ending in .yml or .yaml).

    ``find`` turns such a path into one that can be opened, None if there is nothing. Raises ProfileError.
    """
    if "/" in term or term.endswith((".yml", ".yaml")):
        found = find(term)
        if not found:
            raise ProfileError(f"there is no profile file {term}")
        return _fresh(str(Path(found).expanduser()), term, scoping)
    if term not in names():
        close = difflib.get_close_matches(term, names(), 1)
        raise ProfileError(
            f"there is no profile {term!r}"
            + (f"; did you mean {close[0]!r}?" if close else "")
            + f" There are {', '.join(names())}; a file of your own is named by its path."
        )
    return _fresh(str(FOLDER / f"{term}.yml"), term, scoping)


def _fresh(path: str, term: str, scoping: t.Any) -> Json:
    # Nobody may alter what the next one gets.
    said = json.dumps(plain(scoping), sort_keys=True, default=str) if scoping else ""
    return t.cast("Json", plain(_resolved(path, term, said)))


@functools.lru_cache
def _resolved(path: str, term: str, scoping: str) -> Json:
    return resolve(parse(path, term), json.loads(scoping) if scoping else None)


@functools.lru_cache
def parse(path: str, term: str) -> Json:
    """Read and check one file, once in a process; ``term`` is what the user called it."""
    try:
        document = _own_files.loaded(Path(path))
    except (OSError, UnicodeDecodeError) as exc:
        raise ProfileError(f"the profile {term} cannot be read: {exc}") from exc
    except yaml.YAMLError as exc:
        raise ProfileError(f"the profile {term} is not YAML: {exc}") from exc
    if not isinstance(document, dict):
        raise ProfileError(f"the profile {term} is not a mapping of keys and values")
    return check(document, term)


# ---- what follows from a profile ------------------------------------------------------------------------------------


def resolve(profile: Json, scoping: t.Any = None) -> Json:
    """A checked profile (see ``check``) with all that follows from it and from the models in use.

    ``scoping`` is None, a model for all accesses, or a mapping from access ids to models. Beside the file's own keys
    the answer has ``accesses`` with ``resource``, ``scoping`` (in use) and ``roles``; ``models``, ``protocols``,
    ``permissions`` (declared and consented: of the accesses whose model needs a consent), ``roles``, ``steps`` (of a
    provisioning), ``full_access``, ``send_as``, ``switches`` and ``connection`` (a row for each access).
    Raises ProfileError for a model that an access does not allow.
    """
    models = _models(profile, scoping)
    accesses = [
        {
            **access,
            "resource": resource(access["protocol"]),
            "scoping": models[access["id"]],
            "roles": roles_of(models[access["id"]], access["protocol"], access["permissions"]),
        }
        for access in profile["accesses"]
    ]
    permissions = profile.get("declared") or _permissions(accesses, profile["delegated"])
    by_right = [access for access in accesses if access["scoping"] == "mailbox_permission"]
    opened = {access["protocol"]: step for access in accesses if (step := _opened_by(access["protocol"]))}
    steps = {step for access in accesses for step in MODELS[access["scoping"]].makes} | set(opened.values())
    if permissions:
        steps.add("admin_consent")
    return {
        **{key: value for key, value in profile.items() if key not in ("declared", "spoken")},
        "accesses": accesses,
        "models": sorted({access["scoping"] for access in accesses}),
        "protocols": sorted({access["protocol"] for access in accesses}),
        "permissions": permissions,
        "roles": list(dict.fromkeys(role for access in accesses for role in access["roles"])),
        "steps": list(_steps.of("provision", steps)),
        "full_access": bool(by_right),
        "send_as": any(access["protocol"] == "smtp" for access in by_right),
        "switches": sorted(protocol for protocol, step in opened.items() if step == "mailbox_protocols"),
        "connection": [_connection(access, profile.get("spoken")) for access in accesses],
    }


def _models(profile: Json, scoping: t.Any) -> dict[str, str]:
    """By access: the model in use."""
    accesses = {access["id"]: access for access in profile["accesses"]}
    said: t.Mapping[str, t.Any] = {}
    if isinstance(scoping, t.Mapping):
        said = {str(key): value for key, value in scoping.items() if value not in (None, "")}
        for key in said:
            if key not in accesses:
                raise ProfileError(
                    f"mail2fax_scoping names the access {key!r}, which the profile {profile['name']} does not have: it "
                    f"has {', '.join(accesses)}{nearest(key, accesses)}"
                )
    elif scoping not in (None, ""):
        if not isinstance(scoping, str):
            raise ProfileError(
                f"mail2fax_scoping is {scoping!r}, neither a scoping model nor a mapping from accesses to models"
            )
        said = dict.fromkeys(accesses, scoping)
    for key, model in said.items():
        allowed = accesses[key]["scoping_allowed"]
        if model not in allowed:
            raise ProfileError(
                f"mail2fax_scoping is {model!r} for the access {key}, which the profile {profile['name']} does not "
                f"allow there: it allows {', '.join(allowed)}{nearest(str(model), allowed)}"
            )
    return {key: str(said.get(key) or access["scoping"]) for key, access in accesses.items()}


def _permissions(accesses: t.Iterable[Json], delegated: t.Sequence[str]) -> list[Json]:
    """In the shape of the modules' option ``permissions``: nothing where no model needs a consent."""
    wanted: dict[str, list[str]] = {}
    for access in accesses:
        if MODELS[access["scoping"]].needs_consent:
            names_ = wanted.setdefault(access["resource"], [])
            names_ += [name for name in access["permissions"] if name not in names_]
    if not wanted:
        return []
    if delegated:
        wanted.setdefault(GRAPH, [])
    return [
        {"resource": name, "application": granted, "delegated": list(delegated) if name == GRAPH else []}
        for name, granted in wanted.items()
    ]


def _opened_by(protocol: str) -> str | None:
    spoken = endpoint(protocol)
    return None if spoken is None else spoken.opened_by


def _connection(access: Json, said: Json | None) -> Json:
    """``said``: what a file of format 1 says of its one connection."""
    spoken = endpoint(access["protocol"])
    row: Json = {"access": access["id"], "protocol": access["protocol"]}
    if spoken is None:
        return {
            **row,
            "service": access["protocol"],
            "port": 0,
            "encryption": "",
            "method": "",
            "path": "",
            "hosts": {},
        }
    row.update(
        service=spoken.service,
        port=spoken.port,
        encryption=spoken.encryption,
        method=spoken.method,
        path=spoken.path,
        hosts=spoken.hosts(),
    )
    if said:
        row.update(service=said["protocol"], port=said["port"], path=said["path"], hosts=dict(said["hosts"]))
    return row
