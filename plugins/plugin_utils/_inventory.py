# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Whether the variables of one host can be what is meant: complaints about names, values, and where they come from.

Pure: it gets values that are rendered already, and returns sentences. None of them quotes a value that may be a secret.
"""

from __future__ import annotations

import datetime as dt
import difflib
import typing as t
from dataclasses import dataclass, field

from ansible_collections.mail2fax.m365.plugins.module_utils import _names
from ansible_collections.mail2fax.m365.plugins.module_utils._auth import WAYS
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput
from ansible_collections.mail2fax.m365.plugins.plugin_utils import _blanks, _held, _rings
from ansible_collections.mail2fax.m365.plugins.plugin_utils._document import times
from ansible_collections.mail2fax.m365.plugins.plugin_utils._plain import plain
from ansible_collections.mail2fax.m365.plugins.plugin_utils._variables import (
    PASSED_ON,
    PREFIX,
    Variable,
    variables,
)

Json = dict[str, t.Any]
AWX = ("awx_job_id", "tower_job_id")
"""Variables of every job that AWX, or its predecessor, has started."""

WITH_AN_ID = ("client_secret", "certificate_path", "federated_token_path")
"""The ways to sign in that take a client_id besides."""

ADDRESSES = ("mail2fax_mailboxes", "mail2fax_control_mailboxes", "mail2fax_group_owners")
UNQUOTED_GROUPS = ("connection", "windows")
"""Where a value that is in the wrong place may be a secret."""


@dataclass(frozen=True)
class Host:
    """What one host's variables say.

    ``said``: rendered values by name, of variables that are known and not blank; what could not be rendered is in
    ``broken``, and what no vault password of the run opens in ``locked`` as well. ``names``: of every variable that the
    host has, whatever set it. ``outside``: of those that the inventory, group_vars and host_vars hold. ``extra``: of
    extra variables. ``own``: values of ``mail2fax_tenant`` and ``mail2fax_expected_domain`` as the inventory has them
    without any extra variable; ``borrowed``: of these two, what refers in the inventory to extra variables.
    ``everywhere``: confirmations that are said for all hosts of the inventory, or as extra variables.
    ``environment``: what that says of the connection, as ``surroundings`` tells it. ``count``: hosts of the run.
    ``ini``: the host stands in an inventory file in INI form.
    """

    name: str
    playbook: str
    said: t.Mapping[str, t.Any]
    names: t.Collection[str] = ()
    outside: t.Collection[str] = ()
    extra: t.Collection[str] = ()
    broken: t.Collection[str] = ()
    locked: t.Collection[str] = ()
    own: t.Mapping[str, t.Any] = field(default_factory=dict)
    borrowed: t.Collection[str] = ()
    everywhere: t.Collection[str] = ()
    environment: t.Mapping[str, str] = field(default_factory=dict)
    count: int = 1
    ini: bool = False

    @property
    def by_awx(self) -> bool:
        return any(name in self.names for name in AWX)


EVIDENCE = "mail2fax_evidence_dir"
_NOT_OF_THE_TENANT = frozenset(
    {
        *(EVIDENCE, "mail2fax_hosts", "mail2fax_handover_dir", "mail2fax_record_store", "mail2fax_in_process"),
        *("mail2fax_allow_volatile", "mail2fax_allowed_connection", "mail2fax_confirm"),
    }
)
_STORE = "mail2fax_secret_store"


def declared(said: t.Mapping[str, t.Any]) -> Json:
    """What the inventory declares of the tenant, by variable: no way to sign in, and of a store no more than which one
    it is and where in it the secret lies."""
    found: Json = {}
    for name, row in variables().items():
        if name not in said or row.secret or row.group in UNQUOTED_GROUPS or name in _NOT_OF_THE_TENANT:
            continue
        value = plain(said[name])
        if name == _STORE:
            value = {key: value[key] for key in ("backend", "path") if isinstance(value, dict) and key in value}
        found[name] = _blanks.listed(value) if row.type == "list" else value
    return dict(sorted(found.items()))


def complaints(host: Host) -> list[str]:
    """Everything that is wrong with the host's variables, a sentence or two for each."""
    return [
        *_state(host),
        *_unknown(host),
        *(
            f"{name} cannot be worked out: its template fails. What to do: look up what it refers to."
            for name in sorted({*host.broken} - {*host.locked})
        ),
        *_values(host),
        *_needed(host),
        *_whose(host),
        *_confirmed(host),
        *_sign_in(host),
    ]


