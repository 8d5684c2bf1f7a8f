# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to the collection: other collections must not import it.
"""The service principal as Exchange knows it: what role assignments and rights on mailboxes hang on."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.mail2fax.m365.plugins.module_utils._exchange.client import Cmdlet, Output

Json = dict[str, t.Any]


@dataclass(frozen=True)
class Pointer:
    """One pointer as Exchange tells it. Ids and ``sid`` are in lower case.

    ``object_id`` is what somebody said when it was made: only a comparison with Graph tells whether it leads to the
    application's service principal.
    """

    app_id: str
    object_id: str = ""
    sid: str = ""
    display_name: str = ""
    identity: str = ""
    name: str = ""

    @classmethod
    def of(cls, found: t.Mapping[str, t.Any]) -> Pointer:
        """From Get-ServicePrincipal or New-ServicePrincipal. An older module calls the ObjectId ServiceId."""

        def text(*keys: str) -> str:
            return next((str(found[key]) for key in keys if found.get(key)), "")

        return cls(
            app_id=text("AppId").lower(),
            object_id=text("ObjectId", "ServiceId").lower(),
            sid=text("Sid").lower(),
            display_name=text("DisplayName"),
            identity=text("Identity", "Id"),
            name=text("Name"),
        )

    def is_named(self, name: str) -> bool:
        """Whether ``name`` is one of the forms in which Exchange may print it where it prints no SID."""
        forms = (self.sid, self.name, self.identity, self.object_id, self.display_name)
        return bool(name.strip()) and name.strip().casefold() in (form.casefold() for form in forms if form)

    def as_dict(self) -> Json:
        return {
            "app_id": self.app_id,
            "object_id": self.object_id,
            "sid": self.sid.upper(),
            "display_name": self.display_name,
            "identity": self.identity,
        }


def read_cmdlet(app_id: str) -> Cmdlet:
    return Cmdlet("Get-ServicePrincipal", {"Identity": app_id}, "read the application's service principal in Exchange")


def pointer_of(output: Output, app_id: str) -> Pointer | None:
    """From the answer to ``read_cmdlet``; None where there is none. Raises what else Exchange said.

    To an identity that it does not know Exchange answers "not found", or a list of all.
    """
    found = (Pointer.of(entry) for entry in output.listed())
    return next((pointer for pointer in found if pointer.app_id == app_id), None)
