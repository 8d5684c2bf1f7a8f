# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""What a step added to a tenant: the entries of ``Plan.added``, which the record of a tenant keeps.

An entry is ``{"kind": ..., "of": ..., "id": ...}`` and whatever else helps to take it back; two with the same three
values are one. ``of`` is what it hangs on. A null ``id``, or zeros, mean "known after the run": the record puts in the
``app_id``, or the group's ``guid``, of the step's result.

====================  ===============  ====================================================  =======================
kind                  of               id                                                    besides
====================  ===============  ====================================================  =======================
application           tenant id/null   app id
service_principal     app id           app id
permission, consent   app id           ``<resource>/<application or delegated>/<name>``      resource, type, name
policy                app id           Guid of the group
group                 null             Guid of the group
member, owner         Guid of group    address
ews_entry             null             app id
setting               id of the thing  name of the property                                  before (any JSON value)
right                 Guid of mailbox  ``FullAccess`` or ``SendAs``                          sid (null: see above)
switch                Guid of mailbox  name of the property                                  before (true, false, null)
====================  ===============  ====================================================  =======================
"""

from __future__ import annotations

import typing as t

Json = dict[str, t.Any]
TYPES = ("application", "delegated")


def entry(kind: str, of: str | None, id: str | None, **more: t.Any) -> Json:
    """One entry; ids are written in lower case."""
    return {"kind": kind, "of": of.lower() if of else None, "id": id, **more}


def permissions(kind: str, app_id: str | None, listed: t.Iterable[t.Mapping[str, t.Any]]) -> list[Json]:
    """Entries of ``kind`` (permission or consent) from the shape of the modules' option ``permissions``."""
    return [
        entry(kind, app_id, f"{item['resource']}/{type_}/{name}", resource=str(item["resource"]), type=type_, name=name)
        for item in listed
        for type_ in TYPES
        for name in item.get(type_) or []
    ]


def by_resource(entries: t.Iterable[t.Mapping[str, t.Any]]) -> list[Json]:
    """The other way round: entries of kind permission or consent in the shape of the option ``permissions``."""
    found: dict[str, dict[str, set[str]]] = {}
    for item in entries:
        found.setdefault(str(item["resource"]), {type_: set() for type_ in TYPES})[item["type"]].add(str(item["name"]))
    return [
        {"resource": resource, **{type_: sorted(names) for type_, names in kinds.items()}}
        for resource, kinds in sorted(found.items())
    ]