# --- names -----------------------------------------------------------------------------------------------------


def _state(host: Host) -> t.Iterator[str]:
    for name in sorted(_held.names() & {*host.outside, *host.extra}):
        where = "an extra variable" if name in host.extra else "a variable of the inventory"
        yield (
            f"{name} is {where}, and the playbooks keep under this name what they find. What to do: take it away, or "
            "give it another name."
        )


def _unknown(host: Host) -> t.Iterator[str]:
    known = variables()
    ours = _held.names() | _held.documented() | {_held.BEGUN, _held.COMPARED, _held.PLAYBOOK}
    for name in sorted({*host.names, *host.outside, *host.extra}):
        spelled = name.lower().replace("-", "_")
        if not spelled.startswith(PREFIX.rstrip("_")) or name in known or name in ours or name.startswith(PASSED_ON):
            continue
        near = difflib.get_close_matches(spelled, known, n=1, cutoff=0.6)
        cure = f"call it {near[0]} if that is meant" if near else "look for its name in the guide on playbooks"
        yield (
            f"{name} is not a variable of this collection. What to do: {cure}; a variable of your own needs a name "
            f"that does not begin with {PREFIX}."
        )


# --- values ----------------------------------------------------------------------------------------------------


def _values(host: Host) -> t.Iterator[str]:
    for name, value in host.said.items():
        row = variables()[name]
        wrong = _wrong(row, value)
        if wrong:
            yield f"{name} {wrong}"
        yield from (f"{path} {_lost(path, found, host)}" for path, found in _numbers(row, value))


def _wrong(row: Variable, value: t.Any) -> str | None:
    """What is wrong with the value's type, and how to write it; None if nothing is."""
    shown = _shown(row, value)
    like = f" What to do: write it as {row.example}." if row.example is not None else ""
    if row.type == "list":
        return _wrong_list(row, value, like)
    if row.type == "dict" and not isinstance(value, t.Mapping):
        return f"is {_kind(value)}, not a mapping.{like}"
    if row.type == "bool" and _blanks.truth_of(value) is None:
        return f"is {shown}, not true or false. What to do: write it as true or as false."
    if row.type == "int":
        number = _blanks.whole(value)
        if number is None:
            example = row.example if row.example is not None else row.default
            return f"is {shown}, not a whole number. What to do: write it as {example}."
        if row.least is not None and number < row.least:
            return f"is {number}, less than {row.least}. What to do: give {row.least} or more."
    if row.type in ("str", "path"):
        if isinstance(value, (t.Mapping, list)):
            return f"is {_kind(value)}, not text.{like}"
        if row.choices and str(value).strip() not in row.choices:
            return f"is {shown}, and must be one of: {', '.join(row.choices)}. What to do: choose {_or(row.choices)}."
    for name, wrong in ((_rings.SIZE, _rings.wrong_size), (_rings.MOST_BAD, _rings.wrong_share)):
        if row.name == name:
            return wrong(value)
    if row.name == "mail2fax_rotate_made_before" and times.instant(_text(value)) is None:
        return f"is {shown}, not an instant.{like}"
    return None


