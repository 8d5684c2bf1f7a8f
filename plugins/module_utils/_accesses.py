# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The accesses of a profile as options take them: by which protocol, with which permission, limited by which model."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils import _permissions
from ansible_collections.mail2fax.m365.plugins.module_utils._errors import InvalidInput

POLICY, ROLE, RIGHT, WIDE = "application_access_policy", "application_role", "mailbox_permission", "tenant_wide"
"""The scoping models by the names that people say."""

PROTOCOLS = ("ews", "graph", "imap", "pop", "smtp")

OPTION: dict[str, t.Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "id": {"type": "str", "required": True},
        "protocol": {"type": "str", "required": True, "choices": list(PROTOCOLS)},
        "permissions": {"type": "list", "elements": "str", "default": []},
        "scoping": {"type": "str", "required": True, "choices": [POLICY, ROLE, RIGHT, WIDE]},
        "roles": {"type": "list", "elements": "str", "default": []},
        # What a profile says besides; nothing here needs it.
        "resource": {"type": "str"},
        "scoping_allowed": {"type": "list", "elements": "str"},
    },
}


@dataclass(frozen=True)
class Access:
    """One way in. ``permissions`` are Entra's names, ``roles`` Exchange's where the model is application_role."""

    id: str
    protocol: str
    scoping: str
    permissions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        """The application id of the API that has the permissions."""
        return _permissions.WELL_KNOWN["microsoft_graph" if self.protocol == "graph" else "exchange_online"]


def parse(option: t.Sequence[t.Mapping[str, t.Any]] | None, name: str) -> tuple[Access, ...] | None:
    """None stays None. Raises InvalidInput for an id that is there twice."""
    if option is None:
        return None
    found = tuple(
        Access(
            id=one["id"],
            protocol=one["protocol"],
            scoping=one["scoping"],
            permissions=tuple(one.get("permissions") or ()),
            roles=tuple(one.get("roles") or ()),
        )
        for one in option
    )
    twice = next((one.id for number, one in enumerate(found) if one.id in {other.id for other in found[:number]}), None)
    if twice is not None:
        raise InvalidInput(f"{name} has the id {twice!r} twice", cure="give each access an id of its own")
    return found
