# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What somebody wants to have in AWX, read from the variables ``mail2fax_awx_*``. What cannot be meant is told."""

from __future__ import annotations

import pathlib
import typing as t
import zoneinfo
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.plugin_utils import _blanks, _inventory
from ansible_collections.mail2fax.m365.plugins.plugin_utils._awx import credential_types, names, notifications
from ansible_collections.mail2fax.m365.plugins.plugin_utils._variables import variables

Json = dict[str, t.Any]
PREFIX = "mail2fax_awx_"
VAULT = "vault_password"
LOOKUP_METADATA = ("credential", "metadata")


@dataclass(frozen=True)
class Credential:
    """One credential. ``inputs`` may hold secrets. ``lookups``: by field, from which credential AWX reads it at launch.

    ``attach``: whether the templates get it; a credential that others look up with is for them alone.
    """

    name: str
    type: str
    inputs: Json = field(default_factory=dict, repr=False)
    lookups: Json = field(default_factory=dict)
    attach: bool = True
    description: str = ""


@dataclass(frozen=True)
class Wish:
    """Everything that somebody may say. Empty text stands for what is not said."""

    state: str = "present"
    organization: str = "Default"
    scm_url: str = ""
    scm_branch: str = ""
    scm_credential: str = ""
    inventory_source: str = "inventory/hosts.ini"
    execution_environment: Json = field(default_factory=dict)
    slices: int = 1
    forks: int = 10
    instance_groups: tuple[Json, ...] = ()
    credentials: tuple[Credential, ...] = ()
    notification: Json = field(default_factory=notifications.default)
    time_zone: str = "UTC"
    update_secrets: bool = False


def read(said: t.Mapping[str, t.Any], environment: t.Mapping[str, str]) -> tuple[Wish, list[str]]:
    """``said``: rendered values by the whole name of the variable, blank ones too. The wish, and complaints.

    ``environment``: what that says of signing in; a wish that says nothing of credentials means it.
    """
    known = {name: value for name, value in said.items() if not _blanks.blank(value)}
    wrong = _inventory.complaints(_inventory.Host("awx", "awx", known, names=frozenset(said)))
    if wrong:
        return Wish(), wrong

    def text(name: str, default: str) -> str:
        return str(_blanks.said(known.get(name), default))

    def number(name: str, default: int) -> int:
        return int(_blanks.said(known.get(name), default))

    state, organization = text(f"{PREFIX}state", "present"), text(f"{PREFIX}organization", "Default")
    credentials = known.get(f"{PREFIX}credentials")
    wish = Wish(
        state=state,
        organization=organization,
        scm_url=text(f"{PREFIX}scm_url", ""),
        scm_branch=text(f"{PREFIX}scm_branch", ""),
        scm_credential=text(f"{PREFIX}scm_credential", ""),
        inventory_source=text(f"{PREFIX}inventory_source", Wish.inventory_source),
        execution_environment=_environment(known.get(f"{PREFIX}execution_environment"), organization, wrong),
        slices=number(f"{PREFIX}slices", 1),
        forks=number(f"{PREFIX}forks", 10),
        instance_groups=tuple(_groups(known.get(f"{PREFIX}instance_groups"), wrong)),
        credentials=tuple(
            of_the_run(environment, organization, state)
            if credentials is None
            else _credentials(credentials, state, organization, wrong)
        ),
        notification=_notification(known.get(f"{PREFIX}notification"), wrong),
        time_zone=text("mail2fax_time_zone", "UTC"),
        update_secrets=bool(_blanks.said(known.get(f"{PREFIX}update_secrets"), False)),
    )
    wrong += _together(wish)
    return wish, wrong