def _wrong_list(row: Variable, value: t.Any, like: str) -> str | None:
    if isinstance(value, str):
        if value.lstrip().startswith(("[", "{")):
            return f"is text that looks like a list in JSON or YAML, not a list.{like or ' What to do: write a list.'}"
    elif not isinstance(value, list):
        return f"is {_kind(value)}, not a list.{like or ' What to do: write a list.'}"
    for item in _blanks.listed(value):
        if isinstance(item, (t.Mapping, list)):
            return f"has {_kind(item)} among its items, which has to be text.{like}"
        if isinstance(item, str) and row.name in ADDRESSES and not is_address(item):
            return (
                f"has the item {_cut(item)}, which is not an address. What to do: put commas or line breaks between "
                "addresses, or write a list of them, with nothing around."
            )
    return None


def is_address(text: str) -> bool:
    """By the check of the modules that take it."""
    try:
        _names.address(text, "")
    except InvalidInput:
        return False
    return True


def _numbers(row: Variable, value: t.Any) -> t.Iterator[tuple[str, t.Any]]:
    """Numbers, truth values and dates where text has to stand, each with its path; the type has been told "
    "already."""
    if not row.digits or row.type in ("bool", "int", "raw"):
        return
    if row.type in ("str", "path"):
        # A word such as yes is told by its choices.
        if not row.choices:
            yield from _leaves(row.name, value)
    elif isinstance(value, list if row.type == "list" else t.Mapping):
        yield from _leaves(row.name, value)


def _leaves(path: str, value: t.Any) -> t.Iterator[tuple[str, t.Any]]:
    if isinstance(value, t.Mapping):
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}", item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaves(f"{path}[{number}]", item)
    elif isinstance(value, (bool, int, float, dt.date, dt.time)):
        yield path, value


def _lost(path: str, value: t.Any, host: Host) -> str:
    """What has become of a text that was written without what keeps it text, and what keeps it, for where it stands."""
    name = path.split(".")[0].split("[")[0]
    kind = (
        "a truth value"
        if isinstance(value, bool)
        else "a number"
        if isinstance(value, (int, float))
        else "a date or a time"
    )
    forms = ['"4711" in a YAML file']
    if name in host.extra:
        forms.insert(0, "with a word or a blank before it in a survey")
    elif host.ini:
        forms.insert(0, "'\"4711\"' in an inventory in INI form")
    return (
        f"is {kind}, and has to be text: its digits may have changed on the way. What to do: write it so that it stays "
        f"text, {' or '.join(forms)}."
    )


def _shown(row: Variable, value: t.Any) -> str:
    if row.secret or row.group in UNQUOTED_GROUPS or isinstance(value, (t.Mapping, list)):
        return _kind(value)
    return _cut(value)


def _cut(value: t.Any) -> str:
    shown = repr(_text(value))
    return shown if len(shown) <= 60 else f"{shown[:56]}...'"


def _text(value: t.Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, (dt.date, dt.time)) else str(value)


def _kind(value: t.Any) -> str:
    if isinstance(value, t.Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, (int, float)) else "text"


