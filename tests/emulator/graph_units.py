# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Graph: administrative units. They are read only."""

from __future__ import annotations

from . import circles
from .graph_base import READ_DIRECTORY, GraphError, Request, entity, kind, listing, route
from .graph_directory import DIRECTORY_OBJECT, _directory_object
from .model import Answer, Document
from .odata import Key, Segment

READ_UNITS = READ_DIRECTORY | {"AdministrativeUnit.Read.All", "AdministrativeUnit.ReadWrite.All"}

UNIT = kind("administrativeUnit", "directory/administrativeUnits", {"id", "displayName", "description", "visibility"})


def _shown(key: str, unit: Document) -> Document:
    return {"id": key, "displayName": unit["name"], "description": None, "visibility": None}


def _one(request: Request, key: Segment) -> tuple[str, Document]:
    wanted = (key.value if isinstance(key, Key) else key).lower()
    found = circles.units(request.tenant).get(wanted)
    if found is None:
        raise GraphError("not_found", id=wanted)
    return wanted, found


@route("GET", "directory/administrativeUnits", READ_UNITS)
def list_units(request: Request) -> Answer:
    return listing(request, [_shown(*item) for item in circles.units(request.tenant).items()], UNIT)


@route("GET", "directory/administrativeUnits/{}", READ_UNITS)
def get_unit(request: Request, key: Segment) -> Answer:
    return entity(request, _shown(*_one(request, key)), UNIT)


@route("GET", "directory/administrativeUnits/{}/members", READ_UNITS)
def list_unit_members(request: Request, key: Segment) -> Answer:
    _id, unit = _one(request, key)
    members = [found for guid in unit["members"] if (found := _directory_object(request, guid))]
    return listing(request, members, DIRECTORY_OBJECT, typed=True)
