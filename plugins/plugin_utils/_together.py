# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""Which application of which tenant each host of a run means, once the tenant itself has told.

A tenant has several names, so two hosts may mean one application and their variables do not show it. Each host notes
what it found in the run's own temporary folder, which every worker of the run has.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import pathlib
import typing as t

from ansible_collections.mail2fax.m365.plugins.module_utils._errors import Blocked
from ansible_collections.mail2fax.m365.plugins.plugin_utils._tokens import locked

Json = dict[str, t.Any]
PREFIX = "mail2fax-"
OUT_OF_REACH = "unreached"
COMPARED = "compared"


def meant(found: t.Mapping[str, t.Any], asked: t.Mapping[str, t.Any]) -> str | None:
    """One text for an application of a tenant, from a look at the tenant and what it was asked for; None: not told."""
    tenant = str((found.get("tenant") or {}).get("id") or "").lower()
    app_id = str((found.get("application") or {}).get("app_id") or asked.get("app_id") or "").lower()
    name = str(asked.get("unique_name") or "").casefold()
    return f"{tenant} {app_id or name}" if tenant and (app_id or name) else None


def note(folder: str, host: str, application: str) -> None:
    """Note that ``host`` means ``application``. Where the folder takes nothing, nothing is known of anybody."""
    place = _place(folder, "application", application)
    with contextlib.suppress(OSError), locked(place.with_suffix(".lock")):
        if host not in _lines(place):
            with place.open("a", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(f"{host}\n")
        _place(folder, "host", host).write_text(place.name, encoding="utf-8")


def met(folder: str, host: str) -> Blocked | None:
    """The reason to stop where another host of the run means the same application; None where none does."""
    named = _lines(_place(folder, "host", host))
    others = [other for other in _lines(pathlib.Path(folder, named[0])) if other != host] if named else []
    if not others:
        return None
    return Blocked(
        f"{host} and {', '.join(others[:5])}{' and more' if len(others) > 5 else ''} mean one application of one "
        "tenant, under different names of it",
        cure="leave one of them out of the inventory, or give each a unique_name of its own",
        who="the person who keeps the inventory",
        options=("unique_name",),
    )


def note_out_of_reach(folder: str, host: str) -> None:
    """Note that the machine that runs the tasks of ``host`` does not answer."""
    with contextlib.suppress(OSError):
        _place(folder, OUT_OF_REACH, host).touch()


def out_of_reach(folder: str, host: str) -> bool:
    """Whether it was noted in this run."""
    return _place(folder, OUT_OF_REACH, host).exists()


def count_out_of_reach(folder: str) -> int:
    """How many hosts it was noted of."""
    return len([*pathlib.Path(folder).glob(f"{PREFIX}{OUT_OF_REACH}-*")])


def note_compared(folder: str, hosts: t.Sequence[str], found: t.Mapping[str, t.Any]) -> None:
    """Note what the first play of a playbook has found of its hosts together; that of an earlier one is forgotten."""
    with contextlib.suppress(OSError):
        _place(folder, COMPARED, "\n".join(hosts)).write_text(json.dumps(found), encoding="utf-8")


def compared(folder: str, hosts: t.Sequence[str]) -> Json | None:
    """What was noted last of these hosts; None where nothing was.

    Of a host that failed in an earlier playbook of the run, the variables still tell what that one has found.
    """
    try:
        found = json.loads(_place(folder, COMPARED, "\n".join(hosts)).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _place(folder: str, kind: str, name: str) -> pathlib.Path:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    return pathlib.Path(folder, f"{PREFIX}{kind}-{digest}")


def _lines(place: pathlib.Path) -> list[str]:
    try:
        return place.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