def _together(wish: Wish) -> t.Iterator[str]:
    if wish.state != "absent" and not wish.scm_url:
        yield (
            f"{PREFIX}scm_url says nothing. What to do: make a repository of your own from the folder "
            "awx/project of the collection's, and give its address."
        )
    try:
        zoneinfo.ZoneInfo(wish.time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        yield (
            f"mail2fax_time_zone is {wish.time_zone!r}, which is not the name of a time zone. What to do: write it as "
            f"{variables()['mail2fax_time_zone'].example}."
        )
    seen: dict[tuple[str, str], str] = {}
    for one in wish.credentials:
        if not one.attach:
            continue
        # A job has one credential of a type, but several vault passwords with different ids.
        key = (one.type, str(one.inputs.get("vault_id", "")) if one.type == VAULT else "")
        if key in seen:
            yield (
                f"{PREFIX}credentials has {seen[key]!r} and {one.name!r}, both of the type {one.type}, and a job has "
                "one credential of a type. What to do: say attach: false for one of them."
            )
        seen[key] = one.name
    doubled = {one.name for one in wish.credentials if [two.name for two in wish.credentials].count(one.name) > 1}
    yield from (
        f"{PREFIX}credentials has {name!r} twice. What to do: give each a name of its own." for name in sorted(doubled)
    )


def _environment(said: t.Any, organization: str, wrong: list[str]) -> Json:
    """``name``, and ``image`` where the execution environment is ours to make."""
    if said is None:
        return {}
    own = names.own(names.ENVIRONMENT, organization)
    like = "What to do: give the name of one that is there, or its image, or {name: …, image: …}."
    if isinstance(said, str):
        # A name has no slash, and an image without a registry is nobody's.
        return {"name": own, "image": said} if "/" in said else {"name": said}
    if not isinstance(said, t.Mapping) or set(said) - {"name", "image", "pull", "credential"} or not said.get("image"):
        wrong.append(f"{PREFIX}execution_environment is neither text nor a mapping with an image. {like}")
        return {}
    return {"name": own, **said}


def _groups(said: t.Any, wrong: list[str]) -> t.Iterator[Json]:
    keys = {"name", "max_forks", "max_concurrent_jobs"}
    for item in _blanks.listed([] if said is None else said if isinstance(said, (list, str)) else [said]):
        if isinstance(item, str):
            yield {"name": item}
        elif isinstance(item, t.Mapping) and item.get("name") and not set(item) - keys:
            yield {key: item[key] if key == "name" else _blanks.whole(item[key]) for key in item}
        else:
            wrong.append(
                f"{PREFIX}instance_groups has an item that is neither a name nor a mapping of "
                f"{', '.join(sorted(keys))}. What to do: write [default] or [{{name: default, max_forks: 50}}]."
            )


def _credentials(said: t.Any, state: str, organization: str, wrong: list[str]) -> t.Iterator[Credential]:
    """Of what stands in an entry only names are quoted."""
    if not isinstance(said, list):
        wrong.append(
            f"{PREFIX}credentials is not a list. What to do: write a list, with name, type and inputs for each."
        )
        return
    for number, item in enumerate(said):
        where = f"{PREFIX}credentials[{number}]"
        if not isinstance(item, t.Mapping):
            wrong.append(f"{where} is not a mapping. What to do: give it name, type and inputs.")
            continue
        extra = set(item) - {"name", "type", "inputs", "lookups", "attach", "description"}
        if extra or not item.get("type"):
            what = f"has {', '.join(sorted(map(str, extra)))}" if extra else "has no type"
            wrong.append(f"{where} {what}. What to do: give it name, type, inputs, lookups, attach or description.")
            continue
        kind = str(item["type"])
        inputs = item.get("inputs") or {}
        lookups = item.get("lookups") or {}
        if not isinstance(inputs, t.Mapping) or not isinstance(lookups, t.Mapping):
            wrong.append(f"{where} has inputs or lookups that are not mappings. What to do: write field: value.")
            continue
        if state == "present":
            wrong += [f"{where} {text}" for text in _fields(kind, inputs, lookups)]
        yield Credential(
            name=str(item.get("name") or names.own(credential_types.title(kind), organization)),
            type=kind,
            # A blank field is one that nobody filled in; of a choice AWX would take the first for it.
            inputs={str(key): value for key, value in inputs.items() if not _blanks.blank(value)},
            lookups={str(key): dict(value) for key, value in lookups.items() if isinstance(value, t.Mapping)},
            attach=bool(_blanks.said(item.get("attach"), kind in {*credential_types.all_of_ours(), VAULT, "Vault"})),
            description=str(item.get("description") or ""),
        )


def _fields(kind: str, inputs: t.Mapping[str, t.Any], lookups: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    ours = credential_types.all_of_ours()
    if kind in ours:
        there = {entry["id"] for entry in ours[kind]["inputs"]["fields"]}
        unknown = sorted({*inputs, *lookups} - there)
        if unknown:
            yield f"has {', '.join(unknown)}. What to do: a {kind} has {', '.join(sorted(there))}."
        missing = [
            name for name in ours[kind]["inputs"]["required"] if _blanks.blank(inputs.get(name)) and name not in lookups
        ]
        if missing:
            yield f"lacks {', '.join(missing)}. What to do: give each in inputs or in lookups."
    for name, source in lookups.items():
        if not isinstance(source, t.Mapping) or not source.get("credential") or set(source) - set(LOOKUP_METADATA):
            yield (
                f"looks up {name} without saying where. What to do: give it credential (the name of one of AWX's "
                "look-up types) and metadata."
            )


def _notification(said: t.Any, wrong: list[str]) -> Json:
    if said is None:
        return notifications.default()
    made, complaint = notifications.of(said)
    if complaint:
        wrong.append(f"{PREFIX}notification {complaint}")
    return made


def told(wish: Wish) -> t.Iterator[str]:
    """What somebody should know who has this made."""
    if wish.state == "absent":
        return
    if not any(one.attach for one in wish.credentials):
        yield (
            "No template has a credential: give one in mail2fax_awx_credentials, or have the operator's sign-in in the "
            "inventory."
        )
    if not wish.execution_environment:
        yield (
            "The templates run in AWX's own execution environment, which lacks msal and requests. What to do: build "
            "one from the collection's execution-environment.yml, and name its image in "
            "mail2fax_awx_execution_environment."
        )
    if wish.notification == notifications.default():
        yield "Red jobs are told to root@localhost by AWX's own mail: say another place in mail2fax_awx_notification."


def of_the_run(environment: t.Mapping[str, str], organization: str, state: str) -> t.Iterator[Credential]:
    """The sign-in with which this run itself would reach tenants. To be removed: all that this may ever have made."""
    if state == "absent":
        for kind in (*credential_types.all_of_ours(), VAULT):
            yield Credential(names.own(credential_types.title(kind), organization), kind)
        return
    for kind, given in (
        ("operator_secret", ("client_id", "client_secret")),
        ("operator_certificate", ("client_id", "certificate_path")),
    ):
        inputs = {name: environment.get(f"M365_{name.upper()}") for name in given}
        if not all(inputs.values()):
            continue
        if "certificate_path" in inputs:
            try:
                text = pathlib.Path(str(inputs.pop("certificate_path"))).expanduser().read_text(encoding="ascii")
            except (OSError, ValueError):
                continue
            inputs["certificate"] = text
            inputs["certificate_passphrase"] = environment.get("M365_CERTIFICATE_PASSPHRASE")
        inputs["cloud"] = environment.get("M365_CLOUD")
        yield Credential(
            names.own(credential_types.title(kind), organization),
            kind,
            {name: value for name, value in inputs.items() if value},
        )