def _or(choices: t.Sequence[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def _needed(host: Host) -> t.Iterator[str]:
    for row in variables().values():
        if host.playbook not in row.needed_by or row.name in host.broken:
            continue
        value = host.said.get(row.name)
        missing = value is None or (row.type == "list" and isinstance(value, list) and not _blanks.listed(value))
        if missing and row.name == "mail2fax_mailboxes":
            yield (
                f"{row.name} names no mailbox. What to do: name every mailbox that the fax server reads or sends as, "
                "such as fax@contoso.com."
            )
        elif missing:
            yield f"{row.name} says nothing. What to do: set it, such as {row.example}."
        elif row.type == "dict" and isinstance(value, t.Mapping) and not value:
            yield f"{row.name} is empty. What to do: set it, such as {row.example}."


# --- whose it is -------------------------------------------------------------------------------------------------


def _whose(host: Host) -> t.Iterator[str]:
    """What is one tenant's own comes from that tenant's host, and the tenant of several hosts from nowhere else."""
    own = [row.name for row in variables().values() if row.own and row.name in host.extra and row.name in host.said]
    if own and host.count > 1:
        yield (
            f"{', '.join(own)} {'is' if len(own) == 1 else 'are'} given as extra variables to {host.count} hosts, "
            "and a tenant has them of its own. What to do: set them in the inventory, or take one host by --limit."
        )
    tenant = "mail2fax_tenant" in host.said
    lent = "mail2fax_tenant" in host.borrowed
    if lent and (host.count > 1 or (host.by_awx and not host.own)):
        yield (
            f"mail2fax_tenant refers to an extra variable, so the inventory does not say which tenant {host.name} is. "
            "What to do: write the tenant itself there."
        )
    if host.count > 1 and not tenant and "mail2fax_tenant" not in host.broken:
        yield (
            f"mail2fax_tenant says nothing for {host.name}, and over {host.count} hosts the environment's "
            "M365_TENANT is not used. What to do: set mail2fax_tenant for each host."
        )
    if not host.by_awx or host.count > 1:
        return
    if own and not host.own:
        yield (
            f"{', '.join(own)} {'comes' if len(own) == 1 else 'come'} as extra variables, and the inventory does not "
            f"say which tenant {host.name} is. What to do: set mail2fax_tenant or mail2fax_expected_domain for it in "
            "the inventory."
        )
    elif not tenant and not host.own:
        yield (
            f"mail2fax_tenant says nothing for {host.name}, and a job of AWX takes no tenant from the environment. "
            "What to do: set mail2fax_tenant or mail2fax_expected_domain for it in the inventory."
        )
    for name, value in host.own.items():
        if name in host.extra and name in host.said and _same(host.said[name], value) is False:
            yield (
                f"{name} is another one as an extra variable than in the inventory of {host.name}. What to do: take "
                "the extra variable away, or choose the host that is meant."
            )


def _confirmed(host: Host) -> t.Iterator[str]:
    """What cannot be undone is meant for each tenant, not for whoever is in the run."""
    if host.count < 2:
        return
    for name in sorted(host.everywhere):
        if _blanks.truth_of(host.said.get(name)) is not False:
            yield (
                f"{name} is said for all hosts at once, and {host.count} are in this run. What to do: say it in the "
                "variables of each host that is meant, or of a group of theirs, or take one host by --limit."
            )


def _same(one: t.Any, other: t.Any) -> bool:
    return str(one).strip().lower() == str(other).strip().lower()


def _sign_in(host: Host) -> t.Iterator[str]:
    """Who signs in is said in one place, and in one way."""

    def variable(name: str) -> bool:
        return PREFIX + name in host.said

    def outer(name: str) -> str:
        return host.environment.get(f"M365_{name.upper()}", "").strip()

    ways = [way for way in WAYS if way != "access_token" and variable(way)]
    if len(ways) > 1:
        yield (
            f"{_and(PREFIX + way for way in ways)} are ways to sign in, and one is needed. What to do: leave one of "
            "them."
        )
        return
    client_id = host.said.get(f"{PREFIX}client_id")
    if any(way in WITH_AN_ID for way in ways) and client_id is None and outer("client_id"):
        yield (
            f"{PREFIX}{ways[0]} comes from the inventory, and the id that belongs to it from the environment's "
            f"M365_CLIENT_ID. What to do: set {PREFIX}client_id beside it."
        )
    if client_id is None or ways or variable("access_token"):
        return
    if any(outer(way) for way in WITH_AN_ID) and outer("client_id") and not _same(outer("client_id"), client_id):
        yield (
            f"{PREFIX}client_id is another one than the environment's M365_CLIENT_ID, to which the environment's "
            f"secret or certificate belongs. What to do: set a secret or a certificate beside {PREFIX}client_id, or "
            "take M365_CLIENT_ID away."
        )


def _and(names: t.Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}"
